/* A workload from tensors: their shapes are the problem, checked against each other and against the options. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "console.h"
#include "input_tensors.h"
#include "library.h"
#include "workload.h"

/* A dimension that decides a field of the problem: it must be positive and agree with what is known (below `least`: nothing
 * yet). */
static snapmla_status decide_from(const smla_input_tensors *inputs, smla_input which, int dimension,
                                  const char *meaning, int32_t least, int32_t *field) {
  if (!inputs->tensors[which]) return SNAPMLA_OK;
  int64_t size = inputs->tensors[which]->shape[dimension];
  if (size < 1 || size > INT32_MAX)
    return smla_input_bad(inputs, which, "dimension %d, the %s, is %" PRId64 ": it must be positive and below 2^31",
                          dimension, meaning, size);
  if (*field >= least && size != *field)
    return smla_input_bad(inputs, which,
                          "dimension %d, the %s, is %" PRId64 ", another tensor or an option says %" PRId32, dimension,
                          meaning, size, *field);
  *field = (int32_t)size;
  return SNAPMLA_OK;
}

static snapmla_status decide(const smla_input_tensors *inputs, smla_input which, int dimension, const char *meaning,
                             int32_t *field) {
  return decide_from(inputs, which, dimension, meaning, 1, field);
}

static snapmla_status decide_shape(const smla_input_tensors *inputs, smla_settings *known) {
  snapmla_status status = decide(inputs, SMLA_INPUT_Q_NOPE, 0, "batch", &known->batch);
  if (!status) status = decide(inputs, SMLA_INPUT_Q_ROPE, 0, "batch", &known->batch);
  if (!status) status = decide(inputs, SMLA_INPUT_SEQLENS, 0, "batch", &known->batch);
  if (!status) status = decide(inputs, SMLA_INPUT_BLOCK_TABLE, 0, "batch", &known->batch);
  if (!status) status = decide(inputs, SMLA_INPUT_Q_NOPE, 1, "query length", &known->q_len);
  if (!status) status = decide(inputs, SMLA_INPUT_Q_ROPE, 1, "query length", &known->q_len);
  if (!status) status = decide(inputs, SMLA_INPUT_Q_NOPE, 2, "number of heads", &known->heads);
  if (!status) status = decide(inputs, SMLA_INPUT_Q_ROPE, 2, "number of heads", &known->heads);
  if (!status) status = decide(inputs, SMLA_INPUT_Q_NOPE, 3, "latent rank", &known->latent);
  if (!status) status = decide(inputs, SMLA_INPUT_LATENT, 1, "latent rank", &known->latent);
  if (!status) status = decide_from(inputs, SMLA_INPUT_Q_ROPE, 3, "RoPE dimension", 0, &known->rope);
  if (!status) status = decide_from(inputs, SMLA_INPUT_ROPE, 1, "RoPE dimension", 0, &known->rope);
  return status;
}

/* Which tensors go together. */
static snapmla_status check_set(const smla_settings *settings, const smla_input_tensors *inputs) {
  smla_tensor *const *t = inputs->tensors;
  const char *rule = NULL;
  int has_rope = settings->rope != 0;
  if (has_rope && !t[SMLA_INPUT_Q_NOPE] != !t[SMLA_INPUT_Q_ROPE])
    rule = "q_nope and q_rope come together: give both or neither";
  else if (has_rope && !t[SMLA_INPUT_LATENT] != !t[SMLA_INPUT_ROPE])
    rule = "latent and rope come together: give both or neither";
  else if (!t[SMLA_INPUT_KV] != !t[SMLA_INPUT_BLOCK_TABLE])
    rule = "kv and block_table come together: give both or neither";
  else if (t[SMLA_INPUT_KV] && t[SMLA_INPUT_LATENT])
    rule = "kv takes the place of latent and rope: give one of the two";
  else if (t[SMLA_INPUT_SEQLENS] && settings->context)
    rule = "both seqlens and --context tell the lengths: give one";
  else if (!t[SMLA_INPUT_SEQLENS] && !settings->context)
    rule = "nothing tells the lengths: give the tensor seqlens or --context";
  else if ((t[SMLA_INPUT_KV] || t[SMLA_INPUT_Q_NOPE]) && settings->steps > 1)
    rule = "a given query or a stored cache is for one step: leave --steps out";
  return rule ? smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "%s", rule) : SNAPMLA_OK;
}

static snapmla_status read_lengths(const smla_settings *known, smla_input_tensors *inputs, smla_lengths *lengths) {
  if (!inputs->tensors[SMLA_INPUT_SEQLENS]) return smla_lengths_read(known, known->context, lengths);
  snapmla_status status = smla_input_int32(inputs, SMLA_INPUT_SEQLENS, &lengths->items);
  if (status) return status;
  lengths->count = known->batch;
  for (int32_t b = 0; b < lengths->count; ++b)
    if (lengths->items[b] < 0)
      return smla_input_bad(inputs, SMLA_INPUT_SEQLENS, "element %" PRId32 " is %" PRId32 ": a length is not negative",
                            b, lengths->items[b]);
  return SNAPMLA_OK;
}

/* The rows of latent and rope: those of request 0, then those of request 1, … */
static snapmla_status read_rows(smla_input_tensors *inputs, smla_workload *work) {
  int64_t rows = 0, given = inputs->tensors[SMLA_INPUT_LATENT]->shape[0];
  smla_tensor *rope = inputs->tensors[SMLA_INPUT_ROPE]; /* none where there are no such channels */
  if (rope && rope->shape[0] != given)
    return smla_input_bad(inputs, SMLA_INPUT_ROPE, "it has %" PRId64 " rows, latent has %" PRId64, rope->shape[0],
                          given);
  work->first_row = malloc((size_t)work->lengths.count * sizeof *work->first_row);
  if (!work->first_row) return smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for the requests");
  for (int32_t b = 0; b < work->lengths.count; ++b) {
    work->first_row[b] = rows;
    rows += work->lengths.items[b];
  }
  if (rows != given)
    return smla_input_bad(inputs, SMLA_INPUT_LATENT, "it has %" PRId64 " rows, the lengths add up to %" PRId64, given,
                          rows);
  snapmla_status status = smla_input_bf16(inputs, SMLA_INPUT_LATENT, &work->latent);
  return status || !rope ? status : smla_input_bf16(inputs, SMLA_INPUT_ROPE, &work->rope);
}

/* The page size of a stored cache, where no option tells it: that whose pages are as long as the tensor's rows. */
static snapmla_status decide_page(const smla_input_tensors *inputs, smla_workload *work, int given) {
  static const int32_t sizes[] = {16, 32, 64, 128};
  int64_t stride = inputs->tensors[SMLA_INPUT_KV]->shape[1];
  snapmla_page_layout layout = {.size = sizeof layout};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes && !given; ++i) {
    snapmla_problem problem = work->problem;
    problem.page_tokens = sizes[i];
    if (snapmla_page_layout_get(&problem, &layout) || layout.page_bytes != stride) continue;
    work->problem.page_tokens = sizes[i];
    return SNAPMLA_OK;
  }
  if (!given)
    return smla_input_bad(inputs, SMLA_INPUT_KV,
                          "its rows of %" PRId64
                          " bytes fit no page size at latent rank %d: give --page, --latent and --rope",
                          stride, work->problem.latent_rank);
  return SNAPMLA_OK;
}

/* Within a length a page number must be one of the cache's. */
static snapmla_status check_table(const smla_input_tensors *inputs, const smla_workload *work) {
  int64_t page = work->problem.page_tokens;
  for (int32_t b = 0; b < work->lengths.count; ++b) {
    int64_t pages = (work->lengths.items[b] + page - 1) / page;
    if (pages > work->table_stride)
      return smla_input_bad(inputs, SMLA_INPUT_BLOCK_TABLE,
                            "request %" PRId32 " has %" PRId32 " tokens, that is %" PRId64
                            " pages, its row has %" PRId64 " entries",
                            b, work->lengths.items[b], pages, work->table_stride);
    for (int64_t i = 0; i < pages; ++i) {
      int32_t entry = work->block_table[b * work->table_stride + i];
      if (entry < 0 || entry >= work->num_pages)
        return smla_input_bad(inputs, SMLA_INPUT_BLOCK_TABLE,
                              "entry %" PRId64 " of request %" PRId32 " is %" PRId32
                              ": the cache has pages 0..%" PRId64,
                              i, b, entry, work->num_pages - 1);
    }
  }
  return SNAPMLA_OK;
}

static snapmla_status read_cache(smla_input_tensors *inputs, smla_workload *work) {
  const smla_tensor *kv = inputs->tensors[SMLA_INPUT_KV];
  const char *fingerprint = smla_tensor_file_metadata(inputs->from[SMLA_INPUT_KV], "snapmla.fingerprint");
  if (fingerprint && strcmp(fingerprint, work->layout.fingerprint))
    return smla_input_bad(inputs, SMLA_INPUT_KV,
                          "its layout's fingerprint is %.64s, this problem's is %s: give the problem that "
                          "it was written for",
                          fingerprint, work->layout.fingerprint);
  work->page_stride = kv->shape[1];
  work->num_pages = kv->shape[0];
  work->table_stride = inputs->tensors[SMLA_INPUT_BLOCK_TABLE]->shape[1];
  if (work->page_stride < work->layout.page_bytes || work->page_stride % 128)
    return smla_input_bad(inputs, SMLA_INPUT_KV,
                          "its rows have %" PRId64 " bytes: a page needs %" PRId64 ", a multiple of 128",
                          work->page_stride, work->layout.page_bytes);
  if (work->num_pages < 1 || work->num_pages > INT32_MAX)
    return smla_input_bad(inputs, SMLA_INPUT_KV, "it has %" PRId64 " pages: 1 to 2^31 - 1 are possible",
                          work->num_pages);
  if (work->table_stride < 1)
    return smla_input_bad(inputs, SMLA_INPUT_BLOCK_TABLE, "its rows are empty: give at least one entry");
  snapmla_status status = smla_input_int32(inputs, SMLA_INPUT_BLOCK_TABLE, &work->block_table);
  if (!status) status = check_table(inputs, work);
  if (!status) status = smla_input_bytes(inputs, SMLA_INPUT_KV, &work->kv);
  return status;
}

snapmla_status smla_workload_read(const smla_settings *settings, smla_data data, smla_workload *out) {
  smla_settings known = *settings; /* what the tensors decide is added; no list of it is owned here */
  smla_input_tensors inputs;
  *out = (smla_workload){.steps = settings->steps ? settings->steps : 1, .data = data};
  snapmla_status status = smla_input_tensors_open(settings, &inputs);
  if (status) return status;
  status = check_set(settings, &inputs);
  if (!status) status = decide_shape(&inputs, &known);
  if (!status) status = read_lengths(&known, &inputs, &out->lengths);
  if (!status) status = smla_problem_read(&known, &out->lengths, &out->problem);
  if (!status && inputs.tensors[SMLA_INPUT_KV]) status = decide_page(&inputs, out, settings->page);
  if (!status) status = smla_problem_verify(&out->problem);
  out->layout.size = sizeof out->layout;
  if (!status) status = smla_library_status(snapmla_page_layout_get(&out->problem, &out->layout));
  if (!status) smla_workload_set_data(out, settings);
  if (!status && !inputs.tensors[SMLA_INPUT_LATENT]) out->value_offset = data.value_offset;
  if (!status && inputs.tensors[SMLA_INPUT_Q_NOPE]) {
    status = smla_input_bf16(&inputs, SMLA_INPUT_Q_NOPE, &out->q_nope);
    if (!status && inputs.tensors[SMLA_INPUT_Q_ROPE])
      status = smla_input_bf16(&inputs, SMLA_INPUT_Q_ROPE, &out->q_rope);
  }
  if (!status && inputs.tensors[SMLA_INPUT_LATENT]) status = read_rows(&inputs, out);
  if (!status)
    status = inputs.tensors[SMLA_INPUT_KV] ? read_cache(&inputs, out) : smla_workload_place(out, settings->seed);
  out->metadata = inputs.main.metadata; /* handed over */
  out->metadata_count = inputs.main.metadata_count;
  inputs.main.metadata = NULL;
  inputs.main.metadata_count = 0;
  smla_input_tensors_close(&inputs);
  if (status) smla_workload_free(out);
  return status;
}
