// SPDX-License-Identifier: Apache-2.0
// infer.c: the columns of a collection, from documents of it. See decode.h.
#include "column/decimal.h"
#include "connector/mongodb/decode.h"

enum { FIELDS_MAX = 5000, DEPTH_MAX = DOCUMENT_DEPTH_MAX };

static const struct type *merge(struct arena *a, const struct type *x, const struct type *y);
static const struct type *type_of(struct arena *a, const struct document_value *v, unsigned depth);

// Enough digits before and behind the point for both, as far as 38 go.
static const struct type *merge_decimals(struct arena *a, unsigned x_whole, unsigned x_scale, unsigned y_whole, unsigned y_scale) {
    unsigned whole = x_whole > y_whole ? x_whole : y_whole, scale = x_scale > y_scale ? x_scale : y_scale;
    if (whole > DECIMAL_MAX_PRECISION) whole = DECIMAL_MAX_PRECISION;
    if (whole + scale > DECIMAL_MAX_PRECISION) scale = DECIMAL_MAX_PRECISION - whole;
    return type_decimal(a, (uint8_t)(whole + scale ? whole + scale : 1), (uint8_t)scale);
}

static void digits_of(const struct type *t, unsigned *whole, unsigned *scale) {
    *whole = t->id == TYPE_DECIMAL ? (unsigned)t->precision - t->scale : t->id == TYPE_INT ? 10 : 19;
    *scale = t->id == TYPE_DECIMAL ? t->scale : 0;
}

static const struct type *merge_structs(struct arena *a, const struct type *x, const struct type *y) {
    struct field *fields = arena_alloc_array(a, (size_t)x->field_count + y->field_count + 1, sizeof *fields);
    uint32_t count = x->field_count;
    if (!fields) return NULL;
    if (count) memcpy(fields, x->fields, count * sizeof *fields);
    for (uint32_t i = 0; i < y->field_count; i++) {
        uint32_t at = 0;
        while (at < x->field_count && strcmp(x->fields[at].name, y->fields[i].name) != 0) at++;
        if (at == x->field_count) {
            if (count < FIELDS_MAX) fields[count++] = y->fields[i];
        } else if (!(fields[at].type = merge(a, x->fields[at].type, y->fields[i].type))) {
            return NULL;
        }
    }
    return type_struct(a, fields, count);
}

static const struct type *merge(struct arena *a, const struct type *x, const struct type *y) {
    if (x == y || y->id == TYPE_NULL || type_equal(x, y)) return x;
    if (x->id == TYPE_NULL) return y;
    if (x->id == TYPE_STRUCT && y->id == TYPE_STRUCT) return merge_structs(a, x, y);
    if (x->id == TYPE_ARRAY && y->id == TYPE_ARRAY) {
        const struct type *element = merge(a, x->fields[0].type, y->fields[0].type);
        return element ? type_array(a, element, true) : NULL;
    }
    if (!type_is_numeric(x) || !type_is_numeric(y)) return &type_string;
    if (x->id == TYPE_DOUBLE || y->id == TYPE_DOUBLE) return &type_double;
    if (x->id != TYPE_DECIMAL && y->id != TYPE_DECIMAL) return &type_bigint;
    unsigned x_whole, x_scale, y_whole, y_scale;
    digits_of(x, &x_whole, &x_scale);
    digits_of(y, &y_whole, &y_scale);
    return merge_decimals(a, x_whole, x_scale, y_whole, y_scale);
}

static const struct type *type_of_decimal(struct arena *a, const struct document_value *v) {
    __int128 coefficient;
    int exponent;
    if (!decode_decimal(v->bytes, &coefficient, &exponent)) return &type_null;
    char text[DECIMAL_TEXT_MAX];
    int digits = (int)decimal_print(coefficient < 0 ? -coefficient : coefficient, 0, text);
    int whole = digits + exponent, scale = exponent < 0 ? -exponent : 0;
    return merge_decimals(a, whole > 1 ? (unsigned)whole : 1, scale < DECIMAL_MAX_PRECISION ? (unsigned)scale : DECIMAL_MAX_PRECISION - 1, 0, 0);
}

static const struct type *type_of_document(struct arena *a, const uint8_t *bytes, size_t size_bytes, unsigned depth) {
    struct document_reader r = document_read(bytes, size_bytes);
    struct document_value v;
    uint32_t capacity = 0, count = 0;
    while (document_next(&r, &v) && capacity < FIELDS_MAX) capacity++;
    struct field *fields = arena_alloc_array(a, (size_t)capacity + 1, sizeof *fields);
    if (!fields) return NULL;
    r = document_read(bytes, size_bytes);
    while (count < capacity && document_next(&r, &v)) {
        fields[count] = (struct field){.name = arena_strndup(a, v.name, v.name_bytes), .type = type_of(a, &v, depth + 1), .nullable = true};
        if (!fields[count].name || !fields[count].type) return NULL;
        count++;
    }
    return type_struct(a, fields, count);
}

static const struct type *type_of_array(struct arena *a, const struct document_value *v, unsigned depth) {
    struct document_reader r = document_read(v->bytes, v->size_bytes);
    struct document_value item;
    const struct type *element = &type_null;
    while (document_next(&r, &item)) {
        const struct type *t = type_of(a, &item, depth + 1);
        if (!t || !(element = merge(a, element, t))) return NULL;
    }
    return type_array(a, element, true);
}

// NULL: no memory.
static const struct type *type_of(struct arena *a, const struct document_value *v, unsigned depth) {
    switch (v->type) {
    case DOCUMENT_DOUBLE: return &type_double;
    case DOCUMENT_DOCUMENT: return depth < DEPTH_MAX ? type_of_document(a, v->bytes, v->size_bytes, depth) : &type_string;
    case DOCUMENT_ARRAY: return depth < DEPTH_MAX ? type_of_array(a, v, depth) : &type_string;
    case DOCUMENT_BINARY: return &type_binary;
    case DOCUMENT_BOOLEAN: return &type_boolean;
    case DOCUMENT_DATE: case DOCUMENT_TIMESTAMP: return &type_timestamp;
    case DOCUMENT_INT32: return &type_int;
    case DOCUMENT_INT64: return &type_bigint;
    case DOCUMENT_DECIMAL: return type_of_decimal(a, v);
    case DOCUMENT_NULL: case DOCUMENT_UNDEFINED: return &type_null;
    default: return &type_string;
    }
}

enum status infer_document(struct arena *a, const uint8_t *bytes, size_t size_bytes, const struct type **schema) {
    const struct type *t = type_of_document(a, bytes, size_bytes, 0);
    if (t && *schema) t = merge(a, *schema, t);
    if (!t) return STATUS_NO_MEMORY;
    *schema = t;
    return STATUS_OK;
}

static const struct type *without_null(struct arena *a, const struct type *t) {
    if (t->id == TYPE_NULL) return &type_string;
    if (t->id == TYPE_ARRAY) {
        const struct type *element = without_null(a, t->fields[0].type);
        return element ? type_array(a, element, true) : NULL;
    }
    if (t->id != TYPE_STRUCT) return t;
    struct field *fields = arena_alloc_array(a, (size_t)t->field_count + 1, sizeof *fields);
    if (!fields) return NULL;
    for (uint32_t i = 0; i < t->field_count; i++) {
        fields[i] = t->fields[i];
        if (!(fields[i].type = without_null(a, t->fields[i].type))) return NULL;
    }
    return type_struct(a, fields, t->field_count);
}

enum status infer_finish(struct arena *a, const struct type **schema) {
    if (!*schema) *schema = type_struct(a, &(struct field){0}, 0);
    if (*schema) *schema = without_null(a, *schema);
    return *schema ? STATUS_OK : STATUS_NO_MEMORY;
}
