// SPDX-License-Identifier: Apache-2.0
// write.c: to_json: values as compact JSON the way Spark's JacksonGenerator writes them.
//
// Numbers are Java's texts, infinities and NaN quoted; decimals as BigDecimal.toString; timestamps cut to milliseconds; map keys are the
// text of Spark's internal value (a DATE key is its day number). Recursion is as deep as the type.
#include "column/datetime.h"
#include "column/decimal.h"
#include "column/number_text.h"
#include "column/value.h"
#include "json/json.h"
#include <math.h>
#include <stdio.h>

enum status json_write_string(const char *bytes, size_t size_bytes, struct buffer *out) {
    static const char hex[] = "0123456789ABCDEF";
    if (size_bytes == 0) return buffer_append(out, "\"\"", 2);
    TRY(buffer_append_byte(out, '"'));
    size_t done = 0;
    for (size_t i = 0; i < size_bytes; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        if (byte >= 0x20 && byte != '"' && byte != '\\') continue;
        static const char short_from[] = "\b\f\n\r\t\"\\", short_to[] = "bfnrt\"\\";
        char escape[6] = {'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15]};
        const char *found = memchr(short_from, byte, sizeof short_from - 1);
        if (found) escape[1] = short_to[found - short_from];
        TRY(buffer_append(out, bytes + done, i - done));
        TRY(buffer_append(out, escape, found ? 2 : 6));
        done = i + 1;
    }
    TRY(buffer_append(out, bytes + done, size_bytes - done));
    return buffer_append_byte(out, '"');
}

static enum status write_base64(const uint8_t *bytes, size_t size_bytes, struct buffer *out) {
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    TRY(buffer_append_byte(out, '"'));
    for (size_t i = 0; i < size_bytes; i += 3) {
        size_t left = size_bytes - i;
        uint32_t bits = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) | (left > 2 ? bytes[i + 2] : 0u);
        char four[4] = {alphabet[bits >> 18], alphabet[bits >> 12 & 63], left > 1 ? alphabet[bits >> 6 & 63] : '=', left > 2 ? alphabet[bits & 63] : '='};
        TRY(buffer_append(out, four, 4));
    }
    return buffer_append_byte(out, '"');
}

// BigDecimal.toString: plain unless the first digit stands further than six places behind the point.
static size_t print_big_decimal(decimal value, unsigned scale, char *out) {
    unsigned __int128 magnitude = value < 0 ? -(unsigned __int128)value : (unsigned __int128)value;
    int digits = 1;
    for (unsigned __int128 rest = magnitude; rest >= 10; rest /= 10) digits++;
    int adjusted = digits - 1 - (int)scale;
    if (adjusted >= -6) return decimal_print(value, scale, out);
    char text[DECIMAL_TEXT_MAX];
    size_t length = decimal_print(value, 0, text), sign = value < 0 ? 1 : 0, at = 0;
    for (size_t i = 0; i < length; i++) {
        out[at++] = text[i];
        if (i == sign && digits > 1) out[at++] = '.';
    }
    return at + (size_t)snprintf(out + at, 8, "E%d", adjusted);
}

static size_t print_zone_offset(int32_t offset, char *out) {
    if (offset == 0) {
        out[0] = 'Z';
        return 1;
    }
    unsigned seconds = (unsigned)(offset < 0 ? -offset : offset) % 360000u;
    int length = snprintf(out, 16, "%c%02u:%02u", offset < 0 ? '-' : '+', seconds / 3600, seconds / 60 % 60);
    if (seconds % 60) length += snprintf(out + length, 8, ":%02u", seconds % 60);
    return (size_t)length;
}

// yyyy-MM-dd'T'HH:mm:ss.SSS, and the offset if there is a zone.
static enum status write_timestamp(int64_t us, const struct timezone *zone, struct buffer *out) {
    char text[DATETIME_TEXT_MAX + 48] = "\"";
    int64_t wall = zone ? timezone_to_wall(zone, us) : us;
    size_t length = 1 + print_date((int32_t)floor_div(wall, US_PER_DAY), text + 1);
    unsigned ms = (unsigned)(floor_mod(wall, US_PER_DAY) / 1000);
    length += (size_t)snprintf(text + length, 24, "T%02u:%02u:%02u.%03u", ms / 3600000, ms / 60000 % 60, ms / 1000 % 60, ms % 1000);
    if (zone) length += print_zone_offset(timezone_offset_at(zone, us), text + length);
    text[length++] = '"';
    return buffer_append(out, text, length);
}

static enum status write_number(const struct column *c, uint32_t row, struct buffer *out) {
    char text[DECIMAL_TEXT_MAX + 8];
    size_t length;
    bool finite = true;
    switch (c->type->id) {
    case TYPE_TINYINT: length = print_int64(column_int8(c, row), text); break;
    case TYPE_SMALLINT: length = print_int64(column_int16(c, row), text); break;
    case TYPE_INT: length = print_int64(column_int32(c, row), text); break;
    case TYPE_BIGINT: length = print_int64(column_int64(c, row), text); break;
    case TYPE_FLOAT:
        length = print_float(column_float(c, row), text);
        finite = isfinite(column_float(c, row));
        break;
    case TYPE_DOUBLE:
        length = print_double(column_double(c, row), text);
        finite = isfinite(column_double(c, row));
        break;
    default: length = print_big_decimal(column_decimal(c, row), c->type->scale, text); break;
    }
    if (!finite) TRY(buffer_append_byte(out, '"'));
    TRY(buffer_append(out, text, length));
    return finite ? STATUS_OK : buffer_append_byte(out, '"');
}

static enum status write_text(const struct buffer *text, enum status status, struct buffer *out) {
    return status != STATUS_OK ? status : json_write_string((const char *)text->data, text->size_bytes, out);
}

// A value as CAST AS STRING shows it, in quotes: intervals.
static enum status write_printed(const struct column *c, uint32_t row, struct buffer *out) {
    struct buffer text;
    buffer_init(&text, out->memory);
    enum status status = write_text(&text, value_print(c, row, NULL, &text), out);
    buffer_release(&text);
    return status;
}

static enum status write_by_pattern(const struct column *c, int64_t value, const char *pattern, const struct json_write_options *o, struct buffer *out) {
    struct buffer text;
    if (!o->print_pattern) return STATUS_UNSUPPORTED;
    buffer_init(&text, out->memory);
    enum status status = write_text(&text, o->print_pattern(o->print_context, pattern, value, c->type, &text), out);
    buffer_release(&text);
    return status;
}

// Java's toString of Spark's internal value: days for a DATE, a struct as [1,x].
static enum status print_key(const struct column *c, uint32_t row, struct buffer *out) {
    char text[NUMBER_TEXT_MAX];
    if (!column_is_valid(c, row)) return buffer_append(out, "null", 4);
    row = column_index(c, row);
    c = column_base(c);
    switch (c->type->id) {
    case TYPE_DATE: case TYPE_INTERVAL_YM: return buffer_append(out, text, print_int64(column_int32(c, row), text));
    case TYPE_TIMESTAMP: case TYPE_TIMESTAMP_NTZ: case TYPE_INTERVAL_DT: return buffer_append(out, text, print_int64(column_int64(c, row), text));
    case TYPE_STRUCT:
        for (uint32_t i = 0; i < c->type->field_count; i++) {
            TRY(buffer_append_byte(out, i ? ',' : '['));
            TRY(print_key(&c->children[i], row, out));
        }
        return buffer_append_byte(out, ']');
    default: return value_print(c, row, NULL, out);
    }
}

static enum status write_key(const struct column *c, uint32_t row, struct buffer *out) {
    struct buffer text;
    if (c->type->id == TYPE_STRING) {
        const struct string_view *key = column_string(c, row);
        return json_write_string(string_view_data(key), key->size_bytes, out);
    }
    buffer_init(&text, out->memory);
    enum status status = write_text(&text, print_key(c, row, &text), out);
    buffer_release(&text);
    return status;
}

static enum status write_value(const struct column *c, uint32_t row, const struct json_write_options *o, struct buffer *out);

static enum status write_struct(const struct column *c, uint32_t row, const struct json_write_options *o, struct buffer *out) {
    bool first = true;
    TRY(buffer_append_byte(out, '{'));
    for (uint32_t i = 0; i < c->type->field_count; i++) {
        const struct column *child = &c->children[i];
        if (!o->keep_nulls && !column_is_valid(child, row)) continue;
        if (!first) TRY(buffer_append_byte(out, ','));
        first = false;
        TRY(json_write_string(c->type->fields[i].name, strlen(c->type->fields[i].name), out));
        TRY(buffer_append_byte(out, ':'));
        TRY(write_value(child, row, o, out));
    }
    return buffer_append_byte(out, '}');
}

static enum status write_list(const struct column *c, uint32_t row, const struct json_write_options *o, struct buffer *out) {
    bool is_map = c->type->id == TYPE_MAP;
    int32_t begin = column_list_begin(c, row), end = column_list_end(c, row);
    TRY(buffer_append_byte(out, is_map ? '{' : '['));
    for (int32_t i = begin; i < end; i++) {
        if (i > begin) TRY(buffer_append_byte(out, ','));
        if (is_map) {
            TRY(write_key(&c->children[0], (uint32_t)i, out));
            TRY(buffer_append_byte(out, ':'));
        }
        TRY(write_value(&c->children[is_map ? 1 : 0], (uint32_t)i, o, out));
    }
    return buffer_append_byte(out, is_map ? '}' : ']');
}

static enum status write_time(const struct column *c, uint32_t row, const struct json_write_options *o, struct buffer *out) {
    switch (c->type->id) {
    case TYPE_DATE: {
        if (o->date_format) return write_by_pattern(c, column_int32(c, row), o->date_format, o, out);
        char text[DATETIME_TEXT_MAX];
        return json_write_string(text, print_date(column_int32(c, row), text), out);
    }
    case TYPE_TIMESTAMP:
        if (o->timestamp_format) return write_by_pattern(c, column_int64(c, row), o->timestamp_format, o, out);
        return write_timestamp(column_int64(c, row), o->zone ? o->zone : &timezone_utc, out);
    default:
        if (o->timestamp_ntz_format) return write_by_pattern(c, column_int64(c, row), o->timestamp_ntz_format, o, out);
        return write_timestamp(column_int64(c, row), NULL, out);
    }
}

static enum status write_value(const struct column *c, uint32_t row, const struct json_write_options *o, struct buffer *out) {
    if (!column_is_valid(c, row)) return buffer_append(out, "null", 4);
    row = column_index(c, row);
    c = column_base(c);
    const struct string_view *s;
    switch (c->type->id) {
    case TYPE_BOOLEAN: return buffer_append_string(out, column_bool(c, row) ? "true" : "false");
    case TYPE_STRING: s = column_string(c, row); return json_write_string(string_view_data(s), s->size_bytes, out);
    case TYPE_BINARY: s = column_string(c, row); return write_base64((const uint8_t *)string_view_data(s), s->size_bytes, out);
    case TYPE_DATE: case TYPE_TIMESTAMP: case TYPE_TIMESTAMP_NTZ: return write_time(c, row, o, out);
    case TYPE_INTERVAL: case TYPE_INTERVAL_YM: case TYPE_INTERVAL_DT: return write_printed(c, row, out);
    case TYPE_STRUCT: return write_struct(c, row, o, out);
    case TYPE_ARRAY: case TYPE_MAP: return write_list(c, row, o, out);
    default: return write_number(c, row, out);
    }
}

static enum status write_indent(uint32_t depth, struct buffer *out) {
    TRY(buffer_append_byte(out, '\n'));
    for (uint32_t i = 0; i < depth; i++) TRY(buffer_append(out, "  ", 2));
    return STATUS_OK;
}

// Jackson's default layout of compact JSON that we wrote: objects a member a line, lists on one.
static enum status write_pretty(const char *text, size_t size_bytes, struct buffer *out) {
    uint32_t depth = 0;
    bool in_list = false;  // of what holds the comma at hand: a list's are inline
    uint64_t lists[16] = {0};
    uint32_t level = 0;
    for (size_t i = 0; i < size_bytes; i++) {
        char byte = text[i];
        if (byte == '"') {
            size_t start = i++;
            while (text[i] != '"') i += text[i] == '\\' ? 2 : 1;
            TRY(buffer_append(out, text + start, i + 1 - start));
        } else if (byte == '{' || byte == '[') {
            TRY(buffer_append_byte(out, (uint8_t)byte));
            if (level + 1 < sizeof lists * 8) level++;
            in_list = byte == '[';
            bitmap_put(lists, level, in_list);
            bool empty = text[i + 1] == '}' || text[i + 1] == ']';
            depth += byte == '{';
            if (empty || byte == '[') TRY(buffer_append_byte(out, ' '));
            else TRY(write_indent(depth, out));
        } else if (byte == '}' || byte == ']') {
            bool empty = text[i - 1] == '{' || text[i - 1] == '[';
            depth -= byte == '}';
            level--;
            in_list = bitmap_get(lists, level);
            if (!empty && byte == ']') TRY(buffer_append_byte(out, ' '));
            else if (!empty) TRY(write_indent(depth, out));
            TRY(buffer_append_byte(out, (uint8_t)byte));
        } else if (byte == ':') {
            TRY(buffer_append(out, " : ", 3));
        } else {
            TRY(buffer_append_byte(out, (uint8_t)byte));
            if (byte == ',' && in_list) TRY(buffer_append_byte(out, ' '));
            else if (byte == ',') TRY(write_indent(depth, out));
        }
    }
    return STATUS_OK;
}

enum status json_write(const struct column *c, uint32_t row, const struct json_write_options *options, struct buffer *out) {
    if (!options->pretty) return write_value(c, row, options, out);
    struct buffer compact;
    buffer_init(&compact, out->memory);
    enum status status = write_value(c, row, options, &compact);
    if (status == STATUS_OK) status = write_pretty((const char *)compact.data, compact.size_bytes, out);
    buffer_release(&compact);
    return status;
}

enum status json_write_value(const struct column *c, uint32_t row, const struct timezone *zone, bool keep_nulls, struct buffer *out) {
    const struct json_write_options options = {.zone = zone, .keep_nulls = keep_nulls};
    return write_value(c, row, &options, out);
}
