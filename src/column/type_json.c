// SPDX-License-Identifier: Apache-2.0
// type_json.c: types in the JSON that Spark's DataType.json() writes.
//
//     "integer" | "decimal(10,2)" | {"type":"array","elementType":T,"containsNull":b}
//     {"type":"map","keyType":T,"valueType":T,"valueContainsNull":b} | {"type":"struct","fields":[{"name":s,"type":T,"nullable":b}]}
//
// Members come in any order and unknown ones (metadata) are passed over, so an object is first cut into the members wanted, each
// kept as a place in the text. That reads a nested text once per level; schemas are small and their depth is limited. This is a
// reader for one known shape: JSON as data is json/'s business, which stands above this floor.
#include "base/utf8.h"
#include "column/type_text.h"
#include <string.h>

enum { JSON_NESTING_LIMIT = 200, TYPE_NESTING_LIMIT = 100, JSON_FIELD_LIMIT = 1 << 20 };

struct json_text {
    struct arena *arena;
    const char *begin, *next, *end;
    struct error *error;
};

static enum status malformed(struct json_text *t) {
    enum status status = error_set(t->error, STATUS_INVALID_QUERY, "PARSE_SYNTAX_ERROR", "The JSON text of the schema is malformed.");
    if (t->error) {
        uint32_t at = (uint32_t)(t->next - t->begin);
        t->error->span = (struct span){.begin = at, .end = at + 1};
    }
    return status;
}

static void skip_blanks(struct json_text *t) {
    while (t->next < t->end && (*t->next == ' ' || *t->next == '\t' || *t->next == '\n' || *t->next == '\r')) t->next++;
}

static bool take(struct json_text *t, char mark) {
    skip_blanks(t);
    if (t->next == t->end || *t->next != mark) return false;
    t->next++;
    return true;
}

static enum status skip_string(struct json_text *t) {
    if (!take(t, '"')) return malformed(t);
    for (; t->next < t->end; t->next++) {
        if (*t->next == '\\' && t->next + 1 < t->end) {
            t->next++;
        } else if (*t->next == '"') {
            t->next++;
            return STATUS_OK;
        }
    }
    return malformed(t);
}

static enum status skip_value(struct json_text *t, unsigned depth) {
    skip_blanks(t);
    if (t->next == t->end || depth == JSON_NESTING_LIMIT) return malformed(t);
    if (*t->next == '"') return skip_string(t);
    if (*t->next == '{' || *t->next == '[') {
        bool is_object = *t->next++ == '{';
        char close = is_object ? '}' : ']';
        if (take(t, close)) return STATUS_OK;
        do {
            if (is_object) {
                TRY(skip_string(t));
                if (!take(t, ':')) return malformed(t);
            }
            TRY(skip_value(t, depth + 1));
        } while (take(t, ','));
        return take(t, close) ? STATUS_OK : malformed(t);
    }
    const char *first = t->next;
    while (t->next < t->end && (strchr("+-.", *t->next) || (*t->next >= '0' && *t->next <= '9') || (*t->next >= 'a' && *t->next <= 'z') ||
                                (*t->next >= 'A' && *t->next <= 'Z'))) {
        if (!*t->next) break;
        t->next++;
    }
    return t->next > first ? STATUS_OK : malformed(t);
}

static int hex_digit(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool read_hex4(const char *s, const char *end, uint32_t *out) {
    if (end - s < 4) return false;
    *out = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(s[i]);
        if (digit < 0) return false;
        *out = *out << 4 | (uint32_t)digit;
    }
    return true;
}

// The string at t->next, unescaped into the arena. A name never holds U+0000: names are NUL-terminated.
static enum status read_string(struct json_text *t, const char **out) {
    skip_blanks(t);
    const char *s = t->next;
    TRY(skip_string(t));
    s++;
    const char *end = t->next - 1;
    char *text = arena_alloc_aligned(t->arena, (size_t)(end - s) + 1, 1);
    if (!text) return error_no_memory(t->error);
    size_t length = 0;
    while (s < end) {
        if (*s != '\\') {
            if (!*s) return malformed(t);
            text[length++] = *s++;
            continue;
        }
        const char *escape = memchr("\"\\/bfnrt", s[1], 8);
        if (escape) {
            text[length++] = "\"\\/\b\f\n\r\t"[escape - "\"\\/bfnrt"];
            s += 2;
            continue;
        }
        uint32_t character, low;
        if (s[1] != 'u' || !read_hex4(s + 2, end, &character) || character == 0) return malformed(t);
        s += 6;
        if (character >= 0xd800 && character < 0xdc00 && end - s >= 6 && s[0] == '\\' && s[1] == 'u' && read_hex4(s + 2, end, &low) &&
            low >= 0xdc00 && low < 0xe000) {
            character = 0x10000 + ((character - 0xd800) << 10 | (low - 0xdc00));
            s += 6;
        }
        length += utf8_encode(character, text + length);
    }
    text[length] = '\0';
    *out = text;
    return STATUS_OK;
}

// Cuts the object at t->next: places[i] is where the value of names[i] begins (NULL: absent). t->next ends behind the object.
static enum status cut_object(struct json_text *t, const char *const *names, size_t count, const char **places) {
    for (size_t i = 0; i < count; i++) places[i] = NULL;
    if (!take(t, '{')) return malformed(t);
    if (take(t, '}')) return STATUS_OK;
    do {
        const char *name;
        TRY(read_string(t, &name));
        if (!take(t, ':')) return malformed(t);
        skip_blanks(t);
        for (size_t i = 0; i < count; i++) {
            if (strcmp(name, names[i]) == 0) places[i] = t->next;
        }
        TRY(skip_value(t, 0));
    } while (take(t, ','));
    return take(t, '}') ? STATUS_OK : malformed(t);
}

static struct json_text at_place(const struct json_text *t, const char *place) {
    struct json_text moved = *t;
    moved.next = place;
    return moved;
}

// Absent means true, as Spark's default.
static bool is_true(const struct json_text *t, const char *place) { return !place || !(t->end - place >= 5 && memcmp(place, "false", 5) == 0); }

static enum status read_type(struct json_text *t, unsigned depth, const struct type **out);

static enum status read_type_at(const struct json_text *t, const char *place, unsigned depth, const struct type **out) {
    struct json_text at = at_place(t, place ? place : t->end);
    return read_type(&at, depth, out);
}

static enum status read_field(struct json_text *t, unsigned depth, struct field *out) {
    static const char *const names[] = {"name", "type", "nullable"};
    const char *places[3];
    TRY(cut_object(t, names, 3, places));
    struct json_text name = at_place(t, places[0] ? places[0] : t->end);
    TRY(read_string(&name, &out->name));
    out->nullable = is_true(t, places[2]);
    return read_type_at(t, places[1], depth, &out->type);
}

static enum status read_struct(const struct json_text *from, const char *place, unsigned depth, const struct type **out) {
    struct json_text t = at_place(from, place ? place : from->end);
    struct field *fields = NULL;
    uint32_t count = 0, capacity = 0;
    if (!take(&t, '[')) return malformed(&t);
    bool is_empty = take(&t, ']');
    if (!is_empty) {
        do {
            if (count == capacity) {
                capacity = capacity ? capacity * 2 : 8;
                if (capacity > JSON_FIELD_LIMIT) return malformed(&t);
                struct field *grown = arena_alloc_array(t.arena, capacity, sizeof *grown);
                if (!grown) return error_no_memory(t.error);
                if (count) memcpy(grown, fields, count * sizeof *grown);
                fields = grown;
            }
            TRY(read_field(&t, depth, &fields[count++]));
        } while (take(&t, ','));
        if (!take(&t, ']')) return malformed(&t);
    }
    *out = type_struct(t.arena, fields, count);
    return *out ? STATUS_OK : error_no_memory(t.error);
}

static enum status read_object(struct json_text *t, unsigned depth, const struct type **out) {
    enum { KIND, FIELDS, ELEMENT, CONTAINS_NULL, KEY, VALUE, VALUE_CONTAINS_NULL, MEMBER_COUNT };
    static const char *const names[] = {"type", "fields", "elementType", "containsNull", "keyType", "valueType", "valueContainsNull"};
    const char *places[MEMBER_COUNT];
    TRY(cut_object(t, names, MEMBER_COUNT, places));
    struct json_text kind_text = at_place(t, places[KIND] ? places[KIND] : t->end);
    const char *kind;
    TRY(read_string(&kind_text, &kind));
    if (strcmp(kind, "struct") == 0) return read_struct(t, places[FIELDS], depth, out);
    const struct type *first, *second;
    if (strcmp(kind, "array") == 0) {
        TRY(read_type_at(t, places[ELEMENT], depth, &first));
        *out = type_array(t->arena, first, is_true(t, places[CONTAINS_NULL]));
    } else if (strcmp(kind, "map") == 0) {
        TRY(read_type_at(t, places[KEY], depth, &first));
        TRY(read_type_at(t, places[VALUE], depth, &second));
        *out = type_map(t->arena, first, second, is_true(t, places[VALUE_CONTAINS_NULL]));
    } else {
        return error_set(t->error, STATUS_INVALID_QUERY, "UNSUPPORTED_DATATYPE", "Unsupported data type \"%s\".", kind);
    }
    return *out ? STATUS_OK : error_no_memory(t->error);
}

static enum status read_type(struct json_text *t, unsigned depth, const struct type **out) {
    skip_blanks(t);
    if (t->next == t->end || depth == TYPE_NESTING_LIMIT) return malformed(t);
    if (*t->next == '{') return read_object(t, depth + 1, out);
    const char *name;
    TRY(read_string(t, &name));
    if (strcmp(name, "null") == 0) name = "void";
    size_t used_bytes = 0, name_bytes = strlen(name);
    enum status status = type_parse(t->arena, name, name_bytes, out, &used_bytes, t->error);
    if (t->error) t->error->span = (struct span){0};  // it was a place in the name
    TRY(status);
    return used_bytes == name_bytes ? STATUS_OK : malformed(t);
}

enum status type_parse_json(struct arena *a, const char *text, size_t size_bytes, const struct type **out, struct error *e) {
    struct json_text t = {.arena = a, .begin = text, .next = text, .end = text + size_bytes, .error = e};
    TRY(read_type(&t, 0, out));
    skip_blanks(&t);
    return t.next == t.end ? STATUS_OK : malformed(&t);
}
