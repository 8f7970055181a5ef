// SPDX-License-Identifier: Apache-2.0
// build.c: small makers of plan nodes and expressions, used by the analyzer and the optimizer. Everything lives in the query arena;
// NULL means no memory.
#include "plan/resolver.h"

struct plan_node *plan_new(struct arena *a, enum plan_kind kind, uint32_t input_count, uint32_t attribute_count) {
    struct plan_node *n = arena_alloc_zeroed(a, sizeof *n);
    if (!n) return NULL;
    n->kind = kind;
    n->limit = -1;
    n->gap_us = -1;
    n->input_count = input_count;
    n->attribute_count = attribute_count;
    n->inputs = arena_alloc_array(a, input_count ? input_count : 1, sizeof *n->inputs);
    n->attributes = arena_alloc_array(a, attribute_count ? attribute_count : 1, sizeof *n->attributes);
    return n->inputs && n->attributes ? n : NULL;
}

struct plan_node *plan_over(struct arena *a, enum plan_kind kind, struct plan_node *input) {
    struct plan_node *n = plan_new(a, kind, 1, input->attribute_count);
    if (!n) return NULL;
    n->inputs[0] = input;
    n->streaming = input->streaming;
    n->span = input->span;
    if (input->attribute_count) memcpy(n->attributes, input->attributes, input->attribute_count * sizeof *n->attributes);
    return n;
}

struct plan_node *plan_project(struct arena *a, struct plan_node *input, struct expr *const *exprs, const char *const *names, uint32_t count) {
    struct plan_node *n = plan_new(a, PLAN_PROJECT, 1, count);
    if (!n) return NULL;
    n->inputs[0] = input;
    n->streaming = input->streaming;
    n->span = input->span;
    n->exprs = arena_alloc_array(a, count ? count : 1, sizeof *n->exprs);
    if (!n->exprs) return NULL;
    n->expr_count = count;
    for (uint32_t i = 0; i < count; i++) {
        n->exprs[i] = exprs[i];
        struct attribute *to = &n->attributes[i];
        if (exprs[i]->kind == EXPR_COLUMN && exprs[i]->ordinal < input->attribute_count) to->qualifier = input->attributes[exprs[i]->ordinal].qualifier;
        to->name = names[i];
        to->type = exprs[i]->type;
        to->nullable = exprs[i]->nullable;
        if (lineage_of_expr(a, exprs[i], n->inputs, 1, &to->lineage) != STATUS_OK) return NULL;
    }
    return n;
}

struct plan_node *plan_filter(struct arena *a, struct plan_node *input, struct expr *condition) {
    struct plan_node *n = plan_over(a, PLAN_FILTER, input);
    if (n) n->condition = condition;
    return n;
}

struct plan_node *plan_distinct(struct arena *a, struct plan_node *input) {
    struct plan_node *n = plan_over(a, PLAN_AGGREGATE, input);
    if (!n) return NULL;
    n->exprs = arena_alloc_array(a, input->attribute_count ? input->attribute_count : 1, sizeof *n->exprs);
    if (!n->exprs) return NULL;
    n->expr_count = n->key_count = input->attribute_count;
    for (uint32_t i = 0; i < n->expr_count; i++)
        if (!(n->exprs[i] = expr_of_attribute(a, input, i))) return NULL;
    return n;
}

static bool copy_exprs(struct arena *a, struct expr ***exprs, uint32_t count) {
    if (!*exprs || !count) return true;
    struct expr **copy = arena_alloc_array(a, count, sizeof *copy);
    if (!copy) return false;
    memcpy(copy, *exprs, count * sizeof *copy);
    *exprs = copy;
    return true;
}

struct plan_node *plan_copy(struct arena *a, const struct plan_node *node) {
    struct plan_node *n = plan_new(a, node->kind, node->input_count, node->attribute_count);
    if (!n) return NULL;
    struct plan_node **inputs = n->inputs;
    struct attribute *attributes = n->attributes;
    *n = *node;
    n->inputs = inputs;
    n->attributes = attributes;
    if (n->input_count) memcpy(inputs, node->inputs, n->input_count * sizeof *inputs);
    if (n->attribute_count) memcpy(attributes, node->attributes, n->attribute_count * sizeof *attributes);
    if (!copy_exprs(a, &n->exprs, n->expr_count) || !copy_exprs(a, &n->left_keys, n->join_key_count) ||
        !copy_exprs(a, &n->right_keys, n->join_key_count)) return NULL;
    if (n->sort_count) {
        n->sorts = arena_alloc_array(a, n->sort_count, sizeof *n->sorts);
        if (!n->sorts) return NULL;
        memcpy(n->sorts, node->sorts, n->sort_count * sizeof *n->sorts);
    }
    return n;
}

bool relation_of(struct arena *a, struct plan_node *node, const char *qualifier, struct relation *out) {
    out->node = node;
    out->column_count = node->attribute_count;
    out->columns = arena_alloc_array(a, node->attribute_count ? node->attribute_count : 1, sizeof *out->columns);
    if (!out->columns) return false;
    for (uint32_t i = 0; i < node->attribute_count; i++)
        out->columns[i] = (struct scope_column){.name = node->attributes[i].name, .qualifier = qualifier, .ordinal = i};
    return true;
}

struct expr *expr_of_attribute(struct arena *a, const struct plan_node *node, uint32_t ordinal) {
    const struct attribute *at = &node->attributes[ordinal];
    struct expr *e = expr_column(a, ordinal, at->type, at->nullable);
    if (e) e->name = at->name;
    return e;
}

struct expr *expr_copy(struct arena *a, const struct expr *e) {
    struct expr *copy = expr_new(a, e->kind, e->type, e->nullable, e->arg_count);
    if (!copy) return NULL;
    struct expr **args = copy->args;
    *copy = *e;
    copy->args = args;
    if (e->arg_count) memcpy(args, e->args, e->arg_count * sizeof *args);
    return copy;
}

struct expr *expr_and(struct arena *a, struct expr *left, struct expr *right) {
    if (!left) return right;
    if (!right) return left;
    struct expr *e = expr_new(a, EXPR_AND, &type_boolean, left->nullable || right->nullable, 2);
    if (!e) return NULL;
    e->args[0] = left;
    e->args[1] = right;
    e->span = left->span;
    return e;
}

struct expr *expr_not(struct arena *a, const struct session *session, struct expr *e) {
    struct expr *out = NULL;
    struct error error;
    error_clear(&error);
    return function_call_named(a, session, "not", &e, 1, e->span, &out, &error) == STATUS_OK ? out : NULL;
}

bool expr_has_kind(const struct expr *e, enum expr_kind kind) {
    if (e->kind == kind) return true;
    for (uint32_t i = 0; i < e->arg_count; i++)
        if (expr_has_kind(e->args[i], kind)) return true;
    return e->kind == EXPR_AGGREGATE && e->aggregate.filter && expr_has_kind(e->aggregate.filter, kind);
}

uint32_t split_conjuncts(struct expr *e, struct expr **out, uint32_t capacity) {
    if (e->kind != EXPR_AND) {
        if (capacity) *out = e;
        return 1;
    }
    uint32_t left = split_conjuncts(e->args[0], out, capacity);
    uint32_t used = left < capacity ? left : capacity;
    return left + split_conjuncts(e->args[1], out ? out + used : NULL, capacity - used);
}

struct expr **conjuncts_of(struct arena *a, struct expr *e, uint32_t *count) {
    *count = e ? split_conjuncts(e, NULL, 0) : 0;
    struct expr **out = arena_alloc_array(a, *count ? *count : 1, sizeof *out);
    if (out && e) (void)split_conjuncts(e, out, *count);
    return out;
}

struct shift {
    struct arena *arena;
    int64_t by;
};

static struct expr *shift_column(struct expr *e, void *context) {
    const struct shift *s = context;
    if (e->kind != EXPR_COLUMN) return e;
    struct expr *copy = expr_copy(s->arena, e);
    if (copy) copy->ordinal = (uint32_t)((int64_t)e->ordinal + s->by);
    return copy;
}

struct expr *expr_shift(struct arena *a, struct expr *e, int64_t by) {
    struct shift s = {.arena = a, .by = by};
    return by ? expr_rewrite(a, e, shift_column, &s) : e;
}

struct column_range {
    uint32_t first, end;
};

static bool widen_range(struct expr *e, void *context) {
    struct column_range *range = context;
    if (e->kind != EXPR_COLUMN) return true;
    if (e->ordinal < range->first) range->first = e->ordinal;
    if (e->ordinal >= range->end) range->end = e->ordinal + 1;
    return true;
}

bool expr_column_range(const struct expr *e, uint32_t *first, uint32_t *end) {
    struct column_range range = {.first = UINT32_MAX, .end = 0};
    // The walk does not change what it visits.
    expr_walk((struct expr *)(uintptr_t)e, widen_range, &range);
    *first = range.first;
    *end = range.end;
    return range.end > 0;
}
