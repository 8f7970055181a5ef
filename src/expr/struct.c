// SPDX-License-Identifier: Apache-2.0
// struct.c: struct and named_struct. A struct column has no values of its own: its fields are the arguments' columns, shared. The names that
// struct() takes from its arguments are the analyzer's business, which writes named_struct; here they are col1, col2 …
#include "expr/collection.h"
#include "expr/functions.h"

// Which argument is field i: first + i * step.
struct struct_layout {
    uint32_t count, first, step;
};

static void kernel_struct(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    const struct struct_layout *layout = eval->call->data;
    (void)rows;
    out->children = arena_alloc_array(eval->arena, (size_t)layout->count + 1, sizeof *out->children);
    if (!out->children) {
        eval->status = STATUS_NO_MEMORY;
        return;
    }
    for (uint32_t i = 0; i < layout->count; i++) out->children[i] = *args[layout->first + i * layout->step];
}

static enum status finish(struct binding *b, struct field *fields, struct struct_layout layout, struct error *e) {
    struct struct_layout *kept = arena_alloc(b->arena, sizeof *kept);
    if (!kept) return error_no_memory(e);
    *kept = layout;
    for (uint32_t i = 0; i < layout.count; i++) {
        const struct expr *arg = b->args[layout.first + i * layout.step];
        fields[i].type = arg->type;
        fields[i].nullable = arg->nullable;
    }
    b->data = kept;
    b->nullable = false;
    b->result = type_struct(b->arena, fields, layout.count);
    return b->result ? STATUS_OK : error_no_memory(e);
}

static enum status bind_struct(struct binding *b, struct error *e) {
    struct field *fields = arena_alloc_array(b->arena, (size_t)b->arg_count + 1, sizeof *fields);
    if (!fields) return error_no_memory(e);
    for (uint32_t i = 0; i < b->arg_count; i++) {
        bool named = b->args[i]->kind == EXPR_COLUMN && b->args[i]->name;
        fields[i].name = named ? b->args[i]->name : arena_printf(b->arena, "col%u", i + 1);
        if (!fields[i].name) return error_no_memory(e);
    }
    return finish(b, fields, (struct struct_layout){.count = b->arg_count, .first = 0, .step = 1}, e);
}

static enum status bind_named_struct(struct binding *b, struct error *e) {
    if (b->arg_count % 2) {
        error_set(e, STATUS_INVALID_QUERY, "WRONG_NUM_ARGS.WITHOUT_SUGGESTION", "the `%s` requires 2n (n > 0) parameters but the actual number is %u", b->name,
                  b->arg_count);
        if (e) e->span = b->span;
        return STATUS_INVALID_QUERY;
    }
    struct field *fields = arena_alloc_array(b->arena, (size_t)b->arg_count / 2 + 1, sizeof *fields);
    if (!fields) return error_no_memory(e);
    for (uint32_t i = 0; i < b->arg_count / 2; i++) {
        const struct column *name = NULL;
        bool text = b->args[2 * i]->type->id == TYPE_STRING && expr_is_constant(b->args[2 * i]);
        if (text) TRY(binding_constant(b, 2 * i, &name, e));
        else return collection_refuse(b, 2 * i, "DATATYPE_MISMATCH.CREATE_NAMED_STRUCT_WITHOUT_FOLDABLE_STRING", "a field's name must be a constant text", e);
        if (!name) return collection_refuse(b, 2 * i, "DATATYPE_MISMATCH.UNEXPECTED_NULL", "a field's name must not be NULL", e);
        const struct string_view *v = column_string(name, 0);
        fields[i].name = arena_strndup(b->arena, string_view_data(v), v->size_bytes);
        if (!fields[i].name) return error_no_memory(e);
    }
    return finish(b, fields, (struct struct_layout){.count = b->arg_count / 2, .first = 1, .step = 2}, e);
}

static const struct function functions[] = {
    {"struct", "(ANY...) -> STRUCT", kernel_struct, bind_struct, FUNCTION_HANDLES_NULL | FUNCTION_NEVER_NULL,
     "A struct of the arguments; a field is named as its column or alias, else col1, col2 …", "struct(1, 2, 3)", "{1, 2, 3}"},
    {"named_struct", "(STRING, ANY...) -> STRUCT", kernel_struct, bind_named_struct, FUNCTION_HANDLES_NULL | FUNCTION_NEVER_NULL,
     "A struct of the given names and values", "named_struct('a', 1, 'b', 2)", "{1, 2}"},
};

const struct function_table struct_functions = {functions, sizeof functions / sizeof *functions, "struct"};
