/* One load for seconds. */
#include <math.h>

#include "clock.h"
#include "power.h"

static const double batch_seconds = 0.05; /* of what is queued at once: the host sleeps meanwhile */

/* `count` launches, and the clock while they run. */
static snapmla_status run_batch(bench *b, const load *l, long count, double *mhz) {
  snapmla_status status = SNAPMLA_OK;
  for (long i = 0; i < count && !status; i++) status = l->launch(l->user);
  *mhz = energy_mhz(b);
  if (!l->launch) bench_doze(batch_seconds);
  const snapmla_status done =
      b->device->ops->stream_synchronize(b->device, b->stream); /* what was launched before a failure as well */
  return status ? status : done;
}

/* As many launches as fill a batch. */
static snapmla_status batch_of(bench *b, const load *l, double seconds, long *count) {
  double mhz, start;
  *count = l->launch != NULL;
  snapmla_status status = run_batch(b, l, *count, &mhz); /* the first loads code */
  if (status || !l->launch) return status;
  start = smla_clock_seconds();
  status = run_batch(b, l, 1, &mhz);
  const double batch = seconds < 10 * batch_seconds ? seconds / 10 : batch_seconds, took = smla_clock_seconds() - start;
  if (took < batch) *count = lround(batch / (took > 1e-6 ? took : 1e-6));
  return status;
}

snapmla_status sustain(bench *b, const load *l, double seconds, drawn *out) {
  long count, launches = 0;
  int batches = 0;
  double clock = 0, mhz, joules = 0, since = 0;
  snapmla_status status = batch_of(b, l, seconds, &count);
  const double half = smla_clock_seconds() + seconds / 2;
  while (!status && smla_clock_seconds() < half) status = run_batch(b, l, count, &mhz);
  since = smla_clock_seconds();
  joules = energy_joules(b);
  while (!status && (smla_clock_seconds() < half + seconds / 2 || !batches)) {
    status = run_batch(b, l, count, &mhz);
    launches += count;
    clock += mhz;
    batches++;
  }
  if (status) return status;
  const double end_joules = energy_joules(b), took = smla_clock_seconds() - since;
  *out = (drawn){launches && !b->device->is_emulator ? took / (double)launches * 1e6 : (double)NAN,
                 (end_joules - joules) / took, clock / batches};
  return SNAPMLA_OK;
}
