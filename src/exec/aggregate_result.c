// SPDX-License-Identifier: Apache-2.0
// aggregate_result.c: groups into rows, and groups kept. In batch every group gives one row. In a stream each group touched in the epoch
// gives its old result with weight −1 (computed from the undo image) and its new one with +1; equal ones cancel here. A result
// that cannot be computed (overflow) is a dead group: its state stays, and the row is back as soon as it can be computed.
#include "exec/aggregate.h"
#include <math.h>

static enum status codec_save(void *context, const struct group *g, struct buffer *out) {
    const struct operator *op = context;
    const struct aggregate_self *self = op->self;
    for (uint32_t k = 0; k < self->call_count; k++) {
        const struct call_plan *c = &self->calls[k];
        const void *state = (const char *)(g + 1) + c->state_offset;
        struct aggregate_context a = aggregate_context_for(self, op->execution, k, op->execution->state_memory, NULL);
        if (c->ops->save) TRY(c->ops->save(state, out, &a));
        else TRY(buffer_append(out, state, c->ops->state_bytes));
    }
    return STATUS_OK;
}

static bool codec_load(void *context, struct group *g, struct reader *in) {
    const struct operator *op = context;
    const struct aggregate_self *self = op->self;
    for (uint32_t k = 0; k < self->call_count; k++) {
        const struct call_plan *c = &self->calls[k];
        void *state = group_state(g, c->state_offset);
        struct aggregate_context a = aggregate_context_for(self, op->execution, k, op->execution->state_memory, NULL);
        if (c->ops->load) {
            if (!c->ops->load(state, in, &a) || in->failed) return false;
            continue;
        }
        const uint8_t *bytes = read_raw(in, c->ops->state_bytes);
        if (in->failed || (!bytes && c->ops->state_bytes)) return false;
        if (c->ops->state_bytes) memcpy(state, bytes, c->ops->state_bytes);
    }
    return true;
}

void aggregate_release_group(struct operator *op, struct group *g, struct memory *memory) {
    const struct aggregate_self *self = op->self;
    for (uint32_t k = 0; k < self->call_count; k++) {
        const struct call_plan *c = &self->calls[k];
        struct aggregate_context a = aggregate_context_for(self, op->execution, k, memory, NULL);
        if (c->ops->release) c->ops->release(group_state(g, c->state_offset), &a);
    }
}

static void codec_release(void *context, struct group *g) {
    struct operator *op = context;
    aggregate_release_group(op, g, op->execution->state_memory);
}

const struct state_codec aggregate_codec = {.save = codec_save, .load = codec_load, .release = codec_release};

static enum status report_group(struct operator *op, struct worker *w, struct group *g, const struct row_error *why) {
    const struct aggregate_self *self = op->self;
    struct execution *x = op->execution;
    const struct dead_handler *dead = &x->config.dead;
    if (!dead->group) return STATUS_OK;
    struct buffer text;
    buffer_init(&text, x->memory);
    enum status status = key_print(&self->layout, g, x->config.session ? x->config.session->zone : NULL, x->memory, &text);
    if (status != STATUS_OK) worker_no_memory(w);
    else status = dead->group(dead->context, op->node, op->flow_name, (const char *)text.data, why, &w->error);
    buffer_release(&text);
    if (status != STATUS_OK) w->failed = true;
    return status;
}

// Windows of the given ends in the place of those that the keys have.
static enum status put_windows(const struct operator *op, const int64_t *ends, uint32_t count, struct batch *b) {
    const struct aggregate_self *self = op->self;
    struct column *c = &b->columns[self->time_key];
    TRY(column_make(&b->arena, self->layout.types[self->time_key], count, false, c));
    for (uint32_t i = 0; i < count; i++) {
        ((int64_t *)c->children[0].values)[i] = ends[i] - self->slide_us - self->pane_rest_us;
        ((int64_t *)c->children[1].values)[i] = ends[i];
    }
    return STATUS_OK;
}

struct batch *aggregate_results(struct operator *op, struct worker *w, struct group **groups, const int64_t *ends, uint32_t count, uint64_t sequence, bool report) {
    const struct aggregate_self *self = op->self;
    struct execution *x = op->execution;
    struct batch *b = operator_batch(op, sequence, count, self->key_count + self->call_count);
    const void **states = b ? arena_alloc(&b->arena, sizeof(void *) * (count + 1)) : NULL;
    enum status status = states ? key_columns(&self->layout, groups, count, &b->arena, b->columns) : STATUS_NO_MEMORY;
    if (status == STATUS_OK && ends) status = put_windows(op, ends, count, b);
    if (states) eval_begin(&w->eval, x->config.session, x->memory, &b->arena, NULL, x->now_us, count);
    for (uint32_t k = 0; k < self->call_count && status == STATUS_OK; k++) {
        const struct call_plan *c = &self->calls[k];
        struct column *out = &b->columns[self->key_count + k];
        status = column_make(&b->arena, c->result, count, true, out);
        if (status != STATUS_OK) break;
        for (uint32_t i = 0; i < count; i++) states[i] = group_state(groups[i], c->state_offset);
        struct aggregate_context context = aggregate_context_for(self, x, k, x->state_memory, &w->eval);
        c->ops->finish(states, count, out, &context);
        status = w->eval.status;
    }
    uint16_t *kept = status == STATUS_OK && w->eval.error_count ? arena_alloc(&b->arena, sizeof *kept * count) : NULL;
    if (status == STATUS_OK && w->eval.error_count && !kept) status = STATUS_NO_MEMORY;
    if (status != STATUS_OK) {
        worker_fail(w, status, NULL, "the result of a group could not be computed");
        batch_unref(b);
        return NULL;
    }
    if (!kept) return b;
    struct row_error *errors = w->eval.errors;
    uint32_t error_count = w->eval.error_count, n = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!bitmap_get(w->eval.failed, i)) kept[n++] = (uint16_t)i;
    }
    b->selection = kept;
    b->selected_count = n;
    for (uint32_t i = 0; i < error_count && report; i++) {
        if (report_group(op, w, groups[errors[i].row], &errors[i]) == STATUS_OK) continue;
        batch_unref(b);
        return NULL;
    }
    return b;
}

enum status aggregate_emit_made(struct operator *op, struct worker *w, struct batch *b) {
    operator_count(op, w, FATE_MADE, b->selected_count);
    return operator_emit(op, w, b);
}

enum status aggregate_emit_groups(struct operator *op, struct worker *w, struct table_slot *slots, size_t group_count, uint32_t p, uint64_t first_number) {
    for (size_t begin = 0; begin < group_count && !operator_is_done(op); begin += BATCH_ROWS) {
        struct group *groups[BATCH_ROWS];
        uint32_t count = group_count - begin < BATCH_ROWS ? (uint32_t)(group_count - begin) : BATCH_ROWS;
        for (uint32_t i = 0; i < count; i++) groups[i] = slots[begin + i].group;
        struct batch *b = aggregate_results(op, w, groups, NULL, count, operator_sequence(op, p, first_number + begin / BATCH_ROWS), true);
        enum status status = b ? aggregate_emit_made(op, w, b) : w->error.status;
        batch_unref(b);
        TRY(status);
    }
    return STATUS_OK;
}

static enum status emit_all(struct operator *op, struct worker *w, uint32_t p) {
    struct aggregate_self *self = op->self;
    struct hash_table *t = &self->tables[p].table;
    struct table_slot *slots;
    size_t group_count = t->count;
    if (table_sorted(t, &slots) != STATUS_OK) return worker_no_memory(w);
    enum status status = aggregate_emit_groups(op, w, slots, group_count, p, 0);
    if (slots) memory_free(t->memory, slots, group_count * sizeof *slots);
    return status;
}

// Groups as they were before the epoch, loaded from their images; in `a`. Those that did not exist are left out: *olds[i] is NULL.
static enum status load_olds(struct operator *op, struct state_table *s, const struct touched_group *touched, uint32_t count, struct arena *a,
                             struct group **olds) {
    for (uint32_t i = 0; i < count; i++) {
        olds[i] = NULL;
        if (!touched[i].existed) continue;
        struct group *old = arena_alloc_aligned(a, s->table.group_bytes, 16);
        if (!old) return STATUS_NO_MEMORY;
        memset(old, 0, s->table.group_bytes);
        old->hash = touched[i].group->hash;
        old->key = touched[i].group->key;
        struct reader in = reader_of(s->undo.data + touched[i].undo_begin, touched[i].undo_end - touched[i].undo_begin);
        old->weight = read_signed(&in);
        olds[i] = old;
        if (!codec_load(op, old, &in)) return STATUS_NO_MEMORY;
    }
    return STATUS_OK;
}

static bool sign_of(const struct column *c, uint32_t row) {
    if (!column_is_valid(c, row)) return false;
    return c->type->id == TYPE_DOUBLE ? signbit(column_double(c, row)) : c->type->id == TYPE_FLOAT && signbit(column_float(c, row));
}

// Zeros of different signs are equal values, and different rows: who reads them may print them.
static bool same_row(const struct batch *a, uint32_t a_row, const struct batch *b, uint32_t b_row) {
    for (uint32_t c = 0; c < a->column_count; c++) {
        if (!value_equal(&a->columns[c], a_row, &b->columns[c], b_row) || sign_of(&a->columns[c], a_row) != sign_of(&b->columns[c], b_row)) return false;
    }
    return true;
}

static bool is_selected(const struct batch *b, uint32_t row) {
    if (!b->selection) return true;
    for (uint32_t low = 0, high = b->selected_count; low < high;) {
        uint32_t middle = (low + high) / 2;
        if (b->selection[middle] == row) return true;
        if (b->selection[middle] < row) low = middle + 1;
        else high = middle;
    }
    return false;
}

// Takes the rows that are equal before and after out of both batches. Pairs: row old_of[i] of `old` belongs to row new_of[i] of `now`.
static enum status cancel_equal(struct batch *old, struct batch *now, const uint16_t *old_of, const uint16_t *new_of, uint32_t pair_count) {
    uint8_t *skip_old = arena_alloc_zeroed(&old->arena, old->row_count + 1), *skip_new = arena_alloc_zeroed(&now->arena, now->row_count + 1);
    uint16_t *kept_old = arena_alloc(&old->arena, sizeof(uint16_t) * (old->row_count + 1));
    uint16_t *kept_new = arena_alloc(&now->arena, sizeof(uint16_t) * (now->row_count + 1));
    if (!skip_old || !skip_new || !kept_old || !kept_new) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < pair_count; i++) {
        if (!is_selected(old, old_of[i]) || !is_selected(now, new_of[i]) || !same_row(old, old_of[i], now, new_of[i])) continue;
        skip_old[old_of[i]] = 1;
        skip_new[new_of[i]] = 1;
    }
    uint32_t n = 0;
    struct rows rows = batch_rows(old);
    for (uint32_t i = 0; i < rows.count; i++) {
        if (!skip_old[rows_at(&rows, i)]) kept_old[n++] = (uint16_t)rows_at(&rows, i);
    }
    old->selection = kept_old;
    old->selected_count = n;
    n = 0;
    rows = batch_rows(now);
    for (uint32_t i = 0; i < rows.count; i++) {
        if (!skip_new[rows_at(&rows, i)]) kept_new[n++] = (uint16_t)rows_at(&rows, i);
    }
    now->selection = kept_new;
    now->selected_count = n;
    return STATUS_OK;
}

struct change_chunk {
    struct group **olds, **nows;          // dense lists of those that exist
    uint32_t old_count, now_count;
    uint16_t *old_of, *new_of;
    uint32_t pair_count;
};

static enum status emit_pair(struct operator *op, struct worker *w, const struct change_chunk *k, uint64_t sequence) {
    struct batch *old = NULL, *now = NULL;
    enum status status = STATUS_OK;
    if (k->old_count && !(old = aggregate_results(op, w, k->olds, NULL, k->old_count, sequence, false))) status = w->error.status;
    if (status == STATUS_OK && k->now_count && !(now = aggregate_results(op, w, k->nows, NULL, k->now_count, sequence + 1, true))) status = w->error.status;
    if (status == STATUS_OK && old && now && cancel_equal(old, now, k->old_of, k->new_of, k->pair_count) != STATUS_OK) status = worker_no_memory(w);
    if (status == STATUS_OK && old) {
        int8_t *weights = arena_alloc(&old->arena, old->row_count + 1);
        if (weights) {
            memset(weights, -1, old->row_count);
            old->weights = weights;
            status = aggregate_emit_made(op, w, old);
        } else {
            status = worker_no_memory(w);
        }
    }
    if (status == STATUS_OK && now) status = aggregate_emit_made(op, w, now);
    batch_unref(old);
    batch_unref(now);
    return status;
}

static enum status emit_chunk(struct operator *op, struct worker *w, struct state_table *s, const struct touched_group *touched, uint32_t count,
                              uint64_t sequence) {
    struct arena a;
    arena_init(&a, op->execution->memory);
    struct group **all = arena_alloc_array(&a, count, sizeof *all);
    struct change_chunk k = {.olds = arena_alloc_array(&a, count, sizeof *k.olds), .nows = arena_alloc_array(&a, count, sizeof *k.nows),
                             .old_of = arena_alloc_array(&a, count, sizeof *k.old_of), .new_of = arena_alloc_array(&a, count, sizeof *k.new_of)};
    bool have = all && k.olds && k.nows && k.old_of && k.new_of;
    enum status status = have ? load_olds(op, s, touched, count, &a, all) : STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < count && status == STATUS_OK; i++) {
        bool is_now = touched[i].group->weight > 0 || s->keeps_empty;
        bool was = all[i] && (all[i]->weight > 0 || s->keeps_empty);
        if (is_now && was) {
            k.old_of[k.pair_count] = (uint16_t)k.old_count;
            k.new_of[k.pair_count++] = (uint16_t)k.now_count;
        }
        if (was) k.olds[k.old_count++] = all[i];
        if (is_now) k.nows[k.now_count++] = touched[i].group;
    }
    if (status == STATUS_OK) status = emit_pair(op, w, &k, sequence);
    else worker_no_memory(w);
    for (uint32_t i = 0; have && i < count; i++) {
        if (all[i]) aggregate_release_group(op, all[i], op->execution->state_memory);
    }
    arena_release(&a);
    return status;
}

static enum status emit_changes(struct operator *op, struct worker *w, uint32_t p) {
    struct aggregate_self *self = op->self;
    struct state_table *s = &self->tables[p];
    if (!s->touched.count) return STATUS_OK;
    if (state_order_touched(s) != STATUS_OK) return worker_no_memory(w);
    uint64_t n = 0;
    for (size_t begin = 0; begin < s->touched.count; begin += BATCH_ROWS, n += 2) {
        size_t left = s->touched.count - begin;
        TRY(emit_chunk(op, w, s, vector_at(&s->touched, begin), left < BATCH_ROWS ? (uint32_t)left : BATCH_ROWS, operator_sequence(op, p, n)));
    }
    return STATUS_OK;
}

enum status aggregate_emit(struct operator *op, struct worker *w, uint32_t p) {
    struct aggregate_self *self = op->self;
    if (self->no_keys && p == 0) {  // one row even without input
        struct string_view key;
        memset(&key, 0, sizeof key);
        struct state_table *s = &self->tables[0];
        if (!table_find(&s->table, &key, 0) && !state_group(s, &key, 0, NULL)) return worker_no_memory(w);
    }
    if (op->execution->batch) return emit_all(op, w, p);
    if (self->value_count) TRY(aggregate_settle_values(op, w, p));
    if (!self->emits_closed) TRY(emit_changes(op, w, p));
    return self->closes ? aggregate_close_groups(op, w, p) : STATUS_OK;
}

// Groups that the commit takes away leave the index, while they are still there.
static void commit_ends(const struct state_table *s, struct time_index *ends) {
    for (size_t i = 0; i < s->touched.count; i++) {
        const struct touched_group *t = vector_at(&s->touched, i);
        if (t->group->weight == 0 && t->group->time > ends->taken_until) time_index_drop(ends, t->group);
    }
    time_index_commit(ends);
}

void aggregate_commit(struct operator *op) {
    struct aggregate_self *self = op->self;
    for (uint32_t p = 0; p < KEY_PARTITIONS; p++) {
        if (self->closes) commit_ends(&self->tables[p], &self->ends[p]);
        state_commit(&self->tables[p]);
        for (uint32_t d = 0; d < self->distinct_count; d++) {
            if (self->closes) commit_ends(&self->distincts[d].tables[p], &self->distincts[d].ends[p]);
            state_commit(&self->distincts[d].tables[p]);
        }
        aggregate_commit_values(op, p);
    }
}

enum status aggregate_rollback(struct operator *op, struct error *e) {
    struct aggregate_self *self = op->self;
    aggregate_drop_partials(op);
    aggregate_forget_sessions(op);  // they hold groups that the epoch made
    enum status status = STATUS_OK;
    for (uint32_t p = 0; p < KEY_PARTITIONS; p++) {
        time_index_rollback(&self->ends[p]);
        enum status one = state_rollback(&self->tables[p]);
        if (one != STATUS_OK) status = one;
        for (uint32_t d = 0; d < self->distinct_count; d++) {
            time_index_rollback(&self->distincts[d].ends[p]);
            one = state_rollback(&self->distincts[d].tables[p]);
            if (one != STATUS_OK) status = one;
        }
        one = aggregate_rollback_values(op, p);
        if (one != STATUS_OK) status = one;
    }
    return status == STATUS_OK ? STATUS_OK : error_no_memory(e);
}

static enum status write_tables(struct operator *op, uint32_t p, struct buffer *out, enum status (*write)(const struct state_table *, struct buffer *),
                                struct error *e) {
    struct aggregate_self *self = op->self;
    enum status status = write(&self->tables[p], out);
    for (uint32_t d = 0; d < self->distinct_count && status == STATUS_OK; d++) status = write(&self->distincts[d].tables[p], out);
    for (uint32_t k = 0; k < self->value_count && status == STATUS_OK; k++) status = write(&self->values[k].tables[p], out);
    return status == STATUS_OK ? STATUS_OK : error_no_memory(e);
}

enum status aggregate_log(struct operator *op, uint32_t part, struct buffer *out, struct error *e) { return write_tables(op, part, out, state_log, e); }
enum status aggregate_snapshot(struct operator *op, uint32_t part, struct buffer *out, struct error *e) { return write_tables(op, part, out, state_snapshot, e); }

enum status aggregate_apply(struct operator *op, struct reader *in, struct error *e) {
    struct aggregate_self *self = op->self;
    enum status status = STATUS_OK;
    aggregate_forget_ends(op);
    for (uint32_t p = 0; p < KEY_PARTITIONS && status == STATUS_OK; p++) {
        status = state_apply(self->tables, KEY_PARTITIONS, in);
        for (uint32_t d = 0; d < self->distinct_count && status == STATUS_OK; d++) status = state_apply(&self->distincts[d].tables[p], 1, in);
        if (status == STATUS_OK) status = aggregate_apply_values(op, p, in);
    }
    if (status == STATUS_NO_MEMORY) return error_no_memory(e);
    return status == STATUS_OK ? STATUS_OK : error_set(e, STATUS_CORRUPT, NULL, "the state of an aggregation is corrupt");
}

enum status aggregate_restore(struct operator *op, struct reader *in, struct error *e) {
    aggregate_clear(op);
    return aggregate_apply(op, in, e);
}

enum status aggregate_describe(struct operator *op, struct buffer *out) {
    const struct aggregate_self *self = op->self;
    TRY(buffer_append_string(out, self->session_key != NO_SESSION ? "aggregate sessions" : self->in_panes ? "aggregate panes" : self->closes ? "aggregate closing" : "aggregate"));
    for (uint32_t i = 0; i < self->key_count; i++) {
        TRY(buffer_append_byte(out, ' '));
        TRY(type_print(self->layout.types[i], out));
    }
    for (uint32_t k = 0; k < self->call_count; k++) {
        const struct call_plan *c = &self->calls[k];
        TRY(buffer_printf(out, " %s(%s%s", c->aggregate->name, c->values == UINT32_MAX ? "" : "all ", c->distinct == UINT32_MAX ? "" : "distinct"));
        for (uint32_t i = 0; i < c->arg_count; i++) {
            TRY(buffer_append_byte(out, ' '));
            TRY(type_print(c->arg_types[i], out));
        }
        TRY(buffer_append_byte(out, ')'));
    }
    return STATUS_OK;
}

void aggregate_clear(struct operator *op) {
    struct aggregate_self *self = op->self;
    aggregate_drop_partials(op);
    aggregate_forget_ends(op);
    for (uint32_t p = 0; p < KEY_PARTITIONS; p++) {
        state_table_clear(&self->tables[p]);
        for (uint32_t d = 0; d < self->distinct_count; d++) state_table_clear(&self->distincts[d].tables[p]);
        aggregate_clear_values(op, p);
    }
}

size_t aggregate_bytes(const struct operator *op, uint64_t *key_count) {
    const struct aggregate_self *self = op->self;
    size_t bytes = 0;
    for (uint32_t p = 0; p < KEY_PARTITIONS; p++) {
        bytes += state_table_bytes(&self->tables[p]) + time_index_bytes(&self->ends[p]);
        *key_count += self->tables[p].table.count;
        for (uint32_t d = 0; d < self->distinct_count; d++) bytes += state_table_bytes(&self->distincts[d].tables[p]);
        for (uint32_t k = 0; k < self->value_count; k++) bytes += state_table_bytes(&self->values[k].tables[p]);
    }
    return bytes;
}
