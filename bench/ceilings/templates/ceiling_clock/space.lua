-- The clock of the multiprocessors.
return {
  family = "ceiling_clock",
  entry = "snapmla_ceiling_clock",
  about = "counts a multiprocessor's cycles between two ticks of the GPU's timer",
  axes = { { name = "threads", values = { 32 }, default = 32, about = "threads of a block, of which one counts" } },
  rules = {},
  derived = function() return { smem_bytes = 0 } end,
}
