// SPDX-License-Identifier: Apache-2.0
// cast_text.c: casts from STRING, and from anything to STRING.
#include "cast_rows.h"
#include "column/datetime.h"
#include "column/decimal.h"
#include "column/number_text.h"
#include "column/value.h"
#include <strings.h>

// The text without the white space that Spark's casts ignore at both ends.
static const char *trimmed(const struct string_view *v, size_t *size_bytes) {
    const char *s = string_view_data(v);
    size_t n = v->size_bytes;
    while (n && (unsigned char)*s <= ' ') s++, n--;
    while (n && (unsigned char)s[n - 1] <= ' ') n--;
    *size_bytes = n;
    return s;
}

static bool text_is(const char *s, size_t size_bytes, const char *word) { return strlen(word) == size_bytes && strncasecmp(s, word, size_bytes) == 0; }

static bool parse_boolean(const struct string_view *v, uint8_t *out) {
    static const char *const yes[] = {"t", "true", "y", "yes", "1"}, *const no[] = {"f", "false", "n", "no", "0"};
    size_t n;
    const char *s = trimmed(v, &n);
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
        if (text_is(s, n, yes[i])) return *out = 1, true;
        if (text_is(s, n, no[i])) return *out = 0, true;
    }
    return false;
}

static bool parse_integer(const struct cast *c, uint32_t row, const struct string_view *v) {
    int64_t value;
    bool overflow = false;
    return parse_int64(string_view_data(v), v->size_bytes, &value, &overflow) && !overflow && cast_put_integer(c->out, row, value);
}

// Returns the condition of what went wrong, or NULL.
static const char *parse_decimal_text(const struct cast *c, uint32_t row, const struct string_view *v) {
    decimal *to = c->out->values;
    bool is_number = false;
    size_t n;
    const char *s = trimmed(v, &n);
    if (decimal_parse(s, n, c->to->precision, c->to->scale, &to[row], &is_number)) return NULL;
    if (!is_number) return "CAST_INVALID_INPUT";
    size_t digits = 0;
    for (size_t i = 0; i < n && s[i] != '.' && s[i] != 'e' && s[i] != 'E'; i++) digits += s[i] >= '0' && s[i] <= '9' && (digits || s[i] != '0');
    return digits > DECIMAL_MAX_PRECISION ? "NUMERIC_OUT_OF_SUPPORTED_RANGE" : "NUMERIC_VALUE_OUT_OF_RANGE.WITH_SUGGESTION";
}

static const char *parse_text(const struct cast *c, uint32_t row, const struct string_view *v) {
    const char *s = string_view_data(v);
    size_t n = v->size_bytes;
    void *values = c->out->values;
    const struct timezone *zone = c->eval->session ? c->eval->session->zone : &timezone_utc;
    bool ok = false;
    switch (c->to->id) {
    case TYPE_BOOLEAN: ok = parse_boolean(v, &((uint8_t *)values)[row]); break;
    case TYPE_TINYINT:
    case TYPE_SMALLINT:
    case TYPE_INT:
    case TYPE_BIGINT: ok = parse_integer(c, row, v); break;
    case TYPE_FLOAT: ok = parse_float(s, n, &((float *)values)[row]); break;
    case TYPE_DOUBLE: ok = parse_double(s, n, &((double *)values)[row]); break;
    case TYPE_DATE: ok = parse_date(s, n, &((int32_t *)values)[row]); break;
    case TYPE_TIMESTAMP:
        ok = parse_timestamp(s, n, zone, &((int64_t *)values)[row]) || parse_time_today(s, n, zone, c->eval->now_us, &((int64_t *)values)[row]);
        break;
    case TYPE_TIMESTAMP_NTZ: ok = parse_timestamp_ntz(s, n, &((int64_t *)values)[row]); break;
    case TYPE_DECIMAL: return parse_decimal_text(c, row, v);
    default: break;
    }
    return ok ? NULL : "CAST_INVALID_INPUT";
}

// Words for moments: 'epoch', 'now', 'today', 'yesterday' and 'tomorrow' are known in casts of constants alone, as in Spark; in data they are
// texts like any other.
static bool special_date(const struct cast *c, uint32_t row, const struct string_view *v) {
    size_t n;
    const char *s = trimmed(v, &n);
    int64_t shift;
    if (text_is(s, n, "epoch")) {
        if (c->to->id == TYPE_DATE) ((int32_t *)c->out->values)[row] = 0;
        else ((int64_t *)c->out->values)[row] = 0;
        return true;
    }
    if (text_is(s, n, "today") || text_is(s, n, "now")) shift = 0;
    else if (text_is(s, n, "yesterday")) shift = -1;
    else if (text_is(s, n, "tomorrow")) shift = 1;
    else return false;
    const struct timezone *zone = c->eval->session ? c->eval->session->zone : &timezone_utc;
    int64_t wall = timezone_to_wall(zone, c->eval->now_us), day = floor_div(wall, US_PER_DAY) + shift;
    bool now = text_is(s, n, "now");
    if (c->to->id == TYPE_DATE) ((int32_t *)c->out->values)[row] = (int32_t)day;
    else if (c->to->id == TYPE_TIMESTAMP_NTZ) ((int64_t *)c->out->values)[row] = now ? wall : day * US_PER_DAY;
    else ((int64_t *)c->out->values)[row] = now ? c->eval->now_us : timezone_to_utc(zone, day * US_PER_DAY);
    return true;
}

bool cast_from_string(const struct cast *c) {
    if (c->to->id == TYPE_INTERVAL_YM || c->to->id == TYPE_INTERVAL_DT || c->to->id == TYPE_INTERVAL) return cast_interval(c);
    if (type_is_nested(c->to) || c->to->id == TYPE_NULL) return false;
    const struct string_view *from = c->from->values;
    bool moment = c->eval->folding && (c->to->id == TYPE_DATE || c->to->id == TYPE_TIMESTAMP || c->to->id == TYPE_TIMESTAMP_NTZ);
    for (uint32_t i = 0; i < c->rows->count; i++) {
        uint32_t row = rows_at(c->rows, i);
        const char *wrong = parse_text(c, row, &from[row]);
        if (wrong && !(moment && special_date(c, row, &from[row]))) cast_fail_text(c, row, wrong, &from[row]);
    }
    return true;
}

// --- to STRING ---

static size_t print_simple(const struct column *from, uint32_t row, const struct timezone *zone, char *text) {
    switch (from->type->id) {
    case TYPE_BOOLEAN: {
        const char *word = ((const uint8_t *)from->values)[row] ? "true" : "false";
        size_t n = strlen(word);
        memcpy(text, word, n);
        return n;
    }
    case TYPE_TINYINT:
    case TYPE_SMALLINT:
    case TYPE_INT:
    case TYPE_BIGINT: return print_int64(cast_integer_at(from, row), text);
    case TYPE_FLOAT: return print_float(((const float *)from->values)[row], text);
    case TYPE_DOUBLE: return print_double(((const double *)from->values)[row], text);
    case TYPE_DECIMAL: return decimal_print(((const decimal *)from->values)[row], from->type->scale, text);
    case TYPE_DATE: return print_date(((const int32_t *)from->values)[row], text);
    case TYPE_TIMESTAMP: return print_timestamp(((const int64_t *)from->values)[row], zone, text);
    case TYPE_TIMESTAMP_NTZ: return print_timestamp(((const int64_t *)from->values)[row], NULL, text);
    default: return 0;
    }
}

void cast_to_string(const struct cast *c) {
    const struct timezone *zone = c->eval->session ? c->eval->session->zone : &timezone_utc;
    bool simple = c->from->type->id <= TYPE_TIMESTAMP_NTZ;
    struct buffer text;
    buffer_init(&text, c->eval->memory);
    for (uint32_t i = 0; i < c->rows->count && c->eval->status == STATUS_OK; i++) {
        uint32_t row = rows_at(c->rows, i);
        if (simple) {
            char bytes[64];
            size_t n = print_simple(c->from, row, zone, bytes);
            out_set_string(c->out, row, bytes, n, c->eval);
            continue;
        }
        buffer_clear(&text);
        if (value_print(c->from, row, zone, &text) != STATUS_OK) c->eval->status = STATUS_NO_MEMORY;
        else out_set_string(c->out, row, (const char *)text.data, text.size_bytes, c->eval);
    }
    buffer_release(&text);
}
