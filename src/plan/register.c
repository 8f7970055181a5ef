// SPDX-License-Identifier: Apache-2.0
// register.c: CREATE statements → datasets: names, connectors, options. Nothing is resolved here, so that statements may use what stands
// below them. A statement that is wrong in itself is reported and leaves its dataset behind without a connector, so that its users
// are not blamed.
#include "plan/resolver.h"
#include "plan/secret.h"

static struct complaint at_name(const struct ustatement *s, const char *condition, const char *label) {
    return (struct complaint){.span = span_known(s->name.span) ? s->name.span : s->span, .condition = condition, .label = label};
}

static enum status append_dataset(struct resolver *r, struct dataset *d) {
    struct pipeline *p = r->pipeline;
    struct dataset **more = arena_alloc_array(r->arena, (size_t)p->dataset_count + 1, sizeof *more);
    if (!more) return STATUS_NO_MEMORY;
    if (p->dataset_count) memcpy(more, p->datasets, p->dataset_count * sizeof *more);
    d->index = p->dataset_count;
    more[p->dataset_count] = d;
    p->datasets = more;
    p->dataset_count++;
    return STATUS_OK;
}

static enum status find_connector(struct resolver *r, const struct ustatement *s, bool source, const struct connector **out) {
    const struct connector_set *set = r->analysis->connectors;
    *out = connector_find(set, s->provider);
    const struct connector *c = *out;
    struct span where = span_known(s->provider_span) ? s->provider_span : s->span;
    if (c && (source ? c->source != NULL : c->sink != NULL)) return STATUS_OK;
    const char **names = arena_alloc_array(r->arena, (set ? set->count : 0) + 1, sizeof *names);
    if (!names) return STATUS_NO_MEMORY;
    size_t count = 0;
    const char *list = "";
    for (size_t i = 0; set && i < set->count; i++) {
        if (source ? !set->items[i]->source : !set->items[i]->sink) continue;
        names[count++] = set->items[i]->name;
        list = arena_printf(r->arena, "%s%s%s", list, count > 1 ? ", " : "", set->items[i]->name);
        if (!list) return STATUS_NO_MEMORY;
    }
    *out = NULL;
    const char *near = suggest(s->provider, names, count);
    const char *hint = near ? arena_printf(r->arena, "did you mean `%s`? (there are: %s)", near, list) : arena_printf(r->arena, "there are: %s", list);
    return complain(r, (struct complaint){.span = where, .condition = "DATA_SOURCE_NOT_FOUND", .label = c ? (source ? "cannot be read" : "cannot be written") : "unknown",
                    .hint = hint}, c ? "connector `%s` cannot be used here" : "no connector `%s`", s->provider);
}

static enum status warn_of_secrets(struct resolver *r, const struct option_set *set) {
    for (uint32_t i = 0; i < set->count; i++) {
        const struct option_value *v = &set->values[i];
        size_t size_bytes = strlen(v->key);
        bool is_user = size_bytes >= 8 && equal_ignoring_case(v->key + size_bytes - 8, "username");
        bool is_header = strncmp(v->option->name, "header.", 7) == 0 || strcmp(v->option->name, "body") == 0;  // mostly none; those by name are
        if (!v->is_set || is_user || !(option_is_secret(v->key) || secret_in_value(v->text) || (v->option->secret && !is_header))) continue;
        if (strstr(v->text, "${env:") || strstr(v->text, "${file:")) continue;
        TRY(warn_about(r, v->span, "write '${env:NAME}' or '${file:PATH}': the text is shared, and kept in the data folder", "a secret stands in the text: the value of `%.100s`", v->key));
    }
    return STATUS_OK;
}

static enum status parse_options(struct resolver *r, const struct option *table, const struct uoption *given, uint32_t count, const char *what, struct span where,
                                 struct option_set *out) {
    struct diagnostics *d = r->analysis->diagnostics;
    size_t before = d->error_count;
    size_t kept = d->items.count;
    enum status status = options_parse(r->arena, table, given, count, NULL, what, d, out);
    // What is missing has no place of its own.
    for (size_t i = kept; i < d->items.count; i++) {
        struct diagnostic *g = vector_at(&d->items, i);
        if (!span_known(g->error.span)) g->error.span = where;
    }
    if (status != STATUS_NO_MEMORY) TRY(warn_of_secrets(r, out));
    TRY(status);
    return d->error_count == before ? STATUS_OK : STATUS_INVALID_QUERY;
}

static enum status check_name(struct resolver *r, const struct ustatement *s, const char *name) {
    if (!strncmp(name, "leat_", 5) || !strncmp(name, "LEAT_", 5))
        return complain(r, at_name(s, "LEAT_RESERVED_NAME", "reserved"), "names that begin with leat_ are reserved: `%s`", name);
    return STATUS_OK;
}

static enum status register_source(struct resolver *r, const struct ustatement *s, struct dataset *d) {
    d->kind = DATASET_SOURCE;
    if (s->property_count && !s->option_count)
        TRY(warn_about(r, s->properties[0].span, "write OPTIONS (…)", "TBLPROPERTIES of a plain table are not options of its connector"));
    if (s->query) return complain_not_yet(r, s->span, "CREATE TABLE … USING … AS SELECT");
    const struct connector *connector;
    TRY(find_connector(r, s, true, &connector));
    TRY(parse_options(r, connector->source->options, s->options, s->option_count, d->name, s->name.span, &d->options));
    d->connector = connector;
    return STATUS_OK;
}

static enum status register_catalog_table(struct resolver *r, const struct ustatement *s, struct dataset *d) {
    d->kind = DATASET_CATALOG_TABLE;
    d->in_catalog = true;
    d->connector = connector_find(r->analysis->connectors, "sqlite");
    if (s->query || s->column_count) return STATUS_OK;
    return complain(r, at_name(s, "UNABLE_TO_INFER_SCHEMA", "no columns"), "table `%s` has neither columns nor USING", d->name);
}

// A key list: "id, kind".
static enum status parse_key(struct resolver *r, const struct uoption *o, struct dataset *d) {
    const char *text = o->value ? o->value : "";
    uint32_t most = 1;
    for (const char *p = text; *p; p++) most += *p == ',';
    d->key = arena_alloc_array(r->arena, most, sizeof *d->key);
    if (!d->key) return STATUS_NO_MEMORY;
    for (const char *p = text;;) {
        while (*p == ' ' || *p == '`') p++;
        const char *end = p;
        while (*end && *end != ',') end++;
        const char *last = end;
        while (last > p && (last[-1] == ' ' || last[-1] == '`')) last--;
        if (last == p)
            return complain(r, (struct complaint){.span = span_known(o->value_span) ? o->value_span : o->span, .condition = "LEAT_INVALID_OPTION", .hint = "key = 'id' or key = 'a, b'"},
                            "`key` must list columns");
        if (!(d->key[d->key_count++] = arena_strndup(r->arena, p, (size_t)(last - p)))) return STATUS_NO_MEMORY;
        if (!*end) return STATUS_OK;
        p = end + 1;
    }
}

static bool table_has(const struct option *table, const char *name) {
    for (const struct option *o = table; o && o->name; o++)
        if (equal_ignoring_case(o->name, name)) return true;
    return false;
}

static enum status register_target(struct resolver *r, const struct ustatement *s, struct dataset *d) {
    bool view = s->kind == USTATEMENT_CREATE_MATERIALIZED_VIEW;
    d->kind = view ? DATASET_MATERIALIZED_VIEW : DATASET_STREAMING_TABLE;
    d->in_catalog = !s->provider;
    if (s->option_count)
        return complain(r, (struct complaint){.span = s->options[0].span, .condition = "_LEGACY_ERROR_TEMP_0035", .hint = "write TBLPROPERTIES (…)"},
                        "OPTIONS are not allowed for CREATE %s", view ? "MATERIALIZED VIEW" : "STREAMING TABLE");
    const struct connector *connector = NULL;
    if (s->provider) TRY(find_connector(r, s, false, &connector));
    else connector = connector_find(r->analysis->connectors, "sqlite");
    struct uoption *own = arena_alloc_array(r->arena, (size_t)s->property_count + 1, sizeof *own);
    struct uoption *looks = arena_alloc_array(r->arena, (size_t)s->property_count + 1, sizeof *looks);
    if (!own || !looks) return STATUS_NO_MEMORY;
    uint32_t count = 0, look_count = 0;
    for (uint32_t i = 0; i < s->property_count; i++) {
        const struct uoption *o = &s->properties[i];
        bool key = equal_ignoring_case(o->key, "key");
        if (key) TRY(parse_key(r, o, d));
        bool of_sink = connector && connector->sink && table_has(connector->sink->options, o->key);
        if (is_leat_key(o->key) ? of_sink : !key || of_sink) own[count++] = *o;
        else if (is_leat_key(o->key)) looks[look_count++] = *o;
    }
    enum status worst = check_looks(r, d, connector && connector->sink ? connector->sink->options : NULL, looks, look_count);
    if (worst == STATUS_NO_MEMORY) return worst;
    // A table of the catalog may carry properties of its user's own.
    if (s->provider) TRY(parse_options(r, connector->sink->options, own, count, d->name, s->name.span, &d->options));
    d->connector = connector;
    return worst;
}

static enum status register_view(struct resolver *r, const struct ustatement *s, struct dataset *d) {
    if (s->provider) return register_source(r, s, d);
    d->kind = DATASET_VIEW;
    return s->query ? STATUS_OK : complain(r, at_name(s, "PARSE_SYNTAX_ERROR", NULL), "view `%s` has no query", d->name);
}

static enum status register_kind(struct resolver *r, const struct ustatement *s, struct dataset *d) {
    switch (s->kind) {
    case USTATEMENT_CREATE_TABLE:
        return s->provider ? register_source(r, s, d) : register_catalog_table(r, s, d);
    case USTATEMENT_CREATE_VIEW:
        return register_view(r, s, d);
    default:
        return register_target(r, s, d);
    }
}

enum status register_statement(struct resolver *r, const struct ustatement *s) {
    const char *name = arena_strdup(r->arena, name_text(r->arena, &s->name));
    struct dataset *d = arena_alloc_zeroed(r->arena, sizeof *d);
    if (!name || !d) return STATUS_NO_MEMORY;
    TRY(check_name(r, s, name));
    struct dataset *old = find_dataset(r, &s->name);
    d->name = name;
    d->statement = s;
    if (old) {
        if (s->if_not_exists) return STATUS_OK;
        if (!s->or_replace || s->kind != USTATEMENT_CREATE_VIEW)
            return complain(r, at_name(s, r->in_pipeline ? "PIPELINE_DUPLICATE_IDENTIFIERS.OUTPUT" : s->temporary ? "TEMP_TABLE_OR_VIEW_ALREADY_EXISTS" : "TABLE_OR_VIEW_ALREADY_EXISTS", "defined before"), "`%s` is defined twice", name);
        uint32_t index = old->index;
        *old = (struct dataset){.name = name, .statement = s, .index = index};
        return register_kind(r, s, old);
    }
    TRY(append_dataset(r, d));
    return register_kind(r, s, d);
}

enum status make_states(struct resolver *r) {
    uint32_t count = r->pipeline ? r->pipeline->dataset_count : 0;
    r->states = arena_alloc_array(r->arena, (size_t)count + 1, sizeof *r->states);
    return r->states ? STATUS_OK : STATUS_NO_MEMORY;
}
