// SPDX-License-Identifier: Apache-2.0
// aggregate.c: finding aggregate functions and binding their calls. Signatures and binders are those of function.h: an aggregate is bound
// as a function would be, and only the node that comes out differs.
#include "expr/aggregate.h"
#include "aggregates.h"
#include <strings.h>

const struct aggregate_table *const aggregate_tables[] = {
    &core_aggregates, &statistic_aggregates, &collection_aggregates, &percentile_aggregates, &sketch_aggregates, NULL,
};

const struct aggregate *aggregate_find(const char *name) {
    for (size_t t = 0; aggregate_tables[t]; t++) {
        const struct aggregate_table *table = aggregate_tables[t];
        for (size_t i = 0; i < table->count; i++)
            if (strcasecmp(table->aggregates[i].name, name) == 0) return &table->aggregates[i];
    }
    return NULL;
}

const struct aggregate_ops *aggregate_implementation(const struct expr *call, const struct type *const *arg_types, bool retracts) {
    const struct aggregate_ops *ops = call->aggregate.aggregate->choose(arg_types, call->arg_count, call->aggregate.data);
    if (!ops || !retracts || (ops->flags & (AGGREGATE_RETRACTS | AGGREGATE_OF_LEAST | AGGREGATE_OF_GREATEST))) return ops;
    return ops->retracting;
}

static enum status refuse_filter(const struct expr *filter, struct error *e) {
    error_set(e, STATUS_INVALID_QUERY, "DATATYPE_MISMATCH.FILTER_NOT_BOOLEAN", "the condition of FILTER must be BOOLEAN");
    if (e) e->span = filter->span;
    return STATUS_INVALID_QUERY;
}

// min, max and count(*) are never NULL or nullable as the function says; over no row at all everything but a count is NULL.
static bool result_nullable(const struct aggregate *g) {
    static const char *const never_null[] = {"count", "count_if", "approx_count_distinct", "collect_list", "collect_set", "array_agg", "regr_count"};
    for (size_t i = 0; i < sizeof never_null / sizeof *never_null; i++)
        if (strcmp(g->name, never_null[i]) == 0) return false;
    return true;
}

enum status aggregate_call(struct arena *a, const struct session *session, const struct aggregate *g, const char *name, struct expr *const *args,
                           uint32_t arg_count, bool distinct, struct expr *filter, struct span span, struct expr **out, struct error *e) {
    struct binding b = {.arena = a, .session = session, .name = name, .arg_count = arg_count, .span = span};
    b.args = arena_alloc_array(a, arg_count + 1, sizeof *b.args);
    if (!b.args) return error_no_memory(e);
    if (arg_count) memcpy(b.args, args, arg_count * sizeof *b.args);
    b.nullable = result_nullable(g);
    bool star = arg_count == 0 && strncmp(g->signature, "(*)", 3) == 0;
    if (g->bind) TRY(g->bind(&b, e));
    else if (star) b.result = &type_bigint;
    else TRY(binding_signature(&b, g->signature, e));
    if (filter && filter->type->id == TYPE_NULL) filter = expr_null(a, &type_boolean);
    if (filter && filter->type->id != TYPE_BOOLEAN) return refuse_filter(filter, e);
    if (b.replacement) {
        *out = b.replacement;
        return STATUS_OK;
    }
    if (!b.result) return error_set(e, STATUS_INTERNAL, "INTERNAL_ERROR", "aggregate %s was bound without a result", g->name);
    struct expr *node = expr_new(a, EXPR_AGGREGATE, b.result, b.nullable, b.arg_count);
    if (!node) return error_no_memory(e);
    if (b.arg_count) memcpy(node->args, b.args, b.arg_count * sizeof *node->args);
    node->span = span;
    node->aggregate = (struct aggregate_call){
        .aggregate = g, .data = b.data, .distinct = distinct && !(g->flags & AGGREGATE_DISTINCT_IS_PLAIN), .filter = filter};
    *out = node;
    return STATUS_OK;
}
