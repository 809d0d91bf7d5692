-- A family for the tests: it copies numbers, unrolled.
return {
  family = "toy",
  entry = "toy_copy",
  about = "copies numbers",
  axes = {
    { name = "width", values = { 1, 2, 4 }, default = 2, about = "numbers a thread copies" },
    { name = "kind", values = { "plain", "scaled" }, default = "plain", about = "what happens to a number" },
    { name = "stages", values = { 1, 2, 3 }, default = 1, about = "buffers" },
  },
  rules = {
    {
      name = "scaled_is_narrow",
      reason = "scaling leaves no registers for a width above 2: take width=1 or width=2",
      legal = function(v) return v.kind ~= "scaled" or v.width <= 2 end,
    },
    {
      name = "buffers_fit",
      reason = function(v, d)
        return d.smem_bytes .. " bytes of shared memory for " .. v.stages .. " stages, 1024 are there"
      end,
      legal = function(_, d) return d.smem_bytes <= 1024 end,
    },
  },
  derived = function(v)
    return { threads = 64, smem_bytes = 128 * v.width * v.stages, rows = v.width, doubled = v.kind == "scaled" }
  end,
}
