// SPDX-License-Identifier: Apache-2.0
// expand.h: batches whose rows repeat rows of another: explode, time windows, join matches. Origin goes along; each copy gets a row number of
// its own within its record, so that (source, partition, offset, row) stays an identity.
#pragma once
#include "exec/operator.h"

// By worker: the record last seen and how many rows were made of it. A record never leaves its morsel, a morsel never its worker.
struct row_counter {
    uint32_t source, partition;
    int64_t offset;
    uint32_t next;
    bool started;
};

// Row i repeats row rows[i] of `in`: weights and origin are set, all rows selected, columns empty. NULL: no memory.
struct batch *expand_batch(struct batch *in, struct memory *memory, const uint32_t *rows, uint32_t count, uint32_t column_count, struct row_counter *counter);
// Columns [0, count) of `in` gathered; those not wanted become constant NULLs. wanted NULL: all.
enum status expand_columns(const struct batch *in, const uint32_t *rows, uint32_t row_count, const uint64_t *wanted, uint32_t first, uint32_t count,
                           struct arena *a, struct column *out) WARN_UNUSED;
