// SPDX-License-Identifier: Apache-2.0
// run.c: leat run FILE.sql: every flow of the file, until it is told to stop or everything is read.
//
// Signals: the first SIGINT or SIGTERM raises `stop` and wakes the loop; the epoch that runs is finished. A second SIGINT leaves at once:
// what the log has is enough to go on from.
#include "cli/progress.h"
#include "json/json.h"
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static const char run_help[] =
    "  leat run users.sql                              until Ctrl-C; goes on where the last run stopped\n"
    "  leat run users.sql --available-now              what is there now, then exit\n"
    "  leat run users.sql --set rows=1000 --data /tmp/d\n"
    "  leat run users.sql --full-refresh users_by_nationality\n"
    "\n"
    "  --available-now        read what is there when it starts, write it, exit 0\n"
    "  --data DIR             data folder: catalog (leat.db) and log; default: leat-data beside the file\n"
    "  --set NAME=VALUE       a setting, or a ${NAME} of the file; may be repeated; wins over SET\n"
    "  --trigger DURATION     at most one epoch per '500 ms'; default: as soon as there is data\n"
    "  --full-refresh NAME    drop state and table of NAME and build it anew; may be repeated\n"
    "  --full-refresh-all     the same for every table of the file\n"
    "  --threads N            workers; default: one per core, at most 4\n"
    "  --quiet                no progress, no ledger; -v: more\n"
    "  --json                 progress on stdout as JSON lines, one per epoch and flow (Spark's StreamingQueryProgress)\n"
    "  --log-format text|json\n"
    "\n"
    "While it runs, DIR/leat.sock answers `progress` and `ping` with a JSON document: echo progress | nc -U DIR/leat.sock\n";

struct run_options {
    const char *file, *data;
    struct settings settings;
    const char *refresh[64];
    uint32_t refresh_count;
    bool refresh_all, available_now, quiet, json;
    int64_t trigger_us;
    uint32_t threads;
};

// The only state a signal handler can reach.
static struct signal_state {
    _Atomic int stop;
    _Atomic int64_t first_us;  // when the first came
    struct notify wake;
} signals;

// One Ctrl-C may arrive twice (to the process and to its group): what comes within a quarter of a second is the same one.
enum { SAME_SIGNAL_US = 250000 };

static void on_signal(int number) {
    int64_t now_us = clock_monotonic_us();
    if (atomic_fetch_add(&signals.stop, 1) == 0) atomic_store(&signals.first_us, now_us);
    else if (number == SIGINT && now_us - atomic_load(&signals.first_us) > SAME_SIGNAL_US) _exit(EXIT_INTERRUPT);
    notify_raise(&signals.wake);
}

static enum status catch_signals(struct error *e) {
    struct sigaction action = {.sa_handler = on_signal};
    atomic_store(&signals.stop, 0);
    TRY(notify_init(&signals.wake, e));
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    return STATUS_OK;
}

static int read_flag(struct host *h, struct run_options *o, int argc, char **argv, int *i) {
    const struct command *c = &run_command;
    const char *arg = argv[*i], *value;
    bool missing = false;
    if (strcmp(arg, "--available-now") == 0) o->available_now = true;
    else if (strcmp(arg, "--quiet") == 0 || strcmp(arg, "-q") == 0) o->quiet = true, h->log.level = LOG_WARN;
    else if (strcmp(arg, "-v") == 0 || strcmp(arg, "--verbose") == 0) h->log.level = LOG_DEBUG;
    else if (strcmp(arg, "--json") == 0) o->json = true;
    else if (strcmp(arg, "--full-refresh-all") == 0) o->refresh_all = true;
    else if ((value = flag_value(argc, argv, i, "--data", &missing))) o->data = value;
    else if ((value = flag_value(argc, argv, i, "--set", &missing))) {
        if (!settings_add(&o->settings, value)) return usage_error(c, "--set takes NAME=VALUE, at most 64 times");
    } else if ((value = flag_value(argc, argv, i, "--trigger", &missing))) {
        if (!parse_duration(value, &o->trigger_us) || o->trigger_us < 0) return usage_error(c, "--trigger '%s' is not a duration such as '500 ms'", value);
    } else if ((value = flag_value(argc, argv, i, "--full-refresh", &missing))) {
        if (o->refresh_count == 64) return usage_error(c, "--full-refresh was given more than 64 times");
        o->refresh[o->refresh_count++] = value;
    } else if ((value = flag_value(argc, argv, i, "--threads", &missing))) {
        char *end;
        unsigned long n = strtoul(value, &end, 10);
        if (*end || !n || n > 64) return usage_error(c, "--threads takes a number from 1 to 64, not '%s'", value);
        o->threads = (uint32_t)n;
    } else if ((value = flag_value(argc, argv, i, "--log-format", &missing))) {
        if (strcmp(value, "json") != 0 && strcmp(value, "text") != 0) return usage_error(c, "--log-format is text or json, not '%s'", value);
        h->log.json = strcmp(value, "json") == 0;
    } else if (missing) return usage_error(c, "%s needs a value", arg);
    else if (arg[0] == '-' && arg[1]) return usage_error(c, "there is no option %s", arg);
    else if (o->file) return usage_error(c, "one file at a time: %s, %s", o->file, arg);
    else o->file = arg;
    return EXIT_OK;
}

static int read_options(struct host *h, struct run_options *o, int argc, char **argv) {
    memset(o, 0, sizeof *o);
    o->trigger_us = -1;
    for (int i = 1; i < argc; i++) {
        int code = read_flag(h, o, argc, argv, &i);
        if (code) return code;
    }
    return o->file ? EXIT_OK : usage_error(&run_command, "which file?");
}

// Text is for people: where lines are JSON each is a message.
static void show_ledger(struct host *h, const struct buffer *text) {
    const char *p = (const char *)text->data, *end = p + text->size_bytes;
    if (!h->log.json) fwrite(p, 1, text->size_bytes, stderr);
    while (h->log.json && p < end) {
        const char *line = memchr(p, '\n', (size_t)(end - p));
        log_write(&h->log, LOG_INFO, "%.*s", (int)((line ? line : end) - p), p);
        p = line ? line + 1 : end;
    }
}

static int run_opened(struct host *h, struct stream *stream, const struct run_options *o, struct progress *progress) {
    struct error e = {0};
    progress_listen(progress);
    enum status status = stream_run(stream, &e);
    progress_end(progress);
    if (!o->quiet) {
        struct buffer ledger;
        buffer_init(&ledger, &h->memory);
        if (stream_print_ledger(stream, &ledger) == STATUS_OK) show_ledger(h, &ledger);
        buffer_release(&ledger);
    }
    if (status != STATUS_OK) say_error(h, &e);
    progress_release(progress);  // the folder is still ours
    struct error close_error = {0};
    enum status closed = stream_close(stream, status == STATUS_OK, &close_error);
    if (closed != STATUS_OK) say_error(h, &close_error);
    return exit_code_of(status != STATUS_OK ? status : closed);
}

static int run_file(struct host *h, struct run_options *o, struct arena *a, struct diagnostics *d) {
    struct error e = {0};
    struct sql_file file;
    struct stream *stream = NULL;
    struct progress progress;
    enum status status = sql_file_read(h, a, o->file, &o->settings, &file, d, &e);
    const char *data = o->data ? o->data : status == STATUS_OK ? arena_printf(a, "%s/leat-data", file.base_folder) : NULL;
    progress_init(&progress, h, o->file, data, o->json, o->quiet, &signals.stop);
    struct stream_config config = {
        .text = file.text, .name = file.path, .base_folder = file.base_folder, .data_folder = data, .connectors = &all_connectors, .session = &h->session,
        .memory = &h->memory, .log = &h->log, .wake = &signals.wake, .settings = o->settings.items, .setting_count = o->settings.count,
        .full_refresh = o->refresh, .full_refresh_count = o->refresh_count, .full_refresh_all = o->refresh_all, .available_now = o->available_now,
        .trigger_us = o->trigger_us, .worker_count = o->threads, .stop = &signals.stop, .progress = progress_epoch, .waiting = progress_waiting,
        .progress_context = &progress,
    };
    if (status == STATUS_OK) status = catch_signals(&e);
    if (status == STATUS_OK) status = stream_open(&config, d, &stream, &e);
    print_diagnostics(h, d);
    if (status != STATUS_OK) {
        progress_end(&progress);
        progress_release(&progress);
        if (!d->error_count) say_error(h, &e);
        return d->error_count ? EXIT_CHECK : exit_code_of(status);
    }
    log_write(&h->log, LOG_DEBUG, "data folder: %s", data);
    return run_opened(h, stream, o, &progress);
}

static int run_main(struct host *h, int argc, char **argv) {
    struct run_options o;
    struct arena a;
    struct diagnostics d;
    int code = read_options(h, &o, argc, argv);
    if (code) return code;
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});  // a core would hold people's data
    prctl(PR_SET_DUMPABLE, 0);
    arena_init(&a, &h->memory);
    diagnostics_init(&d, &h->memory, NULL);
    code = run_file(h, &o, &a, &d);
    diagnostics_release(&d);
    arena_release(&a);
    return code;
}

const struct command run_command = {"run", "run FILE.sql [--available-now] [--data DIR] [--set k=v] …", "run the flows of a file", run_help, run_main};
