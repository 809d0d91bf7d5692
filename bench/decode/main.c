/* snapmla-bench-decode: the decode step, shape by shape, against its targets. See bench/README.md. */
#include <stdlib.h>
#include <string.h>

#include "plan_object.h"
#include "report.h"
#include "status.h"

static const char *const help =
    "usage: snapmla-bench-decode [OPTIONS]\n\n"
    "Times the decode step on a Hopper GPU: cold L2, shuffled pages, launches and graph replay, the whole call and "
    "its\n"
    "parts, against the targets of bench/decode/targets.csv.\n\n"
    "  --set NAME        target (the table of targets), matrix (24 shapes), context (1K to 128K tokens), all (of "
    "these)\n"
    "                    or speculative (13 shapes of 2 and 4 query tokens) (target)\n"
    "  --shape B,H,T[,K] this one instead: batch, heads, tokens of each request, of which each query chooses K\n"
    "  --q-len N         query tokens of each request, its last, causal among themselves: 1 to 128 (1; the set "
    "speculative has\n"
    "                    its own)\n"
    "  --accuracy NAME   level: fast, balanced or max (fast)\n"
    "  --format NAME     of the cache: fp8_token, bf16 (what its gain is measured against), fp8_tensor, fp8_tile or "
    "fp8_token_r4\n"
    "                    (fp8_token)\n"
    "  --sigma S         standard deviation of the logits, 0.1 to 16 (1.67, which the targets are of): how often a "
    "row's "
    "largest\n"
    "                    score moves, and with it what its P is a fraction of\n"
    "  --shared N        tokens that all requests share, their first, in the same pages: a multiple of 64 (none)\n"
    "  --flush NAME      how L2 is emptied before each run: read, write, both or none (read)\n"
    "  --ceilings FILE   the CSV of snapmla-ceilings on the same machine: for percentages\n"
    "  --targets FILE    the targets (bench/decode/targets.csv)\n"
    "                    (missed ones fail nothing)\n"
    "  --templates DIR   where the kernels that flush and count cycles are (bench/ceilings/templates)\n";

enum { FLUSH_KINDS = 3 };

/* What is timed. The targets take a query that is quantised already. */
static const struct {
  const char *name;
  unsigned parts;
  int whole, judged, launches; /* launches: also timed without a graph */
} parts[] = {
    {"call", SMLA_PART_QUERY | SMLA_PART_ATTEND | SMLA_PART_COMBINE, 1, 0, 1},
    {"decode+combine", SMLA_PART_ATTEND | SMLA_PART_COMBINE, 1, 1, 1},
    {"decode", SMLA_PART_ATTEND, 1, 0, 0},
    {"combine", SMLA_PART_COMBINE, 0, 0, 0},
    {"query", SMLA_PART_QUERY, 0, 0, 0},
    {"schedule", 0, 0, 0, 0},
};

static const struct {
  const char *name, *variant; /* variant NULL: no flush */
} flushes[FLUSH_KINDS] = {{"read", "ceiling_flush:by=reading"}, {"write", "ceiling_flush:by=writing"}, {"none", NULL}};

typedef struct options {
  bench_command command;
  const char *templates, *ceilings, *targets, *set, *shape, *flush, *format, *accuracy, *q_len, *sigma, *shared;
} options;

static int check(const options *o) {
  static const char *const sets[] = {"target", "matrix", "context", "speculative", "all", NULL};
  static const char *const kinds[] = {"read", "write", "both", "none", NULL};
  if (!bench_one_of(o->set, sets))
    return bench_usage(&o->command, "--set must be target, matrix, context, speculative or all, not ", o->set);
  if (!bench_one_of(o->flush, kinds))
    return bench_usage(&o->command, "--flush must be read, write, both or none, not ", o->flush);
  if (o->q_len && !o->shape && !o->command.small && !strcmp(o->set, "speculative"))
    return bench_usage(&o->command, "--q-len is not for the set speculative, which has its own: leave one out, not ",
                       "both");
  return BENCH_GO_ON;
}

static snapmla_status choose_shapes(const options *o, shape_list *list) {
  if (o->shape) return shape_read(o->shape, 1, &list->at[list->count++]);
  if (o->command.small) return shapes_add_small(list, !strcmp(o->set, "speculative") ? 2 : 1), SNAPMLA_OK;
  int all = !strcmp(o->set, "all");
  snapmla_status status = all || !strcmp(o->set, "target") ? shapes_read(list, o->targets) : SNAPMLA_OK;
  if (all || !strcmp(o->set, "matrix")) shapes_add_matrix(list);
  if (all || !strcmp(o->set, "context")) shapes_add_context(list);
  if (!strcmp(o->set, "speculative")) shapes_add_speculative(list);
  return status;
}

/* Format, level, query tokens, spread and what is shared of all shapes; BENCH_GO_ON, or BENCH_USAGE where one of them can be no problem. */
static int choose_kind(const options *o, shape_list *list) {
  const bench_command *c = &o->command;
  snapmla_kv_format format;
  snapmla_accuracy accuracy;
  snapmla_problem problem;
  int32_t q_len = 0, shared = 0;
  float sigma = 0;
  if (snapmla_kv_format_parse(o->format, &format)) return bench_usage(c, "--format: ", snapmla_error_message());
  if (snapmla_accuracy_parse(o->accuracy, &accuracy)) return bench_usage(c, "--accuracy: ", snapmla_error_message());
  if (o->q_len && !(q_len = shape_q_len_read(o->q_len)))
    return bench_usage(c, "--q-len must be 1 to 128, not ", o->q_len);
  if (o->sigma && !(sigma = shape_sigma_read(o->sigma)))
    return bench_usage(c, "--sigma must be 0.1 to 16, not ", o->sigma);
  if (o->shared && !(shared = shape_shared_read(o->shared)))
    return bench_usage(c, "--shared must be a multiple of 64, at least 64, not ", o->shared);
  shapes_choose(list, format, accuracy, q_len);
  if (o->sigma) shapes_spread(list, sigma);
  if (o->shared && shapes_share(list, shared)) return bench_usage(c, "--shared: ", snapmla_error_message());
  for (size_t i = 0; i < list->count; i++)
    if (shape_problem(&list->at[i], &problem)) return bench_usage(c, "", snapmla_error_message());
  return BENCH_GO_ON;
}

static snapmla_status replay(void *user) { return bench_graph_launch(((subject *)user)->graph); }

/* One part, one way. A device without graphs: UNSUPPORTED, which is no failure. */
static snapmla_status time_part(subject *s, report *r, timing *t, int graph) {
  snapmla_status status = SNAPMLA_OK;
  if (graph) status = bench_graph_open(s->b, subject_launch, s, &s->graph);
  if (!status)
    status = bench_time(s->b, s->flush ? subject_flush : NULL, graph ? replay : subject_launch, s, &t->times);
  bench_graph_close(s->graph);
  s->graph = NULL;
  t->mode = graph ? "graph" : "launch";
  if (!status) report_add(r, &s->shape, t, snapmla_plan_variant(s->plan, "mla_decode"));
  return status;
}

/* The judged part is timed in a graph where there are graphs. */
static snapmla_status time_parts(subject *s, report *r, const char *flush) {
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    timing t = {.flush = flush, .part = parts[i].name, .judged = parts[i].judged, .whole = parts[i].whole};
    s->parts = parts[i].parts;
    snapmla_status status = time_part(s, r, &t, 1);
    int graphs = status != SNAPMLA_UNSUPPORTED;
    if (status && graphs) return status;
    t.judged &= !graphs;
    if (parts[i].launches || !graphs) status = time_part(s, r, &t, 0);
    if (status) return status;
  }
  return SNAPMLA_OK;
}

typedef struct flusher {
  bench_memory buffer;
  size_t bytes;
  bench_kernel kernels[FLUSH_KINDS];
  int chosen[FLUSH_KINDS];
} flusher;

static snapmla_status run_shape(bench *b, const cache *c, const flusher *f, const shape *of, const char *variant,
                                report *r) {
  subject s;
  uint64_t before = 0, after = 0;
  int finite = 0, still_finite = 0;
  const snapmla_plan_options how = {.size = sizeof how, .variant = variant};
  snapmla_status status = subject_open(b, c, of, &how, &s);
  if (!status) status = subject_results(&s, &before, &finite);
  for (int kind = 0; kind < FLUSH_KINDS && !status; kind++) {
    if (!f->chosen[kind]) continue;
    s.flush = f->kernels[kind].kernel ? &f->kernels[kind] : NULL;
    s.flushed = &f->buffer;
    s.flush_bytes = f->bytes;
    status = time_parts(&s, r, flushes[kind].name);
  }
  if (!status) status = subject_results(&s, &after, &still_finite);
  if (status)
    report_wrong(r, of, snapmla_error_message());
  else if (!finite || !still_finite)
    report_wrong(r, of, "a result is not finite, or the status word is set");
  else if (before != after)
    report_wrong(r, of, "the last run gave other bits than the first");
  subject_close(&s);
  return status;
}

static snapmla_status open_flusher(bench *b, const options *o, flusher *f) {
  f->bytes = b->small ? 4096 : 4 * (size_t)b->info.l2_bytes / 1024 * 1024;
  snapmla_status status = bench_memory_open(b, f->bytes + 16, &f->buffer);
  for (int i = 0; i < FLUSH_KINDS && !status; i++) {
    f->chosen[i] = !strcmp(o->flush, flushes[i].name) || (!strcmp(o->flush, "both") && flushes[i].variant);
    if (f->chosen[i] && flushes[i].variant) status = bench_kernel_open(b, flushes[i].variant, &f->kernels[i]);
  }
  return status;
}

static int run(const options *o, const shape_list *list, report *r, int argc, char **argv) {
  const bench_command *command = &o->command;
  bench b = {
      .small = command->small, .warmups = command->small ? 0 : 3, .repeats = command->repeats, .rest = command->rest};
  cache c = {0};
  flusher f = {0};
  bench_clock clock = {.b = NULL};
  snapmla_status status = bench_open(&b, command->device, o->templates);
  int result = status == SNAPMLA_NO_DEVICE ? BENCH_NO_DEVICE : status ? BENCH_USAGE : 1;
  if (status || cache_open(&b, list->at[0].format, shapes_most_pages(list->at, list->count), &c) ||
      open_flusher(&b, o, &f) || bench_clock_open(&b, &clock))
    goto out;
  report_begin(r, &b, argc, argv);
  for (size_t i = 0; i < list->count; i++) /* a failure is counted */
    (void)run_shape(&b, &c, &f, &list->at[i], command->variant, r);
  report_end(r);
  result = r->wrong != 0;
out:
  if (result && !r->wrong) fprintf(stderr, "snapmla-bench-decode: %s\n", snapmla_error_message());
  bench_clock_close(&clock);
  for (int i = 0; i < FLUSH_KINDS; i++)
    if (b.device) bench_kernel_close(&b, &f.kernels[i]);
  if (b.device) bench_memory_close(&b, &f.buffer), cache_close(&b, &c);
  bench_close(&b);
  return result;
}

int main(int argc, char **argv) {
  options o = {.command = {.program = "snapmla-bench-decode", .help = help, .device = "cuda:0"},
               .templates = "bench/ceilings/templates",
               .targets = "bench/decode/targets.csv",
               .set = "target",
               .flush = "read",
               .format = "fp8_token",
               .accuracy = "fast"};
  const bench_option own[] = {{"--templates", &o.templates}, {"--ceilings", &o.ceilings},
                              {"--targets", &o.targets},     {"--set", &o.set},
                              {"--shape", &o.shape},         {"--flush", &o.flush},
                              {"--format", &o.format},       {"--accuracy", &o.accuracy},
                              {"--q-len", &o.q_len},         {"--sigma", &o.sigma},
                              {"--shared", &o.shared}};
  shape_list list = {.count = 0};
  report r = {.csv = NULL};
  o.command.options = own;
  o.command.option_count = sizeof own / sizeof *own;
  int status = bench_command_read(&o.command, argc, argv);
  if (status == BENCH_GO_ON) status = check(&o);
  if (status != BENCH_GO_ON) return status;
  if (choose_shapes(&o, &list) || (o.ceilings && ceilings_read(&r.ceilings, o.ceilings))) {
    fprintf(stderr, "snapmla-bench-decode: %s\n", snapmla_error_message());
    return BENCH_USAGE;
  }
  const char *csv = o.command.csv;
  if ((status = choose_kind(&o, &list)) != BENCH_GO_ON) return status;
  if (csv && !(r.csv = fopen(csv, "w"))) return bench_usage(&o.command, "--csv: cannot be written: ", csv);
  status = run(&o, &list, &r, argc, argv);
  if (r.csv && fclose(r.csv)) status = 1;
  return status;
}
