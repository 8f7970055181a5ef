// SPDX-License-Identifier: Apache-2.0
// reader.h: what the parts of the JSON reader share: the reader itself, how the reading of one value ends, and the copying of values.
#pragma once
#include "json/scan.h"
#include "json/tree.h"

// How one value was read. From MALFORMED on the document cannot be read further.
enum json_read {
    JSON_READ_OK,
    JSON_READ_PARTIAL,    // stored, but something within did not fit
    JSON_READ_BAD,        // read past, nothing stored: it does not fit the type
    JSON_READ_MALFORMED,  // not JSON
    JSON_READ_NO_MEMORY,
};

// What outline.h learns.
enum { JSON_OUTLINE_BYTES = 64, JSON_OUTLINE_STEPS = 160, JSON_OUTLINE_STRUCTS = 32, JSON_OUTLINES = 4 };
enum json_outline_action {
    JSON_OUTLINE_SKIP,    // a value nobody wants
    JSON_OUTLINE_STRING,  // of a wanted STRING
    JSON_OUTLINE_LEAF,    // of a wanted scalar of another type
    JSON_OUTLINE_VALUE,   // any other that is wanted
    JSON_OUTLINE_TEXT,    // none: the text goes on in the next step
    JSON_OUTLINE_END,
};
struct json_outline_step {
    char text[JSON_OUTLINE_BYTES];  // padded with zeros
    uint64_t mask;                  // bit i: byte i belongs to the text
    struct json_node *node;         // STRING, VALUE: where the value goes
    uint16_t depth;                 // containers around the value
    uint8_t size_bytes;
    uint8_t action;
};
struct json_outline {
    struct json_outline_step *steps;                  // JSON_OUTLINE_STEPS of them
    uint32_t step_count;
    uint32_t struct_count;
    struct json_node *structs[JSON_OUTLINE_STRUCTS];  // wanted ones that are there
};
struct json_outlines {
    struct json_outline *kept[JSON_OUTLINES];  // the last followed first
    uint32_t count;
    uint32_t learnt;                           // attempts in this run of documents
    uint32_t documents;                        // tried in this run
    uint32_t strayed;                          // of those, followed none
};

struct json_reader {
    struct memory *memory;
    struct arena arena;            // nodes and options: lives as long as the reader
    struct arena line_arena;       // json_read_line's columns, until the line is in the builder
    struct arena *output;          // of the read under way
    struct json_options options;   // texts are copies
    struct json_cursor cursor;
    struct json_node root;
    struct json_node *corrupt;     // wanted corrupt record column, or NULL
    struct json_outlines outlines;
    uint64_t stamp;                // objects begun, ever
    uint32_t row_count;            // rows of the root so far (json_rows_add)
    bool exact_text;               // a STRING takes the text of what is no string as it stands (json source); else in Jackson's form
    bool zone_is_utc;
    struct buffer text;            // decoded or copied text of one value
    char last_date[10];            // "2024-01-31" and its days: neighbours mostly share the date
    int64_t last_date_us;
};

// Reads the value at the cursor (on its first byte) into a node.
enum json_read json_read_value(struct json_reader *r, struct json_node *n, uint32_t slot);
// Reads the scalar at the cursor (on its first byte) into a node that is no STRUCT, ARRAY or MAP.
enum json_read json_leaf_read(struct json_reader *r, struct json_node *n, uint32_t slot);
// The decoded bytes of a string into a node of a scalar type other than STRING and NULL.
enum json_read json_leaf_of_text(struct json_reader *r, struct json_node *n, uint32_t slot, const char *s, size_t size_bytes);
// As string_view_of, but takes short strings with one wide load where the document allows it.
static inline void json_store_view(const struct json_cursor *c, struct json_node *n, uint32_t slot, const char *bytes, size_t size_bytes) {
    struct string_view *view = (struct string_view *)n->values + slot;
    if (size_bytes <= STRING_INLINE_MAX && c->end - bytes >= 16) {
        uint64_t low, rest;
        memcpy(&low, bytes, 8);
        memcpy(&rest, bytes + 8, 8);
        low = size_bytes >= 8 ? low : low & ((UINT64_C(1) << size_bytes * 8) - 1);
        rest = size_bytes <= 8 ? 0 : rest & ((UINT64_C(1) << (size_bytes - 8) * 8) - 1);
        view->size_bytes = (uint32_t)size_bytes;
        memcpy(view->inlined, &low, 8);
        memcpy(view->inlined + 8, &rest, 4);
    } else {
        *view = string_view_of(bytes, size_bytes);
    }
    bitmap_set(n->validity, slot);
}

// Appends the value at the cursor in Jackson's compact form: no blanks, fractions as Java prints doubles, strings escaped anew.
// *valid: it was JSON. Goes past it.
enum status json_copy_value(struct json_cursor *c, struct buffer *out, bool *valid) WARN_UNUSED;
// The number in that form; at most JSON_NUMBER_TEXT_MAX bytes, unless it is an integer: then its own text counts.
enum status json_copy_number(const struct json_number *number, struct buffer *out) WARN_UNUSED;
// The value of a number as a DOUBLE, correctly rounded.
double json_number_double(const struct json_number *number);
