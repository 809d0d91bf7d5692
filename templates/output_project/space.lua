-- The heads' values up to the layer's output: values . W_O.
local axes = use("common/axes.lua")
local hopper = use("common/hopper.lua")
local skinny = use("common/skinny.lua")

-- Weights are read once whatever the tokens are: up to 128 of them are one column tile.
local function columns_for(s) return (s.step_tokens or 64) > 64 and 128 or skinny.columns_for(s) end

-- With many tokens the tokens are what blocks read most of: fewer, higher blocks read them fewer times.
local function groups_for(s) return columns_for(s) >= 32 and 2 or 1 end

local function chunk_of(weights) return weights == "fp8" and 128 or 64 end -- 128 bytes of weights

local stages_for = { [8] = 12, [16] = 12, [32] = 8, [64] = 6, [128] = 4 }
local function stages_of(s) return stages_for[columns_for(s)] end

local function quantities(columns, stages, groups, weights)
  return skinny.quantities(columns, stages, 64 * groups * 128, chunk_of(weights), groups, 1)
end

-- The fewest that leave no more than a quarter of the multiprocessors idle, a share having four chunks or more. Two,
-- where there are few tokens and all blocks fit at once: more of W_O is then on its way before the values are there.
local function split_for(s)
  local tiles = ((s.hidden or 7168) - 1) // (64 * groups_for(s)) + 1
  local chunks = ((s.values or 2048) - 1) // chunk_of(s.weights) + 1
  local multiprocessors = s.multiprocessors or 132
  local split = 1
  while split < 8 and chunks >= 8 * split and 4 * tiles * split < 3 * multiprocessors do
    split = 2 * split
  end
  local bytes = quantities(columns_for(s), stages_of(s), groups_for(s), s.weights).smem_bytes + hopper.reserved_smem
  local at_once = (hopper.max_smem + hopper.reserved_smem) // bytes * multiprocessors
  return split == 1 and columns_for(s) == 8 and chunks >= 8 and 2 * tiles <= at_once and 2 or split
end

return {
  family = "output_project",
  entry = "snapmla_output_project",
  about = "multiplies the values of all heads by W_O",
  axes = {
    axes.weights("W_O"),
    { name = "columns", values = { 8, 16, 32, 64, 128 }, default = columns_for,
      about = "tokens a block multiplies together" },
    { name = "groups", values = { 1, 2 }, default = groups_for,
      about = "warpgroups of 64 channels of the output each in a block" },
    { name = "split", values = { 1, 2, 4, 8 }, default = split_for,
      about = "blocks, a cluster, that share a tile's reduction" },
    { name = "stages", values = { 2, 3, 4, 6, 8, 12, 16 }, default = stages_of,
      about = "chunks of the reduction in the shared-memory ring" },
  },
  rules = { skinny.ring_fits },
  derived = function(v)
    local d = quantities(v.columns, v.stages, v.groups, v.weights)
    d.groups = nil -- the axis
    d.cluster = v.split
    return d
  end,
}
