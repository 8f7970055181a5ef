// SPDX-License-Identifier: Apache-2.0
// aggregate.h: the parts of the aggregate operator, shared by its files: aggregate.c (rows in), aggregate_result.c (results out, state kept),
// aggregate_close.c (groups that event time ends), aggregate_session.c (groups that grow together), aggregate_values.c (the values of min and max
// where rows can be taken back).
#pragma once
#include "exec/key_order.h"
#include "exec/row_store.h"
#include "exec/state_table.h"
#include "exec/time_index.h"

struct call_plan {
    const struct aggregate *aggregate;
    const struct aggregate_ops *ops;
    const void *data;
    const struct type *result;
    const struct type **arg_types;
    uint32_t arg_count;
    uint32_t first_arg;          // among the program's columns
    uint32_t filter;             // its column, or UINT32_MAX
    uint32_t state_offset;
    uint32_t distinct;           // index of its table of values, or UINT32_MAX
    uint32_t values;             // index of its ordered values, or UINT32_MAX
};

// Values already seen by a DISTINCT call: (group key, arguments) → how often. Partitioned as the groups are.
struct distinct_plan {
    struct key_layout layout;
    struct state_table tables[KEY_PARTITIONS];
    struct time_index ends[KEY_PARTITIONS];
};

// All rows that a min or max over rows that can be taken back has seen and still has, in order. Partitioned as the groups are.
struct value_plan {
    uint32_t call;
    struct key_layout layout;
    struct state_table tables[KEY_PARTITIONS];
    struct key_order orders[KEY_PARTITIONS];
};

enum { NO_SESSION = UINT32_MAX };

struct kept_keys {                    // of a pending batch, in its arena
    struct key_batch keys;
    uint16_t *positions;              // places in keys, by partition, ascending in each
    uint32_t begins[KEY_PARTITIONS + 1];
    struct rows rows;
};

struct fold {                          // rows of one batch with the groups they belong to
    const struct column *columns;      // the program's
    struct rows rows;
    uint32_t row_count;                // of the batch
    const int8_t *weights;             // by row
    struct group **groups;             // dense
};

struct aggregate_self {
    const struct program *program;   // keys, then arguments and filter of each call
    uint32_t column_count;
    uint32_t key_count, call_count;
    struct call_plan *calls;
    size_t state_bytes;
    struct key_layout layout;
    bool ordered;                    // some call sees the order of rows
    bool keeps_rows;                 // ordered, and several workers: rows wait in `pending`
    bool owns_memory;                // some state has memory of its own
    bool no_keys;
    bool closes;                     // a key is an event time: groups end when the watermark passes it
    bool emits_closed;               // and leave then, once
    bool time_is_window;             // of a window its end
    uint32_t time_key;
    bool in_panes;                   // groups are slides of windows
    int64_t slide_us, pane_rest_us;  // how long after a slide its last window ends; 0 where groups are windows themselves
    uint32_t session_key;            // NO_SESSION, or which key is a session: its groups merge
    struct key_layout prefix;        // the other keys
    struct hash_table open_sessions[KEY_PARTITIONS];  // prefix → struct session_list
    bool sessions_stale;             // to be built anew from the groups
    struct state_table tables[KEY_PARTITIONS];
    struct time_index ends[KEY_PARTITIONS];
    struct distinct_plan *distincts;
    uint32_t distinct_count;
    struct value_plan *values;
    uint32_t value_count;
    struct row_store pending;
    struct hash_table (*partials)[KEY_PARTITIONS];  // by worker; NULL: rows go straight to `tables`
};

struct aggregate_context aggregate_context_for(const struct aggregate_self *self, const struct execution *x, uint32_t call, struct memory *memory,
                                               struct eval *eval);
extern const struct state_codec aggregate_codec;  // its context is the struct operator
void aggregate_release_group(struct operator *op, struct group *g, struct memory *memory);
void aggregate_drop_partials(struct operator *op);

// aggregate_close.c
enum status aggregate_take_time_key(struct operator *op, struct error *e) WARN_UNUSED;                // at open
enum status aggregate_index_ends(struct operator *op, struct error *e) WARN_UNUSED;                   // at begin: after groups were read from the log
// Rows without a time, or that are late, leave `rows`: *kept is in `a`.
enum status aggregate_drop_late(struct operator *op, struct worker *w, const struct batch *b, const struct column *columns, const struct rows *rows, struct arena *a,
                                struct rows *kept) WARN_UNUSED;
int64_t aggregate_time_of(const struct aggregate_self *self, const struct column *columns, uint32_t row);  // GROUP_NO_END: NULL
enum status aggregate_close_groups(struct operator *op, struct worker *w, uint32_t key_partition) WARN_UNUSED;  // emits them where that is due
int64_t aggregate_earliest(struct operator *op);
void aggregate_forget_ends(struct operator *op);                                                     // they are to be indexed anew

// aggregate_pane.c
enum status aggregate_emit_panes(struct operator *op, struct worker *w, uint32_t key_partition) WARN_UNUSED;  // windows that close
int64_t aggregate_next_pane_end(const struct operator *op, int64_t earliest);  // of the first window that has not closed yet

// aggregate.c: adds rows to the groups they belong to; *kept is in `a`.
enum status aggregate_update(struct operator *op, struct worker *w, bool partial, struct fold *f, const struct batch *b, struct arena *a) WARN_UNUSED;

// aggregate_session.c
enum status aggregate_open_sessions(struct operator *op, struct error *e) WARN_UNUSED;
enum status aggregate_prefix_keys(struct aggregate_self *self, const struct column *columns, const struct rows *rows, struct arena *a, struct memory *memory,
                                  struct key_batch *out) WARN_UNUSED;
enum status aggregate_settle_sessions(struct operator *op, struct worker *w, uint32_t key_partition) WARN_UNUSED;  // of the kept rows
enum status aggregate_index_sessions(struct operator *op, struct error *e) WARN_UNUSED;                           // at begin
enum status aggregate_end_sessions(struct operator *op, struct worker *w, const struct vector *groups, uint32_t key_partition) WARN_UNUSED;
void aggregate_forget_sessions(struct operator *op);

// aggregate_values.c; the table of each call, of one key partition
enum status aggregate_open_values(struct operator *op, struct error *e) WARN_UNUSED;
// Rows of a batch join the values of their groups: groups[i] is that of rows_at(rows, i).
enum status aggregate_keep_values(struct operator *op, uint32_t call, struct group *const *groups, const struct column *const *args, const struct rows *rows,
                                  const int8_t *weights) WARN_UNUSED;
enum status aggregate_settle_values(struct operator *op, struct worker *w, uint32_t key_partition) WARN_UNUSED;  // before results are made
enum status aggregate_end_values(struct operator *op, const struct vector *groups, uint32_t key_partition) WARN_UNUSED;  // of groups that end
void aggregate_commit_values(struct operator *op, uint32_t key_partition);
enum status aggregate_rollback_values(struct operator *op, uint32_t key_partition) WARN_UNUSED;
enum status aggregate_apply_values(struct operator *op, uint32_t key_partition, struct reader *in) WARN_UNUSED;
void aggregate_clear_values(struct operator *op, uint32_t key_partition);

// aggregate_result.c
// Results of some groups as a batch; groups whose result fails are left out of its selection. ends: of the windows that stand in the place of the
// groups' own; NULL: their own. NULL: worker->error says why.
struct batch *aggregate_results(struct operator *op, struct worker *w, struct group **groups, const int64_t *ends, uint32_t count, uint64_t sequence, bool report);
enum status aggregate_emit_made(struct operator *op, struct worker *w, struct batch *b) WARN_UNUSED;
enum status aggregate_emit_groups(struct operator *op, struct worker *w, struct table_slot *slots, size_t group_count, uint32_t key_partition, uint64_t first_number);
enum status aggregate_emit(struct operator *op, struct worker *w, uint32_t key_partition);
void aggregate_commit(struct operator *op);
enum status aggregate_rollback(struct operator *op, struct error *e);
enum status aggregate_log(struct operator *op, uint32_t part, struct buffer *out, struct error *e);
enum status aggregate_apply(struct operator *op, struct reader *in, struct error *e);
enum status aggregate_snapshot(struct operator *op, uint32_t part, struct buffer *out, struct error *e);
enum status aggregate_restore(struct operator *op, struct reader *in, struct error *e);
enum status aggregate_describe(struct operator *op, struct buffer *out);
void aggregate_clear(struct operator *op);
size_t aggregate_bytes(const struct operator *op, uint64_t *key_count);
