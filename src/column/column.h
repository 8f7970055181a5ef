// SPDX-License-Identifier: Apache-2.0
// column.h: the values of one attribute for the rows of a batch. Arrow's layout but for strings (views) and booleans (bytes).
//
//     FLAT        values[row]
//     CONSTANT    values[0] for every row (validity bit 0 too)
//     DICTIONARY  children[0] is FLAT; codes[row] is the row in it; validity is the child's (a NULL is a code of a NULL)
//
// A column owns nothing: its memory is the batch's arena, a message buffer the batch holds, or operator state. Nested columns
// carry a form only at the top; children of ARRAY, MAP and STRUCT are FLAT or (a STRUCT field nobody wants) CONSTANT NULL.
#pragma once
#include "base/arena.h"
#include "base/bitmap.h"
#include "column/string_view.h"
#include "column/type.h"

enum { BATCH_ROWS = 4096 };  // most rows of a batch

enum column_form { COLUMN_FLAT, COLUMN_CONSTANT, COLUMN_DICTIONARY };

struct column {
    const struct type *type;   // Spark type; never NULL
    uint8_t form;              // enum column_form
    uint32_t row_count;        // of `values`; a child of an ARRAY or MAP may hold more than BATCH_ROWS
    uint64_t *validity;        // bit set: not NULL; the pointer NULL: no row is
    void *values;              // see type.h; NULL for STRUCT and NULL_TYPE
    const uint16_t *codes;     // DICTIONARY only, one a row
    struct column *children;   // ARRAY 1, MAP 2, STRUCT one per field, DICTIONARY 1
};

// Index into values and validity of a row, whatever the form of a non-DICTIONARY column; for DICTIONARY, into children[0].
static inline uint32_t column_index(const struct column *c, uint32_t row) {
    return c->form == COLUMN_FLAT ? row : c->form == COLUMN_CONSTANT ? 0 : c->codes[row];
}
static inline const struct column *column_base(const struct column *c) { return c->form == COLUMN_DICTIONARY ? &c->children[0] : c; }
static inline bool column_is_valid(const struct column *c, uint32_t row) {
    const struct column *base = column_base(c);
    return c->type->id != TYPE_NULL && (!base->validity || bitmap_get(base->validity, column_index(c, row)));
}
// Every row NULL, known without looking at rows.
static inline bool column_is_constant_null(const struct column *c) {
    return c->type->id == TYPE_NULL || (c->form == COLUMN_CONSTANT && c->validity && !(c->validity[0] & 1));
}
static inline const struct string_view *column_string(const struct column *c, uint32_t row) {
    return (const struct string_view *)column_base(c)->values + column_index(c, row);
}
// Typed access to a FLAT or CONSTANT or DICTIONARY row; the caller knows the type.
#define COLUMN_ACCESS(name, c_type)                                                            \
    static inline c_type column_##name(const struct column *c, uint32_t row) {                 \
        return ((const c_type *)column_base(c)->values)[column_index(c, row)];                 \
    }
COLUMN_ACCESS(bool, uint8_t)
COLUMN_ACCESS(int8, int8_t)
COLUMN_ACCESS(int16, int16_t)
COLUMN_ACCESS(int32, int32_t)
COLUMN_ACCESS(int64, int64_t)
COLUMN_ACCESS(float, float)
COLUMN_ACCESS(double, double)
COLUMN_ACCESS(decimal, __int128)
#undef COLUMN_ACCESS
// First element and end of a row of an ARRAY or MAP (of a FLAT or CONSTANT column).
static inline int32_t column_list_begin(const struct column *c, uint32_t row) { return ((const int32_t *)c->values)[column_index(c, row)]; }
static inline int32_t column_list_end(const struct column *c, uint32_t row) { return ((const int32_t *)c->values)[column_index(c, row) + 1]; }

// Makes a FLAT column with room for row_count rows: values allocated (zeroed offsets for lists), validity allocated and all set
// when with_validity; children of a STRUCT made likewise, children of lists empty (see column_builder). STATUS_NO_MEMORY only.
enum status column_make(struct arena *a, const struct type *type, uint32_t row_count, bool with_validity, struct column *out) WARN_UNUSED;
enum status column_make_constant_null(struct arena *a, const struct type *type, uint32_t row_count, struct column *out) WARN_UNUSED;
// Same rows, FLAT (nested children too): *out may share memory with c.
enum status column_flatten(struct arena *a, const struct column *c, uint32_t row_count, struct column *out) WARN_UNUSED;
// out row i = c row rows[i]; strings are shared, nested values copied. rows may repeat. A row of UINT32_MAX gives NULL. *out is FLAT.
enum status column_gather(struct arena *a, const struct column *c, const uint32_t *rows, uint32_t count, struct column *out) WARN_UNUSED;
// As gather, but long strings are copied into `a` too: what outlives its batch.
enum status column_copy(struct arena *a, const struct column *c, const uint32_t *rows, uint32_t count, struct column *out) WARN_UNUSED;

// Appends rows one by one; for kernels that make lists, for readers, for state. Grows in its arena.
struct column_builder {
    struct arena *arena;
    struct column column;      // FLAT; row_count grows
    uint32_t capacity;
    struct column_builder *children;  // as column.children
    bool failed;               // an allocation was refused; further calls do nothing
};
void column_builder_init(struct column_builder *b, struct arena *a, const struct type *type);
void column_builder_append_null(struct column_builder *b);  // nested too: fields of a NULL struct are NULL
void column_builder_append_from(struct column_builder *b, const struct column *c, uint32_t row);  // same type; strings shared
void column_builder_append_bytes(struct column_builder *b, const char *bytes, size_t size_bytes, bool copy);  // STRING, BINARY
void column_builder_append_fixed(struct column_builder *b, const void *value);  // type_width bytes
void column_builder_end_list(struct column_builder *b);    // ARRAY, MAP: the children appended since the last row are this row's
void column_builder_end_struct(struct column_builder *b);  // each field has had one append
enum status column_builder_finish(struct column_builder *b, struct column *out) WARN_UNUSED;  // STATUS_NO_MEMORY if failed
