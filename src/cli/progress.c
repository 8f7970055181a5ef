// SPDX-License-Identifier: Apache-2.0
// progress.c: see progress.h.
#include "cli/progress.h"
#include "base/random.h"
#include "column/datetime.h"
#include "json/json.h"
#include <unistd.h>

enum { LIVE_US = 100000, PLAIN_US = 10000000 };

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

void progress_init(struct progress *p, struct host *h, bool json, bool quiet, _Atomic int *stop) {
    *p = (struct progress){.host = h, .json = json, .quiet = quiet, .terminal = isatty(STDERR_FILENO) && !h->log.json, .began_us = clock_monotonic_us()};
    p->shown_us = p->began_us;
    p->stop = stop;
    make_uuid(p->run_id);
}

static double per_second(uint64_t rows, int64_t us) { return us > 0 ? (double)rows * 1e6 / (double)us : 0; }

// Over the time since the trigger before, as Spark has it: 0 for the first.
static double arrived_per_second(const struct progress *p, uint64_t rows) { return p->trigger_seconds > 0 ? (double)rows / p->trigger_seconds : 0; }

static enum status json_number(struct buffer *out, const char *name, double value) { return buffer_printf(out, ",\"%s\":%.1f", name, value); }

static enum status json_source(const struct progress *p, struct buffer *out, const struct source_report *s, int64_t spent_us) {
    TRY(buffer_append_string(out, "{\"description\":"));
    TRY(json_write_string(s->description, strlen(s->description), out));
    TRY(buffer_printf(out, ",\"startOffset\":%s,\"endOffset\":%s,\"latestOffset\":%s,\"numInputRows\":%llu", s->start_offsets, s->end_offsets, s->end_offsets,
                      (unsigned long long)s->rows));
    TRY(json_number(out, "inputRowsPerSecond", arrived_per_second(p, s->rows)));
    TRY(json_number(out, "processedRowsPerSecond", per_second(s->rows, spent_us)));
    return buffer_append_byte(out, '}');
}

static enum status json_flow(const struct progress *p, const struct epoch_report *r, const struct flow_report *f, struct buffer *out) {
    char at[DATETIME_TEXT_MAX + 8], id[37];
    size_t n = print_timestamp(r->clock_us / 1000 * 1000, NULL, at);
    at[n] = 0;
    if (n > 10) at[10] = 'T';
    print_uuid(r->pipeline, id);
    TRY(buffer_printf(out, "{\"id\":\"%s\",\"runId\":\"%s\",\"name\":", id, p->run_id));
    TRY(json_write_string(f->flow, strlen(f->flow), out));
    TRY(buffer_printf(out, ",\"timestamp\":\"%sZ\",\"batchId\":%llu,\"batchDuration\":%lld,\"numInputRows\":%llu", at, (unsigned long long)(r->epoch - 1),
                      (long long)(r->total_us / 1000), (unsigned long long)f->rows_in));
    TRY(json_number(out, "inputRowsPerSecond", arrived_per_second(p, f->rows_in)));
    TRY(json_number(out, "processedRowsPerSecond", per_second(f->rows_in, r->total_us)));
    TRY(buffer_printf(out, ",\"durationMs\":{\"addBatch\":%lld,\"commitOffsets\":%lld,\"triggerExecution\":%lld},\"stateOperators\":[],\"sources\":[",
                      (long long)(r->run_us / 1000), (long long)(r->commit_us / 1000), (long long)(r->total_us / 1000)));
    for (uint32_t i = 0; i < r->source_count; i++) {
        TRY(buffer_append_string(out, i ? "," : ""));
        TRY(json_source(p, out, &r->sources[i], r->total_us));
    }
    return buffer_printf(out, "],\"sink\":{\"description\":\"leat\",\"numOutputRows\":%llu},\"numDeadRows\":%llu}\n", (unsigned long long)f->rows_out,
                         (unsigned long long)f->rows_dead);
}

static void print_json(const struct progress *p, const struct epoch_report *r) {
    struct buffer out;
    buffer_init(&out, &p->host->memory);
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < r->flow_count && status == STATUS_OK; i++) status = json_flow(p, r, &r->flows[i], &out);
    if (status == STATUS_OK) {
        bool gone = fwrite(out.data, 1, out.size_bytes, stdout) != out.size_bytes || fflush(stdout) != 0;
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

void progress_epoch(void *context, const struct epoch_report *r) {
    struct progress *p = context;
    uint64_t in = 0;
    for (uint32_t i = 0; i < r->source_count; i++) in += r->sources[i].rows;
    p->rows_in += in;
    for (uint32_t i = 0; i < r->flow_count; i++) {
        p->rows_out += r->flows[i].rows_out;
        p->rows_dead += r->flows[i].rows_dead;
    }
    int64_t now_us = clock_monotonic_us(), since_us = now_us - p->shown_us, trigger_us = now_us - r->total_us;
    p->trigger_seconds = p->last_trigger_us ? (double)(trigger_us - p->last_trigger_us) / 1e6 : 0;
    p->last_trigger_us = trigger_us;
    if (p->json) print_json(p, r);
    if (p->json || p->quiet || since_us < (p->terminal ? LIVE_US : PLAIN_US)) return;
    p->rows_per_second = per_second(p->rows_in - p->shown_rows_in, since_us);
    p->shown_rows_in = p->rows_in;
    p->shown_us = now_us;
    print_line(p, r);
}

void progress_end(struct progress *p) {
    if (p->host->log.line_open) fputc('\n', stderr);
    p->host->log.line_open = false;
}
