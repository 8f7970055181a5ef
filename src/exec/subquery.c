// SPDX-License-Identifier: Apache-2.0
// subquery.c: runs the plans of EXPR_SUBQUERY and EXPR_IN_SUBQUERY and puts literals in their places. The plan is read-only: nodes above a
// changed expression are copied, shared nodes once.
#include "base/vector.h"
#include "exec/subquery.h"
#include "expr/function.h"

enum { MOST_IN_VALUES = 100000 };

struct copied {
    struct plan_node *from, *to;
};

struct binder {
    const struct query_run *run;
    struct arena *arena;
    struct vector copies;      // of struct copied
    enum status status;
    struct error *error;
};

// First column of a subquery's result, deep in the query arena.
struct result {
    struct binder *binder;
    struct column_builder builder;
    uint32_t count, most;
};

static enum status take_rows(void *context, struct batch *b) {
    struct result *r = context;
    struct rows rows = batch_rows(b);
    for (uint32_t i = 0; i < rows.count; i++) {
        if (r->count++ >= r->most) return STATUS_LIMIT;
        uint32_t row = rows_at(&rows, i);
        struct column copy;
        TRY(column_copy(r->binder->arena, &b->columns[0], &row, 1, &copy));
        if (column_is_valid(&copy, 0)) column_builder_append_from(&r->builder, &copy, 0);
        else column_builder_append_null(&r->builder);
    }
    return r->builder.failed ? STATUS_NO_MEMORY : STATUS_OK;
}

static enum status run_subquery(struct binder *b, const struct expr *x, uint32_t most, struct column *out, uint32_t *count) {
    struct plan_node *plan = x->subquery;
    if (!plan->attribute_count) return error_set(b->error, STATUS_INTERNAL, NULL, "a subquery has no column");
    struct result r = {.binder = b, .most = most};
    column_builder_init(&r.builder, b->arena, plan->attributes[0].type);
    enum status status = query_execute(b->run, plan, take_rows, &r, b->error);
    if (r.count > most) {
        if (x->kind == EXPR_SUBQUERY) {
            error_set(b->error, STATUS_DATA, "SCALAR_SUBQUERY_TOO_MANY_ROWS", "more than one row returned by a subquery used as an expression");
        } else {
            error_set(b->error, STATUS_LIMIT, NULL, "a subquery after IN gives more than %d rows: write it as a join", MOST_IN_VALUES);
        }
        b->error->span = x->span;
        return b->error->status;
    }
    TRY(status);
    *count = r.count;
    return column_builder_finish(&r.builder, out) == STATUS_OK ? STATUS_OK : error_no_memory(b->error);
}

static struct expr *literal_of(struct binder *b, const struct column *values, uint32_t row, const struct type *type) {
    if (!column_is_valid(values, row)) return expr_null(b->arena, type);
    struct column *constant = arena_alloc_zeroed(b->arena, sizeof *constant);
    if (!constant || column_copy(b->arena, values, &row, 1, constant) != STATUS_OK) return NULL;
    constant->form = COLUMN_CONSTANT;
    return expr_literal(b->arena, constant);
}

static struct expr *fail(struct binder *b, enum status status) {
    if (b->status == STATUS_OK) b->status = status;
    return NULL;
}

static struct expr *scalar(struct binder *b, struct expr *x) {
    struct column values;
    uint32_t count = 0;
    enum status status = run_subquery(b, x, 1, &values, &count);
    if (status != STATUS_OK) return fail(b, status);
    struct expr *value = count ? literal_of(b, &values, 0, x->type) : expr_null(b->arena, x->type);
    if (value && !type_equal(value->type, x->type)) value = expr_cast(b->arena, value, x->type, CAST_IMPLICIT);
    return value ? value : fail(b, error_no_memory(b->error));
}

static struct expr *in_list(struct binder *b, struct expr *x) {
    struct column values;
    uint32_t count = 0;
    enum status status = run_subquery(b, x, MOST_IN_VALUES, &values, &count);
    if (status != STATUS_OK) return fail(b, status);
    if (count == 0) {
        struct expr *never = expr_boolean(b->arena, false);
        return never ? never : fail(b, error_no_memory(b->error));
    }
    struct expr **args = arena_alloc_array(b->arena, count + 1, sizeof *args);
    if (!args) return fail(b, error_no_memory(b->error));
    args[0] = x->args[0];
    for (uint32_t i = 0; i < count; i++) {
        args[i + 1] = literal_of(b, &values, i, values.type);
        if (!args[i + 1]) return fail(b, error_no_memory(b->error));
    }
    struct expr *call = NULL;
    status = function_call_named(b->arena, b->run->session, "in", args, count + 1, x->span, &call, b->error);
    return status == STATUS_OK ? call : fail(b, status);
}

static struct expr *replace(struct expr *x, void *context) {
    struct binder *b = context;
    if (b->status != STATUS_OK) return x;
    if (x->kind == EXPR_SUBQUERY) return scalar(b, x);
    if (x->kind == EXPR_IN_SUBQUERY) return in_list(b, x);
    return x;
}

static bool see_subquery(struct expr *x, void *context) {
    if (x->kind == EXPR_SUBQUERY || x->kind == EXPR_IN_SUBQUERY) *(bool *)context = true;
    return !*(bool *)context;
}

static enum status bind_expr(struct binder *b, struct expr **x, bool *changed) {
    bool has = false;
    if (!*x) return STATUS_OK;
    expr_walk(*x, see_subquery, &has);
    if (!has) return STATUS_OK;
    struct expr *now = expr_rewrite(b->arena, *x, replace, b);
    if (b->status != STATUS_OK) return b->status;
    if (!now) return error_no_memory(b->error);
    *x = now;
    *changed = true;
    return STATUS_OK;
}

static enum status bind_exprs(struct binder *b, struct expr ***list, uint32_t count, bool *changed) {
    if (!count || !*list) return STATUS_OK;
    struct expr **copy = arena_alloc_array(b->arena, count, sizeof *copy);
    if (!copy) return error_no_memory(b->error);
    memcpy(copy, *list, count * sizeof *copy);
    for (uint32_t i = 0; i < count; i++) TRY(bind_expr(b, &copy[i], changed));
    *list = copy;
    return STATUS_OK;
}

static enum status bind_node(struct binder *b, struct plan_node *node, struct plan_node **out) {
    for (size_t i = 0; i < b->copies.count; i++) {
        struct copied *c = vector_at(&b->copies, i);
        if (c->from == node) {
            *out = c->to;
            return STATUS_OK;
        }
    }
    struct plan_node *copy = arena_alloc_zeroed(b->arena, sizeof *copy);
    struct plan_node **inputs = arena_alloc_array(b->arena, node->input_count + 1, sizeof *inputs);
    struct sort_key *sorts = arena_alloc_array(b->arena, node->sort_count + 1, sizeof *sorts);
    if (!copy || !inputs || !sorts) return error_no_memory(b->error);
    *copy = *node;
    bool changed = false;
    for (uint32_t i = 0; i < node->input_count; i++) {
        TRY(bind_node(b, node->inputs[i], &inputs[i]));
        changed = changed || inputs[i] != node->inputs[i];
    }
    for (uint32_t i = 0; i < node->sort_count; i++) {
        sorts[i] = node->sorts[i];
        TRY(bind_expr(b, &sorts[i].expr, &changed));
    }
    copy->inputs = inputs;
    copy->sorts = sorts;
    TRY(bind_exprs(b, &copy->exprs, node->expr_count, &changed));
    TRY(bind_exprs(b, &copy->left_keys, node->join_key_count, &changed));
    TRY(bind_exprs(b, &copy->right_keys, node->join_key_count, &changed));
    TRY(bind_expr(b, &copy->condition, &changed));
    *out = changed ? copy : node;
    struct copied c = {.from = node, .to = *out};
    return vector_push(&b->copies, &c) == STATUS_OK ? STATUS_OK : error_no_memory(b->error);
}

enum status subqueries_bind(const struct query_run *run, struct arena *a, struct plan_node **root, struct error *e) {
    struct error own;
    struct binder b = {.run = run, .arena = a, .error = e ? e : &own};
    vector_init(&b.copies, run->memory, sizeof(struct copied));
    enum status status = bind_node(&b, *root, root);
    vector_release(&b.copies);
    return status;
}
