// SPDX-License-Identifier: Apache-2.0
// key_order.c: see key_order.h. Method: Seidel and Aragon, "Randomized Search Trees", Algorithmica 1996; insertion splits, removal joins.
#include "exec/key_order.h"
#include "base/random.h"

static struct order_links *links(struct group *g) { return group_state(g, 0); }
static uint64_t priority(const struct key_order *o, const struct group *g) { return random_mix(g->hash ^ o->seed); }

void key_order_init(struct key_order *o) {
    *o = (struct key_order){.root = NULL};
    random_system(&o->seed, sizeof o->seed);  // what a key is must not say where it stands
}

// Parts a tree into the keys below `key` and the others.
static void split(struct group *tree, const struct string_view *key, struct group **below, struct group **others) {
    while (tree) {
        if (string_view_compare(&tree->key, key) < 0) {
            *below = tree;
            below = &links(tree)->right;
            tree = *below;
        } else {
            *others = tree;
            others = &links(tree)->left;
            tree = *others;
        }
    }
    *below = *others = NULL;
}

void key_order_insert(struct key_order *o, struct group *g) {
    struct group **place = &o->root;
    uint64_t own = priority(o, g);
    while (*place && priority(o, *place) >= own) {
        struct order_links *l = links(*place);
        place = string_view_compare(&g->key, &(*place)->key) < 0 ? &l->left : &l->right;
    }
    struct group *below, *others;
    split(*place, &g->key, &below, &others);
    *links(g) = (struct order_links){.left = below, .right = others};
    *place = g;
}

void key_order_remove(struct key_order *o, struct group *g) {
    struct group **place = &o->root;
    while (*place && *place != g) place = string_view_compare(&g->key, &(*place)->key) < 0 ? &links(*place)->left : &links(*place)->right;
    if (!*place) return;
    struct group *left = links(g)->left, *right = links(g)->right;
    while (left && right) {
        if (priority(o, left) >= priority(o, right)) {
            *place = left;
            place = &links(left)->right;
            left = *place;
        } else {
            *place = right;
            place = &links(right)->left;
            right = *place;
        }
    }
    *place = left ? left : right;
    *links(g) = (struct order_links){.left = NULL};
}

void key_order_build(struct key_order *o, const struct hash_table *t) {
    o->root = NULL;
    for (size_t i = 0; i < t->slot_count; i++) {
        if (table_slot_is_live(&t->slots[i])) key_order_insert(o, t->slots[i].group);
    }
    o->is_stale = false;
}

struct group *key_order_seek(const struct key_order *o, const struct string_view *key) {
    struct group *found = NULL;
    for (struct group *g = o->root; g;) {
        if (string_view_compare(&g->key, key) < 0) {
            g = links(g)->right;
        } else {
            found = g;
            g = links(g)->left;
        }
    }
    return found;
}

struct group *key_order_next(const struct key_order *o, const struct group *after) {
    struct group *found = NULL;
    for (struct group *g = o->root; g;) {
        if (string_view_compare(&g->key, &after->key) <= 0) {
            g = links(g)->right;
        } else {
            found = g;
            g = links(g)->left;
        }
    }
    return found;
}

bool key_begins_with(const struct string_view *key, const struct string_view *prefix) {
    return key->size_bytes >= prefix->size_bytes && memcmp(string_view_data(key), string_view_data(prefix), prefix->size_bytes) == 0;
}
