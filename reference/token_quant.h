/* The quantisation that the cache and the query share: one fp32 scale per row, content in e4m3, RoPE divided by the
 * scale and kept in bf16, so that both accumulate in one unit. Each step is one IEEE fp32 operation on the widened
 * bf16 input, so a kernel that follows gives the same bits. Pure, thread-safe. */
#ifndef SMLA_REFERENCE_TOKEN_QUANT_H
#define SMLA_REFERENCE_TOKEN_QUANT_H

#include <stdint.h>

/* max(amax / 448, 2^-40), amax the largest magnitude of the row; NaNs in the row are passed over. */
float smla_token_quant_scale(const uint16_t *content, int32_t count);

/* The least power of two that is no less than a positive, normal `scale`. */
float smla_token_quant_power_of_two(float scale);

/* e4m3(value / scale) and bf16(value / scale) of a bf16 value, to nearest even. */
uint8_t smla_token_quant_content(uint16_t value, float scale);
uint16_t smla_token_quant_rope(uint16_t value, float scale);

/* Four more bits of value / scale, whose e4m3 number is `content`: a sign and a magnitude 0..7 of what that leaves, in sixteenths of
 * the number's own step, between whole ones: it stands for +-(magnitude + 1/2) of them. A number below 2^-2 has no more bits (0). */
uint8_t smla_token_quant_residual(uint16_t value, float scale, uint8_t content);

/* Sixteen times what such four bits stand for, in units of the scale: an e4m3 number. */
float smla_token_residual_sixteenfold(uint8_t content, uint8_t residual);

#endif
