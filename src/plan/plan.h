// SPDX-License-Identifier: Apache-2.0
// plan.h: the resolved plan: a graph of relational nodes with bound expressions. Made by the analyzer, shaped by the optimizer,
// executed by exec/. Read-only once optimized; everything that moves lives in exec/.
//
// Expressions name columns by ordinal in their input's columns (a join's: left's, then right's). Pruning never renumbers: a column
// nobody reads is left out of `wanted` and arrives as constant NULL. Equal sub-plans of several flows are ONE node with several
// parents (graph.c), so that a source is scanned once and a document parsed once.
#pragma once
#include "expr/aggregate.h"
#include "expr/expr.h"
#include "plan/source.h"

enum plan_kind {
    PLAN_SCAN,          // table: rows of a source
    PLAN_VALUES,        // rows of constants (columns of `values`, one batch or several)
    PLAN_PROJECT,       // exprs
    PLAN_FILTER,        // condition
    PLAN_AGGREGATE,     // group keys: exprs[0..key_count), aggregates: exprs[key_count..) all EXPR_AGGREGATE. DISTINCT too
    PLAN_JOIN,          // inputs 2; join kind, left_keys/right_keys (equal pairs), condition (rest)
    PLAN_SORT,          // sorts
    PLAN_LIMIT,         // limit, offset; over a SORT it is a top-N
    PLAN_UNION,         // inputs any, by position
    PLAN_INTERSECT,     // inputs 2; all
    PLAN_EXCEPT,        // inputs 2; all
    PLAN_GENERATE,      // input's columns followed by generated ones; generator, outer
    PLAN_WATERMARK,     // event time watermark_column, at most delay_us out of order; batch: passes through
    PLAN_WINDOW,        // rows of time windows: exprs[0] time; size, slide, offset; appends a struct column `window`; NULL time: no row
    PLAN_SESSION,       // session_window in batch: keys exprs[0..key_count), time exprs[key_count], gap_us or exprs[key_count + 1] (an interval
                        // or its text); appends to each row a struct column `session_window`: the merged session it falls in; NULL time or
                        // gap ≤ 0: no row
    PLAN_RANK,          // row_number(): appends to each row its number, an INT, in the order of sorts among the rows with its keys
                        // exprs[0..key_count); limit: higher ones leave. Equal ones in the order of their encodings
    PLAN_CONSOLIDATE,   // one upsert or delete per key and epoch, before an upsert sink; key: exprs[0..key_count), all EXPR_COLUMN, the same
                        // as unique_key; key_count 0: the whole result is one row
};

enum join_kind { JOIN_INNER, JOIN_LEFT, JOIN_RIGHT, JOIN_FULL, JOIN_SEMI, JOIN_ANTI, JOIN_CROSS, JOIN_NULL_AWARE_ANTI };
enum generator_kind { GENERATE_EXPLODE, GENERATE_POSEXPLODE, GENERATE_INLINE, GENERATE_STACK, GENERATE_JSON_TUPLE };
enum changes { CHANGES_APPEND, CHANGES_RETRACT };

// Personal data groundwork: labels and base columns of an attribute; by default the union of its inputs'.
struct lineage {
    uint64_t labels;                   // bit set; which bit means what is the pipeline's label table
    const char *const *origins;        // "table.column", sorted, unique
    uint32_t origin_count;
};

struct attribute {
    const char *name;
    const char *qualifier;             // alias or table; NULL: none
    const struct type *type;
    bool nullable;
    struct lineage lineage;
};

struct sort_key {
    struct expr *expr;
    bool descending;
    bool nulls_first;
};

struct dataset;

// JOIN of two streams, by side (0 left, 1 right): what its keys and condition say about time. Made by join_time.c.
struct join_time {
    bool has_watermark[2];             // the input has one, somewhere below
    uint32_t late_column[2];           // of the input: the event time by which its rows are late; PLAN_NO_TIME: they never are
    bool late_is_compared[2];          // a key or the condition reads it
    uint32_t key;                      // which pair of keys is an event time; PLAN_NO_TIME: none
    bool bounded[2];                   // a row leaves the state when the watermark has reached its time plus delay_us
    uint32_t column[2];                // that time, of the input; without meaning where `key` is one
    int64_t delay_us[2];
    int64_t handed_delay_us;           // the output's watermark is the input's less this
    struct expr *own[2];               // conjuncts of the condition about one side alone, over its own ordinals; NULL: none
    struct expr *both;                 // the others, over both; NULL: none
};

struct plan_node {
    enum plan_kind kind;
    uint32_t id;                       // in its graph, ascending from the leaves; stable for the same bound plan
    struct plan_node **inputs;
    uint32_t input_count;
    struct attribute *attributes;      // output columns
    uint32_t attribute_count;
    const uint64_t *wanted;            // bitmap over attributes; NULL: all
    const uint64_t *wanted_leaves;     // SCAN: bitmap over the leaves of all attributes, in preorder as in json.h; NULL: all of the wanted ones
    enum changes changes;
    bool streaming;                    // grows for ever (or until its source ends)
    const uint32_t *unique_key;        // output ordinals, or NULL: none known
    uint32_t unique_key_count;
    const uint64_t *event_time;        // bitmap over attributes: event times that a WATERMARK below bounds, and time windows of them; NULL: none
    struct span span;

    struct dataset *table;             // SCAN
    struct column *values;             // VALUES: attribute_count FLAT columns of value_row_count rows
    uint32_t value_row_count;
    struct expr **exprs;               // PROJECT, AGGREGATE, WINDOW, SESSION, GENERATE (arguments)
    uint32_t expr_count;
    uint32_t key_count;                // AGGREGATE, SESSION
    struct expr *condition;            // FILTER, JOIN
    enum join_kind join;
    struct expr **left_keys, **right_keys;  // right ones over the right input's own ordinals
    uint32_t join_key_count;
    struct sort_key *sorts;
    uint32_t sort_count;
    int64_t limit, offset;             // LIMIT, RANK; limit −1: none
    bool all;                          // INTERSECT ALL, EXCEPT ALL
    enum generator_kind generator;
    bool outer;                        // GENERATE: keep rows that generate none
    int64_t window_us, slide_us, window_offset_us, delay_us;  // WINDOW, WATERMARK
    int64_t gap_us;                    // SESSION; −1: exprs[last] is the gap
    uint32_t watermark_column;         // WATERMARK: output ordinal
    bool emits_closed;                 // AGGREGATE of a stream whose rows never change: a group leaves once, when the watermark has passed it; JOIN of
                                       // two streams: likewise a row without a match
    const struct join_time *join_time; // JOIN of two streams
    uint32_t session_key;              // AGGREGATE of a stream: which key is a session_window, + 1: its groups grow together; 0: none
    bool in_panes;                     // WINDOW: a row gets the slide that it falls in; AGGREGATE: its groups are those, put together when windows close
    bool drops_late;                   // WINDOW under an aggregation: windows that the watermark has passed are not made
};

enum { PLAN_NO_TIME = UINT32_MAX };
// AGGREGATE, SESSION: which key is an event time, by ordinal; PLAN_NO_TIME: none, its groups never end.
uint32_t plan_time_key(const struct plan_node *n);
// AGGREGATE: the WINDOW that makes one of its keys, *key; NULL: none does.
const struct plan_node *plan_window_key(const struct plan_node *n, uint32_t *key);
uint32_t plan_session_key(const struct plan_node *n);  // AGGREGATE of a stream: which key is a session_window; PLAN_NO_TIME: none
const struct expr *plan_not_by_session(const struct plan_node *n);  // such an AGGREGATE's function whose states cannot grow together; NULL: all can
// JOIN: are rows of a side that match nothing in its result? Of ANTI only those are.
bool plan_join_keeps(const struct plan_node *n, uint32_t side);
enum status plan_derive_join_time(struct arena *a, struct plan_node *n) WARN_UNUSED;  // sets join_time; inputs have been derived
struct resolver;
enum status check_joins(struct resolver *r, struct plan_node *root);  // check_streaming.c: of two streams; after the filters have moved into them


enum dataset_kind { DATASET_SOURCE, DATASET_VIEW, DATASET_STREAMING_TABLE, DATASET_MATERIALIZED_VIEW, DATASET_CATALOG_TABLE };

struct connector;
struct dataset {
    enum dataset_kind kind;
    const char *name;
    const struct connector *connector; // SOURCE; targets: where they are stored (the catalog: "sqlite")
    struct option_set options;
    const struct type *schema;         // STRUCT; NULL until known
    const char **key;                  // declared key columns of a target
    uint32_t key_count;
    const struct ustatement *statement;
    struct uoption *looks;             // leat.chart …, as given
    uint32_t look_count;
    bool in_catalog;                   // lives in leat.db under its name
    const char *made_by;               // catalog only: "table", or what of a pipeline keeps it ("materialized view", "streaming table")
    uint32_t index;                    // among the pipeline's datasets
};

// One query that feeds one target.
struct flow {
    const char *name;
    struct dataset *target;
    struct plan_node *root;
    uint64_t hash;                     // of the bound plan: looks, rates and formatting are not in it
    uint32_t index;
    struct span span;
};

// A file, understood.
struct pipeline {
    struct dataset **datasets;
    uint32_t dataset_count;
    struct flow **flows;
    uint32_t flow_count;
    struct plan_node **nodes;          // every node of every flow, inputs before users
    uint32_t node_count;
    struct option_set settings;        // SET leat.*, spark.*
    const char *text;                  // the file
};

enum status plan_explain(const struct plan_node *root, struct buffer *out) WARN_UNUSED;
