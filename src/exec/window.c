// SPDX-License-Identifier: Apache-2.0
// window.c: PLAN_WINDOW: one row for each time window that holds the row, latest window first; a struct column {start, end} is appended.
//
//     start of the latest = time − (time − offset) mod slide;  the others are a slide earlier each, while time < start + size
//
// Stateless. A NULL time has no window: fate null-time. Under an aggregation that closes (drops_late), windows that end at the watermark or before
// are not made, and a row that has no other is late; in panes, a row gets the slide it falls in alone, for all its windows.
#include "column/datetime.h"
#include "exec/expand.h"

enum { MOST_WINDOWS = 100000 };

struct window_self {
    const struct program *program;
    struct row_counter *counters;   // by worker
};

static enum status window_open(struct operator *op, struct error *e) {
    struct execution *x = op->execution;
    const struct plan_node *node = op->node;
    struct window_self *self = arena_alloc_zeroed(&x->arena, sizeof *self);
    if (!self) return error_no_memory(e);
    self->counters = arena_alloc_array(&x->arena, x->config.worker_count, sizeof *self->counters);
    if (!self->counters) return error_no_memory(e);
    if (node->window_us <= 0 || node->slide_us <= 0 || node->slide_us > node->window_us) {
        return error_set(e, STATUS_INVALID_QUERY, "DATATYPE_MISMATCH.VALUE_OUT_OF_RANGE", "a window needs a positive size and slide");
    }
    if (node->window_us / node->slide_us > MOST_WINDOWS) {
        return error_set(e, STATUS_LIMIT, NULL, "a row would fall into more than %d windows", MOST_WINDOWS);
    }
    op->self = self;
    return program_compile(&x->arena, x->config.session, node->exprs, 1, NULL, &self->program, e);
}

static enum status emit_windows(struct operator *op, struct worker *w, struct batch *b, const uint32_t *rows, const int64_t *starts, uint32_t count) {
    struct window_self *self = op->self;
    const struct plan_node *node = op->node;
    struct batch *out = expand_batch(b, op->execution->memory, rows, count, b->column_count + 1, &self->counters[w->index]);
    if (!out) return worker_no_memory(w);
    struct column *window = &out->columns[b->column_count];
    enum status status = expand_columns(b, rows, count, node->wanted, 0, b->column_count, &out->arena, out->columns);
    if (status == STATUS_OK) status = column_make(&out->arena, node->attributes[b->column_count].type, count, false, window);
    if (status == STATUS_OK) {
        int64_t *start = window->children[0].values, *end = window->children[1].values;
        for (uint32_t i = 0; i < count; i++) {
            start[i] = starts[i];
            end[i] = starts[i] + (node->in_panes ? node->slide_us : node->window_us);
        }
        status = operator_emit(op, w, out);
    } else {
        worker_no_memory(w);
    }
    batch_unref(out);
    return status;
}

static enum status expand_row(struct operator *op, struct worker *w, struct batch *b, uint32_t row, int64_t time, uint32_t *rows, int64_t *starts,
                              uint32_t *count) {
    const struct plan_node *node = op->node;
    __int128 shifted = (__int128)time - node->window_offset_us;
    __int128 into = shifted % node->slide_us;
    if (into < 0) into += node->slide_us;
    uint32_t made = 0;
    int64_t late_us = node->drops_late && !op->execution->batch ? op->late_us : NO_WATERMARK;
    bool late = false;
    for (__int128 start = (__int128)time - into; start + node->window_us > time; start -= node->slide_us) {
        if (start < INT64_MIN || start + node->window_us > INT64_MAX) break;
        if (start + node->window_us <= late_us) {
            late = true;
            break;
        }
        if (*count == BATCH_ROWS) {
            TRY(emit_windows(op, w, b, rows, starts, *count));
            *count = 0;
        }
        rows[*count] = row;
        starts[(*count)++] = (int64_t)start;
        made++;
        if (node->in_panes) break;  // the slide that the latest window begins with
    }
    if (!made && late) return worker_report_late(w, op, b, row, time);
    operator_count(op, w, made ? FATE_PASSED : FATE_FILTERED, 1);
    if (made > 1) operator_count(op, w, FATE_MADE, made - 1);
    return STATUS_OK;
}

static enum status window_push(struct operator *op, struct worker *w, uint32_t input_index, struct batch *b) {
    (void)input_index;
    struct window_self *self = op->self;
    struct arena a;
    arena_init(&a, op->execution->memory);
    struct column time;
    memset(&time, 0, sizeof time);
    uint32_t *row_indices = arena_alloc_array(&a, BATCH_ROWS, sizeof *row_indices), count = 0;
    int64_t *starts = arena_alloc_array(&a, BATCH_ROWS, sizeof *starts);
    struct rows rows = batch_rows(b), kept = {0};
    enum status status = row_indices && starts ? worker_run(w, self->program, b, &a, &time) : worker_no_memory(w);
    if (status == STATUS_OK) status = worker_drop_failed(w, op, b, &rows, &a, &kept);
    for (uint32_t i = 0; i < kept.count && status == STATUS_OK; i++) {
        uint32_t row = rows_at(&kept, i);
        if (!column_is_valid(&time, row)) status = worker_report_late(w, op, b, row, NO_WATERMARK);
        else status = expand_row(op, w, b, row, column_int64(&time, row), row_indices, starts, &count);
    }
    if (status == STATUS_OK && count) status = emit_windows(op, w, b, row_indices, starts, count);
    arena_release(&a);
    return status;
}

const struct operator_class window_class = {.name = "Window", .partition_count = 1, .open = window_open, .push = window_push};
