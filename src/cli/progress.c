// SPDX-License-Identifier: Apache-2.0
// progress.c: see progress.h.
#include "cli/progress.h"
#include "base/random.h"
#include "base/utf8.h"
#include "column/datetime.h"
#include "json/json.h"
#include <errno.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { LIVE_US = 100000, PLAIN_US = 10000000, WAITING_LINE_US = 30000000, RATE_US = 1000000 };

// A report, kept after its callback. Never changed once it stands in `copies`.
struct epoch_copy {
    _Atomic uint32_t reference_count;
    struct arena arena;
    struct epoch_report report;
    double trigger_seconds;
};

static void print_uuid(const uint8_t b[16], char out[37]) {
    snprintf(out, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9],
             b[10], b[11], b[12], b[13], b[14], b[15]);
}

static void make_uuid(char out[37]) {
    uint8_t b[16];
    random_system(b, sizeof b);
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    print_uuid(b, out);
}

void progress_init(struct progress *p, struct host *h, const char *file, const char *folder, bool json, bool quiet, _Atomic int *stop) {
    *p = (struct progress){.host = h, .file = file, .folder = folder, .json = json, .quiet = quiet, .stop = stop};
    p->terminal = isatty(STDERR_FILENO) && !h->log.json;
    p->began_us = p->shown_us = clock_monotonic_us();
    p->began_clock_us = clock_now_us(NULL);
    p->mark = p->mark_before = (struct rate_mark){.at_us = p->began_us};
    pthread_mutex_init(&p->mutex, NULL);
    make_uuid(p->run_id);
}

static double per_second(uint64_t rows, int64_t us) { return us > 0 ? (double)rows * 1e6 / (double)us : 0; }

// Over the time since the trigger before, as Spark has it: 0 for the first.
static double arrived_per_second(double trigger_seconds, uint64_t rows) { return trigger_seconds > 0 ? (double)rows / trigger_seconds : 0; }

static enum status json_number(struct buffer *out, const char *name, double value) { return buffer_printf(out, ",\"%s\":%.1f", name, value); }

static enum status json_source(double trigger_seconds, struct buffer *out, const struct source_report *s, int64_t spent_us) {
    TRY(buffer_append_string(out, "{\"description\":"));
    TRY(json_write_string(s->description, strlen(s->description), out));
    TRY(buffer_printf(out, ",\"startOffset\":%s,\"endOffset\":%s,\"latestOffset\":%s,\"numInputRows\":%llu", s->start_offsets, s->end_offsets, s->end_offsets,
                      (unsigned long long)s->rows));
    TRY(json_number(out, "inputRowsPerSecond", arrived_per_second(trigger_seconds, s->rows)));
    TRY(json_number(out, "processedRowsPerSecond", per_second(s->rows, spent_us)));
    if (s->backlog_rows >= 0) TRY(buffer_printf(out, ",\"backlogRows\":%lld", (long long)s->backlog_rows));
    return buffer_append_byte(out, '}');
}

static void print_clock(int64_t clock_us, char at[DATETIME_TEXT_MAX + 8]) {
    size_t n = print_timestamp(clock_us / 1000 * 1000, NULL, at);
    at[n] = 0;
    const char *point = strchr(at, '.');
    for (size_t digits = point ? n - (size_t)(point - at) - 1 : 0; digits < 3; digits++) {  // always three, as Spark has them
        if (!point) at[n++] = '.', point = &at[n - 1];
        at[n++] = '0';
    }
    at[n] = 0;
    if (n > 10) at[10] = 'T';
}

static enum status json_flow(const char *run_id, double trigger_seconds, const struct epoch_report *r, const struct flow_report *f, struct buffer *out) {
    char at[DATETIME_TEXT_MAX + 8], id[37];
    print_clock(r->clock_us, at);
    print_uuid(r->pipeline, id);
    TRY(buffer_printf(out, "{\"id\":\"%s\",\"runId\":\"%s\",\"name\":", id, run_id));
    TRY(json_write_string(f->flow, strlen(f->flow), out));
    TRY(buffer_printf(out, ",\"timestamp\":\"%sZ\",\"batchId\":%llu,\"batchDuration\":%lld,\"numInputRows\":%llu", at, (unsigned long long)(r->epoch - 1),
                      (long long)(r->total_us / 1000), (unsigned long long)f->rows_in));
    TRY(json_number(out, "inputRowsPerSecond", arrived_per_second(trigger_seconds, f->rows_in)));
    TRY(json_number(out, "processedRowsPerSecond", per_second(f->rows_in, r->total_us)));
    TRY(buffer_printf(out, ",\"durationMs\":{\"addBatch\":%lld,\"commitOffsets\":%lld,\"triggerExecution\":%lld}",
                      (long long)(r->run_us / 1000), (long long)(r->commit_us / 1000), (long long)(r->total_us / 1000)));
    if (f->has_watermark) {
        print_clock(f->watermark_us, at);
        TRY(buffer_printf(out, ",\"eventTime\":{\"watermark\":\"%sZ\"}", at));
    }
    TRY(buffer_append_string(out, ",\"stateOperators\":[],\"sources\":["));
    for (uint32_t i = 0; i < r->source_count; i++) {
        TRY(buffer_append_string(out, i ? "," : ""));
        TRY(json_source(trigger_seconds, out, &r->sources[i], r->total_us));
    }
    return buffer_printf(out, "],\"sink\":{\"description\":\"leat\",\"numOutputRows\":%llu},\"numDeadRows\":%llu}", (unsigned long long)f->rows_out,
                         (unsigned long long)f->rows_dead);
}

static void print_json(const struct progress *p, const struct epoch_report *r) {
    struct buffer out;
    buffer_init(&out, &p->host->memory);
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < r->flow_count && status == STATUS_OK; i++) {
        status = json_flow(p->run_id, p->trigger_seconds, r, &r->flows[i], &out);
        if (status == STATUS_OK) status = buffer_append_byte(&out, '\n');
    }
    if (status == STATUS_OK) {
        bool gone = fwrite(out.data, 1, out.size_bytes, stdout) != out.size_bytes || fflush(stdout) != 0;
        if (gone && errno != EPIPE) p->host->output_error = errno;
        if (gone && p->stop) atomic_store(p->stop, 1);  // `leat run --json | head` ends
    }
    buffer_release(&out);
}

// 12345678 → "12,345,678".
static void with_commas(uint64_t n, char out[32]) {
    char digits[24];
    int count = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n), at = 0;
    for (int i = 0; i < count; i++) {
        if (i && (count - i) % 3 == 0) out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = 0;
}

static void print_line(struct progress *p, const struct epoch_report *r) {
    char rate[32], in[32], written[32], dead[32];
    with_commas((uint64_t)p->rows_per_second, rate);
    with_commas(p->rows_in, in);
    with_commas(p->rows_out, written);
    with_commas(p->rows_dead, dead);
    fprintf(stderr, "%sepoch %llu  %s rows/s  in %s  out %s  dead %s%s%s", p->terminal ? "\r\033[K" : "", (unsigned long long)r->epoch, rate, in, written, dead,
            r->catching_up ? "  (catching up)" : "", p->terminal ? "" : "\n");
    fflush(stderr);
    p->host->log.line_open = p->terminal;
}

static void copy_unref(struct epoch_copy *c) {
    if (atomic_fetch_sub(&c->reference_count, 1) != 1) return;
    struct memory *memory = c->arena.memory;
    arena_release(&c->arena);
    memory_free(memory, c, sizeof *c);
}

static const char *copy_text(struct arena *a, const char *text) { return arena_strdup(a, text ? text : "null"); }

static bool copy_report(struct epoch_copy *c, const struct epoch_report *r) {
    struct arena *a = &c->arena;
    struct flow_report *flows = arena_alloc_array(a, r->flow_count + 1, sizeof *flows);
    struct source_report *sources = arena_alloc_array(a, r->source_count + 1, sizeof *sources);
    uint8_t *pipeline = arena_alloc(a, 16);
    if (!flows || !sources || !pipeline) return false;
    memcpy(pipeline, r->pipeline, 16);
    c->report = *r;
    c->report.pipeline = pipeline;
    c->report.flows = flows;
    c->report.sources = sources;
    bool good = true;
    for (uint32_t i = 0; i < r->flow_count; i++) {
        flows[i] = r->flows[i];
        good = (flows[i].flow = arena_strdup(a, r->flows[i].flow)) && good;
    }
    for (uint32_t i = 0; i < r->source_count; i++) {
        sources[i] = r->sources[i];
        good = (sources[i].table = copy_text(a, r->sources[i].table)) && good;
        good = (sources[i].description = copy_text(a, r->sources[i].description)) && good;
        good = (sources[i].start_offsets = copy_text(a, r->sources[i].start_offsets)) && good;
        good = (sources[i].end_offsets = copy_text(a, r->sources[i].end_offsets)) && good;
    }
    return good;
}

static bool has_flow(const struct epoch_copy *c, const char *flow) {
    for (uint32_t i = 0; i < c->report.flow_count; i++) {
        if (strcmp(c->report.flows[i].flow, flow) == 0) return true;
    }
    return false;
}

// Whether a flow of the copy is in none of the `count` newer ones.
static bool is_wanted(struct epoch_copy *const *newer, uint32_t count, const struct epoch_copy *c) {
    for (uint32_t i = 0; i < c->report.flow_count; i++) {
        bool newer_has = false;
        for (uint32_t k = 0; k < count && !newer_has; k++) newer_has = has_flow(newer[k], c->report.flows[i].flow);
        if (!newer_has) return true;
    }
    return false;
}

// The newest report first, and after it those that still say something of a flow. Without memory the old ones stay.
static void keep_report(struct progress *p, const struct epoch_report *r) {
    struct epoch_copy *kept[PROGRESS_COPIES_MAX], *dropped[PROGRESS_COPIES_MAX];
    uint32_t kept_count = 0, dropped_count = 0;
    struct epoch_copy *copy = memory_alloc_zeroed(&p->host->memory, sizeof *copy);
    if (!copy) return;
    atomic_store(&copy->reference_count, 1);
    arena_init(&copy->arena, &p->host->memory);
    copy->trigger_seconds = p->trigger_seconds;
    if (!copy_report(copy, r)) {
        copy_unref(copy);
        return;
    }
    kept[kept_count++] = copy;
    for (uint32_t i = 0; i < p->copy_count; i++) {
        bool keep = kept_count < PROGRESS_COPIES_MAX && is_wanted(kept, kept_count, p->copies[i]);
        if (keep) kept[kept_count++] = p->copies[i];
        else dropped[dropped_count++] = p->copies[i];
    }
    pthread_mutex_lock(&p->mutex);
    memcpy(p->copies, kept, kept_count * sizeof kept[0]);
    p->copy_count = kept_count;
    pthread_mutex_unlock(&p->mutex);
    for (uint32_t i = 0; i < dropped_count; i++) copy_unref(dropped[i]);
}

static void count_report(struct progress *p, const struct epoch_report *r, int64_t now_us) {
    pthread_mutex_lock(&p->mutex);
    for (uint32_t i = 0; i < r->source_count; i++) p->rows_in += r->sources[i].rows;
    for (uint32_t i = 0; i < r->flow_count; i++) {
        p->rows_out += r->flows[i].rows_out;
        p->rows_dead += r->flows[i].rows_dead;
    }
    p->epochs++;
    p->last_epoch = r->epoch;
    p->catching_up = r->catching_up;
    p->state_bytes = r->state_bytes;
    if (now_us - p->mark.at_us >= RATE_US) {
        p->mark_before = p->mark;
        p->mark = (struct rate_mark){.at_us = now_us, .rows_in = p->rows_in};
    }
    pthread_mutex_unlock(&p->mutex);
}

void progress_epoch(void *context, const struct epoch_report *r) {
    struct progress *p = context;
    int64_t now_us = clock_monotonic_us(), since_us = now_us - p->shown_us, trigger_us = now_us - r->total_us;
    p->trigger_seconds = p->last_trigger_us ? (double)(trigger_us - p->last_trigger_us) / 1e6 : 0;
    p->last_trigger_us = trigger_us;
    count_report(p, r, now_us);
    keep_report(p, r);
    if (p->json) print_json(p, r);
    if (p->json || p->quiet || since_us < (p->terminal ? LIVE_US : PLAIN_US)) return;
    p->rows_per_second = per_second(p->rows_in - p->shown_rows_in, since_us);
    p->shown_rows_in = p->rows_in;
    p->shown_us = now_us;
    print_line(p, r);
}

static void print_countdown(struct progress *p, const struct error *why, uint32_t attempts, int64_t left_us) {
    struct winsize window = {0};
    char line[1400], plain[sizeof why->message];
    size_t n = 0;
    for (; why->message[n]; n++) plain[n] = (unsigned char)why->message[n] < ' ' || why->message[n] == 0x7f ? '?' : why->message[n];
    plain[n] = 0;
    snprintf(line, sizeof line, "waiting: trying again in %.0f s (%u failed)  %s", (double)(left_us > 0 ? left_us : 0) / 1e6 + 0.5, attempts, plain);
    size_t columns = ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 1 ? window.ws_col - 1u : 79;
    line[utf8_offset(line, strlen(line), columns)] = 0;  // a line that wraps could not be wiped
    fprintf(stderr, "\r\033[K%s", line);
    fflush(stderr);
    p->host->log.line_open = true;
}

static void go_on(struct progress *p, int64_t now_us) {
    log_write(&p->host->log, LOG_INFO, "going on after %.1f s", (double)(now_us - p->waiting_since_us) / 1e6);
    if (p->counting) p->host->log.line_open = false;
    p->counting = false;
    pthread_mutex_lock(&p->mutex);
    p->waiting_since_us = 0;
    pthread_mutex_unlock(&p->mutex);
}

void progress_waiting(void *context, const struct error *why, uint32_t attempts, int64_t until_us) {
    struct progress *p = context;
    int64_t now_us = clock_monotonic_us();
    bool first = !p->waiting_since_us;
    if (!attempts) {
        if (!first) go_on(p, now_us);
        return;
    }
    if (first || attempts != p->attempts) {
        pthread_mutex_lock(&p->mutex);
        if (first) p->waiting_since_us = now_us;
        p->waiting_for = *why;
        p->attempts = attempts;
        p->retry_at_us = until_us;
        pthread_mutex_unlock(&p->mutex);
    }
    if (first) {
        progress_listen(p);
        log_error(&p->host->log, LOG_WARN, why);
        p->said_us = now_us;
    }
    if (p->terminal && !p->quiet && !p->json) {
        if (!first && now_us - p->shown_us < LIVE_US) return;
        p->shown_us = now_us;
        p->counting = true;
        print_countdown(p, why, attempts, until_us - now_us);
    } else if (now_us - p->said_us >= WAITING_LINE_US) {
        p->said_us = now_us;
        log_write(&p->host->log, LOG_WARN, "waiting for %.0f s, %u attempts have failed: %s", (double)(now_us - p->waiting_since_us) / 1e6, attempts, why->message);
    }
}

// What the control thread needs of the counters, taken at once.
struct view {
    uint64_t rows_in, rows_out, rows_dead, epochs, last_epoch;
    bool catching_up;
    size_t state_bytes;
    struct rate_mark since;
    struct epoch_copy *copies[PROGRESS_COPIES_MAX];
    uint32_t copy_count;
    int64_t waiting_since_us, retry_at_us;
    uint32_t attempts;
    struct error waiting_for;
};

static void take_view(struct progress *p, struct view *v) {
    pthread_mutex_lock(&p->mutex);
    *v = (struct view){.rows_in = p->rows_in, .rows_out = p->rows_out, .rows_dead = p->rows_dead, .epochs = p->epochs, .last_epoch = p->last_epoch,
                       .catching_up = p->catching_up, .state_bytes = p->state_bytes, .since = p->mark_before, .copy_count = p->copy_count,
                       .waiting_since_us = p->waiting_since_us, .retry_at_us = p->retry_at_us, .attempts = p->attempts};
    if (v->waiting_since_us) v->waiting_for = p->waiting_for;
    for (uint32_t i = 0; i < p->copy_count; i++) {
        v->copies[i] = p->copies[i];
        atomic_fetch_add(&v->copies[i]->reference_count, 1);
    }
    pthread_mutex_unlock(&p->mutex);
}

static enum status answer_head(const struct progress *p, const struct view *v, int64_t now_us, struct buffer *out) {
    char at[DATETIME_TEXT_MAX + 8], id[37] = "";
    bool stopping = p->stop && atomic_load(p->stop);
    if (v->copy_count) print_uuid(v->copies[0]->report.pipeline, id);
    print_clock(p->began_clock_us, at);
    TRY(buffer_printf(out, "{\"version\":\"%s\",\"pid\":%d,\"id\":%s%s%s,\"runId\":\"%s\",\"file\":", LEAT_VERSION, (int)getpid(), *id ? "\"" : "", *id ? id : "null",
                      *id ? "\"" : "", p->run_id));
    TRY(json_write_string(p->file, strlen(p->file), out));
    return buffer_printf(out, ",\"state\":\"%s\",\"startTime\":\"%sZ\",\"uptimeMs\":%lld", stopping ? "stopping" : v->waiting_since_us ? "waiting" : "running", at,
                         (long long)((now_us - p->began_us) / 1000));
}

static enum status answer_waiting(const struct view *v, int64_t now_us, struct buffer *out) {
    if (!v->waiting_since_us) return buffer_append_string(out, ",\"waiting\":null");
    const struct error *e = &v->waiting_for;
    int64_t left_us = v->retry_at_us > now_us ? v->retry_at_us - now_us : 0;
    TRY(buffer_printf(out, ",\"waiting\":{\"sinceMs\":%lld,\"attempts\":%u,\"retryInMs\":%lld,\"condition\":", (long long)((now_us - v->waiting_since_us) / 1000),
                      v->attempts, (long long)(left_us / 1000)));
    TRY(json_write_string(e->condition, strlen(e->condition), out));
    TRY(buffer_append_string(out, ",\"message\":"));
    TRY(json_write_string(e->message, strlen(e->message), out));
    TRY(buffer_append_string(out, ",\"hint\":"));
    TRY(json_write_string(e->hint, strlen(e->hint), out));
    return buffer_append_byte(out, '}');
}

static int64_t backlog_of(const struct view *v) {
    int64_t rows = 0;
    bool known = false;
    for (uint32_t i = 0; v->copy_count && i < v->copies[0]->report.source_count; i++) {
        int64_t one = v->copies[0]->report.sources[i].backlog_rows;
        if (one >= 0) rows += one;
        known |= one >= 0;
    }
    return known ? rows : -1;
}

static enum status answer_flows(const struct progress *p, const struct view *v, struct buffer *out) {
    bool any = false;
    TRY(buffer_append_string(out, ",\"flows\":["));
    for (uint32_t i = 0; i < v->copy_count; i++) {
        const struct epoch_copy *c = v->copies[i];
        for (uint32_t f = 0; f < c->report.flow_count; f++) {
            bool newer_has = false;
            for (uint32_t k = 0; k < i && !newer_has; k++) newer_has = has_flow(v->copies[k], c->report.flows[f].flow);
            if (newer_has) continue;
            TRY(buffer_append_string(out, any ? "," : ""));
            TRY(json_flow(p->run_id, c->trigger_seconds, &c->report, &c->report.flows[f], out));
            any = true;
        }
    }
    return buffer_append_string(out, "]}");
}

static enum status answer_progress(const struct progress *p, const struct view *v, struct buffer *out) {
    int64_t now_us = clock_monotonic_us(), backlog = backlog_of(v);
    TRY(answer_head(p, v, now_us, out));
    TRY(buffer_printf(out, ",\"epoch\":%llu,\"catchingUp\":%s,\"stateBytes\":%zu", (unsigned long long)v->last_epoch, v->catching_up ? "true" : "false", v->state_bytes));
    TRY(json_number(out, "rowsPerSecond", per_second(v->rows_in - v->since.rows_in, now_us - v->since.at_us)));
    if (backlog >= 0) TRY(buffer_printf(out, ",\"backlogRows\":%lld", (long long)backlog));
    else TRY(buffer_append_string(out, ",\"backlogRows\":null"));
    TRY(buffer_printf(out, ",\"totals\":{\"epochs\":%llu,\"rowsIn\":%llu,\"rowsOut\":%llu,\"rowsDead\":%llu}", (unsigned long long)v->epochs,
                      (unsigned long long)v->rows_in, (unsigned long long)v->rows_out, (unsigned long long)v->rows_dead));
    TRY(answer_waiting(v, now_us, out));
    return answer_flows(p, v, out);
}

static enum status answer(void *context, const char *request, struct buffer *out) {
    struct progress *p = context;
    struct view v;
    bool ping = strcmp(request, "ping") == 0;
    if (!ping && strcmp(request, "progress") != 0) return STATUS_NOT_FOUND;
    take_view(p, &v);
    enum status status = ping ? answer_head(p, &v, clock_monotonic_us(), out) : answer_progress(p, &v, out);
    if (ping && status == STATUS_OK) status = buffer_append_byte(out, '}');
    for (uint32_t i = 0; i < v.copy_count; i++) copy_unref(v.copies[i]);
    return status;
}

void progress_listen(struct progress *p) {
    struct error e = {0};
    if (p->control_tried) return;
    p->control_tried = true;
    if (control_start(p->folder, answer, p, &p->host->memory, &p->host->log, &p->control, &e) == STATUS_OK) return;
    log_write(&p->host->log, LOG_WARN, "no control socket, so nobody can ask this run for its progress: %s%s%s", e.message, *e.hint ? "; " : "", e.hint);
}

void progress_end(struct progress *p) {
    if (p->host->log.line_open) fputc('\n', stderr);
    p->host->log.line_open = false;
}

void progress_release(struct progress *p) {
    control_stop(p->control);
    for (uint32_t i = 0; i < p->copy_count; i++) copy_unref(p->copies[i]);
    p->copy_count = 0;
    pthread_mutex_destroy(&p->mutex);
}
