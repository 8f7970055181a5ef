// SPDX-License-Identifier: Apache-2.0
// function.c: binding of calls: from a name and bound arguments to an EXPR_CALL with its casts in.
//
// Alternatives of a signature are tried twice: first for one that takes the arguments as they are, then for the first that takes them
// with implicit casts. That is the order in which Spark's "closest" type comes out for the signatures we have.
#include "base/random.h"
#include "expr/function.h"
#include "expr/coerce.h"
#include "expr/program.h"
#include "functions.h"
#include "signature.h"
#include <strings.h>

const struct function *function_find(const char *name) {
    int first = name[0] >= 'A' && name[0] <= 'Z' ? name[0] + 32 : name[0];
    for (size_t t = 0; function_tables[t]; t++) {
        const struct function_table *table = function_tables[t];
        for (size_t i = 0; i < table->count; i++) {
            const struct function *f = &table->functions[i];
            int head = f->name[0] >= 'A' && f->name[0] <= 'Z' ? f->name[0] + 32 : f->name[0];
            if (head == first && strcasecmp(f->name, name) == 0) return f;
        }
    }
    return NULL;
}

static enum status wrong_count(struct binding *b, const char *expected, struct error *e) {
    error_set(e, STATUS_INVALID_QUERY, "WRONG_NUM_ARGS.WITHOUT_SUGGESTION", "the `%s` requires %s parameters but the actual number is %u", b->name, expected,
              b->arg_count);
    if (e) e->span = b->span;
    return STATUS_INVALID_QUERY;
}

enum status binding_require_count(struct binding *b, uint32_t least, uint32_t most, struct error *e) {
    if (b->arg_count >= least && b->arg_count <= most) return STATUS_OK;
    const char *expected = least == most ? arena_printf(b->arena, "%u", least)
                           : most == UINT32_MAX ? arena_printf(b->arena, "> %u", least ? least - 1 : 0)
                                                : arena_printf(b->arena, "[%u, %u]", least, most);
    return wrong_count(b, expected ? expected : "other", e);
}

static const char *const ordinals[] = {"first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"};

static enum status unexpected_type(struct binding *b, uint32_t index, const char *wanted, struct error *e) {
    const char *place = index < sizeof ordinals / sizeof *ordinals ? ordinals[index] : "last";
    const char *has = type_name_sql(b->arena, b->args[index]->type);
    error_set(e, STATUS_INVALID_QUERY, "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE", "cannot resolve \"%s\" due to data type mismatch: the %s parameter requires the \"%s\" type, however it has the type \"%s\"",
              b->name, place, wanted, has);
    if (e) {
        e->span = span_known(b->args[index]->span) ? b->args[index]->span : b->span;
        error_set_label(e, "this is %s", has);
    }
    return STATUS_INVALID_QUERY;
}

enum status binding_cast(struct binding *b, uint32_t index, const struct type *to, struct error *e) {
    struct expr *arg = b->args[index];
    if (!coerce_implicit(arg, to)) return unexpected_type(b, index, type_name_sql(b->arena, to), e);
    b->args[index] = expr_cast(b->arena, arg, to, CAST_IMPLICIT);
    return b->args[index] ? STATUS_OK : error_no_memory(e);
}

enum status binding_common_type(struct binding *b, uint32_t first, uint32_t count, struct error *e) {
    if (!count) return STATUS_OK;
    const struct type *t = b->args[first]->type;
    for (uint32_t i = 1; i < count; i++) {
        const struct type *next = b->args[first + i]->type;
        const struct type *wider = coerce_common(b->arena, t, next);
        if (!wider) {
            error_set(e, STATUS_INVALID_QUERY, "DATATYPE_MISMATCH.DATA_DIFF_TYPES",
                      "cannot resolve \"%s\" due to data type mismatch: its input should all be the same type, but it is \"%s\" and \"%s\"", b->name,
                      type_name_sql(b->arena, t), type_name_sql(b->arena, next));
            if (e) e->span = span_known(b->args[first + i]->span) ? b->args[first + i]->span : b->span;
            return STATUS_INVALID_QUERY;
        }
        t = wider;
    }
    for (uint32_t i = 0; i < count; i++) {
        b->args[first + i] = expr_cast(b->arena, b->args[first + i], t, CAST_IMPLICIT);
        if (!b->args[first + i]) return error_no_memory(e);
    }
    return STATUS_OK;
}

static enum status apply_alternative(struct binding *b, const struct alternative *alt, const struct type *const *letters,
                                     const struct type *const *targets, struct error *e) {
    for (uint32_t i = 0; i < b->arg_count; i++) {
        if (b->args[i]->kind == EXPR_LAMBDA) continue;
        b->args[i] = expr_cast(b->arena, b->args[i], targets[i], CAST_IMPLICIT);
        if (!b->args[i]) return error_no_memory(e);
    }
    if (!alt->has_result || b->result) return STATUS_OK;
    const struct pattern *p = &alt->result;
    if (p->kind == PATTERN_ANY || p->kind == PATTERN_NUMERIC || p->kind == PATTERN_INTEGRAL || p->kind == PATTERN_DECIMAL || p->kind == PATTERN_STRUCT) {
        b->result = b->arg_count ? b->args[0]->type : &type_null;  // "NUMERIC -> NUMERIC": what came in
        return STATUS_OK;
    }
    b->result = signature_result(b->arena, p, letters);
    return b->result ? STATUS_OK : error_no_memory(e);
}

// No alternative fits: says what the nearest one wanted.
static enum status refuse(struct binding *b, const char *signature, struct error *e) {
    const struct type **letters = arena_alloc_array(b->arena, SIGNATURE_LETTERS, sizeof *letters);
    const struct type **targets = arena_alloc_array(b->arena, b->arg_count + 1, sizeof *targets);
    if (!letters || !targets) return error_no_memory(e);
    uint32_t least = UINT32_MAX, most = 0, bad_index = 0;
    const char *wanted = NULL;
    for (const char *s = signature; *s;) {
        struct alternative alt;
        TRY(signature_next(b->arena, &s, &alt, e));
        if (alt.least < least) least = alt.least;
        if (alt.most > most) most = alt.most;
        if (b->arg_count < alt.least || b->arg_count > alt.most) continue;
        bool exact;
        uint32_t bad;
        if (signature_bind(b->arena, &alt, b->args, b->arg_count, letters, targets, &exact, &bad)) continue;
        if (wanted && bad < bad_index) continue;
        const char *name = pattern_name(b->arena, alternative_argument(&alt, bad));
        wanted = wanted && bad == bad_index && strcmp(wanted, name) != 0 ? arena_printf(b->arena, "%s\" or \"%s", wanted, name) : name;
        bad_index = bad;
    }
    if (!wanted) return binding_require_count(b, least, most, e);
    return unexpected_type(b, bad_index, wanted, e);
}

enum status binding_signature(struct binding *b, const char *signature, struct error *e) {
    const struct type **letters = arena_alloc_array(b->arena, SIGNATURE_LETTERS, sizeof *letters);
    const struct type **targets = arena_alloc_array(b->arena, b->arg_count + 1, sizeof *targets);
    if (!letters || !targets) return error_no_memory(e);
    for (int pass = 0; pass < 2; pass++) {
        for (const char *s = signature; *s;) {
            struct alternative alt;
            TRY(signature_next(b->arena, &s, &alt, e));
            if (b->arg_count < alt.least || b->arg_count > alt.most) continue;
            bool exact;
            uint32_t bad;
            if (!signature_bind(b->arena, &alt, b->args, b->arg_count, letters, targets, &exact, &bad)) continue;
            if (pass == 0 && !exact) continue;
            return apply_alternative(b, &alt, letters, targets, e);
        }
    }
    return refuse(b, signature, e);
}

enum status binding_constant(struct binding *b, uint32_t index, const struct column **out, struct error *e) {
    struct expr *arg = b->args[index];
    if (!expr_is_constant(arg)) {
        error_set(e, STATUS_INVALID_QUERY, "DATATYPE_MISMATCH.NON_FOLDABLE_INPUT",
                  "cannot resolve \"%s\" due to data type mismatch: its %s argument should be a foldable expression", b->name,
                  index < sizeof ordinals / sizeof *ordinals ? ordinals[index] : "last");
        if (e) e->span = span_known(arg->span) ? arg->span : b->span;
        return STATUS_INVALID_QUERY;
    }
    const struct column *value;
    TRY(program_fold(b->arena, b->session, arg, &value, e));
    *out = column_is_valid(value, 0) ? value : NULL;
    return STATUS_OK;
}

enum status function_call(struct arena *a, const struct session *session, const struct function *f, const char *name, struct expr *const *args,
                          uint32_t arg_count, struct span span, struct expr **out, struct error *e) {
    struct binding b = {.arena = a, .session = session, .function = f, .name = name, .arg_count = arg_count, .span = span, .kernel = f->kernel};
    b.args = arena_alloc_array(a, arg_count + 1, sizeof *b.args);
    if (!b.args) return error_no_memory(e);
    if (arg_count) memcpy(b.args, args, arg_count * sizeof *b.args);
    b.nullable = f->flags & FUNCTION_MAY_BE_NULL;
    for (uint32_t i = 0; i < arg_count; i++) b.nullable |= args[i]->kind != EXPR_LAMBDA && args[i]->nullable;
    if (f->flags & FUNCTION_NEVER_NULL) b.nullable = false;
    TRY(f->bind ? f->bind(&b, e) : binding_signature(&b, f->signature, e));
    if (b.replacement) {
        *out = b.replacement;
        return STATUS_OK;
    }
    if (!b.result || !b.kernel) return error_set(e, STATUS_INTERNAL, "INTERNAL_ERROR", "function %s was bound without a result or a kernel", f->name);
    for (uint32_t i = 0; i < b.arg_count; i++)
        if (b.args[i]->kind != EXPR_LAMBDA && b.args[i]->nullable && !(f->flags & (FUNCTION_NEVER_NULL | FUNCTION_HANDLES_NULL))) b.nullable = true;
    struct expr *call = expr_new(a, EXPR_CALL, b.result, b.nullable, b.arg_count);
    if (!call) return error_no_memory(e);
    if (b.arg_count) memcpy(call->args, b.args, b.arg_count * sizeof *call->args);
    call->span = span;
    uint64_t identity = 0;  // arguments that now live in the data alone still tell calls apart
    for (uint32_t i = b.arg_count; i < arg_count; i++) identity = random_mix(identity * 31 + expr_hash(args[i]) + i);
    call->call = (struct call){.function = f, .data = b.data, .identity = identity, .draws = f->flags & FUNCTION_DRAWS, .kernel = b.kernel};
    *out = call;
    return STATUS_OK;
}

enum status function_call_named(struct arena *a, const struct session *session, const char *name, struct expr *const *args, uint32_t arg_count,
                                struct span span, struct expr **out, struct error *e) {
    const struct function *f = function_find(name);
    if (!f) return error_set(e, STATUS_INTERNAL, "INTERNAL_ERROR", "function %s is missing from the tables", name);
    return function_call(a, session, f, name, args, arg_count, span, out, e);
}
