#include "console.h"
#include "key_file.h"
#include "library.h"
#include "plan_maker.h"

#include <stdlib.h>

snapmla_status smla_pack_open(const smla_settings *settings, const char *path, snapmla_pack **out) {
  unsigned char *keys = NULL;
  snapmla_status status = smla_public_keys_read(&settings->keys, &keys);
  const snapmla_pack_options options = {.size = sizeof options,
                                        .keys = keys,
                                        .key_count = settings->keys.count,
                                        .allow_host_code = settings->allow_host_code};
  if (!status) status = smla_library_status(snapmla_pack_open(path, &options, out));
  free(keys);
  return status;
}

snapmla_status smla_plan_from_pack(const smla_settings *settings, snapmla_context *context,
                                   const snapmla_problem *problem, snapmla_plan **out) {
  snapmla_pack *pack = NULL;
  if (!settings->pack) return smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "no pack is named: give --pack FILE");
  snapmla_status status = smla_pack_open(settings, settings->pack, &pack);
  if (!status) status = smla_library_status(snapmla_plan_create_from_pack(context, pack, problem, out));
  snapmla_pack_close(pack);
  return status;
}
