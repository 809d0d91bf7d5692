#include "artifact_store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compiler.h"
#include "env.h"
#include "file.h"
#include "manifest.h"
#include "status.h"

enum { IMAGE_LIMIT = 256 << 20, MANIFEST_LIMIT = 64 << 20 };

/* Below the root; each must be the user's own. The version is that of names and manifests. */
#define STORE_VERSION "v1"
static const char *const folders[] = {"", "/" STORE_VERSION, "/" STORE_VERSION "/obj"};

snapmla_status smla_store_root(smla_buffer *out) {
  const char *path = smla_env(SMLA_ENV_CACHE_DIR);
  if (path) return smla_buffer_append_text(out, path);
  path = smla_env(SMLA_ENV_XDG_CACHE_HOME);
  if (path && *path == '/') return smla_buffer_printf(out, "%s/snapmla", path);
  path = smla_env(SMLA_ENV_HOME);
  if (path && *path == '/') return smla_buffer_printf(out, "%s/.cache/snapmla", path);
  return smla_fail(
      SNAPMLA_NOT_FOUND,
      "there is no cache directory: none of SNAPMLA_CACHE_DIR, XDG_CACHE_HOME and HOME is set; set the first");
}

/* Kernels for the GPU may also come from root, read-only; code that runs in this process may not. */
static snapmla_status check_folder(const char *path, int own) {
  struct stat info;
  if (lstat(path, &info))
    return smla_fail(errno == ENOENT || errno == ENOTDIR ? SNAPMLA_NOT_FOUND : SNAPMLA_IO, "cannot examine %s: %s",
                     path, strerror(errno));
  if (!S_ISDIR(info.st_mode))
    return smla_fail(
        SNAPMLA_UNSUPPORTED,
        "%s is not a directory (links do not count), and the store holds code; remove it or set SNAPMLA_CACHE_DIR",
        path);
  if (info.st_uid != geteuid() && (own || info.st_uid))
    return smla_fail(SNAPMLA_UNSUPPORTED,
                     "%s belongs to user %u, and the store holds code, which is taken from your own files alone; set "
                     "SNAPMLA_CACHE_DIR to a directory of yours",
                     path, (unsigned)info.st_uid);
  if (info.st_mode & (S_IWGRP | S_IWOTH))
    return smla_fail(SNAPMLA_UNSUPPORTED, "others may write to %s, and the store holds code; chmod go-w %s", path,
                     path);
  return SNAPMLA_OK;
}

static snapmla_status check_folders(const char *root, int own) {
  snapmla_status status = SNAPMLA_OK;
  for (size_t i = 0; i < sizeof folders / sizeof *folders && !status; i++) {
    smla_buffer path = {0};
    status = smla_buffer_printf(&path, "%s%s", root, folders[i]);
    if (!status) status = check_folder(path.data, own);
    smla_buffer_free(&path);
  }
  return status;
}

/* Appends <root>/v1/obj/ab/<key>.<extension>; without an extension, the folder of the key. */
static snapmla_status path_of(const char *root, const char *key, const char *extension, smla_buffer *out) {
  snapmla_status status = smla_buffer_printf(out, "%s/" STORE_VERSION "/obj/%.2s", root, key);
  return status || !extension ? status : smla_buffer_printf(out, "/%s.%s", key, extension);
}

/* Reads a file that may be code: it and its folder must be private. */
static snapmla_status read_private(const char *path, int own, size_t limit, smla_buffer *out) {
  snapmla_status status = smla_file_check_private(path);
  struct stat info;
  if (!status && own && (lstat(path, &info) || info.st_uid != geteuid()))
    status = smla_fail(SNAPMLA_UNSUPPORTED,
                       "%s is not your own, and kernels that run in this process must be; remove it", path);
  return status ? status : smla_file_read(path, limit, out);
}

snapmla_status smla_store_read(snapmla_target target, const char *key, smla_image **out) {
  smla_buffer root = {0}, path = {0}, text = {0}, image = {0};
  int own = target == SNAPMLA_TARGET_EMULATOR;
  snapmla_status status = smla_store_root(&root);
  if (!status) status = path_of(root.data, key, "json", &path);
  if (!status && !smla_file_exists(path.data)) status = smla_fail(SNAPMLA_NOT_FOUND, "the store has no kernel %s", key);
  if (!status) status = check_folders(root.data, own);
  if (!status) status = read_private(path.data, own, MANIFEST_LIMIT, &text);
  smla_buffer_free(&path);
  if (!status) status = path_of(root.data, key, smla_compiler_of(target)->extension, &path);
  if (!status) status = read_private(path.data, own, IMAGE_LIMIT, &image);
  if (!status) status = smla_manifest_read(text.data, text.length, target, key, &image, out);
  smla_buffer_free(&image);
  smla_buffer_free(&text);
  smla_buffer_free(&path);
  smla_buffer_free(&root);
  return status;
}

static snapmla_status make_folder(const char *root, const char *key, int own) {
  smla_buffer path = {0};
  snapmla_status status = path_of(root, key, NULL, &path);
  if (!status) status = smla_file_make_directory(path.data);
  if (!status) status = check_folders(root, own);
  if (!status) status = check_folder(path.data, own);
  smla_buffer_free(&path);
  return status;
}

snapmla_status smla_store_write(const smla_image *image) {
  smla_buffer root = {0}, path = {0}, text = {0};
  snapmla_status status = smla_store_root(&root);
  if (!status) status = make_folder(root.data, image->key, image->target == SNAPMLA_TARGET_EMULATOR);
  if (!status) status = path_of(root.data, image->key, smla_compiler_of(image->target)->extension, &path);
  if (!status) status = smla_file_write(path.data, image->bytes, image->size, 0600);
  smla_buffer_free(&path);
  if (!status) status = smla_manifest_write(image, &text);
  if (!status) status = path_of(root.data, image->key, "json", &path);
  if (!status) status = smla_file_write(path.data, text.data, text.length, 0600);
  smla_buffer_free(&text);
  smla_buffer_free(&path);
  smla_buffer_free(&root);
  return status;
}

snapmla_status smla_store_probe(void) {
  smla_buffer root = {0}, path = {0};
  snapmla_status status = smla_store_root(&root);
  if (!status) status = make_folder(root.data, "00", 1);
  if (!status) status = smla_buffer_printf(&path, "%s/" STORE_VERSION "/probe.%ld", root.data, (long)getpid());
  if (!status) status = smla_file_write(path.data, "", 0, 0600);
  if (!status) unlink(path.data);
  smla_buffer_free(&path);
  smla_buffer_free(&root);
  return status;
}
