#include "store_sweep.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "buffer.h"
#include "env.h"
#include "status.h"
#include "store_folder.h"

enum { ABANDONED_AFTER = 3600, TOUCHED_AFTER = 86400 /* seconds */, KEY_LENGTH = 64 };

/* A compiled kernel: its manifest and its image. */
typedef struct kernel {
  char *manifest, *image; /* paths; either may be missing */
  int64_t bytes;
  time_t used;
} kernel;

typedef struct kernels {
  kernel *items;
  size_t count;
} kernels;

int64_t smla_store_limit(void) {
  const char *text = smla_env(SMLA_ENV_CACHE_LIMIT);
  char *end;
  long long megabytes = text ? strtoll(text, &end, 10) : SMLA_STORE_LIMIT_DEFAULT_MB;
  if (text && (*end || megabytes < 0 || megabytes > 1 << 30)) megabytes = SMLA_STORE_LIMIT_DEFAULT_MB;
  return (int64_t)megabytes << 20;
}

static void remove_counted(const char *path, int dry, int64_t bytes, smla_sweep *out) {
  if (!dry && unlink(path)) return;
  out->removed_files++;
  out->removed_bytes += bytes;
}

static snapmla_status path_in(const char *sub, const char *name, smla_buffer *out) {
  out->length = 0;
  snapmla_status status = smla_store_folder(sub, SMLA_STORE_OWN, out);
  return status ? status : smla_buffer_printf(out, "/%s", name);
}

/* Counts the files of a folder; those of tmp/ that are old go. */
static snapmla_status walk_folder(const char *sub, int is_temporary, int dry, smla_sweep *out) {
  smla_store_names names = {0};
  smla_buffer path = {0};
  struct stat info;
  snapmla_status status = smla_store_list(sub, "", &names);
  for (size_t i = 0; i < names.count && !status; i++) {
    status = path_in(sub, names.items[i], &path);
    if (status || lstat(path.data, &info)) continue;
    out->files++;
    out->bytes += info.st_size;
    if (is_temporary && time(NULL) - info.st_mtime > ABANDONED_AFTER) {
      int64_t before = out->removed_files;
      remove_counted(path.data, dry, info.st_size, out);
      out->abandoned += out->removed_files - before;
    }
  }
  smla_buffer_free(&path);
  smla_store_names_free(&names);
  return status;
}

static kernel *kernel_of(kernels *all, const char *path) {
  size_t stem = strlen(path) - strlen(strrchr(path, '.'));
  if (all->count) {
    kernel *last = &all->items[all->count - 1]; /* names are sorted: a kernel's files are neighbours */
    const char *known = last->manifest ? last->manifest : last->image;
    if (!strncmp(known, path, stem) && known[stem] == '.') return last;
  }
  kernel *grown = realloc(all->items, (all->count + 1) * sizeof *grown);
  if (!grown) return NULL;
  all->items = grown;
  grown[all->count] = (kernel){0};
  return &grown[all->count++];
}

static snapmla_status add_file(kernels *all, const char *path, smla_sweep *out) {
  struct stat info;
  const char *dot = strrchr(path, '.');
  if (!dot || strchr(dot, '/') || lstat(path, &info)) return SNAPMLA_OK;
  kernel *k = kernel_of(all, path);
  char *copy = k ? strdup(path) : NULL;
  if (!copy) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a list of the store");
  char **slot = strcmp(dot, ".json") ? &k->image : &k->manifest;
  free(*slot);
  *slot = copy;
  k->bytes += info.st_size;
  if (info.st_mtime > k->used) k->used = info.st_mtime;
  out->files++;
  out->bytes += info.st_size;
  return SNAPMLA_OK;
}

static snapmla_status list_kernels(kernels *all, smla_sweep *out) {
  smla_store_names folders = {0};
  smla_buffer path = {0};
  snapmla_status status = smla_store_list("obj", "/", &folders);
  for (size_t f = 0; f < folders.count && !status; f++) {
    smla_store_names files = {0};
    char sub[300];
    snprintf(sub, sizeof sub, "obj/%s", folders.items[f]);
    status = smla_store_list(sub, "", &files);
    for (size_t i = 0; i < files.count && !status; i++) {
      status = path_in(sub, files.items[i], &path);
      if (!status) status = add_file(all, path.data, out);
    }
    smla_store_names_free(&files);
  }
  smla_buffer_free(&path);
  smla_store_names_free(&folders);
  return status;
}

static int by_use(const void *a, const void *b) {
  const kernel *x = a, *y = b;
  if (x->used != y->used) return x->used < y->used ? -1 : 1;
  return strcmp(x->manifest ? x->manifest : x->image, y->manifest ? y->manifest : y->image);
}

static void evict(kernels *all, int64_t limit, int dry, smla_sweep *out) {
  if (all->count) qsort(all->items, all->count, sizeof *all->items, by_use);
  for (size_t i = 0; i < all->count && out->bytes - out->removed_bytes > limit; i++) {
    kernel *k = &all->items[i];
    int64_t before = out->removed_files;
    if (k->manifest) remove_counted(k->manifest, dry, 0, out);
    if (k->image) remove_counted(k->image, dry, 0, out);
    if (out->removed_files > before) out->removed_bytes += k->bytes;
  }
}

snapmla_status smla_store_sweep(int64_t limit, int dry, smla_sweep *out) {
  static const char *const small[] = {"neg", "quarantine", "lock"};
  kernels all = {0};
  smla_sweep sweep = {0};
  snapmla_status status = walk_folder("tmp", 1, dry, &sweep);
  for (size_t i = 0; i < sizeof small / sizeof *small && !status; i++) status = walk_folder(small[i], 0, dry, &sweep);
  if (!status) status = list_kernels(&all, &sweep);
  if (!status) evict(&all, limit, dry, &sweep);
  for (size_t i = 0; i < all.count; i++) {
    free(all.items[i].manifest);
    free(all.items[i].image);
  }
  free(all.items);
  if (!status) *out = sweep;
  return status;
}

void smla_store_touch(const char *sub, const char *name) {
  smla_buffer path = {0};
  struct stat info;
  if (!path_in(sub, name, &path) && !lstat(path.data, &info) && time(NULL) - info.st_mtime > TOUCHED_AFTER)
    (void)utimensat(AT_FDCWD, path.data, NULL, AT_SYMLINK_NOFOLLOW);
  smla_buffer_free(&path);
}
