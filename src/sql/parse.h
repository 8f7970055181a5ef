// SPDX-License-Identifier: Apache-2.0
// parse.h: what the parts of the parser share. A recursive descent over the tokens of one statement.
//
// Every parse_… function returns what it read, or NULL (false) after the first error, which is then in `error`: callers only pass
// NULL on. Results live in the query arena. Recursion is bounded by `depth`, the height of operator trees by `height_limit`.
#pragma once
#include "sql/parser.h"
#include "sql/token.h"
#include "base/arena.h"

struct parser {
    struct arena *arena;
    const char *text;
    const struct timezone *zone; // of TIMESTAMP literals; never NULL
    const struct token *tokens;  // of the statement; the last is TOKEN_END
    uint32_t token_count;
    uint32_t index;              // of the current token
    uint32_t depth;              // of recursion
    uint32_t depth_limit;
    uint32_t height_limit;       // of an expression tree
    uint32_t height_seen;        // highest tree of the query being read
    uint32_t links;              // joins and set operations of the statement
    uint32_t implicit_alias;     // index of the last word taken as a name without AS, + 1; 0: none
    bool failed;
    struct error error;          // the first one
};

// A list that grows in the arena.
struct list {
    void **items;
    uint32_t count;
    uint32_t capacity;
};
bool list_add(struct parser *p, struct list *l, void *item);  // false for a NULL item, or no memory

static inline const struct token *token_at(const struct parser *p, uint32_t ahead) {
    uint32_t i = p->index + ahead;
    return &p->tokens[i < p->token_count ? i : p->token_count - 1];
}
static inline const struct token *current(const struct parser *p) { return token_at(p, 0); }
static inline bool at_kind(const struct parser *p, enum token_kind kind) { return current(p)->kind == kind; }
static inline bool is_keyword(const struct token *t, enum keyword k) { return t->kind == TOKEN_WORD && t->keyword == k; }
static inline bool at_keyword(const struct parser *p, enum keyword k) { return is_keyword(current(p), k); }
static inline bool at_keywords(const struct parser *p, enum keyword first, enum keyword second) {
    return at_keyword(p, first) && is_keyword(token_at(p, 1), second);
}
static inline bool is_name(const struct token *t) { return t->kind == TOKEN_WORD || t->kind == TOKEN_QUOTED_NAME; }
static inline bool is_string(const struct token *t) { return t->kind == TOKEN_STRING || t->kind == TOKEN_RAW_STRING; }
static inline void advance(struct parser *p) {
    if (p->index + 1 < p->token_count) p->index++;
}
static inline bool accept(struct parser *p, enum token_kind kind) {
    if (!at_kind(p, kind)) return false;
    advance(p);
    return true;
}
static inline bool accept_keyword(struct parser *p, enum keyword k) {
    if (!at_keyword(p, k)) return false;
    advance(p);
    return true;
}
static inline bool accept_keywords(struct parser *p, enum keyword first, enum keyword second) {
    if (!at_keywords(p, first, second)) return false;
    advance(p);
    advance(p);
    return true;
}
bool expect(struct parser *p, enum token_kind kind, const char *expected);
bool expect_keyword(struct parser *p, enum keyword k);
// From the first byte of `begin` to the last byte read so far.
struct span span_since(const struct parser *p, uint32_t begin);
static inline uint32_t here(const struct parser *p) { return current(p)->span.begin; }

// Errors. All return NULL; only the first counts.
void *parse_unexpected(struct parser *p, const char *expected);  // PARSE_SYNTAX_ERROR at the current token
void *parse_error(struct parser *p, struct span span, const char *condition, const char *format, ...) PRINTF_LIKE(4, 5);
void *parse_unsupported(struct parser *p, struct span span, const char *what);  // LEAT_UNSUPPORTED
void *parse_no_memory(struct parser *p);
void parse_hint(struct parser *p, const char *format, ...) PRINTF_LIKE(2, 3);   // to the error just made
void parse_label(struct parser *p, const char *format, ...) PRINTF_LIKE(2, 3);
bool parse_enter(struct parser *p);  // one level deeper; false: too deep
static inline void parse_leave(struct parser *p) { p->depth--; }

// Memory: NULL has set the error.
void *parse_alloc(struct parser *p, size_t size_bytes);  // zeroed
char *parse_text(struct parser *p, const char *s, size_t size_bytes);
static inline size_t token_size(const struct token *t) { return t->span.end - t->span.begin; }

// Names and strings (parse_name.c).
const char *parse_name(struct parser *p, const char *expected);         // any word or quoted name
const char *parse_strict_name(struct parser *p, const char *expected);  // as parse_name, but no word of joins (LEFT, ON …)
bool parse_qualified_name(struct parser *p, struct uname *out, const char *expected);
const char *parse_string(struct parser *p, const char *expected);       // one string literal, unescaped
bool string_bytes(struct parser *p, const struct token *t, char **bytes, size_t *size_bytes);  // unescaped; may hold NULs
bool parse_name_list(struct parser *p, const char ***names, uint32_t *count);  // (a, b), the parenthesis included
bool is_strict_keyword(const struct token *t);

// Literals (parse_literal.c, parse_interval.c).
struct uexpr *parse_literal(struct parser *p);         // at a literal
bool at_literal(const struct parser *p);
struct uexpr *literal_string(struct parser *p, struct span span, const char *bytes, size_t size_bytes);
struct uexpr *literal_boolean(struct parser *p, struct span span, bool value);
struct uexpr *literal_value(struct parser *p, struct span span, const struct type *type, const void *value, size_t size_bytes);
struct uexpr *parse_number(struct parser *p);          // with its sign, if any
bool at_interval(const struct parser *p);
struct uexpr *parse_interval(struct parser *p);
struct uexpr *parse_interval_text(struct parser *p, struct span span, const char *s, size_t size_bytes);  // INTERVAL '1 day 2 hours'
bool parse_delay(struct parser *p, int32_t *months, int64_t *us);  // INTERVAL … of a WATERMARK

// Expressions (parse_expression.c, parse_primary.c, parse_call.c).
struct uexpr *parse_expression(struct parser *p);
struct uexpr *parse_value(struct parser *p);           // without AND, OR, NOT and predicates
struct uexpr *parse_primary(struct parser *p);
struct uexpr *parse_named_expression(struct parser *p);  // expression [[AS] name | AS (a, b)]
struct uexpr *parse_call(struct parser *p);            // at a name that a parenthesis follows
bool parse_sort_items(struct parser *p, struct usort **items, uint32_t *count);
bool parse_expressions(struct parser *p, struct list *out);  // e, e …
const struct type *parse_type(struct parser *p);
struct uexpr *expr_make(struct parser *p, enum uexpr_kind kind, uint32_t begin, uint32_t arg_count, struct uexpr *const *args);
struct uexpr *call_make(struct parser *p, const char *name, uint32_t begin, struct span name_span, uint32_t arg_count, struct uexpr *const *args);
bool at_clause(const struct parser *p);                // at a word that begins a clause, so that it is no name without AS

// Queries (parse_query.c, parse_relation.c).
struct uquery *parse_query(struct parser *p);
struct uquery *parse_subquery(struct parser *p, uint32_t *height);  // ( query )
bool starts_query(const struct parser *p, uint32_t ahead);
struct urelation *parse_from(struct parser *p);        // after FROM, with LATERAL VIEWs
struct urelation *parse_inline_table(struct parser *p);  // at VALUES
bool parse_lateral_views(struct parser *p, struct urelation **relation);
bool parse_link(struct parser *p);                     // counts a join or set operation

// Statements (parse_statement.c, parse_create.c).
struct ustatement *parse_statement(struct parser *p);
struct ustatement *parse_create(struct parser *p);
bool parse_options(struct parser *p, struct uoption **out, uint32_t *count);  // (k = v, …)
struct ustatement *statement_make(struct parser *p, enum ustatement_kind kind);
bool parse_insert(struct parser *p, struct ustatement *s);  // at INSERT
