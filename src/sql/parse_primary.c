// SPDX-License-Identifier: Apache-2.0
// parse_primary.c: operands: names, literals, parentheses, CASE, subqueries, lambdas; and what may follow one: .field [i] ::type.
//
// Nearly every word may be a column. A word that begins a clause (FROM, WHERE …) is one only where what follows could not follow the
// clause, so that SELECT a, FROM t is told as what it is.
#include "sql/parse.h"
#include "column/type_text.h"

static void suggest_type(struct parser *p) {
    static const char *const types[] = {"BOOLEAN", "TINYINT", "SMALLINT", "INT", "INTEGER", "BIGINT", "LONG", "FLOAT", "REAL", "DOUBLE", "DECIMAL", "NUMERIC",
                                        "STRING", "VARCHAR", "CHAR", "BINARY", "DATE", "TIMESTAMP", "TIMESTAMP_NTZ", "INTERVAL", "ARRAY", "MAP", "STRUCT"};
    const struct token *t = current(p);
    char word[32];
    if (p->error.hint[0] || token_size(t) >= sizeof word || strcmp(p->error.condition, "UNSUPPORTED_DATATYPE") != 0) return;
    memcpy(word, p->text + t->span.begin, token_size(t));
    word[token_size(t)] = 0;
    const char *near = suggest(word, types, sizeof types / sizeof *types);
    if (near) parse_hint(p, "did you mean `%s`?", near);
}

const struct type *parse_type(struct parser *p) {
    const struct type *type = NULL;
    size_t consumed = 0;
    uint32_t begin = here(p), end = p->tokens[p->token_count - 1].span.begin;
    if (!is_name(current(p))) return parse_unexpected(p, "a type");
    struct error error;
    error_clear(&error);
    enum status status = type_parse(p->arena, p->text + begin, end - begin, &type, &consumed, &error);
    if (status == STATUS_NO_MEMORY) return parse_no_memory(p);
    if (status != STATUS_OK) {
        if (p->failed) return NULL;
        p->failed = true;
        p->error = error;
        p->error.status = STATUS_INVALID_QUERY;
        suggest_type(p);
        bool placed = span_known(error.span) && error.span.end <= end - begin;
        p->error.span = placed ? (struct span){begin + error.span.begin, begin + error.span.end} : current(p)->span;
        return NULL;
    }
    while (!at_kind(p, TOKEN_END) && here(p) < begin + consumed) advance(p);
    if (at_keyword(p, KEYWORD_COLLATE)) return parse_unsupported(p, current(p)->span, "a collation");
    return type;
}

// Words that begin or join clauses.
static bool is_clause_word(const struct token *t) {
    switch (t->keyword) {
    case KEYWORD_FROM: case KEYWORD_WHERE: case KEYWORD_HAVING: case KEYWORD_LIMIT: case KEYWORD_OFFSET: case KEYWORD_UNION: case KEYWORD_EXCEPT:
    case KEYWORD_INTERSECT: case KEYWORD_ON: case KEYWORD_USING: case KEYWORD_JOIN: case KEYWORD_INNER: case KEYWORD_CROSS: case KEYWORD_LEFT:
    case KEYWORD_RIGHT: case KEYWORD_FULL: case KEYWORD_NATURAL: case KEYWORD_LATERAL: case KEYWORD_AS: case KEYWORD_WHEN: case KEYWORD_THEN:
    case KEYWORD_ELSE: case KEYWORD_AND: case KEYWORD_OR: case KEYWORD_IN: case KEYWORD_IS: case KEYWORD_BETWEEN: case KEYWORD_LIKE:
    case KEYWORD_ILIKE: case KEYWORD_RLIKE: case KEYWORD_REGEXP: case KEYWORD_SELECT: case KEYWORD_INTO: case KEYWORD_GROUP: case KEYWORD_ORDER:
        return t->kind == TOKEN_WORD;
    default:
        return false;
    }
}

// Clause words that are functions too.
static bool names_function(const struct token *t) {
    return t->keyword == KEYWORD_LEFT || t->keyword == KEYWORD_RIGHT || t->keyword == KEYWORD_LIKE || t->keyword == KEYWORD_ILIKE ||
           t->keyword == KEYWORD_RLIKE || t->keyword == KEYWORD_REGEXP || t->keyword == KEYWORD_WHEN || t->keyword == KEYWORD_BETWEEN;
}

// A clause word that stands where a column could, judged by what comes after.
static bool names_column(const struct parser *p) {
    const struct token *t = current(p), *after = token_at(p, 1);
    if (!is_clause_word(t)) return true;
    if (t->keyword == KEYWORD_LIMIT || t->keyword == KEYWORD_OFFSET) return after->kind != TOKEN_INTEGER;
    switch (after->kind) {
    case TOKEN_LEFT_PAREN: return names_function(t);
    case TOKEN_WORD:
        return (after->keyword == KEYWORD_FROM || after->keyword == KEYWORD_AS || after->keyword == KEYWORD_IS || after->keyword == KEYWORD_IN) &&
               t->keyword != KEYWORD_FROM;
    case TOKEN_COMMA: case TOKEN_RIGHT_PAREN: case TOKEN_DOT: case TOKEN_LEFT_BRACKET: case TOKEN_DOUBLE_COLON: case TOKEN_EQUAL: case TOKEN_NOT_EQUAL:
    case TOKEN_LESS: case TOKEN_LESS_EQUAL: case TOKEN_GREATER: case TOKEN_GREATER_EQUAL: case TOKEN_SLASH: case TOKEN_PERCENT: case TOKEN_CONCAT:
    case TOKEN_ARROW:
        return true;
    default:
        return false;
    }
}

bool at_clause(const struct parser *p) {
    const struct token *t = current(p), *after = token_at(p, 1);
    if (t->kind != TOKEN_WORD || t->keyword == KEYWORD_NONE) return false;
    switch (t->keyword) {
    case KEYWORD_GROUP: case KEYWORD_ORDER: case KEYWORD_SORT: case KEYWORD_CLUSTER: case KEYWORD_DISTRIBUTE: case KEYWORD_PARTITION:
        return is_keyword(after, KEYWORD_BY);
    case KEYWORD_LIMIT:
    case KEYWORD_OFFSET: return after->kind != TOKEN_COMMA && !is_keyword(after, KEYWORD_FROM);
    case KEYWORD_DELAY: return is_keyword(after, KEYWORD_OF);
    case KEYWORD_WINDOW: return is_name(after) && is_keyword(token_at(p, 2), KEYWORD_AS);
    case KEYWORD_PIVOT: case KEYWORD_TABLESAMPLE: case KEYWORD_VALUES: case KEYWORD_WITH: case KEYWORD_FILTER:
        return after->kind == TOKEN_LEFT_PAREN;
    case KEYWORD_UNPIVOT: return after->kind == TOKEN_LEFT_PAREN || is_name(after);
    case KEYWORD_WATERMARK: case KEYWORD_CREATE: case KEYWORD_INSERT: case KEYWORD_QUALIFY: return is_name(after) || after->kind == TOKEN_LEFT_PAREN;
    case KEYWORD_NOT: case KEYWORD_MINUS: case KEYWORD_SEMI: case KEYWORD_ANTI: return true;
    default: return is_clause_word(t);
    }
}

// An unquoted or quoted path a.b.c, or a.b.*.
static struct uexpr *parse_path(struct parser *p) {
    struct list parts = {0};
    uint32_t begin = here(p);
    bool star = false;
    do {
        if (parts.count && at_kind(p, TOKEN_STAR)) {
            star = true;
            advance(p);
            break;
        }
        if (!list_add(p, &parts, (void *)(uintptr_t)parse_name(p, parts.count ? "a field name or * after the dot" : "an expression"))) return NULL;
    } while (accept(p, TOKEN_DOT));
    struct uexpr *e = expr_make(p, star ? U_STAR : U_NAME, begin, 0, NULL);
    if (e) e->name = (struct uname){.parts = (const char **)parts.items, .part_count = parts.count, .span = e->span};
    return e;
}

// After *: EXCEPT (a, b).
static struct uexpr *parse_star_except(struct parser *p, struct uexpr *star, uint32_t begin) {
    if (!star || !at_keyword(p, KEYWORD_EXCEPT) || token_at(p, 1)->kind != TOKEN_LEFT_PAREN || starts_query(p, 2)) return star;
    struct list names = {0};
    advance(p);
    advance(p);
    do {
        struct uname name;
        if (!parse_qualified_name(p, &name, "a column name")) return NULL;
        const char *joined = name.parts[0];
        for (uint32_t i = 1; i < name.part_count; i++) joined = joined ? arena_printf(p->arena, "%s.%s", joined, name.parts[i]) : NULL;
        if (!joined) return parse_no_memory(p);
        if (!list_add(p, &names, (void *)(uintptr_t)joined)) return NULL;
    } while (accept(p, TOKEN_COMMA));
    if (!expect(p, TOKEN_RIGHT_PAREN, "`,` or `)`")) return NULL;
    star->names = (const char **)names.items;
    star->name_count = names.count;
    star->span = span_since(p, begin);
    return star;
}

static struct uexpr *parse_case(struct parser *p) {
    struct list args = {0};
    uint32_t begin = here(p);
    struct span name_span = current(p)->span;
    bool has_operand, has_else;
    advance(p);
    has_operand = !at_keyword(p, KEYWORD_WHEN);
    if (has_operand && !list_add(p, &args, parse_expression(p))) return NULL;
    if (!at_keyword(p, KEYWORD_WHEN)) return parse_unexpected(p, "WHEN");
    while (accept_keyword(p, KEYWORD_WHEN)) {
        if (!list_add(p, &args, parse_expression(p)) || !expect_keyword(p, KEYWORD_THEN) || !list_add(p, &args, parse_expression(p))) return NULL;
    }
    has_else = accept_keyword(p, KEYWORD_ELSE);
    if (has_else && !list_add(p, &args, parse_expression(p))) return NULL;
    if (!accept_keyword(p, KEYWORD_END)) return parse_unexpected(p, has_else ? "END" : "WHEN, ELSE or END");
    struct uexpr *e = expr_make(p, U_CASE, begin, args.count, (struct uexpr **)args.items);
    if (!e) return NULL;
    e->has_operand = has_operand;
    e->has_else = has_else;
    e->name_span = name_span;
    return e;
}

// x -> …, (x, y) -> …
static bool at_lambda(const struct parser *p) {
    if (is_name(current(p))) return token_at(p, 1)->kind == TOKEN_ARROW;
    if (!at_kind(p, TOKEN_LEFT_PAREN)) return false;
    uint32_t ahead = 1;
    while (is_name(token_at(p, ahead)) && token_at(p, ahead + 1)->kind == TOKEN_COMMA) ahead += 2;
    return is_name(token_at(p, ahead)) && token_at(p, ahead + 1)->kind == TOKEN_RIGHT_PAREN && token_at(p, ahead + 2)->kind == TOKEN_ARROW;
}

static struct uexpr *parse_lambda(struct parser *p) {
    uint32_t begin = here(p);
    const char **names = NULL;
    uint32_t count = 1;
    if (at_kind(p, TOKEN_LEFT_PAREN)) {
        if (!parse_name_list(p, &names, &count)) return NULL;
    } else {
        names = parse_alloc(p, sizeof *names);
        if (!names || !(names[0] = parse_name(p, "a parameter"))) return NULL;
    }
    advance(p);  // ->
    struct uexpr *body = parse_expression(p);
    if (!body) return NULL;
    struct uexpr *e = expr_make(p, U_LAMBDA, begin, 1, &body);
    if (!e) return NULL;
    e->names = names;
    e->name_count = count;
    return e;
}

static struct uexpr *parse_query_expression(struct parser *p, enum uexpr_kind kind, uint32_t begin) {
    uint32_t height;
    struct uquery *query = parse_subquery(p, &height);
    if (!query) return NULL;
    struct uexpr *e = expr_make(p, kind, begin, 0, NULL);
    if (!e) return NULL;
    e->query = query;
    e->height = height + 1;
    return e;
}

// (e), (a, b …), (query)
static struct uexpr *parse_parenthesized(struct parser *p) {
    uint32_t begin = here(p);
    if (starts_query(p, 1)) return parse_query_expression(p, U_SUBQUERY, begin);
    struct list items = {0};
    advance(p);
    do {
        if (!list_add(p, &items, parse_named_expression(p))) return NULL;
    } while (accept(p, TOKEN_COMMA));
    if (!expect(p, TOKEN_RIGHT_PAREN, "`,` or `)`")) return NULL;
    struct uexpr *first = items.items[0];
    if (items.count > 1) return expr_make(p, U_ROW, begin, items.count, (struct uexpr **)items.items);
    if (first->kind == U_ALIAS) return parse_error(p, first->span, "PARSE_SYNTAX_ERROR", "a name cannot be given to one expression in parentheses");
    return first;
}

// CURRENT_DATE and its kind without parentheses; USER alone is more often a column.
static bool at_current(const struct parser *p) {
    const struct token *t = current(p);
    uint8_t after = token_at(p, 1)->kind;
    if (t->kind != TOKEN_WORD || after == TOKEN_LEFT_PAREN || after == TOKEN_DOT) return false;
    return t->keyword == KEYWORD_CURRENT_DATE || t->keyword == KEYWORD_CURRENT_TIMESTAMP || t->keyword == KEYWORD_CURRENT_USER ||
           t->keyword == KEYWORD_SESSION_USER || t->keyword == KEYWORD_CURRENT_TIME;
}

static struct uexpr *parse_current(struct parser *p) {
    const struct token *t = current(p);
    char *name = parse_text(p, p->text + t->span.begin, token_size(t));
    if (!name) return NULL;
    for (char *c = name; *c; c++) {
        if (*c >= 'A' && *c <= 'Z') *c = (char)(*c + 32);
    }
    advance(p);
    return call_make(p, name, t->span.begin, t->span, 0, NULL);
}

// Whether the path of names here is followed by a parenthesis: a call.
static bool at_call(const struct parser *p) {
    uint32_t ahead = 0;
    while (is_name(token_at(p, ahead)) && token_at(p, ahead + 1)->kind == TOKEN_DOT) ahead += 2;
    return is_name(token_at(p, ahead)) && token_at(p, ahead + 1)->kind == TOKEN_LEFT_PAREN;
}

static struct uexpr *parse_operand(struct parser *p) {
    uint32_t begin = here(p);
    const struct token *t = current(p);
    switch (t->kind) {
    case TOKEN_LEFT_PAREN: return at_lambda(p) ? parse_lambda(p) : parse_parenthesized(p);
    case TOKEN_STAR:
        advance(p);
        return parse_star_except(p, expr_make(p, U_STAR, begin, 0, NULL), begin);
    case TOKEN_QUESTION:
        advance(p);
        return expr_make(p, U_PARAMETER, begin, 0, NULL);
    case TOKEN_COLON:
        advance(p);
        return parse_name(p, "a parameter's name") ? expr_make(p, U_PARAMETER, begin, 0, NULL) : NULL;
    default:
        break;
    }
    if (at_literal(p)) return parse_literal(p);
    if (!is_name(t) || !names_column(p)) return parse_unexpected(p, "an expression");
    if (at_lambda(p)) return parse_lambda(p);
    if (is_keyword(t, KEYWORD_CASE)) {
        uint8_t after = token_at(p, 1)->kind;
        if (after != TOKEN_COMMA && after != TOKEN_RIGHT_PAREN && after != TOKEN_END && after != TOKEN_DOT) return parse_case(p);
    }
    if (is_keyword(t, KEYWORD_EXISTS) && token_at(p, 1)->kind == TOKEN_LEFT_PAREN && starts_query(p, 2)) {
        advance(p);
        return parse_query_expression(p, U_EXISTS, begin);
    }
    if (at_current(p)) return parse_current(p);
    if (at_call(p)) return parse_call(p);
    if (is_keyword(t, KEYWORD_DEFAULT)) {
        advance(p);
        return expr_make(p, U_DEFAULT, begin, 0, NULL);
    }
    struct uexpr *path = parse_path(p);
    return path && path->kind == U_STAR ? parse_star_except(p, path, begin) : path;
}

static struct uexpr *parse_subscript(struct parser *p, struct uexpr *base, uint32_t begin) {
    struct uexpr *args[2] = {base, NULL};
    advance(p);
    args[1] = parse_value(p);
    if (!args[1] || !expect(p, TOKEN_RIGHT_BRACKET, "`]`")) return NULL;
    return expr_make(p, U_SUBSCRIPT, begin, 2, args);
}

static struct uexpr *parse_field(struct parser *p, struct uexpr *base, uint32_t begin) {
    advance(p);
    struct span name_span = current(p)->span;
    const char *field = parse_name(p, "a field name after the dot");
    if (!field) return NULL;
    struct uexpr *e = expr_make(p, U_FIELD, begin, 1, &base);
    if (!e) return NULL;
    e->field = field;
    e->name_span = name_span;
    return e;
}

static struct uexpr *parse_cast_suffix(struct parser *p, struct uexpr *base, uint32_t begin) {
    struct span name_span = current(p)->span;
    advance(p);
    const struct type *type = parse_type(p);
    if (!type) return NULL;
    struct uexpr *e = expr_make(p, U_CAST, begin, 1, &base);
    if (!e) return NULL;
    e->type = type;
    e->name_span = name_span;
    return e;
}

struct uexpr *parse_primary(struct parser *p) {
    uint32_t begin = here(p);
    struct uexpr *e = parse_operand(p);
    while (e) {
        if (at_kind(p, TOKEN_LEFT_BRACKET)) e = parse_subscript(p, e, begin);
        else if (at_kind(p, TOKEN_DOT)) e = parse_field(p, e, begin);
        else if (at_kind(p, TOKEN_DOUBLE_COLON)) e = parse_cast_suffix(p, e, begin);
        else if (at_keyword(p, KEYWORD_COLLATE)) return parse_unsupported(p, current(p)->span, "a collation");
        else if (at_kind(p, TOKEN_COLON)) return parse_unsupported(p, current(p)->span, "the : of semi-structured data");
        else break;
    }
    return e;
}

struct uexpr *parse_named_expression(struct parser *p) {
    uint32_t begin = here(p);
    struct uexpr *e = parse_expression(p);
    if (!e) return NULL;
    const char **names = NULL;
    uint32_t count = 1;
    bool as = accept_keyword(p, KEYWORD_AS);
    if (at_kind(p, TOKEN_LEFT_PAREN) && (as || is_name(token_at(p, 1)))) {
        if (!parse_name_list(p, &names, &count)) return NULL;
    } else if (as || (is_name(current(p)) && !at_clause(p))) {
        names = parse_alloc(p, sizeof *names);
        if (!names) return NULL;
        const struct token *t = current(p);
        names[0] = parse_name(p, "a name after AS");
        if (!names[0]) return NULL;
        if (!as) p->implicit_alias = t->kind == TOKEN_WORD ? p->index : 0;
        if (at_kind(p, TOKEN_MINUS) && current(p)->flags & TOKEN_ADJACENT) return parse_error(p, t->span, "INVALID_IDENTIFIER", "a name with a hyphen must be quoted");
    } else {
        return e;
    }
    struct uexpr *alias = expr_make(p, U_ALIAS, begin, 1, &e);
    if (!alias) return NULL;
    alias->names = names;
    alias->name_count = count;
    return alias;
}
