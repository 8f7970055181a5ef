// SPDX-License-Identifier: Apache-2.0
// operator.h: what an operator is, and what it may use of its execution.
//
//     push(op, worker, input, batch)   many workers at once; an operator keeps what it needs by worker, or takes its own lock
//     finish(op, worker, partition)    partitions of one operator run at once, stages one after another
//     everything else                  one thread, between runs
//
// Errors of push and finish are left in worker->error. A pushed batch is borrowed: whoever keeps it takes a reference. Every row
// pushed in has one fate, counted by the operator itself with operator_count; FATE_INPUT is counted by operator_emit.
#pragma once
#include "base/vector.h"
#include "exec/exec.h"
#include "expr/program.h"

#define ROUND_BYTES (INT64_C(16) << 20)  // kept rows that end a round of scanning
enum { KEY_PARTITIONS = 8 };  // fixed, so that results do not depend on the number of workers

enum fate {
    FATE_INPUT, FATE_PASSED, FATE_FILTERED, FATE_ABSORBED, FATE_MERGED, FATE_LATE, FATE_DEAD, FATE_NULL_TIME, FATE_MADE, FATE_COUNT,
};

struct operator;

// What one thread has for itself during a run.
struct worker {
    uint32_t index;
    struct execution *execution;
    struct eval eval;
    struct arena scratch;                // reset by whoever begins a computation whose result does not leave it
    struct error error;                  // of the call that failed
    uint64_t (*counters)[FATE_COUNT];    // by operator index; of the running epoch
    uint64_t arrivals;                   // ticks for each batch kept: order within a sequence
    bool stop_split;                     // nobody wants more of the split being read
    bool failed;                         // error says why
};

struct operator_class {
    const char *name;                    // as in the ledger
    uint32_t partition_count;            // of finish: 1 or KEY_PARTITIONS
    enum status (*open)(struct operator *op, struct error *e);
    enum status (*begin)(struct operator *op, struct error *e);                          // of an epoch; NULL: nothing
    enum status (*load)(struct operator *op, uint64_t *digest, struct error *e);         // static input, once; mixes its rows in; NULL: none
    enum status (*push)(struct operator *op, struct worker *w, uint32_t input_index, struct batch *b);
    enum status (*prepare)(struct operator *op, struct error *e);                        // before fold and before finish, one thread; NULL
    bool (*keeps_rows)(const struct operator *op);                                       // false: there is never anything to fold; NULL: there may be
    enum status (*fold)(struct operator *op, struct worker *w, uint32_t key_partition);  // end of a round; NULL
    enum status (*build)(struct operator *op, struct error *e);                          // JOIN: its build side is complete
    enum status (*finish)(struct operator *op, struct worker *w, uint32_t key_partition);  // NULL: stateless
    void (*ended)(struct operator *op);                                                  // after all partitions of fold or finish; NULL
    void (*commit)(struct operator *op);
    enum status (*rollback)(struct operator *op, struct error *e);                       // drops partials, too
    uint32_t state_parts;                // written one after another, made at once: 1 or KEY_PARTITIONS; 0: no state outlives an epoch
    enum status (*log_changes)(struct operator *op, uint32_t part, struct buffer *out, struct error *e);
    enum status (*apply_changes)(struct operator *op, struct reader *in, struct error *e);
    enum status (*snapshot)(struct operator *op, uint32_t part, struct buffer *out, struct error *e);
    enum status (*restore)(struct operator *op, struct reader *in, struct error *e);
    enum status (*describe_state)(struct operator *op, struct buffer *out);              // columns and types
    void (*clear)(struct operator *op);                                                  // forgets the state
    size_t (*bytes)(const struct operator *op, uint64_t *key_count);
    void (*close)(struct operator *op);
    int64_t (*earliest)(struct operator *op);                                            // time at which the first of its groups ends; INT64_MAX; NULL: none do
    // Places for what comes with processing time, spilling and erasure; every class leaves them NULL so far.
    int64_t (*due)(const struct operator *op);
    enum status (*spill)(struct operator *op, uint32_t key_partition, struct error *e);
    enum status (*visit_subject)(struct operator *op, const void *key, size_t key_bytes, struct error *e);
};

struct edge {
    struct operator *to;
    uint32_t input_index;
};

struct operator {
    const struct operator_class *class;
    const struct plan_node *node;
    struct execution *execution;
    uint32_t index;                      // inputs before users
    struct edge *edges;                  // who gets what it emits
    uint32_t edge_count;
    uint32_t *outputs;                   // indices of outputs it is the root of
    uint32_t output_count;
    uint64_t *reaches;                   // bitmap of outputs below it
    const char *flow_name;               // first flow it serves
    const char *running_flow;            // first flow it served in the last epoch it was active in
    uint32_t position;                   // in that flow: the name of its state
    bool active;                         // in the running epoch
    int64_t late_us, close_us;           // watermarks of its input in the running epoch; NO_WATERMARK
    bool ignores_saved;                  // its flow starts anew: what was saved is another query's
    _Atomic bool done;                   // wants no more rows in this epoch
    void *self;                          // the class's own, from the execution's arena, zeroed
};

struct execution {
    struct execution_config config;
    struct memory *memory;               // batches, partials
    struct memory *state_memory;
    struct arena arena;                  // operators, programs: as long as the execution; only outside runs
    struct operator *operators;
    uint32_t operator_count;
    struct worker *workers;
    uint64_t (*committed)[FATE_COUNT];   // by operator
    uint64_t *output_rows;               // of the running epoch, by worker and output
    bool has_batch_join;                 // scans must wait for build sides
    bool batch;                          // of the running epoch
    bool running;                        // counters of workers are not in `committed` yet
    uint64_t epoch;
    int64_t now_us;
    const struct epoch_run *run;
    _Atomic int64_t pending_bytes;       // kept rows waiting for the end of the round
    bool serial;                         // one worker emits, in order
    struct vector *held;                 // ordered.c: batches held back for their order, by output
    pthread_mutex_t held_mutex;
};

// The class for a node, or NULL.
const struct operator_class *operator_class_for(const struct plan_node *node);

// ordered.c: outputs that want rows in order.
enum status ordered_open(struct execution *x, struct error *e) WARN_UNUSED;
enum status ordered_write(struct execution *x, uint32_t output, struct worker *w, struct batch *b) WARN_UNUSED;
void ordered_flush(struct execution *x);  // between jobs, one thread; errors are left in the first worker
void ordered_drop(struct execution *x);
void ordered_close(struct execution *x);

// Gives a batch to every active user and output; does not take the reference. Empty ones vanish.
enum status operator_emit(struct operator *op, struct worker *w, struct batch *b);
// True: everything below has had enough.
bool operator_is_done(const struct operator *op);
static inline void operator_count(const struct operator *op, struct worker *w, enum fate fate, uint64_t row_count) {
    w->counters[op->index][fate] += row_count;
}
// Sequence of the n-th batch that an operator makes itself: above those of scans.
static inline uint64_t operator_sequence(const struct operator *op, uint32_t key_partition, uint64_t n) {
    return ((uint64_t)op->index + 1) << 44 | (uint64_t)key_partition << 36 | (n & ((UINT64_C(1) << 36) - 1));
}

// A program over one batch. Results in `arena`. Fills worker->error when it returns something else than OK. Failed rows stay in
// worker->eval for worker_drop_failed.
enum status worker_run(struct worker *w, const struct program *p, const struct batch *b, struct arena *arena, struct column *out);
// Reports the rows that failed in the last worker_run (dead handler, counters) and takes them from `rows`: *kept is in `arena`.
enum status worker_drop_failed(struct worker *w, struct operator *op, const struct batch *b, const struct rows *rows, struct arena *arena,
                               struct rows *kept);
// The first half of it alone: worker->eval.errors are of rows of `b`.
enum status worker_report_failed(struct worker *w, struct operator *op, const struct batch *b);
// Rows of `b`, whose columns are those of the operator's input, that are late or have no event time: counted, and given to the late handler.
enum status worker_report_late(struct worker *w, struct operator *op, const struct batch *b, uint32_t row, int64_t time_us);
enum status worker_no_memory(struct worker *w);
enum status worker_fail(struct worker *w, enum status status, const char *condition, const char *message);

// About how much memory a reference to the batch keeps, for execution.pending_bytes.
int64_t batch_kept_bytes(const struct batch *b);

// An empty batch of an operator's own making: derived rows, no origin.
struct batch *operator_batch(const struct operator *op, uint64_t sequence, uint32_t row_count, uint32_t column_count);

extern const struct operator_class scan_class, values_class, project_class, filter_class, aggregate_class, join_class, sort_class, limit_class,
    topn_class, union_class, setop_class, generate_class, window_class, session_class, consolidate_class, watermark_class, ranked_class, stream_join_class;

// The order in which a run works: scans, builds and finishes. Steps are in the arena.
enum step_kind { STEP_SCAN, STEP_BUILD, STEP_FINISH };
struct step {
    enum step_kind kind;
    struct operator *op;
};
enum status schedule_make(struct execution *x, struct arena *a, struct step **steps, uint32_t *count, struct error *e) WARN_UNUSED;
// The operator whose batches stand in for a node's: a LIMIT over a SORT is one operator. NULL: not part of this execution.
struct operator *execution_operator(const struct execution *x, const struct plan_node *node);
// The operator of a node's input; NULL: not part of this execution.
struct operator *execution_input(const struct execution *x, const struct plan_node *node, uint32_t input_index);
void execution_set_watermarks(struct execution *x, const struct watermark_mark *marks, uint32_t count);  // watermark.c: of every operator
// Which inputs of a node are operators of this execution: a static side of a streaming join is not.
bool plan_input_is_static(const struct plan_node *node, uint32_t input_index);
