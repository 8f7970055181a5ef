// SPDX-License-Identifier: Apache-2.0
// kafka_fetch.h: one thread that takes messages from the client and keeps them in windows, one a partition.
//
//     window    begin ─► [segment][segment][segment …] ─► end          every message of [begin, end) is in it
//     segment   [key value headers key value headers … │ free │ … message 2, message 1, message 0]     one buffer of 16 KB to 1 MB
//
// A segment is filled by the fetch thread alone, from both ends; what is below its count does not change any more, so that a reader needs
// the lock only to find its messages and to take a reference on their buffers. Offsets no message has (control records, aborted
// transactions, compaction) are covered as well: by the next message, or by the client's word that the partition's end is reached.
//
// Windows are bounded together. What a reader waits for is fetched whatever the bound says: the lowest reader of a partition always gets on.
#pragma once
#include "base/threads.h"
#include "base/vector.h"
#include "connector/kafka/kafka.h"

enum { KAFKA_BATCH_BYTES = 1 << 20 };  // of messages in a batch; one larger message is a batch of its own
#define KAFKA_NULL_BYTES UINT32_MAX    // size of a key or value that is NULL

struct kafka_message {
    const uint8_t *bytes;       // key, value, headers
    int64_t offset;
    int64_t timestamp_ms;
    uint32_t key_bytes;
    uint32_t value_bytes;
    uint32_t header_bytes;      // each: key size, key, value size, value; sizes as uint32
    uint16_t header_count;
    int8_t timestamp_type;      // as Spark counts: 0 create, 1 log append, −1 none
    bool is_bad;                // value holds the client's reason: the record's bytes cannot be read
};

struct kafka_segment;

struct kafka_reader {           // one split being read; lives as long as the read
    struct kafka_partition *partition;
    struct kafka_reader *next_reader;
    int64_t next;               // offset of the next message wanted
    int64_t topic_id;           // of the topic that is to be read; 0: any of its name
    bool waiting;
};

// The client refuses a whole batch of records and does not say how many they are. Its end is found by asking in growing steps, then by halves.
struct kafka_probe {
    bool is_active;
    int64_t base;               // the batch, by the client's name for it
    int64_t first, low;         // records known to be in it: first … low
    int64_t high;               // the lowest offset known to be behind it; −1: none yet
    int64_t at;                 // asked now
    int64_t step;
    bool is_storing;            // all is known: first … low are being stored, as there is room
    const struct kafka_segment *told_in;  // the reason's text is in this segment already; NULL: in none
    const uint8_t *told;        // there
    char reason[200];
};

struct kafka_partition {
    const char *topic;
    const char *name;           // "topic-3"
    int32_t partition;
    uint32_t id;                // of ranges and origins: the same in every run
    rd_kafka_topic_t *handle;
    rd_kafka_queue_t *queue;
    struct kafka_fetch *fetch;
    _Atomic bool ready;         // the client has put something into the empty queue

    // of the fetch thread
    bool is_started;
    bool is_discarding;         // what is left of the messages taken from the client is from before a seek
    int64_t tail_end;           // next offset to come
    struct kafka_segment *tail; // being filled
    uint32_t tail_count;
    size_t tail_bytes;
    size_t next_capacity;
    struct kafka_probe probe;

    // under the lock
    struct kafka_segment *first, *last;
    int64_t begin, end;         // covered; begin < 0: nothing has been asked for yet
    size_t window_bytes;
    bool is_filling;            // the thread is at it: the last segment is its own
    int64_t wanted_from;        // what lies below may be given back
    int64_t restart_at;         // where the thread is to seek; −1: nowhere
    int64_t resume_at;          // where it is to go on after an offset was refused; −1
    int64_t touched_us;         // last time somebody wanted what the window has, or is about to have
    int64_t progress_us;        // last time the broker answered
    int64_t out_of_range_at;    // the broker refused this offset; −1: none
    int64_t topic_id;           // 0: not known
    int64_t rewound_above;      // the partition was made anew: positions from here on mean its beginning; −1: no
    int64_t rewound_to;
    int64_t rewound_end;        // of the first range from there on that is being read; −1: none yet
    bool rewound_by_id;         // it may be longer than what was read of the old one: readers are told apart by the topic's id
    struct kafka_reader *readers;
    uint32_t missing_count;     // times in a row that the partition was not in the metadata
    _Atomic bool is_deleted;
    char reason[256];           // of the client, for what has not come
};

struct kafka_fetch_config {
    struct memory *memory;
    struct log *log;
    struct kafka_client *client;   // outlives the fetch
    struct notify *wake;           // may be NULL
    const _Atomic int *stop;       // non-zero: readers wait no longer; may be NULL
    size_t window_bytes;           // of all partitions together
    bool give_back_when_read;      // a batch query commits nothing
    bool headers;
    void (*trouble)(void *context);  // an offset is out of range, a partition unknown: called without the lock
    void *trouble_context;
};

struct kafka_fetch {
    struct kafka_fetch_config config;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;        // messages, ends, errors
    struct arena arena;            // of partitions
    struct notify event;           // the client's queues and our requests
    rd_kafka_queue_t *main_queue;
    _Atomic bool main_ready;
    struct vector partitions;      // struct kafka_partition *
    size_t window_bytes;           // used
    uint32_t turn;                 // who is offered first
    bool engine_waits;             // `offer` had nothing, or not enough
    uint64_t news, news_offered;   // counts what has come; as of the last offer
    bool closing;
    bool has_thread;
    struct error fatal;            // status OK: none
    rd_kafka_message_t **messages;
};

enum status kafka_fetch_new(const struct kafka_fetch_config *c, struct kafka_fetch **out, struct error *e) WARN_UNUSED;
void kafka_fetch_free(struct kafka_fetch *f);  // NULL is allowed; the client is still there
// Finds or adds a partition. Pointers stay valid.
enum status kafka_fetch_partition(struct kafka_fetch *f, const char *topic, int32_t partition, struct kafka_partition **out, struct error *e) WARN_UNUSED;
// Positions a partition nobody has read yet, so that the first read finds messages on their way.
void kafka_fetch_prepare(struct kafka_fetch *f, struct kafka_partition *p, int64_t offset);
// Under the lock: goes on after a refused offset. A higher one than was refused: there is nothing between; a lower one: begins anew there.
void kafka_fetch_resume(struct kafka_partition *p, int64_t offset);
// Positions from `above` on mean offsets that are no more: who stands there begins anew at `offset`. A topic_id: all positions do, and that is the
// new topic's. 0: the next one that is told is not compared.
void kafka_fetch_rewind(struct kafka_fetch *f, struct kafka_partition *p, int64_t above, int64_t offset, int64_t topic_id);
void kafka_fetch_rewind_locked(struct kafka_partition *p, int64_t above, int64_t offset, int64_t topic_id);  // the same, under the lock; without the seek
// Takes over a topic's id. False: it has another one than before, which stays until the partition is rewound.
bool kafka_fetch_identify(struct kafka_fetch *f, struct kafka_partition *p, int64_t topic_id);
int64_t kafka_fetch_topic_id(struct kafka_fetch *f, const struct kafka_partition *p);  // 0: not known
void kafka_fetch_fail(struct kafka_fetch *f, const struct error *e);  // every later call gives this error; the first one stays

struct kafka_offer {
    struct kafka_partition *partition;
    int64_t from;
    int64_t stop;                  // messages below this only; INT64_MAX: no limit
    int64_t begin, end;            // out: what may be read; begin == end: nothing
    int64_t rows;                  // out
    int64_t topic_id;              // out
    bool is_done;                  // out: no message below `stop` is left
};
// What is in the windows, up to a number of messages and bytes, shared out fairly.
enum status kafka_fetch_offer(struct kafka_fetch *f, struct kafka_offer *offers, uint32_t count, int64_t row_limit, int64_t size_limit, struct error *e) WARN_UNUSED;

// What was offered is too little to begin with: the engine is woken when more has come.
void kafka_fetch_not_enough(struct kafka_fetch *f);

struct kafka_slice {
    struct buffer *block;          // referenced
    const struct kafka_message *first;
    uint32_t count;                // first, first − 1, first − 2 …
};
struct kafka_take {
    struct vector slices;          // struct kafka_slice
    uint32_t row_count;
};
// A range is about to be read, whole or in parts. False: its topic is no more; another one has its name.
bool kafka_fetch_begin_range(struct kafka_fetch *f, struct kafka_partition *p, int64_t begin, int64_t end, int64_t topic_id);
void kafka_fetch_begin_read(struct kafka_fetch *f, struct kafka_reader *r, struct kafka_partition *p, int64_t begin, int64_t topic_id);
void kafka_fetch_end_read(struct kafka_fetch *f, struct kafka_reader *r);
// The reader's next messages below `end`: as many as make a batch, which depends on where the split begins and on the messages alone. Waits for
// them, but not for a broker that says nothing (STATUS_UNREACHABLE). row_count 0: no more. The slices are the caller's to release.
enum status kafka_fetch_take(struct kafka_fetch *f, struct kafka_reader *r, int64_t end, struct kafka_take *out, struct error *e) WARN_UNUSED;
void kafka_take_release(struct kafka_take *t);
void kafka_fetch_committed(struct kafka_fetch *f, struct kafka_partition *p, int64_t position);
