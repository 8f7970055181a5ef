// SPDX-License-Identifier: Apache-2.0
// journal.c: writing, checking and replaying the log. Format and rules: journal.h.
#include "stream/journal.h"
#include "base/checksum.h"
#include "base/clock.h"
#include "base/failpoint.h"
#include "base/files.h"
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEADER_BYTES = 40, RECORD_HEADER_BYTES = 20 };
static const uint64_t first_chain = UINT64_C(0x6c656174);
static const size_t file_limit_bytes = (size_t)64 << 30;
static const char journal_magic[8] = {'l', 'e', 'a', 't', 'j', 'r', 'n', '1'};
static const char snapshot_magic[8] = {'l', 'e', 'a', 't', 's', 'n', 'p', '1'};

static void put32(uint8_t *p, uint32_t v) {
    for (int i = 0; i < 4; i++) p[i] = (uint8_t)(v >> (8 * i));
}
static void put64(uint8_t *p, uint64_t v) {
    for (int i = 0; i < 8; i++) p[i] = (uint8_t)(v >> (8 * i));
}
static uint32_t get32(const uint8_t *p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24; }
static uint64_t get64(const uint8_t *p) { return get32(p) | (uint64_t)get32(p + 4) << 32; }

static void make_header(uint8_t out[HEADER_BYTES], const char magic[8], uint32_t generation, const uint8_t pipeline[16]) {
    memcpy(out, magic, 8);
    put32(out + 8, JOURNAL_VERSION);
    put32(out + 12, generation);
    memcpy(out + 16, pipeline, 16);
    put64(out + 32, checksum64(out, 32, 0));
}

static uint32_t header_check(const uint8_t *header, uint64_t place) { return (uint32_t)checksum64(header, 8, place); }

static void file_path(char *out, size_t size, const char *folder, uint32_t generation, const char *kind) {
    snprintf(out, size, "%s/%08u.%s", folder, generation, kind);
}

static enum status damaged(struct error *e, const char *path, size_t place, const char *what) {
    error_set(e, STATUS_CORRUPT, "LEAT_LOG_CORRUPT", "the log `%s` is damaged at byte %zu: %s", path, place, what);
    error_set_hint(e, "restore the whole data folder from a copy, or start anew with another --data folder; rows already in the sinks stay there");
    return STATUS_CORRUPT;
}

static enum status check_header(const uint8_t *bytes, size_t size_bytes, const char *path, const char magic[8], uint32_t generation,
                                const uint8_t *pipeline, struct error *e) {
    if (size_bytes < HEADER_BYTES) return damaged(e, path, size_bytes, "the header is cut");
    if (get64(bytes + 32) != checksum64(bytes, 32, 0)) return damaged(e, path, 0, "the header's checksum is wrong");
    if (memcmp(bytes, magic, 8) != 0) return damaged(e, path, 0, "this is no leat log");
    if (get32(bytes + 8) > JOURNAL_VERSION) {
        error_set(e, STATUS_CONFLICT, "LEAT_FORMAT_TOO_NEW", "`%s` was written by a newer leat (format %u; this one reads up to %u)", path,
                  get32(bytes + 8), (unsigned)JOURNAL_VERSION);
        error_set_hint(e, "run the newer leat");
        return STATUS_CONFLICT;
    }
    if (get32(bytes + 12) != generation) return damaged(e, path, 12, "the file's name and its generation differ");
    if (pipeline && memcmp(bytes + 16, pipeline, 16) != 0) return damaged(e, path, 16, "it belongs to another pipeline");
    return STATUS_OK;
}

static bool all_zero(const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (p[i]) return false;
    }
    return true;
}

struct scan {
    uint64_t chain;
    uint64_t link;       // of a journal: the chain of the one before
    size_t good_bytes;   // up to here every record checks
    uint64_t records;    // whole ones
    bool torn;           // an unfinished record follows
};

// Does a write begin after this place? Then all that comes before it was synced.
static bool later_write(const uint8_t *bytes, size_t size_bytes, size_t at) {
    for (size_t i = at + 1; i + RECORD_HEADER_BYTES <= size_bytes; i++) {
        const uint8_t *p = bytes + i;
        if (p[0] >= RECORD_START && p[0] <= RECORD_LAST && p[1] == 1 && !p[2] && !p[3] && get32(p + 8) == header_check(p, i)) return true;
    }
    return false;
}

static enum status bad_record(const uint8_t *bytes, size_t size_bytes, size_t at, const char *path, const char *what, struct scan *s, struct error *e) {
    if (later_write(bytes, size_bytes, at)) return damaged(e, path, at, what);
    s->torn = true;
    return STATUS_OK;
}

// Walks the records of a file image. A torn end is not an error here; the caller decides.
static enum status scan_records(const uint8_t *bytes, size_t size_bytes, const char *path, journal_replay replay, void *context, struct scan *s,
                                struct error *e) {
    size_t at = HEADER_BYTES;
    s->chain = first_chain;
    s->torn = false;
    s->records = s->link = 0;
    while (at < size_bytes) {
        s->good_bytes = at;
        size_t left = size_bytes - at;
        const uint8_t *p = bytes + at;
        if (left < RECORD_HEADER_BYTES || all_zero(p, left)) {
            s->torn = true;
            return STATUS_OK;
        }
        if (get32(p + 8) != header_check(p, at)) return bad_record(bytes, size_bytes, at, path, "a record's header does not check", s, e);
        size_t payload_bytes = get32(p + 4);
        if (payload_bytes > left - RECORD_HEADER_BYTES) {
            s->torn = true;
            return STATUS_OK;
        }
        const uint8_t *payload = p + RECORD_HEADER_BYTES;
        uint64_t check = checksum64(payload, payload_bytes, s->chain ^ p[0]);
        if (check != get64(p + 12)) return bad_record(bytes, size_bytes, at, path, "a record's checksum is wrong", s, e);
        if (p[0] == RECORD_LINK && payload_bytes == 8 && at == HEADER_BYTES) s->link = get64(payload);
        else if (replay) TRY(replay(context, (enum record_kind)p[0], payload, payload_bytes, e));
        s->chain = check;
        s->records++;
        at += RECORD_HEADER_BYTES + payload_bytes;
    }
    s->good_bytes = at;
    return STATUS_OK;
}

// Reads one file whole; replays it. STATUS_NOT_FOUND if it is absent.
static enum status replay_file(struct memory *memory, const char *folder, uint32_t generation, bool snapshot, const uint8_t *pipeline,
                               journal_replay replay, void *context, struct scan *s, struct error *e) {
    char path[4096];
    struct buffer image;
    buffer_init(&image, memory);
    file_path(path, sizeof path, folder, generation, snapshot ? "snapshot" : "journal");
    enum status status = file_read_all(path, file_limit_bytes, &image, e);
    if (status == STATUS_OK) status = check_header(image.data, image.size_bytes, path, snapshot ? snapshot_magic : journal_magic, generation, pipeline, e);
    if (status == STATUS_OK && snapshot) {  // whole or useless: checked before anything is handed over
        status = scan_records(image.data, image.size_bytes, path, NULL, NULL, s, e);
        if (status == STATUS_OK && (s->torn || s->records != 1)) status = damaged(e, path, s->good_bytes, "the snapshot is cut");
    }
    if (status == STATUS_OK) status = scan_records(image.data, image.size_bytes, path, replay, context, s, e);
    buffer_release(&image);
    return status;
}

// The highest generations that have a journal or snapshot; 0 if none.
static uint32_t newest_generation(const char *folder) {
    uint32_t newest = 0;
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        char *end;
        unsigned long n = strtoul(entry->d_name, &end, 10);
        if (strcmp(end, ".journal") == 0 && n > newest && n < UINT32_MAX) newest = (uint32_t)n;
    }
    if (dir) closedir(dir);
    return newest;
}

// What a crash left behind: unfinished files, and generations that were to be removed. They hold rows that may have been deleted since.
static void sweep(const struct journal *j) {
    char path[4400];
    DIR *dir = opendir(j->folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        char *end;
        unsigned long n = strtoul(entry->d_name, &end, 10);
        size_t length = strlen(entry->d_name);
        bool ours = end != entry->d_name && (strncmp(end, ".journal", 8) == 0 || strncmp(end, ".snapshot", 9) == 0);
        bool unfinished = ours && length > 4 && strcmp(entry->d_name + length - 4, ".new") == 0;
        if (!ours || (!unfinished && n + 1 >= j->generation && n <= j->generation)) continue;
        snprintf(path, sizeof path, "%s/%s", j->folder, entry->d_name);
        unlink(path);
    }
    if (dir) closedir(dir);
}

// Replays the newest state that checks: the newest snapshot and its journal, or the one before and both journals.
static enum status replay_generations(struct memory *memory, const char *folder, uint32_t newest, const uint8_t *pipeline, journal_replay replay,
                                      void *context, bool *used_previous, struct scan *s, struct error *e) {
    *used_previous = false;
    enum status status = replay_file(memory, folder, newest, true, pipeline, replay, context, s, e);
    if (status == STATUS_CORRUPT || status == STATUS_NOT_FOUND) {
        struct error first = *e;
        if (newest < 2) return status == STATUS_NOT_FOUND ? damaged(e, folder, 0, "the snapshot is missing") : status;
        status = replay_file(memory, folder, newest - 1, true, pipeline, replay, context, s, e);
        if (status == STATUS_CORRUPT || status == STATUS_NOT_FOUND) {
            *e = first;
            return first.status == STATUS_NOT_FOUND ? damaged(e, folder, 0, "the snapshot is missing") : first.status;
        }
        TRY(status);
        status = replay_file(memory, folder, newest - 1, false, pipeline, replay, context, s, e);
        if (status == STATUS_NOT_FOUND) return damaged(e, folder, 0, "the newest snapshot is damaged, and the journal before it is missing");
        *used_previous = true;
    }
    TRY(status);
    uint64_t before = s->chain;
    bool cut = *used_previous && s->torn;
    TRY(replay_file(memory, folder, newest, false, pipeline, replay, context, s, e));
    if (!cut && (!*used_previous || s->link == before)) return STATUS_OK;
    char path[4096];
    file_path(path, sizeof path, folder, newest - 1, "journal");
    return damaged(e, path, 0, "its end is missing, and the snapshot that came after it is damaged too");
}

static enum status reopen(struct journal *j, const struct scan *s, struct error *e) {
    char path[4096];
    file_path(path, sizeof path, j->folder, j->generation, "journal");
    j->fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (j->fd < 0) return error_set_errno(e, errno, "cannot open the log `%s`", path);
    if (s->torn && ftruncate(j->fd, (off_t)s->good_bytes) != 0) return error_set_errno(e, errno, "cannot cut the unfinished end of `%s`", path);
    if (s->torn) TRY(file_sync(j->fd, path, e));
    j->chain = s->chain;
    j->size_bytes = s->good_bytes;
    return STATUS_OK;
}

enum status journal_open(struct journal *j, struct memory *memory, const char *data_folder, const uint8_t pipeline[16], journal_replay replay,
                         void *context, bool *is_new, bool *used_previous, struct error *e) {
    memset(j, 0, sizeof *j);
    j->memory = memory;
    j->fd = -1;
    buffer_init(&j->pending, memory);
    pthread_mutex_init(&j->syncer.mutex, NULL);
    pthread_cond_init(&j->syncer.changed, NULL);
    memcpy(j->pipeline, pipeline, 16);
    size_t folder_bytes = strlen(data_folder) + 5;
    j->folder = memory_alloc(memory, folder_bytes);
    if (!j->folder) return error_no_memory(e);
    snprintf(j->folder, folder_bytes, "%s/log", data_folder);
    TRY(folder_make(j->folder, 0700, e));
    TRY(folder_sync(data_folder, e));
    j->generation = newest_generation(j->folder);
    *is_new = j->generation == 0;
    *used_previous = false;
    if (*is_new) return STATUS_OK;
    struct scan s = {0};
    TRY(replay_generations(memory, j->folder, j->generation, pipeline, replay, context, used_previous, &s, e));
    sweep(j);
    return reopen(j, &s, e);
}

static void await_syncer(struct journal *j) {
    struct journal_syncer *y = &j->syncer;
    pthread_mutex_lock(&y->mutex);
    while (y->state == SYNC_ASKED) pthread_cond_wait(&y->changed, &y->mutex);
    pthread_mutex_unlock(&y->mutex);
}

enum status journal_add(struct journal *j, enum record_kind kind, const void *payload, size_t size_bytes, struct error *e) {
    await_syncer(j);
    uint8_t header[RECORD_HEADER_BYTES] = {(uint8_t)kind, j->pending.size_bytes == 0};
    if (size_bytes > UINT32_MAX) return error_set(e, STATUS_LIMIT, "LEAT_LOG_RECORD_TOO_BIG", "a log record of %zu bytes is over the limit of 4 GiB", size_bytes);
    put32(header + 4, (uint32_t)size_bytes);
    put32(header + 8, header_check(header, j->size_bytes + j->pending.size_bytes));
    j->chain = checksum64(payload, size_bytes, j->chain ^ (uint8_t)kind);
    put64(header + 12, j->chain);
    if (buffer_append(&j->pending, header, sizeof header) != STATUS_OK || buffer_append(&j->pending, payload, size_bytes) != STATUS_OK) {
        j->broken = true;
        return error_no_memory(e);
    }
    return STATUS_OK;
}

static enum status write_pending(struct journal *j, struct error *e) {
    if (!j->pending.size_bytes) return STATUS_OK;
    if (j->broken || j->fd < 0) return error_set(e, STATUS_IO, "LEAT_LOG_FAILED", "the log failed before; the pipeline must be started again");
    char path[4096];
    file_path(path, sizeof path, j->folder, j->generation, "journal");
    j->broken = true;  // until proven otherwise
    TRY(failpoint("journal.write", e));
    TRY(file_write_all(j->fd, j->pending.data, j->pending.size_bytes, path, e));
    TRY(failpoint("journal.sync", e));
    TRY(file_sync(j->fd, path, e));
    j->broken = false;
    j->size_bytes += j->pending.size_bytes;
    buffer_clear(&j->pending);
    return failpoint("journal.synced", e);
}

enum status journal_sync(struct journal *j, struct error *e) {
    await_syncer(j);
    return write_pending(j, e);
}

static void *sync_beside(void *argument) {
    struct journal *j = argument;
    struct journal_syncer *y = &j->syncer;
    pthread_mutex_lock(&y->mutex);
    while (!y->closing) {
        if (y->state != SYNC_ASKED) {
            pthread_cond_wait(&y->changed, &y->mutex);
            continue;
        }
        struct error error;
        error_clear(&error);
        pthread_mutex_unlock(&y->mutex);
        if (write_pending(j, &error) == STATUS_OK) error_clear(&error);
        pthread_mutex_lock(&y->mutex);
        y->error = error;
        y->state = SYNC_DONE;
        pthread_cond_broadcast(&y->changed);
    }
    pthread_mutex_unlock(&y->mutex);
    return NULL;
}

static bool start_syncer(struct journal *j) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);  // signals are the main thread's
    j->syncer.started = j->syncer.started || pthread_create(&j->syncer.thread, NULL, sync_beside, j) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return j->syncer.started;
}

enum status journal_sync_begin(struct journal *j, struct error *e) {
    await_syncer(j);
    if (!start_syncer(j)) return write_pending(j, e);
    pthread_mutex_lock(&j->syncer.mutex);
    j->syncer.state = SYNC_ASKED;
    pthread_cond_broadcast(&j->syncer.changed);
    pthread_mutex_unlock(&j->syncer.mutex);
    return STATUS_OK;
}

enum status journal_sync_end(struct journal *j, struct error *e) {
    struct journal_syncer *y = &j->syncer;
    await_syncer(j);
    pthread_mutex_lock(&y->mutex);
    enum status status = y->state == SYNC_DONE ? y->error.status : STATUS_OK;
    if (status != STATUS_OK) *e = y->error;
    pthread_mutex_unlock(&y->mutex);
    return status;
}

static void stop_syncer(struct journal_syncer *y) {
    pthread_mutex_lock(&y->mutex);
    y->closing = true;
    pthread_cond_broadcast(&y->changed);
    pthread_mutex_unlock(&y->mutex);
    if (y->started) pthread_join(y->thread, NULL);
    y->started = false;
    pthread_mutex_destroy(&y->mutex);
    pthread_cond_destroy(&y->changed);
}

static void remove_generation(const struct journal *j, uint32_t generation) {
    char path[4096];
    file_path(path, sizeof path, j->folder, generation, "journal");
    unlink(path);
    file_path(path, sizeof path, j->folder, generation, "snapshot");
    unlink(path);
}

static enum status write_snapshot(struct journal *j, uint32_t generation, const void *snapshot, size_t size_bytes, struct error *e) {
    char path[4096];
    uint8_t header[RECORD_HEADER_BYTES] = {RECORD_SNAPSHOT, 1};
    uint8_t file_header[HEADER_BYTES];
    if (size_bytes > UINT32_MAX) return error_set(e, STATUS_LIMIT, "LEAT_LOG_RECORD_TOO_BIG", "a snapshot of %zu bytes is over the limit of 4 GiB", size_bytes);
    make_header(file_header, snapshot_magic, generation, j->pipeline);
    put32(header + 4, (uint32_t)size_bytes);
    put32(header + 8, header_check(header, HEADER_BYTES));
    put64(header + 12, checksum64(snapshot, size_bytes, first_chain ^ RECORD_SNAPSHOT));
    struct iovec parts[] = {{.iov_base = file_header, .iov_len = sizeof file_header}, {.iov_base = header, .iov_len = sizeof header},
                            {.iov_base = (void *)(uintptr_t)snapshot, .iov_len = size_bytes}};
    file_path(path, sizeof path, j->folder, generation, "snapshot");
    j->snapshot_bytes = sizeof file_header + sizeof header + size_bytes;
    return file_replace_parts(path, parts, 3, e);
}

// A new journal: its header and the link to the one before.
enum { NEW_JOURNAL_BYTES = HEADER_BYTES + RECORD_HEADER_BYTES + 8 };
static uint64_t make_journal(const struct journal *j, uint32_t generation, uint8_t out[NEW_JOURNAL_BYTES]) {
    uint8_t *record = out + HEADER_BYTES, *payload = record + RECORD_HEADER_BYTES;
    make_header(out, journal_magic, generation, j->pipeline);
    memset(record, 0, RECORD_HEADER_BYTES);
    record[0] = RECORD_LINK;
    record[1] = 1;
    put32(record + 4, 8);
    put32(record + 8, header_check(record, HEADER_BYTES));
    put64(payload, j->chain);
    uint64_t chain = checksum64(payload, 8, first_chain ^ RECORD_LINK);
    put64(record + 12, chain);
    return chain;
}

enum status journal_rotate(struct journal *j, const void *snapshot, size_t size_bytes, struct error *e) {
    char path[4096];
    uint8_t start[NEW_JOURNAL_BYTES];
    uint32_t next = j->generation + 1;
    await_syncer(j);
    if (j->broken) return error_set(e, STATUS_IO, "LEAT_LOG_FAILED", "the log failed before; the pipeline must be started again");
    assert(j->pending.size_bytes == 0);
    TRY(write_snapshot(j, next, snapshot, size_bytes, e));
    TRY(failpoint("journal.rotate", e));
    uint64_t chain = make_journal(j, next, start);
    file_path(path, sizeof path, j->folder, next, "journal");
    enum status status = file_replace(path, start, sizeof start, e);  // from here on the new generation counts
    if (status != STATUS_OK) {  // whether it does cannot be told: nothing may be added to the old one
        j->broken = true;
        return status;
    }
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd < 0) {
        j->broken = true;
        return error_set_errno(e, errno, "cannot open the log `%s`", path);
    }
    if (j->fd >= 0) close(j->fd);
    j->fd = fd;
    j->generation = next;
    j->chain = chain;
    j->size_bytes = sizeof start;
    if (next > 2) remove_generation(j, next - 2);
    return STATUS_OK;
}

int64_t journal_snapshot_age_us(const struct journal *j) {
    char path[4096];
    struct stat found;
    file_path(path, sizeof path, j->folder, j->generation, "snapshot");
    if (stat(path, &found) != 0) return 0;
    int64_t age_us = clock_now_us(NULL) - (int64_t)found.st_mtime * 1000000;
    return age_us > 0 ? age_us : 0;
}

void journal_close(struct journal *j) {
    stop_syncer(&j->syncer);
    if (j->fd >= 0) close(j->fd);
    j->fd = -1;
    buffer_release(&j->pending);
    if (j->folder) memory_free(j->memory, j->folder, strlen(j->folder) + 1);
    j->folder = NULL;
}

enum status journal_verify(struct memory *memory, const char *data_folder, journal_replay replay, void *context, struct error *e) {
    char folder[4096];
    struct scan s = {0};
    bool used_previous;
    snprintf(folder, sizeof folder, "%s/log", data_folder);
    uint32_t newest = newest_generation(folder);
    if (!newest) return error_set(e, STATUS_NOT_FOUND, "PATH_NOT_FOUND", "there is no log in `%s`", folder);
    TRY(replay_generations(memory, folder, newest, NULL, replay, context, &used_previous, &s, e));
    if (used_previous) return damaged(e, folder, 0, "the newest snapshot is damaged; the one before and its journal are good");
    return STATUS_OK;
}
