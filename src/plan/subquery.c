// SPDX-License-Identifier: Apache-2.0
// subquery.c: queries inside expressions.
//
//     WHERE x IN (q)          SEMI join on x            WHERE x NOT IN (q)       null-aware ANTI join
//     WHERE EXISTS (q)        SEMI join on what q says of the outer row; an uncorrelated one is a constant: count(*) > 0
//     (q) as a value          EXPR_SUBQUERY, run before the query; correlated over an aggregate: LEFT join, grouped by the inner keys
//
// Correlation: an EXPR_OUTER in a filter of the subquery. Such conjuncts are pulled up through filters and projections (which then
// pass the columns they need) into the join's condition. Anywhere else a reference to the outer query is "not yet".
#include "plan/resolver.h"

static enum status keep_condition(struct pull *p, struct expr *e) {
    if (p->count == p->capacity) {
        uint32_t capacity = p->capacity ? p->capacity * 2 : 8;
        struct expr **more = arena_alloc_array(p->r->arena, capacity, sizeof *more);
        if (!more) return STATUS_NO_MEMORY;
        if (p->count) memcpy(more, p->conditions, p->count * sizeof *more);
        p->conditions = more;
        p->capacity = capacity;
    }
    p->conditions[p->count++] = e;
    return STATUS_OK;
}

struct exposing {
    struct resolver *r;
    struct plan_node *project;   // its expressions grow
    bool failed;
};

// A column of a projection's input → that column of its output, added if it is not there.
static struct expr *expose_column(struct expr *e, void *context) {
    struct exposing *x = context;
    if (e->kind != EXPR_COLUMN) return e;
    struct plan_node *p = x->project;
    uint32_t at = 0;
    while (at < p->expr_count && !(p->exprs[at]->kind == EXPR_COLUMN && p->exprs[at]->ordinal == e->ordinal)) at++;
    if (at == p->expr_count) {
        struct arena *a = x->r->arena;
        struct expr **exprs = arena_alloc_array(a, (size_t)at + 1, sizeof *exprs);
        struct attribute *attributes = arena_alloc_array(a, (size_t)at + 1, sizeof *attributes);
        if (!exprs || !attributes) return NULL;
        if (at) memcpy(exprs, p->exprs, at * sizeof *exprs);
        if (at) memcpy(attributes, p->attributes, at * sizeof *attributes);
        exprs[at] = expr_of_attribute(a, p->inputs[0], e->ordinal);
        if (!exprs[at]) return NULL;
        attributes[at] = p->inputs[0]->attributes[e->ordinal];
        p->exprs = exprs;
        p->attributes = attributes;
        p->expr_count = p->attribute_count = at + 1;
    }
    return expr_column(x->r->arena, at, e->type, e->nullable);
}

enum status pull_up(struct pull *p, struct plan_node **node) {
    struct arena *a = p->r->arena;
    struct plan_node *n = *node;
    if (n->kind == PLAN_FILTER) {
        struct plan_node *input = n->inputs[0];
        TRY(pull_up(p, &input));
        uint32_t count;
        struct expr **parts = conjuncts_of(a, n->condition, &count);
        if (!parts) return STATUS_NO_MEMORY;
        struct expr *rest = NULL;
        for (uint32_t i = 0; i < count; i++) {
            if (expr_has_kind(parts[i], EXPR_OUTER)) TRY(keep_condition(p, parts[i]));
            else if (!(rest = expr_and(a, rest, parts[i]))) return STATUS_NO_MEMORY;
        }
        *node = rest ? plan_filter(a, input, rest) : input;
        return *node ? STATUS_OK : STATUS_NO_MEMORY;
    }
    if (n->kind != PLAN_PROJECT) return STATUS_OK;
    struct plan_node *copy = plan_copy(a, n);
    if (!copy) return STATUS_NO_MEMORY;
    TRY(pull_up(p, &copy->inputs[0]));
    struct exposing x = {.r = p->r, .project = copy};
    for (uint32_t i = 0; i < p->count; i++)
        if (!(p->conditions[i] = expr_rewrite(a, p->conditions[i], expose_column, &x))) return STATUS_NO_MEMORY;
    *node = copy;
    return STATUS_OK;
}

bool node_is_correlated(const struct plan_node *n) {
    for (uint32_t i = 0; i < n->expr_count; i++)
        if (expr_has_kind(n->exprs[i], EXPR_OUTER)) return true;
    for (uint32_t i = 0; i < n->join_key_count; i++)
        if (expr_has_kind(n->left_keys[i], EXPR_OUTER) || expr_has_kind(n->right_keys[i], EXPR_OUTER)) return true;
    for (uint32_t i = 0; i < n->sort_count; i++)
        if (expr_has_kind(n->sorts[i].expr, EXPR_OUTER)) return true;
    if (n->condition && expr_has_kind(n->condition, EXPR_OUTER)) return true;
    return false;
}

enum status still_correlated(struct resolver *r, struct plan_node *root, bool *out) {
    struct plan_node **nodes;
    uint32_t count;
    *out = false;
    TRY(plan_nodes(r->arena, r->analysis->memory, &root, 1, &nodes, &count));
    for (uint32_t i = 0; i < count; i++) *out |= node_is_correlated(nodes[i]);
    return STATUS_OK;
}

struct joining {
    struct arena *arena;
    uint32_t left_width;
    bool too_deep;
};

// Over the concatenated row: outer columns first, the subquery's behind them.
static struct expr *to_join_row(struct expr *e, void *context) {
    struct joining *j = context;
    if (e->kind != EXPR_COLUMN && e->kind != EXPR_OUTER) return e;
    if (e->kind == EXPR_OUTER && e->lambda_depth != 1) j->too_deep = true;
    uint32_t ordinal = e->kind == EXPR_OUTER ? e->ordinal : e->ordinal + j->left_width;
    return expr_column(j->arena, ordinal, e->type, e->nullable);
}

enum status complain_correlated(struct resolver *r, struct span span) { return complain_not_yet(r, span, "this form of correlated subquery"); }

enum status expr_beside(struct resolver *r, struct expr *e, uint32_t outer_width, struct span span, struct expr **out) {
    struct joining j = {.arena = r->arena, .left_width = outer_width};
    *out = expr_rewrite(r->arena, e, to_join_row, &j);
    if (j.too_deep) return complain_correlated(r, span);
    return *out ? STATUS_OK : STATUS_NO_MEMORY;
}

enum status join_conditions(struct resolver *r, struct pull *p, uint32_t outer_width, struct span span, struct expr **out) {
    *out = NULL;
    for (uint32_t i = 0; i < p->count; i++) {
        struct expr *e;
        TRY(expr_beside(r, p->conditions[i], outer_width, span, &e));
        if (!(*out = expr_and(r->arena, *out, e))) return STATUS_NO_MEMORY;
    }
    return STATUS_OK;
}

static enum status in_condition(struct expr_context *c, const struct uexpr *u, const struct plan_node *sub, struct expr **condition, bool *nullable) {
    struct resolver *r = c->resolver;
    uint32_t width = c->input->node->attribute_count;
    if (u->arg_count != sub->attribute_count)
        return complain(r, (struct complaint){.span = u->span, .condition = "DATATYPE_MISMATCH.IN_SUBQUERY_LENGTH_MISMATCH"},
                        "IN compares %u values with a query of %u columns", u->arg_count, sub->attribute_count);
    for (uint32_t i = 0; i < u->arg_count; i++) {
        struct expr *args[2], *equal;
        const char *name;
        TRY(resolve_expr(c, u->args[i], &args[0], &name));
        if (!(args[1] = expr_of_attribute(r->arena, sub, i))) return STATUS_NO_MEMORY;
        *nullable |= args[0]->nullable || args[1]->nullable;
        args[1]->ordinal += width;
        TRY(call_named(r, "=", args, 2, u->span, &equal));
        if (!(*condition = expr_and(r->arena, *condition, equal))) return STATUS_NO_MEMORY;
    }
    return STATUS_OK;
}

// count(*) > 0 of a query that can stop at its first row.
static enum status exists_value(struct resolver *r, struct plan_node *sub, struct span span, struct expr **out) {
    struct plan_node *limit = plan_over(r->arena, PLAN_LIMIT, sub);
    if (!limit) return STATUS_NO_MEMORY;
    limit->limit = 1;
    struct error e;
    error_clear(&e);
    struct expr *count, *zero = expr_bigint(r->arena, 0);
    enum status s = aggregate_call(r->arena, r->analysis->session, aggregate_find("count"), "count", NULL, 0, false, NULL, span, &count, &e);
    if (s != STATUS_OK) return complain_error(r, &e, span);
    struct plan_node *node;
    const char *name = "count(1)";
    TRY(aggregate_split(r, limit, NULL, NULL, 0, &count, &name, 1, &node));
    struct expr *value = expr_new(r->arena, EXPR_SUBQUERY, &type_bigint, false, 0);
    if (!value || !zero) return STATUS_NO_MEMORY;
    value->subquery = node;
    return call_named(r, ">", (struct expr *[]){value, zero}, 2, span, out);
}

enum status resolve_second(struct resolver *r, const struct uquery *q, struct expr_context *c, struct relation *out) {
    enum read_mode mode = r->mode;
    if (mode == READ_GROWING && c->input->node && c->input->node->streaming) r->mode = READ_BATCH;
    enum status status = resolve_query(r, q, c, out);
    r->mode = mode;
    return status;
}

// A subquery is answered once for each row: a stream has no answer.
static enum status refuse_stream(struct resolver *r, const struct uexpr *u) {
    struct survey s = {.source_count = 0};
    survey_query(r, u->query, &s);
    if (!s.uses_stream) return STATUS_OK;
    return complain(r, (struct complaint){.span = s.stream_span, .condition = "INVALID_SUBQUERY_EXPRESSION.STREAMING_QUERY", .label = "a stream",
                    .hint = "join the streams (LEFT SEMI JOIN … ON …), or leave STREAM out: the table is read whole"}, "a subquery in an expression cannot read a STREAM");
}

static enum status join_subquery(struct expr_context *c, const struct uexpr *u, bool negated, struct expr **filter) {
    TRY(refuse_stream(c->resolver, u));
    struct resolver *r = c->resolver;
    struct arena *a = r->arena;
    struct relation sub;
    TRY(resolve_second(r, u->query, c, &sub));
    struct pull p = {.r = r};
    struct plan_node *right = sub.node;
    TRY(pull_up(&p, &right));
    bool correlated;
    TRY(still_correlated(r, right, &correlated));
    if (correlated) return complain_correlated(r, u->span);
    struct expr *condition = NULL;
    TRY(join_conditions(r, &p, c->input->node->attribute_count, u->span, &condition));
    bool nullable = false, in = u->kind == U_IN_SUBQUERY;
    if (in) TRY(in_condition(c, u, sub.node, &condition, &nullable));
    if (!in && !p.count) {
        TRY(exists_value(r, sub.node, u->span, filter));
        if (negated) TRY(call_named(r, "not", filter, 1, u->span, filter));
        return STATUS_OK;
    }
    bool null_aware = in && negated && nullable;
    if (null_aware && (p.count || u->arg_count > 1)) return complain_not_yet(r, u->span, "NOT IN with a correlated query or several columns that may be NULL");
    struct plan_node *n = plan_over(a, PLAN_JOIN, c->input->node);
    struct plan_node **inputs = arena_alloc_array(a, 2, sizeof *inputs);
    if (!n || !inputs) return STATUS_NO_MEMORY;
    inputs[0] = c->input->node;
    inputs[1] = right;
    n->inputs = inputs;
    n->input_count = 2;
    n->streaming |= right->streaming;
    n->join = null_aware ? JOIN_NULL_AWARE_ANTI : negated ? JOIN_ANTI : JOIN_SEMI;
    n->condition = condition;
    n->span = u->span;
    TRY(join_keys(a, n));
    c->input->node = n;
    return STATUS_OK;
}

static const struct uexpr *subquery_condition(const struct uexpr *u, bool *negated) {
    *negated = false;
    while ((operator_is(u, "not") || operator_is(u, "!")) && u->arg_count == 1) {
        *negated = !*negated;
        u = u->args[0];
    }
    return u->kind == U_EXISTS || u->kind == U_IN_SUBQUERY ? u : NULL;
}

static enum status where_part(struct expr_context *c, const struct uexpr *u, enum status *worst) {
    if (operator_is(u, "and") && u->arg_count == 2) {
        TRY(where_part(c, u->args[0], worst));
        return where_part(c, u->args[1], worst);
    }
    bool negated;
    struct expr *filter = NULL;
    const struct uexpr *sub = subquery_condition(u, &negated);
    enum status s = sub ? join_subquery(c, sub, negated, &filter) : resolve_boolean(c, u, "WHERE", &filter);
    if (s == STATUS_NO_MEMORY) return s;
    if (s != STATUS_OK) *worst = s;
    else if (filter) {
        if (!(c->input->node = plan_filter(c->resolver->arena, c->input->node, filter))) return STATUS_NO_MEMORY;
        c->input->node->span = u->span;
    }
    return STATUS_OK;
}

static bool has_subquery_condition(const struct uexpr *u) {
    if (operator_is(u, "and") && u->arg_count == 2) return has_subquery_condition(u->args[0]) || has_subquery_condition(u->args[1]);
    bool negated;
    return subquery_condition(u, &negated) != NULL;
}

enum status resolve_where(struct expr_context *c, const struct uexpr *where) {
    c->clause = "WHERE";
    enum status worst = STATUS_OK, s;
    if (has_subquery_condition(where)) {
        s = where_part(c, where, &worst);
    } else {
        struct expr *condition;
        s = worst = resolve_boolean(c, where, "WHERE", &condition);
        if (s == STATUS_OK) {
            struct plan_node *n = plan_filter(c->resolver->arena, c->input->node, condition);
            if (!n) return STATUS_NO_MEMORY;
            n->span = where->span;
            c->input->node = n;
        }
    }
    c->clause = NULL;
    return s == STATUS_NO_MEMORY ? s : worst;
}

// --- scalar ---

// One side of an equality over outer columns alone, the other over the subquery's.
static bool outer_equality(const struct expr *e, struct expr **outer, struct expr **inner) {
    if (e->kind != EXPR_CALL || strcmp(e->call.function->name, "=") != 0) return false;
    for (int i = 0; i < 2; i++) {
        struct expr *x = e->args[i], *y = e->args[1 - i];
        if (!expr_has_kind(x, EXPR_OUTER) || expr_has_kind(x, EXPR_COLUMN) || expr_has_kind(y, EXPR_OUTER) || !expr_has_kind(y, EXPR_COLUMN)) continue;
        *outer = x;
        *inner = y;
        return true;
    }
    return false;
}

// AGGREGATE without keys → the same by the inner sides of the correlation.
static enum status group_by_inner(struct resolver *r, struct plan_node *aggregate, struct plan_node *input, struct expr **inner, uint32_t count, struct plan_node **out) {
    struct arena *a = r->arena;
    uint32_t total = count + aggregate->expr_count;
    struct plan_node *n = plan_new(a, PLAN_AGGREGATE, 1, total);
    if (!n || !(n->exprs = arena_alloc_array(a, total, sizeof *n->exprs))) return STATUS_NO_MEMORY;
    n->inputs[0] = input;
    n->streaming = input->streaming;
    n->span = aggregate->span;
    n->expr_count = total;
    n->key_count = count;
    for (uint32_t i = 0; i < total; i++) {
        n->exprs[i] = i < count ? inner[i] : aggregate->exprs[i - count];
        if (i < count) n->attributes[i] = (struct attribute){.name = "(key)", .type = inner[i]->type, .nullable = inner[i]->nullable};
        else n->attributes[i] = aggregate->attributes[i - count];
    }
    *out = n;
    return STATUS_OK;
}

// The aggregate grouped by the inner sides of equalities; *outer: the sides to meet them. *handled false: not only equalities.
static enum status group_by_equalities(struct resolver *r, struct plan_node *aggregate, struct plan_node *input, const struct pull *p, struct plan_node **grouped,
                                       struct expr ***outer, bool *handled) {
    struct arena *a = r->arena;
    struct joining j = {.arena = a};
    struct expr **inner = arena_alloc_array(a, (size_t)p->count + 1, sizeof *inner);
    *outer = arena_alloc_array(a, (size_t)p->count + 1, sizeof **outer);
    if (!*outer || !inner) return STATUS_NO_MEMORY;
    *handled = false;
    for (uint32_t i = 0; i < p->count; i++) {
        if (!outer_equality(p->conditions[i], &(*outer)[i], &inner[i])) return STATUS_OK;
        if (!((*outer)[i] = expr_rewrite(a, (*outer)[i], to_join_row, &j))) return STATUS_NO_MEMORY;
    }
    if (j.too_deep) return STATUS_OK;
    *handled = true;
    return group_by_inner(r, aggregate, input, inner, p->count, grouped);
}

static enum status join_scalar(struct expr_context *c, const struct uexpr *u, struct plan_node *sub, struct expr **out) {
    struct resolver *r = c->resolver;
    struct arena *a = r->arena;
    bool shape = sub->kind == PLAN_PROJECT && sub->expr_count == 1 && sub->inputs[0]->kind == PLAN_AGGREGATE && !sub->inputs[0]->key_count;
    if (!shape || !c->joins_subqueries || node_is_correlated(sub) || node_is_correlated(sub->inputs[0])) return complain_correlated(r, u->span);
    struct plan_node *aggregate = sub->inputs[0], *input = aggregate->inputs[0], *grouped;
    struct pull p = {.r = r};
    TRY(pull_up(&p, &input));
    bool correlated, equalities;
    TRY(still_correlated(r, input, &correlated));
    if (correlated || !p.count) return complain_correlated(r, u->span);
    struct expr **outer;
    struct domain domain = {.count = p.count};
    TRY(group_by_equalities(r, aggregate, input, &p, &grouped, &outer, &equalities));
    if (!equalities) TRY(aggregate_per_domain(r, c->input->node, aggregate, input, p.conditions, p.count, u->span, &grouped, &domain));
    struct plan_node *left = c->input->node, *n = plan_beside(a, JOIN_LEFT, left, grouped);
    if (!n) return STATUS_NO_MEMORY;
    n->span = u->span;
    if (equalities) {
        n->left_keys = outer;
        n->join_key_count = p.count;
        if (!(n->right_keys = arena_alloc_array(a, p.count, sizeof *n->right_keys))) return STATUS_NO_MEMORY;
        for (uint32_t i = 0; i < p.count; i++)
            if (!(n->right_keys[i] = expr_of_attribute(a, grouped, i))) return STATUS_NO_MEMORY;
    } else {
        TRY(join_domain(r, n, &domain, u->span));
    }
    c->input->node = n;
    return value_after_join(r, n, left->attribute_count + domain.count, u->span, sub->exprs[0], out);
}

// EXISTS of a correlated query, as a value: count(*) > 0.
static enum status exists_for_row(struct expr_context *c, const struct uexpr *u, struct plan_node *sub, struct expr **out) {
    struct resolver *r = c->resolver;
    struct error e;
    error_clear(&e);
    struct expr *count, *zero = expr_bigint(r->arena, 0);
    enum status s = aggregate_call(r->arena, r->analysis->session, aggregate_find("count"), "count", NULL, 0, false, NULL, u->span, &count, &e);
    if (s != STATUS_OK) return complain_error(r, &e, u->span);
    struct plan_node *node;
    const char *name = "count(1)";
    TRY(aggregate_split(r, sub, NULL, NULL, 0, &count, &name, 1, &node));
    struct plan_node *project = plan_project(r->arena, node, &count, &name, 1);
    if (!project || !zero) return STATUS_NO_MEMORY;
    TRY(join_scalar(c, u, project, &count));
    return call_named(r, ">", (struct expr *[]){count, zero}, 2, u->span, out);
}

static enum status resolve_scalar(struct expr_context *c, const struct uexpr *u, struct plan_node *sub, bool correlated, struct expr **out) {
    struct resolver *r = c->resolver;
    if (sub->attribute_count != 1)
        return complain(r, (struct complaint){.span = u->span, .condition = "INVALID_SUBQUERY_EXPRESSION.SCALAR_SUBQUERY_RETURN_MORE_THAN_ONE_OUTPUT_COLUMN",
                        .label = "one column is needed"}, "a subquery used as a value must have one column, not %u", sub->attribute_count);
    if (correlated) return join_scalar(c, u, sub, out);
    *out = expr_new(r->arena, EXPR_SUBQUERY, sub->attributes[0].type, true, 0);
    if (!*out) return STATUS_NO_MEMORY;
    (*out)->subquery = sub;
    return STATUS_OK;
}

enum status resolve_subquery_expr(struct expr_context *c, const struct uexpr *u, struct expr **out, const char **name) {
    TRY(refuse_stream(c->resolver, u));
    struct resolver *r = c->resolver;
    if (c->lambdas)
        return complain(r, (struct complaint){.span = u->span, .condition = "UNSUPPORTED_SUBQUERY_EXPRESSION_CATEGORY.HIGHER_ORDER_FUNCTION", .label = "inside a lambda"},
                        "a subquery cannot stand inside a lambda");
    struct relation sub;
    struct expr_context probe = *c;
    probe.outer_used = false;
    struct relation none = {.node = NULL};
    if (!probe.input) probe.input = &none;
    TRY(resolve_second(r, u->query, &probe, &sub));
    bool correlated;
    TRY(still_correlated(r, sub.node, &correlated));
    if (u->kind == U_SUBQUERY) {
        *name = "scalarsubquery()";
        return resolve_scalar(c, u, sub.node, correlated, out);
    }
    if (correlated && u->kind == U_EXISTS) {
        *name = "exists()";
        return exists_for_row(c, u, sub.node, out);
    }
    if (correlated) return complain_not_yet(r, u->span, "a correlated subquery here (it can be a condition of WHERE, joined with AND)");
    if (u->kind == U_EXISTS) {
        *name = "exists()";
        return exists_value(r, sub.node, u->span, out);
    }
    if (u->arg_count != sub.node->attribute_count)
        return complain(r, (struct complaint){.span = u->span, .condition = "DATATYPE_MISMATCH.IN_SUBQUERY_LENGTH_MISMATCH"},
                        "IN compares %u values with a query of %u columns", u->arg_count, sub.node->attribute_count);
    if (u->arg_count != 1) return complain_not_yet(r, u->span, "IN (query) with several columns here (it can be a condition of WHERE, joined with AND)");
    struct expr *value, *equal, *column = expr_of_attribute(r->arena, sub.node, 0);
    const char *inner;
    TRY(resolve_expr(c, u->args[0], &value, &inner));
    // The types both sides meet in are those of `=`.
    if (!column) return STATUS_NO_MEMORY;
    TRY(call_named(r, "=", (struct expr *[]){value, column}, 2, u->span, &equal));
    bool plain = equal->kind == EXPR_CALL && equal->arg_count == 2;
    struct plan_node *node = sub.node;
    if (plain && equal->args[1] != column) {
        const char *column_name = node->attributes[0].name;
        if (!(node = plan_project(r->arena, node, &equal->args[1], &column_name, 1))) return STATUS_NO_MEMORY;
    }
    *out = expr_new(r->arena, EXPR_IN_SUBQUERY, &type_boolean, true, 1);
    *name = name_limited(r->arena, arena_printf(r->arena, "(%s IN (listquery()))", inner));
    if (!*out || !*name) return STATUS_NO_MEMORY;
    (*out)->args[0] = plain ? equal->args[0] : value;
    (*out)->subquery = node;
    return STATUS_OK;
}
