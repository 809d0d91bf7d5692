/* The decode benchmark: shapes, a cache to read, one shape's times, and what they are held against. */
#ifndef SMLA_BENCH_DECODE_H
#define SMLA_BENCH_DECODE_H

#include "bench.h"

enum { LATENT = 512, ROPE = 64, PAGE_TOKENS = 64, SHAPES = 128, SHAPE_Q_LEN = 128 };

/* --- shapes and targets (shapes.c) */

typedef struct shape {
  const char *set; /* "target", "matrix", "context", "speculative", "small" or "one" */
  int32_t batch, heads, tokens;
  int32_t top;                  /* tokens that each query token chooses among those; 0: all that it sees, by pages */
  int32_t q_len;                /* query tokens of each request, the last of its tokens; 1 .. SHAPE_Q_LEN, <= tokens */
  int32_t shared;               /* tokens that all requests have in common, their first, in the same whole pages */
  float sigma;                  /* of the logits; 0: what a softmax scale of 1 / sqrt(192) gives, 1.67 */
  double target_us, stretch_us; /* 0: none */
  snapmla_kv_format format;
  snapmla_accuracy accuracy;
} shape;

typedef struct shape_list {
  shape at[SHAPES];
  size_t count;
} shape_list;

/* The rows of a targets file. Errors: IO, INVALID_ARGUMENT (with the line). */
snapmla_status shapes_read(shape_list *list, const char *path);
void shapes_add_matrix(shape_list *list);  /* 640 x 128, 8192 x 64, 33280 x 64, at batch 1, 2, 4, ... 128 */
void shapes_add_context(shape_list *list); /* batch 1 and 32, 16, 64 and 128 heads, 1K, 2K, 4K, ... 128K tokens */
/* Several query tokens: 16, 64 and 128 heads x 2 and 4 at batch 1 and 32 of 8K tokens, and (1, 16, 128K) x 4. */
void shapes_add_speculative(shape_list *list);
void shapes_add_small(shape_list *list, int32_t q_len);
/* All shapes in this format and of this level, and, where q_len is not 0, with so many query tokens. Targets are of fp8_token, level
 * fast and one query token alone: others have none. */
void shapes_choose(shape_list *list, snapmla_kv_format format, snapmla_accuracy accuracy, int32_t q_len);
/* The number in "1" .. "128"; 0: another text. */
int32_t shape_q_len_read(const char *text);
/* All shapes with logits of this standard deviation, which the targets are not of: how often a row's largest score moves. */
void shapes_spread(shape_list *list, float sigma);
/* The number in "0.1" .. "16"; 0: another text. */
float shape_sigma_read(const char *text);
/* All shapes with this many tokens in common: a prompt that all requests begin with. Targets are of none. Error: INVALID_ARGUMENT where one is
 * shorter. */
snapmla_status shapes_share(shape_list *list, int32_t tokens);
/* The number in "64" .., a multiple of PAGE_TOKENS; 0: another text. */
int32_t shape_shared_read(const char *text);
/* What a plan of the shape is made for. Errors: as snapmla_problem_check; INVALID_ARGUMENT where a request is shorter than its query. */
snapmla_status shape_problem(const shape *s, snapmla_problem *out);
/* Batch, heads and tokens of "32,64,8192", and with `lists` how many tokens of each request a query chooses, of "32,64,8192,2048": one query token.
 * Error: INVALID_ARGUMENT (another text). */
snapmla_status shape_read(const char *text, int lists, shape *out);
/* Bytes of a page of 64 tokens, latent 512. */
int64_t format_page_bytes(snapmla_kv_format format);

/* What the device can do at best, of a CSV that snapmla-ceilings wrote; 0: not known. */
typedef struct ceilings {
  double gb_per_s, fp8_tflops, bf16_tflops;
} ceilings;
snapmla_status ceilings_read(ceilings *out, const char *path);

/* --- the cache (cache.c): pages of random tokens, shared by all shapes */

typedef struct cache {
  bench_memory pages;
  int64_t count; /* pages */
} cache;
snapmla_status cache_open(bench *b, snapmla_kv_format format, int64_t pages, cache *out);
void cache_close(bench *b, cache *c);

/* --- one shape (subject.c) */

typedef struct subject {
  bench *b;
  shape shape;
  snapmla_plan *plan;
  bench_memory query, rope, table, lengths, indices, out, lse, workspace; /* lengths: of requests or lists */
  snapmla_decode_args args;
  unsigned parts;     /* of smla_plan_decode_parts; 0: the schedule */
  bench_graph *graph; /* being replayed */
  /* flush */
  const bench_kernel *flush;
  const bench_memory *flushed; /* its buffer, then its output word */
  size_t flush_bytes;
} subject;

/* Plan (by `options`, which may be NULL), data and schedule; decodes once. */
snapmla_status subject_open(bench *b, const cache *c, const shape *of, const snapmla_plan_options *options,
                            subject *out);
void subject_close(subject *s);
snapmla_status subject_launch(void *subject); /* bench_action: the parts */
snapmla_status subject_flush(void *subject);  /* bench_action: empties L2 */

/* A digest of the results; *finite is 0 where one is no finite number or the status word tells of a bad length or page.
 */
snapmla_status subject_results(const subject *s, uint64_t *digest, int *finite);

/* Tokens that the last query token of a request sees; with `top` each. */
int32_t shape_seen(const shape *s);
/* Rows of queries and of results: batch * q_len * heads. */
size_t shape_rows(const shape *s);
/* Pages that a request has, and those of all requests together. */
int64_t shape_pages(const shape *s);
int64_t shape_distinct_pages(const shape *s);
/* The most that one of `count` shapes needs for all its requests. */
int64_t shapes_most_pages(const shape *shapes, size_t count);
/* Bytes that a decode must move and arithmetic that it must do, causal, whatever its level adds to it. Pure. */
double shape_bytes(const shape *s);
double shape_fp8_flop(const shape *s);
double shape_bf16_flop(const shape *s);

#endif
