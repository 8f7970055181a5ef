// SPDX-License-Identifier: Apache-2.0
// in_list.c: x IN (a, b, …).
//
// When the whole list is constant it is hashed once, at bind time, and each row costs one probe; the table is open addressing at most half
// full, over the values themselves. Otherwise the list's columns are compared one after another. SQL's rule for NULL: a NULL in the list
// turns "not found" into NULL.
#include "column/value.h"
#include "expr/program.h"
#include "operator.h"

struct in_set {
    struct column values;        // FLAT, without NULLs
    uint64_t *hashes;
    uint32_t *slots;             // index into values + 1; 0: free
    uint32_t slot_mask;
    uint32_t count;
    bool has_null;
    bool is_small;               // few integers: compared without hashing
    int64_t integers[8];
};

struct in_data {
    const struct in_set *set;    // NULL: some of the list is no constant
};

static uint32_t probe(const struct in_set *set, const struct column *c, uint32_t row, uint64_t hash) {
    for (uint32_t slot = (uint32_t)hash & set->slot_mask; set->slots[slot]; slot = (slot + 1) & set->slot_mask) {
        uint32_t index = set->slots[slot] - 1;
        if (set->hashes[index] == hash && value_equal(&set->values, index, c, row)) return slot;
    }
    return UINT32_MAX;
}

static int64_t integer_at(const struct column *c, uint32_t row) {
    switch (type_width(c->type)) {
    case 1: return column_int8(c, row);
    case 2: return column_int16(c, row);
    case 4: return column_int32(c, row);
    default: return column_int64(c, row);
    }
}

static bool is_integer_like(const struct type *t) {
    return type_is_integral(t) || t->id == TYPE_DATE || t->id == TYPE_TIMESTAMP || t->id == TYPE_TIMESTAMP_NTZ || t->id == TYPE_INTERVAL_YM ||
           t->id == TYPE_INTERVAL_DT;
}

static void kernel_in_set(const struct in_set *set, const struct column *needle, struct column *out, const struct rows *rows, struct eval *eval) {
    uint8_t *to = out->values;
    uint64_t *hashes = NULL;
    if (!set->is_small) {
        hashes = arena_alloc_zeroed(eval->arena, (eval->row_count + 1) * sizeof *hashes);
        if (!hashes) {
            eval->status = STATUS_NO_MEMORY;
            return;
        }
        value_hash_column(needle, rows, hashes);
    }
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        if (!column_is_valid(needle, row)) {
            out_set_null(out, row);
            continue;
        }
        bool found = false;
        if (set->is_small) {
            int64_t value = integer_at(needle, row);
            for (uint32_t k = 0; k < set->count; k++) found |= set->integers[k] == value;
        } else {
            found = probe(set, needle, row, hashes[row]) != UINT32_MAX;
        }
        to[row] = found;
        if (!found && set->has_null) out_set_null(out, row);
    }
}

static uint32_t list_length(const struct eval *eval);

void kernel_in_list(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    const struct in_data *d = eval->call->data;
    if (d->set) {
        kernel_in_set(d->set, args[0], out, rows, eval);
        return;
    }
    uint8_t *to = out->values;
    uint32_t count = list_length(eval);
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        bool found = false, null = !column_is_valid(args[0], row);
        for (uint32_t k = 1; k <= count && !found && column_is_valid(args[0], row); k++) {
            if (!column_is_valid(args[k], row)) null = true;
            else found = value_equal(args[0], row, args[k], row);
        }
        to[row] = found;
        if (!found && null) out_set_null(out, row);
    }
}

// The list's length stands before the set in the bind data of a list that is not constant.
struct in_list_data {
    struct in_data data;
    uint32_t length;
};
static uint32_t list_length(const struct eval *eval) { return ((const struct in_list_data *)eval->call->data)->length; }

static enum status hash_set(struct binding *b, struct in_set *set, struct error *e) {
    uint32_t count = set->values.row_count, slots = 8;
    while (slots < count * 2 + 2) slots *= 2;
    set->hashes = arena_alloc_zeroed(b->arena, (count + 1) * sizeof *set->hashes);
    set->slots = arena_alloc_zeroed(b->arena, slots * sizeof *set->slots);
    if (!set->hashes || !set->slots) return error_no_memory(e);
    set->slot_mask = slots - 1;
    struct rows all = {.indices = NULL, .count = count};
    value_hash_column(&set->values, &all, set->hashes);
    for (uint32_t i = 0; i < count; i++) {
        if (probe(set, &set->values, i, set->hashes[i]) != UINT32_MAX) continue;
        uint32_t slot = (uint32_t)set->hashes[i] & set->slot_mask;
        while (set->slots[slot]) slot = (slot + 1) & set->slot_mask;
        set->slots[slot] = i + 1;
    }
    set->count = count;
    set->is_small = is_integer_like(set->values.type) && count <= sizeof set->integers / sizeof *set->integers;
    for (uint32_t i = 0; set->is_small && i < count; i++) set->integers[i] = integer_at(&set->values, i);
    return STATUS_OK;
}

static enum status make_set(struct binding *b, struct in_set **out, struct error *e) {
    struct in_set *set = arena_alloc_zeroed(b->arena, sizeof *set);
    if (!set) return error_no_memory(e);
    struct column_builder values;
    column_builder_init(&values, b->arena, b->args[0]->type);
    for (uint32_t i = 1; i < b->arg_count; i++) {
        const struct column *value = NULL;
        TRY(binding_constant(b, i, &value, e));
        if (value) column_builder_append_from(&values, value, 0);
        else set->has_null = true;
    }
    if (column_builder_finish(&values, &set->values) != STATUS_OK) return error_no_memory(e);
    TRY(hash_set(b, set, e));
    *out = set;
    return STATUS_OK;
}

enum status bind_in(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 2, UINT32_MAX, e));
    TRY(binding_common_type(b, 0, b->arg_count, e));
    struct in_list_data *d = arena_alloc_zeroed(b->arena, sizeof *d);
    if (!d) return error_no_memory(e);
    d->length = b->arg_count - 1;
    bool constant = b->args[0]->type->id != TYPE_NULL && b->args[0]->type->id != TYPE_INTERVAL;
    for (uint32_t i = 1; i < b->arg_count; i++) constant &= expr_is_constant(b->args[i]);
    if (constant) {
        struct in_set *set = NULL;
        TRY(make_set(b, &set, e));
        d->data.set = set;
    }
    b->data = d;
    b->result = &type_boolean;
    b->nullable = false;
    for (uint32_t i = 0; i < b->arg_count; i++) b->nullable |= b->args[i]->nullable;
    return STATUS_OK;
}
