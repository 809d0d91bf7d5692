/* The names of targets, as packs, the store and messages have them. */
#ifndef SMLA_LAUNCH_TARGET_NAME_H
#define SMLA_LAUNCH_TARGET_NAME_H

#include <snapmla/source.h>
#include <snapmla/status.h>

/* "sm_90a", "emulator"; NULL for an unknown one. */
const char *smla_target_name(snapmla_target target);
/* The inverse. Error: UNSUPPORTED, with the names. */
snapmla_status smla_target_parse(const char *name, snapmla_target *out);

#endif
