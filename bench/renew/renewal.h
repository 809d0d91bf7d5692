/* Renews wisdom: measurements made with older templates, of kernels that newer ones make the same. */
#ifndef SNAPMLA_BENCH_RENEW_RENEWAL_H
#define SNAPMLA_BENCH_RENEW_RENEWAL_H

#include <stddef.h>

#include <snapmla/status.h>

#include "measurement.h"
#include "same_kernel.h"

/* A kernel that was compared. */
typedef struct renew_compared {
  char *variant; /* under the old templates; owned */
  char target[SMLA_TARGET_MAX];
  renew_kernel kernel;
} renew_compared;

typedef struct renewal {
  const smla_generator *old, *now; /* not owned */
  char old_digest[SMLA_HASH_HEX], now_digest[SMLA_HASH_HEX];
  const char *vouched; /* a digest: what has it was made with `old` too, on the caller's word; or NULL; not owned */
  int same_schedule; /* that a schedule launched alike writes what it wrote, which no text says, is the caller's word; 0 when opened */
  renew_compared *compared; /* each kernel once; owned */
  size_t count;
} renewal;

/* What became of a measurement. */
typedef enum renew_fate {
  RENEW_CURRENT, /* it was made with the new templates */
  RENEW_FOREIGN, /* it was made with others than the old ones: not looked at */
  RENEW_RENEWED, /* it is now of the new templates: variant, digest and key */
  RENEW_STALE    /* one of its kernels is another; it is as it was */
} renew_fate;

/* `old`, `now` and `vouched` must live as long. Error: INVALID_ARGUMENT (one has not all families that a measurement is of). */
snapmla_status renewal_open(const smla_generator *old, const smla_generator *now, const char *vouched, renewal *out);
void renewal_close(renewal *r);

/* Renews a measurement where all its kernels are the same under both (renew_kernel_compare; of the schedule, which no measurement has in what it
 * times, what it writes, with same_schedule) and a plan of its problem has exactly those.
 * `reason` says what is another where it is STALE. Error: OUT_OF_MEMORY. */
snapmla_status renewal_apply(renewal *r, smla_measurement *m, renew_fate *fate, char reason[1024]);

#endif
