// SPDX-License-Identifier: Apache-2.0
// golden_run.c: see golden_run.h.
#include "cli/golden_run.h"
#include "base/files.h"
#include "base/utf8.h"
#include "column/datetime.h"
#include "column/value.h"
#include "sql/parser.h"
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

static const int64_t first_clock_us = INT64_C(1704067200000000);  // 2024-01-01 00:00:00

void golden_run_init(struct golden_run *r, struct host *h, struct arena *a, const char *path, uint32_t threads, bool quiet) {
    *r = (struct golden_run){.host = h, .arena = a, .path = path, .threads = threads, .quiet = quiet};
    h->clock = (struct clock){.is_virtual = true, .virtual_us = first_clock_us};
    const struct timezone *utc = h->session.zones ? timezone_find(h->session.zones, "UTC", 3) : NULL;
    h->session.zone = utc ? utc : &timezone_utc;
    h->session.map_keys_last_win = false;
    memory_hub_init(&r->hub, &h->memory);
    buffer_init(&r->pipeline_text, &h->memory);
    diagnostics_init(&r->diagnostics, &h->memory, &r->text);
    vector_init(&r->rows, &h->memory, sizeof(const char *));
    vector_init(&r->replacements, &h->memory, sizeof(struct golden_replacement));
}

void golden_run_release(struct golden_run *r) {
    struct error ignored;
    if (r->stream) (void)!stream_close(r->stream, true, &ignored);
    if (r->session_open) sql_session_close(&r->session);
    memory_hub_release(&r->hub);
    buffer_release(&r->pipeline_text);
    diagnostics_release(&r->diagnostics);
    vector_release(&r->rows);
    vector_release(&r->replacements);
    if (*r->folder) (void)!folder_remove(r->folder, &ignored);
}

static enum status make_folder(struct golden_run *r, struct error *e) {
    const char *tmp = getenv("TMPDIR");
    if (*r->folder) return STATUS_OK;
    snprintf(r->folder, sizeof r->folder, "%.40s/leat-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(r->folder)) return error_set(e, STATUS_IO, NULL, "cannot make a temporary folder");
    return STATUS_OK;
}

// ---- printing rows ----

// U+0080 to U+009F, which are two bytes.
static bool high_control(const char *s, size_t n) { return n > 1 && (uint8_t)s[0] == 0xc2 && (uint8_t)s[1] >= 0x80 && (uint8_t)s[1] < 0xa0; }

static bool needs_quotes(const char *s, size_t n, bool is_null) {
    if (is_null) return false;
    if (!n || (n == 4 && memcmp(s, "NULL", 4) == 0) || s[0] == '"' || s[0] == '#' || s[0] == ' ' || s[n - 1] == ' ') return true;
    for (size_t i = 0; i < n; i++) {
        uint8_t c = (uint8_t)s[i];
        if (c == '|' || c == '\\' || c < 0x20 || c == 0x7f || high_control(s + i, n - i)) return true;
    }
    return false;
}

static enum status print_cell(struct buffer *out, const char *s, size_t n, bool is_null) {
    if (!needs_quotes(s, n, is_null)) return buffer_append(out, s, n);
    TRY(buffer_append_byte(out, '"'));
    for (size_t i = 0; i < n; i++) {
        uint8_t c = (uint8_t)s[i];
        if (c == '"' || c == '\\') TRY(buffer_printf(out, "\\%c", c));
        else if (c == '\n') TRY(buffer_append_string(out, "\\n"));
        else if (c == '\t') TRY(buffer_append_string(out, "\\t"));
        else if (c == '\r') TRY(buffer_append_string(out, "\\r"));
        else if (c < 0x20 || c == 0x7f) TRY(buffer_printf(out, "\\x%02x", c));
        else if (high_control(s + i, n - i)) TRY(buffer_printf(out, "\\x%02x", (uint8_t)s[++i]));
        else TRY(buffer_append_byte(out, c));
    }
    return buffer_append_byte(out, '"');
}

// Bytes that are no text are shown as U+FFFD, as Spark shows them.
static enum status make_valid(struct buffer *cell) {
    struct buffer text;
    size_t n = cell->size_bytes, length;
    const char *s = (const char *)cell->data;
    if (!n || utf8_valid(s, n)) return STATUS_OK;
    buffer_init(&text, cell->memory);
    enum status status = STATUS_OK;
    for (size_t i = 0; i < n && status == STATUS_OK; i += length) {
        char bytes[4];
        size_t size = utf8_encode(utf8_decode(s + i, n - i, &length), bytes);
        status = buffer_append(&text, bytes, size);
    }
    buffer_clear(cell);
    if (status == STATUS_OK) status = buffer_append(cell, text.data, text.size_bytes);
    buffer_release(&text);
    return status;
}

static enum status keep_row(struct golden_run *r, const struct batch *b, uint32_t row) {
    struct buffer line, cell;
    buffer_init(&line, &r->host->memory);
    buffer_init(&cell, &r->host->memory);
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < b->column_count && status == STATUS_OK; i++) {
        bool valid = column_is_valid(&b->columns[i], row);
        buffer_clear(&cell);
        status = valid ? value_print(&b->columns[i], row, r->host->session.zone, &cell) : buffer_append_string(&cell, "NULL");
        if (status == STATUS_OK) status = make_valid(&cell);
        if (status == STATUS_OK && i) status = buffer_append_string(&line, " | ");
        if (status == STATUS_OK) status = print_cell(&line, cell.data ? (char *)cell.data : "", cell.size_bytes, !valid);
    }
    const char *text = status == STATUS_OK ? arena_strndup(r->arena, line.data ? (char *)line.data : "", line.size_bytes) : NULL;
    if (status == STATUS_OK) status = text ? vector_push(&r->rows, &text) : STATUS_NO_MEMORY;
    buffer_release(&line);
    buffer_release(&cell);
    return status;
}

static enum status take_rows(void *context, const struct plan_node *root, struct batch *b) {
    struct rows rows = batch_rows(b);
    (void)root;
    for (uint32_t i = 0; i < rows.count; i++) TRY(keep_row(context, b, rows_at(&rows, i)));
    return STATUS_OK;
}

static int compare_lines(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

// ---- statements and queries ----

static enum status open_session(struct golden_run *r, struct error *e) {
    if (r->data_folder) r->session.data_folder = r->data_folder;
    if (r->session_open) return sql_session_reload(&r->session, e);
    TRY(make_folder(r, e));
    TRY(sql_session_open(&r->session, r->host, r->arena, r->data_folder ? r->data_folder : r->folder, RESULT_TABLE, &r->settings, NULL, e));
    r->session.take = take_rows;
    r->session.take_context = r;
    r->session.table_host = &r->hub;
    r->session_open = true;
    return STATUS_OK;
}

static void begin_text(struct golden_run *r, const char *text) {
    diagnostics_release(&r->diagnostics);
    r->text = (struct source_text){.name = r->path, .text = text, .size_bytes = strlen(text)};
    diagnostics_init(&r->diagnostics, &r->host->memory, &r->text);
    r->query_failed = false;
    error_clear(&r->query_error);
}

static void note_outcome(struct golden_run *r, enum status status, const struct error *e) {
    if (r->diagnostics.error_count) {
        r->query_failed = true;
        for (size_t i = r->diagnostics.items.count; i-- > 0;) {
            const struct diagnostic *g = vector_at(&r->diagnostics.items, i);
            if (g->severity == SEVERITY_ERROR) r->query_error = g->error;
        }
    } else if (status != STATUS_OK) {
        r->query_failed = true;
        r->query_error = *e;
    }
}

static void run_sql(struct golden_run *r, const char *text) {
    struct error e = {0};
    vector_clear(&r->rows);
    r->session.last_root = NULL;
    begin_text(r, text);
    struct sql_file file;
    uint32_t settings_before = r->settings.count;
    enum status status = settings_collect(r->arena, text, strlen(text), &r->settings);
    if (status == STATUS_OK) status = sql_text_prepare(r->host, r->arena, text, r->path, &r->settings, &file, &r->diagnostics, &e);
    if (status == STATUS_OK) r->text.text = file.text, r->text.size_bytes = file.size_bytes;
    if (status == STATUS_OK) status = open_session(r, &e);
    if (status == STATUS_OK) status = sql_session_run(&r->session, &file, &r->diagnostics, &e);
    note_outcome(r, status, &e);
    if (r->query_failed) r->settings.count = settings_before;  // a SET that was refused
}

// Words that make a statement part of the pipeline.
static bool is_of_pipeline(const char *text) {
    static const char *const words[] = {"STREAMING TABLE", "MATERIALIZED VIEW", "FLOW", "USING MEMORY", "USING RATE", "USING GENERATOR"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        for (const char *p = text; *p; p++) {
            if (strncasecmp(p, words[i], strlen(words[i])) == 0) return true;
        }
    }
    return false;
}

static enum status add_to_pipeline(struct golden_run *r, const char *text, struct error *e) {
    size_t n = strlen(text);
    while (n && (text[n - 1] == '\n' || text[n - 1] == ' ' || text[n - 1] == ';')) n--;
    if (buffer_append(&r->pipeline_text, text, n) != STATUS_OK || buffer_append_string(&r->pipeline_text, ";\n") != STATUS_OK) return error_no_memory(e);
    return STATUS_OK;
}

static void start_pipeline(struct golden_run *r) {
    struct error e = {0};
    if (r->stream || !r->has_pipeline || r->pipeline_failed) return;
    enum status status = make_folder(r, &e);
    char *text = arena_strndup(r->arena, (char *)r->pipeline_text.data, r->pipeline_text.size_bytes);
    char *data = arena_printf(r->arena, "%s/data", r->folder);
    begin_text(r, text ? text : "");
    struct stream_config config = {.text = text, .name = r->path, .base_folder = ".", .data_folder = data, .connectors = &all_connectors,
                                   .session = &r->host->session, .memory = &r->host->memory, .log = &r->host->log, .host = &r->hub, .trigger_us = 0,
                                   .worker_count = r->threads};
    if (status == STATUS_OK && text && data) status = stream_open(&config, &r->diagnostics, &r->stream, &e);
    note_outcome(r, status, &e);
    r->pipeline_failed = r->query_failed;
    r->data_folder = data;
}

static void run_epochs(struct golden_run *r) {
    struct error e = {0};
    enum step_outcome outcome = STEP_DID;
    int64_t wake_at_us;
    while (r->stream && outcome == STEP_DID) {
        enum status status = stream_step(r->stream, &outcome, &wake_at_us, &e);
        if (status == STATUS_OK) continue;
        note_outcome(r, status, &e);
        r->pipeline_failed = true;
        return;
    }
}

static enum status push_rows(struct golden_run *r, const struct golden_block *b, struct error *e) {
    for (const char *p = b->body; *p;) {
        const char *end = strchr(p, '\n');
        size_t n = end ? (size_t)(end - p) : strlen(p);
        if (memory_hub_push(&r->hub, b->argument, p, n) != STATUS_OK) return error_no_memory(e);
        p += n + (end ? 1 : 0);
    }
    run_epochs(r);
    return STATUS_OK;
}

// ---- comparing ----

static void hold(struct golden_run *r, const struct golden_block *b) {
    if (!r->differs || r->mark_used) {
        r->passed++;
        return;
    }
    r->failed++;
    printf("%s:%u: marked as different (%s), but it agrees: take the mark away\n", r->path, b->line, r->differs);
}

// False: the block is marked, and nothing is to be said.
static bool report(struct golden_run *r, const struct golden_block *b, const char *what) {
    if (r->differs) {
        r->skipped++;
        r->mark_used = true;
        return false;
    }
    r->failed++;
    printf("%s:%u: %s\n", r->path, b->line, what);
    if (r->query_failed) {
        struct diagnostic g = {.severity = SEVERITY_ERROR, .error = r->query_error};
        struct buffer out;
        buffer_init(&out, &r->host->memory);
        if (diagnostic_print(&g, &r->text, false, &out) == STATUS_OK) fwrite(out.data, 1, out.size_bytes, stdout);
        buffer_release(&out);
    }
    return true;
}

static enum status replace_body(struct golden_run *r, const struct golden_block *b, const struct buffer *text) {
    struct golden_replacement *p = vector_add(&r->replacements);
    if (!p) return STATUS_NO_MEMORY;
    *p = (struct golden_replacement){.begin = b->body_begin, .end = b->body_end, .text = arena_strndup(r->arena, text->data ? (char *)text->data : "", text->size_bytes)};
    return p->text ? STATUS_OK : STATUS_NO_MEMORY;
}

static void print_difference(const char *expected, const char *got) {
    while (*expected || *got) {  // both sorted alike: walk them together
        const char *x = strchr(expected, '\n'), *y = strchr(got, '\n');
        size_t n = x ? (size_t)(x - expected) : strlen(expected), m = y ? (size_t)(y - got) : strlen(got);
        bool same = *expected && *got && n == m && memcmp(expected, got, n) == 0;
        if (same) {
            expected += n + (x != NULL), got += m + (y != NULL);
            continue;
        }
        size_t shorter = n < m ? n : m;
        int order = !*expected ? 1 : !*got ? -1 : memcmp(expected, got, shorter);
        if (!order) order = n < m ? -1 : 1;
        if (order < 0) printf("  - %.*s\n", (int)n, expected), expected += n + (x != NULL);
        else printf("  + %.*s\n", (int)m, got), got += m + (y != NULL);
    }
}

static enum status compare_rows(struct golden_run *r, const struct golden_block *b) {
    struct buffer got;
    buffer_init(&got, &r->host->memory);
    if (!b->ordered && r->rows.count > 1) qsort(r->rows.items, r->rows.count, sizeof(const char *), compare_lines);
    enum status status = STATUS_OK;
    for (size_t i = 0; i < r->rows.count && status == STATUS_OK; i++) {
        status = buffer_append_string(&got, *(const char **)vector_at(&r->rows, i));
        if (status == STATUS_OK) status = buffer_append_byte(&got, '\n');
    }
    size_t n = strlen(b->body);
    bool same = !r->query_failed && (got.size_bytes ? got.size_bytes == n + 1 && memcmp(got.data, b->body, n) == 0 : n == 0);
    if (status == STATUS_OK && same) hold(r, b);
    else if (status == STATUS_OK) {
        bool said = report(r, b, r->query_failed ? "expected rows, got an error" : "the rows differ (- expected, + got)");
        if (said && !r->query_failed) {
            status = buffer_terminate(&got);
            if (status == STATUS_OK) print_difference(b->body, (char *)got.data);
            if (status == STATUS_OK) status = replace_body(r, b, &got);
        }
    }
    buffer_release(&got);
    return status;
}

static void compare_error(struct golden_run *r, const struct golden_block *b) {
    if (!r->query_failed) {
        report(r, b, "expected an error, got rows");
        return;
    }
    bool any = strcmp(b->condition, "-") == 0;
    bool condition = any || strcmp(r->query_error.condition, b->condition) == 0 || strncmp(b->condition, "_LEGACY_ERROR", 13) == 0;
    bool state = !b->sqlstate || strcmp(r->query_error.sqlstate, b->sqlstate) == 0;
    if (condition && state) {
        hold(r, b);
        return;
    }
    char what[256];
    snprintf(what, sizeof what, "expected error %s %s", b->condition, b->sqlstate ? b->sqlstate : "");
    report(r, b, what);
}

static bool plain_name(const char *s) {
    if (!*s || (*s >= '0' && *s <= '9')) return false;
    for (; *s; s++) {
        if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') || *s == '_')) return false;
    }
    return true;
}

static enum status print_name(struct buffer *out, const char *name) {
    if (plain_name(name)) return buffer_append_string(out, name);
    TRY(buffer_append_byte(out, '`'));
    for (const char *p = name; *p; p++) {
        uint8_t c = (uint8_t)*p;
        if (c == '`') TRY(buffer_append_string(out, "``"));
        else if (c == '\\') TRY(buffer_append_string(out, "\\\\"));
        else if (c == '\n') TRY(buffer_append_string(out, "\\n"));
        else if (c == '\t') TRY(buffer_append_string(out, "\\t"));
        else if (c == '\r') TRY(buffer_append_string(out, "\\r"));
        else if (c < 0x20 || c == 0x7f) TRY(buffer_printf(out, "\\x%02x", c));
        else TRY(buffer_append_byte(out, c));
    }
    return buffer_append_byte(out, '`');
}

static enum status compare_schema(struct golden_run *r, const struct golden_block *b) {
    struct buffer got;
    const struct plan_node *root = r->session.last_root;
    if (r->query_failed) return STATUS_OK;  // the expectation that follows says so
    buffer_init(&got, &r->host->memory);
    enum status status = STATUS_OK;
    for (uint32_t i = 0; root && i < root->attribute_count && status == STATUS_OK; i++) {
        status = print_name(&got, root->attributes[i].name);
        if (status == STATUS_OK) status = buffer_append_byte(&got, ' ');
        if (status == STATUS_OK) status = type_print(root->attributes[i].type, &got);
        if (status == STATUS_OK) status = buffer_append_byte(&got, '\n');
    }
    size_t n = strlen(b->body);
    bool same = got.size_bytes ? got.size_bytes == n + 1 && memcmp(got.data, b->body, n) == 0 : n == 0;
    if (status == STATUS_OK && same) r->passed++;
    else if (status == STATUS_OK && report(r, b, "the schema differs (- expected, + got)")) {
        status = buffer_terminate(&got);
        if (status == STATUS_OK) print_difference(b->body, (char *)got.data);
        if (status == STATUS_OK) status = replace_body(r, b, &got);
    }
    buffer_release(&got);
    return status;
}

// ---- blocks ----

static enum status set_clock(struct golden_run *r, const struct golden_block *b, struct error *e) {
    int64_t us;
    if (b->kind == GOLDEN_CLOCK) {
        if (!parse_timestamp(b->argument, strlen(b->argument), &timezone_utc, &us)) return error_set(e, STATUS_INVALID_ARGUMENT, NULL, "line %u: '%s' is no timestamp", b->line, b->argument);
        r->host->clock.virtual_us = us;
    } else {
        if (!parse_duration(b->argument, &us)) return error_set(e, STATUS_INVALID_ARGUMENT, NULL, "line %u: '%s' is no interval", b->line, b->argument);
        r->host->clock.virtual_us += us;
    }
    run_epochs(r);
    return STATUS_OK;
}

static enum status read_pipeline(struct golden_run *r, const struct golden_block *b, struct error *e) {
    struct buffer text;
    const char *slash = strrchr(r->path, '/');
    char *path = slash ? arena_printf(r->arena, "%.*s/%s", (int)(slash - r->path), r->path, b->argument) : arena_strdup(r->arena, b->argument);
    buffer_init(&text, &r->host->memory);
    enum status status = path ? file_read_all(path, 16 << 20, &text, e) : error_no_memory(e);
    if (status == STATUS_OK && buffer_terminate(&text) == STATUS_OK) status = add_to_pipeline(r, (char *)text.data, e);
    buffer_release(&text);
    r->has_pipeline = true;
    return status;
}

static enum status run_block(struct golden_run *r, const struct golden_block *b, const struct golden_block *next, struct error *e) {
    if (b->kind == GOLDEN_STATEMENT || b->kind == GOLDEN_QUERY) {
        r->differs = b->differs;
        r->mark_used = false;
    }
    switch (b->kind) {
    case GOLDEN_STATEMENT: {
        bool pipeline = r->has_pipeline || is_of_pipeline(b->body);
        r->has_pipeline = pipeline;
        TRY(add_to_pipeline(r, b->body, e));
        if (!pipeline) run_sql(r, b->body);
        bool error_wanted = next && next->kind == GOLDEN_EXPECT_ERROR;
        if (!pipeline && r->query_failed && !error_wanted) report(r, b, "the statement failed");
        return STATUS_OK;
    }
    case GOLDEN_PIPELINE: return read_pipeline(r, b, e);
    case GOLDEN_PUSH:
        start_pipeline(r);
        if (r->stream) return push_rows(r, b, e);
        return STATUS_OK;
    case GOLDEN_CLOCK:
    case GOLDEN_ADVANCE: return set_clock(r, b, e);
    case GOLDEN_QUERY:
        if (r->has_pipeline && !r->stream) start_pipeline(r);
        run_sql(r, b->body);
        if (!next || (next->kind != GOLDEN_SCHEMA && next->kind != GOLDEN_EXPECT && next->kind != GOLDEN_EXPECT_ERROR)) {
            report(r, b, "nothing is expected of this query: an `expect` block must follow");
        }
        return STATUS_OK;
    case GOLDEN_SCHEMA: return compare_schema(r, b);
    case GOLDEN_EXPECT:
        if (b->argument) {
            start_pipeline(r);
            run_epochs(r);
            if (!r->pipeline_failed) run_sql(r, arena_printf(r->arena, "SELECT * FROM %s", b->argument));
        }
        return compare_rows(r, b);
    case GOLDEN_EXPECT_ERROR:
        if (r->has_pipeline && !r->stream) start_pipeline(r);
        compare_error(r, b);
        r->query_failed = false;
        return STATUS_OK;
    }
    return STATUS_OK;
}

enum status golden_run_blocks(struct golden_run *r, const struct golden_block *blocks, uint32_t count, struct error *e) {
    for (uint32_t i = 0; i < count; i++) {
        enum status status = run_block(r, &blocks[i], i + 1 < count ? &blocks[i + 1] : NULL, e);
        if (status == STATUS_NO_MEMORY) return error_no_memory(e);
        TRY(status);
    }
    if (!r->quiet) printf("%s: %u passed, %u failed, %u skipped\n", r->path, r->passed, r->failed, r->skipped);
    return STATUS_OK;
}
