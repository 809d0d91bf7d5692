/* The store's folders on disk: where they are, whether they may be trusted, and how a file appears in them.
 *
 *   <root>/v1/obj/ab/            compiled kernels (runtime/artifact_store.h)
 *   <root>/v1/tune/<device>/<problem>/<key>.json   one measurement per file
 *   <root>/v1/neg/<key>.json     kernels that do not compile
 *   <root>/v1/quarantine/<key>.json   variants that crashed, hung or lied
 *   <root>/v1/tmp/               files being written; what is left there was abandoned
 *   <root>/v1/lock/              one file per kernel being compiled
 *
 * What the store holds is code, or decides which code runs: a folder counts only if it and those above it up to the root are no
 * links, are the user's own, and nobody else may write to them. Thread-safe, also between processes. */
#ifndef SMLA_AUTOTUNE_STORE_FOLDER_H
#define SMLA_AUTOTUNE_STORE_FOLDER_H

#include <stddef.h>

#include <snapmla/status.h>

#include "buffer.h"

/* Appends the cache directory: SNAPMLA_CACHE_DIR, else $XDG_CACHE_HOME/snapmla, else ~/.cache/snapmla.
 * Error: NOT_FOUND (none of them is set). */
snapmla_status smla_store_root(smla_buffer *out);

enum {
  SMLA_STORE_OWN = 1, /* folders and files must be this user's; else root's will do too, which nobody can change */
  SMLA_STORE_MAKE = 2 /* folders that are missing are made, 0700 */
};

/* Appends the path <root>/v1/<sub> ("" for the version's folder) after checking each folder on the way.
 * Errors: NOT_FOUND (not there), UNSUPPORTED (not to be trusted, with the remedy), IO, OUT_OF_MEMORY. */
snapmla_status smla_store_folder(const char *sub, int flags, smla_buffer *out);

/* Appends the content of <root>/v1/<sub>/<name>. Errors: as smla_store_folder, for the file too; INVALID_ARGUMENT (longer
 * than `limit`). */
snapmla_status smla_store_read_file(const char *sub, const char *name, int flags, size_t limit, smla_buffer *out);

/* Publishes <root>/v1/<sub>/<name>, 0600: written in tmp/, flushed, renamed. Errors: as smla_store_folder. */
snapmla_status smla_store_publish(const char *sub, const char *name, int flags, const void *data, size_t length);

/* Removes the file; one that is not there is fine. Error: IO. */
snapmla_status smla_store_remove(const char *sub, const char *name);

/* Names in <root>/v1/<sub> that end in `suffix`, sorted: folders where it is "/". Freed with smla_store_names_free. A folder
 * that is missing has none. */
typedef struct smla_store_names {
  char **items;
  size_t count;
} smla_store_names;
snapmla_status smla_store_list(const char *sub, const char *suffix, smla_store_names *out);
void smla_store_names_free(smla_store_names *names);

#endif
