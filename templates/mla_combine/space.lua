-- Merging the splits of a request.
local axes = use("common/axes.lua")
local hopper = use("common/hopper.lua")
local merge = use("common/merge.lua")

return {
  family = "mla_combine",
  entry = "snapmla_mla_combine",
  about = "merges partial results by their log-sum-exp",
  axes = {
    axes.latent,
    axes.rows,
    { name = "partial", values = { "bf16", "f32" }, default = "bf16",
      about = "type of the partial results: the decode kernel's" },
    { name = "block", values = { 128, 256, 512 }, default = 256,
      about = "threads of a block; each merges what 16 bytes of a piece are" },
    axes.records,
    axes.sinks,
  },
  rules = {},
  derived = function(v)
    local max_pieces = 1024 -- a piece is a unit's, of which there are no more (schedule)
    local channels, row_lanes = merge.channels(v.partial), merge.row_lanes(v.latent, v.partial)
    -- Each thread's sum, each row's weights.
    local smem_bytes = v.block * channels * 4 + v.block // row_lanes * max_pieces * 4
    return {
      threads = v.block,
      threads_log2 = math.tointeger(math.log(v.block, 2)),
      partial_bytes = merge.partial_bytes(v.partial),
      channels = channels,
      lse_in_flight = 5, -- of a lane: 160 pieces a warp (half a warp: 80), more than multiprocessors
      row_lanes = row_lanes,
      block_elements = channels * v.block,
      -- Blocks a multiprocessor, which is what the runtime launches: with 64 registers a thread, or as many as there
      -- is shared memory for.
      resident = math.min(1024 // v.block,
        (hopper.max_smem + hopper.reserved_smem) // (smem_bytes + hopper.reserved_smem)),
      max_pieces = max_pieces,
      smem_bytes = smem_bytes,
    }
  end,
}
