// SPDX-License-Identifier: Apache-2.0
// aggregate.h: the aggregate functions, one table line each, and the contract of their states.
//
// A state is `state_bytes` bytes inside a group's row of the hash table (exec/), zeroed before init; what does not fit (strings, lists, maps)
// hangs off it, allocated from actx->memory, and is given back by `release`. States never move while they own memory elsewhere by
// address of themselves: keep no pointers into the state.
//
//   exact     any order of update and merge gives the same bytes: workers aggregate apart and states are merged
//   ordered   the order matters (float sums, first, collect_list …): rows are folded one after another in (source, partition,
//             offset, row) order, `merge` is never called
#pragma once
#include "base/coding.h"
#include "expr/function.h"

enum aggregate_flag {
    AGGREGATE_ORDERED = 1 << 0,
    AGGREGATE_RETRACTS = 1 << 1,     // update understands weight −1 exactly
    AGGREGATE_SEES_NULL = 1 << 2,    // update gets rows with NULL arguments too (otherwise they are left out)
    AGGREGATE_DISTINCT_IS_PLAIN = 1 << 3,  // DISTINCT changes nothing (min, max, bool_and)
    // The result is that of one row: of the one whose last argument, not NULL, is smallest (LEAST) or largest (GREATEST). Over rows that can be taken
    // back exec keeps all rows' arguments in that order, and updates a fresh state with the first of them.
    AGGREGATE_OF_LEAST = 1 << 4,
    AGGREGATE_OF_GREATEST = 1 << 5,
};

struct aggregate_context {
    const struct session *session;
    struct memory *memory;           // state memory, accounted
    const void *data;                // bind data
    const struct type *const *arg_types;
    const struct type *result;
    struct eval *eval;               // for `finish` and for failing rows in update (eval_fail)
};

struct aggregate {
    const char *name;
    const char *signature;           // as in function.h; (*) for count(*)
    enum status (*bind)(struct binding *b, struct error *e);  // may set result, data; NULL: the signature says all
    // Chooses the implementation once types are known (sum of BIGINT, DECIMAL, DOUBLE differ).
    const struct aggregate_ops *(*choose)(const struct type *const *arg_types, uint32_t arg_count, const void *data);
    uint32_t flags;
    const char *doc;
    const char *example;
    const char *result;
};

struct aggregate_ops {
    uint32_t state_bytes;            // ≤ 64, alignment 16
    uint32_t flags;                  // of this implementation: sum is exact on BIGINT, ordered on DOUBLE
    // states[i] belongs to row rows_at(rows, i). weights by row, or NULL. STATUS_NO_MEMORY, or OK with failed rows in eval.
    enum status (*update)(void *const *states, const struct column *const *args, const struct rows *rows, const int8_t *weights,
                          struct aggregate_context *c);
    enum status (*merge)(void *into, const void *from, struct aggregate_context *c);  // NULL for ordered ones
    enum status (*append)(void *into, const void *from, struct aggregate_context *c);  // of ordered ones: the rows of `from` came after. NULL: cannot
    // Result of states[i] into row i of out (FLAT, allocated, validity all set); eval_fail(row i) for overflow and the like.
    void (*finish)(const void *const *states, uint32_t count, struct column *out, struct aggregate_context *c);
    enum status (*save)(const void *state, struct buffer *out, struct aggregate_context *c);  // NULL: the bytes themselves
    bool (*load)(void *state, struct reader *in, struct aggregate_context *c);                // into a zeroed state; false: corrupt or no memory
    void (*release)(void *state, struct aggregate_context *c);                                // NULL: nothing hangs off
    const struct aggregate_ops *retracting;  // for rows that can be taken back: larger or slower, and right; NULL: the flags say what can be done
};

struct aggregate_table {
    const struct aggregate *aggregates;
    size_t count;
    const char *group;
};
extern const struct aggregate_table *const aggregate_tables[];  // NULL-terminated
const struct aggregate *aggregate_find(const char *name);
// What computes a bound call (EXPR_AGGREGATE); NULL: not for this type, or, over rows that can be taken back, not at all.
const struct aggregate_ops *aggregate_implementation(const struct expr *call, const struct type *const *arg_types, bool retracts);

// Binds an aggregate call over bound arguments: an EXPR_AGGREGATE node.
enum status aggregate_call(struct arena *a, const struct session *session, const struct aggregate *g, const char *name, struct expr *const *args,
                           uint32_t arg_count, bool distinct, struct expr *filter, struct span span, struct expr **out, struct error *e) WARN_UNUSED;
