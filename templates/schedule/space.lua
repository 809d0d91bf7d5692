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
    local max_requests = 4096 -- the largest max_batch of a problem
    local max_units = 1024     -- no GPU has more multiprocessors
    local busy_at = 128        -- behind the sums of up to 32 warps
    local first_tiles_at = 132
    local cuts_at = first_tiles_at + 4 * (max_requests + 1)
    return {
      threads = v.block,
      rows = v.block,
      tile_tokens = 64,
      warps = warps,
      max_requests = max_requests,
      max_units = max_units,
      busy_at = busy_at,
      first_tiles_at = first_tiles_at,
      cuts_at = cuts_at,
      smem_bytes = cuts_at + 4 * (max_units + 1),
    }
  end,
}
