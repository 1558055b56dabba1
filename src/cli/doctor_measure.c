/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/doctor.h"

#include "base/file.h"
#include "base/json.h"
#include "os/ceiling.h"
#include "os/clock.h"
#include "stats/order.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    SAMPLES = 15,           /* the exact interval of their median is ranks 4 to 12 */
    LINE_BYTES = 1024,      /* a call's journal line with its step times */
    MOST_DISK_MS = 400,     /* a slow disk gets fewer samples */
    LEAST_DISK_SAMPLES = 6, /* the least with a 95 % interval of the median */
    MOST_DISK_SAMPLES = 64,
};

/* Appends median, ci_low, ci_high, n to the row. */
static int add_interval(json_t *row, const double *values, size_t n, il_error *err)
{
    il_interval interval;
    int rc = il_quantile_interval(values, n, 0.5, 0.95, &interval, NULL, err);
    if (rc != IL_OK && rc != IL_E_TOO_FEW) {
        return rc;
    }
    if (json_object_set_new(row, "median", il_json_real(interval.estimate)) != 0 ||
        json_object_set_new(row, "ci_low", il_json_real(interval.low)) != 0 ||
        json_object_set_new(row, "ci_high", il_json_real(interval.high)) != 0 ||
        json_object_set_new(row, "n", json_integer((json_int_t)n)) != 0) {
        return il_fail(err, IL_E_NOMEM, "out of memory");
    }
    return IL_OK;
}

/* Takes the row: appends it with the interval of its samples. */
static int append_row(json_t *rows, json_t *row, const double *samples, il_error *err)
{
    int rc =
        row ? add_interval(row, samples, SAMPLES, err) : il_fail(err, IL_E_NOMEM, "out of memory");
    if (rc != IL_OK) {
        json_decref(row);
        return rc;
    }
    return json_array_append_new(rows, row) == 0 ? IL_OK
                                                 : il_fail(err, IL_E_NOMEM, "out of memory");
}

static int measure_read(json_t *rows, const char *level, uint64_t bytes, uint32_t threads,
                        il_error *err)
{
    double samples[SAMPLES];
    int rc = il_ceiling_read_gbps(bytes, threads, SAMPLES, samples, err);
    if (rc != IL_OK) {
        return rc;
    }
    json_t *row = json_pack("{s:s, s:I, s:I}", "level", level, "working_set_bytes",
                            (json_int_t)bytes, "threads", (json_int_t)threads);
    return append_row(rows, row, samples, err);
}

static int measure_fma(json_t *rows, il_dtype dtype, uint32_t threads, il_error *err)
{
    double samples[SAMPLES];
    int rc = il_ceiling_fma_gflops(dtype, threads, SAMPLES, samples, err);
    if (rc != IL_OK) {
        return rc;
    }
    json_t *row =
        json_pack("{s:s, s:I}", "dtype", il_dtype_name(dtype), "threads", (json_int_t)threads);
    return append_row(rows, row, samples, err);
}

/* Working sets that live in one level: half of every thread's L2; three quarters of one L3, unless
 * the threads' L2 hold half of that; for memory itself four times the L3 that the threads can
 * reach, at least 256 MiB, at most a quarter of what is available. */
static uint64_t l2_set(const il_machine *m, uint32_t threads)
{
    return m->l2_bytes / 2 * threads;
}

static uint64_t l3_set(const il_machine *m, uint32_t threads)
{
    uint64_t set = m->l3_bytes / 4 * 3;
    return set > 2 * m->l2_bytes * threads ? set : 0;
}

static uint64_t dram_set(const il_machine *m, uint32_t threads)
{
    const uint64_t least = UINT64_C(256) << 20;
    uint64_t caches = 4 * m->l3_bytes * (m->n_l3 < threads ? m->n_l3 : threads);
    uint64_t set = caches > least ? caches : least;
    uint64_t room = m->available_bytes / 4;
    return room > 0 && set > room ? room : set;
}

/* 1, 2, 4 …, then `most` itself. */
static uint32_t next_threads(uint32_t threads, uint32_t most)
{
    return threads < most && threads * 2 > most ? most : threads * 2;
}

int il__doctor_ceilings(const il_machine *m, uint32_t n_threads, json_t **out, il_error *err)
{
    json_t *read = json_array(), *fma = json_array();
    int rc = read && fma ? IL_OK : il_fail(err, IL_E_NOMEM, "out of memory");
    for (uint32_t t = 1; rc == IL_OK && t <= n_threads; t = next_threads(t, n_threads)) {
        if (l2_set(m, t) > 0) {
            rc = measure_read(read, "L2", l2_set(m, t), t, err);
        }
        if (rc == IL_OK && l3_set(m, t) > 0) {
            rc = measure_read(read, "L3", l3_set(m, t), t, err);
        }
        if (rc == IL_OK) {
            rc = measure_read(read, "DRAM", dram_set(m, t), t, err);
        }
        if (rc == IL_OK) {
            rc = measure_fma(fma, IL_DTYPE_F32, t, err);
        }
        if (rc == IL_OK) {
            rc = measure_fma(fma, IL_DTYPE_BF16, t, err);
        }
    }
    if (rc != IL_OK) {
        json_decref(read);
        json_decref(fma);
        return rc;
    }
    *out = json_pack("{s:s, s:s, s:o, s:o}", "read_unit", "GB/s", "multiply_add_unit", "GFLOP/s",
                     "read", read, "multiply_add", fma);
    return *out ? IL_OK : il_fail(err, IL_E_NOMEM, "out of memory");
}

/* A file in the directory that vanishes with its descriptor. */
static int open_nameless(const char *dir)
{
    char path[4200];
    int fd = open(dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT && errno != EINVAL)) {
        return fd;
    }
    (void)snprintf(path, sizeof path, "%s/.inferlaw-doctor-XXXXXX", dir);
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0) {
        (void)unlink(path);
    }
    return fd;
}

json_t *il__doctor_disk(uint32_t n_samples)
{
    char dir[4096], line[LINE_BYTES];
    double ms[MOST_DISK_SAMPLES];
    size_t n = 0;
    il_error err = {0};
    json_t *row = NULL;
    if (!getcwd(dir, sizeof dir)) {
        return json_pack("{s:n, s:s}", "directory", "unreadable", strerror(errno));
    }
    int fd = open_nameless(dir);
    if (fd < 0) {
        return json_pack("{s:s, s:s}", "directory", dir, "unreadable", strerror(errno));
    }
    memset(line, 'x', sizeof line);
    line[LINE_BYTES - 1] = '\n';
    int rc = IL_OK;
    int64_t start_ns = il_clock_ns();
    for (uint32_t i = 0; rc == IL_OK && i <= n_samples && n < MOST_DISK_SAMPLES; i++) {
        int64_t t0 = il_clock_ns();
        rc = il_fd_write_all(fd, line, sizeof line, &err);
        if (rc == IL_OK && fdatasync(fd) != 0) {
            rc = il_fail_errno(&err, errno, "cannot sync");
        }
        int64_t t1 = il_clock_ns();
        if (rc == IL_OK && i > 0) { /* the first one makes the file */
            ms[n++] = (double)(t1 - t0) * 1e-6;
        }
        if (n >= LEAST_DISK_SAMPLES && t1 - start_ns > INT64_C(1000000) * MOST_DISK_MS) {
            break;
        }
    }
    (void)close(fd);
    if (rc != IL_OK) {
        return json_pack("{s:s, s:s}", "directory", dir, "unreadable", err.what);
    }
    row =
        json_pack("{s:s, s:i, s:s}", "directory", dir, "line_bytes", (int)LINE_BYTES, "unit", "ms");
    if (row && add_interval(row, ms, n, &err) != IL_OK) {
        json_decref(row);
        return NULL;
    }
    return row;
}
