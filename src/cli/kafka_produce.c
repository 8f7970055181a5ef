// SPDX-License-Identifier: Apache-2.0
// kafka_produce.c: leat kafka produce: every line of a file or of standard input is a message.
//
// The line is handed to the client at once, which sends in batches; its answer to each message is counted as it comes, and what failed is
// named in the end with its reason and its first line. The end of the input waits for every answer; Ctrl-C waits for five seconds.
#include "cli/kafka_command.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

enum { HEADERS_MAX = 64, FAILURES_MAX = 16, LINE_BYTES_MAX = 64 << 20, READ_BYTES = 65536, PATIENCE_US = 5000000 };

struct failure {
    rd_kafka_resp_err_t code;
    uint64_t count, first_line;
};

struct produce {
    struct kafka_session *k;
    struct kafka_client *client;
    const char *topic, *file, *key, *separator, *null_text;
    const char *header_names[HEADERS_MAX], *header_values[HEADERS_MAX];
    uint32_t header_count;
    int64_t partition, rate;           // -1: by the key; 0: no limit
    int fd;
    struct buffer input;               // the bytes of one line and what was read beyond it
    size_t input_at;
    bool input_over;
    uint64_t line, acknowledged, failed, no_separator, first_no_separator;
    struct failure failures[FAILURES_MAX];  // by code; the last takes all that remain
    uint32_t failure_count;
    int64_t began_us;
};

static int take_header(struct produce *p, const char *text) {
    const char *equals = strchr(text, '=');
    if (!equals || equals == text) return kafka_usage(p->k, "--header takes NAME=VALUE");
    if (p->header_count == HEADERS_MAX) return kafka_usage(p->k, "--header was given more than %d times", HEADERS_MAX);
    p->header_names[p->header_count] = arena_strndup(&p->k->arena, text, (size_t)(equals - text));
    p->header_values[p->header_count] = equals + 1;
    return p->header_names[p->header_count++] ? EXIT_OK : EXIT_DATA;
}

static int read_flag(struct produce *p, int argc, char **argv, int *i) {
    const char *arg = argv[*i], *value;
    bool missing = false, taken;
    int code = kafka_shared_flag(p->k, argc, argv, i, &taken);
    if (taken) return code;
    if ((value = flag_value(argc, argv, i, "--key-separator", &missing))) {
        if (!*value) return kafka_usage(p->k, "--key-separator is empty");
        p->separator = value;
    } else if ((value = flag_value(argc, argv, i, "--key", &missing))) p->key = value;
    else if ((value = flag_value(argc, argv, i, "--null", &missing))) p->null_text = value;
    else if ((value = flag_value(argc, argv, i, "--header", &missing))) return take_header(p, value);
    else if ((value = flag_value(argc, argv, i, "--partition", &missing))) {
        if (!kafka_number(value, 0, INT32_MAX, &p->partition)) return kafka_usage(p->k, "--partition takes a number, not '%s'", value);
    } else if ((value = flag_value(argc, argv, i, "--rate", &missing))) {
        if (!kafka_number(value, 1, 1000000000, &p->rate)) return kafka_usage(p->k, "--rate takes messages a second, not '%s'", value);
    } else if (missing) return kafka_usage(p->k, "%s needs a value", arg);
    else if (arg[0] == '-' && arg[1]) return kafka_usage(p->k, "there is no option %s", arg);
    else if (!p->topic) p->topic = arg;
    else if (!p->file) p->file = arg;
    else return kafka_usage(p->k, "one topic and one file: what is '%s'?", arg);
    return EXIT_OK;
}

static int read_options(struct produce *p, int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        int code = read_flag(p, argc, argv, &i);
        if (code) return code;
    }
    if (!p->topic) return kafka_usage(p->k, "which topic?");
    return p->key && p->separator ? kafka_usage(p->k, "--key or --key-separator, one of them") : EXIT_OK;
}

// --- answers ---

static void count_failure(struct produce *p, rd_kafka_resp_err_t code, uint64_t line) {
    uint32_t at = 0;
    while (at < p->failure_count && p->failures[at].code != code) at++;
    if (at == FAILURES_MAX) at--;
    if (at == p->failure_count) p->failures[p->failure_count++] = (struct failure){.code = code, .first_line = line};
    if (line < p->failures[at].first_line) p->failures[at].first_line = line;
    p->failures[at].count++;
    p->failed++;
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque) {
    struct kafka_client *c = opaque;
    struct produce *p = c->owner;
    (void)rk;
    if (m->err) {
        count_failure(p, m->err, (uint64_t)(uintptr_t)m->_private);
        return;
    }
    p->acknowledged++;
    kafka_client_up(c);
}

// --- lines ---

// Waits for input, and answers the client's callbacks meanwhile: an outage is said while nobody types.
static bool wait_for_input(struct produce *p) {
    while (!kafka_interrupted()) {
        struct pollfd in = {.fd = p->fd, .events = POLLIN};
        int ready = poll(&in, 1, rd_kafka_outq_len(p->client->rk) > 0 ? KAFKA_POLL_MS / 4 : KAFKA_POLL_MS * 5);
        rd_kafka_poll(p->client->rk, 0);
        if (ready > 0) return true;
        if (ready < 0 && errno != EINTR) return true;  // read says what is wrong
    }
    return false;
}

// The next line without its end, in p->input. *any false: there is none.
static enum status next_line(struct produce *p, const char **line, size_t *size_bytes, bool *any, struct error *e) {
    size_t searched = 0;
    if (!p->input.data && buffer_reserve(&p->input, READ_BYTES) != STATUS_OK) return error_no_memory(e);
    for (;;) {
        const char *begin = (const char *)p->input.data + p->input_at;
        size_t have = p->input.size_bytes - p->input_at;
        const char *end = have > searched ? memchr(begin + searched, '\n', have - searched) : NULL;
        *any = end || (p->input_over && have);
        if (*any) {
            *line = begin;
            *size_bytes = end ? (size_t)(end - begin) : have;
            p->input_at += *size_bytes + (end != NULL);
            p->line++;
            return STATUS_OK;
        }
        if (p->input_over || !wait_for_input(p)) return STATUS_OK;
        searched = have;
        if (have > LINE_BYTES_MAX) {
            error_set(e, STATUS_LIMIT, "LEAT_LIMIT", "line %llu is longer than 64 MiB", (unsigned long long)p->line + 1);
            error_set_hint(e, "a message is one line: is this a text file?");
            return STATUS_LIMIT;
        }
        if (p->input_at) memmove(p->input.data, begin, have);
        p->input.size_bytes = have;
        p->input_at = 0;
        if (buffer_reserve(&p->input, READ_BYTES) != STATUS_OK) return error_no_memory(e);
        ssize_t n = read(p->fd, p->input.data + have, READ_BYTES);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return error_set_errno(e, errno, "cannot read `%s`", p->file ? p->file : "standard input");
        p->input.size_bytes += (size_t)n;
        p->input_over = n == 0;
    }
}

static rd_kafka_headers_t *make_headers(const struct produce *p) {
    rd_kafka_headers_t *headers = rd_kafka_headers_new(p->header_count);
    for (uint32_t i = 0; i < p->header_count; i++) rd_kafka_header_add(headers, p->header_names[i], -1, p->header_values[i], -1);
    return headers;
}

// Keeps to --rate: message n is due n / rate seconds after the first.
static void await_turn(struct produce *p) {
    while (p->rate && !kafka_interrupted()) {
        int64_t left_us = p->began_us + (int64_t)((double)(p->line - 1) * 1e6 / (double)p->rate) - clock_monotonic_us();
        if (left_us <= 0) return;
        rd_kafka_poll(p->client->rk, left_us > 1000 ? (int)(left_us / 1000 > KAFKA_POLL_MS ? KAFKA_POLL_MS : left_us / 1000) : 0);
        if (left_us < 1000) usleep((useconds_t)left_us);
    }
}

static enum status send_one(struct produce *p, const char *key, size_t key_bytes, const char *value, size_t value_bytes, struct error *e) {
    for (;;) {
        rd_kafka_headers_t *headers = p->header_count ? make_headers(p) : NULL;
        rd_kafka_resp_err_t code = rd_kafka_producev(p->client->rk, RD_KAFKA_V_TOPIC(p->topic), RD_KAFKA_V_PARTITION((int32_t)p->partition),
                                                     RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key, key_bytes), RD_KAFKA_V_VALUE((void *)(uintptr_t)value, value_bytes),
                                                     RD_KAFKA_V_OPAQUE((void *)(uintptr_t)p->line), RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
        if (!code) return STATUS_OK;
        if (headers) rd_kafka_headers_destroy(headers);
        TRY(kafka_client_check(p->client, e));
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL || kafka_interrupted()) {
            count_failure(p, code, p->line);
            return STATUS_OK;
        }
        rd_kafka_poll(p->client->rk, KAFKA_POLL_MS);
    }
}

// Is it the text that stands for NULL?
static bool is_null(const struct produce *p, const char *text, size_t size_bytes) {
    return p->null_text && text && strlen(p->null_text) == size_bytes && memcmp(p->null_text, text, size_bytes) == 0;
}

static enum status send_line(struct produce *p, const char *line, size_t size_bytes, struct error *e) {
    const char *key = p->key;
    size_t key_bytes = key ? strlen(key) : 0;
    await_turn(p);
    if (kafka_interrupted()) {
        p->line--;  // not sent
        return STATUS_OK;
    }
    if (p->separator) {
        const char *at = memmem(line, size_bytes, p->separator, strlen(p->separator));
        if (!at) {
            if (!p->no_separator++) p->first_no_separator = p->line;
            return STATUS_OK;
        }
        key = line;
        key_bytes = (size_t)(at - line);
        size_bytes -= key_bytes + strlen(p->separator);
        line = at + strlen(p->separator);
    }
    if (is_null(p, key, key_bytes)) key = NULL, key_bytes = 0;
    bool null_value = is_null(p, line, size_bytes);
    TRY(send_one(p, key, key_bytes, null_value ? NULL : size_bytes ? line : "", null_value ? 0 : size_bytes, e));
    rd_kafka_poll(p->client->rk, 0);
    return STATUS_OK;
}

static enum status send_lines(struct produce *p, struct error *e) {
    const char *line = NULL;
    size_t size_bytes = 0;
    bool any;
    p->began_us = clock_monotonic_us();
    while (!kafka_interrupted()) {
        TRY(next_line(p, &line, &size_bytes, &any, e));
        if (!any) return STATUS_OK;
        TRY(send_line(p, line, size_bytes, e));
    }
    return STATUS_OK;
}

// Until every message has its answer; after Ctrl-C, and when the client has stopped, five seconds.
static enum status finish(struct produce *p, struct error *e) {
    int64_t until_us = INT64_MAX;
    enum status status = STATUS_OK;
    while (rd_kafka_outq_len(p->client->rk) > 0) {
        rd_kafka_flush(p->client->rk, KAFKA_POLL_MS);
        if (status == STATUS_OK) status = kafka_client_check(p->client, e);
        if (until_us == INT64_MAX && (kafka_interrupted() || status != STATUS_OK)) until_us = clock_monotonic_us() + (status != STATUS_OK ? 0 : PATIENCE_US);
        if (clock_monotonic_us() < until_us) continue;
        rd_kafka_purge(p->client->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_flush(p->client->rk, KAFKA_POLL_MS);
        break;
    }
    return status;
}

// Says what failed; the worst of it as the exit code.
static int report(struct produce *p) {
    int code = EXIT_OK;
    double seconds = (double)(clock_monotonic_us() - p->began_us) / 1e6;
    fprintf(stderr, "%llu message%s in %.1f s\n", (unsigned long long)p->acknowledged, p->acknowledged == 1 ? "" : "s", seconds);
    for (uint32_t i = 0; i < p->failure_count; i++) {
        const struct failure *f = &p->failures[i];
        struct error e = {0};
        const char *what = arena_printf(&p->k->arena, "%llu message%s not written to `%s`, the first is line %llu", (unsigned long long)f->count,
                                        f->count == 1 ? " was" : "s were", p->topic, (unsigned long long)f->first_line);
        int one = exit_code_of(kafka_error(p->client, f->code, NULL, what ? what : "messages were not written", &e));
        say_error(p->k->host, &e);
        code = one == EXIT_UNREACHABLE || code == EXIT_UNREACHABLE ? EXIT_UNREACHABLE : EXIT_DATA;
    }
    if (p->no_separator) {
        log_write(&p->k->host->log, LOG_ERROR, "%llu line%s without the separator '%s' %s not sent, the first is line %llu", (unsigned long long)p->no_separator,
                  p->no_separator == 1 ? "" : "s", p->separator, p->no_separator == 1 ? "was" : "were", (unsigned long long)p->first_no_separator);
        code = code ? code : EXIT_DATA;
    }
    return code;
}

static enum status open_input(struct produce *p, struct error *e) {
    p->fd = STDIN_FILENO;
    if (p->file && strcmp(p->file, "-") != 0) {
        p->fd = open(p->file, O_RDONLY | O_CLOEXEC);
        if (p->fd < 0) return error_set_errno(e, errno, "cannot open `%s`", p->file);
    }
    return STATUS_OK;
}

static enum status check_partition(struct produce *p, const rd_kafka_metadata_topic_t *t, struct error *e) {
    if (p->partition < t->partition_cnt) return STATUS_OK;
    return error_set(e, STATUS_INVALID_ARGUMENT, NULL, "the topic `%s` has the partitions 0 to %d, and no partition %lld", p->topic, t->partition_cnt - 1, (long long)p->partition);
}

static enum status connect_producer(struct produce *p, struct error *e) {
    rd_kafka_conf_t *conf;
    const rd_kafka_metadata_t *metadata = NULL;
    const rd_kafka_metadata_topic_t *topic;
    TRY(kafka_configure(p->k, KAFKA_PRODUCER, &conf, e));
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    TRY(kafka_connect(p->k, conf, KAFKA_PRODUCER, p, &p->client, e));
    TRY(kafka_metadata(p->k, p->client, &metadata, e));  // of all topics: asking for one by name may make it
    enum status status = kafka_find_topic(p->k, p->client, metadata, p->topic, &topic, e);
    if (status == STATUS_OK) status = check_partition(p, topic, e);
    rd_kafka_metadata_destroy(metadata);
    return status;
}

int kafka_run_produce(struct kafka_session *k, int argc, char **argv) {
    struct produce *p = arena_alloc_zeroed(&k->arena, sizeof *p);
    struct error e = {0};
    if (!p) return EXIT_DATA;
    *p = (struct produce){.k = k, .partition = RD_KAFKA_PARTITION_UA, .fd = -1};
    int code = read_options(p, argc, argv);
    if (code) return code;
    buffer_init(&p->input, &k->host->memory);
    enum status status = open_input(p, &e);
    if (status == STATUS_OK) status = connect_producer(p, &e);
    if (status == STATUS_OK) {
        if (isatty(p->fd)) fprintf(stderr, "every line is a message for %s; Ctrl-D at the beginning of a line ends\n", p->topic);
        status = send_lines(p, &e);
        struct error finish_error = {0};
        enum status finished = finish(p, &finish_error);
        if (status == STATUS_OK && finished != STATUS_OK) {
            status = finished;
            e = finish_error;
        }
        code = report(p);
    }
    if (status != STATUS_OK) say_error(k->host, &e);
    kafka_client_free(p->client);
    buffer_release(&p->input);
    if (p->fd > STDIN_FILENO) close(p->fd);
    if (status == STATUS_OK) return code;
    return status == STATUS_NOT_FOUND ? EXIT_USAGE : exit_code_of(status);
}
