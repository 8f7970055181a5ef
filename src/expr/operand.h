// SPDX-License-Identifier: Apache-2.0
// operand.h: what the numeric kernels share: an argument that is FLAT or CONSTANT, and failing a row, or making it NULL in the try_ form.
#pragma once
#include "expr/function.h"

// Bind data of a try_ function's call: rows that fail turn NULL instead.
extern const char arithmetic_is_try[];

// Fails the row of the running call, or makes it NULL where the call is a try_.
static inline void operand_fail(struct column *out, uint32_t row, const char *condition, const char *message, struct eval *eval) {
    if (eval->call && eval->call->data == arithmetic_is_try) out_set_null(out, row);
    else eval_fail(eval, row, condition, message);
}

// Index of a row in an argument that is FLAT or CONSTANT.
static inline uint32_t operand_index(const struct column *c, uint32_t row) { return c->form == COLUMN_CONSTANT ? 0 : row; }
