/* The longer reports: who waits where. */
#ifndef SMLA_EMULATOR_REPORT_H
#define SMLA_EMULATOR_REPORT_H

#include "machine.h"

/* Nothing can run and nothing is in flight: says who waits for what, and ends the cluster. */
_Noreturn void smla_report_deadlock(smla_cluster *cluster);

#endif
