// SPDX-License-Identifier: Apache-2.0
// optimize_project.c: projections over projections. One that is its input under the same names goes; one whose input only picks columns
// and fields is bound over that input's input. A projection that computes stays: several readers may share it, and none of them
// should compute it again.
#include "plan/resolver.h"

static bool is_pick(const struct expr *e) {
    while (e->kind == EXPR_FIELD) e = e->args[0];
    return e->kind == EXPR_COLUMN || e->kind == EXPR_LITERAL;
}

static bool picks_only(const struct plan_node *n) {
    for (uint32_t i = 0; i < n->expr_count; i++)
        if (!is_pick(n->exprs[i])) return false;
    return true;
}

static bool is_identity(const struct plan_node *n) {
    const struct plan_node *input = n->inputs[0];
    if (n->expr_count != input->attribute_count) return false;
    for (uint32_t i = 0; i < n->expr_count; i++)
        if (n->exprs[i]->kind != EXPR_COLUMN || n->exprs[i]->ordinal != i || strcmp(n->attributes[i].name, input->attributes[i].name) != 0) return false;
    return true;
}

static struct expr *through(struct expr *e, void *context) {
    const struct plan_node *inner = context;
    return e->kind == EXPR_COLUMN ? inner->exprs[e->ordinal] : e;
}

static struct plan_node *merge(struct resolver *r, struct plan_node *n) {
    if (n->kind != PLAN_PROJECT) return n;
    if (is_identity(n)) return n->inputs[0];
    struct plan_node *inner = n->inputs[0];
    if (inner->kind != PLAN_PROJECT || !picks_only(inner)) return n;
    struct plan_node *copy = plan_copy(r->arena, n);
    if (!copy) return NULL;
    for (uint32_t i = 0; i < copy->expr_count; i++)
        if (!(copy->exprs[i] = expr_rewrite(r->arena, copy->exprs[i], through, inner))) return NULL;
    copy->inputs[0] = inner->inputs[0];
    return copy;
}

enum status optimize_projects(struct resolver *r, struct plan_node **root) { return plan_transform(r, root, merge); }
