// SPDX-License-Identifier: Apache-2.0
// node_map.h: plan nodes to plan nodes, by address. For walks over a plan, which is a graph: each node is met once. Open addressing, in a
// query arena; zeroed is empty.
#pragma once
#include "plan/plan.h"

struct node_map {
    struct arena *arena;
    const struct plan_node **keys;
    struct plan_node **values;
    uint32_t capacity;           // power of two, or 0
    uint32_t count;
};

// The slot of a key; NULL: not in the map.
struct plan_node **node_map_find(const struct node_map *m, const struct plan_node *key);
enum status node_map_put(struct node_map *m, const struct plan_node *key, struct plan_node *value) WARN_UNUSED;
