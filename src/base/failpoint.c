// SPDX-License-Identifier: Apache-2.0
// failpoint.c: the places are named by their callers. Those of this folder:
//
//     file.write   before bytes are written to a file      file.rename   before a finished file takes its name
//     file.sync    before fdatasync of a file              folder.sync   before fsync of a folder
//
// The floors above add "log.…", "snapshot.…", "sink.…" of their own. The table below is the one piece of changing global state in
// leat: a test sets it from outside a process, before main runs, and it must reach every floor without a handle.
#include "base/failpoint.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POINT_COUNT = 16, NAME_BYTES = 64 };
enum { UNREAD, NONE_SET, SOME_SET };

struct point {
    char name[NAME_BYTES];
    bool kills;
    bool and_later;             // "2+"
    uint64_t nth;               // counts from 1
    _Atomic uint64_t passages;
};

static struct point points[POINT_COUNT];
static size_t point_count;
static _Atomic int state = UNREAD;
static pthread_once_t once = PTHREAD_ONCE_INIT;

// "name=kill:3" or "name=fail:2+"; false: not understood.
static bool read_point(const char *text, size_t size_bytes, struct point *out) {
    const char *end = text + size_bytes, *equals = memchr(text, '=', size_bytes);
    if (!equals || equals == text || (size_t)(equals - text) >= NAME_BYTES || end - equals < 7) return false;
    memcpy(out->name, text, (size_t)(equals - text));
    if (memcmp(equals + 1, "kill:", 5) != 0 && memcmp(equals + 1, "fail:", 5) != 0) return false;
    out->kills = equals[1] == 'k';
    char *after;
    out->nth = strtoull(equals + 6, &after, 10);
    out->and_later = after < end && *after == '+';
    return out->nth > 0 && after + out->and_later == end;
}

// A mistake here would make a test pass on nothing, so it ends the process.
static void read_environment(void) {
    const char *text = getenv("LEAT_FAILPOINT");
    while (text && *text) {
        size_t size_bytes = strcspn(text, ",");
        if (point_count == POINT_COUNT || !read_point(text, size_bytes, &points[point_count])) {
            fprintf(stderr, "LEAT_FAILPOINT is not understood: %s\n", text);
            abort();
        }
        point_count++;
        text += size_bytes + (text[size_bytes] == ',');
    }
    atomic_store_explicit(&state, point_count ? SOME_SET : NONE_SET, memory_order_release);
}

enum status failpoint(const char *name, struct error *e) {
    int now = atomic_load_explicit(&state, memory_order_acquire);
    if (now == NONE_SET) return STATUS_OK;
    if (now == UNREAD) pthread_once(&once, read_environment);
    for (size_t i = 0; i < point_count; i++) {
        struct point *point = &points[i];
        if (strcmp(point->name, name) != 0) continue;
        uint64_t passage = atomic_fetch_add_explicit(&point->passages, 1, memory_order_relaxed) + 1;
        if (passage != point->nth && !(point->and_later && passage > point->nth)) continue;
        if (point->kills) raise(SIGKILL);
        return error_set(e, STATUS_IO, NULL, "failpoint %s: told to fail", name);
    }
    return STATUS_OK;
}
