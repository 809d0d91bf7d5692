/* The quantisation that the cache and the query share: one fp32 scale per row, content in e4m3, RoPE divided by the
 * scale and kept in bf16, so that both accumulate in one unit. Each step is one IEEE fp32 operation on the widened
 * bf16 input, so a kernel that follows gives the same bits. Pure, thread-safe. */
#ifndef SMLA_REFERENCE_TOKEN_QUANT_H
#define SMLA_REFERENCE_TOKEN_QUANT_H

#include <stdint.h>

/* max(amax / 448, 2^-40), amax the largest magnitude of the row; NaNs in the row are passed over. */
float smla_token_quant_scale(const uint16_t *content, int32_t count);

/* The least power of two that is not below `scale`, positive: dividing a bf16 number by it is exact. */
float smla_token_quant_whole_scale(float scale);

/* e4m3(value / scale) and bf16(value / scale) of a bf16 value, to nearest even. */
uint8_t smla_token_quant_content(uint16_t value, float scale);
uint16_t smla_token_quant_rope(uint16_t value, float scale);

#endif
