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
    for (size_t i = 0; i < t->slot_count && t->key_bytes; i++) {
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

static bool rehash(struct hash_table *t, size_t count) {
    size_t wanted = t->slot_count ? t->slot_count : FIRST_SLOTS;
    while (count > wanted / 8 * 4) wanted *= 2;
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

bool table_reserve(struct hash_table *t, size_t count) { return count <= t->slot_count / 8 * 4 || rehash(t, count); }

static struct group *take_group(struct hash_table *t) {
    if (t->free_groups) {
        struct group *g = t->free_groups;
        memcpy(&t->free_groups, &g->time, sizeof t->free_groups);
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
    memcpy(&g->time, &t->free_groups, sizeof t->free_groups);
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
    if (t->used_count + 1 > t->slot_count / 8 * 5 && !rehash(t, t->count + 1)) return NULL;
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

static int slot_order(const void *a, const void *b) {
    const struct table_slot *x = a, *y = b;
    if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
    int order = string_view_compare(&x->group->key, &y->group->key);
    return order ? order : key_is_null(&x->group->key) - key_is_null(&y->group->key);
}

// Few slots, or many that fell together (hashes can be made to collide): a sort that does not care.
static void sort_bucket(struct table_slot *slots, size_t count) {
    if (count > 32) {
        qsort(slots, count, sizeof *slots, slot_order);
        return;
    }
    for (size_t i = 1; i < count; i++) {
        struct table_slot one = slots[i];
        size_t at = i;
        for (; at > 0 && slot_order(&one, &slots[at - 1]) < 0; at--) slots[at] = slots[at - 1];
        slots[at] = one;
    }
}

// Hashes are spread evenly between the least and the greatest: dealt into count / 4 equal ranges, about four fall into each.
enum status slots_sort(struct memory *memory, struct table_slot *slots, size_t count) {
    uint64_t least = UINT64_MAX, greatest = 0;
    for (size_t i = 0; i < count; i++) {
        if (slots[i].hash < least) least = slots[i].hash;
        if (slots[i].hash > greatest) greatest = slots[i].hash;
    }
    if (count < 64 || greatest - least < count) {
        if (count > 1) qsort(slots, count, sizeof *slots, slot_order);
        return STATUS_OK;
    }
    int shift = 0;
    while ((greatest - least) >> shift >= count / 4) shift++;
    size_t bucket_count = (size_t)((greatest - least) >> shift) + 1;
    struct table_slot *from = memory_alloc(memory, count * sizeof *from);
    size_t *ends = memory_alloc_zeroed(memory, (bucket_count + 1) * sizeof *ends);
    if (from && ends) {
        memcpy(from, slots, count * sizeof *from);
        for (size_t i = 0; i < count; i++) ends[((from[i].hash - least) >> shift) + 1]++;
        for (size_t b = 0; b < bucket_count; b++) ends[b + 1] += ends[b];
        for (size_t i = 0; i < count; i++) slots[ends[(from[i].hash - least) >> shift]++] = from[i];
        for (size_t b = 0, begin = 0; b < bucket_count; begin = ends[b++]) sort_bucket(slots + begin, ends[b] - begin);
    }
    bool done = from && ends;
    if (from) memory_free(memory, from, count * sizeof *from);
    if (ends) memory_free(memory, ends, (bucket_count + 1) * sizeof *ends);
    return done ? STATUS_OK : STATUS_NO_MEMORY;
}

enum status table_sorted(const struct hash_table *t, struct table_slot **out) {
    *out = NULL;
    if (!t->count) return STATUS_OK;
    struct table_slot *slots = memory_alloc(t->memory, t->count * sizeof *slots);
    size_t n = 0;
    for (size_t i = 0; slots && i < t->slot_count; i++) {
        if (table_slot_is_live(&t->slots[i])) slots[n++] = t->slots[i];
    }
    enum status status = slots ? slots_sort(t->memory, slots, n) : STATUS_NO_MEMORY;
    if (status == STATUS_OK) *out = slots;
    else if (slots) memory_free(t->memory, slots, t->count * sizeof *slots);
    return status;
}

size_t table_bytes(const struct hash_table *t) {
    size_t bytes = t->slot_count * sizeof *t->slots + t->key_bytes;
    for (uint32_t p = 0; p < t->page_count; p++) bytes += page_groups(p) * t->group_bytes;
    return bytes;
}
