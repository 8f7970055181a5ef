// SPDX-License-Identifier: Apache-2.0
// latency.c: sends one record at a time, at fixed times, and takes the time until it arrives.
//
//     latency measure BROKERS SEND_TOPIC RECEIVE_TOPIC RATE SECONDS WARM_UP_SECONDS       one JSON line with percentiles, ms
//     latency relay   BROKERS FROM_TOPIC TO_TOPIC                                         what leat does, by hand; ends on end of input
//
//     schedule  |----|----|----|----|          the record carries the time it was due, not the time it went out: a sender that stalls
//     sent      |----|-------||-|----          is late for all that it should have sent meanwhile, and that counts (an open loop)
//     arrival        |----|-------||-|----     latency = arrival − schedule
//
// SEND_TOPIC and RECEIVE_TOPIC are the same for the raw client's own produce-consume loop. Topics have one partition. Records of the
// warm-up are sent and waited for, but not counted. A record that does not come within 15 s of the last sending is lost: exit 1. Of one that
// comes twice the first arrival counts; `doubled` says how many did. Two threads: the main one sends, another one receives.
#include "client.h"
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

enum { BATCH = 256, GRACE_S = 15, READY_WAIT_S = 60 };

struct receiver {
    rd_kafka_topic_t *topic;
    rd_kafka_t *client;
    int64_t *latency_ns;           // by record; −1: not yet come
    int64_t count, doubled;
    _Atomic int64_t received;
    _Atomic bool stop;
};

static rd_kafka_t *producer_new(const char *brokers) {
    const char *const settings[] = {"bootstrap.servers", brokers, "linger.ms", "0", "socket.nagle.disable", "true", NULL};
    return client_new(RD_KAFKA_PRODUCER, settings);
}

// One partition, from what is its end now.
static rd_kafka_topic_t *consumer_open(const char *brokers, const char *name, rd_kafka_t **client) {
    const char *const settings[] = {"bootstrap.servers", brokers, "group.id", "latency", "enable.auto.commit", "false", "fetch.wait.max.ms", "500",
                                    "fetch.min.bytes", "1", "socket.nagle.disable", "true", NULL};
    *client = client_new(RD_KAFKA_CONSUMER, settings);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(*client, name, NULL);
    if (!topic || partition_count(*client, topic) != 1) die("latency: %s must have one partition", name);
    int64_t low, high;
    rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(*client, name, 0, &low, &high, QUERY_TIMEOUT_MS);
    if (code) die("latency: %s: %s", name, rd_kafka_err2str(code));
    if (rd_kafka_consume_start(topic, 0, high) != 0) die("latency: %s: %s", name, rd_kafka_err2str(rd_kafka_last_error()));
    return topic;
}

// {"n":N,"due":T}, as leat writes it too.
static bool read_record(const rd_kafka_message_t *m, int64_t *n, int64_t *due_ns) {
    char text[128];
    if (m->len >= sizeof text) return false;
    memcpy(text, m->payload, m->len);
    text[m->len] = 0;
    return sscanf(text, "{\"n\":%" SCNd64 ",\"due\":%" SCNd64, n, due_ns) == 2;
}

static void *receive(void *argument) {
    struct receiver *r = argument;
    rd_kafka_message_t *messages[BATCH];
    while (!atomic_load(&r->stop)) {
        ssize_t count = rd_kafka_consume_batch(r->topic, 0, 100, messages, 1);
        int64_t at = now_ns();
        for (ssize_t i = 0; i < count; i++) {
            int64_t n, due_ns;
            const rd_kafka_message_t *m = messages[i];
            if (m->err) die("latency: %s", rd_kafka_message_errstr(m));
            if (!read_record(m, &n, &due_ns) || n < 0 || n >= r->count) die("latency: no record of ours: %.*s", (int)m->len, (char *)m->payload);
            rd_kafka_message_destroy(messages[i]);
            if (r->latency_ns[n] >= 0) {
                r->doubled++;
                continue;
            }
            r->latency_ns[n] = at - due_ns;
            atomic_fetch_add(&r->received, 1);
        }
    }
    return NULL;
}

static void send_record(rd_kafka_t *client, rd_kafka_topic_t *topic, const char *text, size_t size) {
    while (rd_kafka_produce(topic, 0, RD_KAFKA_MSG_F_COPY, (void *)text, size, NULL, 0, NULL) != 0) {
        rd_kafka_resp_err_t code = rd_kafka_last_error();
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL) die("latency: %s: %s", rd_kafka_topic_name(topic), rd_kafka_err2str(code));
        rd_kafka_poll(client, 1);
    }
    rd_kafka_poll(client, 0);
}

static void wait_for(struct receiver *r, int64_t count, int seconds) {
    for (int64_t end = now_ns() + (int64_t)seconds * 1000000000; atomic_load(&r->received) < count && now_ns() < end;) poll(NULL, 0, 5);
}

// The first record is sent alone and waited for, so that no connection is made under way. Returns the greatest delay of the sender itself.
static int64_t send_all(const char *brokers, const char *name, struct receiver *r, int64_t period_ns) {
    rd_kafka_t *client = producer_new(brokers);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(client, name, NULL);
    if (!topic || partition_count(client, topic) != 1) die("latency: %s must have one partition", name);
    int64_t start = 0, late_max = 0;
    for (int64_t n = 0; n < r->count; n++) {
        char text[128];
        int64_t due = n == 0 ? now_ns() : start + n * period_ns;
        struct timespec at = {.tv_sec = due / 1000000000, .tv_nsec = due % 1000000000};
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) != 0) {}
        int64_t late = now_ns() - due;
        if (n > 0 && late > late_max) late_max = late;
        int size = snprintf(text, sizeof text, "{\"n\":%" PRId64 ",\"due\":%" PRId64 "}", n, due);
        send_record(client, topic, text, (size_t)size);
        if (n > 0) continue;
        wait_for(r, 1, READY_WAIT_S);
        if (atomic_load(&r->received) < 1) die("latency: the first record did not arrive within %d s", READY_WAIT_S);
        start = now_ns() + period_ns;
    }
    if (rd_kafka_flush(client, QUERY_TIMEOUT_MS)) die("latency: not all records were acknowledged");
    wait_for(r, r->count, GRACE_S);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(client);
    return late_max;
}

static int compare(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int measure(char **argv) {
    int64_t rate = strtoll(argv[5], NULL, 10), seconds = strtoll(argv[6], NULL, 10), warm_up = strtoll(argv[7], NULL, 10);
    bool possible = rate >= 1 && rate <= 1000000 && seconds >= 1 && seconds <= 3600 && warm_up >= 0 && warm_up <= 3600;
    if (!possible) die("latency: RATE, SECONDS or WARM_UP_SECONDS is out of range");
    struct receiver r = {.count = rate * (seconds + warm_up)};
    pthread_t thread;
    r.latency_ns = malloc((size_t)r.count * sizeof *r.latency_ns);
    if (!r.latency_ns) die("latency: no memory");
    for (int64_t i = 0; i < r.count; i++) r.latency_ns[i] = -1;
    r.topic = consumer_open(argv[2], argv[4], &r.client);
    if (pthread_create(&thread, NULL, receive, &r) != 0) die("latency: no thread");
    int64_t late_max = send_all(argv[2], argv[3], &r, 1000000000 / rate), first = rate * warm_up, counted = r.count - first;
    atomic_store(&r.stop, true);
    pthread_join(thread, NULL);
    rd_kafka_consume_stop(r.topic, 0);
    rd_kafka_topic_destroy(r.topic);
    rd_kafka_destroy(r.client);
    if (r.received < r.count) die("latency: %" PRId64 " of %" PRId64 " records did not arrive", r.count - r.received, r.count);
    int64_t *sorted = r.latency_ns + first;
    qsort(sorted, (size_t)counted, sizeof *sorted, compare);
    printf("{\"records\":%" PRId64 ",\"doubled\":%" PRId64 ",\"p50_ms\":%.3f,\"p99_ms\":%.3f,", counted, r.doubled, (double)sorted[counted / 2] / 1e6,
           (double)sorted[counted * 99 / 100] / 1e6);
    printf("\"p999_ms\":%.3f,\"max_ms\":%.3f,\"sender_late_max_ms\":%.3f}\n", (double)sorted[counted * 999 / 1000] / 1e6,
           (double)sorted[counted - 1] / 1e6, (double)late_max / 1e6);
    free(r.latency_ns);
    return 0;
}

static int relay(char **argv) {
    rd_kafka_t *consumer, *producer = producer_new(argv[2]);
    rd_kafka_topic_t *from = consumer_open(argv[2], argv[3], &consumer), *to = rd_kafka_topic_new(producer, argv[4], NULL);
    if (!to) die("latency: %s: %s", argv[4], rd_kafka_err2str(rd_kafka_last_error()));
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    puts("ready");
    fflush(stdout);
    while (poll(&input, 1, 0) == 0) {
        rd_kafka_message_t *messages[BATCH];
        ssize_t count = rd_kafka_consume_batch(from, 0, 100, messages, 1);
        for (ssize_t i = 0; i < count; i++) {
            if (messages[i]->err) die("latency: %s", rd_kafka_message_errstr(messages[i]));
            send_record(producer, to, messages[i]->payload, messages[i]->len);
            rd_kafka_message_destroy(messages[i]);
        }
    }
    rd_kafka_flush(producer, QUERY_TIMEOUT_MS);
    rd_kafka_consume_stop(from, 0);
    rd_kafka_topic_destroy(from);
    rd_kafka_topic_destroy(to);
    rd_kafka_destroy(consumer);
    rd_kafka_destroy(producer);
    return 0;
}

int main(int argc, char **argv) {
    keep_memory();
    if (argc == 8 && strcmp(argv[1], "measure") == 0) return measure(argv);
    if (argc == 5 && strcmp(argv[1], "relay") == 0) return relay(argv);
    die("usage: latency measure BROKERS SEND_TOPIC RECEIVE_TOPIC RATE SECONDS WARM_UP_SECONDS | latency relay BROKERS FROM_TOPIC TO_TOPIC");
}
