// SPDX-License-Identifier: Apache-2.0
// arena.c: chunks behind the bump pointer.
//
//     chunks ──► [ header | items … | free ]  ──►  [ header | one large item ]  ──►  …
//                               next    end
//
// next and end always lie in the newest ordinary chunk, or in memory the owner lent (batch.c lends the tail of its own block).
// A large block gets a chunk of its own, linked behind the newest, so that the bump pointer loses nothing.
#include "base/arena.h"
#include <stdalign.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

enum { FIRST_CHUNK_BYTES = 4096, LARGEST_CHUNK_BYTES = 256 * 1024 };

struct arena_chunk {
    struct arena_chunk *older;
    size_t size_bytes;  // of the whole block, header included
    bool is_ordinary;   // false: made for one large item
    alignas(16) uint8_t bytes[];
};

void arena_init(struct arena *a, struct memory *memory) {
    *a = (struct arena){.memory = memory, .next_chunk_bytes = FIRST_CHUNK_BYTES};
}

static void free_chunk(struct arena *a, struct arena_chunk *chunk) {
    a->used_bytes -= chunk->size_bytes;
    memory_free(a->memory, chunk, chunk->size_bytes);
}

void arena_reset(struct arena *a) {
    struct arena_chunk *kept = NULL;
    for (struct arena_chunk *chunk = a->chunks, *older; chunk; chunk = older) {
        older = chunk->older;
        if (!kept && chunk->is_ordinary) {
            kept = chunk;
        } else {
            free_chunk(a, chunk);
        }
    }
    a->chunks = kept;
    a->next = kept ? kept->bytes : NULL;
    a->end = kept ? (uint8_t *)kept + kept->size_bytes : NULL;
    if (kept) kept->older = NULL;
}

void arena_release(struct arena *a) {
    for (struct arena_chunk *chunk = a->chunks, *older; chunk; chunk = older) {
        older = chunk->older;
        free_chunk(a, chunk);
    }
    arena_init(a, a->memory);
}

static void *align_up(uint8_t *start, size_t alignment) {
    return (void *)(((uintptr_t)start + alignment - 1) & ~(uintptr_t)(alignment - 1));
}

void *arena_alloc_slow(struct arena *a, size_t size_bytes, size_t alignment) {
    if (size_bytes > PTRDIFF_MAX / 2) return NULL;
    size_t needed = size_bytes + alignment + sizeof(struct arena_chunk);
    bool is_ordinary = size_bytes <= a->next_chunk_bytes / 4;
    size_t chunk_bytes = is_ordinary ? a->next_chunk_bytes : needed;
    struct arena_chunk *chunk = memory_alloc(a->memory, chunk_bytes);
    if (!chunk) return NULL;
    chunk->size_bytes = chunk_bytes;
    chunk->is_ordinary = is_ordinary;
    a->used_bytes += chunk_bytes;
    uint8_t *item = align_up(chunk->bytes, alignment);
    if (is_ordinary) {
        chunk->older = a->chunks;
        a->chunks = chunk;
        a->next = item + size_bytes;
        a->end = (uint8_t *)chunk + chunk_bytes;
    } else if (a->chunks) {
        chunk->older = a->chunks->older;
        a->chunks->older = chunk;
    } else {
        chunk->older = NULL;
        a->chunks = chunk;
    }
    if (a->next_chunk_bytes < LARGEST_CHUNK_BYTES) a->next_chunk_bytes *= 2;
    return item;
}

void *arena_alloc_array(struct arena *a, size_t count, size_t item_bytes) {
    size_t size_bytes;
    if (__builtin_mul_overflow(count, item_bytes, &size_bytes)) return NULL;
    return arena_alloc_zeroed(a, size_bytes);
}

char *arena_strndup(struct arena *a, const char *s, size_t size_bytes) {
    if (size_bytes > PTRDIFF_MAX / 2) return NULL;
    char *copy = arena_alloc_aligned(a, size_bytes + 1, 1);
    if (!copy) return NULL;
    if (size_bytes) memcpy(copy, s, size_bytes);
    copy[size_bytes] = '\0';
    return copy;
}

char *arena_strdup(struct arena *a, const char *s) { return arena_strndup(a, s, strlen(s)); }

char *arena_printf(struct arena *a, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0) return NULL;
    char *text = arena_alloc_aligned(a, (size_t)length + 1, 1);
    if (!text) return NULL;
    va_start(arguments, format);
    int written = vsnprintf(text, (size_t)length + 1, format, arguments);
    va_end(arguments);
    return written == length ? text : NULL;
}
