// SPDX-License-Identifier: Apache-2.0
// test.c: leat test FILE.test…: golden tests of queries and pipelines, the runner of leat's own test/sql and of its users. A file runs on
// an empty catalog in a folder of its own, with a virtual clock: nothing in it depends on the day. The form: golden.h.
#include "cli/golden.h"
#include "cli/golden_run.h"
#include "base/files.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char test_help[] =
    "  leat test users.test\n"
    "  leat test test/sql/*/*.test --quiet\n"
    "  leat test users.test --update       write what comes out into the file\n"
    "\n"
    "  --update     replace each expectation that differs by what came out\n"
    "  --quiet      only failures and the closing line\n"
    "  --threads N  workers of the pipelines under test; default 2\n"
    "\n"
    "A test is a list of blocks, separated by blank lines:\n"
    "  statement              one statement: CREATE …, SET …\n"
    "  pipeline FILE          the statements of a file; its sources are fed by push\n"
    "  push TABLE             an epoch of rows, one JSON object a line\n"
    "  clock TIMESTAMP        sets the virtual clock; advance INTERVAL moves it\n"
    "  query                  a query; what must come out follows\n"
    "  expect [TABLE] [ordered]           rows, cells as CAST(x AS STRING), joined by ' | '\n"
    "  expect error CONDITION [SQLSTATE]\n";

struct test_options {
    bool update, quiet;
    uint32_t threads;
    const char **files;
    uint32_t file_count;
};

// Writes the file anew with the bodies that came out.
static enum status update_file(struct host *h, const char *path, const struct buffer *text, const struct golden_run *run, struct error *e) {
    struct buffer out;
    size_t at = 0;
    buffer_init(&out, &h->memory);
    enum status status = STATUS_OK;
    for (size_t i = 0; i < run->replacements.count && status == STATUS_OK; i++) {
        const struct golden_replacement *r = vector_at(&run->replacements, i);
        status = buffer_append(&out, text->data + at, r->begin - at);
        if (status == STATUS_OK) status = buffer_append_string(&out, r->text);
        at = r->end;
    }
    if (status == STATUS_OK) status = buffer_append(&out, text->data + at, text->size_bytes - at);
    if (status != STATUS_OK) error_no_memory(e);
    else status = file_replace(path, out.data, out.size_bytes, e);
    buffer_release(&out);
    return status;
}

static enum status run_file(struct host *h, const struct test_options *o, const char *path, struct golden_totals *totals, struct error *e) {
    struct buffer text;
    struct arena a;
    struct vector blocks;
    struct golden_run run;
    buffer_init(&text, &h->memory);
    arena_init(&a, &h->memory);
    vector_init(&blocks, &h->memory, sizeof(struct golden_block));
    golden_run_init(&run, h, &a, path, o->threads, o->quiet);
    enum status status = file_read_all(path, (size_t)64 << 20, &text, e);
    if (status == STATUS_OK) status = golden_parse(&a, (char *)text.data, text.size_bytes, &blocks, e);
    if (status == STATUS_OK) status = golden_run_blocks(&run, blocks.items, (uint32_t)blocks.count, e);
    if (status == STATUS_OK && o->update && run.replacements.count) status = update_file(h, path, &text, &run, e);
    totals->passed += run.passed;
    totals->failed += run.failed;
    totals->skipped += run.skipped;
    golden_run_release(&run);
    vector_release(&blocks);
    arena_release(&a);
    buffer_release(&text);
    return status;
}

static int test_main(struct host *h, int argc, char **argv) {
    struct test_options o = {.threads = 2};
    struct arena a;
    struct golden_totals totals = {0};
    arena_init(&a, &h->memory);
    o.files = arena_alloc_array(&a, (size_t)argc, sizeof *o.files);
    int code = EXIT_OK;
    h->log.level = LOG_ERROR;
    for (int i = 1; i < argc && o.files && code == EXIT_OK; i++) {
        bool missing = false;
        const char *value;
        if (strcmp(argv[i], "--update") == 0) o.update = true;
        else if (strcmp(argv[i], "--quiet") == 0 || strcmp(argv[i], "-q") == 0) o.quiet = true;
        else if ((value = flag_value(argc, argv, &i, "--threads", &missing))) {
            char *end;
            unsigned long n = strtoul(value, &end, 10);
            if (*end || !n || n > 64) code = usage_error(&test_command, "--threads takes a number from 1 to 64");
            o.threads = (uint32_t)n;
        } else if (missing) code = usage_error(&test_command, "%s needs a value", argv[i]);
        else if (argv[i][0] == '-') code = usage_error(&test_command, "there is no option %s", argv[i]);
        else o.files[o.file_count++] = argv[i];
    }
    if (code == EXIT_OK && !o.file_count) code = usage_error(&test_command, "which files?");
    for (uint32_t i = 0; i < o.file_count && code == EXIT_OK; i++) {
        struct error e = {0};
        if (run_file(h, &o, o.files[i], &totals, &e) == STATUS_OK) continue;
        fprintf(stderr, "%s: ", o.files[i]);
        say_error(h, &e);
        totals.failed++;
    }
    if (code == EXIT_OK) printf("%u passed, %u failed, %u skipped\n", totals.passed, totals.failed, totals.skipped);
    if (code == EXIT_OK && !totals.passed && !totals.failed && !totals.skipped) {
        fputs("leat test: the files expect nothing: that is no test\n", stderr);
        totals.failed++;
    }
    arena_release(&a);
    return code ? code : totals.failed ? EXIT_DATA : EXIT_OK;
}

const struct command test_command = {"test", "test FILE.test… [--update] [--quiet]", "run golden tests", test_help, test_main};
