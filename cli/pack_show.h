/* What a pack holds, and how two differ, for people and as JSON. */
#ifndef SMLA_CLI_PACK_SHOW_H
#define SMLA_CLI_PACK_SHOW_H

#include <snapmla/pack.h>

#include "settings.h"

/* Of a pack that was verified. */
snapmla_status smla_pack_show_verdict(const smla_settings *settings, const snapmla_pack_info *info);
/* Plans, their kernels, and the kernels. */
snapmla_status smla_pack_show(const smla_settings *settings, const snapmla_pack *pack);
/* Plans that one lacks or that have other variants, and kernels of one variant with other bytes; *differ: nonzero where
 * there is any. */
snapmla_status smla_pack_show_difference(const smla_settings *settings, const snapmla_pack *a, const snapmla_pack *b,
                                         int *differ);

#endif
