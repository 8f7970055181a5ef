// SPDX-License-Identifier: Apache-2.0
// value_code.c: values in leat's own encoding, for state, log and keys.
//
//     value    : 0 (NULL) | 1 payload
//     payload  : BOOLEAN one byte │ integers, dates, times, ANSI intervals: zigzag varint │ FLOAT 4, DOUBLE 8 bytes │ DECIMAL: zigzag
//                varint of 128 bits │ STRING, BINARY: length, bytes │ INTERVAL: three zigzag varints │ ARRAY, MAP: count, values
//                (of a map: key, value, key …) │ STRUCT: its fields
//
// One value has one encoding: varints are minimal, NaN and zero have one form each. Nothing tells the type: the reader knows it.
#include "column/value.h"
#include "column/decimal.h"
#include <math.h>

enum { CODE_NULL, CODE_VALUE };

static enum status write_float(float value, struct buffer *out) {
    if (isnan(value)) value = __builtin_nanf("");
    if (value == 0) value = 0;
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return write_fixed32(out, bits);
}

static enum status write_double(double value, struct buffer *out) {
    if (isnan(value)) value = __builtin_nan("");
    if (value == 0) value = 0;
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return write_fixed64(out, bits);
}

static enum status write_decimal(decimal value, struct buffer *out) {
    unsigned __int128 zigzag = (unsigned __int128)value << 1;
    if (value < 0) zigzag = ~zigzag;
    uint8_t bytes[19];
    size_t count = 0;
    for (; zigzag >= 0x80; zigzag >>= 7) bytes[count++] = (uint8_t)((uint8_t)zigzag | 0x80);
    bytes[count++] = (uint8_t)zigzag;
    return buffer_append(out, bytes, count);
}

static decimal read_decimal(struct reader *r) {
    unsigned __int128 zigzag = 0;
    for (unsigned shift = 0; shift < 128; shift += 7) {
        uint8_t byte = read_byte(r);
        bool too_large = shift == 126 && byte > 3, not_minimal = byte == 0 && shift > 0;
        if (r->failed || too_large || not_minimal) break;
        zigzag |= (unsigned __int128)(byte & 0x7f) << shift;
        if (byte < 0x80) return (decimal)(zigzag & 1 ? ~(zigzag >> 1) : zigzag >> 1);
    }
    r->failed = true;
    return 0;
}

static enum status write_nested(const struct column *base, uint32_t index, struct buffer *out) {
    uint32_t begin = index, end = index + 1;
    if (base->type->id != TYPE_STRUCT) {
        const int32_t *offsets = base->values;
        begin = (uint32_t)offsets[index];
        end = (uint32_t)offsets[index + 1];
        TRY(write_varint(out, end - begin));
    }
    for (uint32_t row = begin; row < end; row++) {
        for (uint32_t i = 0; i < base->type->field_count; i++) TRY(value_write(&base->children[i], row, out));
    }
    return STATUS_OK;
}

enum status value_write(const struct column *c, uint32_t row, struct buffer *out) {
    if (!column_is_valid(c, row)) return buffer_append_byte(out, CODE_NULL);
    TRY(buffer_append_byte(out, CODE_VALUE));
    const struct column *base = column_base(c);
    uint32_t i = column_index(c, row);
    const void *values = base->values;
    switch (base->type->id) {
    case TYPE_BOOLEAN: return buffer_append_byte(out, ((const uint8_t *)values)[i] != 0);
    case TYPE_TINYINT: return write_signed(out, ((const int8_t *)values)[i]);
    case TYPE_SMALLINT: return write_signed(out, ((const int16_t *)values)[i]);
    case TYPE_INT:
    case TYPE_DATE:
    case TYPE_INTERVAL_YM: return write_signed(out, ((const int32_t *)values)[i]);
    case TYPE_BIGINT:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMP_NTZ:
    case TYPE_INTERVAL_DT: return write_signed(out, ((const int64_t *)values)[i]);
    case TYPE_FLOAT: return write_float(((const float *)values)[i], out);
    case TYPE_DOUBLE: return write_double(((const double *)values)[i], out);
    case TYPE_DECIMAL: return write_decimal(((const decimal *)values)[i], out);
    case TYPE_STRING:
    case TYPE_BINARY: {
        const struct string_view *view = (const struct string_view *)values + i;
        return write_bytes(out, string_view_data(view), view->size_bytes);
    }
    case TYPE_INTERVAL: {
        const struct calendar_interval *interval = (const struct calendar_interval *)values + i;
        TRY(write_signed(out, interval->months));
        TRY(write_signed(out, interval->days));
        return write_signed(out, interval->us);
    }
    case TYPE_ARRAY:
    case TYPE_MAP:
    case TYPE_STRUCT: return write_nested(base, i, out);
    case TYPE_NULL: break;
    }
    return STATUS_INTERNAL;  // a NULL_TYPE row is never valid
}

static int64_t read_in_range(struct reader *r, int64_t least, int64_t most) {
    int64_t value = read_signed(r);
    if (value < least || value > most) r->failed = true;
    return value;
}

// Integers, dates, times and ANSI intervals, by width.
static void read_integer(struct reader *r, size_t width, struct column_builder *out) {
    int64_t least = width == 8 ? INT64_MIN : -(INT64_C(1) << (8 * width - 1));
    int64_t value = read_in_range(r, least, -(least + 1));
    if (r->failed) return;
    switch (width) {
    case 1: column_builder_append_fixed(out, &(int8_t){(int8_t)value}); break;
    case 2: column_builder_append_fixed(out, &(int16_t){(int16_t)value}); break;
    case 4: column_builder_append_fixed(out, &(int32_t){(int32_t)value}); break;
    default: column_builder_append_fixed(out, &value); break;
    }
}

// Each value takes a byte at least, so that a count beyond the bytes left is a lie.
static void read_list(struct reader *r, struct column_builder *out) {
    uint64_t count = read_varint(r);
    if (count > (uint64_t)(r->end - r->next)) r->failed = true;
    for (uint64_t k = 0; k < count && !r->failed && !out->failed; k++) {
        for (uint32_t i = 0; i < out->column.type->field_count; i++) value_read(r, &out->children[i]);
    }
    if (!r->failed) column_builder_end_list(out);
}

static void read_struct(struct reader *r, struct column_builder *out) {
    for (uint32_t i = 0; i < out->column.type->field_count && !out->failed; i++) value_read(r, &out->children[i]);
    if (!r->failed) column_builder_end_struct(out);
}

static void read_fixed(struct reader *r, struct column_builder *out) {
    const struct type *t = out->column.type;
    switch (t->id) {
    case TYPE_BOOLEAN: {
        uint8_t value = read_byte(r);
        if (value > 1) r->failed = true;
        if (!r->failed) column_builder_append_fixed(out, &value);
        break;
    }
    case TYPE_FLOAT: {
        uint32_t bits = read_fixed32(r);
        if (!r->failed) column_builder_append_fixed(out, &bits);
        break;
    }
    case TYPE_DOUBLE: {
        uint64_t bits = read_fixed64(r);
        if (!r->failed) column_builder_append_fixed(out, &bits);
        break;
    }
    case TYPE_DECIMAL: {
        decimal value = read_decimal(r);
        if (!decimal_fits(value, t->precision)) r->failed = true;
        if (!r->failed) column_builder_append_fixed(out, &value);
        break;
    }
    case TYPE_INTERVAL: {
        struct calendar_interval value;
        value.months = (int32_t)read_in_range(r, INT32_MIN, INT32_MAX);
        value.days = (int32_t)read_in_range(r, INT32_MIN, INT32_MAX);
        value.us = read_signed(r);
        if (!r->failed) column_builder_append_fixed(out, &value);
        break;
    }
    default: read_integer(r, type_width(t), out); break;
    }
}

void value_read(struct reader *r, struct column_builder *out) {
    uint8_t code = read_byte(r);
    const struct type *t = out->column.type;
    if (code > CODE_VALUE || (code == CODE_VALUE && t->id == TYPE_NULL)) r->failed = true;
    if (r->failed) return;
    if (code == CODE_NULL) {
        column_builder_append_null(out);
    } else if (type_is_text(t)) {
        size_t size_bytes;
        const uint8_t *bytes = read_bytes(r, &size_bytes);
        if (!r->failed) column_builder_append_bytes(out, (const char *)bytes, size_bytes, true);
    } else if (t->id == TYPE_STRUCT) {
        read_struct(r, out);
    } else if (type_is_nested(t)) {
        read_list(r, out);
    } else {
        read_fixed(r, out);
    }
}
