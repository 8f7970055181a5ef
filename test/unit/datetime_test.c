// SPDX-License-Identifier: Apache-2.0
// datetime_test.c: unit tests of column/datetime.h and column/timezone.h. The answers in the tables are Spark 4.2's.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/random.h"
#include "column/datetime.h"
#include "column/timezone.h"
#include "column/timezone_rule.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct memory memory;
static struct timezone_set *zones;

static int set_up(void **state) {
    (void)state;
    memory_init(&memory, "test", NULL, 0);
    zones = timezone_set_new(&memory);
    return zones ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    timezone_set_free(zones);
    assert_int_equal(memory_used(&memory), 0);
    return 0;
}

static const struct timezone *zone_of(const char *name) {
    const struct timezone *zone = timezone_find(zones, name, strlen(name));
    if (!zone) fail_msg("no zone %s", name);
    return zone;
}

static void test_dates_round_trip(void **state) {
    (void)state;
    int64_t expected = days_from_civil(-9999, 1, 1);
    for (int64_t year = -9999; year <= 9999; year++) {
        for (unsigned month = 1; month <= 12; month++) {
            for (unsigned day = 1; day <= days_in_month(year, month); day++, expected++) {
                assert_true(days_from_civil(year, month, day) == expected);
                struct civil c = civil_from_days(expected);
                assert_true(c.year == year && c.month == month && c.day == day);
            }
        }
    }
    assert_int_equal(days_from_civil(1970, 1, 1), 0);
    assert_int_equal(days_from_civil(2000, 3, 1), 11017);
    char text[DATETIME_TEXT_MAX];
    int32_t limits[] = {INT32_MIN, INT32_MAX, 0, -1, -719529, 2932897};
    for (int64_t i = 0; i < 6 + 73000; i++) {
        int32_t days = i < 6 ? limits[i] : (int32_t)((i - 36500) * 100), back;
        size_t length = print_date(days, text);
        assert_true(length <= DATETIME_TEXT_MAX && parse_date(text, length, &back) && back == days);
    }
}

static void test_parse_date(void **state) {
    (void)state;
    static const struct {
        const char *text, *printed;
    } cases[] = {
        {"1990-01-02T03:04:05.678Z", "1990-01-02"}, {"2020-01-01Tjunk", "2020-01-01"}, {"2020-01-01 junk", "2020-01-01"}, {"2020-01-", NULL},
        {"2020-1", "2020-01-01"}, {"2020", "2020-01-01"}, {"02020-1-1", "2020-01-01"}, {"12345678-1-1", NULL}, {" 2020-01-01 ", "2020-01-01"},
        {"2020-01-01x", NULL}, {"2026-02-30", NULL}, {"2024-02-29", "2024-02-29"}, {"2023-02-29", NULL}, {"-0044-03-15", "-0044-03-15"},
        {"+12345-01-02", "+12345-01-02"}, {"", NULL}, {"-", NULL}, {"202", NULL}, {"2020-13-01", NULL}, {"2020-00-01", NULL}, {"2020-1-0", NULL},
        {"2020-1-123", NULL}, {"2020 ", "2020-01-01"}, {"2020 1", NULL}, {"today", NULL}, {"0000-01-01", "0000-01-01"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int32_t days;
        bool ok = parse_date(cases[i].text, strlen(cases[i].text), &days);
        if (ok != (cases[i].printed != NULL)) fail_msg("%s", cases[i].text);
        if (!ok) continue;
        char text[DATETIME_TEXT_MAX + 1];
        text[print_date(days, text)] = '\0';
        assert_string_equal(text, cases[i].printed);
    }
}

static void test_parse_timestamp(void **state) {
    (void)state;
    static const struct {
        const char *text, *printed;
    } cases[] = {
        {"1990-01-02T03:04:05.678Z", "1990-01-02 03:04:05.678"}, {"1990-01-02T03:04:05.678+02:00", "1990-01-02 01:04:05.678"},
        {"1990-01-02 03:04:05.123456789", "1990-01-02 03:04:05.123456"}, {"1990-01-02", "1990-01-02 00:00:00"}, {"1990", "1990-01-01 00:00:00"},
        {"1990-1-2 3:4:5", "1990-01-02 03:04:05"}, {" 1990-01-02 ", "1990-01-02 00:00:00"}, {"1990-01-02T03:04", "1990-01-02 03:04:00"},
        {"1990-01-02 03:04:05 Europe/Paris", "1990-01-02 02:04:05"}, {"1990-01-02T", NULL}, {"1990-01-02 3", "1990-01-02 03:00:00"},
        {"1990-01-02 3:4+01:00", NULL}, {"1990-01-02 3:4:5+1:0", "1990-01-02 02:04:05"}, {"1990-01-02 3:4:5 PST", "1990-01-02 11:04:05"},
        {"1990-01-02 3:4:5UTC+2", "1990-01-02 01:04:05"}, {"1990-01-02 3:4:5.", "1990-01-02 03:04:05"}, {"1990-01-02 3:4:5.12 z", NULL},
        {"1990-01-02 3:4:5+0230", "1990-01-02 00:34:05"}, {"1990-01-02 3:4:5+01:02:03", "1990-01-02 02:02:02"},
        {"294247-01-10 04:00:54.775807", "+294247-01-10 04:00:54.775807"}, {"294247-01-10 04:00:54.775808", NULL},
        {"-290308-12-21 19:59:05.224192", "-290308-12-21 19:59:05.224192"}, {"-290308-12-21 19:59:05.224191", NULL},
        {"2020-01-01 24:00:00", NULL}, {"2020-01-01 23:59:60", NULL}, {"garbage", NULL}, {"", NULL}, {"2020-01-01 00:00:00 Nowhere/City", NULL},
        {"2021-03-28 02:30:00 Europe/Paris", "2021-03-28 01:30:00"}, {"2021-10-31 02:30:00 Europe/Paris", "2021-10-31 00:30:00"},
        {"1800-01-01 00:00:00 Europe/Paris", "1799-12-31 23:50:39"}, {"2500-07-01 00:00:00 Europe/Paris", "2500-06-30 22:00:00"},
        {"2020-01-01 00:00:00+19:00", NULL}, {"1234567-01-01 00:00:00", NULL}, {"2020-01-01 00:00:00 ../etc/passwd", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t us;
        bool ok = parse_timestamp(cases[i].text, strlen(cases[i].text), zone_of("UTC"), &us);
        if (ok != (cases[i].printed != NULL)) fail_msg("%s", cases[i].text);
        if (!ok) continue;
        char text[DATETIME_TEXT_MAX + 1];
        text[print_timestamp(us, NULL, text)] = '\0';
        assert_string_equal(text, cases[i].printed);
    }
    int64_t us;
    assert_true(parse_timestamp_ntz("1990-01-02T03:04:05.678Z", 24, &us) && us == INT64_C(631249445678000));
    assert_true(parse_timestamp_ntz("2020-01-01 00:00:00 Europe/Paris", 32, &us) && us == INT64_C(1577836800000000));
    assert_true(parse_timestamp("2020-07-01 00:00:00", 19, zone_of("Europe/Paris"), &us) && us == INT64_C(1593554400000000));
    char text[DATETIME_TEXT_MAX];
    assert_int_equal(print_timestamp(us, zone_of("America/New_York"), text), 19);
    assert_memory_equal(text, "2020-06-30 18:00:00", 19);
    const int64_t limits[] = {INT64_MIN, INT64_MAX};
    static const char *const far_zones[] = {"Pacific/Apia", "America/New_York", "+18", "-18", "UTC"};
    for (size_t i = 0; i < 10; i++) {
        const struct timezone *zone = zone_of(far_zones[i / 2]);
        int64_t limit = limits[i % 2];
        assert_true(print_timestamp(limit, zone, text) <= DATETIME_TEXT_MAX);
        assert_true((timezone_to_utc(zone, limit) < 0) == (limit < 0) && (timezone_to_wall(zone, limit) < 0) == (limit < 0));
    }
}

static int64_t at(const char *text) {
    int64_t us;
    assert_true(parse_timestamp_ntz(text, strlen(text), &us));
    return us;
}

static void test_gaps_and_overlaps(void **state) {
    (void)state;
    static const struct {
        const char *zone, *wall, *utc;
    } cases[] = {
        {"Europe/Paris", "2024-03-31 01:59:59.999999", "2024-03-31 00:59:59.999999"},
        {"Europe/Paris", "2024-03-31 02:00:00", "2024-03-31 01:00:00"},  // the gap: 02:00 means 03:00
        {"Europe/Paris", "2024-03-31 02:30:00", "2024-03-31 01:30:00"},
        {"Europe/Paris", "2024-03-31 03:00:00", "2024-03-31 01:00:00"},
        {"Europe/Paris", "2024-10-27 01:59:59", "2024-10-26 23:59:59"},
        {"Europe/Paris", "2024-10-27 02:00:00", "2024-10-27 00:00:00"},  // the overlap: the earlier
        {"Europe/Paris", "2024-10-27 02:59:59", "2024-10-27 00:59:59"},
        {"Europe/Paris", "2024-10-27 03:00:00", "2024-10-27 02:00:00"},
        {"America/New_York", "2024-03-10 02:30:00", "2024-03-10 07:30:00"},
        {"America/New_York", "2024-03-10 03:30:00", "2024-03-10 07:30:00"},
        {"America/New_York", "2024-11-03 01:30:00", "2024-11-03 05:30:00"},
        {"America/New_York", "2024-11-03 02:00:00", "2024-11-03 07:00:00"},
        {"America/New_York", "2345-07-01 12:00:00", "2345-07-01 16:00:00"},
        {"America/New_York", "99999-01-01 12:00:00", "99999-01-01 17:00:00"},
        {"Australia/Sydney", "2150-01-01 12:00:00", "2150-01-01 01:00:00"},
        {"Europe/Dublin", "2100-07-01 12:00:00", "2100-07-01 11:00:00"},
        {"Pacific/Apia", "2011-12-30 12:00:00", "2011-12-30 22:00:00"},  // a day that was not
        {"Asia/Kolkata", "2024-01-01 00:00:00", "2023-12-31 18:30:00"},
        {"+02:30", "2024-01-01 00:00:00", "2023-12-31 21:30:00"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t got = timezone_to_utc(zone_of(cases[i].zone), at(cases[i].wall));
        if (got != at(cases[i].utc)) fail_msg("%s %s: off by %lld s", cases[i].zone, cases[i].wall, (long long)((got - at(cases[i].utc)) / 1000000));
    }
    assert_string_equal(timezone_abbreviation(zone_of("Europe/Paris"), at("2024-07-01")), "CEST");
    assert_string_equal(timezone_abbreviation(zone_of("Europe/Paris"), at("2424-01-01")), "CET");
    assert_string_equal(timezone_name(zone_of("GMT+3")), "GMT+3");
    assert_ptr_equal(zone_of("Europe/Paris"), zone_of("Europe/Paris"));
    static const char *const unknown[] = {"", "europe/paris", "../../etc/passwd", "/etc/localtime", "Europe", "posix/UTC", "UTC+19", "+1:", "zz"};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        if (timezone_find(zones, unknown[i], strlen(unknown[i]))) fail_msg("found %s", unknown[i]);
    }
}

// The C library as the twin: years 1902 to 2500 in several zones.
static void test_zones_against_library(void **state) {
    (void)state;
    static const char *const names[] = {"Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Tehran",
                                        "America/Sao_Paulo", "Pacific/Chatham", "Antarctica/Troll", "America/Nuuk", "Asia/Gaza"};
    struct random r;
    uint64_t seed = (uint64_t)clock_now_us(NULL);
    print_message("seed %llu\n", (unsigned long long)seed);
    random_seed(&r, seed);
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
        const struct timezone *zone = zone_of(names[k]);
        assert_int_equal(setenv("TZ", names[k], 1), 0);
        tzset();
        for (int i = 0; i < 3000; i++) {
            int64_t seconds = (int64_t)random_below(&r, 18000000000) - 2145916800;
            time_t when = (time_t)seconds;
            struct tm parts;
            assert_non_null(localtime_r(&when, &parts));
            int32_t offset = timezone_offset_at(zone, seconds * 1000000 + 5);
            if (offset != parts.tm_gmtoff) fail_msg("%s at %lld: %d, not %ld", names[k], (long long)seconds, offset, parts.tm_gmtoff);
            int64_t wall = timezone_to_wall(zone, seconds * 1000000), back = timezone_to_utc(zone, wall);
            assert_true(back == seconds * 1000000 || timezone_to_wall(zone, back) == wall);
        }
    }
}

static void test_fixed_offsets(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int32_t seconds;
        bool ok;
    } cases[] = {
        {"Z", 0, true}, {"UTC", 0, true}, {"UT", 0, true}, {"GMT", 0, true}, {"+2", 7200, true}, {"-02", -7200, true}, {"+02:30", 9000, true},
        {"-0230", -9000, true}, {"+023015", 9015, true}, {"+02:30:15", 9015, true}, {"+2:30", 9000, true}, {"+02:3", 7380, true}, {"UTC+2", 7200, true},
        {"GMT-05:00", -18000, true}, {"UT+1", 3600, true}, {"+18", 64800, true}, {"+18:01", 0, false}, {"+19", 0, false}, {"", 0, false},
        {"+", 0, false}, {"z", 0, false}, {"utc", 0, false}, {"+02:60", 0, false}, {"+123", 0, false}, {"+02:", 0, false}, {"UTC2", 0, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int32_t seconds;
        bool ok = timezone_fixed_offset(cases[i].text, strlen(cases[i].text), &seconds);
        if (ok != cases[i].ok || (ok && seconds != cases[i].seconds)) fail_msg("%s", cases[i].text);
    }
    struct zone_rule rule;
    assert_true(zone_rule_parse("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", 36, &rule) && rule.standard_offset == 37800 && rule.summer_offset == 39600);
    assert_true(zone_rule_parse("XXX3YYY,J60/-1,365/25:30", 24, &rule) && rule.summer_begins.time == -3600);
    static const char *const bad[] = {"", "X", "CET", "CET-1CEST", "CET-1CEST,M13.1.0,M4.1.0", "CET-1CEST,M3.5.0", "CET-1CEST,M3.5.0,M10.5.0x", "<CET-1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (zone_rule_parse(bad[i], strlen(bad[i]), &rule)) fail_msg("%s", bad[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dates_round_trip), cmocka_unit_test(test_parse_date), cmocka_unit_test(test_parse_timestamp),
        cmocka_unit_test(test_gaps_and_overlaps), cmocka_unit_test(test_zones_against_library), cmocka_unit_test(test_fixed_offsets),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
