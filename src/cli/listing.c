// SPDX-License-Identifier: Apache-2.0
// listing.c: see listing.h.
#include "cli/listing.h"
#include "base/utf8.h"
#include "column/datetime.h"
#include "json/json.h"
#include <stdio.h>

struct cells {
    const char *items[LISTING_COLUMNS];
};

void listing_init(struct listing *l, struct arena *a, struct memory *memory) {
    *l = (struct listing){.arena = a};
    vector_init(&l->rows, memory, sizeof(struct cells));
}

void listing_column(struct listing *l, const char *head, bool right) {
    if (l->column_count == LISTING_COLUMNS) return;
    l->heads[l->column_count] = head;
    l->right[l->column_count++] = right;
}

void listing_row(struct listing *l, const char *const *cells) {
    struct cells *row = vector_add(&l->rows);
    if (!row) l->failed = true;
    for (uint32_t i = 0; row && i < l->column_count; i++) row->items[i] = cells[i] ? cells[i] : "";
}

static size_t width_of(const char *text) { return utf8_width(text, strlen(text)); }

static void print_cells(const struct listing *l, const char *const *cells, const size_t *widths) {
    uint32_t count = l->column_count;
    while (count && !*cells[count - 1]) count--;  // no blanks at the end of a line
    for (uint32_t i = 0; i < count; i++) {
        int pad = (int)(widths[i] - width_of(cells[i]));
        if (l->right[i]) printf("%*s%s", pad, "", cells[i]);
        else printf("%s%*s", cells[i], i + 1 == count ? 0 : pad, "");
        if (i + 1 < count) fputs("  ", stdout);
    }
    putchar('\n');
}

enum status listing_print(struct listing *l, struct error *e) {
    size_t widths[LISTING_COLUMNS] = {0};
    for (uint32_t i = 0; i < l->column_count; i++) widths[i] = width_of(l->heads[i]);
    for (size_t r = 0; r < l->rows.count; r++) {
        const struct cells *row = vector_at(&l->rows, r);
        for (uint32_t i = 0; i < l->column_count; i++) {
            if (width_of(row->items[i]) > widths[i]) widths[i] = width_of(row->items[i]);
        }
    }
    print_cells(l, l->heads, widths);
    for (size_t r = 0; r < l->rows.count; r++) print_cells(l, ((const struct cells *)vector_at(&l->rows, r))->items, widths);
    vector_release(&l->rows);
    return l->failed ? error_no_memory(e) : STATUS_OK;
}

static const char *or_unknown(const char *text) { return text ? text : "?"; }

const char *text_of_number(struct arena *a, uint64_t n) {
    char digits[24], out[32];
    int count = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n), at = 0;
    for (int i = 0; i < count; i++) {
        if (i && (count - i) % 3 == 0) out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = 0;
    return or_unknown(arena_strdup(a, out));
}

const char *text_of_bytes(struct arena *a, uint64_t size_bytes) {
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    double value = (double)size_bytes;
    size_t unit = 0;
    while (value >= 999.5 && unit + 1 < sizeof units / sizeof *units) value /= 1000, unit++;
    return or_unknown(unit && value < 99.95 ? arena_printf(a, "%.1f %s", value, units[unit]) : arena_printf(a, "%.0f %s", value, units[unit]));
}

const char *text_of_time(struct arena *a, int64_t us, const struct timezone *zone) {
    char out[DATETIME_TEXT_MAX + 1];
    out[print_timestamp(us, zone, out)] = 0;
    return or_unknown(arena_strdup(a, out));
}

const char *text_of_duration(struct arena *a, int64_t us) {
    double s = (double)us / 1e6;
    if (s < 0) return "0 s";
    if (s < 120) return or_unknown(arena_printf(a, s < 10 && s > 0 ? "%.1f s" : "%.0f s", s));
    if (s < 7200) return or_unknown(arena_printf(a, "%.0f min", s / 60));
    return or_unknown(s < 172800 ? arena_printf(a, "%.0f h", s / 3600) : arena_printf(a, "%.0f days", s / 86400));
}

const char *text_of_uuid(struct arena *a, const uint8_t b[16]) {
    return or_unknown(arena_printf(a, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3], b[4], b[5],
                                   b[6], b[7], b[8], b[9],
                                   b[10], b[11], b[12], b[13], b[14], b[15]));
}

enum status json_text(struct buffer *out, const char *name, const char *text) {
    TRY(buffer_printf(out, ",\"%s\":", name));
    return text ? json_write_string(text, strlen(text), out) : buffer_append_string(out, "null");
}
