// SPDX-License-Identifier: Apache-2.0
// stream_join.c: the join of two streams. Each side's rows are kept for the other's that are still to come:
//
//     push     late and time-less rows leave; keys, encoding and time of leaving are made by the workers; rows wait for the end of the epoch
//     finish   new left × right of before · new right × left with the new · rows whose time has come leave, padded with NULLs where the join keeps them
//
// so each pair comes out once, in an order that does not depend on who did it. When no later row can match one of a side, it leaves: join_time of the
// plan says when, by the watermark (the lesser of the inputs' that have one, as in Spark). Rows are measured by the watermark of the epoch
// before. A result that is kept up to date (materialized view) has rows without a match at once, and takes them back when one comes.
//
// A key with a NULL matches nothing. A pair that cannot be judged kills its new row, once. State: stream_join_state.h.
#include "exec/stream_join.h"
#include "exec/state_table.h"

static enum status take_columns(struct operator *op, uint32_t side, struct error *e) {
    struct stream_join_self *self = op->self;
    struct arena *a = &op->execution->arena;
    const struct plan_node *input = op->node->inputs[side];
    self->widths[side] = input->attribute_count;
    self->stored[side] = arena_alloc_array(a, input->attribute_count + 1, sizeof *self->stored[side]);
    const struct type **types = arena_alloc_array(a, input->attribute_count + 1, sizeof *types);
    if (!self->stored[side] || !types) return error_no_memory(e);
    for (uint32_t c = 0; c < input->attribute_count; c++) {
        if (input->wanted && !bitmap_get(input->wanted, c)) continue;
        const struct type *type = input->attributes[c].type;
        self->has_views[side] |= type_is_text(type) || type_is_nested(type);
        types[self->stored_counts[side]] = type;
        self->stored[side][self->stored_counts[side]++] = c;
    }
    for (uint32_t p = 0; p < KEY_PARTITIONS; p++) {
        self->parts[p].types[side] = types;
        self->parts[p].type_counts[side] = self->stored_counts[side];
    }
    return STATUS_OK;
}

// As in Spark, rows are late by a time that somebody reads: without, nothing depends on it, and they match as others do.
static uint32_t late_column(const struct operator *op, uint32_t side) {
    const struct plan_node *node = op->node;
    const struct join_time *t = node->join_time;
    uint32_t column = t->late_column[side], output = column + (side ? node->inputs[0]->attribute_count : 0);
    if (column == PLAN_NO_TIME || t->late_is_compared[side]) return column;
    bool is_read = output < node->attribute_count && (!node->wanted || bitmap_get(node->wanted, output));
    return is_read ? column : PLAN_NO_TIME;
}

static enum status compile(struct operator *op, struct error *e) {
    struct stream_join_self *self = op->self;
    struct execution *x = op->execution;
    struct arena *a = &x->arena;
    const struct plan_node *node = op->node;
    for (uint32_t side = 0; side < 2; side++) {
        struct expr *own = self->time->own[side];
        TRY(program_compile(a, x->config.session, side ? node->right_keys : node->left_keys, self->key_count, NULL, &self->keys[side], e));
        if (own) TRY(program_compile(a, x->config.session, &own, 1, NULL, &self->own[side], e));
    }
    struct expr *both = self->time->both;
    return both ? program_compile(a, x->config.session, &both, 1, NULL, &self->both, e) : STATUS_OK;
}

static enum status stream_join_open(struct operator *op, struct error *e) {
    struct execution *x = op->execution;
    const struct plan_node *node = op->node;
    struct stream_join_self *self = arena_alloc_zeroed(&x->arena, sizeof *self);
    const struct type **types = arena_alloc_array(&x->arena, node->join_key_count + 1, sizeof *types);
    if (!self || !types) return error_no_memory(e);
    if (!node->join_time) return error_set(e, STATUS_INTERNAL, NULL, "a join of two streams does not know its times");
    self->time = node->join_time;
    self->kind = node->join;
    self->is_current = !node->emits_closed;
    self->key_count = node->join_key_count;
    if (self->kind == JOIN_NULL_AWARE_ANTI || (self->kind == JOIN_ANTI && !self->is_current)) {
        return error_set(e, STATUS_UNSUPPORTED, NULL, "this kind of join of two streams is not supported");
    }
    for (uint32_t i = 0; i < self->key_count; i++) {
        types[i] = node->left_keys[i]->type;
        if (!type_equal_ignoring_names(types[i], node->right_keys[i]->type)) return error_set(e, STATUS_INTERNAL, NULL, "the keys of a join differ in type");
    }
    key_layout_init(&self->layout, types, self->key_count);
    for (uint32_t p = 0; p < KEY_PARTITIONS; p++) join_part_init(&self->parts[p], x->state_memory, &self->layout);
    op->self = self;
    for (uint32_t side = 0; side < 2; side++) {
        self->keeps[side] = plan_join_keeps(node, side);
        self->marks[side] = self->keeps[side] || (self->kind == JOIN_SEMI && side == 0);
        self->late_columns[side] = late_column(op, side);
        TRY(row_store_init(&self->pending[side], x, e));
        TRY(take_columns(op, side, e));
    }
    return compile(op, e);
}

static void clear_pending(struct stream_join_self *self) {
    for (uint32_t side = 0; side < 2; side++) row_store_clear(&self->pending[side]);
}

static enum status stream_join_begin(struct operator *op, struct error *e) {
    struct stream_join_self *self = op->self;
    clear_pending(self);
    for (uint32_t p = 0; p < KEY_PARTITIONS; p++) {
        if (join_part_index(&self->parts[p]) != STATUS_OK) return error_no_memory(e);
    }
    return STATUS_OK;
}

// --- rows in ---

// Of a window its end. False: NULL.
static bool time_at(const struct column *c, uint32_t row, int64_t *out) {
    if (!column_is_valid(c, row)) return false;
    if (c->type->id != TYPE_STRUCT) {
        *out = column_int64(c, row);
        return true;
    }
    const struct column *end = &column_base(c)->children[1];
    uint32_t at = column_index(c, row);
    if (!column_is_valid(end, at)) return false;
    *out = column_int64(end, at);
    return true;
}

static enum status report_late(struct operator *op, struct worker *w, uint32_t side, const struct batch *b, uint32_t row, int64_t time_us) {
    const struct late_handler *late = &op->execution->config.late;
    operator_count(op, w, time_us == NO_WATERMARK ? FATE_NULL_TIME : FATE_LATE, 1);
    if (!late->row || op->execution->batch) return STATUS_OK;
    enum status status = late->row(late->context, op->node, op->flow_name, op->node->inputs[side], b, row, time_us, op->late_us, &w->error);
    if (status != STATUS_OK) w->failed = true;
    return status;
}

static enum status narrow(struct worker *w, struct batch *d, const uint16_t *indices, uint32_t count) {
    d->selection = indices;
    d->selected_count = count;
    return indices ? STATUS_OK : worker_no_memory(w);
}

static enum status drop_late(struct operator *op, struct worker *w, uint32_t side, struct batch *d) {
    const struct stream_join_self *self = op->self;
    uint32_t late = self->late_columns[side], count = 0;
    if (op->late_us == NO_WATERMARK || late == PLAN_NO_TIME) return STATUS_OK;
    struct rows rows = batch_rows(d);
    uint16_t *indices = arena_alloc(&d->arena, sizeof *indices * (rows.count + 1));
    for (uint32_t i = 0; indices && i < rows.count; i++) {
        uint32_t row = rows_at(&rows, i);
        int64_t time;
        if (time_at(&d->columns[late], row, &time) && time <= op->late_us) TRY(report_late(op, w, side, d, row, time));
        else indices[count++] = (uint16_t)row;
    }
    return narrow(w, d, indices, count);
}

// Keys of the rows that are left. A row whose keys fail is dead.
static enum status make_keys(struct operator *op, struct worker *w, uint32_t side, struct batch *d, struct column *keys) {
    const struct stream_join_self *self = op->self;
    struct rows rows = batch_rows(d), kept;
    if (!self->key_count) return STATUS_OK;
    TRY(worker_run(w, self->keys[side], d, &d->arena, keys));
    TRY(worker_drop_failed(w, op, d, &rows, &d->arena, &kept));
    d->selection = kept.indices;
    d->selected_count = kept.count;
    return STATUS_OK;
}

static int64_t add_delay(int64_t time, int64_t delay_us) {
    int64_t sum;
    if (__builtin_add_overflow(time, delay_us, &sum)) return delay_us > 0 ? GROUP_NO_END - 1 : NO_WATERMARK + 1;
    return sum < GROUP_NO_END ? sum : GROUP_NO_END - 1;
}

// What becomes of each row, and when it leaves. A row without the time that says when is kept aside.
static enum status judge_rows(struct operator *op, struct worker *w, uint32_t side, struct batch *d, const struct column *keys, uint8_t *parts, int64_t *times) {
    const struct stream_join_self *self = op->self;
    const struct join_time *t = self->time;
    const struct column *time = !t->bounded[side] ? NULL : t->key != PLAN_NO_TIME ? &keys[t->key] : &d->columns[t->column[side]];
    struct rows rows = batch_rows(d);
    struct column verdict;
    memset(&verdict, 0, sizeof verdict);
    if (self->own[side]) TRY(worker_run(w, self->own[side], d, &d->arena, &verdict));
    uint16_t *indices = arena_alloc(&d->arena, sizeof *indices * (rows.count + 1));
    uint32_t count = 0;
    for (uint32_t i = 0; indices && i < rows.count; i++) {
        uint32_t row = rows_at(&rows, i);
        bool has_null = false;
        for (uint32_t k = 0; k < self->key_count; k++) has_null |= !column_is_valid(&keys[k], row);
        enum row_part part = ROW_JOINS;
        if (self->own[side] && !(column_is_valid(&verdict, row) && column_bool(&verdict, row))) part = self->keeps[side] ? ROW_ALONE : ROW_IGNORED;
        else if (has_null) part = !self->keeps[side] ? ROW_IGNORED : self->is_current ? ROW_ALONE : ROW_WAITS;
        int64_t at = GROUP_NO_END;
        if (time && part != ROW_ALONE) {
            if (!time_at(time, row, &at)) {
                TRY(report_late(op, w, side, d, row, NO_WATERMARK));
                continue;
            }
            at = add_delay(at, t->delay_us[side]);
        }
        parts[count] = (uint8_t)part;
        times[count] = at;
        indices[count++] = (uint16_t)row;
    }
    return narrow(w, d, indices, count);
}

static enum status encode_rows(struct operator *op, uint32_t side, struct batch *d, struct kept_side *kept) {
    const struct stream_join_self *self = op->self;
    struct rows rows = batch_rows(d);
    struct buffer bytes;
    buffer_init(&bytes, op->execution->memory);
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < rows.count && status == STATUS_OK; i++) {
        uint32_t row = rows_at(&rows, i);
        for (uint32_t k = 0; k < self->stored_counts[side] && status == STATUS_OK; k++) status = value_write(&d->columns[self->stored[side][k]], row, &bytes);
        if (bytes.size_bytes > UINT32_MAX) status = STATUS_LIMIT;
        kept->ends[i] = (uint32_t)bytes.size_bytes;
    }
    uint8_t *copy = status == STATUS_OK ? arena_alloc_aligned(&d->arena, bytes.size_bytes + 1, 1) : NULL;
    if (copy && bytes.size_bytes) memcpy(copy, bytes.data, bytes.size_bytes);
    kept->bytes = copy;
    buffer_release(&bytes);
    return status != STATUS_OK ? status : copy ? STATUS_OK : STATUS_NO_MEMORY;
}

static enum status deal_rows(struct kept_side *kept, struct arena *a, uint32_t row_count) {
    kept->positions = arena_alloc(a, sizeof(uint16_t) * (row_count + 1));
    if (!kept->positions) return STATUS_NO_MEMORY;
    uint32_t n = 0;
    for (uint32_t p = 0; p < KEY_PARTITIONS; p++) {
        kept->begins[p] = n;
        for (uint32_t i = 0; i < row_count; i++) {
            if (key_partition(kept->keys.hashes[i]) == p) kept->positions[n++] = (uint16_t)i;
        }
    }
    kept->begins[KEY_PARTITIONS] = n;
    return STATUS_OK;
}

static enum status fill_kept(struct operator *op, struct worker *w, uint32_t side, struct batch *d, struct kept_side *kept) {
    const struct stream_join_self *self = op->self;
    struct arena *a = &d->arena;
    struct column *keys = arena_alloc_array(a, self->key_count + 1, sizeof *keys);
    size_t room = (size_t)d->selected_count + 1;
    kept->parts = arena_alloc(a, room);
    kept->times = arena_alloc_array(a, room, sizeof *kept->times);
    kept->ends = arena_alloc_array(a, room, sizeof *kept->ends);
    kept->rows = arena_alloc_zeroed(a, room * sizeof *kept->rows);
    if (!keys || !kept->parts || !kept->times || !kept->ends || !kept->rows) return worker_no_memory(w);
    TRY(drop_late(op, w, side, d));
    TRY(make_keys(op, w, side, d, keys));
    TRY(judge_rows(op, w, side, d, keys, kept->parts, kept->times));
    struct rows rows = batch_rows(d);
    enum status status = key_batch_make(&self->layout, keys, &rows, a, op->execution->memory, &kept->keys);
    if (status == STATUS_OK) status = encode_rows(op, side, d, kept);
    if (status == STATUS_OK) status = deal_rows(kept, a, rows.count);
    return status == STATUS_OK ? STATUS_OK : worker_fail(w, status, NULL, "the rows of a batch are too large to be joined");
}

static enum status stream_join_push(struct operator *op, struct worker *w, uint32_t side, struct batch *b) {
    struct stream_join_self *self = op->self;
    struct batch *d = batch_derive(b, op->execution->memory, b->column_count);
    struct kept_side *kept = d ? arena_alloc_zeroed(&d->arena, sizeof *kept) : NULL;
    if (!kept) {
        batch_unref(d);
        return worker_no_memory(w);
    }
    memcpy(d->columns, b->columns, sizeof *d->columns * b->column_count);
    enum status status = fill_kept(op, w, side, d, kept);
    if (status == STATUS_OK && d->selected_count) return row_store_keep(&self->pending[side], w, d, b->sequence, 0, kept);
    batch_unref(d);
    return status;
}

static enum status stream_join_prepare(struct operator *op, struct error *e) {
    struct stream_join_self *self = op->self;
    for (uint32_t side = 0; side < 2; side++) {
        if (row_store_merge(&self->pending[side]) != STATUS_OK) return error_no_memory(e);
    }
    return STATUS_OK;
}

static void stream_join_ended(struct operator *op) { clear_pending(op->self); }

// --- state ---

static void stream_join_commit(struct operator *op) {
    struct stream_join_self *self = op->self;
    for (uint32_t p = 0; p < KEY_PARTITIONS; p++) join_part_commit(&self->parts[p]);
}

static enum status stream_join_rollback(struct operator *op, struct error *e) {
    (void)e;
    struct stream_join_self *self = op->self;
    clear_pending(self);
    for (uint32_t p = 0; p < KEY_PARTITIONS; p++) join_part_rollback(&self->parts[p]);
    return STATUS_OK;
}

static enum status stream_join_log(struct operator *op, uint32_t part, struct buffer *out, struct error *e) {
    const struct stream_join_self *self = op->self;
    return join_part_log(&self->parts[part], out) == STATUS_OK ? STATUS_OK : error_no_memory(e);
}

static enum status stream_join_snapshot(struct operator *op, uint32_t part, struct buffer *out, struct error *e) {
    const struct stream_join_self *self = op->self;
    return join_part_snapshot(&self->parts[part], out) == STATUS_OK ? STATUS_OK : error_no_memory(e);
}

static enum status read_parts(struct operator *op, struct reader *in, enum status (*read)(struct join_part *, uint32_t, struct reader *), struct error *e) {
    struct stream_join_self *self = op->self;
    enum status status = STATUS_OK;
    for (uint32_t p = 0; p < KEY_PARTITIONS && status == STATUS_OK; p++) status = read(&self->parts[p], p, in);
    if (status == STATUS_NO_MEMORY) return error_no_memory(e);
    return status == STATUS_OK ? STATUS_OK : error_set(e, STATUS_CORRUPT, NULL, "the state of a join is corrupt");
}

static enum status stream_join_apply(struct operator *op, struct reader *in, struct error *e) { return read_parts(op, in, join_part_apply, e); }
static enum status stream_join_restore(struct operator *op, struct reader *in, struct error *e) { return read_parts(op, in, join_part_restore, e); }

static enum status stream_join_describe(struct operator *op, struct buffer *out) {
    const struct stream_join_self *self = op->self;
    const struct join_time *t = self->time;
    TRY(buffer_printf(out, "stream join %d %s", (int)self->kind, self->is_current ? "current" : "closing"));
    for (uint32_t i = 0; i < self->key_count; i++) {
        TRY(buffer_append_byte(out, ' '));
        TRY(type_print(self->layout.types[i], out));
    }
    for (uint32_t side = 0; side < 2; side++) {
        TRY(buffer_append_string(out, side ? " right(" : " left("));
        for (uint32_t k = 0; k < self->stored_counts[side]; k++) {
            TRY(buffer_printf(out, " %u ", self->stored[side][k]));
            TRY(type_print(self->parts[0].types[side][k], out));
        }
        TRY(buffer_append_byte(out, ')'));
        if (t->bounded[side]) TRY(buffer_printf(out, " by %u %u + %lld", t->key, t->column[side], (long long)t->delay_us[side]));
    }
    return STATUS_OK;
}

static void stream_join_clear(struct operator *op) {
    struct stream_join_self *self = op->self;
    clear_pending(self);
    for (uint32_t p = 0; p < KEY_PARTITIONS; p++) join_part_clear(&self->parts[p]);
}

static size_t stream_join_bytes(const struct operator *op, uint64_t *key_count) {
    const struct stream_join_self *self = op->self;
    size_t bytes = 0;
    for (uint32_t p = 0; p < KEY_PARTITIONS; p++) {
        bytes += join_part_bytes(&self->parts[p]);
        *key_count += self->parts[p].row_count;
    }
    return bytes;
}

static void stream_join_close(struct operator *op) {
    struct stream_join_self *self = op->self;
    for (uint32_t side = 0; side < 2; side++) row_store_release(&self->pending[side]);
    for (uint32_t p = 0; p < KEY_PARTITIONS; p++) join_part_release(&self->parts[p]);
}

static int64_t stream_join_earliest(struct operator *op) {
    struct stream_join_self *self = op->self;
    int64_t earliest = INT64_MAX;
    for (uint32_t p = 0; p < KEY_PARTITIONS; p++) {
        for (uint32_t side = 0; side < 2; side++) {
            if (!self->time->bounded[side]) continue;
            if (join_part_index(&self->parts[p]) != STATUS_OK) return INT64_MIN + 1;  // the epoch's begin says why
            int64_t one = time_index_earliest(&self->parts[p].times[side]);
            if (one < earliest) earliest = one;
        }
    }
    return earliest;
}

const struct operator_class stream_join_class = {
    .name = "Join", .partition_count = KEY_PARTITIONS, .open = stream_join_open, .begin = stream_join_begin, .push = stream_join_push,
    .prepare = stream_join_prepare, .finish = stream_join_finish, .ended = stream_join_ended, .commit = stream_join_commit, .rollback = stream_join_rollback,
    .state_parts = KEY_PARTITIONS, .log_changes = stream_join_log, .apply_changes = stream_join_apply, .snapshot = stream_join_snapshot,
    .restore = stream_join_restore, .describe_state = stream_join_describe, .clear = stream_join_clear, .bytes = stream_join_bytes,
    .close = stream_join_close, .earliest = stream_join_earliest,
};
