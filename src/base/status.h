// SPDX-License-Identifier: Apache-2.0
// status.h: how leat says that something went wrong.
//
// A function that can fail returns `enum status`; at the boundaries between folders it also fills a caller-owned
// `struct error`, always the last argument. Kernels return nothing: they mark rows (expr/kernel.h).
//
// An error is stored as condition + message + place; a value taken from the data stands apart in `value`, because it
// may be personal and is printed only where its labels allow it. Messages may hold names and limits, never data.
#pragma once
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum status {
    STATUS_OK = 0,
    STATUS_NO_MEMORY,         // an allocation failed, or a memory budget is spent
    STATUS_INVALID_ARGUMENT,  // an option, a flag, a parameter: the caller's words are wrong
    STATUS_INVALID_QUERY,     // SQL text or plan that does not parse, resolve or plan
    STATUS_DATA,              // a row that cannot be computed or stored
    STATUS_IO,                // the operating system refused
    STATUS_CORRUPT,           // bytes of ours that are not what we wrote
    STATUS_LIMIT,             // a configured limit was passed
    STATUS_NOT_FOUND,
    STATUS_UNSUPPORTED,       // understood, and not to be had (yet)
    STATUS_UNREACHABLE,       // an external system does not answer; trying again may help
    STATUS_CONFLICT,          // data folder, query and stores do not fit one another
    STATUS_INTERRUPTED,       // the user asked to stop
    STATUS_INTERNAL,          // our bug
};

// Half-open range of bytes in a source text; begin == end: no place known (plans need not come from text).
struct span {
    uint32_t begin;
    uint32_t end;
};

static inline bool span_known(struct span s) { return s.end > s.begin; }

struct error {
    enum status status;
    char condition[96];  // Spark's name, such as "DIVIDE_BY_ZERO" or "UNRESOLVED_COLUMN.WITH_SUGGESTION"; "" if none
    char sqlstate[6];    // of the condition; "" if it has none
    char message[1024];  // one sentence, no data
    char value[256];     // the offending value, escaped and cut; "" if none
    char label[192];     // the words beside the caret; "" if none
    char hint[512];      // what to do; "" if none
    struct span span;    // place in the SQL text
};

#define WARN_UNUSED __attribute__((warn_unused_result))
#define PRINTF_LIKE(format_index, first) __attribute__((format(printf, format_index, first)))

// Returns from the enclosing function with the status if it is not OK.
#define TRY(expression)                            \
    do {                                           \
        enum status try_status_ = (expression);    \
        if (try_status_ != STATUS_OK) {            \
            return try_status_;                    \
        }                                          \
    } while (0)

void error_clear(struct error *e);

// Fills `e` (which may be NULL) and returns `status`. `condition` may be NULL; its SQLSTATE is looked up in
// base/condition.h. Span, value, label and hint are cleared.
enum status error_set(struct error *e, enum status status, const char *condition, const char *format, ...) PRINTF_LIKE(4, 5);

// As error_set, for STATUS_IO: appends strerror of `errno_value`.
enum status error_set_errno(struct error *e, int errno_value, const char *format, ...) PRINTF_LIKE(3, 4);

// As error_set for a failed allocation.
enum status error_no_memory(struct error *e);

void error_set_value(struct error *e, const void *bytes, size_t size_bytes);  // escapes control bytes, cuts with "…"
void error_set_label(struct error *e, const char *format, ...) PRINTF_LIKE(2, 3);
void error_set_hint(struct error *e, const char *format, ...) PRINTF_LIKE(2, 3);

// "IO", "CORRUPT" … for logs.
const char *status_name(enum status status);
