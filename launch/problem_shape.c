#include "problem_shape.h"

/* A field that is added to a problem belongs into its shape, unless it only bounds batch or context. */
_Static_assert(sizeof(snapmla_problem) == 56, "smla_problem_shape must name every field of snapmla_problem");

snapmla_status smla_problem_shape(const snapmla_problem *problem, smla_buffer *out) {
  return smla_buffer_printf(out,
                            "heads=%d,q_len=%d,latent=%d,rope=%d,page=%d,format=%s,accuracy=%s,flags=%u,indices=%d",
                            problem->heads, problem->q_len, problem->latent_rank, problem->rope_dim,
                            problem->page_tokens, snapmla_kv_format_name(problem->kv_format),
                            snapmla_accuracy_name(problem->accuracy), (unsigned)problem->flags, problem->max_indices);
}

_Static_assert(sizeof(snapmla_layer_problem) == 152, "smla_layer_shape must name every field that decides its kernels");

const char *smla_layer_weights(const snapmla_layer_problem *problem) {
  return problem->weight_type == SNAPMLA_WEIGHT_FP8_BLOCK ? "fp8" : "bf16";
}

const char *smla_layer_rotate(const snapmla_layer_problem *problem) {
  if (problem->flags & SNAPMLA_LAYER_ROTATED) return "none";
  return problem->rope_pairs == SNAPMLA_ROPE_INTERLEAVED ? "interleaved" : "half";
}

const char *smla_layer_norm(const snapmla_layer_problem *problem) {
  return problem->flags & SNAPMLA_LAYER_NORMED ? "none" : "rms";
}

snapmla_status smla_layer_shape(const snapmla_layer_problem *problem, smla_buffer *out) {
  snapmla_status status = smla_problem_shape(&problem->attention, out);
  if (status) return status;
  status = smla_buffer_printf(out, ",nope=%d,v=%d,weights=%s,rotate=%s,norm=%s", problem->nope_dim, problem->v_dim,
                              smla_layer_weights(problem), smla_layer_rotate(problem), smla_layer_norm(problem));
  if (status || !problem->hidden_size) return status;
  return smla_buffer_printf(out, ",hidden=%d", problem->hidden_size);
}
