/* What the command line said, before any of it is checked against anything else. */
#ifndef SMLA_CLI_SETTINGS_H
#define SMLA_CLI_SETTINGS_H

#include <stddef.h>
#include <stdint.h>

typedef struct smla_text_list {
  const char **items; /* the array is owned, the texts are argv's */
  size_t count;
} smla_text_list;

/* The kinds of synthetic data; docs/cli.md describes them. */
typedef enum smla_data_kind {
  SMLA_DATA_NORMAL,
  SMLA_DATA_SINK,
  SMLA_DATA_UNIFORM,
  SMLA_DATA_OUTLIER,
  SMLA_DATA_KIND_COUNT
} smla_data_kind;

/* Numbers are 0 (rope: -1), reals NaN, texts NULL and choices -1 where the option was not given. */
typedef struct smla_settings {
  int help, json, progress;

  /* the problem */
  int32_t heads, q_len, latent, rope, page, batch, max_context, sparse;
  int sinks, batch_invariant;
  const char *format, *accuracy, *context, *templates, *scales;
  smla_text_list variants;

  /* a layer's */
  int32_t nope, v, hidden, layers;
  int weights, rope_pairs, output_by, layer;

  /* the device */
  const char *device;
  uint64_t seed; /* 1 unless given */
  int emulator_order;
  int32_t emulator_sms;

  /* sources and artifacts */
  const char *family, *output;
  int target, lines, list_sets;
  smla_text_list targets, device_classes; /* of export, which takes several */

  /* packs */
  const char *pack, *problems, *set, *sign, *c_source, *c_name;
  smla_text_list keys;
  int strict, allow_host_code;
  int32_t compression;
  smla_text_list operands; /* words that are no options, of a command that takes some */

  /* tuning, the model, the store */
  int effort; /* MEASURE unless given */
  double deadline, candidate_seconds;
  int32_t memory_limit, workers; /* MiB; 0: the library's default */
  const char *report;            /* an HTML file to write, or NULL */
  int in_process, again, no_write, allow_nearest, wisdom_only, deterministic, all, dry_run, csv, once;
  int32_t limit; /* MiB, -1: the configured one */
  const char *machine, *batches, *contexts, *device_class, *problem_key, *release;
  smla_text_list files;

  /* data and measurement */
  int data;
  double sigma, value_offset, softmax_scale, kv_scale, budget;
  int32_t steps, repeat, check, content, queries;
  int no_check, npy_bf16, recommend;
  const char *input, *save_cache;
  /* one .npy (or .safetensors with a tensor of that name) each */
  const char *q_nope, *q_rope, *latent_rows, *rope_rows, *seqlens, *kv, *block_table;
} smla_settings;

void smla_settings_init(smla_settings *settings);
void smla_settings_free(smla_settings *settings);

#endif
