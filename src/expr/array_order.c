// SPDX-License-Identifier: Apache-2.0
// array_order.c: sort_array and array_sort. Both are stable merge sorts of element numbers.
//
// A comparator is a lambda, and a lambda runs over columns: so all merges of all rows of the batch go forward together, each bringing one
// pair of elements to a run of the lambda.
//
//     width 2    [1 3][2 4]   [5 7][6 8]   [2 9][1]        one run compares 1:2, 5:6, 2:1; the next one …
//
// A sort of n elements needs about 2n runs, however many rows are sorted at once.
#include "expr/collection.h"
#include "expr/functions.h"
#include "expr/program.h"

// --- natural order ---

struct order {
    const struct column *items;
    int sign;           // −1: descending
    int null_place;     // −1: NULLs first, 1: last
};

static int compare(const struct order *o, uint32_t a, uint32_t b) {
    bool a_valid = column_is_valid(o->items, a), b_valid = column_is_valid(o->items, b);
    if (!a_valid || !b_valid) return a_valid == b_valid ? 0 : a_valid ? -o->null_place : o->null_place;
    return value_compare(o->items, a, o->items, b) * o->sign;
}

// Sorts numbers[0..count); spare is as long. The result is in the array returned.
static uint32_t *merge_sort(const struct order *o, uint32_t *numbers, uint32_t *spare, uint32_t count) {
    for (uint32_t width = 1; width < count; width *= 2) {
        for (uint32_t begin = 0; begin < count; begin += 2 * width) {
            uint32_t middle = count - begin > width ? begin + width : count, end = count - middle > width ? middle + width : count;
            uint32_t left = begin, right = middle;
            for (uint32_t at = begin; at < end; at++) {
                bool take_left = left < middle && (right >= end || compare(o, numbers[left], numbers[right]) <= 0);
                spare[at] = numbers[take_left ? left++ : right++];
            }
        }
        uint32_t *sorted = spare;
        spare = numbers;
        numbers = sorted;
    }
    return numbers;
}

static void sort_rows(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval, bool nulls_last) {
    struct order o = {.items = &args[0]->children[0]};
    struct list_writer w;
    uint32_t *numbers = eval_alloc(eval, ((size_t)o.items->row_count + 1) * 2 * sizeof *numbers);
    if (!numbers || !list_writer_begin(&w, out, eval)) return;
    uint32_t *spare = numbers + o.items->row_count + 1;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        uint32_t begin = (uint32_t)column_list_begin(args[0], row), count = (uint32_t)list_size(args[0], row);
        o.sign = nulls_last || column_bool(args[1], row) ? 1 : -1;
        o.null_place = nulls_last ? 1 : -o.sign;
        for (uint32_t k = 0; k < count; k++) numbers[k] = begin + k;
        const uint32_t *sorted = merge_sort(&o, numbers, spare, count);
        struct column_builder *items = list_writer_row(&w, row);
        for (uint32_t k = 0; k < count; k++) column_builder_append_from(items, o.items, sorted[k]);
        list_writer_end_row(&w);
    }
    list_writer_finish(&w);
}

static void kernel_sort_array(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    sort_rows(args, out, rows, eval, false);
}
static void kernel_array_sort(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    sort_rows(args, out, rows, eval, true);
}

static enum status bind_sort_array(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 1, 2, e));
    if (b->arg_count == 2 && b->args[1]->type->id != TYPE_BOOLEAN && b->args[1]->type->id != TYPE_NULL) return collection_wrong_type(b, 1, "BOOLEAN", e);
    const struct column *ascending;
    if (b->arg_count == 2) TRY(binding_constant(b, 1, &ascending, e));
    if (b->arg_count == 1) {
        struct expr **longer = arena_alloc_array(b->arena, 2, sizeof *longer);
        if (!longer || !(longer[1] = expr_boolean(b->arena, true))) return error_no_memory(e);
        longer[0] = b->args[0];
        b->args = longer;
        b->arg_count = 2;
    }
    TRY(binding_signature(b, b->function->signature, e));
    return collection_require_order(b, 0, element_of(b->result), e);
}

// A map with its entries in the order of their keys: what maps are grouped by.
static void kernel_map_sort(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    struct order o = {.items = &args[0]->children[0], .sign = 1, .null_place = -1};
    struct list_writer w;
    uint32_t *numbers = eval_alloc(eval, ((size_t)o.items->row_count + 1) * 2 * sizeof *numbers);
    if (!numbers || !list_writer_begin(&w, out, eval)) return;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i), begin = (uint32_t)column_list_begin(args[0], row), count = (uint32_t)list_size(args[0], row);
        for (uint32_t k = 0; k < count; k++) numbers[k] = begin + k;
        const uint32_t *sorted = merge_sort(&o, numbers, numbers + o.items->row_count + 1, count);
        struct column_builder *children = list_writer_row(&w, row);
        for (uint32_t k = 0; k < count; k++)
            for (int c = 0; c < 2; c++) column_builder_append_from(&children[c], &args[0]->children[c], sorted[k]);
        list_writer_end_row(&w);
    }
    list_writer_finish(&w);
}

// --- by a comparator ---

// Two sorted runs being merged: numbers[left..middle) and numbers[right..end) into spare[at…].
struct merge {
    uint32_t left, middle, right, end, at;
    uint16_t row;
};

struct comparison_sort {
    struct eval *eval;
    const struct column *items;
    uint32_t *numbers, *spare;
    struct merge *merges;      // those that still have elements on both sides
    uint32_t merge_count;
    uint32_t *sides[2];        // of each merge, the two elements to be compared
    uint16_t *outer_rows;
};

// Copies what is left of a merge when one side is used up.
static void merge_rest(struct comparison_sort *s, struct merge *m) {
    while (m->left < m->middle) s->spare[m->at++] = s->numbers[m->left++];
    while (m->right < m->end) s->spare[m->at++] = s->numbers[m->right++];
}

// Compares the heads of all merges in one run, and moves each a step on.
static bool merge_step(struct comparison_sort *s) {
    struct column heads[2], order;
    for (uint32_t i = 0; i < s->merge_count; i++) {
        s->sides[0][i] = s->numbers[s->merges[i].left];
        s->sides[1][i] = s->numbers[s->merges[i].right];
        s->outer_rows[i] = s->merges[i].row;
    }
    for (int side = 0; side < 2; side++) {
        if (column_gather(s->eval->arena, s->items, s->sides[side], s->merge_count, &heads[side]) != STATUS_OK) {
            s->eval->status = STATUS_NO_MEMORY;
            return false;
        }
    }
    if (lambda_run(s->eval, 1, heads, 2, s->merge_count, s->outer_rows, &order) != STATUS_OK) return false;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < s->merge_count; i++) {
        struct merge m = s->merges[i];
        bool failed = s->eval->failed && bitmap_get(s->eval->failed, m.row);
        if (!failed && !column_is_valid(&order, i)) {
            eval_fail(s->eval, m.row, "COMPARATOR_RETURNS_NULL", "the comparator of array_sort gave NULL; it must give a negative number, 0 or a positive number");
            failed = true;
        }
        bool take_left = failed || column_int32(&order, i) <= 0;
        s->spare[m.at++] = s->numbers[take_left ? m.left++ : m.right++];
        if (!failed && m.left < m.middle && m.right < m.end) s->merges[kept++] = m;
        else merge_rest(s, &m);
    }
    s->merge_count = kept;
    return true;
}

// One pass: runs of `width` become runs of twice that. *more: some row has more than one run left.
static bool merge_pass(struct comparison_sort *s, const struct column *lists, const struct rows *rows, uint32_t width, bool *more) {
    *more = false;
    s->merge_count = 0;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        uint32_t first = (uint32_t)column_list_begin(lists, row), last = (uint32_t)column_list_end(lists, row);
        for (uint32_t begin = first; begin < last;) {
            uint32_t middle = last - begin > width ? begin + width : last, end = last - middle > width ? middle + width : last;
            struct merge m = {.left = begin, .middle = middle, .right = middle, .end = end, .at = begin, .row = (uint16_t)row};
            if (middle < end) s->merges[s->merge_count++] = m;
            else merge_rest(s, &m);
            begin = end;
        }
        *more |= (uint64_t)last - first > 2 * (uint64_t)width;
    }
    while (s->merge_count)
        if (!merge_step(s)) return false;
    uint32_t *sorted = s->spare;
    s->spare = s->numbers;
    s->numbers = sorted;
    return true;
}

static void kernel_sort_by(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    const struct column *items = &args[0]->children[0];
    size_t count = (size_t)items->row_count + 1;
    struct comparison_sort s = {.eval = eval, .items = items};
    struct list_writer w;
    if (!list_writer_begin(&w, out, eval)) return;
    uint32_t *numbers = eval_alloc(eval, 4 * count * sizeof *numbers);
    s.merges = eval_alloc(eval, count * sizeof *s.merges);
    s.outer_rows = eval_alloc(eval, count * sizeof *s.outer_rows);
    if (!numbers || !s.merges || !s.outer_rows) return;
    s.numbers = numbers;
    s.spare = numbers + count;
    s.sides[0] = numbers + 2 * count;
    s.sides[1] = numbers + 3 * count;
    for (uint32_t k = 0; k < items->row_count; k++) s.numbers[k] = k;
    bool more = true;
    for (uint32_t width = 1; more && width < count; width *= 2)
        if (!merge_pass(&s, args[0], rows, width, &more)) return;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        struct column_builder *to = list_writer_row(&w, row);
        for (int32_t k = column_list_begin(args[0], row); k < column_list_end(args[0], row); k++) column_builder_append_from(to, items, s.numbers[k]);
        list_writer_end_row(&w);
    }
    list_writer_finish(&w);
}

static enum status bind_array_sort(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 1, 2, e));
    TRY(collection_require(b, 0, TYPE_ARRAY, e));
    b->result = b->args[0]->type;
    b->kernel = kernel_array_sort;
    if (b->arg_count == 1) return collection_require_order(b, 0, element_of(b->result), e);
    if (b->args[1]->kind != EXPR_LAMBDA) return collection_wrong_type(b, 1, "LAMBDA", e);
    if (b->args[1]->type->id != TYPE_INT)
        return collection_refuse(b, 1, "DATATYPE_MISMATCH.UNEXPECTED_RETURN_TYPE", "the comparator of array_sort must give an INT", e);
    b->kernel = kernel_sort_by;
    return STATUS_OK;
}

static const struct function functions[] = {
    {"sort_array", "(ARRAY<T>, BOOLEAN?) -> ARRAY<T>", kernel_sort_array, bind_sort_array, 0,
     "The array in ascending order, NULLs first; or, if the second argument is false, descending, NULLs last", "sort_array(array('b', 'd', NULL, 'c', 'a'), true)",
     "[null, a, b, c, d]"},
    {"map_sort", "(MAP<K, V>) -> MAP<K, V>", kernel_map_sort, NULL, FUNCTION_HIDDEN, "The map with its entries in the order of their keys", NULL, NULL},
    {"array_sort", "(ARRAY<T>, LAMBDA?) -> ARRAY<T>", NULL, bind_array_sort, FUNCTION_CAN_FAIL,
     "The array in ascending order, NULLs last, or in that of a comparator, which gives a negative number, 0 or a positive number",
     "array_sort(array('bc', 'ab', 'dc'), (l, r) -> CASE WHEN l < r THEN 1 WHEN l > r THEN -1 ELSE 0 END)", "[dc, bc, ab]"},
};

const struct function_table array_order_functions = {functions, sizeof functions / sizeof *functions, "array"};
