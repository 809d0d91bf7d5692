-- The query as mla_decode wants it: content and RoPE in the number types of the cache's format, one scale per row.
local axes = use("common/axes.lua")
local formats = use("formats/formats.lua")

return {
  family = "query_quant",
  entry = "snapmla_query_quant",
  about = "quantises the query rows into the decode kernel's shared-memory image",
  axes = {
    axes.latent,
    axes.rows,
    axes.query_terms,
    axes.rope,
    axes.format,
    axes.records,
  },
  rules = {
    formats.rank_rule,
    formats.rope_rule,
    { name = "terms_of_e4m3", reason = "bf16 channels are kept as they are: take query_terms=1",
      legal = function(v, d) return v.query_terms == 1 or d.content_type == "e4m3" end },
  },
  derived = function(v)
    local d = formats.quantities(v.format, v.latent, v.rope)
    d.threads = 256
    d.image_bytes = formats.query_subtiles(d, v.query_terms) * v.rows * 128
    d.smem_bytes = 0
    return d
  end,
}
