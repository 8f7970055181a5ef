// SPDX-License-Identifier: Apache-2.0
// lineage.c: where a column's data comes from. An attribute carries labels (what kind of personal data) and origins (base columns); by
// default both are the union of its inputs'. Every operator goes through these two functions, so that a rule for an exception
// (an aggregate that anonymises) has one place to stand.
#include "plan/resolver.h"

enum { ORIGIN_LIMIT = 64 };  // of one attribute; beyond it the list says no more than "many"

enum status lineage_union(struct arena *a, const struct lineage *x, const struct lineage *y, struct lineage *out) {
    uint64_t labels = x->labels | y->labels;
    if (!x->origin_count || !y->origin_count || x->origins == y->origins) {
        const struct lineage *only = x->origin_count ? x : y;
        *out = *only;
        out->labels = labels;
        return STATUS_OK;
    }
    const char **merged = arena_alloc_array(a, (size_t)x->origin_count + y->origin_count, sizeof *merged);
    if (!merged) return STATUS_NO_MEMORY;
    uint32_t i = 0, j = 0, count = 0;
    while ((i < x->origin_count || j < y->origin_count) && count < ORIGIN_LIMIT) {
        int order = i == x->origin_count ? 1 : j == y->origin_count ? -1 : strcmp(x->origins[i], y->origins[j]);
        merged[count++] = order <= 0 ? x->origins[i] : y->origins[j];
        i += order <= 0;
        j += order >= 0;
    }
    *out = (struct lineage){.labels = labels, .origins = merged, .origin_count = count};
    return STATUS_OK;
}

struct collect {
    struct arena *arena;
    struct plan_node *const *inputs;
    uint32_t input_count;
    struct lineage total;
    enum status status;
};

static bool collect_column(struct expr *e, void *context) {
    struct collect *c = context;
    if (e->kind == EXPR_LITERAL || e->kind == EXPR_PARAMETER) return false;
    if (e->kind != EXPR_COLUMN) return true;
    uint32_t ordinal = e->ordinal;
    for (uint32_t i = 0; i < c->input_count; i++) {
        if (ordinal < c->inputs[i]->attribute_count) {
            struct lineage so_far = c->total;
            if (c->status == STATUS_OK) c->status = lineage_union(c->arena, &so_far, &c->inputs[i]->attributes[ordinal].lineage, &c->total);
            return false;
        }
        ordinal -= c->inputs[i]->attribute_count;
    }
    return false;
}

enum status lineage_of_expr(struct arena *a, const struct expr *e, struct plan_node *const *inputs, uint32_t input_count, struct lineage *out) {
    struct collect c = {.arena = a, .inputs = inputs, .input_count = input_count, .status = STATUS_OK};
    // The walk does not change what it visits.
    expr_walk((struct expr *)(uintptr_t)e, collect_column, &c);
    *out = c.total;
    return c.status;
}
