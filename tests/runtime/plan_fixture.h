/* Small plans on an emulator of few multiprocessors. */
#ifndef SNAPMLA_TESTS_RUNTIME_PLAN_FIXTURE_H
#define SNAPMLA_TESTS_RUNTIME_PLAN_FIXTURE_H

#include <snapmla/snapmla.h>

enum { SMS = 4 };

/* `templates`: a directory, or NULL for those that are embedded. */
snapmla_context *open_emulator(const char *templates);

/* 8 heads of rank 128, batches of 2. */
snapmla_problem small_problem(int32_t max_context);

/* And how it was made. The caller destroys it. */
snapmla_plan *make_plan(snapmla_context *context, const snapmla_problem *problem, const snapmla_plan_options *options,
                        snapmla_plan_report *report);

#endif
