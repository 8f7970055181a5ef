// SPDX-License-Identifier: Apache-2.0
// event_time.c: which columns are event times, and what follows from it for the nodes above.
//
//     WATERMARK ts ─► its column          PROJECT ─► a column that is passed on, window_time(of a window)
//     WINDOW, SESSION ─► the appended struct, if its time is one          AGGREGATE ─► the keys that are          UNION ─► where all inputs are
//
// A group of an AGGREGATE with such a key ends when the watermark reaches the key's value (of a window: its end). Over rows that never change it
// leaves then, once (emits_closed); in a result that is kept up to date it leaves with each change, and only its state goes in the end.
#include "plan/resolver.h"

static bool is_time(const struct plan_node *input, uint32_t ordinal) { return input->event_time && bitmap_get(input->event_time, ordinal); }

static bool is_time_expr(const struct plan_node *input, const struct expr *e) {
    if (e->kind == EXPR_COLUMN) return is_time(input, e->ordinal);
    // window_time(w), and w as the time of another window: w.end less a microsecond
    if (e->kind != EXPR_CALL || e->arg_count != 2 || e->args[0]->kind != EXPR_FIELD || e->args[0]->ordinal != 1 || e->args[1]->kind != EXPR_LITERAL) return false;
    const struct expr *window = e->args[0]->args[0], *one = e->args[1];
    bool is_one = one->type->id == TYPE_INTERVAL_DT && column_is_valid(one->literal, 0) && column_int64(one->literal, 0) == 1;
    return is_one && strcmp(e->call.function->name, "-") == 0 && window->kind == EXPR_COLUMN && is_time(input, window->ordinal);
}

static void pass_all(const struct plan_node *n, uint64_t *bits) {
    uint32_t at = 0;
    for (uint32_t i = 0; i < n->input_count; i++) {
        const struct plan_node *input = n->inputs[i];
        for (uint32_t k = 0; k < input->attribute_count && at < n->attribute_count; k++, at++) {
            if (is_time(input, k)) bitmap_set(bits, at);
        }
    }
}

static void derive(const struct plan_node *n, uint64_t *bits) {
    switch (n->kind) {
    case PLAN_SCAN:
    case PLAN_VALUES:
    case PLAN_INTERSECT:
    case PLAN_EXCEPT:
        return;
    case PLAN_WATERMARK:
        bitmap_set(bits, n->watermark_column);
        return;
    case PLAN_PROJECT:
    case PLAN_AGGREGATE:
        for (uint32_t i = 0; i < (n->kind == PLAN_PROJECT ? n->expr_count : n->key_count); i++) {
            if (is_time_expr(n->inputs[0], n->exprs[i])) bitmap_set(bits, i);
        }
        return;
    case PLAN_UNION:
        for (uint32_t k = 0; k < n->attribute_count; k++) {
            bool all = true;
            for (uint32_t i = 0; i < n->input_count; i++) all &= is_time(n->inputs[i], k);
            if (all) bitmap_set(bits, k);
        }
        return;
    case PLAN_WINDOW:
    case PLAN_SESSION: {
        pass_all(n, bits);
        const struct expr *time = n->exprs[n->kind == PLAN_SESSION ? n->key_count : 0];
        if (is_time_expr(n->inputs[0], time)) bitmap_set(bits, n->attribute_count - 1);
        return;
    }
    default:
        pass_all(n, bits);
    }
}

enum status plan_derive_time(struct arena *a, struct plan_node *n) {
    bool any = n->kind == PLAN_WATERMARK;
    for (uint32_t i = 0; i < n->input_count; i++) any |= n->inputs[i]->event_time != NULL;
    n->event_time = NULL;
    if (!any || !n->streaming) return STATUS_OK;
    uint64_t *bits = arena_alloc_zeroed(a, bitmap_bytes((size_t)n->attribute_count + 1));
    if (!bits) return STATUS_NO_MEMORY;
    derive(n, bits);
    for (uint32_t k = 0; k < n->attribute_count; k++) {
        if (bitmap_get(bits, k)) n->event_time = bits;
    }
    return STATUS_OK;
}

uint32_t plan_time_key(const struct plan_node *n) {
    for (uint32_t i = 0; n->event_time && i < n->key_count; i++) {
        if (bitmap_get(n->event_time, i)) return i;
    }
    return PLAN_NO_TIME;
}

static struct plan_node *mark_closed(struct resolver *r, struct plan_node *n) {
    bool joins = n->kind == PLAN_JOIN && n->inputs[0]->streaming && n->inputs[1]->streaming;
    if ((n->kind != PLAN_AGGREGATE && !joins) || !n->streaming || n->emits_closed) return n;
    struct plan_node *copy = plan_copy(r->arena, n);
    if (copy) copy->emits_closed = true;
    return copy;
}

enum status plan_emit_closed(struct resolver *r, struct plan_node **root) {
    return (*root)->streaming ? plan_transform(r, root, mark_closed) : STATUS_OK;
}

static const struct plan_node *window_of(const struct plan_node *n, uint32_t ordinal) {
    for (; n->kind == PLAN_PROJECT || n->kind == PLAN_FILTER; n = n->inputs[0]) {
        if (n->kind == PLAN_FILTER) continue;
        if (n->exprs[ordinal]->kind != EXPR_COLUMN) return NULL;
        ordinal = n->exprs[ordinal]->ordinal;
    }
    return n->kind == PLAN_WINDOW && ordinal == n->attribute_count - 1 ? n : NULL;
}

const struct plan_node *plan_window_key(const struct plan_node *n, uint32_t *key) {
    for (uint32_t i = 0; n->kind == PLAN_AGGREGATE && i < n->key_count; i++) {
        const struct plan_node *window = n->exprs[i]->kind == EXPR_COLUMN ? window_of(n->inputs[0], n->exprs[i]->ordinal) : NULL;
        *key = i;
        if (window) return window;
    }
    return NULL;
}

// Sliding windows share slides: a row is added to the one it falls in, and windows are put together from them when they close. Not where something
// else sees which window a row is in, or states cannot be put together.
struct window_use {
    uint32_t ordinal;
    bool found;
};

static bool find_use(struct expr *e, void *context) {
    struct window_use *u = context;
    u->found |= e->kind == EXPR_COLUMN && e->ordinal == u->ordinal;
    return !u->found;
}

static bool uses(struct expr *e, uint32_t ordinal) {
    struct window_use u = {.ordinal = ordinal};
    if (e) expr_walk(e, find_use, &u);
    return u.found;
}

static const struct aggregate_ops *parts_of(const struct expr *e) {
    const struct type *types[16];
    if (e->arg_count > sizeof types / sizeof *types) return NULL;
    for (uint32_t i = 0; i < e->arg_count; i++) types[i] = e->args[i]->type;
    const struct aggregate_ops *ops = e->aggregate.aggregate->choose(types, e->arg_count, e->aggregate.data);
    return ops && e->aggregate.distinct && !(ops->flags & AGGREGATE_DISTINCT_IS_PLAIN) ? NULL : ops;
}

static bool can_be_put_together(const struct expr *e) {
    const struct aggregate_ops *ops = parts_of(e);
    return ops && ops->merge;
}

const struct expr *plan_not_by_session(const struct plan_node *n) {
    for (uint32_t i = n->key_count; i < n->expr_count; i++) {
        const struct aggregate_ops *ops = parts_of(n->exprs[i]);
        if (!ops || (!ops->merge && !ops->append)) return n->exprs[i];
    }
    return NULL;
}

static bool fits_panes(const struct plan_node *n, uint32_t key, const struct plan_node *window) {
    if (!n->emits_closed || window->slide_us == window->window_us || window->window_us % window->slide_us) return false;
    uint32_t ordinal = n->exprs[key]->ordinal;
    for (uint32_t i = 0; i < n->expr_count; i++) {
        struct expr *e = n->exprs[i];
        if (i != key && (uses(e, ordinal) || (e->kind == EXPR_AGGREGATE && uses(e->aggregate.filter, ordinal)))) return false;
        if (e->kind == EXPR_AGGREGATE && !can_be_put_together(e)) return false;
    }
    for (const struct plan_node *at = n->inputs[0]; at != window; at = at->inputs[0]) {
        if (at->kind == PLAN_FILTER && uses(at->condition, ordinal)) return false;
        if (at->kind != PLAN_PROJECT) continue;
        uint32_t below = at->exprs[ordinal]->ordinal;
        for (uint32_t i = 0; i < at->expr_count; i++)
            if (i != ordinal && uses(at->exprs[i], below)) return false;
        ordinal = below;
    }
    return true;
}

// The WINDOW that makes an aggregation's windows, and what stands between, as copies of their own.
static struct plan_node *mark_window(struct resolver *r, struct plan_node *n, bool in_panes) {
    struct plan_node *copy = plan_copy(r->arena, n);
    if (!copy) return NULL;
    if (n->kind == PLAN_WINDOW) {
        copy->drops_late = true;
        copy->in_panes = in_panes;
        return copy;
    }
    copy->inputs[0] = mark_window(r, n->inputs[0], in_panes);
    return copy->inputs[0] ? copy : NULL;
}

// Is a column the one that a SESSION appends, handed on?
static bool is_session(const struct plan_node *n, uint32_t ordinal) {
    for (; n->kind == PLAN_PROJECT || n->kind == PLAN_FILTER; n = n->inputs[0]) {
        if (n->kind == PLAN_FILTER) continue;
        if (n->exprs[ordinal]->kind != EXPR_COLUMN) return false;
        ordinal = n->exprs[ordinal]->ordinal;
    }
    return n->kind == PLAN_SESSION && n->streaming && ordinal == n->attribute_count - 1;
}

uint32_t plan_session_key(const struct plan_node *n) {
    for (uint32_t i = 0; n->kind == PLAN_AGGREGATE && i < n->key_count; i++) {
        if (n->exprs[i]->kind == EXPR_COLUMN && is_session(n->inputs[0], n->exprs[i]->ordinal)) return i;
    }
    return PLAN_NO_TIME;
}

static struct plan_node *mark_session(struct resolver *r, struct plan_node *n) {
    uint32_t key = plan_session_key(n);
    struct plan_node *copy = key == PLAN_NO_TIME ? n : plan_copy(r->arena, n);
    if (copy && key != PLAN_NO_TIME) copy->session_key = key + 1;
    return copy;
}

static struct plan_node *mark_late(struct resolver *r, struct plan_node *n) {
    uint32_t key;
    const struct plan_node *window = n->streaming ? plan_window_key(n, &key) : NULL;
    if (!window || key != plan_time_key(n)) return n;
    bool in_panes = fits_panes(n, key, window);
    struct plan_node *input = mark_window(r, n->inputs[0], in_panes), *copy = input ? plan_copy(r->arena, n) : NULL;
    if (!copy) return NULL;
    copy->inputs[0] = input;
    copy->in_panes = in_panes;
    return copy;
}

enum status plan_drop_late(struct resolver *r, struct plan_node **root) {
    TRY(plan_transform(r, root, mark_late));
    TRY(plan_transform(r, root, mark_session));
    return check_joins(r, *root);
}
