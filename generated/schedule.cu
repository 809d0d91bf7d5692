// Generated from templates/schedule/schedule.cu.tmpl: do not edit.
//   variant: schedule:block=256
//   command: snapmla gen --variant 'schedule:block=256' --target sm90a
// Cuts a decode step: writes for each request its length and where its partial results go, for each unit its share, and which
// requests the combine kernel has to write.
//
// The tiles of all requests form one sequence; unit u takes a run of it, from cut u to cut u + 1 (cuts.inc says where they lie). What
// the requests' pieces and slots are follows from the cuts, prefix sums and a search.
//
// One block; a thread takes every 256th request, and then every 256th unit. One warp cuts.
//
// shared memory   8 sums of the warps     4097 first tiles of the requests     1025 cuts     4096 first items of the merges, and before them the requests' equal pieces

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
// How merging is cut into items, for the schedule, which counts them, and for the combine kernel, which does them.

constexpr i32 merge_in_flight = 4;  // pieces of which a thread loads 16 bytes together

// The logarithm of how many pieces a block reads side by side, which is up to 16: a thread then has few rounds of loads.
DEVICE i32 merge_split(i32 pieces) {
  return (pieces > merge_in_flight) + (pieces > 2 * merge_in_flight) + (pieces > 4 * merge_in_flight) + (pieces > 8 * merge_in_flight);
}
DEVICE i32 merge_lanes(i32 pieces) { return 1 << merge_split(pieces); }

// Items of one request: `elements` of output (rows * latent), `block_elements` of them an item where pieces are read one by one.
DEVICE i32 merge_items(i32 pieces, i32 elements, i32 block_elements) {
  return (elements * merge_lanes(pieces) + block_elements - 1) / block_elements;
}
/* Arguments of the schedule kernel. One block. */
#ifndef SMLA_TEMPLATES_SCHEDULE_PARAMS_H
#define SMLA_TEMPLATES_SCHEDULE_PARAMS_H

struct schedule_params {
  const int *seqlens;            /* [batch] */
  struct smla_request *requests; /* [batch] out */
  struct smla_unit *units;       /* [unit_count] out */
  struct smla_merge *merges;     /* [batch + 1] out: the requests that the combine kernel writes; behind the last the
                                    number of all items as first_item */
  struct smla_merge_share *merge_shares; /* [merge_blocks] out */
  unsigned *status; /* the workspace's status word: cleared, then SNAPMLA_STATUS_BAD_LENGTH where it applies */
  int batch;
  int unit_count;
  int merge_blocks;   /* of the combine kernel */
  int max_tokens;     /* the longest legal length: what the block table and the plan can hold */
  int min_share;      /* tiles: the shortest run that a unit is meant to have */
  int merge_cost;     /* what merging one more piece costs all units, in 1/1024 of a tile's time */
  int slack;          /* tiles by which a run may differ from the others to spare a request a cut */
  int elements;       /* of a request's output: rows * latent */
  int block_elements; /* that a block of the combine kernel merges at a time */
};

#endif
typedef schedule_params Params;

constexpr i32 threads = 256;
constexpr u32 warps = 8;
constexpr i32 tile_tokens = 64;
constexpr u32 first_tiles_at = 132;
constexpr u32 cuts_at = 16520;
constexpr u32 busy_at = 128;
constexpr u32 first_items_at = 20620;
constexpr u32 status_bad_length = 2;  // SNAPMLA_STATUS_BAD_LENGTH

// Prefix sums and the largest over the block. Shared memory: the sums of the warps.
DEVICE i32 warp_scan(i32 x) {
  const u32 lane = lane_index();
  for (u32 delta = 1; delta < 32; delta *= 2) {
    const i32 below = shuffle_up(x, delta);
    if (lane >= delta) x += below;
  }
  return x;
}

// Returns the sum of x over the threads before this one; `total` gets the sum over all.
DEVICE i32 block_scan(i32 x, i32 &total) {
  smem<i32> sums = shared_at<i32>(0);
  const u32 warp = warp_index();
  const i32 inclusive = warp_scan(x);
  block_sync();  // the readers of the last call's sums are done
  if (lane_index() == 31) sums.store(warp, inclusive);
  block_sync();
  i32 before = 0, all = 0;
  for (u32 w = 0; w < warps; ++w) {
    const i32 sum = sums.load(w);
    if (w < warp) before += sum;
    all += sum;
  }
  total = all;
  return before + inclusive - x;
}

DEVICE i32 block_max(i32 x) {
  smem<i32> largest = shared_at<i32>(0);
  const u32 warp = warp_index();
  for (u32 mask = 16; mask > 0; mask /= 2) {
    const i32 other = shuffle_xor(x, mask);
    if (other > x) x = other;
  }
  block_sync();  // the readers of the last call's are done
  if (lane_index() == 0) largest.store(warp, x);
  block_sync();
  for (u32 w = 0; w < warps; ++w) {
    const i32 other = largest.load(w);
    if (other > x) x = other;
  }
  return x;
}

// A request's length; -1 for one that is negative or too long, 0 past the last request.
DEVICE i32 length_of(const Params &p, i32 request) {
  if (request >= p.batch) return 0;
  const i32 tokens = global_load(p.seqlens + request);
  return tokens < 0 || tokens > p.max_tokens ? -1 : tokens;
}
DEVICE i32 tiles_of(i32 tokens) { return tokens < 0 ? 0 : (tokens + tile_tokens - 1) / tile_tokens; }

// Where the sequence of all tiles is cut into the units' runs. Equal runs would be the quickest if cutting a request cost nothing. But
// each piece of a cut request is written, read and merged, which takes all units together as long as `merge_cost` / 1024 tiles
// take one. So:
// - no run is shorter than pays: n runs of total / n tiles cost total / n + n * merge_cost / 1024, least at runs of
//   sqrt(total * merge_cost / 1024);
// - a run is longer or shorter than the others by up to `slack` tiles if that spares a request a cut;
// - a request that is cut all the same, from its first tile on, is cut into equal pieces where that leaves no unit without work;
// - requests that are no more than the units stay whole, each its unit's, where the longest of them takes no longer than a run and half of
//   what merging was counted as: so much of it is left where blocks run out of work by and by (measured: whole_requests_merging.csv of
//   docs/performance/h100).
// 32 bits hold all of it: 4096 requests of 2^20 tokens are 2^26 tiles, of which two or more units have runs of at most about half, and the walk looks
// 32 runs ahead.

// What a warp looks for 32 places at a time; all its lanes get the answer.

// How many lanes come before the first that has found something; 32 if none has.
DEVICE i32 lanes_before(bool found) { return 32 - (i32)warp_max(found ? 32 - lane_index() : 0u); }

// A request, and where in the sequence its tiles begin and end and the next one's end.
struct Span {
  i32 request, begin, after, next_after;
};

DEVICE Span span_of(const Params &p, i32 request) {
  const smem<i32> first_tile = shared_at<i32>(first_tiles_at);
  return {request, first_tile.load(request), first_tile.load(request + 1), first_tile.load(request + 2 < p.batch ? request + 2 : p.batch)};
}

// The request that has tile `tile`, which there is: the span's, or one after it. Most often that is one of the next few.
DEVICE Span find_request(const Params &p, Span span, i32 tile) {
  const smem<i32> first_tile = shared_at<i32>(first_tiles_at);
#pragma unroll 1
  for (const i32 few = span.request + 2; tile >= span.after;) {
    ++span.request;
    span.begin = span.after;
    span.after = span.next_after;
    span.next_after = first_tile.load(span.request + 2 < p.batch ? span.request + 2 : p.batch);
    if (span.request < few || tile < span.after) continue;
    const i32 mine = span.request + (i32)lane_index();
    const i32 skipped = lanes_before(mine >= p.batch || tile < first_tile.load(mine + 1));
    span = span_of(p, span.request + (skipped < 32 ? skipped : 31));
  }
  return span;
}

// The shortest run that pays; at least the one that gives every unit work.
DEVICE i32 shortest_run(const Params &p, i32 total) {
  const i32 even = (total + p.unit_count - 1) / p.unit_count;
#pragma unroll 1
  for (i32 run = even > p.min_share ? even : p.min_share;; run += 32) {
    const i64 mine = run + (i32)lane_index();
    const i32 lane = lanes_before(1024 * mine * mine >= (i64)total * p.merge_cost);
    if (lane < 32) return run + lane;
  }
}

struct Cuts {
  i32 runs, pieces;  // of requests that are cut
};

// Places the cuts at + step, at + 2 * step, ... before `limit`, by the lanes side by side, behind `units` others. Returns how many there are.
DEVICE i32 place_cuts(const Params &p, i32 units, i32 at, i32 step, i32 limit) {
  const smem<i32> cuts = shared_at<i32>(cuts_at);
  i32 placed = 0, more;
#pragma unroll 1
  do {
    const i32 i = placed + (i32)lane_index() + 1;
    const bool fits = at + i * step < limit;
    if (fits && units + i <= p.unit_count) cuts.store(units + i, at + i * step);
    more = lanes_before(!fits);
    placed += more;
  } while (more == 32 && units + placed <= p.unit_count);
  return placed;
}

// Cuts into runs of `run` tiles, more or less: more runs than there are units where those do not suffice. One warp walks; its lanes differ in what
// they look for and what they store. `equal_piece` has of each request the tiles of its equal pieces, 0 where it has none.
DEVICE Cuts cut_runs(const Params &p, i32 total, i32 run, i32 slack, smem<i32> equal_piece) {
  const smem<i32> cuts = shared_at<i32>(cuts_at);
  const i32 lane = (i32)lane_index();
  Span in = span_of(p, 0);
  i32 units = 0, pieces = 0;
  if (lane == 0) cuts.store(0, 0);
#pragma unroll 1
  for (i32 at = 0; at < total;) {
    i32 end = at + run;
    if (end + slack >= total) {
      end = total;
    } else {
      in = find_request(p, in, end);
      if (in.after - end <= slack) {
        end = in.after;
      } else if (end - in.begin <= slack && in.begin > at) {
        end = in.begin;
      } else {
        // The request is cut as often as that leaves more than `rest` tiles, all of its cuts at once: most often it is one.
        const i32 equal = in.begin == at ? equal_piece.load(in.request) : 0, step = equal > 0 ? equal : run, rest = equal > 0 ? 0 : slack;
        i32 inside = 1;
        if (equal > 0 || at + 2 * step < in.after - rest) inside = place_cuts(p, units, at, step, in.after - rest);
        pieces += inside + 1;
        units += inside - (equal == 0);  // without the one below
        end = equal > 0 ? in.after : at + inside * step;
      }
    }
    if (++units > p.unit_count) break;
    if (lane == 0) cuts.store(units, end);
    at = end;
  }
  return {units, pieces};
}

// Of each request the tiles of a piece where it is cut into equal ones, 0 where it is not.
DEVICE void equal_pieces(const Params &p, i32 run, i32 slack, smem<i32> equal_piece) {
  const smem<i32> first_tile = shared_at<i32>(first_tiles_at);
#pragma unroll 1
  for (i32 request = (i32)thread_index(); request < p.batch; request += threads) {
    const i32 tiles = first_tile.load(request + 1) - first_tile.load(request);
    i32 piece = 0;
    if (tiles > run + slack) {
      const i32 pieces = (tiles - slack + run - 1) / run;
      if (pieces * run - tiles <= slack) piece = (tiles + pieces - 1) / pieces;
    }
    equal_piece.store(request, piece);
  }
}

// Cuts between requests alone, behind the first cut, which cut_runs has placed. Returns the number of runs.
DEVICE i32 cut_requests(const Params &p) {
  const smem<i32> first_tile = shared_at<i32>(first_tiles_at), cuts = shared_at<i32>(cuts_at);
  i32 units = 0;
#pragma unroll 1
  for (i32 base = 0; base < p.batch; base += 32) {
    const i32 request = base + (i32)lane_index();
    const i32 end = request < p.batch ? first_tile.load(request + 1) : 0;
    const bool filled = request < p.batch && end > first_tile.load(request);
    const i32 unit = units + warp_scan(filled);
    if (filled) cuts.store(unit, end);
    units = shuffle(unit, 31);
  }
  return units;
}

// The whole block; `longest` is the most tiles of a request, `filled` how many requests have any. Returns the number of runs, 0 where
// there are no tiles.
DEVICE i32 cut_sequence(const Params &p, i32 total, i32 longest, i32 filled) {
  const smem<i32> equal_piece = shared_at<i32>(first_items_at), answer = shared_at<i32>(busy_at);  // items are for later
  if (total == 0) return 0;
#pragma unroll 1
  for (i32 run = shortest_run(p, total);; run += 1 + run / 64) {
    const i32 some = (run + 15) / 16, slack = some < p.slack ? some : p.slack;
    equal_pieces(p, run, slack, equal_piece);
    block_sync();
    if (warp_index() == 0) {
      const Cuts cuts = cut_runs(p, total, run, slack, equal_piece);
      warp_sync();  // what lanes stored is stored over by others
      const bool whole = cuts.runs <= p.unit_count && filled <= p.unit_count && longest <= run + cuts.pieces * p.merge_cost / 2048;
      const i32 runs = whole ? cut_requests(p) : cuts.runs;
      if (lane_index() == 0) answer.store(0, runs);
    }
    block_sync();
    const i32 runs = answer.load();
    if (runs <= p.unit_count) return runs;
    block_sync();  // the answer is read
  }
}

// The last of the ascending `count` values that is at most `x`.
DEVICE i32 find_last(smem<i32> values, i32 count, i32 x) {
  i32 low = 0, high = count - 1;
  while (low < high) {
    const i32 middle = (low + high + 1) / 2;
    if (values.load(middle) <= x)
      low = middle;
    else
      high = middle - 1;
  }
  return low;
}

// What block `block` of the combine kernel has of the `items` of all merges: as many as the others, give or take one.
DEVICE void share_merges(const Params &p, i32 block, i32 merges, i32 items) {
  const smem<i32> first_item = shared_at<i32>(first_items_at);
  const i32 each = items / p.merge_blocks, more = items % p.merge_blocks;
  const i32 item = block * each + (block < more ? block : more), end = item + each + (block < more);
  i32 merge = 0, next_item = 0;
  smla_merge first = {0, 0, 0, 0};
  if (item < end) {
    merge = find_last(first_item, merges, item);
    next_item = merge + 1 < merges ? first_item.load(merge + 1) : items;
    first = global_load(p.merges + merge);
  }
  global_store(&p.merge_shares[block].first, first);
  global_store((int4 *)(p.merge_shares + block), make_int4(item, end, merge, next_item));
}

KERNEL(snapmla_schedule, threads) {
  grid_dependency_wait();
  grid_dependency_launch();
  const i32 t = (i32)thread_index();
  const smem<i32> first_tile = shared_at<i32>(first_tiles_at), first_item = shared_at<i32>(first_items_at);
  if (t == 0) global_store(p.status, 0u);
  block_sync();

  i32 total = 0;
  i32 longest = 0, filled = 0;
  for (i32 base = 0; base < p.batch; base += threads) {
    const i32 tokens = length_of(p, base + t);
    if (tokens < 0) global_atomic_or(p.status, status_bad_length);
    i32 tiles;
    const i32 begin = total + block_scan(tiles_of(tokens), tiles);
    if (base + t < p.batch) first_tile.store(base + t, begin);
    total += tiles;
    if (tiles_of(tokens) > longest) longest = tiles_of(tokens);
    filled += tiles_of(tokens) > 0;
  }
  if (t == 0) first_tile.store(p.batch, total);
  block_sync();
  longest = block_max(longest);
  block_scan(filled, filled);
  const i32 busy = cut_sequence(p, total, longest, filled);
  const smem<i32> cuts = shared_at<i32>(cuts_at);

  i32 slots_before = 0;
  i32 merges = 0, items = 0;
  for (i32 base = 0; base < p.batch; base += threads) {
    const i32 tokens = length_of(p, base + t), tiles = tiles_of(tokens);
    smla_request record = {tokens < 0 ? 0 : tokens, 0, 0, tokens < 0 ? -1 : 0};
    if (tiles > 0) {
      const i32 begin = first_tile.load(base + t);
      record.first_unit = find_last(cuts, busy, begin);
      record.pieces = find_last(cuts, busy, begin + tiles - 1) - record.first_unit + 1;
    }
    i32 slots;
    record.first_slot = slots_before + block_scan(record.pieces > 1 ? record.pieces : 0, slots);
    if (base + t < p.batch) global_store(p.requests + base + t, record);
    slots_before += slots;

    const bool merged = base + t < p.batch && record.pieces != 1;
    i32 more_merges, more_items;
    const i32 place = merges + block_scan(merged, more_merges);
    const i32 item = items + block_scan(merged ? merge_items(record.pieces, p.elements, p.block_elements) : 0, more_items);
    if (merged) {
      global_store(p.merges + place, smla_merge{base + t, record.pieces, record.first_slot, item});
      first_item.store(place, item);
    }
    merges += more_merges;
    items += more_items;
  }
  if (t == 0) global_store(p.merges + merges, smla_merge{0, 0, 0, items});
  block_sync();
  for (i32 b = t; b < p.merge_blocks; b += threads) share_merges(p, b, merges, items);

  for (i32 u = t; u < p.unit_count; u += threads) {
    smla_unit unit = {0, 0, -1, 0, {0, 0, 0, 0}};
    if (u < busy) {
      const i32 first = cuts.load(u), last = cuts.load(u + 1) - 1;
      unit.first_request = find_last(first_tile, p.batch, first);
      unit.last_request = find_last(first_tile, p.batch, last);
      unit.first_tile = first - first_tile.load(unit.first_request);
      unit.end_tile = last + 1 - first_tile.load(unit.last_request);
      unit.first = global_load(p.requests + unit.first_request);
    }
    global_store((int4 *)(p.units + u), make_int4(unit.first_request, unit.first_tile, unit.last_request, unit.end_tile));
    global_store(&p.units[u].first, unit.first);
  }
}
