/* SPDX-License-Identifier: Apache-2.0
 *
 * Energy of NVIDIA GPUs through NVML, loaded at run time: the total energy counter (mJ, from Volta
 * on) where the device has one, else its power (mW), sampled by a thread and integrated by the
 * trapezoid rule. Names and units: NVIDIA's NVML API reference.
 */
#include "os/clock.h"
#include "workers/telemetry/telemetry.h"

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_DEVICES = 16, SAMPLE_NS = 20000000 };

typedef void *device;

typedef struct gpu {
    device handle;
    bool counts;       /* has the energy counter */
    il__unwrap unwrap; /* of the counter */
    /* Integrated power; under the lock. */
    double energy_uj;
    int64_t at_ns;
    unsigned power_mw;
    bool sampled;
} gpu;

struct il__nvml {
    void *library;
    int (*shutdown)(void);
    int (*power)(device, unsigned *mw);
    int (*energy)(device, unsigned long long *mj); /* NULL: a library that has it not */
    gpu gpus[MOST_DEVICES];
    unsigned n;
    pthread_t thread;
    pthread_mutex_t lock;
    bool samples; /* the thread runs */
    atomic_bool leave;
};

/* A function pointer out of a data pointer, as POSIX allows and C17 does not spell. */
static bool find(void *library, const char *name, void *out)
{
    void *at = dlsym(library, name);
    memcpy(out, &at, sizeof at);
    return at != NULL;
}

static void sample(il__nvml *nvml)
{
    for (unsigned i = 0; i < nvml->n; i++) {
        gpu *g = &nvml->gpus[i];
        unsigned mw;
        if (g->counts || nvml->power(g->handle, &mw) != 0) {
            continue;
        }
        int64_t now_ns = il_clock_ns();
        (void)pthread_mutex_lock(&nvml->lock);
        if (g->sampled) {
            /* mW × ns = 1e-12 J = 1e-6 uJ */
            g->energy_uj += ((double)g->power_mw + mw) / 2 * (double)(now_ns - g->at_ns) * 1e-6;
        }
        g->power_mw = mw;
        g->at_ns = now_ns;
        g->sampled = true;
        (void)pthread_mutex_unlock(&nvml->lock);
    }
}

static void *sample_on(void *user)
{
    il__nvml *nvml = user;
    const struct timespec pause = {.tv_nsec = SAMPLE_NS};
    while (!atomic_load(&nvml->leave)) {
        sample(nvml);
        (void)nanosleep(&pause, NULL);
    }
    return NULL;
}

static bool open_devices(il__nvml *nvml, char *why, size_t why_bytes)
{
    int (*count)(unsigned *), (*by_index)(unsigned, device *);
    unsigned n = 0;
    bool any_power = false;
    if (!find(nvml->library, "nvmlDeviceGetCount_v2", &count) ||
        !find(nvml->library, "nvmlDeviceGetHandleByIndex_v2", &by_index) ||
        !find(nvml->library, "nvmlDeviceGetPowerUsage", &nvml->power)) {
        (void)snprintf(why, why_bytes, "NVML: the library lacks functions this program needs");
        return false;
    }
    (void)find(nvml->library, "nvmlDeviceGetTotalEnergyConsumption", &nvml->energy);
    (void)count(&n);
    for (unsigned i = 0; i < n && nvml->n < MOST_DEVICES; i++) {
        gpu g = {.handle = NULL};
        unsigned long long mj;
        unsigned mw;
        if (by_index(i, &g.handle) != 0) {
            continue;
        }
        g.counts = nvml->energy && nvml->energy(g.handle, &mj) == 0;
        if (g.counts || nvml->power(g.handle, &mw) == 0) {
            any_power = any_power || !g.counts;
            nvml->gpus[nvml->n++] = g;
        }
    }
    if (nvml->n == 0) {
        (void)snprintf(why, why_bytes, "NVML: %u devices, none tells its energy or power", n);
        return false;
    }
    nvml->samples = any_power && pthread_create(&nvml->thread, NULL, sample_on, nvml) == 0;
    return true;
}

il__nvml *il__nvml_open(const char *library, char *why, size_t why_bytes)
{
    int (*init)(void);
    il__nvml *nvml = calloc(1, sizeof *nvml);
    why[0] = '\0';
    if (!nvml) {
        (void)snprintf(why, why_bytes, "NVML: out of memory");
        return NULL;
    }
    (void)pthread_mutex_init(&nvml->lock, NULL);
    nvml->library = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!nvml->library) {
        (void)snprintf(why, why_bytes, "NVML: libnvidia-ml.so.1 is not here (no NVIDIA driver)");
    } else if (!find(nvml->library, "nvmlInit_v2", &init) ||
               !find(nvml->library, "nvmlShutdown", &nvml->shutdown)) {
        (void)snprintf(why, why_bytes, "NVML: the library lacks functions this program needs");
    } else if (init() != 0) {
        nvml->shutdown = NULL;
        (void)snprintf(why, why_bytes,
                       "NVML: the library does not start (no device, or no access)");
    } else if (open_devices(nvml, why, why_bytes)) {
        return nvml;
    }
    il__nvml_close(nvml);
    return NULL;
}

size_t il__nvml_read(il__nvml *nvml, il__meter *out, size_t most)
{
    size_t n = 0;
    if (nvml && nvml->samples) {
        sample(nvml); /* up to this moment */
    }
    for (unsigned i = 0; nvml && i < nvml->n && n < most; i++) {
        gpu *g = &nvml->gpus[i];
        unsigned long long mj;
        il__meter *m = &out[n];
        *m = (il__meter){.kind = g->counts ? "counter" : "power", .resolution_ms = NAN};
        (void)snprintf(m->name, sizeof m->name, "nvml:%u", i);
        if (g->counts && nvml->energy(g->handle, &mj) == 0) {
            m->at_ns = il_clock_ns();
            m->energy_uj = il__unwrap_take(&g->unwrap, mj * 1000, 0, m->at_ns);
            m->resolution_ms = g->unwrap.resolution_ms;
            n++;
        } else if (!g->counts && g->sampled) {
            (void)pthread_mutex_lock(&nvml->lock);
            m->at_ns = g->at_ns;
            m->energy_uj = (uint64_t)g->energy_uj;
            (void)pthread_mutex_unlock(&nvml->lock);
            m->resolution_ms = SAMPLE_NS * 1e-6;
            n++;
        }
    }
    return n;
}

void il__nvml_close(il__nvml *nvml)
{
    if (!nvml) {
        return;
    }
    if (nvml->samples) {
        atomic_store(&nvml->leave, true);
        (void)pthread_join(nvml->thread, NULL);
    }
    if (nvml->shutdown) {
        (void)nvml->shutdown();
    }
    if (nvml->library) {
        (void)dlclose(nvml->library);
    }
    (void)pthread_mutex_destroy(&nvml->lock);
    free(nvml);
}
