// SPDX-License-Identifier: Apache-2.0
// aggregate_value.h: what the aggregate functions share: values of any type kept in a state, and columns read in chunks.
//
// A held value lives inside a state (32 bytes, two fit). Fixed-width values stand in it; text is copied to a block of the
// state's memory; nested values are kept in leat's own encoding (value_write). A zeroed held value holds nothing.
//
// Chunks: a loop over rows that must not care for the width of an integer, a selection or a constant asks for up to CHUNK_ROWS
// values at a time; where the column already has them side by side, it gets the column's own memory.
#pragma once
#include "column/value.h"
#include "expr/aggregate.h"

enum held_state { HELD_NONE, HELD_NULL, HELD_VALUE };

struct held_value {
    union {
        uint8_t fixed[16];            // fixed-width types: type_width bytes
        struct {
            uint8_t *bytes;           // from the state's memory; NULL while capacity_bytes is 0
            uint32_t size_bytes;      // ≤ capacity_bytes
            uint32_t capacity_bytes;
        } owned;                      // STRING, BINARY: the bytes; nested: their encoding
    };
    uint8_t state;                    // enum held_state
    uint8_t unused[15];               // keeps a state's saved bytes defined
};

// Remembers a row's value, NULL included.
enum status held_set(struct held_value *h, const struct column *c, uint32_t row, struct memory *memory) WARN_UNUSED;
enum status held_copy(struct held_value *to, const struct held_value *from, const struct type *type, struct memory *memory) WARN_UNUSED;
// Order of the held value against a valid row of a column of the same type. Held must be HELD_VALUE. Nested values are decoded into `arena`.
int held_compare(const struct held_value *h, const struct column *c, uint32_t row, struct arena *arena);
// Result column: row i is the held value at `offset` in states[i]; nothing held gives NULL. Bytes are copied into eval's arena.
void held_finish(const void *const *states, size_t offset, uint32_t count, struct column *out, struct aggregate_context *c);
enum status held_save(const struct held_value *h, const struct type *type, struct buffer *out) WARN_UNUSED;
bool held_load(struct held_value *h, const struct type *type, struct reader *in, struct memory *memory);
void held_release(struct held_value *h, const struct type *type, struct memory *memory);

enum { CHUNK_ROWS = 256 };

// Values of rows begin..begin + count of `rows`, widened: any integer, BOOLEAN, DATE, TIMESTAMP, ANSI interval.
const int64_t *chunk_int64(const struct column *c, const struct rows *rows, uint32_t begin, uint32_t count, int64_t *scratch);
// FLOAT and DOUBLE.
const double *chunk_double(const struct column *c, const struct rows *rows, uint32_t begin, uint32_t count, double *scratch);

static inline uint32_t chunk_count(const struct rows *rows, uint32_t begin) {
    return rows->count - begin < CHUNK_ROWS ? rows->count - begin : (uint32_t)CHUNK_ROWS;
}
static inline int weight_at(const int8_t *weights, const struct rows *rows, uint32_t i) {
    return weights ? weights[rows_at(rows, i)] : 1;
}
// No grouping, or one group for the whole batch: loops may keep the state in registers.
bool states_are_one(void *const *states, uint32_t count);

// Grows *block to hold needed_bytes, at least doubling. The sized pair of memory_alloc.
enum status state_reserve(struct memory *memory, uint8_t **block, uint32_t *capacity_bytes, size_t needed_bytes) WARN_UNUSED;

// Types an aggregate's binder asks for again and again.
// Sets result and "nullable": an aggregate over no row is NULL.
static inline enum status binding_nullable_result(struct binding *b, const struct type *result, struct error *e) {
    if (!result) return error_no_memory(e);
    b->result = result;
    b->nullable = true;
    return STATUS_OK;
}
// A signature whose result is nullable whatever its arguments.
enum status aggregate_signature(struct binding *b, const char *signature, struct error *e) WARN_UNUSED;
// DATATYPE_MISMATCH.INVALID_ORDERING_TYPE unless the argument's values can be compared.
enum status aggregate_require_order(const struct binding *b, uint32_t index, struct error *e) WARN_UNUSED;
