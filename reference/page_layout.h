/* Where each byte of a page lies: the C text of docs/format.md. Pure, thread-safe. */
#ifndef SMLA_REFERENCE_PAGE_LAYOUT_H
#define SMLA_REFERENCE_PAGE_LAYOUT_H

#include <stdint.h>

#include <snapmla/problem.h>

#include "kv_format.h"

enum {
  SMLA_IMAGE_TOKENS = 64,    /* most tokens of one image; a smaller page is one image */
  SMLA_SUBTILE_ROW = 128,    /* bytes of one token in a subtile */
  SMLA_PAGE_ALIGNMENT = 128, /* bytes, of a page's address and of its size */
  SMLA_LAYOUT_VERSION = 1    /* raised whenever a byte moves or changes its meaning */
};

/* The layout of one problem. Offsets are bytes from the start of an image, or of a token's row. */
typedef struct smla_page_geometry {
  const smla_kv_facts *facts;
  int32_t latent_rank, rope_dim, page_tokens, image_tokens;
  int power_of_two;      /* scales are rounded up to a power of two when a token is written */
  int64_t row_bytes;     /* from token to token; 0 in images */
  int64_t subtile_bytes; /* of an image: image_tokens rows of 128 bytes */
  int32_t rope_row;      /* of an image: bytes of a token in a subtile of RoPE: 128, or 64 where that is all of it */
  int64_t rope_offset, residual_offset, scales_offset; /* residuals: of images whose format has them */
  int64_t image_bytes, page_bytes;                     /* image_bytes: of image_tokens tokens, in rows too */
} smla_page_geometry;

/* `problem` has passed snapmla_problem_check. */
smla_page_geometry smla_page_geometry_of(const snapmla_problem *problem);

/* Byte offsets in a page, of token 0 .. page_tokens - 1: of the first byte of a latent channel, of a RoPE channel, of the first
 * scale (where the format has any; the others follow it). */
int64_t smla_page_latent_offset(const smla_page_geometry *geometry, int32_t token, int32_t channel);
int64_t smla_page_rope_offset(const smla_page_geometry *geometry, int32_t token, int32_t channel);
int64_t smla_page_scale_offset(const smla_page_geometry *geometry, int32_t token);

/* Of the byte that has the channel's residual: in the low half where the channel is even, else in the high one. */
int64_t smla_page_residual_offset(const smla_page_geometry *geometry, int32_t token, int32_t channel);

#endif
