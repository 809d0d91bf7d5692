/* A kernel out of a pack: its digest first, since what is decoded must be what was sealed. */
#include <stdlib.h>
#include <string.h>

#include <zstd.h>

#include "hash.h"
#include "pack_object.h"
#include "status.h"
#include "target_name.h"

static snapmla_status decode(const snapmla_pack *pack, const smla_pack_artifact *a, void *image) {
  const unsigned char *stored = pack->data + a->offset;
  size_t count = (size_t)a->stored_bytes, bytes = (size_t)a->image_bytes;
  if (a->encoding == SMLA_PACK_STORED) {
    memcpy(image, stored, bytes);
    return SNAPMLA_OK;
  }
  /* One frame, which says its own length: a longer one is never unpacked. */
  if (ZSTD_findFrameCompressedSize(stored, count) != count || ZSTD_getFrameContentSize(stored, count) != bytes)
    return smla_pack_malformed(pack->name, "the kernel %s is not one zstd frame of %zu bytes", a->variant, bytes);
  size_t got = ZSTD_decompress(image, bytes, stored, count);
  if (ZSTD_isError(got) || got != bytes)
    return smla_pack_malformed(pack->name, "the kernel %s cannot be unpacked", a->variant);
  return SNAPMLA_OK;
}

/* The kernel as it is loaded; *out from malloc. */
static snapmla_status unpack(const snapmla_pack *pack, const smla_pack_artifact *a, void **out) {
  char digest[SMLA_HASH_HEX];
  smla_hash_buffer(pack->data + a->offset, (size_t)a->stored_bytes, digest);
  if (strcmp(digest, a->digest))
    return smla_pack_malformed(pack->name, "the kernel %s was changed: its digest differs", a->variant);
  void *image = malloc((size_t)a->image_bytes);
  if (!image) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a kernel of %zu bytes", (size_t)a->image_bytes);
  snapmla_status status = decode(pack, a, image);
  if (status)
    free(image);
  else
    *out = image;
  return status;
}

snapmla_status smla_pack_check_blob(const snapmla_pack *pack, const smla_pack_artifact *a) {
  void *image = NULL;
  snapmla_status status = unpack(pack, a, &image);
  free(image);
  return status;
}

snapmla_status smla_pack_image(const snapmla_pack *pack, const smla_pack_artifact *a, smla_image **out) {
  snapmla_target target;
  void *image = NULL;
  snapmla_status status = smla_target_parse(a->target, &target);
  if (!status) status = unpack(pack, a, &image);
  if (!status) status = smla_image_create(target, a->key, a->entry, "", image, (size_t)a->image_bytes, out);
  if (status) return status;
  (*out)->facts = a->facts;
  (*out)->nvrtc_major = a->nvrtc_major;
  (*out)->without_files = 1;
  return SNAPMLA_OK;
}
