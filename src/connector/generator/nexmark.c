// SPDX-License-Identifier: Apache-2.0
// nexmark.c: Nexmark events (Tucker et al., "NEXMark"; proportions, hot keys and ids as in the Apache Beam generator): of 50 events in a row
// 1 is a person, 3 are auctions, 46 are bids. Half of the bids go to a hot auction, three of four bidders and sellers are hot.
#include "column/datetime.h"
#include "connector/generator/documents.h"
#include <math.h>

enum {
    PERSONS = 1, AUCTIONS = 3, EVENTS = 50, FIRST_PERSON = 1000, FIRST_AUCTION = 1000, FIRST_CATEGORY = 10, CATEGORIES = 5, ACTIVE_PEOPLE = 1000, INFLIGHT_AUCTIONS = 100,
    HOT_AUCTION_RATIO = 2, HOT_SELLER_RATIO = 4, HOT_BIDDER_RATIO = 4, HOT_BLOCK = 100, EVENT_US = 100,
};
static const int64_t base_time_us = INT64_C(1436918400000000);  // 2015-07-15 00:00:00, the generator's own

int64_t nexmark_event_time_us(uint64_t n) { return base_time_us + (int64_t)n * EVENT_US; }

static uint64_t last_person(uint64_t n) { return n / EVENTS * PERSONS; }

static uint64_t last_auction(uint64_t n) {
    uint64_t block = n / EVENTS, offset = n % EVENTS;
    if (offset < PERSONS) return block ? (block - 1) * AUCTIONS + AUCTIONS - 1 : 0;
    if (offset >= PERSONS + AUCTIONS) offset = AUCTIONS - 1;
    else offset -= PERSONS;
    return block * AUCTIONS + offset;
}

static uint64_t some_person(struct random *r, uint64_t n) {
    uint64_t last = last_person(n), active = last + 1 < ACTIVE_PEOPLE ? last + 1 : ACTIVE_PEOPLE;
    return FIRST_PERSON + last + 1 - active + random_below(r, active);
}

static uint64_t price(struct random *r) { return (uint64_t)llround(pow(10.0, random_double(r) * 6.0) * 100.0); }

static enum status put_time(struct buffer *out, int64_t us) {
    int64_t day = floor_div(us, US_PER_DAY), ms = floor_mod(us, US_PER_DAY) / 1000;
    struct civil c = civil_from_days(day);
    return buffer_printf(out, "\"%04d-%02d-%02d %02d:%02d:%02d.%03d\"", c.year, c.month, c.day, (int)(ms / 3600000), (int)(ms / 60000 % 60), (int)(ms / 1000 % 60), (int)(ms % 1000));
}

// Filler letters, so that an event has its kind's average size.
static enum status put_extra(struct buffer *out, struct random *r, size_t least, size_t spread) {
    size_t n = least + random_below(r, spread);
    uint64_t bits = 0;
    TRY(buffer_reserve(out, n));
    for (size_t i = 0; i < n; i++) {
        if (i % 12 == 0) bits = random_next(r);
        out->data[out->size_bytes++] = (uint8_t)('a' + bits % 26);
        bits /= 26;
    }
    return STATUS_OK;
}

static enum status write_person(struct random *r, uint64_t n, struct buffer *out) {
    static const char *const first[] = {"Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter"};
    static const char *const last[] = {"Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"};
    static const char *const cities[] = {"Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland", "Bend", "Redmond", "Seattle", "Kent", "Cheyenne"};
    static const char *const states[] = {"AZ", "CA", "ID", "OR", "WA", "WY"};
    const char *f = first[random_below(r, 11)], *l = last[random_below(r, 9)];
    TRY(buffer_printf(out, "{\"event_type\":0,\"person\":{\"id\":%llu,\"name\":\"%s %s\",\"emailAddress\":\"%s.%s@nexmark.example\",\"creditCard\":\"%04u %04u %04u %04u\",\"city\":\"%s\",\"state\":\"%s\",\"dateTime\":",
                      (unsigned long long)(FIRST_PERSON + last_person(n)), f, l, f, l, (unsigned)random_below(r, 10000), (unsigned)random_below(r, 10000),
                      (unsigned)random_below(r, 10000), (unsigned)random_below(r, 10000), cities[random_below(r, 10)], states[random_below(r, 6)]));
    TRY(put_time(out, nexmark_event_time_us(n)));
    TRY(buffer_append_string(out, ",\"extra\":\""));
    TRY(put_extra(out, r, 20, 40));
    return buffer_append_string(out, "\"},\"auction\":null,\"bid\":null}");
}

static enum status write_auction(struct random *r, uint64_t n, struct buffer *out) {
    uint64_t initial = price(r), seller = random_below(r, HOT_SELLER_RATIO) ? FIRST_PERSON + last_person(n) / HOT_BLOCK * HOT_BLOCK : some_person(r, n);
    TRY(buffer_printf(out, "{\"event_type\":1,\"person\":null,\"auction\":{\"id\":%llu,\"itemName\":\"", (unsigned long long)(FIRST_AUCTION + last_auction(n))));
    TRY(put_extra(out, r, 10, 20));
    TRY(buffer_append_string(out, "\",\"description\":\""));
    TRY(put_extra(out, r, 50, 100));
    TRY(buffer_printf(out, "\",\"initialBid\":%llu,\"reserve\":%llu,\"dateTime\":", (unsigned long long)initial, (unsigned long long)(initial + price(r))));
    TRY(put_time(out, nexmark_event_time_us(n)));
    TRY(buffer_append_string(out, ",\"expires\":"));
    uint64_t horizon = (uint64_t)INFLIGHT_AUCTIONS * EVENTS / AUCTIONS * EVENT_US;
    TRY(put_time(out, nexmark_event_time_us(n) + 1000 + (int64_t)random_below(r, 2 * horizon)));
    TRY(buffer_printf(out, ",\"seller\":%llu,\"category\":%llu,\"extra\":\"", (unsigned long long)seller, (unsigned long long)(FIRST_CATEGORY + random_below(r, CATEGORIES))));
    TRY(put_extra(out, r, 100, 150));
    return buffer_append_string(out, "\"},\"bid\":null}");
}

static enum status write_bid(struct random *r, uint64_t n, struct buffer *out) {
    static const char *const hot[] = {"Google", "Facebook", "Baidu", "Apple"};
    uint64_t newest = last_auction(n), low = newest > INFLIGHT_AUCTIONS ? newest - INFLIGHT_AUCTIONS : 0;
    uint64_t auction = FIRST_AUCTION + (random_below(r, HOT_AUCTION_RATIO) ? newest / HOT_BLOCK * HOT_BLOCK : low + random_below(r, newest - low + 1));
    uint64_t bidder = random_below(r, HOT_BIDDER_RATIO) ? FIRST_PERSON + last_person(n) / HOT_BLOCK * HOT_BLOCK + 1 : some_person(r, n);
    TRY(buffer_printf(out, "{\"event_type\":2,\"person\":null,\"auction\":null,\"bid\":{\"auction\":%llu,\"bidder\":%llu,\"price\":%llu,\"channel\":\"", (unsigned long long)auction,
                      (unsigned long long)bidder, (unsigned long long)price(r)));
    uint64_t channel = random_below(r, 10000);
    if (random_below(r, 2)) {
        const char *name = hot[channel % 4];
        TRY(buffer_printf(out, "%s\",\"url\":\"https://www.nexmark.com/%s/item.htm?query=1", name, name));
    } else {
        TRY(buffer_printf(out, "channel-%llu\",\"url\":\"https://www.nexmark.com/%06llx/item.htm?query=1&channel_id=%llu", (unsigned long long)channel,
                          (unsigned long long)(random_mix(channel) & 0xffffff), (unsigned long long)channel));
    }
    TRY(buffer_append_string(out, "\",\"dateTime\":"));
    TRY(put_time(out, nexmark_event_time_us(n)));
    TRY(buffer_append_string(out, ",\"extra\":\""));
    TRY(put_extra(out, r, 30, 40));
    return buffer_append_string(out, "\"}}");
}

enum status nexmark_write(uint64_t seed, uint64_t n, struct buffer *out) {
    struct random r;
    random_seed(&r, random_mix(seed) ^ n);
    uint64_t offset = n % EVENTS;
    if (offset < PERSONS) return write_person(&r, n, out);
    return offset < PERSONS + AUCTIONS ? write_auction(&r, n, out) : write_bid(&r, n, out);
}
