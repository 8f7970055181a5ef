// SPDX-License-Identifier: Apache-2.0
// show.h: rows drawn as Spark's Dataset.show draws them, to the byte:
//
//     +---+-----+
//     | id| name|        right-aligned when cells are cut to 20 characters ("abc…" as 17 + "..."), left-aligned when they are not
//     +---+-----+
//     |  1|    a|
//     +---+-----+
//     only showing top 1 row
//
// A column is at least three wide; East Asian wide characters count two.
#pragma once
#include "base/buffer.h"
#include "base/vector.h"
#include "column/batch.h"
#include "column/timezone.h"

struct show {
    struct memory *memory;
    const struct timezone *zone;
    const char *const *names;        // column_count
    uint32_t column_count;
    uint32_t truncate;               // characters; 0: cells are whole
    struct vector cells;             // of struct buffer *: row after row
    uint32_t row_count;
};

void show_init(struct show *s, struct memory *memory, const struct timezone *zone, const char *const *names, uint32_t column_count, uint32_t truncate);
void show_release(struct show *s);
enum status show_add(struct show *s, const struct batch *b, uint32_t row) WARN_UNUSED;
// Draws what was added. more_rows: there are others ("only showing top N rows").
enum status show_print(const struct show *s, bool more_rows, struct buffer *out) WARN_UNUSED;
