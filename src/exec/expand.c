// SPDX-License-Identifier: Apache-2.0
// expand.c: see expand.h.
#include "exec/expand.h"

static uint32_t next_row(struct row_counter *k, const struct origin *o, uint32_t row) {
    int64_t offset = origin_offset(o, row);
    if (!k->started || k->source != o->source || k->partition != o->partition || k->offset != offset) {
        *k = (struct row_counter){.source = o->source, .partition = o->partition, .offset = offset, .started = true};
    }
    return k->next++;
}

struct batch *expand_batch(struct batch *in, struct memory *memory, const uint32_t *rows, uint32_t count, uint32_t column_count, struct row_counter *counter) {
    struct batch *out = batch_derive(in, memory, column_count);
    if (!out) return NULL;
    out->row_count = out->selected_count = count;
    out->selection = NULL;
    struct arena *a = &out->arena;
    int8_t *weights = in->weights ? arena_alloc(a, count + 1) : NULL;
    bool ok = weights || !in->weights;
    for (uint32_t i = 0; i < count && weights; i++) weights[i] = in->weights[rows[i]];
    out->weights = weights;
    if (in->origin.source != ORIGIN_NONE) {
        uint32_t *deltas = arena_alloc_array(a, count + 1, sizeof *deltas), *numbers = arena_alloc_array(a, count + 1, sizeof *numbers);
        struct string_view *raw = in->origin.raw ? arena_alloc_array(a, count + 1, sizeof *raw) : NULL;
        ok = ok && deltas && numbers && (raw || !in->origin.raw);
        for (uint32_t i = 0; i < count && ok; i++) {
            deltas[i] = (uint32_t)(origin_offset(&in->origin, rows[i]) - in->origin.first_offset);
            numbers[i] = next_row(counter, &in->origin, rows[i]);
            if (raw) raw[i] = in->origin.raw[rows[i]];
        }
        out->origin.offset_deltas = deltas;
        out->origin.rows = numbers;
        out->origin.raw = raw;
    }
    if (ok) return out;
    batch_unref(out);
    return NULL;
}

enum status expand_columns(const struct batch *in, const uint32_t *rows, uint32_t row_count, const uint64_t *wanted, uint32_t first, uint32_t count,
                           struct arena *a, struct column *out) {
    for (uint32_t c = 0; c < count; c++) {
        if ((wanted && !bitmap_get(wanted, first + c)) || column_is_constant_null(&in->columns[c])) {
            TRY(column_make_constant_null(a, in->columns[c].type, row_count, &out[c]));
        } else {
            TRY(column_gather(a, &in->columns[c], rows, row_count, &out[c]));
        }
    }
    return STATUS_OK;
}
