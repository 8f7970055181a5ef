// SPDX-License-Identifier: Apache-2.0
// json_schema.c: the schema argument of from_json, and schema_of_json, which makes one. Both work at bind time only: the schema decides the
// result's type, so that it must be constant.
#include "column/type_text.h"
#include "expr/from_json.h"
#include "expr/functions.h"
#include <strings.h>

static enum status refuse(struct binding *b, uint32_t index, const char *condition, const char *problem, struct error *e) {
    error_set(e, STATUS_INVALID_QUERY, condition, "the schema of %s %s", b->name, problem);
    e->span = b->args[index]->span;
    return STATUS_INVALID_QUERY;
}

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c >= '0' && c <= '9'); }

// True if CHAR(n) or VARCHAR(n) stands in the text outside of quotes.
static bool names_sized_text(const char *s, size_t size_bytes) {
    char quote = 0;
    for (size_t i = 0; i < size_bytes; i++) {
        if (quote || s[i] == '`' || s[i] == '\'' || s[i] == '"') {
            quote = !quote ? s[i] : s[i] == quote ? 0 : quote;
            continue;
        }
        if (!is_letter(s[i])) continue;
        size_t start = i;
        while (i + 1 < size_bytes && is_letter(s[i + 1])) i++;
        size_t length = i + 1 - start, after = i + 1;
        while (after < size_bytes && s[after] == ' ') after++;
        bool word = (length == 4 && !strncasecmp(s + start, "char", 4)) || (length == 7 && !strncasecmp(s + start, "varchar", 7));
        if (word && after < size_bytes && s[after] == '(') return true;
    }
    return false;
}

// Spark tries the text as a list of fields, then as one type, and reports what the second said.
static const char *schema_condition(struct binding *b, const char *s, size_t size_bytes) {
    const struct type *type;
    size_t consumed;
    struct error e;
    if (size_bytes == 0) return "PARSE_EMPTY_STATEMENT";
    while (size_bytes && *s == ' ') s++, size_bytes--;
    size_t word = 0;
    while (word < size_bytes && is_letter(s[word])) word++;
    if (word == size_bytes) return "UNSUPPORTED_DATATYPE";
    if (s[word] == ' ' || s[word] == ':') return "PARSE_SYNTAX_ERROR";
    return type_parse(b->arena, s, size_bytes, &type, &consumed, &e) == STATUS_OK ? "PARSE_SYNTAX_ERROR" : NULL;
}

static bool has_strange_key(const struct type *t) {
    if (t->id == TYPE_MAP && t->fields[0].type->id != TYPE_STRING) return true;
    for (uint32_t i = 0; type_is_nested(t) && i < t->field_count; i++)
        if (has_strange_key(t->fields[i].type)) return true;
    return false;
}

enum status json_schema_argument(struct binding *b, uint32_t index, const struct type **out, struct error *e) {
    const struct column *text;
    if (b->args[index]->type->id != TYPE_STRING || !expr_is_constant(b->args[index]))
        return refuse(b, index, "INVALID_SCHEMA.NON_STRING_LITERAL", "must be a constant text such as 'a INT, b STRING'", e);
    TRY(binding_constant(b, index, &text, e));
    if (!text || !column_is_valid(text, 0)) return refuse(b, index, "INVALID_SCHEMA.NON_STRING_LITERAL", "is NULL", e);
    const struct string_view *v = column_string(text, 0);
    const char *s = string_view_data(v);
    enum status status = type_parse_schema(b->arena, s, v->size_bytes, out, e);
    if (status == STATUS_NO_MEMORY) return status;
    if (status != STATUS_OK) {
        const char *condition = schema_condition(b, s, v->size_bytes);
        if (condition && strcmp(condition, e->condition) != 0) {
            char message[sizeof e->message];
            memcpy(message, e->message, sizeof message);
            error_set(e, status, condition, "%s", message);
        }
        e->span = b->args[index]->span;  // the literal as a whole: escapes may shift places within
        return status;
    }
    if (names_sized_text(s, v->size_bytes)) return refuse(b, index, "UNSUPPORTED_CHAR_OR_VARCHAR_AS_STRING", "has CHAR or VARCHAR: use STRING", e);
    if (!type_is_nested(*out)) return refuse(b, index, "DATATYPE_MISMATCH.INVALID_JSON_SCHEMA", "must be of a STRUCT, ARRAY or MAP", e);
    if (has_strange_key(*out)) return refuse(b, index, "DATATYPE_MISMATCH.INVALID_JSON_MAP_KEY_TYPE", "has a MAP whose keys are no STRING", e);
    return STATUS_OK;
}

enum status schema_of_json_bind(struct binding *b, struct error *e) {
    const struct column *text;
    struct json_options options;
    const struct type *schema = NULL;
    bool malformed = false;
    TRY(binding_require_count(b, 1, 1, e));
    TRY(binding_cast(b, 0, &type_string, e));
    TRY(binding_constant(b, 0, &text, e));
    if (!text || !column_is_valid(text, 0)) {
        error_set(e, STATUS_INVALID_QUERY, "DATATYPE_MISMATCH.UNEXPECTED_NULL", "the document of %s must not be NULL", b->name);
        e->span = b->args[0]->span;
        return STATUS_INVALID_QUERY;
    }
    const struct string_view *v = column_string(text, 0);
    json_options_default(&options);
    options.zone = b->session->zone;
    enum status status = json_infer(b->arena, string_view_data(v), v->size_bytes, &options, &schema, &malformed);
    if (status == STATUS_OK && !malformed) status = json_infer_finish(b->arena, false, &schema);
    if (status != STATUS_OK) return error_no_memory(e);
    if (malformed || !schema) {
        error_set(e, STATUS_INVALID_QUERY, "MALFORMED_RECORD_IN_PARSING.WITHOUT_SUGGESTION", "the text that %s is given is not JSON", b->name);
        e->span = b->args[0]->span;
        return STATUS_INVALID_QUERY;
    }
    const char *name = type_name_sql(b->arena, schema);
    b->replacement = name ? expr_string(b->arena, name, strlen(name)) : NULL;
    b->result = &type_string;
    return b->replacement ? STATUS_OK : error_no_memory(e);
}
