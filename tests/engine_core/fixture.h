/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Small checkpoints for the engine's tests: a config and the deterministic weights of a seed
 * written as one safetensors file, with one tensor poisoned where a test asks.
 */
#ifndef IL_TESTS_ENGINE_CORE_FIXTURE_H
#define IL_TESTS_ENGINE_CORE_FIXTURE_H

#include "check.h"

#include "base/buf.h"
#include "inferlaw/engine.h"
#include "model/shape.h"
#include "model/synth.h"

#include <unistd.h>

typedef struct fixture {
    char dir[512];
    il_shape shape;
} fixture;

typedef struct fixture_writer {
    const il_shape *shape;
    il_dtype dtype;
    uint64_t seed, offset;
    const char *poison; /* name of the tensor whose first element is NaN, or NULL */
    json_t *header;
    FILE *file;
} fixture_writer;

static uint64_t fixture_elements(const il_tensor_info *info)
{
    uint64_t n = 1;
    for (uint32_t i = 0; i < info->n_dims; i++) {
        n *= info->dims[i];
    }
    return n;
}

static int fixture_visit_header(const il_tensor_info *info, void *user)
{
    fixture_writer *w = user;
    json_t *dims = json_array();
    for (uint32_t i = 0; i < info->n_dims; i++) {
        (void)json_array_append_new(dims, json_integer((json_int_t)info->dims[i]));
    }
    uint64_t end = w->offset + fixture_elements(info) * il_dtype_bytes(w->dtype);
    (void)json_object_set_new(w->header, info->name,
                              json_pack("{s:s, s:o, s:[I, I]}", "dtype",
                                        il_dtype_safetensors_name(w->dtype), "shape", dims,
                                        "data_offsets", (json_int_t)w->offset, (json_int_t)end));
    w->offset = end;
    return 0;
}

static int fixture_visit_data(const il_tensor_info *info, void *user)
{
    fixture_writer *w = user;
    uint64_t n = fixture_elements(info);
    size_t size = il_dtype_bytes(w->dtype);
    unsigned char *data = malloc(n * size);
    assert_non_null(data);
    il_synth synth = il_synth_of(w->shape, info, w->seed);
    il_synth_fill(&synth, 0, n, w->dtype, data);
    if (w->poison && strcmp(w->poison, info->name) == 0) {
        memset(data, 0xff, size); /* all ones is a NaN in every format */
    }
    assert_int_equal(fwrite(data, size, n, w->file), n);
    free(data);
    return 0;
}

static void fixture_write_weights(fixture_writer *w, const char *path)
{
    w->header = json_object();
    assert_int_equal(il_shape_each_tensor(w->shape, fixture_visit_header, w), 0);
    char *text = json_dumps(w->header, JSON_COMPACT);
    assert_non_null(text);
    uint64_t padded = (strlen(text) + 7) / 8 * 8;
    w->file = fopen(path, "wb");
    assert_non_null(w->file);
    assert_int_equal(fwrite(&padded, sizeof padded, 1, w->file), 1);
    (void)fprintf(w->file, "%-*s", (int)padded, text);
    assert_int_equal(il_shape_each_tensor(w->shape, fixture_visit_data, w), 0);
    assert_int_equal(fclose(w->file), 0);
    free(text);
    json_decref(w->header);
}

/* Writes a checkpoint with this config.json below a fresh directory. */
static void fixture_make(fixture *f, const char *config, il_dtype dtype, uint64_t seed,
                         const char *poison)
{
    il_error err = {0};
    char path[600];
    json_t *json = json_loads(config, 0, NULL);
    assert_non_null(json);
    check_ok(il_shape_from_hf_config(json, "test", &f->shape, &err), &err);
    (void)snprintf(f->dir, sizeof f->dir, "%s", check_scratch_dir("engine"));
    (void)snprintf(path, sizeof path, "%s/config.json", f->dir);
    assert_int_equal(json_dump_file(json, path, 0), 0);
    json_decref(json);
    (void)snprintf(path, sizeof path, "%s/model.safetensors", f->dir);
    fixture_writer w = {.shape = &f->shape, .dtype = dtype, .seed = seed, .poison = poison};
    fixture_write_weights(&w, path);
}

static void fixture_remove(fixture *f)
{
    char path[600];
    (void)snprintf(path, sizeof path, "%s/config.json", f->dir);
    (void)unlink(path);
    (void)snprintf(path, sizeof path, "%s/model.safetensors", f->dir);
    (void)unlink(path);
    (void)rmdir(f->dir);
}

#endif
