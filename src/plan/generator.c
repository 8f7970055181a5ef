// SPDX-License-Identifier: Apache-2.0
// generator.c: functions that make rows (explode and its family): in the SELECT list, in LATERAL VIEW and in FROM. Each becomes a GENERATE
// node whose columns follow the input's.
#include "expr/coerce.h"
#include "plan/resolver.h"

struct generator_word {
    const char *name;
    enum generator_kind kind;
    bool outer;
};
static const struct generator_word generator_words[] = {
    {"explode", GENERATE_EXPLODE, false},       {"explode_outer", GENERATE_EXPLODE, true}, {"posexplode", GENERATE_POSEXPLODE, false},
    {"posexplode_outer", GENERATE_POSEXPLODE, true}, {"inline", GENERATE_INLINE, false},   {"inline_outer", GENERATE_INLINE, true},
    {"stack", GENERATE_STACK, false},           {"json_tuple", GENERATE_JSON_TUPLE, false},
};

static const struct generator_word *find_generator(const struct uexpr *u) {
    for (size_t i = 0; i < sizeof generator_words / sizeof *generator_words; i++)
        if (operator_is(u, generator_words[i].name)) return &generator_words[i];
    return NULL;
}

bool is_generator(const struct uexpr *u) { return u->kind == U_CALL && find_generator(u) != NULL; }

struct outputs {
    struct attribute *items;
    uint32_t count;
};

static bool add_output(struct outputs *o, const char *name, const struct type *type, bool nullable) {
    if (!name) return false;
    o->items[o->count++] = (struct attribute){.name = name, .type = type, .nullable = nullable};
    return true;
}

static enum status complain_type(struct resolver *r, const struct uexpr *u, const struct expr *arg, const char *wanted) {
    return complain(r, (struct complaint){.span = u->span, .condition = "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE", .label = type_name_sql(r->arena, arg->type)},
                    "`%s` needs %s, not %s", u->name.parts[0], wanted, type_name_sql(r->arena, arg->type));
}

static enum status stack_outputs(struct resolver *r, const struct uexpr *u, struct expr **args, uint32_t count, struct outputs *o) {
    const struct expr *rows = args[0];
    if (rows->kind != EXPR_LITERAL || rows->type->id != TYPE_INT || !column_is_valid(rows->literal, 0))
        return complain(r, (struct complaint){.span = u->span, .condition = "DATATYPE_MISMATCH.NON_FOLDABLE_INPUT"}, "the first argument of `stack` must be a number");
    if (column_int32(rows->literal, 0) <= 0)
        return complain(r, (struct complaint){.span = u->span, .condition = "DATATYPE_MISMATCH.VALUE_OUT_OF_RANGE"}, "the first argument of `stack` must be above 0");
    uint32_t row_count = (uint32_t)column_int32(rows->literal, 0);
    uint32_t width = (count - 1 + row_count - 1) / row_count;
    for (uint32_t k = 0; k < width; k++) {
        const struct type *type = NULL;
        for (uint32_t i = 1 + k; i < count; i += width) {
            type = type ? coerce_tightest_common(r->arena, type, args[i]->type) : args[i]->type;
            if (!type) return complain(r, (struct complaint){.span = u->span, .condition = "DATATYPE_MISMATCH.STACK_COLUMN_DIFF_TYPES"}, "column %u of `stack` has values of different types", k);
        }
        for (uint32_t i = 1 + k; i < count; i += width)
            if (!(args[i] = expr_cast(r->arena, args[i], type, CAST_IMPLICIT))) return STATUS_NO_MEMORY;
        if (!add_output(o, arena_printf(r->arena, "col%u", k), type, true)) return STATUS_NO_MEMORY;
    }
    return STATUS_OK;
}

static enum status outputs_of(struct resolver *r, const struct uexpr *u, const struct generator_word *g, bool outer, struct expr **args, uint32_t count,
                              struct outputs *o) {
    const struct type *t = count ? args[0]->type : &type_null;
    switch (g->kind) {
    case GENERATE_POSEXPLODE:
        if (!add_output(o, "pos", &type_int, outer)) return STATUS_NO_MEMORY;
        __attribute__((fallthrough));
    case GENERATE_EXPLODE:
        if (t->id == TYPE_ARRAY) return add_output(o, "col", t->fields[0].type, outer || t->fields[0].nullable) ? STATUS_OK : STATUS_NO_MEMORY;
        if (t->id != TYPE_MAP) return complain_type(r, u, args[0], "an ARRAY or a MAP");
        (void)add_output(o, "key", t->fields[0].type, outer);
        (void)add_output(o, "value", t->fields[1].type, outer || t->fields[1].nullable);
        return STATUS_OK;
    case GENERATE_INLINE:
        if (t->id != TYPE_ARRAY || t->fields[0].type->id != TYPE_STRUCT) return complain_type(r, u, args[0], "an ARRAY of STRUCT");
        for (uint32_t i = 0; i < t->fields[0].type->field_count; i++) {
            const struct field *f = &t->fields[0].type->fields[i];
            (void)add_output(o, f->name, f->type, outer || f->nullable || t->fields[0].nullable);
        }
        return STATUS_OK;
    case GENERATE_STACK:
        return stack_outputs(r, u, args, count, o);
    default:
        for (uint32_t i = 1; i < count; i++)
            if (!add_output(o, arena_printf(r->arena, "c%u", i - 1), &type_string, true)) return STATUS_NO_MEMORY;
        return STATUS_OK;
    }
}

static uint32_t most_outputs(const struct expr *const *args, uint32_t count) {
    uint32_t fields = 0;
    if (count && args[0]->type->id == TYPE_ARRAY && args[0]->type->fields[0].type->id == TYPE_STRUCT) fields = args[0]->type->fields[0].type->field_count;
    return fields + count + 4;
}

enum status resolve_generator(struct expr_context *c, const struct uexpr *call, bool outer, uint32_t *first, uint32_t *count) {
    struct resolver *r = c->resolver;
    const struct generator_word *g = find_generator(call);
    bool one = g->kind == GENERATE_EXPLODE || g->kind == GENERATE_POSEXPLODE || g->kind == GENERATE_INLINE;
    if (one ? call->arg_count != 1 : call->arg_count < 2)
        return complain(r, (struct complaint){.span = call->span, .condition = "WRONG_NUM_ARGS.WITHOUT_SUGGESTION"}, "`%s` takes %s, not %u", g->name,
                        one ? "1 argument" : "2 or more arguments", call->arg_count);
    struct expr **args = arena_alloc_array(r->arena, call->arg_count, sizeof *args);
    if (!args) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < call->arg_count; i++) {
        const char *name;
        TRY(resolve_expr(c, call->args[i], &args[i], &name));
        if (g->kind == GENERATE_JSON_TUPLE && args[i]->type->id != TYPE_STRING)
            return complain(r, (struct complaint){.span = call->args[i]->span, .condition = "DATATYPE_MISMATCH.NON_STRING_TYPE"}, "the arguments of json_tuple must be STRING, not %s",
                            type_name_sql(r->arena, args[i]->type));
    }
    outer |= g->outer;
    struct outputs o = {.count = 0};
    o.items = arena_alloc_array(r->arena, most_outputs((const struct expr *const *)args, call->arg_count), sizeof *o.items);
    if (!o.items) return STATUS_NO_MEMORY;
    TRY(outputs_of(r, call, g, outer, args, call->arg_count, &o));
    struct plan_node *input = c->input->node;
    struct plan_node *n = plan_new(r->arena, PLAN_GENERATE, 1, input->attribute_count + o.count);
    if (!n) return STATUS_NO_MEMORY;
    n->inputs[0] = input;
    n->streaming = input->streaming;
    n->span = call->span;
    n->generator = g->kind;
    n->outer = outer;
    n->exprs = args;
    n->expr_count = call->arg_count;
    if (input->attribute_count) memcpy(n->attributes, input->attributes, input->attribute_count * sizeof *n->attributes);
    struct lineage lineage = {.labels = 0};
    for (uint32_t i = 0; i < call->arg_count; i++) {
        struct lineage one_argument, so_far = lineage;
        TRY(lineage_of_expr(r->arena, args[i], n->inputs, 1, &one_argument));
        TRY(lineage_union(r->arena, &so_far, &one_argument, &lineage));
    }
    for (uint32_t i = 0; i < o.count; i++) {
        o.items[i].lineage = lineage;
        n->attributes[input->attribute_count + i] = o.items[i];
    }
    c->input->node = n;
    *first = input->attribute_count;
    *count = o.count;
    return STATUS_OK;
}
