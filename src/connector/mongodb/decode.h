// SPDX-License-Identifier: Apache-2.0
// decode.h: documents as rows. A field that is not there, or whose value is not of the column's type and cannot be taken for it without loss, is
// NULL: a collection promises no types. What is taken: any number for a number it fits, any scalar for a STRING (an ObjectId as 24 hexadecimal
// digits), a document for a STRUCT, or for a MAP with STRING keys. A document or array for a STRING is its JSON text.
#pragma once
#include "column/column.h"
#include "connector/mongodb/document.h"

// Appends a value (NULL: there is none) to a builder of any type. STATUS_NO_MEMORY only.
enum status decode_value(const struct document_value *v, struct column_builder *out) WARN_UNUSED;
// Appends the fields of a document to builders, one per field of `schema`; `wanted` bitmap by ordinal, NULL: all. False in *is_document: no BSON.
enum status decode_row(const uint8_t *bytes, size_t size_bytes, const struct type *schema, const uint64_t *wanted, struct document_value *found, bool *has,
                       struct column_builder *out, bool *is_document) WARN_UNUSED;
// Unscaled value and exponent of a decimal128. False: not a number, or infinite.
bool decode_decimal(const uint8_t bytes[16], __int128 *coefficient, int *exponent);
// Merges the type of one document into *schema (NULL at first): columns in the order met; numbers widen, what does not fit together is STRING.
enum status infer_document(struct arena *a, const uint8_t *bytes, size_t size_bytes, const struct type **schema) WARN_UNUSED;
// What was only ever null becomes STRING.
enum status infer_finish(struct arena *a, const struct type **schema) WARN_UNUSED;
