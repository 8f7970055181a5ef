// SPDX-License-Identifier: Apache-2.0
// result.h: rows of a query on standard output, in one of four forms.
//
//     table      as Spark's show, whole cells, left-aligned; a terminal's worth of rows is kept, so it is for looking
//     csv        RFC 4180, with a header; NULL is empty
//     jsonl      one object a line, as Spark's toJSON: NULL fields left out
//     markdown   a pipe table
#pragma once
#include "cli/cli.h"

enum result_format { RESULT_TABLE, RESULT_CSV, RESULT_JSONL, RESULT_MARKDOWN };

struct result_writer {
    struct host *host;
    enum result_format format;
    const struct plan_node *root;      // columns
    const char **names;
    const struct type *schema;         // STRUCT, for jsonl
    struct arena arena;
    struct show *show;                 // table
    uint64_t row_count;
    uint64_t row_limit;                // of a table; 0: none
    struct buffer out;
};

bool result_format_parse(const char *name, enum result_format *out);
enum status result_begin(struct result_writer *w, struct host *h, enum result_format format, const struct plan_node *root, struct error *e) WARN_UNUSED;
enum status result_batch(void *writer, struct batch *b);  // emit_batch
enum status result_end(struct result_writer *w, struct error *e) WARN_UNUSED;
void result_release(struct result_writer *w);
