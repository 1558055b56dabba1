#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints the reference numbers of tests/stats: python3 tools/stats_reference.py

Needs NumPy, SciPy and statsmodels, in a virtual environment of their own: the tests need none of
them. Where no package has the method as it is defined here, it is written out a second time.
"""
import itertools
import math
import random

import numpy as np
import scipy.odr
import scipy.optimize as opt
import scipy.stats as st
import statsmodels.api as sm

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

np.set_printoptions(precision=15)
# Brownlee's stack loss data (1965): air flow, water temperature, acid; the loss.
STACK = np.array([
    [80, 27, 89, 42], [80, 27, 88, 37], [75, 25, 90, 37], [62, 24, 87, 28], [62, 22, 87, 18],
    [62, 23, 87, 18], [62, 24, 93, 19], [62, 24, 93, 20], [58, 23, 87, 15], [58, 18, 80, 14],
    [58, 18, 89, 14], [58, 17, 88, 13], [58, 18, 82, 11], [58, 19, 93, 12], [50, 18, 89, 8],
    [50, 18, 86, 7], [50, 19, 72, 8], [50, 19, 79, 8], [50, 20, 80, 9], [56, 20, 82, 15],
    [70, 20, 91, 15.0]])


def huber(design, y, k=1.345):
    n, p = design.shape
    beta = np.linalg.lstsq(design, y, rcond=None)[0]
    for i in range(5000):
        e = y - design @ beta
        if i < 50:
            scale = np.median(np.sort(np.abs(e))[p - 1:]) / st.norm.ppf(0.75)
        w = np.minimum(1, k * scale / np.maximum(np.abs(e), 1e-300))
        root = np.sqrt(w)
        beta = np.linalg.lstsq(design * root[:, None], y * root, rcond=None)[0]
    e = y - design @ beta
    inside = np.abs(e) <= k * scale
    m = inside.mean()
    kappa = 1 + p / n * (1 - m) / m
    v = kappa**2 * (np.clip(e, -k * scale, k * scale) ** 2).sum() / (n - p) / m**2
    return beta, np.sqrt(np.diag(v * np.linalg.inv(design.T @ design))), scale, (~inside).sum()


design = np.c_[np.ones(21), STACK[:, :3]]
loss = STACK[:, 3]
print("Huber, stack loss", *huber(design, loss))
rlm = sm.RLM(loss, design, M=sm.robust.norms.HuberT(1.345)).fit()
print("  statsmodels, scale over all n", rlm.params)
ols = sm.OLS(loss, design).fit()
print("HC3, stack loss", ols.params, ols.HC3_se)
print("  its covariance, air flow with water", ols.cov_HC3[1, 2])


def deming(x, y, delta):
    u, v = np.var(x) * delta, np.var(y)
    sxy = ((x - x.mean()) * (y - y.mean())).mean()
    b = (v - u + math.hypot(v - u, 2 * math.sqrt(delta) * sxy)) / (2 * sxy)
    return np.array([b, y.mean() - b * x.mean()])


# Pearson's data (1901) with York's values; δ = 1 and 4.
PX = np.array([0, 0.9, 1.8, 2.6, 3.3, 4.4, 5.2, 6.1, 6.5, 7.4])
PY = np.array([5.9, 5.4, 4.4, 4.6, 3.5, 3.7, 2.8, 2.8, 2.4, 1.5])
for delta in (1.0, 4.0):
    odr = scipy.odr.ODR(scipy.odr.RealData(PX, PY, sx=1, sy=math.sqrt(delta)),
                        scipy.odr.unilinear, beta0=[-0.5, 5.8], maxit=500, sstol=1e-15).run()
    all_ = deming(PX, PY, delta)
    keep = [np.arange(10) != i for i in range(10)]
    pseudo = np.array([10 * all_ - 9 * deming(PX[m], PY[m], delta) for m in keep])
    se = pseudo.std(axis=0, ddof=1) / math.sqrt(10)
    print("Deming", delta, all_, "by ODR", odr.beta, "jackknife se", se, "t", st.t.ppf(0.975, 8))


def exact_spearman(x, y):
    rx, ry = st.rankdata(x), st.rankdata(y)
    c = abs(np.corrcoef(rx, ry)[0, 1])
    all_ = [abs(np.corrcoef(rx, o)[0, 1]) for o in itertools.permutations(ry)]
    return sum(v >= c - 1e-12 for v in all_), len(all_)


for y in ([1, 2, 3, 5, 4, 7, 6], [2, 1, 4, 3, 7, 5, 6], [1, 1, 2, 3, 3, 3, 5], [3, 1, 4, 1, 5, 9, 2]):
    print("Spearman, exact", y, exact_spearman([1, 2, 2, 4, 5, 6, 7], y), exact_spearman(range(7), y))

random.seed(1)
SKEW = [round(-math.log(1 - random.random()), 3) for _ in range(20)]
print("BCa of the mean of", SKEW)
v = np.array(SKEW)
rng = np.random.default_rng(1)
means = np.concatenate([rng.choice(v, (20000, 20)).mean(axis=1) for _ in range(50)])
z0 = st.norm.ppf((means < v.mean()).mean() + (means == v.mean()).mean() / 2)
a = ((v - v.mean())**3).sum() / (6 * ((v - v.mean())**2).sum() ** 1.5)
for q, name in ((st.norm.ppf(0.975), "plain"), (st.t.ppf(0.975, 19) * math.sqrt(20 / 19), "ours")):
    ends = [st.norm.cdf(z0 + (z0 + z) / (1 - a * (z0 + z))) for z in (-q, q)]
    print(" ", name, np.quantile(means, ends))
print("  scipy, plain", st.bootstrap((v,), np.mean, n_resamples=400000, method="BCa", batch=20000,
                                     rng=rng).confidence_interval)

SERIES = [5.2, 4.9, 5.5, 5.9, 5.4, 4.8, 4.5, 4.9, 5.1, 5.6, 5.8, 5.3]
s = np.array(SERIES) - np.mean(SERIES)
rho = [float((s[k:] * s[:12 - k]).sum() / (s**2).sum()) for k in range(12)]
print("series: rho", rho[:4])
tau, least = -1, math.inf
for k in range(6):
    pair = rho[2 * k] + rho[2 * k + 1]
    if pair <= 0:
        break
    least = min(least, pair)
    tau += 2 * least
print("  effective size", 12 / tau)
nu = 2  # 0.4·12^(2/3) = 2.10
power = [(math.sqrt(2 / 12) * sum(s[t] * math.cos(math.pi * j * (t + 0.5) / 12) for t in range(12)))**2
         for j in range(1, nu + 1)]
half = st.t.ppf(0.975, nu) * math.sqrt(sum(power) / nu / 11)
print("  cosine interval", np.mean(SERIES) - half, np.mean(SERIES) + half)
warm = [9 - 0.4 * i if i < 15 else 3 + 0.3 * math.sin(1.7 * i) for i in range(60)]
batches = [sum(warm[5 * b:5 * b + 5]) / 5 for b in range(12)]
print("MSER-5", min((np.var(batches[d:]) / (12 - d), d) for d in range(0, 7)))
