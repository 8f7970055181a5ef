// SPDX-License-Identifier: Apache-2.0
// program.h: expressions compiled to a flat array of steps.
//
// Steps stand in evaluation order; common sub-expressions are computed once (unless they draw). Steps under CASE, AND, OR, COALESCE and
// TRY run for narrowed rows. A program is read-only and shared by workers; what moves is in eval and in the caller's columns.
#pragma once
#include "expr/expr.h"
#include "expr/kernel.h"

struct program;

// Compiles expression_count expressions over one input. `wanted` (bitmap, or NULL: all): outputs nobody reads become constant NULLs.
// The program lives in the arena.
enum status program_compile(struct arena *a, const struct session *session, struct expr *const *expressions, uint32_t expression_count,
                            const uint64_t *wanted, const struct program **out, struct error *e) WARN_UNUSED;

// Evaluates for `rows` over the columns of one batch of row_count rows. out[expression_count] is filled: columns in eval->arena or shared
// with the input. Rows that failed are in eval->errors. Returns eval->status.
enum status program_run(const struct program *p, const struct column *input, uint32_t row_count, const struct rows *rows,
                        struct eval *eval, struct column *out) WARN_UNUSED;

// Evaluates a constant expression at plan time: *out is a CONSTANT column in the arena. A failing row is the error.
enum status program_fold(struct arena *a, const struct session *session, struct expr *expression, const struct column **out, struct error *e) WARN_UNUSED;

// Prepares an eval for a batch: clears errors and status. Everything else the caller sets.
void eval_begin(struct eval *e, const struct session *session, struct memory *memory, struct arena *arena, const struct origin *origin,
                int64_t now_us, uint32_t row_count);

// For kernels of higher-order functions: runs the lambda that stands at argument `index` of the running call over `row_count` elements.
// parameters: the lambda's, columns of row_count rows (any number of rows: taken in chunks inside). outer_rows[i]: the row of the
// batch that element i belongs to (columns of the batch that the body uses are gathered by it). *out has row_count rows, FLAT.
// Errors of elements are charged to their outer row.
enum status lambda_run(struct eval *eval, uint32_t index, const struct column *parameters, uint32_t parameter_count, uint32_t row_count,
                       const uint16_t *outer_rows, struct column *out) WARN_UNUSED;
