// SPDX-License-Identifier: Apache-2.0
// array_kernels.c: concat and reverse of arrays, see array_kernels.h. Both build their lists row by row; elements are shared, not copied.
#include "expr/array_kernels.h"
#include "expr/string_text.h"

static void lists_until(struct column_builder *b, uint32_t *next_row, uint32_t row) {
    for (; *next_row < row; (*next_row)++) column_builder_append_null(b);
}

void kernel_array_concat(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    uint32_t arg_count = variadic_count(eval), next_row = 0;
    struct column_builder builder;
    column_builder_init(&builder, eval->arena, out->type);
    for (uint32_t i = 0; i < rows->count; i++, next_row++) {
        uint32_t row = rows_at(rows, i);
        lists_until(&builder, &next_row, row);
        for (uint32_t a = 0; a < arg_count; a++) {
            for (int32_t item = column_list_begin(args[a], row); item < column_list_end(args[a], row); item++)
                column_builder_append_from(&builder.children[0], &args[a]->children[0], (uint32_t)item);
        }
        column_builder_end_list(&builder);
    }
    lists_until(&builder, &next_row, eval->row_count);
    if (column_builder_finish(&builder, out) != STATUS_OK) eval->status = STATUS_NO_MEMORY;
}

void kernel_array_reverse(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    uint32_t next_row = 0;
    struct column_builder builder;
    column_builder_init(&builder, eval->arena, out->type);
    for (uint32_t i = 0; i < rows->count; i++, next_row++) {
        uint32_t row = rows_at(rows, i);
        lists_until(&builder, &next_row, row);
        for (int32_t item = column_list_end(args[0], row); item-- > column_list_begin(args[0], row);)
            column_builder_append_from(&builder.children[0], &args[0]->children[0], (uint32_t)item);
        column_builder_end_list(&builder);
    }
    lists_until(&builder, &next_row, eval->row_count);
    if (column_builder_finish(&builder, out) != STATUS_OK) eval->status = STATUS_NO_MEMORY;
}
