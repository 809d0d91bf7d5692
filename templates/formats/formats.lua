-- How the KV cache may be stored: a row for each format; what a row cannot say is formats/<name>.inc. docs/format.md is
-- the whole truth about the bytes, and reference/kv_format.c has the same facts for the host.
--   content, rope   bytes of a channel's number, which is multiplied as it is stored: 1 e4m3, 2 bf16
--   scaling         what multiplies the numbers: nothing; an fp32 of the token; one of the call, for the whole cache;
--                   or, content alone, an fp32 of the token for each group of 128 channels
--   layout          "image": pages are swizzled shared-memory images; "rows": tokens one after another
--   residual        bits of each content channel besides: what its e4m3 number leaves, in sixteenths of its step
--   only_latent, only_rope  the one latent rank and RoPE width that there are; nil: any
-- The first is the default. Known together are: e4m3 RoPE and a scale of the call, images and a scale of the token,
-- residuals and images.
local rows = {
  { name = "fp8_token", content = 1, rope = 2, scaling = "token", layout = "image" },
  { name = "bf16", content = 2, rope = 2, scaling = "none", layout = "rows" },
  { name = "fp8_tensor", content = 1, rope = 1, scaling = "call", layout = "rows" },
  { name = "fp8_tile", content = 1, rope = 2, scaling = "group", layout = "rows", only_latent = 512,
    only_rope = 64 },
  { name = "fp8_token_r4", content = 1, rope = 2, scaling = "token", layout = "image", residual = 4 },
}

local names, by_name = {}, {}
for i, row in ipairs(rows) do
  names[i] = row.name
  by_name[row.name] = row
end

local types = { "e4m3", "bf16" }

-- What content is multiplied as: "bf16"; "widened", where groups of channels have scales: e4m3 in scores, 16 bits as
-- values; "residual", e4m3 numbers of two terms; "e4m3".
local function products(format)
  local f = by_name[format]
  return f.scaling == "group" and "widened" or f.residual and "residual" or types[f.content]
end

-- Whether scores have four parts at every level: where RoPE is e4m3 as well, two keep the lse's limits with 32 and 64
-- channels of it alone (docs/format.md).
local function in_four_parts(format, rope)
  return types[by_name[format].rope] == "e4m3" and (rope == 0 or rope == 128)
end

-- The quantities that templates see: the format's facts, in bytes of `latent` and `rope` channels.
local function quantities(format, latent, rope)
  local f = by_name[format]
  local content_bytes, rope_bytes = latent * f.content, rope * f.rope
  local residual_bytes = latent * (f.residual or 0) // 8
  local scales = f.scaling == "token" and 1 or f.scaling == "group" and latent // 128 or 0
  return {
    content_type = types[f.content],
    rope_type = types[rope > 0 and f.rope or f.content], -- no RoPE asks for no other type
    -- What P and values are multiplied as: scales that differ from channel to channel cannot be a factor of P.
    value_type = f.scaling == "group" and "bf16" or types[f.content],
    scaling = f.scaling,
    layout = f.layout,
    content_bytes = content_bytes,
    rope_bytes = rope_bytes,
    rope_subtiles = (rope_bytes + 127) // 128, -- in shared memory, behind the content's
    -- Bytes of a token in such a subtile: images of half a row of RoPE have it under the 64-byte swizzle.
    rope_row = f.layout == "image" and rope_bytes == 64 and 64 or 128,
    lane_rope = (rope == 32 or rope == 64) and "float2" or "Rope", -- a lane's, of a row that a warp has
    scales = scales, -- of a token, fp32
    residual_bytes = residual_bytes,
    row_bytes = content_bytes + 4 * scales + rope_bytes + residual_bytes, -- from token to token in rows
    subtiles = content_bytes // 128, -- of content, in shared memory: 128 bytes of each token
  }
end

-- For every space with the axes format and `axis`: what a format has one value of alone, in its field `only`.
local function only_rule(name, axis, only)
  return {
    name = name,
    reason = function(v)
      local f = by_name[v.format]
      return ("%s is a layout that engines interchange, with %s=%d alone: take that, or another format"):format(f.name,
        axis, f[only])
    end,
    legal = function(v)
      local f = by_name[v.format]
      return not f[only] or f[only] == v[axis]
    end,
  }
end
local rank_rule = only_rule("format_rank", "latent", "only_latent")
local rope_rule = only_rule("format_rope", "rope", "only_rope")

-- For every space with the axes rope and rotate.
local rotate_rule = {
  name = "channels_to_turn",
  reason = "with rope=0 there are no channels to turn: take rotate=none, or the model's rope",
  legal = function(v) return v.rope > 0 or v.rotate == "none" end,
}

-- The subtiles of a row of the query's image of quantities `d`: the content's, RoPE's (of e4m3 RoPE all `terms`, one
-- behind the other), those of the content's second term. Adds the quantity query_rope_subtiles.
local function query_subtiles(d, terms)
  d.query_rope_subtiles = (d.rope_bytes * (d.rope_type == "e4m3" and terms or 1) + 127) // 128
  return terms * d.subtiles + d.query_rope_subtiles
end

return {
  names = names,
  default = names[1],
  products = products,
  in_four_parts = in_four_parts,
  quantities = quantities,
  query_subtiles = query_subtiles,
  rank_rule = rank_rule,
  rope_rule = rope_rule,
  rotate_rule = rotate_rule,
}
