// SPDX-License-Identifier: Apache-2.0
// tree.h: a schema compiled for reading: one node a wanted field, which is also the column being written.
//
//     root STRUCT ──► a INT            values[slot], validity bit
//                ├──► d ARRAY ──► INT  offsets[slot + 1]; the element node grows, `count` elements so far
//                └──► e STRUCT ──► x
//
// A slot is the row for nodes under structs of the root, the element's number below an ARRAY or MAP. Every slot of a node begins NULL
// (validity 0), so that a missing field costs nothing. Nodes live in the reader's arena, their columns in the arena of each read.
// A STRUCT node also remembers the keys of the last object in order (its shape): the next object most likely has the same ones, and
// then a key costs one comparison of bytes.
#pragma once
#include "base/bitmap.h"
#include "column/column.h"
#include "json/json.h"

// A key of a shape: its text `"key":` as one run of bytes. Longer keys and keys with escapes are not kept.
enum { JSON_SHAPE_BYTES = 32, JSON_SHAPE_KEYS = 64 };
struct json_shape_key {
    char text[JSON_SHAPE_BYTES];  // padded with zeros
    uint32_t size_bytes;          // 0: this place knows nothing
    uint32_t mask;                // bit i: byte i belongs to the text
    struct json_node *child;      // NULL: nobody wants this field
};

struct json_node {
    const struct type *type;
    const char *name;             // of the field; NULL for elements and the root
    size_t name_bytes;
    struct json_node *children;   // STRUCT: one a field of the type, wanted or not; ARRAY 1; MAP key, value
    uint32_t child_count;
    bool wanted;                  // has a column that is filled
    bool is_corrupt_record;       // the corrupt record column: never read from the document
    uint32_t *key_slots;          // STRUCT: open addressing, index of a wanted child + 1; 0: free
    uint32_t key_slot_mask;
    struct json_shape_key *shape; // STRUCT: JSON_SHAPE_KEYS of them
    uint32_t shape_count;

    void *values;                 // as column.values; offsets for ARRAY and MAP (capacity + 1)
    uint64_t *validity;
    uint32_t capacity;            // slots
    uint32_t count;               // ARRAY, MAP: elements of the child columns
    uint32_t filled;              // ARRAY, MAP: offsets[0..filled] are set
    uint64_t stamp;               // object in which this field was last seen: tells duplicate keys
};

// Leaves in preorder take bits of `wanted` from *leaf on. `corrupt_name` (or NULL) names the top field to leave out of reading.
// STATUS_UNSUPPORTED: a type that cannot be read (intervals only if `intervals`).
enum status json_node_compile(struct json_node *n, const struct type *type, struct arena *a, const uint64_t *wanted, uint32_t *leaf,
                              const char *corrupt_name, bool intervals) WARN_UNUSED;
// Fresh NULL columns with `capacity` slots for the node and what is under its structs; empty lists. False: memory.
bool json_node_begin(struct json_node *n, struct arena *a, uint32_t capacity);
// Room for `count` slots. False: memory, or more than a column can hold.
bool json_node_grow(struct json_node *n, struct arena *a, uint32_t count);
static inline bool json_node_reserve(struct json_node *n, struct arena *a, uint32_t count) {
    return count <= n->capacity || json_node_grow(n, a, count);
}
// Makes a slot NULL, all the way down; takes back what lists hold of it (it must be their last).
void json_node_clear(struct json_node *n, uint32_t slot);
// The columns as read, row_count slots. False: memory.
bool json_node_finish(struct json_node *n, struct arena *a, uint32_t row_count, struct column *out);

// The wanted child by its exact name, or NULL.
struct json_node *json_node_find(const struct json_node *n, const char *name, size_t name_bytes);
// Notes that the key at place `k` of the object was `name`.
void json_shape_learn(struct json_node *n, uint32_t k, const char *name, size_t name_bytes, struct json_node *child);

// ARRAY and MAP: sets the offsets of slots that had no value before `slot`, and forgets a value `slot` already has.
void json_list_begin(struct json_node *n, uint32_t slot);
// The elements appended since are the slot's value.
void json_list_end(struct json_node *n, uint32_t slot);
// Drops the elements from `count` on.
void json_list_truncate(struct json_node *n, uint32_t count);
