// SPDX-License-Identifier: Apache-2.0
// datetime_items.h: what a datetime pattern is compiled into; between datetime_pattern.c, which makes and prints, and datetime_read.c.
//
//     yyyyMMdd[ HH]   →   NUMBER year 4–19, 4 digits follow │ NUMBER month 2 │ NUMBER day 2 │ OPTIONAL (2 items) │ LITERAL " " │ NUMBER hour 2
//
// Digits that touch: the first number of a run gives up as many digits as the fixed ones after it need (`digits_after`).
#pragma once
#include "datetime_pattern.h"

enum item_kind { ITEM_LITERAL, ITEM_NUMBER, ITEM_TWO_DIGIT_YEAR, ITEM_FRACTION, ITEM_TEXT, ITEM_OFFSET, ITEM_GMT_OFFSET, ITEM_ZONE_ID, ITEM_ZONE_TEXT, ITEM_OPTIONAL };
enum date_field {
    FIELD_ERA, FIELD_YEAR, FIELD_YEAR_OF_ERA, FIELD_QUARTER, FIELD_MONTH, FIELD_DAY, FIELD_DAY_OF_YEAR, FIELD_WEEKDAY, FIELD_WEEK_PLACE, FIELD_AMPM,
    FIELD_HOUR, FIELD_CLOCK_HOUR, FIELD_HOUR_OF_AMPM, FIELD_CLOCK_HOUR_OF_AMPM, FIELD_MINUTE, FIELD_SECOND, FIELD_NANO,
};
enum { FIELD_COUNT = FIELD_NANO + 1 };
enum number_sign { SIGN_NORMAL, SIGN_NONE, SIGN_EXCEEDS };  // minus allowed; no sign; minus, and a plus where there are more than `least` digits
// Hours and minutes of an offset: the minutes and seconds that may be missing are lower case.
enum offset_form { OFFSET_HHmm, OFFSET_HHMM, OFFSET_HH_MM, OFFSET_HHMMss, OFFSET_HH_MM_ss };

struct item {
    uint8_t kind;
    uint8_t field;
    uint8_t least, most;       // digits
    uint8_t sign;
    uint8_t form;              // OFFSET
    bool is_full;              // TEXT, GMT_OFFSET, ZONE_TEXT: the long form
    uint16_t digits_after;
    uint32_t begin, size;      // LITERAL: bytes of `literals`; OPTIONAL: size is the number of items inside
    const char *none;          // OFFSET: what stands for UTC
};

struct datetime_pattern {
    struct item *items;
    uint32_t item_count;
    char *literals;
    size_t text_max;
};

extern const char *const month_names[12], *const weekday_names[7];  // January …; Monday …
