-- Memory to memory by bulk copies through shared memory.
return {
  family = "ceiling_copy",
  entry = "snapmla_ceiling_copy",
  about = "copies memory by bulk copies through shared memory",
  axes = {
    { name = "stages", values = { 2, 4, 6 }, default = 4, about = "pieces in flight per block" },
    { name = "chunk", values = { 8192, 16384, 32768 }, default = 32768, about = "bytes of a piece" },
  },
  rules = {},
  derived = function(v) return { threads = 32, smem_bytes = v.stages * (v.chunk + 8) } end,
}
