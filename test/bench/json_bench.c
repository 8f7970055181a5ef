// SPDX-License-Identifier: Apache-2.0
// json_bench.c: documents per second of json_read_column over a Nexmark-like set in memory, one thread. Prints a table; a tool, not a test.
//
// usage: json_bench [documents]     The mix is Nexmark's: of 50 events 1 person, 3 auctions, 46 bids, about 400 bytes each.
#include "base/random.h"
#include "column/type_text.h"
#include "json/json.h"
#include "json/scan.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const char schema_text[] =
    "event_type INT, person STRUCT<id:BIGINT,name:STRING,emailAddress:STRING,creditCard:STRING,city:STRING,state:STRING,dateTime:TIMESTAMP,extra:STRING>, "
    "auction STRUCT<id:BIGINT,itemName:STRING,description:STRING,initialBid:BIGINT,reserve:BIGINT,dateTime:TIMESTAMP,expires:TIMESTAMP,seller:BIGINT,category:BIGINT,extra:STRING>, "
    "bid STRUCT<auction:BIGINT,bidder:BIGINT,price:BIGINT,channel:STRING,url:STRING,dateTime:TIMESTAMP,extra:STRING>";

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static size_t letters(struct random *r, char *out, size_t count) {
    for (size_t i = 0; i < count; i++) out[i] = (char)('a' + random_below(r, 26));
    return count;
}

static int event(struct random *r, unsigned i, char *out, size_t capacity) {
    char extra[400], date[40];
    extra[letters(r, extra, 150 + random_below(r, 120))] = 0;
    snprintf(date, sizeof date, "2024-01-%02u %02u:%02u:%02u.%03u", 1 + i / 500000 % 28, i / 36000 % 24, i / 600 % 60, i / 10 % 60, i % 1000);
    unsigned long a = random_below(r, 10000000), b = random_below(r, 1000000), p = random_below(r, 100000000);
    if (i % 50 == 0)
        return snprintf(out, capacity,
                        "{\"event_type\":0,\"person\":{\"id\":%lu,\"name\":\"walter %.6s\",\"emailAddress\":\"%.8s@%.5s.com\",\"creditCard\":\"1234 5678 9012 3456\","
                        "\"city\":\"phoenix\",\"state\":\"AZ\",\"dateTime\":\"%s\",\"extra\":\"%s\"},\"auction\":null,\"bid\":null}",
                        a, extra, extra + 9, extra + 20, date, extra);
    if (i % 50 < 4)
        return snprintf(out, capacity,
                        "{\"event_type\":1,\"person\":null,\"auction\":{\"id\":%lu,\"itemName\":\"%.18s\",\"description\":\"%.70s\",\"initialBid\":%lu,\"reserve\":%lu,"
                        "\"dateTime\":\"%s\",\"expires\":\"%s\",\"seller\":%lu,\"category\":%lu,\"extra\":\"%s\"},\"bid\":null}",
                        a, extra, extra + 9, p, p + 7, date, date, b, b % 20, extra);
    return snprintf(out, capacity,
                    "{\"event_type\":2,\"person\":null,\"auction\":null,\"bid\":{\"auction\":%lu,\"bidder\":%lu,\"price\":%lu,\"channel\":\"channel-%lu\","
                    "\"url\":\"https://www.nexmark.com/%.5s/%.5s/item.htm?query=1&channel_id=%lu\",\"dateTime\":\"%s\",\"extra\":\"%s\"}}",
                    a, b, p, b % 10000, extra, extra + 7, b, date, extra);
}

static void measure(const char *what, struct memory *memory, const struct type *schema, const uint64_t *wanted, const struct string_view *documents,
                    uint32_t count, size_t size_bytes) {
    struct json_reader *reader;
    struct arena arena;
    if (json_reader_new(memory, schema, NULL, wanted, &reader) != STATUS_OK) exit(1);
    arena_init(&arena, memory);
    double best = 1e9;
    uint64_t good = 0;
    for (int round = 0; round < 7; round++) {
        double start = now();
        good = 0;
        for (uint32_t first = 0; first < count; first += BATCH_ROWS) {
            uint32_t rows_here = count - first < BATCH_ROWS ? count - first : BATCH_ROWS;
            struct column out, in = {.type = &type_string, .row_count = rows_here, .values = (void *)(uintptr_t)(documents + first)};
            struct rows rows = {.count = rows_here};
            uint8_t outcomes[BATCH_ROWS];
            arena_reset(&arena);
            if (json_read_column(reader, &in, &rows, &arena, &out, outcomes) != STATUS_OK) exit(1);
            for (uint32_t i = 0; i < rows_here; i++) good += outcomes[i] == JSON_OK;
        }
        double seconds = now() - start;
        if (seconds < best) best = seconds;
    }
    printf("%-28s %8.2f M documents/s %7.2f GB/s %7.1f ns each  good %llu\n", what, count / best / 1e6, (double)size_bytes / best / 1e9, best / count * 1e9,
           (unsigned long long)good);
    json_reader_free(reader);
    arena_release(&arena);
}

static void measure_valid(const struct string_view *documents, uint32_t count, size_t size_bytes) {
    double best = 1e9;
    uint32_t good = 0;
    for (int round = 0; round < 5; round++) {
        double start = now();
        good = 0;
        for (uint32_t i = 0; i < count; i++) good += json_valid(string_view_data(&documents[i]), documents[i].size_bytes, 0, NULL);
        double seconds = now() - start;
        if (seconds < best) best = seconds;
    }
    printf("%-28s %8.2f M documents/s %7.2f GB/s %7.1f ns each  good %u\n", "json_valid", count / best / 1e6, (double)size_bytes / best / 1e9, best / count * 1e9, good);
}

int main(int argc, char **argv) {
    uint32_t count = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 200000;
    char *text = malloc((size_t)count * 700 + 64);
    struct string_view *documents = malloc((size_t)count * sizeof *documents);
    struct random random;
    if (!text || !documents) return 1;
    random_seed(&random, 42);
    size_t size_bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        int length = event(&random, i, text + size_bytes, 700);
        documents[i] = string_view_of(text + size_bytes, (size_t)length);
        size_bytes += (size_t)length + 1;
    }
    printf("%u documents, %.0f bytes on average, scanner %s\n", count, (double)size_bytes / count, json_scanner_best()->name);

    struct memory memory;
    struct arena arena;
    struct error error;
    const struct type *schema;
    memory_init(&memory, "bench", NULL, 0);
    arena_init(&arena, &memory);
    if (type_parse_schema(&arena, schema_text, sizeof schema_text - 1, &schema, &error) != STATUS_OK) return 1;
    // Leaves in order: event_type, 8 of person, 10 of auction, 7 of bid.
    uint64_t filter = 1ull << 19 | 1ull << 20 | 1ull << 21, by_text = 1ull << 22 | 1ull << 21 | 1ull << 0, timed = 1ull << 19 | 1ull << 21 | 1ull << 24, none = 0;
    measure("nothing wanted", &memory, schema, &none, documents, count, size_bytes);
    measure("auction, bidder, price", &memory, schema, &filter, documents, count, size_bytes);
    measure("event_type, price, channel", &memory, schema, &by_text, documents, count, size_bytes);
    measure("auction, price, dateTime", &memory, schema, &timed, documents, count, size_bytes);
    measure("all 26 leaves", &memory, schema, NULL, documents, count, size_bytes);
    measure_valid(documents, count, size_bytes);
    arena_release(&arena);
    free(text);
    free(documents);
    return 0;
}
