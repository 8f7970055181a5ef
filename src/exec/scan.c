// SPDX-License-Identifier: Apache-2.0
// scan.c: the entry of a source's rows. run.c pushes each batch of a dataset into every active SCAN of it; a scan only counts and
// passes on: one read feeds all flows.
#include "exec/operator.h"

static enum status scan_push(struct operator *op, struct worker *w, uint32_t input_index, struct batch *b) {
    (void)input_index;
    operator_count(op, w, FATE_PASSED, b->selected_count);
    return operator_emit(op, w, b);
}

const struct operator_class scan_class = {.name = "Scan", .partition_count = 1, .push = scan_push};
