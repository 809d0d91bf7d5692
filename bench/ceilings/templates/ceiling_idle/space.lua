-- What a launch costs by itself.
return {
  family = "ceiling_idle",
  entry = "snapmla_ceiling_idle",
  about = "counts its launches",
  axes = { { name = "threads", values = { 32, 512 }, default = 512, about = "threads of a block" } },
  rules = {},
  derived = function() return { smem_bytes = 0 } end,
}
