// SPDX-License-Identifier: Apache-2.0
// time_index.h: groups by the time at which they end, and the way back. Groups whose times fall into the same 65.536 ms share a bucket:
//
//     buckets  [slice 7: g g g] [slice 9: g] [slice 12: g g]        ascending, taken from the front; a group's time is in group.time
//
// Belongs to one state table. Additions of an epoch stand at the ends of their buckets: rollback cuts them off, commit keeps them; what was taken
// is dropped at commit only. Groups with time GROUP_NO_END are not kept. Not thread-safe.
#pragma once
#include "base/vector.h"
#include "exec/hash_table.h"

#define GROUP_NO_END INT64_MAX

struct time_bucket {
    int64_t slice;               // floor(time / 65.536 ms)
    struct vector groups;        // of struct group *
    size_t committed;            // how many of them stood there before the epoch
    bool has_gone;               // some of them go with this commit for another reason than time
};

struct time_index {
    struct memory *memory;
    struct vector buckets;       // of struct time_bucket *, ascending
    size_t begin;                // the first of them that is left
    struct vector changed;       // of struct time_bucket *: added to in the epoch
    struct time_bucket *last;    // added to last; NULL: none
    int64_t taken_until;         // of the epoch; INT64_MIN: nothing
    int64_t gone_from, gone_to;  // slices with groups that go; from > to: none
    bool is_stale;               // groups came or went behind its back: to be built anew
};

void time_index_init(struct time_index *x, struct memory *memory);
void time_index_release(struct time_index *x);
void time_index_clear(struct time_index *x);
// A group that was made in the running epoch; its time is set.
enum status time_index_add(struct time_index *x, struct group *g) WARN_UNUSED;
// Appends the groups whose time is at most `until` to `out` (of struct group *), and remembers that they were taken.
enum status time_index_take(struct time_index *x, int64_t until, struct vector *out) WARN_UNUSED;
// The same without remembering: they stay.
enum status time_index_list(const struct time_index *x, int64_t until, struct vector *out) WARN_UNUSED;
// No group ends before it; INT64_MAX: there is none.
int64_t time_index_earliest(const struct time_index *x);
// Before commit: a group of weight 0, which goes though its time has not come.
void time_index_drop(struct time_index *x, const struct group *g);
void time_index_commit(struct time_index *x);
void time_index_rollback(struct time_index *x);
size_t time_index_bytes(const struct time_index *x);
