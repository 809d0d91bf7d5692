#include "store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "status.h"

static int is_lower(char c) { return c >= 'a' && c <= 'z'; }
static int is_digit(char c) { return c >= '0' && c <= '9'; }

int smla_name_is_plain(const char *name) {
  if (!is_lower(name[0])) return 0;
  size_t length = 1;
  for (; name[length]; ++length)
    if (length >= SMLA_NAME_MAX || !(is_lower(name[length]) || is_digit(name[length]) || name[length] == '_')) return 0;
  return 1;
}

int smla_path_is_plain(const char *path) {
  int at_start = 1;
  for (const char *p = path; *p; ++p) {
    if (*p == '/') {
      if (at_start) return 0;
      at_start = 1;
      continue;
    }
    int plain = is_lower(*p) || (*p >= 'A' && *p <= 'Z') || is_digit(*p) || *p == '_' || *p == '-' || *p == '.';
    if (!plain || (at_start && *p == '.')) return 0;
    at_start = 0;
  }
  return !at_start;
}

/* The first file whose path is not below `path`. */
static size_t lower_bound(const smla_store *store, const char *path) {
  size_t low = 0, high = store->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (strcmp(store->files[middle].path, path) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

long smla_store_find(const smla_store *store, const char *path) {
  size_t at = lower_bound(store, path);
  return at < store->count && !strcmp(store->files[at].path, path) ? (long)at : -1;
}

int smla_store_may_read(const smla_store *store, const char *family, const char *path) {
  const char *slash = strchr(path, '/');
  size_t length = slash ? (size_t)(slash - path) : 0;
  if (!length || length > SMLA_NAME_MAX) return 1; /* in no folder, or in one that no family may have */
  if (!strncmp(path, family, length) && !family[length]) return 1;
  char space[SMLA_NAME_MAX + 16];
  snprintf(space, sizeof space, "%.*s/space.lua", (int)length, path);
  return smla_store_find(store, space) < 0;
}

static char *copy_of(const char *data, size_t length) {
  char *copy = malloc(length + 1);
  if (!copy) return NULL;
  if (length) memcpy(copy, data, length);
  copy[length] = 0;
  return copy;
}

snapmla_status smla_store_put(smla_store *store, const char *path, const char *text, size_t length) {
  if (!smla_path_is_plain(path))
    return smla_fail(SNAPMLA_BAD_FORMAT, "template file '%.200s': a name has letters, digits and '._-' only: rename it",
                     path);
  if (length > SMLA_STORE_MAX_FILE_BYTES)
    return smla_fail(SNAPMLA_BAD_FORMAT, "template file '%s': %zu bytes, at most %d are allowed: split it", path,
                     length, SMLA_STORE_MAX_FILE_BYTES);
  size_t at = lower_bound(store, path);
  int present = at < store->count && !strcmp(store->files[at].path, path);
  if (!present && store->count == SMLA_STORE_MAX_FILES)
    return smla_fail(SNAPMLA_BAD_FORMAT, "template file '%s': more than %d template files", path, SMLA_STORE_MAX_FILES);
  if (!present && store->count == store->capacity) {
    size_t capacity = store->capacity ? 2 * store->capacity : 64;
    smla_template_file *files = realloc(store->files, capacity * sizeof *files);
    if (!files) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a table of %zu template files", capacity);
    store->files = files;
    store->capacity = capacity;
  }
  char *text_copy = copy_of(text, length);
  char *path_copy = present ? NULL : copy_of(path, strlen(path));
  if (!text_copy || (!present && !path_copy)) {
    free(text_copy);
    free(path_copy);
    return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: template file '%s' of %zu bytes", path, length);
  }
  smla_template_file *file = store->files + at;
  if (present) {
    free((char *)file->text);
  } else {
    memmove(file + 1, file, (store->count - at) * sizeof *file);
    file->path = path_copy;
    ++store->count;
  }
  file->text = text_copy;
  file->length = length;
  return SNAPMLA_OK;
}

void smla_store_free(smla_store *store) {
  if (store->chunks) smla_memo_clear(store->chunks);
  free(store->chunks);
  for (size_t i = 0; i < store->count; ++i) {
    free((char *)store->files[i].path);
    free((char *)store->files[i].text);
  }
  free(store->files);
  *store = (smla_store){0};
}
