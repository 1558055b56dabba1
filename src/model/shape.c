/* SPDX-License-Identifier: Apache-2.0 */
#include "model/shape.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

/* Far beyond any published model, and small enough that no product of two sizes leaves 64 bits and
 * no list of tensors takes seconds to walk. */
enum { MOST_SIZE = 1 << 26, MOST_LAYERS = 1 << 14, MOST_EXPERT_LAYERS = 1 << 20 };

static int bad(il_error *err, const char *hint, const char *fmt, ...) IL_PRINTF(3, 4);
static int bad(il_error *err, const char *hint, const char *fmt, ...)
{
    char text[256];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    int rc = il_fail(err, IL_E_INVALID, "%s", text);
    if (hint) {
        il_error_hint(err, "%s", hint);
    }
    return rc;
}

static int check_sizes(const il_shape *s, il_error *err)
{
    const struct {
        const char *name;
        uint32_t value, most;
    } sizes[] = {
        {"layers", s->n_layer, MOST_LAYERS},       {"width", s->d_model, MOST_SIZE},
        {"attention heads", s->n_head, MOST_SIZE}, {"KV heads", s->n_kv_head, MOST_SIZE},
        {"head size", s->d_head, MOST_SIZE},       {"feed-forward width", s->d_ff, MOST_SIZE},
        {"vocabulary", s->vocab_size, MOST_SIZE},  {"positions", s->n_positions, INT32_MAX},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        if (sizes[i].value == 0) {
            return bad(err, NULL, "the %s must be at least 1, found 0", sizes[i].name);
        }
        if (sizes[i].value > sizes[i].most) {
            return bad(err, NULL, "%s: %u is more than the %u allowed", sizes[i].name,
                       sizes[i].value, sizes[i].most);
        }
    }
    if ((uint64_t)s->n_head * s->d_head > MOST_SIZE) {
        return bad(err, NULL, "%u heads of size %u are too many", s->n_head, s->d_head);
    }
    return IL_OK;
}

static int check_heads(const il_shape *s, il_error *err)
{
    if (s->n_head % s->n_kv_head != 0) {
        return bad(err, "the KV heads must divide the attention heads",
                   "%u attention heads cannot share %u KV heads", s->n_head, s->n_kv_head);
    }
    bool plain = s->arch == IL_ARCH_GPT2 || s->arch == IL_ARCH_GPT_NEOX || s->arch == IL_ARCH_OPT;
    if (plain && s->n_kv_head != s->n_head) {
        return bad(err, "leave n_kv_head out", "%s has as many KV heads as attention heads",
                   il_arch_name(s->arch));
    }
    if (plain && (uint64_t)s->n_head * s->d_head != s->d_model) {
        return bad(err, "choose a width that the heads divide",
                   "%u heads of size %u do not make the width %u", s->n_head, s->d_head,
                   s->d_model);
    }
    return IL_OK;
}

static int check_numbers(const il_shape *s, il_error *err)
{
    if (!(s->norm_eps > 0) || !(s->norm_eps < 1)) {
        return bad(err, NULL, "the norm's epsilon %g is not between 0 and 1", s->norm_eps);
    }
    if (!(s->embed_scale > 0) || !isfinite(s->embed_scale) || !(s->attn_scale > 0) ||
        !isfinite(s->attn_scale)) {
        return bad(err, NULL, "the scale of embeddings (%g) or attention (%g) is not positive",
                   s->embed_scale, s->attn_scale);
    }
    if (s->position != IL_POSITION_ROPE) {
        return IL_OK;
    }
    if (s->rope_dims == 0 || s->rope_dims > s->d_head || s->rope_dims % 2 != 0) {
        return bad(err, "rotary embedding turns pairs: an even number, at most the head size",
                   "%u rotated dimensions do not fit heads of size %u", s->rope_dims, s->d_head);
    }
    if (!(s->rope_theta > 0) || !isfinite(s->rope_theta) || !(s->rope_theta_local >= 0) ||
        !isfinite(s->rope_theta_local)) {
        return bad(err, NULL, "rope theta %g (local %g) is not positive", s->rope_theta,
                   s->rope_theta_local);
    }
    if (s->rope_scaling != IL_ROPE_PLAIN && (!(s->rope_factor > 0) || !isfinite(s->rope_factor))) {
        return bad(err, NULL, "the rope scaling factor %g is not positive", s->rope_factor);
    }
    if (s->rope_scaling == IL_ROPE_LLAMA3 &&
        (!(s->rope_low_freq > 0) || !(s->rope_high_freq > s->rope_low_freq))) {
        return bad(err, NULL, "rope frequency factors %g and %g are not in order", s->rope_low_freq,
                   s->rope_high_freq);
    }
    if ((s->rope_scaling == IL_ROPE_LLAMA3 || s->rope_scaling == IL_ROPE_YARN) &&
        !(s->rope_original_positions >= 1)) {
        return bad(err, NULL, "rope scaling needs the original number of positions, found %g",
                   s->rope_original_positions);
    }
    if (s->rope_scaling == IL_ROPE_YARN &&
        (!(s->rope_beta_slow > 0) || !(s->rope_beta_fast > s->rope_beta_slow))) {
        return bad(err, NULL, "yarn betas %g and %g are not in order", s->rope_beta_fast,
                   s->rope_beta_slow);
    }
    return IL_OK;
}

static int check_experts(const il_shape *s, il_error *err)
{
    bool of_experts = s->arch == IL_ARCH_QWEN3_MOE || s->arch == IL_ARCH_MIXTRAL ||
                      s->arch == IL_ARCH_OLMOE || s->arch == IL_ARCH_GPT_OSS;
    if (of_experts != (s->n_expert > 0)) {
        return bad(err, NULL, "%u experts do not fit the family %s", s->n_expert,
                   il_arch_name(s->arch));
    }
    if (s->n_expert_used > s->n_expert || (s->n_expert > 0 && s->n_expert_used == 0)) {
        return bad(err, NULL, "%u experts per token do not fit %u experts", s->n_expert_used,
                   s->n_expert);
    }
    if ((uint64_t)s->n_expert * s->n_layer > MOST_EXPERT_LAYERS) {
        return bad(err, NULL, "%u experts in %u layers are too many", s->n_expert, s->n_layer);
    }
    return IL_OK;
}

int il_shape_check(const il_shape *shape, il_error *err)
{
    if ((unsigned)shape->arch >= IL_ARCH_COUNT) {
        return il_fail(err, IL_E_INVALID, "family %d is not in the table", (int)shape->arch);
    }
    int rc = check_sizes(shape, err);
    if (rc == IL_OK) {
        rc = check_heads(shape, err);
    }
    if (rc == IL_OK) {
        rc = check_numbers(shape, err);
    }
    if (rc == IL_OK) {
        rc = check_experts(shape, err);
    }
    il_param_counts counts;
    if (rc == IL_OK) {
        rc = il_shape_count(shape, &counts, err);
    }
    return rc;
}
