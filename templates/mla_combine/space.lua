-- Merging the splits of a request.
local axes = use("common/axes.lua")

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
      about = "threads of a block; each merges four channels" },
    axes.records,
    axes.sinks,
  },
  rules = {},
  derived = function(v)
    local max_pieces = 1024 -- a piece is a unit's, of which there are no more (schedule)
    return {
      threads = v.block,
      block_elements = 4 * v.block,
      resident = 1024 // v.block, -- blocks a multiprocessor, which is what the runtime launches
      max_pieces = max_pieces,
      smem_bytes = v.block * 16 + v.block // 32 * max_pieces * 4, -- each thread's sum, each warp's weights
    }
  end,
}
