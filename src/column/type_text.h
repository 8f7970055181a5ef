// SPDX-License-Identifier: Apache-2.0
// type_text.h: types from text: "INT", "DECIMAL(10, 2)", "ARRAY<STRUCT<a: INT>>", "INTERVAL DAY TO SECOND".
#pragma once
#include "column/type.h"

// One type at the start of `text`; *consumed_bytes: where it ended (for the SQL parser). UNSUPPORTED_DATATYPE or PARSE_SYNTAX_ERROR;
// the span is within `text`. Nesting is limited to 100 levels.
enum status type_parse(struct arena *a, const char *text, size_t size_bytes, const struct type **out, size_t *consumed_bytes, struct error *e) WARN_UNUSED;
// A schema: a list of fields "a INT, `b c` STRING NOT NULL COMMENT 'x'", or one type ("struct<a:int>"), or Spark's JSON of a StructType
// ({"type":"struct","fields":[…]}). A list of fields gives a STRUCT. The whole text must be used.
enum status type_parse_schema(struct arena *a, const char *text, size_t size_bytes, const struct type **out, struct error *e) WARN_UNUSED;
// The JSON form alone: a StructType, or any type as Spark writes it ("long", {"type":"array",…}).
enum status type_parse_json(struct arena *a, const char *text, size_t size_bytes, const struct type **out, struct error *e) WARN_UNUSED;
