#include "plain_product.h"

#include <stdio.h>
#include <stdlib.h>

#include "cublaslt.h"
#include "status.h"

enum {
  CLASSES = 32,                   /* of tokens: up to 1, 2, 4, … */
  ALIGNMENT = 16,                 /* bytes, of the caller's tensors */
  MOST_WORKSPACE_BYTES = 32 << 20 /* what NVIDIA's documentation advises for Hopper */
};

struct smla_plain_product {
  const smla_cublaslt *library;
  smla_product_shape shape;
  void *handle, *desc; /* read by calls, never written */
  struct {
    lt_algorithm algorithm;
    int there;
  } classes[CLASSES];
  size_t workspace_bytes;
  char name[600];
};

/* Memory is row by row and cuBLASLt's matrices column by column: w is k x rows, to be transposed, x is k x tokens, out is rows x tokens. */
typedef struct layouts {
  lt_layout w, x, out;
} layouts;

static snapmla_status check(const smla_cublaslt *library, lt_result result, const char *call, const char *doing) {
  if (!result) return SNAPMLA_OK;
  snapmla_status status =
      result == LT_NOT_SUPPORTED || result == LT_INVALID_VALUE ? SNAPMLA_UNSUPPORTED : SNAPMLA_DEVICE;
  const char *name = library->status_name(result);
  return smla_fail(status, "cannot %s: %s says %s", doing, call, name ? name : "an error that it has no name for");
}

static snapmla_status lay_out(const smla_plain_product *p, int64_t w_stride, int64_t x_stride, int64_t out_stride,
                              int32_t tokens, layouts *out) {
  const smla_cublaslt *l = p->library;
  const uint64_t rows = (uint64_t)p->shape.rows, k = (uint64_t)p->shape.k, n = (uint64_t)tokens;
  lt_result result = l->layout_init(&out->w, sizeof out->w, LT_BF16, k, rows, w_stride);
  if (!result) result = l->layout_init(&out->x, sizeof out->x, LT_BF16, k, n, x_stride);
  if (!result) result = l->layout_init(&out->out, sizeof out->out, LT_BF16, rows, n, out_stride);
  return check(l, result, "cublasLtMatrixLayoutInit", "describe a product to cuBLASLt");
}

static int class_of(int32_t tokens) {
  int i = 0;
  while (((int64_t)1 << i) < tokens) i++;
  return i;
}

/* How the most tokens of a class are multiplied, which does for fewer. A class without a way stays without. */
static snapmla_status choose(smla_plain_product *p, int i, void *preference) {
  layouts at;
  lt_choice choice;
  int given = 0;
  int32_t tokens = (int64_t)1 << i < p->shape.most_tokens ? (int32_t)1 << i : p->shape.most_tokens;
  snapmla_status status = lay_out(p, p->shape.k, p->shape.k, p->shape.rows, tokens, &at);
  if (status) return status;
  if (p->library->choose(p->handle, p->desc, &at.w, &at.x, &at.out, &at.out, preference, 1, &choice, &given) ||
      given < 1 || choice.state)
    return SNAPMLA_OK;
  p->classes[i].algorithm = choice.algorithm;
  p->classes[i].there = 1;
  if (choice.workspace_bytes > p->workspace_bytes) p->workspace_bytes = choice.workspace_bytes;
  return SNAPMLA_OK;
}

static snapmla_status choose_all(smla_plain_product *p) {
  const smla_cublaslt *l = p->library;
  const uint64_t workspace = MOST_WORKSPACE_BYTES;
  const uint32_t alignment = ALIGNMENT;
  void *preference = NULL;
  int any = 0;
  lt_result result = l->preference_create(&preference);
  if (!result) result = l->preference_set(preference, LT_PREFERENCE_WORKSPACE_BYTES, &workspace, sizeof workspace);
  for (int i = LT_PREFERENCE_ALIGNMENT_A; i <= LT_PREFERENCE_ALIGNMENT_D && !result; i++)
    result = l->preference_set(preference, i, &alignment, sizeof alignment);
  snapmla_status status =
      check(l, result, "cublasLtMatmulPreferenceSetAttribute", "ask cuBLASLt for a way to multiply");
  for (int i = 0; i <= class_of(p->shape.most_tokens) && !status; i++) {
    status = choose(p, i, preference);
    any |= p->classes[i].there;
  }
  if (preference) (void)l->preference_destroy(preference);
  if (status || any) return status;
  return smla_fail(SNAPMLA_UNSUPPORTED, "cuBLASLt has no way to multiply %d tokens of %d by %d rows",
                   p->shape.most_tokens, p->shape.k, p->shape.rows);
}

static snapmla_status start(smla_plain_product *p) {
  const smla_cublaslt *l = p->library;
  const int32_t transposed = LT_TRANSPOSED;
  snapmla_status status = check(l, l->create(&p->handle), "cublasLtCreate", "start cuBLASLt");
  if (!status)
    status = check(l, l->desc_create(&p->desc, LT_COMPUTE_FP32, LT_FP32), "cublasLtMatmulDescCreate",
                   "describe a product to cuBLASLt");
  if (!status)
    status = check(l, l->desc_set(p->desc, LT_DESC_TRANSPOSE_A, &transposed, sizeof transposed),
                   "cublasLtMatmulDescSetAttribute", "describe a product to cuBLASLt");
  return status ? status : choose_all(p);
}

snapmla_status smla_plain_product_create(const smla_product_shape *shape, int driver_version,
                                         smla_plain_product **out) {
  const smla_cublaslt *library;
  snapmla_status status = smla_cublaslt_open(driver_version, &library);
  if (status) return status;
  smla_plain_product *p = calloc(1, sizeof *p);
  if (!p) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a product");
  p->library = library;
  p->shape = *shape;
  size_t version = library->version();
  snprintf(p->name, sizeof p->name, "cuBLASLt %zu.%zu.%zu, %s", version / 10000, version / 100 % 100, version % 100,
           library->path);
  status = start(p);
  if (status) {
    smla_plain_product_destroy(p);
    return status;
  }
  *out = p;
  return SNAPMLA_OK;
}

void smla_plain_product_destroy(smla_plain_product *p) {
  if (!p) return;
  if (p->desc) (void)p->library->desc_destroy(p->desc);
  if (p->handle) (void)p->library->destroy(p->handle);
  free(p);
}

size_t smla_plain_product_workspace(const smla_plain_product *p) { return p->workspace_bytes; }

const char *smla_plain_product_library(const smla_plain_product *p) { return p->name; }

snapmla_status smla_plain_product_run(const smla_plain_product *p, const smla_product_call *call) {
  const float one = 1, zero = 0;
  const int i = class_of(call->tokens);
  layouts at;
  if (i >= CLASSES || !p->classes[i].there)
    return smla_fail(SNAPMLA_UNSUPPORTED, "cuBLASLt has no way to multiply %d tokens of %d by %d rows", call->tokens,
                     p->shape.k, p->shape.rows);
  snapmla_status status = lay_out(p, call->w_stride, call->x_stride, call->out_stride, call->tokens, &at);
  if (status) return status;
  lt_result result = p->library->multiply(p->handle, p->desc, &one, call->w, &at.w, call->x, &at.x, &zero, call->out,
                                          &at.out, call->out, &at.out, &p->classes[i].algorithm, call->workspace,
                                          p->workspace_bytes, call->stream);
  return check(p->library, result, "cublasLtMatmul", "multiply by W_O");
}
