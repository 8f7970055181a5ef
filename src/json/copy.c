// SPDX-License-Identifier: Apache-2.0
// copy.c: a value written again in the compact form that Jackson gives when it copies a tree: what from_json puts into a STRING that meets
// something else, and what get_json_object returns. One loop, no recursion.
#include "column/number_text.h"
#include "json/reader.h"
#include <math.h>
#include <stdio.h>

enum status json_copy_number(const struct json_number *number, struct buffer *out) {
    if (number->kind == JSON_NUMBER_INTEGER) {
        const char *digits = number->bytes + (number->negative ? 1 : 0), *end = number->bytes + number->size_bytes;
        while (end - digits > 1 && *digits == '0') digits++;
        if (number->negative && *digits != '0') TRY(buffer_append_byte(out, '-'));
        return buffer_append(out, digits, (size_t)(end - digits));
    }
    char text[NUMBER_TEXT_MAX];
    double value = json_number_double(number);
    size_t length = print_double(value, text);
    bool finite = isfinite(value);
    if (!finite) TRY(buffer_append_byte(out, '"'));
    TRY(buffer_append(out, text, length));
    return finite ? STATUS_OK : buffer_append_byte(out, '"');
}

// Characters beyond U+FFFF are written as two escapes, as Jackson does when it copies a tree into bytes. `start`: where the string begins.
static enum status escape_supplementary(struct buffer *out, size_t start) {
    size_t i = start;
    while (i < out->size_bytes && ((uint8_t *)out->data)[i] < 0xf0) i++;
    if (i == out->size_bytes) return STATUS_OK;
    struct buffer rest;
    buffer_init(&rest, out->memory);
    enum status status = buffer_append(&rest, (const char *)out->data + i, out->size_bytes - i);
    if (status == STATUS_OK) out->size_bytes = i;
    const uint8_t *bytes = (const uint8_t *)rest.data;
    for (i = 0; status == STATUS_OK && i < rest.size_bytes;) {
        if (bytes[i] < 0xf0 || rest.size_bytes - i < 4) {
            status = buffer_append_byte(out, bytes[i++]);
            continue;
        }
        uint32_t code = ((bytes[i] & 7u) << 18 | (bytes[i + 1] & 63u) << 12 | (bytes[i + 2] & 63u) << 6 | (bytes[i + 3] & 63u)) - 0x10000;
        char text[16];
        int length = snprintf(text, sizeof text, "\\u%04X\\u%04X", (0xd800 + (code >> 10)) & 0xffff, 0xdc00 + (code & 0x3ff));
        status = buffer_append(out, text, (size_t)length);
        i += 4;
    }
    buffer_release(&rest);
    return status;
}

static enum status copy_string(const struct json_string *s, bool single, struct buffer *out) {
    size_t start = out->size_bytes;
    if (!single && !(s->marks & JSON_STRING_ESCAPED) && json_string_is_plain(s)) {
        TRY(buffer_append_byte(out, '"'));
        TRY(buffer_append(out, s->bytes, s->size_bytes));
        TRY(buffer_append_byte(out, '"'));
        return escape_supplementary(out, start);
    }
    struct buffer decoded;
    buffer_init(&decoded, out->memory);
    enum status status = buffer_reserve(&decoded, json_string_capacity(s));
    if (status == STATUS_OK) status = json_write_string((const char *)decoded.data, json_string_decode(s, (char *)decoded.data), out);
    buffer_release(&decoded);
    return status == STATUS_OK ? escape_supplementary(out, start) : status;
}

static enum status copy_scalar(struct json_cursor *c, struct buffer *out, bool *valid) {
    const char *start = c->next;
    if (*start == '"' || *start == '\'') {
        struct json_string s;
        *valid = json_scan_quoted(c, &s);
        bool again = *start == '\'' || (c->flags & JSON_FLAG_CONTROL);
        return *valid ? copy_string(&s, again, out) : STATUS_OK;
    }
    if (*start == 't' || *start == 'f' || *start == 'n') {
        *valid = c->scanner->skip_value(c);
        return *valid ? buffer_append(out, start, (size_t)(c->next - start)) : STATUS_OK;
    }
    struct json_number number;
    *valid = json_scan_number(c, &number);
    return *valid ? json_copy_number(&number, out) : STATUS_OK;
}

static enum status copy_key(struct json_cursor *c, struct buffer *out, bool *valid) {
    struct json_string s;
    (void)json_peek(c);
    bool again = (c->next < c->end && *c->next == '\'') || (c->flags & JSON_FLAG_CONTROL);
    *valid = json_scan_key(c, &s);
    if (!*valid) return STATUS_OK;
    TRY(copy_string(&s, again, out));
    return buffer_append_byte(out, ':');
}

// After a value: closes what ends here. *more: another member follows in the container at the cursor's depth.
static enum status copy_ends(struct json_cursor *c, const uint64_t *objects, uint32_t base_depth, struct buffer *out, bool *more, bool *valid) {
    *more = false;
    *valid = true;
    while (c->depth > base_depth) {
        int byte = json_peek(c);
        if (byte == ',') {
            c->next++;
            *more = true;
            *valid = json_peek(c) >= 0;
            return buffer_append_byte(out, ',');
        }
        if (byte != (bitmap_get(objects, c->depth) ? '}' : ']')) {
            *valid = false;
            return STATUS_OK;
        }
        c->next++;
        c->depth--;
        TRY(buffer_append_byte(out, (uint8_t)byte));
    }
    return STATUS_OK;
}

enum status json_copy_value(struct json_cursor *c, struct buffer *out, bool *valid) {
    uint64_t objects[JSON_DEPTH_MAX / 64 + 1];
    const uint32_t base_depth = c->depth;
    *valid = false;
    for (;;) {
        if (json_peek(c) < 0) return STATUS_OK;
        char first = *c->next;
        if (first == '{' || first == '[') {
            if (c->depth >= c->depth_limit) return STATUS_OK;
            c->depth++;
            bitmap_put(objects, c->depth, first == '{');
            c->next++;
            TRY(buffer_append_byte(out, (uint8_t)first));
            int byte = json_peek(c);
            if (byte != (first == '{' ? '}' : ']')) {
                if (first == '{') {
                    TRY(copy_key(c, out, valid));
                    if (!*valid) return STATUS_OK;
                }
                continue;
            }
        } else {
            TRY(copy_scalar(c, out, valid));
            if (!*valid) return STATUS_OK;
        }
        bool more;
        TRY(copy_ends(c, objects, base_depth, out, &more, valid));
        if (!*valid || !more) return STATUS_OK;
        if (bitmap_get(objects, c->depth)) {
            TRY(copy_key(c, out, valid));
            if (!*valid) return STATUS_OK;
        }
    }
}
