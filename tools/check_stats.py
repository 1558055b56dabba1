# SPDX-License-Identifier: GPL-3.0-or-later
"""The statistics of check_run.py, each from its definition, with the standard library alone."""
import math


def quantile(values, q):
    v = sorted(values)
    h = (len(v) - 1) * q
    i = int(h)
    return v[-1] if i + 1 >= len(v) else v[i] + (h - i) * (v[i + 1] - v[i])


def median(values):
    return quantile(values, 0.5)


def exact_ranks(n, q):
    """The tightest order statistics with at most 2.5 % outside on each side, or None."""
    cdf, total = [], 0.0
    for k in range(n + 1):
        total += math.comb(n, k) * q**k * (1 - q)**(n - k)
        cdf.append(total)
    low = max((l for l in range(1, n + 1) if cdf[l - 1] <= 0.025 * (1 + 1e-12)), default=0)
    high = min((u for u in range(1, n + 1) if cdf[u - 1] >= 0.975 * (1 - 1e-14)), default=0)
    return (low, high) if low and high else None


def lag1(series):
    """Lag-1 correlation of many short series together, the bias of their own means undone; with the
    standard error of independent values. NaN without a usable series."""
    used = [v for v in series if len(v) >= 6 and min(v) < max(v)]
    if not used:
        return math.nan, math.nan
    weighted = 0.0
    for v in used:
        m = math.fsum(v) / len(v)
        d = [x - m for x in v]
        weighted += len(v) * math.fsum(a * b for a, b in zip(d, d[1:])) / math.fsum(a * a for a in d)
    total = sum(map(len, used))
    n = total / len(used)
    rho = (weighted / total + 1 / n) / (1 - 4 / n)
    return max(-0.99, min(0.99, rho)), 1 / (1 - 4 / n) / math.sqrt(total - len(used))


def series_ranks(n, stay, cache={}):
    """Ranks for the median of a series that stays on its side of it with probability `stay`: how
    many values lie below is the number of visits of a two-state chain, walked path by path."""
    if (n, stay) not in cache:
        below = {(0, 0): 0.5, (1, 1): 0.5}  # (visits, state) → probability
        for _ in range(n - 1):
            after = {}
            for (visits, state), p in below.items():
                for new, q in ((state, stay), (1 - state, 1 - stay)):
                    key = visits + new, new
                    after[key] = after.get(key, 0.0) + p * q
            below = after
        count = [below.get((k, 0), 0.0) + below.get((k, 1), 0.0) for k in range(n + 1)]
        low, total = 0, 0.0
        for k in range((n + 1) // 2):
            total += count[k]
            if total > 0.025 * (1 + 1e-9):
                break
            low = k + 1
        cache[n, stay] = (low, n + 1 - low) if low else None
    return cache[n, stay]


def median_interval(values, stay):
    if stay == 0.5:
        return exact_interval(values)
    ranks = series_ranks(len(values), stay)
    v = sorted(values)
    return (v[ranks[0] - 1], v[ranks[1] - 1]) if ranks else (math.nan, math.nan)


def exact_interval(values, q=0.5):
    ranks = exact_ranks(len(values), q) if values else None
    v = sorted(values)
    return (v[ranks[0] - 1], v[ranks[1] - 1]) if ranks else (math.nan, math.nan)


def t_tail(t, dof):
    """P(T > t), by Simpson's rule on the density after t = tan(u)·√dof."""
    c = math.exp(math.lgamma((dof + 1) / 2) - math.lgamma(dof / 2)) / math.sqrt(math.pi)
    a, b, n = math.atan(t / math.sqrt(dof)), math.pi / 2, 1000
    h = (b - a) / n
    total = sum((1 if i in (0, n) else 4 if i % 2 else 2) * abs(math.cos(a + i * h))**(dof - 1)
                for i in range(n + 1))
    return c * total * h / 3


def t_quantile(p, dof, cache={}):
    if (p, dof) not in cache:
        low, high = 0.0, 1e6
        for _ in range(200):
            mid = (low + high) / 2
            low, high = (mid, high) if t_tail(mid, dof) > 1 - p else (low, mid)
        cache[p, dof] = (low + high) / 2
    return cache[p, dof]


def t975(dof):
    return t_quantile(0.975, dof)


def mde_factor(n):
    """Half-widths an effect must exceed: at least two, and so many that 1 in 1000 errs."""
    return max(2.0, t_quantile(0.9996, n - 1) / t975(n - 1)) if n >= 2 else math.nan


def log_mean(ratios):
    """Geometric mean with the t interval of the mean logarithm."""
    logs = [math.log(r) for r in ratios]
    n = len(logs)
    m = math.fsum(logs) / n
    if n < 2:
        return math.exp(m), math.nan, math.nan
    half = t975(n - 1) * math.sqrt(math.fsum((x - m)**2 for x in logs) / (n - 1) / n)
    return math.exp(m), math.exp(m - half), math.exp(m + half)


def line(x, y):
    """intercept, slope and the t interval of the slope; None when x does not vary."""
    n = len(x)
    if n < 2 or max(x) == min(x):
        return None
    mx, my = math.fsum(x) / n, math.fsum(y) / n
    sxx = math.fsum((a - mx)**2 for a in x)
    slope = math.fsum((a - mx) * (b - my) for a, b in zip(x, y)) / sxx
    intercept = my - slope * mx
    if n == 2:
        return intercept, slope, math.nan, math.nan
    sse = math.fsum((b - intercept - slope * a)**2 for a, b in zip(x, y))
    half = t975(n - 2) * math.sqrt(sse / (n - 2) / sxx)
    return intercept, slope, slope - half, slope + half
