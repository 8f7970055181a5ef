// SPDX-License-Identifier: Apache-2.0
// cast_functions.c: the names of types used as functions: int(x) is CAST(x AS INT).
#include "expr/coerce.h"
#include "expr/functions.h"

struct cast_name {
    const char *name;
    const struct type *type;   // NULL: DECIMAL(10,0)
};

static enum status cast_bind(struct binding *b, struct error *e) {
    static const struct cast_name names[] = {
        {"boolean", &type_boolean}, {"tinyint", &type_tinyint}, {"smallint", &type_smallint}, {"int", &type_int},       {"bigint", &type_bigint}, {"float", &type_float},
        {"double", &type_double},   {"string", &type_string},   {"binary", &type_binary},     {"date", &type_date},     {"timestamp", &type_timestamp}, {"decimal", NULL},
    };
    TRY(binding_require_count(b, 1, 1, e));
    const struct type *to = NULL;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i].name, b->function->name) == 0) to = names[i].type;
    }
    if (!to) to = type_decimal(b->arena, 10, 0);
    if (!to) return error_no_memory(e);
    const struct type *from = b->args[0]->type;
    if (!cast_allowed(from, to)) {
        enum status status = error_set(e, STATUS_INVALID_QUERY, "DATATYPE_MISMATCH.CAST_WITHOUT_SUGGESTION", "cannot cast %s to %s",
                                       type_name_sql(b->arena, from), type_name_sql(b->arena, to));
        if (e) e->span = b->args[0]->span;
        return status;
    }
    b->replacement = expr_cast(b->arena, b->args[0], to, CAST_ANSI);
    return b->replacement ? STATUS_OK : error_no_memory(e);
}

static const struct function cast_list[] = {
    {"boolean", "(ANY) -> BOOLEAN", NULL, cast_bind, 0, "As a BOOLEAN", "boolean('true')", "true"},
    {"tinyint", "(ANY) -> TINYINT", NULL, cast_bind, 0, "As a TINYINT", "tinyint('1')", "1"},
    {"smallint", "(ANY) -> SMALLINT", NULL, cast_bind, 0, "As a SMALLINT", "smallint('1')", "1"},
    {"int", "(ANY) -> INT", NULL, cast_bind, 0, "As an INT", "int('42')", "42"},
    {"bigint", "(ANY) -> BIGINT", NULL, cast_bind, 0, "As a BIGINT", "bigint('42')", "42"},
    {"float", "(ANY) -> FLOAT", NULL, cast_bind, 0, "As a FLOAT", "float('1.5')", "1.5"},
    {"double", "(ANY) -> DOUBLE", NULL, cast_bind, 0, "As a DOUBLE", "double('1.5')", "1.5"},
    {"decimal", "(ANY) -> DECIMAL(10,0)", NULL, cast_bind, 0, "As a DECIMAL(10,0)", "decimal('42')", "42"},
    {"string", "(ANY) -> STRING", NULL, cast_bind, 0, "As a STRING", "string(42)", "42"},
    {"binary", "(ANY) -> BINARY", NULL, cast_bind, 0, "As a BINARY", "hex(binary('a'))", "61"},
    {"date", "(ANY) -> DATE", NULL, cast_bind, 0, "As a DATE", "date('2024-01-31')", "2024-01-31"},
    {"timestamp", "(ANY) -> TIMESTAMP", NULL, cast_bind, 0, "As a TIMESTAMP", "timestamp('2024-01-31 10:00:00')", "2024-01-31 10:00:00"},
};

const struct function_table cast_functions = {cast_list, sizeof cast_list / sizeof cast_list[0], "cast"};
