// SPDX-License-Identifier: Apache-2.0
// java_math.h: exp and log as the JVM computes them, to the last bit, because Spark's answers show it.
#pragma once

double java_exp(double x);
double java_log(double x);  // x > 0
