// SPDX-License-Identifier: Apache-2.0
// higher_order.c: transform, filter, exists, forall, zip_with, aggregate. A lambda runs once over the elements of all rows of the batch (lambda.c);
// aggregate runs it once for each step, over the rows whose lists are that long.
#include "expr/higher_order.h"
#include "expr/functions.h"

bool elements_of(const struct column *list, const struct rows *rows, struct eval *eval, struct elements *out) {
    size_t total = 0;
    for (uint32_t i = 0; i < rows->count; i++) total += (size_t)list_size(list, rows_at(rows, i));
    *out = (struct elements){.whole = true};
    out->items = arena_alloc_array(eval->arena, total + 1, sizeof *out->items);
    out->outer_rows = arena_alloc_array(eval->arena, total + 1, sizeof *out->outer_rows);
    if (!out->items || !out->outer_rows) {
        eval->status = STATUS_NO_MEMORY;
        return false;
    }
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        for (int32_t k = column_list_begin(list, row); k < column_list_end(list, row); k++) {
            out->whole &= (uint32_t)k == out->count;
            out->items[out->count] = (uint32_t)k;
            out->outer_rows[out->count++] = (uint16_t)row;
        }
    }
    return true;
}

bool elements_column(const struct elements *from, const struct column *child, struct eval *eval, struct column *out) {
    if (from->whole && child->form == COLUMN_FLAT) {
        *out = *child;
        out->row_count = from->count;
        return true;
    }
    if (column_gather(eval->arena, child, from->items, from->count, out) == STATUS_OK) return true;
    eval->status = STATUS_NO_MEMORY;
    return false;
}

bool elements_places(const struct elements *from, struct eval *eval, struct column *out) {
    if (column_make(eval->arena, &type_int, from->count, false, out) != STATUS_OK) {
        eval->status = STATUS_NO_MEMORY;
        return false;
    }
    int32_t *places = out->values;
    for (uint32_t i = 0; i < from->count; i++) places[i] = i && from->outer_rows[i] == from->outer_rows[i - 1] ? places[i - 1] + 1 : 0;
    return true;
}

// --- binding ---

enum status lambda_require(struct binding *b, uint32_t index, struct error *e) {
    return b->args[index]->kind == EXPR_LAMBDA ? STATUS_OK : collection_wrong_type(b, index, "LAMBDA", e);
}

enum status lambda_returns(struct binding *b, uint32_t index, const struct type *to, struct error *e) {
    TRY(lambda_require(b, index, e));
    struct expr *lambda = b->args[index];
    if (type_equal(lambda->type, to)) return STATUS_OK;
    if (lambda->type->id != TYPE_NULL && !(type_is_nested(to) && coerce_implicit(lambda->args[0], to) && coerce_tightest_common(b->arena, lambda->type, to)))
        return collection_wrong_type(b, index, type_name_sql(b->arena, to), e);
    struct expr *cast = expr_new(b->arena, EXPR_LAMBDA, to, true, 1);
    if (!cast) return error_no_memory(e);
    cast->parameter_count = lambda->parameter_count;
    cast->span = lambda->span;
    cast->name = lambda->name;
    cast->args[0] = expr_cast(b->arena, lambda->args[0], to, CAST_IMPLICIT);
    if (!cast->args[0]) return error_no_memory(e);
    b->args[index] = cast;
    return STATUS_OK;
}

enum status lambda_keep_count(struct binding *b, uint32_t index, struct error *e) {
    struct lambda_call *data = arena_alloc_zeroed(b->arena, sizeof *data);
    if (!data) return error_no_memory(e);
    data->parameter_count = b->args[index]->parameter_count;
    b->data = data;
    return STATUS_OK;
}

static enum status bind_over_array(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 2, 2, e));
    TRY(collection_require(b, 0, TYPE_ARRAY, e));
    TRY(lambda_require(b, 1, e));
    return lambda_keep_count(b, 1, e);
}

static enum status bind_transform(struct binding *b, struct error *e) {
    TRY(bind_over_array(b, e));
    b->result = type_array(b->arena, b->args[1]->type, b->args[1]->nullable);
    return b->result ? STATUS_OK : error_no_memory(e);
}

static enum status bind_filter(struct binding *b, struct error *e) {
    TRY(bind_over_array(b, e));
    TRY(lambda_returns(b, 1, &type_boolean, e));
    b->result = b->args[0]->type;
    return STATUS_OK;
}

static enum status bind_quantifier(struct binding *b, struct error *e) {
    TRY(bind_over_array(b, e));
    TRY(lambda_returns(b, 1, &type_boolean, e));
    b->nullable |= b->args[1]->nullable;
    b->result = &type_boolean;
    return STATUS_OK;
}

static enum status bind_zip_with(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 3, 3, e));
    for (uint32_t i = 0; i < 2; i++) TRY(collection_require(b, i, TYPE_ARRAY, e));
    TRY(lambda_require(b, 2, e));
    b->result = type_array(b->arena, b->args[2]->type, b->args[2]->nullable);
    return b->result ? STATUS_OK : error_no_memory(e);
}

static enum status bind_aggregate(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 3, 4, e));
    TRY(collection_require(b, 0, TYPE_ARRAY, e));
    TRY(lambda_returns(b, 2, b->args[1]->type, e));
    TRY(lambda_keep_count(b, 2, e));
    b->nullable = true;
    b->result = b->args[1]->type;
    if (b->arg_count < 4) return STATUS_OK;
    TRY(lambda_require(b, 3, e));
    ((struct lambda_call *)b->data)->has_finish = true;
    b->result = b->args[3]->type;
    return STATUS_OK;
}

// --- kernels ---

// Runs the lambda over all elements.
static bool run_over(const struct column *const *args, const struct rows *rows, struct eval *eval, struct elements *elements, struct column *result) {
    const struct lambda_call *call = eval->call->data;
    struct column parameters[2];
    if (!elements_of(args[0], rows, eval, elements)) return false;
    if (!elements_column(elements, &args[0]->children[0], eval, &parameters[0])) return false;
    if (call->parameter_count == 2 && !elements_places(elements, eval, &parameters[1])) return false;
    return lambda_run(eval, 1, parameters, call->parameter_count, elements->count, elements->outer_rows, result) == STATUS_OK;
}

static void kernel_transform(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    struct elements elements;
    struct column results;
    struct list_writer w;
    uint32_t next = 0;
    if (!run_over(args, rows, eval, &elements, &results)) return;
    if (rows->count == eval->row_count && elements.whole) {  // the lists' own offsets fit
        out->values = args[0]->values;
        out->children = arena_alloc_array(eval->arena, 1, sizeof *out->children);
        if (!out->children) eval->status = STATUS_NO_MEMORY;
        else out->children[0] = results;
        return;
    }
    if (!list_writer_begin(&w, out, eval)) return;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        int32_t size = list_size(args[0], row);
        append_range(list_writer_row(&w, row), &results, (int32_t)next, (int32_t)next + size);
        list_writer_end_row(&w);
        next += (uint32_t)size;
    }
    list_writer_finish(&w);
}

static void kernel_filter(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    struct elements elements;
    struct column kept;
    struct list_writer w;
    uint32_t next = 0;
    if (!run_over(args, rows, eval, &elements, &kept) || !list_writer_begin(&w, out, eval)) return;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i), end = next + (uint32_t)list_size(args[0], row);
        struct column_builder *items = list_writer_row(&w, row);
        for (; next < end; next++)
            if (column_is_valid(&kept, next) && column_bool(&kept, next)) column_builder_append_from(items, &args[0]->children[0], elements.items[next]);
        list_writer_end_row(&w);
    }
    list_writer_finish(&w);
}

// One element that is `decisive` decides; else one that is NULL leaves it open.
static void quantify(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval, bool decisive) {
    struct elements elements;
    struct column truth;
    uint8_t *values = out->values;
    uint32_t next = 0;
    if (!run_over(args, rows, eval, &elements, &truth)) return;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i), end = next + (uint32_t)list_size(args[0], row);
        bool null = false, decided = false;
        for (; next < end; next++) {
            if (!column_is_valid(&truth, next)) null = true;
            else decided |= (column_bool(&truth, next) != 0) == decisive;
        }
        values[row] = decided == decisive;
        if (!decided && null) out_set_null(out, row);
    }
}

static void kernel_exists(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) { quantify(args, out, rows, eval, true); }
static void kernel_forall(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) { quantify(args, out, rows, eval, false); }

// --- zip_with ---

// Places of the padded elements of one side; UINT32_MAX beyond its end.
static uint32_t *padded(const struct column *list, const struct rows *rows, const int32_t *lengths, size_t total, struct eval *eval) {
    uint32_t *items = arena_alloc_array(eval->arena, total + 1, sizeof *items), next = 0;
    if (!items) {
        eval->status = STATUS_NO_MEMORY;
        return NULL;
    }
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        int32_t begin = column_list_begin(list, row), size = list_size(list, row);
        for (int32_t k = 0; k < lengths[i]; k++) items[next++] = k < size ? (uint32_t)(begin + k) : UINT32_MAX;
    }
    return items;
}

static void kernel_zip_with(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    int32_t *lengths = arena_alloc_array(eval->arena, (size_t)rows->count + 1, sizeof *lengths);
    size_t total = 0;
    for (uint32_t i = 0; i < rows->count && lengths; i++) {
        int32_t left = list_size(args[0], rows_at(rows, i)), right = list_size(args[1], rows_at(rows, i));
        lengths[i] = left > right ? left : right;
        total += (size_t)lengths[i];
    }
    uint16_t *outer_rows = lengths && total < UINT32_MAX ? arena_alloc_array(eval->arena, total + 1, sizeof *outer_rows) : NULL;
    struct column parameters[2], results;
    struct list_writer w;
    if (!outer_rows) {
        eval->status = STATUS_NO_MEMORY;
        return;
    }
    uint32_t next = 0;
    for (uint32_t i = 0; i < rows->count; i++)
        for (int32_t k = 0; k < lengths[i]; k++) outer_rows[next++] = (uint16_t)rows_at(rows, i);
    for (int side = 0; side < 2; side++) {
        uint32_t *items = padded(args[side], rows, lengths, total, eval);
        if (!items) return;
        if (column_gather(eval->arena, &args[side]->children[0], items, next, &parameters[side]) != STATUS_OK) eval->status = STATUS_NO_MEMORY;
    }
    if (eval->status != STATUS_OK || lambda_run(eval, 2, parameters, 2, next, outer_rows, &results) != STATUS_OK) return;
    if (!list_writer_begin(&w, out, eval)) return;
    int32_t from = 0;
    for (uint32_t i = 0; i < rows->count; i++) {
        append_range(list_writer_row(&w, rows_at(rows, i)), &results, from, from + lengths[i]);
        list_writer_end_row(&w);
        from += lengths[i];
    }
    list_writer_finish(&w);
}

// --- aggregate ---

// Rows that are not done, with their states: states row i belongs to batch row active[i].
struct fold {
    struct column states;
    uint16_t *active;
    uint32_t count;
};

struct fold_result {
    struct column_builder values;   // in the order in which rows were done
    uint32_t *place;                // by batch row: where in values; UINT32_MAX: NULL
};

// Rows whose list ends before element k are done: their states move to the result, the rest stays side by side.
static bool retire(struct fold *f, struct fold_result *r, const struct column *list, int32_t k, struct eval *eval) {
    uint32_t *kept = arena_alloc_array(eval->arena, (size_t)f->count + 1, sizeof *kept), kept_count = 0;
    if (!kept) return false;
    for (uint32_t i = 0; i < f->count; i++) {
        uint16_t row = f->active[i];
        bool failed = eval->failed && bitmap_get(eval->failed, row);
        if (!failed && list_size(list, row) > k) {
            kept[kept_count] = i;
            f->active[kept_count++] = row;
            continue;
        }
        r->place[row] = r->values.column.row_count;
        column_builder_append_from(&r->values, &f->states, i);
    }
    if (kept_count == f->count) return true;
    struct column rest;
    if (column_gather(eval->arena, &f->states, kept, kept_count, &rest) != STATUS_OK) return false;
    f->states = rest;
    f->count = kept_count;
    return true;
}

static bool fold_rows(struct fold *f, struct fold_result *r, const struct column *list, struct eval *eval) {
    uint32_t *items = arena_alloc_array(eval->arena, (size_t)f->count + 1, sizeof *items);
    if (!items) return false;
    for (int32_t k = 0;; k++) {
        if (!retire(f, r, list, k, eval)) return false;
        if (!f->count) return true;
        struct column parameters[2], next;
        for (uint32_t i = 0; i < f->count; i++) items[i] = (uint32_t)(column_list_begin(list, f->active[i]) + k);
        parameters[0] = f->states;
        if (column_gather(eval->arena, &list->children[0], items, f->count, &parameters[1]) != STATUS_OK) return false;
        if (lambda_run(eval, 2, parameters, 2, f->count, f->active, &next) != STATUS_OK) return true;  // status is set
        f->states = next;
    }
}

// The states of the rows that have one, by the last lambda; `done` has a row for every row of the batch.
static bool finish_rows(struct fold *f, struct fold_result *r, const struct rows *rows, struct eval *eval, struct column *done) {
    uint32_t *with_state = arena_alloc_array(eval->arena, (size_t)rows->count + 1, sizeof *with_state), count = 0;
    struct column states, finished;
    if (!with_state) return false;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        if (r->place[row] == UINT32_MAX) continue;
        f->active[count] = (uint16_t)row;
        with_state[count++] = row;
    }
    if (column_gather(eval->arena, done, with_state, count, &states) != STATUS_OK) return false;
    if (lambda_run(eval, 3, &states, 1, count, f->active, &finished) != STATUS_OK) return true;  // status is set
    for (uint32_t i = 0; i < count; i++) r->place[with_state[i]] = i;
    return column_gather(eval->arena, &finished, r->place, eval->row_count, done) == STATUS_OK;
}

static bool aggregate_rows(const struct column *const *args, const struct rows *rows, struct eval *eval, struct column *done) {
    struct fold f = {.active = arena_alloc_array(eval->arena, (size_t)rows->count + 1, sizeof *f.active)};
    struct fold_result r = {.place = picks_new(eval)};
    uint32_t *starts = arena_alloc_array(eval->arena, (size_t)rows->count + 1, sizeof *starts);
    struct column folded;
    if (!f.active || !r.place || !starts) return false;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        if (!column_is_valid(args[0], row)) continue;
        starts[f.count] = row;
        f.active[f.count++] = (uint16_t)row;
    }
    column_builder_init(&r.values, eval->arena, args[1]->type);
    if (column_gather(eval->arena, args[1], starts, f.count, &f.states) != STATUS_OK || !fold_rows(&f, &r, args[0], eval)) return false;
    if (eval->status != STATUS_OK) return true;
    if (column_builder_finish(&r.values, &folded) != STATUS_OK) return false;
    if (column_gather(eval->arena, &folded, r.place, eval->row_count, done) != STATUS_OK) return false;
    const struct lambda_call *call = eval->call->data;
    return !call->has_finish || finish_rows(&f, &r, rows, eval, done);
}

static void kernel_aggregate(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    struct column done;
    if (!aggregate_rows(args, rows, eval, &done)) eval->status = STATUS_NO_MEMORY;
    if (eval->status != STATUS_OK) return;
    done.type = out->type;
    *out = done;
}

static const struct function functions[] = {
    {"transform", "(ARRAY<T>, LAMBDA) -> ARRAY<U>", kernel_transform, bind_transform, FUNCTION_CAN_FAIL,
     "The array of what the lambda makes of each element; a second parameter is its place, from 0", "transform(array(1, 2, 3), x -> x + 1)", "[2, 3, 4]"},
    {"filter", "(ARRAY<T>, LAMBDA) -> ARRAY<T>", kernel_filter, bind_filter, FUNCTION_CAN_FAIL,
     "The elements for which the lambda is true; a second parameter is the place, from 0", "filter(array(1, 2, 3), x -> x % 2 == 1)", "[1, 3]"},
    {"exists", "(ARRAY<T>, LAMBDA) -> BOOLEAN", kernel_exists, bind_quantifier, FUNCTION_CAN_FAIL, "Whether the lambda is true for some element",
     "exists(array(1, 2, 3), x -> x % 2 == 0)", "true"},
    {"forall", "(ARRAY<T>, LAMBDA) -> BOOLEAN", kernel_forall, bind_quantifier, FUNCTION_CAN_FAIL, "Whether the lambda is true for all elements",
     "forall(array(1, 2, 3), x -> x % 2 == 0)", "false"},
    {"zip_with", "(ARRAY<T>, ARRAY<U>, LAMBDA) -> ARRAY<V>", kernel_zip_with, bind_zip_with, FUNCTION_CAN_FAIL,
     "The array of what the lambda makes of each pair of elements; NULLs where an array is too short", "zip_with(array(1, 2), array(3, 4), (x, y) -> x + y)", "[4, 6]"},
    {"aggregate", "(ARRAY<T>, U, LAMBDA, LAMBDA?) -> V", kernel_aggregate, bind_aggregate, FUNCTION_HANDLES_NULL | FUNCTION_MAY_BE_NULL | FUNCTION_CAN_FAIL,
     "What is left of a first state when the lambda has taken in each element; a second lambda finishes it", "aggregate(array(1, 2, 3), 0, (acc, x) -> acc + x)", "6"},
    {"reduce", "(ARRAY<T>, U, LAMBDA, LAMBDA?) -> V", kernel_aggregate, bind_aggregate, FUNCTION_HANDLES_NULL | FUNCTION_MAY_BE_NULL | FUNCTION_CAN_FAIL,
     "What is left of a first state when the lambda has taken in each element; a second lambda finishes it",
     "reduce(array(1, 2, 3), 0, (acc, x) -> acc + x, acc -> acc * 10)", "60"},
};

const struct function_table lambda_functions = {functions, sizeof functions / sizeof *functions, "lambda"};
