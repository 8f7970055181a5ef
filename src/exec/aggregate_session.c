// SPDX-License-Identifier: Apache-2.0
// aggregate_session.c: session_window over a stream: groups that grow together. The SESSION below gives each row the session it would make alone,
// {time, time + gap}; the groups of this aggregation are (other keys, session), and beside them stands which sessions a key has:
//
//     open_sessions  (other keys) → [start, end, group] [start, end, group] …      ascending, apart from each other
//
// At the end of the epoch the kept rows of a key partition, by the hash of the other keys, are put in the order of key and time and cut into runs:
// rows whose sessions touch each other, or an open session between them. A run within one open session joins its group; else the groups of those it
// touches end, a new one takes their states over, in the order of time, and the run's rows after. A session that begins where another ends touches it. What each run makes
// depends on the epoch's rows and the state alone, not on workers. The lists are built anew from the groups after a rollback and a restore.
#include "exec/aggregate.h"
#include <stdlib.h>

struct open_session {
    int64_t start, end;
    struct group *group;
};

struct session_list {                 // the state of a prefix
    struct open_session *items;
    uint32_t count, capacity;
};

struct session_row {
    const struct string_view *key;    // prefix
    uint64_t hash;
    int64_t start, end;
    uint64_t order;                   // among the partition's rows
    uint32_t batch, row;              // where its columns are
};

static uint32_t choose_partition(void *context, const struct string_view *key);

enum status aggregate_open_sessions(struct operator *op, struct error *e) {
    struct aggregate_self *self = op->self;
    struct execution *x = op->execution;
    if (op->node->inputs[0]->changes == CHANGES_RETRACT) {
        return error_set(e, STATUS_UNSUPPORTED, NULL, "session_window over rows that can be taken back is not supported yet");
    }
    if (self->distinct_count) return error_set(e, STATUS_UNSUPPORTED, NULL, "DISTINCT in an aggregate over session_window of a stream is not supported yet");
    for (uint32_t k = 0; k < self->call_count; k++) {
        if (self->calls[k].ops->merge || self->calls[k].ops->append) continue;
        return error_set(e, STATUS_UNSUPPORTED, NULL, "%s over session_window of a stream is not supported yet: sessions grow together, and its parts cannot",
                         self->calls[k].aggregate->name);
    }
    const struct type **types = arena_alloc_array(&x->arena, self->key_count, sizeof *types);
    if (!types) return error_no_memory(e);
    uint32_t count = 0;
    for (uint32_t i = 0; i < self->key_count; i++) {
        if (i != self->session_key) types[count++] = self->layout.types[i];
    }
    key_layout_init(&self->prefix, types, count);
    for (uint32_t p = 0; p < KEY_PARTITIONS; p++) {
        table_init(&self->open_sessions[p], x->state_memory, sizeof(struct session_list));
        self->tables[p].choose = choose_partition;
    }
    return STATUS_OK;
}

static enum status prefix_columns(const struct aggregate_self *self, const struct column *columns, struct arena *a, struct column **out) {
    uint32_t count = 0;
    *out = arena_alloc_array(a, self->key_count, sizeof **out);
    if (!*out) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < self->key_count; i++) {
        if (i != self->session_key) (*out)[count++] = columns[i];
    }
    return STATUS_OK;
}

enum status aggregate_prefix_keys(struct aggregate_self *self, const struct column *columns, const struct rows *rows, struct arena *a, struct memory *memory,
                                  struct key_batch *out) {
    struct column *prefix;
    TRY(prefix_columns(self, columns, a, &prefix));
    return key_batch_make(&self->prefix, prefix, rows, a, memory, out);
}

static void session_of(const struct aggregate_self *self, const struct column *columns, uint32_t row, int64_t *start, int64_t *end) {
    const struct column *key = &columns[self->session_key], *base = column_base(key);
    uint32_t at = column_index(key, row);
    *start = column_int64(&base->children[0], at);
    *end = column_int64(&base->children[1], at);
}

// --- the lists ---

static void drop_lists(struct hash_table *t) {
    for (size_t s = 0; s < t->slot_count; s++) {
        if (!table_slot_is_live(&t->slots[s])) continue;
        struct session_list *list = group_state(t->slots[s].group, 0);
        if (list->items) memory_free(t->memory, list->items, list->capacity * sizeof *list->items);
    }
    table_release(t);
}

void aggregate_forget_sessions(struct operator *op) {
    struct aggregate_self *self = op->self;
    for (uint32_t p = 0; self->session_key != NO_SESSION && p < KEY_PARTITIONS; p++) {
        if (self->open_sessions[p].memory) drop_lists(&self->open_sessions[p]);
    }
    self->sessions_stale = true;
}

// Puts one session in the place of items [from, to).
static enum status replace_sessions(struct session_list *l, struct memory *memory, uint32_t from, uint32_t to, const struct open_session *by) {
    uint32_t count = l->count - (to - from) + 1;
    if (count > l->capacity) {
        uint32_t capacity = l->capacity ? l->capacity * 2 : 1;
        struct open_session *items = memory_alloc(memory, capacity * sizeof *items);
        if (!items) return STATUS_NO_MEMORY;
        if (l->count) memcpy(items, l->items, l->count * sizeof *items);
        if (l->items) memory_free(memory, l->items, l->capacity * sizeof *items);
        l->items = items;
        l->capacity = capacity;
    }
    memmove(l->items + from + 1, l->items + to, (l->count - to) * sizeof *l->items);
    l->items[from] = *by;
    l->count = count;
    return STATUS_OK;
}

static uint32_t first_ending_at(const struct session_list *l, int64_t time) {
    uint32_t low = 0, high = l->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (l->items[middle].end < time) low = middle + 1;
        else high = middle;
    }
    return low;
}

static enum status list_group(struct aggregate_self *self, const struct string_view *key, uint64_t hash, const struct open_session *session) {
    struct hash_table *t = &self->open_sessions[key_partition(hash)];
    bool added;
    struct group *entry = table_find_or_add(t, key, hash, &added);
    if (!entry) return STATUS_NO_MEMORY;
    entry->weight = 1;
    struct session_list *l = group_state(entry, 0);
    uint32_t at = first_ending_at(l, session->end);
    return replace_sessions(l, t->memory, at, at, session);
}

static enum status index_partition(struct operator *op, const struct hash_table *t, struct arena *a) {
    struct aggregate_self *self = op->self;
    for (size_t s = 0; s < t->slot_count;) {
        struct group *groups[BATCH_ROWS];
        uint32_t count = 0;
        for (; s < t->slot_count && count < BATCH_ROWS; s++) {
            if (table_slot_is_live(&t->slots[s])) groups[count++] = t->slots[s].group;
        }
        arena_reset(a);
        struct column *columns = arena_alloc_array(a, self->key_count, sizeof *columns);
        if (!columns) return STATUS_NO_MEMORY;
        TRY(key_columns(&self->layout, groups, count, a, columns));
        struct rows rows = {.count = count};
        struct key_batch keys;
        TRY(aggregate_prefix_keys(self, columns, &rows, a, op->execution->memory, &keys));
        for (uint32_t i = 0; i < count; i++) {
            struct open_session session = {.group = groups[i]};
            session_of(self, columns, i, &session.start, &session.end);
            TRY(list_group(self, &keys.keys[i], keys.hashes[i], &session));
        }
    }
    return STATUS_OK;
}

enum status aggregate_index_sessions(struct operator *op, struct error *e) {
    struct aggregate_self *self = op->self;
    if (!self->sessions_stale) return STATUS_OK;
    struct arena a;
    arena_init(&a, op->execution->memory);
    enum status status = STATUS_OK;
    for (uint32_t p = 0; p < KEY_PARTITIONS && status == STATUS_OK; p++) status = index_partition(op, &self->tables[p].table, &a);
    arena_release(&a);
    self->sessions_stale = status != STATUS_OK;
    if (status == STATUS_OK) return STATUS_OK;
    aggregate_forget_sessions(op);
    return status == STATUS_NO_MEMORY ? error_no_memory(e) : error_set(e, STATUS_CORRUPT, NULL, "the state of an aggregation is corrupt");
}

static uint32_t choose_partition(void *context, const struct string_view *key) {
    struct operator *op = context;
    struct aggregate_self *self = op->self;
    struct arena a;
    struct group fake = {.key = *key}, *groups[1] = {&fake};
    struct rows rows = {.count = 1};
    struct key_batch keys;
    arena_init(&a, op->execution->memory);
    struct column *columns = arena_alloc_array(&a, self->key_count, sizeof *columns);
    bool ok = columns && key_columns(&self->layout, groups, 1, &a, columns) == STATUS_OK &&
              aggregate_prefix_keys(self, columns, &rows, &a, op->execution->memory, &keys) == STATUS_OK;
    uint32_t chosen = ok ? key_partition(keys.hashes[0]) : UINT32_MAX;
    arena_release(&a);
    return chosen;
}

// Groups whose time has come leave the lists.
enum status aggregate_end_sessions(struct operator *op, struct worker *w, const struct vector *groups, uint32_t p) {
    struct aggregate_self *self = op->self;
    struct hash_table *t = &self->open_sessions[p];
    struct arena *a = &w->scratch;
    for (size_t begin = 0; begin < groups->count; begin += BATCH_ROWS) {
        uint32_t count = groups->count - begin < BATCH_ROWS ? (uint32_t)(groups->count - begin) : BATCH_ROWS;
        struct group *const *ended = (struct group *const *)groups->items + begin;
        arena_reset(a);
        struct column *columns = arena_alloc_array(a, self->key_count, sizeof *columns);
        struct rows rows = {.count = count};
        struct key_batch keys;
        if (!columns || key_columns(&self->layout, ended, count, a, columns) != STATUS_OK ||
            aggregate_prefix_keys(self, columns, &rows, a, op->execution->memory, &keys) != STATUS_OK) return worker_no_memory(w);
        for (uint32_t i = 0; i < count; i++) {
            struct group *entry = table_find(t, &keys.keys[i], keys.hashes[i]);
            struct session_list *l = entry ? group_state(entry, 0) : NULL;
            uint32_t at = 0;
            while (l && at < l->count && l->items[at].group != ended[i]) at++;
            if (!l || at == l->count) continue;
            memmove(l->items + at, l->items + at + 1, (l->count - at - 1) * sizeof *l->items);
            if (--l->count) continue;
            memory_free(t->memory, l->items, l->capacity * sizeof *l->items);
            *l = (struct session_list){0};
            table_remove(t, entry);
        }
    }
    return STATUS_OK;
}

// --- rows ---

static int row_order(const void *a, const void *b) {
    const struct session_row *x = a, *y = b;
    if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
    int order = string_view_compare(x->key, y->key);
    if (!order) order = key_is_null(x->key) - key_is_null(y->key);
    if (!order) order = (x->start > y->start) - (x->start < y->start);
    return order ? order : (x->order > y->order) - (x->order < y->order);
}

static bool same_key(const struct session_row *x, const struct session_row *y) {
    return x->hash == y->hash && string_view_equal(x->key, y->key) && key_is_null(x->key) == key_is_null(y->key);
}

// The key of a group: the columns of a row, with another session.
static enum status make_key(struct operator *op, const struct session_row *row, int64_t start, int64_t end, struct arena *a, struct string_view *key, uint64_t *hash) {
    struct aggregate_self *self = op->self;
    const struct column *from = row_store_at(&self->pending, row->batch)->batch->columns;
    struct column *columns = arena_alloc_array(a, self->key_count, sizeof *columns);
    struct key_batch keys;
    uint32_t *at = arena_alloc(a, sizeof *at);
    if (!columns || !at) return STATUS_NO_MEMORY;
    *at = row->row;
    for (uint32_t i = 0; i < self->key_count; i++) {
        if (i != self->session_key) TRY(column_copy(a, &from[i], at, 1, &columns[i]));
    }
    struct column *session = &columns[self->session_key];
    TRY(column_make(a, self->layout.types[self->session_key], 1, false, session));
    *(int64_t *)session->children[0].values = start;
    *(int64_t *)session->children[1].values = end;
    struct rows one = {.count = 1};
    TRY(key_batch_make(&self->layout, columns, &one, a, op->execution->memory, &keys));
    *key = keys.keys[0];
    *hash = keys.hashes[0];
    return STATUS_OK;
}

static enum status take_over(struct operator *op, struct worker *w, struct state_table *s, struct group *into, struct group *from) {
    struct aggregate_self *self = op->self;
    TRY(state_touch(s, from));
    for (uint32_t k = 0; k < self->call_count; k++) {
        const struct call_plan *c = &self->calls[k];
        struct aggregate_context context = aggregate_context_for(self, op->execution, k, op->execution->state_memory, &w->eval);
        enum status (*add)(void *, const void *, struct aggregate_context *) = c->ops->merge ? c->ops->merge : c->ops->append;
        TRY(add(group_state(into, c->state_offset), group_state(from, c->state_offset), &context));
    }
    into->weight += from->weight;
    return state_end_group(s, from);
}

static enum status settle_run(struct operator *op, struct worker *w, uint32_t p, const struct session_row *row, int64_t start, int64_t end, int64_t weight,
                              struct group **out) {
    struct aggregate_self *self = op->self;
    struct hash_table *t = &self->open_sessions[p];
    struct state_table *s = &self->tables[p];
    bool added;
    struct group *entry = table_find_or_add(t, row->key, row->hash, &added);
    if (!entry) return STATUS_NO_MEMORY;
    entry->weight = 1;
    struct session_list *l = group_state(entry, 0);
    uint32_t from = first_ending_at(l, start), to = from;
    while (to < l->count && l->items[to].start <= end) to++;
    if (to == from + 1 && l->items[from].start <= start && l->items[from].end >= end) {
        *out = l->items[from].group;
        TRY(state_touch(s, *out));
        (*out)->weight += weight;
        return STATUS_OK;
    }
    if (to > from && l->items[from].start < start) start = l->items[from].start;
    if (to > from && l->items[to - 1].end > end) end = l->items[to - 1].end;
    struct string_view key;
    uint64_t hash;
    arena_reset(&w->scratch);
    TRY(make_key(op, row, start, end, &w->scratch, &key, &hash));
    struct group *g = state_group(s, &key, hash, &added);
    if (!g) return STATUS_NO_MEMORY;
    if (!added) return STATUS_INTERNAL;  // two sessions of one key at one time
    g->time = end;
    if (self->closes) TRY(time_index_add(&self->ends[p], g));
    for (uint32_t i = from; i < to; i++) TRY(take_over(op, w, s, g, l->items[i].group));
    g->weight += weight;
    *out = g;
    return replace_sessions(l, t->memory, from, to, &(struct open_session){.start = start, .end = end, .group = g});
}

// The run that begins with rows[begin]: *next is behind its last row. Earlier rows of the key touch none of its sessions, or it would be theirs.
static int64_t find_run(const struct aggregate_self *self, uint32_t p, const struct session_row *rows, uint64_t count, uint64_t begin, uint64_t *next) {
    struct group *entry = table_find(&self->open_sessions[p], rows[begin].key, rows[begin].hash);
    const struct session_list *l = entry ? group_state(entry, 0) : NULL;
    int64_t end = rows[begin].end;
    uint64_t i = begin + 1;
    for (uint32_t at = l ? first_ending_at(l, rows[begin].start) : 0;;) {
        for (; l && at < l->count && l->items[at].start <= end; at++) end = l->items[at].end > end ? l->items[at].end : end;
        if (i == count || !same_key(&rows[i], &rows[begin]) || rows[i].start > end) break;
        if (rows[i].end > end) end = rows[i].end;
        i++;
    }
    *next = i;
    return end;
}

static enum status settle_rows(struct operator *op, struct worker *w, uint32_t p, struct session_row *rows, uint64_t count, struct group **groups) {
    struct aggregate_self *self = op->self;
    for (uint64_t begin = 0; begin < count;) {
        uint64_t next;
        int64_t end = find_run(self, p, rows, count, begin, &next), weight = 0;
        for (uint64_t i = begin; i < next; i++) weight += batch_weight(row_store_at(&self->pending, rows[i].batch)->batch, rows[i].row);
        struct group *g;
        enum status status = settle_run(op, w, p, &rows[begin], rows[begin].start, end, weight, &g);
        if (status != STATUS_OK) return worker_fail(w, status, NULL, "sessions could not be brought together");
        for (; begin < next; begin++) groups[rows[begin].order] = g;
    }
    return STATUS_OK;
}

static uint64_t collect_rows(struct aggregate_self *self, uint32_t p, struct session_row *out) {
    uint64_t count = 0;
    for (uint32_t k = 0; k < self->pending.all.count; k++) {
        const struct kept_batch *batch = row_store_at(&self->pending, k);
        const struct kept_keys *kept = batch->extra;
        for (uint32_t i = kept->begins[p]; i < kept->begins[p + 1]; i++, count++) {
            if (!out) continue;
            uint16_t position = kept->positions[i];
            out[count] = (struct session_row){.key = &kept->keys.keys[position], .hash = kept->keys.hashes[position], .order = count, .batch = k,
                                              .row = rows_at(&kept->rows, position)};
            session_of(self, batch->batch->columns, out[count].row, &out[count].start, &out[count].end);
        }
    }
    return count;
}

static enum status update_groups(struct operator *op, struct worker *w, uint32_t p, struct group **groups) {
    struct aggregate_self *self = op->self;
    uint64_t done = 0;
    for (uint32_t k = 0; k < self->pending.all.count; k++) {
        struct kept_batch *batch = row_store_at(&self->pending, k);
        struct kept_keys *kept = batch->extra;
        uint32_t begin = kept->begins[p], count = kept->begins[p + 1] - begin;
        if (!count) continue;
        struct arena *a = &w->scratch;
        arena_reset(a);
        uint16_t *indices = arena_alloc(a, sizeof *indices * count);
        if (!indices) return worker_no_memory(w);
        for (uint32_t i = 0; i < count; i++) indices[i] = (uint16_t)rows_at(&kept->rows, kept->positions[begin + i]);
        struct fold f = {.columns = batch->batch->columns, .row_count = batch->batch->row_count, .weights = batch->batch->weights,
                         .rows = {.indices = indices, .count = count}, .groups = groups + done};
        TRY(aggregate_update(op, w, false, &f, batch->batch, a));
        done += count;
    }
    return STATUS_OK;
}

enum status aggregate_settle_sessions(struct operator *op, struct worker *w, uint32_t p) {
    struct aggregate_self *self = op->self;
    struct memory *memory = op->execution->memory;
    uint64_t count = collect_rows(self, p, NULL);
    if (!count) return STATUS_OK;
    struct session_row *rows = memory_alloc(memory, count * sizeof *rows);
    struct group **groups = memory_alloc(memory, count * sizeof *groups);
    enum status status = rows && groups ? STATUS_OK : worker_no_memory(w);
    if (status == STATUS_OK) {
        (void)collect_rows(self, p, rows);
        qsort(rows, count, sizeof *rows, row_order);
        status = settle_rows(op, w, p, rows, count, groups);
    }
    if (status == STATUS_OK) status = update_groups(op, w, p, groups);
    if (rows) memory_free(memory, rows, count * sizeof *rows);
    if (groups) memory_free(memory, groups, count * sizeof *groups);
    return status;
}
