// SPDX-License-Identifier: Apache-2.0
// from_json.h: what a bound from_json call carries, and how the optimizer tells it which leaves of its schema are read.
//
// The data hangs at `call.data` of a call whose function is named "from_json". Leaves are counted as json.h does: in preorder, a field
// that is not a STRUCT is one leaf (an ARRAY or MAP too). `wanted` NULL: all. A leaf that is not wanted arrives as constant NULL.
#pragma once
#include "expr/function.h"
#include "json/json.h"

struct from_json_data {
    const struct type *schema;     // STRUCT, ARRAY or MAP
    const uint64_t *wanted;        // bitmap of json_leaf_count(schema) leaves, or NULL
    struct json_options options;
    bool has_corrupt_column;       // the schema has the column of json_options.corrupt_record_column: then every leaf is read
};

// Tells a from_json call which leaves are used. `leaves` must live as long as the call. The data is copied, never changed in place (calls
// of other plans may share it). False: this is no from_json, pruning would change its meaning (FAILFAST, a corrupt-record column),
// or memory is refused; the call then goes on reading every leaf.
static inline bool function_set_wanted_leaves(struct arena *a, struct expr *call, const uint64_t *leaves) {
    if (call->kind != EXPR_CALL || !call->call.data || strcmp(call->call.function->name, "from_json") != 0) return false;
    const struct from_json_data *old = call->call.data;
    if (old->has_corrupt_column || old->options.mode != JSON_PERMISSIVE) return false;
    struct from_json_data *data = arena_alloc(a, sizeof *data);
    if (!data) return false;
    *data = *old;
    data->wanted = leaves;
    call->call.data = data;
    return true;
}

// json_schema.c. The schema that argument `index` gives, or the error that Spark has for it.
enum status json_schema_argument(struct binding *b, uint32_t index, const struct type **out, struct error *e) WARN_UNUSED;
enum status schema_of_json_bind(struct binding *b, struct error *e) WARN_UNUSED;
// cast_interval.c: as CAST(text AS type) for both kinds of ANSI intervals; of the shape that json/ asks for (the context is not looked at).
bool interval_from_text(void *context, const char *text, size_t size_bytes, const struct type *type, int64_t *out);
