// SPDX-License-Identifier: Apache-2.0
// parse_statement.c: the statements other than CREATE, and which one it is.
#include "sql/parse.h"

struct ustatement *statement_make(struct parser *p, enum ustatement_kind kind) {
    struct ustatement *s = parse_alloc(p, sizeof *s);
    if (!s) return NULL;
    s->kind = kind;
    s->span.begin = here(p);
    return s;
}

static inline bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// Text without the blanks around it, and without one pair of quotes where they embrace all of it.
static const char *trimmed(struct parser *p, const char *s, size_t size, bool unquote) {
    while (size > 0 && is_blank(s[0])) s++, size--;
    while (size > 0 && is_blank(s[size - 1])) size--;
    bool quoted = size >= 2 && s[0] == s[size - 1] && (s[0] == '`' || (unquote && (s[0] == '\'' || s[0] == '"')));
    if (quoted && !memchr(s + 1, s[0], size - 2)) s++, size -= 2;
    return parse_text(p, s, size);
}

// SET, SET k, SET k = v, SET TIME ZONE …: what stands after the first = is the value, as it is.
static struct ustatement *parse_set(struct parser *p) {
    struct ustatement *s = statement_make(p, USTATEMENT_SET);
    if (!s) return NULL;
    advance(p);
    const struct token *last = &p->tokens[p->token_count - 2];
    uint32_t begin = here(p), end = last->span.end, equal = p->index;
    if (at_kind(p, TOKEN_END)) return s;
    if (at_keywords(p, KEYWORD_TIME, KEYWORD_ZONE)) {
        advance(p);
        advance(p);
        if (at_kind(p, TOKEN_END)) return parse_unexpected(p, "a time zone");
        s->key = "spark.sql.session.timeZone";
        s->value = trimmed(p, p->text + here(p), end - here(p), true);
    } else {
        while (equal < p->token_count && p->tokens[equal].kind != TOKEN_EQUAL && p->tokens[equal].kind != TOKEN_END) equal++;
        bool has_value = equal < p->token_count && p->tokens[equal].kind == TOKEN_EQUAL;
        uint32_t key_end = has_value ? p->tokens[equal].span.begin : end;
        s->key = trimmed(p, p->text + begin, key_end - begin, false);
        bool quoted = at_kind(p, TOKEN_QUOTED_NAME);
        if (s->key && !quoted && (!*s->key || strpbrk(s->key, " \t\n\r'\""))) {
            (void)parse_error(p, (struct span){begin, end}, "INVALID_SET_SYNTAX", "the form is SET, SET key or SET key = value");
            parse_hint(p, "for other characters in the key, put it in backquotes");
            return NULL;
        }
        uint32_t value = has_value ? p->tokens[equal].span.begin + 1 : 0;
        if (has_value) s->value = value <= end ? trimmed(p, p->text + value, end - value, true) : "";
    }
    while (!at_kind(p, TOKEN_END)) advance(p);
    return p->failed ? NULL : s;
}

// INSERT [OVERWRITE | INTO] [TABLE] t [(columns) | BY NAME] query
bool parse_insert(struct parser *p, struct ustatement *s) {
    advance(p);
    s->overwrite = accept_keyword(p, KEYWORD_OVERWRITE);
    if (!s->overwrite && !accept_keyword(p, KEYWORD_INTO)) return parse_unexpected(p, "INTO") != NULL;
    if (at_keyword(p, KEYWORD_TABLE) && is_name(token_at(p, 1))) advance(p);
    if (!parse_qualified_name(p, &s->target, "a table")) return false;
    if (at_keyword(p, KEYWORD_PARTITION) && token_at(p, 1)->kind == TOKEN_LEFT_PAREN) return parse_unsupported(p, current(p)->span, "INSERT into a partition") != NULL;
    if (at_keywords(p, KEYWORD_REPLACE, KEYWORD_WHERE)) return parse_unsupported(p, current(p)->span, "REPLACE WHERE") != NULL;
    if (accept_keywords(p, KEYWORD_BY, KEYWORD_NAME)) s->by_name = true;
    else if (at_kind(p, TOKEN_LEFT_PAREN) && !starts_query(p, 1) && !parse_name_list(p, &s->insert_columns, &s->insert_column_count)) return false;
    if (!starts_query(p, 0)) return parse_unexpected(p, "a query or VALUES") != NULL;
    return (s->query = parse_query(p)) != NULL;
}

static struct ustatement *parse_explain(struct parser *p) {
    struct ustatement *s = statement_make(p, USTATEMENT_EXPLAIN);
    if (!s || !parse_enter(p)) return NULL;
    advance(p);
    s->extended = accept_keyword(p, KEYWORD_EXTENDED);
    if (!s->extended) (void)accept_keyword(p, KEYWORD_FORMATTED);
    s->explained = parse_statement(p);
    parse_leave(p);
    if (!s->explained) return NULL;
    s->query = s->explained->query;
    return s;
}

static struct ustatement *parse_describe(struct parser *p) {
    struct ustatement *s = statement_make(p, USTATEMENT_DESCRIBE);
    if (!s) return NULL;
    advance(p);
    const struct token *after = token_at(p, 1);
    if (starts_query(p, 0) && !(at_keyword(p, KEYWORD_TABLE))) return (s->query = parse_query(p)) ? s : NULL;
    if (at_keyword(p, KEYWORD_QUERY) && starts_query(p, 1)) {
        advance(p);
        return (s->query = parse_query(p)) ? s : NULL;
    }
    if ((at_keyword(p, KEYWORD_DATABASE) || at_keyword(p, KEYWORD_SCHEMA)) && is_name(after)) return parse_unsupported(p, current(p)->span, "DESCRIBE of a schema");
    if (at_keyword(p, KEYWORD_TABLE) && is_name(after)) advance(p);
    if ((at_keyword(p, KEYWORD_EXTENDED) || at_keyword(p, KEYWORD_FORMATTED)) && is_name(token_at(p, 1))) {
        s->extended = true;
        advance(p);
    }
    return parse_qualified_name(p, &s->name, "a table") ? s : NULL;
}

// SHOW TABLES | FUNCTIONS [FROM schema] [LIKE 'pattern']
static struct ustatement *parse_show(struct parser *p) {
    struct ustatement *s = statement_make(p, USTATEMENT_SHOW_TABLES);
    if (!s) return NULL;
    advance(p);
    if (!at_keyword(p, KEYWORD_FUNCTIONS) && is_name(current(p)) && is_keyword(token_at(p, 1), KEYWORD_FUNCTIONS)) advance(p);  // ALL, SYSTEM, USER
    if (accept_keyword(p, KEYWORD_FUNCTIONS)) s->kind = USTATEMENT_SHOW_FUNCTIONS;
    else if (!accept_keyword(p, KEYWORD_TABLES)) return parse_unexpected(p, "TABLES or FUNCTIONS");
    if ((accept_keyword(p, KEYWORD_FROM) || accept_keyword(p, KEYWORD_IN)) && !parse_qualified_name(p, &s->name, "a schema")) return NULL;
    bool like = accept_keyword(p, KEYWORD_LIKE);
    if (s->kind == USTATEMENT_SHOW_FUNCTIONS && is_name(current(p))) {
        s->pattern = parse_name(p, "a pattern");
        return s->pattern ? s : NULL;
    }
    if (like || is_string(current(p))) {
        s->pattern = parse_string(p, "a pattern, a string");
        if (!s->pattern) return NULL;
    }
    return s;
}

static struct ustatement *parse_drop(struct parser *p) {
    struct ustatement *s = statement_make(p, USTATEMENT_DROP);
    if (!s) return NULL;
    advance(p);
    bool table = accept_keyword(p, KEYWORD_TABLE);
    if (!table && !accept_keyword(p, KEYWORD_VIEW)) {
        (void)parse_unexpected(p, "TABLE or VIEW");
        if (at_keywords(p, KEYWORD_MATERIALIZED, KEYWORD_VIEW)) parse_hint(p, "write DROP VIEW");
        if (at_keywords(p, KEYWORD_STREAMING, KEYWORD_TABLE)) parse_hint(p, "write DROP TABLE");
        return NULL;
    }
    if (accept_keywords(p, KEYWORD_IF, KEYWORD_EXISTS)) s->if_exists = true;
    s->drops_view = !table;
    if (!parse_qualified_name(p, &s->name, table ? "a table" : "a view")) return NULL;
    if (table) (void)accept_keyword(p, KEYWORD_PURGE);
    return s;
}

static struct ustatement *parse_use(struct parser *p) {
    struct ustatement *s = statement_make(p, USTATEMENT_USE);
    if (!s) return NULL;
    advance(p);
    if ((at_keyword(p, KEYWORD_DATABASE) || at_keyword(p, KEYWORD_SCHEMA) || at_keyword(p, KEYWORD_CATALOG)) && is_name(token_at(p, 1))) advance(p);
    return parse_qualified_name(p, &s->name, "a schema") ? s : NULL;
}

// Statements of Spark that leat does not have.
static void *reject_statement(struct parser *p) {
    static const char *const known[] = {"ALTER", "DELETE", "UPDATE", "MERGE", "CACHE", "UNCACHE", "REFRESH", "ANALYZE", "TRUNCATE", "REPLACE", "DECLARE", "EXECUTE",
                                        "RESET", "MSCK", "REPAIR", "LOAD", "GRANT", "REVOKE", "ADD", "LIST", "CLEAR", "COMMENT", "BEGIN", "CALL"};
    const struct token *t = current(p);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (t->kind == TOKEN_WORD && token_size(t) == strlen(known[i]) && strncasecmp(p->text + t->span.begin, known[i], strlen(known[i])) == 0)
            return parse_unsupported(p, t->span, arena_printf(p->arena, "%s", known[i]));
    }
    return parse_unexpected(p, "a statement: SELECT, CREATE, INSERT, SET, EXPLAIN, DESCRIBE, SHOW, DROP or USE");
}

static struct ustatement *parse_query_statement(struct parser *p) {
    struct ustatement *s = statement_make(p, USTATEMENT_QUERY);
    return s && (s->query = parse_query(p)) ? s : NULL;
}

struct ustatement *parse_statement(struct parser *p) {
    const struct token *t = current(p);
    struct ustatement *s = NULL;
    if (t->kind == TOKEN_LEFT_PAREN) return parse_query_statement(p);
    switch (t->kind == TOKEN_WORD ? t->keyword : KEYWORD_NONE) {
    case KEYWORD_SELECT: case KEYWORD_WITH: case KEYWORD_VALUES: case KEYWORD_TABLE: case KEYWORD_FROM:
        s = parse_query_statement(p);
        break;
    case KEYWORD_CREATE: s = parse_create(p); break;
    case KEYWORD_INSERT:
        s = statement_make(p, USTATEMENT_INSERT);
        if (s && !parse_insert(p, s)) s = NULL;
        break;
    case KEYWORD_SET: s = parse_set(p); break;
    case KEYWORD_EXPLAIN: s = parse_explain(p); break;
    case KEYWORD_DESC:
    case KEYWORD_DESCRIBE: s = parse_describe(p); break;
    case KEYWORD_SHOW: s = parse_show(p); break;
    case KEYWORD_DROP: s = parse_drop(p); break;
    case KEYWORD_USE: s = parse_use(p); break;
    default: return reject_statement(p);
    }
    return s;
}
