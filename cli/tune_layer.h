/* What of a layer's own kernels is worth measuring: who merges what was cut, and among how many blocks W_O's reduction is shared. */
#ifndef SMLA_CLI_TUNE_LAYER_H
#define SMLA_CLI_TUNE_LAYER_H

#include <jansson.h>

#include <snapmla/snapmla.h>

#include "settings.h"

typedef struct smla_layer_choice {
  char *variant;      /* override of a layer plan, as "value_project:combine=fused;output_project:split=2"; owned */
  double us;          /* of a layer's step with it */
  json_t *candidates; /* of each that was tried: variant, time_us, rel_l2, default, error; owned */
} smla_layer_choice;

/* Times whole steps of several layers with each value of the axes in turn, in interleaved rounds, with the decode kernel of `attention`, the
 * plan that was tuned for `problem`. Requests have the lengths of --context, else the problem's largest batch and as much of its largest context
 * as makes 10 GB of cache at most (the emulator: two requests of 1024 tokens at most). A candidate must give the default's result within bf16's rounding; one takes the default's place only where it is more than 1 %
 * faster. Errors: those of a layer's session and of its steps. */
snapmla_status smla_tune_layer(const smla_settings *settings, const snapmla_problem *problem,
                               const snapmla_plan *attention, snapmla_context *context, const snapmla_device_info *info,
                               smla_layer_choice *out);
void smla_layer_choice_free(smla_layer_choice *choice);

#endif
