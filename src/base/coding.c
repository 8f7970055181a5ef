// SPDX-License-Identifier: Apache-2.0
// coding.c: numbers and bytes of leat's own files. Varints are at most 10 bytes and must be minimal: one value has one encoding,
// so that encoded keys can be compared as bytes.
#include "base/coding.h"

static size_t reader_left(const struct reader *r) { return (size_t)(r->end - r->next); }

uint64_t read_varint(struct reader *r) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && !r->failed; shift += 7) {
        if (r->next == r->end) break;
        uint8_t byte = *r->next++;
        if (shift == 63 && byte > 1) break;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            if (byte == 0 && shift > 0) break;  // not minimal
            return value;
        }
    }
    r->failed = true;
    return 0;
}

int64_t read_signed(struct reader *r) {
    uint64_t zigzag = read_varint(r);
    return (int64_t)(zigzag >> 1) ^ -(int64_t)(zigzag & 1);
}

uint8_t read_byte(struct reader *r) {
    if (r->failed || r->next == r->end) {
        r->failed = true;
        return 0;
    }
    return *r->next++;
}

uint64_t read_fixed64(struct reader *r) {
    const uint8_t *bytes = read_raw(r, 8);
    uint64_t value = 0;
    for (unsigned i = 0; bytes && i < 8; i++) value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

uint32_t read_fixed32(struct reader *r) {
    const uint8_t *bytes = read_raw(r, 4);
    uint32_t value = 0;
    for (unsigned i = 0; bytes && i < 4; i++) value |= (uint32_t)bytes[i] << (8 * i);
    return value;
}

const uint8_t *read_raw(struct reader *r, size_t size_bytes) {
    if (r->failed || reader_left(r) < size_bytes) {
        r->failed = true;
        return NULL;
    }
    const uint8_t *bytes = r->next;
    if (size_bytes) r->next += size_bytes;  // an empty reader may stand on NULL
    return bytes;
}

const uint8_t *read_bytes(struct reader *r, size_t *size_bytes) {
    uint64_t length = read_varint(r);
    *size_bytes = 0;
    if (r->failed || length > reader_left(r)) {
        r->failed = true;
        return NULL;
    }
    *size_bytes = (size_t)length;
    return read_raw(r, (size_t)length);
}

enum status write_varint(struct buffer *b, uint64_t value) {
    uint8_t bytes[10];
    size_t count = 0;
    for (; value >= 0x80; value >>= 7) bytes[count++] = (uint8_t)(value | 0x80);
    bytes[count++] = (uint8_t)value;
    return buffer_append(b, bytes, count);
}

enum status write_signed(struct buffer *b, int64_t value) {
    return write_varint(b, ((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0));
}

enum status write_fixed32(struct buffer *b, uint32_t value) {
    uint8_t bytes[4];
    for (unsigned i = 0; i < 4; i++) bytes[i] = (uint8_t)(value >> (8 * i));
    return buffer_append(b, bytes, sizeof bytes);
}

enum status write_fixed64(struct buffer *b, uint64_t value) {
    uint8_t bytes[8];
    for (unsigned i = 0; i < 8; i++) bytes[i] = (uint8_t)(value >> (8 * i));
    return buffer_append(b, bytes, sizeof bytes);
}

enum status write_bytes(struct buffer *b, const void *bytes, size_t size_bytes) {
    TRY(write_varint(b, size_bytes));
    return buffer_append(b, bytes, size_bytes);
}

enum status write_string(struct buffer *b, const char *s) { return write_bytes(b, s, strlen(s)); }
