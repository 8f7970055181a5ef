// SPDX-License-Identifier: Apache-2.0
// kafka_topics.h: which partitions a table reads, and where reading them begins and ends.
//
// Calls that ask brokers wait for an answer, 10 s at most; STATUS_UNREACHABLE then. Everything found is in the caller's arena.
#pragma once
#include "connector/kafka/kafka.h"

enum kafka_selection { KAFKA_SUBSCRIBE, KAFKA_SUBSCRIBE_PATTERN, KAFKA_ASSIGN };
enum kafka_limit_kind { KAFKA_LIMIT_EARLIEST, KAFKA_LIMIT_LATEST, KAFKA_LIMIT_OFFSETS, KAFKA_LIMIT_TIME, KAFKA_LIMIT_TIMES };

struct kafka_asking {           // who asks, and for how long it is worth it; of one thread but for `closing`
    struct kafka_client *client;
    _Atomic bool closing;
    int longest_ms;             // that one question may wait, and closing with it; 0: no limit but the usual one
    const _Atomic int *stop;    // non-zero: give up; may be NULL
    bool has_controller;        // the brokers name one that is there: it can be asked for topics' ids
};

struct kafka_question {         // one of three: times, bounds, or metadata of a topic
    char topic[256];            // "": of all
    int32_t partition;
    bool bounds;
    int64_t low, high;          // out
    rd_kafka_topic_partition_list_t *times;  // filled in; NULL after a stop: it is not the caller's any more
    const struct rd_kafka_metadata *metadata;  // out; the caller's
};

struct kafka_limit {            // startingOffsets and its kin
    enum kafka_limit_kind kind;
    const char *option_name;
    int64_t time_ms;            // of KAFKA_LIMIT_TIME
    struct kafka_offsets offsets;
};

struct kafka_topics {
    enum kafka_selection selection;
    const char *text;           // of the option, as written
    const char **names;         // of `subscribe`
    uint32_t name_count;
    void *pattern;              // compiled
    struct kafka_offsets assigned;
    struct kafka_limit start, end;
    bool latest_if_no_match;    // startingOffsetsByTimestampStrategy = latest
    bool fail_on_data_loss;
};

// Waits for an answer, or for a stop.
rd_kafka_resp_err_t kafka_ask(struct kafka_asking *asking, struct kafka_question *q, int timeout_ms);

// Lists are sorted by topic and partition. NULL: it is not in it.
const struct kafka_offset *kafka_offsets_find(const struct kafka_offsets *in, const char *topic, int32_t partition);
// Options read and checked, offline. In the arena but for the pattern, which kafka_topics_release gives back.
enum status kafka_topics_init(struct kafka_topics *t, const struct source_request *r, struct arena *a, struct error *e) WARN_UNUSED;
void kafka_topics_release(struct kafka_topics *t);
// Every partition there is, sorted by topic and number (offsets 0). A topic that does not exist: `missing` gets its name, or where that is NULL an error.
enum status kafka_topics_list(const struct kafka_topics *t, struct kafka_asking *asking, struct arena *a, struct kafka_offsets *out, struct kafka_offsets *missing,
                              struct error *e) WARN_UNUSED;
// What tells a topic from another of its name, for each one there is in a sorted list of partitions: ids[i] belongs to partitions->items[i]; 0: not
// known (an old broker or client, no answer).
void kafka_topic_ids(struct kafka_asking *asking, const struct kafka_offsets *partitions, int64_t *ids);
// Earliest offset, and the one after the last: with read_committed, after the last whose transaction is decided.
enum status kafka_query_bounds(struct kafka_asking *asking, const char *topic, int32_t partition, int64_t *low, int64_t *high, struct error *e) WARN_UNUSED;
// Fills the offsets of `partitions`. Partitions that the option's JSON leaves out, or names and does not have to, are an error.
enum status kafka_resolve(const struct kafka_topics *t, const struct kafka_limit *limit, struct kafka_asking *asking, struct log *log, struct kafka_offsets *partitions,
                          struct error *e) WARN_UNUSED;
// `partitions` (sorted) holds ends that were just asked for. Where messages behind one are of transactions that are not decided, waits for that, 5 s
// at most, and moves the end. With read_uncommitted, or a client before 2.3, nothing happens.
enum status kafka_settle(struct kafka_asking *asking, struct log *log, struct kafka_offsets *partitions, struct error *e) WARN_UNUSED;
// "Some data may have been lost …": an error, or where failOnDataLoss is false a warning and STATUS_OK.
enum status kafka_data_loss(bool fail, struct log *log, const char *subclass, struct error *e, const char *format, ...) PRINTF_LIKE(5, 6);
