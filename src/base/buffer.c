// SPDX-License-Identifier: Apache-2.0
// buffer.c: growing and sharing bytes. Capacity doubles, so that appending is linear over a buffer's life.
#include "base/buffer.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { SMALLEST_BUFFER_BYTES = 64 };

void buffer_init(struct buffer *b, struct memory *memory) {
    b->memory = memory;
    b->data = NULL;
    b->size_bytes = 0;
    b->capacity_bytes = 0;
    atomic_init(&b->reference_count, 1);
}

void buffer_release(struct buffer *b) {
    memory_free(b->memory, b->data, b->capacity_bytes);
    b->data = NULL;
    b->size_bytes = 0;
    b->capacity_bytes = 0;
}

struct buffer *buffer_new(struct memory *memory, size_t capacity_bytes) {
    struct buffer *b = memory_alloc(memory, sizeof *b);
    if (!b) return NULL;
    buffer_init(b, memory);
    if (capacity_bytes > 0) {
        b->data = memory_alloc(memory, capacity_bytes);
        if (!b->data) {
            memory_free(memory, b, sizeof *b);
            return NULL;
        }
        b->capacity_bytes = capacity_bytes;
    }
    return b;
}

struct buffer *buffer_ref(struct buffer *b) {
    uint32_t before = atomic_fetch_add_explicit(&b->reference_count, 1, memory_order_relaxed);
    assert(before > 0);
    (void)before;
    return b;
}

void buffer_unref(struct buffer *b) {
    if (!b || atomic_fetch_sub_explicit(&b->reference_count, 1, memory_order_acq_rel) != 1) return;
    struct memory *memory = b->memory;
    buffer_release(b);
    memory_free(memory, b, sizeof *b);
}

enum status buffer_reserve(struct buffer *b, size_t extra_bytes) {
    if (b->capacity_bytes - b->size_bytes >= extra_bytes) return STATUS_OK;
    size_t needed;
    if (__builtin_add_overflow(b->size_bytes, extra_bytes, &needed) || needed > PTRDIFF_MAX / 2) return STATUS_NO_MEMORY;
    size_t capacity_bytes = b->capacity_bytes ? b->capacity_bytes * 2 : SMALLEST_BUFFER_BYTES;
    if (capacity_bytes < needed) capacity_bytes = needed;
    uint8_t *data = memory_resize(b->memory, b->data, b->capacity_bytes, capacity_bytes);
    if (!data) return STATUS_NO_MEMORY;
    b->data = data;
    b->capacity_bytes = capacity_bytes;
    return STATUS_OK;
}

enum status buffer_append(struct buffer *b, const void *bytes, size_t size_bytes) {
    if (size_bytes == 0) return STATUS_OK;
    TRY(buffer_reserve(b, size_bytes));
    memcpy(b->data + b->size_bytes, bytes, size_bytes);
    b->size_bytes += size_bytes;
    return STATUS_OK;
}

enum status buffer_append_string(struct buffer *b, const char *s) { return buffer_append(b, s, strlen(s)); }

enum status buffer_append_byte(struct buffer *b, uint8_t byte) {
    TRY(buffer_reserve(b, 1));
    b->data[b->size_bytes++] = byte;
    return STATUS_OK;
}

enum status buffer_printf(struct buffer *b, const char *format, ...) {
    TRY(buffer_reserve(b, SMALLEST_BUFFER_BYTES));
    for (;;) {
        size_t room = b->capacity_bytes - b->size_bytes;
        va_list arguments;
        va_start(arguments, format);
        int length = vsnprintf((char *)b->data + b->size_bytes, room, format, arguments);
        va_end(arguments);
        if (length < 0) return STATUS_INTERNAL;
        if ((size_t)length < room) {
            b->size_bytes += (size_t)length;
            return STATUS_OK;
        }
        TRY(buffer_reserve(b, (size_t)length + 1));
    }
}

enum status buffer_terminate(struct buffer *b) {
    TRY(buffer_reserve(b, 1));
    b->data[b->size_bytes] = '\0';
    return STATUS_OK;
}
