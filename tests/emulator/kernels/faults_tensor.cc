// Mistakes with the tensor cores, one a case. A tag marks the line of the report. A is at 0, B at 8192.
struct Params {
  u32 which, count;
  const u8 *in;
  u8 *out;
};

constexpr u32 kBarrier = 40960;

static u64 operand(u32 offset) { return wgmma_descriptor(shared_at<u8>(offset).address(), 1024); }

static void unfinished() {
  frag<32> d;
  wgmma_fence();
  wgmma_e4m3<64, false>(d, operand(0), operand(8192));  // @dies
  wgmma_commit();
}

KERNEL(faults, 256) {
  const u32 t = thread_index();
  const mbarrier b = mbarrier_at(kBarrier);
  if (t == 0) {
    mbarrier_init(b, 1);
    mbarrier_init_fence();
    mbarrier_arrive_expect(b, 16384);
    bulk_copy(shared_at<u8>(0).address(), p.in, 16384, b);
  }
  block_sync();
  mbarrier_wait(b, 0);
  if (warpgroup_index() == 1 && p.which != 15) return;
  const u64 x = operand(0), y = operand(8192);
  frag<32> d;
  a_frag a = {{0, 0, 0, 0}};
  float sum = 0;
  switch (p.which) {
    case 0: {
      wgmma_fence();
      wgmma_e4m3<64, false>(d, x, y);  // @issued
      wgmma_commit();
      if (t == 17) sum = d[3];  // @reads_early
      wgmma_wait<0>(d);
      break;
    }
    case 1: {
      wgmma_fence();
      wgmma_e4m3<64, false>(d, x, y);  // @issued_1
      wgmma_wait<0>(d);
      if (t == 17) sum = d[3];  // @not_committed
      wgmma_commit();
      wgmma_wait<0>(d);
      break;
    }
    case 2: {
      frag<32> e;
      wgmma_fence();
      wgmma_e4m3<64, false>(d, x, y);
      wgmma_commit();
      wgmma_e4m3<64, false>(e, x, y);  // @issued_2
      wgmma_commit();
      wgmma_wait<1>(d);
      sum = d[0];
      if (t == 99) e[31] = 1.f;  // @other_group
      wgmma_wait<0>(e);
      break;
    }
    case 3: {
      wgmma_fence();
      wgmma_e4m3<64, false>(d, a, y);  // @changed
      wgmma_commit();
      if (t == 60) a.r[2] = t;
      wgmma_wait<0>(d);
      sum = float_of(a.r[2]);
      break;
    }
    case 4: {
      for (int i = 0; i < 32; i++) d[i] = 0;
      wgmma_e4m3<64, true>(d, x, y);  // @no_fence
      wgmma_commit();
      wgmma_wait<0>(d);
      break;
    }
    case 5: {
      wgmma_fence();
      wgmma_e4m3<64, false>(d, x, y);
      wgmma_bf16<64, true>(d, x, y);  // @other_type
      wgmma_commit();
      wgmma_wait<0>(d);
      break;
    }
    case 6: {
      wgmma_fence();
      wgmma_e4m3<64, false>(d, operand(128), y);  // @start_row
      break;
    }
    case 7: {
      wgmma_fence();
      wgmma_e4m3<64, false>(d, operand(43008), y);  // @operand_bounds
      break;
    }
    case 8: {
      wgmma_fence();
      wgmma_e4m3<64, false>(d, descriptor_advance(x, 112), y);  // @past_row
      break;
    }
    case 9: {
      wgmma_fence();
      wgmma_e4m3<64, false>(d, x, t < 64 ? y : x);  // @not_uniform
      wgmma_commit();
      wgmma_wait<0>(d);
      break;
    }
    case 10: {
      wgmma_fence();
      wgmma_e4m3<64, false>(d, x & ~(3ull << 62), y);  // @no_swizzle
      break;
    }
    case 11: unfinished(); break;
    case 12: {
      for (int i = 0; i <= 32; i++) d[i] = 0;  // @element
      break;
    }
    case 13: {
      wgmma_fence();
      if (t < 96) wgmma_e4m3<64, false>(d, x, y);
      wgmma_commit();  // @part_of_group
      wgmma_wait<0>(d);
      break;
    }
    case 14: {
      wgmma_fence();
      wgmma_e4m3<64, false>(d, x, y);
      wgmma_commit();
      if (t != 31) wgmma_wait<0>(d);  // @part_waits
      else block_sync();
      break;
    }
    case 15: {
      wgmma_fence();
      if (warpgroup_index() == 0) {
        if (t < 64)
          wgmma_e4m3<64, false>(d, x, y);  // @first_place
        else
          wgmma_e4m3<64, false>(d, x, y);  // @second_place
      }
      wgmma_commit();
      wgmma_wait<0>(d);
      break;
    }
    case 16: wgmma_descriptor(shared_at<u8>(8).address(), 1024); break;  // @descriptor_alignment
    case 17: wgmma_descriptor(shared_at<u8>(0).address(), 512); break;   // @descriptor_stride
    case 18: descriptor_advance(x, 8); break;                            // @advance
    case 19: {
      wgmma_fence();
      wgmma_e4m3<64, false>(d, x, y);
      wgmma_commit();
      wgmma_wait<0>(d);
      frag<32> e = d;
      wgmma_e4m3<64, true>(d, x, y);  // @read_without_fence
      wgmma_commit();
      wgmma_wait<0>(d);
      sum = e[0];
      break;
    }
    case 20: {
      wgmma_fence();
      wgmma_e4m3<64, true>(d, x, y);  // @empty_accumulators
      wgmma_commit();
      wgmma_wait<0>(d);
      break;
    }
    case 21: {
      wgmma_fence();
      wgmma_e4m3<64, false>(d, descriptor_advance(descriptor_narrow(x), 48), y);  // @past_narrow_row
      break;
    }
    case 22: {
      wgmma_fence();
      wgmma_e4m3<64, false>(d, descriptor_advance(descriptor_narrow(x), 128), y);  // @narrow_start_row
      break;
    }
    case 23: {
      wgmma_fence();
      wgmma_bf16_columns<64, false>(d, x, y);  // @not_by_columns
      break;
    }
    case 24: {
      wgmma_fence();
      wgmma_bf16_columns<64, false>(d, x, descriptor_advance(wgmma_descriptor_columns(shared_at<u8>(0).address(), 8192), 128));  // @columns_start
      break;
    }
    case 25: {
      frag<64> wide;
      wgmma_fence();
      wgmma_bf16_columns<128, false>(wide, x, wgmma_descriptor_columns(shared_at<u8>(0).address(), 64512));  // @columns_bounds
      break;
    }
    case 26: wgmma_descriptor_columns(shared_at<u8>(0).address(), 512); break;  // @columns_stride
  }
  global_store(reinterpret_cast<float *>(p.out) + t, sum);
}
