/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/claims_file.h"

#include "analysis/analysis.h"

#include "base/file.h"
#include "study/claims.h"
#include "study/yaml.h"

#include <stdio.h>

static int check(const char *path, il_error *err)
{
    il_claims claims;
    int rc = il_claims_load(path, &claims, err);
    il_claims_free(&claims);
    return rc;
}

int il_claims_keep(const char *file, const char *run_dir, il_error *err)
{
    char to[4096];
    il_buf text;
    il_buf_init(&text, IL_YAML_MAX_BYTES);
    int rc = check(file, err);
    if (rc != IL_OK && !il_path_is_file(file)) {
        il_error_hint(err, "--claims names a file, as claims/tr121.yaml");
    }
    rc = rc ? rc : il_analysis_check_dir(run_dir, err);
    if (rc == IL_OK && il_path_join(to, sizeof to, run_dir, "claims.yaml") != IL_OK) {
        rc = il_fail(err, IL_E_RANGE, "the path of the run is too long");
    }
    rc = rc ? rc : il_file_read(file, &text, err);
    rc = rc ? rc : il_file_write_atomic(to, il_buf_text(&text), text.len, err);
    il_buf_free(&text);
    return rc;
}

int il_claims_of_study(const il_study *study, char *out, size_t out_bytes, il_error *err)
{
    const char *name = il_param_text(&study->top, IL_P_CLAIMS);
    out[0] = '\0';
    if (!name) {
        return IL_OK;
    }
    if (il_path_join(out, out_bytes, study->dir, name) != IL_OK || !il_path_is_file(out)) {
        int n = snprintf(out, out_bytes, "%s", name);
        if (n < 0 || (size_t)n >= out_bytes) {
            return il_fail(err, IL_E_RANGE, "the path of the claims file is too long");
        }
    }
    if (!il_path_is_file(out)) {
        int rc = il_fail(err, IL_E_NOT_FOUND, "the study's claims file is not there: %s", name);
        il_error_where(err, "%s", study->path);
        il_error_hint(err, "it is looked for beside the study and in the working directory");
        return rc;
    }
    return check(out, err);
}
