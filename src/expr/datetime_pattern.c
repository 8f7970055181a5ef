// SPDX-License-Identifier: Apache-2.0
// datetime_pattern.c: compiling a datetime pattern, and printing by it.
//
// Spark refuses a pattern in two steps: letters that its own rules exclude, then what java.time cannot compile. Where the old
// SimpleDateFormat would have taken a pattern that is now refused, the error is another one (…DATETIME_PATTERN_RECOGNITION).
// Sources: Spark's documented datetime patterns; java.time.format.DateTimeFormatterBuilder's documentation; measured answers.
#include "column/datetime.h"
#include "datetime_items.h"

const char *const month_names[12] = {"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"};
const char *const weekday_names[7] = {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"};

enum { PATTERN_BYTES_MAX = 4096, OPTIONAL_DEPTH_MAX = 32, ZONE_NAME_MAX = 80 };

static const char *const fault_week = "INCONSISTENT_BEHAVIOR_CROSS_VERSION.DATETIME_WEEK_BASED_PATTERN";
static const char *const fault_recognition = "INCONSISTENT_BEHAVIOR_CROSS_VERSION.DATETIME_PATTERN_RECOGNITION";
static const char *const fault_letter = "INVALID_DATETIME_PATTERN.ILLEGAL_CHARACTER";
static const char *const fault_length = "INVALID_DATETIME_PATTERN.LENGTH";
static const char *const fault_other = "INVALID_DATETIME_PATTERN.WITH_SUGGESTION";

const char *datetime_pattern_message(const char *condition) {
    if (condition == fault_week) return "week-based letters of datetime patterns (Y, W, w, u, e, c) are not supported; use extract";
    if (condition == fault_recognition) return "the datetime pattern is not recognized, though versions of Spark before 3.0 took it";
    if (condition == fault_letter) return "a letter of the datetime pattern is not allowed here";
    if (condition == fault_length) return "too many letters of one kind follow each other in the datetime pattern";
    return "the datetime pattern is not valid";
}

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static bool is_among(char c, const char *set) { return c && strchr(set, c); }

// Would java.text.SimpleDateFormat have compiled it?
static bool was_accepted(const char *s, size_t size) {
    bool quoted = false;
    for (size_t i = 0, run = 0; i < size; i++) {
        run = i && s[i] == s[i - 1] ? run + 1 : 1;
        if (s[i] == '\'') quoted = !quoted;
        else if (!quoted && is_letter(s[i]) && !is_among(s[i], "GyMdkHmsSEDFwWahKzZYuXL")) return false;
        else if (!quoted && s[i] == 'X' && run > 3) return false;
    }
    return !quoted;
}

// Spark's own rules, for one stretch outside of quotes.
static const char *check_stretch(const char *s, size_t size, enum datetime_use use) {
    for (size_t i = 0; i < size; i++)
        if (is_among(s[i], "YWwuec")) return fault_week;
    for (size_t i = 0; i < size; i++)
        if (is_among(s[i], "ABnNp") || (use == DATETIME_READ && is_among(s[i], "EFqQ"))) return fault_letter;
    for (size_t i = 0, run = 0; i < size; i++) {
        run = i && s[i] == s[i - 1] ? run + 1 : 1;
        if ((run == 5 && is_among(s[i], "GMLEQq")) || (run == 7 && s[i] == 'y')) return fault_length;
    }
    return NULL;
}

static const char *check_stretches(const char *s, size_t size, enum datetime_use use) {
    size_t begin = 0;
    bool quoted = false;
    for (size_t i = 0; i <= size; i++) {
        if (i < size && s[i] != '\'') continue;
        const char *fault = quoted ? NULL : check_stretch(s + begin, i - begin, use);
        if (fault) return fault;
        begin = i + 1;
        quoted = !quoted;
    }
    return NULL;
}

struct compiler {
    struct datetime_pattern *pattern;
    size_t literal_bytes;
    int active;                                // the number that digits after it are taken from; -1: none
    uint32_t optionals[OPTIONAL_DEPTH_MAX];    // open ones
    uint32_t optional_count;
    bool has_era;
    bool short_fractions;                      // a fraction may have fewer digits than letters
};

static struct item *add_item(struct compiler *c, enum item_kind kind, size_t text_max) {
    struct item *item = &c->pattern->items[c->pattern->item_count++];
    *item = (struct item){.kind = (uint8_t)kind};
    c->pattern->text_max += text_max;
    c->active = -1;
    return item;
}

static void add_literal(struct compiler *c, const char *s, size_t size) {
    if (!size) return;
    struct item *item = add_item(c, ITEM_LITERAL, size);
    item->begin = (uint32_t)c->literal_bytes;
    item->size = (uint32_t)size;
    memcpy(c->pattern->literals + c->literal_bytes, s, size);
    c->literal_bytes += size;
}

// Fixed numbers right after another number: that one leaves them their digits.
static struct item *add_digits(struct compiler *c, enum item_kind kind, enum date_field field, size_t least, size_t most, enum number_sign sign) {
    int active = c->active;
    struct item *item = add_item(c, kind, most + 2);
    int index = (int)c->pattern->item_count - 1;
    item->field = (uint8_t)field;
    item->least = (uint8_t)least;
    item->most = (uint8_t)most;
    item->sign = (uint8_t)sign;
    bool fixed = least == most && sign == SIGN_NONE;
    if (active >= 0 && fixed) c->pattern->items[active].digits_after = (uint16_t)(c->pattern->items[active].digits_after + most);
    c->active = active >= 0 && fixed ? active : index;
    return item;
}

static const char *add_number(struct compiler *c, enum date_field field, size_t count, size_t count_max) {
    if (count > count_max) return fault_other;
    if (count == 1) (void)add_digits(c, ITEM_NUMBER, field, 1, 19, SIGN_NORMAL);
    else (void)add_digits(c, ITEM_NUMBER, field, count, count, SIGN_NONE);
    return NULL;
}

static const char *add_text(struct compiler *c, enum date_field field, bool full) {
    struct item *item = add_item(c, ITEM_TEXT, 16);
    item->field = (uint8_t)field;
    item->is_full = full;
    return NULL;
}

static const char *add_year(struct compiler *c, size_t count) {
    enum date_field field = c->has_era ? FIELD_YEAR_OF_ERA : FIELD_YEAR;
    if (count == 2) (void)add_digits(c, ITEM_TWO_DIGIT_YEAR, field, 2, 2, SIGN_NONE);
    else (void)add_digits(c, ITEM_NUMBER, field, count, 19, count < 4 ? SIGN_NORMAL : SIGN_EXCEEDS);
    return NULL;
}

static const char *add_fraction(struct compiler *c, size_t count) {
    if (count > 9) return fault_other;
    size_t least = c->short_fractions ? 1 : count;
    if (least == count) {
        (void)add_digits(c, ITEM_FRACTION, FIELD_NANO, least, count, SIGN_NONE);
        return NULL;
    }
    struct item *item = add_item(c, ITEM_FRACTION, count);
    item->field = FIELD_NANO;
    item->least = (uint8_t)least;
    item->most = (uint8_t)count;
    return NULL;
}

static const char *add_offset(struct compiler *c, char letter, size_t count) {
    static const char *const zeros[2] = {"+0000", "+00:00"};
    static const uint8_t forms[5] = {OFFSET_HHmm, OFFSET_HHMM, OFFSET_HH_MM, OFFSET_HHMMss, OFFSET_HH_MM_ss};
    if (count > 5 || (letter == 'O' && count != 1 && count != 4)) return fault_other;
    if (letter == 'O' || (letter == 'Z' && count == 4)) {
        add_item(c, ITEM_GMT_OFFSET, 12)->is_full = count == 4;
        return NULL;
    }
    struct item *item = add_item(c, ITEM_OFFSET, 10);
    item->form = letter != 'Z' ? forms[count - 1] : count == 5 ? OFFSET_HH_MM_ss : OFFSET_HHMM;
    if (letter == 'X' || count == 5) item->none = letter == 'x' ? zeros[1] : "Z";
    else if (letter == 'Z') item->none = zeros[0];
    else item->none = count == 1 ? "+00" : zeros[count % 2];
    return NULL;
}

static const char *add_zone(struct compiler *c, char letter, size_t count) {
    if (letter == 'V' ? count != 2 : count > 4) return fault_other;
    struct item *item = add_item(c, letter == 'V' ? ITEM_ZONE_ID : ITEM_ZONE_TEXT, ZONE_NAME_MAX);
    item->is_full = letter == 'z' && count == 4;
    return NULL;
}

// A run of one letter.
static const char *add_letters(struct compiler *c, char letter, size_t count) {
    switch (letter) {
    case 'G': return add_text(c, FIELD_ERA, count == 4);
    case 'y': return add_year(c, count);
    case 'Q': case 'q': return count > 2 ? add_text(c, FIELD_QUARTER, count == 4) : add_number(c, FIELD_QUARTER, count, 2);
    case 'M': case 'L': return count > 2 ? add_text(c, FIELD_MONTH, count == 4) : add_number(c, FIELD_MONTH, count, 2);
    case 'E': return add_text(c, FIELD_WEEKDAY, count == 4);
    case 'a': return count > 1 ? fault_other : add_text(c, FIELD_AMPM, false);
    case 'd': return add_number(c, FIELD_DAY, count, 2);
    case 'D':
        if (count == 1 || count > 3) return add_number(c, FIELD_DAY_OF_YEAR, count, 3);
        (void)add_digits(c, ITEM_NUMBER, FIELD_DAY_OF_YEAR, count, 3, SIGN_NONE);
        return NULL;
    case 'F': return add_number(c, FIELD_WEEK_PLACE, count, 1);
    case 'H': return add_number(c, FIELD_HOUR, count, 2);
    case 'k': return add_number(c, FIELD_CLOCK_HOUR, count, 2);
    case 'K': return add_number(c, FIELD_HOUR_OF_AMPM, count, 2);
    case 'h': return add_number(c, FIELD_CLOCK_HOUR_OF_AMPM, count, 2);
    case 'm': return add_number(c, FIELD_MINUTE, count, 2);
    case 's': return add_number(c, FIELD_SECOND, count, 2);
    case 'S': return add_fraction(c, count);
    case 'V': case 'z': return add_zone(c, letter, count);
    case 'O': case 'X': case 'x': case 'Z': return add_offset(c, letter, count);
    default: return fault_other;
    }
}

static const char *open_optional(struct compiler *c) {
    if (c->optional_count == OPTIONAL_DEPTH_MAX) return fault_length;
    (void)add_item(c, ITEM_OPTIONAL, 0);
    c->optionals[c->optional_count++] = c->pattern->item_count - 1;
    return NULL;
}

static void close_optional(struct compiler *c) {
    uint32_t index = c->optionals[--c->optional_count];
    c->pattern->items[index].size = c->pattern->item_count - index - 1;
    c->active = -1;
}

// Quoted text from s[i], the character after the quote; returns the place after the closing quote, 0: there is none.
static size_t add_quoted(struct compiler *c, const char *s, size_t size, size_t i) {
    size_t begin = i;
    if (i < size && s[i] == '\'') {
        add_literal(c, "'", 1);
        return i + 1;
    }
    for (; i < size; i++) {
        if (s[i] != '\'') continue;
        add_literal(c, s + begin, i - begin);
        if (i + 1 == size || s[i + 1] != '\'') return i + 1;
        begin = ++i;  // a doubled quote stands for itself: it begins the next stretch
    }
    return 0;
}

static const char *add_items(struct compiler *c, const char *s, size_t size) {
    for (size_t i = 0; i < size;) {
        const char *fault = NULL;
        size_t begin = i++;
        if (is_letter(s[begin])) {
            while (i < size && s[i] == s[begin]) i++;
            fault = add_letters(c, s[begin], i - begin);
        } else if (s[begin] == '\'') {
            i = add_quoted(c, s, size, i);
            if (!i) return fault_other;
        } else if (s[begin] == '[') {
            fault = open_optional(c);
        } else if (s[begin] == ']') {
            if (!c->optional_count) return fault_other;
            close_optional(c);
        } else if (is_among(s[begin], "{}#")) {
            return fault_other;
        } else {
            add_literal(c, s + begin, 1);
        }
        if (fault) return fault;
    }
    return NULL;
}

static bool has_era(const char *s, size_t size) {
    bool quoted = false;
    for (size_t i = 0; i < size; i++) {
        if (s[i] == '\'') quoted = !quoted;
        else if (!quoted && s[i] == 'G') return true;
    }
    return false;
}

const struct datetime_pattern *datetime_pattern_compile(struct arena *a, const char *text, size_t size_bytes, enum datetime_use use,
                                                        const char **condition) {
    *condition = size_bytes > PATTERN_BYTES_MAX ? fault_length : check_stretches(text, size_bytes, use);
    if (!*condition) {
        struct datetime_pattern *p = arena_alloc_zeroed(a, sizeof *p);
        if (!p) return NULL;
        p->items = arena_alloc_array(a, size_bytes + 1, sizeof *p->items);
        p->literals = arena_alloc(a, size_bytes + 1);
        if (!p->items || !p->literals) return NULL;
        struct compiler c = {.pattern = p, .active = -1, .has_era = has_era(text, size_bytes)};
        c.short_fractions = use == DATETIME_READ && size_bytes && memchr(text, 'S', size_bytes);
        *condition = add_items(&c, text, size_bytes);
        while (c.optional_count) close_optional(&c);
        if (!*condition) return p;
    }
    if (*condition != fault_length || size_bytes <= PATTERN_BYTES_MAX) *condition = was_accepted(text, size_bytes) ? fault_recognition : *condition;
    return NULL;
}

// --- printing ---

struct moment {
    const struct timezone *zone;  // NULL: UTC
    int64_t us;
    int32_t offset;
    int64_t days;
    int64_t within_day;
    struct civil date;
};

static int64_t field_value(const struct moment *m, enum date_field field) {
    int64_t seconds = m->within_day / US_PER_SECOND, hour = seconds / 3600;
    switch (field) {
    case FIELD_ERA: return m->date.year > 0;
    case FIELD_YEAR: return m->date.year;
    case FIELD_YEAR_OF_ERA: return m->date.year > 0 ? m->date.year : 1 - (int64_t)m->date.year;
    case FIELD_QUARTER: return (m->date.month - 1) / 3 + 1;
    case FIELD_MONTH: return m->date.month;
    case FIELD_DAY: return m->date.day;
    case FIELD_DAY_OF_YEAR: return m->days - days_from_civil(m->date.year, 1, 1) + 1;
    case FIELD_WEEKDAY: return floor_mod(m->days + 3, 7);
    case FIELD_WEEK_PLACE: return (m->date.day - 1) % 7 + 1;
    case FIELD_AMPM: return hour / 12;
    case FIELD_HOUR: return hour;
    case FIELD_CLOCK_HOUR: return hour ? hour : 24;
    case FIELD_HOUR_OF_AMPM: return hour % 12;
    case FIELD_CLOCK_HOUR_OF_AMPM: return hour % 12 ? hour % 12 : 12;
    case FIELD_MINUTE: return seconds / 60 % 60;
    case FIELD_SECOND: return seconds % 60;
    case FIELD_NANO: return m->within_day % US_PER_SECOND * 1000;
    }
    return 0;
}

static char *put_text(char *out, const char *s, size_t size) {
    memcpy(out, s, size);
    return out + size;
}

static char *put_number(char *out, uint64_t value, unsigned least) {
    char digits[20];
    unsigned count = 0;
    do digits[count++] = (char)('0' + value % 10);
    while (value /= 10);
    while (count < least) digits[count++] = '0';
    while (count) *out++ = digits[--count];
    return out;
}

// Two or four digits, as most fields have: no loop, no sign to make room for.
static bool put_plain(char *out, uint64_t value, unsigned least) {
    if (least == 2 && value < 100) {
        out[0] = (char)('0' + value / 10), out[1] = (char)('0' + value % 10);
        return true;
    }
    if (least != 4 || value > 9999) return false;
    return put_plain(out, value / 100, 2) && put_plain(out + 2, value % 100, 2);
}

static char *put_field(char *out, const struct item *item, const struct moment *m) {
    int64_t value = field_value(m, (enum date_field)item->field);
    if (item->kind == ITEM_NUMBER && value >= 0 && put_plain(out, (uint64_t)value, item->least)) return out + item->least;
    if (item->kind == ITEM_TWO_DIGIT_YEAR) return put_number(out, (uint64_t)(value < 0 ? -value : value) % 100, 2);
    if (item->kind == ITEM_FRACTION) {
        for (unsigned i = item->most; i < 9; i++) value /= 10;
        return put_number(out, (uint64_t)value, item->most);
    }
    char *digits = put_number(out + 1, (uint64_t)(value < 0 ? -value : value), item->least);
    bool plus = item->sign == SIGN_EXCEEDS && value >= 0 && digits - out - 1 > item->least;
    if (value < 0 || plus) {
        *out = value < 0 ? '-' : '+';
        return digits;
    }
    memmove(out, out + 1, (size_t)(digits - out - 1));
    return digits - 1;
}

static char *put_name(char *out, const struct item *item, const struct moment *m) {
    static const char *const eras[2][2] = {{"BC", "Before Christ"}, {"AD", "Anno Domini"}};
    static const char *const quarters[4][2] = {{"Q1", "1st quarter"}, {"Q2", "2nd quarter"}, {"Q3", "3rd quarter"}, {"Q4", "4th quarter"}};
    size_t value = (size_t)field_value(m, (enum date_field)item->field);
    const char *name = "";
    bool cut = false;
    switch (item->field) {
    case FIELD_ERA: name = eras[value][item->is_full]; break;
    case FIELD_QUARTER: name = quarters[value - 1][item->is_full]; break;
    case FIELD_AMPM: name = value ? "PM" : "AM"; break;
    case FIELD_MONTH: name = month_names[value - 1]; cut = !item->is_full; break;
    default: name = weekday_names[value]; cut = !item->is_full; break;
    }
    return put_text(out, name, cut ? 3 : strlen(name));
}

static char *put_colon_number(char *out, bool colon, uint32_t value) {
    if (colon) *out++ = ':';
    return put_number(out, value, 2);
}

static char *put_offset(char *out, const struct item *item, int32_t offset) {
    uint32_t size = (uint32_t)(offset < 0 ? -offset : offset), minutes = size / 60 % 60, seconds = size % 60;
    bool colon = item->kind == ITEM_GMT_OFFSET || item->form == OFFSET_HH_MM || item->form == OFFSET_HH_MM_ss;
    bool with_minutes, with_seconds;
    if (item->kind == ITEM_GMT_OFFSET) {
        out = put_text(out, "GMT", 3);
        if (!offset) return out;
        with_minutes = item->is_full || minutes || seconds;
        with_seconds = seconds;
    } else {
        with_minutes = item->form != OFFSET_HHmm || minutes;
        with_seconds = (item->form == OFFSET_HHMMss || item->form == OFFSET_HH_MM_ss) && seconds;
        if (size < 60 && !with_seconds) return put_text(out, item->none, strlen(item->none));
    }
    *out++ = offset < 0 ? '-' : '+';
    out = put_number(out, size / 3600, item->kind == ITEM_GMT_OFFSET && !item->is_full ? 1 : 2);
    if (with_minutes) out = put_colon_number(out, colon, minutes);
    if (with_seconds) out = put_colon_number(out, colon, seconds);
    return out;
}

// The long names of the abbreviations most seen; others print short.
static const char *long_zone_name(const char *short_name) {
    static const char *const names[][2] = {
        {"NST", "Newfoundland Standard Time"}, {"NDT", "Newfoundland Daylight Time"}, {"AST", "Atlantic Standard Time"},
        {"ADT", "Atlantic Daylight Time"}, {"AKST", "Alaska Standard Time"}, {"AKDT", "Alaska Daylight Time"}, {"HST", "Hawaii-Aleutian Standard Time"},
        {"AEST", "Australian Eastern Standard Time"}, {"AEDT", "Australian Eastern Daylight Time"}, {"ACST", "Australian Central Standard Time"},
        {"ACDT", "Australian Central Daylight Time"}, {"AWST", "Australian Western Standard Time"}, {"NZST", "New Zealand Standard Time"},
        {"NZDT", "New Zealand Daylight Time"}, {"HKT", "Hong Kong Standard Time"}, {"PKT", "Pakistan Standard Time"},
        {"UTC", "Coordinated Universal Time"}, {"GMT", "Greenwich Mean Time"}, {"BST", "British Summer Time"}, {"WET", "Western European Standard Time"},
        {"WEST", "Western European Summer Time"}, {"CET", "Central European Standard Time"}, {"CEST", "Central European Summer Time"},
        {"EET", "Eastern European Standard Time"}, {"EEST", "Eastern European Summer Time"}, {"MSK", "Moscow Standard Time"},
        {"EST", "Eastern Standard Time"}, {"EDT", "Eastern Daylight Time"}, {"CST", "Central Standard Time"}, {"CDT", "Central Daylight Time"},
        {"MST", "Mountain Standard Time"}, {"MDT", "Mountain Daylight Time"}, {"PST", "Pacific Standard Time"}, {"PDT", "Pacific Daylight Time"},
        {"JST", "Japan Standard Time"}, {"KST", "Korean Standard Time"}, {"IST", "India Standard Time"}, {"SAST", "South Africa Standard Time"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i][0], short_name) == 0) return names[i][1];
    return short_name;
}

static char *put_zone(char *out, const struct item *item, const struct moment *m) {
    const char *name = m->zone ? timezone_name(m->zone) : "UTC";
    if (item->kind == ITEM_ZONE_TEXT) {
        const char *abbreviation = m->zone ? timezone_abbreviation(m->zone, m->us) : "UTC";
        bool has_letters = is_letter(*abbreviation);
        if (has_letters) name = item->is_full ? long_zone_name(abbreviation) : abbreviation;
    }
    size_t size = strlen(name);
    return put_text(out, name, size < ZONE_NAME_MAX ? size : ZONE_NAME_MAX);
}

size_t datetime_pattern_text_max(const struct datetime_pattern *p) { return p->text_max + 1; }

size_t datetime_pattern_print(const struct datetime_pattern *p, int64_t us, const struct timezone *zone, char *out) {
    struct moment m = {.zone = zone, .us = us, .offset = zone ? timezone_offset_at(zone, us) : 0};
    int64_t within_day = floor_mod(us, US_PER_DAY) + m.offset * US_PER_SECOND;
    m.days = floor_div(us, US_PER_DAY) + floor_div(within_day, US_PER_DAY);
    m.within_day = floor_mod(within_day, US_PER_DAY);
    m.date = civil_from_days(m.days);
    char *begin = out;
    for (uint32_t i = 0; i < p->item_count; i++) {
        const struct item *item = &p->items[i];
        switch (item->kind) {
        case ITEM_LITERAL: out = put_text(out, p->literals + item->begin, item->size); break;
        case ITEM_NUMBER: case ITEM_TWO_DIGIT_YEAR: case ITEM_FRACTION: out = put_field(out, item, &m); break;
        case ITEM_TEXT: out = put_name(out, item, &m); break;
        case ITEM_OFFSET: case ITEM_GMT_OFFSET: out = put_offset(out, item, m.offset); break;
        case ITEM_ZONE_ID: case ITEM_ZONE_TEXT: out = put_zone(out, item, &m); break;
        default: break;  // optional items print like any other
        }
    }
    return (size_t)(out - begin);
}

bool datetime_pattern_is_date(const struct datetime_pattern *p) {
    static const struct { uint8_t field, least; } numbers[] = {{FIELD_YEAR, 4}, {FIELD_MONTH, 2}, {FIELD_DAY, 2}};
    if (p->item_count != 5) return false;
    for (uint32_t i = 0; i < p->item_count; i++) {
        const struct item *item = &p->items[i];
        if (i % 2 && (item->kind != ITEM_LITERAL || item->size != 1 || p->literals[item->begin] != '-')) return false;
        if (i % 2 == 0 && (item->kind != ITEM_NUMBER || item->field != numbers[i / 2].field || item->least != numbers[i / 2].least)) return false;
    }
    return true;
}

static inline void put_pair(char *out, uint32_t value) {
    out[0] = (char)('0' + value / 10);
    out[1] = (char)('0' + value % 10);
}

// From days to a date with one multiplication in place of each division: Neri and Schneider, "Euclidean affine functions and their
// application to calendar algorithms", Software: Practice and Experience 53(4), 2023. Years begin in March, so that 29 February is the last.
bool datetime_print_date(int64_t us, const struct timezone *zone, char *out) {
    enum { DAYS_0000_03_01 = 719468, DAY_FIRST = -719162, DAY_LAST = 2932896 };  // 0001-01-01, 9999-12-31
    int64_t days = floor_div(us, US_PER_DAY);
    int32_t offset = zone ? timezone_offset_at(zone, us) : 0;
    if (offset) days += floor_div(us - days * US_PER_DAY + offset * US_PER_SECOND, US_PER_DAY);
    if (days < DAY_FIRST || days > DAY_LAST) return false;
    uint32_t quarters = 4 * (uint32_t)(days + DAYS_0000_03_01 + 146097) + 3;  // of days, since a century's beginning before them all
    uint32_t century = quarters / 146097, in_century = quarters % 146097 | 3;
    uint64_t product = UINT64_C(2939745) * in_century;
    uint32_t year = 100 * century + (uint32_t)(product >> 32) - 400, day_of_year = (uint32_t)product / 2939745 / 4;
    uint32_t month_and_day = 2141 * day_of_year + 197913, month = month_and_day >> 16;
    if (day_of_year >= 306) year++, month -= 12;
    put_pair(out, year / 100);
    put_pair(out + 2, year % 100);
    out[4] = '-';
    put_pair(out + 5, month);
    out[7] = '-';
    put_pair(out + 8, (month_and_day & 0xffff) / 2141 + 1);
    return true;
}
