// SPDX-License-Identifier: Apache-2.0
// cassandra.h: what the files of this connector share: options as they are meant, a table as the server has it, the error a column deserves.
//
//     cassandra_settings   options with placeholders resolved, under leat's names and the Spark connector's
//     cassandra_connect    a session (src/cql) made of them
//     cassandra_table      a table of the server with its keyspace's types
//
// All strings and types live in the arena given. Nothing here is called by several threads.
#pragma once
#include "cql/cql.h"
#include "plan/sink.h"
#include "plan/source.h"

enum cassandra_grouping { CASSANDRA_GROUP_NONE, CASSANDRA_GROUP_PARTITION, CASSANDRA_GROUP_REPLICA_SET };

enum {
    CASSANDRA_BATCH_ROWS = 10,        // the server warns of batches over more partitions than this
    CASSANDRA_BATCH_BYTES = 4096,     // … and over 5 KiB
    CASSANDRA_IN_FLIGHT = 64,         // requests unanswered on a connection: saturates a server
    CASSANDRA_TTL_MAX_S = 630720000,  // 20 years, the server's limit
};

struct cassandra_settings {
    const char **hosts;
    uint32_t host_count;
    uint16_t port;
    const char *keyspace;
    const char *table;                 // as the server names it
    const char *user, *password;       // NULL: none
    const char *datacenter;            // NULL: that of the first host that answers
    struct cql_tls tls;
    enum cql_consistency consistency;
    enum cql_compression compression;
    int64_t timeout_us;                // of a request with its repetitions
    int64_t attempt_timeout_us;        // of one of them; 0: the client's own
    uint32_t in_flight;
    uint32_t page_rows;                // of reading
    // of writing
    enum cassandra_grouping grouping;
    uint32_t batch_rows;               // 1: no batches
    uint32_t batch_bytes;
    int32_t ttl_s;                     // 0: none
    bool ignore_nulls;
    bool create;
};

extern const struct option cassandra_sink_options[], cassandra_source_options[];

enum cassandra_use { CASSANDRA_WRITES, CASSANDRA_READS };

// Resolved: what ${env:…} and ${file:…} stand for is in it. offline: placeholders stay as they are, files are not looked at; what can be checked
// is checked.
struct cassandra_place {
    const struct option_set *options;
    const char *table_name;            // in SQL: the table's where no option names it
    const char *base_folder;
    enum cassandra_use use;
    bool offline;
};
enum status cassandra_settings_read(const struct cassandra_place *p, struct arena *a, struct cassandra_settings *out, struct error *e) WARN_UNUSED;
// Where two tables reach the same cluster as the same user by the same options, this is equal: "cassandra:ada@host:9042/keyspace".
enum status cassandra_identity(const struct option_set *options, struct arena *a, const char **out, struct error *e) WARN_UNUSED;
// Secrets are not in the identity: the name of one that differs, or NULL.
const char *cassandra_secret_that_differs(const struct option_set *a, const struct option_set *b);
// Options of the Spark connector that have no meaning here: said once.
void cassandra_options_warn(const struct option_set *options, const char *who, struct log *log);

enum status cassandra_connect(const struct cassandra_settings *s, const _Atomic int *stop, struct memory *memory, struct log *log, struct cql_session **out,
                              struct error *e) WARN_UNUSED;

// *keyspace and *table NULL: not there.
enum status cassandra_table_find(struct cql_session *session, const struct cassandra_settings *s, struct arena *a, struct cql_keyspace **keyspace,
                                 struct cql_table **table, struct error *e) WARN_UNUSED;
// The errors for what is not there, with what is near or with the CQL that makes it. creatable: leat.create may be named. create: the statement,
// or NULL.
enum status cassandra_keyspace_missing(struct cql_session *session, const struct cassandra_settings *s, bool creatable, struct arena *a, struct error *e) WARN_UNUSED;
enum status cassandra_table_missing(struct cql_session *session, const struct cassandra_settings *s, const char *create, struct arena *a, struct log *log,
                                    struct error *e) WARN_UNUSED;
enum status cassandra_keyspace_create(struct cql_session *session, const struct cassandra_settings *s, struct arena *a, struct error *e) WARN_UNUSED;
// A statement that somebody with more rights may have to type: then the error says it.
enum status cassandra_run_cql(struct cql_session *session, const char *text, struct log *log, struct error *e) WARN_UNUSED;
// What an error means. STATUS_DATA: a row is to blame. A server may have limits of its own ("guardrails"), and says INVALID for every one of them, as it
// does for a value that cannot be: those of values are the row's, a disk that is too full passes, what is left is about how leat writes
// (STATUS_INVALID_ARGUMENT). STATUS_UNREACHABLE: it passes (a read or write that failed at a replica, no space there).
enum status cassandra_judge(const struct error *why) WARN_UNUSED;
// Makes the error what it means.
enum status cassandra_passing(enum status status, struct error *e) WARN_UNUSED;
// Prepares a statement about a table that is there. STATUS_UNREACHABLE: the server does not serve it yet.
enum status cassandra_prepare(struct cql_session *session, const char *text, const struct cql_prepared **out, struct error *e) WARN_UNUSED;
// `keyspace.table` as CQL.
enum status cassandra_append_table(struct buffer *out, const struct cassandra_settings *s) WARN_UNUSED;
// Index of the column that a name of SQL means: the same, or the only one that is the same but for case. -1: none; -2: several.
int cassandra_column_index(const struct cql_table *t, const char *name);

// CREATE TABLE for columns of these types, `key` being its primary key. STATUS_UNSUPPORTED names a column without a type of CQL.
enum status cassandra_create_text(const struct cassandra_settings *s, const struct type *schema, const uint32_t *key, uint32_t key_count, struct arena *a,
                                  const char **out, struct error *e) WARN_UNUSED;
// Puts text to be typed into the hint where it fits; else it is logged and the hint says so.
void cassandra_hint_cql(struct error *e, struct log *log, const char *before, const char *cql);
