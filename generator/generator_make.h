/* A generator from given files: the door for tests, which need no files on disk. */
#ifndef SMLA_GENERATOR_MAKE_H
#define SMLA_GENERATOR_MAKE_H

#include "generator.h"
#include "store.h"

/* As smla_generator_create, with `files` in the place of the embedded ones; they are copied. */
snapmla_status smla_generator_make(const smla_template_file *files, size_t count, const char *directory,
                                   smla_generator **out);

#endif
