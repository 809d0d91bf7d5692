/* A plain product of bf16 by cuBLASLt: out[tokens x rows] = x[tokens x k] . w[rows x k], sums in fp32. How each number of tokens is multiplied is
 * chosen when the product is made; a call allocates nothing and may be captured into a graph. The device's context is current in every call. */
#ifndef SMLA_LAUNCH_PLAIN_PRODUCT_H
#define SMLA_LAUNCH_PLAIN_PRODUCT_H

#include <stddef.h>
#include <stdint.h>

#include <snapmla/status.h>

typedef struct smla_product_shape {
  int32_t rows, k, most_tokens;
} smla_product_shape;

/* Device pointers, 16-byte aligned; strides in elements, multiples of 8. */
typedef struct smla_product_call {
  const void *w; /* [rows, k] */
  int64_t w_stride;
  const void *x; /* [tokens, k] */
  int64_t x_stride;
  void *out; /* [tokens, rows] */
  int64_t out_stride;
  int32_t tokens;
  void *workspace; /* of smla_plain_product_workspace bytes, 256-byte aligned */
  void *stream;
} smla_product_call;

typedef struct smla_plain_product smla_plain_product;

/* Opens the library, for a driver of this CUDA version. Errors: NOT_FOUND (no library), DEVICE (it does not start), UNSUPPORTED (it has
 * no way for the shape), OUT_OF_MEMORY. */
snapmla_status smla_plain_product_create(const smla_product_shape *shape, int driver_version, smla_plain_product **out);
void smla_plain_product_destroy(smla_plain_product *product); /* NULL is harmless */

size_t smla_plain_product_workspace(const smla_plain_product *product);

/* "cuBLASLt 13.0.1, PATH" */
const char *smla_plain_product_library(const smla_plain_product *product);

/* Asynchronous. Errors: UNSUPPORTED (the library does not take this call; nothing was launched), DEVICE. Thread-safe. */
snapmla_status smla_plain_product_run(const smla_plain_product *product, const smla_product_call *call);

#endif
