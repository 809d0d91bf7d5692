/* What runs before the clock does. */
#include "ceiling_flush/params.h"
#include "ceilings.h"

enum { BUSY_BYTES = 1 << 30 }; /* a quarter of a millisecond: 41 launches take the host less */

static snapmla_status launch_busy(void *user) {
  busy *lead = user;
  const struct ceiling_flush_params params = {lead->buffer.pointer,
                                              (unsigned *)(void *)(lead->buffer.pointer + lead->bytes), lead->bytes};
  return bench_launch(lead->b, &lead->kernel, 2 * (uint32_t)lead->b->info.multiprocessors, 0, &params);
}

snapmla_status busy_open(bench *b, busy *out) {
  *out = (busy){.b = b, .bytes = b->small ? 4096 : BUSY_BYTES};
  snapmla_status status = bench_kernel_open(b, "ceiling_flush:by=reading", &out->kernel);
  if (!status) status = bench_memory_open(b, out->bytes + 16, &out->buffer);
  if (status) return status;
  b->lead = launch_busy;
  b->lead_user = out;
  return SNAPMLA_OK;
}

void busy_close(busy *lead) {
  if (!lead->b) return;
  bench_kernel_close(lead->b, &lead->kernel);
  bench_memory_close(lead->b, &lead->buffer);
}
