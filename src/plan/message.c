// SPDX-License-Identifier: Apache-2.0
// message.c: the analyzer's complaints: condition, message, place, label, hint, put into the collection of the text.
#include "plan/resolver.h"

// What to do about a condition, where the place that found it had nothing better to say. The first that the condition begins with.
static const char *const usual_hints[][2] = {
    {"DATATYPE_MISMATCH.IN_SUBQUERY_LENGTH", "let the query have as many columns as stand before IN"},
    {"DATATYPE_MISMATCH.CAST", "go by way of a type that both can be cast with, such as STRING"},
    {"DATATYPE_MISMATCH", "CAST(… AS …) changes the type; `leat functions NAME` shows what a function takes"},
    {"WRONG_NUM_ARGS", "`leat functions NAME` shows how it is called"},
    {"UNSUPPORTED_DATATYPE", "types are BOOLEAN, INT, BIGINT, DOUBLE, DECIMAL(p, s), STRING, DATE, TIMESTAMP, ARRAY<…>, MAP<…, …>, STRUCT<name: …>"},
    {"PIPELINE_DUPLICATE_IDENTIFIERS", "give one of them another name"},
    {"COLUMN_ALREADY_EXISTS", "give one of them another name with AS"},
    {"LEAT_RESERVED_NAME", "choose a name that does not begin with leat_"},
    {"GROUP_BY_POS", "positions count the columns of the SELECT list, from 1"},
    {"ORDER_BY_POS", "positions count the columns of the SELECT list, from 1"},
    {"TABLE_OR_VIEW_NOT_FOUND", "create it in this file, or check the name"},
    {"INVALID_LIMIT_LIKE_EXPRESSION", "write a number"},
};

static void add_usual_hint(struct error *e) {
    if (*e->hint || !*e->condition) return;
    for (size_t i = 0; i < sizeof usual_hints / sizeof *usual_hints; i++) {
        if (strncmp(e->condition, usual_hints[i][0], strlen(usual_hints[i][0])) != 0) continue;
        error_set_hint(e, "%s", usual_hints[i][1]);
        return;
    }
}

static enum status put(struct resolver *r, enum severity severity, struct error *e) {
    add_usual_hint(e);
    enum status added = diagnostics_add(r->analysis->diagnostics, severity, e);
    if (added == STATUS_NO_MEMORY) return added;
    return severity == SEVERITY_ERROR ? STATUS_INVALID_QUERY : STATUS_OK;
}

enum status complain(struct resolver *r, struct complaint c, const char *format, ...) {
    char message[sizeof((struct error *)NULL)->message];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    struct error e;
    error_clear(&e);
    (void)error_set(&e, STATUS_INVALID_QUERY, c.condition, "%s", message);
    if (c.label) error_set_label(&e, "%s", c.label);
    if (c.hint) error_set_hint(&e, "%s", c.hint);
    e.span = c.span;
    return put(r, SEVERITY_ERROR, &e);
}

enum status complain_error(struct resolver *r, struct error *e, struct span span) {
    if (e->status == STATUS_NO_MEMORY) return STATUS_NO_MEMORY;
    if (!span_known(e->span)) e->span = span;
    return put(r, SEVERITY_ERROR, e);
}

enum status complain_not_yet(struct resolver *r, struct span span, const char *what) {
    return complain(r, (struct complaint){.span = span, .condition = "LEAT_UNSUPPORTED", .label = "not yet"}, "leat cannot do this yet: %s", what);
}

enum status warn_about(struct resolver *r, struct span span, const char *hint, const char *format, ...) {
    char message[sizeof((struct error *)NULL)->message];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    struct error e;
    error_clear(&e);
    (void)error_set(&e, STATUS_INVALID_QUERY, NULL, "%s", message);
    if (hint) error_set_hint(&e, "%s", hint);
    e.span = span;
    return put(r, SEVERITY_WARNING, &e);
}

const char *name_text(struct arena *a, const struct uname *name) {
    const char *text = name_join(a, name->parts, name->part_count, ".");
    return text ? text : "";
}

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

bool equal_ignoring_case(const char *a, const char *b) {
    for (; *a && *b; a++, b++)
        if (lower(*a) != lower(*b)) return false;
    return *a == *b;
}

enum status enter(struct resolver *r, struct span span) {
    if (r->depth < RESOLVE_DEPTH_LIMIT) {
        r->depth++;
        return STATUS_OK;
    }
    return complain(r, (struct complaint){.span = span, .condition = "LEAT_LIMIT_EXCEEDED"}, "queries and views are nested more than %d levels deep",
                    RESOLVE_DEPTH_LIMIT);
}
