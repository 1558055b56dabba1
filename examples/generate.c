/* SPDX-License-Identifier: Apache-2.0
 *
 * Text from a model, greedily: cc generate.c $(pkg-config --cflags --libs inferlaw) -o generate
 *                              ./generate SmolLM2-135M-Instruct.Q4_1.gguf "The capital of France
 * is" 24
 */
#include <inferlaw/engine.h>
#include <inferlaw/tokenizer.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    il_error err = {0};
    il_tokenizer *words = NULL;
    il_engine_model *model = NULL;
    il_engine_session *session = NULL;
    il_token_ids prompt = {0};
    if (argc < 3) {
        return fprintf(stderr, "usage: generate MODEL PROMPT [STEPS]\n"), 2;
    }
    uint32_t steps = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 32;
    int rc = il_tokenizer_open(argv[1], &words, &err);
    rc = rc ? rc : il_tokenizer_encode(words, argv[2], strlen(argv[2]), true, &prompt, &err);
    rc = rc ? rc : il_engine_model_open(argv[1], &(il_engine_options){.isa = "auto"}, &model, &err);
    uint32_t length = (uint32_t)prompt.n;
    il_engine_session_options room = {
        .max_batch = 1, .max_context_tok = length + steps, .max_prompt_tok = length};
    rc = rc ? rc : il_engine_session_open(model, &room, &session, &err);
    rc = rc ? rc : il_engine_prefill(session, prompt.ids, &length, 1, &err);
    printf("%s", rc ? "" : argv[2]);
    for (uint32_t i = 0; rc == IL_OK && i < steps; i++) {
        int32_t id;
        char text[512] = "";
        rc = il_engine_argmax(session, &id, &err);
        rc = rc ? rc : il_tokenizer_text(words, &id, 1, false, text, sizeof text, NULL, &err);
        rc = rc ? rc : il_engine_decode(session, &id, &err);
        printf("%s", text);
    }
    printf("\n");
    if (rc) {
        fprintf(stderr, "generate: %s\n%s\n", err.what, err.hint);
    }
    il_engine_session_close(session);
    il_engine_model_close(model);
    il_token_ids_free(&prompt);
    il_tokenizer_free(words);
    return rc != 0;
}
