// SPDX-License-Identifier: Apache-2.0
// node_map.c: see node_map.h. Linear probing, at most half full.
#include "plan/node_map.h"
#include "base/random.h"

static uint32_t slot_of(const struct node_map *m, const struct plan_node *key) {
    uint32_t i = (uint32_t)random_mix((uint64_t)(uintptr_t)key) & (m->capacity - 1);
    while (m->keys[i] && m->keys[i] != key) i = (i + 1) & (m->capacity - 1);
    return i;
}

struct plan_node **node_map_find(const struct node_map *m, const struct plan_node *key) {
    if (!m->capacity) return NULL;
    uint32_t i = slot_of(m, key);
    return m->keys[i] ? &m->values[i] : NULL;
}

static enum status grow(struct node_map *m) {
    struct node_map larger = {.arena = m->arena, .capacity = m->capacity ? m->capacity * 2 : 32, .count = m->count};
    larger.keys = arena_alloc_array(m->arena, larger.capacity, sizeof *larger.keys);
    larger.values = arena_alloc_array(m->arena, larger.capacity, sizeof *larger.values);
    if (!larger.keys || !larger.values) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < m->capacity; i++) {
        if (!m->keys[i]) continue;
        uint32_t to = slot_of(&larger, m->keys[i]);
        larger.keys[to] = m->keys[i];
        larger.values[to] = m->values[i];
    }
    *m = larger;
    return STATUS_OK;
}

enum status node_map_put(struct node_map *m, const struct plan_node *key, struct plan_node *value) {
    if (m->count * 2 >= m->capacity) TRY(grow(m));
    uint32_t i = slot_of(m, key);
    if (!m->keys[i]) m->count++;
    m->keys[i] = key;
    m->values[i] = value;
    return STATUS_OK;
}
