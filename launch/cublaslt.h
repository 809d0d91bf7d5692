/* libcublasLt, opened at run time: the functions used and no others, with prototypes of our own. Values and layouts are those of cuBLASLt 12
 * and 13. */
#ifndef SMLA_LAUNCH_CUBLASLT_H
#define SMLA_LAUNCH_CUBLASLT_H

#include <stddef.h>
#include <stdint.h>

#include <snapmla/status.h>

typedef int lt_result; /* cublasStatus_t; 0 is success */

/* cublasStatus_t, cudaDataType, cublasComputeType_t, cublasOperation_t, attributes of descriptors and preferences */
enum {
  LT_INVALID_VALUE = 7,
  LT_NOT_SUPPORTED = 15,
  LT_FP32 = 0,
  LT_BF16 = 14,
  LT_COMPUTE_FP32 = 68,
  LT_TRANSPOSED = 1,
  LT_DESC_TRANSPOSE_A = 3,
  LT_PREFERENCE_WORKSPACE_BYTES = 1,
  LT_PREFERENCE_ALIGNMENT_A = 5, /* of B, C and D the next three */
  LT_PREFERENCE_ALIGNMENT_D = 8
};

/* cublasLtMatrixLayoutOpaque_t, cublasLtMatmulAlgo_t */
typedef struct lt_layout {
  uint64_t data[8];
} lt_layout;
typedef struct lt_algorithm {
  uint64_t data[8];
} lt_algorithm;

/* cublasLtMatmulHeuristicResult_t */
typedef struct lt_choice {
  lt_algorithm algorithm;
  size_t workspace_bytes;
  lt_result state;
  float waves;
  int reserved[4];
} lt_choice;

/* X(field, exported symbol, parameters): every one returns a cublasStatus_t. Matrices are column by column: `leading` elements from one to
 * the next. */
#define SMLA_CUBLASLT_LIST(X)                                                                                  \
  X(create, "cublasLtCreate", (void **handle))                                                                 \
  X(destroy, "cublasLtDestroy", (void *handle))                                                                \
  X(desc_create, "cublasLtMatmulDescCreate", (void **desc, int compute_type, int scale_type))                  \
  X(desc_destroy, "cublasLtMatmulDescDestroy", (void *desc))                                                   \
  X(desc_set, "cublasLtMatmulDescSetAttribute", (void *desc, int attribute, const void *value, size_t bytes))  \
  X(layout_init, "cublasLtMatrixLayoutInit_internal",                                                          \
    (lt_layout * layout, size_t bytes, int type, uint64_t rows, uint64_t columns, int64_t leading))            \
  X(preference_create, "cublasLtMatmulPreferenceCreate", (void **preference))                                  \
  X(preference_destroy, "cublasLtMatmulPreferenceDestroy", (void *preference))                                 \
  X(preference_set, "cublasLtMatmulPreferenceSetAttribute",                                                    \
    (void *preference, int attribute, const void *value, size_t bytes))                                        \
  X(choose, "cublasLtMatmulAlgoGetHeuristic",                                                                  \
    (void *handle, void *desc, const lt_layout *a, const lt_layout *b, const lt_layout *c, const lt_layout *d, \
     void *preference, int asked, lt_choice *choices, int *given))                                             \
  X(multiply, "cublasLtMatmul",                                                                                \
    (void *handle, void *desc, const void *alpha, const void *a, const lt_layout *a_layout, const void *b,     \
     const lt_layout *b_layout, const void *beta, const void *c, const lt_layout *c_layout, void *d,           \
     const lt_layout *d_layout, const lt_algorithm *algorithm, void *workspace, size_t workspace_bytes, void *stream))

typedef struct smla_cublaslt {
#define SMLA_CUBLASLT_FIELD(field, symbol, parameters) lt_result(*field) parameters;
  SMLA_CUBLASLT_LIST(SMLA_CUBLASLT_FIELD)
#undef SMLA_CUBLASLT_FIELD
  size_t (*version)(void); /* 130001: 13.0.1 */
  const char *(*status_name)(lt_result result);
  char path[512];
} smla_cublaslt;

/* The library, opened once for the process (a failure is retried by the next call): SNAPMLA_CUBLASLT where it is set, else by its
 * soname or in /usr/local/cuda, no newer than a driver of this CUDA version can run (13000: 13.0). Error: NOT_FOUND, with the
 * remedy. Thread-safe. */
snapmla_status smla_cublaslt_open(int driver_version, const smla_cublaslt **out);

#endif
