/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * inferlaw man: the manual page in roff, from the verb list and the parameter table.
 */
#include "cli/verbs.h"

#include "base/version.h"

#include <stdio.h>
#include <string.h>

static const il_verb *const verbs[] = {IL_VERB_MAP(IL_VERB_POINTER) NULL};

/* Text as roff shows it literally; a line never begins with a control character. */
static void put(const char *text)
{
    bool first = true;
    for (; *text; text++) {
        if (first && (*text == '.' || *text == '\'')) {
            (void)fputs("\\&", stdout);
        }
        if (*text == '\\') {
            (void)fputs("\\e", stdout);
        } else if (*text == '-') {
            (void)fputs("\\-", stdout);
        } else {
            (void)putchar(*text);
        }
        first = *text == '\n';
    }
}

static void put_row(const il_param *p, bool flag)
{
    char spelled[96];
    if (flag) {
        il_param_spell(p, spelled, sizeof spelled);
    } else {
        (void)snprintf(spelled, sizeof spelled, "%s", p->name);
    }
    (void)printf(".TP\n.B ");
    if (flag && p->letter) {
        (void)printf("\\-%c, ", p->letter);
    }
    put(flag ? "--" : "");
    put(spelled);
    if (p->value_name) {
        (void)printf(flag ? " \\fI" : ": \\fI");
        put(p->value_name);
        (void)printf("\\fR");
    }
    (void)putchar('\n');
    put(p->help);
    if (p->choices) {
        (void)printf(" (");
        put(p->choices);
        (void)putchar(')');
    }
    if (p->fallback && p->type != IL_PARAM_FLAG) {
        (void)printf(" [");
        put(p->fallback);
        (void)putchar(']');
    }
    (void)putchar('\n');
}

static void put_rows(uint64_t scope, bool flag)
{
    for (int i = 0; i < IL_P_COUNT; i++) {
        const il_param *p = il_param_row((il_param_id)i);
        if (p->scopes & scope) {
            put_row(p, flag);
        }
    }
}

static void put_verbs(void)
{
    (void)printf(".SH VERBS\n");
    for (const il_verb *const *v = verbs; *v; v++) {
        (void)printf(".SS \"inferlaw ");
        put((*v)->name);
        (void)printf("%s", (*v)->arguments[0] ? " " : "");
        put((*v)->arguments);
        (void)printf("\"\n");
        put((*v)->summary);
        (void)printf(".\n");
        if ((*v)->details) {
            (void)printf(".PP\n");
            put((*v)->details);
            (void)putchar('\n');
        }
        put_rows((*v)->scope & ~(uint32_t)IL_SCOPE_ANY_VERB, true);
    }
}

static void put_study_keys(void)
{
    static const struct {
        uint64_t scope;
        const char *title;
    } parts[] = {
        {IL_SCOPE_STUDY, "Top level"},
        {IL_SCOPE_SCENARIO, "scenarios: [{…}]"},
        {IL_SCOPE_BACKEND, "backends: [{…}]"},
        {IL_SCOPE_MODEL, "models: [{…}]"},
        {IL_SCOPE_SCHEDULE, "schedule: {…}"},
        {IL_SCOPE_SHAPES, "shapes: {…}"},
        {IL_SCOPE_COLD_START, "cold_start: {…}"},
        {IL_SCOPE_SLO, "slo: {…}"},
        {IL_SCOPE_MEMORY, "memory_wall: {…}"},
        {IL_SCOPE_ENERGY, "energy: {…}"},
    };
    (void)printf(".SH STUDY FILES\nA study file is YAML.\n");
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        (void)printf(".SS \"");
        put(parts[i].title);
        (void)printf("\"\n");
        put_rows(parts[i].scope, false);
    }
}

static int verb_run(const il_param_set *flags, char *const *words, unsigned n_words)
{
    (void)flags;
    (void)words;
    (void)n_words;
    (void)printf(".TH INFERLAW 1 \"\" \"inferlaw %s\" \"User Commands\"\n"
                 ".SH NAME\ninferlaw \\- how LLM inference scales on this machine, and how far to "
                 "trust it\n"
                 ".SH SYNOPSIS\n.B inferlaw\n\\fIVERB\\fR [\\fIarguments\\fR] "
                 "[\\fIoptions\\fR]\n",
                 il_version_text());
    put_verbs();
    (void)printf(".SH \"OPTIONS OF EVERY VERB\"\n");
    put_rows(IL_SCOPE_ANY_VERB, true);
    put_study_keys();
    (void)printf(".SH \"EXIT STATUS\"\n"
                 ".TP\n0\ndone, also with skipped cells beside ok rows\n"
                 ".TP\n1\na bad command line, an unreadable or invalid file, or what cannot begin\n"
                 ".TP\n2\nthe study ran but calls failed\n"
                 ".TP\n3\nno ok row\n"
                 ".TP\n4\nartifacts are damaged, or do not follow from their journal\n"
                 ".TP\n5\nthe condition of \\-\\-fail\\-on is met\n"
                 ".SH ENVIRONMENT\n"
                 ".TP\nINFERLAW_MODELS\ndirectory of made models (default: models in the working "
                 "directory)\n"
                 ".TP\nINFERLAW_DATA\ndirectory that holds suites and configs\n"
                 ".SH \"SEE ALSO\"\ngnuplot(1)\n");
    return IL_EXIT_DONE;
}

const il_verb il_verb_man = {
    .name = "man",
    .arguments = "",
    .summary = "the manual page, in roff",
    .details = "inferlaw man | man -l -",
    .scope = IL_SCOPE_ANY_VERB,
    .least_words = 0,
    .most_words = 0,
    .run = verb_run,
};
