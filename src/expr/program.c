// SPDX-License-Identifier: Apache-2.0
// program.c: the compiler from bound expressions to steps.
//
// One pass, depth first. Equal sub-expressions share a register while it is in scope: `known` is a stack of (expression, register), cut back
// when a block ends, because a register made inside a block holds only the block's rows. What CASE, AND, OR and COALESCE evaluate always
// (their first operand) is compiled outside their blocks, so that it is shared more widely.
#include "program_steps.h"
#include "expr/coerce.h"

struct known {
    const struct expr *expr;
    uint64_t hash;
    uint32_t reg;
};

// A lambda's body being compiled: its columns and outer parameters become captures of the program around.
struct compiler {
    struct program *program;
    const struct session *session;
    struct known *known;
    uint32_t known_count, known_capacity;
    struct compiler *outer;         // of the program around a lambda body
    uint32_t parameter_count;       // of this lambda
    const struct expr **captured;   // what capture i is, as the outer program sees it
    uint32_t captured_count, captured_capacity;
    struct error *error;
    uint32_t depth;
};

enum { EXPRESSION_DEPTH_MAX = 2000 };

static enum status compile(struct compiler *c, const struct expr *e, uint32_t *reg);

static struct step *add_step(struct compiler *c, enum step_kind kind, const struct expr *e) {
    struct program *p = c->program;
    if (p->step_count == p->step_capacity) {
        uint32_t capacity = p->step_capacity ? p->step_capacity * 2 : 16;
        struct step *larger = arena_alloc_array(p->arena, capacity, sizeof *larger);
        if (!larger) return NULL;
        if (p->step_count) memcpy(larger, p->steps, p->step_count * sizeof *larger);
        p->steps = larger;
        p->step_capacity = capacity;
    }
    struct step *s = &p->steps[p->step_count++];
    *s = (struct step){.kind = kind, .out = p->register_count++, .type = e->type, .span = e->span, .nullable = e->nullable};
    return s;
}

static enum status remember(struct compiler *c, const struct expr *e, uint64_t hash, uint32_t reg) {
    if (c->known_count == c->known_capacity) {
        uint32_t capacity = c->known_capacity ? c->known_capacity * 2 : 32;
        struct known *larger = arena_alloc_array(c->program->arena, capacity, sizeof *larger);
        if (!larger) return error_no_memory(c->error);
        if (c->known_count) memcpy(larger, c->known, c->known_count * sizeof *larger);
        c->known = larger;
        c->known_capacity = capacity;
    }
    c->known[c->known_count++] = (struct known){.expr = e, .hash = hash, .reg = reg};
    return STATUS_OK;
}

static bool recall(const struct compiler *c, const struct expr *e, uint64_t hash, uint32_t *reg) {
    for (uint32_t i = c->known_count; i-- > 0;) {
        if (c->known[i].hash != hash || !expr_equal(c->known[i].expr, e)) continue;
        *reg = c->known[i].reg;
        return true;
    }
    return false;
}

// Compiles e into a block of its own.
static enum status compile_block(struct compiler *c, const struct expr *e, struct block *out) {
    uint32_t scope = c->known_count;
    out->begin = c->program->step_count;
    TRY(compile(c, e, &out->result));
    out->end = c->program->step_count;
    c->known_count = scope;
    return STATUS_OK;
}

static bool step_is_total(const struct step *s) {
    switch (s->kind) {
    case STEP_COLUMN:
    case STEP_PARAMETER:
    case STEP_LITERAL:
    case STEP_NULL:
        return true;
    case STEP_CALL:
        return (s->function_flags & FUNCTION_TOTAL) && !(s->function_flags & (FUNCTION_CAN_FAIL | FUNCTION_DRAWS)) && !s->lambda_count;
    case STEP_AND:
    case STEP_OR:
        return s->total;
    default:
        return false;
    }
}

// The index in the parent's inputs of what a lambda body takes from around it.
static enum status capture(struct compiler *c, const struct expr *wanted, uint32_t *ordinal) {
    for (uint32_t i = 0; i < c->captured_count; i++) {
        if (!expr_equal(c->captured[i], wanted)) continue;
        *ordinal = c->parameter_count + i;
        return STATUS_OK;
    }
    if (c->captured_count == c->captured_capacity) {
        uint32_t capacity = c->captured_capacity ? c->captured_capacity * 2 : 8;
        const struct expr **larger = arena_alloc_array(c->program->arena, capacity, sizeof *larger);
        if (!larger) return error_no_memory(c->error);
        if (c->captured_count) memcpy(larger, c->captured, c->captured_count * sizeof *larger);
        c->captured = larger;
        c->captured_capacity = capacity;
    }
    *ordinal = c->parameter_count + c->captured_count;
    c->captured[c->captured_count++] = wanted;
    return STATUS_OK;
}

static enum status compile_input(struct compiler *c, const struct expr *e, uint32_t *reg) {
    uint32_t ordinal = e->ordinal;
    if (c->outer && (e->kind == EXPR_COLUMN || e->lambda_depth > 0)) {
        const struct expr *wanted = e;
        if (e->kind == EXPR_PARAMETER) {
            struct expr *shallower = expr_new(c->program->arena, EXPR_PARAMETER, e->type, e->nullable, 0);
            if (!shallower) return error_no_memory(c->error);
            shallower->ordinal = e->ordinal;
            shallower->lambda_depth = e->lambda_depth - 1;
            wanted = shallower;
        }
        TRY(capture(c, wanted, &ordinal));
    } else if (e->kind == EXPR_PARAMETER && !c->outer) {
        return error_set(c->error, STATUS_INTERNAL, "INTERNAL_ERROR", "a lambda parameter outside of a lambda");
    }
    struct step *s = add_step(c, STEP_COLUMN, e);
    if (!s) return error_no_memory(c->error);
    s->ordinal = ordinal;
    *reg = s->out;
    return STATUS_OK;
}

static enum status compile_lambda(struct compiler *c, const struct expr *e, uint32_t arg_index, struct lambda *out) {
    struct program *body = arena_alloc_zeroed(c->program->arena, sizeof *body);
    if (!body) return error_no_memory(c->error);
    body->arena = c->program->arena;
    struct compiler inner = {.program = body, .session = c->session, .outer = c, .parameter_count = e->parameter_count, .error = c->error,
                             .depth = c->depth};
    body->outputs = arena_alloc_array(body->arena, 1, sizeof *body->outputs);
    body->output_types = arena_alloc_array(body->arena, 1, sizeof *body->output_types);
    if (!body->outputs || !body->output_types) return error_no_memory(c->error);
    body->output_types[0] = e->args[0]->type;
    body->output_count = 1;
    TRY(compile(&inner, e->args[0], &body->outputs[0]));
    if (body->draws) c->program->draws = true;
    *out = (struct lambda){.arg_index = arg_index, .body = body, .parameter_count = e->parameter_count, .capture_count = inner.captured_count};
    if (inner.captured_count) {
        out->captures = arena_alloc_array(body->arena, inner.captured_count, sizeof *out->captures);
        if (!out->captures) return error_no_memory(c->error);
    }
    for (uint32_t i = 0; i < inner.captured_count; i++) TRY(compile(c, inner.captured[i], &out->captures[i]));
    return STATUS_OK;
}

// Whether computing e for a row may fail it.
static bool may_fail(const struct expr *e) {
    if (e->kind == EXPR_TRY) return false;
    if (e->kind == EXPR_CALL && (e->call.function->flags & FUNCTION_CAN_FAIL)) return true;
    if (e->kind == EXPR_CAST && e->cast_mode != CAST_TRY && cast_can_fail(e->args[0]->type, e->type)) return true;
    for (uint32_t i = 0; i < e->arg_count; i++)
        if (may_fail(e->args[i])) return true;
    return false;
}

static bool is_known(const struct compiler *c, const struct expr *e) {
    uint32_t reg;
    return recall(c, e, expr_draws(e) ? (uint64_t)(uintptr_t)e : expr_hash(e), &reg);
}

// Arguments are computed in this order.
static uint32_t argument_at(const struct expr *e, uint32_t position) {
    bool last_first = e->kind == EXPR_CALL && (e->call.function->flags & FUNCTION_LAST_FIRST) && e->arg_count == 2;
    return last_first ? 1 - position : position;
}

// A strict call is NULL at its first argument that is: one that can fail is not computed where one before it is NULL. `begin`: the
// arguments at positions before it are known not to be NULL.
static bool wants_guard(const struct compiler *c, const struct expr *e, uint32_t begin, uint32_t position) {
    if (e->kind != EXPR_CALL || (e->call.function->flags & FUNCTION_COMPUTES_ALL)) return false;
    bool needs_first = e->call.function->flags & FUNCTION_NEEDS_FIRST;
    if ((e->call.function->flags & FUNCTION_HANDLES_NULL) && !(needs_first && position == 1)) return false;
    const struct expr *arg = e->args[argument_at(e, position)];
    bool nullable = false;
    for (uint32_t i = begin; i < position && !nullable; i++) {
        const struct expr *before = e->args[argument_at(e, i)];
        nullable = before->kind != EXPR_LAMBDA && before->nullable;
    }
    if (!nullable || arg->kind == EXPR_LAMBDA || is_known(c, arg)) return false;
    for (uint32_t i = position; i < (needs_first ? e->arg_count : position + 1); i++)
        if (may_fail(e->args[argument_at(e, i)])) return true;
    return false;
}

struct arguments {
    uint32_t *registers;
    struct lambda *lambdas;
    uint32_t lambda_count;   // compiled so far
};

static enum status add_call(struct compiler *c, const struct expr *e, const struct arguments *arguments, uint32_t *reg) {
    enum step_kind kind = e->kind == EXPR_CALL ? STEP_CALL : e->kind == EXPR_CAST ? STEP_CAST : STEP_FIELD;
    struct step *s = add_step(c, kind, e);
    if (!s) return error_no_memory(c->error);
    s->args = arguments->registers;
    s->arg_count = e->arg_count;
    s->lambdas = arguments->lambdas;
    s->lambda_count = arguments->lambda_count;
    if (kind == STEP_CALL) {
        if (!e->call.kernel) return error_set(c->error, STATUS_INTERNAL, "INTERNAL_ERROR", "function %s has no kernel", e->call.function->name);
        s->call = &e->call;
        s->function_flags = e->call.function->flags;
        for (uint32_t i = 0; i < e->arg_count; i++)  // a string view under a NULL may point anywhere
            if (type_is_text(e->args[i]->type) || type_is_nested(e->args[i]->type)) s->function_flags &= ~(uint32_t)FUNCTION_TOTAL;
        if (e->call.draws) c->program->draws = true;
    } else if (kind == STEP_CAST) {
        s->cast_mode = e->cast_mode;
    } else {
        s->ordinal = e->ordinal;
    }
    *reg = s->out;
    return STATUS_OK;
}

static enum status compile_arguments(struct compiler *c, const struct expr *e, struct arguments *arguments, uint32_t begin, uint32_t *reg);

// The arguments from `position` on and the call itself, in a block for the rows in which the ones before are not NULL.
static enum status compile_guarded(struct compiler *c, const struct expr *e, struct arguments *arguments, uint32_t begin, uint32_t position,
                                   uint32_t *reg) {
    uint32_t *guards = arena_alloc_array(c->program->arena, position, sizeof *guards);
    struct block *block = arena_alloc_array(c->program->arena, 1, sizeof *block);
    struct step *s = add_step(c, STEP_UNLESS_NULL, e);
    if (!guards || !block || !s) return error_no_memory(c->error);
    s->args = guards;
    for (uint32_t i = begin; i < position; i++) {
        uint32_t reg_before = arguments->registers[argument_at(e, i)];
        if (reg_before != UINT32_MAX) guards[s->arg_count++] = reg_before;
    }
    s->blocks = block;
    s->block_count = 1;
    *reg = s->out;
    uint32_t scope = c->known_count;
    block->begin = c->program->step_count;
    TRY(compile_arguments(c, e, arguments, position, &block->result));
    block->end = c->program->step_count;
    c->known_count = scope;
    return STATUS_OK;
}

static enum status compile_arguments(struct compiler *c, const struct expr *e, struct arguments *arguments, uint32_t begin, uint32_t *reg) {
    for (uint32_t position = begin; position < e->arg_count; position++) {
        uint32_t i = argument_at(e, position);
        if (position > begin && wants_guard(c, e, begin, position)) return compile_guarded(c, e, arguments, begin, position, reg);
        if (e->args[i]->kind == EXPR_LAMBDA) {
            arguments->registers[i] = UINT32_MAX;
            TRY(compile_lambda(c, e->args[i], i, &arguments->lambdas[arguments->lambda_count++]));
        } else {
            TRY(compile(c, e->args[i], &arguments->registers[i]));
        }
    }
    return add_call(c, e, arguments, reg);
}

static enum status compile_call(struct compiler *c, const struct expr *e, uint32_t *reg) {
    struct arena *a = c->program->arena;
    uint32_t lambda_count = 0;
    for (uint32_t i = 0; i < e->arg_count; i++) lambda_count += e->args[i]->kind == EXPR_LAMBDA;
    struct arguments arguments = {.registers = arena_alloc_array(a, e->arg_count + 1, sizeof *arguments.registers),
                                  .lambdas = lambda_count ? arena_alloc_array(a, lambda_count, sizeof *arguments.lambdas) : NULL};
    if (!arguments.registers || (lambda_count && !arguments.lambdas)) return error_no_memory(c->error);
    return compile_arguments(c, e, &arguments, 0, reg);
}

// The control step stands before its blocks: the executor meets it first and runs them. A step may move while its blocks are compiled.
static enum status compile_control(struct compiler *c, const struct expr *e, uint32_t *reg) {
    struct arena *a = c->program->arena;
    bool first_outside = e->kind != EXPR_TRY;
    uint32_t first = 0;
    if (first_outside) TRY(compile(c, e->args[0], &first));
    enum step_kind kind = e->kind == EXPR_AND ? STEP_AND : e->kind == EXPR_OR ? STEP_OR : e->kind == EXPR_CASE ? STEP_CASE
                          : e->kind == EXPR_COALESCE ? STEP_COALESCE : STEP_TRY;
    struct block *blocks = arena_alloc_array(a, e->arg_count, sizeof *blocks);
    uint32_t *args = arena_alloc_array(a, 1, sizeof *args);
    struct step *s = add_step(c, kind, e);
    if (!blocks || !args || !s) return error_no_memory(c->error);
    args[0] = first;
    uint32_t index = c->program->step_count - 1;
    *reg = s->out;
    s->args = args;
    s->arg_count = first_outside;
    s->blocks = blocks;
    s->block_count = e->arg_count;
    s->has_else = e->has_else;
    blocks[0] = (struct block){.begin = index + 1, .end = index + 1, .result = first};
    for (uint32_t i = first_outside; i < e->arg_count; i++) TRY(compile_block(c, e->args[i], &blocks[i]));
    if (kind == STEP_AND || kind == STEP_OR) {
        bool total = true;
        for (uint32_t i = blocks[1].begin; i < blocks[1].end && total; i++) total = step_is_total(&c->program->steps[i]);
        c->program->steps[index].total = total;
    }
    return STATUS_OK;
}

static enum status compile_leaf(struct compiler *c, const struct expr *e, uint32_t *reg) {
    struct step *s = add_step(c, STEP_LITERAL, e);
    if (!s) return error_no_memory(c->error);
    s->literal = e->literal;
    *reg = s->out;
    return STATUS_OK;
}

static enum status compile_kind(struct compiler *c, const struct expr *e, uint32_t *reg) {
    switch (e->kind) {
    case EXPR_COLUMN:
    case EXPR_PARAMETER:
        return compile_input(c, e, reg);
    case EXPR_LITERAL:
        return compile_leaf(c, e, reg);
    case EXPR_CALL:
    case EXPR_CAST:
    case EXPR_FIELD:
        return compile_call(c, e, reg);
    case EXPR_AND:
    case EXPR_OR:
    case EXPR_CASE:
    case EXPR_COALESCE:
    case EXPR_TRY:
        return compile_control(c, e, reg);
    case EXPR_LAMBDA:
    case EXPR_AGGREGATE:
    case EXPR_SUBQUERY:
    case EXPR_IN_SUBQUERY:
    case EXPR_OUTER:
        break;
    }
    return error_set(c->error, STATUS_INTERNAL, "INTERNAL_ERROR", "an expression of kind %d cannot be computed by itself", (int)e->kind);
}

static enum status compile(struct compiler *c, const struct expr *e, uint32_t *reg) {
    if (c->depth >= EXPRESSION_DEPTH_MAX)
        return error_set(c->error, STATUS_LIMIT, "LEAT_LIMIT", "an expression is nested more than %d levels deep", EXPRESSION_DEPTH_MAX);
    bool draws = expr_draws(e);
    // A drawing expression is shared by identity alone: one node is one value per row, two nodes are two.
    uint64_t hash = draws ? (uint64_t)(uintptr_t)e : expr_hash(e);
    if (recall(c, e, hash, reg)) return STATUS_OK;
    c->depth++;
    enum status status = compile_kind(c, e, reg);
    c->depth--;
    TRY(status);
    return remember(c, e, hash, *reg);
}

enum status program_compile(struct arena *a, const struct session *session, struct expr *const *expressions, uint32_t expression_count,
                            const uint64_t *wanted, const struct program **out, struct error *e) {
    struct program *p = arena_alloc_zeroed(a, sizeof *p);
    if (!p) return error_no_memory(e);
    p->arena = a;
    p->output_count = expression_count;
    p->outputs = arena_alloc_array(a, expression_count + 1, sizeof *p->outputs);
    p->output_types = arena_alloc_array(a, expression_count + 1, sizeof *p->output_types);
    if (!p->outputs || !p->output_types) return error_no_memory(e);
    for (uint32_t i = 0; i < expression_count; i++) p->output_types[i] = expressions[i]->type;
    struct compiler c = {.program = p, .session = session, .error = e};
    for (uint32_t i = 0; i < expression_count; i++) {
        if (wanted && !bitmap_get(wanted, i)) {
            struct step *s = add_step(&c, STEP_NULL, expressions[i]);
            if (!s) return error_no_memory(e);
            p->outputs[i] = s->out;
            continue;
        }
        TRY(compile(&c, expressions[i], &p->outputs[i]));
    }
    *out = p;
    return STATUS_OK;
}
