// SPDX-License-Identifier: Apache-2.0
// rank.c: row_number() OVER (PARTITION BY … ORDER BY …), and how many rows of each partition its readers can ask for.
//
//     FILTER rn <= 3                      PROJECT k, v, rn
//     +- PROJECT k, v, rn            →    +- RANK limit 3        the part of the condition that the limit says is left out
//        +- RANK
//
// A RANK without limit is a batch's: in a stream it would number everything anew with each row.
#include "expr/program.h"
#include "plan/resolver.h"

static enum status put_sort(struct buffer *out, const char *name, const struct usort *u) {
    return buffer_printf(out, "%s %s NULLS %s", name, u->descending ? "DESC" : "ASC", u->nulls_first ? "FIRST" : "LAST");
}

// What Spark calls the column.
static enum status name_of(struct resolver *r, const char *const *keys, uint32_t key_count, const char *const *sorts, const struct uover *over, const char **name) {
    struct buffer text;
    buffer_init(&text, r->analysis->memory);
    enum status s = buffer_append_string(&text, "row_number() OVER (");
    for (uint32_t i = 0; i < key_count && s == STATUS_OK; i++) s = buffer_printf(&text, "%s%s", i ? ", " : "PARTITION BY ", keys[i]);
    if (s == STATUS_OK && key_count) s = buffer_append_byte(&text, ' ');
    for (uint32_t i = 0; i < over->sort_count && s == STATUS_OK; i++) {
        s = buffer_append_string(&text, i ? ", " : "ORDER BY ");
        if (s == STATUS_OK) s = put_sort(&text, sorts[i], &over->sorts[i]);
    }
    if (s == STATUS_OK) s = buffer_append_string(&text, " ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)");
    *name = s == STATUS_OK ? arena_strndup(r->arena, (const char *)text.data, text.size_bytes) : NULL;
    buffer_release(&text);
    return *name ? STATUS_OK : STATUS_NO_MEMORY;
}

static enum status check_over(struct expr_context *c, const struct uexpr *u) {
    struct resolver *r = c->resolver;
    const struct uexpr *call = u->args[0];
    const struct uover *over = u->over;
    bool is_number = operator_is(call, "row_number") && !call->distinct && !call->filter && !over->has_frame && !over->is_named;
    if (!is_number && r->target)
        return complain(r, (struct complaint){.span = u->span, .condition = "NON_TIME_WINDOW_NOT_SUPPORTED_IN_STREAMING", .label = "on a stream",
                        .hint = "GROUP BY with max_by or min_by finds the first or last of a group; row_number() OVER (…) AS rn with WHERE rn <= n its first n"},
                        "window functions (OVER) are not supported on streams");
    if (!is_number) return complain_not_yet(r, u->span, "window functions (OVER) but row_number()");
    if (call->arg_count)
        return complain(r, (struct complaint){.span = call->span, .condition = "WRONG_NUM_ARGS.WITHOUT_SUGGESTION"}, "`row_number` takes no arguments");
    if (!over->sort_count)
        return complain(r, (struct complaint){.span = u->span, .condition = "WINDOW_FUNCTION_FRAME_NOT_ORDERED", .label = "no ORDER BY", .hint = "OVER (PARTITION BY … ORDER BY …)"},
                        "window function row_number() requires window to be ordered, please add ORDER BY clause");
    if (c->clause && strcmp(c->clause, "ORDER BY") != 0)
        return complain(r, (struct complaint){.span = u->span, .condition = "WINDOW_FUNCTION_NOT_ALLOWED_IN_CLAUSE", .label = "not here",
                        .hint = "number the rows in a subquery: SELECT … FROM (SELECT *, row_number() OVER (…) AS rn FROM …) WHERE rn <= n"},
                        "window functions are not allowed in %s", c->clause);
    if (c->clause || !c->input) return complain_not_yet(r, u->span, "window functions (OVER) outside of the SELECT list");
    if (!c->joins_subqueries || c->inside_aggregate) return complain_not_yet(r, u->span, "row_number() in a SELECT that aggregates (put the aggregation into a subquery)");
    return STATUS_OK;
}

static enum status resolve_part(struct expr_context *c, const struct uexpr *u, struct expr **out, const char **name) {
    TRY(resolve_expr(c, u, out, name));
    if (expr_has_kind(*out, EXPR_AGGREGATE)) return complain_not_yet(c->resolver, u->span, "an aggregate inside OVER");
    if (type_is_orderable((*out)->type)) return STATUS_OK;
    return complain(c->resolver, (struct complaint){.span = u->span, .condition = "DATATYPE_MISMATCH.INVALID_ORDERING_TYPE", .label = type_name_sql(c->resolver->arena, (*out)->type)},
                    "rows cannot be put in order by a %s", type_name_sql(c->resolver->arena, (*out)->type));
}

static enum status append_number(struct expr_context *c, struct plan_node *n, const char *name) {
    struct arena *a = c->resolver->arena;
    uint32_t ordinal = n->attribute_count;
    struct attribute *attributes = arena_alloc_array(a, (size_t)ordinal + 1, sizeof *attributes);
    if (!attributes) return STATUS_NO_MEMORY;
    if (ordinal) memcpy(attributes, n->attributes, ordinal * sizeof *attributes);
    attributes[ordinal] = (struct attribute){.name = name, .type = &type_int, .nullable = false};
    n->attributes = attributes;
    n->attribute_count = ordinal + 1;
    c->input->node = n;  // nobody can name the column: the names stay
    return STATUS_OK;
}

enum status resolve_over(struct expr_context *c, const struct uexpr *u, struct expr **out, const char **name) {
    struct resolver *r = c->resolver;
    const struct uover *over = u->over;
    TRY(check_over(c, u));
    struct expr **keys = arena_alloc_array(r->arena, (size_t)over->key_count + 1, sizeof *keys);
    struct sort_key *sorts = arena_alloc_array(r->arena, (size_t)over->sort_count + 1, sizeof *sorts);
    const char **names = arena_alloc_array(r->arena, (size_t)over->key_count + over->sort_count + 1, sizeof *names);
    if (!keys || !sorts || !names) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < over->key_count; i++) TRY(resolve_part(c, over->keys[i], &keys[i], &names[i]));
    for (uint32_t i = 0; i < over->sort_count; i++) {
        const struct usort *s = &over->sorts[i];
        TRY(resolve_part(c, s->expr, &sorts[i].expr, &names[over->key_count + i]));
        sorts[i].descending = s->descending;
        sorts[i].nulls_first = s->nulls_first;
    }
    TRY(name_of(r, names, over->key_count, names + over->key_count, over, name));
    struct plan_node *n = plan_over(r->arena, PLAN_RANK, c->input->node);
    if (!n) return STATUS_NO_MEMORY;
    n->exprs = keys;
    n->expr_count = n->key_count = over->key_count;
    n->sorts = sorts;
    n->sort_count = over->sort_count;
    n->limit = -1;
    n->span = u->span;
    TRY(append_number(c, n, *name));
    *out = expr_of_attribute(r->arena, n, n->attribute_count - 1);
    return *out ? STATUS_OK : STATUS_NO_MEMORY;
}

// --- WHERE rn <= n ---

// The ordinal of the RANK's number that a column of a node hands on; NULL: it is none.
static const struct plan_node *rank_below(const struct plan_node *n, uint32_t ordinal) {
    for (; n->kind == PLAN_PROJECT; n = n->inputs[0]) {
        if (n->exprs[ordinal]->kind != EXPR_COLUMN) return NULL;
        ordinal = n->exprs[ordinal]->ordinal;
    }
    return n->kind == PLAN_RANK && ordinal == n->attribute_count - 1 ? n : NULL;
}

static const struct expr *without_casts(const struct expr *e) {
    while (e->kind == EXPR_CAST && type_is_integral(e->type) && type_is_integral(e->args[0]->type)) e = e->args[0];
    return e;
}

static bool constant_of(struct resolver *r, struct expr *e, int64_t *out) {
    const struct column *value;
    struct error ignored;
    error_clear(&ignored);
    if (!type_is_integral(e->type) || !expr_is_constant(e)) return false;
    if (program_fold(r->arena, r->analysis->session, e, &value, &ignored) != STATUS_OK || !column_is_valid(value, 0)) return false;
    switch (value->type->id) {
    case TYPE_TINYINT: *out = column_int8(value, 0); return true;
    case TYPE_SMALLINT: *out = column_int16(value, 0); return true;
    case TYPE_INT: *out = column_int32(value, 0); return true;
    default: *out = column_int64(value, 0); return true;
    }
}

// The highest number that a condition lets through; false: it is not of this kind. *whole: the limit says all of it.
static bool limit_of(struct resolver *r, const struct plan_node *input, const struct expr *e, int64_t *limit, bool *whole) {
    if (e->kind != EXPR_CALL || e->arg_count != 2 || !(e->call.function->flags & FUNCTION_OPERATOR)) return false;
    const char *name = e->call.function->name;
    bool left = without_casts(e->args[0])->kind == EXPR_COLUMN;
    const struct expr *column = without_casts(e->args[left ? 0 : 1]);
    int64_t value;
    if (column->kind != EXPR_COLUMN || !rank_below(input, column->ordinal) || !constant_of(r, e->args[left ? 1 : 0], &value)) return false;
    bool equal = !strcmp(name, "=") || !strcmp(name, "==") || !strcmp(name, "<=>");
    bool most = !strcmp(name, left ? "<=" : ">="), below = !strcmp(name, left ? "<" : ">");
    if (!equal && !most && !below) return false;
    *whole = !equal || value == 1;
    *limit = below && value > INT64_MIN ? value - 1 : value;
    if (*limit < 0) *limit = 0;
    return true;
}

static struct plan_node *with_limit(struct resolver *r, struct plan_node *n, int64_t limit) {
    struct plan_node *copy = plan_copy(r->arena, n);
    if (!copy) return NULL;
    if (n->kind == PLAN_RANK) {
        if (n->limit < 0 || limit < n->limit) copy->limit = limit;
        return copy;
    }
    copy->inputs[0] = with_limit(r, n->inputs[0], limit);
    return copy->inputs[0] ? copy : NULL;
}

static struct plan_node *limit_rank(struct resolver *r, struct plan_node *n) {
    if (n->kind != PLAN_FILTER) return n;
    uint32_t count;
    struct expr **parts = conjuncts_of(r->arena, n->condition, &count), *rest = NULL;
    struct plan_node *input = n->inputs[0];
    if (!parts) return NULL;
    for (uint32_t i = 0; i < count; i++) {
        int64_t limit;
        bool whole = false, found = limit_of(r, input, parts[i], &limit, &whole);
        if (found && !(input = with_limit(r, input, limit))) return NULL;
        if (!(found && whole) && !(rest = expr_and(r->arena, rest, parts[i]))) return NULL;
    }
    if (input == n->inputs[0]) return n;
    if (!rest) return input;
    struct plan_node *filter = plan_filter(r->arena, input, rest);
    if (filter) filter->span = n->span;
    return filter;
}

enum status plan_limit_ranks(struct resolver *r, struct plan_node **root) { return plan_transform(r, root, limit_rank); }
