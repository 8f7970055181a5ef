// SPDX-License-Identifier: Apache-2.0
// hash_table.h: keys to groups. One table serves one key partition, or one worker's partial of it.
//
//     slots  [hash|group*][free][hash|group*] …      linear probing, power of two, at most 5/8 full (removed ones counted)
//     group  header · states                          in pages of 64, 128, 256 … groups: a group never moves
//
// A key is a string_view: up to 12 bytes inline, longer ones owned by the table. An integer key is its 8 bytes, a string key the
// string, several keys their encoding (value_write): equal keys are equal bytes. The NULL of a single key is key_null, which no
// other key equals. Not thread-safe. Memory is the handle's; states must have been released before table_release.
#pragma once
#include "base/arena.h"
#include "base/coding.h"
#include "column/value.h"

struct group {
    uint64_t hash;
    int64_t weight;            // sum of the weights of its rows
    uint32_t touched;          // place + 1 in the epoch's undo list; 0: as committed
    uint32_t reserved;
    struct string_view key;
    int64_t time;              // event time at which it ends, of whoever keeps a time index; states begin at a multiple of 16
};

static inline void *group_state(struct group *g, uint32_t offset) { return (char *)(g + 1) + offset; }

struct table_slot {
    uint64_t hash;
    struct group *group;       // NULL: free; table_removed(): was taken
};

enum { TABLE_PAGES = 32 };

struct hash_table {
    struct memory *memory;
    struct table_slot *slots;
    size_t slot_count;         // 0 or a power of two
    size_t used_count;         // with removed ones
    size_t count;              // groups
    size_t group_bytes;        // header and states, multiple of 16
    char *pages[TABLE_PAGES];
    uint32_t page_count;
    size_t page_used;          // groups handed out of the newest page
    struct group *free_groups; // linked through time
    size_t key_bytes;          // of long keys
};

// Stands in a slot whose group was removed; never followed.
static inline struct group *table_removed(void) { return (struct group *)(uintptr_t)16; }

void table_init(struct hash_table *t, struct memory *memory, size_t state_bytes);
void table_release(struct hash_table *t);
struct group *table_find(const struct hash_table *t, const struct string_view *key, uint64_t hash);
// Its states are zeroed and its weight is 0 when added. NULL: no memory.
struct group *table_find_or_add(struct hash_table *t, const struct string_view *key, uint64_t hash, bool *added);
void table_remove(struct hash_table *t, struct group *g);
// Room for so many groups in all, without growing on the way. False: no memory.
bool table_reserve(struct hash_table *t, size_t count);
// Groups in the order of (hash, key): the same whatever the order of arrival. memory_free(t->memory, *out, t->count * sizeof **out).
enum status table_sorted(const struct hash_table *t, struct table_slot **out) WARN_UNUSED;
enum status slots_sort(struct memory *memory, struct table_slot *slots, size_t count) WARN_UNUSED;  // the same order
size_t table_bytes(const struct hash_table *t);

static inline void table_prefetch(const struct hash_table *t, uint64_t hash) {
    if (t->slot_count) __builtin_prefetch(&t->slots[hash & (t->slot_count - 1)]);
}
static inline bool table_slot_is_live(const struct table_slot *s) { return s->group && s->group != table_removed(); }

static inline struct string_view key_null(void) {
    struct string_view v;
    memset(&v, 0, sizeof v);
    v.inlined[0] = 1;
    return v;
}
static inline bool key_is_null(const struct string_view *v) { return v->size_bytes == 0 && v->inlined[0] == 1; }

// How the values of key columns become keys.
enum key_mode { KEY_NONE, KEY_INTEGER, KEY_STRING, KEY_ENCODED };

enum { KEY_NO_WINDOW = UINT32_MAX };

struct key_layout {
    enum key_mode mode;
    uint32_t column_count;
    const struct type **types;
    uint32_t window;           // KEY_NO_WINDOW, or which column is a time window of one length, never NULL: its end alone is in the key, last, as
    int64_t window_us;         // eight bytes; keys that differ in it alone are of one partition
};
// Keys and hashes of some rows of a batch, dense: item i belongs to rows_at(rows, i).
struct key_batch {
    struct string_view *keys;
    uint64_t *hashes;
    uint8_t *has_null;         // some key column is NULL
};

void key_layout_init(struct key_layout *l, const struct type **types, uint32_t column_count);
void key_layout_take_window(struct key_layout *l, uint32_t column, int64_t window_us);  // after init
// Keys point into columns or the arena.
enum status key_batch_make(const struct key_layout *l, const struct column *columns, const struct rows *rows, struct arena *a, struct memory *memory,
                           struct key_batch *out) WARN_UNUSED;
uint64_t key_hash(const struct key_layout *l, const struct string_view *key);
// Key columns of some groups, copied into the arena. STATUS_CORRUPT for bytes that are no key.
enum status key_columns(const struct key_layout *l, struct group *const *groups, uint32_t count, struct arena *a, struct column *out) WARN_UNUSED;
// The key as text, for messages about a group: "(a, NULL)".
enum status key_print(const struct key_layout *l, struct group *g, const struct timezone *zone, struct memory *memory, struct buffer *out) WARN_UNUSED;
enum status key_write(const struct string_view *key, struct buffer *out) WARN_UNUSED;
// The view points into the reader's memory. False: corrupt, or not a key of this layout.
bool key_read(const struct key_layout *l, struct reader *in, struct memory *memory, struct string_view *out);
