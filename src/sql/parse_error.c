// SPDX-License-Identifier: Apache-2.0
// parse_error.c: the parser's errors: what was met, what would fit, and a guess at what was meant.
#include "sql/parse.h"
#include "plan/secret.h"

static const char *const clause_words[] = {
    "SELECT", "FROM", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "OFFSET", "UNION", "INTERSECT", "EXCEPT", "JOIN", "INNER", "LEFT",
    "RIGHT", "FULL", "CROSS", "LATERAL", "USING", "OPTIONS", "TBLPROPERTIES", "COMMENT", "PARTITIONED", "BETWEEN", "LIKE", "DISTINCT",
    "CREATE", "TABLE", "VIEW", "STREAMING", "MATERIALIZED", "TEMPORARY", "REPLACE", "INSERT", "INTO", "VALUES", "WATERMARK", "DELAY",
    "STREAM", "WHEN", "THEN", "ELSE", "INTERVAL", "EXPLAIN", "DESCRIBE", "SHOW", "DROP", "WITH", "FLOW", "EXISTS", "AND", "AS", "BY", "ON",
};
static const char *const start_words[] = {"SELECT", "CREATE", "INSERT", "WITH", "VALUES", "SET", "USE", "EXPLAIN", "DESCRIBE", "SHOW", "DROP", "TABLE", "FROM"};

static enum status fill(struct parser *p, struct span span, const char *condition, const char *format, va_list arguments) {
    char message[sizeof p->error.message];
    vsnprintf(message, sizeof message, format, arguments);
    enum status status = error_set(&p->error, STATUS_INVALID_QUERY, condition, "%s", message);
    p->error.span = span;
    // Conditions only a parser has.
    if (strcmp(condition, "FAILED_TO_PARSE_TOO_COMPLEX") == 0) snprintf(p->error.sqlstate, sizeof p->error.sqlstate, "54001");
    if (strcmp(condition, "CREATE_VIEW_WITH_IF_NOT_EXISTS_AND_REPLACE") == 0) snprintf(p->error.sqlstate, sizeof p->error.sqlstate, "42601");
    return status;
}

void *parse_error(struct parser *p, struct span span, const char *condition, const char *format, ...) {
    if (p->failed) return NULL;
    p->failed = true;
    va_list arguments;
    va_start(arguments, format);
    (void)fill(p, span, condition, format, arguments);
    va_end(arguments);
    return NULL;
}

void parse_hint(struct parser *p, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(p->error.hint, sizeof p->error.hint, format, arguments);
    va_end(arguments);
}

void parse_label(struct parser *p, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(p->error.label, sizeof p->error.label, format, arguments);
    va_end(arguments);
}

void *parse_unsupported(struct parser *p, struct span span, const char *what) {
    if (p->failed) return NULL;
    (void)parse_error(p, span, "LEAT_UNSUPPORTED", "%s: not yet", what);
    parse_label(p, "Spark SQL, but not supported here yet");
    return NULL;
}

void *parse_no_memory(struct parser *p) {
    if (p->failed) return NULL;
    p->failed = true;
    (void)error_no_memory(&p->error);
    return NULL;
}

bool parse_enter(struct parser *p) {
    if (p->depth < p->depth_limit) {
        p->depth++;
        return true;
    }
    if (!p->failed) {
        (void)parse_error(p, current(p)->span, "FAILED_TO_PARSE_TOO_COMPLEX", "the statement is nested more than %u levels deep", p->depth_limit);
        parse_label(p, "too deep here");
        parse_hint(p, "split the statement with views or common table expressions");
    }
    return false;
}

// A copy of a token, cut, for messages. What is secret is not in it.
static const char *quote_token(const struct parser *p, const struct token *t, char *out, size_t out_bytes) {
    uint32_t begin = p->tokens[0].span.begin, end = p->tokens[p->token_count - 1].span.end;
    const char *text = secrets_hidden(p->arena, p->text + begin, end - begin, t->span.begin - begin, t->span.end - begin);
    size_t size = text ? strlen(text) : 0, most = 40;
    bool cut = size > most;
    if (cut) {
        size = most;
        while (size > 0 && ((unsigned char)text[size] & 0xC0) == 0x80) size--;
    }
    snprintf(out, out_bytes, "%.*s%s", (int)size, text ? text : "", cut ? "…" : "");
    for (char *c = out; *c; c++) {
        if (*c == '\n' || *c == '\r' || *c == '\t') *c = ' ';
    }
    return out;
}

// The keyword that a word may have been meant to be, or NULL.
static const char *meant(const struct parser *p, const struct token *t, const char *const *words, size_t count) {
    char word[32];
    size_t size = token_size(t);
    if (t->kind != TOKEN_WORD || size < 2 || size >= sizeof word) return NULL;
    memcpy(word, p->text + t->span.begin, size);
    word[size] = 0;
    const char *found = suggest(word, words, count);
    return found && keyword_find(found, strlen(found)) != t->keyword ? found : NULL;
}

static bool begins_operand(const struct token *t) {
    return is_name(t) || is_string(t) || (t->kind >= TOKEN_INTEGER && t->kind <= TOKEN_BIGDECIMAL);
}

// A word that was taken for an alias and is nearly a keyword: FORM before a table, WEHRE before what then reads as another clause.
static bool guess_alias(struct parser *p, const char *here) {
    uint32_t alias = p->implicit_alias;
    if (!alias || alias > p->index || p->index - alias > 1) return false;
    const struct token *t = &p->tokens[alias - 1];
    const char *word = meant(p, t, clause_words, sizeof clause_words / sizeof *clause_words);
    if (!word || strlen(word) < 4 || (here && strlen(here) > strlen(word))) return false;
    char shown[64];
    p->error.span = t->span;
    snprintf(p->error.message, sizeof p->error.message, "unexpected `%s`", quote_token(p, t, shown, sizeof shown));
    parse_label(p, "taken as a name");
    parse_hint(p, "did you mean `%s`?", word);
    return true;
}

static bool is_clause_word(const struct token *t) {
    return is_keyword(t, KEYWORD_FROM) || is_keyword(t, KEYWORD_WHERE) || is_keyword(t, KEYWORD_GROUP) || is_keyword(t, KEYWORD_ORDER) || is_keyword(t, KEYWORD_HAVING);
}

// What may have gone wrong before or at the current token.
static void guess(struct parser *p, bool at_start) {
    const struct token *t = current(p);
    const char *word = at_start ? meant(p, t, start_words, sizeof start_words / sizeof *start_words)
                                : meant(p, t, clause_words, sizeof clause_words / sizeof *clause_words);
    if (t->keyword != KEYWORD_NONE) word = NULL;
    if (guess_alias(p, word)) return;
    if (word) {
        parse_hint(p, "did you mean `%s`?", word);
        return;
    }
    const struct token *before = p->index > 0 ? &p->tokens[p->index - 1] : NULL;
    if (before && p->implicit_alias == p->index) {
        char shown[64];
        if (begins_operand(t)) parse_hint(p, "is a comma missing before `%s`?", quote_token(p, t, shown, sizeof shown));
        return;
    }
    if (before && before->kind == TOKEN_COMMA && t->kind != TOKEN_COMMA) {
        parse_hint(p, "is the comma before it too much?");
    } else if (before && begins_operand(t) && (begins_operand(before) || before->kind == TOKEN_RIGHT_PAREN) && before->keyword == KEYWORD_NONE &&
               t->keyword == KEYWORD_NONE) {
        parse_hint(p, "is a comma or an operator missing before it?");
    } else if (before && is_clause_word(t)) {
        char shown[64], cause[64];
        parse_hint(p, "something is missing between `%s` and `%s`", quote_token(p, before, cause, sizeof cause), quote_token(p, t, shown, sizeof shown));
    } else if (t->kind == TOKEN_PIPE_OPERATOR) {
        parse_hint(p, "pipe syntax is not supported yet: write it with subqueries or WITH");
    }
}

void *parse_unexpected(struct parser *p, const char *expected) {
    if (p->failed) return NULL;
    const struct token *t = current(p);
    char shown[64];
    if (t->kind == TOKEN_END) {
        struct span span = t->span;
        if (!span_known(span) && p->index > 0) span = p->tokens[p->index - 1].span;
        (void)parse_error(p, span, "PARSE_SYNTAX_ERROR", "the statement ends too early");
    } else {
        (void)parse_error(p, t->span, "PARSE_SYNTAX_ERROR", "unexpected `%s`", quote_token(p, t, shown, sizeof shown));
    }
    parse_label(p, "expected %s%s", expected, t->kind == TOKEN_END && !span_known(t->span) ? " after this" : "");
    guess(p, p->index == 0);
    return NULL;
}

bool expect(struct parser *p, enum token_kind kind, const char *expected) {
    if (accept(p, kind)) return true;
    (void)parse_unexpected(p, expected);
    return false;
}

bool expect_keyword(struct parser *p, enum keyword k) {
    if (accept_keyword(p, k)) return true;
    (void)parse_unexpected(p, keyword_name(k));
    return false;
}
