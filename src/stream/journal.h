// SPDX-License-Identifier: Apache-2.0
// journal.h: the pipeline's log: the one place that says what an epoch reads and that it is done.
//
//     DIR/log/
//       00000007.snapshot     everything as of the start of generation 7      written once, then synced and renamed into place
//       00000007.journal      what happened since                             appended
//       00000006.*            the generation before: what to fall back on when the newest snapshot is damaged
//
//     file       = [ magic "leatjrn1" or "leatsnp1" : 8 ][ format version : 4 ][ generation : 4 ][ pipeline id : 16 ][ XXH3 of these : 8 ] record*
//     record     = [ kind : 1 ][ begins a write : 1 ][ zero : 2 ][ payload bytes : 4 ][ check of these 8 and the place : 4 ][ XXH3 of payload, seeded by the record before : 8 ] payload
//
// Numbers are little-endian. The payload's checksum is chained: a record moved, doubled or left out shows. A write is followed by its sync
// before the next one begins, so that only the last write can be unfinished: from its first record that does not check on, it is cut off
// (what it lost, the stores' records tell). A record that does not check with a later write behind it is damage: STATUS_CORRUPT with
// the place. A journal's first record (LINK) has the chain of the journal before: where both are replayed, none of that one may be missing.
// Formats of payloads: record.h. A failed write or sync closes the journal for good (a second fdatasync may lie about the first).
#pragma once
#include "base/buffer.h"
#include "base/coding.h"
#include "base/status.h"
#include <pthread.h>

enum { JOURNAL_VERSION = 1 };

enum record_kind {
    RECORD_START = 1,     // a process began: incarnation
    RECORD_TEXT = 2,      // the pipeline's text and flows from here on
    RECORD_INTENT = 3,    // an epoch is about to run
    RECORD_CHANGES = 4,   // state changes of the epoch about to be committed
    RECORD_COMMIT = 5,    // every sink has the epoch
    RECORD_REFRESH = 6,   // a flow starts anew: state dropped, positions forgotten
    RECORD_SNAPSHOT = 7,  // the only record of a snapshot file
    RECORD_LINK = 8,      // the journal's own: not replayed
    RECORD_STATIC = 9,    // digest of the tables that joins read whole
    RECORD_LAST = RECORD_STATIC,
};

// The thread that syncs beside the caller; started when it is first needed.
struct journal_syncer {
    pthread_t thread;
    pthread_mutex_t mutex;      // of what follows
    pthread_cond_t changed;
    enum { SYNC_NONE, SYNC_ASKED, SYNC_DONE } state;
    struct error error;         // of the sync that is done; status OK: none
    bool started;
    bool closing;
};

struct journal {
    struct memory *memory;
    char *folder;
    int fd;                     // of the newest journal file; -1: none
    uint32_t generation;
    uint8_t pipeline[16];
    uint64_t chain;             // checksum of the last record
    uint64_t size_bytes;        // of the newest journal file
    uint64_t snapshot_bytes;
    struct buffer pending;      // records not yet written
    bool broken;                // a write or sync failed
    struct journal_syncer syncer;
};

// What recovery hands over, in order. payload is valid during the call.
typedef enum status (*journal_replay)(void *context, enum record_kind kind, const uint8_t *payload, size_t size_bytes, struct error *e);

// Opens the log of a data folder and replays it: a snapshot (if any), then every record after it. *is_new: there was none (a first
// journal is made when the first snapshot is written). *used_previous: the newest snapshot was damaged and the one before was used.
enum status journal_open(struct journal *j, struct memory *memory, const char *data_folder, const uint8_t pipeline[16], journal_replay replay,
                         void *context, bool *is_new, bool *used_previous, struct error *e) WARN_UNUSED;
// Adds a record to the pending group.
enum status journal_add(struct journal *j, enum record_kind kind, const void *payload, size_t size_bytes, struct error *e) WARN_UNUSED;
// Writes the pending group with one write and one fdatasync.
enum status journal_sync(struct journal *j, struct error *e) WARN_UNUSED;
// The same beside the caller: begin returns at once; end waits and says how it went (many threads may call it, and more than once). Every
// other call on the journal waits, too.
enum status journal_sync_begin(struct journal *j, struct error *e) WARN_UNUSED;
enum status journal_sync_end(struct journal *j, struct error *e) WARN_UNUSED;
// Begins a new generation with this snapshot; the one before the previous is removed. Pending records must have been synced.
enum status journal_rotate(struct journal *j, const void *snapshot, size_t size_bytes, struct error *e) WARN_UNUSED;
void journal_close(struct journal *j);
// How long ago the snapshot of this generation was written, by the file's time; 0 if it cannot be told.
int64_t journal_snapshot_age_us(const struct journal *j);

// Reads a log without opening it for writing (leat checkpoint, tests): STATUS_CORRUPT says where.
enum status journal_verify(struct memory *memory, const char *data_folder, journal_replay replay, void *context, struct error *e) WARN_UNUSED;
