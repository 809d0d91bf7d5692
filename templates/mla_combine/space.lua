-- Merging the splits of a request.
return {
  family = "mla_combine",
  entry = "snapmla_mla_combine",
  about = "merges partial results by their log-sum-exp",
  axes = {
    { name = "latent", values = { 128, 256, 384, 512 }, default = 512,
      about = "latent rank: channels of an output row" },
    { name = "rows", values = { 8, 16, 32, 64 }, default = 64, about = "rows of a group: the decode kernel's" },
    { name = "lanes", values = { 1, 2, 4, 8 }, default = 4, about = "splits read side by side by one block" },
    { name = "tokens", values = { "paged", "indexed" }, default = "paged",
      about = "whether a record is a request, or one of its query tokens: the decode kernel's" },
  },
  rules = {
    { name = "block_size", reason = "a block has at most 1024 threads: latent / 4 * lanes",
      legal = function(_, d) return d.threads <= 1024 end },
  },
  derived = function(v)
    local columns = v.latent // 4
    return {
      columns = columns,
      threads = columns * v.lanes,
      smem_bytes = v.lanes * v.latent * 4 + v.lanes * 8,
    }
  end,
}
