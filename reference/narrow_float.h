/* e4m3, bf16 and f16, the first two as the hardware converts them (measured over all 2^32 floats on an H200). Pure, thread-safe. */
#ifndef SMLA_REFERENCE_NARROW_FLOAT_H
#define SMLA_REFERENCE_NARROW_FLOAT_H

#include <stdint.h>

/* cvt.rn.satfinite: to nearest even, subnormals kept, ±inf -> ±448, NaN -> 0x7f */
uint8_t smla_e4m3_from_float(float value);
float smla_e4m3_to_float(uint8_t bits);     /* exact; 0x7f and 0xff are NaN */
uint16_t smla_bf16_from_float(float value); /* cvt.rn: to nearest even, NaN -> 0x7fff */
float smla_bf16_to_float(uint16_t bits);    /* exact */
uint16_t smla_f16_from_float(
    float value);                       /* cvt.rn: to nearest even, subnormals kept, overflow -> inf, NaN -> 0x7fff */
float smla_f16_to_float(uint16_t bits); /* exact */

#endif
