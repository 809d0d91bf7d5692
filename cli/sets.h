/* The sets of problems in cli/sets/, which the build embeds: the table is written by embed_files.cmake. */
#ifndef SMLA_CLI_SETS_H
#define SMLA_CLI_SETS_H

#include <stddef.h>

typedef struct smla_set {
  const char *path, *text; /* "default.json" */
  size_t length;
} smla_set;

extern const smla_set smla_sets[];
extern const size_t smla_set_count;

#endif
