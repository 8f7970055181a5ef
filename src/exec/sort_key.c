// SPDX-License-Identifier: Apache-2.0
// sort_key.c: see sort_key.h. Inside arrays and structs NULL is smallest.
#include "exec/sort_key.h"

static enum status put_big_endian(struct buffer *out, unsigned __int128 value, uint32_t width) {
    uint8_t bytes[16];
    for (uint32_t i = 0; i < width; i++) bytes[i] = (uint8_t)(value >> (8 * (width - 1 - i)));
    return buffer_append(out, bytes, width);
}

static enum status put_signed(struct buffer *out, __int128 value, uint32_t width) {
    unsigned __int128 flipped = (unsigned __int128)value ^ (unsigned __int128)1 << (8 * width - 1);
    return put_big_endian(out, flipped, width);
}

static enum status put_double(struct buffer *out, double value) {
    uint64_t bits;
    if (value == 0) value = 0;
    memcpy(&bits, &value, sizeof bits);
    if (value == 0) bits = 0;
    if (value != value) bits = UINT64_C(0x7fffffffffffffff);
    bits = bits >> 63 ? ~bits : bits | UINT64_C(1) << 63;
    return put_big_endian(out, bits, 8);
}

static enum status put_string(struct buffer *out, const struct string_view *s) {
    const char *bytes = string_view_data(s);
    uint32_t begin = 0;
    for (uint32_t i = 0; i <= s->size_bytes; i++) {
        if (i < s->size_bytes && bytes[i]) continue;
        TRY(buffer_append(out, bytes + begin, i - begin));
        TRY(buffer_append_byte(out, 0));
        TRY(buffer_append_byte(out, i < s->size_bytes ? 0xff : 0));
        begin = i + 1;
    }
    return STATUS_OK;
}

static enum status put_value(struct buffer *out, const struct column *c, uint32_t row);

static enum status put_nullable(struct buffer *out, const struct column *c, uint32_t row) {
    bool valid = column_is_valid(c, row);
    TRY(buffer_append_byte(out, valid));
    return valid ? put_value(out, c, row) : STATUS_OK;
}

static enum status put_nested(struct buffer *out, const struct column *c, uint32_t row) {
    const struct column *base = column_base(c);
    uint32_t index = column_index(c, row);
    if (c->type->id == TYPE_STRUCT) {
        for (uint32_t f = 0; f < c->type->field_count; f++) TRY(put_nullable(out, &base->children[f], index));
        return STATUS_OK;
    }
    int32_t begin = ((const int32_t *)base->values)[index], end = ((const int32_t *)base->values)[index + 1];
    for (int32_t i = begin; i < end; i++) {
        TRY(buffer_append_byte(out, 1));
        for (uint32_t f = 0; f < c->type->field_count; f++) TRY(put_nullable(out, &base->children[f], (uint32_t)i));
    }
    return buffer_append_byte(out, 0);
}

static enum status put_value(struct buffer *out, const struct column *c, uint32_t row) {
    switch (c->type->id) {
    case TYPE_NULL: return STATUS_OK;
    case TYPE_BOOLEAN: return buffer_append_byte(out, column_bool(c, row));
    case TYPE_TINYINT: return put_signed(out, column_int8(c, row), 1);
    case TYPE_SMALLINT: return put_signed(out, column_int16(c, row), 2);
    case TYPE_INT: case TYPE_DATE: case TYPE_INTERVAL_YM: return put_signed(out, column_int32(c, row), 4);
    case TYPE_BIGINT: case TYPE_TIMESTAMP: case TYPE_TIMESTAMP_NTZ: case TYPE_INTERVAL_DT: return put_signed(out, column_int64(c, row), 8);
    case TYPE_FLOAT: return put_double(out, (double)column_float(c, row));
    case TYPE_DOUBLE: return put_double(out, column_double(c, row));
    case TYPE_DECIMAL: return put_signed(out, column_decimal(c, row), 16);
    case TYPE_STRING: case TYPE_BINARY: return put_string(out, column_string(c, row));
    case TYPE_INTERVAL: {
        const struct calendar_interval *v = (const struct calendar_interval *)column_base(c)->values + column_index(c, row);
        TRY(put_signed(out, v->months, 4));
        TRY(put_signed(out, v->days, 4));
        return put_signed(out, v->us, 8);
    }
    case TYPE_ARRAY: case TYPE_MAP: case TYPE_STRUCT: return put_nested(out, c, row);
    }
    return STATUS_INTERNAL;
}

enum status sort_key_write(const struct column *c, uint32_t row, bool descending, bool nulls_first, struct buffer *out) {
    if (!column_is_valid(c, row)) return buffer_append_byte(out, nulls_first ? 0 : 2);
    TRY(buffer_append_byte(out, 1));
    size_t begin = out->size_bytes;
    TRY(put_value(out, c, row));
    for (size_t i = begin; i < out->size_bytes && descending; i++) out->data[i] = (uint8_t)~out->data[i];
    return STATUS_OK;
}
