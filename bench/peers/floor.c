// SPDX-License-Identifier: Apache-2.0
// floor.c: what reading a topic costs with nothing but librdkafka: the floor under every figure for leat. Reads all partitions of a topic
// from their beginning to what is their end then, and prints one JSON line with what it counted and what the process used.
//
//     floor fetch  BROKERS TOPIC      messages and bytes, looked at no further
//     floor filter BROKERS TOPIC      Nexmark events: bids with auction % 123 = 0, found by a search for the two fields, nothing parsed or checked
//     floor answer BROKERS TOPIC      every value counts: to compare what two engines have written
//
// `checksum` is the sum of the XXH3 of each row, as text, modulo 2^64: the order does not matter, a missing, doubled or different row does.
// The row of `filter` is the JSON {"auction":A,"price":P}.
#include "client.h"
#include <ctype.h>
#include <inttypes.h>
#include <stdbool.h>
#include <xxhash.h>

enum { BATCH = 8192, WAIT_MS = 50, SILENCE_MAX_S = 30, DIVISOR = 123 };

struct totals {
    uint64_t messages, bytes, rows, checksum;
};

// The digits after `name`, searched in [*from, end); *from moves behind them. False: it is not there, or no number.
static bool find_number(const char **from, const char *end, const char *name, size_t name_size, int64_t *out) {
    const char *p = memmem(*from, (size_t)(end - *from), name, name_size);
    if (!p) return false;
    p += name_size;
    int64_t value = 0;
    const char *digits = p;
    while (p < end && isdigit((unsigned char)*p)) value = value * 10 + (*p++ - '0');
    *out = value;
    *from = p;
    return p > digits;
}

static void filter_message(const char *value, size_t size, struct totals *totals) {
    static const char in_bid[] = "\"bid\":{\"auction\":", price_name[] = "\"price\":";
    const char *from = value, *end = value + size;
    int64_t auction, price;
    if (!find_number(&from, end, in_bid, sizeof in_bid - 1, &auction) || auction % DIVISOR != 0) return;
    if (!find_number(&from, end, price_name, sizeof price_name - 1, &price)) return;
    char row[80];
    int row_size = snprintf(row, sizeof row, "{\"auction\":%" PRId64 ",\"price\":%" PRId64 "}", auction, price);
    totals->rows++;
    totals->checksum += XXH3_64bits(row, (size_t)row_size);
}

// Until every partition has told its end; the library says so once a partition.
static void read_all(rd_kafka_queue_t *queue, int32_t partitions, char mode, struct totals *totals) {
    static rd_kafka_message_t *messages[BATCH];
    int silence = 0;
    for (int32_t ended = 0; ended < partitions;) {
        ssize_t count = rd_kafka_consume_batch_queue(queue, WAIT_MS, messages, BATCH);
        if (count < 0) die("floor: %s", rd_kafka_err2str(rd_kafka_last_error()));
        silence = count == 0 ? silence + 1 : 0;
        if (silence * WAIT_MS > SILENCE_MAX_S * 1000) die("floor: nothing came for %d s", SILENCE_MAX_S);
        for (ssize_t i = 0; i < count; i++) {
            rd_kafka_message_t *m = messages[i];
            if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) ended++;
            else if (m->err) die("floor: %s", rd_kafka_message_errstr(m));
            else {
                totals->messages++;
                totals->bytes += m->len;
                if (mode == 'f') filter_message(m->payload, m->len, totals);
                if (mode == 'a') totals->rows++, totals->checksum += XXH3_64bits(m->payload, m->len);
            }
            rd_kafka_message_destroy(m);
        }
    }
}

int main(int argc, char **argv) {
    if (argc != 4) die("usage: floor fetch|filter|answer BROKERS TOPIC");
    keep_memory();
    char mode = strcmp(argv[1], "filter") == 0 ? 'f' : strcmp(argv[1], "answer") == 0 ? 'a' : strcmp(argv[1], "fetch") == 0 ? 'n' : 0;
    if (!mode) die("floor: %s is none of fetch, filter, answer", argv[1]);
    const char *const settings[] = {"bootstrap.servers", argv[2], "group.id", "floor", "enable.auto.commit", "false", "enable.partition.eof", "true",
                                    "queued.min.messages", "1000000", "queued.max.messages.kbytes", "8192", "fetch.message.max.bytes", "4194304",
                                    "?fetch.queue.backoff.ms", "2", "log_level", "3", "check.crcs", "true", NULL};
    rd_kafka_t *client = client_new(RD_KAFKA_CONSUMER, settings);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(client, argv[3], NULL);
    if (!topic) die("floor: %s: %s", argv[3], rd_kafka_err2str(rd_kafka_last_error()));
    int32_t partitions = partition_count(client, topic);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    for (int32_t p = 0; p < partitions; p++)
        if (rd_kafka_consume_start_queue(topic, p, RD_KAFKA_OFFSET_BEGINNING, queue) != 0) die("floor: %s", rd_kafka_err2str(rd_kafka_last_error()));
    struct totals totals = {0};
    int64_t begin = now_ns();
    read_all(queue, partitions, mode, &totals);
    double wall_s = (double)(now_ns() - begin) / 1e9, cpu_s = used_cpu_s();
    printf("{\"client\":\"%s\",\"messages\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"rows\":%" PRIu64 ",\"checksum\":\"%016" PRIx64 "\",",
           rd_kafka_version_str(), totals.messages, totals.bytes, totals.rows, totals.checksum);
    printf("\"cpu_s\":%.6f,\"wall_s\":%.6f}\n", cpu_s, wall_s);
    fflush(stdout);
    for (int32_t p = 0; p < partitions; p++) rd_kafka_consume_stop(topic, p);
    rd_kafka_queue_destroy(queue);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(client);
    return 0;
}
