// SPDX-License-Identifier: Apache-2.0
// parse_create.c: the CREATE statements.
//
//     CREATE [OR REPLACE] TABLE [IF NOT EXISTS] n [(columns)] [USING p] clauses [[AS] query]
//     CREATE [OR REPLACE] [GLOBAL] [TEMPORARY] VIEW [IF NOT EXISTS] n [(columns)] [COMMENT …] [TBLPROPERTIES …] AS query
//     CREATE [OR REPLACE] [GLOBAL] TEMPORARY VIEW n [(columns)] USING p [OPTIONS (…)]
//     CREATE STREAMING TABLE | MATERIALIZED VIEW [IF NOT EXISTS] n [(columns)] [USING p] clauses AS query
//     CREATE FLOW n [COMMENT …] AS INSERT INTO t BY NAME query
//
// Clauses stand in any order, each once: OPTIONS, PARTITIONED BY, COMMENT, LOCATION, TBLPROPERTIES.
#include "sql/parse.h"

static const char *option_value(struct parser *p, struct span *span) {
    uint32_t begin = here(p);
    const struct token *t = current(p);
    const char *value = NULL;
    if (is_string(t)) {
        value = parse_string(p, "a value");
    } else if (at_keyword(p, KEYWORD_TRUE) || at_keyword(p, KEYWORD_FALSE)) {
        value = at_keyword(p, KEYWORD_TRUE) ? "true" : "false";
        advance(p);
    } else {
        if (t->kind == TOKEN_MINUS) advance(p);
        if (current(p)->kind < TOKEN_INTEGER || current(p)->kind > TOKEN_BIGDECIMAL) {
            (void)parse_unexpected(p, "a value: a string, a number, true or false");
            if (is_name(t)) parse_hint(p, "put the value in quotes");
            return NULL;
        }
        advance(p);
        value = parse_text(p, p->text + begin, span_since(p, begin).end - begin);
    }
    *span = span_since(p, begin);
    return value;
}

static struct uoption *parse_option(struct parser *p) {
    struct uoption *option = parse_alloc(p, sizeof *option);
    uint32_t begin = here(p);
    if (!option) return NULL;
    if (is_string(current(p))) {
        option->key = parse_string(p, "an option");
    } else {
        do {
            const char *part = parse_name(p, "the name of an option");
            if (!part) return NULL;
            option->key = option->key ? arena_printf(p->arena, "%s.%s", option->key, part) : part;
            if (!option->key) return parse_no_memory(p);
        } while (accept(p, TOKEN_DOT));
    }
    if (!option->key) return NULL;
    option->span = span_since(p, begin);
    bool equal = accept(p, TOKEN_EQUAL);
    if (!equal && (at_kind(p, TOKEN_COMMA) || at_kind(p, TOKEN_RIGHT_PAREN))) {
        (void)parse_error(p, option->span, "_LEGACY_ERROR_TEMP_0035", "the option `%.200s` has no value", option->key);
        parse_hint(p, "write %.200s = 'value'", option->key);
        return NULL;
    }
    option->value = option_value(p, &option->value_span);
    return option->value ? option : NULL;
}

bool parse_options(struct parser *p, struct uoption **out, uint32_t *count) {
    struct list list = {0};
    if (!expect(p, TOKEN_LEFT_PAREN, "`(`")) return false;
    do {
        struct uoption *option = parse_option(p);
        if (!list_add(p, &list, option)) return false;
        if (list.count > 1000) return parse_error(p, option->span, "LEAT_LIMIT_EXCEEDED", "a statement has at most 1000 options") != NULL;
        for (uint32_t i = 0; i + 1 < list.count; i++) {
            if (strcmp(((struct uoption *)list.items[i])->key, option->key) != 0) continue;
            return parse_error(p, option->span, "DUPLICATE_KEY", "the option `%.200s` is given twice", option->key) != NULL;
        }
    } while (accept(p, TOKEN_COMMA));
    if (!expect(p, TOKEN_RIGHT_PAREN, "`,` or `)`")) return false;
    struct uoption *options = parse_alloc(p, list.count * sizeof *options);
    if (!options) return false;
    for (uint32_t i = 0; i < list.count; i++) options[i] = *(struct uoption *)list.items[i];
    *out = options;
    *count = list.count;
    return true;
}

static bool refuse_column_words(struct parser *p) {
    if (at_keyword(p, KEYWORD_DEFAULT) || at_keyword(p, KEYWORD_GENERATED)) return parse_unsupported(p, current(p)->span, "a column with DEFAULT or GENERATED") != NULL;
    if (at_keyword(p, KEYWORD_CONSTRAINT) || at_keyword(p, KEYWORD_CHECK)) return parse_unsupported(p, current(p)->span, "a constraint") != NULL;
    return true;
}

// name [type] [NOT NULL] [COMMENT '…']
static struct ucolumn *parse_column(struct parser *p, bool typed) {
    struct ucolumn *column = parse_alloc(p, sizeof *column);
    uint32_t begin = here(p);
    if (!column) return NULL;
    if (typed && (at_keyword(p, KEYWORD_CONSTRAINT) && is_name(token_at(p, 1)) && is_keyword(token_at(p, 2), KEYWORD_CHECK)) && !refuse_column_words(p)) return NULL;
    column->name = parse_name(p, "a column name");
    if (!column->name) return NULL;
    column->span = span_since(p, begin);
    if (typed) {
        column->type = parse_type(p);
        if (!column->type) return NULL;
    } else if (is_name(current(p)) && !at_keyword(p, KEYWORD_COMMENT)) {
        (void)parse_unexpected(p, "`,` or `)`: the columns of a view have no types");
        return NULL;
    }
    for (;;) {
        if (typed && accept_keywords(p, KEYWORD_NOT, KEYWORD_NULL)) {
            column->not_null = true;
        } else if (accept_keyword(p, KEYWORD_COMMENT)) {
            column->comment = parse_string(p, "the comment, a string");
            if (!column->comment) return NULL;
        } else {
            return typed && !refuse_column_words(p) ? NULL : column;
        }
    }
}

static bool parse_columns(struct parser *p, struct ustatement *s, bool typed) {
    struct list list = {0};
    if (!at_kind(p, TOKEN_LEFT_PAREN) || starts_query(p, 1)) return true;
    advance(p);
    if (typed && accept(p, TOKEN_RIGHT_PAREN)) return true;
    do {
        if (!list_add(p, &list, parse_column(p, typed))) return false;
    } while (accept(p, TOKEN_COMMA));
    if (!expect(p, TOKEN_RIGHT_PAREN, "`,` or `)`")) return false;
    struct ucolumn *columns = parse_alloc(p, list.count * sizeof *columns);
    if (!columns) return false;
    for (uint32_t i = 0; i < list.count; i++) columns[i] = *(struct ucolumn *)list.items[i];
    s->columns = columns;
    s->column_count = list.count;
    return true;
}

static bool parse_provider(struct parser *p, struct ustatement *s) {
    struct uname name;
    if (!accept_keyword(p, KEYWORD_USING)) return true;
    if (!parse_qualified_name(p, &name, "the name of a connector")) return false;
    s->provider = name.parts[0];
    for (uint32_t i = 1; i < name.part_count; i++) {
        s->provider = arena_printf(p->arena, "%s.%s", s->provider, name.parts[i]);
        if (!s->provider) return parse_no_memory(p) != NULL;
    }
    s->provider_span = name.span;
    return true;
}

static bool duplicate(struct parser *p, bool given, const char *clause) {
    if (!given) return false;
    (void)parse_error(p, p->tokens[p->index - 1].span, "DUPLICATE_CLAUSES", "%s is given twice", clause);
    return true;
}

static bool parse_partitioning(struct parser *p, struct ustatement *s) {
    if (duplicate(p, s->partition_column_count > 0, "PARTITIONED BY")) return false;
    if (!expect_keyword(p, KEYWORD_BY)) return false;
    if (at_kind(p, TOKEN_LEFT_PAREN) && is_name(token_at(p, 1)) && token_at(p, 2)->kind != TOKEN_COMMA && token_at(p, 2)->kind != TOKEN_RIGHT_PAREN)
        return parse_unsupported(p, token_at(p, 1)->span, "a partition that is no plain column") != NULL;
    return parse_name_list(p, &s->partition_columns, &s->partition_column_count);
}

// One clause after a table's head; *found: there was one.
static bool parse_clause(struct parser *p, struct ustatement *s, bool *found) {
    *found = true;
    if (at_keyword(p, KEYWORD_OPTIONS)) {
        if (s->kind == USTATEMENT_CREATE_STREAMING_TABLE || s->kind == USTATEMENT_CREATE_MATERIALIZED_VIEW) {
            const char *what = s->kind == USTATEMENT_CREATE_STREAMING_TABLE ? "STREAMING TABLE" : "MATERIALIZED VIEW";
            (void)parse_error(p, current(p)->span, "_LEGACY_ERROR_TEMP_0035",
                              "Operation not allowed: Options are not supported for CREATE %s statements", what);
            parse_label(p, "not allowed here");
            parse_hint(p, "write TBLPROPERTIES instead of OPTIONS");
            return false;
        }
        advance(p);
        return !duplicate(p, s->option_count > 0, "OPTIONS") && parse_options(p, &s->options, &s->option_count);
    }
    if (accept_keyword(p, KEYWORD_TBLPROPERTIES))
        return !duplicate(p, s->property_count > 0, "TBLPROPERTIES") && parse_options(p, &s->properties, &s->property_count);
    if (accept_keyword(p, KEYWORD_PARTITIONED)) return parse_partitioning(p, s);
    if (accept_keyword(p, KEYWORD_COMMENT)) {
        if (duplicate(p, s->comment != NULL, "COMMENT")) return false;
        return (s->comment = parse_string(p, "the comment, a string")) != NULL;
    }
    if (at_keyword(p, KEYWORD_LOCATION) && s->kind != USTATEMENT_CREATE_TABLE) {
        (void)parse_error(p, current(p)->span, "_LEGACY_ERROR_TEMP_0035",
                          "Operation not allowed: LOCATION is not supported for streaming tables and materialized views");
        parse_hint(p, "the connector's own options go into TBLPROPERTIES");
        return false;
    }
    if (accept_keyword(p, KEYWORD_LOCATION)) {
        if (duplicate(p, s->location != NULL, "LOCATION")) return false;
        return (s->location = parse_string(p, "a path, a string")) != NULL;
    }
    if (at_keyword(p, KEYWORD_CLUSTERED) || at_keywords(p, KEYWORD_CLUSTER, KEYWORD_BY) || at_keywords(p, KEYWORD_ROW, KEYWORD_FORMAT) ||
        at_keyword(p, KEYWORD_STORED) || at_keyword(p, KEYWORD_SKEWED) || at_keywords(p, KEYWORD_DEFAULT, KEYWORD_COLLATION))
        return parse_unsupported(p, current(p)->span, "this clause of Hive tables") != NULL;
    *found = false;
    return true;
}

static bool parse_clauses(struct parser *p, struct ustatement *s) {
    bool found = true;
    while (found) {
        if (!parse_clause(p, s, &found)) return false;
    }
    return true;
}

static bool parse_head(struct parser *p, struct ustatement *s, const char *expected) {
    if (at_keyword(p, KEYWORD_IF) && is_keyword(token_at(p, 1), KEYWORD_NOT) && is_keyword(token_at(p, 2), KEYWORD_EXISTS)) {
        for (int i = 0; i < 3; i++) advance(p);
        s->if_not_exists = true;
    }
    return parse_qualified_name(p, &s->name, expected);
}

static bool parse_as_query(struct parser *p, struct ustatement *s, bool required) {
    if (!accept_keyword(p, KEYWORD_AS) && (required || !starts_query(p, 0))) {
        if (!required && at_kind(p, TOKEN_END)) return true;
        return parse_unexpected(p, required ? "AS and a query" : "USING, OPTIONS, COMMENT, PARTITIONED BY, LOCATION, TBLPROPERTIES or AS") != NULL;
    }
    return (s->query = parse_query(p)) != NULL;
}

static bool parse_create_table(struct parser *p, struct ustatement *s) {
    if (s->or_replace && at_keyword(p, KEYWORD_IF) && is_keyword(token_at(p, 1), KEYWORD_NOT))
        return parse_unexpected(p, "a table name: OR REPLACE excludes IF NOT EXISTS") != NULL;
    if (!parse_head(p, s, "a table name")) return false;
    if (at_keyword(p, KEYWORD_LIKE)) return parse_unsupported(p, current(p)->span, "CREATE TABLE … LIKE") != NULL;
    return parse_columns(p, s, true) && parse_provider(p, s) && parse_clauses(p, s) && parse_as_query(p, s, false);
}

// Whether USING follows the list of columns here: then the columns have types, else the view has a query and they have none.
static bool using_follows(const struct parser *p) {
    uint32_t depth = 0;
    for (uint32_t ahead = 0;; ahead++) {
        const struct token *t = token_at(p, ahead);
        if (t->kind == TOKEN_END) return false;
        if (t->kind == TOKEN_LEFT_PAREN) depth++;
        if (t->kind == TOKEN_RIGHT_PAREN && --depth == 0) return is_keyword(token_at(p, ahead + 1), KEYWORD_USING);
    }
}

static bool parse_create_view(struct parser *p, struct ustatement *s) {
    if (!parse_head(p, s, "a view name")) return false;
    if (s->if_not_exists && s->temporary)
        return parse_error(p, s->name.span, "_LEGACY_ERROR_TEMP_0053", "a temporary view cannot have IF NOT EXISTS") != NULL;
    if (s->if_not_exists && s->or_replace)
        return parse_error(p, s->name.span, "CREATE_VIEW_WITH_IF_NOT_EXISTS_AND_REPLACE", "OR REPLACE and IF NOT EXISTS exclude each other") != NULL;
    if (!parse_columns(p, s, at_kind(p, TOKEN_LEFT_PAREN) && using_follows(p))) return false;
    if (at_keyword(p, KEYWORD_USING)) {
        if (!s->temporary) return parse_error(p, current(p)->span, "PARSE_SYNTAX_ERROR", "only a temporary view can have USING") != NULL;
        if (!parse_provider(p, s)) return false;
        return !accept_keyword(p, KEYWORD_OPTIONS) || parse_options(p, &s->options, &s->option_count);
    }
    bool found = true;
    while (found && (at_keyword(p, KEYWORD_COMMENT) || at_keyword(p, KEYWORD_TBLPROPERTIES))) {
        if (!parse_clause(p, s, &found)) return false;
    }
    if (at_keywords(p, KEYWORD_WITH, KEYWORD_SCHEMA)) return parse_unsupported(p, current(p)->span, "WITH SCHEMA") != NULL;
    return parse_as_query(p, s, true);
}

// Streaming tables and materialized views.
static bool parse_create_result(struct parser *p, struct ustatement *s) {
    bool table = s->kind == USTATEMENT_CREATE_STREAMING_TABLE;
    if (!parse_head(p, s, "a name") || !parse_columns(p, s, true) || !parse_provider(p, s) || !parse_clauses(p, s)) return false;
    if (table && at_kind(p, TOKEN_END)) return true;  // its flows come apart
    if (!at_keyword(p, KEYWORD_AS)) return parse_unexpected(p, "USING, COMMENT, PARTITIONED BY, TBLPROPERTIES or AS and a query") != NULL;
    return parse_as_query(p, s, true);
}

static bool parse_create_flow(struct parser *p, struct ustatement *s) {
    if (!parse_qualified_name(p, &s->name, "the name of the flow")) return false;
    if (accept_keyword(p, KEYWORD_COMMENT) && !(s->comment = parse_string(p, "the comment, a string"))) return false;
    if (!expect_keyword(p, KEYWORD_AS)) return false;
    if (!at_keyword(p, KEYWORD_INSERT)) return parse_unexpected(p, "INSERT INTO table BY NAME query") != NULL;
    return parse_insert(p, s);
}

static void *reject_create(struct parser *p) {
    const struct token *t = current(p);
    static const char *const known[] = {"FUNCTION", "DATABASE", "SCHEMA", "NAMESPACE", "INDEX", "ROLE", "MACRO"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (t->kind == TOKEN_WORD && token_size(t) == strlen(known[i]) && strncasecmp(p->text + t->span.begin, known[i], strlen(known[i])) == 0)
            return parse_unsupported(p, t->span, arena_printf(p->arena, "CREATE %s", known[i]));
    }
    return parse_unexpected(p, "TABLE, VIEW, STREAMING TABLE, MATERIALIZED VIEW or FLOW");
}

struct ustatement *parse_create(struct parser *p) {
    struct ustatement *s = statement_make(p, USTATEMENT_CREATE_TABLE);
    if (!s) return NULL;
    bool done;
    advance(p);
    if (at_keywords(p, KEYWORD_OR, KEYWORD_REPLACE)) {
        advance(p);
        advance(p);
        s->or_replace = true;
    }
    if (!s->or_replace && (at_keywords(p, KEYWORD_STREAMING, KEYWORD_TABLE) || at_keywords(p, KEYWORD_MATERIALIZED, KEYWORD_VIEW))) {
        s->kind = at_keyword(p, KEYWORD_STREAMING) ? USTATEMENT_CREATE_STREAMING_TABLE : USTATEMENT_CREATE_MATERIALIZED_VIEW;
        advance(p);
        advance(p);
        done = parse_create_result(p, s);
    } else if (!s->or_replace && accept_keyword(p, KEYWORD_FLOW)) {
        s->kind = USTATEMENT_CREATE_FLOW;
        done = parse_create_flow(p, s);
    } else if (accept_keyword(p, KEYWORD_TABLE)) {
        done = parse_create_table(p, s);
    } else if (at_keyword(p, KEYWORD_EXTERNAL)) {
        return parse_unsupported(p, current(p)->span, "CREATE EXTERNAL TABLE");
    } else {
        bool global = accept_keyword(p, KEYWORD_GLOBAL);
        s->temporary = accept_keyword(p, KEYWORD_TEMPORARY) || accept_keyword(p, KEYWORD_TEMP);
        if (s->temporary && at_keyword(p, KEYWORD_TABLE)) {
            (void)parse_unsupported(p, current(p)->span, "CREATE TEMPORARY TABLE");
            parse_hint(p, "write CREATE TEMPORARY VIEW … USING, or CREATE TABLE");
            return NULL;
        }
        if ((global && !s->temporary) || !accept_keyword(p, KEYWORD_VIEW)) {
            bool wrong_replace = s->or_replace && (at_keywords(p, KEYWORD_STREAMING, KEYWORD_TABLE) || at_keywords(p, KEYWORD_MATERIALIZED, KEYWORD_VIEW));
            (void)reject_create(p);
            if (wrong_replace) parse_hint(p, "a streaming table or materialized view has no OR REPLACE");
            return NULL;
        }
        s->kind = USTATEMENT_CREATE_VIEW;
        done = parse_create_view(p, s);
    }
    return done ? s : NULL;
}
