// SPDX-License-Identifier: Apache-2.0
// diagnostic.h: errors and warnings about a text, collected so that all come at once, and drawn with the place marked:
//
//     error[UNRESOLVED_COLUMN.WITH_SUGGESTION]: no column `natoinality` (SQLSTATE 42703)
//       --> users.sql:12:8
//     12 | SELECT natoinality, count(*) FROM users
//        |        ^^^^^^^^^^^ not in `users`
//        = help: did you mean `nationality`?
#pragma once
#include "base/buffer.h"
#include "base/vector.h"

struct source_text {             // a file or a string of SQL
    const char *name;            // as shown: a path relative to the working folder, "<query>"
    const char *text;
    size_t size_bytes;
};

enum severity { SEVERITY_ERROR, SEVERITY_WARNING, SEVERITY_NOTE };

struct diagnostic {
    enum severity severity;
    struct error error;
};

struct diagnostics {
    struct vector items;         // of struct diagnostic, in the order met; at most 100 are kept
    size_t error_count;
    size_t warning_count;
    const struct source_text *source;
};

void diagnostics_init(struct diagnostics *d, struct memory *memory, const struct source_text *source);
void diagnostics_release(struct diagnostics *d);
// Copies. STATUS_NO_MEMORY if it cannot (the count still rises).
enum status diagnostics_add(struct diagnostics *d, enum severity severity, const struct error *e);
// Draws one; colour: ANSI escapes. Wide characters and tabs before the caret are accounted for. Long lines are cut around the caret.
enum status diagnostic_print(const struct diagnostic *g, const struct source_text *source, bool colour, struct buffer *out) WARN_UNUSED;
// The candidate nearest to `name` by edit distance (transpositions count one), or NULL if none is near. Case is ignored.
const char *suggest(const char *name, const char *const *candidates, size_t count);
