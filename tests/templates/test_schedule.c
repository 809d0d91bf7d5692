/* The schedule kernel on the emulator: its runs cover all tiles once, in order, none much longer than an equal share; requests are cut
 * only where that pays; slots are those of the requests that are cut, and merges those of the requests that are cut, empty or bad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <snapmla/snapmla.h>

#include "common/records.h"
#include "cuts_model.h"
#include "plain_cuts.h"
#include "workspace.h"

#define must(call)                                                       \
  do {                                                                   \
    snapmla_status must_status = (call);                                 \
    if (must_status) fail_msg("%s: %s", #call, snapmla_error_message()); \
  } while (0)

enum { page_tokens = 64, max_batch = 700, partial_bytes = 2, most_pieces = 32, least_piece = 16 /* tiles */ };

typedef struct rig {
  snapmla_context *context;
  snapmla_plan *plan;
  snapmla_buffer *workspace, *seqlens;
  smla_workspace at;
  int32_t units, max_context;
  int64_t longest_run; /* of the last schedule, in tiles */
  int32_t used;        /* its units with work */
  int32_t cut, pieces; /* its requests of more than one piece, and the pieces of them all */
  int64_t ends[1024];  /* of its units with work, in the sequence of all tiles */
} rig;

static rig open_rig_up_to(int32_t max_context, int32_t sms, int32_t heads, int32_t q_len, int32_t batch,
                          uint32_t flags) {
  rig r = {.max_context = max_context};
  snapmla_context_options options = {.size = sizeof options, .device = "emulator", .emulator_sms = sms};
  must(snapmla_context_create(&options, &r.context));
  snapmla_problem problem;
  snapmla_problem_init(&problem);
  problem.heads = heads;
  problem.q_len = q_len;
  problem.latent_rank = 256;
  problem.max_batch = batch;
  problem.flags = flags;
  problem.max_context = max_context;
  must(snapmla_plan_create(r.context, &problem, NULL, &r.plan));
  must(snapmla_buffer_create(r.context, snapmla_plan_workspace_bytes(r.plan), &r.workspace));
  must(snapmla_buffer_create(r.context, max_batch * sizeof(int32_t), &r.seqlens));
  const smla_workspace_kernels kernels = {.group_rows = heads > 32 ? 64 : 16,
                                          .query_terms = 1,
                                          .partial_bytes = partial_bytes,
                                          .merges_at_once = 4,
                                          .most_pieces = flags ? most_pieces : 0,
                                          .least_piece = flags ? least_piece : 0};
  must(smla_workspace_plan(&problem, sms, &kernels, &r.at));
  assert_int_equal(r.at.bytes, snapmla_plan_workspace_bytes(r.plan));
  r.units = r.at.unit_count;
  return r;
}

static rig open_rig_with(int32_t sms, int32_t heads, int32_t q_len, int32_t batch, uint32_t flags) {
  return open_rig_up_to(4096, sms, heads, q_len, batch, flags);
}

static rig open_rig_of(int32_t sms, int32_t heads) { return open_rig_with(sms, heads, 1, max_batch, 0); }

static rig open_rig(int32_t sms) { return open_rig_of(sms, 16); }

static void close_rig(rig *r) {
  snapmla_buffer_destroy(r->workspace);
  snapmla_buffer_destroy(r->seqlens);
  snapmla_plan_destroy(r->plan);
  snapmla_context_destroy(r->context);
}

static int32_t tiles_of(int32_t tokens) { return (tokens + 63) / 64; }

/* The combine kernel's blocks have runs of the items, each as long as the others' give or take one, and know where theirs begin. */
static void check_merge_shares(const rig *r, const struct smla_merge *merges, int32_t count) {
  size_t bytes = (size_t)r->at.merge_blocks * sizeof(struct smla_merge_share);
  struct smla_merge_share *shares = malloc(bytes);
  assert_non_null(shares);
  must(snapmla_buffer_read(r->workspace, r->at.merge_shares, shares, bytes));
  int32_t item = 0, items = merges[count].first_item, least = items / r->at.merge_blocks, merge = 0;
  for (int32_t b = 0; b < r->at.merge_blocks; ++b) {
    const struct smla_merge_share *s = &shares[b];
    assert_int_equal(s->item, item);
    assert_in_range(s->end - s->item, least, least + 1);
    item = s->end;
    if (s->item == s->end) continue;
    while (merges[merge + 1].first_item <= s->item) ++merge;
    assert_int_equal(s->merge, merge);
    assert_int_equal(s->next_item, merges[merge + 1].first_item);
    assert_memory_equal(&s->first, &merges[merge], sizeof s->first);
  }
  assert_int_equal(item, items);
  free(shares);
}

/* The merges are, in their order, the requests that the decode kernel does not finish; each has work, and the items count up. */
static void check_merges(const rig *r, const struct smla_request *requests, int32_t batch) {
  struct smla_merge *merges = calloc((size_t)batch + 1, sizeof *merges);
  int32_t count = 0, at = 0, items = 0;
  for (int32_t b = 0; b < batch; ++b) count += requests[b].pieces != 1;
  must(snapmla_buffer_read(r->workspace, r->at.merges, merges, ((size_t)count + 1) * sizeof *merges));
  for (int32_t b = 0; b < batch; ++b) {
    if (requests[b].pieces == 1) continue;
    assert_int_equal(merges[at].request, b);
    assert_int_equal(merges[at].pieces, requests[b].pieces);
    if (requests[b].pieces > 1) assert_int_equal(merges[at].first_slot, requests[b].first_slot);
    assert_int_equal(merges[at].first_item, items);
    items = merges[++at].first_item; /* behind the last: of all */
    assert_true(items > merges[at - 1].first_item);
  }
  check_merge_shares(r, merges, count);
  free(merges);
}

/* Schedules, then holds every record against the rule. Returns the status word. */
static uint32_t check(rig *r, const int32_t *lengths, int32_t batch, int32_t table_pages) {
  must(snapmla_buffer_write(r->seqlens, 0, lengths, (size_t)batch * sizeof *lengths));
  snapmla_decode_args args = {
      .size = sizeof args, .batch = batch, .block_table_stride = table_pages, .softmax_scale = 1.0f};
  args.seqlens = snapmla_buffer_pointer(r->seqlens);
  args.workspace = snapmla_buffer_pointer(r->workspace);
  args.workspace_bytes = snapmla_buffer_bytes(r->workspace);
  must(snapmla_plan_schedule(r->plan, &args));

  struct smla_request *requests = calloc(max_batch, sizeof *requests);
  struct smla_unit *units = calloc((size_t)r->units, sizeof *units);
  uint32_t status;
  must(snapmla_buffer_read(r->workspace, r->at.status, &status, sizeof status));
  must(snapmla_buffer_read(r->workspace, r->at.requests, requests, (size_t)batch * sizeof *requests));
  must(snapmla_buffer_read(r->workspace, r->at.units, units, (size_t)r->units * sizeof *units));

  int64_t total = 0, longest = (int64_t)table_pages * page_tokens;
  if (longest > r->max_context) longest = r->max_context;
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

  int32_t *pieces = calloc((size_t)batch + 1, sizeof *pieces);
  int64_t covered = 0, longest_run = 0;
  r->used = 0;
  for (int32_t u = 0; u < r->units; ++u) {
    if (units[u].last_request < 0) {
      assert_int_equal(covered, total); /* units without work come last */
      continue;
    }
    ++r->used;
    int64_t first = begin[units[u].first_request] + units[u].first_tile,
            end = begin[units[u].last_request] + units[u].end_tile;
    assert_int_equal(first, covered);
    assert_true(end > first);
    if (end - first > longest_run) longest_run = end - first;
    r->ends[r->used - 1] = end;
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
  r->longest_run = longest_run;
  r->cut = r->pieces = 0;
  assert_int_equal(covered, total);
  int32_t slots = 0;
  for (int32_t b = 0; b < batch; ++b) {
    if (requests[b].tokens) assert_int_equal(requests[b].pieces, pieces[b]);
    if (requests[b].pieces > 1) {
      assert_int_equal(requests[b].first_slot, slots);
      slots += requests[b].pieces;
      ++r->cut;
      r->pieces += requests[b].pieces;
    }
  }
  assert_true(slots <= 2 * r->units);
  check_merges(r, requests, batch);
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

/* Equal requests, more than there are units: none is cut where whole ones make runs within the slack of equal ones. */
static void whole_requests(void **state) {
  (void)state;
  rig r = open_rig(66);
  int32_t lengths[128];
  for (int i = 0; i < 128; ++i) lengths[i] = 4096;
  assert_int_equal(check(&r, lengths, 128, 64), 0);
  assert_int_equal(r.longest_run, 128); /* two each, where equal runs were 124.1 */
  assert_int_equal(r.cut, 0);
  assert_int_equal(check(&r, lengths, 100, 64), 0); /* 97 tiles each: two requests would be 128 */
  assert_true(r.cut > 0 && r.longest_run <= 97 + 4);
  close_rig(&r);
}

/* A few long requests: pieces of equal size, which leave no unit idle but those that cannot be used evenly. */
static void equal_pieces(void **state) {
  (void)state;
  rig r = open_rig(132);
  int32_t lengths[32];
  for (int i = 0; i < 32; ++i) lengths[i] = 4096;
  assert_int_equal(check(&r, lengths, 32, 64), 0);
  assert_int_equal(r.longest_run, 16); /* four pieces of each, where equal runs were 15.5 */
  assert_int_equal(r.cut, 32);
  close_rig(&r);
}

/* What is short is cut less often than there are units: merging costs more than the shorter runs save. */
static void few_tiles(void **state) {
  (void)state;
  rig r = open_rig(132);
  const int32_t one[] = {1024};
  assert_int_equal(check(&r, one, 1, 64), 0);
  assert_int_equal(r.longest_run, 2); /* of 16 tiles; the shortest share there is */
  close_rig(&r);
  r = open_rig_of(132, 128); /* two blocks a unit, 128 rows to merge: runs of sqrt(tiles / 8) */
  const int32_t two[] = {4096, 4096};
  assert_int_equal(check(&r, two, 2, 64), 0);
  assert_int_equal(r.units, 66);
  assert_int_equal(r.longest_run, 4);
  assert_int_equal(r.cut, 2);
  close_rig(&r);
}

/* Fewer requests than units, of few tiles: to merge any would take longer than whole ones do; of fewer still it would not. */
static void short_requests_stay_whole(void **state) {
  (void)state;
  rig r = open_rig_of(132, 128); /* 66 units */
  int32_t lengths[48];
  for (int i = 0; i < 48; ++i) lengths[i] = i % 3 == 1 ? 0 : 640;
  assert_int_equal(check(&r, lengths, 48, 64), 0); /* 32 that are not empty */
  assert_int_equal(r.longest_run, 10);
  assert_int_equal(r.cut, 0);
  assert_int_equal(check(&r, lengths, 12, 64), 0); /* 8: runs of 4 and 24 pieces */
  assert_int_equal(r.longest_run, 4);
  assert_int_equal(r.cut, 8);
  for (int i = 0; i < 32; ++i) lengths[i] = 1024;
  assert_int_equal(check(&r, lengths, 32, 64),
                   0); /* 8 tiles each and 64 pieces to merge, which take less than 8 more tiles */
  assert_int_equal(r.longest_run, 8);
  /* One that is longer than the others, which are whole runs: to merge its few pieces costs nearly nothing. */
  int32_t skewed[51] = {768};
  for (int i = 1; i < 51; ++i) skewed[i] = 320;
  assert_int_equal(check(&r, skewed, 51, 64), 0);
  assert_true(r.longest_run <= 6);
  close_rig(&r);
}

/* The kernel, whose threads look for cuts side by side, cuts where a plain walk over the same lengths does. */
static void cuts_as_the_rule_says(rig *r, const int32_t *lengths, int32_t batch) {
  int64_t begin[max_batch + 1] = {0}, ends[1024];
  for (int32_t b = 0; b < batch; ++b) begin[b + 1] = begin[b] + tiles_of(lengths[b]);
  const plain_rule rule = {r->units, r->at.min_share, r->at.slack, r->at.merge_cost};
  const int32_t used = plain_cuts(&rule, begin, batch, ends);
  assert_int_equal(check(r, lengths, batch, r->max_context / page_tokens), 0);
  assert_int_equal(r->used, used);
  for (int32_t u = 0; u < used; ++u)
    if (r->ends[u] != ends[u])
      fail_msg("%d requests: run %d ends at tile %d, and by the rule at %d", batch, u, (int)r->ends[u], (int)ends[u]);
}

static void ragged_lengths(void **state) {
  (void)state;
  /* Pieces of the last are the dearest to merge. */
  static const struct {
    int32_t sms, heads, q_len, batch;
  } rigs[] = {
      {1, 16, 1, 40}, {7, 64, 1, max_batch}, {132, 16, 1, max_batch}, {132, 128, 1, max_batch}, {132, 128, 8, 128}};
  static const int32_t batches[] = {1, 2, 3, 5, 8, 17, 33, 64, 128, 132, 133, 300, max_batch},
                       most[] = {65, 700, 2000, 4096};
  uint32_t random = 1;
  for (size_t i = 0; i < sizeof rigs / sizeof *rigs; ++i) {
    rig r = open_rig_with(rigs[i].sms, rigs[i].heads, rigs[i].q_len, rigs[i].batch, 0);
    for (size_t b = 0; b < sizeof batches / sizeof *batches && batches[b] <= rigs[i].batch; ++b)
      for (size_t m = 0; m < sizeof most / sizeof *most; ++m)
        for (int kind = 0; kind < 4; ++kind) {
          /* All of any length; a third empty; two thirds short; long ones that are alike. */
          int32_t lengths[max_batch];
          for (int32_t n = 0; n < batches[b]; ++n) {
            random = random * 1664525u + 1013904223u;
            const int32_t any = (int32_t)((random >> 8) % (uint32_t)(most[m] + 1));
            lengths[n] = kind == 1 && n % 3 == 1 ? 0
                         : kind == 2 && n % 3    ? any % 130
                         : kind == 3             ? most[m] - any % 100 % most[m]
                                                 : any;
          }
          cuts_as_the_rule_says(&r, lengths, batches[b]);
        }
    /* Hundreds that end within one run. */
    int32_t tiny[max_batch];
    for (int32_t n = 0; n < rigs[i].batch; ++n) tiny[n] = n % 97 == 50 ? 4000 : n % 2;
    cuts_as_the_rule_says(&r, tiny, rigs[i].batch);
    close_rig(&r);
  }
}

/* Of more cuts than a warp has lanes. */
static void long_requests(void **state) {
  (void)state;
  static const struct { int32_t sms, heads, q_len; } rigs[] = {{132, 64, 1}, {132, 16, 1}, {78, 128, 1}, {132, 128, 8}};
  static const int32_t lengths[][3] = {{131072, 0, 0},           {131071, 1, 0},        {0, 131072, 64},
                                       {131072, 131072, 131072}, {131072, 700, 90000},  {5000, 131072, 0},
                                       {70000, 131008, 2},       {131072, 65536, 33000}};
  for (size_t i = 0; i < sizeof rigs / sizeof *rigs; ++i) {
    rig r = open_rig_up_to(131072, rigs[i].sms, rigs[i].heads, rigs[i].q_len, 3, 0);
    for (size_t n = 0; n < sizeof lengths / sizeof *lengths; ++n)
      for (int32_t batch = 1; batch <= 3; ++batch) cuts_as_the_rule_says(&r, lengths[n], batch);
    close_rig(&r);
  }
}

/* The cost model cuts equal requests as the kernel does: what it charges for the longest run and for merging is of these numbers. */
static void the_model_cuts_alike_on(rig *r, int32_t batch, int32_t tokens) {
  int32_t lengths[max_batch];
  for (int32_t b = 0; b < batch; ++b) lengths[b] = tokens;
  assert_int_equal(check(r, lengths, batch, 64), 0);
  const smla_cuts model = smla_cuts_of(batch, tiles_of(tokens), r->units, r->at.groups, r->at.group_rows);
  if (r->used != model.units || (double)r->longest_run != model.share || r->pieces != model.cut)
    fail_msg("%d groups, %d x %d: %d units, longest run %d, %d pieces to merge; model %g, %g, %g", r->at.groups, batch,
             tokens, r->used, (int)r->longest_run, r->pieces, model.units, model.share, model.cut);
}

static void the_model_cuts_alike(void **state) {
  (void)state;
  /* Groups: 1 of 16 rows; 1, 2, 16 and 68 of 64. The last two rigs' units take turns. */
  static const struct {
    int32_t sms, heads, q_len, batch;
  } rigs[] = {{1, 16, 1, 128},    {132, 16, 1, max_batch}, {132, 64, 1, max_batch}, {132, 128, 1, max_batch},
              {132, 128, 8, 128}, {132, 128, 34, 200},     {78, 128, 8, 128}};
  static const int32_t batches[] = {1, 2, 3, 8, 16, 31, 32, 48, 66, 81, 100, 128, 131, 200, 300, max_batch},
                       tokens[] = {64, 128, 320, 640, 1000, 1024, 1280, 2048, 4000, 4096};
  for (size_t i = 0; i < sizeof rigs / sizeof *rigs; ++i) {
    rig r = open_rig_with(rigs[i].sms, rigs[i].heads, rigs[i].q_len, rigs[i].batch, 0);
    for (size_t b = 0; b < sizeof batches / sizeof *batches && batches[b] <= rigs[i].batch; ++b)
      for (size_t t = 0; t < sizeof tokens / sizeof *tokens; ++t) the_model_cuts_alike_on(&r, batches[b], tokens[t]);
    close_rig(&r);
  }
  const smla_cuts one = smla_cuts_of(2, 5, 1, 256, 64), none = smla_cuts_of(0, 5, 132, 1, 64);
  assert_true(one.units == 1 && one.share == 10 && one.cut == 0); /* one unit cuts nothing, dear as merging is */
  assert_true(none.units == 0 && none.share == 0 && none.cut == 0);
}

/* Any mix of lengths: no run is much longer than an equal share or the shortest that pays. */
static void no_run_is_much_longer(void **state) {
  (void)state;
  uint32_t random = 12345;
  const int32_t sms[] = {1, 3, 66, 132};
  for (int i = 0; i < 4; ++i) {
    rig r = open_rig(sms[i]);
    for (int round = 0; round < 24; ++round) {
      int32_t lengths[256], batch = 1 + (int32_t)(random >> 20) % 256;
      int64_t total = 0;
      for (int32_t b = 0; b < batch; ++b) {
        random = random * 1664525 + 1013904223;
        lengths[b] = random >> 29 ? (int32_t)((random >> 8) % (random >> 30 ? 4097 : 300)) : 0;
        total += tiles_of(lengths[b]);
      }
      assert_int_equal(check(&r, lengths, batch, 64), 0);
      int64_t share = total / sms[i] + 2;
      if (share < 8) share = 8;
      assert_true(r.longest_run <= share + share / 4 + 2);
    }
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

/* Batch-invariant: pieces and their size follow from a request's length alone, slots count them up, runs begin and end with pieces, and
 * none is longer than an equal share by more than a piece. */
static void fixed_pieces(void **state) {
  (void)state;
  uint32_t random = 99;
  const int32_t sms[] = {1, 3, 66, 132};
  for (int i = 0; i < 4; ++i) {
    rig r = open_rig_with(sms[i], 16, 1, max_batch, SNAPMLA_PROBLEM_BATCH_INVARIANT);
    for (int round = 0; round < 12; ++round) {
      int32_t lengths[max_batch], batch = 1 + (int32_t)(random >> 20) % (round % 3 ? 8 : max_batch), total = 0,
                                  slots = 0;
      for (int32_t b = 0; b < batch; ++b) {
        random = random * 1664525 + 1013904223;
        lengths[b] = random >> 29 ? (int32_t)((random >> 8) % 4097) : 0;
        total += tiles_of(lengths[b]);
      }
      must(snapmla_buffer_write(r.seqlens, 0, lengths, (size_t)batch * sizeof *lengths));
      snapmla_decode_args args = {.size = sizeof args, .batch = batch, .block_table_stride = 64, .softmax_scale = 1.0f};
      args.seqlens = snapmla_buffer_pointer(r.seqlens);
      args.workspace = snapmla_buffer_pointer(r.workspace);
      args.workspace_bytes = snapmla_buffer_bytes(r.workspace);
      must(snapmla_plan_schedule(r.plan, &args));
      struct smla_request requests[max_batch];
      struct smla_unit units[132];
      must(snapmla_buffer_read(r.workspace, r.at.requests, requests, (size_t)batch * sizeof *requests));
      must(snapmla_buffer_read(r.workspace, r.at.units, units, (size_t)r.units * sizeof *units));
      for (int32_t b = 0; b < batch; ++b) {
        assert_int_equal(requests[b].pieces, (lengths[b] + 1023) / 1024); /* of 4096 tokens: never the most pieces */
        if (requests[b].pieces) assert_int_equal(requests[b].first_unit, least_piece);
        if (requests[b].pieces < 2) continue;
        assert_int_equal(requests[b].first_slot, slots);
        slots += requests[b].pieces;
      }
      assert_true((size_t)slots <= r.at.slots);
      check_merges(&r, requests, batch);
      int32_t covered = 0, request = 0, begin = 0; /* tiles before the unit's first request */
      for (int32_t u = 0; u < r.units && units[u].last_request >= 0; ++u) {
        for (; request < units[u].first_request; ++request) begin += tiles_of(lengths[request]);
        assert_int_equal(begin + units[u].first_tile, covered);
        assert_int_equal(units[u].first_tile % least_piece, 0);
        int32_t before = begin;
        for (int32_t b = request; b < units[u].last_request; ++b) before += tiles_of(lengths[b]);
        assert_true(units[u].end_tile % least_piece == 0 ||
                    units[u].end_tile == tiles_of(lengths[units[u].last_request]));
        assert_in_range(before + units[u].end_tile - covered, 1, (total / r.units + 1) * 5 / 4 + least_piece);
        covered = before + units[u].end_tile;
      }
      assert_int_equal(covered, total);
    }
    close_rig(&r);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(shares),
                                     cmocka_unit_test(whole_requests),
                                     cmocka_unit_test(equal_pieces),
                                     cmocka_unit_test(few_tiles),
                                     cmocka_unit_test(short_requests_stay_whole),
                                     cmocka_unit_test(ragged_lengths),
                                     cmocka_unit_test(long_requests),
                                     cmocka_unit_test(the_model_cuts_alike),
                                     cmocka_unit_test(no_run_is_much_longer),
                                     cmocka_unit_test(bad_lengths),
                                     cmocka_unit_test(fixed_pieces)};
  return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
