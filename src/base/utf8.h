// SPDX-License-Identifier: Apache-2.0
// utf8.h: characters of UTF-8 text. A "character" is a code point, as in Spark. Invalid bytes count as one character each and
// decode to U+FFFD, so that no function fails on broken text.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Decodes the character at s (size_bytes > 0) and tells its length in bytes (1–4).
uint32_t utf8_decode(const char *s, size_t size_bytes, size_t *length_bytes);
// Writes 1–4 bytes; U+FFFD for surrogates and values above U+10FFFF.
size_t utf8_encode(uint32_t character, char out[4]);
size_t utf8_length(const char *s, size_t size_bytes);  // in characters
// Byte offset of the character with the given index, or size_bytes if there are fewer.
size_t utf8_offset(const char *s, size_t size_bytes, size_t character_index);
bool utf8_valid(const char *s, size_t size_bytes);
bool ascii_only(const char *s, size_t size_bytes);
// Columns of a terminal: East Asian wide and full-width count two, combining marks none.
size_t utf8_width(const char *s, size_t size_bytes);
