// SPDX-License-Identifier: Apache-2.0
// verdict.c: see verdict.h.
#include "stream/verdict.h"
#include "plan/analyzer.h"
#include "plan/resolver.h"
#include "stream/settings.h"
#include <stdio.h>

// The text of the log, planned now.
struct old_text {
    struct pipeline *pipeline;      // NULL: it cannot be planned, and `why` says why
    const char *why;
    const struct timezone *zone;    // of its session
};

static enum status plan_old_text(const struct verdict_request *r, struct old_text *out, struct error *e) {
    struct session *session = arena_alloc_zeroed(r->arena, sizeof *session);
    char *text = arena_strdup(r->arena, r->durable->text);
    struct ustatement **statements = NULL;
    uint32_t count = 0;
    if (!session || !text) return error_no_memory(e);
    *session = *r->session_before;
    struct source_text source = {.name = "<the pipeline as it was>", .text = text, .size_bytes = strlen(text)};
    struct diagnostics d;
    diagnostics_init(&d, r->memory, &source);
    struct analysis analysis = {.arena = r->arena, .session = session, .connectors = r->connectors, .base_folder = r->base_folder,
                                .memory = r->memory,
                                .log = r->log, .diagnostics = &d};
    struct pipeline *pipeline = NULL;
    enum status status = settings_parse(r->arena, session, text, source.size_bytes, r->settings, r->setting_count, &d, &statements, &count, e);
    if (status == STATUS_OK) status = analyze_pipeline(&analysis, statements, count, text, &pipeline);
    out->zone = session->zone;
    if (status == STATUS_OK && !d.error_count) out->pipeline = pipeline;
    else if (status != STATUS_NO_MEMORY) {
        const struct diagnostic *first = d.items.count ? vector_at(&d.items, 0) : NULL;
        out->why = arena_printf(r->arena, "the text of then cannot be planned any more%s%s", first ? ": " : "", first ? first->error.message : "");
        status = out->why ? STATUS_OK : STATUS_NO_MEMORY;
    }
    diagnostics_release(&d);
    return status == STATUS_NO_MEMORY ? error_no_memory(e) : status;
}

static const struct flow *flow_named(const struct pipeline *p, const char *name) {
    for (uint32_t i = 0; p && i < p->flow_count; i++) {
        if (strcmp(p->flows[i]->name, name) == 0) return p->flows[i];
    }
    return NULL;
}

static enum status no_rows(void *context, uint32_t worker, struct batch *b, struct error *e) {
    (void)context, (void)worker, (void)b;
    return error_set(e, STATUS_INTERNAL, NULL, "a plan that was only to be compared was run");
}

// The operators of a flow that keep state, as an execution of it names them.
static enum status state_of(const struct verdict_request *r, const struct flow *f, struct execution **x, struct state_line **lines, uint32_t *count,
                            struct error *e) {
    struct output output = {.root = f->root, .flow_name = f->name, .write = no_rows};
    struct execution_config config = {.session = r->session, .memory = r->memory, .worker_count = 1, .outputs = &output, .output_count = 1,
                                      .base_folder = r->base_folder, .log = r->log};
    TRY(execution_new(&config, x, e));
    return execution_state_lines(*x, r->arena, lines, count) == STATUS_OK ? STATUS_OK : error_no_memory(e);
}

// Is every state the same, at the same place, over the same plan? Then it means the same. *first: an operator of the old query that keeps state.
static enum status compare_state(const struct verdict_request *r, const struct flow *old, const struct flow *now, bool *same, const char **first,
                                 struct error *e) {
    struct execution *before = NULL, *after = NULL;
    struct state_line *a = NULL, *b = NULL;
    uint32_t a_count = 0, b_count = 0;
    enum status status = state_of(r, old, &before, &a, &a_count, e);
    if (status == STATUS_OK) status = state_of(r, now, &after, &b, &b_count, e);
    *same = a_count == b_count;
    *first = a_count ? a[a_count - 1].operator_name : b_count ? b[b_count - 1].operator_name : NULL;
    for (uint32_t i = 0; i < a_count && *same && status == STATUS_OK; i++) {
        uint64_t old_hash = 0, new_hash = 0;
        if (plan_hash(r->memory, a[i].node, &old_hash) != STATUS_OK || plan_hash(r->memory, b[i].node, &new_hash) != STATUS_OK)
            status = error_no_memory(e);
        *same = a[i].position == b[i].position && a[i].description == b[i].description && old_hash == new_hash;
    }
    execution_free(before);
    execution_free(after);
    return status;
}

static void add_reason(struct flow_verdict *v, const char *text) {
    if (text && v->reason_count < VERDICT_REASONS) v->reasons[v->reason_count++] = text;
}

// Columns of what it writes: a topic and what keeps nothing have none of their own.
static bool keeps_columns(const struct flow *f) {
    const struct sink_class *sink = f->target->connector ? f->target->connector->sink : NULL;
    return !sink || !(sink->capabilities & (SINK_FORGETFUL | SINK_KEEPS));
}

static const char *zone_name(const struct timezone *zone) { return zone ? timezone_name(zone) : "UTC"; }

static enum status judge_change(const struct verdict_request *r, const struct flow *old, const struct timezone *old_zone, const struct flow *now,
                                struct flow_verdict *v,
                                struct error *e) {
    struct flow_changes changes;
    bool same_zone = strcmp(zone_name(old_zone), zone_name(r->session->zone)) == 0;  // texts become times in it, below the state too
    bool same_state = false;
    const char *operator_name = NULL, *why = NULL;
    if (flow_changes_of(r->arena, r->memory, old, now, &changes) != STATUS_OK) return error_no_memory(e);
    TRY(compare_state(r, old, now, &same_state, &operator_name, e));
    if (old->target->kind != now->target->kind) why = "it was another kind of table";
    else if (now->target->kind == DATASET_MATERIALIZED_VIEW) {
        why = "a materialized view always equals its query over everything read so far, and what was read was computed by the old one";
    } else if (now->root->changes == CHANGES_RETRACT) why = "its rows change, and those written so far were computed by the old query";
    else if (!changes.same_sources) why = "its positions belong to the sources of the old query";
    else if (!changes.same_key) why = "its table is kept by the old key";
    else if (!same_state || (!same_zone && operator_name)) {
        why = arena_printf(r->arena, "what %s keeps was made by the old query", operator_name ? operator_name : "it");
        if (!why) return error_no_memory(e);
    } else if (!changes.same_columns && keeps_columns(now)) why = "its table has the columns of the old query";
    v->verdict = why ? VERDICT_REFUSED : VERDICT_TAKEN_OVER;
    add_reason(v, why);
    if (!same_zone)
        add_reason(v, arena_printf(r->arena, "the session's time zone was %s and is %s", zone_name(old_zone), zone_name(r->session->zone)));
    if (!same_zone && changes.says_nothing) return STATUS_OK;
    for (uint32_t i = 0; i < changes.reason_count; i++) add_reason(v, changes.reasons[i]);
    return STATUS_OK;
}

static enum status judge(const struct verdict_request *r, const struct flow *f, const struct flow_entry *entry, const struct old_text *old,
                         struct flow_verdict *v, struct error *e) {
    *v = (struct flow_verdict){.flow_name = f->name, .target_name = f->target->name, .verdict = VERDICT_NEW};
    if (!entry || !entry->started) return STATUS_OK;
    v->verdict = VERDICT_ANEW;
    if (r->refreshed && r->refreshed(r->context, f)) return STATUS_OK;
    v->verdict = VERDICT_UNCHANGED;
    if (entry->hash == f->hash) return STATUS_OK;
    const struct flow *before = flow_named(old->pipeline, f->name);
    v->verdict = VERDICT_REFUSED;
    if (before && before->hash == entry->hash) return judge_change(r, before, old->zone, f, v, e);
    add_reason(v, "what the query was cannot be told for sure, so what it left cannot be taken over");
    if (!before) add_reason(v, old->why);
    else {
        const char *what = before->hash == f->hash ? "its text is the same, and was planned with" : "the text of then means something else now, with";
        add_reason(v, arena_printf(r->arena, "%s other --set values (a time zone), another version of leat, or other columns of its sources", what));
    }
    return STATUS_OK;
}

// A folder whose flows are all unknown to the file is another file's, given by mistake: two files beside each other share a default folder.
static enum status check_same_pipeline(const struct verdict_request *r, struct error *e) {
    const char *other = NULL;
    for (size_t i = 0; i < r->durable->flows.count; i++) {
        const struct flow_entry *entry = *(struct flow_entry **)vector_at(&r->durable->flows, i);
        if (flow_named(r->pipeline, entry->name)) return STATUS_OK;
        if (entry->started) other = entry->name;
    }
    if (!other) return STATUS_OK;
    error_set(e, STATUS_CONFLICT, "LEAT_QUERY_CHANGED", "the data folder `%s` belongs to another pipeline: it has `%s`, and no table of this file",
              r->data_folder, other);
    error_set_hint(e, "give this file a folder of its own with --data DIR, or begin anew in this one with --full-refresh-all (what it knows of "
                      "the other is dropped)");
    return STATUS_CONFLICT;
}

static bool any_changed(const struct verdict_request *r) {
    for (uint32_t i = 0; i < r->pipeline->flow_count; i++) {
        const struct flow *f = r->pipeline->flows[i];
        const struct flow_entry *entry = durable_flow(r->durable, f->name);
        if (entry && entry->started && entry->hash != f->hash && !(r->refreshed && r->refreshed(r->context, f))) return true;
    }
    return false;
}

enum status verdict_flows(const struct verdict_request *r, struct flow_verdict **out, uint32_t *count, struct error *e) {
    const struct pipeline *p = r->pipeline;
    struct old_text old = {.why = "the log does not have its text"};
    *count = 0;
    *out = arena_alloc_array(r->arena, p->flow_count + r->durable->flows.count + 1, sizeof **out);
    if (!*out) return error_no_memory(e);
    if (!r->all_anew) TRY(check_same_pipeline(r, e));
    if (r->durable->text && any_changed(r)) TRY(plan_old_text(r, &old, e));
    for (uint32_t i = 0; i < p->flow_count; i++)
        TRY(judge(r, p->flows[i], durable_flow(r->durable, p->flows[i]->name), &old, &(*out)[(*count)++], e));
    for (size_t i = 0; i < r->durable->flows.count; i++) {
        const struct flow_entry *entry = *(struct flow_entry **)vector_at(&r->durable->flows, i);
        if (!flow_named(p, entry->name)) (*out)[(*count)++] = (struct flow_verdict){.flow_name = entry->name, .verdict = VERDICT_REMOVED};
    }
    return STATUS_OK;
}

enum status verdict_refusal(const struct flow_verdict *v, struct error *e) {
    char reasons[700] = "";
    for (uint32_t i = 0, at = 0; i < v->reason_count && at < sizeof reasons - 1; i++) {
        int n = snprintf(reasons + at, sizeof reasons - at, "%s%s", i == 0 ? ": " : i == 1 ? " (" : "; ", v->reasons[i]);
        at += n < 0 ? 0 : (uint32_t)n;
    }
    error_set(e, STATUS_CONFLICT, "LEAT_QUERY_CHANGED",
              "the query of `%s` has changed since the last run; its state and its table belong to the old one%s%s", v->flow_name, reasons,
              v->reason_count > 1 ? ")" : "");
    error_set_hint(e, "build it anew with --full-refresh %s, or give the new query another name", v->target_name);
    return STATUS_CONFLICT;
}
