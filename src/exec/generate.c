// SPDX-License-Identifier: Apache-2.0
// generate.c: explode, posexplode, inline, stack, json_tuple: the input's columns repeated, generated ones appended. OUTER keeps a row that
// generates none, with NULLs.
//
//     input row ─► places: (row, element)  …  4,096 at a time ─► gather
//
// json_tuple is a projection: each field by json_tuple_field.
#include "exec/expand.h"
#include "expr/function.h"

enum { NO_ELEMENT = UINT32_MAX };

struct generate_self {
    const struct program *program;     // the arguments
    uint32_t argument_count;
    uint32_t stack_rows;
    struct row_counter *counters;      // by worker
};

struct places {
    uint32_t *rows;                    // of the input
    uint32_t *elements;                // of the list's child; a stack's row; NO_ELEMENT: NULLs
    uint32_t *positions;               // within the list
    uint32_t count;
};

static enum status json_field(struct operator *op, struct expr *json, struct expr *name, struct expr **out, struct error *e) {
    struct execution *x = op->execution;
    if (name->kind != EXPR_LITERAL || name->type->id != TYPE_STRING) {
        return error_set(e, STATUS_UNSUPPORTED, NULL, "json_tuple takes constant field names only");
    }
    if (!column_is_valid(name->literal, 0)) {
        *out = expr_null(&x->arena, &type_string);
        return *out ? STATUS_OK : error_no_memory(e);
    }
    struct expr *args[2] = {json, name};
    return function_call_named(&x->arena, x->config.session, "json_tuple_field", args, 2, name->span, out, e);
}

static enum status compile_arguments(struct operator *op, struct error *e) {
    struct generate_self *self = op->self;
    const struct plan_node *node = op->node;
    struct execution *x = op->execution;
    if (node->generator != GENERATE_JSON_TUPLE) {
        self->argument_count = node->expr_count;
        return program_compile(&x->arena, x->config.session, node->exprs, node->expr_count, NULL, &self->program, e);
    }
    struct expr **fields = arena_alloc_array(&x->arena, node->expr_count, sizeof *fields);
    if (!fields) return error_no_memory(e);
    for (uint32_t i = 1; i < node->expr_count; i++) TRY(json_field(op, node->exprs[0], node->exprs[i], &fields[i - 1], e));
    self->argument_count = node->expr_count - 1;
    return program_compile(&x->arena, x->config.session, fields, self->argument_count, NULL, &self->program, e);
}

static enum status generate_open(struct operator *op, struct error *e) {
    struct execution *x = op->execution;
    struct generate_self *self = arena_alloc_zeroed(&x->arena, sizeof *self);
    if (!self) return error_no_memory(e);
    self->counters = arena_alloc_array(&x->arena, x->config.worker_count, sizeof *self->counters);
    if (!self->counters) return error_no_memory(e);
    op->self = self;
    const struct plan_node *node = op->node;
    if (!node->expr_count) return error_set(e, STATUS_INTERNAL, NULL, "a generator has no argument");
    if (node->generator == GENERATE_STACK) {
        const struct column *count;
        TRY(program_fold(&x->arena, x->config.session, node->exprs[0], &count, e));
        if (count->type->id != TYPE_INT || !column_is_valid(count, 0) || column_int32(count, 0) <= 0) {
            return error_set(e, STATUS_INVALID_QUERY, "DATATYPE_MISMATCH.VALUE_OUT_OF_RANGE", "stack needs a positive number of rows");
        }
        self->stack_rows = (uint32_t)column_int32(count, 0);
    }
    return compile_arguments(op, e);
}

// Value `column` of stack row `line`: argument 1 + line × width + column, or NULL past the last.
static enum status stack_column(const struct operator *op, const struct column *args, const struct places *p, uint32_t column, struct arena *a,
                                struct column *out) {
    const struct generate_self *self = op->self;
    uint32_t generated = op->node->attribute_count - op->node->inputs[0]->attribute_count;
    struct column_builder builder;
    column_builder_init(&builder, a, op->node->attributes[op->node->inputs[0]->attribute_count + column].type);
    for (uint32_t i = 0; i < p->count; i++) {
        uint64_t argument = p->elements[i] == NO_ELEMENT ? UINT64_MAX : 1 + (uint64_t)p->elements[i] * generated + column;
        if (argument < self->argument_count && column_is_valid(&args[argument], p->rows[i])) {
            column_builder_append_from(&builder, &args[argument], p->rows[i]);
        } else {
            column_builder_append_null(&builder);
        }
    }
    return column_builder_finish(&builder, out);
}

static enum status position_column(const struct places *p, struct arena *a, struct column *out) {
    TRY(column_make(a, &type_int, p->count, true, out));
    for (uint32_t i = 0; i < p->count; i++) {
        if (p->elements[i] == NO_ELEMENT) bitmap_clear(out->validity, i);
        else ((int32_t *)out->values)[i] = (int32_t)p->positions[i];
    }
    return STATUS_OK;
}

static enum status generated_columns(const struct operator *op, const struct column *args, const struct places *p, struct arena *a, struct column *out) {
    const struct plan_node *node = op->node;
    uint32_t generated = node->attribute_count - node->inputs[0]->attribute_count;
    if (node->generator == GENERATE_STACK) {
        for (uint32_t c = 0; c < generated; c++) TRY(stack_column(op, args, p, c, a, &out[c]));
        return STATUS_OK;
    }
    if (node->generator == GENERATE_JSON_TUPLE) {
        for (uint32_t c = 0; c < generated; c++) TRY(column_gather(a, &args[c], p->rows, p->count, &out[c]));
        return STATUS_OK;
    }
    uint32_t at = 0;
    if (node->generator == GENERATE_POSEXPLODE) TRY(position_column(p, a, &out[at++]));
    const struct column *list = &args[0];
    const struct column *values = node->generator == GENERATE_INLINE ? list->children[0].children : list->children;
    for (uint32_t c = 0; at < generated; c++, at++) TRY(column_gather(a, &values[c], p->elements, p->count, &out[at]));
    return STATUS_OK;
}

static enum status flush_places(struct operator *op, struct worker *w, struct batch *b, const struct column *args, struct places *p) {
    if (!p->count) return STATUS_OK;
    struct generate_self *self = op->self;
    const struct plan_node *node = op->node;
    struct batch *out = expand_batch(b, op->execution->memory, p->rows, p->count, node->attribute_count, &self->counters[w->index]);
    if (!out) return worker_no_memory(w);
    uint32_t kept = node->inputs[0]->attribute_count;
    enum status status = expand_columns(b, p->rows, p->count, node->wanted, 0, kept, &out->arena, out->columns);
    if (status == STATUS_OK) status = generated_columns(op, args, p, &out->arena, out->columns + kept);
    p->count = 0;
    status = status == STATUS_OK ? operator_emit(op, w, out) : worker_no_memory(w);
    batch_unref(out);
    return status;
}

// The elements that a row generates: [*begin, *end).
static void row_elements(const struct operator *op, const struct column *args, uint32_t row, uint32_t *begin, uint32_t *end) {
    const struct generate_self *self = op->self;
    *begin = *end = 0;
    if (op->node->generator == GENERATE_STACK) {
        *end = self->stack_rows;
    } else if (op->node->generator == GENERATE_JSON_TUPLE) {
        *end = 1;
    } else if (column_is_valid(&args[0], row)) {
        *begin = (uint32_t)column_list_begin(&args[0], row);
        *end = (uint32_t)column_list_end(&args[0], row);
    }
}

static enum status generate_row(struct operator *op, struct worker *w, struct batch *b, const struct column *args, uint32_t row, struct places *p) {
    uint32_t begin, end;
    row_elements(op, args, row, &begin, &end);
    bool none = begin == end;
    if (none && !op->node->outer) {
        operator_count(op, w, FATE_FILTERED, 1);
        return STATUS_OK;
    }
    operator_count(op, w, FATE_PASSED, 1);
    if (end > begin + 1) operator_count(op, w, FATE_MADE, end - begin - 1);
    for (uint32_t k = begin; k < end || none; k++) {
        if (p->count == BATCH_ROWS) TRY(flush_places(op, w, b, args, p));
        p->rows[p->count] = row;
        p->elements[p->count] = none ? NO_ELEMENT : k;
        p->positions[p->count++] = k - begin;
        if (none) break;
    }
    return STATUS_OK;
}

static enum status generate_push(struct operator *op, struct worker *w, uint32_t input_index, struct batch *b) {
    (void)input_index;
    struct generate_self *self = op->self;
    struct batch *d = batch_derive(b, op->execution->memory, b->column_count + self->argument_count);  // what is emitted points into its arena
    if (!d) return worker_no_memory(w);
    memcpy(d->columns, b->columns, sizeof *b->columns * b->column_count);
    struct arena *a = &d->arena;
    struct column *args = d->columns + b->column_count;
    struct places p = {.rows = arena_alloc_array(a, BATCH_ROWS, sizeof(uint32_t)), .elements = arena_alloc_array(a, BATCH_ROWS, sizeof(uint32_t)),
                       .positions = arena_alloc_array(a, BATCH_ROWS, sizeof(uint32_t))};
    struct rows rows = batch_rows(b), kept = {0};
    enum status status = p.rows && p.elements && p.positions ? worker_run(w, self->program, b, a, args) : worker_no_memory(w);
    if (status == STATUS_OK) status = worker_drop_failed(w, op, b, &rows, a, &kept);
    if (status == STATUS_OK && self->argument_count && args[0].form == COLUMN_DICTIONARY) {
        struct column flat;
        status = column_flatten(a, &args[0], b->row_count, &flat) == STATUS_OK ? STATUS_OK : worker_no_memory(w);
        if (status == STATUS_OK) args[0] = flat;
    }
    for (uint32_t i = 0; i < kept.count && status == STATUS_OK; i++) status = generate_row(op, w, d, args, rows_at(&kept, i), &p);
    if (status == STATUS_OK) status = flush_places(op, w, d, args, &p);
    batch_unref(d);
    return status;
}

const struct operator_class generate_class = {.name = "Generate", .partition_count = 1, .open = generate_open, .push = generate_push};
