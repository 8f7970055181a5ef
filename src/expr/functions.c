// SPDX-License-Identifier: Apache-2.0
// functions.c: the list of the tables of scalar functions. Where two tables have one name, the first wins.
#include "functions.h"

const struct function_table *const function_tables[] = {
    &operator_functions, &conditional_functions, &math_functions, &bit_functions, &system_functions, &string_functions, &case_functions,
    &search_functions, &pad_functions, &format_functions, &number_functions, &picture_functions, &base64_functions, &misc_functions, &regex_functions,
    &url_functions, &hash_functions, &array_functions, &array_change_functions, &array_order_functions, &array_search_functions,
    &array_set_functions, &cast_functions, &datetime_field_functions, &datetime_format_functions, &datetime_shift_functions,
    &datetime_make_functions, &datetime_unix_functions,
    &sequence_functions, &struct_functions, &map_functions, &map_text_functions, &lambda_functions, &map_lambda_functions,
    &json_functions,
    NULL,
};
