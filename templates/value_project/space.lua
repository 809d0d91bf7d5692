-- The attended latent up to the head's value: out . W_UV for each head.
local axes = use("common/axes.lua")
local skinny = use("common/skinny.lua")

local function groups_for(s) return ((s.heads or 128) < 64 or (s.v or 128) % 128 ~= 0) and 1 or 2 end

-- Nanoseconds, measured on an H100 (docs/layer.md): what a merge by mla_combine takes, what a block's making of its
-- tile takes, and how many bytes of pieces it then weighs in one; and how many a multiprocessor reads of L2 in one
-- (autotune/machine.c). Beyond so many tokens the tile of all of the latent leaves a multiprocessor room for one
-- block, where rings leave more.
local merge_ns, tile_ns, weighed_per_ns, bytes_per_ns, most_tokens = 2900, 2200, 12, 48, 16

-- Pieces of all requests of a step, as the schedule (schedule/cuts.inc) cuts `records` of `tiles` tiles for `units` of
-- `rows` rows.
local function pieces_of(records, tiles, units, rows)
  local all = records * tiles
  local run = math.max((all - 1) // units + 1, 2, math.ceil(math.sqrt(all * rows / 1024)))
  local pieces = (tiles - 1) // run + 1
  return pieces > 1 and records * pieces or 0
end

-- Fused, a block reads all pieces of its head; mla_combine's blocks read those of all heads together, but are a kernel
-- more, whose rows are written and read again. Both in nanoseconds, less what they have in common.
local function combine_for(s)
  local tokens, heads, multiprocessors = s.step_tokens or 64, s.heads or 128, s.multiprocessors or 132
  if tokens > most_tokens then return "separate" end
  local latent, rows = s.latent or 512, s.rows or 64
  local record_tokens = s.tokens == "indexed" and 1 or s.q_len or 1
  local row_groups = (heads * record_tokens - 1) // rows + 1
  local pieces = pieces_of(math.max(1, tokens // record_tokens), ((s.request_tokens or 131072) - 1) // 64 + 1,
    math.max(1, multiprocessors // row_groups), row_groups * rows)
  local row = latent * (s.partial == "f32" and 4 or 2)
  local parts = (s.v or 128) // (64 * groups_for(s))
  local of_head = pieces * record_tokens * row
  local waves = (heads * parts - 1) // multiprocessors + 1
  local fused = tile_ns + of_head * waves / weighed_per_ns
  local read_again = 2 * tokens * heads * latent * 2
  local separate = merge_ns + (of_head * heads + read_again) / (bytes_per_ns * multiprocessors)
  return fused < separate and "fused" or "separate"
end

return {
  family = "value_project",
  entry = "snapmla_value_project",
  about = "multiplies attended latents by W_UV",
  axes = {
    axes.latent,
    { name = "v", values = { 64, 128, 192, 256 }, default = 128, about = "channels of a head's value" },
    axes.weights("W_UV"),
    { name = "combine", values = { "separate", "fused" }, default = combine_for,
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
    return d
  end,
}
