// SPDX-License-Identifier: Apache-2.0
// run.c: one epoch: scans in rounds, builds, finishes, by all workers of a crew.
//
// Splits are handed out in intent order, one counter for all workers, so that what has been read is always a prefix. A round ends when the
// kept rows pass ROUND_BYTES: every worker finishes its split, then whoever keeps rows folds them. Scan sequences are renumbered
// over all sources of the step.
#include "exec/operator.h"

struct task {                       // one split of a source, or the rows of a VALUES
    const struct epoch_input *input;
    const uint64_t *wanted;
    struct split split;
    struct operator **scans;        // operators fed by it
    uint32_t scan_count;
};

struct scan_run {
    struct execution *execution;
    struct task *tasks;
    uint32_t task_count;
    _Atomic uint32_t next;
    _Atomic bool stop;
};

struct split_context {
    struct worker *worker;
    const struct task *task;
};

static enum status feed(void *context, struct batch *b) {
    struct split_context *s = context;
    struct worker *w = s->worker;
    bool wanted = false;
    for (uint32_t i = 0; i < s->task->scan_count; i++) {
        struct operator *op = s->task->scans[i];
        if (operator_is_done(op)) continue;
        wanted = true;
        operator_count(op, w, FATE_INPUT, b->selected_count);
        TRY(op->class->push(op, w, 0, b));
    }
    return wanted && !w->stop_split ? STATUS_OK : STATUS_INTERRUPTED;
}

static enum status feed_dead(void *context, const struct dead_row *row) {
    struct split_context *s = context;
    const struct dead_handler *dead = &s->worker->execution->config.dead;
    struct operator *op = s->task->scans[0];
    for (uint32_t i = 0; i < s->task->scan_count; i++) {
        operator_count(s->task->scans[i], s->worker, FATE_INPUT, 1);
        operator_count(s->task->scans[i], s->worker, FATE_DEAD, 1);
    }
    enum status status = dead->record ? dead->record(dead->context, op->flow_name, row, &s->worker->error) : STATUS_OK;
    if (status != STATUS_OK) s->worker->failed = true;
    return status;
}

static void run_task(struct worker *w, const struct task *task) {
    struct split_context context = {.worker = w, .task = task};
    w->stop_split = false;
    if (!task->input) {
        if (values_class.push(task->scans[0], w, 0, NULL) != STATUS_OK) w->failed = true;
        return;
    }
    bool wanted = false;
    for (uint32_t i = 0; i < task->scan_count; i++) wanted = wanted || !operator_is_done(task->scans[i]);
    if (!wanted) return;
    struct dead_row_sink dead = {.put = feed_dead, .context = &context};
    struct source *source = task->input->source;
    struct error error;
    error_clear(&error);
    enum status status = source->class->read(source, &task->split, w->index, task->wanted, feed, &context, &dead, &error);
    if (status == STATUS_OK || w->failed) return;
    bool enough = w->stop_split;
    for (uint32_t i = 0; !enough && i < task->scan_count; i++) enough = operator_is_done(task->scans[i]);
    if (enough && status == STATUS_INTERRUPTED) return;
    w->failed = true;
    w->error = error;
    if (error.status == STATUS_OK) error_set(&w->error, status, NULL, "reading %s failed", task->input->table->name);
}

static void scan_job(void *context, uint32_t worker_index) {
    struct scan_run *s = context;
    struct execution *x = s->execution;
    if (worker_index >= x->config.worker_count) return;
    struct worker *w = &x->workers[worker_index];
    while (!s->stop && x->pending_bytes < ROUND_BYTES) {
        if (x->run->interrupted && *x->run->interrupted) {
            w->failed = true;
            error_set(&w->error, STATUS_INTERRUPTED, NULL, "interrupted");
        }
        uint32_t next = w->failed ? s->task_count : s->next++;
        if (next >= s->task_count) break;
        run_task(w, &s->tasks[next]);
        if (w->failed) s->stop = true;
    }
    if (w->failed) s->stop = true;
}

struct finish_run {
    struct operator *op;
    bool fold;
    _Atomic uint32_t next;
};

static void finish_job(void *context, uint32_t worker_index) {
    struct finish_run *f = context;
    struct execution *x = f->op->execution;
    if (worker_index >= x->config.worker_count) return;
    struct worker *w = &x->workers[worker_index];
    for (;;) {
        uint32_t partition = w->failed ? UINT32_MAX : f->next++;
        if (partition >= f->op->class->partition_count) return;
        enum status status = f->fold ? f->op->class->fold(f->op, w, partition) : f->op->class->finish(f->op, w, partition);
        if (status != STATUS_OK) w->failed = true;
    }
}

static void run_job(struct crew *crew, crew_job job, void *context) {
    if (crew) crew_run(crew, job, context);
    else job(context, 0);
}

static enum status worker_errors(struct execution *x, struct error *e) {
    for (uint32_t i = 0; i < x->config.worker_count; i++) {
        struct worker *w = &x->workers[i];
        if (!w->failed) continue;
        if (w->error.status == STATUS_OK) return error_set(e, STATUS_INTERNAL, NULL, "an operator failed without saying why");
        if (e) *e = w->error;
        return w->error.status;
    }
    return STATUS_OK;
}

static enum status run_finish(struct execution *x, struct crew *crew, struct operator *op, bool fold, struct error *e) {
    struct finish_run f = {.op = op, .fold = fold};
    if (op->class->prepare) TRY(op->class->prepare(op, e));
    x->serial = op->class->partition_count == 1;
    run_job(x->serial ? NULL : crew, finish_job, &f);
    x->serial = false;
    TRY(worker_errors(x, e));
    if (op->class->ended) op->class->ended(op);
    return STATUS_OK;
}

// Columns that any of the scans wants; NULL: all.
static enum status union_wanted(struct arena *a, struct operator *const *scans, uint32_t count, const uint64_t **out) {
    *out = NULL;
    size_t words = bitmap_words(scans[0]->node->attribute_count);
    uint64_t *bits = arena_alloc_zeroed(a, words * 8 + 8);
    if (!bits) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        if (!scans[i]->node->wanted) return STATUS_OK;
        for (size_t k = 0; k < words; k++) bits[k] |= scans[i]->node->wanted[k];
    }
    *out = bits;
    return STATUS_OK;
}

static uint32_t leaf_count(const struct type *t) {
    if (t->id != TYPE_STRUCT) return 1;
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->field_count; i++) n += leaf_count(t->fields[i].type);
    return n;
}

// The same for leaves within nested columns.
static enum status union_leaves(struct arena *a, struct operator *const *scans, uint32_t count, const uint64_t **out) {
    uint32_t leaves = 0;
    *out = NULL;
    for (uint32_t i = 0; i < scans[0]->node->attribute_count; i++) leaves += leaf_count(scans[0]->node->attributes[i].type);
    size_t words = bitmap_words(leaves);
    uint64_t *bits = arena_alloc_zeroed(a, words * 8 + 8);
    if (!bits) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        if (!scans[i]->node->wanted_leaves) return STATUS_OK;
        for (size_t k = 0; k < words; k++) bits[k] |= scans[i]->node->wanted_leaves[k];
    }
    *out = bits;
    return STATUS_OK;
}

static enum status add_tasks(struct execution *x, struct arena *a, const struct step *steps, uint32_t step_count, struct vector *tasks) {
    uint64_t base = 0;
    for (uint32_t i = 0; i < x->run->input_count; i++) {
        const struct epoch_input *input = &x->run->inputs[i];
        struct operator **scans = arena_alloc_array(a, step_count + 1, sizeof *scans);
        if (!scans) return STATUS_NO_MEMORY;
        uint32_t count = 0;
        for (uint32_t k = 0; k < step_count; k++) {
            if (steps[k].op->node->kind == PLAN_SCAN && steps[k].op->node->table == input->table) scans[count++] = steps[k].op;
        }
        if (!count) continue;
        struct task task = {.input = input, .scans = scans, .scan_count = count};
        const uint64_t *leaves;
        TRY(union_wanted(a, scans, count, &task.wanted));
        TRY(union_leaves(a, scans, count, &leaves));
        uint64_t most = 0;
        for (uint32_t k = 0; k < input->splits.count; k++) {
            task.split = input->splits.items[k];
            if (task.split.sequence > most) most = task.split.sequence;
            task.split.sequence += base;
            task.split.wanted_leaves = leaves;
            TRY(vector_push(tasks, &task));
        }
        base += most + 1;
    }
    for (uint32_t k = 0; k < step_count; k++) {
        if (steps[k].op->node->kind != PLAN_VALUES) continue;
        struct task task = {.scans = arena_alloc(a, sizeof(struct operator *)), .scan_count = 1};
        if (!task.scans) return STATUS_NO_MEMORY;
        task.scans[0] = steps[k].op;
        TRY(vector_push(tasks, &task));
    }
    return STATUS_OK;
}

static enum status end_round(struct execution *x, struct crew *crew, struct error *e) {
    for (uint32_t i = 0; i < x->operator_count; i++) {
        struct operator *op = &x->operators[i];
        if (!op->active || !op->class->fold || (op->class->keeps_rows && !op->class->keeps_rows(op))) continue;
        TRY(run_finish(x, crew, op, true, e));
    }
    ordered_flush(x);
    x->pending_bytes = 0;
    return worker_errors(x, e);
}

static enum status run_scans(struct execution *x, struct crew *crew, struct arena *a, const struct step *steps, uint32_t step_count, struct error *e) {
    struct vector tasks;
    vector_init(&tasks, x->memory, sizeof(struct task));
    enum status status = add_tasks(x, a, steps, step_count, &tasks);
    if (status != STATUS_OK) status = error_no_memory(e);
    struct scan_run s = {.execution = x, .tasks = tasks.items, .task_count = (uint32_t)tasks.count};
    while (status == STATUS_OK && s.next < s.task_count) {
        run_job(crew, scan_job, &s);
        status = worker_errors(x, e);
        if (status == STATUS_OK) status = end_round(x, crew, e);
    }
    vector_release(&tasks);
    return status;
}

static void activate(struct execution *x) {
    for (uint32_t i = 0; i < x->operator_count; i++) {
        struct operator *op = &x->operators[i];
        op->active = false;
        op->done = false;
        for (uint32_t o = 0; o < x->config.output_count; o++) {
            if (op->active || !bitmap_get(op->reaches, o) || (x->run->active_outputs && !bitmap_get(x->run->active_outputs, o))) continue;
            op->active = true;
            op->running_flow = x->config.outputs[o].flow_name ? x->config.outputs[o].flow_name : "";
        }
    }
    for (uint32_t i = 0; i < x->config.worker_count; i++) {
        struct worker *w = &x->workers[i];
        memset(w->counters, 0, sizeof *w->counters * x->operator_count);
        error_clear(&w->error);
        w->failed = false;
        w->arrivals = 0;
    }
    memset(x->output_rows, 0, sizeof *x->output_rows * x->config.worker_count * (x->config.output_count + 1));
    x->pending_bytes = 0;
    x->running = true;
}

static enum status run_steps(struct execution *x, struct crew *crew, struct arena *a, struct error *e) {
    struct step *steps;
    uint32_t count;
    for (uint32_t i = 0; i < x->operator_count; i++) {
        struct operator *op = &x->operators[i];
        if (op->active && op->class->begin) TRY(op->class->begin(op, e));
    }
    TRY(schedule_make(x, a, &steps, &count, e));
    for (uint32_t i = 0; i < count;) {
        if (steps[i].kind == STEP_SCAN) {
            uint32_t end = i;
            while (end < count && steps[end].kind == STEP_SCAN) end++;
            TRY(run_scans(x, crew, a, &steps[i], end - i, e));
            i = end;
            continue;
        }
        if (steps[i].kind == STEP_BUILD) TRY(steps[i].op->class->build(steps[i].op, e));
        else TRY(run_finish(x, crew, steps[i].op, false, e));
        ordered_flush(x);
        TRY(worker_errors(x, e));
        i++;
    }
    return STATUS_OK;
}

enum status execution_run(struct execution *x, struct crew *crew, const struct epoch_run *run, struct error *e) {
    x->run = run;
    x->epoch = run->epoch;
    x->now_us = run->now_us;
    x->batch = run->batch;
    execution_set_watermarks(x, run->watermarks, run->watermark_count);
    activate(x);
    struct arena arena;
    arena_init(&arena, x->memory);
    enum status status = run_steps(x, crew, &arena, e);
    arena_release(&arena);
    for (uint32_t i = 0; i < x->config.worker_count; i++) arena_reset(&x->workers[i].scratch);
    x->run = NULL;
    return status;
}

void execution_commit(struct execution *x) {
    for (uint32_t i = 0; i < x->operator_count; i++) {
        struct operator *op = &x->operators[i];
        if (op->class->commit) op->class->commit(op);
        for (uint32_t w = 0; x->running && w < x->config.worker_count; w++) {
            for (uint32_t f = 0; f < FATE_COUNT; f++) x->committed[i][f] += x->workers[w].counters[i][f];
        }
    }
    x->running = false;
}

enum status execution_rollback(struct execution *x, struct error *e) {
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < x->operator_count; i++) {
        struct operator *op = &x->operators[i];
        if (!op->class->rollback) continue;
        enum status one = op->class->rollback(op, e);
        if (status == STATUS_OK) status = one;
    }
    x->running = false;
    ordered_drop(x);
    for (uint32_t i = 0; i < x->config.worker_count; i++) memset(x->workers[i].counters, 0, sizeof *x->workers[i].counters * x->operator_count);
    memset(x->output_rows, 0, sizeof *x->output_rows * x->config.worker_count * (x->config.output_count + 1));
    return status;
}
