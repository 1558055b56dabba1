/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine's thread pool. The calling thread is worker 0. Inside a window (il_pool_enter …
 * il_pool_leave) helpers spin between stages so that a hand-over costs a microsecond or two;
 * outside they are parked in the kernel and cost nothing. Windows do not nest. No thread is pinned,
 * but where there are CPUs enough a parked helper is kept off the CPU its caller runs on (pool.c
 * says why). Every spin is bounded and ends in a futex.
 */
#ifndef IL_ENGINE_CPU_POOL_H
#define IL_ENGINE_CPU_POOL_H

#include "inferlaw/error.h"

#include <stdint.h>

typedef struct il_pool il_pool;
typedef void (*il_pool_task)(void *arg, uint32_t worker, uint32_t n_workers);

/* n_threads 0 = one per physical core in the affinity mask. */
int il_pool_create(uint32_t n_threads, il_pool **out, il_error *err);
void il_pool_destroy(il_pool *pool);
uint32_t il_pool_size(const il_pool *pool);
void il_pool_enter(il_pool *pool);
void il_pool_leave(il_pool *pool);
/* Inside a window: wakes parked helpers without waiting for them, so that they spin by the time the
 * first task comes. For callers that know that one will. */
void il_pool_wake(il_pool *pool);
/* Runs task(arg, w, n) on every worker and returns when all are done (a full barrier). Legal
 * outside a window too, at the cost of waking the helpers. */
void il_pool_run(il_pool *pool, il_pool_task task, void *arg);
/* A barrier among the workers of a running task. */
void il_pool_barrier(il_pool *pool, uint32_t worker);

#endif
