// SPDX-License-Identifier: Apache-2.0
// value_text.c: values as Spark prints them, for CAST(… AS STRING) and for show().
//
// The two differ in NULL ("null" and "NULL") and in binary (its bytes, and [01 02]). Everything is appended to the caller's buffer.
#include "column/datetime.h"
#include "column/decimal.h"
#include "column/number_text.h"
#include "column/timezone.h"
#include "column/value.h"

struct printer {
    const struct timezone *zone;
    bool show;
    struct buffer *out;
};

static const uint64_t us_per_hour = UINT64_C(3600000000), us_per_minute = UINT64_C(60000000), us_per_second = UINT64_C(1000000);

static uint64_t magnitude(int64_t value) { return value < 0 ? 0 - (uint64_t)value : (uint64_t)value; }

// Seconds with up to six digits of fraction, none of them a trailing zero.
static enum status append_seconds(struct buffer *out, uint64_t us, bool pad) {
    TRY(buffer_printf(out, pad ? "%02llu" : "%llu", (unsigned long long)(us / us_per_second)));
    if (us % us_per_second == 0) return STATUS_OK;
    TRY(buffer_printf(out, ".%06llu", (unsigned long long)(us % us_per_second)));
    while (out->data[out->size_bytes - 1] == '0') out->size_bytes--;
    return STATUS_OK;
}

static const char *const unit_names[] = {"YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND"};

static enum status append_units(struct buffer *out, const struct type *t) {
    TRY(buffer_printf(out, "' %s", unit_names[t->start]));
    return t->end == t->start ? STATUS_OK : buffer_printf(out, " TO %s", unit_names[t->end]);
}

static enum status print_interval_ym(const struct type *t, int32_t months, struct buffer *out) {
    unsigned long long rest = magnitude(months);
    TRY(buffer_append_string(out, months < 0 ? "INTERVAL '-" : "INTERVAL '"));
    if (t->start == UNIT_MONTH) {
        TRY(buffer_printf(out, "%llu", rest));
    } else {
        TRY(buffer_printf(out, "%llu", rest / 12));
        if (t->end == UNIT_MONTH) TRY(buffer_printf(out, "-%llu", rest % 12));
    }
    return append_units(out, t);
}

// The first unit takes all that is above it; from hours on it has two digits at least.
static enum status print_interval_dt(const struct type *t, int64_t us, struct buffer *out) {
    uint64_t rest = magnitude(us);
    TRY(buffer_append_string(out, us < 0 ? "INTERVAL '-" : "INTERVAL '"));
    if (t->start == UNIT_DAY) {
        TRY(buffer_printf(out, "%llu", (unsigned long long)(rest / (24 * us_per_hour))));
        rest %= 24 * us_per_hour;
    }
    if (t->start <= UNIT_HOUR && t->end >= UNIT_HOUR) {
        TRY(buffer_printf(out, t->start < UNIT_HOUR ? " %02llu" : "%02llu", (unsigned long long)(rest / us_per_hour)));
        rest %= us_per_hour;
    }
    if (t->start <= UNIT_MINUTE && t->end >= UNIT_MINUTE) {
        TRY(buffer_printf(out, t->start < UNIT_MINUTE ? ":%02llu" : "%02llu", (unsigned long long)(rest / us_per_minute)));
        rest %= us_per_minute;
    }
    if (t->end == UNIT_SECOND) {
        if (t->start < UNIT_SECOND) TRY(buffer_append_byte(out, ':'));
        TRY(append_seconds(out, rest, true));
    }
    return append_units(out, t);
}

static enum status append_part(struct buffer *out, size_t begin, int64_t value, const char *unit) {
    if (value == 0) return STATUS_OK;
    return buffer_printf(out, "%s%lld %s", out->size_bytes > begin ? " " : "", (long long)value, unit);
}

static enum status print_calendar_interval(const struct calendar_interval *v, struct buffer *out) {
    size_t begin = out->size_bytes;
    TRY(append_part(out, begin, v->months / 12, "years"));
    TRY(append_part(out, begin, v->months % 12, "months"));
    TRY(append_part(out, begin, v->days, "days"));
    TRY(append_part(out, begin, v->us / (int64_t)us_per_hour, "hours"));
    TRY(append_part(out, begin, v->us / (int64_t)us_per_minute % 60, "minutes"));
    int64_t rest = v->us % (int64_t)us_per_minute;
    if (rest == 0) return out->size_bytes > begin ? STATUS_OK : buffer_append_string(out, "0 seconds");
    TRY(buffer_printf(out, "%s%s", out->size_bytes > begin ? " " : "", rest < 0 ? "-" : ""));
    TRY(append_seconds(out, magnitude(rest), false));
    return buffer_append_string(out, " seconds");
}

static enum status print_text(const struct printer *p, const struct type *t, const struct string_view *v) {
    const char *bytes = string_view_data(v);
    if (t->id == TYPE_STRING || !p->show) return buffer_append(p->out, bytes, v->size_bytes);
    TRY(buffer_append_byte(p->out, '['));
    for (uint32_t i = 0; i < v->size_bytes; i++) TRY(buffer_printf(p->out, i ? " %02X" : "%02X", (unsigned)(uint8_t)bytes[i]));
    return buffer_append_byte(p->out, ']');
}

static enum status print(const struct printer *p, const struct column *c, uint32_t row);

static enum status print_nested(const struct printer *p, const struct column *base, uint32_t index) {
    const struct type *t = base->type;
    uint32_t begin = index, end = index + 1;
    if (t->id != TYPE_STRUCT) {
        begin = (uint32_t)((const int32_t *)base->values)[index];
        end = (uint32_t)((const int32_t *)base->values)[index + 1];
    }
    TRY(buffer_append_byte(p->out, t->id == TYPE_ARRAY ? '[' : '{'));
    for (uint32_t row = begin; row < end; row++) {
        for (uint32_t i = 0; i < t->field_count; i++) {
            if (i && t->id == TYPE_MAP) {
                TRY(buffer_append_string(p->out, " -> "));
            } else if (i || row > begin) {
                TRY(buffer_append_string(p->out, ", "));
            }
            TRY(print(p, &base->children[i], row));
        }
    }
    return buffer_append_byte(p->out, t->id == TYPE_ARRAY ? ']' : '}');
}

static enum status print_number(const struct printer *p, const struct column *base, uint32_t i) {
    char text[DECIMAL_TEXT_MAX];
    const void *values = base->values;
    size_t length;
    switch (base->type->id) {
    case TYPE_TINYINT: length = print_int64(((const int8_t *)values)[i], text); break;
    case TYPE_SMALLINT: length = print_int64(((const int16_t *)values)[i], text); break;
    case TYPE_INT: length = print_int64(((const int32_t *)values)[i], text); break;
    case TYPE_BIGINT: length = print_int64(((const int64_t *)values)[i], text); break;
    case TYPE_FLOAT: length = print_float(((const float *)values)[i], text); break;
    case TYPE_DOUBLE: length = print_double(((const double *)values)[i], text); break;
    default: length = decimal_print(((const decimal *)values)[i], base->type->scale, text); break;
    }
    return buffer_append(p->out, text, length);
}

static enum status print(const struct printer *p, const struct column *c, uint32_t row) {
    if (!column_is_valid(c, row)) return buffer_append_string(p->out, p->show ? "NULL" : "null");
    const struct column *base = column_base(c);
    uint32_t i = column_index(c, row);
    const void *values = base->values;
    char text[DATETIME_TEXT_MAX];
    switch (base->type->id) {
    case TYPE_BOOLEAN: return buffer_append_string(p->out, ((const uint8_t *)values)[i] ? "true" : "false");
    case TYPE_STRING:
    case TYPE_BINARY: return print_text(p, base->type, (const struct string_view *)values + i);
    case TYPE_DATE: return buffer_append(p->out, text, print_date(((const int32_t *)values)[i], text));
    case TYPE_TIMESTAMP: return buffer_append(p->out, text, print_timestamp(((const int64_t *)values)[i], p->zone, text));
    case TYPE_TIMESTAMP_NTZ: return buffer_append(p->out, text, print_timestamp(((const int64_t *)values)[i], NULL, text));
    case TYPE_INTERVAL_YM: return print_interval_ym(base->type, ((const int32_t *)values)[i], p->out);
    case TYPE_INTERVAL_DT: return print_interval_dt(base->type, ((const int64_t *)values)[i], p->out);
    case TYPE_INTERVAL: return print_calendar_interval((const struct calendar_interval *)values + i, p->out);
    case TYPE_ARRAY:
    case TYPE_MAP:
    case TYPE_STRUCT: return print_nested(p, base, i);
    default: return print_number(p, base, i);
    }
}

enum status value_print(const struct column *c, uint32_t row, const struct timezone *zone, struct buffer *out) {
    struct printer p = {.zone = zone, .show = false, .out = out};
    return print(&p, c, row);
}

enum status value_print_show(const struct column *c, uint32_t row, const struct timezone *zone, struct buffer *out) {
    struct printer p = {.zone = zone, .show = true, .out = out};
    return print(&p, c, row);
}
