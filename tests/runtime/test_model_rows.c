/* The rows of a block that ESTIMATE takes for problems nobody tuned, against each number of rows measured (docs/performance/.../rows.csv). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"

#include "file.h"
#include "plan_make.h"
#include "tuner.h"
#include "tuning_key.h"

enum { ROWS_CHOICES = 4, TIMES_MAX = 1000, PROBLEMS_MAX = 200 };

/* What a choice may cost: its time over that of the best rows measured, in the mean. */
static const double mean_limit = 1.002;
/* Of the problems, at least so much has the chosen rows among those measured. */
static const double judged_least = 0.95;

static const int rows_choices[ROWS_CHOICES] = {8, 16, 32, 64};

typedef struct problem_times {
  char key[SMLA_PROBLEM_KEY_MAX];
  double us[ROWS_CHOICES]; /* 0: not measured */
} problem_times;

static int setup(void **state) {
  if (setenv("SNAPMLA_CACHE_DIR", "/nonexistent", 1)) return -1; /* nothing but what ships */
  return smla_generator_create(NULL, (smla_generator **)state) ? -1 : 0;
}

static int teardown(void **state) {
  smla_generator_destroy(*state);
  return 0;
}

/* Lines heads,batch,tokens,q_len,format,rows,us,...: those of a problem lie together. */
static size_t read_times(const char *path, problem_times out[PROBLEMS_MAX]) {
  smla_buffer text = {0};
  size_t count = 0, times = 0;
  if (smla_file_read(path, 1 << 16, &text)) fail_msg("%s", snapmla_error_message());
  for (char *rest = text.data, *line; (line = strsep(&rest, "\n"));) {
    smla_problem_key key = {.latent_rank = 512, .rope_dim = 64, .page_tokens = 64, .accuracy = "fast"};
    int rows, at = 0;
    double us;
    if (sscanf(line, "%d,%d,%d,%d,%31[a-z0-9_],%d,%lf", &key.heads, &key.batch, &key.context, &key.q_len, key.format,
               &rows, &us) != 7)
      continue; /* the head */
    char name[SMLA_PROBLEM_KEY_MAX];
    smla_problem_key_text(&key, name);
    if (!count || strcmp(out[count - 1].key, name)) {
      assert_true(count < PROBLEMS_MAX);
      out[count] = (problem_times){0};
      strcpy(out[count++].key, name);
    }
    while (at < ROWS_CHOICES && rows_choices[at] != rows) at++;
    assert_true(at < ROWS_CHOICES && us > 0);
    out[count - 1].us[at] = us;
    times++;
  }
  smla_buffer_free(&text);
  assert_true(times >= 2 * count && times < TIMES_MAX);
  return count;
}

/* Not wisdom's choice, which a plan would have: the model's, with the measurements of the device class as its calibration. */
static int estimated_rows(const smla_generator *generator, const char *device, const char *key) {
  snapmla_problem problem;
  smla_tuning t;
  char *override = NULL, *variants[SMLA_FAMILY_COUNT];
  if (smla_tuning_problem(key, &problem) ||
      smla_tuning_open_class(generator, device, SNAPMLA_TARGET_SM90A, &problem, SMLA_TUNING_ALL, &t) ||
      smla_tuning_estimate(&t, problem.max_batch, problem.max_context, &override, NULL) ||
      smla_plan_variants(generator, &problem, override, variants))
    fail_msg("%s: %s", key, snapmla_error_message());
  int rows = 0;
  if (sscanf(variants[SMLA_MLA_DECODE], "mla_decode:rows=%d", &rows) != 1) fail_msg("%s", variants[SMLA_MLA_DECODE]);
  for (int k = 0; k < SMLA_FAMILY_COUNT; k++) free(variants[k]);
  free(override);
  smla_tuning_close(&t);
  return rows;
}

/* `worst_limit`: what a choice may cost at worst. */
static void check_device(const smla_generator *generator, const char *device, const char *path, double worst_limit) {
  static problem_times problems[PROBLEMS_MAX];
  const size_t count = read_times(path, problems);
  double sum = 0, worst = 0;
  size_t judged = 0;
  for (size_t i = 0; i < count; i++) {
    const int rows = estimated_rows(generator, device, problems[i].key);
    double best = 0, chosen = 0;
    for (int k = 0; k < ROWS_CHOICES; k++) {
      const double us = problems[i].us[k];
      if (us > 0 && (best == 0 || us < best)) best = us;
      if (rows_choices[k] == rows) chosen = us;
    }
    if (chosen == 0) {
      print_message("%s: %d rows, which were not measured\n", problems[i].key, rows);
      continue;
    }
    const double loss = chosen / best;
    judged++;
    sum += loss;
    if (loss > worst) worst = loss;
    if (loss > 1.01)
      print_message("%s: %d rows take %.1f us, the best %.1f: %.3f\n", problems[i].key, rows, chosen, best, loss);
  }
  assert_true((double)judged >= judged_least * (double)count);
  print_message("%s: %zu of %zu problems judged, loss %.4f in the mean, %.3f at worst\n", path, judged, count,
                sum / (double)judged, worst);
  if (sum / (double)judged > mean_limit || worst > worst_limit)
    fail_msg("%s: ESTIMATE's rows lose more than %.3f in the mean or %.2f at worst", path, mean_limit, worst_limit);
}

static void rows_on_an_h100(void **state) {
  check_device(*state, "sm90-132sm-l2_50m-smem227k-bus5120-clk2000", "docs/performance/h100/rows.csv", 1.03);
}

static void rows_on_an_h200(void **state) {
  check_device(*state, "sm90-132sm-l2_60m-smem227k-bus6016-clk2000", "docs/performance/h200/rows.csv", 1.03);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rows_on_an_h100),
      cmocka_unit_test(rows_on_an_h200),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
