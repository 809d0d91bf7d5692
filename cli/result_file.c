#include "result_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <snapmla/source.h>

#include "console.h"
#include "narrow.h"
#include "output_file.h"
#include "tensor.h"

enum { OWN_PAIRS = 6 };

static int ends_with(const char *text, const char *end) {
  size_t length = strlen(text), tail = strlen(end);
  return length > tail && !strcmp(text + length - tail, end);
}

static int is_safetensors(const char *path) { return ends_with(path, ".safetensors") && !smla_path_is_directory(path); }

snapmla_status smla_result_check_names(const smla_settings *settings) {
  const char *path = settings->output;
  if (settings->save_cache && !is_safetensors(settings->save_cache))
    return smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "--save-cache %.400s: give a file called *.safetensors",
                             settings->save_cache);
  if (!path || is_safetensors(path) || smla_path_is_directory(path) || path[strlen(path) - 1] == '/') return SNAPMLA_OK;
  return smla_console_fail(SNAPMLA_INVALID_ARGUMENT,
                           "-o %.400s: give FILE.safetensors, or a directory (DIRECTORY/) for out.npy and lse.npy",
                           path);
}

/* The input's metadata, and ours in place of what it says under our names; texts are borrowed. */
static smla_metadata *metadata_with(const smla_workload *work, const smla_metadata *own, size_t own_count,
                                    size_t *count) {
  smla_metadata *pairs = calloc(work->metadata_count + own_count, sizeof *pairs);
  *count = 0;
  if (!pairs) {
    smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for metadata");
    return NULL;
  }
  for (size_t i = 0; i < work->metadata_count; ++i)
    if (strncmp(work->metadata[i].key, "snapmla.", 8)) pairs[(*count)++] = work->metadata[i];
  for (size_t i = 0; i < own_count; ++i) pairs[(*count)++] = own[i];
  return pairs;
}

static snapmla_status save_safetensors(const char *path, const smla_workload *work, const smla_metadata *own,
                                       size_t own_count, const smla_tensor *tensors, size_t tensor_count) {
  size_t count;
  smla_metadata *pairs = metadata_with(work, own, own_count, &count);
  if (!pairs) return SNAPMLA_OUT_OF_MEMORY;
  snapmla_status status = smla_safetensors_write(path, tensors, tensor_count, pairs, count);
  free(pairs);
  return status;
}

/* Both are finished before the first is renamed. */
static snapmla_status save_npy(const char *directory, const smla_tensor *tensors) {
  smla_output_file files[2] = {{.fd = -1}, {.fd = -1}};
  static const char *const names[] = {"out.npy", "lse.npy"};
  snapmla_status status = smla_path_make_directory(directory);
  for (int i = 0; i < 2 && !status; ++i) {
    char *path = smla_path_join(directory, names[i]);
    status = path ? smla_output_file_open(&files[i], path) : SNAPMLA_OUT_OF_MEMORY;
    if (!status) status = smla_npy_write(&files[i], &tensors[i]);
    if (!status) status = smla_output_file_finish(&files[i]);
    free(path);
  }
  for (int i = 0; i < 2 && !status; ++i) status = smla_output_file_commit(&files[i]);
  for (int i = 0; i < 2; ++i) smla_output_file_abandon(&files[i]);
  return status;
}

snapmla_status smla_result_save(const smla_settings *settings, const smla_workload *work, const smla_outcome *outcome,
                                uint16_t *out, float *lse) {
  const snapmla_problem *p = &work->problem;
  size_t count = smla_session_out_count(work);
  float *wide = NULL;
  smla_tensor tensors[] = {{.name = (char *)"out",
                            .dtype = SMLA_DTYPE_BF16,
                            .rank = 4,
                            .bytes = count * sizeof *out,
                            .data = out,
                            .shape = {work->lengths.count, p->q_len, p->heads, p->latent_rank}},
                           {.name = (char *)"lse",
                            .dtype = SMLA_DTYPE_F32,
                            .rank = 3,
                            .bytes = smla_session_lse_count(work) * sizeof *lse,
                            .data = lse,
                            .shape = {work->lengths.count, p->heads, p->q_len}}};
  if (is_safetensors(settings->output)) {
    const smla_metadata own[] = {{(char *)"snapmla.version", (char *)snapmla_version()},
                                 {(char *)"snapmla.variant", (char *)outcome->variant},
                                 {(char *)"snapmla.device", (char *)outcome->info->name}};
    return save_safetensors(settings->output, work, own, sizeof own / sizeof *own, tensors, 2);
  }
  if (settings->npy_bf16) {
    tensors[0].dtype = SMLA_DTYPE_U16;
  } else {
    wide = malloc(count * sizeof *wide);
    if (!wide) return smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for the result as float32");
    for (size_t i = 0; i < count; ++i) wide[i] = smla_widen_bf16(out[i]);
    tensors[0].dtype = SMLA_DTYPE_F32;
    tensors[0].data = wide;
    tensors[0].bytes = count * sizeof *wide;
  }
  snapmla_status status = save_npy(settings->output, tensors);
  free(wide);
  return status;
}

snapmla_status smla_result_save_cache(const smla_settings *settings, const smla_session *session) {
  const smla_workload *work = session->work;
  const snapmla_problem *p = &work->problem;
  size_t entries = (size_t)work->lengths.count * (size_t)work->table_stride;
  size_t stride = (size_t)work->page_stride, pages = (size_t)work->num_pages;
  snapmla_status status = SNAPMLA_OK;
  uint8_t *kv = malloc(pages * stride);
  int32_t *table = malloc(entries * sizeof *table);
  if (!kv || !table) {
    status = smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: %zu pages to save", pages);
    goto out;
  }
  for (size_t i = 0; i < pages && !status; ++i) status = smla_session_read_page(session, (int64_t)i, kv + i * stride);
  if (status) goto out;
  for (int32_t b = 0; b < work->lengths.count; ++b) {
    int64_t used = (work->lengths.items[b] + (int64_t)p->page_tokens - 1) / p->page_tokens;
    for (int64_t i = 0; i < work->table_stride; ++i) {
      size_t at = (size_t)(b * work->table_stride + i);
      table[at] = i < used ? work->block_table[at] : -1;
    }
  }
  const smla_tensor tensors[] = {{.name = (char *)"kv",
                                  .dtype = SMLA_DTYPE_U8,
                                  .rank = 2,
                                  .shape = {work->num_pages, work->page_stride},
                                  .bytes = pages * stride,
                                  .data = kv},
                                 {.name = (char *)"block_table",
                                  .dtype = SMLA_DTYPE_I32,
                                  .rank = 2,
                                  .shape = {work->lengths.count, work->table_stride},
                                  .bytes = entries * sizeof *table,
                                  .data = table},
                                 {.name = (char *)"seqlens",
                                  .dtype = SMLA_DTYPE_I32,
                                  .rank = 1,
                                  .shape = {work->lengths.count},
                                  .bytes = (size_t)work->lengths.count * sizeof(int32_t),
                                  .data = work->lengths.items}};
  char page[16], rank[16], dim[16];
  snprintf(page, sizeof page, "%d", p->page_tokens);
  snprintf(rank, sizeof rank, "%d", p->latent_rank);
  snprintf(dim, sizeof dim, "%d", p->rope_dim);
  const smla_metadata own[OWN_PAIRS] = {{(char *)"snapmla.version", (char *)snapmla_version()},
                                        {(char *)"snapmla.fingerprint", (char *)work->layout.fingerprint},
                                        {(char *)"snapmla.format", (char *)snapmla_kv_format_name(p->kv_format)},
                                        {(char *)"snapmla.page", page},
                                        {(char *)"snapmla.latent", rank},
                                        {(char *)"snapmla.rope", dim}};
  status = save_safetensors(settings->save_cache, work, own, OWN_PAIRS, tensors, 3);
out:
  free(kv);
  free(table);
  return status;
}
