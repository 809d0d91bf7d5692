/* The cost model against what was measured and against its own limits; its calibration; statistics. */
#include <math.h>
#include <string.h>

#include "cmocka_all.h"

#include "calibration.h"
#include "cost_model.h"
#include "statistics.h"

/* fp8_token, latent 512, RoPE 64: the numbers that mla_decode's space derives. */
static smla_cost cost_of(const char *machine, double batch, double heads, double context, double rows, double stages,
                         double tile_cycles) {
  smla_number numbers[] = {
      {"image_bytes", 41216}, {"images_per_tile", 1},       {"latent", 512},    {"rope", 64}, {"rows", rows},
      {"stages", stages},     {"tile_cycles", tile_cycles}, {"tile_tokens", 64}};
  const smla_candidate candidate = {.text = "x", .numbers = numbers, .number_count = 8};
  const smla_work work = {batch, context, heads, 1, 512, 64};
  smla_cost c;
  smla_cost_estimate(smla_machine_find(machine), &work, &candidate, &c);
  return c;
}

static smla_cost cost(const char *machine, double batch, double heads, double context, double rows, double stages) {
  return cost_of(machine, batch, heads, context, rows, stages, 0);
}

static void long_few_heads_read_at_the_bandwidth(void **state) {
  (void)state;
  smla_cost c = cost("h100", 128, 16, 8192, 16, 6);
  assert_string_equal(c.bound, "memory");
  double floor_us = 128 * 8192 * 644.0 / 3088e3;
  assert_true(c.hbm_us > floor_us * 0.99 && c.hbm_us < floor_us * 1.1);
  assert_true(c.total_us < floor_us * 1.15);
}

static void many_rows_are_bound_by_compute(void **state) {
  (void)state;
  smla_cost c = cost("h200", 128, 128, 8192, 64, 4);
  /* 2176 FLOP a row and token, RoPE at the bf16 rate: 184 us is the tensor floor of the targets' table. */
  assert_true(c.tensor_us > 150 && c.tensor_us < 230);
  assert_true(c.shared_us > c.tensor_us);                    /* 1500 cycles of the port to 1152 of the tensor pipe */
  assert_true(c.total_us > c.shared_us && c.total_us < 255); /* below the target of the kernel */
}

/* 64 heads, 64 x 32K on an H100: 516 us by two groups of 32 rows, 478 by one of 64, whose tile takes 2420 cycles to 1840. */
static void steps_that_wait_for_one_another_decide_between_shapes(void **state) {
  (void)state;
  smla_cost many = cost_of("h100", 64, 64, 32768, 64, 4, 2420), few = cost_of("h100", 64, 64, 32768, 32, 4, 1840);
  assert_string_equal(many.bound, "memory");
  assert_string_equal(few.bound, "latency");
  assert_true(few.total_us > 1.03 * many.total_us);
  assert_true(fabs(few.total_us / 516 - 1) < 0.1);
  assert_string_equal(cost_of("h200", 128, 128, 8192, 64, 4, 2420).bound, "latency");
  assert_true(cost_of("emulator", 64, 64, 32768, 64, 4, 2420).latency_us == 0);
}

/* 64 heads, one request of 33,280 tokens on an H100: 27.6 us by runs of 4 tiles of 64 rows, 23.7 by two groups of 32 rows and runs of 8. */
static void the_start_and_end_of_a_run_decide_between_shapes(void **state) {
  (void)state;
  smla_cost long_runs = cost_of("h100", 1, 64, 33280, 32, 4, 1840),
            short_runs = cost_of("h100", 1, 64, 33280, 64, 4, 2420);
  assert_true(short_runs.total_us > 1.08 * long_runs.total_us);
  assert_true(fabs(short_runs.fixed_us - long_runs.fixed_us - 32 * 0.04) < 1e-9); /* the rows more of a block */
}

/* What is read first is computed on only then: two tiles of a run; a ring of two hides less of all. */
static void the_first_tiles_are_not_overlapped(void **state) {
  (void)state;
  smla_cost c = cost_of("h100", 132, 64, 128, 64, 4, 2350), alone = cost_of("h100", 132, 64, 64, 64, 4, 2350);
  assert_true(fabs(c.total_us - c.fixed_us - c.hbm_us - c.latency_us) < 1e-9);
  assert_true(fabs(alone.total_us - alone.fixed_us - alone.hbm_us - alone.latency_us) <
              1e-9); /* nor more than all of it */
  smla_cost longer = cost_of("h100", 132, 64, 64 * 20, 64, 4, 2350),
            two = cost_of("h100", 132, 64, 64 * 20, 64, 2, 2350);
  assert_true(fabs(longer.total_us - longer.fixed_us - longer.hbm_us - 0.1 * longer.latency_us) < 1e-9);
  assert_true(fabs(two.total_us - two.fixed_us - two.hbm_us - 0.2 * two.latency_us) < 1e-9);
  smla_cost emulated = cost_of("emulator", 132, 64, 128, 64, 4, 2350);
  assert_true(emulated.total_us - emulated.fixed_us < emulated.hbm_us + 1e-9);
}

/* Alike cut, one request in 64 pieces and 16 in 4 each: four doublings. */
static void a_merge_takes_longer_of_more_pieces(void **state) {
  (void)state;
  smla_cost one = cost_of("h100", 1, 64, 32768, 32, 4, 1840), many = cost_of("h100", 16, 64, 2048, 32, 4, 1840);
  assert_true(one.splits == 64 && many.splits == 4);
  assert_true(fabs(one.combine_us - many.combine_us - 4 * 0.45) < 1e-9);
}

/* 66 groups of 64 rows are two units of 132 multiprocessors; 68 would be one, of half of them, did its blocks not take turns. */
static void many_groups_take_turns(void **state) {
  (void)state;
  smla_cost even = cost_of("h100", 1, 128 * 33, 65536, 64, 4, 2350),
            odd = cost_of("h100", 1, 128 * 34, 65536, 64, 4, 2350);
  assert_true(odd.total_us > even.total_us && odd.total_us < 1.5 * even.total_us);
  assert_true(odd.splits > 2);
  double turn = 64 * 0.04; /* each has a start and an end: 136 groups have two at least */
  smla_cost twice = cost_of("h100", 1, 64 * 136, 128, 64, 4, 2350),
            once = cost_of("h100", 1, 64 * 132, 128, 64, 4, 2350);
  double outputs = (twice.bytes - once.bytes) / 3088 * 1e-3;
  assert_true(outputs > 0 && fabs(twice.fixed_us - once.fixed_us - turn - outputs) < 1e-9);
  assert_true(once.combine_us == 0 && once.splits == 1); /* one unit cuts nothing */
}

static void one_short_request_is_bound_by_fixed_costs(void **state) {
  (void)state;
  smla_cost c = cost("h100", 1, 16, 256, 16, 6);
  assert_string_equal(c.bound, "fixed costs");
  assert_true(c.total_us < 15);
  assert_true(cost("h100", 1, 16, 131072, 16, 6).total_us > 31.6); /* no less than the cold read of the same bytes */
}

static void more_stages_are_never_slower_and_padding_rows_never_faster(void **state) {
  (void)state;
  double last = INFINITY;
  for (int stages = 2; stages <= 6; stages++) {
    double us = cost("h100", 16, 64, 8192, 64, stages).total_us;
    assert_true(us <= last);
    last = us;
  }
  assert_true(cost("h100", 16, 64, 8192, 64, 2).total_us > last);
  assert_true(cost("h100", 128, 16, 8192, 64, 4).total_us >= cost("h100", 128, 16, 8192, 16, 4).total_us);
}

static void every_rate_speeds_things_up(void **state) {
  (void)state;
  size_t count;
  const smla_machine *machines = smla_machines(&count);
  assert_true(count >= 3);
  for (size_t i = 0; i < count; i++) {
    assert_true(machines[i].hbm_gb_per_s > 0 && machines[i].rates[3].n == 64 && *machines[i].origin);
    assert_ptr_equal(smla_machine_find(machines[i].name), &machines[i]);
  }
  assert_null(smla_machine_find("abacus"));
}

static void facts_choose_and_scale_a_machine(void **state) {
  (void)state;
  smla_device_facts facts = {.compute_major = 9, .multiprocessors = 132, .bus_bits = 5120, .memory_clock_mhz = 2619};
  smla_machine m = smla_machine_of(&facts);
  assert_string_equal(m.name, "h100");
  assert_true(fabs(m.hbm_gb_per_s / 3088 - 1) < 0.01);
  facts = (smla_device_facts){.compute_major = 9, .multiprocessors = 132, .bus_bits = 6144, .memory_clock_mhz = 3201};
  m = smla_machine_of(&facts);
  assert_string_equal(m.name, "h200");
  assert_true(fabs(m.hbm_gb_per_s / 4530 - 1) < 0.01);
  facts.bus_bits = 6016; /* as an H200 says of itself */
  assert_true(smla_machine_of(&facts).hbm_gb_per_s == 4530);
  facts.memory_clock_mhz = 2000;
  assert_true(fabs(smla_machine_of(&facts).hbm_gb_per_s / (0.921 * 6016 / 4 * 2) - 1) < 1e-9);
  facts.memory_clock_mhz = 0; /* as of a class: "bus6016" is an H200's */
  assert_string_equal(smla_machine_of(&facts).name, "h200");
  facts.bus_bits = 5120;
  assert_string_equal(smla_machine_of(&facts).name, "h100");
  facts = (smla_device_facts){.compute_major = 9, .multiprocessors = 66, .bus_bits = 5120, .memory_clock_mhz = 2619};
  assert_true(fabs(smla_machine_of(&facts).e4m3_tflops / 945 - 1) < 0.01);
}

static void measurements_correct_the_model(void **state) {
  (void)state;
  const smla_calibration_sample samples[] = {{10, 20}, {20, 40}, {30, 60}, {10, 15}, {20, 30}, {10, 0}, {NAN, 5}};
  smla_calibration c;
  smla_calibration_fit(NULL, 0, &c);
  assert_true(c.factor == 1 && c.samples == 0 && c.spread == 0);
  smla_calibration_fit(samples, 7, &c);
  assert_int_equal(c.samples, 5);
  assert_true(fabs(c.factor - 2) < 1e-12); /* the median: three of five */
  assert_true(fabs(c.spread - log(2 / 1.5) * sqrt(2.0 / 5)) < 1e-12);
}

static void medians_and_spreads(void **state) {
  (void)state;
  double odd[] = {3, 1, 2}, even[] = {4, 1, 3, 2}, wide[] = {90, 100, 110, 100, 100};
  assert_true(smla_median(odd, 3) == 2 && smla_median(even, 4) == 2.5 && isnan(smla_median(odd, 0)));
  assert_true(smla_spread(wide, 5) == 0);
  double two[] = {90, 110};
  assert_true(fabs(smla_spread(two, 2) - 0.14826) < 1e-9);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(long_few_heads_read_at_the_bandwidth),
      cmocka_unit_test(many_rows_are_bound_by_compute),
      cmocka_unit_test(steps_that_wait_for_one_another_decide_between_shapes),
      cmocka_unit_test(the_start_and_end_of_a_run_decide_between_shapes),
      cmocka_unit_test(the_first_tiles_are_not_overlapped),
      cmocka_unit_test(a_merge_takes_longer_of_more_pieces),
      cmocka_unit_test(many_groups_take_turns),
      cmocka_unit_test(one_short_request_is_bound_by_fixed_costs),
      cmocka_unit_test(more_stages_are_never_slower_and_padding_rows_never_faster),
      cmocka_unit_test(every_rate_speeds_things_up),
      cmocka_unit_test(facts_choose_and_scale_a_machine),
      cmocka_unit_test(measurements_correct_the_model),
      cmocka_unit_test(medians_and_spreads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
