/* A layer's weights, tokens and queries on the host, random but the same everywhere. */
#ifndef SMLA_TESTS_REFERENCE_LAYER_CASE_H
#define SMLA_TESTS_REFERENCE_LAYER_CASE_H

#include <stddef.h>
#include <stdint.h>

#include <snapmla/layer.h>

enum { LAYER_CASE_REQUESTS = 16 };

typedef struct layer_case {
  snapmla_layer_problem problem;
  int32_t batch, lengths[LAYER_CASE_REQUESTS];
  int64_t tokens;           /* of all requests */
  uint16_t *latent, *rope;  /* [tokens] rows, as the projection gives them */
  int32_t *token_positions; /* [tokens] */
  int64_t row_of[LAYER_CASE_REQUESTS];
  uint16_t *q;        /* [batch * q_len, heads, nope + rope] */
  int32_t *positions; /* [batch * q_len] */
  void *kv_b;
  float *kv_b_scale, *table;
  uint16_t *norm;
  void *o; /* with problem.hidden_size */
  float *o_scale;
  size_t kv_b_bytes, scale_count, table_count, q_count, o_bytes, o_scale_count;
  snapmla_layer_weights weights; /* of the above */
  snapmla_layer_args args;       /* for snapmla_reference_layer */
} layer_case;

/* Makes the data of problem, batch and lengths, which are set. Fails the running test on an error. */
void layer_case_create(layer_case *c, uint64_t seed);
void layer_case_destroy(layer_case *c);

/* The rows that append makes of the tokens, unquantised: latent [tokens, latent_rank], rope [tokens, rope_dim]. The caller frees. */
void layer_case_rows(const layer_case *c, float **latent, float **rope);

/* Elements of a token's result: the values of all heads, or the output. */
size_t layer_case_width(const layer_case *c);

/* Relative L2 of `count` bf16 values against doubles. */
double layer_case_distance(const uint16_t *values, const double *expected, size_t count);

#endif
