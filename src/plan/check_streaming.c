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

static enum status check_join(struct resolver *r, const struct plan_node *n) {
    const struct plan_node *left = n->inputs[0], *right = n->inputs[1];
    if (left->streaming && right->streaming) return complain_not_yet(r, n->span, "joining two streams");
    if (left->changes == CHANGES_RETRACT || right->changes == CHANGES_RETRACT) return complain_not_yet(r, n->span, "joining a result that changes");
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

static enum status check_append(struct resolver *r, const struct plan_node *n) {
    switch (n->kind) {
    case PLAN_AGGREGATE:
        if (plan_time_key(n) != PLAN_NO_TIME) return STATUS_OK;
        return complain_stream(r, n->span, "STREAMING_OUTPUT_MODE.UNSUPPORTED_OPERATION",
                               has_watermark(n) ? "group by the event time of the WATERMARK or by window() of it, or make it a MATERIALIZED VIEW, which is kept up to date"
                                                : "make it a MATERIALIZED VIEW, which is kept up to date, or give the stream a WATERMARK",
                               "Invalid streaming output mode: append. This output mode is not supported for streaming aggregations without watermark on streaming "
                               "DataFrames/DataSets");
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
    while (root->kind == PLAN_PROJECT) root = root->inputs[0];
    return root == n || (root->kind == PLAN_LIMIT && root->inputs[0] == n);
}

static enum status check_complete(struct resolver *r, const struct plan_node *n, const struct plan_node *root) {
    switch (n->kind) {
    case PLAN_AGGREGATE:
        if (n->inputs[0]->changes == CHANGES_RETRACT) return complain_not_yet(r, n->span, "an aggregation over a result that changes (an aggregation over another)");
        return STATUS_OK;
    case PLAN_SORT:
        if (!is_top(root, n)) return complain_not_yet(r, n->span, "ORDER BY inside a materialized view, other than at its end");
        if (root->kind == PLAN_SORT || (root->kind == PLAN_PROJECT && root->inputs[0] == n))
            return warn_about(r, n->span, "order the query that reads it, or add LIMIT", "a materialized view has no order of its own: ORDER BY without LIMIT does nothing");
        return STATUS_OK;
    case PLAN_LIMIT:
        if (n->inputs[0]->kind != PLAN_SORT) return complain_not_yet(r, n->span, "LIMIT without ORDER BY in a materialized view");
        if (n->limit < 0) return complain_not_yet(r, n->span, "OFFSET without LIMIT in a materialized view");
        return is_top(root, n) ? STATUS_OK : complain_not_yet(r, n->span, "LIMIT inside a materialized view, other than at its end");
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
        if (s == STATUS_OK && nodes[i]->streaming) s = view ? check_complete(r, nodes[i], root) : check_append(r, nodes[i]);
        if (s == STATUS_NO_MEMORY) return s;
        if (s != STATUS_OK) worst = s;
    }
    return worst;
}
