// SPDX-License-Identifier: Apache-2.0
// timezone.h: offsets of time zones, from the system's TZif files (RFC 8536) and from fixed offsets ("+02:00", "UTC+2", "Z").
// A zone is immutable once loaded; the set keeps each once (thread-safe) and lives as long as the process.
#pragma once
#include "base/memory.h"
#include "base/status.h"
#include <stdbool.h>
#include <stdint.h>

struct timezone;
struct timezone_set;

struct timezone_set *timezone_set_new(struct memory *memory);
void timezone_set_free(struct timezone_set *set);
// The zone by its name. NULL: unknown (no error is set). "UTC" always works, also without zone files.
const struct timezone *timezone_find(struct timezone_set *set, const char *name, size_t name_bytes);
extern const struct timezone timezone_utc;
// The zone by its name, from the set that `zone` came from. NULL: unknown, or `zone` is timezone_utc, which belongs to no set.
const struct timezone *timezone_sibling(const struct timezone *zone, const char *name, size_t name_bytes);
// Seconds east of a fixed offset as java.time reads it: "Z", "+2", "+02:30", "-0230", "+01:02:03", "UTC+2", "GMT-05:00"; at most 18 hours.
bool timezone_fixed_offset(const char *name, size_t name_bytes, int32_t *seconds);
const char *timezone_name(const struct timezone *zone);
// Seconds east of UTC at an instant (µs UTC).
int32_t timezone_offset_at(const struct timezone *zone, int64_t us);
// The instant of a wall time (µs as if UTC). In a gap: shifted forward by the gap's length; in an overlap: the earlier, as Java does.
int64_t timezone_to_utc(const struct timezone *zone, int64_t wall_us);
// Both directions stop at the ends of the range instead of passing them.
static inline int64_t timezone_to_wall(const struct timezone *zone, int64_t us) {
    int64_t wall_us;
    if (!__builtin_add_overflow(us, timezone_offset_at(zone, us) * INT64_C(1000000), &wall_us)) return wall_us;
    return us < 0 ? INT64_MIN : INT64_MAX;
}
// Abbreviation at an instant ("CET"); "" if unknown.
const char *timezone_abbreviation(const struct timezone *zone, int64_t us);
