// SPDX-License-Identifier: Apache-2.0
// element.c: a[i] on arrays (INVALID_ARRAY_INDEX outside), m[k] on maps (NULL where the key is missing), s['field'] on structs.
#include "column/value.h"
#include "expr/coerce.h"
#include "operator.h"

// The chosen elements as a column: gathered from the child, UINT32_MAX for none. `picked` has one entry per row of the batch.
static void gather_elements(const struct column *child, const uint32_t *picked, struct column *out, struct eval *eval) {
    const struct type *t = out->type;
    uint64_t *validity = out->validity;
    if (column_gather(eval->arena, child, picked, eval->row_count, out) != STATUS_OK) {
        eval->status = STATUS_NO_MEMORY;
        return;
    }
    out->type = t;
    if (out->form != COLUMN_FLAT) {
        struct column flat;
        if (column_flatten(eval->arena, out, eval->row_count, &flat) != STATUS_OK) eval->status = STATUS_NO_MEMORY;
        else *out = flat;
    }
    if (!out->validity || !validity) return;
    for (size_t w = 0; w < bitmap_words(eval->row_count); w++) validity[w] &= out->validity[w];
    out->validity = validity;
}

static uint32_t *no_picks(struct eval *eval) {
    uint32_t *picked = eval_alloc(eval, (eval->row_count + 1) * sizeof *picked);
    if (picked) memset(picked, 0xff, (eval->row_count + 1) * sizeof *picked);
    return picked;
}

static void kernel_array_element(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    const int32_t *index = args[1]->values;
    uint32_t *picked = no_picks(eval);
    if (!picked) return;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        int32_t begin = column_list_begin(args[0], row), end = column_list_end(args[0], row);
        if (index[row] >= 0 && index[row] < end - begin) picked[row] = (uint32_t)(begin + index[row]);
        else eval_fail(eval, row, "INVALID_ARRAY_INDEX", "the index is outside of the array; try_element_at gives NULL instead");
    }
    gather_elements(&args[0]->children[0], picked, out, eval);
}

static void kernel_map_value(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    uint32_t *picked = no_picks(eval);
    if (!picked) return;
    const struct column *keys = &args[0]->children[0];
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        int32_t begin = column_list_begin(args[0], row), end = column_list_end(args[0], row);
        for (int32_t k = begin; k < end; k++) {
            if (!value_equal(keys, (uint32_t)k, args[1], row)) continue;
            picked[row] = (uint32_t)k;
            break;
        }
    }
    gather_elements(&args[0]->children[1], picked, out, eval);
}

static enum status bind_struct_field(struct binding *b, struct error *e) {
    const struct column *name;
    if (b->args[1]->type->id != TYPE_STRING) {
        error_set(e, STATUS_INVALID_QUERY, "INVALID_EXTRACT_FIELD_TYPE", "a field of a struct is named by a constant text");
        if (e) e->span = span_known(b->args[1]->span) ? b->args[1]->span : b->span;
        return STATUS_INVALID_QUERY;
    }
    TRY(binding_cast(b, 1, &type_string, e));
    TRY(binding_constant(b, 1, &name, e));
    const struct type *t = b->args[0]->type;
    const char *text = name ? arena_strndup(b->arena, string_view_data(name->values), ((const struct string_view *)name->values)->size_bytes) : "";
    if (!text) return error_no_memory(e);
    int index = type_field_index(t, text, false);
    if (index < 0) {
        error_set(e, STATUS_INVALID_QUERY, index == -1 ? "FIELD_NOT_FOUND" : "AMBIGUOUS_REFERENCE_TO_FIELDS",
                  index == -1 ? "no such struct field `%s`" : "the reference to the field `%s` is ambiguous", text);
        if (e) e->span = b->span;
        return STATUS_INVALID_QUERY;
    }
    struct expr *field = expr_new(b->arena, EXPR_FIELD, t->fields[index].type, b->args[0]->nullable || t->fields[index].nullable, 1);
    if (!field) return error_no_memory(e);
    field->args[0] = b->args[0];
    field->ordinal = (uint32_t)index;
    field->span = b->span;
    b->replacement = field;
    return STATUS_OK;
}

static enum status refuse(struct binding *b, const char *wanted, struct error *e) {
    error_set(e, STATUS_INVALID_QUERY, "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE",
              "cannot resolve \"%s\" due to data type mismatch: the second parameter requires the \"%s\" type, however it has the type \"%s\"", b->name, wanted,
              type_name_sql(b->arena, b->args[1]->type));
    if (e) e->span = span_known(b->args[1]->span) ? b->args[1]->span : b->span;
    return STATUS_INVALID_QUERY;
}

enum status bind_element(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 2, 2, e));
    const struct type *t = b->args[0]->type, *k = b->args[1]->type;
    b->nullable = true;
    if (t->id == TYPE_STRUCT) return bind_struct_field(b, e);
    if (t->id == TYPE_ARRAY) {
        if (!type_is_integral(k) && k->id != TYPE_NULL) return refuse(b, "INTEGRAL", e);
        TRY(binding_cast(b, 1, &type_int, e));
        b->result = t->fields[0].type;
        b->kernel = kernel_array_element;
        return STATUS_OK;
    }
    if (t->id == TYPE_MAP) {
        const struct type *key = t->fields[0].type;
        if (!coerce_common(b->arena, key, k)) return refuse(b, type_name_sql(b->arena, key), e);
        TRY(binding_cast(b, 1, key, e));
        b->result = t->fields[1].type;
        b->kernel = kernel_map_value;
        return STATUS_OK;
    }
    error_set(e, STATUS_INVALID_QUERY, "INVALID_EXTRACT_BASE_FIELD_TYPE", "cannot take an element of a value of the type \"%s\"", type_name_sql(b->arena, t));
    if (e) e->span = span_known(b->args[0]->span) ? b->args[0]->span : b->span;
    return STATUS_INVALID_QUERY;
}
