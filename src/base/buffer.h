// SPDX-License-Identifier: Apache-2.0
// buffer.h: growable bytes with a reference count.
//
// While one owner holds it, it grows (its bytes may move). Once shared (buffer_ref) it is immutable: string views point into it.
// The count is atomic, so a buffer may cross threads. Embedded use: init/release; shared use: new/ref/unref.
#pragma once
#include "base/memory.h"
#include "base/status.h"
#include <stdarg.h>

struct buffer {
    struct memory *memory;
    uint8_t *data;              // NULL while capacity_bytes is 0
    size_t size_bytes;          // ≤ capacity_bytes
    size_t capacity_bytes;
    _Atomic uint32_t reference_count;
};

void buffer_init(struct buffer *b, struct memory *memory);
void buffer_release(struct buffer *b);

struct buffer *buffer_new(struct memory *memory, size_t capacity_bytes);  // count 1; NULL if memory is refused
struct buffer *buffer_ref(struct buffer *b);
void buffer_unref(struct buffer *b);  // NULL is allowed

static inline void buffer_clear(struct buffer *b) { b->size_bytes = 0; }

enum status buffer_reserve(struct buffer *b, size_t extra_bytes) WARN_UNUSED;  // room for so many more
enum status buffer_append(struct buffer *b, const void *bytes, size_t size_bytes) WARN_UNUSED;
enum status buffer_append_string(struct buffer *b, const char *s) WARN_UNUSED;
enum status buffer_append_byte(struct buffer *b, uint8_t byte) WARN_UNUSED;
enum status buffer_printf(struct buffer *b, const char *format, ...) PRINTF_LIKE(2, 3) WARN_UNUSED;
enum status buffer_terminate(struct buffer *b) WARN_UNUSED;  // a NUL after the last byte, not counted in size_bytes
