// SPDX-License-Identifier: Apache-2.0
// explain.c: a plan as text, one line a node, the last operator first:
//
//     == Physical Plan ==
//     Consolidate key [nationality]
//     +- Aggregate keys [nationality] functions [count(1)]       changes: retract
//        +- Project [r.nat AS nationality]
//           +- Scan generator messages [value]                   stream
//
// A node with several parents is drawn once; its other places point to it by number. Columns nobody reads are left out.
#include "base/bitmap.h"
#include "plan/node_map.h"
#include "plan/resolver.h"
#include <stdlib.h>

enum { SHOWN_LIMIT = 40 };

struct drawing {
    struct buffer *out;
    struct arena *arena;
    struct node_map parents;     // node → itself when it has several parents
    struct node_map drawn;
    bool streaming;              // of the whole: what does not grow is then read once
};

static enum status put(struct drawing *d, const char *text) { return buffer_append_string(d->out, text); }

static enum status draw_expr(struct drawing *d, const struct expr *e, const struct plan_node *n, uint32_t depth);

static enum status draw_column(struct drawing *d, uint32_t ordinal, const struct plan_node *n) {
    for (uint32_t i = 0; i < n->input_count; i++) {
        if (ordinal < n->inputs[i]->attribute_count) return put(d, n->inputs[i]->attributes[ordinal].name);
        ordinal -= n->inputs[i]->attribute_count;
    }
    return buffer_printf(d->out, "#%u", ordinal);
}

static enum status draw_args(struct drawing *d, const struct expr *e, const struct plan_node *n, uint32_t depth) {
    TRY(put(d, "("));
    for (uint32_t i = 0; i < e->arg_count; i++) {
        if (i) TRY(put(d, ", "));
        TRY(draw_expr(d, e->args[i], n, depth));
    }
    return put(d, ")");
}

static enum status draw_infix(struct drawing *d, const struct expr *e, const char *word, const struct plan_node *n, uint32_t depth) {
    TRY(put(d, "("));
    TRY(draw_expr(d, e->args[0], n, depth));
    TRY(buffer_printf(d->out, " %s ", word));
    TRY(draw_expr(d, e->args[1], n, depth));
    return put(d, ")");
}

static enum status draw_expr(struct drawing *d, const struct expr *e, const struct plan_node *n, uint32_t depth) {
    if (depth > SHOWN_LIMIT) return put(d, "…");
    switch (e->kind) {
    case EXPR_COLUMN:
        return draw_column(d, e->ordinal, n);
    case EXPR_LITERAL:
        if (e->name) return put(d, e->name);
        return put(d, column_is_valid(e->literal, 0) ? "constant" : "NULL");
    case EXPR_FIELD:
        TRY(draw_expr(d, e->args[0], n, depth + 1));
        return buffer_printf(d->out, ".%s", e->args[0]->type->fields[e->ordinal].name);
    case EXPR_CAST:
        if (e->cast_mode == CAST_IMPLICIT) return draw_expr(d, e->args[0], n, depth + 1);
        TRY(put(d, e->cast_mode == CAST_TRY ? "try_cast(" : "cast("));
        TRY(draw_expr(d, e->args[0], n, depth + 1));
        return buffer_printf(d->out, " as %s)", type_name(d->arena, e->type));
    case EXPR_AND:
    case EXPR_OR:
        return draw_infix(d, e, e->kind == EXPR_AND ? "AND" : "OR", n, depth + 1);
    case EXPR_CALL: {
        const char *name = e->call.function->name;
        bool infix = (e->call.function->flags & FUNCTION_OPERATOR) && e->arg_count == 2 && strcmp(name, "[]") != 0;
        if (infix) return draw_infix(d, e, name, n, depth + 1);
        TRY(put(d, name));
        return draw_args(d, e, n, depth + 1);
    }
    case EXPR_AGGREGATE:
        TRY(buffer_printf(d->out, "%s%s", e->aggregate.aggregate->name, e->aggregate.distinct ? " distinct" : ""));
        return draw_args(d, e, n, depth + 1);
    default:
        return put(d, e->name ? e->name : "…");
    }
}

static bool is_wanted(const struct plan_node *n, uint32_t i) { return !n->wanted || bitmap_get(n->wanted, i); }

static enum status draw_list(struct drawing *d, const char *label, struct expr *const *exprs, uint32_t count, const struct plan_node *n, bool named) {
    TRY(buffer_printf(d->out, " %s[", label));
    uint32_t shown = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (named && !is_wanted(n, i)) continue;
        if (shown++) TRY(put(d, ", "));
        if (shown > SHOWN_LIMIT) {
            TRY(put(d, "…"));
            break;
        }
        size_t begin = d->out->size_bytes;
        TRY(draw_expr(d, exprs[i], n, 0));
        const char *name = named ? n->attributes[i].name : NULL;
        size_t size = d->out->size_bytes - begin;
        if (name && (strlen(name) != size || memcmp(d->out->data + begin, name, size) != 0)) TRY(buffer_printf(d->out, " AS %s", name));
    }
    return put(d, "]");
}

static enum status draw_columns(struct drawing *d, const struct plan_node *n) {
    TRY(put(d, " ["));
    uint32_t shown = 0;
    for (uint32_t i = 0; i < n->attribute_count && shown < SHOWN_LIMIT; i++)
        if (is_wanted(n, i)) TRY(buffer_printf(d->out, "%s%s", shown++ ? ", " : "", n->attributes[i].name));
    return put(d, "]");
}

static const char *join_word(enum join_kind k) {
    static const char *const words[] = {[JOIN_INNER] = "Inner", [JOIN_LEFT] = "LeftOuter", [JOIN_RIGHT] = "RightOuter", [JOIN_FULL] = "FullOuter", [JOIN_SEMI] = "LeftSemi",
                                        [JOIN_ANTI] = "LeftAnti", [JOIN_CROSS] = "Cross", [JOIN_NULL_AWARE_ANTI] = "NullAwareLeftAnti"};
    return words[k];
}

static enum status draw_join(struct drawing *d, const struct plan_node *n) {
    TRY(buffer_printf(d->out, "Join %s", join_word(n->join)));
    for (uint32_t i = 0; i < n->join_key_count; i++) {
        TRY(put(d, i ? ", " : " on "));
        TRY(draw_expr(d, n->left_keys[i], n, 0));
        TRY(put(d, " = "));
        // Right keys are over the right input alone.
        struct plan_node right = {.inputs = n->inputs + 1, .input_count = 1};
        TRY(draw_expr(d, n->right_keys[i], &right, 0));
    }
    return STATUS_OK;
}

static enum status draw_sorts(struct drawing *d, const struct plan_node *n) {
    TRY(put(d, "Sort ["));
    for (uint32_t i = 0; i < n->sort_count; i++) {
        if (i) TRY(put(d, ", "));
        TRY(draw_expr(d, n->sorts[i].expr, n, 0));
        TRY(put(d, n->sorts[i].descending ? " DESC" : " ASC"));
        if (n->sorts[i].nulls_first == n->sorts[i].descending) TRY(put(d, n->sorts[i].nulls_first ? " NULLS FIRST" : " NULLS LAST"));
    }
    return put(d, "]");
}

static enum status draw_generate(struct drawing *d, const struct plan_node *n) {
    static const char *const words[] = {"explode", "posexplode", "inline", "stack", "json_tuple"};
    TRY(buffer_printf(d->out, "Generate %s%s", words[n->generator], n->outer ? " outer" : ""));
    return draw_list(d, "", n->exprs, n->expr_count, n, false);
}

static enum status draw_operator(struct drawing *d, const struct plan_node *n) {
    switch (n->kind) {
    case PLAN_SCAN:
        TRY(buffer_printf(d->out, "Scan %s %s", n->table->connector ? n->table->connector->name : "table", n->table->name));
        return draw_columns(d, n);
    case PLAN_VALUES:
        TRY(buffer_printf(d->out, "Values %u rows", n->value_row_count));
        return draw_columns(d, n);
    case PLAN_PROJECT:
        TRY(put(d, "Project"));
        return draw_list(d, "", n->exprs, n->expr_count, n, true);
    case PLAN_FILTER:
        TRY(put(d, "Filter "));
        return draw_expr(d, n->condition, n, 0);
    case PLAN_AGGREGATE:
        TRY(put(d, n->expr_count > n->key_count ? "Aggregate" : "Distinct"));
        TRY(draw_list(d, "keys ", n->exprs, n->key_count, n, false));
        return n->expr_count > n->key_count ? draw_list(d, "functions ", n->exprs + n->key_count, n->expr_count - n->key_count, n, false) : STATUS_OK;
    case PLAN_JOIN:
        return draw_join(d, n);
    case PLAN_SORT:
        return draw_sorts(d, n);
    case PLAN_LIMIT:
        TRY(put(d, n->inputs[0]->kind == PLAN_SORT && n->limit >= 0 ? "TopN" : "Limit"));
        if (n->limit >= 0) TRY(buffer_printf(d->out, " %lld", (long long)n->limit));
        return n->offset ? buffer_printf(d->out, " offset %lld", (long long)n->offset) : STATUS_OK;
    case PLAN_UNION:
        return buffer_printf(d->out, "Union of %u", n->input_count);
    case PLAN_INTERSECT:
    case PLAN_EXCEPT:
        return buffer_printf(d->out, "%s%s", n->kind == PLAN_EXCEPT ? "Except" : "Intersect", n->all ? " all" : "");
    case PLAN_GENERATE:
        return draw_generate(d, n);
    case PLAN_WATERMARK:
        return buffer_printf(d->out, "Watermark %s delay %lld ms", n->attributes[n->watermark_column].name, (long long)(n->delay_us / 1000));
    case PLAN_WINDOW:
        TRY(put(d, "Window"));
        TRY(draw_list(d, "time ", n->exprs, n->expr_count, n, false));
        return buffer_printf(d->out, " size %lld ms slide %lld ms", (long long)(n->window_us / 1000), (long long)(n->slide_us / 1000));
    case PLAN_SESSION:
        TRY(put(d, "Session"));
        return draw_list(d, "keys and time ", n->exprs, n->expr_count, n, false);
    case PLAN_RANK:
        TRY(put(d, "RowNumber"));
        if (n->limit >= 0) TRY(buffer_printf(d->out, " first %lld", (long long)n->limit));
        if (n->key_count) TRY(draw_list(d, "of each ", n->exprs, n->key_count, n, false));
        TRY(put(d, " "));
        return draw_sorts(d, n);
    case PLAN_CONSOLIDATE:
        TRY(put(d, "Consolidate"));
        return n->key_count ? draw_list(d, "key ", n->exprs, n->key_count, n, false) : put(d, " one row");
    }
    return STATUS_OK;
}

static enum status draw_notes(struct drawing *d, const struct plan_node *n) {
    if (n->kind == PLAN_SCAN && d->streaming) TRY(put(d, n->streaming ? "  -- stream" : "  -- read whole when the flow starts"));
    if (n->streaming && n->changes == CHANGES_RETRACT && n->kind != PLAN_PROJECT && n->kind != PLAN_FILTER) TRY(put(d, "  -- rows change"));
    uint32_t time = n->streaming && n->kind == PLAN_AGGREGATE ? plan_time_key(n) : PLAN_NO_TIME;
    if (time != PLAN_NO_TIME) {
        const char *name = n->attributes[time].name, *end = n->attributes[time].type->id == TYPE_STRUCT ? ".end" : "";
        return n->emits_closed ? buffer_printf(d->out, "  -- each row leaves once, when the watermark passes %s%s; its state goes then", name, end)
                               : buffer_printf(d->out, "%s until the watermark passes %s%s; its state goes then", n->changes == CHANGES_RETRACT ? "" : "  -- kept", name, end);
    }
    if (n->streaming && n->kind == PLAN_AGGREGATE && n->key_count) TRY(put(d, "; state grows with the number of keys"));
    return STATUS_OK;
}

// Of a join of two streams: how long each side's rows wait for the other's.
static enum status draw_kept(struct drawing *d, const struct plan_node *n) {
    const struct join_time *t = n->join_time;
    for (uint32_t side = 0; side < 2; side++) {
        const struct plan_node *input = n->inputs[side];
        TRY(buffer_printf(d->out, "%s %s rows kept", side ? ";" : "  --", side ? "right" : "left"));
        if (!t->bounded[side]) {
            TRY(put(d, " for ever"));
            continue;
        }
        const struct expr *key = t->key == PLAN_NO_TIME ? NULL : side ? n->right_keys[t->key] : n->left_keys[t->key];
        bool named = !key || key->kind == EXPR_COLUMN;
        uint32_t ordinal = key && named ? key->ordinal : t->column[side];
        const char *name = named ? input->attributes[ordinal].name : "their time", *end = named && input->attributes[ordinal].type->id == TYPE_STRUCT ? ".end" : "";
        TRY(buffer_printf(d->out, " until the watermark passes %s%s", name, end));
        if (t->delay_us[side]) TRY(buffer_printf(d->out, " %c %lld ms", t->delay_us[side] < 0 ? '-' : '+', llabs(t->delay_us[side] / 1000)));
    }
    return n->emits_closed && (plan_join_keeps(n, 0) || plan_join_keeps(n, 1)) ? put(d, "; those without a match leave then") : STATUS_OK;
}

static enum status draw(struct drawing *d, struct plan_node *n, uint32_t depth) {
    for (uint32_t i = 0; i + 1 < depth; i++) TRY(put(d, "   "));
    if (depth) TRY(put(d, "+- "));
    if (node_map_find(&d->drawn, n)) return buffer_printf(d->out, "(node %u, drawn above)\n", n->id);
    TRY(node_map_put(&d->drawn, n, n));
    if (node_map_find(&d->parents, n)) TRY(buffer_printf(d->out, "(node %u) ", n->id));
    TRY(draw_operator(d, n));
    if (n->kind == PLAN_JOIN && n->condition) {
        TRY(put(d, " if "));
        TRY(draw_expr(d, n->condition, n, 0));
    }
    TRY(draw_notes(d, n));
    if (n->join_time) TRY(draw_kept(d, n));
    TRY(put(d, "\n"));
    for (uint32_t i = 0; i < n->input_count; i++) TRY(draw(d, n->inputs[i], depth + 1));
    return STATUS_OK;
}

// Which nodes are met twice.
static enum status find_shared(struct drawing *d, struct plan_node *n) {
    if (node_map_find(&d->drawn, n)) return node_map_put(&d->parents, n, n);
    TRY(node_map_put(&d->drawn, n, n));
    for (uint32_t i = 0; i < n->input_count; i++) TRY(find_shared(d, n->inputs[i]));
    return STATUS_OK;
}

enum status plan_explain(const struct plan_node *root, struct buffer *out) {
    struct arena arena;
    arena_init(&arena, out->memory);
    struct drawing d = {.out = out, .arena = &arena, .parents = {.arena = &arena}, .drawn = {.arena = &arena}};
    // Drawing changes nothing.
    struct plan_node *node = (struct plan_node *)(uintptr_t)root;
    d.streaming = root->streaming;
    enum status s = find_shared(&d, node);
    d.drawn = (struct node_map){.arena = &arena};
    if (s == STATUS_OK) s = put(&d, "== Physical Plan ==\n");
    if (s == STATUS_OK) s = draw(&d, node, 0);
    arena_release(&arena);
    return s;
}
