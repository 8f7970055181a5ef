// SPDX-License-Identifier: Apache-2.0
// signature.h: reads the signatures of function.h's tables and matches arguments against them.
#pragma once
#include "expr/function.h"

enum { SIGNATURE_ARGUMENTS_MAX = 16, SIGNATURE_LETTERS = 26 };

enum pattern_kind {
    PATTERN_ANY,       // left as it is
    PATTERN_NUMERIC,
    PATTERN_INTEGRAL,
    PATTERN_DECIMAL,   // of any precision
    PATTERN_VARIABLE,  // T, U …
    PATTERN_TYPE,      // exactly `type`
    PATTERN_ARRAY,
    PATTERN_MAP,
    PATTERN_STRUCT,    // any struct
    PATTERN_INTERVAL_YM,  // of any units
    PATTERN_INTERVAL_DT,
};

struct pattern {
    enum pattern_kind kind;
    uint8_t letter;             // VARIABLE: 0 for A
    const struct type *type;    // TYPE
    struct pattern *children;   // ARRAY 1, MAP 2
    bool optional, repeated;
};

struct alternative {
    struct pattern arguments[SIGNATURE_ARGUMENTS_MAX];
    uint32_t count;
    uint32_t least, most;       // arguments; most UINT32_MAX: any number
    struct pattern result;
    bool has_result;
};

// Reads one alternative at *text and moves it past the "|". STATUS_INTERNAL on a signature that does not parse: our bug.
enum status signature_next(struct arena *a, const char **text, struct alternative *out, struct error *e) WARN_UNUSED;

static inline const struct pattern *alternative_argument(const struct alternative *alt, uint32_t index) {
    return &alt->arguments[index < alt->count ? index : alt->count - 1];
}

// Binds letters to types from the arguments. False: *bad is the argument that cannot be.
bool signature_bind(struct arena *a, const struct alternative *alt, struct expr *const *args, uint32_t arg_count,
                    const struct type **letters, const struct type **targets, bool *exact, uint32_t *bad);
// The type a pattern stands for once letters are bound; NULL: no memory, or the pattern is no single type.
const struct type *signature_result(struct arena *a, const struct pattern *p, const struct type *const *letters);
// "INT", "NUMERIC", "ARRAY" … for messages.
const char *pattern_name(struct arena *a, const struct pattern *p);
