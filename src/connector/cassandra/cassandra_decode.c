// SPDX-License-Identifier: Apache-2.0
// cassandra_decode.c: values of Cassandra as Spark's. A value that is broken, or too large for its SQL type, leaves NULL in its place and the
// builders whole, so that the row can be taken out of the batch afterwards.
#include "column/datetime.h"
#include "connector/cassandra/cassandra_value.h"
#include <strings.h>

typedef bool read_function(const struct cassandra_decoder *, struct cql_value, struct column_builder *);

static bool null_instead(struct column_builder *out) {
    column_builder_append_null(out);
    return false;
}

// An empty value of a fixed type is what tables of an older interface may hold: NULL.
static bool is_blank(struct cql_value v, struct column_builder *out) {
    if (v.size_bytes != 0) return false;
    column_builder_append_null(out);
    return true;
}

static bool integer_of(const struct cql_type *t, struct cql_value v, int64_t *out) {
    int8_t tiny;
    int16_t small;
    int32_t medium;
    switch (t->kind) {
    case CQL_TINYINT:
        if (!cql_read_int8(v, &tiny)) return false;
        *out = tiny;
        return true;
    case CQL_SMALLINT:
        if (!cql_read_int16(v, &small)) return false;
        *out = small;
        return true;
    case CQL_INT:
        if (!cql_read_int32(v, &medium)) return false;
        *out = medium;
        return true;
    default: return cql_read_int64(v, out);
    }
}

static bool read_integer(const struct cassandra_decoder *x, struct cql_value v, struct column_builder *out) {
    int64_t n;
    if (is_blank(v, out)) return true;
    if (!integer_of(x->from, v, &n)) return null_instead(out);
    int8_t tiny = (int8_t)n;
    int16_t small = (int16_t)n;
    int32_t medium = (int32_t)n;
    switch (x->to->id) {
    case TYPE_TINYINT: column_builder_append_fixed(out, &tiny); break;
    case TYPE_SMALLINT: column_builder_append_fixed(out, &small); break;
    case TYPE_INT: column_builder_append_fixed(out, &medium); break;
    default: column_builder_append_fixed(out, &n);
    }
    return true;
}

static bool read_boolean(const struct cassandra_decoder *x, struct cql_value v, struct column_builder *out) {
    (void)x;
    bool b;
    if (is_blank(v, out)) return true;
    if (!cql_read_bool(v, &b)) return null_instead(out);
    uint8_t byte = b;
    column_builder_append_fixed(out, &byte);
    return true;
}

static bool read_float(const struct cassandra_decoder *x, struct cql_value v, struct column_builder *out) {
    float f;
    if (is_blank(v, out)) return true;
    if (!cql_read_float(v, &f)) return null_instead(out);
    double d = (double)f;
    column_builder_append_fixed(out, x->to->id == TYPE_DOUBLE ? (const void *)&d : &f);
    return true;
}

static bool read_double(const struct cassandra_decoder *x, struct cql_value v, struct column_builder *out) {
    (void)x;
    double d;
    if (is_blank(v, out)) return true;
    if (!cql_read_double(v, &d)) return null_instead(out);
    column_builder_append_fixed(out, &d);
    return true;
}

static bool read_decimal(const struct cassandra_decoder *x, struct cql_value v, struct column_builder *out) {
    decimal n, scaled;
    int32_t scale = 0;
    bool fits = false;
    if (is_blank(v, out)) return true;
    bool good = x->from->kind == CQL_VARINT ? cql_read_varint(v, &n, &fits) : cql_read_decimal(v, &n, &scale, &fits);
    if (!good || !fits) return null_instead(out);
    if (n == 0) scale = 0;
    // A negative scale is that many zeros more; decimal_rescale knows scales from 0.
    unsigned zeros = scale < 0 ? (unsigned)-(int64_t)scale : 0;
    if (zeros > DECIMAL_MAX_PRECISION || scale > 2 * DECIMAL_MAX_PRECISION) return null_instead(out);
    if (zeros && (!decimal_fits(n, DECIMAL_MAX_PRECISION - zeros))) return null_instead(out);
    if (zeros) n *= decimal_power_of_ten(zeros);
    if (scale > DECIMAL_MAX_PRECISION) return null_instead(out);
    if (!decimal_rescale(n, scale > 0 ? (unsigned)scale : 0, x->to->scale, x->to->precision, &scaled)) return null_instead(out);
    column_builder_append_fixed(out, &scaled);
    return true;
}

static bool read_bytes(const struct cassandra_decoder *x, struct cql_value v, struct column_builder *out) {
    (void)x;
    column_builder_append_bytes(out, (const char *)v.bytes, (size_t)v.size_bytes, true);
    return true;
}

static bool read_printed(const struct cassandra_decoder *x, struct cql_value v, struct column_builder *out) {
    char text[CQL_DURATION_TEXT];
    _Static_assert(CQL_DURATION_TEXT >= CQL_INET_TEXT && CQL_DURATION_TEXT >= CQL_UUID_TEXT, "room for each");
    if (is_blank(v, out)) return true;
    size_t n = x->from->kind == CQL_INET ? cql_print_inet(v, text) : x->from->kind == CQL_DURATION ? cql_print_duration(v, text) : cql_print_uuid(v, text);
    if (!n) return null_instead(out);
    column_builder_append_bytes(out, text, n, true);
    return true;
}

// varint and decimal of any size, where the table was declared with STRING.
static bool read_digits(const struct cassandra_decoder *x, struct cql_value v, struct column_builder *out) {
    struct buffer text;
    struct error ignored;
    if (is_blank(v, out)) return true;
    buffer_init(&text, out->arena->memory);
    enum status status = x->from->kind == CQL_VARINT ? cql_print_varint(&text, v, &ignored) : cql_print_decimal(&text, v, &ignored);
    if (status == STATUS_OK) column_builder_append_bytes(out, (const char *)text.data, text.size_bytes, true);
    else column_builder_append_null(out);
    buffer_release(&text);
    return status == STATUS_OK;
}

static bool read_date(const struct cassandra_decoder *x, struct cql_value v, struct column_builder *out) {
    (void)x;
    int64_t days;
    if (is_blank(v, out)) return true;
    if (!cql_read_date(v, &days) || days < INT32_MIN || days > INT32_MAX) return null_instead(out);
    int32_t n = (int32_t)days;
    column_builder_append_fixed(out, &n);
    return true;
}

static bool read_timestamp(const struct cassandra_decoder *x, struct cql_value v, struct column_builder *out) {
    (void)x;
    int64_t ms;
    if (is_blank(v, out)) return true;
    if (!cql_read_int64(v, &ms) || ms > INT64_MAX / 1000 || ms < INT64_MIN / 1000) return null_instead(out);
    int64_t us = ms * 1000;
    column_builder_append_fixed(out, &us);
    return true;
}

static bool read_list(const struct cassandra_decoder *x, struct cql_value v, struct column_builder *out) {
    struct cql_elements elements;
    bool good = cql_elements_open(&elements, x->from, v);
    for (uint32_t i = 0, n = good ? elements.left : 0; i < n && good; i++) {
        struct cql_value item;
        good = cql_elements_next(&elements, &item) && cassandra_read(&x->children[0], item, &out->children[0]);
    }
    column_builder_end_list(out);
    return good;
}

static bool read_map(const struct cassandra_decoder *x, struct cql_value v, struct column_builder *out) {
    struct cql_elements elements;
    bool good = cql_elements_open(&elements, x->from, v);
    for (uint32_t i = 0, n = good ? elements.left / 2 : 0; i < n && good; i++) {
        struct cql_value key, value;
        good = cql_elements_next(&elements, &key) && cql_elements_next(&elements, &value);
        if (!good) break;
        good = cassandra_read(&x->children[0], key, &out->children[0]);
        good &= cassandra_read(&x->children[1], value, &out->children[1]);
    }
    column_builder_end_list(out);
    return good;
}

static bool read_struct(const struct cassandra_decoder *x, struct cql_value v, struct column_builder *out) {
    struct cql_elements elements;
    bool good = cql_elements_open(&elements, x->from, v);
    for (uint32_t i = 0; i < x->child_count; i++) {
        struct cql_value item = {NULL, -1};
        good = good && cql_elements_next(&elements, &item);
        if (!good) item = (struct cql_value){NULL, -1};
        good &= cassandra_read(&x->children[i], item, &out->children[i]);
    }
    column_builder_end_struct(out);
    return good;
}

// --- types ---

enum { DECIMAL_DEFAULT_SCALE = 18 };  // Spark's, as its connector has it

static enum status nested_type_of(struct arena *a, const struct cql_type *t, const struct type **out, struct error *e) {
    struct field *fields = arena_alloc_array(a, t->child_count + 1, sizeof *fields);
    if (!fields) return error_no_memory(e);
    for (uint32_t i = 0; i < t->child_count; i++) {
        fields[i] = (struct field){.name = t->kind == CQL_UDT ? t->field_names[i] : arena_printf(a, "_%u", i + 1), .nullable = true};
        if (!fields[i].name) return error_no_memory(e);
        TRY(cassandra_type_of(a, &t->children[i], &fields[i].type, e));
    }
    if (t->kind == CQL_MAP) *out = type_map(a, fields[0].type, fields[1].type, false);
    else if (t->kind == CQL_TUPLE || t->kind == CQL_UDT) *out = type_struct(a, fields, t->child_count);
    else *out = type_array(a, fields[0].type, false);
    return *out ? STATUS_OK : error_no_memory(e);
}

enum status cassandra_type_of(struct arena *a, const struct cql_type *t, const struct type **out, struct error *e) {
    switch (t->kind) {
    case CQL_ASCII: case CQL_TEXT: case CQL_UUID: case CQL_TIMEUUID: case CQL_INET: case CQL_DURATION: *out = &type_string; break;
    case CQL_BIGINT: case CQL_COUNTER: case CQL_TIME: *out = &type_bigint; break;
    case CQL_BOOLEAN: *out = &type_boolean; break;
    case CQL_DECIMAL: *out = type_decimal(a, DECIMAL_MAX_PRECISION, DECIMAL_DEFAULT_SCALE); break;
    case CQL_VARINT: *out = type_decimal(a, DECIMAL_MAX_PRECISION, 0); break;
    case CQL_DOUBLE: *out = &type_double; break;
    case CQL_FLOAT: *out = &type_float; break;
    case CQL_INT: *out = &type_int; break;
    case CQL_SMALLINT: *out = &type_smallint; break;
    case CQL_TINYINT: *out = &type_tinyint; break;
    case CQL_TIMESTAMP: *out = &type_timestamp; break;
    case CQL_DATE: *out = &type_date; break;
    case CQL_LIST: case CQL_SET: case CQL_VECTOR: case CQL_MAP: case CQL_TUPLE: case CQL_UDT: return nested_type_of(a, t, out, e);
    default: *out = &type_binary;
    }
    return *out ? STATUS_OK : error_no_memory(e);
}

static read_function *text_function(enum cql_kind from) {
    switch (from) {
    case CQL_ASCII: case CQL_TEXT: return read_bytes;
    case CQL_UUID: case CQL_TIMEUUID: case CQL_INET: case CQL_DURATION: return read_printed;
    case CQL_VARINT: case CQL_DECIMAL: return read_digits;
    default: return NULL;
    }
}

static read_function *integer_function(enum cql_kind from, enum type_id to) {
    static const enum cql_kind integers[] = {CQL_TINYINT, CQL_SMALLINT, CQL_INT, CQL_BIGINT};
    if (from == CQL_COUNTER || from == CQL_TIME) return to == TYPE_BIGINT ? read_integer : NULL;
    for (int i = 0; i < 4; i++) {
        if (integers[i] == from) return (int)to - TYPE_TINYINT >= i ? read_integer : NULL;
    }
    return NULL;
}

static read_function *function_of(const struct cql_type *from, const struct type *to) {
    enum cql_kind k = from->kind;
    switch (to->id) {
    case TYPE_BOOLEAN: return k == CQL_BOOLEAN ? read_boolean : NULL;
    case TYPE_TINYINT: case TYPE_SMALLINT: case TYPE_INT: case TYPE_BIGINT: return integer_function(k, to->id);
    case TYPE_FLOAT: return k == CQL_FLOAT ? read_float : NULL;
    case TYPE_DOUBLE: return k == CQL_FLOAT ? read_float : k == CQL_DOUBLE ? read_double : NULL;
    case TYPE_DECIMAL: return k == CQL_DECIMAL || k == CQL_VARINT ? read_decimal : NULL;
    case TYPE_STRING: return text_function(k);
    case TYPE_BINARY: return k == CQL_BLOB || k == CQL_CUSTOM ? read_bytes : NULL;
    case TYPE_DATE: return k == CQL_DATE ? read_date : NULL;
    case TYPE_TIMESTAMP: case TYPE_TIMESTAMP_NTZ: return k == CQL_TIMESTAMP ? read_timestamp : NULL;
    case TYPE_ARRAY: return k == CQL_LIST || k == CQL_SET || k == CQL_VECTOR ? read_list : NULL;
    case TYPE_MAP: return k == CQL_MAP ? read_map : NULL;
    case TYPE_STRUCT: return (k == CQL_TUPLE || k == CQL_UDT) && to->field_count == from->child_count ? read_struct : NULL;
    default: return NULL;
    }
}

enum status cassandra_decoder_make(struct arena *a, const struct cql_type *from, const struct type *to, struct cassandra_decoder *out, bool *fits, struct error *e) {
    *out = (struct cassandra_decoder){.from = from, .to = to, .read = function_of(from, to)};
    *fits = out->read != NULL;
    if (!*fits || !type_is_nested(to)) return STATUS_OK;
    out->child_count = from->child_count;
    out->children = arena_alloc_array(a, from->child_count + 1, sizeof *out->children);
    if (!out->children) return error_no_memory(e);
    for (uint32_t i = 0; i < from->child_count && *fits; i++) {
        TRY(cassandra_decoder_make(a, &from->children[i], to->fields[i].type, &out->children[i], fits, e));
    }
    return STATUS_OK;
}
