// SPDX-License-Identifier: Apache-2.0
// compare.c: comparison kernels. Fixed-width types get a branch-free loop each, for column against column and column against constant;
// strings compare length and prefix first; everything else goes through value.h row by row.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3")
#endif
#include "compare.h"
#include "column/value.h"
#include "operand.h"

// NaN = NaN, NaN > everything else.
#define FRACTION_ORDER(name, c_type)                                                                                          \
    static inline uint8_t equal_##name(c_type a, c_type b) { return (uint8_t)((a == b) | ((a != a) & (b != b))); }            \
    static inline uint8_t less_##name(c_type a, c_type b) { return (uint8_t)((a < b) | ((a == a) & (b != b))); }
FRACTION_ORDER(float, float)
FRACTION_ORDER(double, double)
#undef FRACTION_ORDER

#define INTEGER_ORDER(name, c_type)                                                                  \
    static inline uint8_t equal_##name(c_type a, c_type b) { return a == b; }                        \
    static inline uint8_t less_##name(c_type a, c_type b) { return a < b; }
INTEGER_ORDER(uint8, uint8_t)
INTEGER_ORDER(int8, int8_t)
INTEGER_ORDER(int16, int16_t)
INTEGER_ORDER(int32, int32_t)
INTEGER_ORDER(int64, int64_t)
INTEGER_ORDER(decimal, __int128)
#undef INTEGER_ORDER

#define COMPARE_KERNEL(label, name, c_type, expression)                                                                 \
    static void kernel_##label##_##name(const struct column *const *args, struct column *out, const struct rows *rows,  \
                                        struct eval *eval) {                                                            \
        (void)eval;                                                                                                     \
        const c_type *restrict left = args[0]->values, *restrict right = args[1]->values;                               \
        uint8_t *restrict to = out->values;                                                                             \
        bool left_constant = args[0]->form == COLUMN_CONSTANT, right_constant = args[1]->form == COLUMN_CONSTANT;       \
        if (rows->indices || left_constant) {                                                                           \
            for (uint32_t i = 0; i < rows->count; i++) {                                                                \
                uint32_t row = rows_at(rows, i);                                                                        \
                c_type a = left[left_constant ? 0 : row], b = right[right_constant ? 0 : row];                          \
                to[row] = expression;                                                                                   \
            }                                                                                                           \
        } else if (right_constant) {                                                                                    \
            c_type b = right[0];                                                                                        \
            for (uint32_t i = 0; i < rows->count; i++) {                                                                \
                c_type a = left[i];                                                                                     \
                to[i] = expression;                                                                                     \
            }                                                                                                           \
        } else {                                                                                                        \
            for (uint32_t i = 0; i < rows->count; i++) {                                                                \
                c_type a = left[i], b = right[i];                                                                       \
                to[i] = expression;                                                                                     \
            }                                                                                                           \
        }                                                                                                               \
    }

#define COMPARE_KERNELS(name, c_type)                                       \
    COMPARE_KERNEL(equal, name, c_type, equal_##name(a, b))                 \
    COMPARE_KERNEL(differ, name, c_type, !equal_##name(a, b))               \
    COMPARE_KERNEL(less, name, c_type, less_##name(a, b))                   \
    COMPARE_KERNEL(at_most, name, c_type, !less_##name(b, a))               \
    COMPARE_KERNEL(greater, name, c_type, less_##name(b, a))                \
    COMPARE_KERNEL(at_least, name, c_type, !less_##name(a, b))

COMPARE_KERNELS(uint8, uint8_t)
COMPARE_KERNELS(int8, int8_t)
COMPARE_KERNELS(int16, int16_t)
COMPARE_KERNELS(int32, int32_t)
COMPARE_KERNELS(int64, int64_t)
COMPARE_KERNELS(float, float)
COMPARE_KERNELS(double, double)
COMPARE_KERNELS(decimal, __int128)
#undef COMPARE_KERNELS
#undef COMPARE_KERNEL

static inline bool order_holds(enum comparison op, int order) {
    switch (op) {
    case COMPARE_EQUAL: return order == 0;
    case COMPARE_NOT_EQUAL: return order != 0;
    case COMPARE_LESS: return order < 0;
    case COMPARE_LESS_EQUAL: return order <= 0;
    case COMPARE_GREATER: return order > 0;
    default: return order >= 0;
    }
}

static inline void compare_strings(const struct column *const *args, struct column *out, const struct rows *rows, enum comparison op) {
    const struct string_view *a = args[0]->values, *b = args[1]->values;
    uint8_t *to = out->values;
    bool equality = op == COMPARE_EQUAL || op == COMPARE_NOT_EQUAL;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        const struct string_view *x = &a[operand_index(args[0], row)], *y = &b[operand_index(args[1], row)];
        if (equality) to[row] = string_view_equal(x, y) == (op == COMPARE_EQUAL);
        else to[row] = order_holds(op, string_view_compare(x, y));
    }
}

static inline void compare_values(const struct column *const *args, struct column *out, const struct rows *rows, enum comparison op) {
    uint8_t *to = out->values;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        if (op == COMPARE_EQUAL || op == COMPARE_NOT_EQUAL) to[row] = value_equal(args[0], row, args[1], row) == (op == COMPARE_EQUAL);
        else to[row] = order_holds(op, value_compare(args[0], row, args[1], row));
    }
}

#define ROW_KERNELS(name, function)                                                                                                  \
    static void equal_of_##name(const struct column *const *a, struct column *o, const struct rows *r, struct eval *e) { (void)e; function(a, o, r, COMPARE_EQUAL); }     \
    static void differ_of_##name(const struct column *const *a, struct column *o, const struct rows *r, struct eval *e) { (void)e; function(a, o, r, COMPARE_NOT_EQUAL); } \
    static void less_of_##name(const struct column *const *a, struct column *o, const struct rows *r, struct eval *e) { (void)e; function(a, o, r, COMPARE_LESS); }       \
    static void at_most_of_##name(const struct column *const *a, struct column *o, const struct rows *r, struct eval *e) { (void)e; function(a, o, r, COMPARE_LESS_EQUAL); } \
    static void greater_of_##name(const struct column *const *a, struct column *o, const struct rows *r, struct eval *e) { (void)e; function(a, o, r, COMPARE_GREATER); } \
    static void at_least_of_##name(const struct column *const *a, struct column *o, const struct rows *r, struct eval *e) { (void)e; function(a, o, r, COMPARE_GREATER_EQUAL); }
ROW_KERNELS(strings, compare_strings)
ROW_KERNELS(values, compare_values)
#undef ROW_KERNELS

#define KERNEL_ROW(name)                                                                                            \
    {kernel_equal_##name, kernel_differ_##name, kernel_less_##name, kernel_at_most_##name, kernel_greater_##name, kernel_at_least_##name}
#define FUNCTION_ROW(name) {equal_of_##name, differ_of_##name, less_of_##name, at_most_of_##name, greater_of_##name, at_least_of_##name}

kernel comparison_kernel(enum comparison op, const struct type *t) {
    static const kernel kernels[TYPE_COUNT][COMPARISON_COUNT] = {
        [TYPE_NULL] = FUNCTION_ROW(values),       [TYPE_BOOLEAN] = KERNEL_ROW(uint8),      [TYPE_TINYINT] = KERNEL_ROW(int8),
        [TYPE_SMALLINT] = KERNEL_ROW(int16),      [TYPE_INT] = KERNEL_ROW(int32),          [TYPE_BIGINT] = KERNEL_ROW(int64),
        [TYPE_FLOAT] = KERNEL_ROW(float),         [TYPE_DOUBLE] = KERNEL_ROW(double),      [TYPE_DECIMAL] = KERNEL_ROW(decimal),
        [TYPE_STRING] = FUNCTION_ROW(strings),    [TYPE_BINARY] = FUNCTION_ROW(strings),   [TYPE_DATE] = KERNEL_ROW(int32),
        [TYPE_TIMESTAMP] = KERNEL_ROW(int64),     [TYPE_TIMESTAMP_NTZ] = KERNEL_ROW(int64), [TYPE_INTERVAL_YM] = KERNEL_ROW(int32),
        [TYPE_INTERVAL_DT] = KERNEL_ROW(int64),   [TYPE_INTERVAL] = FUNCTION_ROW(values),  [TYPE_ARRAY] = FUNCTION_ROW(values),
        [TYPE_MAP] = FUNCTION_ROW(values),        [TYPE_STRUCT] = FUNCTION_ROW(values),
    };
    return kernels[t->id][op];
}
#undef KERNEL_ROW
#undef FUNCTION_ROW

void kernel_null_safe_equal(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    uint8_t *to = out->values;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        to[row] = value_equal(args[0], row, args[1], row);
    }
}
