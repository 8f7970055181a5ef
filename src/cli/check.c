// SPDX-License-Identifier: Apache-2.0
// check.c: leat check FILE.sql…: parses, resolves and plans without touching a path, a network or a server. All errors of a file at once.
// With --against DIR: what `leat run` would do with what that folder holds; the folder is read only, and a pipeline may run on it.
#include "cli/listing.h"
#include "stream/inspect.h"
#include "stream/settings.h"
#include "stream/verdict.h"
#include <stdio.h>

static const char check_help[] =
    "  leat check users.sql\n"
    "  leat check --portable users.sql     what Spark's own runtime would not accept\n"
    "  leat check pipelines/*.sql --set topic=t\n"
    "  leat check users.sql --against /srv/leat-data     may this text go on where the old one stopped?\n"
    "\n"
    "  --set NAME=VALUE   a ${NAME} of the file, or a setting; may be repeated\n"
    "  --portable         list each use of what goes beyond Spark's runtime\n"
    "  --explain          print the plan of every flow\n"
    "  --against DIR      compare with what the data folder DIR holds, as `leat run FILE --data DIR` would\n"
    "\n"
    "With --against there is a verdict for each table:\n"
    "  unchanged   its bound plan is the same (comments, names of charts, rates and brokers do not count)\n"
    "  new         it reads from its start\n"
    "  yes         the query of a streaming table has changed where nothing is kept: in filters and columns over its source, or after its\n"
    "              last window, join or aggregation. Rows from now on are computed by the new query; those already written stay as they\n"
    "              are, as in Spark and in an incremental dbt model\n"
    "  no          a materialized view (it equals its query over everything read so far), other sources, keys, aggregates, windows, delays,\n"
    "              join conditions, or columns of a table that keeps its own. The ways out: --full-refresh NAME, or another name\n"
    "  removed     its state is dropped, its table stays\n"
    "For it the file is planned as when it runs: a table that declares no columns is asked for them. What stores hold is compared by\n"
    "`leat run` alone.\n"
    "Exit 0: every file checks, and `leat run` would start; 3: one does not; 5: the folder is damaged, another pipeline's, or a newer leat's.\n";

struct check_options {
    struct settings settings;
    bool portable, explain;
    const char *against;
    const char **files;
    uint32_t file_count;
};

static void note(struct diagnostics *d, struct span span, const char *message, const char *label) {
    struct error e;
    error_set(&e, STATUS_OK, "LEAT_NOT_PORTABLE", "%s", message);
    error_set_label(&e, "%s", label);
    e.span = span;
    (void)!diagnostics_add(d, SEVERITY_NOTE, &e);
}

static void walk_query(struct diagnostics *d, const struct uquery *q, const struct pipeline *p);

static void walk_relation(struct diagnostics *d, const struct urelation *r, const struct pipeline *p) {
    if (!r) return;
    if (r->kind == UREL_TABLE && r->stream) {
        for (uint32_t i = 0; i < p->dataset_count; i++) {
            const struct dataset *t = p->datasets[i];
            if (strcmp(t->name, r->name.parts[r->name.part_count - 1]) != 0) continue;
            if (t->kind == DATASET_SOURCE) note(d, r->span, "STREAM over a table of this kind is refused by Spark", "Spark: \"source has a fixed schema\"");
            if (t->kind == DATASET_VIEW) note(d, r->span, "STREAM over a batch view is refused by Spark", "Spark streams tables only");
        }
    }
    walk_relation(d, r->left, p);
    walk_relation(d, r->right, p);
    walk_query(d, r->query, p);
}

static void walk_query(struct diagnostics *d, const struct uquery *q, const struct pipeline *p) {
    if (!q) return;
    for (uint32_t i = 0; i < q->cte_count; i++) walk_query(d, q->ctes[i].query, p);
    walk_relation(d, q->from, p);
    walk_relation(d, q->relation, p);
    walk_query(d, q->left, p);
    walk_query(d, q->right, p);
}

static void list_unportable(struct diagnostics *d, struct ustatement *const *statements, uint32_t count, const struct pipeline *p) {
    for (uint32_t i = 0; i < count; i++) {
        const struct ustatement *s = statements[i];
        if (s->kind == USTATEMENT_CREATE_TABLE) note(d, s->name.span, "CREATE TABLE inside a declarative pipeline is refused by Spark", "create it outside of the pipeline there");
        if ((s->kind == USTATEMENT_CREATE_STREAMING_TABLE || s->kind == USTATEMENT_CREATE_MATERIALIZED_VIEW) && s->provider) {
            note(d, s->provider_span, "a pipeline's table with a connector other than a table format fails when Spark runs it", "leat writes to it");
        }
        walk_query(d, s->query, p);
    }
}

static const char *word_of(const struct flow_verdict *v) {
    switch (v->verdict) {
    case VERDICT_NEW: return "new: it reads from its start";
    case VERDICT_ANEW: return "built anew";
    case VERDICT_UNCHANGED: return "unchanged";
    case VERDICT_TAKEN_OVER: return "yes: rows from now on are computed by the new query; those already written stay as they are";
    case VERDICT_REFUSED: return "no";
    case VERDICT_REMOVED: return "removed: its state is dropped, its table stays";
    }
    return "?";
}

static void print_verdict(const struct flow_verdict *v) {
    bool refused = v->verdict == VERDICT_REFUSED;
    printf("%s: %s%s%s\n", v->flow_name, word_of(v), refused && v->reason_count ? ", because " : "", refused && v->reason_count ? v->reasons[0] : "");
    for (uint32_t i = refused; i < v->reason_count; i++) printf("  %s\n", v->reasons[i]);
    if (refused) printf("  ways out: leat run --full-refresh %s builds it anew; under another name both stay\n", v->target_name);
}

// STATUS_INVALID_QUERY: `leat run` would refuse it, and why is said.
static enum status compare_with_folder(struct host *h, const struct check_options *o, struct arena *a, const struct sql_file *file, const struct session *before,
                                       const struct pipeline *pipeline, struct error *e) {
    struct inspection inspection;
    struct flow_verdict *verdicts;
    uint32_t count = 0, refused = 0;
    enum status status = inspect_open(&inspection, &h->memory, o->against, e);
    const struct durable *d = &inspection.durable;
    struct verdict_request request = {.arena = a, .memory = &h->memory, .session = &h->session, .session_before = before, .connectors = &all_connectors,
                                      .base_folder = file->base_folder, .data_folder = o->against, .log = &h->log, .settings = o->settings.items,
                                      .setting_count = o->settings.count, .durable = d, .pipeline = pipeline};
    if (status == STATUS_OK) {
        status = verdict_flows(&request, &verdicts, &count, e);
        if (status == STATUS_CONFLICT) status = e->status = STATUS_INVALID_QUERY;  // another file's folder: it would not start
    }
    if (status == STATUS_OK && d->has_intent) printf("epoch %llu is open: leat run finishes it first, as it was begun\n", (unsigned long long)d->last_epoch);
    for (uint32_t i = 0; status == STATUS_OK && i < count; i++) {
        print_verdict(&verdicts[i]);
        refused += verdicts[i].verdict == VERDICT_REFUSED;
    }
    inspect_release(&inspection);
    if (status != STATUS_OK || !refused) return status;
    return error_set(e, STATUS_INVALID_QUERY, "LEAT_QUERY_CHANGED", "%u of %u tables cannot go on with what `%s` holds", refused, count, o->against);
}

static enum status check_text(struct host *h, const struct check_options *o, struct arena *a, const struct sql_file *file, struct diagnostics *d, struct error *e) {
    struct ustatement **statements = NULL;
    struct pipeline *pipeline = NULL;
    uint32_t count = 0;
    struct analysis analysis = {.arena = a, .session = &h->session, .connectors = &all_connectors, .base_folder = file->base_folder, .memory = &h->memory,
                                .log = &h->log, .diagnostics = d, .offline = !o->against};
    struct session before = h->session;
    TRY(settings_parse(a, &h->session, file->text, file->size_bytes, o->settings.items, o->settings.count, d, &statements, &count, e));
    enum status status = analyze_pipeline(&analysis, statements, count, file->text, &pipeline);
    if (status == STATUS_NO_MEMORY) return error_no_memory(e);
    if (status == STATUS_OK && settings_check_tables(pipeline, d) != STATUS_OK) return error_no_memory(e);
    if (status != STATUS_OK || d->error_count) return STATUS_OK;
    if (o->portable) list_unportable(d, statements, count, pipeline);
    for (uint32_t i = 0; o->explain && i < pipeline->flow_count; i++) {
        struct buffer text;
        buffer_init(&text, &h->memory);
        printf("-- %s\n", pipeline->flows[i]->name);
        if (plan_explain(pipeline->flows[i]->root, &text) == STATUS_OK) fwrite(text.data, 1, text.size_bytes, stdout);
        buffer_release(&text);
    }
    return o->against ? compare_with_folder(h, o, a, file, &before, pipeline, e) : STATUS_OK;
}

static int check_file(struct host *h, const struct check_options *o, const char *path) {
    struct arena a;
    struct diagnostics d;
    struct sql_file file;
    struct error e = {0};
    arena_init(&a, &h->memory);
    diagnostics_init(&d, &h->memory, NULL);
    enum status status = sql_file_read(h, &a, path, &o->settings, &file, &d, &e);
    if (status == STATUS_OK) status = check_text(h, o, &a, &file, &d, &e);
    print_diagnostics(h, &d);
    if (status != STATUS_OK && !d.error_count) say_error(h, &e);
    int code = d.error_count ? EXIT_CHECK : exit_code_of(status);
    if (d.error_count) fprintf(stderr, "%s: %zu error%s\n", path, d.error_count, d.error_count == 1 ? "" : "s");
    else if (code == EXIT_OK) fprintf(stderr, "%s: ok%s\n", path, d.warning_count ? ", with warnings" : "");
    diagnostics_release(&d);
    arena_release(&a);
    return code;
}

static int check_main(struct host *h, int argc, char **argv) {
    struct check_options o = {0};
    struct arena a;
    arena_init(&a, &h->memory);
    o.files = arena_alloc_array(&a, (size_t)argc, sizeof *o.files);
    int code = EXIT_OK;
    for (int i = 1; i < argc && o.files && code == EXIT_OK; i++) {
        bool missing = false;
        const char *value;
        if (strcmp(argv[i], "--portable") == 0) o.portable = true;
        else if (strcmp(argv[i], "--explain") == 0) o.explain = true;
        else if ((value = flag_value(argc, argv, &i, "--set", &missing))) code = settings_add(&o.settings, value) ? EXIT_OK : usage_error(&check_command, "--set takes NAME=VALUE");
        else if ((value = flag_value(argc, argv, &i, "--against", &missing))) o.against = value;
        else if (missing) code = usage_error(&check_command, "%s needs a value", argv[i]);
        else if (argv[i][0] == '-' && argv[i][1]) code = usage_error(&check_command, "there is no option %s", argv[i]);
        else o.files[o.file_count++] = argv[i];
    }
    if (code == EXIT_OK && !o.file_count) code = usage_error(&check_command, "which files?");
    if (code == EXIT_OK && o.against && o.file_count > 1) code = usage_error(&check_command, "--against compares one file with the folder, not %u", o.file_count);
    for (uint32_t i = 0; i < o.file_count && code != EXIT_USAGE; i++) {
        int one = check_file(h, &o, o.files[i]);
        if (one != EXIT_OK) code = one;
    }
    arena_release(&a);
    return code;
}

const struct command check_command = {"check", "check FILE.sql… [--portable] [--explain] [--against DIR] [--set k=v]", "parse, resolve and plan files, offline", check_help, check_main};
