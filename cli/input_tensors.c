#include "input_tensors.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "console.h"
#include "narrow.h"

static const struct {
  const char *name, *shape;
  int rank;
  size_t setting; /* the option that names its own file */
} inputs_known[SMLA_INPUT_COUNT] = {
    [SMLA_INPUT_Q_NOPE] = {"q_nope", "[batch, q_len, heads, latent]", 4, offsetof(smla_settings, q_nope)},
    [SMLA_INPUT_Q_ROPE] = {"q_rope", "[batch, q_len, heads, rope]", 4, offsetof(smla_settings, q_rope)},
    [SMLA_INPUT_LATENT] = {"latent", "[tokens, latent]", 2, offsetof(smla_settings, latent_rows)},
    [SMLA_INPUT_ROPE] = {"rope", "[tokens, rope]", 2, offsetof(smla_settings, rope_rows)},
    [SMLA_INPUT_SEQLENS] = {"seqlens", "[batch]", 1, offsetof(smla_settings, seqlens)},
    [SMLA_INPUT_KV] = {"kv", "[pages, page_bytes]", 2, offsetof(smla_settings, kv)},
    [SMLA_INPUT_BLOCK_TABLE] = {"block_table", "[batch, entries]", 2, offsetof(smla_settings, block_table)},
};

static const char *own_file(const smla_settings *settings, int which) {
  return *(const char *const *)((const char *)settings + inputs_known[which].setting);
}

int smla_input_tensors_given(const smla_settings *settings) {
  int given = settings->input != NULL;
  for (int i = 0; i < SMLA_INPUT_COUNT; ++i) given |= own_file(settings, i) != NULL;
  return given;
}

snapmla_status smla_input_bad(const smla_input_tensors *inputs, smla_input which, const char *format, ...) {
  char rule[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(rule, sizeof rule, format, arguments);
  va_end(arguments);
  return smla_console_fail(SNAPMLA_BAD_FORMAT, "%s, tensor %s: %s", inputs->from[which]->path, inputs_known[which].name,
                           rule);
}

/* Says which tensors of --input nobody asked for: a misspelt name must not pass in silence. */
static snapmla_status match_main(smla_input_tensors *inputs) {
  int found = 0;
  for (size_t i = 0; i < inputs->main.tensor_count; ++i) {
    int which = 0;
    while (which < SMLA_INPUT_COUNT && strcmp(inputs_known[which].name, inputs->main.tensors[i].name)) ++which;
    if (which == SMLA_INPUT_COUNT) {
      smla_console_note("%s: tensor %.80s is not used", inputs->main.path, inputs->main.tensors[i].name);
      continue;
    }
    inputs->from[which] = &inputs->main;
    inputs->tensors[which] = &inputs->main.tensors[i];
    ++found;
  }
  if (found) return SNAPMLA_OK;
  return smla_console_fail(
      SNAPMLA_BAD_FORMAT,
      "%s has none of the tensors q_nope, q_rope, latent, rope, seqlens, kv, block_table: a .npy file is "
      "given with --q-nope and so on",
      inputs->main.path);
}

snapmla_status smla_input_tensors_open(const smla_settings *settings, smla_input_tensors *out) {
  snapmla_status status = SNAPMLA_OK;
  *out = (smla_input_tensors){.main.fd = -1, .npy_bf16 = settings->npy_bf16};
  for (int i = 0; i < SMLA_INPUT_COUNT; ++i) out->files[i].fd = -1;
  if (settings->input) status = smla_tensor_file_open(&out->main, settings->input, ".npy");
  if (!status && settings->input) status = match_main(out);
  for (int i = 0; i < SMLA_INPUT_COUNT && !status; ++i) {
    const char *path = own_file(settings, i);
    if (path) {
      status = smla_tensor_file_open(&out->files[i], path, inputs_known[i].name);
      if (status) break;
      out->from[i] = &out->files[i];
      out->tensors[i] = smla_tensor_file_find(&out->files[i], inputs_known[i].name);
      if (!out->tensors[i])
        status = smla_console_fail(SNAPMLA_BAD_FORMAT, "%s has no tensor %s", path, inputs_known[i].name);
    }
    if (!status && out->tensors[i] && out->tensors[i]->rank != inputs_known[i].rank) {
      char shape[128];
      status = smla_input_bad(out, (smla_input)i, "its shape is %s, it should be %s",
                              smla_tensor_shape_text(out->tensors[i], shape, sizeof shape), inputs_known[i].shape);
    }
  }
  if (status) smla_input_tensors_close(out);
  return status;
}

void smla_input_tensors_close(smla_input_tensors *inputs) {
  smla_tensor_file_close(&inputs->main);
  for (int i = 0; i < SMLA_INPUT_COUNT; ++i) smla_tensor_file_close(&inputs->files[i]);
}

/* Hands a loaded tensor's data over; a block even for a tensor of no bytes, so that NULL means "not given". */
static snapmla_status take_data(smla_input_tensors *inputs, smla_input which, void **out) {
  smla_tensor *tensor = inputs->tensors[which];
  snapmla_status status = smla_tensor_load(inputs->from[which], tensor);
  if (status) return status;
  *out = tensor->data ? tensor->data : malloc(1);
  tensor->data = NULL;
  return *out ? SNAPMLA_OK : smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for an empty tensor");
}

/* Element i of a tensor of F16 or F32, rounded. */
static uint16_t narrowed(smla_dtype dtype, const void *data, size_t i) {
  return smla_narrow_bf16(dtype == SMLA_DTYPE_F32 ? ((const float *)data)[i]
                                                  : smla_widen_f16(((const uint16_t *)data)[i]));
}

snapmla_status smla_input_bf16(smla_input_tensors *inputs, smla_input which, uint16_t **out) {
  const smla_tensor *tensor = inputs->tensors[which];
  smla_dtype dtype = tensor->dtype;
  void *data = NULL;
  int as_is = dtype == SMLA_DTYPE_BF16 || (dtype == SMLA_DTYPE_U16 && inputs->npy_bf16);
  if (!as_is && dtype != SMLA_DTYPE_F16 && dtype != SMLA_DTYPE_F32)
    return smla_input_bad(inputs, which, "its dtype is %s: give BF16, F16 or F32%s", smla_dtype_name(dtype),
                          dtype == SMLA_DTYPE_U16 ? ", or say --npy-bf16 if it holds the bits of bf16" : "");
  size_t count = tensor->bytes / smla_dtype_bytes(dtype);
  snapmla_status status = take_data(inputs, which, &data);
  if (status) return status;
  *out = data;
  if (!as_is && count) {
    *out = malloc(count * sizeof **out);
    if (!*out) {
      free(data);
      return smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: %zu elements of %s", count,
                               inputs_known[which].name);
    }
    smla_console_note("%s: tensor %s is rounded from %s to bf16", inputs->from[which]->path, inputs_known[which].name,
                      smla_dtype_name(dtype));
    for (size_t i = 0; i < count; ++i) (*out)[i] = narrowed(dtype, data, i);
    free(data);
  }
  for (size_t i = 0; i < count && !status; ++i)
    if (((*out)[i] & 0x7f80) == 0x7f80)
      status = smla_input_bad(inputs, which, "element %zu is infinite or not a number%s: all must be finite in bf16", i,
                              as_is ? "" : ", or too large");
  if (status) {
    free(*out);
    *out = NULL;
  }
  return status;
}

snapmla_status smla_input_int32(smla_input_tensors *inputs, smla_input which, int32_t **out) {
  const smla_tensor *tensor = inputs->tensors[which];
  void *data = NULL;
  if (tensor->dtype != SMLA_DTYPE_I32 && tensor->dtype != SMLA_DTYPE_I64)
    return smla_input_bad(inputs, which, "its dtype is %s: give I32 or I64", smla_dtype_name(tensor->dtype));
  size_t count = tensor->bytes / smla_dtype_bytes(tensor->dtype);
  snapmla_status status = take_data(inputs, which, &data);
  if (status) return status;
  if (tensor->dtype == SMLA_DTYPE_I32) {
    *out = data;
    return SNAPMLA_OK;
  }
  const int64_t *wide = data;
  *out = malloc((count + 1) * sizeof **out);
  if (!*out) status = smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: %zu integers", count);
  for (size_t i = 0; i < count && !status; ++i) {
    if (wide[i] < INT32_MIN || wide[i] > INT32_MAX)
      status = smla_input_bad(inputs, which, "element %zu is %" PRId64 ": 32 bits are read", i, wide[i]);
    else
      (*out)[i] = (int32_t)wide[i];
  }
  free(data);
  if (status) {
    free(*out);
    *out = NULL;
  }
  return status;
}

snapmla_status smla_input_bytes(smla_input_tensors *inputs, smla_input which, uint8_t **out) {
  const smla_tensor *tensor = inputs->tensors[which];
  void *data = NULL;
  if (tensor->dtype != SMLA_DTYPE_U8)
    return smla_input_bad(inputs, which, "its dtype is %s: page images are U8", smla_dtype_name(tensor->dtype));
  snapmla_status status = take_data(inputs, which, &data);
  *out = data;
  return status;
}
