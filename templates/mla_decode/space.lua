-- Decoding over the latent cache, in two shapes: up to 32 query rows a block by independent streams, 64 by roles.

local max_smem = 232448 -- the most dynamic shared memory a block may have on Hopper

-- What an accuracy level is made of (docs/accuracy.md): the defaults of its axes, and the least that keeps its limits.
local levels = {
  fast = { query_terms = 1, p_terms = 1, score_parts = 2 },
  balanced = { query_terms = 1, p_terms = 2, score_parts = 2 },
  max = { query_terms = 2, p_terms = 2, score_parts = 4 },
}

local function level_of(settings) return levels[settings.accuracy or "fast"] or levels.fast end

-- An axis' default where the level decides it.
local function by_level(name)
  return function(settings) return level_of(settings)[name] end
end

-- The fewest rows that hold all of a request's; more than 64 are cut into groups of 64.
local function rows_for(settings)
  local rows = (settings.heads or 64) * (settings.q_len or 1)
  for _, n in ipairs { 8, 16, 32 } do
    if rows <= n then return n end
  end
  return 64
end

-- Rounding partial results costs the level's error little and halves what is written and read to merge them.
local function partial_for(settings) return (settings.accuracy or "fast") == "fast" and "bf16" or "f32" end

-- Shared memory beyond the ring, the query and the barriers.
local function roles_memory(v, d)
  return d.p_buffers * v.p_terms * 4096 -- probabilities
    + d.p_buffers * 256  -- rescale factors
    + 2 * 256            -- inverse row sums
    + d.p_buffers * 4    -- changed flags
    + (v.stages % 2) * 4 -- barriers are 8-byte aligned
end

local function streams_memory(v)
  return v.p_terms * v.rows * 128 -- probabilities
    + 2 * 4 * v.rows * 4  -- largest scores
    + 2 * 2 * 4 * v.rows * 8 -- row sums
    + 2 * 2 * v.rows * 4  -- references
end

-- `barriers`: beside the ring's 3 per stage.
local shapes = {
  roles = { name = "roles", threads = 512, memory = roles_memory,
    query_buffers = function() return 1 end,
    p_buffers = function(v) return v.p_terms == 2 and 2 or 4 end,
    barriers = function(d) return 2 * d.p_buffers + 2 end },
  streams = { name = "streams", threads = 384, memory = streams_memory,
    -- A second buffer of the longest query would cost half of the ring.
    query_buffers = function(v) return v.rows * v.query_terms > 32 and 1 or 2 end,
    p_buffers = function() return 1 end,
    barriers = function(d) return 2 * d.query_buffers end },
}

local function shape_of(v) return v.rows == 64 and shapes.roles or shapes.streams end

local function derive(v)
  local subtile_bytes = 64 * 128
  local subtiles = v.latent // 128
  local tile_bytes = (subtiles + 1) * subtile_bytes
  local scale_bytes = 64 * 4
  local shape = shape_of(v)
  local image_tokens = math.min(v.page, 64) -- tokens that lie together in a page
  local images_per_tile = 64 // image_tokens
  local d = {
    shape = shape.name,
    threads = shape.threads,
    tile_tokens = 64,
    subtiles = subtiles,
    subtile_bytes = subtile_bytes,
    tile_bytes = tile_bytes, -- content subtiles and RoPE
    image_tokens = image_tokens,
    images_per_tile = images_per_tile,
    image_bytes = (tile_bytes + scale_bytes) // images_per_tile, -- of which a tile is made: without padding
    query_buffers = shape.query_buffers(v),
    query_bytes = (subtiles * v.query_terms + 1) * v.rows * 128,
    p_buffers = shape.p_buffers(v),
    partial_bytes = v.partial == "bf16" and 2 or 4,
  }
  d.smem_bytes = d.query_buffers * d.query_bytes
    + v.stages * tile_bytes          -- ring of page images
    + v.stages * 4 * scale_bytes     -- scales: as stored, usable, logarithm, inverse
    + v.stages * 4                   -- bad-page flags
    + shape.memory(v, d)
    + (3 * v.stages + shape.barriers(d)) * 8
  return d
end

-- The most stages up to four that fit, an even number for streams.
local function stages_for(settings)
  local level = level_of(settings)
  local v = { rows = rows_for(settings), latent = settings.latent or 512, page = settings.page or 64,
    query_terms = level.query_terms, p_terms = level.p_terms }
  for stages = 4, 3, -1 do
    v.stages = stages
    if (v.rows == 64 or stages % 2 == 0) and derive(v).smem_bytes <= max_smem then return stages end
  end
  return 2
end

-- A rule that an axis must not fall behind what the level needs, unless that is to be measured.
local function level_rule(name, enough, needs)
  return {
    name = "level_" .. name,
    reason = function(v)
      return ("level %s keeps its limits with %s: take that, or limits=waived to measure what it buys")
        :format(v.accuracy, needs(levels[v.accuracy]))
    end,
    legal = function(v) return v.limits == "waived" or enough(v, levels[v.accuracy]) end,
  }
end

return {
  family = "mla_decode",
  entry = "snapmla_mla_decode",
  about = "attends a block's query rows to a run of KV pages",
  axes = {
    { name = "rows", values = { 8, 16, 32, 64 }, default = rows_for, about = "query rows a block decodes together" },
    { name = "latent", values = { 128, 256, 384, 512 }, default = 512,
      about = "latent rank: content channels per token" },
    { name = "rope", values = { 64 }, default = 64, about = "RoPE channels per token" },
    { name = "page", values = { 16, 32, 64, 128 }, default = 64, about = "tokens per page" },
    { name = "format", values = { "fp8_token" }, default = "fp8_token", about = "how the cache is stored" },
    { name = "accuracy", values = { "fast", "balanced", "max" }, default = "fast",
      about = "the level whose limits are promised; it decides the defaults of the axes after it" },
    { name = "query_terms", values = { 1, 2 }, default = by_level("query_terms"),
      about = "e4m3 numbers for a channel of the query: its high part and what that leaves" },
    { name = "p_terms", values = { 1, 2 }, default = by_level("p_terms"),
      about = "e4m3 numbers for a probability: its high part and what that leaves" },
    { name = "score_parts", values = { 1, 2, 4 }, default = by_level("score_parts"),
      about = "sums that a score is added up in on the tensor cores, before they are added in fp32" },
    { name = "promotion", values = { 64, 0 }, default = 64,
      about = "tokens whose values are summed on the tensor cores before they are added in fp32; 0: all" },
    { name = "sums", values = { "rounded", "exact" }, default = "rounded",
      about = "whether a row is normalised by the sum of P as rounded, or before rounding" },
    { name = "limits", values = { "kept", "waived" }, default = "kept",
      about = "waived: take any arithmetic, to measure what it costs and buys" },
    { name = "partial", values = { "bf16", "f32" }, default = partial_for, about = "type of the partial results of a cut request" },
    { name = "stages", values = { 2, 3, 4, 5, 6, 7, 8 }, default = stages_for,
      about = "page images in the shared-memory ring" },
  },
  rules = {
    { name = "roles_sum_rounded",
      reason = function() return "in the shape of 64 rows the sums are those of the rounded P: take sums=rounded" end,
      legal = function(v) return v.rows < 64 or v.sums == "rounded" end },
    { name = "streams_own_stages",
      reason = "up to 32 rows, the two streams own the stages of even and odd number: take an even number of stages",
      legal = function(v) return v.rows == 64 or v.stages % 2 == 0 end },
    { name = "ring_fits",
      reason = function(v, d)
        return ("%d stages of latent %d need %d bytes of shared memory and a block has %d: take fewer stages")
          :format(v.stages, v.latent, d.smem_bytes, max_smem)
      end,
      legal = function(_, d) return d.smem_bytes <= max_smem end },
    level_rule("query_terms", function(v, level) return v.query_terms == level.query_terms end,
      function(level) return ("query_terms=%d, as the oracle quantises the query"):format(level.query_terms) end),
    level_rule("p_terms", function(v, level) return v.p_terms >= level.p_terms end,
      function(level) return ("p_terms=%d"):format(level.p_terms) end),
    level_rule("score_parts", function(v, level) return v.score_parts >= level.score_parts end,
      function(level) return ("score_parts=%d or more"):format(level.score_parts) end),
    level_rule("promotion", function(v) return v.promotion > 0 end, function()
      return "promotion=64, as the tensor cores' sums drift over long contexts"
    end),
    level_rule("sums", function(v) return v.sums == "rounded" end, function()
      return "sums=rounded, as weights that do not add up to one show on values with an offset"
    end),
  },
  derived = derive,
}
