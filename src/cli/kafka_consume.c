// SPDX-License-Identifier: Apache-2.0
// kafka_consume.c: leat kafka consume: what is in a topic, on standard output.
//
// Partitions are assigned by hand and nothing is committed: looking changes nothing. Where each begins and ends is asked for first, so that
// "what is there" is what was there when it started, however fast a producer adds to it.
#include "cli/kafka_command.h"
#include "connector/kafka/kafka_topics.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { FLUSH_BYTES = 65536 };

struct consume_partition {
    int32_t id;
    int64_t begin, end, next;    // end: the next offset when it started
    bool done;
};

struct consume {
    struct kafka_session *k;
    struct kafka_client *client;
    const char *topic, *from;
    int64_t partition, count;    // -1: all
    bool follow, exit_at_end;
    struct kafka_printer printer;
    struct consume_partition *partitions;
    uint32_t partition_count, done_count;
    uint64_t printed;
    struct buffer out;
    bool gone;                   // nobody reads standard output any more
};

static int read_flag(struct consume *s, int argc, char **argv, int *i) {
    static const char *const formats[] = {"text", "json", "csv"};
    const char *arg = argv[*i], *value;
    bool missing = false, taken;
    int code = kafka_shared_flag(s->k, argc, argv, i, &taken);
    if (taken) return code;
    if (strcmp(arg, "--follow") == 0 || strcmp(arg, "-f") == 0) s->follow = true;
    else if (strcmp(arg, "--exit-at-end") == 0) s->exit_at_end = true;
    else if ((value = flag_value(argc, argv, i, "--from", &missing))) s->from = value;
    else if ((value = flag_value(argc, argv, i, "--partition", &missing))) {
        if (!kafka_number(value, 0, INT32_MAX, &s->partition)) return kafka_usage(s->k, "--partition takes a number, not '%s'", value);
    } else if ((value = flag_value(argc, argv, i, "--count", &missing))) {
        if (!kafka_number(value, 1, INT64_MAX, &s->count)) return kafka_usage(s->k, "--count takes a number of messages, not '%s'", value);
    } else if ((value = flag_value(argc, argv, i, "--key-separator", &missing))) s->printer.key_separator = value;
    else if ((value = flag_value(argc, argv, i, "--format", &missing))) {
        int at = 0;
        while (at < 3 && strcmp(value, formats[at]) != 0) at++;
        if (at == 3) return kafka_usage(s->k, "--format is text, json or csv, not '%s'", value);
        s->printer.format = (enum kafka_format)at;
    } else if (missing) return kafka_usage(s->k, "%s needs a value", arg);
    else if (arg[0] == '-' && arg[1]) return kafka_usage(s->k, "there is no option %s", arg);
    else if (s->topic) return kafka_usage(s->k, "one topic at a time: %s, %s", s->topic, arg);
    else s->topic = arg;
    return EXIT_OK;
}

static int read_options(struct consume *s, int argc, char **argv) {
    int64_t offset;
    for (int i = 1; i < argc; i++) {
        int code = read_flag(s, argc, argv, &i);
        if (code) return code;
    }
    if (!s->topic) return kafka_usage(s->k, "which topic?");
    if (s->follow && s->exit_at_end) return kafka_usage(s->k, "--follow or --exit-at-end, one of them");
    bool named = strcmp(s->from, "earliest") == 0 || strcmp(s->from, "latest") == 0;
    if (!named && !kafka_number(s->from, INT64_MIN + 1, INT64_MAX, &offset)) return kafka_usage(s->k, "--from is earliest, latest, an offset, or -N, not '%s'", s->from);
    return s->printer.key_separator && s->printer.format != KAFKA_TEXT ? kafka_usage(s->k, "--key-separator is for --format text") : EXIT_OK;
}

static int64_t begin_of(const struct consume *s, int64_t low, int64_t high) {
    int64_t number = 0;
    if (strcmp(s->from, "earliest") == 0) return low;
    if (strcmp(s->from, "latest") == 0) return high;
    (void)!kafka_number(s->from, INT64_MIN + 1, INT64_MAX, &number);
    if (s->from[0] == '-') return high + number > low ? high + number : low;
    return number;
}

static int compare_partitions(const void *a, const void *b) {
    const struct consume_partition *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static enum status choose_partitions(struct consume *s, const rd_kafka_metadata_topic_t *t, struct error *e) {
    s->partitions = arena_alloc_array(&s->k->arena, (size_t)t->partition_cnt + 1, sizeof *s->partitions);
    if (!s->partitions) return error_no_memory(e);
    for (int i = 0; i < t->partition_cnt; i++) {
        if (s->partition < 0 || t->partitions[i].id == s->partition) s->partitions[s->partition_count++].id = t->partitions[i].id;
    }
    qsort(s->partitions, s->partition_count, sizeof *s->partitions, compare_partitions);
    if (s->partition_count) return STATUS_OK;
    return error_set(e, STATUS_INVALID_ARGUMENT, NULL, "the topic `%s` has the partitions 0 to %d, and no partition %lld", s->topic, t->partition_cnt - 1, (long long)s->partition);
}

// An offset that is gone, or is not there yet, is said: reading begins at the nearest that is.
static void place(struct consume *s, struct consume_partition *p, int64_t low, int64_t high) {
    struct log *log = &s->k->host->log;
    p->begin = begin_of(s, low, high);
    p->end = high;
    if (p->begin < low) {
        log_write(log, LOG_WARN, "%s, partition %d: offset %lld is gone, the first is %lld", s->topic, p->id, (long long)p->begin, (long long)low);
        p->begin = low;
    } else if (p->begin > high) {
        log_write(log, LOG_WARN, "%s, partition %d: offset %lld is not there yet, the next is %lld", s->topic, p->id, (long long)p->begin, (long long)high);
        p->begin = high;
    }
    p->next = p->begin;
    p->done = p->begin >= p->end;
    s->done_count += p->done;
}

// Behind a writer that has just committed, the end is where its messages end.
static enum status settle(struct consume *s, rd_kafka_topic_partition_list_t *high, struct error *e) {
    struct kafka_asking asking = {.client = s->client, .stop = kafka_interrupt_flag()};
    struct kafka_offsets ends = {.items = arena_alloc_array(&s->k->arena, (size_t)s->partition_count + 1, sizeof(struct kafka_offset))};
    if (!ends.items) return error_no_memory(e);
    rd_kafka_topic_partition_list_sort(high, NULL, NULL);
    for (int i = 0; i < high->cnt; i++) {
        if (high->elems[i].err) return STATUS_OK;  // said where it is looked at
        ends.items[ends.count++] = (struct kafka_offset){.topic = s->topic, .partition = high->elems[i].partition, .offset = high->elems[i].offset};
    }
    TRY(kafka_settle(&asking, &s->k->host->log, &ends, e));
    for (int i = 0; i < high->cnt; i++) high->elems[i].offset = ends.items[i].offset;
    return STATUS_OK;
}

static enum status ask_bounds(struct consume *s, rd_kafka_topic_partition_list_t *low, rd_kafka_topic_partition_list_t *high, struct error *e) {
    TRY(kafka_ask_offsets(s->k, s->client, low, KAFKA_EARLIEST, e));
    TRY(kafka_ask_offsets(s->k, s->client, high, KAFKA_LATEST, e));
    if (!s->follow) TRY(settle(s, high, e));
    for (uint32_t i = 0; i < s->partition_count; i++) {
        rd_kafka_resp_err_t code = low->elems[i].err ? low->elems[i].err : high->elems[i].err;
        const char *what = arena_printf(&s->k->arena, "asking for the offsets of `%s`, partition %d", s->topic, s->partitions[i].id);
        if (code) return kafka_error(s->client, code, NULL, what ? what : "asking for offsets", e);
        place(s, &s->partitions[i], low->elems[i].offset, high->elems[i].offset);
        low->elems[i].offset = s->partitions[i].begin;
    }
    return STATUS_OK;
}

static enum status assign(struct consume *s, struct error *e) {
    rd_kafka_topic_partition_list_t *low = rd_kafka_topic_partition_list_new((int)s->partition_count);
    rd_kafka_topic_partition_list_t *high = rd_kafka_topic_partition_list_new((int)s->partition_count);
    for (uint32_t i = 0; i < s->partition_count; i++) {
        rd_kafka_topic_partition_list_add(low, s->topic, s->partitions[i].id);
        rd_kafka_topic_partition_list_add(high, s->topic, s->partitions[i].id);
    }
    enum status status = ask_bounds(s, low, high, e);
    if (status == STATUS_OK) {
        rd_kafka_resp_err_t code = rd_kafka_assign(s->client->rk, low);
        if (code) status = kafka_error(s->client, code, NULL, "assigning partitions", e);
    }
    rd_kafka_topic_partition_list_destroy(low);
    rd_kafka_topic_partition_list_destroy(high);
    return status;
}

static void write_out(struct consume *s) {
    if (s->out.size_bytes && (fwrite(s->out.data, 1, s->out.size_bytes, stdout) != s->out.size_bytes || fflush(stdout) != 0)) s->gone = true;
    buffer_clear(&s->out);
}

static struct consume_partition *find_partition(struct consume *s, int32_t id) {
    for (uint32_t i = 0; i < s->partition_count; i++) {
        if (s->partitions[i].id == id) return &s->partitions[i];
    }
    return NULL;
}

static void advance(struct consume *s, struct consume_partition *p, int64_t next) {
    p->next = next;
    if (p->done || next < p->end) return;
    p->done = true;
    s->done_count++;
}

// A message, the end of a partition, or an error; of errors those that pass by themselves are waited out.
static enum status take(struct consume *s, const rd_kafka_message_t *m, struct error *e) {
    struct consume_partition *p = m->rkt ? find_partition(s, m->partition) : NULL;
    if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        kafka_client_up(s->client);
        if (p) advance(s, p, p->end);  // what is left are messages of transactions
        return STATUS_OK;
    }
    if (m->err) {
        const char *what = p ? arena_printf(&s->k->arena, "reading `%s`, partition %d at offset %lld", s->topic, p->id, (long long)p->next) : "reading";
        enum status status = kafka_error(s->client, m->err, rd_kafka_message_errstr(m), what ? what : "reading", e);
        return status == STATUS_UNREACHABLE ? STATUS_OK : status;
    }
    kafka_client_up(s->client);
    bool late = !p || (!s->follow && p->done);  // came after the start
    if (late) return STATUS_OK;
    if (s->follow || m->offset < p->end) {
        if (kafka_print_message(&s->printer, m, &s->out) != STATUS_OK) return error_no_memory(e);
        s->printed++;
    }
    advance(s, p, m->offset + 1);
    if (s->out.size_bytes >= FLUSH_BYTES) write_out(s);
    return STATUS_OK;
}

static bool is_over(const struct consume *s) {
    bool enough = s->count > 0 && s->printed >= (uint64_t)s->count;
    return s->gone || enough || kafka_interrupted() || (!s->follow && s->done_count == s->partition_count);
}

static enum status read_all(struct consume *s, struct error *e) {
    int64_t heard_us = clock_monotonic_us();
    while (!is_over(s)) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(s->client->rk, 0);
        if (!m) {
            write_out(s);
            if (s->gone) break;
            m = rd_kafka_consumer_poll(s->client->rk, KAFKA_POLL_MS);
        }
        TRY(kafka_client_check(s->client, e));
        int64_t now_us = clock_monotonic_us();
        if (m && !m->err) heard_us = now_us;
        enum status status = m ? take(s, m, e) : STATUS_OK;
        if (m) rd_kafka_message_destroy(m);
        TRY(status);
        if (s->follow || now_us - heard_us < s->k->timeout_us) continue;
        const char *what = arena_printf(&s->k->arena, "reading `%s`: nothing came for %.0f s", s->topic, (double)s->k->timeout_us / 1e6);
        return kafka_error(s->client, RD_KAFKA_RESP_ERR__TIMED_OUT, NULL, what ? what : "reading", e);
    }
    return STATUS_OK;
}

static enum status connect_consumer(struct consume *s, struct error *e) {
    rd_kafka_conf_t *conf;
    const rd_kafka_metadata_t *metadata = NULL;
    const rd_kafka_metadata_topic_t *topic;
    TRY(kafka_configure(s->k, KAFKA_CONSUMER, &conf, e));
    kafka_default(s->k, conf, "group.id", "leat-kafka-consume");  // the client wants one; nothing is committed to it
    kafka_default(s->k, conf, "enable.partition.eof", "true");
    kafka_default(s->k, conf, "auto.offset.reset", "error");
    TRY(kafka_connect(s->k, conf, KAFKA_CONSUMER, s, &s->client, e));
    s->client->polled_as_consumer = rd_kafka_poll_set_consumer(s->client->rk) == RD_KAFKA_RESP_ERR_NO_ERROR;
    TRY(kafka_metadata(s->k, s->client, &metadata, e));
    enum status status = kafka_find_topic(s->k, s->client, metadata, s->topic, &topic, e);
    if (status == STATUS_OK) status = choose_partitions(s, topic, e);
    rd_kafka_metadata_destroy(metadata);
    return status == STATUS_OK ? assign(s, e) : status;
}

static void report(const struct consume *s) {
    bool at_end = s->done_count == s->partition_count;
    if (!isatty(STDERR_FILENO) && s->printed) return;  // `2>&1` of a script stays data
    fprintf(stderr, "%llu message%s%s\n", (unsigned long long)s->printed, s->printed == 1 ? "" : "s",
            !s->printed && at_end && strcmp(s->from, "latest") == 0 ? "; --from latest shows only what comes after the start: add --follow" : "");
}

int kafka_run_consume(struct kafka_session *k, int argc, char **argv) {
    struct consume *s = arena_alloc_zeroed(&k->arena, sizeof *s);
    struct error e = {0};
    if (!s) return EXIT_DATA;
    *s = (struct consume){.k = k, .from = "earliest", .partition = -1, .printer.terminal = isatty(STDOUT_FILENO)};
    int code = read_options(s, argc, argv);
    if (code) return code;
    buffer_init(&s->out, &k->host->memory);
    buffer_init(&s->printer.scratch, &k->host->memory);
    enum status status = connect_consumer(s, &e);
    if (status == STATUS_OK && kafka_print_header(&s->printer, &s->out) != STATUS_OK) status = error_no_memory(&e);
    if (status == STATUS_OK) status = read_all(s, &e);
    write_out(s);
    bool interrupted = kafka_interrupted() && !s->printed;
    if (status == STATUS_OK && !s->gone) report(s);
    if (status != STATUS_OK) say_error(k->host, &e);
    kafka_client_free(s->client);
    buffer_release(&s->out);
    buffer_release(&s->printer.scratch);
    if (status != STATUS_OK) return status == STATUS_NOT_FOUND ? EXIT_USAGE : exit_code_of(status);
    return interrupted && !s->follow ? EXIT_INTERRUPT : EXIT_OK;
}
