// SPDX-License-Identifier: Apache-2.0
// listing.h: a table of short texts for people: a head, rows, columns as wide as their widest cell; numbers to the right.
#pragma once
#include "cli/cli.h"

enum { LISTING_COLUMNS = 8 };
struct listing {
    struct arena *arena;             // of the cells
    uint32_t column_count;
    const char *heads[LISTING_COLUMNS];
    bool right[LISTING_COLUMNS];
    struct vector rows;              // of const char *[LISTING_COLUMNS]
    bool failed;                     // no memory: said by listing_print
};

void listing_init(struct listing *l, struct arena *a, struct memory *memory);
void listing_column(struct listing *l, const char *head, bool right);
void listing_row(struct listing *l, const char *const *cells);          // column_count of them; NULL: empty. Kept as they are
enum status listing_print(struct listing *l, struct error *e) WARN_UNUSED;  // to stdout; releases it

// Texts in the arena; "?" if out of memory.
const char *text_of_number(struct arena *a, uint64_t n);                 // 1,204
const char *text_of_bytes(struct arena *a, uint64_t size_bytes);         // 4.2 MB
const char *text_of_time(struct arena *a, int64_t us, const struct timezone *zone);  // "2026-01-31 10:00:00"
const char *text_of_duration(struct arena *a, int64_t us);               // "12 s"
const char *text_of_uuid(struct arena *a, const uint8_t id[16]);
enum status json_text(struct buffer *out, const char *name, const char *text) WARN_UNUSED;  // ,"name":"text"; NULL: null
