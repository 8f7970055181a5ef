// SPDX-License-Identifier: Apache-2.0
// resolve_special.c: expressions whose binding needs more than argument types: CASE, BETWEEN, AND and OR, struct(), lambdas of higher-order
// functions, LIKE ANY, window() and session_window() (which put a node under the SELECT).
#include "expr/coerce.h"
#include "plan/resolver.h"

static enum status as_boolean(struct resolver *r, struct expr *e, const char *name, struct span span, struct expr **out) {
    if (e->type->id == TYPE_BOOLEAN) return *out = e, STATUS_OK;
    if (e->type->id == TYPE_NULL) return (*out = expr_null(r->arena, &type_boolean)) ? STATUS_OK : STATUS_NO_MEMORY;
    return complain(r, (struct complaint){.span = span, .condition = "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE", .label = type_name_sql(r->arena, e->type)},
                    "%s must be BOOLEAN, not %s", name, type_name_sql(r->arena, e->type));
}

struct case_parts {
    struct expr **values;     // when, then, …, [else]
    const char **names;
    uint32_t count;
    bool has_else;
};

// The result type all branches meet in.
static enum status unify_branches(struct resolver *r, const struct uexpr *u, struct case_parts *p, const struct type **type, bool *nullable) {
    *type = NULL;
    *nullable = !p->has_else;
    for (uint32_t pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < p->count; i++) {
            bool result = i % 2 == 1 || (p->has_else && i + 1 == p->count);
            if (!result) continue;
            struct expr **e = &p->values[i];
            if (pass == 1) {
                if (!(*e = expr_cast(r->arena, *e, *type, CAST_IMPLICIT))) return STATUS_NO_MEMORY;
                *nullable |= (*e)->nullable;
                continue;
            }
            const struct type *met = *type ? coerce_common(r->arena, *type, (*e)->type) : (*e)->type;
            if (!met)
                return complain(r, (struct complaint){.span = (*e)->span, .condition = "DATATYPE_MISMATCH.DATA_DIFF_TYPES", .label = type_name_sql(r->arena, (*e)->type)},
                                "the branches of CASE must have one type: %s and %s do not meet", type_name_sql(r->arena, *type), type_name_sql(r->arena, (*e)->type));
            *type = met;
        }
    }
    (void)u;
    return STATUS_OK;
}

static const char *name_of_case(struct arena *a, const struct case_parts *p) {
    const char *text = "CASE";
    uint32_t pairs = p->count / 2;
    for (uint32_t i = 0; i < pairs && text; i++) text = name_limited(a, arena_printf(a, "%s WHEN %s THEN %s", text, p->names[2 * i], p->names[2 * i + 1]));
    if (text && p->has_else) text = arena_printf(a, "%s ELSE %s", text, p->names[p->count - 1]);
    return text ? arena_printf(a, "%s END", text) : NULL;
}

static enum status resolve_case(struct expr_context *c, const struct uexpr *u, struct expr **out, const char **name) {
    struct resolver *r = c->resolver;
    uint32_t first = u->has_operand ? 1 : 0;
    struct case_parts p = {.count = u->arg_count - first, .has_else = u->has_else};
    p.values = arena_alloc_array(r->arena, p.count + 1, sizeof *p.values);
    p.names = arena_alloc_array(r->arena, p.count + 1, sizeof *p.names);
    if (!p.values || !p.names) return STATUS_NO_MEMORY;
    struct expr *operand = NULL;
    const char *operand_name = NULL;
    if (u->has_operand) TRY(resolve_expr(c, u->args[0], &operand, &operand_name));
    for (uint32_t i = 0; i < p.count; i++) {
        TRY(resolve_expr(c, u->args[first + i], &p.values[i], &p.names[i]));
        bool condition = i % 2 == 0 && !(p.has_else && i + 1 == p.count);
        if (!condition) continue;
        if (operand) {
            TRY(call_named(r, "=", (struct expr *[]){operand, p.values[i]}, 2, u->args[first + i]->span, &p.values[i]));
            p.names[i] = arena_printf(r->arena, "(%s = %s)", operand_name, p.names[i]);
            if (!p.names[i]) return STATUS_NO_MEMORY;
        } else if (p.values[i]->type->id != TYPE_BOOLEAN) {
            const char *type = type_name_sql(r->arena, p.values[i]->type);
            return complain(r, (struct complaint){.span = u->args[first + i]->span, .condition = "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE", .label = type,
                            .hint = "compare it with something, or CAST(… AS BOOLEAN)"}, "a condition of CASE must be BOOLEAN, not %s", type);
        }
    }
    const struct type *type;
    bool nullable;
    TRY(unify_branches(r, u, &p, &type, &nullable));
    *out = expr_new(r->arena, EXPR_CASE, type, nullable, p.count);
    if (!*out) return STATUS_NO_MEMORY;
    memcpy((*out)->args, p.values, p.count * sizeof *p.values);
    (*out)->has_else = p.has_else;
    *name = name_of_case(r->arena, &p);
    return *name ? STATUS_OK : STATUS_NO_MEMORY;
}

static enum status resolve_between(struct expr_context *c, const struct uexpr *u, struct expr **out, const char **name) {
    struct resolver *r = c->resolver;
    struct expr *args[3], *low, *high;
    const char *names[3];
    for (uint32_t i = 0; i < 3; i++) TRY(resolve_expr(c, u->args[i], &args[i], &names[i]));
    TRY(call_named(r, ">=", (struct expr *[]){args[0], args[1]}, 2, u->span, &low));
    TRY(call_named(r, "<=", (struct expr *[]){args[0], args[2]}, 2, u->span, &high));
    *out = expr_and(r->arena, low, high);
    *name = arena_printf(r->arena, "between(%s, %s, %s)", names[0], names[1], names[2]);
    return *out && *name ? STATUS_OK : STATUS_NO_MEMORY;
}

static enum status resolve_logic(struct expr_context *c, const struct uexpr *u, enum expr_kind kind, struct expr **out, const char **name) {
    struct resolver *r = c->resolver;
    struct expr *args[2];
    const char *names[2];
    for (uint32_t i = 0; i < 2; i++) {
        TRY(resolve_expr(c, u->args[i], &args[i], &names[i]));
    }
    const char *word = kind == EXPR_AND ? "AND" : "OR";
    *name = name_limited(r->arena, arena_printf(r->arena, "(%s %s %s)", names[0], word, names[1]));
    bool mixed = (args[0]->type->id == TYPE_BOOLEAN) != (args[1]->type->id == TYPE_BOOLEAN);
    for (uint32_t i = 0; i < 2; i++) {
        enum type_id id = args[i]->type->id;
        if (id == TYPE_BOOLEAN || id == TYPE_NULL) {
            TRY(as_boolean(r, args[i], names[i], u->args[i]->span, &args[i]));
            continue;
        }
        if (id == TYPE_STRING && mixed) {
            if (!(args[i] = expr_cast(r->arena, args[i], &type_boolean, CAST_IMPLICIT))) return STATUS_NO_MEMORY;
            continue;
        }
        const char *type = type_name_sql(r->arena, args[i]->type);
        return complain(r, (struct complaint){.span = u->args[i]->span, .label = type,
                        .condition = mixed ? "DATATYPE_MISMATCH.BINARY_OP_DIFF_TYPES" : "DATATYPE_MISMATCH.BINARY_OP_WRONG_TYPE"},
                        "the operands of %s must be BOOLEAN, not %s", word, type);
    }
    *out = expr_new(r->arena, kind, &type_boolean, args[0]->nullable || args[1]->nullable, 2);
    if (!*out || !*name) return STATUS_NO_MEMORY;
    (*out)->args[0] = args[0];
    (*out)->args[1] = args[1];
    return STATUS_OK;
}

// A name that is no plain word, in backquotes.
static const char *quoted_name(struct arena *a, const char *name) {
    size_t size = strlen(name), word = 0, digits = strspn(name, "0123456789");
    while (word < size && (name[word] == '_' || (name[word] >= '0' && name[word] <= '9') || ((name[word] | 0x20) >= 'a' && (name[word] | 0x20) <= 'z'))) word++;
    if (size && word == size && digits < size) return name;
    char *out = arena_alloc(a, 2 * size + 3), *at = out;
    if (!out) return "";
    *at++ = '`';
    for (; *name; name++) {
        if (*name == '`') *at++ = '`';
        *at++ = *name;
    }
    *at++ = '`';
    *at = '\0';
    return out;
}

// struct(a, b + 1) → named_struct('a', a, 'col2', b + 1)
static enum status resolve_struct(struct expr_context *c, const struct uexpr *u, struct expr **out, const char **name) {
    struct resolver *r = c->resolver;
    struct vector items;
    vector_init(&items, r->analysis->memory, sizeof(struct item));
    enum status s = STATUS_OK;
    for (uint32_t i = 0; i < u->arg_count && s == STATUS_OK; i++) {
        struct item item = {.source = u->args[i]};
        s = is_star(u->args[i]) ? expand_star(c, u->args[i], &items) : resolve_expr(c, u->args[i], &item.expr, &item.name);
        if (s == STATUS_OK && !is_star(u->args[i])) s = vector_push(&items, &item);
    }
    uint32_t count = (uint32_t)items.count;
    struct expr **args = arena_alloc_array(r->arena, count ? 2 * (size_t)count : 1, sizeof *args);
    const char **shown = arena_alloc_array(r->arena, count ? 2 * (size_t)count : 1, sizeof *shown);
    if (s == STATUS_OK && (!args || !shown)) s = STATUS_NO_MEMORY;
    uint32_t shown_count = 0;
    for (uint32_t i = 0; i < count && s == STATUS_OK; i++) {
        const struct item *item = vector_at(&items, i);
        bool named = item->expr->kind == EXPR_COLUMN || item->expr->kind == EXPR_FIELD || item->source->kind == U_ALIAS || item->source->kind == U_NAME;
        const char *last = item->source->kind == U_NAME ? item->source->name.parts[item->source->name.part_count - 1] : item->name;
        const char *field = named ? last : arena_printf(r->arena, "col%u", i + 1);
        if (!field || !(args[2 * i] = expr_string(r->arena, field, strlen(field)))) s = STATUS_NO_MEMORY;
        args[2 * i + 1] = item->expr;
        if (u->kind == U_ROW) shown[shown_count++] = field;
        const char *text = item->source->kind == U_ALIAS && item->expr->name ? arena_printf(r->arena, "%s AS %s", item->expr->name, quoted_name(r->arena, item->name)) : item->name;
        shown[shown_count++] = text ? text : "";
    }
    vector_release(&items);
    TRY(s);
    const char *list = name_join(r->arena, shown, shown_count, ", ");
    *name = list ? arena_printf(r->arena, "%s(%s)", u->kind == U_ROW ? "named_struct" : "struct", list) : NULL;
    return *name ? call_named(r, "named_struct", args, 2 * count, u->span, out) : STATUS_NO_MEMORY;
}

// x LIKE ANY (a, b), LIKE ALL, and their NOT and ILIKE forms.
static enum status resolve_quantified_like(struct expr_context *c, const struct uexpr *u, const char *word, struct expr **out, const char **name) {
    struct resolver *r = c->resolver;
    bool negated = !strncmp(word, "not ", 4), all = strstr(word, " all") != NULL;
    if (negated) word += 4;
    const char *like = !strncmp(word, "ilike", 5) ? "ilike" : "like";
    bool lower = !strcmp(like, "ilike"), literals = true;
    struct expr *subject, *total = NULL;
    const char *written, *chain = NULL;   // how Spark shows it when a pattern is no text known beforehand
    TRY(resolve_expr(c, u->args[0], &subject, &written));
    for (uint32_t i = 1; i < u->arg_count; i++) {
        struct expr *pattern, *one;
        const char *text;
        TRY(resolve_expr(c, u->args[i], &pattern, &text));
        literals &= pattern->type->id == TYPE_STRING && expr_is_constant(pattern);
        text = arena_printf(r->arena, lower ? "lower(%s) LIKE lower(%s)" : "%s LIKE %s", written, text);
        if (text && negated) text = arena_printf(r->arena, "(NOT %s)", text);
        if (text && chain) text = arena_printf(r->arena, "(%s %s %s)", chain, all ? "AND" : "OR", text);
        if (!(chain = name_limited(r->arena, text))) return STATUS_NO_MEMORY;
        TRY(call_named(r, like, (struct expr *[]){subject, pattern}, 2, u->span, &one));
        if (negated) TRY(call_named(r, "not", &one, 1, u->span, &one));
        if (!total) {
            total = one;
            continue;
        }
        struct expr *both = expr_new(r->arena, all ? EXPR_AND : EXPR_OR, &type_boolean, total->nullable || one->nullable, 2);
        if (!both) return STATUS_NO_MEMORY;
        both->args[0] = total;
        both->args[1] = one;
        total = both;
    }
    *out = total;
    *name = chain;
    if (literals) *name = arena_printf(r->arena, lower ? "%s%s(lower(%s))" : "%s%s(%s)", negated ? "not" : "", all ? "likeall" : "likeany", written);
    return *name && total ? STATUS_OK : STATUS_NO_MEMORY;
}

// Types of a lambda's parameters, by function; elements of the arguments before it.
struct lambda_types {
    const struct type *types[3];
    bool nullable[3];
    uint32_t least, most;
};

static void add_type(struct lambda_types *t, const struct type *type, bool nullable) {
    t->types[t->most] = type;
    t->nullable[t->most++] = nullable;
}

static bool is_list(const struct expr *e, enum type_id id) { return e && e->type->id == id; }

static bool lambda_types_of(const char *function, uint32_t position, struct expr *const *args, struct lambda_types *t) {
    const struct expr *first = args[0], *second = position > 1 ? args[1] : NULL;
    memset(t, 0, sizeof *t);
    bool one = equal_ignoring_case(function, "exists") || equal_ignoring_case(function, "forall");
    if (one || equal_ignoring_case(function, "transform") || equal_ignoring_case(function, "filter")) {
        if (!is_list(first, TYPE_ARRAY)) return false;
        add_type(t, first->type->fields[0].type, first->type->fields[0].nullable);
        t->least = 1;
        if (!one) add_type(t, &type_int, false);
        return true;
    }
    if (equal_ignoring_case(function, "aggregate") || equal_ignoring_case(function, "reduce")) {
        if (!is_list(first, TYPE_ARRAY) || !second) return false;
        add_type(t, second->type, true);
        if (position == 2) add_type(t, first->type->fields[0].type, first->type->fields[0].nullable);
        t->least = t->most;
        return true;
    }
    if (equal_ignoring_case(function, "zip_with")) {
        if (!is_list(first, TYPE_ARRAY) || !is_list(second, TYPE_ARRAY)) return false;
        add_type(t, first->type->fields[0].type, true);
        add_type(t, second->type->fields[0].type, true);
    } else if (equal_ignoring_case(function, "array_sort")) {
        if (!is_list(first, TYPE_ARRAY)) return false;
        for (int i = 0; i < 2; i++) add_type(t, first->type->fields[0].type, first->type->fields[0].nullable);
    } else if (equal_ignoring_case(function, "map_zip_with")) {
        if (!is_list(first, TYPE_MAP) || !is_list(second, TYPE_MAP)) return false;
        add_type(t, first->type->fields[0].type, false);
        add_type(t, first->type->fields[1].type, true);
        add_type(t, second->type->fields[1].type, true);
    } else if (equal_ignoring_case(function, "map_filter") || equal_ignoring_case(function, "transform_keys") || equal_ignoring_case(function, "transform_values")) {
        if (!is_list(first, TYPE_MAP)) return false;
        add_type(t, first->type->fields[0].type, false);
        add_type(t, first->type->fields[1].type, first->type->fields[1].nullable);
    } else {
        return false;
    }
    t->least = t->most;
    return true;
}

static enum status resolve_lambda(struct expr_context *c, const struct uexpr *u, const struct lambda_types *t, struct expr **out, const char **name) {
    struct resolver *r = c->resolver;
    if (u->name_count < t->least || u->name_count > t->most)
        return complain(r, (struct complaint){.span = u->span, .condition = "INVALID_LAMBDA_FUNCTION_CALL.NUM_ARGS_MISMATCH"},
                        "this function expects a lambda with %u parameters, not %u", t->least, u->name_count);
    struct expr **parameters = arena_alloc_array(r->arena, u->name_count, sizeof *parameters);
    const char **shown = arena_alloc_array(r->arena, (size_t)u->name_count + 1, sizeof *shown);
    if (!parameters || !shown) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < u->name_count; i++) {
        parameters[i] = expr_new(r->arena, EXPR_PARAMETER, t->types[i], t->nullable[i], 0);
        if (!parameters[i]) return STATUS_NO_MEMORY;
        parameters[i]->ordinal = i;
        shown[i + 1] = "namedlambdavariable()";
    }
    struct lambda_scope scope = {.names = u->names, .parameters = parameters, .count = u->name_count, .outer = c->lambdas};
    struct expr *body;
    c->lambdas = &scope;
    enum status s = resolve_expr(c, u->args[0], &body, &shown[0]);
    c->lambdas = scope.outer;
    TRY(s);
    *out = expr_new(r->arena, EXPR_LAMBDA, body->type, body->nullable, 1);
    if (!*out) return STATUS_NO_MEMORY;
    (*out)->args[0] = body;
    (*out)->parameter_count = u->name_count;
    (*out)->span = u->span;
    const char *list = name_join(r->arena, shown, u->name_count + 1, ", ");
    *name = list ? arena_printf(r->arena, "lambdafunction(%s)", list) : NULL;
    return *name ? STATUS_OK : STATUS_NO_MEMORY;
}

// The first argument of a function that is a lambda; UINT32_MAX: it takes none. One written without arrow ignores its parameters.
static uint32_t lambda_position(const struct uexpr *u) {
    static const char *const second[] = {"transform", "filter", "exists", "forall", "array_sort", "map_filter", "transform_keys", "transform_values"};
    static const char *const third[] = {"aggregate", "reduce", "zip_with", "map_zip_with"};
    for (size_t i = 0; i < sizeof second / sizeof *second; i++)
        if (operator_is(u, second[i])) return 1;
    for (size_t i = 0; i < sizeof third / sizeof *third; i++)
        if (operator_is(u, third[i])) return 2;
    return UINT32_MAX;
}

static bool has_lambda(const struct uexpr *u) {
    for (uint32_t i = 0; i < u->arg_count; i++)
        if (u->args[i]->kind == U_LAMBDA) return true;
    return u->arg_count > lambda_position(u);
}

static enum status resolve_higher_order(struct expr_context *c, const struct uexpr *u, struct expr **out, const char **name) {
    struct resolver *r = c->resolver;
    const char *function = u->name.parts[u->name.part_count - 1];
    struct expr **args = arena_alloc_array(r->arena, u->arg_count, sizeof *args);
    const char **names = arena_alloc_array(r->arena, (size_t)u->arg_count + 1, sizeof *names);
    const char *hidden_names[3] = {"", "", ""};  // of parameters that nothing can refer to
    if (!args || !names) return STATUS_NO_MEMORY;
    if (!function_find(function))
        return complain(r, (struct complaint){.span = span_known(u->name_span) ? u->name_span : u->span, .condition = "UNRESOLVED_ROUTINE", .label = "unknown function"},
                        "no function `%s`", function);
    for (uint32_t i = 0; i < u->arg_count; i++) {
        struct lambda_types t;
        if (u->args[i]->kind != U_LAMBDA && i < lambda_position(u)) {
            TRY(resolve_expr(c, u->args[i], &args[i], &names[i]));
        } else if (i && lambda_types_of(function, i, args, &t)) {
            struct uexpr constant = {.kind = U_LAMBDA, .span = u->args[i]->span, .arg_count = 1, .args = &u->args[i], .name_count = t.least, .names = hidden_names};
            TRY(resolve_lambda(c, u->args[i]->kind == U_LAMBDA ? u->args[i] : &constant, &t, &args[i], &names[i]));
        } else {
            bool known = lambda_position(u) != UINT32_MAX && i;
            return complain(r, (struct complaint){.span = u->args[i]->span, .condition = known ? "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE" :
                            "INVALID_LAMBDA_FUNCTION_CALL.NON_HIGHER_ORDER_FUNCTION", .label = "a lambda"}, "`%s` cannot apply a lambda to these arguments", function);
        }
    }
    *name = name_of_call(r, u, names, u->arg_count, NULL);
    bool fold = (equal_ignoring_case(function, "aggregate") || equal_ignoring_case(function, "reduce")) && u->arg_count == 3;
    if (*name && fold)
        *name = arena_printf(r->arena, "%.*s, lambdafunction(namedlambdavariable(), namedlambdavariable()))", (int)strlen(*name) - 1, *name);
    return *name ? call_named(r, function, args, u->arg_count, u->span, out) : STATUS_NO_MEMORY;
}

static bool is_quantified_like(const char *name) {
    return strstr(name, "like any") || strstr(name, "like all") || strstr(name, "like some");
}

enum status resolve_special(struct expr_context *c, const struct uexpr *u, struct expr **out, const char **name, bool *handled) {
    *handled = true;
    if (u->kind == U_CASE) return resolve_case(c, u, out, name);
    if (u->kind == U_ROW) return resolve_struct(c, u, out, name);
    if (u->kind != U_CALL) return complain_not_yet(c->resolver, u->span, "this expression");
    const char *word = u->name.parts[u->name.part_count - 1];
    if (operator_is(u, "and") && u->arg_count == 2) return resolve_logic(c, u, EXPR_AND, out, name);
    if (operator_is(u, "or") && u->arg_count == 2) return resolve_logic(c, u, EXPR_OR, out, name);
    if (operator_is(u, "between") && u->arg_count == 3) return resolve_between(c, u, out, name);
    if (operator_is(u, "struct")) return resolve_struct(c, u, out, name);
    if (operator_is(u, "window") || operator_is(u, "session_window")) return resolve_time_window(c, u, out, name);
    if (is_quantified_like(word) && u->arg_count >= 2) return resolve_quantified_like(c, u, word, out, name);
    if (operator_is(u, "window_time") && u->arg_count == 1) return resolve_window_time(c, u, out, name);
    if (is_generator(u))
        return complain(c->resolver, (struct complaint){.span = u->span, .label = "makes rows",
                        .condition = c->clause && !strcmp(c->clause, "WHERE") ? "UNSUPPORTED_GENERATOR.OUTSIDE_SELECT" : "UNSUPPORTED_GENERATOR.NESTED_IN_EXPRESSIONS",
                        .hint = "put it alone in the SELECT list, or in LATERAL VIEW"}, "`%s` makes rows and cannot stand inside an expression or here", word);
    if (has_lambda(u)) return resolve_higher_order(c, u, out, name);
    *handled = false;
    return STATUS_OK;
}
