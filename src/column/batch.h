// SPDX-License-Identifier: Apache-2.0
// batch.h: up to 4,096 rows in columns, the unit that moves through a plan.
//
//     batch ─► columns[column_count], all of row_count rows
//           ─► selection: the rows that count (NULL: all)          a filter only narrows this
//           ─► weights: +1 inserted, −1 retracted (NULL: all +1)
//           ─► origin: where each row came from
//           ─► arena (own), holds[] (message buffers), parent (the batch whose columns it reuses)
//
// Reference-counted and immutable once emitted: one scan feeds many flows. batch_new gives count 1; the maker fills it, emits it,
// unrefs it. Whoever keeps it beyond `push` refs it. The last unref gives arena, holds and parent back. A batch with row_count 0
// is never emitted.
#pragma once
#include "base/buffer.h"
#include "column/column.h"

// Where rows came from, indexed by batch row (not by selection). A morsel comes from one source partition, so that much is shared.
// Rows made by an aggregation have source = ORIGIN_NONE.
enum { ORIGIN_NONE = UINT32_MAX };
struct origin {
    uint32_t source;                  // index of the source in the pipeline; ORIGIN_NONE: derived
    uint32_t partition;
    int64_t first_offset;             // a Kafka offset, a generator's row number, a byte in a file
    const uint32_t *offset_deltas;    // offset of row i = first_offset + offset_deltas[i]; NULL: + i
    const uint32_t *rows;             // which row of its record (explode counts up); NULL: all 0
    const struct string_view *raw;    // the record's bytes, for dead letters; NULL: not kept
    uint32_t branch;                  // which inputs of UNIONs, and which of several flows into one table, the row came through; 0: there are none
    const char *partition_name;       // for files the path; NULL: the number says it
};
static inline int64_t origin_offset(const struct origin *o, uint32_t row) {
    return o->first_offset + (o->offset_deltas ? (int64_t)o->offset_deltas[row] : (int64_t)row);
}
static inline uint32_t origin_row(const struct origin *o, uint32_t row) { return o->rows ? o->rows[row] : 0; }

enum { BATCH_HOLDS = 4 };

struct batch {
    struct column *columns;
    uint32_t column_count;
    uint32_t row_count;               // ≤ BATCH_ROWS
    const uint16_t *selection;        // ascending indices; NULL: all rows
    uint32_t selected_count;          // row_count if selection is NULL
    const int8_t *weights;            // by row; NULL: all +1
    struct origin origin;
    uint64_t sequence;                // of the morsel in its epoch, in intent order; rows of a morsel keep their order in batches
    struct arena arena;
    struct buffer *holds[BATCH_HOLDS];
    uint32_t hold_count;
    struct batch *parent;             // reference; NULL: none
    _Atomic uint32_t reference_count;
    struct memory *memory;
};

// Columns are zeroed; arena empty. NULL if memory is refused.
struct batch *batch_new(struct memory *memory, uint32_t column_count);
// A new batch over `parent` (referenced): takes its row_count, selection, weights, origin and sequence; columns zeroed.
struct batch *batch_derive(struct batch *parent, struct memory *memory, uint32_t column_count);
struct batch *batch_ref(struct batch *b);
void batch_unref(struct batch *b);  // NULL is allowed
// Takes a reference on `b` so that views into it live as long as the batch. STATUS_LIMIT past BATCH_HOLDS.
enum status batch_hold(struct batch *batch, struct buffer *b) WARN_UNUSED;
static inline int batch_weight(const struct batch *b, uint32_t row) { return b->weights ? b->weights[row] : 1; }

// The rows an evaluation touches: indices[0..count), ascending; indices NULL: 0..count-1.
struct rows {
    const uint16_t *indices;
    uint32_t count;
};
static inline struct rows batch_rows(const struct batch *b) { return (struct rows){.indices = b->selection, .count = b->selected_count}; }
static inline uint32_t rows_at(const struct rows *r, uint32_t i) { return r->indices ? r->indices[i] : i; }
