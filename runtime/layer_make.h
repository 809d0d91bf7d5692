/* What making a layer plan and packing one have in common: the variants of the layer's own kernels. */
#ifndef SMLA_RUNTIME_LAYER_MAKE_H
#define SMLA_RUNTIME_LAYER_MAKE_H

#include "buffer.h"
#include "generator.h"
#include "layer_object.h"

/* Appends the parts of an override that are for the kernels of a checked problem's own, and those for the attention's. One that names a family of both, as
 * kv_append is, is for the layer's: of the attention's plan a layer uses no append. Error: INVALID_ARGUMENT (a part names no family, or
 * none of either). */
snapmla_status smla_layer_override_share(const snapmla_layer_problem *problem, const char *text, smla_buffer *layers,
                                         smla_buffer *attention);

/* The canonical variants of a checked problem's own kernels on a device of `multiprocessors` (0: not known) beside the attention's
 * `decode_variant`, after the layer's part of an override: the first smla_layer_kernel_count(problem) in the order of smla_layer_kernel,
 * each freed by the caller; the others, and on failure all, are NULL. Errors: as smla_problem_resolve_with; ILLEGAL_VARIANT (an output
 * split into more shares than there are chunks). */
snapmla_status smla_layer_variants(const smla_generator *generator, const snapmla_layer_problem *problem,
                                   int32_t multiprocessors, const char *decode_variant, const char *override_text,
                                   char *variants[SMLA_LAYER_KERNEL_COUNT]);

#endif
