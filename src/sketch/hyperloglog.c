// SPDX-License-Identifier: Apache-2.0
// hyperloglog.c: registers as a short list or an array, and the estimate: linear counting while it is the better one, else the raw
// estimate less its bias, taken from the mean of the six nearest measured points (bias.h).
#include "sketch/hyperloglog.h"
#include "sketch/bias.h"
#include <math.h>
#include <string.h>

enum { LIST_MAX = 64, NEIGHBOURS = 6, RANK_MAX = 64 };

uint8_t hyperloglog_precision(double relative_deviation) {
    if (!(relative_deviation > 0)) return 0;
    double bits = ceil(2.0 * log(1.106 / relative_deviation) / log(2.0));
    return bits >= HYPERLOGLOG_PRECISION_MIN && bits <= HYPERLOGLOG_PRECISION_MAX ? (uint8_t)bits : 0;
}

void hyperloglog_init(struct hyperloglog *h, struct memory *memory, uint8_t precision) {
    *h = (struct hyperloglog){.memory = memory, .precision = precision};
}

static size_t register_count(const struct hyperloglog *h) { return (size_t)1 << h->precision; }

void hyperloglog_release(struct hyperloglog *h) {
    if (h->registers) memory_free(h->memory, h->registers, register_count(h));
    if (h->list) memory_free(h->memory, h->list, h->list_capacity * sizeof *h->list);
    hyperloglog_init(h, h->memory, h->precision);
}

// The list is at most a quarter of the array's size.
static uint32_t list_limit(const struct hyperloglog *h) {
    size_t limit = register_count(h) / 16;
    return limit > LIST_MAX ? LIST_MAX : (uint32_t)limit;
}

static enum status become_array(struct hyperloglog *h) {
    uint8_t *registers = memory_alloc_zeroed(h->memory, register_count(h));
    if (!registers) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < h->list_count; i++) registers[h->list[i] >> 8] = (uint8_t)h->list[i];
    if (h->list) memory_free(h->memory, h->list, h->list_capacity * sizeof *h->list);
    h->list = NULL;
    h->list_count = h->list_capacity = 0;
    h->registers = registers;
    return STATUS_OK;
}

static enum status raise_register(struct hyperloglog *h, uint32_t index, uint8_t rank) {
    if (h->registers) {
        if (h->registers[index] < rank) h->registers[index] = rank;
        return STATUS_OK;
    }
    uint32_t at = 0;
    while (at < h->list_count && h->list[at] >> 8 < index) at++;
    if (at < h->list_count && h->list[at] >> 8 == index) {
        if ((uint8_t)h->list[at] < rank) h->list[at] = index << 8 | rank;
        return STATUS_OK;
    }
    if (h->list_count == list_limit(h)) {
        TRY(become_array(h));
        h->registers[index] = rank;
        return STATUS_OK;
    }
    if (h->list_count == h->list_capacity) {
        uint32_t capacity = h->list_capacity ? h->list_capacity * 2 : 4;
        uint32_t *list = memory_resize(h->memory, h->list, h->list_capacity * sizeof *list, capacity * sizeof *list);
        if (!list) return STATUS_NO_MEMORY;
        h->list = list;
        h->list_capacity = capacity;
    }
    memmove(h->list + at + 1, h->list + at, (h->list_count - at) * sizeof *h->list);
    h->list[at] = index << 8 | rank;
    h->list_count++;
    return STATUS_OK;
}

enum status hyperloglog_insert(struct hyperloglog *h, uint64_t hash) {
    uint32_t index = (uint32_t)(hash >> (64 - h->precision));
    // The bit set below the hash's own keeps the rank within 64 − p + 1.
    uint64_t rest = hash << h->precision | (uint64_t)1 << (h->precision - 1);
    return raise_register(h, index, (uint8_t)(__builtin_clzll(rest) + 1));
}

enum status hyperloglog_merge(struct hyperloglog *h, const struct hyperloglog *from) {
    if (h->precision != from->precision) return STATUS_INVALID_ARGUMENT;
    for (uint32_t i = 0; i < from->list_count; i++) TRY(raise_register(h, from->list[i] >> 8, (uint8_t)from->list[i]));
    if (!from->registers) return STATUS_OK;
    if (!h->registers) TRY(become_array(h));
    for (size_t i = 0; i < register_count(h); i++)
        if (h->registers[i] < from->registers[i]) h->registers[i] = from->registers[i];
    return STATUS_OK;
}

static double squared(double x) { return x * x; }

static double bias_at(uint8_t precision, double estimate) {
    const struct hyperloglog_bias *table = &hyperloglog_biases[precision - HYPERLOGLOG_PRECISION_MIN];
    uint32_t nearest = 0, above = table->count;
    const uint32_t count = table->count;
    while (nearest < above) {  // binary as Java's: the points are noisy, and another search would choose others
        uint32_t middle = (nearest + above - 1) / 2;
        if (table->estimates[middle] < estimate) nearest = middle + 1;
        else above = middle;
    }
    uint32_t low = nearest + 1 > NEIGHBOURS ? nearest + 1 - NEIGHBOURS : 0;
    uint32_t high = low + NEIGHBOURS < count ? low + NEIGHBOURS : count;
    while (high < count && squared(estimate - table->estimates[high]) < squared(estimate - table->estimates[low])) {
        low++;
        high++;
    }
    double sum = 0;
    for (uint32_t i = low; i < high; i++) sum += table->biases[i];
    return sum / (double)(high - low);
}

static double alpha(uint8_t precision, double m) {
    return precision == 4 ? 0.673 : precision == 5 ? 0.697 : precision == 6 ? 0.709 : 0.7213 / (1.0 + 1.079 / m);
}

int64_t hyperloglog_estimate(const struct hyperloglog *h) {
    const double m = (double)register_count(h);
    double inverse_sum = 0, zeros = 0;
    if (h->registers) {
        for (size_t i = 0; i < register_count(h); i++) {
            inverse_sum += ldexp(1.0, -(int)h->registers[i]);
            zeros += h->registers[i] == 0;
        }
    } else {
        zeros = m - h->list_count;
        inverse_sum = zeros;
        for (uint32_t i = 0; i < h->list_count; i++) inverse_sum += ldexp(1.0, -(int)(uint8_t)h->list[i]);
    }
    const bool has_table = h->precision <= HYPERLOGLOG_BIAS_PRECISION_MAX;
    double raw = alpha(h->precision, m) * m * m / inverse_sum, estimate = raw;
    if (has_table && raw < 5.0 * m) estimate = raw - bias_at(h->precision, raw);
    if (zeros > 0) {
        double linear = m * log(m / zeros);
        bool by_threshold = has_table && linear <= hyperloglog_biases[h->precision - HYPERLOGLOG_PRECISION_MIN].threshold;
        if (by_threshold || raw <= 2.5 * m) estimate = linear;
    }
    return (int64_t)floor(estimate + 0.5);
}

enum status hyperloglog_save(const struct hyperloglog *h, struct buffer *out) {
    TRY(write_varint(out, h->precision));
    TRY(write_varint(out, h->registers ? 1 : 0));
    if (h->registers) return buffer_append(out, h->registers, register_count(h));
    TRY(write_varint(out, h->list_count));
    for (uint32_t i = 0; i < h->list_count; i++) TRY(write_fixed32(out, h->list[i]));
    return STATUS_OK;
}

static bool load_list(struct hyperloglog *h, struct reader *in) {
    uint64_t count = read_varint(in);
    if (in->failed || count > list_limit(h)) return false;
    uint32_t last = 0;
    for (uint64_t i = 0; i < count; i++) {
        uint32_t entry = read_fixed32(in), index = entry >> 8, rank = entry & 0xff;
        if (in->failed || index >= register_count(h) || rank == 0 || rank > RANK_MAX || (i && index <= last)) return false;
        if (raise_register(h, index, (uint8_t)rank) != STATUS_OK) return false;
        last = index;
    }
    return true;
}

bool hyperloglog_load(struct hyperloglog *h, struct reader *in) {
    if (read_varint(in) != h->precision || in->failed) return false;
    uint64_t is_array = read_varint(in);
    bool good = is_array <= 1 && !in->failed;
    if (good && is_array) {
        const uint8_t *bytes = read_raw(in, register_count(h));
        good = bytes && become_array(h) == STATUS_OK;
        for (size_t i = 0; good && i < register_count(h); i++) {
            good = bytes[i] <= RANK_MAX;
            h->registers[i] = bytes[i];
        }
    } else if (good) {
        good = load_list(h, in);
    }
    if (!good) hyperloglog_release(h);
    return good;
}
