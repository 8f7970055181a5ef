// SPDX-License-Identifier: Apache-2.0
// print.c: unresolved trees as s-expressions. Names stand plain, strings in single quotes, literals with their type where the text
// does not tell it.
#include "sql/print.h"
#include "column/value.h"

static enum status put(struct buffer *out, const char *text) { return buffer_append_string(out, text); }

static enum status put_name(const struct uname *name, struct buffer *out) {
    for (uint32_t i = 0; i < name->part_count; i++) {
        if (i) TRY(put(out, "."));
        TRY(put(out, name->parts[i]));
    }
    return STATUS_OK;
}

static enum status put_names(const char *const *names, uint32_t count, struct buffer *out) {
    TRY(put(out, "["));
    for (uint32_t i = 0; i < count; i++) {
        if (i) TRY(put(out, " "));
        TRY(put(out, names[i]));
    }
    return put(out, "]");
}

static enum status put_literal(const struct uexpr *e, struct buffer *out) {
    const struct type *type = e->literal->type;
    if (type->id == TYPE_NULL) return put(out, "null");
    bool quoted = type->id == TYPE_STRING;
    if (quoted) TRY(put(out, "'"));
    TRY(value_print(e->literal, 0, NULL, out));
    if (quoted) TRY(put(out, "'"));
    if (quoted || type->id == TYPE_INT || type->id == TYPE_BOOLEAN) return STATUS_OK;
    TRY(put(out, ":"));
    return type_print(type, out);
}

static enum status put_sorts(const char *word, const struct usort *sorts, uint32_t count, struct buffer *out) {
    TRY(buffer_printf(out, " (%s", word));
    for (uint32_t i = 0; i < count; i++) {
        TRY(put(out, sorts[i].descending ? " (desc " : " (asc "));
        TRY(sql_print_expression(sorts[i].expr, out));
        TRY(put(out, sorts[i].nulls_first ? " nulls-first)" : " nulls-last)"));
    }
    return put(out, ")");
}

static enum status put_args(const struct uexpr *e, struct buffer *out) {
    for (uint32_t i = 0; i < e->arg_count; i++) {
        TRY(put(out, " "));
        TRY(sql_print_expression(e->args[i], out));
    }
    return STATUS_OK;
}

static enum status put_call(const struct uexpr *e, struct buffer *out) {
    TRY(put_name(&e->name, out));
    if (e->distinct) TRY(put(out, " distinct"));
    TRY(put_args(e, out));
    if (e->ignore_nulls) TRY(put(out, " ignore-nulls"));
    if (!e->filter) return STATUS_OK;
    TRY(put(out, " (filter "));
    TRY(sql_print_expression(e->filter, out));
    return put(out, ")");
}

static const char *head_of(const struct uexpr *e) {
    switch (e->kind) {
    case U_CAST: return e->cast_try ? "try_cast" : "cast";
    case U_CASE: return e->has_operand ? "case-of" : "case";
    case U_FIELD: return "field";
    case U_SUBSCRIPT: return "item";
    case U_LAMBDA: return "lambda";
    case U_SUBQUERY: return "scalar";
    case U_EXISTS: return "exists";
    case U_IN_SUBQUERY: return "in-query";
    case U_ALIAS: return "as";
    case U_ROW: return "row";
    case U_OVER: return "over";
    case U_PARAMETER: return "parameter";
    case U_DEFAULT: return "default";
    default: return "";
    }
}

enum status sql_print_expression(const struct uexpr *e, struct buffer *out) {
    if (e->kind == U_LITERAL) return put_literal(e, out);
    if (e->kind == U_NAME) return put_name(&e->name, out);
    if (e->kind == U_STAR) {
        TRY(put_name(&e->name, out));
        TRY(put(out, e->name.part_count ? ".*" : "*"));
        return e->name_count ? put_names(e->names, e->name_count, out) : STATUS_OK;
    }
    TRY(put(out, "("));
    if (e->kind == U_CALL) {
        TRY(put_call(e, out));
        return put(out, ")");
    }
    TRY(put(out, head_of(e)));
    if (e->kind == U_LAMBDA) {
        TRY(put(out, " "));
        TRY(put_names(e->names, e->name_count, out));
    }
    TRY(put_args(e, out));
    if (e->kind == U_CAST) {
        TRY(put(out, " "));
        TRY(type_print(e->type, out));
    }
    if (e->has_else) TRY(put(out, " else"));
    if (e->field) TRY(buffer_printf(out, " %s", e->field));
    if (e->kind == U_ALIAS) {
        TRY(put(out, " "));
        TRY(e->name_count == 1 ? put(out, e->names[0]) : put_names(e->names, e->name_count, out));
    }
    if (e->query) {
        TRY(put(out, " "));
        TRY(sql_print_query(e->query, out));
    }
    return put(out, ")");
}

static enum status put_options(const char *word, const struct uoption *options, uint32_t count, struct buffer *out) {
    if (!count) return STATUS_OK;
    TRY(buffer_printf(out, " (%s", word));
    for (uint32_t i = 0; i < count; i++) TRY(buffer_printf(out, " %s='%s'", options[i].key, options[i].value));
    return put(out, ")");
}

static enum status put_relation(const struct urelation *r, struct buffer *out);

static enum status put_join(const struct urelation *r, struct buffer *out) {
    static const char *const words[] = {"inner", "left", "right", "full", "semi", "anti", "cross"};
    TRY(buffer_printf(out, "%s%s%s ", r->natural ? "natural-" : "", r->lateral ? "lateral-" : "", words[r->join]));
    TRY(put_relation(r->left, out));
    TRY(put(out, " "));
    TRY(put_relation(r->right, out));
    if (r->condition) {
        TRY(put(out, " "));
        TRY(sql_print_expression(r->condition, out));
    }
    if (!r->using_count) return STATUS_OK;
    TRY(put(out, " using "));
    return put_names(r->using_names, r->using_count, out);
}

static enum status put_values(const struct urelation *r, struct buffer *out) {
    TRY(put(out, "values"));
    for (uint32_t i = 0; i < r->row_count; i++) {
        TRY(put(out, " ("));
        for (uint32_t k = 0; k < r->row_width; k++) {
            if (k) TRY(put(out, " "));
            TRY(sql_print_expression(r->rows[i][k], out));
        }
        TRY(put(out, ")"));
    }
    return STATUS_OK;
}

static enum status put_relation_body(const struct urelation *r, struct buffer *out) {
    switch (r->kind) {
    case UREL_TABLE:
        TRY(put(out, r->stream ? "stream " : "table "));
        return put_name(&r->name, out);
    case UREL_QUERY: return sql_print_query(r->query, out);
    case UREL_VALUES: return put_values(r, out);
    case UREL_JOIN: return put_join(r, out);
    case UREL_FUNCTION:
        TRY(put(out, r->stream ? "stream-call " : "call "));
        return sql_print_expression(r->call, out);
    default:
        TRY(put(out, r->outer ? "lateral-view-outer " : "lateral-view "));
        TRY(put_relation(r->left, out));
        TRY(put(out, " "));
        return sql_print_expression(r->call, out);
    }
}

static enum status put_relation(const struct urelation *r, struct buffer *out) {
    TRY(put(out, "("));
    TRY(put_relation_body(r, out));
    TRY(put_options("with", r->options, r->option_count, out));
    if (r->watermark) {
        TRY(put(out, " (watermark "));
        TRY(sql_print_expression(r->watermark->expr, out));
        TRY(buffer_printf(out, " %d %lld)", r->watermark->delay_months, (long long)r->watermark->delay_us));
    }
    if (r->alias) TRY(buffer_printf(out, " as %s", r->alias));
    if (r->column_alias_count) TRY(put_names(r->column_aliases, r->column_alias_count, out));
    return put(out, ")");
}

static enum status put_clause(const char *word, const struct uexpr *e, struct buffer *out) {
    if (!e) return STATUS_OK;
    TRY(buffer_printf(out, " (%s ", word));
    TRY(sql_print_expression(e, out));
    return put(out, ")");
}

static enum status put_select(const struct uquery *q, struct buffer *out) {
    TRY(put(out, q->distinct ? "select-distinct" : "select"));
    for (uint32_t i = 0; i < q->item_count; i++) {
        TRY(put(out, " "));
        TRY(sql_print_expression(q->items[i], out));
    }
    if (q->from) {
        TRY(put(out, " (from "));
        TRY(put_relation(q->from, out));
        TRY(put(out, ")"));
    }
    TRY(put_clause("where", q->where, out));
    if (q->group_all) TRY(put(out, " (group all)"));
    if (q->group_count) {
        TRY(put(out, " (group"));
        for (uint32_t i = 0; i < q->group_count; i++) {
            TRY(put(out, " "));
            TRY(sql_print_expression(q->group_by[i], out));
        }
        TRY(put(out, ")"));
    }
    return put_clause("having", q->having, out);
}

enum status sql_print_query(const struct uquery *q, struct buffer *out) {
    static const char *const sets[] = {"union", "except", "intersect"};
    TRY(put(out, "("));
    for (uint32_t i = 0; i < q->cte_count; i++) {
        TRY(buffer_printf(out, "(with %s", q->ctes[i].name));
        if (q->ctes[i].column_count) TRY(put_names(q->ctes[i].column_names, q->ctes[i].column_count, out));
        TRY(put(out, " "));
        TRY(sql_print_query(q->ctes[i].query, out));
        TRY(put(out, ") "));
    }
    if (q->kind == UQUERY_SELECT) {
        TRY(put_select(q, out));
    } else if (q->kind == UQUERY_SET) {
        TRY(buffer_printf(out, "%s%s ", sets[q->set], q->set_all ? "-all" : ""));
        TRY(sql_print_query(q->left, out));
        TRY(put(out, " "));
        TRY(sql_print_query(q->right, out));
    } else {
        TRY(put_relation(q->relation, out));
    }
    if (q->order_count) TRY(put_sorts("order", q->order, q->order_count, out));
    TRY(put_clause("limit", q->limit, out));
    TRY(put_clause("offset", q->offset, out));
    return put(out, ")");
}

static enum status put_columns(const struct ustatement *s, struct buffer *out) {
    if (!s->column_count) return STATUS_OK;
    TRY(put(out, " (columns"));
    for (uint32_t i = 0; i < s->column_count; i++) {
        TRY(buffer_printf(out, " (%s", s->columns[i].name));
        if (s->columns[i].type) {
            TRY(put(out, " "));
            TRY(type_print(s->columns[i].type, out));
        }
        TRY(put(out, s->columns[i].not_null ? " not-null)" : ")"));
    }
    return put(out, ")");
}

static enum status put_text(const char *word, const char *text, struct buffer *out) { return text ? buffer_printf(out, " (%s '%s')", word, text) : STATUS_OK; }

static enum status put_statement_body(const struct ustatement *s, struct buffer *out) {
    if (s->or_replace) TRY(put(out, " or-replace"));
    if (s->if_not_exists) TRY(put(out, " if-not-exists"));
    if (s->temporary) TRY(put(out, " temporary"));
    if (s->if_exists) TRY(put(out, " if-exists"));
    if (s->extended) TRY(put(out, " extended"));
    if (s->name.part_count) {
        TRY(put(out, " "));
        TRY(put_name(&s->name, out));
    }
    TRY(put_columns(s, out));
    TRY(put_text("using", s->provider, out));
    TRY(put_options("options", s->options, s->option_count, out));
    TRY(put_options("properties", s->properties, s->property_count, out));
    TRY(put_text("comment", s->comment, out));
    TRY(put_text("location", s->location, out));
    if (s->partition_column_count) {
        TRY(put(out, " (partitioned "));
        TRY(put_names(s->partition_columns, s->partition_column_count, out));
        TRY(put(out, ")"));
    }
    if (s->target.part_count) {
        TRY(put(out, s->overwrite ? " overwrite " : " into "));
        TRY(put_name(&s->target, out));
    }
    if (s->by_name) TRY(put(out, " by-name"));
    if (s->insert_column_count) TRY(put_names(s->insert_columns, s->insert_column_count, out));
    TRY(put_text("key", s->key, out));
    TRY(put_text("value", s->value, out));
    return put_text("like", s->pattern, out);
}

enum status sql_print_statement(const struct ustatement *s, struct buffer *out) {
    static const char *const words[] = {"create-table", "create-view", "create-streaming-table", "create-materialized-view", "create-flow", "set", "query",
                                        "insert", "explain", "describe", "show-tables", "show-functions", "drop", "use"};
    TRY(buffer_printf(out, "(%s", words[s->kind]));
    if (s->kind == USTATEMENT_DROP) TRY(put(out, s->drops_view ? "-view" : "-table"));
    TRY(put_statement_body(s, out));
    TRY(put(out, s->explained || s->query ? " " : ""));
    if (s->explained) TRY(sql_print_statement(s->explained, out));
    else if (s->query) TRY(sql_print_query(s->query, out));
    return put(out, ")");
}
