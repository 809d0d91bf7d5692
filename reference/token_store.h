/* One token in a page of any format: quantised and written, read back, or loaded as the oracle computes with it. The steps of
 * docs/format.md, each one IEEE fp32 operation, so that kv_append gives the same bits. Pure, thread-safe. */
#ifndef SMLA_REFERENCE_TOKEN_STORE_H
#define SMLA_REFERENCE_TOKEN_STORE_H

#include <stdint.h>

#include "page_layout.h"

/* `kv_scale` is the cache's, of formats that have one (SMLA_SCALING_CALL); others pass it over. `page` is the page's start. */
void smla_token_write(const smla_page_geometry *geometry, float kv_scale, unsigned char *page, int32_t token,
                      const uint16_t *latent, const uint16_t *rope);

/* latent [latent_rank] and rope [rope_dim] as fp32: stored * scale. */
void smla_token_read(const smla_page_geometry *geometry, float kv_scale, const unsigned char *page, int32_t token,
                     float *latent, float *rope);

/* The same exactly: the token is `*scale` times what latent and rope get. Where groups of channels have scales, *scale is 1, and
 * latent is multiplied by them, or they are put into `groups`, [latent_rank / 128], unless that is NULL. Other formats pass it
 * over. */
void smla_token_load(const smla_page_geometry *geometry, float kv_scale, const unsigned char *page, int32_t token,
                     double *latent, double *rope, double *scale, double *groups);

/* Sixteen times the residual's part of latent, [latent_rank], in units of the token's scale: e4m3 numbers. For formats that have one. */
void smla_token_load_residual(const smla_page_geometry *geometry, const unsigned char *page, int32_t token,
                              double *residual);

#endif
