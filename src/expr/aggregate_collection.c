// SPDX-License-Identifier: Apache-2.0
// aggregate_collection.c: collect_list, collect_set, listagg; min_by, max_by. Aggregates whose result is made of the rows' values.
//
// collect_list keeps the encoded values one after another, in row order. collect_set is a multiset, printed in ascending order: Spark promises
// no order, and this one does not depend on how the rows came, so that a set is exact and can take rows back.
#include "expr/aggregate_value.h"
#include "expr/aggregates.h"
#include "expr/multiset.h"

// collect_list

struct list_state {
    struct buffer encoded;   // memory NULL: not begun
    int64_t count;
};

static enum status list_update(void *const *states, const struct column *const *args, const struct rows *rows, const int8_t *weights,
                               struct aggregate_context *c) {
    (void)weights;
    for (uint32_t i = 0; i < rows->count; i++) {
        struct list_state *s = states[i];
        if (!s->encoded.memory) buffer_init(&s->encoded, c->memory);
        TRY(value_write(args[0], rows_at(rows, i), &s->encoded));
        s->count++;
    }
    return STATUS_OK;
}

static void list_finish(const void *const *states, uint32_t count, struct column *out, struct aggregate_context *c) {
    struct column_builder builder;
    column_builder_init(&builder, c->eval->arena, out->type);
    for (uint32_t i = 0; i < count; i++) {
        const struct list_state *s = states[i];
        struct reader in = reader_of(s->encoded.data, s->encoded.size_bytes);
        for (int64_t item = 0; item < s->count && !in.failed && !builder.failed; item++) value_read(&in, &builder.children[0]);
        column_builder_end_list(&builder);
    }
    if (column_builder_finish(&builder, out) != STATUS_OK) c->eval->status = STATUS_NO_MEMORY;
}

static enum status list_save(const void *state, struct buffer *out, struct aggregate_context *c) {
    (void)c;
    const struct list_state *s = state;
    TRY(write_signed(out, s->count));
    return write_bytes(out, s->encoded.data, s->encoded.size_bytes);
}

static bool list_load(void *state, struct reader *in, struct aggregate_context *c) {
    struct list_state *s = state;
    int64_t count = read_signed(in);
    size_t size_bytes;
    const uint8_t *bytes = read_bytes(in, &size_bytes);
    if (in->failed || count < 0) return false;
    buffer_init(&s->encoded, c->memory);
    s->count = count;
    return !size_bytes || buffer_append(&s->encoded, bytes, size_bytes) == STATUS_OK;
}

static void list_release(void *state, struct aggregate_context *c) {
    (void)c;
    struct list_state *s = state;
    if (s->encoded.memory) buffer_release(&s->encoded);
    s->encoded.memory = NULL;
    s->count = 0;
}

static enum status list_append(void *into, const void *from, struct aggregate_context *c) {
    struct list_state *to = into;
    const struct list_state *later = from;
    if (!later->count) return STATUS_OK;
    if (!to->encoded.memory) buffer_init(&to->encoded, c->memory);
    TRY(buffer_append(&to->encoded, later->encoded.data, later->encoded.size_bytes));
    to->count += later->count;
    return STATUS_OK;
}

_Static_assert(sizeof(struct list_state) <= 64, "a state is at most 64 bytes");
static const struct aggregate_ops list_ops = {.state_bytes = sizeof(struct list_state), .flags = AGGREGATE_ORDERED, .update = list_update,
                                              .append = list_append, .finish = list_finish, .save = list_save, .load = list_load, .release = list_release};

static enum status array_bind(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 1, 1, e));
    b->result = type_array(b->arena, b->args[0]->type, false);
    b->nullable = false;
    return b->result ? STATUS_OK : error_no_memory(e);
}

static const struct aggregate_ops *list_choose(const struct type *const *arg_types, uint32_t arg_count, const void *data) {
    (void)arg_types;
    (void)arg_count;
    (void)data;
    return &list_ops;
}

// collect_set

struct set_state {
    struct multiset *set;
};

static enum status set_update(void *const *states, const struct column *const *args, const struct rows *rows, const int8_t *weights,
                              struct aggregate_context *c) {
    for (uint32_t i = 0; i < rows->count; i++) {
        struct set_state *s = states[i];
        if (!s->set && !(s->set = multiset_new(c->memory))) return STATUS_NO_MEMORY;
        TRY(multiset_add(s->set, args[0], rows_at(rows, i), weight_at(weights, rows, i)));
    }
    return STATUS_OK;
}

static enum status set_merge(void *into, const void *from, struct aggregate_context *c) {
    struct set_state *to = into;
    const struct set_state *other = from;
    if (!other->set) return STATUS_OK;
    if (!to->set && !(to->set = multiset_new(c->memory))) return STATUS_NO_MEMORY;
    return multiset_merge(to->set, other->set);
}

static void set_finish(const void *const *states, uint32_t count, struct column *out, struct aggregate_context *c) {
    struct column_builder builder;
    column_builder_init(&builder, c->eval->arena, out->type);
    for (uint32_t i = 0; i < count; i++) {
        struct multiset_sorted sorted;
        if (multiset_sort(((const struct set_state *)states[i])->set, c->arg_types[0], c->eval->arena, &sorted) != STATUS_OK) {
            c->eval->status = STATUS_NO_MEMORY;
            return;
        }
        for (uint32_t item = 0; item < sorted.count; item++) column_builder_append_from(&builder.children[0], &sorted.values, sorted.order[item]);
        column_builder_end_list(&builder);
    }
    if (column_builder_finish(&builder, out) != STATUS_OK) c->eval->status = STATUS_NO_MEMORY;
}

static enum status set_save(const void *state, struct buffer *out, struct aggregate_context *c) {
    (void)c;
    return multiset_save(((const struct set_state *)state)->set, out);
}

static bool set_load(void *state, struct reader *in, struct aggregate_context *c) {
    struct set_state *s = state;
    return (s->set = multiset_new(c->memory)) && multiset_load(s->set, in);
}

static void set_release(void *state, struct aggregate_context *c) {
    (void)c;
    struct set_state *s = state;
    multiset_free(s->set);
    s->set = NULL;
}

static const struct aggregate_ops set_ops = {.state_bytes = sizeof(struct set_state), .flags = AGGREGATE_RETRACTS | AGGREGATE_DISTINCT_IS_PLAIN,
                                             .update = set_update, .merge = set_merge, .finish = set_finish, .save = set_save, .load = set_load,
                                             .release = set_release};

static enum status set_bind(struct binding *b, struct error *e) {
    TRY(array_bind(b, e));
    if (b->args[0]->type->id != TYPE_MAP) return STATUS_OK;
    return error_set(e, STATUS_INVALID_QUERY, "DATATYPE_MISMATCH.UNSUPPORTED_INPUT_TYPE", "`%s` cannot hold maps: they have no equality", b->name);
}

static const struct aggregate_ops *set_choose(const struct type *const *arg_types, uint32_t arg_count, const void *data) {
    (void)arg_types;
    (void)arg_count;
    (void)data;
    return &set_ops;
}

// listagg: the list of text, joined

struct listagg_data {
    const char *separator;
    size_t separator_bytes;
};

static enum status listagg_update(void *const *states, const struct column *const *args, const struct rows *rows, const int8_t *weights,
                                  struct aggregate_context *c) {
    (void)weights;
    const struct listagg_data *data = c->data;
    for (uint32_t i = 0; i < rows->count; i++) {
        struct list_state *s = states[i];
        if (!column_is_valid(args[0], rows_at(rows, i))) continue;
        if (!s->encoded.memory) buffer_init(&s->encoded, c->memory);
        if (s->count && data->separator_bytes) TRY(buffer_append(&s->encoded, data->separator, data->separator_bytes));
        const struct string_view *text = column_string(args[0], rows_at(rows, i));
        if (text->size_bytes) TRY(buffer_append(&s->encoded, string_view_data(text), text->size_bytes));
        if (s->encoded.size_bytes > INT32_MAX) return STATUS_NO_MEMORY;
        s->count++;
    }
    return STATUS_OK;
}

static void listagg_finish(const void *const *states, uint32_t count, struct column *out, struct aggregate_context *c) {
    for (uint32_t i = 0; i < count; i++) {
        const struct list_state *s = states[i];
        if (s->count) out_set_string(out, i, (const char *)s->encoded.data, s->encoded.size_bytes, c->eval);
        else out_set_null(out, i);
    }
}

static enum status listagg_append(void *into, const void *from, struct aggregate_context *c) {
    struct list_state *to = into;
    const struct list_state *later = from;
    const struct listagg_data *data = c->data;
    if (!later->count) return STATUS_OK;
    if (!to->encoded.memory) buffer_init(&to->encoded, c->memory);
    if (to->count && data->separator_bytes) TRY(buffer_append(&to->encoded, data->separator, data->separator_bytes));
    if (later->encoded.size_bytes) TRY(buffer_append(&to->encoded, later->encoded.data, later->encoded.size_bytes));
    to->count += later->count;
    return to->encoded.size_bytes > INT32_MAX ? STATUS_NO_MEMORY : STATUS_OK;
}

// Sees NULLs because the separator may be NULL: it then joins with nothing.
static const struct aggregate_ops listagg_ops = {.state_bytes = sizeof(struct list_state), .flags = AGGREGATE_ORDERED | AGGREGATE_SEES_NULL, .update = listagg_update,
                                                 .append = listagg_append, .finish = listagg_finish, .save = list_save, .load = list_load, .release = list_release};

static enum status listagg_bind(struct binding *b, struct error *e) {
    bool binary = b->arg_count && b->args[0]->type->id == TYPE_BINARY;
    TRY(aggregate_signature(b, binary ? "(BINARY, BINARY?) -> BINARY" : "(STRING, STRING?) -> STRING", e));
    struct listagg_data *data = arena_alloc_zeroed(b->arena, sizeof *data);
    if (!data) return error_no_memory(e);
    data->separator = "";
    if (b->arg_count == 2) {
        const struct column *separator;
        TRY(binding_constant(b, 1, &separator, e));
        if (separator && column_is_valid(separator, 0)) {
            const struct string_view *text = column_string(separator, 0);
            data->separator_bytes = text->size_bytes;
            data->separator = arena_strndup(b->arena, string_view_data(text), text->size_bytes);
            if (!data->separator) return error_no_memory(e);
        }
    }
    b->data = data;
    return STATUS_OK;
}

static const struct aggregate_ops *listagg_choose(const struct type *const *arg_types, uint32_t arg_count, const void *data) {
    (void)arg_types;
    (void)arg_count;
    (void)data;
    return &listagg_ops;
}

// min_by, max_by: of rows with the same extreme the last one wins, as in Spark. Rows with a NULL in the second argument do not count. Over rows
// that can be taken back there is no last one: the smallest encoding wins, whatever came first.

struct by_state {
    struct held_value value;
    struct held_value extreme;
};

static enum status by_update(void *const *states, const struct column *const *args, const struct rows *rows, struct aggregate_context *c, bool largest) {
    for (uint32_t i = 0; i < rows->count; i++) {
        struct by_state *s = states[i];
        uint32_t row = rows_at(rows, i);
        if (!column_is_valid(args[1], row)) continue;
        if (s->extreme.state == HELD_VALUE) {
            int order = held_compare(&s->extreme, args[1], row, c->eval->arena);
            if (largest ? order > 0 : order < 0) continue;
        }
        TRY(held_set(&s->extreme, args[1], row, c->memory));
        TRY(held_set(&s->value, args[0], row, c->memory));
    }
    return STATUS_OK;
}

static enum status max_by_update(void *const *states, const struct column *const *args, const struct rows *rows, const int8_t *weights,
                                 struct aggregate_context *c) {
    (void)weights;
    return by_update(states, args, rows, c, true);
}

static enum status min_by_update(void *const *states, const struct column *const *args, const struct rows *rows, const int8_t *weights,
                                 struct aggregate_context *c) {
    (void)weights;
    return by_update(states, args, rows, c, false);
}

static void by_finish(const void *const *states, uint32_t count, struct column *out, struct aggregate_context *c) {
    held_finish(states, offsetof(struct by_state, value), count, out, c);
}

static enum status by_save(const void *state, struct buffer *out, struct aggregate_context *c) {
    const struct by_state *s = state;
    TRY(held_save(&s->value, c->arg_types[0], out));
    return held_save(&s->extreme, c->arg_types[1], out);
}

static bool by_load(void *state, struct reader *in, struct aggregate_context *c) {
    struct by_state *s = state;
    return held_load(&s->value, c->arg_types[0], in, c->memory) && held_load(&s->extreme, c->arg_types[1], in, c->memory);
}

static void by_release(void *state, struct aggregate_context *c) {
    struct by_state *s = state;
    held_release(&s->value, c->arg_types[0], c->memory);
    held_release(&s->extreme, c->arg_types[1], c->memory);
}

_Static_assert(sizeof(struct by_state) <= 64, "a state is at most 64 bytes");
static const struct aggregate_ops max_by_ops = {.state_bytes = sizeof(struct by_state), .flags = AGGREGATE_ORDERED | AGGREGATE_SEES_NULL | AGGREGATE_OF_GREATEST,
                                                .update = max_by_update, .finish = by_finish, .save = by_save, .load = by_load, .release = by_release};
static const struct aggregate_ops min_by_ops = {.state_bytes = sizeof(struct by_state), .flags = AGGREGATE_ORDERED | AGGREGATE_SEES_NULL | AGGREGATE_OF_LEAST,
                                                .update = min_by_update, .finish = by_finish, .save = by_save, .load = by_load, .release = by_release};

static enum status by_bind(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 2, 2, e));
    TRY(aggregate_require_order(b, 1, e));
    return binding_nullable_result(b, b->args[0]->type, e);
}

static const struct aggregate_ops *max_by_choose(const struct type *const *arg_types, uint32_t arg_count, const void *data) {
    (void)arg_types;
    (void)arg_count;
    (void)data;
    return &max_by_ops;
}

static const struct aggregate_ops *min_by_choose(const struct type *const *arg_types, uint32_t arg_count, const void *data) {
    (void)arg_types;
    (void)arg_count;
    (void)data;
    return &min_by_ops;
}

static const struct aggregate collection_list[] = {
    {"collect_list", "(T) -> ARRAY<T>", array_bind, list_choose, AGGREGATE_ORDERED, "The values in an array, NULLs left out",
     "SELECT collect_list(x) FROM VALUES (1), (NULL), (1) AS t(x)", "[1, 1]"},
    {"array_agg", "(T) -> ARRAY<T>", array_bind, list_choose, AGGREGATE_ORDERED, "The values in an array, NULLs left out",
     "SELECT array_agg(x) FROM VALUES (1), (NULL), (1) AS t(x)", "[1, 1]"},
    {"collect_set", "(T) -> ARRAY<T>", set_bind, set_choose, AGGREGATE_RETRACTS | AGGREGATE_DISTINCT_IS_PLAIN,
     "The different values in an array, NULLs left out, in ascending order", "SELECT collect_set(x) FROM VALUES (2), (1), (2) AS t(x)", "[1, 2]"},
    {"listagg", "(STRING, STRING?) -> STRING | (BINARY, BINARY?) -> BINARY", listagg_bind, listagg_choose, AGGREGATE_ORDERED | AGGREGATE_SEES_NULL,
     "The values joined, with a separator between them", "SELECT listagg(x, ',') FROM VALUES ('a'), (NULL), ('b') AS t(x)", "a,b"},
    {"string_agg", "(STRING, STRING?) -> STRING | (BINARY, BINARY?) -> BINARY", listagg_bind, listagg_choose, AGGREGATE_ORDERED | AGGREGATE_SEES_NULL,
     "The values joined, with a separator between them", "SELECT string_agg(x, '-') FROM VALUES ('a'), ('b') AS t(x)", "a-b"},
    {"max_by", "(T, U) -> T", by_bind, max_by_choose, AGGREGATE_ORDERED | AGGREGATE_SEES_NULL, "The first argument where the second is largest",
     "SELECT max_by(x, y) FROM VALUES ('a', 10), ('b', 50), ('c', 20) AS t(x, y)", "b"},
    {"min_by", "(T, U) -> T", by_bind, min_by_choose, AGGREGATE_ORDERED | AGGREGATE_SEES_NULL, "The first argument where the second is smallest",
     "SELECT min_by(x, y) FROM VALUES ('a', 10), ('b', 50), ('c', 20) AS t(x, y)", "a"},
};

const struct aggregate_table collection_aggregates = {collection_list, sizeof collection_list / sizeof collection_list[0], "collection"};
