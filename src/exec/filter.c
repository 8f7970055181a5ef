// SPDX-License-Identifier: Apache-2.0
// filter.c: keeps the rows whose condition is true. Only a selection is made: columns are the input's, and when every row stays the
// batch itself goes on.
#include "exec/operator.h"

static enum status filter_open(struct operator *op, struct error *e) {
    const struct program *program;
    struct expr *condition = op->node->condition;
    TRY(program_compile(&op->execution->arena, op->execution->config.session, &condition, 1, NULL, &program, e));
    op->self = (void *)(uintptr_t)program;
    return STATUS_OK;
}

// Rows of `rows` where c is true; branch-free where the column is flat and has no NULLs.
static uint32_t true_rows(const struct column *c, const struct rows *rows, uint16_t *out) {
    uint32_t count = 0;
    if (c->form == COLUMN_FLAT && !c->validity && c->type->id == TYPE_BOOLEAN) {
        const uint8_t *values = c->values;
        for (uint32_t i = 0; i < rows->count; i++) {
            uint32_t row = rows_at(rows, i);
            out[count] = (uint16_t)row;
            count += values[row] != 0;
        }
        return count;
    }
    if (c->type->id != TYPE_BOOLEAN) return 0;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        if (column_is_valid(c, row) && column_bool(c, row)) out[count++] = (uint16_t)row;
    }
    return count;
}

static enum status emit_selected(struct operator *op, struct worker *w, struct batch *b, const uint16_t *selection, uint32_t count) {
    operator_count(op, w, FATE_PASSED, count);
    if (count == b->selected_count) return operator_emit(op, w, b);
    struct batch *out = batch_derive(b, op->execution->memory, b->column_count);
    if (!out) return worker_no_memory(w);
    memcpy(out->columns, b->columns, sizeof *b->columns * b->column_count);
    uint16_t *kept = arena_alloc(&out->arena, sizeof *kept * (count + 1));
    enum status status = STATUS_NO_MEMORY;
    if (kept) {
        memcpy(kept, selection, sizeof *kept * count);
        out->selection = kept;
        out->selected_count = count;
        status = operator_emit(op, w, out);
    } else {
        worker_no_memory(w);
    }
    batch_unref(out);
    return status;
}

static enum status filter_push(struct operator *op, struct worker *w, uint32_t input_index, struct batch *b) {
    (void)input_index;
    arena_reset(&w->scratch);
    struct column condition;
    memset(&condition, 0, sizeof condition);
    TRY(worker_run(w, op->self, b, &w->scratch, &condition));
    struct rows rows = batch_rows(b), kept;
    TRY(worker_drop_failed(w, op, b, &rows, &w->scratch, &kept));
    uint16_t *selection = arena_alloc(&w->scratch, sizeof *selection * (kept.count + 1));
    if (!selection) return worker_no_memory(w);
    uint32_t count = true_rows(&condition, &kept, selection);
    operator_count(op, w, FATE_FILTERED, kept.count - count);
    return count ? emit_selected(op, w, b, selection, count) : STATUS_OK;
}

const struct operator_class filter_class = {.name = "Filter", .partition_count = 1, .open = filter_open, .push = filter_push};
