// SPDX-License-Identifier: Apache-2.0
// json_skip_test.c: every scanner variant of this processor agrees with the scalar one, on random documents, broken in random places, at
// every length and alignment, in buffers that end where the document ends. Usage: json_skip_test [seed]
#include "json_support.h"
#include "base/random.h"
#include "json/scan.h"

static uint64_t seed = 20240131;

static void add(struct buffer *b, const char *text) { assert_int_equal(buffer_append_string(b, text), STATUS_OK); }

static void add_string(struct random *r, struct buffer *b) {
    static const char *const parts[] = {"a", "plain text of some length", "\\n", "\\u00e9", "\\ud83d\\ude00", "\303\251", "\360\237\230\202", "\\\"", "\\\\", "/", "{[:,]}", " ", "\177", "'",
                                        "a much longer run of plain bytes that does not fit into one register, not even into one of sixty-four bytes"};
    add(b, "\"");
    for (uint64_t n = random_below(r, 6); n; n--) add(b, parts[random_below(r, sizeof parts / sizeof parts[0])]);
    add(b, "\"");
}

static void add_blanks(struct random *r, struct buffer *b) {
    static const char *const blanks[] = {"", "", "", " ", "\n", "\t  ", "\r\n"};
    add(b, blanks[random_below(r, sizeof blanks / sizeof blanks[0])]);
}

static void add_value(struct random *r, struct buffer *b, unsigned depth) {
    static const char *const scalars[] = {"0", "-1", "12345", "1.5", "-0.25e-7", "1E9", "true", "false", "null", "123456789012345678901234567890"};
    add_blanks(r, b);
    uint64_t kind = random_below(r, depth > 6 ? 2 : 4);
    if (kind == 0) {
        add(b, scalars[random_below(r, sizeof scalars / sizeof scalars[0])]);
    } else if (kind == 1) {
        add_string(r, b);
    } else {
        add(b, kind == 2 ? "[" : "{");
        for (uint64_t n = random_below(r, 5), i = 0; i < n; i++) {
            if (i) add(b, ",");
            add_blanks(r, b);
            if (kind == 3) add_string(r, b), add_blanks(r, b), add(b, ":");
            add_value(r, b, depth + 1);
        }
        add_blanks(r, b);
        add(b, kind == 2 ? "]" : "}");
    }
    add_blanks(r, b);
}

// One verdict for a text: end of the value, or failure. The text is copied to the very end of a heap block.
static bool verdict(const struct json_scanner *scanner, const char *text, size_t size_bytes, uint32_t flags, size_t *end) {
    struct json_cursor c;
    char *copy = malloc(size_bytes ? size_bytes : 1);
    assert_non_null(copy);
    memcpy(copy, text, size_bytes);
    json_cursor_init(&c, copy, size_bytes, flags, 0, scanner);
    bool valid = json_skip_value(&c);
    *end = valid ? (size_t)(c.next - c.begin) : 0;
    free(copy);
    return valid;
}

static void compare_all(const char *text, size_t size_bytes, uint32_t flags, bool must_be_valid) {
    const struct json_scanner *scanners[8];
    size_t count = json_scanner_list(scanners, 8), expected_end, end;
    bool expected = verdict(scanners[0], text, size_bytes, flags, &expected_end);
    if (must_be_valid) assert_true(expected);
    for (size_t i = 1; i < count; i++) {
        bool got = verdict(scanners[i], text, size_bytes, flags, &end);
        if (got != expected || end != expected_end)
            fail_msg("seed %llu: %s says %d at %zu, scalar %d at %zu: %.*s", (unsigned long long)seed, scanners[i]->name, got, end, expected, expected_end, (int)size_bytes, text);
    }
}

static void random_documents(void **state) {
    (void)state;
    struct world w;
    struct random r;
    size_t bytes = 0;
    world_init(&w);
    random_seed(&r, seed);
    for (int i = 0; i < 4000; i++) {
        buffer_clear(&w.text);
        add_value(&r, &w.text, 0);
        bytes += w.text.size_bytes;
        char *text = (char *)w.text.data;
        compare_all(text, w.text.size_bytes, JSON_FLAG_STRICT_UTF8, true);
        for (int k = 0; k < 4; k++) {
            size_t at = (size_t)random_below(&r, w.text.size_bytes);
            char kept = text[at];
            text[at] = k & 1 ? "\"\\\n{}[]:,'\303\377 x0"[random_below(&r, 15)] : (char)random_below(&r, 256);
            compare_all(text, w.text.size_bytes, k & 2 ? JSON_FLAG_STRICT_UTF8 : 0, false);
            text[at] = kept;
            compare_all(text, at, 0, false);
        }
    }
    assert_true(bytes > 100000);
    world_release(&w);
}

// The special byte at each place of strings of each length.
static void every_place(void **state) {
    (void)state;
    static const char specials[] = {'"', '\\', '\n', '\037', '\303', '\177', ' '};
    char text[260];
    for (size_t length = 1; length < 200; length++)
        for (size_t k = 0; k < sizeof specials; k++)
            for (size_t at = length > 70 ? length - 70 : 0; at < length; at++) {
                memset(text, 'a', sizeof text);
                text[0] = '"';
                text[1 + at] = specials[k];
                text[1 + length] = '"';
                compare_all(text, length + 2, JSON_FLAG_STRICT_UTF8, specials[k] == ' ' || specials[k] == '\177');
                compare_all(text, length + 1, 0, false);
            }
}

static void finds_agree(void **state) {
    (void)state;
    const struct json_scanner *scanners[8];
    size_t count = json_scanner_list(scanners, 8);
    struct random r;
    random_seed(&r, seed);
    char *text = malloc(300);
    assert_non_null(text);
    for (int i = 0; i < 20000; i++) {
        size_t size_bytes = (size_t)random_below(&r, 300), begin = size_bytes ? (size_t)random_below(&r, size_bytes) : 0;
        char *block = text + 300 - size_bytes;
        for (size_t k = 0; k < size_bytes; k++) block[k] = (char)('a' + random_below(&r, 20));
        for (uint64_t n = random_below(&r, 3); n && size_bytes; n--) block[random_below(&r, size_bytes)] = (char)random_below(&r, 256);
        uint32_t expected_high = 0;
        const char *expected = scanners[0]->find_special(block, block + begin, block + size_bytes, &expected_high);
        for (size_t k = 1; k < count; k++) {
            uint32_t high = 0;
            assert_ptr_equal(scanners[k]->find_special(block, block + begin, block + size_bytes, &high), expected);
            assert_int_equal(high != 0, expected_high != 0);
        }
    }
    free(text);
}

int main(int argc, char **argv) {
    if (argc > 1) seed = strtoull(argv[1], NULL, 10);
    printf("seed %llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_documents), cmocka_unit_test(every_place), cmocka_unit_test(finds_agree)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
