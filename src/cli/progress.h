// SPDX-License-Identifier: Apache-2.0
// progress.h: what a run shows of itself: one live line on a terminal, a plain line every ten seconds elsewhere, or JSON lines, one per epoch
// and flow, in the shape of Spark's StreamingQueryProgress.
#pragma once
#include "cli/cli.h"

struct progress {
    struct host *host;
    bool json, quiet, terminal;
    uint64_t rows_in, rows_out, rows_dead;   // of this run
    uint64_t shown_rows_in;                  // when the rate was last taken
    int64_t shown_us;
    int64_t began_us;
    double rows_per_second;
    char run_id[37];
    int64_t last_trigger_us;                 // monotonic; 0: none yet
    double trigger_seconds;                  // between the last trigger and the one before; 0: unknown
    _Atomic int *stop;                       // raised when nobody reads the JSON lines any more
};

void progress_init(struct progress *p, struct host *h, bool json, bool quiet, _Atomic int *stop);
void progress_epoch(void *context, const struct epoch_report *r);
void progress_end(struct progress *p);  // ends the live line
