// SPDX-License-Identifier: Apache-2.0
// substitute.h: ${name} in the text of a statement, replaced before parsing, as Spark does it.
//
// ${env:X} and ${file:X} stay as they are: they belong to option values, which resolve them when a connector opens. Any other prefix
// is an error. Comments are left alone. A value may itself hold ${name}; 40 levels at most. Lines keep their numbers, for values
// cannot hold line breaks. Places of later errors are in the substituted text.
#pragma once
#include "base/arena.h"
#include "plan/diagnostic.h"

struct substitution {
    void *context;
    const char *(*find)(void *context, const char *name);  // the value of a variable; NULL: there is none
    const char *const *names;                              // for suggestions; may be NULL
    size_t name_count;
};

// *out is in the arena, NUL-terminated; `text` itself where nothing was replaced. STATUS_INVALID_QUERY: unknown variables, all in `d`, with
// places in the given text.
enum status sql_substitute(struct arena *a, const char *text, size_t size_bytes, const struct substitution *with, struct diagnostics *d,
                           const char **out, size_t *out_bytes) WARN_UNUSED;
