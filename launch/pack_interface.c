#include "pack_format.h"

/* As PNG's: a transfer that changes line ends or strips the eighth bit shows. */
const unsigned char smla_pack_magic[8] = {0x89, 'S', 'M', 'L', 'A', 0x0d, 0x0a, 0x1a};

const char smla_pack_interface[65] = SMLA_PACK_INTERFACE;
