// SPDX-License-Identifier: Apache-2.0
// program_control.c: AND, OR, CASE, COALESCE, TRY and UNLESS_NULL: each runs its blocks for the rows that need them, and puts the results together.
//
//     CASE WHEN c1 THEN a WHEN c2 THEN b ELSE d      rows ──c1──► taken: a
//                                                         └rest──c2──► taken: b
//                                                                └rest──► d
//
// Row lists stay ascending and share the caller's when nothing was left out, so that the fast paths below still see whole batches.
#include "program_control.h"

enum truth { IS_FALSE, IS_TRUE, IS_NULL };

static inline enum truth truth_at(const struct column *c, uint32_t row) {
    if (!column_is_valid(c, row)) return IS_NULL;
    return column_bool(c, row) ? IS_TRUE : IS_FALSE;
}

// Splits rows by whether the condition is true. Either list may be empty; a full one shares the caller's.
static bool split_rows(const struct column *condition, const struct rows *rows, struct eval *eval, struct rows *taken, struct rows *rest) {
    uint16_t *yes = eval_alloc(eval, (rows->count + 1) * sizeof *yes);
    uint16_t *no = eval_alloc(eval, (rows->count + 1) * sizeof *no);
    if (!yes || !no) return false;
    uint32_t yes_count = 0, no_count = 0;
    if (condition->form == COLUMN_FLAT && condition->type->id == TYPE_BOOLEAN) {
        const uint8_t *values = condition->values;
        const uint64_t *validity = condition->validity;
        for (uint32_t i = 0; i < rows->count; i++) {
            uint32_t row = rows_at(rows, i);
            bool on = values[row] && (!validity || bitmap_get(validity, row));
            yes[yes_count] = (uint16_t)row;
            no[no_count] = (uint16_t)row;
            yes_count += on;
            no_count += !on;
        }
    } else {
        for (uint32_t i = 0; i < rows->count; i++) {
            uint32_t row = rows_at(rows, i);
            if (truth_at(condition, row) == IS_TRUE) yes[yes_count++] = (uint16_t)row;
            else no[no_count++] = (uint16_t)row;
        }
    }
    *taken = yes_count == rows->count ? *rows : (struct rows){.indices = yes, .count = yes_count};
    *rest = no_count == rows->count ? *rows : (struct rows){.indices = no, .count = no_count};
    return true;
}

// --- AND, OR ---

static void combine_dense(const uint8_t *left, const uint8_t *right, uint8_t *out, uint32_t count, bool is_and) {
    if (is_and) {
        for (uint32_t i = 0; i < count; i++) out[i] = left[i] & right[i];
    } else {
        // Where left is 1, right may never have been computed.
        for (uint32_t i = 0; i < count; i++) out[i] = (uint8_t)(left[i] | (right[i] & (uint8_t)(left[i] - 1)));
    }
}

static void combine_logic(const struct column *left, const struct column *right, struct column *out, const struct rows *rows, bool is_and,
                          struct eval *eval) {
    bool plain = left->form == COLUMN_FLAT && right->form == COLUMN_FLAT && !left->validity && !right->validity &&
                 left->type->id == TYPE_BOOLEAN && right->type->id == TYPE_BOOLEAN;
    if (column_make(eval->arena, &type_boolean, eval->row_count, !plain, out) != STATUS_OK) {
        eval->status = STATUS_NO_MEMORY;
        return;
    }
    uint8_t *values = out->values;
    if (plain) {
        combine_dense(left->values, right->values, values, eval->row_count, is_and);
        return;
    }
    enum truth decisive = is_and ? IS_FALSE : IS_TRUE;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        enum truth a = truth_at(left, row);
        enum truth b = a == decisive ? decisive : truth_at(right, row);
        if (a != decisive && b != decisive && (a == IS_NULL || b == IS_NULL)) {
            values[row] = 0;
            out_set_null(out, row);
        } else {
            values[row] = (a == decisive || b == decisive) == (decisive == IS_TRUE);
        }
    }
}

// Rows that the left side leaves open.
static bool undecided_rows(const struct column *left, const struct rows *rows, enum truth decisive, struct eval *eval, struct rows *out) {
    uint16_t *open = eval_alloc(eval, (rows->count + 1) * sizeof *open);
    if (!open) return false;
    uint32_t count = 0;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        open[count] = (uint16_t)row;
        count += truth_at(left, row) != decisive;
    }
    *out = count == rows->count ? *rows : (struct rows){.indices = open, .count = count};
    return true;
}

void control_logic(struct frame *f, const struct step *s, const struct rows *rows, struct eval *eval) {
    bool is_and = s->kind == STEP_AND;
    const struct column *left = &f->registers[s->args[0]];
    const struct block *b = &s->blocks[1];
    struct column *out = &f->registers[s->out];
    struct rows open = *rows;
    if (!s->total && !undecided_rows(left, rows, is_and ? IS_FALSE : IS_TRUE, eval, &open)) return;
    if (!open.count) {
        *out = *left;
        return;
    }
    run_block(f, b->begin, b->end, &open, eval);
    if (eval->status != STATUS_OK) return;
    combine_logic(left, &f->registers[b->result], out, rows, is_and, eval);
}

// --- CASE, COALESCE ---

// A DECIMAL, a string view or a calendar interval; views need not be aligned to 16.
struct __attribute__((may_alias)) sixteen_bytes {
    char bytes[16];
};

#define COPY_ROWS(c_type)                                                                    \
    do {                                                                                     \
        c_type *to = out->values;                                                            \
        const c_type *values = base->values;                                                 \
        for (uint32_t i = 0; i < rows->count; i++) {                                         \
            uint32_t row = rows_at(rows, i);                                                 \
            to[row] = values[column_index(from, row)];                                       \
        }                                                                                    \
    } while (0)

// Copies values and validity of fixed-width rows into a FLAT column.
static void copy_rows(const struct column *from, struct column *out, const struct rows *rows) {
    const struct column *base = column_base(from);
    if (column_is_constant_null(from)) {
        for (uint32_t i = 0; i < rows->count; i++) bitmap_clear(out->validity, rows_at(rows, i));
        return;
    }
    switch (type_width(out->type)) {
    case 1: COPY_ROWS(uint8_t); break;
    case 2: COPY_ROWS(uint16_t); break;
    case 4: COPY_ROWS(uint32_t); break;
    case 8: COPY_ROWS(uint64_t); break;
    default: COPY_ROWS(struct sixteen_bytes); break;
    }
    for (uint32_t i = 0; i < rows->count && base->validity; i++) {
        uint32_t row = rows_at(rows, i);
        bitmap_put(out->validity, row, bitmap_get(base->validity, column_index(from, row)));
    }
}
#undef COPY_ROWS

// Collects a column from pieces of others. Fixed-width values go straight to their place; nested ones are noted and built at the end.
struct assembly {
    struct column *out;
    const struct column **source;  // nested only: by row; NULL: NULL
};

static bool assembly_begin(struct assembly *m, const struct type *type, struct column *out, struct eval *eval) {
    m->out = out;
    m->source = NULL;
    if (type_is_nested(type) || type->id == TYPE_NULL) {
        m->source = arena_alloc_array(eval->arena, eval->row_count, sizeof *m->source);
        if (!m->source) eval->status = STATUS_NO_MEMORY;
        return m->source != NULL;
    }
    if (column_make(eval->arena, type, eval->row_count, true, out) != STATUS_OK) {
        eval->status = STATUS_NO_MEMORY;
        return false;
    }
    return true;
}

static void assembly_add(struct assembly *m, const struct column *from, const struct rows *rows) {
    if (!m->source) {
        copy_rows(from, m->out, rows);
        return;
    }
    for (uint32_t i = 0; i < rows->count; i++) m->source[rows_at(rows, i)] = column_is_constant_null(from) ? NULL : from;
}

static void assembly_add_null(struct assembly *m, const struct rows *rows) {
    for (uint32_t i = 0; i < rows->count && !m->source; i++) bitmap_clear(m->out->validity, rows_at(rows, i));
}

static void assembly_end(struct assembly *m, const struct type *type, struct eval *eval) {
    if (!m->source) return;
    struct column_builder b;
    column_builder_init(&b, eval->arena, type);
    for (uint32_t row = 0; row < eval->row_count; row++) {
        if (m->source[row] && column_is_valid(m->source[row], row)) column_builder_append_from(&b, m->source[row], row);
        else column_builder_append_null(&b);
    }
    if (column_builder_finish(&b, m->out) != STATUS_OK) eval->status = STATUS_NO_MEMORY;
}

void control_case(struct frame *f, const struct step *s, const struct rows *rows, struct eval *eval) {
    struct column *out = &f->registers[s->out];
    struct assembly m;
    if (!assembly_begin(&m, s->type, out, eval)) return;
    struct rows rest = *rows;
    uint32_t pairs = s->block_count / 2;
    for (uint32_t i = 0; i < pairs && rest.count; i++) {
        const struct block *when = &s->blocks[2 * i], *then = &s->blocks[2 * i + 1];
        run_block(f, when->begin, when->end, &rest, eval);
        struct rows taken, others;
        if (eval->status != STATUS_OK || !split_rows(&f->registers[when->result], &rest, eval, &taken, &others)) return;
        if (taken.count) {
            run_block(f, then->begin, then->end, &taken, eval);
            if (eval->status != STATUS_OK) return;
            assembly_add(&m, &f->registers[then->result], &taken);
        }
        rest = others;
    }
    if (rest.count && s->has_else) {
        const struct block *otherwise = &s->blocks[s->block_count - 1];
        run_block(f, otherwise->begin, otherwise->end, &rest, eval);
        if (eval->status != STATUS_OK) return;
        assembly_add(&m, &f->registers[otherwise->result], &rest);
    } else if (rest.count) {
        assembly_add_null(&m, &rest);
    }
    assembly_end(&m, s->type, eval);
}

// The rows of `rows` in which c is NULL.
static bool null_rows(const struct column *c, const struct rows *rows, struct eval *eval, struct rows *out) {
    if (c->type->id != TYPE_NULL && !column_base(c)->validity) {
        *out = (struct rows){.indices = rows->indices, .count = 0};
        return true;
    }
    uint16_t *nulls = eval_alloc(eval, (rows->count + 1) * sizeof *nulls);
    if (!nulls) return false;
    uint32_t count = 0;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        nulls[count] = (uint16_t)row;
        count += !column_is_valid(c, row);
    }
    *out = count == rows->count ? *rows : (struct rows){.indices = nulls, .count = count};
    return true;
}

// Leaves only the rows in which c is not NULL.
static bool keep_valid(const struct column *c, struct rows *rows, struct eval *eval) {
    if (c->type->id != TYPE_NULL && !column_base(c)->validity) return true;
    uint16_t *valid = eval_alloc(eval, (rows->count + 1) * sizeof *valid);
    if (!valid) return false;
    uint32_t count = 0;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        valid[count] = (uint16_t)row;
        count += column_is_valid(c, row);
    }
    if (count != rows->count) *rows = (struct rows){.indices = valid, .count = count};
    return true;
}

void control_coalesce(struct frame *f, const struct step *s, const struct rows *rows, struct eval *eval) {
    struct column *out = &f->registers[s->out];
    const struct column *first = &f->registers[s->args[0]];
    struct rows rest;
    if (!null_rows(first, rows, eval, &rest)) return;
    if (!rest.count) {
        *out = *first;
        return;
    }
    struct assembly m;
    if (!assembly_begin(&m, s->type, out, eval)) return;
    assembly_add(&m, first, rows);
    for (uint32_t i = 1; i < s->block_count && rest.count; i++) {
        const struct block *b = &s->blocks[i];
        run_block(f, b->begin, b->end, &rest, eval);
        if (eval->status != STATUS_OK) return;
        const struct column *next = &f->registers[b->result];
        for (uint32_t k = 0; k < rest.count && !m.source; k++) bitmap_set(out->validity, rows_at(&rest, k));
        assembly_add(&m, next, &rest);
        struct rows left;
        if (!null_rows(next, &rest, eval, &left)) return;
        rest = left;
    }
    assembly_end(&m, s->type, eval);
}

// --- TRY ---

void control_try(struct frame *f, const struct step *s, const struct rows *rows, struct eval *eval) {
    struct row_error *errors = eval->errors;
    uint32_t error_count = eval->error_count, error_capacity = eval->error_capacity;
    uint64_t *failed = eval->failed;
    eval->errors = NULL;
    eval->error_count = eval->error_capacity = 0;
    eval->failed = NULL;
    const struct block *b = &s->blocks[0];
    run_block(f, b->begin, b->end, rows, eval);
    uint64_t *tried = eval->failed;
    eval->errors = errors;
    eval->error_count = error_count;
    eval->error_capacity = error_capacity;
    eval->failed = failed;
    if (eval->status != STATUS_OK) return;
    struct column *out = &f->registers[s->out];
    *out = f->registers[b->result];
    if (!tried) return;
    struct column flat;
    uint64_t *bits = eval_alloc(eval, bitmap_bytes(eval->row_count));
    if (!bits || column_flatten(eval->arena, out, eval->row_count, &flat) != STATUS_OK) {
        eval->status = STATUS_NO_MEMORY;
        return;
    }
    *out = flat;
    for (size_t w = 0; w < bitmap_words(eval->row_count); w++) bits[w] = (out->validity ? out->validity[w] : UINT64_MAX) & ~tried[w];
    out->validity = bits;
}

// --- UNLESS_NULL ---

void control_unless_null(struct frame *f, const struct step *s, const struct rows *rows, struct eval *eval) {
    struct column *out = &f->registers[s->out];
    struct rows kept = *rows;
    for (uint32_t i = 0; i < s->arg_count; i++) {
        const struct column *arg = &f->registers[s->args[i]];
        if (!keep_valid(arg, &kept, eval)) return;
    }
    if (!kept.count) {
        if (column_make_constant_null(eval->arena, s->type, eval->row_count, out) != STATUS_OK) eval->status = STATUS_NO_MEMORY;
        return;
    }
    const struct block *b = &s->blocks[0];
    run_block(f, b->begin, b->end, &kept, eval);
    if (eval->status != STATUS_OK) return;
    const struct column *result = &f->registers[b->result];
    struct assembly m;
    if (kept.count == rows->count) {
        *out = *result;
    } else if (assembly_begin(&m, s->type, out, eval)) {
        for (uint32_t i = 0; i < rows->count && !m.source; i++) bitmap_clear(out->validity, rows_at(rows, i));
        for (uint32_t i = 0; i < kept.count && !m.source; i++) bitmap_set(out->validity, rows_at(&kept, i));
        assembly_add(&m, result, &kept);
        assembly_end(&m, s->type, eval);
    }
}
