#include "tensor_map.h"

#include <string.h>

#include "status.h"

enum { UNIT = 16, LARGEST_BOX = 256, SWIZZLED_ROW = 128 };

_Static_assert(sizeof(smla_tensor_map_text) <= SMLA_TENSOR_MAP_BYTES, "a map has 128 bytes");

snapmla_status smla_emulator_tensor_map(const void *base, const uint64_t extents[3], const uint64_t strides[2],
                                        const uint32_t box[2], int swizzled, void *map) {
  int good = (uintptr_t)base % UNIT == 0;
  for (int i = 0; i < 3; i++) good &= extents[i] >= 1 && extents[i] <= UINT64_C(1) << 32;
  for (int i = 0; i < 2; i++) good &= strides[i] % UNIT == 0 && strides[i] < UINT64_C(1) << 40;
  for (int i = 0; i < 2; i++) good &= box[i] >= 1 && box[i] <= LARGEST_BOX;
  good &= box[0] % UNIT == 0 && (!swizzled || box[0] == SWIZZLED_ROW);
  if (!good)
    return smla_fail(
        SNAPMLA_INVALID_ARGUMENT,
        "tensor map: base %p, extents %llu x %llu x %llu, strides %llu and %llu bytes, box %u x %u: base and "
        "strides must be multiples of 16, extents 1 to 2^32, the box at most 256 x 256",
        base, (unsigned long long)extents[0], (unsigned long long)extents[1], (unsigned long long)extents[2],
        (unsigned long long)strides[0], (unsigned long long)strides[1], box[0], box[1]);
  smla_tensor_map_text text = {.mark = SMLA_TENSOR_MAP_MARK,
                               .base = base,
                               .extents = {extents[0], extents[1], extents[2]},
                               .strides = {strides[0], strides[1]},
                               .box = {box[0], box[1]},
                               .swizzled = swizzled != 0};
  memset(map, 0, SMLA_TENSOR_MAP_BYTES);
  memcpy(map, &text, sizeof text);
  return SNAPMLA_OK;
}
