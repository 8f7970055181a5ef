// SPDX-License-Identifier: Apache-2.0
// json.h: JSON text to columns and back, with Spark's meaning of from_json and to_json.
//
// The reader is strict about JSON's grammar but for what Spark's default Jackson reader allows (single quotes; numbers NaN and
// Infinity where a FLOAT or DOUBLE is wanted), and turns each value into the wanted Spark type or NULL (shared facts: from_json
// PERMISSIVE). Only wanted leaves become columns. Strings without escapes are views into the document.
#pragma once
#include "base/arena.h"
#include "column/batch.h"
#include "column/timezone.h"

enum json_mode { JSON_PERMISSIVE, JSON_FAILFAST, JSON_DROP_MALFORMED };

// Options of from_json and of the json source, after Spark's names. Zeroed: Spark's defaults (call json_options_default).
struct json_options {
    enum json_mode mode;
    const char *corrupt_record_column;      // "_corrupt_record"; filled if the schema has such a STRING field at its top
    const char *timestamp_format;           // NULL: Spark's default forms
    const char *timestamp_ntz_format;
    const char *date_format;
    bool primitives_as_string;
    bool prefers_decimal;
    bool allow_comments;
    bool allow_unquoted_field_names;
    bool allow_single_quotes;               // default true
    bool allow_numeric_leading_zeros;
    bool allow_non_numeric_numbers;         // default true
    bool allow_backslash_escaping_any;
    bool allow_unquoted_control_characters;
    uint32_t depth_limit;                   // 0: 1000
    const struct timezone *zone;            // session's
    // Parses text with a Spark datetime pattern (expr/ owns patterns; json/ is below it). NULL: patterns are refused.
    bool (*parse_pattern)(void *context, const char *pattern, const char *text, size_t size_bytes, const struct type *type, int64_t *out);
    // Parses text as CAST(text AS type) does for INTERVAL_YM (months) and INTERVAL_DT (µs). NULL: schemas with intervals are refused.
    bool (*parse_interval)(void *context, const char *text, size_t size_bytes, const struct type *type, int64_t *out);
    void *parse_context;
};
void json_options_default(struct json_options *o);

struct json_reader;
// A reader of documents into rows of `schema` (STRUCT, ARRAY or MAP). `wanted`: one bit per leaf of the schema in preorder (a leaf is a
// field that is not a STRUCT; an ARRAY or MAP is one leaf); NULL: all. Not thread-safe: one per worker. Learns shapes as it reads.
// STATUS_UNSUPPORTED: a map's key is no STRING, a calendar INTERVAL, a pattern or an interval without its callback.
enum status json_reader_new(struct memory *memory, const struct type *schema, const struct json_options *options, const uint64_t *wanted,
                            struct json_reader **out) WARN_UNUSED;
void json_reader_free(struct json_reader *r);
uint32_t json_leaf_count(const struct type *schema);

enum json_outcome {
    JSON_OK,
    JSON_EMPTY,       // blank text: from_json gives NULL
    JSON_MALFORMED,   // not JSON, or a value that does not fit: row of what could be read; the corrupt column is filled
    JSON_NO_MEMORY,
};
// Reads documents[row] for the given rows into *out (a column of `schema`, FLAT, row_count rows; out's memory from `a`; views point into
// the documents, which must outlive it). outcomes[row] is set for those rows (may be NULL). Rows not given are NULL.
enum status json_read_column(struct json_reader *r, const struct column *documents, const struct rows *rows, struct arena *a,
                             struct column *out, uint8_t *outcomes) WARN_UNUSED;
// For the json source: one document per line is one row, a line with an array is several. Appends to the builder of `schema` (STRUCT).
// *row_count: how many rows were appended.
enum status json_read_line(struct json_reader *r, const char *line, size_t size_bytes, struct column_builder *out, uint32_t *row_count,
                           enum json_outcome *outcome) WARN_UNUSED;
// The fast form of json_read_line: rows straight into columns. begin; any number of add (one line each; lines must outlive the columns,
// as strings are views into them); finish gives all rows as one FLAT column of the schema in begin's arena. Rows may pass BATCH_ROWS
// when lines hold arrays: the caller stops adding in time. After an error status the reader can only begin anew, or be freed.
enum status json_rows_begin(struct json_reader *r, struct arena *a, uint32_t row_capacity) WARN_UNUSED;
enum status json_rows_add(struct json_reader *r, const char *line, size_t size_bytes, uint32_t *row_count, enum json_outcome *outcome) WARN_UNUSED;
enum status json_rows_finish(struct json_reader *r, struct column *out) WARN_UNUSED;
// Strict check of one document by RFC 8259 alone: true if valid. error_offset (may be NULL): where it is not.
bool json_valid(const char *text, size_t size_bytes, uint32_t depth_limit, size_t *error_offset);
// Merges the type of one document into *schema (NULL at first), by Spark's inference rules (BIGINT, DOUBLE, STRING, ARRAY, STRUCT with fields
// sorted by name; conflicts → STRING).
enum status json_infer(struct arena *a, const char *text, size_t size_bytes, const struct json_options *options, const struct type **schema,
                       bool *malformed) WARN_UNUSED;
// Ends an inference: *schema (NULL: nothing was seen) becomes what Spark would report: NULL types turn STRING, empty structs within are
// dropped. `rows`: the documents are rows of a table, so an array at the top stands for its elements, and what is no STRUCT gives an
// empty STRUCT (the caller adds the corrupt record column).
enum status json_infer_finish(struct arena *a, bool rows, const struct type **schema) WARN_UNUSED;
// get_json_object: the text at a path ($.a.b[0], $['a'], [*]) as Spark prints it. False: no such thing, or not JSON, or a bad path.
enum status json_path(const char *text, size_t size_bytes, const char *path, size_t path_bytes, struct buffer *out, bool *found) WARN_UNUSED;

// to_json: one row of a column as compact JSON, NULL fields left out unless keep_nulls; timestamps 2024-01-01T00:00:00.500Z in `zone`.
enum status json_write_value(const struct column *c, uint32_t row, const struct timezone *zone, bool keep_nulls, struct buffer *out) WARN_UNUSED;
// The same with all of to_json's options. Zeroed: the defaults.
struct json_write_options {
    const struct timezone *zone;       // NULL: UTC
    bool keep_nulls;                   // ignoreNullFields = false
    bool pretty;                       // over several lines, as Jackson indents
    const char *timestamp_format, *timestamp_ntz_format, *date_format;  // NULL: the default forms
    // Appends a value's text by a Spark datetime pattern; must be there if a format is.
    enum status (*print_pattern)(void *context, const char *pattern, int64_t value, const struct type *type, struct buffer *out);
    void *print_context;
};
enum status json_write(const struct column *c, uint32_t row, const struct json_write_options *options, struct buffer *out) WARN_UNUSED;
enum status json_write_string(const char *bytes, size_t size_bytes, struct buffer *out) WARN_UNUSED;  // with quotes and escapes
