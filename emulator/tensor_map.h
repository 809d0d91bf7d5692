/* The emulator's tensor maps: what a tensor_copy fetches by, in the 128 bytes that a driver fills with a text of its own. */
#ifndef SMLA_EMULATOR_TENSOR_MAP_H
#define SMLA_EMULATOR_TENSOR_MAP_H

#include <stdint.h>

#include <snapmla/status.h>

enum { SMLA_TENSOR_MAP_BYTES = 128 };

/* Bytes in rows in planes. */
typedef struct smla_tensor_map_text {
  uint64_t mark; /* SMLA_TENSOR_MAP_MARK: that an encoder made it */
  const unsigned char *base;
  uint64_t extents[3]; /* bytes of a row, rows of a plane, planes */
  uint64_t strides[2]; /* bytes from row to row, from plane to plane */
  uint32_t box[2];     /* bytes of a row, rows: what one copy fetches */
  uint64_t swizzled;   /* nonzero: 16-byte chunk i of the box's row r goes to chunk i XOR (r mod 8) */
} smla_tensor_map_text;

#define SMLA_TENSOR_MAP_MARK UINT64_C(0x736d6c615f746d61)

/* Writes a map of 128 bytes at `map` under the driver's rules: base and strides multiples of 16, strides below 2^40, extents
 * 1..2^32, boxes 1..256, the box's row a multiple of 16 bytes, 128 where swizzled. Error: INVALID_ARGUMENT. Pure. */
snapmla_status smla_emulator_tensor_map(const void *base, const uint64_t extents[3], const uint64_t strides[2],
                                        const uint32_t box[2], int swizzled, void *map);

#endif
