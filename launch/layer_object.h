/* The inside of a layer plan. */
#ifndef SMLA_LAUNCH_LAYER_OBJECT_H
#define SMLA_LAUNCH_LAYER_OBJECT_H

#include <snapmla/layer.h>

#include "plan_object.h"

/* The kernels of its own, some of one family: the skinny products for a step of the plan's most tokens, and for one of few. */
typedef enum smla_layer_kernel {
  SMLA_LAYER_APPEND,
  SMLA_LAYER_ABSORB,
  SMLA_LAYER_ABSORB_FEW,
  SMLA_LAYER_PROJECT,
  SMLA_LAYER_PROJECT_FEW,
  SMLA_LAYER_FETCH,
  SMLA_LAYER_MOVE,
  SMLA_LAYER_OUTPUT, /* from here on only with hidden_size */
  SMLA_LAYER_OUTPUT_FEW,
  SMLA_LAYER_KERNEL_COUNT
} smla_layer_kernel;

enum {
  SMLA_LAYER_FEW_TOKENS = 8, /* the fewest columns that tensor cores multiply */
  SMLA_LAYER_MOST_BOX = 256  /* rows of a tensor copy's box */
};

/* What launching a skinny product needs of its variant beside the geometry. */
typedef struct smla_layer_tile {
  int32_t columns; /* tokens of a block */
  int32_t
      box_rows; /* of the weights' tensor copies: query_absorb: query channels; the others: a block's channels of the result */
  int32_t merges; /* value_project: nonzero where it merges what was cut itself, so that mla_combine is not run */
} smla_layer_tile;

struct snapmla_layer_plan {
  snapmla_layer_problem problem;
  snapmla_plan *attention;
  smla_plan_kernel kernels[SMLA_LAYER_KERNEL_COUNT];
  smla_layer_tile tiles[SMLA_LAYER_KERNEL_COUNT]; /* of the skinny products */
  size_t attended; /* offset in the workspace, behind the attention's: [max_batch * q_len, heads, latent_rank] bf16 */
  size_t values;   /* behind that, with hidden_size: [max_batch * q_len, heads, v_dim] bf16 */
  smla_plain_product *product; /* of W_O by the vendor's library, or NULL */
  size_t product_workspace;    /* its, behind the values */
  size_t workspace_bytes;
  smla_plan_tally *tally; /* of the last step */
};

extern const char *const smla_layer_families[SMLA_LAYER_KERNEL_COUNT];

/* How many of the kernels a problem's plan has: the first of them. */
static inline int smla_layer_kernel_count(const snapmla_layer_problem *problem) {
  return problem->hidden_size ? SMLA_LAYER_KERNEL_COUNT : SMLA_LAYER_OUTPUT;
}

/* What a pack calls each, beside the attention's kernels, which go by their families' names. */
extern const char *const smla_layer_roles[SMLA_LAYER_KERNEL_COUNT];

/* Starts a plan of a checked problem: no kernels and no attention's plan yet. Error: OUT_OF_MEMORY. */
snapmla_status smla_layer_plan_open(const snapmla_layer_problem *problem, snapmla_layer_plan **out);

/* Picks out of the `count` quantities of `kernel`'s variant what launching it needs; nothing where it is no skinny product.
 * Error: TEMPLATE (one is missing or absurd). */
snapmla_status smla_layer_tile_read(smla_layer_kernel kernel, const smla_quantity *quantities, size_t count,
                                    const char *variant, smla_layer_tile *out);

/* Refuses a variant of `kernel` of which a block's share of the output's reduction would be empty; others pass.
 * Error: ILLEGAL_VARIANT. */
snapmla_status smla_layer_split_check(const snapmla_layer_problem *problem, smla_layer_kernel kernel,
                                      const smla_geometry *geometry, const char *variant);

/* Opens the vendor's library for W_O where the problem of a plan that has its attention asks for it and the device has such. Without it
 * the plan has the kernel: the log says why. Before smla_layer_lay_out. Error: OUT_OF_MEMORY. */
snapmla_status smla_layer_product_open(snapmla_layer_plan *plan);

/* The stages of a step. */
enum {
  SMLA_LAYER_PART_APPEND = 1,
  SMLA_LAYER_PART_ABSORB = 2,
  SMLA_LAYER_PART_ATTEND = 4,
  SMLA_LAYER_PART_PROJECT = 8,
  SMLA_LAYER_PART_OUTPUT = 16,
  SMLA_LAYER_PART_ALL = 31
};

/* snapmla_layer_step with some of its stages alone, for measuring: as smla_plan_decode_parts. */
snapmla_status smla_layer_step_parts(const snapmla_layer_plan *plan, const snapmla_layer_args *args, unsigned parts);

/* Lays out the workspace, once there is an attention plan. Error: INVALID_ARGUMENT (too large). */
snapmla_status smla_layer_lay_out(snapmla_layer_plan *plan);

#endif
