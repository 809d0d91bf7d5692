#include "pack_write.h"

#include <stdlib.h>
#include <string.h>

#include <sodium.h>
#include <zstd.h>

#include <snapmla/pack.h>

#include "pack_seal.h"
#include "status.h"

/* Appends numbers and texts; the first failure stays. */
typedef struct writer {
  smla_buffer *out;
  snapmla_status status;
} writer;

static void put(writer *w, const void *data, size_t count) {
  if (!w->status) w->status = smla_buffer_append(w->out, data, count);
}

static void put_number(writer *w, uint64_t value, int bytes) {
  unsigned char text[8];
  smla_put_number(text, value, bytes);
  put(w, text, (size_t)bytes);
}

static void put_count(writer *w, int32_t value) {
  if (value < 0 && !w->status) w->status = smla_fail(SNAPMLA_INVALID_ARGUMENT, "a pack holds no negative count");
  put_number(w, (uint32_t)value, 4);
}

static void put_text(writer *w, const char *text) {
  size_t length = strlen(text);
  for (const char *c = text; *c && !w->status; c++)
    if (*c < ' ' || *c > '~')
      w->status = smla_fail(SNAPMLA_INVALID_ARGUMENT, "a pack holds printable ASCII alone, and \"%s\" is not", text);
  if (length > SMLA_PACK_MOST_TEXT && !w->status)
    w->status = smla_fail(SNAPMLA_INVALID_ARGUMENT, "a pack holds texts of at most %d bytes, and one has %zu",
                          (int)SMLA_PACK_MOST_TEXT, length);
  put_number(w, length, 2);
  put(w, text, length);
}

/* 64 digits as 32 bytes. */
static void put_hex(writer *w, const char hex[SMLA_HASH_HEX]) {
  unsigned char bytes[SMLA_PACK_DIGEST_BYTES];
  size_t length = 0;
  if (sodium_hex2bin(bytes, sizeof bytes, hex, strlen(hex), NULL, &length, NULL) || length != sizeof bytes) {
    if (!w->status) w->status = smla_fail(SNAPMLA_INTERNAL, "\"%s\" is no digest", hex);
    return;
  }
  put(w, bytes, sizeof bytes);
}

static void put_artifact(writer *w, const smla_pack_artifact *a) {
  put_hex(w, a->key);
  put_text(w, a->target);
  put_text(w, a->variant);
  put_text(w, a->entry);
  put_text(w, a->compiler);
  put_count(w, a->nvrtc_major);
  put_count(w, a->facts.registers);
  put_count(w, a->facts.spill_bytes);
  put_count(w, a->facts.stack_bytes);
  put_count(w, a->facts.warnings);
  put_count(w, a->facts.serialized_wgmma);
  put_number(w, a->quantity_count, 2);
  for (size_t i = 0; i < a->quantity_count; i++) {
    put_text(w, a->quantities[i].name);
    put_number(w, (uint64_t)a->quantities[i].value, 8);
  }
  put_number(w, a->encoding, 4);
  put_number(w, a->offset, 8);
  put_number(w, a->stored_bytes, 8);
  put_number(w, a->image_bytes, 8);
  put_hex(w, a->digest);
}

static void put_plan(writer *w, const smla_pack_plan *p) {
  put_text(w, p->target);
  put_text(w, p->shape);
  put_text(w, p->device_class);
  put_count(w, p->max_batch);
  put_count(w, p->max_context);
  put_text(w, p->provenance);
  put_text(w, p->difference);
  put_text(w, p->time_kind);
  put_number(w, p->nanoseconds, 8);
  put_number(w, p->kernel_count, 2);
  for (size_t i = 0; i < p->kernel_count; i++) {
    put_text(w, p->roles[i]);
    put_count(w, p->kernels[i]);
  }
}

static snapmla_status put_index(const smla_pack_index *index, smla_buffer *out) {
  writer w = {out, SNAPMLA_OK};
  for (size_t i = 0; i < index->artifact_count; i++) put_artifact(&w, &index->artifacts[i]);
  for (size_t i = 0; i < index->plan_count; i++) put_plan(&w, &index->plans[i]);
  return w.status;
}

/* The image as it is stored, appended to `out`. One frame with its length, without a checksum: the digest is one. */
static snapmla_status encode(const smla_image *image, int level, smla_pack_artifact *a, smla_buffer *out) {
  a->image_bytes = image->size;
  a->encoding = SMLA_PACK_STORED;
  if (level) {
    size_t room = ZSTD_compressBound(image->size);
    void *packed = malloc(room);
    if (!packed) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a packed kernel");
    size_t count = ZSTD_compress(packed, room, image->bytes, image->size, level);
    snapmla_status status = SNAPMLA_OK;
    if (ZSTD_isError(count)) {
      status = smla_fail(SNAPMLA_INTERNAL, "zstd cannot pack %s: %s", a->variant, ZSTD_getErrorName(count));
    } else if (count < image->size) {
      status = smla_buffer_append(out, packed, count);
      a->encoding = SMLA_PACK_ZSTD;
      a->stored_bytes = count;
    }
    free(packed);
    if (status || a->encoding == SMLA_PACK_ZSTD) return status;
  }
  a->stored_bytes = image->size;
  return smla_buffer_append(out, image->bytes, image->size);
}

static snapmla_status pad(smla_buffer *out) {
  static const char zeros[SMLA_PACK_ALIGNMENT];
  size_t over = out->length % SMLA_PACK_ALIGNMENT;
  return over ? smla_buffer_append(out, zeros, SMLA_PACK_ALIGNMENT - over) : SNAPMLA_OK;
}

/* The blobs one after the other, each aligned; offsets are from the first. */
static snapmla_status put_blobs(smla_pack_index *index, smla_image *const images[], int level, smla_buffer *out) {
  snapmla_status status = SNAPMLA_OK;
  for (size_t i = 0; i < index->artifact_count && !status; i++) {
    smla_pack_artifact *a = &index->artifacts[i];
    a->offset = out->length;
    status = encode(images[i], level, a, out);
    if (!status) smla_hash_buffer(out->data + a->offset, (size_t)a->stored_bytes, a->digest);
    if (!status) status = pad(out);
  }
  return status;
}

static snapmla_status put_header(const smla_pack_index *index, size_t index_bytes, size_t blob_bytes, int is_signed,
                                 const unsigned char *secret_key, smla_buffer *out) {
  unsigned char head[SMLA_PACK_HEADER_BYTES] = {0};
  size_t blobs = (sizeof head + index_bytes + SMLA_PACK_ALIGNMENT - 1) / SMLA_PACK_ALIGNMENT * SMLA_PACK_ALIGNMENT;
  size_t length = 0;
  memcpy(head + SMLA_PACK_AT_MAGIC, smla_pack_magic, sizeof smla_pack_magic);
  smla_put_number(head + SMLA_PACK_AT_VERSION, SNAPMLA_PACK_VERSION, 4);
  smla_put_number(head + SMLA_PACK_AT_FLAGS, is_signed ? SMLA_PACK_FLAG_SIGNED : 0, 4);
  smla_put_number(head + SMLA_PACK_AT_BYTES, blobs + blob_bytes + (is_signed ? SMLA_PACK_SIGNATURE_BYTES : 0), 8);
  smla_put_number(head + SMLA_PACK_AT_INDEX, index_bytes, 8);
  smla_put_number(head + SMLA_PACK_AT_ARTIFACTS, index->artifact_count, 4);
  smla_put_number(head + SMLA_PACK_AT_PLANS, index->plan_count, 4);
  if (sodium_hex2bin(head + SMLA_PACK_AT_INTERFACE, SMLA_PACK_DIGEST_BYTES, smla_pack_interface,
                     strlen(smla_pack_interface), NULL, &length, NULL))
    return smla_fail(SNAPMLA_INTERNAL, "the interface's name is no digest");
  if (is_signed) crypto_sign_ed25519_sk_to_pk(head + SMLA_PACK_AT_SIGNER, secret_key);
  return smla_buffer_append(out, head, sizeof head);
}

/* The digest into the header at the front of `out`, and the signature. */
static snapmla_status seal(size_t index_bytes, const unsigned char *secret_key,
                           unsigned char signature[SMLA_PACK_SIGNATURE_BYTES], smla_buffer *out) {
  unsigned char *head = (unsigned char *)out->data;
  smla_pack_seal_digest(head, index_bytes, head + SMLA_PACK_AT_DIGEST);
  if (secret_key && crypto_sign_detached(signature, NULL, head, SMLA_PACK_HEADER_BYTES + index_bytes, secret_key))
    return smla_fail(SNAPMLA_INTERNAL, "libsodium cannot sign the pack");
  return SNAPMLA_OK;
}

snapmla_status smla_pack_write(smla_pack_index *index, smla_image *const images[], int level,
                               const unsigned char *secret_key, smla_buffer *out) {
  smla_buffer blobs = {0}, text = {0};
  unsigned char signature[SMLA_PACK_SIGNATURE_BYTES];
  snapmla_status status = put_blobs(index, images, level, &blobs);
  /* The index's length does not depend on the offsets in it: write it once for its length, then with them. */
  if (!status) status = put_index(index, &text);
  if (status) goto out;
  size_t index_bytes = text.length, start = SMLA_PACK_HEADER_BYTES + index_bytes;
  start = (start + SMLA_PACK_ALIGNMENT - 1) / SMLA_PACK_ALIGNMENT * SMLA_PACK_ALIGNMENT;
  for (size_t i = 0; i < index->artifact_count; i++) index->artifacts[i].offset += start;
  status = put_header(index, index_bytes, blobs.length, secret_key != NULL, secret_key, out);
  if (!status) status = put_index(index, out);
  if (!status) status = seal(index_bytes, secret_key, signature, out);
  if (!status) status = pad(out);
  if (!status) status = smla_buffer_append(out, blobs.data, blobs.length);
  if (!status && secret_key) status = smla_buffer_append(out, signature, sizeof signature);
out:
  smla_buffer_free(&blobs);
  smla_buffer_free(&text);
  return status;
}
