/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A study that compares two sides runs them next to each other: what the machine does meanwhile is
 * then nearly the same for both, and leaves the ratio of a pair.
 */
#include "study/driver_parts.h"

#include <string.h>

/* The group of the same model on the other side, or IL__NO_GROUP. */
static uint32_t other_side(const il_plan *p, uint32_t group)
{
    const il_cell *mine = NULL;
    for (uint32_t i = 0; i < p->n_cells && !mine; i++) {
        mine = p->cells[i].group == group ? &p->cells[i] : NULL;
    }
    for (uint32_t i = 0; mine && i < p->n_cells; i++) {
        const il_cell *c = &p->cells[i];
        if (c->backend == (mine->backend ^ 1u) && c->model == mine->model) {
            return c->group;
        }
    }
    return IL__NO_GROUP;
}

void il__driver_pair_up(const il_plan *p, uint32_t *order, uint32_t n)
{
    for (uint32_t i = 0; i + 1 < n; i++) {
        if (order[i] >= p->n_groups) {
            continue; /* an arm */
        }
        uint32_t other = other_side(p, order[i]), at = i + 1;
        while (at < n && order[at] != other) {
            at++;
        }
        if (at < n) {
            memmove(&order[i + 2], &order[i + 1], (at - i - 1) * sizeof *order);
            order[i + 1] = other;
            i++;
        }
    }
}
