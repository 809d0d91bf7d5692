// Generated from templates/value_project/value_project.cu.tmpl: do not edit.
//   variant: value_project:latent=512,v=128,weights=bf16,combine=separate,columns=64,groups=2,stages=4
//   command: snapmla gen --variant 'value_project:latent=512,v=128,weights=bf16,combine=separate,columns=64,groups=2,stages=4' --target sm90a
// Values of all tokens with one head: attended latent . W_UV, sums of 512 products, rounded to bf16.
//
// Block (head * 1 + part, c) has 128 value channels and columns c * 64 .. of the tokens. W_UV is stored along the reduction:
// wgmma reads it where it landed.

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
template <int Pending> DEVICE void wgmma_wait(frag<32> &d) {
  asm volatile("wgmma.wait_group.sync.aligned %32;" : "+f"(d.r[0]), "+f"(d.r[1]), "+f"(d.r[2]), "+f"(d.r[3]), "+f"(d.r[4]), "+f"(d.r[5]), "+f"(d.r[6]), "+f"(d.r[7]), "+f"(d.r[8]), "+f"(d.r[9]), "+f"(d.r[10]), "+f"(d.r[11]), "+f"(d.r[12]), "+f"(d.r[13]), "+f"(d.r[14]), "+f"(d.r[15]), "+f"(d.r[16]), "+f"(d.r[17]), "+f"(d.r[18]), "+f"(d.r[19]), "+f"(d.r[20]), "+f"(d.r[21]), "+f"(d.r[22]), "+f"(d.r[23]), "+f"(d.r[24]), "+f"(d.r[25]), "+f"(d.r[26]), "+f"(d.r[27]), "+f"(d.r[28]), "+f"(d.r[29]), "+f"(d.r[30]), "+f"(d.r[31]) : "n"(Pending) : "memory");
}
template <int Pending> DEVICE void wgmma_wait(frag<32> &d, frag<32> &e) {
  asm volatile("wgmma.wait_group.sync.aligned %64;" : "+f"(d.r[0]), "+f"(d.r[1]), "+f"(d.r[2]), "+f"(d.r[3]), "+f"(d.r[4]), "+f"(d.r[5]), "+f"(d.r[6]), "+f"(d.r[7]), "+f"(d.r[8]), "+f"(d.r[9]), "+f"(d.r[10]), "+f"(d.r[11]), "+f"(d.r[12]), "+f"(d.r[13]), "+f"(d.r[14]), "+f"(d.r[15]), "+f"(d.r[16]), "+f"(d.r[17]), "+f"(d.r[18]), "+f"(d.r[19]), "+f"(d.r[20]), "+f"(d.r[21]), "+f"(d.r[22]), "+f"(d.r[23]), "+f"(d.r[24]), "+f"(d.r[25]), "+f"(d.r[26]), "+f"(d.r[27]), "+f"(d.r[28]), "+f"(d.r[29]), "+f"(d.r[30]), "+f"(d.r[31]), "+f"(e.r[0]), "+f"(e.r[1]), "+f"(e.r[2]), "+f"(e.r[3]), "+f"(e.r[4]), "+f"(e.r[5]), "+f"(e.r[6]), "+f"(e.r[7]), "+f"(e.r[8]), "+f"(e.r[9]), "+f"(e.r[10]), "+f"(e.r[11]), "+f"(e.r[12]), "+f"(e.r[13]), "+f"(e.r[14]), "+f"(e.r[15]), "+f"(e.r[16]), "+f"(e.r[17]), "+f"(e.r[18]), "+f"(e.r[19]), "+f"(e.r[20]), "+f"(e.r[21]), "+f"(e.r[22]), "+f"(e.r[23]), "+f"(e.r[24]), "+f"(e.r[25]), "+f"(e.r[26]), "+f"(e.r[27]), "+f"(e.r[28]), "+f"(e.r[29]), "+f"(e.r[30]), "+f"(e.r[31]) : "n"(Pending) : "memory");
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
/* What a tensor copy fetches by: made on the host, opaque to kernels (CUtensorMap). Read by templates and by the runtime. */
#ifndef SMLA_TEMPLATES_TENSOR_MAP_H
#define SMLA_TEMPLATES_TENSOR_MAP_H

struct __attribute__((aligned(64))) smla_tensor_map {
  unsigned long long opaque[16];
};

#endif
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
/* Arguments of value_project. Grid (heads x v / rows of a block, column tiles). */
#ifndef SMLA_TEMPLATES_VALUE_PROJECT_PARAMS_H
#define SMLA_TEMPLATES_VALUE_PROJECT_PARAMS_H

struct value_project_params {
  struct smla_tensor_map weights; /* bytes of a row of W_UV, rows, heads; box [64 x groups rows][128 bytes] */
  struct smla_tensor_map latents; /* bytes of an attended latent, tokens, heads; box [columns tokens][128 bytes] */
  const float *scales;            /* weights=fp8: a factor for each block of 128 rows and columns of the whole matrix */
  long long scales_stride;
  unsigned short *out; /* [tokens, heads, v] bf16, strides in elements */
  long long out_stride_token, out_stride_head;
  int tokens;
  int head_rows, first_row; /* rows of the whole matrix from head to head, and of W_UV's first in a head's */
};

/* What combine=fused takes besides, behind it: what the decode kernel was told of its results. */
struct value_project_pieces {
  const struct smla_request *requests; /* [tokens / record_tokens] */
  const void *partial_out;             /* [slots, groups, group_rows, latent], f32 or bf16 as the variant says */
  const float *partial_lse;            /* [slots, groups, group_rows], base 2 */
  const unsigned short *attended;      /* [tokens, heads, latent] bf16: rows of the requests that were not cut */
  float *lse;                          /* [batch, heads, q_len], or NULL: written here of the others */
  long long lse_stride_batch, lse_stride_head, lse_stride_token;
  int heads, q_len;
  int record_tokens; /* q_len, or 1 with index lists */
  int groups, group_rows;
};

#endif
typedef value_project_params Params;

constexpr u32 latent = 512;
constexpr u32 chunk = 64;
constexpr u32 block_rows = 128;
constexpr u32 parts = 128 / block_rows;

// A skinny product: sums[m x columns] = weights[m x k] tokens[k x columns], the reduction cut into chunks of 64. Thread 0 copies, a
// chunk a stage; each of the 2 other warpgroups multiplies 1 x 64 rows.
//
// shared memory  bytes   written by   read by
//   ring         98304   produce      multiply: a stage's weights, then its tokens
//   staged       17408   stage_sums   the epilogue: [columns] rows of bf16
// barriers: full[4], completed by a stage's bytes; empty[4], by a lane of each multiplying warp
constexpr u32 columns = 64;
constexpr u32 stages = 4;
constexpr u32 groups = 2;
constexpr u32 tiles = 1;
constexpr u32 a_bytes = 16384;
constexpr u32 b_bytes = 8192;
constexpr u32 box_bytes = columns * 128;  // of tokens: 64 numbers each
constexpr u32 stage_bytes = 24576;
constexpr u32 staged_at = stages * stage_bytes;
constexpr u32 staged_row = 272;
constexpr u32 full_at = staged_at + columns * staged_row;
constexpr u32 empty_at = full_at + 8 * stages;
static_assert(empty_at + 8 * stages == 115776, "the map and the space's shared memory differ");
static_assert(b_bytes % box_bytes == 0 && a_bytes % 1024 == 0 && box_bytes % 1024 == 0, "swizzled boxes");
constexpr u32 multipliers_barrier = 1;  // all warpgroups but the first

DEVICE mbarrier full(u32 s) { return mbarrier_at(full_at + 8 * s); }
DEVICE mbarrier empty(u32 s) { return mbarrier_at(empty_at + 8 * s); }

DEVICE void init_barriers() {
  for (u32 s = 0; s < stages; ++s) {
    mbarrier_init(full(s), 1);
    mbarrier_init(empty(s), 4 * groups);
  }
  mbarrier_init_fence();
}

typedef frag<columns / 2> Sum;  // of 64 rows

// One thread. Nobody writes weights, so those of the first stages are on their way before the kernel ahead is done. copy_a(stage, chunk)
// and copy_b(stage, chunk) start a stage's copies.
template <class CopyA, class CopyB> DEVICE void produce(u32 chunks, CopyA copy_a, CopyB copy_b) {
  const u32 early = chunks < stages ? chunks : stages;
#pragma unroll 1
  for (u32 c = 0; c < early; ++c) {
    mbarrier_arrive_expect(full(c), stage_bytes);
    copy_a(c, c);
  }
  grid_dependency_wait();
  grid_dependency_launch();
#pragma unroll 1
  for (u32 c = 0; c < early; ++c) copy_b(c, c);
#pragma unroll 1
  for (u32 c = early; c < chunks; ++c) {
    const u32 stage = c % stages;
    mbarrier_wait(empty(stage), (c / stages + 1) & 1);
    mbarrier_arrive_expect(full(stage), stage_bytes);
    copy_a(stage, c);
    copy_b(stage, c);
  }
}

DEVICE u64 operand_descriptor(u32 address) { return wgmma_descriptor(shuffle(pin(address), 0), 1024); }

// One chunk of one tile of 64 rows. `a` is the tile's weights, `b` the stage's tokens.
DEVICE void multiply_tile(Sum &sum, u32 a, u32 b) {
  const u64 weights = operand_descriptor(a), tokens = operand_descriptor(b);
  wgmma_fence();
  wgmma_bf16<columns, true>(sum, descriptor_advance(weights, 0), descriptor_advance(tokens, 0));
  wgmma_bf16<columns, true>(sum, descriptor_advance(weights, 32), descriptor_advance(tokens, 32));
  wgmma_bf16<columns, true>(sum, descriptor_advance(weights, 64), descriptor_advance(tokens, 64));
  wgmma_bf16<columns, true>(sum, descriptor_advance(weights, 96), descriptor_advance(tokens, 96));
  wgmma_commit();
  wgmma_wait<0>(sum);
}

// A warpgroup's share: tile_of(t) is where tile t's weights are in a stage, factor(chunk, t) what they are to be multiplied by.
template <class TileOf, class Factor>
DEVICE void multiply(Sum (&sums)[tiles], u32 chunks, TileOf tile_of, Factor factor) {
#pragma unroll
  for (u32 t = 0; t < tiles; ++t)
#pragma unroll
    for (u32 i = 0; i < columns / 2; ++i) sums[t][i] = 0.0f;
  u32 stage = 0, parity = 0;
#pragma unroll 1
  for (u32 c = 0; c < chunks; ++c) {
    mbarrier_wait(full(stage), parity);
    const u32 at = shared_at<u8>(stage * stage_bytes).address();
#pragma unroll
    for (u32 t = 0; t < tiles; ++t) {
      multiply_tile(sums[t], at + tile_of(t), at + a_bytes);
    }
    warp_sync();
    if (lane_index() == 0) mbarrier_arrive(empty(stage));
    if (++stage == stages) {
      stage = 0;
      parity ^= 1;
    }
  }
}

// Rounds a tile's sums to bf16, each token's in a row: m_of(g) is which of its warp's 16 rows the fragment's row g is, and those of
// fragment rows g + 8 are `apart` further.
template <class RowOf> DEVICE void stage_sums(const Sum &sum, u32 first_m, RowOf m_of, u32 apart) {
  const u32 lane = lane_index(), m = first_m + 16 * (warp_index() & 3) + m_of(lane / 4);
#pragma unroll
  for (u32 j = 0; j < columns / 8; ++j)
#pragma unroll
    for (u32 i = 0; i < 2; ++i) {
      const smem<u16> row = shared_at<u16>(staged_at + (8 * j + 2 * (lane & 3) + i) * staged_row);
      const u32 both = pack_bf16(sum[4 * j + i], sum[4 * j + 2 + i]);
      row.store(m, (u16)both);
      row.store(m + apart, (u16)(both >> 16));
    }
}


KERNEL(snapmla_value_project, 384) {
  if (thread_index() == 0) init_barriers();
  block_sync();
  const i32 head = (i32)(block_index() / parts), first_token = (i32)(block_index_y() * columns);
  const u32 first_m = block_index() % parts * block_rows;
  const u32 warpgroup = warpgroup_index();
  const auto copy_weights = [&](u32 stage, u32 c) {
    tensor_copy(shared_at<u8>(stage * stage_bytes).address(), &p.weights, c * 128, (i32)first_m, head, a_bytes, full(stage));
  };
  if (warpgroup == 0) {
    if (thread_index() == 0)
      produce(latent / chunk, copy_weights, [&](u32 stage, u32 c) {
        const u32 target = shared_at<u8>(stage * stage_bytes + a_bytes).address();
#pragma unroll
        for (u32 box = 0; box < b_bytes / box_bytes; ++box)
          tensor_copy(target + box * box_bytes, &p.latents, (i32)(c * chunk * 2 + box * 128), first_token, head, box_bytes, full(stage));
      });
    return;
  }
  const u32 group = warpgroup - 1;
  Sum sums[tiles];
  multiply(
      sums, latent / chunk, [&](u32) { return group * 64 * 128; },
      [&](u32 c, u32) {
        return 1.0f;
      });
  stage_sums(sums[0], group * 64, [](u32 g) { return g; }, 8);
  barrier_sync(multipliers_barrier, 128 * groups);
  grid_dependency_wait();  // before anything is written
  // A warp a token: two neighbouring channels a lane and time.
  const u32 warp = warp_index() - 4;
  for (u32 n = warp; n < columns && first_token + (i32)n < p.tokens; n += 4 * groups) {
    u16 *out = p.out + (first_token + (i64)n) * p.out_stride_token + head * p.out_stride_head + first_m;
    const smem<u32> row = shared_at<u32>(staged_at + n * staged_row);
#pragma unroll
    for (u32 i = lane_index(); i < block_rows / 2; i += 32) global_store((u32 *)out + i, row.load((i32)i));
  }
}
