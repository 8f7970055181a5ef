// SPDX-License-Identifier: Apache-2.0
// options.c: making a reader: options with Spark's defaults, the schema compiled, the scanner chosen for this processor.
#include "json/reader.h"

void json_options_default(struct json_options *o) {
    *o = (struct json_options){
        .mode = JSON_PERMISSIVE,
        .corrupt_record_column = "_corrupt_record",
        .allow_single_quotes = true,
        .allow_non_numeric_numbers = true,
    };
}

uint32_t json_leaf_count(const struct type *schema) {
    if (schema->id != TYPE_STRUCT) return 1;
    uint32_t count = 0;
    for (uint32_t i = 0; i < schema->field_count; i++) count += json_leaf_count(schema->fields[i].type);
    return count;
}

static bool keep_text(struct arena *a, const char **text) {
    if (!*text) return true;
    *text = arena_strdup(a, *text);
    return *text != NULL;
}

static enum status reader_init(struct json_reader *r, const struct type *schema, const uint64_t *wanted) {
    struct json_options *o = &r->options;
    if (!keep_text(&r->arena, &o->corrupt_record_column) || !keep_text(&r->arena, &o->timestamp_format) ||
        !keep_text(&r->arena, &o->timestamp_ntz_format) || !keep_text(&r->arena, &o->date_format))
        return STATUS_NO_MEMORY;
    if ((o->timestamp_format || o->timestamp_ntz_format || o->date_format) && !o->parse_pattern) return STATUS_UNSUPPORTED;
    if (!o->zone) o->zone = &timezone_utc;
    r->zone_is_utc = o->zone == &timezone_utc || strcmp(timezone_name(o->zone), "UTC") == 0;
    json_cursor_init(&r->cursor, NULL, 0, json_flags_of(o), o->depth_limit, json_scanner_best());

    bool by_name = schema->id == TYPE_STRUCT;
    const char *corrupt_name = by_name ? o->corrupt_record_column : NULL;
    // Whether a record is corrupt is asked of all its fields, so then all are read, whatever is wanted.
    if (o->mode == JSON_FAILFAST || o->mode == JSON_DROP_MALFORMED) wanted = NULL;
    uint32_t leaf = 0;
    for (uint32_t i = 0; by_name && wanted && corrupt_name && i < schema->field_count; i++) {
        if (strcmp(schema->fields[i].name, corrupt_name) == 0 && bitmap_get(wanted, leaf)) wanted = NULL;
        leaf += json_leaf_count(schema->fields[i].type);
    }
    leaf = 0;
    TRY(json_node_compile(&r->root, schema, &r->arena, wanted, &leaf, corrupt_name, o->parse_interval != NULL));
    r->root.wanted = true;
    for (uint32_t i = 0; by_name && i < r->root.child_count; i++)
        if (r->root.children[i].is_corrupt_record && r->root.children[i].wanted) r->corrupt = &r->root.children[i];
    return STATUS_OK;
}

enum status json_reader_new(struct memory *memory, const struct type *schema, const struct json_options *options, const uint64_t *wanted,
                            struct json_reader **out) {
    *out = NULL;
    if (schema->id != TYPE_STRUCT && schema->id != TYPE_ARRAY && schema->id != TYPE_MAP) return STATUS_INVALID_ARGUMENT;
    struct json_reader *r = memory_alloc_zeroed(memory, sizeof *r);
    if (!r) return STATUS_NO_MEMORY;
    r->memory = memory;
    arena_init(&r->arena, memory);
    arena_init(&r->line_arena, memory);
    buffer_init(&r->text, memory);
    if (options) r->options = *options;
    else json_options_default(&r->options);
    enum status status = reader_init(r, schema, wanted);
    if (status != STATUS_OK) {
        json_reader_free(r);
        return status;
    }
    *out = r;
    return STATUS_OK;
}

void json_reader_free(struct json_reader *r) {
    if (!r) return;
    buffer_release(&r->text);
    arena_release(&r->line_arena);
    arena_release(&r->arena);
    memory_free(r->memory, r, sizeof *r);
}

bool json_valid(const char *text, size_t size_bytes, uint32_t depth_limit, size_t *error_offset) {
    struct json_cursor c;
    json_cursor_init(&c, text, size_bytes, JSON_FLAG_STRICT_UTF8, depth_limit, json_scanner_best());
    bool valid = json_skip_value(&c);
    if (valid) valid = json_peek(&c) < 0;
    if (!valid && error_offset) *error_offset = (size_t)(c.next - c.begin);
    return valid;
}
