// SPDX-License-Identifier: Apache-2.0
// aggregate_statistic.c: stddev, variance, skewness, kurtosis; covar, corr and the regr family.
//
// One pass, by updating the mean and the central moments (Welford; Terriberry for the third and fourth; the same for pairs). The steps are
// taken in the order in which Spark takes them, so that one partition gives its very digits. All are ordered: floats do not add alike in another order.
//
//     n' = n + 1      δ = x − mean      mean' = mean + δ/n'      m2' = m2 + δ(δ − δ/n')
#include "expr/aggregate_value.h"
#include "expr/aggregates.h"
#include <math.h>

struct moments {
    double count;
    double mean;
    double m2, m3, m4;   // sums of (x − mean)², ³, ⁴
};

static void moments_take(struct moments *s, double value) {
    s->count += 1.0;
    double delta = value - s->mean;
    double delta_n = delta / s->count;
    s->mean += delta_n;
    s->m2 += delta * (delta - delta_n);
}

static void moments_take_higher(struct moments *s, double value) {
    double delta = value - s->mean;
    moments_take(s, value);
    double delta_n = delta / s->count;
    double delta_2 = delta * delta;
    double delta_n_2 = delta_n * delta_n;
    s->m3 = s->m3 - 3.0 * delta_n * s->m2 + delta * (delta_2 - delta_n_2);
    s->m4 = s->m4 - 4.0 * delta_n * s->m3 - 6.0 * delta_n_2 * s->m2 + delta * (delta * delta_2 - delta_n * delta_n_2);
}

static enum status variance_update(void *const *states, const struct column *const *args, const struct rows *rows, const int8_t *weights,
                                   struct aggregate_context *c) {
    (void)weights;
    (void)c;
    double scratch[CHUNK_ROWS];
    for (uint32_t begin = 0; begin < rows->count; begin += CHUNK_ROWS) {
        uint32_t count = chunk_count(rows, begin);
        const double *values = chunk_double(args[0], rows, begin, count, scratch);
        for (uint32_t i = 0; i < count; i++) moments_take(states[begin + i], values[i]);
    }
    return STATUS_OK;
}

static enum status higher_update(void *const *states, const struct column *const *args, const struct rows *rows, const int8_t *weights,
                                 struct aggregate_context *c) {
    (void)weights;
    (void)c;
    double scratch[CHUNK_ROWS];
    for (uint32_t begin = 0; begin < rows->count; begin += CHUNK_ROWS) {
        uint32_t count = chunk_count(rows, begin);
        const double *values = chunk_double(args[0], rows, begin, count, scratch);
        for (uint32_t i = 0; i < count; i++) moments_take_higher(states[begin + i], values[i]);
    }
    return STATUS_OK;
}

// false: NULL
typedef bool moments_result(const struct moments *s, double *out);

static bool variance_pop_of(const struct moments *s, double *out) {
    *out = s->m2 / s->count;
    return s->count > 0;
}
static bool variance_samp_of(const struct moments *s, double *out) {
    *out = s->m2 / (s->count - 1.0);
    return s->count > 1;
}
static bool stddev_pop_of(const struct moments *s, double *out) {
    *out = sqrt(s->m2 / s->count);
    return s->count > 0;
}
static bool stddev_samp_of(const struct moments *s, double *out) {
    *out = sqrt(s->m2 / (s->count - 1.0));
    return s->count > 1;
}
static bool skewness_of(const struct moments *s, double *out) {
    *out = sqrt(s->count) * s->m3 / sqrt(s->m2 * s->m2 * s->m2);
    return s->count > 0 && s->m2 != 0;
}
static bool kurtosis_of(const struct moments *s, double *out) {
    *out = s->count * s->m4 / (s->m2 * s->m2) - 3.0;
    return s->count > 0 && s->m2 != 0;
}

static void moments_finish(const void *const *states, uint32_t count, struct column *out, moments_result *result) {
    for (uint32_t i = 0; i < count; i++) {
        if (!result(states[i], (double *)out->values + i)) out_set_null(out, i);
    }
}

#define MOMENTS(name, update_function)                                                                                              \
    static void name##_finish(const void *const *states, uint32_t count, struct column *out, struct aggregate_context *c) {         \
        (void)c;                                                                                                                    \
        moments_finish(states, count, out, name##_of);                                                                              \
    }                                                                                                                               \
    static const struct aggregate_ops name##_ops = {                                                                                \
        .state_bytes = sizeof(struct moments), .flags = AGGREGATE_ORDERED, .update = update_function, .finish = name##_finish};     \
    static const struct aggregate_ops *name##_choose(const struct type *const *arg_types, uint32_t arg_count, const void *data) {   \
        (void)arg_types;                                                                                                            \
        (void)arg_count;                                                                                                            \
        (void)data;                                                                                                                 \
        return &name##_ops;                                                                                                         \
    }
MOMENTS(variance_pop, variance_update)
MOMENTS(variance_samp, variance_update)
MOMENTS(stddev_pop, variance_update)
MOMENTS(stddev_samp, variance_update)
MOMENTS(skewness, higher_update)
MOMENTS(kurtosis, higher_update)
#undef MOMENTS

// Pairs. For regr_* y is the first argument, the dependent variable; x the second.

struct pair_moments {
    double count;
    double x_mean, y_mean;
    double co_moment;          // sum of (x − x_mean)(y − y_mean)
    double x_m2, y_m2;
};

static void pair_take(struct pair_moments *s, double x, double y) {
    s->count += 1.0;
    double dx = x - s->x_mean;
    double dy = y - s->y_mean;
    s->x_mean += dx / s->count;
    s->y_mean += dy / s->count;
    s->co_moment += dx * (y - s->y_mean);
    s->x_m2 += dx * (x - s->x_mean);
    s->y_m2 += dy * (y - s->y_mean);
}

static enum status pair_update(void *const *states, const struct column *const *args, const struct rows *rows, const int8_t *weights,
                               struct aggregate_context *c) {
    (void)weights;
    (void)c;
    double first_scratch[CHUNK_ROWS], second_scratch[CHUNK_ROWS];
    for (uint32_t begin = 0; begin < rows->count; begin += CHUNK_ROWS) {
        uint32_t count = chunk_count(rows, begin);
        const double *first = chunk_double(args[0], rows, begin, count, first_scratch);
        const double *second = chunk_double(args[1], rows, begin, count, second_scratch);
        for (uint32_t i = 0; i < count; i++) pair_take(states[begin + i], first[i], second[i]);
    }
    return STATUS_OK;
}

typedef bool pair_result(const struct pair_moments *s, double *out);

static bool covar_pop_of(const struct pair_moments *s, double *out) {
    *out = s->co_moment / s->count;
    return s->count > 0;
}
static bool covar_samp_of(const struct pair_moments *s, double *out) {
    *out = s->co_moment / (s->count - 1.0);
    return s->count > 1;
}
static bool regr_avgx_of(const struct pair_moments *s, double *out) {
    *out = s->y_mean;
    return s->count > 0;
}
static bool regr_avgy_of(const struct pair_moments *s, double *out) {
    *out = s->x_mean;
    return s->count > 0;
}
static bool regr_sxx_of(const struct pair_moments *s, double *out) {
    *out = s->y_m2;
    return s->count > 0;
}
static bool regr_syy_of(const struct pair_moments *s, double *out) {
    *out = s->x_m2;
    return s->count > 0;
}
static bool regr_sxy_of(const struct pair_moments *s, double *out) {
    *out = s->co_moment;
    return s->count > 0;
}
// NULL where x does not vary; 1 where only y does not.
static bool regr_r2_of(const struct pair_moments *s, double *out) {
    *out = s->x_m2 == 0 ? 1.0 : s->co_moment * s->co_moment / (s->x_m2 * s->y_m2);
    return s->count > 0 && s->y_m2 != 0;
}
static bool regr_slope_of(const struct pair_moments *s, double *out) {
    *out = s->co_moment / s->y_m2;
    return s->count > 1 && s->y_m2 != 0;
}
static bool regr_intercept_of(const struct pair_moments *s, double *out) {
    *out = s->x_mean - s->co_moment / s->y_m2 * s->y_mean;
    return s->count > 1 && s->y_m2 != 0;
}

static void pair_finish(const void *const *states, uint32_t count, struct column *out, pair_result *result) {
    for (uint32_t i = 0; i < count; i++) {
        if (!result(states[i], (double *)out->values + i)) out_set_null(out, i);
    }
}

#define PAIRS(name)                                                                                                                 \
    static void name##_finish(const void *const *states, uint32_t count, struct column *out, struct aggregate_context *c) {         \
        (void)c;                                                                                                                    \
        pair_finish(states, count, out, name##_of);                                                                                 \
    }                                                                                                                               \
    static const struct aggregate_ops name##_ops = {                                                                                \
        .state_bytes = sizeof(struct pair_moments), .flags = AGGREGATE_ORDERED, .update = pair_update, .finish = name##_finish};    \
    static const struct aggregate_ops *name##_choose(const struct type *const *arg_types, uint32_t arg_count, const void *data) {   \
        (void)arg_types;                                                                                                            \
        (void)arg_count;                                                                                                            \
        (void)data;                                                                                                                 \
        return &name##_ops;                                                                                                         \
    }
PAIRS(covar_pop)
PAIRS(covar_samp)
PAIRS(regr_avgx)
PAIRS(regr_avgy)
PAIRS(regr_sxx)
PAIRS(regr_syy)
PAIRS(regr_sxy)
PAIRS(regr_r2)
PAIRS(regr_slope)
PAIRS(regr_intercept)
#undef PAIRS

// A side that does not vary is a division by zero, which Spark reports under ANSI.
static void corr_finish(const void *const *states, uint32_t count, struct column *out, struct aggregate_context *c) {
    for (uint32_t i = 0; i < count; i++) {
        const struct pair_moments *s = states[i];
        double divisor = sqrt(s->x_m2 * s->y_m2);
        if (s->count <= 1) out_set_null(out, i);
        else if (divisor == 0) eval_fail(c->eval, i, "DIVIDE_BY_ZERO", "corr: one of the arguments has the same value in all rows");
        else ((double *)out->values)[i] = s->co_moment / divisor;
    }
}

static const struct aggregate_ops corr_ops = {
    .state_bytes = sizeof(struct pair_moments), .flags = AGGREGATE_ORDERED, .update = pair_update, .finish = corr_finish};

static const struct aggregate_ops *corr_choose(const struct type *const *arg_types, uint32_t arg_count, const void *data) {
    (void)arg_types;
    (void)arg_count;
    (void)data;
    return &corr_ops;
}

// regr_count is exact: a weighted count of rows in which neither is NULL.
struct regr_count_state {
    int64_t count;
};

static enum status regr_count_update(void *const *states, const struct column *const *args, const struct rows *rows, const int8_t *weights,
                                     struct aggregate_context *c) {
    (void)args;
    (void)c;
    for (uint32_t i = 0; i < rows->count; i++) ((struct regr_count_state *)states[i])->count += weight_at(weights, rows, i);
    return STATUS_OK;
}

static enum status regr_count_merge(void *into, const void *from, struct aggregate_context *c) {
    (void)c;
    ((struct regr_count_state *)into)->count += ((const struct regr_count_state *)from)->count;
    return STATUS_OK;
}

static void regr_count_finish(const void *const *states, uint32_t count, struct column *out, struct aggregate_context *c) {
    (void)c;
    for (uint32_t i = 0; i < count; i++) ((int64_t *)out->values)[i] = ((const struct regr_count_state *)states[i])->count;
}

static const struct aggregate_ops regr_count_ops = {.state_bytes = sizeof(struct regr_count_state), .flags = AGGREGATE_RETRACTS,
                                                    .update = regr_count_update, .merge = regr_count_merge, .finish = regr_count_finish};

static const struct aggregate_ops *regr_count_choose(const struct type *const *arg_types, uint32_t arg_count, const void *data) {
    (void)arg_types;
    (void)arg_count;
    (void)data;
    return &regr_count_ops;
}

static enum status one_double_bind(struct binding *b, struct error *e) { return aggregate_signature(b, "(DOUBLE) -> DOUBLE", e); }
static enum status two_doubles_bind(struct binding *b, struct error *e) { return aggregate_signature(b, "(DOUBLE, DOUBLE) -> DOUBLE", e); }
static enum status regr_count_bind(struct binding *b, struct error *e) {
    TRY(binding_signature(b, "(DOUBLE, DOUBLE) -> BIGINT", e));
    b->nullable = false;
    return STATUS_OK;
}

#define ONE "(DOUBLE) -> DOUBLE", one_double_bind
#define TWO "(DOUBLE, DOUBLE) -> DOUBLE", two_doubles_bind
static const struct aggregate statistic_list[] = {
    {"stddev", ONE, stddev_samp_choose, AGGREGATE_ORDERED, "The sample standard deviation", "SELECT stddev(x) FROM VALUES (1), (2), (3) AS t(x)", "1.0"},
    {"std", ONE, stddev_samp_choose, AGGREGATE_ORDERED, "The sample standard deviation", "SELECT std(x) FROM VALUES (1), (2), (3) AS t(x)", "1.0"},
    {"stddev_samp", ONE, stddev_samp_choose, AGGREGATE_ORDERED, "The sample standard deviation", "SELECT stddev_samp(x) FROM VALUES (1), (2), (3) AS t(x)", "1.0"},
    {"stddev_pop", ONE, stddev_pop_choose, AGGREGATE_ORDERED, "The standard deviation of the whole population", "SELECT stddev_pop(x) FROM VALUES (1), (3) AS t(x)", "1.0"},
    {"variance", ONE, variance_samp_choose, AGGREGATE_ORDERED, "The sample variance", "SELECT variance(x) FROM VALUES (1), (2), (3) AS t(x)", "1.0"},
    {"var_samp", ONE, variance_samp_choose, AGGREGATE_ORDERED, "The sample variance", "SELECT var_samp(x) FROM VALUES (1), (2), (3) AS t(x)", "1.0"},
    {"var_pop", ONE, variance_pop_choose, AGGREGATE_ORDERED, "The variance of the whole population", "SELECT var_pop(x) FROM VALUES (1), (3) AS t(x)", "1.0"},
    {"skewness", ONE, skewness_choose, AGGREGATE_ORDERED, "The skewness: how one-sided the values lie", "SELECT skewness(x) FROM VALUES (1), (2), (3) AS t(x)", "0.0"},
    {"kurtosis", ONE, kurtosis_choose, AGGREGATE_ORDERED, "The excess kurtosis: how heavy the tails are", "SELECT kurtosis(x) FROM VALUES (1), (3) AS t(x)", "-2.0"},
    {"covar_pop", TWO, covar_pop_choose, AGGREGATE_ORDERED, "The covariance of the whole population", "SELECT covar_pop(x, y) FROM VALUES (1, 1), (3, 3) AS t(x, y)", "1.0"},
    {"covar_samp", TWO, covar_samp_choose, AGGREGATE_ORDERED, "The sample covariance", "SELECT covar_samp(x, y) FROM VALUES (1, 1), (3, 3) AS t(x, y)", "2.0"},
    {"corr", TWO, corr_choose, AGGREGATE_ORDERED, "Pearson's correlation", "SELECT corr(x, y) FROM VALUES (1, 2), (2, 4), (3, 6) AS t(x, y)", "1.0"},
    {"regr_count", "(DOUBLE, DOUBLE) -> BIGINT", regr_count_bind, regr_count_choose, AGGREGATE_RETRACTS, "The number of rows in which neither is NULL",
     "SELECT regr_count(y, x) FROM VALUES (1, 2), (2, NULL) AS t(y, x)", "1"},
    {"regr_avgx", TWO, regr_avgx_choose, AGGREGATE_ORDERED, "The mean of the second argument over rows in which neither is NULL",
     "SELECT regr_avgx(y, x) FROM VALUES (1, 2), (2, 4) AS t(y, x)", "3.0"},
    {"regr_avgy", TWO, regr_avgy_choose, AGGREGATE_ORDERED, "The mean of the first argument over rows in which neither is NULL",
     "SELECT regr_avgy(y, x) FROM VALUES (1, 2), (2, 4) AS t(y, x)", "1.5"},
    {"regr_sxx", TWO, regr_sxx_choose, AGGREGATE_ORDERED, "The sum of squared deviations of the second argument",
     "SELECT regr_sxx(y, x) FROM VALUES (1, 2), (2, 4) AS t(y, x)", "2.0"},
    {"regr_syy", TWO, regr_syy_choose, AGGREGATE_ORDERED, "The sum of squared deviations of the first argument",
     "SELECT regr_syy(y, x) FROM VALUES (1, 2), (2, 4) AS t(y, x)", "0.5"},
    {"regr_sxy", TWO, regr_sxy_choose, AGGREGATE_ORDERED, "The sum of the products of both deviations",
     "SELECT regr_sxy(y, x) FROM VALUES (1, 2), (2, 4) AS t(y, x)", "1.0"},
    {"regr_r2", TWO, regr_r2_choose, AGGREGATE_ORDERED, "The coefficient of determination", "SELECT regr_r2(y, x) FROM VALUES (1, 2), (2, 4) AS t(y, x)", "1.0"},
    {"regr_slope", TWO, regr_slope_choose, AGGREGATE_ORDERED, "The slope of the regression line",
     "SELECT regr_slope(y, x) FROM VALUES (1, 2), (2, 4) AS t(y, x)", "0.5"},
    {"regr_intercept", TWO, regr_intercept_choose, AGGREGATE_ORDERED, "Where the regression line meets the axis of the first argument",
     "SELECT regr_intercept(y, x) FROM VALUES (1, 2), (2, 4) AS t(y, x)", "0.0"},
};
#undef ONE
#undef TWO

const struct aggregate_table statistic_aggregates = {statistic_list, sizeof statistic_list / sizeof statistic_list[0], "statistic"};
