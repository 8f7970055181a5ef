// SPDX-License-Identifier: Apache-2.0
// vector.h: a growing array of equal items. Items may move when it grows: keep indices, not pointers.
#pragma once
#include "base/memory.h"
#include "base/status.h"

struct vector {
    struct memory *memory;
    void *items;
    size_t count;
    size_t capacity;
    size_t item_bytes;
};

void vector_init(struct vector *v, struct memory *memory, size_t item_bytes);
void vector_release(struct vector *v);
enum status vector_push(struct vector *v, const void *item) WARN_UNUSED;
enum status vector_reserve(struct vector *v, size_t capacity) WARN_UNUSED;
// A zeroed new item at the end; NULL if memory is refused.
void *vector_add(struct vector *v);
static inline void *vector_at(const struct vector *v, size_t index) { return (char *)v->items + index * v->item_bytes; }
static inline void vector_clear(struct vector *v) { v->count = 0; }
