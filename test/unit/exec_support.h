// SPDX-License-Identifier: Apache-2.0
// exec_support.h: rows, plans made by hand, a machine that runs them, and naive twins, for the tests of exec/. The seed of random rows is
// printed; LEAT_SEED sets it.
#pragma once
#include "exec/operator.h"
#include "base/random.h"
#include "expr/function.h"
#include "plan/connector.h"
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <stdarg.h>
#include <cmocka.h>

struct row {
    bool has_key;
    int64_t key;
    char text[32];
    double real;
    int64_t value;
    int8_t weight;
};

enum { COLUMNS = 4 };  // key BIGINT, text STRING, real DOUBLE, value BIGINT

struct fixture {
    struct memory memory;
    struct arena arena;
    struct session session;
    struct clock clock;
    struct random random;
};

struct rows_source {
    struct source base;
    struct memory *memory;
    const struct row *rows;
};

static inline enum status read_rows(struct source *s, const struct split *split, uint32_t worker, const uint64_t *wanted, emit_batch emit, void *context,
                             const struct dead_row_sink *dead, struct error *e) {
    (void)worker, (void)wanted, (void)dead;
    struct rows_source *self = (struct rows_source *)(void *)s;
    uint32_t count = (uint32_t)(split->range.end - split->range.begin);
    struct batch *b = batch_new(self->memory, COLUMNS);
    if (!b) return error_no_memory(e);
    struct column *c = b->columns;
    int8_t *weights = arena_alloc(&b->arena, count + 1);
    assert_int_equal(column_make(&b->arena, &type_bigint, count, true, &c[0]), STATUS_OK);
    assert_int_equal(column_make(&b->arena, &type_string, count, false, &c[1]), STATUS_OK);
    assert_int_equal(column_make(&b->arena, &type_double, count, false, &c[2]), STATUS_OK);
    assert_int_equal(column_make(&b->arena, &type_bigint, count, false, &c[3]), STATUS_OK);
    for (uint32_t i = 0; i < count; i++) {
        const struct row *r = &self->rows[split->range.begin + i];
        ((int64_t *)c[0].values)[i] = r->key;
        if (!r->has_key) bitmap_clear(c[0].validity, i);
        const char *text = arena_strdup(&b->arena, r->text);
        ((struct string_view *)c[1].values)[i] = string_view_of(text, strlen(text));
        ((double *)c[2].values)[i] = r->real;
        ((int64_t *)c[3].values)[i] = r->value;
        weights[i] = r->weight;
    }
    b->row_count = b->selected_count = count;
    b->weights = weights;
    b->sequence = split->sequence;
    b->origin.source = 0;
    b->origin.first_offset = split->range.begin;
    enum status status = count ? emit(context, b) : STATUS_OK;
    batch_unref(b);
    return status;
}

static const struct source_class rows_class = {.name = "rows", .read = read_rows};

// What left at the output: one line a row, with its weight.
struct taken {
    pthread_mutex_t mutex;
    char **lines;
    int *weights;
    size_t count, capacity;
    bool order_matters;
};

static inline void taken_clear(struct taken *s) {
    for (size_t i = 0; i < s->count; i++) free(s->lines[i]);
    s->count = 0;
}
static inline void taken_free(struct taken *s) {
    taken_clear(s);
    free(s->lines);
    free(s->weights);
    *s = (struct taken){.mutex = PTHREAD_MUTEX_INITIALIZER};
}

static inline void cell(const struct column *c, uint32_t row, char *out, size_t size) {
    if (!column_is_valid(c, row)) snprintf(out, size, "NULL");
    else if (c->type->id == TYPE_BIGINT || c->type->id == TYPE_TIMESTAMP) snprintf(out, size, "%lld", (long long)column_int64(c, row));
    else if (c->type->id == TYPE_INT) snprintf(out, size, "%d", column_int32(c, row));
    else if (c->type->id == TYPE_DOUBLE) snprintf(out, size, "%.17g", column_double(c, row));
    else if (c->type->id == TYPE_STRING) snprintf(out, size, "%.*s", (int)column_string(c, row)->size_bytes, string_view_data(column_string(c, row)));
    else if (c->type->id == TYPE_STRUCT) snprintf(out, size, "%lld..%lld", (long long)column_int64(&c->children[0], column_index(c, row)), (long long)column_int64(&c->children[1], column_index(c, row)));
    else snprintf(out, size, "?");
}

static inline void taken_add(struct taken *s, const char *line, int weight) {
    if (s->count == s->capacity) {
        s->capacity = s->capacity ? s->capacity * 2 : 64;
        s->lines = realloc(s->lines, s->capacity * sizeof *s->lines);
        s->weights = realloc(s->weights, s->capacity * sizeof *s->weights);
    }
    s->lines[s->count] = strdup(line);
    s->weights[s->count++] = weight;
}

static inline enum status sink_write(void *context, uint32_t worker, struct batch *b, struct error *e) {
    (void)worker, (void)e;
    struct taken *s = context;
    struct rows rows = batch_rows(b);
    pthread_mutex_lock(&s->mutex);
    for (uint32_t i = 0; i < rows.count; i++) {
        char line[512] = "", text[128];
        for (uint32_t c = 0; c < b->column_count; c++) {
            cell(&b->columns[c], rows_at(&rows, i), text, sizeof text);
            size_t at = strlen(line);
            snprintf(line + at, sizeof line - at, "%s%s", c ? "|" : "", text);
        }
        taken_add(s, line, batch_weight(b, rows_at(&rows, i)));
    }
    pthread_mutex_unlock(&s->mutex);
    return STATUS_OK;
}

static inline int line_order(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

// Applies weights: lines with a positive sum, as often as it says, sorted. The text is the caller's to free.
static inline char *taken_text(const struct taken *s) {
    char **lines = calloc(s->count + 1, sizeof *lines);
    size_t n = 0, bytes = 1;
    for (size_t i = 0; i < s->count; i++) {
        if (s->weights[i] > 0) {
            lines[n++] = s->lines[i];
            continue;
        }
        size_t k = 0;
        while (k < n && strcmp(lines[k], s->lines[i]) != 0) k++;
        if (k == n) fail_msg("a row is taken back that is not there: %s", s->lines[i]);
        lines[k] = lines[--n];
    }
    if (!s->order_matters) qsort(lines, n, sizeof *lines, line_order);
    for (size_t i = 0; i < n; i++) bytes += strlen(lines[i]) + 1;
    char *text = calloc(bytes, 1);
    for (size_t i = 0, at = 0; i < n; i++) at += (size_t)snprintf(text + at, bytes - at, "%s\n", lines[i]);
    free(lines);
    return text;
}

static inline void setup(struct fixture *f) {
    memset(f, 0, sizeof *f);
    memory_init(&f->memory, "test", NULL, 0);
    arena_init(&f->arena, &f->memory);
    f->session = (struct session){.zones = timezone_set_new(&f->memory), .zone = &timezone_utc, .clock = &f->clock};
    const char *seed = getenv("LEAT_SEED");
    uint64_t value = seed ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL);
    print_message("seed %llu\n", (unsigned long long)value);
    random_seed(&f->random, value);
}

static inline void teardown(struct fixture *f) {
    arena_release(&f->arena);
    timezone_set_free(f->session.zones);
    assert_int_equal(memory_used(&f->memory), 0);
}

static struct row random_row(struct fixture *f, uint32_t key_count) {
    struct row r = {.has_key = random_below(&f->random, 10) != 0, .key = (int64_t)random_below(&f->random, key_count) - 3,
                    .real = (random_double(&f->random) - 0.5) * 1e6, .value = (int64_t)random_below(&f->random, 20), .weight = 1};
    uint64_t n = random_below(&f->random, key_count);
    snprintf(r.text, sizeof r.text, n % 2 ? "s%llu" : "a rather long text %llu", (unsigned long long)n);
    return r;
}

static inline struct plan_node *node_new(struct fixture *f, enum plan_kind kind, struct plan_node *input) {
    struct plan_node *n = arena_alloc_zeroed(&f->arena, sizeof *n);
    n->kind = kind;
    n->inputs = arena_alloc_array(&f->arena, 2, sizeof *n->inputs);
    n->inputs[0] = input;
    n->input_count = input ? 1 : 0;
    n->limit = -1;
    if (input) {
        n->attributes = input->attributes;
        n->attribute_count = input->attribute_count;
        n->changes = input->changes;
        n->streaming = input->streaming;
    }
    return n;
}

static inline struct plan_node *scan_new(struct fixture *f, bool streaming) {
    static const char *const names[] = {"key", "text", "real", "value"};
    const struct type *types[] = {&type_bigint, &type_string, &type_double, &type_bigint};
    struct plan_node *n = node_new(f, PLAN_SCAN, NULL);
    n->streaming = streaming;
    n->attributes = arena_alloc_array(&f->arena, COLUMNS, sizeof *n->attributes);
    n->attribute_count = COLUMNS;
    for (uint32_t i = 0; i < COLUMNS; i++) n->attributes[i] = (struct attribute){.name = names[i], .type = types[i], .nullable = true};
    n->table = arena_alloc_zeroed(&f->arena, sizeof *n->table);
    n->table->name = "rows";
    return n;
}

static inline struct expr *column_of(struct fixture *f, const struct plan_node *n, uint32_t ordinal) {
    return expr_column(&f->arena, ordinal, n->attributes[ordinal].type, true);
}

static inline void set_attributes(struct fixture *f, struct plan_node *n, struct expr *const *exprs, uint32_t count) {
    n->attributes = arena_alloc_array(&f->arena, count + 1, sizeof *n->attributes);
    n->attribute_count = count;
    for (uint32_t i = 0; i < count; i++) n->attributes[i] = (struct attribute){.name = "c", .type = exprs[i]->type, .nullable = true};
}

static inline struct expr *call(struct fixture *f, const char *name, struct expr *a, struct expr *b) {
    struct expr *args[2] = {a, b}, *out = NULL;
    struct error e;
    error_clear(&e);
    if (function_call_named(&f->arena, &f->session, name, args, b ? 2 : 1, (struct span){0}, &out, &e) != STATUS_OK) fail_msg("%s", e.message);
    return out;
}

static inline struct expr *aggregate_of(struct fixture *f, const char *name, struct expr *arg, bool distinct) {
    struct expr *out = NULL;
    struct error e;
    error_clear(&e);
    const struct aggregate *g = aggregate_find(name);
    assert_non_null(g);
    if (aggregate_call(&f->arena, &f->session, g, name, &arg, arg ? 1 : 0, distinct, NULL, (struct span){0}, &out, &e) != STATUS_OK) fail_msg("%s", e.message);
    return out;
}

// GROUP BY some of (key, text): count(*), sum(value), sum(real), count(DISTINCT value), max(text)
static inline struct plan_node *aggregate_new(struct fixture *f, struct plan_node *input, uint32_t key_mask, bool exact_only, bool retracting) {
    struct plan_node *n = node_new(f, PLAN_AGGREGATE, input);
    n->exprs = arena_alloc_array(&f->arena, 8, sizeof *n->exprs);
    for (uint32_t i = 0; i < 2; i++) {
        if (key_mask >> i & 1) n->exprs[n->expr_count++] = column_of(f, input, i);
    }
    n->key_count = n->expr_count;
    n->exprs[n->expr_count++] = aggregate_of(f, "count", NULL, false);
    n->exprs[n->expr_count++] = aggregate_of(f, "sum", column_of(f, input, 3), false);
    if (!exact_only && !retracting) n->exprs[n->expr_count++] = aggregate_of(f, "sum", column_of(f, input, 2), false);
    if (!exact_only) n->exprs[n->expr_count++] = aggregate_of(f, "count", column_of(f, input, 3), true);
    if (!retracting) n->exprs[n->expr_count++] = aggregate_of(f, "max", column_of(f, input, 1), false);
    set_attributes(f, n, n->exprs, n->expr_count);
    n->changes = input->streaming ? CHANGES_RETRACT : CHANGES_APPEND;
    return n;
}

// The twin: one pass over all rows, groups found by walking.
static inline char *naive_aggregate(const struct row *rows, size_t count, uint32_t key_mask, bool exact_only, bool retracting) {
    struct naive {
        const struct row *first;
        int64_t count, sum, distinct[20];
        double real;
        const char *most;
    } *groups = calloc(count + 1, sizeof *groups);
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        const struct row *r = &rows[i];
        size_t g = 0;
        for (; g < n; g++) {
            const struct row *k = groups[g].first;
            if ((key_mask & 1) && (k->has_key != r->has_key || (k->has_key && k->key != r->key))) continue;
            if ((key_mask & 2) && strcmp(k->text, r->text) != 0) continue;
            break;
        }
        if (g == n) groups[n++].first = r;
        groups[g].count += r->weight;
        groups[g].sum += r->value * r->weight;
        groups[g].distinct[r->value] += r->weight;
        groups[g].real += r->real;
        if (!groups[g].most || strcmp(groups[g].most, r->text) < 0) groups[g].most = r->text;
    }
    struct taken sink = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    if (n == 0 && key_mask == 0) taken_add(&sink, exact_only ? "0|NULL|NULL" : retracting ? "0|NULL|0" : "0|NULL|NULL|0|NULL", 1);
    for (size_t g = 0; g < n; g++) {
        char line[512] = "";
        size_t at = 0;
        if (groups[g].count == 0 && key_mask) continue;
        if (key_mask & 1) {
            if (groups[g].first->has_key) at += (size_t)snprintf(line + at, sizeof line - at, "%lld|", (long long)groups[g].first->key);
            else at += (size_t)snprintf(line + at, sizeof line - at, "NULL|");
        }
        if (key_mask & 2) at += (size_t)snprintf(line + at, sizeof line - at, "%s|", groups[g].first->text);
        at += (size_t)snprintf(line + at, sizeof line - at, "%lld|", (long long)groups[g].count);
        if (groups[g].count) at += (size_t)snprintf(line + at, sizeof line - at, "%lld", (long long)groups[g].sum);
        else at += (size_t)snprintf(line + at, sizeof line - at, "NULL");
        if (!exact_only && !retracting) at += (size_t)snprintf(line + at, sizeof line - at, "|%.17g", groups[g].real);
        int distinct = 0;
        for (int v = 0; v < 20; v++) distinct += groups[g].distinct[v] > 0;
        if (!exact_only) at += (size_t)snprintf(line + at, sizeof line - at, "|%d", distinct);
        if (!retracting) snprintf(line + at, sizeof line - at, "|%s", groups[g].most);
        taken_add(&sink, line, 1);
    }
    char *text = taken_text(&sink);
    taken_free(&sink);
    free(groups);
    return text;
}

// The state of an execution, in its own encoding; to be freed.
static inline char *snapshot_of(struct execution *x, size_t *size) {
    struct buffer out;
    struct error e;
    buffer_init(&out, x->memory);
    assert_int_equal(execution_snapshot(x, NULL, &out, &e), STATUS_OK);
    char *bytes = malloc(out.size_bytes + 1);
    memcpy(bytes, out.data, out.size_bytes);
    *size = out.size_bytes;
    buffer_release(&out);
    return bytes;
}

static inline void assert_same_state(struct execution *a, struct execution *b) {
    size_t x_size, y_size;
    char *x = snapshot_of(a, &x_size), *y = snapshot_of(b, &y_size);
    assert_int_equal(x_size, y_size);
    assert_memory_equal(x, y, x_size);
    free(x);
    free(y);
}

// The changes of the running epoch, as the log has them.
static inline void copy_changes(struct execution *from, struct execution *to) {
    struct buffer out;
    struct error e;
    error_clear(&e);
    buffer_init(&out, from->memory);
    assert_int_equal(execution_log_changes(from, NULL, &out, &e), STATUS_OK);
    struct reader in = reader_of(out.data, out.size_bytes);
    if (execution_apply_changes(to, &in, &e) != STATUS_OK) fail_msg("%s", e.message);
    buffer_release(&out);
}

struct machine {                 // an execution with one output and its crew
    struct fixture *fixture;
    struct execution *execution;
    struct output output;
    struct execution_config config;
    struct taken sink;
    struct crew crew;
    uint64_t epoch;
};

static inline void machine_init(struct machine *m, struct fixture *f, struct plan_node *root, uint32_t workers) {
    struct error e;
    error_clear(&e);
    memset(m, 0, sizeof *m);
    m->fixture = f;
    pthread_mutex_init(&m->sink.mutex, NULL);
    m->output = (struct output){.root = root, .flow_name = "flow", .write = sink_write, .context = &m->sink};
    m->config = (struct execution_config){.session = &f->session, .memory = &f->memory, .state_memory = &f->memory, .worker_count = workers,
                                          .outputs = &m->output, .output_count = 1};
    if (execution_new(&m->config, &m->execution, &e) != STATUS_OK) fail_msg("execution_new: %s", e.message);
    assert_int_equal(crew_init(&m->crew, &f->memory, workers, &e), STATUS_OK);
}

static inline void machine_release(struct machine *m) {
    crew_release(&m->crew);
    execution_free(m->execution);
    taken_free(&m->sink);
}

struct feed_of {                 // rows of one table for one epoch
    struct dataset *table;
    const struct row *rows;
    size_t count;
};

static inline void machine_run(struct machine *m, const struct feed_of *feeds, uint32_t feed_count, bool batch, uint32_t morsel) {
    struct epoch_input inputs[2];
    struct rows_source sources[2];
    struct split *splits[2];
    struct error e;
    error_clear(&e);
    for (uint32_t i = 0; i < feed_count; i++) {
        uint32_t count = (uint32_t)((feeds[i].count + morsel - 1) / morsel);
        splits[i] = calloc(count + 1, sizeof *splits[i]);
        for (uint32_t k = 0; k < count; k++) {
            size_t end = (size_t)(k + 1) * morsel;
            splits[i][k] = (struct split){.range = {.begin = (int64_t)k * morsel, .end = (int64_t)(end < feeds[i].count ? end : feeds[i].count)}, .sequence = k};
        }
        sources[i] = (struct rows_source){.base = {.class = &rows_class}, .memory = &m->fixture->memory, .rows = feeds[i].rows};
        inputs[i] = (struct epoch_input){.table = feeds[i].table, .source = &sources[i].base, .splits = {.items = splits[i], .count = count}};
    }
    struct epoch_run run = {.epoch = ++m->epoch, .inputs = inputs, .input_count = feed_count, .batch = batch};
    enum status status = execution_run(m->execution, &m->crew, &run, &e);
    if (status != STATUS_OK) fail_msg("execution_run: %s", e.message);
    for (uint32_t i = 0; i < feed_count; i++) free(splits[i]);
}

static inline void check_ledger(struct machine *m) {
    struct ledger_line *lines;
    uint32_t count;
    assert_int_equal(execution_ledger(m->execution, &m->fixture->arena, &lines, &count), STATUS_OK);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t fates = lines[i].passed + lines[i].filtered + lines[i].absorbed + lines[i].merged + lines[i].late + lines[i].dead + lines[i].null_time;
        assert_int_equal(lines[i].input, fates);
    }
}

static inline int row_order(const void *a, const void *b) {  // ORDER BY value DESC, real
    const struct row *x = a, *y = b;
    if (x->value != y->value) return x->value > y->value ? -1 : 1;
    return (x->real > y->real) - (x->real < y->real);
}

static inline char *row_lines(const struct row *rows, size_t begin, size_t end, bool ordered) {
    struct taken s = {.mutex = PTHREAD_MUTEX_INITIALIZER, .order_matters = ordered};
    for (size_t i = begin; i < end; i++) {
        char line[256], key[32];
        snprintf(key, sizeof key, "%lld", (long long)rows[i].key);
        snprintf(line, sizeof line, "%s|%s|%.17g|%lld", rows[i].has_key ? key : "NULL", rows[i].text, rows[i].real, (long long)rows[i].value);
        taken_add(&s, line, 1);
    }
    char *text = taken_text(&s);
    taken_free(&s);
    return text;
}

static inline struct plan_node *sorted_new(struct fixture *f, struct plan_node *input) {
    struct plan_node *n = node_new(f, PLAN_SORT, input);
    n->sorts = arena_alloc_array(&f->arena, 2, sizeof *n->sorts);
    n->sort_count = 2;
    n->sorts[0] = (struct sort_key){.expr = column_of(f, input, 3), .descending = true};
    n->sorts[1] = (struct sort_key){.expr = column_of(f, input, 2), .nulls_first = true};
    return n;
}

static inline bool pair_matches(const struct row *a, const struct row *b, bool rest) {
    return a->has_key && b->has_key && a->key == b->key && (!rest || a->value < b->value);
}

static inline char *naive_join(const struct row *a, size_t a_count, const struct row *b, size_t b_count, enum join_kind kind, bool rest) {
    struct taken s = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    bool *b_matched = calloc(b_count + 1, sizeof *b_matched), b_null = false;
    for (size_t k = 0; k < b_count; k++) b_null = b_null || !b[k].has_key;
    for (size_t i = 0; i <= a_count; i++) {
        bool matched = false, unmatched_right = i == a_count;
        for (size_t k = 0; k < b_count; k++) {
            bool pair = !unmatched_right && (kind == JOIN_CROSS || pair_matches(&a[i], &b[k], rest));
            bool alone = unmatched_right && !b_matched[k] && (kind == JOIN_RIGHT || kind == JOIN_FULL);
            if (!pair && !alone) continue;
            if (pair) matched = b_matched[k] = true;
            if (kind == JOIN_SEMI || kind == JOIN_ANTI || kind == JOIN_NULL_AWARE_ANTI) continue;
            char *left = pair ? row_lines(a, i, i + 1, true) : strdup("NULL|NULL|NULL|NULL "), *right = row_lines(b, k, k + 1, true), line[512];
            snprintf(line, sizeof line, "%.*s|%.*s", (int)strlen(left) - 1, left, (int)strlen(right) - 1, right);
            taken_add(&s, line, 1);
            free(left);
            free(right);
        }
        if (unmatched_right) break;
        char *left = row_lines(a, i, i + 1, true), line[512];
        left[strlen(left) - 1] = 0;
        bool in = kind == JOIN_SEMI ? matched : kind == JOIN_ANTI ? !matched : kind == JOIN_NULL_AWARE_ANTI && (!b_count || (!matched && a[i].has_key && !b_null));
        if (in) taken_add(&s, left, 1);
        if (!matched && (kind == JOIN_LEFT || kind == JOIN_FULL)) {
            snprintf(line, sizeof line, "%s|NULL|NULL|NULL|NULL", left);
            taken_add(&s, line, 1);
        }
        free(left);
    }
    char *text = taken_text(&s);
    taken_free(&s);
    free(b_matched);
    return text;
}

static inline struct plan_node *join_new(struct fixture *f, struct plan_node *left, struct plan_node *right, enum join_kind kind, bool rest) {
    struct plan_node *n = node_new(f, PLAN_JOIN, left);
    n->inputs[1] = right;
    n->input_count = 2;
    n->join = kind;
    uint32_t total = left->attribute_count + right->attribute_count;
    struct attribute *both = arena_alloc_array(&f->arena, total, sizeof *both);
    memcpy(both, left->attributes, left->attribute_count * sizeof *both);
    memcpy(both + left->attribute_count, right->attributes, right->attribute_count * sizeof *both);
    bool narrow = kind == JOIN_SEMI || kind == JOIN_ANTI || kind == JOIN_NULL_AWARE_ANTI;
    n->attributes = both;
    n->attribute_count = narrow ? left->attribute_count : total;
    if (kind != JOIN_CROSS) {
        n->left_keys = arena_alloc_array(&f->arena, 1, sizeof *n->left_keys);
        n->right_keys = arena_alloc_array(&f->arena, 1, sizeof *n->right_keys);
        n->left_keys[0] = column_of(f, left, 0);
        n->right_keys[0] = column_of(f, right, 0);
        n->join_key_count = 1;
    }
    if (rest && kind != JOIN_CROSS) {
        n->condition = call(f, "<", column_of(f, left, 3), expr_column(&f->arena, left->attribute_count + 3, &type_bigint, true));
    }
    return n;
}
