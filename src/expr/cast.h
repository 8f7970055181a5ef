// SPDX-License-Identifier: Apache-2.0
// cast.h: CAST between any two types that coerce.h allows. ANSI: a value that does not fit fails its row (CAST_INVALID_INPUT,
// CAST_OVERFLOW, NUMERIC_VALUE_OUT_OF_RANGE…); TRY: it becomes NULL.
#pragma once
#include "expr/kernel.h"
#include "expr/expr.h"

void cast_column(const struct column *from, const struct type *to, enum cast_mode mode, struct column *out, const struct rows *rows, struct eval *eval);
