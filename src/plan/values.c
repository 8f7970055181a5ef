// SPDX-License-Identifier: Apache-2.0
// values.c: VALUES (…), (…). Rows of constants become columns at once; a row with something that is drawn per row or epoch (uuid(),
// current_timestamp()) makes the whole list a union of one-row projections.
#include "expr/coerce.h"
#include "expr/program.h"
#include "plan/resolver.h"

struct table {
    struct expr **cells;         // row by row
    uint32_t row_count, width;
    const struct type **types;
    const char **names;
    bool constant;
};

static enum status resolve_cells(struct resolver *r, const struct urelation *u, struct expr_context *outer, struct table *t) {
    struct expr_context c = {.resolver = r, .outer = outer, .clause = "VALUES"};
    enum status worst = STATUS_OK;
    t->constant = true;
    for (uint32_t i = 0; i < u->row_count; i++) {
        for (uint32_t k = 0; k < u->row_width; k++) {
            struct expr **cell = &t->cells[(size_t)i * u->row_width + k];
            const char *name;
            enum status s = resolve_expr(&c, u->rows[i][k], cell, &name);
            if (s == STATUS_NO_MEMORY) return s;
            if (s != STATUS_OK) {
                worst = s;
                continue;
            }
            if (expr_draws(*cell)) {
                worst = complain(r, (struct complaint){.span = u->rows[i][k]->span, .label = "drawn anew for each row",
                                 .condition = "INVALID_INLINE_TABLE.CANNOT_EVALUATE_EXPRESSION_IN_INLINE_TABLE"}, "VALUES takes constants only");
                continue;
            }
            if (!expr_is_constant(*cell)) t->constant = false;
            const struct type *met = t->types[k] ? coerce_tightest_common(r->arena, t->types[k], (*cell)->type) : (*cell)->type;
            if (!met) {
                worst = complain(r, (struct complaint){.span = u->rows[i][k]->span, .condition = "INVALID_INLINE_TABLE.INCOMPATIBLE_TYPES_IN_INLINE_TABLE",
                                 .label = type_name_sql(r->arena, (*cell)->type)}, "column %u of VALUES has rows of different types: %s and %s", k + 1,
                                 type_name_sql(r->arena, t->types[k]), type_name_sql(r->arena, (*cell)->type));
                continue;
            }
            t->types[k] = met;
        }
    }
    return worst;
}

static enum status cast_cells(struct resolver *r, struct table *t) {
    for (size_t i = 0; i < (size_t)t->row_count * t->width; i++)
        if (!(t->cells[i] = expr_cast(r->arena, t->cells[i], t->types[i % t->width], CAST_IMPLICIT))) return STATUS_NO_MEMORY;
    return STATUS_OK;
}

static enum status fold_columns(struct resolver *r, struct table *t, struct plan_node *n) {
    n->values = arena_alloc_array(r->arena, t->width ? t->width : 1, sizeof *n->values);
    if (!n->values) return STATUS_NO_MEMORY;
    for (uint32_t k = 0; k < t->width; k++) {
        struct column_builder b;
        column_builder_init(&b, r->arena, t->types[k]);
        bool nullable = false;
        for (uint32_t i = 0; i < t->row_count; i++) {
            struct expr *cell = t->cells[(size_t)i * t->width + k];
            const struct column *value = cell->kind == EXPR_LITERAL ? cell->literal : NULL;
            struct error e;
            error_clear(&e);
            enum status s = value ? STATUS_OK : program_fold(r->arena, r->analysis->session, cell, &value, &e);
            if (s != STATUS_OK) return complain_error(r, &e, cell->span);
            nullable |= !column_is_valid(value, 0);
            column_builder_append_from(&b, value, 0);
        }
        TRY(column_builder_finish(&b, &n->values[k]));
        n->attributes[k] = (struct attribute){.name = t->names[k], .type = t->types[k], .nullable = nullable};
    }
    n->value_row_count = t->row_count;
    return STATUS_OK;
}

static enum status union_of_rows(struct resolver *r, const struct table *t, struct plan_node **out) {
    struct plan_node *n = plan_new(r->arena, PLAN_UNION, t->row_count, t->width);
    if (!n) return STATUS_NO_MEMORY;
    n->all = true;
    for (uint32_t i = 0; i < t->row_count; i++) {
        struct plan_node *one = plan_new(r->arena, PLAN_VALUES, 0, 0);
        if (!one) return STATUS_NO_MEMORY;
        one->value_row_count = 1;
        if (!(n->inputs[i] = plan_project(r->arena, one, t->cells + (size_t)i * t->width, t->names, t->width))) return STATUS_NO_MEMORY;
        for (uint32_t k = 0; k < t->width; k++) {
            bool nullable = n->attributes[k].nullable;
            n->attributes[k] = n->inputs[i]->attributes[k];
            n->attributes[k].nullable |= nullable;
        }
    }
    *out = t->row_count == 1 ? n->inputs[0] : n;
    return STATUS_OK;
}

enum status resolve_values(struct resolver *r, const struct urelation *u, struct expr_context *outer, struct relation *out) {
    struct table t = {.row_count = u->row_count, .width = u->row_width};
    t.cells = arena_alloc_array(r->arena, (size_t)t.row_count * t.width + 1, sizeof *t.cells);
    t.types = arena_alloc_array(r->arena, (size_t)t.width + 1, sizeof *t.types);
    t.names = arena_alloc_array(r->arena, (size_t)t.width + 1, sizeof *t.names);
    if (!t.cells || !t.types || !t.names) return STATUS_NO_MEMORY;
    for (uint32_t k = 0; k < t.width; k++)
        if (!(t.names[k] = arena_printf(r->arena, "col%u", k + 1))) return STATUS_NO_MEMORY;
    TRY(resolve_cells(r, u, outer, &t));
    TRY(cast_cells(r, &t));
    struct plan_node *n = plan_new(r->arena, PLAN_VALUES, 0, t.width);
    if (!n) return STATUS_NO_MEMORY;
    TRY(t.constant ? fold_columns(r, &t, n) : union_of_rows(r, &t, &n));
    n->span = u->span;
    return relation_of(r->arena, n, NULL, out) ? STATUS_OK : STATUS_NO_MEMORY;
}
