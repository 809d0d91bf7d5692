/* What `build` and `gen` do with --list-sets. */
#ifndef SMLA_CLI_LIST_SETS_H
#define SMLA_CLI_LIST_SETS_H

#include "commands.h"

/* Prints a line for each set of problems that the program carries, its name, how many problems and kernels (of --family or --variant, where
 * given) it has and what it is; with --json a list of objects of these. */
smla_exit smla_list_sets(const smla_settings *settings);

#endif
