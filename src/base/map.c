// SPDX-License-Identifier: Apache-2.0
// map.c: names to pointers. Linear probing over 32-bit indices into the entries; at most half of the slots are taken.
//
// A removed entry keeps its slot (a tombstone: its key is NULL) until the slots are rebuilt, which also squeezes the entries.
#include "base/map.h"
#include "base/checksum.h"
#include <stdbool.h>
#include <string.h>

enum { SMALLEST_SLOT_COUNT = 16, FOLD_BYTES = 128 };

void map_init(struct map *m, struct memory *memory, bool ignore_case) {
    *m = (struct map){.memory = memory, .ignore_case = ignore_case};
}

void map_release(struct map *m) {
    for (size_t i = 0; i < m->entry_count; i++) {
        if (m->entries[i].key) memory_free(m->memory, m->entries[i].key, strlen(m->entries[i].key) + 1);
    }
    memory_free(m->memory, m->entries, m->entry_capacity * sizeof *m->entries);
    memory_free(m->memory, m->slots, m->slot_count * sizeof *m->slots);
    map_init(m, m->memory, m->ignore_case);
}

static char fold(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

static uint64_t hash_key(const struct map *m, const char *key) {
    size_t size_bytes = strlen(key);
    if (!m->ignore_case) return checksum64(key, size_bytes, 0);
    uint64_t hash = size_bytes;
    for (size_t begin = 0; begin < size_bytes; begin += FOLD_BYTES) {
        char folded[FOLD_BYTES];
        size_t part = size_bytes - begin < FOLD_BYTES ? size_bytes - begin : FOLD_BYTES;
        for (size_t i = 0; i < part; i++) folded[i] = fold(key[begin + i]);
        hash = checksum64(folded, part, hash);
    }
    return hash;
}

static bool same_key(const struct map *m, const char *a, const char *b) {
    if (!m->ignore_case) return strcmp(a, b) == 0;
    while (*a && fold(*a) == fold(*b)) a++, b++;
    return fold(*a) == fold(*b);
}

static struct map_entry *find_entry(const struct map *m, const char *key) {
    if (m->slot_count == 0) return NULL;
    size_t mask = m->slot_count - 1;
    for (size_t slot = hash_key(m, key) & mask; m->slots[slot]; slot = (slot + 1) & mask) {
        struct map_entry *entry = &m->entries[m->slots[slot] - 1];
        if (entry->key && same_key(m, entry->key, key)) return entry;
    }
    return NULL;
}

static void put_slot(struct map *m, size_t entry_index) {
    size_t mask = m->slot_count - 1;
    size_t slot = hash_key(m, m->entries[entry_index].key) & mask;
    while (m->slots[slot]) slot = (slot + 1) & mask;
    m->slots[slot] = (uint32_t)(entry_index + 1);
}

// Makes room for one more entry; on failure the map is as it was.
static enum status make_room(struct map *m) {
    if (m->entry_count < m->entry_capacity && (m->entry_count + 1) * 2 <= m->slot_count) return STATUS_OK;
    size_t slot_count = SMALLEST_SLOT_COUNT;
    while (slot_count < (m->count + 1) * 4) slot_count *= 2;
    if (slot_count > UINT32_MAX / 2) return STATUS_NO_MEMORY;
    size_t entry_capacity = slot_count / 2;
    uint32_t *slots = memory_alloc_zeroed(m->memory, slot_count * sizeof *slots);
    struct map_entry *entries = memory_alloc(m->memory, entry_capacity * sizeof *entries);
    if (!slots || !entries) {
        memory_free(m->memory, slots, slot_count * sizeof *slots);
        memory_free(m->memory, entries, entry_capacity * sizeof *entries);
        return STATUS_NO_MEMORY;
    }
    size_t live = 0;
    for (size_t i = 0; i < m->entry_count; i++) {
        if (m->entries[i].key) entries[live++] = m->entries[i];
    }
    memory_free(m->memory, m->entries, m->entry_capacity * sizeof *m->entries);
    memory_free(m->memory, m->slots, m->slot_count * sizeof *m->slots);
    m->entries = entries;
    m->entry_count = live;
    m->entry_capacity = entry_capacity;
    m->slots = slots;
    m->slot_count = slot_count;
    for (size_t i = 0; i < live; i++) put_slot(m, i);
    return STATUS_OK;
}

void *map_get(const struct map *m, const char *key) {
    const struct map_entry *entry = find_entry(m, key);
    return entry ? entry->value : NULL;
}

bool map_has(const struct map *m, const char *key) { return find_entry(m, key) != NULL; }

enum status map_set(struct map *m, const char *key, void *value) {
    struct map_entry *entry = find_entry(m, key);
    if (entry) {
        entry->value = value;
        return STATUS_OK;
    }
    size_t key_bytes = strlen(key) + 1;
    char *copy = memory_alloc(m->memory, key_bytes);
    if (!copy) return STATUS_NO_MEMORY;
    memcpy(copy, key, key_bytes);
    enum status status = make_room(m);
    if (status != STATUS_OK) {
        memory_free(m->memory, copy, key_bytes);
        return status;
    }
    m->entries[m->entry_count] = (struct map_entry){.key = copy, .value = value};
    put_slot(m, m->entry_count++);
    m->count++;
    return STATUS_OK;
}

void *map_remove(struct map *m, const char *key) {
    struct map_entry *entry = find_entry(m, key);
    if (!entry) return NULL;
    void *value = entry->value;
    memory_free(m->memory, entry->key, strlen(entry->key) + 1);
    *entry = (struct map_entry){0};
    m->count--;
    return value;
}
