/* The products, and the controls. Layouts and algorithms are words of 8, of which the fake fills the first with what it wants to know again. */
#include "fake_cublaslt.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

enum {
  NOT_INITIALIZED = 1,
  INVALID_VALUE = 7,
  BF16 = 14,
  FP32 = 0,
  COMPUTE_FP32 = 68,
  TRANSPOSE_A = 3,
  TRANSPOSED = 1,
  MAX_WORKSPACE = 1,
  FIRST_ALIGNMENT = 5,
  LAST_ALIGNMENT = 8,
  ALIGNMENT = 16
};
static const uint64_t layout_mark = 0x1a7007, algorithm_mark = 0xa190;

typedef struct layout {
  uint64_t mark, rows, columns;
  int64_t leading;
  uint64_t rest[4];
} layout;

typedef struct algorithm {
  uint64_t mark, tokens, rest[6];
} algorithm;

typedef struct choice {
  algorithm algorithm;
  size_t workspace;
  int state;
  float waves;
  int reserved[4];
} choice;

typedef struct object {
  enum { HANDLE = 0x4a, DESC, PREFERENCE } kind;
  int transposed;
  unsigned set; /* of a preference: a bit for each attribute */
} object;

static int living, count, failure;
static const char *failing;
static fake_cublaslt_product last;

void fake_cublaslt_reset(void) {
  count = 0;
  failing = NULL;
}

void fake_cublaslt_fail(const char *call, int result) {
  failing = call;
  failure = result;
}

int fake_cublaslt_count(void) { return count; }
fake_cublaslt_product fake_cublaslt_last(void) { return last; }
int fake_cublaslt_living(void) { return living; }

int fake_cublaslt_use(void) {
  Dl_info info;
  static const char anchor;
  return !dladdr(&anchor, &info) || setenv("SNAPMLA_CUBLASLT", info.dli_fname, 1);
}

static int enter(const char *call) { return failing && !strcmp(failing, call) ? failure : 0; }

static int make(const char *call, int kind, object **out) {
  int result = enter(call);
  if (result) return result;
  *out = calloc(1, sizeof **out);
  (*out)->kind = kind;
  living++;
  return 0;
}

static int unmake(int kind, object *o) {
  if (!o || (int)o->kind != kind) return INVALID_VALUE;
  free(o);
  living--;
  return 0;
}

FAKE_CUDA_API int cublasLtCreate(object **handle) { return make("cublasLtCreate", HANDLE, handle); }
FAKE_CUDA_API int cublasLtDestroy(object *handle) { return unmake(HANDLE, handle); }
FAKE_CUDA_API size_t cublasLtGetVersion(void) { return 130002; }
FAKE_CUDA_API const char *cublasLtGetStatusName(int status) {
  return status == INVALID_VALUE ? "CUBLAS_STATUS_INVALID_VALUE" : "CUBLAS_STATUS_OF_THE_FAKE";
}

FAKE_CUDA_API int cublasLtMatmulDescCreate(object **desc, int compute, int scale) {
  return compute != COMPUTE_FP32 || scale != FP32 ? INVALID_VALUE : make("cublasLtMatmulDescCreate", DESC, desc);
}
FAKE_CUDA_API int cublasLtMatmulDescDestroy(object *desc) { return unmake(DESC, desc); }
FAKE_CUDA_API int cublasLtMatmulDescSetAttribute(object *desc, int attribute, const int *value, size_t bytes) {
  if (desc->kind != DESC || attribute != TRANSPOSE_A || bytes != 4 || *value != TRANSPOSED) return INVALID_VALUE;
  desc->transposed = 1;
  return enter("cublasLtMatmulDescSetAttribute");
}

FAKE_CUDA_API int cublasLtMatrixLayoutInit_internal(layout *l, size_t bytes, int type, uint64_t rows, uint64_t columns,
                                                    int64_t leading) {
  if (bytes != sizeof *l || type != BF16 || leading < (int64_t)rows || leading % (ALIGNMENT / 2)) return INVALID_VALUE;
  *l = (layout){.mark = layout_mark, .rows = rows, .columns = columns, .leading = leading};
  return 0;
}

FAKE_CUDA_API int cublasLtMatmulPreferenceCreate(object **preference) {
  return make("cublasLtMatmulPreferenceCreate", PREFERENCE, preference);
}
FAKE_CUDA_API int cublasLtMatmulPreferenceDestroy(object *preference) { return unmake(PREFERENCE, preference); }
FAKE_CUDA_API int cublasLtMatmulPreferenceSetAttribute(object *preference, int attribute, const void *value,
                                                       size_t bytes) {
  if (preference->kind != PREFERENCE) return INVALID_VALUE;
  if (attribute == MAX_WORKSPACE) {
    if (bytes != 8 || *(const uint64_t *)value < FAKE_CUBLASLT_WORKSPACE) return INVALID_VALUE;
  } else if (attribute < FIRST_ALIGNMENT || attribute > LAST_ALIGNMENT || bytes != 4 ||
             *(const uint32_t *)value != ALIGNMENT) {
    return INVALID_VALUE;
  }
  preference->set |= 1u << attribute;
  return 0;
}

/* w [k, rows] transposed, x [k, tokens], out [rows, tokens], column by column. */
static int fit(const layout *w, const layout *x, const layout *c, const layout *out) {
  return w->mark == layout_mark && x->mark == layout_mark && out->mark == layout_mark && !memcmp(c, out, sizeof *c) &&
         w->rows == x->rows && w->columns == out->rows && x->columns == out->columns;
}

FAKE_CUDA_API int cublasLtMatmulAlgoGetHeuristic(object *handle, object *desc, const layout *w, const layout *x,
                                                 const layout *c, const layout *out, object *preference, int asked,
                                                 choice *choices, int *given) {
  int result = enter("cublasLtMatmulAlgoGetHeuristic");
  if (result) return result;
  if (handle->kind != HANDLE || desc->kind != DESC || !desc->transposed || preference->kind != PREFERENCE ||
      preference->set != (1u << 1 | 0xfu << FIRST_ALIGNMENT) || asked != 1 || !fit(w, x, c, out))
    return INVALID_VALUE;
  *choices =
      (choice){.algorithm = {.mark = algorithm_mark, .tokens = x->columns}, .workspace = FAKE_CUBLASLT_WORKSPACE};
  *given = 1;
  return 0;
}

static float widen(uint16_t x) {
  uint32_t bits = (uint32_t)x << 16;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static uint16_t narrow(float x) { /* to nearest, ties to even; no NaN comes here */
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static int is_aligned(const void *p, uintptr_t to) { return p && (uintptr_t)p % to == 0; }

FAKE_CUDA_API int cublasLtMatmul(object *handle, object *desc, const float *alpha, const uint16_t *w,
                                 const layout *w_layout, const uint16_t *x, const layout *x_layout, const float *beta,
                                 const uint16_t *c, const layout *c_layout, uint16_t *out, const layout *out_layout,
                                 const algorithm *way, void *workspace, size_t workspace_bytes, void *stream) {
  int result = enter("cublasLtMatmul");
  if (result) return result;
  if (handle->kind != HANDLE || desc->kind != DESC || !desc->transposed || *alpha != 1 || *beta != 0 || c != out ||
      !fit(w_layout, x_layout, c_layout, out_layout) || way->mark != algorithm_mark ||
      way->tokens < x_layout->columns || workspace_bytes != FAKE_CUBLASLT_WORKSPACE || !is_aligned(workspace, 256) ||
      !is_aligned(w, ALIGNMENT) || !is_aligned(x, ALIGNMENT) || !is_aligned(out, ALIGNMENT))
    return INVALID_VALUE;
  memset(workspace, 0xff, workspace_bytes);
  for (uint64_t t = 0; t < x_layout->columns; t++)
    for (uint64_t n = 0; n < w_layout->columns; n++) {
      float sum = 0;
      for (uint64_t k = 0; k < w_layout->rows; k++)
        sum += widen(w[n * (uint64_t)w_layout->leading + k]) * widen(x[t * (uint64_t)x_layout->leading + k]);
      out[t * (uint64_t)out_layout->leading + n] = narrow(sum);
    }
  last = (fake_cublaslt_product){.rows = w_layout->columns,
                                 .k = w_layout->rows,
                                 .tokens = x_layout->columns,
                                 .w_stride = w_layout->leading,
                                 .x_stride = x_layout->leading,
                                 .out_stride = out_layout->leading,
                                 .chosen_for = way->tokens,
                                 .workspace = workspace,
                                 .stream = stream};
  count++;
  return 0;
}
