// SPDX-License-Identifier: Apache-2.0
// optimize.c: the order of the rules. Each is a file of its own and gives a plan with the same result:
//
//     optimize_fold.c       constants are computed now, filters that are always true go
//     optimize_filter.c     filters move towards the source; equalities over a cross product become join keys
//     optimize_project.c    projections that only rename or pick go, or merge where nothing is computed twice
//     optimize_wanted.c, optimize_json.c   columns nobody reads are marked; from_json learns its leaves (over the whole graph, at the end)
//
// A projection that computes something (from_json) is never pulled apart: flows share it.
#include "plan/resolver.h"

struct subqueries {
    struct resolver *r;
    enum status status;
};

static bool optimize_subquery(struct expr *e, void *context) {
    struct subqueries *s = context;
    if (e->kind != EXPR_SUBQUERY && e->kind != EXPR_IN_SUBQUERY) return s->status == STATUS_OK;
    // Every holder of this node wants the same better plan, so it is changed in place; ids are the sign that it was done.
    if (s->status == STATUS_OK) s->status = optimize_tree(s->r, &e->subquery);
    if (s->status == STATUS_OK) s->status = graph_of_root(s->r->arena, s->r->analysis->memory, &e->subquery);
    return s->status == STATUS_OK;
}

static enum status optimize_subqueries(struct resolver *r, struct plan_node *root) {
    struct plan_node **nodes;
    uint32_t count;
    TRY(plan_nodes(r->arena, r->analysis->memory, &root, 1, &nodes, &count));
    struct subqueries s = {.r = r, .status = STATUS_OK};
    for (uint32_t i = 0; i < count && s.status == STATUS_OK; i++) {
        struct plan_node *n = nodes[i];
        for (uint32_t k = 0; k < n->expr_count; k++) expr_walk(n->exprs[k], optimize_subquery, &s);
        for (uint32_t k = 0; k < n->join_key_count; k++) {
            expr_walk(n->left_keys[k], optimize_subquery, &s);
            expr_walk(n->right_keys[k], optimize_subquery, &s);
        }
        for (uint32_t k = 0; k < n->sort_count; k++) expr_walk(n->sorts[k].expr, optimize_subquery, &s);
        if (n->condition) expr_walk(n->condition, optimize_subquery, &s);
    }
    return s.status;
}

enum status optimize_tree(struct resolver *r, struct plan_node **root) {
    TRY(optimize_fold(r, root));
    TRY(plan_limit_ranks(r, root));
    TRY(optimize_filters(r, root));
    TRY(optimize_projects(r, root));
    return optimize_subqueries(r, *root);
}
