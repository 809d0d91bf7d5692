/* Keeps the store within its size: what was used longest ago goes first. */
#ifndef SMLA_AUTOTUNE_STORE_SWEEP_H
#define SMLA_AUTOTUNE_STORE_SWEEP_H

#include <stdint.h>

#include <snapmla/status.h>

typedef struct smla_sweep {
  int64_t files, bytes; /* found */
  int64_t removed_files, removed_bytes;
  int64_t abandoned; /* of those, files that a killed process left in tmp/ */
} smla_sweep;

enum { SMLA_STORE_LIMIT_DEFAULT_MB = 4096 };

/* The limit in bytes: SNAPMLA_CACHE_LIMIT (MiB), else 4 GiB. */
int64_t smla_store_limit(void);

/* Removes what was abandoned for an hour, and compiled kernels, least recently used first, until the store has at most
 * `limit` bytes (0: all kernels go). A kernel's manifest goes before its image, so that no reader is misled. Measurements are
 * small and stay. `dry`: only counts. Errors: as smla_store_folder; a file that cannot be removed is left and not counted. */
snapmla_status smla_store_sweep(int64_t limit, int dry, smla_sweep *out);

/* Marks a kernel as used now, at most once a day, that a warm start does not write. Failures do not matter. */
void smla_store_touch(const char *sub, const char *name);

#endif
