// SPDX-License-Identifier: Apache-2.0
// lateral.c: queries that are run once for each row of another, as joins.
//
//     a JOIN LATERAL (SELECT y FROM b WHERE b.id = a.id)          a ⋈ b on the pulled-up condition
//     a, LATERAL (SELECT max(b.n) FROM b WHERE b.id > a.id)       a ⟕ (AGGREGATE by d.id over DISTINCT a.id AS d ⋈ b on b.id > d.id) on a.id <=> d.id
//
// The second form serves correlated scalar subqueries too, where the condition is not a plain equality: the aggregate is taken once for
// each combination of the outer columns that it depends on (their "domain"). A combination without rows has no group: its row gets
// NULL from the outer join, and count 0.
// Method: Neumann and Kemper, "Unnesting Arbitrary Queries", BTW 2015, in the part that aggregates over filters need.
#include "plan/resolver.h"

struct to_domain {
    struct arena *arena;
    const uint32_t *ordinals;    // of the outer row, ascending by first use
    uint32_t width;
};

static struct expr *to_domain_row(struct expr *e, void *context) {
    struct to_domain *d = context;
    if (e->kind == EXPR_COLUMN) return expr_column(d->arena, e->ordinal + d->width, e->type, e->nullable);
    if (e->kind != EXPR_OUTER) return e;
    uint32_t at = 0;
    while (at + 1 < d->width && d->ordinals[at] != e->ordinal) at++;
    return expr_column(d->arena, at, e->type, e->nullable);
}

struct outer_columns {
    uint32_t *ordinals;
    uint32_t count, capacity;
    bool too_deep;
};

static bool collect_outer(struct expr *e, void *context) {
    struct outer_columns *o = context;
    if (e->kind != EXPR_OUTER) return true;
    o->too_deep |= e->lambda_depth != 1;
    for (uint32_t i = 0; i < o->count; i++)
        if (o->ordinals[i] == e->ordinal) return true;
    if (o->count < o->capacity) o->ordinals[o->count++] = e->ordinal;
    return true;
}

static struct plan_node *distinct_columns(struct arena *a, struct plan_node *outer, const uint32_t *ordinals, uint32_t count) {
    struct expr **exprs = arena_alloc_array(a, (size_t)count + 1, sizeof *exprs);
    const char **names = arena_alloc_array(a, (size_t)count + 1, sizeof *names);
    if (!exprs || !names) return NULL;
    for (uint32_t i = 0; i < count; i++) {
        if (!(exprs[i] = expr_of_attribute(a, outer, ordinals[i]))) return NULL;
        names[i] = outer->attributes[ordinals[i]].name;
    }
    struct plan_node *project = plan_project(a, outer, exprs, names, count);
    return project ? plan_distinct(a, project) : NULL;
}

// left and right side by side; the caller sets kind and condition.
struct plan_node *plan_beside(struct arena *a, enum join_kind kind, struct plan_node *left, struct plan_node *right) {
    struct plan_node *n = plan_new(a, PLAN_JOIN, 2, left->attribute_count + right->attribute_count);
    if (!n) return NULL;
    n->join = kind;
    n->inputs[0] = left;
    n->inputs[1] = right;
    n->streaming = left->streaming || right->streaming;
    for (uint32_t i = 0; i < n->attribute_count; i++) {
        bool of_left = i < left->attribute_count;
        n->attributes[i] = of_left ? left->attributes[i] : right->attributes[i - left->attribute_count];
        if (!of_left && kind == JOIN_LEFT) n->attributes[i].nullable = true;
    }
    return n;
}

enum status aggregate_per_domain(struct resolver *r, struct plan_node *outer, struct plan_node *aggregate, struct plan_node *input,
                                 struct expr *const *conditions, uint32_t condition_count, struct span span, struct plan_node **out, struct domain *domain) {
    struct arena *a = r->arena;
    struct outer_columns o = {.capacity = outer->attribute_count};
    if (!(o.ordinals = arena_alloc_array(a, (size_t)outer->attribute_count + 1, sizeof *o.ordinals))) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < condition_count; i++) expr_walk(conditions[i], collect_outer, &o);
    if (o.too_deep || !o.count) return complain_correlated(r, span);
    *domain = (struct domain){.ordinals = o.ordinals, .count = o.count};
    struct plan_node *distinct = distinct_columns(a, outer, o.ordinals, o.count);
    struct plan_node *join = distinct ? plan_beside(a, JOIN_INNER, distinct, input) : NULL;
    if (!join) return STATUS_NO_MEMORY;
    join->span = span;
    struct to_domain d = {.arena = a, .ordinals = o.ordinals, .width = o.count};
    for (uint32_t i = 0; i < condition_count; i++) {
        struct expr *e = expr_rewrite(a, conditions[i], to_domain_row, &d);
        if (!e || !(join->condition = expr_and(a, join->condition, e))) return STATUS_NO_MEMORY;
    }
    TRY(join_keys(a, join));
    uint32_t total = o.count + aggregate->expr_count;
    struct plan_node *n = plan_new(a, PLAN_AGGREGATE, 1, total);
    if (!n || !(n->exprs = arena_alloc_array(a, total, sizeof *n->exprs))) return STATUS_NO_MEMORY;
    n->inputs[0] = join;
    n->streaming = join->streaming;
    n->span = aggregate->span;
    n->expr_count = total;
    n->key_count = o.count;
    for (uint32_t i = 0; i < total; i++) {
        n->exprs[i] = i < o.count ? expr_of_attribute(a, join, i) : expr_shift(a, aggregate->exprs[i - o.count], o.count);
        if (!n->exprs[i]) return STATUS_NO_MEMORY;
        n->attributes[i] = i < o.count ? join->attributes[i] : aggregate->attributes[i - o.count];
    }
    *out = n;
    return STATUS_OK;
}

enum status join_domain(struct resolver *r, struct plan_node *join, const struct domain *domain, struct span span) {
    uint32_t width = join->inputs[0]->attribute_count;
    for (uint32_t i = 0; i < domain->count; i++) {
        struct expr *args[2] = {expr_of_attribute(r->arena, join->inputs[0], domain->ordinals[i]), expr_of_attribute(r->arena, join->inputs[1], i)}, *equal;
        if (!args[0] || !args[1]) return STATUS_NO_MEMORY;
        bool nullable = args[0]->nullable;
        args[1]->ordinal += width;
        TRY(call_named(r, nullable ? "<=>" : "=", args, 2, span, &equal));
        if (!(join->condition = expr_and(r->arena, join->condition, equal))) return STATUS_NO_MEMORY;
    }
    return join_keys(r->arena, join);
}

struct after_join {
    struct resolver *r;
    struct plan_node *join;
    uint32_t shift;
    struct span span;
    enum status status;
};

// A column of the aggregate → that column behind the outer join; what is never NULL for a group (count) is 0 where there is no group.
static struct expr *to_joined(struct expr *e, void *context) {
    struct after_join *j = context;
    if (e->kind != EXPR_COLUMN || j->status != STATUS_OK) return e;
    struct expr *x = expr_of_attribute(j->r->arena, j->join, e->ordinal + j->shift), *zero = expr_bigint(j->r->arena, 0);
    if (!x || !zero || e->nullable) return x;
    if (e->type->id != TYPE_BIGINT) j->status = complain_correlated(j->r, j->span);
    else j->status = call_named(j->r, "coalesce", (struct expr *[]){x, zero}, 2, j->span, &x);
    return j->status == STATUS_OK ? x : e;
}

enum status value_after_join(struct resolver *r, struct plan_node *join, uint32_t shift, struct span span, struct expr *value, struct expr **out) {
    struct after_join j = {.r = r, .join = join, .shift = shift, .span = span};
    *out = expr_rewrite(r->arena, value, to_joined, &j);
    TRY(j.status);
    return *out ? STATUS_OK : STATUS_NO_MEMORY;
}

// --- LATERAL ---

static bool aggregates_all(const struct plan_node *n) {
    return n->kind == PLAN_PROJECT && n->inputs[0]->kind == PLAN_AGGREGATE && !n->inputs[0]->key_count && n->inputs[0]->expr_count;
}

static enum status refuse_correlated(struct resolver *r, struct plan_node *n, struct span span) {
    bool correlated;
    TRY(still_correlated(r, n, &correlated));
    return correlated ? complain_correlated(r, span) : STATUS_OK;
}

// One row for each row of the left: its columns, then the query's.
static enum status join_aggregate(struct resolver *r, const struct relation *left, struct relation *sub, struct span span, struct plan_node **out) {
    struct arena *a = r->arena;
    struct plan_node *project = sub->node, *input = project->inputs[0]->inputs[0], *grouped;
    struct pull p = {.r = r};
    struct domain domain;
    uint32_t width = left->node->attribute_count, count = project->expr_count;
    TRY(pull_up(&p, &input));
    TRY(refuse_correlated(r, input, span));
    TRY(aggregate_per_domain(r, left->node, project->inputs[0], input, p.conditions, p.count, span, &grouped, &domain));
    struct plan_node *join = plan_beside(a, JOIN_LEFT, left->node, grouped);
    if (!join) return STATUS_NO_MEMORY;
    join->span = span;
    TRY(join_domain(r, join, &domain, span));
    struct expr **exprs = arena_alloc_array(a, (size_t)width + count, sizeof *exprs);
    const char **names = arena_alloc_array(a, (size_t)width + count, sizeof *names);
    if (!exprs || !names) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < width + count; i++) {
        names[i] = i < width ? left->node->attributes[i].name : project->attributes[i - width].name;
        if (i >= width) TRY(value_after_join(r, join, width + domain.count, span, project->exprs[i - width], &exprs[i]));
        else if (!(exprs[i] = expr_of_attribute(a, join, i))) return STATUS_NO_MEMORY;
    }
    *out = plan_project(a, join, exprs, names, width + count);
    return *out ? STATUS_OK : STATUS_NO_MEMORY;
}

static enum status join_pulled(struct resolver *r, const struct relation *left, struct relation *sub, bool keeps_left, struct span span, struct plan_node **out) {
    struct pull p = {.r = r};
    TRY(pull_up(&p, &sub->node));
    TRY(refuse_correlated(r, sub->node, span));
    struct plan_node *join = plan_beside(r->arena, keeps_left ? JOIN_LEFT : p.count ? JOIN_INNER : JOIN_CROSS, left->node, sub->node);
    if (!join) return STATUS_NO_MEMORY;
    join->span = span;
    TRY(join_conditions(r, &p, left->node->attribute_count, span, &join->condition));
    *out = join;
    return STATUS_OK;
}

// A SELECT list that uses the outer row: computed above the join.
static enum status join_projection(struct resolver *r, const struct relation *left, struct relation *sub, struct span span, struct plan_node **out) {
    struct arena *a = r->arena;
    struct plan_node *project = sub->node, *join;
    struct relation input = {.node = project->inputs[0]};
    TRY(join_pulled(r, left, &input, false, span, &join));
    TRY(join_keys(a, join));
    uint32_t width = left->node->attribute_count, count = project->expr_count;
    struct expr **exprs = arena_alloc_array(a, (size_t)width + count, sizeof *exprs);
    const char **names = arena_alloc_array(a, (size_t)width + count, sizeof *names);
    if (!exprs || !names) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < width + count; i++) {
        names[i] = i < width ? left->node->attributes[i].name : project->attributes[i - width].name;
        if (i >= width) TRY(expr_beside(r, project->exprs[i - width], width, span, &exprs[i]));
        else if (!(exprs[i] = expr_of_attribute(a, join, i))) return STATUS_NO_MEMORY;
    }
    return (*out = plan_project(a, join, exprs, names, width + count)) ? STATUS_OK : STATUS_NO_MEMORY;
}

static bool is_true(const struct uexpr *u) {
    return u->kind == U_LITERAL && u->literal->type->id == TYPE_BOOLEAN && column_is_valid(u->literal, 0) && column_bool(u->literal, 0);
}

enum status resolve_lateral_join(struct resolver *r, const struct urelation *u, const struct relation *left, struct expr_context *outer, struct relation *out) {
    bool keeps_left = u->join == UJOIN_LEFT;
    if (!keeps_left && u->join != UJOIN_INNER && u->join != UJOIN_CROSS)
        return complain(r, (struct complaint){.span = u->span, .condition = "INVALID_LATERAL_JOIN_TYPE", .hint = "INNER, LEFT and CROSS joins can be LATERAL"},
                        "this kind of join cannot be LATERAL");
    if (u->right->kind != UREL_QUERY || u->natural || u->using_count) return complain_not_yet(r, u->right->span, "LATERAL before this, or with USING");
    struct relation seen = *left, sub;
    struct expr_context c = {.resolver = r, .input = &seen, .outer = outer};
    TRY(resolve_second(r, u->right->query, &c, &sub));
    TRY(apply_alias(r, u->right, &sub));
    struct plan_node *node;
    bool correlated;
    TRY(still_correlated(r, sub.node, &correlated));
    if (correlated && aggregates_all(sub.node)) TRY(join_aggregate(r, left, &sub, u->right->span, &node));
    else if (!keeps_left && sub.node->kind == PLAN_PROJECT && node_is_correlated(sub.node)) TRY(join_projection(r, left, &sub, u->right->span, &node));
    else TRY(join_pulled(r, left, &sub, keeps_left, u->right->span, &node));
    bool plain_join = node->kind == PLAN_JOIN;
    if (!names_of_both(r->arena, left, &sub, out)) return STATUS_NO_MEMORY;
    out->node = node;
    if (u->condition && !is_true(u->condition)) {
        struct expr *condition;
        struct expr_context on = {.resolver = r, .input = out, .outer = outer, .clause = "JOIN … ON"};
        if (keeps_left && !plain_join) return complain_not_yet(r, u->condition->span, "LEFT JOIN LATERAL of an aggregate with a condition");
        TRY(resolve_boolean(&on, u->condition, "JOIN", &condition));
        if (!plain_join) return (out->node = plan_filter(r->arena, node, condition)) ? STATUS_OK : STATUS_NO_MEMORY;
        if (node->join == JOIN_CROSS) node->join = JOIN_INNER;
        if (!(node->condition = expr_and(r->arena, node->condition, condition))) return STATUS_NO_MEMORY;
    }
    return plain_join ? join_keys(r->arena, node) : STATUS_OK;
}
