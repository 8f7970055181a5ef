// SPDX-License-Identifier: Apache-2.0
// conditional.c: if, coalesce, nvl, nullif, decode and their kin. All of them become CASE or COALESCE nodes, so that only the branch that
// is taken is ever computed.
#include "expr/coerce.h"
#include "expr/function.h"

static bool any_nullable(struct expr *const *args, uint32_t first, uint32_t step, uint32_t count) {
    for (uint32_t i = first; i < count; i += step)
        if (args[i]->nullable) return true;
    return false;
}

// Conditions at even places, values at odd ones, then perhaps an else. All are bound; values get their common type here.
static enum status make_case(struct binding *b, struct expr *const *args, uint32_t count, struct expr **out, struct error *e) {
    bool has_else = count % 2 == 1;
    uint32_t values = count / 2 + has_else;
    struct binding v = *b;
    v.arg_count = values;
    v.args = arena_alloc_array(b->arena, values + 1, sizeof *v.args);
    struct expr *node = expr_new(b->arena, EXPR_CASE, NULL, true, count);
    if (!v.args || !node) return error_no_memory(e);
    for (uint32_t i = 0; i < count / 2; i++) v.args[i] = args[2 * i + 1];
    if (has_else) v.args[values - 1] = args[count - 1];
    TRY(binding_common_type(&v, 0, values, e));
    for (uint32_t i = 0; i < count / 2; i++) {
        node->args[2 * i] = args[2 * i];
        node->args[2 * i + 1] = v.args[i];
    }
    if (has_else) node->args[count - 1] = v.args[values - 1];
    node->type = v.args[0]->type;
    node->has_else = has_else;
    node->nullable = !has_else || any_nullable(v.args, 0, 1, values);
    node->span = b->span;
    *out = node;
    return STATUS_OK;
}

static enum status require_boolean(struct binding *b, uint32_t index, struct error *e) {
    if (b->args[index]->type->id == TYPE_BOOLEAN) return STATUS_OK;
    error_set(e, STATUS_INVALID_QUERY, "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE",
              "cannot resolve \"%s\" due to data type mismatch: a condition requires the \"BOOLEAN\" type, however it has the type \"%s\"", b->name,
              type_name_sql(b->arena, b->args[index]->type));
    if (e) e->span = span_known(b->args[index]->span) ? b->args[index]->span : b->span;
    return STATUS_INVALID_QUERY;
}

static enum status bind_if(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 3, 3, e));
    if (b->args[0]->type->id == TYPE_NULL) TRY(binding_cast(b, 0, &type_boolean, e));
    TRY(require_boolean(b, 0, e));
    return make_case(b, b->args, 3, &b->replacement, e);
}

// when(condition, value, …, [else]): CASE as a function.
static enum status bind_case(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 2, UINT32_MAX, e));
    for (uint32_t i = 0; i + 1 < b->arg_count; i += 2) TRY(require_boolean(b, i, e));
    return make_case(b, b->args, b->arg_count, &b->replacement, e);
}

static enum status bind_coalesce(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 1, UINT32_MAX, e));
    TRY(binding_common_type(b, 0, b->arg_count, e));
    if (b->arg_count == 1) {
        b->replacement = b->args[0];
        return STATUS_OK;
    }
    struct expr *node = expr_new(b->arena, EXPR_COALESCE, b->args[0]->type, true, b->arg_count);
    if (!node) return error_no_memory(e);
    for (uint32_t i = 0; i < b->arg_count; i++) {
        node->args[i] = b->args[i];
        if (!b->args[i]->nullable) node->nullable = false;
    }
    node->span = b->span;
    b->replacement = node;
    return STATUS_OK;
}

static enum status bind_nvl(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 2, 2, e));
    return bind_coalesce(b, e);
}

static enum status bind_nvl2(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 3, 3, e));
    TRY(function_call_named(b->arena, b->session, "isnotnull", b->args, 1, b->span, &b->args[0], e));
    return make_case(b, b->args, 3, &b->replacement, e);
}

// CASE WHEN left = right THEN NULL ELSE left END
static enum status case_equal_null(struct binding *b, struct expr *left, struct expr *right, struct error *e) {
    struct expr *pair[2] = {left, right}, *parts[3];
    TRY(function_call_named(b->arena, b->session, "=", pair, 2, b->span, &parts[0], e));
    parts[1] = expr_null(b->arena, left->type);
    parts[2] = left;
    if (!parts[1]) return error_no_memory(e);
    return make_case(b, parts, 3, &b->replacement, e);
}

static enum status bind_nullif(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 2, 2, e));
    return case_equal_null(b, b->args[0], b->args[1], e);
}

static enum status bind_nullifzero(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 1, 1, e));
    struct expr *zero = expr_int(b->arena, 0);
    if (!zero) return error_no_memory(e);
    return case_equal_null(b, b->args[0], zero, e);
}

static enum status bind_zeroifnull(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 1, 1, e));
    struct expr **args = arena_alloc_array(b->arena, 2, sizeof *args);
    if (!args) return error_no_memory(e);
    args[0] = b->args[0];
    args[1] = expr_int(b->arena, 0);
    if (!args[1]) return error_no_memory(e);
    b->args = args;
    b->arg_count = 2;
    return bind_coalesce(b, e);
}

static enum status bind_equal_null(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 2, 2, e));
    return function_call_named(b->arena, b->session, "<=>", b->args, 2, b->span, &b->replacement, e);
}

// decode(x, search, result, …, [default]); a NULL search finds a NULL. Two arguments: the bytes-to-text function of strings.
static enum status bind_decode(struct binding *b, struct error *e) {
    for (size_t t = 0; b->arg_count == 2 && function_tables[t]; t++) {
        for (size_t i = 0; i < function_tables[t]->count; i++) {
            const struct function *other = &function_tables[t]->functions[i];
            if (other == b->function || strcmp(other->name, "decode") != 0) continue;
            return function_call(b->arena, b->session, other, b->name, b->args, 2, b->span, &b->replacement, e);
        }
    }
    TRY(binding_require_count(b, 3, UINT32_MAX, e));
    uint32_t rest = b->arg_count - 1;
    struct expr **parts = arena_alloc_array(b->arena, rest + 2, sizeof *parts);
    if (!parts) return error_no_memory(e);
    if (rest % 2 == 0) parts[rest] = expr_null(b->arena, &type_string);  // the default that is left out is a STRING, and has its say in the type
    for (uint32_t i = 0; i < rest; i++) {
        parts[i] = b->args[i + 1];
        if (i % 2 == 1 || (i + 1 == rest && rest % 2 == 1)) continue;
        struct expr *pair[2] = {b->args[0], b->args[i + 1]};
        TRY(function_call_named(b->arena, b->session, "<=>", pair, 2, b->span, &parts[i], e));
    }
    if (rest % 2 == 0 && !parts[rest]) return error_no_memory(e);
    return make_case(b, parts, rest | 1, &b->replacement, e);
}

static const struct function functions[] = {
    {"if", "(BOOLEAN, T, T) -> T", NULL, bind_if, 0, "The second argument where the condition is true, else the third", "if(1 < 2, 'a', 'b')", "a"},
    {"when", "(BOOLEAN, ANY...) -> T", NULL, bind_case, FUNCTION_HIDDEN, "CASE as a function", NULL, NULL},
    {"case", "(BOOLEAN, ANY...) -> T", NULL, bind_case, FUNCTION_HIDDEN, "CASE as a function", NULL, NULL},
    {"coalesce", "(T...) -> T", NULL, bind_coalesce, 0, "The first argument that is not NULL", "coalesce(NULL, 1, 2)", "1"},
    {"ifnull", "(T, T) -> T", NULL, bind_nvl, 0, "The second argument where the first is NULL", "ifnull(NULL, 2)", "2"},
    {"nvl", "(T, T) -> T", NULL, bind_nvl, 0, "The second argument where the first is NULL", "nvl(NULL, 2)", "2"},
    {"nvl2", "(ANY, T, T) -> T", NULL, bind_nvl2, 0, "The second argument where the first is not NULL, else the third", "nvl2(NULL, 1, 2)", "2"},
    {"nullif", "(T, T) -> T", NULL, bind_nullif, 0, "NULL where both are equal, else the first", "nullif(2, 2)", "NULL"},
    {"nullifzero", "(NUMERIC) -> NUMERIC", NULL, bind_nullifzero, 0, "NULL where the number is zero", "nullifzero(0)", "NULL"},
    {"zeroifnull", "(NUMERIC) -> NUMERIC", NULL, bind_zeroifnull, 0, "Zero where the number is NULL", "zeroifnull(NULL)", "0"},
    {"equal_null", "(T, T) -> BOOLEAN", NULL, bind_equal_null, 0, "Equal, and NULL equals NULL", "equal_null(NULL, NULL)", "true"},
    {"decode", "(ANY, ANY...) -> ANY", NULL, bind_decode, 0, "The result that stands after the first equal search value, else the default",
     "decode(2, 1, 'one', 2, 'two', 'many')", "two"},
};

const struct function_table conditional_functions = {functions, sizeof functions / sizeof *functions, "conditional"};
