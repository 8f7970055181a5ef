// SPDX-License-Identifier: Apache-2.0
// folder.h: a pipeline's data folder: made with mode 0700, locked by one process, and named by a UUID that is made with it.
//
//     DIR/pipeline      "leatpipe", format version, UUID, checksum      identity; a deleted folder is a new pipeline
//     DIR/lock          the owner's pid, under flock
//     DIR/leat.db       the catalog (connector/sqlite)
//     DIR/log/          the log (journal.h)
//     DIR/spool/        what sources that cannot be read twice have given (connector/http)
//     DIR/leat.sock     where a running pipeline answers questions (cli/control.h)
#pragma once
#include "base/status.h"
#include <sys/types.h>

struct folder {
    char path[4096];
    uint8_t pipeline[16];
    int lock_fd;         // -1: not held
    bool is_new;
};

// Opens or makes the folder and takes its lock. STATUS_CONFLICT when another leat runs on it (the message has its pid), or when the
// folder was written by a newer leat. Non-empty folders without our identity are refused.
enum status folder_open(struct folder *f, const char *path, struct error *e) WARN_UNUSED;
void folder_close(struct folder *f);
// The pid of the leat that runs on a folder, 0 if none does.
pid_t folder_owner(const char *path);
// Removes what leat made in a folder (leat run --fresh). Refused while another runs on it; other files stay.
enum status folder_clear(const char *path, struct error *e) WARN_UNUSED;
