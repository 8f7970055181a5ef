// SPDX-License-Identifier: Apache-2.0
// program_run.c: runs the steps of a program over one batch: NULLs, forms and failures around the kernels.
//
// A kernel that does not look at NULLs is given only rows where every argument is valid. Three shortcuts keep that cheap: no NULL at all
// and no selection → `indices` is NULL and loops vectorise; FUNCTION_TOTAL → it may run over garbage, validity is combined word by word;
// all arguments CONSTANT → one row is computed and the result is CONSTANT. A row that fails becomes NULL at once, so that no later kernel
// sees its undefined value. Control steps (CASE, AND …) are in program_control.c.
#include "program_steps.h"
#include "expr/cast.h"
#include "program_control.h"

// How the two strict kinds of step, calls and casts, are told apart once their arguments are ready.
static void invoke(struct frame *f, const struct step *s, const struct column *const *args, struct column *out, const struct rows *rows,
                   struct eval *eval) {
    const struct step *running = f->step;
    const struct call *call = eval->call;
    void *scratch = eval->scratch;
    struct span span = eval->span;
    f->step = s;
    eval->scratch = f;
    eval->span = s->span;
    if (s->kind == STEP_CAST) {
        cast_column(args[0], s->type, s->cast_mode, out, rows, eval);
    } else {
        eval->call = s->call;
        s->call->kernel(args, out, rows, eval);
    }
    f->step = running;
    eval->call = call;
    eval->scratch = scratch;
    eval->span = span;
}

static const struct column *flat_register(struct frame *f, uint32_t reg, struct eval *eval) {
    struct column *c = &f->registers[reg];
    if (c->form == COLUMN_FLAT) return c;
    struct column *flat = &f->flat[reg];
    if (!flat->type && column_flatten(eval->arena, c, eval->row_count, flat) != STATUS_OK) eval->status = STATUS_NO_MEMORY;
    return flat;
}

static bool all_set(const uint64_t *bits, uint32_t count) {
    uint32_t words = count / 64;
    uint64_t all = UINT64_MAX;
    for (uint32_t w = 0; w < words; w++) all &= bits[w];
    if (all != UINT64_MAX) return false;
    uint64_t tail = count % 64 ? ((uint64_t)1 << count % 64) - 1 : 0;
    return !tail || (bits[words] & tail) == tail;
}

// Validity of a row in which every argument is valid. *any_null: some row has a NULL.
static uint64_t *combine_validity(const struct step *s, const struct frame *f, struct eval *eval, bool *any_null) {
    size_t words = bitmap_words(eval->row_count);
    uint64_t *bits = eval_alloc(eval, words * 8);
    if (!bits) return NULL;
    memset(bits, 0xff, words * 8);
    bool seen = false;
    for (uint32_t i = 0; i < s->arg_count; i++) {
        if (s->args[i] == UINT32_MAX) continue;
        const struct column *c = &f->registers[s->args[i]];
        if (c->form == COLUMN_CONSTANT) continue;
        const struct column *base = column_base(c);
        if (!base->validity) continue;
        seen = true;
        if (c->form == COLUMN_FLAT) {
            for (size_t w = 0; w < words; w++) bits[w] &= c->validity[w];
        } else {
            for (uint32_t row = 0; row < eval->row_count; row++)
                if (!bitmap_get(base->validity, c->codes[row])) bitmap_clear(bits, row);
        }
    }
    *any_null = seen && !all_set(bits, eval->row_count);
    return bits;
}

// The rows whose bit is set. *out shares `rows` when all are.
static bool keep_valid_rows(const struct rows *rows, const uint64_t *bits, struct eval *eval, struct rows *out) {
    uint16_t *kept = eval_alloc(eval, rows->count * sizeof *kept);
    if (!kept) return false;
    uint32_t count = 0;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        kept[count] = (uint16_t)row;
        count += bitmap_get(bits, row);
    }
    *out = (struct rows){.indices = kept, .count = count};
    return true;
}

// NULLs what failed, and forgets a validity that says nothing.
static void settle(struct column *out, struct eval *eval) {
    if (eval->failed && out->form == COLUMN_FLAT) {
        size_t words = bitmap_words(eval->row_count);
        if (!out->validity) {
            out->validity = eval_alloc(eval, words * 8);
            if (!out->validity) return;
            memset(out->validity, 0xff, words * 8);
        }
        for (size_t w = 0; w < words; w++) out->validity[w] &= ~eval->failed[w];
    }
    if (out->form == COLUMN_FLAT && out->validity && out->type->id != TYPE_STRUCT && all_set(out->validity, eval->row_count)) out->validity = NULL;
}

static void set_constant_null(struct column *out, const struct type *type, struct eval *eval) {
    if (column_make_constant_null(eval->arena, type, eval->row_count, out) != STATUS_OK) eval->status = STATUS_NO_MEMORY;
}

// A call whose arguments are all CONSTANT: one row tells all.
static void run_constant(struct frame *f, const struct step *s, const struct rows *rows, const struct column **args, struct eval *eval) {
    struct column *out = &f->registers[s->out];
    struct eval once = *eval;
    once.row_count = 1;
    once.errors = NULL;
    once.error_count = once.error_capacity = 0;
    once.failed = NULL;
    struct rows one = {.indices = NULL, .count = 1};
    struct column *flat = eval_alloc(eval, (s->arg_count + 1) * sizeof *flat);
    if (!flat) return;
    bool null = false;
    for (uint32_t i = 0; i < s->arg_count; i++) {
        flat[i] = *args[i];
        flat[i].form = COLUMN_FLAT;
        flat[i].row_count = 1;
        null |= !column_is_valid(args[i], 0);
        args[i] = &flat[i];
    }
    if (null && !(s->function_flags & FUNCTION_HANDLES_NULL)) {
        set_constant_null(out, s->type, eval);
        return;
    }
    if (column_make(eval->arena, s->type, 1, true, out) != STATUS_OK) {
        eval->status = STATUS_NO_MEMORY;
        return;
    }
    invoke(f, s, args, out, &one, &once);
    if (once.status != STATUS_OK) eval->status = once.status;
    if (eval->status != STATUS_OK) return;
    if (once.error_count) {
        const struct row_error *why = once.errors;
        struct span span = eval->span;
        eval->span = why->span;
        for (uint32_t i = 0; i < rows->count; i++)
            eval_fail_value(eval, rows_at(rows, i), why->condition, why->message, string_view_data(&why->value), why->value.size_bytes);
        eval->span = span;
        set_constant_null(out, s->type, eval);
        return;
    }
    out->form = COLUMN_CONSTANT;
    out->row_count = eval->row_count;
    if (out->validity && (out->validity[0] & 1)) out->validity = NULL;
}

static void run_handles_null(struct frame *f, const struct step *s, const struct rows *rows, const struct column **args, struct eval *eval) {
    struct column *out = &f->registers[s->out];
    if (column_make(eval->arena, s->type, eval->row_count, true, out) != STATUS_OK) {
        eval->status = STATUS_NO_MEMORY;
        return;
    }
    invoke(f, s, args, out, rows, eval);
    if (eval->status == STATUS_OK) settle(out, eval);
}

static void run_strict(struct frame *f, const struct step *s, const struct rows *rows, const struct column **args, struct eval *eval) {
    struct column *out = &f->registers[s->out];
    for (uint32_t i = 0; i < s->arg_count; i++) {
        if (s->args[i] != UINT32_MAX && column_is_constant_null(args[i])) {
            set_constant_null(out, s->type, eval);
            return;
        }
    }
    bool any_null;
    uint64_t *bits = combine_validity(s, f, eval, &any_null);
    if (!bits) return;
    struct rows kept = *rows;
    bool total = s->function_flags & FUNCTION_TOTAL;
    if (total && rows->indices && rows->count > eval->row_count / 2) kept = (struct rows){.indices = NULL, .count = eval->row_count};
    if (any_null && !(total && !kept.indices) && !keep_valid_rows(rows, bits, eval, &kept)) return;
    if (!kept.count) {
        set_constant_null(out, s->type, eval);
        return;
    }
    bool nested = type_is_nested(s->type);
    if (column_make(eval->arena, s->type, eval->row_count, nested, out) != STATUS_OK) {
        eval->status = STATUS_NO_MEMORY;
        return;
    }
    if (nested && out->validity) memcpy(out->validity, bits, bitmap_bytes(eval->row_count));
    else out->validity = bits;
    invoke(f, s, args, out, &kept, eval);
    if (eval->status == STATUS_OK) settle(out, eval);
}

static void run_call(struct frame *f, const struct step *s, const struct rows *rows, struct eval *eval) {
    enum { FEW = 8 };
    const struct column *few[FEW];
    const struct column **args = s->arg_count <= FEW ? few : eval_alloc(eval, s->arg_count * sizeof *args);
    if (!args) return;
    bool any_form = s->function_flags & FUNCTION_TAKES_ANY_FORM;
    bool constant = !(s->function_flags & FUNCTION_DRAWS) && !(s->call && s->call->draws) && !s->lambda_count;
    for (uint32_t i = 0; i < s->arg_count; i++) {
        if (s->args[i] == UINT32_MAX) {
            args[i] = NULL;
            continue;
        }
        args[i] = &f->registers[s->args[i]];
        if (args[i]->form != COLUMN_CONSTANT && args[i]->type->id != TYPE_NULL) constant = false;
    }
    if (constant) {
        run_constant(f, s, rows, args, eval);
        return;
    }
    for (uint32_t i = 0; i < s->arg_count && !any_form; i++) {
        if (s->args[i] == UINT32_MAX) continue;
        if ((s->function_flags & FUNCTION_TAKES_CONSTANT) && args[i]->form == COLUMN_CONSTANT) continue;
        if (!(s->function_flags & FUNCTION_HANDLES_NULL) && column_is_constant_null(args[i])) continue;  // the result is NULL anyway
        args[i] = flat_register(f, s->args[i], eval);
    }
    if (eval->status != STATUS_OK) return;
    if (s->function_flags & FUNCTION_HANDLES_NULL) run_handles_null(f, s, rows, args, eval);
    else run_strict(f, s, rows, args, eval);
}

// Validity of the parent laid over the child: a field of a NULL struct is NULL whatever its maker left there.
static void mask_validity(struct column *child, const uint64_t *parent, struct eval *eval, uint32_t count) {
    if (!parent || child->form != COLUMN_FLAT) return;
    size_t words = bitmap_words(count);
    uint64_t *bits = eval_alloc(eval, words * 8);
    if (!bits) return;
    for (size_t w = 0; w < words; w++) bits[w] = parent[w] & (child->validity ? child->validity[w] : UINT64_MAX);
    child->validity = bits;
}

// ARRAY<STRUCT<a …>>.a: the same lists over the field's column.
static void run_field_of_array(struct frame *f, const struct step *s, struct eval *eval) {
    const struct column *list = flat_register(f, s->args[0], eval);
    struct column *out = &f->registers[s->out];
    if (eval->status != STATUS_OK) return;
    *out = *list;
    out->type = s->type;
    out->children = eval_alloc(eval, sizeof *out->children);
    if (!out->children) return;
    const struct column *element = &list->children[0];
    if (element->form == COLUMN_CONSTANT || element->type->id == TYPE_NULL || !element->children) {
        if (column_make_constant_null(eval->arena, s->type->fields[0].type, element->row_count, out->children) != STATUS_OK) eval->status = STATUS_NO_MEMORY;
        return;
    }
    out->children[0] = element->children[s->ordinal];
    mask_validity(&out->children[0], element->validity, eval, element->row_count);
}

static void run_field(struct frame *f, const struct step *s, struct eval *eval) {
    const struct column *from = &f->registers[s->args[0]];
    struct column *out = &f->registers[s->out];
    if (column_is_constant_null(from)) {
        set_constant_null(out, s->type, eval);
        return;
    }
    if (from->type->id == TYPE_ARRAY) {
        run_field_of_array(f, s, eval);
        return;
    }
    if (from->form == COLUMN_DICTIONARY) from = flat_register(f, s->args[0], eval);
    if (eval->status != STATUS_OK) return;
    *out = from->children[s->ordinal];
    if (from->form == COLUMN_CONSTANT) {
        out->form = COLUMN_CONSTANT;
    } else {
        mask_validity(out, from->validity, eval, eval->row_count);
    }
    out->row_count = eval->row_count;
}

static void run_step(struct frame *f, const struct step *s, const struct rows *rows, struct eval *eval) {
    switch (s->kind) {
    case STEP_COLUMN:
    case STEP_PARAMETER:
        f->registers[s->out] = f->input[s->ordinal];
        break;
    case STEP_LITERAL:
        f->registers[s->out] = *s->literal;
        break;
    case STEP_NULL:
        set_constant_null(&f->registers[s->out], s->type, eval);
        break;
    case STEP_CALL:
    case STEP_CAST:
        run_call(f, s, rows, eval);
        break;
    case STEP_FIELD:
        run_field(f, s, eval);
        break;
    case STEP_AND:
    case STEP_OR:
        control_logic(f, s, rows, eval);
        break;
    case STEP_CASE:
        control_case(f, s, rows, eval);
        break;
    case STEP_COALESCE:
        control_coalesce(f, s, rows, eval);
        break;
    case STEP_TRY:
        control_try(f, s, rows, eval);
        break;
    case STEP_UNLESS_NULL:
        control_unless_null(f, s, rows, eval);
        break;
    }
}

void run_block(struct frame *f, uint32_t begin, uint32_t end, const struct rows *rows, struct eval *eval) {
    uint32_t i = begin;
    while (i < end && eval->status == STATUS_OK) {
        const struct step *s = &f->program->steps[i];
        f->flat[s->out].type = NULL;  // a block may run again for other rows
        run_step(f, s, rows, eval);
        i++;
        if (s->kind >= STEP_AND) i = s->blocks[s->block_count - 1].end;
    }
}

enum status program_run(const struct program *p, const struct column *input, uint32_t row_count, const struct rows *rows,
                        struct eval *eval, struct column *out) {
    eval->row_count = row_count;
    size_t count = p->register_count ? p->register_count : 1;
    struct frame f = {.program = p, .input = input, .outer = eval->scratch};
    f.registers = arena_alloc_array(eval->arena, count, sizeof *f.registers);
    f.flat = arena_alloc_array(eval->arena, count, sizeof *f.flat);
    if (!f.registers || !f.flat) return eval->status = STATUS_NO_MEMORY;
    if (rows->count) run_block(&f, 0, p->step_count, rows, eval);
    for (uint32_t i = 0; i < p->output_count && eval->status == STATUS_OK; i++) {
        if (rows->count) out[i] = f.registers[p->outputs[i]];
        else set_constant_null(&out[i], p->output_types[i], eval);
        out[i].row_count = row_count;
    }
    return eval->status;
}

enum status program_fold(struct arena *a, const struct session *session, struct expr *expression, const struct column **out, struct error *e) {
    if (expression->kind == EXPR_LITERAL) {
        *out = expression->literal;
        return STATUS_OK;
    }
    const struct program *p;
    TRY(program_compile(a, session, &expression, 1, NULL, &p, e));
    struct eval eval;
    eval_begin(&eval, session, a->memory, a, NULL, session && session->clock ? clock_now_us(session->clock) : 0, 1);
    eval.folding = true;
    struct rows one = {.indices = NULL, .count = 1};
    struct column *result = arena_alloc_zeroed(a, sizeof *result);
    if (!result) return error_no_memory(e);
    enum status status = program_run(p, NULL, 1, &one, &eval, result);
    if (status == STATUS_NO_MEMORY) return error_no_memory(e);
    if (status != STATUS_OK) return error_set(e, status, "INTERNAL_ERROR", "a constant expression cannot be computed");
    if (eval.error_count) {
        const struct row_error *why = eval.errors;
        error_set(e, STATUS_DATA, why->condition, "%s", why->message);
        if (e && why->value.size_bytes) error_set_value(e, string_view_data(&why->value), why->value.size_bytes);
        if (e) e->span = span_known(why->span) ? why->span : expression->span;
        return STATUS_DATA;
    }
    if (result->form != COLUMN_CONSTANT) {
        if (result->form == COLUMN_DICTIONARY) {
            struct column flat;
            if (column_flatten(a, result, 1, &flat) != STATUS_OK) return error_no_memory(e);
            *result = flat;
        }
        result->form = COLUMN_CONSTANT;
    }
    result->type = expression->type;
    result->row_count = 1;
    *out = result;
    return STATUS_OK;
}
