// SPDX-License-Identifier: Apache-2.0
// scope.c: which column a name means. Names ignore case; a.b.c is tried as table.column.field before column.field.field, as Spark does.
//
//     lambda parameters ─► columns of FROM ─► earlier items (lateral aliases) ─► the enclosing query (EXPR_OUTER)
//
// ORDER BY and HAVING look at the items before the columns. A name with two meanings at one level is AMBIGUOUS_REFERENCE.
#include "plan/resolver.h"

struct match {
    const struct scope_column *column;
    uint32_t parts_used;    // of the name: 1 column, 2 table.column
    uint32_t count;
    const struct scope_column *other;  // a second, different one
};

static void consider(struct match *m, const struct scope_column *c, uint32_t parts_used) {
    if (m->count && m->column->ordinal == c->ordinal) return;
    if (m->count++ == 0) {
        m->column = c;
        m->parts_used = parts_used;
    } else {
        m->other = c;
    }
}

static struct match match_columns(const struct relation *r, const struct uname *name) {
    struct match m = {.count = 0};
    if (!r) return m;
    for (uint32_t i = 0; name->part_count >= 2 && i < r->column_count; i++) {
        const struct scope_column *c = &r->columns[i];
        if (c->qualifier && equal_ignoring_case(c->qualifier, name->parts[0]) && equal_ignoring_case(c->name, name->parts[1])) consider(&m, c, 2);
    }
    bool qualified_found = m.count > 0;
    for (uint32_t i = 0; !qualified_found && i < r->column_count; i++) {
        const struct scope_column *c = &r->columns[i];
        if (!c->hidden && equal_ignoring_case(c->name, name->parts[0])) consider(&m, c, 1);
    }
    return m;
}

static const char *qualified(struct arena *a, const struct scope_column *c) {
    const char *text = c->qualifier ? arena_printf(a, "`%s`.`%s`", c->qualifier, c->name) : arena_printf(a, "`%s`", c->name);
    return text ? text : "";
}

static enum status complain_ambiguous(struct expr_context *c, const struct uname *name, const struct match *m) {
    struct arena *a = c->resolver->arena;
    return complain(c->resolver, (struct complaint){.span = name->span, .condition = "AMBIGUOUS_REFERENCE", .label = "ambiguous",
                    .hint = m->column->qualifier ? "put the table's name or alias before it" : "give the columns different names with AS"},
                    "`%s` could be %s or %s", name_text(a, name), qualified(a, m->column), qualified(a, m->other));
}

// GetStructField through an array of structs: every element's field.
static enum status extract_from_array(struct resolver *r, struct expr *base, const char *base_name, const char *field, struct span span,
                                      struct expr **out) {
    const struct field *element = &base->type->fields[0];
    struct expr *parameter = expr_new(r->arena, EXPR_PARAMETER, element->type, element->nullable, 0);
    if (!parameter) return STATUS_NO_MEMORY;
    struct expr *body;
    TRY(extract_field(r, parameter, base_name, field, span, &body));
    struct expr *lambda = expr_new(r->arena, EXPR_LAMBDA, body->type, body->nullable, 1);
    if (!lambda) return STATUS_NO_MEMORY;
    lambda->args[0] = body;
    lambda->parameter_count = 1;
    return call_named(r, "transform", (struct expr *[]){base, lambda}, 2, span, out);
}

static const char *field_list(struct arena *a, const struct type *t) {
    const char *text = "";
    for (uint32_t i = 0; i < t->field_count && i < 12 && text; i++) text = arena_printf(a, "%s%s%s", text, i ? ", " : "", t->fields[i].name);
    return text ? text : "";
}

static enum status complain_no_field(struct resolver *r, const struct type *t, const char *field, struct span span) {
    const char **names = arena_alloc_array(r->arena, t->field_count + 1, sizeof *names);
    if (!names) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < t->field_count; i++) names[i] = t->fields[i].name;
    const char *near = suggest(field, names, t->field_count);
    const char *hint = near ? arena_printf(r->arena, "did you mean `%s`? (fields: %s)", near, field_list(r->arena, t))
                            : arena_printf(r->arena, "fields: %s", field_list(r->arena, t));
    return complain(r, (struct complaint){.span = span, .condition = "FIELD_NOT_FOUND", .label = "no such field", .hint = hint}, "no field `%s` in %s", field,
                    type_name_sql(r->arena, t));
}

enum status extract_field(struct resolver *r, struct expr *base, const char *base_name, const char *field, struct span span, struct expr **out) {
    const struct type *t = base->type;
    if (t->id == TYPE_STRUCT) {
        int index = type_field_index(t, field, false);
        if (index == -1) return complain_no_field(r, t, field, span);
        if (index < 0)
            return complain(r, (struct complaint){.span = span, .condition = "AMBIGUOUS_REFERENCE_TO_FIELDS", .label = "several fields have this name"},
                            "field `%s` is ambiguous: it appears more than once in %s", field, type_name_sql(r->arena, t));
        *out = expr_new(r->arena, EXPR_FIELD, t->fields[index].type, base->nullable || t->fields[index].nullable, 1);
        if (!*out) return STATUS_NO_MEMORY;
        (*out)->args[0] = base;
        (*out)->ordinal = (uint32_t)index;
        (*out)->span = span;
        return STATUS_OK;
    }
    if (t->id == TYPE_ARRAY && t->fields[0].type->id == TYPE_STRUCT) return extract_from_array(r, base, base_name, field, span, out);
    if (t->id == TYPE_MAP) {
        struct expr *key = expr_string(r->arena, field, strlen(field));
        return key ? call_named(r, "[]", (struct expr *[]){base, key}, 2, span, out) : STATUS_NO_MEMORY;
    }
    const char *condition = t->id == TYPE_ARRAY ? "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE" : "INVALID_EXTRACT_BASE_FIELD_TYPE";
    return complain(r, (struct complaint){.span = span, .condition = condition, .label = type_name_sql(r->arena, t),
                    .hint = "fields are taken from STRUCT, MAP or ARRAY of STRUCT"},
                    "cannot take `%s` from `%s`, which is %s", field, base_name, type_name_sql(r->arena, t));
}

// The fields that follow the column in a name.
static enum status extract_rest(struct resolver *r, const struct uname *name, uint32_t from, struct expr *base, const char *base_name, struct expr **out,
                                const char **column_name) {
    for (uint32_t i = from; i < name->part_count; i++) {
        bool map = base->type->id == TYPE_MAP;
        TRY(extract_field(r, base, base_name, name->parts[i], name->span, &base));
        base_name = arena_printf(r->arena, map ? "%s[%s]" : "%s.%s", base_name, name->parts[i]);
        if (!base_name) return STATUS_NO_MEMORY;
    }
    *out = base;
    *column_name = name_limited(r->arena, base_name);
    return *column_name ? STATUS_OK : STATUS_NO_MEMORY;
}

static enum status find_parameter(struct expr_context *c, const struct uname *name, struct expr **out, const char **column_name) {
    uint32_t depth = 0;
    for (struct lambda_scope *l = c->lambdas; l; l = l->outer, depth++) {
        for (uint32_t i = 0; i < l->count; i++) {
            if (!equal_ignoring_case(l->names[i], name->parts[0])) continue;
            struct expr *e = expr_copy(c->resolver->arena, l->parameters[i]);
            if (!e) return STATUS_NO_MEMORY;
            e->lambda_depth = depth;
            e->span = name->span;
            return extract_rest(c->resolver, name, 1, e, "namedlambdavariable()", out, column_name);
        }
    }
    return STATUS_OK;
}

static enum status find_alias(struct expr_context *c, const struct uname *name, struct expr **out, const char **column_name) {
    const struct item *found = NULL;
    uint32_t count = 0;
    for (uint32_t i = 0; i < c->alias_count; i++) {
        const struct item *item = &c->aliases[i];
        if (!item->name || !equal_ignoring_case(item->name, name->parts[0]) || (!item->aliased && !c->aliases_first)) continue;
        if (item->failed) return STATUS_INVALID_QUERY;  // said already
        if (!found || !expr_equal(found->expr, item->expr)) count++;
        found = item;
    }
    if (!found) return STATUS_OK;
    if (count > 1)
        return complain(c->resolver, (struct complaint){.span = name->span, .label = "several columns have this name", .hint = "give them different names with AS",
                        .condition = c->aliases_first ? "UNRESOLVED_COLUMN.WITH_SUGGESTION" : "AMBIGUOUS_REFERENCE"},
                        "`%s` could be any of %u columns", name->parts[0], count);
    return extract_rest(c->resolver, name, 1, found->expr, name->parts[0], out, column_name);
}

static enum status find_column(struct expr_context *c, const struct uname *name, uint32_t level, struct expr **out, const char **column_name) {
    struct match m = match_columns(c->input, name);
    if (!m.count) return STATUS_OK;
    if (m.count > 1) return complain_ambiguous(c, name, &m);
    struct resolver *r = c->resolver;
    const struct attribute *at = &c->input->node->attributes[m.column->ordinal];
    struct expr *e = expr_column(r->arena, m.column->ordinal, at->type, at->nullable);
    if (!e) return STATUS_NO_MEMORY;
    if (level) {
        e->kind = EXPR_OUTER;
        e->lambda_depth = level;
    }
    e->span = name->span;
    const char *written = name->parts[m.parts_used - 1];
    e->name = written;
    return extract_rest(r, name, m.parts_used, e, written, out, column_name);
}

enum status scope_find(struct expr_context *c, const struct uname *name, struct expr **out, const char **column_name) {
    *out = NULL;
    TRY(find_parameter(c, name, out, column_name));
    if (!*out && c->aliases_first) TRY(find_alias(c, name, out, column_name));
    if (!*out) TRY(find_column(c, name, 0, out, column_name));
    if (!*out && !c->aliases_first) TRY(find_alias(c, name, out, column_name));
    uint32_t level = 1;
    for (struct expr_context *o = c->outer; o && !*out; o = o->outer, level++) {
        struct expr_context probe = {.resolver = c->resolver, .input = o->input};
        TRY(find_column(&probe, name, level, out, column_name));
        if (*out) {
            struct expr_context *mark = c;
            for (uint32_t i = 0; i < level && mark; i++, mark = mark->outer) mark->outer_used = true;
        }
    }
    return STATUS_OK;
}

// The one table in scope, for "not in `users`"; NULL if there are several or none.
static const char *only_qualifier(const struct relation *r) {
    const char *only = NULL;
    for (uint32_t i = 0; r && i < r->column_count; i++) {
        const char *q = r->columns[i].qualifier;
        if (!q || (only && strcmp(only, q) != 0)) return NULL;
        only = q;
    }
    return only;
}

static const char *column_list(struct arena *a, const struct relation *r, const char *qualifier) {
    const char *text = "";
    uint32_t shown = 0;
    for (uint32_t i = 0; i < r->column_count && text && shown < 12; i++) {
        if (r->columns[i].hidden || r->columns[i].generated) continue;
        if (qualifier && (!r->columns[i].qualifier || !equal_ignoring_case(r->columns[i].qualifier, qualifier))) continue;
        text = arena_printf(a, "%s%s%s", text, shown++ ? ", " : "", r->columns[i].name);
    }
    if (text && r->column_count > 12 && shown == 12) text = arena_printf(a, "%s, …", text);
    return text ? text : "";
}

enum status scope_unresolved(struct expr_context *c, const struct uname *name, struct span span) {
    struct resolver *r = c->resolver;
    const char *written = name_text(r->arena, name);
    for (const struct missing_name *m = r->missing; m; m = m->next)
        if (equal_ignoring_case(m->name, written)) return STATUS_INVALID_QUERY;
    struct missing_name *said = arena_alloc(r->arena, sizeof *said);
    if (!said) return STATUS_NO_MEMORY;
    *said = (struct missing_name){.name = written, .next = r->missing};
    r->missing = said;
    uint32_t count = c->input ? c->input->column_count : 0;
    if (!count)
        return complain(r, (struct complaint){.span = span, .condition = "UNRESOLVED_COLUMN.WITHOUT_SUGGESTION", .label = "not found",
                        .hint = "a text is written in quotes: 'text'"}, "no column `%s`", written);
    const char **names = arena_alloc_array(r->arena, (size_t)count + c->alias_count, sizeof *names);
    if (!names) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++) names[i] = c->input->columns[i].name;
    uint32_t total = count;
    for (uint32_t i = 0; i < c->alias_count; i++)
        if (c->aliases[i].name) names[total++] = c->aliases[i].name;
    const char *table = only_qualifier(c->input);
    const char *last = name->parts[name->part_count - 1];
    const char *near = suggest(last, names, total);
    if (!near && name->part_count > 1) near = suggest(name->parts[0], names, total);
    const char *columns = column_list(r->arena, c->input, NULL);
    const char *from = table ? table : "columns";
    const char *hint = near ? arena_printf(r->arena, "did you mean `%s`? (%s: %s)", near, from, columns) : arena_printf(r->arena, "%s: %s", from, columns);
    const char *label = table ? arena_printf(r->arena, "not in `%s`", table) : "not found";
    return complain(r, (struct complaint){.span = span, .condition = "UNRESOLVED_COLUMN.WITH_SUGGESTION", .label = label, .hint = hint}, "no column `%s`", written);
}
