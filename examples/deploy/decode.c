/* Appends a few tokens to a paged cache and decodes one step, with kernels that are linked into this program: no
 * compiler, no file, nothing but the driver. Where there is no Hopper GPU, the emulator runs them. */
#include "decode_kernels.h"
#include "device.h"

enum { BATCH = 2, HEADS = 16, LATENT = 512, ROPE = 64, PAGE = 64, TOKENS = 100, PAGES = BATCH * 2 };

static snapmla_plan *make_plan(snapmla_context *context, const snapmla_problem *problem) {
  /* The kernels are this program's own: those for the emulator may run in it. */
  const snapmla_pack_options options = {.size = sizeof options, .allow_host_code = 1};
  snapmla_pack *pack;
  snapmla_plan *plan;
  check(snapmla_pack_open_source(&decode_kernels, &options, &pack), "open the kernels");
  check(snapmla_plan_create_from_pack(context, pack, problem, &plan), "make a plan");
  snapmla_pack_close(pack);
  return plan;
}

int main(void) {
  enum { ROWS = BATCH * TOKENS, QUERY = BATCH * HEADS };
  static uint16_t latent[ROWS * LATENT], rope[ROWS * ROPE], q_nope[QUERY * LATENT], q_rope[QUERY * ROPE];
  static uint16_t out[QUERY * LATENT];
  static double expected[QUERY * LATENT];
  int64_t slots[ROWS];
  const int32_t lengths[BATCH] = {TOKENS, TOKENS}, table[BATCH * 2] = {2, 0, 1, 3}; /* pages of each request */

  snapmla_context *context;
  check(snapmla_context_create(NULL, &context), "open a device");
  snapmla_device_info info = {.size = sizeof info};
  check(snapmla_context_info(context, &info), "look at the device");

  snapmla_problem problem;
  snapmla_problem_init(&problem);
  problem.heads = HEADS;
  problem.max_batch = BATCH;
  problem.max_context = TOKENS;
  snapmla_plan *plan = make_plan(context, &problem);
  snapmla_page_layout layout = {.size = sizeof layout};
  check(snapmla_page_layout_get(&problem, &layout), "lay out a page");

  for (unsigned i = 0; i < ROWS * LATENT; i++) latent[i] = small_bf16(i);
  for (unsigned i = 0; i < ROWS * ROPE; i++) rope[i] = small_bf16(i + 7);
  for (unsigned i = 0; i < QUERY * LATENT; i++) q_nope[i] = small_bf16(i + 13);
  for (unsigned i = 0; i < QUERY * ROPE; i++) q_rope[i] = small_bf16(i + 29);
  for (int b = 0; b < BATCH; b++)
    for (int t = 0; t < TOKENS; t++) slots[b * TOKENS + t] = (int64_t)table[b * 2 + t / PAGE] * PAGE + t % PAGE;

  size_t kv_bytes = (size_t)layout.page_bytes * PAGES;
  snapmla_buffer *buffers[] = {
      upload(context, NULL, kv_bytes),          upload(context, latent, sizeof latent),
      upload(context, rope, sizeof rope),       upload(context, slots, sizeof slots),
      upload(context, q_nope, sizeof q_nope),   upload(context, q_rope, sizeof q_rope),
      upload(context, lengths, sizeof lengths), upload(context, table, sizeof table),
      upload(context, NULL, sizeof out),        upload(context, NULL, snapmla_plan_workspace_bytes(plan)),
  };
  enum { KV, LATENTS, ROPES, SLOTS, Q_NOPE, Q_ROPE, LENGTHS, TABLE, OUT, WORKSPACE, BUFFERS };
  void *at[BUFFERS];
  for (int i = 0; i < BUFFERS; i++) at[i] = snapmla_buffer_pointer(buffers[i]);
  snapmla_stream *stream;
  check(snapmla_stream_create(context, &stream), "make a stream");

  const snapmla_append_args append = {.size = sizeof append,
                                      .tokens = ROWS,
                                      .latent = at[LATENTS],
                                      .latent_stride = LATENT,
                                      .rope = at[ROPES],
                                      .rope_stride = ROPE,
                                      .slot_mapping = at[SLOTS],
                                      .kv = at[KV],
                                      .page_stride = layout.page_bytes,
                                      .num_pages = PAGES,
                                      .stream = snapmla_stream_handle(stream)};
  snapmla_decode_args decode = {.size = sizeof decode,
                                .batch = BATCH,
                                .q_nope = at[Q_NOPE],
                                .q_nope_stride_batch = HEADS * LATENT,
                                .q_nope_stride_token = HEADS * LATENT,
                                .q_nope_stride_head = LATENT,
                                .q_rope = at[Q_ROPE],
                                .q_rope_stride_batch = HEADS * ROPE,
                                .q_rope_stride_token = HEADS * ROPE,
                                .q_rope_stride_head = ROPE,
                                .kv = at[KV],
                                .page_stride = layout.page_bytes,
                                .num_pages = PAGES,
                                .block_table = at[TABLE],
                                .block_table_stride = 2,
                                .seqlens = at[LENGTHS],
                                .out = at[OUT],
                                .out_stride_batch = HEADS * LATENT,
                                .out_stride_token = HEADS * LATENT,
                                .out_stride_head = LATENT,
                                .softmax_scale = 0.0721688f, /* 1/sqrt(128 + 64) */
                                .workspace = at[WORKSPACE],
                                .workspace_bytes = snapmla_buffer_bytes(buffers[WORKSPACE]),
                                .stream = snapmla_stream_handle(stream)};
  check(snapmla_plan_append(plan, &append), "append");
  check(snapmla_plan_schedule(plan, &decode), "schedule");
  check(snapmla_plan_decode(plan, &decode), "decode");
  check(snapmla_stream_synchronize(stream), "finish");
  check(snapmla_buffer_read(buffers[OUT], 0, out, sizeof out), "copy the result");

  /* The same on the host, in double precision, from the cache as the device wrote it. */
  void *kv = malloc(kv_bytes);
  if (!kv) return 1;
  check(snapmla_buffer_read(buffers[KV], 0, kv, kv_bytes), "copy the cache");
  decode.kv = kv;
  decode.q_nope = q_nope;
  decode.q_rope = q_rope;
  decode.block_table = table;
  decode.seqlens = lengths;
  check(snapmla_reference_decode(&problem, &decode, SNAPMLA_REFERENCE_QUANTIZED, expected, NULL),
        "compute the reference");
  double difference = 0, norm = 0;
  for (int i = 0; i < QUERY * LATENT; i++) {
    difference += pow(widen(out[i]) - expected[i], 2);
    norm += pow(expected[i], 2);
  }
  double error = sqrt(difference / norm);
  printf("%s (%s): %s, relative error %.2g\n", info.name, info.product, snapmla_plan_variant(plan, "mla_decode"),
         error);

  free(kv);
  for (int i = 0; i < BUFFERS; i++) snapmla_buffer_destroy(buffers[i]);
  snapmla_stream_destroy(stream);
  snapmla_plan_destroy(plan);
  snapmla_context_destroy(context);
  return error < 3.5e-2 ? 0 : 1;
}
