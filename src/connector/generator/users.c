// SPDX-License-Identifier: Apache-2.0
// users.c: one randomuser.me 1.4 user from (seed, n). The fields, their order and their types are the service's; values are made up.
#include "column/datetime.h"
#include "connector/generator/documents.h"
#include "json/json.h"
#include <stdlib.h>
#include <utf8proc.h>

struct piece {
    const char *bytes;
    size_t size_bytes;
};

// One of the parts of "a|b|c".
static struct piece pick(struct random *r, const char *list) {
    uint64_t count = 1;
    for (const char *p = list; *p; p++) count += *p == '|';
    uint64_t index = random_below(r, count);
    while (index) index -= *list++ == '|';
    size_t n = strcspn(list, "|");
    return (struct piece){list, n};
}

// A name in its script, and in plain Latin letters for the e-mail.
struct name {
    struct piece own;
    char latin[128];
};

// Marks are dropped; letters that have no base letter are spelt out.
static size_t spell(utf8proc_int32_t c, char *out) {
    static const struct { utf8proc_int32_t c; const char *latin; } letters[] = {
        {0xe6, "ae"}, {0xf8, "o"}, {0xdf, "ss"}, {0x111, "d"}, {0x131, "i"}, {0x142, "l"}, {0xfe, "th"}, {0xf0, "d"}, {0x153, "oe"},
    };
    if (c >= 'A' && c <= 'Z') c += 32;
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
        *out = (char)c;
        return 1;
    }
    c = utf8proc_tolower(c);
    for (size_t i = 0; i < sizeof letters / sizeof letters[0]; i++) {
        if (letters[i].c != c) continue;
        size_t n = strlen(letters[i].latin);
        memcpy(out, letters[i].latin, n);
        return n;
    }
    return 0;
}

static void latinise(struct piece own, char latin[128]) {
    utf8proc_int32_t decomposed[8];
    size_t used = 0;
    for (size_t at = 0; at < own.size_bytes && used < 120;) {
        utf8proc_int32_t c;
        int boundary = 0;
        utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)own.bytes + at, (utf8proc_ssize_t)(own.size_bytes - at), &c);
        if (n <= 0) break;
        at += (size_t)n;
        if (c < 0x80) {
            used += spell(c, latin + used);
            continue;
        }
        utf8proc_ssize_t count = utf8proc_decompose_char(c, decomposed, 8, UTF8PROC_DECOMPOSE, &boundary);
        for (utf8proc_ssize_t i = 0; i < count && used < 120; i++) used += spell(decomposed[i], latin + used);
    }
    latin[used] = 0;
}

static struct name pick_name(struct random *r, const char *list) {
    struct name out = {.own = pick(r, list)};
    const char *equals = memchr(out.own.bytes, '=', out.own.size_bytes);
    if (equals) {
        size_t n = out.own.size_bytes - (size_t)(equals + 1 - out.own.bytes);
        memcpy(out.latin, equals + 1, n < 120 ? n : 120);
        out.latin[n < 120 ? n : 120] = 0;
        out.own.size_bytes = (size_t)(equals - out.own.bytes);
    } else {
        latinise(out.own, out.latin);
    }
    return out;
}

static enum status put(struct buffer *out, const char *literal) { return buffer_append_string(out, literal); }

static enum status put_text(struct buffer *out, const char *before, struct piece text) {
    TRY(put(out, before));
    return json_write_string(text.bytes, text.size_bytes, out);
}

static enum status put_pattern(struct buffer *out, struct random *r, const char *pattern) {
    for (; *pattern; pattern++) {
        uint8_t c = (uint8_t)*pattern;
        if (c == '#') c = (uint8_t)('0' + random_below(r, 10));
        else if (c == 'A') c = (uint8_t)('A' + random_below(r, 26));
        TRY(buffer_append_byte(out, c));
    }
    return STATUS_OK;
}

// A number where the pattern is digits alone (no leading zero: they are lost upstream), else text.
static enum status put_postcode(struct buffer *out, struct random *r, const char *pattern) {
    TRY(put(out, ",\"postcode\":"));
    if (strspn(pattern, "#") == strlen(pattern)) {
        uint64_t most = 1;
        for (const char *p = pattern; *p; p++) most *= 10;
        return buffer_printf(out, "%llu", (unsigned long long)(most / 10 + random_below(r, most - most / 10)));
    }
    TRY(buffer_append_byte(out, '"'));
    TRY(put_pattern(out, r, pattern));
    return buffer_append_byte(out, '"');
}

static enum status put_hex(struct buffer *out, struct random *r, const char *before, int digits) {
    static const char hex[] = "0123456789abcdef";
    char text[64];
    TRY(put(out, before));
    for (int i = 0; i < digits; i += 16) {
        uint64_t bits = random_next(r);
        for (int k = 0; k < 16 && i + k < digits; k++, bits >>= 4) text[i + k] = hex[bits & 15];
    }
    return buffer_append(out, text, (size_t)digits);
}

static enum status put_uuid(struct buffer *out, struct random *r, size_t *offset) {
    char text[37];
    uint64_t a = random_next(r), b = random_next(r);
    snprintf(text, sizeof text, "%08x-%04x-4%03x-%04x-%012llx", (unsigned)(a >> 32), (unsigned)(a >> 16 & 0xffff), (unsigned)(a & 0xfff),
             (unsigned)(b >> 48 & 0x3fff) | 0x8000u, (unsigned long long)(b & 0xffffffffffffULL));
    *offset = out->size_bytes;
    return buffer_append(out, text, 36);
}

static const int32_t reference_day = 20454;  // 2026-01-01: ages are whole years then

// {"date":"…Z","age":n} for an instant between two years.
static enum status put_date(struct buffer *out, struct random *r, int first_year, int last_year) {
    int64_t begin = days_from_civil(first_year, 1, 1) * 86400000, end = days_from_civil(last_year + 1, 1, 1) * 86400000;
    int64_t ms = begin + (int64_t)random_below(r, (uint64_t)(end - begin));
    int32_t day = (int32_t)floor_div(ms, 86400000);
    int64_t in_day = ms - (int64_t)day * 86400000;
    struct civil c = civil_from_days(day), now = civil_from_days(reference_day);
    int age = now.year - c.year - (c.month > now.month || (c.month == now.month && c.day > now.day));
    return buffer_printf(out, "{\"date\":\"%04d-%02d-%02dT%02d:%02d:%02d.%03dZ\",\"age\":%d}", c.year, c.month, c.day, (int)(in_day / 3600000),
                         (int)(in_day / 60000 % 60), (int)(in_day / 1000 % 60), (int)(in_day % 1000), age);
}

static enum status put_location(struct buffer *out, struct random *r, const struct nation *n) {
    static const char *const zones[] = {"-8:00|Pacific Time (US & Canada)", "-5:00|Eastern Time (US & Canada), Bogota, Lima", "-3:00|Brazil, Buenos Aires, Georgetown",
                                        "0:00|Western Europe Time, London, Lisbon, Casablanca", "+1:00|Brussels, Copenhagen, Madrid, Paris", "+3:30|Tehran",
                                        "+5:30|Bombay, Calcutta, Madras, New Delhi", "+9:00|Tokyo, Seoul, Osaka, Sapporo, Yakutsk", "+12:00|Auckland, Wellington, Fiji, Kamchatka"};
    TRY(buffer_printf(out, ",\"location\":{\"street\":{\"number\":%llu,\"name\":", (unsigned long long)(1 + random_below(r, 9999))));
    TRY(put_text(out, "", pick(r, n->streets)));
    TRY(put_text(out, "},\"city\":", pick(r, n->cities)));
    TRY(put_text(out, ",\"state\":", pick(r, n->states)));
    TRY(put_text(out, ",\"country\":", (struct piece){n->country, strlen(n->country)}));
    TRY(put_postcode(out, r, n->postcode));
    int64_t latitude = (int64_t)random_below(r, 1800000) - 900000, longitude = (int64_t)random_below(r, 3600000) - 1800000;
    TRY(buffer_printf(out, ",\"coordinates\":{\"latitude\":\"%.4f\",\"longitude\":\"%.4f\"}", (double)latitude / 1e4, (double)longitude / 1e4));
    const char *zone = zones[random_below(r, sizeof zones / sizeof zones[0])], *bar = strchr(zone, '|');
    TRY(buffer_printf(out, ",\"timezone\":{\"offset\":\"%.*s\",\"description\":", (int)(bar - zone), zone));
    TRY(put_text(out, "", (struct piece){bar + 1, strlen(bar + 1)}));
    return put(out, "}}");
}

// Mail providers as they are spread: a few large ones, then the country's own.
static struct piece pick_domain(struct random *r, const struct nation *n) {
    static const struct { const char *name; uint32_t share; } large[] = {{"gmail.com", 34}, {"yahoo.com", 12}, {"hotmail.com", 11}, {"outlook.com", 10}, {"icloud.com", 6}, {"proton.me", 2}};
    uint64_t at = random_below(r, 100);
    for (size_t i = 0; i < sizeof large / sizeof large[0]; i++) {
        if (at < large[i].share) return (struct piece){large[i].name, strlen(large[i].name)};
        at -= large[i].share;
    }
    return pick(r, n->domains);
}

static enum status put_login(struct buffer *out, struct random *r, size_t *uuid_offset) {
    static const char adjectives[] = "angry|big|black|blue|brown|crazy|golden|green|happy|heavy|lazy|little|orange|organic|purple|sad|silver|smallbird|tiny|white|yellow";
    static const char animals[] = "bear|bird|butterfly|cat|dog|duck|elephant|fish|frog|goose|gorilla|koala|leopard|lion|meercat|mouse|ostrich|panda|peacock|rabbit|snake|swan|tiger|wolf|zebra";
    static const char passwords[] = "secret1|sunshine|dragon7|monkey12|letmein|qwerty99|baseball|shadow|master1|hunter2|trustno1|winter";
    struct piece adjective = pick(r, adjectives), animal = pick(r, animals), password = pick(r, passwords);
    TRY(put(out, ",\"login\":{\"uuid\":\""));
    TRY(put_uuid(out, r, uuid_offset));
    TRY(buffer_printf(out, "\",\"username\":\"%.*s%.*s%llu\",\"password\":\"%.*s\"", (int)adjective.size_bytes, adjective.bytes, (int)animal.size_bytes, animal.bytes,
                      (unsigned long long)(100 + random_below(r, 900)), (int)password.size_bytes, password.bytes));
    TRY(put_hex(out, r, ",\"salt\":\"", 8));
    TRY(put_hex(out, r, "\",\"md5\":\"", 32));
    TRY(put_hex(out, r, "\",\"sha1\":\"", 40));
    TRY(put_hex(out, r, "\",\"sha256\":\"", 64));
    return put(out, "\"}");
}

static enum status put_identity(struct buffer *out, struct random *r, const struct nation *n, bool female) {
    TRY(put(out, ",\"phone\":\""));
    TRY(put_pattern(out, r, n->phone));
    TRY(put(out, "\",\"cell\":\""));
    TRY(put_pattern(out, r, n->cell));
    TRY(buffer_printf(out, "\",\"id\":{\"name\":\"%s\",\"value\":", n->id_name));
    if (!*n->id_name) TRY(put(out, "null"));
    else {
        TRY(buffer_append_byte(out, '"'));
        TRY(put_pattern(out, r, "#### ##### ##"));
        TRY(buffer_append_byte(out, '"'));
    }
    const char *who = female ? "women" : "men";
    unsigned portrait = (unsigned)random_below(r, 100);
    return buffer_printf(out, "},\"picture\":{\"large\":\"https://randomuser.me/api/portraits/%s/%u.jpg\",\"medium\":\"https://randomuser.me/api/portraits/med/%s/%u.jpg\","
                              "\"thumbnail\":\"https://randomuser.me/api/portraits/thumb/%s/%u.jpg\"},\"nat\":\"%s\"}", who, portrait, who, portrait, who, portrait, n->code);
}

enum status users_write(uint64_t seed, uint64_t n, struct buffer *out, size_t *uuid_offset) {
    struct random r;
    random_seed(&r, random_mix(seed) ^ n);
    const struct nation *nation = &nations[random_below(&r, nation_count)];
    bool female = random_below(&r, 2);
    struct name first = pick_name(&r, female ? nation->female : nation->male), last = pick_name(&r, nation->last);
    struct piece title = pick(&r, female ? "Ms|Mrs|Miss|Mademoiselle|Madame" : "Mr|Mr|Mr|Monsieur");
    struct piece domain = pick_domain(&r, nation);
    TRY(buffer_printf(out, "{\"gender\":\"%s\",\"name\":{\"title\":\"%.*s\"", female ? "female" : "male", (int)title.size_bytes, title.bytes));
    TRY(put_text(out, ",\"first\":", first.own));
    TRY(put_text(out, ",\"last\":", last.own));
    TRY(put(out, "}"));
    TRY(put_location(out, &r, nation));
    TRY(buffer_printf(out, ",\"email\":\"%s.%s@%.*s\"", first.latin, last.latin, (int)domain.size_bytes, domain.bytes));
    TRY(put_login(out, &r, uuid_offset));
    TRY(put(out, ",\"dob\":"));
    TRY(put_date(out, &r, 1944, 2004));
    TRY(put(out, ",\"registered\":"));
    TRY(put_date(out, &r, 2002, 2022));
    return put_identity(out, &r, nation, female);
}

enum status junk_write(uint64_t seed, uint64_t n, struct buffer *out, size_t start) {
    static const char *const shapes[] = {"", "null", "hello, world", "{\"event\":\"ping\",\"at\":12}", "[]", "{\"login\":{}}", "<user/>", "{\"gender\":"};
    uint64_t key[3] = {seed, n, 0x6a756e6b};
    uint64_t kind = random_keyed(key, 3) % 10;
    size_t whole = out->size_bytes - start;
    if (kind >= 8) {  // a message cut short, before its uuid
        out->size_bytes = start + whole / (kind == 8 ? 8 : 5);
        return STATUS_OK;
    }
    out->size_bytes = start;
    return buffer_append_string(out, shapes[kind]);
}
