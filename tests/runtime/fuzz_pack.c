/* libFuzzer: the pack reader on any bytes, as they come and with a header and a digest that hold, as a forger would make
 * them: else nothing but the digest would be tried. Run: fuzz_pack -max_len=4096 tests/runtime/corpus/pack */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <snapmla/pack.h>

#include "pack_format.h"
#include "pack_seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Looks at all that an accepted pack shows. */
static void look(const snapmla_pack *pack) {
  snapmla_pack_info info = {.size = sizeof info};
  if (snapmla_pack_info_get(pack, &info)) abort();
  for (int32_t i = 0; i < info.artifact_count; i++) {
    snapmla_pack_artifact a = {.size = sizeof a};
    if (!snapmla_pack_artifact_get(pack, i, &a) && (strlen(a.key) != 64 || !strchr(a.variant, ':'))) abort();
  }
  for (int32_t i = 0; i < info.plan_count; i++) {
    snapmla_pack_plan p = {.size = sizeof p};
    if (snapmla_pack_plan_get(pack, i, &p) || p.kernel_count < 1) abort();
    for (int32_t k = 0; k < p.kernel_count; k++)
      if (p.kernels[k] < 0 || p.kernels[k] >= info.artifact_count || !*p.roles[k] ||
          (k && strcmp(p.roles[k - 1], p.roles[k]) >= 0))
        abort();
  }
  (void)snapmla_pack_verify(pack);
}

static void try_bytes(const uint8_t *data, size_t size) {
  snapmla_pack *pack = NULL;
  if (snapmla_pack_open_memory(data, size, NULL, &pack)) return;
  look(pack);
  snapmla_pack_close(pack);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  try_bytes(data, size);
  if (size < SMLA_PACK_HEADER_BYTES) return 0;
  uint8_t *forged = malloc(size);
  if (!forged) return 0;
  memcpy(forged, data, size);
  memcpy(forged, smla_pack_magic, sizeof smla_pack_magic);
  /* The old version as it was written, this one for all else. */
  if (smla_get_u32(forged + SMLA_PACK_AT_VERSION) != SMLA_PACK_OLDEST_VERSION)
    smla_put_number(forged + SMLA_PACK_AT_VERSION, SNAPMLA_PACK_VERSION, 4);
  smla_put_number(forged + SMLA_PACK_AT_FLAGS, 0, 4);
  smla_put_number(forged + SMLA_PACK_AT_BYTES, size, 8);
  memset(forged + SMLA_PACK_AT_SIGNER, 0, SNAPMLA_PACK_PUBLIC_KEY_BYTES);
  uint64_t index = smla_get_u64(forged + SMLA_PACK_AT_INDEX);
  if (index <= size - SMLA_PACK_HEADER_BYTES)
    smla_pack_seal_digest(forged, (size_t)index, forged + SMLA_PACK_AT_DIGEST);
  try_bytes(forged, size);
  free(forged);
  return 0;
}
