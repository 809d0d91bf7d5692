/* Several problems at once: of the options, of a JSON file, or of a set that the program carries (cli/sets/). */
#ifndef SMLA_CLI_PROBLEMS_FILE_H
#define SMLA_CLI_PROBLEMS_FILE_H

#include <stddef.h>

#include <snapmla/pack_make.h>

#include "sets.h"
#include "settings.h"

typedef struct smla_problems {
  snapmla_pack_request *requests;   /* [count], each of a problem or of a layer; owned, as are their variants */
  snapmla_layer_problem **problems; /* [count]: what they are of, or the attention of which they are of; owned */
  char **names;                     /* [count]: what a file calls them, NULL where it does not; owned */
  size_t count;
} smla_problems;

/* The one problem of the options, with their --variant texts. Errors: those of smla_problem_read,
 * snapmla_problem_check. */
snapmla_status smla_problems_of_options(const smla_settings *settings, smla_problems *out);

/* The problems of --problems FILE or of --set NAME: docs/pack.md says what is in a file. Options that describe a problem may not be
 * given beside them. Errors: INVALID_ARGUMENT, NOT_FOUND, IO, BAD_FORMAT, those of snapmla_problem_check, OUT_OF_MEMORY. */
snapmla_status smla_problems_read(const smla_settings *settings, smla_problems *out);

/* What a set says of itself, in a line ("about"), "" where it does not; owned by the caller. Error: OUT_OF_MEMORY. */
snapmla_status smla_set_about(const smla_set *set, char **out);

void smla_problems_free(smla_problems *problems);

/* Whether the settings have an option that says what the problem is. */
int smla_problem_is_described(const smla_settings *settings);

#endif
