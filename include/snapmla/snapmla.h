/* snapmla: FP8 decode attention for Multi-head Latent Attention on NVIDIA Hopper. The whole public API. */
#ifndef SNAPMLA_SNAPMLA_H
#define SNAPMLA_SNAPMLA_H

#include <snapmla/context.h>
#include <snapmla/export.h>
#include <snapmla/layer.h>
#include <snapmla/memory.h>
#include <snapmla/pack.h>
#include <snapmla/pack_make.h>
#include <snapmla/plan.h>
#include <snapmla/problem.h>
#include <snapmla/reference.h>
#include <snapmla/shards.h>
#include <snapmla/source.h>
#include <snapmla/status.h>
#include <snapmla/tune.h>

#endif
