// SPDX-License-Identifier: Apache-2.0
// vector.c: growing an array. Capacity doubles from eight items.
#include "base/vector.h"
#include <string.h>

enum { SMALLEST_VECTOR_ITEMS = 8 };

void vector_init(struct vector *v, struct memory *memory, size_t item_bytes) {
    *v = (struct vector){.memory = memory, .item_bytes = item_bytes};
}

void vector_release(struct vector *v) {
    memory_free(v->memory, v->items, v->capacity * v->item_bytes);
    vector_init(v, v->memory, v->item_bytes);
}

enum status vector_reserve(struct vector *v, size_t capacity) {
    if (capacity <= v->capacity) return STATUS_OK;
    size_t grown = v->capacity ? v->capacity * 2 : SMALLEST_VECTOR_ITEMS;
    if (grown < capacity) grown = capacity;
    size_t size_bytes;
    if (__builtin_mul_overflow(grown, v->item_bytes, &size_bytes) || size_bytes > PTRDIFF_MAX / 2) return STATUS_NO_MEMORY;
    void *items = memory_resize(v->memory, v->items, v->capacity * v->item_bytes, size_bytes);
    if (!items) return STATUS_NO_MEMORY;
    v->items = items;
    v->capacity = grown;
    return STATUS_OK;
}

void *vector_add(struct vector *v) {
    if (vector_reserve(v, v->count + 1) != STATUS_OK) return NULL;
    return memset(vector_at(v, v->count++), 0, v->item_bytes);
}

enum status vector_push(struct vector *v, const void *item) {
    TRY(vector_reserve(v, v->count + 1));
    memcpy(vector_at(v, v->count++), item, v->item_bytes);
    return STATUS_OK;
}
