// SPDX-License-Identifier: Apache-2.0
// higher_order.h: what the functions with lambdas share: the elements of the rows asked for, side by side, with the row each belongs to.
//
//     rows asked for   0: [a b]  2: [c]         items   0 1 4       (places in the child column)
//                                               rows    0 0 2       (outer_rows of lambda_run)
#pragma once
#include "expr/collection.h"
#include "expr/program.h"

struct elements {
    uint32_t count;
    uint32_t *items;          // in the child columns
    uint16_t *outer_rows;
    bool whole;               // items are 0, 1, 2 …: the child column can be taken as it is
};

// The elements of a list column's rows. False: no memory, status is set.
bool elements_of(const struct column *list, const struct rows *rows, struct eval *eval, struct elements *out);
// A child column's values at those places: shared where possible. False as above.
bool elements_column(const struct elements *from, const struct column *child, struct eval *eval, struct column *out);
// The places in their lists, counted from 0, as an INT column.
bool elements_places(const struct elements *from, struct eval *eval, struct column *out);

// The lambda argument at `index`, with its body cast to `to` (an untyped NULL always can be). UNEXPECTED_INPUT_TYPE otherwise.
enum status lambda_returns(struct binding *b, uint32_t index, const struct type *to, struct error *e) WARN_UNUSED;
enum status lambda_require(struct binding *b, uint32_t index, struct error *e) WARN_UNUSED;
// Parameters of the lambda at an argument, for the call's data.
enum status lambda_keep_count(struct binding *b, uint32_t index, struct error *e) WARN_UNUSED;
struct lambda_call {
    uint32_t parameter_count;
    bool has_finish;          // aggregate: a fourth argument
};
