// What threads are and do together: indices, arithmetic, global and shared memory, warps, barriers.
struct Params {
  u32 which, count;
  const u8 *in;
  u8 *out;
};

static u32 *words(const Params &p) { return reinterpret_cast<u32 *>(p.out); }
static u32 place() { return (block_index() * 128 + thread_index()); }

static void indices(const Params &p) {
  const u32 block = block_index() + block_count() * (block_index_y() + 2 * block_index_z());
  u32 *out = words(p) + (block * 128 + thread_index()) * 4;
  global_store(out, lane_index());
  global_store(out + 1, warp_index());
  global_store(out + 2, warpgroup_index() + 10 * cluster_rank());
  global_store(out + 3, block_count());
}

template <class T>
static void reverse(const u8 *in, u8 *out, u32 base) {
  const smem<T> s = shared_at<T>(base);
  const T *from = reinterpret_cast<const T *>(in);
  T *to = reinterpret_cast<T *>(out);
  const i32 t = static_cast<i32>(thread_index());
  s.store(t, global_load_constant(from + t));
  block_sync();
  global_store(to + t, (s + 127).load(-t));
  block_sync();
}

static void shared_types(const Params &p) {
  reverse<u8>(p.in, p.out, 0);
  reverse<u16>(p.in + 128, p.out + 128, 128);
  reverse<float>(p.in + 384, p.out + 384, 384);
  reverse<u64>(p.in + 896, p.out + 896, 896);
  reverse<uint4>(p.in + 1920, p.out + 1920, 1920);
}

static void warps(const Params &p) {
  const u32 lane = lane_index();
  u32 *out = words(p) + thread_index() * 8;
  global_store(out, shuffle(lane * 3, 5));
  global_store(out + 1, shuffle_xor(lane, 9));
  global_store(out + 2, shuffle_up(lane, 4));
  global_store(out + 3, warp_any(lane == 7) + 2 * warp_any(false));
  global_store(out + 4, warp_all(lane < 32) + 2 * warp_all(lane != 7));
  global_store(out + 5, bits_of(shuffle(static_cast<float>(lane), lane ^ 1)));
  global_store(out + 6, warp_max(lane == 9 ? 0x80000009u : lane));
  warp_sync();
}

// Two warps fill, two drain, over named barriers: "full" 1 and "empty" 2.
static void named(const Params &p) {
  const smem<u32> s = shared_at<u32>(0);
  const i32 t = static_cast<i32>(thread_index() % 64);
  u32 sum = 0;
  for (u32 round = 0; round < 5; round++) {
    if (warp_index() < 2) {
      if (round) barrier_sync(2, 128);
      s.store(t, round * 100 + static_cast<u32>(t));
      barrier_arrive(1, 128);
    } else {
      barrier_sync(1, 128);
      sum += s.load(63 - t);
      if (round < 4) barrier_arrive(2, 128);
    }
  }
  if (warp_index() >= 2) global_store(words(p) + t, sum);
}

static void atomics(const Params &p) {
  global_atomic_add(words(p), thread_index());
  global_atomic_or(words(p) + 1, 1u << lane_index());
  if (place() == 0) bulk_prefetch(p.in, 64);
  grid_dependency_wait();
  grid_dependency_launch();
}

static void arithmetic(const Params &p) {
  if (thread_index()) return;
  u32 *out = words(p);
  const float nan = float_of(0x7fc00000);
  global_store(out++, bits_of(fma_rn(1.f + 0x1p-12f, 1.f + 0x1p-12f, -1.f - 0x1p-11f)));
  global_store(out++, bits_of(fma_rn(0x1p-75f, 0x1.8p-75f, 0x1p-149f)));
  global_store(out++, bits_of(fma_rn(0x1.000002p0f, 0x1.000002p-24f, 1.f)));
  global_store(out++, bits_of(max_f32(nan, 2.f)));
  global_store(out++, bits_of(min_f32(3.f, nan)));
  global_store(out++, bits_of(max_f32(-0.f, 0.f)));
  global_store(out++, bits_of(min_f32(0.f, -0.f)));
  global_store(out++, byte_permute(0x33221100, 0x77665544, 0x6420));
  global_store(out++, byte_permute(0x33221180, 0x77665544, 0x7538));
  global_store(out++, pack_e4m3(1.f, -2.f, 448.f, 1e9f));
  global_store(out++, bits_of(unpack_e4m3x2(0xc038).x) ^ bits_of(unpack_e4m3x2(0xc038).y));
  global_store(out++, pack_bf16(1.f, -2.f));
  global_store(out++, bits_of(unpack_bf16(0xc0003f80).x) ^ bits_of(unpack_bf16(0xc0003f80).y));
  global_store(out++, bits_of(exp2_approx(3.f)));
  global_store(out++, bits_of(log2_approx(8.f)));
  global_store(out++, bits_of(reciprocal_approx(4.f)));
}

// Thread t multiplies and adds the t-th of many triples.
static void multiply_add(const Params &p) {
  const float *in = reinterpret_cast<const float *>(p.in);
  for (u32 i = thread_index(); i < p.count; i += 128)
    global_store(reinterpret_cast<float *>(p.out) + i,
                 fma_rn(global_load(in + 3 * i), global_load(in + 3 * i + 1), global_load(in + 3 * i + 2)));
}

KERNEL(threads, 128) {
  switch (p.which) {
    case 0: indices(p); break;
    case 1: shared_types(p); break;
    case 2: warps(p); break;
    case 3: named(p); break;
    case 4: atomics(p); break;
    case 5: arithmetic(p); break;
    case 6: multiply_add(p); break;
  }
}
