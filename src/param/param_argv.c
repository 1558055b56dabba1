/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The command-line face of the parameter table: reading argv and writing --help.
 */
#include "param/param.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

static il_param_id find_letter(char letter, uint64_t scopes)
{
    for (int i = 0; i < IL_P_COUNT; i++) {
        const il_param *row = il_param_row((il_param_id)i);
        if ((row->scopes & scopes) && row->letter == letter) {
            return (il_param_id)i;
        }
    }
    return IL_P_COUNT;
}

static int unknown_flag(const char *arg, const char *name, uint64_t scopes, il_error *err)
{
    int rc = il_fail(err, IL_E_USAGE, "unknown option %s", arg);
    const char *nearest = il_param_nearest(name, scopes);
    if (nearest) {
        char spelled[128];
        (void)snprintf(spelled, sizeof spelled, "%s", nearest);
        for (char *p = spelled; *p; p++) {
            *p = *p == '_' ? '-' : *p;
        }
        il_error_hint(err, "did you mean --%s?  --help lists them all", spelled);
    } else {
        il_error_hint(err, "--help lists the options");
    }
    return rc;
}

/* One "--name[=value]"; *used tells whether the next argument was its value. */
static int long_flag(il_param_set *set, const char *arg, const char *next, bool *used,
                     il_error *err)
{
    uint64_t scopes = set->scope | IL_SCOPE_ANY_VERB;
    char name[128];
    size_t n = strcspn(arg + 2, "=");
    if (n >= sizeof name) {
        return il_fail(err, IL_E_USAGE, "option name too long");
    }
    memcpy(name, arg + 2, n);
    name[n] = '\0';
    const char *value = arg[2 + n] == '=' ? arg + 3 + n : NULL;
    il_param_id id = il_param_find(name, scopes);
    bool negated = false;
    if (id == IL_P_COUNT && il_text_starts(name, "no-")) {
        id = il_param_find(name + 3, scopes);
        negated = id != IL_P_COUNT && il_param_row(id)->type == IL_PARAM_FLAG;
        id = negated ? id : IL_P_COUNT;
    }
    if (id == IL_P_COUNT || il_param_row(id)->type == IL_PARAM_NODE) {
        return unknown_flag(arg, name, scopes, err);
    }
    if (il_param_row(id)->type == IL_PARAM_FLAG) {
        if (value) {
            return il_fail(err, IL_E_USAGE, "--%s takes no value", name);
        }
        return il_param_set_text(set, id, negated ? "false" : "true", IL_ORIGIN_FLAG, err);
    }
    if (!value) {
        if (!next) {
            return il_fail(err, IL_E_USAGE, "--%s needs a value", name);
        }
        value = next;
        *used = true;
    }
    return il_param_set_text(set, id, value, IL_ORIGIN_FLAG, err);
}

static int short_flag(il_param_set *set, const char *arg, const char *next, bool *used,
                      il_error *err)
{
    il_param_id id = find_letter(arg[1], set->scope | IL_SCOPE_ANY_VERB);
    if (id == IL_P_COUNT) {
        int rc = il_fail(err, IL_E_USAGE, "unknown option %s", arg);
        il_error_hint(err, "--help lists the options");
        return rc;
    }
    if (il_param_row(id)->type == IL_PARAM_FLAG) {
        if (arg[2] != '\0') {
            return il_fail(err, IL_E_USAGE, "-%c takes no value", arg[1]);
        }
        return il_param_set_text(set, id, "true", IL_ORIGIN_FLAG, err);
    }
    const char *value = arg[2] ? arg + 2 : next;
    if (!value) {
        return il_fail(err, IL_E_USAGE, "-%c needs a value", arg[1]);
    }
    *used = arg[2] == '\0';
    return il_param_set_text(set, id, value, IL_ORIGIN_FLAG, err);
}

/* What the complaint itself has not said: which argument, and where to read on. */
static void say_where(const char *arg, const char *value, il_error *err)
{
    if (err && !err->where[0] && value) {
        il_error_where(err, "%s %s", arg, value);
    }
    if (err && !err->hint[0]) {
        il_error_hint(err, "--help says what this verb takes");
    }
}

int il_param_parse_argv(il_param_set *set, int argc, char *const *argv, char **words,
                        unsigned most_words, unsigned *n_words, il_error *err)
{
    bool flags_ended = false;
    *n_words = 0;
    for (int i = 0; i < argc; i++) {
        const char *arg = argv[i], *next = i + 1 < argc ? argv[i + 1] : NULL;
        bool used = false;
        int rc = IL_OK;
        if (!flags_ended && strcmp(arg, "--") == 0) {
            flags_ended = true;
        } else if (!flags_ended && arg[0] == '-' && arg[1] == '-') {
            rc = long_flag(set, arg, next, &used, err);
        } else if (!flags_ended && arg[0] == '-' && arg[1] != '\0') {
            rc = short_flag(set, arg, next, &used, err);
        } else if (*n_words >= most_words) {
            rc = il_fail(err, IL_E_USAGE, "unexpected argument \"%s\"", arg);
        } else {
            words[(*n_words)++] = argv[i];
        }
        if (rc != IL_OK) {
            say_where(arg, used ? next : NULL, err);
            return rc;
        }
        i += used;
    }
    return IL_OK;
}

/* Columns on a terminal of our own help texts: characters, not bytes. */
static int width_of(const char *text)
{
    int n = 0;
    for (; *text; text++) {
        n += ((unsigned char)*text & 0xC0u) != 0x80u;
    }
    return n;
}

void il_param_spell(const il_param *row, char *out, size_t out_bytes)
{
    bool on = row->type == IL_PARAM_FLAG && row->fallback && row->fallback[0] == 't';
    (void)snprintf(out, out_bytes, "%s%s", on ? "no-" : "", row->name);
    for (char *p = out; *p; p++) {
        *p = *p == '_' ? '-' : *p;
    }
}

static void help_row(const il_param *row, uint64_t scope, il_buf *out)
{
    enum { LEFT = 28 };
    char left[160];
    char spelled[96];
    il_param_spell(row, spelled, sizeof spelled);
    char letter[5] = "    ";
    if (row->letter) {
        (void)snprintf(letter, sizeof letter, "-%c, ", row->letter);
    }
    (void)snprintf(left, sizeof left, "  %s--%s%s%s", letter, spelled, row->value_name ? " " : "",
                   row->value_name ? row->value_name : "");
    int pad = LEFT - width_of(left);
    (void)il_buf_puts(out, left);
    (void)il_buf_printf(out, pad > 0 ? "%*s" : "\n%*s", pad > 0 ? pad : LEFT, "");
    (void)il_buf_printf(out, "  %s", row->help);
    if (row->choices) {
        (void)il_buf_printf(out, " (%s)", row->choices);
    }
    if (row->fallback && row->type != IL_PARAM_FLAG) {
        bool study_first = (scope & (IL_SCOPE_RUN | IL_SCOPE_SWEEP)) &&
                           (row->scopes & (IL_SCOPE_STUDY | IL_SCOPE_SCHEDULE));
        (void)il_buf_printf(out, study_first ? " [the study's, else %s]" : " [%s]", row->fallback);
    }
    (void)il_buf_puts(out, "\n");
}

int il_param_help(uint64_t scope, il_buf *out)
{
    for (int i = 0; i < IL_P_COUNT; i++) {
        const il_param *row = il_param_row((il_param_id)i);
        if ((row->scopes & (scope | IL_SCOPE_ANY_VERB)) && row->type != IL_PARAM_NODE) {
            help_row(row, scope, out);
        }
    }
    return out->status;
}
