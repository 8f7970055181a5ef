// SPDX-License-Identifier: Apache-2.0
// status.c: filling a struct error.
//
// Nothing here allocates, so that an error can be told when memory is what is missing. Text that does not fit is cut; a cut
// never splits a UTF-8 character.
#include "base/status.h"
#include "base/condition.h"
#include "base/utf8.h"
#include <stdio.h>
#include <string.h>

void error_clear(struct error *e) {
    if (e) *e = (struct error){.status = STATUS_OK};
}

// Copies a NUL-terminated text and cuts it to the room there is, at the end of a character.
static void copy_text(char *out, size_t out_bytes, const char *text) {
    size_t size_bytes = strlen(text);
    if (size_bytes >= out_bytes) {
        size_bytes = out_bytes - 1;
        while (size_bytes > 0 && ((uint8_t)text[size_bytes] & 0xc0) == 0x80) size_bytes--;
    }
    memcpy(out, text, size_bytes);
    out[size_bytes] = '\0';
}

// vsnprintf cuts anywhere: drops what is left of a split character at the end of a full field.
static void trim_split_character(char *text, size_t text_bytes) {
    size_t size_bytes = strlen(text);
    if (size_bytes + 1 < text_bytes) return;
    size_t start = size_bytes;
    while (start > 0 && size_bytes - start < 4 && ((uint8_t)text[start - 1] & 0xc0) == 0x80) start--;
    if (start == 0) return;
    uint8_t lead = (uint8_t)text[start - 1];
    size_t needed = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
    if (size_bytes - (start - 1) < needed) text[start - 1] = '\0';
}

static void format_text(char *out, size_t out_bytes, const char *format, va_list arguments) {
    if (vsnprintf(out, out_bytes, format, arguments) < 0) out[0] = '\0';
    trim_split_character(out, out_bytes);
}

enum status error_set(struct error *e, enum status status, const char *condition, const char *format, ...) {
    if (!e) return status;
    error_clear(e);
    e->status = status;
    if (condition) {
        copy_text(e->condition, sizeof e->condition, condition);
        copy_text(e->sqlstate, sizeof e->sqlstate, condition_sqlstate(condition));
    }
    va_list arguments;
    va_start(arguments, format);
    format_text(e->message, sizeof e->message, format, arguments);
    va_end(arguments);
    return status;
}

enum status error_set_errno(struct error *e, int errno_value, const char *format, ...) {
    if (!e) return STATUS_IO;
    error_clear(e);
    e->status = STATUS_IO;
    va_list arguments;
    va_start(arguments, format);
    format_text(e->message, sizeof e->message, format, arguments);
    va_end(arguments);
    char buffer[128] = "";
    const char *reason = strerror_r(errno_value, buffer, sizeof buffer);  // the GNU one
    size_t used = strlen(e->message);
    if (snprintf(e->message + used, sizeof e->message - used, ": %s", reason) < 0) e->message[used] = '\0';
    return STATUS_IO;
}

enum status error_no_memory(struct error *e) {
    return error_set(e, STATUS_NO_MEMORY, "LEAT_OUT_OF_MEMORY", "memory is exhausted, or its limit is reached");
}

// One character of the value, escaped; returns how many bytes it wrote, at most 8.
static size_t escape_character(const char *s, size_t size_bytes, char *out, size_t *consumed_bytes) {
    uint8_t byte = (uint8_t)s[0];
    *consumed_bytes = 1;
    if (byte == '\n' || byte == '\t' || byte == '\r') {
        out[0] = '\\';
        out[1] = byte == '\n' ? 'n' : byte == '\t' ? 't' : 'r';
        return 2;
    }
    size_t length = 1;
    bool broken = byte >= 0x80 && utf8_decode(s, size_bytes, &length) == 0xfffd && length == 1;
    bool control = byte < 0x20 || byte == 0x7f || (byte == 0xc2 && length == 2 && (uint8_t)s[1] < 0xa0);
    if (broken || control) {
        static const char digits[] = "0123456789ABCDEF";
        uint8_t shown = control && length == 2 ? (uint8_t)s[1] : byte;
        *consumed_bytes = length;
        out[0] = '\\';
        out[1] = 'x';
        out[2] = digits[shown >> 4];
        out[3] = digits[shown & 15];
        return 4;
    }
    *consumed_bytes = length;
    memcpy(out, s, length);
    return length;
}

void error_set_value(struct error *e, const void *bytes, size_t size_bytes) {
    if (!e) return;
    static const char cut[] = "…";
    const char *s = bytes;
    size_t used = 0;
    size_t room = sizeof e->value - sizeof cut;  // the ellipsis and the NUL always fit
    for (size_t i = 0; i < size_bytes;) {
        char shown[8];
        size_t consumed_bytes = 1;
        size_t shown_bytes = escape_character(s + i, size_bytes - i, shown, &consumed_bytes);
        if (used + shown_bytes > room) {
            memcpy(e->value + used, cut, sizeof cut - 1);
            used += sizeof cut - 1;
            break;
        }
        memcpy(e->value + used, shown, shown_bytes);
        used += shown_bytes;
        i += consumed_bytes;
    }
    e->value[used] = '\0';
}

void error_set_label(struct error *e, const char *format, ...) {
    if (!e) return;
    va_list arguments;
    va_start(arguments, format);
    format_text(e->label, sizeof e->label, format, arguments);
    va_end(arguments);
}

void error_set_hint(struct error *e, const char *format, ...) {
    if (!e) return;
    va_list arguments;
    va_start(arguments, format);
    format_text(e->hint, sizeof e->hint, format, arguments);
    va_end(arguments);
}

const char *status_name(enum status status) {
    switch (status) {
    case STATUS_OK: return "OK";
    case STATUS_NO_MEMORY: return "NO_MEMORY";
    case STATUS_INVALID_ARGUMENT: return "INVALID_ARGUMENT";
    case STATUS_INVALID_QUERY: return "INVALID_QUERY";
    case STATUS_DATA: return "DATA";
    case STATUS_IO: return "IO";
    case STATUS_CORRUPT: return "CORRUPT";
    case STATUS_LIMIT: return "LIMIT";
    case STATUS_NOT_FOUND: return "NOT_FOUND";
    case STATUS_UNSUPPORTED: return "UNSUPPORTED";
    case STATUS_UNREACHABLE: return "UNREACHABLE";
    case STATUS_CONFLICT: return "CONFLICT";
    case STATUS_INTERRUPTED: return "INTERRUPTED";
    case STATUS_INTERNAL: return "INTERNAL";
    }
    return "UNKNOWN";
}
