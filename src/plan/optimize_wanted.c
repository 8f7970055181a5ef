// SPDX-License-Identifier: Apache-2.0
// optimize_wanted.c: which columns of each node some reader uses. Over the whole graph of all flows, users before inputs: what several
// parents want is united. Nothing is renumbered; a column that is not wanted arrives as constant NULL.
#include "base/bitmap.h"
#include "plan/resolver.h"

struct wanting {
    uint64_t **masks;            // by node id, bits by attribute
};

struct marking {
    uint64_t **masks;            // of the node's inputs, in order
    const struct plan_node *node;
};

static bool mark_column(struct expr *e, void *context) {
    struct marking *m = context;
    if (e->kind != EXPR_COLUMN) return true;
    uint32_t ordinal = e->ordinal;
    for (uint32_t i = 0; i < m->node->input_count; i++) {
        if (ordinal < m->node->inputs[i]->attribute_count) {
            bitmap_set(m->masks[i], ordinal);
            return false;
        }
        ordinal -= m->node->inputs[i]->attribute_count;
    }
    return false;
}

static void mark_exprs(struct marking *m, struct expr *const *exprs, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) expr_walk(exprs[i], mark_column, m);
}

static void mark_all(struct marking *m) {
    for (uint32_t i = 0; i < m->node->input_count; i++) bitmap_fill(m->masks[i], m->node->inputs[i]->attribute_count, true);
}

// What is wanted of a node's first columns is wanted of its inputs' columns, side by side.
static void pass_on(struct marking *m, const uint64_t *mask) {
    uint32_t at = 0;
    for (uint32_t i = 0; i < m->node->input_count; i++)
        for (uint32_t k = 0; k < m->node->inputs[i]->attribute_count && at < m->node->attribute_count; k++, at++)
            if (bitmap_get(mask, at)) bitmap_set(m->masks[i], k);
}

static void pass_to_each(struct marking *m, const uint64_t *mask) {
    for (uint32_t i = 0; i < m->node->input_count; i++)
        for (uint32_t k = 0; k < m->node->attribute_count; k++)
            if (bitmap_get(mask, k)) bitmap_set(m->masks[i], k);
}

static void mark_join(struct marking *m, const uint64_t *mask) {
    const struct plan_node *n = m->node;
    pass_on(m, mask);
    mark_exprs(m, n->left_keys, n->join_key_count);
    if (n->condition) expr_walk(n->condition, mark_column, m);
    struct plan_node right = {.inputs = n->inputs + 1, .input_count = 1};
    struct marking of_right = {.masks = m->masks + 1, .node = &right};
    mark_exprs(&of_right, n->right_keys, n->join_key_count);
}

static void mark_inputs(struct marking *m, uint64_t *mask) {
    const struct plan_node *n = m->node;
    switch (n->kind) {
    case PLAN_PROJECT:
        for (uint32_t i = 0; i < n->expr_count; i++)
            if (bitmap_get(mask, i)) expr_walk(n->exprs[i], mark_column, m);
        break;
    case PLAN_AGGREGATE:
        // State is kept whole: what one epoch does not want, the next may not do without.
        bitmap_fill(mask, n->attribute_count, true);
        mark_exprs(m, n->exprs, n->expr_count);
        break;
    case PLAN_JOIN:
        mark_join(m, mask);
        break;
    case PLAN_UNION:
        pass_to_each(m, mask);
        break;
    case PLAN_INTERSECT:
    case PLAN_EXCEPT:
    case PLAN_CONSOLIDATE:
        bitmap_fill(mask, n->attribute_count, true);
        mark_all(m);
        break;
    default:
        if (n->kind == PLAN_WATERMARK) bitmap_set(mask, n->watermark_column);
        pass_on(m, mask);
        mark_exprs(m, n->exprs, n->expr_count);
        for (uint32_t i = 0; i < n->sort_count; i++) expr_walk(n->sorts[i].expr, mark_column, m);
        if (n->condition) expr_walk(n->condition, mark_column, m);
    }
}

static bool is_full(const uint64_t *mask, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        if (!bitmap_get(mask, i)) return false;
    return true;
}

enum status optimize_wanted(struct arena *a, struct plan_node *const *nodes, uint32_t count, struct plan_node *const *roots, uint32_t root_count) {
    struct wanting w = {.masks = arena_alloc_array(a, (size_t)count + 1, sizeof *w.masks)};
    if (!w.masks) return STATUS_NO_MEMORY;
    uint32_t most_inputs = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!(w.masks[i] = arena_alloc_zeroed(a, bitmap_bytes((size_t)nodes[i]->attribute_count + 1)))) return STATUS_NO_MEMORY;
        if (nodes[i]->input_count > most_inputs) most_inputs = nodes[i]->input_count;
    }
    uint64_t **inputs = arena_alloc_array(a, (size_t)most_inputs + 1, sizeof *inputs);
    if (!inputs) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < root_count; i++) bitmap_fill(w.masks[roots[i]->id], roots[i]->attribute_count, true);
    for (uint32_t i = count; i-- > 0;) {
        struct plan_node *n = nodes[i];
        for (uint32_t k = 0; k < n->input_count; k++) inputs[k] = w.masks[n->inputs[k]->id];
        struct marking m = {.masks = inputs, .node = n};
        mark_inputs(&m, w.masks[i]);
        n->wanted = is_full(w.masks[i], n->attribute_count) ? NULL : w.masks[i];
    }
    return STATUS_OK;
}
