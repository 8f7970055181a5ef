// SPDX-License-Identifier: Apache-2.0
// cli.h: what leat's commands share: flags, the session, reading a SQL file, saying what went wrong, exit codes.
//
// Data goes to stdout, messages to stderr. One file per command; main.c has the table.
#pragma once
#include "base/log.h"
#include "connector/registry.h"
#include "plan/analyzer.h"
#include "stream/stream.h"

enum exit_code { EXIT_OK = 0, EXIT_DATA = 1, EXIT_USAGE = 2, EXIT_CHECK = 3, EXIT_UNREACHABLE = 4, EXIT_FIT = 5, EXIT_INTERRUPT = 130 };

// What main makes once and every command gets. Lives as long as the process.
struct host {
    struct memory memory;
    struct log log;
    struct clock clock;
    struct session session;
    bool colour;               // of stdout
    int output_error;          // errno of a write to stdout that failed, other than for a reader that left; 0: none
};

struct command {
    const char *name;
    const char *usage;         // "run FILE.sql [options]"
    const char *summary;
    const char *help;          // begins with examples
    int (*run)(struct host *h, int argc, char **argv);  // argv[0] is the command's name
};
extern const struct command run_command, sql_command, check_command, test_command, functions_command, kafka_command, state_command, checkpoint_command, version_command;

// --set k=v, collected.
struct settings {
    struct setting items[64];
    uint32_t count;
};
bool settings_add(struct settings *s, const char *text);   // "k=v"; false: no '=' or too many. `text` is cut in place (argv)

// A text's own SET statements, as variables for ${name}: they join `out`. What --set says comes after them and wins.
enum status settings_collect(struct arena *a, const char *text, size_t size_bytes, struct settings *out) WARN_UNUSED;

// Flags: `--name value`, `--name=value`. Returns the value and steps over it, NULL if argv[*i] is another flag; exits never.
const char *flag_value(int argc, char **argv, int *i, const char *name, bool *missing);
int usage_error(const struct command *c, const char *format, ...) PRINTF_LIKE(2, 3);  // says it and where help is; EXIT_USAGE

// A file of SQL: read, its ${name} substituted from --set and the file's own SETs. Lives in `a`.
struct sql_file {
    const char *path;          // "-": standard input
    const char *text;
    size_t size_bytes;
    const char *base_folder;
};
enum status sql_file_read(struct host *h, struct arena *a, const char *path, const struct settings *given, struct sql_file *out, struct diagnostics *d,
                          struct error *e) WARN_UNUSED;

void print_diagnostics(struct host *h, const struct diagnostics *d);  // to stderr, with a closing count
void say_error(struct host *h, const struct error *e);              // to stderr, in the same form
int exit_code_of(enum status status);
bool is_help(const char *arg);
void print_help(const struct command *c);
