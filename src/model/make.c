/* SPDX-License-Identifier: Apache-2.0
 *
 * The directory around the weights: what stands there already, room, config.json, marker, rename.
 */
#include "model/make.h"

#include "base/arena.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "base/version.h"
#include "model/make_weights.h"
#include "model/synth.h"
#include "model/vocab.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { MOST_MARKER_BYTES = 4 << 20, SPARE_BYTES = 1 << 20, HASH_DIGITS_IN_NAME = 12 };

/* --- content hash -------------------------------------------------------------------------------
 */

static int hash_tensor(const il_tensor_info *info, void *user)
{
    char line[256];
    int n = snprintf(line, sizeof line, "%s %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", info->name,
                     info->dims[0], info->dims[1], info->dims[2]);
    return n > 0 && EVP_DigestUpdate(user, line, (size_t)n) == 1 ? 0 : IL_E_NOMEM;
}

int il_model_content_hash(const il_shape *shape, uint64_t seed, il_dtype dtype, char out[65],
                          il_error *err)
{
    int rc = IL_E_NOMEM;
    char head[160];
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n_digest = 0;
    json_t *config = il_shape_hf_config(shape);
    char *text = config ? il_json_dump(config) : NULL;
    EVP_MD_CTX *sha = EVP_MD_CTX_new();
    int n = snprintf(head, sizeof head, "inferlaw weights %s\nseed %" PRIu64 "\ndtype %s\n",
                     IL_SYNTH_VERSION, seed, il_dtype_name(dtype));
    if (text && sha && n > 0 && EVP_DigestInit_ex(sha, EVP_sha256(), NULL) == 1 &&
        EVP_DigestUpdate(sha, head, (size_t)n) == 1 &&
        EVP_DigestUpdate(sha, text, strlen(text)) == 1 &&
        il_shape_each_tensor(shape, hash_tensor, sha) == 0 &&
        EVP_DigestFinal_ex(sha, digest, &n_digest) == 1) {
        rc = IL_OK;
    }
    for (unsigned i = 0; rc == IL_OK && i < 32; i++) {
        (void)snprintf(out + 2 * i, 3, "%02x", digest[i]);
    }
    EVP_MD_CTX_free(sha);
    free(text);
    json_decref(config);
    return rc == IL_OK ? rc : il_fail(err, rc, "no memory to hash the shape");
}

/* --- what stands there --------------------------------------------------------------------------
 */

/* Whether dir's marker has this hash and every file it lists has its size. */
static bool is_identical(const char *dir, const char *hash)
{
    char path[PATH_MAX];
    json_t *marker = NULL;
    bool same = false;
    if (il_path_join(path, sizeof path, dir, "inferlaw.json") == IL_OK &&
        il_json_load(path, MOST_MARKER_BYTES, &marker, NULL) == IL_OK) {
        const char *theirs = json_string_value(json_object_get(marker, "content_hash"));
        json_t *files = json_object_get(marker, "files"), *value;
        const char *name;
        same = theirs && strcmp(theirs, hash) == 0 && json_object_size(files) > 0;
        json_object_foreach(files, name, value)
        {
            struct stat st;
            same = same && il_path_join(path, sizeof path, dir, name) == IL_OK &&
                   stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
                   st.st_size == json_integer_value(value);
        }
    }
    json_decref(marker);
    return same;
}

typedef enum standing { NOTHING, EMPTY, A_MODEL, SOMETHING_ELSE } standing;

static standing what_stands(const char *dir)
{
    struct stat st;
    if (lstat(dir, &st) != 0) {
        return NOTHING;
    }
    DIR *d = S_ISDIR(st.st_mode) ? opendir(dir) : NULL;
    if (!d) {
        return SOMETHING_ELSE;
    }
    standing found = EMPTY;
    bool config = false, other = false;
    const struct dirent *e;
    while ((e = readdir(d))) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) {
            continue;
        }
        found = SOMETHING_ELSE;
        config = config || strcmp(e->d_name, "config.json") == 0;
        other = other || e->d_type == DT_DIR; /* a model of ours is flat */
    }
    (void)closedir(d);
    return found == SOMETHING_ELSE && config && !other ? A_MODEL : found;
}

/* Removes the files of a flat directory and the directory. */
static void remove_flat(const char *dir)
{
    DIR *d = opendir(dir);
    const struct dirent *e;
    while (d && (e = readdir(d))) {
        char path[PATH_MAX];
        if (il_path_join(path, sizeof path, dir, e->d_name) == IL_OK) {
            (void)unlink(path);
        }
    }
    if (d) {
        (void)closedir(d);
    }
    (void)rmdir(dir);
}

static int refuse(const char *dir, standing there, bool force, il_error *err)
{
    int rc = IL_OK;
    if (there == SOMETHING_ELSE) {
        rc = il_fail(err, IL_E_EXISTS, "something that is no model stands in the way");
        il_error_hint(err, "choose another place, or move it away");
    } else if (there == A_MODEL && !force) {
        rc = il_fail(err, IL_E_EXISTS, "a different model stands here already");
        il_error_hint(err, "--force replaces it");
    }
    if (rc != IL_OK) {
        il_error_where(err, "%s", dir);
    }
    return rc;
}

/* --- room ---------------------------------------------------------------------------------------
 */

/* Asked of the nearest ancestor that exists, so that a refusal leaves nothing behind. */
static int check_room(const char *dir, uint64_t n_bytes, il_error *err)
{
    char at[PATH_MAX];
    struct statvfs fs;
    (void)snprintf(at, sizeof at, "%s", dir);
    while (statvfs(at, &fs) != 0) {
        int why = errno;
        char *slash = strrchr(at, '/');
        if (why != ENOENT || strcmp(at, "/") == 0 || strcmp(at, ".") == 0) {
            int rc = il_fail_errno(err, why, "cannot ask for free space");
            il_error_where(err, "%s", at);
            return rc;
        }
        if (!slash) {
            (void)snprintf(at, sizeof at, ".");
        } else {
            slash[slash == at] = '\0'; /* the root keeps its slash */
        }
    }
    uint64_t room = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (room < n_bytes + SPARE_BYTES) {
        int rc = il_fail(err, IL_E_NO_SPACE, "the model needs %.1f MB, %.1f MB are free",
                         (double)n_bytes / 1e6, (double)room / 1e6);
        il_error_where(err, "%s", dir);
        il_error_hint(err, "free some space, choose another place, or take --dtype bf16");
        return rc;
    }
    return IL_OK;
}

/* --- making -------------------------------------------------------------------------------------
 */

static const char *torch_name(il_dtype dtype)
{
    switch (dtype) {
    case IL_DTYPE_BF16:
        return "bfloat16";
    case IL_DTYPE_F16:
        return "float16";
    default:
        return "float32";
    }
}

static int write_json(const char *dir, const char *name, json_t *value, il_error *err)
{
    char path[PATH_MAX];
    int rc = il_path_join(path, sizeof path, dir, name);
    if (rc != IL_OK) {
        return il_fail(err, rc, "path too long: %.200s", dir);
    }
    char *text = value ? il_json_dump_pretty(value) : NULL;
    if (!text) {
        return il_fail(err, IL_E_NOMEM, "no memory for %s", name);
    }
    rc = il_file_write_atomic(path, text, strlen(text), err);
    free(text);
    return rc;
}

static int write_config(const il_shape *shape, const char *dir, il_dtype dtype, il_error *err)
{
    json_t *config = il_shape_hf_config(shape);
    if (config && json_object_set_new(config, "torch_dtype", json_string(torch_name(dtype)))) {
        json_decref(config);
        config = NULL;
    }
    int rc = write_json(dir, "config.json", config, err);
    json_decref(config);
    return rc;
}

static int write_marker(const char *dir, const char *name, const il_make_options *options,
                        const char *hash, const il__weights *weights, il_error *err)
{
    json_t *files = json_object();
    int failed = files == NULL;
    for (size_t i = 0; i < weights->n_shards; i++) {
        failed |= json_object_set_new(files, weights->shards[i].name,
                                      json_integer((json_int_t)weights->shards[i].file_bytes));
    }
    json_t *marker = json_pack(
        "{s:i, s:s, s:s, s:s, s:s, s:I, s:s, s:s, s:o}", "format", 1, "kind", "synthetic", "name",
        name, "weights", IL_SYNTH_VERSION, "content_hash", hash, "seed", (json_int_t)options->seed,
        "dtype", il_dtype_name(options->dtype), "made_by", il_source_hash(), "files", files);
    int rc = failed || !marker ? il_fail(err, IL_E_NOMEM, "no memory for the marker")
                               : write_json(dir, "inferlaw.json", marker, err);
    json_decref(marker);
    return rc;
}

/* Servers that read the directory want a tokenizer; a vocabulary too small for text goes without.
 */
static int write_vocab(const il_shape *shape, const char *dir, il_error *err)
{
    return shape->vocab_size < IL_VOCAB_LEAST ? IL_OK : il_vocab_write(shape->vocab_size, dir, err);
}

/* A directory of before there were vocabularies gets one. */
static int complete_vocab(const il_shape *shape, const char *dir, il_error *err)
{
    char path[PATH_MAX];
    int rc = il_path_join(path, sizeof path, dir, "tokenizer.json");
    return rc == IL_OK && il_path_is_file(path) ? IL_OK : write_vocab(shape, dir, err);
}

static int fill_dir(const il_shape *shape, const char *name, const char *tmp, const char *hash,
                    const il__weights *weights, const il_make_options *options, il_error *err)
{
    int rc = il__weights_write(weights, name, tmp, options, err);
    if (rc == IL_OK) {
        rc = write_config(shape, tmp, options->dtype, err);
    }
    if (rc == IL_OK) {
        rc = write_marker(tmp, name, options, hash, weights, err);
    }
    return rc == IL_OK ? write_vocab(shape, tmp, err) : rc;
}

/* Puts tmp in dir's place. Another process may have been faster: its identical model wins. */
static int move_in(const char *tmp, const char *dir, standing there, const char *hash, bool *kept,
                   il_error *err)
{
    char old[PATH_MAX];
    int n = snprintf(old, sizeof old, "%s.old-%ld", dir, (long)getpid());
    if (n < 0 || (size_t)n >= sizeof old) {
        return il_fail(err, IL_E_RANGE, "path too long: %.200s", dir);
    }
    if (there == A_MODEL && rename(dir, old) != 0) {
        return il_fail_errno(err, errno, "cannot move the old model away");
    }
    if (rename(tmp, dir) != 0) {
        int why = errno;
        if (there == A_MODEL) {
            (void)rename(old, dir);
        } else if (is_identical(dir, hash)) {
            remove_flat(tmp);
            *kept = true;
            return IL_OK;
        }
        return il_fail_errno(err, why, "cannot rename the finished model into place");
    }
    if (there == A_MODEL) {
        remove_flat(old);
    }
    return IL_OK;
}

static int make_parent(const char *dir, il_error *err)
{
    char parent[PATH_MAX];
    (void)snprintf(parent, sizeof parent, "%s", dir);
    char *slash = strrchr(parent, '/');
    if (!slash || slash == parent) {
        return IL_OK;
    }
    *slash = '\0';
    int rc = il_dir_make(parent, err);
    if (rc == IL_E_ACCESS) {
        il_error_hint(err, "choose a place you may write to");
    }
    return rc;
}

/* Removes what killed processes left beside dir: NAME.tmp-PID and NAME.old-PID of dead PIDs. */
static void sweep(const char *dir)
{
    char parent[PATH_MAX];
    (void)snprintf(parent, sizeof parent, "%s", dir);
    char *slash = strrchr(parent, '/');
    const char *name = il_path_base(dir);
    if (slash) {
        slash[slash == parent] = '\0';
    }
    DIR *d = opendir(slash ? parent : ".");
    const struct dirent *e;
    while (d && (e = readdir(d))) {
        size_t n = strlen(name);
        int64_t pid;
        if (strncmp(e->d_name, name, n) == 0 &&
            (il_text_starts(e->d_name + n, ".tmp-") || il_text_starts(e->d_name + n, ".old-")) &&
            il_text_to_i64(e->d_name + n + 5, &pid) == IL_OK && pid > 0 && pid <= INT32_MAX &&
            kill((pid_t)pid, 0) != 0 && errno == ESRCH) {
            char path[PATH_MAX + 300];
            (void)snprintf(path, sizeof path, "%s/%s", slash ? parent : ".", e->d_name);
            remove_flat(path);
        }
    }
    if (d) {
        (void)closedir(d);
    }
}

/* Makes tmp, fills it and puts it in to's place. */
static int make_new(const il_shape *shape, const char *to, const char *hash, standing there,
                    const il_make_options *options, bool *kept, il_error *err)
{
    char tmp[PATH_MAX];
    il_arena arena = {0};
    il__weights weights = {0};
    bool made = false;
    int rc = il__weights_plan(shape, options, &arena, &weights, err);
    if (rc == IL_OK) {
        rc = check_room(to, weights.total_bytes, err);
    }
    if (rc == IL_OK) {
        rc = make_parent(to, err);
    }
    if (rc != IL_OK) {
        goto out;
    }
    sweep(to);
    (void)snprintf(tmp, sizeof tmp, "%s.tmp-%ld", to, (long)getpid());
    if (mkdir(tmp, 0777) != 0) {
        rc = il_fail_errno(err, errno, "cannot create the model's directory");
        il_error_hint(err, "choose a place you may write to");
        goto out;
    }
    made = true;
    const char *name = shape->name[0] ? shape->name : il_path_base(to);
    rc = fill_dir(shape, name, tmp, hash, &weights, options, err);
    if (rc == IL_OK) {
        rc = move_in(tmp, to, there, hash, kept, err);
    }
out:
    if (rc != IL_OK) {
        if (made) {
            remove_flat(tmp);
        }
        il_error_where(err, "%s", to);
    }
    il_arena_free(&arena);
    return rc;
}

int il_model_make(const il_shape *shape, const char *dir, const il_make_options *options,
                  bool *kept, il_error *err)
{
    char to[PATH_MAX - 64], hash[65];
    bool kept_here = false;
    int n = snprintf(to, sizeof to, "%s", dir);
    if (n <= 0 || (size_t)n >= sizeof to) {
        return il_fail(err, IL_E_RANGE, "path empty or too long: %.200s", dir);
    }
    while (n > 1 && to[n - 1] == '/') {
        to[--n] = '\0';
    }
    int rc = il_shape_check(shape, err);
    if (rc == IL_OK) {
        rc = il_model_content_hash(shape, options->seed, options->dtype, hash, err);
    }
    if (rc == IL_OK && is_identical(to, hash)) {
        kept_here = true;
        rc = complete_vocab(shape, to, err);
    } else if (rc == IL_OK) {
        standing there = what_stands(to);
        rc = refuse(to, there, options->force, err);
        if (rc == IL_OK) {
            rc = make_new(shape, to, hash, there, options, &kept_here, err);
        }
    }
    if (kept) {
        *kept = kept_here;
    }
    return rc;
}

int il_model_ensure(const il_shape *shape, const char *cache_dir, const il_make_options *options,
                    char *dir_out, size_t dir_out_bytes, il_error *err)
{
    char hash[65];
    int rc = il_model_content_hash(shape, options->seed, options->dtype, hash, err);
    if (rc != IL_OK) {
        return rc;
    }
    const char *name = shape->name[0] ? shape->name : il_arch_name(shape->arch);
    if (il_path_join(dir_out, dir_out_bytes, cache_dir, name) == IL_OK &&
        is_identical(dir_out, hash)) {
        return complete_vocab(shape, dir_out, err);
    }
    int n =
        snprintf(dir_out, dir_out_bytes, "%s/%s-%.*s", cache_dir, name, HASH_DIGITS_IN_NAME, hash);
    if (n < 0 || (size_t)n >= dir_out_bytes) {
        return il_fail(err, IL_E_RANGE, "path too long: %.200s", cache_dir);
    }
    /* Under this name only this model can stand: what differs is damaged. */
    il_make_options replacing = *options;
    replacing.force = true;
    return il_model_make(shape, dir_out, &replacing, NULL, err);
}
