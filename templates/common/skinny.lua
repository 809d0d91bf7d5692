-- What the skinny products share: weights are the M side, tokens the N side. Weights stream once a column tile, those
-- of kv_b (query_absorb, value_project) so twice where a step has 65 to 128 tokens.

local max_smem = use("common/hopper.lua").max_smem

-- As many columns as a step has tokens, more than 64 in several column tiles.
local function columns_for(settings)
  for _, n in ipairs { 8, 16, 32 } do
    if (settings.step_tokens or 64) <= n then return n end
  end
  return 64
end

-- The quantities that templates see. `a_bytes`: of a stage's weights; `chunk`: numbers of the reduction that a stage
-- holds; `m`: rows of a block, in `groups` warpgroups of `tiles` tiles of 64. With `made`, of how many numbers a token
-- is, the kernel makes the tokens' tile itself: warps that share a row leave up to 16 sums of 128 numbers of it in
-- `side_bytes`.
local function quantities(columns, stages, a_bytes, chunk, groups, tiles, made)
  local m = groups * tiles * 64
  local b_bytes = columns * chunk * 2
  local staged_row = m * 2 + 16 -- rows of neighbouring tokens in different banks
  local stage_bytes = a_bytes + (made and 0 or b_bytes)
  local tile_bytes = made and columns * made * 2 or 0
  local side_bytes = made and 2 * (groups + 1) * 16 * 512 or 0
  local smem_bytes = stages * stage_bytes + columns * staged_row + 2 * stages * 8
  if made then smem_bytes = smem_bytes + tile_bytes + side_bytes + 8 * columns + 8 end
  return {
    chunk = chunk,
    groups = groups,
    tiles = tiles,
    m = m,
    a_bytes = a_bytes,
    b_bytes = b_bytes,
    stage_bytes = stage_bytes,
    tile_bytes = tile_bytes,
    side_bytes = side_bytes,
    staged_row = staged_row,
    threads = 128 * (groups + 1),
    smem_bytes = smem_bytes,
  }
end

local ring_fits = {
  name = "ring_fits",
  reason = function(_, d)
    return ("the ring and the sums need %d bytes of shared memory and a block has %d: take fewer stages or columns")
      :format(d.smem_bytes, max_smem)
  end,
  legal = function(_, d) return d.smem_bytes <= max_smem end,
}

return { columns = { 8, 16, 32, 64 }, columns_for = columns_for, quantities = quantities, ring_fits = ring_fits }
