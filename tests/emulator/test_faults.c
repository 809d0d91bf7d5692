/* Every fault that docs/emulator.md claims, planted: its kind, line and threads, under each completion order. */
#include <stdio.h>
#include <string.h>

#include "cmocka_all.h"
#include "kernel_object.h"

enum { BYTES = 65536 };
static _Alignas(64) unsigned char in[BYTES], out[BYTES];

/* Expected of the report: "<file>:<line of tag>: <kind>: ", `text`, and where `other` is not NULL "<file>:<line of other>". With
 * `either`, the report may open with one or the other: it depends on who comes first. */
typedef struct planted {
  const char *tag, *kind, *text, *other;
  uint32_t cluster; /* also the grid; 0: one block */
  uint32_t threads; /* 0: the file's own number */
  int either;       /* of tag and other */
} planted;

static void check(const kernel_object *kernel, const char *name, uint32_t which, const planted *fault,
                  uint32_t threads) {
  for (int order = SNAPMLA_EMULATOR_EAGER; order <= SNAPMLA_EMULATOR_RANDOM; order++)
    for (uint64_t seed = 1; seed <= (order == SNAPMLA_EMULATOR_RANDOM ? 3 : 1); seed++) {
      kernel_run run = {.order = (snapmla_emulator_order)order,
                        .seed = seed,
                        .host_threads = 1,
                        .which = which,
                        .in = in,
                        .in_bytes = BYTES,
                        .out = out,
                        .out_bytes = BYTES,
                        .threads = fault->threads ? fault->threads : threads,
                        .cluster = fault->cluster};
      char expected[160];
      run.grid[0] = fault->cluster;
      const snapmla_status status = kernel_object_run(kernel, &run);
      if (status != SNAPMLA_EMULATOR_FAULT) fail_msg("case %u (%s), order %d: no fault", which, fault->tag, order);
      snprintf(expected, sizeof expected, "%s.cc:%d: %s: ", name, kernel_object_line(kernel, fault->tag), fault->kind);
      int found = strstr(run.report, expected) != NULL;
      if (!found && fault->either) {
        snprintf(expected, sizeof expected, "%s.cc:%d: %s: ", name, kernel_object_line(kernel, fault->other),
                 fault->kind);
        found = strstr(run.report, expected) != NULL;
      }
      if (!found)
        fail_msg("case %u (%s), order %d: expected '%s' in\n%s", which, fault->tag, order, expected, run.report);
      if (!strstr(run.report, fault->text))
        fail_msg("case %u (%s), order %d: expected '%s' in\n%s", which, fault->tag, order, fault->text, run.report);
      if (fault->other && !fault->either) {
        snprintf(expected, sizeof expected, "%s.cc:%d", name, kernel_object_line(kernel, fault->other));
        if (!strstr(run.report, expected))
          fail_msg("case %u (%s), order %d: expected '%s' in\n%s", which, fault->tag, order, expected, run.report);
      }
      assert_non_null(strstr(snapmla_error_message(), "kernel test: faults_"));
    }
}

static void check_all(const char *name, const planted *faults, uint32_t count, uint32_t threads) {
  kernel_object kernel = kernel_object_load(name);
  for (uint32_t i = 0; i < count; i++) check(&kernel, name, i, faults + i, threads);
  kernel_object_unload(&kernel);
}

#define COUNT(array) (uint32_t)(sizeof(array) / sizeof *(array))

static void test_memory(void **state) {
  (void)state;
  static const planted faults[] = {
      [0] = {"uninitialised", "uninitialised read",
             "thread 5 (warp 0, lane 5) of block 0 reads 8 bytes at shared offset 512"},
      [1] = {"load_bounds", "shared memory out of bounds",
             "thread 33 (warp 1, lane 1) of block 0 covers bytes 49152 to 49155"},
      [2] = {"misaligned", "misaligned access", "thread 33 (warp 1, lane 1) of block 0 at shared offset 2"},
      [3] = {"read_in_flight", "copy in flight", "thread 40 (warp 1, lane 8) of block 0 reads", "copy_issued"},
      [4] = {"write_in_flight", "copy in flight", "thread 0 (warp 0, lane 0) of block 0 writes", "copy_issued_2"},
      [5] = {"copy_over_copy", "copy in flight", "thread 0 (warp 0, lane 0) of block 0 copies over", "copy_issued_3"},
      [6] = {"store_over_operand", "overwritten while still read", "thread 70 (warp 2, lane 6) of block 0 writes",
             "wgmma_reads"},
      [7] = {"copy_over_operand", "overwritten while still read", "operand A, row 8", "wgmma_reads_2"},
      [8] = {"overwrite_store", "overwritten while still read", "by thread 64 (warp 2, lane 0)", "store_reads"},
      [9] = {"unfenced", "no proxy fence", "which thread 77 (warp 2, lane 13) of block 0 wrote", "unfenced_store"},
      [10] = {"unfenced_bulk", "no proxy fence",
              "thread 0 (warp 0, lane 0) of block 0 stores with bulk_store shared offset"},
      [11] = {"operand_in_flight", "copy in flight", "reads as wgmma operand A 16 bytes at shared offset 0",
              "copy_issued_4"},
      [12] = {"operand_uninitialised", "uninitialised read", "reads as wgmma operand A 16 bytes at shared offset 0"},
      [13] = {"global_bounds", "global memory out of bounds", "which is byte 65536 of the nearest buffer"},
      [14] = {"global_misaligned", "misaligned access", "thread 9 (warp 0, lane 9) of block 0"},
      [15] = {"read_only", "write to read-only memory", "writes byte 0 of the read-only buffer"},
      [16] = {"copy_size", "illegal copy", "24 bytes"},
      [17] = {"copy_alignment", "misaligned access", "at shared offset 8"},
      [18] = {"copy_bounds", "shared memory out of bounds", "covers bytes 49136 to 49167"},
      [19] = {"copy_global_bounds", "global memory out of bounds", "byte 65520"},
      [20] = {"copy_init_unfenced", "no proxy fence", "without an mbarrier_init_fence", "init"},
      [21] = {"copy_unfinished", "unfinished work at exit", "no thread has waited for the bulk copy of thread 0"},
      [22] = {"store_unfinished", "unfinished work at exit", "exits without a bulk_store_wait"},
      [23] = {"barrier_overwritten", "barrier memory", "thread 4 (warp 0, lane 4) of block 0 writes"},
      [24] = {"offset_bounds", "shared memory out of bounds", "names shared offset 49153"},
      [25] = {"prefetch", "illegal copy", "thread 31 (warp 0, lane 31) of block 0: 64 bytes"},
      [26] = {"bulk_store_bounds", "global memory out of bounds", "byte 65520"},
      [27] = {"ldmatrix_alignment", "misaligned access", "thread 38 (warp 1, lane 6) of block 0 at shared offset 8"},
      [28] = {"released_early", "copy in flight", "(warp 1, lane", "refill"},
      [29] = {"copy_over_store", "no proxy fence", "which thread 90 (warp 2, lane 26) of block 0 wrote",
              "store_before_copy"},
      [30] = {"read_thread_copy", "copy in flight",
              "thread 40 (warp 1, lane 8) of block 0 reads 4 bytes at shared offset 28 before any wait for the "
              "thread_copy",
              "thread_copy"},
      [31] = {"copied_unfenced", "no proxy fence", "which the thread_copy of", "piece"},
      [32] = {"copied_fenced_early", "no proxy fence", "first a thread that waited for it must fence_async_proxy",
              "piece"},
      [33] = {"thread_copy_over_operand", "overwritten while still read",
              "thread 6 (warp 0, lane 6) of block 0 copies over", "wgmma_reads_3"},
      [34] = {"never_told", "unfinished work at exit", "thread 7 (warp 0, lane 7) of block 0 exits without"},
      [35] = {"never_waited", "unfinished work at exit", "no thread has waited for the thread copies of thread 9"},
      [36] = {"thread_copy_alignment", "misaligned access", "must be aligned to 16 bytes"},
      [37] = {"thread_copy_bounds", "global memory out of bounds", "which is byte 65536 of the nearest buffer"},
      [39] = {"told_no_barrier", "barrier memory", "thread 1 (warp 0, lane 1) of block 0 at shared offset 40960"},
      [40] = {"copied_over", "copy in flight", "thread 1 (warp 0, lane 1) of block 0 copies over 4 bytes",
              "copied_first"},
      [41] = {"thread_copy_barrier", "barrier memory", "thread 1 (warp 0, lane 1) of block 0 copies over"},
      [38] = {"fenced_by_another", "no proxy fence", "which the thread_copy of", "piece"},
      [42] = {"fenced_elsewhere", "no proxy fence", "and this one wait for that", "piece", 0, 256},
  };
  check_all("faults_memory", faults, COUNT(faults), 128);
}

static void test_barriers(void **state) {
  (void)state;
  static const planted faults[] = {
      [0] = {"never_arrives", "deadlock", "threads 96-127 of block 0 wait at "},
      [1] = {"too_many", "barrier count", "mbarrier_arrive of thread 0 (warp 0, lane 0) of block 0 is one too many"},
      [2] = {"more_bytes", "barrier count", "but 32 bytes more than it expected", "more_bytes_eager", 0, 0, 1},
      [3] = {"bytes_overflow", "barrier count", "has 1048576 bytes outstanding"},
      [4] = {"init_again", "barrier memory", "initialises the barrier at shared offset 40960", "init"},
      [5] = {"no_init", "barrier memory", "thread 6 (warp 0, lane 6) of block 0 at shared offset 40960"},
      [6] = {"waits_again", "parity aliasing", "thread 64 (warp 2, lane 0) of block 0 waits for parity 0"},
      [7] = {"missed", "parity aliasing", "thread 64 (warp 2, lane 0) of block 0 waits for phase -1 (parity 1)"},
      [8] = {"lapped", "parity aliasing", "thread 100 (warp 3, lane 4) of block 0 waits for phase 0 (parity 0)"},
      [9] = {"dealt", "parity aliasing", "(warp "},
      [10] = {"count", "barrier count", "threads at barrier 1, where others expect", "count_other", 0, 0, 1},
      [11] = {"missing_warp", "deadlock", "threads 0-95 of block 0 wait at "},
      [12] = {"barrier_id", "barrier count", "names barrier 16"},
      [13] = {"part_of_warp", "collective call by part of a warp", "lanes 0x0000ffff of warp 1"},
      [14] = {"arrives_twice", "barrier count", "arrives twice at barrier 4"},
      [16] = {"sync_after_exit", "collective call by part of a warp", "lanes 0x00000008 have exited"},
      [17] = {"half_shuffle", "collective call by part of a warp", "shuffle_xor needs all lanes of warp 2 of block 0"},
      [15] = {"sync_of_some", "deadlock", "threads 128-159 of block 0 wait at ", "sync_of_others", 0, 0, 1},
      [18] = {"upper_shuffle", "collective call by part of a warp", "of warp 2 of block 0 call shuffle_xor at ",
              "lower_shuffle", 0, 0, 1},
      [19] = {"one_lane_elsewhere", "deadlock", "threads 160-163,165-191 of block 0 wait at ", "rest_of_warp"},
      [20] = {"ldmatrix_part", "collective call by part of a warp", "of which lanes 0x00000200 have exited"},
      [21] = {"raise_too_far", "deadlock", "threads 0-127 of block 0 wait", NULL, 0, 512},
      [22] = {"lower_first", "register count", "a whole warpgroup must ask for the same", "lower_other", 0, 0, 1},
      [23] = {"lower_up", "register count", "which holds 128", NULL, 0, 512},
      [24] = {"remote_exited", "block has exited", "all of whose threads have exited", NULL, 2},
      [25] = {"cluster_waits", "deadlock", "threads 0-255 of block 1 wait at ", "never_arrives_cluster", 2},
      [26] = {"endless", "no progress", "thread 200 (warp 6, lane 8) of block 0"},
      [27] = {"endless_test", "no progress", "thread 200 (warp 6, lane 8) of block 0 tests a barrier"},
      [28] = {"no_such_rank", "shared memory out of bounds", "names rank 2 in a cluster of 1"},
      [29] = {"four", "uninitialised read", "at shared offset 64", "fifth"},
      [30] = {"one_lane_agrees", "collective call by part of a warp", "lane 3 of warp "},
      [31] = {"upper_lanes_agree", "collective call by part of a warp", "calls warp_index or warpgroup_index"},
      [32] = {"without_lane_0", "collective call by part of a warp", "lane 1 of warp 5 of block 0 calls warp_index"},
      [33] = {"agrees_at_exit", "collective call by part of a warp", "lane 31 of warp 7 of block 0 calls warp_index"},
  };
  check_all("faults_barriers", faults, COUNT(faults), 256);
}

static void test_tensor(void **state) {
  (void)state;
  static const planted faults[] = {
      [0] = {"reads_early", "accumulator pending", "thread 17 (warp 0, lane 17) of block 0 uses accumulator 3",
             "issued"},
      [1] = {"not_committed", "accumulator pending", "thread 17 (warp 0, lane 17) of block 0 uses accumulator 3",
             "issued_1"},
      [2] = {"other_group", "accumulator pending", "thread 99 (warp 3, lane 3) of block 0 uses accumulator 31",
             "issued_2"},
      [3] = {"changed", "A fragment changed", "thread 60 (warp 1, lane 28) of block 0 changed its A fragment"},
      [4] = {"no_fence", "no wgmma_fence", "accumulates into registers that it accessed"},
      [5] = {"other_type", "no wgmma_fence", "another shape or type"},
      [6] = {"start_row", "illegal descriptor", "row 1 of a swizzle pattern"},
      [7] = {"operand_bounds", "illegal descriptor", "covers shared offsets 43008 to 51199"},
      [8] = {"past_row", "illegal descriptor", "starts at byte 112 of a 128-byte row"},
      [9] = {"not_uniform", "illegal descriptor", "must be uniform over the warpgroup"},
      [10] = {"no_swizzle", "illegal descriptor", "only K-major operands with the 128-byte swizzle"},
      [11] = {"dies", "accumulator pending", "end their life before a wgmma_wait"},
      [12] = {"element", "accumulator pending", "uses element 32 of a frag<32>"},
      [13] = {"part_of_group", "collective call by part of a warp", "0 wgmma"},
      [14] = {"part_waits", "collective call by part of a warp", "threads 31 of block 0 wait"},
      [15] = {"first_place", "collective call by part of a warp", "as operation 0 of its warpgroup", "second_place", 0,
              0, 1},
      [16] = {"descriptor_alignment", "illegal descriptor", "at shared offset 8"},
      [17] = {"descriptor_stride", "illegal descriptor", "stride 512"},
      [18] = {"advance", "illegal descriptor", "by 8 bytes"},
      [19] = {"read_without_fence", "no wgmma_fence", "accumulates into registers that it accessed"},
      [20] = {"empty_accumulators", "uninitialised read", "of block 0 accumulates into registers that nothing wrote"},
      [21] = {"past_narrow_row", "illegal descriptor", "starts at byte 48 of a 64-byte row"},
      [22] = {"narrow_start_row", "illegal descriptor",
              "row 2 of a swizzle pattern: an operand starts in the first row of a 512"},
      [23] = {"not_by_columns", "illegal descriptor", "make it by wgmma_descriptor_columns"},
      [24] = {"columns_start", "illegal descriptor", "8 k steps of 128 bytes start at a multiple of 1024"},
      [25] = {"columns_bounds", "illegal descriptor",
              "by columns, covers shared offsets 0 to 66559 (128 columns, 64512 bytes"},
      [26] = {"columns_stride", "illegal descriptor", "between 64 columns and the next a multiple of 1024"},
  };
  check_all("faults_tensor", faults, COUNT(faults), 256);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_memory), cmocka_unit_test(test_barriers),
                                     cmocka_unit_test(test_tensor)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
