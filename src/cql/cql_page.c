// SPDX-License-Identifier: Apache-2.0
// cql_page.c: going through the rows of one answer, with every length checked.
#include "cql/cql_internal.h"

enum status page_open(struct page *p, struct memory *memory, const struct buffer *body, struct cql_columns *skipped, struct error *e) {
    struct cql_rows rows;
    *p = (struct page){.memory = memory, .paging_state.size_bytes = -1};
    p->reader = cql_reader_of(body->data, body->size_bytes);
    TRY(cql_decode_rows(&p->reader, memory, &rows, e));
    p->columns = rows.columns ? rows.columns : skipped ? cql_columns_ref(skipped) : NULL;
    if (!p->columns || p->columns->count != rows.column_count) {
        page_close(p);
        return error_set(e, STATUS_UNREACHABLE, "LEAT_CASSANDRA_UNREACHABLE", "malformed reply: rows without their columns");
    }
    p->result_id = rows.result_id;
    p->rows_left = rows.row_count;
    p->paging_state = rows.paging_state;
    p->values = memory_alloc_zeroed(memory, (p->columns->count + 1) * sizeof *p->values);
    if (!p->values) {
        page_close(p);
        return error_no_memory(e);
    }
    return STATUS_OK;
}

enum status page_next(struct page *p, bool *found, struct error *e) {
    *found = p->rows_left > 0;
    if (!*found) return STATUS_OK;
    p->rows_left--;
    for (uint32_t i = 0; i < p->columns->count; i++) p->values[i] = cql_take_value(&p->reader);
    if (!p->reader.failed) return STATUS_OK;
    *found = false;
    return error_set(e, STATUS_UNREACHABLE, "LEAT_CASSANDRA_UNREACHABLE", "malformed reply: a row that is cut off");
}

void page_close(struct page *p) {
    if (p->values) memory_free(p->memory, p->values, (p->columns->count + 1) * sizeof *p->values);
    cql_columns_unref(p->columns);
    *p = (struct page){.paging_state.size_bytes = -1};
}

struct cql_value page_value(const struct page *p, const char *column) {
    for (uint32_t i = 0; i < p->columns->count; i++) {
        if (!strcmp(p->columns->specs[i].name, column)) return p->values[i];
    }
    return (struct cql_value){.size_bytes = -1};
}

struct call *call_of_text(struct cql_session *s, const char *text) {
    struct call *c = call_take(s);
    if (!c) return NULL;
    struct statement *statement = vector_add(&c->statements);
    size_t size_bytes = strlen(text) + 1;
    char *kept = statement ? memory_alloc(s->memory, size_bytes) : NULL;
    if (!kept) {
        call_recycle(s, c);
        return NULL;
    }
    memcpy(kept, text, size_bytes);
    statement->text = kept;
    c->opcode = CQL_OP_QUERY;
    c->request.idempotent = true;
    c->request.no_token = true;
    c->request.consistency = CQL_ONE;
    c->keep_body = true;
    return c;
}
