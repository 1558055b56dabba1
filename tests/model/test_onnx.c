/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ONNX files of whole models, read back by a small reader of the wire format: names and shapes of
 * inputs, outputs and tensors, every value where the graph looks for it, weights beside the graph,
 * refusals, and nothing half-written.
 */
#include "check.h"

#include "base/buf.h"
#include "base/file.h"
#include "model/checkpoint.h"
#include "model/make.h"
#include "model/onnx_model.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define SMALL ",n_layer=2,d_model=64,n_head=4,vocab_size=96,n_positions=32"
enum { D = 64, E = 16, V = 96, FLOAT = 1, FLOAT16 = 10, BFLOAT16 = 16 };

static char base[512];

static int make_base(void **state)
{
    (void)state;
    (void)snprintf(base, sizeof base, "%s", check_scratch_dir("onnx"));
    return 0;
}

static int remove_base(void **state)
{
    (void)state;
    char command[600];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", base);
    return system(command);
}

static const char *at(const char *name)
{
    static char paths[8][700];
    static unsigned next;
    char *path = paths[next++ % 8];
    (void)snprintf(path, sizeof paths[0], "%s/%s", base, name);
    return path;
}

/* --- a reader of the wire format ------------------------------------------------------------- */

typedef struct span {
    const uint8_t *p, *end;
} span;

typedef struct field {
    unsigned number, wire;
    uint64_t value; /* of a varint */
    span bytes;
} field;

static uint64_t varint(span *s)
{
    uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
        assert_true(s->p < s->end && shift < 64);
        uint8_t byte = *s->p++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            return value;
        }
    }
}

static bool next(span *s, field *out)
{
    if (s->p == s->end) {
        return false;
    }
    uint64_t tag = varint(s);
    *out = (field){.number = (unsigned)(tag >> 3), .wire = tag & 7};
    if (out->wire == 0) {
        out->value = varint(s);
        return true;
    }
    uint64_t n = 4;
    if (out->wire == 2) {
        n = varint(s);
    } else {
        assert_int_equal(out->wire, 5);
    }
    assert_true(n <= (uint64_t)(s->end - s->p));
    out->bytes = (span){s->p, s->p + n};
    s->p += n;
    return true;
}

static bool is(span s, const char *text)
{
    size_t n = (size_t)(s.end - s.p);
    return n == strlen(text) && memcmp(s.p, text, n) == 0;
}

/* The first field of that number; wanted ones only. */
static field get(span s, unsigned number)
{
    field f;
    while (next(&s, &f)) {
        if (f.number == number) {
            return f;
        }
    }
    return (field){0};
}

typedef struct model {
    il_buf file, data;
    char path[700];
    span graph, all;
} model;

static model read_model(const char *path)
{
    model m = {0};
    il_error err = {0};
    char data[720];
    (void)snprintf(m.path, sizeof m.path, "%s", path);
    (void)snprintf(data, sizeof data, "%s.data", path);
    il_buf_init(&m.file, (size_t)1 << 30);
    il_buf_init(&m.data, (size_t)1 << 30);
    check_ok(il_file_read(path, &m.file, &err), &err);
    if (il_path_is_file(data)) {
        check_ok(il_file_read(data, &m.data, &err), &err);
    }
    m.all = (span){(const uint8_t *)m.file.data, (const uint8_t *)m.file.data + m.file.len};
    m.graph = get(m.all, 7).bytes;
    assert_non_null(m.graph.p);
    return m;
}

static void drop_model(model *m)
{
    il_buf_free(&m->file);
    il_buf_free(&m->data);
}

/* The text of a key in a list of key-value messages; an empty span when it is not there. */
static span entry(span s, unsigned number, const char *key)
{
    field f;
    while (next(&s, &f)) {
        if (f.number == number && is(get(f.bytes, 1).bytes, key)) {
            return get(f.bytes, 2).bytes;
        }
    }
    return (span){0};
}

static void about(const model *m, const char *key, const char *wanted)
{
    if (!is(entry(m->all, 14, key), wanted)) {
        fail_msg("%s is not %s", key, wanted);
    }
}

static uint64_t number_in(span s)
{
    char text[32];
    size_t n = (size_t)(s.end - s.p);
    assert_true(n > 0 && n < sizeof text);
    memcpy(text, s.p, n);
    text[n] = '\0';
    return strtoull(text, NULL, 10);
}

/* The bytes of a tensor of those dims; n_dims as they are named. */
static const void *tensor(const model *m, const char *name, unsigned type, const uint64_t *dims,
                          unsigned n_dims, size_t n_bytes)
{
    span graph = m->graph;
    field f;
    while (next(&graph, &f)) {
        if (f.number != 5 || !is(get(f.bytes, 8).bytes, name)) {
            continue;
        }
        span t = f.bytes;
        unsigned n = 0;
        while (next(&t, &f) && f.number == 1) {
            assert_true(n < n_dims);
            assert_int_equal(f.value, dims[n]);
            n++;
        }
        assert_int_equal(n, n_dims);
        assert_int_equal(f.number, 2);
        assert_int_equal(f.value, type);
        field raw = get(t, 9);
        if (raw.number == 9) {
            assert_int_equal(raw.bytes.end - raw.bytes.p, n_bytes);
            return raw.bytes.p;
        }
        assert_int_equal(get(t, 14).value, 1); /* EXTERNAL */
        char location[800];
        (void)snprintf(location, sizeof location, "%s.data", il_path_base(m->path));
        assert_true(is(entry(t, 13, "location"), location));
        uint64_t offset = number_in(entry(t, 13, "offset"));
        assert_int_equal(offset % 4096, 0);
        assert_int_equal(number_in(entry(t, 13, "length")), n_bytes);
        assert_true(offset + n_bytes <= m->data.len);
        return m->data.data + offset;
    }
    fail_msg("no tensor %s", name);
    return NULL;
}

static const float *floats(const model *m, const char *name, uint64_t rows, uint64_t columns)
{
    uint64_t dims[] = {rows, columns};
    unsigned n = rows > 0 ? 2 : 1;
    float *copy;
    size_t n_bytes = (size_t)((rows > 0 ? rows : 1) * columns) * sizeof *copy;
    return tensor(m, name, FLOAT, rows > 0 ? dims : dims + 1, n, n_bytes);
}

/* Bytes lie where they lie: no alignment inside a message. */
static float value(const float *at_any, size_t i)
{
    float x;
    memcpy(&x, (const char *)at_any + i * sizeof x, sizeof x);
    return x;
}

static unsigned count_nodes(const model *m, const char *type)
{
    span graph = m->graph;
    unsigned n = 0;
    for (field f; next(&graph, &f);) {
        n += f.number == 1 && is(get(f.bytes, 4).bytes, type);
    }
    return n;
}

/* The i-th input (11) or output (12). */
static void port(const model *m, unsigned number, unsigned i, const char *name, unsigned type)
{
    span graph = m->graph;
    for (field f; next(&graph, &f);) {
        if (f.number == number && i-- == 0) {
            assert_true(is(get(f.bytes, 1).bytes, name));
            assert_int_equal(get(get(get(f.bytes, 2).bytes, 1).bytes, 1).value, type);
            return;
        }
    }
    fail_msg("no %s", name);
}

/* --- files ----------------------------------------------------------------------------------- */

typedef struct pair {
    il_checkpoint *hf;
    model onnx;
} pair;

/* The directory and the file of one shape. The file is made from both sources, which must agree. */
static pair make_both(const char *flags, const char *name, il_dtype from, il_onnx_options options)
{
    il_error err = {0};
    il_shape shape;
    pair p = {0};
    char file[96], again[96], command[1500];
    (void)snprintf(file, sizeof file, "%s.onnx", name);
    (void)snprintf(again, sizeof again, "%s-again.onnx", name);
    check_ok(il_shape_from_flags(flags, &shape, &err), &err);
    (void)snprintf(shape.name, sizeof shape.name, "%s", name);
    il_make_options make = {.seed = 5, .dtype = from, .force = true};
    il_onnx_report report;
    options.force = true;
    check_ok(il_model_make(&shape, at(name), &make, NULL, &err), &err);
    check_ok(il_model_onnx_from_shape(&shape, 5, from, at(file), &options, &report, &err), &err);
    check_ok(il_model_onnx_from_dir(at(name), at(again), &options, NULL, &err), &err);
    if (!report.external) { /* else each names its own data */
        (void)snprintf(command, sizeof command, "cmp '%s' '%s'", at(file), at(again));
        assert_int_equal(system(command), 0);
    }
    check_ok(il_checkpoint_open(at(name), &p.hf, &err), &err);
    p.onnx = read_model(at(file));
    assert_int_equal(report.n_bytes, p.onnx.file.len + p.onnx.data.len);
    return p;
}

static void close_both(pair *p)
{
    il_checkpoint_close(p->hf);
    drop_model(&p->onnx);
}

static const float *stored(const pair *p, const char *name)
{
    const il_tensor_view *v = il_checkpoint_tensor(p->hf, name);
    assert_non_null(v);
    assert_int_equal(v->dtype, IL_DTYPE_F32);
    return v->data;
}

static void as_is(const pair *p, const char *name, uint64_t rows, uint64_t columns)
{
    size_t n = (size_t)((rows ? rows : 1) * columns) * sizeof(float);
    assert_memory_equal(floats(&p->onnx, name, rows, columns), stored(p, name), n);
}

/* got [n_in][stride], columns first … first + n_out: the turned from [n_out][n_in]. */
static void turned(const float *got, size_t stride, size_t first, const float *from, size_t n_out,
                   size_t n_in)
{
    for (size_t out = 0; out < n_out; out++) {
        for (size_t in = 0; in < n_in; in++) {
            assert_true(value(got, in * stride + first + out) == from[out * n_in + in]);
        }
    }
}

static void gpt2(void **state)
{
    (void)state;
    pair p = make_both("family=gpt2" SMALL, "gpt2", IL_DTYPE_F32, (il_onnx_options){0});
    const model *m = &p.onnx;
    as_is(&p, "transformer.wte.weight", V, D);
    as_is(&p, "transformer.wpe.weight", 32, D);
    as_is(&p, "transformer.h.1.attn.c_attn.weight", D, 3 * D); /* [in, out] already */
    as_is(&p, "transformer.h.1.attn.c_attn.bias", 0, 3 * D);
    as_is(&p, "transformer.h.0.mlp.c_proj.weight", 4 * D, D);
    as_is(&p, "transformer.ln_f.bias", 0, D);
    turned(floats(m, "head.weight", D, V), V, 0, stored(&p, "transformer.wte.weight"), V, D);
    port(m, 11, 0, "input_ids", 7);
    port(m, 11, 1, "past_length", 7);
    port(m, 11, 2, "logits_from", 7);
    port(m, 11, 3, "past_key_values.0.key", FLOAT);
    port(m, 11, 6, "past_key_values.1.value", FLOAT);
    port(m, 12, 0, "logits", FLOAT);
    port(m, 12, 1, "next_ids", 7);
    port(m, 12, 5, "present.1.value", FLOAT);
    assert_int_equal(get(m->all, 1).value, 10);
    assert_true(is(get(m->all, 2).bytes, "inferlaw"));
    assert_int_equal(get(get(m->all, 8).bytes, 2).value, 21);
    about(m, "inferlaw.interface", "1");
    about(m, "inferlaw.architecture", "gpt2");
    about(m, "inferlaw.dtype", "fp32");
    about(m, "inferlaw.cache", "shared");
    about(m, "inferlaw.head_dim", "16");
    char hash[65];
    il_shape shape = *il_checkpoint_shape(p.hf);
    assert_int_equal(il_model_content_hash(&shape, 5, IL_DTYPE_F32, hash, NULL), IL_OK);
    about(m, "inferlaw.content_hash", hash);
    assert_int_equal(count_nodes(m, "GroupQueryAttention"), 2);
    assert_int_equal(count_nodes(m, "Softmax"), 0);
    close_both(&p);
    p = make_both("family=gpt2" SMALL, "plain", IL_DTYPE_F32,
                  (il_onnx_options){.ops = IL_ONNX_OPS_STANDARD});
    assert_int_equal(count_nodes(&p.onnx, "GroupQueryAttention"), 0);
    assert_int_equal(count_nodes(&p.onnx, "Softmax"), 2);
    about(&p.onnx, "inferlaw.cache", "growing");
    close_both(&p);
}

/* Names of joined tensors are made: the qkv of layer 0 is the first. */
static void joined(void **state)
{
    (void)state;
    enum { KV = 2 * E, ALL = D + 2 * KV };
    pair p = make_both("family=qwen2.5,n_kv_head=2,tied=false" SMALL, "qwen2", IL_DTYPE_F32,
                       (il_onnx_options){0});
    const float *qkv = NULL, *bias = NULL;
    span graph = p.onnx.graph;
    for (field f; next(&graph, &f);) {
        span name = f.number == 5 ? get(f.bytes, 8).bytes : (span){0};
        if (name.p && name.end - name.p > 7 && memcmp(name.p, "joined_", 7) == 0) {
            char text[64];
            (void)snprintf(text, sizeof text, "%.*s", (int)(name.end - name.p),
                           (const char *)name.p);
            if (!qkv) {
                qkv = floats(&p.onnx, text, D, ALL);
            } else if (!bias) {
                bias = floats(&p.onnx, text, 0, ALL);
            }
        }
    }
    assert_true(qkv && bias);
    turned(qkv, ALL, 0, stored(&p, "model.layers.0.self_attn.q_proj.weight"), D, D);
    turned(qkv, ALL, D, stored(&p, "model.layers.0.self_attn.k_proj.weight"), KV, D);
    turned(qkv, ALL, D + KV, stored(&p, "model.layers.0.self_attn.v_proj.weight"), KV, D);
    turned(bias, ALL, D + KV, stored(&p, "model.layers.0.self_attn.v_proj.bias"), KV, 1);
    turned(floats(&p.onnx, "lm_head.weight", D, V), V, 0, stored(&p, "lm_head.weight"), V, D);
    assert_int_equal(get(get(p.onnx.all, 8).bytes, 2).value, 23);
    close_both(&p);
}

static void other_layouts(void **state)
{
    (void)state;
    pair p = make_both("family=pythia" SMALL, "pythia", IL_DTYPE_F32, (il_onnx_options){0});
    const char *name = "gpt_neox.layers.1.attention.query_key_value.weight";
    const float *to = floats(&p.onnx, name, D, 3 * D), *from = stored(&p, name);
    for (size_t head = 0; head < 4; head++) {
        for (size_t part = 0; part < 3; part++) {
            turned(to, 3 * D, part * D + head * E, from + (head * 3 + part) * E * D, E, D);
        }
    }
    close_both(&p);
    p = make_both("family=gemma3,n_kv_head=1" SMALL, "gemma3", IL_DTYPE_F32, (il_onnx_options){0});
    name = "model.layers.1.post_attention_layernorm.weight";
    to = floats(&p.onnx, name, 0, D);
    from = stored(&p, name);
    for (size_t i = 0; i < D; i++) {
        assert_true(value(to, i) == 1.0f + from[i]);
    }
    close_both(&p);
    enum { F = 40, EXPERTS = 3 };
    p = make_both("family=mixtral,n_kv_head=2,d_ff=40,n_expert=3,n_expert_used=2" SMALL, "mixtral",
                  IL_DTYPE_F32, (il_onnx_options){0});
    assert_int_equal(count_nodes(&p.onnx, "MoE"), 2);
    char first[64] = "";
    span graph = p.onnx.graph;
    for (field f; !first[0] && next(&graph, &f);) {
        span n = f.number == 5 ? get(f.bytes, 8).bytes : (span){0};
        if (n.p && n.end - n.p > 8 && memcmp(n.p, "experts_", 8) == 0) {
            (void)snprintf(first, sizeof first, "%.*s", (int)(n.end - n.p), (const char *)n.p);
        }
    }
    const char *rows = tensor(&p.onnx, first, FLOAT, (uint64_t[]){EXPERTS, 2 * F, D}, 3,
                              (size_t)EXPERTS * 2 * F * D * sizeof(float));
    for (size_t i = 0; i < (size_t)EXPERTS * 2 * F; i++) { /* gate and up in turn */
        char from_name[96];
        (void)snprintf(from_name, sizeof from_name,
                       "model.layers.0.block_sparse_moe.experts.%zu.%s.weight", i / 2 / F,
                       i % 2 ? "w3" : "w1");
        assert_memory_equal(rows + i * D * sizeof(float), stored(&p, from_name) + i / 2 % F * D,
                            D * sizeof(float));
    }
    close_both(&p);
}

static void types(void **state)
{
    (void)state;
    pair p = make_both("family=gpt2" SMALL, "bf16", IL_DTYPE_BF16,
                       (il_onnx_options){.dtype = IL_DTYPE_BF16});
    uint64_t dims[] = {V, D};
    const void *table = tensor(&p.onnx, "transformer.wte.weight", BFLOAT16, dims, 2, V * D * 2);
    assert_memory_equal(table, il_checkpoint_tensor(p.hf, "transformer.wte.weight")->data,
                        V * D * 2);
    port(&p.onnx, 11, 3, "past_key_values.0.key", BFLOAT16);
    port(&p.onnx, 12, 0, "logits", FLOAT);
    close_both(&p);
    p = make_both("family=gpt2" SMALL, "fp16", IL_DTYPE_F32,
                  (il_onnx_options){.dtype = IL_DTYPE_F16});
    const char *half = tensor(&p.onnx, "transformer.wte.weight", FLOAT16, dims, 2, V * D * 2);
    const float *from = stored(&p, "transformer.wte.weight");
    for (size_t i = 0; i < V * D; i++) {
        uint16_t got;
        memcpy(&got, half + 2 * i, sizeof got);
        assert_int_equal(got, il_f16_from_f32(from[i]));
    }
    close_both(&p);
}

/* Weights beside the graph, and a matrix that is turned in pieces. */
static void beside(void **state)
{
    (void)state;
    enum { WIDE = 32, ROWS = 300001 }; /* more values than a band */
    pair p = make_both("family=gpt2,n_layer=1,d_model=32,n_head=2,n_positions=8,vocab_size=300001",
                       "wide", IL_DTYPE_F32, (il_onnx_options){.inline_bytes = 1 << 20});
    assert_true(p.onnx.data.len > 2 * WIDE * ROWS * sizeof(float));
    assert_true(p.onnx.file.len < 1 << 16);
    as_is(&p, "transformer.wte.weight", ROWS, WIDE);
    turned(floats(&p.onnx, "head.weight", WIDE, ROWS), ROWS, 0,
           stored(&p, "transformer.wte.weight"), ROWS, WIDE);
    close_both(&p);
    /* the same file again, all in one: the data go with the model that needed them */
    p = make_both("family=gpt2" SMALL, "wide", IL_DTYPE_F32, (il_onnx_options){0});
    assert_int_equal(p.onnx.data.len, 0);
    assert_false(il_path_is_file(at("wide.onnx.data")));
    close_both(&p);
}

static void nothing_half_written(void)
{
    DIR *d = opendir(base);
    assert_non_null(d);
    for (const struct dirent *e; (e = readdir(d));) {
        if (strstr(e->d_name, ".tmp-")) {
            fail_msg("%s was left", e->d_name);
        }
    }
    (void)closedir(d);
}

static int write_small(const char *flags, uint64_t seed, const char *path, il_onnx_options options,
                       il_onnx_report *report, il_error *err)
{
    il_shape shape;
    check_ok(il_shape_from_flags(flags, &shape, err), err);
    *err = (il_error){0};
    return il_model_onnx_from_shape(&shape, seed, IL_DTYPE_F32, path, &options, report, err);
}

static void refusals(void **state)
{
    (void)state;
    il_error err = {0};
    il_onnx_report report;
    il_onnx_options options = {0};
    const char *gpt2 = "family=gpt2" SMALL, *path = at("kept.onnx");
    assert_int_equal(write_small("family=gpt-oss" SMALL, 1, at("no.onnx"), options, &report, &err),
                     IL_E_UNSUPPORTED);
    assert_non_null(strstr(err.what, "gpt-oss"));
    options.ops = IL_ONNX_OPS_CONTRIB;
    assert_int_equal(write_small("family=gpt2,n_layer=1,d_model=6,n_head=2", 1, at("no.onnx"),
                                 options, &report, &err),
                     IL_E_UNSUPPORTED);
    assert_non_null(strstr(err.what, "multiples of 8"));
    assert_false(il_path_is_file(at("no.onnx")));
    options.ops = IL_ONNX_OPS_STANDARD;
    assert_int_equal(
        write_small("family=mixtral,n_kv_head=2" SMALL, 1, at("no.onnx"), options, &report, &err),
        IL_E_UNSUPPORTED);
    assert_non_null(strstr(err.what, "MoE"));
    options.ops = IL_ONNX_OPS_AUTO;
    check_ok(write_small("family=gpt2,n_layer=1,d_model=6,n_head=2", 1, at("odd.onnx"), options,
                         &report, &err),
             &err);
    assert_int_equal(report.ops, IL_ONNX_OPS_STANDARD);
    check_ok(write_small(gpt2, 1, path, options, &report, &err), &err);
    assert_false(report.kept);
    check_ok(write_small(gpt2, 1, path, options, &report, &err), &err);
    assert_true(report.kept);
    assert_int_equal(write_small(gpt2, 2, path, options, &report, &err), IL_E_EXISTS);
    options.dtype = IL_DTYPE_F16;
    assert_int_equal(write_small(gpt2, 1, path, options, &report, &err), IL_E_EXISTS);
    assert_int_equal(mkdir(at("dir.onnx"), 0777), 0);
    options.force = true;
    assert_int_equal(write_small(gpt2, 1, at("dir.onnx"), options, &report, &err), IL_E_EXISTS);
    options.force = false;
    assert_int_equal(write_small(gpt2, 2, "/nowhere/x.onnx", options, &report, &err),
                     IL_E_NOT_FOUND);
    volatile sig_atomic_t stop = 1;
    options.stop = &stop;
    options.inline_bytes = 1 << 17;
    assert_int_equal(write_small(gpt2, 2, at("stopped.onnx"), options, &report, &err),
                     IL_E_INTERRUPTED);
    assert_false(il_path_is_file(at("stopped.onnx")) || il_path_is_file(at("stopped.onnx.data")));
    nothing_half_written();
}

/* A limit on the size of files stands for a full disk. */
static void no_room(void **state)
{
    (void)state;
    il_error err = {0};
    il_onnx_report report;
    struct rlimit was;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    struct rlimit small = {.rlim_cur = 100000, .rlim_max = was.rlim_max};
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    for (int external = 0; external < 2; external++) {
        il_onnx_options options = {.inline_bytes = external ? 1 << 16 : 0};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        int rc = write_small("family=gpt2" SMALL, 1, at("full.onnx"), options, &report, &err);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
        if (rc != IL_E_NO_SPACE && rc != IL_E_IO && rc != IL_E_RANGE) { /* IO: none can be asked */
            check_ok(rc, &err);
            fail_msg("a full disk went unnoticed");
        }
        assert_false(il_path_is_file(at("full.onnx")) || il_path_is_file(at("full.onnx.data")));
    }
    (void)signal(SIGXFSZ, handler);
    nothing_half_written();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gpt2),    cmocka_unit_test(joined), cmocka_unit_test(other_layouts),
        cmocka_unit_test(types),   cmocka_unit_test(beside), cmocka_unit_test(refusals),
        cmocka_unit_test(no_room),
    };
    return cmocka_run_group_tests(tests, make_base, remove_base);
}
