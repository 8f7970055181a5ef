// SPDX-License-Identifier: Apache-2.0
// map.h: names to pointers. Open addressing, insertion order kept for iteration; keys are copied. For names, not for rows
// (grouping and joins have their own table in exec/).
#pragma once
#include "base/memory.h"
#include "base/status.h"

struct map_entry {
    char *key;   // owned by the map, NUL-terminated
    void *value;
};

struct map {
    struct memory *memory;
    struct map_entry *entries;  // in insertion order; key NULL: removed
    size_t entry_count;         // with removed ones
    size_t entry_capacity;
    size_t count;               // live ones
    uint32_t *slots;            // index into entries + 1; 0: free
    size_t slot_count;          // power of two
    bool ignore_case;           // ASCII case-insensitive keys
};

void map_init(struct map *m, struct memory *memory, bool ignore_case);
void map_release(struct map *m);
void *map_get(const struct map *m, const char *key);  // NULL if absent
bool map_has(const struct map *m, const char *key);
enum status map_set(struct map *m, const char *key, void *value) WARN_UNUSED;  // replaces
void *map_remove(struct map *m, const char *key);
