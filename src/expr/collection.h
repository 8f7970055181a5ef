// SPDX-License-Identifier: Apache-2.0
// collection.h: what the functions over arrays, maps and structs share: writing lists row by row, picking elements, finding equal values fast,
// and the type errors Spark has for them.
//
// A batch's list column can hold COLLECTION_ELEMENTS_MAX elements: a row that would pass it fails (repeat and sequence make a lot of very
// little text), as does one list of more than COLLECTION_LIST_MAX, which is Java's own limit.
#pragma once
#include "column/value.h"
#include "expr/coerce.h"
#include "expr/function.h"

enum { COLLECTION_ELEMENTS_MAX = 1 << 26, COLLECTION_LIST_MAX = 2147483632 };

// Writes an ARRAY or MAP column in row order; rows that are skipped are NULL.
//
//     if (!list_writer_begin(&w, out, eval)) return;
//     for each row: struct column_builder *items = list_writer_row(&w, row); append to items …; list_writer_end_row(&w);
//     list_writer_finish(&w);
struct list_writer {
    struct column_builder builder;
    struct column *out;
    struct eval *eval;
    uint32_t next_row;
};
bool list_writer_begin(struct list_writer *w, struct column *out, struct eval *eval);  // false: no memory, status is set
struct column_builder *list_writer_row(struct list_writer *w, uint32_t row);  // builders of the children: 1 of an ARRAY, 2 of a MAP
void list_writer_end_row(struct list_writer *w);
void list_writer_finish(struct list_writer *w);
// Room for `count` more elements in this row? False: the row has failed; end it all the same.
bool list_writer_room(struct list_writer *w, uint32_t row, int64_t count);
// Elements [begin, end) of a child, in order.
void append_range(struct column_builder *to, const struct column *child, int32_t begin, int32_t end);

// The chosen elements of a child as the fixed or nested column `out`: picked[row] for every row of the batch, UINT32_MAX: NULL.
uint32_t *picks_new(struct eval *eval);  // all UINT32_MAX; NULL: no memory, status is set
void picks_gather(const struct column *child, const uint32_t *picked, struct column *out, struct eval *eval);

// Values already met, by hash; for one row at a time. Candidates are rows of up to two columns.
struct value_set {
    const struct column *columns[2];
    const uint64_t *hashes[2];
    uint32_t *slots;        // 0: free; else 1 + (row * 2 + column)
    uint32_t capacity;      // power of two; 0: nothing allocated
    struct eval *eval;
};
// Hashes both columns at once. False: no memory, status is set. `second` may be NULL.
bool value_set_init(struct value_set *s, const struct column *first, const struct column *second, struct eval *eval);
void normalize_zero(struct column *values);  // −0.0 becomes 0.0 where it stands: for columns that the kernel wrote itself
bool value_set_clear(struct value_set *s, uint32_t most);                          // empty, with room for `most` values
bool value_set_has(const struct value_set *s, uint32_t column, uint32_t row);
bool value_set_add(struct value_set *s, uint32_t column, uint32_t row);            // false: it was there
// The row of the first column equal to this one, UINT32_MAX if none was added; every added value must be of the first column.
uint32_t value_set_find(const struct value_set *s, uint32_t column, uint32_t row);

static inline int32_t list_size(const struct column *c, uint32_t row) { return column_list_end(c, row) - column_list_begin(c, row); }

// Checks the keys of a freshly written MAP column: NULL keys fail their row, equal keys fail it or, where the session says so, the last one
// wins at the place of the first. −0.0 becomes 0.0.
void map_settle(struct column *out, const struct rows *rows, struct eval *eval);

// Errors of binders; the span is argument `index`.
enum status collection_refuse(struct binding *b, uint32_t index, const char *condition, const char *detail, struct error *e) WARN_UNUSED;
enum status collection_wrong_type(struct binding *b, uint32_t index, const char *wanted, struct error *e) WARN_UNUSED;  // UNEXPECTED_INPUT_TYPE
enum status collection_require(struct binding *b, uint32_t index, enum type_id id, struct error *e) WARN_UNUSED;
enum status collection_require_order(struct binding *b, uint32_t index, const struct type *t, struct error *e) WARN_UNUSED;
enum status collection_cast(struct binding *b, uint32_t index, const struct type *to, struct error *e) WARN_UNUSED;  // checked already
static inline const struct type *element_of(const struct type *array) { return array->fields[0].type; }
