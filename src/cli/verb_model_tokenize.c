/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * inferlaw model tokenize: the token ids of the text on stdin.
 */
#include "cli/verbs.h"

#include "base/json.h"
#include "base/log.h"
#include "model/tokenizer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_TEXT_BYTES = 1 << 30 };

static int read_stdin(il_buf *text, il_error *err)
{
    char piece[1 << 16];
    size_t n;
    while ((n = fread(piece, 1, sizeof piece, stdin)) > 0) {
        if (il_buf_append(text, piece, n) != IL_OK) {
            return il_fail(err, text->status, "the text on stdin is too long");
        }
    }
    return ferror(stdin) ? il_fail_errno(err, errno, "cannot read stdin") : IL_OK;
}

static int print_ids(il_tokenizer *t, const char *text, size_t len, bool special, il_error *err)
{
    il_token_ids ids = {0};
    int rc = il_tokenizer_encode(t, text, len, special, &ids, err);
    for (size_t i = 0; rc == IL_OK && i < ids.n; i++) {
        (void)printf(i ? " %d" : "%d", (int)ids.ids[i]);
    }
    if (rc == IL_OK) {
        (void)putchar('\n');
    }
    il_token_ids_free(&ids);
    return rc;
}

/* One JSON string a line, so that a text may hold line breaks. */
static int print_lines(il_tokenizer *t, const char *text, size_t len, bool special, il_error *err)
{
    int rc = IL_OK;
    const char *end = text + len;
    for (size_t line = 1; text < end && rc == IL_OK; line++) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        stop = stop ? stop : end;
        json_error_t why;
        json_t *value =
            json_loadb(text, (size_t)(stop - text), JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
        if (json_is_string(value)) {
            rc = print_ids(t, json_string_value(value), json_string_length(value), special, err);
        } else {
            rc = il_fail(err, IL_E_PARSE, "this line is no JSON string");
            il_error_where(err, "stdin:%zu", line);
        }
        json_decref(value);
        text = stop + 1;
    }
    return rc;
}

static int verb_run(const il_param_set *flags, char *const *words, unsigned n_words)
{
    (void)n_words;
    il_error err = {0};
    il_tokenizer *t = NULL;
    il_buf text;
    bool special = il_param_flag(flags, IL_P_SPECIAL);
    il_buf_init(&text, MOST_TEXT_BYTES);
    int rc = il_tokenizer_open(words[0], &t, &err);
    if (rc != IL_OK) {
        il_error_hint(&err, "PATH is a checkpoint directory, a tokenizer.json or a GGUF file");
    }
    rc = rc ? rc : read_stdin(&text, &err);
    if (rc == IL_OK) {
        rc = il_param_flag(flags, IL_P_LINES)
                 ? print_lines(t, il_buf_text(&text), text.len, special, &err)
                 : print_ids(t, il_buf_text(&text), text.len, special, &err);
    }
    if (rc != IL_OK) {
        il_log_error(&err);
    }
    il_tokenizer_free(t);
    il_buf_free(&text);
    return il_exit_from_code(rc);
}

const il_verb il_verb_model_tokenize = {
    .name = "model tokenize",
    .arguments = "PATH",
    .summary = "token ids of the text on stdin",
    .details =
        "PATH is a checkpoint directory, a tokenizer.json, or a GGUF file with a byte-level\n"
        "BPE tokenizer inside. The ids come on one line.",
    .scope = IL_SCOPE_MODEL_TOKENIZE,
    .least_words = 1,
    .most_words = 1,
    .run = verb_run,
};
