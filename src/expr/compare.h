// SPDX-License-Identifier: Apache-2.0
// compare.h: kernels of = <> < <= > >= and <=> for every orderable type; NaN equals NaN and is greatest, −0.0 equals 0.0.
#pragma once
#include "column/column.h"
#include "expr/kernel.h"

enum comparison { COMPARE_EQUAL, COMPARE_NOT_EQUAL, COMPARE_LESS, COMPARE_LESS_EQUAL, COMPARE_GREATER, COMPARE_GREATER_EQUAL, COMPARISON_COUNT };

// The kernel for two arguments of one type, FLAT or CONSTANT.
kernel comparison_kernel(enum comparison op, const struct type *t);
// Handles NULL, any form.
void kernel_null_safe_equal(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval);
