// SPDX-License-Identifier: Apache-2.0
// json_functions.c: from_json, to_json and what looks into JSON text. The reading and writing itself is json/.
//
// from_json makes a reader a batch: it belongs to one worker, and learns the shape of the documents within the batch.
#include "base/utf8.h"
#include "expr/datetime_pattern.h"
#include "expr/from_json.h"
#include "expr/functions.h"
#include <strings.h>

static enum status invalid_option(struct binding *b, const char *name, const char *value, struct error *e) {
    error_set(e, STATUS_INVALID_QUERY, "INVALID_OPTIONS", "the option %s of %s cannot be '%s'", name, b->name, value);
    e->span = b->span;
    return STATUS_INVALID_QUERY;
}

static bool read_boolean(const char *value, bool *out) {
    bool yes = strcasecmp(value, "true") == 0;
    if (!yes && strcasecmp(value, "false") != 0) return false;
    *out = yes;
    return true;
}

// Spark's names of the switches; options leat does not know are passed over, as Spark passes over those.
static enum status read_option(struct binding *b, struct json_options *o, const char *key, const char *value, struct error *e) {
    const struct { const char *name; bool *flag; } flags[] = {
        {"primitivesAsString", &o->primitives_as_string}, {"prefersDecimal", &o->prefers_decimal}, {"allowComments", &o->allow_comments},
        {"allowUnquotedFieldNames", &o->allow_unquoted_field_names}, {"allowSingleQuotes", &o->allow_single_quotes},
        {"allowNumericLeadingZeros", &o->allow_numeric_leading_zeros}, {"allowNonNumericNumbers", &o->allow_non_numeric_numbers},
        {"allowBackslashEscapingAnyCharacter", &o->allow_backslash_escaping_any}, {"allowUnquotedControlChars", &o->allow_unquoted_control_characters},
    };
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        if (strcasecmp(key, flags[i].name) == 0) return read_boolean(value, flags[i].flag) ? STATUS_OK : invalid_option(b, key, value, e);
    }
    if (strcasecmp(key, "mode") == 0) {
        o->mode = strcasecmp(value, "FAILFAST") == 0 ? JSON_FAILFAST : JSON_PERMISSIVE;  // Spark takes unknown words for PERMISSIVE
        if (strcasecmp(value, "DROPMALFORMED") == 0) {
            error_set(e, STATUS_INVALID_QUERY, "PARSE_MODE_UNSUPPORTED", "the function `from_json` does not support the mode %s", value);
            error_set_hint(e, "use PERMISSIVE or FAILFAST");
            e->span = b->span;
            return STATUS_INVALID_QUERY;
        }
    }
    if (strcasecmp(key, "columnNameOfCorruptRecord") == 0) o->corrupt_record_column = value;
    if (strcasecmp(key, "timestampFormat") == 0) o->timestamp_format = value;
    if (strcasecmp(key, "timestampNTZFormat") == 0) o->timestamp_ntz_format = value;
    if (strcasecmp(key, "dateFormat") == 0) o->date_format = value;
    if (strcasecmp(key, "timeZone") == 0) {
        const struct timezone *zone = timezone_find(b->session->zones, value, strlen(value));
        if (!zone) return invalid_option(b, key, value, e);
        o->zone = zone;
    }
    return STATUS_OK;
}

static char *text_of(struct arena *a, const struct column *c, uint32_t row) {
    const struct string_view *v = column_string(c, row);
    return arena_strndup(a, string_view_data(v), v->size_bytes);
}

// The options argument: a constant MAP<STRING, STRING>. *map: NULL if there is none.
static enum status options_map(struct binding *b, uint32_t index, const struct column **map, struct error *e) {
    const struct type *type = b->args[index]->type;
    *map = NULL;
    if (type->id != TYPE_MAP) {
        error_set(e, STATUS_INVALID_QUERY, "INVALID_OPTIONS.NON_MAP_FUNCTION", "the options of %s must be made with map('key', 'value', …)", b->name);
        e->span = b->args[index]->span;
        return STATUS_INVALID_QUERY;
    }
    enum type_id key = type->fields[0].type->id, value = type->fields[1].type->id;
    if (key == TYPE_NULL && value == TYPE_NULL) return STATUS_OK;  // map()
    if (key != TYPE_STRING || value != TYPE_STRING) {
        error_set(e, STATUS_INVALID_QUERY, "INVALID_OPTIONS.NON_STRING_TYPE", "the options of %s must be a MAP<STRING, STRING>, not a %s", b->name, type_name_sql(b->arena, type));
        e->span = b->args[index]->span;
        return STATUS_INVALID_QUERY;
    }
    TRY(binding_constant(b, index, map, e));
    if (*map && !column_is_valid(*map, 0)) *map = NULL;
    return STATUS_OK;
}

static enum status read_options(struct binding *b, uint32_t index, struct json_options *o, struct error *e) {
    const struct column *map;
    TRY(options_map(b, index, &map, e));
    if (!map) return STATUS_OK;
    for (int32_t i = column_list_begin(map, 0); i < column_list_end(map, 0); i++) {
        if (!column_is_valid(&map->children[1], (uint32_t)i)) continue;
        char *key = text_of(b->arena, &map->children[0], (uint32_t)i), *value = text_of(b->arena, &map->children[1], (uint32_t)i);
        if (!key || !value) return error_no_memory(e);
        TRY(read_option(b, o, key, value, e));
    }
    return STATUS_OK;
}

// Every field may be missing from a document, whatever the schema says.
static const struct type *all_nullable(struct arena *a, const struct type *t) {
    if (!type_is_nested(t)) return t;
    struct field *fields = arena_alloc_array(a, t->field_count + 1, sizeof *fields);
    struct type *copy = arena_alloc(a, sizeof *copy);
    if (!fields || !copy) return NULL;
    for (uint32_t i = 0; i < t->field_count; i++) {
        fields[i] = t->fields[i];
        fields[i].nullable = !(t->id == TYPE_MAP && i == 0);
        fields[i].type = all_nullable(a, t->fields[i].type);
        if (!fields[i].type) return NULL;
    }
    *copy = *t;
    copy->fields = fields;
    return copy;
}

// The column of the schema that takes records which cannot be read, if there is one: it must be a STRING.
static enum status find_corrupt_column(struct binding *b, struct from_json_data *data, struct error *e) {
    const struct type *t = data->schema;
    for (uint32_t i = 0; t->id == TYPE_STRUCT && i < t->field_count; i++) {
        if (strcmp(t->fields[i].name, data->options.corrupt_record_column) != 0) continue;
        data->has_corrupt_column = true;
        if (t->fields[i].type->id == TYPE_STRING) continue;
        error_set(e, STATUS_INVALID_QUERY, "INVALID_CORRUPT_RECORD_TYPE", "the column %s is for records that cannot be read and must be a STRING, not a %s",
                  t->fields[i].name, type_name_sql(b->arena, t->fields[i].type));
        e->span = b->args[1]->span;
        return STATUS_INVALID_QUERY;
    }
    return STATUS_OK;
}

// No text is made of a number here, as elsewhere: Spark takes these arguments as they are.
static enum status require_text(struct binding *b, uint32_t index, struct error *e) {
    enum type_id id = b->args[index]->type->id;
    if (id == TYPE_STRING || id == TYPE_NULL) return binding_cast(b, index, &type_string, e);
    error_set(e, STATUS_INVALID_QUERY, "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE", "argument %u of %s must be a STRING, not a %s", (unsigned)index + 1, b->name,
              type_name_sql(b->arena, b->args[index]->type));
    e->span = b->args[index]->span;
    return STATUS_INVALID_QUERY;
}

static enum status bind_text(struct binding *b, struct error *e) {
    uint32_t count = strcmp(b->function->name, "get_json_object") == 0 ? 2 : 1;
    TRY(binding_require_count(b, count, count, e));
    for (uint32_t i = 0; i < count; i++) TRY(require_text(b, i, e));
    b->result = count == 2 ? &type_string : strcmp(b->function->name, "json_array_length") == 0 ? &type_int : type_array(b->arena, &type_string, true);
    return b->result ? STATUS_OK : error_no_memory(e);
}

// The patterns of the options, compiled; json/ reads and writes by them through its callbacks.
static enum status compile_formats(struct binding *b, enum datetime_use use, const struct timezone *zone, const char *timestamp, const char *timestamp_ntz,
                                   const char *date, struct datetime_formats **out, struct error *e) {
    const char *condition = NULL;
    struct datetime_formats *formats = arena_alloc_zeroed(b->arena, sizeof *formats);
    if (!formats) return error_no_memory(e);
    formats->zones = b->session->zones;
    formats->zone = zone;
    *out = formats;
    if (datetime_formats_compile(b->arena, formats, use, timestamp, timestamp_ntz, date, &condition)) return STATUS_OK;
    if (!condition) return error_no_memory(e);
    error_set(e, STATUS_INVALID_QUERY, condition, "a format among the options of %s: %s", b->name, datetime_pattern_message(condition));
    e->span = b->span;
    return STATUS_INVALID_QUERY;
}

static enum status use_patterns(struct binding *b, struct json_options *o, struct error *e) {
    struct datetime_formats *formats;
    if (!o->timestamp_format && !o->timestamp_ntz_format && !o->date_format) return STATUS_OK;
    TRY(compile_formats(b, DATETIME_READ, o->zone, o->timestamp_format, o->timestamp_ntz_format, o->date_format, &formats, e));
    o->parse_pattern = datetime_parse_for_json;
    o->parse_context = formats;
    return STATUS_OK;
}

static enum status from_json_bind(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 2, 3, e));
    TRY(require_text(b, 0, e));
    struct from_json_data *data = arena_alloc_zeroed(b->arena, sizeof *data);
    if (!data) return error_no_memory(e);
    json_options_default(&data->options);
    data->options.zone = b->session->zone;
    data->options.depth_limit = b->session->json_depth_limit;
    if (!data->options.corrupt_record_column) data->options.corrupt_record_column = "_corrupt_record";
    data->options.parse_interval = interval_from_text;
    TRY(json_schema_argument(b, 1, &data->schema, e));
    if (b->arg_count == 3) TRY(read_options(b, 2, &data->options, e));
    TRY(use_patterns(b, &data->options, e));
    data->schema = all_nullable(b->arena, data->schema);
    if (!data->schema) return error_no_memory(e);
    TRY(find_corrupt_column(b, data, e));
    b->data = data;
    b->result = data->schema;
    b->nullable = true;
    b->arg_count = 1;
    return STATUS_OK;
}

static char first_character(const struct string_view *v) {
    const char *s = string_view_data(v);
    for (uint32_t i = 0; i < v->size_bytes; i++) {
        if (s[i] != ' ' && s[i] != '\t' && s[i] != '\n' && s[i] != '\r') return s[i];
    }
    return 0;
}

static void kernel_from_json(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    const struct from_json_data *data = eval->call->data;
    struct json_reader *reader = NULL;
    struct column value;
    uint8_t *outcomes = eval_alloc(eval, eval->row_count ? eval->row_count : 1);
    if (!outcomes) return;
    enum status status = json_reader_new(eval->memory, data->schema, &data->options, data->wanted, &reader);
    if (status == STATUS_OK) status = json_read_column(reader, args[0], rows, eval->arena, &value, outcomes);
    json_reader_free(reader);
    if (status != STATUS_OK) {
        eval->status = status;
        return;
    }
    out->values = value.values;
    out->children = value.children;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        if (value.validity && !bitmap_get(value.validity, row)) out_set_null(out, row);
        if (outcomes[row] == JSON_MALFORMED && data->options.mode == JSON_FAILFAST) {
            const struct string_view *text = column_string(args[0], row);
            bool array = data->schema->id == TYPE_STRUCT && first_character(text) == '[';
            const char *condition = array ? "MALFORMED_RECORD_IN_PARSING.CANNOT_PARSE_JSON_ARRAYS_AS_STRUCTS" : "MALFORMED_RECORD_IN_PARSING.WITHOUT_SUGGESTION";
            eval_fail_value(eval, row, condition, "a malformed record was found while parsing; the parse mode is FAILFAST", string_view_data(text), text->size_bytes);
        }
    }
}

static enum status read_write_option(struct binding *b, struct json_write_options *o, const char *key, const char *value, struct error *e) {
    if (strcasecmp(key, "ignoreNullFields") == 0) o->keep_nulls = strcasecmp(value, "false") == 0;
    if (strcasecmp(key, "pretty") == 0) o->pretty = strcasecmp(value, "true") == 0;
    if (strcasecmp(key, "timestampFormat") == 0) o->timestamp_format = value;
    if (strcasecmp(key, "timestampNTZFormat") == 0) o->timestamp_ntz_format = value;
    if (strcasecmp(key, "dateFormat") == 0) o->date_format = value;
    if (strcasecmp(key, "timeZone") == 0) {
        o->zone = timezone_find(b->session->zones, value, strlen(value));
        if (!o->zone) return invalid_option(b, key, value, e);
    }
    return STATUS_OK;
}

static enum status to_json_bind(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 1, 2, e));
    struct json_write_options *data = arena_alloc_zeroed(b->arena, sizeof *data);
    if (!data) return error_no_memory(e);
    data->zone = b->session->zone;
    if (!type_is_nested(b->args[0]->type) && b->args[0]->type->id != TYPE_NULL) {
        error_set(e, STATUS_INVALID_QUERY, "DATATYPE_MISMATCH.INVALID_JSON_SCHEMA", "to_json writes a STRUCT, ARRAY or MAP, not a %s", type_name_sql(b->arena, b->args[0]->type));
        error_set_hint(e, "wrap it: to_json(struct(…)) or to_json(named_struct('name', …))");
        e->span = b->args[0]->span;
        return STATUS_INVALID_QUERY;
    }
    if (b->arg_count == 2) {
        const struct column *map = NULL;
        TRY(options_map(b, 1, &map, e));
        for (int32_t i = map ? column_list_begin(map, 0) : 0; map && i < column_list_end(map, 0); i++) {
            char *key = text_of(b->arena, &map->children[0], (uint32_t)i), *value = text_of(b->arena, &map->children[1], (uint32_t)i);
            if (!key || !value) return error_no_memory(e);
            TRY(read_write_option(b, data, key, value, e));
        }
    }
    if (data->timestamp_format || data->timestamp_ntz_format || data->date_format) {
        struct datetime_formats *formats;
        TRY(compile_formats(b, DATETIME_PRINT, data->zone, data->timestamp_format, data->timestamp_ntz_format, data->date_format, &formats, e));
        data->print_pattern = datetime_print_for_json;
        data->print_context = formats;
    }
    b->data = data;
    b->result = &type_string;
    b->arg_count = 1;
    return STATUS_OK;
}

static void kernel_to_json(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    const struct json_write_options *data = eval->call->data;
    struct buffer text;
    buffer_init(&text, eval->memory);
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        buffer_clear(&text);
        if (json_write(args[0], row, data, &text) != STATUS_OK) {
            eval->status = STATUS_NO_MEMORY;
            break;
        }
        out_set_string(out, row, (char *)text.data, text.size_bytes, eval);
    }
    buffer_release(&text);
}

static void kernel_get_json_object(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    struct buffer text;
    buffer_init(&text, eval->memory);
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        const struct string_view *document = column_string(args[0], row), *path = column_string(args[1], row);
        bool found = false;
        buffer_clear(&text);
        if (json_path(string_view_data(document), document->size_bytes, string_view_data(path), path->size_bytes, &text, &found) != STATUS_OK) {
            eval->status = STATUS_NO_MEMORY;
            break;
        }
        if (found) out_set_string(out, row, text.data ? (char *)text.data : "", text.size_bytes, eval);
        else out_set_null(out, row);
    }
    buffer_release(&text);
}

// Reads the document as an array or object whose values are texts: its length and its keys are all that is asked for.
static enum status read_as(const struct type *shape, const struct column *documents, const struct rows *rows, struct eval *eval, struct column *out, uint8_t *outcomes) {
    struct json_options options;
    struct json_reader *reader = NULL;
    json_options_default(&options);
    options.zone = eval->session->zone;
    options.allow_non_numeric_numbers = false;
    options.allow_unquoted_control_characters = true;  // what Spark passes over, it does not look into
    enum status status = json_reader_new(eval->memory, shape, &options, NULL, &reader);
    if (status == STATUS_OK) status = json_read_column(reader, documents, rows, eval->arena, out, outcomes);
    json_reader_free(reader);
    if (status != STATUS_OK) eval->status = status;
    return status;
}

static void kernel_json_array_length(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    const struct type *shape = type_array(eval->arena, &type_string, true);
    uint8_t *outcomes = eval_alloc(eval, eval->row_count ? eval->row_count : 1);
    struct column arrays;
    if (!shape) eval->status = STATUS_NO_MEMORY;
    if (!shape || !outcomes || read_as(shape, args[0], rows, eval, &arrays, outcomes) != STATUS_OK) return;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        bool is_array = first_character(column_string(args[0], row)) == '[' && outcomes[row] == JSON_OK && column_is_valid(&arrays, row);
        if (is_array) ((int32_t *)out->values)[row] = column_list_end(&arrays, row) - column_list_begin(&arrays, row);
        else out_set_null(out, row);
    }
}

static void kernel_json_object_keys(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    const struct type *shape = type_map(eval->arena, &type_string, &type_string, true);
    uint8_t *outcomes = eval_alloc(eval, eval->row_count ? eval->row_count : 1);
    struct column maps;
    if (!shape) eval->status = STATUS_NO_MEMORY;
    if (!shape || !outcomes || read_as(shape, args[0], rows, eval, &maps, outcomes) != STATUS_OK) return;
    out->values = maps.values;  // the keys of the maps are the arrays asked for
    out->children = &maps.children[0];
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        bool is_object = first_character(column_string(args[0], row)) == '{' && outcomes[row] == JSON_OK && column_is_valid(&maps, row);
        if (!is_object) out_set_null(out, row);
    }
}

// A field of an object as text; of equal keys the last.
static void kernel_json_tuple_field(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    const struct type *shape = type_map(eval->arena, &type_string, &type_string, true);
    uint8_t *outcomes = eval_alloc(eval, eval->row_count ? eval->row_count : 1);
    struct column maps;
    if (!shape) eval->status = STATUS_NO_MEMORY;
    if (!shape || !outcomes || read_as(shape, args[0], rows, eval, &maps, outcomes) != STATUS_OK) return;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        bool is_object = first_character(column_string(args[0], row)) == '{' && outcomes[row] == JSON_OK && column_is_valid(&maps, row);
        int32_t begin = is_object ? column_list_begin(&maps, row) : 0, at = is_object ? column_list_end(&maps, row) : 0;
        while (at > begin && !string_view_equal(column_string(&maps.children[0], (uint32_t)at - 1), column_string(args[1], row))) at--;
        if (at > begin && column_is_valid(&maps.children[1], (uint32_t)at - 1)) ((struct string_view *)out->values)[row] = *column_string(&maps.children[1], (uint32_t)at - 1);
        else out_set_null(out, row);
    }
}

static const struct function functions[] = {
    {"json_tuple_field", "(STRING, STRING) -> STRING", kernel_json_tuple_field, NULL, FUNCTION_MAY_BE_NULL | FUNCTION_HIDDEN, "A field of a JSON object as text", NULL, NULL},
    {"from_json", NULL, kernel_from_json, from_json_bind, FUNCTION_MAY_BE_NULL | FUNCTION_CAN_FAIL,
     "(text, schema[, options]): the document as a STRUCT, ARRAY or MAP; fields that do not fit are NULL", "from_json('{\"a\":1, \"b\":0.8}', 'a INT, b DOUBLE')", "{1, 0.8}"},
    {"to_json", NULL, kernel_to_json, to_json_bind, 0, "(value[, options]): a STRUCT, ARRAY or MAP as JSON text; NULL fields are left out",
     "to_json(named_struct('a', 1, 'b', 2))", "{\"a\":1,\"b\":2}"},
    {"get_json_object", "(STRING, STRING) -> STRING", kernel_get_json_object, bind_text, FUNCTION_MAY_BE_NULL, "The value at a path such as $.a[0].b, as text",
     "get_json_object('{\"a\":\"b\"}', '$.a')", "b"},
    {"json_array_length", "(STRING) -> INT", kernel_json_array_length, bind_text, FUNCTION_MAY_BE_NULL, "Number of elements of a JSON array; NULL for anything else",
     "json_array_length('[1,2,3,4]')", "4"},
    {"json_object_keys", "(STRING) -> ARRAY<STRING>", kernel_json_object_keys, bind_text, FUNCTION_MAY_BE_NULL, "The keys of a JSON object; NULL for anything else",
     "json_object_keys('{\"a\":1,\"b\":2}')", "[a, b]"},
    {"schema_of_json", NULL, NULL, schema_of_json_bind, 0, "(text): the schema of a constant document, as from_json takes it",
     "schema_of_json('{\"a\":1,\"b\":\"x\"}')", "STRUCT<a: BIGINT, b: STRING>"},
};

const struct function_table json_functions = {.functions = functions, .count = sizeof functions / sizeof functions[0], .group = "json"};
