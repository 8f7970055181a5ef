// SPDX-License-Identifier: Apache-2.0
// cast_time.c: casts among DATE, TIMESTAMP and TIMESTAMP_NTZ (in the session's zone), and between TIMESTAMP and numbers (seconds).
#include "cast_rows.h"
#include "column/datetime.h"
#include "column/decimal.h"
#include <math.h>

static const struct timezone *session_zone(const struct cast *c) { return c->eval->session ? c->eval->session->zone : &timezone_utc; }
static void fail_overflow(const struct cast *c, uint32_t row) { cast_fail(c, row, "CAST_OVERFLOW", "the value does not fit the type it is cast to"); }

static void from_date(const struct cast *c) {
    const int32_t *days = c->from->values;
    int64_t *to = c->out->values;
    for (uint32_t i = 0; i < c->rows->count; i++) {
        uint32_t row = rows_at(c->rows, i);
        int64_t wall;
        if (__builtin_mul_overflow((int64_t)days[row], US_PER_DAY, &wall)) {
            fail_overflow(c, row);
            continue;
        }
        to[row] = c->to->id == TYPE_TIMESTAMP ? timezone_to_utc(session_zone(c), wall) : wall;
    }
}

static void among_timestamps(const struct cast *c) {
    const int64_t *from = c->from->values;
    bool from_instant = c->from->type->id == TYPE_TIMESTAMP;
    const struct timezone *zone = session_zone(c);
    for (uint32_t i = 0; i < c->rows->count; i++) {
        uint32_t row = rows_at(c->rows, i);
        int64_t wall = from_instant ? timezone_to_wall(zone, from[row]) : from[row];
        if (c->to->id == TYPE_DATE) ((int32_t *)c->out->values)[row] = (int32_t)floor_div(wall, US_PER_DAY);
        else ((int64_t *)c->out->values)[row] = from_instant ? wall : timezone_to_utc(zone, wall);
    }
}

static void timestamp_to_number(const struct cast *c) {
    const int64_t *from = c->from->values;
    for (uint32_t i = 0; i < c->rows->count; i++) {
        uint32_t row = rows_at(c->rows, i);
        int64_t us = from[row];
        switch (c->to->id) {
        case TYPE_FLOAT: ((float *)c->out->values)[row] = (float)((double)us / 1e6); break;
        case TYPE_DOUBLE: ((double *)c->out->values)[row] = (double)us / 1e6; break;
        case TYPE_DECIMAL:
            if (!decimal_rescale(us, 6, c->to->scale, c->to->precision, &((decimal *)c->out->values)[row]))
                cast_fail(c, row, "NUMERIC_VALUE_OUT_OF_RANGE.WITH_SUGGESTION", "the value does not fit the DECIMAL type it is cast to");
            break;
        default:
            if (!cast_put_integer(c->out, row, floor_div(us, US_PER_SECOND))) fail_overflow(c, row);
        }
    }
}

// Seconds beyond the range stop at its ends, as Java's TimeUnit does.
static int64_t saturated_us(int64_t seconds) {
    int64_t us;
    if (__builtin_mul_overflow(seconds, US_PER_SECOND, &us)) return seconds < 0 ? INT64_MIN : INT64_MAX;
    return us;
}

static void number_to_timestamp(const struct cast *c) {
    int64_t *to = c->out->values;
    enum type_id f = c->from->type->id;
    for (uint32_t i = 0; i < c->rows->count; i++) {
        uint32_t row = rows_at(c->rows, i);
        if (f == TYPE_DECIMAL) {
            decimal scaled, value = ((const decimal *)c->from->values)[row];
            bool fits = !__builtin_mul_overflow(value, (decimal)US_PER_SECOND, &scaled) && decimal_to_int64(scaled, c->from->type->scale, &to[row]);
            if (!fits) fail_overflow(c, row);
        } else if (f == TYPE_FLOAT || f == TYPE_DOUBLE) {
            double value = f == TYPE_FLOAT ? (double)((const float *)c->from->values)[row] : ((const double *)c->from->values)[row];
            if (!isfinite(value)) {
                cast_fail(c, row, "CAST_INVALID_INPUT", "NaN and infinities are no timestamps");
                continue;
            }
            double us = value * 1e6;
            if (us >= -9223372036854775808.0 && us < 9223372036854775808.0) to[row] = (int64_t)us;
            else fail_overflow(c, row);
        } else {
            to[row] = saturated_us(cast_integer_at(c->from, row));
        }
    }
}

bool cast_time(const struct cast *c) {
    enum type_id f = c->from->type->id, t = c->to->id;
    if (f == TYPE_DATE && (t == TYPE_TIMESTAMP || t == TYPE_TIMESTAMP_NTZ)) return from_date(c), true;
    bool from_timestamp = f == TYPE_TIMESTAMP || f == TYPE_TIMESTAMP_NTZ;
    if (from_timestamp && (t == TYPE_DATE || t == TYPE_TIMESTAMP || t == TYPE_TIMESTAMP_NTZ)) return among_timestamps(c), true;
    if (f == TYPE_TIMESTAMP && type_is_numeric(c->to)) return timestamp_to_number(c), true;
    if (t == TYPE_TIMESTAMP && type_is_numeric(c->from->type)) return number_to_timestamp(c), true;
    return false;
}
