/* snapmla analyze: what quantising the latents of a layer does to the keys and values that its up-projection makes of them, and
 * to its attention. docs/accuracy.md proves the bounds. */
#ifndef SMLA_CLI_ANALYZE_H
#define SMLA_CLI_ANALYZE_H

#include <stdint.h>

#include <snapmla/problem.h>
#include <snapmla/status.h>

#include "settings.h"
#include "tensor.h"

/* One layer as read; all arrays are owned. A head's rows of `up` are its key's, then its value's. */
typedef struct smla_layer {
  int32_t number;                /* N of "layers.N." in the names, 0 without it */
  int32_t tokens, rank, rope;    /* rope: 64 zeros a token where the files have none */
  int32_t heads, content, value; /* channels of a head's key (without RoPE) and value */
  int32_t queries;
  int queries_given;            /* else probes were made */
  uint16_t *latent, *rope_rows; /* [tokens, rank], [tokens, rope] bf16 */
  double *up;                   /* [heads, content + value, rank]: column-major it is [rank, heads (content + value)] */
  uint16_t *q_nope, *q_rope;    /* absorbed: [queries, heads, rank], [queries, heads, rope] bf16 */
} smla_layer;

/* The tensors of a layer within the open files, NULL where there is none. */
typedef enum smla_layer_tensor {
  SMLA_LAYER_LATENT,     /* [tokens, rank], as cached */
  SMLA_LAYER_ROPE,       /* [tokens, rope], after RoPE; optional */
  SMLA_LAYER_KV_B,       /* [heads (content + value), rank] */
  SMLA_LAYER_KV_B_SCALE, /* of an FP8 kv_b_proj: [rows / 128, rank / 128], both rounded up */
  SMLA_LAYER_W_UK,       /* [heads, content, rank], in place of kv_b_proj */
  SMLA_LAYER_W_UV,       /* [heads, value, rank] */
  SMLA_LAYER_Q_NOPE,     /* [queries, heads, content], or absorbed [queries, heads, rank]; optional */
  SMLA_LAYER_Q_ROPE,     /* [queries, heads, rope]; optional */
  SMLA_LAYER_TENSORS
} smla_layer_tensor;

typedef struct smla_layer_files {
  smla_tensor_file *files;
  size_t file_count;
  int32_t *numbers; /* of the layers that have latents, ascending */
  size_t layer_count;
} smla_layer_files;

/* Opens the files of settings->operands and finds the layers. Errors: INVALID_ARGUMENT, NOT_FOUND, IO, BAD_FORMAT. */
snapmla_status smla_layer_files_open(const smla_settings *settings, smla_layer_files *out);
void smla_layer_files_close(smla_layer_files *files);
/* Reads a layer, queries included: with none in the files, probes of settings->queries per head are made whose logits over the
 * layer's tokens have the standard deviation settings->sigma (1). */
snapmla_status smla_layer_read(const smla_settings *settings, smla_layer_files *files, size_t index, smla_layer *out);
void smla_layer_free(smla_layer *layer);

/* A matrix of weights: of the whole layer, or of one head. */
typedef struct smla_up {
  double largest, least; /* singular values; `least` is the smallest that is not zero */
  int32_t matrix_rank;   /* how many are not zero */
  double cond;           /* largest / least where matrix_rank is the latent rank, else infinite */
  double cond_visible;   /* largest / least */
  double visible;        /* the part of the latents' norm that the matrix sees */
} smla_up;

/* Relative Frobenius norms over all tokens. */
typedef struct smla_errors {
  double latent;           /* of the latent: epsilon */
  double latent_visible;   /* of the part that the matrix sees */
  double bound;            /* cond_visible * latent_visible; where the rank is full, cond * latent */
  double bound_data;       /* latent * largest |C| / |C W|: no condition on W */
  double key, value, seen; /* of the keys, the values, both */
} smla_errors;

enum { SMLA_ANALYZE_LEVELS = 8, SMLA_ANALYZE_FORMATS = 16 };

/* A format and what it does to a layer. */
typedef struct smla_format_errors {
  snapmla_problem problem; /* of the format, level 0 */
  double bytes_per_token;
  float kv_scale;
  double rope, worst_token;  /* relative error of RoPE, and of the latent of the worst token */
  smla_errors layer, *heads; /* [heads], owned */
  int levels;
  snapmla_accuracy level[SMLA_ANALYZE_LEVELS];
  double attention[SMLA_ANALYZE_LEVELS];        /* relative L2 of the values that attention returns, all heads */
  double *attention_heads[SMLA_ANALYZE_LEVELS]; /* [heads] each, owned */
} smla_format_errors;

typedef struct smla_analysis {
  smla_up layer, *heads; /* [heads], owned */
  smla_format_errors formats[SMLA_ANALYZE_FORMATS];
  int format_count;
} smla_analysis;

/* Opens LAPACK. Errors: NOT_FOUND (there is none), UNSUPPORTED (a shape that no format takes), OUT_OF_MEMORY. */
snapmla_status smla_layer_analyze(const smla_settings *settings, const smla_layer *layer, smla_analysis *out);
void smla_analysis_free(smla_analysis *analysis);
/* Of one format: the layer's rows written and read back, [tokens, rank] and [tokens, rope] fp32, and with them the cache's bytes; the caller
 * frees all three. */
snapmla_status smla_layer_store(const smla_layer *layer, const smla_format_errors *format, float **latent, float **rope,
                                void **kv, int64_t *page_stride, int64_t *num_pages);
/* Fills level, attention and attention_heads of a format from the oracle. */
snapmla_status smla_layer_attend(const smla_settings *settings, const smla_layer *layer, smla_format_errors *format,
                                 const void *kv, int64_t page_stride, int64_t num_pages);
/* The cheapest format, and of it the first level, whose attention error is within `budget`: 0 and its place, or nonzero. */
int smla_analysis_recommend(const smla_analysis *analysis, double budget, int *format, int *level);

#endif
