// SPDX-License-Identifier: Apache-2.0
// pipeline.c: a file of statements → a graph of flows. Goes on after errors; a flow that failed is left out and its readers stay silent.
//
//     statements ─► datasets (register.c) ─► flows resolved, one reading another's table on demand ─► streaming rules (check_streaming.c)
//                ─► optimized each ─► target and key (target.c) ─► one graph (graph.c) ─► hashes
#include "column/timezone.h"
#include "base/checksum.h"
#include "plan/resolver.h"

static enum status complain_at(struct resolver *r, const struct ustatement *s, const char *condition, const char *hint, const char *message) {
    return complain(r, (struct complaint){.span = s->span, .condition = condition, .hint = hint}, "%s", message);
}

static struct flow_state *add_flow(struct resolver *r, const struct ustatement *s, const char *name, struct dataset *target) {
    struct flow_state *state = &r->flows[r->flow_count];
    struct flow *f = arena_alloc_zeroed(r->arena, sizeof *f);
    if (!f) return NULL;
    f->name = name;
    f->target = target;
    f->span = s->query ? s->query->span : s->span;
    f->index = r->flow_count++;
    *state = (struct flow_state){.statement = s, .flow = f};
    return state;
}

static enum status register_flow(struct resolver *r, const struct ustatement *s) {
    struct dataset *target = find_dataset(r, &s->target);
    const char *name = name_text(r->arena, &s->name);
    if (!s->by_name)
        return complain_at(r, s, "PIPELINE_SQL_GRAPH_ELEMENT_REGISTRATION_ERROR", "write INSERT INTO t BY NAME SELECT …", "a flow inserts BY NAME");
    if (!target || target->kind != DATASET_STREAMING_TABLE)
        return complain(r, (struct complaint){.span = span_known(s->target.span) ? s->target.span : s->span, .condition = "TABLE_OR_VIEW_NOT_FOUND",
                        .label = target ? "not a streaming table" : "not found"}, "a flow needs a streaming table of this file, and `%s` is none", name_text(r->arena, &s->target));
    for (uint32_t i = 0; i < r->flow_count; i++)
        if (equal_ignoring_case(r->flows[i].flow->name, name))
            return complain_at(r, s, "PIPELINE_DUPLICATE_IDENTIFIERS.FLOW", NULL, "two flows have this name");
    return add_flow(r, s, name, target) ? STATUS_OK : STATUS_NO_MEMORY;
}

static enum status refuse_statement(struct resolver *r, const struct ustatement *s) {
    return complain_at(r, s, "PIPELINE_SQL_GRAPH_ELEMENT_REGISTRATION_ERROR", "run it with `leat sql FILE`",
                       s->kind == USTATEMENT_INSERT ? "INSERT is not part of a pipeline" : s->kind == USTATEMENT_QUERY ? "SELECT is not part of a pipeline"
                                                                                                                    : "this statement is not part of a pipeline");
}

static enum status register_one(struct resolver *r, const struct ustatement *s, struct vector *settings) {
    switch (s->kind) {
    case USTATEMENT_CREATE_TABLE:
    case USTATEMENT_CREATE_VIEW:
    case USTATEMENT_CREATE_STREAMING_TABLE:
    case USTATEMENT_CREATE_MATERIALIZED_VIEW:
        return register_statement(r, s);
    case USTATEMENT_SET:
        return add_setting(r, s, settings);
    case USTATEMENT_CREATE_FLOW:
    case USTATEMENT_USE:
        return STATUS_OK;
    default:
        return refuse_statement(r, s);
    }
}

// First what has a name, then the flows into it.
static enum status register_all(struct resolver *r, struct ustatement *const *statements, uint32_t count) {
    struct vector settings;
    vector_init(&settings, r->analysis->memory, sizeof(struct uoption));
    enum status s = STATUS_OK;
    for (uint32_t i = 0; i < count && s != STATUS_NO_MEMORY; i++) s = register_one(r, statements[i], &settings);
    if (s != STATUS_NO_MEMORY) s = check_settings(r, &settings);
    vector_release(&settings);
    if (s == STATUS_NO_MEMORY) return s;
    r->flows = arena_alloc_array(r->arena, (size_t)count + 1, sizeof *r->flows);
    if (!r->flows) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < r->pipeline->dataset_count; i++) {
        struct dataset *d = r->pipeline->datasets[i];
        bool target = d->kind == DATASET_STREAMING_TABLE || d->kind == DATASET_MATERIALIZED_VIEW;
        if (target && d->statement->query && !add_flow(r, d->statement, d->name, d)) return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (statements[i]->kind != USTATEMENT_CREATE_FLOW) continue;
        if (register_flow(r, statements[i]) == STATUS_NO_MEMORY) return STATUS_NO_MEMORY;
    }
    return STATUS_OK;
}

static enum status check_sources_of_flow(struct resolver *r) {
    for (uint32_t i = 0; i < r->pipeline->dataset_count; i++) {
        const struct dataset *d = r->pipeline->datasets[i];
        if (d->kind != DATASET_STREAMING_TABLE && d->kind != DATASET_MATERIALIZED_VIEW) continue;
        bool fed = false;
        for (uint32_t k = 0; k < r->flow_count; k++) fed |= r->flows[k].flow->target == d;
        if (fed || r->analysis->diagnostics->error_count) continue;
        (void)complain(r, (struct complaint){.span = d->statement->name.span, .condition = "PIPELINE_DATASET_WITHOUT_FLOW", .hint = "add AS SELECT …, or CREATE FLOW … INSERT INTO it"},
                       "nothing is written to `%s`", d->name);
    }
    return STATUS_OK;
}

// --- resolving ---

// Columns by name, as the target has them: missing ones are NULL, surplus ones an error.
static enum status by_name(struct resolver *r, struct flow_state *state, const struct type *schema) {
    struct plan_node *node = state->relation.node;
    struct expr **exprs = arena_alloc_array(r->arena, (size_t)schema->field_count + 1, sizeof *exprs);
    const char **names = arena_alloc_array(r->arena, (size_t)schema->field_count + 1, sizeof *names);
    if (!exprs || !names) return STATUS_NO_MEMORY;
    uint32_t used = 0;
    bool same = schema->field_count == node->attribute_count;
    for (uint32_t i = 0; i < schema->field_count; i++) {
        const struct field *f = &schema->fields[i];
        names[i] = f->name;
        uint32_t at = 0;
        while (at < node->attribute_count && !equal_ignoring_case(node->attributes[at].name, f->name)) at++;
        bool found = at < node->attribute_count;
        used += found;
        same &= found && at == i && type_equal(node->attributes[at].type, f->type);
        struct expr *e = found ? expr_of_attribute(r->arena, node, at) : expr_null(r->arena, f->type);
        if (!e || !(exprs[i] = expr_cast(r->arena, e, f->type, CAST_IMPLICIT))) return STATUS_NO_MEMORY;
    }
    if (used < node->attribute_count)
        return complain(r, (struct complaint){.span = state->flow->span, .condition = "INCOMPATIBLE_DATA_FOR_TABLE.EXTRA_COLUMNS"}, "the query has columns that `%s` has not",
                        state->flow->target->name);
    if (same) return STATUS_OK;
    struct plan_node *n = plan_project(r->arena, node, exprs, names, schema->field_count);
    return n && relation_of(r->arena, n, state->flow->target->name, &state->relation) ? STATUS_OK : STATUS_NO_MEMORY;
}

// The columns a CREATE gave its table; NULL if it gave none with types.
static const struct type *declared_columns(struct resolver *r, const struct ustatement *s) {
    struct field *fields = arena_alloc_array(r->arena, (size_t)s->column_count + 1, sizeof *fields);
    if (!fields || !s->column_count) return NULL;
    for (uint32_t i = 0; i < s->column_count; i++) {
        if (!s->columns[i].type) return NULL;
        fields[i] = (struct field){.name = s->columns[i].name, .type = s->columns[i].type, .nullable = !s->columns[i].not_null};
    }
    return type_struct(r->arena, fields, s->column_count);
}

static enum status fit_target(struct resolver *r, struct flow_state *state) {
    struct dataset *d = state->flow->target;
    if (!d->schema) d->schema = declared_columns(r, d->statement);
    if (d->schema) return by_name(r, state, d->schema);
    const struct plan_node *node = state->relation.node;
    struct field *fields = arena_alloc_array(r->arena, (size_t)node->attribute_count + 1, sizeof *fields);
    if (!fields) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < node->attribute_count; i++)
        fields[i] = (struct field){.name = node->attributes[i].name, .type = node->attributes[i].type, .nullable = node->attributes[i].nullable};
    return (d->schema = type_struct(r->arena, fields, node->attribute_count)) ? STATUS_OK : STATUS_NO_MEMORY;
}

static enum status choose_mode(struct resolver *r, const struct flow_state *state) {
    const struct dataset *d = state->flow->target;
    r->mode = READ_BATCH;
    if (d->kind != DATASET_MATERIALIZED_VIEW) return STATUS_OK;
    struct survey s = {.source_count = 0};
    survey_query(r, state->statement->query, &s);
    if (s.uses_stream)
        return complain(r, (struct complaint){.span = s.stream_span, .condition = "INVALID_FLOW_QUERY_TYPE.STREAMING_RELATION_FOR_MATERIALIZED_VIEW", .label = "a stream",
                        .hint = "leave STREAM out: a materialized view follows its sources by itself"}, "materialized view `%s` must not read a STREAM", d->name);
    r->mode = s.unbounded_count ? READ_UNBOUNDED : READ_GROWING;
    return STATUS_OK;
}

static enum status resolve_flow(struct resolver *r, struct flow_state *state) {
    if (state->phase == PHASE_DONE) return STATUS_OK;
    if (state->phase == PHASE_FAILED) return STATUS_INVALID_QUERY;
    if (state->phase == PHASE_RESOLVING)
        return complain(r, (struct complaint){.span = state->flow->span, .condition = "LEAT_CYCLE", .label = "reads itself"}, "`%s` reads itself, perhaps through others",
                        state->flow->target->name);
    state->phase = PHASE_RESOLVING;
    enum read_mode mode = r->mode;
    const struct dataset *target = r->target;
    struct cte *ctes = r->ctes;
    const struct ustatement *reader = r->statement;
    r->target = state->flow->target;
    r->statement = state->statement;
    r->ctes = NULL;
    enum status s = choose_mode(r, state);
    if (s == STATUS_OK) s = resolve_query(r, state->statement->query, NULL, &state->relation);
    if (s == STATUS_OK) s = fit_target(r, state);
    r->mode = mode;
    r->target = target;
    r->statement = reader;
    r->ctes = ctes;
    if (s == STATUS_OK && state->flow->target->kind == DATASET_STREAMING_TABLE) s = plan_emit_closed(r, &state->relation.node);
    state->phase = s == STATUS_OK ? PHASE_DONE : PHASE_FAILED;
    if (s == STATUS_OK) state->flow->root = state->relation.node;
    return s;
}

// ORDER BY at the end of a table's query says nothing about the table.
static enum status drop_order(struct resolver *r, struct plan_node **root) {
    if ((*root)->kind == PLAN_SORT) {
        *root = (*root)->inputs[0];
    } else if ((*root)->kind == PLAN_PROJECT && (*root)->inputs[0]->kind == PLAN_SORT) {
        if (!(*root = plan_copy(r->arena, *root))) return STATUS_NO_MEMORY;
        (*root)->inputs[0] = (*root)->inputs[0]->inputs[0];
    }
    return STATUS_OK;
}

enum status resolve_dataset_root(struct resolver *r, struct dataset *d, struct span span, struct relation *out) {
    struct plan_node *roots[64];
    uint32_t count = 0;
    struct dataset_state *cache = &r->states[d->index];
    if (cache->cached[0].node) return *out = cache->cached[0], STATUS_OK;
    TRY(enter(r, span));
    enum status s = STATUS_OK;
    for (uint32_t i = 0; i < r->flow_count && s == STATUS_OK; i++) {
        if (r->flows[i].flow->target != d) continue;
        if (count == sizeof roots / sizeof *roots) s = complain_not_yet(r, span, "reading a table that more than 64 flows write");
        else if ((s = resolve_flow(r, &r->flows[i])) == STATUS_OK) roots[count++] = r->flows[i].flow->root;
    }
    leave(r);
    TRY(s);
    if (!count) return STATUS_INVALID_QUERY;  // nothing feeds it: said where it is checked
    if (d->kind == DATASET_MATERIALIZED_VIEW) TRY(drop_order(r, &roots[0]));
    struct plan_node *node = roots[0];
    if (count > 1) {
        node = plan_new(r->arena, PLAN_UNION, count, roots[0]->attribute_count);
        if (!node) return STATUS_NO_MEMORY;
        node->all = true;
        for (uint32_t i = 0; i < count; i++) {
            node->inputs[i] = roots[i];
            node->streaming |= roots[i]->streaming;
        }
        for (uint32_t k = 0; k < node->attribute_count; k++) {
            node->attributes[k] = roots[0]->attributes[k];
            for (uint32_t i = 1; i < count; i++) {
                struct lineage so_far = node->attributes[k].lineage;
                node->attributes[k].nullable |= roots[i]->attributes[k].nullable;
                TRY(lineage_union(r->arena, &so_far, &roots[i]->attributes[k].lineage, &node->attributes[k].lineage));
            }
        }
    }
    if (!relation_of(r->arena, node, d->name, out)) return STATUS_NO_MEMORY;
    cache->cached[0] = *out;
    return STATUS_OK;
}

static enum status derive_tree(struct resolver *r, struct plan_node *root) {
    struct plan_node **nodes;
    uint32_t count;
    TRY(plan_nodes(r->arena, r->analysis->memory, &root, 1, &nodes, &count));
    for (uint32_t i = 0; i < count; i++) TRY(plan_derive(r->arena, nodes[i]));
    return STATUS_OK;
}

static enum status plan_flow(struct resolver *r, struct flow_state *state) {
    struct flow *f = state->flow;
    TRY(plan_limit_ranks(r, &f->root));
    TRY(derive_tree(r, f->root));
    TRY(check_streaming(r, f));
    TRY(check_sources(r, f->root));
    TRY(drop_order(r, &f->root));
    TRY(optimize_tree(r, &f->root));
    TRY(derive_tree(r, f->root));
    TRY(plan_drop_late(r, &f->root));
    return finish_target(r, f);
}

static enum status plan_all(struct resolver *r) {
    // All are resolved before the first is changed: they share nodes.
    for (uint32_t i = 0; i < r->flow_count; i++)
        if (resolve_flow(r, &r->flows[i]) == STATUS_NO_MEMORY) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < r->flow_count; i++) {
        struct flow_state *state = &r->flows[i];
        if (state->phase != PHASE_DONE) continue;
        enum status s = plan_flow(r, state);
        if (s == STATUS_NO_MEMORY) return s;
        if (s != STATUS_OK) state->phase = PHASE_FAILED;
    }
    // Sources and views that no flow reads are checked too.
    for (uint32_t i = 0; i < r->pipeline->dataset_count; i++) {
        struct dataset *d = r->pipeline->datasets[i];
        bool read = r->states[i].check_phase[0] != PHASE_NEW || r->states[i].check_phase[1] != PHASE_NEW;
        if (d->kind == DATASET_SOURCE && !read) {
            enum status s = dataset_schema(r, d, d->statement->span);
            if (s == STATUS_OK && d->connector) s = check_source(r, d, true, d->statement->name.span);
            if (s == STATUS_NO_MEMORY) return s;
        }
        bool touched = false;
        for (int m = 0; m < READ_MODE_COUNT; m++) touched |= r->states[i].phase[m] != PHASE_NEW;
        if (d->kind != DATASET_VIEW || touched || !d->statement->query) continue;
        const char *parts[1] = {d->name};
        struct urelation u = {.kind = UREL_TABLE, .name = {.parts = parts, .part_count = 1, .span = d->statement->name.span}, .span = d->statement->name.span};
        struct relation ignored;
        r->mode = READ_GROWING;
        if (resolve_table(r, &u, &ignored) == STATUS_NO_MEMORY) return STATUS_NO_MEMORY;
        r->mode = READ_BATCH;
    }
    return STATUS_OK;
}

static enum status make_graph(struct resolver *r) {
    struct pipeline *p = r->pipeline;
    p->flows = arena_alloc_array(r->arena, (size_t)r->flow_count + 1, sizeof *p->flows);
    if (!p->flows) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < r->flow_count; i++) {
        if (r->flows[i].phase != PHASE_DONE) continue;
        r->flows[i].flow->index = p->flow_count;
        p->flows[p->flow_count++] = r->flows[i].flow;
    }
    TRY(graph_share(r->arena, r->analysis->memory, p->flows, p->flow_count, p));
    // What the session says of the meaning of a query is part of it.
    const struct timezone *zone = r->analysis->session->zone;
    const char *zone_name = zone ? timezone_name(zone) : "UTC";
    for (uint32_t i = 0; i < p->flow_count; i++) {
        TRY(plan_hash(r->analysis->memory, p->flows[i]->root, &p->flows[i]->hash));
        p->flows[i]->hash = checksum64(zone_name, strlen(zone_name), p->flows[i]->hash);
    }
    return STATUS_OK;
}

enum status analyze_pipeline(const struct analysis *a, struct ustatement *const *statements, uint32_t statement_count, const char *text, struct pipeline **out) {
    struct pipeline *p = arena_alloc_zeroed(a->arena, sizeof *p);
    *out = p;
    if (!p) return STATUS_NO_MEMORY;
    p->text = text;
    struct resolver r = {.analysis = a, .arena = a->arena, .pipeline = p, .in_pipeline = true};
    TRY(register_all(&r, statements, statement_count));
    TRY(make_states(&r));
    TRY(plan_all(&r));
    TRY(check_sources_of_flow(&r));
    TRY(make_graph(&r));
    return a->diagnostics->error_count ? STATUS_INVALID_QUERY : STATUS_OK;
}
