/* Tensor copies: a box of a strided tensor into shared memory. They complete as bulk copies do. */
#include <string.h>

#include "copies.h"
#include "fault.h"
#include "global_memory.h"
#include "machine.h"

/* The bytes of the box's row `row` that lie in the tensor, from `first` of the row; 0: none. */
static uint32_t inside(const smla_tensor_map_text *map, const int32_t at[3], uint32_t row, uint32_t *first) {
  const int64_t y = (int64_t)at[1] + row;
  if (y < 0 || (uint64_t)y >= map->extents[1] || at[2] < 0 || (uint64_t)at[2] >= map->extents[2]) return 0;
  const int64_t begin = at[0] < 0 ? 0 : at[0], last = (int64_t)at[0] + map->box[0];
  const int64_t end = last < (int64_t)map->extents[0] ? last : (int64_t)map->extents[0];
  *first = (uint32_t)(begin - at[0]);
  return begin < end ? (uint32_t)(end - begin) : 0;
}

static const unsigned char *source_of(const smla_tensor_map_text *map, const int32_t at[3], uint32_t row,
                                      uint32_t first) {
  return map->base + (uint64_t)at[2] * map->strides[1] + ((uint64_t)at[1] + row) * map->strides[0] +
         (uint64_t)(at[0] + (int64_t)first);
}

void smla_tensor_copy_land(const smla_tensor_map_text *map, const int32_t at[3], uint8_t *shared) {
  for (uint32_t row = 0; row < map->box[1]; row++) {
    uint8_t bytes[256] = {0};
    uint32_t first = 0, count = inside(map, at, row, &first);
    if (count) memcpy(bytes + first, source_of(map, at, row, first), count);
    uint8_t *target = shared + row * map->box[0];
    for (uint32_t chunk = 0; chunk < map->box[0] / SMLA_GRANULE; chunk++)
      memcpy(target + (chunk ^ (map->swizzled ? row % 8 : 0)) * SMLA_GRANULE, bytes + chunk * SMLA_GRANULE,
             SMLA_GRANULE);
  }
}

static void tensor_copy(smla_thread *thread, uint32_t address, const void *opaque, const int32_t at[3], uint32_t bytes,
                        uint32_t barrier, uint32_t rank_mask, const char *name, smla_place line) {
  smla_cluster *cluster = thread->block->cluster;
  const smla_tensor_map_text *map = opaque;
  if ((uintptr_t)opaque % 64 || map->mark != SMLA_TENSOR_MAP_MARK)
    smla_fault_end(cluster, SMLA_FAULT_COPY_ARGUMENT, line, "%s of %s: %p is no tensor map", name,
                   smla_thread_name(thread), opaque);
  if (bytes != map->box[0] * map->box[1])
    smla_fault_end(cluster, SMLA_FAULT_COPY_ARGUMENT, line,
                   "%s of %s says %u bytes, and the map's box has %u rows of %u bytes", name, smla_thread_name(thread),
                   bytes, map->box[1], map->box[0]);
  uint32_t offset, barrier_offset;
  const uint32_t alignment = map->swizzled ? 1024 : 128;
  const smla_block *local = smla_shared_locate(thread, address, bytes, alignment, name, line, &offset);
  const smla_block *signalled = smla_shared_locate(thread, barrier, 8, 8, name, line, &barrier_offset);
  if (local != thread->block || signalled != thread->block)
    smla_fault_end(cluster, SMLA_FAULT_COPY_ARGUMENT, line,
                   "%s of %s names another block's shared address: give its own", name, smla_thread_name(thread));
  for (uint32_t row = 0; row < map->box[1]; row++) {
    uint32_t first = 0, count = inside(map, at, row, &first);
    if (!count) continue;
    smla_global_check(thread, source_of(map, at, row, first), count, 1, 0, name, line);
    thread->role->global_read += count;
  }
  thread->role->copied += bytes;
  smla_copy_send(thread,
                 &(smla_copy){.offset = offset, .bytes = bytes, .map = map, .at = {at[0], at[1], at[2]}, .line = line},
                 barrier_offset, rank_mask, name);
  smla_thread_yield(thread, 0);
}

void smla_tensor_copy(unsigned address, const void *map, int x, int y, int z, unsigned bytes, unsigned barrier,
                      smla_place line) {
  smla_thread *thread = smla_step(line);
  const int32_t at[3] = {x, y, z};
  tensor_copy(thread, address, map, at, bytes, barrier, 1u << thread->block->rank, "tensor_copy", line);
}

void smla_tensor_copy_multicast(unsigned address, const void *map, int x, int y, int z, unsigned bytes,
                                unsigned barrier, unsigned rank_mask, smla_place line) {
  const int32_t at[3] = {x, y, z};
  tensor_copy(smla_step(line), address, map, at, bytes, barrier, rank_mask, "tensor_copy_multicast", line);
}
