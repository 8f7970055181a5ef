// SPDX-License-Identifier: Apache-2.0
// resolve_relation.c: FROM items → a node and the names of its columns. Joins keep the order of names apart from the order of columns:
// JOIN … USING (k) shows k once, first, and hides the other side's k behind its table's name.
#include "plan/resolver.h"

// --- aliases ---

enum status apply_alias(struct resolver *r, const struct urelation *u, struct relation *relation) {
    if (!u->alias && !u->column_alias_count) return STATUS_OK;
    uint32_t shown = 0;
    for (uint32_t i = 0; i < relation->column_count; i++) shown += !relation->columns[i].hidden && !relation->columns[i].generated;
    if (u->column_alias_count && u->column_alias_count != shown)
        return complain(r, (struct complaint){.span = span_known(u->alias_span) ? u->alias_span : u->span, .label = "another number of columns",
                        .condition = u->kind == UREL_VALUES ? "INVALID_INLINE_TABLE.NUM_COLUMNS_MISMATCH" : "NUM_TABLE_VALUE_ALIASES_MISMATCH"}, "%u column names are given for %u columns", u->column_alias_count, shown);
    struct scope_column *columns = arena_alloc_array(r->arena, (size_t)shown + 1, sizeof *columns);
    if (!columns) return STATUS_NO_MEMORY;
    uint32_t n = 0;
    for (uint32_t i = 0; i < relation->column_count; i++) {
        if (relation->columns[i].hidden || relation->columns[i].generated) continue;
        columns[n] = relation->columns[i];
        if (u->alias) columns[n].qualifier = u->alias;
        if (u->column_alias_count) columns[n].name = u->column_aliases[n];
        n++;
    }
    relation->columns = columns;
    relation->column_count = n;
    return STATUS_OK;
}

// --- joins ---

static enum join_kind join_of(enum ujoin_kind kind, bool has_condition) {
    static const enum join_kind kinds[] = {[UJOIN_INNER] = JOIN_INNER, [UJOIN_LEFT] = JOIN_LEFT,   [UJOIN_RIGHT] = JOIN_RIGHT, [UJOIN_FULL] = JOIN_FULL,
                                           [UJOIN_SEMI] = JOIN_SEMI,   [UJOIN_ANTI] = JOIN_ANTI, [UJOIN_CROSS] = JOIN_CROSS};
    if ((kind == UJOIN_INNER || kind == UJOIN_CROSS)) return has_condition ? JOIN_INNER : JOIN_CROSS;
    return kinds[kind];
}

static bool left_only(enum join_kind k) { return k == JOIN_SEMI || k == JOIN_ANTI || k == JOIN_NULL_AWARE_ANTI; }

static struct plan_node *make_join(struct arena *a, enum join_kind kind, struct plan_node *left, struct plan_node *right) {
    uint32_t count = left->attribute_count + (left_only(kind) ? 0 : right->attribute_count);
    struct plan_node *n = plan_new(a, PLAN_JOIN, 2, count);
    if (!n) return NULL;
    n->join = kind;
    n->inputs[0] = left;
    n->inputs[1] = right;
    n->streaming = left->streaming || right->streaming;
    for (uint32_t i = 0; i < count; i++) {
        bool of_left = i < left->attribute_count;
        n->attributes[i] = of_left ? left->attributes[i] : right->attributes[i - left->attribute_count];
        if (of_left ? kind == JOIN_RIGHT || kind == JOIN_FULL : kind == JOIN_LEFT || kind == JOIN_FULL) n->attributes[i].nullable = true;
    }
    return n;
}

bool names_of_both(struct arena *a, const struct relation *left, const struct relation *right, struct relation *out) {
    uint32_t width = left->node->attribute_count;
    out->column_count = left->column_count + right->column_count;
    out->columns = arena_alloc_array(a, (size_t)out->column_count + 1, sizeof *out->columns);
    if (!out->columns) return false;
    if (left->column_count) memcpy(out->columns, left->columns, left->column_count * sizeof *out->columns);
    for (uint32_t i = 0; i < right->column_count; i++) {
        out->columns[left->column_count + i] = right->columns[i];
        out->columns[left->column_count + i].ordinal += width;
    }
    return true;
}

struct key_pair {
    struct expr *left, *right;   // right over the right input's own ordinals
};

static bool equal_pair(struct arena *a, const struct expr *e, uint32_t left_width, struct key_pair *out) {
    if (e->kind != EXPR_CALL || strcmp(e->call.function->name, "=") != 0 || e->arg_count != 2 || expr_draws(e)) return false;
    uint32_t first[2], end[2];
    for (int i = 0; i < 2; i++)
        if (!expr_column_range(e->args[i], &first[i], &end[i]) || expr_has_kind(e->args[i], EXPR_OUTER)) return false;
    int left = end[0] <= left_width && first[1] >= left_width ? 0 : end[1] <= left_width && first[0] >= left_width ? 1 : -1;
    if (left < 0) return false;
    out->left = e->args[left];
    out->right = expr_shift(a, e->args[1 - left], -(int64_t)left_width);
    return out->right != NULL;
}

enum status join_keys(struct arena *a, struct plan_node *join) {
    uint32_t count;
    struct expr **parts = conjuncts_of(a, join->condition, &count);
    size_t room = (size_t)count + join->join_key_count + 1;
    struct expr **left = arena_alloc_array(a, room, sizeof *left), **right = arena_alloc_array(a, room, sizeof *right);
    if (!parts || !left || !right) return STATUS_NO_MEMORY;
    uint32_t keys = join->join_key_count;
    for (uint32_t i = 0; i < keys; i++) {
        left[i] = join->left_keys[i];
        right[i] = join->right_keys[i];
    }
    struct expr *rest = NULL;
    for (uint32_t i = 0; i < count; i++) {
        struct key_pair pair;
        if (equal_pair(a, parts[i], join->inputs[0]->attribute_count, &pair)) {
            left[keys] = pair.left;
            right[keys++] = pair.right;
        } else if (!(rest = expr_and(a, rest, parts[i]))) {
            return STATUS_NO_MEMORY;
        }
    }
    join->condition = rest;
    join->left_keys = left;
    join->right_keys = right;
    join->join_key_count = keys;
    return STATUS_OK;
}

static const struct scope_column *find_key(const struct relation *relation, const char *name) {
    for (uint32_t i = 0; i < relation->column_count; i++)
        if (!relation->columns[i].hidden && !relation->columns[i].generated && equal_ignoring_case(relation->columns[i].name, name)) return &relation->columns[i];
    return NULL;
}

static enum status using_names(struct resolver *r, const struct urelation *u, const struct relation *left, const struct relation *right, const char ***names,
                               uint32_t *count) {
    *names = u->using_names;
    *count = u->using_count;
    if (u->natural) {
        *count = 0;
        *names = arena_alloc_array(r->arena, (size_t)left->column_count + 1, sizeof **names);
        if (!*names) return STATUS_NO_MEMORY;
        for (uint32_t i = 0; i < left->column_count; i++) {
            const struct scope_column *c = &left->columns[i];
            if (!c->hidden && !c->generated && find_key(right, c->name)) (*names)[(*count)++] = c->name;
        }
    }
    for (uint32_t i = 0; i < *count; i++) {
        bool in_left = find_key(left, (*names)[i]) != NULL;
        if (in_left && find_key(right, (*names)[i])) continue;
        return complain(r, (struct complaint){.span = u->span, .condition = "UNRESOLVED_USING_COLUMN_FOR_JOIN", .label = in_left ? "not on the right side" : "not on the left side"},
                        "USING column `%s` is not on both sides of the join", (*names)[i]);
    }
    return STATUS_OK;
}

static enum status equal_columns(struct resolver *r, struct relation *combined, uint32_t left_ordinal, uint32_t right_ordinal, struct plan_node *join,
                                 struct plan_node *left, struct plan_node *right, struct span span) {
    const struct attribute *l = &left->attributes[left_ordinal], *m = &right->attributes[right_ordinal];
    struct expr *args[2] = {expr_column(r->arena, left_ordinal, l->type, l->nullable),
                            expr_column(r->arena, left->attribute_count + right_ordinal, m->type, m->nullable)};
    if (!args[0] || !args[1]) return STATUS_NO_MEMORY;
    args[0]->name = l->name;
    args[1]->name = m->name;
    struct expr *equal;
    (void)combined;
    TRY(call_named(r, "=", args, 2, span, &equal));
    return (join->condition = expr_and(r->arena, join->condition, equal)) ? STATUS_OK : STATUS_NO_MEMORY;
}

// FULL JOIN USING: the key is coalesce(left, right), a column behind the join's own.
static enum status add_coalesced(struct resolver *r, struct relation *relation, const uint32_t (*pairs)[2], uint32_t count, struct span span) {
    uint32_t width = relation->node->attribute_count;
    struct expr **exprs = arena_alloc_array(r->arena, (size_t)width + count, sizeof *exprs);
    const char **names = arena_alloc_array(r->arena, (size_t)width + count, sizeof *names);
    if (!exprs || !names) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < width; i++) {
        if (!(exprs[i] = expr_of_attribute(r->arena, relation->node, i))) return STATUS_NO_MEMORY;
        names[i] = relation->node->attributes[i].name;
    }
    for (uint32_t i = 0; i < count; i++) {
        TRY(call_named(r, "coalesce", (struct expr *[]){exprs[pairs[i][0]], exprs[pairs[i][1]]}, 2, span, &exprs[width + i]));
        names[width + i] = names[pairs[i][0]];
    }
    return (relation->node = plan_project(r->arena, relation->node, exprs, names, width + count)) ? STATUS_OK : STATUS_NO_MEMORY;
}

// Order and visibility of names after USING.
static enum status using_scope(struct resolver *r, const struct urelation *u, enum join_kind kind, const char *const *names, uint32_t count,
                               const struct relation *left, const struct relation *right, struct relation *out) {
    uint32_t width = left->node->attribute_count;
    uint32_t(*pairs)[2] = arena_alloc_array(r->arena, (size_t)count + 1, sizeof *pairs);
    struct scope_column *columns = arena_alloc_array(r->arena, (size_t)out->column_count + count + 1, sizeof *columns);
    if (!pairs || !columns) return STATUS_NO_MEMORY;
    uint32_t n = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct scope_column *l = find_key(left, names[i]), *m = find_key(right, names[i]);
        pairs[i][0] = l->ordinal;
        pairs[i][1] = width + m->ordinal;
        columns[n] = kind == JOIN_RIGHT ? *m : *l;
        if (kind == JOIN_RIGHT) columns[n].ordinal += width;
        if (kind == JOIN_FULL) columns[n] = (struct scope_column){.name = l->name, .ordinal = out->node->attribute_count + i};
        n++;
    }
    for (uint32_t i = 0; i < out->column_count; i++) {
        struct scope_column column = out->columns[i];
        bool drop = left_only(kind) && i >= left->column_count;
        for (uint32_t k = 0; k < count; k++) {
            bool is_left = column.ordinal == pairs[k][0], is_right = column.ordinal == pairs[k][1];
            if (kind == JOIN_FULL ? is_left || is_right : kind == JOIN_RIGHT ? is_left : is_right) column.hidden = true;
            else if (is_left || is_right) drop = true;
        }
        if (!drop) columns[n++] = column;
    }
    out->columns = columns;
    out->column_count = n;
    if (kind == JOIN_FULL) TRY(add_coalesced(r, out, (const uint32_t(*)[2])pairs, count, u->span));
    return STATUS_OK;
}

static bool is_table_generator(const struct urelation *u) { return u->kind == UREL_FUNCTION && u->call && is_generator(u->call); }

// Names of the columns a generator adds to `relation`.
static enum status add_generated_names(struct resolver *r, const struct urelation *u, struct relation *relation, uint32_t first, uint32_t count) {
    if (u->column_alias_count && u->column_alias_count != count)
        return complain(r, (struct complaint){.span = span_known(u->alias_span) ? u->alias_span : u->span,
                        .condition = u->kind == UREL_LATERAL_VIEW ? "UDTF_ALIAS_NUMBER_MISMATCH" : "NUM_TABLE_VALUE_ALIASES_MISMATCH"}, "`%s` makes %u columns, and %u names are given", u->call->name.parts[0], count, u->column_alias_count);
    struct scope_column *columns = arena_alloc_array(r->arena, (size_t)relation->column_count + count, sizeof *columns);
    if (!columns) return STATUS_NO_MEMORY;
    if (relation->column_count) memcpy(columns, relation->columns, relation->column_count * sizeof *columns);
    for (uint32_t i = 0; i < count; i++) {
        struct attribute *at = &relation->node->attributes[first + i];
        if (u->column_alias_count) at->name = u->column_aliases[i];
        at->qualifier = u->alias;
        columns[relation->column_count + i] = (struct scope_column){.name = at->name, .qualifier = u->alias, .ordinal = first + i};
    }
    relation->columns = columns;
    relation->column_count += count;
    return STATUS_OK;
}

static enum status generate_over(struct resolver *r, const struct urelation *u, struct expr_context *outer, struct relation *relation) {
    struct expr_context c = {.resolver = r, .input = relation, .outer = outer, .clause = "LATERAL VIEW"};
    if (!is_generator(u->call))
        return complain(r, (struct complaint){.span = u->call->span, .condition = "UNSUPPORTED_GENERATOR.NOT_GENERATOR", .label = "makes no rows",
                        .hint = "explode, posexplode, inline, stack and json_tuple do"}, "`%s` is not a function that makes rows", name_text(r->arena, &u->call->name));
    uint32_t first, count;
    TRY(resolve_generator(&c, u->call, u->outer, &first, &count));
    return add_generated_names(r, u, relation, first, count);
}

// Both sides. Where every table would grow (a view over files alone), only the side whose rows are all kept does, and the other is read
// whole when the flow starts: two growing sides would be a join of streams.
static enum status resolve_sides(struct resolver *r, const struct urelation *u, struct expr_context *outer, struct relation *left, struct relation *right) {
    bool right_first = u->join == UJOIN_RIGHT;
    enum read_mode mode = r->mode;
    struct relation *first = right_first ? right : left;
    enum status status = resolve_relation(r, right_first ? u->right : u->left, outer, first);
    if (status == STATUS_OK && mode == READ_GROWING && first->node->streaming) r->mode = READ_BATCH;
    enum status second = resolve_relation(r, right_first ? u->left : u->right, outer, right_first ? left : right);
    r->mode = mode;
    TRY(status);
    return second;
}

static enum status resolve_join(struct resolver *r, const struct urelation *u, struct expr_context *outer, struct relation *out) {
    struct relation left, right;
    if (u->lateral) {
        TRY(resolve_relation(r, u->left, outer, &left));
        if (!is_table_generator(u->right)) return resolve_lateral_join(r, u, &left, outer, out);
        *out = left;
        return generate_over(r, u->right, outer, out);
    }
    TRY(resolve_sides(r, u, outer, &left, &right));
    const char **names = NULL;
    uint32_t count = 0;
    TRY(using_names(r, u, &left, &right, &names, &count));
    enum join_kind kind = join_of(u->join, u->condition || count);
    struct plan_node *n = make_join(r->arena, kind, left.node, right.node);
    if (!n || !names_of_both(r->arena, &left, &right, out)) return STATUS_NO_MEMORY;
    n->span = u->span;
    // ON sees both sides even where only the left one comes out.
    struct plan_node *full = left_only(kind) ? make_join(r->arena, JOIN_INNER, left.node, right.node) : n;
    if (!full) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++)
        TRY(equal_columns(r, out, find_key(&left, names[i])->ordinal, find_key(&right, names[i])->ordinal, n, left.node, right.node, u->span));
    if (u->condition) {
        struct relation seen = {.node = full, .columns = out->columns, .column_count = out->column_count};
        struct expr_context c = {.resolver = r, .input = &seen, .outer = outer, .clause = "JOIN … ON"};
        TRY(resolve_boolean(&c, u->condition, "JOIN", &n->condition));
    }
    TRY(join_keys(r->arena, n));
    out->node = n;
    if (count) return using_scope(r, u, kind, names, count, &left, &right, out);
    if (left_only(kind)) out->column_count = left.column_count;
    return STATUS_OK;
}

// --- functions and views ---

static enum status resolve_range(struct resolver *r, const struct urelation *u, struct relation *out) {
    int64_t args[3] = {0, 0, 1};
    const struct uexpr *call = u->call;
    if (call->arg_count < 1 || call->arg_count > 4)
        return complain(r, (struct complaint){.span = u->span, .condition = "WRONG_NUM_ARGS.WITHOUT_SUGGESTION"}, "`range` takes 1 to 4 arguments, not %u", call->arg_count);
    for (uint32_t i = 0; i < call->arg_count && i < 3; i++) {
        const struct uexpr *arg = call->args[i];
        TRY(constant_bigint(r, arg, "an argument of range", &args[call->arg_count == 1 ? 1 : i]));
    }
    int64_t start = args[0], end = args[1], step = args[2];
    if (!step) return complain(r, (struct complaint){.span = u->span, .condition = "DATATYPE_MISMATCH.VALUE_OUT_OF_RANGE"}, "the step of `range` must not be 0");
    __int128 distance = (__int128)end - start, size = step > 0 ? (distance + step - 1) / step : (distance + step + 1) / step;
    if (size < 0 || (step > 0 ? distance <= 0 : distance >= 0)) size = 0;
    if (size > 10000000) return complain(r, (struct complaint){.span = u->span, .condition = "LEAT_LIMIT_EXCEEDED"}, "`range` of more than 10000000 rows");
    struct plan_node *n = plan_new(r->arena, PLAN_VALUES, 0, 1);
    int64_t *values = arena_alloc_array(r->arena, (size_t)size + 1, sizeof *values);
    if (!n || !values || !(n->values = arena_alloc_zeroed(r->arena, sizeof *n->values))) return STATUS_NO_MEMORY;
    for (int64_t i = 0; i < (int64_t)size; i++) values[i] = start + i * step;
    n->value_row_count = (uint32_t)size;
    *n->values = (struct column){.type = &type_bigint, .form = COLUMN_FLAT, .row_count = (uint32_t)size, .values = values};
    n->attributes[0] = (struct attribute){.name = "id", .type = &type_bigint};
    n->span = u->span;
    return relation_of(r->arena, n, NULL, out) ? apply_alias(r, u, out) : STATUS_NO_MEMORY;
}

static enum status resolve_function(struct resolver *r, const struct urelation *u, struct expr_context *outer, struct relation *out) {
    if (u->stream) return complain(r, (struct complaint){.span = u->span, .condition = "UNRESOLVABLE_TABLE_VALUED_FUNCTION"}, "STREAM of a function");
    if (operator_is(u->call, "range")) return resolve_range(r, u, out);
    if (!is_generator(u->call))
        return complain(r, (struct complaint){.span = u->call->span, .label = "not a table function",
                        .condition = function_find(name_text(r->arena, &u->call->name)) ? "NOT_A_TABLE_FUNCTION" : "UNRESOLVABLE_TABLE_VALUED_FUNCTION",
                        .hint = "range, explode, posexplode, inline, stack and json_tuple can stand in FROM"}, "no table function `%s`", name_text(r->arena, &u->call->name));
    struct plan_node *one = plan_new(r->arena, PLAN_VALUES, 0, 0);
    if (!one) return STATUS_NO_MEMORY;
    one->value_row_count = 1;
    if (!relation_of(r->arena, one, NULL, out)) return STATUS_NO_MEMORY;
    return generate_over(r, u, outer, out);
}

static enum status resolve_kind(struct resolver *r, const struct urelation *u, struct expr_context *outer, struct relation *out) {
    switch (u->kind) {
    case UREL_TABLE:
        TRY(resolve_table(r, u, out));
        TRY(apply_watermark(r, u, out));
        return apply_alias(r, u, out);
    case UREL_QUERY:
        TRY(resolve_query(r, u->query, outer, out));
        TRY(apply_watermark(r, u, out));
        return apply_alias(r, u, out);
    case UREL_VALUES:
        TRY(resolve_values(r, u, outer, out));
        return apply_alias(r, u, out);
    case UREL_JOIN:
        TRY(resolve_join(r, u, outer, out));
        return u->alias ? apply_alias(r, u, out) : STATUS_OK;
    case UREL_FUNCTION:
        return resolve_function(r, u, outer, out);
    case UREL_LATERAL_VIEW:
        TRY(resolve_relation(r, u->left, outer, out));
        return generate_over(r, u, outer, out);
    }
    return STATUS_INTERNAL;
}

enum status resolve_relation(struct resolver *r, const struct urelation *u, struct expr_context *outer, struct relation *out) {
    TRY(enter(r, u->span));
    enum status status = resolve_kind(r, u, outer, out);
    leave(r);
    return status;
}
