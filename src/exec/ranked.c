// SPDX-License-Identifier: Apache-2.0
// ranked.c: row_number() OVER (PARTITION BY … ORDER BY …), of all rows or of the first n of each partition: a column behind the input's.
//
//     key     partition's key · sort key · row as encoded · length of the row (4 bytes)     memcmp order: a partition's rows together, in order
//     state   links of the order · copies before the epoch
//
// Rows with equal sort keys are numbered by their encoding, so that any order of arrival, number of workers and replay gives the same. In a stream finish
// emits, for the partitions with changed rows, the difference between the first n before and after the epoch; where nobody wants the number, only what
// came in and what fell out. Over an append a row that is not among the first n will never be: it is forgotten, and a partition holds n rows. Over rows
// that can be taken back all are kept. In batch all rows are state that is not undone. Columns that nobody wants are NULL in the state, too.
#include "exec/key_order.h"
#include "exec/row_store.h"
#include "exec/sort_key.h"
#include "exec/state_table.h"
#include <stdlib.h>

enum { LENGTH_BYTES = 4 };

struct ranked_row {                  // not saved
    struct order_links links;
    int64_t before;                  // copies at the beginning of the epoch
    uint64_t epoch;                  // that touched it last
};

struct ranked_self {
    const struct program *program;   // partition keys, then sort expressions
    uint32_t key_count, sort_count, input_count;
    struct key_layout partition, layout;
    uint64_t limit;
    bool numbered;                   // somebody wants the number
    bool forgets;                    // what is beyond the limit
    struct row_store pending;
    struct state_table tables[KEY_PARTITIONS];
    struct key_order orders[KEY_PARTITIONS];
};

struct ranked_batch {                // of a pending batch: by kept row
    struct string_view *keys;
    uint64_t *hashes;                // of the partition
    uint32_t count;
};

static struct ranked_row *row_of(struct group *g) { return group_state(g, 0); }

static enum status ranked_open(struct operator *op, struct error *e) {
    struct execution *x = op->execution;
    struct arena *a = &x->arena;
    const struct plan_node *node = op->node;
    struct ranked_self *self = arena_alloc_zeroed(a, sizeof *self);
    const struct type **types = arena_alloc_array(a, node->key_count + 2, sizeof *types);
    struct expr **exprs = arena_alloc_array(a, (size_t)node->key_count + node->sort_count + 1, sizeof *exprs);
    if (!self || !types || !exprs) return error_no_memory(e);
    self->key_count = node->key_count;
    self->sort_count = node->sort_count;
    self->input_count = node->attribute_count - 1;
    self->limit = node->limit < 0 ? UINT64_MAX : (uint64_t)node->limit;
    self->numbered = !node->wanted || bitmap_get(node->wanted, self->input_count);
    self->forgets = node->limit >= 0 && node->inputs[0]->changes == CHANGES_APPEND;
    for (uint32_t i = 0; i < node->key_count; i++) {
        exprs[i] = node->exprs[i];
        types[i] = exprs[i]->type;
    }
    for (uint32_t i = 0; i < node->sort_count; i++) exprs[node->key_count + i] = node->sorts[i].expr;
    key_layout_init(&self->partition, types, node->key_count);
    types[node->key_count] = &type_binary;
    key_layout_init(&self->layout, types + node->key_count, 1);
    for (uint32_t p = 0; p < KEY_PARTITIONS; p++) {
        state_table_init(&self->tables[p], x->state_memory, sizeof(struct ranked_row), &self->layout, NULL, NULL);
        key_order_init(&self->orders[p]);
    }
    op->self = self;
    TRY(row_store_init(&self->pending, x, e));
    return program_compile(a, x->config.session, exprs, node->key_count + node->sort_count, NULL, &self->program, e);
}

static enum status ranked_begin(struct operator *op, struct error *e) {
    (void)e;
    struct ranked_self *self = op->self;
    for (uint32_t p = 0; p < KEY_PARTITIONS; p++) self->tables[p].no_undo = op->execution->batch;
    return STATUS_OK;
}

static enum status write_row_key(const struct operator *op, const struct batch *b, const struct column *columns, uint32_t row, const struct string_view *partition,
                                 struct buffer *out) {
    const struct ranked_self *self = op->self;
    const struct plan_node *node = op->node;
    buffer_clear(out);
    TRY(key_write(partition, out));
    for (uint32_t i = 0; i < self->sort_count; i++) {
        TRY(sort_key_write(&columns[self->key_count + i], row, node->sorts[i].descending, node->sorts[i].nulls_first, out));
    }
    size_t begin = out->size_bytes;
    for (uint32_t i = 0; i < self->input_count; i++) {
        if (node->wanted && !bitmap_get(node->wanted, i)) TRY(buffer_append_byte(out, 0));
        else TRY(value_write(&b->columns[i], row, out));
    }
    return write_fixed32(out, (uint32_t)(out->size_bytes - begin));
}

static enum status make_keys(struct operator *op, struct worker *w, struct batch *b, struct batch *kept, struct ranked_batch *out) {
    struct ranked_self *self = op->self;
    struct memory *memory = op->execution->memory;
    struct column *columns = arena_alloc_array(&w->scratch, (size_t)self->key_count + self->sort_count + 1, sizeof *columns);
    struct rows rows = batch_rows(b), good;
    struct key_batch partitions;
    if (!columns) return worker_no_memory(w);
    TRY(worker_run(w, self->program, b, &w->scratch, columns));
    TRY(worker_drop_failed(w, op, b, &rows, &w->scratch, &good));
    if (key_batch_make(&self->partition, columns, &good, &w->scratch, memory, &partitions) != STATUS_OK) return worker_no_memory(w);
    out->keys = arena_alloc_array(&kept->arena, good.count + 1, sizeof *out->keys);
    out->hashes = arena_alloc_array(&kept->arena, good.count + 1, sizeof *out->hashes);
    if (!out->keys || !out->hashes) return worker_no_memory(w);
    struct buffer bytes;
    buffer_init(&bytes, memory);
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < good.count && status == STATUS_OK; i++) {
        status = write_row_key(op, b, columns, rows_at(&good, i), &partitions.keys[i], &bytes);
        char *own = status == STATUS_OK ? arena_strndup(&kept->arena, (const char *)bytes.data, bytes.size_bytes) : NULL;
        if (!own) status = STATUS_NO_MEMORY;
        else out->keys[i] = string_view_of(own, bytes.size_bytes);
        out->hashes[i] = partitions.hashes[i];
        kept->weights = b->weights;
    }
    buffer_release(&bytes);
    if (status != STATUS_OK) return worker_no_memory(w);
    uint16_t *selection = arena_alloc(&kept->arena, sizeof *selection * (good.count + 1));
    if (!selection) return worker_no_memory(w);
    for (uint32_t i = 0; i < good.count; i++) selection[i] = (uint16_t)rows_at(&good, i);
    kept->selection = selection;
    kept->selected_count = out->count = good.count;
    operator_count(op, w, FATE_ABSORBED, good.count);
    return STATUS_OK;
}

static enum status ranked_push(struct operator *op, struct worker *w, uint32_t input_index, struct batch *b) {
    (void)input_index;
    struct ranked_self *self = op->self;
    struct batch *kept = batch_derive(b, op->execution->memory, 0);
    struct ranked_batch *extra = kept ? arena_alloc_zeroed(&kept->arena, sizeof *extra) : NULL;
    arena_reset(&w->scratch);
    enum status status = extra ? make_keys(op, w, b, kept, extra) : worker_no_memory(w);
    if (status != STATUS_OK) {
        batch_unref(kept);
        return status;
    }
    op->execution->pending_bytes += batch_kept_bytes(kept);
    return row_store_keep(&self->pending, w, kept, b->sequence, 0, extra);
}

static enum status ranked_prepare(struct operator *op, struct error *e) {
    return row_store_merge(&((struct ranked_self *)op->self)->pending) == STATUS_OK ? STATUS_OK : error_no_memory(e);
}

static enum status ranked_fold(struct operator *op, struct worker *w, uint32_t p) {
    struct ranked_self *self = op->self;
    struct state_table *t = &self->tables[p];
    if (self->orders[p].is_stale) key_order_build(&self->orders[p], &t->table);
    for (uint32_t k = 0; k < self->pending.all.count; k++) {
        const struct kept_batch *kept = row_store_at(&self->pending, k);
        const struct ranked_batch *rows = kept->extra;
        for (uint32_t i = 0; i < rows->count; i++) {
            if (key_partition(rows->hashes[i]) != p) continue;
            bool added;
            struct group *g = state_group(t, &rows->keys[i], key_hash(&self->layout, &rows->keys[i]), &added);
            if (!g) return worker_no_memory(w);
            if (added) key_order_insert(&self->orders[p], g);
            struct ranked_row *r = row_of(g);
            if (r->epoch != op->execution->epoch) {
                r->epoch = op->execution->epoch;
                r->before = g->weight;
            }
            g->weight += batch_weight(kept->batch, kept->batch->selection[i]);
        }
    }
    return STATUS_OK;
}

static void ranked_ended(struct operator *op) { row_store_clear(&((struct ranked_self *)op->self)->pending); }

// --- rows out ---

struct ranked_emitter {
    struct operator *op;
    struct worker *worker;
    struct batch *batch;
    struct column_builder *builders;
    int8_t *weights;
    uint32_t count, key_partition;
    uint64_t number;
};

static enum status flush(struct ranked_emitter *m) {
    struct batch *b = m->batch;
    m->batch = NULL;
    if (!b) return STATUS_OK;
    b->row_count = b->selected_count = m->count;
    b->weights = m->weights;
    enum status status = STATUS_OK;
    for (uint32_t c = 0; c < b->column_count && status == STATUS_OK; c++) {
        if (column_builder_finish(&m->builders[c], &b->columns[c]) != STATUS_OK) status = worker_no_memory(m->worker);
    }
    if (status == STATUS_OK) {
        operator_count(m->op, m->worker, FATE_MADE, m->count);
        status = operator_emit(m->op, m->worker, b);
    }
    batch_unref(b);
    return status;
}

static enum status begin_batch(struct ranked_emitter *m) {
    const struct plan_node *node = m->op->node;
    m->count = 0;
    m->batch = operator_batch(m->op, operator_sequence(m->op, m->key_partition, m->number++), 0, node->attribute_count);
    if (!m->batch) return worker_no_memory(m->worker);
    m->builders = arena_alloc_array(&m->batch->arena, node->attribute_count, sizeof *m->builders);
    m->weights = arena_alloc(&m->batch->arena, BATCH_ROWS);
    if (!m->builders || !m->weights) return worker_no_memory(m->worker);
    for (uint32_t c = 0; c < node->attribute_count; c++) column_builder_init(&m->builders[c], &m->batch->arena, node->attributes[c].type);
    return STATUS_OK;
}

static enum status emit_row(struct ranked_emitter *m, const struct group *g, uint64_t number, int8_t weight) {
    if (m->batch && m->count == BATCH_ROWS) TRY(flush(m));
    if (!m->batch) TRY(begin_batch(m));
    const char *bytes = string_view_data(&g->key);
    uint32_t input_count = m->op->node->attribute_count - 1;
    size_t size = g->key.size_bytes, encoded = 0;
    if (size >= LENGTH_BYTES) {
        struct reader tail = reader_of(bytes + size - LENGTH_BYTES, LENGTH_BYTES);
        encoded = read_fixed32(&tail);
    }
    if (size < LENGTH_BYTES || encoded > size - LENGTH_BYTES) return worker_fail(m->worker, STATUS_CORRUPT, NULL, "a kept row cannot be read");
    char *row = arena_strndup(&m->batch->arena, bytes + size - LENGTH_BYTES - encoded, encoded);  // strings stay where they are read
    if (!row) return worker_no_memory(m->worker);
    struct reader in = reader_of(row, encoded);
    for (uint32_t c = 0; c < input_count; c++) value_read(&in, &m->builders[c]);
    if (in.failed) return worker_fail(m->worker, STATUS_CORRUPT, NULL, "a kept row cannot be read");
    int32_t shown = number > INT32_MAX ? INT32_MAX : (int32_t)number;
    column_builder_append_fixed(&m->builders[input_count], &shown);
    m->weights[m->count++] = weight;
    return STATUS_OK;
}

// Copies of one row: numbers (was, was + before] and (is, is + now], as far as they are among the first.
static enum status emit_change(struct ranked_emitter *m, const struct group *g, uint64_t was, uint64_t before, uint64_t is, uint64_t now) {
    const struct ranked_self *self = m->op->self;
    uint64_t was_end = was + before < self->limit ? was + before : self->limit, is_end = is + now < self->limit ? is + now : self->limit;
    uint64_t left = was_end > was ? was_end - was : 0, right = is_end > is ? is_end - is : 0;
    if (!self->numbered) {
        for (; left > right; left--) TRY(emit_row(m, g, 0, -1));
        for (; right > left; right--) TRY(emit_row(m, g, 0, 1));
        return STATUS_OK;
    }
    for (uint64_t n = was + 1; n <= was_end; n++)
        if (n <= is || n > is_end) TRY(emit_row(m, g, n, -1));
    for (uint64_t n = is + 1; n <= is_end; n++)
        if (n <= was || n > was_end) TRY(emit_row(m, g, n, 1));
    return STATUS_OK;
}

// The partition's key at the beginning of a row's. False: corrupt.
static bool partition_of(const struct group *g, struct string_view *out) {
    const char *bytes = string_view_data(&g->key);
    struct reader in = reader_of(bytes, g->key.size_bytes);
    if (read_byte(&in)) {
        size_t size;
        (void)read_bytes(&in, &size);
    }
    if (in.failed) return false;
    *out = string_view_of(bytes, (size_t)((const char *)in.next - bytes));
    return true;
}

static enum status emit_partition(struct ranked_emitter *m, const struct string_view *prefix, struct state_table *t, const struct key_order *order) {
    const struct ranked_self *self = m->op->self;
    uint64_t epoch = m->op->execution->epoch, was = 0, is = 0;
    for (struct group *g = key_order_seek(order, prefix); g && key_begins_with(&g->key, prefix); g = key_order_next(order, g)) {
        if (was >= self->limit && is >= self->limit && !self->forgets) break;
        const struct ranked_row *r = row_of(g);
        int64_t copies = r->epoch == epoch ? r->before : g->weight;
        uint64_t before = copies > 0 ? (uint64_t)copies : 0, now = g->weight > 0 ? (uint64_t)g->weight : 0;
        TRY(emit_change(m, g, was, before, is, now));
        was += before;
        if (self->forgets && is + now > self->limit) {
            uint64_t kept = is < self->limit ? self->limit - is : 0;
            if (state_end_group(t, g) != STATUS_OK) return worker_no_memory(m->worker);
            g->weight = (int64_t)kept;
        }
        is += now;
    }
    return STATUS_OK;
}

static int key_compare(const void *a, const void *b) { return string_view_compare(&(*(struct group *const *)a)->key, &(*(struct group *const *)b)->key); }

// The changed rows of the epoch, or in batch all rows, in order.
static enum status list_rows(const struct operator *op, const struct state_table *t, struct vector *out) {
    for (size_t i = 0; i < t->touched.count; i++) TRY(vector_push(out, &((const struct touched_group *)vector_at(&t->touched, i))->group));
    for (size_t i = 0; op->execution->batch && i < t->table.slot_count; i++) {
        if (table_slot_is_live(&t->table.slots[i])) TRY(vector_push(out, &t->table.slots[i].group));
    }
    if (out->count > 1) qsort(out->items, out->count, sizeof(struct group *), key_compare);
    return STATUS_OK;
}

static enum status emit_all(struct ranked_emitter *m, const struct vector *rows) {
    const struct ranked_self *self = m->op->self;
    struct string_view prefix = string_view_of("", 0);
    uint64_t number = 0;
    for (size_t i = 0; i < rows->count && !operator_is_done(m->op); i++) {
        const struct group *g = *(struct group **)vector_at(rows, i);
        if (!prefix.size_bytes || !key_begins_with(&g->key, &prefix)) {
            number = 0;
            if (!partition_of(g, &prefix)) return worker_fail(m->worker, STATUS_CORRUPT, NULL, "a kept row cannot be read");
        }
        for (int64_t copy = 0; copy < g->weight && number < self->limit; copy++) TRY(emit_row(m, g, ++number, 1));
    }
    return STATUS_OK;
}

static enum status emit_changes(struct ranked_emitter *m, const struct vector *rows, struct state_table *t, const struct key_order *order) {
    struct string_view prefix = string_view_of("", 0);
    for (size_t i = 0; i < rows->count; i++) {
        const struct group *g = *(struct group **)vector_at(rows, i);
        if (prefix.size_bytes && key_begins_with(&g->key, &prefix)) continue;
        if (!partition_of(g, &prefix)) return worker_fail(m->worker, STATUS_CORRUPT, NULL, "a kept row cannot be read");
        TRY(emit_partition(m, &prefix, t, order));
    }
    return STATUS_OK;
}

static enum status ranked_finish(struct operator *op, struct worker *w, uint32_t p) {
    struct ranked_self *self = op->self;
    TRY(ranked_fold(op, w, p));
    struct ranked_emitter m = {.op = op, .worker = w, .key_partition = p};
    struct vector rows;
    vector_init(&rows, op->execution->memory, sizeof(struct group *));
    enum status status = list_rows(op, &self->tables[p], &rows);
    if (status != STATUS_OK) worker_no_memory(w);
    else status = op->execution->batch ? emit_all(&m, &rows) : emit_changes(&m, &rows, &self->tables[p], &self->orders[p]);
    if (status == STATUS_OK) status = flush(&m);
    batch_unref(m.batch);
    vector_release(&rows);
    return status;
}

// --- state ---

static void ranked_commit(struct operator *op) {
    struct ranked_self *self = op->self;
    for (uint32_t p = 0; p < KEY_PARTITIONS; p++) {
        struct state_table *t = &self->tables[p];
        for (size_t i = 0; i < t->touched.count && !self->orders[p].is_stale; i++) {
            const struct touched_group *one = vector_at(&t->touched, i);
            if (one->group->weight == 0) key_order_remove(&self->orders[p], one->group);
        }
        state_commit(t);
    }
}

static enum status ranked_rollback(struct operator *op, struct error *e) {
    struct ranked_self *self = op->self;
    enum status status = STATUS_OK;
    row_store_clear(&self->pending);
    for (uint32_t p = 0; p < KEY_PARTITIONS; p++) {
        if (self->tables[p].touched.count) self->orders[p].is_stale = true;
        enum status one = state_rollback(&self->tables[p]);
        if (one != STATUS_OK) status = one;
    }
    return status == STATUS_OK ? STATUS_OK : error_no_memory(e);
}

static enum status ranked_log(struct operator *op, uint32_t part, struct buffer *out, struct error *e) {
    return state_log(&((struct ranked_self *)op->self)->tables[part], out) == STATUS_OK ? STATUS_OK : error_no_memory(e);
}

static enum status ranked_snapshot(struct operator *op, uint32_t part, struct buffer *out, struct error *e) {
    return state_snapshot(&((struct ranked_self *)op->self)->tables[part], out) == STATUS_OK ? STATUS_OK : error_no_memory(e);
}

static enum status ranked_apply(struct operator *op, struct reader *in, struct error *e) {
    struct ranked_self *self = op->self;
    enum status status = STATUS_OK;
    for (uint32_t p = 0; p < KEY_PARTITIONS && status == STATUS_OK; p++) {
        self->orders[p].is_stale = true;
        status = state_apply(&self->tables[p], 1, in);
    }
    if (status == STATUS_NO_MEMORY) return error_no_memory(e);
    return status == STATUS_OK ? STATUS_OK : error_set(e, STATUS_CORRUPT, NULL, "the state of row_number() is corrupt");
}

static void ranked_clear(struct operator *op) {
    struct ranked_self *self = op->self;
    row_store_clear(&self->pending);
    for (uint32_t p = 0; p < KEY_PARTITIONS; p++) {
        state_table_clear(&self->tables[p]);
        self->orders[p].root = NULL;
        self->orders[p].is_stale = false;
    }
}

static enum status ranked_restore(struct operator *op, struct reader *in, struct error *e) {
    ranked_clear(op);
    return ranked_apply(op, in, e);
}

static enum status ranked_describe(struct operator *op, struct buffer *out) {
    const struct ranked_self *self = op->self;
    const struct plan_node *node = op->node;
    TRY(buffer_append_string(out, self->forgets ? "first of each" : "all of each"));
    for (uint32_t i = 0; i < self->key_count; i++) {
        TRY(buffer_append_byte(out, ' '));
        TRY(type_print(self->partition.types[i], out));
    }
    for (uint32_t i = 0; i < self->sort_count; i++) {
        TRY(buffer_printf(out, " by%s%s ", node->sorts[i].descending ? " desc" : " asc", node->sorts[i].nulls_first ? " nulls first" : ""));
        TRY(type_print(node->sorts[i].expr->type, out));
    }
    for (uint32_t i = 0; i < self->input_count; i++) {
        bool wanted = !node->wanted || bitmap_get(node->wanted, i);
        TRY(buffer_append_string(out, wanted ? " row " : " -"));
        if (wanted) TRY(type_print(node->attributes[i].type, out));
    }
    return self->forgets ? buffer_printf(out, " of %llu", (unsigned long long)self->limit) : STATUS_OK;
}

static size_t ranked_bytes(const struct operator *op, uint64_t *key_count) {
    const struct ranked_self *self = op->self;
    size_t bytes = 0;
    for (uint32_t p = 0; p < KEY_PARTITIONS; p++) {
        bytes += state_table_bytes(&self->tables[p]);
        *key_count += self->tables[p].table.count;
    }
    return bytes;
}

static void ranked_close(struct operator *op) {
    struct ranked_self *self = op->self;
    row_store_release(&self->pending);
    for (uint32_t p = 0; p < KEY_PARTITIONS; p++) state_table_release(&self->tables[p]);
}

const struct operator_class ranked_class = {
    .name = "RowNumber", .partition_count = KEY_PARTITIONS, .open = ranked_open, .begin = ranked_begin, .push = ranked_push, .prepare = ranked_prepare,
    .fold = ranked_fold, .finish = ranked_finish, .ended = ranked_ended, .commit = ranked_commit, .rollback = ranked_rollback, .state_parts = KEY_PARTITIONS,
    .log_changes = ranked_log, .apply_changes = ranked_apply, .snapshot = ranked_snapshot, .restore = ranked_restore, .describe_state = ranked_describe,
    .clear = ranked_clear, .bytes = ranked_bytes, .close = ranked_close,
};
