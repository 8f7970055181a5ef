// SPDX-License-Identifier: Apache-2.0
// join_time.c: what the condition of a join of two streams says about time, and so how long a row of one side must be kept for the other.
//
//     left.t = right.t, left.window = right.window     a key is an event time: rows of both sides leave when the watermark reaches it
//     right.t ≤ left.t + 1 hour                        a later row of the right has right.t > watermark: rows of the left leave at t + 1 hour
//     right.t ≥ left.t                                 likewise: rows of the right leave at t
//
// `a.t + x ≤ b.t + y` bounds the side of b: its row leaves when the watermark has reached b.t + y − x, and a millisecond more (Spark counts in
// milliseconds and keeps the edge); `<` does without. Several such conditions on one side: the longest, as in Spark. Conjuncts that speak of one
// side alone and cannot fail are taken apart: a row that does not meet its own matches nothing, whatever comes.
#include "expr/function.h"
#include "plan/resolver.h"

enum { EDGE_US = 1000 };

static bool is_event_time(const struct plan_node *input, uint32_t ordinal) { return input->event_time && bitmap_get(input->event_time, ordinal); }

static bool has_watermark(const struct plan_node *n) {
    if (n->kind == PLAN_WATERMARK && n->streaming) return true;
    for (uint32_t i = 0; i < n->input_count; i++)
        if (n->inputs[i]->streaming && has_watermark(n->inputs[i])) return true;
    return false;
}

// A column of one side, plus a constant.
struct moment {
    uint32_t side, ordinal;
    int64_t plus_us;
};

static bool constant_us(const struct expr *e, int64_t *out) {
    if (e->kind != EXPR_LITERAL || !column_is_valid(e->literal, 0)) return false;
    if (e->type->id == TYPE_INTERVAL_DT) {
        *out = column_int64(e->literal, 0);
        return true;
    }
    if (e->type->id != TYPE_INTERVAL) return false;
    const struct calendar_interval *v = (const struct calendar_interval *)column_base(e->literal)->values + column_index(e->literal, 0);
    __int128 us = (__int128)v->days * INT64_C(86400000000) + v->us;
    if (v->months || us > INT64_MAX || us < INT64_MIN) return false;
    *out = (int64_t)us;
    return true;
}

static bool read_moment(const struct plan_node *n, const struct expr *e, struct moment *out) {
    uint32_t width = n->inputs[0]->attribute_count;
    if (e->kind == EXPR_COLUMN) {
        if (e->type->id != TYPE_TIMESTAMP) return false;
        out->side = e->ordinal >= width;
        out->ordinal = e->ordinal - (out->side ? width : 0);
        out->plus_us = 0;
        return true;
    }
    if (e->kind != EXPR_CALL || e->arg_count != 2) return false;
    bool plus = strcmp(e->call.function->name, "+") == 0, minus = strcmp(e->call.function->name, "-") == 0;
    int64_t us;
    uint32_t constant = plus && e->args[0]->kind == EXPR_LITERAL ? 0 : 1;
    if ((!plus && !minus) || !constant_us(e->args[constant], &us) || !read_moment(n, e->args[1 - constant], out)) return false;
    return minus ? !__builtin_sub_overflow(out->plus_us, us, &out->plus_us) : !__builtin_add_overflow(out->plus_us, us, &out->plus_us);
}

// `earlier` ≤ or < `later`.
static void take_bound(const struct plan_node *n, const struct moment *earlier, const struct moment *later, bool strict, struct join_time *t) {
    uint32_t side = later->side;
    int64_t delay_us;
    if (earlier->side == side || !is_event_time(n->inputs[earlier->side], earlier->ordinal)) return;
    if (__builtin_sub_overflow(later->plus_us, earlier->plus_us, &delay_us) || __builtin_add_overflow(delay_us, strict ? 0 : EDGE_US, &delay_us)) return;
    if (t->bounded[side] && (t->column[side] != later->ordinal || t->delay_us[side] >= delay_us)) return;
    t->bounded[side] = true;
    t->column[side] = later->ordinal;
    t->delay_us[side] = delay_us;
}

static void read_comparison(const struct plan_node *n, const struct expr *e, struct join_time *t) {
    struct moment left, right;
    if (e->kind != EXPR_CALL || e->arg_count != 2) return;
    const char *name = e->call.function->name;
    bool less = name[0] == '<', greater = name[0] == '>';
    bool strict = (less || greater) && name[1] == 0, edge = (less || greater) && strcmp(name + 1, "=") == 0;
    if ((!strict && !edge) || !read_moment(n, e->args[0], &left) || !read_moment(n, e->args[1], &right)) return;
    if (less) take_bound(n, &left, &right, strict, t);
    else take_bound(n, &right, &left, strict, t);
}

static bool is_time_type(const struct type *t) { return t->id == TYPE_TIMESTAMP || (t->id == TYPE_STRUCT && t->field_count == 2 && t->fields[1].type->id == TYPE_TIMESTAMP); }

static bool is_time_key(const struct plan_node *input, const struct expr *key) {
    return key->kind == EXPR_COLUMN && is_time_type(key->type) && is_event_time(input, key->ordinal);
}

// Equal event times: they bound both sides, whichever of the two has the watermark.
static void read_keys(const struct plan_node *n, struct join_time *t) {
    t->key = PLAN_NO_TIME;
    for (uint32_t i = 0; i < n->join_key_count && t->key == PLAN_NO_TIME; i++) {
        if (is_time_key(n->inputs[0], n->left_keys[i]) || is_time_key(n->inputs[1], n->right_keys[i])) t->key = i;
    }
    if (t->key == PLAN_NO_TIME) return;
    for (uint32_t side = 0; side < 2; side++) {
        t->bounded[side] = true;
        t->delay_us[side] = 0;
    }
}

struct column_search {
    uint32_t ordinal;
    bool found;
};

static bool find_column(struct expr *e, void *context) {
    struct column_search *s = context;
    s->found |= e->kind == EXPR_COLUMN && e->ordinal == s->ordinal;
    return !s->found;
}

static bool is_compared(const struct plan_node *n, uint32_t side, uint32_t ordinal) {
    struct column_search in_keys = {.ordinal = ordinal}, in_condition = {.ordinal = ordinal + (side ? n->inputs[0]->attribute_count : 0)};
    for (uint32_t i = 0; i < n->join_key_count; i++) expr_walk(side ? n->right_keys[i] : n->left_keys[i], find_column, &in_keys);
    if (n->condition) expr_walk(n->condition, find_column, &in_condition);
    return in_keys.found || in_condition.found;
}

// By which column rows of a side are late: the one that bounds them, if it is an event time, or the first that is.
static void choose_late(const struct plan_node *n, uint32_t side, struct join_time *t) {
    const struct plan_node *input = n->inputs[side];
    const struct expr *key = t->key == PLAN_NO_TIME ? NULL : side ? n->right_keys[t->key] : n->left_keys[t->key];
    t->late_column[side] = PLAN_NO_TIME;
    for (uint32_t k = input->attribute_count; k-- > 0;)
        if (is_event_time(input, k) && is_time_type(input->attributes[k].type)) t->late_column[side] = k;
    if (key && is_time_key(input, key)) t->late_column[side] = key->ordinal;
    else if (!key && t->bounded[side] && is_event_time(input, t->column[side])) t->late_column[side] = t->column[side];
    t->late_is_compared[side] = t->late_column[side] != PLAN_NO_TIME && is_compared(n, side, t->late_column[side]);
}

static enum status take_apart(struct arena *a, const struct plan_node *n, struct expr *const *parts, uint32_t count, struct join_time *t) {
    uint32_t width = n->inputs[0]->attribute_count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t first, end;
        struct expr *part = parts[i], **into = &t->both;
        if (expr_cannot_fail(part) && expr_column_range(part, &first, &end) && (end <= width || first >= width)) {
            into = &t->own[first >= width];
            part = first >= width ? expr_shift(a, part, -(int64_t)width) : part;
        }
        *into = part ? expr_and(a, *into, part) : NULL;
        if (!*into) return STATUS_NO_MEMORY;
    }
    return STATUS_OK;
}

enum status plan_derive_join_time(struct arena *a, struct plan_node *n) {
    n->join_time = NULL;
    if (n->kind != PLAN_JOIN || n->input_count != 2 || !n->inputs[0]->streaming || !n->inputs[1]->streaming) return STATUS_OK;
    struct join_time *t = arena_alloc_zeroed(a, sizeof *t);
    uint32_t count = 0;
    struct expr **parts = conjuncts_of(a, n->condition, &count);
    if (!t || !parts) return STATUS_NO_MEMORY;
    read_keys(n, t);
    for (uint32_t i = 0; i < count && t->key == PLAN_NO_TIME; i++) read_comparison(n, parts[i], t);
    for (uint32_t side = 0; side < 2; side++) {
        t->has_watermark[side] = has_watermark(n->inputs[side]);
        if (t->bounded[side] && t->delay_us[side] > t->handed_delay_us) t->handed_delay_us = t->delay_us[side];
        choose_late(n, side, t);
    }
    TRY(take_apart(a, n, parts, count, t));
    n->join_time = t;
    return STATUS_OK;
}

bool plan_join_keeps(const struct plan_node *n, uint32_t side) {
    if (n->join == JOIN_FULL) return true;
    return side ? n->join == JOIN_RIGHT : n->join == JOIN_LEFT || n->join == JOIN_ANTI;
}
