// SPDX-License-Identifier: Apache-2.0
// kafka_source.h: what kafka_source.c (options, ranges, splits) and kafka_read.c (splits to batches) share. Internal to connector/kafka/.
#pragma once
#include "connector/kafka/kafka_fetch.h"
#include "connector/kafka/kafka_topics.h"
#include "connector/kafka/kafka_watch.h"

enum { COLUMN_KEY, COLUMN_VALUE, COLUMN_TOPIC, COLUMN_PARTITION, COLUMN_OFFSET, COLUMN_TIMESTAMP, COLUMN_TIMESTAMP_TYPE, COLUMN_HEADERS, COLUMN_COUNT };
extern const struct field kafka_header_fields[2];  // of an element of `headers`

struct part {                     // a partition of the table
    struct kafka_partition *partition;
    int64_t earliest;             // where it begins for a flow that has no position in it; −1: not asked yet
    int64_t stop;                 // where a batch query or --available-now ends; INT64_MAX: nowhere
};

struct kafka_source {
    struct source source;         // first
    struct arena arena;
    struct kafka_topics topics;
    struct kafka_client *client;
    struct kafka_fetch *fetch;
    struct kafka_watch *watch;
    struct kafka_asking asking;
    const char *description;
    const char *commit_group;
    bool headers;
    bool has_end;
    int64_t max_offsets, min_offsets, min_delay_us, waits_since_us;
    struct vector parts;          // struct part; changed by the engine's thread alone, between epochs
    struct error start_error;     // why no flow can begin here; flows that have begun do not mind
};

// By its name; NULL: none. hint: where to begin looking.
struct part *kafka_find_part(const struct kafka_source *s, const char *name, size_t hint);
// source_class.read.
enum status kafka_read(struct source *source, const struct split *split, uint32_t worker, const uint64_t *wanted, emit_batch emit, void *context,
                       const struct dead_row_sink *dead, struct error *e);
