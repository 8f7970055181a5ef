// SPDX-License-Identifier: Apache-2.0
// cast.c: CAST: finds the file that knows the pair of types.
//
// `rows` holds only rows where the argument is not NULL; out is FLAT, its validity already right. A row that does not fit fails, or turns
// NULL under TRY, and the loop goes on.
#include "expr/cast.h"
#include "cast_rows.h"

void cast_fail(const struct cast *c, uint32_t row, const char *condition, const char *message) {
    if (c->is_try) out_set_null(c->out, row);
    else eval_fail(c->eval, row, condition, message);
}

void cast_fail_text(const struct cast *c, uint32_t row, const char *condition, const struct string_view *text) {
    if (c->is_try) out_set_null(c->out, row);
    else eval_fail_value(c->eval, row, condition, "the text cannot be read as the type it is cast to", string_view_data(text), text->size_bytes);
}

// The same bytes under another type: STRING ⇄ BINARY, a DECIMAL or interval whose units alone differ.
static void copy_rows(const struct cast *c) {
    size_t width = type_width(c->to);
    const char *from = c->from->values;
    char *to = c->out->values;
    for (uint32_t i = 0; i < c->rows->count; i++) {
        size_t at = rows_at(c->rows, i) * width;
        memcpy(to + at, from + at, width);
    }
}

void cast_column(const struct column *from, const struct type *to, enum cast_mode mode, struct column *out, const struct rows *rows, struct eval *eval) {
    struct cast c = {.from = from, .to = to, .is_try = mode == CAST_TRY, .out = out, .rows = rows, .eval = eval};
    enum type_id f = from->type->id, t = to->id;
    if (f == TYPE_NULL) {
        for (uint32_t i = 0; i < rows->count; i++) out_set_null(out, rows_at(rows, i));
        return;
    }
    if ((f == TYPE_STRING || f == TYPE_BINARY) && (t == TYPE_STRING || t == TYPE_BINARY)) {
        copy_rows(&c);
        return;
    }
    if (t == TYPE_STRING) {
        cast_to_string(&c);
        return;
    }
    if (type_is_nested(from->type)) {
        cast_nested(&c);
        return;
    }
    bool done = f == TYPE_STRING ? cast_from_string(&c) : cast_interval(&c) || cast_time(&c) || (t == TYPE_DECIMAL ? cast_to_decimal(&c) : cast_from_number(&c));
    if (done) return;
    for (uint32_t i = 0; i < rows->count; i++) eval_fail(eval, rows_at(rows, i), "INTERNAL_ERROR", "a cast between these types is not known");
}
