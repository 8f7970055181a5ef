// SPDX-License-Identifier: Apache-2.0
// resolve_query.c: a SELECT with everything around it.
//
//     FROM ─► WHERE ─► (WINDOW) ─► AGGREGATE ─► HAVING ─► PROJECT items and hidden sort columns ─► [DISTINCT] ─► SORT ─► LIMIT ─► PROJECT items
//
// All expressions of a SELECT are bound over its FROM; if it aggregates, aggregate_query.c rewrites them over the AGGREGATE. So ORDER BY
// and HAVING may use items by alias and columns that are not selected. A failing item does not hide the errors of the others.
#include "expr/program.h"
#include "plan/resolver.h"

struct select {
    struct resolver *r;
    const struct uquery *q;
    struct relation from;
    struct expr_context c;
    struct vector items;         // of struct item
    struct expr **keys;
    const char **key_names;
    uint32_t key_count;
    struct expr *having;
    struct sort_key *sorts;
    uint32_t sort_count;
    enum status worst;           // first failure that was not fatal
};

static void note(struct select *s, enum status status) {
    if (status != STATUS_OK && (s->worst == STATUS_OK || status == STATUS_NO_MEMORY)) s->worst = status;
}

bool contains_aggregate(const struct uexpr *u) {
    const char *called = u->kind == U_CALL && u->name.part_count ? u->name.parts[u->name.part_count - 1] : NULL;
    if (called && aggregate_find(called) && !(u->infix && function_find(called))) return true;
    if (u->kind == U_OVER) return false;
    for (uint32_t i = 0; i < u->arg_count; i++)
        if (contains_aggregate(u->args[i])) return true;
    return false;
}

static bool is_aggregating(const struct uquery *q) {
    if (q->group_count || q->group_all || q->having) return true;
    for (uint32_t i = 0; i < q->item_count; i++)
        if (contains_aggregate(q->items[i])) return true;
    return false;
}

// What Spark calls an item: a path by its last field, a cast of a column by the column.
static const char *item_name(const struct uexpr *u, const struct expr *e, const char *name) {
    if (operator_is(u, "from_json") && e->type->id == TYPE_MAP) return "entries";
    if (u->kind == U_NAME && strcmp(name, "current_date()") != 0 && e->kind != EXPR_CALL) return u->name.parts[u->name.part_count - 1];
    if (u->kind == U_NAME && u->name.part_count > 1) return u->name.parts[u->name.part_count - 1];
    const struct uexpr *inner = u->arg_count ? u->args[0] : NULL;
    if (u->kind == U_CAST && inner->kind == U_NAME) {
        const struct expr *arg = e->kind == EXPR_CAST ? e->args[0] : e;
        if (arg->kind == EXPR_COLUMN || arg->kind == EXPR_OUTER) return inner->name.parts[inner->name.part_count - 1];
    }
    return name;
}

static enum status add_generator(struct select *s, const struct uexpr *u, const struct uexpr *call) {
    struct resolver *r = s->r;
    if (is_aggregating(s->q)) return complain_not_yet(r, u->span, "rows made from an aggregate in one SELECT (put the aggregation into a subquery)");
    uint32_t first, count;
    TRY(resolve_generator(&s->c, call, false, &first, &count));
    uint32_t alias_count = u == call ? 0 : u->name_count;
    if (alias_count && alias_count != count)
        return complain(r, (struct complaint){.span = u->span, .condition = "UDTF_ALIAS_NUMBER_MISMATCH"}, "`%s` makes %u columns, and %u names are given",
                        call->name.parts[0], count, alias_count);
    for (uint32_t i = 0; i < count; i++) {
        struct item item = {.source = u, .aliased = alias_count > 0, .expr = expr_of_attribute(r->arena, s->c.input->node, first + i)};
        if (!item.expr) return STATUS_NO_MEMORY;
        item.name = alias_count ? u->names[i] : s->c.input->node->attributes[first + i].name;
        TRY(vector_push(&s->items, &item));
    }
    return STATUS_OK;
}

static enum status add_item(struct select *s, const struct uexpr *u) {
    if (is_star(u)) return expand_star(&s->c, u, &s->items);
    const struct uexpr *inner = u->kind == U_ALIAS ? u->args[0] : u;
    if (is_generator(inner)) return add_generator(s, u, inner);
    struct item item = {.source = u, .aliased = u->kind == U_ALIAS};
    if (u->kind == U_ALIAS && u->name_count > 1)
        return complain(s->r, (struct complaint){.span = u->span, .condition = "MULTI_ALIAS_WITHOUT_GENERATOR"}, "several names for one column");
    s->c.aliases = s->items.items;
    s->c.alias_count = (uint32_t)s->items.count;
    const char *name;
    enum status status = resolve_expr(&s->c, inner, &item.expr, &name);
    s->c.alias_count = 0;
    if (status == STATUS_OK) item.name = item.aliased ? u->names[0] : item_name(inner, item.expr, name);
    else {
        item.failed = true;
        item.name = item.aliased ? u->names[0] : NULL;
    }
    TRY(vector_push(&s->items, &item));
    return status;
}

static enum status resolve_items(struct select *s) {
    for (uint32_t i = 0; i < s->q->item_count; i++) {
        enum status status = add_item(s, s->q->items[i]);
        if (status == STATUS_NO_MEMORY) return status;
        note(s, status);
    }
    return STATUS_OK;
}

static const struct item *item_at(const struct select *s, size_t i) { return vector_at(&s->items, i); }

// A position (GROUP BY 1): the literal's value, or 0.
static int64_t position_of(const struct uexpr *u) {
    if (u->kind != U_LITERAL || !column_is_valid(u->literal, 0)) return 0;
    if (u->literal->type->id != TYPE_INT) return 0;
    int32_t value = column_int32(u->literal, 0);
    return value ? value : -1;
}

static enum status check_key(struct select *s, const struct expr *e, struct span span) {
    bool map = e->type->id == TYPE_MAP && type_is_orderable(e->type->fields[1].type);  // grouped with its entries sorted
    if (!map && !type_is_orderable(e->type))
        return complain(s->r, (struct complaint){.span = span, .condition = "GROUP_EXPRESSION_TYPE_IS_NOT_ORDERABLE", .label = type_name_sql(s->r->arena, e->type)},
                        "rows cannot be grouped by a %s", type_name_sql(s->r->arena, e->type));
    return STATUS_OK;
}

static void add_key(struct select *s, struct expr *e, const char *name) {
    s->keys[s->key_count] = e;
    s->key_names[s->key_count++] = name;
}

static enum status group_by_position(struct select *s, const struct uexpr *u, int64_t position) {
    if (position < 1 || position > (int64_t)s->items.count)
        return complain(s->r, (struct complaint){.span = u->span, .condition = "GROUP_BY_POS_OUT_OF_RANGE", .label = "no such column"},
                        "GROUP BY position %lld is not in the SELECT list, which has %zu columns", (long long)position, s->items.count);
    const struct item *item = item_at(s, (size_t)position - 1);
    if (item->failed) return STATUS_INVALID_QUERY;
    if (expr_has_kind(item->expr, EXPR_AGGREGATE))
        return complain(s->r, (struct complaint){.span = u->span, .condition = "GROUP_BY_POS_AGGREGATE", .label = "an aggregate"},
                        "GROUP BY position %lld is an aggregate function", (long long)position);
    add_key(s, item->expr, item->name);
    return check_key(s, item->expr, u->span);
}

static enum status group_by_expression(struct select *s, const struct uexpr *u) {
    int64_t position = position_of(u);
    if (position) return group_by_position(s, u, position);
    s->c.clause = "GROUP BY";
    s->c.aliases = s->items.items;
    s->c.alias_count = (uint32_t)s->items.count;
    struct expr *e = NULL;
    const char *name = NULL;
    enum status status = resolve_expr(&s->c, u, &e, &name);
    s->c.clause = NULL;
    s->c.alias_count = 0;
    TRY(status);
    if (expr_has_kind(e, EXPR_AGGREGATE))
        return complain(s->r, (struct complaint){.span = u->span, .condition = "GROUP_BY_AGGREGATE", .label = "an aggregate"}, "`%s` is an aggregate and cannot be grouped by", name);
    add_key(s, e, item_name(u, e, name));
    return check_key(s, e, u->span);
}

static enum status resolve_group(struct select *s) {
    const struct uquery *q = s->q;
    size_t most = (q->group_all ? s->items.count : 0) + q->group_count + 1;
    s->keys = arena_alloc_array(s->r->arena, most, sizeof *s->keys);
    s->key_names = arena_alloc_array(s->r->arena, most, sizeof *s->key_names);
    if (!s->keys || !s->key_names) return STATUS_NO_MEMORY;
    if (q->grouping_sets) return complain_not_yet(s->r, q->group_span, "CUBE, ROLLUP and GROUPING SETS");
    for (uint32_t i = 0; i < q->group_count; i++) {
        enum status status = group_by_expression(s, q->group_by[i]);
        if (status == STATUS_NO_MEMORY) return status;
        note(s, status);
    }
    for (size_t i = 0; q->group_all && i < s->items.count; i++) {
        const struct item *item = item_at(s, i);
        if (!item->failed && !expr_has_kind(item->expr, EXPR_AGGREGATE)) add_key(s, item->expr, item->name);
    }
    return STATUS_OK;
}

static enum status resolve_having(struct select *s) {
    if (!s->q->having) return STATUS_OK;
    s->c.aliases = s->items.items;
    s->c.alias_count = (uint32_t)s->items.count;
    s->c.aliases_first = true;
    enum status status = resolve_boolean(&s->c, s->q->having, "HAVING", &s->having);
    s->c.aliases_first = false;
    s->c.alias_count = 0;
    return status;
}

static enum status check_order(struct resolver *r, const struct expr *e, struct span span) {
    if (type_is_orderable(e->type)) return STATUS_OK;
    return complain(r, (struct complaint){.span = span, .condition = "DATATYPE_MISMATCH.INVALID_ORDERING_TYPE", .label = type_name_sql(r->arena, e->type)},
                    "rows cannot be ordered by a %s", type_name_sql(r->arena, e->type));
}

static enum status order_position(struct resolver *r, const struct uexpr *u, int64_t position, size_t count) {
    if (position >= 1 && position <= (int64_t)count) return STATUS_OK;
    return complain(r, (struct complaint){.span = u->span, .condition = "ORDER_BY_POS_OUT_OF_RANGE", .label = "no such column"},
                    "ORDER BY position %lld is not in the SELECT list, which has %zu columns", (long long)position, count);
}

static bool is_order_all(const struct uquery *q) {
    const struct uexpr *u = q->order_count == 1 ? q->order[0].expr : NULL;
    return u && u->kind == U_NAME && u->name.part_count == 1 && equal_ignoring_case(u->name.parts[0], "all");
}

static enum status order_expression(struct select *s, const struct usort *u, struct expr **out) {
    int64_t position = position_of(u->expr);
    if (position) {
        TRY(order_position(s->r, u->expr, position, s->items.count));
        const struct item *item = item_at(s, (size_t)position - 1);
        *out = item->expr;
        return item->failed ? STATUS_INVALID_QUERY : STATUS_OK;
    }
    s->c.aliases = s->items.items;
    s->c.alias_count = (uint32_t)s->items.count;
    s->c.aliases_first = true;
    if (!is_aggregating(s->q)) s->c.clause = "ORDER BY";
    const char *name;
    enum status status = resolve_expr(&s->c, u->expr, out, &name);
    s->c.clause = NULL;
    s->c.aliases_first = false;
    s->c.alias_count = 0;
    return status;
}

static enum status resolve_select_order(struct select *s) {
    const struct uquery *q = s->q;
    bool all = is_order_all(q);
    size_t most = all ? s->items.count + 1 : q->order_count;
    if (!q->order_count) return STATUS_OK;
    s->sorts = arena_alloc_array(s->r->arena, most, sizeof *s->sorts);
    if (!s->sorts) return STATUS_NO_MEMORY;
    for (size_t i = 0; i < (all ? s->items.count : q->order_count); i++) {
        const struct usort *u = &q->order[all ? 0 : i];
        struct expr *e = all ? item_at(s, i)->expr : NULL;
        enum status status = all ? STATUS_OK : order_expression(s, u, &e);
        if (status == STATUS_OK && e) status = check_order(s->r, e, u->span);
        if (status == STATUS_NO_MEMORY) return status;
        note(s, status);
        if (status == STATUS_OK && e) s->sorts[s->sort_count++] = (struct sort_key){.expr = e, .descending = u->descending, .nulls_first = u->nulls_first};
    }
    return STATUS_OK;
}

// Everything bound over FROM becomes bound over the AGGREGATE.
static enum status aggregate(struct select *s) {
    struct resolver *r = s->r;
    size_t count = s->items.count + s->sort_count + 1;
    struct expr **exprs = arena_alloc_array(r->arena, count, sizeof *exprs);
    const char **names = arena_alloc_array(r->arena, count, sizeof *names);
    if (!exprs || !names) return STATUS_NO_MEMORY;
    uint32_t n = 0;
    for (size_t i = 0; i < s->items.count; i++, n++) {
        exprs[n] = item_at(s, i)->expr;
        names[n] = item_at(s, i)->name;
    }
    for (uint32_t i = 0; i < s->sort_count; i++, n++) {
        exprs[n] = s->sorts[i].expr;
        names[n] = s->sorts[i].expr->name ? s->sorts[i].expr->name : "";
    }
    if (s->having) {
        exprs[n] = s->having;
        names[n++] = "HAVING";
    }
    struct plan_node *node;
    TRY(time_window_keys(&s->c, s->keys, s->key_count));
    TRY(aggregate_split(r, s->from.node, s->keys, s->key_names, s->key_count, exprs, names, n, &node));
    node->span = span_known(s->q->group_span) ? s->q->group_span : s->q->span;
    for (size_t i = 0; i < s->items.count; i++) ((struct item *)vector_at(&s->items, i))->expr = exprs[i];
    for (uint32_t i = 0; i < s->sort_count; i++) s->sorts[i].expr = exprs[s->items.count + i];
    if (s->having && !(node = plan_filter(r->arena, node, exprs[n - 1]))) return STATUS_NO_MEMORY;
    s->from.node = node;
    return STATUS_OK;
}

static enum status complain_hidden_order(struct resolver *r, struct span span) {
    return complain(r, (struct complaint){.span = span, .condition = "UNRESOLVED_COLUMN.WITH_SUGGESTION", .label = "not selected"},
                    "after SELECT DISTINCT rows can only be ordered by selected columns");
}

// PROJECT of the items, with those sort expressions that are no item behind them; the sorts then name its columns.
static enum status project(struct select *s, struct plan_node **node, uint32_t *hidden) {
    struct resolver *r = s->r;
    uint32_t count = (uint32_t)s->items.count;
    struct expr **exprs = arena_alloc_array(r->arena, (size_t)count + s->sort_count + 1, sizeof *exprs);
    const char **names = arena_alloc_array(r->arena, (size_t)count + s->sort_count + 1, sizeof *names);
    if (!exprs || !names) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        exprs[i] = item_at(s, i)->expr;
        names[i] = item_at(s, i)->name;
    }
    uint32_t total = count;
    for (uint32_t k = 0; k < s->sort_count; k++) {
        struct expr *e = s->sorts[k].expr;
        uint32_t at = 0;
        while (at < total && !expr_equal(exprs[at], e)) at++;
        if (at == total) {
            if (s->q->distinct) return complain_hidden_order(r, e->span);
            exprs[total] = e;
            names[total++] = "(order)";
        }
        s->sorts[k].expr = expr_column(r->arena, at, e->type, e->nullable);
        if (!s->sorts[k].expr) return STATUS_NO_MEMORY;
    }
    *hidden = total - count;
    *node = plan_project(r->arena, s->from.node, exprs, names, total);
    if (!*node) return STATUS_NO_MEMORY;
    (*node)->span = s->q->span;
    return STATUS_OK;
}

static enum status keep_first(struct resolver *r, struct plan_node **node, uint32_t count) {
    struct expr **exprs = arena_alloc_array(r->arena, (size_t)count + 1, sizeof *exprs);
    const char **names = arena_alloc_array(r->arena, (size_t)count + 1, sizeof *names);
    if (!exprs || !names) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        exprs[i] = expr_of_attribute(r->arena, *node, i);
        names[i] = (*node)->attributes[i].name;
        if (!exprs[i]) return STATUS_NO_MEMORY;
    }
    return (*node = plan_project(r->arena, *node, exprs, names, count)) ? STATUS_OK : STATUS_NO_MEMORY;
}

static enum status sort_over(struct resolver *r, struct plan_node **node, struct sort_key *sorts, uint32_t count, struct span span) {
    if (!count) return STATUS_OK;
    struct plan_node *n = plan_over(r->arena, PLAN_SORT, *node);
    if (!n) return STATUS_NO_MEMORY;
    n->sorts = sorts;
    n->sort_count = count;
    n->span = span;
    *node = n;
    return STATUS_OK;
}

static enum status build(struct select *s, struct relation *out) {
    struct resolver *r = s->r;
    struct plan_node *node;
    uint32_t hidden = 0;
    TRY(project(s, &node, &hidden));
    for (uint32_t i = 0; s->q->distinct && i < node->attribute_count; i++)
        if (node->attributes[i].type->id == TYPE_MAP)
            return complain(r, (struct complaint){.span = s->q->span, .condition = "UNSUPPORTED_FEATURE.SET_OPERATION_ON_MAP_TYPE", .label = "DISTINCT over a MAP"},
                            "DISTINCT cannot compare the MAP column `%s`", node->attributes[i].name);
    if (s->q->distinct && !(node = plan_distinct(r->arena, node))) return STATUS_NO_MEMORY;
    if (s->q->distinct) node->span = s->q->span;
    TRY(sort_over(r, &node, s->sorts, s->sort_count, s->q->order_count ? s->q->order[0].span : s->q->span));
    TRY(apply_limit(r, s->q, &node));
    if (hidden) TRY(keep_first(r, &node, node->attribute_count - hidden));
    return relation_of(r->arena, node, NULL, out) ? STATUS_OK : STATUS_NO_MEMORY;
}

static enum status resolve_parts(struct select *s, struct expr_context *outer) {
    struct resolver *r = s->r;
    const struct uquery *q = s->q;
    if (q->from) {
        TRY(resolve_relation(r, q->from, outer, &s->from));
    } else {
        struct plan_node *one = plan_new(r->arena, PLAN_VALUES, 0, 0);
        if (!one) return STATUS_NO_MEMORY;
        one->value_row_count = 1;
        if (!relation_of(r->arena, one, NULL, &s->from)) return STATUS_NO_MEMORY;
    }
    s->c = (struct expr_context){.resolver = r, .input = &s->from, .outer = outer, .joins_subqueries = !is_aggregating(q)};
    if (q->where) {
        enum status status = resolve_where(&s->c, q->where);
        if (status == STATUS_NO_MEMORY) return status;
        note(s, status);
    }
    for (uint32_t i = 0; i < q->group_count; i++) {
        if (!operator_is(q->group_by[i], "window") && !operator_is(q->group_by[i], "session_window")) continue;
        struct expr *column;
        const char *name;
        TRY(resolve_time_window(&s->c, q->group_by[i], &column, &name));
    }
    TRY(resolve_items(s));
    // Without groups each row is a session of its own: the time is the key.
    if (!is_aggregating(q) && s->c.time_window) TRY(time_window_keys(&s->c, s->c.time_window->exprs, 1));
    if (is_aggregating(q)) {
        TRY(resolve_group(s));
        note(s, resolve_having(s));
    }
    TRY(resolve_select_order(s));
    return s->worst;
}

static enum status resolve_select(struct resolver *r, const struct uquery *q, struct expr_context *outer, struct relation *out) {
    struct select s = {.r = r, .q = q, .worst = STATUS_OK};
    const struct missing_name *missing = r->missing;
    r->missing = NULL;
    vector_init(&s.items, r->analysis->memory, sizeof(struct item));
    enum status status = resolve_parts(&s, outer);
    r->missing = missing;
    if (status == STATUS_OK && is_aggregating(q)) status = aggregate(&s);
    if (status == STATUS_OK) status = build(&s, out);
    vector_release(&s.items);
    return status;
}

enum status constant_bigint(struct resolver *r, const struct uexpr *u, const char *what, int64_t *out) {
    struct expr_context c = {.resolver = r, .clause = what};
    struct expr *e;
    const char *name;
    *out = -1;
    if (u->kind == U_NAME && u->name.part_count == 1 && equal_ignoring_case(u->name.parts[0], "all")) return STATUS_OK;
    bool column = u->kind == U_NAME;
    if (!column) TRY(resolve_expr(&c, u, &e, &name));
    if (column || !expr_is_constant(e))
        return complain(r, (struct complaint){.span = u->span, .condition = "INVALID_LIMIT_LIKE_EXPRESSION.IS_UNFOLDABLE"}, "%s must be a constant", what);
    bool of_function = !strncmp(what, "an argument", 11);  // LIMIT takes no text, functions cast it
    if (of_function && e->type->id == TYPE_STRING && !(e = expr_cast(r->arena, e, &type_bigint, CAST_ANSI))) return STATUS_NO_MEMORY;
    if (!type_is_integral(e->type))
        return complain(r, (struct complaint){.span = u->span, .condition = "INVALID_LIMIT_LIKE_EXPRESSION.DATA_TYPE", .label = type_name_sql(r->arena, e->type)},
                        "%s must be an integer, not %s", what, type_name_sql(r->arena, e->type));
    if (!(e = expr_cast(r->arena, e, &type_bigint, CAST_IMPLICIT))) return STATUS_NO_MEMORY;
    const struct column *value;
    struct error error;
    error_clear(&error);
    enum status s = program_fold(r->arena, r->analysis->session, e, &value, &error);
    if (s != STATUS_OK) return complain_error(r, &error, u->span);
    if (!column_is_valid(value, 0))
        return complain(r, (struct complaint){.span = u->span, .condition = "INVALID_LIMIT_LIKE_EXPRESSION.IS_NULL"}, "%s must not be NULL", what);
    *out = column_int64(value, 0);
    return STATUS_OK;
}

enum status constant_count(struct resolver *r, const struct uexpr *u, const char *what, int64_t *out) {
    TRY(constant_bigint(r, u, what, out));
    bool all = u->kind == U_NAME;
    if (*out < 0 && !all)
        return complain(r, (struct complaint){.span = u->span, .condition = "INVALID_LIMIT_LIKE_EXPRESSION.IS_NEGATIVE"}, "%s must not be negative", what);
    return STATUS_OK;
}

enum status apply_limit(struct resolver *r, const struct uquery *q, struct plan_node **node) {
    if (!q->limit && !q->offset) return STATUS_OK;
    int64_t limit = -1, offset = 0;
    if (q->limit) TRY(constant_count(r, q->limit, "LIMIT", &limit));
    if (q->offset) TRY(constant_count(r, q->offset, "OFFSET", &offset));
    struct plan_node *n = plan_over(r->arena, PLAN_LIMIT, *node);
    if (!n) return STATUS_NO_MEMORY;
    n->limit = limit;
    n->offset = offset < 0 ? 0 : offset;
    n->span = q->limit ? q->limit->span : q->offset->span;
    *node = n;
    return STATUS_OK;
}

enum status resolve_order(struct resolver *r, const struct uquery *q, struct expr_context *outer, struct relation *relation) {
    if (q->order_count) {
        bool all = is_order_all(q);
        uint32_t count = all ? relation->node->attribute_count : q->order_count, used = 0;
        struct sort_key *sorts = arena_alloc_array(r->arena, (size_t)count + 1, sizeof *sorts);
        if (!sorts) return STATUS_NO_MEMORY;
        struct expr_context c = {.resolver = r, .input = relation, .outer = outer, .clause = "ORDER BY"};
        for (uint32_t i = 0; i < count; i++) {
            const struct usort *u = &q->order[all ? 0 : i];
            int64_t position = all ? (int64_t)i + 1 : position_of(u->expr);
            struct expr *e;
            const char *name;
            if (position) {
                TRY(order_position(r, u->expr, position, relation->node->attribute_count));
                if (!(e = expr_of_attribute(r->arena, relation->node, (uint32_t)position - 1))) return STATUS_NO_MEMORY;
            } else {
                TRY(resolve_expr(&c, u->expr, &e, &name));
            }
            TRY(check_order(r, e, u->span));
            sorts[used++] = (struct sort_key){.expr = e, .descending = u->descending, .nulls_first = u->nulls_first};
        }
        TRY(sort_over(r, &relation->node, sorts, used, q->order[0].span));
    }
    return apply_limit(r, q, &relation->node);
}

static enum status resolve_body(struct resolver *r, const struct uquery *q, struct expr_context *outer, struct relation *out) {
    switch (q->kind) {
    case UQUERY_SELECT:
        return resolve_select(r, q, outer, out);
    case UQUERY_SET:
        return resolve_set_operation(r, q, outer, out);
    default:
        TRY(resolve_relation(r, q->relation, outer, out));
        return resolve_order(r, q, outer, out);
    }
}

enum status resolve_query(struct resolver *r, const struct uquery *q, struct expr_context *outer, struct relation *out) {
    TRY(enter(r, q->span));
    struct cte *saved = r->ctes;
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < q->cte_count && status == STATUS_OK; i++) {
        struct cte *c = arena_alloc_zeroed(r->arena, sizeof *c);
        if (!c) {
            status = STATUS_NO_MEMORY;
            break;
        }
        c->name = q->ctes[i].name;
        for (uint32_t k = 0; k < i && status == STATUS_OK; k++)
            if (equal_ignoring_case(q->ctes[k].name, c->name))
                status = complain(r, (struct complaint){.span = q->ctes[i].span, .condition = "DUPLICATED_CTE_NAMES", .label = "again"}, "two WITH queries are named `%s`", c->name);
        c->definition = &q->ctes[i];
        c->next = r->ctes;
        c->visible = r->ctes;
        r->ctes = c;
    }
    struct cte *own = r->ctes;
    if (status == STATUS_OK) status = resolve_body(r, q, outer, out);
    // Those nobody read are checked too.
    for (struct cte *c = own; c != saved && status == STATUS_OK; c = c->next) {
        bool read = c->failed;
        for (int m = 0; m < READ_MODE_COUNT; m++) read |= c->cached[m].node != NULL;
        if (!read) status = resolve_cte_query(r, c);
    }
    r->ctes = saved;
    leave(r);
    return status;
}
