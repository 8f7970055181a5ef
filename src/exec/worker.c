// SPDX-License-Identifier: Apache-2.0
// worker.c: what every operator does with its worker: emit, evaluate, report rows that failed.
#include "exec/operator.h"

enum status worker_no_memory(struct worker *w) {
    w->failed = true;
    return error_no_memory(&w->error);
}

enum status worker_fail(struct worker *w, enum status status, const char *condition, const char *message) {
    w->failed = true;
    if (status == STATUS_NO_MEMORY) return error_no_memory(&w->error);
    return error_set(&w->error, status, condition, "%s", message);
}

bool operator_is_done(const struct operator *op) {
    if (!op->active || op->done) return true;
    if (op->output_count) return false;
    for (uint32_t i = 0; i < op->edge_count; i++) {
        if (!operator_is_done(op->edges[i].to)) return false;
    }
    return true;
}

static bool output_is_active(const struct execution *x, uint32_t output) {
    return !x->run || !x->run->active_outputs || bitmap_get(x->run->active_outputs, output);
}

enum status operator_emit(struct operator *op, struct worker *w, struct batch *b) {
    if (!b->selected_count) return STATUS_OK;
    for (uint32_t i = 0; i < op->edge_count; i++) {
        struct operator *to = op->edges[i].to;
        if (!to->active || to->done) continue;
        operator_count(to, w, FATE_INPUT, b->selected_count);
        enum status status = to->class->push(to, w, op->edges[i].input_index, b);
        if (status != STATUS_OK) {
            w->failed = true;
            return status;
        }
    }
    struct execution *x = op->execution;
    for (uint32_t i = 0; i < op->output_count; i++) {
        uint32_t o = op->outputs[i];
        if (!output_is_active(x, o)) continue;
        struct output *output = &x->config.outputs[o];
        x->output_rows[(size_t)w->index * (x->config.output_count + 1) + o] += b->selected_count;
        enum status status = output->ordered ? ordered_write(x, o, w, b)
                             : output->write ? output->write(output->context, w->index, b, &w->error)
                                             : STATUS_OK;
        if (status != STATUS_OK) {
            w->failed = true;
            return status;
        }
    }
    return STATUS_OK;
}

enum status worker_run(struct worker *w, const struct program *p, const struct batch *b, struct arena *arena, struct column *out) {
    struct execution *x = w->execution;
    eval_begin(&w->eval, x->config.session, x->memory, arena, &b->origin, x->now_us, b->row_count);
    struct rows rows = batch_rows(b);
    enum status status = program_run(p, b->columns, b->row_count, &rows, &w->eval, out);
    if (status == STATUS_OK) status = w->eval.status;
    return status == STATUS_OK ? STATUS_OK : worker_fail(w, status, NULL, "an expression could not be evaluated");
}

enum status worker_report_failed(struct worker *w, struct operator *op, const struct batch *b) {
    const struct dead_handler *dead = &w->execution->config.dead;
    for (uint32_t i = 0; i < w->eval.error_count; i++) {
        const struct row_error *why = &w->eval.errors[i];
        operator_count(op, w, FATE_DEAD, 1);
        if (batch_weight(b, why->row) < 0 || !dead->row) continue;  // its +1 failed the same way
        enum status status = dead->row(dead->context, op->node, op->flow_name, b, why->row, why, &w->error);
        if (status != STATUS_OK) {
            w->failed = true;
            return status;
        }
    }
    return STATUS_OK;
}

enum status worker_report_late(struct worker *w, struct operator *op, const struct batch *b, uint32_t row, int64_t time_us) {
    const struct late_handler *late = &w->execution->config.late;
    operator_count(op, w, time_us == NO_WATERMARK ? FATE_NULL_TIME : FATE_LATE, 1);
    if (!late->row || w->execution->batch || batch_weight(b, row) < 0) return STATUS_OK;
    enum status status = late->row(late->context, op->node, op->flow_name, op->node->inputs[0], b, row, time_us, op->late_us, &w->error);
    if (status != STATUS_OK) w->failed = true;
    return status;
}

enum status worker_drop_failed(struct worker *w, struct operator *op, const struct batch *b, const struct rows *rows, struct arena *arena,
                               struct rows *kept) {
    *kept = *rows;
    if (!w->eval.error_count) return STATUS_OK;
    TRY(worker_report_failed(w, op, b));
    uint16_t *indices = arena_alloc(arena, sizeof(uint16_t) * (rows->count + 1));
    if (!indices) return worker_no_memory(w);
    uint32_t count = 0;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        if (!w->eval.failed || !bitmap_get(w->eval.failed, row)) indices[count++] = (uint16_t)row;
    }
    *kept = (struct rows){.indices = indices, .count = count};
    return STATUS_OK;
}

struct batch *operator_batch(const struct operator *op, uint64_t sequence, uint32_t row_count, uint32_t column_count) {
    struct batch *b = batch_new(op->execution->memory, column_count);
    if (!b) return NULL;
    b->row_count = row_count;
    b->selected_count = row_count;
    b->sequence = sequence;
    b->origin.source = ORIGIN_NONE;
    return b;
}

int64_t batch_kept_bytes(const struct batch *b) {
    enum { MOST_HOLD_BYTES = 1 << 20 };  // a large buffer is shared by many batches
    int64_t bytes = 64 * (int64_t)b->row_count;
    for (; b; b = b->parent) {
        bytes += (int64_t)b->arena.used_bytes;
        for (uint32_t i = 0; i < b->hold_count; i++) {
            bytes += b->holds[i]->size_bytes < MOST_HOLD_BYTES ? (int64_t)b->holds[i]->size_bytes : MOST_HOLD_BYTES;
        }
    }
    return bytes;
}
