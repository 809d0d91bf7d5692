/* A pack in the making: kernels and plans as requests add them, before anything is compiled. */
#ifndef SMLA_RUNTIME_PACK_MAKER_H
#define SMLA_RUNTIME_PACK_MAKER_H

#include <snapmla/pack_make.h>

#include "build.h"
#include "generator.h"
#include "pack_index.h"

/* A kernel that some plan needs. */
typedef struct smla_pack_kernel {
  smla_build build; /* its variant is owned here */
  smla_quantity *quantities;
  size_t quantity_count;
} smla_pack_kernel;

typedef struct smla_pack_maker {
  snapmla_pack_make_options options;
  smla_generator *generator;
  smla_pack_kernel *kernels;
  size_t kernel_count;
  smla_pack_plan *
      plans; /* all but targets, classes and roles' texts owned; kernels are numbers in `kernels` until all is sorted */
  size_t plan_count;
  char *compilers[2]; /* by target, NULL where not asked for */
} smla_pack_maker;

extern const char smla_pack_no_text[1]; /* of a plan's texts the one that is not freed */

/* Errors: INVALID_ARGUMENT, UNSUPPORTED: those of the problem, and of an override that names no family of the request's. */
snapmla_status smla_pack_request_check(const snapmla_pack_request *request);

/* Adds the plans of a checked request for a target: one for each device class that runs it, or one for none in particular. Errors: as
 * snapmla_pack_make. */
snapmla_status smla_pack_maker_add(smla_pack_maker *maker, const snapmla_pack_request *request, snapmla_target target);

#endif
