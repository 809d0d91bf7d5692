/* The effective template files: the embedded ones, file by file replaced or joined by those of a directory.
 *
 * A snapshot taken at creation; afterwards nothing reads the disk. Immutable but for the memo, hence thread-safe. */
#ifndef SMLA_GENERATOR_STORE_H
#define SMLA_GENERATOR_STORE_H

#include <stddef.h>

#include <snapmla/status.h>

#include "memo.h"

typedef struct smla_template_file {
  const char *path; /* below templates/, '/' between folders: "mla_decode/space.lua" */
  const char *text; /* not necessarily NUL-terminated */
  size_t length;
} smla_template_file;

/* Written at build time by embed.cmake; sorted by path. */
extern const smla_template_file smla_embedded_templates[];
extern const size_t smla_embedded_template_count;

enum {
  SMLA_STORE_MAX_FILES = 4096,
  SMLA_STORE_MAX_FILE_BYTES = 4 << 20,
  SMLA_STORE_MAX_DEPTH = 8,
  SMLA_NAME_MAX = 47 /* characters of a family, an axis or a quantity */
};

typedef struct smla_store {
  smla_template_file *files; /* sorted by path (bytes); owned, with every path and text */
  size_t count, capacity;
  smla_memo
      *chunks; /* what Lua files were compiled to, for later states; owned, NULL before smla_generator_make is done */
} smla_store;

/* Adds a file, or replaces the text of the one of that path: both texts are copied.
 * Errors: BAD_FORMAT (a path that is not plain), OUT_OF_MEMORY. */
snapmla_status smla_store_put(smla_store *store, const char *path, const char *text, size_t length);
/* Every template file below a directory, by smla_store_put. Errors: NOT_FOUND, IO, BAD_FORMAT, OUT_OF_MEMORY. */
snapmla_status smla_store_read_directory(smla_store *store, const char *directory);
void smla_store_free(smla_store *store);

/* The index of a path, or -1. */
long smla_store_find(const smla_store *store, const char *path);
/* Nonzero: what is expanded for `family` may read the file of that path: it lies in the family's own folder, or in one that is no
 * family's (has no space.lua). So the files that a family's kernels depend on are known without expanding any. */
int smla_store_may_read(const smla_store *store, const char *family, const char *path);
/* Nonzero: a family, an axis, a quantity or an entry symbol may have this name: [a-z][a-z0-9_]*, at most SMLA_NAME_MAX. */
int smla_name_is_plain(const char *name);
/* Nonzero: letters, digits and "._-" between single slashes, no component that begins with a dot. */
int smla_path_is_plain(const char *path);

#endif
