/* The host's checks of a layer's calls: all that can be known without a device. `device` nonzero as in decode_args.h. A message names
 * the field, the rule and the remedy. `problem` has passed snapmla_layer_problem_check. Errors: INVALID_ARGUMENT, UNSUPPORTED.
 * Pure, thread-safe. */
#ifndef SMLA_REFERENCE_LAYER_ARGS_H
#define SMLA_REFERENCE_LAYER_ARGS_H

#include <snapmla/layer.h>

/* What a step takes but for its decode part, of which `batch` is checked; with batch 0 no tensor is looked at. */
snapmla_status smla_layer_args_check(const snapmla_layer_problem *problem, const snapmla_layer_args *args, int device);

/* The weights that append reads: norm and table. */
snapmla_status smla_layer_append_check(const snapmla_layer_problem *problem, const snapmla_layer_append_args *args);

snapmla_status smla_fetch_args_check(const snapmla_problem *problem, const snapmla_fetch_args *args);
snapmla_status smla_move_args_check(const snapmla_problem *problem, const snapmla_move_args *args);

#endif
