// SPDX-License-Identifier: Apache-2.0
// coerce.c: Spark's ANSI coercion rules.
//
// Widening order of numbers: TINYINT < SMALLINT < INT < BIGINT < DECIMAL < FLOAT < DOUBLE, but an integer beside a FLOAT gives DOUBLE, and
// a DECIMAL beside a FLOAT or DOUBLE gives DOUBLE. A string beside an integer is read as BIGINT, beside a fraction as DOUBLE, beside anything
// else atomic as that. Results of decimal arithmetic follow the SQL standard, cut to 38 digits with at least 6 digits of scale kept.
#include "expr/coerce.h"
#include <strings.h>

enum { MINIMUM_ADJUSTED_SCALE = 6 };

static inline int at_least(int a, int b) { return a > b ? a : b; }
static inline int at_most(int a, int b) { return a < b ? a : b; }

static bool is_datetime(const struct type *t) { return t->id == TYPE_DATE || t->id == TYPE_TIMESTAMP || t->id == TYPE_TIMESTAMP_NTZ; }
static bool is_atomic(const struct type *t) { return t->id != TYPE_NULL && t->id != TYPE_INTERVAL && !type_is_nested(t); }

static const struct type *bounded(struct arena *a, int precision, int scale) {
    return type_decimal(a, (uint8_t)at_most(precision, DECIMAL_MAX_PRECISION), (uint8_t)at_most(scale, DECIMAL_MAX_PRECISION));
}

// When digits run out, the fraction gives way first, but not below six digits.
static const struct type *adjusted(struct arena *a, int precision, int scale) {
    if (precision <= DECIMAL_MAX_PRECISION) return type_decimal(a, (uint8_t)precision, (uint8_t)scale);
    int whole = precision - scale;
    int kept = at_least(DECIMAL_MAX_PRECISION - whole, at_most(scale, MINIMUM_ADJUSTED_SCALE));
    return type_decimal(a, DECIMAL_MAX_PRECISION, (uint8_t)kept);
}

const struct type *decimal_for(struct arena *a, const struct type *t) {
    switch (t->id) {
    case TYPE_TINYINT: return type_decimal(a, 3, 0);
    case TYPE_SMALLINT: return type_decimal(a, 5, 0);
    case TYPE_INT: return type_decimal(a, 10, 0);
    case TYPE_BIGINT: return type_decimal(a, 20, 0);
    case TYPE_FLOAT: return type_decimal(a, 14, 7);
    case TYPE_DOUBLE: return type_decimal(a, 30, 15);
    case TYPE_DECIMAL: return t;
    default: return type_decimal(a, 38, 18);
    }
}

const struct type *decimal_result(struct arena *a, char op, const struct type *left, const struct type *right) {
    int p1 = left->precision, s1 = left->scale, p2 = right->precision, s2 = right->scale;
    int scale;
    switch (op) {
    case '+':
    case '-':
        scale = at_least(s1, s2);
        return adjusted(a, at_least(p1 - s1, p2 - s2) + scale + 1, scale);
    case '*':
        return adjusted(a, p1 + p2 + 1, s1 + s2);
    case '/':
        scale = at_least(MINIMUM_ADJUSTED_SCALE, s1 + p2 + 1);
        return adjusted(a, p1 - s1 + s2 + scale, scale);
    case '%':
        scale = at_least(s1, s2);
        return adjusted(a, at_least(at_most(p1 - s1, p2 - s2) + scale, 1), scale);
    default:
        return bounded(a, at_least(p1 - s1 + s2, 1), 0);
    }
}

static const struct type *wider_decimal(struct arena *a, const struct type *left, const struct type *right) {
    int scale = at_least(left->scale, right->scale);
    int whole = at_least(left->precision - left->scale, right->precision - right->scale);
    int precision = whole + scale;
    if (precision <= DECIMAL_MAX_PRECISION) return type_decimal(a, (uint8_t)precision, (uint8_t)scale);
    return type_decimal(a, DECIMAL_MAX_PRECISION, (uint8_t)at_least(0, DECIMAL_MAX_PRECISION - whole));
}

static const struct type *wider_number(struct arena *a, const struct type *left, const struct type *right) {
    bool left_decimal = left->id == TYPE_DECIMAL, right_decimal = right->id == TYPE_DECIMAL;
    if (left_decimal || right_decimal) {
        const struct type *other = left_decimal ? right : left;
        if (other->id == TYPE_FLOAT || other->id == TYPE_DOUBLE) return &type_double;
        return wider_decimal(a, decimal_for(a, left), decimal_for(a, right));
    }
    const struct type *wider = left->id > right->id ? left : right;
    return wider->id == TYPE_FLOAT && left->id != right->id ? &type_double : wider;
}

static const struct type *wider_datetime(const struct type *left, const struct type *right) {
    if (left->id == TYPE_TIMESTAMP || right->id == TYPE_TIMESTAMP) return &type_timestamp;
    return &type_timestamp_ntz;
}

static const struct type *common(struct arena *a, const struct type *left, const struct type *right, bool strings);

static const struct type *common_nested(struct arena *a, const struct type *left, const struct type *right, bool strings) {
    if (left->id != right->id || left->field_count != right->field_count) return NULL;
    struct field *fields = arena_alloc_array(a, left->field_count + 1, sizeof *fields);
    if (!fields) return NULL;
    for (uint32_t i = 0; i < left->field_count; i++) {
        const struct field *l = &left->fields[i], *r = &right->fields[i];
        if (left->id == TYPE_STRUCT && strcasecmp(l->name, r->name) != 0) return NULL;
        const struct type *t = common(a, l->type, r->type, strings);
        if (!t) return NULL;
        fields[i] = (struct field){.name = l->name, .type = t, .nullable = l->nullable || r->nullable};
    }
    if (left->id == TYPE_ARRAY) return type_array(a, fields[0].type, fields[0].nullable);
    if (left->id == TYPE_MAP) return type_map(a, fields[0].type, fields[1].type, fields[1].nullable);
    return type_struct(a, fields, left->field_count);
}

static const struct type *with_string(const struct type *other) {
    if (type_is_integral(other)) return &type_bigint;
    if (type_is_numeric(other)) return &type_double;
    return is_atomic(other) ? other : NULL;
}

static const struct type *common(struct arena *a, const struct type *left, const struct type *right, bool strings) {
    if (left->id == TYPE_NULL) return right;
    if (right->id == TYPE_NULL) return left;
    if (type_equal(left, right) && !type_is_nested(left)) return left;
    if (type_is_numeric(left) && type_is_numeric(right)) return wider_number(a, left, right);
    if (is_datetime(left) && is_datetime(right)) return wider_datetime(left, right);
    if (left->id == right->id && (left->id == TYPE_INTERVAL_YM || left->id == TYPE_INTERVAL_DT)) {
        enum interval_unit start = left->start < right->start ? left->start : right->start;
        enum interval_unit end = left->end > right->end ? left->end : right->end;
        return left->id == TYPE_INTERVAL_YM ? type_interval_ym_range(a, start, end) : type_interval_dt_range(a, start, end);
    }
    if (type_is_nested(left) && type_is_nested(right)) return common_nested(a, left, right, strings);
    if (strings && left->id == TYPE_STRING) return with_string(right);
    if (strings && right->id == TYPE_STRING) return with_string(left);
    return NULL;
}

const struct type *coerce_tightest_common(struct arena *a, const struct type *left, const struct type *right) {
    return common(a, left, right, false);
}

const struct type *coerce_common(struct arena *a, const struct type *left, const struct type *right) { return common(a, left, right, true); }

// What may be stored into what without being asked: the ANSI store assignment, which Spark uses for arguments too.
static bool assignable(const struct type *from, const struct type *to) {
    if (from->id == TYPE_NULL || type_equal(from, to)) return true;
    if (type_is_numeric(from) && type_is_numeric(to)) return true;
    if (to->id == TYPE_STRING) return is_atomic(from) || from->id == TYPE_INTERVAL;
    if (is_datetime(from) && is_datetime(to)) return true;
    if (from->id == to->id && (from->id == TYPE_INTERVAL_YM || from->id == TYPE_INTERVAL_DT)) return true;
    if (from->id != to->id || !type_is_nested(from) || from->field_count != to->field_count) return false;
    for (uint32_t i = 0; i < from->field_count; i++)
        if (!assignable(from->fields[i].type, to->fields[i].type)) return false;
    return true;
}

bool coerce_implicit(const struct expr *from, const struct type *to) {
    const struct type *t = from->type;
    if (assignable(t, to)) return true;
    return t->id == TYPE_STRING && is_atomic(to);
}

static bool atomic_cast_allowed(const struct type *from, const struct type *to) {
    enum type_id f = from->id, t = to->id;
    bool number = type_is_numeric(from);
    switch (t) {
    case TYPE_STRING:
        return true;
    case TYPE_BINARY:
        return f == TYPE_STRING || f == TYPE_BINARY;
    case TYPE_BOOLEAN:
        return number || f == TYPE_STRING || f == TYPE_BOOLEAN;
    case TYPE_DATE:
        return f == TYPE_STRING || is_datetime(from);
    case TYPE_TIMESTAMP:
        return number || f == TYPE_STRING || is_datetime(from);
    case TYPE_TIMESTAMP_NTZ:
        return f == TYPE_STRING || is_datetime(from);
    case TYPE_INTERVAL:
        return f == TYPE_STRING || f == TYPE_INTERVAL;
    case TYPE_INTERVAL_YM:
    case TYPE_INTERVAL_DT:
        return f == TYPE_STRING || f == t || type_is_integral(from) || f == TYPE_DECIMAL;
    default:
        break;
    }
    if (!type_is_numeric(to)) return false;
    if (f == TYPE_INTERVAL_YM || f == TYPE_INTERVAL_DT) return type_is_integral(to) || t == TYPE_DECIMAL;
    return number || f == TYPE_STRING || f == TYPE_BOOLEAN || f == TYPE_TIMESTAMP;
}

bool cast_allowed(const struct type *from, const struct type *to) {
    if (from->id == TYPE_NULL || (!type_is_nested(from) && type_equal(from, to))) return true;
    if (to->id == TYPE_STRING) return true;
    if (!type_is_nested(from) && !type_is_nested(to)) return to->id != TYPE_NULL && atomic_cast_allowed(from, to);
    if (from->id != to->id || from->field_count != to->field_count) return false;
    for (uint32_t i = 0; i < from->field_count; i++) {
        if (!cast_allowed(from->fields[i].type, to->fields[i].type)) return false;
        if (from->fields[i].nullable && !to->fields[i].nullable && !(from->id == TYPE_MAP && i == 0)) return false;
    }
    return true;
}

bool cast_can_fail(const struct type *from, const struct type *to) {
    if (from->id == TYPE_NULL || to->id == TYPE_STRING || to->id == TYPE_BINARY) return false;
    if (type_is_nested(from)) {
        for (uint32_t i = 0; i < from->field_count && i < to->field_count; i++)
            if (cast_can_fail(from->fields[i].type, to->fields[i].type)) return true;
        return false;
    }
    if (type_is_integral(from) && type_is_integral(to)) return from->id > to->id;
    if (type_is_numeric(from) && (to->id == TYPE_DOUBLE || to->id == TYPE_FLOAT || to->id == TYPE_BOOLEAN)) return false;
    if (from->id == TYPE_BOOLEAN && to->id != TYPE_DECIMAL) return false;
    if (from->id == TYPE_DECIMAL && to->id == TYPE_DECIMAL) return to->scale < from->scale || to->precision - to->scale < from->precision - from->scale;
    if (is_datetime(from) && is_datetime(to)) return from->id == TYPE_DATE && to->id != TYPE_DATE;
    return true;
}
