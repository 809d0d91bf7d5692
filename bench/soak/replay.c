/* Launches repeated as they were captured. */
#include <stdlib.h>
#include <string.h>

#include "soak.h"
#include "status.h"

enum { MOST_LAUNCHES = 8, MOST_PARAMETERS = 1024, PARAMETER_ALIGNMENT = 128 };

typedef struct recorded {
  _Alignas(PARAMETER_ALIGNMENT) unsigned char params[MOST_PARAMETERS];
  smla_device_launch launch;
} recorded;

struct replay {
  bench *b;
  bench_graph *graph;
  recorded *launches; /* without graphs */
  size_t count;
};

/* The device's table while recording: one recording at a time. */
static replay *recording;

static snapmla_status record(smla_device *device, const smla_device_launch *launch, snapmla_plan_counters *counters) {
  (void)device, (void)counters;
  if (!launch->params.bytes || launch->params.bytes > MOST_PARAMETERS || recording->count == MOST_LAUNCHES)
    return smla_fail(
        SNAPMLA_UNSUPPORTED,
        "%s cannot be recorded: it has %zu bytes of parameters, of at most %d, in launch %zu of at most %d; "
        "raise the limits in bench/soak/replay.c",
        launch->name, launch->params.bytes, MOST_PARAMETERS, recording->count + 1, MOST_LAUNCHES);
  recorded *to = &recording->launches[recording->count++];
  to->launch = *launch;
  memcpy(to->params, launch->params.data, launch->params.bytes);
  to->launch.params.data = to->params;
  return SNAPMLA_OK;
}

static snapmla_status record_all(replay *r, bench_action *action, void *user) {
  smla_device *device = r->b->device;
  const smla_device_ops *real = device->ops;
  smla_device_ops ops = *real;
  r->launches = aligned_alloc(PARAMETER_ALIGNMENT, MOST_LAUNCHES * sizeof *r->launches);
  if (!r->launches) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: recorded launches");
  ops.launch = record;
  recording = r;
  device->ops = &ops;
  snapmla_status status = action(user);
  device->ops = real;
  return status;
}

snapmla_status replay_open(bench *b, bench_action *action, void *user, replay **out) {
  replay *r = calloc(1, sizeof *r);
  *out = NULL;
  if (!r) return soak_status(smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a capture"));
  r->b = b;
  snapmla_status status = bench_graph_open(b, action, user, &r->graph);
  if (status == SNAPMLA_UNSUPPORTED) status = record_all(r, action, user);
  if (status)
    replay_close(r);
  else
    *out = r;
  return soak_status(status);
}

snapmla_status replay_launch(replay *r) {
  if (r->graph) return soak_status(bench_graph_launch(r->graph));
  snapmla_status status = SNAPMLA_OK;
  snapmla_plan_counters counters = {0};
  for (size_t i = 0; i < r->count && !status; i++)
    status = r->b->device->ops->launch(r->b->device, &r->launches[i].launch, &counters);
  return soak_status(status);
}

int replay_is_graph(const replay *r) { return r->graph != NULL; }

void replay_close(replay *r) {
  if (!r) return;
  bench_graph_close(r->graph);
  free(r->launches);
  free(r);
}
