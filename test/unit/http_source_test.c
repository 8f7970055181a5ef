// SPDX-License-Identifier: Apache-2.0
// http_source_test.c: the spool of the http source, and how a body is taken apart: what was written comes back, over files and restarts; a file cut
// at any length gives whole groups and goes on; any byte that is changed is noticed; only what is read leaves; a full disk loses nothing.
#include "base/clock.h"
#include "base/files.h"
#include "connector/http/http.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { READ_CAPACITY = 4096, MESSAGE_CHARS = 64 };

struct fixture {
    struct memory memory;
    char folder[64];
    struct spool *spool;
    struct spool_config config;
};

static void setup(struct fixture *f) {
    memset(f, 0, sizeof *f);
    memory_init(&f->memory, "test", NULL, 0);
    snprintf(f->folder, sizeof f->folder, "%s/leat-spool-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(f->folder));
    f->config = (struct spool_config){.folder = f->folder, .memory = &f->memory, .segment_bytes = 4096};
}

static enum status reopen(struct fixture *f, struct error *e) {
    spool_close(f->spool);
    f->spool = NULL;
    return spool_open(&f->config, &f->spool, e);
}

static void teardown(struct fixture *f) {
    struct error e;
    spool_close(f->spool);
    assert_int_equal(folder_remove(f->folder, &e), STATUS_OK);
    assert_int_equal(memory_used(&f->memory), 0);
}

static size_t message_of(int64_t offset, char out[MESSAGE_CHARS]) {
    return (size_t)snprintf(out, MESSAGE_CHARS, "{\"id\":%lld,\"pad\":\"%.*s\"}", (long long)offset, (int)(offset % 30),
                            "abcdefghijklmnopqrstuvwxyzabcdefgh");
}

static enum status write_group(struct fixture *f, uint32_t count, const char *etag, struct error *e) {
    struct spool_validators v = {0};
    char text[MESSAGE_CHARS];
    int64_t first = spool_end(f->spool);
    snprintf(v.etag, sizeof v.etag, "%s", etag);
    for (uint32_t i = 0; i < count; i++) {
        size_t size = message_of(first + i, text);
        TRY(spool_add(f->spool, SPOOL_MESSAGE, text, size, 1000 + first + i, e));
    }
    return spool_commit(f->spool, &v, 7, e);
}

// Reads [begin, end) and checks every message. Returns how many came.
static int64_t read_checked(struct fixture *f, int64_t begin, int64_t end, enum status *status, struct error *e) {
    struct spool_record *records = calloc(READ_CAPACITY, sizeof *records);
    struct spool_cursor c;
    int64_t next = begin;
    uint32_t count = 1;
    spool_cursor_open(&c, f->spool, begin, end);
    for (*status = STATUS_OK; *status == STATUS_OK && count;) {
        struct buffer *piece;
        char text[MESSAGE_CHARS];
        *status = spool_cursor_next(&c, records, READ_CAPACITY, &count, &piece, e);
        for (uint32_t i = 0; *status == STATUS_OK && i < count; i++, next++) {
            size_t size = message_of(next, text);
            assert_int_equal(records[i].offset, next);
            assert_int_equal(records[i].time_us, 1000 + next);
            assert_int_equal(records[i].size_bytes, size);
            assert_memory_equal(records[i].bytes, text, size);
        }
        buffer_unref(piece);
    }
    spool_cursor_close(&c);
    free(records);
    return next - begin;
}

static void expect_all(struct fixture *f, int64_t begin, int64_t end) {
    struct error e;
    enum status status;
    assert_int_equal(spool_begin(f->spool), begin);
    assert_int_equal(spool_end(f->spool), end);
    assert_int_equal(read_checked(f, begin, end, &status, &e), end - begin);
    assert_int_equal(status, STATUS_OK);
}

static uint32_t count_files(struct fixture *f) {
    char command[128];
    int n = 0;
    snprintf(command, sizeof command, "ls %s | grep -c '[.]spool$'", f->folder);
    FILE *p = popen(command, "r");
    assert_non_null(p);
    assert_int_equal(fscanf(p, "%d", &n), 1);
    pclose(p);
    return (uint32_t)n;
}

static void written_comes_back(void **state) {
    struct fixture f;
    struct error e;
    enum status status;
    (void)state;
    setup(&f);
    assert_int_equal(reopen(&f, &e), STATUS_OK);
    expect_all(&f, 0, 0);
    int64_t total = 0;
    for (uint32_t i = 0; i < 60; i++) {
        assert_int_equal(write_group(&f, i % 17, i % 2 ? "odd" : "even", &e), STATUS_OK);
        total += i % 17;
        if (i % 9 == 0) assert_int_equal(reopen(&f, &e), STATUS_OK);
        expect_all(&f, 0, total);
        assert_string_equal(spool_validators_of(f.spool).etag, i % 2 ? "odd" : "even");
    }
    assert_true(count_files(&f) > 3);
    assert_int_equal(reopen(&f, &e), STATUS_OK);
    for (int64_t begin = 0; begin < total; begin += 13) assert_int_equal(read_checked(&f, begin, total, &status, &e), total - begin);
    struct stat st;
    char path[128];
    snprintf(path, sizeof path, "%s/%020d.spool", f.folder, 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    read_checked(&f, total, total + 1, &status, &e);
    assert_int_equal(status, STATUS_CONFLICT);
    teardown(&f);
}

static void limits_move_on(void **state) {
    struct fixture f;
    struct error e;
    (void)state;
    setup(&f);
    assert_int_equal(reopen(&f, &e), STATUS_OK);
    for (int i = 0; i < 40; i++) assert_int_equal(write_group(&f, 50, "", &e), STATUS_OK);
    assert_int_equal(reopen(&f, &e), STATUS_OK);
    int64_t at = 0, steps = 0, end;
    for (; at < 2000; at = end, steps++) {
        assert_int_equal(spool_limit(f.spool, at, 1 << 30, 3000, &end, &e), STATUS_OK);
        assert_true(end > at && end <= 2000);
    }
    assert_true(steps > 20);
    assert_int_equal(spool_limit(f.spool, 5, 7, INT64_MAX / 4, &end, &e), STATUS_OK);
    assert_int_equal(end, 12);
    assert_int_equal(spool_limit(f.spool, 0, INT64_MAX / 4, INT64_MAX / 4, &end, &e), STATUS_OK);
    assert_int_equal(end, 2000);
    teardown(&f);
}

// Copies the spool's first file into `image`, and back with one change.
static size_t load_file(struct fixture *f, uint8_t *image, size_t capacity) {
    char path[128];
    snprintf(path, sizeof path, "%s/%020d.spool", f->folder, 0);
    FILE *in = fopen(path, "rb");
    assert_non_null(in);
    size_t size = fread(image, 1, capacity, in);
    fclose(in);
    return size;
}
static void store_file(struct fixture *f, const uint8_t *image, size_t size) {
    char path[128];
    snprintf(path, sizeof path, "%s/%020d.spool", f->folder, 0);
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(image, 1, size, out), size);
    assert_int_equal(fclose(out), 0);
}

enum { GROUPS = 3, GROUP_ROWS = 3, IMAGE_BYTES = 65536 };

static size_t three_groups(struct fixture *f, uint8_t *image, size_t ends[GROUPS]) {
    struct error e;
    f->config.segment_bytes = 1 << 20;
    assert_int_equal(reopen(f, &e), STATUS_OK);
    for (int i = 0; i < GROUPS; i++) {
        assert_int_equal(write_group(f, GROUP_ROWS, "v", &e), STATUS_OK);
        ends[i] = load_file(f, image, IMAGE_BYTES);
    }
    spool_close(f->spool);
    f->spool = NULL;
    return ends[GROUPS - 1];
}

static void a_cut_end_is_trimmed(void **state) {
    struct fixture f;
    struct error e;
    static uint8_t image[IMAGE_BYTES];
    size_t ends[GROUPS];
    (void)state;
    setup(&f);
    size_t size = three_groups(&f, image, ends);
    for (size_t cut = 0; cut <= size; cut++) {
        int64_t whole = 0;
        for (int i = 0; i < GROUPS; i++) whole += ends[i] <= cut ? GROUP_ROWS : 0;
        store_file(&f, image, cut);
        assert_int_equal(reopen(&f, &e), STATUS_OK);
        expect_all(&f, 0, whole);
        assert_int_equal(write_group(&f, 2, "w", &e), STATUS_OK);  // and goes on
        assert_int_equal(reopen(&f, &e), STATUS_OK);
        expect_all(&f, 0, whole + 2);
        spool_close(f.spool);
        f.spool = NULL;
    }
    teardown(&f);
}

// Pages of the last group that were never written read as zeros.
static void unwritten_pages_are_trimmed(void **state) {
    struct fixture f;
    struct error e;
    static uint8_t image[IMAGE_BYTES];
    size_t ends[GROUPS];
    (void)state;
    setup(&f);
    three_groups(&f, image, ends);
    memset(image + ends[1], 0, IMAGE_BYTES - ends[1]);
    store_file(&f, image, IMAGE_BYTES);
    assert_int_equal(reopen(&f, &e), STATUS_OK);
    expect_all(&f, 0, 2 * GROUP_ROWS);
    teardown(&f);
}

static void a_changed_byte_is_noticed(void **state) {
    struct fixture f;
    struct error e;
    static uint8_t image[IMAGE_BYTES];
    size_t ends[GROUPS];
    (void)state;
    setup(&f);
    size_t size = three_groups(&f, image, ends);
    for (size_t at = 0; at < size; at++) {
        image[at] ^= 0x41;
        store_file(&f, image, size);
        enum status status = reopen(&f, &e);
        if (status != STATUS_CORRUPT) print_message("byte %zu: %d\n", at, (int)status);
        assert_int_equal(status, STATUS_CORRUPT);
        assert_non_null(strstr(e.message, ".spool` is damaged at byte "));
        image[at] ^= 0x41;
    }
    teardown(&f);
}

// In a file that is complete, damage is met when it is read.
static void damage_in_an_old_file_is_noticed(void **state) {
    struct fixture f;
    struct error e;
    enum status status;
    static uint8_t image[IMAGE_BYTES];
    (void)state;
    setup(&f);
    assert_int_equal(reopen(&f, &e), STATUS_OK);
    for (int i = 0; i < 20; i++) assert_int_equal(write_group(&f, 10, "", &e), STATUS_OK);
    size_t size = load_file(&f, image, IMAGE_BYTES);
    for (size_t at = 0; at < size; at += 7) {
        image[at] ^= 1;
        store_file(&f, image, size);
        status = reopen(&f, &e);
        int64_t got = status == STATUS_OK ? read_checked(&f, 0, 200, &status, &e) : 0;
        bool in_end = status == STATUS_OK && got == 200;  // the payload of an END has nothing that is read here
        if (!in_end) assert_int_equal(status, STATUS_CORRUPT);
        if (in_end) assert_true(at > SPOOL_HEADER_BYTES + SPOOL_RECORD_BYTES);
        image[at] ^= 1;
    }
    teardown(&f);
}

static void only_what_is_read_leaves(void **state) {
    struct fixture f;
    struct error e;
    (void)state;
    setup(&f);
    assert_int_equal(reopen(&f, &e), STATUS_OK);
    for (int i = 0; i < 40; i++) assert_int_equal(write_group(&f, 20, "x", &e), STATUS_OK);
    uint32_t files = count_files(&f);
    int64_t now_us = clock_now_us(NULL);
    assert_int_equal(spool_retain(f.spool, 0, 0, now_us + 1000000, &e), STATUS_OK);
    expect_all(&f, 0, 800);
    assert_int_equal(spool_retain(f.spool, 800, INT64_MAX, now_us - 60000000, &e), STATUS_OK);  // young, and room enough
    expect_all(&f, 0, 800);
    assert_int_equal(spool_retain(f.spool, 300, INT64_MAX, now_us + 1000000, &e), STATUS_OK);
    assert_true(spool_begin(f.spool) > 0 && spool_begin(f.spool) <= 300);
    expect_all(&f, spool_begin(f.spool), 800);
    assert_int_equal(spool_retain(f.spool, 800, 1, 0, &e), STATUS_OK);
    assert_true(count_files(&f) < files && count_files(&f) == 1);
    int64_t begin = spool_begin(f.spool);
    assert_int_equal(reopen(&f, &e), STATUS_OK);
    expect_all(&f, begin, 800);  // offsets go on
    teardown(&f);
}

// A reader keeps its file while it is removed.
static void a_reader_outlives_retention(void **state) {
    struct fixture f;
    struct error e;
    struct spool_cursor c;
    struct spool_record record;
    struct buffer *piece;
    uint32_t count;
    (void)state;
    setup(&f);
    assert_int_equal(reopen(&f, &e), STATUS_OK);
    for (int i = 0; i < 40; i++) assert_int_equal(write_group(&f, 20, "", &e), STATUS_OK);
    spool_cursor_open(&c, f.spool, 0, 2);
    assert_int_equal(spool_cursor_next(&c, &record, 1, &count, &piece, &e), STATUS_OK);
    assert_int_equal(count, 1);
    buffer_unref(piece);
    assert_int_equal(spool_retain(f.spool, 800, 1, 0, &e), STATUS_OK);
    assert_true(spool_begin(f.spool) > 2);
    assert_int_equal(spool_cursor_next(&c, &record, 1, &count, &piece, &e), STATUS_OK);
    assert_int_equal(record.offset, 1);
    buffer_unref(piece);
    spool_cursor_close(&c);
    teardown(&f);
}

static void an_aborted_group_leaves_nothing(void **state) {
    struct fixture f;
    struct error e;
    static char large[3 << 20];
    (void)state;
    setup(&f);
    assert_int_equal(reopen(&f, &e), STATUS_OK);
    assert_int_equal(write_group(&f, 5, "", &e), STATUS_OK);
    int64_t size = spool_size(f.spool);
    memset(large, 'x', sizeof large);
    assert_int_equal(spool_add(f.spool, SPOOL_MESSAGE, large, sizeof large, 1, &e), STATUS_OK);  // in the file already
    expect_all(&f, 0, 5);
    spool_abort(f.spool);
    assert_int_equal(write_group(&f, 5, "", &e), STATUS_OK);
    expect_all(&f, 0, 10);
    assert_true(spool_size(f.spool) < size * 3);
    assert_int_equal(spool_add(f.spool, SPOOL_MESSAGE, large, sizeof large, 1, &e), STATUS_OK);  // as a crash would
    assert_int_equal(reopen(&f, &e), STATUS_OK);
    expect_all(&f, 0, 10);
    teardown(&f);
}

static void a_full_disk_loses_nothing(void **state) {
    struct fixture f;
    struct error e;
    static char large[2 << 20];
    struct rlimit before, small;
    (void)state;
    setup(&f);
    assert_int_equal(reopen(&f, &e), STATUS_OK);
    assert_int_equal(write_group(&f, 5, "", &e), STATUS_OK);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 65536;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    memset(large, 'x', sizeof large);
    assert_int_equal(spool_add(f.spool, SPOOL_MESSAGE, large, sizeof large, 1, &e), STATUS_LIMIT);
    spool_abort(f.spool);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    expect_all(&f, 0, 5);
    assert_int_equal(write_group(&f, 5, "", &e), STATUS_OK);
    assert_int_equal(reopen(&f, &e), STATUS_OK);
    expect_all(&f, 0, 10);
    teardown(&f);
}

static void no_memory_is_an_error(void **state) {
    struct fixture f;
    struct error e;
    enum status status = STATUS_NO_MEMORY;
    (void)state;
    setup(&f);
    for (int64_t n = 1; status != STATUS_OK; n++) {
        assert_true(n < 1000);
        atomic_store(&f.memory.fail_countdown, n);
        status = reopen(&f, &e);
        if (status == STATUS_OK) status = write_group(&f, 9, "y", &e);
        int64_t end = f.spool ? spool_end(f.spool) : 0;
        if (status == STATUS_OK && end) read_checked(&f, 0, end, &status, &e);
        atomic_store(&f.memory.fail_countdown, -1);
        if (f.spool) spool_abort(f.spool);
        assert_true(status == STATUS_OK || status == STATUS_NO_MEMORY);
    }
    assert_int_equal(reopen(&f, &e), STATUS_OK);
    expect_all(&f, 0, spool_end(f.spool));
    teardown(&f);
}

static void two_owners_are_refused(void **state) {
    struct fixture f;
    struct error e;
    struct spool *other;
    (void)state;
    setup(&f);
    assert_int_equal(reopen(&f, &e), STATUS_OK);
    assert_int_equal(spool_open(&f.config, &other, &e), STATUS_CONFLICT);
    teardown(&f);
}

// ---- splitting ----

struct split_case {
    const char *split, *body;
    const char *messages;   // joined by "|"; refused ones as "!reason"
};
static const struct split_case split_cases[] = {
    {"none", "{\"a\":1}", "{\"a\":1}"},
    {"none", "", ""},
    {"lines", "a\n\r\nb\r\nc", "a|b|c"},
    {"array", " [1, {\"a\":[1,2]} ,\"x,]\" ]", "1|{\"a\":[1,2]}|\"x,]\""},
    {"array", "[]", NULL},
    {"array", "\xef\xbb\xbf[1]", "1"},
    {"array", "[1,2", "!1"},
    {"array", "[1,]", "!1"},
    {"array", "", "!1"},
    {"array", "{\"a\":1}", "!2"},
    {"results", "{\"info\":{\"results\":[9]},\"results\":[{\"a\":1},2]}", "{\"a\":1}|2"},
    {"results", "{\"r\\u0065sults\":[1]}", "1"},
    {"$.data.items", "{\"data\":{\"items\":[1,2]}}", "1|2"},
    {"/data/items", "{\"data\":{\"x\":[0],\"items\":[1]}}", "1"},
    {"/a~1b/m~0n", "{\"a/b\":{\"m~n\":[1]}}", "1"},
    {"data.items", "{\"data\":[1]}", "!2"},
    {"data.items", "{}", "!2"},
    {"data", "{\"data\":[1]} x", "!1"},
};

static void bodies_are_split(void **state) {
    struct fixture f;
    struct error e;
    struct arena a;
    (void)state;
    setup(&f);
    arena_init(&a, &f.memory);
    f.config.folder = NULL;
    for (size_t i = 0; i < sizeof split_cases / sizeof split_cases[0]; i++) {
        const struct split_case *c = &split_cases[i];
        struct http_split split;
        struct buffer body, got;
        struct spool_record records[8];
        struct spool_cursor cursor;
        struct buffer *piece;
        uint32_t count;
        buffer_init(&body, &f.memory);
        buffer_init(&got, &f.memory);
        assert_int_equal(reopen(&f, &e), STATUS_OK);
        assert_int_equal(buffer_append_string(&body, c->body), STATUS_OK);
        assert_int_equal(http_split_parse(&a, c->split, &split, &e), STATUS_OK);
        assert_int_equal(http_split_body(&split, &body, &f.memory, f.spool, 1, &e), STATUS_OK);
        assert_int_equal(spool_commit(f.spool, &(struct spool_validators){0}, 1, &e), STATUS_OK);
        spool_cursor_open(&cursor, f.spool, 0, spool_end(f.spool));
        assert_int_equal(spool_cursor_next(&cursor, records, 8, &count, &piece, &e), STATUS_OK);
        for (uint32_t k = 0; k < count; k++) {
            if (k) assert_int_equal(buffer_append_byte(&got, '|'), STATUS_OK);
            if (records[k].kind == SPOOL_REFUSED) assert_int_equal(buffer_printf(&got, "!%u", records[k].bytes[0]), STATUS_OK);
            else assert_int_equal(buffer_append(&got, records[k].bytes, records[k].size_bytes), STATUS_OK);
        }
        assert_int_equal(buffer_terminate(&got), STATUS_OK);
        if (c->messages) assert_string_equal((char *)got.data, c->messages);
        assert_int_equal(count == 0, c->messages == NULL);
        spool_cursor_close(&cursor);
        buffer_unref(piece);
        buffer_release(&got);
        buffer_release(&body);
    }
    struct http_split split;
    assert_int_equal(http_split_parse(&a, "a..b", &split, &e), STATUS_INVALID_ARGUMENT);
    assert_int_equal(http_split_parse(&a, "", &split, &e), STATUS_INVALID_ARGUMENT);
    assert_int_equal(http_split_parse(&a, "/a~2", &split, &e), STATUS_INVALID_ARGUMENT);
    arena_release(&a);
    teardown(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_comes_back), cmocka_unit_test(limits_move_on), cmocka_unit_test(a_cut_end_is_trimmed),
            cmocka_unit_test(unwritten_pages_are_trimmed),
        cmocka_unit_test(a_changed_byte_is_noticed), cmocka_unit_test(damage_in_an_old_file_is_noticed), cmocka_unit_test(only_what_is_read_leaves),
        cmocka_unit_test(a_reader_outlives_retention), cmocka_unit_test(an_aborted_group_leaves_nothing), cmocka_unit_test(a_full_disk_loses_nothing),
        cmocka_unit_test(no_memory_is_an_error), cmocka_unit_test(two_owners_are_refused), cmocka_unit_test(bodies_are_split),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
