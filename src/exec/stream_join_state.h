// SPDX-License-Identifier: Apache-2.0
// stream_join_state.h: rows of both sides of a join of two streams, of one key partition, and the way back.
//
//     key ─► left   first ⇄ row ⇄ row ⇄ last       a row: its columns in leat's own encoding (value_write), a sequence, whether it has matched
//         ─► right  first ⇄ row ⇄ last             in the order of their sequences, ascending
//     time index of each side ─► rows by the watermark at which they leave
//
// Rows never move and never change but for `matched`. What an epoch adds, matches and ends is listed: rollback takes rows out again, clears
// marks and forgets ends; commit takes ended ones out. Between the two ended rows and those that died stand in their chains. Not thread-safe.
// Memory is the execution's state memory.
#pragma once
#include "base/vector.h"
#include "exec/hash_table.h"
#include "exec/time_index.h"

struct join_row {
    struct group ending;         // for the time index, which knows groups: only `time` has a meaning
    struct join_row *previous, *next;
    struct group *key;
    uint64_t sequence;           // of its side, ascending
    uint32_t size_bytes;
    uint8_t side;
    bool matched;
    bool dead;                   // of the running epoch: it could not be compared, and goes with the commit
    bool ended;                  // in the running epoch
    uint8_t bytes[];
};

struct join_chain {
    struct join_row *first, *last;
};

struct join_part {
    struct memory *memory;
    struct key_layout layout;
    const struct type *const *types[2];  // of a row's columns
    uint32_t type_counts[2];
    struct hash_table keys;      // states: struct join_chain[2]
    struct time_index times[2];  // stale: rows were read from the log
    uint64_t next_sequence[2];
    uint64_t begin_sequence[2];  // at which the epoch began: rows from there on are its own
    struct vector added, matched, ended;  // of struct join_row *: by the running epoch
    size_t row_bytes;
    uint64_t row_count;
};

void join_part_init(struct join_part *p, struct memory *memory, const struct key_layout *layout);
void join_part_release(struct join_part *p);
void join_part_clear(struct join_part *p);

struct join_chain *join_part_find(const struct join_part *p, const struct string_view *key, uint64_t hash);  // [2]; NULL: no row has the key
// A new row at the end of its chain, not yet in the time index. `bytes` are copied. NULL: no memory.
struct join_row *join_part_add(struct join_part *p, uint32_t side, const struct string_view *key, uint64_t hash, const void *bytes, uint32_t size_bytes);
// It leaves at `time` (GROUP_NO_END: never).
enum status join_part_leave_at(struct join_part *p, struct join_row *row, int64_t time) WARN_UNUSED;
enum status join_part_match(struct join_part *p, struct join_row *row) WARN_UNUSED;
// Ends what leaves at `until` or before; appends it to `out` (of struct join_row *), in the order of sequences.
enum status join_part_end(struct join_part *p, uint32_t side, int64_t until, struct vector *out) WARN_UNUSED;
static inline bool join_row_is_new(const struct join_part *p, const struct join_row *row) { return row->sequence >= p->begin_sequence[row->side]; }

void join_part_commit(struct join_part *p);
void join_part_rollback(struct join_part *p);
enum status join_part_log(const struct join_part *p, struct buffer *out) WARN_UNUSED;
enum status join_part_snapshot(const struct join_part *p, struct buffer *out) WARN_UNUSED;
// STATUS_CORRUPT leaves what was read so far: the caller gives up the whole.
enum status join_part_apply(struct join_part *p, uint32_t partition, struct reader *in) WARN_UNUSED;
enum status join_part_restore(struct join_part *p, uint32_t partition, struct reader *in) WARN_UNUSED;
enum status join_part_index(struct join_part *p) WARN_UNUSED;  // makes stale time indexes anew
size_t join_part_bytes(const struct join_part *p);
