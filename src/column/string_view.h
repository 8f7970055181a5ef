// SPDX-License-Identifier: Apache-2.0
// string_view.h: 16 bytes that stand for a string. Up to 12 bytes are inline; longer ones keep 4 bytes of prefix and a pointer into
// memory that the batch holds (a message, the batch's arena) or the state owns.
//
//     ≤ 12   [ length:4 | bytes:12, zero-padded           ]
//     > 12   [ length:4 | prefix:4 | pointer:8            ]
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct string_view {
    uint32_t size_bytes;
    union {
        char inlined[12];
        struct {
            char prefix[4];
            char pointer[8];  // a const char *, kept as bytes so that the struct packs to 16; see string_view_data
        };
    };
};

enum { STRING_INLINE_MAX = 12 };

static inline const char *string_view_data(const struct string_view *v) {
    if (v->size_bytes <= STRING_INLINE_MAX) return v->inlined;
    const char *p;
    memcpy(&p, v->pointer, sizeof p);
    return p;
}
// `bytes` must outlive the view if it is longer than 12.
static inline struct string_view string_view_of(const char *bytes, size_t size_bytes) {
    struct string_view v;
    memset(&v, 0, sizeof v);
    v.size_bytes = (uint32_t)size_bytes;
    if (size_bytes <= STRING_INLINE_MAX) {
        if (size_bytes) memcpy(v.inlined, bytes, size_bytes);
    } else {
        memcpy(v.prefix, bytes, 4);
        memcpy(v.pointer, &bytes, sizeof bytes);
    }
    return v;
}
static inline bool string_view_equal(const struct string_view *a, const struct string_view *b) {
    uint64_t x, y;
    memcpy(&x, a, 8);
    memcpy(&y, b, 8);
    if (x != y) return false;  // length and prefix at once
    if (a->size_bytes <= STRING_INLINE_MAX) return memcmp(a->inlined + 4, b->inlined + 4, 8) == 0;
    return memcmp(string_view_data(a) + 4, string_view_data(b) + 4, a->size_bytes - 4) == 0;
}
// Bytewise, as Spark's UTF8_BINARY collation; < 0, 0, > 0.
static inline int string_view_compare(const struct string_view *a, const struct string_view *b) {
    uint32_t shorter = a->size_bytes < b->size_bytes ? a->size_bytes : b->size_bytes;
    int order = shorter ? memcmp(string_view_data(a), string_view_data(b), shorter) : 0;
    return order ? order : (a->size_bytes > b->size_bytes) - (a->size_bytes < b->size_bytes);
}
_Static_assert(sizeof(struct string_view) == 16, "a view is 16 bytes");
