// SPDX-License-Identifier: Apache-2.0
// type_text.c: Spark's grammar of types, read by recursive descent straight from the characters.
//
//     type    : name [ "(" number [ "," number ] ")" ] | ARRAY "<" type ">" | MAP "<" type "," type ">" | STRUCT "<" fields ">"
//             | INTERVAL [ unit [ TO unit ] ]
//     fields  : [ field { "," field } ]
//     field   : name [ ":" ] type [ NOT NULL ] [ COMMENT string ]
//
// `end` follows the last token used, so that the caller can go on there. The JSON form is in type_json.c.
#include "column/type_text.h"
#include "base/utf8.h"
#include <string.h>
#include <strings.h>

enum { NESTING_LIMIT = 100, FIELD_LIMIT = 1 << 20 };

struct scanner {
    struct arena *arena;
    const char *text;
    size_t size_bytes;
    size_t end;          // behind the last token taken
    unsigned depth;
    struct error *error;
};

// A piece of the text; size_bytes 0: no word there.
struct word {
    const char *begin;
    size_t size_bytes;
    bool quoted;
};

// Where the next token begins: blanks and comments are passed over.
static size_t next_token(const struct scanner *s) {
    size_t i = s->end;
    while (i < s->size_bytes) {
        char c = s->text[i];
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f') {
            i++;
        } else if (i + 1 < s->size_bytes && c == '-' && s->text[i + 1] == '-') {
            while (i < s->size_bytes && s->text[i] != '\n') i++;
        } else if (i + 1 < s->size_bytes && c == '/' && s->text[i + 1] == '*') {
            const char *close = memmem(s->text + i + 2, s->size_bytes - i - 2, "*/", 2);
            if (!close) return i;
            i = (size_t)(close - s->text) + 2;
        } else {
            break;
        }
    }
    return i;
}

static bool at_end(const struct scanner *s) { return next_token(s) == s->size_bytes; }

static bool is_word_byte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || (uint8_t)c >= 0x80;
}

static struct word peek_word(const struct scanner *s) {
    size_t begin = next_token(s), end = begin;
    if (begin < s->size_bytes && s->text[begin] == '`') {
        for (end = begin + 1; end < s->size_bytes; end++) {
            if (s->text[end] != '`') continue;
            if (end + 1 == s->size_bytes || s->text[end + 1] != '`') break;
            end++;
        }
        if (end == s->size_bytes || end == begin + 1) return (struct word){0};
        return (struct word){.begin = s->text + begin, .size_bytes = end + 1 - begin, .quoted = true};
    }
    while (end < s->size_bytes && is_word_byte(s->text[end])) end++;
    return (struct word){.begin = s->text + begin, .size_bytes = end - begin};
}

static void take_word(struct scanner *s, struct word w) { s->end = (size_t)(w.begin - s->text) + w.size_bytes; }

static bool word_is(struct word w, const char *keyword) {
    return !w.quoted && w.size_bytes == strlen(keyword) && strncasecmp(w.begin, keyword, w.size_bytes) == 0;
}

static bool take_keyword(struct scanner *s, const char *keyword) {
    struct word w = peek_word(s);
    if (!word_is(w, keyword)) return false;
    take_word(s, w);
    return true;
}

static bool take_mark(struct scanner *s, char mark) {
    size_t begin = next_token(s);
    if (begin == s->size_bytes || s->text[begin] != mark) return false;
    s->end = begin + 1;
    return true;
}

static enum status syntax_error(struct scanner *s) {
    size_t begin = next_token(s);
    struct word w = peek_word(s);
    enum status status;
    size_t shown_bytes = w.size_bytes;
    if (begin == s->size_bytes) {
        status = error_set(s->error, STATUS_INVALID_QUERY, "PARSE_SYNTAX_ERROR", "Syntax error at or near end of input.");
    } else {
        if (shown_bytes == 0) utf8_decode(s->text + begin, s->size_bytes - begin, &shown_bytes);
        status = error_set(s->error, STATUS_INVALID_QUERY, "PARSE_SYNTAX_ERROR", "Syntax error at or near '%.*s'.",
                           (int)(shown_bytes < 100 ? shown_bytes : 100), s->text + begin);
    }
    if (s->error) s->error->span = (struct span){.begin = (uint32_t)begin, .end = (uint32_t)(begin + (shown_bytes ? shown_bytes : 1))};
    return status;
}

static enum status error_at(struct scanner *s, struct word w, enum status status) {
    if (s->error) {
        size_t begin = (size_t)(w.begin - s->text);
        s->error->span = (struct span){.begin = (uint32_t)begin, .end = (uint32_t)(begin + w.size_bytes)};
    }
    return status;
}

static enum status take_number(struct scanner *s, unsigned *out) {
    struct word w = peek_word(s);
    if (w.size_bytes == 0 || w.quoted) return syntax_error(s);
    unsigned value = 0;
    for (size_t i = 0; i < w.size_bytes; i++) {
        if (w.begin[i] < '0' || w.begin[i] > '9') return syntax_error(s);
        value = value * 10 + (unsigned)(w.begin[i] - '0');
        if (value > 1000000000) return syntax_error(s);
    }
    take_word(s, w);
    *out = value;
    return STATUS_OK;
}

static enum status done(const struct type *made, struct scanner *s, const struct type **out) {
    *out = made;
    return made ? STATUS_OK : error_no_memory(s->error);
}

static enum status parse_type(struct scanner *s, const struct type **out);

static enum status parse_decimal(struct scanner *s, struct word name, const struct type **out) {
    unsigned precision = 10, scale = 0;
    if (take_mark(s, '(')) {
        TRY(take_number(s, &precision));
        if (take_mark(s, ',')) TRY(take_number(s, &scale));
        unsigned surplus = 0;
        while (take_mark(s, ',')) {
            TRY(take_number(s, &scale));
            surplus++;
        }
        if (!take_mark(s, ')')) return syntax_error(s);
        if (surplus) return error_at(s, name, error_set(s->error, STATUS_INVALID_QUERY, "UNSUPPORTED_DATATYPE", "DECIMAL takes at most a precision and a scale."));
    }
    if (precision > DECIMAL_MAX_PRECISION) {
        return error_at(s, name, error_set(s->error, STATUS_INVALID_QUERY, "DECIMAL_PRECISION_EXCEEDS_MAX_PRECISION",
                                           "Decimal precision %u exceeds max precision %d.", precision, DECIMAL_MAX_PRECISION));
    }
    if (precision == 0 || scale > precision) {
        return error_at(s, name, error_set(s->error, STATUS_INVALID_QUERY, "_LEGACY_ERROR_TEMP_1228",
                                           "Decimal scale %u cannot be greater than precision %u, which is at least 1.", scale, precision));
    }
    return done(type_decimal(s->arena, (uint8_t)precision, (uint8_t)scale), s, out);
}

static const char *const unit_words[] = {"YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND"};

static int peek_unit(const struct scanner *s) {
    struct word w = peek_word(s);
    for (int i = 0; i < 6; i++) {
        if (word_is(w, unit_words[i])) return i;
    }
    return -1;
}

static enum status parse_interval(struct scanner *s, const struct type **out) {
    int start = peek_unit(s), end = start;
    if (start < 0) {
        *out = &type_interval;
        return STATUS_OK;
    }
    take_word(s, peek_word(s));
    size_t before_to = s->end;
    if (take_keyword(s, "TO")) {
        end = peek_unit(s);
        if (end < 0) {  // INTERVAL DAY may be followed by other uses of TO
            s->end = before_to;
            end = start;
        } else {
            bool fits = end > start && (start >= UNIT_DAY) == (end >= UNIT_DAY);
            if (!fits) return syntax_error(s);
            take_word(s, peek_word(s));
        }
    }
    if (start <= UNIT_MONTH) return done(type_interval_ym_range(s->arena, (enum interval_unit)start, (enum interval_unit)end), s, out);
    return done(type_interval_dt_range(s->arena, (enum interval_unit)start, (enum interval_unit)end), s, out);
}

// CHAR(n) and VARCHAR(n) are STRING, as Spark's casts see them; the length is required and not enforced.
static enum status parse_sized_text(struct scanner *s, struct word name, const struct type **out) {
    unsigned length = 0;
    if (!take_mark(s, '(')) {
        return error_at(s, name, error_set(s->error, STATUS_INVALID_QUERY, "DATATYPE_MISSING_SIZE",
                                           "DataType \"%.*s\" requires a length parameter, for example \"%.*s\"(10).",
                                           (int)name.size_bytes, name.begin, (int)name.size_bytes, name.begin));
    }
    TRY(take_number(s, &length));
    if (!take_mark(s, ')')) return syntax_error(s);
    *out = &type_string;
    return STATUS_OK;
}

static char *copy_name(struct scanner *s, struct word w) {
    if (!w.quoted) return arena_strndup(s->arena, w.begin, w.size_bytes);
    char *name = arena_alloc_aligned(s->arena, w.size_bytes, 1);
    if (!name) return NULL;
    size_t length = 0;
    for (size_t i = 1; i + 1 < w.size_bytes; i++) {
        name[length++] = w.begin[i];
        if (w.begin[i] == '`') i++;  // doubled inside quotes
    }
    name[length] = '\0';
    return name;
}

static enum status skip_string(struct scanner *s) {
    size_t begin = next_token(s);
    char quote = begin < s->size_bytes ? s->text[begin] : '\0';
    if (quote != '\'' && quote != '"') return syntax_error(s);
    for (size_t i = begin + 1; i < s->size_bytes; i++) {
        if (s->text[i] == '\\') {
            i++;
        } else if (s->text[i] == quote) {
            s->end = i + 1;
            return STATUS_OK;
        }
    }
    return syntax_error(s);
}

// Only the fields of a STRUCT may have a colon behind their name.
static enum status parse_field(struct scanner *s, bool in_struct, struct field *out) {
    struct word name = peek_word(s);
    if (name.size_bytes == 0) return syntax_error(s);
    take_word(s, name);
    if (in_struct) take_mark(s, ':');
    TRY(parse_type(s, &out->type));
    out->nullable = true;
    if (take_keyword(s, "NOT")) {
        if (!take_keyword(s, "NULL")) return syntax_error(s);
        out->nullable = false;
    }
    if (take_keyword(s, "COMMENT")) TRY(skip_string(s));
    out->name = copy_name(s, name);
    return out->name ? STATUS_OK : error_no_memory(s->error);
}

// Fields up to something that is no comma; the list grows in the arena.
static enum status parse_fields(struct scanner *s, bool in_struct, const struct type **out) {
    struct field *fields = NULL;
    uint32_t count = 0, capacity = 0;
    do {
        if (count == capacity) {
            if (capacity >= FIELD_LIMIT) return error_set(s->error, STATUS_LIMIT, "LEAT_LIMIT_EXCEEDED", "a struct has too many fields");
            capacity = capacity ? capacity * 2 : 8;
            struct field *grown = arena_alloc_array(s->arena, capacity, sizeof *grown);
            if (!grown) return error_no_memory(s->error);
            if (count) memcpy(grown, fields, count * sizeof *grown);
            fields = grown;
        }
        TRY(parse_field(s, in_struct, &fields[count++]));
    } while (take_mark(s, ','));
    return done(type_struct(s->arena, fields, count), s, out);
}

static enum status parse_nested(struct scanner *s, struct word name, enum type_id id, const struct type **out) {
    if (!take_mark(s, '<')) {
        const char *kind = id == TYPE_ARRAY ? "ARRAY" : id == TYPE_MAP ? "MAP" : "STRUCT";
        const char *example = id == TYPE_ARRAY ? "ARRAY<INT>" : id == TYPE_MAP ? "MAP<STRING, INT>" : "STRUCT<a: INT>";
        const char *condition = id == TYPE_ARRAY ? "INCOMPLETE_TYPE_DEFINITION.ARRAY"
                                : id == TYPE_MAP ? "INCOMPLETE_TYPE_DEFINITION.MAP"
                                                 : "INCOMPLETE_TYPE_DEFINITION.STRUCT";
        enum status status = error_set(s->error, STATUS_INVALID_QUERY, condition,
                                       "The definition of \"%s\" type is incomplete: its parts are missing, as in \"%s\".", kind, example);
        return error_at(s, name, status);
    }
    const struct type *first = NULL, *second = NULL;
    if (id == TYPE_STRUCT) {
        if (take_mark(s, '>')) return done(type_struct(s->arena, NULL, 0), s, out);
        TRY(parse_fields(s, true, out));
        return take_mark(s, '>') ? STATUS_OK : syntax_error(s);
    }
    TRY(parse_type(s, &first));
    if (id == TYPE_MAP) {
        if (!take_mark(s, ',')) return syntax_error(s);
        TRY(parse_type(s, &second));
    }
    if (!take_mark(s, '>')) return syntax_error(s);
    return done(id == TYPE_ARRAY ? type_array(s->arena, first, true) : type_map(s->arena, first, second, true), s, out);
}

static const struct {
    const char *word;
    const struct type *type;
} simple_types[] = {
    {"BOOLEAN", &type_boolean}, {"TINYINT", &type_tinyint}, {"BYTE", &type_tinyint}, {"SMALLINT", &type_smallint},
    {"SHORT", &type_smallint}, {"INT", &type_int}, {"INTEGER", &type_int}, {"BIGINT", &type_bigint}, {"LONG", &type_bigint},
    {"FLOAT", &type_float}, {"REAL", &type_float}, {"DOUBLE", &type_double}, {"STRING", &type_string}, {"BINARY", &type_binary},
    {"DATE", &type_date}, {"TIMESTAMP", &type_timestamp}, {"TIMESTAMP_LTZ", &type_timestamp},
    {"TIMESTAMP_NTZ", &type_timestamp_ntz}, {"VOID", &type_null},
};

static enum status parse_named(struct scanner *s, struct word name, const struct type **out) {
    for (size_t i = 0; i < sizeof simple_types / sizeof simple_types[0]; i++) {
        if (!word_is(name, simple_types[i].word)) continue;
        *out = simple_types[i].type;
        if (*out == &type_string && take_keyword(s, "COLLATE") && !take_keyword(s, "UTF8_BINARY")) {
            return error_at(s, name, error_set(s->error, STATUS_UNSUPPORTED, "UNSUPPORTED_DATATYPE", "The only collation is UTF8_BINARY."));
        }
        return STATUS_OK;
    }
    if (word_is(name, "DECIMAL") || word_is(name, "DEC") || word_is(name, "NUMERIC")) return parse_decimal(s, name, out);
    if (word_is(name, "ARRAY")) return parse_nested(s, name, TYPE_ARRAY, out);
    if (word_is(name, "MAP")) return parse_nested(s, name, TYPE_MAP, out);
    if (word_is(name, "STRUCT")) return parse_nested(s, name, TYPE_STRUCT, out);
    if (word_is(name, "INTERVAL")) return parse_interval(s, out);
    if (word_is(name, "CHAR") || word_is(name, "CHARACTER") || word_is(name, "VARCHAR")) return parse_sized_text(s, name, out);
    return error_at(s, name, error_set(s->error, STATUS_INVALID_QUERY, "UNSUPPORTED_DATATYPE", "Unsupported data type \"%.*s\".",
                                       (int)(name.size_bytes < 100 ? name.size_bytes : 100), name.begin));
}

static enum status parse_type(struct scanner *s, const struct type **out) {
    struct word name = peek_word(s);
    if (name.size_bytes == 0 || name.quoted) return syntax_error(s);
    if (s->depth == NESTING_LIMIT) {
        return error_at(s, name, error_set(s->error, STATUS_LIMIT, "LEAT_LIMIT_EXCEEDED", "types are nested deeper than %d levels", NESTING_LIMIT));
    }
    take_word(s, name);
    s->depth++;
    enum status status = parse_named(s, name, out);
    s->depth--;
    return status;
}

enum status type_parse(struct arena *a, const char *text, size_t size_bytes, const struct type **out, size_t *consumed_bytes, struct error *e) {
    struct scanner s = {.arena = a, .text = text, .size_bytes = size_bytes, .error = e};
    TRY(parse_type(&s, out));
    *consumed_bytes = s.end;
    return STATUS_OK;
}

enum status type_parse_schema(struct arena *a, const char *text, size_t size_bytes, const struct type **out, struct error *e) {
    struct scanner fields = {.arena = a, .text = text, .size_bytes = size_bytes, .error = e};
    size_t begin = next_token(&fields);
    if (begin < size_bytes && text[begin] == '{') return type_parse_json(a, text, size_bytes, out, e);
    // Both readings are tried; if neither fits, the one that came further tells what is wrong.
    struct error fields_error, type_error;
    fields.error = &fields_error;
    enum status status = parse_fields(&fields, false, out);
    if (status == STATUS_OK && !at_end(&fields)) status = syntax_error(&fields);
    if (status == STATUS_OK || status == STATUS_NO_MEMORY) {
        if (status != STATUS_OK && e) *e = fields_error;
        return status;
    }
    struct scanner one = {.arena = a, .text = text, .size_bytes = size_bytes, .error = &type_error};
    enum status type_status = parse_type(&one, out);
    if (type_status == STATUS_OK && !at_end(&one)) type_status = syntax_error(&one);
    if (type_status == STATUS_OK) return STATUS_OK;
    bool type_came_further = type_error.span.begin > fields_error.span.begin;
    if (e) *e = type_came_further ? type_error : fields_error;
    return type_came_further ? type_status : status;
}
