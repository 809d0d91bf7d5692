/* What an open pack shows of itself. */
#include <stdlib.h>
#include <string.h>

#include <snapmla/pack.h>

#include "geometry.h"
#include "pack_object.h"
#include "status.h"
#include "struct_size.h"

snapmla_status snapmla_pack_verify(const snapmla_pack *pack) {
  if (!pack) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "pack is NULL; open one with snapmla_pack_open");
  snapmla_status status = SNAPMLA_OK;
  for (size_t i = 0; i < pack->index.artifact_count && !status; i++) {
    const smla_pack_artifact *a = &pack->index.artifacts[i];
    smla_geometry geometry;
    status = smla_geometry_read(a->quantities, a->quantity_count, a->variant, &geometry);
    if (status) return smla_pack_malformed(pack->name, "%s", snapmla_error_message());
    status = smla_pack_check_blob(pack, a);
  }
  return status;
}

/* Room for `known` bytes at `out`, which says it has `given`. */
static snapmla_status check_out(const void *pack, const char *type, const void *out, size_t known) {
  if (!pack || !out) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "pack and out are needed, and one is NULL");
  size_t given;
  memcpy(&given, out, sizeof given); /* the size field opens every struct */
  return smla_struct_size_check(type, out, given, known);
}

static snapmla_status check_number(const char *what, int32_t index, size_t count) {
  if (index >= 0 && (size_t)index < count) return SNAPMLA_OK;
  return smla_fail(SNAPMLA_INVALID_ARGUMENT, "index is %d and the pack has %zu %s; it must be below", index, count,
                   what);
}

snapmla_status snapmla_pack_info_get(const snapmla_pack *pack, snapmla_pack_info *out) {
  snapmla_status status = check_out(pack, "snapmla_pack_info", out, sizeof *out);
  if (status) return status;
  snapmla_pack_info info = {.size = out->size, .bytes = (int64_t)pack->bytes};
  const unsigned char *head = pack->data;
  char interface[SMLA_HASH_HEX];
  info.version = (int32_t)smla_get_u32(head + SMLA_PACK_AT_VERSION);
  info.is_signed = smla_get_u32(head + SMLA_PACK_AT_FLAGS) & SMLA_PACK_FLAG_SIGNED;
  memcpy(info.signer, head + SMLA_PACK_AT_SIGNER, sizeof info.signer);
  smla_pack_hex(head + SMLA_PACK_AT_DIGEST, info.digest);
  smla_pack_hex(head + SMLA_PACK_AT_INTERFACE, interface);
  info.runs_here = !strcmp(interface, smla_pack_interface);
  info.artifact_count = (int32_t)pack->index.artifact_count;
  info.plan_count = (int32_t)pack->index.plan_count;
  *out = info;
  return SNAPMLA_OK;
}

snapmla_status snapmla_pack_artifact_get(const snapmla_pack *pack, int32_t index, snapmla_pack_artifact *out) {
  snapmla_status status = check_out(pack, "snapmla_pack_artifact", out, sizeof *out);
  if (!status) status = check_number("kernels", index, pack->index.artifact_count);
  if (status) return status;
  const smla_pack_artifact *a = &pack->index.artifacts[index];
  smla_geometry geometry = {0};
  status = smla_geometry_read(a->quantities, a->quantity_count, a->variant, &geometry);
  if (status) return smla_pack_malformed(pack->name, "%s", snapmla_error_message());
  *out = (snapmla_pack_artifact){
      .size = out->size,
      .key = a->key,
      .digest = a->digest,
      .target = a->target,
      .variant = a->variant,
      .entry = a->entry,
      .compiler = a->compiler,
      .registers = a->facts.registers,
      .spill_bytes = a->facts.spill_bytes,
      .smem_bytes = geometry.smem_bytes,
      .threads = geometry.threads,
      .is_compressed = a->encoding != SMLA_PACK_STORED,
      .stored_bytes = (int64_t)a->stored_bytes,
      .image_bytes = (int64_t)a->image_bytes,
  };
  return SNAPMLA_OK;
}

snapmla_status snapmla_pack_plan_get(const snapmla_pack *pack, int32_t index, snapmla_pack_plan *out) {
  snapmla_status status = check_out(pack, "snapmla_pack_plan", out, sizeof *out);
  if (!status) status = check_number("plans", index, pack->index.plan_count);
  if (status) return status;
  const smla_pack_plan *p = &pack->index.plans[index];
  *out = (snapmla_pack_plan){
      .size = out->size,
      .target = p->target,
      .shape = p->shape,
      .device_class = p->device_class,
      .max_batch = p->max_batch,
      .max_context = p->max_context,
      .provenance = p->provenance,
      .difference = p->difference,
      .time_kind = p->time_kind,
      .microseconds = (double)p->nanoseconds * 1e-3,
      .kernel_count = (int32_t)p->kernel_count,
      .kernels = p->kernels,
      .roles = p->roles,
  };
  return SNAPMLA_OK;
}
