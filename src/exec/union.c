// SPDX-License-Identifier: Apache-2.0
// union.c: UNION ALL by position: the batch itself goes on.
#include "exec/operator.h"

static enum status pass_push(struct operator *op, struct worker *w, uint32_t input_index, struct batch *b) {
    (void)input_index;
    operator_count(op, w, FATE_PASSED, b->selected_count);
    return operator_emit(op, w, b);
}

// One record may come through several inputs: the branch tells its rows apart.
static enum status union_push(struct operator *op, struct worker *w, uint32_t input_index, struct batch *b) {
    uint32_t branch = b->origin.branch * op->node->input_count + input_index;
    if (branch == b->origin.branch) return pass_push(op, w, input_index, b);
    struct batch *out = batch_derive(b, op->execution->memory, b->column_count);
    if (!out) return worker_no_memory(w);
    memcpy(out->columns, b->columns, sizeof *b->columns * b->column_count);
    out->origin.branch = branch;
    enum status status = pass_push(op, w, input_index, out);
    batch_unref(out);
    return status;
}

const struct operator_class union_class = {.name = "Union", .partition_count = 1, .push = union_push};
