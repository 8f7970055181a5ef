// SPDX-License-Identifier: Apache-2.0
// set_operation.c: UNION, EXCEPT, INTERSECT. Columns meet by position; types are widened to one both can be cast to; names are the first
// query's. A chain of the same UNION is one node with many inputs, so that a long one does not nest.
#include "expr/coerce.h"
#include "plan/resolver.h"

static bool continues(const struct uquery *q, const struct uquery *left) {
    return q->set == USET_UNION && left->kind == UQUERY_SET && left->set == USET_UNION && left->set_all == q->set_all && !left->order_count && !left->limit &&
           !left->offset && !left->cte_count;
}

static enum status resolve_operands(struct resolver *r, const struct uquery *q, struct expr_context *outer, struct relation **out, uint32_t *count) {
    *count = 2;
    for (const struct uquery *at = q; continues(at, at->left); at = at->left) (*count)++;
    *out = arena_alloc_array(r->arena, *count, sizeof **out);
    if (!*out) return STATUS_NO_MEMORY;
    enum status worst = STATUS_OK;
    const struct uquery *at = q;
    for (uint32_t i = *count; i-- > 0;) {
        const struct uquery *operand = i ? at->right : at->left;
        enum status s = resolve_query(r, operand, outer, &(*out)[i]);
        if (s != STATUS_OK) worst = s;
        if (i > 1) at = at->left;
    }
    return worst;
}

static const char *word_of(const struct uquery *q) { return q->set == USET_UNION ? "UNION" : q->set == USET_EXCEPT ? "EXCEPT" : "INTERSECT"; }

// `t` with the field names of `like`, where both are nested alike; else t itself. A set operation matches fields by their position.
static const struct type *named_like(struct arena *a, const struct type *t, const struct type *like) {
    bool nested = t->id == TYPE_STRUCT || t->id == TYPE_ARRAY || t->id == TYPE_MAP;
    if (!nested || t->id != like->id || t->field_count != like->field_count) return t;
    struct field *fields = arena_alloc_array(a, (size_t)t->field_count + 1, sizeof *fields);
    if (!fields) return NULL;
    for (uint32_t i = 0; i < t->field_count; i++) {
        fields[i] = t->fields[i];
        fields[i].name = like->fields[i].name;
        if (!(fields[i].type = named_like(a, t->fields[i].type, like->fields[i].type))) return NULL;
    }
    if (t->id == TYPE_STRUCT) return type_struct(a, fields, t->field_count);
    if (t->id == TYPE_ARRAY) return type_array(a, fields[0].type, fields[0].nullable);
    return type_map(a, fields[0].type, fields[1].type, fields[1].nullable);
}

static enum status common_types(struct resolver *r, const struct uquery *q, struct relation *operands, uint32_t count, const struct type **types) {
    uint32_t width = operands[0].node->attribute_count;
    for (uint32_t i = 1; i < count; i++)
        if (operands[i].node->attribute_count != width)
            return complain(r, (struct complaint){.span = span_known(q->right->span) ? q->right->span : q->span, .condition = "NUM_COLUMNS_MISMATCH", .hint = "columns meet by their position: fill up the shorter one with NULL",
                            .label = arena_printf(r->arena, "%u columns", operands[i].node->attribute_count)},
                            "%s needs queries with the same number of columns: the first has %u, another %u", word_of(q), width, operands[i].node->attribute_count);
    for (uint32_t k = 0; k < width; k++) {
        types[k] = operands[0].node->attributes[k].type;
        for (uint32_t i = 1; i < count; i++) {
            const struct type *other = named_like(r->arena, operands[i].node->attributes[k].type, types[k]);
            if (!other) return STATUS_NO_MEMORY;
            const struct type *met = coerce_common(r->arena, types[k], other);
            if (!met)
                return complain(r, (struct complaint){.span = q->span, .condition = "INCOMPATIBLE_COLUMN_TYPE"}, "column %u of %s is %s in one query and %s in another", k + 1,
                                word_of(q), type_name_sql(r->arena, types[k]), type_name_sql(r->arena, operands[i].node->attributes[k].type));
            types[k] = met;
        }
        if (!(q->set == USET_UNION && q->set_all) && !type_is_orderable(types[k]))
            return complain(r, (struct complaint){.span = q->span, .condition = "UNSUPPORTED_FEATURE.SET_OPERATION_ON_MAP_TYPE"},
                            "%s cannot compare column %u, which has a MAP in it", word_of(q), k + 1);
    }
    return STATUS_OK;
}

static enum status cast_operand(struct resolver *r, struct plan_node **node, const struct type *const *types) {
    uint32_t width = (*node)->attribute_count;
    bool same = true;
    struct expr **exprs = arena_alloc_array(r->arena, (size_t)width + 1, sizeof *exprs);
    const char **names = arena_alloc_array(r->arena, (size_t)width + 1, sizeof *names);
    if (!exprs || !names) return STATUS_NO_MEMORY;
    for (uint32_t k = 0; k < width; k++) {
        struct expr *column = expr_of_attribute(r->arena, *node, k);
        if (!column || !(exprs[k] = expr_cast(r->arena, column, types[k], CAST_IMPLICIT))) return STATUS_NO_MEMORY;
        names[k] = (*node)->attributes[k].name;
        same &= exprs[k] == column;
    }
    if (same) return STATUS_OK;
    return (*node = plan_project(r->arena, *node, exprs, names, width)) ? STATUS_OK : STATUS_NO_MEMORY;
}

static enum status set_attributes(struct resolver *r, struct plan_node *n, bool left_only) {
    for (uint32_t k = 0; k < n->attribute_count; k++) {
        struct attribute *at = &n->attributes[k];
        *at = n->inputs[0]->attributes[k];
        at->qualifier = NULL;
        for (uint32_t i = 1; i < n->input_count; i++) {
            const struct attribute *other = &n->inputs[i]->attributes[k];
            if (!left_only) at->nullable |= other->nullable;
            struct lineage so_far = at->lineage;
            TRY(lineage_union(r->arena, &so_far, &other->lineage, &at->lineage));
        }
    }
    return STATUS_OK;
}

enum status resolve_set_operation(struct resolver *r, const struct uquery *q, struct expr_context *outer, struct relation *out) {
    struct relation *operands;
    uint32_t count;
    TRY(resolve_operands(r, q, outer, &operands, &count));
    uint32_t width = operands[0].node->attribute_count;
    const struct type **types = arena_alloc_array(r->arena, (size_t)width + 1, sizeof *types);
    if (!types) return STATUS_NO_MEMORY;
    TRY(common_types(r, q, operands, count, types));
    enum plan_kind kind = q->set == USET_UNION ? PLAN_UNION : q->set == USET_EXCEPT ? PLAN_EXCEPT : PLAN_INTERSECT;
    struct plan_node *n = plan_new(r->arena, kind, count, width);
    if (!n) return STATUS_NO_MEMORY;
    n->span = q->span;
    n->all = q->set_all;
    for (uint32_t i = 0; i < count; i++) {
        TRY(cast_operand(r, &operands[i].node, types));
        n->inputs[i] = operands[i].node;
        n->streaming |= operands[i].node->streaming;
    }
    TRY(set_attributes(r, n, q->set == USET_EXCEPT));
    if (kind == PLAN_UNION && !q->set_all && !(n = plan_distinct(r->arena, n))) return STATUS_NO_MEMORY;
    n->span = q->span;
    if (!relation_of(r->arena, n, NULL, out)) return STATUS_NO_MEMORY;
    return resolve_order(r, q, outer, out);
}
