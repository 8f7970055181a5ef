// SPDX-License-Identifier: Apache-2.0
// sort.c: ORDER BY. Ends with the input of a batch; in a stream, where a table has no order, rows pass.
#include "exec/sort.h"
#include "exec/sort_key.h"
#include <stdlib.h>

enum status sorter_open(struct sorter *s, struct operator *op, const struct plan_node *sort_node, struct error *e) {
    struct arena *a = &op->execution->arena;
    s->sorts = sort_node ? sort_node->sorts : NULL;
    s->sort_count = sort_node ? sort_node->sort_count : 0;
    TRY(row_store_init(&s->rows, op->execution, e));
    if (!s->sort_count) return STATUS_OK;
    struct expr **expressions = arena_alloc_array(a, s->sort_count, sizeof *expressions);
    if (!expressions) return error_no_memory(e);
    for (uint32_t i = 0; i < s->sort_count; i++) expressions[i] = s->sorts[i].expr;
    return program_compile(a, op->execution->config.session, expressions, s->sort_count, NULL, &s->program, e);
}

static enum status write_keys(const struct sorter *s, const struct column *columns, const struct rows *rows, struct memory *memory, struct arena *a,
                              struct string_view *keys) {
    struct buffer bytes;
    buffer_init(&bytes, memory);
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < rows->count && status == STATUS_OK; i++) {
        buffer_clear(&bytes);
        for (uint32_t k = 0; k < s->sort_count && status == STATUS_OK; k++) {
            status = sort_key_write(&columns[k], rows_at(rows, i), s->sorts[k].descending, s->sorts[k].nulls_first, &bytes);
        }
        char *kept = status == STATUS_OK ? arena_strndup(a, bytes.size_bytes ? (const char *)bytes.data : "", bytes.size_bytes) : NULL;
        if (!kept) status = STATUS_NO_MEMORY;
        else keys[i] = string_view_of(kept, bytes.size_bytes);
    }
    buffer_release(&bytes);
    return status;
}

enum status sorter_keys(struct sorter *s, struct operator *op, struct worker *w, struct batch *b, struct arena *a, struct rows *kept,
                        struct string_view **keys) {
    struct arena *scratch = &w->scratch;
    arena_reset(scratch);
    struct rows rows = batch_rows(b);
    *kept = rows;
    struct column *columns = arena_alloc_array(scratch, s->sort_count + 1, sizeof *columns);
    if (!columns) return worker_no_memory(w);
    if (s->program) {
        TRY(worker_run(w, s->program, b, scratch, columns));
        TRY(worker_drop_failed(w, op, b, &rows, scratch, kept));
    }
    *keys = arena_alloc_array(a, kept->count + 1, sizeof **keys);
    if (!*keys || write_keys(s, columns, kept, op->execution->memory, a, *keys) != STATUS_OK) return worker_no_memory(w);
    return STATUS_OK;
}

enum status sorter_push(struct sorter *s, struct operator *op, struct worker *w, struct batch *b) {
    struct arena keys_arena;
    struct rows kept;
    struct string_view *keys;
    arena_init(&keys_arena, op->execution->memory);
    enum status status = sorter_keys(s, op, w, b, &keys_arena, &kept, &keys);
    struct batch *copy = NULL;
    if (status == STATUS_OK && kept.count) {
        copy = batch_compact(b, &kept, op->execution->memory);
        struct string_view *own = copy ? arena_alloc_array(&copy->arena, kept.count, sizeof *own) : NULL;
        for (uint32_t i = 0; i < kept.count && own; i++) {
            char *bytes = arena_strndup(&copy->arena, string_view_data(&keys[i]), keys[i].size_bytes);
            if (bytes) own[i] = string_view_of(bytes, keys[i].size_bytes);
            else own = NULL;
        }
        if (own) {
            op->execution->pending_bytes += (int64_t)copy->arena.used_bytes;
            operator_count(op, w, FATE_ABSORBED, kept.count);
            status = row_store_keep(&s->rows, w, copy, b->sequence, 0, own);
        } else {
            batch_unref(copy);
            status = worker_no_memory(w);
        }
    }
    arena_release(&keys_arena);
    return status;
}

static int entry_order(const void *a, const void *b) {
    const struct sort_entry *x = a, *y = b;
    if (x->prefix != y->prefix) return x->prefix < y->prefix ? -1 : 1;
    int order = string_view_compare(&x->key, &y->key);
    return order ? order : (x->order > y->order) - (x->order < y->order);
}

static uint64_t prefix_of(const struct string_view *key) {
    uint64_t prefix = 0;
    const char *bytes = string_view_data(key);
    for (uint32_t i = 0; i < 8; i++) prefix = prefix << 8 | (i < key->size_bytes ? (uint8_t)bytes[i] : 0u);
    return prefix;
}

enum status sorter_order(struct sorter *s, struct sort_entry **entries, uint64_t *count) {
    *count = s->rows.row_count;
    *entries = NULL;
    if (!*count) return STATUS_OK;
    struct sort_entry *list = memory_alloc(s->rows.memory, *count * sizeof *list);
    if (!list) return STATUS_NO_MEMORY;
    uint64_t n = 0;
    for (uint32_t i = 0; i < s->rows.all.count; i++) {
        const struct kept_batch *kept = row_store_at(&s->rows, i);
        const struct string_view *keys = kept->extra;
        for (uint32_t row = 0; row < kept->batch->row_count; row++, n++) {
            list[n] = (struct sort_entry){.prefix = prefix_of(&keys[row]), .key = keys[row], .order = n, .row = {.batch = i, .row = row}};
        }
    }
    if (s->sort_count) qsort(list, n, sizeof *list, entry_order);
    *entries = list;
    return STATUS_OK;
}

static enum status emit_entries(struct sorter *s, struct operator *op, struct worker *w, const struct sort_entry *entries, uint64_t count) {
    struct row_ref refs[1024];
    uint64_t number = 0;
    for (uint64_t begin = 0; begin < count && !operator_is_done(op);) {
        uint64_t n = 0;
        while (n < 1024 && begin + n < count) {
            refs[n] = entries[begin + n].row;
            n++;
        }
        operator_count(op, w, FATE_MADE, n);
        TRY(row_store_emit(&s->rows, op, w, refs, NULL, n, 0, &number));
        begin += n;
    }
    return STATUS_OK;
}

enum status sorter_emit(struct sorter *s, struct operator *op, struct worker *w, uint64_t begin, uint64_t end) {
    struct sort_entry *entries;
    uint64_t count;
    if (sorter_order(s, &entries, &count) != STATUS_OK) return worker_no_memory(w);
    if (end > count) end = count;
    enum status status = begin < end ? emit_entries(s, op, w, entries + begin, end - begin) : STATUS_OK;
    if (entries) memory_free(s->rows.memory, entries, count * sizeof *entries);
    row_store_clear(&s->rows);
    return status;
}

static enum status keep_entries(struct sorter *s, struct operator *op, struct worker *w, const struct sort_entry *entries, uint32_t count,
                                struct batch **out, struct string_view **out_keys) {
    struct batch *b = operator_batch(op, 0, count, op->node->attribute_count);
    if (!b) return STATUS_NO_MEMORY;
    *out = b;
    const struct type **types = attribute_types(&b->arena, op->node);
    struct row_ref *refs = arena_alloc_array(&w->scratch, count, sizeof *refs);
    struct string_view *keys = arena_alloc_array(&b->arena, count, sizeof *keys);
    if (!types || !refs || !keys) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        refs[i] = entries[i].row;
        char *bytes = arena_strndup(&b->arena, string_view_data(&entries[i].key), entries[i].key.size_bytes);
        if (!bytes) return STATUS_NO_MEMORY;
        keys[i] = string_view_of(bytes, entries[i].key.size_bytes);
    }
    *out_keys = keys;
    return row_store_gather(&s->rows, refs, count, 0, op->node->attribute_count, types, &b->arena, b->columns);
}

enum status sorter_cut(struct sorter *s, struct operator *op, struct worker *w, uint64_t count) {
    if (count == 0 || count > BATCH_ROWS || s->rows.row_count <= 2 * count) return STATUS_OK;
    struct sort_entry *entries;
    uint64_t total;
    if (sorter_order(s, &entries, &total) != STATUS_OK) return worker_no_memory(w);
    struct batch *kept = NULL;
    struct string_view *keys = NULL;
    arena_reset(&w->scratch);
    enum status status = keep_entries(s, op, w, entries, (uint32_t)count, &kept, &keys);
    memory_free(s->rows.memory, entries, total * sizeof *entries);
    if (status != STATUS_OK) {
        batch_unref(kept);
        return worker_no_memory(w);
    }
    row_store_clear(&s->rows);
    return row_store_keep(&s->rows, w, kept, 0, 0, keys);
}

static enum status sort_open(struct operator *op, struct error *e) {
    op->self = arena_alloc_zeroed(&op->execution->arena, sizeof(struct sorter));
    return op->self ? sorter_open(op->self, op, op->node, e) : error_no_memory(e);
}

static enum status sort_push(struct operator *op, struct worker *w, uint32_t input_index, struct batch *b) {
    (void)input_index;
    if (op->execution->batch) return sorter_push(op->self, op, w, b);
    operator_count(op, w, FATE_PASSED, b->selected_count);
    return operator_emit(op, w, b);
}

static enum status sort_prepare(struct operator *op, struct error *e) {
    return row_store_merge(&((struct sorter *)op->self)->rows) == STATUS_OK ? STATUS_OK : error_no_memory(e);
}

static enum status sort_finish(struct operator *op, struct worker *w, uint32_t key_partition) {
    (void)key_partition;
    return sorter_emit(op->self, op, w, 0, UINT64_MAX);
}

static enum status sort_rollback(struct operator *op, struct error *e) {
    (void)e;
    row_store_clear(&((struct sorter *)op->self)->rows);
    return STATUS_OK;
}

static void sort_close(struct operator *op) { row_store_release(&((struct sorter *)op->self)->rows); }

const struct operator_class sort_class = {
    .name = "Sort", .partition_count = 1, .open = sort_open, .push = sort_push, .prepare = sort_prepare, .finish = sort_finish,
    .rollback = sort_rollback, .close = sort_close,
};
