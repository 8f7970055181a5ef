// SPDX-License-Identifier: Apache-2.0
// kafka_sink_test.c: the Kafka sink against librdkafka's mock cluster: epochs and their record, errors of brokers at every step of an epoch, rows
// that cannot be written. An epoch that fails is run again as stream/ does it: abort, recover, and begin unless the record says it is there.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/checksum.h"
#include "base/clock.h"
#include "connector/kafka/kafka.h"
#include "connector/registry.h"
#include <librdkafka/rdkafka_mock.h>

enum { API_PRODUCE = 0, API_METADATA = 3, API_OFFSET_FETCH = 9, API_FIND_COORDINATOR = 10, API_INIT_PRODUCER_ID = 22, API_ADD_PARTITIONS = 24, API_ADD_OFFSETS = 25,
       API_END_TRANSACTION = 26, API_OFFSET_COMMIT = 28 };

static const uint8_t pipeline[16] = {0xca, 0xfe, 3};

struct fixture {
    struct memory memory;
    rd_kafka_t *owner;                  // of the mock cluster
    rd_kafka_mock_cluster_t *cluster;
    struct arena arena;
    struct option_value values[8];
    struct sink_request request;
    struct store *store;
    struct sink *sink;
    bool found;
    struct sink_record record;
    uint32_t refused;
    char refusal[96];                   // condition of the last one
    struct error e;
};

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    char text[256];
    memory_init(&f->memory, "test", NULL, 0);
    arena_init(&f->arena, &f->memory);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", "127.0.0.1:1", text, sizeof text);  // it only owns the cluster
    rd_kafka_conf_set_log_cb(conf, NULL);
    f->owner = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    assert_non_null(f->owner);
    f->cluster = rd_kafka_mock_cluster_new(f->owner, 1);
    assert_non_null(f->cluster);
    rd_kafka_mock_topic_create(f->cluster, "out", 2, 1);
    *state = f;
    return 0;
}

static void close_store(struct fixture *f) {
    if (f->sink) f->sink->class->sink_close(f->sink);
    if (f->store) f->store->class->store_close(f->store);
    f->sink = NULL;
    f->store = NULL;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    close_store(f);
    rd_kafka_mock_cluster_destroy(f->cluster);
    rd_kafka_destroy(f->owner);
    arena_release(&f->arena);
    int leaked = memory_used(&f->memory) != 0;
    free(f);
    return leaked;
}

static const struct type *schema_of(struct fixture *f, const char *const *names, const struct type *const *types) {
    struct field fields[8];
    uint32_t count = 0;
    for (; names[count]; count++) fields[count] = (struct field){.name = names[count], .type = types[count], .nullable = true};
    return type_struct(&f->arena, fields, count);
}

static const struct type *key_value(struct fixture *f) { return schema_of(f, (const char *const[]){"key", "value", NULL}, (const struct type *const[]){&type_string, &type_string}); }

// A request for the table `t`, with options as a NULL-terminated list of keys and values.
static void make_request(struct fixture *f, const struct type *schema, const char *const *pairs) {
    static const struct option any = {.name = "kafka.*", .type = OPTION_STRING};
    uint32_t count = 0;
    f->values[count++] = (struct option_value){.option = &any, .key = "kafka.bootstrap.servers", .text = rd_kafka_mock_cluster_bootstraps(f->cluster), .is_set = true};
    for (; *pairs; pairs += 2) f->values[count++] = (struct option_value){.option = &any, .key = pairs[0], .text = pairs[1], .is_set = true};
    f->request = (struct sink_request){.table_name = "t", .flow_name = "t", .options = {.values = f->values, .count = count}, .schema = schema, .memory = &f->memory};
}

static enum status open_store(struct fixture *f) {
    bool is_empty;
    enum status status = kafka_sink_class.store_open(&f->request, pipeline, &f->store, &f->found, &f->record, &f->e);
    if (status == STATUS_OK) status = f->store->class->sink_open(f->store, &f->request, &f->sink, &is_empty, &f->e);
    return status;
}

static void must(struct fixture *f, enum status status) {
    if (status != STATUS_OK) fail_msg("%s: %s (%s)", f->e.condition, f->e.message, f->e.hint);
}

// One batch of `columns` rows, given row by row; NULL: NULL.
static struct batch *make_batch(struct fixture *f, uint32_t column_count, uint32_t row_count, const char *const *cells) {
    struct batch *b = batch_new(&f->memory, column_count);
    assert_non_null(b);
    for (uint32_t c = 0; c < column_count; c++) {
        struct column_builder builder;
        column_builder_init(&builder, &b->arena, f->request.schema->fields[c].type);
        for (uint32_t r = 0; r < row_count; r++) {
            const char *cell = cells[r * column_count + c];
            int32_t number = cell ? (int32_t)strtol(cell, NULL, 10) : 0;
            if (!cell) column_builder_append_null(&builder);
            else if (f->request.schema->fields[c].type->id == TYPE_INT) column_builder_append_fixed(&builder, &number);
            else column_builder_append_bytes(&builder, cell, strlen(cell), true);
        }
        assert_int_equal(column_builder_finish(&builder, &b->columns[c]), STATUS_OK);
    }
    b->row_count = b->selected_count = row_count;
    return b;
}

static enum status refuse(void *context, const struct batch *b, uint32_t row, const char *condition, const char *message) {
    struct fixture *f = context;
    (void)b, (void)row;
    assert_true(message && *message);
    f->refused++;
    snprintf(f->refusal, sizeof f->refusal, "%s", condition);
    return STATUS_OK;
}

static struct sink_record record_of(uint64_t epoch) {
    struct sink_record r = {.incarnation = 1, .epoch = epoch, .digest = epoch * 1000003};
    memcpy(r.pipeline, pipeline, sizeof r.pipeline);
    return r;
}

static enum status run_epoch(struct fixture *f, uint64_t epoch, struct batch *b) {
    const struct sink_class *class = f->store->class;
    struct sink_record record = record_of(epoch);
    TRY(class->begin(f->store, &(struct sink_epoch){.record.epoch = epoch, .attempt = 1}, &f->e));
    TRY(class->write(f->sink, 0, b, refuse, f, &f->e));
    TRY(class->flush(f->store, &f->e));
    return class->commit(f->store, &record, &f->e);
}

// As stream/ does it. *runs: how often it was begun.
static enum status run_until_done(struct fixture *f, uint64_t epoch, struct batch *b, int *runs) {
    for (*runs = 1;; (*runs)++) {
        f->refused = 0;
        enum status status = run_epoch(f, epoch, b);
        if (status == STATUS_OK) return status;
        struct error ignored;
        assert_int_equal(f->store->class->abort(f->store, &ignored), STATUS_OK);
        if (status != STATUS_UNREACHABLE || *runs == 8) return status;
        do status = f->store->class->recover(f->store, &f->found, &f->record, &f->e);
        while (status == STATUS_UNREACHABLE && ++*runs < 8);
        TRY(status);
        if (f->found && f->record.epoch == epoch) return STATUS_OK;  // it was committed after all
    }
}

static struct batch *three_rows(struct fixture *f) {
    return make_batch(f, 2, 3, (const char *const[]){"a", "1", NULL, "a value that is longer than twelve bytes", "c", NULL});
}

static const char *const to_out[] = {"topic", "out", NULL};

// How many messages the mock cluster holds; it keeps those of aborted transactions too.
static int count_messages(struct fixture *f, const char *topic, int wanted, struct rd_kafka_message_s *last) {
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(f->cluster), text, sizeof text);
    rd_kafka_conf_set(conf, "group.id", "count", text, sizeof text);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    rd_kafka_topic_partition_list_t *parts = rd_kafka_topic_partition_list_new(2);
    for (int i = 0; i < 2; i++) rd_kafka_topic_partition_list_add(parts, topic, i)->offset = 0;
    rd_kafka_assign(rk, parts);
    int count = 0;
    int64_t end_us = clock_monotonic_us() + 5000000;
    while (count < wanted && clock_monotonic_us() < end_us) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, 100);
        if (m && !m->err) {
            count++;
            if (last) *last = *m;
        }
        if (m) rd_kafka_message_destroy(m);
    }
    rd_kafka_topic_partition_list_destroy(parts);
    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
    return count;
}

// What the mock cluster does not do: keep the offset that a transaction committed. Written as the broker would have it.
static void keep_record(struct fixture *f, uint64_t epoch) {
    char id[128], record[KAFKA_RECORD_CHARS], text[256];
    struct sink_record r = record_of(epoch);
    snprintf(id, sizeof id, "leat-cafe0300-0000-0000-0000-000000000000-%016llx", (unsigned long long)checksum64(f->store->identity, strlen(f->store->identity), 0));
    kafka_record_print(&r, record);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(f->cluster), text, sizeof text);
    rd_kafka_conf_set(conf, "group.id", id, text, sizeof text);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *at = rd_kafka_topic_partition_list_add(list, "out", 0);
    at->offset = (int64_t)epoch;
    at->metadata = strdup(record);
    at->metadata_size = strlen(record);
    assert_int_equal(rd_kafka_commit(rk, list, 0), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(rk);
}

static void test_epochs_and_record(void **state) {
    struct fixture *f = *state;
    make_request(f, key_value(f), to_out);
    must(f, open_store(f));
    assert_false(f->found);
    struct batch *b = three_rows(f);
    for (uint64_t epoch = 1; epoch <= 5; epoch++) must(f, run_epoch(f, epoch, b));
    batch_unref(b);
    assert_int_equal(f->refused, 0);
    keep_record(f, 5);
    close_store(f);
    must(f, open_store(f));
    assert_true(f->found);
    struct sink_record expected = record_of(5);
    assert_memory_equal(&f->record, &expected, sizeof expected);
    assert_int_equal(count_messages(f, "out", 15, NULL), 15);
    uint8_t other[16] = {1};  // another pipeline has none
    close_store(f);
    must(f, kafka_sink_class.store_open(&f->request, other, &f->store, &f->found, &f->record, &f->e));
    assert_false(f->found);
}

static void test_abort_and_begin_again(void **state) {
    struct fixture *f = *state;
    make_request(f, key_value(f), to_out);
    must(f, open_store(f));
    struct batch *b = three_rows(f);
    for (int i = 0; i < 3; i++) {
        must(f, f->store->class->begin(f->store, &(struct sink_epoch){.record.epoch = 1, .attempt = 1}, &f->e));
        must(f, f->store->class->write(f->sink, 0, b, refuse, f, &f->e));
        if (i == 1) must(f, f->store->class->flush(f->store, &f->e));
        must(f, f->store->class->abort(f->store, &f->e));
        must(f, f->store->class->recover(f->store, &f->found, &f->record, &f->e));
        assert_false(f->found);
    }
    must(f, run_epoch(f, 1, b));
    batch_unref(b);
}

// A commit that is reported as failed, and was done all the same: it is not run again.
static void test_uncertain_commit(void **state) {
    struct fixture *f = *state;
    make_request(f, key_value(f), to_out);
    must(f, open_store(f));
    struct batch *b = three_rows(f);
    rd_kafka_mock_push_request_errors(f->cluster, API_END_TRANSACTION, 1, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING);
    assert_int_equal(run_epoch(f, 1, b), STATUS_UNREACHABLE);
    must(f, f->store->class->abort(f->store, &f->e));
    keep_record(f, 1);
    must(f, f->store->class->recover(f->store, &f->found, &f->record, &f->e));
    assert_true(f->found);
    struct sink_record expected = record_of(1);
    assert_memory_equal(&f->record, &expected, sizeof expected);
    must(f, run_epoch(f, 2, b));
    batch_unref(b);
}

// Every code that matters, once or three times in a row, at every request of an epoch: it ends with the epoch written.
static void test_errors_heal(void **state) {
    struct fixture *f = *state;
    static const struct { int16_t api; rd_kafka_resp_err_t code; } cases[] = {
        {API_PRODUCE, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION},
        {API_PRODUCE, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS},
        {API_PRODUCE, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND},
        {API_PRODUCE, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT},
        {API_PRODUCE, RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR},
        {API_PRODUCE, RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID},
        {API_PRODUCE, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER},
        {API_PRODUCE, RD_KAFKA_RESP_ERR__TRANSPORT},
        {API_ADD_PARTITIONS, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE},
        {API_ADD_PARTITIONS, RD_KAFKA_RESP_ERR_NOT_COORDINATOR},
        {API_ADD_PARTITIONS, RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS},
        {API_ADD_PARTITIONS, RD_KAFKA_RESP_ERR_INVALID_TXN_STATE},
        {API_ADD_PARTITIONS, RD_KAFKA_RESP_ERR__TRANSPORT},
        {API_ADD_OFFSETS, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS},
        {API_ADD_OFFSETS, RD_KAFKA_RESP_ERR_NOT_COORDINATOR},
        {API_ADD_OFFSETS, RD_KAFKA_RESP_ERR__TRANSPORT},
        {API_OFFSET_COMMIT, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS},
        {API_OFFSET_COMMIT, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT},
        {API_OFFSET_COMMIT, RD_KAFKA_RESP_ERR__TRANSPORT},
        {API_END_TRANSACTION, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE},
        {API_END_TRANSACTION, RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS},
        {API_END_TRANSACTION, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING},
        {API_END_TRANSACTION, RD_KAFKA_RESP_ERR__TRANSPORT},
        {API_INIT_PRODUCER_ID, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE},
        {API_INIT_PRODUCER_ID, RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS},
        {API_FIND_COORDINATOR, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE},
        {API_OFFSET_FETCH, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS},
    };
    make_request(f, key_value(f), to_out);
    must(f, open_store(f));
    struct batch *b = three_rows(f);
    uint64_t epoch = 0;
    int most = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int runs, times = 1 + 2 * (int)(i & 1);
        for (int n = 0; n < times; n++) rd_kafka_mock_push_request_errors(f->cluster, cases[i].api, 1, cases[i].code);
        enum status status = run_until_done(f, ++epoch, b, &runs);
        if (status != STATUS_OK) fail_msg("api %d, %s, %d times: %s: %s", cases[i].api, rd_kafka_err2name(cases[i].code), times, f->e.condition, f->e.message);
        rd_kafka_mock_clear_request_errors(f->cluster, cases[i].api);
        if (runs > most) most = runs;
    }
    assert_true(most > 1);  // some needed a second run
    batch_unref(b);
}

static void test_fenced(void **state) {
    struct fixture *f = *state;
    static const struct { int16_t api; rd_kafka_resp_err_t code; } cases[] = {
        {API_ADD_PARTITIONS, RD_KAFKA_RESP_ERR_PRODUCER_FENCED}, {API_ADD_OFFSETS, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH},
        {API_OFFSET_COMMIT, RD_KAFKA_RESP_ERR_PRODUCER_FENCED}, {API_END_TRANSACTION, RD_KAFKA_RESP_ERR_PRODUCER_FENCED},
    };
    make_request(f, key_value(f), to_out);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        must(f, open_store(f));
        struct batch *b = three_rows(f);
        int runs;
        rd_kafka_mock_push_request_errors(f->cluster, cases[i].api, 1, cases[i].code);
        enum status status = run_until_done(f, i + 1, b, &runs);
        if (status != STATUS_CONFLICT) fail_msg("api %d: status %d: %s", cases[i].api, (int)status, f->e.message);
        assert_string_equal(f->e.condition, "LEAT_PRODUCER_FENCED");
        assert_int_equal(runs, 1);
        batch_unref(b);
        close_store(f);
        rd_kafka_mock_clear_request_errors(f->cluster, cases[i].api);
    }
}

static void test_denied(void **state) {
    struct fixture *f = *state;
    make_request(f, key_value(f), to_out);
    rd_kafka_mock_push_request_errors(f->cluster, API_INIT_PRODUCER_ID, 1, RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    assert_int_equal(open_store(f), STATUS_INVALID_ARGUMENT);
    assert_string_equal(f->e.condition, "LEAT_ACCESS_DENIED");
    must(f, open_store(f));
    struct batch *b = three_rows(f);
    int runs;
    rd_kafka_mock_push_request_errors(f->cluster, API_PRODUCE, 1, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    assert_int_equal(run_until_done(f, 1, b, &runs), STATUS_INVALID_ARGUMENT);
    assert_string_equal(f->e.condition, "LEAT_ACCESS_DENIED");
    must(f, run_until_done(f, 1, b, &runs));
    batch_unref(b);
}

static void test_unreachable(void **state) {
    struct fixture *f = *state;
    make_request(f, key_value(f), to_out);
    f->values[0].text = "127.0.0.1:1";
    int64_t began_us = clock_monotonic_us();
    assert_int_equal(open_store(f), STATUS_UNREACHABLE);
    assert_string_equal(f->e.condition, "LEAT_UNREACHABLE");
    assert_non_null(strstr(f->e.message, "127.0.0.1:1"));
    assert_true(clock_monotonic_us() - began_us < 5000000);
}

static void test_rows_refused(void **state) {
    struct fixture *f = *state;
    const char *const names[] = {"key", "value", "topic", "partition", NULL};
    const struct type *const types[] = {&type_string, &type_string, &type_string, &type_int};
    make_request(f, schema_of(f, names, types), (const char *const[]){"kafka.max.request.size", "2000", NULL});
    must(f, open_store(f));
    char *large = calloc(1, 4001);
    memset(large, 'x', 4000);
    const char *const cells[] = {
        "k", "1", "out", "0",   "k", "2", NULL, "0",  "k", "3", "a b", NULL,  "k", "4", "out", "2",  "k", "5", "out", "-1",  "k", large, "out", "1",  NULL, NULL, "out", NULL,
    };
    struct batch *b = make_batch(f, 4, 7, cells);
    must(f, run_epoch(f, 1, b));
    assert_int_equal(f->refused, 5);
    assert_string_equal(f->refusal, "LEAT_MESSAGE_TOO_LARGE");
    assert_int_equal(count_messages(f, "out", 2, NULL), 2);
    batch_unref(b);
    free(large);
}

// Rows that name no topic: nothing is written, and the record stays an earlier epoch's.
static void test_nothing_to_write(void **state) {
    struct fixture *f = *state;
    const char *const names[] = {"value", "topic", NULL};
    const struct type *const types[] = {&type_string, &type_string};
    make_request(f, schema_of(f, names, types), (const char *const[]){NULL});
    must(f, open_store(f));
    struct batch *none = make_batch(f, 2, 2, (const char *const[]){"1", NULL, "2", "a b"}), *some = make_batch(f, 2, 1, (const char *const[]){"3", "out"});
    must(f, run_epoch(f, 1, none));
    assert_int_equal(f->refused, 2);
    assert_true(f->store->passed_over);
    must(f, run_epoch(f, 2, none));
    assert_true(f->store->passed_over);
    must(f, run_epoch(f, 3, some));
    assert_false(f->store->passed_over);
    must(f, run_epoch(f, 4, none));  // now there is a place for the record
    assert_false(f->store->passed_over);
    assert_int_equal(count_messages(f, "out", 2, NULL), 1);
    batch_unref(none);
    batch_unref(some);
}

// Told to stop, it does not wait for brokers that hang.
static void test_stop(void **state) {
    struct fixture *f = *state;
    _Atomic int stop = 0;
    struct sink_record record = record_of(1);
    make_request(f, key_value(f), to_out);
    f->request.stop = &stop;
    must(f, open_store(f));
    struct batch *b = make_batch(f, 2, 1, (const char *const[]){"a", "1"});
    must(f, f->store->class->begin(f->store, &(struct sink_epoch){.record.epoch = 1, .attempt = 1}, &f->e));
    must(f, f->store->class->write(f->sink, 0, b, refuse, f, &f->e));
    rd_kafka_mock_broker_set_rtt(f->cluster, 1, 60000);
    stop = 1;
    int64_t began_us = clock_monotonic_us();
    enum status status = f->store->class->flush(f->store, &f->e);
    if (status == STATUS_OK) status = f->store->class->commit(f->store, &record, &f->e);  // its first answer was on the way
    assert_int_equal(status, STATUS_UNREACHABLE);
    assert_int_equal(f->store->class->abort(f->store, &f->e), STATUS_OK);
    assert_true(clock_monotonic_us() - began_us < 15000000);
    batch_unref(b);
}

// A broker that refuses requests, and then single messages: the guilty row is a dead one, the others are written.
static void test_broker_refuses(void **state) {
    struct fixture *f = *state;
    make_request(f, key_value(f), to_out);
    must(f, open_store(f));
    struct batch *b = make_batch(f, 2, 2, (const char *const[]){"a", "1", "b", "a value that is longer than twelve bytes"});
    int runs;
    rd_kafka_mock_push_request_errors(f->cluster, API_PRODUCE, 2, RD_KAFKA_RESP_ERR_INVALID_RECORD, RD_KAFKA_RESP_ERR_INVALID_RECORD);
    must(f, run_until_done(f, 1, b, &runs));
    assert_in_range(runs, 2, 4);
    assert_in_range(f->refused, 1, 2);
    assert_string_equal(f->refusal, "LEAT_KAFKA_RECORD_REFUSED");
    f->refused = 0;
    must(f, run_until_done(f, 2, b, &runs));  // another epoch begins with a clean slate
    assert_int_equal(runs, 1);
    assert_int_equal(f->refused, 0);
    batch_unref(b);
}

// Two tables that write other secrets are not one store's, though all else is the same.
static void test_secrets_differ(void **state) {
    struct fixture *f = *state;
    const struct type *schema = key_value(f);
    make_request(f, schema, (const char *const[]){"topic", "out", "kafka.ssl.key.password", "one", NULL});
    must(f, open_store(f));
    struct option_value others[8];
    struct sink_request other = f->request;
    struct sink *sink;
    bool is_empty;
    memcpy(others, f->values, sizeof others);
    other.table_name = "u";
    other.options.values = others;
    must(f, f->store->class->sink_open(f->store, &other, &sink, &is_empty, &f->e));
    f->store->class->sink_close(sink);
    others[2].text = "another";
    assert_int_equal(f->store->class->sink_open(f->store, &other, &sink, &is_empty, &f->e), STATUS_INVALID_ARGUMENT);
    assert_non_null(strstr(f->e.message, "kafka.ssl.key.password"));
    assert_null(strstr(f->e.message, "another"));
    others[2].is_set = false;
    assert_int_equal(f->store->class->sink_open(f->store, &other, &sink, &is_empty, &f->e), STATUS_INVALID_ARGUMENT);
}

// A coordinator that reads its own topic first, as after a broker's first start, is waited for.
static void test_coordinator_gets_ready(void **state) {
    struct fixture *f = *state;
    make_request(f, key_value(f), to_out);
    rd_kafka_mock_push_request_errors(f->cluster, API_OFFSET_FETCH, 4, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
                                      RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS);
    must(f, open_store(f));
    assert_false(f->found);
}

enum { MANY_ROWS = 4000 };

// Thousands of rows a broker refuses cost no more runs than one does. The mock refuses whole requests, whatever is in them.
static void test_many_refused(void **state) {
    struct fixture *f = *state;
    const char **cells = calloc(MANY_ROWS * 2, sizeof *cells);
    make_request(f, key_value(f), (const char *const[]){"topic", "out", "leat.delivery", "at-least-once", NULL});
    must(f, open_store(f));
    char(*values)[16] = calloc(MANY_ROWS, sizeof *values);
    for (int i = 0; i < MANY_ROWS; i++) {
        snprintf(values[i], sizeof values[i], "%d", i);
        cells[2 * i + 1] = values[i];
    }
    struct batch *b = make_batch(f, 2, MANY_ROWS, cells);
    rd_kafka_resp_err_t *codes = calloc(MANY_ROWS, sizeof *codes);
    for (int i = 0; i < MANY_ROWS; i++) codes[i] = RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP;
    int runs;
    rd_kafka_mock_push_request_errors_array(f->cluster, API_PRODUCE, 2000, codes);
    must(f, run_until_done(f, 1, b, &runs));
    assert_in_range(runs, 2, 4);
    assert_in_range(f->refused, 1000, 2000);
    batch_unref(b);
    free(codes);
    free(values);
    free(cells);
}

static void test_tombstones(void **state) {
    struct fixture *f = *state;
    static const uint32_t key[] = {0};
    make_request(f, key_value(f), to_out);
    f->request.key = key;
    f->request.key_count = 1;
    f->request.retracts = f->request.materialized = true;
    must(f, kafka_sink_class.check(&f->request, &f->e));
    must(f, open_store(f));
    struct batch *b = make_batch(f, 2, 2, (const char *const[]){"gone", "1", NULL, "2"});
    static const int8_t weights[] = {-1, 1};
    b->weights = weights;
    must(f, run_epoch(f, 1, b));
    assert_int_equal(f->refused, 1);
    assert_string_equal(f->refusal, "LEAT_NULL_KEY");
    rd_kafka_message_t last = {0};
    assert_int_equal(count_messages(f, "out", 1, &last), 1);
    assert_int_equal(last.len, 0);
    assert_int_equal(last.key_len, 4);
    assert_int_equal(f->sink->class->empty(f->sink, &f->e), STATUS_CONFLICT);
    assert_string_equal(f->e.condition, "LEAT_TARGET_NOT_EMPTY");
    batch_unref(b);
}

static void test_at_least_once(void **state) {
    struct fixture *f = *state;
    make_request(f, key_value(f), (const char *const[]){"topic", "out", "leat.delivery", "at-least-once", NULL});
    must(f, open_store(f));
    assert_true((f->store->class->capabilities & SINK_FORGETFUL) != 0);
    struct batch *b = three_rows(f);
    int runs;
    for (uint64_t epoch = 1; epoch <= 100; epoch++) must(f, run_epoch(f, epoch, b));
    int64_t began_us = clock_monotonic_us();
    for (uint64_t epoch = 101; epoch <= 200; epoch++) must(f, run_epoch(f, epoch, b));
    int64_t each_us = (clock_monotonic_us() - began_us) / 100;
    if (each_us > 8000) fail_msg("an epoch of three messages takes %lld us", (long long)each_us);  // waits nowhere for a round number of milliseconds
    rd_kafka_mock_push_request_errors(f->cluster, API_PRODUCE, 2, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR__TRANSPORT);
    must(f, run_until_done(f, 201, b, &runs));
    must(f, f->store->class->recover(f->store, &f->found, &f->record, &f->e));
    assert_false(f->found);
    assert_true(count_messages(f, "out", 603, NULL) >= 603);
    batch_unref(b);
}

static void assert_check(struct fixture *f, const char *const *names, const struct type *const *types, const char *const *pairs, const char *in_message) {
    make_request(f, schema_of(f, names, types), pairs);
    enum status status = kafka_sink_class.check(&f->request, &f->e);
    if (!in_message) must(f, status);
    else if (status == STATUS_OK || !strstr(f->e.message, in_message)) fail_msg("`%s` is not in: %s", in_message, f->e.message);
}

static void test_check(void **state) {
    struct fixture *f = *state;
    const struct type *strings[] = {&type_string, &type_string, &type_string};
    assert_check(f, (const char *const[]){"value", NULL}, strings, to_out, NULL);
    assert_check(f, (const char *const[]){"VALUE", "other", NULL}, strings, to_out, NULL);
    assert_check(f, (const char *const[]){"a", NULL}, strings, to_out, "Required attribute 'value' not found");
    assert_check(f, (const char *const[]){"value", NULL}, strings, (const char *const[]){NULL}, "topic option required when no 'topic' attribute is present");
    assert_check(f, (const char *const[]){"value", "topic", NULL}, strings, (const char *const[]){NULL}, NULL);
    assert_check(f, (const char *const[]){"value", NULL}, (const struct type *const[]){&type_int}, to_out, "value attribute unsupported type int. value must be a(n) string or binary");
    assert_check(f, (const char *const[]){"value", "key", NULL}, (const struct type *const[]){&type_binary, &type_bigint}, to_out, "key attribute unsupported type bigint");
    assert_check(f, (const char *const[]){"value", "partition", NULL}, strings, to_out, "partition must be a(n) int");
    assert_check(f, (const char *const[]){"value", "headers", NULL}, strings, to_out, "headers attribute unsupported type string");
    assert_check(f, (const char *const[]){"value", "topic", NULL}, (const struct type *const[]){&type_string, &type_int}, (const char *const[]){NULL}, "topic must be a(n) string");
    assert_check(f, (const char *const[]){"value", NULL}, strings, (const char *const[]){"topic", "a b", NULL}, "cannot be the name of a topic");
    assert_check(f, (const char *const[]){"value", NULL}, strings, (const char *const[]){"topic", "t", "kafka.lingerms", "5", NULL}, "kafka.lingerms");
    make_request(f, key_value(f), to_out);
    static const uint32_t key[] = {1};
    f->request.key = key;
    f->request.key_count = 1;
    assert_int_equal(kafka_sink_class.check(&f->request, &f->e), STATUS_INVALID_QUERY);
    assert_string_equal(f->e.condition, "STREAMING_OUTPUT_MODE.UNSUPPORTED_DATASOURCE");
}

static void test_identity(void **state) {
    struct fixture *f = *state;
    const char *plain, *tuned, *secret, *loose;
    make_request(f, key_value(f), to_out);
    must(f, kafka_sink_class.identity(&f->request, &f->arena, &plain, &f->e));
    make_request(f, key_value(f), (const char *const[]){"topic", "other", "kafka.linger.ms", "5", NULL});
    must(f, kafka_sink_class.identity(&f->request, &f->arena, &tuned, &f->e));
    make_request(f, key_value(f), (const char *const[]){"topic", "out", "kafka.sasl.password", "hunter2", NULL});
    must(f, kafka_sink_class.identity(&f->request, &f->arena, &secret, &f->e));
    make_request(f, key_value(f), (const char *const[]){"leat.delivery", "at-least-once", NULL});
    must(f, kafka_sink_class.identity(&f->request, &f->arena, &loose, &f->e));
    assert_string_not_equal(plain, tuned);
    assert_string_equal(plain, secret);
    assert_string_not_equal(plain, loose);
}

static void test_lost_memory(void **state) {  // the n-th allocation is refused: an error, and nothing stays behind
    struct fixture *f = *state;
    make_request(f, key_value(f), to_out);
    for (int n = 1; n < 40; n++) {
        struct batch *b = NULL;
        atomic_store(&f->memory.fail_countdown, n);
        enum status status = open_store(f);
        atomic_store(&f->memory.fail_countdown, -1);
        if (status == STATUS_OK) {
            b = three_rows(f);
            int runs;
            must(f, run_until_done(f, (uint64_t)n, b, &runs));
            batch_unref(b);
            close_store(f);
            return;
        }
        assert_int_equal(status, STATUS_NO_MEMORY);
        close_store(f);
    }
    fail_msg("it never got through");
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define KAFKA_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        KAFKA_TEST(test_check), KAFKA_TEST(test_identity), KAFKA_TEST(test_epochs_and_record), KAFKA_TEST(test_abort_and_begin_again), KAFKA_TEST(test_uncertain_commit), KAFKA_TEST(test_errors_heal),
        KAFKA_TEST(test_fenced), KAFKA_TEST(test_denied), KAFKA_TEST(test_unreachable), KAFKA_TEST(test_rows_refused), KAFKA_TEST(test_nothing_to_write), KAFKA_TEST(test_stop), KAFKA_TEST(test_broker_refuses),
        KAFKA_TEST(test_secrets_differ), KAFKA_TEST(test_coordinator_gets_ready), KAFKA_TEST(test_many_refused), KAFKA_TEST(test_tombstones), KAFKA_TEST(test_at_least_once), KAFKA_TEST(test_lost_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
