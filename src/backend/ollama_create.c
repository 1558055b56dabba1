/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A model given as a file: brought to the server as a blob and made a model without a template,
 * under a name that says what it is made of, so that it is made once.
 */
#include "backend/ollama.h"

#include "base/file.h"
#include "base/json.h"
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct mapping {
    char *bytes;
    size_t n_bytes;
    int64_t mtime_ns;
} mapping;

const char *il__ollama_file(const il_backend_model *model)
{
    if (model->file) {
        return model->file;
    }
    if (model->path && il_text_ends(model->path, ".gguf")) {
        return model->path;
    }
    return il_text_ends(model->name, ".gguf") && il_path_is_file(model->name) ? model->name : NULL;
}

static int map_file(const char *path, mapping *out, il_error *err)
{
    struct stat st;
    int rc = IL_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        rc = il_fail_errno(err, errno, "cannot read the model's file");
    } else if (!S_ISREG(st.st_mode) || st.st_size == 0) {
        rc = il_fail(err, IL_E_INVALID, "the model's file is empty or no regular file");
    } else {
        out->n_bytes = (size_t)st.st_size;
        out->mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
        out->bytes = mmap(NULL, out->n_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
        if (out->bytes == MAP_FAILED) {
            out->bytes = NULL;
            rc = il_fail_errno(err, errno, "cannot map the model's file");
        }
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    if (rc != IL_OK) {
        il_error_where(err, "%s", path);
    }
    return rc;
}

static int hash_bytes(const mapping *file, char hex[65], il_error *err)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (EVP_Digest(file->bytes, file->n_bytes, digest, &n, EVP_sha256(), NULL) != 1 || n != 32) {
        return il_fail(err, IL_E_INTERNAL, "SHA-256 of the model's file failed");
    }
    for (unsigned i = 0; i < n; i++) {
        (void)snprintf(hex + 2 * (size_t)i, 3, "%02x", digest[i]);
    }
    return IL_OK;
}

/* The hash of the file's content; the file is read only when its size or time have changed. */
static int file_hash(il__ollama *o, const char *path, const mapping *file, char hex[65],
                     il_error *err)
{
    const json_t *known = json_object_get(o->hashes, path);
    const char *text = json_string_value(json_object_get(known, "sha256"));
    if (text && json_integer_value(json_object_get(known, "size")) == (json_int_t)file->n_bytes &&
        json_integer_value(json_object_get(known, "mtime_ns")) == (json_int_t)file->mtime_ns) {
        (void)snprintf(hex, 65, "%s", text);
        return IL_OK;
    }
    int rc = hash_bytes(file, hex, err);
    if (rc == IL_OK) {
        (void)json_object_set_new(o->hashes, path,
                                  json_pack("{s:s,s:I,s:I}", "sha256", hex, "size",
                                            (json_int_t)file->n_bytes, "mtime_ns",
                                            (json_int_t)file->mtime_ns));
    }
    return rc;
}

/* "inferlaw-NAME:HASH12"; of NAME what a model's name may hold. */
static void name_of(const char *model, const char hex[65], char *out, size_t out_bytes)
{
    char plain[64];
    size_t n = 0;
    for (const char *c = il_path_base(model); *c && n < sizeof plain - 1; c++) {
        bool fine = isalnum((unsigned char)*c) || (n > 0 && (*c == '-' || *c == '.'));
        plain[n++] = fine ? (char)tolower((unsigned char)*c) : '-';
    }
    plain[n] = '\0';
    (void)snprintf(out, out_bytes, "inferlaw-%s:%.12s", plain, hex);
}

static int ignore_line(const char *line, size_t n_bytes, int64_t t_ns, void *user)
{
    (void)line;
    (void)n_bytes;
    (void)t_ns;
    (void)user;
    return IL_OK;
}

/* A blob that the server has already is not sent: it answers 200 before it reads the body. */
static int send_blob(il__ollama *o, const mapping *file, const char hex[65], il_error *err)
{
    char path[128];
    (void)snprintf(path, sizeof path, "/api/blobs/sha256:%s", hex);
    il__http_stream stream = {.path = path,
                              .body = file->bytes,
                              .n_body = file->n_bytes,
                              .deadline_s = 600,
                              .on_line = ignore_line};
    int rc = il__http_run(o->http, &stream, err);
    if (rc == IL_OK && stream.status != 200 && stream.status != 201) {
        rc = il__ollama_refusal(o, stream.status, "the model's file was not taken", err);
    }
    return rc;
}

static int create(il__ollama *o, const mapping *file, const char hex[65], const char *name,
                  il_error *err)
{
    char digest[80];
    json_t *reply = NULL;
    int rc = send_blob(o, file, hex, err);
    if (rc != IL_OK) {
        return rc;
    }
    (void)snprintf(digest, sizeof digest, "sha256:%s", hex);
    json_t *body =
        json_pack("{s:s,s:{s:s},s:b}", "model", name, "files", "model.gguf", digest, "stream", 0);
    rc = il__ollama_ask(o, "/api/create", body, 600, &reply, err);
    json_decref(body);
    const char *status = json_string_value(json_object_get(reply, "status"));
    if (rc == IL_OK && (!status || strcmp(status, "success") != 0)) {
        rc = il_fail(err, IL_E_IO, "Ollama did not make a model of the file: %.200s",
                     status ? status : "no status in its answer");
    }
    json_decref(reply);
    return rc;
}

int il__ollama_provide(il__ollama *o, const il_backend_model *model, char *name, size_t name_bytes,
                       il_error *err)
{
    const char *path = il__ollama_file(model);
    mapping file = {0};
    char hex[65] = "";
    json_t *shown = NULL;
    if (!path) {
        (void)snprintf(name, name_bytes, "%s", model->name);
        return IL_OK;
    }
    int rc = map_file(path, &file, err);
    rc = rc ? rc : file_hash(o, path, &file, hex, err);
    if (rc == IL_OK) {
        name_of(model->name, hex, name, name_bytes);
        il_error missing = {0};
        rc = il__ollama_show(o, name, &shown, &missing);
        if (rc == IL_E_NOT_FOUND) {
            rc = create(o, &file, hex, name, err);
            if (rc != IL_OK) {
                il_error_where(err, "%s", path);
            }
        } else if (rc != IL_OK && err) {
            *err = missing;
        }
    }
    json_decref(shown);
    if (file.bytes) {
        (void)munmap(file.bytes, file.n_bytes);
    }
    return rc;
}
