// SPDX-License-Identifier: Apache-2.0
// optimize_fold.c: constant expressions are computed at plan time. One that fails stays as it is and fails when (and only if) a row
// meets it. Casts put in by the analyzer around literals are the common case. A strict call with a literal NULL is NULL, whatever its other
// arguments are.
#include "expr/program.h"
#include "plan/resolver.h"

static bool is_strict_of_null(const struct expr *e) {
    if (e->kind != EXPR_CALL || !e->call.kernel || (e->call.function->flags & (FUNCTION_HANDLES_NULL | FUNCTION_COMPUTES_ALL))) return false;
    for (uint32_t i = 0; i < e->arg_count; i++)
        if (e->args[i]->kind == EXPR_LITERAL && column_is_constant_null(e->args[i]->literal)) return true;
    return false;
}

static struct expr *fold(struct expr *e, void *context) {
    struct resolver *r = context;
    if (is_strict_of_null(e)) {
        struct expr *null = expr_null(r->arena, e->type);
        if (!null) return NULL;
        null->span = e->span;
        null->name = e->name;
        return null;
    }
    if (e->kind == EXPR_LITERAL || e->kind == EXPR_LAMBDA || e->kind == EXPR_PARAMETER || !expr_is_constant(e)) return e;
    struct error error;
    error_clear(&error);
    const struct column *value;
    enum status s = program_fold(r->arena, r->analysis->session, e, &value, &error);
    if (s == STATUS_NO_MEMORY) return NULL;
    if (s != STATUS_OK || !type_equal(value->type, e->type)) return e;
    struct expr *literal = expr_literal(r->arena, value);
    if (!literal) return NULL;
    literal->span = e->span;
    literal->name = e->name;
    return literal;
}

static bool fold_list(struct resolver *r, struct expr **exprs, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        if (!(exprs[i] = expr_rewrite(r->arena, exprs[i], fold, r))) return false;
    return true;
}

static bool is_true(const struct expr *e) {
    return e->kind == EXPR_LITERAL && e->type->id == TYPE_BOOLEAN && column_is_valid(e->literal, 0) && column_bool(e->literal, 0);
}

static struct plan_node *fold_node(struct resolver *r, struct plan_node *node) {
    struct plan_node *n = plan_copy(r->arena, node);
    if (!n || !fold_list(r, n->exprs, n->expr_count)) return NULL;
    if (!fold_list(r, n->left_keys, n->join_key_count) || !fold_list(r, n->right_keys, n->join_key_count)) return NULL;
    for (uint32_t i = 0; i < n->sort_count; i++)
        if (!(n->sorts[i].expr = expr_rewrite(r->arena, n->sorts[i].expr, fold, r))) return NULL;
    if (n->condition && !(n->condition = expr_rewrite(r->arena, n->condition, fold, r))) return NULL;
    if (n->kind == PLAN_FILTER && is_true(n->condition)) return n->inputs[0];
    return n;
}

enum status optimize_fold(struct resolver *r, struct plan_node **root) { return plan_transform(r, root, fold_node); }
