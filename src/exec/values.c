// SPDX-License-Identifier: Apache-2.0
// values.c: rows of constants. An entry without a source: run.c calls push with no batch. In a stream they enter once: that they have is
// the operator's state (one byte).
#include "exec/operator.h"

struct values_state {
    bool emitted;            // committed
    bool emitted_now;        // in the running epoch
};

static enum status values_open(struct operator *op, struct error *e) {
    op->self = arena_alloc_zeroed(&op->execution->arena, sizeof(struct values_state));
    return op->self ? STATUS_OK : error_no_memory(e);
}

static enum status emit_chunk(struct operator *op, struct worker *w, uint32_t begin, uint32_t count) {
    const struct plan_node *node = op->node;
    struct batch *b = operator_batch(op, operator_sequence(op, 0, begin / BATCH_ROWS), count, node->attribute_count);
    if (!b) return worker_no_memory(w);
    uint32_t *rows = arena_alloc_array(&b->arena, count, sizeof *rows);
    enum status status = rows ? STATUS_OK : STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < count && rows; i++) rows[i] = begin + i;
    for (uint32_t c = 0; c < node->attribute_count && status == STATUS_OK; c++) {
        status = column_gather(&b->arena, &node->values[c], rows, count, &b->columns[c]);
    }
    if (status != STATUS_OK) {
        batch_unref(b);
        return worker_no_memory(w);
    }
    operator_count(op, w, FATE_INPUT, count);
    operator_count(op, w, FATE_PASSED, count);
    status = operator_emit(op, w, b);
    batch_unref(b);
    return status;
}

static enum status values_push(struct operator *op, struct worker *w, uint32_t input_index, struct batch *none) {
    (void)input_index;
    (void)none;
    struct values_state *self = op->self;
    if (!op->execution->batch) {
        if (self->emitted) return STATUS_OK;
        self->emitted_now = true;
    }
    for (uint32_t begin = 0; begin < op->node->value_row_count && !operator_is_done(op); begin += BATCH_ROWS) {
        uint32_t left = op->node->value_row_count - begin;
        TRY(emit_chunk(op, w, begin, left < BATCH_ROWS ? left : BATCH_ROWS));
    }
    return STATUS_OK;
}

static void values_commit(struct operator *op) {
    struct values_state *self = op->self;
    self->emitted = self->emitted || self->emitted_now;
    self->emitted_now = false;
}

static enum status values_rollback(struct operator *op, struct error *e) {
    (void)e;
    ((struct values_state *)op->self)->emitted_now = false;
    return STATUS_OK;
}

static enum status values_save(struct operator *op, uint32_t part, struct buffer *out, struct error *e) {
    (void)part;
    struct values_state *self = op->self;
    return buffer_append_byte(out, self->emitted || self->emitted_now) == STATUS_OK ? STATUS_OK : error_no_memory(e);
}

static enum status values_load(struct operator *op, struct reader *in, struct error *e) {
    uint8_t emitted = read_byte(in);
    if (in->failed || emitted > 1) return error_set(e, STATUS_CORRUPT, NULL, "the state of VALUES is corrupt");
    ((struct values_state *)op->self)->emitted = emitted;
    return STATUS_OK;
}

static enum status values_describe(struct operator *op, struct buffer *out) {
    (void)op;
    return buffer_append_string(out, "values emitted");
}

static void values_clear(struct operator *op) { *(struct values_state *)op->self = (struct values_state){0}; }

const struct operator_class values_class = {
    .name = "Values", .partition_count = 1, .open = values_open, .push = values_push, .commit = values_commit, .rollback = values_rollback,
    .state_parts = 1, .log_changes = values_save, .apply_changes = values_load, .snapshot = values_save, .restore = values_load, .describe_state = values_describe,
    .clear = values_clear,
};
