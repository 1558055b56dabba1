/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "analysis/policy.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    double bits; /* of a weight, scales included */
    bool quantised;
} formats[] = {{"F32", 32, false},  {"F16", 16, false},    {"BF16", 16, false},
               {"Q8_0", 8.5, true}, {"Q4_K_M", 4.8, true}, {"Q4_0", 4.5, true}};

const char *il__remedy_name(il__remedy remedy)
{
    static const char *const names[] = {"",         "quantisation", "dtype", "compilation",
                                        "batching", "runtime"};
    return names[remedy];
}

static const char *text(const il_plan_backend *b, il_aspect aspect)
{
    return b->aspect[aspect] ? b->aspect[aspect] : "";
}

static bool same(const il_plan_backend *a, const il_plan_backend *b, il_aspect aspect)
{
    return strcmp(text(a, aspect), text(b, aspect)) == 0;
}

const char *il__weights_format(const il_plan_backend *b)
{
    const char *weights = text(b, IL_ASPECT_weights), *dtype = text(b, IL_ASPECT_dtype);
    return weights[0]                   ? weights
           : strcmp(dtype, "fp32") == 0 ? "F32"
           : strcmp(dtype, "bf16") == 0 ? "BF16"
           : strcmp(dtype, "fp16") == 0 ? "F16"
                                        : "";
}

void il__missing_aspects(const il_plan_backend *b, char *out, size_t out_bytes)
{
    static const struct {
        il_aspect aspect;
        const char *key;
    } asked[] = {{IL_ASPECT_kind, "kind"},     {IL_ASPECT_server, "server"},
                 {IL_ASPECT_dtype, "dtype"},   {IL_ASPECT_weights, "weights"},
                 {IL_ASPECT_launch, "launch"}, {IL_ASPECT_batch_size, "batch_size"}};
    out[0] = '\0';
    for (size_t i = 0; i < IL__COUNT_OF(asked); i++) {
        if (!b->aspect[asked[i].aspect]) {
            size_t len = strlen(out);
            (void)snprintf(out + len, out_bytes - len, "%s%s", len ? ", " : "", asked[i].key);
        }
    }
}

static size_t format_at(const il_plan_backend *b)
{
    const char *name = il__weights_format(b);
    size_t i = 0;
    while (i < IL__COUNT_OF(formats) && strcmp(formats[i].name, name) != 0) {
        i++;
    }
    return i;
}

static il__remedy format_remedy(const il_plan_backend *a, const il_plan_backend *b)
{
    size_t from = format_at(a), to = format_at(b);
    if (from == IL__COUNT_OF(formats) || to == IL__COUNT_OF(formats) ||
        formats[to].bits >= formats[from].bits) {
        return IL__REMEDY_NONE;
    }
    return formats[to].quantised ? IL__REMEDY_QUANTISATION : IL__REMEDY_DTYPE;
}

/* The mode of a compiler is no aspect of what is not compiled. */
static bool same_launch(const il_plan_backend *a, const il_plan_backend *b)
{
    return same(a, b, IL_ASPECT_launch) && (strcmp(text(a, IL_ASPECT_launch), "compile") != 0 ||
                                            same(a, b, IL_ASPECT_compile_mode));
}

il__remedy il__remedy_of(const il_plan_backend *a, const il_plan_backend *b)
{
    static const il_aspect others[] = {
        IL_ASPECT_endpoint, IL_ASPECT_device,     IL_ASPECT_attention, IL_ASPECT_kv_cache,
        IL_ASPECT_isa,      IL_ASPECT_logits,     IL_ASPECT_compat,    IL_ASPECT_affinity,
        IL_ASPECT_threads,  IL_ASPECT_concurrency};
    for (size_t i = 0; i < IL__COUNT_OF(others); i++) {
        if (!same(a, b, others[i])) {
            return IL__REMEDY_NONE;
        }
    }
    bool runtime = !same(a, b, IL_ASPECT_kind) || !same(a, b, IL_ASPECT_server) ||
                   !same(a, b, IL_ASPECT_provider);
    bool format = strcmp(il__weights_format(a), il__weights_format(b)) != 0;
    bool launch = !same_launch(a, b);
    bool batch = !same(a, b, IL_ASPECT_batch_size);
    if (runtime + format + launch + batch != 1) {
        return IL__REMEDY_NONE;
    }
    if (format) {
        return format_remedy(a, b);
    }
    if (launch) {
        return strcmp(text(a, IL_ASPECT_launch), "eager") == 0 ? IL__REMEDY_COMPILATION
                                                               : IL__REMEDY_NONE;
    }
    if (batch) {
        return b->batch_size > a->batch_size ? IL__REMEDY_BATCHING : IL__REMEDY_NONE;
    }
    return IL__REMEDY_RUNTIME;
}
