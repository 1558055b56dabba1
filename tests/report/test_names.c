/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "check.h"

#include "report/names.h"

#include <string.h>

static il_cell_median rows[8];
static il_facts facts;

static void models_are(size_t n, const char *const *models)
{
    memset(&facts, 0, sizeof facts);
    for (size_t i = 0; i < n; i++) {
        rows[i] = (il_cell_median){.model = models[i]};
    }
    facts.medians.rows = rows;
    facts.medians.n_rows = n;
}

static void named(const char *model, const char *want)
{
    assert_string_equal(il_facts_model_name(&facts, model), want);
}

static void shared_endings_go(void **state)
{
    (void)state;
    static const char *const shapes[] = {
        "gpt2-L1-d128-h8-v1024-p256", "gpt2-L16-d128-h8-v1024-p256", "gpt2-L16-d128-h4-v1024-p256",
        "gpt2-L16-d128-h4-v1024-p256"};
    models_are(4, shapes);
    assert_string_equal(il_facts_shared_tail(&facts), "-v1024-p256");
    named(shapes[0], "gpt2-L1-d128-h8");
    named(shapes[1], "gpt2-L16-d128-h8");
    named(shapes[2], "gpt2-L16-d128-h4");
    named("gpt2-L1-d128-h8-v2048-p256", "gpt2-L1-d128-h8-v2048-p256"); /* another ending stays */
    il_arena_free(&facts.arena);
    /* h8 is no ending of h18, and what all share is cut at a dash. */
    static const char *const heads[] = {"gpt2-L1-h8-p256", "gpt2-L1-h18-p256"};
    models_are(2, heads);
    named(heads[0], "gpt2-L1-h8");
    named(heads[1], "gpt2-L1-h18");
    il_arena_free(&facts.arena);
}

static void other_names_stay_whole(void **state)
{
    (void)state;
    static const char *const one[] = {"gpt2-L1-d128", "gpt2-L1-d128"};
    models_are(2, one);
    named(one[0], "gpt2-L1-d128"); /* nothing to tell it from */
    il_arena_free(&facts.arena);
    static const char *const published[] = {"models/tiny-gpt2", "models/other-gpt2",
                                            "x/other-gpt2"};
    models_are(3, published);
    named(published[0], "tiny-gpt2");
    named(published[1], "models/other-gpt2"); /* two of one base keep their folders */
    named(published[2], "x/other-gpt2");
    il_arena_free(&facts.arena);
    static const char *const bare[] = {"d128", "x-d128"};
    models_are(2, bare);
    named(bare[0], "d128");
    named(bare[1], "x-d128");
    il_arena_free(&facts.arena);
    models_are(0, NULL);
    named("gpt2-L1-d128", "gpt2-L1-d128");
    il_arena_free(&facts.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shared_endings_go),
        cmocka_unit_test(other_names_stay_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
