/* Opening and closing packs. */
#include <stdlib.h>
#include <string.h>

#include <snapmla/pack.h>

#include "buffer.h"
#include "file.h"
#include "pack_object.h"
#include "pack_seal.h"
#include "size.h"
#include "status.h"
#include "struct_size.h"

static snapmla_status malformed_length(const snapmla_pack *pack, uint64_t said) {
  return smla_pack_malformed(pack->name, "it has %zu bytes and its header says %llu", pack->bytes,
                             (unsigned long long)said);
}

/* What stands in the header, apart from digests and keys. *blobs and *end bound the kernels. */
static snapmla_status check_header(const snapmla_pack *pack, uint64_t *blobs, uint64_t *end) {
  const unsigned char *head = pack->data;
  if (pack->bytes < sizeof smla_pack_magic || memcmp(head, smla_pack_magic, sizeof smla_pack_magic))
    return smla_fail(SNAPMLA_BAD_FORMAT,
                     "%s is no pack: it does not begin as one; name a file that snapmla export wrote", pack->name);
  if (pack->bytes < SMLA_PACK_HEADER_BYTES) return smla_pack_malformed(pack->name, "it ends within its header");
  uint32_t version = smla_get_u32(head + SMLA_PACK_AT_VERSION), flags = smla_get_u32(head + SMLA_PACK_AT_FLAGS);
  if (version < SMLA_PACK_OLDEST_VERSION || version > SNAPMLA_PACK_VERSION)
    return smla_fail(SNAPMLA_UNSUPPORTED, "pack %s is of version %u and this library reads versions %d to %d; %s",
                     pack->name, version, (int)SMLA_PACK_OLDEST_VERSION, (int)SNAPMLA_PACK_VERSION,
                     version < SMLA_PACK_OLDEST_VERSION
                         ? "export it again"
                         : "use a library as new as the one that wrote it, or export it again with this one");
  uint64_t bytes = smla_get_u64(head + SMLA_PACK_AT_BYTES), index = smla_get_u64(head + SMLA_PACK_AT_INDEX);
  uint64_t seal = flags & SMLA_PACK_FLAG_SIGNED ? SMLA_PACK_SIGNATURE_BYTES : 0;
  if (bytes != pack->bytes) return malformed_length(pack, bytes);
  if (flags & ~(uint32_t)SMLA_PACK_FLAG_SIGNED) return smla_pack_malformed(pack->name, "its flags are 0x%x", flags);
  if (index > bytes - SMLA_PACK_HEADER_BYTES) return smla_pack_malformed(pack->name, "its index is longer than it is");
  *blobs = (SMLA_PACK_HEADER_BYTES + index + SMLA_PACK_ALIGNMENT - 1) / SMLA_PACK_ALIGNMENT * SMLA_PACK_ALIGNMENT;
  if (*blobs > bytes || seal > bytes - *blobs) return smla_pack_malformed(pack->name, "it ends within its index");
  *end = bytes - seal;
  return SNAPMLA_OK;
}

static int all_zero(const unsigned char *bytes, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (bytes[i]) return 0;
  return 1;
}

/* The digest, the signature, and whether the signer is one of the caller's. */
static snapmla_status check_seal(const snapmla_pack *pack, const snapmla_pack_options *options) {
  const unsigned char *head = pack->data, *signer = head + SMLA_PACK_AT_SIGNER;
  size_t index = (size_t)smla_get_u64(head + SMLA_PACK_AT_INDEX);
  unsigned char digest[SMLA_PACK_DIGEST_BYTES];
  smla_pack_seal_digest(head, index, digest);
  if (memcmp(digest, head + SMLA_PACK_AT_DIGEST, sizeof digest))
    return smla_pack_malformed(pack->name, "it was changed: the digest of its index differs");
  int is_signed = smla_get_u32(head + SMLA_PACK_AT_FLAGS) & SMLA_PACK_FLAG_SIGNED;
  if (!is_signed && !all_zero(signer, SNAPMLA_PACK_PUBLIC_KEY_BYTES))
    return smla_pack_malformed(pack->name, "it names a signer and bears no signature");
  if (is_signed && !smla_pack_seal_check(head, index, head + pack->bytes - SMLA_PACK_SIGNATURE_BYTES))
    return smla_pack_malformed(pack->name, "its signature is not that of its content");
  if (!options->key_count) return SNAPMLA_OK;
  if (!is_signed)
    return smla_fail(SNAPMLA_BAD_FORMAT,
                     "pack %s is not signed, and a signature by one of %zu key(s) is demanded; export it with --sign",
                     pack->name, options->key_count);
  for (size_t i = 0; i < options->key_count; i++)
    if (!memcmp(options->keys + i * SNAPMLA_PACK_PUBLIC_KEY_BYTES, signer, SNAPMLA_PACK_PUBLIC_KEY_BYTES))
      return SNAPMLA_OK;
  char hex[SMLA_HASH_HEX];
  smla_pack_hex(signer, hex);
  return smla_fail(
      SNAPMLA_BAD_FORMAT,
      "pack %s is signed with key %s, which is none of the %zu given; get one that is, or give that key if "
      "you trust it",
      pack->name, hex, options->key_count);
}

/* Bytes that no digest is of must be zero: between index and blobs, and after each blob. */
static snapmla_status check_padding(const snapmla_pack *pack, uint64_t blobs, uint64_t end) {
  uint64_t at = SMLA_PACK_HEADER_BYTES + smla_get_u64(pack->data + SMLA_PACK_AT_INDEX), next = blobs;
  for (size_t i = 0; i <= pack->index.artifact_count; i++) {
    if (!all_zero(pack->data + at, (size_t)(next - at)))
      return smla_pack_malformed(pack->name, "it was changed: bytes between its kernels are not zero");
    if (i == pack->index.artifact_count) break;
    const smla_pack_artifact *a = &pack->index.artifacts[i];
    at = a->offset + a->stored_bytes;
    next = i + 1 < pack->index.artifact_count ? a[1].offset : end;
  }
  return SNAPMLA_OK;
}

static snapmla_status check(snapmla_pack *pack, const snapmla_pack_options *options) {
  uint64_t blobs = 0, end = 0;
  snapmla_status status = check_header(pack, &blobs, &end);
  if (!status) status = check_seal(pack, options);
  if (!status)
    status = smla_pack_index_read(
        pack->name, smla_get_u32(pack->data + SMLA_PACK_AT_VERSION), pack->data + SMLA_PACK_HEADER_BYTES,
        (size_t)smla_get_u64(pack->data + SMLA_PACK_AT_INDEX), smla_get_u32(pack->data + SMLA_PACK_AT_ARTIFACTS),
        smla_get_u32(pack->data + SMLA_PACK_AT_PLANS), blobs, end, &pack->index);
  return status ? status : check_padding(pack, blobs, end);
}

static snapmla_status check_options(const snapmla_pack_options *options, snapmla_pack_options *known) {
  *known = (snapmla_pack_options){.size = sizeof *known};
  if (!options) return SNAPMLA_OK;
  snapmla_status status = smla_struct_size_check("snapmla_pack_options", options, options->size, sizeof *options);
  if (status) return status;
  if (options->key_count && !options->keys)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "key_count is %zu and keys is NULL; pass the keys, or 0",
                     options->key_count);
  *known = *options;
  return SNAPMLA_OK;
}

/* Takes over `data`, on failure too. */
static snapmla_status open_data(const char *name, void *data, size_t bytes, const snapmla_pack_options *options,
                                snapmla_pack **out) {
  snapmla_pack *pack = calloc(1, sizeof *pack);
  if (!pack) {
    free(data);
    return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a pack");
  }
  pack->data = data;
  pack->bytes = bytes;
  pack->allow_host_code = options->allow_host_code != 0;
  pack->require_device_class = options->require_device_class != 0;
  pack->name = strdup(name);
  snapmla_status status = pack->name ? check(pack, options) : smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a pack");
  if (status)
    snapmla_pack_close(pack);
  else
    *out = pack;
  return status;
}

snapmla_status snapmla_pack_open(const char *path, const snapmla_pack_options *options, snapmla_pack **out) {
  if (!path || !out) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "path and out are needed, and one is NULL");
  *out = NULL;
  snapmla_pack_options known;
  smla_buffer data = {0};
  snapmla_status status = check_options(options, &known);
  if (!status) status = smla_file_read(path, SMLA_PACK_MOST_BYTES, &data);
  if (status) return status;
  size_t bytes = data.length;
  return open_data(path, smla_buffer_take(&data), bytes, &known, out);
}

snapmla_status snapmla_pack_open_memory(const void *data, size_t bytes, const snapmla_pack_options *options,
                                        snapmla_pack **out) {
  const snapmla_pack_part part = {data, bytes};
  const snapmla_pack_source source = {&part, 1};
  return snapmla_pack_open_source(&source, options, out);
}

snapmla_status snapmla_pack_open_source(const snapmla_pack_source *source, const snapmla_pack_options *options,
                                        snapmla_pack **out) {
  if (!source || !out || (source->part_count && !source->parts))
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "the pack's data and out are needed, and one is NULL");
  *out = NULL;
  snapmla_pack_options known;
  size_t bytes = 0, at = 0;
  snapmla_status status = check_options(options, &known);
  for (size_t i = 0; i < source->part_count && !status; i++)
    status = source->parts[i].data || !source->parts[i].bytes
                 ? smla_size_add("a pack", bytes, source->parts[i].bytes, &bytes)
                 : smla_fail(SNAPMLA_INVALID_ARGUMENT, "a pack's data is NULL; pass its bytes");
  if (status) return status;
  if (bytes > SMLA_PACK_MOST_BYTES)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "a pack of %zu bytes is too large; it is not the one meant", bytes);
  unsigned char *copy = malloc(bytes ? bytes : 1);
  if (!copy) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a pack of %zu bytes", bytes);
  for (size_t i = 0; i < source->part_count; i++) {
    if (source->parts[i].bytes) memcpy(copy + at, source->parts[i].data, source->parts[i].bytes);
    at += source->parts[i].bytes;
  }
  return open_data("in memory", copy, bytes, &known, out);
}

void snapmla_pack_close(snapmla_pack *pack) {
  if (!pack) return;
  smla_pack_index_free(&pack->index);
  free(pack->data);
  free(pack->name);
  free(pack);
}
