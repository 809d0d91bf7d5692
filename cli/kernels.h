/* Which kernels `gen` and `build` are asked for, and what their files are called. */
#ifndef SMLA_CLI_KERNELS_H
#define SMLA_CLI_KERNELS_H

#include <stddef.h>

#include <snapmla/source.h>
#include <snapmla/status.h>

#include "settings.h"

typedef struct smla_kernels {
  char **variants; /* canonical texts, each once; owned */
  char **users; /* [count]: the names of the problems that have it, joined by ", "; NULL where they have none; owned */
  size_t count;
  snapmla_source_options options; /* target and templates of the settings */
} smla_kernels;

/* Resolves --family and --variant for the problem of the settings, which --layer makes a layer's, or for each of --problems or --set: the
 * families asked for, or those of the variants, or all; a family with variants in each of them, another in the problem's own.
 * Errors: those of smla_problems_read, snapmla_variant_resolve, snapmla_layer_variants_resolve, snapmla_problem_check and
 * smla_lengths_read. */
snapmla_status smla_kernels_resolve(const smla_settings *settings, smla_kernels *out);
void smla_kernels_free(smla_kernels *kernels);

/* The file name of a variant with `suffix` (".sm90a.cu"): the variant's text with ':', ',' and '=' replaced, cut and
 * marked with a hash where it is too long; owned by the caller. NULL only when memory is short, with the reason set. */
char *smla_kernel_file_name(const char *variant, const char *suffix);

#endif
