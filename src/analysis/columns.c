/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "analysis/columns.h"

#include <string.h>

const il_column_row il_columns[IL_COLUMN_COUNT] = {
#define COLUMN_ROW(name, type) {#name, IL_COLUMN_##type},
    IL_COLUMN_MAP(COLUMN_ROW)
#undef COLUMN_ROW
};

il_column il_column_find(const char *name, size_t len)
{
    for (int i = 0; i < IL_COLUMN_COUNT; i++) {
        if (strlen(il_columns[i].name) == len && memcmp(il_columns[i].name, name, len) == 0) {
            return (il_column)i;
        }
    }
    return IL_COLUMN_COUNT;
}

void il_metric_row_clear(il_metric_row *row)
{
    for (int i = 0; i < IL_COLUMN_COUNT; i++) {
        row->v[i] = (il_value){"", 0, NAN};
    }
}
