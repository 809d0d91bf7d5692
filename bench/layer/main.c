/* snapmla-bench-layer: the layer step over many layers in one CUDA graph, whole and stage by stage. See bench/README.md. */
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "console.h"
#include "layer_object.h"
#include "layer_session.h"
#include "status.h"

static const char *const help =
    "usage: snapmla-bench-layer [OPTIONS]\n\n"
    "Times the attention of a model's layers in one decode step, replayed as one CUDA graph: all stages, and each "
    "alone.\n"
    "Layers have weights and caches of their own; enough of them empty L2 for each other.\n\n"
    "  --shape B,H,T     this one alone: batch, heads, tokens of each request\n"
    "  --only FORMAT,W   one kind alone: format of the cache, bf16 or fp8 weights\n"
    "  --layers N        layers of a step, 1 to 64 (16; 2 with --small)\n"
    "  --hidden N        the step goes on to an output of N channels, by W_O (it ends with the values)\n"
    "  --output-by NAME  what multiplies by W_O: generated, or cublaslt where it is there (generated)\n";

enum { MOST_LAYERS = 64 };

static const struct {
  const char *name;
  unsigned parts;
} stages[] = {{"step", SMLA_LAYER_PART_ALL},        {"append", SMLA_LAYER_PART_APPEND},
              {"absorb", SMLA_LAYER_PART_ABSORB},   {"attend", SMLA_LAYER_PART_ATTEND},
              {"project", SMLA_LAYER_PART_PROJECT}, {"output", SMLA_LAYER_PART_OUTPUT}}; /* with --hidden */

/* Equal weight types, and FP8 weights beside an FP8 cache. */
static const struct {
  const char *format;
  snapmla_weight_type weights;
} kinds[] = {{"bf16", SNAPMLA_WEIGHT_BF16},
             {"fp8_token", SNAPMLA_WEIGHT_BF16},
             {"fp8_tensor", SNAPMLA_WEIGHT_BF16},
             {"fp8_token", SNAPMLA_WEIGHT_FP8_BLOCK}};

typedef struct shape {
  int batch, heads, tokens;
} shape;

static const shape all_shapes[] = {{1, 128, 131072}, {1, 16, 131072}, {1, 128, 8192},
                                   {32, 128, 4096},  {32, 16, 8192},  {128, 16, 2048}};

typedef struct options {
  bench_command command;
  const char *shape, *only, *layers, *hidden, *output_by;
} options;

typedef struct run {
  bench *b;
  smla_layer_session session;
  unsigned parts;
  bench_graph *graph;
  const char *variant; /* override, or NULL */
  FILE *csv;
} run;

static const char *weights_name(size_t kind) { return kinds[kind].weights == SNAPMLA_WEIGHT_BF16 ? "bf16" : "fp8"; }

/* Whether `only` ("fp8_token,bf16"; NULL: any) names this kind. */
static int is_chosen(size_t kind, const char *only) {
  size_t length = strlen(kinds[kind].format);
  return !only || (!strncmp(only, kinds[kind].format, length) && only[length] == ',' &&
                   !strcmp(only + length + 1, weights_name(kind)));
}

static int check(const options *o) {
  const char *only = o->only;
  int any = 0;
  for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) any |= is_chosen(k, only);
  if (!any)
    return bench_usage(&o->command, "--only is bf16,bf16, fp8_token,bf16, fp8_tensor,bf16 or fp8_token,fp8, not ",
                       only);
  if (o->layers && (atoi(o->layers) < 1 || atoi(o->layers) > MOST_LAYERS))
    return bench_usage(&o->command, "--layers must be 1 to 64, not ", o->layers);
  if (o->hidden && atoi(o->hidden) < 1) return bench_usage(&o->command, "--hidden must be 1 or more, not ", o->hidden);
  if (o->output_by && strcmp(o->output_by, "generated") && strcmp(o->output_by, "cublaslt"))
    return bench_usage(&o->command, "--output-by is generated or cublaslt, not ", o->output_by);
  return BENCH_GO_ON;
}

/* A stage of all layers, or all stages after the schedule. */
static snapmla_status launch(void *user) {
  run *r = user;
  snapmla_layer_args args = r->session.args;
  args.decode.stream = r->b->stream;
  snapmla_status status = SNAPMLA_OK;
  if (r->parts == SMLA_LAYER_PART_ALL) status = snapmla_layer_schedule(r->session.plan, &args);
  for (int32_t l = 0; l < r->session.layer_count && !status; l++) {
    args.weights = &r->session.layers[l].weights;
    args.decode.kv = snapmla_buffer_pointer(r->session.layers[l].kv);
    status = smla_layer_step_parts(r->session.plan, &args, r->parts);
  }
  return status;
}

static snapmla_status replay(void *user) { return bench_graph_launch(((run *)user)->graph); }

/* What a stage has to read at least, of one layer. */
static double bytes_of(const smla_layer_session *s, unsigned parts) {
  snapmla_page_layout layout = {.size = sizeof layout};
  double tokens = 0, share = s->problem.nope_dim + s->problem.v_dim, bytes = 0;
  if (snapmla_page_layout_get(&s->problem.attention, &layout)) return 0;
  for (int32_t b = 0; b < s->lengths.count; b++) tokens += s->lengths.items[b];
  if (parts & SMLA_LAYER_PART_ABSORB) bytes += (double)s->kv_b_bytes * s->problem.nope_dim / share;
  if (parts & SMLA_LAYER_PART_PROJECT) bytes += (double)s->kv_b_bytes * s->problem.v_dim / share;
  if (parts & SMLA_LAYER_PART_OUTPUT) bytes += (double)s->o_bytes;
  if (parts & SMLA_LAYER_PART_ATTEND) bytes += tokens * layout.bytes_per_token;
  return bytes;
}

static const char *output_by(const smla_layer_session *s) {
  return !s->problem.hidden_size ? "" : snapmla_layer_plan_library(s->plan) ? "cublaslt" : "generated";
}

/* Who merges the pieces of cut requests in this step: mla_combine, of the stage `attend`, or the up-projection. */
static const char *combine_of(const smla_layer_session *s) {
  const snapmla_problem *p = &s->problem.attention;
  int few = p->max_batch * p->q_len <= SMLA_LAYER_FEW_TOKENS;
  return s->plan->tiles[few ? SMLA_LAYER_PROJECT_FEW : SMLA_LAYER_PROJECT].merges ? "fused" : "separate";
}

static snapmla_status time_stage(run *r, const char *name, unsigned parts, const char *weights) {
  const smla_layer_session *s = &r->session;
  const snapmla_problem *p = &s->problem.attention;
  bench_times times;
  r->parts = parts;
  snapmla_status status = bench_graph_open(r->b, launch, r, &r->graph);
  int graph = !status;
  if (status == SNAPMLA_UNSUPPORTED) status = SNAPMLA_OK; /* a device without graphs: launches */
  if (!status) status = bench_time(r->b, NULL, graph ? replay : launch, r, &times);
  bench_graph_close(r->graph);
  r->graph = NULL;
  if (status) return status;
  double layer = times.median / s->layer_count, bytes = bytes_of(s, parts);
  printf("%5d %5d %7d  %-10s %-5s %-8s %9.2f us a layer  %6.0f GB/s", p->max_batch, p->heads, p->max_context,
         snapmla_kv_format_name(p->kv_format), weights, name, layer, bytes / layer * 1e-3);
  if (parts == SMLA_LAYER_PART_ALL)
    printf("  %.0f tokens/s over %d layers", p->max_batch / times.median * 1e6, s->layer_count);
  putchar('\n');
  if (r->csv)
    fprintf(r->csv, "%d,%d,%d,%s,%s,%d,%d,%s,%s,%s,%s,%.3f,%.3f,%.0f,%.3f,\"%s\"\n", p->max_batch, p->heads,
            p->max_context, snapmla_kv_format_name(p->kv_format), weights, s->layer_count, s->problem.hidden_size,
            output_by(s), combine_of(s), name, graph ? "graph" : "launches", layer, times.spread / s->layer_count,
            bytes, (double)s->page_stride / p->page_tokens,
            snapmla_plan_variant(snapmla_layer_plan_attention(s->plan), "mla_decode"));
  return status;
}

/* One shape in one format, every stage. The step comes first: what stages alone read is there then. */
static snapmla_status run_shape(run *r, const shape *at, size_t kind, int32_t layers, const options *o) {
  const int32_t hidden = o->hidden ? atoi(o->hidden) : 0;
  char context[16];
  smla_settings settings;
  smla_settings_init(&settings);
  snprintf(context, sizeof context, "%d", at->tokens);
  settings.heads = at->heads;
  settings.batch = at->batch;
  settings.context = context;
  settings.layers = layers;
  settings.hidden = hidden;
  settings.output_by = o->output_by && !strcmp(o->output_by, "cublaslt");
  settings.format = kinds[kind].format;
  settings.weights = (int)kinds[kind].weights;
  if (r->variant) settings.variants = (smla_text_list){.items = &r->variant, .count = 1};
  snapmla_status status = smla_layer_session_open(&settings, r->b->context, &r->b->info, &r->session);
  if (status) fprintf(stderr, "snapmla-bench-layer: %s\n", smla_console_reason());
  const char *library = status ? NULL : snapmla_layer_plan_library(r->session.plan);
  if (library) printf("# output by %s\n", library);
  for (size_t i = 0; i < sizeof stages / sizeof *stages && !status; i++) {
    if (stages[i].parts == SMLA_LAYER_PART_OUTPUT && !hidden) continue;
    status = time_stage(r, stages[i].name, stages[i].parts, weights_name(kind));
    if (status) fprintf(stderr, "snapmla-bench-layer: %s\n", snapmla_error_message());
  }
  smla_layer_session_close(&r->session);
  settings.variants = (smla_text_list){0}; /* not the settings' own */
  smla_settings_free(&settings);
  return status;
}

static int run_all(run *r, const options *o) {
  shape one = {2, 3, 40};
  const int small = o->command.small;
  const shape *shapes = small || o->shape ? &one : all_shapes;
  size_t count = shapes == &one ? 1 : sizeof all_shapes / sizeof *all_shapes;
  int32_t layers = o->layers ? atoi(o->layers) : small ? 2 : 16;
  int failed = 0;
  if (o->shape && (sscanf(o->shape, "%d,%d,%d", &one.batch, &one.heads, &one.tokens) != 3 || one.tokens < 1))
    return bench_usage(&o->command, "--shape is batch,heads,tokens as in 32,64,8192, not ", o->shape);
  for (size_t i = 0; i < count; i++)
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
      if (is_chosen(k, o->only)) failed |= run_shape(r, &shapes[i], k, layers, o) != SNAPMLA_OK;
  return failed;
}

int main(int argc, char **argv) {
  options o = {.command = {.program = "snapmla-bench-layer", .help = help, .device = "cuda:0"}};
  const bench_option own[] = {{"--shape", &o.shape},
                              {"--only", &o.only},
                              {"--layers", &o.layers},
                              {"--hidden", &o.hidden},
                              {"--output-by", &o.output_by}};
  o.command.options = own;
  o.command.option_count = sizeof own / sizeof *own;
  int exit_code = bench_command_read(&o.command, argc, argv);
  if (exit_code == BENCH_GO_ON) exit_code = check(&o);
  if (exit_code != BENCH_GO_ON) return exit_code;
  bench b = {.small = o.command.small, .warmups = 3, .repeats = o.command.repeats, .rest = o.command.rest};
  run r = {.b = &b, .variant = o.command.variant};
  snapmla_status status = bench_open(&b, o.command.device, NULL);
  if (!status && o.command.csv && !(r.csv = fopen(o.command.csv, "w")))
    status = smla_fail(SNAPMLA_IO, "cannot write %s: name a file in a folder that is there", o.command.csv);
  if (status) {
    fprintf(stderr, "snapmla-bench-layer: %s\n", snapmla_error_message());
    exit_code = status == SNAPMLA_NO_DEVICE ? BENCH_NO_DEVICE : 1;
  } else {
    bench_print_header(stdout, &b, argc, argv);
    if (r.csv) {
      bench_print_header(r.csv, &b, argc, argv);
      fputs(
          "batch,heads,tokens,format,weights,layers,hidden,output_by,combine,stage,way,us_per_layer,spread_us,bytes,"
          "kv_bytes_per_token,variant\n",
          r.csv);
    }
    exit_code = run_all(&r, &o);
  }
  if (r.csv && fclose(r.csv)) exit_code = exit_code ? exit_code : 1;
  bench_close(&b);
  return exit_code;
}
