#include "layer_session.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "console.h"
#include "data.h"
#include "library.h"
#include "narrow.h"
#include "plan_maker.h"

enum {
  CHUNK = 1024 /* tokens appended together */,
  BLOCK = 128 /* rows and columns of a weight's factor */,
  WEIGHT_STREAM = 7,
  NORM_STREAM,
  OUTPUT_STREAM
};

static const char default_context[] = "1024";

static snapmla_status out_of_memory(void) {
  return smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for a layer");
}

static snapmla_status make_buffer(smla_layer_session *s, size_t bytes, const void *data, snapmla_buffer **out) {
  snapmla_status status = snapmla_buffer_create(s->context, bytes ? bytes : 16, out);
  if (!status && data && bytes) status = snapmla_buffer_write(*out, 0, data, bytes);
  return smla_library_status(status);
}

static int32_t step_tokens(const smla_layer_session *s) { return s->lengths.count * s->problem.attention.q_len; }

/* Elements of a token's result. */
static int64_t result_width(const smla_layer_session *s) {
  return s->problem.hidden_size ? s->problem.hidden_size : (int64_t)s->problem.attention.heads * s->problem.v_dim;
}

size_t smla_layer_session_count(const smla_layer_session *s) {
  return (size_t)step_tokens(s) * (size_t)result_width(s);
}

static snapmla_status read_problem(smla_layer_session *s) {
  const smla_settings *settings = s->settings;
  snapmla_layer_problem *p = &s->problem;
  if (settings->batch_invariant)
    return smla_console_fail(SNAPMLA_INVALID_ARGUMENT,
                             "--batch-invariant is not for layer: its projections take kernels by the number of rows; "
                             "leave it out, or give it to run or verify");
  if (settings->sinks)
    return smla_console_fail(
        SNAPMLA_INVALID_ARGUMENT,
        "--sinks is not for layer, which has none to give: leave it out, or give it to run or verify");
  if (settings->sparse)
    return smla_console_fail(
        SNAPMLA_INVALID_ARGUMENT,
        "--sparse is not for layer, which has no index lists to give: leave it out, or give it to run or verify");
  snapmla_status status = smla_lengths_read(settings, default_context, &s->lengths);
  if (!status) status = smla_layer_problem_read(settings, &s->lengths, p);
  if (settings->output_by) p->flags |= SNAPMLA_LAYER_CUBLASLT;
  s->layer_count = settings->layers ? settings->layers : 1;
  return status ? status : smla_library_status(snapmla_layer_problem_check(p));
}

/* Nearly normal, deviation 1: the sum of four uniforms of 16 bits. */
static float normal(uint64_t seed, uint64_t stream, uint64_t index) {
  uint64_t bits = smla_data_bits(seed, stream, index);
  double sum =
      (double)(bits & 0xffff) + (double)(bits >> 16 & 0xffff) + (double)(bits >> 32 & 0xffff) + (double)(bits >> 48);
  return (float)((sum - 2 * 65535) / 37837.227);
}

static size_t blocks_of(size_t count) { return (count + BLOCK - 1) / BLOCK; }

/* rows x columns of deviation 1 / sqrt(columns): products with rows of deviation 1 have deviation 1 as well. */
static snapmla_status make_matrix(const smla_layer_session *s, uint64_t stream, size_t rows, size_t columns, void **out,
                                  size_t *bytes, float **scale, size_t *scale_count) {
  uint64_t seed = s->settings->seed;
  float spread = (float)(1 / sqrt((double)columns));
  int is_fp8 = s->problem.weight_type == SNAPMLA_WEIGHT_FP8_BLOCK;
  *bytes = rows * columns * (is_fp8 ? 1 : 2);
  *scale_count = is_fp8 ? blocks_of(rows) * blocks_of(columns) : 0;
  *out = malloc(*bytes);
  *scale = malloc((*scale_count + 1) * sizeof **scale);
  if (!*out || !*scale) return out_of_memory();
  for (size_t i = 0; i < rows * columns; i++) {
    if (is_fp8) { /* magnitudes 1/4 to 15/8: root mean square 0.97 */
      uint64_t bits = smla_data_bits(seed, stream, i);
      ((uint8_t *)*out)[i] = (uint8_t)((bits & 0x87) | (5 + (bits >> 8) % 3) << 3);
    } else {
      ((uint16_t *)*out)[i] = smla_narrow_bf16(spread * normal(seed, stream, i));
    }
  }
  for (size_t i = 0; i < *scale_count; i++) (*scale)[i] = spread / 0.97f;
  return SNAPMLA_OK;
}

/* Keys and values have deviation 1 as the normalised latent has. */
static snapmla_status make_weights(smla_layer_session *s) {
  const snapmla_problem *p = &s->problem.attention;
  uint64_t seed = s->settings->seed;
  size_t rank = (size_t)p->latent_rank, rows = (size_t)p->heads * (size_t)(s->problem.nope_dim + s->problem.v_dim);
  snapmla_status status =
      make_matrix(s, WEIGHT_STREAM, rows, rank, &s->host_kv_b, &s->kv_b_bytes, &s->host_scale, &s->scale_count);
  if (!status && s->problem.hidden_size)
    status = make_matrix(s, OUTPUT_STREAM, (size_t)s->problem.hidden_size, (size_t)p->heads * (size_t)s->problem.v_dim,
                         &s->host_o, &s->o_bytes, &s->host_o_scale, &s->o_scale_count);
  if (status) return status;
  s->host_norm = malloc(rank * sizeof *s->host_norm);
  if (!s->host_norm) return out_of_memory();
  for (size_t i = 0; i < rank; i++) s->host_norm[i] = smla_narrow_bf16(1 + 0.1f * normal(seed, NORM_STREAM, i));
  return SNAPMLA_OK;
}

static snapmla_status make_angles(smla_layer_session *s) {
  size_t count = (size_t)s->problem.attention.max_context * (size_t)s->problem.attention.rope_dim;
  s->host_table = malloc(count * sizeof *s->host_table);
  if (!s->host_table) return out_of_memory();
  snapmla_status status =
      smla_library_status(snapmla_rope_table_fill(&s->problem, 0, s->problem.attention.max_context, s->host_table));
  return status ? status : make_buffer(s, count * sizeof *s->host_table, s->host_table, &s->table);
}

/* The weights on the host. */
static snapmla_layer_weights weights_of(const smla_layer_session *s) {
  int64_t rank = s->problem.attention.latent_rank, values = (int64_t)s->problem.attention.heads * s->problem.v_dim;
  return (snapmla_layer_weights){.kv_b = s->host_kv_b,
                                 .kv_b_stride = rank,
                                 .kv_b_scale = s->host_scale,
                                 .kv_b_scale_stride = rank / BLOCK,
                                 .norm = s->host_norm,
                                 .rope_table = s->host_table,
                                 .rope_positions = s->problem.attention.max_context,
                                 .o = s->host_o,
                                 .o_stride = values,
                                 .o_scale = s->host_o_scale,
                                 .o_scale_stride = (int64_t)blocks_of((size_t)values)};
}

static snapmla_status make_layer(smla_layer_session *s, smla_layer_memory *layer) {
  size_t rank = (size_t)s->problem.attention.latent_rank;
  snapmla_status status = make_buffer(s, s->kv_b_bytes, s->host_kv_b, &layer->kv_b);
  if (!status) status = make_buffer(s, s->o_bytes, s->host_o, &layer->o);
  if (!status) status = make_buffer(s, s->o_scale_count * sizeof(float), s->host_o_scale, &layer->o_scale);
  if (!status) status = make_buffer(s, s->scale_count * sizeof(float), s->host_scale, &layer->scale);
  if (!status) status = make_buffer(s, rank * 2, s->host_norm, &layer->norm);
  if (!status) status = make_buffer(s, (size_t)(s->num_pages * s->page_stride), NULL, &layer->kv);
  if (status) return status;
  layer->weights = weights_of(s);
  layer->weights.kv_b = snapmla_buffer_pointer(layer->kv_b);
  layer->weights.kv_b_scale = snapmla_buffer_pointer(layer->scale);
  layer->weights.norm = snapmla_buffer_pointer(layer->norm);
  layer->weights.rope_table = snapmla_buffer_pointer(s->table);
  layer->weights.o = snapmla_buffer_pointer(layer->o);
  layer->weights.o_scale = snapmla_buffer_pointer(layer->o_scale);
  return SNAPMLA_OK;
}

/* Pages in an order of their own. */
static snapmla_status make_table(smla_layer_session *s) {
  const snapmla_problem *p = &s->problem.attention;
  snapmla_page_layout layout = {.size = sizeof layout};
  snapmla_status status = smla_library_status(snapmla_page_layout_get(p, &layout));
  if (status) return status;
  s->page_stride = layout.page_bytes;
  s->table_stride = (p->max_context + p->page_tokens - 1) / p->page_tokens;
  size_t entries = (size_t)s->lengths.count * (size_t)s->table_stride;
  s->host_block_table = malloc(entries * sizeof *s->host_block_table);
  if (!s->host_block_table) return out_of_memory();
  for (size_t i = 0; i < entries; i++) s->host_block_table[i] = -1;
  for (int32_t b = 0; b < s->lengths.count; b++)
    for (int32_t i = 0; (int64_t)i * p->page_tokens < s->lengths.items[b]; i++)
      s->host_block_table[(int64_t)b * s->table_stride + i] = (int32_t)s->num_pages++;
  if (s->num_pages == 0) s->num_pages = 1;
  for (size_t i = 0; i < entries;
       i++) /* back to front: neighbours of a request are apart in other ways than they were made */
    if (s->host_block_table[i] >= 0) s->host_block_table[i] = (int32_t)s->num_pages - 1 - s->host_block_table[i];
  return make_buffer(s, entries * sizeof *s->host_block_table, s->host_block_table, &s->block_table);
}

static int64_t slot_of(const smla_layer_session *s, int32_t request, int32_t token) {
  int32_t page = s->problem.attention.page_tokens;
  return (int64_t)s->host_block_table[request * s->table_stride + token / page] * page + token % page;
}

static smla_data data_of(const smla_layer_session *s) {
  const snapmla_problem *p = &s->problem.attention;
  double scale = 1 / sqrt(s->problem.nope_dim + p->rope_dim);
  return (smla_data){.kind = SMLA_DATA_NORMAL,
                     .seed = s->settings->seed,
                     .heads = p->heads,
                     .q_len = p->q_len,
                     .latent_rank = p->latent_rank,
                     .rope_dim = p->rope_dim,
                     .sigma = 1,
                     .softmax_scale = scale};
}

/* Rows of a chunk of tokens. */
typedef struct rows {
  uint16_t *latent, *rope;
  int64_t *slots;
  int32_t *positions;
  int32_t count;
} rows;

static snapmla_status rows_create(const smla_layer_session *s, size_t count, rows *r) {
  r->latent = malloc(count * (size_t)s->problem.attention.latent_rank * 2);
  r->rope = malloc(count * (size_t)s->problem.attention.rope_dim * 2);
  r->slots = malloc(count * sizeof *r->slots);
  r->positions = malloc(count * sizeof *r->positions);
  return r->latent && r->rope && r->slots && r->positions ? SNAPMLA_OK : out_of_memory();
}

static void rows_destroy(rows *r) { free(r->latent), free(r->rope), free(r->slots), free(r->positions); }

/* Token `token` of a request as the next row; one that is not there (negative) is skipped by what appends. */
static void rows_add(const smla_layer_session *s, rows *r, int32_t request, int32_t token) {
  smla_data data = data_of(s);
  size_t at = (size_t)r->count++;
  smla_data_token(&data, request, token < 0 ? 0 : token, r->latent + at * (size_t)data.latent_rank,
                  r->rope + at * (size_t)data.rope_dim);
  r->slots[at] = token < 0 ? -1 : slot_of(s, request, token);
  r->positions[at] = token < 0 ? 0 : token;
}

static snapmla_status upload(const smla_layer_session *s, const rows *r) {
  size_t count = (size_t)r->count;
  snapmla_status status =
      snapmla_buffer_write(s->latent, 0, r->latent, count * (size_t)s->problem.attention.latent_rank * 2);
  if (!status) status = snapmla_buffer_write(s->rope, 0, r->rope, count * (size_t)s->problem.attention.rope_dim * 2);
  if (!status) status = snapmla_buffer_write(s->slots, 0, r->slots, count * sizeof *r->slots);
  if (!status) status = snapmla_buffer_write(s->positions, 0, r->positions, count * sizeof *r->positions);
  return smla_library_status(status);
}

/* The rows into every layer's cache. */
static snapmla_status append(smla_layer_session *s, rows *r) {
  const snapmla_problem *p = &s->problem.attention;
  snapmla_status status = upload(s, r);
  for (int32_t l = 0; l < s->layer_count && !status; l++) {
    const snapmla_layer_append_args args = {.size = sizeof args,
                                            .append = {.size = sizeof args.append,
                                                       .tokens = r->count,
                                                       .latent = snapmla_buffer_pointer(s->latent),
                                                       .latent_stride = p->latent_rank,
                                                       .rope = snapmla_buffer_pointer(s->rope),
                                                       .rope_stride = p->rope_dim,
                                                       .slot_mapping = snapmla_buffer_pointer(s->slots),
                                                       .kv = snapmla_buffer_pointer(s->layers[l].kv),
                                                       .page_stride = s->page_stride,
                                                       .num_pages = s->num_pages,
                                                       .stream = snapmla_stream_handle(s->stream)},
                                            .positions = snapmla_buffer_pointer(s->positions),
                                            .weights = &s->layers[l].weights};
    status = snapmla_layer_append(s->plan, &args);
  }
  if (!status) status = snapmla_stream_synchronize(s->stream);
  r->count = 0;
  return smla_library_status(status);
}

/* Prompts in chunks; then the step's own rows stay uploaded. */
static snapmla_status fill(smla_layer_session *s) {
  rows r = {0};
  int32_t tokens = step_tokens(s), q_len = s->problem.attention.q_len;
  snapmla_status status = rows_create(s, (size_t)(tokens > CHUNK ? tokens : CHUNK), &r);
  for (int32_t b = 0; b < s->lengths.count && !status; b++)
    for (int32_t t = 0; t < s->lengths.items[b] - q_len && !status; t++) {
      rows_add(s, &r, b, t);
      if (r.count < CHUNK) continue;
      smla_console_progress("appending request %d of %d", b + 1, s->lengths.count);
      status = append(s, &r);
    }
  if (!status && r.count) status = append(s, &r);
  for (int32_t t = 0; t < tokens && !status; t++)
    rows_add(s, &r, t / q_len, s->lengths.items[t / q_len] - q_len + t % q_len);
  if (!status) status = upload(s, &r);
  if (!status) memcpy(s->host_positions, r.positions, (size_t)tokens * sizeof *r.positions);
  rows_destroy(&r);
  return status;
}

/* q [batch * q_len, heads, nope + rope], of deviation 1. */
static snapmla_status make_query(smla_layer_session *s) {
  const snapmla_problem *p = &s->problem.attention;
  smla_data data = data_of(s);
  data.latent_rank = s->problem.nope_dim;
  size_t nope = (size_t)s->problem.nope_dim, dim = (size_t)p->rope_dim, rows_each = (size_t)(p->q_len * p->heads);
  size_t bytes = (size_t)s->lengths.count * rows_each * (nope + dim) * 2;
  uint16_t *content = malloc(rows_each * nope * 2), *rope = malloc(rows_each * dim * 2);
  s->host_q = malloc(bytes);
  s->host_positions = malloc((size_t)step_tokens(s) * sizeof *s->host_positions);
  snapmla_status status = content && rope && s->host_q && s->host_positions ? SNAPMLA_OK : out_of_memory();
  for (int32_t b = 0; b < s->lengths.count && !status; b++) {
    smla_data_query(&data, 0, b, content, rope);
    for (size_t r = 0; r < rows_each; r++) {
      uint16_t *row = s->host_q + ((size_t)b * rows_each + r) * (nope + dim);
      memcpy(row, content + r * nope, nope * 2);
      memcpy(row + nope, rope + r * dim, dim * 2);
    }
  }
  if (!status) status = make_buffer(s, bytes, s->host_q, &s->q);
  free(content), free(rope);
  return status;
}

static snapmla_status make_step(smla_layer_session *s) {
  const snapmla_problem *p = &s->problem.attention;
  size_t tokens = (size_t)step_tokens(s), most = tokens > CHUNK ? tokens : CHUNK;
  size_t workspace = snapmla_layer_plan_workspace_bytes(s->plan);
  snapmla_status status = make_query(s);
  if (!status) status = make_buffer(s, most * (size_t)p->latent_rank * 2, NULL, &s->latent);
  if (!status) status = make_buffer(s, most * (size_t)p->rope_dim * 2, NULL, &s->rope);
  if (!status) status = make_buffer(s, most * sizeof(int64_t), NULL, &s->slots);
  if (!status) status = make_buffer(s, most * sizeof(int32_t), NULL, &s->positions);
  if (!status) status = make_buffer(s, smla_layer_session_count(s) * 2, NULL, &s->out);
  if (!status) status = make_buffer(s, (size_t)s->lengths.count * sizeof(int32_t), s->lengths.items, &s->seqlens);
  if (!status) status = make_buffer(s, workspace, NULL, &s->workspace);
  if (status) return status;
  int64_t head = s->problem.nope_dim + p->rope_dim;
  s->args = (snapmla_layer_args){.size = sizeof s->args,
                                 .q = snapmla_buffer_pointer(s->q),
                                 .q_stride_token = head * p->heads,
                                 .q_stride_head = head,
                                 .positions = snapmla_buffer_pointer(s->positions),
                                 .latent = snapmla_buffer_pointer(s->latent),
                                 .latent_stride = p->latent_rank,
                                 .rope = snapmla_buffer_pointer(s->rope),
                                 .rope_stride = p->rope_dim,
                                 .slot_mapping = snapmla_buffer_pointer(s->slots),
                                 .out = snapmla_buffer_pointer(s->out),
                                 .out_stride_token = result_width(s),
                                 .out_stride_head = s->problem.v_dim,
                                 .decode = {.size = sizeof s->args.decode,
                                            .batch = s->lengths.count,
                                            .page_stride = s->page_stride,
                                            .num_pages = s->num_pages,
                                            .block_table = snapmla_buffer_pointer(s->block_table),
                                            .block_table_stride = s->table_stride,
                                            .seqlens = snapmla_buffer_pointer(s->seqlens),
                                            .softmax_scale = (float)(1 / sqrt((double)head)),
                                            .workspace = snapmla_buffer_pointer(s->workspace),
                                            .workspace_bytes = workspace,
                                            .stream = snapmla_stream_handle(s->stream)}};
  return SNAPMLA_OK;
}

snapmla_status smla_layer_session_open(const smla_settings *settings, snapmla_context *context,
                                       const snapmla_device_info *info, smla_layer_session *s) {
  *s = (smla_layer_session){.settings = settings, .context = context, .info = *info};
  snapmla_status status = read_problem(s);
  if (!status) status = smla_layer_plan_of_settings(settings, s->context, &s->problem, &s->plan);
  if (!status) status = smla_library_status(snapmla_stream_create(s->context, &s->stream));
  if (!status) status = smla_library_status(snapmla_event_create(s->context, &s->start));
  if (!status) status = smla_library_status(snapmla_event_create(s->context, &s->stop));
  if (!status && !(s->layers = calloc((size_t)s->layer_count, sizeof *s->layers))) status = out_of_memory();
  if (!status) status = make_weights(s);
  if (!status) status = make_angles(s);
  if (!status) status = make_table(s);
  for (int32_t l = 0; l < s->layer_count && !status; l++) status = make_layer(s, &s->layers[l]);
  if (!status) status = make_step(s);
  return status ? status : fill(s);
}

void smla_layer_session_close(smla_layer_session *s) {
  snapmla_buffer *const buffers[] = {s->q,   s->positions,   s->latent,  s->rope,      s->slots,
                                     s->out, s->block_table, s->seqlens, s->workspace, s->table};
  for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) snapmla_buffer_destroy(buffers[i]);
  for (int32_t l = 0; s->layers && l < s->layer_count; l++) {
    const smla_layer_memory *layer = &s->layers[l];
    snapmla_buffer *const own[] = {layer->kv_b, layer->scale, layer->o, layer->o_scale, layer->norm, layer->kv};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) snapmla_buffer_destroy(own[i]);
  }
  snapmla_event_destroy(s->start);
  snapmla_event_destroy(s->stop);
  snapmla_stream_destroy(s->stream);
  snapmla_layer_plan_destroy(s->plan);
  smla_lengths_free(&s->lengths);
  free(s->layers), free(s->host_q), free(s->host_norm), free(s->host_kv_b), free(s->host_scale), free(s->host_table);
  free(s->host_positions), free(s->host_block_table), free(s->host_o), free(s->host_o_scale);
}

snapmla_status smla_layer_session_step(smla_layer_session *s, double *microseconds) {
  snapmla_layer_args args = s->args;
  snapmla_status status = snapmla_event_record(s->start, s->stream);
  if (!status) status = snapmla_layer_schedule(s->plan, &args);
  for (int32_t l = s->layer_count; l-- > 0 && !status;) { /* layer 0 last: its result stays */
    args.weights = &s->layers[l].weights;
    args.decode.kv = snapmla_buffer_pointer(s->layers[l].kv);
    status = snapmla_layer_step(s->plan, &args);
  }
  if (!status) status = snapmla_event_record(s->stop, s->stream);
  if (!status) status = snapmla_stream_synchronize(s->stream);
  if (!status) status = snapmla_event_elapsed(s->start, s->stop, microseconds);
  return smla_library_status(status);
}

snapmla_status smla_layer_session_read(const smla_layer_session *s, uint16_t *out, uint32_t *status_word) {
  snapmla_status status = snapmla_buffer_read(s->out, 0, out, smla_layer_session_count(s) * 2);
  if (!status) status = snapmla_buffer_read(s->workspace, 0, status_word, sizeof *status_word);
  return smla_library_status(status);
}

/* The request's tokens as layer 0's cache holds them, fp32. */
static snapmla_status read_cached(const smla_layer_session *s, int32_t request, float *latent, float *rope) {
  const snapmla_problem *p = &s->problem.attention;
  unsigned char *page = malloc((size_t)s->page_stride);
  snapmla_status status = page ? SNAPMLA_OK : out_of_memory();
  const snapmla_cache cache = {.size = sizeof cache, .kv = page, .page_stride = s->page_stride, .num_pages = 1};
  for (int32_t t = 0; t < s->lengths.items[request] && !status; t++) {
    int64_t slot = slot_of(s, request, t);
    if (t % p->page_tokens == 0)
      status = snapmla_buffer_read(s->layers[0].kv, (size_t)(slot / p->page_tokens * s->page_stride), page,
                                   (size_t)s->page_stride);
    if (!status)
      status = snapmla_cache_read(p, &cache, slot % p->page_tokens, latent + (int64_t)t * p->latent_rank,
                                  rope + (int64_t)t * p->rope_dim);
  }
  free(page);
  return smla_library_status(status);
}

snapmla_status smla_layer_session_compare(const smla_layer_session *s, int32_t request, const uint16_t *out,
                                          double *rel_l2) {
  const snapmla_problem *p = &s->problem.attention;
  size_t tokens = (size_t)s->lengths.items[request], count = smla_layer_session_count(s) / (size_t)s->lengths.count;
  float *latent = malloc((tokens * (size_t)p->latent_rank + 1) * sizeof *latent);
  float *rope = malloc((tokens * (size_t)p->rope_dim + 1) * sizeof *rope);
  double *expected = malloc(count * sizeof *expected), error = 0, norm = 0;
  snapmla_status status = latent && rope && expected ? read_cached(s, request, latent, rope) : out_of_memory();
  const snapmla_layer_weights weights = weights_of(s);
  snapmla_layer_args args = s->args;
  args.weights = &weights;
  args.q = s->host_q + (int64_t)request * p->q_len * args.q_stride_token;
  args.positions = s->host_positions + (int64_t)request * p->q_len;
  args.decode.batch = 1;
  args.decode.seqlens = &s->lengths.items[request];
  const int64_t first = 0;
  if (!status)
    status = smla_library_status(
        snapmla_reference_layer(&s->problem, &args, SNAPMLA_LAYER_ABSORBED, latent, rope, &first, expected));
  for (size_t i = 0; i < count && !status; i++) {
    double value = (double)smla_widen_bf16(out[(size_t)request * count + i]);
    error += (value - expected[i]) * (value - expected[i]);
    norm += expected[i] * expected[i];
  }
  if (!status) *rel_l2 = sqrt(norm > 0 ? error / norm : error); /* NaN where a value is */
  free(latent), free(rope), free(expected);
  return status;
}
