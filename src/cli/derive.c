/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/study_run.h"

int il_study_run_derive(const char *dir, const il_param_set *flags, il_error *err)
{
    (void)dir;
    (void)flags;
    (void)err;
    return IL_OK;
}

int il_study_sweep_derive(const char *dir, const il_param_set *flags, il_error *err)
{
    (void)dir;
    (void)flags;
    (void)err;
    return IL_OK;
}
