// SPDX-License-Identifier: Apache-2.0
// math_round.c: rounding to a number of digits. DOUBLE and FLOAT are rounded as they print: 1.005 to two digits is 1.01 although the binary
// value lies below, because that is what Spark's detour over BigDecimal does.
#include "math_round.h"
#include "column/decimal.h"
#include "column/number_text.h"
#include "expr/coerce.h"
#include <math.h>

enum rounding { HALF_UP, HALF_EVEN, CEILING, FLOOR };

struct round_data {
    enum rounding mode;
    int digits;  // after the point; negative: before it
};

// value / 10^drop, rounded.
static decimal divide_rounded(decimal value, unsigned drop, enum rounding mode) {
    if (drop > DECIMAL_MAX_PRECISION) return mode == CEILING ? value > 0 : mode == FLOOR ? -(value < 0) : 0;
    decimal power = decimal_power_of_ten(drop), quotient = value / power, rest = value % power;
    decimal magnitude = rest < 0 ? -rest : rest;
    int away = value < 0 ? -1 : 1;
    if (rest == 0) return quotient;
    if (mode == CEILING) return quotient + (value > 0);
    if (mode == FLOOR) return quotient - (value < 0);
    decimal other = power - magnitude;
    bool up = magnitude > other || (magnitude == other && (mode == HALF_UP || quotient % 2 != 0));
    return up ? quotient + away : quotient;
}

static bool round_decimal(decimal value, unsigned scale, const struct round_data *d, const struct type *to, decimal *out) {
    int keep = d->digits;
    decimal rounded = value;
    unsigned new_scale = scale;
    if (keep < (int)scale) {
        unsigned drop = (unsigned)((int)scale - keep);
        rounded = divide_rounded(value, drop, d->mode);
        new_scale = 0;
        if (keep < 0) {
            if (keep < -DECIMAL_MAX_PRECISION) return *out = 0, rounded == 0;
            if (__builtin_mul_overflow(rounded, decimal_power_of_ten((unsigned)-keep), &rounded)) return false;
        } else {
            new_scale = (unsigned)keep;
        }
    }
    return decimal_rescale(rounded, new_scale, to->scale, to->precision, out);
}

static void kernel_decimal(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    const struct round_data *d = eval->call->data;
    const decimal *from = args[0]->values;
    decimal *to = out->values;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        if (!round_decimal(from[row], args[0]->type->scale, d, out->type, &to[row]))
            eval_fail(eval, row, "NUMERIC_VALUE_OUT_OF_RANGE.WITH_SUGGESTION", "the result does not fit the DECIMAL type of the expression");
    }
}

static int64_t integer_at(const struct column *c, uint32_t row) {
    switch (c->type->id) {
    case TYPE_TINYINT: return column_int8(c, row);
    case TYPE_SMALLINT: return column_int16(c, row);
    case TYPE_INT: return column_int32(c, row);
    default: return column_int64(c, row);
    }
}

static bool put_integer(struct column *out, uint32_t row, decimal value) {
    switch (out->type->id) {
    case TYPE_TINYINT: return ((int8_t *)out->values)[row] = (int8_t)value, value == (int8_t)value;
    case TYPE_SMALLINT: return ((int16_t *)out->values)[row] = (int16_t)value, value == (int16_t)value;
    case TYPE_INT: return ((int32_t *)out->values)[row] = (int32_t)value, value == (int32_t)value;
    default: return ((int64_t *)out->values)[row] = (int64_t)value, value == (int64_t)value;
    }
}

static void kernel_integer(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    const struct round_data *d = eval->call->data;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        decimal value = integer_at(args[0], row);
        unsigned drop = d->digits < 0 ? (unsigned)-d->digits : 0;
        if (drop > 20) value = 0;
        else if (drop) value = divide_rounded(value, drop, d->mode) * decimal_power_of_ten(drop);
        if (!put_integer(out, row, value)) eval_fail(eval, row, "ARITHMETIC_OVERFLOW", "the result does not fit its type");
    }
}

// Rounds the printed form "[-]ddd.ddd[E±x]" and reads it back.
static double round_text(const char *text, size_t length, const struct round_data *d) {
    char digits[48];
    int count = 0, point = 0, exponent = 0;
    bool negative = text[0] == '-', seen_point = false;
    for (size_t i = negative; i < length; i++) {
        if (text[i] == 'E') {
            int64_t value = 0;
            bool overflow;
            if (parse_int64(text + i + 1, length - i - 1, &value, &overflow)) exponent = (int)value;
            break;
        }
        if (text[i] == '.') seen_point = true;
        else if (count < 40) digits[count++] = text[i], point += !seen_point;
    }
    point += exponent;  // value = 0.digits × 10^point
    int keep = point + d->digits;
    if (keep >= count) keep = count;
    decimal value = 0;
    for (int i = 0; i < count; i++) value = value * 10 + (digits[i] - '0');
    decimal rounded = keep < 0 ? 0 : divide_rounded(value, (unsigned)(count - keep), d->mode);
    char written[80], number[64];
    number[decimal_print(rounded, 0, number)] = 0;
    int size = snprintf(written, sizeof written, "%s%sE%d", negative ? "-" : "", number, keep < 0 ? 0 : point - keep);
    double result;
    if (size < 0 || !parse_double(written, (size_t)size, &result)) return 0;
    return result == 0 ? 0.0 : result;
}

static void kernel_fraction(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    const struct round_data *d = eval->call->data;
    bool is_float = args[0]->type->id == TYPE_FLOAT;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        double value = is_float ? (double)column_float(args[0], row) : column_double(args[0], row), result = value;
        char text[NUMBER_TEXT_MAX];
        if (!isfinite(value)) {
            result = value;
        } else if (d->digits == 0 && d->mode == HALF_UP) {
            result = round(value);
            if (result == 0) result = 0.0;
        } else {
            size_t length = is_float ? print_float(column_float(args[0], row), text) : print_double(value, text);
            result = round_text(text, length, d);
        }
        if (is_float) ((float *)out->values)[row] = (float)result;
        else ((double *)out->values)[row] = result;
    }
}

// ceil and floor want a constant INT that is not NULL; round and bround any constant that becomes one.
static enum status check_digits_foldable(struct binding *b, enum rounding mode, struct error *e) {
    const struct expr *digits = b->arg_count == 2 ? b->args[1] : NULL;
    if (!digits || (mode != CEILING && mode != FLOOR)) return STATUS_OK;
    const struct column *value = NULL;
    if (digits->type->id == TYPE_INT && expr_is_constant(digits)) TRY(binding_constant(b, 1, &value, e));
    if (value) return STATUS_OK;
    error_set(e, STATUS_INVALID_QUERY, "NON_FOLDABLE_ARGUMENT", "the number of digits of %s must be a constant INT, not NULL", b->name);
    if (e) e->span = span_known(digits->span) ? digits->span : b->span;
    return STATUS_INVALID_QUERY;
}

static enum status round_digits(struct binding *b, int *digits, struct error *e) {
    *digits = 0;
    if (b->arg_count < 2) return STATUS_OK;
    TRY(binding_cast(b, 1, &type_int, e));
    const struct column *value;
    TRY(binding_constant(b, 1, &value, e));
    if (!value) {
        b->nullable = true;
        return STATUS_OK;
    }
    int32_t n = column_int32(value, 0);
    *digits = n > 400 ? 400 : n < -400 ? -400 : n;
    return STATUS_OK;
}

static int most(int a, int b) { return a > b ? a : b; }
static int least(int a, int b) { return a < b ? a : b; }

static const struct type *rounded_type(struct arena *a, const struct type *t, int digits) {
    int whole = t->precision - t->scale + 1;
    if (digits < 0) return type_decimal(a, (uint8_t)least(most(whole, -digits + 1), DECIMAL_MAX_PRECISION), 0);
    int scale = least(t->scale, digits);
    return type_decimal(a, (uint8_t)least(whole + scale, DECIMAL_MAX_PRECISION), (uint8_t)scale);
}

static enum status bind_rounding(struct binding *b, enum rounding mode, struct error *e) {
    TRY(check_digits_foldable(b, mode, e));
    TRY(binding_signature(b, "(NUMERIC, INT?) -> NUMERIC", e));
    struct round_data *d = arena_alloc_zeroed(b->arena, sizeof *d);
    if (!d) return error_no_memory(e);
    d->mode = mode;
    TRY(round_digits(b, &d->digits, e));
    b->data = d;
    const struct type *t = b->args[0]->type;
    if ((mode == CEILING || mode == FLOOR) && t->id != TYPE_DECIMAL) {
        TRY(binding_cast(b, 0, decimal_for(b->arena, t), e));
        t = b->args[0]->type;
    }
    b->result = t->id == TYPE_DECIMAL ? rounded_type(b->arena, t, d->digits) : t;
    b->kernel = t->id == TYPE_DECIMAL ? kernel_decimal : t->id == TYPE_FLOAT || t->id == TYPE_DOUBLE ? kernel_fraction : kernel_integer;
    return b->result ? STATUS_OK : error_no_memory(e);
}

enum status bind_round(struct binding *b, struct error *e) { return bind_rounding(b, HALF_UP, e); }
enum status bind_bround(struct binding *b, struct error *e) { return bind_rounding(b, HALF_EVEN, e); }

// --- ceil and floor without digits: BIGINT, or a DECIMAL without fraction ---

static int64_t saturated(double value) {
    if (value != value) return 0;
    return value >= 9223372036854775807.0 ? INT64_MAX : value <= -9223372036854775808.0 ? INT64_MIN : (int64_t)value;
}

static void kernel_ceil(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    const double *from = args[0]->values;
    for (uint32_t i = 0; i < rows->count; i++) ((int64_t *)out->values)[rows_at(rows, i)] = saturated(ceil(from[rows_at(rows, i)]));
}
static void kernel_floor(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    const double *from = args[0]->values;
    for (uint32_t i = 0; i < rows->count; i++) ((int64_t *)out->values)[rows_at(rows, i)] = saturated(floor(from[rows_at(rows, i)]));
}

static enum status bind_whole(struct binding *b, enum rounding mode, struct error *e) {
    if (b->arg_count == 2) return bind_rounding(b, mode, e);
    TRY(binding_signature(b, "(NUMERIC) -> BIGINT", e));
    const struct type *t = b->args[0]->type;
    if (t->id == TYPE_DECIMAL) return bind_rounding(b, mode, e);
    if (type_is_integral(t)) {
        b->replacement = expr_cast(b->arena, b->args[0], &type_bigint, CAST_IMPLICIT);
        return b->replacement ? STATUS_OK : error_no_memory(e);
    }
    TRY(binding_cast(b, 0, &type_double, e));
    b->kernel = mode == CEILING ? kernel_ceil : kernel_floor;
    return STATUS_OK;
}

enum status bind_ceil(struct binding *b, struct error *e) { return bind_whole(b, CEILING, e); }
enum status bind_floor(struct binding *b, struct error *e) { return bind_whole(b, FLOOR, e); }
