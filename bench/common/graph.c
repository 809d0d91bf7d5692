/* Captured launches. The functions are looked up by need: the library itself uses no graphs. */
#include <dlfcn.h>
#include <stdlib.h>

#include "bench.h"
#include "driver.h"
#include "library.h"
#include "status.h"

typedef struct cu_graph_object *cu_graph;
typedef struct cu_graph_exec_object *cu_graph_exec;

enum { CAPTURE_THREAD_LOCAL = 1 }; /* CUstreamCaptureMode */

typedef struct graph_functions {
  cu_result (*begin)(cu_stream stream, int mode);
  cu_result (*end)(cu_stream stream, cu_graph *graph);
  cu_result (*instantiate)(cu_graph_exec *out, cu_graph graph, unsigned long long flags);
  cu_result (*launch)(cu_graph_exec graph, cu_stream stream);
  cu_result (*exec_destroy)(cu_graph_exec graph);
  cu_result (*destroy)(cu_graph graph);
} graph_functions;

struct bench_graph {
  const smla_driver *driver;
  graph_functions call;
  cu_graph graph;
  cu_graph_exec exec;
  cu_stream stream;
};

/* The driver is open already and stays so: this only finds it again. */
static snapmla_status bind_functions(bench_graph *g) {
  const smla_symbol symbols[] = {
      {"cuStreamBeginCapture_v2", &g->call.begin},           {"cuStreamEndCapture", &g->call.end},
      {"cuGraphInstantiateWithFlags", &g->call.instantiate}, {"cuGraphLaunch", &g->call.launch},
      {"cuGraphExecDestroy", &g->call.exec_destroy},         {"cuGraphDestroy", &g->call.destroy},
  };
  snapmla_status status = smla_driver_start(&g->driver);
  if (status) return status;
  void *handle = dlopen(g->driver->path, RTLD_NOW | RTLD_LOCAL);
  if (!handle || smla_library_bind(handle, "libcuda", symbols, sizeof symbols / sizeof *symbols))
    status = smla_fail(SNAPMLA_UNSUPPORTED, "this driver has no CUDA graphs; time launches instead");
  if (handle) dlclose(handle);
  return status;
}

static snapmla_status check(const bench_graph *g, cu_result result, const char *call, const char *doing) {
  return smla_driver_check(g->driver, result, call, doing);
}

/* A capture that has begun is ended whatever happens, or the stream would stay unusable. */
static snapmla_status capture(bench_graph *g, bench_action *action, void *user) {
  snapmla_status status = check(g, g->call.begin(g->stream, CAPTURE_THREAD_LOCAL), "cuStreamBeginCapture", "capture");
  if (status) return status;
  status = action(user);
  cu_result ended = g->call.end(g->stream, &g->graph);
  if (!status) status = check(g, ended, "cuStreamEndCapture", "capture launches");
  if (!status)
    status = check(g, g->call.instantiate(&g->exec, g->graph, 0), "cuGraphInstantiateWithFlags", "make a graph");
  return status;
}

snapmla_status bench_graph_open(bench *b, bench_action *action, void *user, bench_graph **out) {
  *out = NULL;
  if (b->device->is_emulator) return smla_fail(SNAPMLA_UNSUPPORTED, "the emulator has no CUDA graphs");
  bench_graph *g = calloc(1, sizeof *g);
  if (!g) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a graph");
  g->stream = b->stream;
  snapmla_status status = bind_functions(g);
  if (!status) status = capture(g, action, user);
  if (status)
    bench_graph_close(g);
  else
    *out = g;
  return status;
}

snapmla_status bench_graph_launch(bench_graph *g) {
  return check(g, g->call.launch(g->exec, g->stream), "cuGraphLaunch", "replay a graph");
}

void bench_graph_close(bench_graph *g) {
  if (!g) return;
  if (g->exec) (void)g->call.exec_destroy(g->exec);
  if (g->graph) (void)g->call.destroy(g->graph);
  free(g);
}
