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

struct json_reader {
    struct memory *memory;
    struct arena arena;            // nodes and options: lives as long as the reader
    struct arena line_arena;       // json_read_line's columns, until the line is in the builder
    struct arena *output;          // of the read under way
    struct json_options options;   // texts are copies
    struct json_cursor cursor;
    struct json_node root;
    struct json_node *corrupt;     // wanted corrupt record column, or NULL
    uint64_t stamp;                // objects begun, ever
    uint32_t row_count;            // rows of the root so far (json_rows_add)
    bool exact_text;               // a STRING takes the text of what is no string as it stands (json source); else in Jackson's form
    bool zone_is_utc;
    struct buffer text;            // decoded or copied text of one value
    char last_date[10];            // "2024-01-31" and its days: neighbours mostly share the date
    int64_t last_date_us;
};

// Reads the scalar at the cursor (on its first byte) into a node that is no STRUCT, ARRAY or MAP.
enum json_read json_leaf_read(struct json_reader *r, struct json_node *n, uint32_t slot);

// Appends the value at the cursor in Jackson's compact form: no blanks, fractions as Java prints doubles, strings escaped anew.
// *valid: it was JSON. Goes past it.
enum status json_copy_value(struct json_cursor *c, struct buffer *out, bool *valid) WARN_UNUSED;
// The number in that form; at most JSON_NUMBER_TEXT_MAX bytes, unless it is an integer: then its own text counts.
enum status json_copy_number(const struct json_number *number, struct buffer *out) WARN_UNUSED;
// The value of a number as a DOUBLE, correctly rounded.
double json_number_double(const struct json_number *number);
