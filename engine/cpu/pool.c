/* SPDX-License-Identifier: Apache-2.0
 *
 * Three futex words carry all hand-overs: `signal` (a task is there), `n_pending` (helpers still in
 * it) and the barrier's `phase`. Whoever waits spins a bounded time first and then sleeps on the
 * word, so that a helper whose virtual CPU was taken away costs no core for long.
 */
#include "engine/cpu/pool.h"

#include "os/cores.h"

#include <assert.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    MOST_THREADS = 1024,
    CACHE_LINE_BYTES = 64,
    /* A pause takes 10 to 40 ns on current x86, so a spin lasts a few tenths of a millisecond:
     * longer than the serial part between two stages, shorter than a scheduler's time slice. */
    SPIN_ROUNDS = 16384,
    /* With more threads than CPUs a spinning one keeps another from its work. */
    SPIN_ROUNDS_CROWDED = 32,
};

typedef struct pool_worker {
    il_pool *pool;
    uint32_t index;
    pthread_t thread;
} pool_worker;

struct il_pool {
    uint32_t n_threads;
    uint32_t spin_rounds;
    uint32_t n_started; /* helpers that exist, for destruction after a failed creation */
    pool_worker *workers;
    bool placed;       /* helpers are kept off the caller's CPU */
    int caller_cpu;    /* the CPU they are kept off, -1 = none yet */
    cpu_set_t allowed; /* of the creating thread */

    _Alignas(CACHE_LINE_BYTES) atomic_uint signal; /* counts tasks; helpers wait on it */
    il_pool_task task;
    void *arg;
    atomic_bool window;
    atomic_bool stop;
    atomic_uint n_parked; /* helpers asleep on signal, or about to be */

    _Alignas(CACHE_LINE_BYTES) atomic_uint n_pending; /* worker 0 waits for 0 */
    atomic_uint caller_sleeps;

    _Alignas(CACHE_LINE_BYTES) atomic_uint arrived; /* the barrier */
    atomic_uint phase;
    atomic_uint n_barrier_sleepers;
};

static inline void spin_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static void futex_wait(atomic_uint *word, unsigned seen)
{
    (void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void futex_wake_all(atomic_uint *word)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* Returns the new value of signal once it differs from seen. */
static unsigned wait_for_signal(il_pool *pool, unsigned seen)
{
    unsigned spun = 0;
    for (;;) {
        unsigned now = atomic_load_explicit(&pool->signal, memory_order_acquire);
        if (now != seen) {
            return now;
        }
        if (spun < pool->spin_rounds && atomic_load_explicit(&pool->window, memory_order_relaxed)) {
            spun++;
            spin_pause();
            continue;
        }
        /* Announced before the kernel compares the word: either the caller sees a parked helper and
         * wakes it, or the kernel sees the new signal and does not sleep. */
        atomic_fetch_add(&pool->n_parked, 1);
        futex_wait(&pool->signal, seen);
        atomic_fetch_sub(&pool->n_parked, 1);
        spun = 0;
    }
}

static void *helper_main(void *p)
{
    pool_worker *worker = p;
    il_pool *pool = worker->pool;
    unsigned seen = 0;
    for (;;) {
        seen = wait_for_signal(pool, seen);
        if (atomic_load_explicit(&pool->stop, memory_order_relaxed)) {
            return NULL;
        }
        pool->task(pool->arg, worker->index, pool->n_threads);
        if (atomic_fetch_sub(&pool->n_pending, 1) == 1 && atomic_load(&pool->caller_sleeps)) {
            futex_wake_all(&pool->n_pending);
        }
    }
}

/* Linux under KVM takes a halted virtual CPU for one that its host has preempted and wakes a thread
 * on the waker's CPU instead, where it waits for the very caller that waits for it: until the load
 * balancer steps in, milliseconds later, two threads share one CPU. So parked helpers may run on
 * any allowed CPU but the caller's. A system call a helper, only when the caller has moved. */
static void keep_off_caller(il_pool *pool)
{
    int cpu = sched_getcpu();
    if (!pool->placed || cpu == pool->caller_cpu || cpu < 0 || cpu >= CPU_SETSIZE) {
        return;
    }
    cpu_set_t others = pool->allowed;
    CPU_CLR((size_t)cpu, &others);
    for (uint32_t i = 1; i <= pool->n_started; i++) {
        (void)pthread_setaffinity_np(pool->workers[i].thread, sizeof others, &others);
    }
    pool->caller_cpu = cpu;
}

static void post_signal(il_pool *pool)
{
    atomic_fetch_add(&pool->signal, 1);
    if (atomic_load(&pool->n_parked) != 0) {
        keep_off_caller(pool);
        futex_wake_all(&pool->signal);
    }
}

static void wait_for_helpers(il_pool *pool)
{
    for (unsigned spun = 0; spun < pool->spin_rounds; spun++) {
        if (atomic_load_explicit(&pool->n_pending, memory_order_acquire) == 0) {
            return;
        }
        spin_pause();
    }
    atomic_store(&pool->caller_sleeps, 1);
    for (unsigned n; (n = atomic_load(&pool->n_pending)) != 0;) {
        futex_wait(&pool->n_pending, n);
    }
    atomic_store(&pool->caller_sleeps, 0);
}

void il_pool_run(il_pool *pool, il_pool_task task, void *arg)
{
    if (pool->n_threads == 1) {
        task(arg, 0, 1);
        return;
    }
    assert(atomic_load_explicit(&pool->n_pending, memory_order_relaxed) == 0);
    pool->task = task;
    pool->arg = arg;
    atomic_store_explicit(&pool->n_pending, pool->n_threads - 1, memory_order_relaxed);
    post_signal(pool);
    task(arg, 0, pool->n_threads);
    wait_for_helpers(pool);
}

void il_pool_barrier(il_pool *pool, uint32_t worker)
{
    assert(worker < pool->n_threads);
    unsigned phase = atomic_load_explicit(&pool->phase, memory_order_relaxed);
    if (atomic_fetch_add(&pool->arrived, 1) == pool->n_threads - 1) {
        atomic_store_explicit(&pool->arrived, 0, memory_order_relaxed);
        atomic_fetch_add(&pool->phase, 1);
        if (atomic_load(&pool->n_barrier_sleepers) != 0) {
            futex_wake_all(&pool->phase);
        }
        return;
    }
    for (unsigned spun = 0; spun < pool->spin_rounds; spun++) {
        if (atomic_load_explicit(&pool->phase, memory_order_acquire) != phase) {
            return;
        }
        spin_pause();
    }
    atomic_fetch_add(&pool->n_barrier_sleepers, 1);
    while (atomic_load(&pool->phase) == phase) {
        futex_wait(&pool->phase, phase);
    }
    atomic_fetch_sub(&pool->n_barrier_sleepers, 1);
}

/* Waking is left to the first il_pool_run of the window: a model too small to share its work then
 * never pays for a system call. */
void il_pool_enter(il_pool *pool)
{
    assert(!atomic_load_explicit(&pool->window, memory_order_relaxed));
    atomic_store_explicit(&pool->window, true, memory_order_release);
}

void il_pool_leave(il_pool *pool)
{
    assert(atomic_load_explicit(&pool->window, memory_order_relaxed));
    atomic_store_explicit(&pool->window, false, memory_order_release);
}

void il_pool_wake(il_pool *pool)
{
    if (atomic_load(&pool->n_parked) != 0) {
        futex_wake_all(&pool->signal);
    }
}

uint32_t il_pool_size(const il_pool *pool)
{
    return pool->n_threads;
}

/* A machine too large for the plain set, or a mask that cannot be read: threads go where the system
 * puts them. */
static void plan_placement(il_pool *pool)
{
    uint32_t n_cpus = UINT32_MAX;
    pool->caller_cpu = -1;
    if (sched_getaffinity(0, sizeof pool->allowed, &pool->allowed) == 0) {
        n_cpus = (uint32_t)CPU_COUNT(&pool->allowed);
        pool->placed = n_cpus >= pool->n_threads;
    }
    pool->spin_rounds = pool->n_threads <= n_cpus ? SPIN_ROUNDS : SPIN_ROUNDS_CROWDED;
}

int il_pool_create(uint32_t n_threads, il_pool **out, il_error *err)
{
    if (n_threads == 0) {
        n_threads = il_cores_allowed(NULL, 0);
    }
    if (n_threads > MOST_THREADS) {
        return il_fail(err, IL_E_RANGE, "%u threads asked for, at most %d are possible", n_threads,
                       MOST_THREADS);
    }
    il_pool *pool = aligned_alloc(CACHE_LINE_BYTES, sizeof *pool);
    if (pool == NULL) {
        return il_fail(err, IL_E_NOMEM, "no memory for a pool of %u threads", n_threads);
    }
    memset(pool, 0, sizeof *pool);
    pool->n_threads = n_threads;
    plan_placement(pool);
    pool->workers = calloc(n_threads, sizeof *pool->workers);
    int rc = IL_OK;
    if (pool->workers == NULL) {
        rc = il_fail(err, IL_E_NOMEM, "no memory for a pool of %u threads", n_threads);
        goto out;
    }
    for (uint32_t i = 1; i < n_threads; i++) {
        pool_worker *worker = &pool->workers[i];
        worker->pool = pool;
        worker->index = i;
        int os_errno = pthread_create(&worker->thread, NULL, helper_main, worker);
        if (os_errno != 0) {
            rc = il_fail_errno(err, os_errno, "cannot start thread %u of %u", i + 1, n_threads);
            goto out;
        }
        pool->n_started++;
    }
    *out = pool;
out:
    if (rc != IL_OK) {
        il_pool_destroy(pool);
    }
    return rc;
}

void il_pool_destroy(il_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    atomic_store(&pool->stop, true);
    post_signal(pool);
    for (uint32_t i = 1; i <= pool->n_started; i++) {
        (void)pthread_join(pool->workers[i].thread, NULL);
    }
    free(pool->workers);
    free(pool);
}
