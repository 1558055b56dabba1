/* SPDX-License-Identifier: Apache-2.0 */
#include "model/checkpoint.h"

#include "base/arena.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "model/safetensors.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_INDEX_BYTES = 256 << 20, MOST_SHARDS = 10000 };

/* A stored tensor by its name in the file. */
typedef struct stored {
    const char *name;
    const il__st_file *file;
    const il__st_entry *entry;
} stored;

struct il_checkpoint {
    il_arena arena;
    il_shape shape;
    const char *dir;
    il__st_file *files;
    size_t n_files;
    stored *all; /* sorted by name */
    size_t n_all;
    il_tensor_view *views; /* the shape's tensors in its order, then extras */
    size_t n_needed, n_views;
    const il_tensor_view **by_name; /* of the needed, sorted */
    void **copies;                  /* of tensors stored off their alignment */
    size_t n_copies;
    uint64_t bytes, params;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const stored *)a)->name, ((const stored *)b)->name);
}

static int out_of_memory(il_error *err)
{
    return il_fail(err, IL_E_NOMEM, "no memory to open the checkpoint");
}

/* --- files --------------------------------------------------------------------------------------
 */

static int path_in(const il_checkpoint *ckpt, const char *name, char *out, size_t n, il_error *err)
{
    int rc = il_path_join(out, n, ckpt->dir, name);
    return rc == IL_OK ? rc : il_fail(err, rc, "path too long: %.200s", ckpt->dir);
}

static int open_file(il_checkpoint *ckpt, const char *name, il_error *err)
{
    char path[4096];
    int rc = path_in(ckpt, name, path, sizeof path, err);
    if (rc == IL_OK) {
        rc = il__st_open(path, &ckpt->arena, &ckpt->files[ckpt->n_files], err);
    }
    if (rc == IL_OK) {
        ckpt->n_files++;
    }
    return rc;
}

/* A shard is a file of the same directory: no other place may be reached through an index. */
static bool plain_file_name(const char *name)
{
    return name[0] != '\0' && name[0] != '.' && !strchr(name, '/') && strlen(name) < 256;
}

static int open_shards(il_checkpoint *ckpt, const json_t *map, const char *index_path,
                       il_error *err)
{
    const char *tensor;
    json_t *value;
    int rc = IL_OK;
    ckpt->files = il_arena_array(&ckpt->arena, MOST_SHARDS, sizeof *ckpt->files);
    if (!ckpt->files) {
        return out_of_memory(err);
    }
    const char *last = "";
    json_object_foreach((json_t *)(uintptr_t)map, tensor, value)
    {
        const char *name = json_string_value(value);
        if (!name || !plain_file_name(name)) {
            rc =
                il_fail(err, IL_E_DAMAGED,
                        "the index sends tensor \"%.100s\" to \"%.100s\", which is no file name of "
                        "its directory",
                        tensor, name ? name : "");
            il_error_where(err, "%s", index_path);
            il_error_hint(err, "download the checkpoint again from a source you trust");
            return rc;
        }
        if (strcmp(name, last) == 0) {
            continue;
        }
        last = name;
        bool open = false;
        for (size_t i = 0; i < ckpt->n_files && !open; i++) {
            open = strcmp(il_path_base(ckpt->files[i].path), name) == 0;
        }
        if (!open && ckpt->n_files == MOST_SHARDS) {
            return il_fail(err, IL_E_RANGE, "more than %d shards", MOST_SHARDS);
        }
        rc = open ? IL_OK : open_file(ckpt, name, err);
        if (rc == IL_E_NOT_FOUND) {
            il_error_hint(err, "a shard of the checkpoint is missing; copy or make it again");
        }
        if (rc != IL_OK) {
            return rc;
        }
    }
    return rc;
}

/* Every tensor of the index must stand in the shard it names. */
static int check_index(const il_checkpoint *ckpt, const json_t *map, const char *index_path,
                       il_error *err)
{
    const char *tensor;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)map, tensor, value)
    {
        const stored *found = ckpt->n_all ? bsearch(&(stored){.name = tensor}, ckpt->all,
                                                    ckpt->n_all, sizeof *ckpt->all, by_name)
                                          : NULL;
        const char *shard = json_string_value(value);
        if (!found || strcmp(il_path_base(found->file->path), shard) != 0) {
            int rc = il_fail(err, IL_E_DAMAGED,
                             "tensor \"%.120s\" is not in %.80s as the index says", tensor, shard);
            il_error_where(err, "%s", index_path);
            il_error_hint(err, "the shards and the index are not of one checkpoint; copy all of it "
                               "again");
            return rc;
        }
    }
    return IL_OK;
}

static int gather(il_checkpoint *ckpt, il_error *err)
{
    size_t n = 0;
    for (size_t i = 0; i < ckpt->n_files; i++) {
        n += ckpt->files[i].n_entries;
    }
    ckpt->all = il_arena_array(&ckpt->arena, n + 1, sizeof *ckpt->all);
    if (!ckpt->all) {
        return out_of_memory(err);
    }
    for (size_t i = 0; i < ckpt->n_files; i++) {
        const il__st_file *file = &ckpt->files[i];
        for (size_t j = 0; j < file->n_entries; j++) {
            ckpt->all[ckpt->n_all++] = (stored){file->entries[j].name, file, &file->entries[j]};
        }
    }
    qsort(ckpt->all, ckpt->n_all, sizeof *ckpt->all, by_name);
    for (size_t i = 1; i < ckpt->n_all; i++) {
        if (strcmp(ckpt->all[i - 1].name, ckpt->all[i].name) == 0) {
            int rc =
                il_fail(err, IL_E_DAMAGED, "tensor \"%.120s\" is stored twice", ckpt->all[i].name);
            il_error_where(err, "%s", ckpt->all[i].file->path);
            il_error_hint(err, "remove the shards of an older checkpoint from the directory");
            return rc;
        }
    }
    return IL_OK;
}

static int no_weights(const il_checkpoint *ckpt, il_error *err)
{
    char path[4096];
    int rc = il_fail(err, IL_E_NOT_FOUND, "no model.safetensors here");
    il_error_where(err, "%s", ckpt->dir);
    if (il_path_join(path, sizeof path, ckpt->dir, "pytorch_model.bin") == IL_OK &&
        il_path_is_file(path)) {
        il_error_hint(err, "pytorch_model.bin is a program, not data: save the model with "
                           "safe_serialization=True");
    } else {
        il_error_hint(err, "a checkpoint is config.json beside model.safetensors, or shards behind "
                           "model.safetensors.index.json");
    }
    return rc;
}

static int open_files(il_checkpoint *ckpt, il_error *err)
{
    char path[4096];
    json_t *index = NULL;
    int rc = path_in(ckpt, "model.safetensors", path, sizeof path, err);
    if (rc != IL_OK) {
        return rc;
    }
    if (il_path_is_file(path)) {
        ckpt->files = il_arena_array(&ckpt->arena, 1, sizeof *ckpt->files);
        rc = ckpt->files ? open_file(ckpt, "model.safetensors", err) : out_of_memory(err);
        return rc == IL_OK ? gather(ckpt, err) : rc;
    }
    rc = path_in(ckpt, "model.safetensors.index.json", path, sizeof path, err);
    if (rc != IL_OK) {
        return rc;
    }
    if (!il_path_is_file(path)) {
        return no_weights(ckpt, err);
    }
    rc = il_json_load(path, MOST_INDEX_BYTES, &index, err);
    const json_t *map = json_object_get(index, "weight_map");
    if (rc == IL_OK && !json_is_object(map)) {
        rc = il_fail(err, IL_E_DAMAGED, "the index has no \"weight_map\"");
        il_error_where(err, "%s", path);
    }
    if (rc == IL_OK) {
        rc = open_shards(ckpt, map, path, err);
    }
    if (rc == IL_OK) {
        rc = gather(ckpt, err);
    }
    if (rc == IL_OK) {
        rc = check_index(ckpt, map, path, err);
    }
    json_decref(index);
    return rc;
}

/* --- tensors of the shape ------------------------------------------------------------------------
 */

static const stored *find(const il_checkpoint *ckpt, const char *name)
{
    if (ckpt->n_all == 0) {
        return NULL;
    }
    return bsearch(&(stored){.name = name}, ckpt->all, ckpt->n_all, sizeof *ckpt->all, by_name);
}

/* The canonical name, without its first prefix, or inside a model that has other halves too. */
static const stored *find_canonical(const il_checkpoint *ckpt, const char *name)
{
    static const char *const prefixes[] = {"transformer.", "model.", "gpt_neox."};
    char text[192];
    const stored *found = find(ckpt, name);
    for (size_t i = 0; !found && i < sizeof prefixes / sizeof *prefixes; i++) {
        if (il_text_starts(name, prefixes[i])) {
            found = find(ckpt, name + strlen(prefixes[i]));
        }
    }
    if (!found) {
        (void)snprintf(text, sizeof text, "language_model.%s", name);
        found = find(ckpt, text);
    }
    if (!found && il_text_starts(name, "model.")) {
        (void)snprintf(text, sizeof text, "model.language_model.%s", name + strlen("model."));
        found = find(ckpt, text);
    }
    return found;
}

static void dims_text(char *out, size_t n_bytes, const uint64_t *dims, uint32_t n_dims)
{
    size_t n = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < n_dims && n < n_bytes; i++) {
        int more = snprintf(out + n, n_bytes - n, "%s%" PRIu64, i ? " x " : "", dims[i]);
        n += more > 0 ? (size_t)more : 0;
    }
}

/* A pointer to the tensor's bytes, aligned to its element: inside the mapping, or a copy when the
 * header's length put the data off. */
static int data_of(il_checkpoint *ckpt, const stored *from, const void **out, il_error *err)
{
    const uint8_t *p = from->file->map + from->file->data_at + from->entry->begin;
    uint64_t n_bytes = from->entry->end - from->entry->begin;
    if ((uintptr_t)p % il_dtype_bytes(from->entry->dtype) == 0) {
        *out = p;
        return IL_OK;
    }
    void *copy = malloc(n_bytes ? n_bytes : 1);
    if (!copy) {
        return out_of_memory(err);
    }
    memcpy(copy, p, n_bytes);
    ckpt->copies[ckpt->n_copies++] = copy;
    *out = copy;
    return IL_OK;
}

static int add_view(il_checkpoint *ckpt, const stored *from, const char *name, il_error *err)
{
    const il__st_entry *entry = from->entry;
    il_tensor_view *view = &ckpt->views[ckpt->n_views];
    *view = (il_tensor_view){
        .name = name,
        .dtype = entry->dtype,
        .n_dims = entry->n_dims,
        .n_bytes = entry->end - entry->begin,
    };
    for (uint32_t i = 0; i < entry->n_dims; i++) {
        view->dims[i] = entry->dims[i];
    }
    int rc = data_of(ckpt, from, &view->data, err);
    if (rc == IL_OK) {
        ckpt->n_views++;
    }
    return rc;
}

typedef struct need {
    il_checkpoint *ckpt;
    bool *taken; /* per element of all */
    size_t n;
    il_error *err;
} need;

static int count_one(const il_tensor_info *info, void *user)
{
    (void)info;
    ((need *)user)->n++;
    return 0;
}

/* Whether config.json says that the weights are stored quantised, in tensors of other names. */
static bool is_quantised(const il_checkpoint *ckpt)
{
    char path[4096];
    json_t *config = NULL;
    bool found = il_path_join(path, sizeof path, ckpt->dir, "config.json") == IL_OK &&
                 il_json_load(path, MOST_INDEX_BYTES, &config, NULL) == IL_OK &&
                 json_is_object(json_object_get(config, "quantization_config"));
    json_decref(config);
    return found;
}

static int missing(const il_checkpoint *ckpt, const il_tensor_info *info, il_error *err)
{
    int rc = il_fail(err, IL_E_INVALID, "tensor \"%s\" is missing", info->name);
    il_error_where(err, "%s", ckpt->dir);
    if (is_quantised(ckpt)) {
        il_error_hint(err,
                      "config.json says the weights are quantised; save the model in bfloat16");
    } else if (info->role == IL_ROLE_HEAD) {
        il_error_hint(err, "if the head shares the embedding, set \"tie_word_embeddings\": true in "
                           "config.json");
    } else {
        il_error_hint(err, "config.json and the weights are not of one model, or a shard is gone");
    }
    return rc;
}

static int take(const il_tensor_info *info, void *user)
{
    need *n = user;
    il_checkpoint *ckpt = n->ckpt;
    const stored *found = find_canonical(ckpt, info->name);
    if (!found) {
        return missing(ckpt, info, n->err);
    }
    const il__st_entry *entry = found->entry;
    int rc = IL_OK;
    if (entry->dtype == IL_DTYPE_COUNT) {
        rc = il_fail(n->err, IL_E_UNSUPPORTED, "tensor \"%s\" is stored as %s", info->name,
                     entry->dtype_text);
        il_error_hint(n->err, "convert the checkpoint to float32, bfloat16 or float16");
    } else if (entry->n_dims != info->n_dims ||
               memcmp(entry->dims, info->dims, info->n_dims * sizeof *info->dims) != 0) {
        char have[96], want[96];
        dims_text(have, sizeof have, entry->dims, entry->n_dims);
        dims_text(want, sizeof want, info->dims, info->n_dims);
        rc = il_fail(n->err, IL_E_INVALID, "tensor \"%s\" is %s, config.json asks for %s",
                     info->name, have, want);
        il_error_hint(n->err, "config.json and the weights are not of one model");
    }
    if (rc != IL_OK) {
        il_error_where(n->err, "%s", found->file->path);
        return rc;
    }
    uint64_t elements = (entry->end - entry->begin) / il_dtype_bytes(entry->dtype);
    ckpt->params += elements;
    n->taken[found - ckpt->all] = true;
    const char *name = il_arena_strdup(&ckpt->arena, info->name);
    return name ? add_view(ckpt, found, name, n->err) : out_of_memory(n->err);
}

static int view_by_name(const void *a, const void *b)
{
    return strcmp((*(const il_tensor_view *const *)a)->name,
                  (*(const il_tensor_view *const *)b)->name);
}

static int take_tensors(il_checkpoint *ckpt, il_error *err)
{
    need n = {.ckpt = ckpt, .err = err};
    (void)il_shape_each_tensor(&ckpt->shape, count_one, &n);
    size_t most = n.n + ckpt->n_all;
    ckpt->views = il_arena_array(&ckpt->arena, most, sizeof *ckpt->views);
    ckpt->copies = il_arena_array(&ckpt->arena, most, sizeof *ckpt->copies);
    ckpt->by_name = il_arena_array(&ckpt->arena, n.n, sizeof *ckpt->by_name);
    n.taken = il_arena_array(&ckpt->arena, ckpt->n_all + 1, sizeof *n.taken);
    if (!ckpt->views || !ckpt->copies || !ckpt->by_name || !n.taken) {
        return out_of_memory(err);
    }
    int rc = il_shape_each_tensor(&ckpt->shape, take, &n);
    if (rc != IL_OK) {
        return rc;
    }
    ckpt->n_needed = ckpt->n_views;
    for (size_t i = 0; i < ckpt->n_needed; i++) {
        ckpt->by_name[i] = &ckpt->views[i];
    }
    qsort(ckpt->by_name, ckpt->n_needed, sizeof *ckpt->by_name, view_by_name);
    for (size_t i = 0; i < ckpt->n_all; i++) {
        const il__st_entry *entry = ckpt->all[i].entry;
        ckpt->bytes += entry->end - entry->begin;
        if (!n.taken[i] && entry->dtype != IL_DTYPE_COUNT && entry->n_dims <= 4) {
            rc = add_view(ckpt, &ckpt->all[i], ckpt->all[i].name, err);
            if (rc != IL_OK) {
                return rc;
            }
        }
    }
    return IL_OK;
}

/* --- public -------------------------------------------------------------------------------------
 */

int il_checkpoint_open(const char *dir, il_checkpoint **out, il_error *err)
{
    if (!il_path_is_dir(dir)) {
        int rc = il_fail(err, IL_E_NOT_FOUND, "no such directory");
        il_error_where(err, "%s", dir);
        il_error_hint(err, "inferlaw model make --suite tr121 --out models makes checkpoints");
        return rc;
    }
    il_checkpoint *ckpt = calloc(1, sizeof *ckpt);
    if (!ckpt) {
        return out_of_memory(err);
    }
    int rc = IL_OK;
    ckpt->dir = il_arena_strdup(&ckpt->arena, dir);
    if (!ckpt->dir) {
        rc = out_of_memory(err);
    }
    if (rc == IL_OK) {
        rc = il_shape_from_dir(dir, &ckpt->shape, err);
    }
    if (rc == IL_OK) {
        rc = open_files(ckpt, err);
    }
    if (rc == IL_OK) {
        rc = take_tensors(ckpt, err);
    }
    if (rc != IL_OK) {
        il_error_where(err, "%s", dir);
        il_checkpoint_close(ckpt);
        return rc;
    }
    *out = ckpt;
    return IL_OK;
}

void il_checkpoint_close(il_checkpoint *ckpt)
{
    if (!ckpt) {
        return;
    }
    for (size_t i = 0; i < ckpt->n_files; i++) {
        il__st_close(&ckpt->files[i]);
    }
    for (size_t i = 0; i < ckpt->n_copies; i++) {
        free(ckpt->copies[i]);
    }
    il_arena_free(&ckpt->arena);
    free(ckpt);
}

const il_shape *il_checkpoint_shape(const il_checkpoint *ckpt)
{
    return &ckpt->shape;
}

const il_tensor_view *il_checkpoint_tensor(const il_checkpoint *ckpt, const char *name)
{
    const il_tensor_view key = {.name = name}, *key_at = &key;
    const il_tensor_view **found =
        bsearch(&key_at, ckpt->by_name, ckpt->n_needed, sizeof *ckpt->by_name, view_by_name);
    return found ? *found : NULL;
}

size_t il_checkpoint_count(const il_checkpoint *ckpt)
{
    return ckpt->n_views;
}

const il_tensor_view *il_checkpoint_at(const il_checkpoint *ckpt, size_t i)
{
    return i < ckpt->n_views ? &ckpt->views[i] : NULL;
}

uint64_t il_checkpoint_bytes(const il_checkpoint *ckpt)
{
    return ckpt->bytes;
}

uint64_t il_checkpoint_params(const il_checkpoint *ckpt)
{
    return ckpt->params;
}
