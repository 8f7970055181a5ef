// SPDX-License-Identifier: Apache-2.0
// mongodb_options.c: the options of MongoDB tables, under their short names and those of Spark's connector, and what they come to.
#include "connector/mongodb/mongodb.h"
#include <strings.h>

#define ALIASES(side, name, type, secret, choices, help)                     \
    {name, type, NULL, false, secret, choices, help},                        \
    {"spark.mongodb." name, type, NULL, false, secret, choices, help},       \
    {"spark.mongodb." side "." name, type, NULL, false, secret, choices, help}

#define CONNECTION_OPTIONS(side)                                                                                                                    \
    ALIASES(side, "connection.uri", OPTION_STRING, false, NULL, "mongodb://… or mongodb+srv://… (mongodb://localhost:27017); name a replica set: ?replicaSet=rs0"), \
    ALIASES(side, "database", OPTION_STRING, false, NULL, "database of the collection; default: the one of connection.uri"),                        \
    ALIASES(side, "collection", OPTION_STRING, false, NULL, "collection; default: the table's name in SQL"),                                        \
    {"user", OPTION_STRING, NULL, false, false, NULL, "name to log in with, if it is not in connection.uri"},                                       \
    {"password", OPTION_STRING, NULL, false, true, NULL, "password to log in with: ${env:NAME} or ${file:PATH}"},                                   \
    {"authSource", OPTION_STRING, NULL, false, false, NULL, "database the user is known in (admin)"},                                               \
    {"tls", OPTION_BOOLEAN, NULL, false, false, NULL, "true: TLS, as tls=true in connection.uri"},                                                  \
    {"tlsCAFile", OPTION_PATH, NULL, false, false, NULL, "PEM file of the authorities that are trusted; default: the system's"},                    \
    {"tlsCertificateKeyFile", OPTION_PATH, NULL, false, false, NULL, "PEM file with the client's certificate and key"},                             \
    {"tlsCertificateKeyFilePassword", OPTION_STRING, NULL, false, true, NULL, "password of the client's key"},                                      \
    {"tlsAllowInvalidCertificates", OPTION_BOOLEAN, NULL, false, false, NULL, "true: any certificate will do; for tests"},                          \
    {"tlsAllowInvalidHostnames", OPTION_BOOLEAN, NULL, false, false, NULL, "true: a certificate for another name will do; for tests"}

const struct option mongodb_sink_options[] = {
    CONNECTION_OPTIONS("write"),
    {"key", OPTION_STRING, NULL, false, false, NULL, "comma list of columns that identify a row: they make _id; a later row replaces an earlier one"},
    ALIASES("write", "idFieldList", OPTION_STRING, false, NULL, "comma list of columns that make _id, where there is no key"),
    ALIASES("write", "ordered", OPTION_BOOLEAN, false, NULL, "true: one lane, one write after another; rows of an epoch have no order of their own"),
    ALIASES("write", "ignoreNullValues", OPTION_BOOLEAN, false, NULL, "true: a column that is NULL is no field"),
    ALIASES("write", "writeConcern.w", OPTION_STRING, false, NULL, "who must have a write before it counts: majority (default), a number, a tag"),
    ALIASES("write", "writeConcern.wTimeoutMS", OPTION_INT, false, NULL, "how long to wait for them, in ms (30000)"),
    {"leat.lanes", OPTION_INT, "2", false, false, NULL, "connections that write beside one another, 1 to 16: rows are dealt by _id"},
    {NULL, OPTION_STRING, NULL, false, false, NULL, NULL},
};

const struct option mongodb_source_options[] = {
    CONNECTION_OPTIONS("read"),
    ALIASES("read", "sampleSize", OPTION_INT, false, NULL, "documents that are looked at for the columns, where none are declared (1000)"),
    {NULL, OPTION_STRING, NULL, false, false, NULL, NULL},
};

static const char default_uri[] = "mongodb://localhost:27017";

const char *mongodb_option(const struct option_set *o, const char *name, bool writes) {
    char spark[128];
    snprintf(spark, sizeof spark, "spark.mongodb.%s.%s", writes ? "write" : "read", name);
    if (option_is_set(o, spark)) return option_text(o, spark);
    snprintf(spark, sizeof spark, "spark.mongodb.%s", name);
    if (option_is_set(o, spark)) return option_text(o, spark);
    return option_text(o, name);
}


static const char *uri_rest(const char *uri) {
    if (strncmp(uri, "mongodb://", 10) == 0) return uri + 10;
    if (strncmp(uri, "mongodb+srv://", 14) == 0) return uri + 14;
    return NULL;
}

// [hosts, *end) of a URI without its user: a password may hold an '@' that should have been encoded.
static const char *uri_hosts(const char *rest, const char **end) {
    const char *stop = rest + strcspn(rest, "?");
    const char *at = memrchr(rest, '@', (size_t)(stop - rest));
    const char *hosts = at ? at + 1 : rest;
    *end = hosts + strcspn(hosts, "/?");
    return hosts;
}

static enum status bad_uri(const char *table_name, const char *what, struct error *e) {
    (void)error_set(e, STATUS_INVALID_ARGUMENT, "LEAT_INVALID_OPTION", "table `%s`: option `connection.uri` %s", table_name, what);
    error_set_hint(e, "mongodb://host:27017/?replicaSet=rs0; in a password, write @ : / %% as %%40 %%3A %%2F %%25");
    return STATUS_INVALID_ARGUMENT;
}

static enum status check_uri(const char *uri, const char *table_name, struct error *e) {
    const char *rest = uri_rest(uri), *end;
    if (!rest) return bad_uri(table_name, "must begin with mongodb:// or mongodb+srv://", e);
    const char *hosts = uri_hosts(rest, &end);
    return hosts == end ? bad_uri(table_name, "names no host", e) : STATUS_OK;
}

static enum status check_name(const char *what, const char *name, const char *forbidden, size_t bytes_max, const char *table_name, struct error *e) {
    bool bad = !*name || strlen(name) > bytes_max || name[strcspn(name, forbidden)] != 0 || strncmp(name, "system.", 7) == 0;
    if (!bad) return STATUS_OK;
    return error_set(e, STATUS_INVALID_ARGUMENT, "LEAT_INVALID_OPTION", "table `%s`: `%.100s` cannot be the name of a %s", table_name, name, what);
}

static enum status check_names(const char *database, const char *collection, const char *table_name, struct error *e) {
    if (database) TRY(check_name("database", database, "/\\. \"$*<>:|?", 63, table_name, e));
    if (collection) {
        TRY(check_name("collection", collection, "$", 200, table_name, e));
        if (strcmp(collection, "leat_pipeline") == 0) {
            return error_set(e, STATUS_INVALID_ARGUMENT, "LEAT_RESERVED_NAME", "table `%s`: the collection `leat_pipeline` is where leat keeps its records", table_name);
        }
    }
    return STATUS_OK;
}

// Database of a URI's path, in the arena; NULL: it names none, or no memory.
static const char *uri_database(struct arena *a, const char *uri) {
    const char *rest = uri_rest(uri), *end;
    if (!rest) return NULL;
    (void)uri_hosts(rest, &end);
    if (*end != '/') return NULL;
    size_t size_bytes = strcspn(end + 1, "?");
    return size_bytes ? arena_strndup(a, end + 1, size_bytes) : NULL;
}

static enum status no_database(const char *table_name, struct error *e) {
    (void)error_set(e, STATUS_INVALID_ARGUMENT, "LEAT_MISSING_OPTION", "table `%s`: no option says which database", table_name);
    error_set_hint(e, "add database = 'name', or write it into connection.uri: mongodb://host/name");
    return STATUS_INVALID_ARGUMENT;
}

enum status mongodb_config_check(const struct option_set *o, bool writes, const char *table_name, struct error *e) {
    const char *uri = mongodb_option(o, "connection.uri", writes), *database = mongodb_option(o, "database", writes);
    const char *collection = mongodb_option(o, "collection", writes);
    if (!uri) uri = default_uri;
    if (!option_has_placeholder(uri)) {
        const char *end;
        TRY(check_uri(uri, table_name, e));
        (void)uri_hosts(uri_rest(uri), &end);
        if (!database && (*end != '/' || !end[1] || end[1] == '?')) return no_database(table_name, e);
    }
    return check_names(option_has_placeholder(database) ? NULL : database, option_has_placeholder(collection) ? NULL : collection, table_name, e);
}

static enum status resolve(struct arena *a, const char *text, const char **out, struct error *e) {
    *out = NULL;
    return text ? option_resolve(a, text, out, e) : STATUS_OK;
}

static enum status resolve_path(struct arena *a, const char *text, const char *base_folder, const char **out, struct error *e) {
    TRY(resolve(a, text, out, e));
    if (*out && **out != '/' && base_folder) *out = arena_printf(a, "%s/%s", base_folder, *out);
    return !text || *out ? STATUS_OK : error_no_memory(e);
}

static bool is_true(const struct option_set *o, const char *name) { return option_is_set(o, name) && option_number(o, name) != 0; }

static enum status resolve_write_concern(struct arena *a, const struct option_set *o, const char *table_name, struct mongodb_config *out, struct error *e) {
    TRY(resolve(a, mongodb_option(o, "writeConcern.w", true), &out->write_mode, e));
    if (!out->write_mode) out->write_mode = "majority";
    const char *timeout = mongodb_option(o, "writeConcern.wTimeoutMS", true);
    out->write_nodes = -1;
    out->write_timeout_ms = timeout ? strtoll(timeout, NULL, 10) : 30000;
    char *end;
    long long nodes = strtoll(out->write_mode, &end, 10);
    if (*end == 0) out->write_nodes = nodes;
    bool bad = !*out->write_mode || (*end == 0 && (nodes < 1 || nodes > 50)) || out->write_timeout_ms < 0 || out->write_timeout_ms > INT32_MAX;
    if (!bad) return STATUS_OK;
    (void)error_set(e, STATUS_INVALID_ARGUMENT, "LEAT_INVALID_OPTION", "table `%s`: writeConcern.w is `majority`, a number from 1 to 50 or a tag, wTimeoutMS not negative", table_name);
    error_set_hint(e, "w = 0 would not tell whether a row was written");
    return STATUS_INVALID_ARGUMENT;
}

enum status mongodb_config_resolve(struct arena *a, const struct option_set *o, bool writes, const char *table_name, const char *base_folder,
                                   struct mongodb_config *out, struct error *e) {
    const char *uri = mongodb_option(o, "connection.uri", writes), *end;
    *out = (struct mongodb_config){.tls = is_true(o, "tls"), .any_certificate = is_true(o, "tlsAllowInvalidCertificates"), .any_host = is_true(o, "tlsAllowInvalidHostnames")};
    TRY(resolve(a, uri ? uri : default_uri, &out->uri, e));
    TRY(check_uri(out->uri, table_name, e));
    const char *hosts = uri_hosts(uri_rest(out->uri), &end);
    out->hosts = arena_strndup(a, hosts, (size_t)(end - hosts));
    if (!out->hosts) return error_no_memory(e);
    TRY(resolve(a, mongodb_option(o, "database", writes), &out->database, e));
    TRY(resolve(a, mongodb_option(o, "collection", writes), &out->collection, e));
    if (!out->database) out->database = uri_database(a, out->uri);
    if (!out->database) return no_database(table_name, e);
    if (!out->collection) out->collection = table_name;
    TRY(check_names(out->database, out->collection, table_name, e));
    TRY(resolve(a, option_text(o, "user"), &out->user, e));
    TRY(resolve(a, option_text(o, "password"), &out->password, e));
    TRY(resolve(a, option_text(o, "authSource"), &out->auth_source, e));
    TRY(resolve_path(a, option_text(o, "tlsCAFile"), base_folder, &out->ca_file, e));
    TRY(resolve_path(a, option_text(o, "tlsCertificateKeyFile"), base_folder, &out->key_file, e));
    TRY(resolve(a, option_text(o, "tlsCertificateKeyFilePassword"), &out->key_password, e));
    return writes ? resolve_write_concern(a, o, table_name, out, e) : STATUS_OK;
}

static bool same(const char *a, const char *b) { return a && b ? strcmp(a, b) == 0 : a == b; }

bool mongodb_config_same_store(const struct mongodb_config *a, const struct mongodb_config *b) {
    return same(a->uri, b->uri) && same(a->database, b->database) && same(a->user, b->user) && same(a->password, b->password) && same(a->auth_source, b->auth_source) &&
           same(a->ca_file, b->ca_file) && same(a->key_file, b->key_file) && same(a->key_password, b->key_password) && a->tls == b->tls &&
           a->any_certificate == b->any_certificate && a->any_host == b->any_host && same(a->write_mode, b->write_mode) && a->write_timeout_ms == b->write_timeout_ms;
}
