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
    { name = "readers", values = { 1, 2, 4 }, default = 1,
      about = "neighbouring blocks that read the same pieces, each all of them for itself" },
  },
  rules = {
    { name = "one_way_to_share", reason = "pieces are shared by a cluster or by readers: leave one of the two at 1",
      legal = function(v) return v.cluster == 1 or v.readers == 1 end },
    { name = "ring_fits", reason = "the ring must fit a block's shared memory: take fewer stages or a smaller chunk",
      legal = function(_, d) return d.smem_bytes <= 232448 end },
  },
  derived = function(v)
    return { threads = 64, smem_bytes = v.stages * (v.chunk + 16) }
  end,
}
