#include "problem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "console.h"
#include "library.h"

snapmla_status smla_problem_read(const smla_settings *settings, const smla_lengths *lengths, snapmla_problem *out) {
  snapmla_status status = SNAPMLA_OK;
  snapmla_problem_init(out);
  if (settings->heads) out->heads = settings->heads;
  if (settings->q_len) out->q_len = settings->q_len;
  if (settings->latent) out->latent_rank = settings->latent;
  if (settings->rope >= 0) out->rope_dim = settings->rope;
  if (settings->page) out->page_tokens = settings->page;
  if (settings->format) status = smla_library_status(snapmla_kv_format_parse(settings->format, &out->kv_format));
  if (!status && settings->scales) {
    if (!strcmp(settings->scales, "power_of_two"))
      out->flags |= SNAPMLA_PROBLEM_POWER_OF_TWO_SCALES;
    else if (strcmp(settings->scales, "fp32"))
      status = smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "--scales %.80s is not known: use fp32 or power_of_two",
                                 settings->scales);
  }
  if (!status && settings->accuracy)
    status = smla_library_status(snapmla_accuracy_parse(settings->accuracy, &out->accuracy));
  if (status) return status;
  if (settings->batch) out->max_batch = settings->batch;
  if (settings->max_context) out->max_context = settings->max_context;
  out->max_indices = settings->sparse;
  if (settings->sinks) out->flags |= SNAPMLA_PROBLEM_SINKS;
  if (settings->batch_invariant) out->flags |= SNAPMLA_PROBLEM_BATCH_INVARIANT;
  if (!lengths) return SNAPMLA_OK;

  int32_t longest = 1;
  for (int32_t b = 0; b < lengths->count; ++b) {
    if (settings->max_context && lengths->items[b] > settings->max_context)
      return smla_console_fail(SNAPMLA_INVALID_ARGUMENT,
                               "request %" PRId32 " has %" PRId32 " tokens, more than --max-context %" PRId32
                               ": raise it or shorten the request",
                               b, lengths->items[b], settings->max_context);
    if (lengths->items[b] > longest) longest = lengths->items[b];
  }
  out->max_batch = lengths->count;
  if (!settings->max_context) out->max_context = longest;
  return SNAPMLA_OK;
}

snapmla_status smla_layer_problem_read(const smla_settings *settings, const smla_lengths *lengths,
                                       snapmla_layer_problem *out) {
  snapmla_layer_problem_init(out);
  snapmla_status status = smla_problem_read(settings, lengths, &out->attention);
  if (settings->nope) out->nope_dim = settings->nope;
  if (settings->v) out->v_dim = settings->v;
  out->hidden_size = settings->hidden;
  if (settings->weights >= 0) out->weight_type = (snapmla_weight_type)settings->weights;
  if (settings->rope_pairs >= 0) out->rope_pairs = (snapmla_rope_pairs)settings->rope_pairs;
  if (!out->attention.rope_dim) out->flags |= SNAPMLA_LAYER_ROTATED; /* nothing to turn */
  return status;
}

const char *smla_problem_layer_option(const smla_settings *s) {
  return s->nope              ? "--nope"
         : s->v               ? "--v"
         : s->hidden          ? "--hidden"
         : s->weights >= 0    ? "--weights"
         : s->rope_pairs >= 0 ? "--rope-pairs"
                              : NULL;
}

snapmla_status smla_problem_layer_check(const smla_settings *settings) {
  const char *alone = settings->layer ? NULL : smla_problem_layer_option(settings);
  if (!alone) return SNAPMLA_OK;
  return smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "%s is of a layer's problem: give --layer too, or leave it out",
                           alone);
}

snapmla_status smla_problem_verify(const snapmla_problem *problem) {
  return smla_library_status(snapmla_problem_check(problem));
}

snapmla_status smla_problem_variant(const smla_settings *settings, char **out) {
  static const char family[] = "mla_decode:";
  *out = NULL;
  if (!settings->variants.count) return SNAPMLA_OK;
  if (settings->variants.count > 1)
    return smla_console_fail(SNAPMLA_INVALID_ARGUMENT,
                             "--variant is given %zu times: this command takes one decode variant",
                             settings->variants.count);
  const char *text = settings->variants.items[0];
  size_t room = strlen(text) + sizeof family;
  *out = malloc(room);
  if (!*out) return smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for a variant's text");
  snprintf(*out, room, "%s%s", strchr(text, ':') ? "" : family, text);
  return SNAPMLA_OK;
}
