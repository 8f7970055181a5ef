// SPDX-License-Identifier: Apache-2.0
// state.c: leat state FILE: what the operators of a pipeline keep, read from its data folder. The folder is not locked and not changed, so a
// pipeline may run on it. Keys and values are people's data: only their number is shown.
#include "cli/listing.h"
#include "plan/connector.h"
#include "stream/inspect.h"
#include "stream/verdict.h"
#include <stdio.h>

static const char state_help[] =
    "  leat state users.sql\n"
    "  leat state users.sql --data /tmp/d --json\n"
    "\n"
    "  --data DIR         the pipeline's data folder; default: leat-data beside the file\n"
    "  --set NAME=VALUE   as `leat run` was given it\n"
    "  --json             one JSON document\n"
    "\n"
    "As of the last epoch that was committed and written to the log, while a pipeline runs or when none does. keys: groups of an aggregation, rows\n"
    "that a join or a top-N keeps; bytes: in memory. watermark: what ends at it or before is closed; behind: how far the newest event time met is\n"
    "ahead of it; first ends: when the first open group ends. What a key is and holds is not shown.\n"
    "Exit 0; 1: there is no state to show; 5: the folder is damaged, or of a newer leat.\n";

struct state_options {
    const char *file, *data;
    struct settings settings;
    bool json;
};

struct showing {
    struct host *host;
    struct arena *arena;
    struct inspection inspection;
    struct pipeline *pipeline;
    struct execution *execution;
    struct state_line *lines;
    uint32_t line_count;
    bool file_differs;
};

static int read_options(struct state_options *o, int argc, char **argv) {
    const struct command *c = &state_command;
    for (int i = 1; i < argc; i++) {
        bool missing = false;
        const char *value;
        if (strcmp(argv[i], "--json") == 0) o->json = true;
        else if ((value = flag_value(argc, argv, &i, "--data", &missing))) o->data = value;
        else if ((value = flag_value(argc, argv, &i, "--set", &missing))) {
            if (!settings_add(&o->settings, value)) return usage_error(c, "--set takes NAME=VALUE, at most 64 times");
        } else if (missing) return usage_error(c, "%s needs a value", argv[i]);
        else if (argv[i][0] == '-' && argv[i][1]) return usage_error(c, "there is no option %s", argv[i]);
        else if (o->file) return usage_error(c, "one file at a time: %s, %s", o->file, argv[i]);
        else o->file = argv[i];
    }
    return o->file ? EXIT_OK : usage_error(c, "which file?");
}

static bool is_of_text(const struct showing *s, const char *flow_name) {
    const struct flow_entry *entry = durable_flow(&s->inspection.durable, flow_name);
    for (uint32_t i = 0; entry && i < s->pipeline->flow_count; i++) {
        if (strcmp(s->pipeline->flows[i]->name, flow_name) == 0) return s->pipeline->flows[i]->hash == entry->hash;
    }
    return true;
}

static bool has_state(const struct showing *s, const char *flow_name) {
    for (uint32_t i = 0; i < s->line_count; i++) {
        if (strcmp(s->lines[i].flow_name, flow_name) == 0) return true;
    }
    return false;
}

static const char *as_of(struct showing *s) {
    const struct inspection *i = &s->inspection;
    const char *open = i->durable.has_intent ? arena_printf(s->arena, "; epoch %llu is open", (unsigned long long)i->durable.last_epoch) : "";
    const char *running = i->owner_pid ? arena_printf(s->arena, "; leat runs on it (pid %d)", i->owner_pid) : "";
    if (!i->committed_epoch) return arena_printf(s->arena, "no epoch is committed yet%s%s", open ? open : "", running ? running : "");
    const char *previous = i->used_previous ? ", from the generation before the newest, which is damaged" : "";
    return arena_printf(s->arena, "as of epoch %llu, committed at %s%s%s%s", (unsigned long long)i->committed_epoch,
                        text_of_time(s->arena, i->committed_us, s->host->session.zone), previous, open ? open : "", running ? running : "");
}

static void add_line(struct showing *s, struct listing *l, const struct state_line *line) {
    const struct timezone *zone = s->host->session.zone;
    const char *what = line->operator_name;
    if (node_line(s->arena, &s->host->memory, line->node, &what) != STATUS_OK) l->failed = true;
    bool timed = line->watermark_us != NO_WATERMARK, open = line->earliest_us != INT64_MAX && line->key_count;
    const char *cells[] = {line->flow_name, what, text_of_number(s->arena, line->key_count), text_of_bytes(s->arena, line->size_bytes),
                           timed ? text_of_time(s->arena, line->watermark_us, zone) : NULL,
                           timed && line->newest_us != NO_WATERMARK ? text_of_duration(s->arena, line->newest_us - line->watermark_us) : NULL,
                           open ? text_of_time(s->arena, line->earliest_us, zone) : NULL};
    listing_row(l, cells);
}

static enum status print_table(struct showing *s, struct error *e) {
    static const char *const heads[] = {"flow", "operator", "keys", "bytes", "watermark", "behind", "first ends"};
    struct listing l;
    uint64_t keys = 0, bytes = 0;
    listing_init(&l, s->arena, &s->host->memory);
    for (uint32_t i = 0; i < 7; i++) listing_column(&l, heads[i], i == 2 || i == 3 || i == 5);
    for (uint32_t i = 0; i < s->line_count; i++) {
        add_line(s, &l, &s->lines[i]);
        keys += s->lines[i].key_count;
        bytes += s->lines[i].size_bytes;
    }
    const char *total[] = {"total", NULL, text_of_number(s->arena, keys), text_of_bytes(s->arena, bytes), NULL, NULL, NULL};
    listing_row(&l, total);
    const char *when = as_of(s);
    if (when) printf("%s\n", when);
    TRY(listing_print(&l, e));
    for (uint32_t i = 0; i < s->pipeline->flow_count; i++) {
        const char *name = s->pipeline->flows[i]->name;
        if (!has_state(s, name)) printf("%s keeps no state\n", name);
    }
    return STATUS_OK;
}

static enum status json_time(struct buffer *out, const char *name, int64_t us, bool known) {
    if (!known) return json_text(out, name, NULL);
    struct arena a;
    arena_init(&a, out->memory);
    enum status status = json_text(out, name, text_of_time(&a, us, NULL));
    arena_release(&a);
    return status;
}

static enum status json_line(struct showing *s, const struct state_line *line, struct buffer *out) {
    const char *what = NULL;
    TRY(node_line(s->arena, &s->host->memory, line->node, &what));
    TRY(buffer_printf(out, "{\"position\":%u,\"keys\":%llu,\"bytes\":%zu", line->position, (unsigned long long)line->key_count, line->size_bytes));
    TRY(json_text(out, "flow", line->flow_name));
    TRY(json_text(out, "operator", line->operator_name));
    TRY(json_text(out, "plan", what));
    TRY(json_time(out, "watermark", line->watermark_us, line->watermark_us != NO_WATERMARK));
    TRY(json_time(out, "newestEventTime", line->newest_us, line->newest_us != NO_WATERMARK));
    TRY(json_time(out, "firstEnds", line->earliest_us, line->earliest_us != INT64_MAX && line->key_count));
    return buffer_append_byte(out, '}');
}

static enum status print_json(struct showing *s, struct buffer *out) {
    const struct inspection *i = &s->inspection;
    uint64_t keys = 0, bytes = 0;
    TRY(buffer_printf(out, "{\"id\":\"%s\"", text_of_uuid(s->arena, i->pipeline)));
    TRY(json_text(out, "folder", i->folder));
    unsigned long long committed = i->committed_epoch, open = i->durable.has_intent ? i->durable.last_epoch : 0;
    TRY(buffer_printf(out, ",\"pid\":%d,\"epoch\":%llu,\"openEpoch\":%llu,\"usedPreviousGeneration\":%s,\"fileDiffers\":%s", i->owner_pid, committed, open,
                      i->used_previous ? "true" : "false", s->file_differs ? "true" : "false"));
    TRY(json_time(out, "committedAt", i->committed_us, i->committed_epoch != 0));
    TRY(buffer_append_string(out, ",\"operators\":["));
    for (uint32_t k = 0; k < s->line_count; k++) {
        if (k) TRY(buffer_append_byte(out, ','));
        TRY(json_line(s, &s->lines[k], out));
        keys += s->lines[k].key_count;
        bytes += s->lines[k].size_bytes;
    }
    return buffer_printf(out, "],\"keys\":%llu,\"bytes\":%llu}\n", (unsigned long long)keys, (unsigned long long)bytes);
}

static enum status show(struct showing *s, const struct state_options *o, const struct sql_file *file, struct error *e) {
    struct host *h = s->host;
    const char *data = o->data ? o->data : arena_printf(s->arena, "%s/leat-data", file->base_folder);
    if (!data) return error_no_memory(e);
    TRY(inspect_open(&s->inspection, &h->memory, data, e));
    struct inspect_context context = {.arena = s->arena, .session = &h->session, .connectors = &all_connectors, .base_folder = file->base_folder,
                                      .log = &h->log,
                                      .settings = o->settings.items, .setting_count = o->settings.count};
    TRY(inspect_state(&s->inspection, &context, &s->pipeline, &s->execution, e));
    if (execution_state_lines(s->execution, s->arena, &s->lines, &s->line_count) != STATUS_OK) return error_no_memory(e);
    s->file_differs = strcmp(s->inspection.durable.text, file->text) != 0;
    if (s->file_differs)
        log_write(&h->log, LOG_WARN, "%s has changed since: this is the state of the text that ran; `leat check --against` says what it means",
                  file->path);
    for (uint32_t i = 0; i < s->pipeline->flow_count; i++) {
        const char *name = s->pipeline->flows[i]->name;
        if (!is_of_text(s, name))
            log_write(&h->log, LOG_WARN, "%s is planned otherwise than when it ran: other --set values, or another version of leat", name);
    }
    if (!o->json) return print_table(s, e);
    struct buffer out;
    buffer_init(&out, &h->memory);
    enum status status = print_json(s, &out);
    if (status == STATUS_OK) fwrite(out.data, 1, out.size_bytes, stdout);
    buffer_release(&out);
    return status == STATUS_OK ? STATUS_OK : error_no_memory(e);
}

static int state_main(struct host *h, int argc, char **argv) {
    struct state_options o = {0};
    struct arena a;
    struct diagnostics d;
    struct sql_file file;
    struct error e = {0};
    int code = read_options(&o, argc, argv);
    if (code) return code;
    arena_init(&a, &h->memory);
    diagnostics_init(&d, &h->memory, NULL);
    struct showing s = {.host = h, .arena = &a};
    enum status status = sql_file_read(h, &a, o.file, &o.settings, &file, &d, &e);
    print_diagnostics(h, &d);
    if (status == STATUS_OK) status = show(&s, &o, &file, &e);
    if (status != STATUS_OK && !d.error_count) say_error(h, &e);
    execution_free(s.execution);
    inspect_release(&s.inspection);
    diagnostics_release(&d);
    arena_release(&a);
    return exit_code_of(status);
}

const struct command state_command = {"state", "state FILE.sql [--data DIR] [--set k=v] [--json]", "what a pipeline's operators keep", state_help,
                                      state_main};
