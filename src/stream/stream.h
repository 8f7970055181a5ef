// SPDX-License-Identifier: Apache-2.0
// stream.h: a pipeline, running: epochs, log, recovery, sinks, ledger. EPOCHS.md's machine.
//
//     stream_open ─► [ stream_step ]* ─► stream_close
//
//     one step:   choose flows that stand at the same place ─► ask their sources for ranges ─► intent, durable
//                 ─► run ─► sinks flush ─► catalog commits ─► other stores commit ─► commit record (durable with the next intent)
//
// One thread drives; the crew's workers run within a step. Everything a crash can interrupt is decided by the log alone.
#pragma once
#include "base/threads.h"
#include "plan/analyzer.h"
#include "stream/folder.h"
#include "stream/record.h"

struct stream;

struct setting {
    const char *key;
    const char *value;
};

// What one epoch did, for progress lines. Valid during the callback.
struct flow_report {
    const char *flow;
    uint64_t rows_in, rows_out, rows_dead;
    bool has_watermark;
    int64_t watermark_us;                      // that the epoch ran with: windows that end there or before are closed; 0: none yet
};
struct source_report {
    const char *table;
    const char *description;
    const char *start_offsets, *end_offsets;   // JSON
    uint64_t rows;
    int64_t backlog_rows;                      // -1: unknown
};
struct epoch_report {
    const uint8_t *pipeline;                   // its UUID, 16 bytes
    uint64_t epoch;
    int64_t clock_us;
    int64_t intent_us, run_us, commit_us, total_us;
    const struct flow_report *flows;
    uint32_t flow_count;
    const struct source_report *sources;
    uint32_t source_count;
    bool catching_up;                          // some flows are behind the others
    size_t state_bytes;
};

struct stream_config {
    const char *text;                          // SQL, substituted
    const char *name;                          // of the file, for messages
    const char *base_folder;
    const char *data_folder;
    const struct connector_set *connectors;
    struct session *session;
    struct memory *memory;
    struct log *log;
    struct notify *wake;
    void *host;                                // for the memory connector
    const struct setting *settings;            // --set, after the file's SET
    uint32_t setting_count;
    const char *const *full_refresh;           // flow or table names
    uint32_t full_refresh_count;
    bool full_refresh_all;
    bool available_now;
    int64_t trigger_us;                        // < 0: the file's leat.trigger, or as fast as there is data
    uint32_t worker_count;                     // 0: leat.threads, or one per core up to 4
    const _Atomic int *stop;                   // non-zero: no further epoch; waits end
    void (*progress)(void *context, const struct epoch_report *r);
    // Something outside does not answer: `attempts` tries have failed, the next one is at `until_us` (monotonic). Called several times a second
    // while the pipeline waits, the folder's lock held, and with 0 attempts and why NULL when it goes on. NULL: the log is told instead.
    void (*waiting)(void *context, const struct error *why, uint32_t attempts, int64_t until_us);
    void *progress_context;                    // of both
};

// Analyzes, opens, recovers; runs the epoch that a crash left open. Diagnostics of the text go to `d`.
enum status stream_open(const struct stream_config *c, struct diagnostics *d, struct stream **out, struct error *e) WARN_UNUSED;
enum step_outcome {
    STEP_DID,        // an epoch was committed
    STEP_IDLE,       // nothing to read now; *wake_at_us says when to look again at the latest
    STEP_FINISHED,   // nothing will ever come (available-now, bounded sources)
};
enum status stream_step(struct stream *s, enum step_outcome *outcome, int64_t *wake_at_us, struct error *e) WARN_UNUSED;
// Steps until `stop` is raised or everything is read; keeps to the trigger; retries what is unreachable.
enum status stream_run(struct stream *s, struct error *e) WARN_UNUSED;
// Makes what was committed durable, takes a snapshot if `clean` and the log has grown long, closes everything.
enum status stream_close(struct stream *s, bool clean, struct error *e) WARN_UNUSED;

const struct pipeline *stream_pipeline(const struct stream *s);
// The ledger of this run: text as printed at the end, one line a flow and operator. False balance is reported as a line of its own.
enum status stream_print_ledger(const struct stream *s, struct buffer *out) WARN_UNUSED;
// Totals of this run.
struct stream_totals {
    uint64_t rows_in, rows_out, rows_dead, epochs, last_epoch;
};
struct stream_totals stream_totals_of(const struct stream *s);
