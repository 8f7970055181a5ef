// SPDX-License-Identifier: Apache-2.0
// function.h: the scalar functions, one table line each.
//
//     {"substring_index", "(STRING, STRING, INT) -> STRING", kernel_substring_index, NULL, 0,
//      "The text before the n-th delimiter (from the right if n is negative)", "substring_index('a.b.c', '.', 2)", "a.b"},
//
// A signature is enough for most: several alternatives are separated by "|". Type words: SQL types (ANY for what is left as it
// is; NUMERIC: any numeric; INTEGRAL; T, U: whatever it is, the same wherever the letter stands, after Spark's common-type
// coercion; ARRAY<T>, MAP<T, U>); "?" after an argument: optional; "..." after the last: repeated. Arguments are cast implicitly
// as Spark's ANSI mode does (coerce.h); no alternative fits: DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE, or WRONG_NUM_ARGS with the
// counts. What a signature cannot say, a `bind` does. Operators are functions too, named as they are written: "+", "=", "LIKE".
#pragma once
#include "expr/expr.h"
#include "expr/kernel.h"

enum function_flag {
    FUNCTION_HANDLES_NULL = 1 << 0,     // see kernel.h
    FUNCTION_TAKES_ANY_FORM = 1 << 1,
    FUNCTION_DRAWS = 1 << 2,            // depends on row identity or on the clock
    FUNCTION_NEVER_NULL = 1 << 3,       // result is not nullable whatever the arguments
    FUNCTION_MAY_BE_NULL = 1 << 4,      // nullable even when no argument is
    FUNCTION_OPERATOR = 1 << 5,         // named infix: (a + b)
    FUNCTION_HIDDEN = 1 << 6,           // not listed: made by the analyzer only
    FUNCTION_CAN_FAIL = 1 << 7,         // calls eval_fail for some input
    FUNCTION_TOTAL = 1 << 8,            // safe on the garbage under NULLs: may be run densely over all rows (ignored where an argument is
                                        // text or nested)
    FUNCTION_TAKES_CONSTANT = 1 << 9,   // args are FLAT or CONSTANT
    FUNCTION_COMPUTES_ALL = 1 << 10,    // every argument is computed, whichever are NULL: one that fails fails the row
    FUNCTION_LAST_FIRST = 1 << 11,      // of two arguments the second is computed first (a divisor)
    FUNCTION_NEEDS_FIRST = 1 << 12,     // NULL where the first argument is, though it handles NULL in the others
};

// What binding knows and decides. In: args (bound, not yet cast; may be replaced or extended), arg_count, session, arena. Out: result,
// nullable, call.data, kernel; args with the casts in. `name` is as the user wrote it.
struct binding {
    struct arena *arena;
    const struct session *session;
    const struct function *function;
    const char *name;
    struct expr **args;
    uint32_t arg_count;
    struct span span;
    const struct type *result;
    bool nullable;               // preset: any argument nullable, or FUNCTION_MAY_BE_NULL
    void *data;
    kernel kernel;               // preset: the table's
    struct expr *replacement;    // set it to replace the call by another expression (nvl2 → CASE)
};

struct function {
    const char *name;            // lower case
    const char *signature;       // also documentation; the binder when `bind` is NULL
    kernel kernel;
    enum status (*bind)(struct binding *b, struct error *e);
    uint32_t flags;
    const char *doc;             // one sentence
    const char *example;         // an expression or "SELECT …"; NULL only for hidden ones
    const char *result;          // what it prints
};

struct function_table {
    const struct function *functions;
    size_t count;
    const char *group;           // "string", "datetime" …
};
extern const struct function_table *const function_tables[];  // NULL-terminated; functions.c lists them
const struct function *function_find(const char *name);       // ignoring case; NULL if there is none

// Binds a call: chooses types, inserts casts, lets `bind` decide. *out: the expression (a CALL, or its replacement).
// Errors: DATATYPE_MISMATCH.*, WRONG_NUM_ARGS.*, and what `bind` raises; span is set to the offending argument or the call.
enum status function_call(struct arena *a, const struct session *session, const struct function *f, const char *name, struct expr *const *args,
                          uint32_t arg_count, struct span span, struct expr **out, struct error *e) WARN_UNUSED;
// By name; the function must exist (our own rewrites).
enum status function_call_named(struct arena *a, const struct session *session, const char *name, struct expr *const *args, uint32_t arg_count,
                                struct span span, struct expr **out, struct error *e) WARN_UNUSED;

// Gives a call that draws (uuid, rand) its identity: `place` should not depend on what stands elsewhere in the text. Other calls stay.
void function_set_place(struct expr *call, uint64_t place);

// Helpers for binders.
enum status binding_require_count(struct binding *b, uint32_t least, uint32_t most, struct error *e) WARN_UNUSED;  // WRONG_NUM_ARGS.WITHOUT_SUGGESTION
enum status binding_cast(struct binding *b, uint32_t index, const struct type *to, struct error *e) WARN_UNUSED;   // implicit cast or UNEXPECTED_INPUT_TYPE
enum status binding_common_type(struct binding *b, uint32_t first, uint32_t count, struct error *e) WARN_UNUSED;   // coerces args to one type, or DATATYPE_MISMATCH.DATA_DIFF_TYPES
enum status binding_signature(struct binding *b, const char *signature, struct error *e) WARN_UNUSED;              // as if it were the table's
// The constant value of an argument: a one-row column (folded); NON_FOLDABLE_INPUT if it is none. NULL result: the value is NULL.
enum status binding_constant(struct binding *b, uint32_t index, const struct column **out, struct error *e) WARN_UNUSED;
