// SPDX-License-Identifier: Apache-2.0
// lane_duplicate.c: telling a row that was written before from one whose `_id` another document has. A row is the same document on every run of its
// epoch, so what is there byte for byte is ours; what differs is somebody else's and stays, and the row is refused.
#include "connector/mongodb/lane.h"
#include "base/checksum.h"

enum { ASK_BYTES = 4 << 20, ASK_ROWS = 1000, CUT_BYTES = 8 << 20 };

struct wanted {
    uint64_t hash;
    const uint8_t *document;
    uint32_t size_bytes;
    uint32_t *position;            // in the caller's list
};

static int compare_wanted(const void *a, const void *b) {
    const struct wanted *x = a, *y = b;
    return (x->hash > y->hash) - (x->hash < y->hash);
}

static uint32_t size_of(const uint8_t *document) {
    uint32_t size_bytes;
    memcpy(&size_bytes, document, 4);
    return size_bytes;
}

// The value of `_id`, which is the first element of what we write.
static enum status put_id(struct buffer *b, const uint8_t *document, uint32_t index) {
    struct document_reader r = document_read(document, size_of(document));
    struct document_value id;
    char key[10];
    if (!document_next(&r, &id)) return STATUS_CORRUPT;
    return document_put(b, id.type, key, document_index(index, key), id.bytes, id.size_bytes);
}

static enum status build_find(struct lane *lane, const char *collection, const struct wanted *items, uint32_t count) {
    struct buffer *b = &lane->command;
    size_t start, filter, id, list;
    buffer_clear(b);
    TRY(document_begin(b, &start));
    TRY(document_put_string(b, "find", collection));
    TRY(document_open(b, DOCUMENT_DOCUMENT, "filter", &filter));
    TRY(document_open(b, DOCUMENT_DOCUMENT, "_id", &id));
    TRY(document_open(b, DOCUMENT_ARRAY, "$in", &list));
    for (uint32_t i = 0; i < count; i++) TRY(put_id(b, items[i].document, i));
    TRY(document_end(b, list));
    TRY(document_end(b, id));
    TRY(document_end(b, filter));
    TRY(document_put_int32(b, "batchSize", (int32_t)count));
    TRY(document_put_boolean(b, "singleBatch", true));
    return document_end(b, start);
}

static void mark_found(struct wanted *items, uint32_t count, const struct document_value *document) {
    uint64_t hash = checksum64(document->bytes, document->size_bytes, 0);
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (items[middle].hash < hash) low = middle + 1;
        else high = middle;
    }
    for (; low < count && items[low].hash == hash; low++) {
        if (items[low].size_bytes == document->size_bytes && memcmp(items[low].document, document->bytes, document->size_bytes) == 0) *items[low].position = UINT32_MAX;
    }
}

static enum status ask(struct lane *lane, const char *collection, struct wanted *items, uint32_t count, struct error *e) {
    struct mongodb_failure f;
    struct document_value cursor, batch, item;
    if (build_find(lane, collection, items, count) != STATUS_OK) return error_no_memory(e);
    if (!mongodb_client_command(lane->client, lane->store->config.database, &lane->command, false, &lane->reply, &f)) return lane_fail(lane, &f, "looking for rows written before", e);
    if (!document_find(lane->reply.data, lane->reply.size_bytes, "cursor", &cursor) || cursor.type != DOCUMENT_DOCUMENT ||
        !document_find(cursor.bytes, cursor.size_bytes, "firstBatch", &batch) || batch.type != DOCUMENT_ARRAY) {
        return error_set(e, STATUS_CORRUPT, "LEAT_STORE_CORRUPT", "MongoDB at %.200s: the answer to `find` has no documents", lane->store->config.hosts);
    }
    if (lane->reply.size_bytes > CUT_BYTES && count > 1) {  // large documents of others: the answer may have been cut
        TRY(ask(lane, collection, items, count / 2, e));
        return ask(lane, collection, items + count / 2, count - count / 2, e);
    }
    qsort(items, count, sizeof *items, compare_wanted);
    struct document_reader r = document_read(batch.bytes, batch.size_bytes);
    while (document_next(&r, &item)) {
        if (item.type == DOCUMENT_DOCUMENT) mark_found(items, count, &item);
    }
    return STATUS_OK;
}

// Offsets of the parcel's documents, so that a position finds its own.
static const uint8_t **documents_of(const struct parcel *p, struct arena *a) {
    const uint8_t **documents = arena_alloc_array(a, p->rows.count + 1, sizeof *documents), *next = p->bytes.data;
    for (size_t i = 0; documents && i < p->rows.count; i++) {
        documents[i] = next;
        next += size_of(next);
    }
    return documents;
}

enum status lane_check_duplicates(struct lane *lane, const struct parcel *p, uint32_t *positions, uint32_t count, struct error *e) {
    struct arena a;
    arena_init(&a, lane->store->memory);
    const uint8_t **documents = documents_of(p, &a);
    struct wanted *items = arena_alloc_array(&a, ASK_ROWS, sizeof *items);
    enum status status = documents && items ? STATUS_OK : error_no_memory(e);
    for (uint32_t i = 0; i < count && status == STATUS_OK;) {
        uint32_t n = 0, size_bytes = 0;
        while (i < count && n < ASK_ROWS && (!n || size_bytes + size_of(documents[positions[i]]) <= ASK_BYTES)) {
            const uint8_t *document = documents[positions[i]];
            size_bytes += size_of(document);
            items[n++] = (struct wanted){.hash = checksum64(document, size_of(document), 0), .document = document, .size_bytes = size_of(document), .position = &positions[i++]};
        }
        status = ask(lane, p->table->config.collection, items, n, e);
    }
    arena_release(&a);
    return status;
}
