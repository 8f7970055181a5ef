// SPDX-License-Identifier: Apache-2.0
// verdict.h: can a changed text take over what a data folder holds? One answer for `leat run`, which goes by it, and for
// `leat check --against`, which says it beforehand.
//
//     flow                             verdict
//     not in the log                   NEW           it begins at its sources' start
//     --full-refresh                   ANEW
//     same bound plan                  UNCHANGED
//     changed, streaming table         TAKEN_OVER    if no source, no key, no column of a store that keeps them and no state has changed: an operator
//                                                    with state is the same and so is all that is below it. Rows from now on are computed by the new
//                                                    query; those already written stay as they are
//     changed, materialized view       REFUSED       it equals its query over everything read, and what was read is not read again by itself
//     anything else                    REFUSED       with what has changed, in words, and the ways out
//
// What the query was is planned anew from the text in the log. A stream of Spark, restarted with another query, and a streaming table of its
// declarative pipelines go on in the same way; where Spark leaves a change undefined (sources, keys, aggregates), it is refused.
#pragma once
#include "stream/stream.h"

enum verdict { VERDICT_NEW, VERDICT_ANEW, VERDICT_UNCHANGED, VERDICT_TAKEN_OVER, VERDICT_REFUSED, VERDICT_REMOVED };

enum { VERDICT_REASONS = 12 };
struct flow_verdict {
    const char *flow_name;
    const char *target_name;
    enum verdict verdict;
    const char *reasons[VERDICT_REASONS];   // TAKEN_OVER, REFUSED: what has changed; the first of REFUSED says why that is too much
    uint32_t reason_count;
};

struct verdict_request {
    struct arena *arena;                   // of the answer
    struct memory *memory;
    const struct session *session;         // as the new text left it
    const struct session *session_before;  // any text's SET
    const struct connector_set *connectors;
    const char *base_folder;
    const char *data_folder;               // for messages
    struct log *log;
    const struct setting *settings;        // --set
    uint32_t setting_count;
    const struct durable *durable;
    const struct pipeline *pipeline;       // the new text, planned
    bool all_anew;                         // --full-refresh-all: whatever the folder held
    bool (*refreshed)(void *context, const struct flow *f);   // NULL: none is
    void *context;
};

// STATUS_CONFLICT: the folder is another pipeline's: they share no flow.
enum status verdict_flows(const struct verdict_request *r, struct flow_verdict **out, uint32_t *count, struct error *e) WARN_UNUSED;
// A REFUSED one as `leat run` says it.
enum status verdict_refusal(const struct flow_verdict *v, struct error *e) WARN_UNUSED;

// verdict_words.c: what has changed from one flow to the other, in words. False in *same_sources, *same_key, *same_columns: they have changed.
struct flow_changes {
    const char *reasons[VERDICT_REASONS];
    uint32_t reason_count;
    bool same_sources, same_key, same_columns;
    bool says_nothing;                      // the one reason is that there must be one
};
enum status flow_changes_of(struct arena *a, struct memory *memory, const struct flow *old, const struct flow *now,
                            struct flow_changes *out) WARN_UNUSED;
// One operator as explain draws it, without its inputs; in the arena.
enum status node_line(struct arena *a, struct memory *memory, const struct plan_node *n, const char **out) WARN_UNUSED;
