/* The attention of one layer in one decode step, from the projections of the hidden states to the heads' values, with kernels that are
 * linked into this program: as decode.c, with norm, RoPE, absorption and up-projection around it. */
#include "device.h"
#include "layer_kernels.h"

enum { BATCH = 2, HEADS = 4, LATENT = 512, ROPE = 64, NOPE = 128, V = 128, PAGE = 64, TOKENS = 100, PAGES = BATCH * 2 };
enum { ROWS = BATCH * TOKENS, HEAD = NOPE + ROPE, WEIGHTS = HEADS * (NOPE + V) * LATENT };

static snapmla_layer_plan *make_plan(snapmla_context *context, const snapmla_layer_problem *problem) {
  /* The kernels are this program's own: those for the emulator may run in it. */
  const snapmla_pack_options options = {.size = sizeof options, .allow_host_code = 1};
  snapmla_pack *pack;
  snapmla_layer_plan *plan;
  check(snapmla_pack_open_source(&layer_kernels, &options, &pack), "open the kernels");
  check(snapmla_layer_plan_create_from_pack(context, pack, problem, &plan), "make a plan");
  snapmla_pack_close(pack);
  return plan;
}

int main(void) {
  static uint16_t latent[ROWS * LATENT], rope[ROWS * ROPE], q[BATCH * HEADS * HEAD], kv_b[WEIGHTS], norm[LATENT];
  static uint16_t out[BATCH * HEADS * V];
  static float angles[TOKENS * ROPE], cached[ROWS * LATENT], turned[ROWS * ROPE];
  static double expected[BATCH * HEADS * V];
  int64_t slots[ROWS];
  int32_t positions[ROWS];
  const int32_t lengths[BATCH] = {TOKENS, TOKENS}, last[BATCH] = {TOKENS - 1, TOKENS - 1};
  const int32_t table[BATCH * 2] = {2, 0, 1, 3}; /* pages of each request */
  const int64_t row_of[BATCH] = {0, TOKENS};

  snapmla_context *context;
  check(snapmla_context_create(NULL, &context), "open a device");
  snapmla_device_info info = {.size = sizeof info};
  check(snapmla_context_info(context, &info), "look at the device");

  snapmla_layer_problem problem;
  snapmla_layer_problem_init(&problem);
  problem.attention.heads = HEADS;
  problem.attention.max_batch = BATCH;
  problem.attention.max_context = TOKENS;
  snapmla_layer_plan *plan = make_plan(context, &problem);
  snapmla_page_layout layout = {.size = sizeof layout};
  check(snapmla_page_layout_get(&problem.attention, &layout), "lay out a page");
  check(snapmla_rope_table_fill(&problem, 0, TOKENS, angles), "compute the angles");

  for (unsigned i = 0; i < ROWS * LATENT; i++) latent[i] = small_bf16(i);
  for (unsigned i = 0; i < ROWS * ROPE; i++) rope[i] = small_bf16(i + 7);
  for (unsigned i = 0; i < BATCH * HEADS * HEAD; i++) q[i] = small_bf16(i + 13);
  for (unsigned i = 0; i < WEIGHTS; i++) kv_b[i] = small_bf16(i * i + 29);
  for (unsigned i = 0; i < LATENT; i++) norm[i] = small_bf16(i + 3);
  for (int i = 0; i < ROWS; i++) {
    int b = i / TOKENS, t = i % TOKENS;
    slots[i] = (int64_t)table[b * 2 + t / PAGE] * PAGE + t % PAGE;
    positions[i] = t;
  }

  size_t kv_bytes = (size_t)layout.page_bytes * PAGES;
  snapmla_buffer *buffers[] = {
      upload(context, NULL, kv_bytes),
      upload(context, latent, sizeof latent),
      upload(context, rope, sizeof rope),
      upload(context, slots, sizeof slots),
      upload(context, positions, sizeof positions),
      upload(context, q, sizeof q),
      upload(context, last, sizeof last),
      upload(context, kv_b, sizeof kv_b),
      upload(context, norm, sizeof norm),
      upload(context, angles, sizeof angles),
      upload(context, lengths, sizeof lengths),
      upload(context, table, sizeof table),
      upload(context, NULL, sizeof out),
      upload(context, NULL, snapmla_layer_plan_workspace_bytes(plan)),
  };
  enum { KV, LATENTS, ROPES, SLOTS, POSITIONS, Q, LAST, KV_B, NORM, ANGLES, LENGTHS, TABLE, OUT, WORKSPACE, BUFFERS };
  void *at[BUFFERS];
  for (int i = 0; i < BUFFERS; i++) at[i] = snapmla_buffer_pointer(buffers[i]);
  snapmla_stream *stream;
  check(snapmla_stream_create(context, &stream), "make a stream");

  snapmla_layer_weights weights = {
      .kv_b = at[KV_B], .kv_b_stride = LATENT, .norm = at[NORM], .rope_table = at[ANGLES], .rope_positions = TOKENS};
  /* All tokens are appended as a prompt is; a step that brings its own new tokens names them in `latent`, `rope` and `slot_mapping`. */
  const snapmla_layer_append_args append = {.size = sizeof append,
                                            .append = {.size = sizeof append.append,
                                                       .tokens = ROWS,
                                                       .latent = at[LATENTS],
                                                       .latent_stride = LATENT,
                                                       .rope = at[ROPES],
                                                       .rope_stride = ROPE,
                                                       .slot_mapping = at[SLOTS],
                                                       .kv = at[KV],
                                                       .page_stride = layout.page_bytes,
                                                       .num_pages = PAGES,
                                                       .stream = snapmla_stream_handle(stream)},
                                            .positions = at[POSITIONS],
                                            .weights = &weights};
  snapmla_layer_args step = {.size = sizeof step,
                             .weights = &weights,
                             .q = at[Q],
                             .q_stride_token = HEADS * HEAD,
                             .q_stride_head = HEAD,
                             .positions = at[LAST],
                             .out = at[OUT],
                             .out_stride_token = HEADS * V,
                             .out_stride_head = V,
                             .decode = {.size = sizeof step.decode,
                                        .batch = BATCH,
                                        .kv = at[KV],
                                        .page_stride = layout.page_bytes,
                                        .num_pages = PAGES,
                                        .block_table = at[TABLE],
                                        .block_table_stride = 2,
                                        .seqlens = at[LENGTHS],
                                        .softmax_scale = 0.0721688f, /* 1/sqrt(128 + 64) */
                                        .workspace = at[WORKSPACE],
                                        .workspace_bytes = snapmla_buffer_bytes(buffers[WORKSPACE]),
                                        .stream = snapmla_stream_handle(stream)}};
  check(snapmla_layer_append(plan, &append), "append");
  check(snapmla_layer_schedule(plan, &step), "schedule");
  check(snapmla_layer_step(plan, &step), "run the step");
  check(snapmla_stream_synchronize(stream), "finish");
  check(snapmla_buffer_read(buffers[OUT], 0, out, sizeof out), "copy the result");

  /* The same on the host, in double precision: K and V reconstructed from the tokens as the cache holds them. */
  void *kv = malloc(kv_bytes);
  if (!kv) return 1;
  check(snapmla_buffer_read(buffers[KV], 0, kv, kv_bytes), "copy the cache");
  const snapmla_cache cache = {.size = sizeof cache, .kv = kv, .page_stride = layout.page_bytes, .num_pages = PAGES};
  for (int i = 0; i < ROWS; i++)
    check(snapmla_cache_read(&problem.attention, &cache, slots[i], cached + i * LATENT, turned + i * ROPE),
          "read the cache");
  weights = (snapmla_layer_weights){
      .kv_b = kv_b, .kv_b_stride = LATENT, .norm = norm, .rope_table = angles, .rope_positions = TOKENS};
  step.q = q;
  step.positions = last;
  step.decode.seqlens = lengths;
  check(snapmla_reference_layer(&problem, &step, SNAPMLA_LAYER_EXPLICIT, cached, turned, row_of, expected),
        "compute the reference");
  double difference = 0, size = 0;
  for (int i = 0; i < BATCH * HEADS * V; i++) {
    difference += pow(widen(out[i]) - expected[i], 2);
    size += pow(expected[i], 2);
  }
  double error = sqrt(difference / size);
  printf("%s (%s): %s, relative error %.2g\n", info.name, info.product,
         snapmla_layer_plan_variant(plan, "query_absorb"), error);

  free(kv);
  for (int i = 0; i < BUFFERS; i++) snapmla_buffer_destroy(buffers[i]);
  snapmla_stream_destroy(stream);
  snapmla_layer_plan_destroy(plan);
  snapmla_context_destroy(context);
  return error < 5e-2 ? 0 : 1; /* the rounding of the query beside what the level allows */
}
