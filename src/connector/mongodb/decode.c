// SPDX-License-Identifier: Apache-2.0
// decode.c: see decode.h.
#include "connector/mongodb/decode.h"
#include "column/datetime.h"
#include "column/decimal.h"
#include "column/number_text.h"
#include "json/json.h"
#include <math.h>

enum { DEPTH_MAX = DOCUMENT_DEPTH_MAX + 4 };

// --- numbers ---

bool decode_decimal(const uint8_t bytes[16], __int128 *coefficient, int *exponent) {
    uint64_t low, high;
    memcpy(&low, bytes, 8);
    memcpy(&high, bytes + 8, 8);
    if ((high >> 58 & 31) >= 30) return false;  // infinite, not a number
    bool large = (high >> 61 & 3) == 3;         // a coefficient above the largest: zero, says the format
    *exponent = (int)((large ? high >> 47 : high >> 49) & 0x3FFF) - 6176;
    unsigned __int128 magnitude = large ? 0 : (unsigned __int128)(high & UINT64_C(0x1FFFFFFFFFFFF)) << 64 | low;
    if (magnitude >= (unsigned __int128)decimal_power_of_ten(34)) magnitude = 0;
    *coefficient = high >> 63 ? -(__int128)magnitude : (__int128)magnitude;
    return true;
}

// As a decimal of the scale, exactly.
static bool decimal_at_scale(__int128 coefficient, int exponent, int scale, __int128 *out) {
    int shift = exponent + scale;
    *out = coefficient;
    for (; shift < 0 && *out; shift++) {
        if (*out % 10) return false;
        *out /= 10;
    }
    for (; shift > 0 && *out; shift--) {
        if (__builtin_mul_overflow(*out, (__int128)10, out)) return false;
    }
    return true;
}

static bool is_number(const struct document_value *v) {
    return v->type == DOCUMENT_INT32 || v->type == DOCUMENT_INT64 || v->type == DOCUMENT_DOUBLE || v->type == DOCUMENT_DECIMAL;
}

static double load_double(const struct document_value *v) {
    double value;
    memcpy(&value, v->bytes, 8);
    return value;
}

// What a decimal128 is that is no number: the format's five bits behind the sign.
static const char *special_decimal(const uint8_t bytes[16]) {
    if ((bytes[15] >> 2 & 31) == 31) return "NaN";
    return bytes[15] >> 7 ? "-Infinity" : "Infinity";
}

// By its text, so that it is the double nearest to it.
static double as_double(const struct document_value *v) {
    __int128 coefficient;
    int exponent;
    char text[DECIMAL_TEXT_MAX + 16];
    if (v->type == DOCUMENT_DOUBLE) return load_double(v);
    if (v->type != DOCUMENT_DECIMAL) return (double)document_integer(v);
    if (!decode_decimal(v->bytes, &coefficient, &exponent)) return strtod(special_decimal(v->bytes), NULL);
    size_t size_bytes = decimal_print(coefficient, 0, text);
    snprintf(text + size_bytes, sizeof text - size_bytes, "e%d", exponent);
    return strtod(text, NULL);
}

static bool as_integer(const struct document_value *v, int64_t *out) {
    __int128 coefficient;
    int exponent;
    if (v->type == DOCUMENT_DECIMAL) {
        if (!decode_decimal(v->bytes, &coefficient, &exponent) || !decimal_at_scale(coefficient, exponent, 0, &coefficient)) return false;
        *out = (int64_t)coefficient;
        return coefficient == *out;
    }
    *out = document_integer(v);
    return v->type != DOCUMENT_DOUBLE || (double)*out == load_double(v);
}

static bool as_decimal(const struct document_value *v, const struct type *t, __int128 *out) {
    __int128 coefficient;
    int exponent = 0;
    if (v->type == DOCUMENT_DOUBLE) return isfinite(load_double(v)) && decimal_from_double(load_double(v), t->precision, t->scale, out);
    if (v->type != DOCUMENT_DECIMAL) coefficient = document_integer(v);
    else if (!decode_decimal(v->bytes, &coefficient, &exponent)) return false;
    return decimal_at_scale(coefficient, exponent, t->scale, out) && decimal_fits(*out, t->precision);
}

// --- text ---

static void hexadecimal(const uint8_t *bytes, size_t size_bytes, char *out) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size_bytes; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
}

static enum status print_decimal_value(const struct document_value *v, struct buffer *out) {
    __int128 coefficient;
    int exponent;
    char text[DECIMAL_TEXT_MAX];
    if (!decode_decimal(v->bytes, &coefficient, &exponent)) return buffer_append_string(out, special_decimal(v->bytes));
    if (exponent <= 0 && exponent >= -38) return buffer_append(out, text, decimal_print(coefficient, (unsigned)-exponent, text));
    TRY(buffer_append(out, text, decimal_print(coefficient, 0, text)));
    return buffer_printf(out, "E%+d", exponent);
}

static enum status print_json(const struct document_value *v, unsigned depth, struct buffer *out);

static enum status print_members(const struct document_value *v, unsigned depth, struct buffer *out) {
    struct document_reader r = document_read(v->bytes, v->size_bytes);
    struct document_value item;
    bool object = v->type != DOCUMENT_ARRAY;
    TRY(buffer_append_byte(out, object ? '{' : '['));
    for (bool first = true; document_next(&r, &item); first = false) {
        if (!first) TRY(buffer_append_byte(out, ','));
        if (object) TRY(json_write_string(item.name, item.name_bytes, out));
        if (object) TRY(buffer_append_byte(out, ':'));
        TRY(print_json(&item, depth + 1, out));
    }
    return buffer_append_byte(out, object ? '}' : ']');
}

// A scalar's text, without quotes.
static enum status print_scalar(const struct document_value *v, struct buffer *out) {
    char text[64];
    uint32_t size_bytes;
    const char *bytes;
    switch (v->type) {
    case DOCUMENT_STRING: case DOCUMENT_SYMBOL: case DOCUMENT_CODE:
        bytes = document_text(v, &size_bytes);
        return buffer_append(out, bytes, size_bytes);
    case DOCUMENT_OBJECT_ID:
        hexadecimal(v->bytes, 12, text);
        return buffer_append(out, text, 24);
    case DOCUMENT_BOOLEAN: return buffer_append_string(out, *v->bytes ? "true" : "false");
    case DOCUMENT_INT32: case DOCUMENT_INT64: return buffer_printf(out, "%lld", (long long)document_integer(v));
    case DOCUMENT_DOUBLE: return buffer_append(out, text, print_double(load_double(v), text));
    case DOCUMENT_DECIMAL: return print_decimal_value(v, out);
    case DOCUMENT_DATE: {
        int64_t us;
        if (__builtin_mul_overflow(document_load64(v), (int64_t)1000, &us)) return buffer_printf(out, "%lld", (long long)document_load64(v));
        return buffer_append(out, text, print_timestamp(us, NULL, text));
    }
    case DOCUMENT_TIMESTAMP: return buffer_append(out, text, print_timestamp((int64_t)((uint64_t)document_load64(v) >> 32) * US_PER_SECOND, NULL, text));
    case DOCUMENT_REGEX: return buffer_append(out, v->bytes, strlen((const char *)v->bytes));
    case DOCUMENT_BINARY:
        for (uint32_t i = 5; i < v->size_bytes; i++) {
            hexadecimal(v->bytes + i, 1, text);
            TRY(buffer_append(out, text, 2));
        }
        return STATUS_OK;
    default: return STATUS_OK;
    }
}

static enum status print_json(const struct document_value *v, unsigned depth, struct buffer *out) {
    struct buffer text;
    if (depth > DEPTH_MAX) return buffer_append_string(out, "null");
    switch (v->type) {
    case DOCUMENT_DOCUMENT: case DOCUMENT_ARRAY: return print_members(v, depth, out);
    case DOCUMENT_NULL: case DOCUMENT_UNDEFINED: case DOCUMENT_MIN_KEY: case DOCUMENT_MAX_KEY: return buffer_append_string(out, "null");
    case DOCUMENT_BOOLEAN: case DOCUMENT_INT32: case DOCUMENT_INT64: return print_scalar(v, out);
    default: break;
    }
    buffer_init(&text, out->memory);
    enum status status = print_scalar(v, &text);
    bool bare = is_number(v) && isfinite(as_double(v));
    if (status == STATUS_OK) status = bare ? buffer_append(out, text.data, text.size_bytes) : json_write_string((const char *)text.data, text.size_bytes, out);
    buffer_release(&text);
    return status;
}

static enum status append_text(const struct document_value *v, struct column_builder *out) {
    struct buffer text;
    if (v->type == DOCUMENT_STRING) {
        uint32_t size_bytes;
        const char *bytes = document_text(v, &size_bytes);
        column_builder_append_bytes(out, bytes, size_bytes, true);
        return STATUS_OK;
    }
    buffer_init(&text, out->arena->memory);
    bool nested = v->type == DOCUMENT_DOCUMENT || v->type == DOCUMENT_ARRAY;
    enum status status = nested ? print_json(v, 0, &text) : print_scalar(v, &text);
    if (status == STATUS_OK) column_builder_append_bytes(out, (const char *)text.data, text.size_bytes, true);
    buffer_release(&text);
    return status;
}

// --- values ---

static void append_integer(const struct document_value *v, struct column_builder *out) {
    static const int64_t most[] = {[TYPE_TINYINT] = INT8_MAX, [TYPE_SMALLINT] = INT16_MAX, [TYPE_INT] = INT32_MAX, [TYPE_BIGINT] = INT64_MAX};
    int64_t value, limit = most[out->column.type->id];
    if (!is_number(v) || !as_integer(v, &value) || value > limit || value < -limit - 1) column_builder_append_null(out);
    else column_builder_append_fixed(out, &value);  // the low bytes
}

static void append_real(const struct document_value *v, struct column_builder *out) {
    double value = is_number(v) ? as_double(v) : 0;
    float narrow = (float)value;
    if (!is_number(v)) column_builder_append_null(out);
    else column_builder_append_fixed(out, out->column.type->id == TYPE_FLOAT ? (const void *)&narrow : (const void *)&value);
}

static void append_time(const struct document_value *v, struct column_builder *out) {
    int64_t ms = v->type == DOCUMENT_DATE ? document_load64(v) : (int64_t)((uint64_t)document_load64(v) >> 32) * 1000, us;
    int64_t days = floor_div(ms, 86400000);
    int32_t narrow = (int32_t)days;
    if (out->column.type->id == TYPE_DATE) {
        if (days == narrow) column_builder_append_fixed(out, &narrow);
        else column_builder_append_null(out);
    } else if (__builtin_mul_overflow(ms, (int64_t)1000, &us)) {
        column_builder_append_null(out);
    } else {
        column_builder_append_fixed(out, &us);
    }
}

static void append_binary(const struct document_value *v, struct column_builder *out) {
    uint32_t size_bytes;
    if (v->type == DOCUMENT_BINARY) {
        column_builder_append_bytes(out, (const char *)v->bytes + 5, v->size_bytes - 5, true);
    } else if (v->type == DOCUMENT_OBJECT_ID) {
        column_builder_append_bytes(out, (const char *)v->bytes, 12, true);
    } else if (v->type == DOCUMENT_STRING) {
        const char *text = document_text(v, &size_bytes);
        column_builder_append_bytes(out, text, size_bytes, true);
    } else {
        column_builder_append_null(out);
    }
}

static enum status append_list(const struct document_value *v, struct column_builder *out) {
    bool map = out->column.type->id == TYPE_MAP;
    struct document_reader r = document_read(v->bytes, v->size_bytes);
    struct document_value item;
    if (v->type != (map ? DOCUMENT_DOCUMENT : DOCUMENT_ARRAY) || (map && out->column.type->fields[0].type->id != TYPE_STRING)) {
        column_builder_append_null(out);
        return STATUS_OK;
    }
    while (document_next(&r, &item)) {
        if (map) column_builder_append_bytes(&out->children[0], item.name, item.name_bytes, true);
        TRY(decode_value(&item, &out->children[map]));
    }
    column_builder_end_list(out);
    return STATUS_OK;
}

static enum status append_struct(const struct document_value *v, struct column_builder *out) {
    const struct type *t = out->column.type;
    bool is_document;
    if (v->type != DOCUMENT_DOCUMENT) {
        column_builder_append_null(out);
        return STATUS_OK;
    }
    struct document_value *found = arena_alloc_array(out->arena, (size_t)t->field_count + 1, sizeof *found);
    bool *has = arena_alloc_array(out->arena, (size_t)t->field_count + 1, sizeof *has);
    if (!found || !has) return STATUS_NO_MEMORY;
    TRY(decode_row(v->bytes, v->size_bytes, t, NULL, found, has, out->children, &is_document));
    column_builder_end_struct(out);
    return STATUS_OK;
}

enum status decode_value(const struct document_value *v, struct column_builder *out) {
    __int128 wide;
    if (!v || v->type == DOCUMENT_NULL || v->type == DOCUMENT_UNDEFINED) {
        column_builder_append_null(out);
        return STATUS_OK;
    }
    switch (out->column.type->id) {
    case TYPE_BOOLEAN:
        if (v->type == DOCUMENT_BOOLEAN) column_builder_append_fixed(out, &(uint8_t){*v->bytes != 0});
        else column_builder_append_null(out);
        return STATUS_OK;
    case TYPE_TINYINT: case TYPE_SMALLINT: case TYPE_INT: case TYPE_BIGINT: append_integer(v, out); return STATUS_OK;
    case TYPE_FLOAT: case TYPE_DOUBLE: append_real(v, out); return STATUS_OK;
    case TYPE_DECIMAL:
        if (is_number(v) && as_decimal(v, out->column.type, &wide)) column_builder_append_fixed(out, &wide);
        else column_builder_append_null(out);
        return STATUS_OK;
    case TYPE_STRING: return append_text(v, out);
    case TYPE_BINARY: append_binary(v, out); return STATUS_OK;
    case TYPE_DATE: case TYPE_TIMESTAMP: case TYPE_TIMESTAMP_NTZ:
        if (v->type == DOCUMENT_DATE || v->type == DOCUMENT_TIMESTAMP) append_time(v, out);
        else column_builder_append_null(out);
        return STATUS_OK;
    case TYPE_ARRAY: case TYPE_MAP: return append_list(v, out);
    case TYPE_STRUCT: return append_struct(v, out);
    default: column_builder_append_null(out); return STATUS_OK;
    }
}

enum status decode_row(const uint8_t *bytes, size_t size_bytes, const struct type *schema, const uint64_t *wanted, struct document_value *found, bool *has,
                       struct column_builder *out, bool *is_document) {
    struct document_reader r = document_read(bytes, size_bytes);
    struct document_value item;
    uint32_t likely = 0;  // fields mostly come in the order of the columns
    memset(has, 0, schema->field_count * sizeof *has);
    while (document_next(&r, &item)) {
        for (uint32_t n = 0; n < schema->field_count; n++) {
            uint32_t i = likely + n < schema->field_count ? likely + n : likely + n - schema->field_count;
            if (strcmp(schema->fields[i].name, item.name) != 0) continue;
            found[i] = item;
            has[i] = true;
            likely = i + 1 < schema->field_count ? i + 1 : 0;
            break;
        }
    }
    *is_document = !r.broken;
    for (uint32_t i = 0; i < schema->field_count; i++) TRY(decode_value(has[i] && (!wanted || bitmap_get(wanted, i)) ? &found[i] : NULL, &out[i]));
    return STATUS_OK;
}
