// SPDX-License-Identifier: Apache-2.0
// runtime.h: one text of a pipeline, opened: its plan, sources, stores, targets and execution. Internal to stream/. A stream has one at a
// time (two in a row when the text changed while an epoch was open: the epoch is finished with the text it began with).
//
//     flow ──► output of the execution ──► target (a sink) ──► store (what commits at once)
//       └────► sources it reads              several flows may feed one target, several targets live in one store
#pragma once
#include "connector/sqlite/catalog.h"
#include "exec/exec.h"
#include "stream/stream.h"
#include <pthread.h>

struct runtime;

struct stream_source {
    struct dataset *table;
    struct source *source;
    struct positions start;        // where a flow without positions begins (arena)
    bool exhausted;
    int64_t backlog_rows;
    int64_t wake_at_us;
};

struct stream_store {
    struct store *store;
    const char *identity;
    bool found;                    // it has a record of this pipeline
    struct sink_record record;
    bool begun;                    // a transaction is open
    bool has_epoch;                // it holds the epoch that runs: nothing is written again
    bool uncertain;                // an epoch failed after begin: what it holds is asked before it runs again
    bool forgetful;
    pthread_mutex_t mutex;         // of begin
};

struct stream_target {
    struct dataset *dataset;
    struct sink *sink;
    struct stream_store *store;
    uint32_t flow_count;           // that feed it
    bool is_empty;
    bool empty_pending;            // to be emptied before the epoch's first row
    bool emptied;                  // done in the running epoch
};

struct stream_flow {
    struct runtime *runtime;
    const struct flow *flow;
    struct stream_target *target;
    struct stream_source **sources;
    uint32_t source_count;
    bool active;                   // in the running epoch
    bool refresh;                  // it begins anew with this start
    _Atomic uint64_t rows_out;     // of the running epoch
    _Atomic uint64_t rows_dead;
};

struct runtime {
    struct stream *stream;
    struct arena arena;
    struct pipeline *pipeline;
    struct stream_source *sources;
    uint32_t source_count;
    struct stream_store *stores;
    uint32_t store_count;
    struct stream_store *catalog;  // among the stores
    struct stream_target *targets;
    uint32_t target_count;
    struct stream_flow *flows;
    uint32_t flow_count;
    struct execution *execution;
    struct ledger_line *ledger;    // as of the last commit
    uint32_t ledger_count;
    struct arena ledger_arena[2];  // of `ledger` and of the next one, in turn
    uint32_t ledger_turn;
    bool stop_on_error;            // leat.onError = stop
    int64_t idle_us, max_ahead_us; // leat.watermark.*
    bool global_watermark;
};

struct stream {
    struct stream_config config;
    struct folder folder;
    struct journal journal;
    struct durable durable;
    struct runtime *runtime;
    struct crew crew;
    struct memory state_memory;
    struct buffer payload;         // of the record being made
    struct arena epoch_arena;
    struct sink_epoch running;
    int64_t budget_rows;
    int64_t budget_bytes;
    int64_t max_rows;
    int64_t trigger_us;
    int64_t retry_timeout_us;
    int64_t snapshot_at_us;        // of the last one, monotonic
    int64_t synced_at_us;          // the log, when no store needs it durable at once; monotonic
    int64_t ledger_at_us;          // last commit of the ledger, monotonic
    bool ledger_waits;             // epochs were committed since
    bool durable_untold;           // epochs were committed since sources were told what is read for good
    bool relaxed;                  // the running epoch goes to forgetful stores only
    pthread_mutex_t durable_mutex; // of stream_make_durable
    bool snapshot_wanted;          // the newest was damaged
    bool log_is_new;               // made in this run: no state of earlier in it
    struct session session_before; // any text's SET
    struct stream_totals totals;
    bool crew_ready;
    bool journal_ready;
};

// runtime.c
enum status runtime_new(struct stream *s, const char *text, struct diagnostics *d, struct runtime **out, struct error *e) WARN_UNUSED;
enum status runtime_open_sources(struct runtime *r, struct error *e) WARN_UNUSED;
enum status runtime_open_stores(struct runtime *r, struct error *e) WARN_UNUSED;   // compares their records with the log
enum status runtime_open_execution(struct runtime *r, struct error *e) WARN_UNUSED; // state from the log included
void runtime_free(struct runtime *r);

// epoch.c: the log as of now is durable when it returns; any thread.
enum status stream_make_durable(struct stream *s, struct error *e) WARN_UNUSED;
// Tells sources up to where nobody asks again, as the log says it on disk.
enum status epoch_tell_durable(struct stream *s, struct error *e) WARN_UNUSED;
// What epochs to forgetful stores left for later: the ledger, the log's records. All of it when `now`, else what has waited long enough.
enum status epoch_settle(struct stream *s, bool now, int64_t *wake_at_us, struct error *e) WARN_UNUSED;

// How the sources of a text are read (brokers, passwords, failOnDataLoss …), apart from what a flow's hash holds: copied into the arena, and put
// into another text's runtime before its sources are opened, by the table's name.
struct source_options {
    const char *table;
    struct option_set options;
};
struct source_options_list {
    struct source_options *items;
    uint32_t count;
};
enum status runtime_copy_source_options(const struct runtime *r, struct arena *a, struct source_options_list *out, struct error *e) WARN_UNUSED;
enum status runtime_take_source_options(struct runtime *r, const struct source_options_list *from, struct error *e) WARN_UNUSED;

// output.c
enum status output_write(void *context, uint32_t worker, struct batch *b, struct error *e);
struct dead_handler output_dead_handler(struct runtime *r);
struct late_handler output_late_handler(struct runtime *r);
enum status output_begin_store(struct runtime *r, struct stream_store *store, struct error *e) WARN_UNUSED;
enum status output_refuse(void *context, const struct batch *b, uint32_t row, const char *condition, const char *message);

// epoch.c
enum status epoch_choose(struct stream *s, struct intent *out, bool *any, bool *finished, int64_t *wake_at_us, struct error *e) WARN_UNUSED;
enum status epoch_begin(struct stream *s, struct intent *i, struct error *e) WARN_UNUSED;   // logged; its sync runs beside what follows
// Stores whose last commit may have succeeded though it failed: do they have the intent's epoch? Before it runs again.
enum status epoch_recover_stores(struct stream *s, const struct intent *i, struct error *e) WARN_UNUSED;
enum status epoch_run(struct stream *s, const struct intent *i, struct error *e) WARN_UNUSED;
enum status stream_state_full(const struct stream *s, enum status status, size_t used_bytes, struct error *e) WARN_UNUSED;  // names the budget if it is why
enum status stream_record(struct stream *s, enum record_kind kind, struct error *e) WARN_UNUSED;  // s->payload: into the log and the durable state

// ledger.c
enum status ledger_commit(struct runtime *r, struct error *e) WARN_UNUSED;          // deltas into the catalog
void ledger_advance(struct runtime *r);
