-- Merging the results of shards of a cache.
local axes = use("common/axes.lua")

return {
  family = "shard_merge",
  entry = "snapmla_shard_merge",
  about = "merges the results of shards of a cache by their log-sum-exp",
  axes = {
    axes.latent,
    { name = "block", values = { 128, 256, 512 }, default = 128, about = "threads of a block: 32 merge 128 channels" },
  },
  rules = {},
  derived = function(v)
    return {
      threads = v.block,
      resident = 1024 // v.block, -- blocks a multiprocessor, at least: 64 registers a thread
      smem_bytes = 0,
    }
  end,
}
