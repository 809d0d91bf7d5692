// Transaction barriers and bulk copies: a ring of pages, stores, clusters.
struct Params {
  u32 which, count;
  const u8 *in;
  u8 *out;
};

constexpr u32 kStages = 3, kPage = 1024, kFull = kStages * kPage, kEmpty = kFull + 8 * kStages;

// One producer warp and three consumer warps; every consumer thread adds up one word of each page.
static void ring(const Params &p) {
  if (thread_index() == 0) {
    for (u32 s = 0; s < kStages; s++) {
      mbarrier_init(mbarrier_at(kFull + 8 * s), 1);
      mbarrier_init(mbarrier_at(kEmpty + 8 * s), 3);
    }
    mbarrier_init_fence();
  }
  block_sync();
  u32 sum = 0;
  for (u32 i = 0; i < p.count; i++) {
    const u32 s = i % kStages, round = i / kStages;
    const mbarrier full = mbarrier_at(kFull + 8 * s), empty = mbarrier_at(kEmpty + 8 * s);
    if (warp_index() == 0) {
      if (lane_index() != 0) continue;
      mbarrier_wait(empty, (round & 1) ^ 1);
      mbarrier_arrive_expect(full, kPage);
      bulk_copy(shared_at<u8>(s * kPage).address(), p.in + i * kPage, kPage / 2, full);
      bulk_copy(shared_at<u8>(s * kPage + kPage / 2).address(), p.in + i * kPage + kPage / 2, kPage / 2, full);
    } else {
      if (p.which == 1)
        while (!mbarrier_test(full, round & 1)) continue;
      mbarrier_wait(full, round & 1);
      sum = sum * 31 + shared_at<u32>(s * kPage).load(static_cast<i32>(thread_index()) - 32);
      warp_sync();
      if (lane_index() == 0) mbarrier_arrive(empty);
    }
  }
  if (warp_index())
    global_store(reinterpret_cast<u32 *>(p.out) + (block_index() * 96 + thread_index() - 32), sum);
}

static void store(const Params &p) {
  const u32 t = thread_index();
  for (u32 part = 0; part < 2; part++) {
    shared_at<u32>(512 * part).store(static_cast<i32>(t), t * 7 + part);
    fence_async_proxy();
    block_sync();
    if (t == 0) {
      bulk_store(p.out + 512 * part, shared_at<u8>(512 * part).address(), 512);
      bulk_store_commit();
    }
  }
  if (t == 0) {
    bulk_store_wait<1>();
    shared_at<u32>(0).store(0, 0);
    bulk_store_wait<0>();
  }
}

// Rank 0 sends a page to all, each acknowledges on rank 0's barrier.
static void cluster(const Params &p) {
  const mbarrier full = mbarrier_at(kFull), empty = mbarrier_at(kEmpty);
  if (thread_index() == 0) {
    mbarrier_init(full, 1);
    mbarrier_init(empty, 2);
    mbarrier_init_fence();
  }
  cluster_sync();
  u32 sum = 0;
  for (u32 i = 0; i < p.count; i++) {
    if (thread_index() == 0) {
      if (cluster_rank() == 0) mbarrier_wait(empty, (i & 1) ^ 1);
      mbarrier_arrive_expect(full, kPage);
    }
    if (i == 0) cluster_sync();
    if (thread_index() == 0 && cluster_rank() == 0)
      bulk_copy_multicast(shared_at<u8>(0).address(), p.in + i * kPage, kPage, full, 3);
    mbarrier_wait(full, i & 1);
    sum = sum * 31 + shared_at<u32>(0).load(static_cast<i32>(thread_index()));
    block_sync();
    if (thread_index() == 0) mbarrier_arrive_remote(empty, 0);
  }
  global_store(reinterpret_cast<u32 *>(p.out) + (block_index() * 128 + thread_index()), sum);
  const u32 peer = shared_address_of_rank(shared_at<u32>(2048).address(), cluster_rank() ^ 1);
  smem<u32>{peer}.store(static_cast<i32>(thread_index()), block_index() + 5);
  cluster_sync();
  global_store(reinterpret_cast<u32 *>(p.out) + (256 + block_index() * 128 + thread_index()),
               shared_at<u32>(2048).load(static_cast<i32>(thread_index())));
}

// A box of 16 rows of 128 bytes at (x, y, z), of the tensor whose map lies at the start of `in`.
static void tensor(const Params &p) {
  const mbarrier full = mbarrier_at(kFull);
  const u32 t = thread_index();
  if (t == 0) {
    mbarrier_init(full, 1);
    mbarrier_init_fence();
    mbarrier_arrive_expect(full, 2048);
    tensor_copy(shared_at<u8>(1024).address(), p.in, static_cast<i32>(p.count & 255), static_cast<i32>(p.count >> 8 & 255),
                static_cast<i32>(p.count >> 16), 2048, full);
  }
  block_sync();
  mbarrier_wait(full, 0);
  global_store(reinterpret_cast<uint4 *>(p.out) + t, shared_at<uint4>(1024).load(static_cast<i32>(t)));
}

// Rank 0 sends that box to the blocks of mask `count`, each of which expects it.
static void tensor_of_cluster(const Params &p) {
  const mbarrier full = mbarrier_at(kFull);
  const u32 t = thread_index();
  if (t == 0) {
    mbarrier_init(full, 1);
    mbarrier_init_fence();
    mbarrier_arrive_expect(full, 2048);
  }
  cluster_sync();
  if (t == 0 && cluster_rank() == 0)
    tensor_copy_multicast(shared_at<u8>(1024).address(), p.in, 96, 2, 1, 2048, full, static_cast<u16>(p.count));
  mbarrier_wait(full, 0);
  global_store(reinterpret_cast<uint4 *>(p.out) + (block_index() * 128 + t), shared_at<uint4>(1024).load(static_cast<i32>(t)));
  cluster_sync();
}

// Warps 0 and 1 gather pages in 16-byte pieces, back to front, two warps' worth a page; warp 2 fences what has come, so that
// warp 3 may store it with bulk_store. The last 16 bytes come in three pieces, of which the last is zero.
static void gather(const Params &p) {
  const mbarrier full = mbarrier_at(kFull), ready = mbarrier_at(kFull + 8), empty = mbarrier_at(kFull + 16);
  const u32 warp = warp_index(), lane = lane_index();
  if (thread_index() == 0) {
    mbarrier_init(full, 64);
    mbarrier_init(ready, 1);
    mbarrier_init(empty, 1);
    mbarrier_init_fence();
  }
  block_sync();
  for (u32 i = 0; i < p.count; i++) {
    if (warp < 2) {
      const u32 piece = 32 * warp + lane, at = 1008 - 16 * piece;
      mbarrier_wait(empty, (i & 1) ^ 1);
      if (piece == 0) {
        thread_copy<8>(shared_at<u8>(at).address(), p.in + i * kPage + at, true);
        thread_copy<4>(shared_at<u8>(at + 8).address(), p.in + i * kPage + at + 8, true);
        thread_copy<4>(shared_at<u8>(at + 12).address(), p.in + i * kPage + at + 12, false);
      } else {
        thread_copy<16>(shared_at<u8>(at).address(), p.in + i * kPage + at, true);
      }
      mbarrier_arrive_after_copies(full);
    } else if (warp == 2) {
      mbarrier_wait(full, i & 1);
      fence_async_proxy();
      warp_sync();
      if (lane == 0) mbarrier_arrive(ready);
    } else if (lane == 0) {
      mbarrier_wait(ready, i & 1);
      bulk_store(p.out + i * kPage, shared_at<u8>(0).address(), kPage);
      bulk_store_commit();
      bulk_store_wait<0>();
      mbarrier_arrive(empty);
    }
  }
}

KERNEL(copies, 128) {
  switch (p.which) {
    case 0:
    case 1: ring(p); break;
    case 2: store(p); break;
    case 3: cluster(p); break;
    case 4: tensor(p); break;
    case 5: gather(p); break;
    case 6: tensor_of_cluster(p); break;
  }
}
