/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "check.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "wire/message.h"

static json_t *parse(const char *text)
{
    json_t *message = NULL;
    il_error err = {0};
    check_ok(il_json_parse(text, strlen(text), "test", &message, &err), &err);
    return message;
}

/* Written and parsed again, as the other side sees it. */
static json_t *over_the_wire(json_t *message)
{
    assert_non_null(message);
    char *text = il_json_dump(message);
    json_decref(message);
    json_t *again = parse(text);
    free(text);
    return again;
}

/* --- round trips -------------------------------------------------------------------------------
 */

static void hello_returns(void **state)
{
    (void)state;
    json_t *dtypes = parse("[\"fp32\",\"bf16\"]"), *devices = parse("[\"cpu\"]");
    il_wire_hello hello = {.protocol = IL_WIRE_PROTOCOL,
                           .worker = "native",
                           .version = "1.2.3",
                           .pid = 77,
                           .t_main_ns = 1234567890123456789,
                           .step_times = true,
                           .logits = true,
                           .dtypes = dtypes,
                           .devices = devices,
                           .runtime_name = "r",
                           .runtime_version = "v"};
    json_t *message = over_the_wire(il_wire_hello_json(&hello));
    il_wire_hello back;
    il_error err = {0};
    check_ok(il_wire_hello_read(message, &back, &err), &err);
    assert_string_equal(back.worker, "native");
    assert_string_equal(back.version, "1.2.3");
    assert_null(back.source_hash);
    assert_int_equal(back.pid, 77);
    assert_true(back.t_main_ns == 1234567890123456789);
    assert_true(back.step_times && !back.unsplit && back.logits);
    assert_true(il_wire_list_has(back.dtypes, "bf16"));
    assert_false(il_wire_list_has(back.dtypes, "fp16"));
    assert_false(il_wire_list_has(back.families, "gpt2"));
    json_decref(message);
    json_decref(dtypes);
    json_decref(devices);
}

static void requests_return(void **state)
{
    (void)state;
    il_error err = {0};
    json_t *options = parse("{\"x\":1}");
    il_wire_load load = {.model = "/m",
                         .dtype = "bf16",
                         .device = "cpu",
                         .isa = "avx2",
                         .logits = "all",
                         .huge_pages = "never",
                         .threads = 3,
                         .affinity = "0-2",
                         .max_batch = 8,
                         .max_prompt_tok = 512,
                         .max_gen_tok = 0,
                         .options = options};
    json_t *message = over_the_wire(il_wire_load_json(5, &load));
    il_wire_type type;
    int64_t id;
    check_ok(il_wire_request_read(message, &type, &id, &err), &err);
    assert_int_equal(type, IL_WIRE_LOAD);
    assert_int_equal(id, 5);
    il_wire_load load_back;
    check_ok(il_wire_load_read(message, &load_back, &err), &err);
    assert_string_equal(load_back.model, "/m");
    assert_string_equal(load_back.isa, "avx2");
    assert_string_equal(load_back.huge_pages, "never");
    assert_string_equal(load_back.affinity, "0-2");
    assert_int_equal(load_back.threads, 3);
    assert_int_equal(load_back.max_gen_tok, 0);
    assert_int_equal(json_object_size(load_back.options), 1);
    json_decref(message);
    json_decref(options);

    const int32_t ids[] = {1, 2, 3, 4, 5, INT32_MAX};
    il_wire_prepare prepare = {
        .batch = 2, .n_ids = 3, .ids = ids, .gen_tokens = 64, .depth_tok = 9};
    message = over_the_wire(il_wire_prepare_json(6, &prepare));
    il_wire_prepare prepare_back;
    check_ok(il_wire_prepare_read(message, &prepare_back, &err), &err);
    assert_int_equal(prepare_back.batch, 2);
    assert_int_equal(prepare_back.n_ids, 3);
    assert_int_equal(prepare_back.depth_tok, 9);
    assert_memory_equal(prepare_back.ids, ids, sizeof ids);
    free((void *)(uintptr_t)prepare_back.ids);
    json_decref(message);

    bool split = false;
    message = over_the_wire(il_wire_call_json(7, true));
    check_ok(il_wire_call_read(message, &split, &err), &err);
    assert_true(split);
    json_decref(message);
}

static void replies_return(void **state)
{
    (void)state;
    il_error err = {0};
    bool refused;
    int64_t stamps[] = {30, 30, 45};
    const int32_t gen[] = {9, 8, 7, 6};
    il_wire_call_reply reply = {.split = true,
                                .t0_ns = 10,
                                .t_first_ns = 20,
                                .t_end_ns = 45,
                                .t_step_ns = stamps,
                                .n_steps = 3,
                                .prompt_tok = 17,
                                .major_faults = 1,
                                .minor_faults = 2,
                                .ctx_involuntary = 3,
                                .prefill_event_ms = NAN,
                                .decode_event_ms = 0.1,
                                .gpu_peak_mb = NAN,
                                .batch = 1,
                                .gen_ids = gen};
    json_t *message = over_the_wire(il_wire_call_reply_json(4, &reply));
    int64_t room[3] = {0};
    il_wire_call_reply back = {.split = true, .n_steps = 3, .t_step_ns = room};
    check_ok(il_wire_reply_read(message, IL_WIRE_CALL, 4, &refused, &err), &err);
    check_ok(il_wire_call_reply_read(message, &back, &err), &err);
    assert_memory_equal(room, stamps, sizeof stamps);
    assert_int_equal(back.t_first_ns, 20);
    assert_int_equal(back.minor_faults, 2);
    assert_true(isnan(back.prefill_event_ms));
    check_near(back.decode_event_ms, 0.1, 0);
    assert_int_equal(json_array_size(json_array_get(json_object_get(message, "gen_ids"), 0)), 4);
    json_decref(message);

    /* Unsplit: no stamps inside, and counts that were not measured stay unknown. */
    message = parse("{\"id\":5,\"ok\":true,\"t0_ns\":10,\"t_end_ns\":11,\"n_steps\":3,"
                    "\"prompt_tok\":2}");
    back = (il_wire_call_reply){.split = false, .n_steps = 3};
    check_ok(il_wire_call_reply_read(message, &back, &err), &err);
    assert_int_equal(back.t_first_ns, 0);
    assert_true(back.major_faults == UINT64_MAX);
    json_decref(message);

    il_wire_telemetry_reply telemetry = {.rss_bytes = 5, .pss_bytes = -1, .major_faults = -1};
    message = over_the_wire(il_wire_telemetry_reply_json(6, &telemetry));
    assert_true(json_is_null(json_object_get(message, "pss_bytes")));
    check_ok(il_wire_telemetry_reply_read(message, &telemetry, &err), &err);
    assert_int_equal(telemetry.pss_bytes, -1);
    assert_int_equal(telemetry.minor_faults, 0);
    json_decref(message);
}

static void failures_carry_their_words(void **state)
{
    (void)state;
    il_error sent = {0}, got = {0};
    bool refused = false;
    (void)il_fail(&sent, IL_E_NONFINITE, "logit of \xff sequence 1");
    il_error_hint(&sent, "look at layer 3");
    json_t *message = over_the_wire(il_wire_failure_json(9, &sent));
    assert_int_equal(il_wire_reply_read(message, IL_WIRE_CALL, 9, &refused, &got), IL_E_NONFINITE);
    assert_true(refused);
    assert_string_equal(got.what, "logit of ? sequence 1"); /* the byte that was no UTF-8 */
    assert_string_equal(got.where, "");
    assert_string_equal(got.hint, "look at layer 3");
    json_decref(message);

    message = parse("{\"id\":9,\"ok\":false,\"code\":\"CUDA_ERROR\",\"what\":\"no kernel\"}");
    assert_int_equal(il_wire_reply_read(message, IL_WIRE_CALL, 9, &refused, &got), IL_E_INTERNAL);
    assert_true(refused);
    assert_string_equal(got.what, "no kernel (CUDA_ERROR)");
    json_decref(message);
}

/* --- what must be refused ------------------------------------------------------------------------
 */

typedef enum reader {
    HELLO,
    HEAD,
    LOAD,
    LOAD_REPLY,
    PREPARE,
    CALL,
    CALL_REPLY,
    UNSPLIT_REPLY,
    LOGITS,
    LOGITS_REPLY,
    TELEMETRY_REPLY
} reader;

static int read_as(reader as, const json_t *message, il_error *err)
{
    il_wire_hello hello;
    il_wire_load load;
    il_wire_load_reply load_reply;
    il_wire_prepare prepare;
    il_wire_logits logits;
    il_wire_logits_reply logits_reply;
    il_wire_telemetry_reply telemetry;
    int64_t room[2];
    il_wire_call_reply call = {.split = as == CALL_REPLY, .n_steps = 2, .t_step_ns = room};
    bool flag;
    switch (as) {
    case HELLO:
        return il_wire_hello_read(message, &hello, err);
    case HEAD:
        return il_wire_reply_read(message, IL_WIRE_CALL, 3, &flag, err);
    case LOAD:
        return il_wire_load_read(message, &load, err);
    case LOAD_REPLY:
        return il_wire_load_reply_read(message, &load_reply, err);
    case PREPARE:
        return il_wire_prepare_read(message, &prepare, err);
    case CALL:
        return il_wire_call_read(message, &flag, err);
    case LOGITS:
        return il_wire_logits_read(message, &logits, err);
    case LOGITS_REPLY:
        return il_wire_logits_reply_read(message, &logits_reply, err);
    case TELEMETRY_REPLY:
        return il_wire_telemetry_reply_read(message, &telemetry, err);
    default:
        return il_wire_call_reply_read(message, &call, err);
    }
}

#define CAPS    "\"caps\":{\"step_times\":true,\"dtypes\":[\"fp32\"],\"devices\":[\"cpu\"]}"
#define RUNTIME "\"runtime\":{\"name\":\"n\",\"version\":\"v\"}"
#define HELLO_TO(protocol)                                                                         \
    "{\"type\":\"hello\",\"protocol\":" protocol ",\"worker\":\"w\","                              \
    "\"version\":\"v\",\"pid\":1,\"t_main_ns\":1,"
#define STEPS "\"n_steps\":2,\"prompt_tok\":1,"

static const struct {
    reader as;
    const char *text, *names; /* a word of the complaint */
} malformed[] = {
    {HELLO, "{\"type\":\"hello\"}", "protocol"},
    {HELLO, HELLO_TO("2") CAPS "," RUNTIME "}", "protocol 2"},
    {HELLO, HELLO_TO("\"1\"") CAPS "," RUNTIME "}", "protocol"},
    {HELLO, "{\"type\":\"load\",\"protocol\":1}", "must be hello"},
    {HELLO, HELLO_TO("1") RUNTIME "}", "caps"},
    {HELLO, HELLO_TO("1") CAPS "}", "runtime"},
    {HELLO, HELLO_TO("1") "\"caps\":{\"step_times\":1,\"dtypes\":[],\"devices\":[]}," RUNTIME "}",
     "step_times"},
    {HELLO,
     HELLO_TO("1") "\"caps\":{\"step_times\":true,\"dtypes\":[1],\"devices\":[]}," RUNTIME "}",
     "dtypes"},
    {HELLO, HELLO_TO("1") "\"caps\":[]," RUNTIME "}", "caps"},
    {HEAD, "{\"ok\":true}", "id"},
    {HEAD, "{\"id\":4,\"ok\":true}", "id 4"},
    {HEAD, "{\"id\":3}", "ok"},
    {HEAD, "{\"id\":3,\"ok\":1}", "ok"},
    {HEAD, "{\"id\":3,\"ok\":false}", "code"},
    {HEAD, "{\"id\":3,\"ok\":false,\"code\":\"IO\"}", "what"},
    {LOAD, "{\"id\":1,\"type\":\"load\"}", "missing"},
    {LOAD_REPLY, "{\"t0_ns\":5,\"t1_ns\":4}", "t1_ns"},
    {LOAD_REPLY, "{\"t0_ns\":5}", "t1_ns"},
    {LOAD_REPLY, "{\"t0_ns\":5.5,\"t1_ns\":6}", "t0_ns"},
    {LOAD_REPLY, "{\"t0_ns\":5,\"t1_ns\":9,\"stages\":[{\"name\":\"a\",\"t0_ns\":4,\"t1_ns\":5}]}",
     "t0_ns"},
    {LOAD_REPLY, "{\"t0_ns\":5,\"t1_ns\":9,\"stages\":[{\"t0_ns\":5,\"t1_ns\":5}]}", "name"},
    {LOAD_REPLY, "{\"t0_ns\":5,\"t1_ns\":9,\"stages\":{}}", "stages"},
    {LOAD_REPLY, "{\"t0_ns\":5,\"t1_ns\":9,\"facts\":[]}", "facts"},
    {PREPARE, "{\"batch\":1,\"gen_tokens\":1}", "ids"},
    {PREPARE, "{\"batch\":2,\"ids\":[[1]],\"gen_tokens\":1}", "ids"},
    {PREPARE, "{\"batch\":2,\"ids\":[[1],[1,2]],\"gen_tokens\":1}", "lengths"},
    {PREPARE, "{\"batch\":1,\"ids\":[[]],\"gen_tokens\":1}", "ids"},
    {PREPARE, "{\"batch\":1,\"ids\":[1],\"gen_tokens\":1}", "ids"},
    {PREPARE, "{\"batch\":1,\"ids\":[[-1]],\"gen_tokens\":1}", "no token id"},
    {PREPARE, "{\"batch\":1,\"ids\":[[1.0]],\"gen_tokens\":1}", "no token id"},
    {PREPARE, "{\"batch\":1,\"ids\":[[2147483648]],\"gen_tokens\":1}", "no token id"},
    {PREPARE, "{\"batch\":0,\"ids\":[],\"gen_tokens\":1}", "batch"},
    {PREPARE, "{\"batch\":1,\"ids\":[[1]],\"gen_tokens\":-1}", "gen_tokens"},
    {PREPARE, "{\"batch\":1,\"ids\":[[1]],\"gen_tokens\":1,\"depth_tok\":-1}", "depth_tok"},
    {CALL, "{}", "split"},
    {CALL, "{\"split\":\"yes\"}", "split"},
    {CALL_REPLY, "{" STEPS "\"t_first_ns\":2,\"t_step_ns\":[3,4],\"t_end_ns\":4}", "t0_ns"},
    {CALL_REPLY, "{" STEPS "\"t0_ns\":1,\"t_step_ns\":[3,4],\"t_end_ns\":4}", "t_first_ns"},
    {CALL_REPLY, "{" STEPS "\"t0_ns\":1,\"t_first_ns\":2,\"t_end_ns\":4}", "t_step_ns"},
    {CALL_REPLY, "{" STEPS "\"t0_ns\":3,\"t_first_ns\":2,\"t_step_ns\":[3,4],\"t_end_ns\":4}",
     "t_first_ns is before"},
    {CALL_REPLY, "{" STEPS "\"t0_ns\":1,\"t_first_ns\":2,\"t_step_ns\":[1,4],\"t_end_ns\":4}",
     "t_step_ns[0]"},
    {CALL_REPLY, "{" STEPS "\"t0_ns\":1,\"t_first_ns\":2,\"t_step_ns\":[4,3],\"t_end_ns\":4}",
     "t_step_ns[1]"},
    {CALL_REPLY, "{" STEPS "\"t0_ns\":1,\"t_first_ns\":2,\"t_step_ns\":[3,null],\"t_end_ns\":4}",
     "t_step_ns[1]"},
    {CALL_REPLY, "{" STEPS "\"t0_ns\":1,\"t_first_ns\":2,\"t_step_ns\":[3],\"t_end_ns\":4}",
     "1 stamps of 2"},
    {CALL_REPLY, "{" STEPS "\"t0_ns\":1,\"t_first_ns\":2,\"t_step_ns\":[3,5],\"t_end_ns\":4}",
     "t_end_ns"},
    {CALL_REPLY,
     "{\"n_steps\":3,\"prompt_tok\":1,\"t0_ns\":1,\"t_first_ns\":2,\"t_step_ns\":[3,3,3],"
     "\"t_end_ns\":4}",
     "3 steps were run"},
    {CALL_REPLY, "{\"n_steps\":2,\"t0_ns\":1,\"t_first_ns\":2,\"t_step_ns\":[3,4],\"t_end_ns\":4}",
     "prompt_tok"},
    {CALL_REPLY,
     "{" STEPS "\"t0_ns\":1,\"t_first_ns\":2,\"t_step_ns\":[3,4],\"t_end_ns\":4,"
     "\"prefill_event_ms\":\"fast\"}",
     "prefill_event_ms"},
    {UNSPLIT_REPLY, "{" STEPS "\"t0_ns\":1,\"t_step_ns\":[3,4],\"t_end_ns\":4}", "unsplit"},
    {UNSPLIT_REPLY, "{" STEPS "\"t0_ns\":5,\"t_end_ns\":4}", "t_end_ns"},
    {LOGITS, "{\"ids\":[],\"path\":\"/f\"}", "ids"},
    {LOGITS, "{\"ids\":[1]}", "path"},
    {LOGITS, "{\"ids\":[\"1\"],\"path\":\"/f\"}", "no token id"},
    {LOGITS_REPLY, "{\"rows\":0,\"columns\":5}", "rows"},
    {TELEMETRY_REPLY, "{\"rss_bytes\":\"5\"}", "rss_bytes"},
};

static void malformed_messages_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
        json_t *message = parse(malformed[i].text);
        il_error err = {0};
        int rc = read_as(malformed[i].as, message, &err);
        if (rc != IL_E_PROTOCOL || err.code != IL_E_PROTOCOL || !err.where[0] ||
            !strstr(err.what, malformed[i].names)) {
            fail_msg("%s: %s \"%s\" at \"%s\"", malformed[i].text, il_code_name(rc), err.what,
                     err.where);
        }
        assert_int_equal(read_as(malformed[i].as, message, NULL), IL_E_PROTOCOL);
        json_decref(message);
    }
    il_error err = {0};
    assert_int_equal(read_as(HELLO, NULL, &err), IL_E_PROTOCOL);
}

static void every_required_key_is_required(void **state)
{
    (void)state;
    static const struct {
        reader as;
        const char *text;
        const char *optional; /* ",a,b," */
    } whole[] = {
        {LOAD,
         "{\"model\":\"m\",\"dtype\":\"fp32\",\"device\":\"cpu\",\"threads\":1,\"affinity\":\"0\","
         "\"isa\":\"auto\",\"logits\":\"last\",\"huge_pages\":\"default\",\"max_batch\":1,"
         "\"max_prompt_tok\":1,\"max_gen_tok\":1,\"options\":{}}",
         ",affinity,options,"},
        {CALL_REPLY,
         "{\"n_steps\":2,\"prompt_tok\":1,\"t0_ns\":1,\"t_first_ns\":2,\"t_step_ns\":[3,4],"
         "\"t_end_ns\":4,\"major_faults\":0}",
         ",major_faults,"},
        {HELLO, HELLO_TO("1") CAPS "," RUNTIME ",\"source_hash\":\"x\",\"unknown\":[1]}",
         ",source_hash,unknown,"},
        {LOGITS_REPLY, "{\"rows\":1,\"columns\":5}", ","},
    };
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        json_t *message = parse(whole[i].text);
        il_error err = {0};
        check_ok(read_as(whole[i].as, message, &err), &err);
        const char *key;
        json_t *value;
        json_object_foreach(message, key, value)
        {
            json_t *less = json_copy(message);
            assert_int_equal(json_object_del(less, key), 0);
            char name[64];
            (void)snprintf(name, sizeof name, ",%s,", key);
            bool optional = strstr(whole[i].optional, name) != NULL;
            int rc = read_as(whole[i].as, less, &err);
            if (rc != (optional ? IL_OK : IL_E_PROTOCOL)) {
                fail_msg("without %s: %s", key, il_code_name(rc));
            }
            json_decref(less);
        }
        json_decref(message);
    }
}

/* --- the document
 * --------------------------------------------------------------------------------- */

/* Reads a reply of the document against the request before it. */
static void read_document_reply(const json_t *message, const json_t *request, uint32_t n_steps)
{
    il_error err = {0};
    il_wire_type type;
    int64_t id, room[16];
    bool refused = false;
    check_ok(il_wire_request_read(request, &type, &id, &err), &err);
    int rc = il_wire_reply_read(message, type, id, &refused, &err);
    if (refused) {
        assert_true(err.what[0] != '\0');
        return;
    }
    check_ok(rc, &err);
    il_wire_load_reply load;
    il_wire_logits_reply logits;
    il_wire_telemetry_reply telemetry;
    assert_true(n_steps <= 16);
    il_wire_call_reply call = {.n_steps = n_steps, .t_step_ns = room};
    if (type == IL_WIRE_LOAD) {
        rc = il_wire_load_reply_read(message, &load, &err);
    } else if (type == IL_WIRE_CALL) {
        check_ok(il_wire_call_read(request, &call.split, &err), &err);
        rc = il_wire_call_reply_read(message, &call, &err);
    } else if (type == IL_WIRE_LOGITS) {
        rc = il_wire_logits_reply_read(message, &logits, &err);
    } else if (type == IL_WIRE_TELEMETRY) {
        rc = il_wire_telemetry_reply_read(message, &telemetry, &err);
    }
    check_ok(rc, &err);
}

static uint32_t read_document_request(const json_t *message, uint32_t seen[IL_WIRE_TYPE_COUNT],
                                      uint32_t n_steps)
{
    il_error err = {0};
    il_wire_type type;
    int64_t id;
    il_wire_load load;
    il_wire_prepare prepare;
    il_wire_logits logits;
    check_ok(il_wire_request_read(message, &type, &id, &err), &err);
    assert_true(type < IL_WIRE_TYPE_COUNT);
    seen[type]++;
    if (type == IL_WIRE_LOAD) {
        check_ok(il_wire_load_read(message, &load, &err), &err);
    } else if (type == IL_WIRE_PREPARE) {
        check_ok(il_wire_prepare_read(message, &prepare, &err), &err);
        n_steps = prepare.gen_tokens;
        free((void *)(uintptr_t)prepare.ids);
    } else if (type == IL_WIRE_LOGITS) {
        check_ok(il_wire_logits_read(message, &logits, &err), &err);
        free((void *)(uintptr_t)logits.ids);
    }
    return n_steps;
}

static void the_document_is_true(void **state)
{
    (void)state;
    il_buf text;
    il_error err = {0};
    uint32_t seen[IL_WIRE_TYPE_COUNT] = {0}, n_hello = 0, n_steps = 0;
    json_t *request = NULL;
    il_buf_init(&text, 1 << 20);
    check_ok(il_file_read(IL_TEST_SOURCE_DIR "/docs/wire.md", &text, &err), &err);
    char *save = NULL;
    for (char *line = strtok_r(text.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        if (strncmp(line, "> {", 3) != 0 && strncmp(line, "< {", 3) != 0) {
            continue;
        }
        json_t *message = parse(line + 2);
        if (line[0] == '>') {
            n_steps = read_document_request(message, seen, n_steps);
            json_decref(request);
            request = json_incref(message);
        } else if (request == NULL || json_object_get(message, "protocol")) {
            il_wire_hello hello;
            check_ok(il_wire_hello_read(message, &hello, &err), &err);
            n_hello++;
        } else {
            read_document_reply(message, request, n_steps);
        }
        json_decref(message);
    }
    assert_int_equal(n_hello, 1);
    for (int i = 0; i < IL_WIRE_TYPE_COUNT; i++) {
        assert_true(seen[i] > 0);
    }
    json_decref(request);
    il_buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hello_returns),
        cmocka_unit_test(requests_return),
        cmocka_unit_test(replies_return),
        cmocka_unit_test(failures_carry_their_words),
        cmocka_unit_test(malformed_messages_are_refused),
        cmocka_unit_test(every_required_key_is_required),
        cmocka_unit_test(the_document_is_true),
    };
    return cmocka_run_group_tests_name("wire/message", tests, NULL, NULL);
}
