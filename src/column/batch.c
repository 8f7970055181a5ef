// SPDX-License-Identifier: Apache-2.0
// batch.c: making and giving back batches.
//
//     one block:  [ struct batch | columns | scratch lent to the arena ]
//
// A batch is made for every few thousand rows and often needs little more than its columns' headers: the tail of its block
// serves the arena's first small items, so that a batch that shares its parent's values costs one allocation.
#include "column/batch.h"
#include <assert.h>

enum { SCRATCH_BYTES = 1024, BATCH_CHUNK_BYTES = 32 * 1024 };

static size_t block_bytes(uint32_t column_count) {
    return sizeof(struct batch) + (size_t)column_count * sizeof(struct column) + SCRATCH_BYTES;
}

struct batch *batch_new(struct memory *memory, uint32_t column_count) {
    struct batch *b = memory_alloc(memory, block_bytes(column_count));
    if (!b) return NULL;
    *b = (struct batch){.column_count = column_count, .memory = memory, .origin = {.source = ORIGIN_NONE}};
    b->columns = (struct column *)(void *)(b + 1);
    memset(b->columns, 0, (size_t)column_count * sizeof(struct column));
    atomic_init(&b->reference_count, 1);
    arena_init(&b->arena, memory);
    b->arena.next = (uint8_t *)(b->columns + column_count);
    b->arena.end = (uint8_t *)b + block_bytes(column_count);
    b->arena.next_chunk_bytes = BATCH_CHUNK_BYTES;
    return b;
}

struct batch *batch_derive(struct batch *parent, struct memory *memory, uint32_t column_count) {
    struct batch *b = batch_new(memory, column_count);
    if (!b) return NULL;
    b->parent = batch_ref(parent);
    b->row_count = parent->row_count;
    b->selection = parent->selection;
    b->selected_count = parent->selected_count;
    b->weights = parent->weights;
    b->origin = parent->origin;
    b->sequence = parent->sequence;
    return b;
}

struct batch *batch_ref(struct batch *b) {
    uint32_t before = atomic_fetch_add_explicit(&b->reference_count, 1, memory_order_relaxed);
    assert(before > 0);
    (void)before;
    return b;
}

// A loop, not recursion: chains of derived batches may be long.
void batch_unref(struct batch *b) {
    while (b && atomic_fetch_sub_explicit(&b->reference_count, 1, memory_order_acq_rel) == 1) {
        struct batch *parent = b->parent;
        for (uint32_t i = 0; i < b->hold_count; i++) buffer_unref(b->holds[i]);
        arena_release(&b->arena);
        memory_free(b->memory, b, block_bytes(b->column_count));
        b = parent;
    }
}

enum status batch_hold(struct batch *batch, struct buffer *b) {
    for (uint32_t i = 0; i < batch->hold_count; i++) {
        if (batch->holds[i] == b) return STATUS_OK;
    }
    if (batch->hold_count == BATCH_HOLDS) return STATUS_LIMIT;
    batch->holds[batch->hold_count++] = buffer_ref(b);
    return STATUS_OK;
}
