// SPDX-License-Identifier: Apache-2.0
// kafka.h: what the parts of the Kafka connector share. Internal to connector/kafka/ but for the commands `leat kafka …` (cli/kafka.c).
//
//     kafka_conf.c      options of a table → librdkafka's configuration
//     kafka_client.c    a client with its callbacks; errors → struct error; its log → ours
//     kafka_offsets.c   offsets as Spark writes them: {"topic":{"0":23,"1":-2}}
//     kafka_fetch.c     one consumer, one thread: messages into windows of partitions, bounded in bytes
//     kafka_probe.c     where a batch of records that cannot be read ends
//     kafka_topics.c    which partitions, where reading begins and ends; its questions by kafka_ask.c
//     kafka_settle.c    ends behind transactions that are being decided
//     kafka_watch.c     partitions that come and go
//     kafka_source.c    source_class over it; kafka_read.c its batches
//     kafka_call.c      steps of a transaction, with an end
//     kafka_sink.c      sink_class: one transactional producer a store
//
// librdkafka 2.0.2 must do; what is newer is asked for by rd_kafka_version(), never at compile time.
#pragma once
#include "base/buffer.h"
#include "plan/sink.h"
#include "plan/source.h"
#include <librdkafka/rdkafka.h>
#include <pthread.h>

extern const struct option kafka_source_options[], kafka_sink_options[];

enum kafka_use { KAFKA_CONSUMER, KAFKA_PRODUCER, KAFKA_ADMIN };

// A client and what its callbacks need. Made by kafka_client_new, which owns `conf` from then on.
struct kafka_client {
    rd_kafka_t *rk;
    struct memory *memory;
    struct log *log;              // may be NULL
    char *brokers;                // bootstrap servers, for messages
    char *who;                    // "source `events`", for messages
    void *owner;                  // of whoever made it, for callbacks of its own (their `opaque` is the client)
    _Atomic bool down;            // no broker answers: said once, and once when one does again
    _Atomic bool told;            // it was said
    _Atomic bool was_up;          // one has answered
    _Atomic bool end_told;        // why a transaction, or the client itself, is at its end: once
    bool trusted;                 // an earlier client of the same options was let in. As was_up: what looks like a wrong password is tried again
    bool quiet;                   // whoever uses it says itself that brokers are away: its own line is for debugging
    _Atomic bool closing;         // callbacks touch nothing any more
    pthread_mutex_t mutex;        // of what follows, written by librdkafka's threads
    char reason[256];             // the client's own words for it
    struct error fatal;           // status OK: none
    _Atomic bool abandoned;       // a call is left in it: neither used nor destroyed
    struct kafka_caller *caller;  // kafka_call.c's; NULL: no step has been asked for
    bool polled_as_consumer;      // the main queue is the consumer's: only the consumer's poll may serve it
};

// Configuration from the table's kafka.* options (Java's names are understood where librdkafka has another), with ${env:…} and ${file:…}
// resolved. The caller may set more before kafka_client_new. STATUS_INVALID_ARGUMENT names the option.
enum status kafka_conf_make(const struct option_set *options, enum kafka_use use, struct memory *memory, rd_kafka_conf_t **out, struct error *e) WARN_UNUSED;
// The same at plan time: nothing outside is touched, and values with ${env:…} or ${file:…} are not looked at.
enum status kafka_conf_check(const struct option_set *options, enum kafka_use use, struct memory *memory, struct error *e) WARN_UNUSED;
// One line for each option that is passed over. Once, when a table is opened.
void kafka_conf_warn(const struct option_set *options, enum kafka_use use, const char *who, struct log *log);
bool kafka_option_is_secret(const char *key);  // by its name; its value is never printed
// Takes `conf`, also on failure. `who` as above.
enum status kafka_client_new(rd_kafka_conf_t *conf, enum kafka_use use, const char *who, struct memory *memory, struct log *log, struct kafka_client **out,
                             struct error *e) WARN_UNUSED;
// NULL is allowed; waits at most 5 s. False: its threads have not ended by then (a name server that does not answer); what they may still read,
// messages that were not copied above all, must be left to them.
bool kafka_client_free(struct kafka_client *c);
// To be called when a broker has answered (a message, an acknowledgement, metadata): says that it is back, if it was away. Cheap.
void kafka_client_up(struct kafka_client *c);
// What ends the client's use (a wrong password, fencing), as its callbacks have found it; STATUS_OK: nothing. Callbacks run in whoever polls
// the client's main queue (rd_kafka_poll, rd_kafka_consumer_poll), and in this. Not to be called in a callback.
enum status kafka_client_check(struct kafka_client *c, struct error *e) WARN_UNUSED;

// An answer of the client as an error: status (UNREACHABLE, INVALID_ARGUMENT, CONFLICT for fencing, IO …), broker and reason in the message,
// a hint. `what` says what was tried, with topic, partition, offset: "reading users-0 at offset 17".
enum status kafka_error(const struct kafka_client *c, rd_kafka_resp_err_t code, const char *reason, const char *what, struct error *e);

// kafka_call.c: a step of a producer's transaction that ends, about 5 s after its own limit at the latest. offsets and group: of RECORD, borrowed.
// NULL: done. The error is the caller's. client->abandoned: it must not be used any more.
enum kafka_step { KAFKA_STEP_RECORD, KAFKA_STEP_COMMIT, KAFKA_STEP_ABORT };
rd_kafka_error_t *kafka_transaction_step(struct kafka_client *client, enum kafka_step step, const rd_kafka_topic_partition_list_t *offsets, const char *group,
                                         int timeout_ms);
void kafka_caller_free(struct kafka_caller *c);  // NULL is allowed; waits for its thread, which is in no call

// One partition, as it is named in positions, ranges and leat_dead: "topic-3".
enum status kafka_partition_name(struct arena *a, const char *topic, int32_t partition, const char **out) WARN_UNUSED;
bool kafka_partition_split(struct arena *a, const char *name, const char **topic, int32_t *partition);
bool kafka_topic_is_legal(const char *topic, size_t size_bytes);

struct kafka_offset {
    const char *topic;
    int32_t partition;
    int64_t offset;               // KAFKA_EARLIEST, KAFKA_LATEST, or the offset (a timestamp in ms where the option says so)
};
enum { KAFKA_LATEST = -1, KAFKA_EARLIEST = -2 };
struct kafka_offsets {
    struct kafka_offset *items;
    uint32_t count;
};
// {"topic":{"0":23}}; and for `assign` {"topic":[0,1]} (offsets 0). In the arena. STATUS_INVALID_ARGUMENT says where.
enum status kafka_offsets_parse(struct arena *a, const char *json, bool assign, const char *option_name, struct kafka_offsets *out, struct error *e) WARN_UNUSED;
enum status kafka_positions_print(const struct positions *positions, struct buffer *out) WARN_UNUSED;

// The producer's side of the record (sink.h) as text, for the metadata of a committed offset.
enum { KAFKA_RECORD_CHARS = 96 };
void kafka_record_print(const struct sink_record *record, char out[KAFKA_RECORD_CHARS]);
bool kafka_record_parse(const char *text, const uint8_t pipeline[16], struct sink_record *out);
