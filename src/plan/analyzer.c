// SPDX-License-Identifier: Apache-2.0
// analyzer.c: one-off queries and statements (leat sql, golden tests). Everything is read whole: no streams. For pipelines see pipeline.c.
#include "expr/coerce.h"
#include "plan/resolver.h"

enum status analyze_query(const struct analysis *a, struct pipeline *scope, const struct uquery *query, struct plan_node **root) {
    struct resolver r = {.analysis = a, .arena = a->arena, .pipeline = scope};
    size_t errors = a->diagnostics->error_count;
    struct relation relation;
    TRY(make_states(&r));
    TRY(resolve_query(&r, query, NULL, &relation));
    if (a->diagnostics->error_count != errors) return STATUS_INVALID_QUERY;
    TRY(check_sources(&r, relation.node));
    TRY(optimize_tree(&r, &relation.node));
    TRY(graph_of_root(a->arena, a->memory, &relation.node));
    *root = relation.node;
    return STATUS_OK;
}

// A view is resolved when it is made, as Spark does, so that its mistakes show there.
static enum status check_view(struct resolver *r, const struct ustatement *s) {
    TRY(make_states(r));
    struct urelation u = {.kind = UREL_TABLE, .name = s->name, .span = s->span};
    struct relation view;
    TRY(resolve_table(r, &u, &view));
    for (uint32_t i = 0; i < view.column_count; i++)
        for (uint32_t k = 0; k < i; k++)
            if (equal_ignoring_case(view.columns[i].name, view.columns[k].name))
                return complain(r, (struct complaint){.span = s->name.span, .condition = "COLUMN_ALREADY_EXISTS", .hint = "rename one with AS"},
                                "view `%s` would have two columns `%s`", name_text(r->arena, &s->name), view.columns[i].name);
    return STATUS_OK;
}

enum status analyze_statement(const struct analysis *a, struct pipeline **scope, const struct ustatement *s) {
    if (!*scope && !(*scope = arena_alloc_zeroed(a->arena, sizeof **scope))) return STATUS_NO_MEMORY;
    struct resolver r = {.analysis = a, .arena = a->arena, .pipeline = *scope};
    switch (s->kind) {
    case USTATEMENT_CREATE_TABLE:
        return register_statement(&r, s);
    case USTATEMENT_CREATE_VIEW: {
        uint32_t count = (*scope)->dataset_count;
        struct dataset *old = find_dataset(&r, &s->name), before = {.name = NULL};
        if (old) before = *old;
        enum status status = register_statement(&r, s);
        if (status == STATUS_OK && s->query) status = check_view(&r, s);
        if (status == STATUS_OK) return status;
        // As if it had not been said.
        (*scope)->dataset_count = count;
        if (old) *old = before;
        return status;
    }
    case USTATEMENT_CREATE_STREAMING_TABLE:
    case USTATEMENT_CREATE_MATERIALIZED_VIEW:
    case USTATEMENT_CREATE_FLOW:
        return complain(&r, (struct complaint){.span = s->span, .condition = "UNSUPPORTED_FEATURE.CREATE_PIPELINE_DATASET_QUERY_EXECUTION", .hint = "run it with `leat run FILE`"},
                        "streaming tables, materialized views and flows belong to a pipeline");
    default:
        return STATUS_OK;
    }
}

// For each column of the target: which column of the query, or UINT32_MAX for NULL.
static enum status place_columns(struct resolver *r, const struct ustatement *s, const struct type *schema, const struct plan_node *node, uint32_t *from) {
    uint32_t listed = s->insert_column_count, width = listed ? listed : s->by_name ? node->attribute_count : schema->field_count;
    if (node->attribute_count != width)
        return complain(r, (struct complaint){.span = s->query->span, .condition = node->attribute_count > width ? "INSERT_COLUMN_ARITY_MISMATCH.TOO_MANY_DATA_COLUMNS" :
                        "INSERT_COLUMN_ARITY_MISMATCH.NOT_ENOUGH_DATA_COLUMNS"}, "the query has %u columns, and %u are to be written", node->attribute_count, width);
    for (uint32_t i = 0; i < schema->field_count; i++) from[i] = listed || s->by_name ? UINT32_MAX : i;
    for (uint32_t k = 0; k < width && (listed || s->by_name); k++) {
        const char *name = listed ? s->insert_columns[k] : node->attributes[k].name;
        int at = type_field_index(schema, name, false);
        if (at < 0)
            return complain(r, (struct complaint){.span = s->span, .label = "no such column", .hint = "DESCRIBE shows the table's columns",
                            .condition = listed ? "UNRESOLVED_COLUMN.WITH_SUGGESTION" : "INCOMPATIBLE_DATA_FOR_TABLE.EXTRA_COLUMNS"}, "no column `%s` in the table", name);
        if (from[at] != UINT32_MAX)
            return complain(r, (struct complaint){.span = s->span, .condition = "COLUMN_ALREADY_EXISTS"}, "column `%s` is given twice", name);
        from[at] = k;
    }
    return STATUS_OK;
}

// ANSI store assignment: numbers into numbers, dates into timestamps, anything into text; text into nothing else.
static bool may_store(const struct type *from, const struct type *to) {
    if (type_equal_ignoring_names(from, to) || from->id == TYPE_NULL || (to->id == TYPE_STRING && !type_is_nested(from))) return cast_allowed(from, to);
    if (type_is_numeric(from) && type_is_numeric(to)) return true;
    bool from_time = from->id == TYPE_DATE || from->id == TYPE_TIMESTAMP || from->id == TYPE_TIMESTAMP_NTZ;
    bool to_time = to->id == TYPE_DATE || to->id == TYPE_TIMESTAMP || to->id == TYPE_TIMESTAMP_NTZ;
    if (from_time && to_time) return true;
    return type_is_nested(from) && type_is_nested(to) && cast_allowed(from, to);
}

enum status analyze_insert(const struct analysis *a, struct pipeline *scope, const struct ustatement *s, const struct dataset *target, struct plan_node **root) {
    struct resolver r = {.analysis = a, .arena = a->arena, .pipeline = scope};
    const struct type *schema = target->schema;
    if (!schema || !s->query) return complain(&r, (struct complaint){.span = s->span, .condition = "UNABLE_TO_INFER_SCHEMA"}, "the columns of `%s` are not known", target->name);
    struct relation relation;
    TRY(make_states(&r));
    TRY(resolve_query(&r, s->query, NULL, &relation));
    uint32_t *from = arena_alloc_array(a->arena, (size_t)schema->field_count + 1, sizeof *from);
    struct expr **exprs = arena_alloc_array(a->arena, (size_t)schema->field_count + 1, sizeof *exprs);
    const char **names = arena_alloc_array(a->arena, (size_t)schema->field_count + 1, sizeof *names);
    if (!from || !exprs || !names) return STATUS_NO_MEMORY;
    TRY(place_columns(&r, s, schema, relation.node, from));
    for (uint32_t i = 0; i < schema->field_count; i++) {
        const struct type *type = schema->fields[i].type;
        struct expr *e = from[i] == UINT32_MAX ? expr_null(a->arena, type) : expr_of_attribute(a->arena, relation.node, from[i]);
        if (!e) return STATUS_NO_MEMORY;
        if (!may_store(e->type, type))
            return complain(&r, (struct complaint){.span = s->query->span, .condition = "INCOMPATIBLE_DATA_FOR_TABLE.CANNOT_SAFELY_CAST"}, "column `%s` is %s, and the query gives %s",
                            schema->fields[i].name, type_name_sql(a->arena, type), type_name_sql(a->arena, e->type));
        if (!(exprs[i] = expr_cast(a->arena, e, type, CAST_IMPLICIT))) return STATUS_NO_MEMORY;
        names[i] = schema->fields[i].name;
    }
    struct plan_node *node = plan_project(a->arena, relation.node, exprs, names, schema->field_count);
    if (!node) return STATUS_NO_MEMORY;
    TRY(check_sources(&r, node));
    TRY(optimize_tree(&r, &node));
    TRY(graph_of_root(a->arena, a->memory, &node));
    *root = node;
    return STATUS_OK;
}
