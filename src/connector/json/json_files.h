// SPDX-License-Identifier: Apache-2.0
// json_files.h: the files of a json table: what there is, how far it can be read, and who says when there is more.
//
// A partition is a file, named by its path; its offsets are bytes. A range ends at a line's end, so that a line is never cut between
// epochs. Files of a folder come by modification time, then name; names that begin with '.' or '_' are passed over, as in Spark.
#pragma once
#include "base/threads.h"
#include "plan/source.h"

struct json_file {
    const char *path;
    int64_t size_bytes;
    int64_t modified_us;
};
struct json_files {
    struct json_file *items;     // arena
    uint32_t count;
    bool is_folder;
};

// PATH_NOT_FOUND 42K03 if there is no such thing.
enum status json_files_list(struct arena *a, const char *path, struct json_files *out, struct error *e) WARN_UNUSED;
// Where a range that begins at `begin` may end: after the last line that is complete within `limit_bytes` (or the first one that is longer).
// take_tail: a last line without its end counts if it is a whole document. *end = begin: nothing yet.
enum status json_files_line_end(const struct json_file *f, int64_t begin, int64_t limit_bytes, bool take_tail, struct memory *memory, int64_t *end, struct error *e) WARN_UNUSED;

// Tells whether a range of a file still means the same: a hash of the file's first kilobyte and of the range's last. Not of the inode: a
// folder restored from a copy is the same. STATUS_CONFLICT if the file is now shorter than the range.
enum status json_files_stamp(const char *path, int64_t begin, int64_t end, int64_t *stamp, struct error *e) WARN_UNUSED;

// Wakes the scheduler when something changes at a path (inotify, a thread of its own that sleeps).
struct json_watch {
    pthread_t thread;
    int inotify_fd;
    int close_fd;
    struct notify *wake;
    bool running;
};
void json_watch_start(struct json_watch *w, const char *path, struct notify *wake);  // without it, the source is asked now and then
void json_watch_stop(struct json_watch *w);
