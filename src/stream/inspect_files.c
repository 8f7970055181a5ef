// SPDX-License-Identifier: Apache-2.0
// inspect_files.c: every file of a log, checked byte for byte against the format that journal.h draws, and the generation that recovery would use.
#include "stream/inspect.h"
#include "base/checksum.h"
#include "base/files.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEADER_BYTES = 40, RECORD_BYTES = 20, PATH_BYTES = 4400, TRIES = 8, PAUSE_US = 25000 };
static const uint64_t first_chain = UINT64_C(0x6c656174);
static const size_t file_limit_bytes = (size_t)64 << 30;

static uint32_t get32(const uint8_t *p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24; }
static uint64_t get64(const uint8_t *p) { return get32(p) | (uint64_t)get32(p + 4) << 32; }

static void judge(struct log_file *f, enum file_verdict verdict, uint64_t at_byte, const char *why) {
    f->verdict = verdict;
    f->at_byte = at_byte;
    snprintf(f->why, sizeof f->why, "%s", why);
}

static bool is_head(const uint8_t *p, uint64_t place) { return get32(p + 8) == (uint32_t)checksum64(p, 8, place); }

// A write that begins behind this place: what comes before it was synced and cannot be unfinished.
static bool write_follows(const uint8_t *bytes, size_t size_bytes, size_t at) {
    for (size_t i = at + 1; i + RECORD_BYTES <= size_bytes; i++) {
        const uint8_t *p = bytes + i;
        if (p[0] >= RECORD_START && p[0] <= RECORD_LAST && p[1] == 1 && !p[2] && !p[3] && is_head(p, i)) return true;
    }
    return false;
}

static void end_badly(struct log_file *f, const uint8_t *bytes, size_t size_bytes, size_t at, const char *what) {
    bool synced = write_follows(bytes, size_bytes, at);
    judge(f, synced ? FILE_DAMAGED : FILE_UNFINISHED, at, synced ? what : "its last write is unfinished");
}

static void count_record(struct log_file *f, const uint8_t *record, size_t payload_bytes, size_t at) {
    struct reader r = reader_of(record + RECORD_BYTES, payload_bytes);
    f->record_count++;
    if (record[0] == RECORD_LINK && payload_bytes == 8 && at == HEADER_BYTES) f->link = read_fixed64(&r);
    if (record[0] != RECORD_COMMIT) return;
    f->last_epoch = read_varint(&r);
    if (!f->commit_count++) f->first_epoch = f->last_epoch;
}

static void walk_records(struct log_file *f, const uint8_t *bytes, size_t size_bytes) {
    f->chain = first_chain;
    for (size_t at = HEADER_BYTES; at < size_bytes;) {
        const uint8_t *p = bytes + at;
        size_t left = size_bytes - at, zeros = 0;
        while (zeros < left && !p[zeros]) zeros++;
        if (left < RECORD_BYTES || zeros == left) return judge(f, FILE_UNFINISHED, at, "its last write is unfinished");
        if (!is_head(p, at)) return end_badly(f, bytes, size_bytes, at, "a record's header does not check");
        size_t payload_bytes = get32(p + 4);
        if (payload_bytes > left - RECORD_BYTES) return judge(f, FILE_UNFINISHED, at, "its last write is unfinished");
        uint64_t check = checksum64(p + RECORD_BYTES, payload_bytes, f->chain ^ p[0]);
        if (check != get64(p + 12)) return end_badly(f, bytes, size_bytes, at, "a record's checksum is wrong");
        count_record(f, p, payload_bytes, at);
        f->chain = check;
        at += RECORD_BYTES + payload_bytes;
    }
}

static void check_image(struct log_file *f, const uint8_t *bytes, size_t size_bytes, const uint8_t pipeline[16]) {
    if (size_bytes < HEADER_BYTES) return judge(f, FILE_DAMAGED, size_bytes, "the header is cut");
    if (get64(bytes + 32) != checksum64(bytes, 32, 0)) return judge(f, FILE_DAMAGED, 0, "the header's checksum is wrong");
    if (memcmp(bytes, f->is_snapshot ? "leatsnp1" : "leatjrn1", 8) != 0) return judge(f, FILE_DAMAGED, 0, "this is no leat log");
    f->version = get32(bytes + 8);
    if (f->version > JOURNAL_VERSION) return judge(f, FILE_TOO_NEW, 8, "it was written by a newer leat");
    if (get32(bytes + 12) != f->generation) return judge(f, FILE_DAMAGED, 12, "the file's name and its generation differ");
    if (memcmp(bytes + 16, pipeline, 16) != 0) return judge(f, FILE_DAMAGED, 16, "it belongs to another pipeline");
    walk_records(f, bytes, size_bytes);
    if (!f->is_snapshot) return;
    if (f->verdict == FILE_UNFINISHED) judge(f, FILE_DAMAGED, f->at_byte, "the snapshot is cut");
    if (f->verdict == FILE_GOOD && f->record_count != 1) judge(f, FILE_DAMAGED, HEADER_BYTES, "a snapshot is one record");
}

// STATUS_NOT_FOUND: it has gone meanwhile.
static enum status check_file(struct log_report *r, struct memory *memory, const char *folder, struct log_file *f, struct error *e) {
    char path[PATH_BYTES];
    struct stat found;
    struct buffer image;
    snprintf(path, sizeof path, "%s/log/%s", folder, f->name);
    buffer_init(&image, memory);
    enum status status = file_read_all(path, file_limit_bytes, &image, e);
    if (status == STATUS_OK) {
        f->size_bytes = image.size_bytes;
        if (stat(path, &found) == 0) f->written_us = (int64_t)found.st_mtime * 1000000;
        check_image(f, image.data, image.size_bytes, r->pipeline);
    }
    buffer_release(&image);
    return status;
}

static int newest_first(const void *a, const void *b) {
    const struct log_file *x = a, *y = b;
    if (x->generation != y->generation) return x->generation > y->generation ? -1 : 1;
    return (int)y->is_snapshot - (int)x->is_snapshot;
}

static enum status list_files(struct log_report *r, const char *folder, struct error *e) {
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/log", folder);
    DIR *dir = opendir(path);
    enum status status = STATUS_OK;
    for (struct dirent *entry; dir && status == STATUS_OK && (entry = readdir(dir));) {
        char *end;
        unsigned long n = strtoul(entry->d_name, &end, 10);
        bool is_journal = strcmp(end, ".journal") == 0, is_snapshot = strcmp(end, ".snapshot") == 0;
        if (end == entry->d_name || (!is_journal && !is_snapshot) || n == 0 || n >= UINT32_MAX ||
            strlen(entry->d_name) >= sizeof(struct log_file){0}.name) continue;
        struct log_file *f = vector_add(&r->files);
        if (!f) {
            status = error_no_memory(e);
            break;
        }
        f->generation = (uint32_t)n;
        f->is_snapshot = is_snapshot;
        memcpy(f->name, entry->d_name, strlen(entry->d_name));
        if (is_journal && n > r->newest) r->newest = (uint32_t)n;
    }
    if (dir) closedir(dir);
    if (r->files.count) qsort(r->files.items, r->files.count, sizeof(struct log_file), newest_first);
    return status;
}

static const struct log_file *file_of(const struct log_report *r, uint32_t generation, bool is_snapshot) {
    for (size_t i = 0; i < r->files.count; i++) {
        const struct log_file *f = vector_at(&r->files, i);
        if (f->generation == generation && f->is_snapshot == is_snapshot) return f;
    }
    return NULL;
}

static void refuse(struct log_report *r, const char *why, const struct log_file *f) {
    snprintf(r->why_not, sizeof r->why_not, f && f->verdict != FILE_GOOD ? "%s: %s" : "%s", why, f ? f->why : "");
}

// As recovery chooses: the newest snapshot and its journal; or the snapshot before and both journals, of which none may miss anything.
static void choose_generation(struct log_report *r) {
    const struct log_file *snapshot = file_of(r, r->newest, true), *journal = file_of(r, r->newest, false);
    if (!journal) return refuse(r, "there is no journal", NULL);
    if (snapshot && snapshot->verdict == FILE_TOO_NEW) return refuse(r, "the newest snapshot cannot be read", snapshot);
    if (journal->verdict == FILE_TOO_NEW || journal->verdict == FILE_DAMAGED) return refuse(r, "the newest journal cannot be read", journal);
    r->used = r->newest;
    r->recoverable = true;
    if (snapshot && snapshot->verdict == FILE_GOOD) return;
    r->recoverable = false;
    r->used = 0;
    const struct log_file *before = file_of(r, r->newest - 1, true), *between = file_of(r, r->newest - 1, false);  // none has the number 0
    if (!before || before->verdict != FILE_GOOD)
        return refuse(r, snapshot ? "the newest snapshot is damaged, and there is no good one before it" : "the snapshot is missing", before);
    if (!between || between->verdict != FILE_GOOD || journal->link != between->chain) {
        return refuse(r, between ? "the newest snapshot is damaged, and the journal before it is not whole"
                      : "the newest snapshot is damaged, and the journal before it is missing",
                      between);
    }
    r->used = r->newest - 1;
    r->recoverable = true;
}

static enum status verify_once(struct log_report *r, struct memory *memory, const char *folder, struct error *e) {
    TRY(list_files(r, folder, e));
    for (size_t i = 0; i < r->files.count; i++) {
        struct log_file *f = vector_at(&r->files, i);
        TRY(check_file(r, memory, folder, f, e));
        r->any_damage |= f->verdict == FILE_DAMAGED || f->verdict == FILE_TOO_NEW;
    }
    choose_generation(r);
    return STATUS_OK;
}

enum status inspect_verify(struct memory *memory, const char *folder, struct log_report *out, struct error *e) {
    uint8_t pipeline[16];
    memset(out, 0, sizeof *out);
    vector_init(&out->files, memory, sizeof(struct log_file));
    TRY(inspect_identity(memory, folder, pipeline, e));
    enum status status = STATUS_OK;
    for (int tries = 0; tries < TRIES; tries++) {  // what runs on the folder may have taken a generation away
        if (tries) usleep(PAUSE_US);
        log_report_release(out);
        memset(out, 0, sizeof *out);
        vector_init(&out->files, memory, sizeof(struct log_file));
        memcpy(out->pipeline, pipeline, sizeof pipeline);
        status = verify_once(out, memory, folder, e);
        if (status != STATUS_NOT_FOUND && (status != STATUS_OK || (out->recoverable && !out->any_damage) || tries > 1)) break;
    }
    if (status == STATUS_OK && !out->files.count) {
        error_set(e, STATUS_NOT_FOUND, "PATH_NOT_FOUND", "the data folder `%s` has no log yet: no pipeline has started on it", folder);
        status = STATUS_NOT_FOUND;
    }
    if (status != STATUS_OK) log_report_release(out);
    return status;
}

void log_report_release(struct log_report *r) { vector_release(&r->files); }
