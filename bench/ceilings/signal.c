/* Latency: a signal to another block of the cluster and back; launches by themselves, as dependents, in graphs. */
#include <math.h>
#include <stdlib.h>

#include "ceiling_cluster/params.h"
#include "ceiling_idle/params.h"
#include "ceilings.h"
#include "status.h"

typedef struct cluster_case {
  bench *b;
  bench_kernel kernel;
  bench_memory clocks, output;
  uint32_t clusters;
  struct ceiling_cluster_params params;
} cluster_case;

static snapmla_status launch_cluster(void *user) {
  cluster_case *c = user;
  return bench_launch(c->b, &c->kernel, c->clusters * c->kernel.cluster, 0, &c->params);
}

/* Cycles and nanoseconds of a round trip, over all clusters of the last launch. */
static snapmla_status finish_cluster(sheet *s, const cluster_case *c, const char *variant, const bench_times *times) {
  size_t count = c->clusters;
  uint64_t *clocks = malloc(count * 16);
  uint32_t *returned = malloc(count * 4);
  double *trips = malloc(count * sizeof *trips);
  snapmla_status status = SNAPMLA_OK;
  if (!clocks || !returned || !trips) status = smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: clocks");
  if (!status) status = s->b->device->ops->copy_out(s->b->device, clocks, c->clocks.pointer, count * 16);
  if (!status) status = s->b->device->ops->copy_out(s->b->device, returned, c->output.pointer, count * 4);
  if (!status) {
    figure f = {.group = "signal",
                .variant = variant,
                .ceiling_of = "",
                .time_us = times->median,
                .spread_us = times->spread,
                .sm_mhz = bench_mhz(s->b, clocks, count, 2),
                .right = 1};
    for (size_t i = 0; i < count; i++) {
      trips[i] = (double)clocks[2 * i] / c->params.rounds;
      f.right &= returned[i] == c->params.rounds;
    }
    bench_times r = bench_summary(trips, count);
    int measured = !s->b->device->is_emulator;
    f.unit = "clk/trip";
    f.value = measured ? r.median : NAN, f.low = measured ? r.p90 : NAN, f.high = measured ? r.min : NAN;
    sheet_add(s, &f);
    f.unit = "ns/trip";
    f.value *= 1e3 / f.sm_mhz, f.low *= 1e3 / f.sm_mhz, f.high *= 1e3 / f.sm_mhz;
    sheet_add(s, &f);
  }
  free(clocks), free(returned), free(trips);
  return status;
}

static snapmla_status run_cluster(sheet *s, const char *variant) {
  cluster_case c = {.b = s->b};
  bench_times times;
  snapmla_status status = bench_kernel_open(s->b, variant, &c.kernel);
  if (status) return status;
  c.clusters = s->b->small ? 1 : 8;
  status = bench_memory_open(s->b, (size_t)c.clusters * 16, &c.clocks);
  if (!status) status = bench_memory_open(s->b, (size_t)c.clusters * 4, &c.output);
  c.params = (struct ceiling_cluster_params){(unsigned long long *)(void *)c.clocks.pointer,
                                             (unsigned *)(void *)c.output.pointer, s->b->small ? 8 : 10000};
  if (!status) status = bench_time(s->b, NULL, launch_cluster, &c, &times);
  if (!status) status = finish_cluster(s, &c, variant, &times);
  bench_kernel_close(s->b, &c.kernel);
  bench_memory_close(s->b, &c.clocks);
  bench_memory_close(s->b, &c.output);
  return status;
}

static void cluster_variants(variant_list *list, int small) {
  for (int cluster = 1; cluster <= (small ? 2 : 8); cluster *= 2)
    variant_add(list, "ceiling_cluster:cluster=%d", cluster);
}

const ceiling_group ceiling_cluster_group = {"signal", "an mbarrier arrival to another block of a cluster and one back",
                                             cluster_variants, run_cluster};

/* --- launches */

enum { CHAIN = 40 };

typedef struct launch_case {
  bench *b;
  bench_kernel kernel;
  bench_memory count;
  bench_graph *graph;
  int launches, dependent;
  struct ceiling_idle_params params;
} launch_case;

static snapmla_status launch_chain(void *user) {
  launch_case *l = user;
  snapmla_status status = SNAPMLA_OK;
  for (int i = 0; i < l->launches && !status; i++)
    status = bench_launch(l->b, &l->kernel, (uint32_t)l->b->info.multiprocessors, l->dependent && i > 0, &l->params);
  return status;
}

static snapmla_status replay(void *user) { return bench_graph_launch(((launch_case *)user)->graph); }

/* Microseconds of `launches` kernels one after another, and whether all of them ran. */
static snapmla_status time_chain(launch_case *l, int launches, int dependent, int graph, bench_times *out, int *ran) {
  static const uint32_t zero = 0;
  uint32_t count = 0;
  l->launches = launches;
  l->dependent = dependent;
  snapmla_status status = l->b->device->ops->copy_in(l->b->device, l->count.pointer, &zero, 4);
  if (!status && graph) status = bench_graph_open(l->b, launch_chain, l, &l->graph);
  if (!status) status = bench_time(l->b, NULL, graph ? replay : launch_chain, l, out);
  bench_graph_close(l->graph);
  l->graph = NULL;
  if (!status) status = l->b->device->ops->copy_out(l->b->device, &count, l->count.pointer, 4);
  *ran = count == (uint32_t)(launches * (l->b->warmups + l->b->repeats));
  return status;
}

/* The first launch, and what each further one adds. */
static snapmla_status add_chain(sheet *s, launch_case *l, const char *name, int dependent, int graph) {
  bench_times one, many;
  int one_ran = 0, many_ran = 0;
  snapmla_status status = time_chain(l, 1, dependent, graph, &one, &one_ran);
  if (!status) status = time_chain(l, 1 + CHAIN, dependent, graph, &many, &many_ran);
  if (status) return status;
  char text[VARIANT_TEXT];
  snprintf(text, sizeof text, "%s: first", name);
  figure f = {.group = "launch",
              .variant = text,
              .unit = "us",
              .value = one.median,
              .low = one.p90,
              .high = one.min,
              .time_us = one.median,
              .spread_us = one.spread,
              .ceiling_of = "",
              .sm_mhz = NAN,
              .right = one_ran};
  sheet_add(s, &f);
  snprintf(text, sizeof text, "%s: each further", name);
  f.value = (many.median - one.median) / CHAIN;
  f.low = (many.p90 - one.p90) / CHAIN;
  f.high = (many.min - one.min) / CHAIN;
  f.time_us = many.median, f.spread_us = many.spread, f.right = many_ran;
  sheet_add(s, &f);
  return SNAPMLA_OK;
}

static snapmla_status run_launch(sheet *s, const char *variant) {
  static const struct {
    const char *name;
    int dependent, graph;
  } ways[] = {{"launch", 0, 0}, {"dependent launch", 1, 0}, {"graph", 0, 1}, {"graph, dependent", 1, 1}};
  launch_case l = {.b = s->b};
  snapmla_status status = bench_kernel_open(s->b, variant, &l.kernel);
  if (!status) status = bench_memory_open(s->b, 4, &l.count);
  l.params = (struct ceiling_idle_params){(unsigned *)(void *)l.count.pointer};
  for (size_t i = 0; i < sizeof ways / sizeof *ways && !status; i++) {
    char name[48];
    snprintf(name, sizeof name, "%s, %u threads", ways[i].name, l.kernel.threads);
    status = add_chain(s, &l, name, ways[i].dependent, ways[i].graph);
    if (status == SNAPMLA_UNSUPPORTED) {
      printf("%-8s %-62s left out: %s\n", "launch", name, snapmla_error_message());
      status = SNAPMLA_OK;
    }
  }
  bench_kernel_close(s->b, &l.kernel);
  bench_memory_close(s->b, &l.count);
  return status;
}

static void launch_variants(variant_list *list, int small) {
  for (int threads = small ? 512 : 32; threads <= 512; threads *= 16)
    variant_add(list, "ceiling_idle:threads=%d", threads);
}

const ceiling_group ceiling_launch_group = {"launch", "an empty kernel on every multiprocessor: what a launch costs",
                                            launch_variants, run_launch};
