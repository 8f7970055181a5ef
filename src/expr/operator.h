// SPDX-License-Identifier: Apache-2.0
// operator.h: what operators and the functions beside them (mod, pmod, try_add …) share.
#pragma once
#include "arithmetic.h"
#include "compare.h"
#include "expr/function.h"

enum status bind_arithmetic(struct binding *b, enum arithmetic op, bool is_try, struct error *e) WARN_UNUSED;
enum status bind_comparison(struct binding *b, enum comparison op, struct error *e) WARN_UNUSED;
// Brings two operands to one type, or BINARY_OP_DIFF_TYPES.
enum status bind_same_types(struct binding *b, struct error *e) WARN_UNUSED;
enum status binary_type_error(struct binding *b, const char *condition, const char *detail, struct error *e) WARN_UNUSED;

// Kernels of other files, listed in operator.c's table.
enum status bind_like(struct binding *b, struct error *e) WARN_UNUSED;        // like.c
enum status bind_ilike(struct binding *b, struct error *e) WARN_UNUSED;
enum status bind_in(struct binding *b, struct error *e) WARN_UNUSED;          // in_list.c
enum status bind_element(struct binding *b, struct error *e) WARN_UNUSED;     // element.c
void kernel_in_list(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval);
void kernel_like(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval);
