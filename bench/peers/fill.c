// SPDX-License-Identifier: Apache-2.0
// fill.c: fills a topic with the messages of the generator connector (same seed, same bytes), event n into partition n mod partitions.
//
//     fill BROKERS TOPIC users|nexmark|small COUNT [SEED]      prints the number of bytes of all values
//
// The topic must exist. `small` is one bid of Nexmark without its long texts, about 100 bytes. Each partition holds its events in the
// order of n; a second run appends, so it is for a topic that was just made.
#include "client.h"
#include "connector/generator/documents.h"
#include <inttypes.h>
#include <stdbool.h>

enum { POLL_EVERY = 4096 };

static int64_t failed_count;

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *m, void *opaque) {
    (void)client, (void)opaque;
    if (m->err && failed_count++ == 0) fprintf(stderr, "fill: a message was refused: %s\n", rd_kafka_err2str(m->err));
}

static rd_kafka_t *producer_new(const char *brokers) {
    char reason[REASON_BYTES];
    static const char *const settings[][2] = {
        {"linger.ms", "20"}, {"batch.size", "1000000"}, {"batch.num.messages", "20000"}, {"queue.buffering.max.messages", "200000"},
        {"queue.buffering.max.kbytes", "131072"}, {"delivery.report.only.error", "true"},
        {"enable.idempotence", "true"}, {"log_level", "3"},
    };
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    if (rd_kafka_conf_set(conf, "bootstrap.servers", brokers, reason, sizeof reason) != RD_KAFKA_CONF_OK) die("fill: %s", reason);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], reason, sizeof reason) != RD_KAFKA_CONF_OK) die("fill: %s", reason);
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof reason);
    if (!client) die("fill: no client: %s", reason);
    return client;
}

static enum status write_small(uint64_t seed, uint64_t n, struct buffer *out) {
    char text[160];
    uint64_t key[2] = {seed, n}, value = random_keyed(key, 2);
    uint64_t auction = 1000 + value % 100000, bidder = (value >> 32) % 50000, price = (value >> 20) % 1000000, time_ms = 1436918400000 + n / 10;
    int size = snprintf(text, sizeof text, "{\"bid\":{\"auction\":%" PRIu64 ",\"bidder\":%" PRIu64 ",\"price\":%" PRIu64 ",\"dateTime\":%" PRIu64 "}}",
                        auction, bidder, price, time_ms);
    return buffer_append(out, text, (size_t)size);
}

static enum status write_message(const char *kind, uint64_t seed, uint64_t n, struct buffer *out, size_t *key_offset) {
    *key_offset = SIZE_MAX;
    if (strcmp(kind, "users") == 0) return users_write(seed, n, out, key_offset);
    if (strcmp(kind, "nexmark") == 0) return nexmark_write(seed, n, out);
    return write_small(seed, n, out);
}

static void produce(rd_kafka_t *client, rd_kafka_topic_t *topic, int32_t partition, const struct buffer *message, size_t key_offset) {
    void *key = key_offset == SIZE_MAX ? NULL : message->data + key_offset;
    while (rd_kafka_produce(topic, partition, RD_KAFKA_MSG_F_COPY, message->data, message->size_bytes, key, key ? 36 : 0, NULL) != 0) {
        rd_kafka_resp_err_t code = rd_kafka_last_error();
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL) die("fill: %s: %s", rd_kafka_topic_name(topic), rd_kafka_err2str(code));
        rd_kafka_poll(client, 10);
    }
}

int main(int argc, char **argv) {
    if (argc < 5 || argc > 6) die("usage: fill BROKERS TOPIC users|nexmark|small COUNT [SEED]");
    keep_memory();
    const char *kind = argv[3];
    bool known = strcmp(kind, "users") == 0 || strcmp(kind, "nexmark") == 0 || strcmp(kind, "small") == 0;
    if (!known) die("fill: %s is none of users, nexmark, small", kind);
    uint64_t count = strtoull(argv[4], NULL, 10), seed = argc == 6 ? strtoull(argv[5], NULL, 10) : 42, total_bytes = 0;
    rd_kafka_t *client = producer_new(argv[1]);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(client, argv[2], NULL);
    if (!topic) die("fill: %s: %s", argv[2], rd_kafka_err2str(rd_kafka_last_error()));
    uint64_t partitions = (uint64_t)partition_count(client, topic);
    struct memory memory;
    struct buffer message;
    memory_init(&memory, "fill", NULL, 0);
    buffer_init(&message, &memory);
    for (uint64_t n = 0; n < count && failed_count == 0; n++) {
        size_t key_offset;
        buffer_clear(&message);
        if (write_message(kind, seed, n, &message, &key_offset) != STATUS_OK) die("fill: no memory");
        produce(client, topic, (int32_t)(n % partitions), &message, key_offset);
        total_bytes += message.size_bytes;
        if (n % POLL_EVERY == 0) rd_kafka_poll(client, 0);
    }
    rd_kafka_resp_err_t code = rd_kafka_flush(client, 120000);
    if (code) die("fill: not all was acknowledged: %s", rd_kafka_err2str(code));
    if (failed_count > 0) die("fill: %" PRId64 " messages were refused", failed_count);
    buffer_release(&message);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(client);
    printf("%" PRIu64 "\n", total_bytes);
    return 0;
}
