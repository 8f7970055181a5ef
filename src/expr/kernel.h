// SPDX-License-Identifier: Apache-2.0
// kernel.h: the contract of the code that computes columns.
//
//     void k(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval)
//
// - args[i] and out span the batch's rows; a kernel reads and writes only the given `rows`, and touches nothing else.
// - args are FLAT, unless the function is marked FUNCTION_TAKES_ANY_FORM.
// - Unless marked FUNCTION_HANDLES_NULL, `rows` holds only rows where no argument is NULL, and out's validity is already right:
//   the kernel may only clear bits of rows that turn NULL (out->validity is always allocated, never NULL).
//   With FUNCTION_HANDLES_NULL, `rows` holds all rows and out's validity starts all set.
// - out->values is allocated for fixed-width types and views (16 bytes a row). Bytes of long strings come from eval_alloc. For
//   ARRAY, MAP and STRUCT results the kernel fills children itself (list offsets must ascend over ALL rows: use
//   column_builder, one append for each row 0..row_count-1, NULL for rows not asked for).
// - A row that cannot be computed: eval_fail(…). Its output value is ignored; the kernel goes on with the next row.
// - Memory refused: eval_alloc returns NULL and eval->status is set; the kernel just returns.
// - Kernels are pure: same args, same rows, same eval context → same result, on any thread.
#pragma once
#include "base/clock.h"
#include "column/batch.h"
#include "column/timezone.h"

struct eval;
struct call;
typedef void (*kernel)(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval);

// One row that failed. Condition and message are constants or live in eval's arena; the value stands apart (may be personal).
struct row_error {
    uint16_t row;
    const char *condition;   // with subclass
    const char *message;     // no data in it
    struct string_view value;
    struct span span;
};

// What never changes during a query: read-only, shared by all workers.
struct session {
    struct timezone_set *zones;
    const struct timezone *zone;      // session time zone
    const struct clock *clock;
    uint64_t seed;                    // of the pipeline, for uuid() and rand()
    uint32_t regex_match_limit;       // steps, 0: the library's
    uint32_t json_depth_limit;        // 0: 1000
    uint64_t row_bytes_limit;         // of one record, 0: 16 MiB; longer ones go to the dead-letter table
    uint32_t statement_bytes_limit;   // of one SQL statement, 0: the parser's own
    uint32_t nesting_limit;           // of a SQL expression, 0: the parser's own
    bool map_keys_last_win;           // spark.sql.mapKeyDedupPolicy = LAST_WIN; otherwise a duplicate key is an error
};

struct eval {
    const struct session *session;
    struct arena *arena;              // of the batch being made
    struct memory *memory;
    const struct origin *origin;      // identity of rows, or NULL
    int64_t now_us;                   // the epoch's clock: current_timestamp()
    bool folding;                     // a constant is computed at plan time
    uint32_t row_count;               // of the batch
    const struct call *call;          // the call whose kernel runs: its bind data
    struct span span;                 // of that call
    enum status status;               // STATUS_OK, or why evaluation must end (no memory, internal)
    struct row_error *errors;         // rows that failed, at most one kept per row, in the order met
    uint32_t error_count;
    uint32_t error_capacity;
    uint64_t *failed;                 // bitmap by row; NULL while error_count is 0
    void *scratch;                    // per worker: compiled lambda programs and caches (program.c's business)
};

static inline void *eval_alloc(struct eval *e, size_t size_bytes) {
    void *p = arena_alloc(e->arena, size_bytes);
    if (!p) e->status = STATUS_NO_MEMORY;
    return p;
}
// Marks the row failed (first error of a row wins) and clears nothing else. `message` must be constant or arena-owned.
void eval_fail(struct eval *e, uint32_t row, const char *condition, const char *message);
void eval_fail_value(struct eval *e, uint32_t row, const char *condition, const char *message, const void *value, size_t size_bytes);

static inline void out_set_null(struct column *out, uint32_t row) { bitmap_clear(out->validity, row); }
// Stores a string of any length, copying its bytes into the batch's arena when long.
void out_set_string(struct column *out, uint32_t row, const char *bytes, size_t size_bytes, struct eval *e);
// As above without the copy: bytes live in an argument or in the arena.
static inline void out_set_view(struct column *out, uint32_t row, const char *bytes, size_t size_bytes) {
    ((struct string_view *)out->values)[row] = string_view_of(bytes, size_bytes);
}
