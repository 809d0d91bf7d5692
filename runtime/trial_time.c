/* Timing as deployed: shuffled pages, skewed lengths, more data than L2 holds. */
#include "trial_call.h"

#include <stdlib.h>
#include <string.h>

#include "context_object.h"
#include "device_class.h"
#include "nvml.h"
#include "status.h"

enum {
  SCATTER = 4,
  POOL_PAGES = 32, /* distinct pages; the cache repeats them */
  MOST_SETS = 64,
  WARM_CALLS = 2,
  MOST_CALLS = 20, /* of a sample */
  THROTTLED_AGAIN = 3,
  SEED = 99
};
static const double sample_us = 200;
static const double emulated_work = 1 << 18; /* tokens * rows that the emulator does in a fraction of a second */
static const size_t emulator_memory = (size_t)1 << 30;

/* Lengths as parts of the longest, dealt to the requests in turn: the mean is 0.58. */
static const double skew[] = {1.0, 0.5, 0.75, 0.25, 0.9, 0.4, 0.6, 0.24};
enum { SKEWS = sizeof skew / sizeof *skew };

struct smla_trial_timer {
  snapmla_context *context;
  snapmla_problem problem;
  int32_t batch, longest;
  int64_t tokens; /* of all requests of a set */
  int32_t sets, next_set;
  int32_t entries;       /* of a list */
  int64_t table_entries; /* of a set */
  smla_trial_call call;
  snapmla_stream *stream;
  snapmla_event *start, *stop;
  int is_emulator;
  char bus_id[32];
};

static int32_t length_of(const smla_trial_timer *t, int32_t request) {
  int32_t length = (int32_t)(t->longest * skew[request % SKEWS]);
  int32_t least = t->problem.max_indices ? 1 : t->problem.q_len < t->longest ? t->problem.q_len : t->longest;
  return length < least ? least : length;
}

static int32_t lists_of(const smla_trial_timer *t) { return smla_trial_lists(&t->problem, t->batch); }

/* Pages of one list: in sparse decoding four times what its slots would fill, as they are scattered over a request. */
static int32_t pages_of_list(const smla_trial_timer *t, int32_t list) {
  int64_t tokens = (int64_t)length_of(t, list) * (t->problem.max_indices ? SCATTER : 1);
  return (int32_t)((tokens + t->problem.page_tokens - 1) / t->problem.page_tokens);
}

static int64_t pages_of(const smla_trial_timer *t) {
  int64_t pages = 0;
  for (int32_t l = 0; l < lists_of(t); l++) pages += pages_of_list(t, l);
  return pages;
}

static int64_t tokens_of(const smla_trial_timer *t) {
  int64_t tokens = 0;
  for (int32_t l = 0; l < lists_of(t); l++) tokens += length_of(t, l);
  return tokens;
}

/* Halves the batch, then the lengths, until data and work fit. Nonzero: there was something to halve. */
static int shrink(smla_trial_timer *t) {
  if (t->batch > SKEWS)
    t->batch = (t->batch + 1) / 2;
  else if (t->longest > 256)
    t->longest /= 2;
  else if (t->batch > 1)
    t->batch = (t->batch + 1) / 2;
  else
    return 0;
  return 1;
}

static size_t fixed_bytes(const smla_trial_timer *t) {
  const snapmla_problem *p = &t->problem;
  return (size_t)t->batch * (size_t)p->q_len * (size_t)p->heads * (size_t)(4 * p->latent_rank + 2 * p->rope_dim + 4);
}

static void fit(smla_trial_timer *t, size_t limit, int64_t page_bytes) {
  double rows = (double)t->problem.heads * (t->problem.max_indices ? 1 : t->problem.q_len);
  while (fixed_bytes(t) + (size_t)(pages_of(t) * page_bytes) > limit && shrink(t)) continue;
  while (t->is_emulator && (double)tokens_of(t) * rows > emulated_work && shrink(t)) continue;
  t->tokens = tokens_of(t);
}

static void choose_sets(smla_trial_timer *t, size_t limit, int64_t l2, int64_t page_bytes) {
  int64_t set = pages_of(t) * page_bytes;
  t->sets = 1;
  while (!t->is_emulator && t->sets < MOST_SETS && t->sets * set < 2 * l2 &&
         fixed_bytes(t) + (size_t)((t->sets + 1) * set) <= limit)
    t->sets++;
}

/* What a list names: its pages in order; in sparse decoding slots scattered over them. */
static snapmla_status fill_list(const smla_trial_timer *t, int32_t list, const int32_t *pages, int32_t *entries) {
  int32_t page = t->problem.page_tokens, length = length_of(t, list), count = pages_of_list(t, list);
  if (!t->problem.max_indices) {
    for (int32_t e = 0; e < t->entries; e++) entries[e] = e < count ? pages[e] : -1;
    return SNAPMLA_OK;
  }
  int32_t *slots = smla_trial_shuffle(SEED + (uint64_t)list, count * page);
  if (!slots) return SNAPMLA_OUT_OF_MEMORY;
  for (int32_t e = 0; e < t->entries; e++)
    entries[e] = e < length ? pages[slots[e] / page] * page + slots[e] % page : -1;
  free(slots);
  return SNAPMLA_OK;
}

/* Pages in a shuffled order over all sets; the cache's pages repeat a pool. */
static snapmla_status fill(smla_trial_timer *t, const snapmla_page_layout *layout) {
  smla_guarded *b = t->call.buffers;
  int32_t pages = (int32_t)t->call.args.num_pages, next = 0;
  int32_t pool = pages < POOL_PAGES ? pages : POOL_PAGES;
  size_t query_bytes = 0, table_count = (size_t)t->sets * (size_t)t->table_entries;
  unsigned char *images = smla_trial_pages(&t->problem, layout, SEED, pool);
  uint16_t *query = smla_trial_query(&t->problem, SEED + 1, t->batch, &query_bytes);
  int32_t *order = smla_trial_shuffle(SEED, pages), *table = malloc(table_count * sizeof *table);
  int32_t *lengths = malloc((size_t)lists_of(t) * sizeof *lengths);
  snapmla_status status = images && query && order && table && lengths
                              ? SNAPMLA_OK
                              : smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: data to time with");
  for (int32_t set = 0; set < t->sets && !status; set++)
    for (int32_t l = 0; l < lists_of(t) && !status; l++) {
      status = fill_list(t, l, order + next, table + set * t->table_entries + l * t->entries);
      next += pages_of_list(t, l);
    }
  for (int32_t l = 0; l < lists_of(t) && !status; l++) lengths[l] = length_of(t, l);
  for (int32_t p = 0; p < pages && !status; p += pool) {
    size_t count = (size_t)(pages - p < pool ? pages - p : pool);
    status = smla_guarded_write(&b[SMLA_TRIAL_KV], (size_t)p * (size_t)layout->page_bytes, images,
                                count * (size_t)layout->page_bytes);
  }
  if (!status) status = smla_guarded_write(&b[SMLA_TRIAL_Q], 0, query, query_bytes);
  if (!status) status = smla_guarded_write(&b[SMLA_TRIAL_TABLE], 0, table, table_count * sizeof *table);
  if (!status) status = smla_guarded_write(&b[SMLA_TRIAL_LENGTHS], 0, lengths, (size_t)lists_of(t) * sizeof *lengths);
  free(images);
  free(query);
  free(order);
  free(table);
  free(lengths);
  return status;
}

static snapmla_status make_call(smla_trial_timer *t, const snapmla_page_layout *layout) {
  snapmla_decode_args args;
  t->entries = t->problem.max_indices ? t->longest : (t->longest + t->problem.page_tokens - 1) / t->problem.page_tokens;
  t->table_entries = (int64_t)lists_of(t) * t->entries;
  smla_trial_args(&t->problem, layout, t->batch, t->sets * pages_of(t), t->entries, &args);
  return smla_trial_call_create(t->context, &t->problem, &args, t->sets, &t->call);
}

snapmla_status smla_trial_timer_create(snapmla_context *context, const snapmla_problem *problem, size_t memory_limit,
                                       smla_trial_timer **out) {
  smla_device *device = context->device;
  smla_trial_timer *t = calloc(1, sizeof *t);
  if (!t) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a timer");
  smla_device_facts facts;
  snapmla_page_layout layout = {.size = sizeof layout};
  t->context = context;
  t->problem = *problem;
  t->batch = problem->max_batch;
  t->longest = problem->max_indices ? problem->max_indices : problem->max_context;
  device->ops->facts(device, &facts);
  device->ops->bus_id(device, t->bus_id);
  t->is_emulator = facts.is_emulator;
  size_t limit = memory_limit;
  if (!limit) limit = (size_t)device->ops->free_bytes(device) / 2;
  if (!limit) limit = emulator_memory;
  snapmla_status status = snapmla_page_layout_get(problem, &layout);
  if (!status) {
    fit(t, limit, layout.page_bytes);
    do {
      choose_sets(t, limit, facts.l2_bytes, layout.page_bytes);
      status = make_call(t, &layout);
    } while (status == SNAPMLA_OUT_OF_MEMORY && (limit /= 2, shrink(t))); /* others took the memory meanwhile */
    t->tokens = tokens_of(t);
  }
  if (!status) status = fill(t, &layout);
  if (!status) status = snapmla_stream_create(context, &t->stream);
  if (!status) status = snapmla_event_create(context, &t->start);
  if (!status) status = snapmla_event_create(context, &t->stop);
  if (status) {
    smla_trial_timer_destroy(t);
    return status;
  }
  t->call.args.stream = snapmla_stream_handle(t->stream);
  *out = t;
  return SNAPMLA_OK;
}

void smla_trial_timer_destroy(smla_trial_timer *timer) {
  if (!timer) return;
  smla_trial_call_destroy(&timer->call);
  snapmla_event_destroy(timer->start);
  snapmla_event_destroy(timer->stop);
  snapmla_stream_destroy(timer->stream);
  free(timer);
}

void smla_trial_timer_shape(const smla_trial_timer *timer, int32_t *batch, int64_t *tokens) {
  *batch = timer->batch;
  *tokens = timer->tokens;
}

/* `calls` decode calls between two events, each over the pages of the next set. */
static snapmla_status time_calls(smla_trial_timer *t, const snapmla_plan *plan, int calls, double *us) {
  snapmla_decode_args args = t->call.args;
  const int32_t *tables = t->problem.max_indices ? args.indices : args.block_table;
  snapmla_status status = snapmla_event_record(t->start, t->stream);
  for (int i = 0; i < calls && !status; i++) {
    const int32_t *table = tables + t->next_set * t->table_entries;
    args.block_table = t->problem.max_indices ? NULL : table;
    args.indices = t->problem.max_indices ? table : NULL;
    t->next_set = (t->next_set + 1) % t->sets;
    status = snapmla_plan_decode(plan, &args);
  }
  if (!status) status = snapmla_event_record(t->stop, t->stream);
  snapmla_status ended = snapmla_stream_synchronize(t->stream);
  if (!status) status = ended;
  if (!status) status = snapmla_event_elapsed(t->start, t->stop, us);
  if (!status) *us /= calls;
  return status;
}

snapmla_status smla_trial_timer_run(smla_trial_timer *t, const snapmla_plan *plan, size_t count, double *microseconds) {
  snapmla_status status = smla_trial_call_workspace(t->context, plan, &t->call);
  if (!status) status = snapmla_plan_schedule(plan, &t->call.args);
  double us = 0;
  if (!status) status = time_calls(t, plan, t->is_emulator ? 1 : WARM_CALLS, &us);
  if (t->is_emulator) {
    for (size_t i = 0; i < count && !status; i++) microseconds[i] = us;
    return status;
  }
  int calls = us >= sample_us ? 1 : us > sample_us / MOST_CALLS ? (int)(sample_us / us) + 1 : MOST_CALLS;
  for (size_t i = 0; i < count && !status; i++)
    for (int again = 0; again <= THROTTLED_AGAIN && !status; again++) {
      int before = smla_nvml_throttled(t->bus_id);
      status = time_calls(t, plan, calls, &microseconds[i]);
      if (!before && !smla_nvml_throttled(t->bus_id)) break;
    }
  return status;
}
