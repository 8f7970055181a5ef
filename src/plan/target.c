// SPDX-License-Identifier: Apache-2.0
// target.c: the end of a flow: which columns are its rows' identity, whether what the plan gives can be kept by the target, and the
// CONSOLIDATE that turns changes into one upsert or delete per key and epoch.
//
//     streaming table            rows are appended             with key: the last row of a key wins
//     materialized view          key: the grouping, followed through the projections; DISTINCT: all columns; no GROUP BY: one row, empty key
//     without a key              rows only come (append), or the store can take back one of several equal rows (the catalog)
#include "plan/resolver.h"

static struct span place_of(const struct flow *f) {
    const struct ustatement *s = f->target->statement;
    return s && span_known(s->name.span) ? s->name.span : f->span;
}

static enum status check_columns(struct resolver *r, const struct flow *f) {
    const struct plan_node *root = f->root;
    for (uint32_t i = 0; i < root->attribute_count; i++) {
        for (uint32_t k = 0; k < i; k++)
            if (equal_ignoring_case(root->attributes[i].name, root->attributes[k].name))
                return complain(r, (struct complaint){.span = place_of(f), .condition = "COLUMN_ALREADY_EXISTS", .hint = "rename one with AS"}, "`%s` would have two columns `%s`",
                                f->target->name, root->attributes[i].name);
    }
    return STATUS_OK;
}

static enum status set_schema(struct resolver *r, const struct flow *f) {
    const struct plan_node *root = f->root;
    struct field *fields = arena_alloc_array(r->arena, (size_t)root->attribute_count + 1, sizeof *fields);
    if (!fields) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < root->attribute_count; i++)
        fields[i] = (struct field){.name = root->attributes[i].name, .type = root->attributes[i].type, .nullable = root->attributes[i].nullable};
    if (!f->target->schema) f->target->schema = type_struct(r->arena, fields, root->attribute_count);
    return f->target->schema ? STATUS_OK : STATUS_NO_MEMORY;
}

static enum status declared_key(struct resolver *r, const struct flow *f, uint32_t **out) {
    const struct dataset *d = f->target;
    const struct plan_node *root = f->root;
    *out = arena_alloc_array(r->arena, (size_t)d->key_count + 1, sizeof **out);
    const char **names = arena_alloc_array(r->arena, (size_t)root->attribute_count + 1, sizeof *names);
    if (!*out || !names) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < root->attribute_count; i++) names[i] = root->attributes[i].name;
    for (uint32_t k = 0; k < d->key_count; k++) {
        uint32_t at = 0;
        while (at < root->attribute_count && !equal_ignoring_case(names[at], d->key[k])) at++;
        if (at == root->attribute_count) {
            const char *near = suggest(d->key[k], names, root->attribute_count);
            return complain(r, (struct complaint){.span = place_of(f), .condition = "LEAT_INVALID_OPTION", .hint = near ? arena_printf(r->arena, "did you mean `%s`?", near) : NULL},
                            "key column `%s` is not a column of `%s`", d->key[k], d->name);
        }
        (*out)[k] = at;
    }
    return STATUS_OK;
}

static bool same_columns(const uint32_t *a, uint32_t a_count, const uint32_t *b, uint32_t b_count) {
    if (a_count != b_count) return false;
    for (uint32_t i = 0; i < a_count; i++) {
        uint32_t k = 0;
        while (k < b_count && a[i] != b[k]) k++;
        if (k == b_count) return false;
    }
    return true;
}

// *key NULL: none.
static enum status choose_key(struct resolver *r, const struct flow *f, const uint32_t **key, uint32_t *count) {
    const struct plan_node *root = f->root;
    const struct dataset *d = f->target;
    bool view = d->kind == DATASET_MATERIALIZED_VIEW;
    *key = view ? root->unique_key : NULL;
    *count = view ? root->unique_key_count : 0;
    if (!d->key_count) return STATUS_OK;
    uint32_t *declared;
    TRY(declared_key(r, f, &declared));
    if (view && *key && !same_columns(*key, *count, declared, d->key_count))
        return complain(r, (struct complaint){.span = place_of(f), .condition = "LEAT_INVALID_OPTION", .hint = "leave `key` out"},
                        "the key of a materialized view follows from its query: `key` names other columns than its grouping");
    *key = declared;
    *count = d->key_count;
    return STATUS_OK;
}

static enum status add_consolidate(struct resolver *r, struct flow *f, const uint32_t *key, uint32_t count) {
    struct plan_node *n = plan_over(r->arena, PLAN_CONSOLIDATE, f->root);
    if (!n) return STATUS_NO_MEMORY;
    n->exprs = arena_alloc_array(r->arena, (size_t)count + 1, sizeof *n->exprs);
    if (!n->exprs) return STATUS_NO_MEMORY;
    n->expr_count = n->key_count = count;
    for (uint32_t i = 0; i < count; i++)
        if (!(n->exprs[i] = expr_of_attribute(r->arena, f->root, key[i]))) return STATUS_NO_MEMORY;
    n->unique_key = key;
    n->unique_key_count = count;
    n->span = f->span;
    f->root = n;
    return STATUS_OK;
}

static enum status check_key_draws(struct resolver *r, const struct flow *f, const uint32_t *key, uint32_t count) {
    const struct plan_node *n = f->root;
    while (n->kind == PLAN_CONSOLIDATE) n = n->inputs[0];
    for (uint32_t i = 0; i < count && n->kind == PLAN_PROJECT; i++) {
        const struct expr *e = n->exprs[key[i]];
        if (e->kind == EXPR_CALL && !strcmp(e->call.function->name, "uuid"))
            TRY(warn_about(r, e->span, "use a value that the data brings, such as login.uuid", "`%s` is a key made by uuid(): the same record read again elsewhere gets another one",
                           n->attributes[key[i]].name));
    }
    return STATUS_OK;
}

static enum status check_capabilities(struct resolver *r, const struct flow *f, bool keyed, bool retracts, uint32_t capabilities) {
    const struct dataset *d = f->target;
    if (capabilities & SINK_FORGETFUL) return STATUS_OK;
    bool upserts = (capabilities & SINK_UPSERTS) != 0, deletes = (capabilities & SINK_DELETES) != 0;
    if (keyed && !upserts)
        return complain(r, (struct complaint){.span = place_of(f), .condition = "STREAMING_OUTPUT_MODE.UNSUPPORTED_DATASOURCE", .label = "keeps rows as they come"},
                        "`%s` cannot replace rows by key in %s", d->name, d->connector->name);
    if (keyed && retracts && !deletes)
        return complain(r, (struct complaint){.span = place_of(f), .condition = "STREAMING_OUTPUT_MODE.UNSUPPORTED_DATASOURCE", .label = "cannot delete"},
                        "rows of `%s` can leave its result, and %s cannot delete", d->name, d->connector->name);
    if (!keyed && retracts && !(capabilities & SINK_KEYLESS_RETRACTS))
        return complain(r, (struct complaint){.span = place_of(f), .condition = "STREAMING_OUTPUT_MODE.UNSUPPORTED_DATASOURCE", .label = "no key",
                        .hint = "select all columns of GROUP BY, or leave USING out: the catalog can keep it"},
                        "rows of `%s` change, and its query does not keep the columns that tell them apart", d->name);
    return STATUS_OK;
}

enum status finish_target(struct resolver *r, struct flow *f) {
    struct dataset *d = f->target;
    TRY(check_columns(r, f));
    TRY(set_schema(r, f));
    const uint32_t *key;
    uint32_t count;
    TRY(choose_key(r, f, &key, &count));
    bool retracts = f->root->changes == CHANGES_RETRACT;
    if (key) TRY(check_key_draws(r, f, key, count));
    if (d->connector && d->connector->sink) {
        TRY(check_capabilities(r, f, key && count, retracts, d->connector->sink->capabilities));
        struct sink_request request = {.table_name = d->name, .flow_name = f->name, .options = d->options, .schema = d->schema, .key = key, .key_count = key ? count : 0,
                                       .retracts = retracts, .upserts = d->kind == DATASET_STREAMING_TABLE && key, .materialized = d->kind == DATASET_MATERIALIZED_VIEW,
                                       .base_folder = r->analysis->base_folder, .session = r->analysis->session, .memory = r->analysis->memory, .log = r->analysis->log};
        struct error e;
        error_clear(&e);
        enum status s = d->connector->sink->check ? d->connector->sink->check(&request, &e) : STATUS_OK;
        if (s != STATUS_OK) return complain_error(r, &e, place_of(f));
    }
    return key ? add_consolidate(r, f, key, count) : STATUS_OK;
}
