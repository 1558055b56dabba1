/* SPDX-License-Identifier: Apache-2.0
 *
 * Denormal numbers cost a hundred cycles each on some CPUs, so that a latency would depend on the
 * values of the weights. Within a window they are flushed to zero, on inputs and results.
 */
#include "engine/core/engine_internal.h"

#if defined(__x86_64__)
#include <xmmintrin.h>

enum { FLUSH_TO_ZERO = 0x8000, DENORMALS_ARE_ZERO = 0x0040 };

bool il__denormals_can_be_flushed(void)
{
    return true;
}

uint32_t il__flush_denormals(void)
{
    uint32_t saved = _mm_getcsr();
    _mm_setcsr(saved | FLUSH_TO_ZERO | DENORMALS_ARE_ZERO);
    return saved;
}

void il__restore_denormals(uint32_t saved)
{
    _mm_setcsr(saved);
}
#else
bool il__denormals_can_be_flushed(void)
{
    return false;
}

uint32_t il__flush_denormals(void)
{
    return 0;
}

void il__restore_denormals(uint32_t saved)
{
    (void)saved;
}
#endif

static void flush_task(void *arg, uint32_t worker, uint32_t n_workers)
{
    (void)arg;
    (void)n_workers;
    if (worker != 0) {
        (void)il__flush_denormals();
    }
}

void il__flush_denormals_on_helpers(il_pool *pool)
{
    il_pool_run(pool, flush_task, NULL);
}
