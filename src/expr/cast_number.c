// SPDX-License-Identifier: Apache-2.0
// cast_number.c: casts among BOOLEAN, integers, FLOAT, DOUBLE and DECIMAL. Fractions are cut toward zero; what does not fit is
// CAST_OVERFLOW, or NUMERIC_VALUE_OUT_OF_RANGE for decimals.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3")
#endif
#include "cast_rows.h"
#include "column/decimal.h"
#include "column/number_text.h"
#include <math.h>

static void fail_overflow(const struct cast *c, uint32_t row) { cast_fail(c, row, "CAST_OVERFLOW", "the value does not fit the type it is cast to"); }
static void fail_decimal(const struct cast *c, uint32_t row) {
    cast_fail(c, row, "NUMERIC_VALUE_OUT_OF_RANGE.WITH_SUGGESTION", "the value does not fit the DECIMAL type it is cast to");
}

int64_t cast_integer_at(const struct column *c, uint32_t row) {
    switch (c->type->id) {
    case TYPE_BOOLEAN: return ((const uint8_t *)c->values)[row];
    case TYPE_TINYINT: return ((const int8_t *)c->values)[row];
    case TYPE_SMALLINT: return ((const int16_t *)c->values)[row];
    case TYPE_INT: return ((const int32_t *)c->values)[row];
    default: return ((const int64_t *)c->values)[row];
    }
}

bool cast_put_integer(struct column *out, uint32_t row, int64_t value) {
    switch (out->type->id) {
    case TYPE_TINYINT: return ((int8_t *)out->values)[row] = (int8_t)value, value == (int8_t)value;
    case TYPE_SMALLINT: return ((int16_t *)out->values)[row] = (int16_t)value, value == (int16_t)value;
    case TYPE_INT: return ((int32_t *)out->values)[row] = (int32_t)value, value == (int32_t)value;
    default: return ((int64_t *)out->values)[row] = value, true;
    }
}

// Widening and conversions that cannot fail: plain loops.
#define CONVERT(from_type, to_type)                                                                      \
    do {                                                                                                 \
        const from_type *restrict from = c->from->values;                                                \
        to_type *restrict to = c->out->values;                                                           \
        if (!c->rows->indices) {                                                                         \
            for (uint32_t i = 0; i < c->rows->count; i++) to[i] = (to_type)from[i];                      \
        } else {                                                                                         \
            for (uint32_t i = 0; i < c->rows->count; i++) to[c->rows->indices[i]] = (to_type)from[c->rows->indices[i]]; \
        }                                                                                                \
        return true;                                                                                     \
    } while (0)

static bool widen(const struct cast *c) {
    enum type_id f = c->from->type->id, t = c->to->id;
    if (f == TYPE_INT && t == TYPE_BIGINT) CONVERT(int32_t, int64_t);
    if (f == TYPE_INT && t == TYPE_DOUBLE) CONVERT(int32_t, double);
    if (f == TYPE_BIGINT && t == TYPE_DOUBLE) CONVERT(int64_t, double);
    if (f == TYPE_BIGINT && t == TYPE_FLOAT) CONVERT(int64_t, float);
    if (f == TYPE_INT && t == TYPE_FLOAT) CONVERT(int32_t, float);
    if (f == TYPE_SMALLINT && t == TYPE_INT) CONVERT(int16_t, int32_t);
    if (f == TYPE_SMALLINT && t == TYPE_BIGINT) CONVERT(int16_t, int64_t);
    if (f == TYPE_TINYINT && t == TYPE_INT) CONVERT(int8_t, int32_t);
    if (f == TYPE_TINYINT && t == TYPE_BIGINT) CONVERT(int8_t, int64_t);
    if (f == TYPE_FLOAT && t == TYPE_DOUBLE) CONVERT(float, double);
    if (f == TYPE_DOUBLE && t == TYPE_FLOAT) CONVERT(double, float);
    if (f == TYPE_BOOLEAN && t == TYPE_INT) CONVERT(uint8_t, int32_t);
    return false;
}
#undef CONVERT

static void put_fraction(struct column *out, uint32_t row, double value) {
    if (out->type->id == TYPE_FLOAT) ((float *)out->values)[row] = (float)value;
    else ((double *)out->values)[row] = value;
}

static void from_integer(const struct cast *c) {
    bool fraction = c->to->id == TYPE_FLOAT || c->to->id == TYPE_DOUBLE;
    for (uint32_t i = 0; i < c->rows->count; i++) {
        uint32_t row = rows_at(c->rows, i);
        int64_t value = cast_integer_at(c->from, row);
        if (c->to->id == TYPE_BOOLEAN) ((uint8_t *)c->out->values)[row] = value != 0;
        else if (fraction) put_fraction(c->out, row, (double)value);
        else if (!cast_put_integer(c->out, row, value)) fail_overflow(c, row);
    }
}

static void from_fraction(const struct cast *c) {
    bool is_float = c->from->type->id == TYPE_FLOAT;
    // Java widens the bounds to the source type: 2147483648 as a float counts as the largest INT.
    for (uint32_t i = 0; i < c->rows->count; i++) {
        uint32_t row = rows_at(c->rows, i);
        double value = is_float ? (double)((const float *)c->from->values)[row] : ((const double *)c->from->values)[row];
        if (c->to->id == TYPE_BOOLEAN) {
            ((uint8_t *)c->out->values)[row] = value != 0;
            continue;
        }
        double whole = trunc(value);
        bool fits = whole >= -9223372036854775808.0 && whole <= 9223372036854775807.0;
        int64_t integer = !fits ? 0 : whole >= 9223372036854775808.0 ? INT64_MAX : (int64_t)whole;
        if (!fits || !cast_put_integer(c->out, row, integer)) fail_overflow(c, row);
    }
}

static void from_decimal(const struct cast *c) {
    const decimal *from = c->from->values;
    unsigned scale = c->from->type->scale;
    for (uint32_t i = 0; i < c->rows->count; i++) {
        uint32_t row = rows_at(c->rows, i);
        int64_t integer;
        if (c->to->id == TYPE_BOOLEAN) ((uint8_t *)c->out->values)[row] = from[row] != 0;
        else if (c->to->id == TYPE_FLOAT) {
            char text[DECIMAL_TEXT_MAX];  // through the digits: rounding to double first would round twice
            size_t length = decimal_print(from[row], scale, text);
            if (!parse_float(text, length, &((float *)c->out->values)[row])) fail_overflow(c, row);
        } else if (c->to->id == TYPE_DOUBLE) ((double *)c->out->values)[row] = decimal_to_double(from[row], scale);
        else if (!decimal_to_int64(from[row], scale, &integer) || !cast_put_integer(c->out, row, integer)) fail_overflow(c, row);
    }
}

bool cast_from_number(const struct cast *c) {
    const struct type *f = c->from->type;
    if (!type_is_numeric(f) && f->id != TYPE_BOOLEAN) return false;
    if (!type_is_numeric(c->to) && c->to->id != TYPE_BOOLEAN) return false;
    if (widen(c)) return true;
    if (f->id == TYPE_DECIMAL) from_decimal(c);
    else if (f->id == TYPE_FLOAT || f->id == TYPE_DOUBLE) from_fraction(c);
    else from_integer(c);
    return true;
}

bool cast_to_decimal(const struct cast *c) {
    decimal *to = c->out->values;
    unsigned precision = c->to->precision, scale = c->to->scale;
    enum type_id f = c->from->type->id;
    if (!type_is_numeric(c->from->type) && f != TYPE_BOOLEAN) return false;
    for (uint32_t i = 0; i < c->rows->count; i++) {
        uint32_t row = rows_at(c->rows, i);
        bool fits;
        if (f == TYPE_DECIMAL) {
            fits = decimal_rescale(((const decimal *)c->from->values)[row], c->from->type->scale, scale, precision, &to[row]);
        } else if (f == TYPE_FLOAT || f == TYPE_DOUBLE) {
            double value = f == TYPE_FLOAT ? (double)((const float *)c->from->values)[row] : ((const double *)c->from->values)[row];
            if (!isfinite(value)) {
                out_set_null(c->out, row);
                continue;
            }
            fits = decimal_from_double(value, precision, scale, &to[row]);
        } else {
            fits = decimal_rescale(cast_integer_at(c->from, row), 0, scale, precision, &to[row]);
        }
        if (!fits) fail_decimal(c, row);
    }
    return true;
}
