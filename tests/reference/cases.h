/* Small decode problems with everything around them poisoned. */
#ifndef SMLA_TESTS_REFERENCE_CASES_H
#define SMLA_TESTS_REFERENCE_CASES_H

#include <stdint.h>

#include <snapmla/reference.h>

enum { CASE_LENGTHS = 8 };

typedef struct case_shape {
  int32_t heads, q_len, latent_rank, page_tokens;
  int32_t batch;
  int32_t lengths[CASE_LENGTHS]; /* of the requests; with a larger batch they come again in turn */
  double logit_sigma;            /* of the logits, roughly */
  double value_mean;             /* added to every latent */
} case_shape;

/* A case owns its memory. Pages are shuffled; what no request holds is 0xff (NaN), as are the gaps between query rows;
 * block-table entries past a length are garbage. */
typedef struct decode_case {
  snapmla_problem problem;
  snapmla_decode_args args;
  snapmla_page_layout layout;
  int64_t kv_bytes;
  unsigned char *kv;
  uint16_t *query; /* [batch, q_len, heads][576 + 8] or [256 + 64 + 8]: content, then RoPE, then NaN */
  int32_t *block_table, *seqlens;
  uint16_t *latent, *rope; /* the unquantised rows, bf16, request after request */
  int64_t *row_of;
  double *out, *lse; /* room for a result: out_count and lse_count doubles */
  int64_t out_count, lse_count;
} decode_case;

decode_case case_create(const case_shape *shape, uint64_t seed);
void case_destroy(decode_case *c);

/* Decodes into c->out, c->lse, which are filled with a pattern first. */
void case_decode(decode_case *c, snapmla_reference_mode mode);

/* The address in the cache of the page that holds token t of request b. */
unsigned char *case_page(const decode_case *c, int32_t b, int32_t t);

/* Relative L2 distance of a from b. */
double relative_l2(const double *a, const double *b, int64_t count);

/* A standard normal number, and a uniform one in [0, 1). */
double random_normal(uint64_t *state);
double random_uniform(uint64_t *state);

#endif
