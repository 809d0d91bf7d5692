/* Reads an overriding template directory. Files that are not template files (by their suffix) and hidden ones are
 * passed over, so that notes and an editor's leftovers do no harm. */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "buffer.h"
#include "file.h"
#include "status.h"
#include "store.h"

static int is_template_name(const char *name) {
  static const char *const suffixes[] = {".lua", ".tmpl", ".inc", ".h"};
  size_t length = strlen(name);
  for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; ++i) {
    size_t suffix = strlen(suffixes[i]);
    if (length > suffix && !strcmp(name + length - suffix, suffixes[i])) return 1;
  }
  return 0;
}

/* `path` is the file's place on disk, `name` its place below the root. */
static snapmla_status read_file(smla_store *store, const char *path, const char *name) {
  smla_buffer text = {0};
  snapmla_status status = smla_file_read(path, SMLA_STORE_MAX_FILE_BYTES, &text);
  if (!status) status = smla_store_put(store, name, text.data ? text.data : "", text.length);
  smla_buffer_free(&text);
  return status;
}

static snapmla_status read_folder(smla_store *store, smla_buffer *path, size_t root, int depth);

/* One entry of the folder that `path` names: `path` is extended for the while. */
static snapmla_status read_entry(smla_store *store, smla_buffer *path, size_t root, const char *entry, int depth) {
  size_t before = path->length;
  snapmla_status status = smla_buffer_printf(path, "/%s", entry);
  if (status) return status;
  struct stat about;
  if (stat(path->data, &about) == 0) {
    if (S_ISDIR(about.st_mode))
      status = read_folder(store, path, root, depth + 1);
    else if (S_ISREG(about.st_mode) && is_template_name(entry))
      status = read_file(store, path->data, path->data + root + 1);
  } else if (is_template_name(entry)) {
    status = smla_fail(SNAPMLA_IO, "template file '%s': %s", path->data, strerror(errno));
  }
  path->length = before;
  path->data[before] = 0;
  return status;
}

static snapmla_status read_folder(smla_store *store, smla_buffer *path, size_t root, int depth) {
  if (depth > SMLA_STORE_MAX_DEPTH)
    return smla_fail(SNAPMLA_BAD_FORMAT, "template folder '%s': deeper than %d folders (a link to itself?)", path->data,
                     SMLA_STORE_MAX_DEPTH);
  DIR *folder = opendir(path->data);
  if (!folder)
    return smla_fail(errno == ENOENT || errno == ENOTDIR ? SNAPMLA_NOT_FOUND : SNAPMLA_IO,
                     "template folder '%s': %s; name an existing, readable folder", path->data, strerror(errno));
  snapmla_status status = SNAPMLA_OK;
  while (!status) {
    errno = 0;
    struct dirent *entry = readdir(folder);
    if (!entry) {
      if (errno) status = smla_fail(SNAPMLA_IO, "template folder '%s': %s", path->data, strerror(errno));
      break;
    }
    if (entry->d_name[0] != '.') status = read_entry(store, path, root, entry->d_name, depth);
  }
  closedir(folder);
  return status;
}

snapmla_status smla_store_read_directory(smla_store *store, const char *directory) {
  smla_buffer path = {0};
  snapmla_status status = smla_buffer_append_text(&path, directory);
  if (!status) status = read_folder(store, &path, path.length, 0);
  smla_buffer_free(&path);
  return status;
}
