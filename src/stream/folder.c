// SPDX-License-Identifier: Apache-2.0
// folder.c: identity and lock of a data folder. See folder.h.
#include "stream/folder.h"
#include "base/checksum.h"
#include "base/files.h"
#include "base/random.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FOLDER_VERSION = 1, IDENTITY_BYTES = 36 };
static const char identity_magic[8] = {'l', 'e', 'a', 't', 'p', 'i', 'p', 'e'};

static void make_identity(uint8_t out[IDENTITY_BYTES], const uint8_t pipeline[16]) {
    uint32_t version = FOLDER_VERSION;
    memcpy(out, identity_magic, 8);
    for (int i = 0; i < 4; i++) out[8 + i] = (uint8_t)(version >> (8 * i));
    memcpy(out + 12, pipeline, 16);
    uint64_t check = checksum64(out, 28, 0);
    for (int i = 0; i < 8; i++) out[28 + i] = (uint8_t)(check >> (8 * i));
}

static enum status check_identity(struct folder *f, const uint8_t *bytes, size_t size_bytes, const char *path, struct error *e) {
    uint8_t expected[IDENTITY_BYTES];
    if (size_bytes < IDENTITY_BYTES || memcmp(bytes, identity_magic, 8) != 0) {
        error_set(e, STATUS_CORRUPT, "LEAT_LOG_CORRUPT", "`%s` is not what leat wrote", path);
        error_set_hint(e, "restore the whole data folder from a copy, or start anew with another --data folder; rows already in the sinks stay there");
        return STATUS_CORRUPT;
    }
    if (bytes[8] > FOLDER_VERSION || bytes[9]) {
        error_set(e, STATUS_CONFLICT, "LEAT_FORMAT_TOO_NEW", "the data folder was made by a newer leat (format %u; this one reads %u)", bytes[8], (unsigned)FOLDER_VERSION);
        error_set_hint(e, "run the newer leat");
        return STATUS_CONFLICT;
    }
    make_identity(expected, bytes + 12);
    if (memcmp(bytes, expected, IDENTITY_BYTES) != 0) return error_set(e, STATUS_CORRUPT, "LEAT_LOG_CORRUPT", "`%s` is damaged: its checksum is wrong", path);
    memcpy(f->pipeline, bytes + 12, 16);
    return STATUS_OK;
}

// What a leat leaves that died while it made the folder: the lock, and an identity without its name yet (file_replace's "pipeline.PID.new").
static bool is_own_remnant(const char *name) {
    size_t length = strlen(name);
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, "lock") == 0) return true;
    return length > 13 && memcmp(name, "pipeline.", 9) == 0 && strcmp(name + length - 4, ".new") == 0;
}

// A folder that holds other things is not taken over.
static bool has_foreign_files(const char *path) {
    bool foreign = false;
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        if (!is_own_remnant(entry->d_name)) foreign = true;
    }
    if (dir) closedir(dir);
    return foreign;
}

static enum status make_pipeline(struct folder *f, const char *file, struct error *e) {
    uint8_t identity[IDENTITY_BYTES];
    if (has_foreign_files(f->path)) {
        char lock[4200];
        snprintf(lock, sizeof lock, "%s/lock", f->path);
        unlink(lock);  // nothing of ours stays behind
        error_set(e, STATUS_CONFLICT, "LEAT_NOT_A_DATA_FOLDER", "`%s` is not empty and no data folder of leat", f->path);
        error_set_hint(e, "choose another one with --data DIR");
        return STATUS_CONFLICT;
    }
    random_system(f->pipeline, sizeof f->pipeline);
    f->pipeline[6] = (uint8_t)((f->pipeline[6] & 0x0f) | 0x40);  // UUID version 4
    f->pipeline[8] = (uint8_t)((f->pipeline[8] & 0x3f) | 0x80);
    make_identity(identity, f->pipeline);
    f->is_new = true;
    return file_replace(file, identity, sizeof identity, e);
}

enum status folder_open(struct folder *f, const char *path, struct error *e) {
    char file[4200];
    pid_t owner = 0;
    memset(f, 0, sizeof *f);
    f->lock_fd = -1;
    if (strlen(path) >= sizeof f->path) return error_set(e, STATUS_LIMIT, NULL, "the data folder's path is too long");
    memcpy(f->path, path, strlen(path) + 1);
    TRY(folder_make(path, 0700, e));
    snprintf(file, sizeof file, "%s/lock", path);
    enum status status = file_lock(file, &f->lock_fd, &owner, e);
    if (status == STATUS_CONFLICT) {
        error_set(e, STATUS_CONFLICT, "LEAT_FOLDER_IN_USE", "another leat (pid %d) runs on `%s`", (int)owner, path);
        error_set_hint(e, "stop it, or give this one its own --data folder");
    }
    TRY(status);
    struct memory memory;
    struct buffer bytes;
    memory_init(&memory, "folder", NULL, 0);
    buffer_init(&bytes, &memory);
    snprintf(file, sizeof file, "%s/pipeline", path);
    status = file_read_all(file, 4096, &bytes, e);
    if (status == STATUS_OK) status = check_identity(f, bytes.data, bytes.size_bytes, file, e);
    else if (status == STATUS_NOT_FOUND) status = make_pipeline(f, file, e);
    buffer_release(&bytes);
    if (status != STATUS_OK) folder_close(f);
    return status;
}

void folder_close(struct folder *f) {
    if (f->lock_fd >= 0) close(f->lock_fd);
    f->lock_fd = -1;
}

pid_t folder_owner(const char *path) {
    char file[4200], text[32] = "";
    snprintf(file, sizeof file, "%s/lock", path);
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    bool held = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    ssize_t n = held ? read(fd, text, sizeof text - 1) : 0;
    close(fd);
    return n > 0 ? (pid_t)strtol(text, NULL, 10) : 0;
}

enum status folder_clear(const char *path, struct error *e) {
    static const char *const files[] = {"pipeline", "leat.db", "leat.db-wal", "leat.db-shm", "leat.sock", "lock"};
    char file[4200];
    if (!file_exists(path)) return STATUS_OK;
    struct folder f;
    TRY(folder_open(&f, path, e));
    snprintf(file, sizeof file, "%s/log", path);
    enum status status = folder_remove(file, e);
    snprintf(file, sizeof file, "%s/spool", path);
    if (status == STATUS_OK) status = folder_remove(file, e);
    for (size_t i = 0; i < sizeof files / sizeof files[0] && status == STATUS_OK; i++) {
        snprintf(file, sizeof file, "%s/%s", path, files[i]);
        if (unlink(file) != 0 && errno != ENOENT) status = error_set_errno(e, errno, "cannot remove `%s`", file);
    }
    folder_close(&f);
    return status;
}
