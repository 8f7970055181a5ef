// SPDX-License-Identifier: Apache-2.0
// execution.c: the graph of operators: made from the outputs' plans, one operator a node, inputs before users. A LIMIT over a SORT is one
// operator; the static side of a streaming join is none (the join loads it itself). Running is run.c, state is execution_state.c.
#include "exec/operator.h"

enum { MOST_OPERATORS = 65536 };

const struct operator_class *operator_class_for(const struct plan_node *node) {
    switch (node->kind) {
    case PLAN_SCAN: return &scan_class;
    case PLAN_VALUES: return &values_class;
    case PLAN_PROJECT: return &project_class;
    case PLAN_FILTER: return &filter_class;
    case PLAN_AGGREGATE: return &aggregate_class;
    case PLAN_JOIN: return node->join_time ? &stream_join_class : &join_class;
    case PLAN_SORT: return &sort_class;
    case PLAN_LIMIT: return node->inputs[0]->kind == PLAN_SORT || node->inputs[0]->changes == CHANGES_RETRACT ? &topn_class : &limit_class;
    case PLAN_UNION: return &union_class;
    case PLAN_INTERSECT: case PLAN_EXCEPT: return &setop_class;
    case PLAN_GENERATE: return &generate_class;
    case PLAN_WATERMARK: return &watermark_class;
    case PLAN_WINDOW: return &window_class;
    case PLAN_SESSION: return &session_class;
    case PLAN_RANK: return &ranked_class;
    case PLAN_CONSOLIDATE: return &consolidate_class;
    }
    return NULL;
}

bool plan_input_is_static(const struct plan_node *node, uint32_t input_index) {
    if (node->kind != PLAN_JOIN || node->input_count != 2) return false;
    return !node->inputs[input_index]->streaming && node->inputs[1 - input_index]->streaming;
}

static const struct plan_node *input_of(const struct plan_node *node, uint32_t input_index) {
    const struct plan_node *input = node->inputs[input_index];
    return node->kind == PLAN_LIMIT && input->kind == PLAN_SORT ? input->inputs[0] : input;
}

struct operator *execution_operator(const struct execution *x, const struct plan_node *node) {
    for (uint32_t i = 0; i < x->operator_count; i++) {
        if (x->operators[i].node == node) return &x->operators[i];
    }
    return NULL;
}

struct operator *execution_input(const struct execution *x, const struct plan_node *node, uint32_t input_index) {
    return execution_operator(x, input_of(node, input_index));
}

// Nodes of one flow, inputs first. `seen` are nodes of this flow only.
struct walk {
    struct vector nodes;   // of const struct plan_node *
};

static bool walk_has(const struct walk *walk, const struct plan_node *node) {
    for (size_t i = 0; i < walk->nodes.count; i++) {
        if (*(const struct plan_node **)vector_at(&walk->nodes, i) == node) return true;
    }
    return false;
}

static enum status walk_add(struct walk *walk, const struct plan_node *node, struct error *e) {
    if (walk_has(walk, node)) return STATUS_OK;
    for (uint32_t i = 0; i < node->input_count; i++) {
        if (!plan_input_is_static(node, i)) TRY(walk_add(walk, input_of(node, i), e));
    }
    if (walk->nodes.count >= MOST_OPERATORS) return error_set(e, STATUS_LIMIT, NULL, "a plan has more than %d operators", MOST_OPERATORS);
    return vector_push(&walk->nodes, &node) == STATUS_OK ? STATUS_OK : error_no_memory(e);
}

static enum status add_operators(struct execution *x, const struct walk *all, struct error *e) {
    uint32_t count = (uint32_t)all->nodes.count;
    x->operators = arena_alloc_array(&x->arena, count + 1, sizeof *x->operators);
    if (!x->operators) return error_no_memory(e);
    for (uint32_t i = 0; i < count; i++) {
        struct operator *op = &x->operators[i];
        op->node = *(const struct plan_node **)vector_at(&all->nodes, i);
        op->execution = x;
        op->index = i;
        op->class = operator_class_for(op->node);
        op->reaches = arena_alloc_zeroed(&x->arena, bitmap_bytes(x->config.output_count) + 8);
        op->outputs = arena_alloc_array(&x->arena, x->config.output_count + 1, sizeof *op->outputs);
        if (!op->reaches || !op->outputs) return error_no_memory(e);
        if (!op->class) return error_set(e, STATUS_UNSUPPORTED, NULL, "this plan holds a node that cannot be run");
        if (op->class == &join_class && !plan_input_is_static(op->node, 0) && !plan_input_is_static(op->node, 1)) x->has_batch_join = true;
    }
    x->operator_count = count;
    return STATUS_OK;
}

static enum status add_edges(struct execution *x, struct error *e) {
    for (uint32_t pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < x->operator_count; i++) {
            struct operator *to = &x->operators[i];
            for (uint32_t k = 0; k < to->node->input_count; k++) {
                if (plan_input_is_static(to->node, k)) continue;
                struct operator *from = execution_operator(x, input_of(to->node, k));
                if (pass == 1) from->edges[from->edge_count] = (struct edge){.to = to, .input_index = k};
                from->edge_count++;
            }
        }
        for (uint32_t i = 0; i < x->operator_count && pass == 0; i++) {
            struct operator *op = &x->operators[i];
            op->edges = arena_alloc_array(&x->arena, op->edge_count + 1, sizeof *op->edges);
            if (!op->edges) return error_no_memory(e);
            op->edge_count = 0;
        }
    }
    return STATUS_OK;
}

// Names of state, reach, roots: flow by flow, so that a flow's positions do not depend on its neighbours.
static enum status name_operators(struct execution *x, struct error *e) {
    enum status status = STATUS_OK;
    for (uint32_t o = 0; o < x->config.output_count && status == STATUS_OK; o++) {
        struct walk walk;
        vector_init(&walk.nodes, x->memory, sizeof(const struct plan_node *));
        status = walk_add(&walk, x->config.outputs[o].root, e);
        for (size_t i = 0; i < walk.nodes.count && status == STATUS_OK; i++) {
            struct operator *op = execution_operator(x, *(const struct plan_node **)vector_at(&walk.nodes, i));
            bitmap_set(op->reaches, o);
            if (op->flow_name) continue;
            op->flow_name = x->config.outputs[o].flow_name ? x->config.outputs[o].flow_name : "";
            op->position = (uint32_t)i;
        }
        vector_release(&walk.nodes);
        struct operator *root = execution_operator(x, x->config.outputs[o].root);
        if (root) root->outputs[root->output_count++] = o;
    }
    return status;
}

static enum status make_workers(struct execution *x, struct error *e) {
    x->workers = arena_alloc_array(&x->arena, x->config.worker_count, sizeof *x->workers);
    x->committed = arena_alloc_array(&x->arena, x->operator_count + 1, sizeof *x->committed);
    x->output_rows = arena_alloc_array(&x->arena, (size_t)x->config.worker_count * (x->config.output_count + 1), sizeof *x->output_rows);
    if (!x->workers || !x->committed || !x->output_rows) return error_no_memory(e);
    for (uint32_t i = 0; i < x->config.worker_count; i++) {
        struct worker *w = &x->workers[i];
        w->index = i;
        w->execution = x;
        arena_init(&w->scratch, x->memory);
        w->counters = arena_alloc_array(&x->arena, x->operator_count + 1, sizeof *w->counters);
        if (!w->counters) return error_no_memory(e);
    }
    return STATUS_OK;
}

static enum status build(struct execution *x, struct error *e) {
    struct walk all;
    vector_init(&all.nodes, x->memory, sizeof(const struct plan_node *));
    enum status status = STATUS_OK;
    for (uint32_t o = 0; o < x->config.output_count && status == STATUS_OK; o++) status = walk_add(&all, x->config.outputs[o].root, e);
    if (status == STATUS_OK) status = add_operators(x, &all, e);
    vector_release(&all.nodes);
    TRY(status);
    TRY(add_edges(x, e));
    TRY(name_operators(x, e));
    TRY(make_workers(x, e));
    TRY(ordered_open(x, e));
    for (uint32_t i = 0; i < x->operator_count; i++) {
        if (x->operators[i].class->open) TRY(x->operators[i].class->open(&x->operators[i], e));
    }
    return STATUS_OK;
}

enum status execution_new(const struct execution_config *c, struct execution **out, struct error *e) {
    *out = NULL;
    struct execution *x = memory_alloc_zeroed(c->memory, sizeof *x);
    if (!x) return error_no_memory(e);
    x->config = *c;
    if (x->config.worker_count == 0) x->config.worker_count = 1;
    x->memory = c->memory;
    x->state_memory = c->state_memory ? c->state_memory : c->memory;
    arena_init(&x->arena, c->memory);
    enum status status = build(x, e);
    if (status != STATUS_OK) {
        execution_free(x);
        return status;
    }
    *out = x;
    return STATUS_OK;
}

void execution_free(struct execution *x) {
    if (!x) return;
    for (uint32_t i = 0; i < x->operator_count; i++) {
        struct operator *op = &x->operators[i];
        if (op->class && op->class->close && op->self) op->class->close(op);
    }
    for (uint32_t i = 0; x->workers && i < x->config.worker_count; i++) {
        if (x->workers[i].execution) arena_release(&x->workers[i].scratch);
    }
    ordered_close(x);
    arena_release(&x->arena);
    memory_free(x->memory, x, sizeof *x);
}

enum status execution_ledger(const struct execution *x, struct arena *a, struct ledger_line **lines, uint32_t *count) {
    *lines = arena_alloc_array(a, x->operator_count + 1, sizeof **lines);
    *count = 0;
    if (!*lines) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < x->operator_count; i++) {
        const struct operator *op = &x->operators[i];
        uint64_t sum[FATE_COUNT];
        for (uint32_t f = 0; f < FATE_COUNT; f++) {
            sum[f] = x->committed[i][f];
            for (uint32_t w = 0; x->running && w < x->config.worker_count; w++) sum[f] += x->workers[w].counters[i][f];
        }
        (*lines)[i] = (struct ledger_line){
            .node = op->node, .flow_name = op->flow_name, .running_flow = op->running_flow ? op->running_flow : op->flow_name, .operator_name = op->class->name, .input = sum[FATE_INPUT], .passed = sum[FATE_PASSED],
            .filtered = sum[FATE_FILTERED], .absorbed = sum[FATE_ABSORBED], .merged = sum[FATE_MERGED], .late = sum[FATE_LATE],
            .dead = sum[FATE_DEAD], .null_time = sum[FATE_NULL_TIME], .made = sum[FATE_MADE],
        };
    }
    *count = x->operator_count;
    return STATUS_OK;
}

uint64_t execution_output_rows(const struct execution *x, uint32_t output_index) {
    uint64_t rows = 0;
    for (uint32_t w = 0; w < x->config.worker_count; w++) rows += x->output_rows[(size_t)w * (x->config.output_count + 1) + output_index];
    return rows;
}

uint64_t execution_input_rows(const struct execution *x, const struct dataset *table) {
    uint64_t most = 0;  // several scans of one table read the same rows; one that came late or is not active has fewer
    for (uint32_t i = 0; i < x->operator_count; i++) {
        if (x->operators[i].node->kind != PLAN_SCAN || x->operators[i].node->table != table) continue;
        uint64_t rows = 0;
        for (uint32_t w = 0; w < x->config.worker_count; w++) rows += x->workers[w].counters[i][FATE_INPUT];
        if (rows > most) most = rows;
    }
    return most;
}
