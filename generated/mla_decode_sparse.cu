// Generated from templates/mla_decode/mla_decode.cu.tmpl: do not edit.
//   variant: mla_decode:rows=64,latent=512,rope=64,page=64,format=fp8_token,accuracy=fast,query_terms=1,p_terms=1,score_parts=2,promotion=tile,sums=rounded,limits=kept,pipeline=on,tokens=indexed,partial=bf16,stages=4
//   command: snapmla gen --variant 'mla_decode:rows=64,latent=512,rope=64,page=64,format=fp8_token,accuracy=fast,query_terms=1,p_terms=1,score_parts=2,promotion=tile,sums=rounded,limits=kept,pipeline=on,tokens=indexed,partial=bf16,stages=4' --target sm90a
// Decodes 64 query rows of a request against a run of its KV tiles (64 tokens each), unit by unit of the schedule.
//
// Four warpgroups, each with a role, meet only at transaction barriers, so that the copies, the scores, the softmax and the
// value products of different tiles overlap:
//   warpgroup 0   warps 0 and 3 gather rows, warp 1 the query, warp 2 prepares scales     (24 registers)
//   warpgroup 1   score: S = Q K^T of the next tile under the softmax of this one; P       (120)
//   warpgroups 2, 3   accumulate: O^T[latent / 2 x 64 rows] += V^T P^T, V^T through registers   (184 each)
// Each query token of a request has a list of slots of its own and is a request to the schedule: row r is head r. A tile is 64 entries
// of a list.
//
// shared memory    bytes     written by        read by
//   query          40960     fetch_query       score
//   kv             163840    gather_tokens     score, accumulate
//   p              16384     score             accumulate
//   weight         2048      prepare_scales    accumulate: inverse scales in e4m3 terms
//   raw_scale      1024      gather_tokens     prepare_scales
//   scale          2048      prepare_scales    score
//   inv_scale      1024      prepare_scales    score
//   rescale        1024      score             accumulate
//   row_sum        1024      accumulate        accumulate: of this run and the one before
//   unit           64        prepare_scales    accumulate: what pairs of those count
//   changed        16        score             accumulate
//
// barrier        arrivals  completes when                                  waited for by
//   kv_full      64        its rows and their scales have landed           prepare_scales
//   kv_ready     1         its scales are prepared, its rows fenced        score
//   weights_full 1         its inverse scales are wgmma's operand          accumulate
//   kv_empty     8         accumulate has read it (and score before)       gather_tokens
//   p_full       4         P, rescale factors and flags are written        accumulate
//   p_empty      8         accumulate has read them                        score
//   query_full   1         the query image has landed                      score
//   query_empty  4         the last tile's scores are done                 fetch_query

// The dialect on the GPU (docs/dialect.md): every Hopper primitive, each written once, as inline PTX.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int i32;
typedef long long i64;

#define DEVICE __device__ __forceinline__
#define KERNEL(name, threads) \
  extern "C" __global__ void __launch_bounds__(threads, 1) name(const __grid_constant__ Params p)
#define KERNEL_RESIDENT(name, threads, blocks) \
  extern "C" __global__ void __launch_bounds__(threads, blocks) name(const __grid_constant__ Params p)
#define KERNEL_CLUSTER(name, threads, blocks) \
  extern "C" __global__ void __cluster_dims__(blocks, 1, 1) __launch_bounds__(threads, 1) \
      name(const __grid_constant__ Params p)

// ---- indices
DEVICE u32 thread_index() { return threadIdx.x; }
DEVICE u32 block_index() { return blockIdx.x; }
DEVICE u32 block_index_y() { return blockIdx.y; }
DEVICE u32 block_index_z() { return blockIdx.z; }
DEVICE u32 block_count() { return gridDim.x; }
DEVICE u32 lane_index() { return threadIdx.x & 31; }
// The shuffle tells the compiler that the warp agrees: descriptors and branches stay uniform.
DEVICE u32 warp_index() { return __shfl_sync(0xffffffffu, threadIdx.x >> 5, 0); }
DEVICE u32 warpgroup_index() { return __shfl_sync(0xffffffffu, threadIdx.x >> 7, 0); }
DEVICE u32 cluster_rank() {
  u32 r;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(r));
  return r;
}

// ---- clocks
DEVICE u64 clock_cycles() {
  u64 t;
  asm volatile("mov.u64 %0, %%clock64;" : "=l"(t) :: "memory");
  return t;
}
DEVICE u64 nanoseconds() {
  u64 t;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(t) :: "memory");
  return t;
}

// ---- bits
DEVICE u32 bits_of(float x) { return __float_as_uint(x); }
DEVICE float float_of(u32 x) { return __uint_as_float(x); }
template <class To, class From> DEVICE To reinterpret_bits(const From &from) {
  static_assert(sizeof(To) == sizeof(From), "sizes differ");
  To to;
  memcpy(&to, &from, sizeof to);
  return to;
}


// Hides where a value came from, so that what is computed from it is not hoisted out of a loop into scarce registers, and that it is computed
// where it stands, not behind a wait that follows.
DEVICE u32 pin(u32 x) {
  asm volatile("" : "+r"(x));
  return x;
}
DEVICE u64 pin(u64 x) {
  asm volatile("" : "+l"(x));
  return x;
}

// ---- global memory
template <class T> DEVICE T global_load(const T *at) {
  if constexpr (sizeof(T) == 1) {
    u32 raw;
    asm volatile("ld.global.u8 %0, [%1];" : "=r"(raw) : "l"(at) : "memory");
    return reinterpret_bits<T>((u8)raw);
  } else if constexpr (sizeof(T) == 2) {
    u16 raw;
    asm volatile("ld.global.u16 %0, [%1];" : "=h"(raw) : "l"(at) : "memory");
    return reinterpret_bits<T>(raw);
  } else if constexpr (sizeof(T) == 4) {
    u32 raw;
    asm volatile("ld.global.b32 %0, [%1];" : "=r"(raw) : "l"(at) : "memory");
    return reinterpret_bits<T>(raw);
  } else if constexpr (sizeof(T) == 8) {
    u64 raw;
    asm volatile("ld.global.b64 %0, [%1];" : "=l"(raw) : "l"(at) : "memory");
    return reinterpret_bits<T>(raw);
  } else {
    static_assert(sizeof(T) == 16, "1, 2, 4, 8 or 16 bytes");
    uint4 raw;
    asm volatile("ld.global.v4.b32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(raw.x), "=r"(raw.y), "=r"(raw.z), "=r"(raw.w) : "l"(at) : "memory");
    return reinterpret_bits<T>(raw);
  }
}
template <class T> DEVICE T global_load_constant(const T *at) {
  if constexpr (sizeof(T) == 1) {
    u32 raw;
    asm volatile("ld.global.nc.u8 %0, [%1];" : "=r"(raw) : "l"(at) : "memory");
    return reinterpret_bits<T>((u8)raw);
  } else if constexpr (sizeof(T) == 2) {
    u16 raw;
    asm volatile("ld.global.nc.u16 %0, [%1];" : "=h"(raw) : "l"(at) : "memory");
    return reinterpret_bits<T>(raw);
  } else if constexpr (sizeof(T) == 4) {
    u32 raw;
    asm volatile("ld.global.nc.b32 %0, [%1];" : "=r"(raw) : "l"(at) : "memory");
    return reinterpret_bits<T>(raw);
  } else if constexpr (sizeof(T) == 8) {
    u64 raw;
    asm volatile("ld.global.nc.b64 %0, [%1];" : "=l"(raw) : "l"(at) : "memory");
    return reinterpret_bits<T>(raw);
  } else {
    static_assert(sizeof(T) == 16, "1, 2, 4, 8 or 16 bytes");
    uint4 raw;
    asm volatile("ld.global.nc.v4.b32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(raw.x), "=r"(raw.y), "=r"(raw.z), "=r"(raw.w) : "l"(at) : "memory");
    return reinterpret_bits<T>(raw);
  }
}
template <class T> DEVICE void global_store(T *at, T value) {
  if constexpr (sizeof(T) == 1) {
    asm volatile("st.global.u8 [%0], %1;" :: "l"(at), "r"((u32)reinterpret_bits<u8>(value)) : "memory");
  } else if constexpr (sizeof(T) == 2) {
    asm volatile("st.global.u16 [%0], %1;" :: "l"(at), "h"(reinterpret_bits<u16>(value)) : "memory");
  } else if constexpr (sizeof(T) == 4) {
    asm volatile("st.global.b32 [%0], %1;" :: "l"(at), "r"(reinterpret_bits<u32>(value)) : "memory");
  } else if constexpr (sizeof(T) == 8) {
    asm volatile("st.global.b64 [%0], %1;" :: "l"(at), "l"(reinterpret_bits<u64>(value)) : "memory");
  } else {
    static_assert(sizeof(T) == 16, "1, 2, 4, 8 or 16 bytes");
    uint4 raw = reinterpret_bits<uint4>(value);
    asm volatile("st.global.v4.b32 [%0], {%1, %2, %3, %4};"
                 :: "l"(at), "r"(raw.x), "r"(raw.y), "r"(raw.z), "r"(raw.w) : "memory");
  }
}
DEVICE u32 global_atomic_or(u32 *at, u32 v) { return atomicOr(at, v); }
DEVICE u32 global_atomic_add(u32 *at, u32 v) { return atomicAdd(at, v); }

// ---- shared memory
extern __shared__ __align__(1024) u8 shared_memory[];
template <class T> DEVICE T shared_load_at(u32 at) {
  if constexpr (sizeof(T) == 1) {
    u32 raw;
    asm volatile("ld.shared.u8 %0, [%1];" : "=r"(raw) : "r"(at) : "memory");
    return reinterpret_bits<T>((u8)raw);
  } else if constexpr (sizeof(T) == 2) {
    u16 raw;
    asm volatile("ld.shared.u16 %0, [%1];" : "=h"(raw) : "r"(at) : "memory");
    return reinterpret_bits<T>(raw);
  } else if constexpr (sizeof(T) == 4) {
    u32 raw;
    asm volatile("ld.shared.b32 %0, [%1];" : "=r"(raw) : "r"(at) : "memory");
    return reinterpret_bits<T>(raw);
  } else if constexpr (sizeof(T) == 8) {
    u64 raw;
    asm volatile("ld.shared.b64 %0, [%1];" : "=l"(raw) : "r"(at) : "memory");
    return reinterpret_bits<T>(raw);
  } else {
    static_assert(sizeof(T) == 16, "1, 2, 4, 8 or 16 bytes");
    uint4 raw;
    asm volatile("ld.shared.v4.b32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(raw.x), "=r"(raw.y), "=r"(raw.z), "=r"(raw.w) : "r"(at) : "memory");
    return reinterpret_bits<T>(raw);
  }
}
template <class T> DEVICE void shared_store_at(u32 at, T value) {
  if constexpr (sizeof(T) == 1) {
    asm volatile("st.shared.u8 [%0], %1;" :: "r"(at), "r"((u32)reinterpret_bits<u8>(value)) : "memory");
  } else if constexpr (sizeof(T) == 2) {
    asm volatile("st.shared.u16 [%0], %1;" :: "r"(at), "h"(reinterpret_bits<u16>(value)) : "memory");
  } else if constexpr (sizeof(T) == 4) {
    asm volatile("st.shared.b32 [%0], %1;" :: "r"(at), "r"(reinterpret_bits<u32>(value)) : "memory");
  } else if constexpr (sizeof(T) == 8) {
    asm volatile("st.shared.b64 [%0], %1;" :: "r"(at), "l"(reinterpret_bits<u64>(value)) : "memory");
  } else {
    static_assert(sizeof(T) == 16, "1, 2, 4, 8 or 16 bytes");
    uint4 raw = reinterpret_bits<uint4>(value);
    asm volatile("st.shared.v4.b32 [%0], {%1, %2, %3, %4};"
                 :: "r"(at), "r"(raw.x), "r"(raw.y), "r"(raw.z), "r"(raw.w) : "memory");
  }
}
template <class T> struct smem {
  u32 at;
  DEVICE u32 address() const { return at; }
  DEVICE smem operator+(i32 elements) const { return {at + elements * (u32)sizeof(T)}; }
  template <class U> DEVICE smem<U> as() const { return {at}; }
  DEVICE T load(i32 index = 0) const { return shared_load_at<T>(at + index * (u32)sizeof(T)); }
  DEVICE void store(i32 index, T value) const { shared_store_at<T>(at + index * (u32)sizeof(T), value); }
};
template <class T> DEVICE smem<T> shared_at(u32 byte_offset) {
  return {(u32)__cvta_generic_to_shared(shared_memory) + byte_offset};
}

// ---- barriers between threads
DEVICE void block_sync() { __syncthreads(); }
DEVICE void warp_sync() { __syncwarp(); }
DEVICE void barrier_sync(u32 id, u32 threads) { asm volatile("bar.sync %0, %1;" :: "r"(id), "r"(threads) : "memory"); }
DEVICE void barrier_arrive(u32 id, u32 threads) {
  asm volatile("bar.arrive %0, %1;" :: "r"(id), "r"(threads) : "memory");
}
DEVICE void cluster_sync() {
  asm volatile("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::: "memory");
}

// ---- transaction barriers
struct mbarrier {
  u32 address;
};
DEVICE mbarrier mbarrier_at(u32 byte_offset) { return {shared_at<u64>(byte_offset).address()}; }
DEVICE void mbarrier_init(mbarrier b, u32 arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" :: "r"(b.address), "r"(arrivals) : "memory");
}
DEVICE void mbarrier_init_fence() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }
DEVICE void mbarrier_arrive(mbarrier b) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" :: "r"(b.address) : "memory");
}
DEVICE void mbarrier_arrive_expect(mbarrier b, u32 bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" :: "r"(b.address), "r"(bytes) : "memory");
}
DEVICE void mbarrier_wait(mbarrier b, u32 parity) {
  asm volatile("{\n.reg .pred done;\nagain_%=:\nmbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
               "@!done bra again_%=;\n}" :: "r"(b.address), "r"(parity) : "memory");
}
DEVICE bool mbarrier_test(mbarrier b, u32 parity) {
  u32 done;
  asm volatile("{\n.reg .pred done;\nmbarrier.test_wait.parity.shared::cta.b64 done, [%1], %2;\n"
               "selp.u32 %0, 1, 0, done;\n}" : "=r"(done) : "r"(b.address), "r"(parity) : "memory");
  return done != 0;
}
DEVICE u32 shared_address_of_rank(u32 address, u32 rank) {
  u32 remote;
  asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(remote) : "r"(address), "r"(rank));
  return remote;
}
// Without release.cluster: that waits till the whole GPU sees what this thread wrote, a microsecond or two there and back.
DEVICE void mbarrier_arrive_remote(mbarrier b, u32 rank) {
  asm volatile("mbarrier.arrive.shared::cluster.b64 _, [%0];" :: "r"(shared_address_of_rank(b.address, rank)) : "memory");
}

// ---- asynchronous copies
// How L2 keeps what a copy reads.
struct l2_policy {
  u64 bits;
};
DEVICE l2_policy l2_evict_first() {
  l2_policy policy;
  asm("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy.bits));
  return policy;
}
DEVICE void bulk_copy(u32 shared_address, const void *global, u32 bytes, mbarrier b) {
  asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];"
               :: "r"(shared_address), "l"(global), "r"(bytes), "r"(b.address) : "memory");
}
DEVICE void bulk_copy(u32 shared_address, const void *global, u32 bytes, mbarrier b, l2_policy l2) {
  asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint [%0], [%1], %2, [%3], %4;"
               :: "r"(shared_address), "l"(global), "r"(bytes), "r"(b.address), "l"(l2.bits) : "memory");
}
DEVICE void bulk_copy_multicast(u32 shared_address, const void *global, u32 bytes, mbarrier b, u16 rank_mask, l2_policy l2) {
  asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster.L2::cache_hint [%0], [%1], %2, "
               "[%3], %4, %5;" :: "r"(shared_address), "l"(global), "r"(bytes), "r"(b.address), "h"(rank_mask), "l"(l2.bits) : "memory");
}
DEVICE void bulk_copy_multicast(u32 shared_address, const void *global, u32 bytes, mbarrier b, u16 rank_mask) {
  asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1], %2, "
               "[%3], %4;" :: "r"(shared_address), "l"(global), "r"(bytes), "r"(b.address), "h"(rank_mask) : "memory");
}
DEVICE void tensor_copy(u32 shared_address, const void *map, i32 x, i32 y, i32 z, u32 bytes, mbarrier b) {
  (void)bytes;
  asm volatile("cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3, %4}], [%5];"
               :: "r"(shared_address), "l"(map), "r"(x), "r"(y), "r"(z), "r"(b.address) : "memory");
}
DEVICE void tensor_copy(u32 shared_address, const void *map, i32 x, i32 y, i32 z, u32 bytes, mbarrier b, l2_policy l2) {
  (void)bytes;
  asm volatile("cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.L2::cache_hint "
               "[%0], [%1, {%2, %3, %4}], [%5], %6;"
               :: "r"(shared_address), "l"(map), "r"(x), "r"(y), "r"(z), "r"(b.address), "l"(l2.bits) : "memory");
}
DEVICE void tensor_copy_multicast(u32 shared_address, const void *map, i32 x, i32 y, i32 z, u32 bytes, mbarrier b, u16 rank_mask) {
  (void)bytes;
  asm volatile("cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.multicast::cluster "
               "[%0], [%1, {%2, %3, %4}], [%5], %6;"
               :: "r"(shared_address), "l"(map), "r"(x), "r"(y), "r"(z), "r"(b.address), "h"(rank_mask) : "memory");
}
DEVICE void tensor_copy_multicast(u32 shared_address, const void *map, i32 x, i32 y, i32 z, u32 bytes, mbarrier b, u16 rank_mask,
                                  l2_policy l2) {
  (void)bytes;
  asm volatile("cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.multicast::cluster.L2::cache_hint "
               "[%0], [%1, {%2, %3, %4}], [%5], %6, %7;"
               :: "r"(shared_address), "l"(map), "r"(x), "r"(y), "r"(z), "r"(b.address), "h"(rank_mask), "l"(l2.bits) : "memory");
}
DEVICE void bulk_store(void *global, u32 shared_address, u32 bytes) {
  asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;"
               :: "l"(global), "r"(shared_address), "r"(bytes) : "memory");
}
DEVICE void bulk_store_commit() { asm volatile("cp.async.bulk.commit_group;" ::: "memory"); }
template <int N> DEVICE void bulk_store_wait() { asm volatile("cp.async.bulk.wait_group.read %0;" :: "n"(N) : "memory"); }
DEVICE void bulk_prefetch(const void *global, u32 bytes) {
  asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" :: "l"(global), "r"(bytes) : "memory");
}
// 16 bytes bypass L1.
template <int Bytes> DEVICE void thread_copy(u32 shared_address, const void *global, bool read) {
  static_assert(Bytes == 4 || Bytes == 8 || Bytes == 16, "a thread copies 4, 8 or 16 bytes");
  if constexpr (Bytes == 16)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" :: "r"(shared_address), "l"(global), "r"(read ? 16 : 0) : "memory");
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], %3, %2;"
                 :: "r"(shared_address), "l"(global), "r"(read ? Bytes : 0), "n"(Bytes) : "memory");
}
DEVICE void mbarrier_arrive_after_copies(mbarrier b) {
  asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" :: "r"(b.address) : "memory");
}
DEVICE void fence_async_proxy() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

// ---- tensor cores
template <int N> struct frag {
  float r[N];
  DEVICE float &operator[](int i) { return r[i]; }
  DEVICE float operator[](int i) const { return r[i]; }
};
struct a_frag {
  u32 r[4];
};
// K-major operand, 128-byte swizzle (layout 1 in bits 62-63), start and stride in units of 16 bytes.
DEVICE u64 wgmma_descriptor(u32 shared_address, u32 stride_bytes) {
  u32 low = 1u << 16 | (shared_address & 0x3ffffu) >> 4;
  asm("" : "+r"(low));  // else the compiler masks every advance of it
  return (u64)1 << 62 | (u64)(stride_bytes >> 4) << 32 | low;
}
// The address is in the low word and does not carry out of it.
DEVICE u64 descriptor_advance(u64 d, u32 bytes) { return (d & 0xffffffff00000000) | (u32)((u32)d + (bytes >> 4)); }
// The same place as rows of 64 bytes under the 64-byte swizzle (layout 2), 8 rows after 8 rows.
DEVICE u64 descriptor_narrow(u64 d) { return (u64)2 << 62 | (u64)(512 >> 4) << 32 | (u32)d; }
DEVICE void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
DEVICE void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int Pending> DEVICE void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" :: "n"(Pending) : "memory");
}
// The accumulators are operands of the wait, so that no use of them moves above it.
template <int Pending> DEVICE void wgmma_wait(frag<4> &d) {
  asm volatile("wgmma.wait_group.sync.aligned %4;" : "+f"(d.r[0]), "+f"(d.r[1]), "+f"(d.r[2]), "+f"(d.r[3]) : "n"(Pending) : "memory");
}
template <int Pending> DEVICE void wgmma_wait(frag<4> &d, frag<4> &e) {
  asm volatile("wgmma.wait_group.sync.aligned %8;" : "+f"(d.r[0]), "+f"(d.r[1]), "+f"(d.r[2]), "+f"(d.r[3]), "+f"(e.r[0]), "+f"(e.r[1]), "+f"(e.r[2]), "+f"(e.r[3]) : "n"(Pending) : "memory");
}
// The accumulators are operands of the wait, so that no use of them moves above it.
template <int Pending> DEVICE void wgmma_wait(frag<32> &d) {
  asm volatile("wgmma.wait_group.sync.aligned %32;" : "+f"(d.r[0]), "+f"(d.r[1]), "+f"(d.r[2]), "+f"(d.r[3]), "+f"(d.r[4]), "+f"(d.r[5]), "+f"(d.r[6]), "+f"(d.r[7]), "+f"(d.r[8]), "+f"(d.r[9]), "+f"(d.r[10]), "+f"(d.r[11]), "+f"(d.r[12]), "+f"(d.r[13]), "+f"(d.r[14]), "+f"(d.r[15]), "+f"(d.r[16]), "+f"(d.r[17]), "+f"(d.r[18]), "+f"(d.r[19]), "+f"(d.r[20]), "+f"(d.r[21]), "+f"(d.r[22]), "+f"(d.r[23]), "+f"(d.r[24]), "+f"(d.r[25]), "+f"(d.r[26]), "+f"(d.r[27]), "+f"(d.r[28]), "+f"(d.r[29]), "+f"(d.r[30]), "+f"(d.r[31]) : "n"(Pending) : "memory");
}
template <int Pending> DEVICE void wgmma_wait(frag<32> &d, frag<32> &e) {
  asm volatile("wgmma.wait_group.sync.aligned %64;" : "+f"(d.r[0]), "+f"(d.r[1]), "+f"(d.r[2]), "+f"(d.r[3]), "+f"(d.r[4]), "+f"(d.r[5]), "+f"(d.r[6]), "+f"(d.r[7]), "+f"(d.r[8]), "+f"(d.r[9]), "+f"(d.r[10]), "+f"(d.r[11]), "+f"(d.r[12]), "+f"(d.r[13]), "+f"(d.r[14]), "+f"(d.r[15]), "+f"(d.r[16]), "+f"(d.r[17]), "+f"(d.r[18]), "+f"(d.r[19]), "+f"(d.r[20]), "+f"(d.r[21]), "+f"(d.r[22]), "+f"(d.r[23]), "+f"(d.r[24]), "+f"(d.r[25]), "+f"(d.r[26]), "+f"(d.r[27]), "+f"(d.r[28]), "+f"(d.r[29]), "+f"(d.r[30]), "+f"(d.r[31]), "+f"(e.r[0]), "+f"(e.r[1]), "+f"(e.r[2]), "+f"(e.r[3]), "+f"(e.r[4]), "+f"(e.r[5]), "+f"(e.r[6]), "+f"(e.r[7]), "+f"(e.r[8]), "+f"(e.r[9]), "+f"(e.r[10]), "+f"(e.r[11]), "+f"(e.r[12]), "+f"(e.r[13]), "+f"(e.r[14]), "+f"(e.r[15]), "+f"(e.r[16]), "+f"(e.r[17]), "+f"(e.r[18]), "+f"(e.r[19]), "+f"(e.r[20]), "+f"(e.r[21]), "+f"(e.r[22]), "+f"(e.r[23]), "+f"(e.r[24]), "+f"(e.r[25]), "+f"(e.r[26]), "+f"(e.r[27]), "+f"(e.r[28]), "+f"(e.r[29]), "+f"(e.r[30]), "+f"(e.r[31]) : "n"(Pending) : "memory");
}
template <int N, bool Accumulate> DEVICE void wgmma_e4m3(frag<32> &d, u64 a, u64 b) {
  static_assert(N == 64, "N and the accumulator differ");
  asm volatile("{\n.reg .pred keep;\nsetp.ne.b32 keep, %34, 0;\n"
               "wgmma.mma_async.sync.aligned.m64n64k32.f32.e4m3.e4m3 {%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, %32, %33, keep, 1, 1;\n}"
               : "+f"(d.r[0]), "+f"(d.r[1]), "+f"(d.r[2]), "+f"(d.r[3]), "+f"(d.r[4]), "+f"(d.r[5]), "+f"(d.r[6]), "+f"(d.r[7]), "+f"(d.r[8]), "+f"(d.r[9]), "+f"(d.r[10]), "+f"(d.r[11]), "+f"(d.r[12]), "+f"(d.r[13]), "+f"(d.r[14]), "+f"(d.r[15]), "+f"(d.r[16]), "+f"(d.r[17]), "+f"(d.r[18]), "+f"(d.r[19]), "+f"(d.r[20]), "+f"(d.r[21]), "+f"(d.r[22]), "+f"(d.r[23]), "+f"(d.r[24]), "+f"(d.r[25]), "+f"(d.r[26]), "+f"(d.r[27]), "+f"(d.r[28]), "+f"(d.r[29]), "+f"(d.r[30]), "+f"(d.r[31]) : "l"(a), "l"(b), "n"(Accumulate));
}
template <int N, bool Accumulate> DEVICE void wgmma_e4m3(frag<32> &d, const a_frag &a, u64 b) {
  static_assert(N == 64, "N and the accumulator differ");
  asm volatile("{\n.reg .pred keep;\nsetp.ne.b32 keep, %37, 0;\n"
               "wgmma.mma_async.sync.aligned.m64n64k32.f32.e4m3.e4m3 {%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, {%32, %33, %34, %35}, %36, keep, 1, 1;\n}"
               : "+f"(d.r[0]), "+f"(d.r[1]), "+f"(d.r[2]), "+f"(d.r[3]), "+f"(d.r[4]), "+f"(d.r[5]), "+f"(d.r[6]), "+f"(d.r[7]), "+f"(d.r[8]), "+f"(d.r[9]), "+f"(d.r[10]), "+f"(d.r[11]), "+f"(d.r[12]), "+f"(d.r[13]), "+f"(d.r[14]), "+f"(d.r[15]), "+f"(d.r[16]), "+f"(d.r[17]), "+f"(d.r[18]), "+f"(d.r[19]), "+f"(d.r[20]), "+f"(d.r[21]), "+f"(d.r[22]), "+f"(d.r[23]), "+f"(d.r[24]), "+f"(d.r[25]), "+f"(d.r[26]), "+f"(d.r[27]), "+f"(d.r[28]), "+f"(d.r[29]), "+f"(d.r[30]), "+f"(d.r[31]) : "r"(a.r[0]), "r"(a.r[1]), "r"(a.r[2]), "r"(a.r[3]), "l"(b), "n"(Accumulate));
}
template <int N, bool Accumulate> DEVICE void wgmma_bf16(frag<32> &d, u64 a, u64 b) {
  static_assert(N == 64, "N and the accumulator differ");
  asm volatile("{\n.reg .pred keep;\nsetp.ne.b32 keep, %34, 0;\n"
               "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, %32, %33, keep, 1, 1, 0, 0;\n}"
               : "+f"(d.r[0]), "+f"(d.r[1]), "+f"(d.r[2]), "+f"(d.r[3]), "+f"(d.r[4]), "+f"(d.r[5]), "+f"(d.r[6]), "+f"(d.r[7]), "+f"(d.r[8]), "+f"(d.r[9]), "+f"(d.r[10]), "+f"(d.r[11]), "+f"(d.r[12]), "+f"(d.r[13]), "+f"(d.r[14]), "+f"(d.r[15]), "+f"(d.r[16]), "+f"(d.r[17]), "+f"(d.r[18]), "+f"(d.r[19]), "+f"(d.r[20]), "+f"(d.r[21]), "+f"(d.r[22]), "+f"(d.r[23]), "+f"(d.r[24]), "+f"(d.r[25]), "+f"(d.r[26]), "+f"(d.r[27]), "+f"(d.r[28]), "+f"(d.r[29]), "+f"(d.r[30]), "+f"(d.r[31]) : "l"(a), "l"(b), "n"(Accumulate));
}
template <int N, bool Accumulate> DEVICE void wgmma_bf16(frag<32> &d, const a_frag &a, u64 b) {
  static_assert(N == 64, "N and the accumulator differ");
  asm volatile("{\n.reg .pred keep;\nsetp.ne.b32 keep, %37, 0;\n"
               "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, {%32, %33, %34, %35}, %36, keep, 1, 1, 0;\n}"
               : "+f"(d.r[0]), "+f"(d.r[1]), "+f"(d.r[2]), "+f"(d.r[3]), "+f"(d.r[4]), "+f"(d.r[5]), "+f"(d.r[6]), "+f"(d.r[7]), "+f"(d.r[8]), "+f"(d.r[9]), "+f"(d.r[10]), "+f"(d.r[11]), "+f"(d.r[12]), "+f"(d.r[13]), "+f"(d.r[14]), "+f"(d.r[15]), "+f"(d.r[16]), "+f"(d.r[17]), "+f"(d.r[18]), "+f"(d.r[19]), "+f"(d.r[20]), "+f"(d.r[21]), "+f"(d.r[22]), "+f"(d.r[23]), "+f"(d.r[24]), "+f"(d.r[25]), "+f"(d.r[26]), "+f"(d.r[27]), "+f"(d.r[28]), "+f"(d.r[29]), "+f"(d.r[30]), "+f"(d.r[31]) : "r"(a.r[0]), "r"(a.r[1]), "r"(a.r[2]), "r"(a.r[3]), "l"(b), "n"(Accumulate));
}
template <int N, bool Accumulate> DEVICE void wgmma_e4m3(frag<4> &d, u64 a, u64 b) {
  static_assert(N == 8, "N and the accumulator differ");
  asm volatile("{\n.reg .pred keep;\nsetp.ne.b32 keep, %6, 0;\n"
               "wgmma.mma_async.sync.aligned.m64n8k32.f32.e4m3.e4m3 {%0, %1, %2, %3}, %4, %5, keep, 1, 1;\n}"
               : "+f"(d.r[0]), "+f"(d.r[1]), "+f"(d.r[2]), "+f"(d.r[3]) : "l"(a), "l"(b), "n"(Accumulate));
}
template <int N, bool Accumulate> DEVICE void wgmma_e4m3(frag<4> &d, const a_frag &a, u64 b) {
  static_assert(N == 8, "N and the accumulator differ");
  asm volatile("{\n.reg .pred keep;\nsetp.ne.b32 keep, %9, 0;\n"
               "wgmma.mma_async.sync.aligned.m64n8k32.f32.e4m3.e4m3 {%0, %1, %2, %3}, {%4, %5, %6, %7}, %8, keep, 1, 1;\n}"
               : "+f"(d.r[0]), "+f"(d.r[1]), "+f"(d.r[2]), "+f"(d.r[3]) : "r"(a.r[0]), "r"(a.r[1]), "r"(a.r[2]), "r"(a.r[3]), "l"(b), "n"(Accumulate));
}

DEVICE void ldmatrix_x4(u32 (&r)[4], u32 address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(address) : "memory");
}
DEVICE void stmatrix_x4(u32 address, u32 a, u32 b, u32 c, u32 d) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};"
               :: "r"(address), "r"(a), "r"(b), "r"(c), "r"(d) : "memory");
}
DEVICE void ldmatrix_x4_trans(u32 (&r)[4], u32 address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(address) : "memory");
}
DEVICE void stmatrix_x4_trans(u32 address, u32 a, u32 b, u32 c, u32 d) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1, %2, %3, %4};"
               :: "r"(address), "r"(a), "r"(b), "r"(c), "r"(d) : "memory");
}

// ---- registers and dependent launch
template <int R> DEVICE void registers_raise() { asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" :: "n"(R)); }
template <int R> DEVICE void registers_lower() { asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" :: "n"(R)); }
DEVICE void grid_dependency_wait() { asm volatile("griddepcontrol.wait;" ::: "memory"); }
DEVICE void grid_dependency_launch() { asm volatile("griddepcontrol.launch_dependents;" ::: "memory"); }

// ---- warp
template <class T> DEVICE T shuffle(T x, u32 lane) { return __shfl_sync(0xffffffffu, x, lane); }
template <class T> DEVICE T shuffle_xor(T x, u32 mask) { return __shfl_xor_sync(0xffffffffu, x, mask); }
template <class T> DEVICE T shuffle_up(T x, u32 delta) { return __shfl_up_sync(0xffffffffu, x, delta); }
DEVICE bool warp_any(bool x) { return __any_sync(0xffffffffu, x); }
DEVICE bool warp_all(bool x) { return __all_sync(0xffffffffu, x); }
DEVICE u32 warp_max(u32 x) { return __reduce_max_sync(0xffffffffu, x); }

// ---- arithmetic
DEVICE float exp2_approx(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
DEVICE float log2_approx(float x) {
  float y;
  asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
DEVICE float reciprocal_approx(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
DEVICE float fma_rn(float a, float b, float c) { return __fmaf_rn(a, b, c); }
DEVICE float max_f32(float a, float b) { return fmaxf(a, b); }
DEVICE float min_f32(float a, float b) { return fminf(a, b); }
DEVICE u32 byte_permute(u32 a, u32 b, u32 selector) {
  u32 d;
  asm("prmt.b32 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(selector));
  return d;
}
DEVICE u32 pack_e4m3(float a, float b, float c, float d) {
  u32 packed;
  asm("{\n.reg .b16 low, high;\ncvt.rn.satfinite.e4m3x2.f32 low, %2, %1;\ncvt.rn.satfinite.e4m3x2.f32 high, %4, %3;\n"
      "mov.b32 %0, {low, high};\n}" : "=r"(packed) : "f"(a), "f"(b), "f"(c), "f"(d));
  return packed;
}
DEVICE float2 unpack_e4m3x2(u16 x) {
  float2 y;
  asm("{\n.reg .b32 pair;\n.reg .b16 low, high;\ncvt.rn.f16x2.e4m3x2 pair, %2;\nmov.b32 {low, high}, pair;\n"
      "cvt.f32.f16 %0, low;\ncvt.f32.f16 %1, high;\n}" : "=f"(y.x), "=f"(y.y) : "h"(x));
  return y;
}
DEVICE u32 pack_bf16(float lo, float hi) {
  u32 packed;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(hi), "f"(lo));
  return packed;
}
DEVICE float2 unpack_bf16(u32 x) { return make_float2(float_of(x << 16), float_of(x & 0xffff0000u)); }
/* What the schedule tells the kernels of a step. Read by templates and by the runtime.
 *
 * All tiles of a step, request after request, form one sequence; unit u (a block, or the blocks side by side that share a
 * request's row groups) takes one contiguous share of it. */
#ifndef SMLA_TEMPLATES_RECORDS_H
#define SMLA_TEMPLATES_RECORDS_H

/* One request: how it was cut. 16 bytes. */
struct smla_request {
  int tokens;     /* its length in tokens; 0 for an empty or a bad request */
  int first_unit; /* the unit with its first tile; its pieces lie in consecutive units */
  int first_slot; /* of its partial results, when pieces > 1: piece i is in slot first_slot + i */
  int pieces;     /* 0: empty; 1: written straight to the output; -1: bad length, the output is NaN */
};

/* One unit: its share. 32 bytes. */
struct smla_unit {
  int first_request, first_tile; /* from this tile of this request */
  int last_request, end_tile;    /* to before this tile of that one; last_request = -1: nothing to do */
  struct smla_request first;     /* the record of first_request, so that nothing waits for two loads in turn */
};

/* A request whose result the combine kernel writes: one cut into pieces, an empty one, or one of a bad length. 16 bytes. */
struct smla_merge {
  int request, pieces, first_slot; /* as in its record */
  int first_item; /* of the items of work that the combine kernel is to do for all requests before it */
};

/* What a block of the combine kernel has to do, all that it needs to begin. 32 bytes. */
struct smla_merge_share {
  int item, end;           /* from this item of all to before that one */
  int merge;               /* whose the first of them is */
  int next_item;           /* the first item of the merge after it */
  struct smla_merge first; /* that merge; zeros where there are no items */
};

#endif
// Rows of a query token: row r is head r. Token t of request b is record b * lists + t.
DEVICE float infinity() { return float_of(0x7f800000u); }
DEVICE float not_a_number() { return float_of(0x7fffffffu); }

constexpr float ln_2 = 0.6931471805599453f;

struct OutputRow {
  u16 *out;
  float *lse;
};

// Where a row's output and lse go; lse is null when the caller wants none.
template <class P> DEVICE OutputRow output_row(const P &p, u32 record, u32 row) {
  const u32 batch = record / (u32)p.lists, token = record % (u32)p.lists, head = row;
  OutputRow target;
  target.out = p.out + batch * p.out_stride_batch + token * p.out_stride_token + head * p.out_stride_head;
  target.lse = p.lse ? p.lse + batch * p.lse_stride_batch + head * p.lse_stride_head + token * p.lse_stride_token : nullptr;
  return target;
}

// Takes base 2, stores natural.
DEVICE void store_lse(const OutputRow &target, float lse_base2) {
  if (target.lse) global_store(target.lse, lse_base2 * ln_2);
}
/* What a tensor copy fetches by: made on the host, opaque to kernels (CUtensorMap). Read by templates and by the runtime. */
#ifndef SMLA_TEMPLATES_TENSOR_MAP_H
#define SMLA_TEMPLATES_TENSOR_MAP_H

struct __attribute__((aligned(64))) smla_tensor_map {
  unsigned long long opaque[16];
};

#endif
/* Arguments of mla_decode. Grid: groups x units blocks, block = unit * groups + group. */
#ifndef SMLA_TEMPLATES_MLA_DECODE_PARAMS_H
#define SMLA_TEMPLATES_MLA_DECODE_PARAMS_H

struct mla_decode_params {
  const unsigned char *kv; /* [num_pages] pages */
  long long page_stride;   /* bytes */
  long long num_pages;
  const int *block_table; /* [batch, block_table_stride] */
  long long block_table_stride;
  const int
      *indices; /* tokens=indexed, in place of the table: [batch, lists, entries] slots, -1: none; fewer than 2^31 */
  int indices_stride_batch, indices_stride_token;
  const struct smla_request *requests;
  const struct smla_unit *units;
  const unsigned char *q_image; /* as query_quant writes it */
  const float *q_scale;
  unsigned short *out; /* [batch, q_len, heads, latent] bf16 */
  long long out_stride_batch, out_stride_token, out_stride_head;
  float *lse; /* [batch, heads, q_len], or NULL */
  long long lse_stride_batch, lse_stride_head, lse_stride_token;
  void *partial_out;  /* [slots, groups, rows, latent], f32 or bf16 as the variant says */
  float *partial_lse; /* [slots, groups, rows], base 2 */
  unsigned *status;
  float scale_log2e; /* softmax_scale * log2(e) */
  int heads, q_len, groups;
  int lists; /* tokens=indexed: query tokens of a request, each a record and a "batch" of its own with q_len 1 */
  int batch; /* of the block table and of the requests' records */
};

/* What kernels of formats whose pages are rows of tokens take besides, behind it. */
struct mla_decode_rows_params {
  float kv_scale; /* of the whole cache, in formats that have one; a pointer wins */
  const float *kv_scale_pointer;
  struct smla_tensor_map kv_map;    /* boxes of 128 bytes of a page image's tokens, swizzled */
  struct smla_tensor_map scale_map; /* boxes of the scales of so many tokens, where rows have scales */
};

#endif
typedef mla_decode_params Params;

constexpr i32 latent = 512;
constexpr u32 rows = 64;
constexpr i32 tile_tokens = 64;
constexpr i32 image_tokens = 64;
constexpr i32 page_tokens = 64;
constexpr i32 images_per_page = 64 / image_tokens;
constexpr i32 images_per_tile = 1;
constexpr u32 stages = 4;
constexpr u32 subtiles = 4;
constexpr u32 subtile_bytes = 8192;
constexpr u32 tile_bytes = 40960;
constexpr u32 image_bytes = 41216;
constexpr u32 scale_bytes = tile_tokens * 4;
constexpr u32 weight_bytes = 512;
constexpr u32 raw_scale_bytes = 256;
constexpr u32 query_buffers = 1;
constexpr u32 query_subtile_bytes = rows * 128;
constexpr u32 query_bytes = 40960;
constexpr bool is_gathered = true;  // tiles are stored by threads: wgmma reads them after a fence

// Offsets into shared memory.
constexpr u32 query_at = 0;
constexpr u32 kv_at = 40960;
constexpr u32 p_at = 204800;
constexpr u32 weight_at = 221184;
constexpr u32 raw_scale_at = 223232;
constexpr u32 scale_at = 224256;
constexpr u32 inv_scale_at = 226304;
constexpr u32 rescale_at = 227328;
constexpr u32 row_sum_at = 228352;
constexpr u32 unit_at = 229376;
constexpr u32 changed_at = 229440;
constexpr u32 kv_full_at = 229456;
constexpr u32 kv_ready_at = 229488;
constexpr u32 weights_full_at = 229520;
constexpr u32 kv_empty_at = 229552;
constexpr u32 p_full_at = 229584;
constexpr u32 p_empty_at = 229616;
constexpr u32 query_full_at = 229648;
constexpr u32 query_empty_at = 229656;
static_assert(229664 == 229664, "the map and the space's shared memory differ");
static_assert(kv_full_at % 8 == 0, "barriers are 8 bytes");

DEVICE mbarrier kv_full(u32 i) { return mbarrier_at(kv_full_at + 8 * i); }
DEVICE mbarrier kv_ready(u32 i) { return mbarrier_at(kv_ready_at + 8 * i); }
DEVICE mbarrier weights_full(u32 i) { return mbarrier_at(weights_full_at + 8 * i); }
DEVICE mbarrier kv_empty(u32 i) { return mbarrier_at(kv_empty_at + 8 * i); }
DEVICE mbarrier p_full(u32 i) { return mbarrier_at(p_full_at + 8 * i); }
DEVICE mbarrier p_empty(u32 i) { return mbarrier_at(p_empty_at + 8 * i); }
DEVICE mbarrier query_full(u32 i = 0) { return mbarrier_at(query_full_at + 8 * i); }
DEVICE mbarrier query_empty(u32 i = 0) { return mbarrier_at(query_empty_at + 8 * i); }

DEVICE void init_barriers() {
  for (u32 i = 0; i < 4; ++i) mbarrier_init(kv_full(i), 64);
  for (u32 i = 0; i < 4; ++i) mbarrier_init(kv_ready(i), 1);
  for (u32 i = 0; i < 4; ++i) mbarrier_init(weights_full(i), 1);
  for (u32 i = 0; i < 4; ++i) mbarrier_init(kv_empty(i), 8);
  for (u32 i = 0; i < 4; ++i) mbarrier_init(p_full(i), 4);
  for (u32 i = 0; i < 4; ++i) mbarrier_init(p_empty(i), 8);
  mbarrier_init(query_full(), 1);
  mbarrier_init(query_empty(), 4);
  mbarrier_init_fence();
}

// The kernel before this one, which makes the query images, had itself waited for all kernels before it when it let this one start. So
// the schedule and the cache may be read at once, and pages are on their way while queries are still quantised; query images and
// their scales only after this, and nothing may be written before it.
DEVICE void wait_for_query() {
  grid_dependency_wait();
  grid_dependency_launch();
}

// The unit's share of the schedule, walked alike by every role.
struct Place {
  u32 unit, group;  // which share; which `rows` rows of each request
};

// A run of tiles of one request.
struct Work {
  i32 request;
  i32 first_tile, end_tile;
  i32 tokens;  // the request's length, as the schedule saw it
};

struct Share {
  i32 first_request, first_tile, last_request, end_tile;  // as in the unit's record
  i32 tokens;                                             // of its first request
};

// The share of this place. Shuffled, as all that the walk loads, so that the compiler knows that the warp agrees: loops over tiles,
// positions in rings and descriptors then stay in uniform registers.
DEVICE Share share_of(const Params &p, Place at) {
  const int4 range = global_load((const int4 *)(p.units + at.unit));
  const smla_request first = global_load(&p.units[at.unit].first);
  return {shuffle(range.x, 0), shuffle(range.y, 0), shuffle(range.z, 0), shuffle(range.w, 0), shuffle(first.tokens, 0)};
}

// The length of a request of the share.
DEVICE i32 tokens_of(const Params &p, const Share &share, i32 request) {
  return request == share.first_request ? share.tokens : shuffle(global_load(&p.requests[request].tokens), 0);
}

// The unit's first request, or one past its last: the start of a walk with next_work. A unit without work has no tokens; told by these, the
// loads of both records are waited for together.
DEVICE i32 first_request(const Share &share) { return share.tokens == 0 ? 0 : share.first_request; }
DEVICE i32 first_request(const Params &p, Place at) { return first_request(share_of(p, at)); }

// The run of `request`, or of the first non-empty one after it; advances `request` past it. False: the share is done.
DEVICE bool next_work(const Params &p, const Share &share, i32 &request, Work &w) {
  while (request <= share.last_request) {
    w.request = request++;
    w.tokens = tokens_of(p, share, w.request);
    if (w.tokens == 0) continue;
    w.first_tile = w.request == share.first_request ? share.first_tile : 0;
    w.end_tile = w.request == share.last_request ? share.end_tile : (w.tokens + tile_tokens - 1) / tile_tokens;
    return true;
  }
  return false;
}

// Where the run's partial result goes; -1: it is the request's only piece and goes to the output.
DEVICE i32 partial_slot(const Params &p, Place at, const Work &w) {
  const smla_request record = global_load(p.requests + w.request);
  return record.pieces > 1 ? record.first_slot + (i32)at.unit - record.first_unit : -1;
}

// The same with the records read again, rather than held from one run to the next: registers are scarce and a run is long.
DEVICE bool next_work(const Params &p, Place at, i32 &request, Work &w) { return next_work(p, share_of(p, at), request, w); }

// A position in a ring of buffers. Waiting for `parity` waits for this use of the stage to be full;
// waiting for `parity ^ 1` on the empty barrier waits for the previous use to be over.
template <u32 Count> struct RingOf {
  u32 stage = 0, parity = 0;
  DEVICE void advance() {
    if (++stage == Count) {
      stage = 0;
      parity ^= 1;
    }
  }
};

typedef RingOf<stages> Ring;              // of page images
typedef RingOf<query_buffers> QueryRing;  // of query images
// The producer of queries: bulk copies of their images.

// One warp. A query is fetched as soon as the last scores with the one before it in its buffer are done.
DEVICE void fetch_query(const Params &p, Place at) {
  QueryRing ring;
  Work w;
  for (i32 request = first_request(p, at); next_work(p, at, request, w);) {
    if (lane_index() == 0) {
      const mbarrier full = query_full(ring.stage);
      mbarrier_wait(query_empty(ring.stage), ring.parity ^ 1);
      mbarrier_arrive_expect(full, query_bytes);
      const i64 image = (i64)w.request * p.groups + at.group;
      bulk_copy(shared_at<u8>(query_at + ring.stage * query_bytes).address(), p.q_image + image * query_bytes, query_bytes, full);
    }
    warp_sync();
    ring.advance();
  }
}
// The producers of indexed tokens: a record of the schedule is one query token's list of slots, and its tile the next 64 entries,
// copied row by row into the picture that a page image is. Rows of a tile repeat their swizzle every 8 tokens, and so do the
// image's: a row's 16-byte chunk i lies at chunk i ^ (row % 8) in both, so that it moves by the difference of the two rows.
constexpr u32 image_row_bytes = image_tokens * 128;  // of a subtile
constexpr i32 absent = -1;                           // an entry that is skipped: so in the list, or past its end
constexpr i32 outside = -2;                          // an entry that is neither a slot of the cache nor -1
constexpr u32 status_bad_index = 4;                  // SNAPMLA_STATUS_BAD_INDEX

// Where a record's list begins, in entries: 32 bits hold it.
DEVICE i32 list_of(const Params &p, const Work &w) {
  const i32 batch = w.request / p.lists, token = w.request % p.lists;
  return batch * p.indices_stride_batch + token * p.indices_stride_token;
}

// An entry of a list as it stands there. Apart from what becomes of it, so that the load is not waited for at once.
DEVICE i32 load_entry(const Params &p, const Work &w, i32 list, i32 entry) {
  return entry < w.tokens ? global_load(p.indices + (u32)(list + entry)) : absent;
}

// The slot that an entry means, or `absent`, or `outside`.
DEVICE i32 slot_of(const Params &p, i32 entry) {
  return entry == absent || (entry >= 0 && entry / page_tokens < p.num_pages) ? entry : outside;
}

// Where a slot's token lies: its image, and its row there.
struct Source {
  const u8 *image;
  u32 row;
};
DEVICE Source source_of(const Params &p, u32 slot) {
  return {p.kv + slot / page_tokens * p.page_stride + slot / image_tokens % images_per_page * image_bytes, slot % image_tokens};
}

// All that copying a token's rows needs, in one word: the address of the first, a multiple of 128, and below it the row modulo 8,
// and 8 if there is a token.
DEVICE u64 rows_word(Source source, bool there) {
  return (u64)(source.image + source.row * 128) | source.row % 8 | (there ? 8 : 0);
}

// That of another lane.
DEVICE u64 word_of(u64 word, u32 lane) { return (u64)shuffle((u32)(word >> 32), lane) << 32 | shuffle((u32)word, lane); }

// One warp, four rows: a lane has a chunk of one of them, of every subtile and RoPE. `row` is its row in the tile. What is no token
// becomes zeros.
DEVICE void copy_rows(u64 word, u32 stage, u32 row) {
  const u32 chunk = lane_index() % 8, low = (u32)word;
  const u8 *source = (const u8 *)(word & ~(u64)127) + (((chunk ^ row ^ low) & 7) << 4);
  const u32 target = shared_at<u8>(kv_at + stage * tile_bytes).address() + row * 128 + (chunk << 4);
#pragma unroll
  for (u32 c = 0; c < subtiles + 1; ++c)  // RoPE is behind the content
    thread_copy<16>(target + c * subtile_bytes, source + c * image_row_bytes, (low & 8) != 0);
}

// One warp: `half` of the tokens of each tile. Its lanes load the entries one tile ahead.
DEVICE void gather_tokens(const Params &p, Place at, u32 half) {
  const u32 lane = lane_index();
  Ring ring;
  Work w;
  for (i32 request = first_request(p, at); next_work(p, at, request, w);) {
    const i32 list = list_of(p, w);
    i32 at_entry = w.first_tile * tile_tokens + (i32)(32 * half + lane);
    i32 next = load_entry(p, w, list, at_entry);
#pragma unroll 1
    for (i32 tile = w.first_tile; tile < w.end_tile; ++tile) {
      const i32 slot = slot_of(p, next);
      at_entry += tile_tokens;
      next = load_entry(p, w, list, at_entry);
      if (slot == outside) global_atomic_or(p.status, status_bad_index);
      const bool there = slot >= 0;
      const Source source = source_of(p, there ? slot : 0);
      const u64 word = rows_word(source, there);
      mbarrier_wait(kv_empty(ring.stage), ring.parity ^ 1);
      thread_copy<4>(shared_at<u8>(raw_scale_at + ring.stage * scale_bytes).address() + 4 * (32 * half + lane),
                     source.image + image_tokens * 640 + 4 * source.row, there);
#pragma unroll 1
      for (u32 first = 0; first < 32; first += 8) {
        const u32 row = first + lane / 8;
        const u64 one = word_of(word, row), other = word_of(word, row + 4);
        copy_rows(one, ring.stage, 32 * half + row);
        copy_rows(other, ring.stage, 32 * half + row + 4);
      }
      mbarrier_arrive_after_copies(kv_full(ring.stage));
      ring.advance();
    }
  }
}
// One warp turns a tile's stored scales into what the softmax reads (the scale, its base-2 logarithm and its inverse) and
// masks the entries without a token: their rows are zeros, and with scale 1 and a logarithm of -inf so is what P holds for them. An
// entry outside the cache makes its list NaN. The rows were stored by threads: this warp fences them for wgmma.
// Inverse scales lie as the tokens do in P's rows: 2q, 2q + 1, 2q + 8, 2q + 9 of every 16, q by q. Tokens 2i and 2i + 1 are neighbours.
DEVICE i32 inverse_place(i32 token) { return (token & ~14) | (token & 6) << 1 | (token & 8) >> 2; }

// W[token][term]: the tokens' inverse scales in e4m3, which accumulate multiplies P by to sum its rows. 64-byte swizzle; tokens lie as in P.
//
// An inverse scale w, in a unit, a power of two, that brings the tile's largest to 128 .. 256, is the sum of t_k / 32^k, where t_k is the
// e4m3 number nearest to 32^k times what the terms before it leave: 2^-4 of its binade at most, so that no term exceeds 256. Four
// terms are exact to 2^-19, or to 2^-32 of the tile's largest; where that is not 2^-13 of w itself, eight are (2^-52). Scales further than
// 2^40 apart leave the larger inverse scales out of range (they count as at most 2^41 times the least): what P holds of such a token is
// 0 beside the others. An infinite one, of a scale that is none, makes the tile NaN, as 0 times it does elsewhere.
// A biased exponent of inverse scales, from 8 on, so that the unit is a number; 255 where one is none.
DEVICE u32 exponent_of(u32 bits) {
  const u32 field = bits >> 23;
  return field < 8 ? 8 : field;
}
DEVICE u32 magnitude(float w) { return bits_of(w) & 0x7fffffffu; }
DEVICE u32 largest_exponent(float2 w) {
  const u32 x = magnitude(w.x), y = magnitude(w.y);
  return exponent_of(warp_max(x > y ? x : y));
}
DEVICE u32 least_exponent(float2 w) {
  const u32 x = magnitude(w.x), y = magnitude(w.y);
  return exponent_of(~warp_max(~(x < y ? x : y)));
}
// w in the unit that brings numbers of this exponent to 128 .. 256; what is far above it ends at 2^10, which is stored as 448.
DEVICE float in_units(float w, u32 exponent) {
  return exponent == 255 ? not_a_number() : min_f32(w * float_of((261 - exponent) << 23), w == w ? 1024.0f : w);
}

// `at`: where token 2l is in a row of tokens, l the lane; 2l + 1 is beside it.
template <i32 First> DEVICE void store_terms(smem<u16> terms, u32 at, float (&rest)[2]) {
#pragma unroll
  for (i32 term = First; term < First + 4; ++term) {
    const u32 packed = pack_e4m3(rest[0], rest[1], 0.0f, 0.0f);
    const float2 stored = unpack_e4m3x2((u16)packed);
    rest[0] = (rest[0] - stored.x) * 32.0f;
    rest[1] = (rest[1] - stored.y) * 32.0f;
    terms.store(term * 32 + (i32)(at ^ term / 2 * 16) / 2, (u16)packed);
  }
}

// Terms that no tile writes are zero.
DEVICE void init_weights(i32 lane) {
#pragma unroll
  for (u32 stage = 0; stage < stages; ++stage) shared_at<uint4>(weight_at + stage * weight_bytes).store(lane, make_uint4(0, 0, 0, 0));
}

// One warp: of tokens 2l and 2l + 1, whose inverse scales `inverse_of` finds. Hands them to accumulate.
template <class Inverse> DEVICE void publish_weights(u32 stage, Inverse inverse_of) {
  const u32 lane = pin(lane_index()), at = (u32)inverse_place(2 * (i32)lane);  // anew for each tile: registers are scarce
  const smem<u16> terms = shared_at<u16>(weight_at + stage * weight_bytes);
  const float2 inverse = inverse_of();
  u32 exponent = largest_exponent(inverse);
  const float first[2] = {in_units(inverse.x, exponent), in_units(inverse.y, exponent)};
  float rest[2] = {first[0], first[1]};
  store_terms<0>(terms, at, rest);
  const bool more = warp_any(max_f32(rest[0], -rest[0]) > 128.0f * first[0] || max_f32(rest[1], -rest[1]) > 128.0f * first[1]);
  if (__builtin_expect(more, false)) {
    const float2 again = inverse_of();  // not held till here
    const u32 least = least_exponent(again);
    if (exponent > least + 40) {
      exponent = least + 40;
      rest[0] = in_units(again.x, exponent);
      rest[1] = in_units(again.y, exponent);
      store_terms<0>(terms, at, rest);
    }
    // What is NaN is so by its first terms: these are still there when a tile has no such, and count nothing then.
    for (i32 i = 0; i < 2; ++i) rest[i] = rest[i] == rest[i] ? rest[i] : 0.0f;
    store_terms<4>(terms, at, rest);
  }
  // What terms 2l and 2l + 1 count, the second 1/32 of it; without the last four, nothing.
  const float unit = float_of((exponent - 7) << 23) * float_of((127 - lane % 4 * 10) << 23);
  if (lane < 4) shared_at<float>(unit_at + stage * 16).store((i32)lane, lane < 2 || more ? unit : 0.0f);
  fence_async_proxy();
  warp_sync();
  if (lane == 0) mbarrier_arrive(weights_full(stage));
}

DEVICE void prepare_scales(const Params &p, Place at) {
  const i32 lane = (i32)lane_index();
  init_weights(lane);
  Ring ring;
  Work w;
  for (i32 request = first_request(p, at); next_work(p, at, request, w);) {
    const i32 list = list_of(p, w);
#pragma unroll 1
    for (i32 tile = w.first_tile; tile < w.end_tile; ++tile) {
      const i32 at_entry = tile * tile_tokens + 2 * lane;
      const i32 entries[2] = {load_entry(p, w, list, at_entry), load_entry(p, w, list, at_entry + 1)};
      mbarrier_wait(kv_full(ring.stage), ring.parity);
      const u32 at_stage = ring.stage * scale_bytes;
      float of[2], log2_of[2];
#pragma unroll
      for (i32 i = 0; i < 2; ++i) {
        float scale = shared_at<float>(raw_scale_at + at_stage).load(2 * lane + i);
        const i32 slot = slot_of(p, entries[i]);
        if (slot == absent) scale = 1.0f;
        if (slot == outside) scale = not_a_number();
        log2_of[i] = slot == absent ? -infinity() : log2_approx(scale);
        of[i] = scale;
      }
      shared_at<float4>(scale_at + 2 * at_stage).store(lane, make_float4(of[0], log2_of[0], of[1], log2_of[1]));
      const float2 inverse = make_float2(reciprocal_approx(of[0]), reciprocal_approx(of[1]));
      shared_at<float2>(inv_scale_at + at_stage).store(inverse_place(2 * lane) / 2, inverse);
      fence_async_proxy();
      warp_sync();
      if (lane == 0) mbarrier_arrive(kv_ready(ring.stage));
      publish_weights(ring.stage, [&] { return shared_at<float2>(inv_scale_at + at_stage).load(inverse_place(2 * lane) / 2); });
      ring.advance();
    }
  }
}
// From a row's scores to its probabilities: their scale, and the sums that normalise them.
//
// y = acc * s * c + log2 s is log2 of what P holds: e * s, the value's scale folded in (c = query scale * softmax scale * log2 e).
// P = e4m3(2^(y - reference + 8)). The reference is a whole number per row, so that rescaling by it is exact and a probability rounds
// alike whatever the reference is. It follows the tiles' largest y with hysteresis, as every move costs a rescaling of O^T: raised when a
// tile exceeds it by 2^0.8 (2^8.8 = 448), lowered when a tile stays 2^12 below, where its largest is 2^-4 and e4m3 has its bits for the next
// 2^2 alone: many such tiles may weigh more than what the reference was raised for;
// moved to 2^6 above a run's first tile's largest, as larger y are to be expected, to 2^1 above it when raised, as what raised it is seldom
// exceeded and most tiles lie far below, and to 2^9 above it when lowered, as most are larger; never further than 2^56 below its peak: the
// largest P * 2^40 (an inverse scale) * 2^20 tokens * 2^56 is still a float.
constexpr float p_base = 8.0f;
constexpr float raise_above = 0.8f;
constexpr float lower_below = 12.0f;
constexpr float headroom_first = 6.0f;
constexpr float headroom_raised = 1.0f;
constexpr float headroom_lowered = 9.0f;
constexpr float deepest = 56.0f;
constexpr float no_reference = -1e30f;

struct Reference {
  float value = no_reference, peak = no_reference;
};

// The sums of a row, in units of 2^(reference - 8).
struct Sums {
  float exact = 0.0f;    // of e, unrounded: the lse
  float rounded = 0.0f;  // of the rounded P's e: the normaliser, so that the weights sum to one
};

// The whole number at or just above x (|x| < 2^22; beyond, x is whole already).
DEVICE float whole_above(float x) {
  const float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to nearest
  return (x + 0.5f + magic) - magic;
}

// Whether a tile whose largest y is `top` moves the row's reference.
DEVICE bool moves(const Reference &reference, float top) {
  const bool raise = top > reference.value + raise_above, lower = top < reference.value - lower_below, sees_some = top > -infinity();
  return raise | (lower & sees_some);
}

// Moves the row's reference for a tile whose largest y is `top`; returns the factor for what has been summed so far.
DEVICE float move_reference(Reference &reference, float top) {
  const float old = reference.value;
  if (moves(reference, top)) {
    const float headroom = old == no_reference ? headroom_first : top > old ? headroom_raised : headroom_lowered;
    reference.value = max_f32(whole_above(top) + headroom, reference.peak - deepest);
  }
  reference.peak = max_f32(reference.peak, reference.value);
  return exp2_approx(old - reference.value);
}

// What the row's sum of values is to be multiplied by; a row that saw no token is zero.
DEVICE float normaliser(const Params &p, float rounded_sum) {
  return rounded_sum == 0.0f ? 0.0f : reciprocal_approx(rounded_sum);
}

// Base 2.
DEVICE float lse_of(float reference, float exact_sum) {
  return exact_sum == 0.0f ? -infinity() : reference - p_base + log2_approx(exact_sum);
}

// How many of the request's tokens row `r` of the request may see: query i of q_len the first tokens - q_len + i + 1.
DEVICE i32 visible_tokens(const Params &p, const Work &w, u32 r) {
  const i32 token = (i32)(r / (u32)p.heads);
  return w.tokens - p.q_len + 1 + (token < p.q_len ? token : p.q_len - 1);
}

// Some row of the request may not see some token of the tile. Where tokens are gathered, prepare_scales has seen to it.
DEVICE bool needs_mask(const Params &p, const Work &w, i32 tile) {
  return !is_gathered && w.tokens - p.q_len + 1 < (tile + 1) * tile_tokens;
}

// The factor c of row `r` of the group; 0 for one past the request's last.
DEVICE float row_factor(const Params &p, Place at, const Work &w, u32 r) {
  return global_load(p.q_scale + ((i64)w.request * p.groups + at.group) * rows + r) * p.scale_log2e;
}
// S = Q K^T in two parts that are added in fp32: Hopper's FP8 accumulation keeps 13 fraction bits, and the error of a score
// grows faster than the number of steps that it runs through. The first part is the lower half of the content, then RoPE (in the
// content's units, so it adds to the same accumulators; last, so that its outliers cost the content no bits). The second
// part is the upper half of the content. score_steps.inc writes the steps, in the format's number types.

// From a shuffled address, made anew for each tile: the compiler then knows that the warp agrees and computes the advances in
// uniform registers, and does not keep them in vector registers across tiles.
DEVICE u64 operand_descriptor(u32 address) { return wgmma_descriptor(shuffle(pin(address), 0), 1024); }
DEVICE u64 key_descriptor(u32 stage) { return operand_descriptor(shared_at<u8>(kv_at + stage * tile_bytes).address()); }

// O^T += V^T P^T. V^T is the register operand of wgmma: for 32 tokens x 16 channel bytes, ldmatrix.x4.trans gives a0..a3 (matrix
// i: tokens 8i .. 8i + 7) and four byte permutations interleave them: fragment row g is channel 2g, row g + 8 channel 2g + 1.
// In every 16 the tokens run as P's do: 0, 1, 8, 9, 2, 3, 10, 11, …
// Each tile's product is formed in T and added in fp32: the FP8 accumulation would drift over thousands of tokens.

typedef float Sum[rows / 2];  // of one m-tile, 64 channels

// The even one of this thread's two channels in each warp's 16, `g` = lane / 4; the odd one follows it.
DEVICE u32 first_channel_of(u32 g) { return 2 * g; }

// From a tile's start to m-tile `m` of the whole latent, half a subtile: this lane's 16 bytes in the first 32 tokens.
DEVICE u32 m_tile_at(u32 m) {
  const u32 lane = lane_index(), warp = warp_index() & 3, row = lane * 128 + ((warp ^ (lane & 7)) << 4);
  return m / 2 * subtile_bytes + (row ^ m % 2 * 64);
}

// V^T of this group's m-tile m: 64 channels x 64 tokens, two k steps. `even`, `odd`: where its m-tiles 0 and 1 are.
DEVICE void load_values(a_frag (&a)[2], u32 values, i32 m, u32 even, u32 odd) {
  const u32 address = values + m / 2 * subtile_bytes + (m % 2 ? odd : even);
#pragma unroll
  for (i32 k = 0; k < 2; ++k) {
    u32 x[4];
    ldmatrix_x4_trans(x, address + k * 32 * 128);
    a[k].r[0] = byte_permute(x[0], x[1], 0x6420);
    a[k].r[1] = byte_permute(x[0], x[1], 0x7531);
    a[k].r[2] = byte_permute(x[2], x[3], 0x6420);
    a[k].r[3] = byte_permute(x[2], x[3], 0x7531);
  }
}

// O^T's registers of rows 8j + 2q and 8j + 2q + 1: the even channel's two, then the odd one's.
DEVICE void pair_channels(Sum &, i32) {}

// Rows 8j + 2q and 8j + 2q + 1 of this thread's columns of O^T, multiplied.
DEVICE void scale_rows(Sum &o, i32 j, float2 by) {
  o[4 * j] *= by.x;
  o[4 * j + 1] *= by.y;
  o[4 * j + 2] *= by.x;
  o[4 * j + 3] *= by.y;
}
// A run's results: rows of the output when it is its request's only piece, else of the partial results.

// The rows of a request in the output, for a thread that stores many: what they have in common is worked out once.
struct OutputRows {
  u16 *request;
  DEVICE OutputRows(const Params &p, const Work &w) : request(output_row(p, w.request, 0).out) {}
  DEVICE u16 *row(const Params &p, u32 r) const { return request + r * p.out_stride_head; }
};

// The m-tiles First .. First + Count - 1 of O^T: row after row of this thread's, `store(j, k)` of row 8j + 2q + k with its channels 2g and 2g + 1 of each.
// `normalise(j)` makes rows 8j + 2q and 8j + 2q + 1 of them ready.
template <i32 First, i32 Count, i32 All, class Normalise, class Store>
DEVICE void store_rows(const Params &p, Place at, Sum (&o)[All], Normalise normalise, Store store) {
  const i32 pair = (i32)(lane_index() & 3), there = p.heads * p.q_len - (i32)(at.group * rows);  // of the group's rows
#pragma unroll
  for (i32 j = 0; j < (i32)rows / 8; ++j) {
    normalise(j);
#pragma unroll
    for (i32 m = 0; m < Count; ++m) pair_channels(o[First + m], j);
#pragma unroll
    for (i32 k = 0; k < 2; ++k)
      if (8 * j + 2 * pair + k < there) store(j, k);
  }
}

// To the partial results, whose rows lie side by side, or else to the output. `first_channel` is this thread's in m-tile 0 of `o`.
template <i32 First, i32 Count, i32 All, class Normalise>
DEVICE void store_output(const Params &p, Place at, const Work &w, i32 slot, Sum (&o)[All], u32 first_channel, Normalise normalise) {
  const u32 pair = lane_index() & 3;
  if (slot >= 0) {
    u16 *const target = (u16 *)p.partial_out + ((((i64)slot * p.groups + at.group) * rows + 2 * pair) * latent + first_channel + 64 * First);
    store_rows<First, Count>(p, at, o, normalise, [&](i32 j, i32 k) {
#pragma unroll
      for (i32 m = 0; m < Count; ++m) {
        const float even = o[First + m][4 * j + k], odd = o[First + m][4 * j + 2 + k];
        global_store((u32 *)(target + (8 * j + k) * latent + 64 * m), pack_bf16(even, odd));
      }
    });
    return;
  }
  const OutputRows output(p, w);
  const u32 first_row = pin(at.group * rows + 2 * pair);  // anew for each run: registers are scarce
  store_rows<First, Count>(p, at, o, normalise, [&](i32 j, i32 k) {
    u16 *const target = output.row(p, first_row + 8 * j + k) + first_channel + 64 * First;
#pragma unroll
    for (i32 m = 0; m < Count; ++m) global_store((u32 *)(target + 64 * m), pack_bf16(o[First + m][4 * j + k], o[First + m][4 * j + 2 + k]));
  });
}

// Takes base 2.
DEVICE void store_row_lse(const Params &p, Place at, const Work &w, i32 slot, u32 r, float lse) {
  const u32 whole_row = at.group * rows + r;
  if (slot >= 0)
    global_store(p.partial_lse + ((i64)slot * p.groups + at.group) * rows + r, lse);
  else if (whole_row < (u32)(p.heads * p.q_len))
    store_lse(output_row(p, w.request, whole_row), lse);
}
// From the scores of a tile to P, 64 rows by one warpgroup.
struct Row {
  float factor;
  Reference reference;
  float sum = 0.0f;  // of the unrounded P's e, for the lse, in units of 2^(reference - 8)
};

// The largest of a row over the four lanes that share it.
DEVICE float row_max(float x) {
  x = max_f32(x, shuffle_xor(x, 1));
  return max_f32(x, shuffle_xor(x, 2));
}

// The scales of half a tile's tokens, those of this thread: two tokens each, {scale, log2 of it} twice.
struct HalfScales {
  float4 of[4];
};

template <i32 Half> DEVICE HalfScales load_scales(u32 stage) {
  const smem<float4> scale = shared_at<float4>(scale_at + stage * 2 * scale_bytes) + (lane_index() & 3);
  HalfScales scales;
#pragma unroll
  for (i32 j = 0; j < 4; ++j) scales.of[j] = scale.load(4 * (4 * Half + j));
  return scales;
}

// acc -> y, in place, in half of the tile's columns. Column 8j + 2q of the tile is register 4j of the thread.
template <i32 Half> DEVICE void scale_scores(frag<32> &s, const Row (&row)[2], const HalfScales &scales) {
#pragma unroll
  for (i32 j = 4 * Half; j < 4 * Half + 4; ++j) {
    const float4 t = scales.of[j % 4];
#pragma unroll
    for (i32 r = 0; r < 2; ++r) {
      s[4 * j + 2 * r] = fma_rn(s[4 * j + 2 * r] * t.x, row[r].factor, t.y);
      s[4 * j + 2 * r + 1] = fma_rn(s[4 * j + 2 * r + 1] * t.z, row[r].factor, t.w);
    }
  }
}

// `valid`: how many of the tile's tokens each row may see.
DEVICE void mask_scores(frag<32> &s, const i32 (&valid)[2], u32 pair) {
#pragma unroll
  for (i32 r = 0; r < 2; ++r) {
#pragma unroll
    for (i32 j = 0; j < 8; ++j) {
      const i32 column = 8 * j + 2 * (i32)pair;
      if (column >= valid[r]) s[4 * j + 2 * r] = -infinity();
      if (column + 1 >= valid[r]) s[4 * j + 2 * r + 1] = -infinity();
    }
  }
}

// The i-th quarter of a tile's y, 16 tokens of two rows, to P: four bytes of each row, tokens 2q, 2q + 1, 2q + 8, 2q + 9 (the order
// in which accumulate reads V^T). Adds them, unrounded, to the rows' sums; `weight` has their inverse scales.
DEVICE void exponentials(u32 (&packed)[2], const frag<32> &s, Row (&row)[2], float4 weight, i32 i) {
#pragma unroll
  for (i32 r = 0; r < 2; ++r) {
    const float shift = p_base - row[r].reference.value;
    const float a = exp2_approx(s[8 * i + 2 * r] + shift), b = exp2_approx(s[8 * i + 2 * r + 1] + shift);
    const float c = exp2_approx(s[8 * i + 4 + 2 * r] + shift), d = exp2_approx(s[8 * i + 5 + 2 * r] + shift);
    packed[r] = pack_e4m3(a, b, c, d);
    row[r].sum = fma_rn(d, weight.w, fma_rn(c, weight.z, fma_rn(b, weight.y, fma_rn(a, weight.x, row[r].sum))));
  }
}
// The score role: one warpgroup, 64 rows. Thread (warp w, g = lane / 4, q = lane % 4) holds rows 16w + g and 16w + g + 8,
// columns 8j + 2q and 8j + 2q + 1 of a tile.

// The first part of the scores is issued in two batches between the sections of the previous tile's softmax. Each has the warpgroup's warps
// wait for each other, so that four are slower, and so is one (experiments.md). The second part goes into the registers that the softmax
// has then emptied.
template <int Batch> DEVICE void score_first_part(frag<32> &s, u64 q, u64 k) {
  wgmma_fence();
  if constexpr (Batch == 0) {
    wgmma_e4m3<64, false>(s, descriptor_advance(q, 0 * query_subtile_bytes + 0), descriptor_advance(k, 0 * subtile_bytes + 0));
    wgmma_e4m3<64, true>(s, descriptor_advance(q, 0 * query_subtile_bytes + 32), descriptor_advance(k, 0 * subtile_bytes + 32));
    wgmma_e4m3<64, true>(s, descriptor_advance(q, 0 * query_subtile_bytes + 64), descriptor_advance(k, 0 * subtile_bytes + 64));
    wgmma_e4m3<64, true>(s, descriptor_advance(q, 0 * query_subtile_bytes + 96), descriptor_advance(k, 0 * subtile_bytes + 96));
    wgmma_e4m3<64, true>(s, descriptor_advance(q, 1 * query_subtile_bytes + 0), descriptor_advance(k, 1 * subtile_bytes + 0));
    wgmma_e4m3<64, true>(s, descriptor_advance(q, 1 * query_subtile_bytes + 32), descriptor_advance(k, 1 * subtile_bytes + 32));
    wgmma_e4m3<64, true>(s, descriptor_advance(q, 1 * query_subtile_bytes + 64), descriptor_advance(k, 1 * subtile_bytes + 64));
    wgmma_e4m3<64, true>(s, descriptor_advance(q, 1 * query_subtile_bytes + 96), descriptor_advance(k, 1 * subtile_bytes + 96));
  }
  if constexpr (Batch == 1) {
    wgmma_bf16<64, true>(s, descriptor_advance(q, 4 * query_subtile_bytes + 0), descriptor_advance(k, 4 * subtile_bytes + 0));
    wgmma_bf16<64, true>(s, descriptor_advance(q, 4 * query_subtile_bytes + 32), descriptor_advance(k, 4 * subtile_bytes + 32));
    wgmma_bf16<64, true>(s, descriptor_advance(q, 4 * query_subtile_bytes + 64), descriptor_advance(k, 4 * subtile_bytes + 64));
    wgmma_bf16<64, true>(s, descriptor_advance(q, 4 * query_subtile_bytes + 96), descriptor_advance(k, 4 * subtile_bytes + 96));
  }
  if constexpr (Batch == 1) wgmma_commit();
}

DEVICE void score_second_part(frag<32> &s, u64 q, u64 k) {
  wgmma_fence();
    wgmma_e4m3<64, false>(s, descriptor_advance(q, 2 * query_subtile_bytes + 0), descriptor_advance(k, 2 * subtile_bytes + 0));
    wgmma_e4m3<64, true>(s, descriptor_advance(q, 2 * query_subtile_bytes + 32), descriptor_advance(k, 2 * subtile_bytes + 32));
    wgmma_e4m3<64, true>(s, descriptor_advance(q, 2 * query_subtile_bytes + 64), descriptor_advance(k, 2 * subtile_bytes + 64));
    wgmma_e4m3<64, true>(s, descriptor_advance(q, 2 * query_subtile_bytes + 96), descriptor_advance(k, 2 * subtile_bytes + 96));
    wgmma_e4m3<64, true>(s, descriptor_advance(q, 3 * query_subtile_bytes + 0), descriptor_advance(k, 3 * subtile_bytes + 0));
    wgmma_e4m3<64, true>(s, descriptor_advance(q, 3 * query_subtile_bytes + 32), descriptor_advance(k, 3 * subtile_bytes + 32));
    wgmma_e4m3<64, true>(s, descriptor_advance(q, 3 * query_subtile_bytes + 64), descriptor_advance(k, 3 * subtile_bytes + 64));
    wgmma_e4m3<64, true>(s, descriptor_advance(q, 3 * query_subtile_bytes + 96), descriptor_advance(k, 3 * subtile_bytes + 96));
  wgmma_commit();
}

// Waits for both parts and adds them.
DEVICE void finish_scores(frag<32> &s, frag<32> &first_part) {
  wgmma_wait<0>(s, first_part);
#pragma unroll
  for (i32 i = 0; i < 32; ++i) s[i] += first_part[i];
}

DEVICE u64 query_descriptor() { return operand_descriptor(shared_at<u8>(query_at).address()); }

// Ready is full as well: who prepares a tile has waited for its page.
DEVICE void wait_for_keys(Ring ring) { mbarrier_wait(kv_ready(ring.stage), ring.parity); }

struct ScoreState {
  Row row[2];
  Ring ring;      // the tile whose scores are finished
  HalfScales first_half;  // of that tile
  u32 p_buffer = 0, p_parity = 1;
};

// Turns the finished scores `s` of a tile into P; with Next, issues the next tile's meanwhile: the first part into `next`, the
// second into `s` as soon as its last exponential is taken.
template <bool Next, bool Masked>
DEVICE void softmax(const Params &p, Place at, ScoreState &state, const Work &w, frag<32> &s, frag<32> &next, Ring ahead, i32 tile) {
  const u64 q = query_descriptor(), next_k = key_descriptor(ahead.stage);
  const auto issue_next = [&](i32 quarter) {  // behind a quarter of P; 0: the search
    if constexpr (Next) {
      if (quarter == 0) score_first_part<0>(next, q, next_k);
      if (quarter == 3) score_first_part<1>(next, q, next_k);
      if (quarter == 4) score_second_part(s, q, next_k);  // s is empty now
    }
  };
  const u32 lane = lane_index(), warp = warp_index() & 3, pair = lane & 3, g = lane >> 2;
  const u32 stage = state.ring.stage, buffer = state.p_buffer;
  const HalfScales second_half = load_scales<1>(stage);
  scale_scores<0>(s, state.row, state.first_half);
  scale_scores<1>(s, state.row, second_half);
  if (Masked && needs_mask(p, w, tile)) {
    const u32 r = at.group * rows + 16 * warp + g;
    const i32 valid[2] = {visible_tokens(p, w, r) - tile * tile_tokens, visible_tokens(p, w, r + 8) - tile * tile_tokens};
    mask_scores(s, valid, pair);
  }

  // The first quarter of P by the references as they are, beside the search for the largest y: they seldom move.
  const smem<float4> inverse = shared_at<float4>(inv_scale_at + stage * scale_bytes) + pair;
  float4 weight = inverse.load();
  const float sums[2] = {state.row[0].sum, state.row[1].sum};
  u32 packed[2];
  exponentials(packed, s, state.row, weight, 0);
  float top[2];
#pragma unroll
  for (i32 r = 0; r < 2; ++r) {
    top[r] = max_f32(s[2 * r], s[2 * r + 1]);
#pragma unroll
    for (i32 j = 1; j < 8; ++j) top[r] = max_f32(top[r], max_f32(s[4 * j + 2 * r], s[4 * j + 2 * r + 1]));
    top[r] = row_max(top[r]);
  }
  bool changed = warp_any(moves(state.row[0].reference, top[0]) | moves(state.row[1].reference, top[1]));
  if constexpr (Next) wait_for_keys(ahead);
  issue_next(0);

  mbarrier_wait(p_empty(buffer), state.p_parity);
  if (__builtin_expect(changed, false)) {
    const smem<float> rescale = shared_at<float>(rescale_at + buffer * 256) + (16 * warp + g);
#pragma unroll
    for (i32 r = 0; r < 2; ++r) {
      const float beta = move_reference(state.row[r].reference, top[r]);
      state.row[r].sum = sums[r] * beta;
      if (pair == 0) rescale.store(8 * r, beta);
    }
    exponentials(packed, s, state.row, weight, 0);
  }
  if (lane == 0) shared_at<u8>(changed_at + buffer * 4).store(warp, changed && tile > w.first_tile);  // at first there is nothing to rescale

  // P: [row][two tiles of 64 bytes], two such buffers, 128-byte swizzle.
  const smem<u32> p_row = shared_at<u32>(p_at + buffer / 2 * 8192 + (16 * warp + g) * 128 + 4 * pair);
#pragma unroll
  for (i32 i = 0; i < 4; ++i) {
    const float4 next_weight = inverse.load(4 * (i < 3 ? i + 1 : i));  // on its way before it is needed
    if (i > 0) exponentials(packed, s, state.row, weight, i);
    weight = next_weight;
    issue_next(i + 1);
    const i32 chunk = (buffer % 2 * 4 + i) ^ g;
    p_row.store(chunk * 4, packed[0]);
    p_row.store(chunk * 4 + 256, packed[1]);
  }
  fence_async_proxy();  // wgmma reads P
}

// Hands the tile's P to accumulate.
DEVICE void publish_probabilities(ScoreState &state) {
  warp_sync();
  if (lane_index() == 0) mbarrier_arrive(p_full(state.p_buffer));
  if (++state.p_buffer == 4) {
    state.p_buffer = 0;
    state.p_parity ^= 1;
  }
}

// The scores of a tile, with nothing else to do meanwhile.
DEVICE void score_alone(ScoreState &state, frag<32> &s, frag<32> &next) {
  const u64 q = query_descriptor(), k = key_descriptor(state.ring.stage);
  score_first_part<0>(next, q, k);
  score_first_part<1>(next, q, k);
  score_second_part(s, q, k);
  state.first_half = load_scales<0>(state.ring.stage);
  finish_scores(s, next);
}

// One tile: its scores are finished in `s`; with Next, the next tile's are when this returns.
template <bool Next, bool Masked>
DEVICE void score_tile(const Params &p, Place at, ScoreState &state, const Work &w, frag<32> &s, frag<32> &next, i32 tile) {
  Ring ahead = state.ring;
  ahead.advance();
  if constexpr (Next) {
    softmax<true, Masked>(p, at, state, w, s, next, ahead, tile);
    publish_probabilities(state);
    state.first_half = load_scales<0>(ahead.stage);
    finish_scores(s, next);
  } else {
    warp_sync();
    if (lane_index() == 0) mbarrier_arrive(query_empty());
    softmax<false, Masked>(p, at, state, w, s, next, ahead, tile);
    publish_probabilities(state);
  }
  state.ring = ahead;
}

DEVICE void finish_row(const Params &p, Place at, const Work &w, i32 slot, Row row, u32 r) {
  float sum = row.sum;
  sum += shuffle_xor(sum, 1);
  sum += shuffle_xor(sum, 2);
  if ((lane_index() & 3) == 0) store_row_lse(p, at, w, slot, r, lse_of(row.reference.value, sum));
}

DEVICE void score(const Params &p, Place at) {
  const u32 r = (warp_index() & 3) * 16 + (lane_index() >> 2);
  ScoreState state;
  frag<32> s, next;
  u32 parity = 0;
  Work w;
  for (i32 request = first_request(p, at); next_work(p, at, request, w);) {
    state.row[0] = {row_factor(p, at, w, r), {}, {}};
    state.row[1] = {row_factor(p, at, w, r + 8), {}, {}};
    mbarrier_wait(query_full(), parity);
    wait_for_keys(state.ring);
    score_alone(state, s, next);
    // Tiles that all rows see whole have a loop of their own, without a mask's code to jump over.
    i32 tile = w.first_tile;
#pragma unroll 1
    for (; tile + 1 < w.end_tile && !needs_mask(p, w, tile); ++tile) score_tile<true, false>(p, at, state, w, s, next, tile);
    score_tile<false, true>(p, at, state, w, s, next, tile);
    const i32 slot = partial_slot(p, at, w);
    finish_row(p, at, w, slot, state.row[0], r);
    finish_row(p, at, w, slot, state.row[1], r + 8);
    parity ^= 1;
  }
}
// The accumulate role: a warpgroup owns latent / 2 channels of O^T for all 64 rows, in m-tiles of 64 channels.
constexpr i32 m_tiles = latent / 128;
constexpr i32 all_loaded = m_tiles > 1 ? m_tiles - 2 : 0;  // behind this product all of V^T is in registers

// O *= by in the rows that have a factor: those 16w .. 16w + 15 where byte w of `changed` is set. In one place and not beside each m-tile's
// product: references seldom move, and what a loop of tiles jumps over costs it time (experiments.md).
DEVICE void rescale_output(Sum (&o)[m_tiles], u32 changed, smem<float2> by) {
#pragma unroll
  for (i32 j = 0; j < 8; ++j) {
    if ((changed & 0xffu << j / 2 * 8) == 0) continue;
    const float2 factor = by.load(4 * j);
#pragma unroll
    for (i32 m = 0; m < m_tiles; ++m) scale_rows(o[m], j, factor);
  }
}

constexpr u32 accumulate_barrier = 1;  // where both groups meet, at a run's end

// The sums of the rounded P's e = P / s, which normalise, so that the weights sum to one: L = P W by the tensor cores, where W has the
// tokens' inverse scales (weights.inc). Each group sums its half of a tile's tokens. Thread (warp w, g, q) has rows 16w + g and
// 16w + g + 8, terms 2q and 2q + 1.
struct RowSums {
  float value[2] = {0.0f, 0.0f};
  frag<4> t;  // of a tile
  float unit;  // what a tile's even terms count

  // Before a tile's products.
  DEVICE void begin(u32, u32 buffer, u32 stage, u32 changed) {
    const u32 lane = lane_index(), warp = warp_index() & 3;
    unit = shared_at<float>(unit_at + stage * 16).load((i32)(lane & 3));
    if ((changed >> 8 * warp & 0xff) == 0) return;
    const smem<float> beta = shared_at<float>(rescale_at + buffer * 256) + (i32)(16 * warp + (lane >> 2));
    value[0] *= beta.load();
    value[1] *= beta.load(8);
  }
  // Beside product m, whose group it belongs to.
  DEVICE void issue(i32 m, u64 p_tile, u32 stage, u32 half) {
    if (m > 0) return;
    const u64 w = descriptor_narrow(wgmma_descriptor(shared_at<u8>(weight_at + stage * weight_bytes).address() + half * 32, 1024));
    wgmma_e4m3<8, false>(t, descriptor_advance(p_tile, half * 32), w);
  }
  DEVICE void beside(i32) {}
  // The groups so far are done.
  DEVICE void wait(i32 m) {
    if (m == 0) wgmma_wait<0>(t);
  }
  DEVICE void add(i32 m) {
    if (m > 0) return;
#pragma unroll
    for (i32 r = 0; r < 2; ++r) value[r] = fma_rn(fma_rn(t[2 * r + 1], 1.0f / 32.0f, t[2 * r]), unit, value[r]);
  }
  // This group's half, for all warps of both groups. `buffer` alternates from run to run, so that the next one's may be written while a
  // slow warp reads this one's.
  DEVICE void publish(u32 buffer, u32 half) {
    const u32 lane = lane_index(), warp = warp_index() & 3;
#pragma unroll
    for (i32 r = 0; r < 2; ++r) {
      value[r] += shuffle_xor(value[r], 1);
      value[r] += shuffle_xor(value[r], 2);
      if ((lane & 3) == 0) shared_at<float>(row_sum_at + (2 * buffer + half) * rows * 4).store((i32)(16 * warp + (lane >> 2)) + 8 * r, value[r]);
      value[r] = 0.0f;
    }
    barrier_sync(accumulate_barrier, 256);
  }
};

// What rows are multiplied by: lane l knows that of rows l and l + 32.
struct Normalisers {
  float of[2];

  DEVICE float2 rows_of(i32 j, u32 pair) const {  // 8j + 2q and 8j + 2q + 1
    const u32 lane = (u32)j % 4 * 8 + 2 * pair;
    return make_float2(shuffle(of[j / 4], lane), shuffle(of[j / 4], lane + 1));
  }
};

// Of the sums in `buffer`.
DEVICE Normalisers normalisers_of(const Params &p, u32 buffer) {
  const smem<float> sums = shared_at<float>(row_sum_at + 2 * buffer * rows * 4) + (i32)lane_index();
  return {{normaliser(p, sums.load() + sums.load(rows)), normaliser(p, sums.load(32) + sums.load(rows + 32))}};
}

DEVICE void accumulate(const Params &p, Place at, u32 half) {
  const u32 lane = lane_index(), warp = warp_index() & 3, pair = lane & 3;
  const u32 even = m_tile_at(half * m_tiles), odd = m_tile_at(half * m_tiles + 1);
  const u64 p_descriptor = wgmma_descriptor(shared_at<u8>(p_at).address(), 1024);
  const u32 first_channel = half * (latent / 2) + warp * 16 + lane / 4 * 2;
  Ring ring;
  RowSums sums;
  u32 buffer = 0, p_parity = 0, run = 0;
  Sum o[m_tiles];
  Work w;
  for (i32 request = first_request(p, at); next_work(p, at, request, w);) {
#pragma unroll
    for (i32 m = 0; m < m_tiles; ++m)
#pragma unroll
      for (i32 i = 0; i < 32; ++i) o[m][i] = 0.0f;
#pragma unroll 1
    for (i32 tile = w.first_tile; tile < w.end_tile; ++tile) {
      const u32 values = shared_at<u8>(kv_at + ring.stage * tile_bytes).address();
      a_frag a[2];
      frag<32> t;
      mbarrier_wait(weights_full(ring.stage), ring.parity);  // and the page is there: who writes them has waited for it
      mbarrier_wait(p_full(buffer), p_parity);
      load_values(a, values, 0, even, odd);
      const u64 p_tile = descriptor_advance(p_descriptor, buffer / 2 * 8192 + buffer % 2 * 64);
      const u32 changed = shuffle(shared_at<u32>(changed_at).load(buffer), 0);
      sums.begin(half, buffer, ring.stage, changed);
      if (changed != 0) rescale_output(o, changed, shared_at<float2>(rescale_at + buffer * 256) + pair);
#pragma unroll
      for (i32 m = 0; m < m_tiles; ++m) {
        wgmma_fence();
        wgmma_e4m3<64, false>(t, a[0], p_tile);
        wgmma_e4m3<64, true>(t, a[1], descriptor_advance(p_tile, 32));
        sums.issue(m, p_tile, ring.stage, half);
        wgmma_commit();
        sums.beside(m);
        wgmma_wait<0>(t);
        sums.wait(m);
        if (m + 1 < m_tiles) load_values(a, values, m + 1, even, odd);
        // What has been read is given back, as the port answers in order: V^T while its last m-tile is still to be multiplied.
        if (m == all_loaded || m + 1 == m_tiles) {
          warp_sync();
          if (lane == 0) {
            if (m == all_loaded) mbarrier_arrive(kv_empty(ring.stage));
            if (m + 1 == m_tiles) mbarrier_arrive(p_empty(buffer));
          }
        }
#pragma unroll
        for (i32 i = 0; i < 32; ++i) o[m][i] += t[i];
        sums.add(m);
      }
      ring.advance();
      if (++buffer == 4) {
        buffer = 0;
        p_parity ^= 1;
      }
    }
    const i32 slot = partial_slot(p, at, w);
    sums.publish(run % 2, half);
    const Normalisers normalisers = normalisers_of(p, run % 2);
    store_output<0, m_tiles>(p, at, w, slot, o, first_channel, [&](i32 j) {
      const float2 by = normalisers.rows_of(j, pair);
#pragma unroll
      for (i32 m = 0; m < m_tiles; ++m) scale_rows(o[m], j, by);
    });
    run ^= 1;
  }
}

DEVICE void consume(const Params &p, Place at, u32 consumer) {
  wait_for_query();
  if (consumer == 0) {
    registers_lower<120>();
    score(p, at);
  } else {
    registers_raise<184>();
    accumulate(p, at, consumer - 1);
  }
}

// The producers' code comes first, and of theirs that of the warp whose pages all wait for: from cold, instructions come from memory too. The
// compiler puts the code that a comparison of order jumps to behind the code that follows it, and not that of one for equality: hence `>= 128` and
// `warp < 4`. Each role ends with a return or a chain of conditions: so the compiler knows that a warp comes to its role whole, and keeps what it
// agrees on in uniform registers.
KERNEL(snapmla_mla_decode, 512) {
  const Place at = {block_index() / (u32)p.groups, block_index() % (u32)p.groups};
  if (thread_index() == 96) bulk_prefetch(p.units + at.unit, sizeof(smla_unit));  // on its way while barriers are made
  if (thread_index() == 0) init_barriers();
  block_sync();
  const u32 warpgroup = warpgroup_index();
  if (thread_index() >= 128) {
    consume(p, at, warpgroup - 1);
    return;
  }
  registers_lower<24>();
  const u32 warp = warp_index();
  if (warp >= 1 && warp < 3) {
    if (warp > 1) {
      prepare_scales(p, at);
    } else {
      wait_for_query();
      fetch_query(p, at);
    }
    return;
  }
  gather_tokens(p, at, warp / 3);
}
