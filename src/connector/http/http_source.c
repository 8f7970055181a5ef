// SPDX-License-Identifier: Apache-2.0
// http_source.c: a polled URL with Kafka's seven columns. What is received goes into the spool first and is read from there.
//
//     polling thread ─► request ─► split ─► spool (one sync a poll) ─► wake ─► latest offers it ─► workers read it
//
// The polling thread owns the client and writes the spool; `mutex` guards what it and the engine both touch. A batch query polls on its own
// thread, into a spool in memory.
#include "connector/http/http.h"
#include "base/clock.h"
#include "base/files.h"
#include "base/random.h"
#include "base/threads.h"
#include "connector/registry.h"
#include "connector/sequence.h"
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>

enum { TOPIC_CHARS_MAX = 150, DEAD_RAW_BYTES = 65536, BATCH_TRIES = 4, SEGMENT_BYTES = 8 << 20, SPOOL_SHARES = 8 };
static const int64_t second_us = 1000000, backoff_first_us = 500000, backoff_last_us = INT64_C(60) * 1000000;
static const uint64_t row_limit_default_bytes = UINT64_C(16) << 20;
enum column_ordinal { COLUMN_KEY, COLUMN_VALUE, COLUMN_TOPIC, COLUMN_PARTITION, COLUMN_OFFSET, COLUMN_TIMESTAMP, COLUMN_TIMESTAMP_TYPE,
                     COLUMN_COUNT };

static const struct option http_options[] = {
    {"url", OPTION_STRING, NULL, true, false, NULL, "what is polled: http:// or https://; may hold ${env:X} and ${file:X}"},
    {"method", OPTION_ENUM, "GET", false, false, "GET|POST|PUT", "the request's method"},
    {"header.*", OPTION_STRING, NULL, false, true, NULL, "a header of the request: 'header.Authorization' 'Bearer ${env:TOKEN}'"},
    {"body", OPTION_STRING, NULL, false, true, NULL, "the request's body, application/json unless header.Content-Type says otherwise"},
    {"interval", OPTION_DURATION, "1 second", false, false, NULL, "from one poll's start to the next one's"},
    {"numPolls", OPTION_INT, "-1", false, false, NULL, "answers taken in a run; -1: without end (with --available-now and in batch: one)"},
    {"split", OPTION_STRING, "none", false, false, NULL,
     "what a message is: none (the body), lines, array (its elements), or where the array is: 'results', '/data/items'"},
    {"timeout", OPTION_DURATION, "30 seconds", false, false, NULL, "of a request, from connecting to the last byte"},
    {"connectTimeout", OPTION_DURATION, "10 seconds", false, false, NULL, "of connecting"},
    {"maxBytes", OPTION_SIZE, "16MB", false, false, NULL, "of an answer's body after decompression, at most 1GB"},
    {"maxRedirects", OPTION_INT, "5", false, false, NULL, "redirects followed, 0 to 50; headers and password stay with the first host"},
    {"conditional", OPTION_BOOLEAN, "true", false, false, NULL, "ask for changes only, where the server gives ETag or Last-Modified"},
    {"user", OPTION_STRING, NULL, false, false, NULL, "for basic authentication"},
    {"password", OPTION_STRING, NULL, false, true, NULL, "for basic authentication: ${env:X} or ${file:X}"},
    {"userAgent", OPTION_STRING, "leat/" LEAT_VERSION, false, false, NULL, "how leat names itself"},
    {"caFile", OPTION_PATH, NULL, false, false, NULL, "certificates (PEM) that vouch for the server, instead of the system's"},
    {"certFile", OPTION_PATH, NULL, false, false, NULL, "certificate (PEM) that vouches for leat"},
    {"keyFile", OPTION_PATH, NULL, false, false, NULL, "its private key (PEM)"},
    {"keyPassword", OPTION_STRING, NULL, false, true, NULL, "of the private key: ${env:X} or ${file:X}"},
    {"verify", OPTION_BOOLEAN, "true", false, false, NULL, "check the server's certificate and name"},
    {"maxSpoolBytes", OPTION_SIZE, "1GB", false, false, NULL, "of the spool: beyond it what has been read goes first, then polling pauses"},
    {"retention", OPTION_DURATION, "7 days", false, false, NULL,
     "how long messages stay in the spool after they were read, for new flows and --full-refresh"},
    {NULL, OPTION_STRING, NULL, false, false, NULL, NULL},
};

struct http_source {
    struct source source;           // first
    struct arena arena;             // texts of options
    struct http_client *client;
    struct http_split split;
    struct spool *spool;
    char described[600];
    int64_t interval_us, max_spool_bytes, retention_us;
    bool conditional;
    // The polling thread's.
    struct random random;
    int64_t polls_left;             // -1: no end
    uint32_t failures;              // in a row
    bool answered, full_said, paused_said;
    uint64_t skipped;               // answers that found no room
    // Shared.
    pthread_mutex_t mutex;
    bool done;                      // nothing more will be polled
    struct error fatal;             // status OK: none
    int64_t read_by_all;            // below it nobody asks again, not even after a crash
    pthread_t thread;
    bool threaded;
};

static const struct field fields[COLUMN_COUNT] = {
    {"key", &type_binary, true}, {"value", &type_binary, true}, {"topic", &type_string, true}, {"partition", &type_int, true},
    {"offset", &type_bigint, true}, {"timestamp", &type_timestamp, true}, {"timestampType", &type_int, true},
};

static enum status http_schema(const struct source_request *r, struct arena *a, bool offline, const struct type **out, struct error *e) {
    (void)offline;
    if (r->declared) {
        error_set(e, STATUS_INVALID_QUERY, "USER_SPECIFIED_AND_ACTUAL_SCHEMA_MISMATCH",
                  "an http table's columns are Kafka's seven and cannot be declared");
        error_set_hint(e, "leave the column list out, and take the document apart with from_json(CAST(value AS STRING), '…')");
        return STATUS_INVALID_QUERY;
    }
    *out = type_struct(a, fields, COLUMN_COUNT);
    return *out ? STATUS_OK : error_no_memory(e);
}

static enum status bad_option(struct error *e, const char *name, const char *wanted) {
    return error_set(e, STATUS_INVALID_ARGUMENT, "LEAT_BAD_OPTION", "the option %s of an http table must be %s", name, wanted);
}

static enum status check_numbers(const struct source_request *r, struct error *e) {
    static const char *const durations[] = {"interval", "timeout", "connectTimeout"};
    for (size_t i = 0; i < sizeof durations / sizeof durations[0]; i++) {
        int64_t us = option_number(&r->options, durations[i]);
        if (us < 1000 || us > INT64_C(86400) * second_us) return bad_option(e, durations[i], "from 1 ms to 1 day");
    }
    int64_t polls = option_number(&r->options, "numPolls"), bytes = option_number(&r->options, "maxBytes");
    int64_t redirects = option_number(&r->options, "maxRedirects");
    if (polls == 0 || polls < -1) return bad_option(e, "numPolls", "at least 1, or -1");
    if (bytes < 1 || bytes > SPOOL_PAYLOAD_MAX - 1) return bad_option(e, "maxBytes", "at least 1 byte and less than 1 GB");
    if (redirects < 0 || redirects > 50) return bad_option(e, "maxRedirects", "from 0 to 50");
    if (option_number(&r->options, "maxSpoolBytes") < 65536) return bad_option(e, "maxSpoolBytes", "at least 64 KB");
    return option_number(&r->options, "retention") < 0 ? bad_option(e, "retention", "at least 0") : STATUS_OK;
}

static enum status http_check(const struct source_request *r, struct error *e) {
    const char *url = option_text(&r->options, "url"), *method = option_text(&r->options, "method"), *split = option_text(&r->options, "split");
    bool is_get = !method || strcasecmp(method, "GET") == 0;
    struct http_split parsed;
    struct arena a;
    TRY(check_numbers(r, e));
    if (url && !strstr(url, "${") && strncasecmp(url, "http://", 7) != 0 && strncasecmp(url, "https://", 8) != 0) {
        return bad_option(e, "url", "a URL that begins with http:// or https://");
    }
    if (is_get && option_text(&r->options, "body")) {
        bad_option(e, "method", "POST or PUT where there is a body");
        error_set_hint(e, "add method 'POST'");
        return STATUS_INVALID_ARGUMENT;
    }
    if (option_text(&r->options, "password") && !option_text(&r->options, "user")) return bad_option(e, "user", "there where there is a password");
    if (option_text(&r->options, "keyFile") && !option_text(&r->options, "certFile")) {
        return bad_option(e, "certFile", "there where there is a keyFile");
    }
    arena_init(&a, r->memory);
    enum status status = http_split_parse(&a, split ? split : "none", &parsed, e);
    arena_release(&a);
    return status;
}

// ---- polling ----

static const char *table_of(const struct http_source *h) { return h->source.request.table_name; }

static void finish_polling(struct http_source *h, const struct error *fatal) {
    pthread_mutex_lock(&h->mutex);
    h->done = true;
    if (fatal) h->fatal = *fatal;
    pthread_mutex_unlock(&h->mutex);
    if (h->source.request.wake) notify_raise(h->source.request.wake);
}

static int64_t backoff_us(struct http_source *h) {
    int64_t wait_us = backoff_first_us << (h->failures < 8 ? h->failures : 8);
    if (wait_us > backoff_last_us) wait_us = backoff_last_us;
    return (int64_t)((double)wait_us * (0.75 + random_double(&h->random) / 2));
}

static const char *hint_for(const struct http_response *r) {
    if (r->code == 401 || r->code == 403 || r->code == 407) return "check user and password, or header.Authorization";
    if (r->code == 404 || r->code == 410) return "check the url";
    if (strstr(r->reason, "certificate") || strstr(r->reason, "SSL")) {
        return "give the server's CA with caFile, its client certificate with certFile and keyFile";
    }
    if (strstr(r->reason, "maxBytes")) return "raise maxBytes, or ask for less";
    return "check the url and the options of the table";
}

// Gives back what may go. *full: there is still too much, and it is waited for.
static enum status make_room(struct http_source *h, bool *full, struct error *e) {
    pthread_mutex_lock(&h->mutex);
    int64_t floor = h->read_by_all;
    pthread_mutex_unlock(&h->mutex);
    TRY(spool_retain(h->spool, floor, h->max_spool_bytes, clock_now_us(NULL) - h->retention_us, e));
    *full = spool_size(h->spool) >= h->max_spool_bytes && floor < spool_end(h->spool);
    if (*full && !h->paused_said) {
        log_write(h->source.request.log, LOG_WARN,
                  "`%s`: the spool has reached maxSpoolBytes; nothing is polled until the pipeline has read more of it", table_of(h));
    }
    if (!*full && h->paused_said) log_write(h->source.request.log, LOG_INFO, "`%s`: the spool has room again, polling goes on", table_of(h));
    h->paused_said = *full;
    if (*full && h->source.request.wake) notify_raise(h->source.request.wake);  // flows that are at the end say so when they ask
    return STATUS_OK;
}

static enum status store_answer(struct http_source *h, const struct http_response *r, struct error *e) {
    int64_t now_us = clock_now_us(h->source.request.session ? h->source.request.session->clock : NULL);
    bool has_body = r->code != 204 && r->code != 205;
    enum status status = has_body ? http_split_body(&h->split, &r->body, h->source.request.memory, h->spool, now_us, e) : STATUS_OK;
    if (status == STATUS_OK) status = spool_commit(h->spool, &r->validators, now_us, e);
    if (status != STATUS_OK) spool_abort(h->spool);
    return status;
}

// A full disk: the answer is given up, said once, and asked for again later. Everything else ends the polling.
static enum status after_full_disk(struct http_source *h, int64_t *wait_us, struct error *e) {
    h->skipped++;
    if (!h->full_said) log_error(h->source.request.log, LOG_WARN, e);
    if (!h->full_said) log_write(h->source.request.log, LOG_WARN, "`%s`: no room for an answer; it is polled again when there may be", table_of(h));
    h->full_said = true;
    *wait_us = backoff_us(h);
    h->failures++;
    return STATUS_OK;
}

static enum status after_answer(struct http_source *h, const struct http_response *r, int64_t begun_us, int64_t *wait_us, struct error *e) {
    enum status status = r->outcome == HTTP_OK ? store_answer(h, r, e) : STATUS_OK;
    if (status == STATUS_LIMIT) return after_full_disk(h, wait_us, e);
    TRY(status);
    if (h->failures) log_write(h->source.request.log, LOG_INFO, "`%s`: %s answers again", table_of(h), http_client_place(h->client));
    if (h->full_said) {
        log_write(h->source.request.log, LOG_INFO, "`%s`: there is room again (%" PRIu64 " answers were skipped)", table_of(h), h->skipped);
    }
    h->failures = 0;
    h->answered = true;
    h->full_said = false;
    if (h->polls_left > 0) h->polls_left--;
    *wait_us = h->interval_us - (clock_monotonic_us() - begun_us);
    if (r->outcome == HTTP_OK && h->source.request.wake) notify_raise(h->source.request.wake);
    return STATUS_OK;
}

static enum status describe_failure(const struct http_source *h, const struct http_response *r, enum status status, struct error *e) {
    error_set(e, status, status == STATUS_UNREACHABLE ? "LEAT_UNREACHABLE" : "LEAT_SOURCE_FAILED", "`%s`: cannot poll %s: %s", table_of(h),
              http_client_place(h->client), r->reason);
    error_set_hint(e, "%s", hint_for(r));
    return status;
}

// Somebody's mistake ends a run that has just begun; later, and for what may pass by itself, it is asked again, ever more rarely.
static enum status after_failure(struct http_source *h, const struct http_response *r, int64_t *wait_us, struct error *e) {
    bool batch = !h->source.request.streaming;
    if (r->outcome == HTTP_PERMANENT && !h->answered) return describe_failure(h, r, STATUS_INVALID_ARGUMENT, e);
    if (batch && h->failures + 1 >= BATCH_TRIES) return describe_failure(h, r, STATUS_UNREACHABLE, e);
    if (!h->failures) {
        log_write(h->source.request.log, LOG_WARN, "`%s`: cannot poll %s: %s; it is asked again, with growing pauses", table_of(h),
                  http_client_place(h->client), r->reason);
    }
    *wait_us = backoff_us(h);
    if (r->retry_after_us > *wait_us) *wait_us = r->retry_after_us;
    h->failures++;
    return STATUS_OK;
}

static enum status poll_once(struct http_source *h, int64_t *wait_us, struct error *e) {
    struct http_response response;
    bool full = false;
    int64_t begun_us = clock_monotonic_us();
    if (h->source.request.streaming) TRY(make_room(h, &full, e));
    *wait_us = h->interval_us < second_us ? h->interval_us : second_us;
    if (full) return STATUS_OK;
    struct spool_validators validators = spool_validators_of(h->spool);
    enum status status = http_client_fetch(h->client, h->conditional ? &validators : NULL, &response, e);
    if (status == STATUS_OK && (response.outcome == HTTP_OK || response.outcome == HTTP_NOT_MODIFIED)) {
        status = after_answer(h, &response, begun_us, wait_us, e);
    } else if (status == STATUS_OK && response.outcome != HTTP_CANCELLED) {
        status = after_failure(h, &response, wait_us, e);
    }
    http_response_release(&response);
    return status;
}

static enum status poll_all(struct http_source *h, struct error *e) {
    while (!http_client_cancelled(h->client)) {
        int64_t wait_us = 0;
        TRY(poll_once(h, &wait_us, e));
        if (h->polls_left == 0) return STATUS_OK;
        int64_t until_us = clock_monotonic_us() + wait_us;
        for (int64_t left; (left = until_us - clock_monotonic_us()) > 0 && !http_client_cancelled(h->client);) http_client_wait(h->client, left);
    }
    return STATUS_OK;
}

static void *poll_main(void *context) {
    struct http_source *h = context;
    struct error e;
    error_clear(&e);
    enum status status = poll_all(h, &e);
    finish_polling(h, status == STATUS_OK ? NULL : &e);
    return NULL;
}

static enum status start_polling(struct http_source *h, struct error *e) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);  // signals are the main thread's
    int result = pthread_create(&h->thread, NULL, poll_main, h);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    h->threaded = result == 0;
    return h->threaded ? STATUS_OK : error_set_errno(e, result, "cannot start the polling of `%s`", table_of(h));
}

// ---- opening ----

static enum status text_option(struct http_source *h, const char *name, bool path, const char **out, struct error *e) {
    const struct source_request *r = &h->source.request;
    const char *text = option_text(&r->options, name);
    *out = NULL;
    if (!text) return STATUS_OK;
    TRY(option_resolve(&h->arena, text, &text, e));
    bool relative = path && text[0] != '/' && r->base_folder;
    *out = relative ? arena_printf(&h->arena, "%s/%s", r->base_folder, text) : arena_strdup(&h->arena, text);
    return *out ? STATUS_OK : error_no_memory(e);
}

static bool is_header_name(const char *name) {
    for (const char *p = name; *p; p++) {
        bool letter = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9');
        if (!letter && !strchr("!#$%&'*+-.^_`|~", *p)) return false;
    }
    return *name != 0;
}

static enum status header_line(struct http_source *h, const struct option_value *v, const char **out, struct error *e) {
    const char *name = v->key + strlen("header."), *value;
    TRY(option_resolve(&h->arena, v->text, &value, e));
    bool whole = is_header_name(name);
    for (const char *p = value; *p && whole; p++) whole = (uint8_t)*p >= ' ' || *p == '\t';
    if (!whole) {
        return error_set(e, STATUS_INVALID_ARGUMENT, "LEAT_BAD_OPTION",
                         "the option `%.80s` of `%s` is no header: its name or value has characters that must not be there", v->key, table_of(h));
    }
    *out = *value ? arena_printf(&h->arena, "%s: %s", name, value) : arena_printf(&h->arena, "%s;", name);
    return *out ? STATUS_OK : error_no_memory(e);
}

static enum status read_headers(struct http_source *h, struct http_config *g, struct error *e) {
    const struct option_set *options = &h->source.request.options;
    const char **lines = arena_alloc_array(&h->arena, options->count + 1, sizeof *lines);
    if (!lines) return error_no_memory(e);
    for (uint32_t i = 0; i < options->count; i++) {
        const struct option_value *v = &options->values[i];
        if (strcmp(v->option->name, "header.*") != 0 || !v->is_set) continue;
        TRY(header_line(h, v, &lines[g->header_count], e));
        g->header_count++;
    }
    g->headers = lines;
    return STATUS_OK;
}

static enum status open_client(struct http_source *h, struct error *e) {
    const struct option_set *o = &h->source.request.options;
    const char *method = option_text(o, "method"), *split = option_text(o, "split");
    struct http_config g = {
        .method = method && strcasecmp(method, "POST") == 0 ? "POST" : method && strcasecmp(method, "PUT") == 0 ? "PUT" : "GET",
        .verify = option_number(o, "verify") != 0,
        .timeout_us = option_number(o, "timeout"),
        .connect_timeout_us = option_number(o, "connectTimeout"),
        .max_bytes = option_number(o, "maxBytes"),
        .max_redirects = (uint32_t)option_number(o, "maxRedirects"),
        .memory = h->source.request.memory,
        .written_url = option_text(o, "url"),
    };
    TRY(text_option(h, "url", false, &g.url, e));
    TRY(text_option(h, "body", false, &g.body, e));
    TRY(text_option(h, "user", false, &g.user, e));
    TRY(text_option(h, "password", false, &g.password, e));
    TRY(text_option(h, "userAgent", false, &g.user_agent, e));
    TRY(text_option(h, "caFile", true, &g.ca_file, e));
    TRY(text_option(h, "certFile", true, &g.cert_file, e));
    TRY(text_option(h, "keyFile", true, &g.key_file, e));
    TRY(text_option(h, "keyPassword", false, &g.key_password, e));
    TRY(read_headers(h, &g, e));
    TRY(http_split_parse(&h->arena, split ? split : "none", &h->split, e));
    if (!g.url) return error_set(e, STATUS_INVALID_ARGUMENT, "LEAT_MISSING_OPTION", "the http table `%s` needs the option url", table_of(h));
    return http_client_new(&g, &h->client, e);
}

// The table's folder below data_folder/spool: lower case, what is no letter or digit as %XX.
static enum status spool_folder(struct http_source *h, const char **out, struct error *e) {
    struct buffer name;
    enum status status = STATUS_OK;
    buffer_init(&name, h->arena.memory);
    for (const char *p = table_of(h); *p && status == STATUS_OK; p++) {
        char c = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
        bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
        status = plain ? buffer_append_byte(&name, (uint8_t)c) : buffer_printf(&name, "%%%02X", (unsigned)(uint8_t)c);
    }
    bool long_name = name.size_bytes > TOPIC_CHARS_MAX;
    *out = NULL;
    if (status == STATUS_OK && !long_name) {
        *out = arena_printf(&h->arena, "%s/spool/%.*s", h->source.request.data_folder, (int)name.size_bytes, (const char *)name.data);
    }
    buffer_release(&name);
    if (long_name) return error_set(e, STATUS_LIMIT, "LEAT_LIMIT", "the name of the http table is too long for its spool's folder");
    return *out ? STATUS_OK : error_no_memory(e);
}

static enum status open_spool_of(struct http_source *h, struct error *e) {
    const struct source_request *r = &h->source.request;
    int64_t share = h->max_spool_bytes / SPOOL_SHARES, age_us = h->retention_us / SPOOL_SHARES;
    struct spool_config g = {.memory = r->memory, .log = r->log, .segment_bytes = share < SEGMENT_BYTES ? share : SEGMENT_BYTES,
                             .segment_age_us = age_us > second_us ? age_us : second_us};
    if (r->streaming && r->data_folder) TRY(spool_folder(h, &g.folder, e));
    TRY(spool_open(&g, &h->spool, e));
    if (!g.folder) return STATUS_OK;
    const char *above = arena_printf(&h->arena, "%s/spool", r->data_folder);
    if (!above) return error_no_memory(e);
    TRY(folder_sync(above, e));  // the spool's own name must last as long as what is in it
    return folder_sync(r->data_folder, e);
}

static void http_close(struct source *source) {
    struct http_source *h = (struct http_source *)source;
    if (!h) return;
    if (h->threaded) {
        http_client_cancel(h->client);
        pthread_join(h->thread, NULL);
    }
    http_client_free(h->client);
    spool_close(h->spool);
    pthread_mutex_destroy(&h->mutex);
    arena_release(&h->arena);
    memory_free(h->source.request.memory, h, sizeof *h);
}

static enum status http_open(const struct source_request *r, struct source **out, struct error *e) {
    TRY(http_check(r, e));
    struct http_source *h = memory_alloc_zeroed(r->memory, sizeof *h);
    uint64_t seed;
    if (!h) return error_no_memory(e);
    h->source = (struct source){.class = &http_source_class, .request = *r};
    arena_init(&h->arena, r->memory);
    pthread_mutex_init(&h->mutex, NULL);
    random_system(&seed, sizeof seed);
    random_seed(&h->random, seed);
    h->interval_us = option_number(&r->options, "interval");
    h->max_spool_bytes = option_number(&r->options, "maxSpoolBytes");
    h->retention_us = option_number(&r->options, "retention");
    h->conditional = option_number(&r->options, "conditional") != 0;
    h->polls_left = option_number(&r->options, "numPolls");
    if (h->polls_left < 0 && (!r->streaming || r->available_now)) h->polls_left = 1;
    enum status status = open_client(h, e);
    if (status == STATUS_OK) snprintf(h->described, sizeof h->described, "Http[%s]", http_client_place(h->client));
    if (status == STATUS_OK) status = open_spool_of(h, e);
    if (status == STATUS_OK && !r->streaming) status = poll_all(h, e);
    h->done = !r->streaming;
    if (status == STATUS_OK) *out = &h->source;
    else http_close(&h->source);
    return status;
}

// ---- reading ----

static enum status http_start(struct source *source, struct arena *a, struct positions *out, struct error *e) {
    out->items = arena_alloc_array(a, 1, sizeof *out->items);
    if (!out->items) return error_no_memory(e);
    out->items[0] = (struct position){.offset = spool_begin(((struct http_source *)source)->spool)};
    out->count = 1;
    return STATUS_OK;
}

static int64_t stamp_of(const struct http_source *h) { return (int64_t)(spool_identity(h->spool) >> 1); }

static enum status lost(const struct http_source *h, int64_t from, int64_t begin, int64_t end, struct error *e) {
    error_set(e, STATUS_CONFLICT, "LEAT_DATA_LOSS",
              "the spool of `%s` holds offsets %" PRId64 " to %" PRId64 ", and the pipeline goes on at %" PRId64, table_of(h), begin, end, from);
    error_set_hint(e, "restore the data folder as a whole (spool/ with log/), or build the tables anew with --full-refresh-all");
    return STATUS_CONFLICT;
}

static enum status http_latest(struct source *source, struct arena *a, const struct positions *from, const struct budget *budget, struct ranges *out,
                               bool *exhausted, int64_t *backlog_rows, int64_t *wake_at_us, struct error *e) {
    struct http_source *h = (struct http_source *)source;
    pthread_mutex_lock(&h->mutex);
    bool done = h->done;
    struct error fatal = h->fatal;
    int64_t begin = spool_begin(h->spool), end = spool_end(h->spool), at = from->count ? from->items[0].offset : begin, limit = end;
    pthread_mutex_unlock(&h->mutex);
    *out = (struct ranges){0};
    *wake_at_us = INT64_MAX;
    *backlog_rows = 0;
    if (fatal.status != STATUS_OK) {
        if (e) *e = fatal;
        return fatal.status;
    }
    if (at < begin || at > end) return lost(h, at, begin, end, e);
    // Not before: a spool that is not the log's own must not grow up to where the log is.
    if (source->request.streaming && !h->threaded) TRY(start_polling(h, e));
    *exhausted = done;
    if (at == end) return STATUS_OK;
    if (source->request.streaming) TRY(spool_limit(h->spool, at, budget->row_count, budget->size_bytes, &limit, e));
    out->items = arena_alloc_array(a, 1, sizeof *out->items);
    if (!out->items) return error_no_memory(e);
    out->items[0] = (struct range){.begin = at, .end = limit, .stamp = stamp_of(h)};
    out->count = 1;
    *backlog_rows = end - limit;
    *exhausted = done && limit == end;
    return STATUS_OK;
}

static enum status http_splits(struct source *source, struct arena *a, const struct ranges *ranges, struct splits *out, struct error *e) {
    const struct http_source *h = (const struct http_source *)source;
    if (ranges->count && ranges->items[0].stamp != stamp_of(h)) {
        error_set(e, STATUS_CONFLICT, "LEAT_SOURCE_CHANGED", "the spool of `%s` is not the one that an epoch has begun to read", table_of(h));
        error_set_hint(e, "restore the data folder as a whole (spool/ with log/), or build the tables anew with --full-refresh-all");
        return STATUS_CONFLICT;
    }
    return sequence_splits(a, ranges, BATCH_ROWS, out, e);
}

struct http_read {
    struct http_source *source;
    const struct split *split;
    const struct dead_row_sink *dead;
    struct spool_record records[BATCH_ROWS];
};

static enum status put_dead(const struct http_read *r, const struct spool_record *record, const char *condition, const char *message, const char *raw,
                            size_t raw_bytes) {
    struct dead_row dead = {.source = r->source->source.request.source_index, .offset = record->offset, .condition = condition, .message = message,
                            .raw = string_view_of(raw, raw_bytes)};
    return r->dead && r->dead->put ? r->dead->put(r->dead->context, &dead) : STATUS_OK;
}

// Keeps the records that are rows; the others are put where dead rows go.
static enum status sort_out(struct http_read *r, uint32_t *count) {
    const struct session *session = r->source->source.request.session;
    uint64_t limit = session && session->row_bytes_limit ? session->row_bytes_limit : row_limit_default_bytes;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < *count; i++) {
        const struct spool_record *record = &r->records[i];
        const char *text = (const char *)record->bytes;
        if (record->kind == SPOOL_REFUSED) {
            size_t length = record->size_bytes ? record->size_bytes - 1 : 0;
            TRY(put_dead(r, record, "MALFORMED_RECORD_IN_PARSING.WITHOUT_SUGGESTION", http_refusal_text(record->size_bytes ? record->bytes[0] : 0),
                         length ? text + 1 : "", length > limit ? DEAD_RAW_BYTES : length));
        } else if (record->size_bytes > limit) {
            TRY(put_dead(r, record, "LEAT_ROW_TOO_BIG", "the message is longer than leat.maxRowBytes; its beginning is kept", text,
                         record->size_bytes < DEAD_RAW_BYTES ? record->size_bytes : DEAD_RAW_BYTES));
        } else {
            r->records[kept++] = *record;
        }
    }
    *count = kept;
    return STATUS_OK;
}

static enum status fill(const struct http_read *r, struct batch *b, uint32_t count) {
    const char *topic = table_of(r->source);
    uint32_t *deltas = arena_alloc(&b->arena, count * sizeof *deltas);
    if (!deltas) return STATUS_NO_MEMORY;
    TRY(column_make_constant_null(&b->arena, &type_binary, count, &b->columns[COLUMN_KEY]));
    TRY(column_make(&b->arena, &type_binary, count, false, &b->columns[COLUMN_VALUE]));
    TRY(column_make(&b->arena, &type_string, count, false, &b->columns[COLUMN_TOPIC]));
    TRY(column_make(&b->arena, &type_int, count, false, &b->columns[COLUMN_PARTITION]));
    TRY(column_make(&b->arena, &type_bigint, count, false, &b->columns[COLUMN_OFFSET]));
    TRY(column_make(&b->arena, &type_timestamp, count, false, &b->columns[COLUMN_TIMESTAMP]));
    TRY(column_make(&b->arena, &type_int, count, false, &b->columns[COLUMN_TIMESTAMP_TYPE]));
    for (uint32_t i = 0; i < count; i++) {
        const struct spool_record *record = &r->records[i];
        ((struct string_view *)b->columns[COLUMN_VALUE].values)[i] = string_view_of((const char *)record->bytes, record->size_bytes);
        ((struct string_view *)b->columns[COLUMN_TOPIC].values)[i] = string_view_of(topic, strlen(topic));
        ((int32_t *)b->columns[COLUMN_PARTITION].values)[i] = 0;
        ((int64_t *)b->columns[COLUMN_OFFSET].values)[i] = record->offset;
        ((int64_t *)b->columns[COLUMN_TIMESTAMP].values)[i] = record->time_us;
        ((int32_t *)b->columns[COLUMN_TIMESTAMP_TYPE].values)[i] = 0;
        deltas[i] = (uint32_t)(record->offset - r->records[0].offset);
    }
    b->row_count = b->selected_count = count;
    b->sequence = r->split->sequence;
    b->origin = (struct origin){.source = r->source->source.request.source_index, .first_offset = r->records[0].offset, .offset_deltas = deltas,
                                .raw = b->columns[COLUMN_VALUE].values};
    return STATUS_OK;
}

static enum status emit_piece(struct http_read *r, struct buffer *piece, uint32_t count, emit_batch emit, void *context, struct error *e) {
    TRY(sort_out(r, &count));
    if (!count) return STATUS_OK;
    struct batch *b = batch_new(r->source->source.request.memory, COLUMN_COUNT);
    enum status status = b ? batch_hold(b, piece) : STATUS_NO_MEMORY;
    if (status == STATUS_OK) status = fill(r, b, count);
    if (status != STATUS_OK) error_no_memory(e);
    else status = emit(context, b);
    batch_unref(b);
    return status;
}

static enum status http_read(struct source *source, const struct split *split, uint32_t worker, const uint64_t *wanted, emit_batch emit,
                             void *context, const struct dead_row_sink *dead, struct error *e) {
    struct http_source *h = (struct http_source *)source;
    struct spool_cursor cursor;
    (void)worker, (void)wanted;
    struct http_read *r = memory_alloc(source->request.memory, sizeof *r);
    if (!r) return error_no_memory(e);
    *r = (struct http_read){.source = h, .split = split, .dead = dead};
    spool_cursor_open(&cursor, h->spool, split->range.begin, split->range.end);
    enum status status = STATUS_OK;
    for (uint32_t count = 1; count && status == STATUS_OK;) {
        struct buffer *piece;
        status = spool_cursor_next(&cursor, r->records, BATCH_ROWS, &count, &piece, e);
        if (status == STATUS_OK && count) status = emit_piece(r, piece, count, emit, context, e);
        buffer_unref(piece);
    }
    spool_cursor_close(&cursor);
    memory_free(source->request.memory, r, sizeof *r);
    return status;
}

static enum status http_durable(struct source *source, const struct positions *positions, struct error *e) {
    struct http_source *h = (struct http_source *)source;
    (void)e;
    pthread_mutex_lock(&h->mutex);
    if (positions->count && positions->items[0].offset > h->read_by_all) h->read_by_all = positions->items[0].offset;
    pthread_mutex_unlock(&h->mutex);
    return STATUS_OK;
}

static enum status http_print(const struct source *source, const struct positions *positions, struct buffer *out) {
    return sequence_print(positions, source->request.table_name, out);
}
static const char *http_describe(const struct source *source) { return ((const struct http_source *)source)->described; }

const struct source_class http_source_class = {
    .name = "http", .is_unbounded = true, .options = http_options, .schema = http_schema, .check = http_check, .open = http_open, .start = http_start,
    .latest = http_latest, .splits = http_splits, .read = http_read, .durable = http_durable, .print = http_print,
    .describe = http_describe, .close = http_close,
};
