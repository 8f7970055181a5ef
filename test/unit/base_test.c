// SPDX-License-Identifier: Apache-2.0
// base_test.c: unit tests of src/base. Random tests print their seed; LEAT_TEST_SEED sets it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/bitmap.h"
#include "base/buffer.h"
#include "base/checksum.h"
#include "base/clock.h"
#include "base/coding.h"
#include "base/condition.h"
#include "base/failpoint.h"
#include "base/files.h"
#include "base/log.h"
#include "base/map.h"
#include "base/random.h"
#include "base/status.h"
#include "base/threads.h"
#include "base/utf8.h"
#include "base/vector.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct random seeded(void) {
    const char *text = getenv("LEAT_TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : (uint64_t)clock_now_us(NULL);
    print_message("seed %llu\n", (unsigned long long)seed);
    struct random r;
    random_seed(&r, seed);
    return r;
}

static void test_conditions(void **state) {
    (void)state;
    assert_string_equal(condition_sqlstate("DIVIDE_BY_ZERO"), "22012");
    assert_string_equal(condition_sqlstate("UNRESOLVED_COLUMN.WITH_SUGGESTION"), "42703");
    assert_string_equal(condition_sqlstate("STREAMING_OUTPUT_MODE.UNSUPPORTED_OPERATION"), "42KDE");
    assert_string_equal(condition_sqlstate("INVALID_FLOW_QUERY_TYPE.BATCH_RELATION_FOR_STREAMING_TABLE"), "42000");
    assert_string_equal(condition_sqlstate("CAST_INVALID_INPUT"), "22018");
    assert_string_equal(condition_sqlstate("NO_SUCH.THING"), "");
    assert_string_equal(condition_sqlstate(""), "");
    assert_string_equal(condition_sqlstate(NULL), "");
}

static void test_errors(void **state) {
    (void)state;
    struct error e;
    assert_int_equal(error_set(&e, STATUS_DATA, "CAST_OVERFLOW", "no %d", 1), STATUS_DATA);
    assert_string_equal(e.message, "no 1");
    assert_string_equal(e.sqlstate, "22003");
    error_set_value(&e, "a\nb\x01\xff\xc3\xa9", 7);
    assert_string_equal(e.value, "a\\nb\\x01\\xFF\xc3\xa9");
    char large[600];
    memset(large, 'x', sizeof large);
    error_set_value(&e, large, sizeof large);
    assert_true(strlen(e.value) < sizeof e.value);
    assert_non_null(strstr(e.value, "…"));
    for (size_t i = 0; i + 2 < sizeof large; i += 2) memcpy(large + i, "é", 2);
    large[598] = '\0';
    error_set_label(&e, "x%s", large);
    assert_true(utf8_valid(e.label, strlen(e.label)));
    assert_int_equal(error_set(NULL, STATUS_IO, NULL, "x"), STATUS_IO);
    assert_int_equal(error_set_errno(&e, 2, "cannot open %s", "f"), STATUS_IO);
    assert_string_equal(e.message, "cannot open f: No such file or directory");
}

static void test_memory(void **state) {
    (void)state;
    struct memory root, child;
    memory_init(&root, "root", NULL, 1000);
    memory_init(&child, "child", &root, 0);
    void *a = memory_alloc(&child, 600);
    assert_non_null(a);
    assert_null(memory_alloc(&child, 500));  // the parent's limit
    assert_int_equal(memory_used(&child), 600);
    assert_null(memory_resize(&child, a, 600, 1001));
    a = memory_resize(&child, a, 600, 1000);
    assert_non_null(a);
    a = memory_resize(&child, a, 1000, 10);
    assert_int_equal(memory_used(&root), 10);
    assert_int_equal(root.peak_bytes, 1000);
    memory_free(&child, a, 10);
    child.fail_countdown = 2;
    void *b = memory_alloc(&child, 1);
    assert_non_null(b);
    assert_null(memory_alloc(&child, 1));
    assert_null(memory_alloc(&child, 1));
    memory_free(&child, b, 1);
    assert_int_equal(memory_used(&root), 0);
}

static void test_arena(void **state) {
    (void)state;
    struct random r = seeded();
    struct memory m;
    memory_init(&m, "test", NULL, 0);
    struct arena a;
    arena_init(&a, &m);
    for (int round = 0; round < 3; round++) {
        uint8_t *last = NULL;
        size_t last_size = 0;
        for (int i = 0; i < 2000; i++) {
            size_t alignment = (size_t)1 << random_below(&r, 7), size = random_below(&r, i % 100 ? 300 : 100000);
            uint8_t *p = arena_alloc_aligned(&a, size, alignment);
            assert_non_null(p);
            assert_int_equal((uintptr_t)p % alignment, 0);
            memset(p, i & 0xff, size);
            if (last && last_size) assert_int_equal(last[last_size - 1], (i - 1) & 0xff);
            last = p;
            last_size = size;
        }
        assert_int_equal(a.used_bytes, memory_used(&m));
        arena_reset(&a);
        assert_true(a.used_bytes <= 256 * 1024);
    }
    assert_string_equal(arena_printf(&a, "%s-%d", "x", 7), "x-7");
    assert_string_equal(arena_strndup(&a, "hello", 2), "he");
    assert_null(arena_alloc_array(&a, SIZE_MAX / 2, 16));
    assert_null(arena_alloc(&a, SIZE_MAX - 5));
    arena_release(&a);
    assert_int_equal(memory_used(&m), 0);
    arena_alloc(&a, 1 << 20);  // a large first block
    assert_non_null(arena_alloc(&a, 10));
    arena_release(&a);
    assert_int_equal(memory_used(&m), 0);
}

// Runs `use` with the n-th allocation failing, for every n until it succeeds; nothing may be left behind.
static void fail_each_allocation(enum status (*use)(struct memory *m)) {
    for (int64_t n = 1;; n++) {
        struct memory m;
        memory_init(&m, "test", NULL, 0);
        m.fail_countdown = n;
        enum status status = use(&m);
        assert_int_equal(memory_used(&m), 0);
        if (status == STATUS_OK) {
            assert_true(n > 2);
            return;
        }
        assert_int_equal(status, STATUS_NO_MEMORY);
    }
}

static enum status use_arena(struct memory *m) {
    struct arena a;
    arena_init(&a, m);
    enum status status = STATUS_OK;
    for (int i = 0; i < 3000 && status == STATUS_OK; i++) {
        if (!arena_alloc(&a, (size_t)i)) status = STATUS_NO_MEMORY;
    }
    arena_release(&a);
    return status;
}

static enum status use_buffer(struct memory *m) {
    struct buffer *b = buffer_new(m, 10);
    if (!b) return STATUS_NO_MEMORY;
    enum status status = STATUS_OK;
    for (int i = 0; i < 1000 && status == STATUS_OK; i++) status = buffer_printf(b, "line %d of many, some of them longer than others\n", i);
    buffer_unref(b);
    return status;
}

static enum status use_vector(struct memory *m) {
    struct vector v;
    vector_init(&v, m, sizeof(int));
    enum status status = STATUS_OK;
    for (int i = 0; i < 1000 && status == STATUS_OK; i++) status = vector_push(&v, &i);
    for (size_t i = 0; i < v.count; i++) assert_int_equal(*(int *)vector_at(&v, i), i);
    vector_release(&v);
    return status;
}

static enum status use_map(struct memory *m) {
    struct map map;
    map_init(&map, m, true);
    enum status status = STATUS_OK;
    char key[32];
    intptr_t set = 0;
    for (; set < 300 && status == STATUS_OK; set++) {
        snprintf(key, sizeof key, "Key%d", (int)set);
        status = map_set(&map, key, (void *)(set + 1));
    }
    if (status != STATUS_OK) set--;
    assert_int_equal(map.count, set);
    for (intptr_t i = 0; i < set; i++) {
        snprintf(key, sizeof key, "kEY%d", (int)i);
        assert_int_equal((intptr_t)map_get(&map, key), i + 1);
    }
    map_release(&map);
    return status;
}

static void test_failing_allocations(void **state) {
    (void)state;
    fail_each_allocation(use_arena);
    fail_each_allocation(use_buffer);
    fail_each_allocation(use_vector);
    fail_each_allocation(use_map);
}

static void test_map_against_list(void **state) {
    (void)state;
    struct random r = seeded();
    struct memory m;
    memory_init(&m, "test", NULL, 0);
    struct map map;
    map_init(&map, &m, false);
    bool present[200] = {0};
    for (int i = 0; i < 20000; i++) {
        unsigned k = (unsigned)random_below(&r, 200);
        char key[16];
        snprintf(key, sizeof key, "k%u", k);
        assert_int_equal(map_has(&map, key), present[k]);
        if (random_below(&r, 2)) {
            assert_int_equal(map_set(&map, key, &present[k]), STATUS_OK);
            present[k] = true;
        } else {
            void *removed = map_remove(&map, key);
            assert_ptr_equal(removed, present[k] ? &present[k] : NULL);
            present[k] = false;
        }
    }
    size_t live = 0;
    for (int k = 0; k < 200; k++) live += present[k];
    assert_int_equal(map.count, live);
    map_release(&map);
    assert_int_equal(memory_used(&m), 0);
}

static void test_coding(void **state) {
    (void)state;
    struct random r = seeded();
    struct memory m;
    memory_init(&m, "test", NULL, 0);
    struct buffer b;
    buffer_init(&b, &m);
    uint64_t values[500];
    for (int i = 0; i < 500; i++) {
        values[i] = random_next(&r) >> random_below(&r, 64);
        assert_int_equal(write_varint(&b, values[i]), STATUS_OK);
        assert_int_equal(write_signed(&b, (int64_t)values[i]), STATUS_OK);
        assert_int_equal(write_fixed32(&b, (uint32_t)values[i]), STATUS_OK);
        assert_int_equal(write_fixed64(&b, values[i]), STATUS_OK);
        assert_int_equal(write_bytes(&b, &values[i], (size_t)i % 9), STATUS_OK);
    }
    struct reader reader = reader_of(b.data, b.size_bytes);
    for (int i = 0; i < 500; i++) {
        size_t size;
        assert_true(read_varint(&reader) == values[i]);
        assert_true(read_signed(&reader) == (int64_t)values[i]);
        assert_true(read_fixed32(&reader) == (uint32_t)values[i]);
        assert_true(read_fixed64(&reader) == values[i]);
        assert_memory_equal(read_bytes(&reader, &size), &values[i], (size_t)i % 9);
        assert_int_equal(size, i % 9);
    }
    assert_false(reader.failed);
    assert_true(reader.next == reader.end);
    read_byte(&reader);
    assert_true(reader.failed);
    // Any cut and any junk ends in `failed`, never beyond the end.
    for (int i = 0; i < 2000; i++) {
        uint8_t junk[16];
        random_system(junk, sizeof junk);
        struct reader jr = reader_of(junk, random_below(&r, 17));
        while (!jr.failed && jr.next < jr.end) {
            size_t size;
            if (random_below(&r, 2)) read_varint(&jr);
            else read_bytes(&jr, &size);
        }
        assert_true(jr.next <= jr.end);
    }
    struct reader padded = reader_of("\x80\x00", 2);
    read_varint(&padded);
    assert_true(padded.failed);
    buffer_release(&b);
}

static void test_random(void **state) {
    (void)state;
    struct random r;
    random_seed(&r, 42);
    assert_true(random_next(&r) == UINT64_C(1546998764402558742));  // the published generator, seeded with splitmix64(42)
    assert_true(random_next(&r) == UINT64_C(6990951692964543102));
    for (int i = 0; i < 1000; i++) {
        assert_true(random_below(&r, 7) < 7);
        double d = random_double(&r);
        assert_true(d >= 0 && d < 1);
    }
    uint64_t key[2] = {1, 2}, other[2] = {2, 1};
    assert_true(random_keyed(key, 2) == random_keyed(key, 2));
    assert_true(random_keyed(key, 2) != random_keyed(other, 2));
    assert_true(random_keyed(key, 1) != random_keyed(key, 2));
    assert_true(checksum64("", 0, 0) == UINT64_C(0x2d06800538d394c2));  // XXH3's published value
}

static void test_utf8(void **state) {
    (void)state;
    char out[4];
    size_t length;
    for (uint32_t c = 1; c < 0x110000; c++) {
        if (c >= 0xd800 && c < 0xe000) continue;
        size_t size = utf8_encode(c, out);
        assert_true(utf8_decode(out, size, &length) == c && length == size && utf8_valid(out, size));
    }
    assert_int_equal(utf8_encode(0xd800, out), 3);
    assert_int_equal(utf8_decode("\xc0\x80", 2, &length), 0xfffd);
    assert_int_equal(length, 1);
    assert_false(utf8_valid("\xed\xa0\x80", 3));
    assert_false(utf8_valid("\xf4\x90\x80\x80", 4));
    assert_false(utf8_valid("\xe2\x82", 2));
    assert_int_equal(utf8_length("né€\xff", 7), 4);
    assert_int_equal(utf8_offset("né€x", 7, 2), 3);
    assert_int_equal(utf8_offset("ab", 2, 9), 2);
    assert_int_equal(utf8_width("日本x", 7), 5);
    assert_int_equal(utf8_width("e\xcc\x81", 3), 1);
    assert_true(ascii_only("abcdefghij", 10));
    assert_false(ascii_only("abcdefghi\x80", 10));
}

static void test_bitmap(void **state) {
    (void)state;
    uint64_t bits[3];
    bitmap_fill(bits, 130, false);
    bitmap_set(bits, 129);
    bitmap_put(bits, 64, true);
    assert_int_equal(bitmap_count(bits, 130), 2);
    assert_int_equal(bitmap_count(bits, 129), 1);
    bitmap_clear(bits, 64);
    assert_false(bitmap_get(bits, 64));
}

static void test_files(void **state) {
    (void)state;
    char folder[] = "/tmp/leat-base-test-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char path[512], inner[256];
    snprintf(inner, sizeof inner, "%s/a/b/c", folder);
    snprintf(path, sizeof path, "%s/a/b/c/file", folder);
    struct error e;
    struct memory m;
    memory_init(&m, "test", NULL, 0);
    struct buffer b;
    buffer_init(&b, &m);
    assert_int_equal(folder_make(inner, 0700, &e), STATUS_OK);
    assert_int_equal(folder_make(inner, 0700, &e), STATUS_OK);
    assert_int_equal(file_read_all(path, 100, &b, &e), STATUS_NOT_FOUND);
    assert_int_equal(file_replace(path, "one", 3, &e), STATUS_OK);
    assert_int_equal(file_replace(path, "second", 6, &e), STATUS_OK);
    assert_int_equal(file_read_all(path, 100, &b, &e), STATUS_OK);
    assert_int_equal(b.size_bytes, 6);
    assert_memory_equal(b.data, "second", 6);
    assert_int_equal(file_read_all(path, 5, &b, &e), STATUS_LIMIT);
    assert_int_equal(folder_make(path, 0700, &e), STATUS_IO);
    int fd, second;
    pid_t owner;
    snprintf(path, sizeof path, "%s/lock", folder);
    assert_int_equal(file_lock(path, &fd, &owner, &e), STATUS_OK);
    assert_int_equal(file_lock(path, &second, &owner, &e), STATUS_CONFLICT);
    assert_int_equal(owner, getpid());
    close(fd);
    // A link is removed, what it leads to stays.
    char kept[] = "/tmp/leat-base-kept-XXXXXX", kept_file[64];
    assert_non_null(mkdtemp(kept));
    snprintf(kept_file, sizeof kept_file, "%s/file", kept);
    assert_int_equal(file_replace(kept_file, "x", 1, &e), STATUS_OK);
    snprintf(path, sizeof path, "%s/link", inner);
    assert_int_equal(symlink(kept, path), 0);
    assert_int_equal(folder_remove(folder, &e), STATUS_OK);
    assert_true(file_exists(kept_file));
    assert_int_equal(folder_remove(kept, &e), STATUS_OK);
    assert_false(file_exists(folder));
    assert_int_equal(folder_remove(folder, &e), STATUS_OK);
    buffer_release(&b);
    assert_int_equal(failpoint("file.sync", &e), STATUS_OK);
}

static void count_up(void *context, uint32_t worker_index) {
    _Atomic uint64_t *sums = context;
    for (int i = 0; i < 1000; i++) atomic_fetch_add(&sums[worker_index], 1);
}

static void test_crew(void **state) {
    (void)state;
    struct memory m;
    memory_init(&m, "test", NULL, 0);
    struct crew c;
    assert_int_equal(crew_init(&c, &m, 4, NULL), STATUS_OK);
    _Atomic uint64_t sums[4] = {0};
    for (int i = 0; i < 100; i++) crew_run(&c, count_up, sums);
    for (int i = 0; i < 4; i++) assert_int_equal(sums[i], 100000);
    crew_release(&c);
    assert_int_equal(memory_used(&m), 0);
    m.fail_countdown = 3;
    struct error e;
    assert_int_equal(crew_init(&c, &m, 4, &e), STATUS_NO_MEMORY);
    assert_int_equal(memory_used(&m), 0);
    struct notify n;
    assert_int_equal(notify_init(&n, &e), STATUS_OK);
    assert_false(notify_wait(&n, 1000));
    notify_raise(&n);
    notify_raise(&n);
    assert_true(notify_wait(&n, -1));
    assert_false(notify_wait(&n, 0));
    notify_release(&n);
}

static void test_log(void **state) {
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct log log = {.level = LOG_INFO, .json = true, .fd = ends[1]};
    log_write(&log, LOG_WARN, "a \"b\"\n%s", "c");
    log_write(&log, LOG_DEBUG, "not written");
    log.json = false;
    struct error e;
    error_set(&e, STATUS_DATA, "DIVIDE_BY_ZERO", "division by zero");
    error_set_hint(&e, "use try_divide");
    log_error(&log, LOG_ERROR, &e);
    char text[1024];
    ssize_t got = read(ends[0], text, sizeof text - 1);
    assert_true(got > 0);
    text[got] = '\0';
    assert_non_null(strstr(text, "\"level\":\"warn\",\"message\":\"a \\\"b\\\"\\u000ac\"}\n"));
    assert_non_null(strstr(text, "error[DIVIDE_BY_ZERO]: division by zero (SQLSTATE 22012)\n  = help: use try_divide\n"));
    assert_null(strstr(text, "not written"));
    close(ends[0]);
    close(ends[1]);
    struct clock c = {.is_virtual = true, .virtual_us = 7};
    assert_int_equal(clock_now_us(&c), 7);
    assert_true(clock_monotonic_us() > 0 && clock_cpu_us() >= 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conditions), cmocka_unit_test(test_errors), cmocka_unit_test(test_memory), cmocka_unit_test(test_arena),
        cmocka_unit_test(test_failing_allocations), cmocka_unit_test(test_map_against_list), cmocka_unit_test(test_coding),
        cmocka_unit_test(test_random), cmocka_unit_test(test_utf8), cmocka_unit_test(test_bitmap), cmocka_unit_test(test_files),
        cmocka_unit_test(test_crew), cmocka_unit_test(test_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
