/* Files that the build embeds: the table is written by embed.cmake. */
#ifndef SMLA_AUTOTUNE_SHIPPED_FILES_H
#define SMLA_AUTOTUNE_SHIPPED_FILES_H

#include <stddef.h>

typedef struct smla_shipped_file {
  const char *path, *text; /* path: below autotune/wisdom/ */
  size_t length;
} smla_shipped_file;

extern const smla_shipped_file smla_shipped_files[];
extern const size_t smla_shipped_file_count;

#endif
