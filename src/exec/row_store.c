// SPDX-License-Identifier: Apache-2.0
// row_store.c: see row_store.h.
#include "exec/row_store.h"
#include <stdlib.h>

enum status row_store_init(struct row_store *s, struct execution *x, struct error *e) {
    memset(s, 0, sizeof *s);
    s->memory = x->memory;
    s->worker_count = x->config.worker_count;
    vector_init(&s->all, x->memory, sizeof(struct kept_batch));
    s->lists = arena_alloc_array(&x->arena, s->worker_count, sizeof *s->lists);
    if (!s->lists) return error_no_memory(e);
    for (uint32_t i = 0; i < s->worker_count; i++) vector_init(&s->lists[i], x->memory, sizeof(struct kept_batch));
    return STATUS_OK;
}

static void clear_list(struct vector *list) {
    for (size_t i = 0; i < list->count; i++) batch_unref(((struct kept_batch *)vector_at(list, i))->batch);
    vector_clear(list);
}

void row_store_clear(struct row_store *s) {
    for (uint32_t i = 0; s->lists && i < s->worker_count; i++) clear_list(&s->lists[i]);
    clear_list(&s->all);
    s->row_count = 0;
}

void row_store_release(struct row_store *s) {
    if (!s->memory) return;
    row_store_clear(s);
    for (uint32_t i = 0; s->lists && i < s->worker_count; i++) vector_release(&s->lists[i]);
    vector_release(&s->all);
}

enum status row_store_keep(struct row_store *s, struct worker *w, struct batch *b, uint64_t sequence, uint32_t tag, void *extra) {
    struct kept_batch kept = {.batch = b, .sequence = sequence, .arrival = w->arrivals++, .tag = tag, .extra = extra};
    if (vector_push(&s->lists[w->index], &kept) != STATUS_OK) {
        batch_unref(b);
        return worker_no_memory(w);
    }
    s->row_count += b->selected_count;
    return STATUS_OK;
}

static int kept_order(const void *a, const void *b) {
    const struct kept_batch *x = a, *y = b;
    if (x->sequence != y->sequence) return x->sequence < y->sequence ? -1 : 1;
    return (x->arrival > y->arrival) - (x->arrival < y->arrival);
}

enum status row_store_merge(struct row_store *s) {
    size_t count = s->all.count;
    for (uint32_t i = 0; i < s->worker_count; i++) count += s->lists[i].count;
    if (count) TRY(vector_reserve(&s->all, count));
    for (uint32_t i = 0; i < s->worker_count; i++) {
        for (size_t k = 0; k < s->lists[i].count; k++) TRY(vector_push(&s->all, vector_at(&s->lists[i], k)));
        vector_clear(&s->lists[i]);
    }
    if (s->all.count > 1) qsort(s->all.items, s->all.count, sizeof(struct kept_batch), kept_order);
    return STATUS_OK;
}

struct batch *batch_compact(const struct batch *b, const struct rows *rows, struct memory *memory) {
    struct batch *out = batch_new(memory, b->column_count);
    if (!out) return NULL;
    uint32_t *indices = arena_alloc_array(&out->arena, rows->count + 1, sizeof *indices);
    int8_t *weights = b->weights ? arena_alloc(&out->arena, rows->count + 1) : NULL;
    bool ok = indices && (weights || !b->weights);
    for (uint32_t i = 0; i < rows->count && ok; i++) {
        indices[i] = rows_at(rows, i);
        if (weights) weights[i] = b->weights[indices[i]];
    }
    for (uint32_t c = 0; c < b->column_count && ok; c++) {
        ok = column_copy(&out->arena, &b->columns[c], indices, rows->count, &out->columns[c]) == STATUS_OK;
    }
    if (!ok) {
        batch_unref(out);
        return NULL;
    }
    out->row_count = rows->count;
    out->selected_count = rows->count;
    out->weights = weights;
    out->sequence = b->sequence;
    out->origin.source = ORIGIN_NONE;
    return out;
}

static enum status gather_column(const struct row_store *s, const struct row_ref *refs, uint32_t count, uint32_t column, const struct type *type,
                                 struct arena *scratch, struct arena *a, struct column *out) {
    bool one_batch = count > 0 && refs[0].batch != UINT32_MAX;
    for (uint32_t i = 1; i < count && one_batch; i++) one_batch = refs[i].batch == refs[0].batch;
    uint32_t *rows = arena_alloc_array(scratch, count + 1, sizeof *rows);
    if (!rows) return STATUS_NO_MEMORY;
    if (one_batch) {
        for (uint32_t i = 0; i < count; i++) rows[i] = refs[i].row;
        return column_copy(a, &row_store_at(s, refs[0].batch)->batch->columns[column], rows, count, out);
    }
    struct column_builder builder;
    struct column shared;
    column_builder_init(&builder, scratch, type);
    for (uint32_t i = 0; i < count; i++) {
        rows[i] = i;
        if (refs[i].batch == UINT32_MAX) {
            column_builder_append_null(&builder);
            continue;
        }
        const struct column *c = &row_store_at(s, refs[i].batch)->batch->columns[column];
        if (column_is_valid(c, refs[i].row)) column_builder_append_from(&builder, c, refs[i].row);
        else column_builder_append_null(&builder);
    }
    TRY(column_builder_finish(&builder, &shared));
    return column_copy(a, &shared, rows, count, out);
}

enum status row_store_gather(const struct row_store *s, const struct row_ref *refs, uint32_t count, uint32_t first_column, uint32_t column_count,
                             const struct type *const *types, struct arena *a, struct column *out) {
    struct arena scratch;
    arena_init(&scratch, s->memory);
    enum status status = STATUS_OK;
    for (uint32_t c = 0; c < column_count && status == STATUS_OK; c++) {
        status = gather_column(s, refs, count, first_column + c, types[c], &scratch, a, &out[c]);
        arena_reset(&scratch);
    }
    arena_release(&scratch);
    return status;
}

const struct type **attribute_types(struct arena *a, const struct plan_node *node) {
    const struct type **types = arena_alloc_array(a, node->attribute_count + 1, sizeof *types);
    for (uint32_t c = 0; types && c < node->attribute_count; c++) types[c] = node->attributes[c].type;
    return types;
}

static enum status emit_chunk(const struct row_store *s, struct operator *op, struct worker *w, const struct row_ref *refs, const int8_t *weights,
                              uint32_t count, uint64_t sequence) {
    uint32_t column_count = op->node->attribute_count;
    struct batch *b = operator_batch(op, sequence, count, column_count);
    if (!b) return worker_no_memory(w);
    const struct type **types = attribute_types(&b->arena, op->node);
    int8_t *own_weights = weights ? arena_alloc(&b->arena, count) : NULL;
    enum status status = types && (own_weights || !weights) ? STATUS_OK : STATUS_NO_MEMORY;
    if (status == STATUS_OK) status = row_store_gather(s, refs, count, 0, column_count, types, &b->arena, b->columns);
    if (status != STATUS_OK) {
        batch_unref(b);
        return worker_no_memory(w);
    }
    if (weights) memcpy(own_weights, weights, count);
    b->weights = own_weights;
    status = operator_emit(op, w, b);
    batch_unref(b);
    return status;
}

enum status row_store_emit(const struct row_store *s, struct operator *op, struct worker *w, const struct row_ref *refs, const int8_t *weights,
                           uint64_t count, uint32_t key_partition, uint64_t *batch_number) {
    for (uint64_t begin = 0; begin < count && !operator_is_done(op); begin += BATCH_ROWS) {
        uint64_t left = count - begin;
        TRY(emit_chunk(s, op, w, refs + begin, weights ? weights + begin : NULL, left < BATCH_ROWS ? (uint32_t)left : BATCH_ROWS,
                       operator_sequence(op, key_partition, (*batch_number)++)));
    }
    return STATUS_OK;
}
