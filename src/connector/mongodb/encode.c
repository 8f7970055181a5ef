// SPDX-License-Identifier: Apache-2.0
// encode.c: see encode.h.
#include "connector/mongodb/encode.h"
#include "base/utf8.h"
#include "column/datetime.h"
#include "column/decimal.h"
#include "column/timezone.h"
#include "column/value.h"

struct encoding {
    struct buffer *out;
    struct refusal *refusal;
    bool exact;                    // part of _id: nothing may be cut, or two keys would be one
    uint32_t depth;
};

enum status encoder_init(struct encoder *e, struct arena *a, const struct type *schema) {
    *e = (struct encoder){.schema = schema, .own_id = -1};
    e->fields = arena_alloc_array(a, (size_t)schema->field_count + 1, sizeof *e->fields);
    if (!e->fields) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < schema->field_count; i++) {
        e->fields[i] = (struct encoder_field){.name = schema->fields[i].name, .name_bytes = (uint32_t)strlen(schema->fields[i].name)};
        if (strcmp(schema->fields[i].name, "_id") == 0) e->own_id = (int)i;
    }
    return STATUS_OK;
}

static enum status refuse(struct encoding *x, const char *condition, const char *message) {
    if (!x->refusal->condition) *x->refusal = (struct refusal){.condition = condition, .message = message};
    return STATUS_OK;
}

// A decimal128: sign, 14 bits of exponent (bias 6176), 113 bits of coefficient.
bool encode_decimal(__int128 value, unsigned scale, uint8_t out[16]) {
    const __int128 limit = decimal_power_of_ten(34);
    bool negative = value < 0;
    unsigned __int128 coefficient = negative ? -(unsigned __int128)value : (unsigned __int128)value;
    while (coefficient >= (unsigned __int128)limit) {
        if (coefficient % 10 != 0) return false;
        coefficient /= 10;
        if (scale == 0) return false;  // no DECIMAL of ours: 38 digits with an exponent above zero would print in another way
        scale--;
    }
    uint64_t low = (uint64_t)coefficient, high = (uint64_t)(coefficient >> 64) | (uint64_t)(6176 - scale) << 49 | (uint64_t)negative << 63;
    memcpy(out, &low, 8);
    memcpy(out + 8, &high, 8);
    return true;
}

static enum status put_value(struct encoding *x, const struct column *c, uint32_t row, const char *name, size_t name_bytes);

static enum status put_text(struct encoding *x, const struct column *c, uint32_t row, const char *name, size_t name_bytes) {
    const struct string_view *v = column_string(c, row);
    const char *text = string_view_data(v);
    if (!utf8_valid(text, v->size_bytes)) return refuse(x, "LEAT_TYPE_NOT_STORABLE", "a text that is not UTF-8: MongoDB has no other; keep it as BINARY");
    return document_put_bytes(x->out, name, name_bytes, text, v->size_bytes);
}

static enum status put_binary(struct encoding *x, const struct column *c, uint32_t row, const char *name, size_t name_bytes) {
    const struct string_view *v = column_string(c, row);
    uint8_t *at = document_element(x->out, DOCUMENT_BINARY, name, name_bytes, (size_t)v->size_bytes + 5);
    if (!at) return STATUS_NO_MEMORY;
    memcpy(at, &v->size_bytes, 4);
    at[4] = 0;
    if (v->size_bytes) memcpy(at + 5, string_view_data(v), v->size_bytes);
    return STATUS_OK;
}

static enum status put_time(struct encoding *x, int64_t us, const char *name, size_t name_bytes) {
    if (x->exact && floor_mod(us, 1000) != 0) {
        return refuse(x, "LEAT_TYPE_NOT_STORABLE", "a key with microseconds: a date of MongoDB has milliseconds, and two keys would be one; group by date_trunc('MILLISECOND', …)");
    }
    int64_t ms = floor_div(us, 1000);
    return document_put(x->out, DOCUMENT_DATE, name, name_bytes, &ms, 8);
}

static enum status put_decimal(struct encoding *x, const struct column *c, uint32_t row, const char *name, size_t name_bytes) {
    uint8_t bytes[16];
    if (!encode_decimal(column_decimal(c, row), c->type->scale, bytes)) {
        return refuse(x, "LEAT_TYPE_NOT_STORABLE", "a decimal of more than 34 digits: MongoDB's have no more");
    }
    return document_put(x->out, DOCUMENT_DECIMAL, name, name_bytes, bytes, 16);
}

// As CAST(… AS STRING) prints it.
static enum status put_printed(struct encoding *x, const struct column *c, uint32_t row, const char *name, size_t name_bytes) {
    TRY(document_put(x->out, DOCUMENT_STRING, name, name_bytes, "\0\0\0\0", 4));
    size_t begin = x->out->size_bytes;
    TRY(value_print(c, row, &timezone_utc, x->out));
    TRY(buffer_append_byte(x->out, 0));
    uint32_t size_bytes = (uint32_t)(x->out->size_bytes - begin);
    memcpy(x->out->data + begin - 4, &size_bytes, 4);
    return STATUS_OK;
}

static enum status put_array(struct encoding *x, const struct column *base, uint32_t index, const char *name, size_t name_bytes) {
    const int32_t *offsets = base->values;
    char key[10];
    size_t start;
    TRY(document_put(x->out, DOCUMENT_ARRAY, name, name_bytes, NULL, 0));
    TRY(document_begin(x->out, &start));
    for (int32_t i = offsets[index]; i < offsets[index + 1] && !x->refusal->condition; i++) {
        TRY(put_value(x, &base->children[0], (uint32_t)i, key, document_index((uint32_t)(i - offsets[index]), key)));
    }
    return document_end(x->out, start);
}

static enum status put_entry(struct encoding *x, const struct column *base, uint32_t at, struct buffer *key) {
    const struct column *keys = &base->children[0];
    const char *text;
    buffer_clear(key);
    size_t size_bytes;
    if (keys->type->id == TYPE_STRING) {
        text = string_view_data(column_string(keys, at));
        size_bytes = column_string(keys, at)->size_bytes;
    } else {
        TRY(value_print(keys, at, &timezone_utc, key));
        text = (const char *)key->data;
        size_bytes = key->size_bytes;
    }
    if (!utf8_valid(text, size_bytes)) return refuse(x, "LEAT_TYPE_NOT_STORABLE", "a map's key that is not UTF-8 cannot be the name of a field");
    if (memchr(text, 0, size_bytes)) return refuse(x, "LEAT_TYPE_NOT_STORABLE", "a map's key with a NUL character cannot be the name of a field");
    if (x->exact && size_bytes && *text == '$') {  // in the query of an upsert it would be an operator
        return refuse(x, "LEAT_TYPE_NOT_STORABLE", "a map's key that begins with $ cannot be the name of a field within _id");
    }
    return put_value(x, &base->children[1], at, text, size_bytes);
}

static enum status put_map(struct encoding *x, const struct column *base, uint32_t index, const char *name, size_t name_bytes) {
    const int32_t *offsets = base->values;
    struct buffer key;
    size_t start;
    TRY(document_put(x->out, DOCUMENT_DOCUMENT, name, name_bytes, NULL, 0));
    TRY(document_begin(x->out, &start));
    buffer_init(&key, x->out->memory);
    enum status status = STATUS_OK;
    for (int32_t i = offsets[index]; i < offsets[index + 1] && status == STATUS_OK && !x->refusal->condition; i++) status = put_entry(x, base, (uint32_t)i, &key);
    buffer_release(&key);
    return status == STATUS_OK ? document_end(x->out, start) : status;
}

static enum status put_struct(struct encoding *x, const struct column *base, uint32_t index, const char *name, size_t name_bytes) {
    size_t start;
    TRY(document_put(x->out, DOCUMENT_DOCUMENT, name, name_bytes, NULL, 0));
    TRY(document_begin(x->out, &start));
    for (uint32_t i = 0; i < base->type->field_count && !x->refusal->condition; i++) {
        const char *field = base->type->fields[i].name;
        TRY(put_value(x, &base->children[i], index, field, strlen(field)));
    }
    return document_end(x->out, start);
}

static enum status put_nested(struct encoding *x, const struct column *c, uint32_t row, const char *name, size_t name_bytes) {
    const struct column *base = column_base(c);
    uint32_t index = column_index(c, row);
    enum status status;
    x->depth++;
    if (c->type->id == TYPE_ARRAY) status = put_array(x, base, index, name, name_bytes);
    else if (c->type->id == TYPE_MAP) status = put_map(x, base, index, name, name_bytes);
    else status = put_struct(x, base, index, name, name_bytes);
    x->depth--;
    return status;
}

static enum status put_int32(struct encoding *x, int32_t value, const char *name, size_t name_bytes) { return document_put(x->out, DOCUMENT_INT32, name, name_bytes, &value, 4); }

static enum status put_double(struct encoding *x, double value, const char *name, size_t name_bytes) { return document_put(x->out, DOCUMENT_DOUBLE, name, name_bytes, &value, 8); }

static enum status put_value(struct encoding *x, const struct column *c, uint32_t row, const char *name, size_t name_bytes) {
    if (!column_is_valid(c, row)) return document_put(x->out, DOCUMENT_NULL, name, name_bytes, NULL, 0);
    int64_t wide;
    switch (c->type->id) {
    case TYPE_BOOLEAN: return document_put(x->out, DOCUMENT_BOOLEAN, name, name_bytes, &(uint8_t){column_bool(c, row) != 0}, 1);
    case TYPE_TINYINT: return put_int32(x, column_int8(c, row), name, name_bytes);
    case TYPE_SMALLINT: return put_int32(x, column_int16(c, row), name, name_bytes);
    case TYPE_INT: return put_int32(x, column_int32(c, row), name, name_bytes);
    case TYPE_BIGINT:
        wide = column_int64(c, row);
        return document_put(x->out, DOCUMENT_INT64, name, name_bytes, &wide, 8);
    case TYPE_FLOAT: return put_double(x, (double)column_float(c, row), name, name_bytes);
    case TYPE_DOUBLE: return put_double(x, column_double(c, row), name, name_bytes);
    case TYPE_DECIMAL: return put_decimal(x, c, row, name, name_bytes);
    case TYPE_STRING: return put_text(x, c, row, name, name_bytes);
    case TYPE_BINARY: return put_binary(x, c, row, name, name_bytes);
    case TYPE_DATE:
        wide = (int64_t)column_int32(c, row) * 86400000;
        return document_put(x->out, DOCUMENT_DATE, name, name_bytes, &wide, 8);
    case TYPE_TIMESTAMP: case TYPE_TIMESTAMP_NTZ: return put_time(x, column_int64(c, row), name, name_bytes);
    case TYPE_INTERVAL_YM: case TYPE_INTERVAL_DT: case TYPE_INTERVAL: return put_printed(x, c, row, name, name_bytes);
    case TYPE_ARRAY: case TYPE_MAP: case TYPE_STRUCT: return put_nested(x, c, row, name, name_bytes);
    default: return document_put(x->out, DOCUMENT_NULL, name, name_bytes, NULL, 0);
    }
}

// { source, partition, offset, row[, branch] }: the source's name, the partition's where it has one, the branch where there are several.
static enum status put_origin(const struct encoder *e, struct buffer *out, const struct batch *b, uint32_t row) {
    const struct origin *o = &b->origin;
    size_t start;
    TRY(document_open(out, DOCUMENT_DOCUMENT, "_id", &start));
    TRY(document_put_string(out, "source", o->source < e->source_count ? e->source_names[o->source] : ""));
    if (o->partition_name) TRY(document_put_string(out, "partition", o->partition_name));
    else TRY(document_put_int64(out, "partition", o->partition));
    TRY(document_put_int64(out, "offset", origin_offset(o, row)));
    TRY(document_put_int32(out, "row", (int32_t)origin_row(o, row)));
    if (o->branch) TRY(document_put_int64(out, "branch", o->branch));
    return document_end(out, start);
}

enum status encode_id(const struct encoder *e, const struct batch *b, uint32_t row, struct buffer *out, struct refusal *refusal) {
    struct encoding x = {.out = out, .refusal = refusal, .exact = true};
    *refusal = (struct refusal){0};
    if (e->single_row) return document_put_string(out, "_id", "all");
    if (e->id_count == 1) return put_value(&x, &b->columns[e->id_columns[0]], row, "_id", 3);
    if (!e->id_count && b->origin.source == ORIGIN_NONE) {
        return refuse(&x, "LEAT_CONTRACT_VIOLATED", "the row has no place in a source and the table no key, so that it could not be told apart from others; give the table a key");
    }
    if (!e->id_count) return put_origin(e, out, b, row);
    size_t start;
    TRY(document_open(out, DOCUMENT_DOCUMENT, "_id", &start));
    for (uint32_t i = 0; i < e->id_count; i++) {
        const struct encoder_field *f = &e->fields[e->id_columns[i]];
        TRY(put_value(&x, &b->columns[e->id_columns[i]], row, f->name, f->name_bytes));
    }
    return document_end(out, start);
}

enum status encode_document(const struct encoder *e, const struct batch *b, uint32_t row, size_t id_at, size_t id_bytes, struct buffer *out, struct refusal *refusal) {
    struct encoding x = {.out = out, .refusal = refusal};
    size_t start;
    TRY(document_begin(out, &start));
    TRY(buffer_reserve(out, id_bytes));
    memcpy(out->data + out->size_bytes, out->data + id_at, id_bytes);
    out->size_bytes += id_bytes;
    for (uint32_t i = 0; i < e->schema->field_count && !refusal->condition; i++) {
        if ((int)i == e->own_id || (e->leaves_nulls_out && !column_is_valid(&b->columns[i], row))) continue;
        TRY(put_value(&x, &b->columns[i], row, e->fields[i].name, e->fields[i].name_bytes));
    }
    TRY(document_end(out, start));
    if (out->size_bytes - start <= DOCUMENT_BYTES_MAX) return STATUS_OK;
    return refuse(&x, "LEAT_ROW_TOO_BIG", "the document is larger than the 16 MB that MongoDB takes");
}
