// SPDX-License-Identifier: Apache-2.0
// arena.h: memory that is given back all at once.
//
//     chunk ──► chunk ──► chunk          bump pointer in the first; blocks above a quarter chunk get a chunk of their own
//
// Not thread-safe: an arena belongs to one thread, or is read-only. Two uses: a query's (parse, plan) and a batch's.
#pragma once
#include "base/memory.h"
#include <stdint.h>
#include <string.h>

struct arena_chunk;

struct arena {
    struct memory *memory;
    struct arena_chunk *chunks;  // newest first; NULL: nothing allocated yet
    uint8_t *next;               // first free byte of the newest chunk
    uint8_t *end;
    size_t used_bytes;           // capacity of all chunks
    size_t next_chunk_bytes;     // doubles up to 256 KiB
};

void arena_init(struct arena *a, struct memory *memory);
void arena_reset(struct arena *a);    // keeps one chunk of ordinary size
void arena_release(struct arena *a);

void *arena_alloc_slow(struct arena *a, size_t size_bytes, size_t alignment);

// NULL if memory is refused. `alignment` is a power of two, at most 64. size_bytes may be 0.
static inline void *arena_alloc_aligned(struct arena *a, size_t size_bytes, size_t alignment) {
    uintptr_t start = ((uintptr_t)a->next + alignment - 1) & ~(uintptr_t)(alignment - 1);
    if (a->next && start <= (uintptr_t)a->end && size_bytes <= (uintptr_t)a->end - start) {
        a->next = (uint8_t *)(start + size_bytes);
        return (void *)start;
    }
    return arena_alloc_slow(a, size_bytes, alignment);
}
static inline void *arena_alloc(struct arena *a, size_t size_bytes) { return arena_alloc_aligned(a, size_bytes, 16); }
static inline void *arena_alloc_zeroed(struct arena *a, size_t size_bytes) {
    void *p = arena_alloc(a, size_bytes);
    return p ? memset(p, 0, size_bytes) : NULL;
}
// `count` items, zeroed; NULL on overflow too.
void *arena_alloc_array(struct arena *a, size_t count, size_t item_bytes);
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t size_bytes);  // always NUL-terminated
char *arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
