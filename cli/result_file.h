/* Results and caches that are taken away. */
#ifndef SMLA_CLI_RESULT_FILE_H
#define SMLA_CLI_RESULT_FILE_H

#include <stdint.h>

#include <snapmla/status.h>

#include "outcome.h"
#include "session.h"

/* Checks the names of -o and --save-cache before anything is run. Error: INVALID_ARGUMENT. */
snapmla_status smla_result_check_names(const smla_settings *settings);
/* Writes out and lse of the last step to -o: FILE.safetensors, or out.npy and lse.npy in a directory. In .npy files
 * bf16 is float32, or with --npy-bf16 its bits as uint16. Both files appear or neither. */
snapmla_status smla_result_save(const smla_settings *settings, const smla_workload *work, const smla_outcome *outcome,
                                uint16_t *out, float *lse);
/* Writes kv, block_table (-1 past a length) and seqlens as the device holds them after the last step. */
snapmla_status smla_result_save_cache(const smla_settings *settings, const smla_session *session);

#endif
