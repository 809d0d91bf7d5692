/* The problem and the lengths that the options describe. */
#ifndef SMLA_CLI_PROBLEM_H
#define SMLA_CLI_PROBLEM_H

#include <stdint.h>

#include <snapmla/layer.h>
#include <snapmla/problem.h>
#include <snapmla/status.h>

#include "settings.h"

typedef struct smla_lengths {
  int32_t *items; /* tokens of each request, 0 …; owned */
  int32_t count;
} smla_lengths;

/* Reads --context and --batch: with one length, each of --batch requests (of one, where that is not given) has it; with
 * several, their number is the batch, and --batch may only agree. Where --context is not given, the lengths of
 * `otherwise` are taken, in turn up to --batch. Errors: INVALID_ARGUMENT, NOT_FOUND, IO, OUT_OF_MEMORY. */
snapmla_status smla_lengths_read(const smla_settings *settings, const char *otherwise, smla_lengths *out);
void smla_lengths_free(smla_lengths *lengths);

/* Fills a problem from the defaults and the options. With `lengths` max_batch is their number and max_context the
 * longest (at least 1) or --max-context, which no length may exceed; without, --batch and --max-context count. It is
 * not checked: what is left to a tensor file may still change it. */
snapmla_status smla_problem_read(const smla_settings *settings, const smla_lengths *lengths, snapmla_problem *out);
/* The same for a layer's problem. */
snapmla_status smla_layer_problem_read(const smla_settings *settings, const smla_lengths *lengths,
                                       snapmla_layer_problem *out);
/* The first given option that is of a layer's problem alone ("--nope"), NULL: none is. */
const char *smla_problem_layer_option(const smla_settings *settings);
/* Refuses such an option without --layer. */
snapmla_status smla_problem_layer_check(const smla_settings *settings);
/* The library's check of a whole problem. */
snapmla_status smla_problem_verify(const snapmla_problem *problem);
/* The one --variant of a command that takes one, "mla_decode:" put before a text without family; owned by the
 * caller, NULL in *out if none was given. */
snapmla_status smla_problem_variant(const smla_settings *settings, char **out);

#endif
