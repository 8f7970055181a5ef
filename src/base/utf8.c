// SPDX-License-Identifier: Apache-2.0
// utf8.c: decoding with the well-formed table of the Unicode Standard (3.9, table 3-7): no overlong forms, no surrogates,
// nothing above U+10FFFF. A broken byte is one character, U+FFFD, and decoding goes on behind it.
#include "base/utf8.h"
#include <string.h>
#include <utf8proc.h>

// Length of the well-formed character at s, 0 if it is broken.
static size_t well_formed_length(const uint8_t *s, size_t size_bytes) {
    uint8_t lead = s[0];
    if (lead < 0x80) return 1;
    if (lead < 0xc2 || lead > 0xf4) return 0;
    size_t length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (size_bytes < length) return 0;
    uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (s[1] < low || s[1] > high) return 0;
    for (size_t i = 2; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80) return 0;
    }
    return length;
}

uint32_t utf8_decode(const char *s, size_t size_bytes, size_t *length_bytes) {
    const uint8_t *bytes = (const uint8_t *)s;
    size_t length = well_formed_length(bytes, size_bytes);
    *length_bytes = length ? length : 1;
    switch (length) {
    case 1: return bytes[0];
    case 2: return (uint32_t)(bytes[0] & 0x1f) << 6 | (bytes[1] & 0x3f);
    case 3: return (uint32_t)(bytes[0] & 0x0f) << 12 | (uint32_t)(bytes[1] & 0x3f) << 6 | (bytes[2] & 0x3f);
    case 4:
        return (uint32_t)(bytes[0] & 0x07) << 18 | (uint32_t)(bytes[1] & 0x3f) << 12 | (uint32_t)(bytes[2] & 0x3f) << 6 |
               (bytes[3] & 0x3f);
    default: return 0xfffd;
    }
}

size_t utf8_encode(uint32_t character, char out[4]) {
    if (character > 0x10ffff || (character >= 0xd800 && character < 0xe000)) character = 0xfffd;
    if (character < 0x80) {
        out[0] = (char)character;
        return 1;
    }
    size_t length = character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
    for (size_t i = length - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (character & 0x3f));
        character >>= 6;
    }
    out[0] = (char)((0xf00 >> length & 0xff) | character);
    return length;
}

bool ascii_only(const char *s, size_t size_bytes) {
    uint64_t high = 0;
    size_t i = 0;
    for (; i + 8 <= size_bytes; i += 8) {
        uint64_t word;
        memcpy(&word, s + i, 8);
        high |= word;
    }
    for (; i < size_bytes; i++) high |= (uint8_t)s[i];
    return (high & UINT64_C(0x8080808080808080)) == 0;
}

size_t utf8_length(const char *s, size_t size_bytes) {
    if (ascii_only(s, size_bytes)) return size_bytes;
    size_t count = 0;
    for (size_t i = 0; i < size_bytes; count++) {
        size_t length = 1;
        utf8_decode(s + i, size_bytes - i, &length);
        i += length;
    }
    return count;
}

size_t utf8_offset(const char *s, size_t size_bytes, size_t character_index) {
    size_t i = 0;
    for (; i < size_bytes && character_index > 0; character_index--) {
        size_t length = 1;
        if ((uint8_t)s[i] >= 0x80) utf8_decode(s + i, size_bytes - i, &length);
        i += length;
    }
    return i;
}

bool utf8_valid(const char *s, size_t size_bytes) {
    const uint8_t *bytes = (const uint8_t *)s;
    for (size_t i = 0; i < size_bytes;) {
        if (size_bytes - i >= 8 && ascii_only(s + i, 8)) {
            i += 8;
            continue;
        }
        size_t length = well_formed_length(bytes + i, size_bytes - i);
        if (!length) return false;
        i += length;
    }
    return true;
}

size_t utf8_width(const char *s, size_t size_bytes) {
    if (ascii_only(s, size_bytes)) return size_bytes;
    size_t width = 0;
    for (size_t i = 0; i < size_bytes;) {
        size_t length = 1;
        uint32_t character = utf8_decode(s + i, size_bytes - i, &length);
        int columns = character < 0x80 ? 1 : utf8proc_charwidth((utf8proc_int32_t)character);
        width += columns > 0 ? (size_t)columns : 0;
        i += length;
    }
    return width;
}
