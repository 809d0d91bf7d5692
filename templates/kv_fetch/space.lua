-- Tokens out of the cache.
local axes = use("common/axes.lua")
local formats = use("formats/formats.lua")

return {
  family = "kv_fetch",
  entry = "snapmla_kv_fetch",
  about = "reads cached tokens back as bf16 rows, or moves them to other slots",
  axes = {
    axes.latent,
    axes.rope,
    axes.page,
    axes.format,
    { name = "to", values = { "rows", "cache" }, default = "rows", about = "where tokens go" },
  },
  rules = { formats.rank_rule, formats.rope_rule },
  derived = function(v)
    local d = formats.quantities(v.format, v.latent, v.rope)
    d.threads = 256
    d.image_tokens = math.min(v.page, 64)
    d.image_bytes = (d.image_tokens * d.row_bytes + 127) // 128 * 128 -- padded
    d.smem_bytes = 0
    return d
  end,
}
