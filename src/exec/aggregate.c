// SPDX-License-Identifier: Apache-2.0
// aggregate.c: rows into groups. Three ways in, one state:
//
//     one worker                rows ─► tables[partition]                       in order of arrival, which is the order of sequences
//     several, all calls exact  rows ─► partials[worker][partition] ─finish► merged into tables[partition]
//     several, some ordered     rows ─► pending (keys and arguments evaluated) ─fold► tables[partition], in (sequence, arrival, row) order
//
// A DISTINCT call lets a row through when its value's count leaves 0 (weight +1) or comes back to 0 (−1); it counts as ordered. Groups
// hang in tables that never move them. Groups that event time ends: aggregate_close.c. DISTINCT without aggregates is an aggregate without calls.
#include "exec/aggregate.h"

enum { PREFETCH = 8 };                // slots ahead: each is a cache miss

struct aggregate_context aggregate_context_for(const struct aggregate_self *self, const struct execution *x, uint32_t call, struct memory *memory,
                                               struct eval *eval) {
    const struct call_plan *c = &self->calls[call];
    return (struct aggregate_context){.session = x->config.session, .memory = memory, .data = c->data, .arg_types = c->arg_types, .result = c->result,
                                      .eval = eval};
}

static enum status plan_call(struct operator *op, struct call_plan *c, const struct expr *x, struct expr **expressions, uint32_t *count, struct error *e) {
    struct aggregate_self *self = op->self;
    struct arena *a = &op->execution->arena;
    *c = (struct call_plan){.aggregate = x->aggregate.aggregate, .data = x->aggregate.data, .result = x->type, .arg_count = x->arg_count,
                            .first_arg = *count, .filter = UINT32_MAX, .distinct = UINT32_MAX, .values = UINT32_MAX};
    c->arg_types = arena_alloc_array(a, x->arg_count + 1, sizeof *c->arg_types);
    if (!c->arg_types) return error_no_memory(e);
    for (uint32_t i = 0; i < x->arg_count; i++) {
        c->arg_types[i] = x->args[i]->type;
        expressions[(*count)++] = x->args[i];
    }
    if (x->aggregate.filter) {
        c->filter = *count;
        expressions[(*count)++] = x->aggregate.filter;
    }
    bool retracts = op->node->inputs[0]->changes == CHANGES_RETRACT;
    c->ops = aggregate_implementation(x, c->arg_types, retracts);
    if (!c->ops) {
        return error_set(e, STATUS_UNSUPPORTED, NULL, retracts ? "%s over rows that can be taken back is not supported yet" : "%s is not supported for this type",
                         c->aggregate->name);
    }
    if (retracts && (c->ops->flags & (AGGREGATE_OF_LEAST | AGGREGATE_OF_GREATEST))) c->values = self->value_count++;
    if (x->aggregate.distinct && !(c->ops->flags & AGGREGATE_DISTINCT_IS_PLAIN)) c->distinct = self->distinct_count++;
    if ((c->ops->flags & AGGREGATE_ORDERED) || c->distinct != UINT32_MAX || c->values != UINT32_MAX || !c->ops->merge) self->ordered = true;
    if (c->ops->release) self->owns_memory = true;
    c->state_offset = (uint32_t)self->state_bytes;
    self->state_bytes += (c->ops->state_bytes + 15u) / 16 * 16;
    return STATUS_OK;
}

static enum status open_distincts(struct operator *op, struct error *e) {
    struct aggregate_self *self = op->self;
    struct arena *a = &op->execution->arena;
    self->distincts = arena_alloc_array(a, self->distinct_count + 1, sizeof *self->distincts);
    if (!self->distincts) return error_no_memory(e);
    for (uint32_t k = 0; k < self->call_count; k++) {
        const struct call_plan *c = &self->calls[k];
        if (c->distinct == UINT32_MAX) continue;
        struct distinct_plan *d = &self->distincts[c->distinct];
        const struct type **types = arena_alloc_array(a, self->key_count + c->arg_count + 1, sizeof *types);
        if (!types) return error_no_memory(e);
        for (uint32_t i = 0; i < self->key_count; i++) types[i] = self->layout.types[i];
        for (uint32_t i = 0; i < c->arg_count; i++) types[self->key_count + i] = c->arg_types[i];
        key_layout_init(&d->layout, types, self->key_count + c->arg_count);
        for (uint32_t p = 0; p < KEY_PARTITIONS; p++) {
            state_table_init(&d->tables[p], op->execution->state_memory, 0, &d->layout, NULL, NULL);
            time_index_init(&d->ends[p], op->execution->state_memory);
        }
    }
    return STATUS_OK;
}

static enum status open_tables(struct operator *op, struct error *e) {
    struct aggregate_self *self = op->self;
    struct execution *x = op->execution;
    for (uint32_t p = 0; p < KEY_PARTITIONS; p++) {
        state_table_init(&self->tables[p], x->state_memory, self->state_bytes, &self->layout, &aggregate_codec, op);
        self->tables[p].keeps_empty = self->no_keys;
        self->tables[p].owns_nothing = !self->owns_memory;
        time_index_init(&self->ends[p], x->state_memory);
    }
    TRY(open_distincts(op, e));
    TRY(aggregate_open_values(op, e));
    bool sessions = self->session_key != NO_SESSION;
    if (sessions) TRY(aggregate_open_sessions(op, e));
    self->keeps_rows = sessions || (self->ordered && x->config.worker_count > 1);
    TRY(row_store_init(&self->pending, x, e));
    if (sessions || self->ordered || x->config.worker_count == 1) return STATUS_OK;
    self->partials = arena_alloc_array(&x->arena, x->config.worker_count, sizeof *self->partials);
    if (!self->partials) return error_no_memory(e);
    for (uint32_t i = 0; i < x->config.worker_count; i++) {
        for (uint32_t p = 0; p < KEY_PARTITIONS; p++) table_init(&self->partials[i][p], x->memory, self->state_bytes);
    }
    return STATUS_OK;
}

static enum status aggregate_open(struct operator *op, struct error *e) {
    struct arena *a = &op->execution->arena;
    const struct plan_node *node = op->node;
    struct aggregate_self *self = arena_alloc_zeroed(a, sizeof *self);
    if (!self) return error_no_memory(e);
    self->key_count = node->key_count;
    self->call_count = node->expr_count - node->key_count;
    self->no_keys = node->key_count == 0;
    self->calls = arena_alloc_array(a, self->call_count + 1, sizeof *self->calls);
    const struct type **types = arena_alloc_array(a, self->key_count + 1, sizeof *types);
    uint32_t most = node->expr_count;
    for (uint32_t i = node->key_count; i < node->expr_count; i++) most += node->exprs[i]->arg_count + 1;
    struct expr **expressions = arena_alloc_array(a, most + 1, sizeof *expressions);
    if (!self->calls || !types || !expressions) return error_no_memory(e);
    op->self = self;
    for (uint32_t i = 0; i < self->key_count; i++) {
        types[i] = node->exprs[i]->type;
        expressions[self->column_count++] = node->exprs[i];
    }
    key_layout_init(&self->layout, types, self->key_count);
    enum status status = aggregate_take_time_key(op, e);
    for (uint32_t i = 0; i < self->call_count && status == STATUS_OK; i++) {
        status = plan_call(op, &self->calls[i], node->exprs[self->key_count + i], expressions, &self->column_count, e);
    }
    if (status == STATUS_OK) status = program_compile(a, op->execution->config.session, expressions, self->column_count, NULL, &self->program, e);
    if (status == STATUS_OK) return open_tables(op, e);
    op->self = NULL;  // nothing is open yet
    return status;
}

static enum status aggregate_begin(struct operator *op, struct error *e) {
    struct aggregate_self *self = op->self;
    if (self->closes) TRY(aggregate_index_ends(op, e));
    if (self->session_key != NO_SESSION) TRY(aggregate_index_sessions(op, e));
    for (uint32_t p = 0; p < KEY_PARTITIONS; p++) {
        self->tables[p].no_undo = op->execution->batch;
        for (uint32_t d = 0; d < self->distinct_count; d++) self->distincts[d].tables[p].no_undo = op->execution->batch;
    }
    return STATUS_OK;
}

// Rows that a call counts: its filter true, no argument NULL unless it sees them. Dense places in `rows`; NULL: all of them.
static enum status call_places(const struct call_plan *c, const struct column *columns, const struct rows *rows, struct arena *a, uint16_t **places,
                               uint32_t *count) {
    bool narrow = c->filter != UINT32_MAX;
    for (uint32_t i = 0; i < c->arg_count && !(c->ops->flags & AGGREGATE_SEES_NULL); i++) {
        const struct column *base = column_base(&columns[c->first_arg + i]);
        narrow = narrow || base->validity || base->type->id == TYPE_NULL;
    }
    *places = NULL;
    *count = rows->count;
    if (!narrow) return STATUS_OK;
    uint16_t *kept = arena_alloc(a, sizeof *kept * (rows->count + 1));
    if (!kept) return STATUS_NO_MEMORY;
    uint32_t n = 0;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        bool in = c->filter == UINT32_MAX || (column_is_valid(&columns[c->filter], row) && column_bool(&columns[c->filter], row));
        for (uint32_t k = 0; k < c->arg_count && in && !(c->ops->flags & AGGREGATE_SEES_NULL); k++) in = column_is_valid(&columns[c->first_arg + k], row);
        if (in) kept[n++] = (uint16_t)i;
    }
    *places = kept;
    *count = n;
    return STATUS_OK;
}

// Which of the places change a DISTINCT value's presence, and how: weights by row in *changed.
static enum status distinct_places(struct operator *op, const struct call_plan *c, const struct fold *f, struct arena *a, uint16_t **places,
                                   uint32_t *count, int8_t **changed) {
    struct aggregate_self *self = op->self;
    struct distinct_plan *d = &self->distincts[c->distinct];
    struct column *columns = arena_alloc_array(a, self->key_count + c->arg_count + 1, sizeof *columns);
    uint16_t *row_indices = arena_alloc(a, sizeof *row_indices * (*count + 1));
    uint16_t *kept = arena_alloc(a, sizeof *kept * (*count + 1));
    *changed = arena_alloc_zeroed(a, f->row_count + 1);
    if (!columns || !row_indices || !kept || !*changed) return STATUS_NO_MEMORY;
    memcpy(columns, f->columns, sizeof *columns * self->key_count);
    memcpy(columns + self->key_count, f->columns + c->first_arg, sizeof *columns * c->arg_count);
    for (uint32_t i = 0; i < *count; i++) row_indices[i] = (uint16_t)rows_at(&f->rows, *places ? (*places)[i] : i);
    struct rows rows = {.indices = row_indices, .count = *count};
    struct key_batch keys;
    TRY(key_batch_make(&d->layout, columns, &rows, a, op->execution->memory, &keys));
    uint32_t n = 0;
    for (uint32_t i = 0; i < rows.count; i++) {
        uint32_t place = *places ? (*places)[i] : i;
        uint32_t p = key_partition(f->groups[place]->hash);
        bool added;
        struct group *value = state_group(&d->tables[p], &keys.keys[i], keys.hashes[i], &added);
        if (!value) return STATUS_NO_MEMORY;
        if (added) value->time = f->groups[place]->time;
        if (added && self->closes) TRY(time_index_add(&d->ends[p], value));
        int64_t before = value->weight;
        value->weight += f->weights ? f->weights[row_indices[i]] : 1;
        int change = (value->weight > 0) - (before > 0);
        if (!change) continue;
        (*changed)[row_indices[i]] = (int8_t)change;
        kept[n++] = (uint16_t)place;
    }
    *places = kept;
    *count = n;
    return STATUS_OK;
}

static enum status update_call(struct operator *op, struct worker *w, uint32_t call, const struct fold *f, struct memory *memory, struct arena *a) {
    struct aggregate_self *self = op->self;
    const struct call_plan *c = &self->calls[call];
    uint16_t *places;
    uint32_t count;
    const int8_t *weights = f->weights;
    TRY(call_places(c, f->columns, &f->rows, a, &places, &count));
    if (c->distinct != UINT32_MAX && count) {
        int8_t *changed;
        TRY(distinct_places(op, c, f, a, &places, &count, &changed));
        weights = changed;
        bool only_new = true;
        for (uint32_t i = 0; i < count; i++) only_new = only_new && changed[rows_at(&f->rows, places[i])] > 0;
        if (only_new) weights = NULL;
    }
    if (!count) return STATUS_OK;
    void **states = arena_alloc(a, sizeof(void *) * count);
    uint16_t *indices = places ? arena_alloc(a, sizeof *indices * count) : NULL;
    const struct column **args = arena_alloc(a, sizeof *args * (c->arg_count + 1));
    struct column *flat = arena_alloc_array(a, c->arg_count + 1, sizeof *flat);
    if (!states || (places && !indices) || !args || !flat) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t place = places ? places[i] : i;
        states[i] = group_state(f->groups[place], c->state_offset);
        if (indices) indices[i] = (uint16_t)rows_at(&f->rows, place);
    }
    for (uint32_t i = 0; i < c->arg_count; i++) {
        TRY(column_flatten(a, &f->columns[c->first_arg + i], f->row_count, &flat[i]));
        args[i] = &flat[i];
    }
    struct rows rows = places ? (struct rows){.indices = indices, .count = count} : f->rows;
    if (c->values != UINT32_MAX) {
        struct group **groups = (struct group **)states;
        for (uint32_t i = 0; i < count; i++) groups[i] = f->groups[places ? places[i] : i];
        return aggregate_keep_values(op, call, groups, args, &rows, weights);
    }
    struct aggregate_context context = aggregate_context_for(self, op->execution, call, memory, &w->eval);
    return c->ops->update(states, args, &rows, weights, &context);
}

// Finds the groups of `keys` and adds the rows' weights to them. `partial`: the worker's own tables; NULL: the state.
static enum status find_groups(struct aggregate_self *self, struct hash_table *partial, const struct key_batch *keys, struct fold *f) {
    for (uint32_t i = 0; i < f->rows.count; i++) {
        uint32_t p = key_partition(keys->hashes[i]);
        table_prefetch(partial ? &partial[p] : &self->tables[p].table, keys->hashes[i]);
    }
    for (uint32_t i = 0; i < f->rows.count; i++) {
        uint32_t p = key_partition(keys->hashes[i]);
        bool added;
        struct group *g = partial ? table_find_or_add(&partial[p], &keys->keys[i], keys->hashes[i], &added)
                                  : state_group(&self->tables[p], &keys->keys[i], keys->hashes[i], &added);
        if (!g) return STATUS_NO_MEMORY;
        if (added && self->closes) {
            g->time = aggregate_time_of(self, f->columns, rows_at(&f->rows, i));
            if (!partial) TRY(time_index_add(&self->ends[p], g));
        }
        g->weight += f->weights ? f->weights[rows_at(&f->rows, i)] : 1;
        f->groups[i] = g;
    }
    return STATUS_OK;
}

enum status aggregate_update(struct operator *op, struct worker *w, bool partial, struct fold *f, const struct batch *b, struct arena *a) {
    struct aggregate_self *self = op->self;
    struct execution *x = op->execution;
    enum status status = STATUS_OK;
    eval_begin(&w->eval, x->config.session, x->memory, a, &b->origin, x->now_us, b->row_count);
    for (uint32_t k = 0; k < self->call_count && status == STATUS_OK; k++) {
        status = update_call(op, w, k, f, partial ? x->memory : x->state_memory, a);
    }
    if (status != STATUS_OK) return worker_fail(w, status, NULL, "a row could not be aggregated");
    struct rows kept;
    uint32_t failed = w->eval.error_count;
    TRY(worker_drop_failed(w, op, b, &f->rows, a, &kept));
    operator_count(op, w, FATE_ABSORBED, f->rows.count - failed);
    return STATUS_OK;
}

static enum status fold_into(struct operator *op, struct worker *w, struct hash_table *partial, const struct key_batch *keys, struct fold *f,
                             const struct batch *b, struct arena *a) {
    f->groups = arena_alloc(a, sizeof(struct group *) * (f->rows.count + 1));
    if (!f->groups || find_groups(op->self, partial, keys, f) != STATUS_OK) return worker_no_memory(w);
    return aggregate_update(op, w, partial != NULL, f, b, a);
}

static enum status keep_rows(struct operator *op, struct worker *w, struct batch *b) {
    struct aggregate_self *self = op->self;
    struct batch *d = batch_derive(b, op->execution->memory, self->column_count);
    struct kept_keys *kept = d ? arena_alloc_zeroed(&d->arena, sizeof *kept) : NULL;
    if (!kept) {
        batch_unref(d);
        return worker_no_memory(w);
    }
    enum status status = worker_run(w, self->program, b, &d->arena, d->columns);
    struct rows rows = batch_rows(b);
    if (status == STATUS_OK) status = worker_drop_failed(w, op, b, &rows, &d->arena, &kept->rows);
    if (status == STATUS_OK && self->closes) status = aggregate_drop_late(op, w, b, d->columns, &kept->rows, &d->arena, &kept->rows);
    if (status == STATUS_OK) {
        d->selection = kept->rows.indices;
        d->selected_count = kept->rows.count;
        status = self->session_key != NO_SESSION
                     ? aggregate_prefix_keys(self, d->columns, &kept->rows, &d->arena, op->execution->memory, &kept->keys)
                     : key_batch_make(&self->layout, d->columns, &kept->rows, &d->arena, op->execution->memory, &kept->keys);
        kept->positions = arena_alloc(&d->arena, sizeof(uint16_t) * (kept->rows.count + 1));
        if (status != STATUS_OK || !kept->positions) status = worker_no_memory(w);
    }
    if (status != STATUS_OK) {
        batch_unref(d);
        return status;
    }
    uint32_t n = 0;
    for (uint32_t p = 0; p < KEY_PARTITIONS; p++) {
        kept->begins[p] = n;
        for (uint32_t i = 0; i < kept->rows.count; i++) {
            if (key_partition(kept->keys.hashes[i]) == p) kept->positions[n++] = (uint16_t)i;
        }
    }
    kept->begins[KEY_PARTITIONS] = n;
    op->execution->pending_bytes += batch_kept_bytes(d);
    return row_store_keep(&self->pending, w, d, b->sequence, 0, kept);
}

static enum status aggregate_push(struct operator *op, struct worker *w, uint32_t input_index, struct batch *b) {
    (void)input_index;
    struct aggregate_self *self = op->self;
    if (self->keeps_rows) return keep_rows(op, w, b);
    struct arena *a = &w->scratch;
    arena_reset(a);
    struct column *columns = arena_alloc_array(a, self->column_count + 1, sizeof *columns);
    if (!columns) return worker_no_memory(w);
    TRY(worker_run(w, self->program, b, a, columns));
    struct fold f = {.columns = columns, .row_count = b->row_count, .weights = b->weights};
    struct rows rows = batch_rows(b);
    TRY(worker_drop_failed(w, op, b, &rows, a, &f.rows));
    if (self->closes) TRY(aggregate_drop_late(op, w, b, columns, &f.rows, a, &f.rows));
    struct key_batch keys;
    if (key_batch_make(&self->layout, columns, &f.rows, a, op->execution->memory, &keys) != STATUS_OK) return worker_no_memory(w);
    return fold_into(op, w, self->partials ? self->partials[w->index] : NULL, &keys, &f, b, a);
}

static enum status aggregate_prepare(struct operator *op, struct error *e) {
    struct aggregate_self *self = op->self;
    return row_store_merge(&self->pending) == STATUS_OK ? STATUS_OK : error_no_memory(e);
}

static enum status aggregate_fold(struct operator *op, struct worker *w, uint32_t p) {
    struct aggregate_self *self = op->self;
    for (uint32_t k = 0; k < self->pending.all.count; k++) {
        struct kept_batch *batch = row_store_at(&self->pending, k);
        struct kept_keys *kept = batch->extra;
        uint32_t begin = kept->begins[p], count = kept->begins[p + 1] - begin;
        if (!count) continue;
        struct arena *a = &w->scratch;
        arena_reset(a);
        uint16_t *indices = arena_alloc(a, sizeof *indices * count);
        struct key_batch keys = {.keys = arena_alloc_array(a, count, sizeof *keys.keys), .hashes = arena_alloc_array(a, count, sizeof *keys.hashes)};
        if (!indices || !keys.keys || !keys.hashes) return worker_no_memory(w);
        for (uint32_t i = 0; i < count; i++) {
            uint16_t position = kept->positions[begin + i];
            indices[i] = (uint16_t)rows_at(&kept->rows, position);
            keys.keys[i] = kept->keys.keys[position];
            keys.hashes[i] = kept->keys.hashes[position];
        }
        struct fold f = {.columns = batch->batch->columns, .row_count = batch->batch->row_count, .weights = batch->batch->weights,
                         .rows = {.indices = indices, .count = count}};
        TRY(fold_into(op, w, NULL, &keys, &f, batch->batch, a));
    }
    return STATUS_OK;
}

// Sessions are settled at the end of the epoch, all at once: how they grow together must not depend on where rounds end.
static bool aggregate_keeps_rows(const struct operator *op) {
    const struct aggregate_self *self = op->self;
    return self->keeps_rows && self->session_key == NO_SESSION;
}

static void aggregate_ended(struct operator *op) { row_store_clear(&((struct aggregate_self *)op->self)->pending); }

static enum status merge_partial(struct operator *op, struct worker *w, struct group *from, uint32_t p) {
    struct aggregate_self *self = op->self;
    bool added;
    struct group *into = state_group(&self->tables[p], &from->key, from->hash, &added);
    if (!into) return worker_no_memory(w);
    if (added) into->time = from->time;
    if (added && self->closes && time_index_add(&self->ends[p], into) != STATUS_OK) return worker_no_memory(w);
    into->weight += from->weight;
    for (uint32_t k = 0; k < self->call_count; k++) {
        const struct call_plan *c = &self->calls[k];
        struct aggregate_context context = aggregate_context_for(self, op->execution, k, op->execution->state_memory, &w->eval);
        enum status status = c->ops->merge(group_state(into, c->state_offset), group_state(from, c->state_offset), &context);
        if (status != STATUS_OK) return worker_fail(w, status, NULL, "a group could not be merged");
    }
    return STATUS_OK;
}

static void release_partial(struct operator *op, struct hash_table *partial) {
    const struct aggregate_self *self = op->self;
    for (size_t s = 0; s < partial->slot_count && self->owns_memory; s++) {
        if (table_slot_is_live(&partial->slots[s])) aggregate_release_group(op, partial->slots[s].group, op->execution->memory);
    }
    table_release(partial);
}

static enum status merge_partials(struct operator *op, struct worker *w, uint32_t p) {
    struct aggregate_self *self = op->self;
    for (uint32_t i = 0; self->partials && i < op->execution->config.worker_count; i++) {
        struct hash_table *partial = &self->partials[i][p];
        if (!table_reserve(&self->tables[p].table, partial->count)) return worker_no_memory(w);
        for (size_t s = 0; s < partial->slot_count; s++) {
            if (s + PREFETCH < partial->slot_count && table_slot_is_live(&partial->slots[s + PREFETCH])) {
                table_prefetch(&self->tables[p].table, partial->slots[s + PREFETCH].hash);
                __builtin_prefetch(partial->slots[s + PREFETCH].group);
            }
            if (table_slot_is_live(&partial->slots[s])) TRY(merge_partial(op, w, partial->slots[s].group, p));
        }
        release_partial(op, partial);
    }
    return STATUS_OK;
}

static enum status aggregate_finish(struct operator *op, struct worker *w, uint32_t p) {
    struct aggregate_self *self = op->self;
    TRY(self->session_key == NO_SESSION ? aggregate_fold(op, w, p) : aggregate_settle_sessions(op, w, p));
    TRY(merge_partials(op, w, p));
    return aggregate_emit(op, w, p);
}

void aggregate_drop_partials(struct operator *op) {
    struct aggregate_self *self = op->self;
    row_store_clear(&self->pending);
    for (uint32_t i = 0; self->partials && i < op->execution->config.worker_count; i++) {
        for (uint32_t p = 0; p < KEY_PARTITIONS; p++) {
            release_partial(op, &self->partials[i][p]);
        }
    }
}

static void aggregate_close(struct operator *op) {
    struct aggregate_self *self = op->self;
    aggregate_drop_partials(op);
    aggregate_forget_sessions(op);
    row_store_release(&self->pending);
    for (uint32_t p = 0; p < KEY_PARTITIONS; p++) {
        time_index_release(&self->ends[p]);
        if (self->tables[p].context) state_table_release(&self->tables[p]);
        for (uint32_t d = 0; self->distincts && d < self->distinct_count; d++) {
            time_index_release(&self->distincts[d].ends[p]);
            if (self->distincts[d].tables[p].table.memory) state_table_release(&self->distincts[d].tables[p]);
        }
        for (uint32_t k = 0; self->values && k < self->value_count; k++) {
            if (self->values[k].tables[p].table.memory) state_table_release(&self->values[k].tables[p]);
        }
    }
}

const struct operator_class aggregate_class = {
    .name = "Aggregate", .partition_count = KEY_PARTITIONS, .open = aggregate_open, .begin = aggregate_begin, .push = aggregate_push,
    .prepare = aggregate_prepare, .keeps_rows = aggregate_keeps_rows, .fold = aggregate_fold, .finish = aggregate_finish, .ended = aggregate_ended,
    .commit = aggregate_commit, .rollback = aggregate_rollback, .state_parts = KEY_PARTITIONS, .log_changes = aggregate_log, .apply_changes = aggregate_apply, .snapshot = aggregate_snapshot,
    .restore = aggregate_restore, .describe_state = aggregate_describe, .clear = aggregate_clear, .earliest = aggregate_earliest, .bytes = aggregate_bytes, .close = aggregate_close,
};
