// SPDX-License-Identifier: Apache-2.0
// expr.c: making, comparing, walking and rewriting bound expressions.
//
// Nodes are immutable once handed out; a rewrite copies the path from the changed node to the root and shares the rest. All memory is
// the caller's arena, so nothing here is ever released.
#include "expr/expr.h"
#include "base/checksum.h"
#include "base/random.h"
#include "column/value.h"
#include "expr/aggregate.h"

struct expr *expr_new(struct arena *a, enum expr_kind kind, const struct type *type, bool nullable, uint32_t arg_count) {
    struct expr *e = arena_alloc_zeroed(a, sizeof *e);
    if (!e) return NULL;
    e->kind = kind;
    e->type = type;
    e->nullable = nullable;
    e->arg_count = arg_count;
    if (arg_count) {
        e->args = arena_alloc_array(a, arg_count, sizeof *e->args);
        if (!e->args) return NULL;
    }
    return e;
}

struct expr *expr_column(struct arena *a, uint32_t ordinal, const struct type *type, bool nullable) {
    struct expr *e = expr_new(a, EXPR_COLUMN, type, nullable, 0);
    if (e) e->ordinal = ordinal;
    return e;
}

struct expr *expr_literal(struct arena *a, const struct column *constant) {
    struct expr *e = expr_new(a, EXPR_LITERAL, constant->type, !column_is_valid(constant, 0), 0);
    if (e) e->literal = constant;
    return e;
}

// A literal over `size_bytes` bytes of a fixed-width value, or a string view.
static struct expr *literal_of(struct arena *a, const struct type *type, const void *value, size_t size_bytes) {
    struct column *c = arena_alloc_zeroed(a, sizeof *c);
    void *bytes = arena_alloc(a, size_bytes);
    if (!c || !bytes) return NULL;
    memcpy(bytes, value, size_bytes);
    c->type = type;
    c->form = COLUMN_CONSTANT;
    c->row_count = 1;
    c->values = bytes;
    return expr_literal(a, c);
}

struct expr *expr_null(struct arena *a, const struct type *type) {
    struct column *c = arena_alloc_zeroed(a, sizeof *c);
    if (!c || column_make_constant_null(a, type, 1, c) != STATUS_OK) return NULL;
    return expr_literal(a, c);
}

struct expr *expr_string(struct arena *a, const char *bytes, size_t size_bytes) {
    const char *kept = arena_strndup(a, bytes, size_bytes);
    if (!kept) return NULL;
    struct string_view v = string_view_of(kept, size_bytes);
    return literal_of(a, &type_string, &v, sizeof v);
}

struct expr *expr_int(struct arena *a, int32_t value) { return literal_of(a, &type_int, &value, sizeof value); }
struct expr *expr_bigint(struct arena *a, int64_t value) { return literal_of(a, &type_bigint, &value, sizeof value); }
struct expr *expr_boolean(struct arena *a, bool value) {
    uint8_t byte = value;
    return literal_of(a, &type_boolean, &byte, sizeof byte);
}

struct expr *expr_cast(struct arena *a, struct expr *arg, const struct type *to, enum cast_mode mode) {
    if (type_equal(arg->type, to)) return arg;
    // NULL of any type is simply NULL of the wanted one; keeps literals literal.
    if (mode == CAST_IMPLICIT && arg->kind == EXPR_LITERAL && arg->type->id == TYPE_NULL) return expr_null(a, to);
    struct expr *e = expr_new(a, EXPR_CAST, to, arg->nullable || mode == CAST_TRY, 1);
    if (!e) return NULL;
    e->args[0] = arg;
    e->cast_mode = mode;
    e->span = arg->span;
    bool fraction = arg->type->id == TYPE_FLOAT || arg->type->id == TYPE_DOUBLE;
    if (fraction && (to->id == TYPE_DECIMAL || to->id == TYPE_TIMESTAMP)) e->nullable = true;  // NaN and infinities
    return e;
}

static bool same_payload(const struct expr *a, const struct expr *b) {
    switch (a->kind) {
    case EXPR_COLUMN:
    case EXPR_FIELD:
        return a->ordinal == b->ordinal;
    case EXPR_PARAMETER:
    case EXPR_OUTER:
        return a->ordinal == b->ordinal && a->lambda_depth == b->lambda_depth;
    case EXPR_LITERAL:
        return value_equal(a->literal, 0, b->literal, 0);
    case EXPR_CALL:
        // Bind data is made from constant arguments: they are among args, or their hash is the call's identity.
        return a->call.function == b->call.function && a->call.identity == b->call.identity && !a->call.draws && !b->call.draws;
    case EXPR_CAST:
        return (a->cast_mode == CAST_TRY) == (b->cast_mode == CAST_TRY);
    case EXPR_AGGREGATE:
        if (a->aggregate.aggregate != b->aggregate.aggregate || a->aggregate.distinct != b->aggregate.distinct) return false;
        if (!a->aggregate.filter || !b->aggregate.filter) return a->aggregate.filter == b->aggregate.filter;
        return expr_equal(a->aggregate.filter, b->aggregate.filter);
    case EXPR_SUBQUERY:
    case EXPR_IN_SUBQUERY:
        return a->subquery == b->subquery;
    case EXPR_LAMBDA:
        return a->parameter_count == b->parameter_count;
    case EXPR_CASE:
        return a->has_else == b->has_else;
    default:
        return true;
    }
}

// −0.0 equals 0.0 and NaN payloads are one value for grouping, but a literal's sign is seen by arithmetic.
static bool same_literal_bits(const struct expr *a, const struct expr *b) {
    if (!a->literal->values || !b->literal->values || !column_is_valid(a->literal, 0)) return true;
    if (a->type->id != TYPE_DOUBLE && a->type->id != TYPE_FLOAT) return true;
    return memcmp(a->literal->values, b->literal->values, type_width(a->type)) == 0;
}

bool expr_equal(const struct expr *a, const struct expr *b) {
    if (a == b) return true;
    if (a->kind != b->kind || a->arg_count != b->arg_count || !type_equal(a->type, b->type)) return false;
    if (!same_payload(a, b)) return false;
    if (a->kind == EXPR_LITERAL && !same_literal_bits(a, b)) return false;
    for (uint32_t i = 0; i < a->arg_count; i++)
        if (!expr_equal(a->args[i], b->args[i])) return false;
    return true;
}

uint64_t expr_hash(const struct expr *e) {
    uint64_t h = random_mix((uint64_t)e->kind * 1315423911u + e->arg_count);
    h = random_mix(h ^ type_hash(e->type));
    switch (e->kind) {
    case EXPR_COLUMN:
    case EXPR_FIELD:
    case EXPR_PARAMETER:
    case EXPR_OUTER:
        h = random_mix(h ^ e->ordinal ^ (uint64_t)e->lambda_depth << 32);
        break;
    case EXPR_LITERAL: {
        struct rows one = {.indices = NULL, .count = 1};
        uint64_t value = 0;
        value_hash_column(e->literal, &one, &value);
        h = random_mix(h ^ value);
        break;
    }
    case EXPR_CALL: {
        // By name, not address: plans are hashed into what a restart compares with.
        const char *name = e->call.function->name;
        h = random_mix(h ^ checksum64(name, strlen(name), 0) ^ e->call.identity);
        break;
    }
    case EXPR_AGGREGATE: {
        const char *name = e->aggregate.aggregate->name;
        h = random_mix(h ^ checksum64(name, strlen(name), e->aggregate.distinct));
        if (e->aggregate.filter) h = random_mix(h ^ expr_hash(e->aggregate.filter));
        break;
    }
    case EXPR_CAST:
        h = random_mix(h ^ (e->cast_mode == CAST_TRY));
        break;
    default:
        break;
    }
    for (uint32_t i = 0; i < e->arg_count; i++) h = random_mix(h * 31 + expr_hash(e->args[i]));
    return h;
}

static bool kind_is_constant(const struct expr *e) {
    switch (e->kind) {
    case EXPR_COLUMN:
    case EXPR_AGGREGATE:
    case EXPR_SUBQUERY:
    case EXPR_IN_SUBQUERY:
    case EXPR_OUTER:
        return false;
    case EXPR_CALL:
        return !e->call.draws;
    default:
        return true;
    }
}

// `bound`: how many lambdas stand above; a parameter of one of them is no obstacle.
static bool is_constant_below(const struct expr *e, uint32_t bound) {
    if (!kind_is_constant(e)) return false;
    if (e->kind == EXPR_PARAMETER && e->lambda_depth >= bound) return false;
    if (e->kind == EXPR_LAMBDA) bound++;
    for (uint32_t i = 0; i < e->arg_count; i++)
        if (!is_constant_below(e->args[i], bound)) return false;
    return true;
}

bool expr_is_constant(const struct expr *e) { return is_constant_below(e, 0); }

bool expr_draws(const struct expr *e) {
    if (e->kind == EXPR_CALL && e->call.draws) return true;
    if (e->kind == EXPR_AGGREGATE && e->aggregate.filter && expr_draws(e->aggregate.filter)) return true;
    for (uint32_t i = 0; i < e->arg_count; i++)
        if (expr_draws(e->args[i])) return true;
    return false;
}

void expr_walk(struct expr *e, bool (*visit)(struct expr *, void *context), void *context) {
    if (!visit(e, context)) return;
    for (uint32_t i = 0; i < e->arg_count; i++) expr_walk(e->args[i], visit, context);
    if (e->kind == EXPR_AGGREGATE && e->aggregate.filter) expr_walk(e->aggregate.filter, visit, context);
}

struct expr *expr_rewrite(struct arena *a, struct expr *e, struct expr *(*map)(struct expr *, void *context), void *context) {
    struct expr *copy = NULL;
    for (uint32_t i = 0; i < e->arg_count; i++) {
        struct expr *child = expr_rewrite(a, e->args[i], map, context);
        if (!child) return NULL;
        if (child == e->args[i]) continue;
        if (!copy) {
            copy = expr_new(a, e->kind, e->type, e->nullable, e->arg_count);
            if (!copy) return NULL;
            struct expr **args = copy->args;
            *copy = *e;
            copy->args = args;
            memcpy(args, e->args, e->arg_count * sizeof *args);
        }
        copy->args[i] = child;
    }
    if (e->kind == EXPR_AGGREGATE && e->aggregate.filter) {
        struct expr *filter = expr_rewrite(a, e->aggregate.filter, map, context);
        if (!filter) return NULL;
        if (filter != e->aggregate.filter) {
            if (!copy) {
                copy = arena_alloc(a, sizeof *copy);
                if (!copy) return NULL;
                *copy = *e;
            }
            copy->aggregate.filter = filter;
        }
    }
    return map(copy ? copy : e, context);
}
