/* Marks that last: a kernel that does not compile (neg/) and a variant that crashed, hung or lied (quarantine/). A mark keeps
 * it from being tried again until it is released. Thread-safe, also between processes. */
#ifndef SMLA_AUTOTUNE_TUNE_MARK_H
#define SMLA_AUTOTUNE_TUNE_MARK_H

#include <stddef.h>

#include <snapmla/status.h>

#include "hash.h"

typedef enum smla_mark_kind { SMLA_MARK_NEG, SMLA_MARK_QUARANTINE } smla_mark_kind;

typedef struct smla_mark {
  char key[SMLA_HASH_HEX];       /* neg: the artifact's; quarantine: smla_mark_key's */
  char *variant, *fate, *reason; /* fate: "crashed", "hung", "wrong", "does not compile"; owned */
  char *device;                  /* class on which it happened; "" of a compilation */
} smla_mark;

typedef struct smla_marks {
  smla_mark *items;
  size_t count;
} smla_marks;

/* The key of a quarantined variant: it, its target, the templates' digest and the device class. */
void smla_mark_key(const char *variant, const char *target, const char *templates, const char *device,
                   char key[SMLA_HASH_HEX]);

/* Errors: NOT_FOUND; those of smla_store_read_file; BAD_FORMAT. smla_mark_clear frees what *out owns. */
snapmla_status smla_mark_read(smla_mark_kind kind, const char *key, smla_mark *out);
void smla_mark_clear(smla_mark *mark);

/* Texts may be cut. Errors: those of smla_store_publish. */
snapmla_status smla_mark_write(smla_mark_kind kind, const char *key, const char *variant, const char *device,
                               const char *fate, const char *reason);

/* All marks; malformed ones are skipped, and said. */
snapmla_status smla_mark_list(smla_mark_kind kind, smla_marks *out);
void smla_marks_free(smla_marks *marks);

/* Releases one, or all where `key` is NULL. *released counts. */
snapmla_status smla_mark_release(smla_mark_kind kind, const char *key, size_t *released);

#endif
