// Mistakes with shared memory, global memory and copies, one a case. A tag marks the line of the report.
struct Params {
  u32 which, count;
  const u8 *in;  // 64 KB, read-only
  u8 *out;       // 64 KB
};

constexpr u32 kBarrier = 40960;

static void start_barrier(u32 arrivals) {
  if (thread_index() == 0) {
    mbarrier_init(mbarrier_at(kBarrier), arrivals);
    mbarrier_init_fence();
  }
  block_sync();
}

static u64 operand(u32 offset) { return wgmma_descriptor(shared_at<u8>(offset).address(), 1024); }

// Operands A at 0 and B at 8192 arrive by copies.
static void load_operands(const Params &p) {
  start_barrier(1);
  if (thread_index() == 0) {
    mbarrier_arrive_expect(mbarrier_at(kBarrier), 16384);
    bulk_copy(shared_at<u8>(0).address(), p.in, 16384, mbarrier_at(kBarrier));
  }
  mbarrier_wait(mbarrier_at(kBarrier), 0);
}

// The same operands, copied by the threads in pieces of 16 bytes.
static void copy_operand_pieces(const Params &p) {
  for (u32 at = 16 * thread_index(); at < 16384; at += 2048)
    thread_copy<16>(shared_at<u8>(at).address(), p.in + at, true);  // @piece
  mbarrier_arrive_after_copies(mbarrier_at(kBarrier));
}
static void copy_operands(const Params &p) {
  start_barrier(128);
  copy_operand_pieces(p);
}

static void finish(const Params &p, frag<32> &d) {
  wgmma_commit();
  wgmma_wait<0>(d);
  global_store(reinterpret_cast<float *>(p.out) + thread_index(), d[0]);
}

KERNEL(faults, 128) {
  const u32 t = thread_index();
  const mbarrier b = mbarrier_at(kBarrier);
  const smem<u32> s = shared_at<u32>(0);
  u32 *out = reinterpret_cast<u32 *>(p.out);
  switch (p.which) {
    case 0: {
      s.store(static_cast<i32>(t), t);
      block_sync();
      if (t == 5) global_store(out, shared_at<u64>(504).load(1));  // @uninitialised
      break;
    }
    case 1: {
      if (t == 33) global_store(out, s.load(49152 / 4));  // @load_bounds
      break;
    }
    case 2: {
      if (t == 33) shared_at<u32>(2).store(0, 1);  // @misaligned
      break;
    }
    case 3: {
      start_barrier(1);
      if (t == 0) {
        mbarrier_arrive_expect(b, 512);
        bulk_copy(s.address(), p.in, 512, b);  // @copy_issued
      }
      block_sync();
      if (t == 40) global_store(out, s.load(7));  // @read_in_flight
      block_sync();
      mbarrier_wait(b, 0);
      break;
    }
    case 4: {
      start_barrier(1);
      if (t == 0) {
        mbarrier_arrive_expect(b, 512);
        bulk_copy(s.address(), p.in, 512, b);  // @copy_issued_2
        s.store(3, 1);  // @write_in_flight
      }
      mbarrier_wait(b, 0);
      break;
    }
    case 5: {
      start_barrier(1);
      if (t == 0) {
        mbarrier_arrive_expect(b, 1024);
        bulk_copy(s.address(), p.in, 512, b);  // @copy_issued_3
        bulk_copy(shared_at<u8>(256).address(), p.in, 512, b);  // @copy_over_copy
      }
      mbarrier_wait(b, 0);
      break;
    }
    case 6: {
      frag<32> d;
      load_operands(p);
      wgmma_fence();
      wgmma_e4m3<64, false>(d, operand(0), operand(8192));  // @wgmma_reads
      wgmma_commit();
      if (t == 70) shared_at<u32>(8192 + 128 + 16).store(0, 1);  // @store_over_operand
      wgmma_wait<0>(d);
      break;
    }
    case 7: {
      frag<32> d;
      load_operands(p);
      wgmma_fence();
      wgmma_e4m3<64, false>(d, operand(0), operand(8192));  // @wgmma_reads_2
      wgmma_commit();
      block_sync();
      if (t == 0) {
        mbarrier_arrive_expect(b, 1024);
        bulk_copy(shared_at<u8>(1024).address(), p.in, 1024, b);  // @copy_over_operand
      }
      wgmma_wait<0>(d);
      mbarrier_wait(b, 1);
      break;
    }
    case 8: {
      s.store(static_cast<i32>(t), t);
      fence_async_proxy();
      block_sync();
      if (t == 64) {
        bulk_store(p.out, s.address(), 512);  // @store_reads
        bulk_store_commit();
      }
      block_sync();
      if (t == 3) s.store(9, 1);  // @overwrite_store
      block_sync();
      if (t == 64) bulk_store_wait<0>();
      break;
    }
    case 9: {
      frag<32> d;
      load_operands(p);
      for (int i = 0; i < 32; i++) d[i] = 0;
      shared_at<u32>(8192).store(static_cast<i32>(t), 0);  // @unfenced_store
      if (t != 77) fence_async_proxy();
      block_sync();
      wgmma_fence();
      for (u32 k = 0; k < 4; k++)
        wgmma_e4m3<64, true>(d, operand(32 * k), operand(8192 + 32 * k));  // @unfenced
      finish(p, d);
      break;
    }
    case 10: {
      s.store(static_cast<i32>(t), t);
      block_sync();
      fence_async_proxy();  // too late for the others: they have not fenced when thread 0 goes on
      if (t == 0) {
        bulk_store(p.out, s.address(), 512);  // @unfenced_bulk
        bulk_store_commit();
        bulk_store_wait<0>();
      }
      break;
    }
    case 11: {
      frag<32> d;
      start_barrier(1);
      if (t == 0) {
        mbarrier_arrive_expect(b, 16384);
        bulk_copy(s.address(), p.in, 16384, b);  // @copy_issued_4
      }
      block_sync();
      wgmma_fence();
      wgmma_e4m3<64, false>(d, operand(0), operand(8192));  // @operand_in_flight
      finish(p, d);
      mbarrier_wait(b, 0);
      break;
    }
    case 12: {
      frag<32> d;
      wgmma_fence();
      wgmma_e4m3<64, false>(d, operand(0), operand(8192));  // @operand_uninitialised
      finish(p, d);
      break;
    }
    case 13: {
      if (t == 9) global_store(out, global_load(reinterpret_cast<const u32 *>(p.in) + 16384));  // @global_bounds
      break;
    }
    case 14: {
      if (t == 9) global_store(reinterpret_cast<u64 *>(p.out + 4), 1);  // @global_misaligned
      break;
    }
    case 15: {
      if (t == 9) global_store(reinterpret_cast<u32 *>(const_cast<u8 *>(p.in)), 1);  // @read_only
      break;
    }
    case 16: {
      start_barrier(1);
      if (t == 0) bulk_copy(s.address(), p.in, 24, b);  // @copy_size
      break;
    }
    case 17: {
      start_barrier(1);
      if (t == 0) bulk_copy(s.address() + 8, p.in, 32, b);  // @copy_alignment
      break;
    }
    case 18: {
      start_barrier(1);
      if (t == 0) bulk_copy(shared_at<u8>(49152 - 16).address(), p.in, 32, b);  // @copy_bounds
      break;
    }
    case 19: {
      start_barrier(1);
      if (t == 0) bulk_copy(s.address(), p.in + 65536 - 16, 32, b);  // @copy_global_bounds
      break;
    }
    case 20: {
      if (t == 0) {
        mbarrier_init(b, 1);  // @init
        mbarrier_arrive_expect(b, 32);
        bulk_copy(s.address(), p.in, 32, b);  // @copy_init_unfenced
      }
      block_sync();
      mbarrier_wait(b, 0);
      break;
    }
    case 21: {
      start_barrier(1);
      if (t == 0) {
        mbarrier_arrive_expect(b, 32);
        bulk_copy(s.address(), p.in, 32, b);  // @copy_unfinished
      }
      break;
    }
    case 22: {
      if (t == 0) {
        s.store(0, 1);
        for (i32 i = 1; i < 4; i++) s.store(i, 1);
        fence_async_proxy();
        bulk_store(p.out, s.address(), 16);  // @store_unfinished
        bulk_store_commit();
      }
      break;
    }
    case 23: {
      start_barrier(1);
      if (t == 4) s.as<u64>().store(kBarrier / 8, 0);  // @barrier_overwritten
      break;
    }
    case 24: {
      if (t == 0) shared_at<u32>(49153);  // @offset_bounds
      break;
    }
    case 25: {
      if (t == 31) bulk_prefetch(p.in + 8, 64);  // @prefetch
      break;
    }
    case 26: {
      if (t == 2) bulk_store(p.out + 65536 - 16, s.address(), 32);  // @bulk_store_bounds
      break;
    }
    case 27: {
      u32 r[4];
      const u32 row = shared_at<u8>(lane_index() == 6 ? 8 : lane_index() * 16).address();
      if (warp_index() == 1) ldmatrix_x4(r, row);  // @ldmatrix_alignment
      break;
    }
    case 28: {
      // One stage: warp 1 gives it back before it has read it, and thread 0 fills it again.
      const mbarrier empty = mbarrier_at(kBarrier + 8);
      if (t == 0) mbarrier_init(empty, 1);
      start_barrier(1);
      u32 sum = 0;
      for (u32 i = 0; i < 4; i++) {
        if (t == 0) {
          mbarrier_wait(empty, (i & 1) ^ 1);
          mbarrier_arrive_expect(b, 512);
          bulk_copy(s.address(), p.in, 512, b);  // @refill
        }
        if (warp_index() != 1) continue;
        mbarrier_wait(b, i & 1);
        warp_sync();
        if (lane_index() == 0) mbarrier_arrive(empty);
        warp_sync();
        sum += s.load(static_cast<i32>(lane_index()));  // @released_early
      }
      global_store(out + t, sum);
      break;
    }
    case 29: {
      start_barrier(1);
      if (t == 90) s.store(20, 1);  // @store_before_copy
      block_sync();
      if (t == 0) {
        mbarrier_arrive_expect(b, 512);
        bulk_copy(s.address(), p.in, 512, b);  // @copy_over_store
      }
      mbarrier_wait(b, 0);
      break;
    }
    case 30: {
      start_barrier(1);
      if (t == 0) {
        thread_copy<4>(shared_at<u8>(28).address(), p.in, true);  // @thread_copy
        mbarrier_arrive_after_copies(b);
      }
      block_sync();
      if (t == 40) global_store(out, s.load(7));  // @read_thread_copy
      block_sync();
      mbarrier_wait(b, 0);
      break;
    }
    case 31: {
      frag<32> d;
      copy_operands(p);
      mbarrier_wait(b, 0);
      wgmma_fence();
      wgmma_e4m3<64, false>(d, operand(0), operand(8192));  // @copied_unfenced
      finish(p, d);
      break;
    }
    case 32: {
      frag<32> d;
      copy_operands(p);
      fence_async_proxy();  // before the wait: of no use
      mbarrier_wait(b, 0);
      wgmma_fence();
      wgmma_e4m3<64, false>(d, operand(0), operand(8192));  // @copied_fenced_early
      finish(p, d);
      break;
    }
    case 33: {
      frag<32> d;
      load_operands(p);
      wgmma_fence();
      wgmma_e4m3<64, false>(d, operand(0), operand(8192));  // @wgmma_reads_3
      wgmma_commit();
      block_sync();
      if (t == 6) {
        thread_copy<16>(shared_at<u8>(1024).address(), p.in, true);  // @thread_copy_over_operand
        mbarrier_arrive_after_copies(b);
      }
      wgmma_wait<0>(d);
      mbarrier_wait(b, 1);
      break;
    }
    case 34: {
      if (t == 7) thread_copy<16>(s.address(), p.in, false);  // @never_told
      break;
    }
    case 35: {
      start_barrier(1);
      if (t == 9) {
        thread_copy<16>(s.address(), p.in, true);
        mbarrier_arrive_after_copies(b);  // @never_waited
      }
      break;
    }
    case 36: {
      if (t == 1) thread_copy<16>(s.address(), p.in + 8, true);  // @thread_copy_alignment
      break;
    }
    case 37: {
      if (t == 1) thread_copy<4>(s.address(), p.in + 65536, true);  // @thread_copy_bounds
      break;
    }
    case 39: {
      if (t == 1) {
        thread_copy<8>(s.address(), p.in, true);
        mbarrier_arrive_after_copies(b);  // @told_no_barrier
      }
      break;
    }
    case 40: {
      start_barrier(1);
      if (t == 1) {
        thread_copy<16>(s.address(), p.in, true);  // @copied_first
        mbarrier_arrive_after_copies(b);
        thread_copy<4>(s.address() + 8, p.in, true);  // @copied_over
        mbarrier_arrive_after_copies(b);
      }
      block_sync();
      mbarrier_wait(b, 0);
      mbarrier_wait(b, 1);
      break;
    }
    case 41: {
      start_barrier(1);
      if (t == 1) thread_copy<8>(shared_at<u8>(kBarrier).address(), p.in, true);  // @thread_copy_barrier
      break;
    }
    case 38: {
      // A fence by a thread that has not waited.
      frag<32> d;
      const mbarrier ready = mbarrier_at(kBarrier + 8);
      if (t == 0) mbarrier_init(ready, 1);
      copy_operands(p);
      if (t == 127) mbarrier_wait(b, 0);
      warp_sync();
      if (t == 126) fence_async_proxy();
      warp_sync();
      if (t == 127) mbarrier_arrive(ready);
      mbarrier_wait(ready, 0);
      wgmma_fence();
      wgmma_e4m3<64, false>(d, operand(0), operand(8192));  // @fenced_by_another
      finish(p, d);
      break;
    }
    case 42: {
      // A second warpgroup waits and fences, of which the readers learn nothing.
      frag<32> d;
      start_barrier(128);
      if (t < 128) copy_operand_pieces(p);
      mbarrier_wait(b, 0);
      if (t >= 128) {
        fence_async_proxy();
        break;
      }
      wgmma_fence();
      wgmma_e4m3<64, false>(d, operand(0), operand(8192));  // @fenced_elsewhere
      finish(p, d);
      break;
    }
  }
}
