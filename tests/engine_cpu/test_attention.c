/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Every attention kernel of the list against the definition in double precision: head sizes from 1,
 * grouped heads, windows, any past, few and many queries, both cache types; work cut into pieces
 * gives what the whole gives.
 */
#include "random.h"

#include "engine/cpu/kernels_internal.h"

static il_isa best_isa;

typedef struct problem {
    il_attention att;
    uint32_t past, n_query;
    size_t ldq, ldo;
    float *q, *keys, *values, *out, *want;
    uint16_t *keys16, *values16;
    float spread; /* of the scores: large makes the softmax a choice of one */
} problem;

static void make_problem(problem *p, il_dtype dtype)
{
    il_attention *att = &p->att;
    size_t n_cache = (size_t)att->n_kv_head * att->capacity * att->d_head;
    size_t row = (size_t)att->n_head * att->d_head;
    p->ldq = row + random_between(0, 9);
    p->ldo = row + random_between(0, 9);
    p->q = aligned_bytes(p->n_query * p->ldq * sizeof(float));
    p->out = aligned_bytes(p->n_query * p->ldo * sizeof(float));
    p->want = aligned_bytes(p->n_query * row * sizeof(float));
    /* exactly sized, so that the address sanitizer sees a read past the end */
    p->keys = malloc(n_cache * sizeof(float));
    p->values = malloc(n_cache * sizeof(float));
    p->keys16 = malloc(n_cache * sizeof(uint16_t));
    p->values16 = malloc(n_cache * sizeof(uint16_t));
    assert_true(p->keys && p->values && p->keys16 && p->values16);
    random_fill(p->q, p->n_query * p->ldq);
    random_fill(p->keys, n_cache);
    random_fill(p->values, n_cache);
    for (size_t i = 0; i < n_cache; i++) {
        p->keys[i] *= p->spread;
        if (dtype == IL_DTYPE_BF16) {
            p->keys16[i] = il_bf16_from_f32(p->keys[i]);
            p->values16[i] = il_bf16_from_f32(p->values[i]);
            p->keys[i] = il_bf16_to_f32(p->keys16[i]);
            p->values[i] = il_bf16_to_f32(p->values16[i]);
        }
    }
    /* what lies past the positions in use must not matter */
    uint32_t used = p->past + p->n_query;
    for (uint32_t h = 0; h < att->n_kv_head; h++) {
        for (size_t i = (size_t)used * att->d_head; i < (size_t)att->capacity * att->d_head; i++) {
            size_t at = (size_t)h * att->capacity * att->d_head + i;
            p->keys[at] = p->values[at] = NAN;
            p->keys16[at] = p->values16[at] = 0x7fc0;
        }
    }
    for (size_t i = 0; i < p->n_query * p->ldo; i++) {
        p->out[i] = 77.0f;
    }
}

static void free_problem(problem *p)
{
    free(p->q);
    free(p->out);
    free(p->want);
    free(p->keys);
    free(p->values);
    free(p->keys16);
    free(p->values16);
}

static void solve(problem *p)
{
    const il_attention *att = &p->att;
    double *weight = aligned_bytes((p->past + p->n_query) * sizeof *weight);
    size_t row = (size_t)att->n_head * att->d_head;
    for (uint32_t i = 0; i < p->n_query; i++) {
        for (uint32_t h = 0; h < att->n_head; h++) {
            uint32_t kv = h / (att->n_head / att->n_kv_head);
            size_t base = (size_t)kv * att->capacity * att->d_head;
            uint32_t end = p->past + i + 1;
            uint32_t begin = att->window && end > att->window ? end - att->window : 0;
            double most = -INFINITY, total = 0;
            for (uint32_t k = begin; k < end; k++) {
                weight[k] = 0;
                for (uint32_t d = 0; d < att->d_head; d++) {
                    weight[k] += (double)p->q[i * p->ldq + h * att->d_head + d] *
                                 (double)p->keys[base + k * att->d_head + d];
                }
                weight[k] *= (double)att->scale;
                most = fmax(most, weight[k]);
            }
            for (uint32_t k = begin; k < end; k++) {
                weight[k] = exp(weight[k] - most);
                total += weight[k];
            }
            for (uint32_t d = 0; d < att->d_head; d++) {
                double sum = 0;
                for (uint32_t k = begin; k < end; k++) {
                    sum += weight[k] / total * (double)p->values[base + k * att->d_head + d];
                }
                p->want[i * row + h * att->d_head + d] = (float)sum;
            }
        }
    }
    free(weight);
}

/* Scores are sums of d_head products below `spread`; their rounding is the relative error of the
 * weights, and the values are below 1. */
static void check_problem(const problem *p, const char *name)
{
    const il_attention *att = &p->att;
    size_t row = (size_t)att->n_head * att->d_head;
    double score = (double)(p->spread * att->scale) * att->d_head;
    double tolerance = 2e-6 + 8 * 0x1p-24 * score;
    for (uint32_t i = 0; i < p->n_query; i++) {
        for (size_t c = 0; c < p->ldo; c++) {
            double got = (double)p->out[i * p->ldo + c];
            double want = c < row ? (double)p->want[i * row + c] : 77.0;
            if (!(fabs(got - want) <= tolerance)) {
                print_error("%s heads %u/%u of %u, past %u, queries %u, window %u: row %u column "
                            "%zu is %.9g, not %.9g (tolerance %.2g)\n",
                            name, att->n_head, att->n_kv_head, att->d_head, p->past, p->n_query,
                            att->window, i, c, got, want, tolerance);
                fail();
            }
        }
    }
}

static void run_in_pieces(problem *p, uint32_t most_queries, uint32_t most_heads)
{
    il_attention *att = &p->att;
    void *scratch =
        aligned_bytes(il_attention_scratch_bytes(att, most_queries, p->past + p->n_query));
    const void *keys = att->kv_dtype == IL_DTYPE_F32 ? (const void *)p->keys : p->keys16;
    const void *values = att->kv_dtype == IL_DTYPE_F32 ? (const void *)p->values : p->values16;
    for (uint32_t i = 0; i < p->n_query; i += most_queries) {
        uint32_t n = p->n_query - i < most_queries ? p->n_query - i : most_queries;
        for (uint32_t h = 0; h < att->n_head; h += most_heads) {
            uint32_t heads = att->n_head - h < most_heads ? att->n_head - h : most_heads;
            il_attention_forward(att, p->q, p->ldq, keys, values, p->past, i, n, h, heads, p->out,
                                 p->ldo, scratch);
        }
    }
    free(scratch);
}

static void one_problem(const il__attention_kernel *kernel, problem *p)
{
    p->att.kv_dtype = kernel->dtype;
    p->att.isa = kernel->isa;
    p->att.capacity = p->past + p->n_query + random_between(0, 3);
    p->att.scale = 1 / sqrtf((float)p->att.d_head);
    make_problem(p, kernel->dtype);
    solve(p);
    run_in_pieces(p, p->n_query, p->att.n_head);
    check_problem(p, kernel->name);
    run_in_pieces(p, random_between(1, p->n_query), random_between(1, p->att.n_head));
    check_problem(p, kernel->name);
    free_problem(p);
}

static void random_problems(void **state)
{
    (void)state;
    for (size_t k = 0; k < il__n_attention_kernels; k++) {
        const il__attention_kernel *kernel = &il__attention_kernels[k];
        for (int round = 0; round < 150 && kernel->isa <= best_isa; round++) {
            problem p = {.spread = round % 3 == 0 ? 20.0f : 1.0f};
            p.att.n_kv_head = random_between(1, 3);
            p.att.n_head = p.att.n_kv_head * random_between(1, 5);
            p.att.d_head = random_between(1, round % 10 == 0 ? 300 : 40);
            p.att.window = round % 4 == 0 ? random_between(1, 90) : 0;
            p.past = random_between(0, round % 2 ? 150 : 3);
            p.n_query = random_between(1, round % 3 ? 12 : 90);
            one_problem(kernel, &p);
        }
    }
}

static void usual_heads(void **state)
{
    (void)state;
    static const struct {
        uint32_t n_head, n_kv_head, d_head, past, n_query, window;
    } rows[] = {
        {2, 2, 64, 511, 1, 0},  {12, 12, 64, 0, 130, 0}, {8, 2, 128, 200, 1, 0},
        {8, 2, 128, 0, 70, 16}, {1, 1, 1, 0, 1, 0},      {2, 2, 1, 0, 17, 0},
        {130, 1, 8, 5, 2, 0},   {4, 1, 80, 300, 3, 64},  {2, 1, 256, 63, 66, 0},
    };
    for (size_t k = 0; k < il__n_attention_kernels; k++) {
        const il__attention_kernel *kernel = &il__attention_kernels[k];
        for (size_t i = 0; i < sizeof rows / sizeof rows[0] && kernel->isa <= best_isa; i++) {
            problem p = {.spread = 1.0f, .past = rows[i].past, .n_query = rows[i].n_query};
            p.att.n_head = rows[i].n_head;
            p.att.n_kv_head = rows[i].n_kv_head;
            p.att.d_head = rows[i].d_head;
            p.att.window = rows[i].window;
            one_problem(kernel, &p);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_problems),
        cmocka_unit_test(usual_heads),
    };
    random_seed();
    il_error err = {0};
    if (il_isa_choose("auto", &best_isa, &err) != IL_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
