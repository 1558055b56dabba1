/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "check.h"

#include "engine/cpu/pool.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <time.h>

enum { MOST = 4 };

static il_pool *pool_of(uint32_t n)
{
    il_error err = {0};
    il_pool *pool = NULL;
    check_ok(il_pool_create(n, &pool, &err), &err);
    assert_int_equal(il_pool_size(pool), n);
    return pool;
}

typedef struct count_job {
    uint64_t ran[MOST][8]; /* a cache line a worker, written without atomics: the barrier orders */
    uint32_t n_seen;
} count_job;

static void count_task(void *arg, uint32_t worker, uint32_t n_workers)
{
    count_job *job = arg;
    job->ran[worker][0]++;
    if (worker == 0) {
        job->n_seen = n_workers;
    }
}

/* Every worker runs every task exactly once and its plain writes are visible after il_pool_run, in
 * and out of windows. */
static void every_worker_runs_every_task(void **state)
{
    (void)state;
    for (uint32_t n = 1; n <= MOST; n++) {
        il_pool *pool = pool_of(n);
        count_job job = {0};
        uint64_t n_runs = 0;
        for (int window = 0; window < 20; window++) {
            il_pool_enter(pool);
            for (int i = 0; i < 50; i++) {
                il_pool_run(pool, count_task, &job);
                n_runs++;
                for (uint32_t w = 0; w < n; w++) {
                    assert_int_equal(job.ran[w][0], n_runs);
                }
            }
            il_pool_leave(pool);
            il_pool_run(pool, count_task, &job);
            n_runs++;
            assert_int_equal(job.ran[n - 1][0], n_runs);
        }
        assert_int_equal(job.n_seen, n);
        il_pool_destroy(pool);
    }
}

typedef struct barrier_job {
    il_pool *pool;
    uint32_t n_rounds;
    uint32_t value[MOST][16];
    atomic_bool wrong;
} barrier_job;

/* In each round every worker writes its number and, past the barrier, must see all others'. */
static void barrier_task(void *arg, uint32_t worker, uint32_t n_workers)
{
    barrier_job *job = arg;
    for (uint32_t round = 1; round <= job->n_rounds; round++) {
        job->value[worker][0] = round;
        il_pool_barrier(job->pool, worker);
        for (uint32_t w = 0; w < n_workers; w++) {
            if (job->value[w][0] != round) {
                atomic_store(&job->wrong, true);
            }
        }
        il_pool_barrier(job->pool, worker);
    }
}

static void barrier_separates_rounds(void **state)
{
    (void)state;
    for (uint32_t n = 1; n <= MOST; n++) {
        barrier_job job = {.pool = pool_of(n), .n_rounds = n > 2 ? 20 : 500};
        il_pool_enter(job.pool);
        il_pool_run(job.pool, barrier_task, &job);
        il_pool_run(job.pool, barrier_task, &job);
        il_pool_leave(job.pool);
        il_pool_run(job.pool, barrier_task, &job);
        assert_false(atomic_load(&job.wrong));
        il_pool_destroy(job.pool);
    }
}

static int64_t cpu_ns(void)
{
    struct rusage use;
    assert_int_equal(getrusage(RUSAGE_SELF, &use), 0);
    return (use.ru_utime.tv_sec + use.ru_stime.tv_sec) * INT64_C(1000000000) +
           (use.ru_utime.tv_usec + use.ru_stime.tv_usec) * INT64_C(1000);
}

static void sleep_ms(long ms)
{
    struct timespec t = {.tv_sec = 0, .tv_nsec = ms * 1000000};
    (void)nanosleep(&t, NULL);
}

/* Helpers burn nothing once the window is left. They may be on their last poll when the clock is
 * first read, hence the short sleep before. */
static void idle_pool_burns_no_cpu(void **state)
{
    (void)state;
    il_pool *pool = pool_of(2);
    count_job job = {0};
    il_pool_enter(pool);
    il_pool_run(pool, count_task, &job);
    il_pool_leave(pool);
    sleep_ms(2);
    int64_t before = cpu_ns();
    sleep_ms(50);
    int64_t burnt = cpu_ns() - before;
    assert_true(burnt < 2 * 1000 * 1000);
    il_pool_destroy(pool);
}

/* Nor for long inside a window in which nothing is handed over. */
static void idle_window_ends_in_sleep(void **state)
{
    (void)state;
    il_pool *pool = pool_of(2);
    count_job job = {0};
    il_pool_enter(pool);
    il_pool_run(pool, count_task, &job);
    sleep_ms(20);
    int64_t before = cpu_ns();
    sleep_ms(50);
    int64_t burnt = cpu_ns() - before;
    assert_true(burnt < 5 * 1000 * 1000);
    il_pool_run(pool, count_task, &job);
    assert_int_equal(job.ran[1][0], 2);
    il_pool_leave(pool);
    il_pool_destroy(pool);
}

static void default_size_follows_affinity(void **state)
{
    (void)state;
    cpu_set_t all, one;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    size_t cpu = 0;
    while (!CPU_ISSET(cpu, &all)) {
        cpu++;
    }
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    il_pool *pool = NULL;
    il_error err = {0};
    check_ok(il_pool_create(0, &pool, &err), &err);
    assert_int_equal(il_pool_size(pool), 1);
    il_pool_destroy(pool);
    assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
    check_ok(il_pool_create(0, &pool, &err), &err);
    assert_in_range(il_pool_size(pool), 1, CPU_COUNT(&all));
    il_pool_destroy(pool);
}

static void absurd_size_is_refused(void **state)
{
    (void)state;
    il_pool *pool = NULL;
    il_error err = {0};
    assert_int_equal(il_pool_create(1u << 30, &pool, &err), IL_E_RANGE);
    assert_null(pool);
    il_pool_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_worker_runs_every_task),
        cmocka_unit_test(barrier_separates_rounds),
        cmocka_unit_test(idle_pool_burns_no_cpu),
        cmocka_unit_test(idle_window_ends_in_sleep),
        cmocka_unit_test(default_size_follows_affinity),
        cmocka_unit_test(absurd_size_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
