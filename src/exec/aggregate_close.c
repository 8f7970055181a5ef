// SPDX-License-Identifier: Apache-2.0
// aggregate_close.c: groups that event time ends. One of the keys is an event time, or a window of it:
//
//     row     time ≤ late: it is late        NULL: it has no group           (both leave for leat_late)
//     group   time ≤ close: it ends          its row leaves now (emits_closed) or has left with its last change; its state goes with the commit
//
// `time` is the key's value, of a window its end. As Spark does, rows are measured by the watermark of the epoch before, groups by this one's.
#include "exec/aggregate.h"

enum status aggregate_take_time_key(struct operator *op, struct error *e) {
    struct aggregate_self *self = op->self;
    const struct plan_node *node = op->node;
    self->time_key = plan_time_key(node);
    self->session_key = node->streaming && node->session_key ? node->session_key - 1 : NO_SESSION;
    self->closes = node->streaming && self->time_key != PLAN_NO_TIME;
    self->emits_closed = node->emits_closed;
    uint32_t window_key;
    const struct plan_node *window = plan_window_key(node, &window_key);
    self->in_panes = window && node->in_panes;
    if (window) key_layout_take_window(&self->layout, window_key, self->in_panes ? window->slide_us : window->window_us);
    if (self->in_panes) self->slide_us = window->slide_us, self->pane_rest_us = window->window_us - window->slide_us;
    if (self->emits_closed && !self->closes) return error_set(e, STATUS_INTERNAL, NULL, "groups of a stream never end: none of their keys is an event time");
    if (!self->closes) return STATUS_OK;
    const struct type *type = self->layout.types[self->time_key];
    self->time_is_window = type->id == TYPE_STRUCT;
    if (self->time_is_window && (type->field_count != 2 || type_width(type->fields[1].type) != sizeof(int64_t))) {
        return error_set(e, STATUS_INTERNAL, NULL, "an event time is neither a timestamp nor a window");
    }
    return STATUS_OK;
}

int64_t aggregate_time_of(const struct aggregate_self *self, const struct column *columns, uint32_t row) {
    const struct column *key = &columns[self->time_key];
    if (!column_is_valid(key, row)) return GROUP_NO_END;
    if (!self->time_is_window) return column_int64(key, row);
    const struct column *end = &column_base(key)->children[1];
    uint32_t at = column_index(key, row);
    return column_is_valid(end, at) ? column_int64(end, at) : GROUP_NO_END;
}

enum status aggregate_drop_late(struct operator *op, struct worker *w, const struct batch *b, const struct column *columns, const struct rows *rows, struct arena *a,
                                struct rows *kept) {
    const struct aggregate_self *self = op->self;
    struct rows from = *rows;
    *kept = from;
    if (op->execution->batch) return STATUS_OK;
    uint32_t i = 0;
    int64_t time = 0;
    for (; i < from.count; i++) {  // most often none is
        time = aggregate_time_of(self, columns, rows_at(&from, i));
        if (time == GROUP_NO_END || time + self->pane_rest_us <= op->late_us) break;
    }
    if (i == from.count) return STATUS_OK;
    uint16_t *indices = arena_alloc(a, sizeof *indices * (from.count + 1));
    if (!indices) return worker_no_memory(w);
    uint32_t count = i;
    for (uint32_t k = 0; k < i; k++) indices[k] = (uint16_t)rows_at(&from, k);
    for (; i < from.count; i++) {
        uint32_t row = rows_at(&from, i);
        time = aggregate_time_of(self, columns, row);
        if (time != GROUP_NO_END && time + self->pane_rest_us > op->late_us) indices[count++] = (uint16_t)row;
        else TRY(worker_report_late(w, op, b, row, time == GROUP_NO_END ? NO_WATERMARK : time));
    }
    *kept = (struct rows){.indices = indices, .count = count};
    return STATUS_OK;
}

static enum status end_groups(struct state_table *s, struct time_index *ends, int64_t until, struct vector *taken) {
    vector_clear(taken);
    TRY(time_index_take(ends, until, taken));
    size_t kept = 0;
    struct group **groups = taken->items;
    for (size_t i = 0; i < taken->count; i++) {  // a weight of 0: it is gone already
        if (groups[i]->weight == 0) continue;
        TRY(state_end_group(s, groups[i]));
        groups[kept++] = groups[i];
    }
    taken->count = kept;
    return STATUS_OK;
}

static enum status emit_ended(struct operator *op, struct worker *w, const struct vector *taken, uint32_t p) {
    struct memory *memory = op->execution->memory;
    struct table_slot *slots = memory_alloc(memory, taken->count * sizeof *slots);
    for (size_t i = 0; slots && i < taken->count; i++) {
        struct group *g = *(struct group **)vector_at(taken, i);
        slots[i] = (struct table_slot){.hash = g->hash, .group = g};
    }
    enum status status = slots && slots_sort(memory, slots, taken->count) == STATUS_OK ? STATUS_OK : worker_no_memory(w);
    if (status == STATUS_OK) status = aggregate_emit_groups(op, w, slots, taken->count, p, 0);
    if (slots) memory_free(memory, slots, taken->count * sizeof *slots);
    return status;
}

enum status aggregate_close_groups(struct operator *op, struct worker *w, uint32_t p) {
    struct aggregate_self *self = op->self;
    if (op->close_us == NO_WATERMARK) return STATUS_OK;
    if (self->in_panes) TRY(aggregate_emit_panes(op, w, p));
    int64_t until_us;
    if (__builtin_sub_overflow(op->close_us, self->pane_rest_us, &until_us)) return STATUS_OK;
    struct vector taken;
    vector_init(&taken, op->execution->memory, sizeof(struct group *));
    enum status status = STATUS_OK;
    for (uint32_t d = 0; d < self->distinct_count && status == STATUS_OK; d++) {
        status = end_groups(&self->distincts[d].tables[p], &self->distincts[d].ends[p], until_us, &taken);
    }
    if (status == STATUS_OK) status = end_groups(&self->tables[p], &self->ends[p], until_us, &taken);
    if (status == STATUS_OK) status = aggregate_end_values(op, &taken, p);
    if (status != STATUS_OK) status = worker_no_memory(w);
    else if (self->emits_closed && !self->in_panes && taken.count) status = emit_ended(op, w, &taken, p);
    if (status == STATUS_OK && self->session_key != NO_SESSION && taken.count) status = aggregate_end_sessions(op, w, &taken, p);
    vector_release(&taken);
    return status;
}

int64_t aggregate_earliest(struct operator *op) {
    const struct aggregate_self *self = op->self;
    struct error ignored;
    int64_t earliest = INT64_MAX;
    if (!self->closes) return INT64_MAX;
    if (aggregate_index_ends(op, &ignored) != STATUS_OK) return INT64_MIN + 1;  // the epoch's begin says why
    for (uint32_t p = 0; p < KEY_PARTITIONS; p++) {
        int64_t one = time_index_earliest(&self->ends[p]);
        if (one < earliest) earliest = one;
    }
    return self->in_panes ? aggregate_next_pane_end(op, earliest) : earliest;
}

void aggregate_forget_ends(struct operator *op) {
    struct aggregate_self *self = op->self;
    aggregate_forget_sessions(op);
    for (uint32_t p = 0; p < KEY_PARTITIONS; p++) {
        time_index_clear(&self->ends[p]);
        self->ends[p].is_stale = true;
        for (uint32_t d = 0; d < self->distinct_count; d++) {
            time_index_clear(&self->distincts[d].ends[p]);
            self->distincts[d].ends[p].is_stale = true;
        }
    }
}

// Times are not kept with the groups: they are read off their keys.
static enum status index_table(struct operator *op, const struct hash_table *t, const struct key_layout *layout, struct time_index *ends) {
    struct aggregate_self *self = op->self;
    struct arena a;
    arena_init(&a, op->execution->memory);
    enum status status = STATUS_OK;
    for (size_t s = 0; s < t->slot_count && status == STATUS_OK;) {
        struct group *groups[BATCH_ROWS];
        uint32_t count = 0;
        for (; s < t->slot_count && count < BATCH_ROWS; s++) {
            if (table_slot_is_live(&t->slots[s])) groups[count++] = t->slots[s].group;
        }
        arena_reset(&a);
        struct column *columns = arena_alloc_array(&a, layout->column_count, sizeof *columns);
        status = columns ? key_columns(layout, groups, count, &a, columns) : STATUS_NO_MEMORY;
        for (uint32_t i = 0; i < count && status == STATUS_OK; i++) {
            groups[i]->time = aggregate_time_of(self, columns, i);
            status = time_index_add(ends, groups[i]);
        }
    }
    arena_release(&a);
    if (status == STATUS_OK) time_index_commit(ends);
    ends->is_stale = status != STATUS_OK;
    return status;
}

enum status aggregate_index_ends(struct operator *op, struct error *e) {
    struct aggregate_self *self = op->self;
    enum status status = STATUS_OK;
    for (uint32_t p = 0; p < KEY_PARTITIONS && status == STATUS_OK; p++) {
        if (self->ends[p].is_stale) status = index_table(op, &self->tables[p].table, &self->layout, &self->ends[p]);
        for (uint32_t d = 0; d < self->distinct_count && status == STATUS_OK; d++) {
            struct distinct_plan *plan = &self->distincts[d];
            if (plan->ends[p].is_stale) status = index_table(op, &plan->tables[p].table, &plan->layout, &plan->ends[p]);
        }
    }
    if (status == STATUS_OK) return STATUS_OK;
    return status == STATUS_NO_MEMORY ? error_no_memory(e) : error_set(e, STATUS_CORRUPT, NULL, "the state of an aggregation is corrupt");
}
