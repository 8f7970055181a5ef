// SPDX-License-Identifier: Apache-2.0
// analyzer.h: from unresolved statements to a pipeline, or to one query: names, types, casts, errors with places.
#pragma once
#include "plan/connector.h"
#include "plan/diagnostic.h"
#include "plan/plan.h"
#include "plan/unresolved.h"

// Tables that exist outside the text: those of the catalog. find: NULL if there is none.
struct catalog {
    void *context;
    struct dataset *(*find)(void *context, struct arena *a, const char *name);
    const char *const *(*names)(void *context, struct arena *a, uint32_t *count);  // for suggestions
};

struct analysis {
    struct arena *arena;                     // of the query: results live here
    const struct session *session;
    const struct connector_set *connectors;
    const struct catalog *catalog;           // or NULL
    const char *base_folder;
    struct memory *memory;
    struct log *log;
    struct diagnostics *diagnostics;
    bool offline;                            // touch no path, network or server
};

// Understands a whole file: resolves and plans every flow, goes on after errors. STATUS_INVALID_QUERY when diagnostics has errors.
enum status analyze_pipeline(const struct analysis *a, struct ustatement *const *statements, uint32_t statement_count, const char *text,
                             struct pipeline **out) WARN_UNUSED;
// One query in batch mode, over `pipeline`'s datasets (views and tables of statements before; may be NULL) and the catalog. *root is optimized.
enum status analyze_query(const struct analysis *a, struct pipeline *scope, const struct uquery *query, struct plan_node **root) WARN_UNUSED;
// Adds a CREATE statement to a scope (leat sql): NULL *scope makes one.
enum status analyze_statement(const struct analysis *a, struct pipeline **scope, const struct ustatement *s) WARN_UNUSED;
// INSERT INTO target: the query's columns by position (or BY NAME, or into the listed ones), cast to the target's types as a store
// assignment; missing ones are NULL. *root gives rows of the target's schema.
enum status analyze_insert(const struct analysis *a, struct pipeline *scope, const struct ustatement *s, const struct dataset *target,
                           struct plan_node **root) WARN_UNUSED;
// Is there a setting of this name (leat.*, or one of Spark's that leat honours)? *nearest: the one that may have been meant, or NULL.
bool setting_is_known(const char *key, const char **nearest);
// Is an option part of what a flow is (its hash)? Rates, limits, addresses, passwords and where a new flow begins are not.
bool pipeline_option_counts(const char *key);
