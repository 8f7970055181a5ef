// SPDX-License-Identifier: Apache-2.0
// multiset.c: see multiset.h. Open addressing over a list of entries; nothing is ever moved but by growing. When half of the entries
// count nothing, the set is built anew, so that a long-lived bag of passing values stays as small as what is in it.
#include "expr/multiset.h"
#include "base/checksum.h"
#include "expr/aggregate_value.h"

struct multiset *multiset_new(struct memory *memory) {
    struct multiset *m = memory_alloc_zeroed(memory, sizeof *m);
    if (!m) return NULL;
    m->memory = memory;
    buffer_init(&m->scratch, memory);
    return m;
}

// All but the scratch.
static void multiset_clear(struct multiset *m) {
    if (m->bytes) memory_free(m->memory, m->bytes, m->bytes_capacity);
    if (m->entries) memory_free(m->memory, m->entries, m->entry_capacity * sizeof *m->entries);
    if (m->slots) memory_free(m->memory, m->slots, m->slot_count * sizeof *m->slots);
    m->bytes = NULL;
    m->entries = NULL;
    m->slots = NULL;
    m->bytes_used = m->bytes_capacity = m->entry_count = m->entry_capacity = m->slot_count = 0;
}

void multiset_free(struct multiset *m) {
    if (!m) return;
    multiset_clear(m);
    buffer_release(&m->scratch);
    memory_free(m->memory, m, sizeof *m);
}

static void multiset_place(struct multiset *m, uint32_t index) {
    uint32_t mask = m->slot_count - 1;
    uint32_t slot = (uint32_t)m->entries[index].hash & mask;
    while (m->slots[slot]) slot = (slot + 1) & mask;
    m->slots[slot] = index + 1;
}

static enum status multiset_grow(struct multiset *m) {
    uint32_t capacity = m->entry_capacity ? m->entry_capacity * 2 : 8;
    if (capacity > UINT32_MAX / 8 / sizeof *m->entries) return STATUS_NO_MEMORY;
    uint32_t *slots = memory_alloc_zeroed(m->memory, (size_t)capacity * 2 * sizeof *slots);
    if (!slots) return STATUS_NO_MEMORY;
    struct multiset_entry *entries =
        m->entries ? memory_resize(m->memory, m->entries, m->entry_capacity * sizeof *entries, capacity * sizeof *entries)
                   : memory_alloc(m->memory, capacity * sizeof *entries);
    if (!entries) {
        memory_free(m->memory, slots, (size_t)capacity * 2 * sizeof *slots);
        return STATUS_NO_MEMORY;
    }
    if (m->slots) memory_free(m->memory, m->slots, m->slot_count * sizeof *m->slots);
    m->entries = entries;
    m->entry_capacity = capacity;
    m->slots = slots;
    m->slot_count = capacity * 2;
    for (uint32_t i = 0; i < m->entry_count; i++) multiset_place(m, i);
    return STATUS_OK;
}

// Drops what counts nothing, if that is at least half.
static enum status multiset_tidy(struct multiset *m) {
    uint32_t live = 0;
    for (uint32_t i = 0; i < m->entry_count; i++) live += m->entries[i].count != 0;
    if (live * 2 > m->entry_count) return STATUS_OK;
    struct multiset fresh = {.memory = m->memory};
    enum status status = multiset_merge(&fresh, m);
    if (status != STATUS_OK) {
        multiset_clear(&fresh);
        return status;
    }
    multiset_clear(m);
    fresh.scratch = m->scratch;
    *m = fresh;
    return STATUS_OK;
}

enum status multiset_add_encoded(struct multiset *m, const void *bytes, size_t size_bytes, int64_t count) {
    uint64_t hash = checksum64(bytes, size_bytes, 0);
    if (m->slot_count) {
        uint32_t mask = m->slot_count - 1;
        for (uint32_t slot = (uint32_t)hash & mask; m->slots[slot]; slot = (slot + 1) & mask) {
            struct multiset_entry *entry = &m->entries[m->slots[slot] - 1];
            if (entry->hash != hash || entry->size_bytes != size_bytes || memcmp(m->bytes + entry->offset, bytes, size_bytes)) continue;
            entry->count += count;
            return STATUS_OK;
        }
    }
    if (m->entry_count == m->entry_capacity && m->entry_count) TRY(multiset_tidy(m));
    if (m->entry_count == m->entry_capacity) TRY(multiset_grow(m));
    TRY(state_reserve(m->memory, &m->bytes, &m->bytes_capacity, (size_t)m->bytes_used + size_bytes));
    if (size_bytes) memcpy(m->bytes + m->bytes_used, bytes, size_bytes);
    m->entries[m->entry_count] = (struct multiset_entry){.hash = hash, .count = count, .offset = m->bytes_used, .size_bytes = (uint32_t)size_bytes};
    m->bytes_used += (uint32_t)size_bytes;
    multiset_place(m, m->entry_count++);
    return STATUS_OK;
}

enum status multiset_add(struct multiset *m, const struct column *c, uint32_t row, int64_t count) {
    buffer_clear(&m->scratch);
    TRY(value_write(c, row, &m->scratch));
    return multiset_add_encoded(m, m->scratch.data, m->scratch.size_bytes, count);
}

enum status multiset_merge(struct multiset *into, const struct multiset *from) {
    for (uint32_t i = 0; i < from->entry_count; i++) {
        const struct multiset_entry *entry = &from->entries[i];
        if (entry->count) TRY(multiset_add_encoded(into, from->bytes + entry->offset, entry->size_bytes, entry->count));
    }
    return STATUS_OK;
}

struct sort_key {
    const struct column *values;   // NULL: the type has no order, compare the encodings
    const struct multiset *set;
    const uint32_t *entries;       // entry of a row
};

static int compare_rows(const void *left, const void *right, void *context) {
    const struct sort_key *key = context;
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    if (key->values) return value_compare(key->values, a, key->values, b);
    const struct multiset_entry *x = &key->set->entries[key->entries[a]], *y = &key->set->entries[key->entries[b]];
    uint32_t shorter = x->size_bytes < y->size_bytes ? x->size_bytes : y->size_bytes;
    int order = memcmp(key->set->bytes + x->offset, key->set->bytes + y->offset, shorter);
    return order ? order : (x->size_bytes > y->size_bytes) - (x->size_bytes < y->size_bytes);
}

enum status multiset_sort(const struct multiset *m, const struct type *type, struct arena *a, struct multiset_sorted *out) {
    *out = (struct multiset_sorted){0};
    uint32_t entry_count = m ? m->entry_count : 0;
    out->order = arena_alloc_array(a, (size_t)entry_count + 1, sizeof *out->order);
    out->counts = arena_alloc_array(a, (size_t)entry_count + 1, sizeof *out->counts);
    uint32_t *entries = arena_alloc_array(a, (size_t)entry_count + 1, sizeof *entries);
    if (!out->order || !out->counts || !entries) return STATUS_NO_MEMORY;
    struct column_builder builder;
    column_builder_init(&builder, a, type);
    for (uint32_t i = 0; i < entry_count; i++) {
        if (m->entries[i].count <= 0) continue;
        struct reader in = reader_of(m->bytes + m->entries[i].offset, m->entries[i].size_bytes);
        value_read(&in, &builder);
        if (in.failed) return STATUS_CORRUPT;
        entries[out->count] = i;
        out->counts[out->count] = m->entries[i].count;
        out->order[out->count] = out->count;
        out->count++;
    }
    TRY(column_builder_finish(&builder, &out->values));
    struct sort_key key = {.values = type_is_orderable(type) ? &out->values : NULL, .set = m, .entries = entries};
    if (out->count > 1) qsort_r(out->order, out->count, sizeof *out->order, compare_rows, &key);
    return STATUS_OK;
}

enum status multiset_save(const struct multiset *m, struct buffer *out) {
    uint32_t live = 0;
    for (uint32_t i = 0; m && i < m->entry_count; i++) live += m->entries[i].count != 0;
    TRY(write_varint(out, live));
    for (uint32_t i = 0; m && i < m->entry_count; i++) {
        const struct multiset_entry *entry = &m->entries[i];
        if (!entry->count) continue;
        TRY(write_signed(out, entry->count));
        TRY(write_bytes(out, m->bytes + entry->offset, entry->size_bytes));
    }
    return STATUS_OK;
}

bool multiset_load(struct multiset *m, struct reader *in) {
    uint64_t live = read_varint(in);
    for (uint64_t i = 0; i < live && !in->failed; i++) {
        int64_t count = read_signed(in);
        size_t size_bytes;
        const uint8_t *bytes = read_bytes(in, &size_bytes);
        if (in->failed || multiset_add_encoded(m, bytes, size_bytes, count) != STATUS_OK) return false;
    }
    return !in->failed;
}
