#include "fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "env.h"
#include "narrow_float.h"

#define must(call)                                                                                             \
  do {                                                                                                         \
    snapmla_status must_status = (call);                                                                       \
    if (must_status) fail_msg("%s: %s: %s", #call, snapmla_status_text(must_status), snapmla_error_message()); \
  } while (0)

/* --- random numbers ------------------------------------------------------------------------------------------------ */

static uint64_t next_random(uint64_t *state) { /* splitmix64 */
  uint64_t z = (*state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

static double next_normal(uint64_t *state) { /* twelve uniforms: no libm, same everywhere */
  double sum = -6.0;
  for (int i = 0; i < 12; ++i) sum += (double)(next_random(state) >> 11) * 0x1p-53;
  return sum;
}

/* --- data ------------------------------------------------------------------------------------------------------------ */

typedef struct data {
  int32_t tokens, pages, pages_per_request;
  uint16_t *latent, *rope; /* [tokens of all requests] rows */
  int64_t *slots;
  int32_t *block_table;
  int32_t *seqlens;
  int32_t *indices, *counts; /* [batch * q_len][list_stride], [batch * q_len]; NULL unless sparse */
  uint16_t *q_nope, *q_rope;
  float softmax_scale;
} data;

static void *array(size_t count, size_t size) {
  void *p = calloc(count ? count : 1, size);
  assert_non_null(p);
  return p;
}

static data make_data(const decode_case *c) {
  const snapmla_problem *p = &c->problem;
  data d = {0};
  uint64_t random = c->seed * 2654435761u + 12345;
  int32_t longest = 0;
  for (int32_t b = 0; b < c->batch; ++b) {
    d.tokens += c->lengths[b];
    if (c->lengths[b] > longest) longest = c->lengths[b];
  }
  d.pages_per_request = longest / p->page_tokens + 2;
  d.pages = d.tokens / p->page_tokens + c->batch + 3;
  d.latent = array((size_t)d.tokens * (size_t)p->latent_rank, 2);
  d.rope = array((size_t)d.tokens * (size_t)p->rope_dim, 2);
  d.slots = array((size_t)d.tokens, sizeof *d.slots);
  d.block_table = array((size_t)(c->batch * d.pages_per_request), sizeof *d.block_table);
  d.seqlens = array((size_t)c->batch, sizeof *d.seqlens);

  int32_t *free_pages = array((size_t)d.pages, sizeof *free_pages);
  for (int32_t i = 0; i < d.pages; ++i) free_pages[i] = i;
  for (int32_t i = d.pages - 1; i > 0; --i) {
    int32_t j = (int32_t)(next_random(&random) % (uint64_t)(i + 1)), page = free_pages[i];
    free_pages[i] = free_pages[j];
    free_pages[j] = page;
  }
  int32_t used = 0, token = 0;
  for (int32_t b = 0; b < c->batch; ++b) {
    int32_t *table = d.block_table + b * d.pages_per_request;
    d.seqlens[b] = c->lengths[b];
    for (int32_t i = 0; i < d.pages_per_request; ++i) /* garbage past the length */
      table[i] = i * p->page_tokens < c->lengths[b] ? free_pages[used++] : (i % 2 ? -77777 : 0x7fffff00);
    for (int32_t t = 0; t < c->lengths[b]; ++t)
      d.slots[token++] = (int64_t)table[t / p->page_tokens] * p->page_tokens + t % p->page_tokens;
  }
  free(free_pages);

  size_t rows = (size_t)(c->batch * p->q_len * p->heads);
  d.q_nope = array(rows * (size_t)p->latent_rank, 2);
  d.q_rope = array(rows * (size_t)p->rope_dim, 2);
  double sigma = c->kind == data_uniform ? 0.01 : c->kind == data_sink || c->kind == data_empty ? 0.3 : c->sigma;
  /* Unit values around 1 would be off by 0.025 / sqrt(effective tokens) whatever the kernel: P has four bits. */
  double spread = c->value_mean != 0.0 ? 0.2 : 1.0;
  double magnitude = c->magnitude != 0.0 ? c->magnitude : 1.0;
  const double content = c->kind == data_peak ? 0.0 : 1.0; /* what the content has of the logits */
  d.softmax_scale = (float)(sigma / sqrt(p->latent_rank * spread * spread * content + p->rope_dim) / magnitude);
  for (size_t i = 0; i < rows * (size_t)p->latent_rank; ++i)
    d.q_nope[i] = smla_bf16_from_float((float)(next_normal(&random) * content));
  for (size_t i = 0; i < rows * (size_t)p->rope_dim; ++i) {
    double x = next_normal(&random);
    if (c->kind == data_outlier && i % 8 == 3) x /= 1000.0;
    if ((c->kind == data_sink || c->kind == data_empty || c->kind == data_peak) && i % (size_t)p->rope_dim == 0)
      x = 1.0;
    d.q_rope[i] = smla_bf16_from_float((float)x);
  }
  for (size_t i = 0; i < (size_t)d.tokens * (size_t)p->latent_rank; ++i)
    d.latent[i] = smla_bf16_from_float((float)((next_normal(&random) * spread + c->value_mean) * magnitude));
  for (size_t i = 0; i < (size_t)d.tokens * (size_t)p->rope_dim; ++i) {
    double x = next_normal(&random) * magnitude;
    if (c->kind == data_outlier && i % 8 == 3) x *= 1000.0;
    d.rope[i] = smla_bf16_from_float((float)x);
  }
  if (c->kind == data_sink || c->kind == data_peak)
    for (int32_t b = 0, first = 0; b < c->batch; first += c->lengths[b++])
      if (c->lengths[b] > c->sink_at)
        d.rope[(size_t)(first + c->sink_at) * (size_t)p->rope_dim] = smla_bf16_from_float(
            (float)(c->kind == data_sink ? c->sigma * 0.6931472 : 4.2 * c->sigma + 4 * 0.6931472) / d.softmax_scale);
  for (int32_t t = 0; c->kind == data_empty && t < d.tokens; ++t) {
    uint16_t *rope = d.rope + (size_t)t * (size_t)p->rope_dim;
    rope[0] = smla_bf16_from_float((float)c->sigma * 0.6931472f / d.softmax_scale);
    if (t % 3 != 1) continue;
    memset(rope, 0, (size_t)p->rope_dim * sizeof *rope);
    memset(d.latent + (size_t)t * (size_t)p->latent_rank, 0, (size_t)p->latent_rank * sizeof *d.latent);
  }
  return d;
}

static void free_data(data *d) {
  free(d->latent), free(d->rope), free(d->slots), free(d->block_table), free(d->seqlens), free(d->q_nope),
      free(d->q_rope), free(d->indices), free(d->counts);
}

/* --- lists ------------------------------------------------------------------------------------------------------------- */

static int32_t queries_of(const decode_case *c) { return c->batch * c->problem.q_len; }

/* Lists are not dense, and what lies between and behind them must not be read. */
static int32_t list_stride(const decode_case *c) { return c->problem.max_indices + 3; }

static void make_lists(const decode_case *c, data *d) {
  d->indices = array((size_t)(queries_of(c) * list_stride(c)), sizeof *d->indices);
  d->counts = array((size_t)queries_of(c), sizeof *d->counts);
  for (int32_t i = 0; i < queries_of(c) * list_stride(c); ++i) d->indices[i] = i % 2 ? -77777 : 0x7fffff00;
  const int64_t *slots = d->slots;
  for (int32_t b = 0; b < c->batch; slots += c->lengths[b++])
    for (int32_t q = b * c->problem.q_len; q < (b + 1) * c->problem.q_len; ++q)
      d->counts[q] = c->fill_list(q, slots, c->lengths[b], d->indices + q * list_stride(c));
}

static int is_listed(const decode_case *c, const data *d, int64_t slot) {
  for (int32_t q = 0; q < queries_of(c); ++q)
    for (int32_t i = 0; i < d->counts[q] && i < c->problem.max_indices; ++i)
      if (d->indices[q * list_stride(c) + i] == slot) return 1;
  return 0;
}

/* What no list names becomes NaN. */
static void poison_unlisted(const decode_case *c, const data *d, uint8_t *cache, int64_t page_stride) {
  uint16_t row[512];
  memset(row, 0xff, sizeof row);
  for (int32_t t = 0; t < d->tokens; ++t)
    if (!is_listed(c, d, d->slots[t]))
      must(snapmla_page_write(&c->problem, cache, page_stride, d->pages, d->slots[t], row, row));
}

/* --- the device's copy ------------------------------------------------------------------------------------------------ */

static snapmla_buffer *upload(snapmla_context *context, const void *source, size_t bytes) {
  snapmla_buffer *buffer;
  must(snapmla_buffer_create(context, bytes ? bytes : 16, &buffer));
  if (bytes) must(snapmla_buffer_write(buffer, 0, source, bytes));
  return buffer;
}

/* --- comparison --------------------------------------------------------------------------------------------------------- */

/* A request with more pages than the table has entries. */
static int outgrows_table(const decode_case *c, int32_t request) {
  return c->table_entries && c->lengths[request] > c->table_entries * c->problem.page_tokens;
}

static int is_nan(const decode_case *c, int32_t query) {
  const int32_t request = query / c->problem.q_len;
  return query == c->nan_query || request == c->bad_page_request || outgrows_table(c, request);
}

/* How many tokens a row may see, at most. */
static int32_t tokens_of(const decode_case *c, const snapmla_decode_args *host, int32_t query) {
  return c->problem.max_indices ? host->index_counts[query] : c->lengths[query / c->problem.q_len];
}

/* The largest |logit| of each row bounds the lse's error; here |lse| + ln(length) stands for it. */
static void compare(const decode_case *c, const snapmla_decode_args *host, decode_result *r) {
  const snapmla_problem *p = &c->problem;
  double *out = array(r->out_count, sizeof *out), *lse = array(r->lse_count, sizeof *lse);
  size_t per_request = r->out_count / (size_t)c->batch, per_query = per_request / (size_t)p->q_len,
         lse_per_request = r->lse_count / (size_t)c->batch;
  const int modes = p->accuracy == SNAPMLA_ACCURACY_FAST ? 2 : 1; /* the oracle that rounds P is of level fast */
  for (int mode = 0; mode < modes; ++mode) {
    must(snapmla_reference_decode(p, host, mode ? SNAPMLA_REFERENCE_ROUNDED_P : SNAPMLA_REFERENCE_QUANTIZED, out, lse));
    double worst = 0;
    for (int32_t b = 0; b < c->batch; ++b) {
      double error = 0, norm = 0, rounding = 0;
      for (size_t i = 0; i < per_request; ++i) {
        size_t at = (size_t)b * per_request + i;
        double value = smla_bf16_to_float(r->out[at]);
        if (is_nan(c, (int32_t)(at / per_query))) {
          assert_true(isnan(value) && isnan(out[at]));
          continue;
        }
        if (!isfinite(value)) fail_msg("request %d: element %zu is %g", b, i, value);
        error += (value - out[at]) * (value - out[at]);
        norm += out[at] * out[at];
        double rounded = smla_bf16_to_float(smla_bf16_from_float((float)out[at]));
        rounding += (rounded - out[at]) * (rounded - out[at]);
      }
      worst = fmax(worst, norm > 0 ? sqrt(error / norm) : sqrt(error));
      if (!mode && norm > 0) r->rel_l2_beyond = fmax(r->rel_l2_beyond, sqrt(fmax(error - rounding, 0) / norm));
    }
    *(mode ? &r->rel_l2_rounded : &r->rel_l2) = worst;
    for (size_t at = 0; at < r->lse_count && !mode; ++at) {
      double value = r->lse[at], expected = lse[at];
      int32_t query = (int32_t)(at / lse_per_request) * p->q_len + (int32_t)(at % (size_t)p->q_len);
      if (is_nan(c, query)) {
        assert_true(isnan(value) && isnan(expected));
      } else if (isinf(expected)) {
        assert_true(value == expected);
      } else {
        double excess = fabs(value - expected) / (1e-3 + 5e-4 * (fabs(expected) + log(tokens_of(c, host, query))));
        if (!(excess <= r->lse_excess)) r->lse_excess = excess;
      }
    }
  }
  free(out), free(lse);
}

/* --- the step --------------------------------------------------------------------------------------------------------- */

void decode_case_reshape(decode_case *c, const decode_shape *shape) {
  c->problem.heads = shape->heads;
  c->problem.q_len = shape->q_len;
  c->problem.latent_rank = shape->latent;
  c->problem.page_tokens = shape->page;
  c->variant = shape->variant;
}

decode_case decode_case_default(void) {
  decode_case c = {
      .batch = 1, .lengths = {65}, .sigma = 1.0, .seed = 1, .sms = 16, .bad_page_request = -1, .nan_query = -1};
  snapmla_problem_init(&c.problem);
  c.problem.heads = 16;
  c.problem.max_batch = max_requests;
  c.problem.max_context = 8192;
  return c;
}

static void append_all(snapmla_plan *plan, const decode_case *c, const data *d, snapmla_buffer *latent,
                       snapmla_buffer *rope, snapmla_buffer *slots, snapmla_buffer *kv, int64_t page_stride) {
  const snapmla_problem *p = &c->problem;
  /* a prompt, then single tokens, then the rest: chunks of any size are legal */
  for (int64_t done = 0, chunk = 37; done < d->tokens; done += chunk, chunk = chunk == 37 ? 1 : chunk * 3 + 1) {
    if (chunk > d->tokens - done) chunk = d->tokens - done;
    snapmla_append_args args = {
        .size = sizeof args, .tokens = chunk, .latent_stride = p->latent_rank, .rope_stride = p->rope_dim};
    args.latent = (uint16_t *)snapmla_buffer_pointer(latent) + done * p->latent_rank;
    args.rope = (uint16_t *)snapmla_buffer_pointer(rope) + done * p->rope_dim;
    args.slot_mapping = (int64_t *)snapmla_buffer_pointer(slots) + done;
    args.kv = snapmla_buffer_pointer(kv);
    args.page_stride = page_stride;
    args.num_pages = d->pages;
    args.kv_scale = c->kv_scale;
    must(snapmla_plan_append(plan, &args));
  }
}

/* What kv_append wrote must be what the reference writes, byte by byte, and nothing else may have changed. */
static void check_cache(const decode_case *c, const data *d, const uint8_t *cache, int64_t page_stride) {
  const snapmla_problem *p = &c->problem;
  size_t bytes = (size_t)d->pages * (size_t)page_stride;
  uint8_t *expected = array(bytes, 1);
  memset(expected, 0xff, bytes);
  const snapmla_cache host = {sizeof host, expected, page_stride, d->pages, c->kv_scale};
  for (int64_t t = 0; t < d->tokens; ++t)
    must(snapmla_cache_write(p, &host, d->slots[t], d->latent + t * p->latent_rank, d->rope + t * p->rope_dim));
  assert_memory_equal(cache, expected, bytes);
  free(expected);
}

uint64_t decode_case_orders(uint64_t orders) {
  const char *device = smla_env(SMLA_ENV_TEST_TARGET);
  return device && strcmp(device, "emulator") ? 1 : orders;
}

decode_result decode_case_run(const decode_case *c) {
  const snapmla_problem *p = &c->problem;
  data d = make_data(c);
  const char *device = smla_env(SMLA_ENV_TEST_TARGET);
  snapmla_context_options options = {.size = sizeof options,
                                     .device = device ? device : "emulator",
                                     .emulator_order = c->order,
                                     .emulator_seed = c->order_seed,
                                     .emulator_sms = c->sms};
  snapmla_context *context;
  must(snapmla_context_create(&options, &context));
  snapmla_plan_options plan_options = {.size = sizeof plan_options, .variant = c->variant};
  snapmla_plan *plan;
  must(snapmla_plan_create(context, p, &plan_options, &plan));
  snapmla_page_layout layout = {.size = sizeof layout};
  must(snapmla_page_layout_get(p, &layout));
  const int64_t page_stride = layout.page_bytes + 128; /* not dense */

  size_t q_rows = (size_t)(c->batch * p->q_len * p->heads);
  decode_result r = {.out_count = q_rows * (size_t)p->latent_rank, .lse_count = q_rows};
  r.out = array(r.out_count, 2);
  r.lse = array(r.lse_count, sizeof *r.lse);
  size_t cache_bytes = (size_t)d.pages * (size_t)page_stride;
  uint8_t *cache = array(cache_bytes, 1);
  memset(cache, 0xff, cache_bytes);

  snapmla_buffer *latent = upload(context, d.latent, (size_t)d.tokens * (size_t)p->latent_rank * 2);
  snapmla_buffer *rope = upload(context, d.rope, (size_t)d.tokens * (size_t)p->rope_dim * 2);
  snapmla_buffer *slots = upload(context, d.slots, (size_t)d.tokens * sizeof *d.slots);
  snapmla_buffer *kv = upload(context, cache, cache_bytes);
  append_all(plan, c, &d, latent, rope, slots, kv, page_stride);
  must(snapmla_buffer_read(kv, 0, cache, cache_bytes));
  check_cache(c, &d, cache, page_stride);

  if (c->bad_page_request >= 0) {
    int32_t *table = d.block_table + c->bad_page_request * d.pages_per_request;
    table[(c->lengths[c->bad_page_request] - 1) / p->page_tokens - c->bad_pages_back] = d.pages;
  }
  if (p->max_indices) {
    make_lists(c, &d);
    poison_unlisted(c, &d, cache, page_stride);
    must(snapmla_buffer_write(kv, 0, cache, cache_bytes));
  }
  snapmla_decode_args host = {.size = sizeof host,
                              .batch = c->batch,
                              .q_nope = d.q_nope,
                              .q_rope = d.q_rope,
                              .kv = cache,
                              .page_stride = page_stride,
                              .num_pages = d.pages,
                              .block_table = d.block_table,
                              .block_table_stride = d.pages_per_request,
                              .seqlens = d.seqlens,
                              .out = r.out,
                              .lse = r.lse,
                              .softmax_scale = d.softmax_scale,
                              .sinks = c->sinks,
                              .kv_scale = c->kv_scale};
  host.q_nope_stride_head = p->latent_rank;
  host.q_nope_stride_token = host.q_nope_stride_head * p->heads;
  host.q_nope_stride_batch = host.q_nope_stride_token * p->q_len;
  host.q_rope_stride_head = p->rope_dim;
  host.q_rope_stride_token = host.q_rope_stride_head * p->heads;
  host.q_rope_stride_batch = host.q_rope_stride_token * p->q_len;
  host.out_stride_head = host.q_nope_stride_head;
  host.out_stride_token = host.q_nope_stride_token;
  host.out_stride_batch = host.q_nope_stride_batch;
  host.lse_stride_token = 1;
  host.lse_stride_head = p->q_len;
  host.lse_stride_batch = (int64_t)p->q_len * p->heads;
  if (p->max_indices) {
    host.block_table = host.seqlens = NULL;
    host.block_table_stride = 0;
    host.indices = d.indices;
    host.indices_stride_token = list_stride(c);
    host.indices_stride_batch = (int64_t)list_stride(c) * p->q_len;
    host.index_counts = d.counts;
  }

  snapmla_buffer *q_nope = upload(context, d.q_nope, r.out_count * 2);
  snapmla_buffer *q_rope = upload(context, d.q_rope, q_rows * (size_t)p->rope_dim * 2);
  snapmla_buffer *table =
      upload(context, d.block_table, (size_t)(c->batch * d.pages_per_request) * sizeof *d.block_table);
  snapmla_buffer *seqlens = upload(context, d.seqlens, (size_t)c->batch * sizeof *d.seqlens);
  snapmla_buffer *out, *lse, *workspace;
  must(snapmla_buffer_create(context, r.out_count * 2, &out));
  must(snapmla_buffer_create(context, r.lse_count * sizeof(float), &lse));
  must(snapmla_buffer_create(context, snapmla_plan_workspace_bytes(plan), &workspace));
  snapmla_stream *stream;
  must(snapmla_stream_create(context, &stream));

  snapmla_decode_args args = host;
  args.q_nope = snapmla_buffer_pointer(q_nope);
  args.q_rope = snapmla_buffer_pointer(q_rope);
  args.kv = snapmla_buffer_pointer(kv);
  snapmla_buffer *indices = NULL, *counts = NULL;
  if (p->max_indices) {
    indices = upload(context, d.indices, (size_t)(queries_of(c) * list_stride(c)) * sizeof *d.indices);
    counts = upload(context, d.counts, (size_t)queries_of(c) * sizeof *d.counts);
    args.indices = snapmla_buffer_pointer(indices);
    args.index_counts = snapmla_buffer_pointer(counts);
  } else {
    args.block_table = snapmla_buffer_pointer(table);
    args.seqlens = snapmla_buffer_pointer(seqlens);
  }
  snapmla_buffer *sinks = c->sinks ? upload(context, c->sinks, (size_t)p->heads * sizeof *c->sinks) : NULL;
  if (sinks) args.sinks = snapmla_buffer_pointer(sinks);
  args.out = snapmla_buffer_pointer(out);
  args.lse = snapmla_buffer_pointer(lse);
  args.workspace = snapmla_buffer_pointer(workspace);
  args.workspace_bytes = snapmla_buffer_bytes(workspace);
  args.stream = snapmla_stream_handle(stream);
  must(snapmla_plan_schedule(plan, &args));
  snapmla_buffer *short_table = NULL;
  int32_t *entries = NULL;
  if (c->table_entries) {
    const size_t row = (size_t)c->table_entries;
    entries = array((size_t)c->batch * row, sizeof *entries);
    for (int32_t b = 0; b < c->batch; b++)
      memcpy(entries + (size_t)b * row, d.block_table + b * d.pages_per_request, row * sizeof *entries);
    short_table = upload(context, entries, (size_t)c->batch * row * sizeof *entries);
    args.block_table = snapmla_buffer_pointer(short_table);
    host.block_table = entries;
    args.block_table_stride = host.block_table_stride = c->table_entries;
  }
  must(snapmla_plan_decode(plan, &args));
  must(snapmla_stream_synchronize(stream));
  must(snapmla_buffer_read(out, 0, r.out, r.out_count * 2));
  must(snapmla_buffer_read(lse, 0, r.lse, r.lse_count * sizeof(float)));
  must(snapmla_buffer_read(workspace, 0, &r.status_word, sizeof r.status_word));
  if (!c->skip_comparison) compare(c, &host, &r);

  snapmla_stream_destroy(stream);
  snapmla_buffer *buffers[] = {latent, rope, slots,     kv,      q_nope, q_rope, table,      seqlens,
                               out,    lse,  workspace, indices, counts, sinks,  short_table};
  for (size_t i = 0; i < sizeof buffers / sizeof *buffers; ++i) snapmla_buffer_destroy(buffers[i]);
  snapmla_plan_destroy(plan);
  snapmla_context_destroy(context);
  free(cache), free(entries);
  free_data(&d);
  return r;
}

void decode_result_free(decode_result *r) {
  free(r->out), free(r->lse);
  *r = (decode_result){0};
}

static void expect_within(const char *name, const decode_case *c, double limit, double rounded) {
  decode_result r = decode_case_run(c);
  print_message("%-40s %3d SMs  rel_l2 %.2e  against rounded P %.2e  lse %.2f of its limit\n", name, (int)c->sms,
                r.rel_l2, r.rel_l2_rounded, r.lse_excess);
  assert_true(r.rel_l2 <= limit);
  assert_true(r.rel_l2_rounded <= rounded);
  assert_true(r.lse_excess <= 1.0);
  assert_int_equal(r.status_word, 0);
  decode_result_free(&r);
}

void expect_limits_kept(const char *name, decode_case c, double limit, double rounded) {
  expect_within(name, &c, limit, INFINITY);
  if (smla_env(SMLA_ENV_TEST_TARGET)) return;
  c.sms = 1;
  expect_within(name, &c, limit, rounded);
}

void expect_variant(const decode_case *c, const char *says) {
  snapmla_context_options options = {.size = sizeof options, .device = "emulator"};
  snapmla_plan_options plan_options = {.size = sizeof plan_options, .variant = c->variant};
  snapmla_context *context;
  snapmla_plan *plan = NULL;
  assert_int_equal(snapmla_context_create(&options, &context), SNAPMLA_OK);
  snapmla_status status = snapmla_plan_create(context, &c->problem, &plan_options, &plan);
  if (says) {
    assert_int_equal(status, SNAPMLA_ILLEGAL_VARIANT);
    if (!strstr(snapmla_error_message(), says))
      fail_msg("%s: \"%s\" lacks \"%s\"", c->variant, snapmla_error_message(), says);
  } else if (status) {
    fail_msg("%s: %s", c->variant, snapmla_error_message());
  }
  snapmla_plan_destroy(plan);
  snapmla_context_destroy(context);
}

void expect_same_bits(const decode_result *a, const decode_result *b) {
  assert_int_equal(a->out_count, b->out_count);
  assert_memory_equal(a->out, b->out, a->out_count * sizeof *a->out);
  assert_memory_equal(a->lse, b->lse, a->lse_count * sizeof *a->lse);
}

void expect_same_in_any_order(decode_case c, uint64_t seeds) {
  decode_result eager = decode_case_run(&c);
  c.order = SNAPMLA_EMULATOR_LATE;
  decode_result late = decode_case_run(&c);
  expect_same_bits(&eager, &late);
  decode_result_free(&late);
  c.order = SNAPMLA_EMULATOR_RANDOM;
  for (c.order_seed = 1; c.order_seed <= decode_case_orders(seeds); ++c.order_seed) {
    decode_result random = decode_case_run(&c);
    expect_same_bits(&eager, &random);
    decode_result_free(&random);
  }
  decode_result_free(&eager);
}
