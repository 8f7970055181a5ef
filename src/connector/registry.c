// SPDX-License-Identifier: Apache-2.0
// registry.c: the systems leat reads from and writes to, one line each.
#include "connector/registry.h"
#include "connector/sqlite/sqlite_common.h"

static const struct connector generator = {"generator", NULL, &generator_source_class, NULL, "made-up messages: randomuser.me users, Nexmark events"};
static const struct connector rate = {"rate", NULL, &rate_source_class, NULL, "Spark's rate source: timestamp and value, so many rows a second"};
static const struct connector http = {"http", NULL, &http_source_class, NULL, "a polled URL, spooled in the data folder, with Kafka's seven columns"};
static const struct connector json = {"json", NULL, &json_source_class, NULL, "JSON lines in a file or folder"};
static const struct connector sqlite = {"sqlite", NULL, &sqlite_source_class, &sqlite_sink_class, "tables of a SQLite file; without a path, of the catalog"};
static const struct connector kafka = {"kafka", NULL, &kafka_source_class, &kafka_sink_class, "topics of Kafka, with Spark's columns and options; exactly once"};
static const char *const cassandra_aliases[] = {"org.apache.spark.sql.cassandra", NULL};
static const struct connector cassandra = {"cassandra", cassandra_aliases, &cassandra_source_class, &cassandra_sink_class, "tables of Cassandra: upserts and deletes by key; exactly once"};
static const char *const mongodb_aliases[] = {"mongo", NULL};
static const struct connector mongodb = {"mongodb", mongodb_aliases, &mongodb_source_class, &mongodb_sink_class, "collections of MongoDB, as documents; exactly once"};
static const struct connector console = {"console", NULL, NULL, &console_sink_class, "the first rows of every epoch on standard output"};
static const struct connector noop = {"noop", NULL, NULL, &noop_sink_class, "takes rows and forgets them; for measuring"};
static const struct connector memory = {"memory", NULL, &memory_source_class, &memory_sink_class, "rows handed over by a test"};

static const struct connector *const items[] = {&generator, &rate, &json, &http, &sqlite, &kafka, &cassandra, &mongodb, &console, &noop, &memory};
const struct connector_set all_connectors = {.items = items, .count = sizeof items / sizeof items[0]};
