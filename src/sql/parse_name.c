// SPDX-License-Identifier: Apache-2.0
// parse_name.c: names, strings and the memory they take.
//
// Names: any keyword may be one (spark.sql.ansi.enforceReservedKeywords is false). A name without quotes may only hold ASCII letters,
// digits and underscores: INVALID_IDENTIFIER otherwise, and for a-b where a name must stand.
#include "sql/parse.h"
#include "base/utf8.h"

void *parse_alloc(struct parser *p, size_t size_bytes) {
    void *memory = arena_alloc_zeroed(p->arena, size_bytes);
    return memory ? memory : parse_no_memory(p);
}

char *parse_text(struct parser *p, const char *s, size_t size_bytes) {
    char *copy = arena_strndup(p->arena, s, size_bytes);
    return copy ? copy : parse_no_memory(p);
}

bool list_add(struct parser *p, struct list *l, void *item) {
    if (!item) return false;
    if (l->count == l->capacity) {
        uint32_t capacity = l->capacity ? l->capacity * 2 : 4;
        void **items = arena_alloc_array(p->arena, capacity, sizeof *items);
        if (!items) return parse_no_memory(p) != NULL;
        if (l->count) memcpy(items, l->items, l->count * sizeof *items);
        l->items = items;
        l->capacity = capacity;
    }
    l->items[l->count++] = item;
    return true;
}

struct span span_since(const struct parser *p, uint32_t begin) {
    uint32_t end = p->index > 0 ? p->tokens[p->index - 1].span.end : begin;
    return (struct span){begin, end > begin ? end : begin};
}

bool is_strict_keyword(const struct token *t) {
    if (t->kind != TOKEN_WORD) return false;
    switch (t->keyword) {
    case KEYWORD_ANTI: case KEYWORD_CROSS: case KEYWORD_EXCEPT: case KEYWORD_FULL: case KEYWORD_INNER: case KEYWORD_INTERSECT:
    case KEYWORD_JOIN: case KEYWORD_LATERAL: case KEYWORD_LEFT: case KEYWORD_NATURAL: case KEYWORD_ON: case KEYWORD_RIGHT:
    case KEYWORD_SEMI: case KEYWORD_MINUS: case KEYWORD_UNION: case KEYWORD_USING:
        return true;
    default:
        return false;
    }
}

static const char *unquote_name(struct parser *p, const struct token *t) {
    const char *s = p->text + t->span.begin + 1;
    size_t size = token_size(t) - 2, length = 0;
    char *out = parse_alloc(p, size + 1);
    if (!out) return NULL;
    for (size_t i = 0; i < size; i++) {
        out[length++] = s[i];
        if (s[i] == '`') i++;  // doubled
    }
    if (length == 0) return parse_error(p, t->span, "PARSE_SYNTAX_ERROR", "a name in backquotes must not be empty");
    if (memchr(out, 0, length)) return parse_error(p, t->span, "INVALID_IDENTIFIER", "a name must not hold a NUL byte");
    return out;
}

// A hyphen glued to a name where only a name may stand.
static bool check_hyphen(struct parser *p, const struct token *first) {
    if (!at_kind(p, TOKEN_MINUS) || !(current(p)->flags & TOKEN_ADJACENT)) return true;
    const struct token *after = token_at(p, 1);
    if (after->kind != TOKEN_WORD || !(after->flags & TOKEN_ADJACENT)) return true;
    struct span span = {first->span.begin, after->span.end};
    (void)parse_error(p, span, "INVALID_IDENTIFIER", "a name with a hyphen must be quoted");
    parse_hint(p, "write `%.*s`", (int)(span.end - span.begin > 100 ? 100 : span.end - span.begin), p->text + span.begin);
    return false;
}

const char *parse_name(struct parser *p, const char *expected) {
    const struct token *t = current(p);
    if (!is_name(t)) return parse_unexpected(p, expected);
    if (t->kind == TOKEN_WORD && t->flags & TOKEN_NOT_ASCII) {
        (void)parse_error(p, t->span, "INVALID_IDENTIFIER", "a name with other than ASCII letters, digits and _ must be quoted");
        parse_hint(p, "put it in backquotes");
        return NULL;
    }
    advance(p);
    if (t->kind == TOKEN_QUOTED_NAME) return unquote_name(p, t);
    return parse_text(p, p->text + t->span.begin, token_size(t));
}

const char *parse_strict_name(struct parser *p, const char *expected) {
    const struct token *t = current(p);
    if (is_strict_keyword(t)) return parse_unexpected(p, expected);
    const char *name = parse_name(p, expected);
    return name && check_hyphen(p, t) ? name : NULL;
}

bool parse_qualified_name(struct parser *p, struct uname *out, const char *expected) {
    struct list parts = {0};
    uint32_t begin = here(p);
    if (at_keyword(p, KEYWORD_IDENTIFIER) && token_at(p, 1)->kind == TOKEN_LEFT_PAREN)
        return parse_unsupported(p, current(p)->span, "IDENTIFIER(…)") != NULL;
    do {
        const struct token *t = current(p);
        const char *part = parse_name(p, expected);
        if (!list_add(p, &parts, (void *)(uintptr_t)part) || !check_hyphen(p, t)) return false;
        expected = "a name after the dot";
    } while (accept(p, TOKEN_DOT));
    if (parts.count > 16) return parse_error(p, span_since(p, begin), "IDENTIFIER_TOO_MANY_NAME_PARTS", "a name has at most 16 parts") != NULL;
    out->parts = (const char **)parts.items;
    out->part_count = parts.count;
    out->span = span_since(p, begin);
    return true;
}

bool parse_name_list(struct parser *p, const char ***names, uint32_t *count) {
    struct list list = {0};
    if (!expect(p, TOKEN_LEFT_PAREN, "`(`")) return false;
    do {
        if (!list_add(p, &list, (void *)(uintptr_t)parse_name(p, "a name"))) return false;
    } while (accept(p, TOKEN_COMMA));
    if (!expect(p, TOKEN_RIGHT_PAREN, "`,` or `)`")) return false;
    *names = (const char **)list.items;
    *count = list.count;
    return true;
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

// Reads `digits` hexadecimal digits at s; false if there are not so many.
static bool read_hex(const char *s, const char *end, int digits, uint32_t *out) {
    uint32_t value = 0;
    if (end - s < digits) return false;
    for (int i = 0; i < digits; i++) {
        int digit = hex_value(s[i]);
        if (digit < 0) return false;
        value = value << 4 | (uint32_t)digit;
    }
    *out = value;
    return true;
}

// The escape after a backslash at s; writes 1 to 4 bytes and returns how many bytes of the text it took.
static size_t unescape(const char *s, const char *end, char *out, size_t *written) {
    static const char letters[] = "0\0b\bn\nr\rt\tZ\x1A";
    uint32_t value, low;
    *written = 1;
    if (*s == 'u' && read_hex(s + 1, end, 4, &value)) {
        size_t taken = 5;
        if (value >= 0xD800 && value < 0xDC00 && end - s > 6 && s[5] == '\\' && s[6] == 'u' && read_hex(s + 7, end, 4, &low) && low >= 0xDC00 &&
            low < 0xE000) {
            value = 0x10000 + ((value - 0xD800) << 10) + (low - 0xDC00);
            taken = 11;
        }
        *written = utf8_encode(value, out);
        return taken;
    }
    if (*s == 'U' && read_hex(s + 1, end, 8, &value)) {
        *written = utf8_encode(value, out);
        return 9;
    }
    if ((*s == '0' || *s == '1') && end - s >= 3 && s[1] >= '0' && s[1] <= '7' && s[2] >= '0' && s[2] <= '7') {
        *written = utf8_encode((uint32_t)((s[0] - '0') << 6 | (s[1] - '0') << 3 | (s[2] - '0')), out);
        return 3;
    }
    if (*s == '%' || *s == '_') {  // kept for LIKE
        out[0] = '\\';
        out[1] = *s;
        *written = 2;
        return 1;
    }
    for (size_t i = 0; i + 1 < sizeof letters; i += 2) {
        if (letters[i] == *s) {
            out[0] = letters[i + 1];
            return 1;
        }
    }
    out[0] = *s;
    return 1;
}

bool string_bytes(struct parser *p, const struct token *t, char **bytes, size_t *size_bytes) {
    bool raw = t->kind == TOKEN_RAW_STRING;
    const char *s = p->text + t->span.begin + (raw ? 2 : 1), *end = p->text + t->span.end - 1;
    char quote = end[0];
    char *out = parse_alloc(p, (size_t)(end - s) + 5);
    if (!out) return false;
    size_t length = 0;
    while (s < end) {
        if (!raw && *s == '\\' && s + 1 < end) {
            size_t written;
            s += 1 + unescape(s + 1, end, out + length, &written);
            length += written;
        } else {
            if (!raw && *s == quote && s + 1 < end) s++;  // doubled
            out[length++] = *s++;
        }
    }
    out[length] = 0;
    *bytes = out;
    *size_bytes = length;
    return true;
}

const char *parse_string(struct parser *p, const char *expected) {
    const struct token *t = current(p);
    char *bytes;
    size_t size_bytes;
    if (!is_string(t)) return parse_unexpected(p, expected);
    advance(p);
    if (!string_bytes(p, t, &bytes, &size_bytes)) return NULL;
    if (memchr(bytes, 0, size_bytes)) return parse_error(p, t->span, "PARSE_SYNTAX_ERROR", "a NUL character is not allowed here");
    return bytes;
}
