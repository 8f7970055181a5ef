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
extern const struct function_table string_functions;
extern const struct function_table case_functions;
extern const struct function_table search_functions;
extern const struct function_table pad_functions;
extern const struct function_table format_functions;
extern const struct function_table number_functions;
extern const struct function_table picture_functions;
extern const struct function_table base64_functions;
extern const struct function_table misc_functions;
extern const struct function_table regex_functions;
extern const struct function_table url_functions;
extern const struct function_table hash_functions;
extern const struct function_table array_functions;
extern const struct function_table array_change_functions;
extern const struct function_table array_order_functions;
extern const struct function_table array_search_functions;
extern const struct function_table array_set_functions;
extern const struct function_table sequence_functions;
extern const struct function_table struct_functions;
extern const struct function_table map_functions;
extern const struct function_table map_text_functions;
extern const struct function_table lambda_functions;
extern const struct function_table map_lambda_functions;
extern const struct function_table cast_functions;
extern const struct function_table datetime_field_functions;
extern const struct function_table datetime_format_functions;
extern const struct function_table datetime_make_functions;
extern const struct function_table datetime_shift_functions;
extern const struct function_table datetime_unix_functions;
extern const struct function_table json_functions;
