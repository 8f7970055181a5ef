// SPDX-License-Identifier: Apache-2.0
// parse_call.c: function calls, and the calls with a syntax of their own, which become plain ones:
//
//     EXTRACT(f FROM x)       extract('f', x)              TRIM(BOTH a FROM b)       trim(a, b), ltrim, rtrim
//     SUBSTRING(x FROM a FOR b)  substring(x, a, b)        POSITION(a IN b)          locate(a, b)
//     OVERLAY(x PLACING y FROM a FOR b)  overlay(x, y, a, b)   DATEADD(unit, n, t)   timestampadd('UNIT', n, t)
//     DATEDIFF(unit, a, b)    timestampdiff('UNIT', a, b)  CAST(x AS t)              U_CAST
#include "sql/parse.h"

static bool is_unit(const struct token *t) {
    if (t->kind != TOKEN_WORD) return false;
    switch (t->keyword) {
    case KEYWORD_YEAR: case KEYWORD_QUARTER: case KEYWORD_MONTH: case KEYWORD_WEEK: case KEYWORD_DAY: case KEYWORD_DAYOFYEAR: case KEYWORD_HOUR:
    case KEYWORD_MINUTE: case KEYWORD_SECOND: case KEYWORD_MILLISECOND: case KEYWORD_MICROSECOND:
        return true;
    default:
        return false;
    }
}

static const char *const close_or_comma = "`,` or `)`";

// Looks at the arguments of the call here without reading them: whether `word` stands among them, outside of inner parentheses and
// before the first comma, and how many commas there are.
static bool has_word(const struct parser *p, enum keyword word, uint32_t *comma_count) {
    uint32_t depth = 0;
    bool found = false;
    *comma_count = 0;
    for (uint32_t ahead = 2;; ahead++) {
        const struct token *t = token_at(p, ahead);
        if (t->kind == TOKEN_END) return found;
        if (t->kind == TOKEN_LEFT_PAREN || t->kind == TOKEN_LEFT_BRACKET) depth++;
        if (t->kind == TOKEN_RIGHT_PAREN || t->kind == TOKEN_RIGHT_BRACKET) {
            if (depth-- == 0) return found;
        }
        if (depth == 0 && t->kind == TOKEN_COMMA) ++*comma_count;
        if (depth == 0 && *comma_count == 0 && is_keyword(t, word) && token_at(p, ahead + 1)->kind != TOKEN_RIGHT_PAREN) found = true;
    }
}

// CAST ( e AS type )
static struct uexpr *parse_cast(struct parser *p, bool try) {
    uint32_t begin = here(p);
    struct span name_span = current(p)->span;
    advance(p);
    advance(p);
    struct uexpr *arg = parse_expression(p);
    if (!arg) return NULL;
    if (!accept_keyword(p, KEYWORD_AS)) return parse_unexpected(p, "AS and a type");
    const struct type *type = parse_type(p);
    if (!type || !expect(p, TOKEN_RIGHT_PAREN, "`)`")) return NULL;
    struct uexpr *e = expr_make(p, U_CAST, begin, 1, &arg);
    if (!e) return NULL;
    e->type = type;
    e->cast_try = try;
    e->name_span = name_span;
    return e;
}

static struct uexpr *parse_extract(struct parser *p) {
    uint32_t begin = here(p);
    struct span name_span = current(p)->span;
    advance(p);
    advance(p);
    const struct token *field = current(p);
    struct uexpr *args[2];
    const char *name = parse_name(p, "a field such as YEAR");
    if (!name || !expect_keyword(p, KEYWORD_FROM)) return NULL;
    args[0] = literal_string(p, field->span, name, strlen(name));
    args[1] = parse_value(p);
    if (!args[1] || !expect(p, TOKEN_RIGHT_PAREN, "`)`")) return NULL;
    return call_make(p, "extract", begin, name_span, 2, args);
}

// TRIM([BOTH | LEADING | TRAILING] [a] FROM b). NULL without an error: it is a plain call, and nothing was read.
static struct uexpr *parse_trim(struct parser *p) {
    uint32_t begin = here(p), commas;
    struct span name_span = current(p)->span;
    const char *name = "trim";
    struct uexpr *args[2] = {NULL, NULL};
    const struct token *word = token_at(p, 2), *after = token_at(p, 3);
    if (!has_word(p, KEYWORD_FROM, &commas)) return NULL;
    bool option = (is_keyword(word, KEYWORD_BOTH) || is_keyword(word, KEYWORD_LEADING) || is_keyword(word, KEYWORD_TRAILING)) &&
                  after->kind != TOKEN_COMMA && after->kind != TOKEN_RIGHT_PAREN && after->kind != TOKEN_DOT;
    advance(p);
    advance(p);
    if (option) {
        name = is_keyword(word, KEYWORD_LEADING) ? "ltrim" : is_keyword(word, KEYWORD_TRAILING) ? "rtrim" : "trim";
        advance(p);
    }
    if (!(option && at_keyword(p, KEYWORD_FROM))) {
        args[0] = parse_value(p);
        if (!args[0]) return NULL;
    }
    if (!expect_keyword(p, KEYWORD_FROM)) return NULL;
    args[1] = parse_value(p);
    if (!args[1] || !expect(p, TOKEN_RIGHT_PAREN, "`)`")) return NULL;
    struct uexpr *e = call_make(p, name, begin, name_span, args[0] ? 2 : 1, args[0] ? args : args + 1);
    if (e) e->infix = true;
    return e;
}

// SUBSTRING(x FROM a [FOR b]), POSITION(a IN b), OVERLAY(x PLACING y FROM a [FOR b]): the words stand between the arguments.
static struct uexpr *parse_worded(struct parser *p, const char *name, const enum keyword *words, uint32_t word_count, uint32_t least) {
    uint32_t begin = here(p), count = 0, commas;
    struct span name_span = current(p)->span;
    struct uexpr *args[4];
    if (!has_word(p, words[0], &commas)) return NULL;  // with commas: a plain call
    advance(p);
    advance(p);
    args[count++] = parse_value(p);
    if (!args[0]) return NULL;
    for (uint32_t i = 0; i < word_count; i++) {
        if (i >= least - 1 && !at_keyword(p, words[i])) break;
        if (!expect_keyword(p, words[i])) return NULL;
        args[count] = parse_value(p);
        if (!args[count++]) return NULL;
    }
    if (!expect(p, TOKEN_RIGHT_PAREN, "`)`")) return NULL;
    return call_make(p, name, begin, name_span, count, args);
}

// DATEADD(unit, n, t), DATEDIFF(unit, a, b). NULL without an error: two arguments, a plain call.
static struct uexpr *parse_dated(struct parser *p, const char *name) {
    uint32_t begin = here(p), commas;
    struct span name_span = current(p)->span;
    const struct token *unit = token_at(p, 2);
    bool is_text = is_string(unit);
    struct uexpr *args[3];
    (void)has_word(p, KEYWORD_NONE, &commas);
    if (commas != 2) return NULL;
    for (int i = 0; i < 4; i++) advance(p);
    args[1] = parse_value(p);
    if (!args[1] || !expect(p, TOKEN_COMMA, "`,`")) return NULL;
    args[2] = parse_value(p);
    if (!args[2] || !expect(p, TOKEN_RIGHT_PAREN, "`)`")) return NULL;
    if (is_text) {
        (void)parse_error(p, unit->span, "INVALID_PARAMETER_VALUE.DATETIME_UNIT", "the unit must be a word, not a string");
        parse_hint(p, "write it without quotes: YEAR, QUARTER, MONTH, WEEK, DAY, DAYOFYEAR, HOUR, MINUTE, SECOND, MILLISECOND or MICROSECOND");
        return NULL;
    }
    const char *upper = keyword_name(unit->keyword);
    args[0] = literal_string(p, unit->span, upper, strlen(upper));
    return call_make(p, name, begin, name_span, 3, args);
}

static bool parse_frame_bound(struct parser *p) {
    if (accept_keyword(p, KEYWORD_UNBOUNDED) || (accept_keyword(p, KEYWORD_CURRENT) && at_keyword(p, KEYWORD_ROW))) {
        if (accept_keyword(p, KEYWORD_ROW)) return true;
    } else if (!parse_expression(p)) {
        return false;
    }
    if (accept_keyword(p, KEYWORD_PRECEDING) || accept_keyword(p, KEYWORD_FOLLOWING)) return true;
    return parse_unexpected(p, "PRECEDING or FOLLOWING") != NULL;
}

static bool parse_window_spec(struct parser *p, struct uover *over) {
    struct list keys = {0};
    over->is_named = !at_kind(p, TOKEN_LEFT_PAREN);
    if (over->is_named) return parse_name(p, "the name or definition of a window") != NULL;
    advance(p);
    if (is_name(current(p)) && token_at(p, 1)->kind == TOKEN_RIGHT_PAREN) {
        over->is_named = true;
        advance(p);
    }
    if (accept_keywords(p, KEYWORD_PARTITION, KEYWORD_BY) || accept_keywords(p, KEYWORD_DISTRIBUTE, KEYWORD_BY) || accept_keywords(p, KEYWORD_CLUSTER, KEYWORD_BY)) {
        if (!parse_expressions(p, &keys)) return false;
        over->keys = (struct uexpr **)keys.items;
        over->key_count = keys.count;
    }
    bool sorted = accept_keywords(p, KEYWORD_ORDER, KEYWORD_BY) || accept_keywords(p, KEYWORD_SORT, KEYWORD_BY);
    if (sorted && !parse_sort_items(p, &over->sorts, &over->sort_count)) return false;
    if (accept_keyword(p, KEYWORD_ROWS) || accept_keyword(p, KEYWORD_RANGE)) {
        over->has_frame = true;
        bool between = accept_keyword(p, KEYWORD_BETWEEN);
        if (!parse_frame_bound(p)) return false;
        if (between && (!expect_keyword(p, KEYWORD_AND) || !parse_frame_bound(p))) return false;
    }
    return expect(p, TOKEN_RIGHT_PAREN, "`)`");
}

// WITHIN GROUP (ORDER BY v): percentile_cont(p) is percentile(v, p). Where the order itself counts, as for listagg, there is no place for
// it yet.
static bool parse_within_group(struct parser *p, struct uexpr *call) {
    struct usort *sorts;
    uint32_t count;
    struct span span = {here(p), token_at(p, 1)->span.end};
    advance(p);
    advance(p);
    if (!expect(p, TOKEN_LEFT_PAREN, "`(`") || !expect_keyword(p, KEYWORD_ORDER) || !expect_keyword(p, KEYWORD_BY) || !parse_sort_items(p, &sorts, &count) ||
        !expect(p, TOKEN_RIGHT_PAREN, "`)`"))
        return false;
    bool percentile = call->name.part_count == 1 && strcasecmp(call->name.parts[0], "percentile_cont") == 0 && call->arg_count == 1;
    if (!percentile || count != 1 || sorts[0].descending) return parse_unsupported(p, span, "WITHIN GROUP for this function or order") != NULL;
    struct uexpr *args[2] = {sorts[0].expr, call->args[0]}, *e = call_make(p, "percentile", call->span.begin, call->name_span, 2, args);
    if (!e) return false;
    e->distinct = call->distinct;
    e->infix = true;  // the column's name is as written
    *call = *e;
    return true;
}

// FILTER, IGNORE NULLS, OVER after a call.
static struct uexpr *parse_call_suffix(struct parser *p, struct uexpr *call, uint32_t begin) {
    if (at_keywords(p, KEYWORD_WITHIN, KEYWORD_GROUP) && !parse_within_group(p, call)) return NULL;
    if (at_keyword(p, KEYWORD_FILTER) && token_at(p, 1)->kind == TOKEN_LEFT_PAREN) {
        advance(p);
        advance(p);
        if (!expect_keyword(p, KEYWORD_WHERE)) return NULL;
        call->filter = parse_expression(p);
        if (!call->filter || !expect(p, TOKEN_RIGHT_PAREN, "`)`")) return NULL;
        if (call->filter->height >= call->height) call->height = call->filter->height + 1;
    }
    if (accept_keywords(p, KEYWORD_IGNORE, KEYWORD_NULLS)) call->ignore_nulls = true;
    else (void)accept_keywords(p, KEYWORD_RESPECT, KEYWORD_NULLS);
    call->span = span_since(p, begin);
    if (!at_keyword(p, KEYWORD_OVER) || (token_at(p, 1)->kind != TOKEN_LEFT_PAREN && !is_name(token_at(p, 1)))) return call;
    advance(p);
    struct uover *over = arena_alloc_zeroed(p->arena, sizeof *over);
    if (!over) return parse_no_memory(p);
    struct uexpr *e = parse_window_spec(p, over) ? expr_make(p, U_OVER, begin, 1, &call) : NULL;
    if (e) e->over = over;
    return e;
}

static struct uexpr *parse_argument(struct parser *p, bool named) {
    if (is_name(current(p)) && token_at(p, 1)->kind == TOKEN_FAT_ARROW)
        return parse_unsupported(p, (struct span){here(p), token_at(p, 1)->span.end}, "an argument given by name");
    if (at_keyword(p, KEYWORD_TABLE) && (token_at(p, 1)->kind == TOKEN_LEFT_PAREN || is_name(token_at(p, 1))))
        return parse_unsupported(p, current(p)->span, "a table as an argument");
    return named ? parse_named_expression(p) : parse_expression(p);
}

static struct uexpr *parse_plain_call(struct parser *p) {
    uint32_t begin = here(p);
    struct uname name;
    struct list args = {0};
    bool named = at_keyword(p, KEYWORD_STRUCT), distinct = false, ignore_nulls = false;
    if (!parse_qualified_name(p, &name, "a function")) return NULL;
    if (!expect(p, TOKEN_LEFT_PAREN, "`(`")) return NULL;
    const struct token *after = token_at(p, 1);
    bool quantified = after->kind != TOKEN_COMMA && after->kind != TOKEN_RIGHT_PAREN && after->kind != TOKEN_DOT;
    if (quantified && accept_keyword(p, KEYWORD_DISTINCT)) distinct = true;
    else if (quantified && at_keyword(p, KEYWORD_ALL) && after->kind != TOKEN_LEFT_PAREN) advance(p);
    if (!at_kind(p, TOKEN_RIGHT_PAREN)) {
        do {
            if (!list_add(p, &args, parse_argument(p, named))) return NULL;
        } while (accept(p, TOKEN_COMMA));
    }
    if (accept_keywords(p, KEYWORD_IGNORE, KEYWORD_NULLS)) ignore_nulls = true;
    if (!expect(p, TOKEN_RIGHT_PAREN, close_or_comma)) return NULL;
    struct uexpr *e = expr_make(p, U_CALL, begin, args.count, (struct uexpr **)args.items);
    if (!e) return NULL;
    e->name = name;
    e->name_span = name.span;
    e->distinct = distinct;
    e->ignore_nulls = ignore_nulls;
    return parse_call_suffix(p, e, begin);
}

// The calls with words inside; NULL without an error: it is a plain call.
static struct uexpr *parse_special_call(struct parser *p) {
    static const enum keyword substring_words[] = {KEYWORD_FROM, KEYWORD_FOR}, position_words[] = {KEYWORD_IN},
                              overlay_words[] = {KEYWORD_PLACING, KEYWORD_FROM, KEYWORD_FOR};
    const struct token *first = token_at(p, 2);
    bool dated = (is_unit(first) || is_string(first)) && token_at(p, 3)->kind == TOKEN_COMMA;
    switch (current(p)->keyword) {
    case KEYWORD_CAST: return parse_cast(p, false);
    case KEYWORD_TRY_CAST: return parse_cast(p, true);
    case KEYWORD_EXTRACT: return parse_extract(p);
    case KEYWORD_TRIM: return parse_trim(p);
    case KEYWORD_SUBSTR:
    case KEYWORD_SUBSTRING: return parse_worded(p, "substring", substring_words, 2, 2);
    case KEYWORD_POSITION: return parse_worded(p, "locate", position_words, 1, 2);
    case KEYWORD_OVERLAY: return parse_worded(p, "overlay", overlay_words, 3, 3);
    case KEYWORD_TIMESTAMPADD:
    case KEYWORD_DATEADD:
    case KEYWORD_DATE_ADD: return dated ? parse_dated(p, "timestampadd") : NULL;
    case KEYWORD_TIMESTAMPDIFF:
    case KEYWORD_DATEDIFF:
    case KEYWORD_DATE_DIFF:
    case KEYWORD_TIMEDIFF: return dated ? parse_dated(p, "timestampdiff") : NULL;
    case KEYWORD_IDENTIFIER: return parse_unsupported(p, current(p)->span, "IDENTIFIER(…)");
    default: return NULL;
    }
}

struct uexpr *parse_call(struct parser *p) {
    if (current(p)->kind == TOKEN_WORD && token_at(p, 1)->kind == TOKEN_LEFT_PAREN) {
        struct uexpr *e = parse_special_call(p);
        if (e || p->failed) return e;
    }
    return parse_plain_call(p);
}
