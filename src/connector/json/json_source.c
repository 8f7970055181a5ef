// SPDX-License-Identifier: Apache-2.0
// json_source.c: JSON lines in a file or folder, in batch or as they grow. Spark's options. See json_files.h for partitions and offsets.
//
// A range is cut into splits of a megabyte; a split's lines are those that begin in it. A split's text is one buffer, held by its
// batches: strings are views into it.
#include "connector/json/json_files.h"
#include "connector/registry.h"
#include "json/json.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SPLIT_BYTES = 1 << 20, PADDING_BYTES = 64, LATEST_WAIT_US = 10000000, GUESSED_ROW_BYTES = 512, LATEST_FILES = 1000 };
static const int64_t line_limit_bytes = INT64_C(64) << 20;

static const struct option json_options_table[] = {
    {"path", OPTION_PATH, NULL, true, false, NULL, "a file or folder of JSON lines"},
    {"maxFilesPerTrigger", OPTION_INT, "1000", false, false, NULL, "files an epoch takes at most"},
    {"mode", OPTION_ENUM, "PERMISSIVE", false, false, "PERMISSIVE|FAILFAST|DROPMALFORMED", "what becomes of a malformed line: a row of NULLs, a dead row, nothing"},
    {"columnNameOfCorruptRecord", OPTION_STRING, "_corrupt_record", false, false, NULL, "STRING column that gets the text of a malformed line"},
    {"multiLine", OPTION_BOOLEAN, "false", false, false, NULL, "documents over several lines: not supported"},
    {"primitivesAsString", OPTION_BOOLEAN, "false", false, false, NULL, "infer every simple value as STRING"},
    {"prefersDecimal", OPTION_BOOLEAN, "false", false, false, NULL, "infer fractions as DECIMAL"},
    {"allowComments", OPTION_BOOLEAN, "false", false, false, NULL, "accept /* … */ and // comments"},
    {"allowUnquotedFieldNames", OPTION_BOOLEAN, "false", false, false, NULL, "accept field names without quotes"},
    {"allowSingleQuotes", OPTION_BOOLEAN, "true", false, false, NULL, "accept single quotes"},
    {"allowNumericLeadingZeros", OPTION_BOOLEAN, "false", false, false, NULL, "accept 00123"},
    {"allowNonNumericNumbers", OPTION_BOOLEAN, "true", false, false, NULL, "accept NaN, Infinity"},
    {"timestampFormat", OPTION_STRING, NULL, false, false, NULL, "pattern of timestamps"},
    {"dateFormat", OPTION_STRING, NULL, false, false, NULL, "pattern of dates"},
    {NULL, OPTION_STRING, NULL, false, false, NULL, NULL},
};

struct json_source {
    struct source source;         // first
    struct arena arena;
    const char *path;
    const struct type *schema;    // STRUCT
    struct json_options options;
    struct json_watch watch;
    int64_t max_files;
};

static enum status full_path(const struct source_request *r, struct arena *a, const char **out, struct error *e) {
    const char *path = option_text(&r->options, "path");
    if (!path) return error_set(e, STATUS_INVALID_ARGUMENT, "LEAT_OPTION_MISSING", "the json table `%s` needs the option path", r->table_name);
    TRY(option_resolve(a, path, &path, e));
    if (strncmp(path, "file://", 7) == 0) path += 7;
    *out = path[0] == '/' || !r->base_folder ? arena_strdup(a, path) : arena_printf(a, "%s/%s", r->base_folder, path);
    return *out ? STATUS_OK : error_no_memory(e);
}

static void read_json_options(const struct source_request *r, struct json_options *o) {
    const char *mode = option_text(&r->options, "mode");
    json_options_default(o);
    o->zone = r->session->zone;
    o->depth_limit = r->session->json_depth_limit;
    o->mode = mode && strcasecmp(mode, "FAILFAST") == 0 ? JSON_FAILFAST : mode && strcasecmp(mode, "DROPMALFORMED") == 0 ? JSON_DROP_MALFORMED : JSON_PERMISSIVE;
    o->corrupt_record_column = option_text(&r->options, "columnNameOfCorruptRecord");
    o->primitives_as_string = option_number(&r->options, "primitivesAsString") != 0;
    o->prefers_decimal = option_number(&r->options, "prefersDecimal") != 0;
    o->allow_comments = option_number(&r->options, "allowComments") != 0;
    o->allow_unquoted_field_names = option_number(&r->options, "allowUnquotedFieldNames") != 0;
    o->allow_single_quotes = option_number(&r->options, "allowSingleQuotes") != 0;
    o->allow_numeric_leading_zeros = option_number(&r->options, "allowNumericLeadingZeros") != 0;
    o->allow_non_numeric_numbers = option_number(&r->options, "allowNonNumericNumbers") != 0;
}

static enum status read_range(const char *path, int64_t begin, size_t size_bytes, struct buffer *out, struct error *e) {
    if (buffer_reserve(out, size_bytes + PADDING_BYTES) != STATUS_OK) return error_no_memory(e);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return error_set_errno(e, errno, "cannot open `%s`", path);
    enum status status = STATUS_OK;
    while (out->size_bytes < size_bytes) {
        ssize_t n = pread(fd, out->data + out->size_bytes, size_bytes - out->size_bytes, begin + (int64_t)out->size_bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) status = error_set_errno(e, errno, "cannot read `%s`", path);
        if (n <= 0) break;
        out->size_bytes += (size_t)n;
    }
    close(fd);
    memset(out->data + out->size_bytes, 0, PADDING_BYTES);  // readers may look a vector's width ahead
    return status;
}

static const char *trim_line(const char *line, size_t *length) {
    while (*length && (*line == ' ' || *line == '\t' || *line == '\r')) line++, --*length;
    while (*length && (line[*length - 1] == ' ' || line[*length - 1] == '\t' || line[*length - 1] == '\r')) --*length;
    return line;
}

static enum status infer_file(const struct json_file *f, const struct json_options *options, struct memory *memory, struct arena *a, const struct type **schema, struct error *e) {
    struct buffer text;
    enum status status = STATUS_OK;
    for (int64_t at = 0, end = 0; at < f->size_bytes && status == STATUS_OK; at = end) {
        status = json_files_line_end(f, at, SPLIT_BYTES, true, memory, &end, e);
        if (status != STATUS_OK || end == at) break;
        buffer_init(&text, memory);
        status = read_range(f->path, at, (size_t)(end - at), &text, e);
        const char *line = (char *)text.data, *stop = status == STATUS_OK ? line + text.size_bytes : line;
        while (line < stop && status == STATUS_OK) {
            const char *newline = memchr(line, '\n', (size_t)(stop - line));
            size_t length = newline ? (size_t)(newline - line) : (size_t)(stop - line);
            const char *next = line + length + 1, *body = trim_line(line, &length);
            bool malformed = false;
            if (length && json_infer(a, body, length, options, schema, &malformed) != STATUS_OK) status = error_no_memory(e);
            line = next;
        }
        buffer_release(&text);
    }
    return status;
}

static enum status infer_schema(const struct source_request *r, struct arena *a, const struct type **out, struct error *e) {
    const char *path;
    struct json_files files;
    struct json_options options;
    TRY(full_path(r, a, &path, e));
    TRY(json_files_list(a, path, &files, e));
    read_json_options(r, &options);
    *out = NULL;
    for (uint32_t i = 0; i < files.count; i++) TRY(infer_file(&files.items[i], &options, r->memory, a, out, e));
    if (!*out || (*out)->id != TYPE_STRUCT) {
        error_set(e, STATUS_INVALID_QUERY, "UNABLE_TO_INFER_SCHEMA", "no columns can be inferred for `%s`: `%s` holds no JSON objects", r->table_name, path);
        error_set_hint(e, "declare the columns: CREATE TABLE %s (a INT, …) USING json OPTIONS (path '…')", r->table_name);
        return STATUS_INVALID_QUERY;
    }
    return STATUS_OK;
}

static enum status source_schema(const struct source_request *r, struct arena *a, bool offline, const struct type **out, struct error *e) {
    *out = r->declared;
    if (r->declared || offline) return STATUS_OK;
    if (r->streaming) {
        error_set(e, STATUS_INVALID_QUERY, "UNABLE_TO_INFER_SCHEMA", "a stream over `%s` needs its columns declared: they cannot be inferred from files still to come", r->table_name);
        error_set_hint(e, "CREATE TABLE %s (a INT, …) USING json OPTIONS (path '…')", r->table_name);
        return STATUS_INVALID_QUERY;
    }
    return infer_schema(r, a, out, e);
}

static enum status source_check(const struct source_request *r, struct error *e) {
    if (option_number(&r->options, "multiLine")) {
        error_set(e, STATUS_UNSUPPORTED, "UNSUPPORTED_FEATURE", "multiLine is not supported: a json table reads one document a line");
        error_set_hint(e, "write the documents one a line (jq -c . does it)");
        return STATUS_UNSUPPORTED;
    }
    return STATUS_OK;
}

static void source_close(struct source *source) {
    struct json_source *s = (struct json_source *)source;
    if (!s) return;
    json_watch_stop(&s->watch);
    arena_release(&s->arena);
    memory_free(source->request.memory, s, sizeof *s);
}

static enum status source_open(const struct source_request *r, struct source **out, struct error *e) {
    TRY(source_check(r, e));
    struct json_source *s = memory_alloc_zeroed(r->memory, sizeof *s);
    if (!s) return error_no_memory(e);
    s->source = (struct source){.class = &json_source_class, .request = *r};
    s->watch = (struct json_watch){.inotify_fd = -1, .close_fd = -1};
    arena_init(&s->arena, r->memory);
    s->max_files = option_number(&r->options, "maxFilesPerTrigger");
    if (s->max_files <= 0) s->max_files = LATEST_FILES;
    read_json_options(r, &s->options);
    enum status status = full_path(r, &s->arena, &s->path, e);
    s->schema = r->declared;
    if (status == STATUS_OK && !s->schema) status = infer_schema(r, &s->arena, &s->schema, e);
    if (status == STATUS_OK && r->streaming && !r->available_now && r->wake) json_watch_start(&s->watch, s->path, r->wake);
    if (status != STATUS_OK) {
        source_close(&s->source);
        return status;
    }
    *out = &s->source;
    return STATUS_OK;
}

static enum status source_start(struct source *source, struct arena *a, struct positions *out, struct error *e) {
    (void)source, (void)a, (void)e;
    *out = (struct positions){0};  // a file without a position is at its beginning
    return STATUS_OK;
}

static int64_t offset_of(const struct positions *from, const char *path) {
    for (uint32_t i = 0; i < from->count; i++) {
        if (from->items[i].name && strcmp(from->items[i].name, path) == 0) return from->items[i].offset;
    }
    return 0;
}

static enum status shrunk(const struct json_file *f, int64_t offset, struct error *e) {
    error_set(e, STATUS_CONFLICT, "LEAT_FILE_SHRANK", "`%s` has become shorter: it was read up to byte %lld and now has %lld", f->path, (long long)offset, (long long)f->size_bytes);
    error_set_hint(e, "put the file back as it was, or build the tables anew with --full-refresh-all");
    return STATUS_CONFLICT;
}

static enum status source_latest(struct source *source, struct arena *a, const struct positions *from, const struct budget *budget, struct ranges *out,
                                 bool *exhausted, int64_t *backlog_rows, int64_t *wake_at_us, struct error *e) {
    struct json_source *s = (struct json_source *)source;
    bool streaming = source->request.streaming;
    struct json_files files;
    TRY(json_files_list(a, s->path, &files, e));
    int64_t left = budget->row_count < INT64_MAX / GUESSED_ROW_BYTES ? budget->row_count * GUESSED_ROW_BYTES : INT64_MAX;
    if (left > budget->size_bytes) left = budget->size_bytes;
    if (!streaming) left = INT64_MAX;
    bool take_tail = !streaming || source->request.available_now || files.is_folder;
    *out = (struct ranges){.items = arena_alloc_array(a, files.count + 1, sizeof *out->items)};
    if (!out->items) return error_no_memory(e);
    bool more = false;
    for (uint32_t i = 0; i < files.count; i++) {
        const struct json_file *f = &files.items[i];
        int64_t begin = offset_of(from, f->path), end;
        if (begin > f->size_bytes) return shrunk(f, begin, e);
        if (begin == f->size_bytes) continue;
        if (left <= 0 || (streaming && out->count >= (uint64_t)s->max_files)) {
            more = true;
            break;
        }
        TRY(json_files_line_end(f, begin, left, take_tail, source->request.memory, &end, e));
        if (!streaming) end = f->size_bytes;
        if (end == begin) continue;
        more |= end < f->size_bytes && left != INT64_MAX && end - begin > left - SPLIT_BYTES;
        left -= left == INT64_MAX ? 0 : end - begin;
        out->items[out->count++] = (struct range){.partition = i, .name = f->path, .begin = begin, .end = end, .stamp = f->identity};
    }
    *exhausted = (!streaming || source->request.available_now) && !more && !out->count;
    *backlog_rows = -1;
    *wake_at_us = !streaming || source->request.available_now ? INT64_MAX : clock_monotonic_us() + (s->watch.running ? LATEST_WAIT_US : 100000);
    return STATUS_OK;
}

static enum status source_splits(struct source *source, struct arena *a, const struct ranges *ranges, struct splits *out, struct error *e) {
    (void)source;
    uint64_t count = 0;
    for (uint32_t i = 0; i < ranges->count; i++) count += (uint64_t)((ranges->items[i].end - ranges->items[i].begin + SPLIT_BYTES - 1) / SPLIT_BYTES);
    if (count > UINT32_MAX) return error_set(e, STATUS_LIMIT, "LEAT_FILE_TOO_BIG", "more than 4 PB at once");
    *out = (struct splits){.items = arena_alloc_array(a, count, sizeof *out->items)};
    if (!out->items && count) return error_no_memory(e);
    for (uint32_t i = 0; i < ranges->count; i++) {
        const struct range *g = &ranges->items[i];
        for (int64_t at = g->begin; at < g->end; at += SPLIT_BYTES) {
            struct split *s = &out->items[out->count];
            *s = (struct split){.range = *g, .sequence = out->count++, .whole_begin = g->begin, .whole_end = g->end};
            s->range.begin = at;
            if (g->end - at > SPLIT_BYTES) s->range.end = at + SPLIT_BYTES;
        }
    }
    return STATUS_OK;
}

// ---- reading one split ----

struct split_read {
    struct json_source *source;
    const struct split *split;
    struct buffer *text;
    int64_t text_begin;               // file offset of text->data[0]
    struct json_reader *reader;
    emit_batch emit;
    void *context;
    const struct dead_row_sink *dead;
};

// The split's lines: text from the first line that begins in it to the end of the last one that does.
static enum status load_text(struct split_read *r, size_t *begin, size_t *end, struct error *e) {
    const struct range *g = &r->split->range;
    const char *path = g->name;
    bool first = g->begin == r->split->whole_begin;
    r->text_begin = first ? g->begin : g->begin - 1;
    TRY(read_range(path, r->text_begin, (size_t)(g->end - r->text_begin), r->text, e));
    if ((int64_t)r->text->size_bytes < g->end - r->text_begin) return shrunk(&(struct json_file){.path = path, .size_bytes = r->text_begin + (int64_t)r->text->size_bytes}, g->end, e);
    *begin = 0;
    *end = r->text->size_bytes;
    if (!first) {
        const uint8_t *newline = memchr(r->text->data, '\n', r->text->size_bytes);
        *begin = newline ? (size_t)(newline - r->text->data) + 1 : *end;
    }
    if (*begin == *end) return STATUS_OK;  // no line begins here
    while (g->end < r->split->whole_end && r->text->data[*end - 1] != '\n') {  // the last line goes on in the next split
        int64_t at = r->text_begin + (int64_t)r->text->size_bytes, left = r->split->whole_end - at;
        if (left <= 0 || (int64_t)r->text->size_bytes > line_limit_bytes) break;
        struct buffer more;
        buffer_init(&more, r->source->source.request.memory);
        enum status status = read_range(path, at, left < 65536 ? (size_t)left : 65536, &more, e);
        const uint8_t *newline = status == STATUS_OK && more.size_bytes ? memchr(more.data, '\n', more.size_bytes) : NULL;
        size_t take = newline ? (size_t)(newline - more.data) + 1 : more.size_bytes;
        if (status == STATUS_OK && (buffer_append(r->text, more.data, take) != STATUS_OK || buffer_reserve(r->text, PADDING_BYTES) != STATUS_OK)) status = error_no_memory(e);
        buffer_release(&more);
        TRY(status);
        memset(r->text->data + r->text->size_bytes, 0, PADDING_BYTES);
        *end = r->text->size_bytes;
        if (!take) break;
    }
    return STATUS_OK;
}

struct lines {
    struct string_view *views;
    uint32_t *deltas;                 // from the first line's offset
    uint32_t count;
    int64_t first_offset;
    bool has_array;                   // a line holds several rows
};

static void take_lines(struct split_read *r, size_t *at, size_t end, struct lines *out) {
    const char *data = (char *)r->text->data;
    out->count = 0;
    out->has_array = false;
    while (*at < end && out->count < BATCH_ROWS) {
        const char *line = data + *at, *newline = memchr(line, '\n', end - *at);
        size_t length = newline ? (size_t)(newline - line) : end - *at;
        int64_t offset = r->text_begin + (int64_t)*at;
        *at += length + 1;
        if (length && (line[length - 1] == '\r' || line[0] <= ' ')) line = trim_line(line, &length);
        if (!length) continue;
        if (!out->count) out->first_offset = offset;
        if (*line == '[') out->has_array = true;
        out->deltas[out->count] = (uint32_t)(offset - out->first_offset);
        out->views[out->count++] = string_view_of(line, length);
    }
}

static enum status put_dead(struct split_read *r, const struct lines *lines, uint32_t row, const char *condition, const char *message) {
    struct dead_row dead = {.source = r->source->source.request.source_index, .partition = r->split->range.partition, .partition_name = r->split->range.name,
                            .offset = lines->first_offset + lines->deltas[row], .condition = condition, .message = message, .raw = lines->views[row]};
    return r->dead && r->dead->put ? r->dead->put(r->dead->context, &dead) : STATUS_OK;
}

// Malformed lines leave the selection where the mode says so.
static enum status sort_out(struct split_read *r, struct batch *b, const struct lines *lines, const uint8_t *outcomes, struct error *e) {
    enum json_mode mode = r->source->options.mode;
    if (mode == JSON_PERMISSIVE) return STATUS_OK;
    uint16_t *selection = arena_alloc(&b->arena, b->row_count * sizeof *selection + 1);
    if (!selection) return error_no_memory(e);
    uint32_t count = 0;
    for (uint32_t i = 0; i < b->row_count; i++) {
        if (outcomes[i] == JSON_OK) selection[count++] = (uint16_t)i;
        else if (mode == JSON_FAILFAST) TRY(put_dead(r, lines, i, "MALFORMED_RECORD_IN_PARSING.WITHOUT_SUGGESTION", "a malformed record was found while parsing; the mode is FAILFAST"));
    }
    if (count == b->row_count) return STATUS_OK;
    b->selection = selection;
    b->selected_count = count;
    return STATUS_OK;
}

static enum status read_plain(struct split_read *r, struct batch *b, const struct lines *lines, struct error *e) {
    struct column documents = {.type = &type_string, .row_count = lines->count, .values = lines->views}, rows;
    uint8_t *outcomes = arena_alloc(&b->arena, lines->count);
    if (!outcomes || json_read_column(r->reader, &documents, &(struct rows){.count = lines->count}, &b->arena, &rows, outcomes) != STATUS_OK) return error_no_memory(e);
    for (uint32_t i = 0; i < b->column_count; i++) b->columns[i] = rows.children[i];
    b->row_count = b->selected_count = lines->count;
    b->origin.offset_deltas = lines->deltas;
    b->origin.raw = lines->views;
    return sort_out(r, b, lines, outcomes, e);
}

static enum status emit_batch_of(struct split_read *r, struct batch *b) { return b->selected_count ? r->emit(r->context, b) : STATUS_OK; }

static enum status new_batch(struct split_read *r, const struct lines *lines, struct batch **out, struct error *e) {
    struct batch *b = batch_new(r->source->source.request.memory, r->source->schema->field_count);
    if (!b || batch_hold(b, r->text) != STATUS_OK) {
        batch_unref(b);
        return error_no_memory(e);
    }
    b->sequence = r->split->sequence;
    b->origin = (struct origin){.source = r->source->source.request.source_index, .partition = r->split->range.partition, .first_offset = lines->first_offset,
                                .partition_name = r->split->range.name};
    *out = b;
    return STATUS_OK;
}

// Lines that hold arrays: each element is a row. One line a batch; such files are rare.
static enum status read_array_line(struct split_read *r, const struct lines *lines, uint32_t row, struct error *e) {
    struct batch *b;
    struct column_builder rows;
    struct column built;
    uint32_t count = 0;
    enum json_outcome outcome;
    TRY(new_batch(r, lines, &b, e));
    column_builder_init(&rows, &b->arena, r->source->schema);
    const struct string_view *line = &lines->views[row];
    enum status status = json_read_line(r->reader, string_view_data(line), line->size_bytes, &rows, &count, &outcome);
    if (status == STATUS_OK) status = column_builder_finish(&rows, &built);
    if (status != STATUS_OK) error_no_memory(e);
    uint32_t *deltas = status == STATUS_OK ? arena_alloc_array(&b->arena, count + 1, sizeof *deltas) : NULL;
    uint32_t *numbers = status == STATUS_OK ? arena_alloc_array(&b->arena, count + 1, sizeof *numbers) : NULL;
    struct string_view *raw = status == STATUS_OK ? arena_alloc_array(&b->arena, count + 1, sizeof *raw) : NULL;
    if (status == STATUS_OK && (!deltas || !numbers || !raw)) status = error_no_memory(e);
    if (status == STATUS_OK && count > BATCH_ROWS) {
        status = put_dead(r, lines, row, "LEAT_ROW_TOO_BIG", "a line holds an array of more than 4096 rows");
        count = 0;
    }
    for (uint32_t i = 0; i < count && status == STATUS_OK; i++) deltas[i] = lines->deltas[row], numbers[i] = i, raw[i] = *line;
    for (uint32_t i = 0; i < b->column_count && status == STATUS_OK; i++) b->columns[i] = built.children[i];
    b->row_count = b->selected_count = count;
    b->origin.offset_deltas = deltas;
    b->origin.rows = numbers;
    b->origin.raw = raw;
    bool drop = outcome != JSON_OK && r->source->options.mode != JSON_PERMISSIVE;
    if (status == STATUS_OK && drop && r->source->options.mode == JSON_FAILFAST) {
        status = put_dead(r, lines, row, "MALFORMED_RECORD_IN_PARSING.WITHOUT_SUGGESTION", "a malformed record was found while parsing; the mode is FAILFAST");
    }
    if (status == STATUS_OK && count && !drop) status = emit_batch_of(r, b);
    batch_unref(b);
    return status;
}

static enum status read_batch(struct split_read *r, size_t *at, size_t end, struct error *e) {
    struct batch *b;
    struct lines lines = {0};
    TRY(new_batch(r, &lines, &b, e));
    lines.views = arena_alloc(&b->arena, BATCH_ROWS * sizeof *lines.views);
    lines.deltas = arena_alloc(&b->arena, BATCH_ROWS * sizeof *lines.deltas);
    enum status status = lines.views && lines.deltas ? STATUS_OK : error_no_memory(e);
    if (status == STATUS_OK) take_lines(r, at, end, &lines);
    b->origin.first_offset = lines.first_offset;
    if (status == STATUS_OK && lines.count && !lines.has_array) {
        status = read_plain(r, b, &lines, e);
        if (status == STATUS_OK) status = emit_batch_of(r, b);
    }
    for (uint32_t i = 0; lines.has_array && i < lines.count && status == STATUS_OK; i++) status = read_array_line(r, &lines, i, e);
    batch_unref(b);
    return status;
}

// Which leaves of the schema the wanted columns have.
static uint64_t *leaves_of(const struct json_source *s, const uint64_t *wanted, struct arena *a) {
    uint32_t count = json_leaf_count(s->schema), leaf = 0;
    uint64_t *out = arena_alloc_array(a, bitmap_words(count) + 1, sizeof *out);
    for (uint32_t i = 0; out && i < s->schema->field_count; i++) {
        const struct type *t = s->schema->fields[i].type;
        uint32_t own = t->id == TYPE_STRUCT ? json_leaf_count(t) : 1;
        for (uint32_t k = 0; k < own; k++) bitmap_put(out, leaf++, bitmap_get(wanted, i));
    }
    return out;
}

static bool has_corrupt_column(const struct json_source *s) {
    const char *name = s->options.corrupt_record_column;
    return name && type_field_index(s->schema, name, true) >= 0;
}

static enum status source_read(struct source *source, const struct split *split, uint32_t worker, const uint64_t *wanted, emit_batch emit, void *context,
                               const struct dead_row_sink *dead, struct error *e) {
    struct json_source *s = (struct json_source *)source;
    struct split_read r = {.source = s, .split = split, .emit = emit, .context = context, .dead = dead};
    struct arena scratch;
    size_t at, end;
    (void)worker;
    arena_init(&scratch, source->request.memory);
    bool prune = wanted && s->options.mode == JSON_PERMISSIVE && !has_corrupt_column(s);
    uint64_t *leaves = prune ? leaves_of(s, wanted, &scratch) : NULL;
    r.text = buffer_new(source->request.memory, SPLIT_BYTES + PADDING_BYTES + 1);
    enum status status = r.text && (leaves || !prune) ? json_reader_new(source->request.memory, s->schema, &s->options, leaves, &r.reader) : STATUS_NO_MEMORY;
    if (status != STATUS_OK) error_no_memory(e);
    if (status == STATUS_OK) status = load_text(&r, &at, &end, e);
    while (status == STATUS_OK && at < end) status = read_batch(&r, &at, end, e);
    json_reader_free(r.reader);
    buffer_unref(r.text);
    arena_release(&scratch);
    return status;
}

static enum status source_print(const struct source *source, const struct positions *positions, struct buffer *out) {
    (void)source;
    TRY(buffer_append_byte(out, '{'));
    for (uint32_t i = 0; i < positions->count; i++) {
        const char *name = positions->items[i].name ? positions->items[i].name : "";
        TRY(buffer_append_string(out, i ? "," : ""));
        TRY(json_write_string(name, strlen(name), out));
        TRY(buffer_printf(out, ":%lld", (long long)positions->items[i].offset));
    }
    return buffer_append_byte(out, '}');
}

static const char *source_describe(const struct source *source) { return arena_printf(&((struct json_source *)(uintptr_t)source)->arena, "FileStreamSource[%s]", ((const struct json_source *)source)->path); }

const struct source_class json_source_class = {
    .name = "json", .options = json_options_table, .schema = source_schema, .check = source_check, .open = source_open, .start = source_start, .latest = source_latest,
    .splits = source_splits, .read = source_read, .print = source_print, .describe = source_describe, .close = source_close,
};
