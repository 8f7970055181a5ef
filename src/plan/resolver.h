// SPDX-License-Identifier: Apache-2.0
// resolver.h: what the files of the analyzer share. Internal to plan/.
//
//     analyzer.c, pipeline.c   statements → datasets, flows            resolve_query.c      SELECT, GROUP BY, ORDER BY, set operations
//     resolve_relation.c       FROM                                    aggregate_query.c    splitting an aggregating SELECT in two
//     resolve_expr.c           expressions                             subquery.c           IN, EXISTS, scalar subqueries (lateral.c: LATERAL)
//     scope.c                  which column a name means               naming.c             what a column without alias is called
//
// Errors: a function that fails has already put its diagnostic into the collection and returns STATUS_INVALID_QUERY; callers pass the
// status on and say nothing more, so that one mistake gives one message. STATUS_NO_MEMORY is passed on silently. All memory is
// the query arena's. One thread.
#pragma once
#include "plan/analyzer.h"

// How base tables are read where no STREAM stands before them.
enum read_mode {
    READ_BATCH,        // whole, once
    READ_UNBOUNDED,    // the unbounded ones as they grow, others whole (STREAM view; materialized views)
    READ_GROWING,      // all of them as they grow (a view or materialized view over files alone)
};
enum { READ_MODE_COUNT = 3, RESOLVE_DEPTH_LIMIT = 128 };

// A column that names can mean, in the order of `*`.
struct scope_column {
    const char *name;
    const char *qualifier;   // NULL: none
    uint32_t ordinal;        // of the relation's node
    bool hidden;             // not in a bare `*`, not found without its qualifier (the second key column of a USING join)
    bool generated;          // not in any `*` (window)
};

// A resolved FROM item or query: a node, and the names its columns have.
struct relation {
    struct plan_node *node;
    struct scope_column *columns;
    uint32_t column_count;
};

struct cte {
    const char *name;
    const struct ucte *definition;
    struct cte *next;            // further out
    const struct cte *visible;   // those its own query sees
    struct relation cached[READ_MODE_COUNT];
    bool failed, resolving;
};

enum dataset_phase { PHASE_NEW, PHASE_RESOLVING, PHASE_DONE, PHASE_FAILED };
struct dataset_state {
    enum dataset_phase schema_phase;    // of a source's columns
    enum dataset_phase check_phase[2];  // of a source's options: read whole, read as it grows
    enum dataset_phase phase[READ_MODE_COUNT];
    struct relation cached[READ_MODE_COUNT];
};

// A flow of the file: its statement, and what it became. Resolved where another flow reads its table, else in file order.
struct flow_state {
    const struct ustatement *statement;
    struct flow *flow;
    enum dataset_phase phase;
    struct relation relation;
};

// Names a SELECT was told it has not: the same mistake in GROUP BY or ORDER BY is not said again.
struct missing_name {
    const char *name;
    const struct missing_name *next;
};

struct resolver {
    const struct analysis *analysis;
    struct arena *arena;
    struct pipeline *pipeline;          // datasets in scope; NULL: none
    struct dataset_state *states;       // by dataset index
    struct flow_state *flows;
    uint32_t flow_count;
    struct cte *ctes;
    enum read_mode mode;
    const struct missing_name *missing; // of the SELECT being resolved
    uint32_t depth;
    uint32_t pushes;                    // filters moved so far: a limit on plans that are small as a graph and huge as a tree
    bool in_pipeline;                   // a file of flows: streaming is allowed
    const struct dataset *target;       // whose query is being resolved; NULL: a plain query
    const struct ustatement *statement; // the CREATE whose text is being resolved; NULL: a plain query
};

struct lambda_scope {
    const char **names;
    struct expr **parameters;           // typed EXPR_PARAMETERs of depth 0
    uint32_t count;
    struct lambda_scope *outer;
};

// Select items before the one being resolved, for names that mean them.
struct item {
    struct expr *expr;
    const char *name;
    const struct uexpr *source;
    bool aliased;
    bool failed;
};

// Where an expression stands.
struct expr_context {
    struct resolver *resolver;
    struct relation *input;             // its node may be replaced by a WINDOW, SESSION or GENERATE over it
    struct expr_context *outer;         // the enclosing query's, for correlated subqueries
    struct lambda_scope *lambdas;
    const struct item *aliases;         // names that mean earlier items
    uint32_t alias_count;
    bool aliases_first;                 // ORDER BY: items before columns
    bool joins_subqueries;              // correlated scalar subqueries may add joins to the input
    const char *clause;                 // "WHERE": aggregates are refused, naming it; NULL: allowed
    bool inside_aggregate;
    bool aggregates_seen;
    bool outer_used;                    // an EXPR_OUTER was made
    struct plan_node *time_window;      // the one WINDOW or SESSION of this SELECT
    const struct uexpr *time_window_source;
    uint32_t time_window_ordinal;
};

// --- messages (message.c) ---
struct complaint {
    struct span span;
    const char *condition;
    const char *label;   // NULL: none
    const char *hint;
};
enum status complain(struct resolver *r, struct complaint c, const char *format, ...) PRINTF_LIKE(3, 4);
// An error made below (function binding): its span is `span` where it has none.
enum status complain_error(struct resolver *r, struct error *e, struct span span);
enum status complain_not_yet(struct resolver *r, struct span span, const char *what);
enum status warn_about(struct resolver *r, struct span span, const char *hint, const char *format, ...) PRINTF_LIKE(4, 5);
const char *name_text(struct arena *a, const struct uname *name);   // a.b.c
bool equal_ignoring_case(const char *a, const char *b);
enum status enter(struct resolver *r, struct span span);            // counts nesting; leave() after it
static inline void leave(struct resolver *r) { r->depth--; }

// --- plan building (build.c) ---
struct plan_node *plan_new(struct arena *a, enum plan_kind kind, uint32_t input_count, uint32_t attribute_count);
// A node with its one input's attributes.
struct plan_node *plan_over(struct arena *a, enum plan_kind kind, struct plan_node *input);
struct plan_node *plan_project(struct arena *a, struct plan_node *input, struct expr *const *exprs, const char *const *names, uint32_t count);
struct plan_node *plan_filter(struct arena *a, struct plan_node *input, struct expr *condition);
struct plan_node *plan_distinct(struct arena *a, struct plan_node *input);
struct plan_node *plan_copy(struct arena *a, const struct plan_node *node);  // own attributes and expression arrays; same inputs
bool relation_of(struct arena *a, struct plan_node *node, const char *qualifier, struct relation *out);  // names as its attributes
struct expr *expr_of_attribute(struct arena *a, const struct plan_node *node, uint32_t ordinal);
struct expr *expr_copy(struct arena *a, const struct expr *e);      // the node alone
struct expr *expr_and(struct arena *a, struct expr *left, struct expr *right);  // left NULL: right
struct expr *expr_not(struct arena *a, const struct session *session, struct expr *e);
bool expr_has_kind(const struct expr *e, enum expr_kind kind);
uint32_t split_conjuncts(struct expr *e, struct expr **out, uint32_t capacity);  // how many there are; stores at most capacity
struct expr **conjuncts_of(struct arena *a, struct expr *e, uint32_t *count);
struct expr *expr_shift(struct arena *a, struct expr *e, int64_t by);  // every column's ordinal
// Lowest and highest column ordinal + 1 used; false if none is.
bool expr_column_range(const struct expr *e, uint32_t *first, uint32_t *end);

// --- lineage (lineage.c) ---
// Union of the inputs' lineages that an expression over `inputs`' columns uses.
enum status lineage_of_expr(struct arena *a, const struct expr *e, struct plan_node *const *inputs, uint32_t input_count, struct lineage *out);
enum status lineage_union(struct arena *a, const struct lineage *x, const struct lineage *y, struct lineage *out);

// --- scope.c ---
// What a name means: *out NULL and STATUS_OK when nothing is found.
enum status scope_find(struct expr_context *c, const struct uname *name, struct expr **out, const char **column_name);
enum status scope_unresolved(struct expr_context *c, const struct uname *name, struct span span);
enum status extract_field(struct resolver *r, struct expr *base, const char *base_name, const char *field, struct span span, struct expr **out);

// --- resolve_expr.c ---
// *name: what Spark calls it as a column.
enum status resolve_expr(struct expr_context *c, const struct uexpr *u, struct expr **out, const char **name);
enum status resolve_boolean(struct expr_context *c, const struct uexpr *u, const char *what, struct expr **out);
// Columns that a star stands for: appended items.
enum status expand_star(struct expr_context *c, const struct uexpr *u, struct vector *items);
bool is_star(const struct uexpr *u);
bool contains_aggregate(const struct uexpr *u);
enum status call_named(struct resolver *r, const char *function, struct expr **args, uint32_t count, struct span span, struct expr **out);
// resolve_special.c: calls that are syntax. *handled false: an ordinary function.
enum status resolve_special(struct expr_context *c, const struct uexpr *u, struct expr **out, const char **name, bool *handled);
enum status resolve_time_window(struct expr_context *c, const struct uexpr *u, struct expr **out, const char **name);
enum status resolve_window_time(struct expr_context *c, const struct uexpr *u, struct expr **out, const char **name);
bool is_window_time(const struct expr *e);
enum status time_window_keys(struct expr_context *c, struct expr *const *keys, uint32_t count);  // tells a SESSION its keys

// --- naming.c ---
const char *name_of_call(struct resolver *r, const struct uexpr *u, const char *const *args, uint32_t count, struct expr *const *bound);
const char *name_of_literal(struct resolver *r, const struct column *literal);
const char *name_join(struct arena *a, const char *const *parts, uint32_t count, const char *separator);
const char *name_limited(struct arena *a, const char *name);
bool operator_is(const struct uexpr *u, const char *name);

// --- generator.c ---
bool is_generator(const struct uexpr *u);
// Puts a GENERATE over c->input; *first and *count: its columns.
enum status resolve_generator(struct expr_context *c, const struct uexpr *call, bool outer, uint32_t *first, uint32_t *count);

// --- subquery.c ---
enum status resolve_subquery_expr(struct expr_context *c, const struct uexpr *u, struct expr **out, const char **name);
// WHERE: conjuncts that are [NOT] EXISTS or [NOT] IN (query) become joins; *rest holds the others (may be NULL).
enum status resolve_where(struct expr_context *c, const struct uexpr *where);

// Correlated conjuncts on their way up.
struct pull {
    struct resolver *r;
    struct expr **conditions;    // with EXPR_OUTERs, over the columns of the node they were pulled to
    uint32_t count, capacity;
};
enum status pull_up(struct pull *p, struct plan_node **node);       // takes them out of the filters at the top of *node
enum status still_correlated(struct resolver *r, struct plan_node *root, bool *out);
enum status complain_correlated(struct resolver *r, struct span span);
// A query beside c->input, as in a join: where every table would grow and the input does, it is read whole.
enum status resolve_second(struct resolver *r, const struct uquery *q, struct expr_context *c, struct relation *out);
bool node_is_correlated(const struct plan_node *n);                 // itself, not what is below it
// An expression of a subquery over outer row and subquery's row side by side.
enum status expr_beside(struct resolver *r, struct expr *e, uint32_t outer_width, struct span span, struct expr **out);
// The pulled conditions over outer row and subquery's row side by side, joined with AND; *out NULL: none.
enum status join_conditions(struct resolver *r, struct pull *p, uint32_t outer_width, struct span span, struct expr **out);

// --- lateral.c ---
struct domain {
    const uint32_t *ordinals;    // of the outer row
    uint32_t count;
};
struct plan_node *plan_beside(struct arena *a, enum join_kind kind, struct plan_node *left, struct plan_node *right);
// An AGGREGATE without keys over `input`, which the conditions tie to the outer row → the same for each combination of outer columns, its keys.
enum status aggregate_per_domain(struct resolver *r, struct plan_node *outer, struct plan_node *aggregate, struct plan_node *input,
                                 struct expr *const *conditions, uint32_t condition_count, struct span span, struct plan_node **out, struct domain *domain);
enum status join_domain(struct resolver *r, struct plan_node *join, const struct domain *domain, struct span span);  // outer row with its combination
// A value over the aggregate's columns → the same over the outer join, whose row has them from `shift` on; count is 0 where there is no group.
enum status value_after_join(struct resolver *r, struct plan_node *join, uint32_t shift, struct span span, struct expr *value, struct expr **out);
enum status resolve_lateral_join(struct resolver *r, const struct urelation *u, const struct relation *left, struct expr_context *outer, struct relation *out);

// --- resolve_relation.c ---
enum status apply_alias(struct resolver *r, const struct urelation *u, struct relation *relation);
bool names_of_both(struct arena *a, const struct relation *left, const struct relation *right, struct relation *out);  // over one concatenated row
enum status resolve_relation(struct resolver *r, const struct urelation *u, struct expr_context *outer, struct relation *out);
enum status join_keys(struct arena *a, struct plan_node *join);     // equal pairs of its condition → left_keys, right_keys
// resolve_table.c
enum status resolve_table(struct resolver *r, const struct urelation *u, struct relation *out);
enum status resolve_cte_query(struct resolver *r, struct cte *c);  // a WITH query, once per mode
enum status apply_watermark(struct resolver *r, const struct urelation *u, struct relation *relation);
enum status resolve_values(struct resolver *r, const struct urelation *u, struct expr_context *outer, struct relation *out);
struct dataset *find_dataset(struct resolver *r, const struct uname *name);  // of the file; NULL: none
enum status scan_of(struct resolver *r, struct dataset *d, bool streaming, struct span span, struct relation *out);
enum status check_source(struct resolver *r, const struct dataset *d, bool streaming, struct span span);  // its options, for this use
enum status check_sources(struct resolver *r, struct plan_node *root);  // of every scan
enum status dataset_schema(struct resolver *r, struct dataset *d, struct span span);

// What a query reads, through views.
struct survey {
    uint32_t source_count, unbounded_count, table_count;  // table_count: streaming tables of this file
    const char *first_source;
    bool uses_stream;
    struct span stream_span;
    uint64_t *seen;           // datasets looked at, by index; made by survey_query
};
void survey_query(struct resolver *r, const struct uquery *q, struct survey *s);

// --- resolve_query.c ---
enum status resolve_query(struct resolver *r, const struct uquery *q, struct expr_context *outer, struct relation *out);
enum status constant_bigint(struct resolver *r, const struct uexpr *u, const char *what, int64_t *out);
enum status constant_count(struct resolver *r, const struct uexpr *u, const char *what, int64_t *out);  // not negative; −1: ALL
enum status resolve_order(struct resolver *r, const struct uquery *q, struct expr_context *outer, struct relation *relation);  // over a finished query
enum status apply_limit(struct resolver *r, const struct uquery *q, struct plan_node **node);
// set_operation.c
enum status resolve_set_operation(struct resolver *r, const struct uquery *q, struct expr_context *outer, struct relation *out);
// aggregate_query.c: rewrites exprs[count] (over `input`) into expressions over a new AGGREGATE, returned in *node.
enum status aggregate_split(struct resolver *r, struct plan_node *input, struct expr **keys, const char *const *key_names, uint32_t key_count,
                            struct expr **exprs, const char *const *names, uint32_t count, struct plan_node **node);

// --- register.c: statements → datasets ---
enum status register_statement(struct resolver *r, const struct ustatement *s);
enum status make_states(struct resolver *r);
// --- pipeline.c ---
enum status resolve_dataset_root(struct resolver *r, struct dataset *d, struct span span, struct relation *out);  // a streaming table read by another
// settings.c
bool is_leat_key(const char *key);
enum status check_looks(struct resolver *r, struct dataset *d, const struct option *of_sink, const struct uoption *properties, uint32_t count);
enum status add_setting(struct resolver *r, const struct ustatement *s, struct vector *given);  // of struct uoption
enum status check_settings(struct resolver *r, const struct vector *given);
// target.c: the key, CONSOLIDATE, the sink's own check
enum status finish_target(struct resolver *r, struct flow *flow);
// check_streaming.c
enum status check_streaming(struct resolver *r, const struct flow *flow);
// event_time.c
enum status plan_derive_time(struct arena *a, struct plan_node *n) WARN_UNUSED;
enum status plan_emit_closed(struct resolver *r, struct plan_node **root) WARN_UNUSED;  // of a streaming table: aggregations emit groups that are closed
enum status plan_drop_late(struct resolver *r, struct plan_node **root) WARN_UNUSED;    // marks WINDOWs under aggregations; after plan_derive
// rank.c
enum status resolve_over(struct expr_context *c, const struct uexpr *u, struct expr **out, const char **name);  // may put a RANK over c->input
enum status plan_limit_ranks(struct resolver *r, struct plan_node **root) WARN_UNUSED;  // WHERE rn <= n becomes the RANK's limit
// graph.c
enum status plan_derive(struct arena *a, struct plan_node *n) WARN_UNUSED;  // changes, streaming, unique key, event time from the inputs
enum status graph_share(struct arena *a, struct memory *memory, struct flow **flows, uint32_t flow_count, struct pipeline *p);
enum status graph_of_root(struct arena *a, struct memory *memory, struct plan_node **root);
enum status plan_hash(struct memory *memory, const struct plan_node *root, uint64_t *out) WARN_UNUSED;
// optimize.c
enum status optimize_tree(struct resolver *r, struct plan_node **root);
enum status optimize_fold(struct resolver *r, struct plan_node **root);         // optimize_fold.c
enum status optimize_filters(struct resolver *r, struct plan_node **root);      // optimize_filter.c
bool expr_cannot_fail(struct expr *e);  // whatever row it is asked about, as far as is known; nor does it draw
enum status optimize_projects(struct resolver *r, struct plan_node **root);     // optimize_project.c
enum status optimize_wanted(struct arena *a, struct plan_node *const *nodes, uint32_t count, struct plan_node *const *roots, uint32_t root_count);
enum status optimize_json_leaves(struct arena *a, struct plan_node *const *nodes, uint32_t count, struct plan_node *const *roots, uint32_t root_count);
// Rebuilds a tree bottom-up, each shared node once: `rule` gets a node that is its own copy when an input changed. NULL: no memory.
typedef struct plan_node *(*plan_rule)(struct resolver *r, struct plan_node *node);
enum status plan_transform(struct resolver *r, struct plan_node **root, plan_rule rule);
// Nodes below the roots, inputs before users, each once.
enum status plan_nodes(struct arena *a, struct memory *memory, struct plan_node *const *roots, uint32_t root_count, struct plan_node ***out, uint32_t *count);
