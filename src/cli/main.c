/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * inferlaw: finds the verb, parses its flags, runs it. The only place that turns a result into an
 * exit code.
 */
#include "cli/verbs.h"

#include "base/log.h"
#include "base/text.h"
#include "base/version.h"

#include <stdio.h>
#include <string.h>

static const il_verb *const verbs[] = {
    IL_VERB_MAP(IL_VERB_POINTER) NULL,
};

enum { MOST_WORDS = 8 };

int il_exit_from_code(int code)
{
    switch (code) {
    case IL_OK:
        return IL_EXIT_DONE;
    case IL_E_USAGE:
    case IL_E_PARSE:
    case IL_E_INVALID:
    case IL_E_NOT_FOUND:
    case IL_E_RANGE:
    case IL_E_EXISTS:
    case IL_E_ACCESS:
    case IL_E_UNSUPPORTED:
    case IL_E_BUSY:
        return IL_EXIT_USAGE;
    case IL_E_DAMAGED:
        return IL_EXIT_DAMAGED;
    default:
        return IL_EXIT_CALLS_FAILED;
    }
}

static void print_overview(FILE *to)
{
    (void)fprintf(to,
                  "inferlaw %s: how LLM inference scales on this machine, and how far to trust it\n"
                  "\nusage: inferlaw VERB [arguments] [options]      inferlaw VERB --help\n\n",
                  il_version_text());
    for (const il_verb *const *v = verbs; *v; v++) {
        char left[64];
        (void)snprintf(left, sizeof left, "%s %s", (*v)->name, (*v)->arguments);
        (void)fprintf(to, "  %-24s %s\n", left, (*v)->summary);
    }
    (void)fprintf(to, "\nfirst steps: inferlaw doctor; inferlaw run configs/quick.yaml\n");
}

static int print_verb_help(const il_verb *verb)
{
    il_buf text;
    il_buf_init(&text, 1 << 20);
    (void)il_buf_printf(&text, "usage: inferlaw %s %s%s[options]\n\n%s\n", verb->name,
                        verb->arguments, verb->arguments[0] ? " " : "", verb->summary);
    if (verb->details) {
        (void)il_buf_printf(&text, "\n%s\n", verb->details);
    }
    (void)il_buf_puts(&text, "\noptions\n");
    int rc = il_param_help(verb->scope, &text);
    (void)fputs(il_buf_text(&text), stdout);
    il_buf_free(&text);
    return rc == IL_OK ? IL_EXIT_DONE : IL_EXIT_USAGE;
}

/* How many arguments the verb's name takes up: 0 when it does not match. */
static int verb_match(const il_verb *verb, int argc, char *const *argv)
{
    const char *space = strchr(verb->name, ' ');
    size_t n = space ? (size_t)(space - verb->name) : strlen(verb->name);
    if (argc < 1 || strlen(argv[0]) != n || memcmp(argv[0], verb->name, n) != 0) {
        return 0;
    }
    if (!space) {
        return 1;
    }
    return argc >= 2 && strcmp(argv[1], space + 1) == 0 ? 2 : 0;
}

/* The verbs of two words that begin with this one; 0 when there are none. */
static unsigned print_group(const char *word, FILE *to)
{
    unsigned n = 0;
    size_t len = strlen(word);
    for (const il_verb *const *v = verbs; *v; v++) {
        if (strncmp((*v)->name, word, len) != 0 || (*v)->name[len] != ' ') {
            continue;
        }
        if (to) {
            char left[64];
            (void)snprintf(left, sizeof left, "inferlaw %s %s", (*v)->name, (*v)->arguments);
            (void)fprintf(to, n == 0 ? "usage:\n  %-28s %s\n" : "  %-28s %s\n", left,
                          (*v)->summary);
        }
        n++;
    }
    return n;
}

static int unknown_verb(int argc, char *const *argv)
{
    const char *names[64];
    size_t n = 0;
    for (const il_verb *const *v = verbs; *v && n < 64; v++) {
        names[n++] = (*v)->name;
    }
    bool group = print_group(argv[0], NULL) > 0;
    const char *second = argc > 1 ? argv[1] : "--help";
    if (group && (strcmp(second, "--help") == 0 || strcmp(second, "-h") == 0)) {
        (void)print_group(argv[0], argc > 1 ? stdout : stderr);
        return argc > 1 ? IL_EXIT_DONE : IL_EXIT_USAGE;
    }
    char word[128];
    (void)snprintf(word, sizeof word, "%s%s%s", argv[0], group ? " " : "", group ? second : "");
    il_error err = {0};
    (void)il_fail(&err, IL_E_USAGE, "unknown verb \"%s\"", word);
    const char *nearest = il_text_nearest(word, names, n);
    if (nearest) {
        il_error_hint(&err, "did you mean \"inferlaw %s\"?", nearest);
    } else {
        il_error_hint(&err, "inferlaw %s%s--help lists the verbs", group ? argv[0] : "",
                      group ? " " : "");
    }
    il_log_error(&err);
    return IL_EXIT_USAGE;
}

static int run_verb(const il_verb *verb, int argc, char *const *argv)
{
    il_arena arena = {0};
    il_error err = {0};
    il_param_set flags;
    char *words[MOST_WORDS];
    unsigned n_words = 0;
    int exit_code;
    int rc = il_param_set_init(&flags, verb->scope, &arena, &err);
    if (rc == IL_OK) {
        rc = il_param_parse_argv(&flags, argc, argv, words, verb->most_words, &n_words, &err);
    }
    if (rc == IL_OK && il_param_flag(&flags, IL_P_HELP)) {
        exit_code = print_verb_help(verb);
        goto out;
    }
    if (rc == IL_OK && n_words < verb->least_words) {
        rc = il_fail(&err, IL_E_USAGE, "%s needs %s", verb->name, verb->arguments);
        il_error_hint(&err, "inferlaw %s --help", verb->name);
    }
    if (rc != IL_OK) {
        il_log_error(&err);
        exit_code = IL_EXIT_USAGE;
        goto out;
    }
    if (il_param_flag(&flags, IL_P_QUIET)) {
        il_log_set_level(IL_LOG_WARN);
    } else if (il_param_flag(&flags, IL_P_VERBOSE)) {
        il_log_set_level(IL_LOG_DEBUG);
    }
    exit_code = verb->run(&flags, words, n_words);
out:
    il_arena_free(&arena);
    return exit_code;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_overview(stderr);
        return IL_EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_overview(stdout);
        return IL_EXIT_DONE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        (void)printf("inferlaw %s (source %s)\n", il_version_text(), il_source_hash());
        return IL_EXIT_DONE;
    }
    for (const il_verb *const *v = verbs; *v; v++) {
        int n = verb_match(*v, argc - 1, argv + 1);
        if (n > 0) {
            return run_verb(*v, argc - 1 - n, argv + 1 + n);
        }
    }
    return unknown_verb(argc - 1, argv + 1);
}
