// SPDX-License-Identifier: Apache-2.0
// source.h: the contract of everything leat reads from.
//
//     schema ─► open ─► start ─► [ latest ─► ranges ─► (intent is durable) ─► splits ─► read … ─► committed ]* ─► close
//
// A source is a set of partitions, each an ordered run of records with int64 offsets that never change meaning: reading a range again
// gives the same rows in the same batches. Only the stream layer decides what is read when.
//
// Where a flow begins is written down once: its first intent has a range for every partition that `start` named, empty (begin == end)
// where there is nothing to read yet. From then on `from` holds every partition the flow knows; one that is not in it was found later
// and begins at its earliest record.
#pragma once
#include "column/batch.h"
#include "expr/kernel.h"
#include "plan/option.h"
#include "base/log.h"

// What a table is, and who asks. Lives as long as the source.
struct source_request {
    const char *table_name;
    struct option_set options;
    const struct type *declared;       // STRUCT from the CREATE TABLE's columns, or NULL
    const char *base_folder;           // relative paths start here
    const char *data_folder;           // of the pipeline; NULL: none
    const struct session *session;
    struct memory *memory;
    struct log *log;
    bool streaming;                    // read as it grows; false: whole, once
    bool available_now;                // streaming, but what is there now and no more
    uint32_t source_index;             // for struct origin
    struct notify *wake;               // raised when there may be new data; may be NULL
    const _Atomic int *stop;           // non-zero: leat is to stop; what waits for the outside gives up soon, with STATUS_UNREACHABLE. NULL: never
    void *host;                        // of whoever runs the pipeline, for the memory connector (struct memory_hub *); may be NULL
};

struct position {                      // next record to read of one partition
    uint32_t partition;
    const char *name;                  // of the partition where a number does not say it (a file's path); else NULL
    int64_t offset;
    int64_t stamp;                     // of the last range that was read there (struct range), 0: not known; of `start`: what it is now
};
struct positions {                     // a partition without an entry was found later: it is at its earliest record
    struct position *items;
    uint32_t count;
    bool moves;                        // of start: asked later, it would answer otherwise ("latest")
};

struct range {                         // records [begin, end) of one partition
    uint32_t partition;
    const char *name;
    int64_t begin;
    int64_t end;
    int64_t stamp;                     // whatever tells that the range still means the same (a file's identity); part of the digest
};
struct ranges {
    struct range *items;
    uint32_t count;
};

struct split {                         // a morsel: the unit one worker reads. Cut from the intent alone.
    struct range range;
    uint64_t sequence;                 // in intent order: 0, 1, 2 …
    int64_t whole_begin, whole_end;    // the range it was cut from
    const uint64_t *wanted_leaves;     // set by whoever reads it: bitmap over the leaves of the schema, in preorder as in json.h; NULL: all of the
                                       // wanted columns. What is within a column and not wanted may be constant NULL
};
struct splits {
    struct split *items;
    uint32_t count;
};

struct budget {                        // of one epoch, for one source
    int64_t row_count;
    int64_t size_bytes;
};

struct dead_row_sink;

struct source {
    const struct source_class *class;
    struct source_request request;
    // the connector's own follows
};

typedef enum status (*emit_batch)(void *context, struct batch *b);  // borrows b; a status other than OK ends the read

struct source_class {
    const char *name;
    const struct option *options;      // ends with name NULL
    bool is_bounded_when_streamed;     // has an end (a generator with numRows is told by `check`)
    bool is_unbounded;                 // grows for ever by nature (kafka, generator, rate, http, memory): what STREAM of a view streams
    bool one_time_line;                // its partitions are pieces of one sequence (files): event time moves with any of them
    // The table's columns as a STRUCT. offline: touch nothing outside (leat check); NULL in *out then means "known only online".
    enum status (*schema)(const struct source_request *r, struct arena *a, bool offline, const struct type **out, struct error *e);
    // Options that contradict each other or the use (--available-now without an end); NULL: nothing to check. Offline.
    enum status (*check)(const struct source_request *r, struct error *e);
    enum status (*open)(const struct source_request *r, struct source **out, struct error *e);
    // Where a flow that reads this source for the first time begins: every partition there is, "latest" resolved to numbers.
    enum status (*start)(struct source *s, struct arena *a, struct positions *out, struct error *e);
    // Ranges that begin at `from` and hold at most the budget, at least one record if there is any. *out empty: nothing new.
    // *exhausted: no more will come (ever, or under available_now / batch). *backlog_rows: about how many wait beyond `out`; -1 unknown.
    // *wake_at_us: monotonic time at which to ask again though nobody wakes us (rates); INT64_MAX: none.
    enum status (*latest)(struct source *s, struct arena *a, const struct positions *from, const struct budget *budget, struct ranges *out,
                          bool *exhausted, int64_t *backlog_rows, int64_t *wake_at_us, struct error *e);
    enum status (*splits)(struct source *s, struct arena *a, const struct ranges *ranges, struct splits *out, struct error *e);
    // Reads one split; many workers at once on different splits. Columns not in `wanted` (bitmap by schema ordinal; NULL: all) may
    // be constant NULL. Emits batches in order with origin and sequence set. Bad records: `dead` instead of a row.
    enum status (*read)(struct source *s, const struct split *split, uint32_t worker, const uint64_t *wanted, emit_batch emit, void *context,
                        const struct dead_row_sink *dead, struct error *e);
    // Every flow has read up to here, and its sinks have it: this process does not ask for what is below again, but one that recovers from a
    // crash may. NULL: not interested.
    enum status (*committed)(struct source *s, const struct positions *positions, struct error *e);
    // The same on disk: nobody ever asks for what is below. A source that keeps records itself may drop them. NULL: not interested.
    enum status (*durable)(struct source *s, const struct positions *positions, struct error *e);
    // Offsets as Spark prints them, one JSON value.
    enum status (*print)(const struct source *s, const struct positions *positions, struct buffer *out);
    const char *(*describe)(const struct source *s);  // for progress: "KafkaV2[Subscribe[t1]]"
    void (*close)(struct source *s);
};

// Where a record goes that gives no row at all (an oversized line).
struct dead_row {
    uint32_t source, partition;
    const char *partition_name;
    int64_t offset;
    uint32_t row;
    const char *condition, *message;
    struct string_view value, raw;
};
struct dead_row_sink {
    enum status (*put)(void *context, const struct dead_row *row);
    void *context;
};
