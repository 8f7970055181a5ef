// SPDX-License-Identifier: Apache-2.0
// state_table.c: touch, commit, rollback, log and snapshot of groups. Entry: key · 0 gone | 1 weight states.
#include "exec/state_table.h"

enum { PREFETCH = 8 };  // groups ahead: each is a cache miss

static inline void prefetch_group(const struct group *g) {
    __builtin_prefetch(g);
    __builtin_prefetch(g + 1);
}

void state_table_init(struct state_table *s, struct memory *memory, size_t state_bytes, const struct key_layout *layout,
                      const struct state_codec *codec, void *context) {
    memset(s, 0, sizeof *s);
    table_init(&s->table, memory, state_bytes);
    s->layout = *layout;
    s->codec = codec;
    s->context = context;
    vector_init(&s->touched, memory, sizeof(struct touched_group));
    buffer_init(&s->undo, memory);
}

static void release_states(struct state_table *s, struct group *g) {
    if (s->codec && !s->owns_nothing) s->codec->release(s->context, g);
    memset(g + 1, 0, s->table.group_bytes - sizeof *g);
}

void state_table_clear(struct state_table *s) {
    for (size_t i = 0; i < s->table.slot_count && s->codec && !s->owns_nothing; i++) {
        if (table_slot_is_live(&s->table.slots[i])) s->codec->release(s->context, s->table.slots[i].group);
    }
    table_release(&s->table);
    vector_clear(&s->touched);
    buffer_clear(&s->undo);
}

void state_table_release(struct state_table *s) {
    state_table_clear(s);
    vector_release(&s->touched);
    buffer_release(&s->undo);
}

static enum status save_image(const struct state_table *s, const struct group *g, struct buffer *out) {
    TRY(write_signed(out, g->weight));
    return s->codec ? s->codec->save(s->context, g, out) : STATUS_OK;
}

static bool load_image(struct state_table *s, struct group *g, struct reader *in) {
    g->weight = read_signed(in);
    if (in->failed) return false;
    return (!s->codec || s->codec->load(s->context, g, in)) && !in->failed;
}

static enum status touch(struct state_table *s, struct group *g, bool existed) {
    size_t begin = s->undo.size_bytes;
    enum status status = existed ? save_image(s, g, &s->undo) : STATUS_OK;
    struct touched_group t = {.hash = g->hash, .group = g, .existed = existed, .undo_begin = begin, .undo_end = s->undo.size_bytes & INT64_MAX};
    if (status == STATUS_OK) status = vector_push(&s->touched, &t);
    if (status != STATUS_OK) {
        s->undo.size_bytes = begin;
        return status;
    }
    g->touched = (uint32_t)s->touched.count;
    return STATUS_OK;
}

struct group *state_group(struct state_table *s, const struct string_view *key, uint64_t hash, bool *added) {
    bool is_new;
    struct group *g = table_find_or_add(&s->table, key, hash, &is_new);
    if (added) *added = is_new;
    if (!g || g->touched || s->no_undo) return g;
    if (touch(s, g, !is_new) == STATUS_OK) return g;
    if (is_new) table_remove(&s->table, g);
    return NULL;
}

enum status state_touch(struct state_table *s, struct group *g) { return g->touched || s->no_undo ? STATUS_OK : touch(s, g, true); }

enum status state_end_group(struct state_table *s, struct group *g) {
    TRY(state_touch(s, g));
    g->weight = 0;
    return STATUS_OK;
}

void state_commit(struct state_table *s) {
    for (size_t i = 0; i < s->touched.count; i++) {
        struct touched_group *t = vector_at(&s->touched, i);
        t->group->touched = 0;
        if (t->group->weight != 0 || s->keeps_empty) continue;
        release_states(s, t->group);
        table_remove(&s->table, t->group);
    }
    vector_clear(&s->touched);
    buffer_clear(&s->undo);
}

enum status state_rollback(struct state_table *s) {
    enum status status = STATUS_OK;
    for (size_t i = s->touched.count; i-- > 0;) {
        struct touched_group *t = vector_at(&s->touched, i);
        release_states(s, t->group);
        t->group->touched = 0;
        if (!t->existed) {
            table_remove(&s->table, t->group);
            continue;
        }
        struct reader in = reader_of(s->undo.data + t->undo_begin, t->undo_end - t->undo_begin);
        if (!load_image(s, t->group, &in)) status = STATUS_NO_MEMORY;
    }
    vector_clear(&s->touched);
    buffer_clear(&s->undo);
    return status;
}

static enum status write_entry(const struct state_table *s, const struct group *g, struct buffer *out) {
    TRY(key_write(&g->key, out));
    bool gone = g->weight == 0 && !s->keeps_empty;
    TRY(buffer_append_byte(out, !gone));
    return gone ? STATUS_OK : save_image(s, g, out);
}

// Touched groups in the order of (hash, key), and each group's place among them.
enum status state_order_touched(struct state_table *s) {
    size_t count = s->touched.count;
    if (!count) return STATUS_OK;
    struct memory *memory = s->touched.memory;
    struct table_slot *slots = memory_alloc(memory, count * sizeof *slots);
    struct touched_group *items = s->touched.items, *from = memory_alloc(memory, count * sizeof *from);
    for (size_t i = 0; slots && i < count; i++) slots[i] = (struct table_slot){.hash = items[i].hash, .group = items[i].group};
    enum status status = slots && from ? slots_sort(memory, slots, count) : STATUS_NO_MEMORY;
    if (status == STATUS_OK) memcpy(from, items, count * sizeof *from);
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        if (i + PREFETCH < count) __builtin_prefetch(slots[i + PREFETCH].group);
        items[i] = from[slots[i].group->touched - 1];
        slots[i].group->touched = (uint32_t)i + 1;
    }
    if (slots) memory_free(memory, slots, count * sizeof *slots);
    if (from) memory_free(memory, from, count * sizeof *from);
    return status;
}

enum status state_log(const struct state_table *s, struct buffer *out) {
    TRY(write_varint(out, s->touched.count));
    for (size_t i = 0; i < s->touched.count; i++) {
        const struct touched_group *t = vector_at(&s->touched, i);
        if (i + PREFETCH < s->touched.count) prefetch_group(t[PREFETCH].group);
        TRY(write_entry(s, t->group, out));
    }
    return STATUS_OK;
}

enum status state_snapshot(const struct state_table *s, struct buffer *out) {
    struct table_slot *groups;
    TRY(table_sorted(&s->table, &groups));
    enum status status = write_varint(out, s->table.count);
    for (size_t i = 0; i < s->table.count && status == STATUS_OK; i++) {
        if (i + PREFETCH < s->table.count) prefetch_group(groups[i + PREFETCH].group);
        status = write_entry(s, groups[i].group, out);
    }
    if (groups) memory_free(s->table.memory, groups, s->table.count * sizeof *groups);
    return status;
}

static enum status apply_entry(struct state_table *tables, uint32_t table_count, struct reader *in) {
    struct string_view key;
    if (!key_read(&tables->layout, in, tables->table.memory, &key)) return STATUS_CORRUPT;
    uint64_t hash = key_hash(&tables->layout, &key);
    uint32_t chosen = table_count == 1 ? 0 : tables->choose ? tables->choose(tables->context, &key) : key_partition(hash);
    if (chosen >= table_count) return STATUS_CORRUPT;
    struct state_table *s = &tables[chosen];
    uint8_t form = read_byte(in);
    if (in->failed || form > 1) return STATUS_CORRUPT;
    if (form == 0) {
        struct group *old = table_find(&s->table, &key, hash);
        if (!old) return STATUS_OK;
        release_states(s, old);
        table_remove(&s->table, old);
        return STATUS_OK;
    }
    bool added;
    struct group *g = table_find_or_add(&s->table, &key, hash, &added);
    if (!g) return STATUS_NO_MEMORY;
    if (!added) release_states(s, g);
    if (load_image(s, g, in)) return STATUS_OK;
    release_states(s, g);
    table_remove(&s->table, g);
    return STATUS_CORRUPT;
}

enum status state_apply(struct state_table *tables, uint32_t table_count, struct reader *in) {
    uint64_t count = read_varint(in);
    for (uint64_t i = 0; i < count && !in->failed; i++) TRY(apply_entry(tables, table_count, in));
    return in->failed ? STATUS_CORRUPT : STATUS_OK;
}

size_t state_table_bytes(const struct state_table *s) {
    return table_bytes(&s->table) + s->undo.capacity_bytes + s->touched.capacity * sizeof(struct touched_group);
}
