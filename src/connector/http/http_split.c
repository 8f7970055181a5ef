// SPDX-License-Identifier: Apache-2.0
// http_split.c: an answer's body into messages. A JSON body is checked as a whole first, so that a broken one gives no half of its elements.
#include "connector/http/http.h"
#include "json/json.h"
#include "json/scan.h"

const char *http_refusal_text(uint8_t reason) {
    return reason == HTTP_NO_ARRAY ? "the answer has no array where the option split says" : "the answer is not JSON, so it could not be split";
}

static enum status bad_split(struct error *e, const char *what) {
    error_set(e, STATUS_INVALID_ARGUMENT, "LEAT_BAD_OPTION", "the option split %s", what);
    error_set_hint(e, "none, lines, array, or where the array is: 'results', '$.data.items', '/data/items'");
    return STATUS_INVALID_ARGUMENT;
}

static enum status add_step(struct arena *a, const char *begin, size_t size_bytes, bool pointer, struct http_split *out, struct error *e) {
    if (out->step_count == HTTP_SPLIT_STEPS) return bad_split(e, "has more than 32 steps");
    if (!pointer && !size_bytes) return bad_split(e, "has an empty step");
    char *step = arena_strndup(a, begin, size_bytes);
    if (!step) return error_no_memory(e);
    size_t length = 0;
    for (size_t i = 0; i < size_bytes; i++) {
        char c = step[i];
        if (pointer && c == '~') {
            char code = i + 1 < size_bytes ? step[++i] : 0;
            if (code != '0' && code != '1') return bad_split(e, "has a ~ that is neither ~0 nor ~1");
            c = code == '0' ? '~' : '/';
        }
        step[length++] = c;
    }
    step[length] = 0;
    out->steps[out->step_count++] = step;
    return STATUS_OK;
}

enum status http_split_parse(struct arena *a, const char *text, struct http_split *out, struct error *e) {
    *out = (struct http_split){0};
    if (strcasecmp(text, "none") == 0) return STATUS_OK;
    out->kind = strcasecmp(text, "lines") == 0 ? HTTP_SPLIT_LINES : HTTP_SPLIT_PATH;
    if (out->kind == HTTP_SPLIT_LINES || strcasecmp(text, "array") == 0 || strcmp(text, "$") == 0) return STATUS_OK;
    bool pointer = text[0] == '/';
    if (pointer) text++;
    else if (strncmp(text, "$.", 2) == 0) text += 2;
    for (const char *begin = text;; begin++) {
        size_t length = strcspn(begin, pointer ? "/" : ".");
        TRY(add_step(a, begin, length, pointer, out, e));
        begin += length;
        if (!*begin) return STATUS_OK;
    }
}

static bool key_is(const struct json_string *key, const char *step, struct memory *memory, enum status *status) {
    if (json_string_is_plain(key) && !(key->marks & JSON_STRING_ESCAPED)) {
        return key->size_bytes == strlen(step) && memcmp(key->bytes, step, key->size_bytes) == 0;
    }
    struct buffer decoded;
    buffer_init(&decoded, memory);
    *status = buffer_reserve(&decoded, json_string_capacity(key));
    bool same = false;
    if (*status == STATUS_OK) {
        size_t size_bytes = json_string_decode(key, (char *)decoded.data);
        same = size_bytes == strlen(step) && memcmp(decoded.data, step, size_bytes) == 0;
    }
    buffer_release(&decoded);
    return same;
}

// From an object to the value of its first member of that name.
static bool enter_member(struct json_cursor *c, const char *step, struct memory *memory, enum status *status) {
    if (json_peek(c) != '{') return false;
    c->next++;
    while (json_peek(c) == '"') {
        struct json_string key;
        if (!json_scan_key(c, &key)) return false;
        if (key_is(&key, step, memory, status)) return true;
        if (*status != STATUS_OK || !json_skip_value(c)) return false;
        if (json_peek(c) != ',') return false;
        c->next++;
    }
    return false;
}

static enum status refuse(const struct buffer *body, enum http_refusal reason, struct memory *memory, struct spool *spool, int64_t time_us,
                          struct error *e) {
    struct buffer payload;
    buffer_init(&payload, memory);
    enum status status = buffer_append_byte(&payload, (uint8_t)reason);
    if (status == STATUS_OK && body->size_bytes) status = buffer_append(&payload, body->data, body->size_bytes);
    status = status == STATUS_OK ? spool_add(spool, SPOOL_REFUSED, payload.data, payload.size_bytes, time_us, e) : error_no_memory(e);
    buffer_release(&payload);
    return status;
}

static enum status add_elements(struct json_cursor *c, struct spool *spool, int64_t time_us, struct error *e) {
    c->next++;
    while (json_peek(c) >= 0 && *c->next != ']') {
        const char *begin = c->next;
        if (!json_skip_value(c)) break;
        TRY(spool_add(spool, SPOOL_MESSAGE, begin, (size_t)(c->next - begin), time_us, e));
        if (json_peek(c) != ',') break;
        c->next++;
    }
    return STATUS_OK;
}

static enum status add_array(const struct http_split *split, const struct buffer *body, struct memory *memory, struct spool *spool, int64_t time_us,
                             struct error *e) {
    const char *text = (const char *)body->data;
    size_t size_bytes = body->size_bytes;
    if (size_bytes >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) text += 3, size_bytes -= 3;
    if (!size_bytes || !json_valid(text, size_bytes, 0, NULL)) return refuse(body, HTTP_NOT_JSON, memory, spool, time_us, e);
    struct json_cursor c;
    enum status status = STATUS_OK;
    json_cursor_init(&c, text, size_bytes, 0, 0, json_scanner_best());
    bool there = true;
    for (uint32_t i = 0; i < split->step_count && there; i++) there = enter_member(&c, split->steps[i], memory, &status);
    if (status != STATUS_OK) return error_no_memory(e);
    if (!there || json_peek(&c) != '[') return refuse(body, HTTP_NO_ARRAY, memory, spool, time_us, e);
    return add_elements(&c, spool, time_us, e);
}

static enum status add_lines(const struct buffer *body, struct spool *spool, int64_t time_us, struct error *e) {
    const char *at = (const char *)body->data, *end = at + body->size_bytes;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at)), *last = newline ? newline : end;
        size_t length = (size_t)(last - at);
        if (length && at[length - 1] == '\r') length--;
        if (length) TRY(spool_add(spool, SPOOL_MESSAGE, at, length, time_us, e));
        at = newline ? newline + 1 : end;
    }
    return STATUS_OK;
}

enum status http_split_body(const struct http_split *split, const struct buffer *body, struct memory *memory, struct spool *spool, int64_t time_us,
                            struct error *e) {
    if (split->kind == HTTP_SPLIT_PATH) return add_array(split, body, memory, spool, time_us, e);
    if (split->kind == HTTP_SPLIT_LINES) return body->size_bytes ? add_lines(body, spool, time_us, e) : STATUS_OK;
    return spool_add(spool, SPOOL_MESSAGE, body->data, body->size_bytes, time_us, e);
}
