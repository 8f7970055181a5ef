// SPDX-License-Identifier: Apache-2.0
// regex.c: the functions that take a regular expression. The matching is regex_matcher.h's; what stands here is what is done with matches.
//
// After an empty match the search goes on one character further, as Java's Matcher.find does. A constant pattern that is wrong is an error
// of the query, not of every row.
#include "expr/functions.h"
#include "expr/regex_matcher.h"

static enum status pattern_bind(struct binding *b, const char *signature, struct error *e) {
    TRY(binding_signature(b, signature, e));
    return matcher_check(b, 1, e);
}

// rlike, regexp_like

static void kernel_rlike(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    struct matcher m;
    matcher_init(&m, eval, rows->count);
    for (uint32_t i = 0; i < rows->count && eval->status == STATUS_OK; i++) {
        uint32_t row = rows_at(rows, i);
        if (!matcher_use(&m, text_at(args[1], row), row)) continue;
        ((uint8_t *)out->values)[row] = matcher_find(&m, text_at(args[0], row), 0, row) == 1;
    }
    matcher_release(&m);
}

static enum status rlike_bind(struct binding *b, struct error *e) { return pattern_bind(b, "(STRING, STRING) -> BOOLEAN", e); }

// regexp_extract, regexp_extract_all

// Group 1 where none is asked for. False: the row has failed. A text without a match is asked for no group, as in Spark.
static bool group_wanted(const struct matcher *m, const struct column *const *args, uint32_t row, bool has_group, uint32_t *group, struct eval *eval) {
    int64_t wanted = has_group ? int_at(args[2], row) : 1;
    *group = (uint32_t)wanted;
    if (wanted >= 0 && wanted <= (int64_t)m->group_count) return true;
    eval_fail(eval, row, "INVALID_PARAMETER_VALUE.REGEX_GROUP_INDEX", "The group index is not one of the regular expression's groups");
    return false;
}

static inline void extract_rows(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval, bool has_group) {
    struct matcher m;
    matcher_init(&m, eval, rows->count);
    for (uint32_t i = 0; i < rows->count && eval->status == STATUS_OK; i++) {
        uint32_t row = rows_at(rows, i), group;
        struct text subject = text_at(args[0], row);
        size_t begin = 0, end = 0;
        if (!matcher_use(&m, text_at(args[1], row), row)) continue;
        if (matcher_find(&m, subject, 0, row) == 1) {
            if (!group_wanted(&m, args, row, has_group, &group, eval)) continue;
            if (!matcher_group(&m, group, &begin, &end)) begin = end = 0;
        }
        out_set_view(out, row, subject.bytes + begin, end - begin);
    }
    matcher_release(&m);
}

static void kernel_extract(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    extract_rows(args, out, rows, eval, false);
}
static void kernel_extract_group(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    extract_rows(args, out, rows, eval, true);
}

static enum status extract_bind(struct binding *b, struct error *e) {
    TRY(pattern_bind(b, "(STRING, STRING, INT?) -> STRING", e));
    if (b->arg_count == 3) b->kernel = kernel_extract_group;
    return STATUS_OK;
}

// One list a row, for rows that are asked for; the others are NULL.
struct list_rows {
    struct column_builder builder;
    uint32_t next_row;
};

static void list_rows_begin(struct list_rows *l, const struct column *out, struct eval *eval) {
    column_builder_init(&l->builder, eval->arena, out->type);
    l->next_row = 0;
}
static void list_rows_until(struct list_rows *l, uint32_t row) {
    for (; l->next_row < row; l->next_row++) column_builder_append_null(&l->builder);
}
static void list_rows_put(struct list_rows *l, struct text t) { column_builder_append_bytes(&l->builder.children[0], t.bytes, t.size_bytes, false); }
static void list_rows_end_row(struct list_rows *l) {
    column_builder_end_list(&l->builder);
    l->next_row++;
}
static void list_rows_finish(struct list_rows *l, struct column *out, struct eval *eval) {
    list_rows_until(l, eval->row_count);
    if (column_builder_finish(&l->builder, out) != STATUS_OK) eval->status = STATUS_NO_MEMORY;
}

static inline void extract_all_rows(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval, bool has_group) {
    struct matcher m;
    struct list_rows list;
    matcher_init(&m, eval, rows->count);
    list_rows_begin(&list, out, eval);
    for (uint32_t i = 0; i < rows->count && eval->status == STATUS_OK; i++) {
        uint32_t row = rows_at(rows, i), group;
        struct text subject = text_at(args[0], row);
        list_rows_until(&list, row);
        if (matcher_use(&m, text_at(args[1], row), row)) {
            for (size_t from = 0; matcher_find(&m, subject, from, row) == 1; from = matcher_next(&m, subject)) {
                size_t begin = 0, end = 0;
                if (!group_wanted(&m, args, row, has_group, &group, eval)) break;
                if (!matcher_group(&m, group, &begin, &end)) begin = end = 0;
                list_rows_put(&list, (struct text){subject.bytes + begin, end - begin});
            }
        }
        list_rows_end_row(&list);
    }
    matcher_release(&m);
    list_rows_finish(&list, out, eval);
}

static void kernel_extract_all(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    extract_all_rows(args, out, rows, eval, false);
}
static void kernel_extract_all_group(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    extract_all_rows(args, out, rows, eval, true);
}

static enum status texts_result(struct binding *b, struct error *e) {
    b->result = type_array(b->arena, &type_string, false);
    return b->result ? STATUS_OK : error_no_memory(e);
}

static enum status extract_all_bind(struct binding *b, struct error *e) {
    TRY(pattern_bind(b, "(STRING, STRING, INT?) -> ARRAY<STRING>", e));
    if (b->arg_count == 3) b->kernel = kernel_extract_all_group;
    return texts_result(b, e);
}

// regexp_replace

// Appends the replacement for the last match: $n and ${name} stand for groups, a backslash makes the next character plain. False: it is wrong.
static bool append_replacement(const struct matcher *m, struct text subject, struct text replacement, struct buffer *out, bool *no_memory) {
    const char *s = replacement.bytes, *end = s + replacement.size_bytes;
    while (s < end) {
        uint32_t group;
        if (*s == '\\') {
            if (++s == end) return false;
            if (buffer_append(out, s++, 1) != STATUS_OK) *no_memory = true;
            continue;
        }
        if (*s != '$') {
            const char *plain = s;
            while (s < end && *s != '$' && *s != '\\') s++;
            if (buffer_append(out, plain, (size_t)(s - plain)) != STATUS_OK) *no_memory = true;
            continue;
        }
        if (++s == end) return false;
        if (*s == '{') {
            const char *close = memchr(s, '}', (size_t)(end - s));
            char name[33];
            if (!close || close - s - 1 > 32 || close - s - 1 < 1) return false;
            memcpy(name, s + 1, (size_t)(close - s - 1));
            name[close - s - 1] = 0;
            int number = pcre2_substring_number_from_name(m->code, (const uint8_t *)name);
            if (number < 0) return false;
            group = (uint32_t)number;
            s = close + 1;
        } else {
            if (*s < '0' || *s > '9') return false;
            group = (uint32_t)(*s++ - '0');
            if (group > m->group_count) return false;
            while (s < end && *s >= '0' && *s <= '9' && group * 10 + (uint32_t)(*s - '0') <= m->group_count) group = group * 10 + (uint32_t)(*s++ - '0');
        }
        size_t begin, stop;
        if (matcher_group(m, group, &begin, &stop) && stop > begin && buffer_append(out, subject.bytes + begin, stop - begin) != STATUS_OK) *no_memory = true;
    }
    return true;
}

static void replace_row(struct matcher *m, struct text whole, struct text replacement, size_t offset, struct buffer *scratch, struct column *out, uint32_t row) {
    struct eval *eval = m->eval;
    struct text subject = {whole.bytes + offset, whole.size_bytes - offset};
    size_t copied = 0;
    bool no_memory = false, matched = false;
    buffer_clear(scratch);
    for (size_t from = 0;; from = matcher_next(m, subject)) {
        int found = matcher_find(m, subject, from, row);
        if (found < 0) return;
        if (found == 0) break;
        size_t begin = 0, end = 0;
        matcher_group(m, 0, &begin, &end);
        if (!matched && offset && buffer_append(scratch, whole.bytes, offset) != STATUS_OK) no_memory = true;
        matched = true;
        if (begin > copied && buffer_append(scratch, subject.bytes + copied, begin - copied) != STATUS_OK) no_memory = true;
        if (!append_replacement(m, subject, replacement, scratch, &no_memory)) {
            eval_fail_value(eval, row, "INVALID_REGEXP_REPLACE", "The replacement names a group that the regular expression has not", replacement.bytes, replacement.size_bytes);
            return;
        }
        copied = end;
        if (scratch->size_bytes > TEXT_MAX_BYTES || no_memory) {
            eval->status = STATUS_NO_MEMORY;
            return;
        }
    }
    if (!matched) {
        out_set_text(out, row, whole);
        return;
    }
    if (subject.size_bytes > copied && buffer_append(scratch, subject.bytes + copied, subject.size_bytes - copied) != STATUS_OK) no_memory = true;
    if (no_memory) eval->status = STATUS_NO_MEMORY;
    else out_set_string(out, row, scratch->size_bytes ? (const char *)scratch->data : "", scratch->size_bytes, eval);
}

static inline void replace_rows(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval, bool has_position) {
    struct matcher m;
    struct buffer scratch;
    matcher_init(&m, eval, rows->count);
    buffer_init(&scratch, eval->memory);
    for (uint32_t i = 0; i < rows->count && eval->status == STATUS_OK; i++) {
        uint32_t row = rows_at(rows, i);
        struct text subject = text_at(args[0], row);
        if (!matcher_use(&m, text_at(args[1], row), row)) continue;
        int64_t position = has_position ? int_at(args[3], row) : 1;
        size_t offset = position > 1 ? utf8_offset(subject.bytes, subject.size_bytes, (size_t)(position - 1)) : 0;
        if (position > 1 && offset >= subject.size_bytes) out_set_text(out, row, subject);
        else replace_row(&m, subject, text_at(args[2], row), offset, &scratch, out, row);
    }
    buffer_release(&scratch);
    matcher_release(&m);
}

static void kernel_replace(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    replace_rows(args, out, rows, eval, false);
}
static void kernel_replace_from(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    replace_rows(args, out, rows, eval, true);
}

static enum status replace_bind(struct binding *b, struct error *e) {
    TRY(pattern_bind(b, "(STRING, STRING, STRING, INT?) -> STRING", e));
    if (b->arg_count < 4) return STATUS_OK;
    b->kernel = kernel_replace_from;
    const struct column *position;
    TRY(binding_constant(b, 3, &position, e));
    if (!position || !column_is_valid(position, 0) || column_int32(position, 0) > 0) return STATUS_OK;
    return binding_value_error(b, 3, "DATATYPE_MISMATCH.VALUE_OUT_OF_RANGE", "the position must be at least 1", e);
}

// regexp_count, regexp_instr, regexp_substr

static void kernel_count(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    struct matcher m;
    matcher_init(&m, eval, rows->count);
    for (uint32_t i = 0; i < rows->count && eval->status == STATUS_OK; i++) {
        uint32_t row = rows_at(rows, i);
        struct text subject = text_at(args[0], row);
        int32_t count = 0;
        if (!matcher_use(&m, text_at(args[1], row), row)) continue;
        for (size_t from = 0; matcher_find(&m, subject, from, row) == 1; from = matcher_next(&m, subject)) count++;
        ((int32_t *)out->values)[row] = count;
    }
    matcher_release(&m);
}

static enum status count_bind(struct binding *b, struct error *e) { return pattern_bind(b, "(STRING, STRING) -> INT", e); }

static void kernel_regexp_instr(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    struct matcher m;
    matcher_init(&m, eval, rows->count);
    for (uint32_t i = 0; i < rows->count && eval->status == STATUS_OK; i++) {
        uint32_t row = rows_at(rows, i);
        struct text subject = text_at(args[0], row);
        size_t begin = 0, end;
        if (!matcher_use(&m, text_at(args[1], row), row)) continue;
        bool found = matcher_find(&m, subject, 0, row) == 1 && matcher_group(&m, 0, &begin, &end);
        ((int32_t *)out->values)[row] = found ? (int32_t)utf8_length(subject.bytes, begin) + 1 : 0;
    }
    matcher_release(&m);
}

static enum status instr_bind(struct binding *b, struct error *e) { return pattern_bind(b, "(STRING, STRING, INT?) -> INT", e); }

static void kernel_regexp_substr(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    struct matcher m;
    matcher_init(&m, eval, rows->count);
    for (uint32_t i = 0; i < rows->count && eval->status == STATUS_OK; i++) {
        uint32_t row = rows_at(rows, i);
        struct text subject = text_at(args[0], row);
        size_t begin = 0, end = 0;
        if (!matcher_use(&m, text_at(args[1], row), row)) continue;
        if (matcher_find(&m, subject, 0, row) == 1 && matcher_group(&m, 0, &begin, &end) && end > begin) out_set_view(out, row, subject.bytes + begin, end - begin);
        else out_set_null(out, row);
    }
    matcher_release(&m);
}

static enum status substr_bind(struct binding *b, struct error *e) { return pattern_bind(b, "(STRING, STRING) -> STRING", e); }

// split

static void split_characters(struct list_rows *list, struct text subject, int64_t limit) {
    size_t length;
    int64_t parts = 1;
    for (size_t at = 0; at < subject.size_bytes; at += length, parts++) {
        utf8_decode(subject.bytes + at, subject.size_bytes - at, &length);
        if (limit > 0 && parts == limit) length = subject.size_bytes - at;
        list_rows_put(list, (struct text){subject.bytes + at, length});
    }
}

static void split_plain(struct list_rows *list, struct text subject, struct text separator, int64_t limit) {
    size_t begin = 0;
    for (int64_t parts = 1; limit <= 0 || parts < limit; parts++) {
        ptrdiff_t at = text_find(subject, separator, begin);
        if (at < 0) break;
        list_rows_put(list, (struct text){subject.bytes + begin, (size_t)at - begin});
        begin = (size_t)at + separator.size_bytes;
    }
    list_rows_put(list, (struct text){subject.bytes + begin, subject.size_bytes - begin});
}

static void split_regex(struct list_rows *list, struct matcher *m, struct text subject, int64_t limit, uint32_t row) {
    size_t begin = 0;
    int64_t parts = 1;
    for (size_t from = 0; limit <= 0 || parts < limit; from = matcher_next(m, subject)) {
        size_t at = 0, end = 0;
        if (matcher_find(m, subject, from, row) != 1 || !matcher_group(m, 0, &at, &end)) break;
        if (end == 0) continue;  // an empty match at the beginning parts nothing
        list_rows_put(list, (struct text){subject.bytes + begin, at - begin});
        begin = end;
        parts++;
    }
    list_rows_put(list, (struct text){subject.bytes + begin, subject.size_bytes - begin});
}

static bool is_plain(struct text pattern) {
    for (size_t i = 0; i < pattern.size_bytes; i++) {
        if (pattern.bytes[i] == 0 || strchr("\\^$.|?*+()[]{}", pattern.bytes[i])) return false;
    }
    return true;
}

static void kernel_split(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    struct matcher m;
    struct list_rows list;
    matcher_init(&m, eval, rows->count);
    list_rows_begin(&list, out, eval);
    for (uint32_t i = 0; i < rows->count && eval->status == STATUS_OK; i++) {
        uint32_t row = rows_at(rows, i);
        struct text subject = text_at(args[0], row), pattern = text_at(args[1], row);
        int64_t limit = int_at(args[2], row);
        list_rows_until(&list, row);
        if (!pattern.size_bytes && subject.size_bytes) split_characters(&list, subject, limit);
        else if (!subject.size_bytes) list_rows_put(&list, subject);
        else if (is_plain(pattern)) split_plain(&list, subject, pattern, limit);
        else if (matcher_use(&m, pattern, row)) split_regex(&list, &m, subject, limit, row);
        list_rows_end_row(&list);
    }
    matcher_release(&m);
    list_rows_finish(&list, out, eval);
}

static enum status split_bind(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 2, 3, e));
    if (b->arg_count == 2) {
        struct expr **longer = arena_alloc_array(b->arena, 3, sizeof *longer);
        if (!longer || !(longer[2] = expr_int(b->arena, -1))) return error_no_memory(e);
        longer[0] = b->args[0];
        longer[1] = b->args[1];
        b->args = longer;
        b->arg_count = 3;
    }
    TRY(pattern_bind(b, "(STRING, STRING, INT) -> ARRAY<STRING>", e));
    return texts_result(b, e);
}

static const struct function regex_list[] = {
    {"regexp_like", "(STRING, STRING) -> BOOLEAN", kernel_rlike, rlike_bind, FUNCTION_CAN_FAIL, "Whether the regular expression matches somewhere in the text",
     "regexp_like('Spark', 'ar')", "true"},
    {"regexp", "(STRING, STRING) -> BOOLEAN", kernel_rlike, rlike_bind, FUNCTION_CAN_FAIL, "Whether the regular expression matches somewhere in the text",
     "regexp('Spark', 'x')", "false"},
    {"regexp_extract", "(STRING, STRING, INT?) -> STRING", kernel_extract, extract_bind, FUNCTION_CAN_FAIL,
     "What a group, the first by default, took of the first match; empty if there is none", "regexp_extract('100-200', '(\\\\d+)-(\\\\d+)', 2)", "200"},
    {"regexp_extract_all", "(STRING, STRING, INT?) -> ARRAY<STRING>", kernel_extract_all, extract_all_bind, FUNCTION_CAN_FAIL,
     "What a group, the first by default, took of every match", "regexp_extract_all('100-200, 300-400', '(\\\\d+)-(\\\\d+)')", "[100, 300]"},
    {"regexp_replace", "(STRING, STRING, STRING, INT?) -> STRING", kernel_replace, replace_bind, FUNCTION_CAN_FAIL,
     "With every match replaced; $1 stands for what the first group took", "regexp_replace('100-200', '(\\\\d+)', 'num')", "num-num"},
    {"regexp_count", "(STRING, STRING) -> INT", kernel_count, count_bind, FUNCTION_CAN_FAIL, "How often the regular expression matches",
     "regexp_count('Steven Jones and Stephen Smith', 'Ste(v|ph)en')", "2"},
    {"regexp_instr", "(STRING, STRING, INT?) -> INT", kernel_regexp_instr, instr_bind, FUNCTION_CAN_FAIL, "Where the first match begins, from 1; 0 if there is none",
     "regexp_instr('abc123', '[0-9]')", "4"},
    {"regexp_substr", "(STRING, STRING) -> STRING", kernel_regexp_substr, substr_bind, FUNCTION_CAN_FAIL | FUNCTION_MAY_BE_NULL, "The first match; NULL if there is none",
     "regexp_substr('abc123', '[0-9]+')", "123"},
    {"split", "(STRING, STRING, INT?) -> ARRAY<STRING>", kernel_split, split_bind, FUNCTION_CAN_FAIL,
     "The parts between matches, at most so many if the limit is positive", "split('oneAtwoBthreeC', '[ABC]')", "[one, two, three, ]"},
};

const struct function_table regex_functions = {regex_list, sizeof regex_list / sizeof regex_list[0], "regex"};
