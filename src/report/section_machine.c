/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The machine, from the manifest: every scalar, ranges of what was measured often, the runtimes.
 */
#include "report/report_internal.h"
#include "report/words.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const il__heading headings[] = {{"what", IL__CELL_TEXT}, {"value", IL__CELL_TEXT}};

static void value_text(char *out, size_t out_bytes, const char *key, const json_t *value)
{
    if (json_is_string(value)) {
        il_words_clean(out, out_bytes, json_string_value(value), 90);
    } else if (json_is_boolean(value)) {
        (void)snprintf(out, out_bytes, "%s", json_is_true(value) ? "yes" : "no");
    } else if (json_is_integer(value)) {
        json_int_t n = json_integer_value(value);
        const char *end = strstr(key, "_bytes");
        (void)snprintf(out, out_bytes, "%lld", (long long)n);
        if (end && n >= 1 << 30) {
            (void)snprintf(out, out_bytes, "%.1f GiB", (double)n / 1073741824.0);
        } else if (end && n >= 1 << 20) {
            (void)snprintf(out, out_bytes, "%.1f MiB", (double)n / 1048576.0);
        }
    } else {
        il_words_plain(out, out_bytes, json_real_value(value));
    }
}

/* Least and largest of an array of numbers (a ceiling has one a block). */
static void range_text(char *out, size_t out_bytes, const json_t *list)
{
    double low = INFINITY, high = -INFINITY;
    size_t i, n = 0;
    json_t *item;
    json_array_foreach((json_t *)list, i, item)
    {
        if (json_is_number(item)) {
            low = fmin(low, json_number_value(item));
            high = fmax(high, json_number_value(item));
            n++;
        }
    }
    char a[32], b[32];
    il_words_plain(a, sizeof a, low);
    il_words_plain(b, sizeof b, high);
    (void)snprintf(out, out_bytes, "%s to %s (%zu values)", a, b, n);
}

static void put_row(il__doc *doc, const char *what, const char *value)
{
    if (il__doc_row(doc, NULL)) {
        il__doc_cell(doc, what);
        il__doc_cell(doc, value);
    }
}

/* A row of every scalar and every array of numbers below value. */
static void put_json_rows(il__doc *doc, const char *prefix, const json_t *value, int depth)
{
    const char *key;
    json_t *item;
    json_object_foreach((json_t *)value, key, item)
    {
        char name[192], text[512];
        (void)snprintf(name, sizeof name, "%s%s%s", prefix, prefix[0] ? ", " : "", key);
        for (char *p = name; *p; p++) {
            *p = *p == '_' ? ' ' : *p;
        }
        if (json_is_object(item) && depth < 4) {
            put_json_rows(doc, name, item, depth + 1);
        } else if (json_is_array(item) && json_is_number(json_array_get(item, 0))) {
            range_text(text, sizeof text, item);
            put_row(doc, name, text);
        } else if (!json_is_null(item) && !json_is_object(item) && !json_is_array(item)) {
            value_text(text, sizeof text, key, item);
            put_row(doc, name, text);
        }
    }
}

/* Of each runtime what may change a number; the rest is in the manifest. */
static void put_runtimes(il__doc *doc, const json_t *runtimes)
{
    static const char *const keys[] = {"runtime", "runtime_version", "version",
                                       "isa",     "threads",         "dtype",
                                       "device",  "logits",          "huge_pages"};
    const char *name;
    json_t *runtime;
    json_object_foreach((json_t *)runtimes, name, runtime)
    {
        char what[192], all[1024] = "", one[512];
        (void)snprintf(what, sizeof what, "runtime of %s", name);
        if (json_is_string(runtime)) {
            value_text(all, sizeof all, "", runtime);
        }
        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
            const json_t *value = json_object_get(runtime, keys[i]);
            value = value ? value : json_object_get(json_object_get(runtime, "worker"), keys[i]);
            if (json_is_string(value) || json_is_integer(value)) {
                size_t n = strlen(all);
                value_text(one, sizeof one, keys[i], value);
                (void)snprintf(all + n, sizeof all - n, "%s%s %s", n ? ", " : "", keys[i], one);
            }
        }
        put_row(doc, what, all);
    }
}

/* machine.spoilers: [{what, fix, serious}] or [text]. */
static void put_spoilers(il__doc *doc, const json_t *list)
{
    size_t i;
    json_t *item;
    if (json_array_size(list) > 0) {
        il__doc_say(doc, "What of this machine spoils a measurement:");
    }
    json_array_foreach(list, i, item)
    {
        const char *what = json_is_string(item) ? json_string_value(item)
                                                : json_string_value(json_object_get(item, "what"));
        const char *fix = json_string_value(json_object_get(item, "fix"));
        if (what) {
            il__doc_open(doc, IL__BLOCK_ITEM);
            il__doc_text(doc, "%s%s%s", what, fix && fix[0] ? ". To mend it: " : "",
                         fix ? fix : "");
        }
    }
}

void il__report_machine(il__doc *doc, const il_facts *f)
{
    il__doc_section(doc, "machine", "Machine");
    const json_t *machine = json_object_get(f->manifest, "machine");
    if (!json_is_object(machine)) {
        il__doc_say(doc, "Not recorded.");
        return;
    }
    il__doc_table(doc, IL__BLOCK_TABLE, "", headings, 2, NULL);
    put_json_rows(doc, "", machine, 0);
    put_json_rows(doc, "ceiling", json_object_get(f->manifest, "ceilings"), 0);
    put_runtimes(doc, json_object_get(f->manifest, "runtimes"));
    put_spoilers(doc, json_object_get(f->manifest, "spoilers"));
    put_spoilers(doc, json_object_get(machine, "spoilers"));
}
