-- wgmma back to back, alone or while another warpgroup reads shared memory.
return {
  family = "ceiling_wgmma",
  entry = "snapmla_ceiling_wgmma",
  about = "keeps the tensor cores busy",
  axes = {
    { name = "kind", values = { "e4m3", "bf16" }, default = "e4m3", about = "type of both operands" },
    { name = "a", values = { "shared", "registers" }, default = "shared", about = "where operand A lies" },
    { name = "n", values = { 8, 16, 32, 64, 128, 256 }, default = 64, about = "columns" },
    { name = "groups", values = { 1, 2 }, default = 2, about = "warpgroups that issue wgmma" },
    { name = "loads", values = { "none", "ldmatrix" }, default = "none",
      about = "what one more warpgroup does meanwhile, as fast as it can" },
  },
  rules = {
    { name = "registers_fit",
      reason = "three warpgroups leave 168 registers a thread, too few for 128 accumulators and A: take groups=1",
      legal = function(v, d) return v.n < 256 or v.a ~= "registers" or d.threads < 384 end },
  },
  derived = function(v)
    local warpgroups = v.groups + (v.loads == "none" and 0 or 1)
    local operand_bytes = 8192 + 4 * v.n * 128
    return { threads = 128 * warpgroups, operand_bytes = operand_bytes, smem_bytes = operand_bytes + 16 }
  end,
}
