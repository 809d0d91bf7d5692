#include "artifact_store.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "compiler.h"
#include "file.h"
#include "hash.h"
#include "manifest.h"
#include "status.h"
#include "store_folder.h"
#include "store_sweep.h"

enum { IMAGE_LIMIT = 256 << 20, MANIFEST_LIMIT = 64 << 20, NAME_MAX_BYTES = SMLA_HASH_HEX + 16 };

/* Kernels for the GPU may also come from root, read-only; code that runs in this process may not. */
static int flags_of(snapmla_target target) { return target == SNAPMLA_TARGET_EMULATOR ? SMLA_STORE_OWN : 0; }

static void folder_of(const char *key, char sub[16]) { snprintf(sub, 16, "obj/%.2s", key); }

snapmla_status smla_store_read(snapmla_target target, const char *key, smla_image **out) {
  smla_buffer text = {0}, image = {0};
  char sub[16], name[NAME_MAX_BYTES];
  folder_of(key, sub);
  snprintf(name, sizeof name, "%s.json", key);
  snapmla_status status = smla_store_read_file(sub, name, flags_of(target), MANIFEST_LIMIT, &text);
  if (status == SNAPMLA_NOT_FOUND) status = smla_fail(SNAPMLA_NOT_FOUND, "the store has no kernel %s", key);
  if (!status) {
    char image_name[NAME_MAX_BYTES];
    snprintf(image_name, sizeof image_name, "%s.%s", key, smla_compiler_of(target)->extension);
    status = smla_store_read_file(sub, image_name, flags_of(target), IMAGE_LIMIT, &image);
  }
  if (!status) status = smla_manifest_read(text.data, text.length, target, key, &image, out);
  smla_buffer_free(&image);
  smla_buffer_free(&text);
  return status;
}

void smla_store_mark_used(const char *key) {
  char sub[16], name[NAME_MAX_BYTES];
  folder_of(key, sub);
  snprintf(name, sizeof name, "%s.json", key);
  smla_store_touch(sub, name);
}

snapmla_status smla_store_write(const smla_image *image) {
  smla_buffer text = {0};
  char sub[16], name[NAME_MAX_BYTES];
  int flags = flags_of(image->target);
  folder_of(image->key, sub);
  snprintf(name, sizeof name, "%s.%s", image->key, smla_compiler_of(image->target)->extension);
  snapmla_status status = smla_store_publish(sub, name, flags, image->bytes, image->size);
  if (!status) status = smla_manifest_write(image, &text);
  snprintf(name, sizeof name, "%s.json", image->key);
  if (!status) status = smla_store_publish(sub, name, flags, text.data, text.length);
  smla_buffer_free(&text);
  return status;
}

/* What stands in a key's file: the key, and a digest of recipe and key, by which a file that was changed or moved is known. */
static void key_text(const char *recipe, const char *key, char text[2 * SMLA_HASH_HEX]) {
  char digest[SMLA_HASH_HEX];
  smla_hash hash;
  smla_hash_start(&hash);
  smla_hash_field_text(&hash, recipe);
  smla_hash_field_text(&hash, key);
  smla_hash_finish(&hash, digest);
  snprintf(text, 2 * SMLA_HASH_HEX, "%s %s", key, digest);
}

snapmla_status smla_store_read_key(snapmla_target target, const char *recipe, char key[SMLA_HASH_HEX]) {
  smla_buffer text = {0};
  char sub[16], name[NAME_MAX_BYTES], expected[2 * SMLA_HASH_HEX], read[SMLA_HASH_HEX] = "";
  folder_of(recipe, sub);
  snprintf(name, sizeof name, "%s.key", recipe);
  snapmla_status status = smla_store_read_file(sub, name, flags_of(target), sizeof expected, &text);
  if (!status) {
    snprintf(read, sizeof read, "%s", text.data);
    key_text(recipe, read, expected);
    if (strcmp(text.data, expected))
      status = smla_fail(SNAPMLA_BAD_FORMAT, "the store's %s/%s does not hold the key of its recipe", sub, name);
  }
  if (!status) memcpy(key, read, SMLA_HASH_HEX);
  smla_buffer_free(&text);
  return status;
}

snapmla_status smla_store_write_key(snapmla_target target, const char *recipe, const char *key) {
  char sub[16], name[NAME_MAX_BYTES], text[2 * SMLA_HASH_HEX];
  folder_of(recipe, sub);
  snprintf(name, sizeof name, "%s.key", recipe);
  key_text(recipe, key, text);
  return smla_store_publish(sub, name, flags_of(target), text, strlen(text));
}

snapmla_status smla_store_probe(void) {
  char name[64];
  snprintf(name, sizeof name, "probe.%ld", (long)getpid());
  snapmla_status status = smla_store_publish("obj/00", name, SMLA_STORE_OWN, "", 0);
  return status ? status : smla_store_remove("obj/00", name);
}
