#include <stdlib.h>

#include "console.h"
#include "library.h"
#include "plan_maker.h"
#include "problem.h"

/* What is asked for: a plan, or a layer's. */
typedef struct request {
  snapmla_context *context;
  const snapmla_problem *problem;
  snapmla_plan **plan;
  const snapmla_layer_problem *layer_problem; /* or NULL */
  snapmla_layer_plan **layer_plan;
} request;

static snapmla_status compile(const smla_settings *settings, const request *r) {
  char *variant = NULL;
  snapmla_status status = smla_problem_variant(settings, &variant);
  snapmla_plan_options options = {.size = sizeof options, .variant = variant};
  if (!status)
    status = smla_library_status(r->layer_problem
                                     ? snapmla_layer_plan_create(r->context, r->layer_problem, &options, r->layer_plan)
                                     : snapmla_plan_create(r->context, r->problem, &options, r->plan));
  free(variant);
  return status;
}

static snapmla_status from_pack(const smla_settings *settings, const request *r) {
  return r->layer_problem ? smla_layer_plan_from_pack(settings, r->context, r->layer_problem, r->layer_plan)
                          : smla_plan_from_pack(settings, r->context, r->problem, r->plan);
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

static snapmla_status make(const smla_settings *settings, const request *r) {
  snapmla_status status = check_settings(settings);
  if (status) return status;
  if (!settings->pack) return compile(settings, r);
  status = from_pack(settings, r);
  if (status != SNAPMLA_NOT_FOUND || settings->strict) return status;
  smla_console_note("%s; compiled instead (--strict forbids it)", smla_console_reason());
  return compile(settings, r);
}

snapmla_status smla_plan_of_settings(const smla_settings *settings, snapmla_context *context,
                                     const snapmla_problem *problem, snapmla_plan **out) {
  return make(settings, &(request){.context = context, .problem = problem, .plan = out});
}

snapmla_status smla_layer_plan_of_settings(const smla_settings *settings, snapmla_context *context,
                                           const snapmla_layer_problem *problem, snapmla_layer_plan **out) {
  return make(settings, &(request){.context = context, .layer_problem = problem, .layer_plan = out});
}
