-- The attended latent up to the head's value: out . W_UV for each head.
local axes = use("common/axes.lua")
local merge = use("common/merge.lua")
local skinny = use("common/skinny.lua")

local function groups_for(s) return ((s.heads or 128) < 64 or (s.v or 128) % 128 ~= 0) and 1 or 2 end

return {
  family = "value_project",
  entry = "snapmla_value_project",
  about = "multiplies attended latents by W_UV",
  axes = {
    axes.latent,
    { name = "v", values = { 64, 128, 192, 256 }, default = 128, about = "channels of a head's value" },
    axes.weights("W_UV"),
    { name = "combine", values = { "separate", "fused" }, default = "separate",
      about = "who merges the pieces of a request that was cut: mla_combine before it, or it itself" },
    { name = "columns", values = skinny.columns, default = skinny.columns_for,
      about = "tokens a block multiplies together" },
    { name = "groups", values = { 1, 2 }, default = groups_for,
      about = "warpgroups of 64 value channels each in a block" },
    { name = "stages", values = { 2, 3, 4, 5, 6 }, default = 4,
      about = "chunks of the latent in the shared-memory ring" },
    { name = "partial", values = { "bf16", "f32" }, default = "bf16", searched = false, quiet = true,
      about = "with combine=fused, type of the partial results: the decode kernel's" },
    axes.sinks,
  },
  rules = {
    { name = "groups_divide_values",
      reason = "a block has 64 value channels a warpgroup, which must divide the head's: take groups=1",
      legal = function(v) return v.v % (64 * v.groups) == 0 end },
    skinny.ring_fits,
  },
  derived = function(v)
    local chunk = v.weights == "fp8" and 128 or 64 -- 128 bytes of weights
    local fused = v.combine == "fused"
    local d = skinny.quantities(v.columns, v.stages, 64 * v.groups * 128, chunk, v.groups, 1, fused and v.latent or nil)
    d.groups = nil -- the axis
    d.merges = fused and 1 or 0
    d.row_lanes = merge.row_lanes(v.latent, v.partial)
    return d
  end,
}
