// SPDX-License-Identifier: Apache-2.0
// datetime_pattern.h: Spark 4's datetime patterns ("yyyy-MM-dd HH:mm:ss"), compiled once, then used to print or to read.
//
//     letters   G y M L Q q d D E F a h H k K m s S V z O X x Z, a run of one letter is a field
//     '…'       text as it is; '' a quote     [ … ] may be missing when reading     anything else: itself
//
// Letters and the widths of runs are java.time's DateTimeFormatter's, in English, less what Spark refuses: week-based letters, narrow forms,
// E F q Q when reading. Reading is strict as Spark's: two digits for MM, no surplus text, no 30 February; a fraction may be shorter than
// its S. Fields not in the pattern are 1970-01-01 00:00:00. A compiled pattern is immutable and lives in the arena given.
#pragma once
#include "base/arena.h"
#include "base/buffer.h"
#include "column/timezone.h"
#include "column/type.h"

struct datetime_pattern;
enum datetime_use { DATETIME_PRINT, DATETIME_READ };

// NULL: refused, *condition says why (a constant); or no memory, *condition is NULL.
const struct datetime_pattern *datetime_pattern_compile(struct arena *a, const char *text, size_t size_bytes, enum datetime_use use,
                                                        const char **condition);
// What to tell the user about such a condition.
const char *datetime_pattern_message(const char *condition);

// Most bytes that printing any instant takes.
size_t datetime_pattern_text_max(const struct datetime_pattern *p);
// Prints an instant as the zone's wall clock shows it (NULL: UTC); returns the length, no NUL.
size_t datetime_pattern_print(const struct datetime_pattern *p, int64_t us, const struct timezone *zone, char *out);

// True if the pattern is yyyy-MM-dd, the one most often printed; datetime_print_date prints by it.
bool datetime_pattern_is_date(const struct datetime_pattern *p);
// Ten bytes. False: a year before 1 or after 9999, nothing is printed.
enum { DATETIME_DATE_BYTES = 10 };
bool datetime_print_date(int64_t us, const struct timezone *zone, char *out);

// Reads the whole text. *wall_us: the date and time as written. *us: the instant, by the zone in the text or else by `zone` (NULL: UTC).
// Zones named in the text come from `zones` (NULL: only UTC and offsets are known). False: it does not fit the pattern, or there is no
// such date.
bool datetime_pattern_read(const struct datetime_pattern *p, const char *text, size_t size_bytes, struct timezone_set *zones,
                           const struct timezone *zone, int64_t *wall_us, int64_t *us);

// The patterns of JSON's options timestampFormat, timestampNTZFormat and dateFormat, and json/'s callbacks over them: their context is the
// struct, their pattern argument is not looked at. Set `zones` (to read), and `zone` to that of the options. Formats that are NULL stay so.
struct datetime_formats {
    struct timezone_set *zones;
    const struct timezone *zone;
    const struct datetime_pattern *timestamp, *timestamp_ntz, *date;
};
// False: as datetime_pattern_compile.
bool datetime_formats_compile(struct arena *a, struct datetime_formats *f, enum datetime_use use, const char *timestamp, const char *timestamp_ntz,
                              const char *date, const char **condition);
bool datetime_parse_for_json(void *context, const char *pattern, const char *text, size_t size_bytes, const struct type *type, int64_t *out);
enum status datetime_print_for_json(void *context, const char *pattern, int64_t value, const struct type *type, struct buffer *out) WARN_UNUSED;
