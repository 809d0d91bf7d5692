-- Replaces what is in L2.
return {
  family = "ceiling_flush",
  entry = "snapmla_ceiling_flush",
  about = "empties L2 by reading or writing a larger buffer",
  axes = {
    { name = "by", values = { "reading", "writing" }, default = "reading",
      about = "reading leaves L2 clean; writing leaves dirty lines, whose write-back shares memory with what follows" },
  },
  rules = {},
  derived = function() return { threads = 512, smem_bytes = 0 } end,
}
