/* SPDX-License-Identifier: Apache-2.0
 *
 * Anonymous mappings, what memory is left, and the fault counter a load stage is stamped with.
 */
#include "engine/core/region.h"

#include "base/checked.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>

enum { ALIGN_BYTES = 64, PAGE_BYTES = 4096 };

void *il__region_take(il__region *region, size_t count, size_t size)
{
    size_t bytes;
    size_t end;
    if (!il_mul_size(count, size, &bytes) || !il_add_size(bytes, ALIGN_BYTES - 1, &bytes) ||
        !il_add_size(region->used_bytes, bytes & ~(size_t)(ALIGN_BYTES - 1), &end)) {
        assert(!region->base);
        region->overflow = true;
        return NULL;
    }
    unsigned char *piece = region->base ? region->base + region->used_bytes : NULL;
    region->used_bytes = end;
    assert(!region->base || end <= region->size_bytes);
    return piece;
}

int il__region_map(il__region *region, il_engine_pages pages, const char *purpose, il_error *err)
{
    assert(!region->base);
    if (region->overflow) {
        return il_fail(err, IL_E_RANGE, "the size of the %s does not fit 64 bits", purpose);
    }
    size_t size = region->used_bytes ? region->used_bytes : ALIGN_BYTES;
    uint64_t available = il__memory_available();
    if (available > 0 && size > available) {
        (void)il_fail(err, IL_E_NOMEM, "the %s need %.1f MiB and %.1f MiB of memory are available",
                      purpose, (double)size / 1048576.0, (double)available / 1048576.0);
        il_error_hint(err, "a smaller model, dtype bf16, a shorter context or a smaller batch");
        return IL_E_NOMEM;
    }
    void *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) {
        return il_fail_errno(err, errno, "%.1f MiB for the %s", (double)size / 1048576.0, purpose);
    }
    /* Advice: a kernel without transparent huge pages refuses it and nothing is lost. */
    if (pages != IL_ENGINE_PAGES_DEFAULT) {
        (void)madvise(base, size, pages == IL_ENGINE_PAGES_HUGE ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    }
    *region = (il__region){.base = base, .size_bytes = size};
    return IL_OK;
}

void il__region_touch(il__region *region)
{
    for (size_t i = 0; i < region->size_bytes; i += PAGE_BYTES) {
        *(volatile unsigned char *)(region->base + i) = 0;
    }
}

void il__region_unmap(il__region *region)
{
    if (region->base) {
        (void)munmap(region->base, region->size_bytes);
    }
    *region = (il__region){0};
}

uint64_t il__memory_available(void)
{
    FILE *file = fopen("/proc/meminfo", "re");
    if (!file) {
        return 0;
    }
    char line[256];
    unsigned long long kib = 0;
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1) {
            break;
        }
    }
    (void)fclose(file);
    return (uint64_t)kib * 1024;
}

uint64_t il__major_faults(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_majflt : 0;
}
