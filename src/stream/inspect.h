// SPDX-License-Identifier: Apache-2.0
// inspect.h: a data folder, read without owning it: nothing is locked, made or changed, and a pipeline may run on it.
//
//     inspect_open     what recovery would start from: identity, log and snapshot replayed into the durable state
//     inspect_verify   every checksum of every generation, file by file, and which generation recovery would use
//
// What runs on a folder rotates its log: a generation that goes away while it is read, or a write met half done, is read again. inspect_verify
// walks the format of journal.h itself and shares no code with what writes and replays it, so that each is a check of the other.
#pragma once
#include "stream/stream.h"

struct inspection {
    struct memory *memory;
    const char *folder;              // the caller's
    uint8_t pipeline[16];
    struct durable durable;
    uint64_t committed_epoch;        // the last one; 0: none
    int64_t committed_us;            // clock of that epoch's intent; 0: none
    bool used_previous;              // the newest snapshot is damaged
    int owner_pid;                   // of the leat that runs on it; 0: none
};

// STATUS_NOT_FOUND: no folder, or none of leat's. STATUS_CONFLICT: of a newer leat. STATUS_CORRUPT: damaged, with the place; the inspection then
// holds what was identified and must be released like any other.
enum status inspect_open(struct inspection *i, struct memory *memory, const char *folder, struct error *e) WARN_UNUSED;
void inspect_release(struct inspection *i);

// What planning the log's text needs. settings: --set; a text's own SETs go into the session.
struct inspect_context {
    struct arena *arena;             // of the plan
    struct session *session;
    const struct connector_set *connectors;
    const char *base_folder;
    struct log *log;
    const struct setting *settings;
    uint32_t setting_count;
};
// The state in the operators of the text in the log, as of the last committed epoch. *x is to be freed (execution_free) before the inspection,
// on any status. STATUS_CONFLICT: the text cannot be planned as it was.
enum status inspect_state(struct inspection *i, const struct inspect_context *c, struct pipeline **pipeline, struct execution **x,
                          struct error *e) WARN_UNUSED;

enum file_verdict { FILE_GOOD, FILE_UNFINISHED, FILE_DAMAGED, FILE_TOO_NEW };

struct log_file {
    char name[32];                   // "00000007.snapshot"
    uint32_t generation;
    bool is_snapshot;
    uint64_t size_bytes;
    int64_t written_us;              // modification time
    enum file_verdict verdict;
    uint64_t at_byte;                // of the first byte that is not good; FILE_UNFINISHED: where the unfinished write begins
    char why[96];                    // of anything but FILE_GOOD
    uint32_t version;
    uint64_t record_count, commit_count;
    uint64_t first_epoch, last_epoch;  // of the commits in a journal; 0: none
    uint64_t chain, link;            // checksum of its last record; of a journal, that of the journal before
};

struct log_report {
    struct vector files;             // of struct log_file, newest generation first, a snapshot before its journal
    uint8_t pipeline[16];
    uint32_t newest, used;           // generations; used 0: recovery would refuse the log
    bool recoverable;
    bool any_damage;
    char why_not[192];               // of not recoverable
};

// STATUS_NOT_FOUND and STATUS_CORRUPT (identity alone) as above; damage to the log is in the report.
enum status inspect_verify(struct memory *memory, const char *folder, struct log_report *out, struct error *e) WARN_UNUSED;
void log_report_release(struct log_report *r);
// The file `pipeline` alone.
enum status inspect_identity(struct memory *memory, const char *folder, uint8_t pipeline[16], struct error *e) WARN_UNUSED;
