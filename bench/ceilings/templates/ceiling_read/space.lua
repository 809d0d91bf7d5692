-- Memory to shared memory by bulk copies through a ring, and nothing else.
return {
  family = "ceiling_read",
  entry = "snapmla_ceiling_read",
  about = "reads memory by bulk copies",
  axes = {
    { name = "stages", values = { 1, 2, 3, 4, 5, 6, 7, 8 }, default = 4, about = "pieces in flight per block" },
    { name = "chunk", values = { 8192, 16384, 32768, 41216 }, default = 41216,
      about = "bytes of a piece, one copy; 41216 is a page image" },
    { name = "cluster", values = { 1, 2, 4 }, default = 1,
      about = "blocks that share every piece: each reads its part of it for all, by multicast" },
  },
  rules = {
    { name = "ring_fits", reason = "the ring must fit a block's shared memory: take fewer stages or a smaller chunk",
      legal = function(_, d) return d.smem_bytes <= 232448 end },
  },
  derived = function(v)
    return { threads = 64, smem_bytes = v.stages * (v.chunk + 16) }
  end,
}
