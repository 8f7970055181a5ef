// SPDX-License-Identifier: Apache-2.0
// inspect_state.c: the state of a data folder in the operators it belongs to: the text of the log is planned, and nothing outside is opened but
// what must be asked for the columns of a table that declares none.
#include "stream/inspect.h"
#include "stream/settings.h"

static enum status plan_text(struct inspection *i, const struct inspect_context *c, struct pipeline **out, struct error *e) {
    struct ustatement **statements = NULL;
    uint32_t count = 0;
    const char *text = arena_strdup(c->arena, i->durable.text);
    if (!text) return error_no_memory(e);
    struct source_text source = {.name = "<the pipeline in the log>", .text = text, .size_bytes = strlen(text)};
    struct diagnostics d;
    diagnostics_init(&d, i->memory, &source);
    struct analysis analysis = {.arena = c->arena, .session = c->session, .connectors = c->connectors, .base_folder = c->base_folder,
                                .memory = i->memory,
                                .log = c->log, .diagnostics = &d};
    enum status status = settings_parse(c->arena, c->session, text, source.size_bytes, c->settings, c->setting_count, &d, &statements, &count, e);
    if (status == STATUS_OK) {
        status = analyze_pipeline(&analysis, statements, count, text, out);
        if (status == STATUS_NO_MEMORY) error_no_memory(e);
    }
    if ((status == STATUS_OK && d.error_count) || status == STATUS_INVALID_QUERY) {
        const struct diagnostic *first = d.items.count ? vector_at(&d.items, 0) : NULL;
        status = error_set(e, STATUS_CONFLICT, "LEAT_QUERY_CHANGED", "the text in the log cannot be planned%s%s", first ? ": " : "",
                           first ? first->error.message : "");
        error_set_hint(e, "look at it with the leat that runs it, and with the same --set values");
    }
    diagnostics_release(&d);
    return status;
}

static enum status restore(struct inspection *i, struct execution *x, struct error *e) {
    const struct durable *d = &i->durable;
    for (size_t k = 0; k < d->flows.count; k++) {
        const struct flow_entry *f = *(struct flow_entry **)vector_at(&d->flows, k);
        if (!f->started) execution_ignore_saved(x, f->name);
    }
    if (d->execution_snapshot.size_bytes) {
        struct reader in = reader_of(d->execution_snapshot.data, d->execution_snapshot.size_bytes);
        TRY(execution_restore(x, &in, e));
    }
    for (size_t k = 0; k < d->execution_changes.count; k++) {
        const struct buffer *b = *(struct buffer **)vector_at(&d->execution_changes, k);
        struct reader in = reader_of(b->data, b->size_bytes);
        TRY(execution_apply_changes(x, &in, e));
    }
    return STATUS_OK;
}

static enum status no_rows(void *context, uint32_t worker, struct batch *b, struct error *e) {
    (void)context, (void)worker, (void)b;
    return error_set(e, STATUS_INTERNAL, NULL, "a state that was only to be read was run");
}

enum status inspect_state(struct inspection *i, const struct inspect_context *c, struct pipeline **pipeline, struct execution **x, struct error *e) {
    *x = NULL;
    if (!i->durable.text) {
        error_set(e, STATUS_NOT_FOUND, "PATH_NOT_FOUND", "no pipeline has started on `%s` yet", i->folder);
        return STATUS_NOT_FOUND;
    }
    TRY(plan_text(i, c, pipeline, e));
    const struct pipeline *p = *pipeline;
    struct output *outputs = arena_alloc_array(c->arena, p->flow_count + 1, sizeof *outputs);
    if (!outputs) return error_no_memory(e);
    for (uint32_t k = 0; k < p->flow_count; k++)
        outputs[k] = (struct output){.root = p->flows[k]->root, .flow_name = p->flows[k]->name, .write = no_rows};
    struct execution_config config = {.session = c->session, .memory = i->memory, .worker_count = 1, .outputs = outputs,
                                      .output_count = p->flow_count,
                                      .base_folder = c->base_folder, .log = c->log};
    TRY(execution_new(&config, x, e));
    enum status status = restore(i, *x, e);
    if (status == STATUS_CONFLICT) error_set_hint(e, "it belongs to a plan of another version of leat, or of other --set values");
    return status;
}
