/* Measurements in the store: tune/<device>/<problem>/<key>.json, one per file, so that writers never meet. Every failure is
 * the store's alone: callers say it and go on from memory. Thread-safe, also between processes. */
#ifndef SMLA_AUTOTUNE_TUNE_STORE_H
#define SMLA_AUTOTUNE_TUNE_STORE_H

#include <stddef.h>

#include <snapmla/status.h>

#include "wisdom.h"

/* Adds the stored measurements that `selector` (NULL: all) matches to `out`. A file that is malformed, misplaced or not the
 * user's own is skipped, and said. Errors: UNSUPPORTED, IO (the folders), OUT_OF_MEMORY; what was read before stays. */
snapmla_status smla_tune_store_read(const smla_wisdom_selector *selector, smla_measurements *out);

/* Publishes what a search has just measured; where the store has it already, what smla_measurement_renew makes of the two.
 * Errors: as smla_store_publish. */
snapmla_status smla_tune_store_write(const smla_measurement *measurement);

/* Publishes all or none: on a failure, what was new is removed again, and what was replaced is restored. *written: how many
 * were new or better. Errors: as smla_store_publish. */
snapmla_status smla_tune_store_import(const smla_measurements *list, size_t *written);

/* Removes the measurements that match. Errors: as smla_tune_store_read; IO. */
snapmla_status smla_tune_store_forget(const smla_wisdom_selector *selector, size_t *removed);

#endif
