// SPDX-License-Identifier: Apache-2.0
// coding.h: how numbers and bytes are written in leat's own files (log, snapshots, state): little-endian, unsigned LEB128 varints,
// zigzag for signed, length-prefixed bytes. A reader never reads past its end: it turns `failed` and gives zeros from then on.
#pragma once
#include "base/buffer.h"
#include <string.h>

struct reader {
    const uint8_t *next;
    const uint8_t *end;
    bool failed;  // a read went past the end or met an impossible value; check once at the end
};

static inline struct reader reader_of(const void *bytes, size_t size_bytes) {
    return (struct reader){.next = bytes, .end = bytes ? (const uint8_t *)bytes + size_bytes : NULL};
}
uint64_t read_varint(struct reader *r);
int64_t read_signed(struct reader *r);
uint8_t read_byte(struct reader *r);
uint32_t read_fixed32(struct reader *r);
uint64_t read_fixed64(struct reader *r);
// A length-prefixed run of bytes within the reader's memory; NULL and *size_bytes = 0 on failure.
const uint8_t *read_bytes(struct reader *r, size_t *size_bytes);
// `size_bytes` raw bytes; NULL on failure.
const uint8_t *read_raw(struct reader *r, size_t size_bytes);

enum status write_varint(struct buffer *b, uint64_t value) WARN_UNUSED;
enum status write_signed(struct buffer *b, int64_t value) WARN_UNUSED;
enum status write_fixed32(struct buffer *b, uint32_t value) WARN_UNUSED;
enum status write_fixed64(struct buffer *b, uint64_t value) WARN_UNUSED;
enum status write_bytes(struct buffer *b, const void *bytes, size_t size_bytes) WARN_UNUSED;
enum status write_string(struct buffer *b, const char *s) WARN_UNUSED;  // write_bytes without the NUL
