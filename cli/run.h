/* The command run, whatever makes the plan. */
#ifndef SMLA_CLI_RUN_H
#define SMLA_CLI_RUN_H

#include "console.h"
#include "plan_maker.h"
#include "settings.h"

smla_exit smla_run(const smla_settings *settings, smla_plan_maker *make_plan);

#endif
