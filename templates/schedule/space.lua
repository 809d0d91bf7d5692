local axes = use("common/axes.lua")

-- Split metadata: one block cuts the tiles of a step into equal shares.
return {
  family = "schedule",
  entry = "snapmla_schedule",
  about = "cuts a step's tiles into one contiguous share per unit",
  axes = {
    { name = "block", values = { 128, 256, 512, 1024 }, default = 256,
      about = "threads of the one block; each takes a request a pass" },
    axes.cuts,
    { name = "pieces", values = { 1, 2, 4, 8, 16, 32, 64, 128 }, default = 32, searched = false, quiet = true,
      about = "with cuts=fixed, the most pieces of a request" },
  },
  rules = {
    { name = "pieces_of_fixed_cuts", reason = "pieces are of cuts=fixed, a batch-invariant problem's: leave them at 32",
      legal = function(v) return v.cuts == "fixed" or v.pieces == 32 end },
  },
  derived = function(v)
    local warps = v.block // 32
    local max_requests = 4096 -- the largest max_batch of a problem
    local max_units = 1024     -- no GPU has more multiprocessors
    local busy_at = 128        -- behind the sums of up to 32 warps
    local first_tiles_at = 132
    local cuts_at = first_tiles_at + 4 * (max_requests + 1)
    local first_items_at = cuts_at + 4 * (max_units + 1)
    return {
      threads = v.block,
      rows = v.block,
      tile_tokens = 64,
      -- Of a request; 0: as the balance of all requests wants.
      most_pieces = v.cuts == "fixed" and v.pieces or 0,
      least_piece = v.cuts == "fixed" and 16 or 0, -- tiles
      warps = warps,
      max_requests = max_requests,
      max_units = max_units,
      busy_at = busy_at,
      first_tiles_at = first_tiles_at,
      cuts_at = cuts_at,
      first_items_at = first_items_at,
      smem_bytes = first_items_at + 4 * max_requests,
    }
  end,
}
