// SPDX-License-Identifier: Apache-2.0
// encode.h: rows as documents. Each type in its natural direction:
//
//     BOOLEAN                        bool            STRING          string (must be UTF-8)
//     TINYINT SMALLINT INT           int32           BINARY          binary, subtype 0
//     BIGINT                         int64           ARRAY           array
//     FLOAT DOUBLE                   double          STRUCT, MAP     document; a map's keys as text
//     DECIMAL                        decimal128, scale kept; 34 digits at most
//     DATE                           date, midnight UTC
//     TIMESTAMP TIMESTAMP_NTZ        date, milliseconds: microseconds are cut (toward the past); in _id they must be none
//     intervals                      string, as CAST gives it
//
//     { _id: …, column: value, … }   _id: the id columns (one: its value; several: a document in their order), or where the row came from:
//                                    { source, partition, offset, row }, by which the same row is the same document on every run
//
// A column named `_id` is the only id column, and is written once. A row that no document can hold is refused with a reason, never changed.
#pragma once
#include "column/batch.h"
#include "connector/mongodb/document.h"

struct encoder_field {
    const char *name;
    uint32_t name_bytes;
};
struct encoder {
    const struct type *schema;
    struct encoder_field *fields;  // one per column
    const uint32_t *id_columns;
    uint32_t id_count;             // 0: by origin, or a constant where `single_row`
    int own_id;                    // ordinal of a column named `_id`; -1: none
    bool single_row;
    bool leaves_nulls_out;
    const char *const *source_names;  // by index; of rows without a key
    uint32_t source_count;
};

struct refusal {
    const char *condition;         // NULL: not refused; constants
    const char *message;
};

// `e->fields` and id_columns live in the arena.
enum status encoder_init(struct encoder *e, struct arena *a, const struct type *schema) WARN_UNUSED;
// Appends the element `_id` of a row.
enum status encode_id(const struct encoder *e, const struct batch *b, uint32_t row, struct buffer *out, struct refusal *refusal) WARN_UNUSED;
// Appends the document of a row around the bytes of its element `_id`, which may lie in `out`.
enum status encode_document(const struct encoder *e, const struct batch *b, uint32_t row, size_t id_at, size_t id_bytes, struct buffer *out, struct refusal *refusal) WARN_UNUSED;
// An unscaled value as a decimal128. False: it has more than 34 digits that count.
bool encode_decimal(__int128 value, unsigned scale, uint8_t out[16]);
