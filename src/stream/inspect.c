// SPDX-License-Identifier: Apache-2.0
// inspect.c: a data folder as recovery would find it, without owning it. See inspect.h; the walk over a log's files is inspect_files.c.
#include "stream/inspect.h"
#include "base/checksum.h"
#include "base/files.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { IDENTITY_BYTES = 36, FOLDER_VERSION = 1, TRIES = 8, PAUSE_US = 25000, PATH_BYTES = 4200 };

static enum status no_folder_of_ours(struct error *e, const char *folder) {
    error_set(e, STATUS_NOT_FOUND, "LEAT_NOT_A_DATA_FOLDER", "`%s` is no data folder of leat: it has no file `pipeline`", folder);
    error_set_hint(e, "give the folder that `leat run` made: leat-data beside the SQL file, or what its --data said");
    return STATUS_NOT_FOUND;
}

static uint64_t fixed64(const uint8_t *p) {
    struct reader r = reader_of(p, 8);
    return read_fixed64(&r);
}

enum status inspect_identity(struct memory *memory, const char *folder, uint8_t pipeline[16], struct error *e) {
    char path[PATH_BYTES];
    struct stat found;
    struct buffer bytes;
    if (strlen(folder) > PATH_BYTES - 64) return error_set(e, STATUS_LIMIT, NULL, "the data folder's path is too long");
    if (stat(folder, &found) != 0) {
        error_set(e, STATUS_NOT_FOUND, "PATH_NOT_FOUND", "there is no folder `%s`", folder);
        return STATUS_NOT_FOUND;
    }
    if (!S_ISDIR(found.st_mode)) return no_folder_of_ours(e, folder);
    snprintf(path, sizeof path, "%s/pipeline", folder);
    buffer_init(&bytes, memory);
    enum status status = file_read_all(path, 4096, &bytes, e);
    const uint8_t *p = bytes.data;
    if (status == STATUS_NOT_FOUND) status = no_folder_of_ours(e, folder);
    else if (status == STATUS_OK && (bytes.size_bytes < IDENTITY_BYTES || memcmp(p, "leatpipe", 8) != 0)) {
        status = error_set(e, STATUS_CORRUPT, "LEAT_LOG_CORRUPT", "`%s` is not what leat wrote", path);
    } else if (status == STATUS_OK && (p[8] > FOLDER_VERSION || p[9])) {
        error_set(e, STATUS_CONFLICT, "LEAT_FORMAT_TOO_NEW", "the data folder was made by a newer leat (format %u; this one reads %u)",
                  p[8] | (unsigned)p[9] << 8,
                  (unsigned)FOLDER_VERSION);
        error_set_hint(e, "use the newer leat");
        status = STATUS_CONFLICT;
    } else if (status == STATUS_OK && (p[8] != FOLDER_VERSION || p[10] || p[11] || bytes.size_bytes != IDENTITY_BYTES ||
                                       fixed64(p + 28) != checksum64(p, 28, 0))) {
        status = error_set(e, STATUS_CORRUPT, "LEAT_LOG_CORRUPT", "`%s` is damaged: its checksum is wrong", path);
    }
    if (status == STATUS_OK) memcpy(pipeline, p + 12, 16);
    buffer_release(&bytes);
    return status;
}

// The pid in the lock's file, if the system says that it holds the lock. The lock itself is not touched: trying it could turn away a leat that
// starts at this moment.
static int owner_of(const char *folder) {
    char path[PATH_BYTES], line[256], text[32] = "";
    struct stat found;
    snprintf(path, sizeof path, "%s/lock", folder);
    FILE *file = fopen(path, "re");
    if (!file) return 0;
    bool any = fgets(text, sizeof text, file) && fstat(fileno(file), &found) == 0;
    fclose(file);
    long pid = any ? strtol(text, NULL, 10) : 0;
    FILE *locks = pid > 0 ? fopen("/proc/locks", "re") : NULL;
    bool held = false;
    while (locks && !held && fgets(line, sizeof line, locks)) {
        char inode[32];
        long holder = 0;
        snprintf(inode, sizeof inode, ":%llu ", (unsigned long long)found.st_ino);
        held = strstr(line, "FLOCK") && strstr(line, inode) && sscanf(line, "%*s %*s %*s %*s %ld", &holder) == 1 && holder == pid;
    }
    if (locks) fclose(locks);
    return held ? (int)pid : 0;
}

// What the durable state does not keep: when the last epoch was committed.
struct following {
    struct inspection *inspection;
    uint64_t epoch;                  // of the intent that was met last
    int64_t clock_us;
};

static enum status follow(void *context, enum record_kind kind, const uint8_t *payload, size_t size_bytes, struct error *e) {
    struct following *f = context;
    struct inspection *i = f->inspection;
    TRY(durable_replay(&i->durable, kind, payload, size_bytes, e));
    struct reader r = reader_of(payload, size_bytes);
    if (kind == RECORD_INTENT) {
        f->epoch = read_varint(&r);
        f->clock_us = read_signed(&r);
    } else if (kind == RECORD_COMMIT) {
        i->committed_epoch = f->epoch;
        i->committed_us = f->clock_us;
    } else if (kind == RECORD_SNAPSHOT) {  // taken between epochs; a number that was given up counts as used
        i->committed_epoch = i->durable.last_epoch;
        i->committed_us = i->durable.last_clock_us;
    }
    return STATUS_OK;
}

static enum status replay_once(struct inspection *i, struct error *e) {
    struct following following = {.inspection = i};
    durable_release(&i->durable);
    durable_init(&i->durable, i->memory);
    i->committed_epoch = 0;
    i->committed_us = 0;
    i->used_previous = false;
    enum status status = journal_verify(i->memory, i->folder, follow, &following, e);
    if (status != STATUS_CORRUPT && status != STATUS_NOT_FOUND) return status;
    struct log_report report;  // the previous generation's state is there, if that is what recovery would use
    struct error ignored;
    if (inspect_verify(i->memory, i->folder, &report, &ignored) != STATUS_OK) return status;
    i->used_previous = report.recoverable && report.used < report.newest;
    if (status == STATUS_NOT_FOUND && !report.recoverable) {  // a file of the log is gone, not the log
        status = error_set(e, STATUS_CORRUPT, "LEAT_LOG_CORRUPT", "the log of `%s` is damaged: %s", i->folder, report.why_not);
        error_set_hint(e, "restore the whole data folder from a copy, or start anew with another --data folder; rows already in the sinks stay there");
    }
    if (i->used_previous) status = STATUS_OK;
    log_report_release(&report);
    return status;
}

enum status inspect_open(struct inspection *i, struct memory *memory, const char *folder, struct error *e) {
    *i = (struct inspection){.memory = memory, .folder = folder};
    durable_init(&i->durable, memory);
    TRY(inspect_identity(memory, folder, i->pipeline, e));
    enum status status = STATUS_OK;
    for (int tries = 0; tries < TRIES; tries++) {
        if (tries) usleep(PAUSE_US);
        i->owner_pid = owner_of(folder);
        status = replay_once(i, e);
        bool may_pass = status == STATUS_NOT_FOUND || status == STATUS_CORRUPT || i->used_previous;
        if (!may_pass || (!i->owner_pid && tries)) break;
    }
    if (status == STATUS_NOT_FOUND) {
        error_set(e, STATUS_NOT_FOUND, "PATH_NOT_FOUND", "the data folder `%s` has no log yet: no pipeline has started on it", folder);
        error_set_hint(e, "run the pipeline once; a folder that has lost its log must be restored whole from a copy");
    }
    return status;
}

void inspect_release(struct inspection *i) { durable_release(&i->durable); }
