#include "target_name.h"

#include <stddef.h>
#include <string.h>

#include "status.h"

static const char *const names[] = {[SNAPMLA_TARGET_SM90A] = "sm_90a", [SNAPMLA_TARGET_EMULATOR] = "emulator"};
enum { COUNT = sizeof names / sizeof *names };

const char *smla_target_name(snapmla_target target) { return (unsigned)target < COUNT ? names[target] : NULL; }

snapmla_status smla_target_parse(const char *name, snapmla_target *out) {
  for (unsigned i = 0; i < COUNT; i++) {
    if (strcmp(names[i], name)) continue;
    *out = (snapmla_target)i;
    return SNAPMLA_OK;
  }
  return smla_fail(SNAPMLA_UNSUPPORTED, "target %s is not known to this library, which runs sm_90a and emulator", name);
}
