// SPDX-License-Identifier: Apache-2.0
// progress.h: what a run shows of itself: one live line on a terminal, a plain line every ten seconds elsewhere, or JSON lines, one per epoch
// and flow, in the shape of Spark's StreamingQueryProgress; and the same, asked for, over the control socket (control.h).
//
// One thread drives the pipeline and reports here; the control thread reads. The last report of every flow is kept as an immutable,
// counted copy: the mutex is held for as long as pointers and counters are copied, never while text is made.
#pragma once
#include "cli/cli.h"
#include "cli/control.h"

enum { PROGRESS_COPIES_MAX = 8 };

struct epoch_copy;

struct progress {
    struct host *host;
    bool json, quiet, terminal;
    const char *file, *folder;               // as given; the data folder
    int64_t shown_us;
    uint64_t shown_rows_in;                  // when the shown rate was last taken
    double rows_per_second;
    char run_id[37];
    int64_t last_trigger_us;                 // monotonic; 0: none yet
    double trigger_seconds;                  // between the last trigger and the one before; 0: unknown
    _Atomic int *stop;                       // raised when nobody reads the JSON lines any more

    int64_t said_us;                         // while it waits: when a line last said so
    bool counting;                           // the live line is a countdown

    struct control *control;
    bool control_tried;
    int64_t began_us, began_clock_us;

    pthread_mutex_t mutex;                   // of what follows
    uint64_t rows_in, rows_out, rows_dead, epochs;   // of this run
    uint64_t last_epoch;
    bool catching_up;
    size_t state_bytes;
    struct rate_mark {
        int64_t at_us;
        uint64_t rows_in;
    } mark, mark_before;                     // a second apart at least: the rate over both is never of a moment
    struct epoch_copy *copies[PROGRESS_COPIES_MAX];  // newest first; each has a flow that no newer one has
    uint32_t copy_count;
    int64_t waiting_since_us;                // 0: it does not wait
    int64_t retry_at_us;
    uint32_t attempts;
    struct error waiting_for;
};

// `folder` is the data folder; both texts live as long as `p`.
void progress_init(struct progress *p, struct host *h, const char *file, const char *folder, bool json, bool quiet, _Atomic int *stop);
// Opens the control socket in the data folder, whose lock is held by now. Once; what fails is one warning.
void progress_listen(struct progress *p);
void progress_epoch(void *context, const struct epoch_report *r);
// Something outside does not answer: `attempts` tries have failed, the next one is at `until_us` (monotonic). Called several times a second
// while it waits, and with 0 attempts when it goes on. The data folder's lock is held, also when the stores are not open yet.
void progress_waiting(void *context, const struct error *why, uint32_t attempts, int64_t until_us);
void progress_end(struct progress *p);      // ends the live line
void progress_release(struct progress *p);  // and the control socket
