// SPDX-License-Identifier: Apache-2.0
// session.h: a run of one-off statements: leat sql and the queries of leat test. Views and tables of earlier statements stay known.
#pragma once
#include "cli/cli.h"
#include "cli/result.h"
#include "connector/sqlite/catalog.h"
#include "exec/exec.h"

struct sql_session {
    struct host *host;
    struct arena *arena;              // of the session: what statements define lives as long
    const char *data_folder;          // NULL: an empty catalog
    const char *base_folder;
    enum result_format format;
    const struct settings *settings;
    const _Atomic int *interrupted;
    struct catalog_reader *reader;
    struct catalog catalog;
    struct pipeline *scope;           // views and tables defined so far; NULL: none
    void *table_host;                 // for memory tables (leat test)
    // What becomes of a query's rows; NULL: printed in `format`.
    enum status (*take)(void *context, const struct plan_node *root, struct batch *b);
    void *take_context;
    const struct plan_node *last_root;  // of the last query
};

enum status sql_session_open(struct sql_session *s, struct host *h, struct arena *a, const char *data_folder, enum result_format format,
                             const struct settings *settings, const _Atomic int *interrupted, struct error *e) WARN_UNUSED;
// Reads the catalog again (after writes).
enum status sql_session_reload(struct sql_session *s, struct error *e) WARN_UNUSED;
// Runs every statement of a text. Errors of the text go to d and do not end the run; the status is the worst other failure.
enum status sql_session_run(struct sql_session *s, const struct sql_file *file, struct diagnostics *d, struct error *e) WARN_UNUSED;
void sql_session_close(struct sql_session *s);
// A text that is no file, substituted like one.
enum status sql_text_prepare(struct host *h, struct arena *a, const char *text, const char *name, const struct settings *given, struct sql_file *out,
                             struct diagnostics *d, struct error *e) WARN_UNUSED;

// What the parts of a session share (session.c, session_write.c).
struct analysis session_analysis(struct sql_session *s, struct diagnostics *d);
struct query_run session_query_run(struct sql_session *s);
struct dataset *session_table(struct sql_session *s, const char *name);  // NULL if there is none
enum status session_unknown_table(const char *name, struct error *e);
enum status session_create_table(struct sql_session *s, const struct ustatement *statement, struct diagnostics *d, struct error *e) WARN_UNUSED;
enum status session_insert(struct sql_session *s, const struct ustatement *statement, struct diagnostics *d, struct error *e) WARN_UNUSED;
enum status session_drop(struct sql_session *s, const struct ustatement *statement, struct error *e) WARN_UNUSED;
