// SPDX-License-Identifier: Apache-2.0
// document.c: see document.h.
#include "connector/mongodb/document.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are stored as they lie in memory");

enum status document_end(struct buffer *b, size_t start) {
    TRY(buffer_append_byte(b, 0));
    size_t size_bytes = b->size_bytes - start;
    if (size_bytes > INT32_MAX) return STATUS_LIMIT;
    uint32_t size32 = (uint32_t)size_bytes;
    memcpy(b->data + start, &size32, 4);
    return STATUS_OK;
}

enum status document_put_string(struct buffer *b, const char *name, const char *text) { return document_put_bytes(b, name, strlen(name), text, (uint32_t)strlen(text)); }

enum status document_put_int32(struct buffer *b, const char *name, int32_t value) { return document_put(b, DOCUMENT_INT32, name, strlen(name), &value, 4); }

enum status document_put_int64(struct buffer *b, const char *name, int64_t value) { return document_put(b, DOCUMENT_INT64, name, strlen(name), &value, 8); }

enum status document_put_boolean(struct buffer *b, const char *name, bool value) {
    uint8_t byte = value;
    return document_put(b, DOCUMENT_BOOLEAN, name, strlen(name), &byte, 1);
}

enum status document_put_date(struct buffer *b, const char *name, int64_t ms) { return document_put(b, DOCUMENT_DATE, name, strlen(name), &ms, 8); }

enum status document_put_binary(struct buffer *b, const char *name, uint8_t subtype, const void *bytes, size_t size_bytes) {
    if (size_bytes > INT32_MAX - 16) return STATUS_LIMIT;
    uint8_t *at = document_element(b, DOCUMENT_BINARY, name, strlen(name), size_bytes + 5);
    uint32_t size32 = (uint32_t)size_bytes;
    if (!at) return STATUS_NO_MEMORY;
    memcpy(at, &size32, 4);
    at[4] = subtype;
    if (size_bytes) memcpy(at + 5, bytes, size_bytes);
    return STATUS_OK;
}

enum status document_open(struct buffer *b, uint8_t type, const char *name, size_t *start) {
    TRY(document_put(b, type, name, strlen(name), NULL, 0));
    return document_begin(b, start);
}

size_t document_index(uint32_t index, char out[10]) {
    char digits[10];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + index % 10);
        index /= 10;
    } while (index);
    for (size_t i = 0; i < count; i++) out[i] = digits[count - 1 - i];
    return count;
}

// --- reading ---

struct document_reader document_read(const uint8_t *bytes, size_t size_bytes) {
    struct document_reader r = {.broken = true};
    uint32_t said;
    if (size_bytes < 5) return r;
    memcpy(&said, bytes, 4);
    if (said != size_bytes || bytes[size_bytes - 1] != 0) return r;
    return (struct document_reader){.next = bytes + 4, .end = bytes + size_bytes - 1};
}

// Bytes of the value at r->next; SIZE_MAX: it does not fit, or the type is not known.
static size_t value_bytes(const struct document_reader *r, uint8_t type) {
    size_t left = (size_t)(r->end - r->next);
    uint32_t said = 0;
    if (left >= 4) memcpy(&said, r->next, 4);
    switch (type) {
    case DOCUMENT_DOUBLE: case DOCUMENT_DATE: case DOCUMENT_TIMESTAMP: case DOCUMENT_INT64: return left >= 8 ? 8 : SIZE_MAX;
    case DOCUMENT_INT32: return left >= 4 ? 4 : SIZE_MAX;
    case DOCUMENT_BOOLEAN: return left >= 1 ? 1 : SIZE_MAX;
    case DOCUMENT_OBJECT_ID: return left >= 12 ? 12 : SIZE_MAX;
    case DOCUMENT_DECIMAL: return left >= 16 ? 16 : SIZE_MAX;
    case DOCUMENT_UNDEFINED: case DOCUMENT_NULL: case DOCUMENT_MIN_KEY: case DOCUMENT_MAX_KEY: return 0;
    case DOCUMENT_STRING: case DOCUMENT_CODE: case DOCUMENT_SYMBOL:
        return left >= 5 && said >= 1 && said <= left - 4 && r->next[4 + said - 1] == 0 ? 4 + (size_t)said : SIZE_MAX;
    case DOCUMENT_DOCUMENT: case DOCUMENT_ARRAY: case DOCUMENT_CODE_SCOPE:
        return left >= 5 && said >= 5 && said <= left && r->next[said - 1] == 0 ? said : SIZE_MAX;
    case DOCUMENT_BINARY: return left >= 5 && said <= left - 5 ? 5 + (size_t)said : SIZE_MAX;
    case DOCUMENT_POINTER: return left >= 17 && said >= 1 && said <= left - 16 && r->next[4 + said - 1] == 0 ? 16 + (size_t)said : SIZE_MAX;
    case DOCUMENT_REGEX: {
        const uint8_t *pattern = memchr(r->next, 0, left);
        const uint8_t *flags = pattern ? memchr(pattern + 1, 0, (size_t)(r->end - pattern - 1)) : NULL;
        return flags ? (size_t)(flags + 1 - r->next) : SIZE_MAX;
    }
    default: return SIZE_MAX;
    }
}

bool document_next(struct document_reader *r, struct document_value *out) {
    if (r->broken || r->next >= r->end) return false;
    uint8_t type = *r->next;
    const uint8_t *name = r->next + 1, *name_end = name < r->end ? memchr(name, 0, (size_t)(r->end - name)) : NULL;
    r->broken = !name_end;
    if (r->broken) return false;
    r->next = name_end + 1;
    size_t size_bytes = value_bytes(r, type);
    r->broken = size_bytes == SIZE_MAX;
    if (r->broken) return false;
    *out = (struct document_value){.type = type, .name = (const char *)name, .name_bytes = (uint32_t)(name_end - name), .bytes = r->next, .size_bytes = (uint32_t)size_bytes};
    r->next += size_bytes;
    return true;
}

bool document_find(const uint8_t *bytes, size_t size_bytes, const char *name, struct document_value *out) {
    struct document_reader r = document_read(bytes, size_bytes);
    size_t name_bytes = strlen(name);
    while (document_next(&r, out)) {
        if (out->name_bytes == name_bytes && memcmp(out->name, name, name_bytes) == 0) return true;
    }
    return false;
}

int64_t document_integer(const struct document_value *v) {
    double real;
    switch (v->type) {
    case DOCUMENT_INT32: return document_load32(v);
    case DOCUMENT_INT64: case DOCUMENT_DATE: return document_load64(v);
    case DOCUMENT_BOOLEAN: return *v->bytes != 0;
    case DOCUMENT_DOUBLE:
        memcpy(&real, v->bytes, 8);
        return real >= -9.2e18 && real <= 9.2e18 ? (int64_t)real : 0;
    default: return 0;
    }
}

int64_t document_find_integer(const uint8_t *bytes, size_t size_bytes, const char *name, int64_t otherwise) {
    struct document_value v;
    if (!document_find(bytes, size_bytes, name, &v)) return otherwise;
    bool number = v.type == DOCUMENT_INT32 || v.type == DOCUMENT_INT64 || v.type == DOCUMENT_DOUBLE || v.type == DOCUMENT_BOOLEAN;
    return number ? document_integer(&v) : otherwise;
}

bool document_find_boolean(const uint8_t *bytes, size_t size_bytes, const char *name) { return document_find_integer(bytes, size_bytes, name, 0) != 0; }

const char *document_find_text(const uint8_t *bytes, size_t size_bytes, const char *name) {
    struct document_value v;
    return document_find(bytes, size_bytes, name, &v) && v.type == DOCUMENT_STRING ? (const char *)v.bytes + 4 : NULL;
}
