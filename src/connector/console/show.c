// SPDX-License-Identifier: Apache-2.0
// show.c: see show.h.
#include "connector/console/show.h"
#include "base/utf8.h"
#include "column/value.h"

enum { LEAST_WIDTH = 3 };

void show_init(struct show *s, struct memory *memory, const struct timezone *zone, const char *const *names, uint32_t column_count, uint32_t truncate) {
    *s = (struct show){.memory = memory, .zone = zone, .names = names, .column_count = column_count, .truncate = truncate};
    vector_init(&s->cells, memory, sizeof(struct buffer *));
}

void show_release(struct show *s) {
    for (size_t i = 0; i < s->cells.count; i++) buffer_unref(*(struct buffer **)vector_at(&s->cells, i));
    vector_release(&s->cells);
}

// Line breaks and the like as Spark escapes them, so that a row stays a line.
static enum status escape_controls(const struct buffer *in, struct buffer *out) {
    static const char *const names[] = {"\\a", "\\b", "\\t", "\\n", "\\v", "\\f", "\\r"};
    for (size_t i = 0; i < in->size_bytes; i++) {
        uint8_t c = in->data[i];
        if (c >= 7 && c <= 13) TRY(buffer_append_string(out, names[c - 7]));
        else TRY(buffer_append_byte(out, c));
    }
    return STATUS_OK;
}

static void cut(struct buffer *cell, uint32_t truncate) {
    if (!truncate || utf8_length((char *)cell->data, cell->size_bytes) <= truncate) return;
    bool dots = truncate >= 4;
    cell->size_bytes = utf8_offset((char *)cell->data, cell->size_bytes, dots ? truncate - 3 : truncate);
    if (dots) {
        memcpy(cell->data + cell->size_bytes, "...", 3);  // there were three characters at least
        cell->size_bytes += 3;
    }
}

static enum status add_cell(struct show *s, struct buffer *text) {
    struct buffer *cell = buffer_new(s->memory, text->size_bytes + 8);
    if (!cell) return STATUS_NO_MEMORY;
    enum status status = escape_controls(text, cell);
    if (status == STATUS_OK) {
        cut(cell, s->truncate);
        status = vector_push(&s->cells, &cell);
    }
    if (status != STATUS_OK) buffer_unref(cell);
    return status;
}

enum status show_add(struct show *s, const struct batch *b, uint32_t row) {
    struct buffer text;
    buffer_init(&text, s->memory);
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < s->column_count && status == STATUS_OK; i++) {
        buffer_clear(&text);
        bool valid = column_is_valid(&b->columns[i], row);
        status = valid ? value_print_show(&b->columns[i], row, s->zone, &text) : buffer_append_string(&text, "NULL");
        if (status == STATUS_OK) status = add_cell(s, &text);
    }
    s->row_count++;
    buffer_release(&text);
    return status;
}

static const struct buffer *cell_at(const struct show *s, uint32_t row, uint32_t column) {
    return *(struct buffer **)vector_at(&s->cells, (size_t)row * s->column_count + column);
}

static enum status repeat(struct buffer *out, char c, size_t count) {
    for (size_t i = 0; i < count; i++) TRY(buffer_append_byte(out, (uint8_t)c));
    return STATUS_OK;
}

static enum status print_rule(const size_t *widths, uint32_t count, struct buffer *out) {
    TRY(buffer_append_byte(out, '+'));
    for (uint32_t i = 0; i < count; i++) {
        TRY(repeat(out, '-', widths[i]));
        TRY(buffer_append_byte(out, '+'));
    }
    return buffer_append_byte(out, '\n');
}

static enum status print_cell(const char *text, size_t size_bytes, size_t width, bool left, struct buffer *out) {
    size_t own = utf8_width(text, size_bytes), padding = width > own ? width - own : 0;
    if (!left) TRY(repeat(out, ' ', padding));
    TRY(buffer_append(out, text, size_bytes));
    if (left) TRY(repeat(out, ' ', padding));
    return buffer_append_byte(out, '|');
}

static enum status print_table(const struct show *s, size_t *widths, struct buffer *out) {
    bool left = s->truncate == 0;
    for (uint32_t i = 0; i < s->column_count; i++) {
        widths[i] = utf8_width(s->names[i], strlen(s->names[i]));
        if (widths[i] < LEAST_WIDTH) widths[i] = LEAST_WIDTH;
        for (uint32_t row = 0; row < s->row_count; row++) {
            const struct buffer *cell = cell_at(s, row, i);
            size_t width = utf8_width((char *)cell->data, cell->size_bytes);
            if (width > widths[i]) widths[i] = width;
        }
    }
    TRY(print_rule(widths, s->column_count, out));
    TRY(buffer_append_byte(out, '|'));
    for (uint32_t i = 0; i < s->column_count; i++) TRY(print_cell(s->names[i], strlen(s->names[i]), widths[i], left, out));
    TRY(buffer_append_byte(out, '\n'));
    TRY(print_rule(widths, s->column_count, out));
    for (uint32_t row = 0; row < s->row_count; row++) {
        TRY(buffer_append_byte(out, '|'));
        for (uint32_t i = 0; i < s->column_count; i++) {
            const struct buffer *cell = cell_at(s, row, i);
            TRY(print_cell((char *)cell->data, cell->size_bytes, widths[i], left, out));
        }
        TRY(buffer_append_byte(out, '\n'));
    }
    return print_rule(widths, s->column_count, out);
}

enum status show_print(const struct show *s, bool more_rows, struct buffer *out) {
    size_t bytes = (s->column_count + 1) * sizeof(size_t);
    size_t *widths = memory_alloc_zeroed(s->memory, bytes);
    if (!widths) return STATUS_NO_MEMORY;
    enum status status = print_table(s, widths, out);
    memory_free(s->memory, widths, bytes);
    if (status == STATUS_OK && more_rows) status = buffer_printf(out, "only showing top %u row%s\n", s->row_count, s->row_count == 1 ? "" : "s");
    return status;
}
