// SPDX-License-Identifier: Apache-2.0
// check_streaming.c: which plans can be right over data that grows.
//
//     streaming table       a row once written never changes: no aggregation without watermark, no sorting; Spark's append mode
//     materialized view     the whole result, kept up to date: one aggregation, DISTINCT, the first N of an order
//
// What is impossible has Spark's condition; what is only not built has "not yet". Nodes come with their streaming and changes derived.
#include "plan/resolver.h"

static enum status complain_stream(struct resolver *r, struct span span, const char *condition, const char *hint, const char *message) {
    return complain(r, (struct complaint){.span = span, .condition = condition, .label = "on a stream", .hint = hint}, "%s", message);
}

static bool has_watermark(const struct plan_node *n) {
    if (n->kind == PLAN_WATERMARK && n->streaming) return true;
    for (uint32_t i = 0; i < n->input_count; i++)
        if (n->inputs[i]->streaming && has_watermark(n->inputs[i])) return true;
    return false;
}

// Of two streams in a streaming table: a row that matches nothing can leave only when event time says that no match will come.
static enum status check_join_end(struct resolver *r, const struct plan_node *n) {
    const struct join_time *t = n->join_time;
    if (n->join == JOIN_ANTI)
        return complain_stream(r, n->span, "_LEGACY_ERROR_TEMP_3102", "make it a MATERIALIZED VIEW, which is kept up to date",
                               "LeftAnti joins with a streaming DataFrame/Dataset on the right are not supported");
    if (!n->join_key_count)
        return complain_stream(r, n->span, "_LEGACY_ERROR_TEMP_1181", "add an equality between the sides, or make it a MATERIALIZED VIEW, which is kept up to date",
                               "Stream-stream join without equality predicate is not supported");
    bool waits[2] = {plan_join_keeps(n, 0) || n->join == JOIN_SEMI, plan_join_keeps(n, 1)};
    for (uint32_t side = 0; side < 2; side++)
        if (waits[side] && !t->bounded[side])
            return complain_stream(r, n->span, "_LEGACY_ERROR_TEMP_3102", "give both streams a WATERMARK and say how far apart their event times may be, for example "
                                   "`b.t BETWEEN a.t AND a.t + INTERVAL 1 HOUR`; or make it a MATERIALIZED VIEW, which is kept up to date",
                                   "a join that must know which rows match nothing is not supported without a watermark in the join keys, or a watermark on the other side and an "
                                   "appropriate range condition");
    return STATUS_OK;
}

static enum status check_join_of_streams(struct resolver *r, const struct plan_node *n) {
    const struct join_time *t = n->join_time;
    for (uint32_t side = 0; side < 2; side++)
        if (n->inputs[side]->changes == CHANGES_RETRACT) return complain_not_yet(r, n->span, "joining a result that changes");
    if (n->join == JOIN_NULL_AWARE_ANTI) return complain_not_yet(r, n->span, "NOT IN of two streams");
    if (!n->emits_closed) return STATUS_OK;
    TRY(check_join_end(r, n));
    if (t->bounded[0] && t->bounded[1]) return STATUS_OK;
    return warn_about(r, n->span, "give both streams a WATERMARK and say how far apart their event times may be, for example `b.t BETWEEN a.t AND a.t + INTERVAL 1 HOUR`",
                      "the state of this join grows with every row of its %s", t->bounded[0] ? "right side" : t->bounded[1] ? "left side" : "two sides");
}

enum status check_joins(struct resolver *r, struct plan_node *root) {
    struct plan_node **nodes;
    uint32_t count;
    enum status worst = STATUS_OK;
    TRY(plan_nodes(r->arena, r->analysis->memory, &root, 1, &nodes, &count));
    for (uint32_t i = 0; i < count; i++) {
        enum status s = nodes[i]->join_time ? check_join_of_streams(r, nodes[i]) : STATUS_OK;
        if (s == STATUS_NO_MEMORY) return s;
        if (s != STATUS_OK) worst = s;
    }
    return worst;
}

static enum status check_join(struct resolver *r, const struct plan_node *n) {
    const struct plan_node *left = n->inputs[0];
    if (n->join_time) return STATUS_OK;  // check_joins, when the filters above it are in it
    // A result that changes meets a table that is read whole: what is taken back finds the partners that it found when it came.
    bool ok = left->streaming ? n->join != JOIN_RIGHT && n->join != JOIN_FULL : n->join == JOIN_INNER || n->join == JOIN_CROSS || n->join == JOIN_RIGHT;
    if (ok) return STATUS_OK;
    return complain_stream(r, n->span, "_LEGACY_ERROR_TEMP_3102", "let the stream be the side whose rows are all kept",
                           "this join would have to wait for the end of the stream");
}

static enum status check_union(struct resolver *r, const struct plan_node *n) {
    for (uint32_t i = 0; i < n->input_count; i++)
        if (!n->inputs[i]->streaming)
            return complain_stream(r, n->span, "_LEGACY_ERROR_TEMP_3102", NULL, "a union of a stream with a table that is read whole is not supported");
    return STATUS_OK;
}

static enum status check_common(struct resolver *r, const struct plan_node *n) {
    switch (n->kind) {
    case PLAN_JOIN:
        return check_join(r, n);
    case PLAN_UNION:
        return check_union(r, n);
    case PLAN_INTERSECT:
    case PLAN_EXCEPT:
        return complain_not_yet(r, n->span, n->kind == PLAN_INTERSECT ? "INTERSECT on a stream" : "EXCEPT on a stream");
    case PLAN_WATERMARK:
        return has_watermark(n->inputs[0]) ? complain_stream(r, n->span, "_LEGACY_ERROR_TEMP_3102", "leave one of them out: the first is the stream's",
                                                             "Redefining watermark is disallowed: the stream has one already")
                                           : STATUS_OK;
    default:
        return STATUS_OK;
    }
}

// Which of several would end a group?
static enum status check_time_keys(struct resolver *r, const struct plan_node *n) {
    uint32_t count = 0;
    for (uint32_t i = 0; n->event_time && i < n->key_count; i++) count += bitmap_get(n->event_time, i);
    if (count < 2) return STATUS_OK;
    return complain_stream(r, n->span, "_LEGACY_ERROR_TEMP_3077", "group by one of them and compute the others from it",
                           "More than one event time columns are available. Please ensure there is at most one event time column per stream");
}

static enum status complain_rank(struct resolver *r, const struct plan_node *n) {
    return complain_stream(r, n->span, "NON_TIME_WINDOW_NOT_SUPPORTED_IN_STREAMING", "a MATERIALIZED VIEW can keep the first n of each: SELECT … FROM (SELECT *, row_number() OVER (…) AS rn FROM …) WHERE rn <= n",
                           "window functions (OVER) are not supported on streams");
}

static enum status check_append(struct resolver *r, const struct plan_node *n) {
    switch (n->kind) {
    case PLAN_AGGREGATE:
        TRY(check_time_keys(r, n));
        if (plan_time_key(n) != PLAN_NO_TIME) return STATUS_OK;
        return complain_stream(r, n->span, "STREAMING_OUTPUT_MODE.UNSUPPORTED_OPERATION",
                               has_watermark(n) ? "group by the event time of the WATERMARK or by window() of it, or make it a MATERIALIZED VIEW, which is kept up to date"
                                                : "make it a MATERIALIZED VIEW, which is kept up to date, or give the stream a WATERMARK",
                               "Invalid streaming output mode: append. This output mode is not supported for streaming aggregations without watermark on streaming "
                               "DataFrames/DataSets");
    case PLAN_RANK:
        return complain_rank(r, n);
    case PLAN_SORT:
        return complain_stream(r, n->span, "_LEGACY_ERROR_TEMP_3102", "leave ORDER BY out, or make it a MATERIALIZED VIEW with LIMIT", "a stream cannot be sorted: it has no end");
    case PLAN_LIMIT:
        return complain(r, (struct complaint){.span = n->span, .condition = "LEAT_UNSUPPORTED", .label = "not yet", .hint = "limit the query that reads the table"},
                        "leat cannot do this yet: LIMIT in a streaming table");
    default:
        return check_common(r, n);
    }
}

static bool is_top(const struct plan_node *root, const struct plan_node *n) {
    while (root != n && root->kind == PLAN_PROJECT) root = root->inputs[0];
    return root == n;
}

static bool is_limited(struct plan_node *const *nodes, uint32_t count, const struct plan_node *sort) {
    for (uint32_t i = 0; i < count; i++)
        if (nodes[i]->kind == PLAN_LIMIT && nodes[i]->inputs[0] == sort) return true;
    return false;
}

static const struct expr *first_drawing(const struct plan_node *n) {
    for (uint32_t i = 0; i < n->expr_count; i++)
        if (expr_draws(n->exprs[i])) return n->exprs[i];
    for (uint32_t i = 0; i < n->sort_count; i++)
        if (expr_draws(n->sorts[i].expr)) return n->sorts[i].expr;
    return n->condition && expr_draws(n->condition) ? n->condition : NULL;
}

// What is taken back must be what came: a draw is another one the second time. In the last columns of a view with a key it does no harm: rows are
// replaced by key.
static enum status check_drawing(struct resolver *r, const struct plan_node *n, const struct plan_node *root) {
    bool changes = false;
    for (uint32_t i = 0; i < n->input_count; i++) changes |= n->inputs[i]->changes == CHANGES_RETRACT;
    const struct expr *drawing = changes ? first_drawing(n) : NULL;
    if (!drawing || (n->kind == PLAN_PROJECT && root->unique_key && is_top(root, n))) return STATUS_OK;
    return complain_not_yet(r, span_known(drawing->span) ? drawing->span : n->span, "random values or the clock over a result that changes, other than in the columns of a view with a key");
}

// Each of its functions must be able to take rows back.
static enum status check_retracting(struct resolver *r, const struct plan_node *n) {
    for (uint32_t i = n->key_count; i < n->expr_count; i++) {
        const struct expr *call = n->exprs[i];
        const struct type **types = arena_alloc_array(r->arena, (size_t)call->arg_count + 1, sizeof *types);
        if (!types) return STATUS_NO_MEMORY;
        for (uint32_t k = 0; k < call->arg_count; k++) types[k] = call->args[k]->type;
        if (aggregate_implementation(call, types, true)) continue;
        return complain_not_yet(r, span_known(call->span) ? call->span : n->span,
                                arena_printf(r->arena, "%s over a result that changes: it cannot take rows back", call->aggregate.aggregate->name));
    }
    return plan_session_key(n) == PLAN_NO_TIME ? STATUS_OK : complain_not_yet(r, n->span, "session windows over a result that changes");
}

static enum status check_complete(struct resolver *r, const struct plan_node *n, const struct plan_node *root, struct plan_node *const *nodes, uint32_t count) {
    TRY(check_drawing(r, n, root));
    switch (n->kind) {
    case PLAN_AGGREGATE:
        return n->inputs[0]->changes == CHANGES_RETRACT ? check_retracting(r, n) : STATUS_OK;
    case PLAN_SORT:
        if (is_limited(nodes, count, n)) return STATUS_OK;
        if (!is_top(root, n)) return complain_not_yet(r, n->span, "ORDER BY without LIMIT inside a materialized view, other than at its end");
        return warn_about(r, n->span, "order the query that reads it, or add LIMIT", "a materialized view has no order of its own: ORDER BY without LIMIT does nothing");
    case PLAN_LIMIT:
        if (n->inputs[0]->kind != PLAN_SORT) return complain_not_yet(r, n->span, "LIMIT without ORDER BY in a materialized view");
        return n->limit < 0 ? complain_not_yet(r, n->span, "OFFSET without LIMIT in a materialized view") : STATUS_OK;
    case PLAN_RANK:
        return n->limit < 0 ? complain_rank(r, n) : STATUS_OK;
    default:
        return check_common(r, n);
    }
}

struct subquery_search {
    const struct expr *found;
};

static bool find_streaming_subquery(struct expr *e, void *context) {
    struct subquery_search *s = context;
    if ((e->kind == EXPR_SUBQUERY || e->kind == EXPR_IN_SUBQUERY) && !s->found) s->found = e;
    return !s->found;
}

static enum status check_subqueries(struct resolver *r, const struct plan_node *n) {
    struct subquery_search s = {.found = NULL};
    for (uint32_t i = 0; i < n->expr_count; i++) expr_walk(n->exprs[i], find_streaming_subquery, &s);
    if (n->condition) expr_walk(n->condition, find_streaming_subquery, &s);
    return s.found ? complain_not_yet(r, s.found->span, "subqueries as values in a flow") : STATUS_OK;
}

// A session is known when its rows are: only an aggregation by it makes sense of one in a stream.
static enum status check_session(struct resolver *r, struct plan_node *const *nodes, uint32_t count, const struct plan_node *session) {
    for (uint32_t i = 0; i < count; i++) {
        if (nodes[i]->kind != PLAN_AGGREGATE || plan_session_key(nodes[i]) == PLAN_NO_TIME) continue;
        const struct plan_node *n = nodes[i]->inputs[0];
        while (n->kind == PLAN_PROJECT || n->kind == PLAN_FILTER) n = n->inputs[0];
        const struct expr *alone = n == session ? plan_not_by_session(nodes[i]) : NULL;
        if (alone) {
            const char *what = arena_printf(r->arena, "%s%s over session_window of a stream: sessions grow together, and its parts cannot", alone->aggregate.aggregate->name,
                                            alone->aggregate.distinct ? "(DISTINCT …)" : "");
            return what ? complain_not_yet(r, alone->span, what) : STATUS_NO_MEMORY;
        }
        if (n == session) return STATUS_OK;
    }
    return complain_not_yet(r, session->span, "session_window of a stream without GROUP BY");
}

enum status check_streaming(struct resolver *r, const struct flow *f) {
    bool view = f->target->kind == DATASET_MATERIALIZED_VIEW;
    struct plan_node *root = f->root, **nodes;
    uint32_t count;
    if (!root->streaming && view) return complain_not_yet(r, f->span, "a materialized view that reads no source that can grow");
    if (!root->streaming)
        return complain(r, (struct complaint){.span = f->span, .condition = "INVALID_FLOW_QUERY_TYPE.BATCH_RELATION_FOR_STREAMING_TABLE", .label = "a batch query",
                        .hint = "write STREAM before the table that grows, or make it a MATERIALIZED VIEW"}, "streaming table `%s` needs a query over a STREAM", f->target->name);
    TRY(plan_nodes(r->arena, r->analysis->memory, &root, 1, &nodes, &count));
    enum status worst = STATUS_OK;
    for (uint32_t i = 0; i < count; i++) {
        enum status s = check_subqueries(r, nodes[i]);
        if (s == STATUS_OK && nodes[i]->streaming && nodes[i]->kind == PLAN_SESSION) s = check_session(r, nodes, count, nodes[i]);
        if (s == STATUS_OK && nodes[i]->streaming) s = view ? check_complete(r, nodes[i], root, nodes, count) : check_append(r, nodes[i]);
        if (s == STATUS_NO_MEMORY) return s;
        if (s != STATUS_OK) worst = s;
    }
    return worst;
}
