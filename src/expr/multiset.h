// SPDX-License-Identifier: Apache-2.0
// multiset.h: a bag of values of one type, each with how often it is there; the state of collect_set, mode, median and percentile.
//
// Values are kept in leat's own encoding (value_write: equal values, equal bytes), one after another in a block, and found by hash. Counts may pass
// through zero and below (a retraction may come before what it retracts): an entry of count 0 is not there, and its place is used
// again when its value returns. The content does not depend on the order of additions; whoever prints it sorts.
#pragma once
#include "column/value.h"

struct multiset_entry {
    uint64_t hash;
    int64_t count;
    uint32_t offset;       // into bytes
    uint32_t size_bytes;
};

struct multiset {
    struct memory *memory;
    uint8_t *bytes;
    uint32_t bytes_used, bytes_capacity;
    struct multiset_entry *entries;
    uint32_t entry_count, entry_capacity;
    uint32_t *slots;       // index into entries + 1; 0: free
    uint32_t slot_count;   // power of two, more than entries
    struct buffer scratch; // a value being encoded
};

struct multiset *multiset_new(struct memory *memory);  // NULL if memory is refused
void multiset_free(struct multiset *m);                // NULL is allowed
enum status multiset_add(struct multiset *m, const struct column *c, uint32_t row, int64_t count) WARN_UNUSED;
enum status multiset_add_encoded(struct multiset *m, const void *bytes, size_t size_bytes, int64_t count) WARN_UNUSED;
enum status multiset_merge(struct multiset *into, const struct multiset *from) WARN_UNUSED;

// The values that are there (count > 0), decoded, in ascending order where the type has one, else by encoding. values: FLAT, in the arena;
// counts[i] belongs to values row order[i].
struct multiset_sorted {
    struct column values;
    uint32_t count;
    uint32_t *order;       // ranks to rows of `values`
    int64_t *counts;       // by row of `values`
};
enum status multiset_sort(const struct multiset *m, const struct type *type, struct arena *a, struct multiset_sorted *out) WARN_UNUSED;

enum status multiset_save(const struct multiset *m, struct buffer *out) WARN_UNUSED;  // NULL: empty
bool multiset_load(struct multiset *m, struct reader *in);
