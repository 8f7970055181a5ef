// SPDX-License-Identifier: Apache-2.0
// aggregate_query.c: splits an aggregating SELECT: what is computed per row (keys, arguments), per group (aggregates), and from those.
//
//     SELECT a + 1, sum(b) * 2 … GROUP BY a     →     PROJECT #0 + 1, #1 * 2  over  AGGREGATE keys a, aggregates sum(b)
//
// From the top of each expression down: what equals a key is that key's column; an aggregate is its column (equal ones are computed
// once); a column that is left over is MISSING_AGGREGATION.
#include "plan/resolver.h"

struct splitting {
    struct resolver *r;
    struct expr **keys;
    uint32_t key_count;
    struct vector aggregates;    // of struct expr *
    const char *name;            // of the expression being rewritten
    bool grouped;                // there is a GROUP BY
};

static enum status complain_missing(struct splitting *s, const struct expr *e) {
    const char *name = e->name ? e->name : s->name;
    struct resolver *r = s->r;
    if (!strcmp(s->name, "HAVING"))
        return complain(r, (struct complaint){.span = e->span, .condition = "UNRESOLVED_COLUMN.WITH_SUGGESTION", .label = "neither grouped nor selected"},
                        "HAVING cannot use `%s`, which is not part of GROUP BY", name);
    if (!s->grouped)
        return complain(r, (struct complaint){.span = e->span, .condition = "MISSING_GROUP_BY", .label = "not aggregated",
                        .hint = arena_printf(r->arena, "add GROUP BY, or use any_value(%s)", name)}, "`%s` stands beside aggregates without GROUP BY", name);
    return complain(r, (struct complaint){.span = e->span, .condition = "MISSING_AGGREGATION", .label = "neither grouped nor aggregated",
                    .hint = arena_printf(r->arena, "add it to GROUP BY, or use any_value(%s) if any value of the group will do", name)},
                    "`%s` is not part of GROUP BY", name);
}

static enum status aggregate_column(struct splitting *s, struct expr *e, struct expr **out) {
    uint32_t at = 0;
    for (; at < s->aggregates.count; at++)
        if (expr_equal(*(struct expr **)vector_at(&s->aggregates, at), e)) break;
    if (at == s->aggregates.count) TRY(vector_push(&s->aggregates, &e));
    *out = expr_column(s->r->arena, s->key_count + at, e->type, e->nullable);
    if (!*out) return STATUS_NO_MEMORY;
    (*out)->name = e->name;
    (*out)->span = e->span;
    return STATUS_OK;
}

static enum status rewrite(struct splitting *s, struct expr *e, struct expr **out) {
    for (uint32_t k = 0; k < s->key_count; k++) {
        if (!expr_equal(s->keys[k], e)) continue;
        if (e->kind == EXPR_LITERAL) break;  // stays foldable
        *out = expr_column(s->r->arena, k, e->type, e->nullable);
        if (!*out) return STATUS_NO_MEMORY;
        (*out)->name = e->name;
        (*out)->span = e->span;
        return STATUS_OK;
    }
    if (e->kind == EXPR_AGGREGATE) return aggregate_column(s, e, out);
    // Spark puts window_time() under the aggregation, where it is no key.
    if (e->kind == EXPR_COLUMN || is_window_time(e)) return complain_missing(s, e);
    *out = e;
    if (!e->arg_count) return STATUS_OK;
    struct expr *copy = NULL;
    for (uint32_t i = 0; i < e->arg_count; i++) {
        struct expr *arg;
        TRY(rewrite(s, e->args[i], &arg));
        if (arg == e->args[i]) continue;
        if (!copy && !(copy = expr_copy(s->r->arena, e))) return STATUS_NO_MEMORY;
        copy->args[i] = arg;
    }
    if (copy) *out = copy;
    return STATUS_OK;
}

static enum status rewrite_all(struct splitting *s, struct expr **exprs, const char *const *names, uint32_t count) {
    enum status worst = STATUS_OK;
    for (uint32_t i = 0; i < count; i++) {
        s->name = names[i];
        enum status status = rewrite(s, exprs[i], &exprs[i]);
        if (status == STATUS_NO_MEMORY) return status;
        if (status != STATUS_OK) worst = status;
    }
    return worst;
}

static struct plan_node *make_node(struct splitting *s, struct plan_node *input, const char *const *key_names) {
    struct arena *a = s->r->arena;
    uint32_t count = s->key_count + (uint32_t)s->aggregates.count;
    struct plan_node *n = plan_new(a, PLAN_AGGREGATE, 1, count);
    if (!n) return NULL;
    n->inputs[0] = input;
    n->streaming = input->streaming;
    n->exprs = arena_alloc_array(a, (size_t)count + 1, sizeof *n->exprs);
    if (!n->exprs) return NULL;
    n->expr_count = count;
    n->key_count = s->key_count;
    for (uint32_t i = 0; i < count; i++) {
        struct expr *e = i < s->key_count ? s->keys[i] : *(struct expr **)vector_at(&s->aggregates, i - s->key_count);
        // Maps of equal entries are one group, in whatever order the entries stand.
        if (i < s->key_count && e->type->id == TYPE_MAP && call_named(s->r, "map_sort", &e, 1, e->span, &e) != STATUS_OK) return NULL;
        n->exprs[i] = e;
        const char *name = i < s->key_count ? key_names[i] : e->name;
        n->attributes[i] = (struct attribute){.name = name ? name : "aggregate", .type = e->type, .nullable = e->nullable};
        if (lineage_of_expr(a, e, n->inputs, 1, &n->attributes[i].lineage) != STATUS_OK) return NULL;
    }
    return n;
}

enum status aggregate_split(struct resolver *r, struct plan_node *input, struct expr **keys, const char *const *key_names, uint32_t key_count,
                            struct expr **exprs, const char *const *names, uint32_t count, struct plan_node **node) {
    struct splitting s = {.r = r, .keys = keys, .key_count = key_count, .grouped = key_count > 0};
    vector_init(&s.aggregates, r->analysis->memory, sizeof(struct expr *));
    enum status status = rewrite_all(&s, exprs, names, count);
    if (status == STATUS_OK && !(*node = make_node(&s, input, key_names))) status = STATUS_NO_MEMORY;
    vector_release(&s.aggregates);
    return status;
}
