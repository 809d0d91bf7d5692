/* Times and their summary. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <time.h>

#include "bench.h"
#include "clock.h"

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Linear between the two values around it. */
static double quantile(const double *sorted, size_t count, double part) {
  double at = part * (double)(count - 1);
  size_t below = (size_t)at;
  if (below + 1 >= count) return sorted[count - 1];
  return sorted[below] + (at - (double)below) * (sorted[below + 1] - sorted[below]);
}

bench_times bench_summary(double *values, size_t count) {
  qsort(values, count, sizeof *values, ascending);
  return (bench_times){
      .median = quantile(values, count, 0.5),
      .min = values[0],
      .p90 = quantile(values, count, 0.9),
      .spread = (quantile(values, count, 0.75) - quantile(values, count, 0.25)) / 2,
      .mhz = NAN,
  };
}

void bench_doze(double seconds) {
  struct timespec left = {(time_t)seconds, (long)((seconds - floor(seconds)) * 1e9)};
  while (nanosleep(&left, &left) && errno == EINTR) {}
}

snapmla_status bench_time(bench *b, bench_action *before, bench_action *action, void *user, bench_times *out) {
  double samples[BENCH_SAMPLES], clocks[BENCH_SAMPLES];
  const smla_device_ops *ops = b->device->ops;
  snapmla_status status = SNAPMLA_OK;
  for (int i = -b->warmups; i < b->repeats && !status; i++) {
    const double begun = smla_clock_seconds();
    double elapsed = 0, mhz = NAN;
    if (b->clock) status = bench_clock_launch(b->clock, 0);
    if (!status && before)
      status = before(user);
    else if (!status && b->lead)
      status = b->lead(b->lead_user);
    if (!status) status = ops->event_record(b->device, b->start, b->stream);
    if (!status) status = action(user);
    if (!status) status = ops->event_record(b->device, b->stop, b->stream);
    if (!status && b->clock) status = bench_clock_launch(b->clock, 1);
    if (!status) status = ops->stream_synchronize(b->device, b->stream);
    const double taken = smla_clock_seconds() - begun;
    if (!status) status = ops->event_elapsed(b->device, b->start, b->stop, &elapsed);
    if (!status && b->clock) status = bench_clock_read(b->clock, &mhz);
    if (i >= 0) samples[i] = elapsed, clocks[i] = mhz;
    if (!status && b->rest > 0 && i + 1 < b->repeats) bench_doze(b->rest * taken);
  }
  if (status) return status;
  *out = bench_summary(samples, (size_t)b->repeats);
  if (isfinite(clocks[0])) out->mhz = bench_summary(clocks, (size_t)b->repeats).median;
  return SNAPMLA_OK;
}
