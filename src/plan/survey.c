// SPDX-License-Identifier: Apache-2.0
// survey.c: what a query reads, found by walking its text through the views of the file, before anything is resolved: whether it has a
// STREAM in it, how many base tables, how many that grow by nature.
#include "base/bitmap.h"
#include "plan/resolver.h"

enum { HIDDEN_NAMES = 64 };

struct walk {
    struct resolver *r;
    struct survey *s;
    const char *hidden[HIDDEN_NAMES];   // names of WITH queries, which are no tables
    uint32_t hidden_count;
};

static void walk_query(struct walk *w, const struct uquery *q);

static void walk_expr(struct walk *w, const struct uexpr *u) {
    if (!u) return;
    if (u->query) walk_query(w, u->query);
    for (uint32_t i = 0; i < u->arg_count; i++) walk_expr(w, u->args[i]);
}

static void walk_table(struct walk *w, const struct urelation *u) {
    struct survey *s = w->s;
    if (u->stream && !s->uses_stream) {
        s->uses_stream = true;
        s->stream_span = u->span;
    }
    for (uint32_t i = 0; i < w->hidden_count && u->name.part_count == 1; i++)
        if (equal_ignoring_case(w->hidden[i], u->name.parts[0])) return;
    const struct dataset *d = find_dataset(w->r, &u->name);
    if (!d || bitmap_get(s->seen, d->index)) return;
    bitmap_set(s->seen, d->index);
    if (d->kind == DATASET_SOURCE) {
        if (!s->source_count++) s->first_source = d->name;
        s->unbounded_count += d->connector && d->connector->source && d->connector->source->is_unbounded;
    } else if (d->kind == DATASET_STREAMING_TABLE) {
        s->table_count++;
    } else if (d->kind == DATASET_VIEW && d->statement && d->statement->query) {
        survey_query(w->r, d->statement->query, s);
    }
}

static void walk_relation(struct walk *w, const struct urelation *u) {
    if (!u) return;
    if (u->kind == UREL_TABLE) walk_table(w, u);
    if (u->query) walk_query(w, u->query);
    walk_relation(w, u->left);
    walk_relation(w, u->right);
    walk_expr(w, u->condition);
}

static void walk_query(struct walk *w, const struct uquery *q) {
    uint32_t saved = w->hidden_count;
    for (uint32_t i = 0; i < q->cte_count; i++) {
        walk_query(w, q->ctes[i].query);
        if (w->hidden_count < HIDDEN_NAMES) w->hidden[w->hidden_count++] = q->ctes[i].name;
    }
    for (uint32_t i = 0; i < q->item_count; i++) walk_expr(w, q->items[i]);
    walk_expr(w, q->where);
    walk_expr(w, q->having);
    walk_relation(w, q->from);
    walk_relation(w, q->relation);
    if (q->left) walk_query(w, q->left);
    if (q->right) walk_query(w, q->right);
    w->hidden_count = saved;
}

void survey_query(struct resolver *r, const struct uquery *q, struct survey *s) {
    struct walk w = {.r = r, .s = s};
    if (!s->seen) s->seen = arena_alloc_zeroed(r->arena, bitmap_bytes((r->pipeline ? r->pipeline->dataset_count : 0) + 1u));
    if (!s->seen) return;  // the next allocation says so
    walk_query(&w, q);
}
