/* Layer plans of a pack's kernels: on the emulator and through a libcuda that runs launches on it. */
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"

#include "buffer.h"
#include "fake_cuda.h"
#include "pack_format.h"
#include "sample_pack.h"
#include "settings.h"
#include "templates/layer_fixture.h"

static const snapmla_target targets[] = {SNAPMLA_TARGET_EMULATOR};
static const snapmla_pack_make_options make_options = {
    .size = sizeof make_options, .targets = targets, .target_count = 1};

/* With an output projection to `hidden` channels, or 0: none. */
static layer_case small_of(int32_t hidden) {
  layer_case c = {.batch = 2, .lengths = {20, 7}};
  snapmla_layer_problem_init(&c.problem);
  c.problem.attention.heads = 3;
  c.problem.attention.latent_rank = 128;
  c.problem.attention.page_tokens = 16;
  c.problem.attention.q_len = 5; /* ten tokens: more than few */
  c.problem.attention.max_batch = 2;
  c.problem.attention.max_context = 64;
  c.problem.nope_dim = 64;
  c.problem.v_dim = 192;
  c.problem.hidden_size = hidden;
  return c;
}

static layer_case small(void) { return small_of(0); }

/* A pack of that problem for the emulator, made once. */
static void *made;
static size_t made_bytes;

static snapmla_pack *open_bytes(const void *data, size_t bytes) {
  const snapmla_pack_options options = {.size = sizeof options, .allow_host_code = 1};
  snapmla_pack *pack = NULL;
  must(snapmla_pack_open_memory(data, bytes, &options, &pack));
  return pack;
}

static snapmla_context *open_emulator(void) {
  const snapmla_context_options options = {.size = sizeof options, .device = "emulator", .emulator_sms = 8};
  snapmla_context *context = NULL;
  must(snapmla_context_create(&options, &context));
  return context;
}

static void keep(smla_buffer *all, snapmla_buffer *buffer, size_t bytes) {
  void *copy = calloc(1, bytes);
  assert_non_null(copy);
  must(snapmla_buffer_read(buffer, 0, copy, bytes));
  must(smla_buffer_append(all, copy, bytes));
  free(copy);
}

/* The case's tokens fetched, and three of them moved to a page that nothing uses. */
static void fetch_and_move(layer_device *d, smla_buffer *all) {
  const snapmla_problem *p = &d->host->problem.attention;
  const int64_t free_slots[] = {0, 1, 2};
  size_t tokens = (size_t)d->host->tokens, latent = tokens * (size_t)p->latent_rank * 2,
         rope = tokens * (size_t)p->rope_dim * 2;
  snapmla_fetch_args fetch = {.size = sizeof fetch,
                              .tokens = d->host->tokens,
                              .slots = d->slot_mapping,
                              .latent = layer_device_upload(d, NULL, latent),
                              .latent_stride = p->latent_rank,
                              .rope = layer_device_upload(d, NULL, rope),
                              .rope_stride = p->rope_dim,
                              .kv = d->kv,
                              .page_stride = d->page_stride,
                              .num_pages = d->num_pages};
  const snapmla_move_args move = {.size = sizeof move,
                                  .tokens = 3,
                                  .from = d->slot_mapping,
                                  .to = layer_device_upload(d, free_slots, sizeof free_slots),
                                  .kv = d->kv,
                                  .page_stride = d->page_stride,
                                  .num_pages = d->num_pages};
  must(snapmla_layer_fetch(d->plan, &fetch));
  must(snapmla_layer_move(d->plan, &move));
  keep(all, layer_device_buffer(d, fetch.latent), latent);
  keep(all, layer_device_buffer(d, fetch.rope), rope);
}

/* Every call of a layer plan, of the compiled one or of one from `pack`: what they leave, one after the other. */
static smla_buffer run_all(const snapmla_pack *pack, int32_t hidden) {
  layer_case c = small_of(hidden);
  smla_buffer all = {0};
  layer_case_create(&c, 1);
  layer_device d = layer_device_create(&c, SNAPMLA_EMULATOR_EAGER, 0, NULL);
  if (pack) {
    size_t workspace = snapmla_layer_plan_workspace_bytes(d.plan);
    snapmla_layer_plan_destroy(d.plan);
    must(snapmla_layer_plan_create_from_pack(d.context, pack, &c.problem, &d.plan));
    assert_int_equal(snapmla_layer_plan_workspace_bytes(d.plan), workspace);
  }
  size_t bytes = (size_t)(c.batch * c.problem.attention.q_len * d.args.out_stride_token) * 2;
  layer_device_append(&d, 0, c.tokens - 3);
  for (int32_t batch = 2; batch >= 1; batch--) { /* many tokens, and few */
    d.args.decode.batch = batch;
    uint16_t *out = layer_device_step(&d);
    must(smla_buffer_append(&all, out, bytes));
    free(out);
  }
  fetch_and_move(&d, &all);
  keep(&all, d.kv_buffer, (size_t)(d.num_pages * d.page_stride));
  layer_device_destroy(&d);
  layer_case_destroy(&c);
  return all;
}

static void steps_as_the_compiled_one_from(const void *data, size_t data_bytes, int32_t hidden) {
  snapmla_pack *pack = open_bytes(data, data_bytes);
  smla_buffer compiled = run_all(NULL, hidden), packed = run_all(pack, hidden);
  snapmla_pack_close(pack);
  assert_int_equal(packed.length, compiled.length);
  assert_memory_equal(packed.data, compiled.data, compiled.length);
  smla_buffer_free(&compiled);
  smla_buffer_free(&packed);
}

static void steps_as_the_compiled_one(void) {
  const layer_case c = small_of(136);
  const snapmla_pack_request request = {.size = sizeof request, .layer = &c.problem};
  void *data;
  size_t bytes;
  steps_as_the_compiled_one_from(made, made_bytes, 0);
  must(snapmla_pack_make(&make_options, &request, 1, &data, &bytes));
  steps_as_the_compiled_one_from(data, bytes, 136);
  snapmla_pack_data_free(data);
}

static void steps_on_the_emulator(void **state) {
  (void)state;
  unsetenv("SNAPMLA_TEST_TARGET");
  steps_as_the_compiled_one();
}

static void steps_through_the_driver(void **state) {
  (void)state;
  fake_cuda_reset();
  setenv("SNAPMLA_TEST_TARGET", "cuda:0", 1);
  steps_as_the_compiled_one();
  unsetenv("SNAPMLA_TEST_TARGET");
  assert_int_equal(fake_cuda_alive().modules, 0);
}

/* Whatever call fails while a plan is made, it is told and nothing is left. */
static void a_plan_that_fails_leaves_nothing(void **state) {
  (void)state;
  const snapmla_context_options options = {.size = sizeof options, .device = "cuda:0"};
  snapmla_context *context;
  snapmla_layer_plan *plan;
  layer_case c = small();
  fake_cuda_reset();
  must(snapmla_context_create(&options, &context));
  snapmla_pack *pack = open_bytes(made, made_bytes);
  must(snapmla_layer_plan_create_from_pack(context, pack, &c.problem, &plan));
  int loads = fake_cuda_alive().modules;
  assert_int_equal(loads, 6 + 7); /* the attention's and its own */
  snapmla_layer_plan_destroy(plan);
  for (int n = 0; n < loads; n++) {
    fake_cuda_reset();
    fake_cuda_fail("cuModuleLoadData", n, 2);
    assert_true(snapmla_layer_plan_create_from_pack(context, pack, &c.problem, &plan) != SNAPMLA_OK);
    assert_null(plan);
    assert_int_equal(fake_cuda_alive().modules, 0);
  }
  snapmla_pack_close(pack);
  snapmla_context_destroy(context);
}

static void lists_its_kernels(void **state) {
  (void)state;
  static const char *const roles[] = {"kv_append",   "layer_absorb", "layer_absorb_few", "layer_append",
                                      "layer_fetch", "layer_move",   "layer_project",    "layer_project_few",
                                      "mla_combine", "mla_decode",   "query_quant",      "schedule",
                                      "shard_merge"};
  snapmla_pack *pack = open_bytes(made, made_bytes);
  snapmla_pack_info info = {.size = sizeof info};
  snapmla_pack_plan p = {.size = sizeof p};
  must(snapmla_pack_verify(pack));
  must(snapmla_pack_info_get(pack, &info));
  assert_int_equal(info.plan_count, 1);
  assert_int_equal(info.artifact_count, 13);
  must(snapmla_pack_plan_get(pack, 0, &p));
  assert_string_equal(p.shape,
                      "heads=3,q_len=5,latent=128,rope=64,page=16,format=fp8_token,accuracy=fast,flags=0,indices=0,"
                      "nope=64,v=192,weights=bf16,rotate=interleaved,norm=rms");
  assert_int_equal(p.kernel_count, sizeof roles / sizeof *roles);
  for (int32_t i = 0; i < p.kernel_count; i++) assert_string_equal(p.roles[i], roles[i]);
  snapmla_pack_close(pack);
}

static void assert_missing(snapmla_context *context, const snapmla_pack *pack, const snapmla_layer_problem *problem,
                           const char *expected) {
  snapmla_layer_plan *plan = NULL;
  assert_int_equal(snapmla_layer_plan_create_from_pack(context, pack, problem, &plan), SNAPMLA_NOT_FOUND);
  if (!strstr(snapmla_error_message(), expected)) fail_msg("\"%s\" lacks \"%s\"", snapmla_error_message(), expected);
  assert_null(plan);
}

static void misses_are_errors(void **state) {
  (void)state;
  snapmla_context *context = open_emulator();
  snapmla_pack *pack = open_bytes(made, made_bytes);
  const layer_case c = small();
  snapmla_layer_problem problem = c.problem;
  snapmla_layer_plan *layer = NULL;
  snapmla_plan *plan = NULL;
  snapmla_pack_choice choice = {.size = sizeof choice};
  problem.attention.max_batch++;
  assert_missing(context, pack, &problem, "it has this shape for emulator up to batch 2 and context 64");
  problem = c.problem;
  problem.v_dim = 128;
  assert_missing(context, pack, &problem, "it has heads=3,");
  problem = c.problem;
  problem.weight_type = SNAPMLA_WEIGHT_FP8_BLOCK;
  assert_missing(context, pack, &problem, "weights=fp8");
  problem = c.problem;
  problem.hidden_size = 136;
  assert_missing(context, pack, &problem, "norm=rms,hidden=136");
  problem = c.problem;
  problem.rope_pairs = SNAPMLA_ROPE_HALF;
  assert_missing(context, pack, &problem, "rotate=half");
  problem.flags = SNAPMLA_LAYER_ROTATED | SNAPMLA_LAYER_NORMED;
  assert_missing(context, pack, &problem, "rotate=none,norm=none");
  assert_int_equal(snapmla_pack_choose_layer(context, pack, &problem, &choice), SNAPMLA_NOT_FOUND);
  /* The attention alone is another problem. */
  assert_int_equal(snapmla_plan_create_from_pack(context, pack, &c.problem.attention, &plan), SNAPMLA_NOT_FOUND);
  assert_null(plan);
  /* Less than was asked for is served, and whatever is no kernel's business. */
  problem = c.problem;
  problem.attention.max_batch--;
  problem.attention.max_context--;
  problem.norm_epsilon = 1e-5f;
  problem.rope.factor = 1;
  must(snapmla_pack_choose_layer(context, pack, &problem, &choice));
  assert_int_equal(choice.plan, 0);
  must(snapmla_layer_plan_create_from_pack(context, pack, &problem, &layer));
  snapmla_layer_plan_destroy(layer);
  assert_int_equal(snapmla_layer_plan_create_from_pack(context, NULL, &problem, &layer), SNAPMLA_INVALID_ARGUMENT);
  assert_int_equal(snapmla_layer_plan_create_from_pack(NULL, pack, &problem, &layer), SNAPMLA_INVALID_ARGUMENT);
  assert_int_equal(snapmla_layer_plan_create_from_pack(context, pack, NULL, &layer), SNAPMLA_INVALID_ARGUMENT);
  snapmla_pack_close(pack);
  pack = NULL;
  must(snapmla_pack_open_memory(made, made_bytes, NULL, &pack));
  assert_int_equal(snapmla_layer_plan_create_from_pack(context, pack, &problem, &layer), SNAPMLA_UNSUPPORTED);
  assert_non_null(strstr(snapmla_error_message(), "--allow-host-code"));
  snapmla_pack_close(pack);
  snapmla_context_destroy(context);
}

/* A problem, its layer and the layer of a larger batch, in any order: the same bytes; each has its own plan, and shares kernels. */
static void takes_the_smallest_that_covers(void **state) {
  (void)state;
  const layer_case c = small();
  snapmla_layer_problem large = c.problem;
  large.attention.max_batch = 64;
  const snapmla_pack_request requests[] = {
      {.size = sizeof *requests, .layer = &large, .variant = "query_absorb:stages=3;mla_decode:stages=2"},
      {.size = sizeof *requests, .problem = &c.problem.attention},
      {.size = sizeof *requests, .layer = &c.problem},
  };
  const snapmla_pack_request turned[] = {requests[2], requests[0], requests[1]};
  void *data, *again;
  size_t bytes, bytes_again;
  snapmla_layer_plan *layer;
  snapmla_plan *plan;
  snapmla_context *context = open_emulator();
  must(snapmla_pack_make(&make_options, requests, 3, &data, &bytes));
  must(snapmla_pack_make(&make_options, turned, 3, &again, &bytes_again));
  assert_int_equal(bytes_again, bytes);
  assert_memory_equal(again, data, bytes);
  snapmla_pack *pack = open_bytes(data, bytes);
  for (int i = 0; i < 2; i++) {
    must(snapmla_layer_plan_create_from_pack(context, pack, i ? &large : &c.problem, &layer));
    assert_int_equal(strstr(snapmla_layer_plan_variant(layer, "query_absorb"), "stages=3") != NULL, i);
    const snapmla_plan *attention = snapmla_layer_plan_attention(layer);
    assert_int_equal(strstr(snapmla_plan_variant(attention, "mla_decode"), "stages=2") != NULL, i);
    snapmla_layer_plan_destroy(layer);
  }
  must(snapmla_plan_create_from_pack(context, pack, &c.problem.attention, &plan));
  snapmla_plan_destroy(plan);
  snapmla_pack_info info = {.size = sizeof info};
  must(snapmla_pack_info_get(pack, &info));
  assert_int_equal(info.plan_count, 3);
  assert_true(info.artifact_count < 2 * 13);
  snapmla_pack_close(pack);
  snapmla_pack_data_free(data);
  snapmla_pack_data_free(again);
  snapmla_context_destroy(context);
}

/* A plan for a class is taken there, elsewhere with a word, or not at all; its layer's kernels are the compiled plan's. */
static void tells_device_classes(void **state) {
  (void)state;
  static const char *const classes[] = {"emulator-7sm", "emulator-8sm"};
  const layer_case c = small();
  const snapmla_pack_request request = {.size = sizeof request, .layer = &c.problem};
  snapmla_pack_make_options options = make_options;
  void *data;
  size_t bytes;
  options.device_classes = classes;
  for (options.device_class_count = 1; options.device_class_count <= 2; options.device_class_count++) {
    snapmla_context *context = open_emulator();
    snapmla_layer_plan *plan = NULL, *compiled;
    snapmla_pack_choice choice = {.size = sizeof choice};
    snapmla_plan_report report = {.size = sizeof report};
    const int is_own = options.device_class_count == 2;
    must(snapmla_pack_make(&options, &request, 1, &data, &bytes));
    snapmla_pack *pack = open_bytes(data, bytes);
    must(snapmla_pack_choose_layer(context, pack, &c.problem, &choice));
    assert_int_equal(choice.other_class, !is_own);
    assert_int_equal(choice.plan, is_own);
    must(snapmla_layer_plan_create_from_pack(context, pack, &c.problem, &plan));
    must(snapmla_plan_report_get(snapmla_layer_plan_attention(plan), &report));
    assert_int_equal(report.provenance, SNAPMLA_PROVENANCE_PACKED);
    assert_string_equal(report.difference, is_own ? "" : "device emulator-7sm (here emulator-8sm)");
    must(snapmla_layer_plan_create(context, &c.problem, NULL, &compiled));
    assert_string_equal(snapmla_layer_plan_variant(plan, "query_absorb"),
                        snapmla_layer_plan_variant(compiled, "query_absorb"));
    snapmla_layer_plan_destroy(compiled);
    snapmla_layer_plan_destroy(plan);
    snapmla_pack_close(pack);
    const snapmla_pack_options strict = {.size = sizeof strict, .allow_host_code = 1, .require_device_class = 1};
    must(snapmla_pack_open_memory(data, bytes, &strict, &pack));
    snapmla_status status = snapmla_layer_plan_create_from_pack(context, pack, &c.problem, &plan);
    assert_int_equal(status, is_own ? SNAPMLA_OK : SNAPMLA_NOT_FOUND);
    if (!is_own) assert_non_null(strstr(snapmla_error_message(), "chosen for the device class emulator-7sm and none"));
    snapmla_layer_plan_destroy(plan);
    snapmla_pack_close(pack);
    snapmla_pack_data_free(data);
    snapmla_context_destroy(context);
  }
}

/* The pack with `count` bytes of `value` at `at`, as a forger would leave it: no plan. */
static void forged(snapmla_context *context, const snapmla_layer_problem *problem, size_t at, uint64_t value, int count,
                   const char *expected) {
  smla_buffer bytes = {0};
  snapmla_layer_plan *plan = NULL;
  must(smla_buffer_append(&bytes, made, made_bytes));
  smla_put_number((unsigned char *)bytes.data + at, value, count);
  sample_reseal(&bytes);
  snapmla_pack *pack = open_bytes(bytes.data, bytes.length);
  assert_int_equal(snapmla_layer_plan_create_from_pack(context, pack, problem, &plan), SNAPMLA_BAD_FORMAT);
  if (!strstr(snapmla_error_message(), expected)) fail_msg("\"%s\" lacks \"%s\"", snapmla_error_message(), expected);
  assert_null(plan);
  snapmla_pack_close(pack);
  smla_buffer_free(&bytes);
}

/* Where `text`, which is not part of a longer one, ends in the index after `from`. */
static size_t after(const char *text, size_t from) {
  char field[256];
  size_t length = strlen(text);
  assert_true(length + 2 <= sizeof field);
  smla_put_number((unsigned char *)field, length, 2);
  memcpy(field + 2, text, length);
  const char *found = memmem((const char *)made + from, made_bytes - from, field, length + 2);
  assert_non_null(found);
  return (size_t)(found - (const char *)made) + 2 + length;
}

/* A cluster of more blocks than the output's reduction has chunks would leave one without work. */
static void refuses_a_forged_split(void **state) {
  (void)state;
  layer_case c = small_of(136);
  c.problem.weight_type = SNAPMLA_WEIGHT_FP8_BLOCK; /* 576 values: five chunks of 128 */
  const snapmla_pack_request request = {.size = sizeof request, .layer = &c.problem};
  void *whole = made;
  size_t whole_bytes = made_bytes;
  snapmla_context *context = open_emulator();
  snapmla_layer_plan *plan;
  must(snapmla_pack_make(&make_options, &request, 1, &made, &made_bytes));
  snapmla_pack *pack = open_bytes(made, made_bytes);
  must(snapmla_layer_plan_create_from_pack(context, pack, &c.problem, &plan));
  size_t cluster = after("cluster", after(snapmla_layer_plan_variant(plan, "output_project"), 0));
  snapmla_layer_plan_destroy(plan);
  snapmla_pack_close(pack);
  forged(context, &c.problem, cluster, 8, 8, "8 blocks share 5 chunks of 128 values");
  snapmla_pack_data_free(made);
  made = whole;
  made_bytes = whole_bytes;
  snapmla_context_destroy(context);
}

static void refuses_forged_kernels(void **state) {
  (void)state;
  snapmla_context *context = open_emulator();
  const layer_case c = small();
  /* of the plan's record: which kernel a role has, and what the role is called */
  size_t decode = after("mla_decode", 0), move = after("layer_move", 0);
  uint64_t decodes = smla_get_u32((const unsigned char *)made + decode);
  forged(context, &c.problem, move, decodes, 4, "takes for layer_move the kernel mla_decode:");
  forged(context, &c.problem, move - 1, 'f', 1, "has no kernel for layer_move");
  forged(context, &c.problem, decode, smla_get_u32((const unsigned char *)made + move), 4,
         "is none of family mla_decode");
  /* of a kernel's: the number of columns, that divides */
  size_t columns = after("columns", 0);
  forged(context, &c.problem, columns, 0, 8, "derives columns = 0, it must be 1 to 256");
  forged(context, &c.problem, columns, 257, 8, "derives columns = 257, it must be 1 to 256");
  forged(context, &c.problem, columns - 1, 't', 1, "derives no \"columns\"");
  snapmla_context_destroy(context);
}

static void refuses_bad_requests(void **state) {
  (void)state;
  layer_case c = small();
  snapmla_pack_request request = {.size = sizeof request, .problem = &c.problem.attention, .layer = &c.problem};
  void *data;
  size_t bytes;
  assert_int_equal(snapmla_pack_make(&make_options, &request, 1, &data, &bytes), SNAPMLA_INVALID_ARGUMENT);
  assert_non_null(strstr(snapmla_error_message(), "a request of its own"));
  request.problem = NULL;
  request.variant = "nothing:a=1";
  assert_int_equal(snapmla_pack_make(&make_options, &request, 1, &data, &bytes), SNAPMLA_INVALID_ARGUMENT);
  assert_non_null(strstr(snapmla_error_message(), "no family"));
  request.variant = NULL;
  c.problem.v_dim = 100;
  assert_int_equal(snapmla_pack_make(&make_options, &request, 1, &data, &bytes), SNAPMLA_UNSUPPORTED);
  assert_non_null(strstr(snapmla_error_message(), "v_dim is 100"));
  request.layer = NULL;
  assert_int_equal(snapmla_pack_make(&make_options, &request, 1, &data, &bytes), SNAPMLA_INVALID_ARGUMENT);
  /* three chunks of values in eight shares; without hidden_size no kernel takes the part */
  c.problem.v_dim = 64;
  c.problem.hidden_size = 136;
  request.layer = &c.problem;
  request.variant = "output_project:split=8";
  assert_int_equal(snapmla_pack_make(&make_options, &request, 1, &data, &bytes), SNAPMLA_ILLEGAL_VARIANT);
  assert_non_null(strstr(snapmla_error_message(), "take a smaller split"));
  c.problem.hidden_size = 0;
  assert_int_equal(snapmla_pack_make(&make_options, &request, 1, &data, &bytes), SNAPMLA_INVALID_ARGUMENT);
  /* one layer, two variants */
  c.problem.v_dim = 64;
  const snapmla_pack_request twice[] = {
      {.size = sizeof *twice, .layer = &c.problem},
      {.size = sizeof *twice, .layer = &c.problem, .variant = "value_project:stages=2"}};
  assert_int_equal(snapmla_pack_make(&make_options, twice, 2, &data, &bytes), SNAPMLA_INVALID_ARGUMENT);
  assert_non_null(strstr(snapmla_error_message(), "asked for twice"));
}

static int setup(void **state) {
  if (fake_cuda_use() || setenv("SNAPMLA_CUDA_TARGET", "emulator", 1) || settings_setup(state)) return -1;
  const layer_case c = small();
  const snapmla_pack_request request = {.size = sizeof request, .layer = &c.problem};
  return snapmla_pack_make(&make_options, &request, 1, &made, &made_bytes) ? -1 : 0;
}

static int teardown(void **state) {
  snapmla_pack_data_free(made);
  return settings_teardown(state);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(steps_on_the_emulator),
      cmocka_unit_test(steps_through_the_driver),
      cmocka_unit_test(a_plan_that_fails_leaves_nothing),
      cmocka_unit_test(lists_its_kernels),
      cmocka_unit_test(misses_are_errors),
      cmocka_unit_test(takes_the_smallest_that_covers),
      cmocka_unit_test(tells_device_classes),
      cmocka_unit_test(refuses_forged_kernels),
      cmocka_unit_test(refuses_a_forged_split),
      cmocka_unit_test(refuses_bad_requests),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
