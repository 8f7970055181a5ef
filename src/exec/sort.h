// SPDX-License-Identifier: Apache-2.0
// sort.h: keeping rows and giving them back in order: all of them (ORDER BY) or the first ones (top-N of a batch).
//
// Rows are copied into row stores with their memcmp key beside them; equal keys keep the order they came in, (sequence, arrival, row).
// Memory is bounded by the handle's limit: a sort that does not fit fails with STATUS_NO_MEMORY.
#pragma once
#include "exec/row_store.h"

struct sorter {
    const struct program *program;     // the sort expressions; NULL if there are none
    const struct sort_key *sorts;
    uint32_t sort_count;
    struct row_store rows;             // extra: struct string_view keys[row_count]
};

struct sort_entry {
    uint64_t prefix;                   // first 8 bytes of the key, big-endian
    struct string_view key;
    uint64_t order;
    struct row_ref row;
};

enum status sorter_open(struct sorter *s, struct operator *op, const struct plan_node *sort_node, struct error *e) WARN_UNUSED;
enum status sorter_push(struct sorter *s, struct operator *op, struct worker *w, struct batch *b) WARN_UNUSED;
// Keys of rows of `b` in `a`: one view a row of `rows`, dense. Failed rows are gone from *kept.
enum status sorter_keys(struct sorter *s, struct operator *op, struct worker *w, struct batch *b, struct arena *a, struct rows *kept,
                        struct string_view **keys) WARN_UNUSED;
// Rows in order, in x->memory: *entries (memory_free with *count × size). Rows must have been merged.
enum status sorter_order(struct sorter *s, struct sort_entry **entries, uint64_t *count) WARN_UNUSED;
// Emits rows [begin, end) in order and forgets all.
enum status sorter_emit(struct sorter *s, struct operator *op, struct worker *w, uint64_t begin, uint64_t end) WARN_UNUSED;
// Keeps only the first `count` rows.
enum status sorter_cut(struct sorter *s, struct operator *op, struct worker *w, uint64_t count) WARN_UNUSED;
