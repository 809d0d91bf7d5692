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
    "  --device NAME    cuda:N or emulator (cuda:0)\n"
    "  --small          one tiny shape, to try the program itself\n"
    "  --shape B,H,T    this one alone: batch, heads, tokens of each request\n"
    "  --layers N       layers of a step, 1 to 64 (16; 2 with --small)\n"
    "  --repeat N       runs per time, 1 to 1000 (21; 2 with --small)\n"
    "  --csv FILE       the times as CSV\n"
    "  -h, --help       this text\n\n"
    "exit: 0 all ran, 1 a shape failed, 2 usage, 3 no such device\n";

enum { USAGE = 2, NO_DEVICE = 3, MOST_LAYERS = 64 };

static const struct {
  const char *name;
  unsigned parts;
} stages[] = {{"step", SMLA_LAYER_PART_ALL},
              {"append", SMLA_LAYER_PART_APPEND},
              {"absorb", SMLA_LAYER_PART_ABSORB},
              {"attend", SMLA_LAYER_PART_ATTEND},
              {"project", SMLA_LAYER_PART_PROJECT}};

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
  const char *device, *shape, *layers, *repeat, *csv;
  int small;
} options;

typedef struct run {
  bench *b;
  smla_layer_session session;
  unsigned parts;
  bench_graph *graph;
  FILE *csv;
} run;

static int usage(const char *problem, const char *what) {
  fprintf(stderr, "snapmla-bench-layer: %s%s; snapmla-bench-layer --help lists the options\n", problem, what);
  return USAGE;
}

static int parse(options *o, int argc, char **argv) {
  const struct {
    const char *name;
    const char **value;
  } texts[] = {{"--device", &o->device},
               {"--shape", &o->shape},
               {"--layers", &o->layers},
               {"--repeat", &o->repeat},
               {"--csv", &o->csv}};
  for (int i = 1; i < argc; i++) {
    size_t k = 0;
    if (!strcmp(argv[i], "--small")) {
      o->small = 1;
      continue;
    }
    while (k < sizeof texts / sizeof *texts && strcmp(argv[i], texts[k].name)) k++;
    if (k == sizeof texts / sizeof *texts) return usage("unknown option ", argv[i]);
    if (i + 1 == argc) return usage("an option without its value: ", argv[i]);
    *texts[k].value = argv[++i];
  }
  if (o->repeat && (atoi(o->repeat) < 1 || atoi(o->repeat) > BENCH_SAMPLES))
    return usage("--repeat must be 1 to 1000, not ", o->repeat);
  if (o->layers && (atoi(o->layers) < 1 || atoi(o->layers) > MOST_LAYERS))
    return usage("--layers must be 1 to 64, not ", o->layers);
  return 0;
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
  if (parts & SMLA_LAYER_PART_ATTEND) bytes += tokens * layout.bytes_per_token;
  return bytes;
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
    fprintf(r->csv, "%d,%d,%d,%s,%s,%d,%s,%s,%.3f,%.3f,%.0f\n", p->max_batch, p->heads, p->max_context,
            snapmla_kv_format_name(p->kv_format), weights, s->layer_count, name, graph ? "graph" : "launches", layer,
            times.spread / s->layer_count, bytes);
  return status;
}

/* One shape in one format, every stage. The step comes first: what stages alone read is there then. */
static snapmla_status run_shape(run *r, const shape *at, size_t kind, int32_t layers) {
  char context[16];
  smla_settings settings;
  smla_settings_init(&settings);
  snprintf(context, sizeof context, "%d", at->tokens);
  settings.heads = at->heads;
  settings.batch = at->batch;
  settings.context = context;
  settings.layers = layers;
  settings.format = kinds[kind].format;
  settings.weights = (int)kinds[kind].weights;
  snapmla_status status = smla_layer_session_open(&settings, r->b->context, &r->b->info, &r->session);
  if (status) fprintf(stderr, "snapmla-bench-layer: %s\n", smla_console_reason());
  for (size_t i = 0; i < sizeof stages / sizeof *stages && !status; i++) {
    status = time_stage(r, stages[i].name, stages[i].parts, kinds[kind].weights ? "fp8" : "bf16");
    if (status) fprintf(stderr, "snapmla-bench-layer: %s\n", snapmla_error_message());
  }
  smla_layer_session_close(&r->session);
  smla_settings_free(&settings);
  return status;
}

static int run_all(run *r, const options *o) {
  shape one = {2, 3, 40};
  const shape *shapes = o->small || o->shape ? &one : all_shapes;
  size_t count = shapes == &one ? 1 : sizeof all_shapes / sizeof *all_shapes;
  int32_t layers = o->layers ? atoi(o->layers) : o->small ? 2 : 16;
  int failed = 0;
  if (o->shape && (sscanf(o->shape, "%d,%d,%d", &one.batch, &one.heads, &one.tokens) != 3 || one.tokens < 1))
    return usage("--shape is batch,heads,tokens as in 32,64,8192, not ", o->shape);
  for (size_t i = 0; i < count; i++)
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
      failed |= run_shape(r, &shapes[i], k, layers) != SNAPMLA_OK;
  return failed;
}

int main(int argc, char **argv) {
  options o = {.device = "cuda:0"};
  for (int i = 1; i < argc; i++)
    if (!strcmp(argv[i], "-h") || !strcmp(argv[i], "--help")) return fputs(help, stdout) < 0;
  int exit_code = parse(&o, argc, argv);
  if (exit_code) return exit_code;
  bench b = {.small = o.small, .warmups = 3, .repeats = o.repeat ? atoi(o.repeat) : o.small ? 2 : 21};
  run r = {.b = &b};
  snapmla_status status = bench_open(&b, o.device, NULL);
  if (!status && o.csv && !(r.csv = fopen(o.csv, "w")))
    status = smla_fail(SNAPMLA_IO, "cannot write %s: name a file in a folder that is there", o.csv);
  if (status) {
    fprintf(stderr, "snapmla-bench-layer: %s\n", snapmla_error_message());
    exit_code = status == SNAPMLA_NO_DEVICE ? NO_DEVICE : 1;
  } else {
    bench_print_header(stdout, &b, argc, argv);
    if (r.csv) {
      bench_print_header(r.csv, &b, argc, argv);
      fputs("batch,heads,tokens,format,weights,layers,stage,way,us_per_layer,spread_us,bytes\n", r.csv);
    }
    exit_code = run_all(&r, &o);
  }
  if (r.csv && fclose(r.csv)) exit_code = exit_code ? exit_code : 1;
  bench_close(&b);
  return exit_code;
}
