// SPDX-License-Identifier: Apache-2.0
// exec.h: a plan, running. The plan is a read-only graph; all that moves lives in an execution: operators with their state, workers
// with their partials.
//
//     execution_begin(epoch) ─► execution_scan(splits, by all workers) ─► execution_finish (stage by stage, by key partition)
//                            ─► sinks commit ─► execution_commit      or   execution_rollback: state is as before begin
//
// Batches leave at outputs. Each output belongs to one flow. Stateless nodes may be shared by flows, stateful ones never are; an epoch may
// run for some of the flows only (one that catches up): batches flow only along edges that lead to an active output.
#pragma once
#include "base/threads.h"
#include "plan/plan.h"

struct execution;
struct worker;

// One flow's end: gets every batch of its root. Many workers at once, or, where order matters, one after another.
struct output {
    const struct plan_node *root;
    const char *flow_name;
    bool ordered;                   // rows come in the order of their sources' partitions, whatever the number of workers
    enum status (*write)(void *context, uint32_t worker, struct batch *b, struct error *e);
    void *context;
};

// Rows that could not be computed. Called by many workers at once. `b` has origin and raw.
struct dead_handler {
    // STATUS_OK: the row is taken care of. Anything else stops the epoch (leat.onError = stop).
    enum status (*row)(void *context, const struct plan_node *node, const char *flow_name, const struct batch *b, uint32_t row,
                       const struct row_error *why, struct error *e);
    // A record that gave no row (source level).
    enum status (*record)(void *context, const char *flow_name, const struct dead_row *row, struct error *e);
    // A group whose result cannot be computed (overflow in finish): key as text.
    enum status (*group)(void *context, const struct plan_node *node, const char *flow_name, const char *key_text, const struct row_error *why,
                         struct error *e);
    void *context;
};

#define NO_WATERMARK INT64_MIN

// Rows that came too late for every group they belong to, or without an event time. Called by many workers at once. The row's columns are
// `input`'s; time_us: its event time (of a row made by windows below, the window's end), NO_WATERMARK: it has none.
struct late_handler {
    enum status (*row)(void *context, const struct plan_node *node, const char *flow_name, const struct plan_node *input, const struct batch *b, uint32_t row,
                       int64_t time_us, int64_t watermark_us, struct error *e);
    void *context;
};

struct time_source {                // what event time must know of a source; by the index in struct origin
    const char *name;
    bool one_time_line;             // its partitions are pieces of one sequence (files)
};

struct execution_config {
    const struct session *session;
    struct memory *memory;          // batches, partials
    struct memory *state_memory;    // accounted state
    uint32_t worker_count;
    struct output *outputs;
    uint32_t output_count;
    struct dead_handler dead;
    struct late_handler late;
    const struct time_source *sources;
    uint32_t source_count;
    int64_t max_ahead_us;           // an event time that is further ahead of the clock moves no watermark
    const char *base_folder;        // for the tables of static join sides, which the execution reads itself
    struct log *log;                // likewise; may be NULL
};

struct epoch_input {                // what one epoch reads of one SCAN's source
    struct dataset *table;
    struct source *source;
    struct splits splits;
};

// One WATERMARK operator in one epoch: what ends at late_us or before is late, at close_us or before is closed.
struct watermark_mark {
    const char *flow_name;
    uint32_t position;              // in that flow
    int64_t late_us, close_us;      // NO_WATERMARK: none yet
};

struct watermark_policy {
    int64_t clock_us;
    int64_t idle_us;                // a partition without rows for so long is not waited for
    bool global;                    // the farthest partition alone counts, as in Spark
    bool (*at_end)(void *context, uint32_t source);  // nothing more will come of it; NULL: never
    void *context;
};

struct epoch_run {
    uint64_t epoch;
    int64_t now_us;
    const struct watermark_mark *watermarks;  // of the active flows
    uint32_t watermark_count;
    const struct epoch_input *inputs;
    uint32_t input_count;
    const uint64_t *active_outputs;  // bitmap; NULL: all
    bool batch;                      // the only epoch: sorts, limits and set operations end with it
    const _Atomic int *interrupted;  // non-zero: stop between morsels with STATUS_INTERRUPTED
};

// Every row into an operator has one fate; `made` are rows an operator adds. Cumulative over committed epochs plus the running one.
struct ledger_line {
    const struct plan_node *node;
    const char *flow_name;           // first flow it serves
    const char *running_flow;        // the first it served in the last epoch it ran in: one that catches up runs without the others
    const char *operator_name;       // "Filter", "Aggregate", "Project" …
    uint64_t input, passed, filtered, absorbed, merged, late, dead, null_time, made;
};

enum status execution_new(const struct execution_config *c, struct execution **out, struct error *e) WARN_UNUSED;
void execution_free(struct execution *x);

// Runs scan and finish of one epoch. On any error the caller rolls back.
enum status execution_run(struct execution *x, struct crew *crew, const struct epoch_run *run, struct error *e) WARN_UNUSED;
void execution_commit(struct execution *x);                                       // forget the undo list
enum status execution_rollback(struct execution *x, struct error *e) WARN_UNUSED;  // state, partials and counters as before

// Event time, from what is committed: the marks of an epoch that would begin now, in the arena. *next_us: time of the clock at which they would
// change by themselves; INT64_MAX: never.
enum status execution_watermarks(const struct execution *x, const struct watermark_policy *policy, struct arena *a, struct watermark_mark **out, uint32_t *count,
                                 int64_t *next_us) WARN_UNUSED;
// Would an epoch with these marks and no rows close anything of a flow?
bool execution_could_close(struct execution *x, const struct watermark_mark *marks, uint32_t count, const char *flow_name);

// State. Changes of the running epoch (between run and commit), and the whole. Formats: exec/README.md. Operators are named by
// flow and position in it, so that a plan built anew from the same text finds its state. Both append to `out`, by all workers of the crew
// (NULL: by the caller alone).
enum status execution_log_changes(struct execution *x, struct crew *crew, struct buffer *out, struct error *e) WARN_UNUSED;
enum status execution_apply_changes(struct execution *x, struct reader *in, struct error *e) WARN_UNUSED;
enum status execution_snapshot(struct execution *x, struct crew *crew, struct buffer *out, struct error *e) WARN_UNUSED;
enum status execution_restore(struct execution *x, struct reader *in, struct error *e) WARN_UNUSED;   // sections of unknown flows are skipped
// Loads what joins read whole (static sides), unless it is loaded. *digest: of those rows, in plan order; 0: there are none.
enum status execution_load_static(struct execution *x, uint64_t *digest, struct error *e) WARN_UNUSED;
void execution_ignore_saved(struct execution *x, const char *flow_name);           // restore and apply_changes pass its sections over
void execution_drop_flow_state(struct execution *x, const char *flow_name);        // --full-refresh
size_t execution_state_bytes(const struct execution *x, const char *flow_name, uint64_t *key_count);  // NULL: all flows

// One operator that keeps state, as committed.
struct state_line {
    const struct plan_node *node;
    const char *flow_name;
    uint32_t position;
    const char *operator_name;
    uint64_t description;            // of what its state looks like: equal ones can be restored into each other
    uint64_t key_count;              // keys of an aggregation, rows of a join; 0 where there are none
    size_t size_bytes;               // in memory, with what its tables have spare
    int64_t watermark_us;            // that its rows are judged by, of the last epoch; NO_WATERMARK
    int64_t newest_us;               // the latest event time its flow has met; NO_WATERMARK
    int64_t earliest_us;             // when the first of its groups ends; INT64_MAX: none is open, or they do not end
};
// In plan order, in the arena. Between runs: the operators' watermarks are set to those of the last committed epoch.
enum status execution_state_lines(struct execution *x, struct arena *a, struct state_line **out, uint32_t *count) WARN_UNUSED;

enum status execution_ledger(const struct execution *x, struct arena *a, struct ledger_line **lines, uint32_t *count) WARN_UNUSED;
// Rows read of each table in the running epoch, and written at each output.
uint64_t execution_output_rows(const struct execution *x, uint32_t output_index);
uint64_t execution_input_rows(const struct execution *x, const struct dataset *table);

// One batch query, whole: opens the sources of its scans (and of subqueries), runs, gives batches to `emit` in result order, closes.
struct query_run {
    const struct session *session;
    struct memory *memory;
    struct memory *state_memory;
    struct log *log;
    const char *base_folder;
    uint32_t worker_count;
    const _Atomic int *interrupted;
};
enum status query_execute(const struct query_run *q, struct plan_node *root, emit_batch emit, void *context, struct error *e) WARN_UNUSED;
