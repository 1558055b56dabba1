/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stats/forms_internal.h"

#include <math.h>
#include <string.h>

enum { K = IL_FORM_MOST_TERMS, MOST_STEPS = 200, MOST_DAMPINGS = 40 };
#define DEPENDENT     1e-9
#define FLAT_GRADIENT 1e-11

static double dot(const double *a, const double *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

/* Takes the part along each of the first j columns out of v, twice against rounding. */
static void orthogonalise(const double *q, size_t n, size_t j, double *v, double *along)
{
    for (size_t c = 0; along && c < j; c++) {
        along[c] = 0;
    }
    for (int pass = 0; pass < 2; pass++) {
        for (size_t c = 0; c < j; c++) {
            double d = dot(q + c * n, v, n);
            for (size_t i = 0; i < n; i++) {
                v[i] -= d * q[c * n + i];
            }
            along[c] += d;
        }
    }
}

int il__least_squares(const double *a, const double *y, size_t n, size_t k, double *coef,
                      double *work)
{
    double r[K][K] = {{0}};
    double *rest = work + k * n;
    for (size_t j = 0; j < k; j++) {
        double *q = work + j * n;
        for (size_t i = 0; i < n; i++) {
            q[i] = a[i * k + j];
        }
        double length = sqrt(dot(q, q, n));
        double along[K];
        orthogonalise(work, n, j, q, along);
        r[j][j] = sqrt(dot(q, q, n));
        if (!(r[j][j] > DEPENDENT * length) || !isfinite(length)) {
            return IL_E_INVALID;
        }
        for (size_t c = 0; c < j; c++) {
            r[c][j] = along[c];
        }
        for (size_t i = 0; i < n; i++) {
            q[i] /= r[j][j];
        }
    }
    memcpy(rest, y, n * sizeof *rest);
    double z[K];
    orthogonalise(work, n, k, rest, z);
    for (size_t j = k; j-- > 0;) {
        coef[j] = z[j];
        for (size_t c = j + 1; c < k; c++) {
            coef[j] -= r[j][c] * coef[c];
        }
        coef[j] /= r[j][j];
    }
    return IL_OK;
}

/* Cholesky of the matrix scaled to a unit diagonal; false when a pivot is rounding. */
static bool factor(size_t k, double m[K][K], double scale[K], double l[K][K])
{
    for (size_t i = 0; i < k; i++) {
        if (!(m[i][i] > 0) || !isfinite(m[i][i])) {
            return false;
        }
        scale[i] = sqrt(m[i][i]);
    }
    for (size_t i = 0; i < k; i++) {
        for (size_t j = 0; j <= i; j++) {
            double sum = m[i][j] / (scale[i] * scale[j]);
            for (size_t c = 0; c < j; c++) {
                sum -= l[i][c] * l[j][c];
            }
            if (i == j) {
                if (!(sum > 1e-14)) {
                    return false;
                }
                l[i][i] = sqrt(sum);
            } else {
                l[i][j] = sum / l[j][j];
            }
        }
    }
    return true;
}

static void solve_factored(size_t k, const double scale[K], double l[K][K], const double *b,
                           double *out)
{
    double z[K];
    for (size_t i = 0; i < k; i++) {
        z[i] = b[i] / scale[i];
        for (size_t c = 0; c < i; c++) {
            z[i] -= l[i][c] * z[c];
        }
        z[i] /= l[i][i];
    }
    for (size_t i = k; i-- > 0;) {
        for (size_t c = i + 1; c < k; c++) {
            z[i] -= l[c][i] * z[c];
        }
        z[i] /= l[i][i];
    }
    for (size_t i = 0; i < k; i++) {
        out[i] = z[i] / scale[i];
    }
}

bool il__invert_symmetric(size_t k, double m[K][K], double out[K][K])
{
    double scale[K];
    double l[K][K] = {{0}};
    if (!factor(k, m, scale, l)) {
        return false;
    }
    for (size_t j = 0; j < k; j++) {
        double unit[K] = {0};
        double column[K];
        unit[j] = 1;
        solve_factored(k, scale, l, unit, column);
        for (size_t i = 0; i < k; i++) {
            out[i][j] = column[i];
        }
    }
    return true;
}

double il__curve_at(const il__curve *curve, const double *theta, const double *x, double *gradient)
{
    if (curve->is_power) {
        double p = pow(x[0], theta[2]);
        if (gradient) {
            gradient[0] = 1;
            gradient[1] = p;
            gradient[2] = theta[1] * p * log(x[0]);
        }
        return theta[0] + theta[1] * p;
    }
    double f = 0;
    for (size_t j = 0; j < curve->k; j++) {
        f += theta[j] * x[j];
        if (gradient) {
            gradient[j] = x[j];
        }
    }
    return f;
}

/* The objective Σ ρ(r), r = ln T − ln f; with m and b also the weighted JᵀJ and Jᵀr. */
static double objective(const il__curve *curve, const double *theta, double m[K][K], double *b)
{
    size_t k = curve->k;
    size_t stride = curve->is_power ? 1 : k;
    double sum = 0;
    if (m) {
        memset(m, 0, sizeof(double[K][K]));
        memset(b, 0, sizeof(double[K]));
    }
    for (size_t i = 0; i < curve->n; i++) {
        double g[K];
        double f = il__curve_at(curve, theta, curve->x + i * stride, m ? g : NULL);
        if (!(f > 0)) {
            return INFINITY;
        }
        double r = curve->log_y[i] - log(f);
        double size = fabs(r);
        bool far = size > curve->corner;
        sum += far ? curve->corner * (2 * size - curve->corner) : r * r;
        if (m) {
            double w = far ? curve->corner / size : 1;
            for (size_t j = 0; j < k; j++) {
                g[j] /= f;
                b[j] += w * g[j] * r;
                for (size_t c = 0; c <= j; c++) {
                    m[j][c] += w * g[j] * g[c];
                }
            }
        }
    }
    return sum;
}

/* Which coefficients may move: not those on a bound that the descent pushes against. Returns how
 * many, and the largest slope among them. */
static size_t free_terms(const il__curve *curve, const double *theta, const double *b, size_t at[K],
                         double *gradient)
{
    size_t n_free = 0;
    *gradient = 0;
    for (size_t j = 0; j < curve->k; j++) {
        bool held =
            (theta[j] <= curve->low[j] && b[j] <= 0) || (theta[j] >= curve->high[j] && b[j] >= 0);
        if (!held) {
            at[n_free++] = j;
            *gradient = fmax(*gradient, fabs(b[j]));
        }
    }
    return n_free;
}

/* theta + step of this damping, within the bounds; false when the step cannot be had. */
static bool damped_step(const il__curve *curve, const double *theta, double m[K][K],
                        const double *b, const size_t *at, size_t n_free, double damping,
                        double *out)
{
    double part[K][K];
    double rhs[K];
    double step[K];
    double scale[K];
    double l[K][K] = {{0}};
    for (size_t i = 0; i < n_free; i++) {
        rhs[i] = b[at[i]];
        for (size_t j = 0; j <= i; j++) {
            part[i][j] = m[at[i]][at[j]];
        }
        part[i][i] += damping * part[i][i] + 1e-300;
    }
    if (!factor(n_free, part, scale, l)) {
        return false;
    }
    solve_factored(n_free, scale, l, rhs, step);
    memcpy(out, theta, curve->k * sizeof *out);
    for (size_t i = 0; i < n_free; i++) {
        size_t j = at[i];
        out[j] = fmin(fmax(theta[j] + step[i], curve->low[j]), curve->high[j]);
    }
    return true;
}

double il__curve_descend(const il__curve *curve, double *theta, double *gradient)
{
    double m[K][K];
    double b[K];
    double damping = 1e-4;
    *gradient = INFINITY;
    double best = objective(curve, theta, m, b);
    if (!isfinite(best)) {
        return INFINITY;
    }
    for (int step = 0; step < MOST_STEPS; step++) {
        size_t at[K];
        size_t n_free = free_terms(curve, theta, b, at, gradient);
        if (n_free == 0 || *gradient < FLAT_GRADIENT) {
            break;
        }
        double next[K] = {0};
        double reached = INFINITY;
        int tries = 0;
        for (; tries < MOST_DAMPINGS; tries++, damping *= 4) {
            if (damped_step(curve, theta, m, b, at, n_free, damping, next)) {
                reached = objective(curve, next, NULL, NULL);
                if (reached < best) {
                    break;
                }
            }
        }
        if (tries == MOST_DAMPINGS) {
            break; /* rounding: nothing near is lower */
        }
        memcpy(theta, next, curve->k * sizeof *next);
        best = objective(curve, theta, m, b);
        damping = fmax(damping / 16, 1e-12);
    }
    return best;
}
