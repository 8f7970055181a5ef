// SPDX-License-Identifier: Apache-2.0
// key_order.h: the groups of a state table in the order of their keys' bytes: a treap whose links are the first bytes of each group's state.
//
//                 [m]                  in order: c f m p t          priorities fall from parent to child: about 2 log n deep,
//              [c]   [t]                                            whatever the keys and however they come
//                [f] [p]
//
// The order is derived from the table and never saved: after a rollback, or when groups came from a log, it is stale and is built anew. A group
// stands in it from the moment it is made until just before its table removes it. A depth is bounded by chance alone, so nothing here recurses.
#pragma once
#include "exec/hash_table.h"

// The state of a group that stands in an order begins with it.
struct order_links {
    struct group *left, *right;
};

struct key_order {
    struct group *root;
    uint64_t seed;       // of the priorities
    bool is_stale;
};

void key_order_init(struct key_order *o);
void key_order_insert(struct key_order *o, struct group *g);  // not in it; no key is equal
void key_order_remove(struct key_order *o, struct group *g);
void key_order_build(struct key_order *o, const struct hash_table *t);  // anew, from all groups of the table
// The first group whose key is not below; NULL: none.
struct group *key_order_seek(const struct key_order *o, const struct string_view *key);
struct group *key_order_next(const struct key_order *o, const struct group *g);
// Whether the key begins with these bytes.
bool key_begins_with(const struct string_view *key, const struct string_view *prefix);
