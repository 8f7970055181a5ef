// SPDX-License-Identifier: Apache-2.0
// hash_table.c: slots, pages and removal. See hash_table.h for the picture.
#include "exec/hash_table.h"
#include <stdlib.h>

enum { FIRST_PAGE = 64, FIRST_SLOTS = 64 };

void table_init(struct hash_table *t, struct memory *memory, size_t state_bytes) {
    memset(t, 0, sizeof *t);
    t->memory = memory;
    t->group_bytes = (sizeof(struct group) + state_bytes + 15) / 16 * 16;
}

static size_t page_groups(uint32_t page) { return (size_t)FIRST_PAGE << page; }

static void free_key(struct hash_table *t, struct string_view *key) {
    if (key->size_bytes <= STRING_INLINE_MAX) return;
    char *bytes;
    memcpy(&bytes, key->pointer, sizeof bytes);
    t->key_bytes -= key->size_bytes;
    memory_free(t->memory, bytes, key->size_bytes);
}

void table_release(struct hash_table *t) {
    for (size_t i = 0; i < t->slot_count; i++) {
        if (table_slot_is_live(&t->slots[i])) free_key(t, &t->slots[i].group->key);
    }
    if (t->slots) memory_free(t->memory, t->slots, t->slot_count * sizeof *t->slots);
    for (uint32_t p = 0; p < t->page_count; p++) memory_free(t->memory, t->pages[p], page_groups(p) * t->group_bytes);
    struct memory *memory = t->memory;
    size_t group_bytes = t->group_bytes;
    memset(t, 0, sizeof *t);
    t->memory = memory;
    t->group_bytes = group_bytes;
}

struct group *table_find(const struct hash_table *t, const struct string_view *key, uint64_t hash) {
    if (!t->slot_count) return NULL;
    size_t mask = t->slot_count - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        const struct table_slot *s = &t->slots[i];
        if (!s->group) return NULL;
        if (s->hash == hash && s->group != table_removed() && string_view_equal(&s->group->key, key)) return s->group;
    }
}

static bool rehash(struct hash_table *t) {
    size_t wanted = t->slot_count ? t->slot_count : FIRST_SLOTS;
    while (t->count + 1 > wanted / 8 * 4) wanted *= 2;
    struct table_slot *slots = memory_alloc_zeroed(t->memory, wanted * sizeof *slots);
    if (!slots) return false;
    for (size_t i = 0; i < t->slot_count; i++) {
        if (!table_slot_is_live(&t->slots[i])) continue;
        size_t at = t->slots[i].hash & (wanted - 1);
        while (slots[at].group) at = (at + 1) & (wanted - 1);
        slots[at] = t->slots[i];
    }
    if (t->slots) memory_free(t->memory, t->slots, t->slot_count * sizeof *t->slots);
    t->slots = slots;
    t->slot_count = wanted;
    t->used_count = t->count;
    return true;
}

static struct group *take_group(struct hash_table *t) {
    if (t->free_groups) {
        struct group *g = t->free_groups;
        memcpy(&t->free_groups, &g->padding, sizeof t->free_groups);
        return g;
    }
    if (!t->page_count || t->page_used == page_groups(t->page_count - 1)) {
        if (t->page_count == TABLE_PAGES) return NULL;
        char *page = memory_alloc(t->memory, page_groups(t->page_count) * t->group_bytes);
        if (!page) return NULL;
        t->pages[t->page_count++] = page;
        t->page_used = 0;
    }
    return (struct group *)(void *)(t->pages[t->page_count - 1] + t->page_used++ * t->group_bytes);
}

static void give_group(struct hash_table *t, struct group *g) {
    memcpy(&g->padding, &t->free_groups, sizeof t->free_groups);
    t->free_groups = g;
}

static bool own_key(struct hash_table *t, const struct string_view *key, struct string_view *out) {
    *out = *key;
    if (key->size_bytes <= STRING_INLINE_MAX) return true;
    char *bytes = memory_alloc(t->memory, key->size_bytes);
    if (!bytes) return false;
    memcpy(bytes, string_view_data(key), key->size_bytes);
    *out = string_view_of(bytes, key->size_bytes);
    t->key_bytes += key->size_bytes;
    return true;
}

struct group *table_find_or_add(struct hash_table *t, const struct string_view *key, uint64_t hash, bool *added) {
    *added = false;
    if (t->used_count + 1 > t->slot_count / 8 * 5 && !rehash(t)) return NULL;
    size_t mask = t->slot_count - 1;
    size_t i = hash & mask;
    struct table_slot *reuse = NULL;
    for (;; i = (i + 1) & mask) {
        struct table_slot *s = &t->slots[i];
        if (!s->group) break;
        if (s->group == table_removed()) {
            if (!reuse) reuse = s;
        } else if (s->hash == hash && string_view_equal(&s->group->key, key)) {
            return s->group;
        }
    }
    struct group *g = take_group(t);
    if (!g) return NULL;
    memset(g, 0, t->group_bytes);
    if (!own_key(t, key, &g->key)) {
        give_group(t, g);
        return NULL;
    }
    g->hash = hash;
    struct table_slot *slot = reuse ? reuse : &t->slots[i];
    if (!reuse) t->used_count++;
    *slot = (struct table_slot){.hash = hash, .group = g};
    t->count++;
    *added = true;
    return g;
}

void table_remove(struct hash_table *t, struct group *g) {
    size_t mask = t->slot_count - 1;
    for (size_t i = g->hash & mask; t->slots[i].group; i = (i + 1) & mask) {
        if (t->slots[i].group != g) continue;
        t->slots[i].group = table_removed();
        free_key(t, &g->key);
        give_group(t, g);
        t->count--;
        return;
    }
}

static int group_order(const void *a, const void *b) {
    const struct group *x = *(struct group *const *)a, *y = *(struct group *const *)b;
    if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
    int order = string_view_compare(&x->key, &y->key);
    return order ? order : key_is_null(&x->key) - key_is_null(&y->key);
}

void groups_sort(struct group **groups, size_t count) {
    if (count > 1) qsort(groups, count, sizeof(struct group *), group_order);
}

static int slot_order(const void *a, const void *b) {
    const struct table_slot *x = a, *y = b;
    if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
    return group_order(&x->group, &y->group);
}

enum status table_sorted(const struct hash_table *t, struct group ***out) {
    *out = NULL;
    if (!t->count) return STATUS_OK;
    // Slots are sorted, as their hashes are at hand; groups lie anywhere in memory.
    struct table_slot *slots = memory_alloc(t->memory, t->count * sizeof *slots);
    struct group **groups = memory_alloc(t->memory, t->count * sizeof(struct group *));
    size_t n = 0;
    for (size_t i = 0; slots && groups && i < t->slot_count; i++) {
        if (table_slot_is_live(&t->slots[i])) slots[n++] = t->slots[i];
    }
    if (slots && n > 1) qsort(slots, n, sizeof *slots, slot_order);
    for (size_t i = 0; groups && i < n; i++) groups[i] = slots[i].group;
    if (slots) memory_free(t->memory, slots, t->count * sizeof *slots);
    else if (groups) memory_free(t->memory, groups, t->count * sizeof(struct group *));
    *out = slots ? groups : NULL;
    return *out ? STATUS_OK : STATUS_NO_MEMORY;
}

size_t table_bytes(const struct hash_table *t) {
    size_t bytes = t->slot_count * sizeof *t->slots + t->key_bytes;
    for (uint32_t p = 0; p < t->page_count; p++) bytes += page_groups(p) * t->group_bytes;
    return bytes;
}
