// SPDX-License-Identifier: Apache-2.0
// resolve_expr.c: expressions as written → bound expressions. One function a kind; calls bind their arguments first and let expr/
// choose types and casts. What is syntax rather than a function (CASE, lambdas, struct(), window()) is in resolve_special.c.
//
// Every function gives the expression and Spark's name of it as a column, which is part of the language: a name is an output.
#include "base/checksum.h"
#include "column/datetime.h"
#include "expr/coerce.h"
#include "plan/resolver.h"

enum { INLINE_LIMIT = 20000, SUGGESTION_LIMIT = 1024 };

bool is_star(const struct uexpr *u) { return u->kind == U_STAR; }

enum status call_named(struct resolver *r, const char *function, struct expr **args, uint32_t count, struct span span, struct expr **out) {
    struct error e;
    error_clear(&e);
    enum status s = function_call_named(r->arena, r->analysis->session, function, args, count, span, out, &e);
    return s == STATUS_OK ? s : complain_error(r, &e, span);
}

// Nodes of a tree, counted up to a limit: names of earlier items are inlined, and b = a + a, c = b + b … doubles each time.
static uint32_t tree_size(const struct expr *e, uint32_t limit) {
    uint32_t size = 1;
    for (uint32_t i = 0; i < e->arg_count && size < limit; i++) size += tree_size(e->args[i], limit - size);
    return size;
}

static enum status resolve_name(struct expr_context *c, const struct uexpr *u, struct expr **out, const char **name) {
    TRY(scope_find(c, &u->name, out, name));
    if (*out) {
        if (tree_size(*out, INLINE_LIMIT) < INLINE_LIMIT) return STATUS_OK;
        return complain(c->resolver, (struct complaint){.span = u->span, .condition = "LEAT_LIMIT_EXCEEDED"},
                        "the expression behind `%s` has more than %d parts", name_text(c->resolver->arena, &u->name), INLINE_LIMIT);
    }
    static const char *const words[] = {"current_date", "current_timestamp", "current_user", "user", "session_user", "current_catalog", "current_database",
                                        "current_schema", "current_timezone"};
    for (size_t i = 0; u->name.part_count == 1 && i < sizeof words / sizeof *words; i++) {
        if (!equal_ignoring_case(words[i], u->name.parts[0]) || !function_find(words[i])) continue;
        *name = arena_printf(c->resolver->arena, "%s()", words[i]);
        return *name ? call_named(c->resolver, words[i], NULL, 0, u->span, out) : STATUS_NO_MEMORY;
    }
    return scope_unresolved(c, &u->name, u->span);
}

static const char *cast_condition(const struct type *from, const struct type *to) {
    bool date = from->id == TYPE_DATE, time = from->id == TYPE_TIMESTAMP;
    if ((date && type_is_numeric(to)) || (type_is_numeric(from) && to->id == TYPE_DATE)) return "DATATYPE_MISMATCH.CAST_WITH_FUNC_SUGGESTION";
    if (((date || time) && to->id == TYPE_BOOLEAN) || (type_is_integral(from) && to->id == TYPE_BINARY) ||
        (from->id == TYPE_BOOLEAN && to->id == TYPE_TIMESTAMP))
        return "DATATYPE_MISMATCH.CAST_WITH_CONF_SUGGESTION";
    return "DATATYPE_MISMATCH.CAST_WITHOUT_SUGGESTION";
}

static enum status resolve_cast(struct expr_context *c, const struct uexpr *u, struct expr **out, const char **name) {
    struct arena *a = c->resolver->arena;
    struct expr *arg;
    const char *inner;
    TRY(resolve_expr(c, u->args[0], &arg, &inner));
    // Spark does not show a cast to a nested type.
    *name = type_is_nested(u->type) ? inner : arena_printf(a, "%s(%s AS %s)", u->cast_try ? "TRY_CAST" : "CAST", inner, type_name_sql(a, u->type));
    if (!*name) return STATUS_NO_MEMORY;
    if (!cast_allowed(arg->type, u->type)) {
        const char *condition = cast_condition(arg->type, u->type);
        const char *hint = strstr(condition, "WITH_FUNC") ? (u->type->id == TYPE_DATE ? "use date_from_unix_date" : "use unix_date") : NULL;
        return complain(c->resolver, (struct complaint){.span = u->span, .condition = condition, .hint = hint, .label = type_name_sql(a, arg->type)},
                        "%s cannot be cast to %s", type_name_sql(a, arg->type), type_name_sql(a, u->type));
    }
    *out = expr_cast(a, arg, u->type, u->cast_try ? CAST_TRY : CAST_ANSI);
    if (!*out) return STATUS_NO_MEMORY;
    if (*out != arg) (*out)->span = u->span;
    return STATUS_OK;
}

// Functions that need a clause leat has not.
static bool is_window_function(const char *name) {
    static const char *const names[] = {"row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile", "lag", "lead", "nth_value"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (equal_ignoring_case(names[i], name)) return true;
    return false;
}

static enum status complain_no_function(struct resolver *r, const struct uexpr *u, const char *function) {
    if (is_window_function(function))
        return complain(r, (struct complaint){.span = u->span, .condition = "WINDOW_FUNCTION_WITHOUT_OVER_CLAUSE", .label = "a window function",
                        .hint = "window functions (OVER) are not supported yet"}, "`%s` needs an OVER clause", function);
    if (equal_ignoring_case(function, "grouping") || equal_ignoring_case(function, "grouping_id"))
        return complain(r, (struct complaint){.span = u->span, .condition = "UNSUPPORTED_GROUPING_EXPRESSION", .label = "no grouping sets here",
                        .hint = "grouping sets are not supported yet"}, "`%s` belongs to CUBE, ROLLUP and GROUPING SETS", function);
    const char **names = arena_alloc_array(r->arena, SUGGESTION_LIMIT, sizeof *names);
    if (!names) return STATUS_NO_MEMORY;
    size_t count = 0;
    for (const struct function_table *const *t = function_tables; *t; t++)
        for (size_t i = 0; i < (*t)->count && count < SUGGESTION_LIMIT; i++)
            if (!((*t)->functions[i].flags & (FUNCTION_HIDDEN | FUNCTION_OPERATOR))) names[count++] = (*t)->functions[i].name;
    for (const struct aggregate_table *const *t = aggregate_tables; *t; t++)
        for (size_t i = 0; i < (*t)->count && count < SUGGESTION_LIMIT; i++) names[count++] = (*t)->aggregates[i].name;
    const char *near = suggest(function, names, count);
    const char *hint = near ? arena_printf(r->arena, "did you mean `%s`?", near) : "`leat functions` lists them";
    return complain(r, (struct complaint){.span = span_known(u->name_span) ? u->name_span : u->span, .condition = "UNRESOLVED_ROUTINE", .label = "unknown function",
                    .hint = hint}, "no function `%s`", function);
}

static enum status refuse_aggregate(struct expr_context *c, const struct uexpr *u, const char *function) {
    struct resolver *r = c->resolver;
    if (c->inside_aggregate)
        return complain(r, (struct complaint){.span = u->span, .condition = "NESTED_AGGREGATE_FUNCTION", .label = "inside another aggregate",
                        .hint = "compute the inner one in a subquery"}, "`%s` cannot be used inside another aggregate function", function);
    bool where = !strcmp(c->clause, "WHERE");
    const char *condition = where ? "INVALID_WHERE_CONDITION" : !strcmp(c->clause, "GROUP BY") ? "GROUP_BY_AGGREGATE" : "UNSUPPORTED_EXPR_FOR_OPERATOR";
    return complain(r, (struct complaint){.span = u->span, .condition = condition, .label = "an aggregate", .hint = where ? "conditions on aggregates belong in HAVING" : NULL},
                    "aggregate function `%s` is not allowed in %s", function, c->clause);
}

struct arguments {
    struct vector items;      // of struct item
    struct expr **exprs;
    const char **names;
    uint32_t count;
};

static enum status arguments_done(struct resolver *r, struct arguments *g) {
    g->count = (uint32_t)g->items.count;
    g->exprs = arena_alloc_array(r->arena, g->count ? g->count : 1, sizeof *g->exprs);
    g->names = arena_alloc_array(r->arena, g->count ? g->count : 1, sizeof *g->names);
    if (!g->exprs || !g->names) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < g->count; i++) {
        const struct item *item = vector_at(&g->items, i);
        g->exprs[i] = item->expr;
        g->names[i] = item->name;
    }
    return STATUS_OK;
}

// Arguments, stars expanded. A failing argument does not hide errors of those after it.
static enum status resolve_arguments(struct expr_context *c, struct uexpr *const *args, uint32_t count, struct arguments *g) {
    vector_init(&g->items, c->resolver->analysis->memory, sizeof(struct item));
    enum status result = STATUS_OK;
    for (uint32_t i = 0; i < count && result != STATUS_NO_MEMORY; i++) {
        struct item item = {.source = args[i]};
        enum status s = is_star(args[i]) ? expand_star(c, args[i], &g->items) : resolve_expr(c, args[i], &item.expr, &item.name);
        if (s == STATUS_OK && !is_star(args[i])) s = vector_push(&g->items, &item);
        if (s != STATUS_OK) result = s;
    }
    if (result == STATUS_OK) result = arguments_done(c->resolver, g);
    vector_release(&g->items);
    return result;
}

static enum status resolve_aggregate(struct expr_context *c, const struct uexpr *u, const struct aggregate *aggregate, struct expr **out, const char **name) {
    struct resolver *r = c->resolver;
    const char *function = u->name.parts[u->name.part_count - 1];
    if (c->clause || c->inside_aggregate) return refuse_aggregate(c, u, function);
    if (u->filter && contains_aggregate(u->filter))
        return complain(r, (struct complaint){.span = u->filter->span, .condition = "INVALID_AGGREGATE_FILTER.CONTAINS_AGGREGATE"},
                        "the condition of FILTER must not contain an aggregate");
    if (!u->arg_count && equal_ignoring_case(function, "count"))
        return complain(r, (struct complaint){.span = u->span, .condition = "WRONG_NUM_ARGS.WITH_SUGGESTION", .hint = "write count(*)"}, "`count` needs an argument");
    bool counts = equal_ignoring_case(function, "count");
    if (counts && u->arg_count == 1 && is_star(u->args[0]) && u->args[0]->name.part_count && !u->distinct)
        return complain(r, (struct complaint){.span = u->args[0]->span, .condition = "INVALID_USAGE_OF_STAR_WITH_TABLE_IDENTIFIER_IN_COUNT", .label = "a table's columns",
                        .hint = "write count(*), or name the column"}, "count(%s.*) is ambiguous: rows, or rows without NULL?", name_text(r->arena, &u->args[0]->name));
    struct arguments g = {.count = 0};
    bool count_rows = u->arg_count == 1 && is_star(u->args[0]) && !u->args[0]->name.part_count && !u->distinct && equal_ignoring_case(function, "count");
    c->inside_aggregate = true;
    enum status s = count_rows ? arguments_done(r, &g) : resolve_arguments(c, u->args, u->arg_count, &g);
    struct expr *filter = NULL;
    const char *filter_name = NULL;
    if (s == STATUS_OK && u->filter) {
        s = resolve_boolean(c, u->filter, "FILTER", &filter);
        if (s == STATUS_OK) filter_name = filter->name;
    }
    c->inside_aggregate = false;
    TRY(s);
    c->aggregates_seen = true;
    *name = name_of_call(r, u, count_rows ? (const char *[]){"1"} : g.names, count_rows ? 1 : g.count, NULL);
    if (equal_ignoring_case(function, "mode") && g.count == 2) *name = arena_printf(r->arena, "mode() WITHIN GROUP (ORDER BY %s DESC)", g.names[0]);
    bool within_group = u->infix && equal_ignoring_case(function, "percentile") && g.count == 2;
    if (within_group) *name = arena_printf(r->arena, "percentile_cont(%s) WITHIN GROUP (ORDER BY %s)", g.names[1], g.names[0]);
    if (*name && filter) *name = name_limited(r->arena, arena_printf(r->arena, "%s FILTER (WHERE %s)", *name, filter_name ? filter_name : "…"));
    if (!*name) return STATUS_NO_MEMORY;
    if (u->ignore_nulls && g.count == 1) {
        struct expr **longer = arena_alloc_array(r->arena, 2, sizeof *longer);
        if (!longer || !(longer[1] = expr_boolean(r->arena, true))) return STATUS_NO_MEMORY;
        longer[0] = g.exprs[0];
        g.exprs = longer;
        g.count = 2;
    }
    struct error e;
    error_clear(&e);
    s = aggregate_call(r->arena, r->analysis->session, aggregate, function, g.exprs, g.count, u->distinct, filter, u->span, out, &e);
    return s == STATUS_OK ? s : complain_error(r, &e, u->span);
}

// Operators that a table of functions need not have, made of those it must have.
static enum status rewrite_operator(struct expr_context *c, const struct uexpr *u, struct expr **args, uint32_t count, struct expr **out, bool *done) {
    struct resolver *r = c->resolver;
    struct expr *inner;
    *done = true;
    bool negated_equal = operator_is(u, "<>") || operator_is(u, "!="), distinct = operator_is(u, "is distinct from");
    if (count == 2 && (negated_equal || distinct)) {
        TRY(call_named(r, distinct ? "<=>" : "=", args, 2, u->span, &inner));
        return call_named(r, "not", &inner, 1, u->span, out);
    }
    if (count == 2 && operator_is(u, "==")) return call_named(r, "=", args, 2, u->span, out);
    if (count == 2 && operator_is(u, "is not distinct from")) return call_named(r, "<=>", args, 2, u->span, out);
    if (count == 2 && operator_is(u, "||")) return call_named(r, "concat", args, 2, u->span, out);
    if (count == 1 && operator_is(u, "!")) return call_named(r, "not", args, 1, u->span, out);
    bool is_true = operator_is(u, "is true") || operator_is(u, "istrue"), not_true = operator_is(u, "is not true");
    bool is_false = operator_is(u, "is false") || operator_is(u, "isfalse"), not_false = operator_is(u, "is not false");
    if (count == 1 && (is_true || not_true || is_false || not_false)) {
        struct expr *wanted = expr_boolean(r->arena, is_true || not_true);
        if (!wanted) return STATUS_NO_MEMORY;
        TRY(call_named(r, "<=>", (struct expr *[]){args[0], wanted}, 2, u->span, &inner));
        if (is_true || is_false) return *out = inner, STATUS_OK;
        return call_named(r, "not", &inner, 1, u->span, out);
    }
    if (operator_is(u, "extract") && count == 2) return call_named(r, "date_part", args, 2, u->span, out);
    *done = false;
    return STATUS_OK;
}

// What to do where a call's arguments do not fit: how it is called.
static void hint_of_call(const struct function *f, const char *name, struct error *e) {
    if (f->flags & FUNCTION_OPERATOR) error_set_hint(e, "bring the operands to one type with CAST(… AS …)");
    else if (f->signature && *f->signature == '(') error_set_hint(e, "it is called as %s%s", name, f->signature);
}

// Where a call stands in its own statement: what is written before that one, comments included, does not matter.
static uint64_t place_in_statement(const struct ustatement *s, struct span span) {
    const char *name = s->name.part_count ? s->name.parts[s->name.part_count - 1] : "";
    return checksum64(name, strlen(name), span.begin - s->span.begin);
}

static enum status resolve_call(struct expr_context *c, const struct uexpr *u, struct expr **out, const char **name) {
    struct resolver *r = c->resolver;
    const char *function = u->name.parts[u->name.part_count - 1];
    bool handled = false;
    TRY(resolve_special(c, u, out, name, &handled));
    if (handled) return STATUS_OK;
    // current_date without parentheses may be a column's name, which wins.
    if (!u->arg_count && span_known(u->name_span) && u->name_span.end == u->span.end) {
        TRY(scope_find(c, &u->name, out, name));
        if (*out) return STATUS_OK;
    }
    const struct aggregate *aggregate = aggregate_find(function);
    if (aggregate && !(u->infix && function_find(function))) return resolve_aggregate(c, u, aggregate, out, name);
    const struct function *found = function_find(function);
    if (u->distinct || u->filter)
        return complain(r, (struct complaint){.span = u->span, .condition = "INVALID_SQL_SYNTAX.FUNCTION_WITH_UNSUPPORTED_SYNTAX"},
                        "%s is only for aggregate functions, and `%s` is none", u->distinct ? "DISTINCT" : "FILTER", function);
    struct arguments g;
    TRY(resolve_arguments(c, u->args, u->arg_count, &g));
    if (!found) {
        bool done;
        TRY(rewrite_operator(c, u, g.exprs, g.count, out, &done));
        if (!done) return complain_no_function(r, u, function);
    } else {
        struct error e;
        error_clear(&e);
        enum status s = function_call(r->arena, r->analysis->session, found, function, g.exprs, g.count, u->span, out, &e);
        if (s != STATUS_OK && !*e.hint) hint_of_call(found, function, &e);
        if (s != STATUS_OK) return complain_error(r, &e, u->span);
        if (r->statement) function_set_place(*out, place_in_statement(r->statement, u->span));
    }
    *name = name_of_call(r, u, g.names, g.count, g.exprs);
    return *name ? STATUS_OK : STATUS_NO_MEMORY;
}

static enum status resolve_subscript(struct expr_context *c, const struct uexpr *u, struct expr **out, const char **name) {
    struct resolver *r = c->resolver;
    struct arguments g;
    TRY(resolve_arguments(c, u->args, 2, &g));
    const struct expr *key = g.exprs[1];
    bool of_struct = g.exprs[0]->type->id == TYPE_STRUCT;
    *name = name_limited(r->arena, arena_printf(r->arena, "%s[%s]", g.names[0], g.names[1]));
    if (!*name) return STATUS_NO_MEMORY;
    if (of_struct && (key->kind != EXPR_LITERAL || key->type->id != TYPE_STRING))
        return complain(r, (struct complaint){.span = u->args[1]->span, .condition = "INVALID_EXTRACT_FIELD_TYPE", .label = type_name_sql(r->arena, key->type),
                        .hint = "write the field's name: s.name or s['name']"}, "a field of a STRUCT is taken by its name, a text");
    if (of_struct && column_is_valid(key->literal, 0)) {
        const struct string_view *v = column_string(key->literal, 0);
        const char *field = arena_strndup(r->arena, string_view_data(v), v->size_bytes);
        *name = field ? name_limited(r->arena, arena_printf(r->arena, "%s.%s", g.names[0], field)) : NULL;
        return *name ? extract_field(r, g.exprs[0], g.names[0], field, u->span, out) : STATUS_NO_MEMORY;
    }
    return call_named(r, "[]", g.exprs, 2, u->span, out);
}

// What Spark calls a field taken from an expression: a map's value shows as a subscript, and arrays_zip spells its field names out.
static const char *field_name(struct arena *a, const struct uexpr *u, const struct expr *base, const char *inner) {
    if (base->type->id == TYPE_MAP) return name_limited(a, arena_printf(a, "%s[%s]", inner, u->field));
    size_t length = strlen(inner);
    if (operator_is(u->args[0], "arrays_zip") && base->type->id == TYPE_ARRAY && length && inner[length - 1] == ')') {
        const struct type *item = base->type->fields[0].type;
        inner = arena_strndup(a, inner, length - 1);
        for (uint32_t i = 0; i < item->field_count && inner; i++) inner = name_limited(a, arena_printf(a, "%s, %s", inner, item->fields[i].name));
        if (inner) inner = arena_printf(a, "%s)", inner);
    }
    return inner ? name_limited(a, arena_printf(a, "%s.%s", inner, u->field)) : NULL;
}

static enum status resolve_field(struct expr_context *c, const struct uexpr *u, struct expr **out, const char **name) {
    struct expr *base;
    const char *inner;
    TRY(resolve_expr(c, u->args[0], &base, &inner));
    *name = field_name(c->resolver->arena, u, base, inner);
    return *name ? extract_field(c->resolver, base, inner, u->field, u->span, out) : STATUS_NO_MEMORY;
}

// The parser knows no time zone and reads TIMESTAMP '…' as UTC; the session's own is put in here.
static const struct column *zoned_literal(struct resolver *r, const struct uexpr *u) {
    const struct timezone *zone = r->analysis->session->zone;
    const char *begin = u->text ? strchr(u->text, '\'') : NULL, *end = begin ? strchr(begin + 1, '\'') : NULL;
    if (!end || u->literal->type->id != TYPE_TIMESTAMP || !zone) return u->literal;
    int64_t us, *kept = arena_alloc(r->arena, sizeof *kept);
    struct column *literal = arena_alloc(r->arena, sizeof *literal);
    if (!kept || !literal || !parse_timestamp(begin + 1, (size_t)(end - begin - 1), zone, &us)) return u->literal;
    *kept = us;
    *literal = *u->literal;
    literal->values = kept;
    return literal;
}

static enum status resolve_literal(struct expr_context *c, const struct uexpr *u, struct expr **out, const char **name) {
    const struct column *literal = zoned_literal(c->resolver, u);
    *out = expr_literal(c->resolver->arena, literal);
    *name = name_of_literal(c->resolver, literal);
    return *out && *name ? STATUS_OK : STATUS_NO_MEMORY;
}

static enum status resolve_kind(struct expr_context *c, const struct uexpr *u, struct expr **out, const char **name) {
    struct resolver *r = c->resolver;
    switch (u->kind) {
    case U_LITERAL:
        return resolve_literal(c, u, out, name);
    case U_NAME:
        return resolve_name(c, u, out, name);
    case U_STAR:
        return complain(r, (struct complaint){.span = u->span, .condition = "INVALID_USAGE_OF_STAR_OR_REGEX", .label = "not here"}, "`*` cannot be used here");
    case U_CALL:
        return resolve_call(c, u, out, name);
    case U_CAST:
        return resolve_cast(c, u, out, name);
    case U_FIELD:
        return resolve_field(c, u, out, name);
    case U_SUBSCRIPT:
        return resolve_subscript(c, u, out, name);
    case U_SUBQUERY:
    case U_EXISTS:
    case U_IN_SUBQUERY:
        return resolve_subquery_expr(c, u, out, name);
    case U_ALIAS:
        TRY(resolve_expr(c, u->args[0], out, name));
        if (u->name_count == 1) *name = u->names[0];
        return STATUS_OK;
    case U_LAMBDA:
        return complain(r, (struct complaint){.span = u->span, .condition = "INVALID_LAMBDA_FUNCTION_CALL.NON_HIGHER_ORDER_FUNCTION", .label = "not here"},
                        "a lambda can only be an argument of a higher-order function");
    case U_OVER:
        return resolve_over(c, u, out, name);
    case U_PARAMETER:
        return complain_not_yet(r, u->span, "parameters in queries");
    case U_DEFAULT:
        return complain_not_yet(r, u->span, "DEFAULT as a value");
    default: {
        bool handled = false;
        TRY(resolve_special(c, u, out, name, &handled));
        return handled ? STATUS_OK : STATUS_INTERNAL;
    }
    }
}

enum status resolve_expr(struct expr_context *c, const struct uexpr *u, struct expr **out, const char **name) {
    *out = NULL;
    *name = NULL;
    TRY(resolve_kind(c, u, out, name));
    if (!*out || !*name) return STATUS_NO_MEMORY;
    *name = name_limited(c->resolver->arena, *name);
    if (!(*out)->name) (*out)->name = *name;
    if (!span_known((*out)->span)) (*out)->span = u->span;
    return *name ? STATUS_OK : STATUS_NO_MEMORY;
}

enum status resolve_boolean(struct expr_context *c, const struct uexpr *u, const char *what, struct expr **out) {
    const char *name;
    TRY(resolve_expr(c, u, out, &name));
    if ((*out)->type->id == TYPE_BOOLEAN) return STATUS_OK;
    struct arena *a = c->resolver->arena;
    const char *condition = !strcmp(what, "JOIN") ? "JOIN_CONDITION_IS_NOT_BOOLEAN_TYPE" : !strcmp(what, "FILTER") ? "INVALID_AGGREGATE_FILTER.NOT_BOOLEAN"
                                                                                                                 : "DATATYPE_MISMATCH.FILTER_NOT_BOOLEAN";
    return complain(c->resolver, (struct complaint){.span = u->span, .condition = condition,
                    .label = type_name_sql(a, (*out)->type)}, "the condition of %s must be BOOLEAN, not %s", what, type_name_sql(a, (*out)->type));
}

static bool is_excepted(const struct uexpr *u, const char *name) {
    for (uint32_t i = 0; i < u->name_count; i++)
        if (equal_ignoring_case(u->names[i], name)) return true;
    return false;
}

static enum status check_except(struct expr_context *c, const struct uexpr *u, const struct vector *items, size_t first, uint32_t dropped) {
    (void)items;
    (void)first;
    if (dropped >= u->name_count) return STATUS_OK;
    for (uint32_t k = 0; k < u->name_count; k++) {
        bool found = false;
        for (uint32_t i = 0; c->input && i < c->input->column_count; i++) found |= equal_ignoring_case(c->input->columns[i].name, u->names[k]);
        const char *parts[1] = {u->names[k]};
        struct uname name = {.parts = parts, .part_count = 1, .span = u->span};
        if (!found) return scope_unresolved(c, &name, u->span);
    }
    return STATUS_OK;
}

// struct.*: one column a field.
static enum status expand_struct(struct expr_context *c, const struct uexpr *u, struct vector *items) {
    struct resolver *r = c->resolver;
    struct expr *base;
    const char *name;
    TRY(scope_find(c, &u->name, &base, &name));
    if (!base || base->type->id != TYPE_STRUCT)
        return complain(r, (struct complaint){.span = u->span, .condition = "CANNOT_RESOLVE_STAR_EXPAND", .label = base ? "not a STRUCT" : "no such table or column"},
                        "`%s.*` names no table of this query and no STRUCT column", name_text(r->arena, &u->name));
    for (uint32_t i = 0; i < base->type->field_count; i++) {
        const struct field *f = &base->type->fields[i];
        if (is_excepted(u, f->name)) continue;
        struct expr *e = expr_new(r->arena, EXPR_FIELD, f->type, base->nullable || f->nullable, 1);
        if (!e) return STATUS_NO_MEMORY;
        e->args[0] = base;
        e->ordinal = i;
        e->span = u->span;
        e->name = f->name;
        struct item item = {.expr = e, .name = f->name, .source = u};
        TRY(vector_push(items, &item));
    }
    return STATUS_OK;
}

enum status expand_star(struct expr_context *c, const struct uexpr *u, struct vector *items) {
    struct resolver *r = c->resolver;
    const char *qualifier = u->name.part_count == 1 ? u->name.parts[0] : NULL;
    uint32_t found = 0, dropped = 0;
    size_t first = items->count;
    for (uint32_t i = 0; c->input && i < c->input->column_count && (qualifier || !u->name.part_count); i++) {
        const struct scope_column *column = &c->input->columns[i];
        if (column->generated || (qualifier ? !column->qualifier || !equal_ignoring_case(column->qualifier, qualifier) : column->hidden)) continue;
        found++;
        if (is_excepted(u, column->name)) {
            dropped++;
            continue;
        }
        const struct attribute *at = &c->input->node->attributes[column->ordinal];
        struct expr *e = expr_column(r->arena, column->ordinal, at->type, at->nullable);
        if (!e) return STATUS_NO_MEMORY;
        e->name = column->name;
        e->span = u->span;
        struct item item = {.expr = e, .name = column->name, .source = u};
        TRY(vector_push(items, &item));
    }
    if (found) return check_except(c, u, items, first, dropped);
    if (u->name.part_count) return expand_struct(c, u, items);
    return complain(r, (struct complaint){.span = u->span, .condition = "INVALID_USAGE_OF_STAR_OR_REGEX", .label = "nothing to expand"}, "`*` needs a FROM clause");
}
