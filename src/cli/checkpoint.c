// SPDX-License-Identifier: Apache-2.0
// checkpoint.c: leat checkpoint show|verify DIR: what a data folder's log holds, and whether every byte of it is what was written. Read only: a
// pipeline may run on the folder.
#include "base/clock.h"
#include "cli/listing.h"
#include "json/json.h"
#include "stream/inspect.h"
#include <stdio.h>

static const char checkpoint_help[] =
    "  leat checkpoint show leat-data            files, epochs, positions, stores, flows\n"
    "  leat checkpoint show leat-data --json\n"
    "  leat checkpoint verify leat-data          every checksum of every generation\n"
    "\n"
    "A log has two generations: a snapshot each, and the journal of what happened since. A next start uses the newest; where its snapshot is\n"
    "damaged, the one before and both journals. The last write of a journal may be unfinished after a crash: that is no damage, the next\n"
    "start cuts it off.\n"
    "verify: exit 0: every file is whole; 1: one is damaged, or there is no log (file and byte are said, and what a next start would use);\n"
    "5: it is of a newer leat.\n";

struct checkpoint_options {
    bool verify, json;
    const char *folder;
};

static int read_options(struct checkpoint_options *o, int argc, char **argv) {
    const struct command *c = &checkpoint_command;
    const char *words[2];
    int count = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) o->json = true;
        else if (argv[i][0] == '-' && argv[i][1]) return usage_error(c, "there is no option %s", argv[i]);
        else if (count == 2) return usage_error(c, "one folder at a time: %s, %s", words[1], argv[i]);
        else words[count++] = argv[i];
    }
    if (!count) return usage_error(c, "show or verify?");
    o->verify = strcmp(words[0], "verify") == 0;
    if (!o->verify && strcmp(words[0], "show") != 0) return usage_error(c, "there is show and verify, and no `%s`", words[0]);
    if (count < 2) return usage_error(c, "which folder?");
    o->folder = words[1];
    return EXIT_OK;
}

// --- files ---

static const char *word_of(enum file_verdict v) {
    static const char *const words[] = {[FILE_GOOD] = "good", [FILE_UNFINISHED] = "unfinished", [FILE_DAMAGED] = "damaged",
                                        [FILE_TOO_NEW] = "too new"};
    return words[v];
}

static const char *epochs_of(struct arena *a, const struct log_file *f) {
    if (!f->commit_count) return "";
    const char *text = f->first_epoch == f->last_epoch ? arena_printf(a, "%llu", (unsigned long long)f->first_epoch)
                                                       : arena_printf(a, "%llu–%llu", (unsigned long long)f->first_epoch,
                                                                      (unsigned long long)f->last_epoch);
    return text ? text : "?";
}

static enum status print_files(struct host *h, struct arena *a, const struct log_report *r, struct error *e) {
    static const char *const heads[] = {"file", "bytes", "age", "records", "epochs", "state"};
    struct listing l;
    int64_t now_us = clock_now_us(NULL);
    listing_init(&l, a, &h->memory);
    for (uint32_t i = 0; i < 6; i++) listing_column(&l, heads[i], i > 0 && i < 4);
    for (size_t i = 0; i < r->files.count; i++) {
        const struct log_file *f = vector_at(&r->files, i);
        bool spare = f->generation > r->newest || f->generation + 1 < r->newest;
        const char *where = f->verdict == FILE_GOOD ? "" : arena_printf(a, " at byte %llu: %s", (unsigned long long)f->at_byte, f->why);
        const char *state = arena_printf(a, "%s%s%s", word_of(f->verdict), where ? where : "", spare ? " (left over: a next start removes it)" : "");
        const char *cells[] = {f->name, text_of_number(a, f->size_bytes), text_of_duration(a, now_us - f->written_us),
                               text_of_number(a, f->record_count), epochs_of(a, f), state};
        listing_row(&l, cells);
    }
    return listing_print(&l, e);
}

static enum status json_files(const struct log_report *r, struct buffer *out) {
    TRY(buffer_printf(out, "\"newestGeneration\":%u,\"usedGeneration\":%u,\"recoverable\":%s", r->newest, r->used,
                      r->recoverable ? "true" : "false"));
    TRY(json_text(out, "whyNot", r->recoverable ? NULL : r->why_not));
    TRY(buffer_append_string(out, ",\"files\":["));
    for (size_t i = 0; i < r->files.count; i++) {
        const struct log_file *f = vector_at(&r->files, i);
        TRY(buffer_printf(out, "%s{\"generation\":%u,\"bytes\":%llu,\"format\":%u,\"writtenAtMs\":%lld,\"records\":%llu,"
                          "\"commits\":%llu,\"firstEpoch\":%llu,\"lastEpoch\":%llu", i ? "," : "",
                          f->generation, (unsigned long long)f->size_bytes, f->version, (long long)(f->written_us / 1000), (unsigned long long)f->record_count,
                          (unsigned long long)f->commit_count, (unsigned long long)f->first_epoch, (unsigned long long)f->last_epoch));
        TRY(json_text(out, "name", f->name));
        TRY(json_text(out, "state", word_of(f->verdict)));
        if (f->verdict != FILE_GOOD) TRY(buffer_printf(out, ",\"atByte\":%llu", (unsigned long long)f->at_byte));
        if (f->verdict != FILE_GOOD) TRY(json_text(out, "why", f->why));
        TRY(buffer_append_byte(out, '}'));
    }
    return buffer_append_byte(out, ']');
}

static int finish_json(struct host *h, struct buffer *out, enum status status, int code) {
    struct error e;
    if (status == STATUS_OK) status = buffer_append_byte(out, '\n');
    if (status == STATUS_OK) fwrite(out->data, 1, out->size_bytes, stdout);
    buffer_release(out);
    if (status == STATUS_OK) return code;
    error_no_memory(&e);
    say_error(h, &e);
    return EXIT_DATA;
}

// --- verify ---

static bool too_new(const struct log_report *r) {
    for (size_t i = 0; i < r->files.count; i++) {
        if (((const struct log_file *)vector_at(&r->files, i))->verdict == FILE_TOO_NEW) return true;
    }
    return false;
}

static void say_damage(struct host *h, const struct checkpoint_options *o, const struct log_report *r) {
    struct error e;
    for (size_t i = 0; i < r->files.count; i++) {
        const struct log_file *f = vector_at(&r->files, i);
        if (f->verdict != FILE_DAMAGED && f->verdict != FILE_TOO_NEW) continue;
        error_set(&e, STATUS_CORRUPT, f->verdict == FILE_TOO_NEW ? "LEAT_FORMAT_TOO_NEW" : "LEAT_LOG_CORRUPT", "`%s/log/%s` is %s at byte %llu: %s",
                  o->folder, f->name, word_of(f->verdict),
                  (unsigned long long)f->at_byte, f->why);
        if (r->recoverable) {
            error_set_hint(&e, "nothing is lost: a next start uses generation %u, %s", r->used,
                           r->used < r->newest ? "the one before, with both journals" : "which is whole");
        } else error_set_hint(&e, "restore the whole data folder from a copy, or start anew with another --data folder; rows already in the sinks stay there");
        say_error(h, &e);
    }
    if (r->recoverable || too_new(r)) return;
    error_set(&e, STATUS_CORRUPT, "LEAT_LOG_CORRUPT", "a next start on `%s` would refuse it: %s", o->folder, r->why_not);
    say_error(h, &e);
}

static int verify_folder(struct host *h, struct arena *a, const struct checkpoint_options *o) {
    struct error e = {0};
    struct log_report r;
    enum status status = inspect_verify(&h->memory, o->folder, &r, &e);
    if (status != STATUS_OK) {
        say_error(h, &e);
        return status == STATUS_CORRUPT ? EXIT_DATA : exit_code_of(status);
    }
    int code = too_new(&r) ? EXIT_FIT : r.any_damage || !r.recoverable ? EXIT_DATA : EXIT_OK;
    if (o->json) {
        struct buffer out;
        buffer_init(&out, &h->memory);
        status = buffer_printf(&out, "{\"id\":\"%s\",", text_of_uuid(a, r.pipeline));
        if (status == STATUS_OK) status = json_files(&r, &out);
        if (status == STATUS_OK) status = buffer_append_byte(&out, '}');
        code = finish_json(h, &out, status, code);
    } else {
        if (print_files(h, a, &r, &e) != STATUS_OK) code = EXIT_DATA;
        if (r.recoverable)
            printf("a next start uses generation %u%s\n", r.used, r.used < r.newest ? ", the one before the newest, and both journals" : "");
    }
    say_damage(h, o, &r);
    log_report_release(&r);
    return code;
}

// --- show ---

// As Spark writes offsets: a partition, or a file, and the next record to be read.
static enum status print_positions(const struct vector *positions, struct buffer *out) {
    TRY(buffer_append_byte(out, '{'));
    for (size_t i = 0; i < positions->count; i++) {
        const struct position *p = vector_at(positions, i);
        if (i) TRY(buffer_append_byte(out, ','));
        if (p->name) TRY(json_write_string(p->name, strlen(p->name), out));
        else TRY(buffer_printf(out, "\"%u\"", p->partition));
        TRY(buffer_printf(out, ":%lld", (long long)p->offset));
    }
    return buffer_append_byte(out, '}');
}

static enum status json_flow(const struct flow_entry *f, struct buffer *out) {
    TRY(buffer_printf(out, "{\"hash\":\"%016llx\",\"started\":%s,\"refreshPending\":%s", (unsigned long long)f->hash, f->started ? "true" : "false",
                      f->refresh_pending ? "true" : "false"));
    TRY(json_text(out, "name", f->name));
    TRY(buffer_append_string(out, ",\"positions\":{"));
    for (size_t i = 0; i < f->sources.count; i++) {
        const struct flow_source *s = vector_at(&f->sources, i);
        if (i) TRY(buffer_append_byte(out, ','));
        TRY(json_write_string(s->source, strlen(s->source), out));
        TRY(buffer_append_byte(out, ':'));
        TRY(print_positions(&s->positions, out));
    }
    return buffer_append_string(out, "}}");
}

static enum status json_mark(struct buffer *out, const char *name, int64_t us) {
    return us == NO_WATERMARK ? json_text(out, name, NULL) : buffer_printf(out, ",\"%s\":%lld", name, (long long)us);
}

static enum status json_intent(struct arena *a, const struct durable *d, struct buffer *out) {
    struct intent i;
    struct error ignored;
    if (!d->has_intent) return buffer_append_string(out, ",\"open\":null");
    TRY(decode_intent(a, d->intent_bytes.data, d->intent_bytes.size_bytes, &i, &ignored));
    TRY(buffer_printf(out, ",\"open\":{\"epoch\":%llu,\"attempt\":%u,\"clockUs\":%lld,\"flows\":[", (unsigned long long)i.epoch, i.attempt,
                      (long long)i.clock_us));
    for (uint32_t k = 0; k < i.flow_count; k++) {
        if (k) TRY(buffer_append_byte(out, ','));
        TRY(json_write_string(i.flows[k], strlen(i.flows[k]), out));
    }
    TRY(buffer_append_string(out, "],\"ranges\":["));
    bool first = true;
    for (uint32_t k = 0; k < i.input_count; k++) {
        for (uint32_t n = 0; n < i.inputs[k].ranges.count; n++, first = false) {
            const struct range *g = &i.inputs[k].ranges.items[n];
            TRY(buffer_printf(out, "%s{\"partition\":%u,\"begin\":%lld,\"end\":%lld", first ? "" : ",", g->partition, (long long)g->begin,
                              (long long)g->end));
            TRY(json_text(out, "source", i.inputs[k].source));
            TRY(json_text(out, "name", g->name));
            TRY(buffer_append_byte(out, '}'));
        }
    }
    TRY(buffer_append_string(out, "],\"watermarks\":["));
    for (uint32_t k = 0; k < i.watermark_count; k++) {
        TRY(buffer_printf(out, "%s{\"position\":%u", k ? "," : "", i.watermarks[k].position));
        TRY(json_text(out, "flow", i.watermarks[k].flow_name));
        TRY(json_mark(out, "lateUs", i.watermarks[k].late_us));
        TRY(json_mark(out, "closeUs", i.watermarks[k].close_us));
        TRY(buffer_append_byte(out, '}'));
    }
    return buffer_append_string(out, "]}");
}

static enum status show_json(struct arena *a, const struct inspection *i, const struct log_report *r, struct buffer *out) {
    const struct durable *d = &i->durable;
    TRY(buffer_printf(out, "{\"id\":\"%s\",\"pid\":%d,\"incarnation\":%llu,\"epoch\":%llu,\"committedAtMs\":%lld", text_of_uuid(a, i->pipeline),
                      i->owner_pid,
                      (unsigned long long)d->incarnation, (unsigned long long)i->committed_epoch, (long long)(i->committed_us / 1000)));
    TRY(json_intent(a, d, out));
    TRY(buffer_append_string(out, ",\"stores\":["));
    for (size_t k = 0; k < d->stores.count; k++) {
        const struct store_entry *s = *(struct store_entry **)vector_at(&d->stores, k);
        TRY(buffer_printf(out, "%s{\"epoch\":%llu", k ? "," : "", (unsigned long long)s->epoch));
        TRY(json_text(out, "identity", s->identity));
        TRY(buffer_append_byte(out, '}'));
    }
    TRY(buffer_append_string(out, "],\"flows\":["));
    for (size_t k = 0; k < d->flows.count; k++) {
        if (k) TRY(buffer_append_byte(out, ','));
        TRY(json_flow(*(struct flow_entry **)vector_at(&d->flows, k), out));
    }
    TRY(buffer_append_string(out, "],"));
    TRY(json_files(r, out));
    return buffer_append_byte(out, '}');
}

static enum status print_flows(struct host *h, struct arena *a, const struct durable *d, struct error *e) {
    struct listing l;
    listing_init(&l, a, &h->memory);
    listing_column(&l, "flow", false);
    listing_column(&l, "hash", false);
    listing_column(&l, "source", false);
    listing_column(&l, "next to be read", false);
    for (size_t i = 0; i < d->flows.count; i++) {
        const struct flow_entry *f = *(struct flow_entry **)vector_at(&d->flows, i);
        const char *hash = arena_printf(a, "%016llx", (unsigned long long)f->hash);
        const char *waiting = f->refresh_pending ? "(is built anew with its next epoch)" : f->started ? "" : "(has committed no epoch)";
        const char *cells[] = {f->name, hash, waiting, NULL};
        if (!f->sources.count) listing_row(&l, cells);
        for (size_t k = 0; k < f->sources.count; k++) {
            const struct flow_source *s = vector_at(&f->sources, k);
            struct buffer text;
            buffer_init(&text, &h->memory);
            if (print_positions(&s->positions, &text) != STATUS_OK) l.failed = true;
            const char *row[] = {k ? "" : f->name, k ? "" : hash, s->source, arena_strndup(a, text.data ? (char *)text.data : "", text.size_bytes)};
            listing_row(&l, row);
            buffer_release(&text);
        }
    }
    return listing_print(&l, e);
}

static enum status print_open(struct host *h, struct arena *a, const struct durable *d, struct error *e) {
    struct intent i;
    if (!d->has_intent) return STATUS_OK;
    TRY(decode_intent(a, d->intent_bytes.data, d->intent_bytes.size_bytes, &i, e));
    printf("epoch %llu is open (attempt %u, begun at %s): a next start finishes it first\n", (unsigned long long)i.epoch, i.attempt,
           text_of_time(a, i.clock_us, h->session.zone));
    for (uint32_t k = 0; k < i.input_count; k++) {
        for (uint32_t n = 0; n < i.inputs[k].ranges.count; n++) {
            const struct range *g = &i.inputs[k].ranges.items[n];
            if (g->name) printf("  %s %s: %lld to %lld\n", i.inputs[k].source, g->name, (long long)g->begin, (long long)g->end);
            else printf("  %s partition %u: %lld to %lld\n", i.inputs[k].source, g->partition, (long long)g->begin, (long long)g->end);
        }
    }
    for (uint32_t k = 0; k < i.watermark_count; k++) {
        const struct watermark_mark *m = &i.watermarks[k];
        printf("  watermark of %s: late at %s, closed at %s\n", m->flow_name,
               m->late_us == NO_WATERMARK ? "none" : text_of_time(a, m->late_us, h->session.zone),
               m->close_us == NO_WATERMARK ? "none" : text_of_time(a, m->close_us, h->session.zone));
    }
    return STATUS_OK;
}

static enum status show_text(struct host *h, struct arena *a, const struct inspection *i, const struct log_report *r, struct error *e) {
    const struct durable *d = &i->durable;
    printf("pipeline %s, start %llu%s\n", text_of_uuid(a, i->pipeline), (unsigned long long)d->incarnation, i->owner_pid ? "" : ", not running");
    if (i->owner_pid) printf("leat runs on it (pid %d)\n", i->owner_pid);
    if (i->committed_epoch)
        printf("epoch %llu, committed at %s\n", (unsigned long long)i->committed_epoch, text_of_time(a, i->committed_us, h->session.zone));
    else puts("no epoch is committed yet");
    TRY(print_open(h, a, d, e));
    if (i->used_previous) puts("the newest snapshot is damaged: this is what the one before and both journals say");
    puts("");
    TRY(print_files(h, a, r, e));
    puts("");
    TRY(print_flows(h, a, d, e));
    for (size_t k = 0; k < d->stores.count; k++) {
        const struct store_entry *s = *(struct store_entry **)vector_at(&d->stores, k);
        printf("%sstore %s: epoch %llu\n", k ? "" : "\n", s->identity, (unsigned long long)s->epoch);
    }
    return STATUS_OK;
}

static int show_folder(struct host *h, struct arena *a, const struct checkpoint_options *o) {
    struct error e = {0};
    struct inspection i = {0};
    struct log_report r = {0};
    enum status status = inspect_open(&i, &h->memory, o->folder, &e);
    if (status == STATUS_OK) status = inspect_verify(&h->memory, o->folder, &r, &e);
    int code = exit_code_of(status);
    if (status == STATUS_OK && o->json) {
        struct buffer out;
        buffer_init(&out, &h->memory);
        code = finish_json(h, &out, show_json(a, &i, &r, &out), code);
    } else if (status == STATUS_OK) {
        status = show_text(h, a, &i, &r, &e);
        code = exit_code_of(status);
    }
    if (status != STATUS_OK) say_error(h, &e);
    if (r.files.memory) log_report_release(&r);
    inspect_release(&i);
    return code;
}

static int checkpoint_main(struct host *h, int argc, char **argv) {
    struct checkpoint_options o = {0};
    struct arena a;
    int code = read_options(&o, argc, argv);
    if (code) return code;
    arena_init(&a, &h->memory);
    code = o.verify ? verify_folder(h, &a, &o) : show_folder(h, &a, &o);
    arena_release(&a);
    return code;
}

const struct command checkpoint_command = {"checkpoint", "checkpoint show|verify DIR [--json]", "what a data folder's log holds; is it whole",
                                           checkpoint_help, checkpoint_main};
