/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Every kernel of kernel_list.inc at the shapes models give it. Each is first checked against the
 * reference at that very shape, then timed in turn with the ceilings it is held against: the read
 * bandwidth of a buffer of the same size and the multiply-add peak of the same dtype, with the same
 * threads. A sample's share is floor / time, the floor being the longer of bytes / bandwidth and
 * operations / peak; ceilings and kernel stand next to each other in time, so that a busy host
 * slows both.
 */
#include "bench.h"

#include "engine/cpu/kernels_internal.h"
#include "os/ceiling.h"
#include "os/clock.h"
#include "stats/order.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

enum { MOST_SAMPLES = 1001, SAMPLE_NS = 2000000, HUGE_PAGE_BYTES = 2 << 20 };

typedef struct options {
    uint32_t n_threads, n_samples;
    const char *isa;  /* NULL: every one this machine can run */
    const char *only; /* substring of the row's name */
    bool csv;
} options;

typedef struct bench_run {
    options o;
    il_pool *pool;
    il_isa best_isa;
    bool failed; /* a kernel disagreed with the reference */
} bench_run;

/* What one row is made of: work() does it once. */
typedef struct row {
    char name[96];
    const char *kernel;
    il_dtype dtype; /* of the multiply-adds */
    uint32_t n_threads;
    double bytes, flops;
    void (*work)(void *state);
    void *state;
} row;

/* Huge pages as for the ceiling's buffer: the ratio is to be the kernel's, not the page tables'. */
static void *take(size_t n_bytes)
{
    size_t whole = (n_bytes + HUGE_PAGE_BYTES) / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
    void *p = aligned_alloc(HUGE_PAGE_BYTES, whole);
    if (p == NULL) {
        (void)fprintf(stderr, "no memory for %zu bytes\n", whole);
        exit(1);
    }
    (void)madvise(p, whole, MADV_HUGEPAGE);
    return p;
}

static float *take_random(size_t n)
{
    static uint64_t state = 1;
    float *x = take(n * sizeof *x);
    for (size_t i = 0; i < n; i++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        x[i] = (float)(int32_t)(state >> 32) * 0x1p-31f;
    }
    return x;
}

static void print_head(const options *o)
{
    if (o->csv) {
        (void)printf(
            "kernel,shape,threads,samples,disturbed,time_us,gbps,gflops,bound_by,share_of_floor,"
            "ci_low,ci_high\n");
    } else {
        (void)printf("%-29s %-34s %11s %8s %8s  %-9s %s\n", "kernel", "shape", "time us", "GB/s",
                     "GFLOP/s", "bound by", "share of the floor [95 %]");
    }
}

typedef struct timing {
    double us[MOST_SAMPLES], shares[MOST_SAMPLES];
    bool memory_bound[MOST_SAMPLES];
    uint32_t n, n_disturbed;
} timing;

static void print_row(const options *o, const row *r, const timing *t)
{
    il_interval share = {NAN, NAN, NAN};
    (void)il_quantile_interval(t->shares, t->n, 0.5, 0.95, &share, NULL, NULL);
    double time_us = il_median(t->us, t->n);
    double gbps = r->bytes / time_us / 1e3, gflops = r->flops / time_us / 1e3;
    uint32_t n_memory = 0;
    for (uint32_t i = 0; i < t->n; i++) {
        n_memory += t->memory_bound[i];
    }
    const char *bound = 2 * n_memory > t->n ? "bandwidth" : "multiply";
    if (o->csv) {
        (void)printf("%s,%s,%u,%u,%u,%.4g,%.4g,%.4g,%s,%.4f,", r->kernel, r->name, r->n_threads,
                     t->n, t->n_disturbed, time_us, gbps, gflops, bound, share.estimate);
        (void)printf(isnan(share.low) ? ",\n" : "%.4f,%.4f\n", share.low, share.high);
    } else {
        (void)printf("%-29s %-34s %11.3f %8.1f %8.1f  %-9s %.3f [%.3f, %.3f]", r->kernel, r->name,
                     time_us, gbps, gflops, bound, share.estimate, share.low, share.high);
        (void)printf(t->n_disturbed ? "  %u of %u disturbed\n" : "\n", t->n_disturbed, t->n);
    }
    (void)fflush(stdout);
}

/* Rounds of work that fill a sample. */
static uint32_t count_rounds(const row *r)
{
    r->work(r->state);
    int64_t t0 = il_clock_ns();
    r->work(r->state);
    int64_t took = il_clock_ns() - t0;
    int64_t n = SAMPLE_NS / (took > 0 ? took : 1);
    return n < 1 ? 1 : n > 100000 ? 100000 : (uint32_t)n;
}

/* Times any of our threads lost its CPU to another. */
static long preemptions(void)
{
    struct rusage use;
    return getrusage(RUSAGE_SELF, &use) == 0 ? use.ru_nivcsw : 0;
}

/* Ceilings and kernel in turn, as sample number t->n. False when one of them was preempted: what
 * stands next to each other then does not compare. */
static bool take_sample(bench_run *run, const row *r, il_ceiling *ceiling, uint32_t n_rounds,
                        timing *t)
{
    long before = preemptions();
    double gbps = il_ceiling_read_sample_gbps(ceiling);
    double gflops = il_ceiling_fma_sample_gflops(ceiling, r->dtype);
    il_pool_enter(run->pool);
    r->work(r->state); /* the ceiling's buffer is in the cache, not ours */
    int64_t t0 = il_clock_ns();
    for (uint32_t k = 0; k < n_rounds; k++) {
        r->work(r->state);
    }
    double ns = (double)(il_clock_ns() - t0) / n_rounds;
    il_pool_leave(run->pool);
    double memory_ns = r->bytes / gbps, multiply_ns = r->flops / gflops;
    t->us[t->n] = ns / 1e3;
    t->shares[t->n] = fmax(memory_ns, multiply_ns) / ns;
    t->memory_bound[t->n] = memory_ns > multiply_ns;
    return preemptions() == before;
}

/* Undisturbed samples are looked for in up to MOST_TRIES as many attempts; when the host is too
 * busy to yield them, disturbed ones fill up and are counted in the row. */
static void time_row(bench_run *run, const row *r)
{
    enum { MOST_TRIES = 4 };
    static timing t;
    t.n = t.n_disturbed = 0;
    il_error err = {0};
    il_ceiling *ceiling = NULL;
    if (il_ceiling_open((uint64_t)r->bytes, r->n_threads, &ceiling, &err) != IL_OK) {
        (void)fprintf(stderr, "%s\n", err.what);
        run->failed = true;
        return;
    }
    (void)il_ceiling_read_sample_gbps(ceiling); /* sizes its samples */
    (void)il_ceiling_fma_sample_gflops(ceiling, r->dtype);
    il_pool_enter(run->pool);
    uint32_t n_rounds = count_rounds(r);
    il_pool_leave(run->pool);
    uint32_t spare = (MOST_TRIES - 1) * run->o.n_samples;
    while (t.n < run->o.n_samples) {
        bool clean = take_sample(run, r, ceiling, n_rounds, &t);
        if (clean || spare == 0) {
            t.n_disturbed += !clean;
            t.n++;
        } else {
            spare--;
        }
    }
    il_ceiling_close(ceiling);
    print_row(&run->o, r, &t);
}

static bool selected(const bench_run *run, const char *kernel, const char *shape, il_isa isa)
{
    return isa <= run->best_isa &&
           (run->o.isa == NULL || strcmp(run->o.isa, il_isa_name(isa)) == 0) &&
           (run->o.only == NULL || strstr(kernel, run->o.only) || strstr(shape, run->o.only));
}

/* --- linear layers ------------------------------------------------------------------------------
 */

typedef struct linear_state {
    il_linear lin;
    const float *x;
    float *y;
    uint32_t m;
    void *scratch;
    il_pool *pool;
} linear_state;

static void linear_work(void *p)
{
    linear_state *s = p;
    il_linear_forward(&s->lin, s->x, s->lin.n_in, s->y, s->lin.n_out, s->m, IL_EPILOGUE_NONE,
                      s->scratch, s->pool);
}

static il_linear make_linear(uint32_t n_out, uint32_t n_in, il_dtype dtype, il_isa isa,
                             const float *w, il_pool *pool)
{
    il_linear lin = {.n_in = n_in, .n_out = n_out, .dtype = dtype, .isa = isa};
    lin.packed = take(il_linear_packed_bytes(&lin));
    (void)il_linear_pack(&lin, 0, n_out, w, IL_DTYPE_F32, false, n_in, pool);
    return lin;
}

/* Largest difference to the reference, as a share of √n_in, the size of a sum of n_in products. The
 * reference runs on up to MOST_ROWS rows, which hold every tile height that m is cut into. */
static double linear_error(const linear_state *s, const il__linear_kernel *kernel, const float *w)
{
    enum { MOST_ROWS = 24 };
    uint32_t rows = s->m < MOST_ROWS ? s->m : MOST_ROWS, n_in = s->lin.n_in;
    il_linear plain = make_linear(s->lin.n_out, n_in, s->lin.dtype, IL_ISA_REFERENCE, w, s->pool);
    float *x = take((size_t)rows * n_in * sizeof *x);
    float *y = take((size_t)rows * s->lin.n_out * sizeof *y);
    for (size_t i = 0; i < (size_t)rows * n_in; i++) {
        x[i] = kernel->x_bf16 ? il_bf16_to_f32(il_bf16_from_f32(s->x[i])) : s->x[i];
    }
    void *scratch = take(il_linear_scratch_bytes(&plain, rows));
    il_linear_forward(&plain, x, n_in, y, s->lin.n_out, rows, IL_EPILOGUE_NONE, scratch, s->pool);
    double worst = 0;
    for (size_t i = 0; i < (size_t)rows * s->lin.n_out; i++) {
        worst = fmax(worst, fabs((double)y[i] - (double)s->y[i]));
    }
    free(plain.packed);
    free(scratch);
    free(x);
    free(y);
    return worst / sqrt(n_in);
}

/* m, n_out, n_in: the layers of GPT-2 and of a 7 B model, decode, small batches, prefill; and a
 * model of width 80. Last: the smallest there is. */
static const uint32_t linear_shapes[][3] = {
    {1, 2304, 768},    {1, 3072, 768},    {1, 768, 3072},    {1, 50257, 768},  {1, 4096, 4096},
    {1, 11008, 4096},  {2, 50257, 768},   {4, 50257, 768},   {8, 50257, 768},  {9, 3072, 768},
    {17, 3072, 768},   {32, 3072, 768},   {512, 768, 768},   {512, 3072, 768}, {512, 768, 3072},
    {512, 50257, 768}, {512, 1024, 4096}, {512, 4096, 1024}, {1, 320, 80},     {9, 320, 80},
    {1, 2, 2},
};

static void bench_linear(bench_run *run, const il__linear_kernel *kernel, const uint32_t *shape)
{
    uint32_t m = shape[0], n = shape[1], k = shape[2];
    row r = {.kernel = kernel->name + strlen("il__"),
             .dtype = kernel->x_bf16 ? IL_DTYPE_BF16 : IL_DTYPE_F32,
             .n_threads = il_pool_size(run->pool)};
    (void)snprintf(r.name, sizeof r.name, "m=%u n=%u k=%u", m, n, k);
    if (!selected(run, kernel->name, r.name, kernel->isa)) {
        return;
    }
    float *w = take_random((size_t)n * k), *x = take_random((size_t)m * k);
    linear_state s = {.lin = make_linear(n, k, kernel->dtype, kernel->isa, w, run->pool),
                      .x = x,
                      .y = take((size_t)m * n * sizeof(float)),
                      .m = m,
                      .pool = run->pool};
    s.scratch = take(il_linear_scratch_bytes(&s.lin, m));
    linear_work(&s);
    double error = linear_error(&s, kernel, w);
    free(w);
    if (!(error <= 1e-6 + 1e-7 * sqrt(k))) { /* rounding walks about √n_in steps */
        (void)fprintf(stderr, "%s %s differs from the reference by %.3g\n", r.kernel, r.name,
                      error);
        run->failed = true;
    } else {
        r.bytes = (double)n * k * (double)il_dtype_bytes(kernel->dtype);
        r.flops = 2.0 * m * n * k;
        r.work = linear_work;
        r.state = &s;
        time_row(run, &r);
    }
    free(s.lin.packed);
    free(s.y);
    free(s.scratch);
    free(x);
}

/* --- linear layers of blocks --------------------------------------------------------------------
 */

static il_linear make_blocks(uint32_t n_out, uint32_t n_in, il_ggml_type type, il_isa isa,
                             uint8_t *blocks, il_pool *pool)
{
    il_linear lin = {.n_in = n_in, .n_out = n_out, .blocks = type, .isa = isa};
    size_t row_bytes = il_quant_bytes(type, n_in);
    const uint8_t **rows = take(n_out * sizeof *rows);
    for (uint32_t r = 0; r < n_out; r++) {
        rows[r] = blocks + r * row_bytes;
    }
    lin.packed = take(il_linear_packed_bytes(&lin));
    (void)il_linear_pack_blocks(&lin, 0, n_out, rows, pool);
    free((void *)rows);
    return lin;
}

/* As linear_error, with activations rounded to blocks of 32 int8 numbers for the reference. */
static double blocks_error(const linear_state *s, uint8_t *blocks)
{
    enum { MOST_ROWS = 24, BLOCK = 32 };
    uint32_t rows = s->m < MOST_ROWS ? s->m : MOST_ROWS, n_in = s->lin.n_in;
    il_linear plain =
        make_blocks(s->lin.n_out, n_in, s->lin.blocks, IL_ISA_REFERENCE, blocks, s->pool);
    float *x = take((size_t)rows * n_in * sizeof *x);
    float *y = take((size_t)rows * s->lin.n_out * sizeof *y);
    for (size_t b = 0; b < (size_t)rows * n_in; b += BLOCK) {
        float most = 0;
        for (size_t i = b; i < b + BLOCK; i++) {
            most = fmaxf(most, fabsf(s->x[i]));
        }
        for (size_t i = b; i < b + BLOCK; i++) {
            x[i] = most > 0 ? most / 127.0F * rintf(s->x[i] * (127.0F / most)) : 0;
        }
    }
    il_linear_forward(&plain, x, n_in, y, s->lin.n_out, rows, IL_EPILOGUE_NONE, NULL, s->pool);
    double worst = 0;
    for (size_t i = 0; i < (size_t)rows * s->lin.n_out; i++) {
        worst = fmax(worst, fabs((double)y[i] - (double)s->y[i]));
    }
    free(plain.packed);
    free(x);
    free(y);
    return worst / sqrt(n_in);
}

/* The multiply-add ceiling is that of the bf16 dot product: there is none of int8 here, whose
 * instruction does twice as much. */
static void bench_blocks(bench_run *run, const il__block_kernel *kernel, const uint32_t *shape)
{
    uint32_t m = shape[0], n = shape[1], k = shape[2];
    row r = {.kernel = kernel->name + strlen("il__"),
             .dtype = IL_DTYPE_BF16,
             .n_threads = il_pool_size(run->pool)};
    (void)snprintf(r.name, sizeof r.name, "m=%u n=%u k=%u", m, n, k);
    il_error err = {0};
    size_t n_bytes = il_quant_bytes(kernel->type, (uint64_t)n * k);
    if (k % il_ggml_layout_of((uint32_t)kernel->type)->block_values != 0 ||
        !selected(run, kernel->name, r.name, kernel->isa)) {
        return;
    }
    float *w = take_random((size_t)n * k), *x = take_random((size_t)m * k);
    uint8_t *blocks = take(n_bytes);
    if (il_quant_write(kernel->type, w, (size_t)n * k, blocks, &err) != IL_OK) {
        (void)fprintf(stderr, "%s\n", err.what);
        exit(1);
    }
    free(w);
    linear_state s = {.lin = make_blocks(n, k, kernel->type, kernel->isa, blocks, run->pool),
                      .x = x,
                      .y = take((size_t)m * n * sizeof(float)),
                      .m = m,
                      .pool = run->pool};
    s.scratch = take(il_linear_scratch_bytes(&s.lin, m));
    linear_work(&s);
    double error = kernel->prepare ? blocks_error(&s, blocks) : 0;
    if (!(error <= 4e-6 + 1e-6 * sqrt(k))) {
        (void)fprintf(stderr, "%s %s differs from the reference by %.3g\n", r.kernel, r.name,
                      error);
        run->failed = true;
    } else {
        r.bytes = (double)n_bytes;
        r.flops = 2.0 * m * n * k;
        r.work = linear_work;
        r.state = &s;
        time_row(run, &r);
    }
    free(blocks);
    free(s.lin.packed);
    free(s.y);
    free(s.scratch);
    free(x);
}

/* --- attention ----------------------------------------------------------------------------------
 */

typedef struct attention_state {
    il_attention att;
    const float *q;
    void *keys, *values;
    float *out;
    char *scratch;
    size_t scratch_bytes;
    uint32_t past, n_query;
    il_pool *pool;
} attention_state;

/* Heads are shared out, whole groups to a worker where there are enough. */
static void attention_task(void *p, uint32_t worker, uint32_t n_workers)
{
    attention_state *s = p;
    uint32_t n = s->att.n_head, width = n * s->att.d_head;
    uint32_t from = n * worker / n_workers, to = n * (worker + 1) / n_workers;
    if (from < to) {
        il_attention_forward(&s->att, s->q, width, s->keys, s->values, s->past, 0, s->n_query, from,
                             to - from, s->out, width, s->scratch + worker * s->scratch_bytes);
    }
}

static void attention_work(void *p)
{
    attention_state *s = p;
    il_pool_run(s->pool, attention_task, s);
}

static const struct {
    uint32_t n_head, n_kv_head, d_head, past, n_query;
} attention_shapes[] = {
    {12, 12, 64, 511, 1}, {12, 12, 64, 4095, 1}, {32, 8, 128, 4095, 1},
    {12, 12, 64, 0, 512}, {32, 8, 128, 0, 1024},
};

static double attention_error(const attention_state *s)
{
    attention_state plain = *s;
    size_t n = (size_t)s->n_query * s->att.n_head * s->att.d_head;
    plain.att.isa = IL_ISA_REFERENCE;
    plain.out = take(n * sizeof *plain.out);
    plain.scratch_bytes = il_attention_scratch_bytes(&plain.att, s->n_query, s->past + s->n_query);
    plain.scratch_bytes = (plain.scratch_bytes + 63) / 64 * 64;
    plain.scratch = take(plain.scratch_bytes * il_pool_size(s->pool));
    attention_work(&plain);
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        worst = fmax(worst, fabs((double)plain.out[i] - (double)s->out[i]));
    }
    free(plain.out);
    free(plain.scratch);
    return worst;
}

static void *take_cache(size_t n, il_dtype dtype)
{
    float *x = take_random(n);
    if (dtype == IL_DTYPE_F32) {
        return x;
    }
    uint16_t *half = take(n * sizeof *half);
    il_row_kernels_for(IL_ISA_REFERENCE)->to_bf16(x, half, (uint32_t)n);
    free(x);
    return half;
}

/* Bytes: the cache read once. Operations: both products over the visible half of the square. */
static void bench_attention(bench_run *run, const il__attention_kernel *kernel, size_t shape)
{
    uint32_t past = attention_shapes[shape].past, n_query = attention_shapes[shape].n_query;
    attention_state s = {.att = {.n_head = attention_shapes[shape].n_head,
                                 .n_kv_head = attention_shapes[shape].n_kv_head,
                                 .d_head = attention_shapes[shape].d_head,
                                 .capacity = past + n_query,
                                 .kv_dtype = kernel->dtype,
                                 .isa = kernel->isa},
                         .past = past,
                         .n_query = n_query,
                         .pool = run->pool};
    s.att.scale = 1 / sqrtf((float)s.att.d_head);
    row r = {.kernel = kernel->name + strlen("il__"),
             .dtype = IL_DTYPE_F32,
             .n_threads = il_pool_size(run->pool)};
    (void)snprintf(r.name, sizeof r.name, "heads=%u/%u d=%u past=%u q=%u", s.att.n_head,
                   s.att.n_kv_head, s.att.d_head, past, n_query);
    if (!selected(run, kernel->name, r.name, kernel->isa)) {
        return;
    }
    size_t n_cache = (size_t)s.att.n_kv_head * s.att.capacity * s.att.d_head;
    size_t n_rows = (size_t)n_query * s.att.n_head * s.att.d_head;
    float *q = take_random(n_rows);
    s.q = q;
    s.keys = take_cache(n_cache, kernel->dtype);
    s.values = take_cache(n_cache, kernel->dtype);
    s.out = take(n_rows * sizeof *s.out);
    s.scratch_bytes = il_attention_scratch_bytes(&s.att, n_query, s.att.capacity);
    s.scratch_bytes = (s.scratch_bytes + 63) / 64 * 64;
    s.scratch = take(s.scratch_bytes * il_pool_size(run->pool));
    attention_work(&s);
    double error = attention_error(&s);
    if (!(error <= 5e-6)) {
        (void)fprintf(stderr, "%s %s differs from the reference by %.3g\n", r.kernel, r.name,
                      error);
        run->failed = true;
    } else {
        double pairs = (double)n_query * past + 0.5 * n_query * (n_query + 1.0);
        r.bytes = 2.0 * (double)n_cache * (double)il_dtype_bytes(kernel->dtype);
        r.flops = 4.0 * pairs * s.att.n_head * s.att.d_head;
        r.work = attention_work;
        r.state = &s;
        time_row(run, &r);
    }
    free(q);
    free(s.keys);
    free(s.values);
    free(s.out);
    free(s.scratch);
}

/* --- rows ---------------------------------------------------------------------------------------
 */

typedef struct row_state {
    const il_row_kernels *kernels;
    int which;
    uint32_t n;
    float *x, *w, *y;
} row_state;

static const char *const row_names[] = {"layer_norm", "rms_norm",  "add",   "gelu_tanh",
                                        "gelu_erf",   "silu gate", "argmax"};
enum { N_ROW_NAMES = sizeof row_names / sizeof row_names[0] };

static void row_work(void *p)
{
    row_state *s = p;
    bool finite;
    switch (s->which) {
    case 0:
        s->kernels->layer_norm(s->x, s->w, s->w, 1e-5, s->n, s->y);
        break;
    case 1:
        s->kernels->rms_norm(s->x, s->w, 1e-5, 0, s->n, s->y);
        break;
    case 2:
        s->kernels->add(s->x, s->w, s->n, s->y);
        break;
    case 3:
        s->kernels->gate(s->x, s->w, IL_EPILOGUE_GELU_TANH, s->n, s->y);
        break;
    case 4:
        s->kernels->gate(s->x, s->w, IL_EPILOGUE_GELU_ERF, s->n, s->y);
        break;
    case 5:
        s->kernels->gate(s->x, s->w, IL_EPILOGUE_SILU, s->n, s->y);
        break;
    default:
        s->y[0] = (float)s->kernels->argmax(s->x, s->n, &finite);
    }
}

/* On one thread, held against the reads of its inputs from the cache they lie in. */
static void bench_row(bench_run *run, const char *table, const il_row_kernels *kernels, il_isa isa,
                      int which)
{
    uint32_t n = which == N_ROW_NAMES - 1 ? 50257 : 3072;
    row r = {.kernel = table + strlen("il__"), .dtype = IL_DTYPE_F32, .n_threads = 1};
    (void)snprintf(r.name, sizeof r.name, "%s n=%u", row_names[which], n);
    if (!selected(run, table, r.name, isa)) {
        return;
    }
    row_state s = {.kernels = kernels,
                   .which = which,
                   .n = n,
                   .x = take_random(n),
                   .w = take_random(n),
                   .y = take(n * sizeof(float))};
    row_state plain = s;
    plain.kernels = il_row_kernels_for(IL_ISA_REFERENCE);
    plain.y = take(n * sizeof(float));
    memset(s.y, 0, n * sizeof(float));
    memset(plain.y, 0, n * sizeof(float));
    row_work(&s);
    row_work(&plain);
    double worst = 0;
    for (uint32_t i = 0; i < n; i++) {
        worst = fmax(worst, fabs((double)s.y[i] - (double)plain.y[i]));
    }
    if (!(worst <= 1e-5)) {
        (void)fprintf(stderr, "%s %s differs from the reference by %.3g\n", r.kernel, r.name,
                      worst);
        run->failed = true;
    } else {
        r.bytes = (which == N_ROW_NAMES - 1 ? 4.0 : 8.0) * n;
        r.work = row_work;
        r.state = &s;
        time_row(run, &r);
    }
    free(s.x);
    free(s.w);
    free(s.y);
    free(plain.y);
}

/* --- the pool -----------------------------------------------------------------------------------
 */

static void nothing(void *arg, uint32_t worker, uint32_t n_workers)
{
    (void)arg;
    (void)worker;
    (void)n_workers;
}

static void bench_pool(const bench_run *run)
{
    static double us[MOST_SAMPLES];
    enum { ROUNDS = 200 };
    if (run->o.only != NULL && strstr("pool", run->o.only) == NULL) {
        return;
    }
    il_pool_enter(run->pool);
    for (uint32_t i = 0; i < run->o.n_samples; i++) {
        int64_t t0 = il_clock_ns();
        for (int k = 0; k < ROUNDS; k++) {
            il_pool_run(run->pool, nothing, NULL);
        }
        us[i] = (double)(il_clock_ns() - t0) / ROUNDS / 1e3;
    }
    il_pool_leave(run->pool);
    il_interval t = {NAN, NAN, NAN};
    (void)il_quantile_interval(us, run->o.n_samples, 0.5, 0.95, &t, NULL, NULL);
    (void)fprintf(stderr, "hand-over to %u threads in a window: %.3f us [%.3f, %.3f]\n",
                  il_pool_size(run->pool), t.estimate, t.low, t.high);
}

/* --- the command --------------------------------------------------------------------------------
 */

static bool parse_count(const char *text, uint32_t most, uint32_t *out)
{
    char *end = NULL;
    errno = 0;
    unsigned long n = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || n < 1 || n > most) {
        return false;
    }
    *out = (uint32_t)n;
    return true;
}

static bool parse(int argc, char **argv, options *o)
{
    *o = (options){.n_samples = 21};
    for (int i = 0; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--csv") == 0) {
            o->csv = true;
        } else if (strcmp(argv[i], "--threads") == 0 && parse_count(value, 1024, &o->n_threads)) {
            i++;
        } else if (strcmp(argv[i], "--samples") == 0 &&
                   parse_count(value, MOST_SAMPLES, &o->n_samples)) {
            i++;
        } else if (strcmp(argv[i], "--isa") == 0 && *value) {
            o->isa = argv[++i];
        } else if (strcmp(argv[i], "--only") == 0 && *value) {
            o->only = argv[++i];
        } else {
            (void)fprintf(
                stderr,
                "%s is no option here\n"
                "usage: inferlaw-bench kernels [--csv] [--threads N] [--samples N]\n"
                "       [--isa reference|avx2|avx512|avx512vnni|avx512bf16] [--only TEXT]\n",
                argv[i]);
            return false;
        }
    }
    return true;
}

int bench_kernels(int argc, char **argv)
{
    bench_run run = {0};
    il_error err = {0};
    if (!parse(argc, argv, &run.o)) {
        return 1;
    }
    if (il_isa_choose("auto", &run.best_isa, &err) != IL_OK ||
        il_pool_create(run.o.n_threads, &run.pool, &err) != IL_OK) {
        (void)fprintf(stderr, "%s\n", err.what);
        return 1;
    }
    bench_pool(&run);
    print_head(&run.o);
    for (size_t i = 0; i < il__n_linear_kernels; i++) {
        for (size_t s = 0; s < sizeof linear_shapes / sizeof linear_shapes[0]; s++) {
            /* the oracle is not held against a roofline, unless asked for */
            if (il__linear_kernels[i].isa != IL_ISA_REFERENCE || run.o.isa != NULL) {
                bench_linear(&run, &il__linear_kernels[i], linear_shapes[s]);
            }
        }
    }
    for (size_t i = 0; i < il__n_block_kernels; i++) {
        for (size_t s = 0; s < sizeof linear_shapes / sizeof linear_shapes[0]; s++) {
            if (il__block_kernels[i].isa != IL_ISA_REFERENCE || run.o.isa != NULL) {
                bench_blocks(&run, &il__block_kernels[i], linear_shapes[s]);
            }
        }
    }
    for (size_t i = 0; i < il__n_attention_kernels; i++) {
        for (size_t s = 0; s < sizeof attention_shapes / sizeof attention_shapes[0]; s++) {
            if (il__attention_kernels[i].isa != IL_ISA_REFERENCE || run.o.isa != NULL) {
                bench_attention(&run, &il__attention_kernels[i], s);
            }
        }
    }
    for (int which = 0; which < N_ROW_NAMES; which++) {
#define IL_ROW_KERNELS(row_isa, table)                                                             \
    if (IL_ISA_##row_isa != IL_ISA_REFERENCE || run.o.isa != NULL) {                               \
        bench_row(&run, #table, &table, IL_ISA_##row_isa, which);                                  \
    }
#include "engine/cpu/kernel_list.inc"
    }
    il_pool_destroy(run.pool);
    return run.failed ? 2 : 0;
}
