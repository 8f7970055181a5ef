// SPDX-License-Identifier: Apache-2.0
// aggregate_values.c: min, max, min_by and max_by over rows that can be taken back. Every row's arguments are state, in the order in which the call
// looks at them, so that the next one is known when the best is taken back:
//
//     key      group's key · last argument as sort key, inverted for the greatest · sign of zero · arguments as encoded · their length (4 bytes)
//     weight   how often                                                   memcmp order: a group's rows stand together, the best first
//
// One table a call and key partition, logged and taken back entry by entry as groups are: a change costs what it changes, however many values a group
// has. The call's own state holds the best row alone, as over an append; it is made anew at the end of the epoch for the groups whose rows changed.
#include "exec/aggregate.h"
#include "exec/sort_key.h"
#include <math.h>

enum { TAIL_BYTES = 4, SIGN_BYTES = 1 };

static struct value_plan *plan_of(struct aggregate_self *self, const struct call_plan *c) { return &self->values[c->values]; }

enum status aggregate_open_values(struct operator *op, struct error *e) {
    struct aggregate_self *self = op->self;
    struct arena *a = &op->execution->arena;
    struct memory *memory = op->execution->state_memory;
    self->values = arena_alloc_array(a, self->value_count + 1, sizeof *self->values);
    if (!self->values) return error_no_memory(e);
    for (uint32_t k = 0; k < self->call_count; k++) {
        if (self->calls[k].values == UINT32_MAX) continue;
        struct value_plan *v = plan_of(self, &self->calls[k]);
        const struct type **types = arena_alloc_array(a, 1, sizeof *types);
        if (!types) return error_no_memory(e);
        types[0] = &type_binary;
        key_layout_init(&v->layout, types, 1);
        v->call = k;
        for (uint32_t p = 0; p < KEY_PARTITIONS; p++) {
            state_table_init(&v->tables[p], memory, sizeof(struct order_links), &v->layout, NULL, NULL);
            key_order_init(&v->orders[p]);
        }
    }
    return STATUS_OK;
}

static bool is_negative_zero(const struct column *c, uint32_t row) {
    if (c->type->id == TYPE_DOUBLE) return column_double(c, row) == 0 && signbit(column_double(c, row));
    return c->type->id == TYPE_FLOAT && column_float(c, row) == 0 && signbit(column_float(c, row));
}

static enum status write_value_key(const struct group *g, const struct column *const *args, uint32_t arg_count, uint32_t row, bool greatest, struct buffer *out) {
    const struct column *by = args[arg_count - 1];
    buffer_clear(out);
    TRY(key_write(&g->key, out));
    TRY(sort_key_write(by, row, greatest, true, out));
    TRY(buffer_append_byte(out, is_negative_zero(by, row) == greatest));  // −0.0 below 0.0, which their codes do not tell apart
    size_t begin = out->size_bytes;
    for (uint32_t i = 0; i < arg_count; i++) TRY(value_write(args[i], row, out));
    return write_fixed32(out, (uint32_t)(out->size_bytes - begin));
}

enum status aggregate_keep_values(struct operator *op, uint32_t call, struct group *const *groups, const struct column *const *args, const struct rows *rows,
                                  const int8_t *weights) {
    struct aggregate_self *self = op->self;
    const struct call_plan *c = &self->calls[call];
    struct value_plan *v = plan_of(self, c);
    bool greatest = (c->ops->flags & AGGREGATE_OF_GREATEST) != 0;
    struct buffer bytes;
    buffer_init(&bytes, op->execution->memory);
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < rows->count && status == STATUS_OK; i++) {
        uint32_t row = rows_at(rows, i), p = key_partition(groups[i]->hash);
        if (!column_is_valid(args[c->arg_count - 1], row)) continue;
        if (v->orders[p].is_stale) key_order_build(&v->orders[p], &v->tables[p].table);
        status = write_value_key(groups[i], args, c->arg_count, row, greatest, &bytes);
        if (status != STATUS_OK) break;
        struct string_view key = string_view_of((const char *)bytes.data, bytes.size_bytes);
        bool added;
        struct group *value = state_group(&v->tables[p], &key, key_hash(&v->layout, &key), &added);
        if (!value) {
            status = STATUS_NO_MEMORY;
            break;
        }
        if (added) key_order_insert(&v->orders[p], value);
        value->weight += weights ? weights[row] : 1;
    }
    buffer_release(&bytes);
    return status;
}

static bool is_first_of(const struct group *value, const struct string_view *prefix) { return value && key_begins_with(&value->key, prefix); }

// The best row of a group that is there; *out NULL: none is.
static enum status first_value(const struct value_plan *v, const struct group *g, uint32_t p, struct buffer *bytes, struct group **out) {
    buffer_clear(bytes);
    TRY(key_write(&g->key, bytes));
    struct string_view prefix = string_view_of((const char *)bytes->data, bytes->size_bytes);
    *out = key_order_seek(&v->orders[p], &prefix);
    while (is_first_of(*out, &prefix) && (*out)->weight <= 0) *out = key_order_next(&v->orders[p], *out);
    if (!is_first_of(*out, &prefix)) *out = NULL;
    return STATUS_OK;
}

// Appends a kept row's arguments. *negative: the last one is −0.0.
static enum status read_value(const struct call_plan *c, const struct group *value, struct column_builder *builders, bool *negative) {
    const char *bytes = string_view_data(&value->key);
    size_t size = value->key.size_bytes;
    if (size < TAIL_BYTES + SIGN_BYTES) return STATUS_CORRUPT;
    struct reader tail = reader_of(bytes + size - TAIL_BYTES, TAIL_BYTES);
    size_t encoded = read_fixed32(&tail);
    if (encoded > size - TAIL_BYTES - SIGN_BYTES) return STATUS_CORRUPT;
    const char *begin = bytes + size - TAIL_BYTES - encoded;
    *negative = (begin[-1] != 0) == ((c->ops->flags & AGGREGATE_OF_GREATEST) != 0);
    struct reader in = reader_of(begin, encoded);
    for (uint32_t i = 0; i < c->arg_count; i++) value_read(&in, &builders[i]);
    return in.failed ? STATUS_CORRUPT : STATUS_OK;
}

static void set_negative_zeros(struct column *c, const bool *negative) {
    for (uint32_t i = 0; i < c->row_count; i++) {
        if (!negative[i]) continue;
        if (c->type->id == TYPE_DOUBLE && ((double *)c->values)[i] == 0) ((double *)c->values)[i] = -0.0;
        if (c->type->id == TYPE_FLOAT && ((float *)c->values)[i] == 0) ((float *)c->values)[i] = -0.0F;
    }
}

// Makes the states of some groups anew.
static enum status settle_groups(struct operator *op, struct worker *w, struct value_plan *v, const struct touched_group *touched, uint32_t count, uint32_t p,
                                 struct buffer *bytes) {
    struct aggregate_self *self = op->self;
    const struct call_plan *c = &self->calls[v->call];
    struct execution *x = op->execution;
    struct arena *a = &w->scratch;
    arena_reset(a);
    eval_begin(&w->eval, x->config.session, x->memory, a, NULL, x->now_us, count);
    struct aggregate_context context = aggregate_context_for(self, x, v->call, x->state_memory, &w->eval);
    void **states = arena_alloc_array(a, count, sizeof *states);
    bool *negative = arena_alloc_array(a, count, sizeof *negative);
    struct column_builder *builders = arena_alloc_array(a, c->arg_count, sizeof *builders);
    struct column *columns = arena_alloc_array(a, c->arg_count, sizeof *columns);
    const struct column **args = arena_alloc_array(a, c->arg_count, sizeof *args);
    if (!states || !negative || !builders || !columns || !args) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < c->arg_count; i++) column_builder_init(&builders[i], a, c->arg_types[i]);
    uint32_t n = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct group *value;
        void *state = group_state(touched[i].group, c->state_offset);
        TRY(first_value(v, touched[i].group, p, bytes, &value));
        if (c->ops->release) c->ops->release(state, &context);
        memset(state, 0, c->ops->state_bytes);
        if (!value) continue;
        TRY(read_value(c, value, builders, &negative[n]));
        states[n++] = state;
    }
    for (uint32_t i = 0; i < c->arg_count; i++) {
        TRY(column_builder_finish(&builders[i], &columns[i]));
        args[i] = &columns[i];
    }
    set_negative_zeros(&columns[c->arg_count - 1], negative);
    struct rows rows = {.count = n};
    return n ? c->ops->update(states, args, &rows, NULL, &context) : STATUS_OK;
}

enum status aggregate_settle_values(struct operator *op, struct worker *w, uint32_t p) {
    struct aggregate_self *self = op->self;
    const struct vector *touched = &self->tables[p].touched;
    struct buffer bytes;
    buffer_init(&bytes, op->execution->memory);
    enum status status = STATUS_OK;
    for (uint32_t k = 0; k < self->value_count && status == STATUS_OK; k++) {
        struct value_plan *v = &self->values[k];
        if (v->orders[p].is_stale) key_order_build(&v->orders[p], &v->tables[p].table);
        for (size_t begin = 0; begin < touched->count && status == STATUS_OK; begin += BATCH_ROWS) {
            size_t left = touched->count - begin;
            status = settle_groups(op, w, v, vector_at(touched, begin), left < BATCH_ROWS ? (uint32_t)left : BATCH_ROWS, p, &bytes);
        }
    }
    buffer_release(&bytes);
    return status == STATUS_OK ? STATUS_OK : worker_fail(w, status, NULL, "the first of a group's values could not be found");
}

enum status aggregate_end_values(struct operator *op, const struct vector *groups, uint32_t p) {
    struct aggregate_self *self = op->self;
    struct buffer bytes;
    buffer_init(&bytes, op->execution->memory);
    enum status status = STATUS_OK;
    for (uint32_t k = 0; k < self->value_count; k++) {
        struct value_plan *v = &self->values[k];
        if (v->orders[p].is_stale) key_order_build(&v->orders[p], &v->tables[p].table);
        for (size_t i = 0; i < groups->count && status == STATUS_OK; i++) {
            struct group *g = *(struct group **)vector_at(groups, i);
            buffer_clear(&bytes);
            status = key_write(&g->key, &bytes);
            struct string_view prefix = string_view_of((const char *)bytes.data, bytes.size_bytes);
            struct group *value = status == STATUS_OK ? key_order_seek(&v->orders[p], &prefix) : NULL;
            for (; is_first_of(value, &prefix) && status == STATUS_OK; value = key_order_next(&v->orders[p], value)) {
                status = state_end_group(&v->tables[p], value);
            }
        }
    }
    buffer_release(&bytes);
    return status;
}

void aggregate_commit_values(struct operator *op, uint32_t p) {
    struct aggregate_self *self = op->self;
    for (uint32_t k = 0; k < self->value_count; k++) {
        struct value_plan *v = &self->values[k];
        for (size_t i = 0; i < v->tables[p].touched.count && !v->orders[p].is_stale; i++) {
            const struct touched_group *t = vector_at(&v->tables[p].touched, i);
            if (t->group->weight == 0) key_order_remove(&v->orders[p], t->group);
        }
        state_commit(&v->tables[p]);
    }
}

enum status aggregate_rollback_values(struct operator *op, uint32_t p) {
    struct aggregate_self *self = op->self;
    enum status status = STATUS_OK;
    for (uint32_t k = 0; k < self->value_count; k++) {
        struct value_plan *v = &self->values[k];
        if (v->tables[p].touched.count) v->orders[p].is_stale = true;
        enum status one = state_rollback(&v->tables[p]);
        if (one != STATUS_OK) status = one;
    }
    return status;
}

enum status aggregate_apply_values(struct operator *op, uint32_t p, struct reader *in) {
    struct aggregate_self *self = op->self;
    enum status status = STATUS_OK;
    for (uint32_t k = 0; k < self->value_count && status == STATUS_OK; k++) {
        self->values[k].orders[p].is_stale = true;
        status = state_apply(&self->values[k].tables[p], 1, in);
    }
    return status;
}

void aggregate_clear_values(struct operator *op, uint32_t p) {
    struct aggregate_self *self = op->self;
    for (uint32_t k = 0; k < self->value_count; k++) {
        state_table_clear(&self->values[k].tables[p]);
        self->values[k].orders[p].root = NULL;
        self->values[k].orders[p].is_stale = false;
    }
}
