// SPDX-License-Identifier: Apache-2.0
// tree.c: compiling a schema into nodes, and the life of their columns: begin, grow, take back, finish.
#include "json/tree.h"

static uint32_t hash_name(const char *name, size_t name_bytes) {
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < name_bytes; i++) hash = (hash ^ (unsigned char)name[i]) * 16777619u;
    return hash;
}

struct json_node *json_node_find(const struct json_node *n, const char *name, size_t name_bytes) {
    for (uint32_t at = hash_name(name, name_bytes);; at++) {
        uint32_t index = n->key_slots[at & n->key_slot_mask];
        if (index == 0) return NULL;
        struct json_node *child = &n->children[index - 1];
        if (child->name_bytes == name_bytes && memcmp(child->name, name, name_bytes) == 0) return child;
    }
}

void json_shape_learn(struct json_node *n, uint32_t k, const char *name, size_t name_bytes, struct json_node *child) {
    if (k >= JSON_SHAPE_KEYS) return;
    if (k >= n->shape_count) n->shape_count = k + 1;
    struct json_shape_key *key = &n->shape[k];
    memset(key, 0, sizeof *key);
    if (name_bytes + 3 > JSON_SHAPE_BYTES) return;
    key->text[0] = '"';
    memcpy(key->text + 1, name, name_bytes);
    memcpy(key->text + 1 + name_bytes, "\":", 2);
    key->size_bytes = (uint32_t)name_bytes + 3;
    key->mask = key->size_bytes == 32 ? UINT32_MAX : ((uint32_t)1 << key->size_bytes) - 1;
    key->child = child;
}

static enum status compile_keys(struct json_node *n, struct arena *a) {
    uint32_t slots = 4;
    while (slots < n->child_count * 2 + 1) slots *= 2;
    n->key_slots = arena_alloc_zeroed(a, slots * sizeof *n->key_slots);
    n->shape = arena_alloc_zeroed(a, JSON_SHAPE_KEYS * sizeof *n->shape);
    if (!n->key_slots || !n->shape) return STATUS_NO_MEMORY;
    n->key_slot_mask = slots - 1;
    for (uint32_t i = 0; i < n->child_count; i++) {
        struct json_node *child = &n->children[i];
        if (!child->wanted || child->is_corrupt_record || json_node_find(n, child->name, child->name_bytes)) continue;
        uint32_t at = hash_name(child->name, child->name_bytes);
        while (n->key_slots[at & n->key_slot_mask]) at++;
        n->key_slots[at & n->key_slot_mask] = i + 1;
    }
    return STATUS_OK;
}

static bool is_readable(const struct type *type, bool intervals) {
    if (type->id == TYPE_INTERVAL_YM || type->id == TYPE_INTERVAL_DT) return intervals;
    return type->id != TYPE_INTERVAL && !(type->id == TYPE_MAP && type->fields[0].type->id != TYPE_STRING);
}

enum status json_node_compile(struct json_node *n, const struct type *type, struct arena *a, const uint64_t *wanted, uint32_t *leaf,
                              const char *corrupt_name, bool intervals) {
    *n = (struct json_node){.type = type, .child_count = type_is_nested(type) ? type->field_count : 0};
    if (!is_readable(type, intervals)) return STATUS_UNSUPPORTED;
    if (type->id != TYPE_STRUCT) {
        n->wanted = !wanted || bitmap_get(wanted, *leaf);
        (*leaf)++;
        wanted = NULL;  // a list is wanted whole
    }
    if (n->child_count || type->id == TYPE_STRUCT) {
        n->children = arena_alloc_array(a, n->child_count ? n->child_count : 1, sizeof *n->children);
        if (!n->children) return STATUS_NO_MEMORY;
    }
    uint32_t inner_leaf = 0;
    for (uint32_t i = 0; i < n->child_count; i++) {
        struct json_node *child = &n->children[i];
        bool is_struct = type->id == TYPE_STRUCT;
        TRY(json_node_compile(child, type->fields[i].type, a, wanted, is_struct ? leaf : &inner_leaf, NULL, intervals));
        if (!is_struct) continue;
        child->name = type->fields[i].name;
        child->name_bytes = strlen(child->name);
        child->is_corrupt_record = corrupt_name && child->type->id == TYPE_STRING && strcmp(child->name, corrupt_name) == 0;
        n->wanted |= child->wanted;
    }
    if (type->id == TYPE_STRUCT && !wanted) n->wanted = true;  // an empty struct is there or not, too
    return type->id == TYPE_STRUCT ? compile_keys(n, a) : STATUS_OK;
}

static bool is_list(const struct json_node *n) { return n->type->id == TYPE_ARRAY || n->type->id == TYPE_MAP; }

static size_t values_bytes(const struct json_node *n, uint32_t capacity) {
    return type_width(n->type) * ((size_t)capacity + (is_list(n) ? 1 : 0));
}

bool json_node_begin(struct json_node *n, struct arena *a, uint32_t capacity) {
    n->stamp = 0;
    n->count = n->filled = 0;
    n->capacity = capacity;
    n->values = NULL;
    n->validity = NULL;
    if (!n->wanted) return true;
    n->validity = arena_alloc_zeroed(a, bitmap_bytes(capacity) + 8);
    if (!n->validity) return false;
    size_t size_bytes = values_bytes(n, capacity);
    // Values of NULL slots are zero: kernels read them, and what they read must not differ between runs.
    if (size_bytes && !(n->values = arena_alloc_zeroed(a, size_bytes))) return false;
    for (uint32_t i = 0; i < n->child_count; i++)
        if (!json_node_begin(&n->children[i], a, is_list(n) ? 0 : capacity)) return false;
    return true;
}

bool json_node_grow(struct json_node *n, struct arena *a, uint32_t count) {
    if (count > INT32_MAX) return false;
    uint32_t capacity = n->capacity < 32 ? 64 : n->capacity > INT32_MAX / 2 ? INT32_MAX : n->capacity * 2;
    if (capacity < count) capacity = count;
    uint64_t *validity = arena_alloc_zeroed(a, bitmap_bytes(capacity) + 8);
    if (!validity) return false;
    if (n->validity) memcpy(validity, n->validity, bitmap_bytes(n->capacity));
    size_t size_bytes = values_bytes(n, capacity);
    if (size_bytes) {
        void *values = arena_alloc_zeroed(a, size_bytes);
        if (!values) return false;
        if (n->values) memcpy(values, n->values, values_bytes(n, n->capacity));
        n->values = values;
    }
    n->validity = validity;
    if (n->type->id == TYPE_STRUCT)
        for (uint32_t i = 0; i < n->child_count; i++)
            if (n->children[i].wanted && !json_node_reserve(&n->children[i], a, capacity)) return false;
    n->capacity = capacity;
    return true;
}

void json_node_clear(struct json_node *n, uint32_t slot) {
    if (!n->wanted || slot >= n->capacity) return;
    bitmap_clear(n->validity, slot);
    if (n->type->id == TYPE_STRUCT) {
        for (uint32_t i = 0; i < n->child_count; i++) json_node_clear(&n->children[i], slot);
    } else if (is_list(n)) {
        json_list_begin(n, slot);
    } else if (n->values) {
        size_t width = type_width(n->type);
        memset((char *)n->values + slot * width, 0, width);
    }
}

void json_list_truncate(struct json_node *n, uint32_t count) {
    for (uint32_t i = 0; i < n->child_count; i++)
        for (uint32_t slot = n->count; slot > count; slot--) json_node_clear(&n->children[i], slot - 1);
    n->count = count;
}

void json_list_begin(struct json_node *n, uint32_t slot) {
    int32_t *offsets = n->values;
    if (n->filled > slot) n->filled = slot;
    // Elements behind the last finished list are those of one that was given up, or of this slot's former value.
    if (n->count > (uint32_t)offsets[n->filled]) json_list_truncate(n, (uint32_t)offsets[n->filled]);
    while (n->filled < slot) offsets[++n->filled] = (int32_t)n->count;
}

void json_list_end(struct json_node *n, uint32_t slot) {
    ((int32_t *)n->values)[slot + 1] = (int32_t)n->count;
    n->filled = slot + 1;
}

bool json_node_finish(struct json_node *n, struct arena *a, uint32_t row_count, struct column *out) {
    if (!n->wanted) return column_make_constant_null(a, n->type, row_count, out) == STATUS_OK;
    *out = (struct column){.type = n->type, .form = COLUMN_FLAT, .row_count = row_count, .validity = n->validity, .values = n->values};
    if (!n->child_count) return true;
    uint32_t child_rows = row_count;
    if (is_list(n)) {
        if (!json_node_reserve(n, a, row_count)) return false;
        if (!n->values && !(n->values = arena_alloc_zeroed(a, sizeof(int32_t)))) return false;
        json_list_begin(n, row_count);
        out->values = n->values;
        child_rows = n->count;
    }
    out->children = arena_alloc_array(a, n->child_count, sizeof *out->children);
    if (!out->children) return false;
    for (uint32_t i = 0; i < n->child_count; i++)
        if (!json_node_finish(&n->children[i], a, child_rows, &out->children[i])) return false;
    return true;
}
