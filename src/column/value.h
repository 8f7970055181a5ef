// SPDX-License-Identifier: Apache-2.0
// value.h: what can be done with one row of a column whatever its type: hash, compare, print, store.
//
// Equality is Spark's for grouping: NULL = NULL, NaN = NaN, −0.0 = 0.0. Order is Spark's: NaN greatest, strings bytewise,
// arrays and structs element by element. NULL's place is the caller's business in compare (both sides must be valid).
#pragma once
#include "base/coding.h"
#include "column/batch.h"

// hashes[row] = mix(hashes[row], value) for the given rows; for grouping and joins inside leat (not Spark's hash()).
void value_hash_column(const struct column *c, const struct rows *rows, uint64_t *hashes);
bool value_equal(const struct column *a, uint32_t a_row, const struct column *b, uint32_t b_row);    // NULL equals NULL
int value_compare(const struct column *a, uint32_t a_row, const struct column *b, uint32_t b_row);  // both valid

// As CAST(x AS STRING) of Spark: {1, q}, [1, null], {k -> 1}, 1.0E7. Timestamps in the given zone. NULL prints "null" inside
// nested values, as a cast does; at the top it prints the same, but the caller decides. Binary prints its bytes.
struct timezone;
enum status value_print(const struct column *c, uint32_t row, const struct timezone *zone, struct buffer *out) WARN_UNUSED;
// As Dataset.show does: as above, but NULL is "NULL" and binary is [01 02].
enum status value_print_show(const struct column *c, uint32_t row, const struct timezone *zone, struct buffer *out) WARN_UNUSED;

// A row's value in leat's own encoding (coding.h), NULL included: for state, log and keys. Equal values (as above) give equal
// bytes, so an encoded key is its identity.
enum status value_write(const struct column *c, uint32_t row, struct buffer *out) WARN_UNUSED;
// Appends one value to the builder; turns the reader `failed` on bytes that do not fit the type.
void value_read(struct reader *r, struct column_builder *out);
