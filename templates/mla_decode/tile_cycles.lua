local formats = use("formats/formats.lua")

-- What a tile of 64 tokens takes a multiprocessor where memory keeps up, in cycles: latencies of steps that follow one
-- another and issue slots, which no ceiling of a unit says. Measured on an H200, latent 512 and RoPE 64, two groups of
-- rows on every page, but for fp8_token at max with 32 (one group); bench/decode/tile_cycles.py,
-- docs/performance/h200/tile_cycles.csv.
local measured = {
  fp8_token = {
    fast = { [8] = 1300, [16] = 1510, [32] = 1830, [64] = 2110 },
    balanced = { [8] = 1470, [16] = 1710, [32] = 2060, [64] = 2650 },
    max = { [8] = 1780, [16] = 2020, [32] = 2660, [64] = 3320 },
  },
  fp8_tensor = { fast = { [8] = 1230, [16] = 1480, [32] = 1720, [64] = 1970 } },
  fp8_tile = { fast = { [8] = 2180, [16] = 2450, [32] = 2950, [64] = 3530 } },
  bf16 = { fast = { [8] = 2430, [16] = 2650, [32] = 3110, [64] = 3390 } },
  fp8_token_r4 = { fast = { [8] = 3540, [16] = 3760, [32] = 4810 } },
}

-- A format without measurements costs what another does whose content is multiplied alike (formats.products).
local measured_alike = { e4m3 = "fp8_token", residual = "fp8_token_r4", widened = "fp8_tile", bf16 = "bf16" }

-- Levels whose arithmetic is that of `fast`, by what content is multiplied as.
local as_fast = { bf16 = { balanced = true, max = true }, widened = { balanced = true } }

-- Groups that read their pages together take so much of what they take where each reads for itself: run after run
-- without a pause, as a server decodes, 0.97 and 0.96 on an H200, at (128, 128, 8K) and (32, 128, 128K), and 0.98 on an
-- H100 (docs/performance/experiments.md).
local together = 0.97

-- A level that was not measured costs a format what it costs fp8_token; other widths in proportion to their channels.
local function tile_cycles(v)
  local products = formats.products(v.format)
  local of_format, plain = measured[v.format] or measured[measured_alike[products]], measured.fp8_token
  local cycles = (of_format[v.accuracy] or of_format.fast)[v.rows]
  if not cycles then return 0 end
  local same = of_format[v.accuracy] or (as_fast[products] or {})[v.accuracy]
  local level = same and 1 or plain[v.accuracy][v.rows] / plain.fast[v.rows]
  return math.floor(cycles * level * (v.cluster > 1 and together or 1) * (v.latent + v.rope) / 576)
end

return tile_cycles
