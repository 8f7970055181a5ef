// SPDX-License-Identifier: Apache-2.0
// string_text.h: what kernels over strings share: a row's bytes, room for a result, Spark's substring.
//
// Arguments are FLAT (kernel.h). A result of at most 12 bytes is built in a local and copied into the view; a longer one is built in the
// batch's arena. A piece of an argument is never copied: the view points into what the argument points to.
#pragma once
#include "base/utf8.h"
#include "expr/function.h"

struct text {
    const char *bytes;
    size_t size_bytes;
};

// Pieces of strings are mostly short: two overlapping loads and stores instead of a call. Touches no byte outside the text.
static inline void text_copy(char *to, struct text t) {
    const char *from = t.bytes;
    size_t n = t.size_bytes;
    if (n > 32) {
        memcpy(to, from, n);
    } else if (n >= 16) {
        memcpy(to + n - 16, from + n - 16, 16);
        memcpy(to, from, 16);
    } else if (n >= 8) {
        memcpy(to + n - 8, from + n - 8, 8);
        memcpy(to, from, 8);
    } else if (n >= 4) {
        memcpy(to + n - 4, from + n - 4, 4);
        memcpy(to, from, 4);
    } else {
        for (size_t i = 0; i < n; i++) to[i] = from[i];
    }
}

static inline struct text text_at(const struct column *c, uint32_t row) {
    const struct string_view *v = (const struct string_view *)c->values + row;
    return (struct text){string_view_data(v), v->size_bytes};
}
static inline struct text text_of(const char *s) { return (struct text){s, strlen(s)}; }
static inline bool text_equal(struct text a, struct text b) { return a.size_bytes == b.size_bytes && (!a.size_bytes || memcmp(a.bytes, b.bytes, a.size_bytes) == 0); }
static inline void out_set_text(struct column *out, uint32_t row, struct text t) { out_set_view(out, row, t.bytes, t.size_bytes); }
static inline int32_t int_at(const struct column *c, uint32_t row) { return ((const int32_t *)c->values)[row]; }

enum { TEXT_MAX_BYTES = 0x7fffffef };  // Java's longest array

// Room for a result; `local` has STRING_INLINE_MAX bytes. NULL: the row failed (too long) or memory was refused.
char *text_room(char *local, size_t size_bytes, uint32_t row, struct eval *eval);

// First occurrence at or after `from`; -1: none. An empty needle is found at `from`.
ptrdiff_t text_find(struct text t, struct text needle, size_t from);
ptrdiff_t text_find_last(struct text t, struct text needle, size_t before);  // last one that begins before `before`

// Spark's substring over characters (or bytes): position from 1, 0 as 1, negative from the end.
struct text text_substring(struct text t, int64_t position, int64_t length);
struct text text_substring_bytes(struct text t, int64_t position, int64_t length);

// Number of arguments of a variadic call, for the binder to put into `data`.
struct variadic {
    uint32_t arg_count;
};
enum status variadic_bind(struct binding *b, struct error *e) WARN_UNUSED;
static inline uint32_t variadic_count(const struct eval *eval);

// Binders.
bool binding_all_of(const struct binding *b, uint32_t first, uint32_t count, enum type_id id);
enum status binding_value_error(struct binding *b, uint32_t index, const char *condition, const char *message, struct error *e) WARN_UNUSED;

static inline uint32_t variadic_count(const struct eval *eval) { return ((const struct variadic *)eval->call->data)->arg_count; }
