// SPDX-License-Identifier: Apache-2.0
// documents.h: the messages the generator makes. Message n of a seed is always the same bytes: each is made from a random stream of its own,
// seeded by (seed, n), so any range can be made by any worker.
#pragma once
#include "base/buffer.h"
#include "base/random.h"

// One randomuser.me 1.4 user (an element of `results`), about 1.2 KB of JSON. *uuid: its login.uuid, 36 bytes within `out`.
enum status users_write(uint64_t seed, uint64_t n, struct buffer *out, size_t *uuid_offset) WARN_UNUSED;

// One Nexmark event: person, auction or bid (1 : 3 : 46), with the published generator's distributions and ids; event times go up by 100 µs.
enum status nexmark_write(uint64_t seed, uint64_t n, struct buffer *out) WARN_UNUSED;
int64_t nexmark_event_time_us(uint64_t n);

// Breaks the message that was written at out[start…]: cut JSON, other shapes, plain text, nothing. None of them is a user.
enum status junk_write(uint64_t seed, uint64_t n, struct buffer *out, size_t start) WARN_UNUSED;

// What users are made of; users_data.c. Lists are separated by '|'; "text=latin" gives the spelling for e-mail where letters are not Latin.
struct nation {
    const char *code, *country;
    const char *female, *male, *last;
    const char *cities, *states, *streets;
    const char *domains;          // of its own providers
    const char *id_name;          // "" if it has none: id.value is null
    const char *phone, *cell;     // '#' is a digit
    const char *postcode;         // "#####": a number; with letters or 'A' for a letter: text
};
extern const struct nation nations[];
extern const uint32_t nation_count;
