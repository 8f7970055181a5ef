// SPDX-License-Identifier: Apache-2.0
// json_files.c: see json_files.h.
#include "connector/json/json_files.h"
#include "base/checksum.h"
#include "json/json.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SCAN_BYTES = 65536, STAMP_BYTES = 1024 };
static const int64_t tail_limit_bytes = INT64_C(1) << 20;

static struct json_file file_of(const char *path, const struct stat *st) {
    return (struct json_file){.path = path, .size_bytes = st->st_size, .modified_us = (int64_t)st->st_mtim.tv_sec * 1000000 + st->st_mtim.tv_nsec / 1000};
}

static int compare_files(const void *a, const void *b) {
    const struct json_file *x = a, *y = b;
    if (x->modified_us != y->modified_us) return x->modified_us < y->modified_us ? -1 : 1;
    return strcmp(x->path, y->path);
}

static enum status list_folder(struct arena *a, const char *path, struct json_files *out, struct error *e) {
    DIR *dir = opendir(path);
    uint32_t capacity = 0;
    if (!dir) return error_set_errno(e, errno, "cannot list the folder `%s`", path);
    for (struct dirent *entry; (entry = readdir(dir));) {
        struct stat st;
        if (entry->d_name[0] == '.' || entry->d_name[0] == '_') continue;
        char *full = arena_printf(a, "%s/%s", path, entry->d_name);
        if (!full || stat(full, &st) != 0 || !S_ISREG(st.st_mode)) continue;
        if (out->count == capacity) {
            uint32_t wanted = capacity ? capacity * 2 : 64;
            struct json_file *grown = arena_alloc_array(a, wanted, sizeof *grown);
            if (!grown) {
                closedir(dir);
                return error_no_memory(e);
            }
            if (out->count) memcpy(grown, out->items, out->count * sizeof *grown);
            out->items = grown;
            capacity = wanted;
        }
        out->items[out->count++] = file_of(full, &st);
    }
    closedir(dir);
    if (out->count) qsort(out->items, out->count, sizeof *out->items, compare_files);
    return STATUS_OK;
}

enum status json_files_list(struct arena *a, const char *path, struct json_files *out, struct error *e) {
    struct stat st;
    *out = (struct json_files){0};
    if (stat(path, &st) != 0) {
        error_set(e, STATUS_NOT_FOUND, "PATH_NOT_FOUND", "the path `%s` does not exist", path);
        error_set_hint(e, "relative paths start at the folder of the SQL file (at the working folder for -q and standard input)");
        return STATUS_NOT_FOUND;
    }
    if (S_ISDIR(st.st_mode)) {
        out->is_folder = true;
        return list_folder(a, path, out, e);
    }
    out->items = arena_alloc_array(a, 1, sizeof *out->items);
    const char *copy = arena_strdup(a, path);
    if (!out->items || !copy) return error_no_memory(e);
    out->items[0] = file_of(copy, &st);
    out->count = 1;
    return STATUS_OK;
}

static enum status read_part(int fd, const char *path, void *out, size_t size_bytes, int64_t at, size_t *got, struct error *e) {
    *got = 0;
    while (*got < size_bytes) {
        ssize_t n = pread(fd, (char *)out + *got, size_bytes - *got, at + (int64_t)*got);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return error_set_errno(e, errno, "cannot read `%s`", path);
        if (n == 0) break;
        *got += (size_t)n;
    }
    return STATUS_OK;
}

// The byte after the last line end in [begin, end); begin if there is none.
static enum status last_line_end(int fd, const char *path, int64_t begin, int64_t end, char *part, int64_t *out, struct error *e) {
    *out = begin;
    while (end > begin) {
        int64_t from = end - SCAN_BYTES > begin ? end - SCAN_BYTES : begin;
        size_t got;
        TRY(read_part(fd, path, part, (size_t)(end - from), from, &got, e));
        const char *newline = memrchr(part, '\n', got);
        if (newline) {
            *out = from + (newline - part) + 1;
            return STATUS_OK;
        }
        end = from;
    }
    return STATUS_OK;
}

// The byte after the first line end at or after `from`; `size` if there is none.
static enum status next_line_end(int fd, const char *path, int64_t from, int64_t size, char *part, int64_t *out, bool *found, struct error *e) {
    *found = false;
    for (*out = from; *out < size;) {
        size_t got, wanted = size - *out < SCAN_BYTES ? (size_t)(size - *out) : SCAN_BYTES;
        TRY(read_part(fd, path, part, wanted, *out, &got, e));
        const char *newline = memchr(part, '\n', got);
        if (newline) {
            *out += (newline - part) + 1;
            *found = true;
            return STATUS_OK;
        }
        if (!got) break;
        *out += (int64_t)got;
    }
    return STATUS_OK;
}

// Is what stands at the end, without a line end, a whole document?
static enum status tail_is_document(int fd, const struct json_file *f, int64_t begin, struct memory *memory, bool *whole, struct error *e) {
    size_t size_bytes = (size_t)(f->size_bytes - begin), got;
    *whole = false;
    if (!size_bytes || (int64_t)size_bytes > tail_limit_bytes) return STATUS_OK;
    char *text = memory_alloc(memory, size_bytes);
    if (!text) return error_no_memory(e);
    enum status status = read_part(fd, f->path, text, size_bytes, begin, &got, e);
    if (status == STATUS_OK) *whole = got == size_bytes && json_valid(text, size_bytes, 1000, NULL);
    memory_free(memory, text, size_bytes);
    return status;
}

static enum status find_line_end(int fd, const struct json_file *f, int64_t begin, int64_t limit_bytes, bool take_tail, struct memory *memory, char *part,
                                 int64_t *end, struct error *e) {
    bool found;
    int64_t limit = f->size_bytes - begin > limit_bytes ? begin + limit_bytes : f->size_bytes;
    TRY(last_line_end(fd, f->path, begin, limit, part, end, e));
    if (*end == begin && limit < f->size_bytes) {  // a line longer than the limit
        TRY(next_line_end(fd, f->path, limit, f->size_bytes, part, end, &found, e));
        if (!found) *end = begin;
    }
    if (limit < f->size_bytes || *end == f->size_bytes || !take_tail) return STATUS_OK;
    bool whole;
    TRY(tail_is_document(fd, f, *end, memory, &whole, e));
    if (whole) *end = f->size_bytes;
    return STATUS_OK;
}

enum status json_files_line_end(const struct json_file *f, int64_t begin, int64_t limit_bytes, bool take_tail, struct memory *memory, int64_t *end, struct error *e) {
    char *part = memory_alloc(memory, SCAN_BYTES);
    if (!part) return error_no_memory(e);
    int fd = open(f->path, O_RDONLY | O_CLOEXEC);
    enum status status = fd < 0 ? error_set_errno(e, errno, "cannot open `%s`", f->path) : STATUS_OK;
    if (status == STATUS_OK) status = find_line_end(fd, f, begin, limit_bytes, take_tail, memory, part, end, e);
    if (fd >= 0) close(fd);
    memory_free(memory, part, SCAN_BYTES);
    return status;
}

static enum status stamp_part(int fd, const char *path, int64_t at, int64_t end, uint64_t *hash, struct error *e) {
    char part[STAMP_BYTES];
    size_t size_bytes = end - at < STAMP_BYTES ? (size_t)(end - at) : STAMP_BYTES, got;
    TRY(read_part(fd, path, part, size_bytes, at, &got, e));
    if (got < size_bytes) {
        error_set(e, STATUS_CONFLICT, "LEAT_FILE_SHRANK", "`%s` has become shorter than what an epoch has begun to read", path);
        error_set_hint(e, "put the file back as it was, or build the tables anew with --full-refresh-all");
        return STATUS_CONFLICT;
    }
    *hash = checksum64(part, size_bytes, *hash);
    return STATUS_OK;
}

enum status json_files_stamp(const char *path, int64_t begin, int64_t end, int64_t *stamp, struct error *e) {
    uint64_t hash = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return error_set_errno(e, errno, "cannot open `%s`", path);
    enum status status = stamp_part(fd, path, 0, end, &hash, e);
    if (status == STATUS_OK) status = stamp_part(fd, path, end - begin > STAMP_BYTES ? end - STAMP_BYTES : begin, end, &hash, e);
    close(fd);
    *stamp = (int64_t)(hash >> 1);
    return status;
}

static void *watch_main(void *context) {
    struct json_watch *w = context;
    char events[4096];
    struct pollfd fds[2] = {{.fd = w->inotify_fd, .events = POLLIN}, {.fd = w->close_fd, .events = POLLIN}};
    while (poll(fds, 2, -1) >= 0 || errno == EINTR) {
        if (fds[1].revents) return NULL;
        if (fds[0].revents && read(w->inotify_fd, events, sizeof events) > 0) notify_raise(w->wake);
    }
    return NULL;
}

void json_watch_start(struct json_watch *w, const char *path, struct notify *wake) {
    *w = (struct json_watch){.inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), .close_fd = eventfd(0, EFD_CLOEXEC), .wake = wake};
    bool watching = w->inotify_fd >= 0 && w->close_fd >= 0 && inotify_add_watch(w->inotify_fd, path, IN_MODIFY | IN_CLOSE_WRITE | IN_CREATE | IN_MOVED_TO) >= 0;
    w->running = watching && pthread_create(&w->thread, NULL, watch_main, w) == 0;
    if (!w->running) json_watch_stop(w);
}

void json_watch_stop(struct json_watch *w) {
    if (w->running) {
        uint64_t one = 1;
        if (write(w->close_fd, &one, sizeof one) == sizeof one) pthread_join(w->thread, NULL);
    }
    if (w->inotify_fd > 0) close(w->inotify_fd);
    if (w->close_fd > 0) close(w->close_fd);
    *w = (struct json_watch){.inotify_fd = -1, .close_fd = -1};
}
