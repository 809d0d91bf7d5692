/* Files and directories: whole-file reads, writes that appear at once or not at all, private directories, and the checks
 * that what is loaded as code belongs to the user. Thread-safe for distinct paths. */
#ifndef SMLA_UTIL_FILE_H
#define SMLA_UTIL_FILE_H

#include <stddef.h>

#include <snapmla/status.h>

#include "buffer.h"

/* Appends the whole of a regular file to `out`, which is unchanged on failure.
 * Errors: NOT_FOUND, INVALID_ARGUMENT (longer than `limit` bytes, or not a regular file), IO, OUT_OF_MEMORY. */
snapmla_status smla_file_read(const char *path, size_t limit, smla_buffer *out);

/* Publishes a file: written beside its place under a private name, flushed to the disk, renamed. A reader sees the old
 * file, or none, or the whole new one. `mode` as for chmod, e.g. 0600. The directory must exist. Errors: IO (out of
 * space, read-only, …; nothing is left behind), OUT_OF_MEMORY. */
snapmla_status smla_file_write(const char *path, const void *data, size_t length, unsigned mode);

/* The same, the private name being `aside` and six characters: a path on the same file system, so that what a killed process
 * leaves lies where it is looked for. */
snapmla_status smla_file_write_aside(const char *aside, const char *path, const void *data, size_t length,
                                     unsigned mode);

/* The steps of a publication, numbered from 1; for tests, which end the process at one. */
enum {
  SMLA_FILE_CREATED = 1, /* under its private name, empty */
  SMLA_FILE_HALF_WRITTEN = 2,
  SMLA_FILE_WRITTEN = 3,
  SMLA_FILE_FLUSHED = 4,
  SMLA_FILE_PUBLISHED = 5, /* renamed, its directory not flushed */
  SMLA_FILE_STEPS = 5
};
/* Called at each step, if set; NULL outside of tests. */
extern void (*smla_file_step_hook)(int step, const char *path);

/* 1 where something (also a dangling link) has this name. */
int smla_file_exists(const char *path);

/* Makes a directory and those above it that are missing, all 0700; existing ones stay as they are. Error: IO. */
snapmla_status smla_file_make_directory(const char *path);

/* Makes a fresh 0700 directory in TMPDIR (or /tmp), named <prefix>-XXXXXX, and appends its path to `out`.
 * Errors: IO, OUT_OF_MEMORY. */
snapmla_status smla_file_make_temporary(const char *prefix, smla_buffer *out);

/* Removes a directory and what is in it; links are removed, not followed. Something missing is fine.
 * Errors: INVALID_ARGUMENT ("" and "/"), IO. */
snapmla_status smla_file_remove_tree(const char *path);

/* Checks that a regular file and the directory it lies in may be trusted as code: neither is a link, both belong to this
 * user (or to root), and nobody else may write to them. Errors: NOT_FOUND, UNSUPPORTED (what is wrong, and the remedy). */
snapmla_status smla_file_check_private(const char *path);

#endif
