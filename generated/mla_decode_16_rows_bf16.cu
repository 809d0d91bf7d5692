// Generated from templates/mla_decode/mla_decode.cu.tmpl: do not edit.
//   variant: mla_decode:rows=16,latent=512,rope=64,page=64,format=bf16,accuracy=fast,query_terms=1,p_terms=1,score_parts=2,promotion=none,sums=rounded,limits=kept,pipeline=on,tokens=paged,partial=bf16,stages=2
//   command: snapmla gen --variant 'mla_decode:rows=16,latent=512,rope=64,page=64,format=bf16,accuracy=fast,query_terms=1,p_terms=1,score_parts=2,promotion=none,sums=rounded,limits=kept,pipeline=on,tokens=paged,partial=bf16,stages=2' --target sm90a
// Decodes 16 query rows of a request against a run of its KV tiles (64 tokens each), unit by unit of the schedule.
//
// Both products are swapped, so that N is the rows: S^T = K Q^T, O^T = V^T P^T. The two consumer warpgroups are independent
// streams: each takes the tiles whose stage has its parity, with a softmax and an O^T of its own, and they meet only at a
// request's end, to merge:
//   warpgroup 0   warp 0 fetches page images, warp 1 the query, warp 2 prepares scales     (40 registers)
//   warpgroups 1, 2   attend: S^T, softmax, P and O^T of every other tile; the merge       (232 each)
// Row r of a request is token r / heads, head r % heads.
//
// shared memory    bytes     written by        read by
//   query          36864     fetch_query       attend
//   kv             147456    fetch_pages       attend; then its exchange
//   p              4096      attend            attend
//   raw_scale      0         fetch_pages       prepare_scales
//   scale          1024      prepare_scales    attend
//   inv_scale      512       prepare_scales    attend
//   top            512       attend            attend: largest y by stream, warp, row
//   sums           2048      attend            attend: sums by buffer, stream, warp, row
//   last_reference 256       attend            attend: by buffer, stream, row
//   bad_page       8         fetch_pages       prepare_scales
//
// barrier        arrivals  completes when                                  waited for by
//   kv_full      1         the page image has landed                       prepare_scales, the stage's stream
//   kv_ready     1         its scales are prepared, its tail cleared       the stage's stream
//   kv_empty     4         its stream has read it, or the other its sums   fetch_pages
//   query_full   1         the query image has landed                      attend
//   query_empty  8         both streams' last scores with it are done      fetch_query

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
DEVICE void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
DEVICE void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int Pending> DEVICE void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" :: "n"(Pending) : "memory");
}
// The accumulators are operands of the wait, so that no use of them moves above it.
template <int Pending> DEVICE void wgmma_wait(frag<8> &d) {
  asm volatile("wgmma.wait_group.sync.aligned %8;" : "+f"(d.r[0]), "+f"(d.r[1]), "+f"(d.r[2]), "+f"(d.r[3]), "+f"(d.r[4]), "+f"(d.r[5]), "+f"(d.r[6]), "+f"(d.r[7]) : "n"(Pending) : "memory");
}
template <int Pending> DEVICE void wgmma_wait(frag<8> &d, frag<8> &e) {
  asm volatile("wgmma.wait_group.sync.aligned %16;" : "+f"(d.r[0]), "+f"(d.r[1]), "+f"(d.r[2]), "+f"(d.r[3]), "+f"(d.r[4]), "+f"(d.r[5]), "+f"(d.r[6]), "+f"(d.r[7]), "+f"(e.r[0]), "+f"(e.r[1]), "+f"(e.r[2]), "+f"(e.r[3]), "+f"(e.r[4]), "+f"(e.r[5]), "+f"(e.r[6]), "+f"(e.r[7]) : "n"(Pending) : "memory");
}
template <int N, bool Accumulate> DEVICE void wgmma_bf16(frag<8> &d, u64 a, u64 b) {
  static_assert(N == 16, "N and the accumulator differ");
  asm volatile("{\n.reg .pred keep;\nsetp.ne.b32 keep, %10, 0;\n"
               "wgmma.mma_async.sync.aligned.m64n16k16.f32.bf16.bf16 {%0, %1, %2, %3, %4, %5, %6, %7}, %8, %9, keep, 1, 1, 0, 0;\n}"
               : "+f"(d.r[0]), "+f"(d.r[1]), "+f"(d.r[2]), "+f"(d.r[3]), "+f"(d.r[4]), "+f"(d.r[5]), "+f"(d.r[6]), "+f"(d.r[7]) : "l"(a), "l"(b), "n"(Accumulate));
}
template <int N, bool Accumulate> DEVICE void wgmma_bf16(frag<8> &d, const a_frag &a, u64 b) {
  static_assert(N == 16, "N and the accumulator differ");
  asm volatile("{\n.reg .pred keep;\nsetp.ne.b32 keep, %13, 0;\n"
               "wgmma.mma_async.sync.aligned.m64n16k16.f32.bf16.bf16 {%0, %1, %2, %3, %4, %5, %6, %7}, {%8, %9, %10, %11}, %12, keep, 1, 1, 0;\n}"
               : "+f"(d.r[0]), "+f"(d.r[1]), "+f"(d.r[2]), "+f"(d.r[3]), "+f"(d.r[4]), "+f"(d.r[5]), "+f"(d.r[6]), "+f"(d.r[7]) : "r"(a.r[0]), "r"(a.r[1]), "r"(a.r[2]), "r"(a.r[3]), "l"(b), "n"(Accumulate));
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
// Rows of a request: row r is token r / heads, head r % heads.
DEVICE float infinity() { return float_of(0x7f800000u); }
DEVICE float not_a_number() { return float_of(0x7fffffffu); }

constexpr float ln_2 = 0.6931471805599453f;

struct OutputRow {
  u16 *out;
  float *lse;
};

// Where a row's output and lse go; lse is null when the caller wants none.
template <class P> DEVICE OutputRow output_row(const P &p, u32 record, u32 row) {
  const u32 batch = record, token = row / (u32)p.heads, head = row % (u32)p.heads;
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
struct Params : mla_decode_params, mla_decode_rows_params {};

constexpr i32 latent = 512;
constexpr u32 rows = 16;
constexpr i32 tile_tokens = 64;
constexpr i32 image_tokens = 64;
constexpr i32 images_per_page = 64 / image_tokens;
constexpr i32 images_per_tile = 1;
constexpr u32 stages = 2;
constexpr u32 subtiles = 8;
constexpr u32 subtile_bytes = 8192;
constexpr u32 tile_bytes = 73728;
constexpr u32 image_bytes = 73728;
constexpr u32 scale_bytes = tile_tokens * 4;
constexpr u32 query_buffers = 2;
constexpr u32 query_subtile_bytes = rows * 128;
constexpr u32 query_bytes = 18432;
constexpr bool is_gathered = false;  // tiles are stored by threads: wgmma reads them after a fence

// Offsets into shared memory.
constexpr u32 query_at = 0;
constexpr u32 kv_at = 36864;
constexpr u32 p_at = 184320;
constexpr u32 raw_scale_at = 188416;
constexpr u32 scale_at = 188416;
constexpr u32 inv_scale_at = 189440;
constexpr u32 top_at = 189952;
constexpr u32 sums_at = 190464;
constexpr u32 last_reference_at = 192512;
constexpr u32 bad_page_at = 192768;
constexpr u32 kv_full_at = 192776;
constexpr u32 kv_ready_at = 192792;
constexpr u32 kv_empty_at = 192808;
constexpr u32 query_full_at = 192824;
constexpr u32 query_empty_at = 192840;
static_assert(192856 == 192856, "the map and the space's shared memory differ");
static_assert(kv_full_at % 8 == 0, "barriers are 8 bytes");

DEVICE mbarrier kv_full(u32 i) { return mbarrier_at(kv_full_at + 8 * i); }
DEVICE mbarrier kv_ready(u32 i) { return mbarrier_at(kv_ready_at + 8 * i); }
DEVICE mbarrier kv_empty(u32 i) { return mbarrier_at(kv_empty_at + 8 * i); }
DEVICE mbarrier query_full(u32 i) { return mbarrier_at(query_full_at + 8 * i); }
DEVICE mbarrier query_empty(u32 i) { return mbarrier_at(query_empty_at + 8 * i); }

DEVICE void init_barriers() {
  for (u32 i = 0; i < 2; ++i) mbarrier_init(kv_full(i), 1);
  for (u32 i = 0; i < 2; ++i) mbarrier_init(kv_ready(i), 1);
  for (u32 i = 0; i < 2; ++i) mbarrier_init(kv_empty(i), 4);
  for (u32 i = 0; i < 2; ++i) mbarrier_init(query_full(i), 1);
  for (u32 i = 0; i < 2; ++i) mbarrier_init(query_empty(i), 8);
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
// What a walk loads first depends on what it loaded before: the share of its unit, the request's row of the block table, and only then a
// page; for further requests their records. From cold each would wait for memory in turn. A warp without work asks meanwhile for records
// and table in L2, a block a part of them.

// One thread: this block's part of `bytes` at `from`, less than 2^31, in whole 16 bytes.
DEVICE void warm_part(const void *from, i64 bytes) {
  const u64 begin = ((u64)from + 15) & ~(u64)15, end = ((u64)from + (u64)bytes) & ~(u64)15;
  if (end <= begin) return;
  const u32 all = (u32)(end - begin), part = (all / block_count() + 16) & ~15u, at = block_index() * part;
  if (at < all) bulk_prefetch((const void *)(begin + at), all - at < part ? all - at : part);
}

// Of the table all rows but the last, whose end a caller may not have (rows of a wider table); none of one that is large, as for the
// longest contexts: most of it lies past the requests' lengths.
constexpr i64 most_warmed = 1 << 19;  // bytes

DEVICE void warm_tables(const Params &p) {
  if (lane_index() > 0) return;
  warm_part(p.requests, (i64)p.batch * (i64)sizeof(smla_request));
  const i64 rows_before_last = (i64)(p.batch - 1) * p.block_table_stride * 4;
  if (rows_before_last <= most_warmed) warm_part(p.block_table, rows_before_last);
}
// Fetching rows of tokens: by tensor copies, which make subtiles of them, swizzled on the way. What lies past a row's end (a RoPE
// of less than 128 bytes) arrives as zeros.

// The page that an image is of. A bad page's place is taken by page 0.
typedef i32 ImageSource;
DEVICE ImageSource image_source(const Params &, i32 page, i32) { return page < 0 ? 0 : page; }

// One thread: `image_tokens` rows of a page to their rows of the stage.
DEVICE void fetch_image(const Params &p, u32 stage, mbarrier full, ImageSource page, i32 image) {
  const l2_policy l2 = l2_evict_first();
  constexpr u32 box_bytes = image_tokens * 128;
  const u32 target = shared_at<u8>(kv_at + stage * tile_bytes).address() + image % images_per_tile * box_bytes;
  const i32 row = image % images_per_page * image_tokens;
#pragma unroll
  for (u32 c = 0; c < subtiles; ++c)
    tensor_copy(target + c * subtile_bytes, &p.kv_map, c * 128, row, page, box_bytes, full, l2);
  tensor_copy(target + subtiles * subtile_bytes, &p.kv_map, 1024, row, page, box_bytes, full, l2);
}

DEVICE float stored_scale(u32, i32) { return 1.0f; }
// The producer of paged tokens: copies of pages into the ring. How a page is copied is its format's (fetch_image). It gives way in L2 to later
// pages before it drives out what others have left there.
constexpr u32 status_bad_page = 1;  // SNAPMLA_STATUS_BAD_PAGE

// Where the images of a run end: with its tiles, but the request's last tile may lack some.
DEVICE i32 end_image(const Work &w) {
  if constexpr (images_per_tile == 1) return w.end_tile;
  const i32 run = w.end_tile * images_per_tile, request = (w.tokens + image_tokens - 1) / image_tokens;
  return run < request ? run : request;
}

// The last entry of a request's row of the block table that a run may read: of its last page, or the table's where that is shorter than the
// schedule was told.
DEVICE i32 last_entry(const Params &p, i32 end) {
  const i32 last = (end - 1) / images_per_page;
  return last < p.block_table_stride ? last : (i32)p.block_table_stride - 1;
}

// What a request's row has for an image, without a jump, which would cost more than the load; what lies behind `last` gets the entry of `last`.
// Apart from what becomes of it, so that the load is not waited for at once.
DEVICE i32 load_page(const i32 *row, i32 image, i32 last) {
  const i32 entry = image / images_per_page;
  return global_load(row + (entry < last ? entry : last));
}

// The page that the number means; -1 for one outside the cache and for an image that the table has no page for. Past the run's end it
// may be any.
DEVICE i32 page_of(const Params &p, i32 number, i32 image, i32 last) {
  return image / images_per_page <= last && (u32)number < (u32)p.num_pages ? number : -1;
}

// One thread: waits for the stage and announces what it will hold. A tile with a bad page becomes NaN in prepare_scales.
DEVICE void open_stage(Ring ring, bool bad, i32 images) {
  mbarrier_wait(kv_empty(ring.stage), ring.parity ^ 1);
  shared_at<u32>(bad_page_at).store(ring.stage, bad);
  mbarrier_arrive_expect(kv_full(ring.stage), images * image_bytes);
}

// One warp. Page numbers are loaded 32 at a time, one batch ahead; lane 0 copies. No prefetch into L2: a prototype with one
// moved each page nearly twice on an H200, by inference because of it (docs/kernel.md).
DEVICE void fetch_pages(const Params &p, Place at) {
  const i32 lane = (i32)lane_index();
  Ring ring;
  i32 at_once = 2;  // tiles asked for until the first has landed, so that no block waits for others' later ones before it begins
  Share share = share_of(p, at);  // once before the first page, which all wait for
  Work w;
  for (i32 request = first_request(share); next_work(p, share, request, w); share = share_of(p, at)) {
    const i32 end = end_image(w);
    i32 image = w.first_tile * images_per_tile;
    const i32 *row = p.block_table + w.request * p.block_table_stride;
    const i32 last = last_entry(p, end);
    const i32 among = (image & ~31) + lane;  // the 32 images that `image` is among
    i32 pages = load_page(row, among, last), next = load_page(row, among + 32, last);
    pages = page_of(p, pages, among, last);
#pragma unroll 1
    do {
      const i32 images = images_per_tile < end - image ? images_per_tile : end - image;
      const bool bad = warp_any(lane >= (image & 31) && lane < (image & 31) + images && pages < 0);
      if (at_once-- == 0) mbarrier_wait(kv_full(0), 0);
      // Worked out before the stage is free: what is left then are its announcement and the copies.
      ImageSource source = image_source(p, shuffle(pages, image & 31), image);
      if (lane == 0) {
        open_stage(ring, bad, images);
      }
      if (lane == 0) fetch_image(p, ring.stage, kv_full(ring.stage), source, image);
      warp_sync();
      image += images;
      if (bad && lane == 0) global_atomic_or(p.status, status_bad_page);  // not before the page is on its way
      ring.advance();
      if ((image & 31) == 0) {
        pages = page_of(p, next, image + lane, last);
        next = load_page(row, image + 32 + lane, last);
      }
    } while (image < end);
  }
}
// One warp turns a tile's stored scales into what the softmax reads (the scale, its base-2 logarithm and its inverse) and
// makes the tokens past the request's length harmless: scale 1, content zero, whatever the cache holds there.
DEVICE i32 inverse_place(i32 token) { return token; }

// Of a token of the stage, of whose tokens the first `valid` are the request's.
DEVICE float scale_of(u32 stage, i32 token, i32 valid) {
  const float scale = token < valid ? stored_scale(stage, token) : 1.0f;
  return shared_at<u32>(bad_page_at).load(stage) != 0 ? not_a_number() : scale;
}

DEVICE void prepare_scales(const Params &p, Place at) {
  const i32 lane = (i32)lane_index();
  Ring ring;
  Work w;
  for (i32 request = first_request(p, at); next_work(p, at, request, w);) {
#pragma unroll 1
    for (i32 tile = w.first_tile; tile < w.end_tile; ++tile) {
      mbarrier_wait(kv_full(ring.stage), ring.parity);
      const u32 at_stage = ring.stage * scale_bytes;
      const i32 valid = w.tokens - tile * tile_tokens;
      float of[2], log2_of[2];
#pragma unroll
      for (i32 i = 0; i < 2; ++i) {
        const float scale = scale_of(ring.stage, 2 * lane + i, valid);
        log2_of[i] = log2_approx(scale);
        of[i] = scale;
      }
      shared_at<float4>(scale_at + 2 * at_stage).store(lane, make_float4(of[0], log2_of[0], of[1], log2_of[1]));
      const float2 inverse = make_float2(reciprocal_approx(of[0]), reciprocal_approx(of[1]));
      shared_at<float2>(inv_scale_at + at_stage).store(inverse_place(2 * lane) / 2, inverse);
      if (valid < tile_tokens) {
        // 16-byte chunks of a token's row, one a lane; what lane and chunk have in common stays in `row`.
        const smem<uint4> row = shared_at<uint4>(kv_at + ring.stage * tile_bytes) + (lane / 8 * (i32)(subtile_bytes / 16) + lane % 8);
#pragma unroll 1
        for (i32 token = valid; token < tile_tokens; ++token) {
          if (lane < (i32)8 * 8) row.store(token * 8, make_uint4(0, 0, 0, 0));
          if (lane < (i32)4 * 8) row.store(4 * (subtile_bytes / 16) + token * 8, make_uint4(0, 0, 0, 0));
        }
        fence_async_proxy();  // wgmma reads the cleared rows
      }
      warp_sync();
      if (lane == 0) mbarrier_arrive(kv_ready(ring.stage));
      ring.advance();
    }
  }
}
// From a row's scores to its probabilities: their scale, and the sums that normalise them.
//
// y = acc * s * c + log2 s is log2 of what P holds: e * s, the value's scale folded in (c = query scale * softmax scale * log2 e).
// P = bf16(2^(y - reference + 8)). The reference is a whole number per row, so that rescaling by it is exact and a probability rounds
// alike whatever the reference is. It follows the tiles' largest y with hysteresis, as every move costs a rescaling of O^T: raised when a
// tile exceeds it by 2^20, lowered when a tile stays 2^20 below, which few rows ever do, as bf16 has its bits wherever a number is;
// moved to 2^6 above a run's first tile's largest, as larger y are to be expected, to 2^6 above it when raised, as what raised it is seldom
// exceeded and most tiles lie far below, and to 2^9 above it when lowered, as most are larger; never further than 2^36 below its peak: the
// largest P * 2^40 (an inverse scale) * 2^20 tokens * 2^36 is still a float.
constexpr float p_base = 8.0f;
constexpr float raise_above = 20.0f;
constexpr float lower_below = 20.0f;
constexpr float headroom_first = 6.0f;
constexpr float headroom_raised = 6.0f;
constexpr float headroom_lowered = 9.0f;
constexpr float deepest = 36.0f;
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

// O^T += V^T P^T in bf16. V^T is the register operand of wgmma: ldmatrix.x4.trans gives the fragment of 16 channels x 16 tokens of a
// warp as it is, tokens in their order. bf16 products are added to 25 bits, so that O^T may be the accumulator itself.
typedef frag<rows / 2> Sum;  // of one m-tile, 64 channels: a subtile

// V^T's registers are of channels g and g + 8; pair_channels makes pairs of neighbours of them.
DEVICE u32 first_channel_of(u32 g) { return (g & ~1u) + 8 * (g & 1); }

// From a tile's start to this lane's 16 bytes of the first m-tile's first 16 tokens: matrices 0, 1 are tokens 0 .. 7 of channels
// 0 .. 7 and 8 .. 15, matrices 2, 3 tokens 8 .. 15.
DEVICE u32 first_value_at() {
  const u32 lane = lane_index(), warp = warp_index() & 3;
  return ((lane & 7) + lane / 16 * 8) * 128 + (((2 * warp + (lane / 8 & 1)) ^ (lane & 7)) << 4);
}

// V^T of the m-tile at `values` (a subtile, with this lane's place): 64 channels x 64 tokens, four k steps.
DEVICE void load_values(a_frag (&a)[4], u32 values) {
#pragma unroll
  for (i32 k = 0; k < 4; ++k) ldmatrix_x4_trans(a[k].r, values + k * 16 * 128);
}

// Where V^T of a stage is, from m-tile `first` on.
struct ValueTiles {
  u32 tiles;  // with this lane's place
  DEVICE ValueTiles(u32 stage, i32 first) : tiles(shared_at<u8>(kv_at + stage * tile_bytes).address() + first_value_at() + first * subtile_bytes) {}
  DEVICE void load(a_frag (&a)[4], i32 m) const { load_values(a, tiles + m * subtile_bytes); }
};

// Exchanges with the lane of the neighbouring channel, so that this thread has two channels side by side of both rows, as
// with e4m3: an even g those of its lower channel, an odd one those of its upper.
DEVICE void pair_channels(Sum &o, i32 j) {
  const bool upper = (lane_index() & 4) != 0;
#pragma unroll
  for (i32 i = 0; i < 2; ++i) {
    const float lower_half = o[4 * j + i], upper_half = o[4 * j + 2 + i];
    const float other = shuffle_xor(upper ? lower_half : upper_half, 4);
    o[4 * j + i] = upper ? other : lower_half;
    o[4 * j + 2 + i] = upper ? upper_half : other;
  }
}

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
  float inverse_heads;

  DEVICE OutputRows(const Params &p, const Work &w) : request(p.out + w.request * p.out_stride_batch), inverse_heads(1.0f / (float)p.heads) {}
  DEVICE u16 *row(const Params &p, u32 r) const {
    const u32 token = (u32)(((float)r + 0.5f) * inverse_heads), head = r - token * (u32)p.heads;  // exact below 2^21 rows
    return request + token * p.out_stride_token + head * p.out_stride_head;
  }
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
// From the scores of a tile to P, up to 32 rows by one warpgroup, tokens down and rows across. Thread (warp w, g = lane / 4,
// q = lane % 4) holds tokens 16w + g and 16w + g + 8, rows 8j + 2q and 8j + 2q + 1. What there is once per row, its factor and
// its reference, lane r of each warp keeps for row r: the warps see the same largest scores and so agree.
constexpr i32 row_blocks = rows / 8;  // a thread has two rows of each

// Who meets at a named barrier; each has as many arrivals as there are threads in it.
enum : u32 {
  stream_barrier = 1,   // and 2: one stream's warpgroup, twice a tile and at a request's end
  streams_barrier = 3,  // both streams: their sums for each other are written
};

DEVICE void sync_stream(u32 stream) { barrier_sync(stream_barrier + stream, 128); }

// Row `lane` of the request.
struct LaneRow {
  float factor;
  Reference reference;
};

// One value per row of this thread: row 8j + 2q + i.
struct ThreadRows {
  float of[row_blocks][2];
};

// Those of a value that lane r holds for row r.
DEVICE float2 spread(float value, i32 j, u32 pair) {
  return make_float2(shuffle(value, 8 * j + 2 * pair), shuffle(value, 8 * j + 2 * pair + 1));
}

// acc -> y, in place. `low` and `high` are this thread's tokens, each {scale, log2 of it}.
DEVICE void scale_scores(frag<rows / 2> &s, float factor, float2 low, float2 high, u32 pair) {
#pragma unroll
  for (i32 j = 0; j < row_blocks; ++j) {
    const float2 c = spread(factor, j, pair);
    s[4 * j] = fma_rn(s[4 * j] * low.x, c.x, low.y);
    s[4 * j + 1] = fma_rn(s[4 * j + 1] * low.x, c.y, low.y);
    s[4 * j + 2] = fma_rn(s[4 * j + 2] * high.x, c.x, high.y);
    s[4 * j + 3] = fma_rn(s[4 * j + 3] * high.x, c.y, high.y);
  }
}

// `token` is this thread's first of the tile, `row` its first of the request.
DEVICE void mask_scores(frag<rows / 2> &s, const Params &p, const Work &w, i32 tile, i32 token, u32 row) {
#pragma unroll
  for (i32 j = 0; j < row_blocks; ++j) {
#pragma unroll
    for (i32 i = 0; i < 2; ++i) {
      const i32 valid = visible_tokens(p, w, row + 8 * j + i) - tile * tile_tokens;
      if (token >= valid) s[4 * j + i] = -infinity();
      if (token + 8 >= valid) s[4 * j + 2 + i] = -infinity();
    }
  }
}

// The largest y of each row over the warp's 16 tokens, into `top`, [row]. A butterfly in which two lanes that exchange keep
// half of their rows each, as long as they have more than one.
DEVICE void store_tops(const frag<rows / 2> &s, smem<float> top) {
  const u32 lane = lane_index(), pair = lane & 3;
  float x[2 * row_blocks];
#pragma unroll
  for (i32 h = 0; h < 2 * row_blocks; ++h) x[h] = max_f32(s[h / 2 * 4 + h % 2], s[h / 2 * 4 + 2 + h % 2]);
  i32 count = 2 * row_blocks;
#pragma unroll
  for (u32 mask = 16; mask >= 4; mask /= 2) {
    if (count > 1) {
      count /= 2;
      const bool upper = (lane & mask) != 0;
#pragma unroll
      for (i32 i = 0; i < row_blocks; ++i) {
        if (i >= count) continue;
        const float keep = upper ? x[count + i] : x[i], give = upper ? x[i] : x[count + i];
        x[i] = max_f32(keep, shuffle_xor(give, mask));
      }
    } else {
      x[0] = max_f32(x[0], shuffle_xor(x[0], mask));
    }
  }
  const u32 kept = lane / 4 / (32 / rows);
  top.store((i32)(kept / 2 * 8 + 2 * pair + kept % 2), x[0]);
}

// Row `lane`'s largest over the stream's four warps; lanes past the rows repeat them.
DEVICE float load_top(smem<float> tops) {
  const i32 row = (i32)(lane_index() % rows);
  return max_f32(max_f32(tops.load(row), tops.load(row + rows)), max_f32(tops.load(row + 2 * rows), tops.load(row + 3 * rows)));
}

// y to P: of each block of 8 rows and token of this thread, rows 8j + 2q and 8j + 2q + 1; adds them to the rows' sums. `low` and
// `high` are the inverse scales of the tokens.
typedef u32 Packed[row_blocks][2];

DEVICE void exponentials(Packed &packed, const frag<rows / 2> &s, float reference, float low, float high, u32 pair,
                         ThreadRows &exact, ThreadRows &rounded) {
#pragma unroll
  for (i32 j = 0; j < row_blocks; ++j) {
    const float2 of = spread(reference, j, pair);
    const float shift[2] = {p_base - of.x, p_base - of.y};
    float probability[2][2];  // [row][token]
#pragma unroll
    for (i32 i = 0; i < 2; ++i) {
      probability[i][0] = exp2_approx(s[4 * j + i] + shift[i]);
      probability[i][1] = exp2_approx(s[4 * j + 2 + i] + shift[i]);
      exact.of[j][i] = fma_rn(probability[i][0], low, fma_rn(probability[i][1], high, exact.of[j][i]));
    }
#pragma unroll
    for (i32 token = 0; token < 2; ++token) {
      packed[j][token] = pack_bf16(probability[0][token], probability[1][token]);
      const float2 p16 = unpack_bf16(packed[j][token]);
      const float inverse = token ? high : low;
      rounded.of[j][0] = fma_rn(p16.x, inverse, rounded.of[j][0]);
      rounded.of[j][1] = fma_rn(p16.y, inverse, rounded.of[j][1]);
    }
  }
}

// P is [stream][row][64 tokens of 2 bytes], 128-byte swizzle. The transposing store takes two blocks of 8 rows, of 2 x 8 tokens each:
// where there is one block it is stored twice.
DEVICE void store_probabilities(const Packed &packed, u32 stream) {
  const u32 lane = lane_index(), chunk = (warp_index() & 3) * 2 + (lane / 8 & 1);
#pragma unroll
  for (i32 j = 0; j < row_blocks; j += 2) {
    const u32 row = (j + lane / 16) % row_blocks * 8 + (lane & 7);
    stmatrix_x4_trans(shared_at<u8>(p_at).address() + (stream * rows + row) * 128 + ((chunk ^ (row & 7)) << 4), packed[j][0],
                      packed[j][1], packed[(j + 1) % row_blocks][0], packed[(j + 1) % row_blocks][1]);
  }
}

DEVICE u64 p_descriptor(u32 stream) {
  return descriptor_advance(operand_descriptor(shared_at<u8>(p_at).address()), stream * rows * 128);
}
// O^T += V^T P^T for all channels, by one stream, in m-tiles of 64 channels: straight into O^T's accumulators. While one m-tile is
// multiplied, V^T of the next is there and that of the one after is loaded.
constexpr i32 m_tiles = latent / 64;

struct Values {
  ValueTiles tiles;
  a_frag a[3][4];  // of three m-tiles
  DEVICE Values(u32 stage) : tiles(stage, 0) {}
};

template <i32 M> DEVICE void load_m_tile(Values &v) {
  if constexpr (M < m_tiles) v.tiles.load(v.a[M % 3], M);
}

// What can be loaded before P is there.
DEVICE void load_first(Values &v) {
  load_m_tile<0>(v);
  load_m_tile<1>(v);
}

template <i32 M> DEVICE void multiply_m_tile(Sum (&o)[m_tiles], const Values &v, u64 p_tile) {
#pragma unroll
  for (i32 k = 0; k < 4; ++k) wgmma_bf16<rows, true>(o[M], v.a[M % 3][k], descriptor_advance(p_tile, k * 32));
  wgmma_commit();
}

// Finishes m-tile `M` and all after it; it is being multiplied, and the two after it are loaded or being so. With `release`, the
// stage is given back as soon as its last bytes are in registers.
template <i32 M>
DEVICE void accumulate_m_tiles(Sum (&o)[m_tiles], Values &v, u64 p_tile, mbarrier empty, bool release) {
  if constexpr (M + 1 < m_tiles) multiply_m_tile<M + 1>(o, v, p_tile);
  if constexpr (M + 2 < m_tiles) load_m_tile<M + 2>(v);
  if constexpr (M == (m_tiles > 3 ? m_tiles - 3 : 0)) {
    warp_sync();
    if (release && lane_index() == 0) mbarrier_arrive(empty);
  }
  wgmma_wait<(M + 1 < m_tiles)>(o[M]);
  if constexpr (M + 1 < m_tiles) accumulate_m_tiles<M + 1>(o, v, p_tile, empty, release);
}

DEVICE void accumulate(Sum (&o)[m_tiles], Values &v, u64 p_tile, mbarrier empty, bool release) {
  wgmma_fence();
  multiply_m_tile<0>(o, v, p_tile);
  accumulate_m_tiles<0>(o, v, p_tile, empty, release);
}
// The end of a request's run: the streams' sums become results. When both streams had tiles, each finishes half of the channels:
// it hands the other half to the other stream through the stage of its own last tile, which it has kept for that.

// What row `lane` of a stream's sums is multiplied by.
struct Merge {
  float own, other;
};

// This stream's sums and references, for its warps and the other stream. `buffer` alternates from exchange to exchange, so that
// the next run's may be written while the other stream reads this one's.
DEVICE smem<float2> shared_sums(u32 buffer, u32 stream) { return shared_at<float2>(sums_at) + (buffer * 2 + stream) * 4 * rows; }
DEVICE smem<float> shared_reference(u32 buffer, u32 stream) {
  return shared_at<float>(last_reference_at) + (buffer * 2 + stream) * rows;
}

DEVICE float sum_over_tokens(float x) {
  x += shuffle_xor(x, 4);
  x += shuffle_xor(x, 8);
  return x + shuffle_xor(x, 16);
}

DEVICE void publish_sums(u32 buffer, u32 stream, const LaneRow &row, const ThreadRows &exact, const ThreadRows &rounded) {
  const u32 lane = lane_index(), warp = warp_index() & 3;
  const smem<float2> sums = shared_sums(buffer, stream) + (warp * rows + 2 * (lane & 3));
#pragma unroll
  for (i32 j = 0; j < row_blocks; ++j) {
#pragma unroll
    for (i32 i = 0; i < 2; ++i) {
      const float2 sum = make_float2(sum_over_tokens(exact.of[j][i]), sum_over_tokens(rounded.of[j][i]));
      if (lane < 4) sums.store(8 * j + i, sum);
    }
  }
  if (warp == 0 && lane < rows) shared_reference(buffer, stream).store(lane, row.reference.value);
}

// Row `lane` of a stream, over its four warps.
DEVICE Sums load_sums(u32 buffer, u32 stream) {
  const smem<float2> sums = shared_sums(buffer, stream) + lane_index() % rows;
  Sums total;
#pragma unroll
  for (i32 warp = 0; warp < 4; ++warp) {
    const float2 part = sums.load(warp * rows);
    total.exact += part.x;
    total.rounded += part.y;
  }
  return total;
}

// The rows' common normaliser; writes their lse.
template <bool Both>
DEVICE Merge merge_sums(const Params &p, Place at, const Work &w, i32 slot, u32 buffer, u32 stream, const LaneRow &row) {
  Sums sums = load_sums(buffer, stream);
  float reference = row.reference.value;
  Merge factor = {1.0f, 0.0f};
  if constexpr (Both) {
    const Sums others = load_sums(buffer, stream ^ 1);
    const float theirs = shared_reference(buffer, stream ^ 1).load(lane_index() % rows);
    reference = max_f32(reference, theirs);
    factor = {exp2_approx(row.reference.value - reference), exp2_approx(theirs - reference)};
    sums.exact = fma_rn(sums.exact, factor.own, others.exact * factor.other);
    sums.rounded = fma_rn(sums.rounded, factor.own, others.rounded * factor.other);
  }
  if ((warp_index() & 3) == 0 && lane_index() < rows && (!Both || stream == 0))
    store_row_lse(p, at, w, slot, lane_index(), lse_of(reference, sums.exact));
  const float inverse = normaliser(p, sums.rounded);
  return {factor.own * inverse, factor.other * inverse};
}

// `Count` m-tiles from `First` of this thread's O^T, in shared memory at `to`; one float4 a thread, m-tile and block of rows.
template <i32 First, i32 Count> DEVICE void hand_over(const Sum (&o)[m_tiles], smem<float4> to) {
#pragma unroll
  for (i32 m = 0; m < Count; ++m)
#pragma unroll
    for (i32 j = 0; j < row_blocks; ++j) {
      const Sum &x = o[First + m];
      to.store((m * row_blocks + j) * 128, make_float4(x[4 * j], x[4 * j + 1], x[4 * j + 2], x[4 * j + 3]));
    }
  fence_async_proxy();  // the next copy into the stage writes after this
}

// Normalises rows 8j + 2q and 8j + 2q + 1 of the m-tiles, with the other stream's share added from shared memory.
template <i32 First, i32 Count, bool Both>
DEVICE void finish_rows(Sum (&o)[m_tiles], i32 j, Merge factor, smem<float4> from) {
  const u32 pair = lane_index() & 3;
  const float2 own = spread(factor.own, j, pair), other = spread(factor.other, j, pair);
#pragma unroll
  for (i32 m = 0; m < Count; ++m) {
    scale_rows(o[First + m], j, own);
    if constexpr (Both) {
      const float4 x = from.load((m * row_blocks + j) * 128);
      Sum &sum = o[First + m];
      sum[4 * j] = fma_rn(x.x, other.x, sum[4 * j]);
      sum[4 * j + 1] = fma_rn(x.y, other.y, sum[4 * j + 1]);
      sum[4 * j + 2] = fma_rn(x.z, other.x, sum[4 * j + 2]);
      sum[4 * j + 3] = fma_rn(x.w, other.y, sum[4 * j + 3]);
    }
  }
}

// The run was one tile, this stream's.
DEVICE void finish_alone(const Params &p, Place at, const Work &w, Sum (&o)[m_tiles], u32 buffer, u32 stream,
                         const LaneRow &row, u32 first_channel) {
  sync_stream(stream);  // the sums are written
  const i32 slot = partial_slot(p, at, w);
  const Merge factor = merge_sums<false>(p, at, w, slot, buffer, stream, row);
  store_output<0, m_tiles>(p, at, w, slot, o, first_channel,
                           [&](i32 j) { finish_rows<0, m_tiles, false>(o, j, factor, shared_at<float4>(kv_at)); });
}

// Both streams had tiles: stream `Stream` hands the other's half over in the stage of its own last tile, `kept`. The streams meet
// between this and finish_half.
template <u32 Stream> DEVICE void hand_half(const Sum (&o)[m_tiles], u32 kept) {
  constexpr i32 half = m_tiles / 2;
  hand_over<(Stream ^ 1) * half, half>(o, shared_at<float4>(kv_at + kept * tile_bytes) + (i32)(thread_index() & 127));
}

// It finishes its half. `others` is the stage of the other's last tile.
template <u32 Stream>
DEVICE void finish_half(const Params &p, Place at, const Work &w, Sum (&o)[m_tiles], u32 buffer, const LaneRow &row,
                        u32 first_channel, u32 others) {
  constexpr i32 half = m_tiles / 2;
  const i32 thread = (i32)(thread_index() & 127);
  const i32 slot = partial_slot(p, at, w);
  const Merge factor = merge_sums<true>(p, at, w, slot, buffer, Stream, row);
  const smem<float4> from = shared_at<float4>(kv_at + others * tile_bytes) + thread;
#pragma unroll
  for (i32 j = 0; j < row_blocks; ++j) finish_rows<Stream * half, half, true>(o, j, factor, from);
  warp_sync();
  if (lane_index() == 0) mbarrier_arrive(kv_empty(others));
  store_output<Stream * half, half>(p, at, w, slot, o, first_channel, [](i32) {});  // ready already
}
// The attend role: one stream, all rows, every other tile.

// Both parts of S^T, step by step in turn, so that a wgmma seldom waits for the one before it.
DEVICE void score(frag<rows / 2> &first, frag<rows / 2> &second, u64 q, u64 k) {
  wgmma_fence();
    wgmma_bf16<16, false>(first, descriptor_advance(k, 0 * subtile_bytes + 0), descriptor_advance(q, 0 * query_subtile_bytes + 0));
    wgmma_bf16<16, false>(second, descriptor_advance(k, 4 * subtile_bytes + 0), descriptor_advance(q, 4 * query_subtile_bytes + 0));
    wgmma_bf16<16, true>(first, descriptor_advance(k, 0 * subtile_bytes + 32), descriptor_advance(q, 0 * query_subtile_bytes + 32));
    wgmma_bf16<16, true>(second, descriptor_advance(k, 4 * subtile_bytes + 32), descriptor_advance(q, 4 * query_subtile_bytes + 32));
    wgmma_bf16<16, true>(first, descriptor_advance(k, 0 * subtile_bytes + 64), descriptor_advance(q, 0 * query_subtile_bytes + 64));
    wgmma_bf16<16, true>(second, descriptor_advance(k, 4 * subtile_bytes + 64), descriptor_advance(q, 4 * query_subtile_bytes + 64));
    wgmma_bf16<16, true>(first, descriptor_advance(k, 0 * subtile_bytes + 96), descriptor_advance(q, 0 * query_subtile_bytes + 96));
    wgmma_bf16<16, true>(second, descriptor_advance(k, 4 * subtile_bytes + 96), descriptor_advance(q, 4 * query_subtile_bytes + 96));
    wgmma_bf16<16, true>(first, descriptor_advance(k, 1 * subtile_bytes + 0), descriptor_advance(q, 1 * query_subtile_bytes + 0));
    wgmma_bf16<16, true>(second, descriptor_advance(k, 5 * subtile_bytes + 0), descriptor_advance(q, 5 * query_subtile_bytes + 0));
    wgmma_bf16<16, true>(first, descriptor_advance(k, 1 * subtile_bytes + 32), descriptor_advance(q, 1 * query_subtile_bytes + 32));
    wgmma_bf16<16, true>(second, descriptor_advance(k, 5 * subtile_bytes + 32), descriptor_advance(q, 5 * query_subtile_bytes + 32));
    wgmma_bf16<16, true>(first, descriptor_advance(k, 1 * subtile_bytes + 64), descriptor_advance(q, 1 * query_subtile_bytes + 64));
    wgmma_bf16<16, true>(second, descriptor_advance(k, 5 * subtile_bytes + 64), descriptor_advance(q, 5 * query_subtile_bytes + 64));
    wgmma_bf16<16, true>(first, descriptor_advance(k, 1 * subtile_bytes + 96), descriptor_advance(q, 1 * query_subtile_bytes + 96));
    wgmma_bf16<16, true>(second, descriptor_advance(k, 5 * subtile_bytes + 96), descriptor_advance(q, 5 * query_subtile_bytes + 96));
    wgmma_bf16<16, true>(first, descriptor_advance(k, 2 * subtile_bytes + 0), descriptor_advance(q, 2 * query_subtile_bytes + 0));
    wgmma_bf16<16, true>(second, descriptor_advance(k, 6 * subtile_bytes + 0), descriptor_advance(q, 6 * query_subtile_bytes + 0));
    wgmma_bf16<16, true>(first, descriptor_advance(k, 2 * subtile_bytes + 32), descriptor_advance(q, 2 * query_subtile_bytes + 32));
    wgmma_bf16<16, true>(second, descriptor_advance(k, 6 * subtile_bytes + 32), descriptor_advance(q, 6 * query_subtile_bytes + 32));
    wgmma_bf16<16, true>(first, descriptor_advance(k, 2 * subtile_bytes + 64), descriptor_advance(q, 2 * query_subtile_bytes + 64));
    wgmma_bf16<16, true>(second, descriptor_advance(k, 6 * subtile_bytes + 64), descriptor_advance(q, 6 * query_subtile_bytes + 64));
    wgmma_bf16<16, true>(first, descriptor_advance(k, 2 * subtile_bytes + 96), descriptor_advance(q, 2 * query_subtile_bytes + 96));
    wgmma_bf16<16, true>(second, descriptor_advance(k, 6 * subtile_bytes + 96), descriptor_advance(q, 6 * query_subtile_bytes + 96));
    wgmma_bf16<16, true>(first, descriptor_advance(k, 3 * subtile_bytes + 0), descriptor_advance(q, 3 * query_subtile_bytes + 0));
    wgmma_bf16<16, true>(second, descriptor_advance(k, 7 * subtile_bytes + 0), descriptor_advance(q, 7 * query_subtile_bytes + 0));
    wgmma_bf16<16, true>(first, descriptor_advance(k, 3 * subtile_bytes + 32), descriptor_advance(q, 3 * query_subtile_bytes + 32));
    wgmma_bf16<16, true>(second, descriptor_advance(k, 7 * subtile_bytes + 32), descriptor_advance(q, 7 * query_subtile_bytes + 32));
    wgmma_bf16<16, true>(first, descriptor_advance(k, 3 * subtile_bytes + 64), descriptor_advance(q, 3 * query_subtile_bytes + 64));
    wgmma_bf16<16, true>(second, descriptor_advance(k, 7 * subtile_bytes + 64), descriptor_advance(q, 7 * query_subtile_bytes + 64));
    wgmma_bf16<16, true>(first, descriptor_advance(k, 3 * subtile_bytes + 96), descriptor_advance(q, 3 * query_subtile_bytes + 96));
    wgmma_bf16<16, true>(second, descriptor_advance(k, 7 * subtile_bytes + 96), descriptor_advance(q, 7 * query_subtile_bytes + 96));
    wgmma_bf16<16, true>(first, descriptor_advance(k, 8 * subtile_bytes + 0), descriptor_advance(q, 8 * query_subtile_bytes + 0));
    wgmma_bf16<16, true>(first, descriptor_advance(k, 8 * subtile_bytes + 32), descriptor_advance(q, 8 * query_subtile_bytes + 32));
    wgmma_bf16<16, true>(first, descriptor_advance(k, 8 * subtile_bytes + 64), descriptor_advance(q, 8 * query_subtile_bytes + 64));
    wgmma_bf16<16, true>(first, descriptor_advance(k, 8 * subtile_bytes + 96), descriptor_advance(q, 8 * query_subtile_bytes + 96));
  wgmma_commit();
}

struct Stream {
  u32 index;                  // 0 or 1
  RingOf<stages / 2> ring;    // of its own stages: 2 * ring.stage + index
  LaneRow row;
  ThreadRows exact, rounded;
  DEVICE u32 stage() const { return 2 * ring.stage + index; }
};

DEVICE u64 query_descriptor(u32 buffer) { return operand_descriptor(shared_at<u8>(query_at + buffer * query_bytes).address()); }

// This warp needs the query no more; on to the next.
DEVICE void give_back(QueryRing &query) {
  warp_sync();
  if (lane_index() == 0) mbarrier_arrive(query_empty(query.stage));
  query.advance();
}

// One tile. With `keep`, its stage is not given back.
DEVICE void attend_tile(const Params &p, Place at, const Work &w, Stream &stream, Sum (&o)[m_tiles], u32 query_buffer, i32 tile, bool keep) {
  const u32 lane = lane_index(), warp = warp_index() & 3, pair = lane & 3;
  const i32 token = (i32)(16 * warp + lane / 4);
  const u32 stage = stream.stage(), parity = stream.ring.parity;
  // Is being cleared, or fenced, then: nothing may read it before.
  const bool tail = is_gathered || w.tokens < (tile + 1) * tile_tokens;
  frag<rows / 2> s, first;
  Values v(stage);
  mbarrier_wait(kv_full(stage), parity);
  if (tail) mbarrier_wait(kv_ready(stage), parity);
  score(first, s, query_descriptor(query_buffer), key_descriptor(stage));
  load_first(v);
  if (!tail) mbarrier_wait(kv_ready(stage), parity);
  const smem<float2> scale = shared_at<float2>(scale_at + stage * 2 * scale_bytes) + token;
  const float2 low = scale.load(), high = scale.load(8);
  const smem<float> inverse = shared_at<float>(inv_scale_at + stage * scale_bytes) + token;
  const float inverse_low = inverse.load(), inverse_high = inverse.load(8);
  wgmma_wait<0>(s, first);
#pragma unroll
  for (i32 i = 0; i < (i32)rows / 2; ++i) s[i] += first[i];

  scale_scores(s, stream.row.factor, low, high, pair);
  if (needs_mask(p, w, tile)) mask_scores(s, p, w, tile, token, at.group * rows + 2 * pair);
  const smem<float> tops = shared_at<float>(top_at) + stream.index * 4 * rows;
  store_tops(s, tops + warp * rows);
  sync_stream(stream.index);

  const float old = stream.row.reference.value;
  const float beta = move_reference(stream.row.reference, load_top(tops));
  if (warp_any(stream.row.reference.value != old)) {
#pragma unroll
    for (i32 j = 0; j < row_blocks; ++j) {
      const float2 by = spread(beta, j, pair);
      stream.exact.of[j][0] *= by.x;
      stream.exact.of[j][1] *= by.y;
      stream.rounded.of[j][0] *= by.x;
      stream.rounded.of[j][1] *= by.y;
#pragma unroll
      for (i32 m = 0; m < m_tiles; ++m) scale_rows(o[m], j, by);
    }
  }
  Packed packed;
  exponentials(packed, s, stream.row.reference.value, inverse_low, inverse_high, pair, stream.exact, stream.rounded);
  store_probabilities(packed, stream.index);
  fence_async_proxy();  // wgmma reads P
  sync_stream(stream.index);

  accumulate(o, v, p_descriptor(stream.index), kv_empty(stage), !keep);
}

DEVICE void attend(const Params &p, Place at, u32 index) {
  const u32 lane = lane_index(), warp = warp_index() & 3;
  const u32 first_channel = warp * 16 + first_channel_of(lane / 4);
  Stream stream;
  stream.index = index;
  QueryRing query;
  u32 turn = 0;    // the stream whose stage the run's first tile is in
  u32 buffer = 0;  // of the sums
  Sum o[m_tiles];
  Work w;
  for (i32 request = first_request(p, at); next_work(p, at, request, w);) {
    const bool both = w.end_tile - w.first_tile > 1;
    stream.row = {row_factor(p, at, w, lane % rows), {}};
    stream.exact = stream.rounded = {};
#pragma unroll
    for (i32 m = 0; m < m_tiles; ++m)
#pragma unroll
      for (i32 i = 0; i < (i32)rows / 2; ++i) o[m][i] = 0.0f;
    mbarrier_wait(query_full(query.stage), query.parity);
    i32 tile = w.first_tile + (i32)(turn ^ index);
    turn ^= (u32)(w.end_tile - w.first_tile) & 1;
    if (tile >= w.end_tile) {  // the run is one tile, the other stream's
      give_back(query);
      continue;
    }
    u32 kept;
#pragma unroll 1
    do {
      attend_tile(p, at, w, stream, o, query.stage, tile, both && tile + 2 >= w.end_tile);
      kept = stream.stage();
      stream.ring.advance();
      tile += 2;
    } while (tile < w.end_tile);
    give_back(query);

    publish_sums(buffer, index, stream.row, stream.exact, stream.rounded);
    if (!both) {
      finish_alone(p, at, w, o, buffer, index, stream.row, first_channel);
      continue;
    }
    // The last two tiles lie side by side; `tile` is past the end by one where the last is this stream's.
    const u32 others = tile == w.end_tile ? (kept + 1) % stages : (kept + stages - 1) % stages;
    sync_stream(index);  // all of its warps have read the kept stage
    if (index == 0)
      hand_half<0>(o, kept);
    else
      hand_half<1>(o, kept);
    barrier_sync(streams_barrier, 256);
    if (index == 0)
      finish_half<0>(p, at, w, o, buffer, stream.row, first_channel, others);
    else
      finish_half<1>(p, at, w, o, buffer, stream.row, first_channel, others);
    buffer ^= 1;
  }
}

DEVICE void consume(const Params &p, Place at, u32 consumer) {
  wait_for_query();
  registers_raise<232>();
  attend(p, at, consumer);
}

// The producers' code comes first, and of theirs that of the warp whose pages all wait for: from cold, instructions come from memory too. The
// compiler puts the code that a comparison of order jumps to behind the code that follows it, and not that of one for equality: hence `>= 128` and
// `warp < 4`. Each role ends with a return or a chain of conditions: so the compiler knows that a warp comes to its role whole, and keeps what it
// agrees on in uniform registers.
KERNEL(snapmla_mla_decode, 384) {
  const Place at = {block_index() / (u32)p.groups, block_index() % (u32)p.groups};
  if (thread_index() == 96) bulk_prefetch(p.units + at.unit, sizeof(smla_unit));  // on its way while barriers are made
  if (thread_index() == 0) init_barriers();
  block_sync();
  const u32 warpgroup = warpgroup_index();
  if (thread_index() >= 128) {
    consume(p, at, warpgroup - 1);
    return;
  }
  registers_lower<40>();
  const u32 warp = warp_index();
  if (warp >= 1 && warp < 4) {
    if (warp > 2) {
      warm_tables(p);
    } else if (warp > 1) {
      prepare_scales(p, at);
    } else {
      wait_for_query();
      fetch_query(p, at);
    }
    return;
  }
  fetch_pages(p, at);
}
