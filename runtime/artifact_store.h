/* Compiled kernels on disk: <cache>/v1/obj/ab/<key>.cubin|.so and, published last, <key>.json; beside them <recipe>.key: the key of what a recipe
 * (runtime/recipe.h) was expanded to before. What is held is code:
 * only files of the user's own are used. A store that fails is gone without; the callers never fail for it.
 * Thread-safe, also between processes: files appear whole or not at all, and equal keys have equal content. */
#ifndef SMLA_RUNTIME_ARTIFACT_STORE_H
#define SMLA_RUNTIME_ARTIFACT_STORE_H

#include <snapmla/status.h>

#include "hash.h"
#include "image.h"

/* Errors: NOT_FOUND (not there, the usual case), UNSUPPORTED (not the user's own), BAD_FORMAT (truncated, changed,
 * foreign), IO, OUT_OF_MEMORY. */
snapmla_status smla_store_read(snapmla_target target, const char *key, smla_image **out);

/* Notes that the kernel is in use, for the sweep; once a day at most. Failures do not matter. */
void smla_store_mark_used(const char *key);

/* Errors: NOT_FOUND, UNSUPPORTED, IO, OUT_OF_MEMORY. */
snapmla_status smla_store_write(const smla_image *image);

/* The key under which the kernel of `recipe` was stored; nothing says that it is there still. Errors: as smla_store_read. */
snapmla_status smla_store_read_key(snapmla_target target, const char *recipe, char key[SMLA_HASH_HEX]);

/* Errors: as smla_store_write. */
snapmla_status smla_store_write_key(snapmla_target target, const char *recipe, const char *key);

/* Makes the directories and writes and removes a small file, as smla_store_write would. Errors: as there. */
snapmla_status smla_store_probe(void);

#endif
