// SPDX-License-Identifier: Apache-2.0
// project.c: new columns from old ones. Stateless; a column that is only passed on is shared with the input.
#include "exec/operator.h"

static enum status project_open(struct operator *op, struct error *e) {
    const struct program *program;
    TRY(program_compile(&op->execution->arena, op->execution->config.session, op->node->exprs, op->node->expr_count, op->node->wanted, &program, e));
    op->self = (void *)(uintptr_t)program;
    return STATUS_OK;
}

static enum status project_push(struct operator *op, struct worker *w, uint32_t input_index, struct batch *b) {
    (void)input_index;
    struct batch *out = batch_derive(b, op->execution->memory, op->node->expr_count);
    if (!out) return worker_no_memory(w);
    enum status status = worker_run(w, op->self, b, &out->arena, out->columns);
    struct rows rows = batch_rows(b), kept = rows;
    if (status == STATUS_OK) status = worker_drop_failed(w, op, b, &rows, &out->arena, &kept);
    if (status == STATUS_OK) {
        out->selection = kept.indices;
        out->selected_count = kept.count;
        operator_count(op, w, FATE_PASSED, kept.count);
        status = operator_emit(op, w, out);
    }
    batch_unref(out);
    return status;
}

const struct operator_class project_class = {.name = "Project", .partition_count = 1, .open = project_open, .push = project_push};
