/* The problems that a pack is to serve: of the options, or of a JSON file. */
#ifndef SMLA_CLI_PROBLEMS_FILE_H
#define SMLA_CLI_PROBLEMS_FILE_H

#include <stddef.h>

#include <snapmla/pack_make.h>

#include "settings.h"

typedef struct smla_problems {
  snapmla_pack_request *requests; /* [count]; owned, as are their problems and variants */
  size_t count;
} smla_problems;

/* The one problem of the options, with their --variant texts. Errors: those of smla_problem_read,
 * snapmla_problem_check. */
snapmla_status smla_problems_of_options(const smla_settings *settings, smla_problems *out);

/* Reads a file: an array of objects, or an object whose "problems" is one; docs/pack.md says of what. Errors:
 * NOT_FOUND, IO, BAD_FORMAT, those of snapmla_problem_check, OUT_OF_MEMORY. */
snapmla_status smla_problems_read(const char *path, smla_problems *out);

void smla_problems_free(smla_problems *problems);

#endif
