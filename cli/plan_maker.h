/* Where a plan comes from: a pack, or templates and a compiler. */
#ifndef SMLA_CLI_PLAN_MAKER_H
#define SMLA_CLI_PLAN_MAKER_H

#include <snapmla/layer.h>
#include <snapmla/pack.h>
#include <snapmla/plan.h>

#include "settings.h"

typedef snapmla_status smla_plan_maker(const smla_settings *settings, snapmla_context *context,
                                       const snapmla_problem *problem, snapmla_plan **out);

/* From --pack alone. Errors: those of the pack, INVALID_ARGUMENT (none was named). */
smla_plan_maker smla_plan_from_pack;

/* From --pack where it is given and has the problem; else compiled, unless --strict. */
smla_plan_maker smla_plan_of_settings;

/* The same two ways for the plan of a layer. */
typedef snapmla_status smla_layer_plan_maker(const smla_settings *settings, snapmla_context *context,
                                             const snapmla_layer_problem *problem, snapmla_layer_plan **out);
smla_layer_plan_maker smla_layer_plan_from_pack;
smla_layer_plan_maker smla_layer_plan_of_settings;

/* Opens a pack with the keys and permissions of the options. */
snapmla_status smla_pack_open(const smla_settings *settings, const char *path, snapmla_pack **out);

#endif
