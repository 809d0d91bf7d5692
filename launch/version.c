#include <snapmla/source.h>

const char *snapmla_version(void) { return SNAPMLA_VERSION; }
