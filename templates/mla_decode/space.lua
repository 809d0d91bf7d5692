-- Decoding over the latent cache, 64 query rows a block, specialised roles.

local max_smem = 232448 -- the most dynamic shared memory a block may have on Hopper

return {
  family = "mla_decode",
  entry = "snapmla_mla_decode",
  about = "attends 64 query rows to a run of KV pages",
  axes = {
    { name = "latent", values = { 128, 256, 384, 512 }, default = 512, about = "latent rank: content channels per token" },
    { name = "rope", values = { 64 }, default = 64, about = "RoPE channels per token" },
    { name = "page", values = { 16, 32, 64, 128 }, default = 64, about = "tokens per page" },
    { name = "format", values = { "fp8_token" }, default = "fp8_token", about = "how the cache is stored" },
    { name = "accuracy", values = { "fast" }, default = "fast", about = "the arithmetic's level" },
    { name = "stages", values = { 2, 3, 4, 5, 6, 7, 8 }, default = 4, about = "page images in the shared-memory ring" },
  },
  rules = {
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
    local image_tokens = math.min(v.page, 64) -- tokens that lie together in a page
    local images_per_tile = 64 // image_tokens
    local barriers = 3 * v.stages + 2 * 4 + 4
    return {
      threads = 512,
      rows = 64,
      tile_tokens = 64,
      subtiles = subtiles,
      subtile_bytes = subtile_bytes,
      tile_bytes = tile_bytes, -- content subtiles and RoPE
      image_tokens = image_tokens,
      images_per_tile = images_per_tile,
      image_bytes = (tile_bytes + scale_bytes) // images_per_tile, -- of which a tile is made: without padding
      probability_buffers = 4,
      smem_bytes = tile_bytes            -- query
        + v.stages * tile_bytes          -- ring of page images
        + 4 * 4096                       -- probabilities
        + v.stages * 4 * scale_bytes     -- scales: as stored, usable, logarithm, inverse
        + 4 * 256                        -- rescale factors
        + 256                            -- inverse row sums
        + v.stages * 4                   -- bad-page flags
        + 4 * 4                          -- changed flags
        + (v.stages % 2) * 4             -- barriers are 8-byte aligned
        + barriers * 8,
    }
  end,
}
