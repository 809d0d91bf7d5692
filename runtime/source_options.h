/* The options that the calls of source.h share. */
#ifndef SMLA_RUNTIME_SOURCE_OPTIONS_H
#define SMLA_RUNTIME_SOURCE_OPTIONS_H

#include <snapmla/source.h>
#include <snapmla/status.h>

#include "generator.h"

/* Checks `options` (NULL: the defaults) and opens their generator, which the caller destroys. */
snapmla_status smla_source_options_open(const snapmla_source_options *options, snapmla_source_options *known,
                                        smla_generator **generator);

#endif
