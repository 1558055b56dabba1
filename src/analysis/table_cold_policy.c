/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cold_risk.csv and warmup_policy.csv: which share of requests meets a cold start, and below how
 * many requests an hour a model is worth keeping loaded. Arrivals are taken as a Poisson process of
 * rate r, and the keep-alive K begins anew with every request, so that a request finds the model
 * unloaded with probability exp(−r·K) (docs/cold-start.md).
 */
#include "analysis/cold_data.h"
#include "analysis/tables.h"

#include <math.h>
#include <stdio.h>

static const char *const risk_columns[] = {
    "backend",  "model",  "page_cache", "keep_alive_s",  "requests_per_hour", "share_cold",
    "added_ms", "ci_low", "ci_high",    "added_percent", "added_percent_low", "added_percent_high"};

static const char *const policy_columns[] = {
    "backend",      "model",    "page_cache",   "objective",
    "threshold_ms", "quantile", "keep_alive_s", "requests_per_hour",
    "ci_low",       "ci_high",  "verdict",      "because"};

static const double rates_per_hour[] = {1, 2, 6, 12, 30, 60, 120, 360};

static double share_cold(double per_hour, double keep_alive_s)
{
    return exp(-per_hour * keep_alive_s / 3600.0);
}

/* The rate at which a share of requests meets a cold start. */
static double rate_of(double share, double keep_alive_s)
{
    return share >= 1 ? 0 : -log(share) * 3600.0 / keep_alive_s;
}

static void put_key(const il__run *run, const il_cold_group *g, il_csv_writer *out)
{
    const il_plan_cell *cell = &run->facts->cells[g->starts[0].cell];
    il_csv_text(out, cell->backend);
    il_csv_text(out, cell->model);
    il_csv_text(out, g->starts[0].warm ? "warm" : "cold");
}

static void put_interval(il_csv_writer *out, il_interval i, double scale)
{
    il_csv_f64(out, i.estimate * scale);
    il_csv_f64(out, i.low * scale);
    il_csv_f64(out, i.high * scale);
}

static void write_risk(const il__run *run, const il_cold_group *g, il_csv_writer *out)
{
    double keep_alive_s = run->facts->keep_alive_s;
    size_t n;
    il_interval cost = il__cold_interval(g, il__cold_cost, NULL, &n);
    il_interval requests = il__cold_interval(g, il__cold_requests, NULL, &n);
    for (size_t i = 0; n > 0 && i < IL__COUNT_OF(rates_per_hour); i++) {
        double share = share_cold(rates_per_hour[i], keep_alive_s);
        put_key(run, g, out);
        il_csv_f64(out, keep_alive_s);
        il_csv_f64(out, rates_per_hour[i]);
        il_csv_f64(out, share);
        put_interval(out, cost, share);
        put_interval(out, requests, share * 100 * IL_COLD_SHARE);
        il_csv_end_row(out);
    }
}

typedef struct policy {
    const char *objective, *verdict;
    double threshold_ms, quantile;
    il_interval per_hour;
    char because[512];
} policy;

static void write_policy(const il__run *run, const il_cold_group *g, const policy *p,
                         il_csv_writer *out)
{
    put_key(run, g, out);
    il_csv_text(out, p->objective);
    il_csv_f64(out, p->threshold_ms);
    il_csv_f64(out, p->quantile);
    il_csv_f64(out, run->facts->keep_alive_s);
    put_interval(out, p->per_hour, 1);
    il_csv_text(out, p->verdict);
    il_csv_text(out, p->because);
    il_csv_end_row(out);
}

/* A rate from how many requests make a cold start good: exp(−r·K)·cost is 5 % of a steady call. */
static double rate_for(double requests, double keep_alive_s)
{
    return isnan(requests) ? NAN : rate_of(1 / fmax(requests, 1), keep_alive_s);
}

/* The mean request: cold starts may add 5 % to it. */
static bool judge_mean(const il__run *run, const il_cold_group *g, policy *p)
{
    size_t n;
    double keep_alive_s = run->facts->keep_alive_s;
    il_interval requests = il__cold_interval(g, il__cold_requests, NULL, &n);
    il_interval cost = il__cold_interval(g, il__cold_cost, NULL, &n);
    il_interval steady = il__cold_interval(g, il__cold_stage_ms, IL_COLD_STEADY, &n);
    if (n == 0) {
        return false;
    }
    *p = (policy){.objective = "mean",
                  .threshold_ms = IL_COLD_SHARE * steady.estimate,
                  .quantile = NAN,
                  .per_hour = {rate_for(requests.estimate, keep_alive_s),
                               rate_for(requests.low, keep_alive_s),
                               rate_for(requests.high, keep_alive_s)}};
    p->verdict = isnan(requests.low)  ? "not_identifiable"
                 : requests.high <= 1 ? "not_needed"
                                      : "keep_warm_below";
    (void)snprintf(p->because, sizeof p->because,
                   "a cold start adds %.3g ms to a request of %.3g ms; with arrivals at random and "
                   "a keep-alive of %g s, fewer requests an hour than this make cold starts more "
                   "than 5 %% of the mean request%s",
                   cost.estimate, steady.estimate, keep_alive_s,
                   isnan(requests.low) ? "; fewer than six samples give no interval" : "");
    return true;
}

static double prefill_of(const il_cold_start *s, const void *unused)
{
    (void)unused;
    return s->steady_prefill_ms;
}

/* The study's time to first token: at most a share 1 − quantile of requests may miss it. */
static bool judge_ttft(const il__run *run, const il_cold_group *g, policy *p)
{
    size_t n;
    double slo_ms = run->facts->slo.ttft_ms, keep_alive_s = run->facts->keep_alive_s;
    double quantile = run->facts->slo.tail_quantile;
    il_interval first = il__cold_interval(g, il__cold_stage_ms, IL_COLD_FIRST_TOKEN, &n);
    if (!(slo_ms > 0) || n == 0) {
        return false;
    }
    quantile = quantile > 0 ? quantile : 0.95;
    il_interval warm = il__cold_interval(g, prefill_of, NULL, &n);
    double rate = rate_of(1 - quantile, keep_alive_s);
    *p = (policy){.objective = "ttft",
                  .threshold_ms = slo_ms,
                  .quantile = quantile,
                  .per_hour = {NAN, NAN, NAN},
                  .verdict = "not_identifiable"};
    if (warm.low > slo_ms) {
        p->verdict = "missed_warm_too";
    } else if (first.high <= slo_ms) {
        p->verdict = "not_needed";
        p->per_hour = (il_interval){0, 0, 0};
    } else if (first.low > slo_ms) {
        p->verdict = "keep_warm_below";
        p->per_hour = (il_interval){rate, rate, rate};
    }
    (void)snprintf(p->because, sizeof p->because,
                   "the first token comes after %.3g ms (%.3g to %.3g) from a cold start and "
                   "%.3g ms when loaded; the objective is %g ms for %g %% of the requests, with "
                   "arrivals at random and a keep-alive of %g s",
                   first.estimate, first.low, first.high, warm.estimate, slo_ms, 100 * quantile,
                   keep_alive_s);
    return true;
}

static void write_policies(const il__run *run, const il_cold_group *g, il_csv_writer *out)
{
    policy p;
    if (judge_mean(run, g, &p)) {
        write_policy(run, g, &p, out);
    }
    if (judge_ttft(run, g, &p)) {
        write_policy(run, g, &p, out);
    }
}

static int write_table(const il__run *run, const char *name, const char *const *columns,
                       size_t n_columns,
                       void (*write)(const il__run *, const il_cold_group *, il_csv_writer *),
                       il_error *err)
{
    const il_run_facts *f = run->facts;
    il_csv_writer out = {.fd = -1};
    int rc = il__table_open(run, name, columns, n_columns, &out, err);
    for (size_t at = 0; rc == IL_OK && at < f->n_colds;) {
        il_cold_group g = il__cold_group_at(f->colds, f->n_colds, at);
        write(run, &g, &out);
        at += g.n;
    }
    rc = rc ? rc : il_csv_close(&out, err);
    il_csv_abandon(&out);
    return rc;
}

int il__write_cold_policy(const il__run *run, il_error *err)
{
    int rc = write_table(run, "cold_risk.csv", risk_columns, IL__COUNT_OF(risk_columns), write_risk,
                         err);
    return rc ? rc
              : write_table(run, "warmup_policy.csv", policy_columns, IL__COUNT_OF(policy_columns),
                            write_policies, err);
}
