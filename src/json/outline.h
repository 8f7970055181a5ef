// SPDX-License-Identifier: Apache-2.0
// outline.h: documents of one producer differ only in their scalars: the text between those is learnt, and compared as bytes.
//
//     {"name":{"first":"Ann","last":"Lee"},"age":31}      steps: {"name":{"first": ▸string · ,"last": ▸skip · },"age": ▸value · } ▸end
//
// A document that follows an outline needs no walk: each step compares up to 64 bytes, then reads or passes one value with the same
// functions as the walk does. The text of an outline is whole tokens that were read once, so equal bytes mean the same. One that strays
// leaves its slot NULL again and is read by the walk (reader.c) from its beginning: results never depend on outlines.
// An outline belongs to its reader and points into its nodes.
#pragma once
#include "json/reader.h"

// Notes the outline of a document that the walk has read without a fault and that begins at `start` with '{'. False: memory.
bool json_outline_learn(struct json_reader *r, const char *start);
// Reads the document at the cursor (on '{') into a slot of the root by an outline it follows. JSON_READ_MALFORMED: it follows none; the
// cursor and the slot are as before.
enum json_read json_outline_read(struct json_reader *r, uint32_t slot);
// A new run of documents: what was learnt stays, what was given up gets another chance.
static inline void json_outlines_begin(struct json_outlines *o) { o->documents = o->strayed = o->learnt = 0; }
// False: too many documents strayed, or there is nothing to follow.
static inline bool json_outlines_help(const struct json_outlines *o) { return o->count && (o->strayed < 64 || o->strayed < o->documents / 2); }
