// SPDX-License-Identifier: Apache-2.0
// files.c: reading whole files, replacing them durably, locks, folders.
//
// A durable replacement: write a temporary file beside the old one, fdatasync it, rename it over, fsync the folder. A crash at any
// instant leaves the old file or the new one. Calls interrupted by a signal are made again.
#include "base/files.h"
#include "base/failpoint.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_BYTES = 64 * 1024, FOLDER_DEPTH_LIMIT = 64 };

enum status file_read_all(const char *path, size_t limit_bytes, struct buffer *out, struct error *e) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        int reason = errno;
        enum status status = error_set_errno(e, reason, "cannot open %s", path);
        if (reason != ENOENT && reason != ENOTDIR) return status;
        if (e) e->status = STATUS_NOT_FOUND;
        return STATUS_NOT_FOUND;
    }
    enum status status = STATUS_OK;
    size_t begin = out->size_bytes;
    while (status == STATUS_OK) {
        if (buffer_reserve(out, READ_BYTES) != STATUS_OK) {
            status = error_no_memory(e);
            break;
        }
        ssize_t got = read(fd, out->data + out->size_bytes, READ_BYTES);
        if (got == 0) break;
        if (got < 0 && errno != EINTR) status = error_set_errno(e, errno, "cannot read %s", path);
        if (got > 0) out->size_bytes += (size_t)got;
        if (out->size_bytes - begin > limit_bytes) {
            status = error_set(e, STATUS_LIMIT, "LEAT_LIMIT_EXCEEDED", "%s is larger than %zu bytes", path, limit_bytes);
        }
    }
    close(fd);
    if (status != STATUS_OK) out->size_bytes = begin;
    return status;
}

enum status file_write_all(int fd, const void *bytes, size_t size_bytes, const char *path, struct error *e) {
    TRY(failpoint("file.write", e));
    const uint8_t *next = bytes;
    while (size_bytes > 0) {
        ssize_t put = write(fd, next, size_bytes);
        if (put < 0) {
            if (errno == EINTR) continue;
            return error_set_errno(e, errno, "cannot write %s", path);
        }
        next += put;
        size_bytes -= (size_t)put;
    }
    return STATUS_OK;
}

enum status file_sync(int fd, const char *path, struct error *e) {
    TRY(failpoint("file.sync", e));
    return fdatasync(fd) == 0 ? STATUS_OK : error_set_errno(e, errno, "cannot sync %s", path);
}

enum status folder_sync(const char *path, struct error *e) {
    TRY(failpoint("folder.sync", e));
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return error_set_errno(e, errno, "cannot open folder %s", path);
    int result = fsync(fd), reason = errno;
    close(fd);
    return result == 0 ? STATUS_OK : error_set_errno(e, reason, "cannot sync folder %s", path);
}

// The folder a path lies in.
static enum status folder_of(const char *path, char out[PATH_MAX], struct error *e) {
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : 0;
    if (length >= PATH_MAX) return error_set_errno(e, ENAMETOOLONG, "cannot use %s", path);
    if (!slash) {
        memcpy(out, ".", 2);
    } else if (length == 0) {
        memcpy(out, "/", 2);
    } else {
        memcpy(out, path, length);
        out[length] = '\0';
    }
    return STATUS_OK;
}

static enum status write_new_file(const char *path, const struct iovec *parts, int count, struct error *e) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return error_set_errno(e, errno, "cannot create %s", path);
    enum status status = STATUS_OK;
    for (int i = 0; i < count && status == STATUS_OK; i++) status = file_write_all(fd, parts[i].iov_base, parts[i].iov_len, path, e);
    if (status == STATUS_OK) status = file_sync(fd, path, e);
    if (close(fd) != 0 && status == STATUS_OK) status = error_set_errno(e, errno, "cannot close %s", path);
    return status;
}

enum status file_replace_parts(const char *path, const struct iovec *parts, int count, struct error *e) {
    char folder[PATH_MAX], temporary[PATH_MAX];
    TRY(folder_of(path, folder, e));
    int length = snprintf(temporary, sizeof temporary, "%s.%ld.new", path, (long)getpid());
    if (length < 0 || (size_t)length >= sizeof temporary) return error_set_errno(e, ENAMETOOLONG, "cannot use %s", path);
    enum status status = write_new_file(temporary, parts, count, e);
    if (status == STATUS_OK) status = failpoint("file.rename", e);
    if (status == STATUS_OK && rename(temporary, path) != 0) status = error_set_errno(e, errno, "cannot rename %s to %s", temporary, path);
    if (status != STATUS_OK) {
        unlink(temporary);
        return status;
    }
    return folder_sync(folder, e);
}

enum status file_replace(const char *path, const void *bytes, size_t size_bytes, struct error *e) {
    struct iovec whole = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size_bytes};
    return file_replace_parts(path, &whole, 1, e);
}

enum status folder_make(const char *path, mode_t mode, struct error *e) {
    char partial[PATH_MAX];
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof partial) return error_set_errno(e, length ? ENAMETOOLONG : ENOENT, "cannot make folder %s", path);
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != '\0') continue;
        memcpy(partial, path, i);
        partial[i] = '\0';
        struct stat found;
        if (mkdir(partial, mode) == 0) continue;
        int reason = errno;
        bool is_folder = stat(partial, &found) == 0 && S_ISDIR(found.st_mode);
        if (!is_folder) return error_set_errno(e, reason == EEXIST ? ENOTDIR : reason, "cannot make folder %s", partial);
    }
    return STATUS_OK;
}

static pid_t read_owner(int fd) {
    char text[32];
    ssize_t got = pread(fd, text, sizeof text - 1, 0);
    text[got > 0 ? got : 0] = '\0';
    return (pid_t)strtol(text, NULL, 10);
}

enum status file_lock(const char *path, int *fd, pid_t *owner_pid, struct error *e) {
    *fd = -1;
    *owner_pid = 0;
    int opened = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (opened < 0) return error_set_errno(e, errno, "cannot open %s", path);
    if (flock(opened, LOCK_EX | LOCK_NB) != 0) {
        int reason = errno;
        if (reason == EWOULDBLOCK) *owner_pid = read_owner(opened);
        close(opened);
        if (reason != EWOULDBLOCK) return error_set_errno(e, reason, "cannot lock %s", path);
        return error_set(e, STATUS_CONFLICT, "LEAT_DATA_FOLDER_IN_USE", "%s is locked by process %ld", path, (long)*owner_pid);
    }
    char text[32];
    int length = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(opened, 0) != 0 || pwrite(opened, text, (size_t)length, 0) != length) {
        enum status status = error_set_errno(e, errno, "cannot write %s", path);
        close(opened);
        return status;
    }
    *owner_pid = getpid();
    *fd = opened;
    return STATUS_OK;
}

// Removes what lies in an open folder. Names are taken relative to it, so that a link put in the way leads nowhere else.
static int empty_folder(int fd, unsigned depth) {
    if (depth == FOLDER_DEPTH_LIMIT) {
        close(fd);
        errno = ELOOP;
        return -1;
    }
    DIR *folder = fdopendir(fd);
    if (!folder) {
        close(fd);
        return -1;
    }
    int result = 0;
    for (struct dirent *entry; result == 0 && (entry = readdir(folder));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        if (unlinkat(dirfd(folder), entry->d_name, 0) == 0 || errno == ENOENT) continue;
        if (errno != EISDIR && errno != EPERM) {
            result = -1;
            break;
        }
        int inner = openat(dirfd(folder), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        result = inner < 0 ? -1 : empty_folder(inner, depth + 1);
        if (result == 0) result = unlinkat(dirfd(folder), entry->d_name, AT_REMOVEDIR);
    }
    int reason = errno;
    closedir(folder);
    errno = reason;
    return result;
}

enum status folder_remove(const char *path, struct error *e) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) return STATUS_OK;
    if (fd < 0) return error_set_errno(e, errno, "cannot open folder %s", path);
    if (empty_folder(fd, 0) != 0 || rmdir(path) != 0) return error_set_errno(e, errno, "cannot remove folder %s", path);
    return STATUS_OK;
}

bool file_exists(const char *path) { return access(path, F_OK) == 0; }
