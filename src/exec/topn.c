// SPDX-License-Identifier: Apache-2.0
// topn.c: ORDER BY … LIMIT n, and LIMIT over rows that can be taken back.
//
// In batch: a sort that is cut to what can still be among the first, once a round. In a stream: all rows are state, a multiset keyed by
// (sort key, row), and finish emits the difference between the first n before and after the epoch:
//
//     key    sort key · row as encoded · length of the row (4 bytes)       memcmp order is the order of the result
//     order  group* group* …                                               sorted; newborn groups are merged in, dead ones leave
//
// What was emitted is not kept: it is the first n of the committed state. One partition; finish runs on one worker.
#include "exec/sort.h"
#include "exec/state_table.h"
#include <stdlib.h>

struct topn_group {                  // state of a group: not saved, valid within one finish
    int64_t before, now;             // copies among the first n
    uint64_t listed;                 // stands in `order`
};

struct topn_state {
    struct sorter sorter;
    struct state_table table;
    struct vector order;             // of struct group *
    bool order_is_stale;             // after restore, rollback, apply
    uint64_t begin, end;
    struct row_store pending;        // stream: rows of the epoch with their keys in `extra`
    struct key_layout layout;
};

static enum status no_save(void *context, const struct group *g, struct buffer *out) {
    (void)context, (void)g, (void)out;
    return STATUS_OK;
}
static bool no_load(void *context, struct group *g, struct reader *in) {
    (void)context, (void)g, (void)in;
    return true;
}
static void no_release(void *context, struct group *g) { (void)context, (void)g; }
static const struct state_codec topn_codec = {.save = no_save, .load = no_load, .release = no_release};

static struct topn_group *topn_of(struct group *g) { return group_state(g, 0); }

static enum status topn_open(struct operator *op, struct error *e) {
    struct topn_state *self = arena_alloc_zeroed(&op->execution->arena, sizeof *self);
    const struct type **types = arena_alloc_array(&op->execution->arena, 1, sizeof *types);
    if (!self || !types) return error_no_memory(e);
    types[0] = &type_binary;
    key_layout_init(&self->layout, types, 1);
    state_table_init(&self->table, op->execution->state_memory, sizeof(struct topn_group), &self->layout, &topn_codec, op);
    vector_init(&self->order, op->execution->state_memory, sizeof(struct group *));
    self->begin = op->node->offset > 0 ? (uint64_t)op->node->offset : 0;
    self->end = op->node->limit < 0 ? UINT64_MAX : self->begin + (uint64_t)op->node->limit;
    op->self = self;
    TRY(row_store_init(&self->pending, op->execution, e));
    const struct plan_node *input = op->node->inputs[0];
    return sorter_open(&self->sorter, op, input->kind == PLAN_SORT ? input : NULL, e);
}

// The state's key of each kept row: sort key, row, length.
static enum status write_row_keys(struct batch *d, const struct rows *rows, struct string_view *keys, struct memory *memory) {
    struct buffer bytes;
    buffer_init(&bytes, memory);
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < rows->count && status == STATUS_OK; i++) {
        buffer_clear(&bytes);
        status = buffer_append(&bytes, string_view_data(&keys[i]), keys[i].size_bytes);
        for (uint32_t c = 0; c < d->column_count && status == STATUS_OK; c++) status = value_write(&d->columns[c], rows_at(rows, i), &bytes);
        if (status == STATUS_OK) status = write_fixed32(&bytes, (uint32_t)(bytes.size_bytes - keys[i].size_bytes));
        char *kept = status == STATUS_OK ? arena_strndup(&d->arena, (const char *)bytes.data, bytes.size_bytes) : NULL;
        if (kept) keys[i] = string_view_of(kept, bytes.size_bytes);
        else status = STATUS_NO_MEMORY;
    }
    buffer_release(&bytes);
    return status;
}

static enum status topn_push(struct operator *op, struct worker *w, uint32_t input_index, struct batch *b) {
    (void)input_index;
    struct topn_state *self = op->self;
    if (op->execution->batch) return sorter_push(&self->sorter, op, w, b);
    struct batch *d = batch_derive(b, op->execution->memory, b->column_count);
    if (!d) return worker_no_memory(w);
    memcpy(d->columns, b->columns, sizeof *b->columns * b->column_count);
    struct rows kept;
    struct string_view *keys;
    enum status status = sorter_keys(&self->sorter, op, w, b, &d->arena, &kept, &keys);
    uint16_t *selection = status == STATUS_OK ? arena_alloc(&d->arena, sizeof *selection * (kept.count + 1)) : NULL;
    if (status == STATUS_OK && (!selection || write_row_keys(d, &kept, keys, op->execution->memory) != STATUS_OK)) status = worker_no_memory(w);
    if (status != STATUS_OK) {
        batch_unref(d);
        return status;
    }
    for (uint32_t i = 0; i < kept.count; i++) selection[i] = (uint16_t)rows_at(&kept, i);
    d->selection = selection;
    d->selected_count = kept.count;
    operator_count(op, w, FATE_ABSORBED, kept.count);
    return row_store_keep(&self->pending, w, d, b->sequence, 0, keys);
}

static enum status topn_prepare(struct operator *op, struct error *e) {
    struct topn_state *self = op->self;
    bool ok = row_store_merge(&self->sorter.rows) == STATUS_OK && row_store_merge(&self->pending) == STATUS_OK;
    return ok ? STATUS_OK : error_no_memory(e);
}

static enum status topn_fold(struct operator *op, struct worker *w, uint32_t key_partition) {
    (void)key_partition;
    struct topn_state *self = op->self;
    if (!op->execution->batch || self->end == UINT64_MAX) return STATUS_OK;
    return sorter_cut(&self->sorter, op, w, self->end);
}

static int group_key_order(const void *a, const void *b) {
    return string_view_compare(&(*(struct group *const *)a)->key, &(*(struct group *const *)b)->key);
}

static enum status refresh_order(struct topn_state *self) {
    if (!self->order_is_stale) return STATUS_OK;
    vector_clear(&self->order);
    const struct hash_table *t = &self->table.table;
    TRY(vector_reserve(&self->order, t->count + 1));
    for (size_t i = 0; i < t->slot_count; i++) {
        if (!table_slot_is_live(&t->slots[i])) continue;
        topn_of(t->slots[i].group)->listed = 1;
        TRY(vector_push(&self->order, &t->slots[i].group));
    }
    if (self->order.count > 1) qsort(self->order.items, self->order.count, sizeof(struct group *), group_key_order);
    self->order_is_stale = false;
    return STATUS_OK;
}

// Marks how many copies of each group are among rows [begin, end): in `now` or in `before`. Marked groups are added to `list`.
static enum status mark_first(struct topn_state *self, bool now, struct vector *list) {
    uint64_t at = 0;
    for (size_t i = 0; i < self->order.count && at < self->end; i++) {
        struct group *g = *(struct group **)vector_at(&self->order, i);
        if (g->weight <= 0) continue;
        uint64_t from = at < self->begin ? self->begin : at, to = at + (uint64_t)g->weight;
        at = to;
        if (to > self->end) to = self->end;
        if (to <= from) continue;
        if (now) topn_of(g)->now = (int64_t)(to - from);
        else topn_of(g)->before = (int64_t)(to - from);
        TRY(vector_push(list, &g));
    }
    return STATUS_OK;
}

static enum status apply_pending(struct topn_state *self, struct vector *born, bool *died) {
    for (uint32_t k = 0; k < self->pending.all.count; k++) {
        const struct kept_batch *kept = row_store_at(&self->pending, k);
        const struct string_view *keys = kept->extra;
        for (uint32_t i = 0; i < kept->batch->selected_count; i++) {
            struct group *g = state_group(&self->table, &keys[i], key_hash(&self->layout, &keys[i]), NULL);
            if (!g) return STATUS_NO_MEMORY;
            int weight = batch_weight(kept->batch, kept->batch->selection[i]);
            g->weight += weight;
            if (weight < 0) *died = true;
            if (topn_of(g)->listed) continue;
            topn_of(g)->listed = 1;
            TRY(vector_push(born, &g));
        }
    }
    return STATUS_OK;
}

// Merges the newborn into the order.
static enum status list_born(struct topn_state *self, struct vector *born) {
    if (!born->count) return STATUS_OK;
    if (born->count > 1) qsort(born->items, born->count, sizeof(struct group *), group_key_order);
    TRY(vector_reserve(&self->order, self->order.count + born->count));
    size_t i = self->order.count, k = born->count, at = i + k;
    struct group **order = self->order.items, **fresh = born->items;
    self->order.count = at;
    while (k) {
        if (i && group_key_order(&order[i - 1], &fresh[k - 1]) > 0) order[--at] = order[--i];
        else order[--at] = fresh[--k];
    }
    return STATUS_OK;
}

static enum status append_row(struct operator *op, const struct group *g, struct arena *a, struct column_builder *builders) {
    const char *bytes = string_view_data(&g->key);
    if (g->key.size_bytes < 4) return STATUS_CORRUPT;
    struct reader tail = reader_of(bytes + g->key.size_bytes - 4, 4);
    uint32_t size_bytes = read_fixed32(&tail);
    if (size_bytes > g->key.size_bytes - 4) return STATUS_CORRUPT;
    char *row = arena_strndup(a, bytes + g->key.size_bytes - 4 - size_bytes, size_bytes);
    if (!row) return STATUS_NO_MEMORY;
    struct reader in = reader_of(row, size_bytes);
    for (uint32_t c = 0; c < op->node->attribute_count; c++) {
        value_read(&in, &builders[c]);
        if (builders[c].failed) return STATUS_NO_MEMORY;
    }
    return in.failed ? STATUS_CORRUPT : STATUS_OK;
}

struct topn_emitter {
    struct batch *batch;
    struct column_builder *builders;
    int8_t *weights;
    uint32_t count;
    uint64_t number;
};

static enum status flush_rows(struct operator *op, struct worker *w, struct topn_emitter *m) {
    struct batch *b = m->batch;
    m->batch = NULL;
    if (!b) return STATUS_OK;
    b->row_count = b->selected_count = m->count;
    b->weights = m->weights;
    enum status status = STATUS_OK;
    for (uint32_t c = 0; c < b->column_count && status == STATUS_OK; c++) {
        if (column_builder_finish(&m->builders[c], &b->columns[c]) != STATUS_OK) status = worker_no_memory(w);
    }
    if (status == STATUS_OK) {
        operator_count(op, w, FATE_MADE, m->count);
        status = operator_emit(op, w, b);
    }
    batch_unref(b);
    return status;
}

static enum status add_copies(struct operator *op, struct worker *w, struct topn_emitter *m, const struct group *g, int64_t copies) {
    for (int64_t left = copies < 0 ? -copies : copies; left > 0; left--) {
        if (m->batch && m->count == BATCH_ROWS) TRY(flush_rows(op, w, m));
        if (!m->batch) {
            m->count = 0;
            m->batch = operator_batch(op, operator_sequence(op, 0, m->number++), 0, op->node->attribute_count);
            if (!m->batch) return worker_no_memory(w);
            m->builders = arena_alloc_array(&m->batch->arena, op->node->attribute_count + 1, sizeof *m->builders);
            m->weights = arena_alloc(&m->batch->arena, BATCH_ROWS);
            if (!m->builders || !m->weights) return worker_no_memory(w);
            for (uint32_t c = 0; c < op->node->attribute_count; c++) {
                column_builder_init(&m->builders[c], &m->batch->arena, op->node->attributes[c].type);
            }
        }
        enum status status = append_row(op, g, &m->batch->arena, m->builders);
        if (status != STATUS_OK) return worker_fail(w, status, NULL, "a kept row cannot be read");
        m->weights[m->count++] = copies < 0 ? -1 : 1;
    }
    return STATUS_OK;
}

static enum status emit_difference(struct operator *op, struct worker *w, const struct vector *before, const struct vector *now) {
    struct topn_emitter m = {0};
    enum status status = STATUS_OK;
    for (size_t i = 0; i < before->count && status == STATUS_OK; i++) {
        struct group *g = *(struct group **)vector_at(before, i);
        int64_t change = topn_of(g)->now - topn_of(g)->before;
        if (change < 0) status = add_copies(op, w, &m, g, change);
    }
    for (size_t i = 0; i < now->count && status == STATUS_OK; i++) {
        struct group *g = *(struct group **)vector_at(now, i);
        int64_t change = topn_of(g)->now - topn_of(g)->before;
        if (change > 0) status = add_copies(op, w, &m, g, change);
    }
    if (status == STATUS_OK) status = flush_rows(op, w, &m);
    batch_unref(m.batch);
    for (size_t i = 0; i < before->count; i++) topn_of(*(struct group **)vector_at(before, i))->before = 0;
    for (size_t i = 0; i < now->count; i++) topn_of(*(struct group **)vector_at(now, i))->now = 0;
    return status;
}

// Groups that have no row left leave the order; they are removed from the table at commit.
static void drop_dead(struct topn_state *self) {
    struct group **order = self->order.items;
    size_t n = 0;
    for (size_t i = 0; i < self->order.count; i++) {
        if (order[i]->weight) order[n++] = order[i];
        else topn_of(order[i])->listed = 0;
    }
    self->order.count = n;
}

static enum status finish_stream(struct operator *op, struct worker *w) {
    struct topn_state *self = op->self;
    struct vector before, now, born;
    vector_init(&before, op->execution->memory, sizeof(struct group *));
    vector_init(&now, op->execution->memory, sizeof(struct group *));
    vector_init(&born, op->execution->memory, sizeof(struct group *));
    bool died = false;
    enum status status = refresh_order(self);
    if (status == STATUS_OK) status = mark_first(self, false, &before);
    if (status == STATUS_OK) status = apply_pending(self, &born, &died);
    if (status == STATUS_OK) status = list_born(self, &born);
    if (status == STATUS_OK) status = mark_first(self, true, &now);
    if (status == STATUS_OK) status = emit_difference(op, w, &before, &now);
    else worker_fail(w, status, NULL, "the first rows could not be kept");
    if (died) drop_dead(self);
    row_store_clear(&self->pending);
    vector_release(&before);
    vector_release(&now);
    vector_release(&born);
    return status;
}

static enum status topn_finish(struct operator *op, struct worker *w, uint32_t key_partition) {
    (void)key_partition;
    struct topn_state *self = op->self;
    return op->execution->batch ? sorter_emit(&self->sorter, op, w, self->begin, self->end) : finish_stream(op, w);
}

static void topn_commit(struct operator *op) { state_commit(&((struct topn_state *)op->self)->table); }

static enum status topn_rollback(struct operator *op, struct error *e) {
    struct topn_state *self = op->self;
    row_store_clear(&self->pending);
    row_store_clear(&self->sorter.rows);
    self->order_is_stale = true;
    return state_rollback(&self->table) == STATUS_OK ? STATUS_OK : error_no_memory(e);
}

static enum status topn_log(struct operator *op, uint32_t part, struct buffer *out, struct error *e) {
    (void)part;
    return state_log(&((struct topn_state *)op->self)->table, out) == STATUS_OK ? STATUS_OK : error_no_memory(e);
}

static enum status topn_snapshot(struct operator *op, uint32_t part, struct buffer *out, struct error *e) {
    (void)part;
    return state_snapshot(&((struct topn_state *)op->self)->table, out) == STATUS_OK ? STATUS_OK : error_no_memory(e);
}

static enum status topn_apply(struct operator *op, struct reader *in, struct error *e) {
    struct topn_state *self = op->self;
    self->order_is_stale = true;
    enum status status = state_apply(&self->table, 1, in);
    if (status == STATUS_NO_MEMORY) return error_no_memory(e);
    return status == STATUS_OK ? STATUS_OK : error_set(e, STATUS_CORRUPT, NULL, "the state of ORDER BY … LIMIT is corrupt");
}

static void topn_clear(struct operator *op) {
    struct topn_state *self = op->self;
    row_store_clear(&self->pending);
    row_store_clear(&self->sorter.rows);
    state_table_clear(&self->table);
    vector_clear(&self->order);
    self->order_is_stale = true;
}

static enum status topn_restore(struct operator *op, struct reader *in, struct error *e) {
    topn_clear(op);
    return topn_apply(op, in, e);
}

static enum status topn_describe(struct operator *op, struct buffer *out) {
    TRY(buffer_append_string(out, "topn"));
    for (uint32_t c = 0; c < op->node->attribute_count; c++) {
        TRY(buffer_append_byte(out, ' '));
        TRY(type_print(op->node->attributes[c].type, out));
    }
    struct topn_state *self = op->self;
    for (uint32_t k = 0; k < self->sorter.sort_count; k++) {
        TRY(buffer_append_string(out, self->sorter.sorts[k].descending ? " desc " : " asc "));
        TRY(type_print(self->sorter.sorts[k].expr->type, out));
    }
    return STATUS_OK;
}

static size_t topn_bytes(const struct operator *op, uint64_t *key_count) {
    const struct topn_state *self = op->self;
    *key_count += self->table.table.count;
    return state_table_bytes(&self->table) + self->order.capacity * sizeof(struct group *);
}

static void topn_close(struct operator *op) {
    struct topn_state *self = op->self;
    row_store_release(&self->pending);
    row_store_release(&self->sorter.rows);
    state_table_release(&self->table);
    vector_release(&self->order);
}

const struct operator_class topn_class = {
    .name = "TopN", .partition_count = 1, .open = topn_open, .push = topn_push, .prepare = topn_prepare, .fold = topn_fold, .finish = topn_finish,
    .commit = topn_commit, .rollback = topn_rollback, .state_parts = 1, .log_changes = topn_log, .apply_changes = topn_apply, .snapshot = topn_snapshot,
    .restore = topn_restore, .describe_state = topn_describe, .clear = topn_clear, .bytes = topn_bytes, .close = topn_close,
};
