// SPDX-License-Identifier: Apache-2.0
// golden_run.h: runs the blocks of one golden test and compares. A statement that makes a streaming table or a materialized view belongs to
// the file's pipeline, which starts with the first push, advance or expect TABLE; everything else is run by a SQL session.
#pragma once
#include "cli/golden.h"
#include "cli/session.h"
#include "connector/memory/memory.h"

struct golden_totals {
    uint32_t passed, failed, skipped;
};

struct golden_replacement {
    size_t begin, end;
    const char *text;
};

struct golden_run {
    struct host *host;
    struct arena *arena;
    const char *path;
    uint32_t threads;
    bool quiet;
    char folder[64];              // temporary data folder; "" until made
    struct settings settings;
    struct sql_session session;
    bool session_open;
    struct memory_hub hub;
    struct buffer pipeline_text;
    bool has_pipeline;            // a statement of a pipeline was seen
    struct stream *stream;        // running; NULL before
    bool pipeline_failed;         // it did not start, or an epoch failed: every expectation after that says so
    const char *data_folder;      // of the session: the pipeline's once it runs
    struct diagnostics diagnostics;
    struct source_text text;
    struct vector rows;           // of const char *: printed rows of the last query
    bool query_ran;
    struct error query_error;     // of the last statement or query; condition "" if none
    bool query_failed;
    struct vector replacements;   // of struct golden_replacement, ascending
    uint32_t passed, failed, skipped;
    const char *differs;          // mark of the query or statement that runs
    bool mark_used;               // something about it did differ
};

void golden_run_init(struct golden_run *r, struct host *h, struct arena *a, const char *path, uint32_t threads, bool quiet);
enum status golden_run_blocks(struct golden_run *r, const struct golden_block *blocks, uint32_t count, struct error *e) WARN_UNUSED;
void golden_run_release(struct golden_run *r);
