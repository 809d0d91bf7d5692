-- Split metadata: one block cuts the tiles of a step into equal shares.
return {
  family = "schedule",
  entry = "snapmla_schedule",
  about = "cuts a step's tiles into one contiguous share per unit",
  axes = {
    { name = "block", values = { 128, 256, 512, 1024 }, default = 256,
      about = "threads of the one block; each takes a request a pass" },
  },
  rules = {},
  derived = function(v)
    local warps = v.block // 32
    return { threads = v.block, rows = v.block, tile_tokens = 64, warps = warps, smem_bytes = 4 * warps }
  end,
}
