/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/cpu/vec_avx2.h"

#define ROW_TABLE il__row_kernels_avx2
#include "engine/cpu/rows.inc"
