// SPDX-License-Identifier: Apache-2.0
// state_table.h: groups that outlive an epoch, and the way back.
//
// Before a group changes for the first time in an epoch, state_touch writes its image (weight and states) to the undo buffer:
//
//     touched  [group, existed, where in undo] [..] …          commit: forget          rollback: release states, load the image
//
// One table belongs to one key partition of one operator; not thread-safe. The codec knows the states.
#pragma once
#include "base/vector.h"
#include "exec/hash_table.h"

struct state_codec {
    enum status (*save)(void *context, const struct group *g, struct buffer *out);
    bool (*load)(void *context, struct group *g, struct reader *in);   // into zeroed states; false: corrupt, or no memory
    void (*release)(void *context, struct group *g);                   // what hangs off the states; they are zeroed after
};

struct touched_group {         // 32 bytes: sorted by hash without a look at the groups
    uint64_t hash;             // the group's
    struct group *group;
    size_t undo_begin;
    uint64_t undo_end : 63;
    uint64_t existed : 1;      // 0: made in this epoch
};

struct state_table {
    struct hash_table table;
    struct key_layout layout;
    const struct state_codec *codec;  // NULL: weights only
    void *context;
    struct vector touched;     // of struct touched_group
    struct buffer undo;
    bool keeps_empty;          // a weight of 0 does not end a group (the one group of an aggregate without keys)
    bool owns_nothing;         // no state has memory of its own: nothing to release one by one
    bool no_undo;              // batch: nothing is ever taken back
    // Which of several tables a key belongs to, where not the key's own hash says it; NULL: that. UINT32_MAX: no memory, or no such key.
    uint32_t (*choose)(void *context, const struct string_view *key);
};

void state_table_init(struct state_table *s, struct memory *memory, size_t state_bytes, const struct key_layout *layout,
                      const struct state_codec *codec, void *context);
void state_table_release(struct state_table *s);
void state_table_clear(struct state_table *s);  // forgets everything
// Finds or adds and touches; *added (may be NULL). NULL: no memory (what was added is gone again).
struct group *state_group(struct state_table *s, const struct string_view *key, uint64_t hash, bool *added);
enum status state_touch(struct state_table *s, struct group *g) WARN_UNUSED;  // before it changes: one that is in the table
// A group ends: it goes with the commit. Not for tables that keep empty ones.
enum status state_end_group(struct state_table *s, struct group *g) WARN_UNUSED;
void state_commit(struct state_table *s);
enum status state_order_touched(struct state_table *s) WARN_UNUSED;
enum status state_rollback(struct state_table *s) WARN_UNUSED;
// Count of entries, then entries. STATUS_CORRUPT from apply leaves what was read so far: the caller gives up the whole.
enum status state_log(const struct state_table *s, struct buffer *out) WARN_UNUSED;
enum status state_snapshot(const struct state_table *s, struct buffer *out) WARN_UNUSED;
enum status state_apply(struct state_table *tables, uint32_t table_count, struct reader *in) WARN_UNUSED;
size_t state_table_bytes(const struct state_table *s);
static inline uint32_t key_partition(uint64_t hash) { return (uint32_t)(hash >> 61); }
