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
                                        .allow_host_code = settings->allow_host_code,
                                        .require_device_class = settings->strict};
  if (!status) status = smla_library_status(snapmla_pack_open(path, &options, out));
  free(keys);
  return status;
}

static snapmla_status open_named(const smla_settings *settings, snapmla_pack **out) {
  if (!settings->pack) return smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "no pack is named: give --pack FILE");
  return smla_pack_open(settings, settings->pack, out);
}

/* A pack that was tuned for other devices computes the same, but perhaps slower: said, not hidden. */
static void note_other_class(snapmla_context *context, const snapmla_pack *pack, const snapmla_pack_choice *choice) {
  snapmla_pack_plan plan = {.size = sizeof plan};
  snapmla_device_info info = {.size = sizeof info};
  if (!choice->other_class || snapmla_pack_plan_get(pack, choice->plan, &plan) || snapmla_context_info(context, &info))
    return;
  smla_console_note(
      "the pack's plan was chosen for the device class %s, and this device is of %s: it may be slower than "
      "one that was; export with --device-class %s (--strict takes no other)",
      plan.device_class, info.device_class, info.device_class);
}

snapmla_status smla_plan_from_pack(const smla_settings *settings, snapmla_context *context,
                                   const snapmla_problem *problem, snapmla_plan **out) {
  snapmla_pack *pack = NULL;
  snapmla_pack_choice choice = {.size = sizeof choice};
  snapmla_status status = open_named(settings, &pack);
  if (!status) status = smla_library_status(snapmla_plan_create_from_pack(context, pack, problem, out));
  if (!status && !snapmla_pack_choose(context, pack, problem, &choice)) note_other_class(context, pack, &choice);
  snapmla_pack_close(pack);
  return status;
}

snapmla_status smla_layer_plan_from_pack(const smla_settings *settings, snapmla_context *context,
                                         const snapmla_layer_problem *problem, snapmla_layer_plan **out) {
  snapmla_pack *pack = NULL;
  snapmla_pack_choice choice = {.size = sizeof choice};
  snapmla_status status = open_named(settings, &pack);
  if (!status) status = smla_library_status(snapmla_layer_plan_create_from_pack(context, pack, problem, out));
  if (!status && !snapmla_pack_choose_layer(context, pack, problem, &choice)) note_other_class(context, pack, &choice);
  snapmla_pack_close(pack);
  return status;
}
