#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Coefficients of vec_erfc in engine/cpu/vec_math.h.

erfc(z)·exp(z²)/t as a polynomial in s, where t = 1/(1 + z/2) and s = 2·(t − T0)/(1 − T0) − 1 runs
over [−1, 1] for z in [0, 10.5]: Chebyshev interpolation, then monomials of s. Prints the
coefficients, lowest power first, and the largest relative error in double precision.
"""
import math

DEGREE, Z_MOST = 11, 10.5
T0 = 1 / (1 + Z_MOST / 2)


def target(s):
    t = T0 + (s + 1) / 2 * (1 - T0)
    z = 2 * (1 / t - 1)
    return math.erfc(z) * math.exp(z * z) / t


n = DEGREE + 1
nodes = [math.cos(math.pi * (k + 0.5) / n) for k in range(n)]
values = [target(x) for x in nodes]
cheb = [
    (1 if j == 0 else 2) / n
    * sum(v * math.cos(j * math.pi * (k + 0.5) / n) for k, v in enumerate(values))
    for j in range(n)
]
# Chebyshev to monomials by the recurrence T(j+1) = 2 s T(j) − T(j−1).
previous, current, poly = [1.0], [0.0, 1.0], [0.0] * n
for j in range(n):
    basis = previous if j == 0 else current
    for i, c in enumerate(basis):
        poly[i] += cheb[j] * c
    if j >= 1:
        following = [0.0] + [2 * c for c in current]
        for i, c in enumerate(previous):
            following[i] -= c
        previous, current = current, following
for c in poly:
    print(f"{c:.9e}f,")
worst = 0.0
for i in range(20001):
    s = -1 + i / 10000
    worst = max(worst, abs(sum(c * s**k for k, c in enumerate(poly)) / target(s) - 1))
print(f"largest relative error {worst:.2e}")
