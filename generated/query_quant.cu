// Generated from templates/query_quant/query_quant.cu.tmpl: do not edit.
//   variant: query_quant:latent=512,rows=64,query_terms=1,rope=64,format=fp8_token,tokens=paged
//   command: snapmla gen --variant 'query_quant:latent=512,rows=64,query_terms=1,rope=64,format=fp8_token,tokens=paged' --target sm90a
// Query rows as the format's keys are multiplied: scale = max(amax / 448, 2^-40), content = e4m3(q / scale), RoPE = bf16(q / scale).
//
// Row r of a request is token r / heads, head r % heads.
// Groups of 64 rows become one image each, laid out and swizzled as
// the decode kernel's shared memory, so that it fetches an image with one bulk copy. Rows past the last are zero, with
// scale zero. One warp per row: a lane holds latent / 32 channels of content and two of RoPE.

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
/* Arguments of query_quant. One warp per row; grid (row groups x rows / warps per block, batch). */
#ifndef SMLA_TEMPLATES_QUERY_QUANT_PARAMS_H
#define SMLA_TEMPLATES_QUERY_QUANT_PARAMS_H

struct query_quant_params {
  const unsigned short *q_nope; /* [batch, q_len, heads, latent] bf16; strides in elements */
  const unsigned short *q_rope; /* [batch, q_len, heads, rope] bf16 */
  long long nope_stride_batch, nope_stride_token, nope_stride_head;
  long long rope_stride_batch, rope_stride_token, rope_stride_head;
  unsigned char *image; /* [batch, groups, image_bytes]: per group of rows content subtiles, one of RoPE
                           and, with two terms, the content's second; each row 128 bytes with the 128-byte swizzle */
  float *scale;         /* [batch, groups, rows] */
  int heads, q_len, groups;
  int lists; /* tokens=indexed: query tokens of a request, each a record and a "batch" of its own with q_len 1 */
};

#endif
typedef query_quant_params Params;

constexpr i32 latent = 512;
constexpr u32 warps = 256 / 32;

// One row of `latent` content channels and 64 RoPE channels, quantised by one warp. The query and the cache share it: numbers are
// stored as e4m3 and RoPE as bf16.
//
// A lane holds 8 content channels of each chunk of 256, so that loads are 16 bytes, and RoPE
// channels 2 * lane, 2 * lane + 1.
constexpr float e4m3_max = 448.0f;
constexpr float least_scale = 9.094947017729282e-13f;  // 2^-40
constexpr i32 width = 8;
constexpr i32 chunks = latent / (32 * width);

struct Row {
  float content[chunks][width];
  float2 rope;
};

// `content` must be 16-byte aligned, `rope` 4-byte.
DEVICE Row load_row(const u16 *content, const u16 *rope) {
  const u32 lane = lane_index();
  Row x;
#pragma unroll
  for (i32 i = 0; i < chunks; ++i) {
    const uint4 raw = global_load((const uint4 *)(content + 32 * width * i + width * lane));
    const u32 words[width / 2] = {raw.x, raw.y, raw.z, raw.w};
#pragma unroll
    for (i32 k = 0; k < width / 2; ++k) {
      const float2 pair = unpack_bf16(words[k]);
      x.content[i][2 * k] = pair.x;
      x.content[i][2 * k + 1] = pair.y;
    }
  }
  x.rope = unpack_bf16(global_load((const u32 *)rope + lane));
  return x;
}

DEVICE float magnitude(float x) { return float_of(bits_of(x) & 0x7fffffffu); }

// max(amax / 448, 2^-40).
DEVICE float scale_of(float amax) { return max_f32(amax / e4m3_max, least_scale); }

// That of all lanes' largest over the content channels of the row.
DEVICE float row_scale(const Row &x) {
  float amax = 0.0f;
#pragma unroll
  for (i32 i = 0; i < chunks; ++i)
#pragma unroll
    for (i32 k = 0; k < width; ++k) amax = max_f32(amax, magnitude(x.content[i][k]));
#pragma unroll
  for (u32 mask = 16; mask; mask /= 2) amax = max_f32(amax, shuffle_xor(amax, mask));
  return scale_of(amax);
}

// x / scale to the last bit, for many x of one scale, where |x| is 0 or at least 2^-102 and the scale at least 2^-126: a product by the rounded
// reciprocal, and one step by its remainder (Markstein 1990). Where there is no remainder (0, and what is not finite) the product is right, sign
// and all. Of less than 2^-102 the last bit may differ, which is 0 as e4m3 by any scale of a row's own.
struct Divisor {
  float scale, inverse;
  DEVICE explicit Divisor(float by) : scale(by), inverse(1.0f / by) {}
  DEVICE float quotient(float x) const {
    const float near = x * inverse, nearest = fma_rn(fma_rn(-near, scale, x), inverse, near);
    return magnitude(nearest) > 0.0f ? nearest : near;
  }
};

// Byte x of row `slot` of a subtile lies at 128 * slot + (x ^ 16 * (slot % 8)).
DEVICE u32 swizzled(u32 slot, u32 x) { return 128 * slot + (x ^ (slot % 8 * 16)); }

// Writes the content divided by `scale`; place(x) is where byte x of the token's content goes.
template <class Place> DEVICE void store_content(const Row &x, float scale, Place place) {
  const u32 lane = lane_index();
  const Divisor divisor(scale);
#pragma unroll
  for (i32 i = 0; i < chunks; ++i) {
    float q[width];
#pragma unroll
    for (i32 k = 0; k < width; ++k) q[k] = divisor.quotient(x.content[i][k]);
    u8 *target = place((32 * width * i + width * lane) * 1);
    global_store((uint2 *)target, make_uint2(pack_e4m3(q[0], q[1], q[2], q[3]), pack_e4m3(q[4], q[5], q[6], q[7])));
  }
}

// The same for RoPE.
template <class Place> DEVICE void store_rope(const Row &x, float scale, Place place) {
  const u32 lane = lane_index();
  global_store((u32 *)place(4 * lane), pack_bf16(x.rope.x / scale, x.rope.y / scale));
}
// A query row into the decode kernel's image, one warp: quantised as the format's keys are multiplied. Needs quantize_row.inc.
constexpr u32 image_rows = 64;
constexpr u32 subtile_bytes = image_rows * 128;
constexpr u32 image_bytes = 40960;
constexpr u32 rope_at = 4 * subtile_bytes;

// Row `slot` of the image `group`; one that is not real is zeros, with scale zero.
DEVICE void store_query_row(u8 *images, float *scales, i64 group, u32 slot, const Row &x, bool real) {
  const float scale = row_scale(x);
  u8 *image = images + group * image_bytes;
  store_content(x, scale, [&](u32 byte) { return image + byte / 128 * subtile_bytes + swizzled(slot, byte % 128); });
  store_rope(x, scale, [&](u32 byte) { return image + rope_at + swizzled(slot, byte); });
  if (lane_index() == 0) global_store(scales + group * image_rows + slot, real ? scale : 0.0f);
}

KERNEL(snapmla_query_quant, 256) {
  grid_dependency_wait();
  grid_dependency_launch();
  const u32 row = block_index() * warps + warp_index();
  const u32 record = block_index_y();
  if (row >= (u32)p.groups * image_rows) return;
  const u32 slot = row % image_rows;
  const i64 group = (i64)record * p.groups + row / image_rows;
  const bool real = row < (u32)(p.heads * p.q_len);
  const u32 batch = record, token = row / (u32)p.heads, head = row % (u32)p.heads;

  Row x = {};
  if (real) {
    x = load_row(p.q_nope + batch * p.nope_stride_batch + token * p.nope_stride_token + head * p.nope_stride_head,
                 p.q_rope + batch * p.rope_stride_batch + token * p.rope_stride_token + head * p.rope_stride_head);
  }
  store_query_row(p.image, p.scale, group, slot, x, real);
}
