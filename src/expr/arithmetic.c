// SPDX-License-Identifier: Apache-2.0
// arithmetic.c: kernels of arithmetic on integers and binary fractions, ANSI: what does not fit fails its row.
//
// Each family is one loop written for three shapes (column ⊕ column, column ⊕ constant, by index), over an inline operation that says
// whether the row is bad. The dense loops have no branch, so that the compiler vectorises them; bad rows are looked for afterwards, and
// only if there was one. Remainders by a constant multiply with its reciprocal (Granlund & Montgomery 1994; Warren, Hacker's Delight, ch. 10).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3")
#endif
#include "arithmetic.h"
#include "operand.h"
#include <math.h>

const char arithmetic_is_try[] = "try";

static void fail_overflow(struct column *out, uint32_t row, struct eval *eval) {
    bool small = out->type->id == TYPE_TINYINT || out->type->id == TYPE_SMALLINT;
    operand_fail(out, row, small ? "BINARY_ARITHMETIC_OVERFLOW" : "ARITHMETIC_OVERFLOW", "the result does not fit its type", eval);
}
static void fail_division(struct column *out, uint32_t row, struct eval *eval) { operand_fail(out, row, "DIVIDE_BY_ZERO", "division by zero", eval); }
static void fail_remainder(struct column *out, uint32_t row, struct eval *eval) { operand_fail(out, row, "REMAINDER_BY_ZERO", "remainder by zero", eval); }

// --- operations: the result, and whether the row is bad ---

#define INTEGER_OPERATIONS(name, c_type, u_type, wide_type)                                                       \
    static inline unsigned add_##name(c_type a, c_type b, c_type *out) {                                          \
        c_type r = (c_type)((u_type)a + (u_type)b);                                                               \
        *out = r;                                                                                                 \
        return (c_type)((a ^ r) & (b ^ r)) < 0;                                                                   \
    }                                                                                                             \
    static inline unsigned subtract_##name(c_type a, c_type b, c_type *out) {                                     \
        c_type r = (c_type)((u_type)a - (u_type)b);                                                               \
        *out = r;                                                                                                 \
        return (c_type)((a ^ b) & (a ^ r)) < 0;                                                                   \
    }                                                                                                             \
    static inline unsigned multiply_##name(c_type a, c_type b, c_type *out) { return __builtin_mul_overflow(a, b, out); } \
    static inline unsigned remainder_##name(c_type a, c_type b, c_type *out) {                                    \
        c_type divisor = (c_type)(b == 0 || b == -1 ? 1 : b); /* MIN % -1 traps, and is 0 */                     \
        *out = (c_type)(a % divisor);                                                                             \
        return b == 0;                                                                                            \
    }                                                                                                             \
    static inline unsigned pmod_##name(c_type a, c_type b, c_type *out) {                                         \
        c_type divisor = (c_type)(b == 0 || b == -1 ? 1 : b);                                                     \
        c_type r = (c_type)(a % divisor);                                                                         \
        *out = r < 0 ? (c_type)(((wide_type)r + b) % divisor) : r;                                                \
        return b == 0;                                                                                            \
    }                                                                                                             \
    static inline unsigned negate_##name(c_type a, c_type *out) {                                                 \
        *out = (c_type)((u_type)0 - (u_type)a);                                                                   \
        return a == *out && a != 0;                                                                               \
    }                                                                                                             \
    static inline unsigned absolute_##name(c_type a, c_type *out) {                                               \
        c_type r = a < 0 ? (c_type)((u_type)0 - (u_type)a) : a;                                                   \
        *out = r;                                                                                                 \
        return r < 0;                                                                                             \
    }

INTEGER_OPERATIONS(int8, int8_t, uint8_t, int32_t)
INTEGER_OPERATIONS(int16, int16_t, uint16_t, int32_t)
INTEGER_OPERATIONS(int32, int32_t, uint32_t, int64_t)
INTEGER_OPERATIONS(int64, int64_t, uint64_t, __int128)
#undef INTEGER_OPERATIONS

static inline unsigned divide_int64(int64_t a, int64_t b, int64_t *out) {
    if (b == 0 || b == -1) {
        *out = (int64_t)((uint64_t)0 - (uint64_t)a);
        return b == 0 || a == INT64_MIN;
    }
    *out = a / b;
    return 0;
}

#define FRACTION_OPERATIONS(name, c_type, fmod_function)                                                                       \
    static inline unsigned add_##name(c_type a, c_type b, c_type *out) { return *out = a + b, 0u; }                            \
    static inline unsigned subtract_##name(c_type a, c_type b, c_type *out) { return *out = a - b, 0u; }                       \
    static inline unsigned multiply_##name(c_type a, c_type b, c_type *out) { return *out = a * b, 0u; }                       \
    static inline unsigned remainder_##name(c_type a, c_type b, c_type *out) { return *out = fmod_function(a, b), (unsigned)(b == 0); } \
    static inline unsigned pmod_##name(c_type a, c_type b, c_type *out) {                                                      \
        c_type r = fmod_function(a, b);                                                                                        \
        *out = r < 0 ? fmod_function(r + b, b) : r;                                                                            \
        return b == 0;                                                                                                         \
    }                                                                                                                          \
    static inline unsigned negate_##name(c_type a, c_type *out) { return *out = -a, 0u; }                                      \
    static inline unsigned absolute_##name(c_type a, c_type *out) { return *out = a < 0 || (a == 0 && signbit(a)) ? -a : a, 0u; }

FRACTION_OPERATIONS(float, float, fmodf)
FRACTION_OPERATIONS(double, double, fmod)
#undef FRACTION_OPERATIONS
static inline unsigned divide_double(double a, double b, double *out) { return *out = a / b, (unsigned)(b == 0); }

// --- kernels ---

#define BINARY_KERNEL(operation, name, c_type, fail)                                                                    \
    static void kernel_##operation##_##name(const struct column *const *args, struct column *out, const struct rows *rows, \
                                            struct eval *eval) {                                                        \
        const c_type *restrict a = args[0]->values, *restrict b = args[1]->values;                                      \
        c_type *restrict to = out->values;                                                                              \
        uint32_t count = rows->count;                                                                                   \
        bool a_constant = args[0]->form == COLUMN_CONSTANT, b_constant = args[1]->form == COLUMN_CONSTANT;              \
        unsigned bad = 0;                                                                                               \
        if (rows->indices || a_constant) {                                                                              \
            for (uint32_t i = 0; i < count; i++) {                                                                      \
                uint32_t row = rows_at(rows, i);                                                                        \
                bad |= operation##_##name(a[a_constant ? 0 : row], b[b_constant ? 0 : row], &to[row]);                  \
            }                                                                                                           \
        } else if (b_constant) {                                                                                        \
            c_type constant = b[0];                                                                                     \
            for (uint32_t i = 0; i < count; i++) bad |= operation##_##name(a[i], constant, &to[i]);                     \
        } else {                                                                                                        \
            for (uint32_t i = 0; i < count; i++) bad |= operation##_##name(a[i], b[i], &to[i]);                         \
        }                                                                                                               \
        for (uint32_t i = 0; bad && i < count; i++) {                                                                   \
            uint32_t row = rows_at(rows, i);                                                                            \
            c_type ignored;                                                                                             \
            if (operation##_##name(a[a_constant ? 0 : row], b[b_constant ? 0 : row], &ignored)) fail(out, row, eval);   \
        }                                                                                                               \
    }

#define UNARY_KERNEL(operation, name, c_type)                                                                           \
    static void kernel_##operation##_##name(const struct column *const *args, struct column *out, const struct rows *rows, \
                                            struct eval *eval) {                                                        \
        const c_type *restrict a = args[0]->values;                                                                     \
        c_type *restrict to = out->values;                                                                              \
        unsigned bad = 0;                                                                                               \
        if (!rows->indices) {                                                                                           \
            for (uint32_t i = 0; i < rows->count; i++) bad |= operation##_##name(a[i], &to[i]);                         \
        } else {                                                                                                        \
            for (uint32_t i = 0; i < rows->count; i++) bad |= operation##_##name(a[rows->indices[i]], &to[rows->indices[i]]); \
        }                                                                                                               \
        for (uint32_t i = 0; bad && i < rows->count; i++) {                                                             \
            uint32_t row = rows_at(rows, i);                                                                            \
            c_type ignored;                                                                                             \
            if (operation##_##name(a[row], &ignored)) operand_fail(out, row, "ARITHMETIC_OVERFLOW", "the result does not fit its type", eval); \
        }                                                                                                               \
    }

#define KERNELS_OF(name, c_type)                            \
    BINARY_KERNEL(add, name, c_type, fail_overflow)         \
    BINARY_KERNEL(subtract, name, c_type, fail_overflow)    \
    BINARY_KERNEL(multiply, name, c_type, fail_overflow)    \
    BINARY_KERNEL(pmod, name, c_type, fail_remainder)       \
    UNARY_KERNEL(negate, name, c_type)                      \
    UNARY_KERNEL(absolute, name, c_type)

KERNELS_OF(int8, int8_t)
KERNELS_OF(int16, int16_t)
KERNELS_OF(int32, int32_t)
KERNELS_OF(int64, int64_t)
KERNELS_OF(float, float)
KERNELS_OF(double, double)
BINARY_KERNEL(remainder, int8, int8_t, fail_remainder)
BINARY_KERNEL(remainder, int16, int16_t, fail_remainder)
BINARY_KERNEL(remainder, int32, int32_t, fail_remainder)
BINARY_KERNEL(remainder, int64, int64_t, fail_remainder)
BINARY_KERNEL(remainder, float, float, fail_remainder)
BINARY_KERNEL(remainder, double, double, fail_remainder)
BINARY_KERNEL(divide, double, double, fail_division)
#undef KERNELS_OF
#undef UNARY_KERNEL

static void kernel_divide_int64(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    const int64_t *a = args[0]->values, *b = args[1]->values;
    int64_t *to = out->values;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        int64_t divisor = b[operand_index(args[1], row)];
        if (!divide_int64(a[operand_index(args[0], row)], divisor, &to[row])) continue;
        if (divisor == 0) fail_division(out, row, eval);
        else fail_overflow(out, row, eval);
    }
}
#undef BINARY_KERNEL

// --- remainder by a constant ---

// a / divisor = (high half of a · multiplier, corrected) >> shift, for |divisor| ≥ 2.
struct reciprocal {
    int64_t multiplier;
    unsigned shift;
};

static struct reciprocal reciprocal_of(int64_t divisor) {
    const unsigned __int128 two_63 = (unsigned __int128)1 << 63;
    uint64_t magnitude = (uint64_t)divisor;
    unsigned exponent = 63;
    unsigned __int128 limit = two_63 - 1 - two_63 % magnitude;  // largest n with n mod divisor = divisor − 1
    unsigned __int128 power;
    do {
        exponent++;
        power = (unsigned __int128)1 << exponent;
    } while (power <= limit * (magnitude - power % magnitude));
    return (struct reciprocal){.multiplier = (int64_t)(uint64_t)((power + magnitude - power % magnitude) / magnitude), .shift = exponent - 64};
}

static inline int64_t remainder_by(int64_t a, int64_t divisor, struct reciprocal r) {
    int64_t quotient = (int64_t)((__int128)a * r.multiplier >> 64);
    quotient += r.multiplier < 0 ? a : 0;
    quotient >>= r.shift;
    quotient += (int64_t)((uint64_t)a >> 63);
    return a - quotient * divisor;
}

// The sign of a remainder is the dividend's, so the divisor's does not matter.
static bool constant_divisor(const struct column *c, int64_t *divisor) {
    if (c->form != COLUMN_CONSTANT) return false;
    int64_t value = c->type->id == TYPE_INT ? column_int32(c, 0) : column_int64(c, 0);
    if (value == INT64_MIN) return false;
    *divisor = value < 0 ? -value : value;
    return *divisor >= 2;
}

static void constant_remainder_int64(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    int64_t divisor;
    if (args[0]->form == COLUMN_CONSTANT || !constant_divisor(args[1], &divisor)) {
        kernel_remainder_int64(args, out, rows, eval);
        return;
    }
    const int64_t *restrict a = args[0]->values;
    int64_t *restrict to = out->values;
    struct reciprocal r = reciprocal_of(divisor);
    if (!rows->indices) {
        for (uint32_t i = 0; i < rows->count; i++) to[i] = remainder_by(a[i], divisor, r);
    } else {
        for (uint32_t i = 0; i < rows->count; i++) to[rows->indices[i]] = remainder_by(a[rows->indices[i]], divisor, r);
    }
}

static void constant_remainder_int32(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    int64_t divisor;
    if (args[0]->form == COLUMN_CONSTANT || !constant_divisor(args[1], &divisor)) {
        kernel_remainder_int32(args, out, rows, eval);
        return;
    }
    const int32_t *restrict a = args[0]->values;
    int32_t *restrict to = out->values;
    struct reciprocal r = reciprocal_of(divisor);
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        to[row] = (int32_t)remainder_by(a[row], divisor, r);
    }
}

// --- is it a multiple of a constant? ---

// x is a multiple of odd · 2^zeros exactly when x · (1 / odd) modulo 2^64, shifted up by `bias` and rotated by `zeros`, is at most `limit`:
// one multiplication and no division (Warren, Hacker's Delight, 10-17).
struct divisibility {
    uint64_t inverse, bias, limit;
    unsigned zeros;
};

static struct divisibility divisibility_of(int64_t divisor) {
    unsigned zeros = (unsigned)__builtin_ctzll((uint64_t)divisor);
    uint64_t odd = (uint64_t)divisor >> zeros, inverse = odd;
    for (int i = 0; i < 5; i++) inverse *= 2 - odd * inverse;  // Newton: each step doubles the right bits, 3 at first
    uint64_t bias = (uint64_t)INT64_MAX / odd & ~(((uint64_t)1 << zeros) - 1);
    if (odd == 1) return (struct divisibility){.inverse = 1, .bias = 0, .limit = UINT64_MAX >> zeros, .zeros = zeros};  // a mask in disguise
    return (struct divisibility){.inverse = inverse, .bias = bias, .limit = zeros ? bias >> (zeros - 1) : bias * 2, .zeros = zeros};
}

static inline uint8_t is_multiple(int64_t x, struct divisibility d) {
    uint64_t product = (uint64_t)x * d.inverse + d.bias;
    uint64_t rotated = product >> d.zeros | product << (-d.zeros & 63);
    return rotated <= d.limit;
}

void kernel_is_multiple(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    const int64_t *restrict a = args[0]->values;
    uint8_t *restrict to = out->values;
    struct divisibility d = divisibility_of(column_int64(args[1], 0));
    if (!rows->indices) {
        for (uint32_t i = 0; i < rows->count; i++) to[i] = is_multiple(a[i], d);
    } else {
        for (uint32_t i = 0; i < rows->count; i++) to[rows->indices[i]] = is_multiple(a[rows->indices[i]], d);
    }
}

// --- choice ---

#define INTEGER_ROW(name)                                                                                                \
    {[ADD] = kernel_add_##name, [SUBTRACT] = kernel_subtract_##name, [MULTIPLY] = kernel_multiply_##name,                \
     [REMAINDER] = kernel_remainder_##name, [POSITIVE_REMAINDER] = kernel_pmod_##name}

static const kernel kernels[TYPE_DECIMAL + 1][ARITHMETIC_COUNT] = {
    [TYPE_TINYINT] = INTEGER_ROW(int8),
    [TYPE_SMALLINT] = INTEGER_ROW(int16),
    [TYPE_INT] = {[ADD] = kernel_add_int32, [SUBTRACT] = kernel_subtract_int32, [MULTIPLY] = kernel_multiply_int32, [REMAINDER] = constant_remainder_int32,
                  [POSITIVE_REMAINDER] = kernel_pmod_int32},
    [TYPE_BIGINT] = {[ADD] = kernel_add_int64, [SUBTRACT] = kernel_subtract_int64, [MULTIPLY] = kernel_multiply_int64, [REMAINDER] = constant_remainder_int64,
                     [INTEGRAL_DIVIDE] = kernel_divide_int64, [POSITIVE_REMAINDER] = kernel_pmod_int64},
    [TYPE_FLOAT] = INTEGER_ROW(float),
    [TYPE_DOUBLE] = {[ADD] = kernel_add_double, [SUBTRACT] = kernel_subtract_double, [MULTIPLY] = kernel_multiply_double, [DIVIDE] = kernel_divide_double,
                     [REMAINDER] = kernel_remainder_double, [POSITIVE_REMAINDER] = kernel_pmod_double},
};
#undef INTEGER_ROW

kernel arithmetic_kernel(enum arithmetic op, enum type_id type) {
    if (type == TYPE_DECIMAL) return decimal_kernel(op);
    return type < TYPE_DECIMAL ? kernels[type][op] : NULL;
}

kernel negate_kernel(enum type_id type) {
    switch (type) {
    case TYPE_TINYINT: return kernel_negate_int8;
    case TYPE_SMALLINT: return kernel_negate_int16;
    case TYPE_INT:
    case TYPE_INTERVAL_YM: return kernel_negate_int32;
    case TYPE_BIGINT:
    case TYPE_INTERVAL_DT: return kernel_negate_int64;
    case TYPE_FLOAT: return kernel_negate_float;
    case TYPE_DOUBLE: return kernel_negate_double;
    default: return NULL;
    }
}

kernel absolute_kernel(enum type_id type) {
    switch (type) {
    case TYPE_TINYINT: return kernel_absolute_int8;
    case TYPE_SMALLINT: return kernel_absolute_int16;
    case TYPE_INT:
    case TYPE_INTERVAL_YM: return kernel_absolute_int32;
    case TYPE_BIGINT:
    case TYPE_INTERVAL_DT: return kernel_absolute_int64;
    case TYPE_FLOAT: return kernel_absolute_float;
    case TYPE_DOUBLE: return kernel_absolute_double;
    default: return NULL;
    }
}
