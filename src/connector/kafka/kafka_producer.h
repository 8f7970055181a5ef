// SPDX-License-Identifier: Apache-2.0
// kafka_producer.h: one producer of a store, with or without transactions. Internal to connector/kafka/: kafka_sink.c turns rows into messages,
// this sends them, knows what became of each, and keeps the record.
//
//     ready ─► record ─► [ begin ─► (topic, post, send …)* ─► flush ─► commit | abort ]*
//
// Messages are not copied: a parcel holds the batch they lie in until the client has answered for each (or is gone). After an abort, and after
// an answer that leaves open what happened, the client is let go; the next `ready` makes it anew under the same transactional id, which ends
// the old one's transaction on the broker, so that nothing delayed can fall into a later one.
#pragma once
#include "base/map.h"
#include "base/vector.h"
#include "connector/kafka/kafka.h"

struct kafka_parcel;

struct kafka_topic {
    rd_kafka_topic_t *handle;     // of the present client; NULL: to be asked for
    _Atomic int32_t partition_count;
    bool missing;                 // the brokers do not have it
    int64_t asked_us;             // monotonic
    _Atomic size_t refused_bytes; // brokers refused a message of this size as too large; 0: none
    _Atomic int64_t refused_until_us;  // monotonic; then they are asked again
    _Atomic int policy;           // is it compacted? 0: nobody has asked; the rest is kafka_producer.c's
    _Atomic int64_t policy_until_us;  // likewise
    char name[256];
};

struct kafka_producer {
    struct memory *memory;
    struct log *log;
    const struct option_set *options;  // of the table that opened the store
    const _Atomic int *stop;      // raised: waits end soon. May be NULL
    char who[160];                // "sink `totals`"
    char id[224];                 // transactional id and group of the record; "": at-least-once
    char record_topic[256];       // its partition 0 carries the record; "": not known yet. Of topic_mutex
    uint8_t pipeline[16];
    struct kafka_client *client;  // NULL: to be made by `ready`
    int64_t began_us;             // of the transaction, monotonic
    int64_t transaction_timeout_us;
    bool initialized;             // transactions of earlier producers are settled
    bool in_transaction;
    bool broken;                  // not to be used again
    bool silent;                  // brokers did not answer: they are not asked to abort
    bool worked;                  // a client of ours was let in
    uint32_t overdue_count;       // transactions in a row that the broker ended because they were open for too long
    bool is_overdue;              // the present one
    bool single;                  // one message a request, to find out which one a broker refuses
    pthread_mutex_t topic_mutex;  // of `topics`; held while brokers are asked
    struct map topics;            // name → struct kafka_topic
    pthread_mutex_t mutex;        // of what follows, which answers change
    struct kafka_parcel *parcels; // not answered for yet
    struct vector refused;        // struct kafka_refusal, sorted by hash between runs: messages brokers refused for themselves
    struct vector suspects;       // struct kafka_refusal: of this run, in batches that were refused as a whole
    bool is_told;                 // which of a batch are guilty
    bool suspects_policy;         // a topic may be compacted: its next message without a key asks
    rd_kafka_resp_err_t failure;  // of a delivery, the first; NO_ERROR: none
    char failed_at[300];          // "topic-partition"
    _Atomic bool has_failure;
    _Atomic uint64_t answered;    // messages; grows as the client gets on
};

struct kafka_refusal {
    uint64_t hash;                // of topic, key and value
    rd_kafka_resp_err_t code;
};

struct kafka_message {
    struct kafka_topic *topic;
    const char *key, *value;      // NULL: none
    size_t key_bytes, value_bytes;
    int32_t partition;            // RD_KAFKA_PARTITION_UA: by the key
    rd_kafka_headers_t *headers;  // NULL: none; taken when the message is
};

enum status kafka_producer_new(const struct sink_request *any, const char *id, const uint8_t pipeline[16], struct kafka_producer **out, struct error *e) WARN_UNUSED;
void kafka_producer_free(struct kafka_producer *p);  // NULL is allowed
enum status kafka_producer_ready(struct kafka_producer *p, struct error *e) WARN_UNUSED;
// Only with an id. Waits for a group coordinator that is not ready yet.
enum status kafka_producer_record(struct kafka_producer *p, bool *found, struct sink_record *record, struct error *e) WARN_UNUSED;
enum status kafka_producer_begin(struct kafka_producer *p, struct error *e) WARN_UNUSED;
// Looks a topic up; its `missing` says whether it is there. Called by one thread at a time, as is what follows (SINK_ORDERED, sink.h).
enum status kafka_producer_topic(struct kafka_producer *p, const char *name, size_t name_bytes, struct kafka_topic **out, struct error *e) WARN_UNUSED;
// True if a partition is one of the topic's, by what the brokers said last; asks again at times.
enum status kafka_producer_has_partition(struct kafka_producer *p, struct kafka_topic *t, int32_t partition, bool *out, struct error *e) WARN_UNUSED;
// Whether brokers keep the newest message of each key, and so want one. Where they do not tell (access rules), they are taken not to. Under the
// topic_mutex.
enum status kafka_producer_is_compacted(struct kafka_producer *p, struct kafka_topic *t, bool *out, struct error *e) WARN_UNUSED;
// Whether a topic holds a message.
enum status kafka_producer_is_empty(struct kafka_producer *p, struct kafka_topic *t, bool *out, struct error *e) WARN_UNUSED;

// The topic whose partition 0 carries the record, unless there is one already.
void kafka_producer_keep_record_at(struct kafka_producer *p, const char *topic);

// A parcel takes a reference on the batch; `seal` says that all its messages were sent.
enum status kafka_parcel_new(struct kafka_producer *p, struct batch *b, struct kafka_parcel **out, struct error *e) WARN_UNUSED;
void kafka_parcel_seal(struct kafka_producer *p, struct kafka_parcel *parcel);
// NO_ERROR in *refusal: taken. Otherwise why this message cannot be sent (too large, refused before); headers then stay the caller's. Waits
// while the queue is full.
enum status kafka_producer_send(struct kafka_producer *p, struct kafka_parcel *parcel, const struct kafka_message *m, rd_kafka_resp_err_t *refusal, struct error *e) WARN_UNUSED;
enum status kafka_producer_flush(struct kafka_producer *p, struct error *e) WARN_UNUSED;
// *recorded: the record was written. It is not where no topic has been named yet, and so no message was sent.
enum status kafka_producer_commit(struct kafka_producer *p, const struct sink_record *record, bool *recorded, struct error *e) WARN_UNUSED;
void kafka_producer_abort(struct kafka_producer *p);
// That brokers do not answer, with what is known of why.
enum status kafka_producer_unreachable(struct kafka_producer *p, const char *what, struct error *e);
bool kafka_producer_stopping(const struct kafka_producer *p);
