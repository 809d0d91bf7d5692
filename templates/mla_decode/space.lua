-- Decoding over the latent cache, in two shapes: up to 32 query rows a block by independent streams, 64 by roles.

local axes = use("common/axes.lua")
local formats = use("formats/formats.lua")

local max_smem = use("common/hopper.lua").max_smem
local merge = use("common/merge.lua")
local tile_cycles = use("mla_decode/tile_cycles.lua")

-- What an accuracy level is made of (docs/accuracy.md): the values of its axes. By the level alone where content is
-- multiplied in e4m3, else by what it is multiplied as (formats.products).
local levels = {
  fast = { query_terms = 1, p_terms = 1, score_parts = 2, promotion = "tile", sums = "rounded" },
  balanced = { query_terms = 1, p_terms = 2, score_parts = 2, promotion = "tile", sums = "rounded" },
  max = { query_terms = 2, p_terms = 2, score_parts = 4, promotion = "tile", sums = "rounded" },
  -- Numbers of bf16 have one term, and their sums keep 25 bits.
  bf16 = { query_terms = 1, p_terms = 1, score_parts = 2, promotion = "none", sums = "rounded" },
  -- Values are multiplied in bf16; scores are summed in a part for each group of channels.
  widened = { query_terms = 1, p_terms = 1, score_parts = 4, promotion = "none", sums = "rounded" },
  -- In f16, and the query in two terms.
  ["widened max"] = { query_terms = 2, p_terms = 1, score_parts = 4, promotion = "none", sums = "rounded" },
}

-- Scores that a format must form in four parts (formats.in_four_parts) have them at the other levels too.
for _, accuracy in ipairs { "fast", "balanced" } do
  local level = {}
  for name, value in sorted_pairs(levels[accuracy]) do level[name] = value end
  level.score_parts = 4
  levels[accuracy .. " in four"] = level
end

-- The level of settings or of a variant: what is known of format, accuracy and RoPE together, or of fewer of them.
local function level_of(s)
  local format, accuracy = s.format or formats.default, s.accuracy or "fast"
  local products = formats.products(format)
  return levels[products .. " " .. accuracy] or levels[products]
    or formats.in_four_parts(format, s.rope or 64) and levels[accuracy .. " in four"] or levels[accuracy]
end

-- Its axis `name`, which the tuner leaves alone.
local function level_axis(name, values, about)
  return { name = name, values = values, searched = false, about = about,
    default = function(settings) return level_of(settings)[name] end }
end

-- Another value does not keep the level's limits, or costs more than the level needs.
local function level_rule(name)
  return {
    name = "level_" .. name,
    reason = function(v)
      return ("level %s of format %s is made with %s=%s: take that, or limits=waived to measure what another "
        .. "costs and buys"):format(v.accuracy, v.format, name, level_of(v)[name])
    end,
    legal = function(v) return v.limits == "waived" or v[name] == level_of(v)[name] end,
  }
end

-- Whether P and values are f16: asked for, or what the level takes. One number of f16 holds more than two terms of
-- e4m3, and 64 rows, which wait for the sums of e4m3 to be promoted, take less with it; fewer rows do not wait.
local function is_f16(v, d)
  return v.values == "f16" or d.scaling == "group" and v.accuracy == "max"
    or v.rows == 64 and v.p_terms == 2 and d.value_type == "e4m3" and d.residual_bytes == 0
end

-- The most rows of a block of a format: residuals are for streams alone, and two terms of the query leave 32 rows no
-- registers (without RoPE, whose products hide their latency, 16 have none either); f16 under scales of groups is for
-- streams.
local function most_rows(settings)
  local rope = settings.rope or 64
  local d = formats.quantities(settings.format or formats.default, settings.latent or 512, rope)
  if d.residual_bytes > 0 then return settings.accuracy == "max" and (rope > 0 and 16 or 8) or 32 end
  return d.scaling == "group" and is_f16(settings, d) and 32 or 64
end

-- Rounding partial results costs the level's error little and halves what is written and read to merge them.
local function partial_for(settings) return (settings.accuracy or "fast") == "fast" and "bf16" or "f32" end

-- Shared memory beyond the ring, the query and the barriers.
local function roles_memory(v, d)
  return d.p_buffers * d.p_bytes              -- probabilities
    + d.p_buffers * 256                       -- rescale factors
    + (d.summed and 2 or 1) * 2 * 256         -- row sums, or their inverses
    + (d.weights_by_tile and v.stages * (d.weight_bytes + 16) or d.weight_bytes) -- inverse scales as an operand, units
    + d.p_buffers * 4                         -- changed flags
    + (d.p_buffers + (v.tokens == "paged" and v.stages or 0)) % 2 * 4 -- barriers are 8-byte aligned
    + (v.sinks == "on" and 256 or 0) + d.share_buffers * 256 -- sinks, and the tokens' shares
end

local function streams_memory(v, d)
  return v.rows * 128 * d.value_bytes * v.p_terms -- probabilities
    + 2 * 4 * v.rows * 4  -- largest scores
    + 2 * 2 * 4 * v.rows * 8 -- row sums
    + 2 * 2 * v.rows * 4  -- references
    + (v.sinks == "on" and v.rows or 0) * 4
end

local shapes = {
  roles = { name = "roles", threads = 512, memory = roles_memory },
  streams = { name = "streams", threads = 384, memory = streams_memory },
}

local function shape_of(v) return v.rows == 64 and shapes.roles or shapes.streams end

local function derive(v)
  local d = formats.quantities(v.format, v.latent, v.rope)
  if is_f16(v, d) then d.value_type = "f16" end
  d.has_units = d.value_type == "f16" and d.scaling == "group" -- a token's scales have a unit: a factor of P
  local subtile_bytes = 64 * 128
  local residual_tile_bytes = 64 * d.residual_bytes -- as stored, half a byte a channel
  local rope_tile_bytes = d.rope_subtiles * 64 * d.rope_row
  local copied_bytes = d.subtiles * subtile_bytes + rope_tile_bytes + residual_tile_bytes
  local tile_bytes = copied_bytes + 2 * residual_tile_bytes
  local scale_bytes = 64 * 4 -- of a tile
  local raw_scale_bytes = scale_bytes * d.scales
  local shape = shape_of(v)
  local query_bytes = formats.query_subtiles(d, v.query_terms) * v.rows * 128
  local image_tokens = math.min(v.page, 64) -- tokens that lie together in a page
  local images_per_tile = 64 // image_tokens
  -- Two queries where they leave the ring and the widened residuals their room; the shape for 64 rows has one.
  local query_buffers = (shape == shapes.roles or query_bytes > (d.residual_bytes > 0 and 16384 or 32768)) and 1 or 2
  d.shape = shape.name
  d.threads = shape.threads
  d.tile_tokens = 64
  d.subtile_bytes = subtile_bytes
  d.rope_tile_bytes = rope_tile_bytes
  d.copied_bytes = copied_bytes -- content subtiles, RoPE and residuals
  d.tile_bytes = tile_bytes -- and behind them the residuals as e4m3 numbers
  d.image_tokens = image_tokens
  d.images_per_tile = images_per_tile
  d.image_bytes = (copied_bytes + raw_scale_bytes) // images_per_tile -- of which a tile is made: without padding
  d.raw_scale_bytes = raw_scale_bytes
  d.value_bytes = d.value_type == "e4m3" and 1 or 2 -- of a number of P and of the values
  d.two_terms = v.p_terms == 2 and d.value_type == "e4m3" -- of P
  d.p_bytes = 4096 * d.value_bytes -- of a tile of P with 64 rows
  -- Tiles of P on their way to the values' product, of the shape for 64 rows: bf16's are large, and so are its pages.
  d.p_buffers = shape == shapes.roles and (d.value_bytes == 2 and d.subtiles > 6 and 1 or 16384 // d.p_bytes) or 0
  -- Row sums by the tensor cores, which the tokens' inverse scales are an operand of: eight terms of 64 tokens.
  d.summed = shape == shapes.roles and d.value_type == "e4m3" and v.sums == "rounded"
  -- With 64 rows, score normalises where it has the sums: those of P before rounding, or both.
  d.normalises_rounded = shape == shapes.roles and d.value_type == "f16" and v.sums == "rounded"
  d.score_normalises = shape == shapes.roles and v.sums == "exact" or d.normalises_rounded
  d.weights_by_tile = d.summed and d.scaling == "token"
  d.weights_apart = d.weights_by_tile and v.tokens == "paged" -- by a warp of their own, which lists have not
  d.weight_bytes = d.summed and 512 or 0
  d.share_buffers = v.sinks == "on" and not d.score_normalises and (d.value_bytes == 1 and 2 or 1) * d.p_buffers or 0
  -- With 64 rows: a tile is scored under the softmax of the one before.
  d.overlaps = d.content_type == "e4m3" and v.pipeline == "on"
  d.one_by_one = v.pipeline == "off" and shape == shapes.streams -- two stages, of which one is in use
  d.query_buffers = query_buffers
  d.query_bytes = query_bytes
  d.partial_bytes = merge.partial_bytes(v.partial)
  d.tile_cycles = tile_cycles(v)
  d.smem_bytes = query_buffers * query_bytes
    + v.stages * tile_bytes                          -- ring of page images
    + v.stages * (raw_scale_bytes + 3 * scale_bytes) -- scales: as stored, usable, logarithm, inverse
    + (v.tokens == "paged" and v.stages or 0) * 4    -- bad-page flags
    + shape.memory(v, d)
    + (((d.weights_by_tile and 4 or 3) + (v.cluster > 1 and 1 or 0)) * v.stages -- barriers
      + 2 * query_buffers + 2 * d.p_buffers + (d.one_by_one and 1 or 0)) * 8
  return d
end

-- Whether the level's variant with so many rows and stages has room.
local function fits(settings, rows, stages)
  local accuracy, format = settings.accuracy or "fast", settings.format or formats.default
  local v = { rows = rows, latent = settings.latent or 512, rope = settings.rope or 64, page = settings.page or 64,
    format = format, accuracy = accuracy, tokens = settings.tokens or "paged", partial = partial_for(settings),
    pipeline = settings.pipeline or "on", sinks = settings.sinks or "off", values = settings.values or "level",
    stages = stages, cluster = settings.cluster or 1 }
  for name, value in sorted_pairs(level_of(settings)) do v[name] = value end
  return derive(v).smem_bytes <= max_smem
end

local function least_stages(settings, rows) return settings.pipeline == "off" and rows == 64 and 1 or 2 end

-- The fewest rows that hold all of a request, or of a list (a query token); more than a block has, or than the widest
-- tokens leave room for, are cut in groups.
local function rows_for(settings)
  local rows = (settings.heads or 64) * (settings.tokens == "indexed" and 1 or settings.q_len or 1)
  local most = most_rows(settings)
  while most > 8 and not fits(settings, most, least_stages(settings, most)) do most = most // 2 end
  for _, n in ipairs { 8, 16, 32 } do
    if rows <= n or n == most then return n end
  end
  return 64
end

-- The most stages that fit, four at most.
local function stages_for(settings)
  local rows = rows_for(settings)
  if settings.pipeline == "off" then return least_stages(settings, rows) end
  for stages = 4, 3, -1 do
    if (rows == 64 or stages % 2 == 0) and fits(settings, rows, stages) then return stages end
  end
  return 2
end

return {
  family = "mla_decode",
  entry = "snapmla_mla_decode",
  about = "attends a block's query rows to a run of KV pages",
  axes = {
    { name = "rows", values = { 8, 16, 32, 64 }, default = rows_for, about = "query rows a block decodes together" },
    axes.latent,
    axes.rope,
    axes.page,
    axes.format,
    { name = "accuracy", values = { "fast", "balanced", "max" }, default = "fast",
      about = "the level whose limits are kept; it decides the axes after it" },
    level_axis("query_terms", { 1, 2 }, "e4m3 numbers for a channel of the query: its high part, and what that leaves"),
    level_axis("p_terms", { 1, 2 },
      "e4m3 numbers for a probability: its high part, and what that leaves; of 64 rows, one number of f16 for both"),
    level_axis("score_parts", { 1, 2, 4 },
      "sums that a score is formed in by the tensor cores, before they are added in fp32"),
    level_axis("promotion", { "tile", "none" },
      "when the sums of values that the tensor cores form are added in fp32: after each tile, or never (as of f16)"),
    level_axis("sums", { "rounded", "exact" }, "what normalises a row: the sum of P as rounded, or before rounding"),
    { name = "limits", values = { "kept", "waived" }, default = "kept", searched = false,
      about = "waived: take any arithmetic, to measure what it costs and buys" },
    { name = "pipeline", values = { "on", "off" }, default = "on", searched = false,
      about = "off: one tile at a time is copied, then scored, then summed" },
    { name = "tokens", values = { "paged", "indexed" }, default = "paged",
      about = "which tokens a query sees: the pages of its request, or a list of slots of its own (sparse)" },
    { name = "partial", values = { "bf16", "f32" }, default = partial_for,
      about = "type of the partial results of a cut request" },
    { name = "stages", values = { 1, 2, 3, 4, 5, 6, 7, 8 }, default = stages_for,
      about = "tiles in the shared-memory ring" },
    axes.sinks,
    axes.cuts,
    { name = "cluster", values = { 1, 2 }, default = 1, quiet = true,
      about = "blocks that read their pages together, each a part for all of them: groups of rows, which it must "
        .. "divide" },
    { name = "values", values = { "level", "f16" }, default = "level", searched = false, quiet = true,
      about = "number type that P and values are multiplied as: the level's, or f16, which e4m3 is widened to" },
  },
  rules = {
    formats.rank_rule,
    formats.rope_rule,
    { name = "scores_by_group",
      reason = function(v)
        return ("scores of %s are summed by groups of channels: take score_parts=4, or convert to %s"):format(v.format,
          formats.default)
      end,
      legal = function(v, d) return d.scaling ~= "group" or v.score_parts == 4 end },
    { name = "level_values",
      reason = "f16 values are not what this level of this format is made with: take values=level, or limits=waived to "
        .. "measure them",
      legal = function(v) return v.values == "level" or v.limits == "waived" end },
    { name = "f16_of_e4m3",
      reason = "f16 holds what e4m3 does, not bf16 or residuals: take a format of e4m3 without residuals, or "
        .. "values=level",
      legal = function(_, d)
        return d.value_type ~= "f16" or d.content_type == "e4m3" and d.residual_bytes == 0
      end },
    { name = "f16_registers",
      reason = function(_, d)
        return d.scaling == "group"
            and "f16 values under scales of groups are widened by the streams of the shape for few rows: take rows=32 "
              .. "or fewer"
          or "f16 values leave 32 rows no registers for four parts of a score: take score_parts=2, or other rows"
      end,
      legal = function(v, d)
        return d.value_type ~= "f16" or v.rows < 32
          or d.scaling == "group" and v.rows == 32
          or d.scaling ~= "group" and (v.rows == 64 or v.score_parts < 4)
      end },
    { name = "residuals_in_streams",
      reason = function(v)
        return ("the residuals of %s are widened by the streams of the shape for few rows, and added in fp32: take "
          .. "rows=%d or fewer, with promotion=tile"):format(v.format, most_rows(v))
      end,
      legal = function(v, d) return d.residual_bytes == 0 or v.rows <= most_rows(v) and v.promotion == "tile" end },
    level_rule("query_terms"),
    level_rule("p_terms"),
    level_rule("score_parts"),
    level_rule("promotion"),
    level_rule("sums"),
    { name = "level_partial",
      reason = function(v)
        return ("partial results of bf16 cost more than level %s allows: take partial=f32, or limits=waived")
          :format(v.accuracy)
      end,
      legal = function(v) return v.accuracy == "fast" or v.partial == "f32" or v.limits == "waived" end },
    { name = "terms_of_e4m3",
      reason = "where values have 16 bits, the query and P have one term, and P is summed as rounded; scores of bf16, "
        .. "whose sums are exact enough, have two parts at most: "
        .. "take query_terms=1, p_terms=1, sums=rounded and score_parts=2",
      legal = function(v, d)
        local f16 = d.value_type == "f16"
        return d.value_bytes == 1 or f16 and v.rows == 64 or (v.query_terms == 1 or f16) and v.p_terms == 1
          and v.sums == "rounded" and (d.scaling == "group" or f16 or v.score_parts < 4)
      end },
    { name = "promotion_of_e4m3",
      reason = "sums of 16-bit products keep 25 bits and are not promoted: take promotion=none",
      legal = function(v, d)
        return d.value_bytes == 1 or v.promotion == "none" or v.rows == 64 and v.p_terms == 2
      end },
    { name = "pipeline_stages",
      reason = function(_, d)
        return ("pipeline=off is one tile at a time: take stages=%d"):format(d.shape == "roles" and 1 or 2)
      end,
      legal = function(v, d) return v.pipeline == "on" or v.stages == (d.shape == "roles" and 1 or 2) end },
    { name = "pages_one_by_one", reason = "pipeline=off is for pages: take pipeline=on, or tokens=paged",
      legal = function(v) return v.pipeline == "on" or v.tokens == "paged" end },
    { name = "a_tile_ahead",
      reason = "a tile is scored while another is summed: take two stages or more, or pipeline=off",
      legal = function(v) return v.stages > 1 or v.pipeline == "off" end },
    { name = "streams_own_stages",
      reason = "up to 32 rows, the two streams own the stages of even and odd number: take an even number of stages",
      legal = function(v) return v.rows == 64 or v.stages % 2 == 0 end },
    { name = "cluster_of_roles",
      reason = "blocks read pages together where each has 64 rows and tiles overlap: take rows=64, tokens=paged "
        .. "and pipeline=on, or cluster=1",
      legal = function(v) return v.cluster == 1 or v.rows == 64 and v.tokens == "paged" and v.pipeline == "on" end },
    { name = "ring_fits",
      reason = function(v, d)
        return ("%d stages of latent %d need %d bytes of shared memory and a block has %d: take fewer stages")
          :format(v.stages, v.latent, d.smem_bytes, max_smem)
      end,
      legal = function(_, d) return d.smem_bytes <= max_smem end },
  },
  derived = derive,
}
