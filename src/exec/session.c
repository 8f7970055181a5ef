// SPDX-License-Identifier: Apache-2.0
// session.c: session_window. In batch, rows of one key whose times follow each other within the gap share a session; a struct column
// {start, end} is appended, end = last time + its gap. An event exactly at the end belongs to the session. NULL times and gaps that are not
// positive have no session.
#include "exec/row_store.h"
#include "exec/state_table.h"
#include <stdlib.h>

struct session_row {
    struct string_view key;
    int64_t time, gap;
    uint64_t order;
    struct row_ref row;
    int64_t start, end;          // of its session
};

struct session_extra {           // beside each kept batch
    struct key_batch keys;
    int64_t *times, *gaps;
};

struct session_self {
    const struct program *program;   // keys, time, [gap]
    struct row_store rows;
    struct key_layout layout;
};

static bool gap_is_supported(const struct type *t) {
    return t->id == TYPE_INTERVAL || t->id == TYPE_INTERVAL_DT || t->id == TYPE_BIGINT || t->id == TYPE_INT || t->id == TYPE_STRING;
}

static enum status session_open(struct operator *op, struct error *e) {
    struct execution *x = op->execution;
    const struct plan_node *node = op->node;
    struct session_self *self = arena_alloc_zeroed(&x->arena, sizeof *self);
    const struct type **types = arena_alloc_array(&x->arena, node->key_count + 1, sizeof *types);
    if (!self || !types) return error_no_memory(e);
    for (uint32_t i = 0; i < node->key_count; i++) types[i] = node->exprs[i]->type;
    key_layout_init(&self->layout, types, node->key_count);
    if (node->gap_us < 0 && !gap_is_supported(node->exprs[node->expr_count - 1]->type)) {
        return error_set(e, STATUS_UNSUPPORTED, NULL, "the gap of a session window must be an interval");
    }
    op->self = self;
    TRY(row_store_init(&self->rows, x, e));
    return program_compile(&x->arena, x->config.session, node->exprs, node->expr_count, NULL, &self->program, e);
}

static int64_t gap_of(const struct column *gap, uint32_t row) {
    if (!column_is_valid(gap, row)) return 0;
    if (gap->type->id == TYPE_INT) return column_int32(gap, row);
    if (gap->type->id == TYPE_STRING) {
        const struct string_view *text = column_string(gap, row);
        char words[64];
        int64_t parsed = 0;
        if (text->size_bytes >= sizeof words) return 0;
        memcpy(words, string_view_data(text), text->size_bytes);
        words[text->size_bytes] = 0;
        return parse_duration(words, &parsed) ? parsed : 0;
    }
    if (gap->type->id != TYPE_INTERVAL) return column_int64(gap, row);
    const struct calendar_interval *v = (const struct calendar_interval *)column_base(gap)->values + column_index(gap, row);
    __int128 us = (__int128)v->days * INT64_C(86400000000) + v->us;
    return v->months == 0 && us > 0 && us <= INT64_MAX ? (int64_t)us : 0;
}

// Rows with a time and a gap, compacted, with keys, times and gaps beside them.
static enum status keep_rows(struct operator *op, struct worker *w, struct batch *b, const struct column *columns, const struct rows *rows) {
    struct session_self *self = op->self;
    const struct plan_node *node = op->node;
    const struct column *time = &columns[node->key_count], *gap = node->gap_us < 0 ? &columns[node->expr_count - 1] : NULL;
    uint16_t *indices = arena_alloc(&w->scratch, sizeof *indices * (rows->count + 1));
    if (!indices) return worker_no_memory(w);
    uint32_t count = 0;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        int64_t us = gap ? gap_of(gap, row) : node->gap_us;
        if (!column_is_valid(time, row)) operator_count(op, w, FATE_NULL_TIME, 1);
        else if (us <= 0) operator_count(op, w, FATE_FILTERED, 1);
        else indices[count++] = (uint16_t)row;
    }
    if (!count) return STATUS_OK;
    struct rows kept = {.indices = indices, .count = count};
    struct batch *copy = batch_compact(b, &kept, op->execution->memory);
    if (!copy) return worker_no_memory(w);
    struct session_extra *extra = arena_alloc_zeroed(&copy->arena, sizeof *extra);
    struct column *keys = arena_alloc_array(&copy->arena, node->key_count + 1, sizeof *keys);
    uint32_t *wide = arena_alloc_array(&copy->arena, count, sizeof *wide);
    enum status status = extra && keys && wide ? STATUS_OK : STATUS_NO_MEMORY;
    if (status == STATUS_OK) {
        extra->times = arena_alloc_array(&copy->arena, count, sizeof *extra->times);
        extra->gaps = arena_alloc_array(&copy->arena, count, sizeof *extra->gaps);
        if (!extra->times || !extra->gaps) status = STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < count && status == STATUS_OK; i++) {
        wide[i] = indices[i];
        extra->times[i] = column_int64(time, indices[i]);
        extra->gaps[i] = gap ? gap_of(gap, indices[i]) : node->gap_us;
    }
    for (uint32_t k = 0; k < node->key_count && status == STATUS_OK; k++) status = column_copy(&copy->arena, &columns[k], wide, count, &keys[k]);
    struct rows all = {.count = count};
    if (status == STATUS_OK) status = key_batch_make(&self->layout, keys, &all, &copy->arena, op->execution->memory, &extra->keys);
    if (status != STATUS_OK) {
        batch_unref(copy);
        return worker_no_memory(w);
    }
    operator_count(op, w, FATE_PASSED, count);
    return row_store_keep(&self->rows, w, copy, b->sequence, 0, extra);
}

static enum status append_sessions(struct operator *op, struct batch *b, const struct column *time, const struct column *gap, const struct rows *rows,
                                   struct batch *out) {
    const struct plan_node *node = op->node;
    memcpy(out->columns, b->columns, sizeof *b->columns * b->column_count);
    struct column *session = &out->columns[b->column_count];
    TRY(column_make(&out->arena, node->attributes[b->column_count].type, b->row_count, false, session));
    int64_t *starts = session->children[0].values, *ends = session->children[1].values;
    memset(starts, 0, sizeof *starts * b->row_count);
    memset(ends, 0, sizeof *ends * b->row_count);
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        starts[row] = column_int64(time, row);
        if (__builtin_add_overflow(starts[row], gap ? gap_of(gap, row) : node->gap_us, &ends[row])) ends[row] = INT64_MAX - 1;
    }
    out->selection = rows->indices;
    out->selected_count = rows->count;
    return STATUS_OK;
}

// Of a stream each row has the session that it makes alone: the aggregation above lets them grow together (aggregate_session.c).
static enum status push_alone(struct operator *op, struct worker *w, struct batch *b, const struct column *columns, const struct rows *rows) {
    const struct plan_node *node = op->node;
    const struct column *time = &columns[node->key_count], *gap = node->gap_us < 0 ? &columns[node->expr_count - 1] : NULL;
    struct batch *out = batch_derive(b, op->execution->memory, b->column_count + 1);
    if (!out) return worker_no_memory(w);
    uint16_t *indices = arena_alloc(&out->arena, sizeof *indices * (rows->count + 1));
    uint32_t count = 0;
    enum status status = indices ? STATUS_OK : worker_no_memory(w);
    for (uint32_t i = 0; i < rows->count && status == STATUS_OK; i++) {
        uint32_t row = rows_at(rows, i);
        if (!column_is_valid(time, row)) status = worker_report_late(w, op, b, row, NO_WATERMARK);
        else if ((gap ? gap_of(gap, row) : node->gap_us) <= 0) operator_count(op, w, FATE_FILTERED, 1);
        else indices[count++] = (uint16_t)row;
    }
    struct rows kept = {.indices = indices, .count = count};
    if (status == STATUS_OK && append_sessions(op, b, time, gap, &kept, out) != STATUS_OK) status = worker_no_memory(w);
    if (status == STATUS_OK) {
        operator_count(op, w, FATE_PASSED, count);
        status = operator_emit(op, w, out);
    }
    batch_unref(out);
    return status;
}

static enum status session_push(struct operator *op, struct worker *w, uint32_t input_index, struct batch *b) {
    (void)input_index;
    struct session_self *self = op->self;
    struct arena a;  // what is emitted uses the worker's
    arena_init(&a, op->execution->memory);
    struct column *columns = arena_alloc_array(&a, op->node->expr_count + 1, sizeof *columns);
    struct rows rows = batch_rows(b), kept = {0};
    enum status status = columns ? worker_run(w, self->program, b, &a, columns) : worker_no_memory(w);
    if (status == STATUS_OK) status = worker_drop_failed(w, op, b, &rows, &a, &kept);
    if (status == STATUS_OK && op->execution->batch) arena_reset(&w->scratch);
    if (status == STATUS_OK) status = op->execution->batch ? keep_rows(op, w, b, columns, &kept) : push_alone(op, w, b, columns, &kept);
    arena_release(&a);
    return status;
}

static enum status session_prepare(struct operator *op, struct error *e) {
    return row_store_merge(&((struct session_self *)op->self)->rows) == STATUS_OK ? STATUS_OK : error_no_memory(e);
}

static int session_order(const void *a, const void *b) {
    const struct session_row *x = a, *y = b;
    int order = string_view_compare(&x->key, &y->key);
    if (!order) order = key_is_null(&x->key) - key_is_null(&y->key);
    if (!order) order = (x->time > y->time) - (x->time < y->time);
    return order ? order : (x->order > y->order) - (x->order < y->order);
}

static int64_t end_of(const struct session_row *r) {
    int64_t end;
    return __builtin_add_overflow(r->time, r->gap, &end) ? INT64_MAX : end;
}

static void find_sessions(struct session_row *rows, uint64_t count) {
    for (uint64_t begin = 0; begin < count;) {
        int64_t end = end_of(&rows[begin]);
        uint64_t next = begin + 1;
        while (next < count && string_view_equal(&rows[next].key, &rows[begin].key) && rows[next].time <= end) {
            if (end_of(&rows[next]) > end) end = end_of(&rows[next]);
            next++;
        }
        for (uint64_t i = begin; i < next; i++) {
            rows[i].start = rows[begin].time;
            rows[i].end = end;
        }
        begin = next;
    }
}

static enum status emit_sessions(struct operator *op, struct worker *w, const struct session_row *list, uint32_t count, uint64_t number) {
    struct session_self *self = op->self;
    const struct plan_node *node = op->node;
    uint32_t column_count = node->attribute_count - 1;
    struct batch *b = operator_batch(op, operator_sequence(op, 0, number), count, node->attribute_count);
    const struct type **types = b ? attribute_types(&b->arena, node) : NULL;
    struct row_ref *refs = b ? arena_alloc_array(&b->arena, count, sizeof *refs) : NULL;
    enum status status = types && refs ? STATUS_OK : STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < count && status == STATUS_OK; i++) refs[i] = list[i].row;
    if (status == STATUS_OK) status = row_store_gather(&self->rows, refs, count, 0, column_count, types, &b->arena, b->columns);
    if (status == STATUS_OK) status = column_make(&b->arena, node->attributes[column_count].type, count, false, &b->columns[column_count]);
    for (uint32_t i = 0; i < count && status == STATUS_OK; i++) {
        ((int64_t *)b->columns[column_count].children[0].values)[i] = list[i].start;
        ((int64_t *)b->columns[column_count].children[1].values)[i] = list[i].end;
    }
    status = status == STATUS_OK ? operator_emit(op, w, b) : worker_no_memory(w);
    batch_unref(b);
    return status;
}

static enum status session_finish(struct operator *op, struct worker *w, uint32_t key_partition) {
    (void)key_partition;
    struct session_self *self = op->self;
    uint64_t count = self->rows.row_count, n = 0;
    if (!count) return STATUS_OK;
    struct session_row *list = memory_alloc(op->execution->memory, count * sizeof *list);
    if (!list) return worker_no_memory(w);
    for (uint32_t i = 0; i < self->rows.all.count; i++) {
        const struct kept_batch *kept = row_store_at(&self->rows, i);
        const struct session_extra *extra = kept->extra;
        for (uint32_t row = 0; row < kept->batch->row_count; row++, n++) {
            list[n] = (struct session_row){.key = extra->keys.keys[row], .time = extra->times[row], .gap = extra->gaps[row], .order = n,
                                           .row = {.batch = i, .row = row}};
        }
    }
    qsort(list, n, sizeof *list, session_order);
    find_sessions(list, n);
    enum status status = STATUS_OK;
    for (uint64_t begin = 0; begin < n && status == STATUS_OK && !operator_is_done(op); begin += BATCH_ROWS) {
        uint64_t left = n - begin;
        status = emit_sessions(op, w, list + begin, left < BATCH_ROWS ? (uint32_t)left : BATCH_ROWS, begin / BATCH_ROWS);
    }
    memory_free(op->execution->memory, list, count * sizeof *list);
    row_store_clear(&self->rows);
    return status;
}

static enum status session_rollback(struct operator *op, struct error *e) {
    (void)e;
    row_store_clear(&((struct session_self *)op->self)->rows);
    return STATUS_OK;
}

static void session_close(struct operator *op) { row_store_release(&((struct session_self *)op->self)->rows); }

const struct operator_class session_class = {
    .name = "SessionWindow", .partition_count = 1, .open = session_open, .push = session_push, .prepare = session_prepare,
    .finish = session_finish, .rollback = session_rollback, .close = session_close,
};
