// SPDX-License-Identifier: Apache-2.0
// json_source.c: JSON lines in a file or folder, in batch or as they grow. Spark's options. See json_files.h for partitions and offsets.
//
// A range is cut into splits of a megabyte; a split's lines are those that begin in it. A split's text is one buffer, held by its
// batches: strings are views into it.
#include "connector/json/json_files.h"
#include "connector/registry.h"
#include "expr/datetime_pattern.h"
#include "json/json.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SPLIT_BYTES = 1 << 20, PADDING_BYTES = 64, LATEST_WAIT_US = 10000000, GUESSED_ROW_BYTES = 512, GUESSED_LINE_BYTES = 256, LATEST_FILES = 1000 };
enum { DEAD_RAW_BYTES = 65536 };  // of a line that is too long, what is kept of it
static const uint64_t line_limit_bytes = UINT64_C(16) << 20;

static const struct option json_options_table[] = {
    {"path", OPTION_PATH, NULL, true, false, NULL, "a file or folder of JSON lines"},
    {"maxFilesPerTrigger", OPTION_INT, "1000", false, false, NULL, "files an epoch takes at most"},
    {"mode", OPTION_ENUM, "PERMISSIVE", false, false, "PERMISSIVE|FAILFAST|DROPMALFORMED",
     "what becomes of a malformed line: a row of NULLs, a dead row, nothing; a stream that sets none makes it a dead row"},
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
    const char *path;             // where it is
    const char *written;          // as the table says it: files are known by that, so that the pipeline may be moved or run from elsewhere
    bool dead_malformed;          // a line that is no row goes to the dead-letter table
    const struct type *schema;    // STRUCT
    struct json_options options;
    struct json_watch watch;
    int64_t max_files;
};

static enum status full_path(const struct source_request *r, struct arena *a, const char **out, const char **written, struct error *e) {
    const char *path = option_text(&r->options, "path");
    if (!path) return error_set(e, STATUS_INVALID_ARGUMENT, "LEAT_OPTION_MISSING", "the json table `%s` needs the option path", r->table_name);
    TRY(option_resolve(a, path, &path, e));
    if (strncmp(path, "file://", 7) == 0) path += 7;
    while (path[0] == '.' && path[1] == '/') path += 2;
    *written = path;
    *out = path[0] == '/' || !r->base_folder ? arena_strdup(a, path) : arena_printf(a, "%s/%s", r->base_folder, path);
    return *out ? STATUS_OK : error_no_memory(e);
}

// Patterns of dates and timestamps, compiled; they live in the arena.
static enum status read_formats(const struct source_request *r, struct arena *a, struct json_options *o, struct error *e) {
    const char *timestamp = option_text(&r->options, "timestampFormat"), *date = option_text(&r->options, "dateFormat"), *condition = NULL;
    if (!timestamp && !date) return STATUS_OK;
    struct datetime_formats *formats = arena_alloc_zeroed(a, sizeof *formats);
    if (!formats) return error_no_memory(e);
    formats->zones = r->session->zones;
    formats->zone = r->session->zone;
    if (!datetime_formats_compile(a, formats, DATETIME_READ, timestamp, NULL, date, &condition)) {
        if (!condition) return error_no_memory(e);
        return error_set(e, STATUS_INVALID_ARGUMENT, condition, "timestampFormat or dateFormat of `%s`: %s", r->table_name, datetime_pattern_message(condition));
    }
    o->timestamp_format = timestamp;
    o->date_format = date;
    o->parse_pattern = datetime_parse_for_json;
    o->parse_context = formats;
    return STATUS_OK;
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
    const char *path, *written;
    struct json_files files;
    struct json_options options;
    TRY(full_path(r, a, &path, &written, e));
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

static bool has_corrupt_column(const struct json_source *s) {
    const char *name = s->options.corrupt_record_column;
    return name && type_field_index(s->schema, name, true) >= 0;
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
    enum status status = read_formats(r, &s->arena, &s->options, e);
    if (status == STATUS_OK) status = full_path(r, &s->arena, &s->path, &s->written, e);
    s->schema = r->declared;
    if (status == STATUS_OK && !s->schema) status = infer_schema(r, &s->arena, &s->schema, e);
    s->dead_malformed = r->streaming && !option_is_set(&r->options, "mode") && !(s->schema && has_corrupt_column(s));
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

// The name of a file of the table, and back: the part after the table's path is the same.
static const char *name_of_file(const struct json_source *s, struct arena *a, const char *path) { return arena_printf(a, "%s%s", s->written, path + strlen(s->path)); }

static const char *file_of_name(const struct json_source *s, struct arena *a, const char *name) {
    size_t n = strlen(s->written);
    return strncmp(name, s->written, n) == 0 ? arena_printf(a, "%s%s", s->path, name + n) : arena_strdup(a, name);
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
        const char *name = name_of_file(s, a, f->path);
        if (!name) return error_no_memory(e);
        int64_t begin = offset_of(from, name), end;
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
        struct range *g = &out->items[out->count++];
        *g = (struct range){.partition = i, .name = name, .begin = begin, .end = end};
        if (streaming) TRY(json_files_stamp(f->path, begin, end, &g->stamp, e));
    }
    *exhausted = (!streaming || source->request.available_now) && !more && !out->count;
    *backlog_rows = -1;
    *wake_at_us = !streaming || source->request.available_now ? INT64_MAX : clock_monotonic_us() + (s->watch.running ? LATEST_WAIT_US : 100000);
    return STATUS_OK;
}

// What an intent says is to be read must still be what it was: an epoch that runs again gives the same rows.
static enum status check_stamps(const struct source *source, struct arena *a, const struct ranges *ranges, struct error *e) {
    for (uint32_t i = 0; source->request.streaming && i < ranges->count; i++) {
        const struct range *g = &ranges->items[i];
        int64_t stamp;
        const char *path = file_of_name((const struct json_source *)source, a, g->name);
        if (!path) return error_no_memory(e);
        TRY(json_files_stamp(path, g->begin, g->end, &stamp, e));
        if (stamp == g->stamp) continue;
        error_set(e, STATUS_CONFLICT, "FAILED_READ_FILE", "`%s` has changed since the epoch that reads it was begun", g->name);
        error_set_hint(e, "put the file back as it was, or build the tables anew with --full-refresh-all");
        return STATUS_CONFLICT;
    }
    return STATUS_OK;
}

static enum status source_splits(struct source *source, struct arena *a, const struct ranges *ranges, struct splits *out, struct error *e) {
    uint64_t count = 0;
    TRY(check_stamps(source, a, ranges, e));
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
    const char *path;                 // of the split's file
    struct buffer *text;
    int64_t text_begin;               // file offset of text->data[0]
    struct json_reader *reader;
    emit_batch emit;
    void *context;
    const struct dead_row_sink *dead;
};

static uint64_t line_limit(const struct split_read *r) {
    uint64_t given = r->source->source.request.session->row_bytes_limit;
    return given ? given : line_limit_bytes;
}

// The split's lines: text from the first line that begins in it to the end of the last one that does.
static enum status load_text(struct split_read *r, size_t *begin, size_t *end, struct error *e) {
    const struct range *g = &r->split->range;
    const char *path = r->path;
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
    int64_t part = 4096;
    for (; g->end < r->split->whole_end && r->text->data[*end - 1] != '\n'; part = 65536) {  // the last line goes on in the next split
        int64_t at = r->text_begin + (int64_t)r->text->size_bytes, left = r->split->whole_end - at;
        if (left <= 0 || r->text->size_bytes > SPLIT_BYTES + line_limit(r)) break;  // too long a line is cut off here
        struct buffer more;
        buffer_init(&more, r->source->source.request.memory);
        enum status status = read_range(path, at, left < part ? (size_t)left : (size_t)part, &more, e);
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

// A batch being filled, a row at a time.
struct rows_read {
    struct batch *batch;
    uint32_t count;
    uint32_t capacity;
    struct string_view *raw;          // the row's line
    uint32_t *deltas;                 // where it begins, from the first row's line
    uint32_t *numbers;                // which row of its line; NULL: each line is one row
    uint8_t *outcomes;                // enum json_outcome
};

static enum status begin_rows(struct split_read *r, uint32_t capacity, struct rows_read *out, struct error *e) {
    *out = (struct rows_read){.capacity = capacity, .batch = batch_new(r->source->source.request.memory, r->source->schema->field_count)};
    struct batch *b = out->batch;
    if (!b || batch_hold(b, r->text) != STATUS_OK) return error_no_memory(e);
    out->raw = arena_alloc(&b->arena, capacity * sizeof *out->raw);
    out->deltas = arena_alloc(&b->arena, capacity * sizeof *out->deltas);
    out->outcomes = arena_alloc(&b->arena, capacity);
    if (!out->raw || !out->deltas || !out->outcomes) return error_no_memory(e);
    b->sequence = r->split->sequence;
    b->origin = (struct origin){.source = r->source->source.request.source_index, .partition = r->split->range.partition, .partition_name = r->split->range.name,
                                .offset_deltas = out->deltas, .raw = out->raw};
    return STATUS_OK;
}

static enum status put_dead(struct split_read *r, const struct rows_read *rows, uint32_t row, const char *condition, const char *message) {
    struct dead_row dead = {.source = r->source->source.request.source_index, .partition = r->split->range.partition, .partition_name = r->split->range.name,
                            .offset = rows->batch->origin.first_offset + rows->deltas[row], .condition = condition, .message = message, .raw = rows->raw[row]};
    return r->dead && r->dead->put ? r->dead->put(r->dead->context, &dead) : STATUS_OK;
}

static enum status put_too_long(struct split_read *r, const char *line, size_t length, int64_t offset) {
    struct dead_row dead = {.source = r->source->source.request.source_index, .partition = r->split->range.partition, .partition_name = r->split->range.name,
                            .offset = offset, .condition = "LEAT_ROW_TOO_BIG", .message = "the line is longer than leat.maxRowBytes; its beginning is kept",
                            .raw = string_view_of(line, length < DEAD_RAW_BYTES ? length : DEAD_RAW_BYTES)};
    return r->dead && r->dead->put ? r->dead->put(r->dead->context, &dead) : STATUS_OK;
}

static enum status put_malformed(struct split_read *r, const struct rows_read *rows, uint32_t row) {
    return put_dead(r, rows, row, "MALFORMED_RECORD_IN_PARSING.WITHOUT_SUGGESTION", "the line is no document of the table's columns");
}

// Rows of malformed lines leave the selection where the mode says so.
static enum status sort_out(struct split_read *r, const struct rows_read *rows, struct error *e) {
    struct batch *b = rows->batch;
    enum json_mode mode = r->source->options.mode;
    bool to_dead = mode == JSON_FAILFAST || r->source->dead_malformed;
    if (mode == JSON_PERMISSIVE && !to_dead) return STATUS_OK;
    uint16_t *selection = arena_alloc(&b->arena, b->row_count * sizeof *selection + 1);
    if (!selection) return error_no_memory(e);
    uint32_t count = 0;
    for (uint32_t i = 0; i < b->row_count; i++) {
        bool first_of_line = !rows->numbers || rows->numbers[i] == 0;
        if (rows->outcomes[i] == JSON_OK) selection[count++] = (uint16_t)i;
        else if (to_dead && first_of_line) TRY(put_malformed(r, rows, i));
    }
    if (count == b->row_count) return STATUS_OK;
    b->selection = selection;
    b->selected_count = count;
    return STATUS_OK;
}

static enum status emit_rows(struct split_read *r, struct rows_read *rows, struct error *e) {
    struct batch *b = rows->batch;
    struct column columns;
    if (!rows->count) return STATUS_OK;
    if (json_rows_finish(r->reader, &columns) != STATUS_OK) return error_no_memory(e);
    for (uint32_t i = 0; i < b->column_count; i++) b->columns[i] = columns.children[i];
    b->row_count = b->selected_count = rows->count;
    b->origin.rows = rows->numbers;
    TRY(sort_out(r, rows, e));
    return b->selected_count ? r->emit(r->context, b) : STATUS_OK;
}

// The next line that is not blank, trimmed; *at goes past it. NULL: there is none.
static inline const char *next_line(const struct split_read *r, size_t *at, size_t end, size_t *length, int64_t *offset) {
    const char *data = (const char *)r->text->data;
    while (*at < end) {
        const char *line = data + *at, *newline = memchr(line, '\n', end - *at);
        *length = newline ? (size_t)(newline - line) : end - *at;
        *offset = r->text_begin + (int64_t)*at;
        *at += *length + 1;
        if (*length && (line[*length - 1] == '\r' || line[0] <= ' ')) line = trim_line(line, length);
        if (*length) return line;
    }
    return NULL;
}

// Lines, each one row, until the batch is full or a line holds an array: that one is left to the caller.
static enum status read_lines(struct split_read *r, struct rows_read *rows, size_t *at, size_t end, struct error *e) {
    size_t length, next = *at;
    int64_t offset;
    const char *line;
    while (rows->count < rows->capacity && (line = next_line(r, &next, end, &length, &offset)) && *line != '[') {
        uint32_t added = 0;
        enum json_outcome outcome;
        if (length > line_limit(r)) {
            TRY(put_too_long(r, line, length, offset));
            *at = next;
            continue;
        }
        if (json_rows_add(r->reader, line, length, &added, &outcome) != STATUS_OK) return error_no_memory(e);
        *at = next;
        if (!added) continue;  // nothing but a comment
        if (!rows->count) rows->batch->origin.first_offset = offset;
        rows->raw[rows->count] = string_view_of(line, length);
        rows->deltas[rows->count] = (uint32_t)(offset - rows->batch->origin.first_offset);
        rows->outcomes[rows->count++] = (uint8_t)outcome;
    }
    if (!rows->count && next >= end) *at = end;  // blank lines to the end
    return STATUS_OK;
}

// A line that holds an array: each element is a row. One line a batch; such files are rare.
static enum status read_array_line(struct split_read *r, const char *line, size_t length, int64_t offset, struct error *e) {
    struct rows_read rows = {0};
    uint32_t count = 0;
    enum json_outcome outcome = JSON_OK;
    enum status status = begin_rows(r, BATCH_ROWS, &rows, e);
    if (status == STATUS_OK && (json_rows_begin(r->reader, &rows.batch->arena, 1) != STATUS_OK || json_rows_add(r->reader, line, length, &count, &outcome) != STATUS_OK)) status = error_no_memory(e);
    if (status == STATUS_OK && !(rows.numbers = arena_alloc(&rows.batch->arena, BATCH_ROWS * sizeof *rows.numbers))) status = error_no_memory(e);
    if (status == STATUS_OK) {
        rows.batch->origin.first_offset = offset;
        rows.count = count < BATCH_ROWS ? count : BATCH_ROWS;
        for (uint32_t i = 0; i < rows.count; i++) {
            rows.raw[i] = string_view_of(line, length);
            rows.deltas[i] = 0;
            rows.numbers[i] = i;
            rows.outcomes[i] = (uint8_t)outcome;
        }
        status = count > BATCH_ROWS ? put_dead(r, &rows, 0, "LEAT_ROW_TOO_BIG", "a line holds an array of more than 4096 rows") : emit_rows(r, &rows, e);
    }
    batch_unref(rows.batch);
    return status;
}

static enum status read_batch(struct split_read *r, size_t *at, size_t end, struct error *e) {
    struct rows_read rows;
    // Columns grow if lines are shorter than guessed; a small file does not pay for a full batch.
    size_t guess = (end - *at) / GUESSED_LINE_BYTES + 16;
    enum status status = begin_rows(r, BATCH_ROWS, &rows, e);
    if (status == STATUS_OK && json_rows_begin(r->reader, &rows.batch->arena, guess < BATCH_ROWS ? (uint32_t)guess : BATCH_ROWS) != STATUS_OK) status = error_no_memory(e);
    if (status == STATUS_OK) status = read_lines(r, &rows, at, end, e);
    uint32_t count = rows.count;
    if (status == STATUS_OK) status = emit_rows(r, &rows, e);
    batch_unref(rows.batch);
    size_t length;
    int64_t offset;
    const char *line = status == STATUS_OK && !count ? next_line(r, at, end, &length, &offset) : NULL;
    return line ? read_array_line(r, line, length, offset, e) : status;
}

// Which leaves of the schema the wanted columns have.
static const uint64_t *leaves_of(const struct json_source *s, const uint64_t *wanted, struct arena *a) {
    uint32_t count = json_leaf_count(s->schema), leaf = 0;
    uint64_t *out = arena_alloc_array(a, bitmap_words(count) + 1, sizeof *out);
    for (uint32_t i = 0; out && i < s->schema->field_count; i++) {
        const struct type *t = s->schema->fields[i].type;
        uint32_t own = t->id == TYPE_STRUCT ? json_leaf_count(t) : 1;
        for (uint32_t k = 0; k < own; k++) bitmap_put(out, leaf++, bitmap_get(wanted, i));
    }
    return out;
}

static enum status source_read(struct source *source, const struct split *split, uint32_t worker, const uint64_t *wanted, emit_batch emit, void *context,
                               const struct dead_row_sink *dead, struct error *e) {
    struct json_source *s = (struct json_source *)source;
    struct split_read r = {.source = s, .split = split, .emit = emit, .context = context, .dead = dead};
    struct arena scratch;
    size_t at, end;
    (void)worker;
    arena_init(&scratch, source->request.memory);
    // Where it shows which lines are malformed, every leaf is read.
    bool prune = (wanted || split->wanted_leaves) && s->options.mode == JSON_PERMISSIVE && !has_corrupt_column(s);
    const uint64_t *leaves = !prune ? NULL : split->wanted_leaves ? split->wanted_leaves : leaves_of(s, wanted, &scratch);
    r.path = file_of_name(s, &scratch, split->range.name);
    r.text = buffer_new(source->request.memory, SPLIT_BYTES + PADDING_BYTES + 1);
    enum status status = r.path && r.text && (leaves || !prune) ? json_reader_new(source->request.memory, s->schema, &s->options, leaves, &r.reader) : STATUS_NO_MEMORY;
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
    .name = "json", .options = json_options_table, .one_time_line = true, .schema = source_schema, .check = source_check, .open = source_open, .start = source_start, .latest = source_latest,
    .splits = source_splits, .read = source_read, .print = source_print, .describe = source_describe, .close = source_close,
};
