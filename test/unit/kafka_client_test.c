// SPDX-License-Identifier: Apache-2.0
// kafka_client_test.c: kafka.* options as librdkafka's configuration, secrets that stay secret, errors in leat's words, offsets as JSON.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "connector/kafka/kafka.h"

static struct memory memory;
static struct error error;

enum { PAIRS_MAX = 12 };
static struct option_value values[PAIRS_MAX];
static const struct option any_option = {.name = "kafka.*", .type = OPTION_STRING};

// Options from a NULL-terminated list of keys and values; the brokers first, by themselves.
static struct option_set options_of(const char *const *pairs) {
    struct option_set set = {.values = values, .count = 1};
    values[0] = (struct option_value){.option = &any_option, .key = "kafka.bootstrap.servers", .text = "127.0.0.1:1", .is_set = true};
    for (; pairs && *pairs; pairs += 2) {
        assert_true(set.count < PAIRS_MAX);
        values[set.count++] = (struct option_value){.option = &any_option, .key = pairs[0], .text = pairs[1], .is_set = true};
    }
    return set;
}

static enum status make(const char *const *pairs, enum kafka_use use, rd_kafka_conf_t **conf) {
    struct option_set set = options_of(pairs);
    error_clear(&error);
    return kafka_conf_make(&set, use, &memory, conf, &error);
}

static void assert_conf(enum kafka_use use, const char *key, const char *value, const char *property, const char *expected) {
    const char *pairs[] = {key, value, NULL};
    rd_kafka_conf_t *conf;
    char text[512] = "";
    size_t size = sizeof text;
    if (make(pairs, use, &conf) != STATUS_OK) fail_msg("%s = %s: %s (%s)", key, value, error.message, error.hint);
    assert_int_equal(rd_kafka_conf_get(conf, property, text, &size), RD_KAFKA_CONF_OK);
    if (strcmp(text, expected) != 0) fail_msg("%s = %s: %s is `%s`, not `%s`", key, value, property, text, expected);
    rd_kafka_conf_destroy(conf);
}

static void assert_refused(enum kafka_use use, const char *const *pairs, const char *in_message, const char *in_hint) {
    rd_kafka_conf_t *conf;
    assert_int_equal(make(pairs, use, &conf), STATUS_INVALID_ARGUMENT);
    if (!strstr(error.message, in_message)) fail_msg("`%s` is not in: %s", in_message, error.message);
    if (in_hint && !strstr(error.hint, in_hint)) fail_msg("`%s` is not in: %s", in_hint, error.hint);
}

static void test_mapping(void **state) {
    (void)state;
    static const struct { enum kafka_use use; const char *key, *value, *property, *expected; } cases[] = {
        {KAFKA_CONSUMER, "kafka.bootstrap.servers.x", NULL, NULL, NULL},
        {KAFKA_CONSUMER, "kafka.security.protocol", "SASL_SSL", "security.protocol", "sasl_ssl"},
        {KAFKA_CONSUMER, "KAFKA.Security.Protocol", "SSL", "security.protocol", "ssl"},
        {KAFKA_CONSUMER, "kafka.sasl.mechanism", "SCRAM-SHA-512", "sasl.mechanisms", "SCRAM-SHA-512"},
        {KAFKA_CONSUMER, "kafka.sasl.username", "me", "sasl.username", "me"},
        {KAFKA_CONSUMER, "kafka.ssl.endpoint.identification.algorithm", "", "ssl.endpoint.identification.algorithm", "none"},
        {KAFKA_CONSUMER, "kafka.client.id", "me", "ssl.endpoint.identification.algorithm", "https"},
        {KAFKA_CONSUMER, "kafka.fetch.max.wait.ms", "17", "fetch.wait.max.ms", "17"},
        {KAFKA_CONSUMER, "kafka.max.partition.fetch.bytes", "70000", "max.partition.fetch.bytes", "70000"},
        {KAFKA_CONSUMER, "kafka.request.timeout.ms", "12345", "socket.timeout.ms", "12345"},
        {KAFKA_CONSUMER, "kafka.receive.buffer.bytes", "-1", "socket.receive.buffer.bytes", "0"},
        {KAFKA_CONSUMER, "kafka.isolation.level", "read_uncommitted", "isolation.level", "read_uncommitted"},
        {KAFKA_CONSUMER, "kafka.client.id", "me", "isolation.level", "read_committed"},
        {KAFKA_CONSUMER, "kafka.max.poll.records", "17", "client.id", "leat"},
        {KAFKA_CONSUMER, "kafka.linger.ms", "17", "client.id", "leat"},
        {KAFKA_PRODUCER, "kafka.max.request.size", "123456", "message.max.bytes", "123456"},
        {KAFKA_PRODUCER, "kafka.buffer.memory", "33554432", "queue.buffering.max.kbytes", "32768"},
        {KAFKA_PRODUCER, "kafka.request.timeout.ms", "12345", "request.timeout.ms", "12345"},
        {KAFKA_PRODUCER, "kafka.acks", "all", "acks", "-1"},
        {KAFKA_PRODUCER, "kafka.compression.type", "zstd", "compression.type", "zstd"},
        {KAFKA_PRODUCER, "kafka.client.id", "me", "partitioner", "murmur2_random"},
        {KAFKA_PRODUCER, "kafka.partitioner.class", "org.apache.kafka.clients.producer.RoundRobinPartitioner", "partitioner", "random"},
        {KAFKA_PRODUCER, "kafka.partitioner.ignore.keys", "true", "partitioner", "random"},
        {KAFKA_PRODUCER, "kafka.metric.reporters", "x", "client.id", "leat"},
    };
    for (size_t i = 1; i < sizeof cases / sizeof cases[0]; i++) assert_conf(cases[i].use, cases[i].key, cases[i].value, cases[i].property, cases[i].expected);
}

static void test_jaas(void **state) {
    (void)state;
    const char *pairs[] = {"kafka.sasl.mechanism", "SCRAM-SHA-256", "kafka.sasl.jaas.config",
                           "org.apache.kafka.common.security.scram.ScramLoginModule  required\n username=\"ann\" password=\"a\\\"b;c=d\" ;", NULL};
    rd_kafka_conf_t *conf;
    char text[64];
    size_t size = sizeof text;
    assert_int_equal(make(pairs, KAFKA_CONSUMER, &conf), STATUS_OK);
    assert_int_equal(rd_kafka_conf_get(conf, "sasl.username", text, &size), RD_KAFKA_CONF_OK);
    assert_string_equal(text, "ann");
    size = sizeof text;
    assert_int_equal(rd_kafka_conf_get(conf, "sasl.password", text, &size), RD_KAFKA_CONF_OK);
    assert_string_equal(text, "a\"b;c=d");
    rd_kafka_conf_destroy(conf);
    assert_conf(KAFKA_CONSUMER, "kafka.sasl.jaas.config", "org.apache.kafka.common.security.plain.PlainLoginModule required username='x' password=y;", "sasl.mechanisms", "PLAIN");
    static const char *const broken[] = {
        "", ";", "x", "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"hunter2", "PlainLoginModule required password;",
        "PlainLoginModule required password=hunter2", "PlainLoginModule required password=", "com.evil.Module required password=\"hunter2\";",
        "ScramLoginModule required username=\"a\" password=\"hunter2\";",
    };
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        const char *one[] = {"kafka.sasl.jaas.config", broken[i], NULL};
        assert_refused(KAFKA_CONSUMER, one, "kafka.sasl.jaas.config", NULL);
        assert_null(strstr(error.message, "hunter2"));
        assert_null(strstr(error.hint, "hunter2"));
        assert_string_equal(error.value, "");
    }
    char *huge = malloc(100001);
    memset(huge, 'x', 100000);
    huge[100000] = 0;
    const char *one[] = {"kafka.sasl.jaas.config", huge, NULL};
    assert_refused(KAFKA_CONSUMER, one, "kafka.sasl.jaas.config", NULL);
    free(huge);
}

static void test_refused(void **state) {
    (void)state;
    static const char *const keys[] = {"auto.offset.reset", "key.deserializer", "value.deserializer", "key.serializer", "value.serializer", "enable.auto.commit",
                                       "interceptor.classes", "transactional.id", "plugin.library.paths", "ssl.engine.location", "ssl.engine.id",
                                       "ssl.providers", "sasl.kerberos.kinit.cmd", "test.mock.num.brokers", "delivery.report.only.error"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        char key[64], expected[96];
        snprintf(key, sizeof key, "kafka.%s", keys[i]);
        snprintf(expected, sizeof expected, "Kafka option '%s' is not supported", keys[i]);
        const char *pairs[] = {key, "x", NULL};
        assert_refused(KAFKA_CONSUMER, pairs, expected, NULL);
        assert_refused(KAFKA_PRODUCER, pairs, expected, NULL);
        assert_true(error.hint[0]);
    }
    assert_refused(KAFKA_CONSUMER, (const char *[]){"kafka.fetch.min.byte", "1", NULL}, "kafka.fetch.min.byte", "kafka.fetch.min.bytes");
    assert_refused(KAFKA_PRODUCER, (const char *[]){"kafka.lingerms", "1", NULL}, "kafka.lingerms", "kafka.linger.ms");
    assert_refused(KAFKA_PRODUCER, (const char *[]){"kafka.linger.ms", "soon", NULL}, "kafka.linger.ms", NULL);
    assert_refused(KAFKA_PRODUCER, (const char *[]){"kafka.partitioner.class", "com.acme.P", NULL}, "Java class", "partition");
    assert_refused(KAFKA_PRODUCER, (const char *[]){"kafka.buffer.memory", "many", NULL}, "whole number", NULL);
    for (const char *const *s = (const char *const[]){"kafka.error_cb", "kafka.opaque", "kafka.open_cb", "kafka.log_cb", NULL}; *s; s++) {
        assert_refused(KAFKA_PRODUCER, (const char *[]){*s, "x", NULL}, *s, NULL);  // what is set by a function of the program alone
    }
    assert_refused(KAFKA_PRODUCER, (const char *[]){"kafka.ssl_key", "hunter2", NULL}, "kafka.ssl_key", NULL);
    assert_null(strstr(error.hint, "hunter2"));
    struct option_set none = {0};
    rd_kafka_conf_t *conf;
    assert_int_equal(kafka_conf_make(&none, KAFKA_CONSUMER, &memory, &conf, &error), STATUS_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "kafka.bootstrap.servers"));
}

static void write_file(const char *path, const void *bytes, size_t size_bytes) {
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size_bytes), (ssize_t)size_bytes);
    close(fd);
}

static void test_stores(void **state) {
    (void)state;
    char folder[] = "/tmp/leat-kafka-XXXXXX", pem[64], jks[64], p12[64], secret[64], reference[80];
    assert_non_null(mkdtemp(folder));
    snprintf(pem, sizeof pem, "%s/ca.pem", folder);
    snprintf(jks, sizeof jks, "%s/trust.jks", folder);
    snprintf(p12, sizeof p12, "%s/own.p12", folder);
    snprintf(secret, sizeof secret, "%s/secret", folder);
    snprintf(reference, sizeof reference, "${file:%s}", secret);
    write_file(pem, "-----BEGIN CERTIFICATE-----\n", 28);
    write_file(jks, "\xfe\xed\xfe\xed\0\0\0\2", 8);
    write_file(p12, "\x30\x82\x01\x02", 4);
    write_file(secret, "hunter2\n", 8);
    assert_conf(KAFKA_CONSUMER, "kafka.ssl.truststore.location", pem, "ssl.ca.location", pem);
    assert_conf(KAFKA_CONSUMER, "kafka.ssl.keystore.location", pem, "ssl.key.location", pem);
    assert_conf(KAFKA_CONSUMER, "kafka.ssl.keystore.location", p12, "ssl.keystore.location", p12);
    assert_conf(KAFKA_CONSUMER, "kafka.ssl.key.password", reference, "ssl.key.password", "hunter2");
    assert_refused(KAFKA_CONSUMER, (const char *[]){"kafka.ssl.truststore.location", jks, "kafka.ssl.truststore.password", "hunter2", NULL}, "JKS", "keytool");
    assert_null(strstr(error.hint, "hunter2"));
    assert_refused(KAFKA_CONSUMER, (const char *[]){"kafka.ssl.truststore.location", p12, NULL}, "PKCS#12", "openssl");
    assert_refused(KAFKA_CONSUMER, (const char *[]){"kafka.ssl.keystore.location", jks, NULL}, "JKS", "keytool");
    rd_kafka_conf_t *conf;
    const char *missing[] = {"kafka.ssl.truststore.location", "/nowhere/ca.pem", NULL};
    assert_int_equal(make(missing, KAFKA_CONSUMER, &conf), STATUS_IO);
    const char *unset[] = {"kafka.sasl.password", "${env:LEAT_TEST_NO_SUCH_VARIABLE}", NULL};
    assert_int_equal(make(unset, KAFKA_CONSUMER, &conf), STATUS_NOT_FOUND);
    struct option_set set = options_of(unset);
    assert_int_equal(kafka_conf_check(&set, KAFKA_CONSUMER, &memory, &error), STATUS_OK);  // at plan time nothing is looked up
    unlink(pem), unlink(jks), unlink(p12), unlink(secret), rmdir(folder);
}

static void test_secret_names(void **state) {
    (void)state;
    static const char *const secret[] = {"kafka.sasl.password", "kafka.SASL.jaas.config", "kafka.ssl.key.password", "kafka.ssl.key.pem", "kafka.ssl.keystore.key",
                                         "kafka.sasl.oauthbearer.client.secret", "kafka.ssl.truststore.password"};
    static const char *const open_names[] = {"kafka.bootstrap.servers", "kafka.linger.ms", "kafka.sasl.mechanism", "kafka.sasl.oauthbearer.token.endpoint.url"};
    for (size_t i = 0; i < sizeof secret / sizeof secret[0]; i++) assert_true(kafka_option_is_secret(secret[i]));
    for (size_t i = 0; i < sizeof open_names / sizeof open_names[0]; i++) assert_false(kafka_option_is_secret(open_names[i]));
}

// What a text shows of itself in a message.
static void test_drawn(void **state) {
    (void)state;
    static const struct { const char *text, *shown; } cases[] = {
        {"OPTIONS ('kafka.sasl.password' = 'hunter2', bogus 1)", "OPTIONS ('kafka.sasl.password' = '…', bogus 1)"},
        {"OPTIONS ('kafka.sasl.password'/* x */'hunter2' \"hunter2\")", "OPTIONS ('kafka.sasl.password'/* x */'…' \"…\")"},
        {"OPTIONS (kafka.sasl.password r'hunter2')", "OPTIONS (kafka.sasl.password r'…')"},
        {"OPTIONS (`kafka`.`sasl`.`password` 'hunter''2')", "OPTIONS (`kafka`.`sasl`.`password` '…''…')"},
        {"OPTIONS ('kafka.ssl.key.password' hunter2)", "OPTIONS ('kafka.ssl.key.password' …)"},
        {"OPTIONS ('kafka.sasl.jaas.config' 'a \\'hunter2\\' b')", "OPTIONS ('kafka.sasl.jaas.config' '…')"},
        {"OPTIONS ('kafka.sasl.password' 'hunter2", "OPTIONS ('kafka.sasl.password' '…"},
        {"OPTIONS ('kafka.sasl.password' '", "OPTIONS ('kafka.sasl.password' '"},
        {"OPTIONS ('kafka.sasl.password' '${env:PASSWORD}')", "OPTIONS ('kafka.sasl.password' '${env:PASSWORD}')"},
        {"OPTIONS ('kafka.sasl.password' '${env:A}hunter2')", "OPTIONS ('kafka.sasl.password' '…')"},
        {"OPTIONS ('kafka.sasl.oauthbearer.token.endpoint.url' 'http://h')", "OPTIONS ('kafka.sasl.oauthbearer.token.endpoint.url' 'http://h')"},
        {"SELECT password, token FROM users -- 'password' 'x", "SELECT password, token FROM users -- 'password' 'x"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct source_text source = {.name = "f", .text = cases[i].text, .size_bytes = strlen(cases[i].text)};
        struct diagnostic g = {.severity = SEVERITY_ERROR};
        struct buffer out;
        (void)error_set(&g.error, STATUS_INVALID_QUERY, NULL, "wrong");
        g.error.span = (struct span){.begin = 0, .end = 6};
        buffer_init(&out, &memory);
        assert_int_equal(diagnostic_print(&g, &source, false, &out), STATUS_OK);
        assert_int_equal(buffer_terminate(&out), STATUS_OK);
        const char *line = strstr((char *)out.data, "1 | ");
        assert_non_null(line);
        if (strncmp(line + 4, cases[i].shown, strlen(cases[i].shown)) != 0 || line[4 + strlen(cases[i].shown)] != '\n') fail_msg("%s: drawn as %s", cases[i].text, line);
        buffer_release(&out);
    }
}

static void test_warnings(void **state) {
    (void)state;
    char path[] = "/tmp/leat-kafka-log-XXXXXX", text[4096] = "";
    struct log log = {.level = LOG_DEBUG, .fd = mkstemp(path)};
    assert_true(log.fd >= 0);
    struct option_set set = options_of((const char *[]){"kafka.max.poll.records", "1", "kafka.sasl.password", "hunter2", "kafka.linger.ms", "5",
                                                        "kafka.ssl.key.password", "${env:X}", NULL});
    kafka_conf_warn(&set, KAFKA_CONSUMER, "source `t`", &log);
    ssize_t size = pread(log.fd, text, sizeof text - 1, 0);
    assert_true(size > 0);
    assert_non_null(strstr(text, "kafka.max.poll.records"));
    assert_non_null(strstr(text, "kafka.linger.ms"));
    assert_null(strstr(text, "password"));
    assert_null(strstr(text, "hunter2"));
    close(log.fd);
    unlink(path);
}

static void test_errors(void **state) {
    (void)state;
    static const struct { rd_kafka_resp_err_t code; enum status status; const char *condition; } cases[] = {
        {RD_KAFKA_RESP_ERR__TRANSPORT, STATUS_UNREACHABLE, "LEAT_UNREACHABLE"},
        {RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, STATUS_UNREACHABLE, "LEAT_UNREACHABLE"},
        {RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, STATUS_UNREACHABLE, "LEAT_UNREACHABLE"},
        {RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, STATUS_UNREACHABLE, "LEAT_UNREACHABLE"},
        {RD_KAFKA_RESP_ERR__AUTHENTICATION, STATUS_INVALID_ARGUMENT, "LEAT_ACCESS_DENIED"},
        {RD_KAFKA_RESP_ERR__SSL, STATUS_INVALID_ARGUMENT, "LEAT_ACCESS_DENIED"},
        {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, STATUS_INVALID_ARGUMENT, "LEAT_ACCESS_DENIED"},
        {RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, STATUS_NOT_FOUND, "LEAT_TOPIC_NOT_FOUND"},
        {RD_KAFKA_RESP_ERR_PRODUCER_FENCED, STATUS_CONFLICT, "LEAT_PRODUCER_FENCED"},
        {RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, STATUS_CONFLICT, "LEAT_PRODUCER_FENCED"},
        {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, STATUS_DATA, "LEAT_MESSAGE_TOO_LARGE"},
        {RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE, STATUS_NOT_FOUND, "LEAT_DATA_LOSS"},
        {RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT, STATUS_INVALID_ARGUMENT, "LEAT_INVALID_OPTION"},
        {RD_KAFKA_RESP_ERR__APPLICATION, STATUS_IO, "LEAT_KAFKA_ERROR"},
    };
    char brokers[] = "broker:9092", who[] = "source `t`";
    struct kafka_client c = {.brokers = brokers, .who = who};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(kafka_error(&c, cases[i].code, "the reason (after 3ms in state CONNECT, 4 identical error(s) suppressed)", "reading t-1 at offset 17", &error),
                         cases[i].status);
        assert_int_equal(error.status, cases[i].status);
        assert_string_equal(error.condition, cases[i].condition);
        assert_true(error.sqlstate[0]);
        assert_non_null(strstr(error.message, "t-1 at offset 17"));
        assert_non_null(strstr(error.message, "broker:9092"));
        assert_non_null(strstr(error.message, "the reason"));
        assert_null(strstr(error.message, "identical"));
    }
}

// The words of an answer can say more than its code.
static void test_words(void **state) {
    (void)state;
    static const struct { rd_kafka_resp_err_t code; const char *reason; enum status status; const char *hint; } cases[] = {
        {RD_KAFKA_RESP_ERR__TRANSPORT, "ssl://h:1/bootstrap: Receive failed: error:0A000416:SSL routines::sslv3 alert certificate unknown: SSL alert number 46",
         STATUS_INVALID_ARGUMENT, "keystore"},
        {RD_KAFKA_RESP_ERR__TRANSPORT, "Receive failed: error:0A00045C:SSL routines::tlsv13 alert certificate required: SSL alert number 116", STATUS_INVALID_ARGUMENT, "keystore"},
        {RD_KAFKA_RESP_ERR__TRANSPORT, "Receive failed: SSL alert number 80", STATUS_UNREACHABLE, NULL},
        {RD_KAFKA_RESP_ERR__SSL, "SSL handshake failed: Disconnected: connecting to a PLAINTEXT broker listener?", STATUS_UNREACHABLE, "security.protocol"},
        {RD_KAFKA_RESP_ERR__SSL, "error:0A000086:SSL routines::certificate verify failed", STATUS_INVALID_ARGUMENT, "truststore"},
        {RD_KAFKA_RESP_ERR__TRANSPORT, "Disconnected: connection closed by peer", STATUS_UNREACHABLE, "security.protocol"},
        {RD_KAFKA_RESP_ERR__TRANSPORT, "Connect to ipv4#h:1 failed: Connection refused", STATUS_UNREACHABLE, "advertised.listeners"},
    };
    char brokers[] = "broker:9092", who[] = "source `t`";
    struct kafka_client c = {.brokers = brokers, .who = who};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(kafka_error(&c, cases[i].code, cases[i].reason, "connecting", &error), cases[i].status);
        if (cases[i].hint && !strstr(error.hint, cases[i].hint)) fail_msg("%s: %s", cases[i].reason, error.hint);
    }
}

static void parse(const char *json, bool assign, const char *expected) {
    struct arena arena;
    struct kafka_offsets out;
    struct positions positions = {0};
    struct buffer text;
    arena_init(&arena, &memory);
    if (kafka_offsets_parse(&arena, json, assign, "startingOffsets", &out, &error) != STATUS_OK) fail_msg("%s: %s", json, error.message);
    positions.items = arena_alloc_array(&arena, out.count + 1, sizeof *positions.items);
    for (uint32_t i = 0; i < out.count; i++) {  // the other way round, so that printing has to sort
        struct position *p = &positions.items[out.count - 1 - i];
        p->offset = out.items[i].offset;
        assert_int_equal(kafka_partition_name(&arena, out.items[i].topic, out.items[i].partition, &p->name), STATUS_OK);
        const char *topic;
        int32_t partition;
        assert_true(kafka_partition_split(&arena, p->name, &topic, &partition));
        assert_string_equal(topic, out.items[i].topic);
        assert_int_equal(partition, out.items[i].partition);
    }
    positions.count = out.count;
    buffer_init(&text, &memory);
    assert_int_equal(kafka_positions_print(&positions, &text), STATUS_OK);
    assert_int_equal(buffer_terminate(&text), STATUS_OK);
    assert_string_equal((char *)text.data, expected);
    buffer_release(&text);
    arena_release(&arena);
}

static void test_offsets(void **state) {
    (void)state;
    parse("{\"t\":{\"0\":5,\"1\":7}}", false, "{\"t\":{\"0\":5,\"1\":7}}");
    parse(" { \"b-1\" : { \"10\" : -1 , \"2\":-2 } , \"a.x_Y\":{\"0\":9223372036854775807}} ", false, "{\"a.x_Y\":{\"0\":9223372036854775807},\"b-1\":{\"2\":-2,\"10\":-1}}");
    parse("{}", false, "{}");
    parse("{\"t\":{}}", false, "{}");
    parse("{\"t\":[1,0],\"t-1\":[0]}", true, "{\"t\":{\"0\":0,\"1\":0},\"t-1\":{\"0\":0}}");
    static const char *const broken[] = {
        "", " ", "null", "1", "[]", "{", "{\"t\"", "{\"t\":", "{\"t\":{", "{\"t\":{\"0\"", "{\"t\":{\"0\":", "{\"t\":{\"0\":1", "{\"t\":{\"0\":1}", "{\"t\":{\"0\":1}}x",
        "{\"t\":{\"0\":1,}}", "{\"t\":{\"0\":1},}", "{\"t\":{\"x\":1}}", "{\"t\":{\"\":1}}", "{\"t\":{\"-1\":1}}", "{\"t\":{\"01\":1}}", "{\"t\":{\"2147483648\":1}}",
        "{\"t\":{\"99999999999999999999\":1}}", "{\"t\":{\"0\":1.5}}", "{\"t\":{\"0\":1e3}}", "{\"t\":{\"0\":\"1\"}}", "{\"t\":{\"0\":-3}}", "{\"t\":{\"0\":NaN}}",
        "{\"t\":{\"0\":99999999999999999999}}", "{\"t\":{\"0\":null}}", "{\"t\":{\"0\":{}}}", "{\"t\":[0]}", "{\"t\":{\"0\":1,\"0\":2}}", "{\"t\":{\"0\":1},\"t\":{\"0\":1}}",
        "{\"\":{\"0\":1}}", "{\"a b\":{\"0\":1}}", "{\"a/b\":{\"0\":1}}", "{\"..\":{\"0\":1}}", "{\"\\u0000\":{\"0\":1}}", "{\"t\":{\"0\":1}}}", "{'t':{'0':1}}", "{\"t\":{0:1}}",
        "{\"t\":{\"0\":- 1}}", "{\"t\":{\"0\":+1}}", "{\"t\":{\"0\":0x1}}", "{\"t\":{\"0\":01}}", "earliest",
    };
    struct arena arena;
    struct kafka_offsets out;
    arena_init(&arena, &memory);
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        if (kafka_offsets_parse(&arena, broken[i], false, "startingOffsets", &out, &error) != STATUS_INVALID_ARGUMENT) fail_msg("taken: %s", broken[i]);
        assert_non_null(strstr(error.message, "startingOffsets"));
    }
    for (const char *const *s = (const char *const[]){"{\"t\":{\"0\":1}}", "{\"t\":[-1]}", "{\"t\":[0,0]}", "{\"t\":[2147483648]}", "{\"t\":[0", NULL}; *s; s++) {
        if (kafka_offsets_parse(&arena, *s, true, "assign", &out, &error) != STATUS_INVALID_ARGUMENT) fail_msg("taken: %s", *s);
    }
    char *deep = malloc(200001);
    memset(deep, '{', 200000);
    deep[200000] = 0;
    assert_int_equal(kafka_offsets_parse(&arena, deep, false, "x", &out, &error), STATUS_INVALID_ARGUMENT);
    free(deep);
    const char *topic;
    int32_t partition;
    for (const char *const *s = (const char *const[]){"", "t", "-1", "t-", "t-x", "t-01", "t--1x", "t-2147483648", "a b-1", NULL}; *s; s++) {
        assert_false(kafka_partition_split(&arena, *s, &topic, &partition));
    }
    assert_false(kafka_partition_split(&arena, NULL, &topic, &partition));
    arena_release(&arena);
}

static void test_record(void **state) {
    (void)state;
    struct sink_record record = {.pipeline = {1, 2, 3, 0xff}, .incarnation = 7, .epoch = UINT64_MAX, .digest = 0x123456789abcdef0}, back;
    char text[KAFKA_RECORD_CHARS];
    kafka_record_print(&record, text);
    assert_true(kafka_record_parse(text, record.pipeline, &back));
    assert_memory_equal(&record, &back, sizeof record);
    uint8_t other[16] = {9};
    assert_false(kafka_record_parse(text, other, &back));
    for (size_t size = strlen(text); size-- > 0;) {  // cut anywhere
        char cut[KAFKA_RECORD_CHARS];
        memcpy(cut, text, size);
        cut[size] = 0;
        assert_false(kafka_record_parse(cut, record.pipeline, &back));
    }
    char longer[KAFKA_RECORD_CHARS + 1];
    snprintf(longer, sizeof longer, "%s0", text);
    assert_false(kafka_record_parse(longer, record.pipeline, &back));
    assert_false(kafka_record_parse(NULL, record.pipeline, &back));
}

int main(void) {
    memory_init(&memory, "test", NULL, 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mapping), cmocka_unit_test(test_jaas), cmocka_unit_test(test_refused), cmocka_unit_test(test_stores), cmocka_unit_test(test_secret_names),
        cmocka_unit_test(test_warnings), cmocka_unit_test(test_errors), cmocka_unit_test(test_words), cmocka_unit_test(test_drawn),
        cmocka_unit_test(test_offsets), cmocka_unit_test(test_record),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return failed || memory_used(&memory) ? 1 : 0;
}
