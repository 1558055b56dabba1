/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * inferlaw completion: a script for the shell that completes verbs, flags and the values of flags
 * that have a fixed list, all from the verb list and the parameter table.
 */
#include "cli/verbs.h"

#include "base/log.h"

#include <stdio.h>
#include <string.h>

static const il_verb *const verbs[] = {IL_VERB_MAP(IL_VERB_POINTER) NULL};

/* Calls row for every flag of the verb. */
static void each_flag(const il_verb *verb,
                      void (*row)(const il_verb *, const il_param *, const char *spelled))
{
    for (int i = 0; i < IL_P_COUNT; i++) {
        const il_param *p = il_param_row((il_param_id)i);
        char spelled[96];
        if (p->scopes & (verb->scope | IL_SCOPE_ANY_VERB)) {
            il_param_spell(p, spelled, sizeof spelled);
            row(verb, p, spelled);
        }
    }
}

/* ---- bash ---- */

static void bash_flag(const il_verb *verb, const il_param *p, const char *spelled)
{
    (void)verb;
    (void)p;
    (void)printf(" --%s", spelled);
}

static void bash_values(const il_verb *verb, const il_param *p, const char *spelled)
{
    if (!p->choices) {
        return;
    }
    (void)printf("    '%s --%s') COMPREPLY=($(compgen -W '", verb->name, spelled);
    for (const char *c = p->choices; *c; c++) {
        (void)putchar(*c == '|' ? ' ' : *c);
    }
    (void)printf("' -- \"$word\")); return ;;\n");
}

static void print_bash(void)
{
    (void)printf("# bash completion of inferlaw: put this into a file that bash reads, or\n"
                 "#   source <(inferlaw completion bash)\n"
                 "_inferlaw() {\n"
                 "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
                 "  local verb=${COMP_WORDS[1]:-}\n"
                 "  case \"$verb\" in model|import) verb=\"$verb ${COMP_WORDS[2]:-}\" ;; esac\n"
                 "  case \"$verb $before\" in\n");
    for (const il_verb *const *v = verbs; *v; v++) {
        each_flag(*v, bash_values);
    }
    (void)printf("  esac\n  local flags=\n  case \"$verb\" in\n");
    for (const il_verb *const *v = verbs; *v; v++) {
        (void)printf("    '%s') flags='", (*v)->name);
        each_flag(*v, bash_flag);
        (void)printf("' ;;\n");
    }
    (void)printf("  esac\n"
                 "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
                 "    COMPREPLY=($(compgen -W '");
    const char *last = "";
    for (const il_verb *const *v = verbs; *v; v++) {
        size_t n = strcspn((*v)->name, " ");
        if (strncmp(last, (*v)->name, n) != 0 || (last[n] != ' ' && last[n] != '\0')) {
            (void)printf("%.*s ", (int)n, (*v)->name);
        }
        last = (*v)->name;
    }
    (void)printf("' -- \"$word\"))\n"
                 "  elif [ \"$COMP_CWORD\" -eq 2 ] && [[ ${COMP_WORDS[1]} =~ ^(model|import)$ ]]; "
                 "then\n"
                 "    case ${COMP_WORDS[1]} in\n");
    static const char *const groups[] = {"model", "import"};
    for (size_t g = 0; g < 2; g++) {
        (void)printf("      %s) COMPREPLY=($(compgen -W '", groups[g]);
        for (const il_verb *const *v = verbs; *v; v++) {
            size_t n = strlen(groups[g]);
            if (strncmp((*v)->name, groups[g], n) == 0 && (*v)->name[n] == ' ') {
                (void)printf("%s ", (*v)->name + n + 1);
            }
        }
        (void)printf("' -- \"$word\")) ;;\n");
    }
    (void)printf("    esac\n"
                 "  elif [[ $word == -* ]]; then\n"
                 "    COMPREPLY=($(compgen -W \"$flags\" -- \"$word\"))\n"
                 "  else\n"
                 "    COMPREPLY=($(compgen -f -- \"$word\"))\n"
                 "  fi\n"
                 "}\n"
                 "complete -o filenames -F _inferlaw inferlaw\n");
}

/* ---- zsh and fish ---- */

/* Text within single quotes of either shell; fish and zsh differ in how a quote is written. */
static void quoted(const char *text, const char *quote)
{
    for (; *text; text++) {
        if (*text == '\'') {
            (void)fputs(quote, stdout);
        } else {
            (void)putchar(*text);
        }
    }
}

static void fish_flag(const il_verb *verb, const il_param *p, const char *spelled)
{
    (void)printf("complete -c inferlaw -n '__inferlaw_is \"%s\"' -l %s", verb->name, spelled);
    if (p->letter) {
        (void)printf(" -s %c", p->letter);
    }
    if (p->choices) {
        (void)printf(" -x -a '");
        for (const char *c = p->choices; *c; c++) {
            (void)putchar(*c == '|' ? ' ' : *c);
        }
        (void)putchar('\'');
    } else if (p->type != IL_PARAM_FLAG) {
        (void)printf(" -r");
    }
    (void)printf(" -d '");
    quoted(p->help, "\\'");
    (void)printf("'\n");
}

static void print_fish(void)
{
    (void)printf("# fish completion of inferlaw: inferlaw completion fish | source\n"
                 "function __inferlaw_is\n"
                 "  string match -q -- \"$argv[1]*\" (string join ' ' (commandline -opc)[2..-1])\n"
                 "end\n");
    for (const il_verb *const *v = verbs; *v; v++) {
        const char *space = strchr((*v)->name, ' ');
        int n = space ? (int)(space - (*v)->name) : (int)strlen((*v)->name);
        if (space) {
            (void)printf("complete -c inferlaw -n '__inferlaw_is %.*s' -a %s -d '", n, (*v)->name,
                         space + 1);
            quoted((*v)->summary, "\\'");
            (void)printf("'\n");
        }
        (void)printf("complete -c inferlaw -n __fish_use_subcommand -a %.*s", n, (*v)->name);
        if (!space) {
            (void)printf(" -d '");
            quoted((*v)->summary, "\\'");
            (void)putchar('\'');
        }
        (void)putchar('\n');
        each_flag(*v, fish_flag);
    }
}

static void print_zsh(void)
{
    (void)printf("#compdef inferlaw\n"
                 "# zsh completion of inferlaw, through its bash completion\n"
                 "autoload -U +X bashcompinit && bashcompinit\n");
    print_bash();
}

static int verb_run(const il_param_set *flags, char *const *words, unsigned n_words)
{
    (void)flags;
    (void)n_words;
    static const struct {
        const char *name;
        void (*print)(void);
    } shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};
    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++) {
        if (strcmp(words[0], shells[i].name) == 0) {
            shells[i].print();
            return IL_EXIT_DONE;
        }
    }
    il_error err = {0};
    (void)il_fail(&err, IL_E_USAGE, "no completion for the shell \"%.40s\"", words[0]);
    il_error_hint(&err, "inferlaw completion bash, zsh or fish");
    il_log_error(&err);
    return IL_EXIT_USAGE;
}

const il_verb il_verb_completion = {
    .name = "completion",
    .arguments = "SHELL",
    .summary = "a completion script for bash, zsh or fish",
    .details = "source <(inferlaw completion bash)",
    .scope = IL_SCOPE_ANY_VERB,
    .least_words = 1,
    .most_words = 1,
    .run = verb_run,
};
