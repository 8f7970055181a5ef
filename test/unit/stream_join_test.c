// SPDX-License-Identifier: Apache-2.0
// stream_join_test.c: the join of two streams against a naive twin over all rows at once: every kind, bounded by a range, by equal times, and not
// bounded; in streaming tables (each row once) and kept up to date (rows taken back); with 1, 2 and 4 workers, whose rows must be the same down
// to their order; with rollbacks; with a replica that has only the log; snapshots, whole and broken; late rows, rows without a time, conditions
// that fail; and that the state ends when its time does.
#include "exec_support.h"
#include "plan/resolver.h"

enum { EPOCHS = 10, PER_EPOCH = 60, WIDTH = 4, SECOND = 1000000, SPAN = 20 * SECOND, DELAY = 60 * SECOND };

struct event {
    bool has_key, has_time;
    int64_t key, time;
    char text[32];
    int64_t value;
};

struct events_source {
    struct source base;
    struct memory *memory;
    const struct event *events;
    uint32_t index;
};

static enum status read_events(struct source *s, const struct split *split, uint32_t worker, const uint64_t *wanted, emit_batch emit, void *context,
                               const struct dead_row_sink *dead, struct error *e) {
    (void)worker, (void)wanted, (void)dead;
    struct events_source *self = (struct events_source *)(void *)s;
    uint32_t count = (uint32_t)(split->range.end - split->range.begin);
    struct batch *b = batch_new(self->memory, WIDTH);
    if (!b) return error_no_memory(e);
    const struct type *const types[WIDTH] = {&type_bigint, &type_timestamp, &type_string, &type_bigint};
    enum status status = STATUS_OK;
    for (uint32_t c = 0; c < WIDTH && status == STATUS_OK; c++) status = column_make(&b->arena, types[c], count, c < 2, &b->columns[c]);
    for (uint32_t i = 0; i < count && status == STATUS_OK; i++) {
        const struct event *v = &self->events[split->range.begin + i];
        ((int64_t *)b->columns[0].values)[i] = v->key;
        ((int64_t *)b->columns[1].values)[i] = v->time;
        if (!v->has_key) bitmap_clear(b->columns[0].validity, i);
        if (!v->has_time) bitmap_clear(b->columns[1].validity, i);
        const char *text = arena_strdup(&b->arena, v->text);
        if (!text) status = STATUS_NO_MEMORY;
        else ((struct string_view *)b->columns[2].values)[i] = string_view_of(text, strlen(text));
        ((int64_t *)b->columns[3].values)[i] = v->value;
    }
    b->row_count = b->selected_count = count;
    b->sequence = split->sequence;
    b->origin = (struct origin){.source = self->index, .first_offset = split->range.begin};
    status = status != STATUS_OK ? error_no_memory(e) : count ? emit(context, b) : STATUS_OK;
    batch_unref(b);
    return status;
}

static const struct source_class events_class = {.name = "events", .read = read_events};

// --- plans ---

static struct expr *interval_of(struct fixture *f, int64_t us) {
    struct column *c = arena_alloc(&f->arena, sizeof *c);
    *c = *expr_bigint(&f->arena, us)->literal;
    c->type = &type_interval_dt;
    return expr_literal(&f->arena, c);
}

static struct plan_node *stream_new(struct fixture *f, bool watermark) {
    static const char *const names[] = {"key", "time", "text", "value"};
    const struct type *types[] = {&type_bigint, &type_timestamp, &type_string, &type_bigint};
    struct plan_node *n = node_new(f, PLAN_SCAN, NULL);
    n->streaming = true;
    n->attribute_count = WIDTH;
    n->attributes = arena_alloc_array(&f->arena, WIDTH, sizeof *n->attributes);
    for (uint32_t i = 0; i < WIDTH; i++) n->attributes[i] = (struct attribute){.name = names[i], .type = types[i], .nullable = true};
    n->table = arena_alloc_zeroed(&f->arena, sizeof *n->table);
    n->table->name = "events";
    assert_int_equal(plan_derive(&f->arena, n), STATUS_OK);
    if (!watermark) return n;
    struct plan_node *mark = node_new(f, PLAN_WATERMARK, n);
    mark->watermark_column = 1;
    mark->delay_us = DELAY;
    assert_int_equal(plan_derive(&f->arena, mark), STATUS_OK);
    return mark;
}

enum bounding { BY_NOTHING, BY_RANGE, BY_TIME };
struct shape {
    enum join_kind kind;
    enum bounding bounding;
    bool current, rest, no_keys, fails;
};

static struct expr *right_column(struct fixture *f, uint32_t ordinal, const struct type *type) { return expr_column(&f->arena, WIDTH + ordinal, type, true); }

static struct plan_node *stream_join_new(struct fixture *f, const struct shape *s) {
    struct plan_node *left = stream_new(f, s->bounding != BY_NOTHING), *right = stream_new(f, s->bounding != BY_NOTHING);
    struct plan_node *n = join_new(f, left, right, s->kind, false);
    n->streaming = true;
    n->emits_closed = !s->current;
    n->join_key_count = 0;
    n->left_keys = arena_alloc_array(&f->arena, 2, sizeof *n->left_keys);
    n->right_keys = arena_alloc_array(&f->arena, 2, sizeof *n->right_keys);
    for (uint32_t k = 0; k < 2; k++) {
        if (k == 0 ? s->no_keys : s->bounding != BY_TIME) continue;
        n->left_keys[n->join_key_count] = column_of(f, left, k);
        n->right_keys[n->join_key_count++] = column_of(f, right, k);
    }
    if (s->bounding == BY_RANGE) {  // right.time BETWEEN left.time AND left.time + 30 seconds
        struct expr *left_time = column_of(f, left, 1), *right_time = right_column(f, 1, &type_timestamp);
        n->condition = expr_and(&f->arena, call(f, ">=", right_time, left_time), call(f, "<=", right_time, call(f, "+", left_time, interval_of(f, 30 * SECOND))));
    }
    if (s->rest) {
        n->condition = expr_and(&f->arena, n->condition, call(f, "<", column_of(f, left, 3), right_column(f, 3, &type_bigint)));
        n->condition = expr_and(&f->arena, n->condition, call(f, ">", column_of(f, left, 3), expr_bigint(&f->arena, 2)));
        n->condition = expr_and(&f->arena, n->condition, call(f, "<", right_column(f, 3, &type_bigint), expr_bigint(&f->arena, 18)));
    }
    if (s->fails) {
        struct expr *remainder = call(f, "%", column_of(f, left, 3), right_column(f, 3, &type_bigint));
        n->condition = expr_and(&f->arena, n->condition, call(f, ">=", remainder, expr_bigint(&f->arena, 0)));
    }
    assert_int_equal(plan_derive(&f->arena, n), STATUS_OK);
    assert_non_null(n->join_time);
    return n;
}

// --- the machine ---

struct line {
    uint64_t sequence;
    uint32_t row;
    int weight;
    char *text;
};

struct joiner {
    struct fixture *fixture;
    struct plan_node *root;
    struct execution *execution;
    struct execution_config config;
    struct output output;
    struct crew crew;
    pthread_mutex_t mutex;
    struct line *lines;
    size_t line_count, line_capacity;
    uint64_t epoch;
    uint64_t late, null_time, dead;   // as handed out; of committed epochs and the running one
    struct watermark_mark marks[2];
    uint32_t mark_count;
};

static enum status take_lines(void *context, uint32_t worker, struct batch *b, struct error *e) {
    (void)worker, (void)e;
    struct joiner *j = context;
    struct rows rows = batch_rows(b);
    pthread_mutex_lock(&j->mutex);
    for (uint32_t i = 0; i < rows.count; i++) {
        char text[512] = "", one[128];
        for (uint32_t c = 0; c < b->column_count; c++) {
            cell(&b->columns[c], rows_at(&rows, i), one, sizeof one);
            size_t at = strlen(text);
            snprintf(text + at, sizeof text - at, "%s%s", c ? "|" : "", one);
        }
        if (j->line_count == j->line_capacity) {
            j->line_capacity = j->line_capacity ? j->line_capacity * 2 : 256;
            j->lines = realloc(j->lines, j->line_capacity * sizeof *j->lines);
        }
        j->lines[j->line_count++] = (struct line){.sequence = j->epoch << 50 ^ b->sequence, .row = i, .weight = batch_weight(b, rows_at(&rows, i)), .text = strdup(text)};
    }
    pthread_mutex_unlock(&j->mutex);
    return STATUS_OK;
}

static enum status take_late(void *context, const struct plan_node *node, const char *flow_name, const struct plan_node *input, const struct batch *b, uint32_t row,
                             int64_t time_us, int64_t watermark_us, struct error *e) {
    (void)flow_name, (void)e;
    struct joiner *j = context;
    assert_ptr_equal(input, node->inputs[b->origin.source]);
    pthread_mutex_lock(&j->mutex);
    if (time_us == NO_WATERMARK) {
        j->null_time++;
        assert_false(column_is_valid(&b->columns[1], row));
    } else {
        j->late++;
        assert_true(time_us <= watermark_us && column_int64(&b->columns[1], row) == time_us);
    }
    pthread_mutex_unlock(&j->mutex);
    return STATUS_OK;
}

static enum status take_dead(void *context, const struct plan_node *node, const char *flow_name, const struct batch *b, uint32_t row, const struct row_error *why,
                             struct error *e) {
    (void)node, (void)flow_name, (void)e;
    struct joiner *j = context;
    assert_true(row < b->row_count && b->origin.source < 2);
    assert_string_equal(why->condition, "REMAINDER_BY_ZERO");
    pthread_mutex_lock(&j->mutex);
    j->dead++;
    pthread_mutex_unlock(&j->mutex);
    return STATUS_OK;
}

static void joiner_init(struct joiner *j, struct fixture *f, struct plan_node *root, uint32_t workers) {
    struct error e;
    error_clear(&e);
    memset(j, 0, sizeof *j);
    pthread_mutex_init(&j->mutex, NULL);
    j->fixture = f;
    j->root = root;
    j->output = (struct output){.root = root, .flow_name = "flow", .write = take_lines, .context = j};
    j->config = (struct execution_config){.session = &f->session, .memory = &f->memory, .state_memory = &f->memory, .worker_count = workers, .outputs = &j->output,
                                          .output_count = 1, .late = {.row = take_late, .context = j}, .dead = {.row = take_dead, .context = j}, .max_ahead_us = INT64_MAX};
    if (execution_new(&j->config, &j->execution, &e) != STATUS_OK) fail_msg("execution_new: %s", e.message);
    assert_int_equal(crew_init(&j->crew, &f->memory, workers, &e), STATUS_OK);
}

static void cut_lines(struct joiner *j, size_t count) {
    for (size_t i = count; i < j->line_count; i++) free(j->lines[i].text);
    j->line_count = count;
}

static void joiner_release(struct joiner *j) {
    crew_release(&j->crew);
    execution_free(j->execution);
    cut_lines(j, 0);
    free(j->lines);
}

// Marks of an epoch that begins now, as stream/ would take them.
static bool take_marks(struct joiner *j, bool *could_close) {
    struct watermark_policy policy = {.idle_us = INT64_MAX};
    struct watermark_mark *marks;
    int64_t next_us;
    uint32_t count;
    assert_int_equal(execution_watermarks(j->execution, &policy, &j->fixture->arena, &marks, &count, &next_us), STATUS_OK);
    assert_true(count == 0 || count == 2);
    memcpy(j->marks, marks, count * sizeof *marks);
    j->mark_count = count;
    *could_close = execution_could_close(j->execution, marks, count, "flow");
    return count > 0;
}

static struct dataset *table_of(const struct plan_node *n) { return n->kind == PLAN_SCAN ? n->table : n->inputs[0]->table; }

// With the marks that were taken.
static enum status try_run(struct joiner *j, const struct event *const sides[2], const size_t counts[2], uint32_t morsel, struct error *e) {
    struct epoch_input inputs[2];
    struct events_source sources[2];
    struct split splits[2][256];
    for (uint32_t side = 0; side < 2; side++) {
        uint32_t count = (uint32_t)((counts[side] + morsel - 1) / morsel);
        assert_true(count <= 256);
        for (uint32_t k = 0; k < count; k++) {
            size_t end = (size_t)(k + 1) * morsel;
            splits[side][k] = (struct split){.range = {.begin = (int64_t)k * morsel, .end = (int64_t)(end < counts[side] ? end : counts[side])}, .sequence = k};
        }
        sources[side] = (struct events_source){.base = {.class = &events_class}, .memory = &j->fixture->memory, .events = sides[side], .index = side};
        inputs[side] = (struct epoch_input){.table = table_of(j->root->inputs[side]), .source = &sources[side].base, .splits = {.items = splits[side], .count = count}};
    }
    error_clear(e);
    struct epoch_run run = {.epoch = ++j->epoch, .now_us = 1, .inputs = inputs, .input_count = 2, .watermarks = j->marks, .watermark_count = j->mark_count};
    return execution_run(j->execution, &j->crew, &run, e);
}

static enum status try_epoch(struct joiner *j, const struct event *const sides[2], const size_t counts[2], uint32_t morsel, struct error *e) {
    bool could_close;
    take_marks(j, &could_close);
    return try_run(j, sides, counts, morsel, e);
}

static void run_epoch(struct joiner *j, const struct event *const sides[2], const size_t counts[2], uint32_t morsel) {
    struct error e;
    if (try_epoch(j, sides, counts, morsel, &e) != STATUS_OK) fail_msg("execution_run: %s", e.message);
}

// Rolls an epoch back: nothing is left of it.
static void run_in_vain(struct joiner *j, const struct event *const sides[2], const size_t counts[2]) {
    size_t before_size, after_size, sunk = j->line_count;
    uint64_t late = j->late, null_time = j->null_time, dead = j->dead;
    char *before = snapshot_of(j->execution, &before_size);
    run_epoch(j, sides, counts, 23);
    struct error e;
    assert_int_equal(execution_rollback(j->execution, &e), STATUS_OK);
    char *after = snapshot_of(j->execution, &after_size);
    assert_int_equal(before_size, after_size);
    assert_memory_equal(before, after, before_size);
    free(before);
    free(after);
    cut_lines(j, sunk);
    j->epoch--;
    j->late = late, j->null_time = null_time, j->dead = dead;
}

static int line_place(const void *a, const void *b) {
    const struct line *x = a, *y = b;
    if (x->sequence != y->sequence) return x->sequence < y->sequence ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

// Rows with their places: the same whatever the number of workers.
static void assert_same_lines(struct joiner *a, struct joiner *b) {
    assert_int_equal(a->line_count, b->line_count);
    qsort(a->lines, a->line_count, sizeof *a->lines, line_place);
    qsort(b->lines, b->line_count, sizeof *b->lines, line_place);
    for (size_t i = 0; i < a->line_count; i++) {
        assert_string_equal(a->lines[i].text, b->lines[i].text);
        assert_true(a->lines[i].sequence == b->lines[i].sequence && a->lines[i].row == b->lines[i].row && a->lines[i].weight == b->lines[i].weight);
    }
}

// What the rows come to, weights applied.
static char *content_of(struct joiner *j) {
    struct taken s = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    for (int sign = 1; sign >= -1; sign -= 2) {
        for (size_t i = 0; i < j->line_count; i++) {
            if (j->lines[i].weight == sign) taken_add(&s, j->lines[i].text, sign);
        }
    }
    char *text = taken_text(&s);
    taken_free(&s);
    return text;
}

static void check_fates(struct joiner *j) {
    struct ledger_line *lines;
    uint32_t count;
    uint64_t late = 0, null_time = 0, dead = 0;
    assert_int_equal(execution_ledger(j->execution, &j->fixture->arena, &lines, &count), STATUS_OK);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(lines[i].input, lines[i].passed + lines[i].filtered + lines[i].absorbed + lines[i].merged + lines[i].late + lines[i].dead + lines[i].null_time);
        late += lines[i].late, null_time += lines[i].null_time, dead += lines[i].dead;
    }
    assert_int_equal(lines[count - 1].made, j->line_count);
    assert_true(late == j->late && null_time == j->null_time && dead == j->dead);
}

// --- the twin ---

static bool matches(const struct shape *s, const struct event *a, const struct event *b) {
    if (!s->no_keys && (!a->has_key || !b->has_key || a->key != b->key)) return false;
    if (s->bounding != BY_NOTHING && (!a->has_time || !b->has_time)) return false;
    if (s->bounding == BY_TIME && a->time != b->time) return false;
    if (s->bounding == BY_RANGE && (b->time < a->time || b->time > a->time + 30 * SECOND)) return false;
    return !s->rest || (a->value < b->value && a->value > 2 && b->value < 18);
}

// A row that its own condition shuts out leaves for good before its time is asked for.
static bool is_kept_aside(const struct shape *s, const struct event *v, uint32_t side) {
    bool shut_out = s->rest && !(side ? v->value < 18 : v->value > 2);
    bool keeps = s->kind == JOIN_FULL || (side ? s->kind == JOIN_RIGHT : s->kind == JOIN_LEFT || s->kind == JOIN_ANTI);
    bool alone = keeps && (shut_out || (s->current && ((!s->no_keys && !v->has_key) || (s->bounding == BY_TIME && !v->has_time))));
    return s->bounding != BY_NOTHING && !v->has_time && !alone;
}

static void print_event(const struct event *v, char *out, size_t size) {
    char key[24] = "NULL", time[24] = "NULL";
    if (v->has_key) snprintf(key, sizeof key, "%lld", (long long)v->key);
    if (v->has_time) snprintf(time, sizeof time, "%lld", (long long)v->time);
    snprintf(out, size, "%s|%s|%s|%lld", key, time, v->text, (long long)v->value);
}

static void add_line(struct taken *s, const struct event *a, const struct event *b, bool left_only) {
    char left[128] = "NULL|NULL|NULL|NULL", right[128] = "NULL|NULL|NULL|NULL", line[300];
    if (a) print_event(a, left, sizeof left);
    if (b) print_event(b, right, sizeof right);
    snprintf(line, sizeof line, "%s%s%s", left, left_only ? "" : "|", left_only ? "" : right);
    taken_add(s, line, 1);
}

// Rows at or after `open_us` without a match are still waited for.
static char *twin(const struct shape *s, const struct event *const sides[2], const size_t counts[2], int64_t open_us) {
    struct taken out = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    bool left_only = s->kind == JOIN_SEMI || s->kind == JOIN_ANTI;
    bool *matched = calloc(counts[1] + 1, sizeof *matched);
    for (size_t i = 0; i < counts[0]; i++) {
        const struct event *a = &sides[0][i];
        bool any = false;
        for (size_t k = 0; k < counts[1]; k++) {
            if (!matches(s, a, &sides[1][k])) continue;
            any = matched[k] = true;
            if (!left_only) add_line(&out, a, &sides[1][k], false);
        }
        bool closed = !is_kept_aside(s, a, 0) && a->time < open_us;
        if (s->kind == JOIN_SEMI ? any : !any && closed && (s->kind == JOIN_LEFT || s->kind == JOIN_FULL || s->kind == JOIN_ANTI)) add_line(&out, a, NULL, left_only);
    }
    for (size_t k = 0; k < counts[1]; k++) {
        const struct event *b = &sides[1][k];
        if (!matched[k] && (s->kind == JOIN_RIGHT || s->kind == JOIN_FULL) && !is_kept_aside(s, b, 1) && b->time < open_us) add_line(&out, NULL, b, false);
    }
    char *text = taken_text(&out);
    taken_free(&out);
    free(matched);
    return text;
}

// --- the tests ---

static void make_events(struct fixture *f, struct event *out, size_t count, int64_t begin_us) {
    for (size_t i = 0; i < count; i++) {
        struct row r = random_row(f, 9);
        out[i] = (struct event){.has_key = r.has_key, .has_time = random_below(&f->random, 15) != 0, .key = r.key, .value = r.value,
                                .time = begin_us + (int64_t)random_below(&f->random, SPAN / SECOND) * SECOND};
        snprintf(out[i].text, sizeof out[i].text, "%s", r.text);
    }
}

static void assert_content(struct joiner *j, const struct shape *s, const struct event *const sides[2], const size_t counts[2], int64_t open_us) {
    char *expected = twin(s, sides, counts, open_us), *got = content_of(j);
    if (strcmp(expected, got) != 0) fail_msg("kind %d bounding %d current %d rest %d no keys %d: expected\n%s\ngot\n%s", (int)s->kind, (int)s->bounding, s->current, s->rest, s->no_keys, expected, got);
    free(expected);
    free(got);
}

static void break_snapshots(struct fixture *f, struct joiner *from, struct joiner *to, const struct event *const sides[2], const size_t counts[2]) {
    size_t size;
    struct error e;
    error_clear(&e);
    char *bytes = snapshot_of(from->execution, &size);
    struct reader in = reader_of(bytes, size);
    if (execution_restore(to->execution, &in, &e) != STATUS_OK) fail_msg("%s", e.message);
    assert_same_state(from->execution, to->execution);
    uint32_t refused = 0;
    for (uint32_t k = 0; k < 200; k++) {
        char *broken = malloc(size);
        memcpy(broken, bytes, size);
        size_t cut = random_below(&f->random, 3) ? size : (size_t)random_below(&f->random, size);
        for (uint32_t flips = 0; flips < 2; flips++) broken[random_below(&f->random, size)] = (char)random_next(&f->random);
        in = reader_of(broken, cut);
        enum status status = execution_restore(to->execution, &in, &e);
        refused += status != STATUS_OK;
        if (status == STATUS_OK) {  // other values, but rows
            (void)try_epoch(to, sides, counts, 50, &e);
            assert_int_equal(execution_rollback(to->execution, &e), STATUS_OK);
        }
        free(broken);
    }
    assert_true(refused > 20);
    free(bytes);
}

// A shape over some epochs, by several machines at once.
static void run_shape(struct fixture *f, const struct shape *s, bool breaks) {
    enum { MACHINES = 3, ALL = (EPOCHS + 2) * PER_EPOCH };
    struct event *events[2] = {calloc(ALL, sizeof **events), calloc(ALL, sizeof **events)};
    const struct event *all[2] = {events[0], events[1]};
    struct plan_node *root = stream_join_new(f, s);
    struct joiner m[MACHINES], replica, restored;
    size_t counts[2] = {0, 0};
    for (uint32_t k = 0; k < MACHINES; k++) joiner_init(&m[k], f, root, 1u << k);
    joiner_init(&replica, f, root, 1);
    joiner_init(&restored, f, root, 2);
    int64_t end_us = (int64_t)EPOCHS * SPAN;
    for (uint32_t epoch = 0; epoch < EPOCHS + 2; epoch++) {
        bool closer = epoch >= EPOCHS;  // rows far ahead, then none
        const struct event *sides[2] = {events[0] + counts[0], events[1] + counts[1]};
        size_t some[2];
        for (uint32_t side = 0; side < 2; side++) {
            some[side] = closer ? epoch == EPOCHS : (size_t)random_below(&f->random, PER_EPOCH);
            make_events(f, events[side] + counts[side], some[side], (int64_t)epoch * SPAN);
            if (closer && some[side]) events[side][counts[side]] = (struct event){.has_key = true, .has_time = true, .key = 100 + side, .time = end_us + 10 * DELAY, .text = "end", .value = 5};
            counts[side] += some[side];
        }
        for (uint32_t k = 0; k < MACHINES; k++) {
            if (random_below(&f->random, 3) == 0) run_in_vain(&m[k], sides, some);
            run_epoch(&m[k], sides, some, 7 + 13 * k);
            if (k == 0) copy_changes(m[k].execution, replica.execution);
            execution_commit(m[k].execution);
            check_fates(&m[k]);
            if (k) assert_same_state(m[0].execution, m[k].execution);
        }
        assert_same_state(m[0].execution, replica.execution);
        if (s->current && !s->fails) assert_content(&m[0], s, all, counts, INT64_MAX);
        if (breaks && epoch == EPOCHS / 2) break_snapshots(f, &m[0], &restored, sides, some);
    }
    if (!s->fails && !s->current) assert_content(&m[0], s, all, counts, s->bounding == BY_NOTHING ? INT64_MAX : end_us + DELAY);
    for (uint32_t k = 1; k < MACHINES; k++) assert_same_lines(&m[0], &m[k]);
    uint64_t rows;
    execution_state_bytes(m[0].execution, NULL, &rows);
    if (s->bounding != BY_NOTHING) assert_true(rows <= 2);  // the two of the end
    else assert_true(rows > 0);
    if (s->fails) assert_true(m[0].dead > 0);
    assert_true(m[0].line_count > 0 && (s->bounding == BY_NOTHING || s->current || m[0].null_time > 0));
    assert_int_equal(m[0].late, 0);
    for (uint32_t k = 0; k < MACHINES; k++) joiner_release(&m[k]);
    joiner_release(&replica);
    joiner_release(&restored);
    free(events[0]);
    free(events[1]);
}

static const enum join_kind closing_kinds[] = {JOIN_INNER, JOIN_LEFT, JOIN_RIGHT, JOIN_FULL, JOIN_SEMI};
static const enum join_kind current_kinds[] = {JOIN_INNER, JOIN_LEFT, JOIN_RIGHT, JOIN_FULL, JOIN_SEMI, JOIN_ANTI};

static void streaming_tables(void **state) {
    (void)state;
    struct fixture f;
    setup(&f);
    for (size_t k = 0; k < sizeof closing_kinds / sizeof *closing_kinds; k++) {
        for (int rest = 0; rest < 2; rest++) {
            run_shape(&f, &(struct shape){.kind = closing_kinds[k], .bounding = BY_RANGE, .rest = rest}, true);
            run_shape(&f, &(struct shape){.kind = closing_kinds[k], .bounding = BY_TIME, .rest = rest}, false);
        }
    }
    run_shape(&f, &(struct shape){.kind = JOIN_INNER, .bounding = BY_NOTHING}, false);
    teardown(&f);
}

static void materialized_views(void **state) {
    (void)state;
    struct fixture f;
    setup(&f);
    for (size_t k = 0; k < sizeof current_kinds / sizeof *current_kinds; k++) {
        run_shape(&f, &(struct shape){.kind = current_kinds[k], .current = true}, true);
        run_shape(&f, &(struct shape){.kind = current_kinds[k], .current = true, .rest = true, .bounding = BY_RANGE}, false);
        run_shape(&f, &(struct shape){.kind = current_kinds[k], .current = true, .bounding = BY_TIME}, false);
        run_shape(&f, &(struct shape){.kind = current_kinds[k], .current = true, .rest = true, .no_keys = true}, false);
    }
    teardown(&f);
}

static void failing_conditions(void **state) {
    (void)state;
    struct fixture f;
    setup(&f);
    for (size_t k = 0; k < sizeof closing_kinds / sizeof *closing_kinds; k++) {
        run_shape(&f, &(struct shape){.kind = closing_kinds[k], .bounding = BY_RANGE, .fails = true}, false);
        run_shape(&f, &(struct shape){.kind = closing_kinds[k], .current = true, .fails = true}, false);
    }
    teardown(&f);
}

static struct event event_at(int64_t key, int64_t second, int64_t value) {
    struct event v = {.has_key = true, .has_time = true, .key = key, .time = second * SECOND, .value = value};
    snprintf(v.text, sizeof v.text, "k%lld", (long long)key);
    return v;
}

static void commit_epoch(struct joiner *j, const struct event *left, size_t left_count, const struct event *right, size_t right_count) {
    const struct event *sides[2] = {left, right};
    size_t counts[2] = {left_count, right_count};
    run_epoch(j, sides, counts, 100);
    execution_commit(j->execution);
    check_fates(j);
}

// Left join, right within 30 s after left, delay 60 s: a left row without a match leaves at watermark = time + 30.001 s, and once.
static void when_rows_leave(void **state) {
    (void)state;
    struct fixture f;
    bool close;
    setup(&f);
    struct shape s = {.kind = JOIN_LEFT, .bounding = BY_RANGE};
    struct joiner j;
    joiner_init(&j, &f, stream_join_new(&f, &s), 2);
    assert_true(j.root->join_time->bounded[0] && j.root->join_time->bounded[1]);
    assert_int_equal(j.root->join_time->delay_us[0], 30 * SECOND + 1000);
    assert_int_equal(j.root->join_time->delay_us[1], 1000);
    struct event a[] = {event_at(1, 1000, 1), event_at(2, 1000, 2)}, far[] = {event_at(3, 1090, 3)}, edge[] = {event_at(4, 1091, 4)};
    commit_epoch(&j, a, 2, a, 1);
    assert_int_equal(j.line_count, 1);
    commit_epoch(&j, far, 1, far, 1);  // watermark 1030: a right row of 1030 may still come … and just does not
    take_marks(&j, &close);
    assert_int_equal(j.marks[0].close_us, 1030 * SECOND);
    assert_true(close);  // the right row of 1000 need not be kept
    commit_epoch(&j, NULL, 0, NULL, 0);
    assert_int_equal(j.line_count, 2);
    take_marks(&j, &close);
    assert_false(close);
    commit_epoch(&j, edge, 1, edge, 1);
    assert_int_equal(j.line_count, 3);
    take_marks(&j, &close);
    assert_true(close);
    commit_epoch(&j, NULL, 0, NULL, 0);
    assert_int_equal(j.line_count, 4);
    assert_string_equal(j.lines[3].text, "2|1000000000|k2|2|NULL|NULL|NULL|NULL");
    take_marks(&j, &close);
    assert_false(close);
    struct event late[] = {event_at(2, 1029, 5), event_at(2, 1032, 6)};  // late is 1031, of the epoch before
    commit_epoch(&j, late, 2, late, 2);
    assert_int_equal(j.late, 2);
    assert_int_equal(j.line_count, 5);  // the second with itself
    joiner_release(&j);
    teardown(&f);
}

// What a join hands on is behind its input by what the range lets rows wait.
static void watermark_after(void **state) {
    (void)state;
    struct fixture f;
    bool close;
    setup(&f);
    struct shape s = {.kind = JOIN_INNER, .bounding = BY_RANGE};
    struct plan_node *join = stream_join_new(&f, &s), *above = node_new(&f, PLAN_FILTER, join);
    above->condition = call(&f, ">=", column_of(&f, join, 3), expr_bigint(&f.arena, 0));
    assert_int_equal(plan_derive(&f.arena, above), STATUS_OK);
    struct joiner j;
    joiner_init(&j, &f, above, 1);
    j.root = join;
    struct event a[] = {event_at(1, 1000, 1)};
    const struct event *sides[2] = {a, a};
    run_epoch(&j, sides, (size_t[2]){1, 1}, 10);
    execution_commit(j.execution);
    take_marks(&j, &close);
    const struct operator *op = execution_operator(j.execution, join), *user = execution_operator(j.execution, above);
    assert_int_equal(op->close_us, 940 * SECOND);
    assert_int_equal(op->late_us, NO_WATERMARK);
    assert_int_equal(user->close_us, 910 * SECOND - 1000);
    assert_int_equal(user->late_us, NO_WATERMARK);
    joiner_release(&j);
    teardown(&f);
}

// One key: every row of a side with every row of the other, many more pairs than a batch holds.
static void many_pairs(void **state) {
    (void)state;
    enum { EACH = 260 };
    struct fixture f;
    setup(&f);
    struct event *events[2] = {calloc(EACH, sizeof **events), calloc(EACH, sizeof **events)};
    const struct event *all[2] = {events[0], events[1]};
    for (size_t k = 0; k < sizeof current_kinds / sizeof *current_kinds; k++) {
        struct shape s = {.kind = current_kinds[k], .current = true, .rest = true};
        struct joiner j;
        joiner_init(&j, &f, stream_join_new(&f, &s), 2);
        for (uint32_t side = 0; side < 2; side++) {
            make_events(&f, events[side], EACH, 0);
            for (uint32_t i = 0; i < EACH; i++) events[side][i].has_key = true, events[side][i].key = 1;
        }
        commit_epoch(&j, all[0], EACH / 2, all[1], EACH / 3);
        commit_epoch(&j, all[0] + EACH / 2, EACH - EACH / 2, all[1] + EACH / 3, EACH - EACH / 3);
        assert_content(&j, &s, all, (size_t[2]){EACH, EACH}, INT64_MAX);
        joiner_release(&j);
    }
    free(events[0]);
    free(events[1]);
    teardown(&f);
}

// What a condition says about time. delay: 0: nothing is bounded.
static void bounds(void **state) {
    (void)state;
    struct fixture f;
    setup(&f);
    struct plan_node *left = stream_new(&f, true), *right = stream_new(&f, true);
    struct expr *a = column_of(&f, left, 1), *b = right_column(&f, 1, &type_timestamp), *five = interval_of(&f, 5 * SECOND), *nine = interval_of(&f, 9 * SECOND);
    const struct {
        struct expr *condition;
        int64_t left_us, right_us;   // INT64_MAX: not bounded
    } cases[] = {
        {call(&f, "<", a, b), INT64_MAX, 0},
        {call(&f, "<=", b, a), 1000, INT64_MAX},
        {call(&f, ">", call(&f, "-", a, five), b), -5 * SECOND, INT64_MAX},
        {call(&f, ">=", call(&f, "+", b, nine), call(&f, "-", a, five)), INT64_MAX, 14 * SECOND + 1000},
        {call(&f, "<", call(&f, "+", five, call(&f, "-", a, nine)), b), INT64_MAX, 4 * SECOND},
        {expr_and(&f.arena, call(&f, "<", b, call(&f, "+", a, five)), call(&f, "<", b, call(&f, "+", a, nine))), 9 * SECOND, INT64_MAX},
        {call(&f, "=", b, call(&f, "+", a, five)), INT64_MAX, INT64_MAX},
        {call(&f, "<", a, a), INT64_MAX, INT64_MAX},
        {call(&f, "<", column_of(&f, left, 0), right_column(&f, 0, &type_bigint)), INT64_MAX, INT64_MAX},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct plan_node *n = join_new(&f, left, right, JOIN_INNER, false);
        n->condition = cases[i].condition;
        assert_int_equal(plan_derive(&f.arena, n), STATUS_OK);
        const struct join_time *t = n->join_time;
        assert_true(t->bounded[0] == (cases[i].left_us != INT64_MAX) && t->bounded[1] == (cases[i].right_us != INT64_MAX));
        if (t->bounded[0]) assert_int_equal(t->delay_us[0], cases[i].left_us);
        if (t->bounded[1]) assert_int_equal(t->delay_us[1], cases[i].right_us);
        int64_t most = t->bounded[0] ? cases[i].left_us : t->bounded[1] ? cases[i].right_us : 0;
        assert_int_equal(t->handed_delay_us, most > 0 ? most : 0);
    }
    struct plan_node *bare = stream_new(&f, false), *n = join_new(&f, left, bare, JOIN_INNER, false);  // no watermark on the right
    n->condition = expr_and(&f.arena, call(&f, "<", b, a), call(&f, "<", a, call(&f, "+", b, five)));
    assert_int_equal(plan_derive(&f.arena, n), STATUS_OK);
    assert_false(n->join_time->bounded[0]);
    assert_true(n->join_time->bounded[1] && n->join_time->has_watermark[0] && !n->join_time->has_watermark[1]);
    assert_int_equal(n->join_time->late_column[0], 1);
    assert_int_equal(n->join_time->late_column[1], PLAN_NO_TIME);
    teardown(&f);
}

// Each allocation of an epoch fails in turn: rolled back, nothing is left of it, and the next attempt goes further.
static void no_memory(void **state) {
    (void)state;
    struct fixture f;
    setup(&f);
    struct shape s = {.kind = JOIN_FULL, .bounding = BY_RANGE, .rest = true};
    struct joiner j;
    struct event a[24], b[24];
    joiner_init(&j, &f, stream_join_new(&f, &s), 1);
    for (uint32_t epoch = 0; epoch < 4; epoch++) {
        make_events(&f, a, 24, epoch * DELAY);
        make_events(&f, b, 24, epoch * DELAY);
        const struct event *sides[2] = {a, b};
        size_t counts[2] = {24, 24}, before_size, after_size, sunk = j.line_count;
        char *before = snapshot_of(j.execution, &before_size);
        uint32_t refused = 0;
        for (int64_t n = 1;; n += 1 + n / 16) {
            struct error e;
            uint64_t late = j.late, null_time = j.null_time;
            bool close;
            take_marks(&j, &close);
            atomic_store(&f.memory.fail_countdown, n);
            enum status status = try_run(&j, sides, counts, 8, &e);
            atomic_store(&f.memory.fail_countdown, -1);
            if (status == STATUS_OK) break;
            assert_int_equal(status, STATUS_NO_MEMORY);
            refused++;
            assert_int_equal(execution_rollback(j.execution, &e), STATUS_OK);
            char *after = snapshot_of(j.execution, &after_size);
            assert_int_equal(before_size, after_size);
            assert_memory_equal(before, after, before_size);
            free(after);
            cut_lines(&j, sunk);
            j.epoch--;
            j.late = late, j.null_time = null_time;
        }
        assert_true(refused > 10);
        free(before);
        execution_commit(j.execution);
        check_fates(&j);
    }
    assert_true(j.line_count > 0);
    joiner_release(&j);
    teardown(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streaming_tables), cmocka_unit_test(materialized_views), cmocka_unit_test(failing_conditions),
        cmocka_unit_test(when_rows_leave),  cmocka_unit_test(watermark_after),
        cmocka_unit_test(no_memory),        cmocka_unit_test(many_pairs),         cmocka_unit_test(bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
