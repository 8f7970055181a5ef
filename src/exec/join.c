// SPDX-License-Identifier: Apache-2.0
// join.c: hash join. The build side is kept (copied, in columns as long as the execution), the probe side streams through:
//
//     build rows  0 1 2 3 …  big columns        table: key → first row;  next[row] → another row with the key
//     probe batch ─► keys ─► candidates (probe row, build row) ─► rest of the condition ─► out, at most 4,096 pairs at a time
//
// In batch the right side is built. Probe rows that come before (both sides from one scan) wait, and finish takes them. In a stream one side
// is static: it is loaded when the first epoch begins, by a query of its own. Keys with a NULL match nothing; a join without keys
// tries every build row. Unmatched build rows (RIGHT, FULL) come out in finish.
#include "column/value.h"
#include "base/checksum.h"
#include "exec/expand.h"
#include "exec/row_store.h"
#include "exec/state_table.h"

enum { NO_ROW = UINT32_MAX };

struct join_self {
    uint32_t build_input;                // 1, unless the left side is the static one
    bool is_static, loaded, built;
    enum join_kind kind;
    const struct program *build_keys, *probe_keys, *rest;
    struct key_layout layout;
    uint32_t key_count;
    struct row_store build_rows;         // extra: struct key_batch *
    struct row_store waiting;            // probe rows that came before the build was complete
    struct arena arena;                  // of what is built
    struct column *columns;              // of the build side
    uint32_t row_count;
    uint32_t *next;
    uint8_t *matched;                    // by build row; only where it is asked for
    struct hash_table table;             // state: first row + 1
    bool has_null_key;
    struct row_counter *counters;        // by worker
};

static bool keeps_build(const struct join_self *j) { return j->kind == JOIN_FULL || (j->kind == JOIN_RIGHT && j->build_input == 1); }
static bool keeps_probe(const struct join_self *j) {
    return j->kind == JOIN_LEFT || j->kind == JOIN_FULL || (j->kind == JOIN_RIGHT && j->build_input == 0);
}
static bool only_left(const struct join_self *j) {
    return j->kind == JOIN_SEMI || j->kind == JOIN_ANTI || j->kind == JOIN_NULL_AWARE_ANTI;
}

static enum status check_static(const struct join_self *j, struct error *e) {
    if (!j->is_static) return STATUS_OK;
    bool ok = j->build_input == 1 ? j->kind != JOIN_RIGHT && j->kind != JOIN_FULL : j->kind == JOIN_INNER || j->kind == JOIN_CROSS || j->kind == JOIN_RIGHT;
    if (ok) return STATUS_OK;
    return error_set(e, STATUS_UNSUPPORTED, NULL, "an outer join of a stream with a table must keep the rows of the stream");
}

static enum status join_open(struct operator *op, struct error *e) {
    struct execution *x = op->execution;
    struct arena *a = &x->arena;
    const struct plan_node *node = op->node;
    struct join_self *self = arena_alloc_zeroed(a, sizeof *self);
    if (!self) return error_no_memory(e);
    self->kind = node->join;
    self->is_static = plan_input_is_static(node, 0) || plan_input_is_static(node, 1);
    self->build_input = plan_input_is_static(node, 0) ? 0 : 1;
    self->key_count = node->join_key_count;
    self->counters = arena_alloc_array(a, x->config.worker_count, sizeof *self->counters);
    const struct type **types = arena_alloc_array(a, self->key_count + 1, sizeof *types);
    if (!self->counters || !types) return error_no_memory(e);
    arena_init(&self->arena, x->state_memory);
    table_init(&self->table, x->state_memory, 16);
    op->self = self;
    TRY(check_static(self, e));
    TRY(row_store_init(&self->build_rows, x, e));
    TRY(row_store_init(&self->waiting, x, e));
    struct expr **build = self->build_input ? node->right_keys : node->left_keys, **probe = self->build_input ? node->left_keys : node->right_keys;
    for (uint32_t i = 0; i < self->key_count; i++) {
        types[i] = build[i]->type;
        if (!type_equal_ignoring_names(build[i]->type, probe[i]->type)) return error_set(e, STATUS_INTERNAL, NULL, "the keys of a join differ in type");
    }
    key_layout_init(&self->layout, types, self->key_count);
    TRY(program_compile(a, x->config.session, build, self->key_count, NULL, &self->build_keys, e));
    TRY(program_compile(a, x->config.session, probe, self->key_count, NULL, &self->probe_keys, e));
    struct expr *condition = node->condition;
    return condition ? program_compile(a, x->config.session, &condition, 1, NULL, &self->rest, e) : STATUS_OK;
}

// Keeps build rows: all of them where unmatched ones matter, with their keys.
static enum status keep_build(struct operator *op, struct worker *w, struct batch *b) {
    struct join_self *self = op->self;
    struct rows rows = batch_rows(b), kept = rows;
    arena_reset(&w->scratch);
    struct column *columns = arena_alloc_array(&w->scratch, self->key_count + 1, sizeof *columns);
    if (!columns) return worker_no_memory(w);
    if (self->key_count) {
        TRY(worker_run(w, self->build_keys, b, &w->scratch, columns));
        TRY(worker_drop_failed(w, op, b, &rows, &w->scratch, &kept));
    }
    if (!kept.count) return STATUS_OK;
    struct batch *copy = batch_compact(b, &kept, op->execution->state_memory);
    if (!copy) return worker_no_memory(w);
    struct key_batch *keys = arena_alloc_zeroed(&copy->arena, sizeof *keys);
    struct column *own = arena_alloc_array(&copy->arena, self->key_count + 1, sizeof *own);
    uint32_t *wide = arena_alloc_array(&copy->arena, kept.count, sizeof *wide);
    enum status status = keys && own && wide ? STATUS_OK : STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < kept.count && status == STATUS_OK; i++) wide[i] = rows_at(&kept, i);
    for (uint32_t k = 0; k < self->key_count && status == STATUS_OK; k++) status = column_copy(&copy->arena, &columns[k], wide, kept.count, &own[k]);
    struct rows all = {.count = kept.count};
    if (status == STATUS_OK && self->key_count) status = key_batch_make(&self->layout, own, &all, &copy->arena, op->execution->memory, keys);
    if (status != STATUS_OK) {
        batch_unref(copy);
        return worker_no_memory(w);
    }
    operator_count(op, w, FATE_ABSORBED, kept.count);
    return row_store_keep(&self->build_rows, w, copy, b->sequence, 0, keys);
}

static enum status append_keys(struct join_self *self, const struct kept_batch *kept, uint32_t first_row) {
    const struct key_batch *keys = kept->extra;
    for (uint32_t i = 0; i < kept->batch->row_count; i++) {
        if (keys->has_null[i]) {
            self->has_null_key = true;
            continue;
        }
        bool added;
        struct group *g = table_find_or_add(&self->table, &keys->keys[i], keys->hashes[i], &added);
        if (!g) return STATUS_NO_MEMORY;
        uint32_t *first = group_state(g, 0), *last = first + 1, row = first_row + i;
        if (added) *first = row + 1;
        else self->next[*last - 1] = row + 1;   // in order: matches come out as the build side came in
        *last = row + 1;
    }
    return STATUS_OK;
}

static enum status build_table(struct operator *op) {
    struct join_self *self = op->self;
    const struct plan_node *input = op->node->inputs[self->build_input];
    TRY(row_store_merge(&self->build_rows));
    if (self->build_rows.row_count >= NO_ROW) return STATUS_LIMIT;
    self->row_count = (uint32_t)self->build_rows.row_count;
    struct arena *a = &self->arena;
    self->columns = arena_alloc_array(a, input->attribute_count + 1, sizeof *self->columns);
    self->next = arena_alloc_array(a, self->row_count + 1, sizeof *self->next);
    self->matched = keeps_build(self) ? arena_alloc_zeroed(a, self->row_count + 1) : NULL;
    if (!self->columns || !self->next || (keeps_build(self) && !self->matched)) return STATUS_NO_MEMORY;
    for (uint32_t c = 0; c < input->attribute_count; c++) {
        struct column_builder builder;
        column_builder_init(&builder, a, input->attributes[c].type);
        for (uint32_t i = 0; i < self->build_rows.all.count; i++) {
            const struct batch *b = row_store_at(&self->build_rows, i)->batch;
            for (uint32_t row = 0; row < b->row_count; row++) {
                if (column_is_valid(&b->columns[c], row)) column_builder_append_from(&builder, &b->columns[c], row);
                else column_builder_append_null(&builder);
            }
        }
        TRY(column_builder_finish(&builder, &self->columns[c]));
    }
    uint32_t first_row = 0;
    for (uint32_t i = 0; i < self->build_rows.all.count; i++) {
        const struct kept_batch *kept = row_store_at(&self->build_rows, i);
        if (self->key_count) TRY(append_keys(self, kept, first_row));
        first_row += kept->batch->row_count;
    }
    self->built = true;
    return STATUS_OK;
}

static void forget_build(struct join_self *self) {
    row_store_clear(&self->build_rows);
    row_store_clear(&self->waiting);
    table_release(&self->table);
    arena_release(&self->arena);
    self->built = self->loaded = self->has_null_key = false;
    self->row_count = 0;
}

static enum status load_rows(void *context, struct batch *b) {
    struct operator *op = context;
    operator_count(op, &op->execution->workers[0], FATE_INPUT, b->selected_count);
    return keep_build(op, &op->execution->workers[0], b);
}

static enum status load_static(struct operator *op, struct error *e) {
    struct execution *x = op->execution;
    struct join_self *self = op->self;
    struct query_run run = {.session = x->config.session, .memory = x->memory, .state_memory = x->state_memory, .log = x->config.log,
                            .base_folder = x->config.base_folder, .worker_count = 1, .interrupted = x->run ? x->run->interrupted : NULL};
    struct worker *w = &x->workers[0];
    enum status status = query_execute(&run, op->node->inputs[self->build_input], load_rows, op, e);
    if (w->failed) {
        if (e) *e = w->error;
        return w->error.status;
    }
    TRY(status);
    status = build_table(op);
    if (status != STATUS_OK) return status == STATUS_NO_MEMORY ? error_no_memory(e) : error_set(e, status, NULL, "the table of a join is too large");
    self->loaded = true;
    return STATUS_OK;
}

static enum status join_load(struct operator *op, uint64_t *digest, struct error *e) {
    struct join_self *self = op->self;
    struct buffer bytes;
    if (!self->is_static) return STATUS_OK;
    if (!self->loaded) TRY(load_static(op, e));
    buffer_init(&bytes, op->execution->memory);
    enum status status = STATUS_OK;
    *digest = checksum64(&self->row_count, sizeof self->row_count, *digest + 1);
    for (uint32_t row = 0; row < self->row_count && status == STATUS_OK; row++) {
        buffer_clear(&bytes);
        for (uint32_t c = 0; c < op->node->inputs[self->build_input]->attribute_count && status == STATUS_OK; c++) status = value_write(&self->columns[c], row, &bytes);
        if (status == STATUS_OK) *digest = checksum64(bytes.data, bytes.size_bytes, *digest);
    }
    buffer_release(&bytes);
    return status == STATUS_OK ? STATUS_OK : error_no_memory(e);
}

static enum status join_begin(struct operator *op, struct error *e) {
    struct join_self *self = op->self;
    if (self->is_static) return self->loaded ? STATUS_OK : load_static(op, e);
    if (!op->execution->batch) return error_set(e, STATUS_UNSUPPORTED, NULL, "a join of two streams is not supported yet");
    forget_build(self);
    return STATUS_OK;
}

static enum status join_build(struct operator *op, struct error *e) {
    struct join_self *self = op->self;
    if (self->is_static) return STATUS_OK;
    enum status status = build_table(op);
    if (status == STATUS_OK) return STATUS_OK;
    return status == STATUS_NO_MEMORY ? error_no_memory(e) : error_set(e, status, NULL, "the build side of a join is too large");
}

struct probe {
    struct batch *in;
    uint32_t *rows, *builds;     // pairs waiting
    uint32_t count;
    uint8_t *matched;            // by probe row
    uint8_t *dead;               // by probe row: the condition failed for one of its pairs
    uint32_t dead_count;
};

// Columns of pairs: left's, then right's. builds[i] NO_ROW: NULLs there.
static enum status pair_columns(struct operator *op, const struct probe *p, const uint64_t *wanted, struct arena *a, struct column *out) {
    struct join_self *self = op->self;
    uint32_t left_count = op->node->inputs[0]->attribute_count;
    uint32_t build_count = op->node->inputs[self->build_input]->attribute_count, probe_count = op->node->inputs[1 - self->build_input]->attribute_count;
    uint32_t probe_first = self->build_input ? 0 : left_count, build_first = self->build_input ? left_count : 0;
    TRY(expand_columns(p->in, p->rows, p->count, wanted, probe_first, probe_count, a, out + probe_first));
    for (uint32_t c = 0; c < build_count; c++) {
        if (wanted && !bitmap_get(wanted, build_first + c)) {
            TRY(column_make_constant_null(a, self->columns[c].type, p->count, &out[build_first + c]));
        } else {
            TRY(column_gather(a, &self->columns[c], p->builds, p->count, &out[build_first + c]));
        }
    }
    return STATUS_OK;
}

// Pairs that failed in the condition: the probe row is what dies, once, whatever else it would match.
static enum status bury_rows(struct operator *op, struct worker *w, struct probe *p) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->eval.error_count; i++) {
        uint32_t row = p->rows[w->eval.errors[i].row];
        if (p->dead[row]) continue;
        p->dead[row] = 1;
        p->dead_count++;
        w->eval.errors[n] = w->eval.errors[i];
        w->eval.errors[n++].row = (uint16_t)row;
    }
    w->eval.error_count = n;
    return worker_report_failed(w, op, p->in);
}

// The pairs for which the rest of the condition is true.
static enum status judge_pairs(struct operator *op, struct worker *w, struct probe *p, struct batch *out, struct rows *kept) {
    struct join_self *self = op->self;
    struct column verdict;
    memset(&verdict, 0, sizeof verdict);
    TRY(worker_run(w, self->rest, out, &out->arena, &verdict));
    TRY(bury_rows(op, w, p));
    uint16_t *selection = arena_alloc(&out->arena, sizeof *selection * (out->row_count + 1));
    if (!selection) return worker_no_memory(w);
    uint32_t n = 0;
    for (uint32_t row = 0; row < out->row_count; row++) {
        if (!p->dead[p->rows[row]] && column_is_valid(&verdict, row) && column_bool(&verdict, row)) selection[n++] = (uint16_t)row;
    }
    *kept = (struct rows){.indices = selection, .count = n};
    return STATUS_OK;
}

// Judges the waiting pairs by the rest of the condition, remembers matches, and emits pairs if the join's rows are pairs.
static enum status flush_pairs(struct operator *op, struct worker *w, struct probe *p) {
    struct join_self *self = op->self;
    struct execution *x = op->execution;
    if (!p->count) return STATUS_OK;
    if (x->run && x->run->interrupted && *x->run->interrupted) return worker_fail(w, STATUS_INTERRUPTED, NULL, "interrupted");
    uint32_t columns = op->node->inputs[0]->attribute_count + op->node->inputs[1]->attribute_count;
    struct batch *out = expand_batch(p->in, x->memory, p->rows, p->count, columns, &self->counters[w->index]);
    if (!out) return worker_no_memory(w);
    const uint64_t *wanted = self->rest || only_left(self) ? NULL : op->node->wanted;
    enum status status = pair_columns(op, p, wanted, &out->arena, out->columns);
    if (status != STATUS_OK) worker_no_memory(w);
    struct rows kept = batch_rows(out);
    if (status == STATUS_OK && self->rest) status = judge_pairs(op, w, p, out, &kept);
    for (uint32_t i = 0; status == STATUS_OK && i < kept.count; i++) {
        uint32_t pair = rows_at(&kept, i);
        p->matched[p->rows[pair]] = 1;
        if (self->matched) __atomic_store_n(&self->matched[p->builds[pair]], 1, __ATOMIC_RELAXED);
    }
    if (status == STATUS_OK && !only_left(self)) {
        out->selection = kept.indices;
        out->selected_count = kept.count;
        operator_count(op, w, FATE_MADE, kept.count);
        status = operator_emit(op, w, out);
    }
    p->count = 0;
    batch_unref(out);
    return status;
}

static enum status add_pair(struct operator *op, struct worker *w, struct probe *p, uint32_t row, uint32_t build) {
    if (p->count == BATCH_ROWS) TRY(flush_pairs(op, w, p));
    p->rows[p->count] = row;
    p->builds[p->count++] = build;
    return STATUS_OK;
}

// A row's pairs are judged together where they fit: none of them is out when another fails.
static enum status make_room(struct operator *op, struct worker *w, struct probe *p, uint32_t first) {
    struct join_self *self = op->self;
    if (!self->rest || !p->count) return STATUS_OK;
    uint32_t room = BATCH_ROWS - p->count, pairs = 0;
    if (self->key_count == 0) pairs = self->row_count;
    else for (uint32_t build = first; build && pairs <= room; build = self->next[build - 1]) pairs++;
    return pairs > room ? flush_pairs(op, w, p) : STATUS_OK;
}

static enum status probe_rows(struct operator *op, struct worker *w, struct probe *p, const struct rows *rows, const struct key_batch *keys) {
    struct join_self *self = op->self;
    bool first_is_enough = only_left(self) && !self->rest;
    for (uint32_t i = 0; i < rows->count && !operator_is_done(op); i++) {
        uint32_t row = rows_at(rows, i);
        if (self->key_count == 0) {
            if (first_is_enough) p->matched[row] = self->row_count > 0;
            else TRY(make_room(op, w, p, 0));
            for (uint32_t build = 0; build < self->row_count && !first_is_enough; build++) TRY(add_pair(op, w, p, row, build));
            continue;
        }
        if (keys->has_null[i]) continue;
        struct group *g = table_find(&self->table, &keys->keys[i], keys->hashes[i]);
        if (!g) continue;
        if (first_is_enough) {
            p->matched[row] = 1;
            continue;
        }
        uint32_t first = *(uint32_t *)group_state(g, 0);
        TRY(make_room(op, w, p, first));
        for (uint32_t build = first; build; build = self->next[build - 1]) TRY(add_pair(op, w, p, row, build - 1));
    }
    return flush_pairs(op, w, p);
}

// Probe rows without a match, with NULLs for the build side.
static enum status emit_unmatched(struct operator *op, struct worker *w, struct probe *p, const struct rows *rows) {
    struct join_self *self = op->self;
    p->count = 0;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        if (p->matched[row] || p->dead[row]) continue;
        p->rows[p->count] = row;
        p->builds[p->count++] = NO_ROW;
    }
    if (!p->count) return STATUS_OK;
    uint32_t columns = op->node->inputs[0]->attribute_count + op->node->inputs[1]->attribute_count;
    struct batch *out = expand_batch(p->in, op->execution->memory, p->rows, p->count, columns, &self->counters[w->index]);
    if (!out) return worker_no_memory(w);
    enum status status = pair_columns(op, p, op->node->wanted, &out->arena, out->columns);
    operator_count(op, w, FATE_MADE, p->count);
    status = status == STATUS_OK ? operator_emit(op, w, out) : worker_no_memory(w);
    batch_unref(out);
    return status;
}

// SEMI and ANTI: the left rows themselves, narrowed.
static enum status emit_left(struct operator *op, struct worker *w, struct probe *p, const struct rows *rows, const struct key_batch *keys) {
    struct join_self *self = op->self;
    struct batch *out = batch_derive(p->in, op->execution->memory, p->in->column_count);
    if (!out) return worker_no_memory(w);
    memcpy(out->columns, p->in->columns, sizeof *out->columns * p->in->column_count);
    uint16_t *selection = arena_alloc(&out->arena, sizeof *selection * (rows->count + 1));
    if (!selection) {
        batch_unref(out);
        return worker_no_memory(w);
    }
    uint32_t n = 0;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        bool in = self->kind == JOIN_SEMI ? p->matched[row] : !p->matched[row];
        if (self->kind == JOIN_NULL_AWARE_ANTI && self->row_count) in = in && !self->has_null_key && !(self->key_count && keys->has_null[i]);
        if (in && !p->dead[row]) selection[n++] = (uint16_t)row;
    }
    out->selection = selection;
    out->selected_count = n;
    operator_count(op, w, FATE_PASSED, n);
    operator_count(op, w, FATE_FILTERED, rows->count - n - p->dead_count);
    enum status status = operator_emit(op, w, out);
    batch_unref(out);
    return status;
}

static enum status probe_batch(struct operator *op, struct worker *w, struct batch *b) {
    struct join_self *self = op->self;
    struct arena a;
    arena_init(&a, op->execution->memory);
    struct probe p = {.in = b, .rows = arena_alloc_array(&a, BATCH_ROWS, sizeof(uint32_t)), .builds = arena_alloc_array(&a, BATCH_ROWS, sizeof(uint32_t)),
                      .matched = arena_alloc_zeroed(&a, b->row_count + 1), .dead = arena_alloc_zeroed(&a, b->row_count + 1)};
    struct column *columns = arena_alloc_array(&a, self->key_count + 1, sizeof *columns);
    struct rows rows = batch_rows(b), kept = rows;
    struct key_batch keys = {0};
    enum status status = p.rows && p.builds && p.matched && p.dead && columns ? STATUS_OK : worker_no_memory(w);
    if (status == STATUS_OK && self->key_count) {
        status = worker_run(w, self->probe_keys, b, &a, columns);
        if (status == STATUS_OK) status = worker_drop_failed(w, op, b, &rows, &a, &kept);
        if (status == STATUS_OK && key_batch_make(&self->layout, columns, &kept, &a, op->execution->memory, &keys) != STATUS_OK) status = worker_no_memory(w);
    }
    if (status == STATUS_OK) status = probe_rows(op, w, &p, &kept, &keys);
    if (status == STATUS_OK && only_left(self)) status = emit_left(op, w, &p, &kept, &keys);
    else if (status == STATUS_OK) operator_count(op, w, FATE_ABSORBED, kept.count - p.dead_count);
    if (status == STATUS_OK && keeps_probe(self)) status = emit_unmatched(op, w, &p, &kept);
    arena_release(&a);
    return status;
}

static enum status join_push(struct operator *op, struct worker *w, uint32_t input_index, struct batch *b) {
    struct join_self *self = op->self;
    if (input_index == self->build_input) return keep_build(op, w, b);
    if (self->built) return probe_batch(op, w, b);
    struct rows rows = batch_rows(b);
    struct batch *copy = batch_compact(b, &rows, op->execution->memory);
    return copy ? row_store_keep(&self->waiting, w, copy, b->sequence, 0, NULL) : worker_no_memory(w);
}

static enum status join_prepare(struct operator *op, struct error *e) {
    return row_store_merge(&((struct join_self *)op->self)->waiting) == STATUS_OK ? STATUS_OK : error_no_memory(e);
}

static enum status emit_build_chunk(struct operator *op, struct worker *w, const uint32_t *builds, uint32_t count, uint64_t number) {
    struct join_self *self = op->self;
    const struct plan_node *left = op->node->inputs[0], *right = op->node->inputs[1];
    struct batch *out = operator_batch(op, operator_sequence(op, 0, number), count, left->attribute_count + right->attribute_count);
    if (!out) return worker_no_memory(w);
    enum status status = STATUS_OK;
    for (uint32_t c = 0; c < left->attribute_count && status == STATUS_OK; c++) {
        status = column_make_constant_null(&out->arena, left->attributes[c].type, count, &out->columns[c]);
    }
    for (uint32_t c = 0; c < right->attribute_count && status == STATUS_OK; c++) {
        status = column_gather(&out->arena, &self->columns[c], builds, count, &out->columns[left->attribute_count + c]);
    }
    operator_count(op, w, FATE_MADE, count);
    status = status == STATUS_OK ? operator_emit(op, w, out) : worker_no_memory(w);
    batch_unref(out);
    return status;
}

static enum status join_finish(struct operator *op, struct worker *w, uint32_t key_partition) {
    (void)key_partition;
    struct join_self *self = op->self;
    for (uint32_t i = 0; i < self->waiting.all.count && !operator_is_done(op); i++) TRY(probe_batch(op, w, row_store_at(&self->waiting, i)->batch));
    row_store_clear(&self->waiting);
    if (!keeps_build(self)) return STATUS_OK;
    uint32_t builds[1024], count = 0;
    uint64_t number = 0;
    for (uint32_t row = 0; row < self->row_count && !operator_is_done(op); row++) {
        if (self->matched[row]) continue;
        builds[count++] = row;
        if (count < 1024) continue;
        TRY(emit_build_chunk(op, w, builds, count, number++));
        count = 0;
    }
    return count ? emit_build_chunk(op, w, builds, count, number) : STATUS_OK;
}

static enum status join_rollback(struct operator *op, struct error *e) {
    (void)e;
    struct join_self *self = op->self;
    if (self->is_static) row_store_clear(&self->waiting);
    else forget_build(self);
    return STATUS_OK;
}

static void join_close(struct operator *op) {
    struct join_self *self = op->self;
    forget_build(self);
    row_store_release(&self->build_rows);
    row_store_release(&self->waiting);
}

static size_t join_bytes(const struct operator *op, uint64_t *key_count) {
    const struct join_self *self = op->self;
    if (!self->is_static) return 0;
    *key_count += self->table.count;
    return table_bytes(&self->table) + self->arena.used_bytes;
}

const struct operator_class join_class = {
    .name = "Join", .partition_count = 1, .open = join_open, .begin = join_begin, .load = join_load, .push = join_push, .build = join_build, .prepare = join_prepare,
    .finish = join_finish, .rollback = join_rollback, .bytes = join_bytes, .close = join_close,
};
