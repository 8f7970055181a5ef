// SPDX-License-Identifier: Apache-2.0
// limit.c: LIMIT and OFFSET over rows that only come (over a SORT, or over rows that can be taken back, it is topn.c).
//
// One worker: rows pass in order, and the scan ends when there are enough. Several: rows wait, and finish passes the first ones in
// (sequence, arrival, row) order; no new split is begun once enough rows wait, which is right because what has been read is a prefix. In a
// stream the count of rows seen is state.
#include "exec/row_store.h"

struct limit_state {
    struct row_store rows;
    uint64_t seen;            // rows that came, in committed epochs and this one; not above offset + limit
    uint64_t seen_before;     // committed
    uint64_t begin, end;      // rows [begin, end) pass
};

static enum status limit_open(struct operator *op, struct error *e) {
    struct limit_state *self = arena_alloc_zeroed(&op->execution->arena, sizeof *self);
    if (!self) return error_no_memory(e);
    op->self = self;
    self->begin = op->node->offset > 0 ? (uint64_t)op->node->offset : 0;
    self->end = op->node->limit < 0 ? UINT64_MAX : self->begin + (uint64_t)op->node->limit;
    return row_store_init(&self->rows, op->execution, e);
}

static enum status limit_begin(struct operator *op, struct error *e) {
    (void)e;
    struct limit_state *self = op->self;
    if (op->execution->batch) self->seen = self->seen_before = 0;
    if (self->seen >= self->end) op->done = true;
    return STATUS_OK;
}

// Passes the rows of `b` that fall into the range; counts all of them as seen.
static enum status pass_rows(struct operator *op, struct worker *w, struct batch *b) {
    struct limit_state *self = op->self;
    uint64_t first = self->seen, last = first + b->selected_count;
    self->seen = last > self->end ? self->end : last;
    if (self->seen >= self->end) op->done = true;
    uint64_t from = first < self->begin ? self->begin - first : 0;
    uint64_t to = last > self->end ? (self->end > first ? self->end - first : 0) : b->selected_count;
    if (from > b->selected_count) from = b->selected_count;
    if (to < from) to = from;
    operator_count(op, w, FATE_FILTERED, b->selected_count - (to - from));
    operator_count(op, w, FATE_PASSED, to - from);
    if (to == from) return STATUS_OK;
    if (from == 0 && to == b->selected_count) return operator_emit(op, w, b);
    struct batch *out = batch_derive(b, op->execution->memory, b->column_count);
    if (!out) return worker_no_memory(w);
    memcpy(out->columns, b->columns, sizeof *b->columns * b->column_count);
    uint16_t *selection = arena_alloc(&out->arena, sizeof *selection * (to - from));
    struct rows rows = batch_rows(b);
    for (uint64_t i = from; i < to && selection; i++) selection[i - from] = (uint16_t)rows_at(&rows, (uint32_t)i);
    out->selection = selection;
    out->selected_count = (uint32_t)(to - from);
    enum status status = selection ? operator_emit(op, w, out) : worker_no_memory(w);
    batch_unref(out);
    return status;
}

static enum status limit_push(struct operator *op, struct worker *w, uint32_t input_index, struct batch *b) {
    (void)input_index;
    struct limit_state *self = op->self;
    if (op->execution->config.worker_count == 1) return pass_rows(op, w, b);
    op->execution->pending_bytes += batch_kept_bytes(b);
    TRY(row_store_keep(&self->rows, w, batch_ref(b), b->sequence, 0, NULL));
    if (self->rows.row_count >= self->end - self->seen) op->execution->pending_bytes += ROUND_BYTES;  // enough: end the round
    return STATUS_OK;
}

static enum status limit_prepare(struct operator *op, struct error *e) {
    struct limit_state *self = op->self;
    return row_store_merge(&self->rows) == STATUS_OK ? STATUS_OK : error_no_memory(e);
}

// The end of a round or of the input: what waits is a prefix of what is to come.
static enum status limit_fold(struct operator *op, struct worker *w, uint32_t key_partition) {
    (void)key_partition;
    struct limit_state *self = op->self;
    for (uint32_t i = 0; i < self->rows.all.count; i++) {
        struct batch *b = row_store_at(&self->rows, i)->batch;
        if (op->done) operator_count(op, w, FATE_FILTERED, b->selected_count);
        else TRY(pass_rows(op, w, b));
    }
    row_store_clear(&self->rows);
    return STATUS_OK;
}

static void limit_commit(struct operator *op) {
    struct limit_state *self = op->self;
    self->seen_before = self->seen;
}

static enum status limit_rollback(struct operator *op, struct error *e) {
    (void)e;
    struct limit_state *self = op->self;
    self->seen = self->seen_before;
    row_store_clear(&self->rows);
    return STATUS_OK;
}

static enum status limit_save(struct operator *op, uint32_t part, struct buffer *out, struct error *e) {
    (void)part;
    return write_varint(out, ((struct limit_state *)op->self)->seen) == STATUS_OK ? STATUS_OK : error_no_memory(e);
}

static enum status limit_load(struct operator *op, struct reader *in, struct error *e) {
    struct limit_state *self = op->self;
    uint64_t seen = read_varint(in);
    if (in->failed || seen > self->end) return error_set(e, STATUS_CORRUPT, NULL, "the state of LIMIT is corrupt");
    self->seen = self->seen_before = seen;
    return STATUS_OK;
}

static enum status limit_describe(struct operator *op, struct buffer *out) {
    (void)op;
    return buffer_append_string(out, "limit rows");
}

static void limit_clear(struct operator *op) {
    struct limit_state *self = op->self;
    self->seen = self->seen_before = 0;
    row_store_clear(&self->rows);
}

static void limit_close(struct operator *op) { row_store_release(&((struct limit_state *)op->self)->rows); }

const struct operator_class limit_class = {
    .name = "Limit", .partition_count = 1, .open = limit_open, .begin = limit_begin, .push = limit_push, .prepare = limit_prepare, .fold = limit_fold,
    .finish = limit_fold, .commit = limit_commit, .rollback = limit_rollback, .state_parts = 1, .log_changes = limit_save, .apply_changes = limit_load,
    .snapshot = limit_save, .restore = limit_load, .describe_state = limit_describe, .clear = limit_clear, .close = limit_close,
};
