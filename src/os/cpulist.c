/* SPDX-License-Identifier: Apache-2.0 */
#include "os/cpulist.h"

#include "base/text.h"

#include <stdint.h>
#include <string.h>

/* One number in text[0..n). */
static int parse_number(const char *text, size_t n, int64_t *out)
{
    char copy[16];
    if (n >= sizeof copy) {
        return IL_E_RANGE;
    }
    memcpy(copy, text, n);
    copy[n] = '\0';
    return il_text_to_i64(copy, out);
}

int il_cpulist_parse(const char *text, cpu_set_t *out, il_error *err)
{
    CPU_ZERO(out);
    for (const char *part = text;;) {
        size_t n = strcspn(part, ",");
        const char *dash = memchr(part, '-', n);
        size_t n_first = dash ? (size_t)(dash - part) : n;
        int64_t first = 0, last = 0;
        int rc = parse_number(part, n_first, &first);
        last = first;
        if (rc == IL_OK && dash) {
            rc = parse_number(dash + 1, n - n_first - 1, &last);
        }
        if (rc != IL_OK) {
            rc = il_fail(err, rc, "\"%s\" is not a list of CPUs", text);
            il_error_hint(err, "write numbers and ranges, as 0-3,8");
            return rc;
        }
        if (first < 0 || last < first || last >= CPU_SETSIZE) {
            return il_fail(err, IL_E_RANGE, "the list of CPUs \"%s\" has a range outside 0 to %d",
                           text, CPU_SETSIZE - 1);
        }
        for (int64_t cpu = first; cpu <= last; cpu++) {
            CPU_SET((size_t)cpu, out);
        }
        if (part[n] == '\0') {
            return IL_OK;
        }
        part += n + 1;
    }
}
