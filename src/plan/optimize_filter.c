// SPDX-License-Identifier: Apache-2.0
// optimize_filter.c: filters move towards the source, conjunct by conjunct, in their order.
//
//     through PROJECT   where the columns used are columns or fields below (nothing is computed twice)
//     through UNION     into every input
//     through WATERMARK where it does not speak of the event time, as in Spark: what it keeps out does not move the watermark
//     into JOIN         to the side it speaks of; an equality between the sides becomes a key, a cross product an inner join
//
// What draws or can fail stays above a join: it would be asked about rows that the join leaves out. Filters are not merged: one that
// fails only where the first is NULL must not see that row.
#include "plan/resolver.h"

enum { PUSH_ROUNDS = 64, PUSH_LIMIT = 4096 };  // as deep as one filter travels; moves in all, for views that double at each level

static bool can_fail(struct expr *e, void *context) {
    bool *fails = context;
    if (e->kind == EXPR_CALL && (e->call.draws || (e->call.function->flags & FUNCTION_CAN_FAIL))) *fails = true;
    if (e->kind == EXPR_CAST || e->kind == EXPR_SUBQUERY || e->kind == EXPR_IN_SUBQUERY) *fails = true;
    return !*fails;
}

bool expr_cannot_fail(struct expr *e) {
    bool fails = false;
    expr_walk(e, can_fail, &fails);
    return !fails;
}

static bool is_cheap(const struct expr *e) {
    while (e->kind == EXPR_FIELD) e = e->args[0];
    return e->kind == EXPR_COLUMN || e->kind == EXPR_LITERAL;
}

struct substitution {
    struct arena *arena;
    struct plan_node *project;
    bool possible;
};

static struct expr *substitute(struct expr *e, void *context) {
    struct substitution *s = context;
    if (e->kind != EXPR_COLUMN) return e;
    struct expr *below = s->project->exprs[e->ordinal];
    if (!is_cheap(below)) s->possible = false;
    return below;
}

static struct plan_node *push(struct resolver *r, struct plan_node *input, struct expr *condition, uint32_t rounds, bool *moved);

static struct plan_node *filter_over(struct resolver *r, struct plan_node *input, struct expr *condition, uint32_t rounds) {
    bool moved = false;
    struct plan_node *n = rounds ? push(r, input, condition, rounds - 1, &moved) : NULL;
    if (moved) return n;
    n = plan_filter(r->arena, input, condition);
    if (n) n->span = condition->span;
    return n;
}

static struct plan_node *push_project(struct resolver *r, struct plan_node *p, struct expr *condition, uint32_t rounds, bool *moved) {
    struct substitution s = {.arena = r->arena, .project = p, .possible = true};
    struct expr *below = expr_rewrite(r->arena, condition, substitute, &s);
    if (!below) return *moved = true, NULL;
    if (!s.possible || !expr_has_kind(condition, EXPR_COLUMN)) return p;
    // Other flows may read what this projection computes; a filter below it would make another one of it.
    for (uint32_t i = 0; r->in_pipeline && i < p->expr_count; i++)
        if (!is_cheap(p->exprs[i])) return p;
    *moved = true;
    struct plan_node *n = plan_copy(r->arena, p);
    if (n) n->inputs[0] = filter_over(r, p->inputs[0], below, rounds);
    return n && n->inputs[0] ? n : NULL;
}

static struct plan_node *push_union(struct resolver *r, struct plan_node *u, struct expr *condition, uint32_t rounds, bool *moved) {
    *moved = true;
    struct plan_node *n = plan_copy(r->arena, u);
    for (uint32_t i = 0; n && i < n->input_count; i++)
        if (!(n->inputs[i] = filter_over(r, u->inputs[i], condition, rounds))) return NULL;
    return n;
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

static struct plan_node *push_join(struct resolver *r, struct plan_node *j, struct expr *condition, uint32_t rounds, bool *moved) {
    uint32_t first, end, width = j->inputs[0]->attribute_count;
    if (!expr_cannot_fail(condition) || !expr_column_range(condition, &first, &end)) return j;
    bool left = end <= width, right = first >= width;
    bool inner = j->join == JOIN_INNER || j->join == JOIN_CROSS;
    bool keeps_left = inner || j->join == JOIN_LEFT || j->join == JOIN_SEMI || j->join == JOIN_ANTI || j->join == JOIN_NULL_AWARE_ANTI;
    bool keeps_right = inner || j->join == JOIN_RIGHT;
    if (!(left && keeps_left) && !(right && keeps_right) && !(inner && !left && !right)) return j;
    *moved = true;
    struct plan_node *n = plan_copy(r->arena, j);
    if (!n) return NULL;
    if (left) {
        n->inputs[0] = filter_over(r, j->inputs[0], condition, rounds);
        return n->inputs[0] ? n : NULL;
    }
    if (right) {
        struct expr *shifted = expr_shift(r->arena, condition, -(int64_t)width);
        n->inputs[1] = shifted ? filter_over(r, j->inputs[1], shifted, rounds) : NULL;
        return n->inputs[1] ? n : NULL;
    }
    n->join = JOIN_INNER;
    n->condition = expr_and(r->arena, n->condition, condition);
    return n->condition && join_keys(r->arena, n) == STATUS_OK ? n : NULL;
}

static struct plan_node *push_watermark(struct resolver *r, struct plan_node *w, struct expr *condition, uint32_t rounds, bool *moved) {
    struct column_search s = {.ordinal = w->watermark_column};
    expr_walk(condition, find_column, &s);
    if (s.found || !expr_has_kind(condition, EXPR_COLUMN)) return w;
    *moved = true;
    struct plan_node *n = plan_copy(r->arena, w);
    if (n) n->inputs[0] = filter_over(r, w->inputs[0], condition, rounds);
    return n && n->inputs[0] ? n : NULL;
}

// Past another filter, if it cannot fail: the order of those that can is kept.
static struct plan_node *push_past(struct resolver *r, struct plan_node *f, struct expr *condition, uint32_t rounds, bool *moved) {
    if (!expr_cannot_fail(condition) || !rounds) return f;
    struct plan_node *input = push(r, f->inputs[0], condition, rounds - 1, moved);
    if (!*moved) return f;
    struct plan_node *n = input ? plan_copy(r->arena, f) : NULL;
    if (n) n->inputs[0] = input;
    return n;
}

// *moved false: it stays above `input`.
static struct plan_node *push(struct resolver *r, struct plan_node *input, struct expr *condition, uint32_t rounds, bool *moved) {
    if (expr_draws(condition) || r->pushes++ >= PUSH_LIMIT) return input;
    switch (input->kind) {
    case PLAN_PROJECT:
        return push_project(r, input, condition, rounds, moved);
    case PLAN_UNION:
        return push_union(r, input, condition, rounds, moved);
    case PLAN_JOIN:
        return push_join(r, input, condition, rounds, moved);
    case PLAN_WATERMARK:
        return push_watermark(r, input, condition, rounds, moved);
    case PLAN_FILTER:
        return push_past(r, input, condition, rounds, moved);
    default:
        return input;
    }
}

static struct plan_node *push_filter(struct resolver *r, struct plan_node *n) {
    if (n->kind != PLAN_FILTER) return n;
    uint32_t count;
    struct expr **parts = conjuncts_of(r->arena, n->condition, &count);
    if (!parts) return NULL;
    struct plan_node *input = n->inputs[0];
    struct expr *rest = NULL;
    for (uint32_t i = 0; i < count; i++) {
        bool moved = false;
        // Once one stays, those after it stay too unless they cannot fail: the order decides which row is asked what.
        struct plan_node *next = rest && !expr_cannot_fail(parts[i]) ? input : push(r, input, parts[i], PUSH_ROUNDS, &moved);
        if (!next) return NULL;
        if (moved) input = next;
        else if (!(rest = expr_and(r->arena, rest, parts[i]))) return NULL;
    }
    if (input == n->inputs[0]) return n;
    if (!rest) return input;
    struct plan_node *filter = plan_filter(r->arena, input, rest);
    if (filter) filter->span = n->span;
    return filter;
}

enum status optimize_filters(struct resolver *r, struct plan_node **root) { return plan_transform(r, root, push_filter); }
