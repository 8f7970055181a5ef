// SPDX-License-Identifier: Apache-2.0
// main.c: the commands, and what they all start with.
#include "cli/cli.h"
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

static const struct command *const commands[] = {&run_command, &sql_command, &check_command, &state_command, &checkpoint_command, &test_command,
                                             &functions_command, &kafka_command, &version_command};
enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static void print_usage(FILE *out) {
    fputs("leat: a real-time data pipeline in one file of Spark SQL\n\n"
          "  leat run users.sql                        run the pipeline; Ctrl-C ends it cleanly\n"
          "  leat check users.sql                      parse, resolve and plan it, offline\n"
          "  leat sql -q \"SELECT * FROM users LIMIT 5\"  look at its tables\n"
          "  leat test test/*.test                     run golden tests\n\n"
          "commands\n", out);
    for (int i = 0; i < COMMAND_COUNT; i++) fprintf(out, "  %-12s %s\n", commands[i]->name, commands[i]->summary);
    fputs("\n`leat COMMAND --help` says more. Exit codes: 0 ok, 1 data or test failure, 2 usage, 3 does not check, 4 unreachable, 5 data folder does not fit,"
          " 130 interrupted.\n", out);
}

static void host_init(struct host *h) {
    const char *no_colour = getenv("NO_COLOR");
    bool plain = no_colour && *no_colour;
    memset(h, 0, sizeof *h);
    memory_tune_process();
    memory_init(&h->memory, "process", NULL, 0);
    h->log = (struct log){.level = LOG_INFO, .fd = STDERR_FILENO, .colour = !plain && isatty(STDERR_FILENO)};
    h->colour = !plain && isatty(STDOUT_FILENO);
    h->session.zones = timezone_set_new(&h->memory);
    const struct timezone *utc = h->session.zones ? timezone_find(h->session.zones, "UTC", 3) : NULL;
    h->session.zone = utc ? utc : &timezone_utc;  // one of the set: timestamps that name a zone find it through this
    h->session.clock = &h->clock;
}

static int run_command_named(struct host *h, int argc, char **argv) {
    const char *names[COMMAND_COUNT];
    for (int i = 0; i < COMMAND_COUNT; i++) {
        names[i] = commands[i]->name;
        if (strcmp(argv[1], commands[i]->name) != 0) continue;
        for (int k = 2; k < argc; k++) {
            if (!is_help(argv[k])) continue;
            print_help(commands[i]);
            return EXIT_OK;
        }
        return commands[i]->run(h, argc - 1, argv + 1);
    }
    const char *near = suggest(argv[1], names, COMMAND_COUNT);
    fprintf(stderr, "leat: there is no command `%s`%s%s%s\n`leat --help` lists them\n", argv[1], near ? "; did you mean `" : "", near ? near : "", near ? "`?" : "");
    return EXIT_USAGE;
}

// A standard stream that is closed would leave its number to the next file that is opened, the log of epochs or a database, and what is
// printed would be written into it. /dev/null takes its place, opened the wrong way round, so that using the stream still fails.
static bool hold_standard_streams(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) != -1) continue;
        if (open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd) return false;
    }
    return true;
}

// What was printed must have arrived.
static int finish_output(const struct host *h, int code) {
    int why = fflush(stdout) != 0 ? errno : h->output_error;
    if (why) fprintf(stderr, "error: cannot write to standard output: %s\n", strerror(why));
    return why && code == EXIT_OK ? EXIT_DATA : code;
}

int main(int argc, char **argv) {
    struct host h;
    if (!hold_standard_streams()) return EXIT_DATA;
    setlocale(LC_CTYPE, "C.UTF-8");
    host_init(&h);
    int code;
    if (argc < 2 || is_help(argv[1]) || strcmp(argv[1], "help") == 0) {
        print_usage(argc < 2 ? stderr : stdout);
        code = argc < 2 ? EXIT_USAGE : EXIT_OK;
    } else if (strcmp(argv[1], "--version") == 0) {
        code = version_command.run(&h, 1, argv);
    } else {
        code = run_command_named(&h, argc, argv);
    }
    timezone_set_free(h.session.zones);
    return finish_output(&h, code);
}
