/* The schedule kernel on the emulator against its rule, stated here anew: shares of floor(u * total / busy) tiles. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <snapmla/snapmla.h>

#include "common/records.h"

#define must(call)                                                       \
  do {                                                                   \
    snapmla_status must_status = (call);                                 \
    if (must_status) fail_msg("%s: %s", #call, snapmla_error_message()); \
  } while (0)

enum { page_tokens = 64, status_bytes = 256, max_batch = 700 };

typedef struct rig {
  snapmla_context *context;
  snapmla_plan *plan;
  snapmla_buffer *workspace, *seqlens;
  int32_t units;
} rig;

static rig open_rig(int32_t sms) {
  rig r = {.units = sms};
  snapmla_context_options options = {.size = sizeof options, .device = "emulator", .emulator_sms = sms};
  must(snapmla_context_create(&options, &r.context));
  snapmla_problem problem;
  snapmla_problem_init(&problem);
  problem.heads = 16;
  problem.latent_rank = 256;
  problem.max_batch = max_batch;
  problem.max_context = 4096;
  must(snapmla_plan_create(r.context, &problem, NULL, &r.plan));
  must(snapmla_buffer_create(r.context, snapmla_plan_workspace_bytes(r.plan), &r.workspace));
  must(snapmla_buffer_create(r.context, max_batch * sizeof(int32_t), &r.seqlens));
  return r;
}

static void close_rig(rig *r) {
  snapmla_buffer_destroy(r->workspace);
  snapmla_buffer_destroy(r->seqlens);
  snapmla_plan_destroy(r->plan);
  snapmla_context_destroy(r->context);
}

static int32_t tiles_of(int32_t tokens) { return (tokens + 63) / 64; }

/* Schedules, then holds every record against the rule. Returns the status word. */
static uint32_t check(rig *r, const int32_t *lengths, int32_t batch, int32_t table_pages) {
  must(snapmla_buffer_write(r->seqlens, 0, lengths, (size_t)batch * sizeof *lengths));
  snapmla_decode_args args = {
      .size = sizeof args, .batch = batch, .block_table_stride = table_pages, .softmax_scale = 1.0f};
  args.seqlens = snapmla_buffer_pointer(r->seqlens);
  args.workspace = snapmla_buffer_pointer(r->workspace);
  args.workspace_bytes = snapmla_buffer_bytes(r->workspace);
  must(snapmla_plan_schedule(r->plan, &args));

  size_t requests_bytes = (max_batch * sizeof(struct smla_request) + 255) / 256 * 256;
  struct smla_request *requests = calloc(max_batch, sizeof *requests);
  struct smla_unit *units = calloc((size_t)r->units, sizeof *units);
  uint32_t status;
  must(snapmla_buffer_read(r->workspace, 0, &status, sizeof status));
  must(snapmla_buffer_read(r->workspace, status_bytes, requests, (size_t)batch * sizeof *requests));
  must(snapmla_buffer_read(r->workspace, status_bytes + requests_bytes, units, (size_t)r->units * sizeof *units));

  int64_t total = 0, longest = (int64_t)table_pages * page_tokens < 4096 ? (int64_t)table_pages * page_tokens : 4096;
  int64_t *begin = calloc((size_t)batch + 1, sizeof *begin);
  for (int32_t b = 0; b < batch; ++b) {
    int bad = lengths[b] < 0 || lengths[b] > longest;
    begin[b] = total;
    total += bad ? 0 : (lengths[b] + 63) / 64;
    assert_int_equal(requests[b].tokens, bad ? 0 : lengths[b]);
    if (bad)
      assert_int_equal(requests[b].pieces, -1);
    else if (!lengths[b])
      assert_int_equal(requests[b].pieces, 0);
  }
  begin[batch] = total;

  int64_t busy = total / 2 < r->units ? total / 2 : r->units;
  if (busy < 1) busy = 1;
  int32_t *pieces = calloc((size_t)batch + 1, sizeof *pieces);
  int64_t covered = 0;
  for (int32_t u = 0; u < r->units; ++u) {
    if (u >= busy || !total) {
      assert_int_equal(units[u].last_request, -1);
      continue;
    }
    int64_t first = begin[units[u].first_request] + units[u].first_tile,
            end = begin[units[u].last_request] + units[u].end_tile;
    assert_int_equal(first, u * total / busy);
    assert_int_equal(end, (u + 1) * total / busy);
    assert_int_equal(first, covered);
    assert_true(units[u].first_tile < tiles_of(requests[units[u].first_request].tokens));
    assert_true(units[u].end_tile > 0 && units[u].end_tile <= tiles_of(requests[units[u].last_request].tokens));
    covered = end;
    for (int32_t b = units[u].first_request; b <= units[u].last_request; ++b)
      if (requests[b].tokens) {
        if (!pieces[b]) assert_int_equal(requests[b].first_unit, u);
        assert_int_equal(requests[b].first_unit + pieces[b], u);
        ++pieces[b];
      }
  }
  assert_int_equal(covered, total);
  int32_t slots = 0;
  for (int32_t b = 0; b < batch; ++b) {
    if (requests[b].tokens) assert_int_equal(requests[b].pieces, pieces[b]);
    if (requests[b].pieces > 1) {
      assert_int_equal(requests[b].first_slot, slots);
      slots += requests[b].pieces;
    }
  }
  assert_true(slots <= 2 * r->units);
  free(requests), free(units), free(begin), free(pieces);
  return status;
}

static void shares(void **state) {
  (void)state;
  const int32_t sms[] = {1, 7, 132};
  for (int i = 0; i < 3; ++i) {
    rig r = open_rig(sms[i]);
    int32_t lengths[max_batch];
    for (int32_t batch = 1; batch <= max_batch; batch = batch * 3 + 1) {
      for (int32_t b = 0; b < batch; ++b) lengths[b] = b % 5 == 0 ? 0 : (b * 7919 + batch) % 4097;
      assert_int_equal(check(&r, lengths, batch, 64), 0);
    }
    const int32_t one[] = {1}, none[] = {0, 0, 0}, all[] = {4096};
    assert_int_equal(check(&r, one, 1, 64), 0);
    assert_int_equal(check(&r, none, 3, 64), 0);
    assert_int_equal(check(&r, all, 1, 64), 0);
    close_rig(&r);
  }
}

static void bad_lengths(void **state) {
  (void)state;
  rig r = open_rig(16);
  const int32_t lengths[] = {100, -1, 200, 4097, 0x7fffffff, -0x7fffffff - 1, 64};
  assert_int_equal(check(&r, lengths, 7, 64), SNAPMLA_STATUS_BAD_LENGTH);
  const int32_t longer_than_table[] = {128, 129};
  assert_int_equal(check(&r, longer_than_table, 2, 2), SNAPMLA_STATUS_BAD_LENGTH);
  const int32_t good[] = {5};
  assert_int_equal(check(&r, good, 1, 64), 0); /* the next schedule clears the word */
  close_rig(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(shares), cmocka_unit_test(bad_lengths)};
  return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
