// SPDX-License-Identifier: Apache-2.0
// parse_expression.c: operators, by Spark's precedence, loosest first:
//
//     OR │ AND │ NOT │ BETWEEN, IN, LIKE, IS … │ = <=> <> < … │ | │ ^ │ & │ << >> >>> │ + - || │ * / % DIV │ unary + - ~ │ primary
//
// A chain of AND or OR becomes a balanced tree, as in Spark. What Spark rewrites while parsing is rewritten here: a <> b is
// NOT (a = b), x IS TRUE is x <=> true, x NOT IN (…) is NOT (x IN (…)).
#include "sql/parse.h"

struct uexpr *expr_make(struct parser *p, enum uexpr_kind kind, uint32_t begin, uint32_t arg_count, struct uexpr *const *args) {
    if (p->failed) return NULL;
    struct uexpr *e = parse_alloc(p, sizeof *e);
    if (!e) return NULL;
    e->kind = kind;
    e->span = span_since(p, begin);
    e->height = 1;
    if (arg_count) {
        e->args = parse_alloc(p, arg_count * sizeof *e->args);
        if (!e->args) return NULL;
        for (uint32_t i = 0; i < arg_count; i++) {
            if (!args[i]) return NULL;
            e->args[i] = args[i];
            if (args[i]->height >= e->height) e->height = args[i]->height + 1;
        }
        e->arg_count = arg_count;
    }
    if (e->height > p->height_limit) {
        (void)parse_error(p, e->span, "FAILED_TO_PARSE_TOO_COMPLEX", "the expression is more than %u operators deep", p->height_limit);
        parse_hint(p, "split it with common table expressions");
        return NULL;
    }
    if (e->height > p->height_seen) p->height_seen = e->height;
    return e;
}

struct uexpr *call_make(struct parser *p, const char *name, uint32_t begin, struct span name_span, uint32_t arg_count, struct uexpr *const *args) {
    struct uexpr *e = expr_make(p, U_CALL, begin, arg_count, args);
    if (!e) return NULL;
    const char **parts = parse_alloc(p, sizeof *parts);
    if (!parts) return NULL;
    parts[0] = name;
    e->name = (struct uname){.parts = parts, .part_count = 1, .span = name_span};
    e->name_span = name_span;
    return e;
}

// An operator over one or two operands; its place spans them.
static struct uexpr *operator_make(struct parser *p, const char *name, uint32_t begin, struct span name_span, struct uexpr *left, struct uexpr *right) {
    if (!left) return NULL;
    struct uexpr *args[2] = {left, right};
    struct uexpr *e = call_make(p, name, begin, name_span, right ? 2 : 1, args);
    if (e) e->infix = true;
    return e;
}

static struct uexpr *negate(struct parser *p, bool negated, uint32_t begin, struct span name_span, struct uexpr *e) {
    return negated && e ? operator_make(p, "not", begin, name_span, e, NULL) : e;
}

struct binary {
    uint8_t token;
    uint8_t precedence;  // higher binds tighter
    const char *name;
};

static const struct binary binaries[] = {
    {TOKEN_STAR, 7, "*"}, {TOKEN_SLASH, 7, "/"}, {TOKEN_PERCENT, 7, "%"},
    {TOKEN_PLUS, 6, "+"}, {TOKEN_MINUS, 6, "-"}, {TOKEN_CONCAT, 6, "||"},
    {TOKEN_SHIFT_LEFT, 5, "<<"}, {TOKEN_SHIFT_RIGHT, 5, ">>"}, {TOKEN_SHIFT_RIGHT_UNSIGNED, 5, ">>>"},
    {TOKEN_AMPERSAND, 4, "&"}, {TOKEN_CARET, 3, "^"}, {TOKEN_PIPE, 2, "|"},
    {TOKEN_EQUAL, 1, "="}, {TOKEN_NULL_SAFE_EQUAL, 1, "<=>"}, {TOKEN_NOT_EQUAL, 1, "<>"},
    {TOKEN_LESS, 1, "<"}, {TOKEN_LESS_EQUAL, 1, "<="}, {TOKEN_GREATER, 1, ">"}, {TOKEN_GREATER_EQUAL, 1, ">="},
};
static const struct binary division = {TOKEN_WORD, 7, "div"};

static const struct binary *at_binary(const struct parser *p) {
    const struct token *t = current(p);
    if (is_keyword(t, KEYWORD_DIV)) return &division;
    for (size_t i = 0; i < sizeof binaries / sizeof *binaries; i++) {
        if (binaries[i].token == t->kind) return &binaries[i];
    }
    return NULL;
}

static struct uexpr *parse_unary(struct parser *p) {
    uint32_t begin = here(p);
    const struct token *t = current(p);
    const char *name = t->kind == TOKEN_MINUS ? "negative" : t->kind == TOKEN_PLUS ? "positive" : t->kind == TOKEN_TILDE ? "~" : NULL;
    if (!name || at_literal(p)) return parse_primary(p);
    if (!parse_enter(p)) return NULL;
    advance(p);
    struct uexpr *e = operator_make(p, name, begin, t->span, parse_unary(p), NULL);
    if (e) e->infix = true;
    parse_leave(p);
    return e;
}

static struct uexpr *parse_binary(struct parser *p, int least) {
    uint32_t begin = here(p);
    struct uexpr *left = parse_unary(p);
    const struct binary *operator;
    while (left && (operator = at_binary(p)) != NULL && operator->precedence >= least) {
        struct span name_span = current(p)->span;
        advance(p);
        struct uexpr *right = parse_binary(p, operator->precedence + 1);
        if (!right) return NULL;
        if (operator->token == TOKEN_NOT_EQUAL) left = negate(p, true, begin, name_span, operator_make(p, "=", begin, name_span, left, right));
        else left = operator_make(p, operator->name, begin, name_span, left, right);
    }
    return left;
}

struct uexpr *parse_value(struct parser *p) {
    if (!parse_enter(p)) return NULL;
    struct uexpr *e = parse_binary(p, 1);
    parse_leave(p);
    return e;
}

static struct uexpr *parse_between(struct parser *p, uint32_t begin, struct span name_span, struct uexpr *value) {
    struct uexpr *args[3] = {value, parse_value(p), NULL};
    if (!args[1] || !expect_keyword(p, KEYWORD_AND)) return NULL;
    args[2] = parse_value(p);
    if (!args[2]) return NULL;
    struct uexpr *e = call_make(p, "between", begin, name_span, 3, args);
    if (e) e->infix = true;
    return e;
}

static struct uexpr *parse_in(struct parser *p, uint32_t begin, struct span name_span, struct uexpr *value) {
    if (!at_kind(p, TOKEN_LEFT_PAREN)) return parse_unexpected(p, "`(` after IN");
    if (starts_query(p, 1)) {
        uint32_t height;
        struct uquery *query = parse_subquery(p, &height);
        if (!query) return NULL;
        bool row = value->kind == U_ROW;
        struct uexpr *e = expr_make(p, U_IN_SUBQUERY, begin, row ? value->arg_count : 1, row ? value->args : &value);
        if (!e) return NULL;
        e->query = query;
        e->name_span = name_span;
        if (e->height <= height) e->height = height + 1;
        return e;
    }
    advance(p);
    struct list list = {0};
    if (at_kind(p, TOKEN_RIGHT_PAREN)) {
        (void)parse_error(p, current(p)->span, "INVALID_SQL_SYNTAX.EMPTY_IN_PREDICATE", "IN needs at least one value");
        return NULL;
    }
    if (!list_add(p, &list, value) || !parse_expressions(p, &list) || !expect(p, TOKEN_RIGHT_PAREN, "`,` or `)`")) return NULL;
    struct uexpr *e = call_make(p, "in", begin, name_span, list.count, (struct uexpr **)list.items);
    if (e) e->infix = true;
    return e;
}

// After LIKE, ILIKE.
static struct uexpr *parse_like(struct parser *p, uint32_t begin, struct span name_span, struct uexpr *value, bool negated, bool ignore_case) {
    static const char *const quantified[2][2][2] = {{{"like any", "like all"}, {"not like any", "not like all"}},
                                                    {{"ilike any", "ilike all"}, {"not ilike any", "not ilike all"}}};
    bool all = at_keyword(p, KEYWORD_ALL);
    if ((all || at_keyword(p, KEYWORD_ANY) || at_keyword(p, KEYWORD_SOME)) && token_at(p, 1)->kind == TOKEN_LEFT_PAREN) {
        struct list list = {0};
        advance(p);
        advance(p);
        if (at_kind(p, TOKEN_RIGHT_PAREN)) return parse_error(p, current(p)->span, "_LEGACY_ERROR_TEMP_0064", "LIKE ANY and LIKE ALL need at least one pattern");
        if (!list_add(p, &list, value) || !parse_expressions(p, &list) || !expect(p, TOKEN_RIGHT_PAREN, "`,` or `)`")) return NULL;
        struct uexpr *e = call_make(p, quantified[ignore_case][negated][all], begin, name_span, list.count, (struct uexpr **)list.items);
        if (e) e->infix = true;
        return e;
    }
    struct uexpr *args[3] = {value, parse_value(p), NULL};
    uint32_t count = 2;
    if (!args[1]) return NULL;
    if (accept_keyword(p, KEYWORD_ESCAPE)) {
        const struct token *t = current(p);
        char *s;
        size_t size;
        if (!is_string(t)) return parse_unexpected(p, "the escape character, a string");
        if (!string_bytes(p, t, &s, &size)) return NULL;
        advance(p);
        args[count++] = literal_string(p, t->span, s, size);
        if (size != 1) {
            (void)parse_error(p, t->span, "INVALID_ESC", "the escape character must be one character");
            return NULL;
        }
    }
    struct uexpr *e = call_make(p, ignore_case ? "ilike" : "like", begin, name_span, count, args);
    if (e) e->infix = true;
    return negate(p, negated, begin, name_span, e);
}

// After IS.
static struct uexpr *parse_is(struct parser *p, uint32_t begin, struct span name_span, struct uexpr *value) {
    bool negated = accept_keyword(p, KEYWORD_NOT) || accept(p, TOKEN_BANG);
    struct span word = current(p)->span;
    if (accept_keyword(p, KEYWORD_NULL)) return operator_make(p, negated ? "isnotnull" : "isnull", begin, name_span, value, NULL);
    if (accept_keyword(p, KEYWORD_UNKNOWN)) return operator_make(p, negated ? "is not unknown" : "is unknown", begin, name_span, value, NULL);
    if (at_keyword(p, KEYWORD_TRUE) || at_keyword(p, KEYWORD_FALSE)) {
        struct uexpr *truth = literal_boolean(p, word, at_keyword(p, KEYWORD_TRUE));
        advance(p);
        return truth ? negate(p, negated, begin, name_span, operator_make(p, "<=>", begin, name_span, value, truth)) : NULL;
    }
    if (!accept_keyword(p, KEYWORD_DISTINCT)) return parse_unexpected(p, "NULL, TRUE, FALSE, UNKNOWN or DISTINCT FROM");
    if (!expect_keyword(p, KEYWORD_FROM)) return NULL;
    struct uexpr *right = parse_value(p);
    return right ? negate(p, !negated, begin, name_span, operator_make(p, "<=>", begin, name_span, value, right)) : NULL;
}

static bool at_predicate(const struct parser *p, uint32_t ahead) {
    const struct token *t = token_at(p, ahead);
    if (t->kind != TOKEN_WORD) return false;
    return t->keyword == KEYWORD_BETWEEN || t->keyword == KEYWORD_IN || t->keyword == KEYWORD_LIKE || t->keyword == KEYWORD_ILIKE ||
           t->keyword == KEYWORD_RLIKE || t->keyword == KEYWORD_REGEXP;
}

// A value, and what is asserted of it.
static struct uexpr *parse_predicated(struct parser *p) {
    uint32_t begin = here(p);
    struct uexpr *value = parse_value(p);
    if (!value) return NULL;
    struct span name_span = current(p)->span;
    if (accept_keyword(p, KEYWORD_IS)) return parse_is(p, begin, name_span, value);
    bool negated = (at_keyword(p, KEYWORD_NOT) || at_kind(p, TOKEN_BANG)) && at_predicate(p, 1);
    if (negated) advance(p);
    else if (!at_predicate(p, 0)) return value;
    if (negated) name_span.end = current(p)->span.end;
    enum keyword word = current(p)->keyword;
    advance(p);
    switch (word) {
    case KEYWORD_BETWEEN: return negate(p, negated, begin, name_span, parse_between(p, begin, name_span, value));
    case KEYWORD_IN: return negate(p, negated, begin, name_span, parse_in(p, begin, name_span, value));
    case KEYWORD_LIKE:
    case KEYWORD_ILIKE: return parse_like(p, begin, name_span, value, negated, word == KEYWORD_ILIKE);
    default: {
        struct uexpr *pattern = parse_value(p);
        return pattern ? negate(p, negated, begin, name_span, operator_make(p, "rlike", begin, name_span, value, pattern)) : NULL;
    }
    }
}

static struct uexpr *parse_not(struct parser *p) {
    uint32_t begin = here(p);
    struct span name_span = current(p)->span;
    if (!at_keyword(p, KEYWORD_NOT) && !at_kind(p, TOKEN_BANG)) return parse_predicated(p);
    uint8_t after = token_at(p, 1)->kind;
    if (after == TOKEN_COMMA || after == TOKEN_RIGHT_PAREN || after == TOKEN_END || after == TOKEN_DOT) return parse_predicated(p);  // a column named not
    if (!parse_enter(p)) return NULL;
    advance(p);
    struct uexpr *e = operator_make(p, "not", begin, name_span, parse_not(p), NULL);
    parse_leave(p);
    return e;
}

// items[low..high] joined so that the tree is low: ((a AND b) AND (c AND d)).
static struct uexpr *balance(struct parser *p, const char *name, struct uexpr **items, const struct span *words, uint32_t low, uint32_t high) {
    if (low == high) return items[low];
    uint32_t middle = low + (high - low) / 2;
    struct uexpr *left = balance(p, name, items, words, low, middle), *right = balance(p, name, items, words, middle + 1, high);
    if (!left || !right) return NULL;
    struct uexpr *e = operator_make(p, name, left->span.begin, words[middle], left, right);
    if (e) e->span = (struct span){left->span.begin, right->span.end};
    return e;
}

static struct uexpr *parse_chain(struct parser *p, enum keyword word, const char *name, struct uexpr *(*operand)(struct parser *)) {
    struct list items = {0}, words = {0};
    struct uexpr *first = operand(p);
    if (!first || !at_keyword(p, word)) return first;
    if (!list_add(p, &items, first)) return NULL;
    while (at_keyword(p, word)) {
        struct span *span = parse_alloc(p, sizeof *span);
        if (!list_add(p, &words, span)) return NULL;
        *span = current(p)->span;
        advance(p);
        if (!list_add(p, &items, operand(p))) return NULL;
    }
    struct span *spans = parse_alloc(p, words.count * sizeof *spans);
    if (!spans) return NULL;
    for (uint32_t i = 0; i < words.count; i++) spans[i] = *(struct span *)words.items[i];
    return balance(p, name, (struct uexpr **)items.items, spans, 0, items.count - 1);
}

static struct uexpr *parse_and(struct parser *p) { return parse_chain(p, KEYWORD_AND, "and", parse_not); }

struct uexpr *parse_expression(struct parser *p) {
    if (!parse_enter(p)) return NULL;
    struct uexpr *e = parse_chain(p, KEYWORD_OR, "or", parse_and);
    parse_leave(p);
    return e;
}

bool parse_expressions(struct parser *p, struct list *out) {
    do {
        if (!list_add(p, out, parse_expression(p))) return false;
    } while (accept(p, TOKEN_COMMA));
    return true;
}

// After ORDER BY, SORT BY.
bool parse_sort_items(struct parser *p, struct usort **items, uint32_t *count) {
    struct list list = {0};
    do {
        struct usort *sort = parse_alloc(p, sizeof *sort);
        if (!sort) return false;
        uint32_t begin = here(p);
        sort->expr = parse_expression(p);
        if (!sort->expr) return false;
        sort->descending = accept_keyword(p, KEYWORD_DESC);
        if (!sort->descending) (void)accept_keyword(p, KEYWORD_ASC);
        sort->nulls_first = !sort->descending;
        if (accept_keyword(p, KEYWORD_NULLS)) {
            sort->nulls_first = accept_keyword(p, KEYWORD_FIRST);
            if (!sort->nulls_first && !accept_keyword(p, KEYWORD_LAST)) return parse_unexpected(p, "FIRST or LAST") != NULL;
        }
        sort->span = span_since(p, begin);
        if (!list_add(p, &list, sort)) return false;
    } while (accept(p, TOKEN_COMMA));
    struct usort *sorts = parse_alloc(p, list.count * sizeof *sorts);
    if (!sorts) return false;
    for (uint32_t i = 0; i < list.count; i++) sorts[i] = *(struct usort *)list.items[i];
    *items = sorts;
    *count = list.count;
    return true;
}
