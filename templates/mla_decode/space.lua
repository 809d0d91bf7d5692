-- Decoding over the latent cache, in two shapes: up to 32 query rows a block by independent streams, 64 by roles.

local formats = use("formats/formats.lua")

local max_smem = 232448 -- the most dynamic shared memory a block may have on Hopper

-- The fewest rows that hold all of a request, or of a list (a query token); more than 64 are cut into groups of 64.
local function rows_for(settings)
  local rows = (settings.heads or 64) * (settings.tokens == "indexed" and 1 or settings.q_len or 1)
  for _, n in ipairs { 8, 16, 32 } do
    if rows <= n then return n end
  end
  return 64
end

-- Rounding partial results costs the level's error little and halves what is written and read to merge them.
local function partial_for(settings) return (settings.accuracy or "fast") == "fast" and "bf16" or "f32" end

-- Shared memory beyond the ring, the query and the barriers.
local function roles_memory(v, d)
  return d.p_buffers * 4096 * d.value_bytes   -- probabilities
    + d.p_buffers * 256                       -- rescale factors
    + 2 * 256                                 -- inverse row sums
    + d.p_buffers * 4                         -- changed flags
    + (v.tokens == "paged" and (v.stages + d.p_buffers) % 2 or 0) * 4 -- barriers are 8-byte aligned
end

local function streams_memory(v, d)
  return v.rows * 128 * d.value_bytes -- probabilities
    + 2 * 4 * v.rows * 4  -- largest scores
    + 2 * 2 * 4 * v.rows * 8 -- row sums
    + 2 * 2 * v.rows * 4  -- references
end

local shapes = {
  roles = { name = "roles", threads = 512, memory = roles_memory },
  streams = { name = "streams", threads = 384, memory = streams_memory },
}

-- As many stages as are sure to fit, four at most: bf16 tiles are large.
local function stages_for(settings)
  return (settings.format == "bf16" and (settings.latent or 512) > 256) and 2 or 4
end

local function shape_of(v) return v.rows == 64 and shapes.roles or shapes.streams end

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
    { name = "format", values = formats.names, default = "fp8_token", about = "how the cache is stored" },
    { name = "accuracy", values = { "fast" }, default = "fast", about = "the arithmetic's level" },
    { name = "tokens", values = { "paged", "indexed" }, default = "paged",
      about = "which tokens a query sees: the pages of its request, or a list of slots of its own (sparse)" },
    { name = "partial", values = { "bf16", "f32" }, default = partial_for,
      about = "type of the partial results of a cut request" },
    { name = "stages", values = { 2, 3, 4, 5, 6, 7, 8 }, default = stages_for,
      about = "tiles in the shared-memory ring" },
  },
  rules = {
    formats.rank_rule,
    { name = "lists_of_images",
      reason = "index lists are gathered from page images of fp8_token: take that format, or tokens=paged",
      legal = function(v) return v.tokens == "paged" or v.format == "fp8_token" end },
    { name = "streams_own_stages",
      reason = "up to 32 rows, the two streams own the stages of even and odd number: take an even number of stages",
      legal = function(v) return v.rows == 64 or v.stages % 2 == 0 end },
    { name = "ring_fits",
      reason = function(v, d)
        return ("%d stages of latent %d need %d bytes of shared memory and a block has %d: take fewer stages")
          :format(v.stages, v.latent, d.smem_bytes, max_smem)
      end,
      legal = function(_, d) return d.smem_bytes <= max_smem end },
  },
  derived = function(v)
    local d = formats.quantities(v.format, v.latent, v.rope)
    local subtile_bytes = 64 * 128
    local tile_bytes = (d.subtiles + 1) * subtile_bytes
    local scale_bytes = 64 * 4 -- of a tile
    local raw_scale_bytes = scale_bytes * d.scales
    local shape = shape_of(v)
    local query_bytes = (d.subtiles + 1) * v.rows * 128
    local image_tokens = math.min(v.page, 64) -- tokens that lie together in a page
    local images_per_tile = 64 // image_tokens
    -- Two queries where they leave the ring its room; the shape for 64 rows has one.
    local query_buffers = (shape == shapes.roles or query_bytes > 32768) and 1 or 2
    d.shape = shape.name
    d.threads = shape.threads
    d.tile_tokens = 64
    d.subtile_bytes = subtile_bytes
    d.tile_bytes = tile_bytes -- content subtiles and RoPE
    d.image_tokens = image_tokens
    d.images_per_tile = images_per_tile
    d.image_bytes = (tile_bytes + raw_scale_bytes) // images_per_tile -- of which a tile is made: without padding
    d.raw_scale_bytes = raw_scale_bytes
    d.value_bytes = d.value_type == "e4m3" and 1 or 2 -- of a number of P and of the values
    -- Tiles of P on their way to the values' product, of the shape for 64 rows: bf16's are large, and so are its pages.
    d.p_buffers = shape == shapes.roles and (d.value_bytes == 1 and 4 or d.subtiles > 6 and 1 or 2) or 0
    d.query_buffers = query_buffers
    d.query_bytes = query_bytes
    d.partial_bytes = v.partial == "bf16" and 2 or 4
    d.smem_bytes = query_buffers * query_bytes
      + v.stages * tile_bytes                          -- ring of page images
      + v.stages * (raw_scale_bytes + 3 * scale_bytes) -- scales: as stored, usable, logarithm, inverse
      + (v.tokens == "paged" and v.stages or 0) * 4    -- bad-page flags
      + shape.memory(v, d)
      + (3 * v.stages + 2 * query_buffers + 2 * d.p_buffers) * 8 -- barriers
    return d
  end,
}
