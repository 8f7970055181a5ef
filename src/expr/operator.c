// SPDX-License-Identifier: Apache-2.0
// operator.c: the table of operators, and the kernels of the small ones: NOT, IS [NOT] NULL, IS TRUE, unary signs.
#include "operator.h"
#include "operand.h"

#define ARITHMETIC_BINDER(name, op) \
    static enum status name(struct binding *b, struct error *e) { return bind_arithmetic(b, op, false, e); }
ARITHMETIC_BINDER(bind_add, ADD)
ARITHMETIC_BINDER(bind_subtract, SUBTRACT)
ARITHMETIC_BINDER(bind_multiply, MULTIPLY)
ARITHMETIC_BINDER(bind_divide, DIVIDE)
ARITHMETIC_BINDER(bind_integral_divide, INTEGRAL_DIVIDE)
ARITHMETIC_BINDER(bind_remainder, REMAINDER)
#undef ARITHMETIC_BINDER

#define COMPARISON_BINDER(name, op) \
    static enum status name(struct binding *b, struct error *e) { return bind_comparison(b, op, e); }
COMPARISON_BINDER(bind_equal, COMPARE_EQUAL)
COMPARISON_BINDER(bind_differ, COMPARE_NOT_EQUAL)
COMPARISON_BINDER(bind_less, COMPARE_LESS)
COMPARISON_BINDER(bind_at_most, COMPARE_LESS_EQUAL)
COMPARISON_BINDER(bind_greater, COMPARE_GREATER)
COMPARISON_BINDER(bind_at_least, COMPARE_GREATER_EQUAL)
#undef COMPARISON_BINDER

static enum status bind_null_safe(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 2, 2, e));
    TRY(bind_same_types(b, e));
    if (!type_is_orderable(b->args[0]->type))
        return binary_type_error(b, "DATATYPE_MISMATCH.INVALID_ORDERING_TYPE", "the operator does not support ordering on this type", e);
    b->result = &type_boolean;
    b->kernel = kernel_null_safe_equal;
    return STATUS_OK;
}

static enum status replace_with_call(struct binding *b, const char *name, uint32_t count, struct expr **out, struct error *e) {
    return function_call_named(b->arena, b->session, name, b->args, count, b->span, out, e);
}

static enum status negate_expression(struct binding *b, struct expr *inner, struct expr **out, struct error *e) {
    return function_call_named(b->arena, b->session, "not", &inner, 1, b->span, out, e);
}

static enum status bind_distinct(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 2, 2, e));
    struct expr *same;
    TRY(replace_with_call(b, "<=>", 2, &same, e));
    return negate_expression(b, same, &b->replacement, e);
}

// x IS TRUE is x <=> true: never NULL.
static enum status bind_is_constant(struct binding *b, bool value, bool negated, struct error *e) {
    TRY(binding_require_count(b, 1, 1, e));
    TRY(binding_cast(b, 0, &type_boolean, e));
    struct expr *args[2] = {b->args[0], expr_boolean(b->arena, value)}, *same;
    if (!args[1]) return error_no_memory(e);
    TRY(function_call_named(b->arena, b->session, "<=>", args, 2, b->span, &same, e));
    if (!negated) b->replacement = same;
    return negated ? negate_expression(b, same, &b->replacement, e) : STATUS_OK;
}
static enum status bind_is_true(struct binding *b, struct error *e) { return bind_is_constant(b, true, false, e); }
static enum status bind_is_false(struct binding *b, struct error *e) { return bind_is_constant(b, false, false, e); }
static enum status bind_is_not_true(struct binding *b, struct error *e) { return bind_is_constant(b, true, true, e); }
static enum status bind_is_not_false(struct binding *b, struct error *e) { return bind_is_constant(b, false, true, e); }

static enum status bind_logic(struct binding *b, enum expr_kind kind, struct error *e) {
    TRY(binding_require_count(b, 2, 2, e));
    for (uint32_t i = 0; i < 2; i++) {
        enum type_id id = b->args[i]->type->id;
        if (id == TYPE_BOOLEAN || id == TYPE_STRING || id == TYPE_NULL) continue;
        if (b->args[1 - i]->type->id == id) return binary_type_error(b, "DATATYPE_MISMATCH.BINARY_OP_WRONG_TYPE", "the binary operator requires the input type \"BOOLEAN\"", e);
        return binary_type_error(b, "DATATYPE_MISMATCH.BINARY_OP_DIFF_TYPES", "the left and right operands of the binary operator have incompatible types", e);
    }
    struct expr *node = expr_new(b->arena, kind, &type_boolean, b->args[0]->nullable || b->args[1]->nullable, 2);
    if (!node) return error_no_memory(e);
    for (uint32_t i = 0; i < 2; i++) {
        TRY(binding_cast(b, i, &type_boolean, e));
        node->args[i] = b->args[i];
    }
    node->span = b->span;
    b->replacement = node;
    return STATUS_OK;
}
static enum status bind_and(struct binding *b, struct error *e) { return bind_logic(b, EXPR_AND, e); }
static enum status bind_or(struct binding *b, struct error *e) { return bind_logic(b, EXPR_OR, e); }

static enum status bind_between(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 3, 3, e));
    struct expr *low[2] = {b->args[0], b->args[1]}, *high[2] = {b->args[0], b->args[2]}, *both[2];
    TRY(function_call_named(b->arena, b->session, ">=", low, 2, b->span, &both[0], e));
    TRY(function_call_named(b->arena, b->session, "<=", high, 2, b->span, &both[1], e));
    return function_call_named(b->arena, b->session, "and", both, 2, b->span, &b->replacement, e);
}

static void kernel_not(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    const uint8_t *restrict from = args[0]->values;
    uint8_t *restrict to = out->values;
    if (!rows->indices) {
        for (uint32_t i = 0; i < rows->count; i++) to[i] = from[i] ^ 1;
    } else {
        for (uint32_t i = 0; i < rows->count; i++) to[rows->indices[i]] = from[rows->indices[i]] ^ 1;
    }
}

static void mark_nulls(const struct column *c, struct column *out, const struct rows *rows, uint8_t when_null) {
    uint8_t *to = out->values;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        to[row] = column_is_valid(c, row) ? when_null ^ 1 : when_null;
    }
}
static void kernel_is_null(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    mark_nulls(args[0], out, rows, 1);
}
static void kernel_is_not_null(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    mark_nulls(args[0], out, rows, 0);
}

static void negate_decimal(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    const __int128 *from = args[0]->values;
    __int128 *to = out->values;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        to[row] = -from[row];
    }
}

static void negate_calendar(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    const struct calendar_interval *from = args[0]->values;
    struct calendar_interval *to = out->values;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        if (__builtin_sub_overflow(0, from[row].months, &to[row].months) || __builtin_sub_overflow(0, from[row].days, &to[row].days) ||
            __builtin_sub_overflow(0, from[row].us, &to[row].us))
            eval_fail(eval, row, "INTERVAL_ARITHMETIC_OVERFLOW.WITHOUT_SUGGESTION", "the interval does not fit its type");
    }
}

static enum status bind_sign(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 1, 1, e));
    enum type_id id = b->args[0]->type->id;
    bool interval = id == TYPE_INTERVAL_YM || id == TYPE_INTERVAL_DT || id == TYPE_INTERVAL;
    if (!interval) TRY(binding_signature(b, "(NUMERIC) -> NUMERIC", e));
    b->result = b->args[0]->type;
    return STATUS_OK;
}

static enum status bind_negative(struct binding *b, struct error *e) {
    TRY(bind_sign(b, e));
    enum type_id id = b->result->id;
    b->kernel = id == TYPE_DECIMAL ? negate_decimal : id == TYPE_INTERVAL ? negate_calendar : negate_kernel(id);
    return STATUS_OK;
}

static enum status bind_positive(struct binding *b, struct error *e) {
    TRY(bind_sign(b, e));
    b->replacement = b->args[0];
    return STATUS_OK;
}

static enum status bind_concat(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 2, 2, e));
    return replace_with_call(b, "concat", 2, &b->replacement, e);
}

static enum status bind_rlike(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 2, 2, e));
    return replace_with_call(b, "regexp_like", 2, &b->replacement, e);
}

// LIKE ANY and its kin: a chain of OR or AND over the patterns.
static enum status bind_like_many(struct binding *b, const char *like, const char *joiner, bool negated, struct error *e) {
    TRY(binding_require_count(b, 2, UINT32_MAX, e));
    struct expr *whole = NULL;
    for (uint32_t i = 1; i < b->arg_count; i++) {
        struct expr *pair[2] = {b->args[0], b->args[i]}, *one;
        TRY(function_call_named(b->arena, b->session, like, pair, 2, b->span, &one, e));
        if (negated) TRY(negate_expression(b, one, &one, e));
        struct expr *both[2] = {whole, one};
        if (whole) TRY(function_call_named(b->arena, b->session, joiner, both, 2, b->span, &whole, e));
        else whole = one;
    }
    b->replacement = whole;
    return STATUS_OK;
}
#define LIKE_BINDER(name, like, joiner, negated) \
    static enum status name(struct binding *b, struct error *e) { return bind_like_many(b, like, joiner, negated, e); }
LIKE_BINDER(bind_like_any, "like", "or", false)
LIKE_BINDER(bind_like_all, "like", "and", false)
LIKE_BINDER(bind_not_like_any, "like", "or", true)
LIKE_BINDER(bind_not_like_all, "like", "and", true)
LIKE_BINDER(bind_ilike_any, "ilike", "or", false)
LIKE_BINDER(bind_ilike_all, "ilike", "and", false)
LIKE_BINDER(bind_not_ilike_any, "ilike", "or", true)
LIKE_BINDER(bind_not_ilike_all, "ilike", "and", true)
#undef LIKE_BINDER

enum {
    ARITHMETIC = FUNCTION_OPERATOR | FUNCTION_CAN_FAIL | FUNCTION_TAKES_CONSTANT,
    DIVISION = ARITHMETIC | FUNCTION_LAST_FIRST,
    COMPARISON = FUNCTION_OPERATOR | FUNCTION_TOTAL | FUNCTION_TAKES_CONSTANT,
    NULL_TEST = FUNCTION_OPERATOR | FUNCTION_TOTAL | FUNCTION_HANDLES_NULL | FUNCTION_NEVER_NULL | FUNCTION_TAKES_ANY_FORM,
    REWRITTEN = FUNCTION_OPERATOR,
    ALIAS = FUNCTION_OPERATOR | FUNCTION_HIDDEN,
};

static const struct function functions[] = {
    {"+", "(NUMERIC, NUMERIC) -> NUMERIC", NULL, bind_add, ARITHMETIC, "Sum; also of a date or timestamp and an interval", "1 + 2", "3"},
    {"-", "(NUMERIC, NUMERIC) -> NUMERIC", NULL, bind_subtract, ARITHMETIC, "Difference; also of dates, timestamps and intervals", "5 - 7", "-2"},
    {"*", "(NUMERIC, NUMERIC) -> NUMERIC", NULL, bind_multiply, ARITHMETIC, "Product", "3 * 4", "12"},
    {"/", "(NUMERIC, NUMERIC) -> DOUBLE", NULL, bind_divide, DIVISION, "Quotient, of integers too a fraction", "7 / 2", "3.5"},
    {"div", "(NUMERIC, NUMERIC) -> BIGINT", NULL, bind_integral_divide, DIVISION, "Quotient without its fraction", "7 div 2", "3"},
    {"%", "(NUMERIC, NUMERIC) -> NUMERIC", NULL, bind_remainder, DIVISION, "Remainder, with the sign of the dividend", "-7 % 3", "-1"},
    {"mod", "(NUMERIC, NUMERIC) -> NUMERIC", NULL, bind_remainder, FUNCTION_CAN_FAIL | FUNCTION_TAKES_CONSTANT | FUNCTION_LAST_FIRST, "Remainder, with the sign of the dividend",
     "mod(7, 3)", "1"},
    {"=", "(T, T) -> BOOLEAN", NULL, bind_equal, COMPARISON, "Equal; NULL where a side is NULL", "1 = 1", "true"},
    {"==", "(T, T) -> BOOLEAN", NULL, bind_equal, COMPARISON, "Equal; NULL where a side is NULL", "1 == 2", "false"},
    {"is multiple", "(BIGINT, BIGINT) -> BOOLEAN", kernel_is_multiple, NULL, COMPARISON | FUNCTION_HIDDEN, "a % b = 0 for a constant b", NULL, NULL},
    {"<>", "(T, T) -> BOOLEAN", NULL, bind_differ, COMPARISON, "Not equal", "1 <> 2", "true"},
    {"!=", "(T, T) -> BOOLEAN", NULL, bind_differ, COMPARISON, "Not equal", "1 != 2", "true"},
    {"<", "(T, T) -> BOOLEAN", NULL, bind_less, COMPARISON, "Less", "1 < 2", "true"},
    {"<=", "(T, T) -> BOOLEAN", NULL, bind_at_most, COMPARISON, "Less or equal", "1 <= 1", "true"},
    {">", "(T, T) -> BOOLEAN", NULL, bind_greater, COMPARISON, "Greater", "2 > 1", "true"},
    {">=", "(T, T) -> BOOLEAN", NULL, bind_at_least, COMPARISON, "Greater or equal", "1 >= 2", "false"},
    {"<=>", "(T, T) -> BOOLEAN", NULL, bind_null_safe, FUNCTION_OPERATOR | FUNCTION_HANDLES_NULL | FUNCTION_NEVER_NULL | FUNCTION_TAKES_ANY_FORM,
     "Equal, and NULL equals NULL; never NULL itself", "NULL <=> NULL", "true"},
    {"is not distinct from", "(T, T) -> BOOLEAN", NULL, bind_null_safe, ALIAS | FUNCTION_HANDLES_NULL | FUNCTION_NEVER_NULL | FUNCTION_TAKES_ANY_FORM,
     "As <=>", NULL, NULL},
    {"is distinct from", "(T, T) -> BOOLEAN", NULL, bind_distinct, ALIAS, "The opposite of <=>", NULL, NULL},
    {"and", "(BOOLEAN, BOOLEAN) -> BOOLEAN", NULL, bind_and, REWRITTEN, "Both; the right side is computed only where the left leaves it open", "true AND NULL", "NULL"},
    {"or", "(BOOLEAN, BOOLEAN) -> BOOLEAN", NULL, bind_or, REWRITTEN, "Either; the right side is computed only where the left leaves it open", "true OR NULL", "true"},
    {"not", "(BOOLEAN) -> BOOLEAN", kernel_not, NULL, FUNCTION_OPERATOR | FUNCTION_TOTAL, "The opposite", "NOT true", "false"},
    {"!", "(BOOLEAN) -> BOOLEAN", kernel_not, NULL, FUNCTION_OPERATOR | FUNCTION_TOTAL, "The opposite", "! true", "false"},
    {"isnull", "(ANY) -> BOOLEAN", kernel_is_null, NULL, NULL_TEST, "Is it NULL?", "isnull(NULL)", "true"},
    {"isnotnull", "(ANY) -> BOOLEAN", kernel_is_not_null, NULL, NULL_TEST, "Is it not NULL?", "isnotnull(NULL)", "false"},
    {"is null", "(ANY) -> BOOLEAN", kernel_is_null, NULL, NULL_TEST | FUNCTION_HIDDEN, "Is it NULL?", NULL, NULL},
    {"is not null", "(ANY) -> BOOLEAN", kernel_is_not_null, NULL, NULL_TEST | FUNCTION_HIDDEN, "Is it not NULL?", NULL, NULL},
    {"is true", "(BOOLEAN) -> BOOLEAN", NULL, bind_is_true, ALIAS, "Is it true?", NULL, NULL},
    {"istrue", "(BOOLEAN) -> BOOLEAN", NULL, bind_is_true, ALIAS, "Is it true?", NULL, NULL},
    {"is false", "(BOOLEAN) -> BOOLEAN", NULL, bind_is_false, ALIAS, "Is it false?", NULL, NULL},
    {"isfalse", "(BOOLEAN) -> BOOLEAN", NULL, bind_is_false, ALIAS, "Is it false?", NULL, NULL},
    {"is not true", "(BOOLEAN) -> BOOLEAN", NULL, bind_is_not_true, ALIAS, "Is it false or NULL?", NULL, NULL},
    {"is not false", "(BOOLEAN) -> BOOLEAN", NULL, bind_is_not_false, ALIAS, "Is it true or NULL?", NULL, NULL},
    {"is unknown", "(ANY) -> BOOLEAN", kernel_is_null, NULL, NULL_TEST | FUNCTION_HIDDEN, "Is it NULL?", NULL, NULL},
    {"is not unknown", "(ANY) -> BOOLEAN", kernel_is_not_null, NULL, NULL_TEST | FUNCTION_HIDDEN, "Is it not NULL?", NULL, NULL},
    {"between", "(T, T, T) -> BOOLEAN", NULL, bind_between, REWRITTEN, "Between two bounds, both included", "2 BETWEEN 1 AND 3", "true"},
    {"in", "(T, T...) -> BOOLEAN", kernel_in_list, bind_in, FUNCTION_OPERATOR | FUNCTION_HANDLES_NULL | FUNCTION_NEEDS_FIRST | FUNCTION_TAKES_ANY_FORM,
     "Is it one of the list? NULL where only a NULL could be it", "2 IN (1, 2)", "true"},
    {"like", "(STRING, STRING, STRING?) -> BOOLEAN", kernel_like, bind_like, FUNCTION_OPERATOR | FUNCTION_CAN_FAIL,
     "Does it match a pattern? % stands for any text, _ for one character", "'abc' LIKE 'a%'", "true"},
    {"ilike", "(STRING, STRING, STRING?) -> BOOLEAN", kernel_like, bind_ilike, FUNCTION_OPERATOR | FUNCTION_CAN_FAIL, "LIKE, ignoring case", "'ABC' ILIKE 'a%'", "true"},
    {"like any", "(STRING, STRING...) -> BOOLEAN", NULL, bind_like_any, ALIAS, "LIKE one of the patterns", NULL, NULL},
    {"like some", "(STRING, STRING...) -> BOOLEAN", NULL, bind_like_any, ALIAS, "LIKE one of the patterns", NULL, NULL},
    {"like all", "(STRING, STRING...) -> BOOLEAN", NULL, bind_like_all, ALIAS, "LIKE every pattern", NULL, NULL},
    {"not like any", "(STRING, STRING...) -> BOOLEAN", NULL, bind_not_like_any, ALIAS, "NOT LIKE one of the patterns", NULL, NULL},
    {"not like some", "(STRING, STRING...) -> BOOLEAN", NULL, bind_not_like_any, ALIAS, "NOT LIKE one of the patterns", NULL, NULL},
    {"not like all", "(STRING, STRING...) -> BOOLEAN", NULL, bind_not_like_all, ALIAS, "NOT LIKE every pattern", NULL, NULL},
    {"ilike any", "(STRING, STRING...) -> BOOLEAN", NULL, bind_ilike_any, ALIAS, "ILIKE one of the patterns", NULL, NULL},
    {"ilike some", "(STRING, STRING...) -> BOOLEAN", NULL, bind_ilike_any, ALIAS, "ILIKE one of the patterns", NULL, NULL},
    {"ilike all", "(STRING, STRING...) -> BOOLEAN", NULL, bind_ilike_all, ALIAS, "ILIKE every pattern", NULL, NULL},
    {"not ilike any", "(STRING, STRING...) -> BOOLEAN", NULL, bind_not_ilike_any, ALIAS, "NOT ILIKE one of the patterns", NULL, NULL},
    {"not ilike some", "(STRING, STRING...) -> BOOLEAN", NULL, bind_not_ilike_any, ALIAS, "NOT ILIKE one of the patterns", NULL, NULL},
    {"not ilike all", "(STRING, STRING...) -> BOOLEAN", NULL, bind_not_ilike_all, ALIAS, "NOT ILIKE every pattern", NULL, NULL},
    {"negative", "(NUMERIC) -> NUMERIC", NULL, bind_negative, FUNCTION_CAN_FAIL, "The number with the other sign", "negative(1)", "-1"},
    {"positive", "(NUMERIC) -> NUMERIC", NULL, bind_positive, 0, "The number itself", "positive(1)", "1"},
    {"||", "(STRING, STRING) -> STRING", NULL, bind_concat, REWRITTEN, "Two texts or arrays one after the other", "'a' || 'b'", "ab"},
    {"rlike", "(STRING, STRING) -> BOOLEAN", NULL, bind_rlike, ALIAS, "Does a regular expression match somewhere in it?", NULL, NULL},
    {"[]", "(ANY, ANY) -> ANY", NULL, bind_element, FUNCTION_OPERATOR | FUNCTION_MAY_BE_NULL | FUNCTION_CAN_FAIL,
     "An element of an array by its index from 0, or the value of a map's key", "array(1, 2)[1]", "2"},
};

const struct function_table operator_functions = {functions, sizeof functions / sizeof *functions, "operator"};
