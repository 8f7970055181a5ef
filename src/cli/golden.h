// SPDX-License-Identifier: Apache-2.0
// golden.h: the form of a golden test, parsed:
//
//     # comment
//     pipeline FILE | statement | push TABLE | clock TIMESTAMP | advance INTERVAL | query | schema
//     expect [TABLE] [ordered] | expect error CONDITION [SQLSTATE]
//     body lines, until a blank line
//
// A comment `# differs: REASON` right above a query or statement says that leat's answer differs on purpose: what is expected of it counts
// as skipped when it fails, and as a failure when it holds (the mark is out of date).
//
// A block keeps its place in the file, so that --update can write another body there.
#pragma once
#include "base/arena.h"
#include "base/vector.h"

enum golden_kind {
    GOLDEN_STATEMENT, GOLDEN_PIPELINE, GOLDEN_PUSH, GOLDEN_CLOCK, GOLDEN_ADVANCE, GOLDEN_QUERY, GOLDEN_SCHEMA, GOLDEN_EXPECT, GOLDEN_EXPECT_ERROR,
};

struct golden_block {
    enum golden_kind kind;
    uint32_t line;             // of the directive, from 1
    const char *differs;       // the reason; NULL: no mark
    const char *argument;      // of pipeline, push, clock, advance; table of expect (NULL: the last query)
    bool ordered;
    const char *condition;     // expect error; NULL sqlstate: any
    const char *sqlstate;
    const char *body;          // text of the body, lines joined by '\n'; "" if empty
    size_t body_begin, body_end;  // bytes of the body in the file
};

// STATUS_INVALID_ARGUMENT names the line that is no directive.
enum status golden_parse(struct arena *a, const char *text, size_t size_bytes, struct vector *blocks, struct error *e) WARN_UNUSED;
