-- New tokens into the cache.
local formats = use("formats/formats.lua")

return {
  family = "kv_append",
  entry = "snapmla_kv_append",
  about = "quantises latent and RoPE rows and writes them into pages",
  axes = {
    { name = "latent", values = { 128, 256, 384, 512 }, default = 512,
      about = "latent rank: content channels per token" },
    { name = "rope", values = { 64 }, default = 64, about = "RoPE channels per token" },
    { name = "page", values = { 16, 32, 64, 128 }, default = 64, about = "tokens per page" },
    { name = "format", values = formats.names, default = "fp8_token", about = "how the cache is stored" },
    { name = "scale", values = { "fp32", "power_of_two" }, default = "fp32", about = "what a scale may be" },
    { name = "norm", values = { "none", "rms" }, default = "none", about = "what is done to the latent first" },
    { name = "rotate", values = { "none", "interleaved", "half" }, default = "none",
      about = "RoPE on the key: which channels turn together" },
  },
  rules = {
    { name = "scales_to_round", reason = "this format stores no scales: take scale=fp32",
      legal = function(v, d) return v.scale == "fp32" or d.scales > 0 end },
  },
  derived = function(v)
    local d = formats.quantities(v.format, v.latent, v.rope)
    d.threads = 256
    d.rows = 8 -- tokens a block quantises at a time, one a warp
    d.image_tokens = math.min(v.page, 64)
    d.image_bytes = (d.image_tokens * d.row_bytes + 127) // 128 * 128 -- padded
    d.power_of_two = v.scale == "power_of_two"
    d.smem_bytes = 0
    return d
  end,
}
