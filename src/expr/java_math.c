// SPDX-License-Identifier: Apache-2.0
// java_math.c: Java's StrictMath is defined by the algorithms of fdlibm; those of exp and log are written here from their published
// description. glibc's are nearer to the true value in about one case of a thousand, and then print another last digit.
#include "java_math.h"
#include <math.h>
#include <stdint.h>
#include <string.h>

static const double ln2_high = 6.93147180369123816490e-01, ln2_low = 1.90821492927058770002e-10;

// x = k ln 2 + r with ln 2 in two parts, then a polynomial in r².
double java_exp(double x) {
    static const double p[] = {1.66666666666666019037e-01, -2.77777777770155933842e-03, 6.61375632143793436117e-05, -1.65339022054652515390e-06,
                               4.13813679705723846039e-08};
    if (!(x > -745.0 && x < 709.0)) return exp(x);
    double size = fabs(x), high = x, low = 0;
    int k = 0;
    if (size < 0x1p-28) return 1 + x;
    if (size > 0.34657359027997264) {
        k = size < 1.0397207708399179 ? (x < 0 ? -1 : 1) : (int)(1.44269504088896338700e+00 * x + (x < 0 ? -0.5 : 0.5));
        high = x - k * ln2_high;
        low = k * ln2_low;
    }
    double r = high - low, t = r * r;
    double c = r - t * (p[0] + t * (p[1] + t * (p[2] + t * (p[3] + t * p[4]))));
    if (k == 0) return 1 - ((r * c) / (c - 2.0) - r);
    return ldexp(1 - ((low - (r * c) / (2.0 - c)) - high), k);
}

// x = 2^k (1 + f) with 1 + f around 1, then a series in s = f / (2 + f).
double java_log(double x) {
    static const double g[] = {6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01, 2.222219843214978396e-01,
                               1.818357216161805012e-01, 1.531383769920937332e-01, 1.479819860511658591e-01};
    if (!(x > 0) || isinf(x)) return log(x);
    int k = 0;
    if (x < 0x1p-1022) {
        x *= 0x1p54;
        k = -54;
    }
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int32_t word = (int32_t)(bits >> 32 & 0xfffff);
    int32_t upper = (word + 0x95f64) & 0x100000;  // set: the mantissa is above √2, take half of it
    k += (int)(bits >> 52) - 1023 + (upper >> 20);
    bits = (bits & UINT64_C(0x000fffffffffffff)) | (uint64_t)(uint32_t)(upper ^ 0x3ff00000) << 32;
    memcpy(&x, &bits, sizeof x);
    double f = x - 1, dk = k;
    if (fabs(f) < 0x1p-20) {
        double tiny = f * f * (0.5 - 0.33333333333333333 * f);
        if (f == 0) return dk * ln2_high + dk * ln2_low;
        return k == 0 ? f - tiny : dk * ln2_high - ((tiny - dk * ln2_low) - f);
    }
    double s = f / (2 + f), z = s * s, w = z * z;
    double rest = z * (g[0] + w * (g[2] + w * (g[4] + w * g[6]))) + w * (g[1] + w * (g[3] + w * g[5]));
    if (((word - 0x6147a) | (0x6b851 - word)) > 0) {
        double half = 0.5 * f * f;
        return k == 0 ? f - (half - s * (half + rest)) : dk * ln2_high - ((half - (s * (half + rest) + dk * ln2_low)) - f);
    }
    return k == 0 ? f - s * (f - rest) : dk * ln2_high - ((s * (f - rest) - dk * ln2_low) - f);
}
