// SPDX-License-Identifier: Apache-2.0
// memory.c: counting allocations.
//
// A byte is charged to a handle and to each of its parents before the system is asked; a refusal anywhere undoes the charge.
// The counters are relaxed atomics: they are sums, nothing is ordered by them.
#include "base/memory.h"
#include <malloc.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void memory_init(struct memory *m, const char *name, struct memory *parent, size_t limit_bytes) {
    m->name = name;
    m->parent = parent;
    m->limit_bytes = limit_bytes;
    atomic_init(&m->used_bytes, 0);
    atomic_init(&m->peak_bytes, 0);
    atomic_init(&m->fail_countdown, -1);
}

// True when a test wants this call to fail. The count stays at 0 once there, so that every later call fails too.
static bool failure_is_due(struct memory *m) {
    int64_t countdown = atomic_load_explicit(&m->fail_countdown, memory_order_relaxed);
    while (countdown > 0) {
        if (atomic_compare_exchange_weak_explicit(&m->fail_countdown, &countdown, countdown - 1, memory_order_relaxed,
                                                  memory_order_relaxed)) {
            return countdown == 1;
        }
    }
    return countdown == 0;
}

static void uncharge(struct memory *m, const struct memory *end, size_t size_bytes) {
    for (; m != end; m = m->parent) atomic_fetch_sub_explicit(&m->used_bytes, size_bytes, memory_order_relaxed);
}

static bool charge(struct memory *first, size_t size_bytes) {
    for (struct memory *m = first; m; m = m->parent) {
        if (failure_is_due(m)) {
            uncharge(first, m, size_bytes);
            return false;
        }
        size_t used = atomic_fetch_add_explicit(&m->used_bytes, size_bytes, memory_order_relaxed) + size_bytes;
        if (used < size_bytes || (m->limit_bytes && used > m->limit_bytes)) {
            uncharge(first, m->parent, size_bytes);
            return false;
        }
        size_t peak = atomic_load_explicit(&m->peak_bytes, memory_order_relaxed);
        while (used > peak && !atomic_compare_exchange_weak_explicit(&m->peak_bytes, &peak, used, memory_order_relaxed,
                                                                     memory_order_relaxed)) {
        }
    }
    return true;
}

void *memory_alloc(struct memory *m, size_t size_bytes) {
    if (size_bytes == 0 || size_bytes > PTRDIFF_MAX || !charge(m, size_bytes)) return NULL;
    void *block = malloc(size_bytes);
    if (!block) uncharge(m, NULL, size_bytes);
    return block;
}

void *memory_alloc_zeroed(struct memory *m, size_t size_bytes) {
    if (size_bytes == 0 || size_bytes > PTRDIFF_MAX || !charge(m, size_bytes)) return NULL;
    void *block = calloc(1, size_bytes);
    if (!block) uncharge(m, NULL, size_bytes);
    return block;
}

void *memory_resize(struct memory *m, void *block, size_t old_bytes, size_t new_bytes) {
    if (!block) return memory_alloc(m, new_bytes);
    if (new_bytes == 0 || new_bytes > PTRDIFF_MAX) return NULL;
    if (new_bytes > old_bytes && !charge(m, new_bytes - old_bytes)) return NULL;
    void *moved = realloc(block, new_bytes);
    if (moved && new_bytes < old_bytes) uncharge(m, NULL, old_bytes - new_bytes);
    if (!moved && new_bytes > old_bytes) uncharge(m, NULL, new_bytes - old_bytes);
    return moved;
}

void memory_free(struct memory *m, void *block, size_t size_bytes) {
    if (!block) return;
    free(block);
    uncharge(m, NULL, size_bytes);
}

void memory_tune_process(void) {
#ifdef __GLIBC__
    mallopt(M_TRIM_THRESHOLD, 64 << 20);
    mallopt(M_MMAP_THRESHOLD, 16 << 20);
#endif
}
