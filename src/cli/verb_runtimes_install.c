/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * inferlaw runtimes install NAME…: each runtime has a script in tools/runtimes that puts it into
 * the runtimes directory. The script talks to the user; here it is found, run and judged.
 */
#include "base/file.h"
#include "base/log.h"
#include "cli/verbs.h"
#include "os/paths.h"
#include "os/runtimes_dir.h"

#include <errno.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* The row of a name, of its light variant when asked for and there is one. */
static int choose(const char *name, bool light, const il_runtime_kind **out, il_error *err)
{
    char variant[64];
    (void)snprintf(variant, sizeof variant, "%.40s-light", name);
    *out = light ? il_runtime_kind_find(variant) : NULL;
    *out = *out ? *out : il_runtime_kind_find(name);
    if (*out) {
        return IL_OK;
    }
    int rc = il_fail(err, IL_E_USAGE, "no runtime is called \"%.40s\"", name);
    il_error_hint(err, "inferlaw runtimes list");
    return rc;
}

/* Runs the script in our process group, so that Ctrl-C reaches it; its stdout joins stderr. */
static int run_script(const char *script, const char *dir, bool again, int *status, il_error *err)
{
    char shell[] = "bash", force[] = "--force";
    char *argv[] = {shell, (char *)(uintptr_t)script, (char *)(uintptr_t)dir, again ? force : NULL,
                    NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int os_errno = posix_spawn_file_actions_init(&actions);
    if (os_errno == 0) {
        os_errno = posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
        os_errno = os_errno ? os_errno : posix_spawnp(&pid, "bash", &actions, NULL, argv, environ);
        (void)posix_spawn_file_actions_destroy(&actions);
    }
    if (os_errno) {
        int rc = il_fail_errno(err, os_errno, "cannot run bash");
        il_error_hint(err, "the installers are shell scripts: install bash");
        return rc;
    }
    while (waitpid(pid, status, 0) < 0) {
        if (errno != EINTR) {
            return il_fail_errno(err, errno, "cannot wait for the installer");
        }
    }
    return IL_OK;
}

/* Status 1: the script said what is missing; anything else is no plan of its. */
static int install(const il_runtime_kind *kind, const char *dir, bool again, il_error *err)
{
    char name[96], script[PATH_MAX], program[PATH_MAX], version[128];
    int status = 0;
    (void)snprintf(name, sizeof name, "tools/runtimes/%s.sh", kind->name);
    int rc = il_path_find_data(name, script, sizeof script, err);
    if (rc == IL_OK) {
        rc = run_script(script, dir, again, &status, err);
    }
    if (rc != IL_OK) {
        return rc;
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        bool told = WIFEXITED(status) && WEXITSTATUS(status) == 1;
        rc = il_fail(err, told ? IL_E_NOT_FOUND : IL_E_CRASHED, "%s is not installed%s", kind->name,
                     told ? "" : ": its installer was cut short");
        il_error_hint(err, "%s",
                      told ? "mend what is said above, then the same command again"
                           : "the same command again goes on where it stopped");
        return rc;
    }
    if (kind->program) {
        return il_runtime_program(kind->name, kind->program, program, sizeof program, err);
    }
    return il_runtime_version(kind->name, version, sizeof version)
               ? IL_OK
               : il_fail(err, IL_E_NOT_FOUND, "%s is not installed", kind->name);
}

static int run(const il_param_set *flags, char *const *words, unsigned n_words)
{
    const il_runtime_kind *kinds[8];
    char dir[PATH_MAX];
    il_error err = {0};
    int worst = IL_OK, rc = il_runtimes_dir(dir, sizeof dir, &err);
    for (unsigned i = 0; rc == IL_OK && i < n_words; i++) {
        rc = choose(words[i], il_param_flag(flags, IL_P_LIGHT), &kinds[i], &err);
    }
    for (unsigned i = 0; rc == IL_OK && i < n_words; i++) {
        int code = install(kinds[i], dir, il_param_flag(flags, IL_P_AGAIN), &err);
        if (code != IL_OK) {
            il_log_error(&err);
            worst = code;
        }
    }
    if (rc != IL_OK) {
        il_log_error(&err);
        worst = rc;
    }
    return il_exit_from_code(worst);
}

const il_verb il_verb_runtimes_install = {
    .name = "runtimes install",
    .arguments = "NAME...",
    .summary = "puts runtimes into a directory of their own (runtimes list: which there are)",
    .details =
        "  inferlaw runtimes install ollama onnxruntime\n"
        "  inferlaw runtimes install --light hf llama.cpp\n\n"
        "Packages come through pip, go and apt as they are configured on this machine. An\n"
        "installation is there whole or not at all; one that was cut short goes on where it\n"
        "stopped. Nothing outside the runtimes directory is changed: Debian packages that are\n"
        "missing are named, not installed.",
    .scope = IL_SCOPE_INSTALL,
    .least_words = 1,
    .most_words = 8,
    .run = run,
};
