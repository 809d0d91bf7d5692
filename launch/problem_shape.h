/* A problem's shape as text: all that decides what kernels compute, without the range of batch and context; and a layer's choices by the
 * names that its shape and the axes of its kernels share. */
#ifndef SMLA_LAUNCH_PROBLEM_SHAPE_H
#define SMLA_LAUNCH_PROBLEM_SHAPE_H

#include <snapmla/layer.h>
#include <snapmla/problem.h>
#include <snapmla/status.h>

#include "buffer.h"

/* Appends "heads=128,q_len=1,…" of a checked problem: equal exactly where the shapes are. Error: OUT_OF_MEMORY. */
snapmla_status smla_problem_shape(const snapmla_problem *problem, smla_buffer *out);

/* Appends that of a checked layer problem: its attention's, then ",nope=128,v=128,weights=bf16,rotate=interleaved,norm=rms", and
 * ",hidden=7168" where it has an output projection. Neither the angles nor epsilon, which are arguments of kernels, nor who multiplies by W_O. Error: OUT_OF_MEMORY. */
snapmla_status smla_layer_shape(const snapmla_layer_problem *problem, smla_buffer *out);

/* Values of the axes "weights", "rotate" and "norm" for a checked layer problem: "bf16" or "fp8"; "none", "interleaved" or "half";
 * "none" or "rms". */
const char *smla_layer_weights(const snapmla_layer_problem *problem);
const char *smla_layer_rotate(const snapmla_layer_problem *problem);
const char *smla_layer_norm(const snapmla_layer_problem *problem);

#endif
