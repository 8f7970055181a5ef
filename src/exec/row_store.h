// SPDX-License-Identifier: Apache-2.0
// row_store.h: rows kept beyond push: by sort, join, set operations (copied), and by ordered aggregates, consolidate and limit until
// the end of the round (referenced).
//
//     kept_batch  [batch ref, sequence, arrival]  …      sorted by (sequence, arrival) before anyone reads: the same for any workers
//     row_ref     (index of the kept batch, row)
//
// One list a worker, merged by rows_merge on one thread. Memory is the execution's.
#pragma once
#include "exec/operator.h"

struct kept_batch {
    struct batch *batch;       // a reference of its own
    uint64_t sequence;
    uint64_t arrival;          // in its worker
    uint32_t tag;              // the keeper's own (which input)
    void *extra;               // the keeper's own, in the batch's arena
};

struct row_store {
    struct memory *memory;
    struct vector *lists;      // of struct kept_batch, one a worker
    uint32_t worker_count;
    struct vector all;         // after rows_merge: ordered
    _Atomic uint64_t row_count;
};

struct row_ref {
    uint32_t batch;            // in `all`
    uint32_t row;
};

enum status row_store_init(struct row_store *s, struct execution *x, struct error *e) WARN_UNUSED;
void row_store_release(struct row_store *s);
void row_store_clear(struct row_store *s);
// Takes over one reference of `b` (also on failure).
enum status row_store_keep(struct row_store *s, struct worker *w, struct batch *b, uint64_t sequence, uint32_t tag, void *extra) WARN_UNUSED;
// Moves every worker's list to `all` and orders it. One thread.
enum status row_store_merge(struct row_store *s) WARN_UNUSED;
static inline struct kept_batch *row_store_at(const struct row_store *s, uint32_t i) { return vector_at(&s->all, i); }

// A batch of its own memory with only the selected rows of b's columns: nothing of the message buffers is held. NULL: no memory.
struct batch *batch_compact(const struct batch *b, const struct rows *rows, struct memory *memory);

// Rows from here and there into columns of a new batch: out[c] row i = column first_column + c of refs[i]; a ref with batch UINT32_MAX
// gives NULLs of types[c]. Long strings are copied into `a`.
enum status row_store_gather(const struct row_store *s, const struct row_ref *refs, uint32_t count, uint32_t first_column, uint32_t column_count,
                             const struct type *const *types, struct arena *a, struct column *out) WARN_UNUSED;
// Types of a node's attributes, in the arena. NULL: no memory.
const struct type **attribute_types(struct arena *a, const struct plan_node *node);
// Emits rows of the store as batches of the operator's own; weights[i] by ref, NULL: all +1. *batch_number counts on.
enum status row_store_emit(const struct row_store *s, struct operator *op, struct worker *w, const struct row_ref *refs, const int8_t *weights,
                           uint64_t count, uint32_t key_partition, uint64_t *batch_number) WARN_UNUSED;
