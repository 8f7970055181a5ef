// SPDX-License-Identifier: Apache-2.0
// cassandra_encode.c: one value of a column, bound to a request. Columns come FLAT, CONSTANT or DICTIONARY at the top; children are FLAT or
// constant NULL. NULL is not allowed within collections: the server would refuse the row, so it is refused here.
#include "column/datetime.h"
#include "connector/cassandra/cassandra_value.h"
#include <strings.h>

typedef bool bind_function(const struct cassandra_encoder *, const struct column *, uint32_t, struct cql_request *, const char **);

static int64_t integer_at(const struct column *c, uint32_t row) {
    switch (c->type->id) {
    case TYPE_TINYINT: return column_int8(c, row);
    case TYPE_SMALLINT: return column_int16(c, row);
    case TYPE_INT: return column_int32(c, row);
    default: return column_int64(c, row);
    }
}

static bool bind_boolean(const struct cassandra_encoder *x, const struct column *c, uint32_t row, struct cql_request *r, const char **why) {
    (void)x, (void)why;
    cql_bind_bool(r, column_bool(c, row));
    return true;
}

static bool bind_integer(const struct cassandra_encoder *x, const struct column *c, uint32_t row, struct cql_request *r, const char **why) {
    int64_t v = integer_at(c, row);
    switch (x->to->kind) {
    case CQL_TINYINT: cql_bind_int8(r, (int8_t)v); break;
    case CQL_SMALLINT: cql_bind_int16(r, (int16_t)v); break;
    case CQL_INT: cql_bind_int32(r, (int32_t)v); break;
    case CQL_FLOAT: cql_bind_float(r, (float)v); break;
    case CQL_DOUBLE: cql_bind_double(r, (double)v); break;
    case CQL_VARINT: cql_bind_varint(r, v); break;
    case CQL_DECIMAL: cql_bind_decimal(r, v, 0); break;
    case CQL_TIME:
        if (v < 0 || v >= US_PER_DAY * 1000) {
            *why = "the number is no time of day in nanoseconds (0 to 86399999999999)";
            return false;
        }
        cql_bind_int64(r, v);
        break;
    default: cql_bind_int64(r, v);
    }
    return true;
}

static bool bind_float(const struct cassandra_encoder *x, const struct column *c, uint32_t row, struct cql_request *r, const char **why) {
    (void)why;
    if (c->type->id == TYPE_DOUBLE) cql_bind_double(r, column_double(c, row));
    else if (x->to->kind == CQL_DOUBLE) cql_bind_double(r, (double)column_float(c, row));
    else cql_bind_float(r, column_float(c, row));
    return true;
}

static bool bind_decimal(const struct cassandra_encoder *x, const struct column *c, uint32_t row, struct cql_request *r, const char **why) {
    (void)why;
    if (x->to->kind == CQL_VARINT) cql_bind_varint(r, column_decimal(c, row));
    else cql_bind_decimal(r, column_decimal(c, row), c->type->scale);
    return true;
}

static bool bind_bytes(const struct cassandra_encoder *x, const struct column *c, uint32_t row, struct cql_request *r, const char **why) {
    (void)x, (void)why;
    const struct string_view *v = column_string(c, row);
    cql_bind_bytes(r, string_view_data(v), v->size_bytes);
    return true;
}

static bool bind_uuid(const struct cassandra_encoder *x, const struct column *c, uint32_t row, struct cql_request *r, const char **why) {
    const struct string_view *v = column_string(c, row);
    uint8_t bytes[16];
    char text[CQL_UUID_TEXT];
    *why = "the text is no UUID";
    if (!cql_parse_uuid(string_view_data(v), v->size_bytes, bytes)) return false;
    *why = "the UUID is none of version 1, as a timeuuid has to be";
    if (x->to->kind == CQL_TIMEUUID && cql_uuid_version(bytes) != 1) return false;
    *why = "the UUID of a key must be in small letters, or two keys could be one row: lower(…)";
    if (x->is_key && (cql_print_uuid((struct cql_value){bytes, 16}, text) != v->size_bytes || memcmp(text, string_view_data(v), v->size_bytes) != 0)) return false;
    cql_bind_bytes(r, bytes, sizeof bytes);
    return true;
}

static bool bind_inet(const struct cassandra_encoder *x, const struct column *c, uint32_t row, struct cql_request *r, const char **why) {
    const struct string_view *v = column_string(c, row);
    uint8_t bytes[16];
    char text[CQL_INET_TEXT];
    size_t size_bytes = cql_parse_inet(string_view_data(v), v->size_bytes, bytes);
    *why = "the text is no IP address";
    if (!size_bytes) return false;
    *why = "the address of a key must be in its shortest usual form, or two keys could be one row";
    if (x->is_key && (cql_print_inet((struct cql_value){bytes, (int32_t)size_bytes}, text) != v->size_bytes || memcmp(text, string_view_data(v), v->size_bytes) != 0)) return false;
    cql_bind_bytes(r, bytes, size_bytes);
    return true;
}

static bool bind_date(const struct cassandra_encoder *x, const struct column *c, uint32_t row, struct cql_request *r, const char **why) {
    (void)x, (void)why;
    cql_bind_date(r, column_int32(c, row));
    return true;
}

static bool bind_timestamp(const struct cassandra_encoder *x, const struct column *c, uint32_t row, struct cql_request *r, const char **why) {
    int64_t us = column_int64(c, row);
    *why = "the timestamp of a key has microseconds, and the column milliseconds, so that two keys could be one row: date_trunc('MILLISECOND', …)";
    if (x->is_key && us % 1000 != 0) return false;
    cql_bind_int64(r, floor_div(us, 1000));
    return true;
}

static void append_signed_vint(struct cql_request *r, int64_t v) {
    uint8_t bytes[9];
    size_t n = cql_encode_unsigned_vint((uint64_t)v << 1 ^ (uint64_t)(v >> 63), bytes);
    cql_append(r, bytes, n);
}

static bool bind_duration(const struct cassandra_encoder *x, const struct column *c, uint32_t row, struct cql_request *r, const char **why) {
    (void)x;
    int64_t months = 0, days = 0, us = 0;
    if (c->type->id == TYPE_INTERVAL_YM) months = column_int32(c, row);
    else if (c->type->id == TYPE_INTERVAL_DT) us = column_int64(c, row);
    else {
        const struct calendar_interval *v = (const struct calendar_interval *)column_base(c)->values + column_index(c, row);
        months = v->months, days = v->days, us = v->us;
    }
    bool up = months > 0 || days > 0 || us > 0, down = months < 0 || days < 0 || us < 0;
    *why = "months, days and time of a duration must have one sign";
    if (up && down) return false;
    *why = "the interval is longer than a duration can be (292 years in days and time)";
    if (us > INT64_MAX / 1000 || us < INT64_MIN / 1000) return false;
    size_t mark = cql_value_open(r);
    append_signed_vint(r, months);
    append_signed_vint(r, days);
    append_signed_vint(r, us * 1000);
    cql_value_close(r, mark);
    return true;
}

static bool bind_element(const struct cassandra_encoder *x, const struct column *c, uint32_t row, struct cql_request *r, const char **why) {
    *why = "a NULL within a collection, which Cassandra cannot hold";
    return column_is_valid(c, row) && x->bind(x, c, row, r, why);
}

static bool bind_list(const struct cassandra_encoder *x, const struct column *c, uint32_t row, struct cql_request *r, const char **why) {
    const struct column *base = column_base(c);
    uint32_t index = column_index(c, row);
    int32_t begin = ((const int32_t *)base->values)[index], end = ((const int32_t *)base->values)[index + 1];
    size_t mark = cql_value_open(r);
    bool fits = true;
    cql_append_count(r, (uint32_t)(end - begin));
    for (int32_t i = begin; i < end && fits; i++) fits = bind_element(&x->children[0], &base->children[0], (uint32_t)i, r, why);
    cql_value_close(r, mark);
    return fits;
}

// Elements of a vector have no length before them, or a short one: the length that was bound gives way.
static bool bind_vector_element(const struct cassandra_encoder *x, const struct column *c, uint32_t row, struct cql_request *r, bool fixed, const char **why) {
    size_t at = r->size_bytes;
    if (!bind_element(x, c, row, r, why)) return false;
    if (r->failed) return true;
    size_t size_bytes = r->size_bytes - at - 4;
    uint8_t length[9];
    size_t length_bytes = fixed ? 0 : cql_encode_unsigned_vint(size_bytes, length);
    *why = "an element of the vector is too large";
    if (length_bytes > 4) return false;
    memmove(r->bytes + at + length_bytes, r->bytes + at + 4, size_bytes);
    if (length_bytes) memcpy(r->bytes + at, length, length_bytes);
    r->size_bytes = at + length_bytes + size_bytes;
    return true;
}

static bool bind_vector(const struct cassandra_encoder *x, const struct column *c, uint32_t row, struct cql_request *r, const char **why) {
    const struct column *base = column_base(c);
    uint32_t index = column_index(c, row);
    int32_t begin = ((const int32_t *)base->values)[index], end = ((const int32_t *)base->values)[index + 1];
    bool fixed = cql_type_fixed_bytes(&x->to->children[0]) > 0, fits = true;
    *why = "the array has not as many elements as the vector";
    if ((uint32_t)(end - begin) != x->to->dimension) return false;
    size_t mark = cql_value_open(r);
    for (int32_t i = begin; i < end && fits; i++) fits = bind_vector_element(&x->children[0], &base->children[0], (uint32_t)i, r, fixed, why);
    cql_value_close(r, mark);
    return fits;
}

static bool bind_map(const struct cassandra_encoder *x, const struct column *c, uint32_t row, struct cql_request *r, const char **why) {
    const struct column *base = column_base(c);
    uint32_t index = column_index(c, row);
    int32_t begin = ((const int32_t *)base->values)[index], end = ((const int32_t *)base->values)[index + 1];
    size_t mark = cql_value_open(r);
    bool fits = true;
    cql_append_count(r, (uint32_t)(end - begin));
    for (int32_t i = begin; i < end && fits; i++) {
        fits = bind_element(&x->children[0], &base->children[0], (uint32_t)i, r, why) && bind_element(&x->children[1], &base->children[1], (uint32_t)i, r, why);
    }
    cql_value_close(r, mark);
    return fits;
}

static bool bind_struct(const struct cassandra_encoder *x, const struct column *c, uint32_t row, struct cql_request *r, const char **why) {
    const struct column *base = column_base(c);
    uint32_t index = column_index(c, row);
    size_t mark = cql_value_open(r);
    bool fits = true;
    for (uint32_t i = 0; i < x->child_count && fits; i++) {
        int field = x->fields ? x->fields[i] : (int)i;
        const struct column *child = field < 0 ? NULL : &base->children[field];
        if (!child || !column_is_valid(child, index)) cql_bind_null(r);
        else fits = x->children[i].bind(&x->children[i], child, index, r, why);
    }
    cql_value_close(r, mark);
    return fits;
}

static bool bind_nothing(const struct cassandra_encoder *x, const struct column *c, uint32_t row, struct cql_request *r, const char **why) {
    (void)x, (void)c, (void)row, (void)why;
    cql_bind_null(r);  // of a column of NULLs; never called
    return true;
}

// --- which function, if any ---

static bind_function *integer_fits(const struct type *from, enum cql_kind to) {
    static const enum cql_kind integers[] = {CQL_TINYINT, CQL_SMALLINT, CQL_INT, CQL_BIGINT};
    for (int i = 0; i < 4; i++) {
        if (integers[i] == to) return (int)from->id - TYPE_TINYINT <= i ? bind_integer : NULL;
    }
    bool fits = to == CQL_VARINT || to == CQL_DECIMAL || (to == CQL_TIME && from->id == TYPE_BIGINT) || (to == CQL_DOUBLE && from->id <= TYPE_INT) ||
                (to == CQL_FLOAT && from->id <= TYPE_SMALLINT);
    return fits ? bind_integer : NULL;
}

static bind_function *text_fits(enum cql_kind to) {
    if (to == CQL_TEXT || to == CQL_ASCII) return bind_bytes;
    if (to == CQL_UUID || to == CQL_TIMEUUID) return bind_uuid;
    return to == CQL_INET ? bind_inet : NULL;
}

static bind_function *simple_function(const struct type *from, enum cql_kind to) {
    switch (from->id) {
    case TYPE_NULL: return to == CQL_COUNTER ? NULL : bind_nothing;
    case TYPE_BOOLEAN: return to == CQL_BOOLEAN ? bind_boolean : NULL;
    case TYPE_TINYINT: case TYPE_SMALLINT: case TYPE_INT: case TYPE_BIGINT: return integer_fits(from, to);
    case TYPE_FLOAT: return to == CQL_FLOAT || to == CQL_DOUBLE ? bind_float : NULL;
    case TYPE_DOUBLE: return to == CQL_DOUBLE ? bind_float : NULL;
    case TYPE_DECIMAL: return to == CQL_DECIMAL || (to == CQL_VARINT && from->scale == 0) ? bind_decimal : NULL;
    case TYPE_STRING: return text_fits(to);
    case TYPE_BINARY: return to == CQL_BLOB ? bind_bytes : NULL;
    case TYPE_DATE: return to == CQL_DATE ? bind_date : NULL;
    case TYPE_TIMESTAMP: case TYPE_TIMESTAMP_NTZ: return to == CQL_TIMESTAMP ? bind_timestamp : NULL;
    case TYPE_INTERVAL_YM: case TYPE_INTERVAL_DT: case TYPE_INTERVAL: return to == CQL_DURATION ? bind_duration : NULL;
    default: return NULL;
    }
}

static bind_function *nested_function(const struct type *from, const struct cql_type *to, bool is_key, const char **why) {
    if (from->id == TYPE_ARRAY && to->kind == CQL_SET && is_key) *why = "an ARRAY in a key cannot be a set, which forgets order and repetition";
    else if (from->id == TYPE_ARRAY && (to->kind == CQL_LIST || to->kind == CQL_SET)) return bind_list;
    else if (from->id == TYPE_ARRAY && to->kind == CQL_VECTOR) return bind_vector;
    else if (from->id == TYPE_MAP && to->kind == CQL_MAP) return bind_map;
    else if (from->id == TYPE_STRUCT && to->kind == CQL_TUPLE && from->field_count != to->child_count) *why = "the STRUCT has not as many fields as the tuple";
    else if (from->id == TYPE_STRUCT && (to->kind == CQL_TUPLE || to->kind == CQL_UDT)) return bind_struct;
    return NULL;
}

static int field_of(const struct type *from, const char *name) {
    int found = -1;
    for (uint32_t i = 0; i < from->field_count; i++) {
        if (strcmp(from->fields[i].name, name) == 0) return (int)i;
        if (strcasecmp(from->fields[i].name, name) == 0 && found < 0) found = (int)i;
    }
    return found;
}

// By name: every field of the STRUCT has a place; a field of the UDT that it lacks is NULL.
static enum status match_fields(struct arena *a, struct cassandra_encoder *x, bool *fits, const char **why, struct error *e) {
    int *fields = arena_alloc_array(a, x->to->child_count + 1, sizeof *fields);
    uint32_t matched = 0;
    if (!fields) return error_no_memory(e);
    for (uint32_t i = 0; i < x->to->child_count; i++) {
        fields[i] = field_of(x->from, x->to->field_names[i]);
        matched += fields[i] >= 0;
    }
    x->fields = fields;
    *fits = matched == x->from->field_count;
    if (!*fits) *why = "the user-defined type has no field for each of the STRUCT's";
    return STATUS_OK;
}

static enum status make_children(struct arena *a, struct cassandra_encoder *x, bool *fits, const char **why, struct error *e) {
    x->child_count = x->to->child_count;
    x->children = arena_alloc_array(a, x->child_count + 1, sizeof *x->children);
    if (!x->children) return error_no_memory(e);
    if (x->to->kind == CQL_UDT) TRY(match_fields(a, x, fits, why, e));
    for (uint32_t i = 0; i < x->child_count && *fits; i++) {
        int field = x->fields ? x->fields[i] : (int)i;
        if (field < 0) continue;
        TRY(cassandra_encoder_make(a, x->from->fields[field].type, &x->to->children[i], x->is_key, &x->children[i], fits, why, e));
    }
    return STATUS_OK;
}

enum status cassandra_encoder_make(struct arena *a, const struct type *from, const struct cql_type *to, bool is_key, struct cassandra_encoder *out, bool *fits,
                                   const char **why, struct error *e) {
    *out = (struct cassandra_encoder){.from = from, .to = to, .is_key = is_key};
    *why = "no value of one type is always one of the other";
    bool nested = type_is_nested(from);
    out->bind = nested ? nested_function(from, to, is_key, why) : simple_function(from, to->kind);
    *fits = out->bind != NULL;
    return nested && *fits ? make_children(a, out, fits, why, e) : STATUS_OK;
}

const char *cassandra_sql_type(const struct cql_type *t) {
    switch (t->kind) {
    case CQL_ASCII: case CQL_TEXT: case CQL_UUID: case CQL_TIMEUUID: case CQL_INET: return "STRING";
    case CQL_BIGINT: case CQL_TIME: return "BIGINT";
    case CQL_BLOB: return "BINARY";
    case CQL_BOOLEAN: return "BOOLEAN";
    case CQL_DECIMAL: return "DECIMAL(38,18)";
    case CQL_VARINT: return "DECIMAL(38,0)";
    case CQL_DOUBLE: return "DOUBLE";
    case CQL_FLOAT: return "FLOAT";
    case CQL_INT: return "INT";
    case CQL_SMALLINT: return "SMALLINT";
    case CQL_TINYINT: return "TINYINT";
    case CQL_TIMESTAMP: return "TIMESTAMP";
    case CQL_DATE: return "DATE";
    case CQL_DURATION: return "INTERVAL";
    default: return "";
    }
}
