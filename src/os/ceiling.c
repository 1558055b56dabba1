/* SPDX-License-Identifier: Apache-2.0 */
#include "os/ceiling.h"

#include "os/ceiling_loops.h"
#include "os/clock.h"
#include "os/cores.h"
#include "os/cpu_isa.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    MOST_THREADS = 1024,
    PAGE_BYTES = 4096,
    READ_SAMPLE_US = 4000,
    FMA_SAMPLE_US = 3000,
};

typedef enum ceiling_work { WORK_TOUCH, WORK_READ, WORK_FMA, WORK_STOP } ceiling_work;

typedef struct ceiling_thread {
    _Alignas(64) il_ceiling *owner;
    pthread_t thread;
    int cpu; /* the one to run on, -1 = any */
    unsigned char *share;
    size_t share_bytes;
    int64_t start_ns, end_ns; /* of the last sample */
    double done;              /* bytes read, or operations */
} ceiling_thread;

struct il_ceiling {
    uint32_t n_threads, n_started;
    ceiling_thread *threads;
    unsigned char *buffer;
    size_t buffer_bytes;
    il__read_loop read;
    il__fma_loop fma_f32, fma_bf16;

    pthread_mutex_t lock;
    pthread_cond_t posted, finished;
    uint64_t n_posted; /* samples asked for; under lock, as n_running */
    uint32_t n_running;

    /* the sample in progress */
    ceiling_work work;
    il__fma_loop fma;
    uint64_t n_rounds;
    uint32_t n_passes;
    atomic_uint n_ready;
    atomic_uint_fast64_t sink; /* keeps the loops' results alive */
};

static uint64_t read_loop_plain(const void *p, size_t n_bytes)
{
    const uint64_t *v = p;
    uint64_t a = 0, b = 0, c = 0, d = 0;
    for (size_t n = n_bytes / sizeof *v; n != 0; n -= 4, v += 4) {
        a |= v[0];
        b |= v[1];
        c |= v[2];
        d |= v[3];
    }
    return a ^ b ^ c ^ d;
}

static float fma_loop_plain(uint64_t n_rounds, double *n_flops)
{
    enum { CHAINS = 8 };
    float sum[CHAINS] = {0, 1, 2, 3, 4, 5, 6, 7};
    for (uint64_t round = 0; round < n_rounds; round++) {
        for (int i = 0; i < CHAINS; i++) {
            sum[i] = sum[i] * 0.999f + 0.001f;
        }
    }
    *n_flops = 2.0 * CHAINS * (double)n_rounds;
    return sum[0] + sum[1] + sum[2] + sum[3] + sum[4] + sum[5] + sum[6] + sum[7];
}

static void choose_loops(il_ceiling *c)
{
    c->read = read_loop_plain;
    c->fma_f32 = c->fma_bf16 = fma_loop_plain;
#if defined(__x86_64__)
    il_cpu_isa isa = il_cpu_isa_probe();
    if (isa.avx512) {
        c->read = il__read_loop_avx512;
        c->fma_f32 = c->fma_bf16 = il__fma_loop_avx512;
    } else if (isa.avx2) {
        c->read = il__read_loop_avx2;
        c->fma_f32 = c->fma_bf16 = il__fma_loop_avx2;
    }
    if (isa.avx512bf16) {
        c->fma_bf16 = il__fma_loop_avx512bf16;
    }
#endif
}

/* Threads start their loops together: the last to arrive lets all go. The wait is a spin, since
 * all have just been woken for this. */
static void start_together(il_ceiling *c)
{
    (void)atomic_fetch_add(&c->n_ready, 1);
    while (atomic_load_explicit(&c->n_ready, memory_order_acquire) < c->n_threads) {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    }
}

static void do_work(il_ceiling *c, ceiling_thread *t)
{
    if (c->work == WORK_TOUCH) {
        memset(t->share, 0x5a, t->share_bytes);
        return;
    }
    start_together(c);
    t->start_ns = il_clock_ns();
    if (c->work == WORK_READ) {
        for (uint32_t pass = 0; pass < c->n_passes; pass++) {
            (void)atomic_fetch_add_explicit(&c->sink, c->read(t->share, t->share_bytes),
                                            memory_order_relaxed);
        }
        t->done = (double)t->share_bytes * c->n_passes;
    } else {
        float sum = c->fma(c->n_rounds, &t->done);
        (void)atomic_fetch_add_explicit(&c->sink, (uint64_t)(sum != 0.0f), memory_order_relaxed);
    }
    t->end_ns = il_clock_ns();
}

/* Failure leaves the thread where it is: a lower ceiling, not a wrong one. */
static void pin_to(int cpu)
{
    cpu_set_t *set = CPU_ALLOC((size_t)cpu + 1);
    if (set != NULL) {
        size_t bytes = CPU_ALLOC_SIZE((size_t)cpu + 1);
        CPU_ZERO_S(bytes, set);
        CPU_SET_S((size_t)cpu, bytes, set);
        (void)sched_setaffinity(0, bytes, set);
        CPU_FREE(set);
    }
}

static void *thread_main(void *p)
{
    ceiling_thread *t = p;
    il_ceiling *c = t->owner;
    if (t->cpu >= 0) {
        pin_to(t->cpu);
    }
    for (uint64_t seen = 0;;) {
        (void)pthread_mutex_lock(&c->lock);
        while (c->n_posted == seen) {
            (void)pthread_cond_wait(&c->posted, &c->lock);
        }
        seen = c->n_posted;
        (void)pthread_mutex_unlock(&c->lock);
        if (c->work == WORK_STOP) {
            return NULL;
        }
        do_work(c, t);
        (void)pthread_mutex_lock(&c->lock);
        if (--c->n_running == 0) {
            (void)pthread_cond_signal(&c->finished);
        }
        (void)pthread_mutex_unlock(&c->lock);
    }
}

static void post(il_ceiling *c, ceiling_work work)
{
    (void)pthread_mutex_lock(&c->lock);
    c->work = work;
    c->n_running = work == WORK_STOP ? 0 : c->n_started;
    atomic_store(&c->n_ready, 0);
    c->n_posted++;
    (void)pthread_cond_broadcast(&c->posted);
    while (c->n_running != 0) {
        (void)pthread_cond_wait(&c->finished, &c->lock);
    }
    (void)pthread_mutex_unlock(&c->lock);
}

/* Work of all threads per nanosecond from the first start to the last end: G…/s. */
static double rate_per_ns(const il_ceiling *c)
{
    int64_t start_ns = INT64_MAX, end_ns = INT64_MIN;
    double done = 0;
    for (uint32_t i = 0; i < c->n_threads; i++) {
        const ceiling_thread *t = &c->threads[i];
        start_ns = t->start_ns < start_ns ? t->start_ns : start_ns;
        end_ns = t->end_ns > end_ns ? t->end_ns : end_ns;
        done += t->done;
    }
    return done / (double)(end_ns > start_ns ? end_ns - start_ns : 1);
}

double il_ceiling_read_sample_gbps(il_ceiling *c)
{
    assert(c->buffer != NULL);
    if (c->n_passes == 0) { /* one pass tells how many fill a sample */
        c->n_passes = 1;
        post(c, WORK_READ);
        double pass_us = (double)c->buffer_bytes / rate_per_ns(c) / 1e3;
        double n = READ_SAMPLE_US / (pass_us > 0.01 ? pass_us : 0.01);
        c->n_passes = n < 1 ? 1 : (uint32_t)n;
    }
    post(c, WORK_READ);
    return rate_per_ns(c);
}

double il_ceiling_fma_sample_gflops(il_ceiling *c, il_dtype dtype)
{
    c->fma = dtype == IL_DTYPE_BF16 ? c->fma_bf16 : c->fma_f32;
    if (c->n_rounds == 0) {
        c->n_rounds = 20000;
        post(c, WORK_FMA);
        const ceiling_thread *t = &c->threads[0];
        double us = (double)(t->end_ns - t->start_ns) / 1e3;
        double n = 20000.0 * FMA_SAMPLE_US / (us > 1 ? us : 1);
        c->n_rounds = n < 1 ? 1 : (uint64_t)n;
    }
    post(c, WORK_FMA);
    return rate_per_ns(c);
}

static int allocate_buffer(il_ceiling *c, uint64_t working_set_bytes, il_error *err)
{
    uint64_t share = (working_set_bytes + c->n_threads - 1) / c->n_threads;
    share = (share + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    c->buffer_bytes = (size_t)share * c->n_threads;
    void *p =
        mmap(NULL, c->buffer_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        return il_fail(err, IL_E_NOMEM, "no memory for a working set of %llu bytes",
                       (unsigned long long)working_set_bytes);
    }
    (void)madvise(p, c->buffer_bytes, MADV_HUGEPAGE);
    c->buffer = p;
    for (uint32_t i = 0; i < c->n_threads; i++) {
        c->threads[i].share = c->buffer + i * share;
        c->threads[i].share_bytes = share;
    }
    return IL_OK;
}

int il_ceiling_open(uint64_t working_set_bytes, uint32_t n_threads, il_ceiling **out, il_error *err)
{
    if (n_threads < 1 || n_threads > MOST_THREADS || working_set_bytes > (UINT64_C(1) << 46)) {
        return il_fail(err, IL_E_RANGE, "cannot measure with %u threads and %llu bytes", n_threads,
                       (unsigned long long)working_set_bytes);
    }
    il_ceiling *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return il_fail(err, IL_E_NOMEM, "no memory for the measurement of ceilings");
    }
    int rc = IL_OK;
    c->n_threads = n_threads;
    (void)pthread_mutex_init(&c->lock, NULL);
    (void)pthread_cond_init(&c->posted, NULL);
    (void)pthread_cond_init(&c->finished, NULL);
    choose_loops(c);
    c->threads = aligned_alloc(_Alignof(ceiling_thread), n_threads * sizeof *c->threads);
    if (c->threads == NULL) {
        rc = il_fail(err, IL_E_NOMEM, "no memory for %u threads", n_threads);
        goto out;
    }
    memset(c->threads, 0, n_threads * sizeof *c->threads);
    if (working_set_bytes != 0) {
        rc = allocate_buffer(c, working_set_bytes, err);
        if (rc != IL_OK) {
            goto out;
        }
    }
    int cpus[MOST_THREADS];
    bool pinned = il_cores_allowed(cpus, MOST_THREADS) >= n_threads;
    for (uint32_t i = 0; i < n_threads; i++) {
        c->threads[i].owner = c;
        c->threads[i].cpu = pinned ? cpus[i] : -1;
        int os_errno = pthread_create(&c->threads[i].thread, NULL, thread_main, &c->threads[i]);
        if (os_errno != 0) {
            rc = il_fail_errno(err, os_errno, "cannot start thread %u of %u", i + 1, n_threads);
            goto out;
        }
        c->n_started++;
    }
    if (c->buffer != NULL) {
        post(c, WORK_TOUCH);
    }
    *out = c;
out:
    if (rc != IL_OK) {
        il_ceiling_close(c);
    }
    return rc;
}

void il_ceiling_close(il_ceiling *c)
{
    if (c == NULL) {
        return;
    }
    post(c, WORK_STOP);
    for (uint32_t i = 0; i < c->n_started; i++) {
        (void)pthread_join(c->threads[i].thread, NULL);
    }
    if (c->buffer != NULL) {
        (void)munmap(c->buffer, c->buffer_bytes);
    }
    (void)pthread_cond_destroy(&c->finished);
    (void)pthread_cond_destroy(&c->posted);
    (void)pthread_mutex_destroy(&c->lock);
    free(c->threads);
    free(c);
}

int il_ceiling_read_gbps(uint64_t working_set_bytes, uint32_t n_threads, uint32_t n_samples,
                         double *samples, il_error *err)
{
    il_ceiling *c = NULL;
    if (working_set_bytes == 0) {
        return il_fail(err, IL_E_RANGE, "a read bandwidth needs a working set");
    }
    int rc = il_ceiling_open(working_set_bytes, n_threads, &c, err);
    if (rc == IL_OK) {
        (void)il_ceiling_read_sample_gbps(c);
        for (uint32_t i = 0; i < n_samples; i++) {
            samples[i] = il_ceiling_read_sample_gbps(c);
        }
    }
    il_ceiling_close(c);
    return rc;
}

int il_ceiling_fma_gflops(il_dtype dtype, uint32_t n_threads, uint32_t n_samples, double *samples,
                          il_error *err)
{
    il_ceiling *c = NULL;
    int rc = il_ceiling_open(0, n_threads, &c, err);
    if (rc == IL_OK) {
        (void)il_ceiling_fma_sample_gflops(c, dtype);
        for (uint32_t i = 0; i < n_samples; i++) {
            samples[i] = il_ceiling_fma_sample_gflops(c, dtype);
        }
    }
    il_ceiling_close(c);
    return rc;
}
