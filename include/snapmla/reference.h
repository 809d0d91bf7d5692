/* The cache's layout and the double-precision oracle, in plain C on host memory. */
#ifndef SNAPMLA_REFERENCE_H
#define SNAPMLA_REFERENCE_H

#include <stddef.h>
#include <stdint.h>

#include <snapmla/export.h>
#include <snapmla/plan.h>
#include <snapmla/problem.h>
#include <snapmla/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where things lie in a page. Depends on format, page size, rank and RoPE dim alone; docs/format.md has the picture. */
typedef struct snapmla_page_layout {
  size_t size;          /* sizeof(snapmla_page_layout), set by the caller */
  int64_t page_bytes;   /* bytes of one page, a multiple of 128 */
  int64_t image_bytes;  /* bytes of one image, its padding included */
  int32_t image_tokens; /* 64, or the tokens of a smaller page */
  double bytes_per_token;
  char fingerprint[65]; /* hex, equal exactly where the layouts are */
} snapmla_page_layout;

/* Errors: INVALID_ARGUMENT, UNSUPPORTED. Thread-safe, as is everything here. */
SNAPMLA_API snapmla_status snapmla_page_layout_get(const snapmla_problem *problem, snapmla_page_layout *out);

/* Quantises and writes one token: latent [latent_rank] and rope [rope_dim] bf16, at `slot` of a host cache.
 * The bits are those that kv_append writes. Error: INVALID_ARGUMENT (slot outside the cache). */
SNAPMLA_API snapmla_status snapmla_page_write(const snapmla_problem *problem, void *kv, int64_t page_stride,
                                              int64_t num_pages, int64_t slot, const uint16_t *latent,
                                              const uint16_t *rope);

/* Reads one token back as fp32, dequantised: latent[c] = e4m3 * scale, rope[c] = stored * scale. */
SNAPMLA_API snapmla_status snapmla_page_read(const snapmla_problem *problem, const void *kv, int64_t page_stride,
                                             int64_t num_pages, int64_t slot, float *latent, float *rope);

/* What the oracle rounds. */
typedef enum snapmla_reference_mode {
  SNAPMLA_REFERENCE_QUANTIZED =
      0, /* the query as the problem's level quantises it, the cache as it is, exact arithmetic */
  /* Level fast alone (UNSUPPORTED elsewhere): P rounded to e4m3 as a kernel rounds it that does not split the request, from the scores that the tensor cores give
   * it (14 bits), so that the same P is rounded; exact from there on, and no yardstick of the scores. */
  SNAPMLA_REFERENCE_ROUNDED_P = 1,
  SNAPMLA_REFERENCE_EXACT_QUERY = 2 /* the quantised cache, the query as given */
} snapmla_reference_mode;

/* Decodes on the host in double precision, on all cores. `args` as for snapmla_plan_decode, all pointers to host
 * memory; out, lse, workspace and stream are not used. out_f64: [batch, q_len, heads, latent_rank], lse_f64:
 * [batch, heads, q_len] or NULL, both dense. A page number outside the cache within a length, or a bad length, gives
 * NaN. Errors: INVALID_ARGUMENT, UNSUPPORTED, OUT_OF_MEMORY. */
SNAPMLA_API snapmla_status snapmla_reference_decode(const snapmla_problem *problem, const snapmla_decode_args *args,
                                                    snapmla_reference_mode mode, double *out_f64, double *lse_f64);

/* The same from an unquantised cache: latent and rope as fp32 rows [tokens of all requests], token t of request b at
 * row row_of[b] + t. Adds nothing of the format: what quantisation costs is the distance to the above. The query is
 * taken as given; kv, block_table and their strides are not used, so a length is bad only if negative or over
 * max_context. */
SNAPMLA_API snapmla_status snapmla_reference_decode_dense(const snapmla_problem *problem,
                                                          const snapmla_decode_args *args, const float *latent,
                                                          const float *rope, const int64_t *row_of, double *out_f64,
                                                          double *lse_f64);

#ifdef __cplusplus
}
#endif
#endif
