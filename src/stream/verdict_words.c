// SPDX-License-Identifier: Apache-2.0
// verdict_words.c: what has changed from one query to another, in words. Operators of a kind are compared in the order in which rows pass them;
// expressions as `leat check --explain` shows them. Values of options that may hold a secret are not shown.
#include "plan/analyzer.h"
#include "plan/node_map.h"
#include "stream/verdict.h"
#include <stdio.h>
#include <strings.h>

enum { MOST_NODES = 4096, MOST_TEXT = 160 };

struct words {
    struct arena *arena;
    struct memory *memory;
    struct flow_changes *out;
};

struct side {                        // of one flow: its nodes, inputs first
    struct vector nodes;             // of const struct plan_node *
    struct node_map seen;
};

static enum status say(struct words *w, const char *format, ...) PRINTF_LIKE(2, 3);
static enum status say(struct words *w, const char *format, ...) {
    char text[2 * MOST_TEXT + 512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (w->out->reason_count == VERDICT_REASONS) return STATUS_OK;
    const char *kept = arena_strdup(w->arena, text);
    if (!kept) return STATUS_NO_MEMORY;
    w->out->reasons[w->out->reason_count++] = kept;
    return STATUS_OK;
}

static enum status collect(struct side *s, const struct plan_node *n) {
    if (node_map_find(&s->seen, n) || s->nodes.count >= MOST_NODES) return STATUS_OK;
    TRY(node_map_put(&s->seen, n, (struct plan_node *)(uintptr_t)n));
    for (uint32_t i = 0; i < n->input_count; i++) TRY(collect(s, n->inputs[i]));
    return vector_push(&s->nodes, &n);
}

// The line that explain draws for a node, without its inputs and without its notes.
static enum status line_of(struct words *w, const struct plan_node *n, const char **out) {
    struct plan_node node = *n;
    struct plan_node *inputs = arena_alloc_array(w->arena, n->input_count + 1, sizeof *inputs);
    struct plan_node **links = arena_alloc_array(w->arena, n->input_count + 1, sizeof *links);
    if (!inputs || !links) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < n->input_count; i++) {
        inputs[i] = (struct plan_node){.kind = n->inputs[i]->kind == PLAN_SORT ? PLAN_SORT : PLAN_VALUES, .attributes = n->inputs[i]->attributes,
                                       .attribute_count = n->inputs[i]->attribute_count};
        links[i] = &inputs[i];
    }
    node.inputs = links;
    node.streaming = false;
    struct buffer text;
    buffer_init(&text, w->memory);
    enum status status = plan_explain(&node, &text);
    const char *begin = status == STATUS_OK ? memchr(text.data, '\n', text.size_bytes) : NULL, *end = NULL;
    if (begin) end = memchr(begin + 1, '\n', text.size_bytes - (size_t)(begin + 1 - (const char *)text.data));
    if (status == STATUS_OK) *out = begin && end ? arena_strndup(w->arena, begin + 1, (size_t)(end - begin - 1)) : arena_strdup(w->arena, "?");
    buffer_release(&text);
    if (status == STATUS_OK && *out && strstr(*out, "  -- ")) *out = arena_strndup(w->arena, *out, (size_t)(strstr(*out, "  -- ") - *out));
    return status == STATUS_OK && !*out ? STATUS_NO_MEMORY : status;
}

static enum status expression_of(struct words *w, const struct plan_node *over, struct expr *e, const char **out) {
    struct plan_node filter = {.kind = PLAN_FILTER, .condition = e, .inputs = over->inputs, .input_count = over->input_count};
    TRY(line_of(w, &filter, out));
    if (strncmp(*out, "Filter ", 7) == 0) *out += 7;
    return STATUS_OK;
}

static const char *cut(struct words *w, const char *text) {
    size_t n = strlen(text);
    if (n <= MOST_TEXT) return text;
    n = MOST_TEXT;
    while (n && ((unsigned char)text[n] & 0xc0) == 0x80) n--;
    const char *kept = arena_printf(w->arena, "%.*s…", (int)n, text);
    return kept ? kept : "…";
}

// --- sources ---

static const struct option_value *option_named(const struct option_set *set, const char *key) {
    for (uint32_t i = 0; i < set->count; i++) {
        const struct option_value *v = &set->values[i];
        if (v->is_set && strcasecmp(v->key ? v->key : v->option->name, key) == 0) return v;
    }
    return NULL;
}

// Options that are there in `a` and not the same in `b`: those that are gone or differ, or, without `gone`, those that are only there.
static enum status compare_options(struct words *w, const struct dataset *a, const struct dataset *b, bool gone, bool *same) {
    for (uint32_t i = 0; i < a->options.count; i++) {
        const struct option_value *v = &a->options.values[i];
        const char *key = v->key ? v->key : v->option->name;
        if (!v->is_set || !pipeline_option_counts(key)) continue;
        const struct option_value *other = option_named(&b->options, key);
        if (other && (!gone || (v->text && other->text ? strcmp(v->text, other->text) == 0 : v->text == other->text))) continue;
        *same = false;
        if (!other) TRY(say(w, "source %s: the option %s is %s", a->name, key, gone ? "gone" : "new"));
        else if (option_hides(key)) TRY(say(w, "source %s: the option %s has changed", a->name, key));
        else TRY(say(w, "source %s: %s was '%s' and is '%s'", a->name, key, cut(w, v->text ? v->text : ""), cut(w, other->text ? other->text : "")));
    }
    return STATUS_OK;
}

static enum status compare_source(struct words *w, const struct dataset *old, const struct dataset *now) {
    bool *same = &w->out->same_sources;
    if (old->connector != now->connector) {
        *same = false;
        return say(w, "source %s was read with %s and is with %s", old->name, old->connector ? old->connector->name : "?",
                   now->connector ? now->connector->name : "?");
    }
    TRY(compare_options(w, old, now, true, same));
    TRY(compare_options(w, now, old, false, same));
    if (old->schema && now->schema && !type_equal(old->schema, now->schema)) TRY(say(w, "source %s has other columns", old->name));
    return STATUS_OK;
}

static const struct dataset *table_named(const struct side *s, const char *name) {
    for (size_t i = 0; i < s->nodes.count; i++) {
        const struct plan_node *n = *(const struct plan_node **)vector_at(&s->nodes, i);
        if (n->kind == PLAN_SCAN && strcmp(n->table->name, name) == 0) return n->table;
    }
    return NULL;
}

// One word a table, however many scans it has.
static enum status compare_sources(struct words *w, const struct side *old, const struct side *now, bool gone) {
    for (size_t i = 0; i < old->nodes.count; i++) {
        const struct plan_node *n = *(const struct plan_node **)vector_at(&old->nodes, i);
        if (n->kind != PLAN_SCAN || table_named(old, n->table->name) != n->table) continue;
        bool met = false;
        for (size_t k = 0; k < i && !met; k++) {
            const struct plan_node *before = *(const struct plan_node **)vector_at(&old->nodes, k);
            met = before->kind == PLAN_SCAN && before->table == n->table;
        }
        const struct dataset *other = met ? NULL : table_named(now, n->table->name);
        if (met) continue;
        if (!other) {
            w->out->same_sources = false;
            TRY(say(w, "source %s is %s", n->table->name, gone ? "no longer read" : "new in it"));
        } else if (gone) TRY(compare_source(w, n->table, other));
    }
    return STATUS_OK;
}

// --- operators ---

static const struct plan_node *nth_of_kind(const struct side *s, enum plan_kind kind, uint32_t n) {
    for (size_t i = 0; i < s->nodes.count; i++) {
        const struct plan_node *node = *(const struct plan_node **)vector_at(&s->nodes, i);
        if (node->kind == kind && n-- == 0) return node;
    }
    return NULL;
}

static enum status list_of(struct words *w, const struct plan_node *n, uint32_t begin, uint32_t end, const char ***out) {
    *out = arena_alloc_array(w->arena, end - begin + 1, sizeof **out);
    if (!*out) return STATUS_NO_MEMORY;
    for (uint32_t i = begin; i < end; i++) TRY(expression_of(w, n, n->exprs[i], &(*out)[i - begin]));
    return STATUS_OK;
}

static const char *joined(struct words *w, const char **items, uint32_t count) {
    const char *text = count ? items[0] : "none";
    for (uint32_t i = 1; i < count && text; i++) text = arena_printf(w->arena, "%s, %s", text, items[i]);
    return text ? cut(w, text) : "…";
}

static bool has_text(const char **items, uint32_t count, const char *text) {
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(items[i], text) == 0) return true;
    }
    return false;
}

static enum status compare_aggregates(struct words *w, const struct plan_node *old, const struct plan_node *now) {
    const char **a, **b;
    TRY(list_of(w, old, 0, old->key_count, &a));
    TRY(list_of(w, now, 0, now->key_count, &b));
    const char *keys = joined(w, a, old->key_count), *new_keys = joined(w, b, now->key_count);
    if (strcmp(keys, new_keys) != 0) TRY(say(w, "Aggregate: keys changed from %s to %s", keys, new_keys));
    uint32_t old_count = old->expr_count - old->key_count, new_count = now->expr_count - now->key_count;
    TRY(list_of(w, old, old->key_count, old->expr_count, &a));
    TRY(list_of(w, now, now->key_count, now->expr_count, &b));
    for (uint32_t i = 0; i < old_count; i++) {
        if (!has_text(b, new_count, a[i])) TRY(say(w, "Aggregate: %s is removed", cut(w, a[i])));
    }
    for (uint32_t i = 0; i < new_count; i++) {
        if (!has_text(a, old_count, b[i])) TRY(say(w, "Aggregate: %s is added", cut(w, b[i])));
    }
    if (old->emits_closed != now->emits_closed)
        TRY(say(w, "Aggregate: its groups %s", now->emits_closed ? "now leave once, when the watermark passes them" : "are now kept current"));
    return STATUS_OK;
}

// Explain names no constants: the same words may stand for different ones.
static bool same_expressions(const struct plan_node *a, const struct plan_node *b) {
    bool same = (a->condition == NULL) == (b->condition == NULL) && (!a->condition ||
                                                                     expr_equal(a->condition, b->condition)) && a->expr_count == b->expr_count;
    for (uint32_t i = 0; same && i < a->expr_count; i++) same = expr_equal(a->exprs[i], b->exprs[i]);
    return same;
}

static enum status compare_lines(struct words *w, const struct plan_node *old, const struct plan_node *now) {
    const char *was = NULL, *is = NULL;
    TRY(line_of(w, old, &was));
    TRY(line_of(w, now, &is));
    if (strcmp(was, is) != 0) return say(w, "%s is now %s", cut(w, was), cut(w, is));
    return same_expressions(old, now) ? STATUS_OK : say(w, "%s: %s in it has changed", cut(w, was),
                                                        old->kind == PLAN_JOIN ? "its condition, or a constant" : "a constant");
}

static enum status compare_kind(struct words *w, const struct side *old, const struct side *now, enum plan_kind kind) {
    for (uint32_t i = 0;; i++) {
        const struct plan_node *a = nth_of_kind(old, kind, i), *b = nth_of_kind(now, kind, i);
        const char *line = NULL;
        if (!a && !b) return STATUS_OK;
        if (!a || !b) {
            TRY(line_of(w, a ? a : b, &line));
            TRY(say(w, "%s is %s", cut(w, line), a ? "removed" : "added"));
        } else if (kind == PLAN_AGGREGATE) TRY(compare_aggregates(w, a, b));
        else TRY(compare_lines(w, a, b));
    }
}

// --- columns ---

static const struct attribute *column_named(const struct plan_node *n, const char *name, uint32_t *ordinal) {
    for (uint32_t i = 0; i < n->attribute_count; i++) {
        if (strcmp(n->attributes[i].name, name) != 0) continue;
        *ordinal = i;
        return &n->attributes[i];
    }
    return NULL;
}

static enum status compare_column(struct words *w, const struct plan_node *old, uint32_t i, const struct plan_node *now, uint32_t k) {
    const struct attribute *a = &old->attributes[i], *b = &now->attributes[k];
    if (!type_equal(a->type, b->type)) {
        w->out->same_columns = false;
        return say(w, "column %s was %s and is %s", a->name, type_name(w->arena, a->type), type_name(w->arena, b->type));
    }
    const char *was = a->name, *is = b->name;  // of what hands a column on as it is
    bool both = old->kind == PLAN_PROJECT && now->kind == PLAN_PROJECT;
    if (old->kind == PLAN_PROJECT) TRY(expression_of(w, old, old->exprs[i], &was));
    if (now->kind == PLAN_PROJECT) TRY(expression_of(w, now, now->exprs[k], &is));
    if (strcmp(was, is) != 0) return say(w, "column %s was %s and is %s", a->name, cut(w, was), cut(w, is));
    return !both || expr_equal(old->exprs[i], now->exprs[k]) ? STATUS_OK : say(w, "column %s: a constant in %s has changed", a->name, cut(w, is));
}

static enum status compare_columns(struct words *w, const struct plan_node *old, const struct plan_node *now) {
    bool moved = false;
    uint32_t k = 0;
    for (uint32_t i = 0; i < old->attribute_count; i++) {
        if (!column_named(now, old->attributes[i].name, &k)) {
            w->out->same_columns = false;
            TRY(say(w, "column %s is removed", old->attributes[i].name));
            continue;
        }
        moved |= k != i;
        TRY(compare_column(w, old, i, now, k));
    }
    for (uint32_t i = 0; i < now->attribute_count; i++) {
        if (column_named(old, now->attributes[i].name, &k)) continue;
        w->out->same_columns = false;
        TRY(say(w, "column %s is added", now->attributes[i].name));
    }
    if (!moved || !w->out->same_columns) return STATUS_OK;
    w->out->same_columns = false;
    return say(w, "the columns are in another order");
}

static const struct plan_node *below_consolidate(const struct plan_node *n) { return n->kind == PLAN_CONSOLIDATE ? n->inputs[0] : n; }

static enum status compare_keys(struct words *w, const struct flow *old, const struct flow *now) {
    const struct plan_node *a = old->root, *b = now->root;
    bool same = (a->kind == PLAN_CONSOLIDATE) == (b->kind == PLAN_CONSOLIDATE);
    if (same && a->kind == PLAN_CONSOLIDATE) {
        same = a->key_count == b->key_count;
        for (uint32_t i = 0; same && i < a->key_count; i++) {
            uint32_t x = a->unique_key[i], y = b->unique_key[i];
            same = strcmp(a->attributes[x].name, b->attributes[y].name) == 0 && type_equal(a->attributes[x].type, b->attributes[y].type);
        }
    }
    w->out->same_key = same;
    if (same) return STATUS_OK;
    const char *was = "none", *is = "none";
    if (a->kind == PLAN_CONSOLIDATE) TRY(line_of(w, a, &was));
    if (b->kind == PLAN_CONSOLIDATE) TRY(line_of(w, b, &is));
    return say(w, "the key of its table was %s and is %s", cut(w, was), cut(w, is));
}

static enum plan_kind last_kind(const struct side *s) {
    enum plan_kind last = 0;
    for (size_t i = 0; i < s->nodes.count; i++) {
        const struct plan_node *n = *(const struct plan_node **)vector_at(&s->nodes, i);
        if (n->kind > last) last = n->kind;
    }
    return last;
}

static enum status compare_all(struct words *w, const struct flow *old, const struct flow *now, struct side *a, struct side *b) {
    TRY(collect(a, old->root));
    TRY(collect(b, now->root));
    TRY(compare_sources(w, a, b, true));
    TRY(compare_sources(w, b, a, false));
    TRY(compare_keys(w, old, now));
    enum plan_kind last = last_kind(a) > last_kind(b) ? last_kind(a) : last_kind(b);
    for (enum plan_kind kind = 0; kind <= last; kind++) {  // sources, keys and columns have words of their own
        if (kind != PLAN_SCAN && kind != PLAN_PROJECT && kind != PLAN_CONSOLIDATE) TRY(compare_kind(w, a, b, kind));
    }
    TRY(compare_columns(w, below_consolidate(old->root), below_consolidate(now->root)));
    if (w->out->reason_count) return STATUS_OK;
    TRY(compare_kind(w, a, b, PLAN_PROJECT));
    w->out->says_nothing = !w->out->reason_count;
    return w->out->reason_count ? STATUS_OK : say(w, "a constant or a type within it has changed");
}

enum status node_line(struct arena *a, struct memory *memory, const struct plan_node *n, const char **out) {
    struct words w = {.arena = a, .memory = memory};
    return line_of(&w, n, out);
}

enum status flow_changes_of(struct arena *a, struct memory *memory, const struct flow *old, const struct flow *now, struct flow_changes *out) {
    *out = (struct flow_changes){.same_sources = true, .same_key = true, .same_columns = true};
    struct words w = {.arena = a, .memory = memory, .out = out};
    struct side before = {.seen = {.arena = a}}, after = {.seen = {.arena = a}};
    vector_init(&before.nodes, memory, sizeof(const struct plan_node *));
    vector_init(&after.nodes, memory, sizeof(const struct plan_node *));
    enum status status = compare_all(&w, old, now, &before, &after);
    vector_release(&before.nodes);
    vector_release(&after.nodes);
    return status;
}
