/* One shape, ready to be timed. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ceiling_flush/params.h"
#include "decode.h"
#include "narrow_float.h"
#include "plan_object.h"
#include "status.h"

static uint32_t next_random(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(*state >> 32);
}

/* Host bytes, which it frees, into new device memory. */
static snapmla_status upload(bench *b, void *bytes, size_t count, bench_memory *out) {
  snapmla_status status = bytes ? SNAPMLA_OK : smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: %zu bytes", count);
  if (!status) status = bench_memory_open(b, count, out);
  if (!status) status = b->device->ops->copy_in(b->device, out->pointer, bytes, count);
  free(bytes);
  return status;
}

static void *random_bf16(size_t count, float scale, uint64_t seed) {
  uint16_t *values = malloc(count * sizeof *values);
  for (size_t i = 0; values && i < count; i++)
    values[i] = smla_bf16_from_float(scale * ((float)next_random(&seed) / 2147483648.0f - 1));
  return values;
}

/* Pages of the whole cache in random order, as many as the shape needs; those of what requests share are the first one's. */
static void *random_table(const shape *of, size_t available) {
  const size_t row = (size_t)shape_pages(of), needed = row * (size_t)of->batch;
  uint64_t state = 21;
  int32_t *pages = malloc(available * sizeof *pages);
  for (size_t i = 0; pages && i < available; i++) {
    size_t other = next_random(&state) % (i + 1);
    pages[i] = pages[other];
    pages[other] = (int32_t)i;
  }
  int32_t *table = pages ? realloc(pages, needed * sizeof *table) : NULL;
  if (!table) free(pages);
  for (size_t i = row; table && i < needed; i++)
    if (i % row < (size_t)of->shared / PAGE_TOKENS) table[i] = table[i % row];
  return table;
}

/* Of `count` requests or lists. */
static void *equal_lengths(const shape *of, size_t count) {
  int32_t *lengths = malloc(count * sizeof *lengths);
  for (size_t i = 0; lengths && i < count; i++) lengths[i] = shape_seen(of);
  return lengths;
}

/* A list for each query token: some of its request's tokens, each once, in random order; [batch, q_len, shape_seen] slots. */
static int32_t *random_lists(const shape *of, const int32_t *table, size_t pages) {
  uint64_t state = 22;
  size_t seen = (size_t)shape_seen(of);
  size_t queries = (size_t)of->batch * (size_t)of->q_len;
  int32_t *lists = malloc(queries * seen * sizeof *lists);
  int32_t *tokens = malloc((size_t)of->tokens * sizeof *tokens);
  for (int32_t i = 0; tokens && i < of->tokens; i++) tokens[i] = i;
  for (size_t q = 0; lists && tokens && q < queries; q++)
    for (size_t i = 0; i < seen; i++) {
      size_t other = i + next_random(&state) % ((size_t)of->tokens - i);
      int32_t token = tokens[other];
      tokens[other] = tokens[i];
      tokens[i] = token;
      lists[q * seen + i] =
          table[q / (size_t)of->q_len * pages + (size_t)token / PAGE_TOKENS] * PAGE_TOKENS + token % PAGE_TOKENS;
    }
  if (!tokens) free(lists), lists = NULL;
  free(tokens);
  return lists;
}

/* In place of table and lengths. */
static snapmla_status make_lists(subject *s, size_t available) {
  size_t entries = (size_t)s->shape.batch * (size_t)s->shape.q_len * (size_t)shape_seen(&s->shape);
  int32_t *table = random_table(&s->shape, available);
  snapmla_status status = upload(s->b, table ? random_lists(&s->shape, table, (size_t)shape_pages(&s->shape)) : NULL,
                                 entries * sizeof(int32_t), &s->indices);
  free(table);
  s->args.block_table = s->args.seqlens = NULL;
  s->args.indices = (const int32_t *)(void *)s->indices.pointer;
  s->args.indices_stride_token = shape_seen(&s->shape);
  s->args.indices_stride_batch = s->shape.q_len * s->args.indices_stride_token;
  s->args.index_counts = (const int32_t *)(void *)s->lengths.pointer;
  return status;
}

/* Query and cache are random numbers of standard deviation 0.981, 576 of them each: their products sum to 23.1. */
static float softmax_scale(const shape *of) {
  return of->sigma > 0 ? of->sigma / 23.1f : 0.0721687836f /* 1 / sqrt(192) */;
}

static snapmla_status make_data(subject *s, const cache *c) {
  const shape *of = &s->shape;
  bench *b = s->b;
  size_t rows = shape_rows(of), needed = (size_t)(of->batch * shape_pages(of)),
         lengths = (size_t)of->batch * (size_t)(of->top ? of->q_len : 1);
  snapmla_status status = upload(b, random_bf16(rows * LATENT, 1.7f, 31), rows * LATENT * 2, &s->query);
  if (!status) status = upload(b, random_bf16(rows * ROPE, 1.7f, 32), rows * ROPE * 2, &s->rope);
  if (!status) status = upload(b, random_table(of, (size_t)c->count), needed * 4, &s->table);
  if (!status) status = upload(b, equal_lengths(of, lengths), lengths * 4, &s->lengths);
  if (!status) status = bench_memory_open(b, rows * LATENT * 2, &s->out);
  if (!status) status = bench_memory_open(b, rows * 4, &s->lse);
  if (!status) status = bench_memory_open(b, snapmla_plan_workspace_bytes(s->plan), &s->workspace);
  int64_t heads = of->heads, q_len = of->q_len;
  s->args = (snapmla_decode_args){.size = sizeof s->args,
                                  .batch = of->batch,
                                  .q_nope = s->query.pointer,
                                  .q_nope_stride_batch = q_len * heads * LATENT,
                                  .q_nope_stride_token = heads * LATENT,
                                  .q_nope_stride_head = LATENT,
                                  .q_rope = s->rope.pointer,
                                  .q_rope_stride_batch = q_len * heads * ROPE,
                                  .q_rope_stride_token = heads * ROPE,
                                  .q_rope_stride_head = ROPE,
                                  .kv = c->pages.pointer,
                                  .page_stride = format_page_bytes(of->format),
                                  .num_pages = c->count,
                                  .block_table = (const int32_t *)(void *)s->table.pointer,
                                  .block_table_stride = shape_pages(of),
                                  .seqlens = (const int32_t *)(void *)s->lengths.pointer,
                                  .out = s->out.pointer,
                                  .out_stride_batch = q_len * heads * LATENT,
                                  .out_stride_token = heads * LATENT,
                                  .out_stride_head = LATENT,
                                  .lse = (float *)(void *)s->lse.pointer,
                                  .lse_stride_batch = q_len * heads,
                                  .lse_stride_head = q_len,
                                  .lse_stride_token = 1,
                                  .softmax_scale = softmax_scale(of),
                                  .workspace = s->workspace.pointer,
                                  .workspace_bytes = snapmla_plan_workspace_bytes(s->plan),
                                  .stream = b->stream};
  return status || !of->top ? status : make_lists(s, (size_t)c->count);
}

snapmla_status subject_open(bench *b, const cache *c, const shape *of, const snapmla_plan_options *options,
                            subject *out) {
  snapmla_problem problem;
  *out = (subject){.b = b, .shape = *of, .parts = SMLA_PART_QUERY | SMLA_PART_ATTEND | SMLA_PART_COMBINE};
  snapmla_status status = shape_problem(of, &problem);
  if (!status) status = snapmla_plan_create(b->context, &problem, options, &out->plan);
  if (!status) status = make_data(out, c);
  if (!status) status = snapmla_plan_schedule(out->plan, &out->args);
  if (!status) status = subject_launch(out);
  return status ? status : b->device->ops->stream_synchronize(b->device, b->stream);
}

void subject_close(subject *s) {
  bench_memory *all[] = {&s->query, &s->rope, &s->table, &s->lengths, &s->indices, &s->out, &s->lse, &s->workspace};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) bench_memory_close(s->b, all[i]);
  snapmla_plan_destroy(s->plan);
  s->plan = NULL;
}

snapmla_status subject_launch(void *user) {
  subject *s = user;
  if (!s->parts) return snapmla_plan_schedule(s->plan, &s->args);
  return smla_plan_decode_parts(s->plan, &s->args, s->parts);
}

snapmla_status subject_flush(void *user) {
  subject *s = user;
  const struct ceiling_flush_params params = {
      s->flushed->pointer, (unsigned *)(void *)(s->flushed->pointer + s->flush_bytes), s->flush_bytes};
  return bench_launch(s->b, s->flush, 2 * (uint32_t)s->b->info.multiprocessors, 0, &params);
}

snapmla_status subject_results(const subject *s, uint64_t *digest, int *finite) {
  size_t rows = shape_rows(&s->shape), count = rows * LATENT;
  uint16_t *out = malloc(count * sizeof *out);
  float *lse = malloc(rows * sizeof *lse);
  uint32_t problems = 0;
  uint64_t hash = 14695981039346656037u;
  snapmla_status status = out && lse ? SNAPMLA_OK : smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: results");
  const smla_device_ops *ops = s->b->device->ops;
  if (!status) status = ops->copy_out(s->b->device, out, s->out.pointer, count * sizeof *out);
  if (!status) status = ops->copy_out(s->b->device, lse, s->lse.pointer, rows * sizeof *lse);
  if (!status) status = ops->copy_out(s->b->device, &problems, s->workspace.pointer, sizeof problems);
  *finite = !problems;
  for (size_t i = 0; i < count && !status; i++) {
    hash = (hash ^ out[i]) * 1099511628211u;
    *finite &= (out[i] & 0x7f80) != 0x7f80;
  }
  for (size_t i = 0; i < rows && !status; i++) *finite &= isfinite(lse[i]) != 0;
  *digest = hash;
  free(out), free(lse);
  return status;
}
