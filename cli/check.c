#include "check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <snapmla/reference.h>

#include "check_logits.h"
#include "console.h"
#include "library.h"
#include "narrow.h"

/* One request on the host: its query, its cache as the reference writes it, the oracles' results. All in one block. */
typedef struct host_request {
  int32_t length;
  int64_t rows, values; /* q_len * heads; and times latent_rank */
  uint16_t *q_nope, *q_rope;
  uint8_t *kv; /* [pages, page_stride]; the stored cache itself where there is one */
  uint8_t *owned_kv;
  int32_t *block_table; /* [pages] */
  int32_t *indices;     /* [q_len, max_indices], then [q_len] counts; NULL unless sparse */
  float *latent, *rope; /* unquantised tokens; NULL for a stored cache */
  int64_t pages, kv_pages;
  double *out, *exact_out, *lse, *exact_lse;
} host_request;

#define BF16_ROUNDING 1.66e-3 /* relative L2 of rounding values of all sizes to bf16 */
#define MODERATE_SIGMA 3.0    /* of logits: up to here the lse's limit is one of all levels */

static const struct {
  snapmla_accuracy level;
  double mean_zero, least, rounded, output_rounding, lse_per_large_logit;
} levels[] = {
    {SNAPMLA_ACCURACY_FAST, 3.5e-2, 3e-3, 8e-3, 0, 7.5e-4},
    {SNAPMLA_ACCURACY_BALANCED, 5e-3, 1e-3, 0, BF16_ROUNDING, 7.5e-4},
    {SNAPMLA_ACCURACY_MAX, 2e-3, 1e-3, 0, BF16_ROUNDING, 5e-4},
};

smla_limits smla_limits_of(const smla_workload *work) {
  size_t i = 0;
  while (i + 1 < sizeof levels / sizeof *levels && levels[i].level != work->problem.accuracy) ++i;
  /* Formats whose scores are summed in two FP8 parts at these levels: bf16 is exact, and groups are parts of their own. */
  snapmla_kv_format format = work->problem.kv_format;
  int two_parts = format != SNAPMLA_KV_BF16 && format != SNAPMLA_KV_FP8_TILE;
  int large = two_parts && work->data.kind == SMLA_DATA_NORMAL && work->data.sigma > MODERATE_SIGMA;
  return (smla_limits){.mean_zero = levels[i].mean_zero,
                       .least = levels[i].least,
                       .value_offset = work->value_offset,
                       .rounded = levels[i].rounded,
                       .output_rounding = levels[i].output_rounding,
                       .lse_absolute = 1e-3,
                       .lse_per_logit = large ? levels[i].lse_per_large_logit : 5e-4};
}

smla_distance smla_distance_none(void) { return (smla_distance){.quantization = NAN}; }

/* The larger; anything that is not a number wins. */
static double worse(double a, double b) { return isnan(a) || isnan(b) ? NAN : a > b ? a : b; }

void smla_distance_add(smla_distance *worst, const smla_distance *one) {
  worst->requests += one->requests;
  worst->rel_l2 = worse(worst->rel_l2, one->rel_l2);
  /* written so that a ratio that is not a number is taken over, and kept */
  if (!(one->rel_l2_ratio <= worst->rel_l2_ratio) && !isnan(worst->rel_l2_ratio)) {
    worst->rel_l2_ratio = one->rel_l2_ratio;
    worst->rel_l2_limit = one->rel_l2_limit;
  }
  worst->rel_l2_rounded = worse(worst->rel_l2_rounded, one->rel_l2_rounded);
  worst->rounded_ratio = worse(worst->rounded_ratio, one->rounded_ratio);
  worst->row_rel_l2 = worse(worst->row_rel_l2, one->row_rel_l2);
  worst->lse_abs = worse(worst->lse_abs, one->lse_abs);
  worst->lse_ratio = worse(worst->lse_ratio, one->lse_ratio);
  worst->quantization = fmax(worst->quantization, one->quantization); /* NaN is "not known" here */
  worst->max_logit = worse(worst->max_logit, one->max_logit);
  worst->not_finite += one->not_finite;
  worst->cache_wrong += one->cache_wrong;
}

int smla_distance_ok(const smla_distance *distance) {
  return distance->requests > 0 && distance->rel_l2_ratio <= 1 && distance->rounded_ratio <= 1 &&
         distance->lse_ratio <= 1 && !distance->not_finite && !distance->cache_wrong;
}

double smla_check_cost(const smla_workload *work, int32_t step, int32_t request) {
  const snapmla_problem *p = &work->problem;
  int32_t tokens = p->max_indices ? smla_workload_count(work, step, request, p->q_len - 1)
                                  : smla_workload_length(work, step, request);
  return (double)tokens * p->heads * p->q_len * (2.0 * p->latent_rank + p->rope_dim);
}

static void free_request(host_request *host) {
  free(host->q_nope);
  free(host->owned_kv);
  free(host->block_table);
  free(host->indices);
  free(host->latent);
  free(host->out);
  *host = (host_request){0};
}

static snapmla_status allocate(const smla_workload *work, int32_t step, int32_t request, host_request *host) {
  const snapmla_problem *p = &work->problem;
  size_t rank = (size_t)p->latent_rank, dim = (size_t)p->rope_dim;
  *host = (host_request){.length = smla_workload_length(work, step, request), .rows = (int64_t)p->q_len * p->heads};
  host->values = host->rows * p->latent_rank;
  host->pages = (host->length + (int64_t)p->page_tokens - 1) / p->page_tokens;
  size_t rows = (size_t)host->rows, length = (size_t)host->length, pages = (size_t)host->pages + 1;
  host->q_nope = malloc(rows * (rank + dim) * sizeof(uint16_t));
  host->block_table = malloc(pages * sizeof(int32_t));
  host->out = malloc(2 * rows * (rank + 1) * sizeof(double));
  if (!work->kv) {
    host->owned_kv = aligned_alloc(128, pages * (size_t)work->page_stride); /* strides are multiples of 128 */
    host->latent = malloc((length + 1) * (rank + dim) * sizeof(float));
  }
  if (p->max_indices) host->indices = malloc((size_t)p->q_len * ((size_t)p->max_indices + 1) * sizeof(int32_t));
  if (!host->q_nope || !host->block_table || !host->out || (p->max_indices && !host->indices) ||
      (!work->kv && (!host->owned_kv || !host->latent)))
    return smla_console_fail(SNAPMLA_OUT_OF_MEMORY,
                             "out of memory for the oracle of request %d, %d tokens: use --no-check", request,
                             host->length);
  host->q_rope = host->q_nope + rows * rank;
  host->exact_out = host->out + rows * rank;
  host->lse = host->exact_out + rows * rank;
  host->exact_lse = host->lse + rows;
  if (host->latent) host->rope = host->latent + length * rank;
  return SNAPMLA_OK;
}

/* The pages of the request as the reference writes them, 0xff where nothing was written, and the unquantised tokens. */
static snapmla_status write_cache(const smla_workload *work, int32_t request, host_request *host) {
  const snapmla_problem *p = &work->problem;
  size_t rank = (size_t)p->latent_rank, dim = (size_t)p->rope_dim;
  snapmla_status status = SNAPMLA_OK;
  uint16_t *latent = malloc((rank + dim) * sizeof *latent);
  if (!latent) return smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for a token");
  uint16_t *rope = latent + rank;
  memset(host->owned_kv, 0xff, (size_t)(host->pages + 1) * (size_t)work->page_stride);
  const snapmla_cache cache = {sizeof cache, host->owned_kv, work->page_stride, host->pages + 1, work->kv_scale};
  for (int32_t t = 0; t < host->length && !status; ++t) {
    smla_workload_token(work, request, t, latent, rope);
    for (size_t c = 0; c < rank; ++c) host->latent[(size_t)t * rank + c] = smla_widen_bf16(latent[c]);
    for (size_t c = 0; c < dim; ++c) host->rope[(size_t)t * dim + c] = smla_widen_bf16(rope[c]);
    status = smla_library_status(snapmla_cache_write(p, &cache, t, latent, rope));
  }
  free(latent);
  host->kv = host->owned_kv;
  host->kv_pages = host->pages + 1;
  for (int64_t i = 0; i < host->pages; ++i) host->block_table[i] = (int32_t)i;
  return status;
}

/* Bytes of the device's pages that differ. */
static snapmla_status compare_cache(const smla_session *session, int32_t request, const host_request *host,
                                    int64_t *wrong) {
  const smla_workload *work = session->work;
  size_t stride = (size_t)work->page_stride;
  snapmla_status status = SNAPMLA_OK;
  uint8_t *page = malloc(stride);
  if (!page) return smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for a page");
  for (int64_t i = 0; i < host->pages && !status; ++i) {
    const uint8_t *expected = host->kv + (size_t)i * stride;
    status = smla_session_read_page(session, work->block_table[request * work->table_stride + i], page);
    if (status || !memcmp(page, expected, stride)) continue;
    for (size_t k = 0; k < stride; ++k) *wrong += page[k] != expected[k];
  }
  free(page);
  return status;
}

/* The lists of the request, in slots of the host's cache: where the reference wrote it, a token's number. */
static void write_lists(const smla_workload *work, int32_t step, int32_t request, const host_request *host) {
  int32_t q_len = work->problem.q_len, entries = work->problem.max_indices;
  for (int32_t q = 0; q < q_len && entries; ++q) {
    int32_t count = host->indices[q_len * entries + q] = smla_workload_count(work, step, request, q);
    for (int32_t i = 0; i < count; ++i) {
      int32_t token = smla_workload_chosen(work, step, request, q, i);
      host->indices[q * entries + i] = work->kv ? (int32_t)smla_workload_slot(work, request, token) : token;
    }
  }
}

static snapmla_decode_args args_of(const smla_workload *work, const host_request *host, const int32_t *length) {
  int64_t heads = work->problem.heads, rank = work->problem.latent_rank, dim = work->problem.rope_dim;
  int64_t q_len = work->problem.q_len, entries = work->problem.max_indices;
  return (snapmla_decode_args){.size = sizeof(snapmla_decode_args),
                               .batch = 1,
                               .q_nope = host->q_nope,
                               .q_nope_stride_batch = host->values,
                               .q_nope_stride_token = heads * rank,
                               .q_nope_stride_head = rank,
                               .q_rope = host->q_rope,
                               .q_rope_stride_batch = host->rows * dim,
                               .q_rope_stride_token = heads * dim,
                               .q_rope_stride_head = dim,
                               .kv = host->kv,
                               .page_stride = work->page_stride,
                               .num_pages = host->kv_pages,
                               .block_table = host->block_table,
                               .block_table_stride = host->pages ? host->pages : 1,
                               .seqlens = length,
                               .indices = host->indices,
                               .indices_stride_token = entries,
                               .indices_stride_batch = q_len * entries,
                               .index_counts = host->indices ? host->indices + q_len * entries : NULL,
                               .softmax_scale = (float)work->softmax_scale,
                               .kv_scale = work->kv_scale};
}

/* |a - b| / |b|; two zeros are equal, and only they are near zero. */
static double relative(const double *a, const double *b, int64_t count) {
  double difference = 0, norm = 0;
  for (int64_t i = 0; i < count; ++i) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    norm += b[i] * b[i];
  }
  if (norm > 0) return sqrt(difference / norm);
  return difference > 0 || isnan(difference) ? INFINITY : isnan(norm) ? NAN : 0;
}

static void compare_lse(const host_request *host, const smla_limits *limits, const float *lse,
                        smla_distance *distance) {
  for (int64_t i = 0; i < host->rows; ++i) {
    double expected = host->lse[i], got = (double)lse[i];
    if (isinf(expected) && got == expected) continue;
    if (!isfinite(got)) ++distance->not_finite;
    double difference = fabs(got - expected);
    distance->lse_abs = worse(distance->lse_abs, difference);
    distance->lse_ratio =
        worse(distance->lse_ratio, difference / (limits->lse_absolute + limits->lse_per_logit * distance->max_logit));
  }
}

/* Square of how far the oracle's result varies about the values' mean, by its own norm; at most 1. */
static double variation2(const host_request *host, const smla_limits *limits) {
  double about_mean = 0, norm = 0;
  for (int64_t i = 0; i < host->values; ++i) {
    about_mean += (host->out[i] - limits->value_offset) * (host->out[i] - limits->value_offset);
    norm += host->out[i] * host->out[i];
  }
  return norm > 0 && about_mean < norm ? about_mean / norm : 1;
}

/* What rounding the oracle's output to bf16 costs, relative L2, squared. */
static double output_rounding2(const host_request *host) {
  double difference = 0, norm = 0;
  for (int64_t i = 0; i < host->values; ++i) {
    double rounded = (double)smla_widen_bf16(smla_narrow_bf16((float)host->out[i]));
    difference += (rounded - host->out[i]) * (rounded - host->out[i]);
    norm += host->out[i] * host->out[i];
  }
  return norm > 0 ? difference / norm : 0;
}

/* Against the oracle of the same quantised data in host->out, and the one that rounds P in host->exact_out, where the level
 * has one. The limits are those that check.h tells. */
static void compare_out(const smla_workload *work, const smla_limits *limits, const host_request *host,
                        const double *got, const smla_logits *logits, smla_distance *distance) {
  int64_t rank = work->problem.latent_rank;
  double v2 = variation2(host, limits), price2 = v2 * limits->mean_zero * limits->mean_zero;
  distance->rel_l2 = relative(got, host->out, host->values);
  double limit2 = price2 + (1 - v2) * limits->least * limits->least;
  if (limits->output_rounding > 0)
    limit2 += output_rounding2(host) - v2 * limits->output_rounding * limits->output_rounding;
  distance->rel_l2_limit = sqrt(limit2);
  distance->rel_l2_ratio = distance->rel_l2 / distance->rel_l2_limit;
  distance->rel_l2_rounded = NAN;
  if (limits->rounded > 0) {
    distance->rel_l2_rounded = relative(got, host->exact_out, host->values);
    distance->rounded_ratio =
        distance->rel_l2_rounded / sqrt(limits->rounded * limits->rounded + logits->share * price2);
  }
  for (int64_t r = 0; r < host->rows; ++r)
    distance->row_rel_l2 = worse(distance->row_rel_l2, relative(got + r * rank, host->out + r * rank, rank));
}

static snapmla_status prepare(const smla_session *session, int32_t step, int32_t request, host_request *host,
                              smla_distance *distance) {
  const smla_workload *work = session->work;
  snapmla_status status = allocate(work, step, request, host);
  if (status) return status;
  smla_workload_query(work, step, request, host->q_nope, host->q_rope);
  write_lists(work, step, request, host);
  if (work->kv) {
    host->kv = work->kv;
    host->kv_pages = work->num_pages;
    memcpy(host->block_table, work->block_table + request * work->table_stride, (size_t)host->pages * sizeof(int32_t));
    return SNAPMLA_OK;
  }
  status = write_cache(work, request, host);
  if (!status) status = compare_cache(session, request, host, &distance->cache_wrong);
  return status;
}

snapmla_status smla_check_request(const smla_session *session, const smla_limits *limits, int32_t step, int32_t request,
                                  const uint16_t *out, const float *lse, smla_distance *distance) {
  const smla_workload *work = session->work;
  const snapmla_problem *p = &work->problem;
  static const int64_t first_row = 0;
  host_request host = {0};
  smla_logits logits;
  double *got = NULL;
  *distance = smla_distance_none();
  distance->requests = 1;
  snapmla_status status = prepare(session, step, request, &host, distance);
  if (status) goto out;
  got = malloc((size_t)host.values * sizeof *got);
  if (!got) {
    status = smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for a result");
    goto out;
  }
  for (int64_t i = 0; i < host.values; ++i) {
    got[i] = (double)smla_widen_bf16(out[i]);
    distance->not_finite += !isfinite(got[i]);
  }
  snapmla_decode_args args = args_of(work, &host, &host.length);
  float sinks[SMLA_MOST_HEADS];
  smla_workload_sinks(work, sinks);
  if (p->flags & SNAPMLA_PROBLEM_SINKS) args.sinks = sinks;
  if (limits->rounded > 0)
    status = smla_library_status(
        snapmla_reference_decode(p, &args, SNAPMLA_REFERENCE_ROUNDED_P, host.exact_out, host.exact_lse));
  if (status) goto out;
  status = smla_library_status(snapmla_reference_decode(p, &args, SNAPMLA_REFERENCE_QUANTIZED, host.out, host.lse));
  if (status) goto out;
  status = smla_check_logits(work, &args, host.length, host.lse, &logits);
  if (status) goto out;
  distance->max_logit = logits.largest;
  compare_out(work, limits, &host, got, &logits, distance);
  compare_lse(&host, limits, lse, distance);
  if (host.latent && host.length) {
    status = smla_library_status(
        snapmla_reference_decode_dense(p, &args, host.latent, host.rope, &first_row, host.exact_out, host.exact_lse));
    if (!status) distance->quantization = relative(host.out, host.exact_out, host.values);
  }
out:
  free(got);
  free_request(&host);
  return status;
}
