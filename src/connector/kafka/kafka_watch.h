// SPDX-License-Identifier: Apache-2.0
// kafka_watch.h: a thread that asks the brokers what the fetch thread has no time to wait for: which partitions have come and gone, and what has
// become of an offset that is out of range.
#pragma once
#include "connector/kafka/kafka_fetch.h"
#include "connector/kafka/kafka_topics.h"

struct kafka_watch_config {
    struct memory *memory;
    struct log *log;
    const char *table_name;
    struct kafka_client *client;
    const struct kafka_topics *topics;
    const _Atomic int *stop;      // as in struct kafka_asking
    struct notify *wake;          // raised for partitions that have come; may be NULL
    int64_t interval_us;          // between two looks; 0: only when there is trouble
};
struct kafka_watch;

enum status kafka_watch_new(const struct kafka_watch_config *c, struct kafka_watch **out, struct error *e) WARN_UNUSED;
enum status kafka_watch_start(struct kafka_watch *w, struct kafka_fetch *f, struct error *e) WARN_UNUSED;
void kafka_watch_look(struct kafka_watch *w);  // soon; from any thread
// Partitions found since the last call, at their earliest offsets; in the arena.
enum status kafka_watch_take(struct kafka_watch *w, struct arena *a, struct kafka_offsets *out) WARN_UNUSED;
void kafka_watch_stop(struct kafka_watch *w);  // ends the thread; NULL is allowed
void kafka_watch_free(struct kafka_watch *w);
