/* The wisdom that ships is of the templates that ship: a plan of such a problem is exact on such a device. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"

#include "plan_make.h"
#include "wisdom.h"

typedef struct fixture {
  smla_generator *generator;
  smla_measurements wisdom;
} fixture;

static int setup(void **state) {
  static fixture f;
  *state = &f;
  return smla_generator_create(NULL, &f.generator) || smla_wisdom_shipped(&f.wisdom);
}

static int teardown(void **state) {
  fixture *f = *state;
  smla_generator_destroy(f->generator);
  smla_measurements_free(&f->wisdom);
  return 0;
}

static void both_devices_have_wisdom(void **state) {
  static const char *const devices[] = {"sm90-132sm-l2_50m-smem227k-bus5120-clk2000",  /* H100 80GB HBM3 */
                                        "sm90-132sm-l2_60m-smem227k-bus6016-clk2000"}; /* H200 */
  const fixture *f = *state;
  for (size_t d = 0; d < sizeof devices / sizeof *devices; d++) {
    size_t count = 0;
    for (size_t i = 0; i < f->wisdom.count; i++) count += !strcmp(f->wisdom.items[i].device, devices[d]);
    if (count < 9) fail_msg("%zu measurements of %s are shipped", count, devices[d]);
  }
}

static void it_is_of_the_templates_in_the_tree(void **state) {
  const fixture *f = *state;
  char here[SMLA_HASH_HEX];
  assert_int_equal(smla_plan_timed_digest(f->generator, here), SNAPMLA_OK);
  size_t stale = 0;
  for (size_t i = 0; i < f->wisdom.count; i++) {
    const smla_measurement *m = &f->wisdom.items[i];
    if (!strcmp(m->templates, here)) continue;
    stale++;
    print_message("%s on %s was measured with the templates %.12s, here are %.12s\n", m->problem, m->device,
                  m->templates, here);
  }
  if (stale)
    fail_msg(
        "%zu shipped measurements are not of the templates in the tree: run 'sh scripts/renew_wisdom.sh', which renews "
        "them where their kernels are the same programs; where they are not, tune anew on such a GPU ('sh "
        "scripts/tune_shipped.sh autotune/wisdom/h100.json', h200.json)",
        stale);
}

static snapmla_problem problem_of(const smla_measurement *m) {
  smla_problem_key key;
  snapmla_problem problem;
  snapmla_problem_init(&problem);
  assert_true(smla_problem_key_read(m->problem, &key));
  problem.heads = key.heads;
  problem.q_len = key.q_len;
  problem.latent_rank = key.latent_rank;
  problem.rope_dim = key.rope_dim;
  problem.page_tokens = key.page_tokens;
  problem.max_batch = key.batch;
  problem.max_context = key.context;
  problem.max_indices = key.indices;
  problem.flags = key.flags;
  assert_int_equal(snapmla_kv_format_parse(key.format, &problem.kv_format), SNAPMLA_OK);
  assert_int_equal(snapmla_accuracy_parse(key.accuracy, &problem.accuracy), SNAPMLA_OK);
  return problem;
}

/* Where digests agree nobody asks again whether a variant is legal. */
static void a_plan_has_the_kernels_that_were_timed(void **state) {
  const fixture *f = *state;
  for (size_t i = 0; i < f->wisdom.count; i++) {
    const smla_measurement *m = &f->wisdom.items[i];
    const snapmla_problem problem = problem_of(m);
    char *variants[SMLA_FAMILY_COUNT];
    smla_buffer text = {0};
    if (smla_plan_variants(f->generator, &problem, m->variant, variants))
      fail_msg("%s: %s", m->problem, snapmla_error_message());
    assert_int_equal(smla_plan_variants_text(variants, &text), SNAPMLA_OK);
    assert_string_equal(text.data, m->variant);
    smla_buffer_free(&text);
    for (int k = 0; k < SMLA_FAMILY_COUNT; k++) free(variants[k]);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(both_devices_have_wisdom),
      cmocka_unit_test(it_is_of_the_templates_in_the_tree),
      cmocka_unit_test(a_plan_has_the_kernels_that_were_timed),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
