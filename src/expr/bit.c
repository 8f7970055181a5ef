// SPDX-License-Identifier: Apache-2.0
// bit.c: & | ^ ~, shifts (the distance counts modulo the width, as in Java), bit_count, bit_get.
#include "expr/coerce.h"
#include "operand.h"
#include "operator.h"

#define BITWISE_KERNEL(name, c_type, symbol)                                                                                          \
    static void name(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {              \
        (void)eval;                                                                                                                   \
        const c_type *a = args[0]->values, *b = args[1]->values;                                                                      \
        c_type *to = out->values;                                                                                                     \
        for (uint32_t i = 0; i < rows->count; i++) {                                                                                  \
            uint32_t row = rows_at(rows, i);                                                                                          \
            to[row] = (c_type)(a[operand_index(args[0], row)] symbol b[operand_index(args[1], row)]);                                 \
        }                                                                                                                             \
    }
#define BITWISE_KERNELS(name, symbol)          \
    BITWISE_KERNEL(name##_int8, int8_t, symbol)   \
    BITWISE_KERNEL(name##_int16, int16_t, symbol) \
    BITWISE_KERNEL(name##_int32, int32_t, symbol) \
    BITWISE_KERNEL(name##_int64, int64_t, symbol)
BITWISE_KERNELS(bit_and, &)
BITWISE_KERNELS(bit_or, |)
BITWISE_KERNELS(bit_xor, ^)
#undef BITWISE_KERNELS
#undef BITWISE_KERNEL

static const kernel and_kernels[] = {bit_and_int8, bit_and_int16, bit_and_int32, bit_and_int64};
static const kernel or_kernels[] = {bit_or_int8, bit_or_int16, bit_or_int32, bit_or_int64};
static const kernel xor_kernels[] = {bit_xor_int8, bit_xor_int16, bit_xor_int32, bit_xor_int64};

static enum status bind_bitwise(struct binding *b, const kernel *kernels, struct error *e) {
    TRY(binding_require_count(b, 2, 2, e));
    TRY(bind_same_types(b, e));
    const struct type *t = b->args[0]->type;
    if (t->id == TYPE_NULL) t = &type_int;
    if (!type_is_integral(t)) {
        bool mixed = b->args[0]->kind == EXPR_CAST || b->args[1]->kind == EXPR_CAST;
        return binary_type_error(b, mixed ? "DATATYPE_MISMATCH.BINARY_OP_DIFF_TYPES" : "DATATYPE_MISMATCH.BINARY_OP_WRONG_TYPE",
                                 "the binary operator requires the input type \"INTEGRAL\"", e);
    }
    for (uint32_t i = 0; i < 2; i++) TRY(binding_cast(b, i, t, e));
    b->result = t;
    b->kernel = kernels[t->id - TYPE_TINYINT];
    return STATUS_OK;
}
static enum status bind_and(struct binding *b, struct error *e) { return bind_bitwise(b, and_kernels, e); }
static enum status bind_or(struct binding *b, struct error *e) { return bind_bitwise(b, or_kernels, e); }
static enum status bind_xor(struct binding *b, struct error *e) { return bind_bitwise(b, xor_kernels, e); }

static int64_t integer_at(const struct column *c, uint32_t row) {
    switch (c->type->id) {
    case TYPE_BOOLEAN: return column_bool(c, row);
    case TYPE_TINYINT: return column_int8(c, row);
    case TYPE_SMALLINT: return column_int16(c, row);
    case TYPE_INT: return column_int32(c, row);
    default: return column_int64(c, row);
    }
}

static void kernel_not(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    size_t width = type_width(out->type);
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        const uint8_t *from = (const uint8_t *)args[0]->values + row * width;
        uint8_t *to = (uint8_t *)out->values + row * width;
        for (size_t k = 0; k < width; k++) to[k] = (uint8_t)~from[k];
    }
}

static void kernel_shift_left(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        unsigned by = (unsigned)column_int32(args[1], row);
        if (out->type->id == TYPE_INT) ((int32_t *)out->values)[row] = (int32_t)((uint32_t)column_int32(args[0], row) << (by & 31));
        else ((int64_t *)out->values)[row] = (int64_t)((uint64_t)column_int64(args[0], row) << (by & 63));
    }
}
static void kernel_shift_right(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        unsigned by = (unsigned)column_int32(args[1], row);
        if (out->type->id == TYPE_INT) ((int32_t *)out->values)[row] = column_int32(args[0], row) >> (by & 31);
        else ((int64_t *)out->values)[row] = column_int64(args[0], row) >> (by & 63);
    }
}
static void kernel_shift_right_unsigned(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        unsigned by = (unsigned)column_int32(args[1], row);
        if (out->type->id == TYPE_INT) ((int32_t *)out->values)[row] = (int32_t)((uint32_t)column_int32(args[0], row) >> (by & 31));
        else ((int64_t *)out->values)[row] = (int64_t)((uint64_t)column_int64(args[0], row) >> (by & 63));
    }
}

static void kernel_bit_count(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        ((int32_t *)out->values)[row] = __builtin_popcountll((uint64_t)integer_at(args[0], row));
    }
}

static void kernel_bit_get(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    int32_t width = (int32_t)type_width(args[0]->type) * 8;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        int32_t position = column_int32(args[1], row);
        if (position < 0 || position >= width) eval_fail(eval, row, "INVALID_PARAMETER_VALUE.BIT_POSITION_RANGE", "the position of the bit is outside of the number");
        else ((int8_t *)out->values)[row] = (int8_t)((uint64_t)integer_at(args[0], row) >> position & 1);
    }
}

// Spark's bitmaps are of 32,768 bits; rows are numbered from 1, and what is below 1 counts downwards from 0.
enum { BITMAP_BITS = 32768 };

static void kernel_bitmap_bit_position(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        int64_t value = column_int64(args[0], row);
        ((int64_t *)out->values)[row] = value > 0 ? (value - 1) % BITMAP_BITS : -(value % BITMAP_BITS);
    }
}

static void kernel_bitmap_bucket_number(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        int64_t value = column_int64(args[0], row);
        ((int64_t *)out->values)[row] = value > 0 ? 1 + (value - 1) / BITMAP_BITS : value / BITMAP_BITS;
    }
}

static void kernel_bitmap_count(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        const struct string_view *v = column_string(args[0], row);
        const char *bytes = string_view_data(v);
        int64_t count = 0;
        for (uint32_t k = 0; k < v->size_bytes; k++) count += __builtin_popcount((uint8_t)bytes[k]);
        ((int64_t *)out->values)[row] = count;
    }
}

// A text could be read as either; Spark reads it as neither.
static enum status bind_bit_count(struct binding *b, struct error *e) {
    bool is_boolean = b->arg_count == 1 && b->args[0]->type->id == TYPE_BOOLEAN;
    return binding_signature(b, is_boolean ? "(BOOLEAN) -> INT" : "(INTEGRAL) -> INT", e);
}

enum { BITWISE = FUNCTION_OPERATOR | FUNCTION_TOTAL | FUNCTION_TAKES_CONSTANT, SHIFT = FUNCTION_TOTAL, SHIFT_OPERATOR = FUNCTION_TOTAL | FUNCTION_OPERATOR };
#define SHIFT_SIGNATURE "(INT, INT) -> INT | (BIGINT, INT) -> BIGINT"

// A BIGINT stays one, whatever the type of the count.
static enum status bind_shift(struct binding *b, struct error *e) {
    bool big = b->arg_count == 2 && b->args[0]->type->id == TYPE_BIGINT;
    return binding_signature(b, big ? "(BIGINT, INT) -> BIGINT" : SHIFT_SIGNATURE, e);
}

static const struct function functions[] = {
    {"&", "(INTEGRAL, INTEGRAL) -> INTEGRAL", NULL, bind_and, BITWISE, "The bits that both have", "5 & 3", "1"},
    {"|", "(INTEGRAL, INTEGRAL) -> INTEGRAL", NULL, bind_or, BITWISE, "The bits that either has", "5 | 3", "7"},
    {"^", "(INTEGRAL, INTEGRAL) -> INTEGRAL", NULL, bind_xor, BITWISE, "The bits that only one has", "5 ^ 3", "6"},
    {"~", "(INTEGRAL) -> INTEGRAL", kernel_not, NULL, FUNCTION_OPERATOR | FUNCTION_TOTAL, "The other bits", "~5", "-6"},
    {"shiftleft", SHIFT_SIGNATURE, kernel_shift_left, bind_shift, SHIFT, "The bits moved to the left", "shiftleft(1, 3)", "8"},
    {"shiftright", SHIFT_SIGNATURE, kernel_shift_right, bind_shift, SHIFT, "The bits moved to the right, keeping the sign", "shiftright(-8, 2)", "-2"},
    {"shiftrightunsigned", SHIFT_SIGNATURE, kernel_shift_right_unsigned, bind_shift, SHIFT, "The bits moved to the right, zeros moving in", "shiftrightunsigned(-8, 28)", "15"},
    {"<<", SHIFT_SIGNATURE, kernel_shift_left, bind_shift, SHIFT_OPERATOR, "The bits moved to the left", "1 << 3", "8"},
    {">>", SHIFT_SIGNATURE, kernel_shift_right, bind_shift, SHIFT_OPERATOR, "The bits moved to the right, keeping the sign", "-8 >> 1", "-4"},
    {">>>", SHIFT_SIGNATURE, kernel_shift_right_unsigned, bind_shift, SHIFT_OPERATOR, "The bits moved to the right, zeros moving in", "-8 >>> 28", "15"},
    {"bit_count", "(INTEGRAL) -> INT | (BOOLEAN) -> INT", kernel_bit_count, bind_bit_count, FUNCTION_TOTAL, "How many bits are set", "bit_count(7)", "3"},
    {"bit_get", "(INTEGRAL, INT) -> TINYINT", kernel_bit_get, NULL, FUNCTION_CAN_FAIL, "The bit at a position, 0 the lowest", "bit_get(5, 0)", "1"},
    {"bitmap_bit_position", "(BIGINT) -> BIGINT", kernel_bitmap_bit_position, NULL, FUNCTION_TOTAL, "The bit that stands for a number within its bitmap of 32,768 bits", "bitmap_bit_position(32769)", "0"},
    {"bitmap_bucket_number", "(BIGINT) -> BIGINT", kernel_bitmap_bucket_number, NULL, FUNCTION_TOTAL, "The bitmap of 32,768 bits that a number falls into", "bitmap_bucket_number(32769)", "2"},
    {"bitmap_count", "(BINARY) -> BIGINT", kernel_bitmap_count, NULL, 0, "How many bits of a bitmap are set", "bitmap_count(X'FF01')", "9"},
    {"getbit", "(INTEGRAL, INT) -> TINYINT", kernel_bit_get, NULL, FUNCTION_CAN_FAIL, "The bit at a position, 0 the lowest", "getbit(5, 1)", "0"},
};

const struct function_table bit_functions = {functions, sizeof functions / sizeof *functions, "bit"};
