// SPDX-License-Identifier: Apache-2.0
// spool.c: the segments of a spool as one log. See spool.h.
//
// The mutex guards the list of segments and what readers may see of the last one (size, end, marks). The group being written belongs to the
// writer alone and lies behind the last segment's size, where no reader looks.
#include "connector/http/spool.h"
#include "base/clock.h"
#include "base/coding.h"
#include "base/failpoint.h"
#include "base/files.h"
#include "base/random.h"
#include "connector/http/spool_segment.h"
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_DIGITS = 20, PENDING_BYTES = 1 << 20, PIECE_BYTES = 1 << 20, PATH_CHARS = 4300 };

struct spool {
    struct spool_config config;
    char *folder;                 // NULL: in memory
    int lock_fd;
    pthread_mutex_t mutex;
    struct vector segments;       // of struct spool_segment *, ascending; at least one
    struct spool_validators validators;
    struct buffer pending;        // of the open group, not yet in the file
    struct vector pending_marks;  // of struct spool_mark
    int64_t pending_position;     // where `pending` goes
    int64_t pending_offset;       // the next one
    bool group_open;
    bool broken;                  // a sync or a cut failed: nothing more is written
};

static struct spool_segment *segment_at(const struct spool *s, size_t index) { return *(struct spool_segment **)vector_at(&s->segments, index); }
static struct spool_segment *last_segment(const struct spool *s) { return segment_at(s, s->segments.count - 1); }

static void segment_path(const struct spool *s, int64_t first_offset, char out[PATH_CHARS]) {
    snprintf(out, PATH_CHARS, "%s/%0*" PRId64 ".spool", s->folder, NAME_DIGITS, first_offset);
}

static enum status push_segment(struct spool *s, struct spool_segment *g, struct error *e) {
    pthread_mutex_lock(&s->mutex);
    enum status status = vector_push(&s->segments, &g);
    pthread_mutex_unlock(&s->mutex);
    if (status == STATUS_OK) return STATUS_OK;
    spool_segment_unref(g);
    return error_no_memory(e);
}

static enum status make_segment(struct spool *s, uint64_t identity, int64_t first_offset, struct error *e) {
    char path[PATH_CHARS];
    struct spool_segment *g;
    if (s->folder) segment_path(s, first_offset, path);
    TRY(spool_segment_make(s->config.memory, s->folder ? path : NULL, identity, first_offset, clock_now_us(NULL), &g, e));
    enum status status = s->folder ? folder_sync(s->folder, e) : STATUS_OK;
    if (status == STATUS_OK) return push_segment(s, g, e);
    spool_segment_unref(g);
    return status;
}

static int compare_offsets(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

// Offset in a segment's name, -1 for other files.
static int64_t offset_of_name(const char *name) {
    if (strlen(name) != NAME_DIGITS + 6 || strcmp(name + NAME_DIGITS, ".spool") != 0 || strspn(name, "0123456789") != NAME_DIGITS) return -1;
    errno = 0;
    int64_t offset = strtoll(name, NULL, 10);
    return errno ? -1 : offset;
}

static enum status list_segments(struct spool *s, struct vector *out, struct error *e) {
    DIR *dir = opendir(s->folder);
    enum status status = STATUS_OK;
    if (!dir) return error_set_errno(e, errno, "cannot list the folder `%s`", s->folder);
    for (struct dirent *entry; status == STATUS_OK && (entry = readdir(dir));) {
        int64_t offset = offset_of_name(entry->d_name);
        if (offset >= 0 && vector_push(out, &offset) != STATUS_OK) status = error_no_memory(e);
    }
    closedir(dir);
    if (out->count) qsort(out->items, out->count, sizeof(int64_t), compare_offsets);
    return status;
}

// A last file whose maker died before its header was there is made again, with the offset its name says.
static enum status open_segment(struct spool *s, int64_t first_offset, bool is_last, struct error *e) {
    char path[PATH_CHARS];
    struct spool_segment *g;
    bool torn;
    segment_path(s, first_offset, path);
    TRY(spool_segment_open(s->config.memory, path, first_offset, &g, &torn, e));
    struct spool_segment *before = s->segments.count ? last_segment(s) : NULL;
    if (torn && is_last) {
        uint64_t identity = before ? before->identity : 0;
        if (before) before->end_offset = first_offset;
        if (!before) random_system(&identity, sizeof identity);
        return make_segment(s, identity, first_offset, e);
    }
    if (torn) return error_set(e, STATUS_CORRUPT, "LEAT_LOG_CORRUPT", "`%s` is damaged at byte 0: it has no header", path);
    if (before && before->identity != g->identity) {
        enum status status = spool_damaged(g, 16, "it belongs to another spool", e);
        spool_segment_unref(g);
        return status;
    }
    if (before) before->end_offset = first_offset;
    return push_segment(s, g, e);
}

// What a crash left behind the last whole group goes; what is there may not have been synced by who wrote it.
static enum status settle_last(struct spool *s, struct error *e) {
    struct spool_segment *g = last_segment(s);
    int64_t file_bytes;
    TRY(spool_segment_verify(g, &s->validators, &file_bytes, e));
    if (file_bytes > g->size_bytes) {
        if (ftruncate(g->fd, g->size_bytes) != 0) return error_set_errno(e, errno, "cannot cut `%s`", g->path);
        if (s->config.log) {
            log_write(s->config.log, LOG_INFO, "%s: %" PRId64 " bytes of an answer that was not received whole when leat ended are removed", g->path,
                      file_bytes - g->size_bytes);
        }
    }
    return file_sync(g->fd, g->path, e);
}

// The validators stand in the last group, which may be in the file before a last one that is still empty.
static enum status find_validators(struct spool *s, struct error *e) {
    if (s->validators.etag[0] || s->validators.last_modified[0] || s->segments.count < 2 ||
        last_segment(s)->size_bytes > SPOOL_HEADER_BYTES) return STATUS_OK;
    struct spool_segment *g = segment_at(s, s->segments.count - 2);
    int64_t file_bytes, size_bytes = g->size_bytes, end = g->end_offset;
    TRY(spool_segment_verify(g, &s->validators, &file_bytes, e));
    if (g->size_bytes != size_bytes || g->end_offset != end) {
        return spool_damaged(g, g->size_bytes, "the next file does not begin where this one ends", e);
    }
    return STATUS_OK;
}

static enum status open_folder(struct spool *s, struct error *e) {
    char path[PATH_CHARS];
    pid_t owner;
    struct vector offsets;
    TRY(folder_make(s->folder, 0700, e));
    snprintf(path, sizeof path, "%s/lock", s->folder);
    TRY(file_lock(path, &s->lock_fd, &owner, e));
    vector_init(&offsets, s->config.memory, sizeof(int64_t));
    enum status status = list_segments(s, &offsets, e);
    for (size_t i = 0; i < offsets.count && status == STATUS_OK; i++) {
        status = open_segment(s, *(int64_t *)vector_at(&offsets, i), i + 1 == offsets.count, e);
    }
    vector_release(&offsets);
    TRY(status);
    if (!s->segments.count) return STATUS_OK;
    TRY(settle_last(s, e));
    return find_validators(s, e);
}

static enum status open_spool(struct spool *s, struct error *e) {
    if (s->folder) TRY(open_folder(s, e));
    if (s->segments.count) return STATUS_OK;
    uint64_t identity;
    random_system(&identity, sizeof identity);
    return make_segment(s, identity, 0, e);
}

enum status spool_open(const struct spool_config *config, struct spool **out, struct error *e) {
    struct spool *s = memory_alloc_zeroed(config->memory, sizeof *s);
    if (!s) return error_no_memory(e);
    s->config = *config;
    s->lock_fd = -1;
    pthread_mutex_init(&s->mutex, NULL);
    vector_init(&s->segments, config->memory, sizeof(struct spool_segment *));
    vector_init(&s->pending_marks, config->memory, sizeof(struct spool_mark));
    buffer_init(&s->pending, config->memory);
    enum status status = STATUS_OK;
    if (config->folder) {
        size_t size = strlen(config->folder) + 1;
        if (size > 4200) status = error_set(e, STATUS_LIMIT, NULL, "the path of the spool's folder is too long");
        else s->folder = memory_alloc(config->memory, size);
        if (s->folder) memcpy(s->folder, config->folder, size);
        else if (status == STATUS_OK) status = error_no_memory(e);
    }
    if (status == STATUS_OK) status = open_spool(s, e);
    if (status == STATUS_OK) *out = s;
    else spool_close(s);
    return status;
}

void spool_close(struct spool *s) {
    if (!s) return;
    for (size_t i = 0; i < s->segments.count; i++) spool_segment_unref(segment_at(s, i));
    vector_release(&s->segments);
    vector_release(&s->pending_marks);
    buffer_release(&s->pending);
    if (s->lock_fd >= 0) close(s->lock_fd);
    if (s->folder) memory_free(s->config.memory, s->folder, strlen(s->folder) + 1);
    pthread_mutex_destroy(&s->mutex);
    memory_free(s->config.memory, s, sizeof *s);
}

int64_t spool_begin(struct spool *s) {
    pthread_mutex_lock(&s->mutex);
    int64_t out = segment_at(s, 0)->first_offset;
    pthread_mutex_unlock(&s->mutex);
    return out;
}
int64_t spool_end(struct spool *s) {
    pthread_mutex_lock(&s->mutex);
    int64_t out = last_segment(s)->end_offset;
    pthread_mutex_unlock(&s->mutex);
    return out;
}
int64_t spool_size(struct spool *s) {
    int64_t out = 0;
    pthread_mutex_lock(&s->mutex);
    for (size_t i = 0; i < s->segments.count; i++) out += segment_at(s, i)->size_bytes;
    pthread_mutex_unlock(&s->mutex);
    return out;
}
uint64_t spool_identity(struct spool *s) {
    pthread_mutex_lock(&s->mutex);
    uint64_t out = segment_at(s, 0)->identity;
    pthread_mutex_unlock(&s->mutex);
    return out;
}
struct spool_validators spool_validators_of(struct spool *s) {
    pthread_mutex_lock(&s->mutex);
    struct spool_validators out = s->validators;
    pthread_mutex_unlock(&s->mutex);
    return out;
}

// ---- the writer ----

static enum status begin_group(struct spool *s, struct error *e) {
    struct spool_segment *g = last_segment(s);
    if (s->broken) return error_set(e, STATUS_IO, "LEAT_LOG_FAILED", "`%s` is not written to any more: a sync failed before", g->path);
    if (s->group_open) return STATUS_OK;
    bool old = s->config.segment_age_us > 0 && clock_now_us(NULL) - g->made_us > s->config.segment_age_us;
    if (g->size_bytes > SPOOL_HEADER_BYTES && (g->size_bytes >= s->config.segment_bytes || old)) {
        TRY(make_segment(s, g->identity, g->end_offset, e));
        g = last_segment(s);
    }
    buffer_clear(&s->pending);
    vector_clear(&s->pending_marks);
    s->pending_position = g->size_bytes;
    s->pending_offset = g->end_offset;
    s->group_open = true;
    return STATUS_OK;
}

static enum status flush_pending(struct spool *s, struct error *e) {
    if (!s->pending.size_bytes) return STATUS_OK;
    TRY(spool_pwrite(last_segment(s), s->pending.data, s->pending.size_bytes, s->pending_position, e));
    s->pending_position += (int64_t)s->pending.size_bytes;
    buffer_clear(&s->pending);
    return STATUS_OK;
}

enum status spool_add(struct spool *s, enum spool_kind kind, const void *bytes, size_t size_bytes, int64_t time_us, struct error *e) {
    if (size_bytes > SPOOL_PAYLOAD_MAX) return error_set(e, STATUS_LIMIT, "LEAT_MESSAGE_TOO_LARGE", "a message is larger than 1 GiB");
    TRY(begin_group(s, e));
    uint8_t header[SPOOL_RECORD_BYTES];
    struct spool_record r = {.kind = kind, .offset = s->pending_offset, .time_us = time_us, .bytes = bytes, .size_bytes = size_bytes};
    int64_t position = s->pending_position + (int64_t)s->pending.size_bytes;
    spool_record_print(header, &r, position);
    if (spool_segment_mark(&s->pending_marks, r.offset, position) != STATUS_OK || buffer_append(&s->pending, header, sizeof header) != STATUS_OK ||
        buffer_append(&s->pending, size_bytes ? bytes : "", size_bytes) != STATUS_OK) {
        return error_no_memory(e);
    }
    s->pending_offset += kind != SPOOL_END;
    return s->pending.size_bytes >= PENDING_BYTES ? flush_pending(s, e) : STATUS_OK;
}

static enum status sync_last(struct spool *s, struct error *e) {
    struct spool_segment *g = last_segment(s);
    if (!s->folder) return STATUS_OK;
    enum status status = failpoint("spool.sync", e);
    if (status == STATUS_OK) status = file_sync(g->fd, g->path, e);
    if (status != STATUS_OK) s->broken = true;  // what the disk has is not known any more
    return status;
}

static enum status show_group(struct spool *s, const struct spool_validators *validators) {
    struct spool_segment *g = last_segment(s);
    for (size_t i = 0; i < s->pending_marks.count; i++) {
        const struct spool_mark *m = vector_at(&s->pending_marks, i);
        TRY(spool_segment_mark(&g->marks, m->offset, m->position));
    }
    g->size_bytes = s->pending_position;
    g->end_offset = s->pending_offset;
    g->written_us = clock_now_us(NULL);
    s->validators = *validators;
    return STATUS_OK;
}

enum status spool_commit(struct spool *s, const struct spool_validators *validators, int64_t time_us, struct error *e) {
    struct buffer payload;
    buffer_init(&payload, s->config.memory);
    enum status status = write_string(&payload, validators->etag);
    if (status == STATUS_OK) status = write_string(&payload, validators->last_modified);
    status = status == STATUS_OK ? spool_add(s, SPOOL_END, payload.data, payload.size_bytes, time_us, e) : error_no_memory(e);
    buffer_release(&payload);
    TRY(status);
    TRY(flush_pending(s, e));
    TRY(sync_last(s, e));
    pthread_mutex_lock(&s->mutex);
    status = show_group(s, validators);
    pthread_mutex_unlock(&s->mutex);
    if (status != STATUS_OK) return error_no_memory(e);
    s->group_open = false;
    return STATUS_OK;
}

void spool_abort(struct spool *s) {
    struct spool_segment *g = last_segment(s);
    if (!s->group_open) return;
    buffer_clear(&s->pending);
    s->group_open = false;
    if (ftruncate(g->fd, g->size_bytes) != 0) s->broken = true;
}

// The first segment may go: all of it is committed, it is not the one being written, and it is old or there is too much.
static struct spool_segment *take_first(struct spool *s, int64_t committed, int64_t max_bytes, int64_t oldest_us) {
    struct spool_segment *g = NULL;
    int64_t total = spool_size(s);
    pthread_mutex_lock(&s->mutex);
    if (s->segments.count > 1) g = segment_at(s, 0);
    if (g && (g->end_offset > committed || (g->written_us >= oldest_us && total <= max_bytes))) g = NULL;
    if (g) {
        memmove(s->segments.items, (struct spool_segment **)s->segments.items + 1, (s->segments.count - 1) * sizeof g);
        s->segments.count--;
    }
    pthread_mutex_unlock(&s->mutex);
    return g;
}

enum status spool_retain(struct spool *s, int64_t committed, int64_t max_bytes, int64_t oldest_us, struct error *e) {
    bool removed = false;
    enum status status = STATUS_OK;
    for (struct spool_segment *g; status == STATUS_OK && (g = take_first(s, committed, max_bytes, oldest_us)); removed = true) {
        if (s->folder && unlink(g->path) != 0 && errno != ENOENT) status = error_set_errno(e, errno, "cannot remove `%s`", g->path);
        spool_segment_unref(g);
    }
    if (removed && status == STATUS_OK && s->folder) status = folder_sync(s->folder, e);
    return status;
}

// ---- readers ----

// Index of the segment with an offset; its count if there is none. Under the mutex.
static size_t find_segment(const struct spool *s, int64_t offset) {
    for (size_t i = s->segments.count; i-- > 0;) {
        const struct spool_segment *g = segment_at(s, i);
        if (offset >= g->first_offset) return offset < g->end_offset ? i : s->segments.count;
    }
    return s->segments.count;
}

// Where a walk to `offset` begins: the last mark at or before it.
static int64_t mark_before(const struct spool_segment *g, int64_t offset) {
    size_t low = 0, high = g->marks.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (((const struct spool_mark *)vector_at(&g->marks, middle))->offset <= offset) low = middle + 1;
        else high = middle;
    }
    // The END of a group has the offset of the record behind it, and a mark may stand on either: begin before both.
    while (low > 1 && ((const struct spool_mark *)vector_at(&g->marks, low - 1))->offset == offset) low--;
    return low ? ((const struct spool_mark *)vector_at(&g->marks, low - 1))->position : SPOOL_HEADER_BYTES;
}

// The last mark's offset within so many bytes from `from`; a position after it is beyond them.
static int64_t limit_within(const struct spool_segment *g, int64_t begin_position, int64_t left) {
    int64_t limit = g->first_offset;
    for (size_t i = 0; i < g->marks.count; i++) {
        const struct spool_mark *m = vector_at(&g->marks, i);
        if (m->position - begin_position > left) break;
        limit = m->offset;
    }
    return limit;
}

static enum status limit_locked(struct spool *s, int64_t from, int64_t row_count, int64_t size_bytes, int64_t *end, struct error *e) {
    int64_t last = last_segment(s)->end_offset, limit = from, left = size_bytes;
    for (size_t i = find_segment(s, from); i < s->segments.count; i++) {
        struct spool_segment *g = segment_at(s, i);
        TRY(spool_segment_index(g, e));
        int64_t begin = from > g->first_offset ? mark_before(g, from) : SPOOL_HEADER_BYTES;
        if (g->size_bytes - begin > left) {
            int64_t within = limit_within(g, begin, left);
            if (within > limit) limit = within;
            break;
        }
        left -= g->size_bytes - begin;
        limit = g->end_offset;
    }
    if (limit <= from) limit = from + 1;
    if (row_count > 0 && limit - from > row_count) limit = from + row_count;
    *end = limit < last ? limit : last;
    return STATUS_OK;
}

enum status spool_limit(struct spool *s, int64_t from, int64_t row_count, int64_t size_bytes, int64_t *end, struct error *e) {
    pthread_mutex_lock(&s->mutex);
    enum status status = limit_locked(s, from, row_count, size_bytes, end, e);
    pthread_mutex_unlock(&s->mutex);
    return status;
}

void spool_cursor_open(struct spool_cursor *c, struct spool *s, int64_t begin, int64_t end) {
    *c = (struct spool_cursor){.spool = s, .next = begin, .end = end};
}

void spool_cursor_close(struct spool_cursor *c) {
    spool_segment_unref(c->segment);
    c->segment = NULL;
}

// Holds the segment with the next offset. *moved: it is another one than before, and the position is at or before that offset's record.
static enum status find_place(struct spool_cursor *c, bool *moved, struct error *e) {
    struct spool *s = c->spool;
    enum status status = STATUS_OK;
    *moved = false;
    pthread_mutex_lock(&s->mutex);
    if (!c->segment || c->next >= c->segment->end_offset) {
        size_t i = find_segment(s, c->next);
        spool_segment_unref(c->segment);
        c->segment = NULL;
        if (i == s->segments.count) {
            error_set(e, STATUS_CONFLICT, "LEAT_DATA_LOSS", "the spool `%s` has no offset %" PRId64, s->folder ? s->folder : "in memory", c->next);
            error_set_hint(e, "restore the data folder as a whole, or build the tables anew with --full-refresh-all");
            status = STATUS_CONFLICT;
        } else {
            c->segment = segment_at(s, i);
            atomic_fetch_add(&c->segment->reference_count, 1);
            status = spool_segment_index(c->segment, e);
            c->position = mark_before(c->segment, c->next);
            *moved = true;
        }
    }
    if (status == STATUS_OK) {
        c->segment_end = c->segment->end_offset;
        c->segment_bytes = c->segment->size_bytes;
    }
    pthread_mutex_unlock(&s->mutex);
    return status;
}

// Steps from a mark to the record itself, so that pieces do not depend on where marks happen to be.
static enum status step_to_record(struct spool_cursor *c, struct error *e) {
    for (;;) {
        uint8_t header[SPOOL_RECORD_BYTES];
        struct spool_record r;
        uint64_t check;
        size_t got = 0;
        if (c->position + SPOOL_RECORD_BYTES <= c->segment_bytes) TRY(spool_pread(c->segment, header, sizeof header, c->position, &got, e));
        if (got < sizeof header) return spool_damaged(c->segment, c->position, "the file ends too early", e);
        TRY(spool_record_parse(c->segment, header, c->position, &r, &check, e));
        if (r.offset > c->next) return spool_damaged(c->segment, c->position, "an offset is missing", e);
        if (r.offset == c->next && r.kind != SPOOL_END) return STATUS_OK;
        c->position += SPOOL_RECORD_BYTES + (int64_t)r.size_bytes;
    }
}

// The records in a piece that begins at the cursor's position. *needed: bytes of the first one that is not whole; 0: all taken are.
static enum status take_records(struct spool_cursor *c, const struct buffer *piece, struct spool_record *records, uint32_t capacity, uint32_t *count,
                                size_t *needed, struct error *e) {
    size_t at = 0;
    *needed = 0;
    while (*count < capacity && c->next < c->end && c->next < c->segment_end) {
        struct spool_record r;
        uint64_t check;
        *needed = SPOOL_RECORD_BYTES;
        if (piece->size_bytes - at < SPOOL_RECORD_BYTES) break;
        TRY(spool_record_parse(c->segment, piece->data + at, c->position, &r, &check, e));
        *needed = SPOOL_RECORD_BYTES + r.size_bytes;
        if (piece->size_bytes - at < *needed) break;
        if (r.kind != SPOOL_END) {
            r.bytes = piece->data + at + SPOOL_RECORD_BYTES;
            if (r.offset != c->next) return spool_damaged(c->segment, c->position, "an offset is missing", e);
            if (check != spool_payload_check(r.bytes, r.size_bytes, r.offset)) {
                return spool_damaged(c->segment, c->position, "a message does not match its checksum", e);
            }
            records[(*count)++] = r;
            c->next++;
        }
        at += *needed;
        c->position += (int64_t)*needed;
        *needed = 0;
    }
    return STATUS_OK;
}

static enum status load_piece(struct spool_cursor *c, size_t wanted, struct buffer **piece, struct error *e) {
    size_t got = 0, left = c->segment_bytes > c->position ? (size_t)(c->segment_bytes - c->position) : 0;
    if (wanted > left) wanted = left;
    if (wanted) {
        *piece = buffer_new(c->spool->config.memory, wanted);
        if (!*piece) return error_no_memory(e);
        TRY(spool_pread(c->segment, (*piece)->data, wanted, c->position, &got, e));
        (*piece)->size_bytes = got;
    }
    return got ? STATUS_OK : spool_damaged(c->segment, c->position, "the file ends too early", e);
}

static enum status read_piece(struct spool_cursor *c, struct spool_record *records, uint32_t capacity, uint32_t *count, struct buffer **piece,
                              size_t *wanted, struct error *e) {
    size_t needed;
    bool moved;
    buffer_unref(*piece);
    *piece = NULL;
    TRY(find_place(c, &moved, e));
    if (moved) TRY(step_to_record(c, e));
    TRY(load_piece(c, *wanted, piece, e));
    int64_t before = c->position;
    TRY(take_records(c, *piece, records, capacity, count, &needed, e));
    bool stuck = c->position == before && (needed <= *wanted || (int64_t)needed > c->segment_bytes - before);
    *wanted = needed > PIECE_BYTES ? needed : PIECE_BYTES;
    return stuck ? spool_damaged(c->segment, before, "the file ends too early", e) : STATUS_OK;
}

enum status spool_cursor_next(struct spool_cursor *c, struct spool_record *records, uint32_t capacity, uint32_t *count, struct buffer **piece,
                              struct error *e) {
    enum status status = STATUS_OK;
    size_t wanted = PIECE_BYTES;
    *count = 0;
    *piece = NULL;
    while (status == STATUS_OK && *count == 0 && c->next < c->end) status = read_piece(c, records, capacity, count, piece, &wanted, e);
    if (status == STATUS_OK && *count) return STATUS_OK;
    buffer_unref(*piece);
    *piece = NULL;
    return status;
}
