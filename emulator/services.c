/* The table that compiled kernels call. */
#include <math.h>

#include "global_memory.h"
#include "machine.h"
#include "mma.h"
#include "narrow_float.h"

static const smla_identity *identity(void) { return &smla_current->identity; }

static float exp2_approx(float x) {
  smla_current->role->exponentials++;
  return smla_exp2_approx(x);
}

static float log2_approx(float x) {
  smla_current->role->exponentials++;
  return smla_log2_approx(x);
}

static float reciprocal_approx(float x) {
  smla_current->role->exponentials++;
  return smla_reciprocal_approx(x);
}

static float fused_multiply_add(float a, float b, float c) { return fmaf(a, b, c); }

static unsigned pack_e4m3(float a, float b, float c, float d) {
  return smla_e4m3_from_float(a) | (unsigned)smla_e4m3_from_float(b) << 8 | (unsigned)smla_e4m3_from_float(c) << 16 |
         (unsigned)smla_e4m3_from_float(d) << 24;
}

static float unpack_e4m3(unsigned bits) { return smla_e4m3_to_float((uint8_t)bits); }

static unsigned pack_f16(float lo, float hi) {
  return smla_f16_from_float(lo) | (unsigned)smla_f16_from_float(hi) << 16;
}

static float unpack_f16(unsigned bits) { return smla_f16_to_float((uint16_t)bits); }

static unsigned pack_bf16(float lo, float hi) {
  return smla_bf16_from_float(lo) | (unsigned)smla_bf16_from_float(hi) << 16;
}

/* Nothing precedes or follows a launch here: launches of an emulator run one at a time. */
static void grid_dependency(smla_place line) { smla_step(line); }

static const smla_services table = {
    .version = SMLA_SERVICES_VERSION,
    .identity = identity,
    .global_load = smla_global_load,
    .global_store = smla_global_store,
    .global_atomic = smla_global_atomic,
    .shared_load = smla_shared_load,
    .shared_store = smla_shared_store,
    .shared_address = smla_shared_address,
    .block_sync = smla_block_sync,
    .warp_sync = smla_warp_sync,
    .barrier_sync = smla_barrier_sync,
    .barrier_arrive = smla_barrier_arrive,
    .cluster_sync = smla_cluster_sync,
    .mbarrier_init = smla_mbarrier_init,
    .mbarrier_init_fence = smla_mbarrier_init_fence,
    .mbarrier_arrive = smla_mbarrier_arrive,
    .mbarrier_arrive_remote = smla_mbarrier_arrive_remote,
    .mbarrier_wait = smla_mbarrier_wait,
    .mbarrier_test = smla_mbarrier_test,
    .bulk_copy = smla_bulk_copy,
    .bulk_copy_multicast = smla_bulk_copy_multicast,
    .tensor_copy = smla_tensor_copy,
    .tensor_copy_multicast = smla_tensor_copy_multicast,
    .bulk_store = smla_bulk_store,
    .bulk_store_commit = smla_bulk_store_commit,
    .bulk_store_wait = smla_bulk_store_wait,
    .bulk_prefetch = smla_bulk_prefetch,
    .thread_copy = smla_thread_copy,
    .mbarrier_arrive_after_copies = smla_mbarrier_arrive_after_copies,
    .fence_async_proxy = smla_fence_async_proxy,
    .frag_add = smla_frag_add,
    .frag_remove = smla_frag_remove,
    .frag_fault = smla_frag_fault,
    .wgmma_descriptor = smla_wgmma_descriptor,
    .wgmma_descriptor_columns = smla_wgmma_descriptor_columns,
    .descriptor_advance = smla_descriptor_advance,
    .wgmma = smla_wgmma_issue,
    .wgmma_fence = smla_wgmma_fence,
    .wgmma_commit = smla_wgmma_commit,
    .wgmma_wait = smla_wgmma_wait,
    .ldmatrix = smla_ldmatrix,
    .stmatrix = smla_stmatrix,
    .registers = smla_registers,
    .shared_address_of_rank = smla_shared_address_of_rank,
    .grid_dependency_wait = grid_dependency,
    .grid_dependency_launch = grid_dependency,
    .warp_agrees = smla_warp_agrees,
    .shuffle = smla_shuffle,
    .vote = smla_vote,
    .exp2_approx = exp2_approx,
    .log2_approx = log2_approx,
    .reciprocal_approx = reciprocal_approx,
    .fma = fused_multiply_add,
    .pack_e4m3 = pack_e4m3,
    .unpack_e4m3 = unpack_e4m3,
    .pack_bf16 = pack_bf16,
    .pack_f16 = pack_f16,
    .unpack_f16 = unpack_f16,
};

const smla_services *smla_services_table(void) { return &table; }
