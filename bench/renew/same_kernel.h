/* Whether a kernel is the same under two sets of templates: what a measurement of it says of the other. */
#ifndef SNAPMLA_BENCH_RENEW_SAME_KERNEL_H
#define SNAPMLA_BENCH_RENEW_SAME_KERNEL_H

#include <snapmla/source.h>
#include <snapmla/status.h>

#include "generator.h"

typedef enum renew_verdict {
  RENEW_SAME_TEXT, /* one program, comments and blanks aside */
  RENEW_SAME_CODE, /* other texts, the same machine code */
  RENEW_OTHER_PROGRAM, /* launched alike, and another program, or one that cannot be told to be the same; the reason says why */
  RENEW_OTHER          /* another kernel, or none; the reason says why */
} renew_verdict;

typedef struct renew_kernel {
  renew_verdict verdict;
  char *variant;    /* its canonical text under the new templates, where the verdict is not OTHER; owned */
  char reason[512]; /* of OTHER and OTHER_PROGRAM */
} renew_kernel;

/* Expands `variant`, canonical under the `old` templates, under both, with the axes that the new ones add at their defaults. It is the same
 * where it is launched alike (smla_geometry) and its texts are one program (kernel_text.h), or else, for sm_90a, NVRTC makes the same
 * machine code of both (machine_code.h). What keeps a comparison from being made (no compiler) is a reason for OTHER_PROGRAM or OTHER, not an error.
 * Cleared by renew_kernel_clear. Error: OUT_OF_MEMORY. */
snapmla_status renew_kernel_compare(const smla_generator *old, const smla_generator *now, const char *variant,
                                    snapmla_target target, renew_kernel *out);
void renew_kernel_clear(renew_kernel *kernel);

#endif
