/* A problem's shape as text: all that decides what kernels compute, without the range of batch and context. */
#ifndef SMLA_LAUNCH_PROBLEM_SHAPE_H
#define SMLA_LAUNCH_PROBLEM_SHAPE_H

#include <snapmla/problem.h>
#include <snapmla/status.h>

#include "buffer.h"

/* Appends "heads=128,q_len=1,…" of a checked problem: equal exactly where the shapes are. Error: OUT_OF_MEMORY. */
snapmla_status smla_problem_shape(const snapmla_problem *problem, smla_buffer *out);

#endif
