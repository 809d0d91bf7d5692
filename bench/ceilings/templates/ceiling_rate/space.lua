-- One instruction, over and over, in eight chains a thread.
return {
  family = "ceiling_rate",
  entry = "snapmla_ceiling_rate",
  about = "repeats one operation",
  axes = {
    { name = "op",
      values = { "pack_e4m3", "unpack_e4m3", "byte_permute", "exp2", "fma", "ldmatrix", "ldmatrix_trans", "stmatrix" },
      default = "pack_e4m3", about = "the operation" },
  },
  rules = {},
  derived = function() return { threads = 512, smem_bytes = 2 * 16 * 512 } end,
}
