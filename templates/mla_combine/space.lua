-- Merging the splits of a request.
return {
  family = "mla_combine",
  entry = "snapmla_mla_combine",
  about = "merges partial results by their log-sum-exp",
  axes = {
    { name = "latent", values = { 128, 256, 384, 512 }, default = 512,
      about = "latent rank: channels of an output row" },
    { name = "rows", values = { 8, 16, 32, 64 }, default = 64, about = "rows of a group: the decode kernel's" },
    { name = "block", values = { 128, 256, 512 }, default = 256, about = "threads of a block; each merges four channels" },
  },
  rules = {},
  derived = function(v)
    return {
      threads = v.block,
      block_elements = 4 * v.block,
      smem_bytes = v.block * (16 + 8), -- a sum, a maximum and a weight of each thread
    }
  end,
}
