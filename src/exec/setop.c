// SPDX-License-Identifier: Apache-2.0
// setop.c: INTERSECT and EXCEPT, with and without ALL. Batch only: both sides are kept, finish counts rows by value and lets left rows through
// in their order. A NULL equals a NULL.
//
//     INTERSECT      first copy, if right has it          INTERSECT ALL   copies up to right's count
//     EXCEPT         first copy, if right has it not      EXCEPT ALL      copies beyond right's count
#include "exec/row_store.h"
#include "exec/state_table.h"

enum { LEFT_SIDE = 0, RIGHT_SIDE = 1 };

struct setop_self {
    struct row_store rows;        // tag: the side
    struct key_layout layout;
};

struct setop_group {
    int64_t right, left;          // copies; of the left, those met so far
};

static enum status setop_open(struct operator *op, struct error *e) {
    struct arena *a = &op->execution->arena;
    struct setop_self *self = arena_alloc_zeroed(a, sizeof *self);
    const struct type **types = attribute_types(a, op->node);
    if (!self || !types) return error_no_memory(e);
    key_layout_init(&self->layout, types, op->node->attribute_count);
    op->self = self;
    return row_store_init(&self->rows, op->execution, e);
}

static enum status setop_begin(struct operator *op, struct error *e) {
    if (op->execution->batch) return STATUS_OK;
    return error_set(e, STATUS_UNSUPPORTED, NULL, "INTERSECT and EXCEPT over streams are not supported");
}

static enum status setop_push(struct operator *op, struct worker *w, uint32_t input_index, struct batch *b) {
    struct setop_self *self = op->self;
    struct rows rows = batch_rows(b);
    struct batch *copy = batch_compact(b, &rows, op->execution->memory);
    if (!copy) return worker_no_memory(w);
    return row_store_keep(&self->rows, w, copy, b->sequence, input_index, NULL);
}

static enum status setop_prepare(struct operator *op, struct error *e) {
    return row_store_merge(&((struct setop_self *)op->self)->rows) == STATUS_OK ? STATUS_OK : error_no_memory(e);
}

static bool passes(const struct plan_node *node, struct setop_group *g) {
    int64_t copy = g->left++;
    if (node->kind == PLAN_INTERSECT) return node->all ? copy < g->right : copy == 0 && g->right > 0;
    return node->all ? copy >= g->right : copy == 0 && g->right == 0;
}

static enum status pass_left(struct operator *op, struct worker *w, struct batch *b, struct group *const *groups) {
    uint16_t *selection = arena_alloc(&b->arena, sizeof *selection * (b->row_count + 1));
    if (!selection) return worker_no_memory(w);
    uint32_t count = 0;
    for (uint32_t row = 0; row < b->row_count; row++) {
        if (passes(op->node, group_state(groups[row], 0))) selection[count++] = (uint16_t)row;
    }
    operator_count(op, w, FATE_PASSED, count);
    operator_count(op, w, FATE_FILTERED, b->row_count - count);
    b->selection = selection;
    b->selected_count = count;
    return operator_emit(op, w, b);
}

static enum status run_side(struct operator *op, struct worker *w, struct hash_table *table, uint32_t side) {
    struct setop_self *self = op->self;
    for (uint32_t i = 0; i < self->rows.all.count && !operator_is_done(op); i++) {
        struct kept_batch *kept = row_store_at(&self->rows, i);
        struct batch *b = kept->batch;
        if (kept->tag != side) continue;
        struct key_batch keys;
        struct rows rows = {.count = b->row_count};
        struct group **groups = arena_alloc_array(&b->arena, b->row_count + 1, sizeof *groups);
        if (!groups || key_batch_make(&self->layout, b->columns, &rows, &b->arena, op->execution->memory, &keys) != STATUS_OK) return worker_no_memory(w);
        for (uint32_t row = 0; row < b->row_count; row++) {
            bool added;
            groups[row] = table_find_or_add(table, &keys.keys[row], keys.hashes[row], &added);
            if (!groups[row]) return worker_no_memory(w);
            if (side == RIGHT_SIDE) ((struct setop_group *)group_state(groups[row], 0))->right++;
        }
        if (side == LEFT_SIDE) TRY(pass_left(op, w, b, groups));
        else operator_count(op, w, FATE_ABSORBED, b->row_count);
    }
    return STATUS_OK;
}

static enum status setop_finish(struct operator *op, struct worker *w, uint32_t key_partition) {
    (void)key_partition;
    struct setop_self *self = op->self;
    struct hash_table table;
    table_init(&table, op->execution->memory, sizeof(struct setop_group));
    enum status status = run_side(op, w, &table, RIGHT_SIDE);
    if (status == STATUS_OK) status = run_side(op, w, &table, LEFT_SIDE);
    table_release(&table);
    row_store_clear(&self->rows);
    return status;
}

static enum status setop_rollback(struct operator *op, struct error *e) {
    (void)e;
    row_store_clear(&((struct setop_self *)op->self)->rows);
    return STATUS_OK;
}

static void setop_close(struct operator *op) { row_store_release(&((struct setop_self *)op->self)->rows); }

const struct operator_class setop_class = {
    .name = "SetOperation", .partition_count = 1, .open = setop_open, .begin = setop_begin, .push = setop_push, .prepare = setop_prepare,
    .finish = setop_finish, .rollback = setop_rollback, .close = setop_close,
};
