/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/cpu/vec_avx512.h"

#define ROW_TABLE il__row_kernels_avx512
#include "engine/cpu/rows.inc"
