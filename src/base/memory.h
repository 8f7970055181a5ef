// SPDX-License-Identifier: Apache-2.0
// memory.h: the handle every allocation goes through.
//
// A handle counts bytes, refuses above its limit, and can be told to fail the n-th call (tests). Handles form a tree:
// bytes are counted in the parents too. Thread-safe. Lifetimes in leat are four: process, query arena, batch arena, state.
#pragma once
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct memory {
    const char *name;              // for messages: "state", "batch" …
    struct memory *parent;         // or NULL
    _Atomic size_t used_bytes;
    _Atomic size_t peak_bytes;
    size_t limit_bytes;            // 0: none
    _Atomic int64_t fail_countdown;  // the call that brings it to 0 fails, and every later one; < 0: never
};

void memory_init(struct memory *m, const char *name, struct memory *parent, size_t limit_bytes);

// NULL when the limit is passed, a failure is due or the system refuses. Aligned for any type. size_bytes > 0.
void *memory_alloc(struct memory *m, size_t size_bytes);
void *memory_alloc_zeroed(struct memory *m, size_t size_bytes);

// The sized pair of memory_alloc: `old_bytes` and `size_bytes` are what was asked for. On failure the old block stays.
void *memory_resize(struct memory *m, void *block, size_t old_bytes, size_t new_bytes);
void memory_free(struct memory *m, void *block, size_t size_bytes);

// Once, early in main: lets the system's allocator keep what is freed for the next batch. By default it gives memory back and gets
// it again, zeroed page by page, for every batch, which costs far more than filling it.
void memory_tune_process(void);

static inline size_t memory_used(const struct memory *m) { return atomic_load_explicit(&m->used_bytes, memory_order_relaxed); }
