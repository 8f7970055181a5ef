// SPDX-License-Identifier: Apache-2.0
// arithmetic.h: kernels of + − * / div % pmod and unary minus for each numeric type; operator_bind.c chooses.
#pragma once
#include "expr/kernel.h"

enum arithmetic { ADD, SUBTRACT, MULTIPLY, DIVIDE, INTEGRAL_DIVIDE, REMAINDER, POSITIVE_REMAINDER, ARITHMETIC_COUNT };

// The kernel for two arguments of the same type id (decimals of any precision and scale); NULL: there is none.
kernel arithmetic_kernel(enum arithmetic op, enum type_id type);
kernel negate_kernel(enum type_id type);
kernel absolute_kernel(enum type_id type);
// BIGINT, and a constant divisor of at least 2: is the remainder zero?
void kernel_is_multiple(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval);
kernel decimal_kernel(enum arithmetic op);  // arithmetic_decimal.c
