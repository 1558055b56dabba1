/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of blocks into panels (layout: kernels_internal.h), and back to fp32.
 */
#include "engine/cpu/kernels_internal.h"

#include <assert.h>
#include <string.h>

enum { COLUMNS = 32, GROUPED = 8 }; /* of a block of a panel; blocks that share d */

il__panel_form il__panel_form_of(il_ggml_type type, uint32_t nr, uint32_t n_in)
{
    il__panel_form f = {.nr = nr};
    bool known = il_quant_form_of(type, &f.levels);
    assert(known && n_in % COLUMNS == 0);
    uint32_t bits = f.levels.bits;
    size_t n_blocks = n_in / COLUMNS;
    f.plane_bytes = (size_t)nr * COLUMNS * (bits == 8 ? 8 : bits) / 8;
    size_t own = (f.levels.drops ? 4 : 2) * (size_t)nr;
    f.scales_bytes = f.levels.grouped ? own + GROUPED * 2 * (size_t)nr : own;
    f.levels_at = (f.levels.grouped ? n_blocks / GROUPED : n_blocks) * f.scales_bytes;
    f.levels_at = (f.levels_at + 63) / 64 * 64;
    f.panel_bytes = f.levels_at + n_blocks * f.plane_bytes;
    f.panel_bytes = (f.panel_bytes + 63) / 64 * 64;
    return f;
}

/* Rows as they lie in the file. */
static bool is_verbatim(const il__block_kernel *kernel)
{
    return kernel->nr == 1;
}

static size_t row_bytes(const il_linear *lin)
{
    return il_quant_bytes(lin->blocks, lin->n_in);
}

size_t il__blocks_packed_bytes(const il_linear *lin)
{
    const il__block_kernel *kernel = il__block_kernel_for(lin->blocks, lin->isa);
    if (is_verbatim(kernel)) {
        return (lin->n_out * row_bytes(lin) + 63) / 64 * 64;
    }
    size_t n_panels = ((size_t)lin->n_out + kernel->nr - 1) / kernel->nr;
    return n_panels * il__panel_form_of(lin->blocks, kernel->nr, lin->n_in).panel_bytes;
}

/* --- a level in its place -------------------------------------------------------------------- */

static void put_bits(uint8_t *at, uint32_t bits, uint32_t shift, uint32_t mask)
{
    *at = (uint8_t)((*at & ~(mask << shift)) | bits << shift);
}

static void put_level(const il__panel_form *f, uint8_t *plane, uint32_t lane, uint32_t k, uint8_t q)
{
    uint32_t g = k / 4, at = lane * 4 + k % 4, vector = 4 * f->nr;
    if (f->levels.bits == 8) {
        plane[g * vector + at] = q;
        return;
    }
    put_bits(&plane[g / 2 * vector + at], q & 15, g % 2 * 4, 15);
    uint8_t *high = plane + 4 * vector;
    if (f->levels.bits == 5) {
        put_bits(&high[at], q >> 4, g, 1);
    } else if (f->levels.bits == 6) {
        put_bits(&high[g / 4 * vector + at], q >> 4, g % 4 * 2, 3);
    }
}

static uint8_t get_level(const il__panel_form *f, const uint8_t *plane, uint32_t lane, uint32_t k)
{
    uint32_t g = k / 4, at = lane * 4 + k % 4, vector = 4 * f->nr;
    if (f->levels.bits == 8) {
        return plane[g * vector + at];
    }
    uint32_t q = (uint32_t)plane[g / 2 * vector + at] >> (g % 2 * 4) & 15;
    const uint8_t *high = plane + 4 * vector;
    if (f->levels.bits == 5) {
        q |= ((uint32_t)high[at] >> g & 1u) << 4;
    } else if (f->levels.bits == 6) {
        q |= ((uint32_t)high[g / 4 * vector + at] >> (g % 4 * 2) & 3u) << 4;
    }
    return (uint8_t)q;
}

/* --- packing --------------------------------------------------------------------------------- */

typedef struct pack_job {
    const il_linear *lin;
    il__panel_form form;
    const uint8_t *const *rows;
    uint32_t row0, n_rows;
} pack_job;

static void put_scales(const il__panel_form *f, uint8_t *scales, uint32_t lane,
                       const il_quant_parts *parts)
{
    uint32_t nr = f->nr;
    il__put_f16(scales + 2 * (size_t)lane, parts->d);
    if (f->levels.drops) {
        il__put_f16(scales + 2 * ((size_t)nr + lane), parts->e);
    }
    uint8_t *own = scales + (f->levels.drops ? 4 : 2) * (size_t)nr;
    for (uint32_t b = 0; f->levels.grouped && b < GROUPED; b++, own += 2 * (size_t)nr) {
        own[lane] = f->levels.drops ? parts->s[b] : parts->s[2 * b];
        own[nr + lane] = f->levels.drops ? parts->t[b] : parts->s[2 * b + 1];
    }
}

/* Row r of those given; past the last one of the matrix a lane of zeros. */
static void pack_row(const pack_job *job, uint32_t r)
{
    const il__panel_form *f = &job->form;
    const il_ggml_layout *layout = il_ggml_layout_of((uint32_t)job->lin->blocks);
    uint32_t row = job->row0 + r, lane = row % f->nr, n = layout->block_values;
    uint8_t *panel = (uint8_t *)job->lin->packed + row / f->nr * f->panel_bytes;
    uint8_t *scales = panel, *planes = panel + f->levels_at;
    const uint8_t *block = r < job->n_rows ? job->rows[r] : NULL;
    il_quant_parts parts = {0};
    for (uint32_t k = 0, i_block = 0; k < job->lin->n_in; k += n, i_block++) {
        if (block) {
            il_quant_split(job->lin->blocks, block + (size_t)i_block * layout->block_bytes, &parts);
        }
        for (uint32_t i = 0; i < n; i++) {
            put_level(f, planes + (k + i) / COLUMNS * f->plane_bytes, lane, i % COLUMNS,
                      parts.q[i]);
        }
        put_scales(f, scales, lane, &parts);
        scales += f->scales_bytes;
    }
}

/* A worker takes whole panels, since rows of a panel share bytes' cache lines. */
static void pack_task(void *arg, uint32_t worker, uint32_t n_workers)
{
    const pack_job *job = arg;
    uint32_t nr = job->form.nr, first = job->row0 / nr;
    uint32_t n_panels = (job->row0 + job->n_rows - 1) / nr + 1 - first;
    uint64_t from = (first + (uint64_t)n_panels * worker / n_workers) * nr;
    uint64_t to = (first + (uint64_t)n_panels * (worker + 1) / n_workers) * nr;
    bool ends = job->row0 + job->n_rows == job->lin->n_out;
    uint32_t n_rows = ends ? (first + n_panels) * nr - job->row0 : job->n_rows;
    for (uint32_t r = 0; r < n_rows; r++) {
        if (job->row0 + r >= from && job->row0 + r < to) {
            pack_row(job, r);
        }
    }
}

int il_linear_pack_blocks(il_linear *lin, uint32_t row0, uint32_t n_rows,
                          const uint8_t *const *rows, il_pool *pool)
{
    const il__block_kernel *kernel = il__block_kernel_for(lin->blocks, lin->isa);
    if (!kernel) {
        return IL_E_UNSUPPORTED;
    }
    if (n_rows == 0 || row0 > lin->n_out || n_rows > lin->n_out - row0 || row_bytes(lin) == 0) {
        return IL_E_RANGE;
    }
    if (is_verbatim(kernel)) {
        for (uint32_t r = 0; r < n_rows; r++) {
            memcpy((uint8_t *)lin->packed + (row0 + r) * row_bytes(lin), rows[r], row_bytes(lin));
        }
        return IL_OK;
    }
    pack_job job = {.lin = lin,
                    .form = il__panel_form_of(lin->blocks, kernel->nr, lin->n_in),
                    .rows = rows,
                    .row0 = row0,
                    .n_rows = n_rows};
    il_pool_run(pool, pack_task, &job);
    return IL_OK;
}

/* --- a row back ------------------------------------------------------------------------------ */

static float f16_at(const uint8_t *at)
{
    return il_f16_to_f32(il__get_u16(at));
}

/* Scale and offset of part `half` of block b: x = scale·level − drop. */
static void part_scale(const il__panel_form *f, const uint8_t *scales, uint32_t lane, uint32_t b,
                       uint32_t half, float *scale, float *drop)
{
    size_t nr = f->nr;
    const uint8_t *at = scales + (f->levels.grouped ? b / GROUPED : b) * f->scales_bytes;
    *scale = f16_at(at + 2 * lane);
    float e = f->levels.drops ? f16_at(at + 2 * (nr + lane)) : 0;
    *drop = -e;
    if (f->levels.grouped) {
        const uint8_t *own = at + (f->levels.drops ? 4 : 2) * nr + b % GROUPED * 2 * nr + lane;
        *scale *= f->levels.drops ? (float)own[0] : (float)(int8_t)own[half * nr];
        *drop = f->levels.drops ? e * (float)own[nr] : 0;
    }
}

void il__blocks_row(const il_linear *lin, uint32_t r, float *out)
{
    const il__block_kernel *kernel = il__block_kernel_for(lin->blocks, lin->isa);
    if (is_verbatim(kernel)) {
        il_quant_read(lin->blocks, (const uint8_t *)lin->packed + r * row_bytes(lin), lin->n_in,
                      out);
        return;
    }
    il__panel_form f = il__panel_form_of(lin->blocks, kernel->nr, lin->n_in);
    const uint8_t *panel = (const uint8_t *)lin->packed + r / f.nr * f.panel_bytes;
    uint32_t lane = r % f.nr, part = f.levels.part;
    for (uint32_t k = 0; k < lin->n_in; k += part) {
        uint32_t b = k / COLUMNS;
        float scale, drop;
        part_scale(&f, panel, lane, b, k % COLUMNS / part, &scale, &drop);
        for (uint32_t i = k; i < k + part; i++) {
            int level = get_level(&f, panel + f.levels_at + b * f.plane_bytes, lane, i % COLUMNS);
            out[i] = scale * (float)(level - (int)f.levels.centre) - drop;
        }
    }
}
