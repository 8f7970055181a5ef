// SPDX-License-Identifier: Apache-2.0
// optimize_json.c: which leaves of a from_json, or of a table's structs, are read. `r.name.first` far up in the plan wants one leaf of the struct that a from_json
// makes far below; followed down through columns, users before inputs, over the whole graph, it ends at the call (or at the SCAN):
//
//     PROJECT r.name.first, r.age   →   column r: leaves {name.first, age}   →   from_json(value, …) reads two leaves of forty
//
// A struct used as a whole wants all its leaves. Leaves are counted as json.h does: in preorder, whatever is not a STRUCT is one.
#include "base/bitmap.h"
#include "expr/from_json.h"
#include "plan/resolver.h"

struct call_need {
    struct expr *call;
    uint64_t *leaves;
};

struct tracing {
    struct arena *arena;
    uint64_t ***leaves;          // [node id][attribute]: bits by leaf; only for STRUCTs
    const struct plan_node *node;
    struct plan_node *const *inputs;
    uint32_t input_count;
    struct call_need *calls;     // of this node
    uint32_t call_count, call_capacity;
    enum status status;
};

static uint32_t leaf_count(const struct type *t) {
    if (t->id != TYPE_STRUCT) return 1;
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->field_count; i++) n += leaf_count(t->fields[i].type);
    return n;
}

static uint32_t first_leaf(const struct type *t, uint32_t field) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < field; i++) n += leaf_count(t->fields[i].type);
    return n;
}

static uint64_t *new_bits(struct tracing *t, uint32_t count) {
    uint64_t *bits = arena_alloc_zeroed(t->arena, bitmap_bytes((size_t)count + 1));
    if (!bits) t->status = STATUS_NO_MEMORY;
    return bits;
}

// bits NULL: all.
static void unite(uint64_t *into, const uint64_t *bits, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        if (!bits || bitmap_get(bits, i)) bitmap_set(into, i);
}

static void need_attribute(struct tracing *t, const struct plan_node *n, uint32_t ordinal, const uint64_t *bits) {
    const struct type *type = n->attributes[ordinal].type;
    if (type->id != TYPE_STRUCT) return;
    uint64_t **slot = &t->leaves[n->id][ordinal];
    uint32_t count = leaf_count(type);
    if (!*slot && !(*slot = new_bits(t, count))) return;
    unite(*slot, bits, count);
}

static void need_column(struct tracing *t, uint32_t ordinal, const uint64_t *bits) {
    for (uint32_t i = 0; i < t->input_count; i++) {
        if (ordinal < t->inputs[i]->attribute_count) {
            need_attribute(t, t->inputs[i], ordinal, bits);
            return;
        }
        ordinal -= t->inputs[i]->attribute_count;
    }
}

static bool is_from_json(const struct expr *e) {
    return e->kind == EXPR_CALL && e->type->id == TYPE_STRUCT && e->call.data && !strcmp(e->call.function->name, "from_json");
}

static void need_call(struct tracing *t, struct expr *call, const uint64_t *bits) {
    uint32_t count = leaf_count(call->type);
    for (uint32_t i = 0; i < t->call_count; i++) {
        if (t->calls[i].call != call && !expr_equal(t->calls[i].call, call)) continue;
        unite(t->calls[i].leaves, bits, count);
        if (t->calls[i].call == call) return;
        // The program computes equal calls once: both must read what either needs.
        bits = t->calls[i].leaves;
    }
    if (t->call_count == t->call_capacity) {
        uint32_t capacity = t->call_capacity ? t->call_capacity * 2 : 8;
        struct call_need *more = arena_alloc_array(t->arena, capacity, sizeof *more);
        if (!more) {
            t->status = STATUS_NO_MEMORY;
            return;
        }
        if (t->call_count) memcpy(more, t->calls, t->call_count * sizeof *more);
        t->calls = more;
        t->call_capacity = capacity;
    }
    struct call_need *c = &t->calls[t->call_count];
    c->call = call;
    if (!(c->leaves = new_bits(t, count))) return;
    unite(c->leaves, bits, count);
    t->call_count++;
}

// The value of e is read; bits: only these leaves of it (NULL: all).
static void need(struct tracing *t, struct expr *e, const uint64_t *bits) {
    if (e->kind == EXPR_COLUMN) {
        need_column(t, e->ordinal, bits);
        return;
    }
    if (e->kind == EXPR_FIELD && e->args[0]->type->id == TYPE_STRUCT) {
        const struct type *parent = e->args[0]->type;
        uint64_t *of_parent = new_bits(t, leaf_count(parent));
        if (!of_parent) return;
        uint32_t first = first_leaf(parent, e->ordinal), count = leaf_count(e->type);
        for (uint32_t i = 0; i < count; i++)
            if (!bits || bitmap_get(bits, i)) bitmap_set(of_parent, first + i);
        need(t, e->args[0], of_parent);
        return;
    }
    if (is_from_json(e)) need_call(t, e, bits);
    for (uint32_t i = 0; i < e->arg_count; i++) need(t, e->args[i], NULL);
    if (e->kind == EXPR_AGGREGATE && e->aggregate.filter) need(t, e->aggregate.filter, NULL);
}

static void need_list(struct tracing *t, struct expr *const *exprs, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) need(t, exprs[i], NULL);
}

static bool is_wanted(const struct plan_node *n, uint32_t i) { return !n->wanted || bitmap_get(n->wanted, i); }

static const uint64_t *own_need(const struct tracing *t, uint32_t ordinal) { return t->leaves[t->node->id][ordinal]; }

// Columns that go through unchanged, side by side.
static void pass_on(struct tracing *t, bool to_each) {
    const struct plan_node *n = t->node;
    uint32_t at = 0;
    for (uint32_t i = 0; i < n->input_count; i++) {
        if (to_each) at = 0;
        for (uint32_t k = 0; k < n->inputs[i]->attribute_count && at < n->attribute_count; k++, at++)
            if (is_wanted(n, at) && own_need(t, at)) need_attribute(t, n->inputs[i], k, own_need(t, at));
    }
}

// Leaves of columns nobody wants stay out; a STRUCT whose need is unknown is read whole.
static void tell_scan(struct tracing *t, struct plan_node *n) {
    uint32_t total = 0, leaf = 0;
    for (uint32_t i = 0; i < n->attribute_count; i++) total += leaf_count(n->attributes[i].type);
    uint64_t *out = new_bits(t, total);
    if (!out) return;
    for (uint32_t i = 0; i < n->attribute_count; i++) {
        uint32_t count = leaf_count(n->attributes[i].type);
        const uint64_t *bits = n->attributes[i].type->id == TYPE_STRUCT ? t->leaves[n->id][i] : NULL;
        if (bits && !bitmap_count(bits, count)) bits = NULL;
        for (uint32_t k = 0; k < count && is_wanted(n, i); k++)
            if (!bits || bitmap_get(bits, k)) bitmap_set(out, leaf + k);
        leaf += count;
    }
    n->wanted_leaves = bitmap_count(out, total) < total ? out : NULL;
}

static void trace(struct tracing *t) {
    struct plan_node *n = (struct plan_node *)(uintptr_t)t->node;
    switch (n->kind) {
    case PLAN_PROJECT:
        for (uint32_t i = 0; i < n->expr_count; i++)
            if (is_wanted(n, i)) need(t, n->exprs[i], n->exprs[i]->type->id == TYPE_STRUCT ? own_need(t, i) : NULL);
        return;
    case PLAN_AGGREGATE:
        need_list(t, n->exprs, n->expr_count);
        return;
    case PLAN_SCAN:
        tell_scan(t, n);
        return;
    case PLAN_INTERSECT:
    case PLAN_EXCEPT:
    case PLAN_CONSOLIDATE:
        for (uint32_t i = 0; i < n->input_count; i++)
            for (uint32_t k = 0; k < n->inputs[i]->attribute_count; k++) need_attribute(t, n->inputs[i], k, NULL);
        return;
    default:
        break;
    }
    pass_on(t, n->kind == PLAN_UNION);
    need_list(t, n->exprs, n->expr_count);
    need_list(t, n->left_keys, n->join_key_count);
    if (n->condition) need(t, n->condition, NULL);
    for (uint32_t i = 0; i < n->sort_count; i++) need(t, n->sorts[i].expr, NULL);
    if (n->join_key_count) {
        t->inputs = n->inputs + 1;
        t->input_count = 1;
        need_list(t, n->right_keys, n->join_key_count);
    }
}

static void tell_calls(struct tracing *t) {
    for (uint32_t i = 0; i < t->call_count; i++) {
        struct call_need *c = &t->calls[i];
        const struct from_json_data *data = c->call->call.data;
        // A call that stands in another node too reads what both need.
        if (data->wanted) unite(c->leaves, data->wanted, leaf_count(c->call->type));
        (void)function_set_wanted_leaves(t->arena, c->call, c->leaves);  // one that refuses goes on reading everything
    }
}

enum status optimize_json_leaves(struct arena *a, struct plan_node *const *nodes, uint32_t count, struct plan_node *const *roots, uint32_t root_count) {
    struct tracing t = {.arena = a, .status = STATUS_OK, .leaves = arena_alloc_array(a, (size_t)count + 1, sizeof *t.leaves)};
    if (!t.leaves) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++)
        if (!(t.leaves[i] = arena_alloc_array(a, (size_t)nodes[i]->attribute_count + 1, sizeof **t.leaves))) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < root_count; i++)
        for (uint32_t k = 0; k < roots[i]->attribute_count; k++) need_attribute(&t, roots[i], k, NULL);
    for (uint32_t i = count; i-- > 0 && t.status == STATUS_OK;) {
        t.node = nodes[i];
        t.inputs = nodes[i]->inputs;
        t.input_count = nodes[i]->input_count;
        t.call_count = 0;
        trace(&t);
        if (t.status == STATUS_OK) tell_calls(&t);
    }
    return t.status;
}
