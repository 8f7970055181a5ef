// SPDX-License-Identifier: Apache-2.0
// parser.c: a text of statements, one after the other. An error ends a statement, not the text: it goes on after the next semicolon.
//
// An unclosed string takes all that follows into itself, and the quotes after it turn inside out. So when the text ends within a string,
// the culprit is the first string over several lines that swallowed a semicolon at a line's end, or whose end touches a word; else the
// last one. It is told, taken to end at its line's end, and reading goes on from there: at the next line if the line ended its
// statement, else after the next semicolon.
#include "sql/parser.h"
#include "sql/parse.h"
#include "column/timezone.h"

enum { DEFAULT_STATEMENT_BYTES = 1 << 20, DEFAULT_NESTING = 200, MOST_NESTING = 1000, HEIGHT_PER_NESTING = 5, MOST_ERRORS = 100 };

static uint32_t line_end(const struct lexer *l, uint32_t i) {
    const char *newline = memchr(l->text + i, '\n', l->size_bytes - i);
    return newline ? (uint32_t)(newline - l->text) : l->size_bytes;
}

// Whether a semicolon, blanks and perhaps a comment end the line [begin, end).
static bool ends_statement(const struct lexer *l, uint32_t begin, uint32_t end) {
    const char *semicolon = memrchr(l->text + begin, ';', end - begin);
    if (!semicolon) return false;
    const char *s = semicolon + 1, *stop = l->text + end;
    while (s < stop && (*s == ' ' || *s == '\t' || *s == '\r')) s++;
    return s == stop || (stop - s >= 2 && s[0] == '-' && s[1] == '-');
}

static const struct token *unclosed_string(const struct lexer *l, const struct vector *tokens) {
    const struct token *last = tokens->count >= 2 ? vector_at(tokens, tokens->count - 2) : NULL;
    if (!last || !(last->flags & TOKEN_UNCLOSED)) return NULL;
    for (size_t i = 0; i + 1 < tokens->count; i++) {
        const struct token *t = vector_at(tokens, i);
        if (!is_string(t) && t->kind != TOKEN_QUOTED_NAME) continue;
        uint32_t end = line_end(l, t->span.begin);
        const struct token *after = vector_at(tokens, i + 1);
        bool inside_out = after->flags & TOKEN_ADJACENT && (after->kind == TOKEN_WORD || after->kind == TOKEN_INTEGER);
        if (end < t->span.end && (inside_out || ends_statement(l, t->span.begin, end))) return t;
    }
    return last;
}

static enum status report_unclosed(struct parser *p, struct lexer *l, const struct token *t, struct vector *tokens, uint32_t limit, bool *at_end) {
    uint32_t begin = t->span.begin, end = line_end(l, begin);
    bool statement_ends = ends_statement(l, begin, end), is_name_token = t->kind == TOKEN_QUOTED_NAME;
    uint32_t shown = end;
    while (shown > begin + 1 && (l->text[shown - 1] == '\r' || l->text[shown - 1] == ' ')) shown--;
    (void)parse_error(p, (struct span){begin, shown}, "PARSE_SYNTAX_ERROR", is_name_token ? "the quoted name is not closed" : "the string is not closed");
    parse_label(p, "begins here and never ends");
    char quote = l->text[begin] == 'r' || l->text[begin] == 'R' ? l->text[begin + 1] : l->text[begin];
    parse_hint(p, "is a closing %c missing on this line?", quote);
    l->next = end;
    l->unclosed_comment = (struct span){0, 0};  // it may have begun within what the string took
    *at_end = end >= l->size_bytes;
    if (statement_ends || *at_end) return STATUS_OK;
    enum status status = lexer_statement(l, limit, tokens, at_end);  // the rest of the broken statement
    return status == STATUS_LIMIT ? STATUS_OK : status;
}

static struct ustatement *parse_one(struct parser *p) {
    struct ustatement *s = parse_statement(p);
    if (!s || p->failed) return NULL;
    if (!at_kind(p, TOKEN_END)) {
        bool query = s->query && !s->explained;
        return parse_unexpected(p, query ? "an operator, a clause or the end of the statement" : "the end of the statement");
    }
    s->span.end = p->tokens[p->token_count - 2].span.end;
    s->text = parse_text(p, p->text + s->span.begin, s->span.end - s->span.begin);
    return s->text ? s : NULL;
}

struct reading {
    struct lexer lexer;
    struct vector tokens;
    struct diagnostics *diagnostics;
    const struct parse_limits *limits;
    size_t error_count;
    bool at_end;
};

// Reads the next statement. *out NULL: there was none, or an error, which is reported.
static enum status read_statement(struct reading *r, struct arena *a, struct ustatement **out) {
    uint32_t limit = r->limits && r->limits->statement_bytes ? r->limits->statement_bytes : DEFAULT_STATEMENT_BYTES;
    uint32_t nesting = r->limits && r->limits->nesting ? r->limits->nesting : DEFAULT_NESTING;
    if (nesting > MOST_NESTING) nesting = MOST_NESTING;
    const struct timezone *zone = r->limits && r->limits->zone ? r->limits->zone : &timezone_utc;
    struct parser p = {.arena = a, .text = r->lexer.text, .zone = zone, .depth_limit = nesting, .height_limit = nesting * HEIGHT_PER_NESTING};
    *out = NULL;
    error_clear(&p.error);
    enum status status = lexer_statement(&r->lexer, limit, &r->tokens, &r->at_end);
    if (status != STATUS_OK && status != STATUS_LIMIT) return status;
    p.tokens = r->tokens.items;
    p.token_count = (uint32_t)r->tokens.count;
    const struct token *unclosed = unclosed_string(&r->lexer, &r->tokens);
    if (unclosed) {
        TRY(report_unclosed(&p, &r->lexer, unclosed, &r->tokens, limit, &r->at_end));
    } else if (status == STATUS_LIMIT) {
        (void)parse_error(&p, p.tokens[0].span, "LEAT_LIMIT_EXCEEDED", "the statement is longer than %u bytes", limit);
        parse_label(&p, "it begins here");
        parse_hint(&p, "is a semicolon missing?");
    } else if (span_known(r->lexer.unclosed_comment)) {
        (void)parse_error(&p, r->lexer.unclosed_comment, "UNCLOSED_BRACKETED_COMMENT", "the comment is not closed");
        parse_label(&p, "begins here and never ends");
        parse_hint(&p, "every /* needs its */, inner ones too");
    } else if (p.token_count > 1) {
        *out = parse_one(&p);
    }
    if (!p.failed) return STATUS_OK;
    *out = NULL;
    if (p.error.status == STATUS_NO_MEMORY) return STATUS_NO_MEMORY;
    r->error_count++;
    return diagnostics_add(r->diagnostics, SEVERITY_ERROR, &p.error);
}

static enum status read_all(struct reading *r, struct arena *a, struct ustatement ***out, uint32_t *count) {
    struct parser collector = {.arena = a};
    struct list statements = {0};
    while (!r->at_end && r->error_count < MOST_ERRORS) {
        struct ustatement *s;
        TRY(read_statement(r, a, &s));
        if (s && !list_add(&collector, &statements, s)) return STATUS_NO_MEMORY;
    }
    *out = (struct ustatement **)statements.items;
    *count = statements.count;
    return r->error_count ? STATUS_INVALID_QUERY : STATUS_OK;
}

enum status sql_parse(struct arena *a, const char *text, size_t size_bytes, const struct parse_limits *limits, struct diagnostics *d,
                      struct ustatement ***out, uint32_t *count) {
    *out = NULL;
    *count = 0;
    if (size_bytes > (size_t)INT32_MAX) {
        struct error e;
        enum status status = error_set(&e, STATUS_INVALID_QUERY, "LEAT_LIMIT_EXCEEDED", "the SQL text is larger than 2 GiB");
        enum status added = diagnostics_add(d, SEVERITY_ERROR, &e);
        return added ? added : status;
    }
    struct reading r = {.lexer = {.text = text, .size_bytes = (uint32_t)size_bytes}, .diagnostics = d, .limits = limits};
    if (size_bytes >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) r.lexer.next = 3;
    vector_init(&r.tokens, a->memory, sizeof(struct token));
    enum status status = read_all(&r, a, out, count);
    vector_release(&r.tokens);
    return status;
}
