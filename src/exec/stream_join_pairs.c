// SPDX-License-Identifier: Apache-2.0
// stream_join_pairs.c: one key partition of a join of two streams at the end of an epoch:
//
//     new left rows  ─► state ─► pairs with the right rows of before ─┐
//     new right rows ─► state ─► pairs with all left rows ────────────┴► judged, marked, out: 4,096 at a time
//     rows without a match: at once (a result kept up to date), or when they leave the state
//
// The pairs of one new row are judged together where they fit, so that none of them is out when another cannot be judged.
#include "exec/state_table.h"
#include "exec/stream_join.h"

struct slice {                       // a row in leat's own encoding; NULL: NULLs stand for it
    const uint8_t *bytes;
    uint32_t size_bytes;
};

struct pair {
    struct join_row *rows[2];
    const struct kept_batch *from;   // of the new one
    uint16_t position;
};

struct settling {
    struct operator *op;
    struct worker *worker;
    struct join_part *part;
    uint32_t key_partition;
    uint64_t number;                 // of the next batch
    struct arena arena;
    struct pair *pairs;
    uint32_t pair_count;
    uint32_t new_side;
    struct slice *alone;             // of side alone_side, with alone_weight
    uint32_t alone_count;
    uint32_t alone_side;
    int8_t alone_weight;
};

static bool only_left(const struct stream_join_self *self) { return self->kind == JOIN_SEMI || self->kind == JOIN_ANTI; }

// --- rows out ---

static bool decode_row(const struct stream_join_self *self, uint32_t side, const struct slice *s, const uint8_t *bytes, struct column_builder *builders) {
    struct reader in = reader_of(bytes, s->size_bytes);
    for (uint32_t k = 0; k < self->stored_counts[side]; k++) {
        if (s->bytes) value_read(&in, &builders[k]);
        else column_builder_append_null(&builders[k]);
    }
    return !s->bytes || (!in.failed && in.next == in.end);
}

// Columns of one side of `count` rows. What strings point to is copied: the state may be gone before the batch is.
static enum status decode_side(const struct settling *s, uint32_t side, const struct slice *slices, uint32_t count, struct arena *a, struct column *out) {
    const struct stream_join_self *self = s->op->self;
    const struct plan_node *input = s->op->node->inputs[side];
    struct column_builder *builders = arena_alloc_array(a, self->stored_counts[side] + 1, sizeof *builders);
    if (!builders) return STATUS_NO_MEMORY;
    for (uint32_t k = 0; k < self->stored_counts[side]; k++) column_builder_init(&builders[k], a, s->part->types[side][k]);
    const uint8_t *bytes = NULL;
    for (uint32_t i = 0; i < count; i++) {
        if (!self->has_views[side]) bytes = slices[i].bytes;
        else if (slices[i].bytes && (i == 0 || slices[i].bytes != slices[i - 1].bytes)) {
            uint8_t *copy = arena_alloc_aligned(a, (size_t)slices[i].size_bytes + 1, 1);
            if (!copy) return STATUS_NO_MEMORY;
            memcpy(copy, slices[i].bytes, slices[i].size_bytes);
            bytes = copy;
        }
        if (!decode_row(self, side, &slices[i], bytes, builders)) return STATUS_CORRUPT;
    }
    for (uint32_t c = 0; c < self->widths[side]; c++) TRY(column_make_constant_null(a, input->attributes[c].type, count, &out[c]));
    for (uint32_t k = 0; k < self->stored_counts[side]; k++) TRY(column_builder_finish(&builders[k], &out[self->stored[side][k]]));
    return STATUS_OK;
}

// A batch of both sides' columns, or of the left's alone. sides[i] NULL: NULLs.
static enum status decode_batch(struct settling *s, const struct slice *const sides[2], uint32_t count, bool left_alone, struct batch **out) {
    const struct stream_join_self *self = s->op->self;
    struct operator *op = s->op;
    uint32_t width = self->widths[0] + (left_alone ? 0 : self->widths[1]);
    struct batch *b = operator_batch(op, operator_sequence(op, s->key_partition, s->number++), count, width);
    if (!b) return worker_no_memory(s->worker);
    enum status status = STATUS_OK;
    for (uint32_t side = 0; side < (left_alone ? 1u : 2u) && status == STATUS_OK; side++) {
        struct column *columns = b->columns + (side ? self->widths[0] : 0);
        if (sides[side]) {
            status = decode_side(s, side, sides[side], count, &b->arena, columns);
            continue;
        }
        for (uint32_t c = 0; c < self->widths[side] && status == STATUS_OK; c++) {
            status = column_make_constant_null(&b->arena, op->node->inputs[side]->attributes[c].type, count, &columns[c]);
        }
    }
    if (status == STATUS_OK) {
        *out = b;
        return STATUS_OK;
    }
    batch_unref(b);
    return worker_fail(s->worker, status, NULL, "the state of a join is corrupt");
}

static enum status emit_rows(struct settling *s, struct batch *b) {
    operator_count(s->op, s->worker, FATE_MADE, b->selected_count);
    return operator_emit(s->op, s->worker, b);
}

// --- rows without a match ---

static enum status flush_alone(struct settling *s) {
    const struct stream_join_self *self = s->op->self;
    const struct slice *sides[2] = {s->alone_side == 0 ? s->alone : NULL, s->alone_side == 1 ? s->alone : NULL};
    struct batch *out;
    uint32_t count = s->alone_count;
    if (!count) return STATUS_OK;
    s->alone_count = 0;
    TRY(decode_batch(s, sides, count, only_left(self), &out));
    enum status status = STATUS_OK;
    if (s->alone_weight < 0) {
        int8_t *weights = arena_alloc(&out->arena, count);
        if (weights) memset(weights, -1, count);
        out->weights = weights;
        if (!weights) status = worker_no_memory(s->worker);
    }
    if (status == STATUS_OK) status = emit_rows(s, out);
    batch_unref(out);
    return status;
}

static enum status add_alone(struct settling *s, uint32_t side, int8_t weight, const uint8_t *bytes, uint32_t size_bytes) {
    if (s->alone_side != side || s->alone_weight != weight || s->alone_count == BATCH_ROWS) TRY(flush_alone(s));
    if (!s->alone && !(s->alone = arena_alloc_array(&s->arena, BATCH_ROWS, sizeof *s->alone))) return worker_no_memory(s->worker);
    s->alone_side = side;
    s->alone_weight = weight;
    s->alone[s->alone_count++] = (struct slice){.bytes = bytes, .size_bytes = size_bytes};
    return STATUS_OK;
}

// --- pairs ---

// Pairs that could not be judged: the new row dies, whatever else it would match.
static enum status bury_rows(struct settling *s, struct arena *a) {
    struct worker *w = s->worker;
    uint32_t count = w->eval.error_count;
    if (!count) return STATUS_OK;
    struct row_error *errors = arena_alloc(a, count * sizeof *errors);
    if (!errors) return worker_no_memory(w);
    memcpy(errors, w->eval.errors, count * sizeof *errors);
    for (uint32_t i = 0; i < count; i++) {
        const struct pair *pair = &s->pairs[errors[i].row];
        struct join_row *row = pair->rows[s->new_side];
        if (row->dead) continue;
        row->dead = true;
        struct rows of_batch = batch_rows(pair->from->batch);
        w->eval.errors[0] = errors[i];
        w->eval.errors[0].row = (uint16_t)rows_at(&of_batch, pair->position);
        w->eval.error_count = 1;
        TRY(worker_report_failed(w, s->op, pair->from->batch));
    }
    w->eval.error_count = 0;
    return STATUS_OK;
}

// Which pairs come out; marks rows that have matched. A semi join's come out with the first match of their left row.
static enum status judge_pairs(struct settling *s, struct batch *b) {
    const struct stream_join_self *self = s->op->self;
    struct column verdict;
    memset(&verdict, 0, sizeof verdict);
    if (self->both) {
        TRY(worker_run(s->worker, self->both, b, &b->arena, &verdict));
        TRY(bury_rows(s, &b->arena));
    }
    uint16_t *selection = arena_alloc(&b->arena, sizeof *selection * (b->row_count + 1));
    if (!selection) return worker_no_memory(s->worker);
    uint32_t n = 0;
    for (uint32_t i = 0; i < b->row_count; i++) {
        struct join_row *const *rows = s->pairs[i].rows;
        if (self->both && !(column_is_valid(&verdict, i) && column_bool(&verdict, i))) continue;
        if (rows[s->new_side]->dead || (self->kind == JOIN_SEMI && rows[0]->matched)) continue;
        for (uint32_t side = 0; side < 2; side++) {
            if (self->marks[side] && join_part_match(s->part, rows[side]) != STATUS_OK) return worker_no_memory(s->worker);
        }
        selection[n++] = (uint16_t)i;
    }
    b->selection = selection;
    b->selected_count = n;
    return STATUS_OK;
}

static enum status emit_left(struct settling *s, struct batch *pairs) {
    const struct stream_join_self *self = s->op->self;
    struct batch *out = batch_derive(pairs, s->op->execution->memory, self->widths[0]);
    if (!out) return worker_no_memory(s->worker);
    memcpy(out->columns, pairs->columns, sizeof *out->columns * self->widths[0]);
    enum status status = emit_rows(s, out);
    batch_unref(out);
    return status;
}

static enum status flush_pairs(struct settling *s) {
    const struct stream_join_self *self = s->op->self;
    const struct execution *x = s->op->execution;
    uint32_t count = s->pair_count;
    if (!count) return STATUS_OK;
    if (x->run && x->run->interrupted && *x->run->interrupted) return worker_fail(s->worker, STATUS_INTERRUPTED, NULL, "interrupted");
    struct batch *out;
    arena_reset(&s->worker->scratch);
    struct slice *slices[2];
    for (uint32_t side = 0; side < 2; side++) {
        slices[side] = arena_alloc_array(&s->worker->scratch, count, sizeof *slices[side]);
        if (!slices[side]) return worker_no_memory(s->worker);
        for (uint32_t i = 0; i < count; i++) slices[side][i] = (struct slice){.bytes = s->pairs[i].rows[side]->bytes, .size_bytes = s->pairs[i].rows[side]->size_bytes};
    }
    const struct slice *const sides[2] = {slices[0], slices[1]};
    TRY(decode_batch(s, sides, count, false, &out));
    enum status status = judge_pairs(s, out);
    if (status == STATUS_OK && self->kind == JOIN_SEMI) status = emit_left(s, out);
    else if (status == STATUS_OK && self->kind != JOIN_ANTI) status = emit_rows(s, out);
    s->pair_count = 0;
    batch_unref(out);
    return status;
}

static enum status add_pairs(struct settling *s, const struct kept_batch *from, uint16_t position, struct join_row *row, struct join_row *first) {
    const struct stream_join_self *self = s->op->self;
    if (!s->pairs && !(s->pairs = arena_alloc_array(&s->arena, BATCH_ROWS, sizeof *s->pairs))) return worker_no_memory(s->worker);
    uint32_t room = BATCH_ROWS - s->pair_count, wanted = 0;
    if (self->both && s->pair_count) {
        for (struct join_row *other = first; other && wanted <= room; other = other->next) wanted++;
        if (wanted > room) TRY(flush_pairs(s));
    }
    for (struct join_row *other = first; other && !row->dead; other = other->next) {
        if (other->dead || (self->kind == JOIN_SEMI && (other->side == 0 ? other : row)->matched)) continue;
        if (s->pair_count == BATCH_ROWS) TRY(flush_pairs(s));
        struct pair *pair = &s->pairs[s->pair_count++];
        *pair = (struct pair){.from = from, .position = position};
        pair->rows[s->new_side] = row;
        pair->rows[1 - s->new_side] = other;
    }
    return STATUS_OK;
}

// The rows of a NULL key have chains as others do, and are passed over: ROW_WAITS.
static enum status settle_new(struct settling *s, const struct kept_batch *from) {
    struct kept_side *kept = from->extra;
    uint32_t side = s->new_side, p = s->key_partition;
    for (uint32_t i = kept->begins[p]; i < kept->begins[p + 1]; i++) {
        uint16_t at = kept->positions[i];
        if (kept->parts[at] >= ROW_ALONE) continue;
        uint32_t begin = kept_begin(kept, at);
        struct join_row *row = join_part_add(s->part, side, &kept->keys.keys[at], kept->keys.hashes[at], kept->bytes + begin, kept->ends[at] - begin);
        if (!row) return worker_no_memory(s->worker);
        kept->rows[at] = row;
        if (kept->parts[at] == ROW_WAITS) continue;
        struct join_chain *chains = group_state(row->key, 0);
        if (chains[1 - side].first) TRY(add_pairs(s, from, at, row, chains[1 - side].first));
    }
    return STATUS_OK;
}

// After all pairs: the fate of the new rows.
static enum status close_new(struct settling *s, uint32_t side, struct kept_side *kept) {
    const struct stream_join_self *self = s->op->self;
    for (uint32_t i = kept->begins[s->key_partition]; i < kept->begins[s->key_partition + 1]; i++) {
        uint16_t at = kept->positions[i];
        struct join_row *row = kept->rows[at];
        uint32_t begin = kept_begin(kept, at);
        if (row && row->dead) continue;  // counted when it died
        operator_count(s->op, s->worker, FATE_ABSORBED, 1);
        bool alone = row ? self->is_current && self->keeps[side] && !row->matched : kept->parts[at] == ROW_ALONE;
        if (alone) TRY(add_alone(s, side, 1, kept->bytes + begin, kept->ends[at] - begin));
        if (!row) continue;
        if (self->kind == JOIN_SEMI && side == 0 && row->matched) row->dead = true;  // it is out, and nothing waits for it
        else if (join_part_leave_at(s->part, row, kept->times[at]) != STATUS_OK) return worker_no_memory(s->worker);
    }
    return STATUS_OK;
}

// Rows of before that were in the result without a match, and have one now.
static enum status take_back(struct settling *s) {
    const struct stream_join_self *self = s->op->self;
    for (size_t i = 0; i < s->part->matched.count; i++) {
        const struct join_row *row = *(struct join_row **)vector_at(&s->part->matched, i);
        if (self->keeps[row->side] && !join_row_is_new(s->part, row)) TRY(add_alone(s, row->side, -1, row->bytes, row->size_bytes));
    }
    return STATUS_OK;
}

static enum status end_rows(struct settling *s, uint32_t side, struct vector *taken) {
    const struct stream_join_self *self = s->op->self;
    vector_clear(taken);
    if (join_part_end(s->part, side, s->op->close_us, taken) != STATUS_OK) return worker_no_memory(s->worker);
    for (size_t i = 0; i < taken->count && self->keeps[side] && !self->is_current; i++) {
        const struct join_row *row = *(struct join_row **)vector_at(taken, i);
        if (!row->matched) TRY(add_alone(s, side, 1, row->bytes, row->size_bytes));
    }
    return STATUS_OK;
}

static enum status settle(struct settling *s) {
    const struct stream_join_self *self = s->op->self;
    for (uint32_t side = 0; side < 2; side++) {
        s->new_side = side;
        for (uint32_t i = 0; i < self->pending[side].all.count; i++) TRY(settle_new(s, row_store_at(&self->pending[side], i)));
        TRY(flush_pairs(s));
    }
    if (self->is_current) TRY(take_back(s));
    for (uint32_t side = 0; side < 2; side++) {
        for (uint32_t i = 0; i < self->pending[side].all.count; i++) TRY(close_new(s, side, row_store_at(&self->pending[side], i)->extra));
    }
    struct vector taken;
    vector_init(&taken, s->op->execution->memory, sizeof(struct join_row *));
    enum status status = STATUS_OK;
    for (uint32_t side = 0; side < 2 && s->op->close_us != NO_WATERMARK && status == STATUS_OK; side++) {
        if (self->time->bounded[side]) status = end_rows(s, side, &taken);
    }
    vector_release(&taken);
    return status == STATUS_OK ? flush_alone(s) : status;
}

enum status stream_join_finish(struct operator *op, struct worker *w, uint32_t key_partition) {
    struct stream_join_self *self = op->self;
    struct settling s = {.op = op, .worker = w, .part = &self->parts[key_partition], .key_partition = key_partition};
    arena_init(&s.arena, op->execution->memory);
    enum status status = settle(&s);
    arena_release(&s.arena);
    return status;
}
