-- New tokens into the cache.
return {
  family = "kv_append",
  entry = "snapmla_kv_append",
  about = "quantises latent and RoPE rows and writes them into page images",
  axes = {
    { name = "latent", values = { 128, 256, 384, 512 }, default = 512,
      about = "latent rank: content channels per token" },
    { name = "rope", values = { 64 }, default = 64, about = "RoPE channels per token" },
    { name = "page", values = { 16, 32, 64, 128 }, default = 64, about = "tokens per page" },
    { name = "format", values = { "fp8_token" }, default = "fp8_token", about = "how the cache is stored" },
  },
  rules = {},
  derived = function(v)
    local image_tokens = math.min(v.page, 64)
    local image_bytes = image_tokens * (v.latent + 2 * v.rope + 4)
    return {
      threads = 256,
      rows = 8, -- tokens a block quantises at a time, one a warp
      subtiles = v.latent // 128,
      image_tokens = image_tokens,
      image_bytes = (image_bytes + 127) // 128 * 128, -- padded
      smem_bytes = 0,
    }
  end,
}
