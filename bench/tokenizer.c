/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * inferlaw-bench tokenizer TOKENIZER FILE…: megabytes of text a second to token ids, the files one
 * after the other as one text, against copying the same bytes. Seven passes, the median.
 */
#include "bench.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/log.h"
#include "model/tokenizer.h"
#include "os/clock.h"
#include "stats/order.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PASSES = 7, MOST_TEXT_BYTES = 1 << 30, LEAST_TEXT_BYTES = 8 << 20 };

static int time_passes(il_tokenizer *t, const il_buf *text, il_error *err)
{
    double encode_ms[PASSES], copy_ms[PASSES];
    il_token_ids ids = {0};
    char *copy = malloc(text->len);
    int rc = copy ? IL_OK : il_fail(err, IL_E_NOMEM, "no memory for the text");
    for (int i = 0; i < PASSES && rc == IL_OK; i++) {
        int64_t begin = il_clock_ns();
        memcpy(copy, text->data, text->len);
        int64_t copied = il_clock_ns();
        ids.n = 0;
        rc = il_tokenizer_encode(t, copy, text->len, false, &ids, err);
        encode_ms[i] = (double)(il_clock_ns() - copied) / 1e6;
        copy_ms[i] = (double)(copied - begin) / 1e6;
    }
    if (rc == IL_OK) {
        il_interval e;
        (void)il_quantile_interval(encode_ms, PASSES, 0.5, 0.95, &e, NULL, NULL);
        double mb = (double)text->len / 1e6;
        (void)printf("%.1f MB, %zu tokens: %.1f MB/s (%.1f to %.1f); a copy %.0f MB/s\n", mb, ids.n,
                     mb / e.estimate * 1e3, mb / e.high * 1e3, mb / e.low * 1e3,
                     mb / il_median(copy_ms, PASSES) * 1e3);
    }
    il_token_ids_free(&ids);
    free(copy);
    return rc;
}

int bench_tokenizer(int argc, char **argv)
{
    il_error err = {0};
    il_tokenizer *t = NULL;
    il_buf text;
    if (argc < 2) {
        (void)fprintf(stderr, "usage: inferlaw-bench tokenizer TOKENIZER FILE…\n");
        return 1;
    }
    il_buf_init(&text, MOST_TEXT_BYTES);
    int rc = il_tokenizer_open(argv[0], &t, &err);
    while (rc == IL_OK && text.len < LEAST_TEXT_BYTES) { /* short files again and again */
        size_t before = text.len;
        for (int i = 1; i < argc && rc == IL_OK; i++) {
            rc = il_file_read(argv[i], &text, &err);
        }
        if (text.len == before) {
            break;
        }
    }
    if (rc == IL_OK && text.len == 0) {
        rc = il_fail(&err, IL_E_TOO_FEW, "the files hold no text");
    }
    rc = rc ? rc : time_passes(t, &text, &err);
    if (rc != IL_OK) {
        il_log_error(&err);
    }
    il_tokenizer_free(t);
    il_buf_free(&text);
    return rc == IL_OK ? 0 : 1;
}
