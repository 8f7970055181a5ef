// SPDX-License-Identifier: Apache-2.0
// sort_key.h: values as bytes whose memcmp order is ORDER BY's order: sorting then knows no types.
//
//     [ 0 NULL first | 1 value | 2 NULL last ]  integers: big-endian, sign flipped     doubles: total order, −0 = 0, NaN greatest
//                                               strings: 00 → 00 ff, end 00 00         arrays: 01 element …, end 00; structs: fields
//
// DESC inverts the value's bytes. Every encoding ends itself, so that several stand one after another.
#pragma once
#include "column/value.h"

enum status sort_key_write(const struct column *c, uint32_t row, bool descending, bool nulls_first, struct buffer *out) WARN_UNUSED;
