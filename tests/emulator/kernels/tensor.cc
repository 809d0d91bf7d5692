// Tensor cores and matrix loads: A is 64 rows, B N rows, of 128 bytes in swizzled tiles; D goes out as 64 x N floats.
struct Params {
  u32 which, count;
  const u8 *in;
  u8 *out;
};

constexpr u32 kA = 0, kB = 8192, kBarrier = kB + 32768;

template <int N, bool Bf16, bool Registers>
static void product(const Params &p) {
  const u64 a = wgmma_descriptor(shared_at<u8>(kA).address(), 1024);
  const u64 b = wgmma_descriptor(shared_at<u8>(kB).address(), 1024);
  const u32 row = thread_index() / 32 * 16 + lane_index() / 4;
  frag<N / 2> d;
  a_frag f[4];
  if (Registers)
    for (u32 k = 0; k < 4; k++)
      for (u32 i = 0; i < 4; i++) {
        const u32 at = (row + i % 2 * 8) * 128 + k * 32 + i / 2 * 16 + lane_index() % 4 * 4;
        f[k].r[i] = shared_at<u32>(kA).load(static_cast<i32>((at ^ (at >> 3 & 0x70)) / 4));
      }
  for (int i = 0; i < N / 2; i++) d[i] = 100.f;
  wgmma_fence();
  for (u32 k = 0; k < 4; k++) {
    const u64 ak = descriptor_advance(a, 32 * k), bk = descriptor_advance(b, 32 * k);
    if constexpr (Bf16 && Registers) {
      if (k == 0 && p.count == 0) wgmma_bf16<N, false>(d, f[k], bk); else wgmma_bf16<N, true>(d, f[k], bk);
    } else if constexpr (Bf16) {
      if (k == 0 && p.count == 0) wgmma_bf16<N, false>(d, ak, bk); else wgmma_bf16<N, true>(d, ak, bk);
    } else if constexpr (Registers) {
      if (k == 0 && p.count == 0) wgmma_e4m3<N, false>(d, f[k], bk); else wgmma_e4m3<N, true>(d, f[k], bk);
    } else {
      if (k == 0 && p.count == 0) wgmma_e4m3<N, false>(d, ak, bk); else wgmma_e4m3<N, true>(d, ak, bk);
    }
    if (k == 1) wgmma_commit();
  }
  wgmma_commit();
  wgmma_wait<1>(d);
  wgmma_wait<0>(d);
  float *out = reinterpret_cast<float *>(p.out);
  for (int j = 0; j < N / 8; j++)
    for (int i = 0; i < 4; i++)
      global_store(out + (row + i / 2 * 8) * N + 8 * j + lane_index() % 4 * 2 + i % 2, d[4 * j + i]);
}

template <int N>
static void products(const Params &p, u32 kind) {
  switch (kind) {
    case 0: product<N, false, false>(p); break;
    case 1: product<N, false, true>(p); break;
    case 2: product<N, true, false>(p); break;
    case 3: product<N, true, true>(p); break;
  }
}

// Both operands in rows of 64 bytes: two steps of k.
static void narrow_product(const Params &p) {
  const u64 a = descriptor_narrow(wgmma_descriptor(shared_at<u8>(kA).address(), 1024));
  const u64 b = descriptor_narrow(wgmma_descriptor(shared_at<u8>(kB).address(), 1024));
  const u32 row = thread_index() / 32 * 16 + lane_index() / 4;
  frag<16> d;
  wgmma_fence();
  wgmma_bf16<32, false>(d, a, b);
  wgmma_bf16<32, true>(d, descriptor_advance(a, 32), descriptor_advance(b, 32));
  wgmma_commit();
  wgmma_wait<0>(d);
  float *out = reinterpret_cast<float *>(p.out);
  for (int j = 0; j < 4; j++)
    for (int i = 0; i < 4; i++)
      global_store(out + (row + i / 2 * 8) * 32 + 8 * j + lane_index() % 4 * 2 + i % 2, d[4 * j + i]);
}

// B by columns, 128 of them in two chunks of 32 k steps: two steps of k.
static void columns_product(const Params &p) {
  const u64 a = wgmma_descriptor(shared_at<u8>(kA).address(), 1024);
  const u64 b = wgmma_descriptor_columns(shared_at<u8>(kB).address(), 4096);
  const u32 row = thread_index() / 32 * 16 + lane_index() / 4;
  frag<64> d;
  wgmma_fence();
  wgmma_bf16_columns<128, false>(d, a, b);
  wgmma_bf16_columns<128, true>(d, descriptor_advance(a, 32), descriptor_advance(b, 2048));
  wgmma_commit();
  wgmma_wait<0>(d);
  float *out = reinterpret_cast<float *>(p.out);
  for (int j = 0; j < 16; j++)
    for (int i = 0; i < 4; i++)
      global_store(out + (row + i / 2 * 8) * 128 + 8 * j + lane_index() % 4 * 2 + i % 2, d[4 * j + i]);
}

// Each warp loads its 512 bytes and stores them again, both ways round.
static void matrices(const Params &p) {
  const u32 own = shared_at<u8>(thread_index() * 16).address();
  u32 r[4], t[4];
  ldmatrix_x4(r, own);
  ldmatrix_x4_trans(t, own);
  u32 *out = reinterpret_cast<u32 *>(p.out) + thread_index() * 8;
  for (u32 i = 0; i < 4; i++) {
    global_store(out + i, r[i]);
    global_store(out + 4 + i, t[i]);
  }
  const u32 target = shared_at<u8>(kB + thread_index() * 16).address();
  stmatrix_x4(target, r[0], r[1], r[2], r[3]);
  stmatrix_x4_trans(target + 2048, t[0], t[1], t[2], t[3]);
  warp_sync();
  for (i32 i = 0; i < 4; i++) {
    const smem<u32> stored = shared_at<u32>(kB + thread_index() * 16);
    global_store(out + 1024 + i, stored.load(i));
    global_store(out + 1028 + i, stored.load(512 + i));
  }
}

KERNEL(tensor, 128) {
  const mbarrier loaded = mbarrier_at(kBarrier);
  if (thread_index() == 0) {
    mbarrier_init(loaded, 1);
    mbarrier_init_fence();
    mbarrier_arrive_expect(loaded, 8192 + 32768);
    bulk_copy(shared_at<u8>(kA).address(), p.in, 8192, loaded);
    bulk_copy(shared_at<u8>(kB).address(), p.in + 8192, 32768, loaded);
  }
  block_sync();
  mbarrier_wait(loaded, 0);
  switch (p.which / 4) {
    case 0: products<8>(p, p.which % 4); break;
    case 1: products<16>(p, p.which % 4); break;
    case 2: products<32>(p, p.which % 4); break;
    case 3: products<64>(p, p.which % 4); break;
    case 4: products<128>(p, p.which % 4); break;
    case 5: products<256>(p, p.which % 4); break;
    case 6:
      if (p.which == 24) matrices(p);
      if (p.which == 25) narrow_product(p);
      if (p.which == 26) columns_product(p);
      break;
  }
}
