// Generated from templates/mla_combine/mla_combine.cu.tmpl: do not edit.
//   variant: mla_combine:latent=512,rows=64,partial=bf16,block=256,tokens=paged
//   command: snapmla gen --variant 'mla_combine:latent=512,rows=64,partial=bf16,block=256,tokens=paged' --target sm90a
// Merges the pieces of a request: out = sum_i w_i out_i / sum_i w_i, w_i = 2^(lse_i - m), lse = ln 2 * (m + log2 sum_i w_i).
//
// The schedule lists the requests to be merged, how many items of work each is, and each block's share, equal runs of the items of all, so
// that the grid is fixed and costs nothing where little is to be done. An item is 2048 / n channels of a request, n (1 to 16) pieces
// of it read side by side (common/merge.inc): thread t has 8 channels, 16 bytes, of every n-th piece. Its warp, which lies in one row, works
// out the row's weights while the first of them are on their way. A request of one piece was written by the decode kernel
// itself; one without tokens gets zeros and -inf, one with a bad length NaN.
//
// shared memory   each thread's sum     each row's weights

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
/* Arguments of mla_combine. Grid: as many blocks as the schedule shared the items among. */
#ifndef SMLA_TEMPLATES_MLA_COMBINE_PARAMS_H
#define SMLA_TEMPLATES_MLA_COMBINE_PARAMS_H

struct mla_combine_params {
  const struct smla_merge *merges;       /* as the schedule writes them */
  const struct smla_merge_share *shares; /* [blocks] */
  const void *partial_out;               /* [slots, groups, rows, latent], f32 or bf16 as the variant says */
  const float *partial_lse;              /* [slots, groups, rows], base 2 */
  unsigned short *out;                   /* [batch, q_len, heads, latent] bf16 */
  long long out_stride_batch, out_stride_token, out_stride_head;
  float *lse; /* [batch, heads, q_len], or NULL */
  long long lse_stride_batch, lse_stride_head, lse_stride_token;
  int heads, q_len, groups;
  int lists; /* tokens=indexed: query tokens of a request, each a record and a "batch" of its own with q_len 1 */
};

#endif
typedef mla_combine_params Params;

constexpr i32 latent = 512;
constexpr i32 threads = 256;
constexpr i32 group_rows = 64;
constexpr i32 max_pieces = 1024;
constexpr u32 row_lanes = 32;

// What the decode kernel leaves of a request that was cut: partial_out [slots, groups, rows of a group, latent] and partial_lse without
// the latent, base 2; a request's pieces lie in consecutive slots.

// Four channels of a piece, as stored.
typedef uint2 Stored;
DEVICE float4 widen(Stored x) {
  const float2 low = unpack_bf16(x.x), high = unpack_bf16(x.y);
  return make_float4(low.x, low.y, high.x, high.y);
}
DEVICE const Stored *stored_at(const Params &p, i64 element) { return (const Stored *)p.partial_out + element / 4; }

// What a row of the piece in a slot has in front of it, in rows.
DEVICE i64 row_place(const Params &p, i32 group_rows, i32 slot, i32 row) {
  return (i64)slot * p.groups * group_rows + row;
}

DEVICE float4 add_weighted(float4 sum, Stored part, float weight) {
  const float4 x = widen(part);
  return make_float4(fma_rn(x.x, weight, sum.x), fma_rn(x.y, weight, sum.y), fma_rn(x.z, weight, sum.z), fma_rn(x.w, weight, sum.w));
}
DEVICE float4 add_sums(float4 a, float4 b) { return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w); }

// What a thread has of a piece, and of the sum.
constexpr i32 channels = 8, fours = channels / 4;
struct Part {
  Stored four[fours];
};
struct Sum {
  float4 four[fours];
};

// The address in piece `piece` of what lies at `first` in the first piece; pieces are `stride` bytes apart.
template <class T> DEVICE const T *in_piece(const T *first, u32 stride, i32 piece) {
  return (const T *)((const u8 *)first + (u64)(u32)piece * stride);
}
// Where there are no more pieces the last is loaded again and not used: loads follow each other without a jump.
DEVICE i32 up_to(i32 piece, i32 pieces) { return piece < pieces ? piece : pieces - 1; }

constexpr i32 lse_in_flight = 5, weighed_together = lse_in_flight * (i32)row_lanes;
static_assert(max_pieces % (i32)row_lanes == 0, "weights are stored for 32 pieces at a time");

// A row is weighed by a warp: a lane has every 32th piece, and loads the lse of the first 5 together.
DEVICE void load_lse(const float *first, u32 stride, i32 pieces, float (&lse)[lse_in_flight]) {
#pragma unroll
  for (i32 i = 0; i < lse_in_flight; ++i) {
    const i32 among = i * (i32)row_lanes, piece = among + (i32)(lane_index() % row_lanes);
    lse[i] = -infinity();
    if (among >= pieces) continue;
    const float loaded = global_load(in_piece(first, stride, up_to(piece, pieces)));
    if (piece < pieces) lse[i] = loaded;
  }
}

// The normalised weights go to `weights`, [pieces], zeros behind the last; returns the row's lse (base 2). Pieces without tokens have -inf; a
// NaN is everyone's.
DEVICE float weigh(const float *first, u32 stride, i32 pieces, const float (&lse)[lse_in_flight], smem<float> weights) {
  const i32 lane = (i32)(lane_index() % row_lanes);
  float top = lse[0], sum = 0.0f;
#pragma unroll
  for (i32 i = 1; i < lse_in_flight; ++i) top = max_f32(top, lse[i]);
#pragma unroll 1
  for (i32 piece = weighed_together + lane; piece < pieces; piece += row_lanes) {
    const float more = global_load(in_piece(first, stride, piece));
    weights.store(piece, more);
    top = max_f32(top, more);
  }
#pragma unroll
  for (u32 mask = row_lanes / 2; mask > 0; mask /= 2) top = max_f32(top, shuffle_xor(top, mask));
  const float from = top == -infinity() ? 0.0f : top;  // every weight is then zero, or NaN
  float weight[lse_in_flight];
#pragma unroll
  for (i32 i = 0; i < lse_in_flight; ++i) {
    weight[i] = exp2_approx(lse[i] - from);
    sum += weight[i];
  }
#pragma unroll 1
  for (i32 piece = weighed_together + lane; piece < pieces; piece += row_lanes) {
    const float more = exp2_approx(weights.load(piece) - from);
    weights.store(piece, more);
    sum += more;
  }
#pragma unroll
  for (u32 mask = row_lanes / 2; mask > 0; mask /= 2) sum += shuffle_xor(sum, mask);
  const float inverse = sum == 0.0f ? 0.0f : 1.0f / sum;
#pragma unroll
  for (i32 i = 0; i < lse_in_flight; ++i)
    if (i * (i32)row_lanes < pieces) weights.store(i * (i32)row_lanes + lane, weight[i] * inverse);
#pragma unroll 1
  for (i32 piece = weighed_together + lane; piece < pieces; piece += row_lanes) weights.store(piece, weights.load(piece) * inverse);
  warp_sync();
  return sum == 0.0f ? -infinity() : from + log2_approx(sum);
}

// A thread's channels of the pieces first, first + lanes, …
DEVICE void load_parts(const Part *part, u32 stride, i32 first, i32 lanes, i32 pieces, Part (&parts)[merge_in_flight]) {
#pragma unroll
  for (i32 i = 0; i < merge_in_flight; ++i) parts[i] = global_load(in_piece(part, stride, up_to(first + i * lanes, pieces)));
}
DEVICE void add_parts(const Part (&parts)[merge_in_flight], i32 first, i32 lanes, i32 pieces, smem<float> weights, Sum &sum) {
  float weight[merge_in_flight];
#pragma unroll
  for (i32 i = 0; i < merge_in_flight; ++i) weight[i] = weights.load(up_to(first + i * lanes, pieces));
#pragma unroll
  for (i32 i = 0; i < merge_in_flight; ++i) {
    const bool there = first + i * lanes < pieces;
#pragma unroll
    for (i32 k = 0; k < fours; ++k) {
      const float4 less = sum.four[k], more = add_weighted(less, parts[i].four[k], weight[i]);
      sum.four[k] = make_float4(there ? more.x : less.x, there ? more.y : less.y, there ? more.z : less.z, there ? more.w : less.w);
    }
  }
}

DEVICE void wait_for_decode() {
  grid_dependency_wait();
  grid_dependency_launch();
}

// Item `item` of a request. The block agrees on the arguments. What can be known before the decode kernel has ended is worked out before
// that is waited for, in a block's first item.
DEVICE void merge_item(const Params &p, const smla_merge &request, i32 item, bool &waited) {
  const i32 pieces = request.pieces, split = merge_split(pieces), lanes = 1 << split, width = threads >> split, t = (i32)thread_index();
  const i32 lane = t >> (8 - split), element = channels * (item * width + (t & (width - 1))), last = p.heads * p.q_len - 1;
  const bool mine = element / latent <= last;
  const i32 row = mine ? element / latent : last, column = element % latent;
  const smem<float4> sums = shared_at<float4>(0);
  const smem<float> weights = shared_at<float>(threads * channels * 4 + thread_index() / row_lanes * max_pieces * 4);
  const OutputRow target = output_row(p, request.request, row);
  const i64 place = row_place(p, group_rows, request.first_slot, row);
  const float *const first_lse = p.partial_lse + place;
  const Part *const first_part = (const Part *)stored_at(p, place * latent + column);
  const u32 piece_rows = (u32)(p.groups * group_rows), lse_stride = piece_rows * 4, part_stride = piece_rows * latent * 2;
  Sum sum;
#pragma unroll
  for (i32 k = 0; k < fours; ++k) sum.four[k] = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
  if (!waited) wait_for_decode();
  waited = true;

  float lse = pieces < 0 ? not_a_number() : -infinity();
  if (pieces > 0) {
    float lse_of_lane[lse_in_flight];
    load_lse(first_lse, lse_stride, pieces, lse_of_lane);
    Part parts[merge_in_flight];
    load_parts(first_part, part_stride, lane, lanes, pieces, parts);
    lse = weigh(first_lse, lse_stride, pieces, lse_of_lane, weights);
    add_parts(parts, lane, lanes, pieces, weights, sum);
#pragma unroll 1
    for (i32 first = lane + lanes * merge_in_flight; first < pieces; first += lanes * merge_in_flight) {
      load_parts(first_part, part_stride, first, lanes, pieces, parts);
      add_parts(parts, first, lanes, pieces, weights, sum);
    }
    warp_sync();  // the next item's weights go there
  }
  if (lanes > 1) {
#pragma unroll
    for (i32 k = 0; k < fours; ++k) sums.store(k * threads + t, sum.four[k]);
    block_sync();
    if (lane == 0) {
      const auto add = [&](i32 other) {
#pragma unroll
        for (i32 k = 0; k < fours; ++k) sum.four[k] = add_sums(sum.four[k], sums.load(k * threads + other));
      };
      add(t + width);
#pragma unroll 1
      for (i32 other = t + 2 * width; other < threads; other += 2 * width) {  // lanes are a power of two
        add(other);
        add(other + width);
      }
    }
    block_sync();  // the next item writes there again
  }
  if (!mine || lane != 0) return;
#pragma unroll
  for (i32 k = 0; k < fours; ++k) {
    float4 x = sum.four[k];
    if (pieces < 0) x.x = x.y = x.z = x.w = lse;
    global_store((uint2 *)(target.out + column + 4 * k), make_uint2(pack_bf16(x.x, x.y), pack_bf16(x.z, x.w)));
  }
  if (column == 0) store_lse(target, lse);
}

KERNEL_RESIDENT(snapmla_mla_combine, 256, 4) {
  // The schedule was complete before the decode kernel let this one start: what there is to do can be read before the wait for it.
  const int4 *const share = (const int4 *)(p.shares + block_index());
  const int4 items = global_load(share);
  smla_merge request = global_load((const smla_merge *)(share + 1));
  i32 item = items.x, merge = items.z, after = items.w;
  const i32 end = items.y;
  bool waited = false;
  while (item < end) {
    for (; item < (after < end ? after : end); ++item) merge_item(p, request, item - request.first_item, waited);
    if (item == end) break;
    request = global_load(p.merges + ++merge);
    after = global_load(&p.merges[merge + 1].first_item);
  }
  if (!waited) wait_for_decode();  // whoever waits for this kernel waits for that too
}
