// SPDX-License-Identifier: Apache-2.0
// document.h: BSON, written straight into a buffer and read in place. A format of our own making of the published one: libbson appends a field
// with a call and a copy each, which costs more than all else that a row needs.
//
//     document   [ size:4 | element … | 0 ]          element   [ type:1 | name … 0 | value ]        numbers little-endian
//     string     [ size:4 with the 0 | bytes | 0 ]   binary    [ size:4 | subtype:1 | bytes ]      array: a document named "0", "1" …
//
// Writing: `document_begin`, elements, `document_end`; nested ones by `document_open`, `document_end`. Every call can be refused memory; what was
// written until then is the caller's to drop. Reading checks every length against what it stands in: replies of a server are not trusted.
#pragma once
#include "base/buffer.h"
#include <string.h>

enum document_type {
    DOCUMENT_DOUBLE = 0x01, DOCUMENT_STRING = 0x02, DOCUMENT_DOCUMENT = 0x03, DOCUMENT_ARRAY = 0x04, DOCUMENT_BINARY = 0x05, DOCUMENT_UNDEFINED = 0x06,
    DOCUMENT_OBJECT_ID = 0x07, DOCUMENT_BOOLEAN = 0x08, DOCUMENT_DATE = 0x09, DOCUMENT_NULL = 0x0A, DOCUMENT_REGEX = 0x0B, DOCUMENT_POINTER = 0x0C,
    DOCUMENT_CODE = 0x0D, DOCUMENT_SYMBOL = 0x0E, DOCUMENT_CODE_SCOPE = 0x0F, DOCUMENT_INT32 = 0x10, DOCUMENT_TIMESTAMP = 0x11, DOCUMENT_INT64 = 0x12,
    DOCUMENT_DECIMAL = 0x13, DOCUMENT_MAX_KEY = 0x7F, DOCUMENT_MIN_KEY = 0xFF,
};
enum { DOCUMENT_BYTES_MAX = 16 << 20, DOCUMENT_DEPTH_MAX = 100 };  // as MongoDB has it

// --- writing ---

static inline enum status document_begin(struct buffer *b, size_t *start) {
    *start = b->size_bytes;
    return buffer_append(b, "\0\0\0\0", 4);
}
enum status document_end(struct buffer *b, size_t start) WARN_UNUSED;  // STATUS_LIMIT: over 2 GB

// [type | name | 0], then room for the value: a pointer to its first byte, NULL: no memory.
static inline uint8_t *document_element(struct buffer *b, uint8_t type, const char *name, size_t name_bytes, size_t value_bytes) {
    if (b->capacity_bytes - b->size_bytes < name_bytes + value_bytes + 2 && buffer_reserve(b, name_bytes + value_bytes + 2) != STATUS_OK) return NULL;
    uint8_t *at = b->data + b->size_bytes;
    *at++ = type;
    memcpy(at, name, name_bytes);
    at[name_bytes] = 0;
    b->size_bytes += name_bytes + value_bytes + 2;
    return at + name_bytes + 1;
}
static inline enum status document_put(struct buffer *b, uint8_t type, const char *name, size_t name_bytes, const void *value, size_t value_bytes) {
    uint8_t *at = document_element(b, type, name, name_bytes, value_bytes);
    if (!at) return STATUS_NO_MEMORY;
    if (value_bytes) memcpy(at, value, value_bytes);
    return STATUS_OK;
}
static inline enum status document_put_bytes(struct buffer *b, const char *name, size_t name_bytes, const void *text, uint32_t text_bytes) {
    uint8_t *at = document_element(b, DOCUMENT_STRING, name, name_bytes, (size_t)text_bytes + 5);
    if (!at) return STATUS_NO_MEMORY;
    uint32_t size_bytes = text_bytes + 1;
    memcpy(at, &size_bytes, 4);
    if (text_bytes) memcpy(at + 4, text, text_bytes);
    at[4 + text_bytes] = 0;
    return STATUS_OK;
}
enum status document_put_string(struct buffer *b, const char *name, const char *text) WARN_UNUSED;
enum status document_put_int32(struct buffer *b, const char *name, int32_t value) WARN_UNUSED;
enum status document_put_int64(struct buffer *b, const char *name, int64_t value) WARN_UNUSED;
enum status document_put_boolean(struct buffer *b, const char *name, bool value) WARN_UNUSED;
enum status document_put_date(struct buffer *b, const char *name, int64_t ms) WARN_UNUSED;
enum status document_put_binary(struct buffer *b, const char *name, uint8_t subtype, const void *bytes, size_t size_bytes) WARN_UNUSED;
// A nested document or array; ended by document_end.
enum status document_open(struct buffer *b, uint8_t type, const char *name, size_t *start) WARN_UNUSED;
// Decimal digits of an array's index; returns how many.
size_t document_index(uint32_t index, char out[10]);

// --- reading ---

struct document_value {
    uint8_t type;
    const char *name;              // NUL-terminated, in the document
    uint32_t name_bytes;
    const uint8_t *bytes;          // of the value, without alignment
    uint32_t size_bytes;
};
struct document_reader {
    const uint8_t *next, *end;     // end: the closing 0
    bool broken;                   // what was read is no BSON
};

// *broken where `bytes` does not hold a document of just that size.
struct document_reader document_read(const uint8_t *bytes, size_t size_bytes);
bool document_next(struct document_reader *r, struct document_value *out);  // false: the end, or broken
// A field of the top level. False: there is none.
bool document_find(const uint8_t *bytes, size_t size_bytes, const char *name, struct document_value *out);

static inline int64_t document_load64(const struct document_value *v) {
    int64_t value;
    memcpy(&value, v->bytes, 8);
    return value;
}
static inline int32_t document_load32(const struct document_value *v) {
    int32_t value;
    memcpy(&value, v->bytes, 4);
    return value;
}
// Any of the numbers as an integer (a fraction is cut); 0 where it is none.
int64_t document_integer(const struct document_value *v);
// Bytes of a STRING, SYMBOL or CODE without its 0.
static inline const char *document_text(const struct document_value *v, uint32_t *size_bytes) {
    *size_bytes = v->size_bytes - 5;
    return (const char *)v->bytes + 4;
}
static inline bool document_text_is(const struct document_value *v, const char *text) {
    uint32_t size_bytes;
    if (v->type != DOCUMENT_STRING) return false;
    const char *found = document_text(v, &size_bytes);
    return size_bytes == strlen(text) && memcmp(found, text, size_bytes) == 0;
}
// Conveniences over document_find: the default where there is none of a fitting type.
int64_t document_find_integer(const uint8_t *bytes, size_t size_bytes, const char *name, int64_t otherwise);
bool document_find_boolean(const uint8_t *bytes, size_t size_bytes, const char *name);  // a number other than 0 too
const char *document_find_text(const uint8_t *bytes, size_t size_bytes, const char *name);  // NUL-terminated by the format; NULL: none
