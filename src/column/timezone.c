// SPDX-License-Identifier: Apache-2.0
// timezone.c: time zones as sorted segments of constant offset.
//
//     begins_at   -∞      1891     1911     …      2037     2038 …                     one cycle of 400 years
//     local type  LMT     PMT      WET      …      CEST     CET  (from the footer's rule)
//
// A TZif file (RFC 8536) gives its transitions and, in its footer, a POSIX rule for what comes after them. The rule is unrolled at
// load over one cycle of the calendar; later instants are brought back by whole cycles, which keep weekdays. So a look-up is one
// binary search, whatever the year. A zone is immutable; the set's list of zones is guarded by a mutex.
#include "column/timezone.h"
#include "base/files.h"
#include "column/datetime.h"
#include "column/timezone_rule.h"
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { NAME_BYTES_MAX = 64, ABBREVIATION_BYTES = 8, ZONE_FILE_LIMIT = 1 << 20, CYCLE_YEARS = 400 };
static const int64_t cycle_seconds = INT64_C(146097) * 86400;

struct local_type {
    int32_t offset;  // seconds east of UTC
    char abbreviation[ABBREVIATION_BYTES];
};

struct timezone {
    char name[NAME_BYTES_MAX];
    struct timezone_set *set;    // NULL: timezone_utc
    struct timezone *next;       // in the set
    size_t segment_count;        // ≥ 1
    const int64_t *begins_at;    // seconds; [0] is INT64_MIN, then ascending
    const uint8_t *types;        // of each segment
    const struct local_type *local_types;
    int64_t cycle_end;           // instants from here on are brought back by whole cycles; INT64_MAX: there is no rule
    size_t block_bytes;          // of this and its arrays
};

struct timezone_set {
    struct memory *memory;
    pthread_mutex_t mutex;
    struct timezone *zones;
};

static const int64_t always[] = {INT64_MIN};
static const uint8_t first_type[] = {0};
static const struct local_type utc_type[] = {{.offset = 0, .abbreviation = "UTC"}};
const struct timezone timezone_utc = {.name = "UTC", .segment_count = 1, .begins_at = always, .types = first_type,
                                      .local_types = utc_type, .cycle_end = INT64_MAX};

const char *timezone_name(const struct timezone *zone) { return zone->name; }

// The segment an instant lies in, and by how much the instant was brought back.
static size_t find_segment(const struct timezone *zone, int64_t seconds, int64_t *shift) {
    *shift = 0;
    if (seconds >= zone->cycle_end) {
        *shift = ((seconds - zone->cycle_end) / cycle_seconds + 1) * cycle_seconds;
        seconds -= *shift;
    }
    size_t low = 0, high = zone->segment_count;  // begins_at[low] <= seconds < begins_at[high]
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (zone->begins_at[middle] <= seconds) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

static const struct local_type *type_at(const struct timezone *zone, int64_t us) {
    int64_t shift;
    if (zone->segment_count == 1) return &zone->local_types[0];
    return &zone->local_types[zone->types[find_segment(zone, floor_div(us, US_PER_SECOND), &shift)]];
}

int32_t timezone_offset_at(const struct timezone *zone, int64_t us) { return type_at(zone, us)->offset; }
const char *timezone_abbreviation(const struct timezone *zone, int64_t us) { return type_at(zone, us)->abbreviation; }

static int64_t subtract_offset(int64_t wall_us, int32_t offset) {
    int64_t us;
    if (!__builtin_sub_overflow(wall_us, offset * US_PER_SECOND, &us)) return us;
    return wall_us < 0 ? INT64_MIN : INT64_MAX;
}

// The first segment, in order of time, that holds the wall time; in a gap none does, and the offset before the gap decides.
int64_t timezone_to_utc(const struct timezone *zone, int64_t wall_us) {
    if (zone->segment_count == 1) return subtract_offset(wall_us, zone->local_types[0].offset);
    int64_t wall = floor_div(wall_us, US_PER_SECOND), shift;
    size_t segment = find_segment(zone, wall - 2 * 86400, &shift);  // no offset is that far from UTC
    wall -= shift;
    int32_t offset = zone->local_types[zone->types[segment]].offset;
    for (size_t next = segment + 1; next < zone->segment_count && wall - offset >= zone->begins_at[next]; next++) {
        int32_t next_offset = zone->local_types[zone->types[next]].offset;
        if (wall - next_offset < zone->begins_at[next]) break;
        offset = next_offset;
    }
    return subtract_offset(wall_us, offset);
}

// What a TZif block says, before it becomes a zone.
struct transitions {
    const uint8_t *times;   // 8 bytes each, big-endian
    const uint8_t *types;
    const uint8_t *local_types;  // 6 bytes each
    const uint8_t *names;
    uint32_t time_count, type_count, name_bytes;
    const char *rule;
    size_t rule_bytes;
};

static uint64_t big_endian(const uint8_t *bytes, size_t count) {
    uint64_t value = 0;
    for (size_t i = 0; i < count; i++) value = value << 8 | bytes[i];
    return value;
}

enum { HEADER_BYTES = 44 };

// Sizes from a header; returns the bytes of the block that follows, 0 if it is no header.
static uint64_t read_header(const uint8_t *header, size_t time_bytes, struct transitions *out) {
    if (memcmp(header, "TZif", 4) != 0) return 0;
    uint64_t utc_count = big_endian(header + 20, 4), standard_count = big_endian(header + 24, 4), leap_count = big_endian(header + 28, 4);
    out->time_count = (uint32_t)big_endian(header + 32, 4);
    out->type_count = (uint32_t)big_endian(header + 36, 4);
    out->name_bytes = (uint32_t)big_endian(header + 40, 4);
    return out->time_count * (uint64_t)(time_bytes + 1) + out->type_count * UINT64_C(6) + out->name_bytes + leap_count * (time_bytes + 4) +
           standard_count + utc_count;
}

// Only the second block counts: the first repeats it in 32 bits for old readers. Version 1 files are not to be found any more.
static bool read_file(const uint8_t *bytes, size_t size_bytes, struct transitions *out) {
    if (size_bytes < HEADER_BYTES || bytes[4] < '2') return false;
    uint64_t first_bytes = read_header(bytes, 4, out);
    if (first_bytes == 0 || first_bytes > size_bytes || size_bytes - first_bytes < 2 * HEADER_BYTES) return false;
    const uint8_t *header = bytes + HEADER_BYTES + first_bytes, *end = bytes + size_bytes;
    uint64_t block_bytes = read_header(header, 8, out);
    if (block_bytes == 0 || block_bytes > (uint64_t)(end - header) - HEADER_BYTES || out->type_count == 0 || out->type_count > 256) return false;
    out->times = header + HEADER_BYTES;
    out->types = out->times + (size_t)out->time_count * 8;
    out->local_types = out->types + out->time_count;
    out->names = out->local_types + (size_t)out->type_count * 6;
    const uint8_t *footer = header + HEADER_BYTES + block_bytes;
    if (footer < end && *footer == '\n') {
        footer++;
        const uint8_t *newline = memchr(footer, '\n', (size_t)(end - footer));
        out->rule = (const char *)footer;
        out->rule_bytes = newline ? (size_t)(newline - footer) : 0;
    }
    for (uint32_t i = 0; i < out->time_count; i++) {
        bool ascends = i == 0 || (int64_t)big_endian(out->times + (size_t)i * 8, 8) > (int64_t)big_endian(out->times + (size_t)i * 8 - 8, 8);
        if (out->types[i] >= out->type_count || !ascends) return false;
    }
    return true;
}

// A zone under construction; arrays sized for all that may come.
struct builder {
    struct timezone *zone;
    int64_t *begins_at;
    uint8_t *types;
    struct local_type *local_types;
};

static bool allocate(struct memory *memory, size_t segment_count, size_t type_count, struct builder *b) {
    size_t types_at = sizeof(struct timezone) + segment_count * sizeof(int64_t);
    size_t segment_types_at = types_at + type_count * sizeof(struct local_type);
    size_t block_bytes = segment_types_at + segment_count;
    uint8_t *block = memory_alloc_zeroed(memory, block_bytes);
    if (!block) return false;
    b->zone = (struct timezone *)(void *)block;
    b->begins_at = (int64_t *)(void *)(block + sizeof(struct timezone));
    b->local_types = (struct local_type *)(void *)(block + types_at);
    b->types = block + segment_types_at;
    *b->zone = (struct timezone){.begins_at = b->begins_at, .types = b->types, .local_types = b->local_types, .segment_count = 1,
                                 .cycle_end = INT64_MAX, .block_bytes = block_bytes};
    b->begins_at[0] = INT64_MIN;
    return true;
}

static void add_segment(struct builder *b, int64_t begins_at, uint8_t type) {
    struct timezone *zone = b->zone;
    if (b->types[zone->segment_count - 1] == type) return;
    b->begins_at[zone->segment_count] = begins_at;
    b->types[zone->segment_count++] = type;
}

// Unrolls the rule from the year of the last transition on, for a whole cycle and two years.
static void add_rule(struct builder *b, const struct zone_rule *rule, uint8_t standard, uint8_t summer) {
    struct timezone *zone = b->zone;
    int64_t last = zone->segment_count > 1 ? b->begins_at[zone->segment_count - 1] : 0;
    b->local_types[standard].offset = rule->standard_offset;
    memcpy(b->local_types[standard].abbreviation, rule->standard_name, ABBREVIATION_BYTES);
    b->local_types[summer].offset = rule->summer_offset;
    memcpy(b->local_types[summer].abbreviation, rule->summer_name, ABBREVIATION_BYTES);
    int64_t year = civil_from_days(floor_div(last, 86400)).year;
    for (int64_t end = year + CYCLE_YEARS + 2; year < end; year++) {
        int64_t summer_begins = zone_rule_instant(&rule->summer_begins, year) - rule->standard_offset;
        int64_t summer_ends = zone_rule_instant(&rule->summer_ends, year) - rule->summer_offset;
        bool summer_first = summer_begins < summer_ends;  // north of the equator
        int64_t first = summer_first ? summer_begins : summer_ends, second = summer_first ? summer_ends : summer_begins;
        if (first > last) add_segment(b, first, summer_first ? summer : standard);
        if (second > last) add_segment(b, second, summer_first ? standard : summer);
    }
    zone->cycle_end = b->begins_at[zone->segment_count - 1];
}

static struct timezone *make_zone(struct memory *memory, const struct transitions *t) {
    struct zone_rule rule;
    bool has_rule = t->rule_bytes > 0 && zone_rule_parse(t->rule, t->rule_bytes, &rule);
    if (t->type_count > 254) has_rule = false;
    bool unrolls = has_rule && rule.has_summer;
    struct builder b;
    if (!allocate(memory, 2 + (size_t)t->time_count + (unrolls ? 2 * (CYCLE_YEARS + 2) : 0), (size_t)t->type_count + 2, &b)) return NULL;
    for (uint32_t i = 0; i < t->type_count; i++) {
        const uint8_t *entry = t->local_types + (size_t)i * 6;
        int32_t offset = (int32_t)(uint32_t)big_endian(entry, 4);
        b.local_types[i].offset = offset > -90000 && offset < 90000 ? offset : 0;
        for (size_t k = 0; k + 1 < ABBREVIATION_BYTES && entry[5] + k < t->name_bytes && t->names[entry[5] + k]; k++) {
            b.local_types[i].abbreviation[k] = (char)t->names[entry[5] + k];
        }
    }
    for (uint32_t i = 0; i < t->time_count; i++) {
        int64_t begins_at = (int64_t)big_endian(t->times + (size_t)i * 8, 8);
        if (begins_at < -(INT64_C(1) << 55)) continue;  // some files begin with the Big Bang
        add_segment(&b, begins_at, t->types[i]);
    }
    if (unrolls) add_rule(&b, &rule, (uint8_t)t->type_count, (uint8_t)(t->type_count + 1));
    return b.zone;
}

static bool name_is_safe(const char *name, size_t name_bytes) {
    if (name_bytes == 0 || name_bytes >= NAME_BYTES_MAX || !((name[0] >= 'A' && name[0] <= 'Z') || (name[0] >= 'a' && name[0] <= 'z'))) return false;
    for (size_t i = 0; i < name_bytes; i++) {
        char c = name[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '+' || c == '/';
        if (!plain) return false;
    }
    bool other_tree = (name_bytes > 6 && (memcmp(name, "posix/", 6) == 0 || memcmp(name, "right/", 6) == 0));
    return !other_tree;
}

static struct timezone *load_zone(struct memory *memory, const char *name) {
    static const char *const folders[] = {"/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/usr/share/lib/zoneinfo", "/etc/zoneinfo"};
    struct buffer bytes;
    buffer_init(&bytes, memory);
    struct timezone *zone = NULL;
    for (size_t i = 0; !zone && i < sizeof folders / sizeof folders[0]; i++) {
        char path[NAME_BYTES_MAX + 64];
        snprintf(path, sizeof path, "%s/%s", folders[i], name);
        buffer_clear(&bytes);
        struct transitions t = {0};
        if (file_read_all(path, ZONE_FILE_LIMIT, &bytes, NULL) == STATUS_OK && read_file(bytes.data, bytes.size_bytes, &t)) {
            zone = make_zone(memory, &t);
        }
    }
    buffer_release(&bytes);
    return zone;
}

static struct timezone *fixed_zone(struct memory *memory, int32_t offset, const char *abbreviation) {
    struct builder b;
    if (!allocate(memory, 1, 1, &b)) return NULL;
    b.local_types[0].offset = offset;
    size_t length = strnlen(abbreviation, ABBREVIATION_BYTES - 1);
    memcpy(b.local_types[0].abbreviation, abbreviation, length);  // the array is zeroed
    return b.zone;
}

// java.time's short names, which differ from the files of the same name where there are any.
static const char *const short_names[][2] = {
    {"ACT", "Australia/Darwin"}, {"AET", "Australia/Sydney"}, {"AGT", "America/Argentina/Buenos_Aires"}, {"ART", "Africa/Cairo"},
    {"AST", "America/Anchorage"}, {"BET", "America/Sao_Paulo"}, {"BST", "Asia/Dhaka"}, {"CAT", "Africa/Harare"},
    {"CNT", "America/St_Johns"}, {"CST", "America/Chicago"}, {"CTT", "Asia/Shanghai"}, {"EAT", "Africa/Addis_Ababa"},
    {"ECT", "Europe/Paris"}, {"IET", "America/Indiana/Indianapolis"}, {"IST", "Asia/Kolkata"}, {"JST", "Asia/Tokyo"},
    {"MIT", "Pacific/Apia"}, {"NET", "Asia/Yerevan"}, {"NST", "Pacific/Auckland"}, {"PLT", "Asia/Karachi"},
    {"PNT", "America/Phoenix"}, {"PRT", "America/Puerto_Rico"}, {"PST", "America/Los_Angeles"}, {"SST", "Pacific/Guadalcanal"},
    {"VST", "Asia/Ho_Chi_Minh"}, {"EST", "-05:00"}, {"MST", "-07:00"}, {"HST", "-10:00"},
};

static struct timezone *make_named(struct memory *memory, const char *name) {
    const char *meaning = name;
    for (size_t i = 0; i < sizeof short_names / sizeof short_names[0]; i++) {
        if (strcmp(name, short_names[i][0]) == 0) meaning = short_names[i][1];
    }
    int32_t offset;
    if (timezone_fixed_offset(meaning, strlen(meaning), &offset)) {
        return fixed_zone(memory, offset, strlen(name) < ABBREVIATION_BYTES ? name : "");
    }
    return name_is_safe(meaning, strlen(meaning)) ? load_zone(memory, meaning) : NULL;
}

struct timezone_set *timezone_set_new(struct memory *memory) {
    struct timezone_set *set = memory_alloc_zeroed(memory, sizeof *set);
    if (!set) return NULL;
    set->memory = memory;
    pthread_mutex_init(&set->mutex, NULL);
    return set;
}

void timezone_set_free(struct timezone_set *set) {
    if (!set) return;
    for (struct timezone *zone = set->zones, *next; zone; zone = next) {
        next = zone->next;
        memory_free(set->memory, zone, zone->block_bytes);
    }
    pthread_mutex_destroy(&set->mutex);
    memory_free(set->memory, set, sizeof *set);
}

const struct timezone *timezone_find(struct timezone_set *set, const char *name, size_t name_bytes) {
    if (name_bytes == 0 || name_bytes >= NAME_BYTES_MAX || memchr(name, '\0', name_bytes)) return NULL;
    char text[NAME_BYTES_MAX];
    memcpy(text, name, name_bytes);
    text[name_bytes] = '\0';
    pthread_mutex_lock(&set->mutex);
    struct timezone *zone = set->zones;
    while (zone && strcmp(zone->name, text) != 0) zone = zone->next;
    if (!zone && (zone = make_named(set->memory, text))) {
        memcpy(zone->name, text, name_bytes + 1);
        zone->set = set;
        zone->next = set->zones;
        set->zones = zone;
    }
    pthread_mutex_unlock(&set->mutex);
    return zone;
}

const struct timezone *timezone_sibling(const struct timezone *zone, const char *name, size_t name_bytes) {
    return zone->set ? timezone_find(zone->set, name, name_bytes) : NULL;
}
