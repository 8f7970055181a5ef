// SPDX-License-Identifier: Apache-2.0
// cassandra_options.c: the table of options, and what they mean together. Each option has leat's name and, where there is one, the Spark
// connector's; leat's wins. Java key stores are refused with the command that makes a PEM file of them.
#include "base/checksum.h"
#include "base/files.h"
#include "connector/cassandra/cassandra.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#define CONNECTION_OPTIONS                                                                                                                            \
    {"host", OPTION_STRING, "localhost", false, false, NULL, "contact points, separated by commas: host or host:port"},                              \
    {"port", OPTION_INT, "9042", false, false, NULL, "port of contact points without one, and of the hosts they tell"},                               \
    {"keyspace", OPTION_STRING, NULL, true, false, NULL, "keyspace, its letters' case as the server has it"},                                         \
    {"table", OPTION_STRING, NULL, false, false, NULL, "table in the keyspace, its letters' case as the server has it; by default the table's own name"}, \
    {"user", OPTION_STRING, NULL, false, false, NULL, "user to log in as"},                                                                           \
    {"password", OPTION_STRING, NULL, false, true, NULL, "password: '${env:NAME}' or '${file:PATH}'"},                                                \
    {"datacenter", OPTION_STRING, NULL, false, false, NULL, "datacenter whose hosts are spoken to; by default that of the first host that answers"},  \
    {"tls", OPTION_BOOLEAN, "false", false, false, NULL, "encrypts the connection and checks the server's certificate and name"},                    \
    {"caFile", OPTION_PATH, NULL, false, false, NULL, "certificates (PEM) that vouch for the server, instead of the system's"},                       \
    {"certFile", OPTION_PATH, NULL, false, false, NULL, "certificate (PEM) that vouches for leat"},                                                   \
    {"keyFile", OPTION_PATH, NULL, false, false, NULL, "its private key (PEM); by default in certFile"},                                              \
    {"keyPassword", OPTION_STRING, NULL, false, true, NULL, "password of the private key"},                                                           \
    {"hostCheck", OPTION_BOOLEAN, "true", false, false, NULL, "whether the certificate must name the host"},                                         \
    {"compression", OPTION_ENUM, "lz4", false, false, "lz4|none", "of what is sent"},                                                                \
    {"timeout", OPTION_DURATION, "20 s", false, false, NULL, "how long a request may take with its repetitions before the epoch is tried again"},     \
    {"spark.cassandra.connection.host", OPTION_STRING, NULL, false, false, NULL, "as host"},                                                          \
    {"spark.cassandra.connection.port", OPTION_INT, NULL, false, false, NULL, "as port"},                                                             \
    {"spark.cassandra.connection.localDC", OPTION_STRING, NULL, false, false, NULL, "as datacenter"},                                                 \
    {"spark.cassandra.connection.compression", OPTION_STRING, NULL, false, false, NULL, "as compression"},                                            \
    {"spark.cassandra.auth.username", OPTION_STRING, NULL, false, false, NULL, "as user"},                                                            \
    {"spark.cassandra.auth.password", OPTION_STRING, NULL, false, true, NULL, "as password"},                                                         \
    {"spark.cassandra.connection.ssl.enabled", OPTION_BOOLEAN, NULL, false, false, NULL, "as tls"},                                                   \
    {"spark.cassandra.connection.ssl.trustStore.path", OPTION_PATH, NULL, false, false, NULL, "as caFile: a PEM file"},                               \
    {"spark.cassandra.connection.ssl.trustStore.password", OPTION_STRING, NULL, false, true, NULL, "has no meaning for a PEM file"},                  \
    {"spark.cassandra.connection.ssl.keyStore.path", OPTION_PATH, NULL, false, false, NULL, "as certFile: a PEM file with certificate and key"},      \
    {"spark.cassandra.connection.ssl.keyStore.password", OPTION_STRING, NULL, false, true, NULL, "as keyPassword"}

const struct option cassandra_sink_options[] = {
    CONNECTION_OPTIONS,
    {"consistency", OPTION_STRING, "LOCAL_QUORUM", false, false, NULL, "how many replicas acknowledge a row: ONE, LOCAL_ONE, QUORUM, LOCAL_QUORUM, ALL …; the epoch's record takes LOCAL_QUORUM at least"},
    {"ttl", OPTION_STRING, NULL, false, false, NULL, "rows vanish after this time: seconds, or '7 days'"},
    {"leat.ignoreNulls", OPTION_BOOLEAN, "false", false, false, NULL, "leaves a cell as it is where the row has NULL, instead of writing NULL"},
    {"leat.create", OPTION_BOOLEAN, "false", false, false, NULL, "creates keyspace (SimpleStrategy, one copy) and table where they are absent"},
    {"batch", OPTION_ENUM, "replica_set", false, false, "none|partition|replica_set", "which rows may go together in an unlogged batch"},
    {"spark.cassandra.output.consistency.level", OPTION_STRING, NULL, false, false, NULL, "as consistency"},
    {"spark.cassandra.output.ttl", OPTION_STRING, NULL, false, false, NULL, "as ttl"},
    {"spark.cassandra.output.ignoreNulls", OPTION_BOOLEAN, NULL, false, false, NULL, "as leat.ignoreNulls"},
    {"spark.cassandra.output.batch.grouping.key", OPTION_ENUM, NULL, false, false, "none|partition|replica_set", "as batch"},
    {"spark.cassandra.output.batch.size.rows", OPTION_STRING, NULL, false, false, NULL, "most rows of a batch, 1 to 100; auto: 10"},
    {"spark.cassandra.output.batch.size.bytes", OPTION_SIZE, NULL, false, false, NULL, "most bytes of a batch of several rows, by default 4096"},
    {"spark.cassandra.output.concurrent.writes", OPTION_INT, NULL, false, false, NULL, "requests unanswered on a connection, 1 to 1024, by default 64"},
    {"spark.cassandra.*", OPTION_STRING, NULL, false, false, NULL, "other settings of the Spark connector: passed over, said once"},
    {NULL, OPTION_STRING, NULL, false, false, NULL, NULL},
};

const struct option cassandra_source_options[] = {
    CONNECTION_OPTIONS,
    {"consistency", OPTION_STRING, "LOCAL_ONE", false, false, NULL, "how many replicas are asked: ONE, LOCAL_ONE, QUORUM, LOCAL_QUORUM, ALL …"},
    {"pageRows", OPTION_INT, "5000", false, false, NULL, "rows asked for at a time, 1 to 100000"},
    {"spark.cassandra.input.consistency.level", OPTION_STRING, NULL, false, false, NULL, "as consistency"},
    {"spark.cassandra.input.fetch.sizeInRows", OPTION_INT, NULL, false, false, NULL, "as pageRows"},
    {"spark.cassandra.*", OPTION_STRING, NULL, false, false, NULL, "other settings of the Spark connector: passed over, said once"},
    {NULL, OPTION_STRING, NULL, false, false, NULL, NULL},
};

struct reading {
    const struct cassandra_place *place;
    struct arena *arena;
    struct error *e;
};

// By leat's name, else the Spark connector's, else leat's default.
static const struct option_value *value_of(const struct option_set *set, const char *name, const char *spark_name) {
    const struct option_value *own = option_get(set, name), *other = spark_name ? option_get(set, spark_name) : NULL;
    if (own && own->is_set) return own;
    return other && other->is_set ? other : own;
}

static enum status bad_option(struct reading *r, const struct option_value *v, const char *wanted) {
    (void)error_set(r->e, STATUS_INVALID_ARGUMENT, "LEAT_INVALID_OPTION", "the option `%s` of `%s` must be %s", v->key, r->place->table_name, wanted);
    if (r->e) r->e->span = v->span;
    if (!v->option->secret) error_set_value(r->e, v->text, strlen(v->text));
    error_set_hint(r->e, "%s", v->option->help);
    return STATUS_INVALID_ARGUMENT;
}


// *out NULL: not given, or not to be known offline.
static enum status text_of(struct reading *r, const char *name, const char *spark_name, const char **out) {
    const struct option_value *v = value_of(r->place->options, name, spark_name);
    *out = NULL;
    if (!v || (r->place->offline && option_has_placeholder(v->text))) return STATUS_OK;
    return option_resolve(r->arena, v->text, out, r->e);
}

static enum status whole_number(struct reading *r, const char *name, const char *spark_name, int64_t least, int64_t most, const char *wanted, int64_t *out) {
    const char *text;
    char *end;
    TRY(text_of(r, name, spark_name, &text));
    if (!text) return STATUS_OK;
    long long n = strtoll(text, &end, 10);
    if (end == text || *end || n < least || n > most) return bad_option(r, value_of(r->place->options, name, spark_name), wanted);
    *out = n;
    return STATUS_OK;
}

static enum status is_true(struct reading *r, const char *name, const char *spark_name, bool *out) {
    const char *text;
    TRY(text_of(r, name, spark_name, &text));
    if (!text) return STATUS_OK;
    bool yes = strcasecmp(text, "true") == 0;
    if (!yes && strcasecmp(text, "false") != 0) return bad_option(r, value_of(r->place->options, name, spark_name), "true or false");
    *out = yes;
    return STATUS_OK;
}

// --- hosts ---

static enum status read_hosts(struct reading *r, struct cassandra_settings *out) {
    const char *text;
    TRY(text_of(r, "host", "spark.cassandra.connection.host", &text));
    if (!text) return STATUS_OK;
    uint32_t most = 1;
    for (const char *p = text; *p; p++) most += *p == ',';
    out->hosts = arena_alloc_array(r->arena, most, sizeof *out->hosts);
    if (!out->hosts) return error_no_memory(r->e);
    for (const char *p = text;; p++) {
        const char *end = p + strcspn(p, ","), *last = end;
        while (p < last && (*p == ' ' || *p == '\t')) p++;
        while (last > p && (last[-1] == ' ' || last[-1] == '\t')) last--;
        if (last == p) return bad_option(r, value_of(r->place->options, "host", "spark.cassandra.connection.host"), "host names or addresses, separated by commas");
        if (!(out->hosts[out->host_count++] = arena_strndup(r->arena, p, (size_t)(last - p)))) return error_no_memory(r->e);
        if (!*end) return STATUS_OK;
        p = end;
    }
}

// --- TLS ---

static bool is_java_store(const char *path) {
    uint8_t head[4] = {0};
    static const uint8_t jks[4] = {0xfe, 0xed, 0xfe, 0xed}, jceks[4] = {0xce, 0xce, 0xce, 0xce};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? 0 : read(fd, head, sizeof head);
    if (fd >= 0) close(fd);
    return size == 4 && (memcmp(head, jks, 4) == 0 || memcmp(head, jceks, 4) == 0 || head[0] == 0x30);  // 0x30: PKCS#12
}

static enum status file_of(struct reading *r, const char *name, const char *spark_name, const char **out) {
    const char *text;
    TRY(text_of(r, name, spark_name, &text));
    *out = NULL;
    if (!text) return STATUS_OK;
    *out = text[0] == '/' || !r->place->base_folder ? arena_strdup(r->arena, text) : arena_printf(r->arena, "%s/%s", r->place->base_folder, text);
    if (!*out) return error_no_memory(r->e);
    if (r->place->offline || !is_java_store(*out)) return STATUS_OK;
    (void)bad_option(r, value_of(r->place->options, name, spark_name), "a PEM file; this is a key store of Java's");
    error_set_hint(r->e, "make PEM files of it: keytool -importkeystore -srckeystore STORE -destkeystore s.p12 -deststoretype PKCS12; openssl pkcs12 -in s.p12 -out s.pem -nodes");
    return STATUS_INVALID_ARGUMENT;
}

static enum status read_tls(struct reading *r, struct cassandra_settings *out) {
    bool check = true;
    TRY(is_true(r, "tls", "spark.cassandra.connection.ssl.enabled", &out->tls.enabled));
    TRY(is_true(r, "hostCheck", NULL, &check));
    out->tls.skip_host_check = !check;
    TRY(file_of(r, "caFile", "spark.cassandra.connection.ssl.trustStore.path", &out->tls.ca_file));
    TRY(file_of(r, "certFile", "spark.cassandra.connection.ssl.keyStore.path", &out->tls.certificate_file));
    TRY(file_of(r, "keyFile", NULL, &out->tls.key_file));
    TRY(text_of(r, "keyPassword", "spark.cassandra.connection.ssl.keyStore.password", &out->tls.key_password));
    bool given = out->tls.ca_file || out->tls.certificate_file || out->tls.key_file;
    if (!given || out->tls.enabled) return STATUS_OK;
    const char *name = out->tls.ca_file ? "caFile" : out->tls.certificate_file ? "certFile" : "keyFile";
    const char *spark_name = out->tls.ca_file ? "spark.cassandra.connection.ssl.trustStore.path" : "spark.cassandra.connection.ssl.keyStore.path";
    (void)bad_option(r, value_of(r->place->options, name, spark_name), "left out where `tls` is not true: nothing would be encrypted");
    error_set_hint(r->e, "add tls = 'true'");
    return STATUS_INVALID_ARGUMENT;
}

// --- the connection ---

static enum status read_consistency(struct reading *r, struct cassandra_settings *out) {
    const char *text, *spark_name = r->place->use == CASSANDRA_WRITES ? "spark.cassandra.output.consistency.level" : "spark.cassandra.input.consistency.level";
    TRY(text_of(r, "consistency", spark_name, &text));
    out->consistency = CQL_LOCAL_QUORUM;
    if (!text) return STATUS_OK;
    bool known = cql_consistency_parse(text, &out->consistency);
    bool serial = out->consistency == CQL_SERIAL || out->consistency == CQL_LOCAL_SERIAL;
    if (known && !serial && out->consistency != CQL_ANY) return STATUS_OK;  // ANY: a hint in a coordinator's hands is no acknowledgement
    return bad_option(r, value_of(r->place->options, "consistency", spark_name), "ONE, TWO, THREE, QUORUM, ALL, LOCAL_ONE, LOCAL_QUORUM or EACH_QUORUM");
}

static enum status read_compression(struct reading *r, struct cassandra_settings *out) {
    const char *text;
    TRY(text_of(r, "compression", "spark.cassandra.connection.compression", &text));
    if (text) out->compression = strcasecmp(text, "lz4") == 0 ? CQL_COMPRESSION_LZ4 : CQL_COMPRESSION_NONE;
    if (!text || strcasecmp(text, "lz4") == 0 || strcasecmp(text, "none") == 0) return STATUS_OK;
    return bad_option(r, value_of(r->place->options, "compression", "spark.cassandra.connection.compression"), "lz4 or none");
}

static enum status read_login(struct reading *r, struct cassandra_settings *out) {
    TRY(text_of(r, "user", "spark.cassandra.auth.username", &out->user));
    TRY(text_of(r, "password", "spark.cassandra.auth.password", &out->password));
    const struct option_value *user = value_of(r->place->options, "user", "spark.cassandra.auth.username");
    const struct option_value *password = value_of(r->place->options, "password", "spark.cassandra.auth.password");
    if (!user == !password) return STATUS_OK;
    (void)error_set(r->e, STATUS_INVALID_ARGUMENT, "LEAT_MISSING_OPTION", "`%s` has the option `%s` and no `%s`", r->place->table_name, (user ? user : password)->key,
                    user ? "password" : "user");
    if (r->e) r->e->span = (user ? user : password)->span;
    error_set_hint(r->e, "both, or none: user = 'ada', password = '${env:CASSANDRA_PASSWORD}'");
    return STATUS_INVALID_ARGUMENT;
}

static enum status read_name(struct reading *r, const char *name, const char *otherwise, const char **out) {
    TRY(text_of(r, name, NULL, out));
    if (!*out && !option_get(r->place->options, name)) *out = otherwise;
    if (!*out) return STATUS_OK;
    size_t size_bytes = strlen(*out);
    if (size_bytes >= 1 && size_bytes <= 222) return STATUS_OK;
    const struct option_value *v = option_get(r->place->options, name);
    if (v) return bad_option(r, v, "a name of 1 to 222 characters");
    return error_set(r->e, STATUS_INVALID_ARGUMENT, "LEAT_INVALID_OPTION", "`%.100s`: the name is too long for a table of Cassandra", r->place->table_name);
}

static enum status read_timeout(struct reading *r, struct cassandra_settings *out) {
    const char *text;
    TRY(text_of(r, "timeout", NULL, &text));
    out->timeout_us = INT64_C(20000000);
    if (!text) return STATUS_OK;
    if (parse_duration(text, &out->timeout_us) && out->timeout_us >= 100000 && out->timeout_us <= INT64_C(3600000000)) return STATUS_OK;
    return bad_option(r, option_get(r->place->options, "timeout"), "a duration from 100 ms to 1 hour, such as '20 s'");
}

// --- writing ---

static enum status read_ttl(struct reading *r, struct cassandra_settings *out) {
    const char *text;
    TRY(text_of(r, "ttl", "spark.cassandra.output.ttl", &text));
    if (!text) return STATUS_OK;
    char *end;
    long long n = strtoll(text, &end, 10);
    int64_t us;
    if (end == text || *end) n = parse_duration(text, &us) ? us / 1000000 : -1;
    if (n < 0 || n > CASSANDRA_TTL_MAX_S) return bad_option(r, value_of(r->place->options, "ttl", "spark.cassandra.output.ttl"), "seconds, or a duration such as '7 days', of 20 years at most");
    out->ttl_s = (int32_t)n;
    return STATUS_OK;
}

static enum status read_batching(struct reading *r, struct cassandra_settings *out) {
    static const char *const names[] = {"none", "partition", "replica_set"};
    const char *text, *rows;
    int64_t batch_rows = CASSANDRA_BATCH_ROWS, in_flight = CASSANDRA_IN_FLIGHT;
    TRY(text_of(r, "batch", "spark.cassandra.output.batch.grouping.key", &text));
    out->grouping = CASSANDRA_GROUP_REPLICA_SET;
    bool known = !text;
    for (int i = 0; i < 3 && !known; i++) {
        known = strcasecmp(text, names[i]) == 0;
        if (known) out->grouping = (enum cassandra_grouping)i;
    }
    if (!known) return bad_option(r, value_of(r->place->options, "batch", "spark.cassandra.output.batch.grouping.key"), "none, partition or replica_set");
    TRY(text_of(r, "spark.cassandra.output.batch.size.rows", NULL, &rows));
    if (rows && strcasecmp(rows, "auto") != 0) TRY(whole_number(r, "spark.cassandra.output.batch.size.rows", NULL, 1, 100, "auto, or a number from 1 to 100", &batch_rows));
    TRY(whole_number(r, "spark.cassandra.output.concurrent.writes", NULL, 1, 1024, "a number from 1 to 1024", &in_flight));
    out->batch_rows = out->grouping == CASSANDRA_GROUP_NONE ? 1 : (uint32_t)batch_rows;
    out->in_flight = (uint32_t)in_flight;
    const char *bytes;
    int64_t size = CASSANDRA_BATCH_BYTES;
    TRY(text_of(r, "spark.cassandra.output.batch.size.bytes", NULL, &bytes));
    if (bytes && (!parse_size(bytes, &size) || size < 1 || size > (1 << 20)))
        return bad_option(r, option_get(r->place->options, "spark.cassandra.output.batch.size.bytes"), "a size up to 1 MiB");
    out->batch_bytes = (uint32_t)size;
    return STATUS_OK;
}

enum status cassandra_settings_read(const struct cassandra_place *p, struct arena *a, struct cassandra_settings *out, struct error *e) {
    struct reading r = {.place = p, .arena = a, .e = e};
    int64_t port = 9042, page_rows = 5000;
    *out = (struct cassandra_settings){.batch_rows = 1, .in_flight = CASSANDRA_IN_FLIGHT};
    TRY(read_hosts(&r, out));
    TRY(whole_number(&r, "port", "spark.cassandra.connection.port", 1, 65535, "a port from 1 to 65535", &port));
    out->port = (uint16_t)port;
    TRY(read_name(&r, "keyspace", NULL, &out->keyspace));
    TRY(read_name(&r, "table", p->table_name, &out->table));
    TRY(read_login(&r, out));
    TRY(text_of(&r, "datacenter", "spark.cassandra.connection.localDC", &out->datacenter));
    TRY(read_tls(&r, out));
    TRY(read_compression(&r, out));
    TRY(read_consistency(&r, out));
    TRY(read_timeout(&r, out));
    if (p->use == CASSANDRA_READS) {
        TRY(whole_number(&r, "pageRows", "spark.cassandra.input.fetch.sizeInRows", 1, 100000, "a number from 1 to 100000", &page_rows));
        out->page_rows = (uint32_t)page_rows;
        return STATUS_OK;
    }
    TRY(read_ttl(&r, out));
    TRY(is_true(&r, "leat.ignoreNulls", "spark.cassandra.output.ignoreNulls", &out->ignore_nulls));
    TRY(is_true(&r, "leat.create", NULL, &out->create));
    return read_batching(&r, out);
}

// --- identity ---

// What decides by which session a table is written, but for host, port, user and keyspace, which are readable in the identity.
static const char *const session_options[][2] = {
    {"datacenter", "spark.cassandra.connection.localDC"}, {"tls", "spark.cassandra.connection.ssl.enabled"},
    {"caFile", "spark.cassandra.connection.ssl.trustStore.path"}, {"certFile", "spark.cassandra.connection.ssl.keyStore.path"}, {"keyFile", NULL},
    {"hostCheck", NULL}, {"compression", "spark.cassandra.connection.compression"}, {"timeout", NULL},
    {"spark.cassandra.output.concurrent.writes", NULL},
};
static const char *const secret_options[][2] = {
    {"password", "spark.cassandra.auth.password"}, {"keyPassword", "spark.cassandra.connection.ssl.keyStore.password"},
};

enum status cassandra_identity(const struct option_set *options, struct arena *a, const char **out, struct error *e) {
    uint64_t hash = 0;
    bool any = false;
    for (size_t i = 0; i < sizeof session_options / sizeof session_options[0]; i++) {
        const struct option_value *v = value_of(options, session_options[i][0], session_options[i][1]);
        if (!v || !v->is_set) continue;
        any = true;
        hash = checksum64(session_options[i][0], strlen(session_options[i][0]), hash);
        hash = checksum64(v->text, strlen(v->text), hash);
    }
    const struct option_value *host = value_of(options, "host", "spark.cassandra.connection.host"), *port = value_of(options, "port", "spark.cassandra.connection.port");
    const struct option_value *user = value_of(options, "user", "spark.cassandra.auth.username"), *keyspace = option_get(options, "keyspace");
    char more[16] = "";
    if (any) snprintf(more, sizeof more, "#%08x", (unsigned)(hash ^ hash >> 32));
    *out = arena_printf(a, "cassandra:%s%s%s:%s/%s%s", user ? user->text : "", user ? "@" : "", host ? host->text : "", port ? port->text : "", keyspace ? keyspace->text : "", more);
    return *out ? STATUS_OK : error_no_memory(e);
}

const char *cassandra_secret_that_differs(const struct option_set *a, const struct option_set *b) {
    for (size_t i = 0; i < sizeof secret_options / sizeof secret_options[0]; i++) {
        const struct option_value *x = value_of(a, secret_options[i][0], secret_options[i][1]), *y = value_of(b, secret_options[i][0], secret_options[i][1]);
        if (!x != !y || (x && strcmp(x->text, y->text) != 0)) return secret_options[i][0];
    }
    return NULL;
}

void cassandra_options_warn(const struct option_set *options, const char *who, struct log *log) {
    for (uint32_t i = 0; log && i < options->count; i++) {
        const struct option_value *v = &options->values[i];
        bool unused = strcmp(v->option->name, "spark.cassandra.*") == 0 || strcasecmp(v->key, "spark.cassandra.connection.ssl.trustStore.password") == 0;
        if (v->is_set && unused) log_write(log, LOG_WARN, "%s: the option `%s` has no meaning here and is passed over", who, v->key);
    }
}
