// SPDX-License-Identifier: Apache-2.0
// operator_bind.c: which types the operands of arithmetic and comparison meet in, and which kernel then computes.
#include "column/decimal.h"
#include "expr/coerce.h"
#include "expr/program.h"
#include "operand.h"
#include "operator.h"
#include "temporal.h"

enum status binary_type_error(struct binding *b, const char *condition, const char *detail, struct error *e) {
    const char *l = type_name_sql(b->arena, b->args[0]->type), *r = type_name_sql(b->arena, b->args[b->arg_count > 1]->type);
    error_set(e, STATUS_INVALID_QUERY, condition, "cannot resolve \"%s\" due to data type mismatch: %s (\"%s\" and \"%s\")", b->name, detail, l, r);
    if (e) {
        e->span = b->span;
        error_set_label(e, "%s with %s", l, r);
    }
    return STATUS_INVALID_QUERY;
}

static enum status different_types(struct binding *b, struct error *e) {
    return binary_type_error(b, "DATATYPE_MISMATCH.BINARY_OP_DIFF_TYPES", "the left and right operands of the binary operator have incompatible types", e);
}

static enum status wrong_type(struct binding *b, const char *wanted, struct error *e) {
    const char *detail = arena_printf(b->arena, "the binary operator requires the input type \"%s\"", wanted);
    return binary_type_error(b, "DATATYPE_MISMATCH.BINARY_OP_WRONG_TYPE", detail ? detail : wanted, e);
}

static enum status cast_both(struct binding *b, const struct type *t, struct error *e) {
    if (!t) return error_no_memory(e);
    for (uint32_t i = 0; i < 2; i++) {
        b->args[i] = expr_cast(b->arena, b->args[i], t, CAST_IMPLICIT);
        if (!b->args[i]) return error_no_memory(e);
    }
    return STATUS_OK;
}

// Structs compare by position: their fields' names need not be the same.
static bool same_shape(const struct type *l, const struct type *r) {
    if (!type_is_nested(l)) return type_equal(l, r);
    if (l->id != r->id || l->field_count != r->field_count) return false;
    for (uint32_t i = 0; i < l->field_count; i++)
        if (!same_shape(l->fields[i].type, r->fields[i].type)) return false;
    return true;
}

enum status bind_same_types(struct binding *b, struct error *e) {
    const struct type *l = b->args[0]->type, *r = b->args[1]->type;
    bool text = l->id == TYPE_STRING || r->id == TYPE_STRING;
    const struct type *common = text ? coerce_common(b->arena, l, r) : coerce_tightest_common(b->arena, l, r);
    if (!common && same_shape(l, r)) common = l;
    if (!common) return different_types(b, e);
    return cast_both(b, common, e);
}

// The smallest DECIMAL that holds an integer operand: of its digits if it is a literal, of its type otherwise.
static const struct type *decimal_of_operand(struct arena *a, const struct expr *operand) {
    enum type_id id = operand->type->id;
    if (operand->kind != EXPR_LITERAL || operand->nullable || id < TYPE_SMALLINT || id > TYPE_BIGINT) return decimal_for(a, operand->type);
    int64_t value = id == TYPE_SMALLINT ? column_int16(operand->literal, 0) : id == TYPE_INT ? column_int32(operand->literal, 0) : column_int64(operand->literal, 0);
    uint8_t digits = 1;
    for (int64_t rest = value / 10; rest; rest /= 10) digits++;
    return type_decimal(a, digits, 0);
}

static enum status bind_decimals(struct binding *b, enum arithmetic op, struct error *e) {
    static const char names[ARITHMETIC_COUNT] = {[ADD] = '+', [SUBTRACT] = '-', [MULTIPLY] = '*', [DIVIDE] = '/',
                                                 [INTEGRAL_DIVIDE] = 'd', [REMAINDER] = '%', [POSITIVE_REMAINDER] = '%'};
    for (uint32_t i = 0; i < 2; i++) {
        if (b->args[i]->type->id == TYPE_DECIMAL) continue;
        const struct type *t = decimal_of_operand(b->arena, b->args[i]);
        if (!t) return error_no_memory(e);
        b->args[i] = expr_cast(b->arena, b->args[i], t, CAST_IMPLICIT);
        if (!b->args[i]) return error_no_memory(e);
    }
    b->result = op == INTEGRAL_DIVIDE ? &type_bigint : decimal_result(b->arena, names[op], b->args[0]->type, b->args[1]->type);
    b->kernel = decimal_kernel(op);
    return b->result ? STATUS_OK : error_no_memory(e);
}

// A string operand is read as a number, a NULL takes the other's type.
static enum status settle_operands(struct binding *b, enum arithmetic op, struct error *e) {
    for (uint32_t i = 0; i < 2; i++) {
        const struct type *mine = b->args[i]->type, *other = b->args[1 - i]->type;
        const struct type *to = NULL;
        if (mine->id == TYPE_NULL) to = type_is_numeric(other) ? other : op == INTEGRAL_DIVIDE ? &type_bigint : &type_double;
        else if (mine->id == TYPE_STRING && type_is_integral(other)) to = &type_bigint;
        else if (mine->id == TYPE_STRING && type_is_numeric(other)) to = &type_double;
        if (!to) continue;
        b->args[i] = expr_cast(b->arena, b->args[i], to, CAST_IMPLICIT);
        if (!b->args[i]) return error_no_memory(e);
    }
    return STATUS_OK;
}

enum status bind_arithmetic(struct binding *b, enum arithmetic op, bool is_try, struct error *e) {
    TRY(binding_require_count(b, 2, 2, e));
    bool temporal;
    TRY(temporal_bind(b, op, &temporal, e));
    if (temporal) return STATUS_OK;
    TRY(settle_operands(b, op, e));
    const struct type *l = b->args[0]->type, *r = b->args[1]->type;
    if (!type_is_numeric(l) || !type_is_numeric(r)) return type_equal(l, r) ? wrong_type(b, "NUMERIC", e) : different_types(b, e);
    bool fraction = l->id == TYPE_FLOAT || l->id == TYPE_DOUBLE || r->id == TYPE_FLOAT || r->id == TYPE_DOUBLE;
    if (is_try) b->data = (void *)(uintptr_t)arithmetic_is_try;
    if (is_try || op == DIVIDE) b->nullable |= is_try;
    if (!fraction && (l->id == TYPE_DECIMAL || r->id == TYPE_DECIMAL)) return bind_decimals(b, op, e);
    const struct type *common;
    if (op == DIVIDE) {
        common = &type_double;
    } else if (op == INTEGRAL_DIVIDE) {
        if (fraction) return type_equal(l, r) ? wrong_type(b, "BIGINT", e) : different_types(b, e);
        common = &type_bigint;
    } else {
        common = coerce_tightest_common(b->arena, l, r);
    }
    TRY(cast_both(b, common, e));
    b->result = common;
    b->kernel = arithmetic_kernel(op, common->id);
    return STATUS_OK;
}

// The constant BIGINT that an expression is; false: it is none.
static bool constant_bigint(struct binding *b, struct expr *x, int64_t *out) {
    const struct column *value;
    struct error ignored;
    if (x->type->id != TYPE_BIGINT || !expr_is_constant(x)) return false;
    if (program_fold(b->arena, b->session, x, &value, &ignored) != STATUS_OK || !column_is_valid(value, 0)) return false;
    *out = column_int64(value, 0);
    return true;
}

// x % constant = 0 is the usual way to sample: it becomes one multiplication a row, and cannot fail.
static enum status try_is_multiple(struct binding *b, struct error *e) {
    struct expr *remainder = b->args[0];
    int64_t zero, divisor;
    if (remainder->kind != EXPR_CALL || remainder->call.kernel != arithmetic_kernel(REMAINDER, TYPE_BIGINT) || remainder->call.data) return STATUS_OK;
    if (!constant_bigint(b, b->args[1], &zero) || zero != 0 || !constant_bigint(b, remainder->args[1], &divisor)) return STATUS_OK;
    if (divisor == INT64_MIN) return STATUS_OK;
    if (divisor < 0) divisor = -divisor;
    if (divisor < 2) return STATUS_OK;
    struct expr *args[2] = {remainder->args[0], expr_bigint(b->arena, divisor)};
    if (!args[1]) return error_no_memory(e);
    return function_call_named(b->arena, b->session, "is multiple", args, 2, b->span, &b->replacement, e);
}

enum status bind_comparison(struct binding *b, enum comparison op, struct error *e) {
    TRY(binding_require_count(b, 2, 2, e));
    TRY(bind_same_types(b, e));
    const struct type *t = b->args[0]->type;
    if (!type_is_orderable(t)) return binary_type_error(b, "DATATYPE_MISMATCH.INVALID_ORDERING_TYPE", "the operator does not support ordering on this type", e);
    b->result = &type_boolean;
    b->kernel = comparison_kernel(op, t);
    return op == COMPARE_EQUAL ? try_is_multiple(b, e) : STATUS_OK;
}
