// SPDX-License-Identifier: Apache-2.0
// eval.c: what a kernel may do besides computing: mark a row failed, keep bytes.
//
// Errors live in the batch's arena: they are read by the operator that ran the program, before the batch goes on. A row keeps its first
// error, which is the one Spark would have raised for it.
#include "expr/kernel.h"
#include "expr/program.h"

void eval_begin(struct eval *e, const struct session *session, struct memory *memory, struct arena *arena, const struct origin *origin,
                int64_t now_us, uint32_t row_count) {
    *e = (struct eval){
        .session = session, .memory = memory, .arena = arena, .origin = origin, .now_us = now_us, .row_count = row_count,
    };
}

static bool grow_errors(struct eval *e) {
    if (e->error_count < e->error_capacity) return true;
    uint32_t capacity = e->error_capacity ? e->error_capacity * 2 : 8;
    struct row_error *larger = arena_alloc(e->arena, capacity * sizeof *larger);
    if (!larger) {
        e->status = STATUS_NO_MEMORY;
        return false;
    }
    if (e->error_count) memcpy(larger, e->errors, e->error_count * sizeof *larger);
    e->errors = larger;
    e->error_capacity = capacity;
    return true;
}

static struct row_error *add_error(struct eval *e, uint32_t row) {
    if (e->failed && bitmap_get(e->failed, row)) return NULL;
    if (!e->failed) {
        e->failed = arena_alloc_zeroed(e->arena, bitmap_bytes(e->row_count ? e->row_count : 1));
        if (!e->failed) {
            e->status = STATUS_NO_MEMORY;
            return NULL;
        }
    }
    if (!grow_errors(e)) return NULL;
    bitmap_set(e->failed, row);
    return &e->errors[e->error_count++];
}

void eval_fail_value(struct eval *e, uint32_t row, const char *condition, const char *message, const void *value, size_t size_bytes) {
    struct row_error *error = add_error(e, row);
    if (!error) return;
    *error = (struct row_error){.row = (uint16_t)row, .condition = condition, .message = message, .span = e->span};
    if (!size_bytes) {
        error->value = string_view_of("", 0);
        return;
    }
    enum { VALUE_KEPT_BYTES = 256 };
    if (size_bytes > VALUE_KEPT_BYTES) size_bytes = VALUE_KEPT_BYTES;
    char *kept = arena_alloc(e->arena, size_bytes);
    if (!kept) {
        e->status = STATUS_NO_MEMORY;
        return;
    }
    memcpy(kept, value, size_bytes);
    error->value = string_view_of(kept, size_bytes);
}

void eval_fail(struct eval *e, uint32_t row, const char *condition, const char *message) {
    eval_fail_value(e, row, condition, message, NULL, 0);
}

void out_set_string(struct column *out, uint32_t row, const char *bytes, size_t size_bytes, struct eval *e) {
    struct string_view *views = out->values;
    if (size_bytes <= STRING_INLINE_MAX) {
        views[row] = string_view_of(bytes, size_bytes);
        return;
    }
    if (size_bytes > UINT32_MAX) {
        eval_fail(e, row, "COLLECTION_SIZE_LIMIT_EXCEEDED", "a string is longer than 4 GiB");
        return;
    }
    char *kept = arena_alloc_aligned(e->arena, size_bytes, 1);
    if (!kept) {
        e->status = STATUS_NO_MEMORY;
        views[row] = string_view_of("", 0);
        return;
    }
    memcpy(kept, bytes, size_bytes);
    views[row] = string_view_of(kept, size_bytes);
}
