// SPDX-License-Identifier: Apache-2.0
// catalog_test.c: the SQLite store when a transaction ends behind its back, and the retention of leat_dead.
#include "base/files.h"
#include "connector/sqlite/catalog.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const uint8_t pipeline[16] = {1, 2, 3};

struct fixture {
    struct memory memory;
    char folder[64];
    struct store *store;
};

static void open_store(struct fixture *f, bool *found) {
    struct sink_request request = {.table_name = "leat_catalog", .schema = &type_null, .data_folder = f->folder, .memory = &f->memory};
    struct sink_record record;
    struct error e;
    assert_int_equal(sqlite_sink_class.store_open(&request, pipeline, &f->store, found, &record, &e), STATUS_OK);
    assert_int_equal(catalog_prepare(f->store, &e), STATUS_OK);
}

static int setup(void **state) {
    static struct fixture f;
    bool found;
    memory_init(&f.memory, "test", NULL, 0);
    snprintf(f.folder, sizeof f.folder, "/tmp/leat-catalog-test-XXXXXX");
    assert_non_null(mkdtemp(f.folder));
    open_store(&f, &found);
    assert_false(found);
    *state = &f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    struct error e;
    sqlite_sink_class.store_close(f->store);
    assert_int_equal(folder_remove(f->folder, &e), STATUS_OK);
    assert_int_equal(memory_used(&f->memory), 0);
    return 0;
}

static sqlite3 *database(const struct fixture *f) { return ((struct sqlite_store *)f->store)->db; }

static int count(const struct fixture *f, const char *sql) {
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(database(f), sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int n = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    return n;
}

static enum status put_dead(struct fixture *f, int64_t offset, int64_t at_us, bool *added, struct error *e) {
    struct catalog_dead_row row = {.flow = "f", .source = "s", .partition = "0", .offset = offset, .condition = "C", .message = "m", .epoch = 1, .at_us = at_us,
                                   .raw = "0123456789", .raw_bytes = 10};
    return catalog_put_dead(f->store, &row, added, e);
}

// A full disk makes SQLite roll back by itself. Rows written after that would be committed one by one, and a record without its rows.
static void test_lost_transaction(void **state) {
    struct fixture *f = *state;
    struct sink_record record = {.epoch = 1};
    struct catalog_ledger_row ledger = {.flow = "f", .operator_name = "Scan", .input = 1};
    struct error e;
    bool added, found;
    memcpy(record.pipeline, pipeline, sizeof pipeline);
    assert_int_equal(sqlite_sink_class.begin(f->store, &(struct sink_epoch){.record.epoch = 1, .attempt = 1}, &e), STATUS_OK);
    assert_int_equal(put_dead(f, 1, 0, &added, &e), STATUS_OK);
    assert_int_equal(sqlite3_exec(database(f), "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(put_dead(f, 2, 0, &added, &e), STATUS_IO);
    assert_int_equal(catalog_add_ledger(f->store, &ledger, &e), STATUS_IO);
    assert_int_equal(sqlite_sink_class.commit(f->store, &record, &e), STATUS_IO);
    assert_int_equal(sqlite_sink_class.abort(f->store, &e), STATUS_OK);
    assert_int_equal(count(f, "SELECT (SELECT count(*) FROM leat_dead) + (SELECT count(*) FROM leat_pipeline) + (SELECT count(*) FROM leat_ledger)"), 0);
    assert_int_equal(sqlite_sink_class.begin(f->store, &(struct sink_epoch){.record.epoch = 1, .attempt = 1}, &e), STATUS_OK);  // the next attempt
    assert_int_equal(put_dead(f, 1, 0, &added, &e), STATUS_OK);
    assert_true(added);
    assert_int_equal(put_dead(f, 1, 0, &added, &e), STATUS_OK);
    assert_false(added);
    assert_int_equal(sqlite_sink_class.commit(f->store, &record, &e), STATUS_OK);
    sqlite_sink_class.store_close(f->store);
    open_store(f, &found);
    assert_true(found);
    assert_int_equal(count(f, "SELECT count(*) FROM leat_dead"), 1);
}

static void test_retention(void **state) {
    struct fixture *f = *state;
    struct error e;
    bool added;
    uint64_t dropped;
    for (int64_t i = 1; i <= 10; i++) assert_int_equal(put_dead(f, i, i * 1000000, &added, &e), STATUS_OK);
    assert_int_equal(catalog_prune(f->store, 4000000, 1 << 20, &dropped, &e), STATUS_OK);
    assert_int_equal(dropped, 3);
    assert_int_equal(count(f, "SELECT min(offset) FROM leat_dead"), 4);
    assert_int_equal(catalog_prune(f->store, 0, 2 * 210, &dropped, &e), STATUS_OK);  // each counts as its bytes and 200
    assert_int_equal(dropped, 5);
    assert_int_equal(count(f, "SELECT min(offset) FROM leat_dead"), 9);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lost_transaction, setup, teardown),
        cmocka_unit_test_setup_teardown(test_retention, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
