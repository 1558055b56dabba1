/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "report/report.h"

#include "base/file.h"
#include "report/document.h"
#include "report/findings.h"
#include "report/report_internal.h"
#include "report/svg.h"

#include <stdio.h>

enum { MOST_REPORT_BYTES = 256 << 20, PATH_BYTES = 4096 };

static int pictures_make(il_facts *facts, il__pictures *out, il_error *err)
{
    int rc = il__plot_step_time(facts, &out->step_time, &out->has_step_time, err);
    rc = rc == IL_OK ? il__plot_residuals(facts, &out->residuals, &out->has_residuals, err) : rc;
    rc = rc == IL_OK ? il__plot_left_out(facts, &out->left_out, &out->has_left_out, err) : rc;
    return rc == IL_OK ? il__plot_cold(facts, &out->cold, &out->has_cold, err) : rc;
}

static void document_make(il__doc *doc, const il_facts *facts, const il_findings *found,
                          const il__pictures *pictures)
{
    il__report_first_screen(doc, facts, found, pictures);
    il__report_models(doc, facts);
    il__report_noise(doc, facts);
    il__report_laws(doc, facts, pictures);
    il__report_shapes(doc, facts);
    il__report_steps(doc, facts);
    il__report_tails(doc, facts);
    il__report_regimes(doc, facts);
    il__report_crossovers(doc, facts);
    il__report_limits(doc, facts);
    il__report_rankings(doc, facts);
    il__report_efficiency(doc, facts);
    il__report_policy(doc, facts);
    il__report_claims(doc, facts);
    il__report_cold(doc, facts, pictures);
    il__report_optional(doc, facts);
    il__report_memory(doc, facts);
    il__report_energy(doc, facts);
    il__report_machine(doc, facts);
    il__report_method(doc, facts);
    il__report_reproduce(doc, facts);
    il__report_evidence(doc, facts, found);
}

static int file_write(const il_facts *facts, const char *name, const il_buf *text, il_error *err)
{
    char path[PATH_BYTES];
    int rc = text->status == IL_OK ? il_path_join(path, sizeof path, facts->run_dir, name)
                                   : text->status;
    return rc == IL_OK ? il_file_write_atomic(path, il_buf_text(text), text->len, err)
                       : il_fail(err, rc, "cannot hold the report");
}

/* The pictures of report.md, as files of their own. */
static int plots_write(const il__doc *doc, const il_facts *facts, il_error *err)
{
    char dir[PATH_BYTES];
    int rc = il_path_join(dir, sizeof dir, facts->run_dir, "analysis/plots");
    rc = rc == IL_OK ? il_dir_make(dir, err) : il_fail(err, rc, "path too long");
    for (size_t i = 0; rc == IL_OK && i < doc->n_blocks; i++) {
        const il__block *b = &doc->blocks[i];
        if (b->kind == IL__BLOCK_PLOT) {
            il_buf svg;
            il_buf_init(&svg, MOST_REPORT_BYTES);
            il__svg_put(b->plot, true, &svg);
            rc = file_write(facts, il__doc_plot_path(doc, b->plot), &svg, err);
            il_buf_free(&svg);
        }
    }
    return rc;
}

int il_report_write_as(il_facts *facts, unsigned formats, il_error *err)
{
    il_findings found;
    il__pictures pictures = {0};
    const char *name = il_facts_text(facts, NULL, "run_name");
    il__doc doc = {.arena = &facts->arena, .title = name[0] ? name : "A run without a name"};
    il_buf text;
    il_buf_init(&text, MOST_REPORT_BYTES);
    int rc = il_findings_make(facts, &found, err);
    rc = rc == IL_OK ? pictures_make(facts, &pictures, err) : rc;
    if (rc != IL_OK) {
        goto out;
    }
    document_make(&doc, facts, &found, &pictures);
    rc = il__doc_status(&doc, err);
    if (rc == IL_OK && (formats & IL_REPORT_MD)) {
        il__doc_to_md(&doc, &text);
        rc = plots_write(&doc, facts, err);
        rc = rc == IL_OK ? file_write(facts, "report.md", &text, err) : rc;
    }
    if (rc == IL_OK && (formats & IL_REPORT_HTML)) {
        il_buf_clear(&text);
        il__doc_to_html(&doc, &text);
        rc = file_write(facts, "report.html", &text, err);
    }
out:
    il_buf_free(&text);
    return rc;
}

int il_report_write(il_facts *facts, il_error *err)
{
    return il_report_write_as(facts, IL_REPORT_ALL, err);
}
