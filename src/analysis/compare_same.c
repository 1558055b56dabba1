/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "analysis/compare_same.h"

#include "analysis/analysis.h"

#include "base/file.h"
#include "base/json.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 4096, MOST_BYTES = 64 << 20 };

void il__compare_note(il_comparison *out, const char *fmt, ...)
{
    char text[512];
    va_list args;
    if (!out || out->n_notes == sizeof out->notes / sizeof out->notes[0]) {
        return;
    }
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    const char *kept = il_arena_strdup(&out->arena, text);
    if (kept) {
        out->notes[out->n_notes++] = kept;
    }
}

/* NULL without an error when there is none. */
static int load_manifest(const char *run_dir, json_t **out, il_error *err)
{
    char path[PATH_BYTES];
    *out = NULL;
    if (il_path_join(path, sizeof path, run_dir, "manifest.json") != IL_OK) {
        return il_fail(err, IL_E_RANGE, "the path of the run is too long");
    }
    int rc = il_analysis_check_dir(run_dir, err);
    if (rc != IL_OK) {
        return rc;
    }
    if (!il_path_is_file(path)) {
        return IL_OK;
    }
    rc = il_json_load(path, MOST_BYTES, out, err);
    return rc == IL_OK || rc == IL_E_NOMEM ? rc : IL_E_DAMAGED;
}

/* The value below the keys as text, "" when it is not there. */
static void value_of(const json_t *root, const char *section, const char *group, const char *key,
                     char *out, size_t out_bytes)
{
    const json_t *at = section ? json_object_get(root, section) : root;
    at = group ? json_object_get(at, group) : at;
    at = json_object_get(at, key);
    char *dumped = at && !json_is_string(at) && !json_is_null(at)
                       ? json_dumps(at, JSON_ENCODE_ANY | JSON_COMPACT)
                       : NULL;
    const char *text = json_is_string(at) ? json_string_value(at) : dumped ? dumped : "";
    (void)snprintf(out, out_bytes, "%s", text);
    free(dumped);
}

static const struct identity {
    const char *section, *group, *key;
    const char *what;
    bool decides; /* else its change is only worth a note */
} identities[] = {
    {"machine", NULL, "host", "machines (host name)", true},
    {"machine", "cpu", "model", "processors", true},
    {"machine", "cpu", "cpus_allowed", "numbers of CPUs", true},
    {"machine", "cpu", "cores_allowed", "numbers of cores", true},
    {"machine", "cpu", "quota_cpus", "CPU quotas", true},
    {"machine", "caches", "l3_bytes", "caches", true},
    {NULL, NULL, "study_sha256", "studies (study_sha256)", true},
    {"machine", NULL, "kernel", "kernels", false},
    {"machine", "cpu", "governor", "frequency governors", false},
    {"machine", "cpu", "turbo", "turbo settings", false},
    {NULL, NULL, "source_hash", "builds of inferlaw (source hash)", false},
};

/* The runs' own words for a difference. */
static int differs(const struct identity *what, const char *a, const char *b, bool force,
                   il_comparison *out, il_error *err)
{
    if (!what->decides || force) {
        il__compare_note(out, "the runs are of different %s: %.100s and %.100s%s", what->what,
                         a[0] ? a : "unknown", b[0] ? b : "unknown",
                         what->decides ? "; compared because of --force" : "");
        return IL_OK;
    }
    int most = strstr(what->key, "sha256") ? 12 : 100; /* a hash is known by its beginning */
    int rc = il_fail(err, IL_E_USAGE, "the runs are of different %s: %.*s and %.*s", what->what,
                     most, a[0] ? a : "unknown", most, b[0] ? b : "unknown");
    il_error_hint(err, "a difference between them would be no change of speed; --force compares "
                       "all the same");
    return rc;
}

static int missing(const char *run_dir, bool force, il_comparison *out, il_error *err)
{
    if (force) {
        il__compare_note(out,
                         "%.200s has no manifest: its machine and study are unknown; compared "
                         "because of --force",
                         il_path_base(run_dir));
        return IL_OK;
    }
    int rc = il_fail(err, IL_E_USAGE, "the run has no manifest: its machine and study are unknown");
    il_error_where(err, "%s", run_dir);
    il_error_hint(err, "--force compares all the same");
    return rc;
}

int il__compare_same(const char *run_a, const char *run_b, bool force, il_comparison *out,
                     il_error *err)
{
    json_t *a = NULL, *b = NULL;
    int rc = load_manifest(run_a, &a, err);
    rc = rc ? rc : load_manifest(run_b, &b, err);
    if (rc == IL_OK && !a) {
        rc = missing(run_a, force, out, err);
    }
    if (rc == IL_OK && !b) {
        rc = missing(run_b, force, out, err);
    }
    for (size_t i = 0; a && b && rc == IL_OK && i < sizeof identities / sizeof identities[0]; i++) {
        char va[256], vb[256];
        const struct identity *w = &identities[i];
        value_of(a, w->section, w->group, w->key, va, sizeof va);
        value_of(b, w->section, w->group, w->key, vb, sizeof vb);
        rc = strcmp(va, vb) != 0 ? differs(w, va, vb, force, out, err) : IL_OK;
    }
    const json_t *started_a = json_object_get(a, "started_at_unix");
    const json_t *started_b = json_object_get(b, "started_at_unix");
    if (rc == IL_OK && started_a && started_b) {
        double s = fabs(json_number_value(started_b) - json_number_value(started_a));
        il__compare_note(out, "two sittings, begun %.3g %s apart",
                         s < 120    ? s
                         : s < 7200 ? s / 60
                                    : s / 3600,
                         s < 120    ? "seconds"
                         : s < 7200 ? "minutes"
                                    : "hours");
    }
    json_decref(a);
    json_decref(b);
    return rc;
}
