-- Tokens out of the cache.
local formats = use("formats/formats.lua")

return {
  family = "kv_fetch",
  entry = "snapmla_kv_fetch",
  about = "reads cached tokens back as bf16 rows, or moves them to other slots",
  axes = {
    { name = "latent", values = { 128, 256, 384, 512 }, default = 512,
      about = "latent rank: content channels per token" },
    { name = "rope", values = { 64 }, default = 64, about = "RoPE channels per token" },
    { name = "page", values = { 16, 32, 64, 128 }, default = 64, about = "tokens per page" },
    { name = "format", values = formats.names, default = "fp8_token", about = "how the cache is stored" },
    { name = "to", values = { "rows", "cache" }, default = "rows", about = "where tokens go" },
  },
  rules = {},
  derived = function(v)
    local d = formats.quantities(v.format, v.latent, v.rope)
    d.threads = 256
    d.image_tokens = math.min(v.page, 64)
    d.image_bytes = (d.image_tokens * d.row_bytes + 127) // 128 * 128 -- padded
    d.smem_bytes = 0
    return d
  end,
}
