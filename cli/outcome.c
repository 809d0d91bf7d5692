#include "outcome.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "console.h"
#include "json_output.h"

const char *smla_outcome_time_kind(const snapmla_device_info *info) {
  return info->is_emulator ? "modelled" : "measured";
}

int smla_outcome_judge(const smla_outcome *outcome) {
  return outcome->same_bits && !outcome->status_word &&
         (!outcome->distance.requests || smla_distance_ok(&outcome->distance));
}

void smla_distance_json(json_t *object, const smla_distance *distance) {
  int compared = distance->requests > 0;
  smla_json_set(object, "rel_l2", smla_json_real(compared ? distance->rel_l2 : NAN));
  smla_json_set(object, "rel_l2_limit", smla_json_real(compared ? distance->rel_l2_limit : NAN));
  smla_json_set(object, "rel_l2_of_limit", smla_json_real(compared ? distance->rel_l2_ratio : NAN));
  smla_json_set(object, "rel_l2_rounded_p", smla_json_real(compared ? distance->rel_l2_rounded : NAN));
  smla_json_set(object, "rel_l2_rounded_p_of_limit",
                smla_json_real(compared && !isnan(distance->rel_l2_rounded) ? distance->rounded_ratio : NAN));
  smla_json_set(object, "row_rel_l2", smla_json_real(compared ? distance->row_rel_l2 : NAN));
  smla_json_set(object, "lse_abs", smla_json_real(compared ? distance->lse_abs : NAN));
  smla_json_set(object, "lse_of_limit", smla_json_real(compared ? distance->lse_ratio : NAN));
  smla_json_set(object, "max_logit", smla_json_real(compared ? distance->max_logit : NAN));
  smla_json_set(object, "quantization_rel_l2", smla_json_real(compared ? distance->quantization : NAN));
  smla_json_set(object, "not_finite", compared ? json_integer(distance->not_finite) : json_null());
  smla_json_set(object, "cache_wrong_bytes", compared ? json_integer(distance->cache_wrong) : json_null());
}

json_t *smla_outcome_json(const smla_outcome *outcome) {
  char digest[20];
  json_t *root = json_object();
  snprintf(digest, sizeof digest, "%016" PRIx64, outcome->digest);
  smla_json_set(root, "ok", json_boolean(outcome->ok));
  smla_json_set(root, "variant", json_string(outcome->variant));
  smla_json_set(root, "device", smla_json_text(outcome->info->name));
  smla_json_set(root, "product", smla_json_text(outcome->info->product));
  smla_json_set(root, "device_class", smla_json_text(outcome->info->device_class));
  smla_distance_json(root, &outcome->distance);
  smla_json_set(root, "requests", json_integer(outcome->requests));
  smla_json_set(root, "compared", json_integer(outcome->distance.requests));
  smla_json_set(root, "time_us", smla_json_real(outcome->time_us));
  smla_json_set(root, "time_kind", json_string(smla_outcome_time_kind(outcome->info)));
  smla_json_set(root, "bytes", json_integer(outcome->bytes));
  smla_json_set(root, "gb_per_s", smla_json_real((double)outcome->bytes / outcome->time_us * 1e-3));
  smla_json_set(root, "digest", json_string(digest));
  smla_json_set(root, "same_bits", json_boolean(outcome->same_bits));
  smla_json_set(root, "status_word", json_integer(outcome->status_word));
  return root;
}

static void print_problem(const smla_workload *work) {
  const snapmla_problem *p = &work->problem;
  int32_t shortest = work->lengths.items[0], longest = shortest;
  int64_t tokens = 0;
  for (int32_t b = 0; b < work->lengths.count; ++b) {
    int32_t length = work->lengths.items[b];
    if (length < shortest) shortest = length;
    if (length > longest) longest = length;
    tokens += length;
  }
  printf("problem     %d heads, %d query token%s, latent %d, RoPE %d, pages of %d, %s, %s\n", p->heads, p->q_len,
         p->q_len == 1 ? "" : "s", p->latent_rank, p->rope_dim, p->page_tokens, snapmla_kv_format_name(p->kv_format),
         snapmla_accuracy_name(p->accuracy));
  if (p->max_indices) printf("sparse      each query token has a list of at most %d tokens\n", p->max_indices);
  if (p->flags & SNAPMLA_PROBLEM_SINKS) puts("sinks       each head has a logit more in its softmax");
  printf("requests    %d of %d to %d tokens, %" PRId64 " in all; cache of %" PRId64 " pages, %.2f MB\n",
         work->lengths.count, shortest, longest, tokens, work->num_pages,
         (double)work->num_pages * (double)work->page_stride * 1e-6);
}

static void print_error(const smla_outcome *outcome) {
  const smla_distance *d = &outcome->distance;
  if (!d->requests) {
    puts("error       not compared (--no-check)");
    return;
  }
  printf("error       rel. L2 %.3g (%.0f %% of its limit)", d->rel_l2, 100 * d->rel_l2_ratio);
  if (outcome->limits.rounded > 0)
    printf("; %.3g (%.0f %%) against the oracle that rounds P", d->rel_l2_rounded, 100 * d->rounded_ratio);
  puts("");
  printf("            lse %.3g (%.0f %% of its limit); compared: %d of %d requests\n", d->lse_abs, 100 * d->lse_ratio,
         d->requests, outcome->requests);
  if (!isnan(d->quantization)) printf("            the format adds %.3g, not counted above\n", d->quantization);
  if (d->not_finite) printf("            %" PRId64 " elements are not finite\n", d->not_finite);
  if (d->cache_wrong) printf("            %" PRId64 " bytes of the cache are not the reference's\n", d->cache_wrong);
}

void smla_outcome_print(const smla_workload *work, const smla_outcome *outcome) {
  printf("variant     %s\n", outcome->variant);
  printf("device      %s (%s, class %s)\n", outcome->info->name, outcome->info->product, outcome->info->device_class);
  print_problem(work);
  print_error(outcome);
  printf("bytes       %" PRId64 " (%.3f MB) a decode call\n", outcome->bytes, (double)outcome->bytes * 1e-6);
  printf("time        %.2f us a decode call (%s), %.0f GB/s\n", outcome->time_us, smla_outcome_time_kind(outcome->info),
         (double)outcome->bytes / outcome->time_us * 1e-3);
  printf("digest      %016" PRIx64 " of the output bits\n", outcome->digest);
  if (!outcome->same_bits) puts("            a repeated decode gave other bits");
  if (outcome->status_word) printf("            the device's status word is %" PRIu32 "\n", outcome->status_word);
  printf("%s\n", outcome->ok ? "ok" : "FAILED");
}

typedef struct candidate {
  int32_t request, length;
} candidate;

static int longest_first(const void *a, const void *b) {
  const candidate *x = a, *y = b;
  if (x->length != y->length) return x->length > y->length ? -1 : 1;
  return (x->request > y->request) - (x->request < y->request);
}

/* The order of comparison: the longest, the shortest that is not empty, and the rest as they come. */
static candidate *order_of(const smla_workload *work, int32_t step) {
  int32_t count = work->lengths.count, last;
  candidate *list = malloc((size_t)count * sizeof *list);
  if (!list) return NULL;
  for (int32_t b = 0; b < count; ++b) list[b] = (candidate){b, smla_workload_length(work, step, b)};
  qsort(list, (size_t)count, sizeof *list, longest_first);
  for (last = count - 1; last > 1 && !list[last].length;) --last;
  if (last > 1) {
    candidate shortest = list[last];
    list[last] = list[1];
    list[1] = shortest;
  }
  return list;
}

snapmla_status smla_outcome_compare(const smla_session *session, int32_t step, const uint16_t *out, const float *lse,
                                    int32_t most, double *effort, smla_outcome *outcome) {
  const smla_workload *work = session->work;
  int32_t count = work->lengths.count, limit = most && most < count ? most : count;
  size_t rows = smla_session_lse_count(work) / (size_t)count, values = rows * (size_t)work->problem.latent_rank;
  snapmla_status status = SNAPMLA_OK;
  candidate *list = order_of(work, step);
  if (!list) return smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for the order of comparison");
  for (int32_t i = 0, compared = 0; i < count && compared < limit && !status; ++i) {
    double cost = smla_check_cost(work, step, list[i].request);
    smla_distance one;
    if (!most && cost > *effort && i > 1) continue;
    *effort -= cost;
    ++compared;
    smla_console_progress("comparing with the oracle: request %d of %d, %d tokens", i + 1, count, list[i].length);
    size_t request = (size_t)list[i].request;
    status = smla_check_request(session, &outcome->limits, step, list[i].request, out + request * values,
                                lse + request * rows, &one);
    if (!status) smla_distance_add(&outcome->distance, &one);
  }
  free(list);
  return status;
}
