// SPDX-License-Identifier: Apache-2.0
// option.h: options of connectors and settings of a pipeline. One table entry gives parsing, errors with suggestions, --help, docs.
#pragma once
#include "base/arena.h"
#include "plan/diagnostic.h"
#include "plan/unresolved.h"

enum option_type { OPTION_STRING, OPTION_INT, OPTION_DOUBLE, OPTION_BOOLEAN, OPTION_DURATION, OPTION_SIZE, OPTION_ENUM, OPTION_PATH };

struct option {
    const char *name;            // matched without case; ends with ".*": a prefix ("kafka.*")
    enum option_type type;
    const char *default_value;   // as text; NULL: none
    bool required;
    bool secret;                 // never printed, stored, logged
    const char *choices;         // OPTION_ENUM: "earliest|latest"
    const char *help;            // one sentence, with the unit
};

struct option_value {
    const struct option *option;
    const char *key;             // as written (prefix options)
    const char *text;            // ${env:…} and ${file:…} not yet resolved
    int64_t number;              // INT; DURATION in µs; SIZE in bytes; BOOLEAN 0/1; ENUM: index of the choice
    double real;
    bool is_set;                 // false: the default
    struct span span;
};

struct option_set {
    struct option_value *values;
    uint32_t count;
};

// Checks `given` against the tables (any may be NULL): unknown key (with suggestion), bad value, missing required one: diagnostics,
// all of them; the set holds what was right. Keys beginning with a prefix in `ignored_prefixes` (NULL-terminated, may be NULL) pass.
enum status options_parse(struct arena *a, const struct option *table, const struct uoption *given, uint32_t given_count,
                          const char *const *ignored_prefixes, const char *what, struct diagnostics *d, struct option_set *out) WARN_UNUSED;
const struct option_value *option_get(const struct option_set *set, const char *name);  // NULL: not set and no default
const char *option_text(const struct option_set *set, const char *name);                // NULL likewise
int64_t option_number(const struct option_set *set, const char *name);                  // 0 likewise
bool option_is_set(const struct option_set *set, const char *name);
// The text with ${env:X} and ${file:PATH} resolved (when the connector opens). STATUS_NOT_FOUND names the variable or file.
enum status option_resolve(struct arena *a, const char *text, const char **out, struct error *e) WARN_UNUSED;
// Whether a key of this name has a secret for its value, by its words (password, token …), whatever table it is of.
bool option_is_secret(const char *key);
// Whether the value of an option of this name is not to be shown: a secret, or what often holds one (a request's headers and body). Every option
// that a table marks as secret is one of these: texts that cannot be parsed know no tables.
bool option_hides(const char *key);
// Whether ${env:…} or ${file:…} is in it: not known before the connector opens. NULL has none.
bool option_has_placeholder(const char *text);
// Whether a value is one placeholder and nothing else: nothing of it needs hiding.
bool option_is_placeholder(const char *value, size_t size_bytes);
bool parse_duration(const char *text, int64_t *us);   // '500 ms', '10 seconds', '1 minute', '1m', 'INTERVAL 5 SECONDS'; a bare number: false
bool parse_size(const char *text, int64_t *bytes);    // '64MB', '1 GiB', '1048576'
