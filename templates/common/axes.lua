-- Axes that several families have: what they say of the cache and of the decode kernel is said once.
local formats = use("formats/formats.lua")

return {
  latent = { name = "latent", values = { 128, 256, 384, 512 }, default = 512,
    about = "latent rank: content channels per token" },
  rope = { name = "rope", values = { 0, 32, 64, 128 }, default = 64,
    about = "RoPE channels per token; 0: there are none" },
  page = { name = "page", values = { 16, 32, 64, 128 }, default = 64, about = "tokens per page" },
  format = { name = "format", values = formats.names, default = formats.default, about = "how the cache is stored" },
  -- Of the kernels around the decode kernel, which decides.
  rows = { name = "rows", values = { 8, 16, 32, 64 }, default = 64, about = "rows of a group: the decode kernel's" },
  query_terms = { name = "query_terms", values = { 1, 2 }, default = 1, searched = false,
    about = "e4m3 numbers for a channel: the decode kernel's" },
  records = { name = "tokens", values = { "paged", "indexed" }, default = "paged",
    about = "whether a record is a request, or one of its query tokens: the decode kernel's" },
  sinks = { name = "sinks", values = { "off", "on" }, default = "off", searched = false, quiet = true,
    about = "on: the softmax's denominator has one more term, of a logit that each head has" },
  cuts = { name = "cuts", values = { "balanced", "fixed" }, default = "balanced", searched = false, quiet = true,
    about = "fixed: a request is cut by its own length alone, and has the same bits in any batch" },
  -- Of the kernels around a layer.
  weights = function(matrix)
    return { name = "weights", values = { "bf16", "fp8" }, default = "bf16",
      about = ("how %s is stored; fp8: e4m3 in blocks of 128 x 128"):format(matrix) }
  end,
  rotate = function(of, default)
    return { name = "rotate", values = { "none", "interleaved", "half" }, default = default,
      about = ("RoPE on the %s: which channels turn together"):format(of) }
  end,
}
