// SPDX-License-Identifier: Apache-2.0
// regex_matcher.h: regular expressions in Java's dialect, run by PCRE2.
//
// A matcher lives on the stack of one kernel call: it compiles the pattern of the first row (with JIT if there are many rows), keeps it while rows
// bring the same pattern, and is released at the end of the call. So nothing compiled outlives a batch and nothing is shared
// between threads; against a batch of rows, compiling costs little. A match that takes more steps than session->regex_match_limit fails
// its row with LEAT_LIMIT_EXCEEDED.
#pragma once
#include "expr/string_text.h"
#include <pcre2.h>

struct matcher {
    struct eval *eval;
    uint32_t row_count;             // of the call: whether JIT pays
    struct text pattern;            // the compiled one, in Java's dialect
    pcre2_general_context *general;
    pcre2_match_context *match_context;
    pcre2_jit_stack *jit_stack;
    pcre2_code *code;
    pcre2_match_data *match_data;
    uint32_t group_count;           // without group 0
    bool is_broken;                 // the pattern does not compile
};

void matcher_init(struct matcher *m, struct eval *eval, uint32_t row_count);
void matcher_release(struct matcher *m);

// Makes the pattern the current one. False: the row has failed (INVALID_PARAMETER_VALUE.PATTERN), or memory was refused.
bool matcher_use(struct matcher *m, struct text pattern, uint32_t row);
// The first match at or after `from`. 1: found; 0: none; −1: the row has failed.
int matcher_find(struct matcher *m, struct text subject, size_t from, uint32_t row);
// Bytes of a group in the last match; false: the group took no part.
bool matcher_group(const struct matcher *m, uint32_t group, size_t *begin, size_t *end);
// Where the search after the last match goes on: at its end, one character on if it was empty.
size_t matcher_next(const struct matcher *m, struct text subject);

// Checks a constant pattern at bind time. STATUS_INVALID_QUERY, INVALID_PARAMETER_VALUE.PATTERN.
enum status matcher_check(struct binding *b, uint32_t index, struct error *e) WARN_UNUSED;
// The same pattern in PCRE2's dialect, in the arena.
bool regex_translate(struct text pattern, struct buffer *out);
