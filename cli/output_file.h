/* Files written whole or not at all: beside the target, synced, renamed. What is no regular file (a pipe, a device) is written
 * straight to. */
#ifndef SMLA_CLI_OUTPUT_FILE_H
#define SMLA_CLI_OUTPUT_FILE_H

#include <stddef.h>

#include <snapmla/status.h>

typedef struct smla_output_file smla_output_file;
struct smla_output_file {
  char *path;    /* the target; owned */
  char *partial; /* what is written until the commit; owned; NULL where the target itself is written to */
  int fd;
};

/* Opens a new file beside `path`. Errors: IO, OUT_OF_MEMORY. On failure `file` needs no abandon. */
snapmla_status smla_output_file_open(smla_output_file *file, const char *path);
snapmla_status smla_output_file_write(smla_output_file *file, const void *data, size_t bytes);
/* Syncs and closes what was written; it may still be abandoned. Two files that belong together are both finished before
 * the first is committed. */
snapmla_status smla_output_file_finish(smla_output_file *file);
/* Finishes and renames onto the target. On failure nothing is left behind; `file` is released either way. */
snapmla_status smla_output_file_commit(smla_output_file *file);
/* Removes what was written. Harmless on a { 0 } or released file. */
void smla_output_file_abandon(smla_output_file *file);

/* From now on SIGINT, SIGTERM and SIGHUP remove what is unfinished before they end the program. */
void smla_output_file_remove_on_signal(void);

/* The whole in one call. */
snapmla_status smla_output_file_save(const char *path, const void *data, size_t bytes);

/* Nonzero if `path` is an existing directory. */
int smla_path_is_directory(const char *path);
/* Makes `path` a directory, with its parents, unless it is one. Errors: IO, OUT_OF_MEMORY. */
snapmla_status smla_path_make_directory(const char *path);
/* "directory/name", owned by the caller; NULL only when memory is short, with the reason set. */
char *smla_path_join(const char *directory, const char *name);

#endif
