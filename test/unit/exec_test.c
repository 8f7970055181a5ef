// SPDX-License-Identifier: Apache-2.0
// exec_test.c: operators against naive twins, on random rows (the seed is printed; LEAT_SEED sets it): aggregates with 1, 2 and 4 workers,
// materialized state over epochs with rollbacks, log and snapshot round trips, top-N under retractions, joins, consolidate, and hostile
// snapshot bytes.
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

static enum status read_rows(struct source *s, const struct split *split, uint32_t worker, const uint64_t *wanted, emit_batch emit, void *context,
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

static void taken_clear(struct taken *s) {
    for (size_t i = 0; i < s->count; i++) free(s->lines[i]);
    s->count = 0;
}
static void taken_free(struct taken *s) {
    taken_clear(s);
    free(s->lines);
    free(s->weights);
    *s = (struct taken){.mutex = PTHREAD_MUTEX_INITIALIZER};
}

static void cell(const struct column *c, uint32_t row, char *out, size_t size) {
    if (!column_is_valid(c, row)) snprintf(out, size, "NULL");
    else if (c->type->id == TYPE_BIGINT || c->type->id == TYPE_TIMESTAMP) snprintf(out, size, "%lld", (long long)column_int64(c, row));
    else if (c->type->id == TYPE_INT) snprintf(out, size, "%d", column_int32(c, row));
    else if (c->type->id == TYPE_DOUBLE) snprintf(out, size, "%.17g", column_double(c, row));
    else if (c->type->id == TYPE_STRING) snprintf(out, size, "%.*s", (int)column_string(c, row)->size_bytes, string_view_data(column_string(c, row)));
    else if (c->type->id == TYPE_STRUCT) snprintf(out, size, "%lld..%lld", (long long)column_int64(&c->children[0], column_index(c, row)), (long long)column_int64(&c->children[1], column_index(c, row)));
    else snprintf(out, size, "?");
}

static void taken_add(struct taken *s, const char *line, int weight) {
    if (s->count == s->capacity) {
        s->capacity = s->capacity ? s->capacity * 2 : 64;
        s->lines = realloc(s->lines, s->capacity * sizeof *s->lines);
        s->weights = realloc(s->weights, s->capacity * sizeof *s->weights);
    }
    s->lines[s->count] = strdup(line);
    s->weights[s->count++] = weight;
}

static enum status sink_write(void *context, uint32_t worker, struct batch *b, struct error *e) {
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

static int line_order(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

// Applies weights: lines with a positive sum, as often as it says, sorted. The text is the caller's to free.
static char *taken_text(const struct taken *s) {
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

static void setup(struct fixture *f) {
    memset(f, 0, sizeof *f);
    memory_init(&f->memory, "test", NULL, 0);
    arena_init(&f->arena, &f->memory);
    f->session = (struct session){.zones = timezone_set_new(&f->memory), .zone = &timezone_utc, .clock = &f->clock};
    const char *seed = getenv("LEAT_SEED");
    uint64_t value = seed ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL);
    print_message("seed %llu\n", (unsigned long long)value);
    random_seed(&f->random, value);
}

static void teardown(struct fixture *f) {
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

static struct plan_node *node_new(struct fixture *f, enum plan_kind kind, struct plan_node *input) {
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

static struct plan_node *scan_new(struct fixture *f, bool streaming) {
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

static struct expr *column_of(struct fixture *f, const struct plan_node *n, uint32_t ordinal) {
    return expr_column(&f->arena, ordinal, n->attributes[ordinal].type, true);
}

static void set_attributes(struct fixture *f, struct plan_node *n, struct expr *const *exprs, uint32_t count) {
    n->attributes = arena_alloc_array(&f->arena, count + 1, sizeof *n->attributes);
    n->attribute_count = count;
    for (uint32_t i = 0; i < count; i++) n->attributes[i] = (struct attribute){.name = "c", .type = exprs[i]->type, .nullable = true};
}

static struct expr *call(struct fixture *f, const char *name, struct expr *a, struct expr *b) {
    struct expr *args[2] = {a, b}, *out = NULL;
    struct error e;
    error_clear(&e);
    if (function_call_named(&f->arena, &f->session, name, args, b ? 2 : 1, (struct span){0}, &out, &e) != STATUS_OK) fail_msg("%s", e.message);
    return out;
}

static struct expr *aggregate_of(struct fixture *f, const char *name, struct expr *arg, bool distinct) {
    struct expr *out = NULL;
    struct error e;
    error_clear(&e);
    const struct aggregate *g = aggregate_find(name);
    assert_non_null(g);
    if (aggregate_call(&f->arena, &f->session, g, name, &arg, arg ? 1 : 0, distinct, NULL, (struct span){0}, &out, &e) != STATUS_OK) fail_msg("%s", e.message);
    return out;
}

// GROUP BY some of (key, text): count(*), sum(value), sum(real), count(DISTINCT value), max(text)
static struct plan_node *aggregate_new(struct fixture *f, struct plan_node *input, uint32_t key_mask, bool exact_only, bool retracting) {
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
static char *naive_aggregate(const struct row *rows, size_t count, uint32_t key_mask, bool exact_only, bool retracting) {
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

struct machine {                 // an execution with one output and its crew
    struct fixture *fixture;
    struct execution *execution;
    struct output output;
    struct execution_config config;
    struct taken sink;
    struct crew crew;
    uint64_t epoch;
};

static void machine_init(struct machine *m, struct fixture *f, struct plan_node *root, uint32_t workers) {
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

static void machine_release(struct machine *m) {
    crew_release(&m->crew);
    execution_free(m->execution);
    taken_free(&m->sink);
}

struct feed_of {                 // rows of one table for one epoch
    struct dataset *table;
    const struct row *rows;
    size_t count;
};

static void machine_run(struct machine *m, const struct feed_of *feeds, uint32_t feed_count, bool batch, uint32_t morsel) {
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

static void check_ledger(struct machine *m) {
    struct ledger_line *lines;
    uint32_t count;
    assert_int_equal(execution_ledger(m->execution, &m->fixture->arena, &lines, &count), STATUS_OK);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t fates = lines[i].passed + lines[i].filtered + lines[i].absorbed + lines[i].merged + lines[i].late + lines[i].dead + lines[i].null_time;
        assert_int_equal(lines[i].input, fates);
    }
}

static void batch_aggregates(void **state) {
    (void)state;
    struct fixture f;
    setup(&f);
    struct row *rows = calloc(6000, sizeof *rows);
    for (uint32_t round = 0; round < 16; round++) {
        size_t count = round < 2 ? 0 : (size_t)random_below(&f.random, 6000);
        uint32_t mask = round % 4;
        bool exact = round / 4 % 2;
        for (size_t i = 0; i < count; i++) rows[i] = random_row(&f, round > 10 ? 3000 : 12);
        struct plan_node *scan = scan_new(&f, false), *root = aggregate_new(&f, scan, mask, exact, false);
        char *expected = naive_aggregate(rows, count, mask, exact, false);
        for (uint32_t workers = 1; workers <= 4; workers *= 2) {
            struct machine m;
            struct feed_of feed = {scan->table, rows, count};
            machine_init(&m, &f, root, workers);
            machine_run(&m, &feed, 1, true, 97);
            check_ledger(&m);
            char *text = taken_text(&m.sink);
            assert_string_equal(text, expected);
            free(text);
            machine_release(&m);
        }
        free(expected);
    }
    free(rows);
    teardown(&f);
}

static char *snapshot_of(struct machine *m, size_t *size) {
    struct buffer out;
    struct error e;
    buffer_init(&out, &m->fixture->memory);
    assert_int_equal(execution_snapshot(m->execution, &out, &e), STATUS_OK);
    char *bytes = malloc(out.size_bytes + 1);
    memcpy(bytes, out.data, out.size_bytes);
    *size = out.size_bytes;
    buffer_release(&out);
    return bytes;
}

static void assert_same_state(struct machine *a, struct machine *b) {
    size_t x_size, y_size;
    char *x = snapshot_of(a, &x_size), *y = snapshot_of(b, &y_size);
    assert_int_equal(x_size, y_size);
    assert_memory_equal(x, y, x_size);
    free(x);
    free(y);
}

static void copy_changes(struct machine *from, struct machine *to) {
    struct buffer out;
    struct error e;
    error_clear(&e);
    buffer_init(&out, &from->fixture->memory);
    assert_int_equal(execution_log_changes(from->execution, &out, &e), STATUS_OK);
    struct reader in = reader_of(out.data, out.size_bytes);
    if (execution_apply_changes(to->execution, &in, &e) != STATUS_OK) fail_msg("%s", e.message);
    buffer_release(&out);
}

// Runs an epoch, sometimes after one that is rolled back: state and rows must be as if it had never been.
static void run_epoch(struct machine *m, const struct feed_of *feed, bool roll_back) {
    if (roll_back) {
        size_t before_size, after_size, sunk = m->sink.count;
        char *before = snapshot_of(m, &before_size);
        machine_run(m, feed, 1, false, 61);
        struct error e;
        assert_int_equal(execution_rollback(m->execution, &e), STATUS_OK);
        char *after = snapshot_of(m, &after_size);
        assert_int_equal(before_size, after_size);
        assert_memory_equal(before, after, before_size);
        free(before);
        free(after);
        for (size_t i = sunk; i < m->sink.count; i++) free(m->sink.lines[i]);
        m->sink.count = sunk;
    }
    machine_run(m, feed, 1, false, 61);
}

// A snapshot restored elsewhere is the same state; broken ones get any answer but a crash.
static void restore_and_break(struct fixture *f, struct machine *from, struct machine *to) {
    size_t size;
    struct error e;
    char *bytes = snapshot_of(from, &size);
    struct reader in = reader_of(bytes, size);
    assert_int_equal(execution_restore(to->execution, &in, &e), STATUS_OK);
    assert_same_state(from, to);
    for (uint32_t k = 0; k < 300; k++) {
        char *broken = malloc(size);
        memcpy(broken, bytes, size);
        size_t cut = random_below(&f->random, 3) ? size : (size_t)random_below(&f->random, size + 1);
        for (uint32_t flips = 0; flips < 3; flips++) broken[random_below(&f->random, size)] = (char)random_next(&f->random);
        in = reader_of(broken, cut);
        enum status status = execution_restore(to->execution, &in, &e);
        (void)status;
        free(broken);
    }
    free(bytes);
}

static void materialized_aggregates(void **state) {
    (void)state;
    struct fixture f;
    setup(&f);
    enum { EPOCHS = 12, PER_EPOCH = 300 };
    struct row *rows = calloc(EPOCHS * PER_EPOCH, sizeof *rows);
    for (uint32_t round = 0; round < 8; round++) {
        uint32_t mask = round % 4;
        bool retracting = round >= 4;
        struct plan_node *scan = scan_new(&f, true);
        if (retracting) scan->changes = CHANGES_RETRACT;
        struct plan_node *root = aggregate_new(&f, scan, mask, false, retracting);
        struct machine m[3], copy, restored;
        for (uint32_t k = 0; k < 3; k++) machine_init(&m[k], &f, root, 1u << k);
        machine_init(&copy, &f, root, 2);
        machine_init(&restored, &f, root, 1);
        size_t count = 0;
        for (uint32_t epoch = 0; epoch < EPOCHS; epoch++) {
            size_t begin = count, more = (size_t)random_below(&f.random, PER_EPOCH);
            for (size_t i = 0; i < more; i++) {
                bool take_back = retracting && count > 10 && random_below(&f.random, 3) == 0;
                size_t victim = count ? (size_t)random_below(&f.random, count) : 0;
                rows[count] = take_back && rows[victim].weight > 0 ? rows[victim] : random_row(&f, 9);
                if (take_back && rows[victim].weight > 0) {
                    rows[count].weight = -1;
                    // a row is taken back once only
                    for (size_t k = 0; k < count && rows[count].weight < 0; k++) {
                        if (rows[k].weight < 0 && rows[k].real == rows[count].real) rows[count] = random_row(&f, 9);
                    }
                }
                count++;
            }
            char *expected = naive_aggregate(rows, count, mask, false, retracting);
            for (uint32_t k = 0; k < 3; k++) {
                struct feed_of feed = {scan->table, rows + begin, more};
                run_epoch(&m[k], &feed, random_below(&f.random, 2));
                char *text = taken_text(&m[k].sink);
                assert_string_equal(text, expected);
                free(text);
                if (k == 1) copy_changes(&m[k], &copy);
                execution_commit(m[k].execution);
                check_ledger(&m[k]);
            }
            assert_same_state(&m[0], &m[1]);
            assert_same_state(&m[0], &m[2]);
            assert_same_state(&m[0], &copy);
            free(expected);
        }
        restore_and_break(&f, &m[0], &restored);
        for (uint32_t k = 0; k < 3; k++) machine_release(&m[k]);
        machine_release(&copy);
        machine_release(&restored);
    }
    free(rows);
    teardown(&f);
}

static int row_order(const void *a, const void *b) {  // ORDER BY value DESC, real
    const struct row *x = a, *y = b;
    if (x->value != y->value) return x->value > y->value ? -1 : 1;
    return (x->real > y->real) - (x->real < y->real);
}

static char *row_lines(const struct row *rows, size_t begin, size_t end, bool ordered) {
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

static struct plan_node *sorted_new(struct fixture *f, struct plan_node *input) {
    struct plan_node *n = node_new(f, PLAN_SORT, input);
    n->sorts = arena_alloc_array(&f->arena, 2, sizeof *n->sorts);
    n->sort_count = 2;
    n->sorts[0] = (struct sort_key){.expr = column_of(f, input, 3), .descending = true};
    n->sorts[1] = (struct sort_key){.expr = column_of(f, input, 2), .nulls_first = true};
    return n;
}

static void first_rows(void **state) {
    (void)state;
    struct fixture f;
    setup(&f);
    enum { EPOCHS = 30, PER_EPOCH = 60 };
    struct row *live = calloc(EPOCHS * PER_EPOCH, sizeof *live), *epoch_rows = calloc(PER_EPOCH, sizeof *epoch_rows);
    struct plan_node *scan = scan_new(&f, true);
    scan->changes = CHANGES_RETRACT;
    struct plan_node *root = node_new(&f, PLAN_LIMIT, sorted_new(&f, scan));
    root->limit = 10;
    root->offset = 3;
    struct machine m, copy;
    machine_init(&m, &f, root, 2);
    machine_init(&copy, &f, root, 1);
    size_t live_count = 0;
    for (uint32_t epoch = 0; epoch < EPOCHS; epoch++) {
        size_t more = (size_t)random_below(&f.random, PER_EPOCH);
        for (size_t i = 0; i < more; i++) {
            if (live_count && random_below(&f.random, 5) < 2) {
                size_t victim = (size_t)random_below(&f.random, live_count);
                epoch_rows[i] = live[victim];
                epoch_rows[i].weight = -1;
                live[victim] = live[--live_count];
            } else {
                epoch_rows[i] = live[live_count++] = random_row(&f, 9);
            }
        }
        struct feed_of feed = {scan->table, epoch_rows, more};
        run_epoch(&m, &feed, epoch % 2);
        copy_changes(&m, &copy);
        execution_commit(m.execution);
        assert_same_state(&m, &copy);
        check_ledger(&m);
        qsort(live, live_count, sizeof *live, row_order);
        char *expected = row_lines(live, live_count < 3 ? live_count : 3, live_count < 13 ? live_count : 13, false);
        char *text = taken_text(&m.sink);
        assert_string_equal(text, expected);
        free(text);
        free(expected);
    }
    machine_release(&m);
    machine_release(&copy);
    free(live);
    free(epoch_rows);
    teardown(&f);
}

static void batch_sort_and_limit(void **state) {
    (void)state;
    struct fixture f;
    setup(&f);
    enum { COUNT = 9000 };
    struct row *rows = calloc(COUNT, sizeof *rows), *sorted = calloc(COUNT, sizeof *sorted);
    for (size_t i = 0; i < COUNT; i++) rows[i] = sorted[i] = random_row(&f, 30);
    qsort(sorted, COUNT, sizeof *sorted, row_order);
    struct plan_node *scan = scan_new(&f, false), *sort = sorted_new(&f, scan), *top = node_new(&f, PLAN_LIMIT, sort), *limit = node_new(&f, PLAN_LIMIT, scan);
    top->limit = 7;
    top->offset = 2;
    limit->limit = 130;
    limit->offset = 5;
    char *all = row_lines(sorted, 0, COUNT, true), *first = row_lines(sorted, 2, 9, true), *head = row_lines(rows, 5, 135, false);
    for (uint32_t workers = 1; workers <= 4; workers *= 2) {
        struct plan_node *roots[] = {sort, top, limit};
        char *expected[] = {all, first, head};
        for (uint32_t k = 0; k < 3; k++) {
            struct machine m;
            struct feed_of feed = {scan->table, rows, COUNT};
            machine_init(&m, &f, roots[k], workers);
            m.sink.order_matters = k < 2;
            machine_run(&m, &feed, 1, true, 100);
            check_ledger(&m);
            char *text = taken_text(&m.sink);
            assert_string_equal(text, expected[k]);
            if (k == 2) assert_true(execution_input_rows(m.execution, scan->table) < COUNT);  // stopped early
            free(text);
            machine_release(&m);
        }
    }
    free(all);
    free(first);
    free(head);
    free(rows);
    free(sorted);
    teardown(&f);
}

static bool pair_matches(const struct row *a, const struct row *b, bool rest) {
    return a->has_key && b->has_key && a->key == b->key && (!rest || a->value < b->value);
}

static char *naive_join(const struct row *a, size_t a_count, const struct row *b, size_t b_count, enum join_kind kind, bool rest) {
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

static struct plan_node *join_new(struct fixture *f, struct plan_node *left, struct plan_node *right, enum join_kind kind, bool rest) {
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

static void joins(void **state) {
    (void)state;
    struct fixture f;
    setup(&f);
    struct row *a = calloc(700, sizeof *a), *b = calloc(300, sizeof *b);
    for (uint32_t round = 0; round < 32; round++) {
        enum join_kind kind = (enum join_kind)(round % 8);
        bool rest = round >= 16 && kind != JOIN_CROSS && kind != JOIN_NULL_AWARE_ANTI, same = round % 3 == 0;
        size_t a_count = (size_t)random_below(&f.random, kind == JOIN_CROSS ? 60 : 700), b_count = round == 15 ? 0 : (size_t)random_below(&f.random, kind == JOIN_CROSS ? 90 : 300);
        for (size_t i = 0; i < a_count; i++) a[i] = random_row(&f, 40);
        for (size_t i = 0; i < b_count; i++) b[i] = random_row(&f, 40);
        if (kind == JOIN_NULL_AWARE_ANTI && round < 16) {
            for (size_t i = 0; i < b_count; i++) b[i].has_key = true;
        }
        struct plan_node *left = scan_new(&f, false), *right = same ? left : scan_new(&f, false);
        struct plan_node *root = join_new(&f, left, right, kind, rest);
        char *expected = naive_join(a, a_count, same ? a : b, same ? a_count : b_count, kind, rest);
        for (uint32_t workers = 1; workers <= 2; workers++) {
            struct machine m;
            struct feed_of feeds[] = {{left->table, a, a_count}, {right->table, b, b_count}};
            machine_init(&m, &f, root, workers);
            machine_run(&m, feeds, same ? 1 : 2, true, 64);
            char *text = taken_text(&m.sink);
            assert_string_equal(text, expected);
            free(text);
            machine_release(&m);
        }
        free(expected);
    }
    free(a);
    free(b);
    teardown(&f);
}

static void consolidated(void **state) {
    (void)state;
    struct fixture f;
    setup(&f);
    uint32_t key_ordinal = 0;
    for (uint32_t round = 0; round < 2; round++) {  // 0: last row of a key wins; 1: an aggregate's changes under a declared key
        struct plan_node *scan = scan_new(&f, true), *input = round ? aggregate_new(&f, scan, 1, false, false) : scan, *root = node_new(&f, PLAN_CONSOLIDATE, input);
        root->unique_key = &key_ordinal;
        root->unique_key_count = 1;
        struct machine m;
        machine_init(&m, &f, root, 2);
        struct row *rows = calloc(2000, sizeof *rows);
        for (uint32_t epoch = 0; epoch < 10; epoch++) {
            size_t begin = epoch * 200;
            for (size_t i = begin; i < begin + 200; i++) rows[i] = random_row(&f, 25);
            struct feed_of feed = {scan->table, rows + begin, 200};
            taken_clear(&m.sink);
            machine_run(&m, &feed, 1, false, 33);
            execution_commit(m.execution);
            check_ledger(&m);
            for (size_t i = 0; i < m.sink.count; i++) {  // one row a key, an upsert
                assert_int_equal(m.sink.weights[i], 1);
                for (size_t k = 0; k < i; k++) {
                    size_t length = strcspn(m.sink.lines[i], "|") + 1;
                    assert_false(strncmp(m.sink.lines[i], m.sink.lines[k], length) == 0);
                }
            }
            size_t found = 0;
            for (size_t i = begin; i < begin + 200 && !round; i++) {
                bool last = true;
                for (size_t k = i + 1; k < begin + 200; k++) last = last && (rows[k].has_key != rows[i].has_key || (rows[i].has_key && rows[k].key != rows[i].key));
                if (!last) continue;
                char *line = row_lines(rows, i, i + 1, true);
                line[strlen(line) - 1] = 0;
                for (size_t k = 0; k < m.sink.count; k++) found += strcmp(line, m.sink.lines[k]) == 0;
                free(line);
            }
            if (!round) assert_int_equal(found, m.sink.count);
            assert_true(m.sink.count > 5);
        }
        free(rows);
        machine_release(&m);
    }
    teardown(&f);
}

static void narrow_rows(void **state) {
    (void)state;
    struct fixture f;
    setup(&f);
    enum { COUNT = 5000 };
    struct row *rows = calloc(COUNT, sizeof *rows);
    struct taken expected = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    for (size_t i = 0; i < COUNT; i++) {
        rows[i] = random_row(&f, 30);
        char line[64];
        snprintf(line, sizeof line, "%lld", (long long)rows[i].value + 1);
        for (int copies = 0; copies < 2 && rows[i].value > 7; copies++) taken_add(&expected, line, 1);
    }
    struct plan_node *scan = scan_new(&f, false), *filter = node_new(&f, PLAN_FILTER, scan), *project = node_new(&f, PLAN_PROJECT, filter);
    filter->condition = call(&f, ">", column_of(&f, scan, 3), expr_bigint(&f.arena, 7));
    project->exprs = arena_alloc_array(&f.arena, 1, sizeof *project->exprs);
    project->exprs[0] = call(&f, "+", column_of(&f, scan, 3), expr_bigint(&f.arena, 1));
    project->expr_count = 1;
    set_attributes(&f, project, project->exprs, 1);
    struct plan_node *both = node_new(&f, PLAN_UNION, project);
    both->inputs[1] = project;
    both->input_count = 2;
    struct plan_node *minus = node_new(&f, PLAN_EXCEPT, both);
    minus->inputs[1] = project;
    minus->input_count = 2;
    minus->all = true;
    char *text = taken_text(&expected);
    for (uint32_t workers = 1; workers <= 2; workers++) {
        struct machine m;
        struct feed_of feed = {scan->table, rows, COUNT};
        machine_init(&m, &f, both, workers);
        machine_run(&m, &feed, 1, true, 512);
        check_ledger(&m);
        char *got = taken_text(&m.sink);
        assert_string_equal(got, text);
        free(got);
        size_t twice = m.sink.count;
        machine_release(&m);
        machine_init(&m, &f, minus, workers);
        machine_run(&m, &feed, 1, true, 512);
        check_ledger(&m);
        assert_int_equal(m.sink.count * 2, twice);
        machine_release(&m);
    }
    free(text);
    taken_free(&expected);
    free(rows);
    teardown(&f);
}

// A table of rows as a connector has it, for query_execute and static join sides.
static const struct row *stored_rows;
static size_t stored_count;

static enum status stored_open(const struct source_request *r, struct source **out, struct error *e) {
    (void)e;
    static struct rows_source source;
    source.base.request = *r;
    source.memory = r->memory;
    source.rows = stored_rows;
    *out = &source.base;
    return STATUS_OK;
}
static enum status stored_latest(struct source *s, struct arena *a, const struct positions *from, const struct budget *budget, struct ranges *out,
                                 bool *exhausted, int64_t *backlog_rows, int64_t *wake_at_us, struct error *e) {
    (void)s, (void)budget, (void)backlog_rows, (void)wake_at_us, (void)e;
    int64_t begin = from->count ? from->items[0].offset : 0, half = (int64_t)stored_count / 2;
    out->items = arena_alloc_array(a, 1, sizeof *out->items);
    out->items[0] = (struct range){.begin = begin, .end = begin < half ? half : (int64_t)stored_count};  // in two pieces
    out->count = out->items[0].begin < out->items[0].end;
    *exhausted = out->items[0].end == (int64_t)stored_count;
    return STATUS_OK;
}
static enum status stored_splits(struct source *s, struct arena *a, const struct ranges *ranges, struct splits *out, struct error *e) {
    (void)s, (void)e;
    const struct range *r = &ranges->items[0];
    enum { MORSEL = 70 };
    out->items = arena_alloc_array(a, (size_t)(r->end - r->begin) / MORSEL + 1, sizeof *out->items);
    for (int64_t at = r->begin; at < r->end; at += MORSEL, out->count++) {
        out->items[out->count] = (struct split){.range = {.begin = at, .end = at + MORSEL < r->end ? at + MORSEL : r->end}, .sequence = out->count};
    }
    return STATUS_OK;
}
static void stored_close(struct source *s) { (void)s; }
static const struct source_class stored_class = {.name = "stored", .open = stored_open, .latest = stored_latest, .splits = stored_splits,
                                                 .read = read_rows, .close = stored_close};
static const struct connector stored_connector = {.name = "stored", .source = &stored_class};

static enum status stored_open_class(const struct source_request *r, struct source **out, struct error *e) {
    TRY(stored_open(r, out, e));
    (*out)->class = &stored_class;
    return STATUS_OK;
}

static struct plan_node *stored_scan(struct fixture *f) {
    struct plan_node *n = scan_new(f, false);
    static struct source_class class;
    static struct connector connector;
    class = stored_class;
    class.open = stored_open_class;
    connector = stored_connector;
    connector.source = &class;
    n->table->connector = &connector;
    return n;
}

static enum status take_batch(void *context, struct batch *b) { return sink_write(context, 0, b, NULL); }

static char *query_text(struct fixture *f, struct plan_node *root, uint32_t workers, bool ordered, enum status expected) {
    struct taken sink = {.mutex = PTHREAD_MUTEX_INITIALIZER, .order_matters = ordered};
    struct query_run run = {.session = &f->session, .memory = &f->memory, .state_memory = &f->memory, .worker_count = workers};
    struct error e;
    error_clear(&e);
    enum status status = query_execute(&run, root, take_batch, &sink, &e);
    if (status != expected) fail_msg("query: %s: %s", status_name(status), e.message);
    char *text = taken_text(&sink);
    taken_free(&sink);
    return text;
}

static void queries(void **state) {
    (void)state;
    struct fixture f;
    setup(&f);
    enum { COUNT = 1500 };
    struct row *rows = calloc(COUNT, sizeof *rows);
    int64_t most = 0;
    for (size_t i = 0; i < COUNT; i++) {
        rows[i] = random_row(&f, 30);
        if (rows[i].value > most) most = rows[i].value;
    }
    stored_rows = rows;
    stored_count = COUNT;
    struct plan_node *scan = stored_scan(&f);
    char *all = row_lines(rows, 0, COUNT, true);
    for (uint32_t workers = 1; workers <= 4; workers++) {  // file order is kept
        char *text = query_text(&f, scan, workers, true, STATUS_OK);
        assert_string_equal(text, all);
        free(text);
    }
    free(all);
    // WHERE value = (SELECT max(value) …) AND value IN (SELECT value …)
    struct plan_node *top = node_new(&f, PLAN_AGGREGATE, scan), *in = node_new(&f, PLAN_LIMIT, sorted_new(&f, scan)), *list = node_new(&f, PLAN_PROJECT, in);
    top->exprs = arena_alloc_array(&f.arena, 1, sizeof *top->exprs);
    top->exprs[0] = aggregate_of(&f, "max", column_of(&f, scan, 3), false);
    top->expr_count = 1;
    set_attributes(&f, top, top->exprs, 1);
    in->limit = 3;
    list->exprs = arena_alloc_array(&f.arena, 1, sizeof *list->exprs);
    list->exprs[0] = column_of(&f, scan, 3);
    list->expr_count = 1;
    set_attributes(&f, list, list->exprs, 1);
    struct expr *scalar = expr_new(&f.arena, EXPR_SUBQUERY, &type_bigint, true, 0), *member = expr_new(&f.arena, EXPR_IN_SUBQUERY, &type_boolean, true, 1);
    scalar->subquery = top;
    member->subquery = list;
    member->args[0] = column_of(&f, scan, 3);
    struct plan_node *filter = node_new(&f, PLAN_FILTER, scan), *outer = node_new(&f, PLAN_FILTER, filter);
    filter->condition = call(&f, "=", column_of(&f, scan, 3), scalar);
    outer->condition = member;
    struct taken expected = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    for (size_t i = 0; i < COUNT; i++) {
        char *line = row_lines(rows, i, i + 1, true);
        line[strlen(line) - 1] = 0;
        if (rows[i].value == most) taken_add(&expected, line, 1);
        free(line);
    }
    char *want = taken_text(&expected), *text = query_text(&f, outer, 2, false, STATUS_OK);
    assert_string_equal(text, want);
    free(text);
    scalar->subquery = list;  // three rows
    free(query_text(&f, outer, 1, false, STATUS_DATA));
    filter->condition = call(&f, "=", call(&f, "div", column_of(&f, scan, 3), expr_bigint(&f.arena, 0)), expr_bigint(&f.arena, 1));
    free(query_text(&f, outer, 2, false, STATUS_DATA));  // a row that fails ends a query
    free(want);
    taken_free(&expected);
    free(rows);
    teardown(&f);
}

static void static_join(void **state) {
    (void)state;
    struct fixture f;
    setup(&f);
    struct row table[40], rows[500];
    for (size_t i = 0; i < 40; i++) table[i] = random_row(&f, 20);
    stored_rows = table;
    stored_count = 40;
    struct plan_node *scan = scan_new(&f, true), *root = join_new(&f, scan, stored_scan(&f), JOIN_LEFT, true);
    struct machine m;
    machine_init(&m, &f, root, 2);
    for (uint32_t epoch = 0; epoch < 3; epoch++) {
        for (size_t i = 0; i < 500; i++) rows[i] = random_row(&f, 20);
        struct feed_of feed = {scan->table, rows, 500};
        taken_clear(&m.sink);
        machine_run(&m, &feed, 1, false, 50);
        execution_commit(m.execution);
        check_ledger(&m);
        char *expected = naive_join(rows, 500, table, 40, JOIN_LEFT, true), *text = taken_text(&m.sink);
        assert_string_equal(text, expected);
        free(expected);
        free(text);
    }
    machine_release(&m);
    teardown(&f);
}

struct dead_count {
    _Atomic int rows, groups;
    char condition[64];
};
static enum status count_dead_row(void *context, const struct plan_node *node, const char *flow_name, const struct batch *b, uint32_t row,
                                  const struct row_error *why, struct error *e) {
    (void)node, (void)flow_name, (void)b, (void)row, (void)e;
    struct dead_count *d = context;
    if (d->rows++ == 0) snprintf(d->condition, sizeof d->condition, "%s", why->condition);
    return STATUS_OK;
}
static enum status count_dead_group(void *context, const struct plan_node *node, const char *flow_name, const char *key_text, const struct row_error *why,
                                    struct error *e) {
    (void)node, (void)flow_name, (void)e;
    struct dead_count *d = context;
    d->groups++;
    snprintf(d->condition, sizeof d->condition, "%s %s", key_text, why->condition);
    return STATUS_OK;
}

static void dead_rows_and_groups(void **state) {
    (void)state;
    struct fixture f;
    setup(&f);
    struct row rows[100];
    int zeros = 0;
    for (size_t i = 0; i < 100; i++) {
        rows[i] = random_row(&f, 5);
        zeros += rows[i].value == 0;
    }
    struct plan_node *scan = scan_new(&f, true), *project = node_new(&f, PLAN_PROJECT, scan);
    project->exprs = arena_alloc_array(&f.arena, 1, sizeof *project->exprs);
    project->exprs[0] = call(&f, "div", expr_bigint(&f.arena, 100), column_of(&f, scan, 3));
    project->expr_count = 1;
    set_attributes(&f, project, project->exprs, 1);
    struct dead_count dead = {0};
    struct machine m;
    struct feed_of feed = {scan->table, rows, 100};
    machine_init(&m, &f, project, 2);
    m.execution->config.dead = (struct dead_handler){.row = count_dead_row, .group = count_dead_group, .context = &dead};
    machine_run(&m, &feed, 1, false, 9);
    check_ledger(&m);
    assert_int_equal(dead.rows, zeros);
    assert_int_equal(m.sink.count, 100 - zeros);
    if (zeros) assert_string_equal(dead.condition, "DIVIDE_BY_ZERO");
    machine_release(&m);
    // a group that overflows is dead, and returns when a row is taken back
    struct plan_node *root = aggregate_new(&f, scan, 1, true, false);
    root->expr_count = root->attribute_count = 3;  // key, count, sum
    root->inputs[0]->changes = CHANGES_RETRACT;
    machine_init(&m, &f, root, 2);
    m.execution->config.dead = (struct dead_handler){.row = count_dead_row, .group = count_dead_group, .context = &dead};
    struct row big[2] = {{.has_key = true, .key = 7, .text = "x", .value = INT64_MAX, .weight = 1}, {.has_key = true, .key = 7, .text = "x", .value = 1, .weight = 1}};
    const char *expected[] = {"7|1|9223372036854775807\n", "", "7|1|9223372036854775807\n"};
    for (uint32_t epoch = 0; epoch < 3; epoch++) {
        if (epoch == 2) big[1].weight = -1;
        struct feed_of one = {scan->table, &big[epoch ? 1 : 0], 1};
        machine_run(&m, &one, 1, false, 9);
        execution_commit(m.execution);
        char *text = taken_text(&m.sink);
        assert_string_equal(text, expected[epoch]);
        free(text);
    }
    assert_int_equal(dead.groups, 1);
    assert_string_equal(dead.condition, "7 ARITHMETIC_OVERFLOW");
    machine_release(&m);
    teardown(&f);
}

static void generated_and_windowed(void **state) {
    (void)state;
    struct fixture f;
    setup(&f);
    struct row rows[3] = {{.has_key = true, .key = 450, .text = "a", .value = 1, .weight = 1}, {.has_key = false, .text = "b", .value = 2, .weight = 1},
                          {.has_key = true, .key = 455, .text = "a", .value = 3, .weight = 1}};
    struct plan_node *scan = scan_new(&f, false), *explode = node_new(&f, PLAN_GENERATE, scan), *window = node_new(&f, PLAN_WINDOW, scan),
                     *sessions = node_new(&f, PLAN_SESSION, scan);
    struct column_builder list;
    struct column *constant = arena_alloc_zeroed(&f.arena, sizeof *constant);
    column_builder_init(&list, &f.arena, type_array(&f.arena, &type_bigint, true));
    int64_t ten = 10;
    column_builder_append_fixed(&list.children[0], &ten);
    column_builder_append_null(&list.children[0]);
    column_builder_end_list(&list);
    assert_int_equal(column_builder_finish(&list, constant), STATUS_OK);
    constant->form = COLUMN_CONSTANT;
    struct expr *array = expr_literal(&f.arena, constant);
    struct attribute *more = arena_alloc_array(&f.arena, 6, sizeof *more);
    memcpy(more, scan->attributes, COLUMNS * sizeof *more);
    more[4] = (struct attribute){.name = "pos", .type = &type_int};
    more[5] = (struct attribute){.name = "col", .type = &type_bigint};
    explode->generator = GENERATE_POSEXPLODE;
    explode->exprs = &array;
    explode->expr_count = 1;
    explode->attributes = more;
    explode->attribute_count = 6;
    const struct field fields[2] = {{"start", &type_timestamp, true}, {"end", &type_timestamp, true}};
    struct attribute *timed = arena_alloc_array(&f.arena, 5, sizeof *timed);
    memcpy(timed, scan->attributes, COLUMNS * sizeof *timed);
    timed[4] = (struct attribute){.name = "window", .type = type_struct(&f.arena, fields, 2)};
    struct expr *time = expr_column(&f.arena, 0, &type_timestamp, true), *session_exprs[2] = {column_of(&f, scan, 1), time};
    window->exprs = &time;
    window->expr_count = 1;
    window->window_us = 100;
    window->slide_us = 50;
    sessions->exprs = session_exprs;
    sessions->expr_count = 2;
    sessions->key_count = 1;
    sessions->gap_us = 5;
    window->attributes = sessions->attributes = timed;
    window->attribute_count = sessions->attribute_count = 5;
    struct plan_node *roots[] = {explode, window, sessions};
    const char *expected[] = {
        "450|a|0|1|0|10\n450|a|0|1|1|NULL\n455|a|0|3|0|10\n455|a|0|3|1|NULL\nNULL|b|0|2|0|10\nNULL|b|0|2|1|NULL\n",
        "450|a|0|1|400..500\n450|a|0|1|450..550\n455|a|0|3|400..500\n455|a|0|3|450..550\n",
        "450|a|0|1|450..460\n455|a|0|3|450..460\n",
    };
    for (uint32_t k = 0; k < 3; k++) {
        struct machine m;
        struct feed_of feed = {scan->table, rows, 3};
        machine_init(&m, &f, roots[k], 2);
        machine_run(&m, &feed, 1, true, 2);
        check_ledger(&m);
        char *text = taken_text(&m.sink);
        assert_string_equal(text, expected[k]);
        free(text);
        machine_release(&m);
    }
    teardown(&f);
}

// The n-th allocation of a run fails: an error, a clean rollback, no leak, and the same run succeeds afterwards.
static void refused_memory(void **state) {
    (void)state;
    struct fixture f;
    setup(&f);
    struct row rows[300];
    for (size_t i = 0; i < 300; i++) rows[i] = random_row(&f, 9);
    struct plan_node *scan = scan_new(&f, true), *groups = aggregate_new(&f, scan, 3, false, false), *top = node_new(&f, PLAN_LIMIT, groups),
                     *root = node_new(&f, PLAN_CONSOLIDATE, top);
    uint32_t key[2] = {0, 1};
    top->limit = 20;
    root->unique_key = key;
    root->unique_key_count = 2;
    uint32_t failures = 0;
    for (int64_t countdown = 1; countdown < 1200; countdown += 1 + countdown / 40) {
        struct machine m;
        struct error e;
        error_clear(&e);
        machine_init(&m, &f, root, 1);
        struct rows_source source = {.base = {.class = &rows_class}, .memory = &f.memory, .rows = rows};
        struct split split[2] = {{.range = {.begin = 0, .end = 150}}, {.range = {.begin = 150, .end = 300}, .sequence = 1}};
        struct memory small;  // refuses; the source's own batches do not count
        memory_init(&small, "small", &f.memory, 0);
        m.execution->memory = &small;
        struct epoch_input input = {.table = scan->table, .source = &source.base, .splits = {.items = split, .count = 2}};
        struct epoch_run run = {.epoch = 1, .inputs = &input, .input_count = 1};
        small.fail_countdown = countdown;
        enum status status = execution_run(m.execution, &m.crew, &run, &e);
        small.fail_countdown = -1;
        if (status != STATUS_OK) {
            failures++;
            assert_int_equal(status, STATUS_NO_MEMORY);
            assert_int_equal(execution_rollback(m.execution, &e), STATUS_OK);
            taken_clear(&m.sink);
            run.epoch = 2;
            assert_int_equal(execution_run(m.execution, &m.crew, &run, &e), STATUS_OK);
        }
        execution_commit(m.execution);
        assert_true(m.sink.count == 20);
        m.execution->memory = &f.memory;
        machine_release(&m);
        assert_int_equal(memory_used(&small), 0);
    }
    assert_true(failures > 20);
    teardown(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(narrow_rows),          cmocka_unit_test(batch_aggregates), cmocka_unit_test(materialized_aggregates),
        cmocka_unit_test(first_rows),           cmocka_unit_test(batch_sort_and_limit), cmocka_unit_test(joins),
        cmocka_unit_test(consolidated),         cmocka_unit_test(queries),          cmocka_unit_test(static_join),
        cmocka_unit_test(dead_rows_and_groups), cmocka_unit_test(generated_and_windowed), cmocka_unit_test(refused_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
