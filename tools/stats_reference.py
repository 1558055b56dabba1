#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints the reference numbers of tests/stats (NumPy and SciPy): python3 tools/stats_reference.py"""
import numpy as np
import scipy.optimize as opt
import scipy.stats as st

PARAMS = np.array([0.103, 5.037, 25.016, 45.171, 51.476, 74.825, 96.088])
LAYERS = np.array([2, 12, 3, 6, 8, 5, 8.0])
WIDTH = np.array([2, 80, 384, 512, 512, 768, 768.0])
LATENCY = {
    "prefill": [3.49, 20.71, 15.75, 18.08, 25.35, 27.80, 26.98],
    "kv_decode": [166.32, 1042.44, 783.67, 799.82, 1267.69, 1600.77, 1374.22],
    "e2e_kv": [169.76, 1063.47, 799.73, 818.73, 1289.54, 1634.74, 1402.22],
}


def two_factors(latency):
    design = np.c_[np.ones(7), np.log(PARAMS), np.log(LAYERS)]
    y = np.log(latency)
    cov = np.linalg.inv(design.T @ design)
    coef = cov @ design.T @ y
    h = np.diag(design @ cov @ design.T)
    e = y - design @ coef
    s2 = e @ e / 4
    print("  two factors", coef, "R2", 1 - e @ e / ((y - y.mean()) ** 2).sum())
    print("    se", np.sqrt(np.diag(cov) * s2), "leverage", h)
    print("    Cook", e**2 * h / (3 * s2 * (1 - h) ** 2))


def affine_power(latency):
    best = None
    for s in np.linspace(0, 2, 20001):
        coef, norm = opt.nnls(np.c_[np.ones(7), PARAMS**s], latency)
        if best is None or norm < best[0]:
            best = (norm, s, coef)
    sst = ((latency - latency.mean()) ** 2).sum()
    print("  a + b P^s", best[2], "s", best[1], "R2", 1 - best[0] ** 2 / sst)


for mode, values in LATENCY.items():
    latency = np.array(values)
    x, y = np.log10(PARAMS), np.log10(latency)
    line = st.linregress(x, y)
    print(mode, "slope", line.slope, "intercept", line.intercept, "R2", line.rvalue**2)
    print(" ", st.theilslopes(y, x))
    print("  without the first", st.linregress(x[1:], y[1:]).slope)
    depth = np.log10(LAYERS)
    print("  depth", st.linregress(depth, y).slope, st.linregress(depth[1:], y[1:]).slope)
    for name, z in (("params", PARAMS), ("layers", LAYERS), ("width", WIDTH)):
        print("  Spearman", name, st.spearmanr(z, latency))
    two_factors(latency)
    affine_power(latency)
    plain = st.linregress(PARAMS, latency)
    print("  a + b P", plain.intercept, plain.slope, plain.rvalue**2)
print("ties", st.theilslopes([1, 3, 2, 5, 5, 8], [1, 2, 2, 3, 4, 5]))
