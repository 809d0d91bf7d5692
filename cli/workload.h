/* What `run` and `verify` decode: requests, their tokens and queries, synthetic or from tensors, and the pages that
 * hold them. */
#ifndef SMLA_CLI_WORKLOAD_H
#define SMLA_CLI_WORKLOAD_H

#include <stdint.h>

#include <snapmla/problem.h>
#include <snapmla/reference.h>
#include <snapmla/status.h>

#include "data.h"
#include "problem.h"
#include "settings.h"
#include "tensor.h"

typedef struct smla_workload {
  snapmla_problem problem;
  snapmla_page_layout layout;
  smla_lengths lengths; /* after the last step; their number is the batch */
  int32_t steps;        /* decode steps, each adding q_len tokens */
  double softmax_scale;
  float kv_scale;      /* 0: 1 */
  double value_offset; /* of the values, as far as known: which limit of error holds */

  /* The cache: pages in a shuffled order, entries past a length garbage. */
  int64_t num_pages, page_stride /* bytes */, table_stride /* entries */;
  int32_t *block_table; /* [batch, table_stride]; owned */

  smla_data data; /* of what is not given below */
  /* Given tensors, owned, NULL where synthetic: q_nope [batch, q_len, heads, latent_rank], q_rope; latent [rows,
   * rank], rope, request after request, the first row of each in first_row; or kv [num_pages, page_stride] in place
   * of the two. */
  uint16_t *q_nope, *q_rope, *latent, *rope;
  int64_t *first_row;
  uint8_t *kv;

  smla_metadata *metadata; /* of the --input file, owned; goes into what is written */
  size_t metadata_count;
} smla_workload;

/* Makes a synthetic workload: `lengths` is taken over, `data` tells kind, sigma and offset. Errors: those of the
 * problem, OUT_OF_MEMORY. */
snapmla_status smla_workload_synthetic(const smla_settings *settings, smla_lengths *lengths, smla_data data,
                                       smla_workload *out);
/* Makes the workload of `run` from --input and the options that name one tensor each; what they leave open is
 * synthetic, made of `data`.
 * Errors: NOT_FOUND, IO, BAD_FORMAT, INVALID_ARGUMENT, OUT_OF_MEMORY. */
snapmla_status smla_workload_read(const smla_settings *settings, smla_data data, smla_workload *out);
void smla_workload_free(smla_workload *work);

/* The data that the options describe, `otherwise` where they do not. */
smla_data smla_workload_data(const smla_settings *settings, smla_data otherwise);
/* Fills the fields of work->data that follow from its problem, and the scale. */
void smla_workload_set_data(smla_workload *work, const smla_settings *settings);
/* Lays out pages and block table for the lengths; the rest of the workload is set. */
snapmla_status smla_workload_place(smla_workload *work, uint64_t seed);

/* Tokens of a request once step 0 … steps - 1 has appended its own; step -1: the prompt. */
int32_t smla_workload_length(const smla_workload *work, int32_t step, int32_t request);
/* Where a token is stored. */
int64_t smla_workload_slot(const smla_workload *work, int32_t request, int32_t token);
/* As smla_data_token and smla_data_query, from the tensors where they are given. Not for a stored cache's tokens. */
void smla_workload_token(const smla_workload *work, int32_t request, int32_t token, uint16_t *latent, uint16_t *rope);
void smla_workload_query(const smla_workload *work, int32_t step, int32_t request, uint16_t *nope, uint16_t *rope);
/* The index lists of sparse decoding (problem.max_indices): entries of query token `query`'s list, all that it may see or
 * max_indices of them; and the token that an entry chooses, each at most once, the first token first. */
int32_t smla_workload_count(const smla_workload *work, int32_t step, int32_t request, int32_t query);
int32_t smla_workload_chosen(const smla_workload *work, int32_t step, int32_t request, int32_t query, int32_t entry);
/* The sinks of a problem that has them, [heads]: about what the tokens of a request of max_context weigh together, e times as
 * much and as little; of every fourth head -inf, which is none. A function of the problem alone: a step's lengths do not change them. */
enum { SMLA_MOST_HEADS = 128 };
void smla_workload_sinks(const smla_workload *work, float sinks[SMLA_MOST_HEADS]);
/* Bytes that one decode call at the last step must move: for each request ceil(length / 64) images, in sparse decoding
 * the tokens chosen, its query and output. */
int64_t smla_workload_bytes(const smla_workload *work);

/* Fails with OUT_OF_MEMORY when this machine's memory is smaller than `bytes`: better than being killed later. */
snapmla_status smla_memory_check(const char *what, int64_t bytes);

#endif
