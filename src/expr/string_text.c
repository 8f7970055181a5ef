// SPDX-License-Identifier: Apache-2.0
// string_text.c: see string_text.h.
//
// Positions in Spark's string functions count code points, from 1. Bytes that are no UTF-8 count one each (base/utf8.h), so that no
// function fails on broken text. Text of ASCII only is the common case and is recognised before counting.
#include "expr/string_text.h"

char *text_room(char *local, size_t size_bytes, uint32_t row, struct eval *eval) {
    if (size_bytes <= STRING_INLINE_MAX) return local;
    if (size_bytes > TEXT_MAX_BYTES) {
        eval_fail(eval, row, "COLLECTION_SIZE_LIMIT_EXCEEDED.FUNCTION", "The result is longer than 2147483631 bytes");
        return NULL;
    }
    return eval_alloc(eval, size_bytes);
}

ptrdiff_t text_find(struct text t, struct text needle, size_t from) {
    if (from > t.size_bytes) return -1;
    if (!needle.size_bytes) return (ptrdiff_t)from;
    const char *found = memmem(t.bytes + from, t.size_bytes - from, needle.bytes, needle.size_bytes);
    return found ? found - t.bytes : -1;
}

ptrdiff_t text_find_last(struct text t, struct text needle, size_t before) {
    if (needle.size_bytes > t.size_bytes) return -1;
    size_t last = t.size_bytes - needle.size_bytes + 1, end = before < last ? before : last;
    if (!needle.size_bytes) return (ptrdiff_t)end - 1;
    for (const char *at; end > 0 && (at = memrchr(t.bytes, needle.bytes[0], end)); end = (size_t)(at - t.bytes)) {
        if (memcmp(at, needle.bytes, needle.size_bytes) == 0) return at - t.bytes;
    }
    return -1;
}

// Half-open range of units from Spark's position and length over `count` units.
static void substring_range(int64_t count, int64_t position, int64_t length, int64_t *begin, int64_t *end) {
    int64_t start = position > 0 ? position - 1 : position < 0 ? count + position : 0;
    int64_t stop = start + length;
    *begin = start < 0 ? 0 : start > count ? count : start;
    *end = stop < *begin ? *begin : stop > count ? count : stop;
}

struct text text_substring_bytes(struct text t, int64_t position, int64_t length) {
    int64_t begin, end;
    substring_range((int64_t)t.size_bytes, position, length, &begin, &end);
    return (struct text){t.bytes + begin, (size_t)(end - begin)};
}

struct text text_substring(struct text t, int64_t position, int64_t length) {
    if (ascii_only(t.bytes, t.size_bytes)) return text_substring_bytes(t, position, length);
    int64_t begin, end;
    substring_range((int64_t)utf8_length(t.bytes, t.size_bytes), position, length, &begin, &end);
    size_t begin_byte = utf8_offset(t.bytes, t.size_bytes, (size_t)begin);
    size_t end_byte = begin_byte + utf8_offset(t.bytes + begin_byte, t.size_bytes - begin_byte, (size_t)(end - begin));
    return (struct text){t.bytes + begin_byte, end_byte - begin_byte};
}

enum status variadic_bind(struct binding *b, struct error *e) {
    struct variadic *data = arena_alloc_zeroed(b->arena, sizeof *data);
    if (!data) return error_no_memory(e);
    data->arg_count = b->arg_count;
    b->data = data;
    return STATUS_OK;
}

bool binding_all_of(const struct binding *b, uint32_t first, uint32_t count, enum type_id id) {
    for (uint32_t i = first; i < first + count && i < b->arg_count; i++) {
        if (b->args[i]->type->id != id) return false;
    }
    return true;
}

enum status binding_value_error(struct binding *b, uint32_t index, const char *condition, const char *message, struct error *e) {
    enum status status = error_set(e, STATUS_INVALID_QUERY, condition, "`%s`: %s", b->name, message);
    if (e) e->span = index < b->arg_count ? b->args[index]->span : b->span;
    return status;
}
