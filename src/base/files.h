// SPDX-License-Identifier: Apache-2.0
// files.h: the few things leat does with files, with errors that name the path. Everything durable goes through here, so that a
// failpoint can stand before it (base/failpoint.h).
#pragma once
#include "base/buffer.h"
#include "base/status.h"
#include <sys/types.h>
#include <sys/uio.h>

enum status file_read_all(const char *path, size_t limit_bytes, struct buffer *out, struct error *e) WARN_UNUSED;  // STATUS_NOT_FOUND, STATUS_LIMIT
enum status file_write_all(int fd, const void *bytes, size_t size_bytes, const char *path, struct error *e) WARN_UNUSED;
// Temporary name in the same folder, fdatasync, rename, fsync of the folder. Mode 0600.
enum status file_replace(const char *path, const void *bytes, size_t size_bytes, struct error *e) WARN_UNUSED;
enum status file_replace_parts(const char *path, const struct iovec *parts, int count, struct error *e) WARN_UNUSED;  // the same
enum status file_sync(int fd, const char *path, struct error *e) WARN_UNUSED;  // fdatasync
enum status folder_sync(const char *path, struct error *e) WARN_UNUSED;
enum status folder_make(const char *path, mode_t mode, struct error *e) WARN_UNUSED;  // parents too; an existing one is fine
// Takes an exclusive lock (flock) on path, writing our pid into it. STATUS_CONFLICT: *owner_pid holds it. *fd is to be closed.
enum status file_lock(const char *path, int *fd, pid_t *owner_pid, struct error *e) WARN_UNUSED;
enum status folder_remove(const char *path, struct error *e) WARN_UNUSED;  // with all in it; absent is fine
bool file_exists(const char *path);
