// SPDX-License-Identifier: Apache-2.0
// result.c: see result.h.
#include "cli/result.h"
#include "column/value.h"
#include "connector/console/show.h"
#include "json/json.h"
#include <stdio.h>

enum { TABLE_ROWS = 10000 };

bool result_format_parse(const char *name, enum result_format *out) {
    static const char *const names[] = {"table", "csv", "jsonl", "markdown"};
    for (int i = 0; i < 4; i++) {
        if (strcmp(name, names[i]) == 0) {
            *out = (enum result_format)i;
            return true;
        }
    }
    return false;
}

static enum status flush_out(struct result_writer *w) {
    if (w->out.size_bytes) fwrite(w->out.data, 1, w->out.size_bytes, stdout);
    buffer_clear(&w->out);
    return ferror(stdout) ? STATUS_IO : STATUS_OK;
}

static enum status csv_cell(struct buffer *out, const char *text, size_t size_bytes) {
    bool quote = memchr(text, ',', size_bytes) || memchr(text, '"', size_bytes) || memchr(text, '\n', size_bytes) || memchr(text, '\r', size_bytes);
    if (!quote) return buffer_append(out, text, size_bytes);
    TRY(buffer_append_byte(out, '"'));
    for (size_t i = 0; i < size_bytes; i++) {
        if (text[i] == '"') TRY(buffer_append_byte(out, '"'));
        TRY(buffer_append_byte(out, (uint8_t)text[i]));
    }
    return buffer_append_byte(out, '"');
}

static enum status markdown_cell(struct buffer *out, const char *text, size_t size_bytes) {
    for (size_t i = 0; i < size_bytes; i++) {
        if (text[i] == '|') TRY(buffer_append_byte(out, '\\'));
        TRY(buffer_append_byte(out, text[i] == '\n' ? ' ' : (uint8_t)text[i]));
    }
    return STATUS_OK;
}

static enum status write_header(struct result_writer *w) {
    uint32_t count = w->root->attribute_count;
    if (w->format == RESULT_CSV) {
        for (uint32_t i = 0; i < count; i++) {
            if (i) TRY(buffer_append_byte(&w->out, ','));
            TRY(csv_cell(&w->out, w->names[i], strlen(w->names[i])));
        }
        return buffer_append_byte(&w->out, '\n');
    }
    if (w->format != RESULT_MARKDOWN) return STATUS_OK;
    for (uint32_t i = 0; i < count; i++) {
        TRY(buffer_append_string(&w->out, i ? " | " : "| "));
        TRY(markdown_cell(&w->out, w->names[i], strlen(w->names[i])));
    }
    TRY(buffer_append_string(&w->out, " |\n"));
    for (uint32_t i = 0; i < count; i++) TRY(buffer_append_string(&w->out, "|---"));
    return buffer_append_string(&w->out, "|\n");
}

enum status result_begin(struct result_writer *w, struct host *h, enum result_format format, const struct plan_node *root, struct error *e) {
    *w = (struct result_writer){.host = h, .format = format, .root = root};
    arena_init(&w->arena, &h->memory);
    buffer_init(&w->out, &h->memory);
    uint32_t count = root->attribute_count;
    w->names = arena_alloc_array(&w->arena, count + 1, sizeof *w->names);
    struct field *fields = arena_alloc_array(&w->arena, count + 1, sizeof *fields);
    if (!w->names || !fields) return error_no_memory(e);
    for (uint32_t i = 0; i < count; i++) {
        w->names[i] = root->attributes[i].name;
        fields[i] = (struct field){.name = root->attributes[i].name, .type = root->attributes[i].type, .nullable = true};
    }
    w->schema = type_struct(&w->arena, fields, count);
    if (format == RESULT_TABLE) {
        w->show = arena_alloc_zeroed(&w->arena, sizeof *w->show);
        if (w->show) show_init(w->show, &h->memory, h->session.zone, w->names, count, 0);
        w->row_limit = TABLE_ROWS;
    }
    if (!w->schema || (format == RESULT_TABLE && !w->show) || write_header(w) != STATUS_OK) return error_no_memory(e);
    return STATUS_OK;
}

static enum status write_text_row(struct result_writer *w, const struct batch *b, uint32_t row) {
    struct buffer cell;
    buffer_init(&cell, &w->host->memory);
    enum status status = STATUS_OK;
    bool csv = w->format == RESULT_CSV;
    for (uint32_t i = 0; i < b->column_count && status == STATUS_OK; i++) {
        const struct column *c = &b->columns[i];
        buffer_clear(&cell);
        if (column_is_valid(c, row)) status = value_print(c, row, w->host->session.zone, &cell);
        else if (!csv) status = buffer_append_string(&cell, "NULL");
        if (status == STATUS_OK) status = buffer_append_string(&w->out, csv ? (i ? "," : "") : i ? " | " : "| ");
        const char *text = cell.data ? (char *)cell.data : "";
        if (status == STATUS_OK) status = csv ? csv_cell(&w->out, text, cell.size_bytes) : markdown_cell(&w->out, text, cell.size_bytes);
    }
    buffer_release(&cell);
    return status == STATUS_OK ? buffer_append_string(&w->out, csv ? "\n" : " |\n") : status;
}

enum status result_batch(void *writer, struct batch *b) {
    struct result_writer *w = writer;
    struct rows rows = batch_rows(b);
    struct column whole = {.type = w->schema, .row_count = b->row_count, .children = b->columns};
    struct arena flat;
    arena_init(&flat, &w->host->memory);
    enum status status = w->format == RESULT_JSONL ? column_flatten(&flat, &whole, b->row_count, &whole) : STATUS_OK;
    for (uint32_t i = 0; i < rows.count && status == STATUS_OK; i++) {
        uint32_t row = rows_at(&rows, i);
        w->row_count++;
        if (w->format == RESULT_TABLE) {
            if (w->row_count <= w->row_limit) status = show_add(w->show, b, row);
        } else if (w->format == RESULT_JSONL) {
            status = json_write_value(&whole, row, w->host->session.zone, false, &w->out);
            if (status == STATUS_OK) status = buffer_append_byte(&w->out, '\n');
        } else {
            status = write_text_row(w, b, row);
        }
        if (status == STATUS_OK && w->out.size_bytes > 1 << 16) status = flush_out(w);
    }
    arena_release(&flat);
    return status;
}

enum status result_end(struct result_writer *w, struct error *e) {
    enum status status = STATUS_OK;
    if (w->format == RESULT_TABLE) status = show_print(w->show, w->row_count > w->row_limit, &w->out);
    if (status != STATUS_OK) return error_no_memory(e);
    return flush_out(w) == STATUS_OK ? STATUS_OK : error_set(e, STATUS_IO, NULL, "standard output cannot be written");
}

void result_release(struct result_writer *w) {
    if (w->show) show_release(w->show);
    buffer_release(&w->out);
    arena_release(&w->arena);
}
