// SPDX-License-Identifier: Apache-2.0
// datetime_kernels.h: what the datetime_*.c files share: the wall clock of a value, and reading constant arguments at bind time.
#pragma once
#include "column/datetime.h"
#include "expr/datetime_pattern.h"
#include "expr/function.h"
#include "expr/operand.h"

// The zone a value of this type is shown in; NULL: none, it is a wall clock's already.
static inline const struct timezone *datetime_zone(const struct type *t, const struct eval *eval) {
    return t->id == TYPE_TIMESTAMP ? eval->session->zone : NULL;
}
static inline int64_t datetime_to_wall(int64_t us, const struct timezone *zone) { return zone ? timezone_to_wall(zone, us) : us; }
static inline int64_t datetime_from_wall(int64_t us, const struct timezone *zone) { return zone ? timezone_to_utc(zone, us) : us; }

static inline const struct string_view *datetime_text(const struct column *c, uint32_t row) {
    return (const struct string_view *)c->values + operand_index(c, row);
}
static inline int32_t datetime_int32(const struct column *c, uint32_t row) { return ((const int32_t *)c->values)[operand_index(c, row)]; }
static inline int64_t datetime_int64(const struct column *c, uint32_t row) { return ((const int64_t *)c->values)[operand_index(c, row)]; }

// The text of a STRING argument if it is a constant and not NULL; *out is NULL else.
enum status datetime_constant_text(struct binding *b, uint32_t index, const struct string_view **out, struct error *e) WARN_UNUSED;
// Fails the binding, the place being the argument's.
enum status datetime_refuse(struct binding *b, uint32_t index, const char *condition, const char *message, struct error *e) WARN_UNUSED;
