-- Split metadata: one block cuts the tiles of a step into equal shares.
return {
  family = "schedule",
  entry = "snapmla_schedule",
  about = "cuts a step's tiles into one contiguous share per unit",
  axes = {
    { name = "threads", values = { 128, 256, 512, 1024 }, default = 256, about = "threads of the one block" },
  },
  rules = {},
  derived = function(v)
    return { tile_tokens = 64, warps = v.threads // 32, smem_bytes = 256 }
  end,
}
