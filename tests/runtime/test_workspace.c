#include "cmocka_all.h"

#include "workspace.h"

/* A query of one term, four blocks that merge on a multiprocessor, and the rest as said. */
#define KERNELS(...) ((smla_workspace_kernels){.query_terms = 1, .merges_at_once = 4, __VA_ARGS__})

static snapmla_problem problem_of(int32_t heads, int32_t q_len, int32_t latent, int32_t batch) {
  snapmla_problem p;
  snapmla_problem_init(&p);
  p.heads = heads;
  p.q_len = q_len;
  p.latent_rank = latent;
  p.max_batch = batch;
  return p;
}

static void counts_groups_and_units(void **state) {
  (void)state;
  static const struct {
    int32_t heads, q_len, sms, group_rows, groups, units;
  } cases[] = {{16, 1, 132, 64, 1, 132},    {64, 1, 132, 64, 1, 132},  {65, 1, 132, 64, 2, 66},
               {128, 1, 132, 64, 2, 66},    {128, 8, 132, 64, 16, 8},  {128, 8, 10, 64, 16, 3},
               {1, 1, 1, 64, 1, 1},         {16, 1, 132, 16, 1, 132},  {20, 1, 132, 8, 3, 44},
               {20, 2, 132, 32, 2, 66},     {128, 33, 132, 64, 66, 2}, {128, 34, 132, 64, 68, 7},
               {128, 128, 132, 64, 256, 1}, {1, 128, 132, 64, 2, 66}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    snapmla_problem p = problem_of(cases[i].heads, cases[i].q_len, 512, 3);
    smla_workspace w;
    assert_int_equal(
        smla_workspace_plan(&p, cases[i].sms, &KERNELS(.group_rows = cases[i].group_rows, .partial_bytes = 4), &w),
        SNAPMLA_OK);
    assert_int_equal(w.rows, cases[i].heads * cases[i].q_len);
    assert_int_equal(w.group_rows, cases[i].group_rows);
    assert_int_equal(w.groups, cases[i].groups);
    assert_int_equal(w.unit_count, cases[i].units);
    assert_int_equal(w.merge_cost, w.groups * w.group_rows);
    assert_int_equal(w.slack, 2 + w.group_rows / 8);
    assert_int_equal(w.min_share, 2);
  }
}

/* 128 heads, latent 512, batch 3, 132 multiprocessors: 2 groups, 66 units. */
static void lays_out_sections(void **state) {
  (void)state;
  snapmla_problem p = problem_of(128, 1, 512, 3);
  smla_workspace w;
  assert_int_equal(smla_workspace_plan(&p, 132, &KERNELS(.group_rows = 64, .partial_bytes = 4), &w), SNAPMLA_OK);
  assert_int_equal(w.status, 0);
  assert_int_equal(w.requests, 256);
  assert_int_equal(w.units, 512);          /* 3 * 16 = 48 bytes of requests */
  assert_int_equal(w.q_image, 512 + 2304); /* 66 * 32 = 2112 bytes of units */
  assert_int_equal(w.q_scale, 2816 + 3 * 2 * 5 * 8192);
  assert_int_equal(w.partial_out, 248576 + 3 * 2 * 64 * 4);
  assert_int_equal(w.partial_lse, 250112 + 132 * 2 * 64 * 512 * 4);
  assert_int_equal(w.merges, 34853120 + 132 * 2 * 64 * 4);
  assert_int_equal(w.merge_shares, 34920704 + 256); /* (3 + 1) * 16 = 64 bytes of merges */
  assert_int_equal(w.bytes, 34920960 + 528 * 32);
}

/* 16 heads, latent 512, batch 3, 132 multiprocessors, 16 rows a block: 1 group, 132 units. */
static void lays_out_sections_of_few_rows(void **state) {
  (void)state;
  snapmla_problem p = problem_of(16, 1, 512, 3);
  smla_workspace w;
  assert_int_equal(smla_workspace_plan(&p, 132, &KERNELS(.group_rows = 16, .partial_bytes = 4), &w), SNAPMLA_OK);
  assert_int_equal(w.q_image, 512 + 4352); /* 132 * 32 = 4224 bytes of units */
  assert_int_equal(w.q_scale, 4864 + 3 * 5 * 16 * 128);
  assert_int_equal(w.partial_out, 35584 + 256); /* 3 * 16 * 4 = 192 bytes of scales */
  assert_int_equal(w.partial_lse, 35840 + 264 * 16 * 512 * 4);
  assert_int_equal(w.merges, 8686592 + 264 * 16 * 4);
  assert_int_equal(w.merge_shares, w.merges + 256);
  assert_int_equal(w.bytes, w.merge_shares + 528 * 32);
}

/* With index lists each query token is a record: 20 heads x 3 tokens, batch 5, 32 rows a block. */
static void lists_are_records(void **state) {
  (void)state;
  snapmla_problem p = problem_of(20, 3, 512, 5);
  smla_workspace w;
  p.max_indices = 100;
  assert_int_equal(smla_workspace_plan(&p, 132, &KERNELS(.group_rows = 32, .partial_bytes = 2), &w), SNAPMLA_OK);
  assert_int_equal(w.records, 3);
  assert_int_equal(w.rows, 20);
  assert_int_equal(w.groups, 1);
  assert_int_equal(w.unit_count, 132);
  assert_int_equal(w.q_scale - w.q_image, 15 * 5 * 32 * 128);
  assert_int_equal(w.partial_lse - w.partial_out, 264 * 32 * 512 * 2);
  p.max_indices = 0;
  assert_int_equal(smla_workspace_plan(&p, 132, &KERNELS(.group_rows = 32, .partial_bytes = 2), &w), SNAPMLA_OK);
  assert_int_equal(w.records, 1);
  assert_int_equal(w.rows, 60);
}

/* A fixed number of pieces: 5 requests of 20 heads, 32 rows a block, up to 8 pieces of 16 tiles or more; of 4096 tokens there are 4. */
static void fixed_pieces_have_slots_of_their_own(void **state) {
  (void)state;
  snapmla_problem p = problem_of(20, 1, 512, 5);
  smla_workspace w;
  p.max_context = 100000;
  assert_int_equal(
      smla_workspace_plan(&p, 132, &KERNELS(.group_rows = 32, .partial_bytes = 2, .most_pieces = 8, .least_piece = 16),
                          &w),
      SNAPMLA_OK);
  assert_int_equal(w.slots, 5 * 8);
  assert_int_equal(w.partial_lse - w.partial_out, 40 * 32 * 512 * 2);
  assert_true(w.merges - w.partial_lse >= 40 * 32 * 4);
  p.max_context = 4096;
  assert_int_equal(smla_workspace_plan(
                       &p, 7, &KERNELS(.group_rows = 32, .partial_bytes = 2, .most_pieces = 8, .least_piece = 16), &w),
                   SNAPMLA_OK);
  assert_int_equal(w.slots, 5 * 4);
  p.max_context = 1 << 20;
  p.max_batch = 4096;
  p.heads = 128;
  assert_int_equal(
      smla_workspace_plan(&p, 132,
                          &KERNELS(.group_rows = 64, .partial_bytes = 4, .most_pieces = 128, .least_piece = 16), &w),
      SNAPMLA_OK);
  assert_int_equal(w.slots, 4096 * 128);
}

/* The largest of all: 4096 requests of 16384 rows have queries of 40 GiB. */
static void sizes_have_64_bits(void **state) {
  (void)state;
  snapmla_problem p = problem_of(128, 128, 512, 4096);
  smla_workspace w;
  assert_int_equal(smla_workspace_plan(&p, 132, &KERNELS(.group_rows = 64, .partial_bytes = 4), &w), SNAPMLA_OK);
  assert_true(w.q_scale - w.q_image == (size_t)4096 * 256 * 5 * 64 * 128);
  assert_true(w.partial_out - w.q_scale == (size_t)4096 * 16384 * 4);
  assert_int_equal(w.slots, 2);
  p.max_context = 1 << 20;
  assert_int_equal(
      smla_workspace_plan(&p, 132,
                          &KERNELS(.group_rows = 64, .partial_bytes = 4, .most_pieces = 128, .least_piece = 16), &w),
      SNAPMLA_OK);
  assert_true(w.partial_lse - w.partial_out == (size_t)4096 * 128 * 16384 * 512 * 4);
}

static void sections_are_aligned_and_apart(void **state) {
  (void)state;
  for (int32_t heads = 1, rows = 8; heads <= 128; heads += 21, rows = rows == 64 ? 8 : 2 * rows) {
    for (int32_t batch = 1; batch <= 4096; batch += 819) {
      snapmla_problem p = problem_of(heads, 3, 256, batch);
      smla_workspace w;
      assert_int_equal(smla_workspace_plan(&p, 78, &KERNELS(.group_rows = rows, .partial_bytes = 4), &w), SNAPMLA_OK);
      const size_t starts[] = {w.status,      w.requests,    w.units,  w.q_image,      w.q_scale,
                               w.partial_out, w.partial_lse, w.merges, w.merge_shares, w.bytes};
      for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        assert_int_equal(starts[i] % SMLA_WORKSPACE_ALIGNMENT, 0);
        assert_true(!i || starts[i] > starts[i - 1]);
      }
      assert_true(w.units - w.requests >= 16u * (size_t)batch);
      assert_true(w.q_image - w.units >= 32u * (size_t)w.unit_count);
      assert_true(w.q_scale - w.q_image == (size_t)batch * (size_t)w.groups * 3 * (size_t)rows * 128);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(counts_groups_and_units),
      cmocka_unit_test(lays_out_sections),
      cmocka_unit_test(lays_out_sections_of_few_rows),
      cmocka_unit_test(lists_are_records),
      cmocka_unit_test(fixed_pieces_have_slots_of_their_own),
      cmocka_unit_test(sizes_have_64_bits),
      cmocka_unit_test(sections_are_aligned_and_apart),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
