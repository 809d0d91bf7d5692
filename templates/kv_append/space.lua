-- New tokens into the cache.
local axes = use("common/axes.lua")
local formats = use("formats/formats.lua")

return {
  family = "kv_append",
  entry = "snapmla_kv_append",
  about = "quantises latent and RoPE rows and writes them into pages",
  axes = {
    axes.latent,
    axes.rope,
    axes.page,
    axes.format,
    { name = "scale", values = { "fp32", "power_of_two" }, default = "fp32", about = "what a scale may be" },
    { name = "norm", values = { "none", "rms" }, default = "none", about = "what is done to the latent first" },
    axes.rotate("key", "none"),
  },
  rules = {
    formats.rank_rule,
    formats.rope_rule,
    formats.rotate_rule,
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
