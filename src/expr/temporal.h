// SPDX-License-Identifier: Apache-2.0
// temporal.h: + − * / where dates, timestamps or intervals take part.
#pragma once
#include "arithmetic.h"
#include "expr/function.h"

// Binds the operation if one of the two arguments is temporal: *done. Leaves the binding alone otherwise.
enum status temporal_bind(struct binding *b, enum arithmetic op, bool *done, struct error *e) WARN_UNUSED;

// µs + months on the wall of a zone (NULL: UTC), the day cut to the month's length; false: out of range.
bool temporal_add_months(int64_t us, int64_t months, const struct timezone *zone, int64_t *out);
// µs + a day-time interval, whole days on the wall of a zone.
bool temporal_add_days_and_us(int64_t us, int64_t days, int64_t rest_us, const struct timezone *zone, int64_t *out);
bool temporal_add_months_to_date(int32_t days, int64_t months, int32_t *out);
