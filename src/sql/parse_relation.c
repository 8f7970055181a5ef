// SPDX-License-Identifier: Apache-2.0
// parse_relation.c: what stands after FROM: tables, streams, subqueries, VALUES, table functions, joins, LATERAL VIEWs.
//
//     STREAM t [WITH (…)] [WATERMARK e DELAY OF INTERVAL …] [[AS] alias [(a, b)]]        also STREAM(t), STREAM f(…)
//
// A comma is a cross join. A word of joins (LEFT, ON …) is no alias.
#include "sql/parse.h"

static struct urelation *relation_make(struct parser *p, enum urelation_kind kind, uint32_t begin) {
    struct urelation *r = parse_alloc(p, sizeof *r);
    if (!r) return NULL;
    r->kind = kind;
    r->span = span_since(p, begin);
    return r;
}

static bool parse_alias(struct parser *p, struct urelation *r) {
    bool as = accept_keyword(p, KEYWORD_AS);
    const struct token *t = current(p);
    if (!as && (!is_name(t) || at_clause(p) || is_strict_keyword(t))) return true;
    r->alias = parse_strict_name(p, "an alias");
    if (!r->alias) return false;
    r->alias_span = t->span;
    if (!as && t->kind == TOKEN_WORD) p->implicit_alias = p->index;
    return !at_kind(p, TOKEN_LEFT_PAREN) || parse_name_list(p, &r->column_aliases, &r->column_alias_count);
}

// WATERMARK e [AS name] DELAY OF INTERVAL …
static bool parse_watermark(struct parser *p, struct urelation *r) {
    const struct token *after = token_at(p, 1);
    if (!at_keyword(p, KEYWORD_WATERMARK) || (!is_name(after) && after->kind != TOKEN_LEFT_PAREN)) return true;
    struct uwatermark *w = parse_alloc(p, sizeof *w);
    uint32_t begin = here(p);
    if (!w) return false;
    advance(p);
    w->expr = parse_named_expression(p);
    if (!w->expr || !expect_keyword(p, KEYWORD_DELAY) || !expect_keyword(p, KEYWORD_OF) || !parse_delay(p, &w->delay_months, &w->delay_us)) return false;
    w->span = span_since(p, begin);
    r->watermark = w;
    return true;
}

static bool parse_with_options(struct parser *p, struct urelation *r) {
    if (!at_keyword(p, KEYWORD_WITH) || token_at(p, 1)->kind != TOKEN_LEFT_PAREN) return true;
    advance(p);
    return parse_options(p, &r->options, &r->option_count);
}

static bool refuse_suffixes(struct parser *p) {
    const struct token *after = token_at(p, 1);
    if (at_keyword(p, KEYWORD_TABLESAMPLE) && after->kind == TOKEN_LEFT_PAREN) return parse_unsupported(p, current(p)->span, "TABLESAMPLE") != NULL;
    if (at_keyword(p, KEYWORD_PIVOT) && after->kind == TOKEN_LEFT_PAREN) return parse_unsupported(p, current(p)->span, "PIVOT") != NULL;
    if (at_keyword(p, KEYWORD_UNPIVOT) && after->kind != TOKEN_COMMA) return parse_unsupported(p, current(p)->span, "UNPIVOT") != NULL;
    if (at_keyword(p, KEYWORD_CHANGES) && (after->kind == TOKEN_LEFT_PAREN || is_keyword(after, KEYWORD_FROM)))
        return parse_unsupported(p, current(p)->span, "CHANGES") != NULL;
    if (at_keyword(p, KEYWORD_IDENTIFIED) && is_keyword(after, KEYWORD_BY)) return parse_unsupported(p, current(p)->span, "IDENTIFIED BY") != NULL;
    if ((at_keyword(p, KEYWORD_TIMESTAMP) || at_keyword(p, KEYWORD_FOR)) && is_keyword(after, KEYWORD_AS) && is_keyword(token_at(p, 2), KEYWORD_OF))
        return parse_unsupported(p, current(p)->span, "time travel") != NULL;
    return true;
}

static bool parse_suffixes(struct parser *p, struct urelation *r, uint32_t begin) {
    if (!refuse_suffixes(p) || !parse_watermark(p, r) || !parse_alias(p, r)) return false;
    r->span = span_since(p, begin);
    if (r->alias && at_keyword(p, KEYWORD_WATERMARK) && is_name(token_at(p, 1))) {
        (void)parse_unexpected(p, "a join, a clause or the end of the statement");
        parse_hint(p, "WATERMARK stands before the alias");
        return false;
    }
    return refuse_suffixes(p);
}

// A table, or a function of tables: at its name.
static bool parse_table_or_call(struct parser *p, struct urelation *r) {
    uint32_t ahead = 0;
    while (is_name(token_at(p, ahead)) && token_at(p, ahead + 1)->kind == TOKEN_DOT) ahead += 2;
    if (is_name(token_at(p, ahead)) && token_at(p, ahead + 1)->kind == TOKEN_LEFT_PAREN && !at_keyword(p, KEYWORD_IDENTIFIER)) {
        r->kind = UREL_FUNCTION;
        r->call = parse_call(p);
        if (r->call && r->call->kind != U_CALL) return parse_error(p, r->call->span, "PARSE_SYNTAX_ERROR", "this is no table function") != NULL;
        if (r->call) r->name = r->call->name;
        return r->call != NULL;
    }
    return parse_qualified_name(p, &r->name, "a table, a function or a subquery");
}

// At STREAM, when it is not itself the name of a table.
static bool at_stream(const struct parser *p) {
    const struct token *after = token_at(p, 1);
    if (!at_keyword(p, KEYWORD_STREAM)) return false;
    if (after->kind == TOKEN_LEFT_PAREN) return true;
    if (after->kind == TOKEN_QUOTED_NAME) return true;
    if (after->kind != TOKEN_WORD) return false;
    switch (after->keyword) {
    case KEYWORD_AS: case KEYWORD_JOIN: case KEYWORD_WHERE: case KEYWORD_GROUP: case KEYWORD_ORDER: case KEYWORD_HAVING: case KEYWORD_LIMIT:
    case KEYWORD_OFFSET: case KEYWORD_INNER: case KEYWORD_LEFT: case KEYWORD_RIGHT: case KEYWORD_FULL: case KEYWORD_CROSS: case KEYWORD_NATURAL:
    case KEYWORD_SEMI: case KEYWORD_ANTI: case KEYWORD_ON: case KEYWORD_USING: case KEYWORD_LATERAL: case KEYWORD_UNION: case KEYWORD_EXCEPT:
    case KEYWORD_INTERSECT: case KEYWORD_MINUS: case KEYWORD_SORT: case KEYWORD_WITH:
        return false;
    case KEYWORD_WATERMARK: {  // a table named stream, with a watermark; or a table named watermark
        const struct token *next = token_at(p, 2);
        return !is_name(next) || is_strict_keyword(next) || is_keyword(next, KEYWORD_AS) || is_keyword(next, KEYWORD_WHERE) || is_keyword(next, KEYWORD_WATERMARK);
    }
    default:
        return true;
    }
}

static struct urelation *parse_stream(struct parser *p) {
    uint32_t begin = here(p);
    struct urelation *r = relation_make(p, UREL_TABLE, begin);
    if (!r) return NULL;
    advance(p);
    r->stream = true;
    bool in_parens = accept(p, TOKEN_LEFT_PAREN);
    if (!parse_table_or_call(p, r)) return NULL;
    if (in_parens && !expect(p, TOKEN_RIGHT_PAREN, "`)`")) return NULL;
    return parse_with_options(p, r) && parse_suffixes(p, r, begin) ? r : NULL;
}

// struct(1, 'x') as a row of VALUES is two columns, as (1, 'x') is; named_struct(…) is one.
static bool is_struct_call(struct uexpr *e) {
    bool is = e->kind == U_CALL && e->name.part_count == 1 && strcasecmp(e->name.parts[0], "struct") == 0 && e->arg_count > 0;
    for (uint32_t i = 0; is && i < e->arg_count; i++) {
        if (e->args[i]->kind == U_STAR) return false;
        if (e->args[i]->kind == U_ALIAS) e->args[i] = e->args[i]->args[0];
    }
    return is;
}

struct urelation *parse_inline_table(struct parser *p) {
    struct list rows = {0};
    uint32_t begin = here(p);
    struct urelation *r = relation_make(p, UREL_VALUES, begin);
    if (!r) return NULL;
    advance(p);
    do {
        struct uexpr *e = parse_expression(p);
        if (!e) return NULL;
        bool row = e->kind == U_ROW || is_struct_call(e);
        uint32_t width = row ? e->arg_count : 1;
        if (rows.count == 0) r->row_width = width;
        if (width != r->row_width) {
            (void)parse_error(p, e->span, "INVALID_INLINE_TABLE.NUM_COLUMNS_MISMATCH", "the row has %u values, the first has %u", width, r->row_width);
            return NULL;
        }
        struct uexpr **values = row ? e->args : parse_alloc(p, sizeof *values);
        if (!values) return NULL;
        if (!row) values[0] = e;
        if (!list_add(p, &rows, values)) return NULL;
    } while (accept(p, TOKEN_COMMA));
    r->rows = (struct uexpr ***)rows.items;
    r->row_count = rows.count;
    return parse_alias(p, r) ? (r->span = span_since(p, begin), r) : NULL;
}

static struct urelation *parse_relation(struct parser *p);

// ( query ) or ( relation )
static struct urelation *parse_parenthesized(struct parser *p) {
    uint32_t begin = here(p), height;
    struct urelation *r;
    if (starts_query(p, 1)) {
        r = relation_make(p, UREL_QUERY, begin);
        if (!r || !(r->query = parse_subquery(p, &height))) return NULL;
        return parse_suffixes(p, r, begin) ? r : NULL;
    }
    if (!parse_enter(p)) return NULL;
    advance(p);
    r = parse_relation(p);
    parse_leave(p);
    if (!r || !expect(p, TOKEN_RIGHT_PAREN, "`)` or a join")) return NULL;
    struct urelation around = {0};
    if (!parse_suffixes(p, &around, begin)) return NULL;
    if (!around.alias && !around.watermark) return r;
    // A name for a relation in parentheses: SELECT * from it under that name.
    struct uquery *q = parse_alloc(p, sizeof *q);
    struct uexpr *star = expr_make(p, U_STAR, begin, 0, NULL), **items = parse_alloc(p, sizeof *items);
    struct urelation *named = relation_make(p, UREL_QUERY, begin);
    if (!q || !star || !items || !named) return NULL;
    items[0] = star;
    *q = (struct uquery){.kind = UQUERY_SELECT, .span = r->span, .items = items, .item_count = 1, .from = r};
    *named = around;
    named->kind = UREL_QUERY;
    named->query = q;
    return named;
}

static struct urelation *parse_relation_primary(struct parser *p) {
    uint32_t begin = here(p);
    if (at_kind(p, TOKEN_LEFT_PAREN)) return parse_parenthesized(p);
    if (at_keyword(p, KEYWORD_VALUES) && token_at(p, 1)->kind != TOKEN_DOT && token_at(p, 1)->kind != TOKEN_COMMA && token_at(p, 1)->kind != TOKEN_END &&
        !at_clause(&(struct parser){.tokens = p->tokens, .token_count = p->token_count, .index = p->index + 1}))
        return parse_inline_table(p);
    if (at_stream(p)) return parse_stream(p);
    struct urelation *r = relation_make(p, UREL_TABLE, begin);
    if (!r || !parse_table_or_call(p, r)) return NULL;
    if (r->kind == UREL_TABLE && !parse_with_options(p, r)) return NULL;
    return parse_suffixes(p, r, begin) ? r : NULL;
}

static struct urelation *join_make(struct parser *p, enum ujoin_kind kind, struct urelation *left, struct urelation *right) {
    if (!left || !right) return NULL;
    struct urelation *r = relation_make(p, UREL_JOIN, left->span.begin);
    if (!r) return NULL;
    r->join = kind;
    r->left = left;
    r->right = right;
    return r;
}

// At the words of a join; *kind and *natural. False without an error: no join here.
static bool accept_join(struct parser *p, enum ujoin_kind *kind, bool *natural) {
    uint32_t ahead = 0;
    *natural = at_keyword(p, KEYWORD_NATURAL);
    if (*natural) ahead++;
    *kind = UJOIN_INNER;
    switch (token_at(p, ahead)->kind == TOKEN_WORD ? token_at(p, ahead)->keyword : KEYWORD_NONE) {
    case KEYWORD_JOIN: break;
    case KEYWORD_INNER: ahead++; break;
    case KEYWORD_CROSS: *kind = UJOIN_CROSS, ahead++; break;
    case KEYWORD_SEMI: *kind = UJOIN_SEMI, ahead++; break;
    case KEYWORD_ANTI: *kind = UJOIN_ANTI, ahead++; break;
    case KEYWORD_RIGHT: *kind = UJOIN_RIGHT, ahead++; break;
    case KEYWORD_FULL: *kind = UJOIN_FULL, ahead++; break;
    case KEYWORD_LEFT:
        ahead++;
        *kind = is_keyword(token_at(p, ahead), KEYWORD_SEMI) ? UJOIN_SEMI : is_keyword(token_at(p, ahead), KEYWORD_ANTI) ? UJOIN_ANTI : UJOIN_LEFT;
        ahead += *kind != UJOIN_LEFT;
        break;
    default: return false;
    }
    if ((*kind == UJOIN_LEFT || *kind == UJOIN_RIGHT || *kind == UJOIN_FULL) && is_keyword(token_at(p, ahead), KEYWORD_OUTER)) ahead++;
    for (uint32_t i = 0; i < ahead; i++) advance(p);
    return expect_keyword(p, KEYWORD_JOIN);
}

static struct urelation *parse_relation(struct parser *p) {
    bool lateral = at_keyword(p, KEYWORD_LATERAL) && !is_keyword(token_at(p, 1), KEYWORD_VIEW);
    if (lateral) advance(p);
    struct urelation *left = parse_relation_primary(p);
    if (left && lateral) left->lateral = true;
    enum ujoin_kind kind;
    bool natural;
    while (left && accept_join(p, &kind, &natural)) {
        if (!parse_link(p)) return NULL;
        lateral = accept_keyword(p, KEYWORD_LATERAL);
        struct urelation *right = parse_relation_primary(p);
        struct urelation *join = right ? join_make(p, kind, left, right) : NULL;
        if (!join) return NULL;
        if (lateral) join->lateral = right->lateral = true;
        join->natural = natural;
        if (!natural && accept_keyword(p, KEYWORD_ON)) {
            join->condition = parse_expression(p);
            if (!join->condition) return NULL;
        } else if (!natural && accept_keyword(p, KEYWORD_USING)) {
            if (!parse_name_list(p, &join->using_names, &join->using_count)) return NULL;
        }
        join->span = span_since(p, left->span.begin);
        left = join;
    }
    return p->failed ? NULL : left;
}

// LATERAL VIEW [OUTER] f(…) table [[AS] a, b]
bool parse_lateral_views(struct parser *p, struct urelation **relation) {
    while (at_keywords(p, KEYWORD_LATERAL, KEYWORD_VIEW)) {
        uint32_t begin = here(p);
        if (!parse_link(p)) return false;
        advance(p);
        advance(p);
        struct urelation *r = relation_make(p, UREL_LATERAL_VIEW, begin);
        if (!r) return false;
        const struct token *after = token_at(p, 1);
        if (at_keyword(p, KEYWORD_OUTER) && after->kind != TOKEN_LEFT_PAREN) {
            advance(p);
            r->outer = true;
        }
        r->left = *relation;
        if (!is_name(current(p))) return parse_unexpected(p, "a generator function such as explode(…)") != NULL;
        r->call = parse_call(p);
        if (!r->call) return false;
        r->alias_span = current(p)->span;
        if (is_name(current(p)) && !at_keyword(p, KEYWORD_AS) && !at_clause(p) && !(r->alias = parse_name(p, "an alias"))) return false;
        bool as = accept_keyword(p, KEYWORD_AS);
        if (!as && !r->alias) {
            (void)parse_unexpected(p, "a name for the rows");
            parse_hint(p, "write LATERAL VIEW explode(a) name AS column");
            return false;
        }
        struct list names = {0};
        if (as || (r->alias && is_name(current(p)) && !at_clause(p) && !is_strict_keyword(current(p)))) {
            do {
                if (!list_add(p, &names, (void *)(uintptr_t)parse_name(p, "a column name"))) return false;
            } while (accept(p, TOKEN_COMMA));
        }
        r->column_aliases = (const char **)names.items;
        r->column_alias_count = names.count;
        r->span = span_since(p, begin);
        *relation = r;
    }
    return true;
}

struct urelation *parse_from(struct parser *p) {
    struct urelation *from = parse_relation(p);
    while (from && accept(p, TOKEN_COMMA)) {
        if (!parse_link(p)) return NULL;
        struct urelation *right = parse_relation(p);
        struct urelation *join = right ? join_make(p, UJOIN_CROSS, from, right) : NULL;
        if (join && right->lateral) join->lateral = true;
        from = join;
    }
    return from && parse_lateral_views(p, &from) ? from : NULL;
}
