// SPDX-License-Identifier: Apache-2.0
// array_kernels.h: kernels over arrays that functions shared with strings dispatch to: concat and reverse. They stand in array_kernels.c.
#pragma once
#include "expr/kernel.h"

// concat of arrays of one type; the call's data is a struct variadic (string_text.h) with the number of arguments.
void kernel_array_concat(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval);
void kernel_array_reverse(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval);
