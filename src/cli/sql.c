// SPDX-License-Identifier: Apache-2.0
// sql.c: leat sql: one-off statements over the catalog, over files and over constants. Statements run one after another; what does not
// parse or resolve is said, and the next one runs (the exit code remembers).
#include "cli/session.h"
#include "base/files.h"
#include "sql/parser.h"
#include <editline/readline.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char sql_help[] =
    "  leat sql -q \"SELECT nationality, users FROM users_by_nationality ORDER BY users DESC\"\n"
    "  leat sql -q \"SELECT * FROM json.`events.jsonl` LIMIT 5\" --format jsonl\n"
    "  leat sql report.sql --data leat-data --format csv > report.csv\n"
    "  leat sql                        an editor with history; end statements with ;\n"
    "\n"
    "  -q STATEMENTS      what to run; otherwise FILE, or standard input\n"
    "  --data DIR         the pipeline's data folder; default: ./leat-data if there is one\n"
    "  --format FORMAT    table, csv, jsonl or markdown; default: table\n"
    "  --set NAME=VALUE   a setting, or a ${NAME} of the text\n";

struct sql_options {
    const char *query, *file, *data;
    enum result_format format;
    struct settings settings;
};

static int read_flag(struct sql_options *o, int argc, char **argv, int *i) {
    const struct command *c = &sql_command;
    const char *value;
    bool missing = false;
    if ((value = flag_value(argc, argv, i, "-q", &missing))) o->query = value;
    else if ((value = flag_value(argc, argv, i, "--data", &missing))) o->data = value;
    else if ((value = flag_value(argc, argv, i, "--format", &missing))) {
        if (!result_format_parse(value, &o->format)) return usage_error(c, "--format is table, csv, jsonl or markdown, not '%s'", value);
    } else if ((value = flag_value(argc, argv, i, "--set", &missing))) {
        if (!settings_add(&o->settings, value)) return usage_error(c, "--set takes NAME=VALUE");
    } else if (missing) return usage_error(c, "%s needs a value", argv[*i]);
    else if (argv[*i][0] == '-' && argv[*i][1]) return usage_error(c, "there is no option %s", argv[*i]);
    else if (o->file) return usage_error(c, "one file at a time");
    else o->file = argv[*i];
    return EXIT_OK;
}

static _Atomic int interrupted;
static void on_interrupt(int number) {
    (void)number;
    if (atomic_fetch_add(&interrupted, 1) > 0) _exit(EXIT_INTERRUPT);
}

// A statement that does not check counts before a row that could not be computed.
static int exit_code_of_diagnostics(const struct diagnostics *d) {
    const struct diagnostic *items = d->items.items;
    for (size_t i = 0; i < d->items.count; i++) {
        enum status status = items[i].error.status;
        if (items[i].severity == SEVERITY_ERROR && status != STATUS_DATA && status != STATUS_UNREACHABLE) return EXIT_CHECK;
    }
    for (size_t i = 0; i < d->items.count; i++)
        if (items[i].severity == SEVERITY_ERROR) return exit_code_of(items[i].error.status);
    return EXIT_CHECK;
}

// One text of statements, read and run.
static int run_text(struct sql_session *s, const char *path, const char *given) {
    struct diagnostics d;
    struct error e = {0};
    struct sql_file file;
    diagnostics_init(&d, &s->host->memory, NULL);
    enum status status = given ? sql_text_prepare(s->host, s->arena, given, "<query>", s->settings, &file, &d, &e)
                               : sql_file_read(s->host, s->arena, path, s->settings, &file, &d, &e);
    if (status == STATUS_OK) {
        if (!given && strcmp(path, "-") != 0) s->base_folder = file.base_folder;
        status = sql_session_run(s, &file, &d, &e);
    }
    print_diagnostics(s->host, &d);
    if (status != STATUS_OK && !d.error_count) say_error(s->host, &e);
    int code = d.error_count ? exit_code_of_diagnostics(&d) : exit_code_of(status);
    diagnostics_release(&d);
    return code;
}

static bool ends_statement(const char *text) {
    size_t n = strlen(text);
    while (n && (text[n - 1] == ' ' || text[n - 1] == '\n' || text[n - 1] == '\t')) n--;
    return n && text[n - 1] == ';';
}

static int run_editor(struct sql_session *s) {
    char history[4096];
    const char *home = getenv("HOME");
    struct buffer text;
    snprintf(history, sizeof history, "%s/.leat_history", home ? home : ".");
    using_history();
    read_history(history);
    buffer_init(&text, &s->host->memory);
    char *line;
    int code = EXIT_OK;
    while ((line = readline(text.size_bytes ? "   ...> " : "leat> "))) {
        bool quit = !text.size_bytes && (strcmp(line, "quit") == 0 || strcmp(line, "exit") == 0);
        bool ok = buffer_append_string(&text, line) == STATUS_OK && buffer_append_byte(&text, '\n') == STATUS_OK && buffer_terminate(&text) == STATUS_OK;
        if (*line && !quit) add_history(line);
        free(line);
        if (quit || !ok) break;
        if (!ends_statement((char *)text.data)) continue;
        atomic_store(&interrupted, 0);
        char *copy = arena_strndup(s->arena, (char *)text.data, text.size_bytes);  // views and settings keep referring to it
        if (copy) code = run_text(s, NULL, copy);
        buffer_clear(&text);
    }
    write_history(history);
    buffer_release(&text);
    (void)code;
    return EXIT_OK;
}

// A catalog that was asked for and cannot be seen is not an empty one.
static enum status check_data_folder(const char *folder, bool given, struct error *e) {
    char path[4200];
    struct stat found;
    if (!folder || snprintf(path, sizeof path, "%s/leat.db", folder) >= (int)sizeof path || stat(path, &found) == 0) return STATUS_OK;
    if (errno == ENOENT && given) fprintf(stderr, "note: there is no catalog in `%s`: it has no tables\n", folder);
    if (errno == ENOENT) return STATUS_OK;
    int reason = errno;
    error_set_errno(e, reason, "cannot read the catalog `%s`", path);
    error_set_hint(e, reason == ENOTDIR ? "--data takes the folder that `leat run` wrote, not a file" : "run leat sql as the user who runs the pipeline");
    return STATUS_IO;
}

static int sql_main(struct host *h, int argc, char **argv) {
    struct sql_options o = {.format = RESULT_TABLE};
    for (int i = 1; i < argc; i++) {
        int code = read_flag(&o, argc, argv, &i);
        if (code) return code;
    }
    if (o.query && o.file) return usage_error(&sql_command, "either -q or a file");
    struct arena a;
    struct sql_session s = {0};
    struct error e = {0};
    arena_init(&a, &h->memory);
    const char *data = o.data ? o.data : file_exists("leat-data") ? "leat-data" : NULL;
    signal(SIGINT, on_interrupt);
    enum status status = check_data_folder(data, o.data != NULL, &e);
    if (status == STATUS_OK) status = sql_session_open(&s, h, &a, data, o.format, &o.settings, &interrupted, &e);
    int code = EXIT_OK;
    if (status != STATUS_OK) {
        say_error(h, &e);
        code = exit_code_of(status);
    } else if (o.query) code = run_text(&s, NULL, o.query);
    else if (o.file) code = run_text(&s, o.file, NULL);
    else if (isatty(STDIN_FILENO)) code = run_editor(&s);
    else code = run_text(&s, "-", NULL);
    sql_session_close(&s);
    arena_release(&a);
    return code;
}

const struct command sql_command = {"sql", "sql [-q \"…\"] [FILE] [--format table|csv|jsonl|markdown] [--data DIR]", "one-off statements over the catalog and files", sql_help, sql_main};
