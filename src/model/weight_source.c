/* SPDX-License-Identifier: Apache-2.0 */
#include "model/weight_source.h"

#include "base/file.h"
#include "base/json.h"
#include "model/make.h"
#include "model/synth.h"

#include <limits.h>
#include <string.h>

enum { MOST_MARKER_BYTES = 4 << 20 };

static void widen(il_dtype dtype, const void *from, size_t n, float *out)
{
    const uint16_t *half = from;
    for (size_t i = 0; i < n; i++) {
        out[i] = dtype == IL_DTYPE_BF16 ? il_bf16_to_f32(half[i]) : il_f16_to_f32(half[i]);
    }
}

void il__weight_fetch(const il__weight_source *s, const il_tensor_info *info, uint64_t first,
                      size_t n, float *out)
{
    if (s->ckpt) {
        const il_tensor_view *view = il_checkpoint_tensor(s->ckpt, info->name);
        const char *at = (const char *)view->data + first * il_dtype_bytes(view->dtype);
        if (view->dtype == IL_DTYPE_F32) {
            memcpy(out, at, n * sizeof *out);
        } else {
            widen(view->dtype, at, n, out);
        }
        return;
    }
    il_synth synth = il_synth_of(s->shape, info, s->seed);
    if (s->dtype == IL_DTYPE_F32) {
        il_synth_fill(&synth, first, n, s->dtype, out);
        return;
    }
    uint16_t part[4096];
    for (size_t i = 0; i < n; i += sizeof part / sizeof *part) {
        size_t take = n - i < sizeof part / sizeof *part ? n - i : sizeof part / sizeof *part;
        il_synth_fill(&synth, first + i, take, s->dtype, part);
        widen(s->dtype, part, take, out + i);
    }
}

int il__weight_source_of_shape(const il_shape *shape, uint64_t seed, il_dtype dtype,
                               il__weight_source *out, il_error *err)
{
    *out = (il__weight_source){.shape = shape,
                               .seed = seed,
                               .dtype = dtype,
                               .name = shape->name[0] ? shape->name : il_arch_name(shape->arch)};
    int rc = il_shape_check(shape, err);
    rc = rc ? rc : il_model_content_hash(shape, seed, dtype, out->hash_text, err);
    out->hash = rc == IL_OK ? out->hash_text : NULL;
    return rc;
}

int il__weight_source_of_dir(const char *dir, il__weight_source *out, il_error *err)
{
    char path[PATH_MAX];
    *out = (il__weight_source){.name = il_path_base(dir)};
    int rc = il_checkpoint_open(dir, &out->ckpt, err);
    if (rc != IL_OK) {
        return rc;
    }
    out->shape = il_checkpoint_shape(out->ckpt);
    if (il_path_join(path, sizeof path, dir, "inferlaw.json") == IL_OK &&
        il_json_load(path, MOST_MARKER_BYTES, &out->marker, NULL) == IL_OK) {
        const char *name = json_string_value(json_object_get(out->marker, "name"));
        out->hash = json_string_value(json_object_get(out->marker, "content_hash"));
        out->name = name ? name : out->name;
    }
    return IL_OK;
}

void il__weight_source_close(il__weight_source *s)
{
    json_decref(s->marker);
    il_checkpoint_close(s->ckpt);
    *s = (il__weight_source){0};
}

int il__weight_check_place(const char *path, bool force, il_error *err)
{
    int rc = IL_OK;
    if (il_path_is_dir(path)) {
        rc = il_fail(err, IL_E_EXISTS, "a directory stands where the file is to be");
        il_error_hint(err, "--out names the file");
    } else if (il_path_is_file(path) && !force) {
        rc = il_fail(err, IL_E_EXISTS, "another file stands here already");
        il_error_hint(err, "--force replaces it");
    }
    if (rc != IL_OK) {
        il_error_where(err, "%s", path);
    }
    return rc;
}
