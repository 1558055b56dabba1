/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/compare_live.h"

#include "analysis/compare.h"
#include "base/file.h"
#include "base/log.h"
#include "cli/study_run.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LEAST_BLOCKS = 10 };

static const char *const suffixes[2] = {IL_COMPARE_SIDE_A, IL_COMPARE_SIDE_B};

/* The flags of run that compare offers too, under its own identities. */
static int run_flags(const il_param_set *flags, il_arena *arena, il_param_set *out, il_error *err)
{
    static const struct {
        il_param_id ours, theirs;
    } same[] = {{IL_P_COMPARE_BLOCKS, IL_P_BLOCKS},
                {IL_P_COMPARE_BACKENDS, IL_P_ONLY_BACKENDS},
                {IL_P_COMPARE_MODELS, IL_P_ONLY_MODELS},
                {IL_P_COMPARE_SCENARIOS, IL_P_ONLY_SCENARIOS}};
    int rc = il_param_set_init(out, IL_SCOPE_RUN, arena, err);
    for (size_t i = 0; rc == IL_OK && i < sizeof same / sizeof same[0]; i++) {
        if (il_param_is_set(flags, same[i].ours)) {
            out->values[same[i].theirs] = flags->values[same[i].ours];
        }
    }
    return rc;
}

/* --- what the sides are ----------------------------------------------------------------------- */

static int usage(il_error *err, const char *what)
{
    int rc = il_fail(err, IL_E_USAGE, "%s", what);
    il_error_hint(err, "--a NAME --b NAME, or --set-a K=V --set-b K=V, or --build-a DIR "
                       "--build-b DIR");
    return rc;
}

static int check_flags(const il_param_set *flags, il_error *err)
{
    bool a = il_param_is_set(flags, IL_P_SIDE_A), b = il_param_is_set(flags, IL_P_SIDE_B);
    bool set = il_param_is_set(flags, IL_P_SET_A) || il_param_is_set(flags, IL_P_SET_B);
    bool build = il_param_is_set(flags, IL_P_BUILD_A) || il_param_is_set(flags, IL_P_BUILD_B);
    if (a != b) {
        return usage(err, "--a and --b go together");
    }
    if (!a && !set && !build) {
        return usage(err, "compare --live needs two sides");
    }
    return IL_OK;
}

static int find_backend(const il_study *s, const char *name, size_t *out, il_error *err)
{
    for (size_t i = 0; i < s->n_backends; i++) {
        if (strcmp(s->backends[i].name, name) == 0) {
            *out = i;
            return IL_OK;
        }
    }
    int rc = il_fail(err, IL_E_USAGE, "the study has no backend entry \"%s\"", name);
    il_error_hint(err, "its first is \"%s\"", s->n_backends ? s->backends[0].name : "");
    return rc;
}

/* One "threads=2" on a side. */
static int apply_setting(il_study_backend *b, const char *setting, il_error *err)
{
    static const il_param_id fixed[] = {IL_P_NAME, IL_P_KIND, IL_P_BATCH_SIZE, IL_P_LOGITS,
                                        IL_P_COMPAT};
    char key[64];
    const char *equals = strchr(setting, '=');
    if (!equals || equals == setting || (size_t)(equals - setting) >= sizeof key) {
        int rc = il_fail(err, IL_E_USAGE, "\"%s\" is no setting", setting);
        il_error_hint(err, "write KEY=VALUE, as threads=1");
        return rc;
    }
    (void)snprintf(key, sizeof key, "%.*s", (int)(equals - setting), setting);
    il_param_id id = il_param_find(key, IL_SCOPE_BACKEND);
    if (id == IL_P_COUNT) {
        const char *nearest = il_param_nearest(key, IL_SCOPE_BACKEND);
        int rc = il_fail(err, IL_E_USAGE, "a backend entry has no key \"%s\"", key);
        il_error_hint(err, nearest ? "did you mean %s?" : "docs/study-files.md lists them%s",
                      nearest ? nearest : "");
        return rc;
    }
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        if (id == fixed[i]) {
            int rc = il_fail(err, IL_E_USAGE,
                             "sides that differ in %s do other work: they are never compared", key);
            il_error_hint(err, "compare settings that leave the work as it is, as threads");
            return rc;
        }
    }
    return il_param_set_text(&b->set, id, equals + 1, IL_ORIGIN_FLAG, err);
}

/* DIR, or the program itself. */
static int apply_build(il_study_backend *b, const char *build, il_arena *arena, il_error *err)
{
    if (strcmp(b->kind, "native") != 0) {
        return il_fail(err, IL_E_USAGE,
                       "--build-a and --build-b are builds of the native engine; %s is of kind %s",
                       b->name, b->kind);
    }
    const char *path =
        il_path_is_dir(build) ? il_arena_printf(arena, "%s/inferlaw-worker-native", build) : build;
    if (!path || access(path, X_OK) != 0 || !il_path_is_file(path)) {
        int rc = il_fail(err, IL_E_NOT_FOUND, "there is no worker program of a build");
        il_error_where(err, "%s", path ? path : build);
        il_error_hint(err, "give the directory that holds inferlaw-worker-native");
        return rc;
    }
    /* A relative path must hold for the worker too, and the shell's search must not begin. */
    char absolute[4096];
    if (path[0] != '/' && getcwd(absolute, sizeof absolute)) {
        path = il_arena_printf(arena, "%s/%s", absolute, path);
    }
    b->set.values[IL_P_COMMAND] = (il_param_value){0};
    return path ? il_param_set_append(&b->set, IL_P_COMMAND, path, IL_ORIGIN_FLAG, err)
                : il_fail(err, IL_E_NOMEM, "no memory for a path");
}

static int make_side(il_study *s, const il_study_backend *from, int side, const il_param_set *flags,
                     il_study_backend *to, il_error *err)
{
    il_param_id set = side ? IL_P_SET_B : IL_P_SET_A;
    il_param_id build = side ? IL_P_BUILD_B : IL_P_BUILD_A;
    *to = *from;
    json_incref(to->options);
    to->name = il_arena_printf(&s->arena, "%s%s", from->name, suffixes[side]);
    if (!to->name) {
        return il_fail(err, IL_E_NOMEM, "no memory for a name");
    }
    int rc = il_param_set_text(&to->set, IL_P_NAME, to->name, IL_ORIGIN_FLAG, err);
    const il_param_value *settings = &flags->values[set];
    for (size_t i = 0; il_param_is_set(flags, set) && i < settings->n && rc == IL_OK; i++) {
        rc = apply_setting(to, settings->texts[i], err);
    }
    if (rc == IL_OK && il_param_is_set(flags, build)) {
        rc = apply_build(to, il_param_text(flags, build), &s->arena, err);
    }
    return rc;
}

/* Cells whose head is computed at other positions, or of other batches, are other work. */
static int check_pair(const il_study_backend *a, const il_study_backend *b, il_error *err)
{
    static const il_param_id texts[] = {IL_P_LOGITS, IL_P_COMPAT};
    for (size_t i = 0; i < 2; i++) {
        const char *x = il_param_text(&a->set, texts[i]), *y = il_param_text(&b->set, texts[i]);
        if (x && y && strcmp(x, y) != 0) {
            return il_fail(err, IL_E_USAGE,
                           "%s has %s: %s and %s has %s: other work, never compared", a->name,
                           il_param_row(texts[i])->name, x, b->name, y);
        }
    }
    int64_t x = il_param_i64(&a->set, IL_P_BATCH_SIZE), y = il_param_i64(&b->set, IL_P_BATCH_SIZE);
    return x == y ? IL_OK
                  : il_fail(err, IL_E_USAGE,
                            "%s has batch size %lld and %s %lld: other work, never compared",
                            a->name, (long long)x, b->name, (long long)y);
}

/* Puts the sides into the study in place of its entries. */
static int make_sides(il_study *s, const il_param_set *flags, il_error *err)
{
    bool named = il_param_is_set(flags, IL_P_SIDE_A);
    size_t pairs[2] = {0, 0};
    int rc = IL_OK;
    if (named) {
        rc = find_backend(s, il_param_text(flags, IL_P_SIDE_A), &pairs[0], err);
        rc = rc ? rc : find_backend(s, il_param_text(flags, IL_P_SIDE_B), &pairs[1], err);
    }
    size_t n = named ? 1 : s->n_backends;
    il_study_backend *sides = il_arena_array(&s->arena, 2 * n, sizeof *sides);
    if (rc == IL_OK && !sides) {
        rc = il_fail(err, IL_E_NOMEM, "no memory for two sides");
    }
    size_t made = 0;
    for (size_t i = 0; i < n && rc == IL_OK; i++) {
        const il_study_backend *a = &s->backends[named ? pairs[0] : i];
        const il_study_backend *b = &s->backends[named ? pairs[1] : i];
        rc = make_side(s, a, 0, flags, &sides[made++], err);
        if (rc == IL_OK) {
            rc = make_side(s, b, 1, flags, &sides[made++], err);
        }
        rc = rc ? rc : check_pair(&sides[2 * i], &sides[2 * i + 1], err);
    }
    if (made > 0) {
        for (size_t i = 0; i < s->n_backends; i++) {
            json_decref(s->backends[i].options);
        }
        s->backends = sides;
        s->n_backends = made;
        s->paired = true;
    }
    return rc;
}

static int set_blocks(il_study *s, const il_param_set *flags, il_error *err)
{
    if (il_param_is_set(flags, IL_P_COMPARE_BLOCKS) || il_study_blocks(s) >= LEAST_BLOCKS) {
        return IL_OK;
    }
    char text[16];
    (void)snprintf(text, sizeof text, "%d", LEAST_BLOCKS);
    return il_param_set_text(&s->schedule, IL_P_BLOCKS, text, IL_ORIGIN_FLAG, err);
}

int il_compare_live(const char *path, const il_param_set *flags, char *dir, size_t dir_bytes,
                    int *exit_code, il_error *err)
{
    il_arena arena = {0};
    il_study study = {0};
    il_param_set set;
    il_study_run run = {.out_dir = il_param_text(flags, IL_P_COMPARE_OUT_DIR),
                        .resume = il_param_flag(flags, IL_P_COMPARE_RESUME),
                        .quiet = il_param_flag(flags, IL_P_QUIET)};
    int rc = check_flags(flags, err);
    rc = rc ? rc : run_flags(flags, &arena, &set, err);
    il_study_options options = {.flags = &set};
    if (rc == IL_OK) {
        il_stop_install();
        rc = il_study_load(path, &options, &study, err);
    }
    rc = rc ? rc : make_sides(&study, flags, err);
    rc = rc ? rc : set_blocks(&study, flags, err);
    rc = rc ? rc : il_study_run_all(&study, &run, err);
    if (rc == IL_OK) {
        *exit_code = il_study_run_verdict(&run);
        (void)snprintf(dir, dir_bytes, "%s", run.dir);
    }
    il_study_free(&study);
    il_arena_free(&arena);
    return rc;
}
