#include <stdlib.h>

#include "console.h"
#include "library.h"
#include "plan_maker.h"
#include "problem.h"

static snapmla_status compile(const smla_settings *settings, snapmla_context *context, const snapmla_problem *problem,
                              snapmla_plan **out) {
  char *variant = NULL;
  snapmla_status status = smla_problem_variant(settings, &variant);
  snapmla_plan_options options = {.size = sizeof options, .variant = variant};
  if (!status) status = smla_library_status(snapmla_plan_create(context, problem, &options, out));
  free(variant);
  return status;
}

static snapmla_status compile_layer(const smla_settings *settings, snapmla_context *context,
                                    const snapmla_layer_problem *problem, snapmla_layer_plan **out) {
  char *variant = NULL;
  snapmla_status status = smla_problem_variant(settings, &variant);
  snapmla_plan_options options = {.size = sizeof options, .variant = variant};
  if (!status) status = smla_library_status(snapmla_layer_plan_create(context, problem, &options, out));
  free(variant);
  return status;
}

/* Whether what is said of a pack goes together. */
static snapmla_status check_settings(const smla_settings *settings) {
  if (settings->pack && settings->variants.count)
    return smla_console_fail(SNAPMLA_INVALID_ARGUMENT,
                             "--pack and --variant are both given: a pack's variants are those it was exported with");
  if (!settings->pack && (settings->strict || settings->keys.count || settings->allow_host_code))
    return smla_console_fail(SNAPMLA_INVALID_ARGUMENT,
                             "--strict, --key and --allow-host-code are of a pack: give --pack FILE too");
  return SNAPMLA_OK;
}

/* Nonzero where what the pack lacks is compiled, which is said. */
static int compile_instead(const smla_settings *settings, snapmla_status from_pack) {
  if (from_pack != SNAPMLA_NOT_FOUND || settings->strict) return 0;
  smla_console_note("%s; compiled instead (--strict forbids it)", smla_console_reason());
  return 1;
}

snapmla_status smla_plan_of_settings(const smla_settings *settings, snapmla_context *context,
                                     const snapmla_problem *problem, snapmla_plan **out) {
  snapmla_status status = check_settings(settings);
  if (status) return status;
  if (!settings->pack) return compile(settings, context, problem, out);
  status = smla_plan_from_pack(settings, context, problem, out);
  return compile_instead(settings, status) ? compile(settings, context, problem, out) : status;
}

snapmla_status smla_layer_plan_of_settings(const smla_settings *settings, snapmla_context *context,
                                           const snapmla_layer_problem *problem, snapmla_layer_plan **out) {
  snapmla_status status = check_settings(settings);
  if (status) return status;
  if (!settings->pack) return compile_layer(settings, context, problem, out);
  status = smla_layer_plan_from_pack(settings, context, problem, out);
  return compile_instead(settings, status) ? compile_layer(settings, context, problem, out) : status;
}
