// SPDX-License-Identifier: Apache-2.0
// stream_join.h: the parts of the join of two streams, shared by its files: stream_join.c (rows in, state) and stream_join_pairs.c (pairs, and rows
// without a match).
#pragma once
#include "exec/row_store.h"
#include "exec/stream_join_state.h"

enum row_part {
    ROW_JOINS,      // looks for rows of the other side, and waits for them
    ROW_WAITS,      // matches nothing, and leaves when its time comes
    ROW_ALONE,      // matches nothing, and leaves at once
    ROW_IGNORED,    // matches nothing, and is not in the result
};

// Beside a kept batch: its rows in leat's own encoding. Arrays are by position: the n-th row that is selected.
struct kept_side {
    struct key_batch keys;
    const uint8_t *bytes;
    uint32_t *ends;                  // of each row's bytes
    uint8_t *parts;                  // enum row_part
    int64_t *times;                  // at which it leaves; GROUP_NO_END: never
    struct join_row **rows;          // in the state; NULL: not there
    uint16_t *positions;             // by key partition
    uint32_t begins[KEY_PARTITIONS + 1];
};

struct stream_join_self {
    const struct join_time *time;
    enum join_kind kind;
    bool is_current;                 // the result is kept up to date: a row without a match is in it until one comes
    bool keeps[2];                   // rows without a match are in the result
    bool marks[2];                   // whether a row has matched is remembered
    uint32_t late_columns[2];        // event time by which rows are late; PLAN_NO_TIME: they never are
    uint32_t widths[2];              // columns of the input
    uint32_t stored_counts[2];
    uint32_t *stored[2];             // which of them are kept
    bool has_views[2];               // some kept column points to bytes
    uint32_t key_count;
    struct key_layout layout;
    const struct program *keys[2], *own[2], *both;
    struct row_store pending[2];
    struct join_part parts[KEY_PARTITIONS];
};

static inline uint32_t kept_begin(const struct kept_side *k, uint32_t position) { return position ? k->ends[position - 1] : 0; }

// stream_join_pairs.c
enum status stream_join_finish(struct operator *op, struct worker *w, uint32_t key_partition);
