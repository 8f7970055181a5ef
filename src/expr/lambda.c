// SPDX-License-Identifier: Apache-2.0
// lambda.c: runs the body of a lambda over the elements of lists.
//
//     list rows      [a b] [] [c d e]        elements  a b c d e      outer_rows  0 0 2 2 2
//
// A body is a program of its own. Its inputs are the lambda's parameters, then what it uses from around (columns of the batch, parameters of
// lambdas further out), gathered by outer_rows. Elements are taken BATCH_ROWS at a time; an element that fails fails its outer row.
#include "program_steps.h"

void element_eval_begin(struct eval *inner, const struct eval *outer, uint32_t count) {
    *inner = *outer;
    inner->row_count = count;
    inner->errors = NULL;
    inner->error_count = inner->error_capacity = 0;
    inner->failed = NULL;
}

void element_eval_end(struct eval *outer, const struct eval *inner, const uint16_t *outer_rows) {
    if (inner->status != STATUS_OK) outer->status = inner->status;
    struct span span = outer->span;
    for (uint32_t i = 0; i < inner->error_count; i++) {
        const struct row_error *why = &inner->errors[i];
        if (outer_rows[why->row] == UINT16_MAX) continue;
        outer->span = why->span;
        eval_fail_value(outer, outer_rows[why->row], why->condition, why->message, string_view_data(&why->value), why->value.size_bytes);
    }
    outer->span = span;
}

enum status column_slice(struct arena *a, const struct column *c, uint32_t begin, uint32_t count, struct column *out) {
    *out = *c;
    out->row_count = count;
    if (c->form == COLUMN_CONSTANT || begin == 0 || c->type->id == TYPE_NULL) return STATUS_OK;
    if (c->form == COLUMN_DICTIONARY) {
        out->codes = c->codes + begin;
        return STATUS_OK;
    }
    if (c->validity) out->validity = c->validity + begin / 64;
    if (c->type->id != TYPE_STRUCT) {
        out->values = (char *)c->values + (size_t)begin * type_width(c->type);
        return STATUS_OK;
    }
    out->children = arena_alloc_array(a, c->type->field_count + 1, sizeof *out->children);
    if (!out->children) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < c->type->field_count; i++) TRY(column_slice(a, &c->children[i], begin, count, &out->children[i]));
    return STATUS_OK;
}

static const struct lambda *find_lambda(const struct step *s, uint32_t index) {
    for (uint32_t i = 0; i < s->lambda_count; i++)
        if (s->lambdas[i].arg_index == index) return &s->lambdas[i];
    return NULL;
}

// The captured registers as columns of the chunk's elements.
static enum status gather_captures(struct frame *f, const struct lambda *l, const uint16_t *outer_rows, uint32_t count, struct eval *eval,
                                   struct column *inputs) {
    uint32_t *rows = NULL;
    for (uint32_t i = 0; i < l->capture_count; i++) {
        const struct column *from = &f->registers[l->captures[i]];
        struct column *to = &inputs[l->parameter_count + i];
        if (from->form == COLUMN_CONSTANT) {
            *to = *from;
            to->row_count = count;
            continue;
        }
        if (!rows) {
            rows = arena_alloc(eval->arena, (count + 1) * sizeof *rows);
            if (!rows) return STATUS_NO_MEMORY;
            for (uint32_t k = 0; k < count; k++) rows[k] = outer_rows[k];
        }
        TRY(column_gather(eval->arena, from, rows, count, to));
    }
    return STATUS_OK;
}

// Identity of elements, for what draws: the outer row's, told apart by the place in its list.
static enum status element_origin(const struct eval *eval, const uint16_t *outer_rows, uint32_t begin, uint32_t count, struct origin *out) {
    *out = *eval->origin;
    uint32_t *deltas = arena_alloc(eval->arena, (count + 1) * sizeof *deltas), *places = arena_alloc(eval->arena, (count + 1) * sizeof *places);
    if (!deltas || !places) return STATUS_NO_MEMORY;
    uint32_t first = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = outer_rows[i];
        if (i && outer_rows[i - 1] != row) first = i;
        deltas[i] = eval->origin->offset_deltas ? eval->origin->offset_deltas[row] : row;
        places[i] = origin_row(eval->origin, row) * 2654435761u + (begin + i - first) + 1;
    }
    out->offset_deltas = deltas;
    out->rows = places;
    return STATUS_OK;
}

// One chunk: elements [begin, begin + count).
static enum status run_chunk(struct frame *f, const struct lambda *l, const struct column *parameters, uint32_t begin, uint32_t count,
                             const uint16_t *outer_rows, struct eval *eval, struct column *out) {
    struct column *inputs = arena_alloc_array(eval->arena, l->parameter_count + l->capture_count + 1, sizeof *inputs);
    if (!inputs) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < l->parameter_count; i++) TRY(column_slice(eval->arena, &parameters[i], begin, count, &inputs[i]));
    TRY(gather_captures(f, l, outer_rows, count, eval, inputs));
    struct eval inner;
    struct origin origin;
    element_eval_begin(&inner, eval, count);
    if (l->body->draws && eval->origin) {
        TRY(element_origin(eval, outer_rows, begin, count, &origin));
        inner.origin = &origin;
    }
    struct rows rows = {.indices = NULL, .count = count};
    struct column result;
    TRY(program_run(l->body, inputs, count, &rows, &inner, &result));
    element_eval_end(eval, &inner, outer_rows);
    if (eval->status != STATUS_OK) return eval->status;
    return column_flatten(eval->arena, &result, count, out);
}

enum status lambda_run(struct eval *eval, uint32_t index, const struct column *parameters, uint32_t parameter_count, uint32_t row_count,
                       const uint16_t *outer_rows, struct column *out) {
    struct frame *f = eval->scratch;
    const struct lambda *l = f && f->step ? find_lambda(f->step, index) : NULL;
    if (!l || parameter_count < l->parameter_count) return eval->status = STATUS_INTERNAL;
    enum status status;
    if (row_count == 0) {
        struct column_builder empty;
        column_builder_init(&empty, eval->arena, l->body->output_types[0]);
        status = column_builder_finish(&empty, out);
    } else if (row_count <= BATCH_ROWS) {
        status = run_chunk(f, l, parameters, 0, row_count, outer_rows, eval, out);
    } else {
        struct column_builder all;
        column_builder_init(&all, eval->arena, l->body->output_types[0]);
        status = STATUS_OK;
        for (uint32_t begin = 0; begin < row_count && status == STATUS_OK; begin += BATCH_ROWS) {
            uint32_t count = row_count - begin < BATCH_ROWS ? row_count - begin : BATCH_ROWS;
            struct column chunk;
            status = run_chunk(f, l, parameters, begin, count, outer_rows + begin, eval, &chunk);
            for (uint32_t i = 0; i < count && status == STATUS_OK; i++) column_builder_append_from(&all, &chunk, i);
        }
        if (status == STATUS_OK) status = column_builder_finish(&all, out);
    }
    if (status != STATUS_OK) eval->status = status;
    return status;
}
