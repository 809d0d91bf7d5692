-- The query as mla_decode wants it: content and RoPE in the number types of the cache's format, one scale per row.
local formats = use("formats/formats.lua")

return {
  family = "query_quant",
  entry = "snapmla_query_quant",
  about = "quantises the query rows into the decode kernel's shared-memory image",
  axes = {
    { name = "latent", values = { 128, 256, 384, 512 }, default = 512,
      about = "latent rank: content channels per token" },
    { name = "rows", values = { 8, 16, 32, 64 }, default = 64, about = "rows of a group: the decode kernel's" },
    { name = "query_terms", values = { 1, 2 }, default = 1, searched = false,
      about = "e4m3 numbers for a channel: the decode kernel's" },
    { name = "rope", values = { 64 }, default = 64, about = "RoPE channels per token" },
    { name = "format", values = formats.names, default = "fp8_token", about = "how the cache is stored" },
    { name = "tokens", values = { "paged", "indexed" }, default = "paged",
      about = "whether a record is a request, or one of its query tokens: the decode kernel's" },
  },
  rules = {
    { name = "terms_of_e4m3", reason = "bf16 channels are kept as they are: take query_terms=1",
      legal = function(v, d) return v.query_terms == 1 or d.content_type == "e4m3" end },
  },
  derived = function(v)
    local d = formats.quantities(v.format, v.latent, v.rope)
    d.threads = 256
    d.image_bytes = (v.query_terms * d.subtiles + 1) * v.rows * 128
    d.smem_bytes = 0
    return d
  end,
}
