// SPDX-License-Identifier: Apache-2.0
// expr.h: bound expressions: every name resolved, every cast explicit, every node typed. Made by the analyzer (plan/), compiled
// into a program (program.h), immutable afterwards; nodes live in a query arena and may be shared between plans.
#pragma once
#include "base/status.h"
#include "column/batch.h"

struct function;
struct aggregate;
struct plan_node;
struct eval;

enum expr_kind {
    EXPR_COLUMN,      // `ordinal` of the input's columns
    EXPR_LITERAL,     // `literal`: a CONSTANT column of one row
    EXPR_CALL,        // `function` over args
    EXPR_CAST,        // args[0] to `type`; cast_mode
    EXPR_AND,         // args 2; three-valued, the right side evaluated only where the left does not decide
    EXPR_OR,
    EXPR_CASE,        // args: when, then, when, then … [else]; branches evaluated only where taken. IF and nvl2 are CASEs
    EXPR_COALESCE,    // args evaluated only where the ones before are NULL
    EXPR_TRY,         // args[0]; a row that fails is NULL
    EXPR_FIELD,       // field `ordinal` of the struct args[0]
    EXPR_LAMBDA,      // body args[0] of an argument of a higher-order function; parameters: EXPR_PARAMETER by `ordinal`
    EXPR_PARAMETER,   // parameter `ordinal` of the lambda `lambda_depth` levels out (0: innermost)
    EXPR_AGGREGATE,   // aggregate call: only inside the analyzer, moved into an Aggregate node
    EXPR_SUBQUERY,    // scalar value of the uncorrelated plan `subquery`, run before the query
    EXPR_IN_SUBQUERY, // args[0] IN `subquery`; uncorrelated
    EXPR_OUTER,       // column `ordinal` of the enclosing query: only inside the analyzer
};

enum cast_mode { CAST_ANSI, CAST_TRY, CAST_IMPLICIT };  // IMPLICIT: as ANSI, but put there by the analyzer (not shown in names)

// A call after its types are settled; filled by function binding.
struct call {
    const struct function *function;
    void *data;                  // the function's own, in the query arena: a compiled pattern, a schema …; NULL
    uint64_t identity;           // hash of the arguments that binding took into `data` and out of args; 0: it took none
    bool draws;                  // result depends on row identity or clock (uuid, rand, current_timestamp)
    void (*kernel)(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval);  // chosen by binding
};

struct aggregate_call {
    const struct aggregate *aggregate;
    void *data;                  // as in struct call
    bool distinct;
    struct expr *filter;         // FILTER (WHERE …), or NULL
};

struct expr {
    enum expr_kind kind;
    const struct type *type;
    bool nullable;
    struct span span;            // place in the text, if any
    uint32_t arg_count;
    struct expr **args;
    union {
        uint32_t ordinal;                  // COLUMN, FIELD, PARAMETER, OUTER
        const struct column *literal;      // LITERAL
        struct call call;                  // CALL
        enum cast_mode cast_mode;          // CAST
        struct aggregate_call aggregate;   // AGGREGATE
        struct plan_node *subquery;        // SUBQUERY, IN_SUBQUERY
        uint32_t parameter_count;          // LAMBDA
    };
    uint32_t lambda_depth;       // PARAMETER; OUTER: levels of query
    bool has_else;               // CASE
    const char *name;            // Spark's name of the expression as a column ("(a + 1)"), set by the analyzer; may be NULL
};

struct expr *expr_new(struct arena *a, enum expr_kind kind, const struct type *type, bool nullable, uint32_t arg_count);
struct expr *expr_column(struct arena *a, uint32_t ordinal, const struct type *type, bool nullable);
struct expr *expr_literal(struct arena *a, const struct column *constant);
struct expr *expr_null(struct arena *a, const struct type *type);
struct expr *expr_string(struct arena *a, const char *bytes, size_t size_bytes);
struct expr *expr_int(struct arena *a, int32_t value);
struct expr *expr_bigint(struct arena *a, int64_t value);
struct expr *expr_boolean(struct arena *a, bool value);
struct expr *expr_cast(struct arena *a, struct expr *arg, const struct type *to, enum cast_mode mode);  // arg itself if types are equal

bool expr_equal(const struct expr *a, const struct expr *b);   // structure; drawing calls are never equal unless the same node
uint64_t expr_hash(const struct expr *e);
bool expr_is_constant(const struct expr *e);                   // no column, parameter, aggregate, subquery or draw below
bool expr_draws(const struct expr *e);
// Calls visit for every node, parents first; a false return skips the children.
void expr_walk(struct expr *e, bool (*visit)(struct expr *, void *context), void *context);
// Replaces each node bottom-up by what `map` returns (the same to keep). Copies what changes; NULL on no memory.
struct expr *expr_rewrite(struct arena *a, struct expr *e, struct expr *(*map)(struct expr *, void *context), void *context);
