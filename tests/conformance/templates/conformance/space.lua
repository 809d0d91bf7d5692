-- One kernel per primitive of the dialect: input bytes in, output bytes out, so that two devices can be compared bit by
-- bit.

-- Input and output bytes of a block of 128 threads, per primitive; n is wgmma's.
local function wgmma(v)
  -- operands of one k step: 64 and n rows of 128 bytes, then the accumulators
  return { input = (64 + v.n) * 128 + 64 * v.n * 4, output = 64 * v.n * 4, smem = 64 * 128 + math.max(v.n * 128, 2048) }
end
local function fixed(input, output, smem)
  return function() return { input = input, output = output, smem = smem } end
end
-- Six boxes of eight rows, of a block's input as rows of 256 bytes.
local function boxes(row)
  return function() return { input = 4096, output = 6 * 8 * row, smem = 8192, box_row = row } end
end

local primitives = {
  wgmma_e4m3_shared = wgmma,
  wgmma_e4m3_registers = wgmma,
  wgmma_bf16_shared = wgmma,
  wgmma_bf16_registers = wgmma,
  wgmma_bf16_narrow = wgmma,
  wgmma_bf16_columns = wgmma,
  wgmma_f16_shared = wgmma,
  wgmma_f16_registers = wgmma,
  ldmatrix = fixed(2048, 2048, 2048),
  ldmatrix_trans = fixed(2048, 2048, 2048),
  stmatrix = fixed(2048, 2048, 2048),
  stmatrix_trans = fixed(2048, 2048, 2048),
  pack_e4m3 = fixed(2048, 512, 0),
  unpack_e4m3 = fixed(512, 2048, 0),
  pack_bf16 = fixed(1024, 512, 0),
  unpack_bf16 = fixed(512, 1024, 0),
  pack_f16 = fixed(1024, 512, 0),
  unpack_f16 = fixed(512, 1024, 0),
  widen_e4m3 = fixed(512, 512, 0),
  byte_permute = fixed(1536, 512, 0),
  shuffle = fixed(512, 2048, 0),
  vote = fixed(512, 2048, 0),
  fma_rn = fixed(1536, 512, 0),
  divide = fixed(1024, 512, 0),
  minmax = fixed(1024, 1024, 0),
  bulk_copy = fixed(4096, 4096, 8192),
  bulk_store = fixed(4096, 4096, 4096),
  thread_copy = fixed(4096, 4096, 8192),
  tensor_copy = boxes(128),
  tensor_copy_narrow = boxes(64),
  tensor_copy_multicast = boxes(128),
  bulk_copy_multicast = fixed(2048, 4096, 8192),
  remote_arrival = fixed(4096, 4096, 8192),
  atomic_or = fixed(1024, 2048, 0),
  atomic_add = fixed(1024, 2048, 0),
  named_barrier = fixed(512, 512, 512),
  cluster_load = fixed(2048, 2048, 2048),
  exp2_approx = fixed(512, 512, 0),
  log2_approx = fixed(512, 512, 0),
  reciprocal_approx = fixed(512, 512, 0),
}
local names = {
  "wgmma_e4m3_shared", "wgmma_e4m3_registers", "wgmma_bf16_shared", "wgmma_bf16_registers", "wgmma_bf16_narrow",
  "wgmma_bf16_columns",
  "wgmma_f16_shared", "wgmma_f16_registers", "pack_f16", "unpack_f16", "widen_e4m3",
  "ldmatrix", "ldmatrix_trans",
  "stmatrix", "stmatrix_trans", "pack_e4m3", "unpack_e4m3", "pack_bf16", "unpack_bf16", "byte_permute", "shuffle",
  "vote", "fma_rn", "divide", "minmax", "bulk_copy", "bulk_store", "thread_copy", "tensor_copy", "tensor_copy_narrow",
  "tensor_copy_multicast", "bulk_copy_multicast", "remote_arrival", "atomic_or", "atomic_add", "named_barrier",
  "cluster_load", "exp2_approx", "log2_approx", "reciprocal_approx",
}
local clusters = {
  cluster_load = true, bulk_copy_multicast = true, tensor_copy_multicast = true, remote_arrival = true,
}

return {
  family = "conformance",
  entry = "snapmla_conformance",
  about = "runs one primitive of the device dialect on given bytes",
  axes = {
    { name = "primitive", values = names, default = "pack_e4m3", about = "the primitive" },
    { name = "n", values = { 8, 16, 32, 64, 128, 256 }, default = 64, about = "columns of a wgmma" },
  },
  rules = {},
  derived = function(v)
    local size = primitives[v.primitive](v)
    return { threads = 128, rows = 64, input_bytes = size.input, output_bytes = size.output, smem_bytes = size.smem,
      cluster = clusters[v.primitive] and 2 or 1, box_row = size.box_row or 0 }
  end,
}
