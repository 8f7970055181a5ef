// SPDX-License-Identifier: Apache-2.0
// arithmetic_decimal.c: kernels of arithmetic on DECIMAL. Precision and scale of arguments and result stand in their types; the exact
// result is rounded HALF_UP to the result's scale, and a row whose result does not fit fails.
#include "arithmetic.h"
#include "column/decimal.h"
#include "operand.h"

static void fail_range(struct column *out, uint32_t row, struct eval *eval) {
    operand_fail(out, row, "NUMERIC_VALUE_OUT_OF_RANGE.WITH_SUGGESTION", "the result does not fit the DECIMAL type of the expression", eval);
}

// a and b brought to one scale; false: beyond 128 bits, where the exact way through 256 is taken.
static inline bool same_scale(decimal *a, unsigned a_scale, decimal *b, unsigned b_scale) {
    if (a_scale < b_scale) return !__builtin_mul_overflow(*a, decimal_power_of_ten(b_scale - a_scale), a);
    if (b_scale < a_scale) return !__builtin_mul_overflow(*b, decimal_power_of_ten(a_scale - b_scale), b);
    return true;
}

static bool add_or_subtract(decimal a, decimal b, unsigned scale, bool subtract, const struct type *to, decimal *out) {
    decimal sum;
    if (subtract ? __builtin_sub_overflow(a, b, &sum) : __builtin_add_overflow(a, b, &sum)) return false;
    return decimal_rescale(sum, scale, to->scale, to->precision, out);
}

static void add_rows(const struct column *const *args, struct column *out, const struct rows *rows, bool subtract, struct eval *eval) {
    const decimal *a = args[0]->values, *b = args[1]->values;
    decimal *to = out->values;
    unsigned a_scale = args[0]->type->scale, b_scale = args[1]->type->scale;
    unsigned scale = a_scale > b_scale ? a_scale : b_scale;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        decimal x = a[operand_index(args[0], row)], y = b[operand_index(args[1], row)];
        bool fits = same_scale(&x, a_scale, &y, b_scale) && add_or_subtract(x, y, scale, subtract, out->type, &to[row]);
        if (fits) continue;
        x = a[operand_index(args[0], row)];
        y = b[operand_index(args[1], row)];
        if (!decimal_add(x, a_scale, subtract ? -y : y, b_scale, out->type->scale, out->type->precision, &to[row])) fail_range(out, row, eval);
    }
}

static void kernel_add(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    add_rows(args, out, rows, false, eval);
}
static void kernel_subtract(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    add_rows(args, out, rows, true, eval);
}

static void kernel_multiply(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    const decimal *a = args[0]->values, *b = args[1]->values;
    decimal *to = out->values;
    unsigned scale = (unsigned)args[0]->type->scale + args[1]->type->scale;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        if (!decimal_multiply(a[operand_index(args[0], row)], b[operand_index(args[1], row)], scale, out->type->scale, out->type->precision, &to[row]))
            fail_range(out, row, eval);
    }
}

static void kernel_divide(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    const decimal *a = args[0]->values, *b = args[1]->values;
    decimal *to = out->values;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        decimal divisor = b[operand_index(args[1], row)];
        if (divisor == 0) operand_fail(out, row, "DIVIDE_BY_ZERO", "division by zero", eval);
        else if (!decimal_divide(a[operand_index(args[0], row)], args[0]->type->scale, divisor, args[1]->type->scale, out->type->scale,
                                 out->type->precision, &to[row]))
            fail_range(out, row, eval);
    }
}

// BIGINT quotient, cut toward zero. One beyond BIGINT wraps, as Spark's does even under ANSI.
static void kernel_integral(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    const decimal *a = args[0]->values, *b = args[1]->values;
    int64_t *to = out->values;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        decimal x = a[operand_index(args[0], row)], y = b[operand_index(args[1], row)];
        if (y == 0) {
            operand_fail(out, row, "DIVIDE_BY_ZERO", "division by zero", eval);
            continue;
        }
        decimal quotient;
        if (decimal_quotient(x, args[0]->type->scale, y, args[1]->type->scale, &quotient)) to[row] = (int64_t)(uint64_t)quotient;
        else fail_range(out, row, eval);
    }
}

static void remainder_rows(const struct column *const *args, struct column *out, const struct rows *rows, bool positive, struct eval *eval) {
    const decimal *a = args[0]->values, *b = args[1]->values;
    decimal *to = out->values;
    unsigned a_scale = args[0]->type->scale, b_scale = args[1]->type->scale;
    unsigned scale = a_scale > b_scale ? a_scale : b_scale;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        decimal x = a[operand_index(args[0], row)], y = b[operand_index(args[1], row)];
        if (y == 0) {
            operand_fail(out, row, "REMAINDER_BY_ZERO", "remainder by zero", eval);
            continue;
        }
        decimal r = decimal_remainder(x, a_scale, y, b_scale);
        decimal to_add = positive && r < 0 && y > 0 ? y : 0;  // under a negative divisor the remainder stays as it is
        if (!decimal_add(r, scale, to_add, b_scale, out->type->scale, out->type->precision, &to[row])) fail_range(out, row, eval);
    }
}

static void kernel_remainder(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    remainder_rows(args, out, rows, false, eval);
}
static void kernel_pmod(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    remainder_rows(args, out, rows, true, eval);
}

kernel decimal_kernel(enum arithmetic op) {
    static const kernel kernels[ARITHMETIC_COUNT] = {
        [ADD] = kernel_add, [SUBTRACT] = kernel_subtract, [MULTIPLY] = kernel_multiply, [DIVIDE] = kernel_divide,
        [INTEGRAL_DIVIDE] = kernel_integral, [REMAINDER] = kernel_remainder, [POSITIVE_REMAINDER] = kernel_pmod,
    };
    return kernels[op];
}
