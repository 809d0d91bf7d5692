// Mistakes with barriers, warps, registers and clusters, one a case. A tag marks the line of the report.
struct Params {
  u32 which, count;
  const u8 *in;
  u8 *out;
};

constexpr u32 kBarrier = 40960;

static void start_barrier(u32 arrivals) {
  if (thread_index() == 0) {
    mbarrier_init(mbarrier_at(kBarrier), arrivals);  // @init
    mbarrier_init_fence();
  }
  block_sync();
}

// A ring of 3 pages dealt in turn to two warps: each warp waits and releases its own pages only, so that a warp's
// parity says nothing about the uses that were the other's.
static void dealt_ring(const Params &p) {
  if (thread_index() == 0) {
    for (u32 s = 0; s < 3; s++) {
      mbarrier_init(mbarrier_at(kBarrier + 16 * s), 1);
      mbarrier_init(mbarrier_at(kBarrier + 16 * s + 8), 1);
    }
    mbarrier_init_fence();
  }
  block_sync();
  for (u32 i = 0; i < 12; i++) {
    const u32 stage = i % 3, parity = i / 3 & 1;
    const mbarrier full = mbarrier_at(kBarrier + 16 * stage), empty = mbarrier_at(kBarrier + 16 * stage + 8);
    if (warp_index() == 2 && lane_index() == 0) {
      mbarrier_wait(empty, parity ^ 1);
      mbarrier_arrive_expect(full, 128);
      bulk_copy(shared_at<u8>(128 * stage).address(), p.in + 128 * i, 128, full);
    }
    if (warp_index() == i % 2) {
      mbarrier_wait(full, parity);  // @dealt
      shared_at<u32>(128 * stage).load(static_cast<i32>(lane_index()));
      warp_sync();
      if (lane_index() == 0) mbarrier_arrive(empty);
    }
  }
}

KERNEL(faults, 256) {
  const u32 t = thread_index(), lane = lane_index(), warp = warp_index();
  const mbarrier b = mbarrier_at(kBarrier);
  switch (p.which) {
    case 0: {
      start_barrier(2);
      if (t == 0) mbarrier_arrive(b);
      if (warp == 3) mbarrier_wait(b, 0);  // @never_arrives
      break;
    }
    case 1: {
      start_barrier(1);
      if (t == 0) {
        mbarrier_arrive_expect(b, 64);
        mbarrier_arrive(b);  // @too_many
      }
      break;
    }
    case 2: {
      start_barrier(2);
      if (t == 0) {
        mbarrier_arrive_expect(b, 32);
        bulk_copy(shared_at<u8>(0).address(), p.in, 64, b);  // @more_bytes
        mbarrier_arrive(b);  // @more_bytes_eager
      }
      if (warp == 1) mbarrier_wait(b, 0);
      break;
    }
    case 3: {
      start_barrier(1);
      if (t == 0) mbarrier_arrive_expect(b, 1 << 20);  // @bytes_overflow
      break;
    }
    case 4: {
      start_barrier(1);
      if (t == 0) mbarrier_init(b, 3);  // @init_again
      break;
    }
    case 5: {
      if (t == 6) mbarrier_wait(b, 0);  // @no_init
      break;
    }
    case 6: {
      start_barrier(1);
      if (t == 0) mbarrier_arrive(b);
      if (t == 64) {
        mbarrier_wait(b, 0);
        mbarrier_wait(b, 0);  // @waits_again
      }
      break;
    }
    case 7: {
      start_barrier(1);
      if (t == 0) mbarrier_arrive(b);
      block_sync();
      if (t == 64) mbarrier_wait(b, 1);  // @missed
      break;
    }
    case 8: {
      start_barrier(1);
      if (t == 100) mbarrier_wait(b, 0);  // @lapped
      if (t == 128) {
        mbarrier_wait(b, 1);
        mbarrier_arrive(b);
        mbarrier_arrive(b);
      }
      break;
    }
    case 9: dealt_ring(p); break;
    case 10: {
      if (warp == 0) barrier_sync(1, 96);  // @count
      if (warp == 1) barrier_sync(1, 64);  // @count_other
      break;
    }
    case 11: {
      if (warp < 3) barrier_sync(2, 128);  // @missing_warp
      break;
    }
    case 12: {
      if (warp == 0) barrier_sync(16, 32);  // @barrier_id
      break;
    }
    case 13: {
      if (t < 48) barrier_arrive(3, 64);  // @part_of_warp
      if (t >= 240) barrier_sync(3, 64);
      break;
    }
    case 14: {
      if (warp == 0) {
        barrier_arrive(4, 96);
        barrier_arrive(4, 96);  // @arrives_twice
      }
      break;
    }
    case 15: {
      if (warp == 4) block_sync();  // @sync_of_some
      else barrier_sync(5, 256);  // @sync_of_others
      break;
    }
    case 16: {
      if (t == 35) return;
      block_sync();  // @sync_after_exit
      break;
    }
    case 17: {
      if (warp == 2 && lane < 16) shuffle_xor(t, 1);  // @half_shuffle
      break;
    }
    case 18: {
      if (warp == 2 && lane < 16)
        shuffle_xor(t, 1);  // @upper_shuffle
      else if (warp == 2)
        shuffle_xor(t, 2);  // @lower_shuffle
      break;
    }
    case 19: {
      start_barrier(1);
      if (warp == 5) {
        if (lane == 4) mbarrier_wait(b, 0);  // @one_lane_elsewhere
        warp_sync();  // @rest_of_warp
      }
      break;
    }
    case 20: {
      const u32 address = shared_at<u8>(16 * t).address();
      shared_at<uint4>(0).store(static_cast<i32>(t), make_uint4(0, 0, 0, 0));
      u32 r[4];
      if (lane != 9) ldmatrix_x4(r, address);  // @ldmatrix_part
      break;
    }
    case 21: {
      if (t < 128) registers_raise<256>();  // @raise_too_far
      break;
    }
    case 22: {
      if (t < 64) registers_lower<24>();  // @lower_first
      else if (t < 128) registers_lower<32>();  // @lower_other
      break;
    }
    case 23: {
      if (t < 128) registers_lower<256>();  // @lower_up
      break;
    }
    case 24: {
      start_barrier(1);
      cluster_sync();
      if (cluster_rank() == 1) return;
      for (u32 i = 0; i < 8; i++) block_sync();
      if (t == 0) mbarrier_arrive_remote(b, 1);  // @remote_exited
      break;
    }
    case 25: {
      start_barrier(1);
      if (cluster_rank() == 1) mbarrier_wait(b, 0);  // @never_arrives_cluster
      else cluster_sync();  // @cluster_waits
      break;
    }
    case 26: {
      if (t == 200)
        for (;;) global_load(p.in);  // @endless
      break;
    }
    case 27: {
      start_barrier(1);
      if (t == 200)
        while (!mbarrier_test(b, 0)) continue;  // @endless_test
      break;
    }
    case 28: {
      start_barrier(1);
      if (t == 0) mbarrier_arrive_remote(b, 2);  // @no_such_rank
      break;
    }
    case 29: {
      if (t == 0) {
        u32 sum = 0;
        for (i32 i = 0; i < 4; i++) sum += shared_at<u32>(0).load(i);  // @four
        global_store(reinterpret_cast<u32 *>(p.out) + 1, sum);
        global_store(reinterpret_cast<u32 *>(p.out), shared_at<u32>(64).load());  // @fifth
      }
      break;
    }
    case 30: {
      if (lane == 3 && warp_index() == 2) shared_at<u32>(0).store(0, t);  // @one_lane_agrees
      warp_sync();
      break;
    }
    case 31: {
      if (lane < 16)
        shared_at<u32>(4 * t).store(0, warp_index());
      else
        shared_at<u32>(4 * t).store(0, warp_index());  // @upper_lanes_agree
      warp_sync();
      break;
    }
    case 32: {
      if (warp == 5 && lane > 0) shared_at<u32>(4 * t).store(0, warpgroup_index());  // @without_lane_0
      block_sync();
      break;
    }
    case 33: {
      if (warp == 7 && lane == 31) shared_at<u32>(4 * t).store(0, warpgroup_index());  // @agrees_at_exit
      break;
    }
    case 40: {
      if (block_index() >= 5 && t == block_index()) shared_at<u32>(0).load(0);  // @by_block
      break;
    }
  }
}
