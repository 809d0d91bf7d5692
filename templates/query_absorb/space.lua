-- The query, absorbed: q_nope . W_UK for each head, RoPE, quantised as mla_decode wants it.
local axes = use("common/axes.lua")
local formats = use("formats/formats.lua")
local skinny = use("common/skinny.lua")

return {
  family = "query_absorb",
  entry = "snapmla_query_absorb",
  about = "multiplies queries by W_UK, turns their RoPE channels and quantises them into the decode kernel's image",
  axes = {
    axes.latent,
    axes.rows,
    axes.query_terms,
    axes.rope,
    axes.format,
    { name = "nope", values = { 64, 128, 192, 256 }, default = 128, about = "channels of a head's query without RoPE" },
    axes.weights("W_UK"),
    axes.rotate("query", "interleaved"),
    { name = "columns", values = skinny.columns, default = skinny.columns_for,
      about = "tokens a block multiplies together" },
    { name = "stages", values = { 2, 3, 4 }, default = 2,
      about = "chunks of 64 query channels in the shared-memory ring" },
  },
  rules = {
    formats.rank_rule,
    formats.rope_rule,
    formats.rotate_rule,
    skinny.ring_fits,
    { name = "terms_of_e4m3", reason = "bf16 channels are kept as they are: take query_terms=1",
      legal = function(v, d) return v.query_terms == 1 or d.content_type == "e4m3" end },
  },
  derived = function(v)
    local d = formats.quantities(v.format, v.latent, v.rope)
    local tiles = v.latent > 256 and 2 or 1
    local a_bytes = 64 * v.latent * (v.weights == "fp8" and 1 or 2)
    local product = skinny.quantities(v.columns, v.stages, a_bytes, 64, v.latent // 64 // tiles, tiles)
    for name, value in sorted_pairs(product) do d[name] = value end
    d.image_bytes = formats.query_subtiles(d, v.query_terms) * v.rows * 128
    return d
  end,
}
