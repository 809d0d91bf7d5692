/* The matrix descriptors of wgmma: made by wgmma_descriptor, taken apart when an operation is issued. */
#include "fault.h"
#include "tensor.h"

/* Bits of a descriptor, PTX ISA "Matrix descriptor": start address / 16 at 0, leading byte offset / 16 at 16, stride
 * byte offset / 16 at 32, swizzle mode at 62 (1: 128 bytes, 2: 64 bytes). */
#define START_MASK 0x3fffull
#define LEADING_SHIFT 16
#define STRIDE_SHIFT 32
#define SWIZZLE_SHIFT 62
#define SWIZZLE_128 1ull
#define SWIZZLE_64 2ull
#define PATTERN 1024u /* of the 128-byte swizzle: 8 rows of 128 bytes */
#define UNUSED_MASK (0x3full << 46 | 0xfffull << 50 | 3ull << 14 | 3ull << 30)

unsigned long long smla_wgmma_descriptor(unsigned address, unsigned stride, smla_place line) {
  smla_thread *thread = smla_current;
  if (address % 16 != 0 || stride % 1024 != 0 || stride >> 4 > START_MASK || address >> 4 > START_MASK)
    smla_fault_end(
        thread->block->cluster, SMLA_FAULT_DESCRIPTOR, line,
        "%s describes an operand at shared offset %lld with stride %u: the start is a multiple of 16 in the block's "
        "own memory, the stride between 8-row groups a multiple of 1024 below 262144",
        smla_thread_name(thread), (long long)address - SMLA_SHARED_BASE, stride);
  return (unsigned long long)address >> 4 | 1ull << LEADING_SHIFT | (unsigned long long)(stride >> 4) << STRIDE_SHIFT |
         SWIZZLE_128 << SWIZZLE_SHIFT;
}

unsigned long long smla_wgmma_descriptor_columns(unsigned address, unsigned stride, smla_place line) {
  smla_thread *thread = smla_current;
  if (address % 16 != 0 || stride % PATTERN != 0 || stride >> 4 > START_MASK || address >> 4 > START_MASK)
    smla_fault_end(
        thread->block->cluster, SMLA_FAULT_DESCRIPTOR, line,
        "%s describes an operand by columns at shared offset %lld with stride %u: the start is a multiple of 16 in the "
        "block's own memory, the stride between 64 columns and the next a multiple of 1024 below 262144",
        smla_thread_name(thread), (long long)address - SMLA_SHARED_BASE, stride);
  return (unsigned long long)address >> 4 | (unsigned long long)(stride >> 4) << LEADING_SHIFT |
         (unsigned long long)(PATTERN >> 4) << STRIDE_SHIFT | SWIZZLE_128 << SWIZZLE_SHIFT;
}

unsigned long long smla_descriptor_advance(unsigned long long descriptor, unsigned bytes, smla_place line) {
  smla_thread *thread = smla_current;
  const unsigned long long start = (descriptor & START_MASK) + (bytes >> 4);
  if (bytes % 16 != 0 || start > START_MASK)
    smla_fault_end(thread->block->cluster, SMLA_FAULT_DESCRIPTOR, line,
                   "%s advances a descriptor by %u bytes: give a multiple of 16 that stays below 256 KB",
                   smla_thread_name(thread), bytes);
  return (descriptor & ~START_MASK) | start;
}

void smla_operand_decode(smla_thread *thread, unsigned long long descriptor, uint32_t rows, const char *name,
                         smla_place line, smla_operand *operand) {
  smla_cluster *cluster = thread->block->cluster;
  const uint32_t start = (uint32_t)(descriptor & START_MASK) << 4;
  const uint32_t stride = (uint32_t)(descriptor >> STRIDE_SHIFT & START_MASK) << 4;
  const unsigned long long swizzle = descriptor >> SWIZZLE_SHIFT;
  if ((swizzle != SWIZZLE_128 && swizzle != SWIZZLE_64) || (descriptor & UNUSED_MASK) != 0)
    smla_fault_end(
        cluster, SMLA_FAULT_DESCRIPTOR, line,
        "operand %s of %s has descriptor 0x%016llx: only K-major operands with the 128-byte swizzle, made by "
        "wgmma_descriptor, and with the 64-byte one, by descriptor_narrow, are known",
        name, smla_thread_name(thread), descriptor);
  const uint32_t row_bytes = swizzle == SWIZZLE_128 ? 128 : 64, pattern = 8 * row_bytes;
  if (start % pattern >= row_bytes)
    smla_fault_end(cluster, SMLA_FAULT_DESCRIPTOR, line,
                   "operand %s of %s starts at shared offset %lld, row %u of a swizzle pattern: an operand starts in "
                   "the first row "
                   "of a %u-byte pattern",
                   name, smla_thread_name(thread), (long long)start - SMLA_SHARED_BASE, start % pattern / row_bytes,
                   pattern);
  if (start % row_bytes + SMLA_K_BYTES > row_bytes)
    smla_fault_end(cluster, SMLA_FAULT_DESCRIPTOR, line,
                   "operand %s of %s starts at byte %u of a %u-byte row and reads 32 bytes: advance within the row, "
                   "then go on to "
                   "the next subtile",
                   name, smla_thread_name(thread), start % row_bytes, row_bytes);
  const uint64_t last = (uint64_t)(start / row_bytes * row_bytes) + (uint64_t)(rows / 8 - 1) * stride + pattern;
  if (start < SMLA_SHARED_BASE || last > SMLA_SHARED_BASE + thread->block->shared.size)
    smla_fault_end(cluster, SMLA_FAULT_DESCRIPTOR, line,
                   "operand %s of %s covers shared offsets %lld to %lld (%u rows, stride %u) of the block's %u bytes",
                   name, smla_thread_name(thread), (long long)start - SMLA_SHARED_BASE,
                   (long long)last - SMLA_SHARED_BASE - 1, rows, stride, thread->block->shared.size);
  *operand = (smla_operand){start - SMLA_SHARED_BASE, stride, rows, row_bytes, 0};
}

void smla_operand_decode_columns(smla_thread *thread, unsigned long long descriptor, uint32_t columns, smla_place line,
                                 smla_operand *operand) {
  smla_cluster *cluster = thread->block->cluster;
  const uint32_t start = (uint32_t)(descriptor & START_MASK) << 4;
  const uint32_t chunk = (uint32_t)(descriptor >> LEADING_SHIFT & START_MASK) << 4;
  const uint32_t stride = (uint32_t)(descriptor >> STRIDE_SHIFT & START_MASK) << 4;
  const uint32_t chunks = (columns + 63) / 64;
  if (descriptor >> SWIZZLE_SHIFT != SWIZZLE_128 || stride != PATTERN || chunk % PATTERN != 0 ||
      (descriptor & UNUSED_MASK) != 0)
    smla_fault_end(cluster, SMLA_FAULT_DESCRIPTOR, line,
                   "operand B of %s, by columns, has descriptor 0x%016llx: make it by wgmma_descriptor_columns",
                   smla_thread_name(thread), descriptor);
  if (start % PATTERN != 0)
    smla_fault_end(cluster, SMLA_FAULT_DESCRIPTOR, line,
                   "operand B of %s, by columns, starts at shared offset %lld: 8 k steps of 128 bytes start at a "
                   "multiple of 1024",
                   smla_thread_name(thread), (long long)start - SMLA_SHARED_BASE);
  const uint64_t last = (uint64_t)start + (uint64_t)(chunks - 1) * chunk + 2 * PATTERN;
  if (start < SMLA_SHARED_BASE || last > SMLA_SHARED_BASE + thread->block->shared.size)
    smla_fault_end(
        cluster, SMLA_FAULT_DESCRIPTOR, line,
        "operand B of %s, by columns, covers shared offsets %lld to %lld (%u columns, %u bytes from 64 to the "
        "next) of the block's %u bytes",
        smla_thread_name(thread), (long long)start - SMLA_SHARED_BASE, (long long)last - SMLA_SHARED_BASE - 1, columns,
        chunk, thread->block->shared.size);
  *operand = (smla_operand){start - SMLA_SHARED_BASE, chunk, columns, 128, 1};
}
