// SPDX-License-Identifier: Apache-2.0
// stream_test.c: the log: what was written comes back; a journal cut at any length or with any byte changed is noticed, or gives a prefix of what
// was written; a damaged snapshot gives way to the one before; a state replayed equals the state that lived.
#include "base/clock.h"
#include "base/files.h"
#include "stream/folder.h"
#include "stream/record.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { EPOCHS = 6, RECORD_LIMIT = 64 };
static const uint8_t pipeline[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

// A data folder with a log, and the state as it lived beside it.
struct fixture {
    struct memory memory;
    struct journal journal;
    struct durable live;
    struct buffer payload;
    struct buffer execution;
    char folder[64];
    size_t write_ends[RECORD_LIMIT];  // size of the journal after each write
    uint32_t write_count;
};

static void file_name(const struct fixture *f, uint32_t generation, const char *kind, char out[128]) {
    snprintf(out, 128, "%s/log/%08u.%s", f->folder, generation, kind);
}

static void read_file(struct fixture *f, const char *path, struct buffer *out) {
    struct error e;
    buffer_init(out, &f->memory);
    assert_int_equal(file_read_all(path, 1 << 24, out, &e), STATUS_OK);
}

static void write_file(const char *path, const uint8_t *bytes, size_t size_bytes) {
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, size_bytes, out), size_bytes);
    assert_int_equal(fclose(out), 0);
}

static void record(struct fixture *f, enum record_kind kind) {
    struct error e;
    assert_int_equal(journal_add(&f->journal, kind, f->payload.data, f->payload.size_bytes, &e), STATUS_OK);
    assert_int_equal(durable_replay(&f->live, kind, f->payload.data, f->payload.size_bytes, &e), STATUS_OK);
}

static void sync_journal(struct fixture *f) {
    struct error e;
    assert_int_equal(journal_sync(&f->journal, &e), STATUS_OK);
    assert_true(f->write_count < RECORD_LIMIT);
    f->write_ends[f->write_count++] = f->journal.size_bytes;
}

static void rotate(struct fixture *f) {
    struct error e;
    assert_int_equal(encode_snapshot(&f->payload, &f->live, &f->execution), STATUS_OK);
    assert_int_equal(journal_rotate(&f->journal, f->payload.data, f->payload.size_bytes, &e), STATUS_OK);
    f->write_count = 0;
    f->write_ends[f->write_count++] = f->journal.size_bytes;  // the link
}

static void begin_epoch(struct fixture *f, uint64_t epoch) {
    struct range ranges[2] = {{.partition = 0, .begin = (int64_t)epoch * 10, .end = (int64_t)epoch * 10 + 10, .stamp = 7},
                              {.partition = 1, .name = "a file.json", .begin = -1, .end = (int64_t)epoch, .stamp = -7}};
    struct intent_input input = {.source = (char[]){"events"}, .ranges = {.items = ranges, .count = 2}};
    const char *flows[2] = {"first", "second"};
    struct intent i = {.epoch = epoch, .attempt = 1, .clock_us = (int64_t)epoch * 1000, .flows = flows, .flow_count = 2, .inputs = &input, .input_count = 1};
    assert_int_equal(encode_intent(&f->payload, &i), STATUS_OK);
    record(f, RECORD_INTENT);
    sync_journal(f);
}

static void commit_epoch(struct fixture *f, uint64_t epoch) {
    const char *stores[2] = {"sqlite:/a", "sqlite:/b"};
    const char *refreshed[1] = {"first"};
    buffer_clear(&f->payload);
    assert_int_equal(buffer_printf(&f->payload, "changes of epoch %llu", (unsigned long long)epoch), STATUS_OK);
    record(f, RECORD_CHANGES);
    assert_int_equal(encode_commit(&f->payload, epoch, stores, 1 + (epoch & 1), refreshed, epoch == 2), STATUS_OK);
    record(f, RECORD_COMMIT);  // durable with the next intent
}

static void run_epochs(struct fixture *f, uint64_t first) {
    for (uint64_t epoch = first; epoch < first + EPOCHS; epoch++) {
        begin_epoch(f, epoch);
        commit_epoch(f, epoch);
    }
    sync_journal(f);
}

static int setup(void **state) {
    static struct fixture f;
    struct error e;
    bool is_new, used_previous;
    memset(&f, 0, sizeof f);
    memory_init(&f.memory, "test", NULL, 0);
    buffer_init(&f.payload, &f.memory);
    buffer_init(&f.execution, &f.memory);
    snprintf(f.folder, sizeof f.folder, "/tmp/leat-stream-test-XXXXXX");
    assert_non_null(mkdtemp(f.folder));
    durable_init(&f.live, &f.memory);
    assert_int_equal(journal_open(&f.journal, &f.memory, f.folder, pipeline, durable_replay, &f.live, &is_new, &used_previous, &e), STATUS_OK);
    assert_true(is_new);
    f.live.seed = 99;
    rotate(&f);
    struct text_flow flows[2] = {{"first", 11}, {"second", 22}};
    assert_int_equal(encode_text(&f.payload, "CREATE …", flows, 2), STATUS_OK);
    record(&f, RECORD_TEXT);
    assert_int_equal(encode_start(&f.payload, 1), STATUS_OK);
    record(&f, RECORD_START);
    sync_journal(&f);
    *state = &f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    struct error e;
    journal_close(&f->journal);
    durable_release(&f->live);
    buffer_release(&f->payload);
    buffer_release(&f->execution);
    assert_int_equal(folder_remove(f->folder, &e), STATUS_OK);
    assert_int_equal(memory_used(&f->memory), 0);
    return 0;
}

static void assert_same_state(struct fixture *f, const struct durable *a, const struct durable *b) {
    struct buffer x, y;
    buffer_init(&x, &f->memory);
    buffer_init(&y, &f->memory);
    assert_int_equal(encode_snapshot(&x, a, &f->execution), STATUS_OK);
    assert_int_equal(encode_snapshot(&y, b, &f->execution), STATUS_OK);
    assert_int_equal(x.size_bytes, y.size_bytes);
    assert_memory_equal(x.data, y.data, x.size_bytes);
    assert_int_equal(a->has_intent, b->has_intent);
    buffer_release(&x);
    buffer_release(&y);
}

// What a replay hands over, as one text: kind, length, bytes of each record.
struct heard {
    struct buffer text;
    uint32_t count;
};
static enum status hear(void *context, enum record_kind kind, const uint8_t *payload, size_t size_bytes, struct error *e) {
    struct heard *h = context;
    (void)e;
    h->count++;
    TRY(buffer_printf(&h->text, "%d %zu ", (int)kind, size_bytes));
    return buffer_append(&h->text, payload, size_bytes);
}

static enum status listen(struct fixture *f, struct heard *h, bool *used_previous) {
    struct journal j;
    struct error e;
    bool is_new;
    h->count = 0;
    buffer_init(&h->text, &f->memory);
    enum status status = journal_open(&j, &f->memory, f->folder, pipeline, hear, h, &is_new, used_previous, &e);
    journal_close(&j);
    return status;
}

static void assert_replay_is_live(struct fixture *f, bool from_previous) {
    struct journal j;
    struct durable again;
    struct error e;
    bool is_new, used_previous;
    durable_init(&again, &f->memory);
    assert_int_equal(journal_open(&j, &f->memory, f->folder, pipeline, durable_replay, &again, &is_new, &used_previous, &e), STATUS_OK);
    assert_false(is_new);
    assert_int_equal(used_previous, from_previous);
    assert_same_state(f, &f->live, &again);
    journal_close(&j);
    durable_release(&again);
}

static void test_replay_equals_live(void **state) {
    struct fixture *f = *state;
    run_epochs(f, 1);
    assert_replay_is_live(f, false);
    begin_epoch(f, EPOCHS + 1);  // left open
    assert_true(f->live.has_intent);
    assert_replay_is_live(f, false);
    const struct flow_source *at = flow_entry_find_source(durable_flow(&f->live, "second"), "events");
    assert_non_null(at);
    assert_int_equal(flow_source_offset(at, 0, NULL, -5), EPOCHS * 10 + 10);
    assert_int_equal(flow_source_offset(at, 9, "a file.json", -5), EPOCHS);
    assert_int_equal(flow_source_offset(at, 3, NULL, -5), -5);
}

static void test_refresh(void **state) {
    struct fixture *f = *state;
    begin_epoch(f, 1);
    assert_int_equal(encode_refresh(&f->payload, "first"), STATUS_OK);
    record(f, RECORD_REFRESH);
    assert_false(f->live.has_intent);  // given up
    struct flow_entry *first = durable_flow(&f->live, "first");
    assert_true(first->refresh_pending);
    begin_epoch(f, 2);
    commit_epoch(f, 2);  // says that the target of `first` was emptied
    assert_false(first->refresh_pending);
    assert_true(first->started);
    sync_journal(f);
    assert_replay_is_live(f, false);
}

// Cut at every length: whole records up to there, never more, never damage.
static void test_every_cut(void **state) {
    struct fixture *f = *state;
    struct buffer whole;
    struct heard h;
    char path[128];
    bool used_previous;
    uint32_t last = 0;
    run_epochs(f, 1);
    file_name(f, 1, "journal", path);
    read_file(f, path, &whole);
    for (size_t cut = 0; cut <= whole.size_bytes; cut++) {
        write_file(path, whole.data, cut);
        enum status status = listen(f, &h, &used_previous);
        if (cut < 40) assert_int_equal(status, STATUS_CORRUPT);  // the header is written whole or not at all
        else assert_int_equal(status, STATUS_OK);
        assert_true(h.count >= last || cut < 40);
        last = cut < 40 ? 0 : h.count;
        buffer_release(&h.text);
    }
    assert_int_equal(last, 1 + 2 + 3 * EPOCHS);
    buffer_release(&whole);
}

// Every byte changed in turn: noticed, or, in the last write only, cut off.
static void test_every_flip(void **state) {
    struct fixture *f = *state;
    struct buffer whole;
    struct heard good, h;
    char path[128];
    bool used_previous;
    uint32_t noticed = 0, shortened = 0;
    run_epochs(f, 1);
    file_name(f, 1, "journal", path);
    read_file(f, path, &whole);
    assert_int_equal(listen(f, &good, &used_previous), STATUS_OK);
    for (size_t at = 0; at < whole.size_bytes; at++) {
        whole.data[at] ^= (uint8_t)(1u << (at % 8));
        write_file(path, whole.data, whole.size_bytes);
        enum status status = listen(f, &h, &used_previous);
        if (status == STATUS_OK) {
            assert_true(at >= f->write_ends[f->write_count - 2]);
            assert_true(h.count < good.count);
            assert_memory_equal(h.text.data, good.text.data, h.text.size_bytes);
            shortened++;
        } else {
            assert_int_equal(status, STATUS_CORRUPT);
            noticed++;
        }
        buffer_release(&h.text);
        whole.data[at] ^= (uint8_t)(1u << (at % 8));
    }
    assert_true(noticed > 0 && shortened > 0);
    buffer_release(&good.text);
    buffer_release(&whole);
}

// A write of several pages of which a power failure kept the last and lost the first.
static void test_hole_in_last_write(void **state) {
    struct fixture *f = *state;
    struct buffer whole;
    struct heard h;
    char path[128];
    bool used_previous;
    run_epochs(f, 1);
    file_name(f, 1, "journal", path);
    read_file(f, path, &whole);
    size_t begin = f->write_ends[f->write_count - 2];
    memset(whole.data + begin, 0, 30);
    write_file(path, whole.data, whole.size_bytes);
    assert_int_equal(listen(f, &h, &used_previous), STATUS_OK);
    assert_int_equal(h.count, 1 + 2 + 3 * EPOCHS - 2);
    struct stat found;
    assert_int_equal(stat(path, &found), 0);
    assert_int_equal(found.st_size, begin);
    buffer_release(&h.text);
    buffer_release(&whole);
}

static void damage(struct fixture *f, uint32_t generation, const char *kind, size_t from_end) {
    struct buffer whole;
    char path[128];
    file_name(f, generation, kind, path);
    read_file(f, path, &whole);
    whole.data[whole.size_bytes - from_end] ^= 1;
    write_file(path, whole.data, whole.size_bytes);
    buffer_release(&whole);
}

static void test_previous_generation(void **state) {
    struct fixture *f = *state;
    struct heard h;
    bool used_previous;
    run_epochs(f, 1);
    rotate(f);
    run_epochs(f, EPOCHS + 1);
    damage(f, 2, "snapshot", 1);
    assert_replay_is_live(f, true);
    char path[128];
    struct stat found;
    file_name(f, 1, "journal", path);
    assert_int_equal(stat(path, &found), 0);
    assert_int_equal(truncate(path, (off_t)f->write_ends[1]), 0);  // at the end of a record: nothing in the file itself shows it
    assert_int_equal(listen(f, &h, &used_previous), STATUS_CORRUPT);
    buffer_release(&h.text);
    damage(f, 1, "snapshot", 1);
    assert_int_equal(listen(f, &h, &used_previous), STATUS_CORRUPT);
    assert_int_equal(h.count, 0);
    buffer_release(&h.text);
}

static void test_remnants_are_swept(void **state) {
    struct fixture *f = *state;
    char paths[4][128];
    struct heard h;
    bool used_previous;
    run_epochs(f, 1);
    rotate(f);
    rotate(f);
    file_name(f, 3, "snapshot.4711.new", paths[0]);
    file_name(f, 1, "journal", paths[1]);
    file_name(f, 1, "snapshot", paths[2]);
    file_name(f, 4, "snapshot", paths[3]);  // its journal was never made
    for (int i = 0; i < 4; i++) write_file(paths[i], (const uint8_t *)"x", 1);
    assert_int_equal(listen(f, &h, &used_previous), STATUS_OK);
    for (int i = 0; i < 4; i++) assert_false(file_exists(paths[i]));
    buffer_release(&h.text);
    file_name(f, 2, "snapshot", paths[0]);
    assert_true(file_exists(paths[0]));
}

static void test_other_pipeline(void **state) {
    struct fixture *f = *state;
    uint8_t other[16] = {9};
    struct journal j;
    struct heard h = {.count = 0};
    struct error e;
    bool is_new, used_previous;
    buffer_init(&h.text, &f->memory);
    assert_int_equal(journal_open(&j, &f->memory, f->folder, other, hear, &h, &is_new, &used_previous, &e), STATUS_CORRUPT);
    assert_string_equal(e.condition, "LEAT_LOG_CORRUPT");
    journal_close(&j);
    buffer_release(&h.text);
}

// Payloads cut anywhere are refused, and leave nothing behind.
static void test_cut_payloads(void **state) {
    struct fixture *f = *state;
    struct buffer snapshot;
    struct error e;
    run_epochs(f, 1);
    buffer_init(&snapshot, &f->memory);
    assert_int_equal(encode_snapshot(&snapshot, &f->live, &f->execution), STATUS_OK);
    for (size_t cut = 0; cut < snapshot.size_bytes; cut++) {
        struct durable d;
        durable_init(&d, &f->memory);
        assert_int_equal(durable_replay(&d, RECORD_SNAPSHOT, snapshot.data, cut, &e), STATUS_CORRUPT);
        durable_release(&d);
    }
    static const uint8_t twice[] = {1, 'x', 2, 1, 'a', 0, 0, 0, 0, 0, 0, 0, 0, 1, 'a', 0, 0, 0, 0, 0, 0, 0, 0};  // one flow named twice
    struct durable d;
    durable_init(&d, &f->memory);
    assert_int_equal(durable_replay(&d, RECORD_TEXT, twice, sizeof twice, &e), STATUS_OK);
    assert_int_equal(d.flows.count, 1);
    assert_int_equal(durable_replay(&d, (enum record_kind)200, twice, sizeof twice, &e), STATUS_CORRUPT);
    durable_release(&d);
    buffer_release(&snapshot);
}

static void test_folder(void **state) {
    struct folder a, b;
    struct error e;
    char path[80], file[128];
    (void)state;
    snprintf(path, sizeof path, "/tmp/leat-folder-test-%ld", (long)getpid());
    assert_int_equal(folder_open(&a, path, &e), STATUS_OK);
    assert_true(a.is_new);
    assert_int_equal(folder_open(&b, path, &e), STATUS_CONFLICT);  // locked
    assert_string_equal(e.condition, "LEAT_FOLDER_IN_USE");
    assert_int_equal(folder_owner(path), getpid());
    folder_close(&a);
    assert_int_equal(folder_open(&b, path, &e), STATUS_OK);
    assert_false(b.is_new);
    assert_memory_equal(a.pipeline, b.pipeline, 16);
    folder_close(&b);
    snprintf(file, sizeof file, "%s/pipeline", path);
    assert_int_equal(truncate(file, 20), 0);
    assert_int_equal(folder_open(&b, path, &e), STATUS_CORRUPT);
    assert_int_equal(unlink(file), 0);
    snprintf(file, sizeof file, "%s/somebody.txt", path);
    write_file(file, (const uint8_t *)"x", 1);
    assert_int_equal(folder_open(&b, path, &e), STATUS_CONFLICT);
    assert_string_equal(e.condition, "LEAT_NOT_A_DATA_FOLDER");
    assert_int_equal(folder_remove(path, &e), STATUS_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_replay_equals_live, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refresh, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_flip, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hole_in_last_write, setup, teardown),
        cmocka_unit_test_setup_teardown(test_previous_generation, setup, teardown),
        cmocka_unit_test_setup_teardown(test_remnants_are_swept, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_pipeline, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cut_payloads, setup, teardown),
        cmocka_unit_test(test_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
