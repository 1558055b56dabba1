/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "report/facts.h"

#include "base/file.h"
#include "base/json.h"

#include <math.h>
#include <string.h>

enum { PATH_BYTES = 4096, MOST_MANIFEST_BYTES = 64 << 20 };

static int manifest_load(il_facts *f, il_error *err)
{
    char path[PATH_BYTES];
    int rc = il_path_join(path, sizeof path, f->run_dir, "manifest.json");
    if (rc != IL_OK) {
        return il_fail(err, rc, "the path of the run directory is too long");
    }
    il_error local = {0};
    rc = il_json_load(path, MOST_MANIFEST_BYTES, &f->manifest, &local);
    if (rc == IL_E_NOT_FOUND) {
        return IL_OK; /* a foreign run has none */
    }
    if (rc != IL_OK || !json_is_object(f->manifest)) {
        rc = il_fail(err, IL_E_DAMAGED, "the manifest cannot be read: %s",
                     local.what[0] ? local.what : "it is no JSON object");
        il_error_where(err, "%s", local.where[0] ? local.where : path);
        il_error_hint(err, "measure again, or remove it to report the run as a foreign one");
    }
    return rc;
}

static int tables_load(il_facts *f, il_error *err)
{
    const struct {
        const char *file;
        il_artifact *table;
        bool required;
    } list[] = {{"medians.csv", &f->median_rows, true},
                {"outcomes.csv", &f->outcomes, true},
                {"summary_by_model_backend_mode.csv", &f->summary, true},
                {"summary_by_model_backend_mode_agg.csv", &f->agg, true},
                {"scaling_fits.csv", &f->fits, true},
                {"laws.csv", &f->laws, false},
                {"leave_one_out.csv", &f->leave_one_out, false},
                {"law_points.csv", &f->law_points, false},
                {"law_curves.csv", &f->law_curves, false},
                {"baselines.csv", &f->baselines, false},
                {"shape_costs.csv", &f->shape_costs, false},
                {"noise_floor.csv", &f->noise, false},
                {"blocks.csv", &f->blocks, false},
                {"sampling.csv", &f->sampling, false},
                {"tails.csv", &f->tails, false},
                {"steps.csv", &f->steps, false},
                {"steady.csv", &f->steady, false},
                {"regimes.csv", &f->regimes, false},
                {"crossovers.csv", &f->crossovers, false},
                {"first_limit.csv", &f->first_limit, false},
                {"rankings.csv", &f->rankings, false},
                {"efficiency.csv", &f->efficiency, false},
                {"policy.csv", &f->policy, false},
                {"claims.csv", &f->claims, false},
                {"cold_start.csv", &f->cold_start, false},
                {"cold_law.csv", &f->cold_law, false},
                {"cold_risk.csv", &f->cold_risk, false},
                {"warmup_policy.csv", &f->warmup_policy, false},
                {"parity.csv", &f->parity, false},
                {"equivalence.csv", &f->equivalence, false},
                {"prefix_cache.csv", &f->prefix_cache, false},
                {"memory.csv", &f->memory, false},
                {"energy.csv", &f->energy, false},
                {"ollama_early_stop_summary.csv", &f->early_stop, false}};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        const char *path = il_arena_printf(&f->arena, "%s/analysis/%s", f->run_dir, list[i].file);
        if (!path) {
            return il_fail(err, IL_E_NOMEM, "no memory for the tables");
        }
        int rc = il_artifact_load(path, list[i].file, &f->arena, list[i].table, err);
        if (rc != IL_OK) {
            return rc;
        }
        if (list[i].required && !list[i].table->present) {
            rc = il_fail(err, IL_E_DAMAGED, "the run has no analysis/%s", list[i].file);
            il_error_where(err, "%s", f->run_dir);
            il_error_hint(err, "inferlaw analyze %s", f->run_dir);
            return rc;
        }
    }
    return IL_OK;
}

int il_facts_load(const char *run_dir, il_facts *out, il_error *err)
{
    *out = (il_facts){0};
    if (!il_path_is_dir(run_dir)) {
        int rc = il_fail(err, IL_E_NOT_FOUND, "the run directory is not there");
        il_error_where(err, "%s", run_dir);
        il_error_hint(err, "give the directory that \"inferlaw run\" wrote, as runs/NAME-UTC");
        return rc;
    }
    out->run_dir = il_arena_strdup(&out->arena, run_dir);
    if (!out->run_dir) {
        return il_fail(err, IL_E_NOMEM, "no memory for the report");
    }
    int rc = manifest_load(out, err);
    rc = rc == IL_OK ? tables_load(out, err) : rc;
    return rc == IL_OK
               ? il_medians_read(&out->median_rows, &out->outcomes, &out->arena, &out->medians, err)
               : rc;
}

void il_facts_free(il_facts *facts)
{
    json_decref(facts->manifest);
    facts->manifest = NULL;
    il_arena_free(&facts->arena);
}

static const json_t *find(const il_facts *f, const char *section, const char *key)
{
    const json_t *at = f->manifest;
    at = section ? json_object_get(at, section) : at;
    return json_object_get(at, key);
}

const char *il_facts_text(const il_facts *facts, const char *section, const char *key)
{
    const char *text = json_string_value(find(facts, section, key));
    return text ? text : "";
}

double il_facts_number(const il_facts *facts, const char *section, const char *key)
{
    const json_t *value = find(facts, section, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

double il_facts_mde(const il_facts *facts, const char *backend, const char *mode, size_t *row)
{
    double worst = NAN;
    for (size_t i = 0; i < facts->noise.n_rows; i++) {
        double mde = il_artifact_number(&facts->noise, i, "mde_percent") / 100.0;
        if (strcmp(il_artifact_text(&facts->noise, i, "backend"), backend) == 0 &&
            strcmp(il_artifact_text(&facts->noise, i, "mode"), mode) == 0 && isfinite(mde) &&
            !(mde <= worst)) {
            worst = mde;
            if (row) {
                *row = i;
            }
        }
    }
    return worst;
}

bool il_facts_parity_off(const il_facts *facts)
{
    const json_t *study = json_object_get(facts->manifest, "study");
    return json_is_false(json_object_get(json_object_get(study, "schedule"), "parity"));
}

size_t il_facts_law(const il_facts *facts, const char *backend, const char *mode,
                    int64_t batch_size, const char *x, const char *form)
{
    const il_artifact *t = &facts->laws;
    for (size_t i = 0; i < t->n_rows; i++) {
        if (strcmp(il_artifact_text(t, i, "term"), "slope") == 0 &&
            strcmp(il_artifact_text(t, i, "backend"), backend) == 0 &&
            strcmp(il_artifact_text(t, i, "mode"), mode) == 0 &&
            strcmp(il_artifact_text(t, i, "x"), x) == 0 &&
            strcmp(il_artifact_text(t, i, "form"), form) == 0 &&
            (batch_size == 0 || il_artifact_number(t, i, "batch_size") == (double)batch_size)) {
            return i;
        }
    }
    return SIZE_MAX;
}
