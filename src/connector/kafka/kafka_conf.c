// SPDX-License-Identifier: Apache-2.0
// kafka_conf.c: the kafka.* options of a table → librdkafka's configuration.
//
//     'kafka.<property>' ─► rule of the table below ─► given on (perhaps under librdkafka's name), passed over with a warning, or refused
//                        └► no rule: librdkafka's own name, or an error with a suggestion
//
// Users come with the properties of Kafka's Java client, which Spark passes on; librdkafka has most of them under the same name. What a Java
// class would do (serializers, interceptors, key stores in Java's own format) is refused, saying what to write instead; what only tunes
// the Java client's insides is passed over. Secrets are resolved here, given to librdkafka, wiped, and never part of a message: librdkafka's
// own words about a secret's value are not repeated.
#include "connector/kafka/kafka.h"
#include <errno.h>
#include <fcntl.h>
#include <strings.h>
#include <unistd.h>

enum rule_kind {
    RULE_GIVE,         // to librdkafka, as `other` if it has another name
    RULE_GIVE_IF_KNOWN,  // likewise, if this librdkafka has it; else passed over
    RULE_PASS_OVER,    // means nothing here
    RULE_REFUSE,       // `text` says why and what to do
    RULE_COLLECT,      // belongs to a group that is read as a whole (TLS stores, JAAS)
};
enum { FOR_CONSUMER = 1 << KAFKA_CONSUMER, FOR_PRODUCER = 1 << KAFKA_PRODUCER, FOR_ADMIN = 1 << KAFKA_ADMIN, FOR_ALL = FOR_CONSUMER | FOR_PRODUCER | FOR_ADMIN };

struct rule {
    const char *name;
    enum rule_kind kind;
    unsigned uses;        // for other uses it is passed over
    const char *other;
    const char *text;
};

#define MANAGED "leat keeps the positions itself, in its log; "
static const struct rule rules[] = {
    // Refused as by Spark.
    {"auto.offset.reset", RULE_REFUSE, FOR_ALL, NULL, "set the source option startingOffsets to 'earliest' or 'latest': " MANAGED "what is new while it runs is read from its beginning"},
    {"key.deserializer", RULE_REFUSE, FOR_ALL, NULL, "keys come as BINARY; CAST(key AS STRING) or a function of the query decodes them"},
    {"value.deserializer", RULE_REFUSE, FOR_ALL, NULL, "values come as BINARY; CAST(value AS STRING) or from_json in the query decodes them"},
    {"key.serializer", RULE_REFUSE, FOR_ALL, NULL, "keys are written as the bytes of a STRING or BINARY column; encode them in the query"},
    {"value.serializer", RULE_REFUSE, FOR_ALL, NULL, "values are written as the bytes of a STRING or BINARY column; encode them in the query, for instance with to_json"},
    {"enable.auto.commit", RULE_REFUSE, FOR_ALL, NULL, MANAGED "nothing is committed behind its back"},
    {"enable.auto.offset.store", RULE_REFUSE, FOR_ALL, NULL, MANAGED "nothing is committed behind its back"},
    {"auto.commit.enable", RULE_REFUSE, FOR_ALL, NULL, MANAGED "nothing is committed behind its back"},
    {"interceptor.classes", RULE_REFUSE, FOR_ALL, NULL, "interceptors are Java classes, and could change what is read or written; do it in the query"},
    // Decided by leat.
    {"transactional.id", RULE_REFUSE, FOR_ALL, NULL, "leat names its transactions after the pipeline; 'leat.idPrefix' sets how the name begins, for access rules by prefix"},
    {"plugin.library.paths", RULE_REFUSE, FOR_ALL, NULL, "plug-ins could change what is read or written"},
    {"ssl.engine.location", RULE_REFUSE, FOR_ALL, NULL, "it would load a library into leat; name certificates and keys with the other kafka.ssl.* options"},
    {"ssl.engine.id", RULE_REFUSE, FOR_ALL, NULL, "it would load a library into leat; name certificates and keys with the other kafka.ssl.* options"},
    {"ssl.providers", RULE_REFUSE, FOR_ALL, NULL, "it would load libraries into leat; an old PKCS#12 store is made anew with: openssl pkcs12 -legacy"},
    {"sasl.kerberos.kinit.cmd", RULE_REFUSE, FOR_ALL, NULL, "it would run a program; let kinit get the ticket before leat starts"},
    {"test.mock.num.brokers", RULE_REFUSE, FOR_ALL, NULL, "messages would go to brokers that forget them"},
    {"delivery.report.only.error", RULE_REFUSE, FOR_ALL, NULL, "leat counts what brokers have acknowledged"},
    {"ssl.engine.factory.class", RULE_REFUSE, FOR_ALL, NULL, "it is a Java class; name certificates and keys with the other kafka.ssl.* options"},
    {"sasl.login.callback.handler.class", RULE_REFUSE, FOR_ALL, NULL, "it is a Java class; give user and password, or the OAuth options of librdkafka (kafka.sasl.oauthbearer.…)"},
    {"sasl.client.callback.handler.class", RULE_REFUSE, FOR_ALL, NULL, "it is a Java class; give user and password, or the OAuth options of librdkafka (kafka.sasl.oauthbearer.…)"},
    {"sasl.login.class", RULE_REFUSE, FOR_ALL, NULL, "it is a Java class; give user and password, or the OAuth options of librdkafka (kafka.sasl.oauthbearer.…)"},
    {"security.providers", RULE_REFUSE, FOR_ALL, NULL, "they are Java classes; OpenSSL does the work here"},
    // Read as a whole.
    {"sasl.jaas.config", RULE_COLLECT, FOR_ALL, NULL, NULL},
    {"sasl.mechanism", RULE_COLLECT, FOR_ALL, "sasl.mechanisms", NULL},
    {"sasl.mechanisms", RULE_COLLECT, FOR_ALL, NULL, NULL},
    {"ssl.truststore.location", RULE_COLLECT, FOR_ALL, NULL, NULL},
    {"ssl.truststore.type", RULE_COLLECT, FOR_ALL, NULL, NULL},
    {"ssl.truststore.password", RULE_COLLECT, FOR_ALL, NULL, NULL},
    {"ssl.keystore.location", RULE_COLLECT, FOR_ALL, NULL, NULL},
    {"ssl.keystore.type", RULE_COLLECT, FOR_ALL, NULL, NULL},
    {"ssl.keystore.password", RULE_COLLECT, FOR_ALL, NULL, NULL},
    {"partitioner.class", RULE_COLLECT, FOR_PRODUCER, NULL, NULL},
    {"partitioner.ignore.keys", RULE_COLLECT, FOR_PRODUCER, NULL, NULL},
    {"ssl.endpoint.identification.algorithm", RULE_COLLECT, FOR_ALL, NULL, NULL},
    {"buffer.memory", RULE_COLLECT, FOR_PRODUCER, NULL, NULL},
    // The same under another name.
    {"ssl.truststore.certificates", RULE_GIVE, FOR_ALL, "ssl.ca.pem", NULL},
    {"ssl.keystore.certificate.chain", RULE_GIVE, FOR_ALL, "ssl.certificate.pem", NULL},
    {"ssl.keystore.key", RULE_GIVE, FOR_ALL, "ssl.key.pem", NULL},
    {"fetch.max.wait.ms", RULE_GIVE, FOR_CONSUMER, "fetch.wait.max.ms", NULL},
    {"max.request.size", RULE_GIVE, FOR_PRODUCER, "message.max.bytes", NULL},
    {"send.buffer.bytes", RULE_COLLECT, FOR_ALL, "socket.send.buffer.bytes", NULL},
    {"receive.buffer.bytes", RULE_COLLECT, FOR_ALL, "socket.receive.buffer.bytes", NULL},
    {"request.timeout.ms", RULE_COLLECT, FOR_ALL, NULL, NULL},
    {"compression.gzip.level", RULE_GIVE, FOR_PRODUCER, "compression.level", NULL},
    {"compression.lz4.level", RULE_GIVE, FOR_PRODUCER, "compression.level", NULL},
    {"compression.zstd.level", RULE_GIVE, FOR_PRODUCER, "compression.level", NULL},
    // Known here, for the other side there.
    {"acks", RULE_GIVE, FOR_PRODUCER, NULL, NULL},
    {"linger.ms", RULE_GIVE, FOR_PRODUCER, NULL, NULL},
    {"batch.size", RULE_GIVE, FOR_PRODUCER, NULL, NULL},
    {"compression.type", RULE_GIVE, FOR_PRODUCER, NULL, NULL},
    {"delivery.timeout.ms", RULE_GIVE, FOR_PRODUCER, NULL, NULL},
    {"enable.idempotence", RULE_GIVE, FOR_PRODUCER, NULL, NULL},
    {"max.in.flight.requests.per.connection", RULE_GIVE, FOR_PRODUCER, NULL, NULL},
    {"retries", RULE_GIVE, FOR_PRODUCER, NULL, NULL},
    {"transaction.timeout.ms", RULE_GIVE, FOR_PRODUCER, NULL, NULL},
    {"isolation.level", RULE_GIVE, FOR_CONSUMER, NULL, NULL},
    {"fetch.min.bytes", RULE_GIVE, FOR_CONSUMER, NULL, NULL},
    {"fetch.max.bytes", RULE_GIVE, FOR_CONSUMER, NULL, NULL},
    {"max.partition.fetch.bytes", RULE_GIVE, FOR_CONSUMER, NULL, NULL},
    {"max.poll.interval.ms", RULE_GIVE, FOR_CONSUMER, NULL, NULL},
    {"group.id", RULE_GIVE, FOR_CONSUMER, NULL, NULL},
    {"group.instance.id", RULE_GIVE, FOR_CONSUMER, NULL, NULL},
    {"session.timeout.ms", RULE_GIVE, FOR_CONSUMER, NULL, NULL},
    {"heartbeat.interval.ms", RULE_GIVE, FOR_CONSUMER, NULL, NULL},
    {"check.crcs", RULE_GIVE, FOR_CONSUMER, NULL, NULL},
    {"client.rack", RULE_GIVE, FOR_CONSUMER, NULL, NULL},
    {"allow.auto.create.topics", RULE_GIVE, FOR_CONSUMER, NULL, NULL},
    {"client.dns.lookup", RULE_GIVE_IF_KNOWN, FOR_ALL, NULL, NULL},
    {"retry.backoff.max.ms", RULE_GIVE_IF_KNOWN, FOR_ALL, NULL, NULL},
    {"fetch.queue.backoff.ms", RULE_GIVE_IF_KNOWN, FOR_CONSUMER, NULL, NULL},
    // Insides of the Java client.
    {"max.block.ms", RULE_PASS_OVER, FOR_ALL, NULL, NULL},
    {"max.poll.records", RULE_PASS_OVER, FOR_ALL, NULL, NULL},
    {"default.api.timeout.ms", RULE_PASS_OVER, FOR_ALL, NULL, NULL},
    {"exclude.internal.topics", RULE_PASS_OVER, FOR_ALL, NULL, NULL},
    {"partition.assignment.strategy", RULE_PASS_OVER, FOR_ALL, NULL, NULL},
    {"partitioner.adaptive.partitioning.enable", RULE_PASS_OVER, FOR_ALL, NULL, NULL},
    {"partitioner.availability.timeout.ms", RULE_PASS_OVER, FOR_ALL, NULL, NULL},
    {"socket.connection.setup.timeout.max.ms", RULE_PASS_OVER, FOR_ALL, NULL, NULL},
    {"metric.reporters", RULE_PASS_OVER, FOR_ALL, NULL, NULL},
    {"metrics.num.samples", RULE_PASS_OVER, FOR_ALL, NULL, NULL},
    {"metrics.recording.level", RULE_PASS_OVER, FOR_ALL, NULL, NULL},
    {"metrics.sample.window.ms", RULE_PASS_OVER, FOR_ALL, NULL, NULL},
    {"auto.include.jmx.reporter", RULE_PASS_OVER, FOR_ALL, NULL, NULL},
    {"enable.metrics.push", RULE_GIVE_IF_KNOWN, FOR_ALL, NULL, NULL},
    {"group.protocol", RULE_PASS_OVER, FOR_ALL, NULL, NULL},
    {"auto.commit.interval.ms", RULE_PASS_OVER, FOR_ALL, NULL, NULL},
    {"ssl.protocol", RULE_PASS_OVER, FOR_ALL, NULL, NULL},
    {"ssl.enabled.protocols", RULE_PASS_OVER, FOR_ALL, NULL, NULL},
    {"ssl.provider", RULE_PASS_OVER, FOR_ALL, NULL, NULL},
    {"ssl.keymanager.algorithm", RULE_PASS_OVER, FOR_ALL, NULL, NULL},
    {"ssl.trustmanager.algorithm", RULE_PASS_OVER, FOR_ALL, NULL, NULL},
    {"ssl.secure.random.implementation", RULE_PASS_OVER, FOR_ALL, NULL, NULL},
};
enum { RULE_COUNT = sizeof rules / sizeof rules[0] };

struct key_store {
    const struct option_value *location, *type, *password;
};

struct making {
    const struct option_set *options;
    enum kafka_use use;
    bool offline;              // values with placeholders are not looked at, files neither
    struct arena arena;
    rd_kafka_conf_t *conf;
    struct key_store trust, own;
    const struct option_value *jaas, *mechanism;
    struct error *e;
};

// The property of a kafka.* option; NULL: it is none. Properties are matched without case, as Spark's options are.
static const char *property_of(const struct option_value *v, char *out, size_t size_bytes) {
    if (!v->is_set || strncasecmp(v->key, "kafka.", 6) != 0 || strlen(v->key) - 6 >= size_bytes) return NULL;
    size_t n = 0;
    for (const char *s = v->key + 6; *s; s++) out[n++] = (char)(*s >= 'A' && *s <= 'Z' ? *s + ('a' - 'A') : *s);
    out[n] = 0;
    return out;
}

static const struct rule *find_rule(const char *property) {
    for (size_t i = 0; i < RULE_COUNT; i++) {
        if (strcmp(rules[i].name, property) == 0) return &rules[i];
    }
    return NULL;
}

bool kafka_option_is_secret(const char *key) { return option_is_secret(key); }

static enum status bad_option(const struct option_value *v, struct error *e, const char *condition, const char *text) {
    (void)error_set(e, STATUS_INVALID_ARGUMENT, condition, "Kafka option `%s` %s", v->key, text);
    if (e) e->span = v->span;
    return STATUS_INVALID_ARGUMENT;
}


// NULL in *out when offline and not to be known yet.
static enum status resolve(struct making *m, const struct option_value *v, const char **out) {
    *out = v->text;
    if (!option_has_placeholder(v->text)) return STATUS_OK;
    *out = NULL;
    if (m->offline) return STATUS_OK;
    enum status status = option_resolve(&m->arena, v->text, out, m->e);
    if (status != STATUS_OK && m->e) m->e->span = v->span;
    return status;
}

static void wipe(const struct option_value *v, const char *resolved) {
    if (resolved && resolved != v->text) explicit_bzero((char *)(uintptr_t)resolved, strlen(resolved));
}

static enum status report_unknown(struct making *m, const struct option_value *v, const char *property) {
    size_t count = 0, dumped = 0;
    const char **dump = rd_kafka_conf_dump(m->conf, &dumped);
    const char **names = arena_alloc_array(&m->arena, RULE_COUNT + dumped + 1, sizeof *names);
    if (!names) {
        rd_kafka_conf_dump_free(dump, dumped);
        return error_no_memory(m->e);
    }
    for (size_t i = 0; i < RULE_COUNT; i++) {
        if (rules[i].kind != RULE_REFUSE && rules[i].kind != RULE_PASS_OVER) names[count++] = rules[i].name;
    }
    for (size_t i = 0; i + 1 < dumped; i += 2) names[count++] = dump[i];
    const char *near = suggest(property, names, count);
    (void)bad_option(v, m->e, "LEAT_UNKNOWN_OPTION", "is neither known to librdkafka nor to Kafka's Java client");
    if (near) error_set_hint(m->e, "did you mean `kafka.%s`?", near);
    else error_set_hint(m->e, "properties are those of librdkafka %s (its CONFIGURATION.md), and of the Java client where they have a meaning here", rd_kafka_version_str());
    rd_kafka_conf_dump_free(dump, dumped);
    return STATUS_INVALID_ARGUMENT;
}

// What librdkafka says of a value, unless it is a secret's.
static enum status report_refused(struct making *m, const struct option_value *v, const char *reason) {
    (void)bad_option(v, m->e, "LEAT_INVALID_OPTION", "has a value that the client does not take");
    if (!kafka_option_is_secret(v->key)) error_set_hint(m->e, "librdkafka says: %s", reason);
    return STATUS_INVALID_ARGUMENT;
}

static enum status give(struct making *m, const struct option_value *v, const char *property, const char *value, bool if_known) {
    char reason[512] = "";
    if (!value) return STATUS_OK;
    rd_kafka_conf_res_t result = rd_kafka_conf_set(m->conf, property, value, reason, sizeof reason);
    if (result == RD_KAFKA_CONF_OK || (result == RD_KAFKA_CONF_UNKNOWN && if_known)) return STATUS_OK;
    return result == RD_KAFKA_CONF_UNKNOWN ? report_unknown(m, v, property) : report_refused(m, v, reason);
}

static enum status give_option(struct making *m, const struct option_value *v, const char *property, bool if_known) {
    const char *value;
    TRY(resolve(m, v, &value));
    enum status status = give(m, v, property, value, if_known);
    wipe(v, value);
    return status;
}

// --- options that are more than one property ---

static enum status give_partitioner(struct making *m, const struct option_value *v, const char *value) {
    static const struct { const char *class, *partitioner; } known[] = {
        {"org.apache.kafka.clients.producer.internals.DefaultPartitioner", "murmur2_random"},
        {"org.apache.kafka.clients.producer.UniformStickyPartitioner", "random"},
        {"org.apache.kafka.clients.producer.RoundRobinPartitioner", "random"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(value, known[i].class) == 0) return give(m, v, "partitioner", known[i].partitioner, false);
    }
    (void)bad_option(v, m->e, "LEAT_INVALID_OPTION", "names a Java class, which a native client cannot load");
    error_set_hint(m->e, "set kafka.partitioner to one of librdkafka's (murmur2_random, the default here, is what the Java client does), or give the rows a `partition` column");
    return STATUS_INVALID_ARGUMENT;
}

static bool whole_number(const char *text, long long *out) {
    char *end;
    *out = strtoll(text, &end, 10);
    return end > text && !*end;
}

static enum status give_converted(struct making *m, const struct option_value *v, const struct rule *rule, const char *value) {
    char text[32];
    long long number;
    if (strcmp(rule->name, "partitioner.class") == 0) return give_partitioner(m, v, value);
    if (strcmp(rule->name, "partitioner.ignore.keys") == 0) return strcasecmp(value, "true") == 0 ? give(m, v, "partitioner", "random", false) : STATUS_OK;
    if (strcmp(rule->name, "ssl.endpoint.identification.algorithm") == 0) return give(m, v, rule->name, *value ? value : "none", false);
    if (!whole_number(value, &number)) return bad_option(v, m->e, "LEAT_INVALID_OPTION", "must be a whole number");
    if (strcmp(rule->name, "request.timeout.ms") == 0) return give(m, v, m->use == KAFKA_PRODUCER ? "request.timeout.ms" : "socket.timeout.ms", value, false);
    bool memory = strcmp(rule->name, "buffer.memory") == 0;
    if (memory && number < 1024) return bad_option(v, m->e, "LEAT_INVALID_OPTION", "must be 1024 bytes at least");
    snprintf(text, sizeof text, "%lld", memory ? number / 1024 : number < 0 ? 0 : number);
    return give(m, v, memory ? "queue.buffering.max.kbytes" : rule->other, text, false);
}

static enum status collect(struct making *m, const struct option_value *v, const struct rule *rule) {
    const struct { const char *name; const struct option_value **place; } places[] = {
        {"sasl.jaas.config", &m->jaas}, {"sasl.mechanism", &m->mechanism}, {"sasl.mechanisms", &m->mechanism},
        {"ssl.truststore.location", &m->trust.location}, {"ssl.truststore.type", &m->trust.type}, {"ssl.truststore.password", &m->trust.password},
        {"ssl.keystore.location", &m->own.location}, {"ssl.keystore.type", &m->own.type}, {"ssl.keystore.password", &m->own.password},
    };
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (strcmp(places[i].name, rule->name) != 0) continue;
        *places[i].place = v;
        return STATUS_OK;
    }
    const char *value;
    TRY(resolve(m, v, &value));
    return value ? give_converted(m, v, rule, value) : STATUS_OK;
}

// --- TLS stores: the content of the file says what it is ---

enum store_format { FORMAT_PEM, FORMAT_PKCS12, FORMAT_JKS };

static enum status store_format(struct making *m, const struct option_value *v, const char *path, enum store_format *out) {
    uint8_t head[4] = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, head, sizeof head);
    int reason = errno;
    if (fd >= 0) close(fd);
    if (size < 0) {
        (void)error_set_errno(m->e, reason, "Kafka option `%s`: cannot read `%s`", v->key, path);
        if (m->e) m->e->span = v->span;
        return STATUS_IO;
    }
    static const uint8_t jks[4] = {0xfe, 0xed, 0xfe, 0xed}, jceks[4] = {0xce, 0xce, 0xce, 0xce};
    bool java = size == 4 && (memcmp(head, jks, 4) == 0 || memcmp(head, jceks, 4) == 0);
    *out = java ? FORMAT_JKS : size == 4 && head[0] == 0x30 ? FORMAT_PKCS12 : FORMAT_PEM;
    return STATUS_OK;
}

static enum status refuse_store(struct making *m, const struct option_value *v, const char *path, enum store_format format, bool trust) {
    (void)error_set(m->e, STATUS_INVALID_ARGUMENT, "LEAT_INVALID_OPTION", "Kafka option `%s`: `%s` is a %s", v->key, path,
                    format == FORMAT_JKS ? "Java key store (JKS), which only Java can read" : "PKCS#12 store; certificates to trust must be a PEM file");
    if (m->e) m->e->span = v->span;
    if (trust && format == FORMAT_JKS) error_set_hint(m->e, "make a PEM file of it: keytool -exportcert -rfc -keystore %.120s -alias NAME -file ca.pem; then 'kafka.ssl.truststore.location' = 'ca.pem'", path);
    else if (trust) error_set_hint(m->e, "make a PEM file of it: openssl pkcs12 -in %.120s -nokeys -out ca.pem; then 'kafka.ssl.truststore.location' = 'ca.pem'", path);
    else error_set_hint(m->e, "convert it: keytool -importkeystore -srckeystore %.120s -destkeystore client.p12 -deststoretype PKCS12; then 'kafka.ssl.keystore.location' = 'client.p12'", path);
    return STATUS_INVALID_ARGUMENT;
}

static enum status give_stores(struct making *m) {
    enum store_format format;
    const char *path;
    if (m->trust.location) {
        TRY(resolve(m, m->trust.location, &path));
        if (path && !m->offline) {
            TRY(store_format(m, m->trust.location, path, &format));
            if (format != FORMAT_PEM) return refuse_store(m, m->trust.location, path, format, true);
            TRY(give(m, m->trust.location, "ssl.ca.location", path, false));
        }
    }
    if (!m->own.location) return STATUS_OK;
    TRY(resolve(m, m->own.location, &path));
    if (!path || m->offline) return STATUS_OK;
    TRY(store_format(m, m->own.location, path, &format));
    if (format == FORMAT_JKS) return refuse_store(m, m->own.location, path, format, false);
    if (format == FORMAT_PKCS12) {
        if (m->own.password) TRY(give_option(m, m->own.password, "ssl.keystore.password", false));
        return give(m, m->own.location, "ssl.keystore.location", path, false);
    }
    TRY(give(m, m->own.location, "ssl.certificate.location", path, false));  // certificates and key in one file
    return give(m, m->own.location, "ssl.key.location", path, false);
}

// --- JAAS: `org.apache….ScramLoginModule required username="u" password="p";` ---

enum { JAAS_WORD_BYTES = 1024 };

static const char *jaas_blanks(const char *s) {
    while (*s == ' ' || *s == '\t' || *s == '\n' || *s == '\r') s++;
    return s;
}

// A bare word, or a quoted string with backslashes. False: none, or too long.
static bool jaas_word(const char **text, char out[JAAS_WORD_BYTES]) {
    const char *s = jaas_blanks(*text);
    size_t n = 0;
    if (*s == '"' || *s == '\'') {
        char quote = *s++;
        for (; *s && *s != quote; s++) {
            if (*s == '\\' && s[1]) s++;
            if (n == JAAS_WORD_BYTES - 1) return false;
            out[n++] = *s;
        }
        if (*s != quote) return false;
        s++;
    } else {
        while (*s && !strchr(" \t\r\n=;\"'", *s)) {
            if (n == JAAS_WORD_BYTES - 1) return false;
            out[n++] = *s++;
        }
        if (!n) return false;
    }
    out[n] = 0;
    *text = s;
    return true;
}

static enum status bad_jaas(struct making *m) {
    (void)bad_option(m->jaas, m->e, "LEAT_INVALID_OPTION", "cannot be read");
    error_set_hint(m->e, "it looks like: org.apache.kafka.common.security.scram.ScramLoginModule required username=\"…\" password=\"…\"; (or give kafka.sasl.username and kafka.sasl.password)");
    return STATUS_INVALID_ARGUMENT;
}

static const char *jaas_property(const char *name) {
    static const char *const names[][2] = {
        {"username", "sasl.username"}, {"password", "sasl.password"}, {"keyTab", "sasl.kerberos.keytab"}, {"principal", "sasl.kerberos.principal"},
        {"serviceName", "sasl.kerberos.service.name"}, {"clientId", "sasl.oauthbearer.client.id"}, {"clientSecret", "sasl.oauthbearer.client.secret"},
        {"scope", "sasl.oauthbearer.scope"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i][0], name) == 0) return names[i][1];
    }
    return NULL;
}

static enum status give_jaas_items(struct making *m, const char *s) {
    char name[JAAS_WORD_BYTES], value[JAAS_WORD_BYTES];
    enum status status = STATUS_OK;
    for (s = jaas_blanks(s); status == STATUS_OK && *s && *s != ';'; s = jaas_blanks(s)) {
        if (!jaas_word(&s, name) || *(s = jaas_blanks(s)) != '=') return bad_jaas(m);
        s++;
        if (!jaas_word(&s, value)) return bad_jaas(m);
        const char *property = jaas_property(name);
        if (property) status = give(m, m->jaas, property, value, false);
    }
    explicit_bzero(value, sizeof value);
    return status == STATUS_OK && *s != ';' ? bad_jaas(m) : status;
}

static enum status give_jaas(struct making *m, const char *text) {
    char module[JAAS_WORD_BYTES], flag[JAAS_WORD_BYTES];
    if (!jaas_word(&text, module) || !jaas_word(&text, flag)) return bad_jaas(m);
    const char *name = strrchr(module, '.') ? strrchr(module, '.') + 1 : module;
    bool plain = strcmp(name, "PlainLoginModule") == 0, scram = strcmp(name, "ScramLoginModule") == 0, oauth = strcmp(name, "OAuthBearerLoginModule") == 0;
    if (!plain && !scram && !oauth && strcmp(name, "Krb5LoginModule") != 0) {
        (void)bad_option(m->jaas, m->e, "LEAT_INVALID_OPTION", "names a login module that is not PlainLoginModule, ScramLoginModule, OAuthBearerLoginModule or Krb5LoginModule");
        error_set_hint(m->e, "give kafka.sasl.mechanism, kafka.sasl.username and kafka.sasl.password");
        return STATUS_INVALID_ARGUMENT;
    }
    if (!m->mechanism && scram) {
        (void)bad_option(m->jaas, m->e, "LEAT_MISSING_OPTION", "has a ScramLoginModule; which SCRAM is not said");
        error_set_hint(m->e, "add 'kafka.sasl.mechanism' = 'SCRAM-SHA-512' (or SCRAM-SHA-256), as the brokers have it");
        return STATUS_INVALID_ARGUMENT;
    }
    if (!m->mechanism && (plain || oauth)) TRY(give(m, m->jaas, "sasl.mechanisms", plain ? "PLAIN" : "OAUTHBEARER", false));
    return give_jaas_items(m, text);
}

// User and password that stand by themselves win over those of the JAAS text.
static enum status give_sasl(struct making *m) {
    if (m->mechanism) TRY(give_option(m, m->mechanism, "sasl.mechanisms", false));
    if (m->jaas) {
        const char *text;
        TRY(resolve(m, m->jaas, &text));
        enum status status = text ? give_jaas(m, text) : STATUS_OK;
        wipe(m->jaas, text);
        TRY(status);
    }
    static const char *const own[][2] = {{"kafka.sasl.username", "sasl.username"}, {"kafka.sasl.password", "sasl.password"}};
    for (int i = 0; i < 2; i++) {
        const struct option_value *v = option_get(m->options, own[i][0]);
        if (v) TRY(give_option(m, v, own[i][1], false));
    }
    return STATUS_OK;
}

// --- the whole ---

static enum status give_one(struct making *m, const struct option_value *v) {
    char property[256];
    if (!property_of(v, property, sizeof property)) {
        bool ours = v->is_set && strncasecmp(v->key, "kafka.", 6) == 0;
        return ours ? bad_option(v, m->e, "LEAT_UNKNOWN_OPTION", "has a name longer than any there is") : STATUS_OK;
    }
    const struct rule *rule = find_rule(property);
    if (!rule) return give_option(m, v, property, false);
    if (rule->kind == RULE_REFUSE) {
        (void)error_set(m->e, STATUS_INVALID_ARGUMENT, "LEAT_INVALID_OPTION", "Kafka option '%s' is not supported", rule->name);
        if (m->e) m->e->span = v->span;
        error_set_hint(m->e, "%s", rule->text);
        return STATUS_INVALID_ARGUMENT;
    }
    if (rule->kind == RULE_PASS_OVER || !(rule->uses >> m->use & 1)) return STATUS_OK;
    if (rule->kind == RULE_COLLECT) return collect(m, v, rule);
    return give_option(m, v, rule->other ? rule->other : property, rule->kind == RULE_GIVE_IF_KNOWN);
}

static enum status set_defaults(struct making *m) {
    static const struct { unsigned uses; const char *property, *value; } defaults[] = {
        {FOR_ALL, "client.id", "leat"},
        {FOR_ALL, "log.connection.close", "true"},  // it says why a connection may have been closed; kafka_client.c keeps it
        {FOR_ALL, "socket.keepalive.enable", "true"},
        {FOR_ALL, "socket.nagle.disable", "true"},
        {FOR_ALL, "ssl.endpoint.identification.algorithm", "https"},
        {FOR_ALL, "reconnect.backoff.max.ms", "2000"},
        {FOR_CONSUMER, "enable.auto.commit", "false"},
        {FOR_CONSUMER, "enable.auto.offset.store", "false"},
        {FOR_PRODUCER, "partitioner", "murmur2_random"},  // as the Java client: equal keys of other programs share a partition with ours
    };
    char reason[256];
    for (size_t i = 0; i < sizeof defaults / sizeof defaults[0]; i++) {
        if (!(defaults[i].uses >> m->use & 1)) continue;
        if (rd_kafka_conf_set(m->conf, defaults[i].property, defaults[i].value, reason, sizeof reason) != RD_KAFKA_CONF_OK)
            return error_set(m->e, STATUS_INTERNAL, "INTERNAL_ERROR", "librdkafka %s refuses %s: %s", rd_kafka_version_str(), defaults[i].property, reason);
    }
    return STATUS_OK;
}

static enum status make(struct making *m) {
    const struct option_value *servers = option_get(m->options, "kafka.bootstrap.servers");
    if (!servers || !*servers->text) {
        (void)error_set(m->e, STATUS_INVALID_ARGUMENT, "LEAT_MISSING_OPTION", "the option `kafka.bootstrap.servers` is missing");
        error_set_hint(m->e, "brokers to begin with: 'kafka.bootstrap.servers' = 'host:9092'");
        return STATUS_INVALID_ARGUMENT;
    }
    TRY(set_defaults(m));
    for (uint32_t i = 0; i < m->options->count; i++) TRY(give_one(m, &m->options->values[i]));
    TRY(give_stores(m));
    return give_sasl(m);
}

static enum status make_conf(const struct option_set *options, enum kafka_use use, bool offline, struct memory *memory, rd_kafka_conf_t **out, struct error *e) {
    struct making m = {.options = options, .use = use, .offline = offline, .conf = rd_kafka_conf_new(), .e = e};
    arena_init(&m.arena, memory);
    enum status status = make(&m);
    arena_release(&m.arena);
    if (status == STATUS_OK && out) *out = m.conf;
    else rd_kafka_conf_destroy(m.conf);
    return status;
}

enum status kafka_conf_make(const struct option_set *options, enum kafka_use use, struct memory *memory, rd_kafka_conf_t **out, struct error *e) {
    return make_conf(options, use, false, memory, out, e);
}

enum status kafka_conf_check(const struct option_set *options, enum kafka_use use, struct memory *memory, struct error *e) {
    return make_conf(options, use, true, memory, NULL, e);
}

void kafka_conf_warn(const struct option_set *options, enum kafka_use use, const char *who, struct log *log) {
    char property[256];
    for (uint32_t i = 0; log && i < options->count; i++) {
        const struct option_value *v = &options->values[i];
        if (!property_of(v, property, sizeof property)) continue;
        const struct rule *rule = find_rule(property);
        if (rule && (rule->kind == RULE_PASS_OVER || !(rule->uses >> use & 1))) {
            log_write(log, LOG_WARN, "%s: the option `%s` has no meaning here and is passed over", who, v->key);
        }
    }
}
