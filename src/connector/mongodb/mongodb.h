// SPDX-License-Identifier: Apache-2.0
// mongodb.h: options and configuration of the MongoDB connector, shared by sink and source. An option has a short name and those of Spark's
// connector: `collection` is also spark.mongodb.collection and spark.mongodb.write.collection (reading: spark.mongodb.read.collection).
#pragma once
#include "plan/sink.h"

extern const struct option mongodb_sink_options[], mongodb_source_options[];
extern const struct sink_class mongodb_sink_class;
extern const struct source_class mongodb_source_class;

// What of the options says where and how; text resolved, in the arena it was made with.
struct mongodb_config {
    const char *uri;               // may hold a password: never printed
    const char *hosts;             // of the URI, for messages
    const char *database, *collection;
    const char *user, *password, *auth_source;      // NULL: the URI's
    const char *ca_file, *key_file, *key_password;  // NULL: the URI's
    bool tls, any_certificate, any_host;            // false: the URI's
    const char *write_mode;        // writeConcern.w as text: "majority", a tag
    int64_t write_nodes;           // as a number; < 0: write_mode
    int64_t write_timeout_ms;
};

// The text of an option under any of its names; NULL: not set. `writes`: which of Spark's prefixes count.
const char *mongodb_option(const struct option_set *o, const char *name, bool writes);
// Offline: what is wrong whatever the placeholders stand for.
enum status mongodb_config_check(const struct option_set *o, bool writes, const char *table_name, struct error *e) WARN_UNUSED;
// Resolves the placeholders, completes paths. The collection is by default the table's name.
enum status mongodb_config_resolve(struct arena *a, const struct option_set *o, bool writes, const char *table_name, const char *base_folder,
                                   struct mongodb_config *out, struct error *e) WARN_UNUSED;
// Do both reach the same deployment in the same way?
bool mongodb_config_same_store(const struct mongodb_config *a, const struct mongodb_config *b);
