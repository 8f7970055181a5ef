// SPDX-License-Identifier: Apache-2.0
// union.c: UNION ALL by position, and nodes that change no row (WATERMARK): the batch itself goes on.
#include "exec/operator.h"

static enum status union_push(struct operator *op, struct worker *w, uint32_t input_index, struct batch *b) {
    (void)input_index;
    operator_count(op, w, FATE_PASSED, b->selected_count);
    return operator_emit(op, w, b);
}

const struct operator_class union_class = {.name = "Union", .partition_count = 1, .push = union_push};
const struct operator_class pass_class = {.name = "Watermark", .partition_count = 1, .push = union_push};
