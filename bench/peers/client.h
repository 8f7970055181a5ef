// SPDX-License-Identifier: Apache-2.0
// client.h: what the programs of this folder share: ending with a message, clocks, what the process has used, a client of librdkafka.
// Single process, no recovery: every failure ends the program with status 1 and one line.
#pragma once
#include <librdkafka/rdkafka.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { REASON_BYTES = 512, QUERY_TIMEOUT_MS = 10000 };

__attribute__((noreturn, format(printf, 1, 2))) static inline void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

static inline int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

// User and system time of all threads of this process.
static inline double used_cpu_s(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

// Lets the allocator keep what is freed for the next fetch, as leat does; else each megabyte fetched is mapped, zeroed and unmapped again.
static inline void keep_memory(void) {
    mallopt(M_TRIM_THRESHOLD, 64 << 20);
    mallopt(M_MMAP_THRESHOLD, 16 << 20);
}

// A client with these settings: name, value, …, NULL. A setting this version of the library lacks is passed over when its name begins with '?'.
static inline rd_kafka_t *client_new(rd_kafka_type_t type, const char *const *settings) {
    char reason[REASON_BYTES];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (const char *const *s = settings; s[0]; s += 2) {
        const char *name = s[0] + (s[0][0] == '?');
        rd_kafka_conf_res_t result = rd_kafka_conf_set(conf, name, s[1], reason, sizeof reason);
        if (result == RD_KAFKA_CONF_OK || (s[0][0] == '?' && result == RD_KAFKA_CONF_UNKNOWN)) continue;
        die("%s=%s: %s", name, s[1], reason);
    }
    rd_kafka_t *client = rd_kafka_new(type, conf, reason, sizeof reason);
    if (!client) die("no client: %s", reason);
    return client;
}

// Number of partitions of a topic that must exist.
static inline int32_t partition_count(rd_kafka_t *client, rd_kafka_topic_t *topic) {
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t code = rd_kafka_metadata(client, 0, topic, &metadata, QUERY_TIMEOUT_MS);
    if (code) die("%s: %s", rd_kafka_topic_name(topic), rd_kafka_err2str(code));
    int32_t count = metadata->topic_cnt == 1 ? metadata->topics[0].partition_cnt : 0;
    rd_kafka_metadata_destroy(metadata);
    if (count <= 0) die("%s: there is no such topic", rd_kafka_topic_name(topic));
    return count;
}
