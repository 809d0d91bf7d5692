-- Decoding over the latent cache, in two shapes: up to 32 query rows a block by independent streams, 64 by roles.

local max_smem = 232448 -- the most dynamic shared memory a block may have on Hopper

-- The fewest rows that hold all of a request's, or of a list's: a query token's; more than 64 are cut into groups of 64.
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
local function roles_memory(v)
  return 4 * 4096        -- probabilities
    + 4 * 256            -- rescale factors
    + 2 * 256            -- inverse row sums
    + 4 * 4              -- changed flags
    + (v.tokens == "paged" and v.stages % 2 or 0) * 4 -- barriers are 8-byte aligned
end

local function streams_memory(v)
  return v.rows * 128     -- probabilities
    + 2 * 4 * v.rows * 4  -- largest scores
    + 2 * 2 * 4 * v.rows * 8 -- row sums
    + 2 * 2 * v.rows * 4  -- references
end

-- `barriers`: beside the ring's 3 per stage.
local shapes = {
  roles = { name = "roles", threads = 512, query_buffers = 1, memory = roles_memory, barriers = 2 * 4 + 2 },
  streams = { name = "streams", threads = 384, query_buffers = 2, memory = streams_memory, barriers = 4 },
}

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
    { name = "format", values = { "fp8_token" }, default = "fp8_token", about = "how the cache is stored" },
    { name = "accuracy", values = { "fast" }, default = "fast", about = "the arithmetic's level" },
    { name = "tokens", values = { "paged", "indexed" }, default = "paged",
      about = "which tokens a query sees: the pages of its request, or a list of slots of its own (sparse)" },
    { name = "partial", values = { "bf16", "f32" }, default = partial_for,
      about = "type of the partial results of a cut request" },
    { name = "stages", values = { 2, 3, 4, 5, 6, 7, 8 }, default = 4, about = "page images in the shared-memory ring" },
  },
  rules = {
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
    local subtile_bytes = 64 * 128
    local subtiles = v.latent // 128
    local tile_bytes = (subtiles + 1) * subtile_bytes
    local scale_bytes = 64 * 4
    local shape = shape_of(v)
    local query_bytes = (subtiles + 1) * v.rows * 128
    local image_tokens = math.min(v.page, 64) -- tokens that lie together in a page
    local images_per_tile = 64 // image_tokens
    return {
      shape = shape.name,
      threads = shape.threads,
      tile_tokens = 64,
      subtiles = subtiles,
      subtile_bytes = subtile_bytes,
      tile_bytes = tile_bytes, -- content subtiles and RoPE
      image_tokens = image_tokens,
      images_per_tile = images_per_tile,
      image_bytes = (tile_bytes + scale_bytes) // images_per_tile, -- of which a tile is made: without padding
      query_buffers = shape.query_buffers,
      query_bytes = query_bytes,
      partial_bytes = v.partial == "bf16" and 2 or 4,
      smem_bytes = shape.query_buffers * query_bytes
        + v.stages * tile_bytes          -- ring of page images
        + v.stages * 4 * scale_bytes     -- scales: as stored, usable, logarithm, inverse
        + (v.tokens == "paged" and v.stages or 0) * 4 -- bad-page flags
        + shape.memory(v)
        + (3 * v.stages + shape.barriers) * 8,
    }
  end,
}
