/* Ranks that agree on what they compute. */
#include <snapmla/shards.h>

#include <string.h>

#include "status.h"

enum { DIGITS = 64, SHOWN = 12 };

static int is_fingerprint(const char text[DIGITS + 1]) {
  int digits = 0;
  while (digits < DIGITS && text[digits] && strchr("0123456789abcdef", text[digits])) digits++;
  return digits == DIGITS && !text[DIGITS];
}

snapmla_status snapmla_fingerprints_agree(const char (*fingerprints)[65], int32_t ranks) {
  if (!fingerprints || ranks < 1)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT,
                     "fingerprints are needed, of one rank at least: fingerprints is %s, ranks is %d",
                     fingerprints ? "set" : "NULL", ranks);
  for (int32_t i = 0; i < ranks; i++)
    if (!is_fingerprint(fingerprints[i]))
      return smla_fail(SNAPMLA_INVALID_ARGUMENT,
                       "what rank %d sent is not 64 hexadecimal digits and a zero: send the 65 characters that "
                       "snapmla_plan_fingerprint wrote",
                       i);
  for (int32_t i = 1; i < ranks; i++)
    if (memcmp(fingerprints[0], fingerprints[i], DIGITS))
      return smla_fail(SNAPMLA_UNSUPPORTED,
                       "rank %d of %d computes by another plan (%.*s…) than rank 0 (%.*s…): give all ranks the same "
                       "problem, version, pack and kind of device, and the plan of one (snapmla_plan_save, "
                       "snapmla_plan_load) the same variant, or SNAPMLA_PLAN_DETERMINISTIC",
                       i, ranks, SHOWN, fingerprints[i], SHOWN, fingerprints[0]);
  return SNAPMLA_OK;
}
