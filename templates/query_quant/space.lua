-- The query as mla_decode wants it: e4m3 content in one or two terms, scaled bf16 RoPE, one scale per row.
return {
  family = "query_quant",
  entry = "snapmla_query_quant",
  about = "quantises the query rows into the decode kernel's shared-memory image",
  axes = {
    { name = "latent", values = { 128, 256, 384, 512 }, default = 512,
      about = "latent rank: content channels per token" },
    { name = "rows", values = { 8, 16, 32, 64 }, default = 64, about = "rows of a group: the decode kernel's" },
    { name = "rope", values = { 64 }, default = 64, about = "RoPE channels per token" },
    { name = "query_terms", values = { 1, 2 }, default = 1, about = "e4m3 numbers for a channel: the decode kernel's" },
  },
  rules = {},
  derived = function(v)
    return {
      threads = 256,
      subtiles = v.latent // 128,
      image_bytes = (v.query_terms * v.latent // 128 + 1) * v.rows * 128,
      smem_bytes = 0,
    }
  end,
}
