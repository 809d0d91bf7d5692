/* snapmla-bench-start: what stands between a program and its first kernel, one measurement a process. run.py starts it in fresh
 * processes and makes the table; --help lists the measurements. Times are in seconds, one name and number a line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <snapmla/snapmla.h>

#include "context_object.h"
#include "generator.h"
#include "stand_in.h"

static double now(clockid_t id) {
  struct timespec t;
  clock_gettime(id, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}
static double wall(void) { return now(CLOCK_MONOTONIC); }

static snapmla_context *open_context(const char *device) {
  const snapmla_context_options options = {.size = sizeof options, .device = device};
  snapmla_context *context = NULL;
  snapmla_status status =
      strcmp(device, STAND_IN) ? snapmla_context_create(&options, &context) : stand_in_open(&context);
  return status ? NULL : context;
}

static snapmla_problem problem_of(void) {
  snapmla_problem problem;
  snapmla_problem_init(&problem);
  problem.heads = 64;
  problem.max_batch = 32;
  problem.max_context = 32768;
  return problem;
}

/* --- expansion: every family's variant for the problem, many times ---------------------------------------------------- */

static snapmla_status expand(const char *argument) {
  (void)argument;
  enum { ROUNDS = 20 };
  smla_generator *generator = NULL;
  snapmla_problem problem = problem_of();
  double start = wall(), most = 0;
  snapmla_status status = smla_generator_create(NULL, &generator);
  if (status) return status;
  printf("generator %.9f\n", wall() - start);
  double sum = 0;
  int count = 0;
  for (const char *const *family = snapmla_family_names(); *family && !status; family++) {
    const snapmla_source_options options = {.size = sizeof options, .target = SNAPMLA_TARGET_SM90A};
    char *variant = NULL;
    status = snapmla_variant_resolve(&options, &problem, *family, NULL, &variant);
    for (int round = 0; round < ROUNDS && !status; round++) {
      const smla_expand_options plain = {0};
      smla_buffer text = {0};
      start = now(CLOCK_THREAD_CPUTIME_ID); /* one thread that waits for nothing: a busy machine does not show */
      status = smla_generator_expand(generator, variant, &plain, &text);
      double took = now(CLOCK_THREAD_CPUTIME_ID) - start;
      smla_buffer_free(&text);
      sum += took;
      count++;
      if (took > most) most = took;
    }
    snapmla_text_free(variant);
  }
  smla_generator_destroy(generator);
  if (!status) printf("expand_mean %.9f\nexpand_most %.9f\n", sum / count, most);
  return status;
}

/* --- kernels without a device: expansion and NVRTC, as far as a cubin -------------------------------------------------- */

static snapmla_status make_pack(const char *path, snapmla_target target) {
  snapmla_problem problem = problem_of();
  const snapmla_pack_request request = {.size = sizeof request, .problem = &problem};
  const snapmla_pack_make_options options = {.size = sizeof options, .targets = &target, .target_count = 1};
  void *data = NULL;
  size_t bytes = 0;
  double start = wall(), used = now(CLOCK_PROCESS_CPUTIME_ID);
  snapmla_status status = snapmla_pack_make(&options, &request, 1, &data, &bytes);
  if (status) return status;
  printf("kernels %.9f\nkernels_cpu %.9f\n", wall() - start, now(CLOCK_PROCESS_CPUTIME_ID) - used);
  FILE *file = path ? fopen(path, "wb") : NULL;
  if (path && (!file || fwrite(data, 1, bytes, file) != bytes)) {
    fprintf(stderr, "cannot write %s: name a file that can be written\n", path);
    status = SNAPMLA_IO;
  }
  if (file) fclose(file);
  snapmla_pack_data_free(data);
  return status;
}

static snapmla_status kernels_sm90a(const char *argument) { return make_pack(argument, SNAPMLA_TARGET_SM90A); }
static snapmla_status kernels_emulator(const char *argument) { return make_pack(argument, SNAPMLA_TARGET_EMULATOR); }

/* --- plans ---------------------------------------------------------------------------------------------------------- */

static snapmla_status plan(const char *device) {
  snapmla_problem problem = problem_of();
  snapmla_plan *made = NULL;
  double start = wall();
  snapmla_context *context = open_context(device);
  if (!context) return SNAPMLA_NO_DEVICE;
  printf("open_device %.9f\n", wall() - start);
  start = wall();
  double used = now(CLOCK_PROCESS_CPUTIME_ID);
  snapmla_status status = snapmla_plan_create(context, &problem, NULL, &made);
  if (!status) printf("plan %.9f\nplan_cpu %.9f\n", wall() - start, now(CLOCK_PROCESS_CPUTIME_ID) - used);
  snapmla_plan_destroy(made);
  stand_in_close(context);
  return status;
}

/* The time that the device takes to load a module is in no figure of ours: it is counted apart. */
static const smla_device_ops *real_ops;
static double load_seconds;

static snapmla_status timed_load(smla_device *device, const smla_image *image, uint32_t smem_bytes, void **kernel) {
  double start = wall();
  snapmla_status status = real_ops->load(device, image, smem_bytes, kernel);
  load_seconds += wall() - start;
  return status;
}

/* "DEVICE=FILE": the pack is of the device's target. */
static snapmla_status pack(const char *argument) {
  char device[64];
  const char *path = argument ? strrchr(argument, '=') : NULL;
  if (!path || (size_t)(path - argument) >= sizeof device) {
    fprintf(stderr, "pack takes DEVICE=FILE, as in emulator=kernels.smlapack\n");
    return SNAPMLA_INVALID_ARGUMENT;
  }
  snprintf(device, sizeof device, "%.*s", (int)(path - argument), argument);
  const snapmla_pack_options options = {.size = sizeof options, .allow_host_code = 1};
  snapmla_problem problem = problem_of();
  snapmla_pack *opened = NULL;
  snapmla_plan *made = NULL;
  snapmla_context *context = open_context(device);
  if (!context) return SNAPMLA_NO_DEVICE;
  real_ops = context->device->ops;
  smla_device_ops ops = *real_ops;
  ops.load = timed_load;
  context->device->ops = &ops;
  double start = wall();
  snapmla_status status = snapmla_pack_open(path + 1, &options, &opened);
  if (!status) status = snapmla_plan_create_from_pack(context, opened, &problem, &made);
  double took = wall() - start;
  if (!status) printf("pack_with_load %.9f\npack %.9f\n", took, took - load_seconds);
  snapmla_plan_destroy(made);
  snapmla_pack_close(opened);
  context->device->ops = real_ops;
  stand_in_close(context);
  return status;
}

/* --- execution: the host's time of a decode call, the device's launches done by nobody --------------------------------- */

static int64_t launches;

static snapmla_status no_launch(smla_device *device, const smla_device_launch *launch,
                                snapmla_plan_counters *counters) {
  (void)device, (void)launch, (void)counters;
  launches++;
  return SNAPMLA_OK;
}

static snapmla_status execute(const char *device) {
  enum { CALLS = 200000 };
  snapmla_problem problem = problem_of();
  snapmla_plan *made = NULL;
  snapmla_context *context = open_context(device);
  if (!context) return SNAPMLA_NO_DEVICE;
  snapmla_status status = snapmla_plan_create(context, &problem, NULL, &made);
  size_t rows = (size_t)problem.max_batch * (size_t)problem.heads, rank = (size_t)problem.latent_rank;
  snapmla_page_layout layout = {.size = sizeof layout};
  if (!status) status = snapmla_page_layout_get(&problem, &layout);
  snapmla_buffer *buffers[6] = {0};
  const size_t bytes[6] = {rows * rank * 2,
                           rows * (size_t)problem.rope_dim * 2,
                           (size_t)layout.page_bytes + 128,
                           rows * rank * 2,
                           rows * 4,
                           made ? snapmla_plan_workspace_bytes(made) : 256};
  for (int i = 0; i < 6 && !status; i++) status = snapmla_buffer_create(context, bytes[i], &buffers[i]);
  snapmla_buffer *lengths = NULL;
  if (!status) status = snapmla_buffer_create(context, 4096, &lengths);
  snapmla_stream *stream = NULL;
  if (!status) status = snapmla_stream_create(context, &stream);
  if (!status) {
    int64_t h = problem.heads, r = problem.latent_rank, d = problem.rope_dim;
    snapmla_decode_args a = {.size = sizeof a,
                             .batch = problem.max_batch,
                             .num_pages = 1,
                             .block_table_stride = 1,
                             .softmax_scale = 0.07f,
                             .stream = snapmla_stream_handle(stream)};
    a.q_nope = snapmla_buffer_pointer(buffers[0]);
    a.q_rope = snapmla_buffer_pointer(buffers[1]);
    a.q_nope_stride_head = r, a.q_nope_stride_token = a.q_nope_stride_batch = h * r;
    a.q_rope_stride_head = d, a.q_rope_stride_token = a.q_rope_stride_batch = h * d;
    a.kv = snapmla_buffer_pointer(buffers[2]);
    a.page_stride = (int64_t)(layout.page_bytes + 127) / 128 * 128;
    a.block_table = a.seqlens = snapmla_buffer_pointer(lengths);
    a.out = snapmla_buffer_pointer(buffers[3]);
    a.out_stride_head = r, a.out_stride_token = a.out_stride_batch = h * r;
    a.lse = snapmla_buffer_pointer(buffers[4]);
    a.lse_stride_token = a.lse_stride_head = 1, a.lse_stride_batch = h;
    a.workspace = snapmla_buffer_pointer(buffers[5]);
    a.workspace_bytes = bytes[5];
    const smla_device_ops *kept = context->device->ops;
    smla_device_ops ops = *kept;
    ops.launch = no_launch;
    context->device->ops = &ops;
    status = snapmla_plan_decode(made, &a);
    launches = 0;
    double start = now(CLOCK_THREAD_CPUTIME_ID);
    for (int i = 0; i < CALLS && !status; i++) status = snapmla_plan_decode(made, &a);
    double took = now(CLOCK_THREAD_CPUTIME_ID) - start;
    context->device->ops = kept;
    if (!status) printf("execute %.12f\nlaunches %.1f\n", took / CALLS, (double)launches / CALLS);
  }
  snapmla_stream_destroy(stream);
  snapmla_buffer_destroy(lengths);
  for (int i = 0; i < 6; i++) snapmla_buffer_destroy(buffers[i]);
  snapmla_plan_destroy(made);
  stand_in_close(context);
  return status;
}

static const struct {
  const char *name, *argument, *help;
  snapmla_status (*run)(const char *argument);
} measures[] = {
    {"expand", NULL, "expansion of a variant to source", expand},
    {"kernels-sm90a", "[FILE]", "expansion and NVRTC of a plan's kernels; no GPU needed; FILE gets the pack",
     kernels_sm90a},
    {"kernels-emulator", "[FILE]", "the same by the host's compiler", kernels_emulator},
    {"plan", "DEVICE", "opening the device, and an ESTIMATE plan with the store as it is", plan},
    {"pack", "DEVICE=FILE", "opening a pack and a plan from it, with and without the loading of modules", pack},
    {"execute", "DEVICE", "processor time of a decode call without its launches", execute},
};

int main(int argc, char **argv) {
  for (size_t i = 0; argc >= 2 && i < sizeof measures / sizeof *measures; i++) {
    if (strcmp(argv[1], measures[i].name)) continue;
    snapmla_status status = measures[i].run(argc > 2 ? argv[2] : NULL);
    if (!status) return 0;
    fprintf(stderr, "snapmla-bench-start %s: %s\n", argv[1], snapmla_error_message());
    return status == SNAPMLA_NO_DEVICE || status == SNAPMLA_NO_COMPILER ? 3 : 1;
  }
  fprintf(stderr, "usage: snapmla-bench-start MEASURE [ARGUMENT]\n");
  for (size_t i = 0; i < sizeof measures / sizeof *measures; i++)
    fprintf(stderr, "  %-16s %-12s %s\n", measures[i].name, measures[i].argument ? measures[i].argument : "",
            measures[i].help);
  return 2;
}
