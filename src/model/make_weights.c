/* SPDX-License-Identifier: Apache-2.0 */
#include "model/make_weights.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

enum { CHUNK_BYTES = 1 << 20, MOST_THREADS = 64 };
static const uint64_t usual_shard_bytes = (uint64_t)2 << 30;

static int out_of_memory(il_error *err)
{
    return il_fail(err, IL_E_NOMEM, "no memory to plan the weights");
}

/* --- plan ---------------------------------------------------------------------------------------
 */

typedef struct planner {
    const il_shape *shape;
    uint64_t seed;
    il__weights *weights; /* tensors NULL: count only */
    size_t n;
} planner;

static int plan_tensor(const il_tensor_info *info, void *user)
{
    planner *p = user;
    if (p->weights->tensors) {
        il__weights_tensor *t = &p->weights->tensors[p->n];
        t->info = *info;
        t->synth = il_synth_of(p->shape, info, p->seed);
        t->n_elements = 1;
        for (uint32_t i = 0; i < info->n_dims; i++) {
            t->n_elements *= info->dims[i]; /* the shape was checked */
        }
        t->n_bytes = t->n_elements * il_dtype_bytes(p->weights->dtype);
    }
    p->n++;
    return 0;
}

/* Cuts the tensors into shards, in order, a new one whenever the next tensor does not fit. */
static void cut(il__weights *w, uint64_t shard_bytes, bool count_only)
{
    w->n_shards = 0;
    uint64_t filled = 0;
    for (size_t i = 0; i < w->n_tensors; i++) {
        il__weights_tensor *t = &w->tensors[i];
        if (i == 0 || (filled > 0 &&
                       t->n_bytes > shard_bytes - (filled < shard_bytes ? filled : shard_bytes))) {
            if (!count_only) {
                w->shards[w->n_shards].first_tensor = i;
            }
            w->n_shards++;
            filled = 0;
        }
        if (!count_only) {
            il__weights_shard *s = &w->shards[w->n_shards - 1];
            t->begin = filled;
            s->n_tensors++;
            s->data_bytes = filled + t->n_bytes;
        }
        filled += t->n_bytes;
    }
}

static int write_header(const il__weights *w, il__weights_shard *s, il_arena *arena, il_error *err)
{
    il_buf text;
    il_buf_init(&text, (size_t)1 << 30);
    /* transformers insists on the format entry. */
    (void)il_buf_puts(&text, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = s->first_tensor; i < s->first_tensor + s->n_tensors; i++) {
        const il__weights_tensor *t = &w->tensors[i];
        (void)il_buf_printf(&text, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[", t->info.name,
                            il_dtype_safetensors_name(w->dtype));
        for (uint32_t j = 0; j < t->info.n_dims; j++) {
            (void)il_buf_printf(&text, "%s%" PRIu64, j ? "," : "", t->info.dims[j]);
        }
        (void)il_buf_printf(&text, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", t->begin,
                            t->begin + t->n_bytes);
    }
    (void)il_buf_puts(&text, "}");
    while (text.status == IL_OK && text.len % 64 != 56) {
        (void)il_buf_puts(&text, " "); /* data then starts at a cache line */
    }
    s->header = text.status == IL_OK ? il_arena_strndup(arena, text.data, text.len) : NULL;
    s->header_bytes = text.len;
    s->file_bytes = 8 + text.len + s->data_bytes;
    il_buf_free(&text);
    return s->header ? IL_OK : out_of_memory(err);
}

int il__weights_plan(const il_shape *shape, const il_make_options *options, il_arena *arena,
                     il__weights *out, il_error *err)
{
    uint64_t shard_bytes = options->shard_bytes ? options->shard_bytes : usual_shard_bytes;
    *out = (il__weights){.dtype = options->dtype};
    planner p = {.shape = shape, .seed = options->seed, .weights = out};
    (void)il_shape_each_tensor(shape, plan_tensor, &p);
    out->n_tensors = p.n;
    out->tensors = il_arena_array(arena, p.n, sizeof *out->tensors);
    if (!out->tensors) {
        return out_of_memory(err);
    }
    p.n = 0;
    (void)il_shape_each_tensor(shape, plan_tensor, &p);
    cut(out, shard_bytes, true);
    out->shards = il_arena_array(arena, out->n_shards, sizeof *out->shards);
    if (!out->shards) {
        return out_of_memory(err);
    }
    cut(out, shard_bytes, false);
    for (size_t i = 0; i < out->n_shards; i++) {
        il__weights_shard *s = &out->shards[i];
        if (out->n_shards == 1) {
            (void)snprintf(s->name, sizeof s->name, "model.safetensors");
        } else {
            (void)snprintf(s->name, sizeof s->name, "model-%05zu-of-%05zu.safetensors", i + 1,
                           out->n_shards);
        }
        int rc = write_header(out, s, arena, err);
        if (rc != IL_OK) {
            return rc;
        }
        out->total_bytes += s->file_bytes;
    }
    return IL_OK;
}

/* --- write --------------------------------------------------------------------------------------
 */

/* What the threads of one shard share. Work is handed out in chunks of a tensor. */
typedef struct job {
    const il__weights *weights;
    const il__weights_shard *shard;
    int fd;
    const uint64_t *first_chunk; /* of each tensor of the shard, and the end */
    atomic_uint_least64_t next_chunk;
    atomic_uint_least64_t done_bytes;
    atomic_int failed_errno;
    atomic_bool stopped;
    const il_make_options *options;
    const char *name;
    uint64_t before_bytes; /* of earlier shards */
} job;

static int write_at(int fd, const char *bytes, size_t n_bytes, off_t at)
{
    while (n_bytes > 0) {
        ssize_t n = pwrite(fd, bytes, n_bytes, at);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? errno : EIO;
        }
        bytes += n;
        at += n;
        n_bytes -= (size_t)n;
    }
    return 0;
}

/* The tensor that chunk c belongs to: the last whose first chunk is not above c. */
static size_t tensor_of(const job *j, uint64_t c)
{
    size_t low = 0, high = j->shard->n_tensors;
    while (high - low > 1) {
        size_t mid = low + (high - low) / 2;
        if (j->first_chunk[mid] <= c) {
            low = mid;
        } else {
            high = mid;
        }
    }
    return low;
}

static int fill_chunk(job *j, uint64_t c, char *buffer)
{
    size_t i = tensor_of(j, c);
    const il__weights_tensor *t = &j->weights->tensors[j->shard->first_tensor + i];
    size_t size = il_dtype_bytes(j->weights->dtype);
    uint64_t first = (c - j->first_chunk[i]) * (CHUNK_BYTES / size);
    uint64_t left = t->n_elements - first;
    size_t n = left < CHUNK_BYTES / size ? (size_t)left : CHUNK_BYTES / size;
    il_synth_fill(&t->synth, first, n, j->weights->dtype, buffer);
    off_t at = (off_t)(8 + j->shard->header_bytes + t->begin + first * size);
    int why = write_at(j->fd, buffer, n * size, at);
    if (why == 0) {
        /* Let the disk begin now, so that the sync at the end has little left. Advice only. */
        (void)sync_file_range(j->fd, at, (off_t)(n * size), SYNC_FILE_RANGE_WRITE);
        (void)atomic_fetch_add(&j->done_bytes, n * size);
    }
    return why;
}

static void work(job *j, bool reports)
{
    char *buffer = aligned_alloc(4096, CHUNK_BYTES);
    uint64_t n_chunks = j->first_chunk[j->shard->n_tensors];
    if (!buffer) {
        atomic_store(&j->failed_errno, ENOMEM);
    }
    while (buffer && atomic_load(&j->failed_errno) == 0) {
        if (j->options->stop && *j->options->stop) {
            atomic_store(&j->stopped, true);
            break;
        }
        uint64_t c = atomic_fetch_add(&j->next_chunk, 1);
        if (c >= n_chunks) {
            break;
        }
        int why = fill_chunk(j, c, buffer);
        if (why != 0) {
            atomic_store(&j->failed_errno, why);
        }
        if (reports && j->options->progress) {
            j->options->progress(j->name, j->before_bytes + atomic_load(&j->done_bytes),
                                 j->weights->total_bytes, j->options->user);
        }
    }
    free(buffer);
}

static void *work_thread(void *user)
{
    work(user, false);
    return NULL;
}

static uint32_t count_threads(const il_make_options *options, uint64_t n_chunks)
{
    cpu_set_t allowed;
    uint32_t n = options->n_threads;
    if (n == 0) {
        n = sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? (uint32_t)CPU_COUNT(&allowed) : 1;
    }
    n = n > MOST_THREADS ? MOST_THREADS : n;
    return n_chunks < n ? (uint32_t)n_chunks : n;
}

static void run_threads(job *j)
{
    pthread_t threads[MOST_THREADS];
    uint32_t n = count_threads(j->options, j->first_chunk[j->shard->n_tensors]), started = 0;
    while (started + 1 < n && pthread_create(&threads[started], NULL, work_thread, j) == 0) {
        started++; /* fewer threads than wanted still finish the job */
    }
    work(j, true);
    for (uint32_t i = 0; i < started; i++) {
        (void)pthread_join(threads[i], NULL);
    }
}

static int write_prefix(int fd, const il__weights_shard *s, il_error *err)
{
    uint8_t prefix[8];
    for (int i = 0; i < 8; i++) {
        prefix[i] = (uint8_t)(s->header_bytes >> (8 * i));
    }
    int rc = il_fd_write_all(fd, prefix, sizeof prefix, err);
    return rc == IL_OK ? il_fd_write_all(fd, s->header, s->header_bytes, err) : rc;
}

static int write_data(job *j, il_error *err)
{
    size_t size = il_dtype_bytes(j->weights->dtype), n = j->shard->n_tensors;
    uint64_t per_chunk = CHUNK_BYTES / size;
    uint64_t *first = calloc(n + 1, sizeof *first);
    if (!first) {
        return out_of_memory(err);
    }
    for (size_t i = 0; i < n; i++) {
        const il__weights_tensor *t = &j->weights->tensors[j->shard->first_tensor + i];
        first[i + 1] = first[i] + (t->n_elements + per_chunk - 1) / per_chunk;
    }
    j->first_chunk = first;
    run_threads(j);
    free(first);
    if (atomic_load(&j->failed_errno) != 0) {
        return il_fail_errno(err, atomic_load(&j->failed_errno), "cannot write the weights");
    }
    if (atomic_load(&j->stopped)) {
        return il_fail(err, IL_E_INTERRUPTED, "interrupted; nothing was left behind");
    }
    if (fsync(j->fd) != 0) {
        return il_fail_errno(err, errno, "cannot sync the weights");
    }
    return IL_OK;
}

static int write_shard(const il__weights *w, const il__weights_shard *s, uint64_t before_bytes,
                       const char *name, const char *dir, const il_make_options *options,
                       il_error *err)
{
    char path[PATH_MAX];
    int rc = il_path_join(path, sizeof path, dir, s->name);
    if (rc != IL_OK) {
        return il_fail(err, rc, "path too long: %.200s", dir);
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) {
        return il_fail_errno(err, errno, "cannot create the weights");
    }
    /* Reserving the blocks finds a full disk now; a file system that cannot is no failure. */
    if (s->file_bytes > INT64_MAX || fallocate(fd, 0, 0, (off_t)s->file_bytes) != 0) {
        if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG) {
            rc = il_fail_errno(err, errno, "no room for %.1f MB", (double)s->file_bytes / 1e6);
            goto out;
        }
    }
    job j = {.weights = w,
             .shard = s,
             .fd = fd,
             .options = options,
             .name = name,
             .before_bytes = before_bytes};
    rc = write_prefix(fd, s, err);
    if (rc == IL_OK) {
        rc = write_data(&j, err);
    }
out:
    if (close(fd) != 0 && rc == IL_OK) {
        rc = il_fail_errno(err, errno, "cannot close the weights");
    }
    return rc;
}

static int write_index(const il__weights *w, const char *dir, il_error *err)
{
    char path[PATH_MAX];
    json_t *map = json_object();
    uint64_t data_bytes = 0;
    int failed = map == NULL;
    for (size_t i = 0; i < w->n_shards; i++) {
        const il__weights_shard *s = &w->shards[i];
        data_bytes += s->data_bytes;
        for (size_t k = s->first_tensor; !failed && k < s->first_tensor + s->n_tensors; k++) {
            failed = json_object_set_new(map, w->tensors[k].info.name, json_string(s->name));
        }
    }
    json_t *index = json_pack("{s:{s:I}, s:o}", "metadata", "total_size", (json_int_t)data_bytes,
                              "weight_map", map);
    char *text = !failed && index ? il_json_dump_pretty(index) : NULL;
    int rc = text ? il_path_join(path, sizeof path, dir, "model.safetensors.index.json")
                  : out_of_memory(err);
    if (rc == IL_OK) {
        rc = il_file_write_atomic(path, text, strlen(text), err);
    }
    free(text);
    json_decref(index);
    return rc;
}

int il__weights_write(const il__weights *weights, const char *name, const char *dir,
                      const il_make_options *options, il_error *err)
{
    uint64_t before = 0;
    for (size_t i = 0; i < weights->n_shards; i++) {
        int rc = write_shard(weights, &weights->shards[i], before, name, dir, options, err);
        if (rc != IL_OK) {
            return rc;
        }
        before += weights->shards[i].file_bytes;
    }
    return weights->n_shards > 1 ? write_index(weights, dir, err) : IL_OK;
}
