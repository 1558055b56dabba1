/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Starts a server as a backend would, says where it is, stops it when standard input ends:
 *
 *     live_serve KIND MODEL|- [N_CTX [READY_S]]
 *     ready SECONDS PID URL
 *     stopped SECONDS
 */
#include "backend/serve.h"
#include "os/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    if (argc < 3) {
        (void)fprintf(stderr, "usage: live_serve KIND MODEL|- [N_CTX [READY_S]]\n");
        return 1;
    }
    il_error err = {0};
    il__server *server = NULL;
    int64_t t_spawn = 0, t_ready = 0;
    il__serve_request request = {
        .kind = argv[1],
        .model = strcmp(argv[2], "-") == 0 ? NULL : argv[2],
        .served_name = strcmp(argv[2], "-") == 0 ? NULL : "under-test",
        .dtype = "bf16",
        .device = "cpu",
        .parallel = 1,
        .n_ctx = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 512,
        .ready_s = argc > 4 ? strtod(argv[4], NULL) : 60,
    };
    if (il__server_start(&request, &server, &t_spawn, &t_ready, &err) != IL_OK) {
        (void)fprintf(stderr, "%s: %s [%s] (%s)\n", il_code_name(err.code), err.what, err.where,
                      err.hint);
        return 2;
    }
    (void)printf("ready %.3f %ld %s\n", (double)(t_ready - t_spawn) * 1e-9,
                 (long)il__server_pid(server), il__server_url(server));
    (void)fflush(stdout);
    while (getchar() != EOF) {
    }
    int64_t t0 = il_clock_ns();
    il__server_stop(server);
    (void)printf("stopped %.3f\n", (double)(il_clock_ns() - t0) * 1e-9);
    return 0;
}
