// SPDX-License-Identifier: Apache-2.0
// query.c: one batch query, whole: subqueries first (subquery.c), then sources opened and read to their end, batches given to `emit` in result
// order, everything closed again.
//
// `emit` is called by one thread at a time: the output is an ordered one.
#include "exec/operator.h"
#include "exec/subquery.h"
#include "plan/connector.h"

struct collector {
    emit_batch emit;
    void *context;
};

struct opened {                 // one table that is read
    struct epoch_input input;
    struct vector splits;       // of struct split
};

struct query {
    const struct query_run *run;
    struct arena arena;
    struct vector tables;       // of struct opened
    struct execution *execution;
    struct collector collector;
};

static enum status collect(void *context, uint32_t worker, struct batch *b, struct error *e) {
    struct collector *c = context;
    (void)worker;
    enum status status = c->emit(c->context, b);
    return status == STATUS_OK ? STATUS_OK : error_set(e, status, NULL, "the result was not taken");
}

static enum status dead_row(void *context, const struct plan_node *node, const char *flow_name, const struct batch *b, uint32_t row,
                            const struct row_error *why, struct error *e) {
    (void)context, (void)node, (void)flow_name, (void)b, (void)row;
    error_set(e, STATUS_DATA, why->condition, "%s", why->message ? why->message : "a row cannot be computed");
    error_set_value(e, string_view_data(&why->value), why->value.size_bytes);
    e->span = why->span;
    return STATUS_DATA;
}

static enum status dead_record(void *context, const char *flow_name, const struct dead_row *row, struct error *e) {
    (void)context, (void)flow_name;
    error_set(e, STATUS_DATA, row->condition, "%s", row->message ? row->message : "a record cannot be read");
    error_set_value(e, string_view_data(&row->value), row->value.size_bytes);
    return STATUS_DATA;
}

static enum status dead_group(void *context, const struct plan_node *node, const char *flow_name, const char *key_text, const struct row_error *why,
                              struct error *e) {
    (void)key_text;
    return dead_row(context, node, flow_name, NULL, 0, why, e);
}

static enum status remember_positions(struct arena *a, struct positions *at, const struct ranges *ranges) {
    for (uint32_t i = 0; i < ranges->count; i++) {
        const struct range *r = &ranges->items[i];
        uint32_t k = 0;
        while (k < at->count && (at->items[k].partition != r->partition || strcmp(at->items[k].name ? at->items[k].name : "", r->name ? r->name : ""))) k++;
        if (k == at->count) {
            struct position *items = arena_alloc_array(a, at->count + 1, sizeof *items);
            if (!items) return STATUS_NO_MEMORY;
            if (at->count) memcpy(items, at->items, at->count * sizeof *items);
            items[k] = (struct position){.partition = r->partition, .name = r->name};
            at->items = items;
            at->count++;
        }
        at->items[k].offset = r->end;
    }
    return STATUS_OK;
}

static enum status append_splits(struct opened *t, const struct splits *more) {
    uint64_t base = t->splits.count ? ((struct split *)vector_at(&t->splits, t->splits.count - 1))->sequence + 1 : 0;
    for (uint32_t i = 0; i < more->count; i++) {
        struct split s = more->items[i];
        s.sequence += base;
        TRY(vector_push(&t->splits, &s));
    }
    return STATUS_OK;
}

// All there is, as splits; latest may give it in several pieces.
static enum status find_splits(struct query *q, struct opened *t, struct error *e) {
    struct source *s = t->input.source;
    struct positions at = {0};
    if (s->class->start) TRY(s->class->start(s, &q->arena, &at, e));
    struct budget budget = {.row_count = INT64_MAX / 4, .size_bytes = INT64_MAX / 4};
    for (;;) {
        struct ranges ranges = {0};
        struct splits splits = {0};
        bool exhausted = false;
        int64_t backlog = 0, wake_at_us = INT64_MAX;
        TRY(s->class->latest(s, &q->arena, &at, &budget, &ranges, &exhausted, &backlog, &wake_at_us, e));
        if (ranges.count) {
            TRY(s->class->splits(s, &q->arena, &ranges, &splits, e));
            if (append_splits(t, &splits) != STATUS_OK || remember_positions(&q->arena, &at, &ranges) != STATUS_OK) return error_no_memory(e);
        }
        if (exhausted || !ranges.count) break;
    }
    t->input.splits = (struct splits){.items = t->splits.items, .count = (uint32_t)t->splits.count};
    return STATUS_OK;
}

static enum status open_table(struct query *q, struct dataset *table, struct error *e) {
    for (size_t i = 0; i < q->tables.count; i++) {
        if (((struct opened *)vector_at(&q->tables, i))->input.table == table) return STATUS_OK;
    }
    if (!table->connector || !table->connector->source) {
        return error_set(e, STATUS_UNSUPPORTED, NULL, "%s cannot be read by a query", table->name);
    }
    const struct query_run *run = q->run;
    struct source_request request = {
        .table_name = table->name, .options = table->options, .declared = table->schema, .base_folder = run->base_folder, .session = run->session,
        .memory = run->memory, .log = run->log, .source_index = table->index, .stop = run->interrupted,
    };
    struct opened *t = vector_add(&q->tables);
    if (!t) return error_no_memory(e);
    vector_init(&t->splits, run->memory, sizeof(struct split));
    t->input.table = table;
    TRY(table->connector->source->open(&request, &t->input.source, e));
    return find_splits(q, t, e);
}

static enum status open_tables(struct query *q, struct error *e) {
    for (uint32_t i = 0; i < q->execution->operator_count; i++) {
        const struct plan_node *node = q->execution->operators[i].node;
        if (node->kind == PLAN_SCAN) TRY(open_table(q, node->table, e));
    }
    return STATUS_OK;
}

static enum status run_all(struct query *q, struct error *e) {
    struct epoch_input *inputs = arena_alloc_array(&q->arena, q->tables.count + 1, sizeof *inputs);
    if (!inputs) return error_no_memory(e);
    for (size_t i = 0; i < q->tables.count; i++) inputs[i] = ((struct opened *)vector_at(&q->tables, i))->input;
    const struct session *session = q->run->session;
    struct epoch_run run = {.epoch = 1, .now_us = session && session->clock ? clock_now_us(session->clock) : 0, .inputs = inputs,
                            .input_count = (uint32_t)q->tables.count, .batch = true, .interrupted = q->run->interrupted};
    if (q->execution->config.worker_count == 1) return execution_run(q->execution, NULL, &run, e);
    struct crew crew;
    TRY(crew_init(&crew, q->run->memory, q->execution->config.worker_count, e));
    enum status status = execution_run(q->execution, &crew, &run, e);
    crew_release(&crew);
    return status;
}

static enum status run_query(struct query *q, struct plan_node *root, struct error *e) {
    const struct query_run *run = q->run;
    TRY(subqueries_bind(run, &q->arena, &root, e));
    struct collector *c = &q->collector;
    struct output output = {.root = root, .flow_name = "query", .ordered = true, .write = collect, .context = c};
    struct execution_config config = {
        .session = run->session, .memory = run->memory, .state_memory = run->state_memory, .worker_count = run->worker_count ? run->worker_count : 1,
        .outputs = &output, .output_count = 1, .dead = {.row = dead_row, .record = dead_record, .group = dead_group},
        .base_folder = run->base_folder, .log = run->log,
    };
    TRY(execution_new(&config, &q->execution, e));
    TRY(open_tables(q, e));
    TRY(run_all(q, e));
    execution_commit(q->execution);
    return STATUS_OK;
}

enum status query_execute(const struct query_run *run, struct plan_node *root, emit_batch emit, void *context, struct error *e) {
    struct query q = {.run = run, .collector = {.emit = emit, .context = context}};
    arena_init(&q.arena, run->memory);
    vector_init(&q.tables, run->memory, sizeof(struct opened));
    enum status status = run_query(&q, root, e);
    execution_free(q.execution);
    for (size_t i = 0; i < q.tables.count; i++) {
        struct opened *t = vector_at(&q.tables, i);
        if (t->input.source) t->input.source->class->close(t->input.source);
        vector_release(&t->splits);
    }
    vector_release(&q.tables);
    arena_release(&q.arena);
    // A source that was told to stop waiting calls what it waited for unreachable.
    if (status == STATUS_UNREACHABLE && run->interrupted && atomic_load(run->interrupted)) return error_set(e, STATUS_INTERRUPTED, NULL, "interrupted");
    return status;
}
