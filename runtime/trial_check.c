/* The correctness gate: docs/accuracy.md's limits for values of mean 0, on a case of a few hundred tokens. */
#include "trial_call.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "status.h"

enum { REQUESTS = 4, SEED = 4242 };

/* Longer than a share of the schedule, a tile's edge, a short one, and what the problem allows. */
static const int32_t wanted[REQUESTS] = {700, 65, 1, 257};

/* Largest relative L2 distance from the oracle, by accuracy level. */
static const struct {
  const char *level;
  double limit;
} limits[] = {{"fast", 3.5e-2}, {"balanced", 5e-3}, {"max", 2e-3}};

struct smla_trial_check {
  snapmla_context *context;
  snapmla_problem problem;
  int32_t *lengths; /* of what each list names */
  smla_trial_call call;
  snapmla_stream *stream;
  unsigned char *kv; /* host copies of what must not change */
  uint16_t *query;
  size_t query_bytes;
  int32_t *table;
  double *out, *lse; /* the oracle's */
  uint16_t *got, *first;
  float *got_lse;
  size_t out_count, lse_count;
};

void smla_trial_check_destroy(smla_trial_check *c) {
  if (!c) return;
  smla_trial_call_destroy(&c->call);
  snapmla_stream_destroy(c->stream);
  free(c->lengths);
  free(c->kv);
  free(c->query);
  free(c->table);
  free(c->out);
  free(c->lse);
  free(c->got);
  free(c->first);
  free(c->got_lse);
  free(c);
}

/* Entry `i` of a list: a page of its own; in sparse decoding a slot, of pages that all lists use, in no order. */
static int32_t entry_of(const snapmla_problem *p, const int32_t *order, int32_t used, int32_t *next, int32_t list,
                        int32_t i) {
  if (!p->max_indices) return order[(*next)++];
  return order[(list + i / p->page_tokens) % used] * p->page_tokens + i * 7 % p->page_tokens;
}

/* Pages of the lengths; half as many again are nobody's and hold NaN. */
static snapmla_status make_host(smla_trial_check *c, snapmla_decode_args *args) {
  const snapmla_problem *p = &c->problem;
  snapmla_page_layout layout = {.size = sizeof layout};
  int32_t batch = p->max_batch < REQUESTS ? p->max_batch : REQUESTS, used = 0, entries = 1;
  int32_t lists = smla_trial_lists(p, batch), most = p->max_indices ? p->max_indices : p->max_context;
  c->lengths = malloc((size_t)lists * sizeof *c->lengths);
  if (!c->lengths) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a trial");
  for (int32_t l = 0; l < lists; l++) {
    c->lengths[l] = wanted[l % REQUESTS] < most ? wanted[l % REQUESTS] : most;
    int32_t pages = (c->lengths[l] + p->page_tokens - 1) / p->page_tokens;
    int32_t needed = p->max_indices ? c->lengths[l] : pages;
    if (needed > entries) entries = needed;
    used = !p->max_indices ? used + pages : pages > used ? pages : used;
  }
  int32_t total = used + used / 2 + 1;
  snapmla_status status = snapmla_page_layout_get(p, &layout);
  if (status) return status;
  smla_trial_args(p, &layout, batch, total, entries, args);
  int32_t *order = smla_trial_shuffle(SEED, total);
  c->table = malloc((size_t)lists * (size_t)entries * sizeof *c->table);
  c->kv = smla_trial_pages(p, &layout, SEED, total);
  c->query = smla_trial_query(p, SEED + 1, batch, &c->query_bytes);
  if (!order || !c->table || !c->kv || !c->query) {
    free(order);
    return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a trial");
  }
  int32_t next = 0, per_entry = p->max_indices ? 1 : p->page_tokens;
  for (int32_t l = 0; l < lists; l++)
    for (int32_t e = 0; e < entries; e++)
      c->table[l * entries + e] =
          e * per_entry < c->lengths[l] ? entry_of(p, order, used, &next, l, e) : -12345; /* garbage past the length */
  for (int32_t i = used; i < total; i++)
    memset(c->kv + (size_t)order[i] * (size_t)layout.page_bytes, 0xff, (size_t)layout.page_bytes);
  free(order);
  return SNAPMLA_OK;
}

static snapmla_status decode_by_the_oracle(smla_trial_check *c, const snapmla_decode_args *args) {
  snapmla_decode_args host = *args;
  size_t rows = (size_t)args->batch * (size_t)c->problem.q_len * (size_t)c->problem.heads;
  c->out_count = rows * (size_t)c->problem.latent_rank;
  c->lse_count = rows;
  c->out = malloc(c->out_count * sizeof *c->out);
  c->lse = malloc(rows * sizeof *c->lse);
  c->got = malloc(c->out_count * sizeof *c->got);
  c->first = malloc(c->out_count * sizeof *c->first);
  c->got_lse = malloc(rows * sizeof *c->got_lse);
  if (!c->out || !c->lse || !c->got || !c->first || !c->got_lse)
    return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a trial");
  host.q_nope = c->query;
  host.q_rope = c->query + c->problem.latent_rank;
  host.kv = c->kv;
  host.block_table = c->problem.max_indices ? NULL : c->table;
  host.seqlens = c->problem.max_indices ? NULL : c->lengths;
  host.indices = c->problem.max_indices ? c->table : NULL;
  host.index_counts = c->problem.max_indices ? c->lengths : NULL;
  float sinks[SMLA_TRIAL_MOST_HEADS];
  smla_trial_sinks(c->problem.heads, sinks);
  if (c->problem.flags & SNAPMLA_PROBLEM_SINKS) host.sinks = sinks;
  return snapmla_reference_decode(&c->problem, &host, SNAPMLA_REFERENCE_QUANTIZED, c->out, c->lse);
}

snapmla_status smla_trial_check_create(snapmla_context *context, const snapmla_problem *problem,
                                       smla_trial_check **out) {
  smla_trial_check *c = calloc(1, sizeof *c);
  if (!c) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a trial");
  c->context = context;
  c->problem = *problem;
  snapmla_decode_args args;
  snapmla_status status = make_host(c, &args);
  if (!status) status = decode_by_the_oracle(c, &args);
  if (!status) status = smla_trial_call_create(context, problem, &args, 1, &c->call);
  smla_guarded *b = c->call.buffers;
  if (!status) status = smla_guarded_write(&b[SMLA_TRIAL_KV], 0, c->kv, b[SMLA_TRIAL_KV].bytes);
  if (!status) status = smla_guarded_write(&b[SMLA_TRIAL_Q], 0, c->query, c->query_bytes);
  if (!status) status = smla_guarded_write(&b[SMLA_TRIAL_TABLE], 0, c->table, b[SMLA_TRIAL_TABLE].bytes);
  if (!status) status = smla_guarded_write(&b[SMLA_TRIAL_LENGTHS], 0, c->lengths, b[SMLA_TRIAL_LENGTHS].bytes);
  if (!status) status = snapmla_stream_create(context, &c->stream);
  if (!status) c->call.args.stream = snapmla_stream_handle(c->stream);
  if (status)
    smla_trial_check_destroy(c);
  else
    *out = c;
  return status;
}

static float widen(uint16_t value) {
  uint32_t bits = (uint32_t)value << 16;
  float result;
  memcpy(&result, &bits, sizeof result);
  return result;
}

static double limit_of(const snapmla_problem *problem) {
  const char *level = snapmla_accuracy_name(problem->accuracy);
  for (size_t i = 0; level && i < sizeof limits / sizeof *limits; i++)
    if (!strcmp(limits[i].level, level)) return limits[i].limit;
  return limits[0].limit;
}

/* The limit of lse i of [batch, heads, q_len]: 1e-3 + 5e-4 max |logit| at every level. The logits are not at hand:
 * |lse| - ln L is no more than the largest, and of one token its own, of which FP8 may need twice as much. */
static double lse_limit_of(const smla_trial_check *c, size_t i) {
  size_t q_len = (size_t)c->problem.q_len, request = i / ((size_t)c->problem.heads * q_len);
  int32_t length = c->lengths[c->problem.max_indices ? request * q_len + i % q_len : request];
  double logit = fabs(c->lse[i]) - log(length > 1 ? length : 1);
  return (length == 1 ? 2 : 1) * (1e-3 + 5e-4 * (logit > 0 ? logit : 0));
}

static snapmla_status compare(const smla_trial_check *c) {
  size_t per_request = c->out_count / (size_t)c->call.args.batch;
  double limit = limit_of(&c->problem);
  for (int32_t b = 0; b < c->call.args.batch; b++) {
    double error = 0, norm = 0;
    for (size_t i = (size_t)b * per_request; i < (size_t)(b + 1) * per_request; i++) {
      double off = (double)widen(c->got[i]) - c->out[i];
      error += off * off;
      norm += c->out[i] * c->out[i];
    }
    double distance = norm > 0 ? sqrt(error / norm) : sqrt(error);
    if (!(distance <= limit))
      return smla_fail(SNAPMLA_INTERNAL, "its result for %d tokens is %.3g from the oracle, and the limit is %.3g",
                       c->lengths[b % REQUESTS], distance, limit);
  }
  for (size_t i = 0; i < c->lse_count; i++)
    if (isfinite(c->lse[i]) ? !(fabs((double)c->got_lse[i] - c->lse[i]) <= lse_limit_of(c, i))
                            : (double)c->got_lse[i] != c->lse[i])
      return smla_fail(SNAPMLA_INTERNAL, "its lse is %.9g, the oracle's %.9g, and the limit is %.3g",
                       (double)c->got_lse[i], c->lse[i], lse_limit_of(c, i));
  return SNAPMLA_OK;
}

static snapmla_status verify_unchanged(const smla_guarded *guarded, const void *expected, size_t bytes,
                                       const char *what) {
  void *data = malloc(guarded->bytes);
  if (!data) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a trial");
  snapmla_status status = smla_guarded_read(guarded, data);
  if (!status && memcmp(data, expected, bytes)) status = smla_fail(SNAPMLA_INTERNAL, "it changed %s", what);
  free(data);
  return status;
}

static snapmla_status verify_surroundings(const smla_trial_check *c) {
  static const char *const names[SMLA_TRIAL_BUFFERS] = {"the query", "the cache",  "the block table", "the lengths",
                                                        "the sinks", "the output", "the lse",         "the workspace"};
  const smla_guarded *b = c->call.buffers;
  snapmla_status status = SNAPMLA_OK;
  for (int i = 0; i < SMLA_TRIAL_BUFFERS && !status; i++) status = smla_guarded_verify(&b[i], names[i]);
  if (!status) status = verify_unchanged(&b[SMLA_TRIAL_KV], c->kv, b[SMLA_TRIAL_KV].bytes, names[SMLA_TRIAL_KV]);
  if (!status) status = verify_unchanged(&b[SMLA_TRIAL_Q], c->query, c->query_bytes, names[SMLA_TRIAL_Q]);
  return status;
}

static snapmla_status run_once(smla_trial_check *c, const snapmla_plan *plan) {
  smla_guarded *b = c->call.buffers;
  memset(c->got, 0xff, c->out_count * sizeof *c->got);
  snapmla_status status = smla_guarded_write(&b[SMLA_TRIAL_OUT], 0, c->got, c->out_count * sizeof *c->got);
  if (!status) status = snapmla_plan_schedule(plan, &c->call.args);
  if (!status) status = snapmla_plan_decode(plan, &c->call.args);
  snapmla_status ended = snapmla_stream_synchronize(c->stream);
  if (!status) status = ended;
  if (!status) status = smla_guarded_read(&b[SMLA_TRIAL_OUT], c->got);
  return status ? status : smla_guarded_read(&b[SMLA_TRIAL_LSE], c->got_lse);
}

snapmla_status smla_trial_check_run(smla_trial_check *c, const snapmla_plan *plan, int *wrong) {
  *wrong = 0;
  snapmla_status status = smla_trial_call_workspace(c->context, plan, &c->call);
  if (!status) status = run_once(c, plan);
  if (status) return status;
  memcpy(c->first, c->got, c->out_count * sizeof *c->got);
  status = compare(c);
  if (!status) status = verify_surroundings(c);
  *wrong = status == SNAPMLA_INTERNAL;
  if (!status) status = run_once(c, plan);
  if (!status && memcmp(c->first, c->got, c->out_count * sizeof *c->got)) {
    *wrong = 1;
    status = smla_fail(SNAPMLA_INTERNAL, "the same call gave other bits the second time");
  }
  return status;
}
