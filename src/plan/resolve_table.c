// SPDX-License-Identifier: Apache-2.0
// resolve_table.c: what a table's name stands for.
//
//     a CTE ─► a dataset of the file ─► a table of the catalog ─► connector.`path`
//
//     source               SCAN, streaming by STREAM before it or by the reader's mode
//     view                 its query, inlined; resolved once per mode and shared, so that uuid() in it is one value per row for all readers
//     streaming table      the root of its flows (an edge of the graph), never its store
//     materialized view    the catalog's table for one-off queries; its query, followed change by change, for another materialized view
#include "expr/program.h"
#include "plan/resolver.h"

struct dataset *find_dataset(struct resolver *r, const struct uname *name) {
    if (!r->pipeline) return NULL;
    const char *written = name_text(r->arena, name);
    for (uint32_t i = 0; i < r->pipeline->dataset_count; i++)
        if (equal_ignoring_case(r->pipeline->datasets[i]->name, written)) return r->pipeline->datasets[i];
    return NULL;
}

static struct cte *find_cte(struct cte *from, const struct uname *name) {
    for (struct cte *c = from; c && name->part_count == 1; c = c->next)
        if (equal_ignoring_case(c->name, name->parts[0])) return c;
    return NULL;
}

// --- sources ---

static const struct type *declared_schema(struct resolver *r, const struct ustatement *s) {
    if (!s || !s->column_count) return NULL;
    struct field *fields = arena_alloc_array(r->arena, s->column_count, sizeof *fields);
    if (!fields) return NULL;
    for (uint32_t i = 0; i < s->column_count; i++)
        fields[i] = (struct field){.name = s->columns[i].name, .type = s->columns[i].type ? s->columns[i].type : &type_string, .nullable = !s->columns[i].not_null};
    return type_struct(r->arena, fields, s->column_count);
}

static struct source_request request_of(struct resolver *r, const struct dataset *d, bool streaming) {
    const struct analysis *a = r->analysis;
    return (struct source_request){.table_name = d->name, .options = d->options, .declared = declared_schema(r, d->statement), .base_folder = a->base_folder,
                                   .session = a->session, .memory = a->memory, .log = a->log, .streaming = streaming};
}

static struct dataset_state *state_of(struct resolver *r, const struct dataset *d) {
    bool of_file = r->pipeline && r->states && d->index < r->pipeline->dataset_count && r->pipeline->datasets[d->index] == d;
    return of_file ? &r->states[d->index] : NULL;
}

// What the connector says of its options for this use; said once.
enum status check_source(struct resolver *r, const struct dataset *d, bool streaming, struct span span) {
    const struct source_class *source = d->connector ? d->connector->source : NULL;
    struct dataset_state *state = state_of(r, d);
    enum dataset_phase *phase = state ? &state->check_phase[streaming] : NULL;
    if (phase && *phase != PHASE_NEW) return *phase == PHASE_DONE ? STATUS_OK : STATUS_INVALID_QUERY;
    struct source_request request = request_of(r, d, streaming);
    struct error e;
    error_clear(&e);
    enum status s = source && source->check ? source->check(&request, &e) : STATUS_OK;
    if (phase) *phase = s == STATUS_OK ? PHASE_DONE : PHASE_FAILED;
    return s == STATUS_OK ? s : complain_error(r, &e, span);
}

enum status check_sources(struct resolver *r, struct plan_node *root) {
    struct plan_node **nodes;
    uint32_t count;
    TRY(plan_nodes(r->arena, r->analysis->memory, &root, 1, &nodes, &count));
    for (uint32_t i = 0; i < count; i++) {
        const struct plan_node *n = nodes[i];
        if (n->kind != PLAN_SCAN) continue;
        const struct ustatement *s = r->in_pipeline ? n->table->statement : NULL;
        TRY(check_source(r, n->table, n->streaming, s && span_known(s->name.span) ? s->name.span : n->span));
    }
    return STATUS_OK;
}

// Asks the connector for the columns, once.
enum status dataset_schema(struct resolver *r, struct dataset *d, struct span span) {
    struct dataset_state *state = state_of(r, d);
    if (d->schema) return STATUS_OK;
    if (state && state->schema_phase == PHASE_FAILED) return STATUS_INVALID_QUERY;
    if (state) state->schema_phase = PHASE_FAILED;
    if (!d->connector || !d->connector->source) return STATUS_INVALID_QUERY;  // said when it was registered
    const struct analysis *a = r->analysis;
    struct source_request request = request_of(r, d, false);
    struct error e;
    error_clear(&e);
    enum status s = d->connector->source->schema(&request, r->arena, a->offline, &d->schema, &e);
    struct span where = d->statement && span_known(d->statement->name.span) ? d->statement->name.span : span;
    if (s != STATUS_OK) return complain_error(r, &e, where);
    if (!d->schema) {
        TRY(warn_about(r, where, "give the columns in CREATE TABLE to have its queries checked", "the columns of `%s` are known only when it is opened", d->name));
        return STATUS_INVALID_QUERY;
    }
    if (state) state->schema_phase = PHASE_DONE;
    return STATUS_OK;
}

enum status scan_of(struct resolver *r, struct dataset *d, bool streaming, struct span span, struct relation *out) {
    TRY(dataset_schema(r, d, span));
    struct plan_node *n = plan_new(r->arena, PLAN_SCAN, 0, d->schema->field_count);
    if (!n) return STATUS_NO_MEMORY;
    n->table = d;
    n->streaming = streaming;
    n->span = span;
    for (uint32_t i = 0; i < n->attribute_count; i++) {
        const struct field *f = &d->schema->fields[i];
        const char **origin = arena_alloc_array(r->arena, 1, sizeof *origin);
        if (!origin || !(*origin = arena_printf(r->arena, "%s.%s", d->name, f->name))) return STATUS_NO_MEMORY;
        n->attributes[i] = (struct attribute){.name = f->name, .qualifier = d->name, .type = f->type, .nullable = f->nullable,
                                              .lineage = {.origins = origin, .origin_count = 1}};
    }
    return relation_of(r->arena, n, d->name, out) ? STATUS_OK : STATUS_NO_MEMORY;
}

// A source as it is read here: with options of its own (WITH), or as a whole new one (json.`path`).
static enum status derived_source(struct resolver *r, const struct urelation *u, const struct dataset *base, const struct connector *connector,
                                  const char *path, struct dataset **out) {
    struct dataset *d = arena_alloc_zeroed(r->arena, sizeof *d);
    uint32_t base_count = base && base->statement ? base->statement->option_count : 0;
    struct uoption *options = arena_alloc_array(r->arena, (size_t)base_count + u->option_count + 1, sizeof *options);
    if (!d || !options) return STATUS_NO_MEMORY;
    if (base) *d = *base;
    d->kind = DATASET_SOURCE;
    d->connector = connector;
    d->index = UINT32_MAX;
    if (path) d->name = path;
    uint32_t count = 0;
    for (uint32_t i = 0; i < base_count; i++) options[count++] = base->statement->options[i];
    if (path) options[count++] = (struct uoption){.key = "path", .value = path, .span = u->name.span, .value_span = u->name.span};
    for (uint32_t i = 0; i < u->option_count; i++) {
        for (uint32_t k = 0; k < count; k++)
            if (equal_ignoring_case(options[k].key, u->options[i].key))
                return complain(r, (struct complaint){.span = u->options[i].span, .condition = "_LEGACY_ERROR_TEMP_1151", .label = "given already"},
                                "option `%s` is given twice, here and with the table", u->options[i].key);
        options[count++] = u->options[i];
    }
    struct diagnostics *all = r->analysis->diagnostics;
    size_t errors = all->error_count;
    TRY(options_parse(r->arena, connector->source->options, options, count, NULL, d->name, all, &d->options));
    *out = d;
    return all->error_count == errors ? STATUS_OK : STATUS_INVALID_QUERY;
}

static bool reads_as_stream(const struct resolver *r, const struct urelation *u, const struct dataset *d) {
    if (u->stream || r->mode == READ_GROWING) return true;
    return r->mode == READ_UNBOUNDED && d->connector && d->connector->source && d->connector->source->is_unbounded;
}

static enum status complain_stream(struct resolver *r, const struct urelation *u) {
    return complain(r, (struct complaint){.span = u->span, .condition = "UNSUPPORTED_FEATURE", .label = "a stream", .hint = "leave STREAM out, or put the query into a file for `leat run`"},
                    "a stream can only feed a streaming table of a pipeline");
}

static enum status resolve_source(struct resolver *r, const struct urelation *u, struct dataset *d, struct relation *out) {
    bool streaming = reads_as_stream(r, u, d);
    if (u->stream && !r->in_pipeline) return complain_stream(r, u);
    if (!d->connector || !d->connector->source) return STATUS_INVALID_QUERY;
    if (u->option_count) {
        TRY(dataset_schema(r, d, u->span));
        TRY(derived_source(r, u, d, d->connector, NULL, &d));
    }
    return scan_of(r, d, streaming, u->span, out);
}

// --- views and CTEs ---

static enum status rename_columns(struct resolver *r, struct relation *relation, const char *const *names, uint32_t count, struct span span, const char *what,
                                  bool view) {
    if (!count) return STATUS_OK;
    const char *condition = !view ? "ASSIGNMENT_ARITY_MISMATCH" : relation->column_count > count ? "CREATE_VIEW_COLUMN_ARITY_MISMATCH.TOO_MANY_DATA_COLUMNS"
                                                                                            : "CREATE_VIEW_COLUMN_ARITY_MISMATCH.NOT_ENOUGH_DATA_COLUMNS";
    if (count != relation->column_count)
        return complain(r, (struct complaint){.span = span, .condition = condition}, "`%s` names %u columns, and its query has %u", what, count, relation->column_count);
    for (uint32_t i = 0; i < count; i++) relation->columns[i].name = names[i];
    return STATUS_OK;
}

// Copies the names, which callers may change; the plan below is shared.
static enum status share(struct resolver *r, const struct relation *from, const char *qualifier, struct relation *out) {
    *out = *from;
    out->columns = arena_alloc_array(r->arena, (size_t)from->column_count + 1, sizeof *out->columns);
    if (!out->columns) return STATUS_NO_MEMORY;
    if (from->column_count) memcpy(out->columns, from->columns, from->column_count * sizeof *out->columns);
    for (uint32_t i = 0; i < out->column_count; i++) out->columns[i].qualifier = qualifier;
    return STATUS_OK;
}

enum status resolve_cte_query(struct resolver *r, struct cte *c) {
    if (c->failed) return STATUS_INVALID_QUERY;
    if (!c->cached[r->mode].node) {
        struct cte *saved = r->ctes;
        // The list is only read through `visible`.
        r->ctes = (struct cte *)(uintptr_t)c->visible;
        struct relation relation;
        enum status s = resolve_query(r, c->definition->query, NULL, &relation);
        r->ctes = saved;
        if (s == STATUS_OK) s = rename_columns(r, &relation, c->definition->column_names, c->definition->column_count, c->definition->span, c->name, false);
        c->failed = s != STATUS_OK;
        TRY(s);
        c->cached[r->mode] = relation;
    }
    return STATUS_OK;
}

static enum status resolve_cte(struct resolver *r, const struct urelation *u, struct cte *c, struct relation *out) {
    TRY(resolve_cte_query(r, c));
    if (u->stream) return complain(r, (struct complaint){.span = u->span, .condition = "UNSUPPORTED_FEATURE", .hint = "write STREAM inside the WITH query"}, "STREAM of a WITH query");
    return share(r, &c->cached[r->mode], c->name, out);
}

// STREAM view: its unbounded base tables grow; else its only one; else nobody can know which.
static enum status mode_of_stream(struct resolver *r, const struct urelation *u, const struct dataset *d, enum read_mode *mode) {
    struct survey s = {.source_count = 0};
    if (d->statement && d->statement->query) survey_query(r, d->statement->query, &s);
    *mode = READ_BATCH;
    if (s.uses_stream) return STATUS_OK;
    *mode = s.unbounded_count ? READ_UNBOUNDED : READ_GROWING;
    if (s.unbounded_count || s.source_count + s.table_count == 1) return STATUS_OK;
    return complain(r, (struct complaint){.span = u->span, .condition = "UNSUPPORTED_FEATURE", .label = "which table is the stream?",
                    .hint = "write STREAM before the table inside the view"}, "view `%s` reads %u tables, none of which grows by nature", d->name,
                    s.source_count + s.table_count);
}

static enum status complain_cycle(struct resolver *r, struct span span, const struct dataset *d) {
    return complain(r, (struct complaint){.span = span, .condition = r->in_pipeline ? "LEAT_CYCLE" : "RECURSIVE_VIEW", .label = "reads itself"},
                    "`%s` reads itself, perhaps through others", d->name);
}

static enum status resolve_view(struct resolver *r, const struct urelation *u, struct dataset *d, struct relation *out) {
    enum read_mode saved = r->mode, mode = saved;
    if (u->stream) {
        if (!r->in_pipeline) return complain_stream(r, u);
        TRY(mode_of_stream(r, u, d, &mode));
    }
    struct dataset_state *state = &r->states[d->index];
    if (state->phase[mode] == PHASE_FAILED) return STATUS_INVALID_QUERY;
    if (state->phase[mode] == PHASE_RESOLVING) return complain_cycle(r, u->name.span, d);
    if (state->phase[mode] == PHASE_NEW) {
        struct cte *ctes = r->ctes;
        const struct ustatement *reader = r->statement, *s = d->statement;
        r->ctes = NULL;
        r->mode = mode;
        r->statement = s;
        state->phase[mode] = PHASE_RESOLVING;
        struct relation relation;
        enum status status = resolve_query(r, s->query, NULL, &relation);
        if (status == STATUS_OK && s->column_count) {
            const char **names = arena_alloc_array(r->arena, s->column_count, sizeof *names);
            for (uint32_t i = 0; names && i < s->column_count; i++) names[i] = s->columns[i].name;
            status = names ? rename_columns(r, &relation, names, s->column_count, s->name.span, d->name, true) : STATUS_NO_MEMORY;
        }
        r->ctes = ctes;
        r->mode = saved;
        r->statement = reader;
        state->phase[mode] = status == STATUS_OK ? PHASE_DONE : PHASE_FAILED;
        TRY(status);
        state->cached[mode] = relation;
    }
    return share(r, &state->cached[mode], d->name, out);
}

// --- results of this file ---

static enum status resolve_result(struct resolver *r, const struct urelation *u, struct dataset *d, struct relation *out) {
    bool materialized = d->kind == DATASET_MATERIALIZED_VIEW;
    if (!r->in_pipeline) {
        if (u->stream) return complain_stream(r, u);
        const struct catalog *catalog = r->analysis->catalog;
        struct dataset *stored = catalog ? catalog->find(catalog->context, r->arena, d->name) : NULL;
        if (!stored) return complain(r, (struct complaint){.span = u->span, .condition = "TABLE_OR_VIEW_NOT_FOUND", .hint = "run the pipeline first"}, "`%s` has not been written yet", d->name);
        return scan_of(r, stored, false, u->span, out);
    }
    if (materialized && u->stream)
        return complain(r, (struct complaint){.span = u->span, .condition = "UNSUPPORTED_FEATURE", .label = "its rows change",
                        .hint = "stream what it is made of"}, "materialized view `%s` cannot be streamed: its rows change and leave", d->name);
    if (materialized && r->mode == READ_BATCH)
        return complain_not_yet(r, u->span, r->target && r->target->kind == DATASET_MATERIALIZED_VIEW ? "reading a materialized view whole, beside what grows"
                                                                                                    : "reading a materialized view in a streaming table");
    if (!u->stream && r->mode == READ_BATCH)
        return complain(r, (struct complaint){.span = u->span, .condition = "INVALID_FLOW_QUERY_TYPE.BATCH_RELATION_FOR_STREAMING_TABLE", .label = "read whole",
                        .hint = arena_printf(r->arena, "write STREAM %s", d->name)}, "streaming table `%s` is read as a batch", d->name);
    struct relation root;
    TRY(resolve_dataset_root(r, d, u->name.span, &root));
    return share(r, &root, d->name, out);
}

// --- names ---

static enum status complain_no_table(struct resolver *r, const struct urelation *u) {
    struct vector names;
    vector_init(&names, r->analysis->memory, sizeof(const char *));
    enum status s = STATUS_OK;
    for (uint32_t i = 0; r->pipeline && i < r->pipeline->dataset_count && s == STATUS_OK; i++) s = vector_push(&names, &r->pipeline->datasets[i]->name);
    for (struct cte *c = r->ctes; c && s == STATUS_OK; c = c->next) s = vector_push(&names, &c->name);
    const struct catalog *catalog = r->analysis->catalog;
    uint32_t count = 0;
    const char *const *more = catalog && catalog->names ? catalog->names(catalog->context, r->arena, &count) : NULL;
    for (uint32_t i = 0; more && i < count && s == STATUS_OK; i++) s = vector_push(&names, &more[i]);
    const char *written = name_text(r->arena, &u->name);
    const char *near = s == STATUS_OK && names.count ? suggest(written, names.items, names.count) : NULL;
    const char *hint = near ? arena_printf(r->arena, "did you mean `%s`?", near) : NULL;
    vector_release(&names);
    if (s != STATUS_OK) return s;
    if (u->name.part_count > 3)
        return complain(r, (struct complaint){.span = u->name.span, .condition = "REQUIRES_SINGLE_PART_NAMESPACE", .label = "too many parts"},
                        "`%s`: a table's name has at most three parts", written);
    return complain(r, (struct complaint){.span = u->name.span, .condition = "TABLE_OR_VIEW_NOT_FOUND", .label = "not found", .hint = hint}, "no table or view `%s`", written);
}

enum status resolve_table(struct resolver *r, const struct urelation *u, struct relation *out) {
    struct cte *cte = find_cte(r->ctes, &u->name);
    if (cte) return resolve_cte(r, u, cte, out);
    struct dataset *d = find_dataset(r, &u->name);
    const struct catalog *catalog = r->analysis->catalog;
    if (!d && catalog) d = catalog->find(catalog->context, r->arena, name_text(r->arena, &u->name));
    if (!d) {
        const struct connector *connector = u->name.part_count == 2 ? connector_find(r->analysis->connectors, u->name.parts[0]) : NULL;
        if (!connector || !connector->source) return complain_no_table(r, u);
        if (u->stream) return complain(r, (struct complaint){.span = u->span, .condition = "UNABLE_TO_INFER_SCHEMA", .hint = "CREATE TABLE with its columns"}, "a path read as a stream needs declared columns");
        TRY(derived_source(r, u, NULL, connector, u->name.parts[1], &d));
        return scan_of(r, d, false, u->span, out);
    }
    switch (d->kind) {
    case DATASET_SOURCE:
        return resolve_source(r, u, d, out);
    case DATASET_VIEW:
        return resolve_view(r, u, d, out);
    case DATASET_CATALOG_TABLE:
        if (catalog && d->statement) {
            // Where it is kept only the catalog knows.
            struct dataset *stored = catalog->find(catalog->context, r->arena, d->name);
            if (stored) d = stored;
        }
        if (u->stream) return complain_not_yet(r, u->span, "STREAM over a table of the catalog");
        if (!d->schema && !(d->schema = declared_schema(r, d->statement)))
            return complain(r, (struct complaint){.span = u->span, .condition = "UNABLE_TO_INFER_SCHEMA"}, "the columns of `%s` are not known", d->name);
        return scan_of(r, d, false, u->span, out);
    default:
        return resolve_result(r, u, d, out);
    }
}

// --- WATERMARK ---

enum status apply_watermark(struct resolver *r, const struct urelation *u, struct relation *relation) {
    const struct uwatermark *w = u->watermark;
    if (!w) return STATUS_OK;
    struct expr_context c = {.resolver = r, .input = relation, .clause = "WATERMARK"};
    struct expr *e;
    const char *name;
    TRY(resolve_expr(&c, w->expr, &e, &name));
    if (relation->node->streaming && (w->delay_us < 0 || w->delay_months < 0))
        return complain(r, (struct complaint){.span = w->span, .condition = "LEAT_INVALID_OPTION", .label = "below 0"}, "the delay of a watermark should not be negative");
    if (e->type->id != TYPE_TIMESTAMP && relation->node->streaming)
        return complain(r, (struct complaint){.span = w->expr->span, .condition = "EVENT_TIME_IS_NOT_ON_TIMESTAMP_TYPE", .label = type_name_sql(r->arena, e->type)},
                        "the event time `%s` must be a TIMESTAMP, not %s", name, type_name_sql(r->arena, e->type));
    uint32_t width = relation->node->attribute_count, ordinal = e->kind == EXPR_COLUMN ? e->ordinal : width;
    if (ordinal == width || w->expr->kind == U_ALIAS) {
        struct expr **exprs = arena_alloc_array(r->arena, (size_t)width + 1, sizeof *exprs);
        const char **names = arena_alloc_array(r->arena, (size_t)width + 1, sizeof *names);
        struct scope_column *columns = arena_alloc_array(r->arena, (size_t)relation->column_count + 1, sizeof *columns);
        if (!exprs || !names || !columns) return STATUS_NO_MEMORY;
        for (uint32_t i = 0; i < width; i++) {
            if (!(exprs[i] = expr_of_attribute(r->arena, relation->node, i))) return STATUS_NO_MEMORY;
            names[i] = relation->node->attributes[i].name;
        }
        exprs[width] = e;
        names[width] = name;
        if (!(relation->node = plan_project(r->arena, relation->node, exprs, names, width + 1))) return STATUS_NO_MEMORY;
        if (relation->column_count) memcpy(columns, relation->columns, relation->column_count * sizeof *columns);
        columns[relation->column_count] = (struct scope_column){.name = name, .qualifier = relation->column_count ? columns[0].qualifier : NULL, .ordinal = width};
        relation->columns = columns;
        relation->column_count++;
        ordinal = width;
    }
    if (!relation->node->streaming) return STATUS_OK;  // accepted on what is read whole, and without effect
    struct plan_node *n = plan_over(r->arena, PLAN_WATERMARK, relation->node);
    if (!n) return STATUS_NO_MEMORY;
    n->watermark_column = ordinal;
    n->delay_us = w->delay_us + (int64_t)w->delay_months * 31 * 86400 * 1000000;  // as Spark counts a month here
    n->span = w->span;
    relation->node = n;
    return STATUS_OK;
}
