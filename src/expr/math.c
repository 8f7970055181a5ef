// SPDX-License-Identifier: Apache-2.0
// math.c: the table of mathematical functions, and the kernels over DOUBLE. A logarithm outside of its domain is NULL, as in Spark; every
// other function follows IEEE 754.
#include "column/decimal.h"
#include "column/value.h"
#include "expr/coerce.h"
#include "java_math.h"
#include "math_round.h"
#include "operator.h"
#include <math.h>

// --- one DOUBLE in, one out ---

#define UNARY_DOUBLE(name, expression)                                                                                          \
    static void kernel_##name(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) { \
        (void)eval;                                                                                                             \
        const double *restrict from = args[0]->values;                                                                          \
        double *restrict to = out->values;                                                                                      \
        for (uint32_t i = 0; i < rows->count; i++) {                                                                            \
            uint32_t row = rows_at(rows, i);                                                                                    \
            double x = from[row];                                                                                               \
            to[row] = expression;                                                                                               \
        }                                                                                                                       \
    }
UNARY_DOUBLE(sqrt, sqrt(x))
UNARY_DOUBLE(cbrt, (double)cbrtl(x))
UNARY_DOUBLE(exp, java_exp(x))
UNARY_DOUBLE(expm1, expm1(x))
UNARY_DOUBLE(rint, rint(x))
UNARY_DOUBLE(sin, sin(x))
UNARY_DOUBLE(cos, cos(x))
UNARY_DOUBLE(tan, tan(x))
UNARY_DOUBLE(cot, 1 / tan(x))
UNARY_DOUBLE(sec, 1 / cos(x))
UNARY_DOUBLE(csc, 1 / sin(x))
UNARY_DOUBLE(asin, asin(x))
UNARY_DOUBLE(acos, acos(x))
UNARY_DOUBLE(atan, atan(x))
UNARY_DOUBLE(sinh, sinh(x))
UNARY_DOUBLE(cosh, cosh(x))
UNARY_DOUBLE(tanh, tanh(x))
UNARY_DOUBLE(asinh, asinh(x))
UNARY_DOUBLE(acosh, acosh(x))
UNARY_DOUBLE(atanh, atanh(x))
UNARY_DOUBLE(degrees, x * (180.0 / M_PI))
UNARY_DOUBLE(radians, x / 180.0 * M_PI)
UNARY_DOUBLE(sign, x > 0 ? 1.0 : x < 0 ? -1.0 : x)
#undef UNARY_DOUBLE

// Functions with a domain: NULL where x is at or below a bound.
#define UNARY_DOMAIN(name, lowest, expression)                                                                                  \
    static void kernel_##name(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) { \
        (void)eval;                                                                                                             \
        const double *from = args[0]->values;                                                                                   \
        double *to = out->values;                                                                                               \
        for (uint32_t i = 0; i < rows->count; i++) {                                                                            \
            uint32_t row = rows_at(rows, i);                                                                                    \
            double x = from[row];                                                                                               \
            if (x <= lowest) out_set_null(out, row);                                                                            \
            else to[row] = expression;                                                                                          \
        }                                                                                                                       \
    }
UNARY_DOMAIN(ln, 0, java_log(x))
UNARY_DOMAIN(log10, 0, log10(x))
UNARY_DOMAIN(log2, 0, java_log(x) / java_log(2))
UNARY_DOMAIN(log1p, -1, log1p(x))
#undef UNARY_DOMAIN

#define BINARY_DOUBLE(name, expression)                                                                                         \
    static void kernel_##name(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) { \
        (void)eval;                                                                                                             \
        const double *left = args[0]->values, *right = args[1]->values;                                                         \
        double *to = out->values;                                                                                               \
        for (uint32_t i = 0; i < rows->count; i++) {                                                                            \
            uint32_t row = rows_at(rows, i);                                                                                    \
            double x = left[row], y = right[row];                                                                               \
            to[row] = expression;                                                                                               \
        }                                                                                                                       \
    }
BINARY_DOUBLE(pow, (y != y || ((x == 1 || x == -1) && isinf(y)) || (x == 1 && y != y)) ? NAN : pow(x, y))
BINARY_DOUBLE(hypot, hypot(x, y))
BINARY_DOUBLE(atan2, atan2(x + 0.0, y + 0.0))
#undef BINARY_DOUBLE

static void kernel_log_base(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    const double *base = args[0]->values, *x = args[1]->values;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        if (base[row] <= 0 || x[row] <= 0) out_set_null(out, row);
        else ((double *)out->values)[row] = java_log(x[row]) / java_log(base[row]);
    }
}

static enum status bind_log(struct binding *b, struct error *e) {
    if (b->arg_count == 1) b->kernel = kernel_ln;
    return binding_signature(b, "(DOUBLE, DOUBLE?) -> DOUBLE", e);
}

static void fill_constant(struct column *out, const struct rows *rows, double value) {
    for (uint32_t i = 0; i < rows->count; i++) ((double *)out->values)[rows_at(rows, i)] = value;
}
static void kernel_pi(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)args, (void)eval;
    fill_constant(out, rows, M_PI);
}
static void kernel_e(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)args, (void)eval;
    fill_constant(out, rows, M_E);
}

// --- abs, sign ---

static void absolute_decimal(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    const decimal *from = args[0]->values;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        ((decimal *)out->values)[row] = from[row] < 0 ? -from[row] : from[row];
    }
}

static bool is_interval(const struct type *t) { return t->id == TYPE_INTERVAL_YM || t->id == TYPE_INTERVAL_DT; }

static enum status bind_abs(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 1, 1, e));
    if (!is_interval(b->args[0]->type)) TRY(binding_signature(b, "(NUMERIC) -> NUMERIC", e));
    b->result = b->args[0]->type;
    b->kernel = b->result->id == TYPE_DECIMAL ? absolute_decimal : absolute_kernel(b->result->id);
    return STATUS_OK;
}

static void kernel_interval_sign(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    bool months = args[0]->type->id == TYPE_INTERVAL_YM;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        int64_t value = months ? column_int32(args[0], row) : column_int64(args[0], row);
        ((double *)out->values)[row] = (value > 0) - (value < 0);
    }
}

static enum status bind_sign(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 1, 1, e));
    if (!is_interval(b->args[0]->type)) return binding_signature(b, "(DOUBLE) -> DOUBLE", e);
    b->kernel = kernel_interval_sign;
    b->result = &type_double;
    return STATUS_OK;
}

// --- greatest, least ---

static void pick_extreme(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval, int direction) {
    uint32_t count = (uint32_t)(uintptr_t)eval->call->data;
    bool nested = type_is_nested(out->type);
    size_t width = type_width(out->type);
    const struct column **best = eval_alloc(eval, (eval->row_count + 1) * sizeof *best);
    if (!best) return;
    memset(best, 0, (eval->row_count + 1) * sizeof *best);
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        for (uint32_t k = 0; k < count; k++) {
            if (!column_is_valid(args[k], row)) continue;
            if (!best[row] || value_compare(args[k], row, best[row], row) * direction > 0) best[row] = args[k];
        }
        if (!best[row]) out_set_null(out, row);
        else if (!nested) memcpy((char *)out->values + row * width, (const char *)column_base(best[row])->values + column_index(best[row], row) * width, width);
    }
    if (!nested) return;
    struct column_builder all;
    column_builder_init(&all, eval->arena, out->type);
    for (uint32_t row = 0; row < eval->row_count; row++) {
        if (best[row]) column_builder_append_from(&all, best[row], row);
        else column_builder_append_null(&all);
    }
    if (column_builder_finish(&all, out) != STATUS_OK) eval->status = STATUS_NO_MEMORY;
}
static void kernel_greatest(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    pick_extreme(args, out, rows, eval, 1);
}
static void kernel_least(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    pick_extreme(args, out, rows, eval, -1);
}

static enum status bind_extreme(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 2, UINT32_MAX, e));
    const struct type *t = b->args[0]->type;
    bool nullable = true;
    for (uint32_t i = 1; i < b->arg_count && t; i++) t = coerce_tightest_common(b->arena, t, b->args[i]->type);
    if (!t) {
        error_set(e, STATUS_INVALID_QUERY, "DATATYPE_MISMATCH.DATA_DIFF_TYPES", "cannot resolve \"%s\" due to data type mismatch: its input should all be the same type", b->name);
        if (e) e->span = b->span;
        return STATUS_INVALID_QUERY;
    }
    if (!type_is_orderable(t)) return binary_type_error(b, "DATATYPE_MISMATCH.INVALID_ORDERING_TYPE", "the function does not support ordering on this type", e);
    if (t->id == TYPE_NULL) {
        b->replacement = b->args[0];
        return STATUS_OK;
    }
    for (uint32_t i = 0; i < b->arg_count; i++) {
        nullable &= b->args[i]->nullable;
        b->args[i] = expr_cast(b->arena, b->args[i], t, CAST_IMPLICIT);
        if (!b->args[i]) return error_no_memory(e);
    }
    b->result = t;
    b->nullable = nullable;
    b->data = (void *)(uintptr_t)b->arg_count;
    return STATUS_OK;
}

// --- NaN ---

static bool is_nan_at(const struct column *c, uint32_t row) {
    if (!column_is_valid(c, row)) return false;
    if (c->type->id == TYPE_FLOAT) return isnan(column_float(c, row));
    return isnan(column_double(c, row));
}

static void kernel_isnan(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    for (uint32_t i = 0; i < rows->count; i++) ((uint8_t *)out->values)[rows_at(rows, i)] = is_nan_at(args[0], rows_at(rows, i));
}

// nanvl(a, b): b is computed only where a is NaN.
static enum status bind_nanvl(struct binding *b, struct error *e) {
    TRY(binding_signature(b, "(DOUBLE, DOUBLE) -> DOUBLE | (FLOAT, FLOAT) -> FLOAT", e));
    struct expr *choice = expr_new(b->arena, EXPR_CASE, b->result, b->nullable, 3);
    if (!choice) return error_no_memory(e);
    TRY(function_call_named(b->arena, b->session, "isnan", b->args, 1, b->span, &choice->args[0], e));
    choice->args[1] = b->args[1];
    choice->args[2] = b->args[0];
    choice->has_else = true;
    choice->span = b->span;
    b->replacement = choice;
    return STATUS_OK;
}

// --- integers ---

static void kernel_factorial(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        int32_t n = column_int32(args[0], row);
        int64_t product = 1;
        if (n < 0 || n > 20) {
            out_set_null(out, row);
            continue;
        }
        for (int32_t k = 2; k <= n; k++) product *= k;
        ((int64_t *)out->values)[row] = product;
    }
}

static void kernel_bin(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        uint64_t value = (uint64_t)column_int64(args[0], row);
        char text[64];
        size_t begin = sizeof text;
        do text[--begin] = (char)('0' + (value & 1));
        while (value >>= 1);
        out_set_string(out, row, text + begin, sizeof text - begin, eval);
    }
}

// Digits of `text` in a base; false: beyond 64 bits. Stops at the first character that is no digit.
static bool read_in_base(const char *s, size_t n, unsigned base, uint64_t *out) {
    *out = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned digit = s[i] >= '0' && s[i] <= '9' ? (unsigned)(s[i] - '0') : (s[i] | 32) >= 'a' && (s[i] | 32) <= 'z' ? (unsigned)((s[i] | 32) - 'a' + 10) : 99;
        if (digit >= base) return true;
        if (__builtin_mul_overflow(*out, (uint64_t)base, out) || __builtin_add_overflow(*out, (uint64_t)digit, out)) return false;
    }
    return true;
}

static void conv_row(const struct string_view *v, int32_t from_base, int32_t to_base, struct column *out, uint32_t row, struct eval *eval) {
    const char *s = string_view_data(v);
    size_t n = v->size_bytes;
    while (n && *s == ' ') s++, n--;
    while (n && s[n - 1] == ' ') n--;
    bool bad_base = from_base < 2 || from_base > 36 || abs(to_base) < 2 || abs(to_base) > 36;
    if (!n || bad_base) {
        out_set_null(out, row);
        return;
    }
    bool negative = *s == '-';
    uint64_t value;
    if (!read_in_base(s + negative, n - negative, (unsigned)from_base, &value)) {
        eval_fail(eval, row, "ARITHMETIC_OVERFLOW", "the number does not fit 64 bits");
        return;
    }
    if (negative && to_base > 0) {
        // An unsigned result of a negative number: its two's complement, or all ones if even that is too small.
        value = (int64_t)value < 0 ? UINT64_MAX : (uint64_t)0 - value;
    }
    if (to_base < 0 && (int64_t)value < 0) {
        value = (uint64_t)0 - value;
        negative = true;
    }
    char text[72];
    size_t begin = sizeof text;
    unsigned base = (unsigned)abs(to_base);
    do text[--begin] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[value % base];
    while (value /= base);
    if (negative && to_base < 0) text[--begin] = '-';
    out_set_string(out, row, text + begin, sizeof text - begin, eval);
}

static void kernel_conv(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        conv_row(column_string(args[0], row), column_int32(args[1], row), column_int32(args[2], row), out, row, eval);
    }
}

static double bound_at(const struct column *c, uint32_t row) {
    if (c->type->id == TYPE_INTERVAL_YM) return column_int32(c, row);
    if (c->type->id == TYPE_INTERVAL_DT) return (double)column_int64(c, row);
    return column_double(c, row);
}

static void kernel_width_bucket(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        double value = bound_at(args[0], row), from = bound_at(args[1], row), to = bound_at(args[2], row);
        int64_t buckets = column_int64(args[3], row);
        if (buckets <= 0 || buckets == INT64_MAX || isnan(value) || from == to || !isfinite(from) || !isfinite(to)) {
            out_set_null(out, row);
            continue;
        }
        double into = from < to ? value - from : from - value, width = fabs(to - from);
        int64_t bucket = into < 0 ? 0 : into >= width ? buckets + 1 : (int64_t)((double)buckets * into / width) + 1;
        ((int64_t *)out->values)[row] = bucket;
    }
}

// --- pmod and the try_ forms ---

static enum status bind_pmod(struct binding *b, struct error *e) { return bind_arithmetic(b, POSITIVE_REMAINDER, false, e); }

// Temporal arithmetic has no try_ kernels: its errors are caught around the whole call.
static enum status bind_try(struct binding *b, enum arithmetic op, const char *name, struct error *e) {
    TRY(binding_require_count(b, 2, 2, e));
    bool temporal = false;
    for (uint32_t i = 0; i < 2; i++) {
        enum type_id id = b->args[i]->type->id;
        temporal |= id >= TYPE_DATE && id <= TYPE_INTERVAL;
    }
    b->nullable = true;
    for (uint32_t i = 0; i < 2 && !temporal; i++) {
        const struct type *other = b->args[1 - i]->type;
        if (b->args[i]->type->id != TYPE_STRING || !type_is_numeric(other)) continue;
        b->args[i] = expr_cast(b->arena, b->args[i], type_is_integral(other) ? &type_bigint : &type_double, CAST_TRY);
        if (!b->args[i]) return error_no_memory(e);
    }
    if (!temporal) return bind_arithmetic(b, op, true, e);
    struct expr *call;
    TRY(function_call_named(b->arena, b->session, name, b->args, 2, b->span, &call, e));
    b->replacement = expr_new(b->arena, EXPR_TRY, call->type, true, 1);
    if (!b->replacement) return error_no_memory(e);
    b->replacement->args[0] = call;
    b->replacement->span = b->span;
    return STATUS_OK;
}
static enum status bind_try_add(struct binding *b, struct error *e) { return bind_try(b, ADD, "+", e); }
static enum status bind_try_subtract(struct binding *b, struct error *e) { return bind_try(b, SUBTRACT, "-", e); }
static enum status bind_try_multiply(struct binding *b, struct error *e) { return bind_try(b, MULTIPLY, "*", e); }
static enum status bind_try_divide(struct binding *b, struct error *e) { return bind_try(b, DIVIDE, "/", e); }
static enum status bind_try_mod(struct binding *b, struct error *e) { return bind_try(b, REMAINDER, "%", e); }

enum {
    PLAIN = FUNCTION_TOTAL,
    DOMAIN_NULL = FUNCTION_MAY_BE_NULL,
    TRIED = FUNCTION_TAKES_CONSTANT | FUNCTION_MAY_BE_NULL,
    EXTREME = FUNCTION_HANDLES_NULL | FUNCTION_TAKES_ANY_FORM,
};
#define DOUBLE_LINE(name, doc, example, result) {#name, "(DOUBLE) -> DOUBLE", kernel_##name, NULL, PLAIN, doc, example, result}

static const struct function functions[] = {
    {"abs", "(NUMERIC) -> NUMERIC", NULL, bind_abs, FUNCTION_CAN_FAIL, "The absolute value", "abs(-5)", "5"},
    {"ceil", "(NUMERIC, INT?) -> BIGINT", NULL, bind_ceil, FUNCTION_CAN_FAIL, "The smallest whole number not below, or to so many digits", "ceil(1.2D)", "2"},
    {"ceiling", "(NUMERIC, INT?) -> BIGINT", NULL, bind_ceil, FUNCTION_CAN_FAIL, "As ceil", "ceiling(-1.2D)", "-1"},
    {"floor", "(NUMERIC, INT?) -> BIGINT", NULL, bind_floor, FUNCTION_CAN_FAIL, "The largest whole number not above, or to so many digits", "floor(1.8D)", "1"},
    {"round", "(NUMERIC, INT?) -> NUMERIC", NULL, bind_round, FUNCTION_CAN_FAIL, "Rounded to so many digits, halves away from zero", "round(2.5, 0)", "3"},
    {"bround", "(NUMERIC, INT?) -> NUMERIC", NULL, bind_bround, FUNCTION_CAN_FAIL, "Rounded to so many digits, halves to the even neighbour", "bround(2.5, 0)", "2"},
    DOUBLE_LINE(rint, "The nearest whole number as a DOUBLE, halves to even", "rint(2.5D)", "2.0"),
    DOUBLE_LINE(sqrt, "The square root", "sqrt(4)", "2.0"),
    DOUBLE_LINE(cbrt, "The cube root", "cbrt(27)", "3.0"),
    DOUBLE_LINE(exp, "e to the power", "exp(0)", "1.0"),
    DOUBLE_LINE(expm1, "e to the power, less one", "expm1(0)", "0.0"),
    {"ln", "(DOUBLE) -> DOUBLE", kernel_ln, NULL, DOMAIN_NULL, "The natural logarithm", "ln(1)", "0.0"},
    {"log", "(DOUBLE, DOUBLE?) -> DOUBLE", kernel_log_base, bind_log, DOMAIN_NULL, "The logarithm, natural or to a base given first", "log(2, 8)", "3.0"},
    {"log10", "(DOUBLE) -> DOUBLE", kernel_log10, NULL, DOMAIN_NULL, "The logarithm to base 10", "log10(1000)", "3.0"},
    {"log2", "(DOUBLE) -> DOUBLE", kernel_log2, NULL, DOMAIN_NULL, "The logarithm to base 2", "log2(8)", "3.0"},
    {"log1p", "(DOUBLE) -> DOUBLE", kernel_log1p, NULL, DOMAIN_NULL, "The natural logarithm of one more", "log1p(0)", "0.0"},
    {"pow", "(DOUBLE, DOUBLE) -> DOUBLE", kernel_pow, NULL, PLAIN, "One number to the power of the other", "pow(2, 10)", "1024.0"},
    {"power", "(DOUBLE, DOUBLE) -> DOUBLE", kernel_pow, NULL, PLAIN, "As pow", "power(2, 3)", "8.0"},
    {"sign", "(DOUBLE) -> DOUBLE", kernel_sign, bind_sign, PLAIN, "-1, 0 or 1 by the sign", "sign(-5)", "-1.0"},
    {"signum", "(DOUBLE) -> DOUBLE", kernel_sign, bind_sign, PLAIN, "As sign", "signum(5)", "1.0"},
    DOUBLE_LINE(sin, "The sine", "sin(0)", "0.0"),
    DOUBLE_LINE(cos, "The cosine", "cos(0)", "1.0"),
    DOUBLE_LINE(tan, "The tangent", "tan(0)", "0.0"),
    DOUBLE_LINE(cot, "The cotangent", "cot(1)", "0.6420926159343306"),
    DOUBLE_LINE(sec, "The secant", "sec(0)", "1.0"),
    DOUBLE_LINE(csc, "The cosecant", "csc(1)", "1.1883951057781212"),
    DOUBLE_LINE(asin, "The arc sine", "asin(0)", "0.0"),
    DOUBLE_LINE(acos, "The arc cosine", "acos(1)", "0.0"),
    DOUBLE_LINE(atan, "The arc tangent", "atan(0)", "0.0"),
    {"atan2", "(DOUBLE, DOUBLE) -> DOUBLE", kernel_atan2, NULL, PLAIN, "The angle of the point (second, first)", "atan2(0, 1)", "0.0"},
    DOUBLE_LINE(sinh, "The hyperbolic sine", "sinh(0)", "0.0"),
    DOUBLE_LINE(cosh, "The hyperbolic cosine", "cosh(0)", "1.0"),
    DOUBLE_LINE(tanh, "The hyperbolic tangent", "tanh(0)", "0.0"),
    DOUBLE_LINE(asinh, "The inverse hyperbolic sine", "asinh(0)", "0.0"),
    DOUBLE_LINE(acosh, "The inverse hyperbolic cosine", "acosh(1)", "0.0"),
    DOUBLE_LINE(atanh, "The inverse hyperbolic tangent", "atanh(0)", "0.0"),
    DOUBLE_LINE(degrees, "Radians to degrees", "degrees(pi())", "180.0"),
    DOUBLE_LINE(radians, "Degrees to radians", "radians(180)", "3.141592653589793"),
    {"hypot", "(DOUBLE, DOUBLE) -> DOUBLE", kernel_hypot, NULL, PLAIN, "The length of the hypotenuse", "hypot(3, 4)", "5.0"},
    {"pi", "() -> DOUBLE", kernel_pi, NULL, 0, "Pi", "pi()", "3.141592653589793"},
    {"e", "() -> DOUBLE", kernel_e, NULL, 0, "Euler's number", "e()", "2.718281828459045"},
    {"pmod", "(NUMERIC, NUMERIC) -> NUMERIC", NULL, bind_pmod, FUNCTION_CAN_FAIL | FUNCTION_TAKES_CONSTANT | FUNCTION_LAST_FIRST, "The remainder with the sign of the divisor", "pmod(-7, 3)", "2"},
    {"greatest", "(T, T...) -> T", kernel_greatest, bind_extreme, EXTREME, "The greatest argument; NULLs do not count", "greatest(1, NULL, 3)", "3"},
    {"least", "(T, T...) -> T", kernel_least, bind_extreme, EXTREME, "The least argument; NULLs do not count", "least(1, NULL, 3)", "1"},
    {"isnan", "(DOUBLE) -> BOOLEAN | (FLOAT) -> BOOLEAN", kernel_isnan, NULL, FUNCTION_HANDLES_NULL | FUNCTION_NEVER_NULL | FUNCTION_TAKES_ANY_FORM, "Is it NaN? A NULL is not",
     "isnan(CAST('NaN' AS DOUBLE))", "true"},
    {"nanvl", "(DOUBLE, DOUBLE) -> DOUBLE | (FLOAT, FLOAT) -> FLOAT", NULL, bind_nanvl, 0, "The second argument where the first is NaN",
     "nanvl(CAST('NaN' AS DOUBLE), 5)", "5.0"},
    {"factorial", "(INT) -> BIGINT", kernel_factorial, NULL, FUNCTION_MAY_BE_NULL, "1 × 2 × … × n; NULL below 0 and above 20", "factorial(5)", "120"},
    {"bin", "(BIGINT) -> STRING", kernel_bin, NULL, 0, "The binary digits", "bin(5)", "101"},
    {"conv", "(STRING, INT, INT) -> STRING", kernel_conv, NULL, FUNCTION_CAN_FAIL | FUNCTION_MAY_BE_NULL, "Digits of one base in another, 2 to 36", "conv('100', 2, 10)", "4"},
    {"width_bucket", "(DOUBLE, DOUBLE, DOUBLE, BIGINT) -> BIGINT | (INTERVAL YEAR TO MONTH, INTERVAL YEAR TO MONTH, INTERVAL YEAR TO MONTH, BIGINT) -> BIGINT | "
     "(INTERVAL DAY TO SECOND, INTERVAL DAY TO SECOND, INTERVAL DAY TO SECOND, BIGINT) -> BIGINT", kernel_width_bucket, NULL, FUNCTION_MAY_BE_NULL,
     "The bucket of so many equal ones between two bounds", "width_bucket(5.3, 0.2, 10.6, 5)", "3"},
    {"try_add", "(NUMERIC, NUMERIC) -> NUMERIC", NULL, bind_try_add, TRIED, "The sum, NULL where it does not fit", "try_add(2147483647, 1)", "NULL"},
    {"try_subtract", "(NUMERIC, NUMERIC) -> NUMERIC", NULL, bind_try_subtract, TRIED, "The difference, NULL where it does not fit", "try_subtract(5, 3)", "2"},
    {"try_multiply", "(NUMERIC, NUMERIC) -> NUMERIC", NULL, bind_try_multiply, TRIED, "The product, NULL where it does not fit", "try_multiply(2, 3)", "6"},
    {"try_divide", "(NUMERIC, NUMERIC) -> DOUBLE", NULL, bind_try_divide, TRIED, "The quotient, NULL for a division by zero", "try_divide(1, 0)", "NULL"},
    {"try_mod", "(NUMERIC, NUMERIC) -> NUMERIC", NULL, bind_try_mod, TRIED, "The remainder, NULL for a division by zero", "try_mod(5, 0)", "NULL"},
};
#undef DOUBLE_LINE

const struct function_table math_functions = {functions, sizeof functions / sizeof *functions, "math"};
