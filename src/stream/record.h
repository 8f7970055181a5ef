// SPDX-License-Identifier: Apache-2.0
// record.h: what the log's records say, and the durable state that they add up to: the pipeline as of the last record.
//
//     START    incarnation
//     TEXT     text, flow*: name, hash
//     INTENT   epoch, clock µs, active flow names, input*: source name, range*: partition, name, begin, end, stamp; attempt;
//              with event time, watermark*: flow name, position, late, close
//     COMMIT   epoch, identities of the stores that have it, flows whose target was emptied (their refresh is done)
//     REFRESH  flow name; an intent that is open is given up (--full-refresh-all; else there is none)
//     STATIC   digest of the tables that joins read whole: an epoch that runs again must meet the same ones
//     SNAPSHOT everything below but an open intent, then the execution's state
//
// Owns its strings (memory handle "durable"); single-threaded.
#pragma once
#include "base/vector.h"
#include "exec/exec.h"
#include "plan/source.h"
#include "stream/journal.h"

struct flow_source {                 // where one flow stands in one source
    char *source;                    // table name
    struct vector positions;         // of struct position; names owned
};

struct flow_entry {
    char *name;
    uint64_t hash;
    struct vector sources;           // of struct flow_source
    bool refresh_pending;            // its target is to be emptied with its next epoch
    bool started;                    // it has committed an epoch
};

struct store_entry {
    char *identity;
    uint64_t epoch;                  // the last one it committed
};

struct intent_input {
    char *source;
    struct ranges ranges;            // arena
};
struct intent {
    uint64_t epoch;
    uint32_t attempt;                // counts from 1
    int64_t clock_us;
    const char **flows;              // active ones
    uint32_t flow_count;
    struct intent_input *inputs;
    uint32_t input_count;
    struct watermark_mark *watermarks;
    uint32_t watermark_count;
    uint64_t digest;                 // of all but the attempt
};

struct durable {
    struct memory *memory;
    char *text;                      // NULL: a new pipeline
    struct vector flows;             // of struct flow_entry *
    struct vector stores;            // of struct store_entry *
    uint64_t incarnation;
    uint64_t last_epoch;             // highest number ever used
    uint64_t seed;
    uint64_t static_digest;
    int64_t last_clock_us;
    bool has_intent;                 // an epoch is open
    struct buffer intent_bytes;      // its payload
    struct buffer execution_snapshot;
    struct vector execution_changes; // of struct buffer *: committed changes since the snapshot, oldest first
    struct buffer open_changes;      // CHANGES seen, COMMIT not yet
};

void durable_init(struct durable *d, struct memory *memory);
void durable_release(struct durable *d);
// journal_replay; context is the struct durable.
enum status durable_replay(void *context, enum record_kind kind, const uint8_t *payload, size_t size_bytes, struct error *e) WARN_UNUSED;
// Forgets the execution's bytes once they are applied.
void durable_drop_execution(struct durable *d);

struct flow_entry *durable_flow(const struct durable *d, const char *name);           // NULL if unknown
struct store_entry *durable_store(struct durable *d, const char *identity);           // makes one with epoch 0; NULL: no memory
struct flow_source *flow_entry_source(struct flow_entry *f, struct durable *d, const char *source);  // makes one; NULL: no memory
const struct flow_source *flow_entry_find_source(const struct flow_entry *f, const char *source);    // NULL: it has no position there
// The offset of a partition; `missing` if the flow has none yet.
int64_t flow_source_offset(const struct flow_source *s, uint32_t partition, const char *name, int64_t missing);
struct positions flow_source_view(const struct flow_source *s);

// Encoding. Payloads go into `out`, which is cleared first.
enum status encode_start(struct buffer *out, uint64_t incarnation) WARN_UNUSED;
struct text_flow { const char *name; uint64_t hash; };
enum status encode_text(struct buffer *out, const char *text, const struct text_flow *flows, uint32_t count) WARN_UNUSED;
enum status encode_intent(struct buffer *out, struct intent *i) WARN_UNUSED;  // sets i->digest
enum status decode_intent(struct arena *a, const void *bytes, size_t size_bytes, struct intent *out, struct error *e) WARN_UNUSED;
enum status encode_commit(struct buffer *out, uint64_t epoch, const char *const *stores, uint32_t count, const char *const *refreshed,
                          uint32_t refreshed_count) WARN_UNUSED;
enum status encode_static(struct buffer *out, uint64_t digest) WARN_UNUSED;
enum status encode_refresh(struct buffer *out, const char *flow) WARN_UNUSED;
// A snapshot: begin, then the execution's bytes are appended, then end with where they begin. The third does all of it.
enum status encode_snapshot_begin(struct buffer *out, const struct durable *d) WARN_UNUSED;
void encode_snapshot_end(struct buffer *out, size_t begin);
enum status encode_snapshot(struct buffer *out, const struct durable *d, const struct buffer *execution) WARN_UNUSED;
