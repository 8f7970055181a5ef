// SPDX-License-Identifier: Apache-2.0
// spool_segment.c: see spool_segment.h.
#include "connector/http/spool_segment.h"
#include "base/checksum.h"
#include "base/coding.h"
#include "base/failpoint.h"
#include "base/files.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SPOOL_VERSION = 1, MARK_BYTES = 65536, WINDOW_BYTES = 262144, PAGE_BYTES = 4096 };
static const char segment_magic[8] = {'l', 'e', 'a', 't', 's', 'p', 'o', 'l'};

static void put_number(uint8_t *out, uint64_t value, size_t size_bytes) {
    for (size_t i = 0; i < size_bytes; i++) out[i] = (uint8_t)(value >> (8 * i));
}

enum status spool_damaged(const struct spool_segment *g, int64_t position, const char *what, struct error *e) {
    error_set(e, STATUS_CORRUPT, "LEAT_LOG_CORRUPT", "`%s` is damaged at byte %" PRId64 ": %s", g->path, position, what);
    error_set_hint(e, "restore the data folder from a copy, or remove this spool's folder and build the tables anew with --full-refresh-all; "
                      "what was read before and is in the tables stays as it is until then");
    return STATUS_CORRUPT;
}

enum status spool_pread(const struct spool_segment *g, void *out, size_t size_bytes, int64_t position, size_t *got, struct error *e) {
    *got = 0;
    while (*got < size_bytes) {
        ssize_t n = pread(g->fd, (char *)out + *got, size_bytes - *got, position + (int64_t)*got);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return error_set_errno(e, errno, "cannot read `%s`", g->path);
        if (n == 0) break;
        *got += (size_t)n;
    }
    return STATUS_OK;
}

static enum status write_failed(const struct spool_segment *g, int reason, struct error *e) {
    enum status status = error_set_errno(e, reason, "cannot write `%s`", g->path);
    bool full = reason == ENOSPC || reason == EDQUOT || reason == EFBIG;
    if (full && e) {
        e->status = STATUS_LIMIT;
        error_set_hint(e, "make room on the disk; what has been received before is kept");
    }
    return full ? STATUS_LIMIT : status;
}

// Room is asked for first: where the disk is full that is known before a byte is written.
enum status spool_pwrite(const struct spool_segment *g, const void *bytes, size_t size_bytes, int64_t position, struct error *e) {
    TRY(failpoint("spool.write", e));
    if (fallocate(g->fd, FALLOC_FL_KEEP_SIZE, position, (off_t)size_bytes) != 0 && errno != EOPNOTSUPP && errno != EINTR && errno != ENOSYS) {
        return write_failed(g, errno, e);
    }
    for (size_t done = 0; done < size_bytes;) {
        ssize_t n = pwrite(g->fd, (const char *)bytes + done, size_bytes - done, position + (int64_t)done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return write_failed(g, errno, e);
        done += (size_t)n;
    }
    return STATUS_OK;
}

uint64_t spool_payload_check(const void *bytes, size_t size_bytes, int64_t offset) {
    return checksum64(size_bytes ? bytes : "", size_bytes, (uint64_t)offset);
}

void spool_record_print(uint8_t out[SPOOL_RECORD_BYTES], const struct spool_record *r, int64_t position) {
    put_number(out, r->size_bytes, 4);
    put_number(out + 4, r->kind, 4);
    put_number(out + 8, (uint64_t)r->offset, 8);
    put_number(out + 16, (uint64_t)r->time_us, 8);
    put_number(out + 24, spool_payload_check(r->bytes, r->size_bytes, r->offset), 8);
    put_number(out + 32, checksum64(out, 32, (uint64_t)position), 8);
}

enum status spool_record_parse(const struct spool_segment *g, const uint8_t *bytes, int64_t position, struct spool_record *out, uint64_t *check,
                               struct error *e) {
    struct reader r = reader_of(bytes, SPOOL_RECORD_BYTES);
    out->size_bytes = read_fixed32(&r);
    out->kind = (enum spool_kind)read_fixed32(&r);
    out->offset = (int64_t)read_fixed64(&r);
    out->time_us = (int64_t)read_fixed64(&r);
    out->bytes = NULL;
    *check = read_fixed64(&r);
    if (read_fixed64(&r) != checksum64(bytes, 32, (uint64_t)position)) {
        return spool_damaged(g, position, "a record's header does not match its checksum", e);
    }
    if (out->kind < SPOOL_MESSAGE || out->kind > SPOOL_END || out->size_bytes > SPOOL_PAYLOAD_MAX) {
        return spool_damaged(g, position, "no record of ours", e);
    }
    return STATUS_OK;
}

void spool_segment_unref(struct spool_segment *g) {
    if (!g || atomic_fetch_sub(&g->reference_count, 1) > 1) return;
    if (g->fd >= 0) close(g->fd);
    vector_release(&g->marks);
    if (g->path) memory_free(g->memory, g->path, strlen(g->path) + 1);
    memory_free(g->memory, g, sizeof *g);
}

static struct spool_segment *segment_new(struct memory *memory, const char *path, int64_t first_offset) {
    struct spool_segment *g = memory_alloc_zeroed(memory, sizeof *g);
    if (!g) return NULL;
    g->memory = memory;
    g->fd = -1;
    g->first_offset = g->end_offset = first_offset;
    g->reference_count = 1;
    vector_init(&g->marks, memory, sizeof(struct spool_mark));
    if (!path) path = "(spool in memory)";
    g->path = memory_alloc(memory, strlen(path) + 1);
    if (!g->path) {
        spool_segment_unref(g);
        return NULL;
    }
    memcpy(g->path, path, strlen(path) + 1);
    return g;
}

static void print_header(uint8_t out[SPOOL_HEADER_BYTES], const struct spool_segment *g) {
    memset(out, 0, SPOOL_HEADER_BYTES);
    memcpy(out, segment_magic, 8);
    put_number(out + 8, SPOOL_VERSION, 4);
    put_number(out + 16, g->identity, 8);
    put_number(out + 24, (uint64_t)g->first_offset, 8);
    put_number(out + 32, (uint64_t)g->made_us, 8);
    put_number(out + 40, checksum64(out, 40, 0), 8);
}

static enum status write_header(struct spool_segment *g, bool on_disk, struct error *e) {
    uint8_t header[SPOOL_HEADER_BYTES];
    print_header(header, g);
    TRY(spool_pwrite(g, header, sizeof header, 0, e));
    return on_disk ? file_sync(g->fd, g->path, e) : STATUS_OK;
}

enum status spool_segment_make(struct memory *memory, const char *path, uint64_t identity, int64_t first_offset, int64_t now_us,
                               struct spool_segment **out, struct error *e) {
    struct spool_segment *g = segment_new(memory, path, first_offset);
    if (!g) return error_no_memory(e);
    g->identity = identity;
    g->made_us = g->written_us = now_us;
    g->size_bytes = SPOOL_HEADER_BYTES;
    g->indexed = true;
    g->fd = path ? open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600) : memfd_create("leat-spool", MFD_CLOEXEC);
    enum status status = g->fd >= 0 ? write_header(g, path != NULL, e) : write_failed(g, errno, e);
    if (status == STATUS_OK) {
        *out = g;
        return STATUS_OK;
    }
    if (path && g->fd >= 0) unlink(path);
    spool_segment_unref(g);
    return status;
}

static enum status check_header(struct spool_segment *g, const uint8_t *bytes, struct error *e) {
    struct reader r = reader_of(bytes + 8, SPOOL_HEADER_BYTES - 8);
    if (memcmp(bytes, segment_magic, 8) != 0) return spool_damaged(g, 0, "it does not begin as a spool's segment does", e);
    uint32_t version = read_fixed32(&r), reserved = read_fixed32(&r);
    g->identity = read_fixed64(&r);
    int64_t first = (int64_t)read_fixed64(&r);
    g->made_us = (int64_t)read_fixed64(&r);
    if (read_fixed64(&r) != checksum64(bytes, 40, 0)) return spool_damaged(g, 0, "the header does not match its checksum", e);
    if (version != SPOOL_VERSION || reserved) {
        error_set(e, STATUS_CONFLICT, "LEAT_FORMAT_TOO_NEW", "`%s` was made by a newer leat (format %u; this one reads %u)", g->path, version,
                  (unsigned)SPOOL_VERSION);
        error_set_hint(e, "run the newer leat");
        return STATUS_CONFLICT;
    }
    return first == g->first_offset ? STATUS_OK : spool_damaged(g, 24, "the file's name and its header name different offsets", e);
}

static enum status load_header(struct spool_segment *g, bool *torn, struct error *e) {
    uint8_t header[SPOOL_HEADER_BYTES], zeros[SPOOL_HEADER_BYTES] = {0};
    struct stat st;
    size_t got;
    if (fstat(g->fd, &st) != 0) return error_set_errno(e, errno, "cannot look at `%s`", g->path);
    g->size_bytes = st.st_size;
    g->written_us = (int64_t)st.st_mtim.tv_sec * 1000000 + st.st_mtim.tv_nsec / 1000;
    TRY(spool_pread(g, header, sizeof header, 0, &got, e));
    *torn = got < sizeof header || memcmp(header, zeros, sizeof header) == 0;
    return *torn ? STATUS_OK : check_header(g, header, e);
}

enum status spool_segment_open(struct memory *memory, const char *path, int64_t first_offset, struct spool_segment **out, bool *torn,
                               struct error *e) {
    struct spool_segment *g = segment_new(memory, path, first_offset);
    *out = NULL;
    *torn = false;
    if (!g) return error_no_memory(e);
    g->fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    enum status status = g->fd >= 0 ? load_header(g, torn, e) : error_set_errno(e, errno, "cannot open `%s`", path);
    if (status == STATUS_OK && !*torn) *out = g;
    else spool_segment_unref(g);
    return status;
}

enum status spool_segment_mark(struct vector *marks, int64_t offset, int64_t position) {
    const struct spool_mark *last = marks->count ? vector_at(marks, marks->count - 1) : NULL;
    if (last && position - last->position < MARK_BYTES) return STATUS_OK;
    return vector_push(marks, &(struct spool_mark){offset, position});
}

// A window over the file that moves forward.
struct walk {
    struct spool_segment *g;
    struct buffer window;
    int64_t window_position;
    int64_t position;
    int64_t end;
    int64_t next_offset;
};

// The bytes at the walk's position; NULL in *out if the file has fewer.
static enum status walk_need(struct walk *w, size_t size_bytes, const uint8_t **out, struct error *e) {
    int64_t last = w->position + (int64_t)size_bytes;
    *out = NULL;
    if (last > w->end) return STATUS_OK;
    if (w->position < w->window_position || last > w->window_position + (int64_t)w->window.size_bytes) {
        size_t wanted = size_bytes > WINDOW_BYTES ? size_bytes : WINDOW_BYTES, got;
        buffer_clear(&w->window);
        if (buffer_reserve(&w->window, wanted) != STATUS_OK) return error_no_memory(e);
        TRY(spool_pread(w->g, w->window.data, wanted, w->position, &got, e));
        w->window.size_bytes = got;
        w->window_position = w->position;
        if (got < size_bytes) return STATUS_OK;
    }
    *out = w->window.data + (w->position - w->window_position);
    return STATUS_OK;
}

static enum status walk_init(struct walk *w, struct spool_segment *g, struct error *e) {
    struct stat st;
    *w = (struct walk){.g = g, .position = SPOOL_HEADER_BYTES, .next_offset = g->first_offset};
    buffer_init(&w->window, g->memory);
    vector_clear(&g->marks);
    if (fstat(g->fd, &st) != 0) return error_set_errno(e, errno, "cannot look at `%s`", g->path);
    w->end = st.st_size;
    return STATUS_OK;
}

// One record's header; offsets must follow one another. *whole false: the file ends before it does.
static enum status walk_header(struct walk *w, struct spool_record *record, uint64_t *check, bool *whole, struct error *e) {
    const uint8_t *bytes;
    *whole = false;
    TRY(walk_need(w, SPOOL_RECORD_BYTES, &bytes, e));
    if (!bytes) return STATUS_OK;
    TRY(spool_record_parse(w->g, bytes, w->position, record, check, e));
    if (record->offset != w->next_offset) return spool_damaged(w->g, w->position, "an offset is missing or twice there", e);
    *whole = w->position + SPOOL_RECORD_BYTES + (int64_t)record->size_bytes <= w->end;
    return STATUS_OK;
}

static enum status index_records(struct walk *w, struct error *e) {
    struct spool_record record;
    uint64_t check;
    bool whole;
    while (w->position < w->end) {
        TRY(walk_header(w, &record, &check, &whole, e));
        if (!whole) return spool_damaged(w->g, w->position, "the file ends within a record", e);
        if (spool_segment_mark(&w->g->marks, record.offset, w->position) != STATUS_OK) return error_no_memory(e);
        w->position += SPOOL_RECORD_BYTES + (int64_t)record.size_bytes;
        w->next_offset += record.kind != SPOOL_END;
    }
    if (w->next_offset != w->g->end_offset) return spool_damaged(w->g, w->end, "the next file does not begin where this one ends", e);
    w->g->indexed = true;
    return STATUS_OK;
}

enum status spool_segment_index(struct spool_segment *g, struct error *e) {
    struct walk w;
    if (g->indexed) return STATUS_OK;
    enum status status = walk_init(&w, g, e);
    if (status == STATUS_OK) status = index_records(&w, e);
    buffer_release(&w.window);
    return status;
}

static bool is_zero(const uint8_t *bytes, size_t size_bytes) {
    for (size_t i = 0; i < size_bytes; i++) {
        if (bytes[i]) return false;
    }
    return true;
}

// Is there a page behind `position` that was never written? It reads as zeros; JSON and our headers have no such page.
static enum status has_unwritten_page(struct walk *w, bool *out, struct error *e) {
    uint8_t page[PAGE_BYTES];
    *out = false;
    for (int64_t at = w->position; at < w->end && !*out;) {
        size_t wanted = (size_t)(PAGE_BYTES - at % PAGE_BYTES), got;
        TRY(spool_pread(w->g, page, wanted, at, &got, e));
        if (!got) break;
        bool whole_page = at % PAGE_BYTES == 0 || at == w->position;
        *out = whole_page && is_zero(page, got);
        at += (int64_t)got;
    }
    return STATUS_OK;
}

static void read_validators(const uint8_t *bytes, size_t size_bytes, struct spool_validators *out) {
    struct reader r = reader_of(bytes, size_bytes);
    size_t etag_bytes, date_bytes;
    const uint8_t *etag = read_bytes(&r, &etag_bytes), *date = read_bytes(&r, &date_bytes);
    memset(out, 0, sizeof *out);
    if (r.failed || etag_bytes >= sizeof out->etag || date_bytes >= sizeof out->last_modified) return;
    if (etag_bytes) memcpy(out->etag, etag, etag_bytes);
    if (date_bytes) memcpy(out->last_modified, date, date_bytes);
}

// Goes on to the first record that is not whole. STATUS_CORRUPT: it stands at the walk's position.
static enum status verify_records(struct walk *w, struct spool_validators *validators, struct error *e) {
    struct spool_record record;
    uint64_t check;
    bool whole;
    for (;;) {
        TRY(walk_header(w, &record, &check, &whole, e));
        if (!whole) return STATUS_OK;
        const uint8_t *bytes;
        TRY(walk_need(w, SPOOL_RECORD_BYTES + record.size_bytes, &bytes, e));
        if (!bytes) return STATUS_OK;
        if (check != spool_payload_check(bytes + SPOOL_RECORD_BYTES, record.size_bytes, record.offset)) {
            return spool_damaged(w->g, w->position, "a message does not match its checksum", e);
        }
        if (spool_segment_mark(&w->g->marks, record.offset, w->position) != STATUS_OK) return error_no_memory(e);
        w->position += SPOOL_RECORD_BYTES + (int64_t)record.size_bytes;
        w->next_offset += record.kind != SPOOL_END;
        if (record.kind != SPOOL_END) continue;
        w->g->size_bytes = w->position;
        w->g->end_offset = w->next_offset;
        read_validators(bytes + SPOOL_RECORD_BYTES, record.size_bytes, validators);
    }
}

static enum status verify_segment(struct walk *w, struct spool_validators *validators, struct error *e) {
    w->g->size_bytes = SPOOL_HEADER_BYTES;
    w->g->end_offset = w->g->first_offset;
    enum status status = verify_records(w, validators, e);
    if (status == STATUS_CORRUPT) {
        struct error other;
        bool unwritten = false;
        if (has_unwritten_page(w, &unwritten, &other) == STATUS_OK && unwritten) status = STATUS_OK;
    }
    TRY(status);
    struct vector *marks = &w->g->marks;
    while (marks->count && ((struct spool_mark *)vector_at(marks, marks->count - 1))->position >= w->g->size_bytes) marks->count--;
    w->g->indexed = true;
    return STATUS_OK;
}

enum status spool_segment_verify(struct spool_segment *g, struct spool_validators *validators, int64_t *file_bytes, struct error *e) {
    struct walk w;
    enum status status = walk_init(&w, g, e);
    if (status == STATUS_OK) status = verify_segment(&w, validators, e);
    *file_bytes = w.end;
    buffer_release(&w.window);
    return status;
}
