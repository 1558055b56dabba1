/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Reading checkpoints: what must be accepted (old names, extra buffers, odd headers, mixed dtypes)
 * and, from a table of broken files, what must be refused with a message that helps.
 */
#include "check.h"

#include "base/buf.h"
#include "base/file.h"
#include "model/checkpoint.h"
#include "model/make.h"

#include <time.h>
#include <unistd.h>

#define CONFIG                                                                                     \
    "{\"model_type\":\"llama\",\"num_hidden_layers\":1,\"hidden_size\":4,"                         \
    "\"num_attention_heads\":1,\"intermediate_size\":4,\"vocab_size\":6,"                          \
    "\"tie_word_embeddings\":true}"

static void write_text(const char *dir, const char *name, const char *text, size_t n)
{
    char path[800];
    il_error err = {0};
    check_ok(il_path_join(path, sizeof path, dir, name), NULL);
    check_ok(il_file_write_atomic(path, text, n, &err), &err);
}

static void remove_dir(const char *dir)
{
    char command[800];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
}

/* A safetensors file of this header and n zero bytes of data, claiming header_bytes (0: the truth).
 */
static void write_safetensors(const char *dir, const char *name, const char *header,
                              uint64_t header_bytes, size_t n_data)
{
    il_buf file;
    il_buf_init(&file, 1 << 20);
    uint64_t n = header_bytes ? header_bytes : strlen(header);
    uint8_t prefix[8];
    for (int i = 0; i < 8; i++) {
        prefix[i] = (uint8_t)(n >> (8 * i));
    }
    (void)il_buf_append(&file, prefix, 8);
    (void)il_buf_puts(&file, header);
    for (size_t i = 0; i < n_data; i++) {
        (void)il_buf_append(&file, "", 1);
    }
    assert_int_equal(file.status, IL_OK);
    write_text(dir, name, file.data, file.len);
    il_buf_free(&file);
}

/* --- refusals of the header
 * -------------------------------------------------------------------------- */

#define T(name, dtype, shape, begin, end)                                                          \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":[" shape "],\"data_offsets\":[" begin "," end \
    "]}"

static const struct {
    const char *header;
    uint64_t header_bytes;
    size_t n_data;
    const char *says;
} broken[] = {
    {"{}", 1u << 20, 0, "the file has only"},
    {"{}", 100000001, 0, "more than the 100000000 allowed"},
    {"{}", UINT64_MAX, 0, "more than the 100000000 allowed"},
    {"{\"a\":", 0, 0, "not valid JSON"},
    {"[]", 0, 0, "not a JSON object"},
    {"{" T("a", "F32", "2", "0", "8") "}", 0, 4, "truncated"},
    {"{" T("a", "F32", "2", "0", "8") "}", 0, 12, "at the end belong to no tensor"},
    {"{" T("a", "F32", "3", "0", "8") "}", 0, 8, "needs 12 bytes by its shape"},
    {"{" T("a", "F32", "2", "4", "12") "}", 0, 12, "4 bytes before tensor \"a\""},
    {"{" T("a", "F32", "2", "0", "8") "," T("b", "F32", "2", "4", "12") "}", 0, 12, "overlaps"},
    {"{" T("a", "F32", "2", "0", "8") "," T("b", "F32", "2", "12", "20") "}", 0, 20,
     "before tensor \"b\""},
    {"{" T("a", "F32", "2", "0", "8") "," T("a", "F32", "2", "8", "16") "}", 0, 16, "duplicate"},
    {"{" T("a", "F12", "2", "0", "8") "}", 0, 8, "unknown dtype \"F12\""},
    {"{" T("a", "F32", "-2", "0", "8") "}", 0, 8, "dimension 0 is not a whole number"},
    {"{" T("a", "F32", "1.5", "0", "6") "}", 0, 6, "dimension 0 is not a whole number"},
    {"{" T("a", "F32", "4294967296,4294967296,4294967296", "0", "8") "}", 0, 8, "overflows"},
    {"{" T("a", "F32", "1,1,1,1,1,1,1,1,1", "0", "4") "}", 0, 4, "9 dimensions"},
    {"{" T("a", "F32", "2", "8", "0") "}", 0, 8, "data_offsets"},
    {"{" T("a", "F32", "2", "0", "18446744073709551615") "}", 0, 8, "whole number"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 0, 8, "data_offsets"},
    {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", 0, 8, "no list \"shape\""},
    {"{\"a\":3}", 0, 0, "unknown dtype"},
};

static void test_broken_headers(void **state)
{
    (void)state;
    char dir[512];
    (void)snprintf(dir, sizeof dir, "%s", check_scratch_dir("ckpt"));
    write_text(dir, "config.json", CONFIG, strlen(CONFIG));
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        il_error err = {0};
        il_checkpoint *ckpt = NULL;
        write_safetensors(dir, "model.safetensors", broken[i].header, broken[i].header_bytes,
                          broken[i].n_data);
        int rc = il_checkpoint_open(dir, &ckpt, &err);
        if (rc == IL_OK || !strstr(err.what, broken[i].says) ||
            !strstr(err.where, "model.safetensors") || err.hint[0] == '\0') {
            fail_msg("%s: %s: %s [%s] (%s)", broken[i].header, il_code_name(rc), err.what,
                     err.where, err.hint);
        }
        assert_null(ckpt);
    }
    for (size_t n = 0; n < 8; n++) { /* shorter than the length itself */
        il_error err = {0};
        il_checkpoint *ckpt = NULL;
        write_text(dir, "model.safetensors", "\0\0\0\0\0\0\0\0", n);
        assert_int_equal(il_checkpoint_open(dir, &ckpt, &err), IL_E_DAMAGED);
        assert_non_null(strstr(err.what, "too few"));
    }
    remove_dir(dir);
}

/* --- a good model, then spoiled
 * ---------------------------------------------------------------------- */

static void make_model(const char *dir, const char *flags, uint64_t shard_bytes)
{
    il_shape shape;
    il_error err = {0};
    il_make_options options = {.seed = 3, .shard_bytes = shard_bytes, .force = true};
    check_ok(il_shape_from_flags(flags, &shape, &err), &err);
    check_ok(il_model_make(&shape, dir, &options, NULL, &err), &err);
}

static void expect_refusal(const char *dir, int code, const char *says)
{
    il_error err = {0};
    il_checkpoint *ckpt = NULL;
    int rc = il_checkpoint_open(dir, &ckpt, &err);
    if (rc != code || !strstr(err.what, says) || err.where[0] == '\0' || err.hint[0] == '\0') {
        fail_msg("%s: %s [%s] (%s), wanted \"%s\"", il_code_name(rc), err.what, err.where, err.hint,
                 says);
    }
    assert_null(ckpt);
}

#define GPT2 "family=gpt2,n_layer=2,d_model=8,n_head=2,vocab_size=20,n_positions=16"

static void test_wrong_model(void **state)
{
    (void)state;
    char base[512], dir[600], path[800];
    il_error err = {0};
    (void)snprintf(base, sizeof base, "%s", check_scratch_dir("wrong"));
    (void)snprintf(dir, sizeof dir, "%s/m", base);
    expect_refusal(dir, IL_E_NOT_FOUND, "no such directory");
    make_model(dir, GPT2, 0);
    /* Every cut of the file is refused, none crashes. */
    il_buf file;
    il_buf_init(&file, 1 << 20);
    (void)snprintf(path, sizeof path, "%s/model.safetensors", dir);
    check_ok(il_file_read(path, &file, &err), &err);
    for (size_t cut = file.len; cut > 0;) {
        il_checkpoint *ckpt = NULL;
        cut -= cut < 100 ? 1 : 61;
        assert_int_equal(truncate(path, (off_t)cut), 0);
        assert_int_equal(il_checkpoint_open(dir, &ckpt, NULL), IL_E_DAMAGED);
    }
    check_ok(il_file_write_atomic(path, file.data, file.len, &err), &err);
    il_buf_free(&file);
    const char *other = "{\"model_type\":\"gpt2\",\"n_layer\":2,\"n_embd\":8,\"n_head\":2,"
                        "\"n_positions\":16,\"vocab_size\":21}";
    write_text(dir, "config.json", other, strlen(other));
    expect_refusal(dir, IL_E_INVALID,
                   "\"transformer.wte.weight\" is 20 x 8, config.json asks for "
                   "21 x 8");
    other = "{\"model_type\":\"gpt2\",\"n_layer\":3,\"n_embd\":8,\"n_head\":2,"
            "\"n_positions\":16,\"vocab_size\":20}";
    write_text(dir, "config.json", other, strlen(other));
    expect_refusal(dir, IL_E_INVALID, "\"transformer.h.2.ln_1.weight\" is missing");
    other = "{\"model_type\":\"gpt2\",\"n_layer\":2,\"n_embd\":8,\"n_head\":2,"
            "\"n_positions\":16,\"vocab_size\":20,\"tie_word_embeddings\":false}";
    write_text(dir, "config.json", other, strlen(other));
    expect_refusal(dir, IL_E_INVALID, "\"lm_head.weight\" is missing");
    other = "{\"model_type\":\"gpt2\",\"n_layer\":3,\"n_embd\":8,\"n_head\":2,\"vocab_size\":20,"
            "\"n_positions\":16,\"quantization_config\":{\"quant_method\":\"mxfp4\"}}";
    write_text(dir, "config.json", other, strlen(other));
    il_checkpoint *none = NULL;
    assert_int_equal(il_checkpoint_open(dir, &none, &err), IL_E_INVALID);
    assert_non_null(strstr(err.hint, "quantised"));
    (void)unlink(path);
    expect_refusal(dir, IL_E_NOT_FOUND, "no model.safetensors");
    write_text(dir, "pytorch_model.bin", "x", 1);
    il_checkpoint *ckpt = NULL;
    assert_int_equal(il_checkpoint_open(dir, &ckpt, &err), IL_E_NOT_FOUND);
    assert_non_null(strstr(err.hint, "safe_serialization"));
    (void)snprintf(path, sizeof path, "%s/config.json", dir);
    (void)unlink(path);
    expect_refusal(dir, IL_E_NOT_FOUND, "cannot open");
    write_text(dir, "config.json", "{\"model_type\": ", 15);
    assert_int_equal(il_checkpoint_open(dir, &ckpt, &err), IL_E_PARSE);
    remove_dir(base);
}

static void test_shards(void **state)
{
    (void)state;
    char base[512], dir[600], path[800];
    il_error err = {0};
    il_checkpoint *ckpt = NULL;
    (void)snprintf(base, sizeof base, "%s", check_scratch_dir("shards"));
    (void)snprintf(dir, sizeof dir, "%s/m", base);
    make_model(dir, GPT2, 2048);
    check_ok(il_checkpoint_open(dir, &ckpt, &err), &err);
    assert_int_equal(il_checkpoint_count(ckpt), 2 + 2 * 12 + 2);
    il_checkpoint_close(ckpt);
    ckpt = NULL;
    (void)snprintf(path, sizeof path, "%s/model.safetensors.index.json", dir);
    il_buf index;
    il_buf_init(&index, 1 << 20);
    check_ok(il_file_read(path, &index, &err), &err);
    const struct {
        const char *map;
        int code;
        const char *says;
    } indexes[] = {
        {"{\"weight_map\":{\"a\":\"../secret.safetensors\"}}", IL_E_DAMAGED, "no file name"},
        {"{\"weight_map\":{\"a\":\"/etc/passwd\"}}", IL_E_DAMAGED, "no file name"},
        {"{\"weight_map\":{\"a\":\"..\"}}", IL_E_DAMAGED, "no file name"},
        {"{\"weight_map\":{\"a\":\"\"}}", IL_E_DAMAGED, "no file name"},
        {"{\"weight_map\":{\"a\":7}}", IL_E_DAMAGED, "no file name"},
        {"{\"weight_map\":{\"a\":\"model-00001-of-00099.safetensors\"}}", IL_E_NOT_FOUND,
         "cannot open"},
        {"{\"weight_map\":[]}", IL_E_DAMAGED, "weight_map"},
    };
    for (size_t i = 0; i < sizeof indexes / sizeof *indexes; i++) {
        write_text(dir, "model.safetensors.index.json", indexes[i].map, strlen(indexes[i].map));
        int rc = il_checkpoint_open(dir, &ckpt, &err);
        if (rc != indexes[i].code || !strstr(err.what, indexes[i].says)) {
            fail_msg("%s: %s: %s", indexes[i].map, il_code_name(rc), err.what);
        }
        memset(&err, 0, sizeof err);
    }
    /* A tensor sent to a shard that holds others. */
    char *first = strstr(index.data, "model-00001");
    assert_non_null(first);
    first[strlen("model-0000")] = '2';
    write_text(dir, "model.safetensors.index.json", index.data, index.len);
    expect_refusal(dir, IL_E_DAMAGED, "as the index says");
    il_buf_free(&index);
    remove_dir(base);
}

/* --- what must be accepted
 * ---------------------------------------------------------------------------- */

/* An old GPT-2 file: names without the prefix, mask buffers, a stored copy of the tied head, data
 * that the header's length puts off its alignment, one tensor in another dtype. */
static void test_old_gpt2(void **state)
{
    (void)state;
    char dir[512];
    il_error err = {0};
    il_checkpoint *ckpt = NULL;
    (void)snprintf(dir, sizeof dir, "%s", check_scratch_dir("old"));
    const char *config = "{\"model_type\":\"gpt2\",\"n_layer\":1,\"n_embd\":2,\"n_head\":1,"
                         "\"n_positions\":2,\"vocab_size\":3,\"n_inner\":2}";
    write_text(dir, "config.json", config, strlen(config));
    static const struct {
        const char *name, *shape;
        size_t n;
    } tensors[] = {
        {"wte.weight", "3,2", 6},         {"wpe.weight", "2,2", 4},
        {"h.0.attn.bias", "1,1,2,2", 4},  {"h.0.ln_1.weight", "2", 2},
        {"h.0.ln_1.bias", "2", 2},        {"h.0.attn.c_attn.weight", "2,6", 12},
        {"h.0.attn.c_attn.bias", "6", 6}, {"h.0.attn.c_proj.weight", "2,2", 4},
        {"h.0.attn.c_proj.bias", "2", 2}, {"h.0.ln_2.weight", "2", 2},
        {"h.0.ln_2.bias", "2", 2},        {"h.0.mlp.c_fc.weight", "2,2", 4},
        {"h.0.mlp.c_fc.bias", "2", 2},    {"h.0.mlp.c_proj.weight", "2,2", 4},
        {"h.0.mlp.c_proj.bias", "2", 2},  {"ln_f.weight", "2", 2},
        {"lm_head.weight", "3,2", 6},
    };
    il_buf header, file;
    il_buf_init(&header, 1 << 16);
    il_buf_init(&file, 1 << 16);
    size_t at = 0, n_floats = 0;
    (void)il_buf_puts(&header, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++) {
        (void)il_buf_printf(&header,
                            ",\"%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}",
                            tensors[i].name, tensors[i].shape, at, at + 4 * tensors[i].n);
        at += 4 * tensors[i].n;
        n_floats += tensors[i].n;
    }
    (void)il_buf_printf(
        &header,
        ",\"ln_f.bias\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[%zu,%zu]}"
        ",\"h.0.attn.masked\":{\"dtype\":\"BOOL\",\"shape\":[3],\"data_offsets\":"
        "[%zu,%zu]}}",
        at, at + 4, at + 4, at + 7);
    while (header.len % 4 != 1) {
        (void)il_buf_puts(&header, " ");
    }
    uint8_t prefix[8] = {(uint8_t)header.len, (uint8_t)(header.len >> 8)};
    (void)il_buf_append(&file, prefix, 8);
    (void)il_buf_append(&file, header.data, header.len);
    for (size_t i = 0; i < n_floats; i++) {
        float x = (float)i;
        (void)il_buf_append(&file, &x, 4);
    }
    (void)il_buf_append(&file, "\x80\x3f\x00\x40\1\0\1", 7);
    write_text(dir, "model.safetensors", file.data, file.len);
    il_buf_free(&header);
    il_buf_free(&file);

    check_ok(il_checkpoint_open(dir, &ckpt, &err), &err);
    const il_tensor_view *wpe = il_checkpoint_tensor(ckpt, "transformer.wpe.weight");
    assert_non_null(wpe);
    assert_string_equal(wpe->name, "transformer.wpe.weight");
    assert_int_equal(wpe->n_dims, 2);
    assert_int_equal((uintptr_t)wpe->data % 4, 0);
    check_near(((const float *)wpe->data)[3], 9, 0);
    const il_tensor_view *bias = il_checkpoint_tensor(ckpt, "transformer.ln_f.bias");
    assert_int_equal(bias->dtype, IL_DTYPE_BF16);
    check_near(il_bf16_to_f32(((const uint16_t *)bias->data)[1]), 2, 0);
    assert_null(il_checkpoint_tensor(ckpt, "lm_head.weight")); /* tied: not of the model */
    assert_null(il_checkpoint_tensor(ckpt, "nothing"));
    /* 16 of the model, then the mask and the copied head; the BOOL is not shown. */
    assert_int_equal(il_checkpoint_count(ckpt), 18);
    assert_int_equal(il_checkpoint_params(ckpt), n_floats - 4 - 6 + 2);
    assert_int_equal(il_checkpoint_bytes(ckpt), 4 * n_floats + 4 + 3);
    assert_null(il_checkpoint_at(ckpt, 18));
    il_checkpoint_close(ckpt);
    il_checkpoint_close(NULL);
    remove_dir(dir);
}

/* Random damage to a header, or to config.json, is accepted or refused, never a crash or a read
 * outside the file (the sanitizers watch). */
static void test_random_damage(void **state)
{
    (void)state;
    char base[512], dir[600], path[800];
    il_error err = {0};
    (void)snprintf(base, sizeof base, "%s", check_scratch_dir("damage"));
    (void)snprintf(dir, sizeof dir, "%s/m", base);
    make_model(dir, GPT2, 0);
    uint64_t random = (uint64_t)time(NULL) | 1;
    print_message("seed %llu\n", (unsigned long long)random);
    static const char *const names[] = {"model.safetensors", "config.json"};
    for (int f = 0; f < 2; f++) {
        il_buf good;
        il_buf_init(&good, 1 << 20);
        (void)snprintf(path, sizeof path, "%s/%s", dir, names[f]);
        check_ok(il_file_read(path, &good, &err), &err);
        size_t n = f == 0 ? 8u + (uint8_t)good.data[0] + 256u * (uint8_t)good.data[1] : good.len;
        FILE *file = fopen(path, "r+b");
        assert_non_null(file);
        int n_refused = 0;
        for (int round = 0; round < 300; round++) {
            size_t at = 0;
            for (int k = 0; k <= round % 3; k++) {
                random ^= random << 13, random ^= random >> 7, random ^= random << 17;
                at = (size_t)(random >> 20) % n;
                char byte = round % 2 ? (char)(random & 0xFF) : "0123456789,:[]{}\""[random % 17];
                assert_int_equal(fseek(file, (long)at, SEEK_SET), 0);
                assert_int_equal(fputc(byte, file), (unsigned char)byte);
            }
            assert_int_equal(fflush(file), 0);
            il_checkpoint *ckpt = NULL;
            int rc = il_checkpoint_open(dir, &ckpt, &err);
            n_refused += rc != IL_OK;
            assert_int_equal(rc == IL_OK, ckpt != NULL);
            il_checkpoint_close(ckpt);
            assert_int_equal(fseek(file, 0, SEEK_SET), 0);
            assert_int_equal(fwrite(good.data, 1, n, file), n);
            assert_int_equal(fflush(file), 0);
        }
        assert_true(n_refused > 150);
        (void)fclose(file);
        il_checkpoint *ckpt = NULL;
        check_ok(il_checkpoint_open(dir, &ckpt, &err), &err);
        il_checkpoint_close(ckpt);
        il_buf_free(&good);
    }
    remove_dir(base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_damage), cmocka_unit_test(test_broken_headers),
        cmocka_unit_test(test_wrong_model),   cmocka_unit_test(test_shards),
        cmocka_unit_test(test_old_gpt2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
