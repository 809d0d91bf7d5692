/* The tensors that the command line names, found, read and converted. */
#ifndef SMLA_CLI_INPUT_TENSORS_H
#define SMLA_CLI_INPUT_TENSORS_H

#include <stdint.h>

#include <snapmla/status.h>

#include "settings.h"
#include "tensor.h"

typedef enum smla_input {
  SMLA_INPUT_Q_NOPE,
  SMLA_INPUT_Q_ROPE,
  SMLA_INPUT_LATENT,
  SMLA_INPUT_ROPE,
  SMLA_INPUT_SEQLENS,
  SMLA_INPUT_KV,
  SMLA_INPUT_BLOCK_TABLE,
  SMLA_INPUT_COUNT
} smla_input;

typedef struct smla_input_tensors {
  smla_tensor_file main;                    /* --input */
  smla_tensor_file files[SMLA_INPUT_COUNT]; /* of one tensor each */
  smla_tensor_file *from[SMLA_INPUT_COUNT]; /* the file that each comes from, NULL: not given */
  smla_tensor *tensors[SMLA_INPUT_COUNT];
  int npy_bf16;
} smla_input_tensors;

/* Nonzero if the settings name a tensor file. */
int smla_input_tensors_given(const smla_settings *settings);
/* Opens the files and checks each tensor's number of dimensions. On failure close is harmless.
 * Errors: NOT_FOUND, IO, BAD_FORMAT, OUT_OF_MEMORY. */
snapmla_status smla_input_tensors_open(const smla_settings *settings, smla_input_tensors *out);
void smla_input_tensors_close(smla_input_tensors *inputs);

/* "FILE, tensor NAME: …" as a BAD_FORMAT. */
snapmla_status smla_input_bad(const smla_input_tensors *inputs, smla_input which, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The data as bf16, owned by the caller; F16 and F32 are rounded, with a note. What is not finite is refused. */
snapmla_status smla_input_bf16(smla_input_tensors *inputs, smla_input which, uint16_t **out);
/* The data of I32 or I64 as int32, owned by the caller; what does not fit is refused. */
snapmla_status smla_input_int32(smla_input_tensors *inputs, smla_input which, int32_t **out);
/* The data of U8, owned by the caller. */
snapmla_status smla_input_bytes(smla_input_tensors *inputs, smla_input which, uint8_t **out);

#endif
