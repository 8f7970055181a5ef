// SPDX-License-Identifier: Apache-2.0
// functions.h: every table of scalar functions. A table is `const struct function_table NAME_functions` in expr/NAME.c (or a file of its
// own); it is listed here and in functions.c, nowhere else.
#pragma once
#include "expr/function.h"

extern const struct function_table operator_functions;
extern const struct function_table conditional_functions;
extern const struct function_table math_functions;
extern const struct function_table bit_functions;
extern const struct function_table system_functions;
