/* The attention of one layer's decode step: from the projections of the hidden states to the heads' values, or on to the layer's output.
 *
 *   append      RMS norm of the latent, RoPE on the key, quantise, write into pages        one kernel
 *   absorb      q_nope . W_UK for each head, RoPE on the query, quantise                   one kernel
 *   attend      the plan's decode and combine kernels
 *   up-project  the attended latent . W_UV for each head                                   one kernel
 *   output      the values of all heads . W_O, if hidden_size says so                      one kernel
 *
 * What comes before (the projections that give q and the latent) are plain matrix products: the caller's, as is W_O with hidden_size 0.
 * docs/layer.md has the formulas and their sources. */
#ifndef SNAPMLA_LAYER_H
#define SNAPMLA_LAYER_H

#include <stddef.h>
#include <stdint.h>

#include <snapmla/context.h>
#include <snapmla/export.h>
#include <snapmla/plan.h>
#include <snapmla/problem.h>
#include <snapmla/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Which channels RoPE turns together. */
typedef enum snapmla_rope_pairs {
  SNAPMLA_ROPE_INTERLEAVED = 0, /* 2i and 2i + 1: DeepSeek's own code */
  SNAPMLA_ROPE_HALF = 1         /* i and i + rope_dim / 2 ("NeoX") */
} snapmla_rope_pairs;

/* How the weights of the up-projections and of W_O are stored. */
typedef enum snapmla_weight_type {
  SNAPMLA_WEIGHT_BF16 = 0,
  SNAPMLA_WEIGHT_FP8_BLOCK = 1 /* e4m3, an fp32 factor for each block of 128 rows and 128 columns */
} snapmla_weight_type;

/* Bits of a layer problem's flags. */
enum {
  SNAPMLA_LAYER_NORMED = 1u, /* the latent comes normalised: append does not */
  SNAPMLA_LAYER_ROTATED =
      2u, /* query and key come with RoPE applied: nothing turns them, positions and table are not read */
  SNAPMLA_LAYER_CUBLASLT =
      4u /* W_O by cuBLASLt, where it is there and the weights are bf16; else by the generated kernel */
};

/* The angles. Without YaRN (factor 1) position p turns pair i by p * base^(-2i / rope_dim). */
typedef struct snapmla_rope {
  double base;             /* 10000 */
  double factor;           /* YaRN: how many times longer than original_context; 1: none */
  double original_context; /* the context trained before YaRN: 4096 */
  double beta_fast,
      beta_slow; /* 32, 1: turns over original_context above which a pair keeps its pace, below which it slows */
  double mscale, mscale_all_dim; /* cos and sin are multiplied by m(factor, mscale) / m(factor, mscale_all_dim),
                                    m(s, t) = 0.1 t ln s + 1, where factor is above 1 */
} snapmla_rope;

/* Zero-initialise, set size = sizeof(snapmla_layer_problem), fill the fields; or start from snapmla_layer_problem_init. */
typedef struct snapmla_layer_problem {
  size_t size;
  snapmla_problem attention; /* max_batch * q_len tokens a step at most: 262144 or fewer */
  int32_t nope_dim;          /* channels of a head's query and key without RoPE: 64, 128, 192 or 256 */
  int32_t v_dim;             /* of a head's value: 64, 128, 192 or 256 */
  snapmla_weight_type weight_type;
  snapmla_rope_pairs rope_pairs;
  float norm_epsilon; /* of the RMS norm: 1e-6 */
  uint32_t flags;     /* SNAPMLA_LAYER_… */
  snapmla_rope rope;  /* for snapmla_rope_table_fill alone */
  int32_t
      hidden_size; /* channels of the layer's output, W_O's rows: a multiple of 8, at most 65536; 0: a step ends with the values */
} snapmla_layer_problem;

/* Fills `problem` with DeepSeek-V3's: nope 128, v 128, bf16 weights, interleaved, epsilon 1e-6, YaRN of factor 40; hidden_size 0. */
SNAPMLA_API void snapmla_layer_problem_init(snapmla_layer_problem *problem);

/* Checks every field; the message names the field, the rule and the remedy. Errors: INVALID_ARGUMENT, UNSUPPORTED. Thread-safe. */
SNAPMLA_API snapmla_status snapmla_layer_problem_check(const snapmla_layer_problem *problem);

/* Cosines and sines of positions first .. first + count - 1, in double precision rounded once: table [count, rope_dim] fp32, a row
 * holding rope_dim / 2 cosines, then as many sines. Host memory. Formulas: RoPE, arXiv 2104.09864; YaRN, arXiv 2309.00071, as
 * DeepSeek's models apply it. Errors: as snapmla_layer_problem_check; INVALID_ARGUMENT. Thread-safe. */
SNAPMLA_API snapmla_status snapmla_rope_table_fill(const snapmla_layer_problem *problem, int64_t first, int64_t count,
                                                   float *table);

typedef struct snapmla_layer_plan snapmla_layer_plan;

/* Makes the plan of `problem`: an attention plan by `options` (NULL, or as for snapmla_plan_create: the search is of the attention's
 * kernels) and the layer's own kernels, whose variants an override may name too ("query_absorb:columns=16"). Not in
 * snapmla-deploy, whose layer plans come from packs: see pack.h. Errors: as snapmla_plan_create. */
SNAPMLA_API snapmla_status snapmla_layer_plan_create(snapmla_context *context, const snapmla_layer_problem *problem,
                                                     const snapmla_plan_options *options, snapmla_layer_plan **out);
SNAPMLA_API void snapmla_layer_plan_destroy(snapmla_layer_plan *plan);

/* The plan of its attention: owned by the layer plan, valid as long as it. */
SNAPMLA_API const snapmla_plan *snapmla_layer_plan_attention(const snapmla_layer_plan *plan);

/* The canonical variant of a kernel of the layer's own ("kv_append", "query_absorb", "value_project", "kv_fetch"; with hidden_size
 * "output_project"), of the skinny products the one for the plan's most tokens; NULL for others. */
SNAPMLA_API const char *snapmla_layer_plan_variant(const snapmla_layer_plan *plan, const char *family);

/* Who multiplies by W_O: with CUBLASLT "cuBLASLt 13.0.1, PATH" where the plan has it, valid as long as the plan; NULL where the generated
 * kernel does, as without W_O. (A call that the library refuses is the kernel's all the same.) */
SNAPMLA_API const char *snapmla_layer_plan_library(const snapmla_layer_plan *plan);

/* Bytes of workspace that any step needs. Its first 4 bytes are the attention's status word. */
SNAPMLA_API size_t snapmla_layer_plan_workspace_bytes(const snapmla_layer_plan *plan);

/* The layer's weights and the angles. Device pointers, 16-byte aligned; immutable while a step runs. */
typedef struct snapmla_layer_weights {
  const void *
      kv_b; /* [heads * (nope_dim + v_dim), latent_rank] as checkpoints hold kv_b_proj: of each head the nope_dim rows of W_UK,
                       then the v_dim rows of W_UV */
  int64_t kv_b_stride;     /* elements between rows: a multiple of 8 (bf16) or 16 (e4m3) */
  const float *kv_b_scale; /* FP8_BLOCK: [rows / 128 rounded up, latent_rank / 128] */
  int64_t kv_b_scale_stride;
  const void *norm;        /* [latent_rank] bf16, the RMS norm's weight; NULL with NORMED */
  const float *rope_table; /* [rope_positions, rope_dim], of snapmla_rope_table_fill; NULL with ROTATED */
  int32_t rope_positions;
  /* With hidden_size, else not looked at. W_O as checkpoints hold o_proj: [hidden_size, heads * v_dim], a row along the reduction, head
   * after head; of a rank that has some of a model's heads, their columns. */
  const void *o;
  int64_t o_stride;     /* elements between rows: a multiple of 8 (bf16) or 16 (e4m3) */
  const float *o_scale; /* FP8_BLOCK: [hidden_size / 128, heads * v_dim / 128], both rounded up */
  int64_t o_scale_stride;
} snapmla_layer_weights;

/* New tokens into the cache. Zero-initialise and set size. */
typedef struct snapmla_layer_append_args {
  size_t size;
  snapmla_append_args append; /* latent as the projection gives it, the rope channels not yet turned */
  const int32_t *positions;   /* [tokens]; a token at a position outside the table has NaN for RoPE */
  const snapmla_layer_weights *weights;
} snapmla_layer_append_args;

/* Appends any number of tokens: a prompt, or a chunk of one, or a step's. Errors: INVALID_ARGUMENT, DEVICE. */
SNAPMLA_API snapmla_status snapmla_layer_append(const snapmla_layer_plan *plan, const snapmla_layer_append_args *args);

/* One layer of one step. Zero-initialise and set size. Token t of the step is query token t mod q_len of request t / q_len. */
typedef struct snapmla_layer_args {
  size_t size;
  const snapmla_layer_weights *weights;
  const void *q;                         /* [batch * q_len, heads, nope_dim + rope_dim] bf16, RoPE not yet applied */
  int64_t q_stride_token, q_stride_head; /* elements, multiples of 8 */
  const int32_t *positions;              /* [batch * q_len] */
  /* The step's new tokens, appended first. slot_mapping NULL: they are in the cache. */
  const void *latent; /* [batch * q_len, latent_rank] bf16 */
  int64_t latent_stride;
  const void *rope; /* [batch * q_len, rope_dim] bf16 */
  int64_t rope_stride;
  const int64_t *slot_mapping; /* [batch * q_len], -1: skip */
  void *
      out; /* [batch * q_len, heads, v_dim] bf16; with hidden_size [batch * q_len, hidden_size], of a rank that has some of a
                model's heads its part of the sum over ranks */
  int64_t out_stride_token,
      out_stride_head; /* elements, multiples of 8; with hidden_size there is no out_stride_head */
  /* The rest as for snapmla_plan_decode: batch, kv, block_table, seqlens, softmax_scale, lse, kv_scale, index lists, workspace,
   * stream. Its q_nope, q_rope and out are not looked at. */
  snapmla_decode_args decode;
} snapmla_layer_args;

/* Once per step, for all of its layers that share the workspace: as snapmla_plan_schedule. */
SNAPMLA_API snapmla_status snapmla_layer_schedule(const snapmla_layer_plan *plan, const snapmla_layer_args *args);

/* Append, absorb, attend, up-project, output. Asynchronous; allocates, compiles and synchronises nothing; may be captured into a CUDA
 * graph. Errors: INVALID_ARGUMENT (nothing is launched), DEVICE. Thread-safe for distinct workspaces. */
SNAPMLA_API snapmla_status snapmla_layer_step(const snapmla_layer_plan *plan, const snapmla_layer_args *args);

/* What the emulator counted since the plan's last step began: absorb to the last stage. Error: UNSUPPORTED on a GPU. */
SNAPMLA_API snapmla_status snapmla_layer_last_counters(const snapmla_layer_plan *plan, snapmla_plan_counters *out);

/* Cached tokens back as bf16 rows, as they were appended but for what the format lost. Zero-initialise and set size. */
typedef struct snapmla_fetch_args {
  size_t size;
  int64_t tokens;
  const int64_t *slots;  /* [tokens]; one outside the cache, or negative: its row is left alone */
  void *latent;          /* [tokens, latent_rank] bf16: normalised */
  int64_t latent_stride; /* elements, a multiple of 8 */
  void *rope;            /* [tokens, rope_dim] bf16: turned */
  int64_t rope_stride;
  const void *kv;
  int64_t page_stride; /* bytes */
  int64_t num_pages;
  void *stream;
  float kv_scale; /* as in snapmla_decode_args */
  const float *kv_scale_pointer;
} snapmla_fetch_args;
SNAPMLA_API snapmla_status snapmla_layer_fetch(const snapmla_layer_plan *plan, const snapmla_fetch_args *args);

/* Tokens of one cache to other slots of it, byte for byte: what keeps of a tree of drafts the branch that was accepted. No slot may be
 * written that the same call reads elsewhere. Zero-initialise and set size. */
typedef struct snapmla_move_args {
  size_t size;
  int64_t tokens;
  const int64_t *from, *to; /* [tokens] slots; a pair with one outside the cache, or negative, is skipped */
  void *kv;
  int64_t page_stride;
  int64_t num_pages;
  void *stream;
} snapmla_move_args;
SNAPMLA_API snapmla_status snapmla_layer_move(const snapmla_layer_plan *plan, const snapmla_move_args *args);

/* The layer in double precision, on the host. */
typedef enum snapmla_layer_reference {
  SNAPMLA_LAYER_EXPLICIT = 0, /* K and V of each token are reconstructed by W_UK and W_UV, as the model is defined */
  SNAPMLA_LAYER_ABSORBED = 1  /* W_UK is applied to the query and W_UV to the attended latent */
} snapmla_layer_reference;

/* `args` as for snapmla_layer_step, all pointers to host memory; of its decode part batch, seqlens and softmax_scale alone are used,
 * and nothing is appended. The tokens of request b are rows row_of[b] … of latent [.., latent_rank] and rope [.., rope_dim]
 * fp32, normalised and turned, the step's own included: the exact rows, or what snapmla_cache_read gives. The query is turned
 * here. out_f64: [batch * q_len, heads, v_dim] or [batch * q_len, hidden_size] dense. Not for index lists. Errors: INVALID_ARGUMENT, UNSUPPORTED, OUT_OF_MEMORY. */
SNAPMLA_API snapmla_status snapmla_reference_layer(const snapmla_layer_problem *problem, const snapmla_layer_args *args,
                                                   snapmla_layer_reference how, const float *latent, const float *rope,
                                                   const int64_t *row_of, double *out_f64);

/* What append makes of one token, in double precision: latent [latent_rank] normalised, rope [rope_dim] turned. `weights` are host
 * pointers. Errors: INVALID_ARGUMENT, UNSUPPORTED. Thread-safe. */
SNAPMLA_API snapmla_status snapmla_reference_layer_row(const snapmla_layer_problem *problem,
                                                       const snapmla_layer_weights *weights, const uint16_t *latent,
                                                       const uint16_t *rope, int32_t position, double *latent_f64,
                                                       double *rope_f64);

#ifdef __cplusplus
}
#endif
#endif
