// SPDX-License-Identifier: Apache-2.0
// map_text.c: str_to_map. Both delimiters are regular expressions; ones without a special character are searched for as they are.
#include "expr/collection.h"
#include "expr/functions.h"
#include "expr/regex_matcher.h"

// One delimiter of a call.
struct delimiter {
    struct matcher matcher;
    struct text pattern;
    bool is_plain;
};

static bool delimiter_use(struct delimiter *d, struct text pattern, uint32_t row) {
    d->pattern = pattern;
    d->is_plain = pattern.size_bytes > 0;
    for (size_t i = 0; i < pattern.size_bytes && d->is_plain; i++) d->is_plain = !strchr("\\.[]{}()*+?^$|", pattern.bytes[i]) && pattern.bytes[i];
    return d->is_plain || matcher_use(&d->matcher, pattern, row);
}

// The next delimiter at or after `from`; false: none, or the row has failed. An empty match at the beginning parts nothing.
static bool delimiter_find(struct delimiter *d, struct text subject, size_t from, uint32_t row, size_t *begin, size_t *end) {
    if (d->is_plain) {
        const char *found = from < subject.size_bytes ? memmem(subject.bytes + from, subject.size_bytes - from, d->pattern.bytes, d->pattern.size_bytes) : NULL;
        if (!found) return false;
        *begin = (size_t)(found - subject.bytes);
        *end = *begin + d->pattern.size_bytes;
        return true;
    }
    while (matcher_find(&d->matcher, subject, from, row) == 1 && matcher_group(&d->matcher, 0, begin, end)) {
        if (*end > 0 && *begin < subject.size_bytes) return true;
        from = matcher_next(&d->matcher, subject);
    }
    return false;
}

static void append_text(struct column_builder *to, struct text t) { column_builder_append_bytes(to, t.bytes, t.size_bytes, false); }

static void append_entry(struct column_builder *children, struct delimiter *between, struct text entry, uint32_t row) {
    size_t begin, end;
    if (!delimiter_find(between, entry, 0, row, &begin, &end)) {
        append_text(&children[0], entry);
        column_builder_append_null(&children[1]);
        return;
    }
    append_text(&children[0], (struct text){entry.bytes, begin});
    append_text(&children[1], (struct text){entry.bytes + end, entry.size_bytes - end});
}

static void append_entries(struct column_builder *children, struct delimiter *pairs, struct delimiter *between, struct text subject, uint32_t row) {
    size_t from = 0, at = 0, begin, end;
    while (delimiter_find(pairs, subject, from, row, &begin, &end)) {
        append_entry(children, between, (struct text){subject.bytes + at, begin - at}, row);
        at = end;
        from = end > begin ? end : matcher_next(&pairs->matcher, subject);
    }
    append_entry(children, between, (struct text){subject.bytes + at, subject.size_bytes - at}, row);
}

static void kernel_str_to_map(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    struct delimiter pairs, between;
    struct list_writer w;
    if (!list_writer_begin(&w, out, eval)) return;
    matcher_init(&pairs.matcher, eval, rows->count);
    matcher_init(&between.matcher, eval, rows->count);
    for (uint32_t i = 0; i < rows->count && eval->status == STATUS_OK; i++) {
        uint32_t row = rows_at(rows, i);
        struct column_builder *children = list_writer_row(&w, row);
        if (delimiter_use(&pairs, text_at(args[1], row), row) && delimiter_use(&between, text_at(args[2], row), row))
            append_entries(children, &pairs, &between, text_at(args[0], row), row);
        list_writer_end_row(&w);
    }
    matcher_release(&pairs.matcher);
    matcher_release(&between.matcher);
    list_writer_finish(&w);
    map_settle(out, rows, eval);
}

static enum status bind_str_to_map(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 1, 3, e));
    struct expr **all = arena_alloc_array(b->arena, 3, sizeof *all);
    if (!all) return error_no_memory(e);
    memcpy(all, b->args, b->arg_count * sizeof *all);
    if (b->arg_count < 2) all[1] = expr_string(b->arena, ",", 1);
    if (b->arg_count < 3) all[2] = expr_string(b->arena, ":", 1);
    if (!all[1] || !all[2]) return error_no_memory(e);
    b->args = all;
    b->arg_count = 3;
    TRY(binding_signature(b, "(STRING, STRING, STRING)", e));
    b->result = type_map(b->arena, &type_string, &type_string, true);
    return b->result ? STATUS_OK : error_no_memory(e);
}

static const struct function functions[] = {
    {"str_to_map", "(STRING, STRING?, STRING?) -> MAP<STRING, STRING>", kernel_str_to_map, bind_str_to_map, FUNCTION_CAN_FAIL,
     "The map written in a text; entries are parted by the first regular expression, ',' by default, keys from values by the second, ':'", "str_to_map('a:1,b:2,c:3', ',', ':')",
     "{a -> 1, b -> 2, c -> 3}"},
};

const struct function_table map_text_functions = {functions, sizeof functions / sizeof *functions, "map"};
