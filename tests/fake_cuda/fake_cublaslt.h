/* A libcublasLt for tests, for the memory of the fake libcuda: products of bf16 with sums in fp32, done in the call. It is stricter than the
 * library where that shows mistakes: descriptors that nobody made, addresses and strides less aligned than was promised, a workspace other
 * than was asked for, another algorithm than it chose. Not thread-safe. */
#ifndef TESTS_FAKE_CUBLASLT_H
#define TESTS_FAKE_CUBLASLT_H

#include <stddef.h>
#include <stdint.h>

#include "fake_cuda.h"

enum { FAKE_CUBLASLT_WORKSPACE = 4096 /* bytes that its algorithms want */ };

/* One product as it was asked for: out[tokens, rows] = x[tokens, k] . w[rows, k]. */
typedef struct fake_cublaslt_product {
  uint64_t rows, k, tokens;
  int64_t w_stride, x_stride, out_stride;
  uint64_t chosen_for; /* the tokens that its algorithm was chosen for */
  const void *workspace, *stream;
} fake_cublaslt_product;

/* Forgets products and failures. */
FAKE_CUDA_API void fake_cublaslt_reset(void);

/* The call of this name ("cublasLtMatmul") fails with `result` from now on. NULL: none does. */
FAKE_CUDA_API void fake_cublaslt_fail(const char *call, int result);

FAKE_CUDA_API int fake_cublaslt_count(void);
FAKE_CUDA_API fake_cublaslt_product fake_cublaslt_last(void);

/* Handles, descriptors and preferences that were made and not given back. */
FAKE_CUDA_API int fake_cublaslt_living(void);

/* Names this library in SNAPMLA_CUBLASLT; 0 on success. */
FAKE_CUDA_API int fake_cublaslt_use(void);

#endif
