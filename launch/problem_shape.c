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
