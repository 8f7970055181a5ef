// SPDX-License-Identifier: Apache-2.0
// schedule.c: in which order a run works. Without batch joins: all scans at once, then every stateful operator, inputs before users. With
// one: depth first, build side (right) before probe side (left), so that probing streams; scans that follow one another
// run together.
//
//     left  Scan a ─┐
//                   Join     →    scan b · finish Aggregate · build Join · scan a · finish Join
//     right Scan b ─► Aggregate
#include "exec/operator.h"

struct scheduler {
    struct execution *execution;
    struct step *steps;
    uint32_t count;
    bool *done;       // by operator
};

static void add_step(struct scheduler *s, enum step_kind kind, struct operator *op) {
    s->steps[s->count++] = (struct step){.kind = kind, .op = op};
}

static void visit(struct scheduler *s, struct operator *op) {
    if (s->done[op->index] || !op->active) return;
    s->done[op->index] = true;
    const struct plan_node *node = op->node;
    if (node->kind == PLAN_SCAN || node->kind == PLAN_VALUES) add_step(s, STEP_SCAN, op);
    for (uint32_t i = node->input_count; i-- > 0;) {  // right side first
        uint32_t input_index = node->kind == PLAN_JOIN ? i : node->input_count - 1 - i;
        if (plan_input_is_static(node, input_index)) continue;
        const struct plan_node *input = node->inputs[input_index];
        if (node->kind == PLAN_LIMIT && input->kind == PLAN_SORT) input = input->inputs[0];
        visit(s, execution_operator(s->execution, input));
        if (node->kind == PLAN_JOIN && input_index == 1) add_step(s, STEP_BUILD, op);
    }
    if (op->class->finish) add_step(s, STEP_FINISH, op);
}

enum status schedule_make(struct execution *x, struct arena *a, struct step **steps, uint32_t *count, struct error *e) {
    struct scheduler s = {.execution = x, .steps = arena_alloc_array(a, (size_t)x->operator_count * 3 + 1, sizeof *s.steps),
                          .done = arena_alloc_array(a, x->operator_count + 1, sizeof *s.done)};
    if (!s.steps || !s.done) return error_no_memory(e);
    if (x->has_batch_join) {
        for (uint32_t o = 0; o < x->config.output_count; o++) visit(&s, execution_operator(x, x->config.outputs[o].root));
    } else {
        for (uint32_t i = 0; i < x->operator_count; i++) {
            struct operator *op = &x->operators[i];
            if (op->active && (op->node->kind == PLAN_SCAN || op->node->kind == PLAN_VALUES)) add_step(&s, STEP_SCAN, op);
        }
        for (uint32_t i = 0; i < x->operator_count; i++) {
            struct operator *op = &x->operators[i];
            if (op->active && op->class->build) add_step(&s, STEP_BUILD, op);
        }
        for (uint32_t i = 0; i < x->operator_count; i++) {
            if (x->operators[i].active && x->operators[i].class->finish) add_step(&s, STEP_FINISH, &x->operators[i]);
        }
    }
    *steps = s.steps;
    *count = s.count;
    return STATUS_OK;
}
