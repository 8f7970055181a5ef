// SPDX-License-Identifier: Apache-2.0
// kafka_source_test.c: the Kafka source against librdkafka's mock cluster: every message once and in order, a range read again in the same
// batches, windows that are bounded, seeking back, errors of brokers, offsets out of range at both ends, partitions that come later, stopping and
// closing while brokers hang.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include "base/checksum.h"
#include "base/clock.h"
#include "base/threads.h"
#include "connector/kafka/kafka_source.h"
#include "connector/registry.h"
#include <librdkafka/rdkafka_mock.h>

enum { API_FETCH = 1, API_LIST_OFFSETS = 2, API_METADATA = 3, SPLIT_LIMIT = 4096, READERS = 3 };

struct fixture {
    struct memory memory;
    rd_kafka_t *producer;               // owner of the mock cluster, and what fills it
    rd_kafka_mock_cluster_t *cluster;
    struct arena arena;
    struct session session;
    struct notify wake;
    struct source_request request;
    struct source *source;
    const _Atomic int *stop;
    struct positions from;
    struct error e;
};

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    char text[256];
    memory_init(&f->memory, "test", NULL, 0);
    arena_init(&f->arena, &f->memory);
    assert_int_equal(notify_init(&f->wake, &f->e), STATUS_OK);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    assert_int_equal(rd_kafka_conf_set(conf, "test.mock.num.brokers", "1", text, sizeof text), RD_KAFKA_CONF_OK);
    assert_int_equal(rd_kafka_conf_set(conf, "linger.ms", "1", text, sizeof text), RD_KAFKA_CONF_OK);
    f->producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    assert_non_null(f->producer);
    f->cluster = rd_kafka_handle_mock_cluster(f->producer);
    assert_non_null(f->cluster);
    rd_kafka_mock_topic_create(f->cluster, "t", 2, 1);
    *state = f;
    return 0;
}

static void close_source(struct fixture *f) {
    int64_t since_us = clock_monotonic_us();
    if (f->source) f->source->class->close(f->source);
    assert_true(clock_monotonic_us() - since_us < 5000000);
    f->source = NULL;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    close_source(f);
    rd_kafka_destroy(f->producer);
    notify_release(&f->wake);
    arena_release(&f->arena);
    size_t leaked = memory_used(&f->memory);
    free(f);
    assert_int_equal(leaked, 0);
    return 0;
}

static void must(const struct fixture *f, enum status status) {
    if (status != STATUS_OK) fail_msg("%s: %s (%s)", f->e.condition, f->e.message, f->e.hint);
}

// Messages "n" padded to a size; the n-th of a partition has offset n.
static void produce(struct fixture *f, const char *topic, int32_t partition, int64_t first, int64_t count, size_t size_bytes) {
    char *value = malloc(size_bytes + 32), key[32];
    for (int64_t n = first; n < first + count; n++) {
        memset(value, 'x', size_bytes + 32);
        int digits = snprintf(value, 24, "%lld", (long long)n);
        value[digits] = ' ';
        int key_bytes = snprintf(key, sizeof key, "%s-%d-%lld", topic, partition, (long long)n);
        bool no_value = n % 7 == 3, no_key = n % 5 == 4;
        rd_kafka_resp_err_t code;
        while ((code = rd_kafka_producev(f->producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
                                         RD_KAFKA_V_VALUE((no_value ? NULL : value), (no_value ? 0 : size_bytes)),
                                         RD_KAFKA_V_KEY((no_key ? NULL : key), (no_key ? 0 : (size_t)key_bytes)), RD_KAFKA_V_HEADER("n", key, key_bytes), RD_KAFKA_V_TIMESTAMP(1000 + n),
                                         RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END)) == RD_KAFKA_RESP_ERR__QUEUE_FULL)
            rd_kafka_poll(f->producer, 10);
        assert_int_equal(code, RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    free(value);
    assert_int_equal(rd_kafka_flush(f->producer, 30000), RD_KAFKA_RESP_ERR_NO_ERROR);
}

// Opens the table `t` with options as a NULL-terminated list of keys and values, and asks where it begins.
static enum status open_source(struct fixture *f, bool streaming, bool available_now, const char *const *pairs) {
    struct uoption given[12] = {{.key = "kafka.bootstrap.servers", .value = rd_kafka_mock_cluster_bootstraps(f->cluster)}};
    uint32_t count = 1;
    struct diagnostics d;
    struct source_text text = {.name = "test", .text = "", .size_bytes = 0};
    for (; *pairs; pairs += 2) given[count++] = (struct uoption){.key = pairs[0], .value = pairs[1]};
    f->request = (struct source_request){.table_name = "k", .session = &f->session, .memory = &f->memory, .streaming = streaming, .available_now = available_now, .source_index = 3, .wake = &f->wake, .stop = f->stop};
    diagnostics_init(&d, &f->memory, &text);
    assert_int_equal(options_parse(&f->arena, kafka_source_options, given, count, NULL, "k", &d, &f->request.options), STATUS_OK);
    assert_int_equal(d.error_count, 0);
    diagnostics_release(&d);
    enum status status = kafka_source_class.check(&f->request, &f->e);
    if (status == STATUS_OK) status = kafka_source_class.open(&f->request, &f->source, &f->e);
    if (status == STATUS_OK) status = f->source->class->start(f->source, &f->arena, &f->from, &f->e);
    return status;
}

static const char *const earliest[] = {"subscribe", "t", "startingOffsets", "earliest", "includeHeaders", "true", "kafka.metadata.max.age.ms", "200", NULL};

static struct position *position_of(struct fixture *f, const char *name) {
    for (uint32_t i = 0; i < f->from.count; i++) {
        if (strcmp(f->from.items[i].name, name) == 0) return &f->from.items[i];
    }
    struct position *items = arena_alloc_array(&f->arena, f->from.count + 1, sizeof *items);
    if (f->from.count) memcpy(items, f->from.items, f->from.count * sizeof *items);
    f->from.items = items;
    items[f->from.count] = (struct position){.name = arena_strdup(&f->arena, name)};
    return &items[f->from.count++];
}

static void advance(struct fixture *f, const struct ranges *ranges) {
    for (uint32_t i = 0; i < ranges->count; i++) position_of(f, ranges->items[i].name)->offset = ranges->items[i].end;
}

static void commit(struct fixture *f) { must(f, f->source->class->committed(f->source, &f->from, &f->e)); }

// --- what was read ---

struct reading {
    struct fixture *f;
    uint64_t rows, batches, dead;
    uint64_t digest;                    // of rows and of where batches end
    int64_t next;                       // offset, of a split of "t" without gaps; −1: not looked at
    int64_t dead_offset;
    char dead_condition[64];
    uint32_t rows_max;
    uint64_t value_bytes;
};

static enum status on_batch(void *context, struct batch *b) {
    struct reading *r = context;
    char expected[64];
    assert_int_equal(b->column_count, 8);
    assert_true(b->row_count > 0 && b->row_count <= BATCH_ROWS);
    assert_int_equal(b->origin.source, 3);
    for (uint32_t i = 0; i < b->row_count; i++) {
        int64_t offset = column_int64(&b->columns[4], i);
        const struct string_view *value = column_string(&b->columns[1], i), *key = column_string(&b->columns[0], i);
        assert_int_equal(origin_offset(&b->origin, i), offset);
        if (r->next >= 0) assert_int_equal(offset, r->next++);
        assert_int_equal(column_is_valid(&b->columns[1], i), offset % 7 != 3);
        assert_int_equal(column_is_valid(&b->columns[0], i), offset % 5 != 4);
        if (column_is_valid(&b->columns[1], i)) assert_int_equal(strtoll(string_view_data(value), NULL, 10), offset);
        snprintf(expected, sizeof expected, "%.*s-%d-%lld", (int)column_string(&b->columns[2], i)->size_bytes, string_view_data(column_string(&b->columns[2], i)), column_int32(&b->columns[3], i), (long long)offset);
        if (column_is_valid(&b->columns[0], i)) assert_memory_equal(string_view_data(key), expected, key->size_bytes);
        assert_int_equal(column_int64(&b->columns[5], i), (1000 + offset) * 1000);
        assert_int_equal(column_int32(&b->columns[6], i), 0);
        const struct column *headers = &b->columns[7], *pair = &headers->children[0];
        assert_true(column_is_valid(headers, i));
        int32_t at = column_list_begin(headers, i);
        assert_int_equal(column_list_end(headers, i), at + 1);
        assert_memory_equal(string_view_data(column_string(&pair->children[1], (uint32_t)at)), expected, strlen(expected));
        r->value_bytes += value->size_bytes;
        r->digest = r->digest * 1099511628211u + (uint64_t)offset * 31 + value->size_bytes;
    }
    r->digest = r->digest * 1099511628211u + 77 + b->sequence;
    r->rows += b->row_count;
    r->batches++;
    if (b->row_count > r->rows_max) r->rows_max = b->row_count;
    return STATUS_OK;
}

static enum status on_dead(void *context, const struct dead_row *row) {
    struct reading *r = context;
    r->dead++;
    r->dead_offset = row->offset;
    snprintf(r->dead_condition, sizeof r->dead_condition, "%s", row->condition);
    if (r->next >= 0) assert_int_equal(row->offset, r->next++);
    return STATUS_OK;
}

static enum status read_splits(struct fixture *f, const struct splits *splits, struct reading *r, struct error *e) {
    struct dead_row_sink dead = {.put = on_dead, .context = r};
    for (uint32_t i = 0; i < splits->count; i++) {
        r->next = splits->items[i].range.begin;
        TRY(f->source->class->read(f->source, &splits->items[i], 0, NULL, on_batch, r, &dead, e));
        assert_int_equal(r->next, splits->items[i].range.end);
    }
    return STATUS_OK;
}

// Asks until there is something, or `seconds` are over. False: nothing.
static bool next_ranges(struct fixture *f, const struct budget *budget, struct ranges *out, bool *exhausted, int seconds) {
    int64_t backlog, wake_at_us, until_us = clock_monotonic_us() + (int64_t)seconds * 1000000;
    for (;;) {
        must(f, f->source->class->latest(f->source, &f->arena, &f->from, budget, out, exhausted, &backlog, &wake_at_us, &f->e));
        if (out->count || *exhausted) return out->count > 0;
        int64_t left_us = until_us - clock_monotonic_us();
        if (left_us <= 0) return false;
        (void)notify_wait(&f->wake, left_us);
    }
}

static const struct budget plenty = {.row_count = 1 << 20, .size_bytes = 1 << 28};

// Reads epochs until so many rows were read.
static void read_rows(struct fixture *f, const struct budget *budget, struct reading *r, uint64_t rows) {
    struct ranges ranges;
    struct splits splits;
    bool exhausted;
    while (r->rows + r->dead < rows) {
        if (!next_ranges(f, budget, &ranges, &exhausted, 20)) fail_msg("only %llu of %llu rows came", (unsigned long long)r->rows, (unsigned long long)rows);
        must(f, f->source->class->splits(f->source, &f->arena, &ranges, &splits, &f->e));
        must(f, read_splits(f, &splits, r, &f->e));
        advance(f, &ranges);
        commit(f);
    }
    assert_int_equal(r->rows + r->dead, rows);
}

// --- tests ---

static void test_stream(void **state) {
    struct fixture *f = *state;
    struct reading r = {.f = f};
    produce(f, "t", 0, 0, 5000, 100);
    produce(f, "t", 1, 0, 3000, 100);
    must(f, open_source(f, true, false, earliest));
    assert_int_equal(f->from.count, 2);
    assert_string_equal(f->source->class->describe(f->source), "KafkaV2[Subscribe[t]]");
    read_rows(f, &(struct budget){.row_count = 1000, .size_bytes = 1 << 28}, &r, 8000);
    assert_true(r.batches >= 8);
    produce(f, "t", 1, 3000, 10, 100);
    read_rows(f, &plenty, &r, 8010);
    struct buffer text;
    buffer_init(&text, &f->memory);
    assert_int_equal(f->source->class->print(f->source, &f->from, &text), STATUS_OK);
    assert_memory_equal(text.data, "{\"t\":{\"0\":5000,\"1\":3010}}", text.size_bytes);
    buffer_release(&text);
    struct ranges ranges;
    bool exhausted;
    assert_false(next_ranges(f, &plenty, &ranges, &exhausted, 0));
    assert_false(exhausted);
}

// The engine sleeps; a message wakes it at once.
static void test_latency(void **state) {
    struct fixture *f = *state;
    struct reading r = {.f = f};
    must(f, open_source(f, true, false, earliest));
    produce(f, "t", 0, 0, 1, 100);
    read_rows(f, &plenty, &r, 1);
    int64_t worst_us = 0;
    for (int64_t n = 1; n <= 20; n++) {
        int64_t since_us = clock_monotonic_us();
        produce(f, "t", 0, n, 1, 100);
        read_rows(f, &plenty, &r, (uint64_t)n + 1);
        int64_t spent_us = clock_monotonic_us() - since_us;
        if (spent_us > worst_us) worst_us = spent_us;
    }
    assert_true(worst_us < 1000000);  // the mock broker's own answers take up to 10 ms and the machine may be busy
}

// Too little to begin with, then more of it: the engine, which sleeps, is woken for that as well.
static void test_not_enough(void **state) {
    struct fixture *f = *state;
    struct ranges ranges;
    bool exhausted;
    produce(f, "t", 0, 0, 60, 20);
    must(f, open_source(f, true, false, (const char *const[]){"subscribe", "t", "startingOffsets", "earliest", "includeHeaders", "true", "minOffsetsPerTrigger", "100", "maxTriggerDelay", "1h", NULL}));
    assert_false(next_ranges(f, &plenty, &ranges, &exhausted, 1));
    produce(f, "t", 0, 60, 60, 20);
    int64_t since_us = clock_monotonic_us();
    assert_true(next_ranges(f, &plenty, &ranges, &exhausted, 30));
    assert_true(clock_monotonic_us() - since_us < 15000000);
    assert_true(ranges.items[0].end >= 100);
}

static void test_latest_and_assign(void **state) {
    struct fixture *f = *state;
    struct reading r = {.f = f};
    produce(f, "t", 0, 0, 10, 20);
    produce(f, "t", 1, 0, 10, 20);
    must(f, open_source(f, true, false, (const char *const[]){"assign", "{\"t\":[1]}", "includeHeaders", "true", NULL}));
    assert_int_equal(f->from.count, 1);
    assert_string_equal(f->from.items[0].name, "t-1");
    assert_int_equal(f->from.items[0].offset, 10);
    produce(f, "t", 0, 10, 5, 20);
    produce(f, "t", 1, 10, 5, 20);
    read_rows(f, &plenty, &r, 5);
    assert_string_equal(f->source->class->describe(f->source), "KafkaV2[Assign[t-1]]");
}

static void test_batch(void **state) {
    struct fixture *f = *state;
    struct reading r = {.f = f};
    struct ranges ranges;
    struct splits splits;
    bool exhausted;
    produce(f, "t", 0, 0, 3000, 1000);
    produce(f, "t", 1, 0, 100, 1000);
    must(f, open_source(f, false, false, (const char *const[]){"subscribe", "t", "includeHeaders", "true", "startingOffsets", "{\"t\":{\"0\":10,\"1\":-2}}", "endingOffsets",
                                                               "{\"t\":{\"0\":2990,\"1\":-1}}", "leat.windowBytes", "1MB", NULL}));
    assert_true(next_ranges(f, &plenty, &ranges, &exhausted, 20));
    assert_true(exhausted);
    must(f, f->source->class->splits(f->source, &f->arena, &ranges, &splits, &f->e));
    must(f, read_splits(f, &splits, &r, &f->e));
    assert_int_equal(r.rows, 2980 + 100);
    uint64_t digest = r.digest;
    r = (struct reading){.f = f};
    must(f, read_splits(f, &splits, &r, &f->e));  // once more: from the brokers again
    assert_int_equal(r.rows, 2980 + 100);
    assert_int_equal(r.digest, digest);
}

static void test_available_now(void **state) {
    struct fixture *f = *state;
    struct reading r = {.f = f};
    struct ranges ranges;
    bool exhausted;
    produce(f, "t", 0, 0, 200, 50);
    must(f, open_source(f, true, true, earliest));
    produce(f, "t", 0, 200, 100, 50);
    read_rows(f, &(struct budget){.row_count = 64, .size_bytes = 1 << 28}, &r, 200);
    assert_false(next_ranges(f, &plenty, &ranges, &exhausted, 20));
    assert_true(exhausted);
}

// An epoch that runs again gives the same rows in the same batches, from the window and, when that was given back, from the brokers.
static void test_again(void **state) {
    struct fixture *f = *state;
    struct ranges ranges;
    struct splits splits;
    bool exhausted;
    produce(f, "t", 0, 0, 3000, 700);
    must(f, open_source(f, true, false, earliest));
    while (next_ranges(f, &plenty, &ranges, &exhausted, 20) && ranges.items[0].end < 3000) usleep(10000);
    must(f, f->source->class->splits(f->source, &f->arena, &ranges, &splits, &f->e));
    assert_true(splits.count >= 3);
    struct reading first = {.f = f};
    must(f, read_splits(f, &splits, &first, &f->e));
    assert_int_equal(first.rows, 3000);
    for (uint32_t i = 0; i < splits.count; i++) splits.items[i].range.name = "t-0";  // the source's own name goes with it
    for (int i = 0; i < 3; i++) {
        struct reading again = {.f = f};
        must(f, read_splits(f, &splits, &again, &f->e));
        assert_int_equal(again.digest, first.digest);
        if (i == 0) advance(f, &ranges);
        if (i == 0) commit(f);  // the window is gone
        if (i == 1) close_source(f);
        if (i == 1) must(f, open_source(f, true, false, earliest));  // a crash: the intent is read before anything is asked
    }
}

// A flow that is behind, and the others after it.
static void test_seek_back(void **state) {
    struct fixture *f = *state;
    produce(f, "t", 0, 0, 2000, 500);
    must(f, open_source(f, true, false, earliest));
    struct reading r = {.f = f};
    read_rows(f, &plenty, &r, 2000);
    position_of(f, "t-0")->offset = 0;
    r = (struct reading){.f = f};
    read_rows(f, &(struct budget){.row_count = 300, .size_bytes = 1 << 28}, &r, 2000);
    assert_int_equal(position_of(f, "t-0")->offset, 2000);
}

static void test_window_is_bounded(void **state) {
    struct fixture *f = *state;
    const char *const options[] = {"subscribe", "t", "startingOffsets", "earliest", "includeHeaders", "true", "leat.windowBytes", "1MB", NULL};
    produce(f, "t", 0, 0, 2000, 1000);
    produce(f, "t", 1, 0, 2000, 1000);
    must(f, open_source(f, true, false, options));
    struct ranges ranges;
    bool exhausted;
    size_t before = memory_used(&f->memory);
    assert_true(next_ranges(f, &plenty, &ranges, &exhausted, 20));
    usleep(300000);
    assert_true(memory_used(&f->memory) - before < 3 << 20);
    struct reading r = {.f = f};
    read_rows(f, &plenty, &r, 4000);
}

static void test_large_messages(void **state) {
    struct fixture *f = *state;
    const char *const options[] = {"subscribe", "t", "startingOffsets", "earliest", "includeHeaders", "true", "leat.windowBytes", "1MB", NULL};
    struct reading r = {.f = f};
    f->session.row_bytes_limit = 700000;
    produce(f, "t", 0, 0, 3, 600000);
    produce(f, "t", 0, 3, 1, 10);
    produce(f, "t", 0, 4, 1, 800000);
    produce(f, "t", 0, 5, 2, 10);
    must(f, open_source(f, true, false, options));
    read_rows(f, &plenty, &r, 7);
    assert_int_equal(r.dead, 1);
    assert_int_equal(r.dead_offset, 4);
    assert_string_equal(r.dead_condition, "LEAT_ROW_TOO_LARGE");
}

static void test_errors_of_brokers(void **state) {
    struct fixture *f = *state;
    static const rd_kafka_resp_err_t codes[] = {RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
                                                RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR, RD_KAFKA_RESP_ERR_UNKNOWN,
                                                RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH, RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
                                                RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION, RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE};
    struct reading r = {.f = f};
    int64_t n = 0;
    must(f, open_source(f, true, false, earliest));
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        rd_kafka_mock_push_request_errors(f->cluster, API_FETCH, 2, codes[i], codes[i]);
        produce(f, "t", 0, n, 50, 100);
        n += 50;
        read_rows(f, &plenty, &r, (uint64_t)n);
    }
}

static void test_denied(void **state) {
    struct fixture *f = *state;
    struct ranges ranges;
    bool exhausted;
    int64_t backlog, wake_at_us, until_us = clock_monotonic_us() + 20000000;
    must(f, open_source(f, true, false, earliest));
    for (int i = 0; i < 4; i++) rd_kafka_mock_push_request_errors(f->cluster, API_FETCH, 1, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    enum status status = STATUS_OK;
    while (status == STATUS_OK && clock_monotonic_us() < until_us) {
        status = f->source->class->latest(f->source, &f->arena, &f->from, &plenty, &ranges, &exhausted, &backlog, &wake_at_us, &f->e);
        (void)notify_wait(&f->wake, 100000);
    }
    assert_int_equal(status, STATUS_INVALID_ARGUMENT);
    assert_string_equal(f->e.condition, "LEAT_ACCESS_DENIED");
    assert_non_null(strstr(f->e.message, "t-"));
}

// A broker that is away: nothing to read, no error; then it goes on.
static void test_outage(void **state) {
    struct fixture *f = *state;
    struct reading r = {.f = f};
    struct ranges ranges;
    bool exhausted;
    produce(f, "t", 0, 0, 10, 100);
    must(f, open_source(f, true, false, earliest));
    read_rows(f, &plenty, &r, 10);
    rd_kafka_mock_broker_set_down(f->cluster, 1);
    assert_false(next_ranges(f, &plenty, &ranges, &exhausted, 1));
    rd_kafka_mock_broker_set_up(f->cluster, 1);
    produce(f, "t", 0, 10, 10, 100);
    read_rows(f, &plenty, &r, 20);
}

static void test_start_errors(void **state) {
    struct fixture *f = *state;
    static const struct { const char *options[7]; bool streaming; enum status status; const char *condition; } cases[] = {
        {{NULL}, true, STATUS_INVALID_ARGUMENT, "LEAT_INVALID_OPTION"},
        {{"subscribe", "t", "assign", "{\"t\":[0]}", NULL}, true, STATUS_INVALID_ARGUMENT, "LEAT_INVALID_OPTION"},
        {{"subscribePattern", "t(", NULL}, true, STATUS_INVALID_ARGUMENT, "LEAT_INVALID_OPTION"},
        {{"subscribe", " , ", NULL}, true, STATUS_INVALID_ARGUMENT, "LEAT_INVALID_OPTION"},
        {{"subscribe", "t", "endingOffsets", "latest", NULL}, true, STATUS_INVALID_ARGUMENT, "LEAT_INVALID_OPTION"},
        {{"subscribe", "t", "startingOffsets", "latest", NULL}, false, STATUS_INVALID_ARGUMENT, "LEAT_INVALID_OPTION"},
        {{"subscribe", "t", "endingOffsets", "earliest", NULL}, false, STATUS_INVALID_ARGUMENT, "LEAT_INVALID_OPTION"},
        {{"subscribe", "t", "startingOffsets", "{\"t\":{\"0\":-1,\"1\":0}}", NULL}, false, STATUS_INVALID_ARGUMENT, "LEAT_INVALID_OPTION"},
        {{"subscribe", "t", "startingOffsets", "{\"t\":{\"0\":0}}", NULL}, false, STATUS_INVALID_ARGUMENT, "KAFKA_START_OFFSET_DOES_NOT_MATCH_ASSIGNED"},
        {{"subscribe", "t", "startingOffsets", "{\"t\":{\"0\":0,\"1\":0,\"2\":0}}", NULL}, false, STATUS_INVALID_ARGUMENT, "KAFKA_START_OFFSET_DOES_NOT_MATCH_ASSIGNED"},
        {{"subscribe", "t", "startingOffsets", "{\"t\":{\"0\":0,\"1\":99}}", NULL}, false, STATUS_CONFLICT, "KAFKA_DATA_LOSS.START_OFFSET_RESET"},
        {{"subscribe", "t", "startingOffsets", "sometime", NULL}, true, STATUS_INVALID_ARGUMENT, "LEAT_INVALID_OPTION"},
        {{"assign", "{\"t\":[0,7]}", NULL}, true, STATUS_NOT_FOUND, "UNKNOWN_TOPIC_OR_PARTITION"},
        {{"subscribe", "t", "kafka.auto.offset.reset", "earliest", NULL}, true, STATUS_INVALID_ARGUMENT, "LEAT_INVALID_OPTION"},
        {{"subscribe", "t", "maxOffsetsPerTrigger", "0", NULL}, true, STATUS_INVALID_ARGUMENT, "LEAT_INVALID_OPTION"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum status status = open_source(f, cases[i].streaming, false, cases[i].options);
        if (status != cases[i].status || strcmp(f->e.condition, cases[i].condition) != 0) fail_msg("case %zu: %s: %s", i, f->e.condition, f->e.message);
        close_source(f);
    }
}

// The option's JSON must name all partitions where a flow begins; partitions that came later need not be in it.
static void test_unlisted(void **state) {
    struct fixture *f = *state;
    struct ranges ranges;
    bool exhausted;
    int64_t backlog, wake_at_us;
    const char *const options[] = {"subscribe", "t", "startingOffsets", "{\"t\":{\"0\":2}}", "includeHeaders", "true", NULL};
    struct reading r = {.f = f};
    produce(f, "t", 0, 0, 20, 10);
    produce(f, "t", 1, 0, 20, 10);
    must(f, open_source(f, true, false, options));
    assert_int_equal(f->from.count, 0);
    assert_int_equal(f->source->class->latest(f->source, &f->arena, &f->from, &plenty, &ranges, &exhausted, &backlog, &wake_at_us, &f->e), STATUS_INVALID_ARGUMENT);
    assert_string_equal(f->e.condition, "KAFKA_START_OFFSET_DOES_NOT_MATCH_ASSIGNED");
    close_source(f);
    must(f, open_source(f, true, false, options));
    position_of(f, "t-0")->offset = 15;  // it has begun before
    read_rows(f, &plenty, &r, 5 + 20);
}

// Retention: what was to be read is gone. The mock keeps 5 MB of a partition.
static void test_out_of_range_below(void **state) {
    struct fixture *f = *state;
    struct ranges ranges;
    bool exhausted;
    int64_t low, high, backlog, wake_at_us, until_us = clock_monotonic_us() + 20000000;
    must(f, open_source(f, true, false, earliest));
    produce(f, "t", 0, 0, 10000, 1000);
    assert_int_equal(rd_kafka_query_watermark_offsets(f->producer, "t", 0, &low, &high, 5000), 0);
    assert_true(low > 0 && high == 10000);
    close_source(f);
    must(f, open_source(f, true, false, earliest));
    position_of(f, "t-0")->offset = 1;
    enum status status = STATUS_OK;
    while (status == STATUS_OK && clock_monotonic_us() < until_us) {
        status = f->source->class->latest(f->source, &f->arena, &f->from, &plenty, &ranges, &exhausted, &backlog, &wake_at_us, &f->e);
        (void)notify_wait(&f->wake, 100000);
    }
    assert_int_equal(status, STATUS_CONFLICT);
    assert_string_equal(f->e.condition, "KAFKA_DATA_LOSS.START_OFFSET_RESET");
    close_source(f);
    must(f, open_source(f, true, false, (const char *const[]){"subscribe", "t", "startingOffsets", "earliest", "includeHeaders", "true", "failOnDataLoss", "false", NULL}));
    position_of(f, "t-0")->offset = 1;
    struct reading r = {.f = f};
    assert_true(next_ranges(f, &plenty, &ranges, &exhausted, 20));
    assert_int_equal(ranges.items[0].begin, 1);
    struct splits splits;
    must(f, f->source->class->splits(f->source, &f->arena, &ranges, &splits, &f->e));
    for (uint32_t i = 0; i < splits.count; i++) {
        r.next = splits.items[i].range.begin > low ? splits.items[i].range.begin : -1;
        must(f, f->source->class->read(f->source, &splits.items[i], 0, NULL, on_batch, &r, NULL, &f->e));
    }
    assert_true(r.rows > 0);
    assert_int_equal(ranges.items[0].end - low, (int64_t)r.rows);
    advance(f, &ranges);
    commit(f);
    if (r.rows < (uint64_t)(high - low)) {
        struct reading rest = {.f = f};
        read_rows(f, &plenty, &rest, (uint64_t)(high - low) - r.rows);
    }
}

// The topic is shorter than what was read of it: it was made anew.
static void test_out_of_range_above(void **state) {
    struct fixture *f = *state;
    struct ranges ranges;
    bool exhausted;
    int64_t backlog, wake_at_us, until_us = clock_monotonic_us() + 20000000;
    produce(f, "t", 0, 0, 50, 10);
    must(f, open_source(f, true, false, earliest));
    position_of(f, "t-0")->offset = 1000;
    enum status status = STATUS_OK;
    while (status == STATUS_OK && clock_monotonic_us() < until_us) {
        status = f->source->class->latest(f->source, &f->arena, &f->from, &plenty, &ranges, &exhausted, &backlog, &wake_at_us, &f->e);
        (void)notify_wait(&f->wake, 100000);
    }
    assert_int_equal(status, STATUS_CONFLICT);
    assert_string_equal(f->e.condition, "KAFKA_DATA_LOSS.PARTITION_OFFSET_CHANGED");
    close_source(f);
    must(f, open_source(f, true, false, (const char *const[]){"subscribe", "t", "startingOffsets", "earliest", "includeHeaders", "true", "failOnDataLoss", "false", NULL}));
    position_of(f, "t-0")->offset = 1000;
    struct reading r = {.f = f};
    read_rows(f, &plenty, &r, 50);
    assert_int_equal(position_of(f, "t-0")->offset, 50);
    produce(f, "t", 0, 50, 5, 10);
    read_rows(f, &plenty, &r, 55);
}

// Made anew, and by the time it is read as long as what was read before, and longer: every message once all the same.
static void test_rewound_and_grown(void **state) {
    struct fixture *f = *state;
    struct ranges ranges;
    bool exhausted;
    produce(f, "t", 0, 0, 50, 10);
    for (int64_t position = 60; position <= 100; position += 40) {
        must(f, open_source(f, true, false, (const char *const[]){"subscribe", "t", "startingOffsets", "earliest", "includeHeaders", "true", "failOnDataLoss", "false", NULL}));
        position_of(f, "t-0")->offset = position;
        assert_true(next_ranges(f, &plenty, &ranges, &exhausted, 20));
        assert_int_equal(ranges.items[0].begin, 0);
        if (position == 60) produce(f, "t", 0, 50, 49, 10);
        else produce(f, "t", 0, 99, 31, 10);
        usleep(300000);
        struct reading r = {.f = f};
        read_rows(f, &plenty, &r, position == 60 ? 99 : 130);
        assert_false(next_ranges(f, &plenty, &ranges, &exhausted, 1));
        assert_int_equal(position_of(f, "t-0")->offset, position == 60 ? 99 : 130);
        close_source(f);
    }
}

struct stopper {
    _Atomic int stop;
    pthread_t thread;
};

static void *stop_soon(void *context) {
    struct stopper *s = context;
    usleep(500000);
    atomic_store(&s->stop, 1);
    return NULL;
}

// leat is to stop while a read waits for a broker that hangs.
static void test_stop(void **state) {
    struct fixture *f = *state;
    struct ranges ranges;
    struct splits splits;
    bool exhausted;
    struct stopper stopper = {0};
    produce(f, "t", 0, 0, 100, 100);
    f->stop = &stopper.stop;
    must(f, open_source(f, false, false, (const char *const[]){"subscribe", "t", "includeHeaders", "true", NULL}));
    assert_true(next_ranges(f, &plenty, &ranges, &exhausted, 20));
    rd_kafka_mock_broker_set_rtt(f->cluster, 1, 60000);
    must(f, f->source->class->splits(f->source, &f->arena, &ranges, &splits, &f->e));
    assert_int_equal(pthread_create(&stopper.thread, NULL, stop_soon, &stopper), 0);
    struct reading r = {.f = f};
    int64_t since_us = clock_monotonic_us();
    assert_int_equal(read_splits(f, &splits, &r, &f->e), STATUS_UNREACHABLE);
    int64_t spent_us = clock_monotonic_us() - since_us;
    pthread_join(stopper.thread, NULL);
    assert_true(spent_us >= 400000 && spent_us < 1500000);
    since_us = clock_monotonic_us();
    close_source(f);
    assert_true(clock_monotonic_us() - since_us < 1500000);
    rd_kafka_mock_broker_set_rtt(f->cluster, 1, 0);
}

// Opening while the brokers hang ends with a stop, whatever the client is waiting for. What it is left in is never released.
static void test_stop_when_opening(void **state) {
    struct fixture *f = *state;
    struct stopper stopper = {0};
    f->stop = &stopper.stop;
    rd_kafka_mock_broker_set_rtt(f->cluster, 1, 60000);
    assert_int_equal(pthread_create(&stopper.thread, NULL, stop_soon, &stopper), 0);
    int64_t since_us = clock_monotonic_us();
    assert_int_equal(open_source(f, true, false, earliest), STATUS_UNREACHABLE);
    int64_t spent_us = clock_monotonic_us() - since_us;
    pthread_join(stopper.thread, NULL);
    assert_null(f->source);
    assert_true(spent_us < 1500000);
    rd_kafka_mock_broker_set_rtt(f->cluster, 1, 0);
    arena_release(&f->arena);
    memory_init(&f->memory, "test", NULL, 0);
    arena_init(&f->arena, &f->memory);
}

// A position of another topic of the same name, as brokers' ids tell: the mock cluster has none, so that they are given here.
static void made_anew(struct fixture *f, bool fail) {
    struct ranges ranges;
    struct splits splits;
    bool exhausted;
    int64_t backlog, wake_at_us;
    struct reading r = {.f = f};
    produce(f, "t", 0, 0, 60, 20);
    must(f, open_source(f, true, false, (const char *const[]){"subscribe", "t", "startingOffsets", "earliest", "includeHeaders", "true", "failOnDataLoss", fail ? "true" : "false", NULL}));
    struct kafka_source *s = (struct kafka_source *)f->source;
    struct kafka_partition *p = kafka_find_part(s, "t-0", 0)->partition;
    assert_true(kafka_fetch_identify(s->fetch, p, 22));
    position_of(f, "t-0")->offset = 40;
    position_of(f, "t-0")->stamp = 22;
    assert_true(next_ranges(f, &plenty, &ranges, &exhausted, 20));  // its own id: it goes on
    assert_int_equal(ranges.items[0].begin, 40);
    assert_int_equal(ranges.items[0].stamp, 22);
    position_of(f, "t-0")->stamp = 11;
    if (fail) {
        assert_int_equal(f->source->class->latest(f->source, &f->arena, &f->from, &plenty, &ranges, &exhausted, &backlog, &wake_at_us, &f->e), STATUS_CONFLICT);
        assert_string_equal(f->e.condition, "KAFKA_DATA_LOSS.PARTITION_OFFSET_CHANGED");
        assert_non_null(strstr(f->e.message, "t-0"));
        return;
    }
    assert_true(next_ranges(f, &plenty, &ranges, &exhausted, 20));
    assert_int_equal(ranges.items[0].begin, 0);
    assert_int_equal(ranges.items[0].stamp, 22);
    must(f, f->source->class->splits(f->source, &f->arena, &ranges, &splits, &f->e));
    must(f, read_splits(f, &splits, &r, &f->e));
    advance(f, &ranges);
    position_of(f, "t-0")->stamp = ranges.items[0].stamp;
    commit(f);
    produce(f, "t", 0, 60, 10, 20);
    read_rows(f, &plenty, &r, 70);
    assert_int_equal(position_of(f, "t-0")->offset, 70);
}

static void test_made_anew(void **state) { made_anew(*state, true); }
static void test_made_anew_goes_on(void **state) { made_anew(*state, false); }

// Closing while the watch waits for an answer.
static void test_close_when_it_hangs(void **state) {
    struct fixture *f = *state;
    must(f, open_source(f, true, false, earliest));
    rd_kafka_mock_broker_set_rtt(f->cluster, 1, 60000);
    usleep(3000000);
    int64_t since_us = clock_monotonic_us();
    close_source(f);
    assert_true(clock_monotonic_us() - since_us < 1500000);
    rd_kafka_mock_broker_set_rtt(f->cluster, 1, 0);
}

static void test_new_topic(void **state) {
    struct fixture *f = *state;
    struct reading r = {.f = f};
    must(f, open_source(f, true, false, (const char *const[]){"subscribePattern", "t|new.*", "startingOffsets", "latest", "includeHeaders", "true", "kafka.metadata.max.age.ms", "200", NULL}));
    assert_int_equal(f->from.count, 2);
    rd_kafka_mock_topic_create(f->cluster, "new-topic", 1, 1);
    produce(f, "new-topic", 0, 0, 30, 10);
    rd_kafka_mock_topic_create(f->cluster, "another", 1, 1);
    produce(f, "another", 0, 0, 30, 10);
    produce(f, "t", 1, 0, 5, 10);
    read_rows(f, &plenty, &r, 35);
    assert_int_equal(position_of(f, "new-topic-0")->offset, 30);
}

// Workers on splits of one partition at once, out of order, against a small window.
struct worker {
    struct fixture *f;
    const struct splits *splits;
    _Atomic uint32_t *next;
    struct reading reading;
    pthread_t thread;
};

static void *work(void *context) {
    struct worker *w = context;
    struct error e;
    struct dead_row_sink dead = {.put = on_dead, .context = &w->reading};
    for (;;) {
        uint32_t i = atomic_fetch_add(w->next, 1);
        if (i >= w->splits->count) return NULL;
        w->reading.next = w->splits->items[i].range.begin;
        assert_int_equal(w->f->source->class->read(w->f->source, &w->splits->items[i], 0, NULL, on_batch, &w->reading, &dead, &e), STATUS_OK);
    }
}

static void test_workers(void **state) {
    struct fixture *f = *state;
    struct ranges ranges;
    struct splits splits;
    bool exhausted;
    produce(f, "t", 0, 0, 4000, 1000);
    produce(f, "t", 1, 0, 4000, 1000);
    must(f, open_source(f, false, false, (const char *const[]){"subscribe", "t", "includeHeaders", "true", "leat.windowBytes", "1MB", "minPartitions", "50", NULL}));
    assert_true(next_ranges(f, &plenty, &ranges, &exhausted, 20));
    must(f, f->source->class->splits(f->source, &f->arena, &ranges, &splits, &f->e));
    assert_true(splits.count >= 50);
    _Atomic uint32_t next = 0;
    struct worker workers[READERS];
    uint64_t rows = 0;
    for (int i = 0; i < READERS; i++) {
        workers[i] = (struct worker){.f = f, .splits = &splits, .next = &next, .reading = {.f = f}};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < READERS; i++) {
        pthread_join(workers[i].thread, NULL);
        rows += workers[i].reading.rows;
    }
    assert_int_equal(rows, 8000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_stream, setup, teardown),
        cmocka_unit_test_setup_teardown(test_latency, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_enough, setup, teardown),
        cmocka_unit_test_setup_teardown(test_latest_and_assign, setup, teardown),
        cmocka_unit_test_setup_teardown(test_batch, setup, teardown),
        cmocka_unit_test_setup_teardown(test_available_now, setup, teardown),
        cmocka_unit_test_setup_teardown(test_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_seek_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_window_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_large_messages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_errors_of_brokers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_denied, setup, teardown),
        cmocka_unit_test_setup_teardown(test_outage, setup, teardown),
        cmocka_unit_test_setup_teardown(test_start_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unlisted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_out_of_range_below, setup, teardown),
        cmocka_unit_test_setup_teardown(test_out_of_range_above, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rewound_and_grown, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stop, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stop_when_opening, setup, teardown),
        cmocka_unit_test_setup_teardown(test_made_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(test_made_anew_goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(test_close_when_it_hangs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_new_topic, setup, teardown),
        cmocka_unit_test_setup_teardown(test_workers, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
