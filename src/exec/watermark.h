// SPDX-License-Identifier: Apache-2.0
// watermark.h: event time of an execution, between epochs (one thread).
#pragma once
#include "exec/exec.h"

// As committed: the watermark of a flow's last epoch (the least of its WATERMARK operators) and the latest event time met. False: it has none.
bool watermark_of(const struct execution *x, const char *flow_name, int64_t *close_us, int64_t *max_us);
