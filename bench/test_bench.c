/* What the programs of bench/ compute without a device: summaries, tables, counts. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "decode/decode.h"

static void summaries_are_quantiles(void **state) {
  (void)state;
  double values[] = {5, 1, 4, 2, 3}, one[] = {7};
  bench_times t = bench_summary(values, 5);
  assert_float_equal(t.median, 3, 1e-12);
  assert_float_equal(t.min, 1, 1e-12);
  assert_float_equal(t.p90, 4.6, 1e-12);
  assert_float_equal(t.spread, 1, 1e-12);
  t = bench_summary(one, 1);
  assert_float_equal(t.median, 7, 1e-12);
  assert_float_equal(t.p90, 7, 1e-12);
  assert_float_equal(t.spread, 0, 1e-12);
}

static void the_targets_are_fourteen(void **state) {
  (void)state;
  shape_list list = {.count = 0};
  assert_int_equal(shapes_read(&list, "bench/decode/targets.csv"), SNAPMLA_OK);
  assert_int_equal(list.count, 14);
  assert_int_equal(list.at[6].tokens, 16384);
  assert_int_equal(list.at[6].q_len, 1);
  assert_float_equal(list.at[6].target_us, 92, 1e-12);
  for (size_t i = 0; i < list.count; i++) assert_true(list.at[i].stretch_us < list.at[i].target_us);
  assert_int_equal(list.at[13].top, 2048);
  shapes_add_matrix(&list);
  assert_int_equal(list.count, 14 + 24);
  assert_int_equal(list.at[37].batch, 128);
}

static void a_shape_is_read_whole(void **state) {
  (void)state;
  static const char *const bad[] = {"", "1,2", "1,2,3x", "1,2,3,", "0,2,3", "1,2,3,4,5", "1,2,3,-1"};
  shape s;
  assert_int_equal(shape_read("32,64,8192", 0, &s), SNAPMLA_OK);
  assert_true(s.batch == 32 && s.heads == 64 && s.tokens == 8192 && s.top == 0 && s.q_len == 1);
  assert_int_equal(shape_read("1,2,300,40", 1, &s), SNAPMLA_OK);
  assert_int_equal(s.top, 40);
  assert_int_equal(shape_read("1,2,300,40", 0, &s), SNAPMLA_INVALID_ARGUMENT);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    assert_int_equal(shape_read(bad[i], 1, &s), SNAPMLA_INVALID_ARGUMENT);
  const shape some[] = {{.batch = 2, .tokens = 65}, {.batch = 3, .tokens = 64}};
  assert_int_equal(shapes_most_pages(some, 2), 4);
}

static void a_shape_is_counted(void **state) {
  (void)state;
  const shape s = {.batch = 2, .heads = 16, .tokens = 65, .q_len = 1};
  assert_float_equal(shape_bytes(&s), 2 * 2 * 41216 + 32 * (1152 + 1024), 1e-6);
  assert_float_equal(shape_fp8_flop(&s) + shape_bf16_flop(&s), 2176.0 * 32 * 65, 1e-6);
  const shape plain = {.batch = 2, .heads = 16, .tokens = 65, .q_len = 1, .format = SNAPMLA_KV_BF16};
  assert_float_equal(shape_bytes(&plain), 2 * 2 * 73728 + 32 * (1152 + 1024), 1e-6);
  assert_float_equal(shape_bf16_flop(&plain), 2176.0 * 32 * 65, 1e-6);
  shape_list list = {{{.tokens = 65, .q_len = 1, .target_us = 3}, {.tokens = 65, .q_len = 1, .top = 20}}, 2};
  shapes_choose(&list, SNAPMLA_KV_FP8_TENSOR, SNAPMLA_ACCURACY_FAST, 0);
  assert_int_equal(list.count, 2);
  assert_true(list.at[0].target_us == 0 && shape_bf16_flop(&list.at[0]) == 0);
  const shape sparse = {.batch = 2, .heads = 16, .tokens = 65, .top = 20, .q_len = 1};
  assert_float_equal(shape_bytes(&sparse), 2 * 20 * 644 + 32 * (1152 + 1024), 1e-6);
  assert_float_equal(shape_fp8_flop(&sparse) + shape_bf16_flop(&sparse), 2176.0 * 32 * 20, 1e-6);
}

static void query_tokens_are_counted_causally(void **state) {
  (void)state;
  const shape s = {.batch = 2, .heads = 16, .tokens = 65, .q_len = 4};
  assert_int_equal(shape_rows(&s), 2 * 4 * 16);
  assert_float_equal(shape_bytes(&s), 2 * 2 * 41216 + 128 * (1152 + 1024), 1e-6); /* pages once for all four */
  assert_float_equal(shape_fp8_flop(&s) + shape_bf16_flop(&s), 2176.0 * 32 * (62 + 63 + 64 + 65), 1e-6);
  const shape sparse = {.batch = 2, .heads = 16, .tokens = 65, .top = 20, .q_len = 4};
  assert_float_equal(shape_bytes(&sparse), 2 * 4 * 20 * 644 + 128 * (1152 + 1024), 1e-6); /* a list for each */
  assert_float_equal(shape_fp8_flop(&sparse) + shape_bf16_flop(&sparse), 2176.0 * 128 * 20, 1e-6);
}

static void shapes_of_several_query_tokens_are_problems(void **state) {
  (void)state;
  shape_list list = {.count = 0};
  snapmla_problem problem;
  shapes_add_speculative(&list);
  assert_int_equal(list.count, 13);
  for (size_t i = 0; i < list.count; i++) {
    assert_int_equal(shape_problem(&list.at[i], &problem), SNAPMLA_OK);
    assert_true(problem.q_len == 2 || problem.q_len == 4);
  }
  assert_int_equal(shape_problem(&(shape){.batch = 1, .heads = 16, .tokens = 3, .q_len = 4}, &problem),
                   SNAPMLA_INVALID_ARGUMENT);
  assert_non_null(strstr(snapmla_error_message(), "4 query tokens of a request of 3"));
  assert_int_equal(shape_problem(&(shape){.batch = 1, .heads = 16, .tokens = 200, .q_len = 129}, &problem),
                   SNAPMLA_INVALID_ARGUMENT);
}

static void targets_are_of_one_token_and_the_fast_level(void **state) {
  (void)state;
  static const struct {
    snapmla_accuracy accuracy;
    int32_t q_len;
    double target;
  } cases[] = {{SNAPMLA_ACCURACY_FAST, 0, 3}, {SNAPMLA_ACCURACY_FAST, 2, 0}, {SNAPMLA_ACCURACY_MAX, 0, 0}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    shape_list list = {{{.batch = 1, .heads = 16, .tokens = 65, .q_len = 1, .target_us = 3}}, 1};
    snapmla_problem problem;
    shapes_choose(&list, SNAPMLA_KV_FP8_TOKEN, cases[i].accuracy, cases[i].q_len);
    assert_float_equal(list.at[0].target_us, cases[i].target, 1e-12);
    assert_int_equal(shape_problem(&list.at[0], &problem), SNAPMLA_OK);
    assert_int_equal(problem.accuracy, cases[i].accuracy);
    assert_int_equal(problem.q_len, cases[i].q_len ? cases[i].q_len : 1);
  }
  assert_int_equal(shape_q_len_read("8"), 8);
  assert_int_equal(shape_q_len_read("128"), 128);
  static const char *const wrong[] = {"0", "129", "", "4x", "-1", "+1", "99999999999999999999"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) assert_int_equal(shape_q_len_read(wrong[i]), 0);
}

static void a_spread_has_no_targets(void **state) {
  (void)state;
  shape_list list = {{{.batch = 1, .heads = 16, .tokens = 65, .q_len = 1, .target_us = 3, .stretch_us = 2}}, 1};
  shapes_spread(&list, shape_sigma_read("2.5"));
  assert_float_equal(list.at[0].sigma, 2.5, 1e-6);
  assert_float_equal(list.at[0].target_us + list.at[0].stretch_us, 0, 1e-12);
  assert_float_equal(shape_sigma_read("0.1"), 0.1, 1e-6);
  assert_float_equal(shape_sigma_read("16"), 16, 1e-6);
  static const char *const wrong[] = {"0", "16.1", "", "1x", "-1", "nan", "inf"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) assert_float_equal(shape_sigma_read(wrong[i]), 0, 1e-12);
}

/* Writes `text` to a file of its own, whose name it returns. */
static char *file_of(const char *text) {
  static char path[] = "/tmp/snapmla-bench-XXXXXX";
  memcpy(path + sizeof path - 7, "XXXXXX", 6);
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
  close(fd);
  return path;
}

static void ceilings_are_the_best_of_their_group(void **state) {
  (void)state;
  ceilings c;
  char *path = file_of(
      "# device: x\ngroup,variant,median,p90\n"
      "read,\"r:stages=2,cluster=1\",3930,1\nread,\"r:stages=3,cluster=1\",4530,1\nread,\"r:stages=3,cluster=2\",9999,"
      "1\n"
      "cold,\"r:stages=3,cluster=1\",8888,1\nwgmma,\"w:kind=e4m3,n=8\",783,1\nwgmma,\"w:kind=e4m3,n=256\",1690,1\n"
      "wgmma,\"w:kind=bf16,n=64\",870,1\n");
  assert_int_equal(ceilings_read(&c, path), SNAPMLA_OK);
  unlink(path);
  assert_float_equal(c.gb_per_s, 4530, 1e-9);
  assert_float_equal(c.fp8_tflops, 1690, 1e-9);
  assert_float_equal(c.bf16_tflops, 870, 1e-9);
  path = file_of("group,variant,median,p90\nread,\"r:stages=2,cluster=1\",3930,1\nrubbish\n");
  assert_int_equal(ceilings_read(&c, path), SNAPMLA_INVALID_ARGUMENT);
  unlink(path);
  assert_int_equal(ceilings_read(&c, path), SNAPMLA_IO);
}

static void bad_targets_are_told_by_line(void **state) {
  (void)state;
  shape_list list = {.count = 0};
  char *path = file_of("batch,heads,tokens,top,target_us,stretch_us\n1,2,3,0,4,5\n1,2\n");
  assert_int_equal(shapes_read(&list, path), SNAPMLA_INVALID_ARGUMENT);
  assert_non_null(strstr(snapmla_error_message(), ":3:"));
  unlink(path);
}

static void datasheets_are_found_by_name(void **state) {
  (void)state;
  assert_float_equal(bench_datasheet_of("NVIDIA H200")->gb_per_s, 4800, 1e-9);
  assert_float_equal(bench_datasheet_of("NVIDIA H200 NVL")->fp8_tflops, 1671, 1e-9);
  assert_float_equal(bench_datasheet_of("NVIDIA H100 80GB HBM3")->gb_per_s, 3350, 1e-9);
  assert_float_equal(bench_datasheet_of("NVIDIA H100 PCIe")->gb_per_s, 2000, 1e-9);
  assert_null(bench_datasheet_of("emulated Hopper"));
}

static void a_clock_is_cycles_over_nanoseconds(void **state) {
  (void)state;
  smla_device gpu = {.is_emulator = 0}, emulator = {.is_emulator = 1};
  const uint64_t clocks[] = {39600, 20000, 0, 35100, 20000, 0, 1000, 1000, 0}; /* a third word of something else */
  assert_float_equal(bench_mhz(&(bench){.device = &gpu}, clocks, 1, 3), 1980, 1e-9);
  assert_float_equal(bench_mhz(&(bench){.device = &gpu}, clocks, 3, 3), 1755, 1e-9); /* the median */
  assert_true(isnan(bench_mhz(&(bench){.device = &emulator}, clocks, 3, 3)));
  double values[] = {1, 2};
  assert_true(isnan(bench_summary(values, 2).mhz));
}

/* What a program would read from these words (NULL ends them), and BENCH_GO_ON or its exit status. */
static int command_of(bench_command *c, const char **own_value, const char *const *words) {
  static char copies[6][16]; /* what is read points there */
  char *argv[7] = {"program"};
  int argc = 1;
  for (; words[argc - 1]; argc++) argv[argc] = memcpy(copies[argc - 1], words[argc - 1], strlen(words[argc - 1]) + 1);
  const bench_option own[] = {{"--shape", own_value}};
  *c = (bench_command){.program = "program", .help = "", .options = own, .option_count = 1, .device = "cuda:0"};
  *own_value = NULL;
  int status = bench_command_read(c, argc, argv);
  c->options = NULL;
  return status;
}

static void a_command_line_is_read_alike_by_all(void **state) {
  (void)state;
  bench_command c;
  const char *own_value;
  assert_int_equal(command_of(&c, &own_value, (const char *[]){NULL}), BENCH_GO_ON);
  assert_string_equal(c.device, "cuda:0");
  assert_int_equal(c.repeats, 21);
  assert_null(c.variant);
  assert_int_equal(command_of(&c, &own_value, (const char *[]){"--small", NULL}), BENCH_GO_ON);
  assert_int_equal(c.repeats, 2);
  assert_true(c.small);
  assert_int_equal(command_of(&c, &own_value, (const char *[]){"--repeat", "1000", "--shape", "1,2,3", NULL}),
                   BENCH_GO_ON);
  assert_int_equal(c.repeats, 1000);
  assert_non_null(own_value);
  assert_int_equal(command_of(&c, &own_value, (const char *[]){"--repeat", "1001", NULL}), BENCH_USAGE);
  assert_int_equal(command_of(&c, &own_value, (const char *[]){"--repeat", "0", NULL}), BENCH_USAGE);
  assert_int_equal(command_of(&c, &own_value, (const char *[]){"--shapes", "1", NULL}), BENCH_USAGE);
  assert_int_equal(command_of(&c, &own_value, (const char *[]){"--small", "--shape", NULL}), BENCH_USAGE);
}

static void a_rest_is_read_with_decimals(void **state) {
  (void)state;
  static const char *const wrong[] = {"-1", "100.1", "", "3x", "nan", "inf", "much"};
  bench_command c;
  const char *own_value;
  assert_int_equal(command_of(&c, &own_value, (const char *[]){NULL}), BENCH_GO_ON);
  assert_float_equal(c.rest, 3, 1e-12);
  assert_int_equal(command_of(&c, &own_value, (const char *[]){"--small", NULL}), BENCH_GO_ON);
  assert_float_equal(c.rest, 0, 1e-12);
  assert_int_equal(command_of(&c, &own_value, (const char *[]){"--rest", "0", NULL}), BENCH_GO_ON);
  assert_float_equal(c.rest, 0, 1e-12);
  assert_int_equal(command_of(&c, &own_value, (const char *[]){"--rest", "100", NULL}), BENCH_GO_ON);
  assert_float_equal(c.rest, 100, 1e-12);
  assert_int_equal(command_of(&c, &own_value, (const char *[]){"--rest", "0.5", "--small", NULL}), BENCH_GO_ON);
  assert_float_equal(c.rest, 0.5, 1e-12);
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    assert_int_equal(command_of(&c, &own_value, (const char *[]){"--rest", wrong[i], NULL}), BENCH_USAGE);
  assert_int_equal(command_of(&c, &own_value, (const char *[]){"--rest", NULL}), BENCH_USAGE);
}

/* What bench_time did: f, a flush; r, a run; -, a rest. */
static struct {
  char done[32];
  double least; /* seconds of the shortest rest */
} watched;

static void watch(char what) {
  const size_t length = strlen(watched.done);
  assert_true(length + 1 < sizeof watched.done);
  watched.done[length] = what;
}

int __real_nanosleep(const struct timespec *t, struct timespec *left);
int __wrap_nanosleep(const struct timespec *t, struct timespec *left);

/* A rest takes no time here. */
int __wrap_nanosleep(const struct timespec *t, struct timespec *left) {
  const double seconds = (double)t->tv_sec + 1e-9 * (double)t->tv_nsec;
  (void)left;
  watch('-');
  if (seconds < watched.least) watched.least = seconds;
  return 0;
}

static void take_two_milliseconds(void) { assert_int_equal(__real_nanosleep(&(struct timespec){0, 2000000}, NULL), 0); }

static snapmla_status flush(void *user) {
  (void)user;
  watch('f');
  take_two_milliseconds();
  return SNAPMLA_OK;
}

static snapmla_status timed(void *user) {
  const snapmla_status *result = user;
  watch('r');
  take_two_milliseconds();
  return *result;
}

static void rests_are_between_runs(void **state) {
  (void)state;
  bench b = {.small = 1, .warmups = 1, .repeats = 3, .rest = 2};
  bench_times times;
  snapmla_status result = SNAPMLA_OK;
  assert_int_equal(bench_open(&b, "emulator", NULL), SNAPMLA_OK);
  assert_float_equal(b.rest, 0, 1e-12); /* there is nothing to let rest */
  memset(&watched, 0, sizeof watched);
  assert_int_equal(bench_time(&b, flush, timed, &result, &times), SNAPMLA_OK);
  assert_string_equal(watched.done, "frfrfrfr");
  b.rest = 2;
  memset(&watched, 0, sizeof watched);
  watched.least = INFINITY;
  assert_int_equal(bench_time(&b, flush, timed, &result, &times), SNAPMLA_OK);
  assert_string_equal(watched.done, "fr-fr-fr-fr");
  assert_true(watched.least >= 2 * 0.004); /* flush and run */
  memset(&watched, 0, sizeof watched);
  result = SNAPMLA_DEVICE;
  assert_int_equal(bench_time(&b, flush, timed, &result, &times), SNAPMLA_DEVICE);
  assert_string_equal(watched.done, "fr");
  bench_close(&b);
}

/* The line of the head that tells of runs. */
static void runs_told(const bench *b, char line[128]) {
  char *argv[] = {"program"};
  FILE *file = tmpfile();
  assert_non_null(file);
  bench_print_header(file, b, 1, argv);
  rewind(file);
  while (fgets(line, 128, file) && strncmp(line, "# runs: ", 8)) continue;
  fclose(file);
}

static void the_head_tells_of_rests(void **state) {
  (void)state;
  char line[128];
  bench b = {.small = 1, .warmups = 3, .repeats = 21};
  assert_int_equal(bench_open(&b, "emulator", NULL), SNAPMLA_OK);
  runs_told(&b, line);
  assert_string_equal(line, "# runs: 21, after 3 unseen\n");
  b.rest = 2.5;
  runs_told(&b, line);
  assert_string_equal(line, "# runs: 21, after 3 unseen, each after a rest of 2.5 times as long\n");
  bench_close(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(summaries_are_quantiles),
      cmocka_unit_test(the_targets_are_fourteen),
      cmocka_unit_test(a_shape_is_read_whole),
      cmocka_unit_test(a_shape_is_counted),
      cmocka_unit_test(query_tokens_are_counted_causally),
      cmocka_unit_test(shapes_of_several_query_tokens_are_problems),
      cmocka_unit_test(targets_are_of_one_token_and_the_fast_level),
      cmocka_unit_test(a_spread_has_no_targets),
      cmocka_unit_test(ceilings_are_the_best_of_their_group),
      cmocka_unit_test(bad_targets_are_told_by_line),
      cmocka_unit_test(datasheets_are_found_by_name),
      cmocka_unit_test(a_clock_is_cycles_over_nanoseconds),
      cmocka_unit_test(a_command_line_is_read_alike_by_all),
      cmocka_unit_test(a_rest_is_read_with_decimals),
      cmocka_unit_test(rests_are_between_runs),
      cmocka_unit_test(the_head_tells_of_rests),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
