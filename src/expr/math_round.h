// SPDX-License-Identifier: Apache-2.0
// math_round.h: round, bround, ceil and floor: binders for math.c's table.
#pragma once
#include "expr/function.h"

enum status bind_round(struct binding *b, struct error *e) WARN_UNUSED;
enum status bind_bround(struct binding *b, struct error *e) WARN_UNUSED;
enum status bind_ceil(struct binding *b, struct error *e) WARN_UNUSED;
enum status bind_floor(struct binding *b, struct error *e) WARN_UNUSED;
