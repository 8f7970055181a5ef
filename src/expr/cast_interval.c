// SPDX-License-Identifier: Apache-2.0
// cast_interval.c: casts of intervals: from text, from and to numbers (in the type's last unit), among the units of one kind.
#include "cast_rows.h"
#include "column/datetime.h"
#include "column/decimal.h"
#include "expr/from_json.h"
#include <strings.h>

static const int64_t unit_us[] = {
    [UNIT_DAY] = US_PER_DAY, [UNIT_HOUR] = 3600 * US_PER_SECOND, [UNIT_MINUTE] = 60 * US_PER_SECOND, [UNIT_SECOND] = US_PER_SECOND,
};

// Size of a type's last unit, in months or µs.
static int64_t last_unit(const struct type *t) {
    if (t->id == TYPE_INTERVAL_YM) return t->end == UNIT_YEAR ? 12 : 1;
    return unit_us[t->end];
}

static int64_t interval_at(const struct column *c, uint32_t row) {
    return c->type->id == TYPE_INTERVAL_YM ? ((const int32_t *)c->values)[row] : ((const int64_t *)c->values)[row];
}

static bool put_interval(struct column *out, uint32_t row, int64_t value) {
    if (out->type->id == TYPE_INTERVAL_DT) return ((int64_t *)out->values)[row] = value, true;
    ((int32_t *)out->values)[row] = (int32_t)value;
    return value == (int32_t)value;
}

static void fail_overflow(const struct cast *c, uint32_t row) { cast_fail(c, row, "CAST_OVERFLOW", "the value does not fit the type it is cast to"); }

// --- text ---

struct scan {
    const char *s, *end;
};

static bool scan_number(struct scan *t, int64_t *out) {
    const char *start = t->s;
    int64_t value = 0;
    for (; t->s < t->end && *t->s >= '0' && *t->s <= '9'; t->s++)
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, *t->s - '0', &value)) return false;
    *out = value;
    return t->s > start;
}

static bool scan_char(struct scan *t, char c) {
    if (t->s >= t->end || *t->s != c) return false;
    t->s++;
    return true;
}

static bool scan_fraction(struct scan *t, int64_t *us) {
    *us = 0;
    if (!scan_char(t, '.')) return true;
    int digits = 0;
    for (; t->s < t->end && *t->s >= '0' && *t->s <= '9'; t->s++, digits++)
        if (digits < 6) *us = *us * 10 + (*t->s - '0');
    for (int i = digits; i < 6; i++) *us *= 10;
    return digits <= 9;
}

static void skip_blanks(struct scan *t) {
    while (t->s < t->end && (unsigned char)*t->s <= ' ') t->s++;
    while (t->end > t->s && (unsigned char)t->end[-1] <= ' ') t->end--;
}

// INTERVAL [+|-]'…' UNIT [TO UNIT] around the value; the units must be the type's.
static bool unwrap(struct scan *t, const struct type *to, bool *negative) {
    static const char *const names[] = {"YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND"};
    if (t->end - t->s < 8 || strncasecmp(t->s, "INTERVAL", 8) != 0) return true;
    t->s += 8;
    skip_blanks(t);
    if (scan_char(t, '-')) *negative = !*negative;
    else (void)scan_char(t, '+');
    const char *close = memrchr(t->s, '\'', (size_t)(t->end - t->s));
    if (!scan_char(t, '\'') || !close || close < t->s) return false;
    char words[32];
    int length = to->start == to->end ? snprintf(words, sizeof words, "%s", names[to->start]) : snprintf(words, sizeof words, "%s TO %s", names[to->start], names[to->end]);
    struct scan units = {.s = close + 1, .end = t->end};
    skip_blanks(&units);
    if (units.end - units.s != length || strncasecmp(units.s, words, (size_t)length) != 0) return false;
    t->end = close;
    skip_blanks(t);
    return true;
}

static bool read_year_month(struct scan *t, const struct type *to, int64_t *months) {
    int64_t first, second = 0;
    if (!scan_number(t, &first)) return false;
    if (to->start == UNIT_MONTH) return *months = first, true;
    if (to->end == UNIT_MONTH && (!scan_char(t, '-') || !scan_number(t, &second) || second > 11)) return false;
    return !__builtin_mul_overflow(first, 12, months) && !__builtin_add_overflow(*months, second, months);
}

static bool read_day_time(struct scan *t, const struct type *to, int64_t *us) {
    static const int64_t most[] = {[UNIT_DAY] = 0, [UNIT_HOUR] = 23, [UNIT_MINUTE] = 59, [UNIT_SECOND] = 59};
    *us = 0;
    for (int unit = to->start; unit <= to->end; unit++) {
        int64_t value, part, fraction = 0;
        if (unit > to->start && !scan_char(t, unit == UNIT_HOUR ? ' ' : ':')) return false;
        if (!scan_number(t, &value) || (unit > to->start && value > most[unit])) return false;
        if (unit == UNIT_SECOND && !scan_fraction(t, &fraction)) return false;
        if (__builtin_mul_overflow(value, unit_us[unit], &part) || __builtin_add_overflow(*us, part, us) || __builtin_add_overflow(*us, fraction, us)) return false;
    }
    return true;
}

static bool parse_interval(const struct string_view *v, const struct type *to, int64_t *out) {
    struct scan t = {.s = string_view_data(v), .end = string_view_data(v) + v->size_bytes};
    bool negative = false;
    skip_blanks(&t);
    if (!unwrap(&t, to, &negative)) return false;
    if (scan_char(&t, '-')) negative = !negative;
    else (void)scan_char(&t, '+');
    bool ok = to->id == TYPE_INTERVAL_YM ? read_year_month(&t, to, out) : read_day_time(&t, to, out);
    if (!ok || t.s != t.end) return false;
    if (negative) *out = -*out;
    return true;
}

bool interval_from_text(void *context, const char *text, size_t size_bytes, const struct type *type, int64_t *out) {
    (void)context;
    struct string_view v = string_view_of(text, (uint32_t)size_bytes);
    return parse_interval(&v, type, out);
}

// "1 day -2 hours 3.5 seconds", with or without the word interval in front.
static bool parse_calendar(const struct string_view *v, struct calendar_interval *out) {
    static const struct {
        const char *name;
        int64_t months, days, us;
    } units[] = {
        {"year", 12, 0, 0}, {"month", 1, 0, 0}, {"week", 0, 7, 0}, {"day", 0, 1, 0}, {"hour", 0, 0, 3600 * US_PER_SECOND},
        {"minute", 0, 0, 60 * US_PER_SECOND}, {"second", 0, 0, US_PER_SECOND}, {"millisecond", 0, 0, 1000}, {"microsecond", 0, 0, 1},
    };
    struct scan t = {.s = string_view_data(v), .end = string_view_data(v) + v->size_bytes};
    int64_t months = 0, days = 0, us = 0;
    skip_blanks(&t);
    if (t.end - t.s > 8 && strncasecmp(t.s, "interval", 8) == 0 && (unsigned char)t.s[8] <= ' ') t.s += 8;
    skip_blanks(&t);
    if (t.s == t.end) return false;
    while (t.s < t.end) {
        bool negative = scan_char(&t, '-');
        if (!negative) (void)scan_char(&t, '+');
        int64_t value, fraction = 0;
        if (!scan_number(&t, &value)) return false;
        bool has_fraction = t.s < t.end && *t.s == '.';
        if (!scan_fraction(&t, &fraction)) return false;
        skip_blanks(&t);
        size_t length = 0;
        while (t.s + length < t.end && ((t.s[length] | 32) >= 'a' && (t.s[length] | 32) <= 'z')) length++;
        size_t singular = length > 1 && (t.s[length - 1] | 32) == 's' ? length - 1 : length;
        size_t u = 0;
        while (u < sizeof units / sizeof *units && (strlen(units[u].name) != singular || strncasecmp(units[u].name, t.s, singular) != 0)) u++;
        if (u == sizeof units / sizeof *units || (has_fraction && units[u].us != US_PER_SECOND)) return false;
        if (negative) value = -value, fraction = -fraction;
        int64_t part;
        if (__builtin_mul_overflow(value, units[u].months, &part) || __builtin_add_overflow(months, part, &months)) return false;
        if (__builtin_mul_overflow(value, units[u].days, &part) || __builtin_add_overflow(days, part, &days)) return false;
        if (__builtin_mul_overflow(value, units[u].us, &part) || __builtin_add_overflow(us, part, &us) || __builtin_add_overflow(us, fraction, &us)) return false;
        t.s += length;
        skip_blanks(&t);
    }
    if (months != (int32_t)months || days != (int32_t)days) return false;
    *out = (struct calendar_interval){.months = (int32_t)months, .days = (int32_t)days, .us = us};
    return true;
}

static void from_text(const struct cast *c) {
    const struct string_view *from = c->from->values;
    for (uint32_t i = 0; i < c->rows->count; i++) {
        uint32_t row = rows_at(c->rows, i);
        int64_t value;
        if (c->to->id == TYPE_INTERVAL) {
            if (!parse_calendar(&from[row], &((struct calendar_interval *)c->out->values)[row])) out_set_null(c->out, row);  // as Spark, not an error
        } else if (!parse_interval(&from[row], c->to, &value) || !put_interval(c->out, row, value)) {
            cast_fail_text(c, row, "INVALID_INTERVAL_FORMAT.UNMATCHED_FORMAT_STRING_WITH_NOTICE", &from[row]);
        }
    }
}

// --- numbers and units ---

static void from_number(const struct cast *c) {
    int64_t unit = last_unit(c->to);
    for (uint32_t i = 0; i < c->rows->count; i++) {
        uint32_t row = rows_at(c->rows, i);
        int64_t value;
        bool fits;
        if (c->from->type->id == TYPE_DECIMAL) {
            decimal exact;
            fits = decimal_multiply(((const decimal *)c->from->values)[row], unit, c->from->type->scale, 0, DECIMAL_MAX_PRECISION, &exact) &&
                   exact >= INT64_MIN && exact <= INT64_MAX;
            value = fits ? (int64_t)exact : 0;
        } else {
            fits = !__builtin_mul_overflow(cast_integer_at(c->from, row), unit, &value);
        }
        if (!fits || !put_interval(c->out, row, value)) fail_overflow(c, row);
    }
}

static void to_number(const struct cast *c) {
    int64_t unit = last_unit(c->from->type);
    for (uint32_t i = 0; i < c->rows->count; i++) {
        uint32_t row = rows_at(c->rows, i);
        int64_t value = interval_at(c->from, row);
        if (c->to->id == TYPE_DECIMAL) {
            decimal *to = c->out->values;
            if (!decimal_divide(value, 0, unit, 0, c->to->scale, c->to->precision, &to[row]))
                cast_fail(c, row, "NUMERIC_VALUE_OUT_OF_RANGE.WITH_SUGGESTION", "the value does not fit the DECIMAL type it is cast to");
        } else if (!cast_put_integer(c->out, row, value / unit)) {
            fail_overflow(c, row);
        }
    }
}

static void among_units(const struct cast *c) {
    int64_t unit = last_unit(c->to);
    if (c->to->id == TYPE_INTERVAL_DT && c->to->end == UNIT_SECOND) unit = 1;
    for (uint32_t i = 0; i < c->rows->count; i++) {
        uint32_t row = rows_at(c->rows, i);
        int64_t value = interval_at(c->from, row);
        (void)put_interval(c->out, row, value - value % unit);
    }
}

static bool is_range(const struct type *t) { return t->id == TYPE_INTERVAL_YM || t->id == TYPE_INTERVAL_DT; }

bool cast_interval(const struct cast *c) {
    const struct type *f = c->from->type, *t = c->to;
    if (f->id == TYPE_STRING) from_text(c);
    else if (is_range(f) && f->id == t->id) among_units(c);
    else if (is_range(f) && (type_is_integral(t) || t->id == TYPE_DECIMAL)) to_number(c);
    else if (is_range(t) && (type_is_integral(f) || f->id == TYPE_DECIMAL)) from_number(c);
    else return false;
    return true;
}
