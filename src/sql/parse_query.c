// SPDX-License-Identifier: Apache-2.0
// parse_query.c: queries. INTERSECT binds tighter than UNION, EXCEPT and MINUS; those associate to the left.
//
//     [WITH …] term [ORDER BY …] [SORT BY …] [LIMIT …] [OFFSET …]      term: SELECT … │ VALUES … │ TABLE t │ ( query ) │ term UNION term
#include "sql/parse.h"

bool parse_link(struct parser *p) {
    if (p->links++ < 2 * p->height_limit) return true;
    (void)parse_error(p, current(p)->span, "FAILED_TO_PARSE_TOO_COMPLEX", "the statement has more than %u joins and set operations", 2 * p->height_limit);
    return false;
}

static bool ends_query_in_parens(const struct token *t) {
    if (t->kind == TOKEN_RIGHT_PAREN) return true;
    if (t->kind != TOKEN_WORD) return false;
    switch (t->keyword) {
    case KEYWORD_UNION: case KEYWORD_INTERSECT: case KEYWORD_EXCEPT: case KEYWORD_MINUS: case KEYWORD_ORDER: case KEYWORD_SORT: case KEYWORD_LIMIT:
    case KEYWORD_OFFSET: case KEYWORD_CLUSTER: case KEYWORD_DISTRIBUTE:
        return true;
    default:
        return false;
    }
}

// Whether a query begins `ahead` tokens from here. After parentheses that is told by what follows them: ((SELECT 1) UNION …) is one,
// ((SELECT 1) + 1) is none.
bool starts_query(const struct parser *p, uint32_t ahead) {
    uint32_t first = ahead, depth = 0;
    while (token_at(p, first)->kind == TOKEN_LEFT_PAREN) {
        if (first++ - ahead > p->depth_limit) return false;
    }
    const struct token *t = token_at(p, first), *after = token_at(p, first + 1);
    if (t->kind != TOKEN_WORD) return false;
    bool query;
    switch (t->keyword) {
    case KEYWORD_SELECT: query = after->kind != TOKEN_COMMA && after->kind != TOKEN_RIGHT_PAREN && after->kind != TOKEN_DOT; break;
    case KEYWORD_WITH: query = is_name(after); break;
    case KEYWORD_VALUES: query = after->kind == TOKEN_LEFT_PAREN || (after->kind >= TOKEN_STRING && after->kind <= TOKEN_BIGDECIMAL) ||
                                 (is_name(after) && !is_keyword(after, KEYWORD_AS)); break;
    case KEYWORD_TABLE:
    case KEYWORD_FROM: query = is_name(after); break;
    default: query = false;
    }
    if (!query || first == ahead) return query;
    for (uint32_t i = ahead;; i++) {  // the end of the outermost parenthesis
        t = token_at(p, i);
        if (t->kind == TOKEN_END) return true;  // unbalanced: an error as a query
        if (t->kind == TOKEN_LEFT_PAREN) depth++;
        if (t->kind == TOKEN_RIGHT_PAREN && --depth == 0) return ends_query_in_parens(token_at(p, i + 1)) || token_at(p, i + 1)->kind == TOKEN_END;
    }
}

struct uquery *parse_subquery(struct parser *p, uint32_t *height) {
    uint32_t outside = p->height_seen;
    if (!expect(p, TOKEN_LEFT_PAREN, "`(`")) return NULL;
    p->height_seen = 0;
    struct uquery *query = parse_query(p);
    *height = p->height_seen;
    if (outside > p->height_seen) p->height_seen = outside;
    return query && expect(p, TOKEN_RIGHT_PAREN, "`)`") ? query : NULL;
}

static struct uquery *query_make(struct parser *p, enum uquery_kind kind, uint32_t begin) {
    struct uquery *q = parse_alloc(p, sizeof *q);
    if (!q) return NULL;
    q->kind = kind;
    q->span = span_since(p, begin);
    return q;
}

static bool refuse_grouping_sets(struct parser *p, struct uquery *q) {
    bool cube = (at_keyword(p, KEYWORD_CUBE) || at_keyword(p, KEYWORD_ROLLUP)) && token_at(p, 1)->kind == TOKEN_LEFT_PAREN;
    if (!cube && !at_keywords(p, KEYWORD_GROUPING, KEYWORD_SETS) && !at_keywords(p, KEYWORD_WITH, KEYWORD_CUBE) && !at_keywords(p, KEYWORD_WITH, KEYWORD_ROLLUP))
        return false;
    q->grouping_sets = true;
    (void)parse_unsupported(p, current(p)->span, "grouping sets (CUBE, ROLLUP, GROUPING SETS)");
    parse_hint(p, "write one query per grouping and join them with UNION ALL");
    return true;
}

// After GROUP BY.
static bool parse_group(struct parser *p, struct uquery *q, uint32_t begin) {
    struct list list = {0};
    const struct token *after = token_at(p, 1);
    bool alone = after->kind == TOKEN_END || after->kind == TOKEN_RIGHT_PAREN || (after->kind == TOKEN_WORD && after->keyword != KEYWORD_NONE);
    if (at_keyword(p, KEYWORD_ALL) && alone) {
        advance(p);
        q->group_all = true;
        q->group_span = span_since(p, begin);
        return true;
    }
    do {
        if (refuse_grouping_sets(p, q) || !list_add(p, &list, parse_expression(p))) return false;
    } while (accept(p, TOKEN_COMMA));
    if (refuse_grouping_sets(p, q)) return false;
    q->group_by = (struct uexpr **)list.items;
    q->group_count = list.count;
    q->group_span = span_since(p, begin);
    return true;
}

static bool parse_window_clause(struct parser *p) {
    if (!at_keyword(p, KEYWORD_WINDOW) || !is_name(token_at(p, 1)) || !is_keyword(token_at(p, 2), KEYWORD_AS)) return true;
    return parse_unsupported(p, current(p)->span, "a WINDOW clause") != NULL;
}

static bool parse_select_clauses(struct parser *p, struct uquery *q) {
    if (accept_keyword(p, KEYWORD_WHERE) && !(q->where = parse_expression(p))) return false;
    uint32_t begin = here(p);
    if (at_keyword(p, KEYWORD_GROUP)) {
        advance(p);
        if (!expect_keyword(p, KEYWORD_BY) || !parse_group(p, q, begin)) return false;
    }
    if (accept_keyword(p, KEYWORD_HAVING) && !(q->having = parse_expression(p))) return false;
    if (at_keyword(p, KEYWORD_QUALIFY)) return parse_unsupported(p, current(p)->span, "QUALIFY") != NULL;
    return parse_window_clause(p);
}

// SELECT …, FROM … included unless it was read before.
static struct uquery *parse_select(struct parser *p, struct urelation *from) {
    struct list items = {0};
    uint32_t begin = here(p);
    struct uquery *q = query_make(p, UQUERY_SELECT, begin);
    if (!q) return NULL;
    advance(p);
    q->from = from;
    const struct token *after = token_at(p, 1);
    bool quantified = after->kind != TOKEN_COMMA && after->kind != TOKEN_DOT && !is_keyword(after, KEYWORD_FROM) && after->kind != TOKEN_END;
    if (quantified && accept_keyword(p, KEYWORD_DISTINCT)) q->distinct = true;
    else if (quantified && at_keyword(p, KEYWORD_ALL)) advance(p);
    do {
        if (!list_add(p, &items, parse_named_expression(p))) return NULL;
    } while (accept(p, TOKEN_COMMA));
    q->items = (struct uexpr **)items.items;
    q->item_count = items.count;
    if (!from && accept_keyword(p, KEYWORD_FROM) && !(q->from = parse_from(p))) return NULL;
    if (!q->from && at_keyword(p, KEYWORD_LATERAL)) return parse_unsupported(p, current(p)->span, "LATERAL VIEW without FROM");
    if (!parse_select_clauses(p, q)) return NULL;
    q->span = span_since(p, begin);
    return q;
}

// FROM t SELECT …; without SELECT all columns.
static struct uquery *parse_from_first(struct parser *p) {
    uint32_t begin = here(p);
    advance(p);
    struct urelation *from = parse_from(p);
    if (!from) return NULL;
    if (at_keyword(p, KEYWORD_INSERT)) return parse_unsupported(p, current(p)->span, "several INSERTs from one FROM");
    if (at_keyword(p, KEYWORD_SELECT)) return parse_select(p, from);
    struct uquery *q = query_make(p, UQUERY_SELECT, begin);
    struct uexpr **items = parse_alloc(p, sizeof *items);
    if (!q || !items || !(items[0] = expr_make(p, U_STAR, begin, 0, NULL))) return NULL;
    q->from = from;
    q->items = items;
    q->item_count = 1;
    return q;
}

static struct uquery *parse_primary_query(struct parser *p) {
    uint32_t begin = here(p);
    if (at_kind(p, TOKEN_LEFT_PAREN)) {
        advance(p);
        struct uquery *q = parse_query(p);
        return q && expect(p, TOKEN_RIGHT_PAREN, "`)`") ? q : NULL;
    }
    if (at_keyword(p, KEYWORD_SELECT)) return parse_select(p, NULL);
    if (at_keyword(p, KEYWORD_FROM)) return parse_from_first(p);
    if (at_keyword(p, KEYWORD_VALUES)) {
        struct urelation *relation = parse_inline_table(p);
        struct uquery *q = relation ? query_make(p, UQUERY_VALUES, begin) : NULL;
        if (q) q->relation = relation;
        return q;
    }
    if (accept_keyword(p, KEYWORD_TABLE)) {
        struct urelation *relation = parse_alloc(p, sizeof *relation);
        if (!relation || !parse_qualified_name(p, &relation->name, "a table")) return NULL;
        relation->kind = UREL_TABLE;
        relation->span = relation->name.span;
        struct uquery *q = query_make(p, UQUERY_TABLE, begin);
        if (q) q->relation = relation;
        return q;
    }
    return parse_unexpected(p, "a query (SELECT, VALUES, TABLE or WITH)");
}

// The parts that only the whole query may have make a parenthesized operand a query of its own.
static bool is_whole(const struct uquery *q) { return q->order_count || q->limit || q->offset || q->cte_count; }

static struct uquery *set_make(struct parser *p, enum uset_kind set, bool all, uint32_t begin, struct uquery *left, struct uquery *right) {
    struct uquery *q = query_make(p, UQUERY_SET, begin);
    if (!q || !left || !right) return NULL;
    q->set = set;
    q->set_all = all;
    q->left = left;
    q->right = right;
    return q;
}

static bool accept_quantifier(struct parser *p) {
    if (accept_keyword(p, KEYWORD_ALL)) return true;
    (void)accept_keyword(p, KEYWORD_DISTINCT);
    return false;
}

static struct uquery *parse_intersections(struct parser *p) {
    uint32_t begin = here(p);
    struct uquery *left = parse_primary_query(p);
    while (left && at_keyword(p, KEYWORD_INTERSECT)) {
        advance(p);
        bool all = accept_quantifier(p);
        if (!parse_link(p)) return NULL;
        struct uquery *right = parse_primary_query(p);
        left = right ? set_make(p, USET_INTERSECT, all, begin, left, right) : NULL;
    }
    return left;
}

static struct uquery *parse_term(struct parser *p) {
    uint32_t begin = here(p);
    struct uquery *left = parse_intersections(p);
    while (left && (at_keyword(p, KEYWORD_UNION) || at_keyword(p, KEYWORD_EXCEPT) || at_keyword(p, KEYWORD_MINUS))) {
        enum uset_kind set = at_keyword(p, KEYWORD_UNION) ? USET_UNION : USET_EXCEPT;
        advance(p);
        bool all = accept_quantifier(p);
        if (!parse_link(p)) return NULL;
        struct uquery *right = parse_intersections(p);
        left = right ? set_make(p, set, all, begin, left, right) : NULL;
    }
    return left;
}

static bool parse_ctes(struct parser *p, struct ucte **ctes, uint32_t *count) {
    struct list list = {0};
    advance(p);
    if (is_name(current(p)) && !is_keyword(token_at(p, 1), KEYWORD_AS) && is_name(token_at(p, 1)) && strncasecmp(p->text + here(p), "RECURSIVE", 9) == 0)
        return parse_unsupported(p, current(p)->span, "WITH RECURSIVE") != NULL;
    do {
        struct ucte *cte = parse_alloc(p, sizeof *cte);
        uint32_t begin = here(p), height;
        if (!cte || !(cte->name = parse_strict_name(p, "the name of a common table expression"))) return false;
        cte->span = span_since(p, begin);
        if (at_kind(p, TOKEN_LEFT_PAREN) && !starts_query(p, 1) && !parse_name_list(p, &cte->column_names, &cte->column_count)) return false;
        (void)accept_keyword(p, KEYWORD_AS);
        cte->query = parse_subquery(p, &height);
        if (!cte->query || !list_add(p, &list, cte)) return false;
    } while (accept(p, TOKEN_COMMA));
    struct ucte *all = parse_alloc(p, list.count * sizeof *all);
    if (!all) return false;
    for (uint32_t i = 0; i < list.count; i++) all[i] = *(struct ucte *)list.items[i];
    *ctes = all;
    *count = list.count;
    return true;
}

static bool parse_organization(struct parser *p, struct uquery *q) {
    bool order = accept_keywords(p, KEYWORD_ORDER, KEYWORD_BY), sort = !order && accept_keywords(p, KEYWORD_SORT, KEYWORD_BY);
    if ((order || sort) && !parse_sort_items(p, &q->order, &q->order_count)) return false;
    if (order && at_keywords(p, KEYWORD_SORT, KEYWORD_BY))
        return parse_error(p, current(p)->span, "UNSUPPORTED_FEATURE.COMBINATION_QUERY_RESULT_CLAUSES", "ORDER BY and SORT BY cannot stand together") != NULL;
    if (at_keywords(p, KEYWORD_CLUSTER, KEYWORD_BY) || at_keywords(p, KEYWORD_DISTRIBUTE, KEYWORD_BY))
        return parse_unsupported(p, (struct span){here(p), token_at(p, 1)->span.end}, "CLUSTER BY and DISTRIBUTE BY") != NULL;
    if (!parse_window_clause(p)) return false;
    if (accept_keyword(p, KEYWORD_LIMIT)) {
        bool all = at_keyword(p, KEYWORD_ALL) && token_at(p, 1)->kind != TOKEN_LEFT_PAREN;
        if (all) advance(p);
        else if (!(q->limit = parse_expression(p))) return false;
    }
    if (accept_keyword(p, KEYWORD_OFFSET) && !(q->offset = parse_expression(p))) return false;
    if (at_kind(p, TOKEN_PIPE_OPERATOR)) return parse_unsupported(p, current(p)->span, "pipe syntax (|>)") != NULL;
    return true;
}

static struct uquery *parse_query_inside(struct parser *p) {
    struct ucte *ctes = NULL;
    uint32_t cte_count = 0, begin = here(p);
    if (at_keyword(p, KEYWORD_WITH) && !parse_ctes(p, &ctes, &cte_count)) return NULL;
    struct uquery *q = parse_term(p);
    if (!q) return NULL;
    struct uquery rest = {0};
    if (!parse_organization(p, &rest)) return NULL;
    bool more = rest.order_count || rest.limit || rest.offset || cte_count;
    if (more && is_whole(q)) {  // (SELECT … LIMIT 3) LIMIT 2
        struct uquery *outer = query_make(p, UQUERY_SELECT, begin);
        struct urelation *from = parse_alloc(p, sizeof *from);
        struct uexpr *star = expr_make(p, U_STAR, begin, 0, NULL), **items = parse_alloc(p, sizeof *items);
        if (!outer || !from || !star || !items) return NULL;
        *from = (struct urelation){.kind = UREL_QUERY, .span = q->span, .query = q};
        items[0] = star;
        star->span = q->span;
        outer->from = from;
        outer->items = items;
        outer->item_count = 1;
        q = outer;
    }
    if (more) {
        q->order = rest.order;
        q->order_count = rest.order_count;
        q->limit = rest.limit;
        q->offset = rest.offset;
        q->ctes = ctes;
        q->cte_count = cte_count;
    }
    q->span = span_since(p, begin);
    return q;
}

struct uquery *parse_query(struct parser *p) {
    if (!parse_enter(p)) return NULL;
    struct uquery *q = parse_query_inside(p);
    parse_leave(p);
    return q;
}
